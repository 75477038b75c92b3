//! `metrics.jsonl`: one object a step or epoch. A number that is NaN or infinite is a
//! string: "NaN", "inf" or "-inf".

use serde::{Deserialize, Serialize};

use super::{Run, Status};
use crate::disk;
use crate::train::{EpochMetrics, StepMetrics, Verdict};
use crate::{Error, Result};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(super) enum Line {
    Step(StepRecord),
    Epoch(EpochRecord),
    Sharpness(SharpnessRecord),
    GradientNoise(GradientNoiseRecord),
    Overshoot(OvershootRecord),
}

/// A step, as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// From 1.
    pub step: u64,
    /// Position in epochs.
    pub epoch: f64,
    /// Learning rate.
    #[serde(with = "crate::disk::float")]
    pub lr: f64,
    /// Mean loss of the batch in train mode.
    #[serde(with = "crate::disk::float")]
    pub loss: f64,
    /// Share of right answers in the batch.
    #[serde(with = "crate::disk::float")]
    pub accuracy: f64,
    /// L2 norm of the gradient.
    #[serde(with = "crate::disk::float")]
    pub grad_norm: f64,
    /// Seconds spent training up to here, over all resumptions; runs of earlier versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_secs: Option<f64>,
}

/// An epoch, as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// Learning rate of the last step.
    #[serde(with = "crate::disk::float")]
    pub lr: f64,
    /// Mean loss over the epoch's batches as they were trained on.
    #[serde(with = "crate::disk::float")]
    pub running_loss: f64,
    /// Share of right answers among them.
    #[serde(with = "crate::disk::float")]
    pub running_accuracy: f64,
    /// Loss on the training images, eval mode.
    #[serde(with = "crate::disk::float")]
    pub train_loss: f64,
    /// Accuracy on them.
    #[serde(with = "crate::disk::float")]
    pub train_accuracy: f64,
    /// Loss on the test images, eval mode.
    #[serde(with = "crate::disk::float")]
    pub test_loss: f64,
    /// Accuracy on them.
    #[serde(with = "crate::disk::float")]
    pub test_accuracy: f64,
    /// Seconds spent training and evaluating up to here, over all resumptions.
    pub elapsed_secs: f64,
}

/// A measurement of sharpness, as written: the largest eigenvalue of the Hessian of the mean
/// cross-entropy on a fixed sample of un-augmented training images, in eval mode, without weight decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SharpnessRecord {
    /// Steps done.
    pub step: u64,
    /// Position in epochs.
    pub epoch: f64,
    /// The eigenvalue; NaN where a Hessian-vector product was not finite.
    #[serde(with = "crate::disk::float")]
    pub sharpness: f64,
    /// ||H v - lambda v|| of its unit eigenvector: an eigenvalue is at most this far away.
    #[serde(with = "crate::disk::float")]
    pub residual: f64,
    /// Hessian-vector products that it took.
    pub iterations: usize,
    /// Images it was measured on.
    pub samples: usize,
    /// The preconditioned sharpness: the largest eigenvalue of P^-1 H, where the rule divides the gradient by the
    /// diagonal matrix P ([`Optimizer::preconditioner`](crate::optim::Optimizer::preconditioner)).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::disk::optional_float"
    )]
    pub preconditioned: Option<f64>,
}

/// A measurement of the gradient's noise, as written: that of the mean loss on a fixed sample of un-augmented
/// training images, in eval mode, without weight decay ([`GradientNoise`](crate::curvature::GradientNoise)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GradientNoiseRecord {
    /// Steps done.
    pub step: u64,
    /// Position in epochs.
    pub epoch: f64,
    /// Length of the gradient of the expected loss; NaN where it is lost in the noise of the sample.
    #[serde(with = "crate::disk::float")]
    pub gradient_norm: f64,
    /// Trace of the covariance of a single image's gradient.
    #[serde(with = "crate::disk::float")]
    pub variance: f64,
    /// The simple noise scale, in images; NaN where the gradient is.
    #[serde(with = "crate::disk::float")]
    pub noise_scale: f64,
    /// Its standard error over groups of images.
    #[serde(with = "crate::disk::float")]
    pub noise_scale_se: f64,
    /// Ratio of signal to noise of the gradient of a batch of `batch` images; below zero where the gradient is
    /// lost in the noise of the sample.
    #[serde(with = "crate::disk::float")]
    pub signal_to_noise: f64,
    /// Its standard error over groups of images.
    #[serde(with = "crate::disk::float")]
    pub signal_to_noise_se: f64,
    /// Images in a batch of the run.
    pub batch: usize,
    /// Images it was measured on.
    pub samples: usize,
}

/// A measurement of how far a step overshot, as written: on a fixed sample of un-augmented training images, in eval
/// mode, without weight decay ([`Overshoot`](crate::curvature::Overshoot)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OvershootRecord {
    /// The step, from 1.
    pub step: u64,
    /// Position in epochs after it.
    pub epoch: f64,
    /// -1 for a step that did not get anywhere on the parabola along it, 0 for one to its minimum, 1 for one to the
    /// same height on the other side; NaN where the step went uphill from its beginning.
    #[serde(with = "crate::disk::float")]
    pub alpha: f64,
    /// Its standard error over groups of images.
    #[serde(with = "crate::disk::float")]
    pub alpha_se: f64,
    /// Slope of the loss along the step where it began, for the whole step.
    #[serde(with = "crate::disk::float")]
    pub slope_before: f64,
    /// The same where it ended.
    #[serde(with = "crate::disk::float")]
    pub slope_after: f64,
    /// Length of the step, in units of theta.
    #[serde(with = "crate::disk::float")]
    pub length: f64,
    /// Images it was measured on.
    pub samples: usize,
}

impl StepRecord {
    pub(super) fn new(m: StepMetrics, elapsed_secs: f64) -> Self {
        let accuracy = m.correct as f64 / m.answers as f64;
        Self {
            step: m.step,
            epoch: m.epoch,
            lr: m.lr,
            loss: m.loss,
            accuracy,
            grad_norm: m.grad_norm,
            elapsed_secs: Some(elapsed_secs),
        }
    }
}

impl EpochRecord {
    pub(super) fn new(m: EpochMetrics, elapsed_secs: f64) -> Self {
        Self {
            epoch: m.epoch,
            step: m.step,
            lr: m.lr,
            running_loss: m.running_loss,
            running_accuracy: m.running_accuracy,
            train_loss: m.train.loss,
            train_accuracy: m.train.accuracy(),
            test_loss: m.test.loss,
            test_accuracy: m.test.accuracy(),
            elapsed_secs,
        }
    }
}

impl Line {
    pub(super) fn step(&self) -> u64 {
        match self {
            Line::Step(s) => s.step,
            Line::Epoch(e) => e.step,
            Line::Sharpness(s) => s.step,
            Line::GradientNoise(n) => n.step,
            Line::Overshoot(o) => o.step,
        }
    }

    pub(super) fn elapsed_secs(&self) -> Option<f64> {
        match self {
            Line::Step(s) => s.elapsed_secs,
            Line::Epoch(e) => Some(e.elapsed_secs),
            // Measuring is not training.
            Line::Sharpness(_) | Line::GradientNoise(_) | Line::Overshoot(_) => None,
        }
    }
}

/// A run's metrics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// One record a step.
    pub steps: Vec<StepRecord>,
    /// One record an epoch.
    pub epochs: Vec<EpochRecord>,
    /// One record a measurement, of runs that measure sharpness while they train.
    pub sharpness: Vec<SharpnessRecord>,
    /// Likewise of the gradient's noise.
    pub gradient_noise: Vec<GradientNoiseRecord>,
    /// Likewise of the overshoot of steps.
    pub overshoot: Vec<OvershootRecord>,
    /// Whether the last line was cut off (a crash while it was written) and left out.
    pub torn: bool,
}

impl Metrics {
    /// Seconds of training after `step` steps, by straight lines between the times that were
    /// logged (each step's, or in a run of an earlier version each epoch's); 0 at the start, the
    /// last time known beyond the last step logged, `None` when no time was logged.
    pub fn elapsed_secs_at(&self, step: f64) -> Option<f64> {
        let mut known: Vec<(f64, f64)> =
            self.steps.iter().filter_map(|s| Some((s.step as f64, s.elapsed_secs?))).collect();
        if known.is_empty() {
            known = self.epochs.iter().map(|e| (e.step as f64, e.elapsed_secs)).collect();
        }
        let i = known.partition_point(|(at, _)| *at < step);
        let (after, last) = (known.get(i), known.last()?);
        let before = if i == 0 { (0.0, 0.0) } else { known[i - 1] };
        let Some(after) = after else { return Some(last.1) };
        if after.0 <= before.0 {
            return Some(before.1);
        }
        let share = ((step - before.0) / (after.0 - before.0)).clamp(0.0, 1.0);
        Some(before.1 + share * (after.1 - before.1))
    }
}

impl Run {
    /// Reads `metrics.jsonl`; a run that has none yet has no metrics.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a line that is damaged; [`Error::LostLog`] where the run has ended after
    /// more steps than were logged.
    pub fn metrics(&self) -> Result<Metrics> {
        let log = disk::read_jsonl::<Line>(&self.metrics_path())?;
        let manifest = self.manifest()?;
        if let Status::Ended { steps, verdict } = manifest.status {
            // What `train` finished ends with the record of an epoch; a loop of one's own need not.
            let whole_epochs = verdict == Verdict::Finished && !manifest.spec.is_empty();
            let is_epoch = |line: &&Line| matches!(line, Line::Epoch(_));
            let last = |lines: &mut dyn Iterator<Item = &Line>| lines.map(Line::step).max();
            let mut logged = last(&mut log.lines.iter()).unwrap_or(0);
            if whole_epochs && logged >= steps {
                logged = last(&mut log.lines.iter().filter(is_epoch)).unwrap_or(0);
            }
            if logged < steps {
                return Err(Error::LostLog { logged, step: steps, path: self.metrics_path() });
            }
        }
        let mut metrics = Metrics { torn: log.torn, ..Metrics::default() };
        for line in log.lines {
            match line {
                Line::Step(s) => metrics.steps.push(s),
                Line::Epoch(e) => metrics.epochs.push(e),
                Line::Sharpness(s) => metrics.sharpness.push(s),
                Line::GradientNoise(n) => metrics.gradient_noise.push(n),
                Line::Overshoot(o) => metrics.overshoot.push(o),
            }
        }
        Ok(metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_in_straight_lines_between_the_times_logged() {
        let step = |step, elapsed_secs| StepRecord {
            step,
            epoch: 0.0,
            lr: 0.1,
            loss: 1.0,
            accuracy: 0.5,
            grad_norm: 1.0,
            elapsed_secs,
        };
        let steps = vec![step(1, Some(2.0)), step(2, Some(3.0)), step(4, Some(7.0))];
        let metrics = Metrics { steps, ..Metrics::default() };
        let at = |s| metrics.elapsed_secs_at(s).unwrap();
        assert_eq!(
            [at(0.0), at(0.5), at(1.0), at(2.0), at(3.0), at(9.0)],
            [0., 1., 2., 3., 5., 7.]
        );
        assert_eq!(Metrics::default().elapsed_secs_at(1.0), None);
        // A run of an earlier version has times at its epochs only.
        let line =
            r#"{"kind":"step","step":1,"epoch":0.1,"lr":0.1,"loss":1,"accuracy":0,"grad_norm":1}"#;
        let Line::Step(old) = serde_json::from_str(line).unwrap() else { panic!("a step") };
        assert_eq!(old.elapsed_secs, None);
        assert_eq!(Metrics { steps: vec![old], ..Metrics::default() }.elapsed_secs_at(1.0), None);
    }
}
