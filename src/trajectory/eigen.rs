//! Eigenvalues and eigenvectors of a symmetric f64 matrix, largest first.

use linfa_linalg::eigh::EighInto;
use ndarray::{Array2, Axis};

/// The eigenvalues of the symmetric `matrix`, (T, T), falling, and its unit eigenvectors as the
/// columns of a (T, T) in the same order. Householder tridiagonalisation and implicit QR.
///
/// # Panics
/// If the matrix is not square, or not finite: the iteration would not end.
pub(crate) fn eigen_symmetric(matrix: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    assert!(matrix.iter().all(|v| v.is_finite()), "eigenvalues of a matrix that is not finite");
    let (values, vectors) = matrix.eigh_into().expect("callers build square matrices");
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    (order.iter().map(|&i| values[i]).collect(), vectors.select(Axis(1), &order))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;

    #[test]
    fn a_vectors_equal_lambda_vectors_over_twelve_orders_of_magnitude() {
        let n = 60;
        let mut rng = Streams::new(3).stream("test", 0);
        // A = B B^T with the columns of B falling from 1 to 1e-6.
        let scale = |j: usize| 10f64.powf(-6.0 * j as f64 / n as f64);
        let b = Array2::from_shape_fn((n, n), |(_, j)| rng.normal() * scale(j));
        let a = b.dot(&b.t());
        let (values, vectors) = eigen_symmetric(a.clone());
        assert!(values.is_sorted_by(|a, b| a >= b));
        // Backward stability: errors of some n eps relative to the largest eigenvalue.
        let tolerance = values[0] * n as f64 * f64::EPSILON * 10.0;
        let residual = a.dot(&vectors) - &vectors * &ndarray::Array1::from(values);
        assert!(residual.iter().all(|r| r.abs() < tolerance));
        let gram = vectors.t().dot(&vectors) - Array2::<f64>::eye(n);
        assert!(gram.iter().all(|r| r.abs() < n as f64 * f64::EPSILON * 10.0));
    }

    #[test]
    fn zero_one_and_repeated_eigenvalues_are_no_trouble() {
        assert_eq!(eigen_symmetric(Array2::zeros((5, 5))).0, [0.0; 5]);
        assert_eq!(eigen_symmetric(Array2::from_elem((1, 1), 4.0)).0, [4.0]);
        assert_eq!(eigen_symmetric(Array2::eye(7)).0, [1.0; 7]);
        let (values, _) = eigen_symmetric(Array2::from_elem((6, 6), 1.0));
        assert!((values[0] - 6.0).abs() < 1e-14 && values[1..].iter().all(|v| v.abs() < 1e-14));
    }
}
