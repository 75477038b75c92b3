//! Parameter names: many spellings, one canonical one.
//!
//! The canonical names are those of the paper's code for CIFAR ResNets: `conv1.weight`,
//! `bn1.weight`, `layer1.0.conv1.weight`, `layer2.0.shortcut.0.weight` (the 1x1 convolution),
//! `layer2.0.shortcut.1.weight` (its BatchNorm), `linear.weight`, `linear.bias`.

/// What wrappers put in front: `DataParallel`, `torch.compile`, Lightning modules.
const WRAPPERS: [&str; 4] = ["module.", "_orig_mod.", "model.", "net."];

/// `name` without the prefixes of wrappers.
pub fn unwrapped(name: &str) -> &str {
    let mut name = name;
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = inner;
    }
    name
}

/// The last part of a name: `weight`, `running_mean`.
pub(super) fn kind_of(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The canonical form of a parameter's name, or `None` for one that no network of ours wants
/// (`num_batches_tracked`).
///
/// ```
/// use lossreel::weights::names::canonical;
/// let name = |n| canonical(n).unwrap();
/// assert_eq!(name("module.layer2.0.downsample.0.weight"), "layer2.0.shortcut.0.weight");
/// assert_eq!(name("layer2.0.convShortcut.weight"), "layer2.0.shortcut.0.weight");
/// assert_eq!(name("fc.bias"), "linear.bias");
/// assert_eq!(canonical("bn1.num_batches_tracked"), None);
/// ```
pub fn canonical(name: &str) -> Option<String> {
    let name = unwrapped(name);
    let parts: Vec<&str> = name.split('.').collect();
    let (&last, path) = parts.split_last()?;
    if last == "num_batches_tracked" {
        return None;
    }
    // The head is the only layer of one of these names at the top.
    if let ["fc" | "classifier" | "head" | "linear"] = path {
        return Some(format!("linear.{last}"));
    }
    let mut out: Vec<&str> = Vec::with_capacity(parts.len() + 1);
    for (i, &part) in path.iter().enumerate() {
        let after_shortcut = out.last() == Some(&"shortcut");
        match part {
            "downsample" | "shortcut" => {
                out.push("shortcut");
                if i + 1 == path.len() {
                    out.push("0"); // a bare convolution
                }
            }
            "convShortcut" | "conv_shortcut" => out.extend(["shortcut", "0"]),
            "bnShortcut" | "bn_shortcut" => out.extend(["shortcut", "1"]),
            "conv" if after_shortcut => out.push("0"),
            "bn" if after_shortcut => out.push("1"),
            other => out.push(other),
        }
    }
    out.push(last);
    Some(out.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_spelling_of_the_shortcut_is_one_name() {
        for (spelling, name) in [
            ("layer2.0.shortcut.0.weight", "layer2.0.shortcut.0.weight"),
            ("module.layer2.0.downsample.0.weight", "layer2.0.shortcut.0.weight"),
            ("layer2.0.downsample.1.running_var", "layer2.0.shortcut.1.running_var"),
            ("layer2.0.downsample.conv.weight", "layer2.0.shortcut.0.weight"),
            ("layer2.0.shortcut.bn.bias", "layer2.0.shortcut.1.bias"),
            ("layer2.0.convShortcut.weight", "layer2.0.shortcut.0.weight"),
            ("layer2.0.bn_shortcut.weight", "layer2.0.shortcut.1.weight"),
            ("layer2.0.shortcut.weight", "layer2.0.shortcut.0.weight"),
        ] {
            assert_eq!(canonical(spelling).as_deref(), Some(name), "{spelling}");
        }
    }

    #[test]
    fn the_head_is_renamed_at_the_top_only() {
        assert_eq!(canonical("module._orig_mod.fc.weight").as_deref(), Some("linear.weight"));
        assert_eq!(canonical("classifier.bias").as_deref(), Some("linear.bias"));
        assert_eq!(canonical("fc.0.weight").as_deref(), Some("fc.0.weight"));
        assert_eq!(canonical("encoder.fc.weight").as_deref(), Some("encoder.fc.weight"));
    }

    #[test]
    fn counters_are_dropped_and_odd_names_survive() {
        assert_eq!(canonical("module.bn1.num_batches_tracked"), None);
        for odd in ["", ".", "weight", "shortcut", "a..b", "module."] {
            canonical(odd);
        }
        assert_eq!(canonical("weight").as_deref(), Some("weight"));
    }

    #[test]
    fn canonical_names_are_their_own_canonical_form() {
        for name in ["conv1.weight", "layer3.8.bn2.running_mean", "layer2.0.shortcut.1.bias"] {
            assert_eq!(canonical(name).as_deref(), Some(name));
        }
    }
}
