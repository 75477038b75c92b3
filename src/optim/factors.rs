//! Kronecker factors of a tensor's second moment, for Shampoo and SOAP: a square matrix for each of
//! its dimensions, kept one after another in a state vector.

use std::ops::Range;

use linfa_linalg::eigh::EighInto;
use linfa_linalg::qr::QRInto;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

use super::real::Real;
use super::tensors::{ParamRange, Tensors};

/// One dimension of a tensor: its data are `outer` blocks of (`size`, `inner`).
#[derive(Debug, Clone)]
pub(super) struct Mode {
    outer: usize,
    pub size: usize,
    inner: usize,
    /// Where its matrix lies in the tensor's part of the state; none for a dimension without.
    pub factor: Option<Range<usize>>,
}

/// A tensor with its dimensions.
#[derive(Debug, Clone)]
pub(super) struct Factored {
    pub modes: Vec<Mode>,
    /// Values of all of its matrices.
    pub len: usize,
}

impl Factored {
    /// The dimensions of `tensor`; those of up to `max_dim` have a matrix where `wanted`.
    fn new(tensor: &ParamRange, max_dim: u64, wanted: bool) -> Self {
        let (mut modes, mut len, mut outer) = (Vec::new(), 0, 1);
        let mut inner: usize = tensor.shape.iter().product();
        for &size in &tensor.shape {
            inner /= size.max(1);
            let end = len + size * size;
            let factor = (wanted && size as u64 <= max_dim).then_some(len..end);
            if factor.is_some() {
                len = end;
            }
            modes.push(Mode { outer, size, inner, factor });
            outer *= size;
        }
        Self { modes, len }
    }

    /// All tensors; vectors have a matrix only `with_vectors`.
    pub fn all(tensors: &Tensors, max_dim: u64, with_vectors: bool) -> Vec<Self> {
        let wanted = |t: &ParamRange| with_vectors || t.shape.len() > 1;
        tensors.0.iter().map(|t| Self::new(t, max_dim, wanted(t))).collect()
    }

    /// The dimensions that have a matrix, with its place.
    pub fn factors(&self) -> impl Iterator<Item = (&Mode, Range<usize>)> {
        self.modes.iter().filter_map(|m| m.factor.clone().map(|range| (m, range)))
    }
}

/// The (n, n) matrix in `values`.
pub(super) fn square<F: Real>(values: &[F], n: usize) -> ArrayView2<'_, F> {
    ArrayView2::from_shape((n, n), values).expect("a factor is square")
}

/// The (n, n) matrix in `values`, to be written.
pub(super) fn square_mut<F: Real>(values: &mut [F], n: usize) -> ArrayViewMut2<'_, F> {
    ArrayViewMut2::from_shape((n, n), values).expect("a factor is square")
}

impl Mode {
    /// `gram <- keep gram + take M M^T`, M being the tensor `data` unfolded along this dimension.
    pub fn add_gram<F: Real>(&self, keep: F, take: F, data: &[F], gram: &mut [F]) {
        let mut gram = square_mut(gram, self.size);
        if self.inner == 1 {
            let rows = ArrayView2::from_shape((self.outer, self.size), data).expect("its own size");
            general_mat_mul(take, &rows.t(), &rows, keep, &mut gram);
            return;
        }
        gram.mapv_inplace(|v| keep * v);
        for block in data.chunks_exact(self.size * self.inner) {
            let block = ArrayView2::from_shape((self.size, self.inner), block).expect("a block");
            general_mat_mul(take, &block, &block.t(), F::one(), &mut gram);
        }
    }

    /// `data <- matrix x data` along this dimension; `room` is scratch.
    pub fn multiply<F: Real>(&self, matrix: ArrayView2<F>, data: &mut [F], room: &mut Vec<F>) {
        room.clear();
        room.extend_from_slice(data);
        let (one, zero) = (F::one(), F::zero());
        if self.inner == 1 {
            let shape = (self.outer, self.size);
            let from = ArrayView2::from_shape(shape, room).expect("its own size");
            let mut to = ArrayViewMut2::from_shape(shape, data).expect("its own size");
            general_mat_mul(one, &from, &matrix.t(), zero, &mut to);
            return;
        }
        let len = self.size * self.inner;
        for (to, from) in data.chunks_exact_mut(len).zip(room.chunks_exact(len)) {
            let shape = (self.size, self.inner);
            let from = ArrayView2::from_shape(shape, from).expect("a block");
            let mut to = ArrayViewMut2::from_shape(shape, to).expect("a block");
            general_mat_mul(one, &matrix, &from, zero, &mut to);
        }
    }

    /// Reorders `data` along this dimension: index `i` takes what `order[i]` had.
    pub fn reorder<F: Real>(&self, order: &[usize], data: &mut [F], room: &mut Vec<F>) {
        room.clear();
        room.extend_from_slice(data);
        let len = self.size * self.inner;
        for (to, from) in data.chunks_exact_mut(len).zip(room.chunks_exact(len)) {
            for (to, &at) in to.chunks_exact_mut(self.inner).zip(order) {
                to.copy_from_slice(&from[at * self.inner..(at + 1) * self.inner]);
            }
        }
    }
}

fn widened<F: Real>(matrix: ArrayView2<F>) -> Option<Array2<f64>> {
    let wide = matrix.mapv(Real::f64);
    // The iteration for eigenvalues would not end.
    wide.iter().all(|v| v.is_finite()).then_some(wide)
}

/// Eigenvalues and eigenvectors (columns) of a symmetric matrix, in f64, the largest first; `None`
/// where it is not finite.
pub(super) fn eigen<F: Real>(matrix: ArrayView2<F>) -> Option<(Vec<f64>, Array2<f64>)> {
    let (values, vectors) = widened(matrix)?.eigh_into().ok()?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    Some((order.iter().map(|&i| values[i]).collect(), vectors.select(Axis(1), &order)))
}

/// The orthogonal factor of the QR decomposition of a square matrix, in f64; `None` where the matrix
/// is not finite.
pub(super) fn orthogonal_factor<F: Real>(matrix: ArrayView2<F>) -> Option<Array2<f64>> {
    let q = widened(matrix)?.qr_into().ok()?.generate_q();
    q.iter().all(|v| v.is_finite()).then_some(q)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor() -> (Factored, Vec<f64>) {
        let range = ParamRange { range: 0..24, shape: vec![2, 3, 4], weight: true, hidden: true };
        let data = (0..24).map(|i| (1.7 * i as f64).sin()).collect();
        (Factored::new(&range, 10, true), data)
    }

    /// Element (i, j, k) of a (2, 3, 4) tensor.
    fn at(i: usize, j: usize, k: usize) -> usize {
        12 * i + 4 * j + k
    }

    #[test]
    fn gram_matrices_and_products_are_those_of_the_unfoldings() {
        let (factored, data) = tensor();
        let mode = &factored.modes[1];
        let mut gram = vec![1.0; 9];
        mode.add_gram(0.5, 2.0, &data, &mut gram);
        for a in 0..3 {
            for b in 0..3 {
                let sum: f64 = (0..2)
                    .flat_map(|i| (0..4).map(move |k| (i, k)))
                    .map(|(i, k)| data[at(i, a, k)] * data[at(i, b, k)])
                    .sum();
                assert!((gram[3 * a + b] - (0.5 + 2.0 * sum)).abs() < 1e-14);
            }
        }
        for (m, mode) in factored.modes.iter().enumerate() {
            let n = mode.size;
            let matrix = Array2::from_shape_fn((n, n), |(a, b)| (a + 2 * b) as f64 - 1.5);
            let mut product = data.clone();
            mode.multiply(matrix.view(), &mut product, &mut Vec::new());
            let mut index = [1, 2, 3];
            let got = product[at(1, 2, 3)];
            let last = index[m];
            let sum: f64 = (0..n)
                .map(|b| {
                    index[m] = b;
                    matrix[[last, b]] * data[at(index[0], index[1], index[2])]
                })
                .sum();
            assert!((got - sum).abs() < 1e-14, "{m}");
        }
    }

    #[test]
    fn a_large_dimension_and_what_is_not_finite_are_left_alone() {
        let range = ParamRange { range: 0..24, shape: vec![2, 12], weight: true, hidden: true };
        let factored = Factored::new(&range, 10, true);
        assert_eq!((factored.len, factored.factors().count()), (4, 1));
        let bad = [1.0f32, f32::NAN, f32::NAN, 1.0];
        assert!(eigen(square(&bad, 2)).is_none() && orthogonal_factor(square(&bad, 2)).is_none());
    }
}
