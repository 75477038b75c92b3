//! The `[train]` table of a spec.

use serde::{Deserialize, Serialize};

use crate::backend::BackendName;
use crate::dataset::{LastBatch, Loss};
use crate::{Error, Result};

/// The `[train]` table of a spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSpec {
    /// Passes over the training set.
    pub epochs: u64,
    /// Images a step.
    pub batch_size: usize,
    /// Root of all randomness.
    pub seed: u64,
    /// What is made small: `cross_entropy` or `squared`; without it squared error for targets that are
    /// numbers and cross-entropy for classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Share of the target spread over all classes, 0 for none; of cross-entropy only.
    pub label_smoothing: f64,
    /// `keep` or `drop` the short batch at the end of an epoch.
    pub last_batch: LastBatch,
    /// Training images evaluated after each epoch (a class-balanced draw), 0 for all.
    pub eval_samples: usize,
    /// Epochs without a better test loss after which training stops, 0 for never.
    pub early_stop: u64,
    /// Which engine trains.
    pub backend: BackendName,
    /// Of a fork of another run: the epoch from which on it draws its order of the data, augmentation and
    /// dropout from streams of its own; whole or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork_epoch: Option<f64>,
    /// Which streams these are: each number gives others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork_seed: Option<u64>,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            epochs: 300,
            batch_size: 128,
            seed: 0,
            loss: None,
            label_smoothing: 0.0,
            last_batch: LastBatch::Keep,
            eval_samples: 0,
            early_stop: 0,
            backend: BackendName::Auto,
            fork_epoch: None,
            fork_seed: None,
        }
    }
}

impl TrainSpec {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::BadValue`] naming the key.
    pub fn check(&self) -> Result<()> {
        if self.epochs == 0 {
            return Err(Error::bad_value("train.epochs", 0, "nothing to train", "use at least 1"));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(Error::bad_value(
                "train.label_smoothing",
                self.label_smoothing,
                "not a share below 1",
                "use a value from 0 up to but not including 1",
            ));
        }
        if self.loss == Some(Loss::Squared) && self.label_smoothing > 0.0 {
            return Err(Error::bad_value(
                "train.label_smoothing",
                self.label_smoothing,
                "but the squared error has none",
                "use 0, or train.loss = \"cross_entropy\"",
            ));
        }
        self.check_fork()
    }

    fn check_fork(&self) -> Result<()> {
        let epoch = match (self.fork_epoch, self.fork_seed) {
            (None, None) => return Ok(()),
            (Some(epoch), Some(_)) => epoch,
            (Some(epoch), None) => {
                let remedy = "add train.fork_seed, any whole number from 0 up";
                let problem = "but there is no train.fork_seed";
                return Err(Error::bad_value("train.fork_epoch", epoch, problem, remedy));
            }
            (None, Some(seed)) => {
                let remedy = "add train.fork_epoch, the epoch at which the run forks";
                let problem = "but there is no train.fork_epoch";
                return Err(Error::bad_value("train.fork_seed", seed, problem, remedy));
            }
        };
        if !(0.0..=self.epochs as f64).contains(&epoch) {
            let remedy = format!("use 0 to {}", self.epochs);
            let problem = format!("but the run has {} epochs", self.epochs);
            return Err(Error::bad_value("train.fork_epoch", epoch, problem, remedy));
        }
        Ok(())
    }

    /// The number of steps after which a fork goes its own way: the nearest to its epoch.
    pub fn fork_step(&self, steps_per_epoch: u64) -> Option<u64> {
        self.fork_epoch.map(|epoch| (epoch * steps_per_epoch as f64).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_has_an_epoch_within_the_run_and_a_seed() {
        let of = |fork_epoch, fork_seed| TrainSpec {
            epochs: 3,
            fork_epoch,
            fork_seed,
            ..TrainSpec::default()
        };
        let says = |spec: TrainSpec| spec.check().unwrap_err().to_string();
        assert!(of(Some(3.0), Some(0)).check().is_ok() && of(None, None).check().is_ok());
        assert!(says(of(Some(1.0), None)).contains("add train.fork_seed"));
        assert!(says(of(None, Some(1))).contains("add train.fork_epoch"));
        for epoch in [3.01, -1.0, f64::NAN, f64::INFINITY] {
            assert!(says(of(Some(epoch), Some(1))).contains("use 0 to 3"), "{epoch}");
        }
        assert_eq!(of(Some(1.26), Some(0)).fork_step(4), Some(5));
    }
}
