//! Listens to a training run and writes its folder.
//!
//! The files are written behind the training ([`Writer`]): an event costs a copy of what it records, and
//! time only where more is recorded than the disk takes.

use std::fs::{self, File};
use std::sync::Arc;

use super::gradient_noise::gradient_noise;
use super::keep::Held;
use super::meter::Meter;
use super::metrics::{EpochRecord, Line, StepRecord};
use super::occasions::{DROP, SpikeWatch, Trigger};
use super::overshoot::StepMeter;
use super::sharpness::sharpness;
use super::snapshots::StateFile;
use super::writer::Writer;
use super::{RecordSpec, Run, SnapshotInfo, Status};
use crate::disk::{self, JsonlWriter};
use crate::network::ParamLayout;
use crate::train::{Event, Setup, TrainState, Verdict};
use crate::{Error, Result};

/// Writes metrics, snapshots and checkpoints of one run as its events come.
pub struct Recorder {
    run: Run,
    spec: RecordSpec,
    log: JsonlWriter,
    layout: Option<Arc<ParamLayout>>,
    steps_per_epoch: u64,
    total_steps: u64,
    /// The snapshots on disk, or given to the writer, in the order they were taken.
    held: Vec<Held>,
    spikes: SpikeWatch,
    lr: f64,
    batch_loss: f64,
    elapsed_before_secs: f64,
    started: std::time::Instant,
    sharpness: Option<Meter>,
    gradient_noise: Option<Meter>,
    overshoot: Option<StepMeter>,
    // Dropped before the lock: while it writes, the folder is ours.
    writer: Writer,
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
        let last = |of: fn(&Line) -> bool| kept.iter().filter(|l| of(l)).map(|l| l.step()).max();
        let sharpness = spec.sharpness.map(|policy| {
            let samples = spec.sharpness_samples.unwrap_or(super::SHARPNESS_SAMPLES);
            Meter::new(policy, samples, last(|l| matches!(l, Line::Sharpness(_))))
        });
        let gradient_noise = spec.gradient_noise.map(|policy| {
            let samples = spec.gradient_noise_samples.unwrap_or(super::GRADIENT_NOISE_SAMPLES);
            Meter::new(policy, samples, last(|l| matches!(l, Line::GradientNoise(_))))
        });
        let overshoot = spec.overshoot.map(|policy| {
            let samples = spec.overshoot_samples.unwrap_or(super::OVERSHOOT_SAMPLES);
            // A step is written after it is made: it was not begun before.
            StepMeter::new(Meter::new(policy, samples, None))
        });
        let held = take_back(run, state.step, &kept)?;
        let mut spikes = SpikeWatch::default();
        let (mut lr, mut batch_loss) = (f64::NAN, f64::NAN);
        for line in &kept {
            if let Line::Step(step) = line {
                spikes.is_spike(step.loss);
                (lr, batch_loss) = (step.lr, step.loss);
            }
        }
        if kept.len() < log.lines.len() || log.torn {
            let mut text = Vec::new();
            for line in kept {
                text.extend(disk::jsonl_line(line));
            }
            disk::write_bytes(&run.metrics_path(), &text)?;
        }
        // Room for what the end of an epoch gives at once: a snapshot and a checkpoint.
        let state_len = state.theta.len() + state.buffers.len();
        let capacity = size_of::<f32>() * (2 * state_len + state.optimizer.state_len());
        Ok(Self {
            run: run.clone(),
            spec: spec.clone(),
            log: JsonlWriter::append(&run.metrics_path())?,
            layout: None,
            steps_per_epoch: 1,
            total_steps: 0,
            held,
            spikes,
            lr,
            batch_loss,
            elapsed_before_secs,
            started: std::time::Instant::now(),
            sharpness,
            gradient_noise,
            overshoot,
            writer: Writer::start(capacity, run.root())?,
            _lock: lock,
        })
    }

    /// Takes in one event. What it gives the writer need not be on disk when this returns, except at the
    /// beginning and at the end of a training.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses this, or refused what an earlier event gave: what is written up
    /// to there stays whole.
    pub fn on(&mut self, setup: &Setup, event: &Event<'_>) -> Result<()> {
        self.writer.check()?;
        match event {
            Event::Begin { state, steps_per_epoch, total_steps } => {
                (self.steps_per_epoch, self.total_steps) = (*steps_per_epoch, *total_steps);
                self.layout = Some(Arc::new(setup.backend.network().layout.clone()));
                if state.step == 0 {
                    self.lr = self.lr_of_step(setup, 1);
                    self.snapshot(setup, state, false)?;
                    self.measure(setup, state, Meter::is_due)?;
                    self.checkpoint(state)?;
                    // A run that has made a step can be resumed.
                    self.writer.wait()?;
                }
                self.begin_step(setup, state)?;
            }
            Event::Step { state, metrics } => {
                (self.lr, self.batch_loss) = (metrics.lr, metrics.loss);
                self.log.push(&Line::Step(StepRecord::new(*metrics, self.elapsed_secs())))?;
                let spike = self.spikes.is_spike(metrics.loss);
                if metrics.loss.is_finite() {
                    self.end_step(setup, state)?;
                    let every = &self.spec.every;
                    let due = every.takes(state.step, self.steps_per_epoch)
                        || every.has(Trigger::LossSpike) && spike
                        || every.has(Trigger::LrDrop) && self.is_before_drop(setup, state.step);
                    if due {
                        self.snapshot(setup, state, false)?;
                    }
                    self.measure(setup, state, Meter::is_due)?;
                    self.begin_step(setup, state)?;
                }
            }
            Event::Epoch { state, metrics } => {
                self.log.push(&Line::Epoch(EpochRecord::new(*metrics, self.elapsed_secs())))?;
                let best =
                    metrics.test.loss == state.best_test_loss && state.epochs_since_best == 0;
                if best && self.spec.every.has(Trigger::NewBest) && !self.is_taken(state.step) {
                    self.snapshot(setup, state, false)?;
                }
                if let Some(last) = self.held.last_mut().filter(|held| held.step == state.step) {
                    last.test_loss = Some(metrics.test.loss);
                }
                self.checkpoint(state)?;
            }
            Event::End { state, verdict } => {
                let diverged = matches!(verdict, Verdict::Diverged { .. });
                let interrupted = *verdict == Verdict::Interrupted;
                if !interrupted && !diverged {
                    self.measure(setup, state, |meter, step, _| meter.is_missing(step))?;
                }
                if !interrupted && (diverged || !self.is_taken(state.step)) {
                    self.snapshot(setup, state, diverged)?;
                }
                self.checkpoint(state)?;
                self.writer.wait()?;
                let mut manifest = self.run.manifest()?;
                manifest.elapsed_secs = self.elapsed_secs();
                manifest.status = Status::Ended { verdict: *verdict, steps: state.step };
                manifest.snapshots_digest = self.run.snapshots_digest()?;
                self.run.write_manifest(&manifest)?;
            }
        }
        Ok(())
    }

    /// The learning rate of a step, from 1.
    fn lr_of_step(&self, setup: &Setup, step: u64) -> f64 {
        let base = setup.optim.lr();
        setup.schedule.lr_at(base, step - 1, self.steps_per_epoch, self.total_steps)
    }

    /// Whether the learning rate stood still over the last two of `step` steps and drops at the next.
    fn is_before_drop(&self, setup: &Setup, step: u64) -> bool {
        if step < 2 || step >= self.total_steps {
            return false;
        }
        let [before, last, next] = [step - 1, step, step + 1].map(|s| self.lr_of_step(setup, s));
        before == last && next < DROP * last
    }

    /// Whether the last snapshot is that of `step`.
    fn is_taken(&self, step: u64) -> bool {
        self.held.last().is_some_and(|held| held.step == step)
    }

    /// Seconds spent on this run, over all resumptions, without those of measuring: a race
    /// by the clock is not lost by looking.
    fn elapsed_secs(&self) -> f64 {
        let overshoot = self.overshoot.as_ref().map(|steps| &steps.meter);
        let meters = [self.sharpness.as_ref(), self.gradient_noise.as_ref(), overshoot];
        let meters = meters.into_iter().flatten();
        let measuring: f64 = meters.map(|meter| meter.secs).sum();
        self.elapsed_before_secs + self.started.elapsed().as_secs_f64() - measuring
    }

    /// Logs what is measured of `state`, by the meters that there are and that are `due` (given the step and
    /// the steps in an epoch).
    fn measure(
        &mut self,
        setup: &Setup,
        state: &TrainState,
        due: impl Fn(&Meter, u64, u64) -> bool,
    ) -> Result<()> {
        let (step, per_epoch) = (state.step, self.steps_per_epoch);
        let epoch = step as f64 / per_epoch as f64;
        if let Some(meter) = self.sharpness.as_mut().filter(|meter| due(meter, step, per_epoch)) {
            let found =
                meter.measure(setup, state, |objective| sharpness(objective, state, epoch))?;
            self.log.push(&Line::Sharpness(found))?;
        }
        if let Some(meter) =
            self.gradient_noise.as_mut().filter(|meter| due(meter, step, per_epoch))
        {
            let batch = setup.train.batch_size;
            let found = meter.measure(setup, state, |objective| {
                gradient_noise(objective, state, epoch, batch)
            })?;
            if let Some(found) = found {
                self.log.push(&Line::GradientNoise(found))?;
            }
        }
        Ok(())
    }

    /// Keeps `state` where the step that follows is to be measured.
    fn begin_step(&mut self, setup: &Setup, state: &TrainState) -> Result<()> {
        match &mut self.overshoot {
            Some(steps) => steps.begin(setup, state, self.steps_per_epoch),
            None => Ok(()),
        }
    }

    /// Logs the overshoot of the step that led to `state`, where it is measured.
    fn end_step(&mut self, setup: &Setup, state: &TrainState) -> Result<()> {
        let epoch = state.step as f64 / self.steps_per_epoch as f64;
        if let Some(steps) = &mut self.overshoot
            && let Some(found) = steps.end(setup, state, epoch)?
        {
            self.log.push(&Line::Overshoot(found))?;
        }
        Ok(())
    }

    fn snapshot(&mut self, setup: &Setup, state: &TrainState, diverged: bool) -> Result<()> {
        let again = diverged && self.is_taken(state.step);
        let index = match self.held.last() {
            // The state at which the loss overflowed was taken already: say so there.
            Some(last) if again => last.index,
            Some(last) => last.index + 1,
            None => 0,
        };
        let info = SnapshotInfo {
            path: self.run.snapshot_path(index),
            index,
            step: state.step,
            epoch: state.step as f64 / self.steps_per_epoch as f64,
            lr: self.lr,
            batch_loss: self.batch_loss,
            diverged,
            rounding: 0.0,
            digest: None,
        };
        let layout = self.layout().clone();
        let buffers = setup.buffers_at_theta(state)?;
        let bytes = size_of::<f32>() * (state.theta.len() + state.buffers.len());
        self.writer.write(bytes, || StateFile {
            metadata: info.metadata(&layout.digest()),
            path: info.path,
            layout,
            theta: state.theta.clone(),
            buffers: buffers.into_owned(),
            extra: Vec::new(),
            stored: self.spec.dtype,
        })?;
        if again {
            self.held.pop();
        }
        self.held.push(Held { index, step: state.step, test_loss: None, diverged });
        Ok(())
    }

    /// The checkpoint after the log that it implies, then what is removed as no longer wanted: a run
    /// that goes on from an older checkpoint still finds all of its snapshots.
    fn checkpoint(&mut self, state: &TrainState) -> Result<()> {
        self.writer.sync_log(&mut self.log)?;
        let values = state.theta.len() + state.buffers.len() + state.optimizer.state_len();
        let bytes = size_of::<f32>() * values;
        let layout = self.layout();
        self.writer.write(bytes, || self.run.checkpoint(layout, state))?;
        let stays = self.spec.keep.stays(&self.held);
        for held in self.held.iter().zip(&stays).filter(|(_, stays)| !**stays).map(|(h, _)| h) {
            self.writer.remove(self.run.snapshot_path(held.index))?;
        }
        let mut stays = stays.into_iter();
        self.held.retain(|_| stays.next().unwrap_or(true));
        Ok(())
    }

    fn layout(&self) -> &Arc<ParamLayout> {
        self.layout.as_ref().expect("a training begins with its first event")
    }
}

/// Removes the snapshots from beyond `step`, and the others' list. `log` is what the run's log holds up to
/// there.
fn take_back(run: &Run, step: u64, log: &[&Line]) -> Result<Vec<Held>> {
    let test_loss = |step: u64| {
        log.iter().rev().find_map(|line| match line {
            Line::Epoch(epoch) if epoch.step == step => Some(epoch.test_loss),
            _ => None,
        })
    };
    let mut held = Vec::new();
    // A run without any has not begun.
    let infos = if step == 0 { Vec::new() } else { run.snapshots()? };
    for info in infos {
        if info.step > step || info.diverged {
            fs::remove_file(&info.path).map_err(Error::io("remove a snapshot", &info.path))?;
        } else {
            let (index, step) = (info.index, info.step);
            held.push(Held { index, step, test_loss: test_loss(step), diverged: false });
        }
    }
    Ok(held)
}
