//! `instability.json`: what was asked, and what is known of each fork.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{self, JsonFile};
use crate::objective::{BatchNormPolicy, PointPolicy};
use crate::record::{FORMAT_VERSION, is_occupied, remove_unfinished_forks};
use crate::spec::Spec;
use crate::{Error, Result};

const FILE: JsonFile = JsonFile {
    action: "read the instability analysis",
    name: "the instability analysis",
    remedy: "remove the file and run the same command again: the runs and the points of the lines stay",
};

/// The file's name in the analysis' folder.
const NAME: &str = "instability.json";

/// What an analysis is made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Children of each fork; every two are a pair.
    pub children: usize,
    /// Points of each line, the ends among them.
    pub points: usize,
    /// Images of each split, a class-balanced draw; none for all.
    pub samples: Option<usize>,
    /// What is done with BatchNorm's statistics on a line, in networks that have such.
    pub bn: PointPolicy,
    /// Training images that they are computed of, where they are recalibrated.
    pub bn_samples: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let bn = PointPolicy::Recalibrated;
        Self { children: 2, points: 11, samples: None, bn, bn_samples: 1000 }
    }
}

impl Settings {
    /// The most children of a fork: their pairs are as their square.
    const MOST: usize = 100;

    /// # Errors
    /// [`Error::BadValue`].
    pub(super) fn check(&self) -> Result<()> {
        if !(2..=Self::MOST).contains(&self.children) {
            let problem = "but a line has two ends";
            let remedy = format!("use 2 to {}", Self::MOST);
            return Err(Error::bad_value("--children", self.children, problem, remedy));
        }
        if !(3..=100_000).contains(&self.points) {
            let problem = "not a number of points with one between the ends";
            return Err(Error::bad_value("--points", self.points, problem, "use 3 to 100000"));
        }
        for (key, number) in [("--samples", self.samples), ("--bn-samples", Some(self.bn_samples))]
        {
            if number == Some(0) {
                return Err(Error::bad_value(key, 0, "no image", "use 1 or more"));
            }
        }
        Ok(())
    }
}

/// How far a quantity rises on a line: its largest value less the mean of those at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rise {
    /// It; of errors a share, 0..1. Infinite where the loss is not finite somewhere on the line.
    #[serde(with = "crate::disk::float")]
    pub value: f64,
    /// Its standard error over the images, which are the same at all points.
    #[serde(with = "crate::disk::optional_float")]
    pub se: Option<f64>,
    /// Where on the line, 0..1; none of a mean over pairs, and where both ends are one network.
    #[serde(with = "crate::disk::optional_float")]
    pub x: Option<f64>,
}

/// The rises on the images of one split.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rises {
    /// Of the loss.
    pub loss: Option<Rise>,
    /// Of the share of wrong answers; none where nothing is classified.
    pub error: Option<Rise>,
}

/// A child of a fork, at its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// Its folder in `runs`.
    pub run: String,
    /// Its `train.fork_seed`.
    pub fork_seed: u64,
    /// Whether its loss was no longer finite: it is in no pair.
    pub diverged: bool,
    /// Loss on the training images; like the others NaN where it diverged.
    #[serde(with = "crate::disk::float")]
    pub train_loss: f64,
    /// Share of right answers among them.
    #[serde(with = "crate::disk::float")]
    pub train_accuracy: f64,
    /// Loss on the test images.
    #[serde(with = "crate::disk::float")]
    pub test_loss: f64,
    /// Share of right answers among them.
    #[serde(with = "crate::disk::float")]
    pub test_accuracy: f64,
}

/// Two children of a fork and the line between their ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Which, from 1.
    pub children: [usize; 2],
    /// L2 distance of their weights.
    #[serde(with = "crate::disk::float")]
    pub distance: f64,
    /// On training images.
    pub train: Rises,
    /// On test images.
    pub test: Rises,
}

/// What is known of a fork.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fork {
    /// After so many epochs.
    pub epoch: f64,
    /// After so many steps.
    pub step: u64,
    /// Its children, in order.
    pub children: Vec<Child>,
    /// All pairs of those that did not diverge.
    pub pairs: Vec<Pair>,
    /// What was done with BatchNorm's statistics on the lines; none without a line.
    pub batch_norm: Option<BatchNormPolicy>,
    /// Mean over the pairs, as what follows; none without a pair.
    #[serde(with = "crate::disk::optional_float")]
    pub distance: Option<f64>,
    /// On training images.
    pub train: Rises,
    /// On test images.
    pub test: Rises,
    /// Whether the rise of the test error is below [`super::STABLE`]; none where there is none.
    pub stable: Option<bool>,
}

impl Fork {
    /// The mean test accuracy of the children that did not diverge; NaN of none.
    pub fn test_accuracy(&self) -> f64 {
        let known: Vec<f64> =
            self.children.iter().filter(|c| !c.diverged).map(|c| c.test_accuracy).collect();
        known.iter().sum::<f64>() / known.len() as f64
    }
}

/// An instability analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Version of the run folder's format.
    pub format_version: u32,
    /// Version of lossreel.
    pub version: String,
    /// The spec of the run that is forked, without the folder of its data.
    pub spec: String,
    /// What it is made with.
    pub settings: Settings,
    /// What is known, in order of the epochs.
    pub forks: Vec<Fork>,
}

impl Analysis {
    /// Opens the analysis in a folder.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a damaged one, [`Error::Io`] where there is none.
    pub fn open(root: &Path) -> Result<Self> {
        let path = root.join(NAME);
        let found: Option<Self> = FILE.read_if_there(&path)?;
        found.ok_or_else(|| Error::Run {
            what: "the folder holds no instability analysis".into(),
            remedy: "make one: lossreel instability SPEC.toml --at 0,1,2 --out FOLDER".into(),
            path: root.to_path_buf(),
        })
    }

    /// Makes the folder of an analysis, or opens the one that is there to go on with it: what is known of
    /// forks stays where the settings are the same. The lock is to be kept as long as work is done.
    ///
    /// # Errors
    /// [`Error::FolderInUse`] for a folder with other files, [`Error::BadValue`] for one with the analysis of
    /// another spec, [`Error::Run`] when another process is at work there, [`Error::Io`].
    pub(super) fn begin(root: &Path, spec: &Spec, settings: &Settings) -> Result<(Self, File)> {
        let path = root.join(NAME);
        if is_occupied(root)? && !disk::is_there(&path)? {
            return Err(Error::FolderInUse {
                holds_no: "instability analysis",
                path: root.to_path_buf(),
            });
        }
        let runs = root.join("runs");
        fs::create_dir_all(root).map_err(Error::io("make the folder", root))?;
        let lock = lock(root)?;
        disk::remove_temporaries(root)?;
        let old: Option<Self> = FILE.read_if_there(&path)?;
        let mut wanted = spec.clone();
        wanted.data.dir = None;
        let wanted = wanted.to_toml();
        if let Some(old) = &old {
            // Of an earlier version a spec has not every key: what it does not say is its default.
            let same = Spec::parse(&old.spec, &[]).is_ok_and(|spec| spec.to_toml() == wanted);
            if !same {
                return Err(Error::bad_value(
                    "--out",
                    root.display(),
                    "which holds the analysis of another spec",
                    "choose another folder, or give the spec and the changes that it was made with",
                ));
            }
        }
        let kept = old.filter(|old| old.settings == *settings);
        let is_new = kept.is_none();
        let analysis = kept.unwrap_or_else(|| Self {
            format_version: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            spec: wanted,
            settings: settings.clone(),
            forks: Vec::new(),
        });
        if is_new {
            FILE.write(&path, &analysis)?;
        }
        fs::create_dir_all(&runs).map_err(Error::io("make the folder", &runs))?;
        remove_unfinished_forks(&runs)?;
        Ok((analysis, lock))
    }

    /// What is known of the fork after `step` steps.
    pub fn fork(&self, step: u64) -> Option<&Fork> {
        self.forks.iter().find(|fork| fork.step == step)
    }

    /// Keeps what was found of a fork.
    pub(super) fn add(&mut self, root: &Path, fork: Fork) -> Result<()> {
        self.forks.push(fork);
        self.forks.sort_by_key(|fork| fork.step);
        FILE.write(&root.join(NAME), self)
    }

    /// Writes `instability.csv`: a row for each fork, shares as such, what is not known left empty.
    pub(super) fn write_table(&self, root: &Path) -> Result<()> {
        let mut text = String::from(
            "epoch,step,pairs,distance,test_error_barrier,test_error_barrier_se,train_error_barrier,\
             train_error_barrier_se,test_loss_barrier,test_loss_barrier_se,train_loss_barrier,\
             train_loss_barrier_se,test_accuracy,stable\n",
        );
        let number = |value: Option<f64>| match value {
            Some(value) if value.is_finite() => value.to_string(),
            Some(value) if value.is_infinite() => "inf".into(),
            _ => String::new(),
        };
        for fork in &self.forks {
            let mut row = vec![
                fork.epoch.to_string(),
                fork.step.to_string(),
                fork.pairs.len().to_string(),
                number(fork.distance),
            ];
            let Fork { train, test, .. } = fork;
            for rise in [test.error, train.error, test.loss, train.loss] {
                row.push(number(rise.map(|rise| rise.value)));
                row.push(number(rise.and_then(|rise| rise.se)));
            }
            row.push(number(Some(fork.test_accuracy())));
            row.push(fork.stable.map_or(String::new(), |stable| stable.to_string()));
            text.push_str(&row.join(","));
            text.push('\n');
        }
        disk::write_bytes(&root.join("instability.csv"), text.as_bytes())
    }
}

/// Takes the folder for one process.
fn lock(root: &Path) -> Result<File> {
    let path = root.join(".lock");
    let open = File::options().create(true).truncate(false).read(true).write(true).open(&path);
    let file = open.map_err(Error::io("lock the folder", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Run {
            what: "another process is at work on this analysis".into(),
            remedy: "wait for it to end, or stop it".into(),
            path: root.to_path_buf(),
        }),
        Err(TryLockError::Error(e)) => Err(Error::io("lock the folder", &path)(e)),
    }
}
