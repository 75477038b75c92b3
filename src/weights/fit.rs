//! Where the tensors of a network are in a file: under their names, under a prefix, or in the file's order.

use std::collections::HashMap;

use super::entries::{is_of_no_layer, listed};
use super::hints::hint;
use super::names::{canonical, kind_of, unwrapped};
use super::{Checkpoint, CheckpointFormat};
use crate::error::Error;

/// Prefixes that are tried.
const MOST_PREFIXES: usize = 32;

/// Where the tensors of a network are in a file.
pub(super) struct Fit<'a> {
    /// What their names begin with; `None` where wrappers' prefixes were taken off.
    pub(super) prefix: Option<&'a str>,
    /// The index of each wanted tensor in the file.
    pub(super) found: Vec<Option<usize>>,
    /// Wanted, and found under its name with another shape.
    misshaped: Vec<String>,
    /// Which tensors of the file are neither used nor counters.
    pub(super) unused: Vec<bool>,
}

impl<'a> Fit<'a> {
    /// The tensors whose names begin with `prefix`, or all of them without the prefixes of wrappers. Names
    /// are compared as they are, then in [`canonical`] form.
    pub(super) fn new(
        wanted: &[(String, Vec<usize>)],
        checkpoint: &'a Checkpoint,
        prefix: Option<&'a str>,
    ) -> Self {
        // Of two tensors that come to the same name the first is taken; the other is left over.
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        let mut by_canonical: HashMap<String, usize> = HashMap::new();
        let mut unused: Vec<bool> = vec![false; checkpoint.tensors.len()];
        for (i, tensor) in checkpoint.tensors.iter().enumerate() {
            let is_counter = tensor.name.ends_with("num_batches_tracked");
            unused[i] = !is_counter;
            let own = match prefix {
                None => unwrapped(&tensor.name),
                Some(prefix) => match tensor.name.strip_prefix(prefix) {
                    Some(own) => own,
                    None => continue,
                },
            };
            let Some(name) = canonical(own) else { continue };
            by_canonical.entry(name).or_insert(i);
            by_name.entry(own).or_insert(i);
        }
        let mut fit = Self { prefix, found: Vec::new(), misshaped: Vec::new(), unused };
        for (name, shape) in wanted {
            let as_is = by_name.get(name.as_str());
            let found = as_is.or_else(|| by_canonical.get(&canonical(name)?));
            let found = found.copied().filter(|&i| fit.unused[i]);
            if let Some(i) = found {
                fit.unused[i] = false;
                let tensor = &checkpoint.tensors[i];
                if tensor.shape != *shape {
                    let misfit = format!("{} is {:?} for {shape:?}", tensor.name, tensor.shape);
                    fit.misshaped.push(misfit);
                }
            }
            fit.found.push(found);
        }
        fit
    }

    /// Tensors in the order of the file, where kinds and shapes are those of the network one by one.
    pub(super) fn by_order(
        wanted: &[(String, Vec<usize>)],
        checkpoint: &'a Checkpoint,
    ) -> Option<Self> {
        let mut unused: Vec<bool> = checkpoint
            .tensors
            .iter()
            .map(|tensor| !tensor.name.ends_with("num_batches_tracked"))
            .collect();
        let mut order: Vec<usize> = (0..checkpoint.tensors.len()).collect();
        if checkpoint.format == CheckpointFormat::Safetensors {
            // Such files are sorted by name: 10.weight before 2.weight, and bias before weight.
            order.sort_by_cached_key(|i| {
                let name = checkpoint.tensors[*i].name.as_str();
                let kinds = ["weight", "bias", "running_mean", "running_var"];
                let rank = kinds.iter().position(|kind| *kind == kind_of(name));
                (natural(name.rsplit_once('.').map_or("", |(layer, _)| layer)), rank)
            });
        }
        // Parameters and statistics each for themselves: the network's come one after the other.
        let of_kind = |name: &str, is_statistic: bool| {
            let kind = kind_of(name);
            let layer = ["weight", "bias"].contains(&kind);
            if is_statistic { kind.starts_with("running_") } else { layer }
        };
        let mut found = vec![None; wanted.len()];
        for is_statistic in [false, true] {
            let of_file = order.iter().filter(|&&i| {
                let tensor = &checkpoint.tensors[i];
                of_kind(&tensor.name, is_statistic) && !is_of_no_layer(tensor)
            });
            let of_file: Vec<usize> = of_file.copied().collect();
            let of_network: Vec<usize> =
                (0..wanted.len()).filter(|&w| of_kind(&wanted[w].0, is_statistic)).collect();
            if of_file.len() != of_network.len() {
                return None;
            }
            for (w, i) in of_network.into_iter().zip(of_file) {
                let (tensor, (name, shape)) = (&checkpoint.tensors[i], &wanted[w]);
                if kind_of(&tensor.name) != kind_of(name) || tensor.shape != *shape {
                    return None;
                }
                unused[i] = false;
                found[w] = Some(i);
            }
        }
        let fit = Self { prefix: None, found, misshaped: Vec::new(), unused };
        fit.is_complete().then_some(fit)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.misshaped.is_empty() && self.found.iter().all(Option::is_some)
    }

    /// Whether another fit has the same values.
    pub(super) fn equals(&self, other: &Self, checkpoint: &Checkpoint) -> bool {
        let values = |i: &Option<usize>| i.map(|i| &checkpoint.tensors[i].data);
        self.found.iter().zip(&other.found).all(|(a, b)| values(a) == values(b))
    }

    /// What the network's first tensor is called in the file.
    pub(super) fn name_in_file(
        &self,
        wanted: &[(String, Vec<usize>)],
        checkpoint: &Checkpoint,
    ) -> String {
        let first = self.found.first().copied().flatten();
        first.map_or_else(|| wanted[0].0.clone(), |i| checkpoint.tensors[i].name.clone())
    }

    /// The error of tensors that do not fit.
    pub(super) fn misfit(
        &self,
        arch: &str,
        wanted: &[(String, Vec<usize>)],
        checkpoint: &Checkpoint,
    ) -> Error {
        let missing: Vec<&str> = (self.found.iter().zip(wanted))
            .filter(|(found, _)| found.is_none())
            .map(|(_, (name, _))| name.as_str())
            .collect();
        let unreadable = |name: &&str| {
            let own = canonical(name)?;
            checkpoint
                .unreadable
                .iter()
                .find(|(n, _)| canonical(n).as_deref() == Some(own.as_str()))
        };
        if let Some((name, what)) = missing.iter().find_map(unreadable) {
            return Error::Weights {
                arch: arch.to_string(),
                problem: format!("its tensor {name} {what}"),
                remedy: "give a file with dense tensors of real numbers".into(),
            };
        }
        let left = checkpoint.tensors.iter().zip(&self.unused);
        let mut left: Vec<_> =
            left.filter(|(_, unused)| **unused).map(|(tensor, _)| tensor).collect();
        left.sort_by_key(|tensor| is_of_no_layer(tensor));
        let left: Vec<&str> = left.into_iter().map(|tensor| tensor.name.as_str()).collect();
        let problem = [
            listed("the file lacks", &missing),
            listed("it has too much", &left),
            listed("of another shape", &self.misshaped),
        ];
        Error::Weights {
            arch: arch.to_string(),
            problem: problem.into_iter().flatten().collect::<Vec<_>>().join("; "),
            remedy: hint(wanted, checkpoint, &missing),
        }
    }
}

/// The prefixes under which the network's first tensor is in the file.
pub(super) fn prefixes<'a>(
    wanted: &[(String, Vec<usize>)],
    checkpoint: &'a Checkpoint,
) -> Vec<&'a str> {
    let Some((first, shape)) = wanted.first() else { return Vec::new() };
    let mut found: Vec<&str> = Vec::new();
    for tensor in checkpoint.tensors.iter().filter(|tensor| tensor.shape == *shape) {
        let ends = tensor.name.match_indices('.').map(|(at, _)| at + 1);
        for end in ends {
            let (prefix, own) = tensor.name.split_at(end);
            let is_first = own == first || canonical(own) == canonical(first);
            if is_first && !found.contains(&prefix) && found.len() < MOST_PREFIXES {
                found.push(prefix);
            }
        }
    }
    found
}

/// A name with its numbers as numbers, for sorting.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            parts.push((rest[..digits].parse().unwrap_or(u64::MAX), String::new()));
            rest = &rest[digits..];
        }
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        parts.push((0, rest[..text].to_string()));
        rest = &rest[text..];
    }
    parts
}
