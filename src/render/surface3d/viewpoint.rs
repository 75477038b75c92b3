//! From which side a surface is best seen.

use super::camera::Viewpoint;
use super::heightfield::HeightField;
use super::vec3::{Vec3, add, scale, sub, unit};

/// Sides in the order of preference, in degrees: x to the right and y into the picture first.
const SIDES: [f64; 12] =
    [-112.0, -68.0, -135.0, -45.0, 68.0, 112.0, -158.0, -22.0, 45.0, 135.0, 22.0, 158.0];
/// Elevations in the order of preference: from higher up a surface looks more and more like its map.
const ELEVATIONS: [f64; 5] = [27.0, 34.0, 42.0, 50.0, 58.0];

/// What is to be seen on a surface.
pub struct Stand<'a> {
    /// The surface.
    pub field: &'a HeightField,
    /// Some places `(u, v)` along the path; without any, the surface itself is to be seen.
    pub path: Vec<[f32; 2]>,
    /// Some places along its newest third, the point last.
    pub newest: Vec<[f32; 2]>,
}

/// The azimuth and the elevation (degrees) from which most can be seen of what matters: the path's end
/// above all, then its newest third, then the rest of it; without a path, most of the surfaces. An
/// earlier choice is kept unless a later one shows a good deal more. What is given is kept.
pub fn best(stands: &[Stand], azimuth: Option<f64>, elevation: Option<f64>) -> (f64, f64) {
    let sides = azimuth.map_or(SIDES.to_vec(), |a| vec![a]);
    let elevations = elevation.map_or(ELEVATIONS.to_vec(), |e| vec![e]);
    if sides.len() * elevations.len() == 1 {
        return (sides[0], elevations[0]);
    }
    let points: Vec<(&HeightField, Vec<(Vec3, f32)>)> =
        stands.iter().map(|stand| (stand.field, points(stand))).collect();
    let mut best = (f32::NEG_INFINITY, (sides[0], elevations[0]));
    for &e in &elevations {
        for &a in &sides {
            let view = Viewpoint::around([0.0, 0.0, 0.4], a as f32, e as f32, 1.0);
            let (mut seen, mut all) = (0.0, 0.0);
            for (field, points) in &points {
                for &(p, weight) in points {
                    all += weight;
                    seen += if visible(field, p, view.eye) { weight } else { 0.0 };
                }
            }
            // From higher up a surface is flatter, and smaller in a wide window.
            let share = seen / f32::max(all, 1.0) - 0.006 * (e as f32 - 27.0).max(0.0);
            if share > best.0 + 0.04 {
                best = (share, (a, e));
            }
        }
    }
    best.1
}

/// What should be seen, and how much it matters.
fn points(stand: &Stand) -> Vec<(Vec3, f32)> {
    const SIDE: usize = 24;
    let field = stand.field;
    let lift = |&[u, v]: &[f32; 2]| add(field.surface(u, v), [0.0, 0.0, 0.03]);
    if let Some(end) = stand.newest.last().or(stand.path.last()) {
        let part = |places: &[[f32; 2]], weight: f32| -> Vec<(Vec3, f32)> {
            let each = weight / places.len().max(1) as f32;
            places.iter().map(|p| (lift(p), each)).collect()
        };
        return [part(&stand.path, 15.0), part(&stand.newest, 35.0), part(&[*end], 50.0)].concat();
    }
    let at = |i: usize| (i as f32 + 0.5) / SIDE as f32;
    let each = 100.0 / (SIDE * SIDE) as f32;
    (0..SIDE * SIDE).map(|k| (lift(&[at(k % SIDE), at(k / SIDE)]), each)).collect()
}

/// Whether nothing of the surface lies between `p` and `eye`.
pub fn visible(field: &HeightField, p: Vec3, eye: Vec3) -> bool {
    let step = scale(unit(sub(eye, p)), 0.025);
    let mut at = p;
    loop {
        at = add(at, step);
        let (u, v) = (0.5 * (at[0] / field.half[0] + 1.0), 0.5 * (at[1] / field.half[1] + 1.0));
        if !(0.0..=1.0).contains(&u) || !(0.0..=1.0).contains(&v) || at[2] > field.relief {
            return true;
        }
        if field.surface(u, v)[2] > at[2] {
            return false;
        }
    }
}

/// Whether the sheet passes between `p`, a place on or beside the box's floor, and `eye`: whether the
/// ray comes up through it. What is seen under the sheet's edge is not covered.
pub fn covered(field: &HeightField, p: Vec3, eye: Vec3) -> bool {
    const STEP: f32 = 0.02;
    let way = sub(eye, p);
    let length = (way[0] * way[0] + way[1] * way[1] + way[2] * way[2]).sqrt();
    let step = scale(unit(way), STEP);
    let mut at = p;
    let mut below = false;
    for _ in 0..(length / STEP) as usize {
        let (u, v) = (0.5 * (at[0] / field.half[0] + 1.0), 0.5 * (at[1] / field.half[1] + 1.0));
        if at[2] > field.relief {
            return below;
        }
        if (0.0..=1.0).contains(&u) && (0.0..=1.0).contains(&v) {
            let above = at[2] > field.surface(u, v)[2];
            if above && below {
                return true;
            }
            below = !above;
        } else {
            below = false;
        }
        at = add(at, step);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::trail::Trail;
    use super::*;
    use crate::render::page::scale::LevelScale;
    use crate::render::scene::{ContourPanel, Grid, PathPoint};

    #[test]
    fn the_sheet_covers_the_floor_below_it_and_not_what_is_seen_under_its_edge() {
        let xs: Vec<f64> = (0..21).map(|i| f64::from(i) / 10.0 - 1.0).collect();
        let values = xs.iter().flat_map(|_| xs.iter().map(|x| 2.0 + x)).collect();
        let grid = Grid { xs: xs.clone(), ys: xs, values, interpolated: None };
        let panel = ContourPanel { grid, ..Default::default() };
        let scale = LevelScale::new(panel.grid.values.iter().copied());
        let field = HeightField::new(&panel, &scale, 1.0);
        let above = [0.3, -0.2, 6.0];
        assert!(covered(&field, [0.2, 0.1, 0.0], above), "the middle of the floor");
        assert!(covered(&field, [1.0, 0.0, 0.0], above), "an edge, looked at from inside");
        assert!(covered(&field, [1.02, 0.0, 0.0], above), "a tick beside it");
        let beside = [5.0, -0.2, 2.5];
        assert!(!covered(&field, [1.0, 0.0, 0.0], beside), "the near edge");
        assert!(!covered(&field, [0.9, 0.0, 0.0], beside), "under the sheet's edge");
        assert!(!covered(&field, [-1.3, 0.0, 0.0], [-4.0, 0.0, 1.5]), "outside");
    }

    #[test]
    fn a_path_behind_a_ridge_is_looked_at_from_behind() {
        let xs: Vec<f64> = (0..41).map(|i| f64::from(i) / 20.0 - 1.0).collect();
        let ridge = |y: f64| 0.05 + (-((y - 0.2) / 0.1).powi(2)).exp();
        let values = xs.iter().flat_map(|&y| xs.iter().map(move |_| ridge(y))).collect();
        let path = [-0.5, 0.5].map(|x| PathPoint {
            step: 0,
            epoch: x,
            time: x,
            x,
            y: 0.5,
            true_loss: 0.1,
            plane_loss: None,
            lr: 0.1,
        });
        let grid = Grid { xs: xs.clone(), ys: xs, values, interpolated: None };
        let panel = ContourPanel { grid, path: path.to_vec(), ..Default::default() };
        let scale = LevelScale::new(panel.grid.values.iter().copied());
        let field = HeightField::new(&panel, &scale, 1.0);
        let trail = Trail::new(&panel, &field, &scale);
        let seen = [trail.stand(&field, f64::INFINITY)];
        let (azimuth, _) = best(&seen, None, Some(27.0));
        assert!(azimuth > 0.0, "{azimuth}");
        assert_eq!(best(&seen, Some(-90.0), Some(30.0)), (-90.0, 30.0));
    }
}
