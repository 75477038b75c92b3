//! What stands between the evaluated cells of a surface of which not all are evaluated: `interpolated.json`,
//! written when the evaluation has ended. Values that were computed are never in it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Grid;
use crate::Result;
use crate::disk::JsonFile;
use crate::record::FORMAT_VERSION;

const FILE: JsonFile = JsonFile {
    action: "read the interpolation",
    name: "the interpolation",
    remedy: "remove that file and run the same `lossreel surface --budget` again",
};

/// In which units a surface is interpolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The logarithm of the loss: where all losses are positive.
    Log,
    /// The loss itself.
    Linear,
}

impl Scale {
    /// The scale on which `losses` are interpolated; those that are not finite do not count.
    pub(super) fn of(losses: impl Iterator<Item = f64>) -> Self {
        let is_positive = losses.filter(|loss| loss.is_finite()).all(|loss| loss > 0.0);
        if is_positive { Self::Log } else { Self::Linear }
    }

    /// The range of `losses` on this scale; 0 where none is finite.
    pub(super) fn range(self, losses: impl Iterator<Item = f64>) -> f64 {
        let values = losses.filter(|loss| loss.is_finite()).map(|loss| self.of_loss(loss));
        let (min, max) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        (max - min).max(0.0)
    }

    pub(super) fn of_loss(self, loss: f64) -> f64 {
        if self == Self::Log { loss.ln() } else { loss }
    }

    pub(super) fn to_loss(self, value: f64) -> f64 {
        if self == Self::Log { value.exp() } else { value }
    }
}

/// One cell's value between others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interpolated {
    /// Row-major index.
    pub k: usize,
    /// The loss; NaN or infinite where the nearest evaluated loss is.
    #[serde(with = "crate::disk::float")]
    pub loss: f64,
    /// Its estimated standard error on the scale of the interpolation; NaN where evaluated cells around it are
    /// finite and not.
    #[serde(with = "crate::disk::float")]
    pub error: f64,
}

/// The estimated error of an interpolation, each as a share of the range of the evaluated losses on the scale
/// of the interpolation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct InterpolationError {
    /// On which scale.
    pub scale: Scale,
    /// The range: the largest evaluated value less the smallest.
    pub range: f64,
    /// Of the mean over interpolated cells.
    pub mean: f64,
    /// Met by 99 % of them.
    pub quantile_99: f64,
    /// The largest.
    pub max: f64,
    /// Interpolated cells at the edge of where the loss is finite, which have no estimate.
    pub at_edge: usize,
}

/// `interpolated.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interpolation {
    /// Version of the run folder's format.
    format_version: u32,
    /// How large the errors are, by estimate.
    pub error: InterpolationError,
    /// The cells that were not evaluated, in the order of their indices.
    cells: Vec<Interpolated>,
}

impl Interpolation {
    /// The interpolation of `cells`, in the order of their indices, on `scale`, between evaluated values with
    /// this range.
    pub(super) fn new(cells: Vec<Interpolated>, scale: Scale, range: f64) -> Self {
        let mut errors: Vec<f64> = (cells.iter().map(|cell| cell.error))
            .filter(|error| error.is_finite())
            .map(|error| if range > 0.0 { error / range } else { 0.0 })
            .collect();
        errors.sort_by(f64::total_cmp);
        let rank = (0.99 * errors.len() as f64).ceil() as usize;
        let error = InterpolationError {
            scale,
            range,
            mean: errors.iter().sum::<f64>() / errors.len().max(1) as f64,
            quantile_99: errors.get(rank.saturating_sub(1)).copied().unwrap_or(0.0),
            max: errors.last().copied().unwrap_or(0.0),
            at_edge: cells.iter().filter(|cell| cell.error.is_nan()).count(),
        };
        Self { format_version: FORMAT_VERSION, error, cells }
    }

    /// The interpolation beside the cells of a surface over `grid` in `folder`; `None` where there is none.
    ///
    /// # Errors
    /// [`crate::Error::BadFile`] for a damaged file, and for cells that are not on the grid or not in order.
    pub(super) fn open(folder: &Path, grid: &Grid) -> Result<Option<Self>> {
        let path = folder.join("interpolated.json");
        let Some(found) = FILE.read_if_there::<Self>(&path)? else { return Ok(None) };
        let in_order = found.cells.windows(2).all(|pair| pair[0].k < pair[1].k);
        if !in_order || found.cells.last().is_some_and(|last| last.k >= grid.len()) {
            return Err(FILE.bad("its cells are not those of the grid, in order".into(), &path));
        }
        Ok(Some(found))
    }

    /// Writes it into the folder of its surface.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        FILE.write(&folder.join("interpolated.json"), self)
    }

    /// The value of cell `k`, if it was interpolated.
    pub fn of(&self, k: usize) -> Option<&Interpolated> {
        self.cells.binary_search_by_key(&k, |cell| cell.k).ok().map(|i| &self.cells[i])
    }
}
