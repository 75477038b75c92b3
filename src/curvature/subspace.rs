//! Displacements split into the part along a few directions and the rest.
//!
//! With the leading eigenvectors of a Hessian as the directions, the two parts are what the picture of
//! the loss as a river valley calls the mountain and the river (Wen et al. 2024, arXiv 2410.05192): along
//! the sharp directions training oscillates between the slopes, along the rest it makes its way.

use serde::Serialize;

/// The span of orthonormal directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Subspace {
    vectors: Vec<Vec<f32>>,
}

/// The squared lengths of the two parts of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parts {
    /// Of its part in the subspace.
    pub inside: f64,
    /// Of the rest, which is orthogonal to it.
    pub outside: f64,
}

impl Parts {
    /// The share of the squared length that is inside, 0..1; NaN for a vector of no length.
    pub fn share_inside(&self) -> f64 {
        self.inside / (self.inside + self.outside)
    }
}

impl Subspace {
    /// The span of `vectors`, each (P,), orthonormal as far as f32 goes.
    pub fn new(vectors: Vec<Vec<f32>>) -> Self {
        Self { vectors }
    }

    /// The directions.
    pub fn vectors(&self) -> &[Vec<f32>] {
        &self.vectors
    }

    /// How many directions there are.
    pub fn dim(&self) -> usize {
        self.vectors.len()
    }

    /// The coordinates of `v`, (P,), along the directions.
    pub fn coordinates(&self, v: &[f64]) -> Vec<f64> {
        let dot = |u: &Vec<f32>| u.iter().zip(v).map(|(u, v)| f64::from(*u) * v).sum();
        self.vectors.iter().map(dot).collect()
    }

    /// What is left of `v`, (P,), without its part in the subspace.
    pub fn remainder(&self, v: &[f64]) -> Vec<f64> {
        let mut rest = v.to_vec();
        // Twice: the directions are orthonormal to f32 rounding only, and what the first pass leaves is
        // mostly outside.
        for _ in 0..2 {
            for (u, along) in self.vectors.iter().zip(self.coordinates(&rest)) {
                rest.iter_mut().zip(u).for_each(|(r, u)| *r -= along * f64::from(*u));
            }
        }
        rest
    }

    /// The squared lengths of the parts of `v`, (P,).
    pub fn parts(&self, v: &[f64]) -> Parts {
        let squared = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
        let outside = squared(&self.remainder(v));
        Parts { inside: (squared(v) - outside).max(0.0), outside }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::curvature::{ExtremesConfig, leading};
    use crate::objective::Quadratic;
    use crate::rng::Streams;

    fn top(curvature: &[f64], k: usize) -> Subspace {
        let n = curvature.len();
        let quadratic = Quadratic { curvature: curvature.to_vec(), centre: vec![0.0; n] };
        let config = ExtremesConfig { largest: k, tolerance: 1e-6, ..ExtremesConfig::default() };
        let interrupt = AtomicBool::new(false);
        let theta = vec![0.1; n];
        leading(&quadratic, &theta, config, &Streams::new(3), &interrupt).unwrap().1
    }

    #[test]
    fn the_leading_eigenvectors_of_a_quadratic_are_its_steepest_axes() {
        // Axes 5 and 40 are the steep ones; a bulk between -0.4 and 0.4.
        let mut curvature: Vec<f64> = (0..200).map(|i| 0.4 * (f64::from(i) * 0.7).sin()).collect();
        (curvature[5], curvature[40]) = (12.5, 7.0);
        let found = top(&curvature, 2);
        assert_eq!(found.dim(), 2);
        for (vector, axis) in found.vectors().iter().zip([5, 40]) {
            // A residual of 1e-6 of 12.5 over a gap of 5.5: an angle of about 2e-6, and f32 rounding.
            assert!((vector[axis].abs() - 1.0).abs() < 1e-5, "{axis}: {}", vector[axis]);
            let rest = vector.iter().enumerate().filter(|(i, _)| *i != axis);
            assert!(rest.map(|(_, v)| v.abs()).fold(0.0, f32::max) < 1e-4);
        }
        // 3 along the first, 4 along the second, 12 along a flat axis.
        let mut v = vec![0.0; 200];
        (v[5], v[40], v[100]) = (3.0, -4.0, 12.0);
        let parts = found.parts(&v);
        assert!((parts.inside - 25.0).abs() < 1e-2 && (parts.outside - 144.0).abs() < 1e-2);
        assert!((parts.share_inside() - 25.0 / 169.0).abs() < 1e-4);
        let along: Vec<f64> = found.coordinates(&v).iter().map(|c| c.abs()).collect();
        assert!((along[0] - 3.0).abs() < 1e-2 && (along[1] - 4.0).abs() < 1e-2, "{along:?}");
        let rest = found.remainder(&v);
        assert!(found.coordinates(&rest).iter().all(|c| c.abs() < 1e-6));
        assert!((rest[100] - 12.0).abs() < 1e-2);
    }

    #[test]
    fn a_vector_that_is_all_inside_leaves_nothing_and_one_of_no_length_has_no_share() {
        let axes = Subspace::new(vec![vec![1.0, 0.0, 0.0], vec![0.0, 0.6, 0.8]]);
        let parts = axes.parts(&[2.0, 3.0, 4.0]);
        assert!((parts.inside - 29.0).abs() < 1e-6 && parts.outside < 1e-12, "{parts:?}");
        assert!(axes.parts(&[0.0; 3]).share_inside().is_nan());
        assert_eq!(Subspace::new(vec![]).parts(&[3.0, 4.0]), Parts { inside: 0.0, outside: 25.0 });
    }
}
