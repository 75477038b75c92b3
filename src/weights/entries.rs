//! What an entry of a state dict is, by its name and shape.

use super::NamedTensor;
use super::names::{kind_of, unwrapped};

/// How many names a list has.
const LISTED: usize = 4;

/// The pixel statistics that a file's first layer normalises with, in units of the largest pixel value.
#[derive(Debug, Clone, PartialEq)]
pub struct Normaliser {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub std: Vec<f32>,
}

/// Whether a tensor is of no layer: a counter, or a buffer of a loss or a metric.
pub(super) fn is_of_no_layer(tensor: &NamedTensor) -> bool {
    const COUNTERS: [&str; 4] = ["total_ops", "total_params", "n_averaged", "num_batches_tracked"];
    const MODULES: [&str; 4] = ["criterion", "loss", "metric", "accuracy"];
    let name = unwrapped(&tensor.name).to_lowercase();
    let (top, _) = name.split_once('.').unwrap_or((&name, ""));
    COUNTERS.contains(&kind_of(&name))
        || MODULES.iter().any(|module| top.contains(module))
        || tensor.shape.is_empty() && !["weight", "bias"].contains(&kind_of(&name))
        || statistic_of(&name).is_some()
}

/// Where a name is that of a normalising layer's statistic: the layer, and whether it is the mean.
pub(super) fn statistic_of(name: &str) -> Option<(&str, bool)> {
    let (layer, kind) = name.rsplit_once('.').unwrap_or(("", name));
    match kind {
        "mean" | "new_mean" | "_mean" | "mu" | "means" => Some((layer, true)),
        "std" | "new_std" | "_std" | "sigma" | "sd" | "stds" => Some((layer, false)),
        _ => None,
    }
}

/// `what` and the first few of `names`; `None` for none.
pub(super) fn listed<S: AsRef<str>>(what: &str, names: &[S]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let first: Vec<&str> = names.iter().take(LISTED).map(AsRef::as_ref).collect();
    let more = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{what} {}{more}", first.join(", ")))
}
