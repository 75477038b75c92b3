//! Sharpness of the state while a run trains.

use std::sync::atomic::AtomicBool;

use super::SharpnessRecord;
use crate::Result;
use crate::curvature::{Curvature, ExtremesConfig, Scaled, extremes, extremes_of};
use crate::objective::DatasetObjective;
use crate::rng::Streams;
use crate::train::TrainState;

/// The sharpness of `objective` at `state`, which is at `epoch`, and where the rule has a preconditioner the
/// preconditioned sharpness. The iteration begins as that of `lossreel curvature`'s defaults (seed 0).
pub(super) fn sharpness(
    objective: &DatasetObjective,
    state: &TrainState,
    epoch: f64,
) -> Result<SharpnessRecord> {
    let config = ExtremesConfig::default();
    let never = AtomicBool::new(false);
    let found = extremes(objective, &state.theta, config, &Streams::new(0), &never)?;
    let preconditioned = match state.optimizer.preconditioner() {
        Some(divisors) => {
            let roots: Vec<f32> = divisors.iter().map(|p| 1.0 / p.sqrt()).collect();
            let hessian = Curvature::hessian(objective, &state.theta);
            let scaled = Scaled::new(&hessian, &roots);
            let found = extremes_of(&scaled, config, &Streams::new(0), &never)?;
            Some(found.eigenvalues.first().copied().unwrap_or(f64::NAN))
        }
        None => None,
    };
    Ok(SharpnessRecord {
        step: state.step,
        epoch,
        // Not a number where it did not converge: what it is at least, is not the sharpness.
        sharpness: found.eigenvalues.first().copied().unwrap_or(f64::NAN),
        residual: (found.residuals.first().copied())
            .or(found.rest_of_largest.first().map(|r| r.residual))
            .unwrap_or(f64::NAN),
        iterations: found.iterations,
        samples: objective.samples(),
        preconditioned,
    })
}
