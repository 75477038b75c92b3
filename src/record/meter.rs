//! What is measured of the state while a run trains, on a fixed sample of its images: by the recorder, so that
//! training does not know of it and its bytes do not change.

use std::sync::Arc;
use std::time::Instant;

use super::Policy;
use crate::Result;
use crate::dataset::{SampleOrder, choose};
use crate::objective::DatasetObjective;
use crate::rng::Streams;
use crate::train::{Setup, TrainState};

/// When something is measured, and the images that it is measured on.
pub(super) struct Meter {
    policy: Policy,
    samples: usize,
    /// The loss on the sample; made at the first measurement.
    objective: Option<DatasetObjective>,
    /// The step of the last measurement, of this process or an earlier one.
    last_step: Option<u64>,
    /// Seconds spent measuring in this process.
    pub secs: f64,
}

impl Meter {
    /// A meter that measures by `policy` on `samples` training images, 0 for all; `last_step` is that of the
    /// last measurement the log holds.
    pub fn new(policy: Policy, samples: usize, last_step: Option<u64>) -> Self {
        Self { policy, samples, objective: None, last_step, secs: 0.0 }
    }

    /// Whether the state after `step` steps is measured.
    pub fn takes(&self, step: u64, steps_per_epoch: u64) -> bool {
        self.policy.takes(step, steps_per_epoch)
    }

    /// Whether the state after `step` steps is measured and was not yet.
    pub fn is_due(&self, step: u64, steps_per_epoch: u64) -> bool {
        self.takes(step, steps_per_epoch) && self.is_missing(step)
    }

    /// Whether the state after `step` steps was not measured yet.
    pub fn is_missing(&self, step: u64) -> bool {
        self.last_step.is_none_or(|last| last < step)
    }

    /// Measures `state` by `f`, which is given the loss on the sample. The sample is that of the defaults of
    /// the commands (seed 0), so that both ways give the same number.
    pub fn measure<T>(
        &mut self,
        setup: &Setup,
        state: &TrainState,
        f: impl FnOnce(&DatasetObjective) -> Result<T>,
    ) -> Result<T> {
        let started = Instant::now();
        let buffers = setup.buffers_at_theta(state)?.into_owned();
        self.secs += started.elapsed().as_secs_f64();
        self.measure_with(setup, buffers, state.step, f)
    }

    /// Measures after `step` steps by `f`, which is given the loss on the sample with `buffers`, (B,).
    pub fn measure_with<T>(
        &mut self,
        setup: &Setup,
        buffers: Vec<f32>,
        step: u64,
        f: impl FnOnce(&DatasetObjective) -> Result<T>,
    ) -> Result<T> {
        let started = Instant::now();
        let objective = match &self.objective {
            Some(objective) => objective.with_buffers(buffers)?,
            None => self.objective(setup, buffers)?,
        };
        let found = f(&objective)?;
        self.objective = Some(objective);
        self.last_step = Some(step);
        self.secs += started.elapsed().as_secs_f64();
        Ok(found)
    }

    fn objective(&self, setup: &Setup, buffers: Vec<f32>) -> Result<DatasetObjective> {
        let train = &setup.data.train;
        let sample = if self.samples == 0 || self.samples >= train.len() {
            train.clone()
        } else {
            let order = SampleOrder::Balanced;
            train.select(&choose(&train.labels, self.samples, order, &Streams::new(0))?)
        };
        DatasetObjective::new(
            setup.backend.clone(),
            buffers,
            Arc::new(sample),
            setup.stats.clone(),
            setup.data.max_value,
        )
    }
}
