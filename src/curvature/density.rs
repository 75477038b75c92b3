//! The density of a spectrum by stochastic Lanczos quadrature.
//!
//! From a random unit vector q, m steps of Lanczos' process give a tridiagonal T whose eigenvalues, each with
//! the squared first component of its eigenvector as a weight, are the Gauss quadrature of the matrix's
//! spectral measure of q: exact for polynomials of degree up to 2m - 1. Over vectors of random signs its mean
//! is the density of the eigenvalues (Ubaru, Chen and Saad 2017; for networks Ghorbani, Krishnan and Xiao
//! 2019). The error shown is that over the vectors; what m steps cannot resolve is not in it, which is why
//! the density is drawn with a width.

use std::sync::atomic::{AtomicBool, Ordering};

use super::trace::{Mean, signs};
use super::{Krylov, Operator};
use crate::rng::Streams;
use crate::{Error, Result};

/// What [`density`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DensityConfig {
    /// Random vectors; the error is over these.
    pub probes: usize,
    /// Products for each: nodes of its quadrature.
    pub steps: usize,
}

impl DensityConfig {
    /// Refuses what gives no density or no error.
    ///
    /// # Errors
    /// [`Error::BadValue`].
    pub fn check(&self) -> Result<()> {
        if self.probes < 2 {
            let problem = "too few for an error over random vectors";
            return Err(Error::bad_value("probes", self.probes, problem, "use 2 or more"));
        }
        if self.steps < 2 {
            let problem = "too few nodes for a density";
            return Err(Error::bad_value("steps", self.steps, problem, "use 2 or more"));
        }
        Ok(())
    }
}

/// The quadratures of a spectrum.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    /// For each random vector its nodes, falling, each with its weight; the weights sum to 1.
    pub probes: Vec<Vec<[f64; 2]>>,
    /// Rows of the matrix.
    pub dim: usize,
    /// Mean seconds of a product.
    pub hvp_secs: f64,
}

/// The density of the eigenvalues of `matrix`; random vectors are from `streams` (stream `density`).
/// A product that is not finite leaves NaN nodes.
///
/// # Errors
/// [`Error::BadValue`] for too few vectors or steps; [`Error::Interrupted`]; those of the products.
pub fn density(
    matrix: &dyn Operator,
    config: DensityConfig,
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<Density> {
    config.check()?;
    let (mut probes, mut secs, mut made) = (Vec::new(), 0.0, 0);
    for index in 0..config.probes {
        let start = signs(matrix.dim(), &mut streams.stream("density", index as u64));
        let start: Vec<f64> = start.into_iter().map(f64::from).collect();
        let mut krylov = Krylov::from(matrix, &start);
        while krylov.len() < config.steps && !krylov.is_exhausted() {
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted { remedy: "run the same command again".into() });
            }
            if !krylov.step()? {
                break;
            }
        }
        secs += krylov.hvp_secs() * krylov.len() as f64;
        made += krylov.len();
        probes.push(krylov.ritz().iter().map(|r| [r.value, r.weight]).collect());
    }
    Ok(Density { probes, dim: matrix.dim(), hvp_secs: secs / made as f64 })
}

impl Density {
    /// The mean over the eigenvalues of `f`, and its error: of 1 / n tr f(A) for functions that m nodes
    /// resolve.
    pub fn mean(&self, f: impl Fn(f64) -> f64) -> Mean {
        let of = |nodes: &Vec<[f64; 2]>| nodes.iter().map(|[v, w]| w * f(*v)).sum();
        let each: Vec<f64> = self.probes.iter().map(of).collect();
        Mean::of(&each)
    }

    /// The trace: n times the mean eigenvalue.
    pub fn trace(&self) -> Mean {
        let Mean { value, se } = self.mean(|v| v);
        Mean { value: value * self.dim as f64, se: se * self.dim as f64 }
    }

    /// The share of eigenvalues below `bound`.
    pub fn share_below(&self, bound: f64) -> Mean {
        self.mean(|v| f64::from(u8::from(v < bound)))
    }

    /// The density at `x` of the spectrum smoothed by a normal distribution of width `sigma`: per unit of
    /// eigenvalue, of a whole of 1.
    pub fn at(&self, x: f64, sigma: f64) -> Mean {
        let norm = sigma * std::f64::consts::TAU.sqrt();
        self.mean(|v| (-0.5 * ((x - v) / sigma).powi(2)).exp() / norm)
    }

    /// The smallest and the largest node; `None` where one is not finite.
    pub fn range(&self) -> Option<[f64; 2]> {
        let nodes = || self.probes.iter().flatten().map(|[v, _]| *v);
        if nodes().any(|v| !v.is_finite()) {
            return None;
        }
        let least = nodes().fold(f64::INFINITY, f64::min);
        let most = nodes().fold(f64::NEG_INFINITY, f64::max);
        (least <= most).then_some([least, most])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curvature::Curvature;
    use crate::objective::Quadratic;

    static NEVER: AtomicBool = AtomicBool::new(false);

    fn of(curvature: Vec<f64>, probes: usize, steps: usize) -> Density {
        let n = curvature.len();
        let quadratic = Quadratic { centre: vec![0.0; n], curvature };
        let theta = vec![0.0; n];
        let config = DensityConfig { probes, steps };
        density(&Curvature::hessian(&quadratic, &theta), config, &Streams::new(4), &NEVER).unwrap()
    }

    #[test]
    fn a_few_distinct_eigenvalues_are_found_with_their_shares_exactly() {
        // 10 % at 5, 30 % at 1, 60 % at 0, whatever the signs of a vector: weights are counts.
        let values = [vec![5.0; 10], vec![1.0; 30], vec![0.0; 60]].concat();
        let found = of(values, 3, 20);
        for nodes in &found.probes {
            assert_eq!(nodes.len(), 3, "{nodes:?}");
            for (node, want) in nodes.iter().zip([[5.0, 0.1], [1.0, 0.3], [0.0, 0.6]]) {
                assert!((node[0] - want[0]).abs() < 1e-5 && (node[1] - want[1]).abs() < 1e-6);
            }
        }
        assert!((found.trace().value - 80.0).abs() < 1e-3);
        assert!((found.share_below(0.5).value - 0.6).abs() < 1e-6);
    }

    #[test]
    fn the_smoothed_density_is_that_of_the_known_spectrum() {
        let values: Vec<f64> = (0..2000).map(|i| (f64::from(i) * 0.37).sin()).collect();
        let found = of(values.clone(), 8, 40);
        let sigma: f64 = 0.1;
        for x in [-0.9, -0.3, 0.0, 0.4, 0.95] {
            let kernel = |v: &f64| (-0.5 * ((x - v) / sigma).powi(2)).exp();
            let norm = sigma * std::f64::consts::TAU.sqrt() * values.len() as f64;
            let want = values.iter().map(kernel).sum::<f64>() / norm;
            let got = found.at(x, sigma);
            // 40 nodes resolve a width of a tenth; signs find a diagonal's moments without error.
            assert!((got.value - want).abs() < 0.01 * want.max(0.1), "{x}: {got:?} {want}");
        }
    }

    #[test]
    fn too_few_vectors_are_refused() {
        assert!(DensityConfig { probes: 1, steps: 9 }.check().is_err());
        assert!(DensityConfig { probes: 2, steps: 1 }.check().is_err());
    }
}
