//! The paths of several runs on one plane, as files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PathCoord;
use crate::disk::{self, JsonlWriter};
use crate::names::named_enum;
use crate::{Error, Result};

named_enum! {
    /// Where the point (0, 0) of a joint plane is.
    #[derive(Default)]
    pub enum JointOrigin("origin") {
        /// The common start where the runs have one, else the mean of their ends.
        #[default]
        Auto = "auto",
        /// The common start.
        Start = "start",
        /// The mean of the runs' last finite snapshots.
        Mean = "mean",
        /// The last finite snapshot of the first run named.
        Final = "final",
    }
}

/// `paths/NAME.json` of a joint folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JointPaths {
    /// Version of the folder's format.
    pub format_version: u32,
    /// [`super::Plane::digest`] of the plane.
    pub plane_digest: String,
    /// What the origin is; never `auto`.
    pub origin: JointOrigin,
    /// How much each snapshot weighed in the plane, in words.
    pub weighting: String,
    /// What the plane's `null_explained_variance` is, in words.
    pub null: String,
    /// One for each run, in the folder's order.
    pub runs: Vec<RunPath>,
}

/// One run's path on a joint plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPath {
    /// The run's name in the joint folder.
    pub name: String,
    /// The part of this run's own variance that the joint plane holds.
    pub explained_variance: f64,
    /// The part that the run's own PCA plane would hold: no plane holds more.
    pub own_explained_variance: f64,
    /// Its finite snapshots.
    pub path: Vec<PathCoord>,
    /// Snapshots left out because they or their loss were not finite.
    pub excluded: Vec<usize>,
}

impl JointPaths {
    /// Writes the paths.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("paths are plain data");
        text.push('\n');
        disk::write_bytes(path, text.as_bytes())
    }

    /// Reads paths.
    ///
    /// # Errors
    /// [`Error::Landscape`] when there are none, [`Error::BadFile`] for damage.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|_| Error::Landscape {
            what: format!("there are no paths in {}", path.display()),
            remedy: "make the plane: lossreel plane RUN RUN ... --out JOINT".into(),
        })?;
        serde_json::from_str(&text).map_err(|e| Error::BadFile {
            what: format!("the paths do not parse ({e})"),
            remedy: "make the plane again: lossreel plane RUN RUN ... --out JOINT".into(),
            path: path.to_path_buf(),
        })
    }

    /// Coordinates of all snapshots of all runs.
    pub fn coords(&self) -> Vec<[f64; 2]> {
        self.runs.iter().flat_map(|run| run.path.iter().map(|p| [p.x, p.y])).collect()
    }
}

/// Losses at one snapshot of one run, on the surface's sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JointLoss {
    /// The run's name in the joint folder.
    pub run: String,
    /// The snapshot's number.
    pub snapshot: usize,
    /// Loss of the snapshot itself, with its own network and buffers.
    #[serde(with = "crate::disk::float")]
    pub true_loss: f64,
    /// Loss of its shadow on the plane, as the surface has it there.
    #[serde(with = "crate::disk::float")]
    pub plane_loss: f64,
}

/// `paths.jsonl` in a surface's folder: a line for each snapshot done.
#[derive(Debug)]
pub struct JointLosses {
    path: PathBuf,
    /// What is done, in the order it was.
    pub done: Vec<JointLoss>,
}

impl JointLosses {
    /// Opens the log of the surface in `folder`; a missing one is empty.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a damaged one.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("paths.jsonl");
        let done = disk::read_jsonl(&path)?.lines;
        Ok(Self { path, done })
    }

    /// The losses at a snapshot, where they are done.
    pub fn get(&self, run: &str, snapshot: usize) -> Option<&JointLoss> {
        self.done.iter().find(|loss| loss.run == run && loss.snapshot == snapshot)
    }

    /// Appends losses.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&mut self, losses: Vec<JointLoss>) -> Result<()> {
        let mut log = JsonlWriter::append(&self.path)?;
        losses.iter().try_for_each(|loss| log.push(loss))?;
        log.flush()?;
        self.done.extend(losses);
        Ok(())
    }
}
