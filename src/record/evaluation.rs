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
    /// How far the loss in that precision was from the loss in f32 where it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision_error: Option<PrecisionError>,
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
            precision_error: None,
            answers: 1,
            norm_stats: None,
        }
    }

    /// The share of right answers, 0..1, where `correct` of all samples' answers are; NaN where nothing is
    /// right or wrong.
    pub fn accuracy(&self, correct: usize) -> f64 {
        correct as f64 / (self.samples * self.answers) as f64
    }

    /// ` in bf16 (0.12 % off f32)`; nothing for f32.
    pub fn precision_words(&self) -> String {
        match (self.precision, self.precision_error) {
            (Precision::F32, _) => String::new(),
            (narrow, None) => format!(" in {narrow}"),
            (narrow, Some(error)) => format!(" in {narrow} ({error} off f32)"),
        }
    }
}

/// The relative deviation of a loss in a narrow precision from the loss in f32, 0..: measured when an
/// evaluation begins. It is no part of what is evaluated: all are equal, so that what one processor has
/// begun another can go on with.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrecisionError(pub f64);

impl PrecisionError {
    /// Of the loss `narrow` from the loss `exact`; NaN where one of them is no number.
    pub fn between(narrow: f64, exact: f64) -> Self {
        Self(if narrow == exact { 0.0 } else { ((narrow - exact) / exact).abs() })
    }

    /// Whether it is known and at most `bound`.
    pub fn is_within(self, bound: f64) -> bool {
        self.0 <= bound
    }
}

impl PartialEq for PrecisionError {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Display for PrecisionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} %", 100.0 * self.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_precision_is_relative_and_never_small_where_it_is_unknown() {
        let within = |narrow, exact| PrecisionError::between(narrow, exact).is_within(0.02);
        assert!(within(1.019, 1.0) && within(0.981, 1.0) && within(0.0, 0.0));
        assert!(!within(1.03, 1.0) && !within(1e-9, 0.0));
        assert!(within(f64::INFINITY, f64::INFINITY));
        for unknown in [f64::NAN, f64::INFINITY] {
            assert!(!within(unknown, 1.0) && !within(1.0, unknown));
        }
        assert_eq!(PrecisionError::between(1.25, 1.0).to_string(), "25.00 %");
    }
}
