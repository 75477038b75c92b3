//! What made a run: enough for a stranger to repeat it.

use serde::{Deserialize, Serialize};

use super::Run;
use crate::disk::{self, JsonFile};
use crate::train::Verdict;
use crate::{Error, Result};

const MANIFEST: JsonFile = JsonFile {
    action: "read the run's manifest",
    name: "the manifest",
    remedy: "restore it, or train the run again",
};

/// Version of the run folder's format; a reader refuses a higher one.
pub const FORMAT_VERSION: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// Version of lossreel.
    pub version: String,
    /// Commit of the source it was built from, where that is known.
    pub git_commit: Option<String>,
    /// Root of all randomness.
    pub seed: u64,
    /// The data set's name.
    pub dataset: String,
    /// SHA-256 over shapes, labels and pixels of both splits as loaded, before samples are drawn.
    pub data_digest: String,
    /// Shape (c, h, w) of an image and number of classes, where the data set's name does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_form: Option<([usize; 3], usize)>,
    /// Images trained on and tested on.
    pub samples: [usize; 2],
    /// The architecture with its options.
    pub arch: String,
    /// SHA-256 of the parameters' names, shapes and roles.
    pub layout_digest: String,
    /// Trained values.
    pub parameters: usize,
    /// The engine.
    pub backend: String,
    /// Processor, as the system names it.
    pub cpu: String,
    /// Instruction sets that decide which kernels run.
    pub cpu_features: Vec<String>,
    /// What the engine's plans were made for: the instructions, and the caches to which groups of images and
    /// blocks of tiles are cut. Trainings with one plan have the same bytes. Empty where lossreel did not train.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan: String,
    /// Threads used.
    pub threads: usize,
    /// Operating system and processor family.
    pub platform: String,
    /// Seconds since 1970 at which training first began.
    pub started_unix_secs: u64,
    /// Seconds spent training, over all resumptions.
    pub elapsed_secs: f64,
    /// How far the run is.
    pub status: Status,
    /// The folder in which it was begun, where the data are named relative to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_in: Option<String>,
    /// What tells the run's snapshots from others, written when it ended ([`Run::snapshots_digest`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots_digest: Option<String>,
    /// Whether it was made of another program's checkpoints: the spec then says what the network and the data
    /// are, and not what trained it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// The resolved spec that it was begun by; empty for a run without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub spec: String,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Status {
    /// Training, or stopped without a word (a power cut): it can be resumed.
    Unfinished,
    /// Ended.
    Ended {
        /// How.
        #[serde(flatten)]
        verdict: Verdict,
        /// Steps made.
        steps: u64,
    },
}

impl Manifest {
    /// Name of this machine's processor and its relevant instruction sets.
    pub fn cpu() -> (String, Vec<String>) {
        let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|info| {
            let line = info.lines().find(|l| l.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_string())
        });
        #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))] // only that one has any
        let mut features = Vec::new();
        #[cfg(target_arch = "x86_64")]
        for (name, present) in [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ] {
            if present {
                features.push(name.to_string());
            }
        }
        (model.unwrap_or_else(|| std::env::consts::ARCH.to_string()), features)
    }
}

impl Run {
    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::BadFile`] when it is damaged or of a newer format.
    pub fn manifest(&self) -> Result<Manifest> {
        let path = self.manifest_path();
        let text = disk::read_text(&path, MANIFEST.action)?;
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let version: Version =
            serde_json::from_str(&text).map_err(|e| MANIFEST.unparsed(&e, &path))?;
        if version.format_version > FORMAT_VERSION {
            return Err(Error::BadFile {
                what: format!(
                    "the run has format {}, this lossreel reads up to {FORMAT_VERSION}",
                    version.format_version
                ),
                remedy: "use a newer lossreel".into(),
                path,
            });
        }
        MANIFEST.parse(&text, &path)
    }

    /// Writes `manifest.json`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        MANIFEST.write(&self.manifest_path(), manifest)
    }
}
