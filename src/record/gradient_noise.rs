//! Noise of the gradient while a run trains.

use std::sync::atomic::AtomicBool;

use super::GradientNoiseRecord;
use crate::Result;
use crate::curvature::GradientNoise;
use crate::objective::DatasetObjective;
use crate::rng::Streams;
use crate::train::TrainState;

/// The noise of the gradient of `objective` at `state`, which is at `epoch`, for batches of `batch` images; `None`
/// on fewer than 3 images. The groups are those of `lossreel measure`'s defaults (seed 0).
pub(super) fn gradient_noise(
    objective: &DatasetObjective,
    state: &TrainState,
    epoch: f64,
    batch: usize,
) -> Result<Option<GradientNoiseRecord>> {
    let never = AtomicBool::new(false);
    let found = GradientNoise::of(objective, &state.theta, &Streams::new(0), &never)?;
    Ok(found.map(|found| GradientNoiseRecord {
        step: state.step,
        epoch,
        gradient_norm: found.gradient().value,
        variance: found.variance.value,
        noise_scale: found.scale.value,
        noise_scale_se: found.scale.se,
        signal_to_noise: found.batch_signal(batch).value,
        signal_to_noise_se: found.batch_signal(batch).se,
        batch,
        samples: objective.samples(),
    }))
}
