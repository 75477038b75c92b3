//! What a surface is and what its cells hold: `grid.json` and a line of `cells.jsonl`.

use serde::{Deserialize, Serialize};

use super::Grid;
use crate::disk::JsonFile;
use crate::objective::Evaluation;
use crate::record::EvaluatedOn;

pub(super) const GRID: JsonFile = JsonFile {
    action: "read the surface",
    name: "the header",
    remedy: "remove the folder and compute the surface again",
};

/// `grid.json`: everything a cell's value depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the run folder's format.
    pub format_version: u32,
    /// Columns and rows.
    pub grid: Grid,
    /// Digest of the plane's vectors.
    pub plane_digest: String,
    /// The plane in words.
    pub plane: String,
    /// Through which snapshot of a run a curve goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
    /// Until which standard error images were added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UntilSe>,
    /// The images and what else each value rests on.
    #[serde(flatten)]
    pub on: EvaluatedOn,
}

/// A snapshot through which a curve goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// Its number.
    pub snapshot: usize,
    /// Optimizer steps made.
    pub step: u64,
    /// Whether it was meant as the run's last state, and not by its number: then a run that goes on
    /// leaves the curve behind.
    pub last: bool,
}

impl Header {
    /// Whether cells of `other` have the values that cells of this have. The digest of the plane's
    /// vectors says where a curve goes through; how that point was named does not count.
    pub(super) fn has_the_values_of(&self, other: &Self) -> bool {
        *self == Self { through: self.through, until: self.until, ..other.clone() }
    }
}

/// One cell's value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Row-major index.
    pub k: usize,
    /// Mean loss; NaN and infinities are written as strings and read as such.
    #[serde(with = "crate::disk::float")]
    pub loss: f64,
    /// Standard error of that mean.
    #[serde(with = "crate::disk::float")]
    pub loss_se: f64,
    /// Standard error of the difference to the loss at the plane's origin on the same samples, sample by
    /// sample: what they have in common is not in it. NaN where it is not known.
    #[serde(default = "unknown", with = "crate::disk::float", skip_serializing_if = "is_unknown")]
    pub difference_se: f64,
    /// Right answers.
    pub correct: usize,
}

fn unknown() -> f64 {
    f64::NAN
}

// Serde asks by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_unknown(value: &f64) -> bool {
    value.is_nan()
}

impl Cell {
    pub(super) fn new(k: usize, value: Evaluation, difference_se: f64) -> Self {
        let Evaluation { loss, loss_se, correct, .. } = value;
        Self { k, loss, loss_se, difference_se, correct }
    }

    /// The standard error with which it is told from other cells on the same samples: that of the difference to
    /// the origin, or of the loss itself where that is not known.
    pub fn paired_se(&self) -> f64 {
        if self.difference_se.is_finite() { self.difference_se } else { self.loss_se }
    }
}

/// Until when images are added to a surface: the paired standard errors of its cells' differences to the
/// plane's origin, or that quantile of them, meet a bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UntilSe {
    /// The bound, in the unit of the loss, or as a share of each cell's loss.
    pub bound: f64,
    /// Whether it is a share.
    pub relative: bool,
    /// Which of the errors, sorted, has to meet it, 0..1: 1 is the largest.
    pub quantile: f64,
}

impl UntilSe {
    /// The error that is held to the bound, over cells whose loss and error are finite; `None` where no cell
    /// has one.
    pub fn of(&self, cells: &[Option<Cell>]) -> Option<f64> {
        let error = |cell: &Cell| cell.difference_se / if self.relative { cell.loss } else { 1.0 };
        let mut errors: Vec<f64> = (cells.iter().flatten())
            .filter(|cell| cell.loss.is_finite())
            .map(error)
            .filter(|error| error.is_finite())
            .collect();
        errors.sort_by(f64::total_cmp);
        let rank = (self.quantile * errors.len() as f64).ceil() as usize;
        errors.get(rank.saturating_sub(1)).copied()
    }

    /// How many of `all` images a sample should have that has `samples` and reaches `error`: what the law
    /// 1/sqrt(n) promises and a twentieth more, at least one piece and at most four times as many, in whole
    /// pieces of `piece`.
    pub fn next(&self, samples: usize, error: f64, all: usize, piece: usize) -> usize {
        let promised = 1.05 * samples as f64 * (error / self.bound).powi(2);
        let next = (promised.min(4.0 * samples as f64).ceil() as usize).max(samples + 1);
        next.next_multiple_of(piece).min(all)
    }
}
