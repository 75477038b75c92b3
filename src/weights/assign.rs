//! Fitting a checkpoint to a network.
//!
//! A file and a network that do not fit differ in one of a few usual ways (another shortcut, depth
//! or number of classes, statistics not saved), and the names say which: the error does too.

use std::collections::HashMap;

use super::names::{canonical, unwrapped};
use super::{Checkpoint, NamedTensor};
use crate::error::{Error, Result};

/// How many names of each kind an error lists.
const LISTED: usize = 4;

/// The tensors of `checkpoint` that a network wants, in the order and under the names of `wanted`
/// (name, shape). Names are compared as they are (without wrapper prefixes), then in
/// [`canonical`] form. `arch` is for messages.
///
/// # Errors
/// [`Error::Weights`] when tensors are missing, left over or of another shape, with the first few
/// of each and a hint.
pub fn assign(
    arch: &str,
    wanted: &[(String, Vec<usize>)],
    checkpoint: &Checkpoint,
) -> Result<Vec<NamedTensor>> {
    // Of two tensors that come to the same name the first is taken; the other is left over.
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    let mut by_canonical: HashMap<String, usize> = HashMap::new();
    let mut unused: Vec<bool> = vec![false; checkpoint.tensors.len()];
    for (i, tensor) in checkpoint.tensors.iter().enumerate() {
        let Some(name) = canonical(&tensor.name) else { continue };
        unused[i] = true;
        by_canonical.entry(name).or_insert(i);
        by_name.entry(unwrapped(&tensor.name)).or_insert(i);
    }

    let mut tensors = Vec::with_capacity(wanted.len());
    let mut missing: Vec<&str> = Vec::new();
    let mut misshaped: Vec<String> = Vec::new();
    for (name, shape) in wanted {
        let as_is = by_name.get(name.as_str());
        let found = as_is.or_else(|| by_canonical.get(&canonical(name)?));
        let Some(&i) = found.filter(|&&i| unused[i]) else {
            missing.push(name);
            continue;
        };
        unused[i] = false;
        let tensor = &checkpoint.tensors[i];
        if tensor.shape == *shape {
            tensors.push(NamedTensor { name: name.clone(), ..tensor.clone() });
        } else {
            misshaped.push(format!("{} is {:?} for {shape:?}", tensor.name, tensor.shape));
        }
    }
    let left_over: Vec<&str> = checkpoint
        .tensors
        .iter()
        .zip(&unused)
        .filter_map(|(tensor, unused)| unused.then_some(tensor.name.as_str()))
        .collect();
    if missing.is_empty() && misshaped.is_empty() && left_over.is_empty() {
        return Ok(tensors);
    }

    let problem = [
        listed("the file lacks", &missing),
        listed("it has too much", &left_over),
        listed("of another shape", &misshaped),
    ];
    Err(Error::Weights {
        arch: arch.to_string(),
        problem: problem.into_iter().flatten().collect::<Vec<_>>().join("; "),
        remedy: hint(wanted, checkpoint, &missing),
    })
}

fn listed<S: AsRef<str>>(what: &str, names: &[S]) -> Option<String> {
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

/// What the names and shapes say about the network that a set of tensors belongs to.
struct Traits {
    /// 3x3 and other convolutions, shortcuts not counted.
    convs: usize,
    /// The tensors of shortcuts.
    shortcuts: usize,
    /// Output channels of the first convolution.
    stem: Option<usize>,
    /// Rows of the head.
    classes: Option<usize>,
    statistics: bool,
    /// Whether it has the names of a ResNet.
    resnet: bool,
}

impl Traits {
    fn of<'a>(tensors: impl Iterator<Item = (&'a str, &'a [usize])>) -> Traits {
        let mut traits = Traits {
            convs: 0,
            shortcuts: 0,
            stem: None,
            classes: None,
            statistics: false,
            resnet: false,
        };
        for (name, shape) in tensors {
            let Some(name) = canonical(name) else { continue };
            let shortcut = name.contains(".shortcut.");
            traits.shortcuts += usize::from(shortcut);
            traits.convs += usize::from(shape.len() == 4 && !shortcut);
            traits.statistics |= name.ends_with(".running_mean");
            traits.resnet |= name == "layer3.0.conv1.weight";
            match (name.as_str(), shape) {
                ("conv1.weight", [out, ..]) => traits.stem = Some(*out),
                ("linear.weight", [rows, _]) => traits.classes = Some(*rows),
                _ => {}
            }
        }
        traits
    }

    /// A CIFAR ResNet of n blocks a stage has 6n + 1 convolutions and, the head counted, depth
    /// 6n + 2.
    fn depth(&self) -> Option<usize> {
        (self.resnet && self.convs % 6 == 1).then_some(self.convs + 1)
    }
}

fn hint(wanted: &[(String, Vec<usize>)], checkpoint: &Checkpoint, missing: &[&str]) -> String {
    let net = Traits::of(wanted.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())));
    let file = Traits::of(checkpoint.tensors.iter().map(|t| (t.name.as_str(), t.shape.as_slice())));

    let mut hints = Vec::new();
    if let Some(depth) = file.depth()
        && file.convs != net.convs
    {
        hints.push(match file.stem {
            Some(stem) if stem > 16 => format!(
                "the file looks like a wide ResNet of depth {depth} and width factor {}: try its \
                 architecture",
                stem / 16
            ),
            _ => format!(
                "the file looks like resnet{depth} ({} convolutions and the head): try `arch = \
                 resnet{depth}`",
                file.convs
            ),
        });
    }
    if let (Some(file_stem), Some(net_stem)) = (file.stem, net.stem)
        && file_stem != net_stem
    {
        hints.push(format!(
            "the file's first convolution has {file_stem} channels and the network's {net_stem}: \
             try another width"
        ));
    }
    if file.shortcuts > 0 && net.shortcuts == 0 {
        hints.push(
            "the file has shortcut tensors but the network has no projection shortcut: try \
             `shortcut = projection`"
                .to_string(),
        );
    }
    if file.shortcuts == 0 && net.shortcuts > 0 {
        hints.push(
            "the file has no shortcut tensors: try `shortcut = option_a` or `shortcut = none`"
                .to_string(),
        );
    }
    if let (Some(file_classes), Some(net_classes)) = (file.classes, net.classes)
        && file_classes != net_classes
    {
        hints.push(format!(
            "the file was trained on {file_classes} classes and the network has {net_classes}: \
             choose the data set it was trained on"
        ));
    }
    if !file.statistics && missing.iter().any(|name| name.ends_with(".running_mean")) {
        hints.push(
            "the file has no BatchNorm statistics: save the whole state dict, not the parameters"
                .to_string(),
        );
    }
    if hints.is_empty() {
        hints.push("compare its names with those of the network's layers".to_string());
    }
    hints.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::CheckpointFormat;
    use super::*;

    /// The entries of a CIFAR ResNet with n blocks a stage.
    fn resnet(n: usize, projection: bool, classes: usize) -> Vec<(String, Vec<usize>)> {
        let mut entries = Vec::new();
        let bn = |entries: &mut Vec<(String, Vec<usize>)>, name: &str, c: usize| {
            for part in ["weight", "bias", "running_mean", "running_var"] {
                entries.push((format!("{name}.{part}"), vec![c]));
            }
        };
        entries.push(("conv1.weight".to_string(), vec![16, 3, 3, 3]));
        bn(&mut entries, "bn1", 16);
        let mut input = 16;
        for stage in 1..=3 {
            let width = 8 << stage;
            for block in 0..n {
                let at = format!("layer{stage}.{block}");
                entries.push((format!("{at}.conv1.weight"), vec![width, input, 3, 3]));
                bn(&mut entries, &format!("{at}.bn1"), width);
                entries.push((format!("{at}.conv2.weight"), vec![width, width, 3, 3]));
                bn(&mut entries, &format!("{at}.bn2"), width);
                if projection && input != width {
                    entries.push((format!("{at}.shortcut.0.weight"), vec![width, input, 1, 1]));
                    bn(&mut entries, &format!("{at}.shortcut.1"), width);
                }
                input = width;
            }
        }
        entries.push(("linear.weight".to_string(), vec![classes, 64]));
        entries.push(("linear.bias".to_string(), vec![classes]));
        entries
    }

    /// A checkpoint of those entries, each filled with its index, names changed by `rename`.
    fn file(entries: &[(String, Vec<usize>)], rename: impl Fn(&str) -> String) -> Checkpoint {
        let tensor = |(i, (name, shape)): (usize, &(String, Vec<usize>))| NamedTensor {
            name: rename(name),
            shape: shape.clone(),
            data: vec![i as f32; shape.iter().product()],
        };
        Checkpoint {
            tensors: entries.iter().enumerate().map(tensor).collect(),
            metadata: Vec::new(),
            ignored: Vec::new(),
            format: CheckpointFormat::Safetensors,
        }
    }

    fn error(net: &[(String, Vec<usize>)], file: &Checkpoint) -> String {
        assign("resnet20", net, file).unwrap_err().to_string()
    }

    #[test]
    fn tensors_come_in_the_wanted_order_over_other_names_and_counters() {
        let net = resnet(3, true, 10);
        let mut file = file(&net, |name| {
            let name = name.replace("shortcut", "downsample").replace("linear", "fc");
            format!("module.{name}")
        });
        file.tensors.reverse();
        file.tensors.push(NamedTensor {
            name: "module.bn1.num_batches_tracked".to_string(),
            shape: vec![],
            data: vec![1.0],
        });
        let tensors = assign("resnet20", &net, &file).unwrap();
        assert_eq!(tensors.len(), net.len());
        for (i, (tensor, (name, shape))) in tensors.iter().zip(&net).enumerate() {
            assert_eq!((&tensor.name, &tensor.shape), (name, shape));
            assert!(tensor.data.iter().all(|&v| v == i as f32));
        }
    }

    #[test]
    fn another_shortcut_is_named_in_the_hint() {
        let same = |name: &str| name.to_string();
        let (with, without) = (resnet(3, true, 10), resnet(3, false, 10));
        let err = error(&without, &file(&with, same));
        assert!(err.contains("layer2.0.shortcut.0.weight"), "{err}");
        assert!(err.contains("`shortcut = projection`"), "{err}");
        let err = error(&with, &file(&without, same));
        assert!(err.contains("option_a") && err.contains("and 6 more"), "{err}");
    }

    #[test]
    fn another_depth_or_head_is_named_in_the_hint() {
        let same = |name: &str| name.to_string();
        let err = error(&resnet(3, true, 10), &file(&resnet(9, true, 10), same));
        assert!(err.contains("`arch = resnet56`"), "{err}");
        let err = error(&resnet(3, true, 10), &file(&resnet(3, true, 100), same));
        assert!(err.contains("linear.weight is [100, 64] for [10, 64]"), "{err}");
        assert!(err.contains("100 classes"), "{err}");
    }

    #[test]
    fn parameters_without_statistics_are_explained() {
        let net = resnet(3, false, 10);
        let parameters: Vec<_> =
            net.iter().filter(|(name, _)| !name.contains("running")).cloned().collect();
        let err = error(&net, &file(&parameters, |name| name.to_string()));
        assert!(err.contains("no BatchNorm statistics"), "{err}");
    }

    #[test]
    fn a_name_that_occurs_twice_is_left_over_not_dropped() {
        let net = resnet(3, false, 10);
        let mut file = file(&net, |name| name.to_string());
        let twin = NamedTensor { name: "fc.bias".to_string(), ..file.tensors[96].clone() };
        file.tensors.push(twin);
        assert!(error(&net, &file).contains("it has too much fc.bias"));
    }

    #[test]
    fn a_strange_network_gets_a_hint_too() {
        let net = vec![("fc1.weight".to_string(), vec![8, 4])];
        let other = vec![("dense.weight".to_string(), vec![8, 4])];
        let err = error(&net, &file(&other, |name| name.to_string()));
        assert!(err.contains("lacks fc1.weight") && err.contains("the network's layers"), "{err}");
    }
}
