//! A sweep in a file: a base spec, axes with values, seeds, and what each member is measured on.
//!
//! ```toml
//! title = "Skip connections"
//! base = "resnet20_cifar10.toml"      # a spec, from this file's folder; without one, every default
//! seeds = 3
//!
//! [set]                               # keys of the spec that all members change
//! train.epochs = 12
//!
//! [axes]                              # every key of a spec; all combinations are trained
//! model.shortcut = ["projection", "none"]
//!
//! [[axis]]                            # an axis whose values set several keys together
//! name = "batch"
//! values = [
//!   { label = "128", train.batch_size = 128, optim.lr = 0.1 },
//!   { label = "1024", train.batch_size = 1024, optim.lr = 0.8 },
//! ]
//!
//! [measure]
//! curvature = { samples = 500 }
//! width = { directions = 3, range = 1.0, points = 41, samples = 1000, rise = 1.0 }
//! surface = { grid = "25x25", range = 1.0, samples = 500 }
//!
//! [film]                              # of the path of each combination's first seed
//! grid = "31x31"
//!
//! [scale.smoke]                       # other sizes of the same sweep, by --scale
//! seeds = 2
//! set = { data.set = "digits" }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::spec::Spec;
use crate::{Error, Result};

/// A sweep as its file says it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SweepFile {
    /// The report's title; the file's name without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the sweep asks, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The spec that all members change, from the file's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<PathBuf>,
    /// How many seeds each combination is trained with: `train.seed` of the base, and as many after it.
    pub seeds: usize,
    /// Keys that all members change.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub set: toml::Table,
    /// Axes of one key each.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub axes: toml::Table,
    /// Axes whose values set several keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub axis: Vec<LinkedAxis>,
    /// What each member is measured on when it is trained.
    pub measure: Measure,
    /// The film that members get; none for no film.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub film: Option<Film>,
    /// Other sizes of the sweep.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scale: BTreeMap<String, Scale>,
}

/// `[[axis]]`: an axis whose values set several keys together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkedAxis {
    /// What it is called.
    pub name: String,
    /// Its values: `label`, and keys of a spec.
    pub values: Vec<toml::Table>,
}

/// `[scale.NAME]`: what another size of the sweep changes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scale {
    /// How many seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<usize>,
    /// Keys that all members change, after `[set]`.
    pub set: toml::Table,
    /// Axes whose values are others at this size.
    pub axes: toml::Table,
    /// What replaces `[measure]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
    /// What replaces `[film]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub film: Option<Film>,
}

/// `[measure]`: what each member is measured on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Measure {
    /// The largest Hessian eigenvalue at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curvature: Option<CurvatureMeasure>,
    /// Whether the answer for each test image is kept: the spread over seeds of the accuracy is then told
    /// apart from the chance of the finite test set.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub predictions: bool,
    /// The width of the basin along random filter-normalised directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<WidthMeasure>,
    /// A surface over random filter-normalised directions, the same for all members of one seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surface: Option<SurfaceMeasure>,
}

/// `[measure] curvature`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurvatureMeasure {
    /// Training images, 0 for all.
    pub samples: usize,
}

impl Default for CurvatureMeasure {
    fn default() -> Self {
        Self { samples: 500 }
    }
}

/// `[measure] width`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WidthMeasure {
    /// Random directions, each a line through the trained weights.
    pub directions: usize,
    /// The lines go from -range to range, in units of the filter-normalised direction.
    pub range: f64,
    /// Points on each line.
    pub points: usize,
    /// Training images, 0 for all.
    pub samples: usize,
    /// The rise of the loss above that of the trained weights at which the width is taken, in nats.
    pub rise: f64,
}

impl Default for WidthMeasure {
    fn default() -> Self {
        Self { directions: 3, range: 1.0, points: 41, samples: 1000, rise: 1.0 }
    }
}

/// `[measure] surface`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SurfaceMeasure {
    /// Columns and rows: "25x25".
    pub grid: String,
    /// It goes from -range to range on both axes.
    pub range: f64,
    /// Training images, 0 for all.
    pub samples: usize,
}

impl Default for SurfaceMeasure {
    fn default() -> Self {
        Self { grid: "25x25".into(), range: 1.0, samples: 500 }
    }
}

/// A film of a member's path, or of several members' paths on one plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Film {
    /// Points of the surface under the path.
    pub grid: String,
    /// Training images, 0 for all.
    pub samples: usize,
    /// Pixels across and down.
    pub size: String,
    /// How many of the seeds get one, from the first.
    pub seeds: usize,
}

impl Default for Film {
    fn default() -> Self {
        Self { grid: "31x31".into(), samples: 500, size: "960x540".into(), seeds: 1 }
    }
}

/// The tables and keys that only a sweep has: a file without any is a spec.
const OWN: [&str; 10] =
    ["title", "question", "base", "seeds", "set", "axes", "axis", "measure", "film", "scale"];

impl SweepFile {
    /// Reads a sweep; a spec is a sweep of its own, with one member and no axis. The paths in it are
    /// made to start where the command does.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::SpecSyntax`], [`Error::UnknownKey`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = disk::read_named_text(path, "read the sweep")?;
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| Error::SpecSyntax {
            message: e.to_string().trim_end().into(),
        })?;
        if !table.keys().any(|key| OWN.contains(&key.as_str())) {
            return Ok(Self { base: Some(path.to_path_buf()), seeds: 1, ..Self::default() });
        }
        if let Some(key) = table.keys().find(|key| !OWN.contains(&key.as_str())) {
            return Err(Error::unknown_key(key, OWN));
        }
        let mut file: Self = table.try_into().map_err(|e: toml::de::Error| Error::SpecSyntax {
            message: e.to_string().trim_end().into(),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        file.base = file.base.map(|base| folder.join(base));
        file.seeds = file.seeds.max(1);
        // By dotted keys, so that a later change of one key finds it.
        for table in [&mut file.axes, &mut file.set] {
            *table = flat(table).into_iter().collect();
        }
        Ok(file)
    }

    /// The sweep at another size.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for one that the file has not.
    pub fn at_scale(mut self, name: &str) -> Result<Self> {
        let Some(scale) = self.scale.remove(name) else {
            let known: Vec<&str> = self.scale.keys().map(String::as_str).collect();
            return Err(Error::unknown_name("scale", name, &known));
        };
        self.seeds = scale.seeds.unwrap_or(self.seeds);
        for (of, changed) in [(&mut self.set, &scale.set), (&mut self.axes, &scale.axes)] {
            for (key, value) in flat(changed) {
                of.insert(key, value);
            }
        }
        if let Some(measure) = scale.measure {
            self.measure = measure;
        }
        self.film = scale.film.or(self.film);
        self.scale.clear();
        Ok(self)
    }

    /// Adds an axis given as `key=a,b`.
    ///
    /// # Errors
    /// [`Error::BadValue`] for what has no `=` or no value.
    pub fn add_axis(&mut self, text: &str) -> Result<()> {
        let bad = |problem: &str| {
            Error::bad_value("axis", text, problem, "write it as optim.lr=0.1,0.01")
        };
        let (key, values) = text.split_once('=').ok_or_else(|| bad("without ="))?;
        let values = split_values(values);
        if key.trim().is_empty() || values.iter().any(|v| v.trim().is_empty()) {
            return Err(bad("with a value missing"));
        }
        let values = values.iter().map(|value| parsed(value.trim())).collect();
        self.axes.insert(key.trim().to_string(), toml::Value::Array(values));
        Ok(())
    }

    /// Adds a change that all members have, given as `key=value`.
    ///
    /// # Errors
    /// [`Error::BadValue`] for what has no `=`.
    pub fn add_change(&mut self, text: &str) -> Result<()> {
        let Some((key, value)) = text.split_once('=') else {
            let remedy = "write it as optim.lr=0.05";
            return Err(Error::bad_value("set", text, "without =", remedy));
        };
        self.set.insert(key.trim().to_string(), parsed(value.trim()));
        Ok(())
    }

    /// The spec that all members change, as TOML.
    pub(super) fn base_text(&self) -> Result<String> {
        match &self.base {
            Some(path) => disk::read_named_text(path, "read the spec"),
            None => Ok(String::new()),
        }
    }

    /// What all members are trained by, but for axes and seed.
    ///
    /// # Errors
    /// Those of reading and parsing it.
    pub fn base_spec(&self) -> Result<Spec> {
        Spec::parse(&self.base_text()?, &changes(&self.set))
    }
}

/// Splits at commas that are not within brackets or quotes.
fn split_values(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0i32, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("there is always a part").push(c);
    }
    parts
}

/// A value as TOML where it is one, else as a string: `adam` needs no quotes.
pub(super) fn parsed(text: &str) -> toml::Value {
    let table: std::result::Result<toml::Table, _> = format!("v = {text}").parse();
    match table.ok().and_then(|mut table| table.remove("v")) {
        Some(value) => value,
        None => toml::Value::String(text.into()),
    }
}

/// The values of nested tables by dotted keys, in order.
pub(super) fn flat(table: &toml::Table) -> Vec<(String, toml::Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                let inner = flat(inner).into_iter();
                found.extend(inner.map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            value => found.push((key.clone(), value.clone())),
        }
    }
    found
}

/// The values of nested tables as `key=value`.
pub(super) fn changes(table: &toml::Table) -> Vec<String> {
    flat(table).into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SweepFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sweep.toml");
        std::fs::write(&path, text).unwrap();
        SweepFile::read(&path)
    }

    #[test]
    fn a_spec_is_a_sweep_of_one_and_a_misspelt_key_is_named() {
        let file = read("[optim]\nlr = 0.1\n").unwrap();
        assert_eq!((file.seeds, file.axes.len()), (1, 0));
        assert!(file.base.unwrap().ends_with("sweep.toml"));
        let error = read("axs = 1\nseeds = 2\n").unwrap_err().to_string();
        assert!(error.contains("axs") && error.contains("axes"), "{error}");
        let error = read("seeds = 2\n[measure]\nwidht = {}\n").unwrap_err().to_string();
        assert!(error.contains("widht"), "{error}");
        assert!(read("seeds = \n").is_err());
    }

    #[test]
    fn a_scale_changes_seeds_keys_and_measures() {
        let text = "seeds = 5\nset = { train.epochs = 9, optim.lr = 0.1 }\n[measure.curvature]\n\
                    [scale.smoke]\nseeds = 2\nset = { train.epochs = 1 }\nmeasure = { width = {} }\n";
        let file = read(text).unwrap();
        let smoke = file.clone().at_scale("smoke").unwrap();
        assert_eq!(smoke.seeds, 2);
        let mut set = changes(&smoke.set);
        set.sort();
        assert!(set.contains(&"optim.lr=0.1".to_string()), "{set:?}");
        assert!(smoke.base_spec().unwrap().train.epochs == 1);
        assert!(smoke.measure.curvature.is_none() && smoke.measure.width.is_some());
        let error = file.at_scale("laptob").unwrap_err().to_string();
        assert!(error.contains("smoke"), "{error}");
    }

    #[test]
    fn axes_on_the_command_line_keep_lists_and_strings_together() {
        let mut file = SweepFile::default();
        file.add_axis("optim.rule=sgd,adam").unwrap();
        file.add_axis("model.hidden=[16,16],[32]").unwrap();
        file.add_axis("optim.weight_decay=0,5e-4").unwrap();
        let len = |key: &str| file.axes[key].as_array().unwrap().len();
        assert_eq!([len("optim.rule"), len("model.hidden"), len("optim.weight_decay")], [2, 2, 2]);
        assert_eq!(file.axes["optim.rule"][0].as_str(), Some("sgd"));
        assert_eq!(file.axes["model.hidden"][0].as_array().unwrap().len(), 2);
        for bad in ["optim.lr", "optim.lr=", "=1", "optim.lr=1,,2"] {
            assert!(file.add_axis(bad).is_err(), "{bad}");
        }
    }
}
