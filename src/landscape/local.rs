//! Values between the evaluated cells of a grid, with their standard error: local interpolation with the cubic
//! kernel.
//!
//! At a point the function is taken for one draw of a random field with the generalised covariance `s r^3` and
//! a linear trend (kriging with the kernel of the thin-plate family that is smooth enough for losses; Wendland,
//! Scattered Data Approximation, 2005, chapter 8). Its mean given the [`NEIGHBOURS`] nearest values is the value,
//! `s` is that under which these values are most likely, and the standard deviation that is left is the error. So
//! it is large where evaluated cells are far away and where the function varies near by. What no evaluated cell
//! shows is in no estimate.
//!
//! Distances are counted in cells.

/// Evaluated cells that a value rests on. Between 16 and 40 the errors are the same; more cost more.
const NEIGHBOURS: usize = 24;

/// Nearest evaluated cells that say whether a cell is where the loss is finite.
const AROUND: usize = 4;

/// What is known of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Known {
    /// Nothing.
    Not,
    /// A finite value, on the scale of the interpolation.
    Value(f64),
    /// A loss that is NaN or infinite.
    Loss(f64),
}

/// What is taken for the value of a cell that is not evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Guess {
    /// The value on the scale of the interpolation, or a loss that is not finite.
    pub(super) value: Known,
    /// Its standard error.
    pub(super) error: f64,
    /// Whether evaluated cells around are finite and not.
    pub(super) at_edge: bool,
    /// Square of the distance of the nearest evaluated cell.
    pub(super) nearest: usize,
    /// Square of the distance of the farthest that the guess rests on.
    pub(super) reach: usize,
}

/// What is known of the cells of a grid, row-major.
pub(super) struct Field {
    nx: usize,
    ny: usize,
    cells: Vec<Known>,
}

impl Field {
    pub(super) fn new(nx: usize, ny: usize) -> Self {
        Self { nx, ny, cells: vec![Known::Not; nx * ny] }
    }

    pub(super) fn set(&mut self, k: usize, known: Known) {
        self.cells[k] = known;
    }

    pub(super) fn is_known(&self, k: usize) -> bool {
        self.cells[k] != Known::Not
    }

    /// Square of the distance between two cells.
    pub(super) fn distance(&self, a: usize, b: usize) -> usize {
        let [dx, dy] = self.between(a, b);
        (dx * dx + dy * dy) as usize
    }

    fn between(&self, from: usize, to: usize) -> [isize; 2] {
        let at = |k: usize| [(k % self.nx) as isize, (k / self.nx) as isize];
        let ([x, y], [to_x, to_y]) = (at(from), at(to));
        [to_x - x, to_y - y]
    }

    /// The `count` nearest cells to `k` of those that `wanted` lets pass, with their squared distances; the
    /// nearest first, of equally near ones that with the smaller index.
    fn nearest(
        &self,
        k: usize,
        count: usize,
        wanted: impl Fn(Known) -> bool,
    ) -> Vec<(usize, usize)> {
        let [x, y] = [k % self.nx, k / self.nx];
        let mut found: Vec<(usize, usize)> = Vec::with_capacity(4 * count);
        for ring in 1..self.nx.max(self.ny) {
            let rows = y.saturating_sub(ring)..=(y + ring).min(self.ny - 1);
            for row in rows {
                let is_end = row.abs_diff(y) == ring;
                let columns = x.saturating_sub(ring)..=(x + ring).min(self.nx - 1);
                for column in columns.filter(|c| is_end || c.abs_diff(x) == ring) {
                    let at = row * self.nx + column;
                    if wanted(self.cells[at]) {
                        found.push((self.distance(k, at), at));
                    }
                }
            }
            // A cell in a corner of a ring is farther away than one in the middle of the next.
            if found.iter().filter(|(distance, _)| *distance <= ring * ring).count() >= count {
                break;
            }
        }
        found.sort_unstable();
        found.truncate(count);
        found
    }

    /// What is taken for the value of cell `k`, which is not known.
    pub(super) fn guess(&self, k: usize) -> Guess {
        let around = self.nearest(k, AROUND, |known| known != Known::Not);
        let is_value = |at: usize| matches!(self.cells[at], Known::Value(_));
        let finite = around.iter().filter(|(_, at)| is_value(*at)).count();
        let (nearest, first) = around.first().copied().unwrap_or((usize::MAX, k));
        let farthest = around.last().map_or(usize::MAX, |(distance, _)| *distance);
        let at_edge = finite > 0 && finite < around.len();
        if around.is_empty() || !is_value(first) {
            let (value, error) = (self.cells[first], 0.0);
            return Guess { value, error, at_edge, nearest, reach: farthest };
        }
        let neighbours = self.nearest(k, NEIGHBOURS, |known| matches!(known, Known::Value(_)));
        let reach = neighbours.last().map_or(farthest, |(distance, _)| farthest.max(*distance));
        let points: Vec<([f64; 2], f64)> = (neighbours.iter())
            .map(|&(_, at)| {
                let [x, y] = self.between(k, at).map(|d| d as f64);
                let value = if let Known::Value(value) = self.cells[at] { value } else { f64::NAN };
                ([x, y], value)
            })
            .collect();
        let (value, error) = kriged(&points).unwrap_or_else(|| nearest_of(&points));
        Guess { value: Known::Value(value), error, at_edge, nearest, reach }
    }
}

/// The nearest value, and how far values around are from it.
fn nearest_of(points: &[([f64; 2], f64)]) -> (f64, f64) {
    let value = points[0].1;
    let spread = points.iter().map(|(_, v)| (v - value).abs()).fold(0.0, f64::max);
    (value, spread)
}

/// The value at the origin between those of `points` and its standard error; `None` for points on one line, or
/// too few.
fn kriged(points: &[([f64; 2], f64)]) -> Option<(f64, f64)> {
    let n = points.len();
    if n < 6 {
        return None;
    }
    let size = n + 3;
    // In units of the farthest, so that the matrix is well scaled.
    let unit = points.iter().map(|([x, y], _)| x.hypot(*y)).fold(0.0, f64::max);
    let at: Vec<[f64; 2]> = points.iter().map(|([x, y], _)| [x / unit, y / unit]).collect();
    let kernel = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]).powi(3);
    let mean = points.iter().map(|(_, v)| v).sum::<f64>() / n as f64;
    // [K T; T' 0] has the weights of the value at the origin, and those of the values about their mean.
    let mut rows = vec![0.0; size * (size + 2)];
    let width = size + 2;
    for i in 0..n {
        let row = &mut rows[i * width..][..width];
        for j in 0..n {
            row[j] = kernel(at[i], at[j]);
        }
        row[n..size].copy_from_slice(&[1.0, at[i][0], at[i][1]]);
        row[size] = kernel(at[i], [0.0; 2]);
        row[size + 1] = points[i].1 - mean;
    }
    for (i, at) in at.iter().enumerate() {
        for (t, value) in [1.0, at[0], at[1]].into_iter().enumerate() {
            rows[(n + t) * width + i] = value;
        }
    }
    rows[n * width + size] = 1.0;
    let right: Vec<f64> = (0..n).map(|i| rows[i * width + size]).collect();
    let [weights, coefficients] = solved(&mut rows, size)?;
    let value = mean + points.iter().zip(&weights).map(|((_, v), w)| w * (v - mean)).sum::<f64>();
    // Of the kernel r^3 the variance that is left is -(w'k + m), which is positive.
    let left = right.iter().zip(&weights).map(|(k, w)| k * w).sum::<f64>() + weights[n];
    let energy: f64 = points.iter().zip(&coefficients).map(|((_, v), c)| c * (v - mean)).sum();
    let scale = energy.abs() / (n - 3) as f64;
    Some((value, (scale * left.abs()).sqrt()))
}

/// The two solutions of a system of `size` equations, each a row of coefficients and two right sides, by
/// elimination with row pivots; `None` for a singular one.
fn solved(rows: &mut [f64], size: usize) -> Option<[Vec<f64>; 2]> {
    let width = size + 2;
    for column in 0..size {
        let below = (column..size).map(|i| (rows[i * width + column].abs(), i));
        let (largest, pivot) = below.max_by(|a, b| a.0.total_cmp(&b.0))?;
        if largest < 1e-12 || !largest.is_finite() {
            return None;
        }
        if pivot != column {
            for j in column..width {
                rows.swap(pivot * width + j, column * width + j);
            }
        }
        let (upper, lower) = rows.split_at_mut((column + 1) * width);
        let upper = &upper[column * width..];
        for row in lower.chunks_exact_mut(width) {
            let factor = row[column] / upper[column];
            if factor != 0.0 {
                for j in column..width {
                    row[j] -= factor * upper[j];
                }
            }
        }
    }
    let mut solutions = [vec![0.0; size], vec![0.0; size]];
    for i in (0..size).rev() {
        for (side, solution) in solutions.iter_mut().enumerate() {
            let row = &rows[i * width..][..width];
            let known: f64 = (i + 1..size).map(|j| row[j] * solution[j]).sum();
            solution[i] = (row[size + side] - known) / row[i];
        }
    }
    Some(solutions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(nx: usize, ny: usize, every: usize, of: impl Fn(f64, f64) -> f64) -> Field {
        let mut field = Field::new(nx, ny);
        for k in 0..nx * ny {
            let (x, y) = (k % nx, k / nx);
            if x % every == 0 && y % every == 0 {
                field.set(k, Known::Value(of(x as f64, y as f64)));
            }
        }
        field
    }

    fn value(guess: Guess) -> f64 {
        if let Known::Value(value) = guess.value { value } else { f64::NAN }
    }

    #[test]
    fn a_plane_is_found_exactly_and_without_error() {
        let plane = |x: f64, y: f64| 3.0 - 0.5 * x + 0.25 * y;
        let field = known(21, 17, 4, plane);
        for k in (0..21 * 17).filter(|&k| !field.is_known(k)) {
            let guess = field.guess(k);
            let want = plane((k % 21) as f64, (k / 21) as f64);
            // Elimination in f64 of a well scaled system.
            assert!((value(guess) - want).abs() < 1e-9, "{k}: {guess:?} {want}");
            assert!(guess.error < 1e-6, "{k}: {guess:?}");
        }
    }

    #[test]
    fn the_standard_error_is_as_large_as_errors_are_and_grows_with_the_distance() {
        let wave = |x: f64, y: f64| (0.4 * x).sin() * (0.3 * y + 1.0).cos() + 0.002 * x * y;
        let of = |every: usize| {
            let field = known(49, 49, every, wave);
            let (mut squares, mut estimates, mut n) = (0.0, 0.0, 0);
            for k in (0..49 * 49).filter(|&k| !field.is_known(k)) {
                let guess = field.guess(k);
                let error = value(guess) - wave((k % 49) as f64, (k / 49) as f64);
                squares += error * error;
                estimates += guess.error * guess.error;
                n += 1;
            }
            [squares, estimates].map(|sum| (sum / f64::from(n)).sqrt())
        };
        let (fine, coarse) = (of(2), of(4));
        // Smoother than the field it is taken for, so that the estimate is on the safe side.
        for [error, estimate] in [fine, coarse] {
            assert!(estimate > error && estimate < 20.0 * error, "{error} {estimate}");
        }
        assert!(coarse[1] > 2.0 * fine[1], "{fine:?} {coarse:?}");
    }

    #[test]
    fn the_nearest_cells_are_found_in_every_corner() {
        let field = known(13, 9, 3, |_, _| 1.0);
        let all: Vec<usize> = (0..13 * 9).filter(|&k| field.is_known(k)).collect();
        for k in (0..13 * 9).filter(|&k| !field.is_known(k)) {
            let mut want: Vec<(usize, usize)> =
                all.iter().map(|&at| (field.distance(k, at), at)).collect();
            want.sort_unstable();
            want.truncate(7);
            assert_eq!(field.nearest(k, 7, |known| known != Known::Not), want, "{k}");
        }
    }

    #[test]
    fn holes_stay_holes_and_their_edge_is_known_as_one() {
        let mut field = Field::new(21, 9);
        for k in (0..21 * 9).filter(|k| (k % 21) % 2 == 0 && (k / 21) % 2 == 0) {
            let x = k % 21;
            let known = if x > 10 { Known::Loss(f64::INFINITY) } else { Known::Value(x as f64) };
            field.set(k, known);
        }
        let inside = field.guess(4 * 21 + 17);
        assert_eq!((inside.value, inside.at_edge), (Known::Loss(f64::INFINITY), false));
        let outside = field.guess(4 * 21 + 3);
        assert!((value(outside) - 3.0).abs() < 1e-9 && !outside.at_edge, "{outside:?}");
        assert!(field.guess(4 * 21 + 11).at_edge);
    }

    #[test]
    fn points_on_one_line_give_the_nearest_value() {
        let mut field = Field::new(30, 3);
        (0..30).for_each(|x| field.set(x, Known::Value(x as f64)));
        let guess = field.guess(30 + 7);
        assert_eq!(guess.value, Known::Value(7.0));
        assert!(guess.error > 0.0);
    }
}
