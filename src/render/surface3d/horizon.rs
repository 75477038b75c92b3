//! How much sky and how much light each place of the surface sees.
//!
//! For every node of a coarse lattice and every compass direction the elevation of the horizon is
//! found once by walking over the height field in growing steps (horizon mapping: Max 1988). The
//! share of the sky above the horizon is the ambient occlusion that makes valleys dark; a light of
//! any azimuth compared with the horizon below it gives a soft shadow, so the light may stand still
//! relative to a camera that goes round, at the cost of one look-up a node and frame.

use std::f32::consts::{PI, TAU};

use rayon::prelude::*;

use super::heightfield::HeightField;

/// Compass directions.
const DIRECTIONS: usize = 24;
/// Nodes a side.
const SIDE: usize = 240;
/// The code of a right angle.
const CODE: f32 = 65_535.0;
/// Half of the light's angular width: the penumbra, in radians.
const PENUMBRA: f32 = 0.16;

/// The horizon around every node.
#[derive(Debug, Clone)]
pub struct Horizon {
    /// Elevation of the horizon, by direction, then node (row-major), in [`CODE`]ths of a right
    /// angle: a film keeps the horizons of many surfaces.
    elevations: Vec<Vec<u16>>,
    /// The share of the sky that each node sees.
    sky: Vec<f32>,
}

/// Sky and light on the lattice for one direction of the light.
#[derive(Debug, Clone)]
pub struct LightMap {
    /// Row-major: the share of the sky seen, the share of the light seen.
    texels: Vec<[f32; 2]>,
}

impl Horizon {
    /// Walks over `field` from every node.
    pub fn new(field: &HeightField) -> Self {
        let at = |i: usize| i as f32 / (SIDE - 1) as f32;
        let heights: Vec<f32> =
            (0..SIDE * SIDE).map(|k| field.surface(at(k % SIDE), at(k / SIDE))[2]).collect();
        let elevations: Vec<Vec<f32>> = (0..DIRECTIONS)
            .into_par_iter()
            .map(|d| {
                let (sin, cos) = (d as f32 / DIRECTIONS as f32 * TAU).sin_cos();
                // One unit of the box in nodes.
                let per_unit = field.half.map(|h| (SIDE - 1) as f32 / (2.0 * h));
                let (dx, dy) = (cos * per_unit[0], sin * per_unit[1]);
                (0..SIDE * SIDE)
                    .map(|k| horizon(&heights, [k % SIDE, k / SIDE], [dx, dy], per_unit[0]))
                    .collect()
            })
            .collect();
        let sky = (0..SIDE * SIDE)
            .map(|k| {
                // Of a horizontal plate: the cosine-weighted sky above the horizon.
                let seen = elevations.iter().map(|e| e[k].cos().powi(2));
                seen.sum::<f32>() / DIRECTIONS as f32
            })
            .collect();
        let code = |e: f32| (e / (0.5 * PI) * CODE + 0.5) as u16;
        let elevations =
            elevations.into_iter().map(|e| e.into_iter().map(code).collect()).collect();
        Self { elevations, sky }
    }

    /// Sky and light under a light at `azimuth` and `elevation` (radians).
    pub fn light(&self, azimuth: f32, elevation: f32) -> LightMap {
        let texels = self.seen(azimuth, elevation).collect();
        LightMap { texels }
    }

    /// The same on a surface `share` of the way from this one to `other`: between the two, which is
    /// near enough for what a surface does on its way.
    pub fn light_towards(
        &self,
        other: &Horizon,
        share: f32,
        azimuth: f32,
        elevation: f32,
    ) -> LightMap {
        let pairs = self.seen(azimuth, elevation).zip(other.seen(azimuth, elevation));
        let mix = |(a, b): ([f32; 2], [f32; 2])| [0, 1].map(|k| a[k] + share * (b[k] - a[k]));
        LightMap { texels: pairs.map(mix).collect() }
    }

    fn seen(&self, azimuth: f32, elevation: f32) -> impl Iterator<Item = [f32; 2]> {
        let turn = (azimuth / TAU).rem_euclid(1.0) * DIRECTIONS as f32;
        let (first, k) = (turn as usize % DIRECTIONS, turn.fract());
        let (a, b) = (&self.elevations[first], &self.elevations[(first + 1) % DIRECTIONS]);
        self.sky.iter().zip(a.iter().zip(b)).map(move |(&sky, (&a, &b))| {
            let [a, b] = [a, b].map(|e| f32::from(e) * (0.5 * PI / CODE));
            let horizon = a + k * (b - a);
            let x = ((elevation - horizon) / (2.0 * PENUMBRA) + 0.5).clamp(0.0, 1.0);
            [sky, x * x * (3.0 - 2.0 * x)]
        })
    }
}

/// The elevation of the horizon seen from a node in the direction of `step` (nodes a box unit).
fn horizon(heights: &[f32], [ix, iy]: [usize; 2], step: [f32; 2], per_unit: f32) -> f32 {
    let here = heights[iy * SIDE + ix];
    let (x, y) = (ix as f32, iy as f32);
    let last = (SIDE - 1) as f32;
    // How far the border is: the last step ends there, so that no height along it is missed.
    let room = |at: f32, step: f32| match step {
        s if s > 1e-6 => (last - at) / s,
        s if s < -1e-6 => -at / s,
        _ => f32::INFINITY,
    };
    let end = room(x, step[0]).min(room(y, step[1]));
    let mut distance = 1.2 / per_unit;
    let mut steepest = 0.0f32;
    if end < distance {
        return 0.0;
    }
    loop {
        let (px, py) = (x + step[0] * distance, y + step[1] * distance);
        let (px, py) = (px.clamp(0.0, last), py.clamp(0.0, last));
        let (kx, ky) = ((px as i32).min(SIDE as i32 - 2), (py as i32).min(SIDE as i32 - 2));
        let (fx, fy) = (px - kx as f32, py - ky as f32);
        let k = ky as usize * SIDE + kx as usize;
        let lower = heights[k] + fx * (heights[k + 1] - heights[k]);
        let upper = heights[k + SIDE] + fx * (heights[k + SIDE + 1] - heights[k + SIDE]);
        let there = lower + fy * (upper - lower);
        steepest = steepest.max((there - here) / distance);
        if distance >= end {
            return steepest.atan().min(0.5 * PI);
        }
        distance = (1.16 * distance).min(end);
    }
}

impl LightMap {
    /// Sky and light at `(u, v)`.
    #[inline]
    pub fn at(&self, u: f32, v: f32) -> [f32; 2] {
        let scale = (SIDE - 1) as f32;
        let (x, y) = ((u * scale).clamp(0.0, scale), (v * scale).clamp(0.0, scale));
        let (ix, iy) = ((x as i32).min(SIDE as i32 - 2), (y as i32).min(SIDE as i32 - 2));
        let (fx, fy) = (x - ix as f32, y - iy as f32);
        let k = iy as usize * SIDE + ix as usize;
        let (a, b) = (&self.texels[k..k + 2], &self.texels[k + SIDE..k + SIDE + 2]);
        let mut mixed = [0.0; 2];
        for c in 0..2 {
            let lower = a[0][c] + fx * (a[1][c] - a[0][c]);
            let upper = b[0][c] + fx * (b[1][c] - b[0][c]);
            mixed[c] = lower + fy * (upper - lower);
        }
        mixed
    }

    /// Darkens the ground below something of `radius` (box units) that lies at `(u, v)`: contact
    /// is what makes it lie and not float. `half` are the half sides of the box.
    pub fn touch(&mut self, [u, v]: [f32; 2], radius: f32, strength: f32, half: [f32; 2]) {
        let scale = (SIDE - 1) as f32;
        let reach = [0, 1].map(|k| radius / (2.0 * half[k]) * scale);
        let (x, y) = (u * scale, v * scale);
        let range = |c: f32, r: f32| {
            ((c - r).ceil().max(0.0) as usize)..=((c + r).floor().clamp(0.0, scale) as usize)
        };
        for iy in range(y, reach[1]) {
            for ix in range(x, reach[0]) {
                let (dx, dy) = ((ix as f32 - x) / reach[0], (iy as f32 - y) / reach[1]);
                let near = (1.0 - dx * dx - dy * dy).max(0.0);
                let k = 1.0 - strength * near;
                let texel = &mut self.texels[iy * SIDE + ix];
                // The darkest of all that touch, so that a line is even along its length.
                texel[1] = texel[1].min(k);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::page::scale::LevelScale;
    use crate::render::scene::{ContourPanel, Grid};

    fn horizon_of(f: impl Fn(f64, f64) -> f64) -> Horizon {
        let xs: Vec<f64> = (0..41).map(|i| f64::from(i) / 20.0 - 1.0).collect();
        let values = xs.iter().flat_map(|&y| xs.iter().map(move |&x| (x, y))).map(|(x, y)| f(x, y));
        let grid = Grid { values: values.collect(), ys: xs.clone(), xs, interpolated: None };
        let scale = LevelScale::new(grid.values.iter().copied());
        let panel = ContourPanel { grid, ..Default::default() };
        Horizon::new(&HeightField::new(&panel, &scale, 1.0))
    }

    #[test]
    fn a_plain_sees_all_and_a_pit_sees_little_of_the_sky() {
        let flat = horizon_of(|_, _| -1.0).light(0.3, 0.8);
        assert_eq!(flat.at(0.4, 0.6), [1.0, 1.0]);
        let pit = horizon_of(|x, y| -(-(x * x + y * y) / 0.02).exp()).light(0.3, 0.8);
        let (bottom, rim) = (pit.at(0.5, 0.5), pit.at(0.1, 0.1));
        assert!(bottom[0] < 0.3 && rim[0] > 0.9, "{bottom:?} {rim:?}");
    }

    #[test]
    fn a_ridge_shadows_the_side_that_is_turned_away() {
        // A ridge along y; the light comes from +x, low.
        let ridge = horizon_of(|x, _| (-(x * x) / 0.01).exp() - 0.1).light(0.0, 0.6);
        let (away, towards) = (ridge.at(0.35, 0.5), ridge.at(0.65, 0.5));
        assert!(away[1] < 0.1 && towards[1] > 0.9, "{away:?} {towards:?}");
    }
}
