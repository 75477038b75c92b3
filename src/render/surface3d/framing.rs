//! How high a surface's box is, where nobody says: what the windows have room for. On a wide window
//! the box is as high as looks natural; on a high or square one, and for surfaces side by side, the
//! width bounds the picture and the height is free, so the relief may be bolder.

use super::camera::{fit, middle};
use super::flight::CameraPath;
use super::vec3::Vec3;

/// As high as looks natural anywhere.
pub const NATURAL: f32 = 1.35;
/// Bolder ones; more would hide the floor's far half behind the surface.
const BOLDER: [f32; 4] = [1.9, 1.75, 1.6, 1.5];

/// A box and the rectangle of pixels (left, top, right, bottom) that it is to be shown in.
pub type Window = ([f32; 2], [f32; 4]);

/// The greatest relief that leaves the boxes as large in their windows as [`NATURAL`] does, within
/// some percent, from all views of `way`.
pub fn relief(windows: &[Window], way: &CameraPath) -> f32 {
    let focal = |relief: f32| {
        let views = way.overviews(middle(relief));
        let fits =
            windows.iter().map(|(half, inside)| fit(&views, &corners(*half, relief), *inside).0);
        fits.fold(f32::INFINITY, f32::min)
    };
    let natural = focal(NATURAL);
    BOLDER.into_iter().find(|r| focal(*r) >= 0.96 * natural).unwrap_or(NATURAL)
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
    fn a_high_window_gets_a_bold_relief_and_a_flat_one_keeps_the_natural() {
        let way = CameraPath::preset("still").unwrap().placed(-112.0, 27.0);
        let window = |w: f32, h: f32| ([1.0, 1.0], [0.0, 0.0, w, h]);
        assert_eq!(relief(&[window(900.0, 400.0)], &way), NATURAL);
        assert_eq!(relief(&[window(400.0, 600.0)], &way), BOLDER[0]);
        // The flattest window decides for all: one lens shows every box.
        assert!(relief(&[window(400.0, 600.0), window(900.0, 300.0)], &way) < BOLDER[0]);
        assert_eq!(relief(&[window(2000.0, 600.0), window(900.0, 400.0)], &way), NATURAL);
    }
}
