//! What a report compares: numbers of one member, each with its definition and how it is said.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::Run;
use crate::stages::curve::{self, Curve};
use crate::stages::predictions;
use crate::sweep::{MemberState, PREDICTIONS, Sweep, width_name};
use crate::{Error, Result};

/// A quantity of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Share of right answers on the test images at the end of training.
    TestAccuracy,
    /// Mean loss on them.
    TestLoss,
    /// Mean loss on the training images, in eval mode.
    TrainLoss,
    /// Training accuracy minus test accuracy, both in eval mode.
    GeneralisationGap,
    /// The largest Hessian eigenvalue of the training loss.
    Sharpness,
    /// Width of the basin along random filter-normalised directions.
    BasinWidth,
}

/// How a quantity's values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// By differences of shares, said in percentage points.
    Points,
    /// By ratios: statistics are of logarithms.
    Ratio,
}

impl Quantity {
    /// All, in the order of a report.
    pub const ALL: [Self; 6] = [
        Self::TestAccuracy,
        Self::TestLoss,
        Self::TrainLoss,
        Self::GeneralisationGap,
        Self::Sharpness,
        Self::BasinWidth,
    ];

    /// The key in JSON and CSV.
    pub fn key(self) -> &'static str {
        match self {
            Self::TestAccuracy => "test_accuracy",
            Self::TestLoss => "test_loss",
            Self::TrainLoss => "train_loss",
            Self::GeneralisationGap => "generalisation_gap",
            Self::Sharpness => "sharpness",
            Self::BasinWidth => "basin_width",
        }
    }

    /// As a column is headed.
    pub fn title(self) -> &'static str {
        match self {
            Self::TestAccuracy => "Test accuracy",
            Self::TestLoss => "Test loss",
            Self::TrainLoss => "Training loss",
            Self::GeneralisationGap => "Generalisation gap",
            Self::Sharpness => "Sharpness",
            Self::BasinWidth => "Basin width",
        }
    }

    /// What it is, in a sentence.
    pub fn definition(self) -> &'static str {
        match self {
            Self::TestAccuracy => {
                "Share of right answers on the test images at the end of training, in eval mode."
            }
            Self::TestLoss => {
                "Mean loss on the test images at the end: cross-entropy in nats, or the squared error that was \
                 trained."
            }
            Self::TrainLoss => {
                "Mean loss on the training images (as many as train.eval_samples says) at the end, in eval mode \
                 and without augmentation: cross-entropy in nats, or the squared error that was trained."
            }
            Self::GeneralisationGap => {
                "Training accuracy minus test accuracy at the end, both in eval mode."
            }
            Self::Sharpness => {
                "Largest eigenvalue of the Hessian of the mean training loss at the end, by Lanczos on \
                 exact Hessian-vector products; only where its residual is within the tolerance."
            }
            Self::BasinWidth => {
                "Length of the stretch around the trained weights on which the training loss stays below \
                 its value there plus the rise, along random filter-normalised directions (Li et al. \
                 2018), in units of such a direction; mean over the directions. BatchNorm statistics \
                 are frozen."
            }
        }
    }

    /// How values are compared.
    pub fn scale(self) -> Scale {
        match self {
            Self::TestAccuracy | Self::GeneralisationGap => Scale::Points,
            _ => Scale::Ratio,
        }
    }

    /// What is said of a larger and of a smaller value.
    pub fn comparatives(self) -> [&'static str; 2] {
        match self {
            Self::BasinWidth => ["wider", "narrower"],
            Self::Sharpness => ["sharper", "flatter"],
            Self::GeneralisationGap => ["larger", "smaller"],
            _ => ["higher", "lower"],
        }
    }

    /// What the sentence is about: "the basin", "the test accuracy".
    pub fn subject(self) -> &'static str {
        match self {
            Self::TestAccuracy => "the test accuracy",
            Self::TestLoss => "the test loss",
            Self::TrainLoss => "the training loss",
            Self::GeneralisationGap => "the generalisation gap",
            Self::Sharpness => "the minimum",
            Self::BasinWidth => "the basin",
        }
    }
}

/// What is known of one member; `None` where it was not measured, or did not come to an end.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MemberValues {
    /// At the end, 0..1.
    pub test_accuracy: Option<f64>,
    /// In nats.
    pub test_loss: Option<f64>,
    /// In nats.
    pub train_loss: Option<f64>,
    /// 0..1, in eval mode.
    pub train_accuracy: Option<f64>,
    /// The largest Hessian eigenvalue.
    pub sharpness: Option<f64>,
    /// Mean over directions.
    pub basin_width: Option<f64>,
    /// Directions along which the loss did not rise so far within the range: the width is at least that.
    pub width_beyond_range: usize,
    /// Seconds of training.
    pub seconds: Option<f64>,
    /// Epochs made.
    pub epochs: Option<u64>,
    /// Test images.
    pub test_images: Option<usize>,
    /// Whether each of them is answered rightly, where that was kept.
    #[serde(skip)]
    pub right: Option<Vec<bool>>,
}

impl MemberValues {
    /// The value of a quantity, where it is known and finite.
    pub fn get(&self, quantity: Quantity) -> Option<f64> {
        let value = match quantity {
            Quantity::TestAccuracy => self.test_accuracy,
            Quantity::TestLoss => self.test_loss,
            Quantity::TrainLoss => self.train_loss,
            Quantity::GeneralisationGap => {
                self.train_accuracy.zip(self.test_accuracy).map(|(train, test)| train - test)
            }
            Quantity::Sharpness => self.sharpness,
            Quantity::BasinWidth => self.basin_width,
        };
        value.filter(|v| v.is_finite())
    }
}

/// The values of a member; none for one that did not come to the end of its training.
///
/// # Errors
/// Those of reading its run.
pub fn values_of(sweep: &Sweep, state: &MemberState) -> Result<MemberValues> {
    if !state.is_trained {
        return Ok(MemberValues::default());
    }
    let run = Run::open(&state.run)?;
    let manifest = run.manifest()?;
    let metrics = run.metrics()?;
    let last = metrics.epochs.last();
    let mut values = MemberValues {
        test_accuracy: last.map(|e| e.test_accuracy),
        test_loss: last.map(|e| e.test_loss),
        train_loss: last.map(|e| e.train_loss),
        train_accuracy: last.map(|e| e.train_accuracy),
        seconds: Some(manifest.elapsed_secs),
        epochs: last.map(|e| e.epoch),
        test_images: Some(manifest.samples[1]),
        ..MemberValues::default()
    };
    if sweep.about.measure.curvature.is_some() {
        let last = run.snapshots()?.last().map(|s| s.index);
        let records = run.curvature()?;
        let at_end = records.iter().find(|r| Some(r.snapshot) == last && r.converged);
        values.sharpness = at_end.map(|r| r.sharpness());
    }
    if sweep.about.measure.predictions {
        values.right = predictions::read_right(&state.run.join(PREDICTIONS))?;
    }
    if let Some(measure) = &sweep.about.measure.width {
        let mut widths = Vec::new();
        for direction in 0..measure.directions {
            let folder = run.curve_dir(&width_name(direction))?;
            match curve::open(&folder) {
                Ok(curve) => widths.extend(width(&curve, measure.rise)),
                Err(Error::NoSurface { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // A mean over fewer directions than the others' would be another quantity.
        if widths.len() == measure.directions && !widths.is_empty() {
            let sum: f64 = widths.iter().map(|w| w.width).sum();
            values.basin_width = Some(sum / widths.len() as f64);
            values.width_beyond_range = widths.iter().filter(|w| w.beyond_range).count();
        }
    }
    Ok(values)
}

/// A width on a line.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Width {
    width: f64,
    /// Whether the loss does not rise so far on a side: the width is at least this.
    beyond_range: bool,
}

/// The width of the stretch around x = 0 on which the loss stays below that at 0 plus `rise`, its ends
/// interpolated between points; `None` for a line without a finite loss at 0.
fn width(curve: &Curve, rise: f64) -> Option<Width> {
    let points = &curve.points;
    let centre = points.iter().position(|p| p.x.abs() < 1e-9)?;
    let level = points[centre].loss + rise;
    if !level.is_finite() {
        return None;
    }
    let mut beyond_range = false;
    let mut reach = |side: &mut dyn Iterator<Item = (f64, f64)>| {
        let mut before = (0.0, points[centre].loss);
        for (x, loss) in side {
            // What is not finite is higher than any level.
            if loss.is_nan() || loss >= level {
                let share = (level - before.1) / (loss - before.1);
                let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
                return (before.0 + share * (x - before.0)).abs();
            }
            before = (x, loss);
        }
        beyond_range = true;
        before.0.abs()
    };
    let right = reach(&mut points[centre + 1..].iter().map(|p| (p.x, p.loss)));
    let left = reach(&mut points[..centre].iter().rev().map(|p| (p.x, p.loss)));
    Some(Width { width: left + right, beyond_range })
}

/// The values of all members by quantity, for tables.
pub fn by_quantity(values: &[MemberValues]) -> BTreeMap<Quantity, Vec<Option<f64>>> {
    let of = |quantity: Quantity| values.iter().map(|v| v.get(quantity)).collect::<Vec<_>>();
    let known = Quantity::ALL.into_iter().map(|quantity| (quantity, of(quantity)));
    known.filter(|(_, values)| values.iter().any(Option::is_some)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Precision;
    use crate::dataset::SplitName;
    use crate::objective::BatchNormPolicy;
    use crate::stages::curve::CurvePoint;

    fn curve(loss: impl Fn(f64) -> f64) -> Curve {
        let at = |i: i32| f64::from(i) / 10.0;
        let point = |x: f64| CurvePoint { x, loss: loss(x), accuracy: 0.0, loss_se: 0.0 };
        Curve {
            barrier: None,
            points: (-10..=10).map(|i| point(at(i))).collect(),
            samples: 1,
            split: SplitName::Train,
            direction: String::new(),
            batch_norm: BatchNormPolicy::Frozen,
            precision: Precision::F32,
            seconds: 0.0,
            notes: Vec::new(),
        }
    }

    #[test]
    fn the_width_of_a_line_is_where_it_crosses_the_level() {
        // 2 + 4 |x| rises by 1 at 0.25 on either side: between points, on straight pieces.
        let w = width(&curve(|x| 2.0 + 4.0 * x.abs()), 1.0).unwrap();
        assert!((w.width - 0.5).abs() < 1e-12 && !w.beyond_range, "{w:?}");
        // A side that never rises is as long as the range.
        let w = width(&curve(|x| if x > 0.0 { 4.0 * x } else { 0.0 }), 1.0).unwrap();
        assert!((w.width - 1.25).abs() < 1e-12 && w.beyond_range, "{w:?}");
        // A second valley beyond the pass does not count.
        let w = width(&curve(|x| if x.abs() < 0.35 { 4.0 * x.abs() } else { 0.0 }), 1.0).unwrap();
        assert!((w.width - 0.5).abs() < 1e-12, "{w:?}");
        let w = width(&curve(|x| if x > 0.15 { f64::INFINITY } else { 0.0 }), 1.0).unwrap();
        assert!((w.width - 1.1).abs() < 1e-12, "{w:?}");
        assert_eq!(width(&curve(|_| f64::NAN), 1.0), None);
    }
}
