//! Losses over a grid, checked once.

use crate::{Error, Result};

/// Losses at the cells of a rectangular grid, row-major `[iy][ix]`. A cell whose loss is not finite is a
/// hole: it belongs to no minimum, no saddle and no basin.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Coordinates of the columns, rising.
    pub xs: Vec<f64>,
    /// Coordinates of the rows, rising.
    pub ys: Vec<f64>,
    /// Losses, (ny nx).
    pub values: Vec<f64>,
}

impl Field {
    /// A field of losses over columns `xs` and rows `ys`.
    ///
    /// # Errors
    /// [`Error::Landscape`] for fewer than 3 rows or columns, coordinates that do not rise, another number
    /// of losses, and where no loss is finite.
    pub fn new(xs: Vec<f64>, ys: Vec<f64>, values: Vec<f64>) -> Result<Self> {
        let refuse =
            |what: String, remedy: &str| Err(Error::Landscape { what, remedy: remedy.into() });
        if xs.len() < 3 || ys.len() < 3 {
            return refuse(
                format!("a surface of {} x {} cells has no inside to measure", xs.len(), ys.len()),
                "evaluate at least 3 x 3 cells (--grid 51x51)",
            );
        }
        if xs.len() * ys.len() != values.len() {
            let what = format!("{} losses on {} x {} cells", values.len(), xs.len(), ys.len());
            return refuse(what, "give a loss for each cell");
        }
        let rises =
            |v: &[f64]| v.windows(2).all(|w| w[1] > w[0]) && v.iter().all(|v| v.is_finite());
        if !rises(&xs) || !rises(&ys) {
            let remedy = "give a grid whose coordinates rise";
            return refuse("the coordinates of the surface do not rise".into(), remedy);
        }
        if !values.iter().any(|v| v.is_finite()) {
            let remedy = "evaluate it closer to the trained weights (--range), or finish it";
            return refuse("no cell of the surface has a finite loss".into(), remedy);
        }
        Ok(Self { xs, ys, values })
    }

    /// Columns.
    pub fn nx(&self) -> usize {
        self.xs.len()
    }

    /// Rows.
    pub fn ny(&self) -> usize {
        self.ys.len()
    }

    /// Whether cell `k` is no hole.
    pub fn is_open(&self, k: usize) -> bool {
        self.values[k].is_finite()
    }

    /// Cells without holes.
    pub fn open(&self) -> usize {
        self.values.iter().filter(|v| v.is_finite()).count()
    }

    /// The (up to four) open neighbours of cell `k`: left, right, below, above.
    pub fn neighbors(&self, k: usize) -> impl Iterator<Item = usize> + '_ {
        let (nx, ny) = (self.nx(), self.ny());
        let (ix, iy) = (k % nx, k / nx);
        let all = [
            (ix > 0).then(|| k - 1),
            (ix + 1 < nx).then(|| k + 1),
            (iy > 0).then(|| k - nx),
            (iy + 1 < ny).then(|| k + nx),
        ];
        all.into_iter().flatten().filter(|&k| self.is_open(k))
    }

    /// Whether cell `k` is on the edge of the grid.
    pub fn is_edge(&self, k: usize) -> bool {
        let (ix, iy) = (k % self.nx(), k / self.nx());
        ix == 0 || iy == 0 || ix + 1 == self.nx() || iy + 1 == self.ny()
    }

    /// Whether cell `a` is below cell `b`; of equal losses the earlier cell is, so that all are ordered.
    pub fn is_below(&self, a: usize, b: usize) -> bool {
        (self.values[a], a) < (self.values[b], b)
    }

    /// The open cells from the lowest to the highest.
    pub fn rising(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.values.len()).filter(|&k| self.is_open(k)).collect();
        order.sort_by(|&a, &b| self.values[a].total_cmp(&self.values[b]).then(a.cmp(&b)));
        order
    }

    /// The open cell nearest to `(x, y)` in cells; `None` where the point is not on the grid or its nearest
    /// cell is a hole.
    pub fn cell_at(&self, [x, y]: [f64; 2]) -> Option<usize> {
        let nearest = |v: &[f64], at: f64| {
            let half = |i: usize, j: usize| 0.5 * (v[j] - v[i]);
            let n = v.len();
            if at < v[0] - half(0, 1) || at > v[n - 1] + half(n - 2, n - 1) {
                return None;
            }
            (0..n).min_by(|&a, &b| (v[a] - at).abs().total_cmp(&(v[b] - at).abs()))
        };
        let k = nearest(&self.ys, y)? * self.nx() + nearest(&self.xs, x)?;
        self.is_open(k).then_some(k)
    }

    /// The area that cell `k` stands for.
    pub fn area(&self, k: usize) -> f64 {
        let width = |v: &[f64], i: usize| {
            let low = if i == 0 { v[0] } else { 0.5 * (v[i - 1] + v[i]) };
            let high = if i + 1 == v.len() { v[i] } else { 0.5 * (v[i] + v[i + 1]) };
            high - low
        };
        width(&self.xs, k % self.nx()) * width(&self.ys, k / self.nx())
    }

    /// The smallest and the largest finite loss.
    pub fn range(&self) -> [f64; 2] {
        let finite = || self.values.iter().copied().filter(|v| v.is_finite());
        [finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max)]
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The function `f` on n x n cells over [-r, r] squared.
    pub(in super::super) fn of(n: usize, r: f64, f: impl Fn(f64, f64) -> f64) -> Field {
        let axis: Vec<f64> = (0..n).map(|i| -r + 2.0 * r * i as f64 / (n - 1) as f64).collect();
        let values = axis.iter().flat_map(|y| axis.iter().map(|x| f(*x, *y)).collect::<Vec<_>>());
        Field::new(axis.clone(), axis.clone(), values.collect()).unwrap()
    }

    #[test]
    fn a_single_cell_and_a_surface_of_holes_are_refused_with_what_to_do() {
        let one = Field::new(vec![0.0], vec![0.0], vec![1.0]).unwrap_err().to_string();
        assert!(one.contains("1 x 1") && one.contains("3 x 3"), "{one}");
        let axis = vec![0.0, 1.0, 2.0];
        let holes = Field::new(axis.clone(), axis.clone(), vec![f64::NAN; 9]);
        assert!(holes.unwrap_err().to_string().contains("finite loss"));
        assert!(Field::new(axis.clone(), axis, vec![0.0; 8]).is_err());
    }

    #[test]
    fn areas_sum_to_that_of_the_grid_and_cells_are_found() {
        let field = of(5, 1.0, |x, y| x + y);
        let area: f64 = (0..25).map(|k| field.area(k)).sum();
        assert!((area - 4.0).abs() < 1e-12);
        assert_eq!(field.cell_at([0.1, -0.1]), Some(12));
        assert_eq!(field.cell_at([3.0, 0.0]), None);
        assert_eq!(field.neighbors(0).collect::<Vec<_>>(), [1, 5]);
    }
}
