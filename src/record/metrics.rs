//! `metrics.jsonl`: one object a step or epoch. A number that is NaN or infinite is a
//! string: "NaN", "inf" or "-inf".

use serde::{Deserialize, Serialize};

use super::Run;
use crate::Result;
use crate::disk;
use crate::train::{EpochMetrics, StepMetrics};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(super) enum Line {
    Step(StepRecord),
    Epoch(EpochRecord),
}

/// A step, as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// From 1.
    pub step: u64,
    /// Position in epochs.
    pub epoch: f64,
    /// Learning rate.
    pub lr: f64,
    /// Mean loss of the batch in train mode.
    #[serde(with = "crate::disk::float")]
    pub loss: f64,
    /// Share of right answers in the batch.
    pub accuracy: f64,
    /// L2 norm of the gradient.
    #[serde(with = "crate::disk::float")]
    pub grad_norm: f64,
}

/// An epoch, as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Mean loss over the epoch's batches as they were trained on.
    #[serde(with = "crate::disk::float")]
    pub running_loss: f64,
    /// Share of right answers among them.
    pub running_accuracy: f64,
    /// Loss on the training images, eval mode.
    #[serde(with = "crate::disk::float")]
    pub train_loss: f64,
    /// Accuracy on them.
    pub train_accuracy: f64,
    /// Loss on the test images, eval mode.
    #[serde(with = "crate::disk::float")]
    pub test_loss: f64,
    /// Accuracy on them.
    pub test_accuracy: f64,
    /// Seconds since the process that wrote this began to train.
    pub elapsed_secs: f64,
}

impl From<StepMetrics> for StepRecord {
    fn from(m: StepMetrics) -> Self {
        let accuracy = m.correct as f64 / m.images as f64;
        Self {
            step: m.step,
            epoch: m.epoch,
            lr: m.lr,
            loss: m.loss,
            accuracy,
            grad_norm: m.grad_norm,
        }
    }
}

impl From<EpochMetrics> for EpochRecord {
    fn from(m: EpochMetrics) -> Self {
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
            elapsed_secs: m.elapsed_secs,
        }
    }
}

impl Line {
    pub(super) fn step(&self) -> u64 {
        match self {
            Line::Step(s) => s.step,
            Line::Epoch(e) => e.step,
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
    /// Whether the last line was cut off (a crash while it was written) and left out.
    pub torn: bool,
}

impl Run {
    /// Reads `metrics.jsonl`; a run that has none yet has no metrics.
    ///
    /// # Errors
    /// [`crate::Error::BadFile`] for a line in the middle that does not parse.
    pub fn metrics(&self) -> Result<Metrics> {
        let log = disk::read_jsonl::<Line>(&self.metrics_path())?;
        let mut metrics = Metrics { torn: log.torn, ..Metrics::default() };
        for line in log.lines {
            match line {
                Line::Step(s) => metrics.steps.push(s),
                Line::Epoch(e) => metrics.epochs.push(e),
            }
        }
        Ok(metrics)
    }
}
