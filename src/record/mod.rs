//! Run folders: what a training run leaves behind, and how it is opened again.
//!
//! ```text
//! NAME/
//!   spec.toml                      the resolved spec
//!   manifest.json                  what made the run, and how it ended
//!   metrics.jsonl                  one object a step or epoch
//!   snapshots/NNNNNN.safetensors   theta and buffers by name
//!   checkpoint.safetensors         the newest resumable state
//!   planes/  surfaces/  curvature/  curves/   what later stages add
//! ```

mod checkpoint;
mod curvature;
mod evaluation;
mod joint;
mod manifest;
mod metrics;
mod policy;
mod recorder;
mod sharpness;
mod snapshots;

pub use curvature::{CurvatureOf, CurvatureRecord};
pub use evaluation::{EvaluatedOn, SampleSource};
pub use joint::{Joint, JointAbout, JointRun, run_digest};
pub use manifest::{FORMAT_VERSION, Manifest, Status};
pub use metrics::{EpochRecord, Metrics, SharpnessRecord, StepRecord};
pub use policy::{Policy, RecordSpec, SHARPNESS_SAMPLES};
pub use recorder::Recorder;
pub use snapshots::{RunSnapshots, SnapshotInfo, read_state};

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A run folder that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    root: PathBuf,
}

/// What to do when the folder of a new run holds a run already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse.
    Refuse,
    /// Delete the old run's files first.
    Replace,
}

/// Files and folders of a run: `Existing::Replace` removes these and nothing else. The spec goes
/// last: it marks the folder as a run, should the removal be cut short.
const OWN: &[&str] = &[
    "manifest.json",
    "metrics.jsonl",
    "snapshots",
    "checkpoint.safetensors",
    "planes",
    "surfaces",
    "curves",
    "curvature",
    "figures",
    "spec.toml",
];

impl Run {
    /// Makes the folder of a new run with its spec in it.
    ///
    /// # Errors
    /// [`Error::RunExists`] when it holds a run already and `existing` is `Refuse`,
    /// [`Error::FolderInUse`] when it holds other files, [`Error::Io`] when it cannot be written.
    pub fn create(root: impl Into<PathBuf>, spec_toml: &str, existing: Existing) -> Result<Self> {
        let root = root.into();
        let run = Self { root };
        let occupied = fs::read_dir(&run.root).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            if !run.spec_path().exists() {
                return Err(Error::FolderInUse { holds_no: "run", path: run.root });
            }
            if existing == Existing::Refuse {
                return Err(Error::RunExists { path: run.root });
            }
            let _lock = run.lock()?;
            remove(&run.root, OWN, "remove the old run's file")?;
        }
        fs::create_dir_all(&run.root).map_err(Error::io("make the run folder", &run.root))?;
        crate::disk::write_bytes(&run.spec_path(), spec_toml.as_bytes())?;
        let snapshots = run.snapshots_dir();
        fs::create_dir_all(&snapshots).map_err(Error::io("make the run folder", &snapshots))?;
        Ok(run)
    }

    /// Opens a run for reading, or to go on with it.
    ///
    /// # Errors
    /// [`Error::NoRun`] or [`Error::NotARun`] when there is none; [`Error::BadFile`] when it was
    /// written by a newer format.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let run = Self { root: root.into() };
        if !run.root.is_dir() {
            return Err(Error::NoRun { path: run.root });
        }
        if !run.spec_path().is_file() {
            return Err(Error::NotARun { path: run.root });
        }
        run.manifest()?;
        Ok(run)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder's own name, for titles.
    pub fn name(&self) -> String {
        name_of(&self.root)
    }

    /// The resolved spec's text.
    pub fn spec_toml(&self) -> Result<String> {
        fs::read_to_string(self.spec_path())
            .map_err(Error::io("read the run's spec", self.spec_path()))
    }

    /// Where the spec is.
    fn spec_path(&self) -> PathBuf {
        self.root.join("spec.toml")
    }

    fn manifest_path(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    fn metrics_path(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    fn snapshots_dir(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    fn checkpoint_path(&self) -> PathBuf {
        self.root.join("checkpoint.safetensors")
    }

    /// `planes/NAME.safetensors`.
    pub fn plane_path(&self, name: &str) -> PathBuf {
        plane_path(&self.root, name)
    }

    /// `surfaces/NAME/`.
    pub fn surface_dir(&self, name: &str) -> PathBuf {
        surface_dir(&self.root, name)
    }

    /// `curves/NAME/`.
    pub fn curve_dir(&self, name: &str) -> PathBuf {
        self.root.join("curves").join(name)
    }

    /// `curvature/`.
    pub fn curvature_dir(&self) -> PathBuf {
        self.root.join("curvature")
    }

    /// Takes the folder for writing; freed when the returned file is dropped, or the process ends.
    ///
    /// # Errors
    /// [`Error::Run`] when another process has it.
    pub fn lock(&self) -> Result<File> {
        let path = self.root.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::io("lock the run folder", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(self
                .error("another process is writing to this run", "wait for it to end, or stop it")),
            Err(TryLockError::Error(e)) => Err(Error::io("lock the run folder", &path)(e)),
        }
    }

    fn error(&self, what: &str, remedy: &str) -> Error {
        Error::Run { what: what.into(), remedy: remedy.into(), path: self.root.clone() }
    }
}

/// A folder's own name, whatever way leads there.
fn name_of(root: &Path) -> String {
    let absolute = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    absolute.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `planes/NAME.safetensors` of a run or a joint folder.
pub fn plane_path(root: &Path, name: &str) -> PathBuf {
    root.join("planes").join(format!("{name}.safetensors"))
}

/// `surfaces/NAME/` of a run or a joint folder.
pub fn surface_dir(root: &Path, name: &str) -> PathBuf {
    root.join("surfaces").join(name)
}

/// Removes the files and folders `names` of `root` that there are, in order.
fn remove(root: &Path, names: &[&str], action: &'static str) -> Result<()> {
    for name in names {
        let path = root.join(name);
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(action, path)(e));
            }
            _ => {}
        }
    }
    Ok(())
}
