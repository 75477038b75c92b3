//! The ends of a Hessian's spectrum: the largest eigenvalues (the first of them is the sharpness)
//! and the smallest one that the same Krylov space holds.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Krylov, Subspace};
use crate::objective::Objective;
use crate::rng::Streams;
use crate::{Error, Result};

/// What [`extremes`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExtremesConfig {
    /// How many of the largest eigenvalues.
    pub largest: usize,
    /// How large their residuals may be, relative to the largest Ritz value in magnitude. An
    /// eigenvalue's error is about the square of its residual over the gap to the next one, so 1e-3
    /// is good to five or six digits where the first is well separated, as a network's is.
    pub tolerance: f64,
    /// Hessian-vector products at most; each keeps a vector of P floats in memory.
    pub max_iterations: usize,
}

impl Default for ExtremesConfig {
    fn default() -> Self {
        Self { largest: 1, tolerance: 1e-3, max_iterations: 100 }
    }
}

/// The ends of a spectrum.
#[derive(Debug, Clone, PartialEq)]
pub struct Extremes {
    /// The largest eigenvalues, falling: as many as were asked for, or as the space has. NaN where
    /// a Hessian-vector product was not finite.
    pub eigenvalues: Vec<f64>,
    /// ||H y - lambda y|| of each: an eigenvalue of H is at most this far away.
    pub residuals: Vec<f64>,
    /// The smallest (most negative) Ritz value. Nothing waited for it to converge: where its
    /// residual is large, the smallest eigenvalue is lower.
    pub smallest: f64,
    /// Its residual.
    pub smallest_residual: f64,
    /// Hessian-vector products made.
    pub iterations: usize,
    /// Whether all residuals of `eigenvalues` are within the tolerance.
    pub converged: bool,
    /// Mean seconds of a product.
    pub hvp_secs: f64,
}

/// The largest eigenvalues of the Hessian of `objective` at `theta`, (P,), by Lanczos' process from
/// a vector of `streams`. The same on every run and whatever the number of threads, if the
/// objective is.
///
/// # Errors
/// Those of the objective; [`Error::Interrupted`] when `interrupt` was set between two products.
pub fn extremes(
    objective: &dyn Objective,
    theta: &[f32],
    config: ExtremesConfig,
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<Extremes> {
    Ok(converge(objective, theta, config, streams, interrupt)?.1)
}

/// [`extremes`] with the unit eigenvectors (Ritz vectors) of its largest eigenvalues, each (P,) and
/// orthogonal to the others; no vectors where a product was not finite. It takes as many more floats as
/// the vectors have.
///
/// # Errors
/// As [`extremes`].
pub fn leading(
    objective: &dyn Objective,
    theta: &[f32],
    config: ExtremesConfig,
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<(Extremes, Subspace)> {
    let (krylov, found) = converge(objective, theta, config, streams, interrupt)?;
    let vectors = krylov.ritz_vectors(found.eigenvalues.len());
    Ok((found, Subspace::new(vectors)))
}

/// The space in which the eigenvalues that `config` asks for have converged, and those.
fn converge<'a>(
    objective: &'a dyn Objective,
    theta: &'a [f32],
    config: ExtremesConfig,
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<(Krylov<'a>, Extremes)> {
    let mut krylov = Krylov::new(objective, theta, streams);
    let (mut ritz, mut within) = (Vec::new(), 0);
    let mut converged = false;
    while !converged && !krylov.is_exhausted() && krylov.len() < config.max_iterations.max(1) {
        if interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { remedy: "run the same command again".into() });
        }
        let finite = krylov.step()?;
        ritz = krylov.ritz();
        if !finite {
            break;
        }
        let scale = ritz.iter().map(|r| r.value.abs()).fold(0.0, f64::max);
        let wanted = config.largest.clamp(1, theta.len());
        let good = ritz.len() >= wanted
            && ritz[..wanted].iter().all(|r| r.residual <= config.tolerance * scale);
        // Twice in a row: a Ritz value may rest at an inner eigenvalue for a moment before a larger
        // one comes up.
        within = if good { within + 1 } else { 0 };
        converged = within >= 2 || krylov.is_exhausted();
    }
    let last = ritz.last().copied();
    ritz.truncate(config.largest.max(1));
    let found = Extremes {
        eigenvalues: ritz.iter().map(|r| r.value).collect(),
        residuals: ritz.iter().map(|r| r.residual).collect(),
        smallest: last.map_or(f64::NAN, |r| r.value),
        smallest_residual: last.map_or(f64::NAN, |r| r.residual),
        iterations: krylov.len(),
        converged,
        hvp_secs: krylov.hvp_secs(),
    };
    Ok((krylov, found))
}
