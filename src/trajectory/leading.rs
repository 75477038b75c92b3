//! The leading eigenpairs of large positive semidefinite matrices that are given by their products.
//!
//! A path of T snapshots asks for two or three axes of a (T, T) matrix. Up to [`DENSE`] snapshots
//! all of its spectrum is computed, which costs some 10 T^3 operations: a second at 1,000, the
//! better part of an hour at 10,000. Beyond, a block Krylov space grows until the leading pairs
//! have converged: each step multiplies [`BLOCK`] vectors by the matrix in one sweep over it, takes
//! the space so far off them, twice, and adds them to it (Golub and Underwood 1977). Eigenvalues
//! that repeat up to [`BLOCK`] times are found as often as they repeat, which a single vector would
//! not do. Convergence is judged by residuals computed from the products themselves.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::eigen::eigen_symmetric;
use crate::rng::{Rng, Streams};

/// Matrices up to this size are decomposed whole.
pub(super) const DENSE: usize = 1024;

/// Eigenvalues that are reported of a larger one.
pub(super) const REPORTED: usize = 32;

/// Vectors a step of the Krylov space adds.
const BLOCK: usize = 8;

/// How near the eigenvalues behind the axes must come, of the largest: a picture shows three
/// digits.
const TAIL: f64 = 1e-6;

/// A symmetric positive semidefinite matrix, (n, n).
pub(super) trait Products: Sync {
    /// Rows, n.
    fn len(&self) -> usize;

    /// The diagonal, (n,).
    fn diagonal(&self) -> Vec<f64>;

    /// The rows of `block`, (b, n), times the matrix, (b, n).
    fn times(&self, block: &Array2<f64>) -> Array2<f64>;
}

/// Rows of a matrix that one thread multiplies at a time; fixed, so that threads cannot be seen.
const BAND: usize = 64;

/// `block`, (b, n), times the transpose of `matrix`, (r, n), in bands of rows shared among threads.
pub(super) fn times_transposed(block: &Array2<f64>, matrix: ArrayView2<f64>) -> Array2<f64> {
    let mut out = Array2::zeros((block.nrows(), matrix.nrows()));
    let bands = out.axis_chunks_iter_mut(Axis(1), BAND);
    let bands: Vec<_> = bands.zip(matrix.axis_chunks_iter(Axis(0), BAND)).collect();
    bands.into_par_iter().for_each(|(mut out, rows)| {
        general_mat_mul(1.0, block, &rows.t(), 0.0, &mut out);
    });
    out
}

/// The scatter of points about their mean, from the inner products G of the points: with the masses
/// m on the diagonal of M and the mean of the masses, M^1/2 (I - 1 m^T/sum m) G (...)^T M^1/2.
pub(super) struct Scatter<'a> {
    inner: &'a dyn Products,
    /// (n,).
    masses: Array1<f64>,
    roots: Array1<f64>,
    centred: bool,
}

/// The largest eigenvalues of a matrix and their vectors.
pub(super) struct Leading {
    /// Falling: all n, or [`REPORTED`] of a matrix larger than [`DENSE`].
    pub values: Vec<f64>,
    /// Unit vectors, one a row, (values, n).
    pub vectors: Array2<f64>,
    /// The sum of all n eigenvalues.
    pub trace: f64,
}

impl<'a> Scatter<'a> {
    /// Of points with the inner products `inner`, (n, n), and the `masses`, (n,): 1 each where
    /// there are none.
    pub fn new(inner: &'a dyn Products, masses: Option<&[f64]>, centred: bool) -> Self {
        let ones = || Array1::ones(inner.len());
        let masses = masses.map_or_else(ones, |m| Array1::from(m.to_vec()));
        Self { inner, roots: masses.mapv(f64::sqrt), masses, centred }
    }

    /// The leading eigenpairs, with `axes` of them as exact as f64 allows.
    pub fn leading(&self, axes: usize) -> Leading {
        let n = self.inner.len();
        if n <= DENSE {
            let whole = self.times(&Array2::eye(n));
            let trace = whole.diag().sum();
            let (values, vectors) = eigen_symmetric(whole);
            return Leading { values, vectors: vectors.reversed_axes(), trace };
        }
        let (values, vectors) = self.krylov(axes, REPORTED.max(axes));
        Leading { values, vectors, trace: self.trace() }
    }

    /// The parts of the trace that the first `components` eigenvalues are, to six digits.
    pub fn shares(&self, components: usize) -> Vec<f64> {
        const SMALL: usize = 96;
        if self.inner.len() <= SMALL {
            let leading = self.leading(components);
            return shares_of(&leading.values, leading.trace, components);
        }
        shares_of(&self.krylov(0, components).0, self.trace(), components)
    }

    /// The sum of the eigenvalues.
    fn trace(&self) -> f64 {
        let diagonal = Array1::from(self.inner.diagonal());
        let about_origin = self.masses.dot(&diagonal);
        if !self.centred {
            return about_origin;
        }
        let weights = self.masses.view().insert_axis(Axis(0)).to_owned();
        let mean_sq = self.inner.times(&weights).row(0).dot(&self.masses) / self.masses.sum();
        (about_origin - mean_sq).max(0.0)
    }

    /// The rows of `block`, (b, n), times the scatter.
    fn times(&self, block: &Array2<f64>) -> Array2<f64> {
        let total = self.masses.sum();
        let mut block = block * &self.roots;
        if self.centred {
            for mut row in block.outer_iter_mut() {
                let sum = row.sum() / total;
                row.scaled_add(-sum, &self.masses);
            }
        }
        let mut out = self.inner.times(&block);
        if self.centred {
            for mut row in out.outer_iter_mut() {
                let mean = row.dot(&self.masses) / total;
                row -= mean;
            }
        }
        out * &self.roots
    }

    /// The `wanted` leading eigenpairs, `axes` of them to rounding and the rest to [`TAIL`].
    fn krylov(&self, axes: usize, wanted: usize) -> (Vec<f64>, Array2<f64>) {
        let n = self.inner.len();
        let wanted = wanted.min(n);
        let rounding = 16.0 * n as f64 * f64::EPSILON;
        let mut rng = Streams::new(0).stream("krylov", 0);
        let mut basis = Array2::<f64>::zeros((0, n));
        let mut image = basis.clone();
        let mut next = drawn(&mut rng, BLOCK.min(n), n);
        let mut check = wanted + 2 * BLOCK;
        loop {
            orthonormalise(&mut next, &basis, &mut rng);
            let product = self.times(&next);
            basis.append(Axis(0), next.view()).expect("rows of n");
            image.append(Axis(0), product.view()).expect("rows of n");
            let m = basis.nrows();
            let whole = m == n;
            if m >= check || whole {
                check = m + (m / 4).max(BLOCK);
                let projected = basis.dot(&image.t());
                let (mut values, vectors) = eigen_symmetric((&projected + &projected.t()) / 2.0);
                values.truncate(wanted);
                let mixing = vectors.slice(s![.., ..wanted]).reversed_axes();
                let found = mixing.dot(&basis);
                let scaled = &found * &Array1::from(values.clone()).insert_axis(Axis(1));
                let off = mixing.dot(&image) - scaled;
                let largest = values[0].max(0.0);
                let converged = off.outer_iter().enumerate().all(|(k, off)| {
                    let allowed = if k < axes { rounding } else { TAIL };
                    off.dot(&off).sqrt() <= allowed * largest
                });
                if converged || whole {
                    return (values, found);
                }
            }
            next = product.slice_move(s![..BLOCK.min(n - m), ..]);
        }
    }
}

/// The parts of `trace` that the first `components` of `values` are; 0 where there are fewer.
pub(super) fn shares_of(values: &[f64], trace: f64, components: usize) -> Vec<f64> {
    let share = |k: usize| {
        let value = values.get(k).copied().unwrap_or(0.0).max(0.0);
        if trace > 0.0 { value / trace } else { 0.0 }
    };
    (0..components).map(share).collect()
}

/// A block of normal numbers, (b, n).
fn drawn(rng: &mut Rng, b: usize, n: usize) -> Array2<f64> {
    Array2::from_shape_simple_fn((b, n), || rng.normal())
}

/// Makes the rows of `block` orthonormal to each other and to those of `basis`. A row that lies in
/// the space of the others is replaced by one drawn at random, so that the space goes on growing.
fn orthonormalise(block: &mut Array2<f64>, basis: &Array2<f64>, rng: &mut Rng) {
    for row in 0..block.nrows() {
        let mut vector = block.row(row).to_owned();
        let size = vector.dot(&vector).sqrt();
        if size > 0.0 {
            vector /= size;
        }
        loop {
            // Twice is enough (Giraud, Langou, Rozloznik 2005).
            for _ in 0..2 {
                for q in basis.outer_iter().chain(block.outer_iter().take(row)) {
                    let part = q.dot(&vector);
                    vector.scaled_add(-part, &q);
                }
            }
            let left = vector.dot(&vector).sqrt();
            if left > 1e-12 {
                vector /= left;
                break;
            }
            vector = drawn(rng, 1, vector.len()).remove_axis(Axis(0));
            let size = vector.dot(&vector).sqrt();
            vector /= size;
        }
        block.row_mut(row).assign(&vector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dense(Array2<f64>);

    impl Products for Dense {
        fn len(&self) -> usize {
            self.0.nrows()
        }

        fn diagonal(&self) -> Vec<f64> {
            self.0.diag().to_vec()
        }

        fn times(&self, block: &Array2<f64>) -> Array2<f64> {
            times_transposed(block, self.0.view())
        }
    }

    /// Q diag(values) Q^T with an orthogonal Q, so that the eigenvalues are known.
    fn with_spectrum(values: &[f64]) -> Dense {
        let n = values.len();
        let mut rng = Streams::new(7).stream("test", 0);
        let mut q = drawn(&mut rng, n, n);
        orthonormalise(&mut q, &Array2::zeros((0, n)), &mut rng);
        let scaled = &q * &Array1::from(values.to_vec()).insert_axis(Axis(1));
        let a = q.t().dot(&scaled);
        Dense((&a + &a.t()) / 2.0)
    }

    /// Residuals of the first `axes` against the matrix, orthonormality of all.
    fn assert_eigenpairs(matrix: &Dense, values: &[f64], vectors: &Array2<f64>, axes: usize) {
        let image = vectors.dot(&matrix.0);
        let scaled = vectors * &Array1::from(values.to_vec()).insert_axis(Axis(1));
        for (k, off) in (image - scaled).outer_iter().enumerate() {
            let off = off.dot(&off).sqrt() / values[0];
            assert!(off < if k < axes { 1e-11 } else { TAIL }, "{k}: {off}");
        }
        let gram = vectors.dot(&vectors.t()) - Array2::<f64>::eye(values.len());
        assert!(gram.iter().all(|g| g.abs() < 1e-12));
    }

    #[test]
    fn the_leading_pairs_are_those_of_the_whole_decomposition() {
        // A walk's spectrum, as 1/k^2, and values that repeat: more often than one vector finds.
        let walk: Vec<f64> = (1..=300).map(|k| 1.0 / (k * k) as f64).collect();
        let mut repeated = vec![4.0; 6];
        repeated.extend((6..300).map(|k| 0.99f64.powi(k)));
        for values in [walk, repeated] {
            let matrix = with_spectrum(&values);
            let scatter = Scatter::new(&matrix, None, false);
            let (found, vectors) = scatter.krylov(2, 12);
            assert_eq!(found.len(), 12);
            for (k, (found, want)) in found.iter().zip(&values).enumerate() {
                // Errors of a value are the square of its vector's.
                let allowed = if k < 2 { 1e-12 } else { 1e-9 };
                assert!((found - want).abs() < allowed * values[0], "{k}: {found} {want}");
            }
            assert_eigenpairs(&matrix, &found, &vectors, 2);
        }
    }

    #[test]
    fn a_matrix_of_low_rank_or_none_ends_too() {
        for rank in [0, 1, 3] {
            let values: Vec<f64> = (0..200).map(|k| f64::from(u8::from(k < rank))).collect();
            let matrix = with_spectrum(&values);
            let (found, vectors) = Scatter::new(&matrix, None, false).krylov(2, 8);
            for (found, want) in found.iter().zip(&values) {
                assert!((found - want).abs() < 1e-12, "{rank}: {found:?}");
            }
            if rank > 0 {
                assert_eigenpairs(&matrix, &found, &vectors, 2);
            }
        }
        // Smaller than a block: the space is the whole of it.
        let tiny = with_spectrum(&[3.0, 2.0, 1.0]);
        let (found, _) = Scatter::new(&tiny, None, false).krylov(2, 32);
        assert!(found.iter().zip([3.0, 2.0, 1.0]).all(|(a, b)| (a - b).abs() < 1e-13));
    }

    #[test]
    fn centring_and_masses_are_those_of_the_matrix_written_out() {
        let n = 40;
        let mut rng = Streams::new(8).stream("test", 0);
        let points = drawn(&mut rng, n, 60) + 3.0;
        let masses: Vec<f64> = (0..n).map(|i| if i < 10 { 2.0 } else { 2.0 / 3.0 }).collect();
        let total: f64 = masses.iter().sum();
        let mean = points.t().dot(&Array1::from(masses.clone())) / total;
        let mut off = &points - &mean;
        for (mut row, m) in off.outer_iter_mut().zip(&masses) {
            row *= m.sqrt();
        }
        let want = off.dot(&off.t());
        let inner = Dense(points.dot(&points.t()));
        let scatter = Scatter::new(&inner, Some(&masses), true);
        let got = scatter.times(&Array2::eye(n));
        assert!((&got - &want).iter().all(|e| e.abs() < 1e-10));
        assert!((scatter.trace() - want.diag().sum()).abs() < 1e-9);
        let (whole, few) = (scatter.leading(2), scatter.krylov(2, 6));
        for (a, b) in whole.values.iter().zip(&few.0) {
            assert!((a - b).abs() < 1e-9 * whole.values[0]);
        }
    }

    #[test]
    fn the_number_of_threads_does_not_show_in_a_single_bit() {
        let values: Vec<f64> = (1..=200).map(|k| 1.0 / f64::from(k)).collect();
        let matrix = with_spectrum(&values);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Scatter::new(&matrix, None, true).krylov(2, 10))
        };
        assert_eq!(on(1), on(3));
    }
}
