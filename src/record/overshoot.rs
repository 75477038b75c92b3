//! How far steps overshoot while a run trains.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::OvershootRecord;
use super::meter::Meter;
use crate::Result;
use crate::curvature::Overshoot;
use crate::rng::Streams;
use crate::train::{Setup, TrainState};

/// Measures single steps: it keeps the state before one, and measures when the step is made.
pub(super) struct StepMeter {
    pub meter: Meter,
    before: Option<Before>,
}

/// The state before the step that is measured next.
struct Before {
    step: u64,
    theta: Vec<f32>,
    buffers: Vec<f32>,
}

impl StepMeter {
    /// One that measures the step after each state that `meter` takes.
    pub fn new(meter: Meter) -> Self {
        Self { meter, before: None }
    }

    /// Keeps `state` where the step that follows is to be measured.
    ///
    /// # Errors
    /// Those of recomputing its BatchNorm statistics.
    pub fn begin(&mut self, setup: &Setup, state: &TrainState, steps_per_epoch: u64) -> Result<()> {
        if !self.meter.takes(state.step, steps_per_epoch) {
            return Ok(());
        }
        let started = Instant::now();
        let buffers = setup.buffers_at_theta(state)?.into_owned();
        self.before = Some(Before { step: state.step, theta: state.theta.clone(), buffers });
        self.meter.secs += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Measures the step that led to `state`, which is at `epoch`, where its beginning was kept: on one sample of
    /// training images, in eval mode with the BatchNorm statistics of before the step. `None` where it was not, and
    /// where there is nothing to measure.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn end(
        &mut self,
        setup: &Setup,
        state: &TrainState,
        epoch: f64,
    ) -> Result<Option<OvershootRecord>> {
        let Some(before) = self.before.take().filter(|before| before.step + 1 == state.step) else {
            return Ok(None);
        };
        let never = AtomicBool::new(false);
        self.meter.measure_with(setup, before.buffers, state.step, |objective| {
            let streams = Streams::new(0);
            let found = Overshoot::of(objective, &before.theta, &state.theta, &streams, &never)?;
            Ok(found.map(|found| OvershootRecord {
                step: state.step,
                epoch,
                alpha: found.alpha.value,
                alpha_se: found.alpha.se,
                slope_before: found.before.value,
                slope_after: found.after.value,
                length: found.length,
                samples: objective.samples(),
            }))
        })
    }
}
