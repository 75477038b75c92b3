//! Where on a plane the loss is evaluated.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::memory;

/// Evenly spaced coordinates from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// The first.
    pub min: f64,
    /// The last.
    pub max: f64,
    /// How many.
    pub n: usize,
}

impl Axis {
    /// The `i`-th coordinate. The ends are exact, and so is the middle of a symmetric axis.
    pub fn at(&self, i: usize) -> f64 {
        if self.n == 1 {
            return 0.5 * (self.min + self.max);
        }
        let t = i as f64 / (self.n - 1) as f64;
        self.min * (1.0 - t) + self.max * t
    }

    /// All coordinates.
    pub fn values(&self) -> Vec<f64> {
        (0..self.n).map(|i| self.at(i)).collect()
    }
}

/// A rectangle of cells, row-major: cell k is (x of k mod nx, y of k div nx).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Columns.
    pub x: Axis,
    /// Rows.
    pub y: Axis,
}

impl Grid {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.x.n.saturating_mul(self.y.n)
    }

    /// Refuses a grid whose cells do not fit into memory.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`].
    pub fn check(&self) -> Result<()> {
        // A cell's number, loss, error and count, and whether it is done.
        memory::check("the grid of a surface", memory::product(&[self.x.n, self.y.n, 40]))
    }

    /// True for a grid without cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Plane coordinates of cell k.
    pub fn point(&self, k: usize) -> [f64; 2] {
        [self.x.at(k % self.x.n), self.y.at(k / self.x.n)]
    }

    /// A grid that holds all `points` (not finite ones aside) with a margin of a quarter of their
    /// spread on each side. A spread below 0.6 of the other's is widened to that, so that a
    /// straight path does not shrink the picture to a slit; a path that does not move gets a square
    /// of side `2 unit` around it.
    pub fn around(points: &[[f64; 2]], [nx, ny]: [usize; 2], unit: f64) -> Self {
        let range = |axis: usize| {
            let finite = || points.iter().map(|p| p[axis]).filter(|v| v.is_finite());
            let (min, max) = (
                finite().fold(f64::INFINITY, f64::min),
                finite().fold(f64::NEG_INFINITY, f64::max),
            );
            if min > max { (0.0, 0.0) } else { (min, max) }
        };
        let (x, y) = (range(0), range(1));
        let widest = (x.1 - x.0).max(y.1 - y.0);
        let axis = |(min, max): (f64, f64), n| {
            if widest == 0.0 {
                return Axis { min: min - unit, max: max + unit, n };
            }
            let spread = (max - min).max(0.6 * widest);
            let (middle, half) = (0.5 * (min + max), 0.75 * spread);
            Axis { min: middle - half, max: middle + half, n }
        };
        Self { x: axis(x, nx), y: axis(y, ny) }
    }

    /// The same grid, its shorter side widened about its middle to 0.85 of the longer: for pictures
    /// in which what is beside the paths matters as much as what is below them.
    pub fn squarer(self) -> Self {
        let length = |axis: &Axis| axis.max - axis.min;
        let wanted = 0.85 * length(&self.x).max(length(&self.y));
        let widened = |axis: Axis| {
            let more = 0.5 * (wanted - length(&axis)).max(0.0);
            Axis { min: axis.min - more, max: axis.max + more, ..axis }
        };
        Self { x: widened(self.x), y: widened(self.y) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_exactly_and_is_zero_in_the_middle_of_a_symmetric_one() {
        let axis = Axis { min: -1.0, max: 1.0, n: 51 };
        assert_eq!((axis.at(0), axis.at(25), axis.at(50)), (-1.0, 0.0, 1.0));
        assert_eq!(Axis { min: 2.0, max: 4.0, n: 1 }.at(0), 3.0);
    }

    #[test]
    fn cells_run_along_x_first() {
        let axis = |n| Axis { min: 0.0, max: (n - 1) as f64, n };
        let grid = Grid { x: axis(3), y: axis(2) };
        let points: Vec<[f64; 2]> = (0..grid.len()).map(|k| grid.point(k)).collect();
        assert_eq!(points, [[0., 0.], [1., 0.], [2., 0.], [0., 1.], [1., 1.], [2., 1.]]);
    }

    #[test]
    fn a_grid_around_a_path_holds_it_with_a_margin() {
        let grid = Grid::around(&[[-4.0, 0.0], [0.0, 2.0], [f64::NAN, f64::NAN]], [5, 5], 1.0);
        assert_eq!((grid.x.min, grid.x.max), (-5.0, 1.0));
        // 0.6 of 4, and half of that on top.
        assert!((grid.y.min + 0.8).abs() < 1e-12 && (grid.y.max - 2.8).abs() < 1e-12);
        // A straight path still gets a picture.
        let grid = Grid::around(&[[-4.0, 0.0], [0.0, 0.0]], [5, 5], 1.0);
        assert!((grid.y.max - grid.y.min - 3.6).abs() < 1e-12);
        let grid = Grid::around(&[[3.0, 3.0]], [5, 5], 0.5);
        assert_eq!((grid.x.min, grid.x.max), (2.5, 3.5));
    }

    #[test]
    fn a_squarer_grid_grows_about_the_middle_of_its_shorter_side() {
        let axis = |min, max| Axis { min, max, n: 5 };
        let grid = Grid { x: axis(0.0, 20.0), y: axis(1.0, 3.0) }.squarer();
        assert_eq!((grid.x, grid.y), (axis(0.0, 20.0), axis(-6.5, 10.5)));
        assert_eq!(grid.squarer(), grid);
    }
}
