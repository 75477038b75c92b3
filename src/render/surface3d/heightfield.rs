//! The surface as a smooth height field in a box.
//!
//! The box stands on z = 0 and reaches from `-half` to `half` in x and y. A value's height is its
//! place on the level scale: `t` runs from 0 at the least value shown to 1 at the greatest, and
//! lies between [`GAP`] and `relief` above the floor. The grid is resampled once to a lattice so
//! fine that bilinear reading of it looks like the spline itself ([`super::spline`]); each node
//! keeps its slopes, so that normals belong to the interpolant and not to triangles.

use super::spline;
use super::vec3::{Vec3, unit};
use crate::render::map::field::fill_holes;
use crate::render::page::scale::LevelScale;
use crate::render::scene::Domain;
use crate::render::scene::{ContourPanel, Grid};

/// How far above the floor the least value is, as a share of the relief.
const GAP: f32 = 0.10;
/// Heights above the cap are kept up to this, so that the edge of the cap is where the interpolant
/// crosses it.
const HEADROOM: f64 = 1.4;
/// Lattice nodes an axis that are aimed at, and the most there are.
const NODES: usize = 600;
const MAX_NODES: usize = 1200;
/// Parts that a grid cell may be cut into: numbers with many divisors, for coarser meshes.
const PARTS: [usize; 13] = [2, 4, 6, 8, 12, 16, 24, 36, 48, 60, 120, 360, 720];

/// What is special about a place on the surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Evaluated and finite.
    Plain,
    /// Not evaluated, or not finite: there is no surface.
    Hole,
    /// Interpolated between evaluated cells.
    Interpolated,
}

/// A smooth surface in its box.
#[derive(Debug, Clone)]
pub struct HeightField {
    /// Nodes along x and y.
    pub nodes: [usize; 2],
    /// Row-major `[iy][ix]`: `t` (above 1 where clipped), dz/dx, dz/dy (of the clipped surface, in
    /// box units), and the place on the scale of what colours it, NaN where that is not known.
    texels: Vec<[f32; 4]>,
    /// How many nodes a grid cell is wide and high.
    parts: [usize; 2],
    /// Half of the box's sides.
    pub half: [f32; 2],
    /// From the floor to the greatest value.
    pub relief: f32,
    /// Whether both axes of the plane have one scale.
    pub equal_scales: bool,
    marks: Marks,
}

/// What is special about the cells of a grid.
#[derive(Debug, Clone)]
pub struct Marks {
    /// `None` where all are plain.
    known: Option<Cells>,
}

/// The marks of the cells with the cell of each 4096th of a side.
#[derive(Debug, Clone)]
struct Cells {
    columns: Vec<u16>,
    rows: Vec<u16>,
    nx: usize,
    cells: Vec<Mark>,
}

impl HeightField {
    /// The surface of `panel` on `scale`, with a box whose longer side is 2 and whose height is
    /// `relief`. Without a single finite value it is a flat sheet of holes.
    pub fn new(panel: &ContourPanel, scale: &LevelScale, relief: f32) -> Self {
        Self::with_nodes(panel, scale, relief, NODES)
    }

    /// The same on a lattice of at least about `nodes` (2 to 600) an axis: a small picture needs no
    /// more, and what fits into the cache is read faster.
    pub fn with_nodes(panel: &ContourPanel, scale: &LevelScale, relief: f32, nodes: usize) -> Self {
        let nodes = nodes.clamp(2, NODES);
        let grid = &panel.grid;
        let domain = Domain::of(panel);
        let (width, height) = (domain.x[1] - domain.x[0], domain.y[1] - domain.y[0]);
        let aspect = ((width / height) as f32).clamp(1e-6, 1e6);
        let shown = aspect.clamp(0.5, 2.0);
        let half = if shown >= 1.0 { [1.0, 1.0 / shown] } else { [shown, 1.0] };
        let ((nx, px), (ny, py)) = (lattice(grid.xs.len(), nodes), lattice(grid.ys.len(), nodes));
        let t = resample(grid, domain, scale, [nx, ny]);
        let mut field = Self {
            nodes: [nx, ny],
            texels: t.into_iter().map(|t| [t, 0.0, 0.0, 0.0]).collect(),
            parts: [px, py],
            half,
            relief,
            equal_scales: (aspect - shown).abs() < 1e-3,
            marks: Marks::of(grid, domain),
        };
        field.set_slopes();
        field
    }

    /// The same surface in a box of another height.
    pub fn stretched(mut self, relief: f32) -> Self {
        let k = relief / self.relief;
        for texel in &mut self.texels {
            (texel[1], texel[2]) = (k * texel[1], k * texel[2]);
        }
        self.relief = relief;
        self
    }

    /// The same surface coloured by `grid`, whose values `place` brings to 0..1: linear between its points and as
    /// at its border beyond them, over the ground of `panel`.
    pub fn draped(mut self, panel: &ContourPanel, grid: &Grid, place: impl Fn(f64) -> f64) -> Self {
        let domain = Domain::of(panel);
        let places: Vec<f32> = grid
            .values
            .iter()
            .map(|&v| if v.is_nan() { f32::NAN } else { place(v) as f32 })
            .collect();
        // For each node the point before it and how far it is to the next one.
        let between = |points: &[f64], [low, high]: [f64; 2], nodes: usize| -> Vec<(usize, f32)> {
            let at = |i: usize| low + (high - low) * i as f64 / (nodes - 1) as f64;
            let find = |w: f64| {
                let next = points.partition_point(|p| *p <= w).clamp(1, points.len().max(2) - 1);
                let (Some(a), Some(b)) = (points.get(next - 1), points.get(next)) else {
                    return (0, 0.0);
                };
                (next - 1, ((w - a) / (b - a)).clamp(0.0, 1.0) as f32)
            };
            (0..nodes).map(|i| find(at(i))).collect()
        };
        let [nx, ny] = self.nodes;
        let columns = grid.xs.len();
        let (across, up) = (between(&grid.xs, domain.x, nx), between(&grid.ys, domain.y, ny));
        for (iy, &(row, fy)) in up.iter().enumerate() {
            for (ix, &(column, fx)) in across.iter().enumerate() {
                let value = |dx: usize, dy: usize| {
                    let x = (column + dx).min(columns - 1);
                    let y = (row + dy).min(grid.ys.len() - 1);
                    places[y * columns + x]
                };
                // A point that is not known takes away its own surroundings, and no more.
                let mix = |a: f32, b: f32, t: f32| match t {
                    0.0 => a,
                    1.0 => b,
                    t => a + t * (b - a),
                };
                let (low, high) =
                    (mix(value(0, 0), value(1, 0), fx), mix(value(0, 1), value(1, 1), fx));
                self.texels[iy * nx + ix][3] = mix(low, high, fy);
            }
        }
        self
    }

    /// The places on the scale of all nodes, row by row.
    pub fn places(&self) -> Vec<f32> {
        self.texels.iter().map(|p| p[0]).collect()
    }

    /// The surface in the same box `share` of the way from `a` to `b`, places as
    /// [`HeightField::places`] gives them; a hole where one of the two has one.
    pub fn between(&self, [a, b]: [(&[f32], &Marks); 2], share: f32) -> Self {
        let places = a.0.iter().zip(b.0).map(|(a, b)| a + share * (b - a));
        let mut field = Self {
            texels: places.map(|t| [t, 0.0, 0.0, 0.0]).collect(),
            marks: if share > 0.0 { a.1.or(b.1) } else { a.1.clone() },
            ..*self
        };
        field.set_slopes();
        field
    }

    /// What is special about which cell.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    fn set_slopes(&mut self) {
        let [nx, ny] = self.nodes;
        let rise = self.relief * (1.0 - GAP);
        let z: Vec<f32> = self.texels.iter().map(|p| rise * p[0].min(1.0)).collect();
        let step = [0, 1].map(|k| 2.0 * self.half[k] / (self.nodes[k] - 1) as f32);
        for iy in 0..ny {
            let (y0, y1) = (iy.saturating_sub(1), (iy + 1).min(ny - 1));
            for ix in 0..nx {
                let (x0, x1) = (ix.saturating_sub(1), (ix + 1).min(nx - 1));
                let p = &mut self.texels[iy * nx + ix];
                p[1] = (z[iy * nx + x1] - z[iy * nx + x0]) / ((x1 - x0) as f32 * step[0]);
                p[2] = (z[y1 * nx + ix] - z[y0 * nx + ix]) / ((y1 - y0) as f32 * step[1]);
            }
        }
    }

    /// `t`, dz/dx, dz/dy, and the place of what colours it at `(u, v)` in `0..=1` (clamped).
    #[inline]
    pub fn at(&self, u: f32, v: f32) -> [f32; 4] {
        let [nx, ny] = self.nodes;
        // By i32: casts from and to usize take several instructions more.
        let (nx_1, ny_1) = (nx as i32 - 1, ny as i32 - 1);
        let x = (u * nx_1 as f32).clamp(0.0, nx_1 as f32);
        let y = (v * ny_1 as f32).clamp(0.0, ny_1 as f32);
        let (ix, iy) = ((x as i32).min(nx_1 - 1), (y as i32).min(ny_1 - 1));
        let (fx, fy) = (x - ix as f32, y - iy as f32);
        let k = iy as usize * nx + ix as usize;
        let (a, b) = (&self.texels[k..k + 2], &self.texels[k + nx..k + nx + 2]);
        // Loops over fixed arrays, here and in shading: closures are not always inlined.
        let mut mixed = [0.0; 4];
        for c in 0..4 {
            let lower = a[0][c] + fx * (a[1][c] - a[0][c]);
            let upper = b[0][c] + fx * (b[1][c] - b[0][c]);
            mixed[c] = lower + fy * (upper - lower);
        }
        mixed
    }

    /// The node `(ix, iy)` as `(u, v)` and its `t`.
    pub fn node(&self, ix: usize, iy: usize) -> ([f32; 2], f32) {
        let [nx, ny] = self.nodes;
        let (u, v) = (ix as f32 / (nx - 1) as f32, iy as f32 / (ny - 1) as f32);
        ([u, v], self.texels[iy * nx + ix][0])
    }

    /// Every how many nodes a mesh has a corner if its quads are to be about `size` wide (box
    /// units): a divisor of a cell's parts, so that every sample is a corner.
    pub fn stride(&self, size: f32) -> [usize; 2] {
        [0, 1].map(|k| {
            let node = 2.0 * self.half[k] / (self.nodes[k] - 1) as f32;
            let divides = |n: &usize| self.parts[k].is_multiple_of(*n);
            (1..=self.parts[k])
                .filter(divides)
                .take_while(|n| *n as f32 * node <= size)
                .last()
                .unwrap_or(1)
        })
    }

    /// Height above the floor of the place `t` on the scale, cut off at the cap.
    pub fn height(&self, t: f32) -> f32 {
        self.relief * (GAP + (1.0 - GAP) * t.min(1.0))
    }

    /// The point above `(u, v)` at height `z`.
    pub fn point(&self, u: f32, v: f32, z: f32) -> Vec3 {
        [self.half[0] * (2.0 * u - 1.0), self.half[1] * (2.0 * v - 1.0), z]
    }

    /// The point of the surface at `(u, v)`.
    pub fn surface(&self, u: f32, v: f32) -> Vec3 {
        self.point(u, v, self.height(self.at(u, v)[0]))
    }

    /// The upward unit normal at `(u, v)`.
    pub fn normal(&self, u: f32, v: f32) -> Vec3 {
        let [_, dx, dy, _] = self.at(u, v);
        unit([-dx, -dy, 1.0])
    }

    /// `(u, v)` of the lowest point.
    pub fn lowest(&self) -> [f32; 2] {
        let low = self.texels.iter().enumerate().min_by(|a, b| a.1[0].total_cmp(&b.1[0]));
        let k = low.map_or(0, |(k, _)| k);
        self.node(k % self.nodes[0], k / self.nodes[0]).0
    }

    /// What is special about `(u, v)`.
    pub fn mark(&self, u: f32, v: f32) -> Mark {
        self.marks.known.as_ref().map_or(Mark::Plain, |m| {
            let part = |w: f32, cells: &[u16]| {
                usize::from(cells[((w * cells.len() as f32) as usize).min(cells.len() - 1)])
            };
            m.cells[part(v, &m.rows) * m.nx + part(u, &m.columns)]
        })
    }

    /// Whether some place is not plain.
    pub fn has_marks(&self) -> bool {
        self.marks.known.is_some()
    }
}

/// Nodes for `samples` of a grid, about `aim` of them or more, and how many a cell gets. Every sample is a node wherever there
/// are not too many.
fn lattice(samples: usize, aim: usize) -> (usize, usize) {
    let cells = samples.saturating_sub(1).max(1);
    let fits = |parts: &usize| cells * parts < MAX_NODES;
    let wanted = PARTS.into_iter().find(|parts| cells * parts >= aim).filter(fits);
    match wanted.or_else(|| PARTS.into_iter().rev().find(fits)) {
        Some(parts) => (cells * parts + 1, parts),
        None => ((cells + 1).min(MAX_NODES), 1),
    }
}

/// `t` on the lattice, along x first.
fn resample(grid: &Grid, domain: Domain, scale: &LevelScale, [nx, ny]: [usize; 2]) -> Vec<f32> {
    let (low, high) = (scale.position(scale.low), scale.position(scale.high));
    let span = high - low;
    // On the scale without its upper end, up to the headroom.
    let place = |value: f64| {
        // What is not finite is a hole, and bends nothing around it.
        if !value.is_finite() {
            return f64::NAN;
        }
        let inside = scale.position(value);
        let beyond = value > scale.high;
        let t = match (span > 0.0, beyond) {
            (false, _) => 0.5,
            (true, false) => (inside - low) / span,
            (true, true) => {
                let open = LevelScale { high: f64::MAX, ..scale.clone() };
                (open.position(value) - low) / span
            }
        };
        t.clamp(0.0, HEADROOM)
    };
    let t: Vec<f64> = grid.values.iter().map(|&v| place(v)).collect();
    let columns = grid.xs.len();
    let Some(t) = fill_holes(t, columns, grid.ys.len()) else {
        return vec![0.5; nx * ny];
    };
    let even = |[a, b]: [f64; 2], n: usize| -> Vec<f64> {
        (0..n).map(|i| a + (b - a) * i as f64 / (n - 1) as f64).collect()
    };
    let (xs, ys) = (even(domain.x, nx), even(domain.y, ny));
    let rows = grid.ys.len();
    // (nx, grid rows): by column, for the second pass.
    let mut by_column = vec![0.0; nx * rows];
    for (iy, row) in t.chunks_exact(columns).enumerate() {
        spline::sample(&grid.xs, row, &xs, |ix, value| by_column[ix * rows + iy] = value);
    }
    let mut fine = vec![0.0; nx * ny];
    for (ix, column) in by_column.chunks_exact(rows).enumerate() {
        // The spline may swing a little below the least sample: nothing is drawn below the scale.
        spline::sample(&grid.ys, column, &ys, |iy, value| {
            fine[iy * nx + ix] = value.max(0.0) as f32;
        });
    }
    fine
}

impl Marks {
    fn of(grid: &Grid, domain: Domain) -> Self {
        let mark = |i: usize| match &grid.interpolated {
            _ if !grid.values[i].is_finite() => Mark::Hole,
            Some(mask) if mask[i] => Mark::Interpolated,
            _ => Mark::Plain,
        };
        let cells: Vec<Mark> = (0..grid.values.len()).map(mark).collect();
        if cells.iter().all(|m| *m == Mark::Plain) {
            return Self { known: None };
        }
        // The cell around a sample reaches half-way to its neighbours.
        let nearest = |samples: &[f64], [a, b]: [f64; 2]| -> Vec<u16> {
            const PARTS: usize = 4096;
            (0..PARTS)
                .map(|i| {
                    let x = a + (b - a) * (i as f64 + 0.5) / PARTS as f64;
                    samples.windows(2).take_while(|w| 0.5 * (w[0] + w[1]) < x).count() as u16
                })
                .collect()
        };
        let (columns, rows) = (nearest(&grid.xs, domain.x), nearest(&grid.ys, domain.y));
        Self { known: Some(Cells { columns, rows, nx: grid.xs.len(), cells }) }
    }

    /// A hole where either has one, interpolated where either is; of one grid.
    fn or(&self, other: &Self) -> Self {
        let (Some(a), Some(b)) = (&self.known, &other.known) else {
            return if self.known.is_some() { self } else { other }.clone();
        };
        let worse = |(a, b): (&Mark, &Mark)| match (a, b) {
            (Mark::Hole, _) | (_, Mark::Hole) => Mark::Hole,
            (Mark::Interpolated, _) | (_, Mark::Interpolated) => Mark::Interpolated,
            _ => Mark::Plain,
        };
        let cells = a.cells.iter().zip(&b.cells).map(worse).collect();
        Self { known: Some(Cells { cells, ..a.clone() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(n: usize, f: impl Fn(f64, f64) -> f64) -> ContourPanel {
        let xs: Vec<f64> = (0..n).map(|i| 2.0 * i as f64 / (n - 1) as f64 - 1.0).collect();
        let values = xs.iter().flat_map(|&y| xs.iter().map(move |&x| (x, y))).map(|(x, y)| f(x, y));
        let grid = Grid { values: values.collect(), ys: xs.clone(), xs, interpolated: None };
        ContourPanel { grid, ..Default::default() }
    }

    fn field(panel: &ContourPanel) -> HeightField {
        let scale = LevelScale::new(panel.grid.values.iter().copied());
        HeightField::new(panel, &scale, 1.0)
    }

    #[test]
    fn a_stretched_surface_is_the_one_made_so_high() {
        let panel = crate::render::tests::golden::panel(21, 15, 3);
        let scale = LevelScale::new(panel.grid.values.iter().copied());
        let (low, high) =
            (HeightField::new(&panel, &scale, 1.0), HeightField::new(&panel, &scale, 1.7));
        let stretched = low.stretched(1.7);
        for (u, v) in [(0.1, 0.2), (0.5, 0.5), (0.93, 0.4)] {
            let (a, b) = (stretched.at(u, v), high.at(u, v));
            // Rounding of one multiplication more.
            assert!(
                (0..3).all(|k| (a[k] - b[k]).abs() <= 1e-5 * b[k].abs().max(1.0)),
                "{a:?} {b:?}"
            );
            assert!((stretched.surface(u, v)[2] - high.surface(u, v)[2]).abs() < 1e-5);
        }
    }

    #[test]
    fn normals_are_those_of_the_function() {
        // On a linear scale (it has negative values) from -1 to 1: t = (1 + x y) / 2.
        let f = field(&panel(21, |x, y| x * y));
        for (u, v) in [(0.3f32, 0.6f32), (0.52, 0.51), (0.8, 0.2)] {
            let (x, y) = (2.0 * u - 1.0, 2.0 * v - 1.0);
            let rise = 0.5 * (1.0 - GAP);
            let want = unit([-rise * y, -rise * x, 1.0]);
            let got = f.normal(u, v);
            assert!((f.at(u, v)[0] - 0.5 * (1.0 + x * y)).abs() < 1e-4);
            for k in 0..3 {
                // Central differences on a lattice of 640 nodes, in f32.
                assert!((got[k] - want[k]).abs() < 2e-3, "{got:?} {want:?}");
            }
        }
    }

    #[test]
    fn clipped_tops_are_flat_and_their_edge_is_known() {
        let mut p = panel(41, |x, y| (0.2 + x * x + y * y) * 0.1);
        p.grid.values[20 * 41 + 20] = 1e30;
        let f = field(&p);
        let [t, dx, dy, _] = f.at(0.5, 0.5);
        assert!(t > 1.0 && dx == 0.0 && dy == 0.0, "{t} {dx} {dy}");
        assert_eq!(f.surface(0.5, 0.5)[2], 1.0);
    }

    #[test]
    fn holes_and_interpolated_cells_reach_half_way_to_their_neighbours() {
        let mut p = panel(5, |x, _| 2.0 + x);
        p.grid.values[12] = f64::NAN;
        p.grid.interpolated = Some((0..25).map(|i| i == 0).collect());
        let f = field(&p);
        assert_eq!(f.mark(0.5, 0.5), Mark::Hole);
        assert_eq!(f.mark(0.61, 0.39), Mark::Hole);
        assert_eq!(f.mark(0.63, 0.5), Mark::Plain);
        assert_eq!(f.mark(0.0, 0.12), Mark::Interpolated);
    }

    #[test]
    fn strange_grids_are_flat_sheets() {
        let one = |value: f64| ContourPanel {
            grid: Grid { xs: vec![0.0], ys: vec![0.0], values: vec![value], interpolated: None },
            ..Default::default()
        };
        for value in [f64::NAN, f64::INFINITY, 0.0, 1.0, -3.0] {
            let f = field(&one(value));
            let heights: Vec<f32> = f.texels.iter().map(|p| f.height(p[0])).collect();
            assert!(heights.iter().all(|z| z.is_finite() && *z == heights[0]), "{value}");
        }
    }
}
