//! Listens to a training run and writes its folder.

use std::fs::{self, File};

use super::metrics::{EpochRecord, Line, StepRecord};
use super::sharpness::SharpnessMeter;
use super::snapshots::write_state;
use super::{Policy, RecordSpec, Run, SnapshotInfo, Status};
use crate::disk::{self, JsonlWriter};
use crate::train::{Event, Setup, TrainState, Verdict};
use crate::{Error, Result};

/// Writes metrics, snapshots and checkpoints of one run as its events come.
pub struct Recorder {
    run: Run,
    policy: Policy,
    log: JsonlWriter,
    steps_per_epoch: u64,
    taken: usize,
    last_taken_step: Option<u64>,
    lr: f64,
    batch_loss: f64,
    elapsed_before_secs: f64,
    started: std::time::Instant,
    sharpness: Option<SharpnessMeter>,
    _lock: File,
}

impl Recorder {
    /// Writes into the folder of `run`, whose `lock` it keeps. `state` is where training is about to
    /// (re)start: whatever the folder holds from beyond that step (a crash after the last checkpoint) is
    /// taken back, to be written again, and files left half-written are removed.
    ///
    /// # Errors
    /// [`Error::LostLog`] where the log does not reach `state`, [`Error::Io`].
    pub fn new(run: &Run, lock: File, spec: &RecordSpec, state: &TrainState) -> Result<Self> {
        disk::remove_temporaries(run.root())?;
        disk::remove_temporaries(&run.snapshots_dir())?;
        let log = disk::read_jsonl::<Line>(&run.metrics_path())?;
        let kept: Vec<&Line> = log.lines.iter().filter(|l| l.step() <= state.step).collect();
        let logged = kept.iter().map(|l| l.step()).max().unwrap_or(0);
        if logged < state.step {
            return Err(Error::LostLog { logged, step: state.step, path: run.metrics_path() });
        }
        // The clock goes on from the last thing that is kept: what a crash took back took no time.
        let elapsed_before_secs = kept.iter().rev().find_map(|l| l.elapsed_secs()).unwrap_or(0.0);
        let measured = kept.iter().filter(|l| matches!(l, Line::Sharpness(_))).map(|l| l.step());
        let sharpness = SharpnessMeter::new(spec, measured.max());
        if kept.len() < log.lines.len() || log.torn {
            let mut text = Vec::new();
            for line in kept {
                text.extend(disk::jsonl_line(line));
            }
            disk::write_bytes(&run.metrics_path(), &text)?;
        }
        let (mut taken, mut last_taken_step) = (0, None);
        if state.step > 0 {
            for info in run.snapshots()? {
                if info.step > state.step || info.diverged {
                    fs::remove_file(&info.path)
                        .map_err(Error::io("remove a snapshot", &info.path))?;
                } else {
                    taken = info.index + 1;
                    last_taken_step = Some(info.step);
                }
            }
        }
        Ok(Self {
            run: run.clone(),
            policy: spec.every,
            log: JsonlWriter::append(&run.metrics_path())?,
            steps_per_epoch: 1,
            taken,
            last_taken_step,
            lr: f64::NAN,
            batch_loss: f64::NAN,
            elapsed_before_secs,
            started: std::time::Instant::now(),
            sharpness,
            _lock: lock,
        })
    }

    /// Takes in one event.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses: what is written up to there stays whole.
    pub fn on(&mut self, setup: &Setup, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Begin { state, steps_per_epoch, total_steps } => {
                self.steps_per_epoch = *steps_per_epoch;
                self.lr = setup.schedule.lr_at(
                    setup.optim.lr(),
                    state.step.saturating_sub(1),
                    *steps_per_epoch,
                    *total_steps,
                );
                if state.step == 0 {
                    self.snapshot(setup, state, false)?;
                    self.measure_sharpness(setup, state, SharpnessMeter::is_due)?;
                    self.run.write_checkpoint(setup, state)?;
                }
            }
            Event::Step { state, metrics } => {
                (self.lr, self.batch_loss) = (metrics.lr, metrics.loss);
                self.log.push(&Line::Step(StepRecord::new(*metrics, self.elapsed_secs())))?;
                if metrics.loss.is_finite() && self.policy.takes(state.step, self.steps_per_epoch) {
                    self.snapshot(setup, state, false)?;
                }
                if metrics.loss.is_finite() {
                    self.measure_sharpness(setup, state, SharpnessMeter::is_due)?;
                }
            }
            Event::Epoch { state, metrics } => {
                self.log.push(&Line::Epoch(EpochRecord::new(*metrics, self.elapsed_secs())))?;
                // Before the checkpoint that implies it.
                self.log.sync()?;
                self.run.write_checkpoint(setup, state)?;
            }
            Event::End { state, verdict } => {
                let diverged = matches!(verdict, Verdict::Diverged { .. });
                let interrupted = *verdict == Verdict::Interrupted;
                if !interrupted && !diverged {
                    let is_missing = |meter: &SharpnessMeter, step, _| meter.is_missing(step);
                    self.measure_sharpness(setup, state, is_missing)?;
                }
                self.log.sync()?;
                if !interrupted && (diverged || self.last_taken_step != Some(state.step)) {
                    self.snapshot(setup, state, diverged)?;
                }
                self.run.write_checkpoint(setup, state)?;
                let mut manifest = self.run.manifest()?;
                manifest.elapsed_secs = self.elapsed_secs();
                manifest.status = Status::Ended { verdict: *verdict, steps: state.step };
                self.run.write_manifest(&manifest)?;
            }
        }
        Ok(())
    }

    /// Seconds spent on this run, over all resumptions, without those of measuring sharpness: a race
    /// by the clock is not lost by looking.
    fn elapsed_secs(&self) -> f64 {
        let measuring = self.sharpness.as_ref().map_or(0.0, |meter| meter.secs);
        self.elapsed_before_secs + self.started.elapsed().as_secs_f64() - measuring
    }

    /// Logs the sharpness of `state` where there is a meter and it is `due` (given the step and the
    /// steps in an epoch).
    fn measure_sharpness(
        &mut self,
        setup: &Setup,
        state: &TrainState,
        due: impl Fn(&SharpnessMeter, u64, u64) -> bool,
    ) -> Result<()> {
        let Some(meter) = self.sharpness.as_mut() else { return Ok(()) };
        if due(meter, state.step, self.steps_per_epoch) {
            let epoch = state.step as f64 / self.steps_per_epoch as f64;
            let record = meter.measure(setup, state, epoch)?;
            self.log.push(&Line::Sharpness(record))?;
        }
        Ok(())
    }

    fn snapshot(&mut self, setup: &Setup, state: &TrainState, diverged: bool) -> Result<()> {
        let layout = &setup.backend.network().layout;
        if self.last_taken_step == Some(state.step) && diverged {
            // The state at which the loss overflowed was taken already: say so there.
            self.taken -= 1;
        }
        let info = SnapshotInfo {
            path: self.run.snapshot_path(self.taken),
            index: self.taken,
            step: state.step,
            epoch: state.step as f64 / self.steps_per_epoch as f64,
            lr: self.lr,
            batch_loss: self.batch_loss,
            diverged,
        };
        write_state(
            &info.path,
            layout,
            &state.theta,
            &state.buffers,
            &[],
            &info.metadata(&layout.digest()),
        )?;
        self.taken += 1;
        self.last_taken_step = Some(state.step);
        Ok(())
    }
}
