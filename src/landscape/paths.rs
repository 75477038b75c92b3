//! The paths of one run or of several on a plane, and the losses along them.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::disk::{self, JsonlWriter};
use crate::names::named_enum;
use crate::{Error, Result};

named_enum! {
    /// Where the point (0, 0) of a plane is.
    #[derive(Default)]
    pub enum PlaneOrigin("origin") {
        /// The last finite snapshot of one run; of several their common start where they have one,
        /// else the mean of their ends.
        #[default]
        Auto = "auto",
        /// The common start.
        Start = "start",
        /// The mean of the runs' last finite snapshots.
        Mean = "mean",
        /// The last finite snapshot of the first run.
        Final = "final",
    }
}

/// A part of a run: the snapshots from one number to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SnapshotRange {
    /// The first.
    pub from: usize,
    /// The last; none for whatever is the run's last.
    pub to: Option<usize>,
}

impl SnapshotRange {
    /// Whether it is the whole of any run.
    pub fn is_whole(self) -> bool {
        self == Self::default()
    }

    /// Whether snapshot `index` is in it.
    pub fn contains(self, index: usize) -> bool {
        self.from <= index && self.to.is_none_or(|to| index <= to)
    }
}

/// `5..20`, `5..`, `..20`.
impl std::fmt::Display for SnapshotRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to {
            Some(to) => write!(f, "{}..{to}", self.from),
            None => write!(f, "{}..", self.from),
        }
    }
}

impl FromStr for SnapshotRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |problem: &str| {
            let remedy = "write the first and the last: 5..20, or 5.. or ..20 (both are included)";
            Error::bad_value("range of snapshots", text, problem, remedy)
        };
        let (from, to) = text.split_once("..").ok_or_else(|| bad("not two numbers"))?;
        let number = |text: &str| match text.trim() {
            "" => Ok(None),
            number => number.parse().map(Some).map_err(|_| bad("not two numbers")),
        };
        let (from, to) = (number(from)?.unwrap_or(0), number(to)?);
        if to.is_some_and(|to| to <= from) {
            return Err(bad("no path: it has fewer than two snapshots"));
        }
        Ok(Self { from, to })
    }
}

/// One snapshot on a plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathCoord {
    /// The snapshot's number.
    pub snapshot: usize,
    /// Optimizer steps made.
    pub step: u64,
    /// Position in epochs.
    pub epoch: f64,
    /// Learning rate of the last step.
    #[serde(with = "crate::disk::float")]
    pub lr: f64,
    /// Coordinate along x.
    #[serde(with = "crate::disk::float")]
    pub x: f64,
    /// Coordinate along y.
    #[serde(with = "crate::disk::float")]
    pub y: f64,
    /// ||d - Pd|| / ||d|| for the displacement d from the origin, 0..1.
    #[serde(with = "crate::disk::float")]
    pub off_plane_residual: f64,
}

/// One run's path on a plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPath {
    /// The run's name: its folder's, or that in the joint folder.
    pub run: String,
    /// The part of this run's own variance that the plane holds; none for planes that are not of
    /// principal components.
    pub explained_variance: Option<f64>,
    /// The part that the run's own principal plane would hold: no plane holds more.
    pub own_explained_variance: Option<f64>,
    /// Its finite snapshots.
    pub path: Vec<PathCoord>,
    /// Snapshots left out because they or their loss were not finite.
    pub excluded: Vec<usize>,
}

/// Losses at one snapshot of one run, on the surface's sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathLoss {
    /// The run, as [`RunPath::run`] names it.
    pub run: String,
    /// The snapshot's number.
    pub snapshot: usize,
    /// Loss of the snapshot itself, with its own network and buffers.
    #[serde(with = "crate::disk::float")]
    pub true_loss: f64,
    /// Loss of its projection on the plane, as the surface has it there.
    #[serde(with = "crate::disk::float")]
    pub plane_loss: f64,
}

/// `paths.jsonl` in a surface's folder: a line for each snapshot done.
#[derive(Debug)]
pub struct PathLosses {
    file: PathBuf,
    /// What is done, in the order it was.
    pub done: Vec<PathLoss>,
}

impl PathLosses {
    /// Opens the log of the surface in `folder`; a missing one is empty.
    ///
    /// # Errors
    /// [`crate::Error::BadFile`] for a damaged one.
    pub fn open(folder: &Path) -> Result<Self> {
        let file = folder.join("paths.jsonl");
        let done = disk::read_jsonl(&file)?.lines;
        Ok(Self { file, done })
    }

    /// The losses at a snapshot, where they are done.
    pub fn get(&self, run: &str, snapshot: usize) -> Option<&PathLoss> {
        self.done.iter().find(|loss| loss.run == run && loss.snapshot == snapshot)
    }

    /// Appends losses.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn append(&mut self, losses: Vec<PathLoss>) -> Result<()> {
        let mut log = JsonlWriter::append(&self.file)?;
        losses.iter().try_for_each(|loss| log.push(loss))?;
        log.flush()?;
        self.done.extend(losses);
        Ok(())
    }
}
