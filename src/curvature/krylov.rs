//! Lanczos' process with full reorthogonalisation.
//!
//! From a random unit vector q_1 each step asks for one product w = H q_j, takes what w has of q_1
//! .. q_j off it, and keeps the rest, normalised, as q_{j+1}. In exact arithmetic the coefficients
//! form a tridiagonal T = Q' H Q, (m, m), whose eigenvalues (Ritz values) approach those of H from
//! inside, the ends of the spectrum first. In rounded arithmetic the q lose their orthogonality
//! just as a Ritz value converges, and copies of it appear (Paige 1971); taking all of Q off every
//! new vector, twice, keeps T accurate at a cost that a network's Hessian-vector product dwarfs
//! (Parlett, "The Symmetric Eigenvalue Problem", 1998, chapter 13).
//!
//! The basis is kept in f32, which are exactly the vectors the products were asked for, and half
//! the memory (m P floats); sums are in f64. Products come in f32 anyway, so eigenvalues are good
//! to some 1e-6 of the largest.

use std::time::Instant;

use ndarray::Array2;
use rayon::prelude::*;

use super::Operator;
use crate::Result;
use crate::rng::Streams;
use crate::trajectory::eigen_symmetric;

/// Elements that one thread takes off the basis at a time; fixed, though sums do not depend on it.
const PIECE: usize = 1 << 14;

/// A growing Krylov space of a symmetric matrix H, a network's Hessian.
pub struct Krylov<'a> {
    matrix: &'a dyn Operator,
    /// q_1 .. q_m, each (P,), orthonormal to f32 rounding.
    basis: Vec<Vec<f32>>,
    /// Diagonal of T, (m,).
    alpha: Vec<f64>,
    /// beta[j] couples q_j and q_{j+1}; the last couples the space to what is outside it, (m,).
    beta: Vec<f64>,
    /// q_{m+1}, the vector of the next product; empty where the space is exhausted.
    next: Vec<f32>,
    /// Seconds spent in products.
    hvp_secs: f64,
}

/// An eigenvalue of T, and how near one of H must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ritz {
    /// The value.
    pub value: f64,
    /// ||H y - value y|| for its unit vector y: H has an eigenvalue at most this far away.
    pub residual: f64,
    /// What the quadrature of the first vector gives this value: the squared first component of T's
    /// eigenvector. They sum to 1.
    pub weight: f64,
}

impl<'a> Krylov<'a> {
    /// The empty space that begins with a vector drawn from `streams` (stream `lanczos`).
    pub fn new(matrix: &'a dyn Operator, streams: &Streams) -> Self {
        let mut rng = streams.stream("lanczos", 0);
        let start: Vec<f64> = (0..matrix.dim()).map(|_| rng.normal()).collect();
        Self::from(matrix, &start)
    }

    /// The empty space that begins with `start`, (P,), scaled to length 1.
    pub fn from(matrix: &'a dyn Operator, start: &[f64]) -> Self {
        let norm = norm(start);
        let next = if norm > 0.0 { scaled(start, 1.0 / norm) } else { Vec::new() };
        Self { matrix, basis: Vec::new(), alpha: Vec::new(), beta: Vec::new(), next, hvp_secs: 0.0 }
    }

    /// Dimensions so far, m, which is the number of products made.
    pub fn len(&self) -> usize {
        self.alpha.len()
    }

    /// Rows of the matrix, P.
    pub fn dim(&self) -> usize {
        self.matrix.dim()
    }

    /// True before the first step.
    pub fn is_empty(&self) -> bool {
        self.alpha.is_empty()
    }

    /// Whether no further step is possible: the space holds all that its first vector can reach,
    /// and T's eigenvalues are H's.
    pub fn is_exhausted(&self) -> bool {
        self.next.is_empty()
    }

    /// Mean seconds of a product, NaN before the first.
    pub fn hvp_secs(&self) -> f64 {
        self.hvp_secs / self.len() as f64
    }

    /// Adds one dimension; true unless the product was not finite, which ends the process.
    ///
    /// # Errors
    /// Those of the objective.
    ///
    /// # Panics
    /// On an exhausted space.
    pub fn step(&mut self) -> Result<bool> {
        assert!(!self.is_exhausted(), "the space has no further dimension");
        let q = std::mem::take(&mut self.next);
        let mut product = vec![0.0; q.len()];
        let started = Instant::now();
        self.matrix.apply(&q, &mut product)?;
        self.hvp_secs += started.elapsed().as_secs_f64();
        let mut w: Vec<f64> = product.iter().map(|&v| f64::from(v)).collect();
        let size = norm(&w);
        self.alpha.push(dot(&q, &w));
        self.basis.push(q);
        if !size.is_finite() {
            self.beta.push(f64::NAN);
            return Ok(false);
        }
        // Twice is enough (Giraud, Langou, Rozloznik 2005).
        for _ in 0..2 {
            self.take_off(&mut w);
        }
        let beta = norm(&w);
        self.beta.push(beta);
        // What is left beyond the rounding of a product in f32 is a new direction.
        let rounding = 1e-6 * self.alpha.iter().chain(&self.beta).fold(size, |a, b| a.max(b.abs()));
        if beta > rounding && self.len() < w.len() {
            self.next = scaled(&w, 1.0 / beta);
        }
        Ok(true)
    }

    /// w <- w - Q Q' w.
    fn take_off(&self, w: &mut [f64]) {
        let parts: Vec<f64> = self.basis.par_iter().map(|q| dot(q, w)).collect();
        w.par_chunks_mut(PIECE).enumerate().for_each(|(piece, w)| {
            let start = piece * PIECE;
            for (q, part) in self.basis.iter().zip(&parts) {
                for (w, &q) in w.iter_mut().zip(&q[start..]) {
                    *w -= part * f64::from(q);
                }
            }
        });
    }

    /// T, (m, m); `None` after a product that was not finite.
    fn tridiagonal(&self) -> Option<Array2<f64>> {
        let m = self.len();
        if !self.alpha.iter().chain(&self.beta).all(|v| v.is_finite()) {
            return None;
        }
        let mut t = Array2::zeros((m, m));
        for j in 0..m {
            t[[j, j]] = self.alpha[j];
            if j + 1 < m {
                (t[[j, j + 1]], t[[j + 1, j]]) = (self.beta[j], self.beta[j]);
            }
        }
        Some(t)
    }

    /// The Ritz values, falling, (m,); all NaN after a product that was not finite.
    pub fn ritz(&self) -> Vec<Ritz> {
        let m = self.len();
        let Some(t) = self.tridiagonal() else {
            return vec![Ritz { value: f64::NAN, residual: f64::NAN, weight: f64::NAN }; m];
        };
        let (values, vectors) = eigen_symmetric(t);
        let outside = self.beta.last().copied().unwrap_or(0.0);
        let of = |(i, &value): (usize, &f64)| Ritz {
            value,
            residual: (outside * vectors[[m - 1, i]]).abs(),
            weight: vectors[[0, i]].powi(2),
        };
        values.iter().enumerate().map(of).collect()
    }

    /// The unit vectors of the `which` Ritz values, counted from the largest (those that there are), each
    /// (P,): y = Q s with s an eigenvector of T. None after a product that was not finite.
    pub fn ritz_vectors(&self, which: impl IntoIterator<Item = usize>) -> Vec<Vec<f32>> {
        let Some(t) = self.tridiagonal() else { return Vec::new() };
        let (_, parts) = eigen_symmetric(t);
        let vector = |i: usize| -> Vec<f32> {
            let mut sum = vec![0.0f64; self.matrix.dim()];
            sum.par_chunks_mut(PIECE).enumerate().for_each(|(piece, sum)| {
                for (j, q) in self.basis.iter().enumerate() {
                    let part = parts[[j, i]];
                    for (s, &q) in sum.iter_mut().zip(&q[piece * PIECE..]) {
                        *s += part * f64::from(q);
                    }
                }
            });
            let norm = norm(&sum);
            scaled(&sum, 1.0 / norm)
        };
        which.into_iter().filter(|i| *i < self.len()).map(vector).collect()
    }
}

/// Independent accumulators, so that the loop vectorises.
const LANES: usize = 8;

/// The inner product of vectors of one length, summed in f64 in a fixed order.
fn dot(a: &[f32], b: &[f64]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| f64::from(*a) * b).sum();
    for (a, b) in a.zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += f64::from(*a) * b;
        }
    }
    lanes.iter().sum::<f64>() + rest
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn scaled(v: &[f64], factor: f64) -> Vec<f32> {
    v.iter().map(|v| (v * factor) as f32).collect()
}
