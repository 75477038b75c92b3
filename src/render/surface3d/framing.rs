//! How high a surface's box is, where nobody says: what shows the surface largest. In a wide window the
//! height bounds the picture, and a lower box is a larger one; in a high or square one, and for surfaces
//! side by side, the width bounds it and the height is free, so the relief may be bolder.

use super::camera::{fit, middle};
use super::flight::CameraPath;
use super::vec3::Vec3;

/// A height to plan with, until the windows are known.
pub const NATURAL: f32 = 1.35;
/// The heights there are. More would hide the floor's far half behind the surface, and less would
/// flatten it.
const HEIGHTS: [f32; 9] = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.75, 1.9];

/// A box and the rectangle of pixels (left, top, right, bottom) that it is to be shown in.
pub type Window = ([f32; 2], [f32; 4]);

/// The height with which the boxes look largest in their windows from all views of `way`: by the
/// pixels of their floor, and somewhat less by their height.
pub fn relief(windows: &[Window], way: &CameraPath) -> f32 {
    let focal = |relief: f32| {
        let views = way.overviews(middle(relief));
        let fits =
            windows.iter().map(|(half, inside)| fit(&views, &corners(*half, relief), *inside).0);
        fits.fold(f32::INFINITY, f32::min)
    };
    let worth = |relief: f32| focal(relief).powi(2) * relief.powf(0.8);
    HEIGHTS.into_iter().max_by(|a, b| worth(*a).total_cmp(&worth(*b))).unwrap_or(NATURAL)
}

/// The corners of a box.
pub fn corners(half: [f32; 2], top: f32) -> Vec<Vec3> {
    let side = |k: usize, bit: usize| if k >> bit & 1 == 1 { 1.0 } else { -1.0 };
    (0..8)
        .map(|k| [side(k, 0) * half[0], side(k, 1) * half[1], if k > 3 { top } else { 0.0 }])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_window_gets_a_bold_relief_and_a_flat_one_a_low_and_larger_box() {
        let way = CameraPath::preset("still").unwrap().placed(-112.0, 27.0);
        let window = |w: f32, h: f32| ([1.0, 1.0], [0.0, 0.0, w, h]);
        let (flat, high) = (window(900.0, 400.0), window(400.0, 600.0));
        assert_eq!((relief(&[flat], &way), relief(&[high], &way)), (HEIGHTS[0], HEIGHTS[8]));
        let size = |relief: f32| {
            fit(&way.overviews(middle(relief)), &corners([1.0, 1.0], relief), flat.1).0
        };
        assert!(size(relief(&[flat], &way)) > 1.08 * size(NATURAL));
        // The flattest window decides for all: one lens shows every box.
        assert_eq!(relief(&[window(2000.0, 600.0), flat], &way), HEIGHTS[0]);
    }
}
