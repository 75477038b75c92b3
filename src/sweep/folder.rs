//! A sweep on disk: what it is, and how far each member is.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file::{Film, Measure, SweepFile};
use super::film::steps_after;
use super::members::{Axis, Members};
use crate::disk::{self, JsonFile, JsonlWriter};
use crate::record::{FORMAT_VERSION, Run, Trained};
use crate::spec::changed_keys;
use crate::{Error, Result};

const SWEEP: JsonFile = JsonFile {
    action: "read the sweep",
    name: "the sweep",
    remedy: "run the same `lossreel sweep` again: it writes the file anew and keeps what is done",
};

/// `sweep.json`: everything that a report needs beside the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Version of the run folder's format.
    pub format_version: u32,
    /// Version of lossreel.
    pub version: String,
    /// The title.
    pub title: String,
    /// What the sweep asks.
    pub question: Option<String>,
    /// The axes.
    pub axes: Vec<Axis>,
    /// Seeds of each combination.
    pub seeds: usize,
    /// What each member is measured on.
    pub measure: Measure,
    /// The film that members get; none for no film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub film: Option<Film>,
    /// The members, in order.
    pub members: Vec<MemberAbout>,
}

/// What is known of a member before it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberAbout {
    /// The name of its run folder.
    pub name: String,
    /// The index of its value on each axis.
    pub values: Vec<usize>,
    /// Which seed, from 0.
    pub seed: usize,
    /// Why its spec is impossible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impossible: Option<String>,
}

/// A line of `members.jsonl`: how a step of a member's work ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The member.
    pub member: String,
    /// The step: `train`, `curvature`, ...
    pub step: String,
    /// Digest of the step's arguments: other arguments are other work.
    pub arguments: String,
    /// What went wrong; none where nothing did.
    pub error: Option<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// How far a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Trained, and measured on all that the sweep asks for.
    Done,
    /// Trained; measures are missing.
    Trained,
    /// Its loss was no longer finite.
    Diverged,
    /// A step ended with an error.
    Failed,
    /// Not trained to its end.
    Pending,
}

/// A member and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemberState {
    /// Its name.
    pub name: String,
    /// Its run folder.
    pub run: PathBuf,
    /// The index of its value on each axis.
    pub values: Vec<usize>,
    /// Which seed, from 0.
    pub seed: usize,
    /// How far it is.
    pub status: Status,
    /// What went wrong, where something did.
    pub error: Option<String>,
    /// Whether its training, by the spec that the sweep has for it, came to its end. A member that failed
    /// at a measure is trained all the same.
    #[serde(skip)]
    pub is_trained: bool,
}

/// A sweep's folder.
#[derive(Debug)]
pub struct Sweep {
    root: PathBuf,
    /// What it is.
    pub about: About,
}

impl Sweep {
    /// Makes the folder of a sweep, or opens the one that is there to go on with it: members that are
    /// named alike are the same runs, others are added. The lock is to be kept as long as work is done.
    ///
    /// # Errors
    /// [`Error::FolderInUse`] for a folder with other files and no sweep, [`Error::Run`] when another
    /// process is at work there, [`Error::Io`].
    pub fn begin(
        root: &Path,
        file: &SweepFile,
        members: &Members,
        name: &str,
    ) -> Result<(Self, File)> {
        Self::begin_as(root, file, members, name, Share::All)
    }

    /// [`Sweep::begin`] for one of many processes that each take members ([`Sweep::take`]).
    ///
    /// # Errors
    /// As [`Sweep::begin`]; [`Error::Run`] when another process is at work on the whole sweep.
    pub fn join(
        root: &Path,
        file: &SweepFile,
        members: &Members,
        name: &str,
    ) -> Result<(Self, File)> {
        Self::begin_as(root, file, members, name, Share::Members)
    }

    fn begin_as(
        root: &Path,
        file: &SweepFile,
        members: &Members,
        name: &str,
        share: Share,
    ) -> Result<(Self, File)> {
        let path = root.join("sweep.json");
        let has_others = match fs::read_dir(root) {
            Ok(entries) => entries.filter_map(|e| e.ok()).any(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                // What another process of those that share the folder has just made.
                let shared = share == Share::Members && ["runs", "specs"].contains(&name.as_str());
                name != ".lock" && !shared && !disk::is_temporary(&name)
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => return Err(Error::io("look into the folder", root)(e)),
        };
        if has_others && !path.is_file() {
            return Err(Error::FolderInUse { holds_no: "sweep", path: root.to_path_buf() });
        }
        fs::create_dir_all(root.join("runs")).map_err(Error::io("make the folder", root))?;
        let lock = lock(root, share)?;
        let about = About {
            format_version: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            title: file.title.clone().unwrap_or_else(|| name.into()),
            question: file.question.clone(),
            axes: members.axes.clone(),
            seeds: members.seeds,
            measure: file.measure.clone(),
            film: file.film.clone(),
            members: (members.members.iter())
                .map(|member| MemberAbout {
                    name: member.name.clone(),
                    values: member.values.clone(),
                    seed: member.seed,
                    impossible: member.spec.as_ref().err().cloned(),
                })
                .collect(),
        };
        // Before the list of members: the runs of a folder that is begun anew are held against these.
        for member in &members.members {
            if let Ok(spec) = &member.spec {
                let path = spec_path(root, &member.name);
                disk::write_bytes(&path, spec.to_toml().as_bytes())?;
            }
        }
        // Many processes that share the folder begin at once: the file is written by the first.
        let is_there = share == Share::Members
            && SWEEP.read_if_there::<About>(&path).is_ok_and(|old| old.as_ref() == Some(&about));
        if !is_there {
            SWEEP.write(&path, &about)?;
        }
        Ok((Self { root: root.to_path_buf(), about }, lock))
    }

    /// Takes a member of a sweep that is shared with others. The lock is to be kept as long as work is
    /// done on the member.
    ///
    /// # Errors
    /// [`Error::NoMember`]; [`Error::Run`] when another process is at work on it; [`Error::Io`].
    pub fn take(&self, member: &str) -> Result<File> {
        if !self.about.members.iter().any(|known| known.name == member) {
            return Err(Error::NoMember { member: member.into(), path: self.root.clone() });
        }
        let folder = self.root.join("locks");
        fs::create_dir_all(&folder).map_err(Error::io("make the folder", &folder))?;
        let path = folder.join(format!("{member}.lock"));
        let what = "another process is at work on this member";
        locked(&path, File::try_lock, what, &self.run_dir(member))
    }

    /// Opens a sweep.
    ///
    /// # Errors
    /// [`Error::NoSweep`] where there is none, [`Error::BadFile`] for a damaged one.
    pub fn open(root: &Path) -> Result<Self> {
        let about: Option<About> = SWEEP.read_if_there(&root.join("sweep.json"))?;
        let about = about.ok_or_else(|| Error::NoSweep { path: root.to_path_buf() })?;
        Ok(Self { root: root.to_path_buf(), about })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The run folder of a member.
    pub fn run_dir(&self, member: &str) -> PathBuf {
        self.root.join("runs").join(member)
    }

    /// The spec that the sweep has for a member.
    pub fn spec_path(&self, member: &str) -> PathBuf {
        spec_path(&self.root, member)
    }

    /// Appends to the record of steps. Other processes may do so at the same time: each has the file for
    /// as long as its line takes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn record(&self, step: &StepRecord) -> Result<()> {
        let path = self.log_path();
        let io = || Error::io("write the log", &path);
        let file = File::options().create(true).append(true).open(&path).map_err(io())?;
        file.lock().map_err(io())?;
        let mut log = JsonlWriter::append(&path)?;
        log.push(step)?;
        log.sync()
    }

    fn log_path(&self) -> PathBuf {
        self.root.join("members.jsonl")
    }

    /// How each step ended so far, the last time it was tried.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a damaged log.
    pub fn steps(&self) -> Result<Vec<StepRecord>> {
        let lines = disk::read_jsonl::<StepRecord>(&self.log_path())?.lines;
        let mut last: Vec<StepRecord> = Vec::new();
        for line in lines {
            match last.iter_mut().find(|s| s.member == line.member && s.step == line.step) {
                Some(step) => *step = line,
                None => last.push(line),
            }
        }
        Ok(last)
    }

    /// How far all members are, in order.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a damaged log.
    pub fn states(&self) -> Result<Vec<MemberState>> {
        let steps = self.steps()?;
        let states = self.about.members.iter().map(|member| {
            let run = self.run_dir(&member.name);
            let of_member = || steps.iter().filter(|step| step.member == member.name);
            let failed = || of_member().find_map(|step| step.error.clone());
            let wanted =
                steps_after(&self.about.measure, self.about.film.as_ref(), "", member.seed);
            let is_done = |name: &str| of_member().any(|s| s.step == name && s.error.is_none());
            let measured = wanted.iter().all(|step| is_done(&step.name));
            let trained = self.trained(&member.name);
            let is_trained = member.impossible.is_none() && matches!(trained, Ok(Trained::Yes));
            let (status, error) = match (&member.impossible, trained) {
                (Some(why), _) => (Status::Failed, Some(why.clone())),
                (None, Ok(Trained::Diverged)) => (Status::Diverged, None),
                (None, Ok(Trained::Yes)) if measured => (Status::Done, None),
                (None, Ok(trained)) => match failed() {
                    Some(error) => (Status::Failed, Some(error)),
                    None if trained == Trained::Yes => (Status::Trained, None),
                    None => (Status::Pending, None),
                },
                (None, Err(error @ Error::SpecChanged { .. })) => {
                    (Status::Failed, Some(error.to_string()))
                }
                // What a step said of it comes before what it left.
                (None, Err(error)) => {
                    (Status::Failed, Some(failed().unwrap_or_else(|| error.to_string())))
                }
            };
            MemberState {
                name: member.name.clone(),
                run,
                values: member.values.clone(),
                seed: member.seed,
                status,
                error,
                is_trained,
            }
        });
        Ok(states.collect())
    }

    /// How far the training of a member is, by the spec that the sweep has for it.
    ///
    /// # Errors
    /// [`Error::SpecChanged`] where its folder holds a run of another spec; those of reading the run.
    pub(super) fn trained(&self, member: &str) -> Result<Trained> {
        let run = self.run_dir(member);
        let state = Trained::of(&run)?;
        let path = self.spec_path(member);
        if matches!(state, Trained::No | Trained::NotBegun) || !disk::is_there(&path)? {
            return Ok(state);
        }
        let begun_by = Run::open(&run)?.manifest()?.spec;
        let wanted = fs::read_to_string(&path).map_err(Error::io("read the spec", &path))?;
        let mut keys = changed_keys(&begun_by, &wanted);
        // A run alone may be made longer; in a sweep it would not be of the same length as the others.
        if epochs(&begun_by) != epochs(&wanted) {
            keys.push("train.epochs".into());
        }
        if keys.is_empty() {
            Ok(state)
        } else {
            Err(Error::SpecChanged { keys, path: run.join("spec.toml") })
        }
    }
}

fn spec_path(root: &Path, member: &str) -> PathBuf {
    root.join("specs").join(format!("{member}.toml"))
}

/// `train.epochs` of a resolved spec.
fn epochs(spec: &str) -> Option<toml::Value> {
    spec.parse::<toml::Table>().ok()?.get("train")?.get("epochs").cloned()
}

/// How much of a sweep a process works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    /// All members: nobody else may be at work there.
    All,
    /// Members that it takes one by one.
    Members,
}

/// Locks a folder for one process that works on all of it.
pub(super) fn lock_whole(root: &Path) -> Result<File> {
    lock(root, Share::All)
}

fn lock(root: &Path, share: Share) -> Result<File> {
    let try_lock = match share {
        Share::All => File::try_lock,
        Share::Members => File::try_lock_shared,
    };
    locked(&root.join(".lock"), try_lock, "another process is at work on this sweep", root)
}

/// Locks the file `path`, which is made if it is missing. Where it is held, `what` is said of `whose`.
fn locked(
    path: &Path,
    try_lock: fn(&File) -> std::result::Result<(), TryLockError>,
    what: &str,
    whose: &Path,
) -> Result<File> {
    let open = File::options().create(true).truncate(false).read(true).write(true).open(path);
    let file = open.map_err(Error::io("lock the sweep", path))?;
    match try_lock(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Run {
            what: what.into(),
            remedy: "wait for it to end, or stop it".into(),
            path: whose.to_path_buf(),
        }),
        Err(TryLockError::Error(e)) => Err(Error::io("lock the sweep", path)(e)),
    }
}
