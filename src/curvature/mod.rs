//! Curvature of an [`Objective`](crate::objective::Objective) at a point, computed from the products of its
//! second derivatives with vectors alone: P may be tens of millions, and the matrix is never formed.
//!
//! An [`Operator`] is what is multiplied: the Hessian or the Gauss-Newton matrix ([`Curvature`]), the
//! [`Block`] of some parameters of it, [`Scaled`] from both sides. [`Krylov`] is the space that such products span. On it stand the
//! ends of the spectrum ([`extremes`]; the largest eigenvalue is what the literature calls sharpness) and
//! its [`density`]; the [`trace`](fn@trace) needs products only. Beside them stand the [`GradientNoise`], the
//! trace of the gradient's covariance, and the [`Overshoot`] of a step, the parabola along it.

mod density;
mod extremes;
mod gradient_noise;
mod krylov;
mod operator;
mod overshoot;
mod parameters;
mod subspace;
mod trace;

pub use density::{Density, DensityConfig, density};
pub use extremes::{
    Estimate, Extremes, ExtremesConfig, extremes, extremes_and_vectors, extremes_of, leading,
};
pub use gradient_noise::{GRADIENT_GROUPS, GradientNoise, gradient_noise};
pub use krylov::{Krylov, Ritz};
pub use operator::{Block, Curvature, Matrix, Operator, Scaled};
pub use overshoot::Overshoot;
pub use parameters::{Layer, layers, parameters};
pub use subspace::{Parts, Subspace};
pub use trace::{Mean, Trace, TraceConfig, TraceMethod, trace};

/// The jackknife's standard error of an estimate: `without`, (n,), are the estimates without each of n groups.
fn jackknife(without: &[f64]) -> f64 {
    let n = without.len() as f64;
    let centre = without.iter().sum::<f64>() / n;
    let spread: f64 = without.iter().map(|v| (v - centre).powi(2)).sum();
    ((n - 1.0) / n * spread).sqrt()
}

#[cfg(test)]
mod tests;
