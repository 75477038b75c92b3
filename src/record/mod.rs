//! Run folders: what a training run leaves behind, and how it is opened again.
//!
//! ```text
//! NAME/
//!   spec.toml                      the resolved spec; layout.json in a run that another loop recorded
//!   manifest.json                  what made the run, and how it ended
//!   metrics.jsonl                  one object a step or epoch
//!   snapshots/NNNNNN.safetensors   theta and buffers by name
//!   checkpoint.safetensors         the newest resumable state
//!   gram.bin                       inner products of the snapshots, kept by the planes
//!   planes/  surfaces/  curvature/  curves/   what later stages add
//! ```

mod checkpoint;
mod curvature;
mod evaluation;
mod fork;
mod gradient_noise;
mod gram_file;
mod joint;
mod keep;
mod loop_recorder;
mod manifest;
mod meter;
mod metrics;
mod occasions;
mod overshoot;
mod policy;
mod recorder;
mod sharpness;
mod snapshots;
mod spec;
mod stream;
mod trained;
mod writer;

pub use curvature::{
    CurvatureOf, CurvatureRecord, DensityRecord, EstimateRecord, LayerRecord, LayersRecord,
    TraceRecord,
};
pub use evaluation::{EvaluatedOn, PrecisionError, SampleSource};
pub(crate) use fork::remove_unfinished_forks;
pub use joint::{Joint, JointAbout, JointRun, run_digest};
pub use keep::Keep;
pub use loop_recorder::LoopRecorder;
pub use manifest::{FORMAT_VERSION, Manifest, Status};
pub use metrics::{
    EpochRecord, GradientNoiseRecord, Metrics, OvershootRecord, SharpnessRecord, StepRecord,
};
pub use occasions::{DROP, Occasions, SPIKE_DEVIATIONS, SPIKE_LEAST, SPIKE_WINDOW, Trigger};
pub use policy::Policy;
pub use recorder::Recorder;
pub use snapshots::{RunSnapshots, SnapshotInfo, read_state};
pub use spec::{GRADIENT_NOISE_SAMPLES, OVERSHOOT_SAMPLES, RecordSpec, SHARPNESS_SAMPLES};
pub use stream::{Recorded, STREAM_VERSION, StreamReply, record_stream};
pub use trained::Trained;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::disk;
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
    "gram.bin",
    "planes",
    "surfaces",
    "curves",
    "curvature",
    "layout.json",
    "spec.toml",
];

impl Run {
    /// Makes the folder of a new run with its spec in it, and takes it for writing ([`Run::lock`]): no
    /// other process comes between this and what is written next.
    ///
    /// # Errors
    /// [`Error::RunExists`] when it holds a run already and `existing` is `Refuse`,
    /// [`Error::FolderInUse`] when it holds other files, [`Error::Run`] when another process writes
    /// there, [`Error::Io`] when it cannot be written.
    pub fn create(
        root: impl Into<PathBuf>,
        spec_toml: &str,
        existing: Existing,
    ) -> Result<(Self, File)> {
        Self::create_with(root.into(), "spec.toml", spec_toml, existing)
    }

    /// The same for a run whose network no spec describes: `layout` is the text of `layout.json`.
    fn create_without_spec(
        root: PathBuf,
        layout: &str,
        existing: Existing,
    ) -> Result<(Self, File)> {
        Self::create_with(root, "layout.json", layout, existing)
    }

    /// Makes the folder of a new run with `file`, which tells it from other folders, in it.
    fn create_with(
        root: PathBuf,
        file: &str,
        text: &str,
        existing: Existing,
    ) -> Result<(Self, File)> {
        let run = Self { root };
        // Somebody else's folder does not even get a lock.
        run.check_replaceable(existing)?;
        fs::create_dir_all(&run.root).map_err(Error::io("make the run folder", &run.root))?;
        let lock = run.lock()?;
        // Again: another process may have made a run here before the lock was ours.
        run.check_replaceable(existing)?;
        disk::remove_named(&run.root, OWN, "remove the old run's file")?;
        disk::remove_temporaries(&run.root)?;
        disk::write_bytes(&run.root.join(file), text.as_bytes())?;
        let snapshots = run.snapshots_dir();
        fs::create_dir_all(&snapshots).map_err(Error::io("make the run folder", &snapshots))?;
        Ok((run, lock))
    }

    /// Refuses a folder that a new run may not take.
    fn check_replaceable(&self, existing: Existing) -> Result<()> {
        if !is_occupied(&self.root)? {
            Ok(())
        } else if !self.is_run()? {
            Err(Error::FolderInUse { holds_no: "run", path: self.root.clone() })
        } else if existing == Existing::Refuse {
            Err(Error::RunExists { path: self.root.clone() })
        } else {
            Ok(())
        }
    }

    /// Opens a run for reading, or to go on with it.
    ///
    /// # Errors
    /// [`Error::NoRun`] or [`Error::NotARun`] when there is none, [`Error::NotBegun`] when there is
    /// nothing in it; [`Error::BadFile`] when it was written by a newer format.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let run = Self { root: root.into() };
        match fs::metadata(&run.root) {
            Ok(about) if about.is_dir() => {}
            Err(e) if !disk::is_absence(&e) => return Err(Error::io("look at", &run.root)(e)),
            _ => return Err(Error::NoRun { path: run.root }),
        }
        if !run.is_run()? {
            return Err(Error::NotARun { path: run.root });
        }
        if run.is_not_begun() {
            return Err(Error::NotBegun { path: run.root });
        }
        run.manifest()?;
        Ok(run)
    }

    /// Whether the process that made the folder was killed right after the spec. Without its manifest
    /// alone a run is damaged.
    fn is_not_begun(&self) -> bool {
        let is_empty = |folder: PathBuf| {
            !folder.exists() || fs::read_dir(folder).is_ok_and(|mut all| all.next().is_none())
        };
        !self.manifest_path().exists()
            && !self.metrics_path().exists()
            && is_empty(self.snapshots_dir())
    }

    /// Whether there is a state to go on from.
    pub(crate) fn has_checkpoint(&self) -> Result<bool> {
        disk::is_there(&self.checkpoint_path())
    }

    /// A run in whatever state it is, for looking at what is left of it.
    pub(crate) fn unchecked(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// Whether `root` holds a run, or what is left of one whose spec is lost.
    pub(crate) fn is_left_at(root: &Path) -> bool {
        let run = Self::unchecked(root);
        matches!(run.is_run(), Ok(true))
            || run.manifest_path().is_file() && run.snapshots_dir().is_dir()
    }

    /// Puts a spec that is missing or empty back from the manifest; says whether it did.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Run::manifest`].
    pub(crate) fn restore_spec(&self) -> Result<bool> {
        let path = self.spec_path();
        let is_lost = match fs::metadata(&path) {
            Ok(about) => about.is_file() && about.len() == 0,
            Err(e) => e.kind() == std::io::ErrorKind::NotFound,
        };
        if !is_lost || !self.manifest_path().is_file() {
            return Ok(false);
        }
        let spec = self.manifest()?.spec;
        if spec.is_empty() {
            return Ok(false);
        }
        disk::write_bytes(&path, spec.as_bytes())?;
        Ok(true)
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
        let path = self.spec_path();
        let text = disk::read_text(&path, "read the run's spec")?;
        if text.trim().is_empty() {
            return Err(Error::BadFile {
                what: "the spec is empty, so it is damaged".into(),
                remedy: "restore it: the manifest holds its text as `spec`".into(),
                path,
            });
        }
        Ok(text)
    }

    /// Where the spec is.
    fn spec_path(&self) -> PathBuf {
        self.root.join("spec.toml")
    }

    fn layout_path(&self) -> PathBuf {
        self.root.join("layout.json")
    }

    /// Whether the folder has what tells a run from other folders. `layout.json` is a common name: it
    /// must be one that [`LoopRecorder`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] where that cannot be seen: unreadable is not missing.
    fn is_run(&self) -> Result<bool> {
        if disk::is_there(&self.spec_path())? {
            return Ok(true);
        }
        match self.recorded_layout() {
            Err(error @ Error::Io { .. }) => Err(error),
            layout => Ok(matches!(layout, Ok(Some(_)))),
        }
    }

    /// Whether a training loop of its own recorded the run, so that no spec says what its network is.
    pub fn is_without_spec(&self) -> bool {
        !matches!(disk::is_there(&self.spec_path()), Ok(true))
            && matches!(self.recorded_layout(), Ok(Some(_)))
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
    ///
    /// # Errors
    /// Those of [`check_name`].
    pub fn plane_path(&self, name: &str) -> Result<PathBuf> {
        plane_path(&self.root, name)
    }

    /// `surfaces/NAME/`.
    ///
    /// # Errors
    /// Those of [`check_name`].
    pub fn surface_dir(&self, name: &str) -> Result<PathBuf> {
        surface_dir(&self.root, name)
    }

    /// `curves/NAME/`.
    ///
    /// # Errors
    /// Those of [`check_name`].
    pub fn curve_dir(&self, name: &str) -> Result<PathBuf> {
        check_name("curve", name)?;
        Ok(self.root.join("curves").join(name))
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
            Ok(()) => {
                for folder in [&self.root, &self.snapshots_dir(), &self.curvature_dir()] {
                    disk::remove_temporaries(folder)?;
                }
                Ok(file)
            }
            Err(TryLockError::WouldBlock) => Err(self
                .error("another process is writing to this run", "wait for it to end, or stop it")),
            Err(TryLockError::Error(e)) => Err(Error::io("lock the run folder", &path)(e)),
        }
    }

    fn error(&self, what: &str, remedy: &str) -> Error {
        Error::Run { what: what.into(), remedy: remedy.into(), path: self.root.clone() }
    }
}

/// Whether a folder holds anything but a lock and what a writer killed at its first file left.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed; one that is missing is not occupied.
pub(crate) fn is_occupied(root: &Path) -> Result<bool> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Error::io("look into the folder", root)(e)),
    };
    for entry in entries {
        let name = entry.map_err(Error::io("look into the folder", root))?.file_name();
        let name = name.to_string_lossy();
        if name != ".lock" && !disk::is_temporary(&name) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A folder's own name, whatever way leads there.
fn name_of(root: &Path) -> String {
    let absolute = fs::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
    absolute.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `planes/NAME.safetensors` of a run or a joint folder.
///
/// # Errors
/// Those of [`check_name`].
pub fn plane_path(root: &Path, name: &str) -> Result<PathBuf> {
    check_name("plane", name)?;
    Ok(root.join("planes").join(format!("{name}.safetensors")))
}

/// `surfaces/NAME/` of a run or a joint folder.
///
/// # Errors
/// Those of [`check_name`].
pub fn surface_dir(root: &Path, name: &str) -> Result<PathBuf> {
    check_name("surface", name)?;
    Ok(root.join("surfaces").join(name))
}

/// Longest name of an artifact, in bytes: with an extension it fits every file system.
const LONGEST_NAME: usize = 200;

/// Refuses names of planes, surfaces, curves and maps that are not one plain component of a path: such
/// a name would reach outside the folder that its artifacts belong into.
///
/// # Errors
/// [`Error::BadValue`].
pub fn check_name(kind: &str, name: &str) -> Result<()> {
    let plain = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('.')
        && !name.chars().any(|c| c.is_control() || "/\\:*?\"<>|".contains(c));
    if plain {
        return Ok(());
    }
    Err(Error::bad_value(
        format!("name of a {kind}"),
        format!("{name:?}"),
        "not one plain name",
        "use letters, digits, - and _, without / and without a dot in front",
    ))
}
