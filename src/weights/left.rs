//! What of a file a network did not take, and whether that is any harm.

use std::collections::HashMap;

use super::entries::{Normaliser, is_of_no_layer, statistic_of};
use super::fit::Fit;
use super::names::canonical;
use super::{Checkpoint, NamedTensor};

/// What of a file the network did not take.
#[derive(Default)]
pub(super) struct Left {
    pub(super) normaliser: Option<Normaliser>,
    /// Of no layer, or a second copy with the same values.
    pub(super) harmless: Vec<String>,
    /// Weights of layers.
    pub(super) layers: Vec<String>,
    /// A tensor of a second whole copy with other values.
    pub(super) other_copy: Option<String>,
}

impl Left {
    pub(super) fn of(fit: &Fit, wanted: &[(String, Vec<usize>)], checkpoint: &Checkpoint) -> Self {
        let mut left = Self::default();
        let unused = || {
            let tensors = checkpoint.tensors.iter().zip(&fit.unused);
            tensors.filter(|(_, unused)| **unused).map(|(tensor, _)| tensor)
        };
        let taken: HashMap<&str, &NamedTensor> = (wanted.iter().zip(&fit.found))
            .filter_map(|((name, _), found)| Some((name.as_str(), &checkpoint.tensors[(*found)?])))
            .collect();
        // The tensor of the network that a name is another copy of.
        let original = |name: &str| {
            let mut rest = name;
            loop {
                let own = canonical(rest)?;
                if let Some(original) = taken.get(rest).or_else(|| taken.get(own.as_str())) {
                    return Some(*original);
                }
                rest = rest.split_once('.')?.1;
            }
        };
        let (mut copies, mut other) = (0, None);
        for tensor in unused() {
            if is_of_no_layer(tensor) {
                left.harmless.push(tensor.name.clone());
                continue;
            }
            match original(&tensor.name).filter(|original| original.shape == tensor.shape) {
                Some(original) => {
                    copies += 1;
                    if original.data != tensor.data {
                        other = other.or(Some(tensor.name.clone()));
                    }
                }
                None => left.layers.push(tensor.name.clone()),
            }
        }
        let is_whole_copy = copies >= wanted.len() && copies.is_multiple_of(wanted.len());
        match other {
            Some(name) if is_whole_copy => left.other_copy = Some(name),
            Some(name) => left.layers.push(name),
            None if copies > 0 && !is_whole_copy => {
                // A part of the network twice, with the same values: shared layers.
                left.harmless.push(format!("{copies} tensors that are there twice"));
            }
            None if copies > 0 => left.harmless.push("a second copy of the network".into()),
            None => {}
        }
        left.normaliser = normaliser(unused());
        if left.normaliser.is_some() {
            let is_one = |name: &String| statistic_of(name).is_some();
            left.harmless.retain(|name| !is_one(name));
            left.layers.retain(|name| !is_one(name));
        }
        left
    }
}

/// The pixel statistics in `left`, where there is a mean and a deviation of one layer, of one to four
/// channels.
fn normaliser<'a>(left: impl Iterator<Item = &'a NamedTensor>) -> Option<Normaliser> {
    let mut layers: Vec<(&str, [Option<&NamedTensor>; 2])> = Vec::new();
    for tensor in left {
        let Some((layer, is_mean)) = statistic_of(&tensor.name) else { continue };
        let at = layers.iter().position(|(known, _)| *known == layer).unwrap_or_else(|| {
            layers.push((layer, [None; 2]));
            layers.len() - 1
        });
        layers[at].1[usize::from(!is_mean)] = Some(tensor);
    }
    layers.into_iter().find_map(|(_, [mean, std])| {
        let (mean, std) = (mean?, std?);
        let fits = mean.data.len() == std.data.len() && (1..=4).contains(&mean.data.len());
        (fits && std.data.iter().all(|s| *s > 0.0))
            .then(|| Normaliser { mean: mean.data.clone(), std: std.data.clone() })
    })
}
