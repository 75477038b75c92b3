//! A comparison on disk: what it is. How far it is, its sweeps know.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::contender::Contender;
use super::file::{ComparisonFile, Tune, Workload};
use crate::disk::{self, JsonFile};
use crate::record::FORMAT_VERSION;
use crate::sweep::file::Film;
use crate::sweep::folder::lock_whole;
use crate::sweep::{Measure, Sweep};
use crate::{Error, Result};

const COMPARE: JsonFile = JsonFile {
    action: "read the comparison",
    name: "the comparison",
    remedy: "run the same `lossreel compare` again: it writes the file anew and keeps what is done",
};

/// What a comparison is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonAbout {
    /// Of the folder's format.
    pub format_version: u32,
    /// Version of lossreel.
    pub version: String,
    /// Headline.
    pub title: String,
    /// What it asks.
    pub question: Option<String>,
    /// Seeds of the final runs.
    pub seeds: usize,
    /// The budget of tuning; none where nothing was tuned.
    pub tune: Option<Tune>,
    /// What final runs are measured on.
    pub measure: Measure,
    /// The film; none for no film.
    pub film: Option<Film>,
    /// The problems.
    pub workloads: Vec<WorkloadAbout>,
}

/// A problem of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadAbout {
    /// Its folder.
    pub name: String,
    /// Keys that all its runs have.
    pub set: Vec<String>,
    /// The test accuracy that was aimed at, where one was given.
    pub target: Option<f64>,
    /// Training images that trials are judged on.
    pub held_out: usize,
    /// The rules on it.
    pub contenders: Vec<Contender>,
}

impl From<&WorkloadAbout> for Workload {
    fn from(about: &WorkloadAbout) -> Self {
        let WorkloadAbout { name, set, target, contenders, .. } = about.clone();
        Self { name, set, target, contenders }
    }
}

/// A comparison's folder.
#[derive(Debug)]
pub struct Comparison {
    root: PathBuf,
    /// What it is.
    pub about: ComparisonAbout,
}

impl Comparison {
    /// Writes what the comparison is into `root`, new or begun before; the file that comes with it is
    /// locked as long as it lives. `held_out` has the images held out of each workload.
    ///
    /// # Errors
    /// [`Error::FolderInUse`] for a folder that holds other things, [`Error::Run`] where another process is
    /// at work on it, [`Error::Io`].
    pub fn begin(
        root: &Path,
        file: &ComparisonFile,
        workloads: &[Workload],
        held_out: &[usize],
        name: &str,
    ) -> Result<(Self, File)> {
        let path = root.join("compare.json");
        let has_others = match fs::read_dir(root) {
            Ok(entries) => entries.filter_map(|e| e.ok()).any(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name != ".lock" && !disk::is_temporary(&name)
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => return Err(Error::io("look into the folder", root)(e)),
        };
        if has_others && !path.is_file() {
            return Err(Error::FolderInUse { holds_no: "comparison", path: root.to_path_buf() });
        }
        fs::create_dir_all(root).map_err(Error::io("make the folder", root))?;
        let lock = lock_whole(root)?;
        let about = ComparisonAbout {
            format_version: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            title: file.title.clone().unwrap_or_else(|| name.into()),
            question: file.question.clone(),
            seeds: file.seeds,
            tune: file.tune.clone(),
            measure: file.measure.clone(),
            film: file.film.clone(),
            workloads: (workloads.iter().zip(held_out))
                .map(|(workload, &held_out)| WorkloadAbout {
                    name: workload.name.clone(),
                    set: workload.set.clone(),
                    target: workload.target,
                    held_out,
                    contenders: workload.contenders.clone(),
                })
                .collect(),
        };
        COMPARE.write(&path, &about)?;
        Ok((Self { root: root.to_path_buf(), about }, lock))
    }

    /// Whether `root` holds a comparison.
    pub fn is_there(root: &Path) -> bool {
        root.join("compare.json").is_file()
    }

    /// Opens a comparison.
    ///
    /// # Errors
    /// [`Error::NoSweep`] where there is none, [`Error::BadFile`] for a damaged one.
    pub fn open(root: &Path) -> Result<Self> {
        let about: Option<ComparisonAbout> = COMPARE.read_if_there(&root.join("compare.json"))?;
        let about = about.ok_or_else(|| Error::NoSweep { path: root.to_path_buf() })?;
        Ok(Self { root: root.to_path_buf(), about })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a workload's trials.
    pub fn tuning_dir(&self, workload: &str) -> PathBuf {
        self.root.join(workload).join("tuning")
    }

    /// The folder of a workload's final runs.
    pub fn final_dir(&self, workload: &str) -> PathBuf {
        self.root.join(workload).join("final")
    }

    /// The folder of a workload's joint plane.
    pub fn joint_dir(&self, workload: &str) -> PathBuf {
        self.root.join(workload).join("joint")
    }

    /// The trials of a workload; `None` where nothing is tuned or was begun.
    ///
    /// # Errors
    /// As [`Sweep::open`]; [`Error::BadFile`] for trials of other rules than the comparison's.
    pub fn tuning(&self, workload: &WorkloadAbout) -> Result<Option<Sweep>> {
        open_if_there(&self.tuning_dir(&workload.name), workload, &["rule", "trial"])
    }

    /// The final runs of a workload; `None` where none was begun.
    ///
    /// # Errors
    /// As [`Sweep::open`]; [`Error::BadFile`] for runs of other rules than the comparison's.
    pub fn finals(&self, workload: &WorkloadAbout) -> Result<Option<Sweep>> {
        open_if_there(&self.final_dir(&workload.name), workload, &["rule"])
    }
}

/// A sweep of a comparison, whose first axis has the rules of `workload`. A comparison that was begun anew
/// with other rules and stopped before its sweeps were has sweeps of the old ones.
fn open_if_there(root: &Path, workload: &WorkloadAbout, axes: &[&str]) -> Result<Option<Sweep>> {
    let sweep = match Sweep::open(root) {
        Ok(sweep) => sweep,
        Err(Error::NoSweep { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = &sweep.about;
    let has_axes = about.axes.iter().map(|axis| axis.name.as_str()).eq(axes.iter().copied());
    let rules = workload.contenders.iter().map(|contender| &contender.name);
    let has_rules = has_axes && about.axes[0].values.iter().map(|v| &v.label).eq(rules);
    let has_values = about.members.iter().all(|member| {
        member.values.len() == about.axes.len()
            && (about.axes.iter().zip(&member.values)).all(|(a, &i)| i < a.values.len())
    });
    if has_rules && has_values {
        Ok(Some(sweep))
    } else {
        let what = "the runs here are of other rules than the comparison".into();
        Err(COMPARE.bad(what, &root.join("sweep.json")))
    }
}
