//! Joint folders: several runs on one plane.
//!
//! ```text
//! NAME/
//!   joint.json                  the runs, by path and digest
//!   planes/NAME.safetensors     origin, x, y, the first run's buffers, every run's path
//!   surfaces/NAME/              as a run's, with paths.jsonl: losses at all snapshots
//! ```
//!
//! The runs stay where they are: the folder refers to them, relative to itself where it can, and
//! notices when one is no longer what it was.

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Existing, FORMAT_VERSION, Run, is_occupied, name_of, plane_path};
use crate::disk::{self, JsonFile, digest::hexadecimal};
use crate::{Error, Result};

const JOINT: JsonFile = JsonFile {
    action: "read the joint plane",
    name: "the list of runs",
    remedy: "remove it and make the plane again",
};

/// A joint folder that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    root: PathBuf,
    about: JointAbout,
}

/// `joint.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JointAbout {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// Version of lossreel.
    pub version: String,
    /// The runs, in the order they were named.
    pub runs: Vec<JointRun>,
}

/// One run of a joint folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JointRun {
    /// Its name, unlike the others'.
    pub name: String,
    /// Its folder, relative to the joint folder where there is such a way.
    pub folder: PathBuf,
    /// [`run_digest`] of it.
    pub digest: String,
}

/// SHA-256 over a run's spec (or the digest of its layout, where it has none), the steps of its
/// snapshots, and the bytes of the first and the last of them: the same as long as the run is what it
/// was.
///
/// # Errors
/// Those of reading the run.
pub fn run_digest(run: &Run) -> Result<String> {
    let mut hash = Sha256::new();
    if run.is_without_spec() {
        hash.update(run.manifest()?.layout_digest.as_bytes());
    } else {
        hash.update(run.spec_toml()?.as_bytes());
    }
    let snapshots = run.snapshots()?;
    for s in &snapshots {
        hash.update(format!("{} {} {}\n", s.index, s.step, s.diverged));
    }
    for s in [snapshots.first(), snapshots.last()].into_iter().flatten() {
        hash.update(disk::read(&s.path, "read a snapshot", u64::MAX)?);
    }
    Ok(hexadecimal(&hash.finalize()))
}

/// Files and folders of a joint folder; the one that makes it a joint folder goes last.
const OWN: &[&str] = &["planes", "surfaces", "maps", "joint.json"];

impl Joint {
    /// Whether `root` is a joint folder.
    pub fn is_at(root: &Path) -> bool {
        matches!(disk::is_there(&root.join("joint.json")), Ok(true))
    }

    /// Makes a joint folder of `runs`, or opens the one that is there of the same runs.
    ///
    /// # Errors
    /// [`Error::BadValue`] for no run or one named twice; [`Error::OtherRuns`] when the folder is of
    /// other runs and `existing` is `Refuse`, [`Error::FolderInUse`] when it holds other files.
    pub fn create(root: &Path, runs: &[Run], existing: Existing) -> Result<Self> {
        if runs.is_empty() {
            return Err(Error::bad_value("RUN", "", "not given", "name two runs or more"));
        }
        let whole = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        for (i, run) in runs.iter().enumerate() {
            if runs[..i].iter().any(|other| whole(other.root()) == whole(run.root())) {
                return Err(Error::bad_value(
                    "RUN",
                    run.root().display(),
                    "named twice",
                    "name each run once",
                ));
            }
        }
        let occupied = is_occupied(root)?;
        if occupied && !Self::is_at(root) {
            return Err(Error::FolderInUse { holds_no: "joint plane", path: root.to_path_buf() });
        }
        for run in runs {
            // The list of runs is a text.
            if whole(run.root()).to_str().is_none() {
                let problem = "whose path is not UTF-8 text";
                let remedy = "rename the folder: a joint plane refers to its runs by their paths";
                return Err(Error::bad_value("RUN", run.root().display(), problem, remedy));
            }
        }
        fs::create_dir_all(root).map_err(Error::io("make the folder", root))?;
        disk::remove_temporaries(root)?;
        let about = JointAbout {
            format_version: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            runs: references(root, runs)?,
        };
        if occupied {
            match Self::read(root) {
                Ok(joint) if joint.about.runs == about.runs => return Ok(joint),
                _ if existing == Existing::Replace => {}
                Ok(_) => return Err(Error::OtherRuns { path: root.to_path_buf() }),
                Err(error) => return Err(error),
            }
            disk::remove_named(root, OWN, "remove the old joint plane's file")?;
        }
        JOINT.write(&root.join("joint.json"), &about)?;
        Ok(Self { root: root.to_path_buf(), about })
    }

    /// Opens a joint folder and sees that its runs are still what they were.
    ///
    /// # Errors
    /// [`Error::NoJointPlane`] when there is none, [`Error::RunChanged`] when a run has changed,
    /// [`Error::BadFile`] for damage.
    pub fn open(root: &Path) -> Result<Self> {
        let joint = Self::read(root)?;
        for (reference, run) in joint.about.runs.iter().zip(joint.runs()?) {
            if run_digest(&run)? != reference.digest {
                let run = reference.name.clone();
                return Err(Error::RunChanged { run, path: root.to_path_buf() });
            }
        }
        Ok(joint)
    }

    fn read(root: &Path) -> Result<Self> {
        let path = root.join("joint.json");
        let about: Option<JointAbout> = JOINT.read_if_there(&path)?;
        let about = about.ok_or_else(|| Error::NoJointPlane { path: root.to_path_buf() })?;
        if about.format_version > FORMAT_VERSION {
            let what = format!(
                "the folder has format {}, this lossreel reads up to {FORMAT_VERSION}",
                about.format_version
            );
            return Err(Error::BadFile { what, remedy: "use a newer lossreel".into(), path });
        }
        Ok(Self { root: root.to_path_buf(), about })
    }

    /// Opens a joint folder whether or not its runs are still what they were.
    ///
    /// # Errors
    /// As [`Joint::open`], without [`Error::RunChanged`].
    pub fn open_changed(root: &Path) -> Result<Self> {
        Self::read(root)
    }

    /// Says in the folder that its runs are meant as they are now: their planes were made again.
    ///
    /// # Errors
    /// Those of reading the runs; [`Error::Io`].
    pub fn renew(&mut self) -> Result<()> {
        let mut about = self.about.clone();
        for (reference, run) in about.runs.iter_mut().zip(self.runs()?) {
            reference.digest = run_digest(&run)?;
        }
        if about != self.about {
            JOINT.write(&self.root.join("joint.json"), &about)?;
            self.about = about;
        }
        Ok(())
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder's own name, for titles.
    pub fn name(&self) -> String {
        name_of(&self.root)
    }

    /// The runs' names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.about.runs.iter().map(|run| run.name.as_str()).collect()
    }

    /// Opens the runs.
    ///
    /// # Errors
    /// [`Error::Run`] when one is gone.
    pub fn runs(&self) -> Result<Vec<Run>> {
        self.about.runs.iter().map(|run| Run::open(self.root.join(&run.folder))).collect()
    }

    /// Which run `name` means, by its name or its folder.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the known ones.
    pub fn index_of(&self, name: &str) -> Result<usize> {
        let whole = |path: &Path| fs::canonicalize(path).ok();
        let named = self.about.runs.iter().position(|run| run.name == name);
        let placed = || {
            let wanted = whole(Path::new(name))?;
            self.about
                .runs
                .iter()
                .position(|run| whole(&self.root.join(&run.folder)).as_ref() == Some(&wanted))
        };
        named.or_else(placed).ok_or_else(|| Error::unknown_name("run", name, &self.names()))
    }

    /// `planes/NAME.safetensors`.
    pub fn plane_path(&self, name: &str) -> Result<PathBuf> {
        plane_path(&self.root, name)
    }
}

/// Names and ways to the runs from `root`, which exists.
fn references(root: &Path, runs: &[Run]) -> Result<Vec<JointRun>> {
    let names: Vec<String> = runs.iter().map(Run::name).collect();
    let here = fs::canonicalize(root).map_err(Error::io("find the folder", root))?;
    let mut references = Vec::new();
    for (run, name) in runs.iter().zip(&names) {
        let alone = names.iter().filter(|other| *other == name).count() == 1;
        // Two folders of one name: named with the folders they are in.
        let name = if alone { name.clone() } else { run.root().display().to_string() };
        let there = fs::canonicalize(run.root()).map_err(Error::io("find the run", run.root()))?;
        let folder = relative(&here, &there);
        references.push(JointRun { name, folder, digest: run_digest(run)? });
    }
    Ok(references)
}

/// The way from the folder `from` to `to`, both absolute; `to` itself where they share no root.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (a, b): (Vec<Component>, Vec<Component>) =
        (from.components().collect(), to.components().collect());
    let shared = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    if shared == 0 {
        return to.to_path_buf();
    }
    let up = std::iter::repeat_n(Component::ParentDir, a.len() - shared);
    up.chain(b[shared..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_folder_to_folder_goes_up_and_down() {
        let way = |from, to| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/a/b/joint", "/a/b/sgd"), Path::new("../sgd"));
        assert_eq!(way("/a/joint", "/a/b/c/sgd"), Path::new("../b/c/sgd"));
        assert_eq!(way("/a/b/joint", "/c/sgd"), Path::new("../../../c/sgd"));
    }
}
