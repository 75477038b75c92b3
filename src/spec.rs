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
    self, Augment, Colors, DataSet, Dataset, ImageFit, ImageSize, LabelColumn, LoadOptions,
    NormChoice, NormStats, Origin, OwnData, SampleOrder, TargetKind, choose,
};
use crate::disk;
use crate::models::ModelSpec;
use crate::network::Network;
use crate::objective::check_targets;
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
    /// The folder with its files, or the file; without one, `datasets/NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// `folder`: the size that pictures are brought to, a side or `[height, width]`; without it they must
    /// be of one size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
    /// `folder`: how they are brought to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_fit: Option<ImageFit>,
    /// `folder`: the channels of pictures; without it grey where all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colors: Option<Colors>,
    /// Data of one's own: the share that is drawn for testing where no test images are there; without it
    /// a fifth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,
    /// Data of one's own: the seed of that draw; without it 0, whatever the run's seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// `csv`: the column with the labels or the numbers to be predicted, a name or a place (0 the first, -1
    /// the last).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<LabelColumn>,
    /// `csv` and `npz`: what is predicted, `classes` or `values` (regression); without it classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<TargetKind>,
    /// `csv` with `targets = "values"`: the columns of the numbers to be predicted, where they are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_columns: Option<Vec<LabelColumn>>,
    /// `csv` and `npz` with `targets = "values"`: whether the numbers stay in their own units; without it
    /// they are brought to mean 0 and standard deviation 1 over the training examples, so that a loss of 1
    /// is that of their mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_targets: Option<bool>,
    /// `text`: characters of an example; without it 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// `csv` and `npz`: the shape `[channels, height, width]` of an image whose numbers stand in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<[usize; 3]>,
    /// Training images (a class-balanced draw), 0 for all; a set that is made has that many, 0 for
    /// its own number.
    pub train_samples: usize,
    /// Test images, likewise; the same ones for every seed.
    pub test_samples: usize,
    /// Training images that are kept out of training and stand in the place of the test images (a
    /// class-balanced draw of those that `train_samples` leaves), 0 for none: what hyper-parameters are
    /// chosen on, so that the test images are not looked at.
    pub held_out: usize,
    /// Share of the training labels that are replaced by another class, each by one drawn at random, 0 for
    /// none. Which images, and what they become, follows the seed.
    pub label_noise: f64,
    /// How training images are moved about; without it, `crop_flip` for cifar10 and cifar100 and `none`
    /// for the others.
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
            image_size: None,
            image_fit: None,
            colors: None,
            test_fraction: None,
            split_seed: None,
            label_column: None,
            targets: None,
            target_columns: None,
            raw_targets: None,
            context: None,
            shape: None,
            train_samples: 0,
            test_samples: 0,
            held_out: 0,
            label_noise: 0.0,
            augment: None,
            norm_stats: None,
        }
    }
}

impl DataSpec {
    /// The augmentation: the one given, or the set's own.
    pub fn augment(&self) -> Augment {
        let own = match self.set {
            DataSet::Cifar10 | DataSet::Cifar100 => Augment::CropFlip,
            _ => Augment::None,
        };
        self.augment.unwrap_or(own)
    }

    /// The normalisation: the one given, or the set's own.
    pub fn norm_stats(&self) -> NormChoice {
        self.norm_stats.clone().unwrap_or(NormChoice::default_for(self.set.as_str()))
    }

    /// Reads the whole set, or makes it of `seed`.
    pub fn load(&self, seed: u64) -> Result<Dataset> {
        let some = |n: usize| (n > 0).then_some(n);
        dataset::load(
            self.set,
            &LoadOptions {
                dir: self.dir.clone(),
                seed,
                // A set that is made has the images that are held out as well.
                made_train: some(self.train_samples).map(|n| n.saturating_add(self.held_out)),
                made_test: some(self.test_samples),
                own: self.own(),
            },
        )
    }

    /// How data of one's own are read.
    fn own(&self) -> OwnData {
        OwnData {
            image_size: self.image_size,
            image_fit: self.image_fit,
            colors: self.colors,
            test_fraction: self.test_fraction,
            split_seed: self.split_seed,
            label_column: self.label_column.clone(),
            targets: self.targets.unwrap_or_default(),
            target_columns: self.target_columns.clone().unwrap_or_default(),
            raw_targets: self.raw_targets.unwrap_or(false),
            context: self.context,
            shape: self.shape,
        }
    }

    /// Refuses a key that the set has no use for: whoever wrote it meant another set.
    fn check_own(&self) -> Result<()> {
        use DataSet::{Csv, Folder, Npz, Text};
        let keys: [(&str, bool, &[DataSet]); 11] = [
            ("image_size", self.image_size.is_some(), &[Folder]),
            ("image_fit", self.image_fit.is_some(), &[Folder]),
            ("colors", self.colors.is_some(), &[Folder]),
            ("test_fraction", self.test_fraction.is_some(), &[Folder, Npz, Csv, Text]),
            ("split_seed", self.split_seed.is_some(), &[Folder, Npz, Csv]),
            ("label_column", self.label_column.is_some(), &[Csv]),
            ("targets", self.targets.is_some(), &[Npz, Csv]),
            ("target_columns", self.target_columns.is_some(), &[Csv]),
            ("raw_targets", self.raw_targets.is_some(), &[Npz, Csv]),
            ("context", self.context.is_some(), &[Text]),
            ("shape", self.shape.is_some(), &[Npz, Csv]),
        ];
        for (key, is_given, of) in keys {
            if is_given && !of.contains(&self.set) {
                let of: Vec<&str> = of.iter().map(|set| set.as_str()).collect();
                return Err(Error::bad_value(
                    format!("data.{key}"),
                    "given",
                    format!("but data.set is {}", self.set),
                    format!("leave it out: it is for data.set = {}", of.join(" or ")),
                ));
            }
        }
        let values = self.targets == Some(TargetKind::Values);
        for (key, is_given) in [
            ("target_columns", self.target_columns.is_some()),
            ("raw_targets", self.raw_targets.is_some()),
        ] {
            if is_given && !values {
                return Err(Error::bad_value(
                    format!("data.{key}"),
                    "given",
                    "but data.targets is not \"values\"",
                    "add data.targets = \"values\", or leave it out",
                ));
            }
        }
        if (values || self.set == DataSet::Text) && self.label_noise > 0.0 {
            return Err(Error::bad_value(
                "data.label_noise",
                self.label_noise,
                "but the examples have no class each",
                "use 0",
            ));
        }
        if let Some(fraction) = self.test_fraction
            && !(fraction > 0.0 && fraction < 1.0)
        {
            return Err(Error::bad_value(
                "data.test_fraction",
                fraction,
                "not a share of the images",
                "use a value above 0 and below 1",
            ));
        }
        Ok(())
    }

    /// Whether images are read from a folder, rather than made or embedded.
    pub fn has_files(&self) -> bool {
        matches!(self.set.origin(), Origin::Published | Origin::Own)
    }

    /// The images a run uses of a loaded set: class-balanced draws, of the training images by `streams`; the
    /// test images are the same for every seed.
    ///
    /// # Errors
    /// [`Error::BadValue`] where the set has fewer images than are asked for.
    pub fn sample(&self, data: &Dataset, streams: &Streams) -> Result<Dataset> {
        // Every run is tested on the same images, whatever its seed.
        let of_test = Streams::new(0);
        let draw = |key: &str, split: &dataset::LabelledImages, n: usize, streams: &Streams| {
            if n > split.len() {
                return Err(Error::bad_value(
                    key,
                    n,
                    format!("but {} has only {} such images", data.name, split.len()),
                    format!("use 1 to {}, or 0 for all", split.len()),
                ));
            }
            choose(&split.labels, n, SampleOrder::Balanced, streams)
        };
        let cut = |key: &str, split: &dataset::LabelledImages, n: usize, streams: &Streams| {
            if n == 0 || n == split.len() {
                return Ok(split.clone());
            }
            Ok(split.select(&draw(key, split, n, streams)?))
        };
        let [mut train, test] = if self.held_out > 0 {
            self.hold_out(&data.train, &data.name, |key, split, n| draw(key, split, n, streams))?
        } else {
            [
                cut("data.train_samples", &data.train, self.train_samples, streams)?,
                cut("data.test_samples", &data.test, self.test_samples, &of_test)?,
            ]
        };
        self.disturb(&mut train.labels, data.classes, streams);
        data.with_splits(train, test)
    }

    /// Replaces `label_noise` of the labels.
    fn disturb(&self, labels: &mut [u8], classes: usize, streams: &Streams) {
        let wrong = (self.label_noise * labels.len() as f64).round() as usize;
        if wrong == 0 || classes < 2 {
            return;
        }
        let mut rng = streams.stream("label noise", 0);
        let mut order: Vec<usize> = (0..labels.len()).collect();
        rng.shuffle(&mut order);
        for &image in &order[..wrong.min(labels.len())] {
            // Another class: 1 to classes - 1 further on, around.
            let further = 1 + rng.below(classes - 1);
            labels[image] = ((usize::from(labels[image]) + further) % classes) as u8;
        }
    }

    /// The images to train on and those that are held out. A smaller draw is contained in a larger one,
    /// so that where enough are left the images to train on are those of a run that holds none out.
    fn hold_out(
        &self,
        all: &dataset::LabelledImages,
        name: &str,
        draw: impl Fn(&str, &dataset::LabelledImages, usize) -> Result<Vec<usize>>,
    ) -> Result<[dataset::LabelledImages; 2]> {
        let asked = self.train_samples.checked_add(self.held_out);
        if self.held_out >= all.len() || asked.is_none_or(|asked| asked > all.len()) {
            return Err(Error::bad_value(
                "data.held_out",
                self.held_out,
                format!("but {name} has {} training images", all.len()),
                "let data.train_samples and data.held_out be no more than that together",
            ));
        }
        let without = |these: &[usize], of: Vec<usize>| -> Vec<usize> {
            of.into_iter().filter(|i| these.binary_search(i).is_err()).collect()
        };
        let (train, held_out) = if self.train_samples == 0 {
            let held_out = draw("data.held_out", all, self.held_out)?;
            (without(&held_out, (0..all.len()).collect()), held_out)
        } else {
            let train = draw("data.train_samples", all, self.train_samples)?;
            let both = draw("data.held_out", all, self.train_samples + self.held_out)?;
            let held_out = without(&train, both);
            (train, held_out)
        };
        Ok([all.select(&train), all.select(&held_out)])
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
    "data.image_size",
    "data.image_fit",
    "data.colors",
    "data.test_fraction",
    "data.split_seed",
    "data.label_column",
    "data.targets",
    "data.target_columns",
    "data.raw_targets",
    "data.context",
    "data.shape",
    "data.augment",
    "data.norm_stats",
    "model.from",
    "model.layers",
    "schedule.milestones",
    "schedule.decay_fraction",
    "schedule.decay_shape",
    "train.loss",
    "train.fork_epoch",
    "train.fork_seed",
    "record.sharpness",
    "record.sharpness_samples",
    "record.gradient_noise",
    "record.gradient_noise_samples",
    "record.overshoot",
    "record.overshoot_samples",
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
    // A spec of an earlier version has not every key: what it does not say is its default.
    let resolved = |text: &str| Spec::parse(text, &[]).map_or(text.to_string(), |s| s.to_toml());
    let (before, now) = (flat(&resolved(before)), flat(&resolved(now)));
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
        Self::parse_beside(&text, set, path.parent())
    }

    /// Parses TOML, applies `key=value` changes, resolves and checks.
    ///
    /// # Errors
    /// [`Error::SpecSyntax`], [`Error::UnknownKey`], [`Error::BadValue`].
    pub fn parse(text: &str, set: &[String]) -> Result<Self> {
        Self::parse_beside(text, set, None)
    }

    /// [`Spec::parse`] of a text from the folder `beside`, where an architecture's file is looked for first.
    fn parse_beside(text: &str, set: &[String], beside: Option<&Path>) -> Result<Self> {
        let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            Error::SpecSyntax { message: e.to_string().trim_end().into() }
        })?;
        for change in set {
            apply(&mut table, change)?;
        }
        let mut unknown = None;
        let mut spec: Spec = serde_ignored::deserialize(table, |path| {
            unknown.get_or_insert(path.to_string());
        })
        .map_err(|e: toml::de::Error| Error::SpecSyntax { message: value_message(&e) })?;
        if let Some(key) = unknown {
            let known = Self::known_keys();
            return Err(Error::unknown_key(&key, known.iter().map(String::as_str)));
        }
        spec.model = spec.model.resolve(beside)?;
        spec.resolve()
    }

    /// Writes every default out and checks what can be checked without the data.
    pub fn resolve(mut self) -> Result<Self> {
        self.train.check()?;
        self.data.check_own()?;
        if !(0.0..=1.0).contains(&self.data.label_noise) {
            return Err(Error::bad_value(
                "data.label_noise",
                self.data.label_noise,
                "not a share",
                "use a value from 0 to 1",
            ));
        }
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

    /// Reads the whole set, or makes it, scored by `train.loss`.
    ///
    /// # Errors
    /// Those of [`DataSpec::load`]; [`Error::BadValue`] for a loss that does not fit the data.
    pub fn load_data(&self) -> Result<Dataset> {
        let data = self.data.load(self.train.seed)?;
        match self.train.loss {
            Some(loss) => data.scored_by(loss),
            None => Ok(data),
        }
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
        check_targets(&network, &data.train)?;
        let augmented = self.data.augment() != Augment::None;
        self.optim.check_batches(self.train.batch_size, data.train.len(), augmented)?;
        let setup = Setup {
            backend: backend::backend(self.train.backend, Arc::new(network))?,
            // Statistics of the whole training set: a subset is normalised like its set.
            stats: NormStats::of(whole, &self.data.norm_stats())?,
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

/// Keys whose values are lists, which a change may give without brackets: `model.hidden=512,512`.
const LISTS: [(&str, &str); 3] =
    [("model", "hidden"), ("schedule", "milestones"), ("data", "shape")];

/// Applies one `key=value`. The value is TOML; what is not (a bare word) is taken as a string.
fn apply(table: &mut toml::Table, change: &str) -> Result<()> {
    let bad = |problem: &str| Error::bad_value("set", change, problem, "write optim.lr=0.05");
    let (key, value) = change.split_once('=').ok_or_else(|| bad("not key=value"))?;
    let (section, key) =
        key.trim().split_once('.').ok_or_else(|| bad("a key without its table"))?;
    let mut value = value.trim().to_string();
    if LISTS.contains(&(section, key)) && !value.starts_with('[') {
        value = format!("[{value}]");
    }
    let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
    let value = parsed.unwrap_or(toml::Value::String(value));
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
            "model.hidden=3,4",
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
        let full = "[optim]\nlr=1.0\nmomentum=0.5\nnesterov=false\ndampening=0.0\nbeta1=0.9\nbeta2=0.9\neps=1e-8\nalpha=0.9\ncentered=false\nweight_decay=0.0\ndecay=\"coupled\"\ngrad_clip=1.0\nsam_rho=0.1\nsam_adaptive=true\nadamw_lr=0.1\n[schedule]\nmilestones=[1]\ndecay_fraction=0.1\ndecay_shape=\"linear\"\n[model]\nfrom=\"w\"\n[data]\ndir=\"x\"\naugment=\"none\"\nnorm_stats=\"dataset\"\n[train]\nfork_epoch=1\nfork_seed=2\n[record]\nsharpness=\"epoch\"\nsharpness_samples=9\ngradient_noise=\"epoch\"\ngradient_noise_samples=9\n";
        Spec::parse(full, &[]).unwrap();
        let own = "[data]\nset=\"folder\"\nimage_size=[3, 4]\nimage_fit=\"stretch\"\ncolors=\"grey\"\ntest_fraction=0.3\nsplit_seed=4\n";
        let table = "[data]\nset=\"csv\"\nlabel_column=-1\nshape=[1, 2, 3]\n";
        for text in [own, table] {
            let spec = Spec::parse(text, &[]).unwrap();
            assert_eq!(Spec::parse(&spec.to_toml(), &[]).unwrap(), spec);
        }
        assert!(message("", &["data.image_size=32"]).contains("data.set = folder"));
        assert!(message(table, &["data.test_fraction=1"]).contains("data.test_fraction"));
        let known = Spec::known_keys();
        let lines = [full, own, table].map(|text| toml::from_str::<toml::Table>(text).unwrap());
        for line in lines.into_iter().flatten() {
            for key in line.1.as_table().unwrap().keys() {
                let dotted = format!("{}.{key}", line.0);
                assert!(known.contains(&dotted), "{dotted}");
            }
        }
    }

    #[test]
    fn images_held_out_are_not_trained_on_and_take_the_place_of_the_test_images() {
        let of = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
            let data = Spec::parse("data = { set = \"digits\" }", &set).unwrap().data;
            let whole = data.load(0).unwrap();
            data.sample(&whole, &Streams::new(3)).map(|sample| (sample, whole))
        };
        let (plain, _) = of(&["data.train_samples=200"]).unwrap();
        let (held, whole) = of(&["data.train_samples=200", "data.held_out=100"]).unwrap();
        assert_eq!(held.train.pixels, plain.train.pixels, "the same images are trained on");
        assert_eq!(held.test.len(), 100);
        let counts = |labels: &[u8], c: u8| labels.iter().filter(|&&l| l == c).count();
        assert!((0..10).all(|c| (9..=11).contains(&counts(&held.test.labels, c))));
        let (rest, _) = of(&["data.held_out=100"]).unwrap();
        assert_eq!(rest.train.len() + 100, whole.train.len());
        let image = |of: &dataset::LabelledImages, i: usize| {
            of.pixels[i * of.image_len()..(i + 1) * of.image_len()].to_vec()
        };
        for (held, train) in [(&held.test, &held.train), (&rest.test, &rest.train)] {
            let train: BTreeSet<Vec<u8>> = (0..train.len()).map(|i| image(train, i)).collect();
            let both = (0..held.len()).filter(|&i| train.contains(&image(held, i))).count();
            // The embedded set has no image twice.
            assert_eq!(both, 0);
        }
        for set in [&["data.held_out=100000"][..], &["data.train_samples=10", "data.held_out=5000"]]
        {
            let text = of(set).err().unwrap().to_string();
            assert!(text.contains("data.held_out"), "{text}");
        }
    }

    #[test]
    fn label_noise_replaces_its_share_of_the_training_labels_and_no_test_label() {
        let of = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
            let data = Spec::parse("data = { set = \"digits\" }", &set).unwrap().data;
            data.sample(&data.load(0).unwrap(), &Streams::new(3)).unwrap()
        };
        let plain = of(&["data.train_samples=400"]);
        let noisy = of(&["data.train_samples=400", "data.label_noise=0.25"]);
        assert_eq!(noisy.test.labels, plain.test.labels);
        let pairs = || plain.train.labels.iter().zip(&noisy.train.labels);
        assert_eq!(pairs().filter(|(a, b)| a != b).count(), 100);
        // Every class is among what the wrong ones became, and none is out of range.
        let became: BTreeSet<u8> = pairs().filter(|(a, b)| a != b).map(|(_, b)| *b).collect();
        assert_eq!(became, (0..10).collect());
        assert!(message("", &["data.label_noise=1.5"]).contains("data.label_noise"));
        assert!(message("", &["data.label_noise=nan"]).contains("data.label_noise"));
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
