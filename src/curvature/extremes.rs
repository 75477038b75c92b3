//! The ends of a spectrum: the largest eigenvalues (the first of a Hessian's is the sharpness) and the
//! smallest ones.
//!
//! Lanczos' process finds both ends in one space, but not at one time: a network's largest eigenvalues
//! stand far from the others, its most negative ones are small and crowded. Each end is therefore waited
//! for by itself, and an eigenvalue that is small beside the largest is held to its own size. What did not
//! converge is not among the eigenvalues; it is a bound, since Ritz values lie inside the spectrum.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Curvature, Krylov, Operator, Ritz, Subspace};
use crate::objective::Objective;
use crate::rng::Streams;
use crate::{Error, Result};

/// What [`extremes`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExtremesConfig {
    /// How many of the largest eigenvalues.
    pub largest: usize,
    /// How many of the smallest.
    pub smallest: usize,
    /// How large a residual may be, relative to the eigenvalue of the largest magnitude. An eigenvalue's
    /// error is about the square of its residual over the gap to the next one, so 1e-3 is good to five or
    /// six digits where the first is well separated, as a network's is. An eigenvalue of less than a tenth
    /// of that magnitude is held to ten times the tolerance of its own size (but to no less than a
    /// thousandth of the largest): to a few units in the fourth digit.
    pub tolerance: f64,
    /// Products at most; each keeps a vector of P floats in memory.
    pub max_iterations: usize,
}

impl Default for ExtremesConfig {
    /// The largest one.
    fn default() -> Self {
        Self { largest: 1, smallest: 0, tolerance: 1e-3, max_iterations: 100 }
    }
}

impl ExtremesConfig {
    /// Whether a Ritz value has converged where the largest has the magnitude `scale`.
    fn accepts(&self, ritz: &Ritz, scale: f64) -> bool {
        let own = 10.0 * ritz.value.abs().max(1e-3 * scale);
        ritz.residual <= self.tolerance * scale.min(own)
    }
}

/// An eigenvalue that was asked for and did not converge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The Ritz value, which lies inside the spectrum.
    pub value: f64,
    /// An eigenvalue is at most this far away from it.
    pub residual: f64,
}

impl From<&Ritz> for Estimate {
    fn from(ritz: &Ritz) -> Self {
        Self { value: ritz.value, residual: ritz.residual }
    }
}

/// The ends of a spectrum.
#[derive(Debug, Clone, PartialEq)]
pub struct Extremes {
    /// The largest eigenvalues, falling, as far as they converged: as many as were asked for, or as the
    /// space has. NaN where a product was not finite.
    pub eigenvalues: Vec<f64>,
    /// ||H y - lambda y|| of each: an eigenvalue of H is at most this far away.
    pub residuals: Vec<f64>,
    /// The smallest eigenvalues, rising, as far as they converged. NaN where a product was not finite.
    pub smallest: Vec<f64>,
    /// Their residuals.
    pub smallest_residuals: Vec<f64>,
    /// What of the largest did not converge, falling: the true values are no smaller.
    pub rest_of_largest: Vec<Estimate>,
    /// What of the smallest did not converge, rising: the true values are no larger.
    pub rest_of_smallest: Vec<Estimate>,
    /// Products made.
    pub iterations: usize,
    /// Whether everything that was asked for converged.
    pub converged: bool,
    /// Mean seconds of a product.
    pub hvp_secs: f64,
}

impl Extremes {
    fn new(ritz: &[Ritz], config: &ExtremesConfig, krylov: &Krylov<'_>, finite: bool) -> Self {
        let dim = krylov.dim();
        let scale = ritz.iter().map(|r| r.value.abs()).fold(0.0, f64::max);
        // An exhausted space has the eigenvalues that its first vector can reach, each once.
        let all = krylov.is_exhausted();
        let end = |wanted: usize, mut ritz: Box<dyn Iterator<Item = &Ritz> + '_>| {
            let ritz: Vec<&Ritz> = ritz.by_ref().take(wanted.min(dim)).collect();
            let good = ritz.iter().take_while(|r| all || !finite || config.accepts(r, scale));
            let good = good.count();
            let lacks = !all && ritz.len() < wanted.min(dim);
            let (good, rest) = ritz.split_at(good);
            let values: Vec<f64> = good.iter().map(|r| r.value).collect();
            let residuals: Vec<f64> = good.iter().map(|r| r.residual).collect();
            let done = rest.is_empty() && !lacks;
            (values, residuals, rest.iter().map(|r| Estimate::from(*r)).collect(), done)
        };
        let largest = end(config.largest, Box::new(ritz.iter()));
        let smallest = end(config.smallest, Box::new(ritz.iter().rev()));
        Self {
            eigenvalues: largest.0,
            residuals: largest.1,
            smallest: smallest.0,
            smallest_residuals: smallest.1,
            rest_of_largest: largest.2,
            rest_of_smallest: smallest.2,
            iterations: krylov.len(),
            converged: finite && largest.3 && smallest.3,
            hvp_secs: krylov.hvp_secs(),
        }
    }
}

/// The ends of the spectrum of the Hessian of `objective` at `theta`, (P,), by Lanczos' process from
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
    extremes_of(&Curvature::hessian(objective, theta), config, streams, interrupt)
}

/// [`extremes`] of any symmetric matrix.
///
/// # Errors
/// As [`extremes`].
pub fn extremes_of(
    matrix: &dyn Operator,
    config: ExtremesConfig,
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<Extremes> {
    Ok(converge(matrix, config, streams, interrupt)?.1)
}

/// [`extremes`] with the unit eigenvectors (Ritz vectors) of the largest eigenvalues asked for, each (P,)
/// and orthogonal to the others, converged or not; no vectors where a product was not finite. It takes as
/// many more floats as the vectors have.
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
    let hessian = Curvature::hessian(objective, theta);
    let (krylov, found) = converge(&hessian, config, streams, interrupt)?;
    Ok((found, Subspace::new(krylov.ritz_vectors(0..config.largest))))
}

/// [`extremes_of`] with unit eigenvectors: of the largest eigenvalues, and of the smallest, the smallest of
/// all first. No vectors where a product was not finite.
///
/// # Errors
/// As [`extremes`].
pub fn extremes_and_vectors(
    matrix: &dyn Operator,
    config: ExtremesConfig,
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<(Extremes, [Vec<Vec<f32>>; 2])> {
    let (krylov, found) = converge(matrix, config, streams, interrupt)?;
    let m = krylov.len();
    let largest = krylov.ritz_vectors(0..config.largest.min(m));
    let smallest = krylov.ritz_vectors((m - config.smallest.min(m)..m).rev());
    Ok((found, [largest, smallest]))
}

/// The space in which the eigenvalues that `config` asks for have converged, and those.
fn converge<'a>(
    matrix: &'a dyn Operator,
    config: ExtremesConfig,
    streams: &Streams,
    interrupt: &AtomicBool,
) -> Result<(Krylov<'a>, Extremes)> {
    let mut krylov = Krylov::new(matrix, streams);
    let mut found = Extremes::new(&[], &config, &krylov, true);
    let mut within = 0;
    while within < 2 && !krylov.is_exhausted() && krylov.len() < config.max_iterations.max(1) {
        if interrupt.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { remedy: "run the same command again".into() });
        }
        let finite = krylov.step()?;
        let m = krylov.len();
        // The decomposition of a large T is not for every step.
        let last = m == config.max_iterations || krylov.is_exhausted() || !finite;
        if m > 40 && !m.is_multiple_of(m / 20) && !last {
            continue;
        }
        found = Extremes::new(&krylov.ritz(), &config, &krylov, finite);
        if !finite {
            break;
        }
        // Twice in a row: a Ritz value may rest at an inner eigenvalue for a moment before a larger
        // one comes up.
        within = if found.converged { within + 1 } else { 0 };
    }
    Ok((krylov, found))
}
