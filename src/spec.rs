//! Specs: the tables of a run gathered, read, changed by `--set`, resolved and checked.
//!
//! A spec names what differs from the defaults; the resolved one, every default written out, is
//! kept in the run folder. Unknown keys are errors that name the nearest known one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backend;
use crate::dataset::{
    self, Augment, DataSet, Dataset, LoadOptions, NormChoice, NormStats, SampleOrder, choose,
};
use crate::disk;
use crate::models::ModelSpec;
use crate::network::Network;
use crate::optim::{OptimConfig, ScheduleConfig};
use crate::record::RecordSpec;
use crate::rng::Streams;
use crate::train::{Setup, TrainSpec};
use crate::{Error, Result};

/// The `[data]` table of a spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataSpec {
    /// The data set.
    pub set: DataSet,
    /// The folder with its files; without one, `datasets/NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Training images (a class-balanced draw), 0 for all; a set that is made has that many, 0 for
    /// its own number.
    pub train_samples: usize,
    /// Test images, likewise.
    pub test_samples: usize,
    /// How training images are moved about; without it, `crop_flip` for cifar10 and `none` for the
    /// others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
    /// How pixels are normalised; without it, `paper` for cifar10 and `dataset` for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_stats: Option<NormChoice>,
}

impl Default for DataSpec {
    fn default() -> Self {
        Self {
            set: DataSet::Cifar10,
            dir: None,
            train_samples: 0,
            test_samples: 0,
            augment: None,
            norm_stats: None,
        }
    }
}

impl DataSpec {
    /// The augmentation: the one given, or the set's own.
    pub fn augment(&self) -> Augment {
        let own = if self.set == DataSet::Cifar10 { Augment::CropFlip } else { Augment::None };
        self.augment.unwrap_or(own)
    }

    /// The normalisation: the one given, or the set's own.
    pub fn norm_stats(&self) -> NormChoice {
        self.norm_stats.unwrap_or(NormChoice::default_for(self.set.as_str()))
    }

    /// Reads the whole set, or makes it of `seed`.
    pub fn load(&self, seed: u64) -> Result<Dataset> {
        let some = |n: usize| (n > 0).then_some(n);
        dataset::load(
            self.set,
            &LoadOptions {
                dir: self.dir.clone(),
                seed,
                made_train: some(self.train_samples),
                made_test: some(self.test_samples),
            },
        )
    }

    /// The images a run uses of a loaded set: class-balanced draws of `streams`.
    pub fn sample(&self, data: &Dataset, streams: &Streams) -> Result<Dataset> {
        let cut = |key: &str, split: &dataset::LabelledImages, n: usize| {
            if n == 0 || n == split.len() {
                return Ok(split.clone());
            }
            if n > split.len() {
                return Err(Error::bad_value(
                    key,
                    n,
                    format!("but {} has only {} such images", data.name, split.len()),
                    format!("use 1 to {}, or 0 for all", split.len()),
                ));
            }
            Ok(split.select(&choose(&split.labels, n, SampleOrder::Balanced, streams)?))
        };
        data.with_splits(
            cut("data.train_samples", &data.train, self.train_samples)?,
            cut("data.test_samples", &data.test, self.test_samples)?,
        )
    }
}

/// A run's whole specification.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// `[model]`
    pub model: ModelSpec,
    /// `[data]`
    pub data: DataSpec,
    /// `[optim]`
    pub optim: OptimConfig,
    /// `[schedule]`
    pub schedule: ScheduleConfig,
    /// `[train]`
    pub train: TrainSpec,
    /// `[record]`
    pub record: RecordSpec,
}

/// Keys that a default spec does not write because they have no default value, without those of
/// `[optim]`, which [`OptimConfig::optional_keys`] lists.
const OPTIONAL_KEYS: &[&str] = &[
    "data.dir",
    "data.augment",
    "data.norm_stats",
    "schedule.milestones",
    "schedule.decay_fraction",
    "schedule.decay_shape",
    "record.sharpness",
    "record.sharpness_samples",
];

/// Keys of a spec that may change between a run's beginning and its end: they say how long it goes on,
/// where the data are and what is recorded, and leave the steps made so far as they are.
pub const MAY_CHANGE: [&str; 4] = ["train.epochs", "train.early_stop", "data.dir", "record."];

/// The keys whose values differ between two resolved specs, as TOML, without those that may.
pub fn changed_keys(before: &str, now: &str) -> Vec<String> {
    let flat = |text: &str| -> BTreeMap<String, String> {
        let tables = text.parse::<toml::Table>().unwrap_or_default();
        let mut values = BTreeMap::new();
        for (table, keys) in &tables {
            for (key, value) in keys.as_table().into_iter().flatten() {
                values.insert(format!("{table}.{key}"), value.to_string());
            }
        }
        values
    };
    let (before, now) = (flat(before), flat(now));
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let may = |key: &str| {
        MAY_CHANGE.iter().any(|may| key == *may || may.ends_with('.') && key.starts_with(may))
    };
    let changed = keys.into_iter().filter(|key| before.get(*key) != now.get(*key) && !may(key));
    changed.cloned().collect()
}

impl Spec {
    /// Reads a spec from a file and applies `key=value` changes.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Spec::parse`].
    pub fn read(path: &Path, set: &[String]) -> Result<Self> {
        let text = disk::read_named_text(path, "read the spec")?;
        Self::parse(&text, set)
    }

    /// Parses TOML, applies `key=value` changes, resolves and checks.
    ///
    /// # Errors
    /// [`Error::SpecSyntax`], [`Error::UnknownKey`], [`Error::BadValue`].
    pub fn parse(text: &str, set: &[String]) -> Result<Self> {
        let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            Error::SpecSyntax { message: e.to_string().trim_end().into() }
        })?;
        for change in set {
            apply(&mut table, change)?;
        }
        let mut unknown = None;
        let spec: Spec = serde_ignored::deserialize(table, |path| {
            unknown.get_or_insert(path.to_string());
        })
        .map_err(|e: toml::de::Error| Error::SpecSyntax { message: value_message(&e) })?;
        if let Some(key) = unknown {
            let known = Self::known_keys();
            return Err(Error::unknown_key(&key, known.iter().map(String::as_str)));
        }
        spec.resolve()
    }

    /// Writes every default out and checks what can be checked without the data.
    pub fn resolve(mut self) -> Result<Self> {
        self.train.check()?;
        self.optim = self.optim.resolve()?;
        self.schedule = self.schedule.resolve(self.train.epochs)?;
        self.data.augment = Some(self.data.augment());
        self.data.norm_stats = Some(self.data.norm_stats());
        self.record = self.record.resolve();
        Ok(self)
    }

    /// The spec as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a spec is plain data")
    }

    /// Every key of every table, dotted.
    pub fn known_keys() -> Vec<String> {
        let table = toml::Table::try_from(Self::default()).expect("a spec is plain data");
        let mut keys: Vec<String> = OPTIONAL_KEYS.iter().map(|k| k.to_string()).collect();
        keys.extend(OptimConfig::optional_keys().map(|key| format!("optim.{key}")));
        for (name, value) in &table {
            keys.push(name.clone());
            for key in value.as_table().into_iter().flat_map(|t| t.keys()) {
                keys.push(format!("{name}.{key}"));
            }
        }
        keys
    }

    /// The network, for images of a loaded set.
    pub fn network(&self, data: &Dataset) -> Result<Network> {
        self.model.build(data.shape(), data.classes)
    }

    /// Everything training needs: loads the data (`whole` is the set before samples are drawn) and
    /// builds the network on its backend.
    ///
    /// # Errors
    /// Missing or damaged data, shapes that do not fit, a batch larger than the data.
    pub fn setup(&self, whole: &Dataset) -> Result<Setup> {
        let data = self.data.sample(whole, &Streams::new(self.train.seed))?;
        let network = self.network(whole)?;
        let augmented = self.data.augment() != Augment::None;
        self.optim.check_batches(self.train.batch_size, data.train.len(), augmented)?;
        let setup = Setup {
            backend: backend::backend(self.train.backend, Arc::new(network))?,
            // Statistics of the whole training set: a subset is normalised like its set.
            stats: NormStats::of(whole, self.data.norm_stats())?,
            augment: self.data.augment(),
            data,
            optim: self.optim.clone(),
            schedule: self.schedule.clone(),
            train: self.train.clone(),
        };
        setup.steps_per_epoch()?;
        Ok(setup)
    }
}

/// toml's complaint about a value on one line, with the key in front (toml puts it on a line of its
/// own) and in words for people who do not write Rust.
fn value_message(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let (message, key) = text.trim_end().rsplit_once("\nin ").unwrap_or((text.trim_end(), ""));
    let message = message
        .replace("expected u64", "expected a whole number from 0 up")
        .replace("expected usize", "expected a whole number from 0 up")
        .replace("expected f64", "expected a number")
        .replace("expected a sequence", "expected a list like [1, 2]");
    if key.is_empty() || message.contains(key) { message } else { format!("{key}: {message}") }
}

/// Applies one `key=value`. The value is TOML; what is not (a bare word) is taken as a string.
fn apply(table: &mut toml::Table, change: &str) -> Result<()> {
    let bad = |problem: &str| Error::bad_value("set", change, problem, "write optim.lr=0.05");
    let (key, value) = change.split_once('=').ok_or_else(|| bad("not key=value"))?;
    let (section, key) =
        key.trim().split_once('.').ok_or_else(|| bad("a key without its table"))?;
    let value = value.trim();
    let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_string()));
    let entry = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    match entry {
        toml::Value::Table(section) => section.insert(key.to_string(), value),
        _ => return Err(bad("a key under something that is no table")),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, set: &[&str]) -> String {
        let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
        Spec::parse(text, &set).unwrap_err().to_string()
    }

    #[test]
    fn a_resolved_spec_reads_back_as_itself_with_every_default_written_out() {
        let spec = Spec::parse("[optim]\nrule = \"adam\"\n", &["train.epochs=5".into()]).unwrap();
        assert_eq!((spec.optim.lr, spec.train.epochs), (Some(1e-3), 5));
        let text = spec.to_toml();
        assert!(text.contains("lr = 0.001") && text.contains("norm_stats = \"paper\""), "{text}");
        assert_eq!(Spec::parse(&text, &[]).unwrap(), spec);
    }

    #[test]
    fn set_reaches_any_key_with_or_without_quotes() {
        let set = [
            "optim.rule=adam",
            "model.arch=vgg9",
            "model.hidden=[3, 4]",
            "data.set=\"mnist\"",
            "record.every=10 steps",
        ];
        let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
        let spec = Spec::parse("", &set).unwrap();
        assert_eq!(spec.model.arch, "vgg9");
        assert_eq!(spec.model.hidden, [3, 4]);
        assert_eq!(spec.data.set, DataSet::Mnist);
        assert_eq!(String::from(spec.record.every), "10 steps");
    }

    #[test]
    fn unknown_keys_and_values_name_the_nearest_known_one() {
        let text = message("[optim]\nlearning_rate = 1\nmomentun = 0.9\n", &[]);
        assert!(text.contains("optim.learning_rate"), "{text}");
        assert!(
            message("[optim]\nmomentun = 0.9\n", &[]).contains("did you mean `optim.momentum`?")
        );
        assert!(message("[modle]\narch = \"x\"\n", &[]).contains("did you mean `model`?"));
        assert!(message("[optim]\nrule = \"adma\"\n", &[]).contains("did you mean `adam`?"));
        assert!(message("", &["train.epoch=3"]).contains("did you mean `train.epochs`?"));
        assert!(message("", &["train.epochs=0"]).contains("train.epochs"));
        assert_eq!(
            message("", &["train.epochs=many"]),
            "the spec does not parse: `train.epochs`: invalid type: string \"many\", expected a whole \
             number from 0 up"
        );
        assert!(message("", &["epochs=3"]).contains("write optim.lr=0.05"));
        assert!(message("[train", &[]).contains("does not parse"));
        assert!(message("", &["optim.lr=-1"]).contains("optim.lr"));
    }

    #[test]
    fn every_optional_key_is_known() {
        let full = "[optim]\nlr=1.0\nmomentum=0.5\nnesterov=false\ndampening=0.0\nbeta1=0.9\nbeta2=0.9\neps=1e-8\nalpha=0.9\ncentered=false\nweight_decay=0.0\ndecay=\"coupled\"\ngrad_clip=1.0\nsam_rho=0.1\nsam_adaptive=true\nadamw_lr=0.1\n[schedule]\nmilestones=[1]\ndecay_fraction=0.1\ndecay_shape=\"linear\"\n[data]\ndir=\"x\"\naugment=\"none\"\nnorm_stats=\"dataset\"\n[record]\nsharpness=\"epoch\"\nsharpness_samples=9\n";
        Spec::parse(full, &[]).unwrap();
        let known = Spec::known_keys();
        for line in toml::from_str::<toml::Table>(full).unwrap() {
            for key in line.1.as_table().unwrap().keys() {
                let dotted = format!("{}.{key}", line.0);
                assert!(known.contains(&dotted), "{dotted}");
            }
        }
    }

    #[test]
    fn a_batch_larger_than_the_data_is_refused_before_training() {
        let set =
            ["data.set=digits", "data.train_samples=100", "train.batch_size=128", "model.arch=mlp"];
        let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
        let spec = Spec::parse("", &set).unwrap();
        let whole = spec.data.load(0).unwrap();
        let text = spec.setup(&whole).err().unwrap().to_string();
        assert!(text.contains("train.batch_size") && text.contains("100"), "{text}");
    }
}
