//! A comparison of update rules in a file.
//!
//! ```toml
//! title = "Optimizers on CIFAR-10"
//! base = "resnet8_cifar10.toml"       # a spec, from this file's folder
//! rules = ["sgd", "momentum", "adam", "muon"]
//! seeds = 3
//! target = 0.6                        # test accuracy; without it, what the first rule ends with
//!
//! [set]                               # keys of the spec that all runs change
//! train.epochs = 10
//!
//! [tune]                              # without this table every rule runs with its defaults
//! trials = 8                          # draws of hyper-parameters for each rule in each study
//! studies = 1                         # independent repetitions of the tuning
//! held_out = 1000                     # training images that the best is chosen on; 0 for a tenth
//! set = { train.epochs = 5 }          # keys that trials change
//!
//! [search.adam]                       # instead of the default ranges of that rule
//! "optim.lr" = { low = 1e-4, high = 1e-1 }
//! "optim.beta1" = { low = 0.8, high = 0.99, scale = "one_minus" }
//!
//! [[workload]]                        # instead of `base`: several at once
//! name = "cifar10"
//! base = "resnet8_cifar10.toml"
//! target = 0.6
//!
//! [measure]                           # as in a sweep, of the final runs
//! [film]                              # of the first seed of every rule on one plane
//!
//! [scale.smoke]                       # other sizes of the same comparison
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::contender::{Contender, Dimension, RangeScale};
use crate::disk;
use crate::sweep::file::{Film, Measure, SweepFile, changes, flat, parsed};
use crate::{Error, Result};

/// A comparison as its file says it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComparisonFile {
    /// Headline of the report.
    pub title: Option<String>,
    /// What the comparison asks.
    pub question: Option<String>,
    /// The spec of the only workload.
    pub base: Option<PathBuf>,
    /// Names of rules, the one that the others are compared with first.
    pub rules: Vec<String>,
    /// Seeds of each rule's final runs.
    pub seeds: usize,
    /// The test accuracy whose reaching is timed, 0..1.
    pub target: Option<f64>,
    /// Keys of the spec that all runs change.
    pub set: toml::Table,
    /// How hyper-parameters are tuned; none where they are not.
    pub tune: Option<Tune>,
    /// Ranges by rule and key, instead of a rule's own.
    pub search: BTreeMap<String, BTreeMap<String, Range>>,
    /// What each final run is measured on.
    pub measure: Measure,
    /// The film of all rules; none for no film.
    pub film: Option<Film>,
    /// The workloads, where there are several.
    pub workload: Vec<WorkloadFile>,
    /// Other sizes by name.
    pub scale: BTreeMap<String, ComparisonScale>,
}

/// How hyper-parameters are tuned: the same budget for every rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tune {
    /// Draws of hyper-parameters for each rule in each study.
    pub trials: usize,
    /// Independent repetitions of the whole tuning, each with another seed.
    pub studies: usize,
    /// Training images that the best is chosen on, 0 for a tenth of them.
    pub held_out: usize,
    /// Keys of the spec that trials change.
    pub set: toml::Table,
}

impl Default for Tune {
    fn default() -> Self {
        Self { trials: 8, studies: 1, held_out: 0, set: toml::Table::new() }
    }
}

/// A range as the file has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How it is divided.
    #[serde(default)]
    pub scale: RangeScale,
}

/// One problem that the rules are compared on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadFile {
    /// The name of its folder; the spec's by default.
    pub name: Option<String>,
    /// The spec.
    pub base: PathBuf,
    /// Keys that its runs change.
    #[serde(default)]
    pub set: toml::Table,
    /// Its own target.
    pub target: Option<f64>,
}

/// What another size changes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComparisonScale {
    /// Seeds.
    pub seeds: Option<usize>,
    /// Rules.
    pub rules: Option<Vec<String>>,
    /// Target.
    pub target: Option<f64>,
    /// Keys of the spec.
    pub set: toml::Table,
    /// Tuning, in the place of the file's.
    pub tune: Option<Tune>,
    /// Measures, in the place of the file's.
    pub measure: Option<Measure>,
    /// Film, in the place of the file's.
    pub film: Option<Film>,
    /// Workloads, in the place of the file's.
    pub workload: Option<Vec<WorkloadFile>>,
}

/// A problem with its spec read.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// The name of its folder.
    pub name: String,
    /// Keys of the spec as `key=value`, without those of `[optim]` that belong to a rule.
    pub set: Vec<String>,
    /// The test accuracy whose reaching is timed.
    pub target: Option<f64>,
    /// The rules on it: the spec's own keeps the spec's hyper-parameters.
    pub contenders: Vec<Contender>,
}

/// Keys that only a comparison has: a file without any is a spec.
const OWN: [&str; 13] = [
    "title", "question", "base", "rules", "seeds", "target", "set", "tune", "search", "measure",
    "film", "workload", "scale",
];

impl ComparisonFile {
    /// Reads a comparison, or takes a plain spec as the workload of one.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::SpecSyntax`], [`Error::UnknownKey`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = disk::read_named_text(path, "read the comparison")?;
        let syntax =
            |e: toml::de::Error| Error::SpecSyntax { message: e.to_string().trim_end().into() };
        let table: toml::Table = text.parse().map_err(syntax)?;
        if !table.keys().any(|key| OWN.contains(&key.as_str())) {
            let film = Some(Film::default());
            let base = Some(path.to_path_buf());
            return Ok(Self { base, seeds: 1, film, ..Self::default() });
        }
        if let Some(key) = table.keys().find(|key| !OWN.contains(&key.as_str())) {
            return Err(Error::unknown_key(key, OWN));
        }
        let mut file: Self = table.try_into().map_err(syntax)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        file.base = file.base.map(|base| folder.join(base));
        let scales = file.scale.values_mut().filter_map(|scale| scale.workload.as_mut()).flatten();
        for workload in file.workload.iter_mut().chain(scales) {
            workload.base = folder.join(&workload.base);
        }
        file.seeds = file.seeds.max(1);
        Ok(file)
    }

    /// Another spec as a further workload.
    pub fn add_workload(&mut self, path: &Path) {
        let base = self.base.take();
        let paths = base.into_iter().chain([path.to_path_buf()]);
        self.workload.extend(paths.map(|base| WorkloadFile {
            name: None,
            base,
            set: toml::Table::new(),
            target: None,
        }));
    }

    /// The comparison in another size.
    ///
    /// # Errors
    /// [`Error::UnknownName`] naming the sizes that there are.
    pub fn at_scale(mut self, name: &str) -> Result<Self> {
        let Some(scale) = self.scale.remove(name) else {
            let known: Vec<&str> = self.scale.keys().map(String::as_str).collect();
            return Err(Error::unknown_name("scale", name, &known));
        };
        self.seeds = scale.seeds.unwrap_or(self.seeds).max(1);
        if let Some(rules) = scale.rules {
            // Spaces of rules that this size leaves out are not meant.
            self.search.retain(|rule, _| rules.contains(rule));
            self.rules = rules;
        }
        self.target = scale.target.or(self.target);
        self.set = flat(&self.set).into_iter().chain(flat(&scale.set)).collect();
        self.tune = scale.tune.or(self.tune);
        self.measure = scale.measure.unwrap_or(self.measure);
        self.film = scale.film.or(self.film);
        if let Some(workload) = scale.workload {
            (self.workload, self.base) = (workload, None);
        }
        self.scale.clear();
        Ok(self)
    }

    /// Adds `key=value` to what all runs change.
    ///
    /// # Errors
    /// [`Error::BadValue`] for text of another form.
    pub fn add_change(&mut self, text: &str) -> Result<()> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Error::bad_value("set", text, "without =", "write it as train.epochs=5"));
        };
        self.set = flat(&self.set).into_iter().collect();
        self.set.insert(key.trim().to_string(), parsed(value.trim()));
        Ok(())
    }

    /// The workloads with their specs read and their contenders.
    ///
    /// # Errors
    /// Those of the specs; [`Error::UnknownName`] for a rule; [`Error::BadValue`] for no rule, one twice,
    /// no workload, two of one name, a target that is no share, a tuning without trials.
    pub fn workloads(&self) -> Result<Vec<Workload>> {
        self.check()?;
        let single = self.base.iter().map(|base| WorkloadFile {
            name: None,
            base: base.clone(),
            set: toml::Table::new(),
            target: None,
        });
        let mut found: Vec<Workload> = Vec::new();
        for workload in single.chain(self.workload.iter().cloned()) {
            let workload = self.workload(&workload)?;
            if found.iter().any(|w| w.name == workload.name) {
                return Err(Error::bad_value(
                    "workload.name",
                    workload.name,
                    "the name of two workloads",
                    "give each its own `name`",
                ));
            }
            found.push(workload);
        }
        if found.is_empty() {
            return Err(Error::bad_value(
                "base",
                "nothing",
                "no problem to compare rules on",
                "name a spec, as `base` or in [[workload]]",
            ));
        }
        Ok(found)
    }

    fn check(&self) -> Result<()> {
        let bad = |key: &str, value: String, problem: &str, remedy: &str| {
            Err(Error::bad_value(key, value, problem, remedy))
        };
        if self.rules.is_empty() {
            let names = super::contender::names().join(", ");
            return bad(
                "rules",
                "empty".into(),
                "nothing to compare",
                &format!("name some of {names}"),
            );
        }
        if let Some(twice) =
            (1..self.rules.len()).find(|&i| self.rules[..i].contains(&self.rules[i]))
        {
            return bad("rules", self.rules[twice].clone(), "given twice", "name each rule once");
        }
        let targets = self.workload.iter().map(|w| w.target).chain([self.target]).flatten();
        for target in targets {
            if !(target > 0.0 && target < 1.0) {
                return bad(
                    "comparison.target",
                    target.to_string(),
                    "not a share of right answers",
                    "write 0.6 for 60 %",
                );
            }
        }
        if let Some(tune) = &self.tune {
            for (key, value) in [("tune.trials", tune.trials), ("tune.studies", tune.studies)] {
                if value == 0 || value > 10_000 {
                    return bad(key, value.to_string(), "not a number of runs", "use 1 to 10000");
                }
            }
        }
        if let Some(rule) = self.search.keys().find(|rule| !self.rules.contains(rule)) {
            return bad(
                "search",
                rule.clone(),
                "not a rule of this comparison",
                "name it in `rules`",
            );
        }
        Ok(())
    }

    fn workload(&self, workload: &WorkloadFile) -> Result<Workload> {
        let text = disk::read_named_text(&workload.base, "read the spec")?;
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| Error::SpecSyntax {
            message: e.to_string().trim_end().into(),
        })?;
        let given = flat(&table).into_iter().chain(flat(&self.set)).chain(flat(&workload.set));
        let all: toml::Table = given.collect();
        let set = changes(&all);
        // With every change, to find what is wrong with the spec before anything is trained.
        let spec = crate::spec::Spec::parse("", &set)?;
        let (own, rest): (Vec<String>, Vec<String>) = set.into_iter().partition(|change| {
            let shared = ["optim.decay_on=", "optim.grad_clip="];
            change.starts_with("optim.") && !shared.iter().any(|key| change.starts_with(key))
        });
        let optim: toml::Table = all
            .iter()
            .filter(|(key, _)| own.iter().any(|o| o.starts_with(&format!("{key}="))))
            .map(|(key, value)| (key["optim.".len()..].to_string(), value.clone()))
            .collect();
        let mut contenders = Vec::new();
        for rule in &self.rules {
            let mut contender = Contender::named(rule)?;
            if super::contender::name_of(&spec.optim) == rule {
                contender = contender.with_spec(&optim);
            }
            if let Some(ranges) = self.search.get(rule) {
                contender.space = ranges
                    .iter()
                    .map(|(key, range)| Dimension {
                        key: key.clone(),
                        low: range.low,
                        high: range.high,
                        scale: range.scale,
                    })
                    .collect();
                for dimension in &contender.space {
                    dimension.check(rule)?;
                    let known = crate::spec::Spec::known_keys();
                    if !known.contains(&dimension.key) {
                        return Err(Error::unknown_key(
                            &dimension.key,
                            known.iter().map(String::as_str),
                        ));
                    }
                }
            }
            contenders.push(contender);
        }
        let stem = workload.base.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = workload.name.clone().unwrap_or(stem);
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) {
            return Err(Error::bad_value(
                "workload.name",
                name,
                "not the name of a folder",
                "use letters, digits, `-` and `_`",
            ));
        }
        Ok(Workload { name, set: rest, target: workload.target.or(self.target), contenders })
    }
}

impl From<&ComparisonFile> for SweepFile {
    /// What the folder of a sweep keeps of a comparison.
    fn from(file: &ComparisonFile) -> Self {
        Self {
            title: file.title.clone(),
            question: file.question.clone(),
            measure: file.measure.clone(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spec: &str, text: &str) -> Result<Vec<Workload>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("base.toml"), spec).unwrap();
        let path = folder.path().join("rules.toml");
        std::fs::write(&path, text).unwrap();
        ComparisonFile::read(&path)?.workloads()
    }

    #[test]
    fn the_spec_s_own_rule_keeps_its_hyper_parameters_and_others_have_their_defaults() {
        let spec = "[optim]\nrule = \"sgd\"\nlr = 0.05\nnesterov = true\nweight_decay = 1e-3\n\
                    grad_clip = 2.0\n[train]\nepochs = 7\n";
        let text = "base = \"base.toml\"\nrules = [\"adam\", \"nesterov\", \"sgd\"]\n";
        let workloads = read(spec, text).unwrap();
        let [workload] = workloads.as_slice() else { panic!("{workloads:?}") };
        assert_eq!(workload.name, "base");
        let optim = |i: usize| {
            let contender: &Contender = &workload.contenders[i];
            let set: Vec<String> = workload.set.iter().chain(&contender.set).cloned().collect();
            let spec = crate::spec::Spec::parse("", &set).unwrap();
            assert_eq!((spec.train.epochs, spec.optim.grad_clip), (7, Some(2.0)), "{set:?}");
            spec.optim
        };
        assert_eq!((optim(0).lr(), optim(0).weight_decay()), (1e-3, 5e-4));
        assert_eq!((optim(1).lr(), optim(1).weight_decay()), (0.05, 1e-3));
        assert_eq!((optim(2).lr(), optim(2).momentum), (0.1, Some(0.0)));
    }

    #[test]
    fn a_scale_with_fewer_rules_leaves_the_spaces_of_the_others_out() {
        let text = "base = \"x.toml\"\nrules = [\"sgd\", \"adam\"]\n[search.adam]\n\
                    \"optim.lr\" = { low = 1e-4, high = 1e-2 }\n[scale.small]\nrules = [\"sgd\"]\n";
        let file: ComparisonFile = toml::from_str(text).unwrap();
        let small = file.at_scale("small").unwrap();
        assert_eq!((small.rules.len(), small.search.len()), (1, 0));
        small.check().unwrap();
    }

    #[test]
    fn what_cannot_be_compared_is_refused_by_its_key() {
        let base = "base = \"base.toml\"\n";
        for (text, want) in [
            (format!("{base}rules = []\n"), "rules"),
            (format!("{base}rules = [\"sgd\", \"sgd\"]\n"), "twice"),
            (format!("{base}rules = [\"sdg\"]\n"), "sgd"),
            (format!("{base}rules = [\"sgd\"]\ntarget = 60\n"), "target"),
            (format!("{base}rules = [\"sgd\"]\n[tune]\ntrials = 0\n"), "tune.trials"),
            (format!("{base}rules = [\"sgd\"]\n[search.adam]\n"), "search"),
            (
                format!("{base}rules = [\"sgd\"]\n[search.sgd]\n\"optim.lr\" = {{ low = 1, high = 0.1 }}\n"),
                "search.sgd.optim.lr",
            ),
            (
                format!("{base}rules = [\"sgd\"]\n[search.sgd]\n\"optim.rl\" = {{ low = 0.1, high = 1 }}\n"),
                "unknown key `optim.rl`",
            ),
            ("rules = [\"sgd\"]\n".into(), "base"),
            (
                "rules = [\"sgd\"]\n[[workload]]\nbase = \"base.toml\"\n[[workload]]\nbase = \"base.toml\"\n"
                    .into(),
                "workload.name",
            ),
        ] {
            let error = read("", &text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
