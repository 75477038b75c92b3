//! The members of a sweep: every combination of the axes' values with every seed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::file::{SweepFile, changes, flat};
use crate::spec::Spec;
use crate::{Error, Result};

/// One axis of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it is called: the key that it sets, or the name of a linked axis.
    pub name: String,
    /// Its values.
    pub values: Vec<AxisValue>,
}

/// One value of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AxisValue {
    /// As it is written in tables and in names of folders.
    pub label: String,
    /// The changes of the spec, as `key=value`.
    pub set: Vec<String>,
}

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The name of its run folder.
    pub name: String,
    /// The index of its value on each axis.
    pub values: Vec<usize>,
    /// Which seed it is, from 0.
    pub seed: usize,
    /// Its spec, or why there is none: an impossible member leaves the others as they are.
    pub spec: std::result::Result<Spec, String>,
}

/// A sweep's members with what they are members of.
#[derive(Debug, Clone, PartialEq)]
pub struct Members {
    /// The axes, in the order of the file.
    pub axes: Vec<Axis>,
    /// How many seeds each combination has.
    pub seeds: usize,
    /// All members, seeds innermost.
    pub members: Vec<Member>,
}

/// More members than anybody means.
const MOST: usize = 100_000;

impl Members {
    /// The members of `file`.
    ///
    /// # Errors
    /// Those of the base spec; [`Error::BadValue`] for an axis without values, one that sets a key that
    /// another axis sets, two values of one label, and for more members than can be meant.
    pub fn of(file: &SweepFile) -> Result<Self> {
        let base_text = file.base_text()?;
        let base_set = changes(&file.set);
        let base = Spec::parse(&base_text, &base_set)?;
        let axes = axes(file)?;
        let count = axes.iter().try_fold(file.seeds, |n, axis| n.checked_mul(axis.values.len()));
        let Some(count) = count.filter(|n| *n <= MOST) else {
            return Err(Error::bad_value(
                "axes",
                format!("{} axes and {} seeds", axes.len(), file.seeds),
                format!("more than {MOST} members"),
                "use fewer values",
            ));
        };
        let combinations = count / file.seeds;
        let mut members = Vec::with_capacity(count);
        for combination in 0..combinations {
            let values = indices(combination, &axes);
            let mut set = base_set.clone();
            for (axis, &value) in axes.iter().zip(&values) {
                set.extend(axis.values[value].set.iter().cloned());
            }
            for seed in 0..file.seeds {
                let number = base.train.seed + seed as u64;
                // Values of an axis that sets the seed itself stay what they are.
                let own = set[base_set.len()..].iter().any(|c| c.starts_with("train.seed="));
                let seed_set = (!own).then(|| format!("train.seed={number}"));
                let set: Vec<String> = set.iter().cloned().chain(seed_set).collect();
                let spec = Spec::parse(&base_text, &set).map_err(|error| error.to_string());
                let name = member_name(&axes, &values, number);
                members.push(Member { name, values: values.clone(), seed, spec });
            }
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = members.iter().find(|member| !names.insert(&member.name)) {
            return Err(Error::bad_value(
                "axes",
                &twice.name,
                "the name of two members",
                "tell their values apart by `label`",
            ));
        }
        Ok(Self { axes, seeds: file.seeds, members })
    }

    /// The label of a member's value on each axis.
    pub fn labels(&self, member: &Member) -> Vec<&str> {
        let pairs = self.axes.iter().zip(&member.values);
        pairs.map(|(axis, &value)| axis.values[value].label.as_str()).collect()
    }
}

/// The index on each axis of combination `n`, the last axis innermost.
fn indices(mut n: usize, axes: &[Axis]) -> Vec<usize> {
    let mut indices = vec![0; axes.len()];
    for (index, axis) in indices.iter_mut().zip(axes).rev() {
        (*index, n) = (n % axis.values.len(), n / axis.values.len());
    }
    indices
}

fn axes(file: &SweepFile) -> Result<Vec<Axis>> {
    let mut axes = Vec::new();
    for (key, values) in flat(&file.axes) {
        let bad = |problem| Error::bad_value("axes", &key, problem, "give a list of values");
        let values = values.as_array().ok_or_else(|| bad("not a list"))?;
        let values = values
            .iter()
            .map(|value| AxisValue { label: label_of(value), set: vec![format!("{key}={value}")] });
        axes.push(Axis { name: key.clone(), values: values.collect() });
    }
    for axis in &file.axis {
        let values = axis.values.iter().map(|table| {
            let mut table = table.clone();
            let label = table.remove("label").as_ref().map(label_of);
            let set = changes(&table);
            let label = label.unwrap_or_else(|| set.join(" "));
            AxisValue { label, set }
        });
        axes.push(Axis { name: axis.name.clone(), values: values.collect() });
    }
    let mut taken = BTreeSet::new();
    for axis in &axes {
        let bad = |value: &str, problem: &str, remedy: &str| {
            Err(Error::bad_value(format!("axis {}", axis.name), value, problem, remedy))
        };
        if axis.values.is_empty() {
            return bad("[]", "without a value", "give a list of values");
        }
        let labels: BTreeSet<&str> = axis.values.iter().map(|v| v.label.as_str()).collect();
        if labels.len() < axis.values.len() {
            return bad("a list", "with a value twice", "give each value once, with its own label");
        }
        let keys: BTreeSet<&str> = (axis.values.iter().flat_map(|value| &value.set))
            .filter_map(|change| change.split_once('=').map(|(key, _)| key))
            .collect();
        let known = Spec::known_keys();
        for key in keys {
            if !known.iter().any(|k| k == key) {
                return Err(Error::unknown_key(key, known.iter().map(String::as_str)));
            }
            if !taken.insert(key.to_string()) {
                return bad(key, "which another axis sets", "set each key on one axis");
            }
        }
    }
    Ok(axes)
}

/// A value as people write it: strings without their quotes, numbers in their shorter spelling.
fn label_of(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Float(number) => {
            let (plain, scientific) = (number.to_string(), format!("{number:e}"));
            if plain.len() <= scientific.len() { plain } else { scientific }
        }
        other => other.to_string(),
    }
}

/// The name of a member's folder: `shortcut-none_lr-0.1_seed-2`.
pub(super) fn member_name(axes: &[Axis], values: &[usize], seed: u64) -> String {
    let mut parts: Vec<String> = axes
        .iter()
        .zip(values)
        .map(|(axis, &value)| {
            let name = axis.name.rsplit('.').next().unwrap_or(&axis.name);
            format!("{}-{}", plain(name), plain(&axis.values[value].label))
        })
        .collect();
    parts.push(format!("seed-{seed}"));
    parts.join("_")
}

/// Longest part of a folder's name that one value gives.
const LONGEST: usize = 40;

/// `text` as a part of a folder's name.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".+".contains(c) { c } else { '-' };
    // A number below 0 is another than that above.
    let text = match text.strip_prefix('-') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("minus{rest}"),
        _ => text.to_string(),
    };
    let text: String = text.chars().take(LONGEST).map(plain).collect();
    text.trim_matches(['-', '.']).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SweepFile {
        let mut file: SweepFile = toml::from_str(text).unwrap();
        file.seeds = file.seeds.max(1);
        file
    }

    #[test]
    fn all_combinations_with_all_seeds_each_with_its_spec() {
        let file = file(
            "seeds = 2\nset = { train.seed = 5, data.set = \"digits\" }\n[axes]\n\
             model.shortcut = [\"projection\", \"none\"]\noptim.weight_decay = [0, 5e-4]\n\
             [[axis]]\nname = \"batch\"\nvalues = [\n\
             { label = \"128\", train.batch_size = 128, optim.lr = 0.1 },\n\
             { label = \"1024\", train.batch_size = 1024, optim.lr = 0.8 } ]\n",
        );
        let members = Members::of(&file).unwrap();
        assert_eq!(members.members.len(), 16);
        let names: BTreeSet<&str> = members.members.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names.len(), 16);
        assert!(names.contains("shortcut-none_weight-decay-5e-4_batch-1024_seed-6"), "{names:?}");
        let last = members.members.last().unwrap();
        let spec = last.spec.as_ref().unwrap();
        assert_eq!((spec.train.seed, spec.train.batch_size, spec.optim.lr()), (6, 1024, 0.8));
        assert_eq!(members.labels(last), ["none", "5e-4", "1024"]);
    }

    #[test]
    fn an_impossible_value_is_one_member_s_trouble() {
        let file = file("seeds = 1\n[axes]\noptim.lr = [0.1, -1]\n");
        let members = Members::of(&file).unwrap();
        assert!(members.members[0].spec.is_ok());
        let why = members.members[1].spec.as_ref().unwrap_err();
        assert!(why.contains("lr"), "{why}");
    }

    #[test]
    fn axes_that_fight_or_are_empty_are_refused() {
        for text in [
            "[axes]\noptim.lr = []\n",
            "[axes]\noptim.lr = 0.1\n",
            "[axes]\noptim.lr = [0.1, 0.1]\n",
            "[axes]\noptim.lr = [0.1]\n[[axis]]\nname = \"x\"\nvalues = [{ optim.lr = 1 }]\n",
        ] {
            let error = Members::of(&file(text)).unwrap_err().to_string();
            assert!(error.contains("give") || error.contains("set each"), "{text}: {error}");
        }
        let many = "seeds = 1000\n[axes]\ntrain.epochs = [1, 2, 3]\ntrain.batch_size = \
                    [1, 2, 3, 4, 5, 6, 7]\nmodel.width = [1, 2, 3, 4, 5, 6]\n";
        assert!(Members::of(&file(many)).unwrap_err().to_string().contains("members"));
    }
}
