//! What a number was computed on: shared by the headers of surfaces, curves and curvatures.

use serde::{Deserialize, Serialize};

use crate::backend::Precision;
use crate::dataset::{SampleOrder, SplitName};
use crate::objective::BatchNormPolicy;

/// Everything that a loss depends on beside the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedOn {
    /// The data set.
    pub dataset: String,
    /// Digest of the data set.
    pub data_digest: String,
    /// Which images of it.
    pub split: SplitName,
    /// How many of those.
    pub samples: usize,
    /// How they were chosen.
    pub sample_order: SampleSource,
    /// Seed of that choice.
    pub sample_seed: u64,
    /// What BatchNorm's statistics were.
    pub batch_norm: BatchNormPolicy,
    /// The engine.
    pub backend: String,
    /// The numbers that it multiplies for losses; gradients and Hessian-vector products are in f32
    /// always. f32 where a header does not say.
    #[serde(default)]
    pub precision: Precision,
    /// Answers in one sample that are right or wrong: 1, the positions of a text, or 0 where numbers are
    /// predicted.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub answers: usize,
    /// The pixel statistics, where no run's spec says them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_stats: Option<String>,
}

impl EvaluatedOn {
    /// A loss that is not of lossreel's own data: `data` in a few words, and how many samples of it the
    /// loss is a mean over (0 where that is not known).
    pub fn own_data(data: &str, samples: usize) -> Self {
        Self {
            dataset: data.into(),
            data_digest: String::new(),
            split: SplitName::Train,
            samples,
            sample_order: SampleSource::File,
            sample_seed: 0,
            batch_norm: BatchNormPolicy::Frozen,
            backend: "own".into(),
            precision: Precision::F32,
            answers: 1,
            norm_stats: None,
        }
    }

    /// The share of right answers, 0..1, where `correct` of all samples' answers are; NaN where nothing is
    /// right or wrong.
    pub fn accuracy(&self, correct: usize) -> f64 {
        correct as f64 / (self.samples * self.answers) as f64
    }

    /// ` in bf16`; nothing for f32.
    pub fn precision_words(&self) -> String {
        match self.precision {
            Precision::F32 => String::new(),
            narrow => format!(" in {narrow}"),
        }
    }
}

fn one() -> usize {
    1
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

/// How the images of a sample were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleSource {
    /// The first of the split.
    File,
    /// A seeded draw with as many of each class.
    Balanced,
    /// The mini-batch of a training step.
    MiniBatch {
        /// The step, from 1.
        step: usize,
    },
}

impl From<SampleOrder> for SampleSource {
    fn from(order: SampleOrder) -> Self {
        match order {
            SampleOrder::File => Self::File,
            SampleOrder::Balanced => Self::Balanced,
        }
    }
}
