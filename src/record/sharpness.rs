//! Sharpness while a run trains: measured by the recorder, so that training does not know of it and
//! its bytes do not change.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::{Policy, RecordSpec, SharpnessRecord};
use crate::Result;
use crate::curvature::{Curvature, ExtremesConfig, Scaled, extremes, extremes_of};
use crate::dataset::{SampleOrder, choose};
use crate::objective::DatasetObjective;
use crate::rng::Streams;
use crate::train::{Setup, TrainState};

/// Measures when its policy says so.
pub(super) struct SharpnessMeter {
    policy: Policy,
    samples: usize,
    /// The loss on the sample; made at the first measurement.
    objective: Option<DatasetObjective>,
    /// The step of the last measurement, of this process or an earlier one.
    last_step: Option<u64>,
    /// Seconds spent measuring in this process.
    pub secs: f64,
}

impl SharpnessMeter {
    /// A meter for `spec`, which says whether there is one; `last_step` is that of the last
    /// measurement the log holds.
    pub fn new(spec: &RecordSpec, last_step: Option<u64>) -> Option<Self> {
        let policy = spec.sharpness?;
        let samples = spec.sharpness_samples.unwrap_or(super::SHARPNESS_SAMPLES);
        Some(Self { policy, samples, objective: None, last_step, secs: 0.0 })
    }

    /// Whether the state after `step` steps is measured and was not yet.
    pub fn is_due(&self, step: u64, steps_per_epoch: u64) -> bool {
        self.policy.takes(step, steps_per_epoch) && self.is_missing(step)
    }

    /// Whether the state after `step` steps was not measured yet.
    pub fn is_missing(&self, step: u64) -> bool {
        self.last_step.is_none_or(|last| last < step)
    }

    /// Measures `state`. The sample and the start of the iteration are those of
    /// `lossreel curvature`'s defaults (seed 0), so that both ways give the same number.
    pub fn measure(
        &mut self,
        setup: &Setup,
        state: &TrainState,
        epoch: f64,
    ) -> Result<SharpnessRecord> {
        let started = Instant::now();
        let objective = match &self.objective {
            Some(objective) => {
                objective.with_buffers(setup.buffers_at_theta(state)?.into_owned())?
            }
            None => self.objective(setup, state)?,
        };
        let config = ExtremesConfig::default();
        let never = AtomicBool::new(false);
        let found = extremes(&objective, &state.theta, config, &Streams::new(0), &never)?;
        let preconditioned = match state.optimizer.preconditioner() {
            Some(divisors) => {
                let roots: Vec<f32> = divisors.iter().map(|p| 1.0 / p.sqrt()).collect();
                let hessian = Curvature::hessian(&objective, &state.theta);
                let scaled = Scaled::new(&hessian, &roots);
                let found = extremes_of(&scaled, config, &Streams::new(0), &never)?;
                Some(found.eigenvalues.first().copied().unwrap_or(f64::NAN))
            }
            None => None,
        };
        let record = SharpnessRecord {
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
        };
        self.objective = Some(objective);
        self.last_step = Some(state.step);
        self.secs += started.elapsed().as_secs_f64();
        Ok(record)
    }

    fn objective(&self, setup: &Setup, state: &TrainState) -> Result<DatasetObjective> {
        let train = &setup.data.train;
        let sample = if self.samples == 0 || self.samples >= train.len() {
            train.clone()
        } else {
            let order = SampleOrder::Balanced;
            train.select(&choose(&train.labels, self.samples, order, &Streams::new(0))?)
        };
        DatasetObjective::new(
            setup.backend.clone(),
            setup.buffers_at_theta(state)?.into_owned(),
            Arc::new(sample),
            setup.stats.clone(),
            setup.data.max_value,
        )
    }
}
