//! Where the camera is and what it makes of a point in space.

use super::vec3::{Vec3, add, cross, dot, lerp, scale, sub, unit};

/// Nothing nearer than this is drawn (box units; the box is 2 wide).
const NEAR: f32 = 0.04;
/// How far from the box's middle the camera is at distance 1: a long lens, so that the box's
/// sides stay nearly parallel and heights can be compared.
pub const OVERVIEW: f32 = 6.2;

/// One position of the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewpoint {
    /// Where it is.
    pub eye: Vec3,
    /// What is in the middle of the picture.
    pub target: Vec3,
    /// Focal length, relative to the one that shows the whole box from [`OVERVIEW`].
    pub lens: f32,
    /// The azimuth that the light goes with, in radians.
    pub azimuth: f32,
    /// How much of the view is the marker's and not the box's: axes fade with it.
    pub follow: f32,
}

impl Viewpoint {
    /// From `distance` times [`OVERVIEW`] at `azimuth` and `elevation` (degrees) around `target`.
    pub fn around(target: Vec3, azimuth: f32, elevation: f32, distance: f32) -> Self {
        let (azimuth, elevation) = (azimuth.to_radians(), elevation.to_radians());
        let flat = elevation.cos();
        let away = [flat * azimuth.cos(), flat * azimuth.sin(), elevation.sin()];
        let eye = add(target, scale(away, OVERVIEW * distance));
        Self { eye, target, lens: 1.0, azimuth, follow: 0.0 }
    }

    /// The view `t` of the way to `other`; the light stays with `self`.
    pub fn towards(&self, other: &Viewpoint, t: f32) -> Self {
        Self {
            eye: lerp(self.eye, other.eye, t),
            target: lerp(self.target, other.target, t),
            lens: self.lens * (other.lens / self.lens).powf(t),
            azimuth: self.azimuth,
            follow: self.follow + t * (other.follow - self.follow),
        }
    }
}

/// A view onto a rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Where it is.
    pub eye: Vec3,
    /// To the right of the picture.
    pub right: Vec3,
    /// To its top.
    pub up: Vec3,
    /// Into it.
    pub forward: Vec3,
    /// Pixels for a unit at depth one.
    focal: f32,
    /// The pixel that the target falls on.
    centre: [f32; 2],
}

impl Camera {
    /// The camera of `view`, `focal` pixels long at lens 1, its axis through the pixel `centre`.
    pub fn new(view: &Viewpoint, focal: f32, centre: [f32; 2]) -> Self {
        let forward = unit(sub(view.target, view.eye));
        let right = unit(cross(forward, [0.0, 0.0, 1.0]));
        let up = cross(right, forward);
        Self { eye: view.eye, right, up, forward, focal: focal * view.lens, centre }
    }

    /// Pixel and depth of `p`; `None` when it is behind the camera or too near.
    #[inline]
    pub fn project(&self, p: Vec3) -> Option<[f32; 3]> {
        let [x, y, depth] = self.local(p);
        let k = self.focal / depth;
        (depth > NEAR).then(|| [self.centre[0] + k * x, self.centre[1] - k * y, depth])
    }

    /// Both ends of a segment in pixels, cut off where it comes too near.
    pub fn project_segment(&self, a: Vec3, b: Vec3) -> Option<[(f32, f32); 2]> {
        let (da, db) = (self.local(a)[2], self.local(b)[2]);
        let limit = 1.01 * NEAR;
        if da < limit && db < limit {
            return None;
        }
        let cut = |from: Vec3, to: Vec3, df: f32, dt: f32| {
            if df >= limit { from } else { lerp(from, to, (limit - df) / (dt - df)) }
        };
        let (p, q) = (self.project(cut(a, b, da, db))?, self.project(cut(b, a, db, da))?);
        Some([(p[0], p[1]), (q[0], q[1])])
    }

    /// The direction from the eye through a pixel, not of unit length: its part along the axis is.
    pub fn ray(&self, x: f32, y: f32) -> Vec3 {
        let (a, b) = ((x - self.centre[0]) / self.focal, (self.centre[1] - y) / self.focal);
        add(self.forward, add(scale(self.right, a), scale(self.up, b)))
    }

    /// How far apart the rays of neighbouring pixels are at depth one.
    pub fn per_pixel(&self) -> f32 {
        1.0 / self.focal
    }

    /// The same camera with its picture moved by part of a pixel.
    pub fn shifted(&self, [dx, dy]: [f32; 2]) -> Self {
        Self { centre: [self.centre[0] + dx, self.centre[1] + dy], ..*self }
    }

    fn local(&self, p: Vec3) -> Vec3 {
        let d = sub(p, self.eye);
        [dot(d, self.right), dot(d, self.up), dot(d, self.forward)]
    }
}

/// The focal length and the centre with which all of `points` are inside a rectangle of pixels
/// (left, top, right, bottom) from each of `views`.
pub fn fit(
    views: &[Viewpoint],
    points: &[Vec3],
    [left, top, right, bottom]: [f32; 4],
) -> (f32, [f32; 2]) {
    let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
    for view in views {
        let camera = Camera::new(&Viewpoint { lens: 1.0, ..*view }, 1.0, [0.0; 2]);
        for pixel in points.iter().filter_map(|&p| camera.project(p)) {
            for k in 0..2 {
                low[k] = low[k].min(pixel[k]);
                high[k] = high[k].max(pixel[k]);
            }
        }
    }
    if low[0] >= high[0] || low[1] >= high[1] {
        return (1.0, [0.5 * (left + right), 0.5 * (top + bottom)]);
    }
    let focal = ((right - left) / (high[0] - low[0])).min((bottom - top) / (high[1] - low[1]));
    let focal = focal.max(1.0);
    let centre = [
        0.5 * (left + right) - focal * 0.5 * (low[0] + high[0]),
        0.5 * (top + bottom) - focal * 0.5 * (low[1] + high[1]),
    ];
    (focal, centre)
}

/// What the camera looks at in a box of height `relief`.
pub fn middle(relief: f32) -> Vec3 {
    [0.0, 0.0, 0.42 * relief]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rays_go_back_to_the_points_that_pixels_came_from() {
        let view = Viewpoint::around([0.1, 0.0, 0.4], -50.0, 28.0, 1.0);
        let camera = Camera::new(&view, 900.0, [640.0, 360.0]);
        for p in [[0.0, 0.0, 0.0], [1.0, -1.0, 0.3], [-0.7, 0.9, 1.0]] {
            let [x, y, depth] = camera.project(p).unwrap();
            let back = add(camera.eye, scale(camera.ray(x, y), depth));
            // f32 over distances of six.
            assert!((0..3).all(|k| (back[k] - p[k]).abs() < 1e-4), "{p:?} {back:?}");
        }
        assert_eq!(camera.project(view.eye), None);
    }

    #[test]
    fn a_fitted_box_touches_the_rectangle_and_stays_inside() {
        let corners: Vec<Vec3> = (0..8)
            .map(|k| {
                let side = |bit: usize| if k >> bit & 1 == 1 { 1.0 } else { -1.0 };
                [side(0), side(1), 0.5 * (side(2) + 1.0)]
            })
            .collect();
        let views = [20.0, 60.0, 110.0].map(|a| Viewpoint::around([0.0, 0.0, 0.4], a, 30.0, 1.0));
        let (focal, centre) = fit(&views, &corners, [100.0, 50.0, 1100.0, 650.0]);
        let (mut low, mut high) = ([f32::INFINITY; 2], [0.0f32; 2]);
        for view in &views {
            let camera = Camera::new(view, focal, centre);
            for [x, y, _] in corners.iter().filter_map(|&p| camera.project(p)) {
                low = [low[0].min(x), low[1].min(y)];
                high = [high[0].max(x), high[1].max(y)];
            }
        }
        assert!(low[0] >= 99.9 && low[1] >= 49.9 && high[0] <= 1100.1 && high[1] <= 650.1);
        let tight =
            (high[0] - low[0] - 1000.0).abs() < 0.5 || (high[1] - low[1] - 600.0).abs() < 0.5;
        assert!(tight, "{low:?} {high:?}");
    }
}
