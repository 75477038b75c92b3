//! The built command in temporary folders, with a cleared environment: what people type and what
//! they get. Nets and data are tiny, so a command takes a second.

mod architectures;
mod average;
mod batch_order;
mod bench;
mod between;
mod checkpoints;
mod compare;
mod curvature;
mod damage;
mod data;
mod divergence;
mod elsewhere;
mod function;
mod instability;
mod joint;
mod lecture;
mod leftovers;
mod manners;
mod measure;
mod not_finite;
mod options;
mod pipeline;
mod planes;
mod precision;
mod recorded;
mod recording;
mod refusals;
mod repetition;
mod river;
mod scenes;
mod sizes;
mod stale;
mod strange;
mod surface_files;
mod surface_parts;
mod sweep;
mod targets;
mod trust;
mod view;
mod weights;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A temporary folder in which the command runs.
struct Place(tempfile::TempDir);

/// What a command ended with.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the command speaks UTF-8");
        // A death by signal (an abort) has no code; no command of ours exits with -1.
        let code = output.status.code().unwrap_or(-1);
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command with its arguments, ready to start here.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lossreel"));
        command.args(args).current_dir(self.0.path()).env_clear();
        for name in ["PATH", "HOME", "LOSSREEL_DATA"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.command(args).output().unwrap().into()
    }

    /// Runs a command that must succeed; its stdout.
    fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.stdout
    }

    /// [`Place::ok`] with `--json`: the one document on stdout.
    fn json(&self, args: &[&str]) -> Value {
        let stdout = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {stdout}"))
    }

    /// Runs a command that must be refused with exit code 1, nothing on stdout, and a message that
    /// has all of `words` in it.
    fn refused(&self, args: &[&str], words: &[&str]) {
        let ended = self.run(args);
        let Ended { code, stdout, stderr } = &ended;
        assert_eq!((*code, stdout.as_str()), (1, ""), "{args:?}: {stderr}");
        assert!(stderr.starts_with("lossreel: "), "{args:?}: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "{args:?}: no `{word}` in: {stderr}");
        }
    }

    /// Trains a small net on digits into `run`, with more arguments.
    fn train(&self, run: &str, more: &[&str]) {
        self.ok(&[MLP, &["--out", run], more].concat());
    }
}

/// A small MLP: 4 steps an epoch, 2 epochs.
const MLP: &[&str] = &[
    "train",
    "--dataset",
    "digits",
    "--set=model.arch=mlp",
    "--set=data.train_samples=200",
    "--set=data.test_samples=100",
    "--set=train.batch_size=50",
    "--set=train.epochs=2",
];

/// A small residual net with all that draws random numbers switched on, and sharpness measured: 25
/// steps an epoch, 3 epochs, snapshots and measurements out of step with both.
const RESNET: &[&str] = &[
    "train",
    "--dataset",
    "digits",
    "--set=model.arch=resnet8",
    "--set=model.width=0.25",
    "--set=model.dropout=0.2",
    "--set=data.train_samples=200",
    "--set=data.test_samples=100",
    "--set=data.augment=crop",
    "--set=train.batch_size=8",
    "--set=train.epochs=3",
    "--set=record.every=9 steps",
    "--set=record.sharpness=10 steps",
    "--set=record.sharpness_samples=30",
    "--set=record.overshoot=10 steps",
    "--set=record.overshoot_samples=30",
];

/// Every file below a folder (locks aside) by its path in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != ".lock" {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// A safetensors file as another program writes it: with the values, without our metadata and their
/// digests.
fn without_metadata(mut bytes: Vec<u8>) -> Vec<u8> {
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut json: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    json.as_object_mut().unwrap().remove("__metadata__");
    let plain = format!("{:<header$}", json.to_string());
    bytes[8..8 + header].copy_from_slice(plain.as_bytes());
    bytes
}

/// The keys of a JSON object.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Asserts that `value` is an object with at least `wanted` among its keys.
fn assert_keys(value: &Value, wanted: &[&str]) {
    for key in wanted {
        assert!(keys(value).contains(key), "no `{key}` among {:?}", keys(value));
    }
}
