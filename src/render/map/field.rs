//! A grid of values as a smooth field over a frame of pixels.
//!
//! Values are taken to the level scale's units (`log10` for positive data), holes are filled from
//! their neighbours so that contours have something to run through (they are hatched over
//! afterwards), and the grid is resampled by the tensor product of monotone cubics
//! ([`crate::render::map::pchip`]): no overshoot, so no well is drawn that was not measured.

use crate::error::{Error, Result};
use crate::render::canvas::Rect;
use crate::render::map::pchip::Pchip;
use crate::render::page::scale::LevelScale;
use crate::render::scene::{Domain, Grid};

/// Samples on an even lattice that spans a frame, rows from the bottom up.
#[derive(Debug, Clone)]
pub struct Field {
    /// Columns.
    pub nx: usize,
    /// Rows.
    pub ny: usize,
    /// `ny * nx` values in scale units.
    pub z: Vec<f64>,
}

/// Which samples need a mark, by the cell around each.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// Cells of NaN.
    pub holes: Vec<Rect>,
    /// Cells of +inf or -inf.
    pub overflow: Vec<Rect>,
    /// Cells whose value was interpolated.
    pub interpolated: Vec<Rect>,
}

impl Grid {
    /// Errors: [`Error::Render`] on sizes that do not fit together and on coordinates that are not
    /// finite and strictly increasing.
    pub fn check(&self) -> Result<()> {
        let (nx, ny) = (self.xs.len(), self.ys.len());
        let increasing = |v: &[f64]| {
            !v.is_empty() && v.iter().all(|c| c.is_finite()) && v.windows(2).all(|w| w[0] < w[1])
        };
        let masked = self.interpolated.as_ref().is_none_or(|mask| mask.len() == nx * ny);
        if increasing(&self.xs) && increasing(&self.ys) && self.values.len() == nx * ny && masked {
            return Ok(());
        }
        Err(Error::Render {
            what: format!(
                "a grid of {nx} x {ny} coordinates and {} values cannot be drawn",
                self.values.len()
            ),
            remedy: "coordinates must be finite and strictly increasing, with one value (and one \
                     mask entry, if there is a mask) for each pair of them"
                .into(),
        })
    }
}

impl Field {
    /// The field of `grid` on a lattice of about one sample every `spacing` pixels of `frame`;
    /// `None` when no value is finite. Where a value is not finite the field goes on as its neighbours
    /// do: an infinite one would bend every line around it.
    pub fn resample(
        grid: &Grid,
        domain: Domain,
        scale: &LevelScale,
        frame: Rect,
        spacing: f32,
    ) -> Option<Self> {
        let place = |v: &f64| if v.is_finite() { scale.beyond(*v) } else { f64::NAN };
        Self::of(grid.values.iter().map(place).collect(), grid, domain, frame, spacing)
    }

    /// The field of the standard `errors` of the values of `grid`, in their units, on the lattice that
    /// [`Field::resample`] makes.
    pub fn of_errors(
        errors: &[f64],
        grid: &Grid,
        domain: Domain,
        frame: Rect,
        spacing: f32,
    ) -> Option<Self> {
        let known = errors.iter().map(|e| if e.is_finite() { *e } else { f64::NAN }).collect();
        (errors.len() == grid.values.len())
            .then(|| Self::of(known, grid, domain, frame, spacing))?
    }

    fn of(z: Vec<f64>, grid: &Grid, domain: Domain, frame: Rect, spacing: f32) -> Option<Self> {
        let z = fill_holes(z, grid.xs.len(), grid.ys.len())?;
        let samples = |pixels: f32| ((pixels / spacing) as usize).clamp(2, 600);
        let (nx, ny) = (samples(frame.w), samples(frame.h));
        let lattice = |[a, b]: [f64; 2], n: usize| -> Vec<f64> {
            (0..n).map(|i| a + (b - a) * i as f64 / (n - 1) as f64).collect()
        };
        let (fine_xs, fine_ys) = (lattice(domain.x, nx), lattice(domain.y, ny));
        // Along x first: (grid rows, nx), kept by column for the second pass.
        let rows = grid.ys.len();
        let mut columns = vec![0.0; nx * rows];
        for (iy, row) in z.chunks_exact(grid.xs.len()).enumerate() {
            let p = Pchip::new(&grid.xs, row);
            for (ix, &x) in fine_xs.iter().enumerate() {
                columns[ix * rows + iy] = p.at(x);
            }
        }
        let mut fine = vec![0.0; nx * ny];
        for (ix, column) in columns.chunks_exact(rows).enumerate() {
            let p = Pchip::new(&grid.ys, column);
            for (iy, &y) in fine_ys.iter().enumerate() {
                fine[iy * nx + ix] = p.at(y);
            }
        }
        Some(Self { nx, ny, z: fine })
    }
}

/// Each NaN replaced by the mean of its known neighbours, ring after ring; `None` if all are NaN.
pub(in crate::render) fn fill_holes(mut z: Vec<f64>, nx: usize, ny: usize) -> Option<Vec<f64>> {
    if z.iter().all(|v| v.is_nan()) {
        return None;
    }
    while z.iter().any(|v| v.is_nan()) {
        let known = z.clone();
        for iy in 0..ny {
            for ix in 0..nx {
                if !known[iy * nx + ix].is_nan() {
                    continue;
                }
                let (mut sum, mut count) = (0.0, 0.0);
                for y in iy.saturating_sub(1)..(iy + 2).min(ny) {
                    for x in ix.saturating_sub(1)..(ix + 2).min(nx) {
                        let v = known[y * nx + x];
                        if !v.is_nan() {
                            (sum, count) = (sum + v, count + 1.0);
                        }
                    }
                }
                if count > 0.0 {
                    z[iy * nx + ix] = sum / count;
                }
            }
        }
    }
    Some(z)
}

impl Marks {
    /// The marks of `grid` in `frame`: neighbouring cells are joined to rectangles.
    pub fn of(grid: &Grid, domain: Domain, frame: Rect) -> Self {
        let runs = |marked: &dyn Fn(usize) -> bool| {
            let (xs, ys) = (cell_edges(&grid.xs, domain.x), cell_edges(&grid.ys, domain.y));
            let nx = grid.xs.len();
            let mut rects = Vec::new();
            for iy in 0..grid.ys.len() {
                let mut ix = 0;
                while ix < nx {
                    if !marked(iy * nx + ix) {
                        ix += 1;
                        continue;
                    }
                    let first = ix;
                    while ix < nx && marked(iy * nx + ix) {
                        ix += 1;
                    }
                    let (x0, y0) = domain.px_from_plane(frame, xs[first], ys[iy + 1]);
                    let (x1, y1) = domain.px_from_plane(frame, xs[ix], ys[iy]);
                    // On whole pixels, so that neighbours leave no seam.
                    let (x0, y0, x1, y1) = (x0.round(), y0.round(), x1.round(), y1.round());
                    let rect = Rect::new(x0, y0, x1 - x0, y1 - y0);
                    // Rows go up: the run below, where it is as wide, grows by this one.
                    match rects.iter_mut().rev().find(|r: &&mut Rect| r.x == x0 && r.y == y1) {
                        Some(below) if below.w == rect.w => {
                            (below.y, below.h) = (y0, below.h + rect.h);
                        }
                        _ => rects.push(rect),
                    }
                }
            }
            rects
        };
        Self {
            holes: runs(&|i| grid.values[i].is_nan()),
            overflow: runs(&|i| grid.values[i].is_infinite()),
            interpolated: match &grid.interpolated {
                Some(mask) => runs(&|i| mask[i] && grid.values[i].is_finite()),
                None => Vec::new(),
            },
        }
    }
}

/// The `n + 1` edges of the cells around `n` samples: half-way between, and the domain's ends.
pub(in crate::render) fn cell_edges(samples: &[f64], [low, high]: [f64; 2]) -> Vec<f64> {
    let middles = samples.windows(2).map(|w| 0.5 * w[0] + 0.5 * w[1]);
    std::iter::once(low).chain(middles).chain([high]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::scene::ContourPanel;

    fn grid(n: usize, f: impl Fn(f64, f64) -> f64) -> Grid {
        let xs: Vec<f64> = (0..n).map(|i| i as f64 - (n - 1) as f64 / 2.0).collect();
        let values = xs.iter().flat_map(|&y| xs.iter().map(move |&x| (x, y))).map(|(x, y)| f(x, y));
        Grid { values: values.collect(), ys: xs.clone(), xs, interpolated: None }
    }

    fn panel(grid: Grid) -> ContourPanel {
        ContourPanel { grid, ..Default::default() }
    }

    #[test]
    fn resampling_a_plane_in_log_space_is_exact() {
        let grid = grid(7, |x, y| 10f64.powf(0.3 * x - 0.2 * y));
        let scale = LevelScale::new(grid.values.iter().copied());
        let domain = Domain::of(&panel(grid.clone()));
        let frame = Rect::new(0.0, 0.0, 100.0, 80.0);
        let field = Field::resample(&grid, domain, &scale, frame, 2.0).unwrap();
        assert_eq!((field.nx, field.ny), (50, 40));
        for iy in 0..40 {
            for ix in 0..50 {
                let (x, y) = (-3.0 + 6.0 * ix as f64 / 49.0, -3.0 + 6.0 * iy as f64 / 39.0);
                // A linear function is reproduced up to rounding.
                assert!((field.z[iy * 50 + ix] - (0.3 * x - 0.2 * y)).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn holes_are_marked_and_do_not_spread() {
        let mut grid = grid(5, |_, _| 2.0);
        (grid.values[12], grid.values[13], grid.values[0]) = (f64::NAN, f64::NAN, f64::INFINITY);
        let scale = LevelScale::new(grid.values.iter().copied());
        let domain = Domain::of(&panel(grid.clone()));
        let frame = Rect::new(0.0, 0.0, 400.0, 400.0);
        let marks = Marks::of(&grid, domain, frame);
        assert_eq!(marks.holes, [Rect::new(150.0, 150.0, 200.0, 100.0)]);
        assert_eq!(marks.overflow, [Rect::new(0.0, 350.0, 50.0, 50.0)]);
        let field = Field::resample(&grid, domain, &scale, frame, 4.0).unwrap();
        assert!(field.z.iter().all(|z| z.is_finite()));
        grid.values.fill(f64::NAN);
        assert!(Field::resample(&grid, domain, &scale, frame, 4.0).is_none());
    }

    #[test]
    fn a_grid_whose_parts_do_not_fit_is_refused() {
        let good = grid(3, |x, _| x);
        assert!(good.check().is_ok());
        assert!(Grid { values: vec![0.0; 8], ..good.clone() }.check().is_err());
        assert!(Grid { xs: vec![0.0, 0.0, 1.0], ..good.clone() }.check().is_err());
        assert!(Grid { interpolated: Some(vec![true]), ..good }.check().is_err());
        assert!(Grid::default().check().is_err());
    }
}
