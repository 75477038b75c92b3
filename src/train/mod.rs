//! The training loop. It emits [`Event`]s and does not know who listens: the recorder, a progress
//! bar, nobody. It holds no randomness of its own (every draw is addressed by epoch or step), so
//! a [`TrainState`] at step k is all that is needed to go on as if nothing had happened.

mod batch;
mod draws;
mod feed;
mod spec;
mod statistics;

pub use draws::Draws;
pub use spec::TrainSpec;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::backend::{Backend, TrainPass};
use crate::dataset::{Augment, Augmentation, Batcher, Dataset, LabelledImages, NormStats, batches};
use crate::memory;
use crate::objective::{DatasetObjective, Evaluation, Objective};
use crate::optim::{OptimConfig, Optimizer, ParamRange, ScheduleConfig};
use crate::rng::Streams;
use batch::StepBatch;

/// Everything a run needs apart from its state, resolved and checked.
pub struct Setup {
    /// The engine with the network.
    pub backend: Arc<dyn Backend>,
    /// Training and test images, already reduced to the samples asked for.
    pub data: Dataset,
    /// How pixels are normalised.
    pub stats: NormStats,
    /// How training images are augmented.
    pub augment: Augment,
    /// The optimizer, resolved.
    pub optim: OptimConfig,
    /// The schedule, resolved.
    pub schedule: ScheduleConfig,
    /// The rest.
    pub train: TrainSpec,
}

impl Setup {
    /// Optimizer steps in an epoch.
    ///
    /// # Errors
    /// [`crate::Error::BadValue`] for a batch size of 0 or larger than the data.
    pub fn steps_per_epoch(&self) -> Result<u64> {
        let order: Vec<usize> = (0..self.data.train.len()).collect();
        Ok(batches(&order, self.train.batch_size, self.train.last_batch)?.len() as u64)
    }

    /// The run before its first step.
    pub fn begin(&self) -> Result<TrainState> {
        let network = self.backend.network();
        let (dim, tensors) = (network.layout.dim(), ParamRange::of_layout(&network.layout));
        // Weights, gradient and two moments in f32; what a batch needs comes on top.
        memory::check("training this network", memory::product(&[dim, 16]))?;
        let streams = Streams::new(self.train.seed);
        Ok(TrainState {
            theta: network.init_theta(&streams),
            buffers: network.init_buffers(),
            optimizer: Optimizer::new(&self.optim, dim, &tensors)?,
            step: 0,
            epoch_loss: 0.0,
            epoch_correct: 0,
            epoch_images: 0,
            best_test_loss: f64::INFINITY,
            epochs_since_best: 0,
        })
    }
}

/// A run between two steps.
#[derive(Debug)]
pub struct TrainState {
    /// Parameters, in layout order.
    pub theta: Vec<f32>,
    /// Buffers, in layout order.
    pub buffers: Vec<f32>,
    /// The rule with its state.
    pub optimizer: Optimizer,
    /// Steps made.
    pub step: u64,
    /// Sum of the running training loss over this epoch's images so far.
    pub epoch_loss: f64,
    /// Right answers for them.
    pub epoch_correct: u64,
    /// Their number.
    pub epoch_images: u64,
    /// Lowest test loss after any epoch.
    pub best_test_loss: f64,
    /// Epochs since then.
    pub epochs_since_best: u64,
}

/// The figures of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepMetrics {
    /// The step, from 1.
    pub step: u64,
    /// Position in epochs after it.
    pub epoch: f64,
    /// Learning rate it used.
    pub lr: f64,
    /// Mean loss of its batch, before the update, in train mode.
    pub loss: f64,
    /// Right answers in its batch.
    pub correct: usize,
    /// Answers in its batch: its images, the positions of its sequences, or 0 where nothing is classified.
    pub answers: usize,
    /// Images in its batch.
    pub images: usize,
    /// L2 norm of the gradient before clipping and decay.
    pub grad_norm: f64,
}

/// The figures at the end of an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochMetrics {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// Learning rate of its last step.
    pub lr: f64,
    /// Mean over the epoch's batches as they were trained on (augmented, moving weights).
    pub running_loss: f64,
    /// Share of right answers among them, 0..1; NaN where nothing is classified.
    pub running_accuracy: f64,
    /// Training images, not augmented, eval mode.
    pub train: Evaluation,
    /// Test images, eval mode.
    pub test: Evaluation,
    /// Seconds since this process began to train.
    pub elapsed_secs: f64,
}

/// What the loop reports to its listener. A state is the one after the event.
#[derive(Debug)]
pub enum Event<'a> {
    /// Before the first step of this process (`state.step` is 0, or where a resumed run goes on).
    Begin {
        /// The run.
        state: &'a TrainState,
        /// Steps in an epoch.
        steps_per_epoch: u64,
        /// Steps in the whole run.
        total_steps: u64,
    },
    /// After each step.
    Step {
        /// The run.
        state: &'a TrainState,
        /// What the step saw.
        metrics: StepMetrics,
    },
    /// After each epoch.
    Epoch {
        /// The run.
        state: &'a TrainState,
        /// What it ended with.
        metrics: EpochMetrics,
    },
    /// After the last step of this process.
    End {
        /// The run.
        state: &'a TrainState,
        /// Why it is the last.
        verdict: Verdict,
    },
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// All epochs are done.
    Finished,
    /// The test loss did not improve for `train.early_stop` epochs.
    EarlyStopped,
    /// The loss of a batch was NaN or infinite and the step that would have followed was not made;
    /// or the loss on the training images was so after the very last step.
    Diverged {
        /// The step that could not be made, or the last one, from 1.
        step: u64,
        /// The learning rate it would have used.
        lr: f64,
    },
    /// The caller asked to stop; the run can be resumed.
    Interrupted,
}

/// Trains from `state` to the end. `listener` may fail (a full disk): training ends with its error.
/// Setting `interrupt` ends it after the current step.
///
/// # Errors
/// Those of the backend, of a batch size that does not fit the data, and of the listener.
pub fn train(
    setup: &Setup,
    state: &mut TrainState,
    interrupt: &AtomicBool,
    listener: &mut dyn FnMut(Event<'_>) -> Result<()>,
) -> Result<Verdict> {
    let spec = &setup.train;
    let steps_per_epoch = setup.steps_per_epoch()?;
    let draws = spec.draws(steps_per_epoch);
    let total_steps = steps_per_epoch.saturating_mul(spec.epochs);
    let batcher = Batcher::new(&setup.data.train, setup.data.max_value, &setup.stats)?;
    let evaluator = Evaluator::new(setup)?;
    let mut grad = vec![0.0; state.theta.len()];
    let (mut point, mut room) = (Vec::new(), Vec::new());
    let started = Instant::now();

    listener(Event::Begin { state, steps_per_epoch, total_steps })?;
    let verdict = loop {
        if state.step >= total_steps {
            break Verdict::Finished;
        }
        // Looked at here and not where the epoch ends, so that a run that stopped stays stopped.
        if spec.early_stop > 0 && state.epochs_since_best >= spec.early_stop {
            break Verdict::EarlyStopped;
        }
        let epoch = state.step / steps_per_epoch;
        let order = draws.epoch_order(epoch, setup.data.train.len());
        // All steps of one pass draw from the same streams: the epoch in which a run forks has two.
        let (streams, until) = (draws.at(state.step), draws.until(state.step));
        let augmentation = Augmentation { augment: setup.augment, streams, epoch };
        let done = (state.step % steps_per_epoch) as usize;
        let left = (until - state.step) as usize;
        let chunks = batches(&order, spec.batch_size, spec.last_batch)?.skip(done).take(left);
        let pass = feed::each(&batcher, &augmentation, chunks, |images, targets| {
            if interrupt.load(Ordering::Relaxed) {
                return Ok(ControlFlow::Break(Verdict::Interrupted));
            }
            let lr =
                setup.schedule.lr_at(setup.optim.lr(), state.step, steps_per_epoch, total_steps);
            let found = setup.backend.train_pass(
                TrainPass {
                    theta: state.optimizer.gradient_point(&state.theta, &mut point),
                    buffers: &mut state.buffers,
                    images,
                    targets,
                    label_smoothing: spec.label_smoothing,
                    streams: &streams,
                    step: state.step,
                },
                &mut grad,
            )?;
            let diverged = !found.loss.is_finite();
            let grad_norm = if diverged {
                f64::NAN
            } else {
                let mut batch = StepBatch {
                    setup,
                    streams: &streams,
                    step: state.step,
                    buffers: &state.buffers,
                    room: &mut room,
                    images,
                    targets,
                };
                let (theta, optimizer) = (&mut state.theta, &mut state.optimizer);
                optimizer.step_on(theta, &mut grad, found.loss, lr, &mut batch)?.grad_norm
            };
            let n = images.len() / setup.data.train.image_len();
            if !diverged {
                state.step += 1;
                state.epoch_loss += found.loss * n as f64;
                state.epoch_correct += found.correct as u64;
                state.epoch_images += n as u64;
            }
            let metrics = StepMetrics {
                step: state.step + u64::from(diverged),
                epoch: state.step as f64 / steps_per_epoch as f64,
                lr,
                loss: found.loss,
                correct: found.correct,
                answers: targets.answers(),
                images: n,
                grad_norm,
            };
            listener(Event::Step { state, metrics })?;
            Ok(if diverged {
                ControlFlow::Break(Verdict::Diverged { step: metrics.step, lr })
            } else {
                ControlFlow::Continue(())
            })
        })?;
        if let ControlFlow::Break(verdict) = pass {
            break verdict;
        }
        if !state.step.is_multiple_of(steps_per_epoch) {
            continue;
        }
        let ended =
            evaluator.end_epoch(setup, state, steps_per_epoch, total_steps, started, listener)?;
        if state.step >= total_steps && !ended.train.loss.is_finite() {
            // No step follows that could notice.
            break Verdict::Diverged { step: state.step, lr: ended.lr };
        }
    };
    listener(Event::End { state, verdict })?;
    Ok(verdict)
}

/// Loss and accuracy on both splits, as at the end of each epoch.
pub struct Evaluator {
    train: DatasetObjective,
    test: DatasetObjective,
}

impl Evaluator {
    /// On the images of `setup`: all test images, and as many training images as it says.
    ///
    /// # Errors
    /// Those of [`DatasetObjective::new`].
    pub fn new(setup: &Setup) -> Result<Self> {
        let streams = &Streams::new(setup.train.seed);
        let of = |images: &LabelledImages| {
            let buffers = setup.backend.network().init_buffers();
            DatasetObjective::new(
                setup.backend.clone(),
                buffers,
                Arc::new(images.clone()),
                setup.stats.clone(),
                setup.data.max_value,
            )
        };
        let train = &setup.data.train;
        let samples = setup.train.eval_samples;
        let train = if samples == 0 || samples >= train.len() {
            of(train)?
        } else {
            let order = crate::dataset::SampleOrder::Balanced;
            of(&train.select(&crate::dataset::choose(&train.labels, samples, order, streams)?))?
        };
        Ok(Self { train, test: of(&setup.data.test)? })
    }

    /// Training and test images at `theta`, (P,), with `buffers`, (B,), in eval mode.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn at(&self, theta: &[f32], buffers: &[f32]) -> Result<[Evaluation; 2]> {
        let train = self.train.with_buffers(buffers.to_vec())?.loss(theta)?;
        Ok([train, self.test.with_buffers(buffers.to_vec())?.loss(theta)?])
    }

    fn end_epoch(
        &self,
        setup: &Setup,
        state: &mut TrainState,
        steps_per_epoch: u64,
        total_steps: u64,
        started: Instant,
        listener: &mut dyn FnMut(Event<'_>) -> Result<()>,
    ) -> Result<EpochMetrics> {
        let [train, test] = self.at(&state.theta, &setup.buffers_at_theta(state)?)?;
        let images = state.epoch_images as f64;
        let answers = images * setup.data.train.targets.answers() as f64;
        let metrics = EpochMetrics {
            epoch: state.step / steps_per_epoch,
            step: state.step,
            lr: setup.schedule.lr_at(
                setup.optim.lr(),
                state.step - 1,
                steps_per_epoch,
                total_steps,
            ),
            running_loss: state.epoch_loss / images,
            running_accuracy: state.epoch_correct as f64 / answers,
            train,
            test,
            elapsed_secs: started.elapsed().as_secs_f64(),
        };
        (state.epoch_loss, state.epoch_correct, state.epoch_images) = (0.0, 0, 0);
        if test.loss < state.best_test_loss {
            (state.best_test_loss, state.epochs_since_best) = (test.loss, 0);
        } else {
            state.epochs_since_best += 1;
        }
        listener(Event::Epoch { state, metrics })?;
        Ok(metrics)
    }
}

#[cfg(test)]
mod tests;
