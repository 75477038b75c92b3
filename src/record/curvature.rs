//! `curvature/NNNNNN.json`: the ends of the Hessian's spectrum at a snapshot, one file each, written
//! whole; a file that is absent is a snapshot that is not done.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{EvaluatedOn, Run};
use crate::curvature::Extremes;
use crate::disk::JsonFile;
use crate::{Error, Result};

const CURVATURE: JsonFile = JsonFile {
    action: "read a curvature",
    name: "the curvature",
    remedy: "remove the file and compute it again",
};

/// What is known of the curvature at a snapshot, and everything that it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvatureRecord {
    /// Version of the run folder's format.
    pub format_version: u32,
    /// The snapshot's number.
    pub snapshot: usize,
    /// Optimizer steps made.
    pub step: u64,
    /// Position in epochs.
    pub epoch: f64,
    /// The largest eigenvalues, falling; the first is the sharpness.
    #[serde(with = "crate::disk::floats")]
    pub eigenvalues: Vec<f64>,
    /// ||H v - lambda v|| of each: an eigenvalue is at most this far away.
    #[serde(with = "crate::disk::floats")]
    pub residuals: Vec<f64>,
    /// The smallest Ritz values (one), rising.
    #[serde(with = "crate::disk::floats")]
    pub smallest: Vec<f64>,
    /// Residuals of those; large where they did not converge, and then the spectrum goes lower.
    #[serde(with = "crate::disk::floats")]
    pub smallest_residuals: Vec<f64>,
    /// Whether the residuals of `eigenvalues` are within the tolerance.
    pub converged: bool,
    /// Hessian-vector products made.
    pub iterations: usize,
    /// Mean seconds of one.
    #[serde(with = "crate::disk::float")]
    pub hvp_seconds: f64,
    /// What it was computed on.
    pub of: CurvatureOf,
}

/// What a curvature depends on beside the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvatureOf {
    /// The images, and whose BatchNorm statistics: always those of the snapshot.
    #[serde(flatten)]
    pub on: EvaluatedOn,
    /// How many of the largest eigenvalues were asked for.
    pub largest: usize,
    /// Relative residual that was asked for.
    pub tolerance: f64,
}

impl CurvatureRecord {
    /// The record of what was found at a snapshot (its number, steps and epochs).
    pub fn new(snapshot: usize, step: u64, epoch: f64, found: &Extremes, of: CurvatureOf) -> Self {
        Self {
            format_version: super::FORMAT_VERSION,
            snapshot,
            step,
            epoch,
            eigenvalues: found.eigenvalues.clone(),
            residuals: found.residuals.clone(),
            smallest: vec![found.smallest],
            smallest_residuals: vec![found.smallest_residual],
            converged: found.converged,
            iterations: found.iterations,
            hvp_seconds: found.hvp_secs,
            of,
        }
    }

    /// The largest eigenvalue, NaN where it is not known.
    pub fn sharpness(&self) -> f64 {
        self.eigenvalues.first().copied().unwrap_or(f64::NAN)
    }
}

impl Run {
    /// `curvature/NNNNNN.json`.
    fn curvature_path(&self, snapshot: usize) -> PathBuf {
        self.curvature_dir().join(format!("{snapshot:06}.json"))
    }

    /// The curvatures that were computed, in the order of the snapshots; none where the folder is
    /// missing.
    ///
    /// # Errors
    /// [`Error::BadFile`] for one that is damaged.
    pub fn curvature(&self) -> Result<Vec<CurvatureRecord>> {
        let folder = self.curvature_dir();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("list the curvatures", &folder)(e)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io("list the curvatures", &folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Temporary files begin with a dot, other files are not ours.
            if name.strip_suffix(".json").is_none_or(|stem| stem.parse::<usize>().is_err()) {
                continue;
            }
            found.push(self.read_curvature(&path)?);
        }
        found.sort_by_key(|r: &CurvatureRecord| r.snapshot);
        Ok(found)
    }

    /// One of the files in `curvature/`.
    ///
    /// # Errors
    /// [`Error::BadFile`] for one that is damaged.
    pub fn read_curvature(&self, path: &Path) -> Result<CurvatureRecord> {
        CURVATURE.read(path)
    }

    /// Removes those that were computed, and nothing else from their folder.
    ///
    /// # Errors
    /// Those of [`Run::curvature`]; [`crate::Error::Io`].
    pub fn remove_curvatures(&self) -> Result<()> {
        for record in self.curvature()? {
            let path = self.curvature_path(record.snapshot);
            fs::remove_file(&path).map_err(Error::io("remove an old curvature", &path))?;
        }
        Ok(())
    }

    /// Writes one.
    pub fn write_curvature(&self, record: &CurvatureRecord) -> Result<()> {
        CURVATURE.write(&self.curvature_path(record.snapshot), record)
    }
}
