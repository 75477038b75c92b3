//! `curvature/NNNNNN.json`: the ends of the Hessian's spectrum at a snapshot, and where they were asked for
//! its trace, its density and its layers; one file each, written whole; a file that is absent is a snapshot
//! that is not done. Other matrices, and those of some parameters, have folders beside the files.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{EvaluatedOn, Run};
use crate::curvature::{Density, Estimate, Extremes, Matrix, Mean, TraceMethod};
use crate::disk::{JsonFile, digest};
use crate::objective::BatchNormPolicy;
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
    /// The largest eigenvalues, falling, as far as they converged; the first is the sharpness.
    #[serde(with = "crate::disk::floats")]
    pub eigenvalues: Vec<f64>,
    /// ||H v - lambda v|| of each: an eigenvalue is at most this far away.
    #[serde(with = "crate::disk::floats")]
    pub residuals: Vec<f64>,
    /// The smallest eigenvalues, rising, as far as they converged.
    #[serde(with = "crate::disk::floats")]
    pub smallest: Vec<f64>,
    /// Residuals of those.
    #[serde(with = "crate::disk::floats")]
    pub smallest_residuals: Vec<f64>,
    /// What did not converge of the largest: the true values are no smaller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest_of_largest: Vec<EstimateRecord>,
    /// What did not converge of the smallest: the true values are no larger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest_of_smallest: Vec<EstimateRecord>,
    /// Whether all eigenvalues that were asked for converged.
    pub converged: bool,
    /// Hessian-vector products made.
    pub iterations: usize,
    /// Mean seconds of one.
    #[serde(with = "crate::disk::float")]
    pub hvp_seconds: f64,
    /// The trace, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceRecord>,
    /// The density of the spectrum, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<DensityRecord>,
    /// The layers' own blocks, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<LayersRecord>,
    /// What it was computed on.
    pub of: CurvatureOf,
}

/// A Ritz value that did not converge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EstimateRecord {
    /// It.
    #[serde(with = "crate::disk::float")]
    pub value: f64,
    /// An eigenvalue is at most this far away.
    #[serde(with = "crate::disk::float")]
    pub residual: f64,
}

impl From<&Estimate> for EstimateRecord {
    fn from(estimate: &Estimate) -> Self {
        Self { value: estimate.value, residual: estimate.residual }
    }
}

/// A trace.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TraceRecord {
    /// How it was estimated.
    pub method: TraceMethod,
    /// Products with random vectors.
    pub products: usize,
    /// The estimate.
    #[serde(with = "crate::disk::float")]
    pub value: f64,
    /// Its standard error over the random vectors.
    #[serde(with = "crate::disk::float")]
    pub se: f64,
}

/// The quadratures of a spectrum by stochastic Lanczos quadrature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DensityRecord {
    /// Random vectors.
    pub probes: usize,
    /// Products for each.
    pub steps: usize,
    /// Rows of the matrix.
    pub parameters: usize,
    /// For each random vector `[eigenvalue, weight]`, falling; weights sum to 1. Empty where a product was
    /// not finite.
    pub nodes: Vec<Vec<[f64; 2]>>,
}

impl DensityRecord {
    /// The density as it was computed.
    pub fn density(&self) -> Density {
        Density { probes: self.nodes.clone(), dim: self.parameters, hvp_secs: f64::NAN }
    }
}

/// The blocks of the layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayersRecord {
    /// Products with random vectors for the traces.
    pub products: usize,
    /// Whether the largest eigenvalue of each block was computed.
    pub eigenvalues: bool,
    /// The layers, in the order of the parameters.
    pub layers: Vec<LayerRecord>,
}

/// The block of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// What the names of its tensors begin with.
    pub name: String,
    /// Its parameters.
    pub parameters: usize,
    /// The trace of its block, by Hutchinson's method.
    #[serde(with = "crate::disk::float")]
    pub trace: f64,
    /// Its standard error over the random vectors.
    #[serde(with = "crate::disk::float")]
    pub trace_se: f64,
    /// The largest eigenvalue of its block, where it was asked for and converged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eigenvalue: Option<f64>,
    /// Its residual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual: Option<f64>,
}

impl LayerRecord {
    /// The trace and its error.
    pub fn trace(&self) -> Mean {
        Mean { value: self.trace, se: self.trace_se }
    }
}

/// What a curvature depends on beside the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvatureOf {
    /// The images, and whose BatchNorm statistics: always those of the snapshot.
    #[serde(flatten)]
    pub on: EvaluatedOn,
    /// How many of the largest eigenvalues were asked for.
    pub largest: usize,
    /// How many of the smallest were asked for.
    #[serde(default)]
    pub smallest: usize,
    /// Relative residual that was asked for.
    pub tolerance: f64,
    /// Which matrix.
    #[serde(default)]
    pub matrix: Matrix,
    /// Of which parameters, as they were asked for; all where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
}

impl CurvatureOf {
    /// The folder of such curvatures inside `curvature/`; empty for the Hessian of all parameters with
    /// running BatchNorm statistics.
    fn series(&self) -> String {
        let mut parts = Vec::new();
        if self.matrix != Matrix::Hessian {
            parts.push(self.matrix.as_str().to_string());
        }
        if let BatchNormPolicy::Batch { .. } = self.on.batch_norm {
            parts.push("batch".into());
        }
        if let Some(pattern) = &self.parameters {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let name: String = pattern.chars().take(24).map(plain).collect();
            parts.push(format!("{name}-{}", &digest::sha256(pattern)[..8]));
        }
        parts.join("-")
    }
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
            smallest: found.smallest.clone(),
            smallest_residuals: found.smallest_residuals.clone(),
            rest_of_largest: found.rest_of_largest.iter().map(EstimateRecord::from).collect(),
            rest_of_smallest: found.rest_of_smallest.iter().map(EstimateRecord::from).collect(),
            converged: found.converged,
            iterations: found.iterations,
            hvp_seconds: found.hvp_secs,
            trace: None,
            density: None,
            layers: None,
            of,
        }
    }

    /// The largest eigenvalue, NaN where it is not known: where it did not converge, or the Hessian is not
    /// finite.
    pub fn sharpness(&self) -> f64 {
        self.eigenvalues.first().copied().unwrap_or(f64::NAN)
    }
}

impl Run {
    /// The folder of curvatures like `of`: `curvature/`, or a folder in it for those of other matrices or of
    /// some parameters.
    pub fn curvature_series(&self, of: &CurvatureOf) -> PathBuf {
        let series = of.series();
        if series.is_empty() { self.curvature_dir() } else { self.curvature_dir().join(series) }
    }

    /// The curvatures of the Hessian that were computed, in the order of the snapshots; none where the
    /// folder is missing.
    ///
    /// # Errors
    /// [`Error::BadFile`] for one that is damaged.
    pub fn curvature(&self) -> Result<Vec<CurvatureRecord>> {
        read_all(&self.curvature_dir())
    }

    /// Those that were computed of the same matrix and parameters as `of`.
    ///
    /// # Errors
    /// [`Error::BadFile`] for one that is damaged.
    pub fn curvature_like(&self, of: &CurvatureOf) -> Result<Vec<CurvatureRecord>> {
        read_all(&self.curvature_series(of))
    }

    /// One of the files in `curvature/`.
    ///
    /// # Errors
    /// [`Error::BadFile`] for one that is damaged.
    pub fn read_curvature(&self, path: &Path) -> Result<CurvatureRecord> {
        CURVATURE.read(path)
    }

    /// Removes those that were computed of the same matrix and parameters as `of`, and nothing else from
    /// their folder.
    ///
    /// # Errors
    /// Those of [`Run::curvature_like`]; [`crate::Error::Io`].
    pub fn remove_curvatures(&self, of: &CurvatureOf) -> Result<()> {
        for record in self.curvature_like(of)? {
            let path = file_of(&self.curvature_series(of), record.snapshot);
            fs::remove_file(&path).map_err(Error::io("remove an old curvature", &path))?;
        }
        Ok(())
    }

    /// Writes one.
    pub fn write_curvature(&self, record: &CurvatureRecord) -> Result<()> {
        let folder = self.curvature_series(&record.of);
        fs::create_dir_all(&folder).map_err(Error::io("make the folder", &folder))?;
        CURVATURE.write(&file_of(&folder, record.snapshot), record)
    }
}

/// `NNNNNN.json` in a folder.
fn file_of(folder: &Path, snapshot: usize) -> PathBuf {
    folder.join(format!("{snapshot:06}.json"))
}

fn read_all(folder: &Path) -> Result<Vec<CurvatureRecord>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list the curvatures", folder)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("list the curvatures", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Temporary files begin with a dot, other files are not ours.
        if name.strip_suffix(".json").is_none_or(|stem| stem.parse::<usize>().is_err()) {
            continue;
        }
        found.push(CURVATURE.read(&path)?);
    }
    found.sort_by_key(|r: &CurvatureRecord| r.snapshot);
    Ok(found)
}
