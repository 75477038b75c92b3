//! The paths of one run or of several on a plane, and the losses along them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::disk::{self, JsonlWriter};
use crate::names::named_enum;

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
