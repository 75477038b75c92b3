//! Fitting a checkpoint to a network.
//!
//! The tensors of a network are looked for under their own names: without what wrappers put in front,
//! under any one prefix under which all of them are, and over the spellings that [`super::names`] knows;
//! at last, where only the names differ, in the order of the file. What is left must be something that no
//! layer is: counters, buffers of a loss or a metric, a second copy, the pixel statistics of a
//! normalising first layer. A file and a network that do not fit differ in one of a few usual ways
//! (another shortcut, depth or number of classes, statistics not saved), and the names say which: the
//! error does too.

use std::collections::BTreeSet;

use super::entries::{Normaliser, listed};
use super::fit::{Fit, prefixes};
use super::hints::hint;
use super::left::Left;
use super::{Checkpoint, NamedTensor};
use crate::error::{Error, Result};

/// The tensors of a network from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// In the order and under the names that were wanted.
    pub tensors: Vec<NamedTensor>,
    /// The pixel statistics of a normalising layer in the file.
    pub normaliser: Option<Normaliser>,
    /// What the user should know, in sentences: what was left, what was recombined, what is not finite.
    pub notes: Vec<String>,
}

/// The tensors of `checkpoint` that a network wants, in the order and under the names of `wanted`
/// (name, shape). `arch` is for messages.
///
/// # Errors
/// [`Error::Weights`] when tensors are missing, left over, of another shape or of a kind that cannot be
/// read, with the first few of each and a hint; and when several networks in the file fit and differ.
pub fn assign(
    arch: &str,
    wanted: &[(String, Vec<usize>)],
    checkpoint: &Checkpoint,
) -> Result<Fitted> {
    let error = |problem: String, remedy: String| Error::Weights {
        arch: arch.to_string(),
        problem,
        remedy,
    };
    let mut notes = notes_of(checkpoint);
    let usual = Fit::new(wanted, checkpoint, None);
    let fit = if usual.is_complete() {
        usual
    } else {
        let mut whole: Vec<Fit> = prefixes(wanted, checkpoint)
            .into_iter()
            .map(|prefix| Fit::new(wanted, checkpoint, Some(prefix)))
            .filter(Fit::is_complete)
            .collect();
        if let Some((first, others)) = whole.split_first()
            && let Some(other) = others.iter().find(|fit| !fit.equals(first, checkpoint))
        {
            let names = [first.prefix.unwrap_or(""), other.prefix.unwrap_or("")];
            return Err(error(
                format!("it has several networks that fit, under {} and {}", names[0], names[1]),
                format!("choose one: --key {}", names[0].trim_end_matches('.')),
            ));
        }
        if whole.is_empty() {
            whole.extend(Fit::by_order(wanted, checkpoint));
            if let Some(fit) = whole.first() {
                notes.push(order_note(fit, wanted, checkpoint));
            }
        }
        match whole.into_iter().next() {
            Some(fit) => fit,
            None => return Err(usual.misfit(arch, wanted, checkpoint)),
        }
    };
    if let Some(prefix) = fit.prefix {
        notes.push(format!(
            "the network's tensors are those under {}",
            prefix.trim_end_matches('.')
        ));
    }
    let left = Left::of(&fit, wanted, checkpoint);
    if let Some(copy) = left.other_copy {
        let this = fit.name_in_file(wanted, checkpoint);
        return Err(error(
            format!("it has several networks that fit, and they differ ({this} and {copy})"),
            format!(
                "choose one by what its names begin with: --key {}",
                key_of(&copy, &wanted[0].0)
            ),
        ));
    }
    if !left.layers.is_empty() {
        let problem = listed("it has too much", &left.layers).unwrap_or_default();
        return Err(error(problem, hint(wanted, checkpoint, &[])));
    }
    if !left.harmless.is_empty() {
        notes.extend(listed("left aside, as no layer wants them:", &left.harmless));
    }
    let tensors: Vec<NamedTensor> = (fit.found.iter().zip(wanted))
        .filter_map(|(found, (name, _))| {
            let tensor = &checkpoint.tensors[(*found)?];
            Some(NamedTensor { name: name.clone(), ..tensor.clone() })
        })
        .collect();
    notes.extend(damaged_note(&tensors));
    Ok(Fitted { tensors, normaliser: left.normaliser, notes })
}

/// What the file itself has to say.
fn notes_of(checkpoint: &Checkpoint) -> Vec<String> {
    let mut notes = Vec::new();
    if !["", "state_dict", "model_state_dict", "model", "net"].contains(&checkpoint.key.as_str()) {
        notes.push(format!("the weights are those under {}", checkpoint.key));
    }
    if !checkpoint.others.is_empty() {
        let others: Vec<String> = checkpoint.others.iter().map(|(key, _)| key.clone()).collect();
        let others = listed("the file has other weights too:", &others).unwrap_or_default();
        notes.push(format!("{others}; choose by --key"));
    }
    let kinds: BTreeSet<&str> = checkpoint.recombined.iter().map(|(_, what)| *what).collect();
    for kind in kinds {
        let of = || checkpoint.recombined.iter().filter(|(_, what)| *what == kind);
        let names: Vec<&String> = of().map(|(name, _)| name).collect();
        notes.extend(listed(&format!("recombined ({kind}):"), &names));
    }
    notes
}

fn order_note(fit: &Fit, wanted: &[(String, Vec<usize>)], checkpoint: &Checkpoint) -> String {
    let pairs = fit.found.iter().zip(wanted).filter_map(|(found, (own, _))| {
        Some((checkpoint.tensors[(*found)?].name.as_str(), own.as_str()))
    });
    let (file, own) = pairs.into_iter().find(|(file, own)| file != own).unwrap_or_default();
    format!(
        "the file's names are other than the network's; its tensors were taken in their order, as kinds and \
         shapes agree one by one ({file} for {own}, ...): compare the accuracy with the one you know"
    )
}

fn damaged_note(tensors: &[NamedTensor]) -> Option<String> {
    let damaged: Vec<String> = tensors
        .iter()
        .map(|t| (&t.name, t.data.iter().filter(|v| !v.is_finite()).count()))
        .filter(|(_, n)| *n > 0)
        .map(|(name, n)| format!("{name} ({n} values)"))
        .collect();
    listed("weights that are NaN or infinite:", &damaged)
}

/// What the names of a copy begin with, one of whose tensors is `name`.
fn key_of(name: &str, first: &str) -> String {
    let end =
        name.find(first).map_or_else(|| name.rfind('.').unwrap_or(0), |at| at.saturating_sub(1));
    name[..end].to_string()
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
            key: String::new(),
            others: Vec::new(),
            unreadable: Vec::new(),
            recombined: Vec::new(),
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
        let tensors = assign("resnet20", &net, &file).unwrap().tensors;
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
        let mut twin = NamedTensor { name: "fc.bias".to_string(), ..file.tensors[96].clone() };
        twin.data[0] += 1.0;
        file.tensors.push(twin);
        assert!(error(&net, &file).contains("it has too much fc.bias"));
    }

    #[test]
    fn what_is_of_no_layer_is_left_aside_and_told() {
        let net = resnet(3, false, 10);
        let mut file = file(&net, |name| format!("module.{name}"));
        for (name, shape) in [
            ("n_averaged", vec![]),
            ("criterion.weight", vec![10]),
            ("module.conv1.total_ops", vec![1]),
        ] {
            let data = vec![2.0; shape.iter().product()];
            file.tensors.push(NamedTensor { name: name.into(), shape, data });
        }
        let fitted = assign("resnet20", &net, &file).unwrap();
        assert_eq!((fitted.tensors.len(), fitted.normaliser), (net.len(), None));
        assert!(fitted.notes[0].contains("criterion.weight"), "{:?}", fitted.notes);
        // A layer's weights are no such thing.
        let mut more = file.tensors[0].clone();
        more.name = "module.layer4.0.conv1.weight".into();
        more.data[0] += 1.0;
        file.tensors.push(more);
        let shown = error(&net, &file);
        assert!(shown.contains("too much module.layer4.0.conv1.weight"), "{shown}");
        assert!(!shown.contains("n_averaged"), "{shown}");
    }

    #[test]
    fn the_one_prefix_under_which_all_is_there_is_taken_with_the_pixel_statistics() {
        let net = resnet(3, false, 10);
        let mut file = file(&net, |name| format!("backbone.1.{name}"));
        for (name, value) in [("backbone.0.mean", 0.25), ("backbone.0.std", 0.5)] {
            let (shape, data) = (vec![3, 1, 1], vec![value; 3]);
            file.tensors.push(NamedTensor { name: name.into(), shape, data });
        }
        let fitted = assign("resnet20", &net, &file).unwrap();
        let normaliser = Normaliser { mean: vec![0.25; 3], std: vec![0.5; 3] };
        assert_eq!(fitted.normaliser, Some(normaliser));
        assert!(fitted.notes.iter().any(|n| n.contains("under backbone.1")), "{:?}", fitted.notes);

        // A second copy with the same values is one; with others a choice is to be made.
        let copies: Vec<NamedTensor> = net
            .iter()
            .enumerate()
            .map(|(i, (name, shape))| NamedTensor {
                name: format!("teacher.{name}"),
                shape: shape.clone(),
                data: vec![i as f32; shape.iter().product()],
            })
            .collect();
        file.tensors.extend(copies);
        assert!(assign("resnet20", &net, &file).is_ok());
        file.tensors.last_mut().unwrap().data[0] += 1.0;
        let shown = error(&net, &file);
        assert!(shown.contains("several networks") && shown.contains("--key"), "{shown}");
    }

    #[test]
    fn other_names_are_taken_in_their_order_where_kinds_and_shapes_agree() {
        let net = vec![
            ("fc1.weight".to_string(), vec![8, 4]),
            ("fc1.bias".to_string(), vec![8]),
            ("linear.weight".to_string(), vec![3, 8]),
            ("linear.bias".to_string(), vec![3]),
        ];
        let names = ["stack.2.weight", "stack.2.bias", "stack.10.weight", "stack.10.bias"];
        let mut file = file(&net, |_| String::new());
        for (tensor, name) in file.tensors.iter_mut().zip(names) {
            tensor.name = name.into();
        }
        // As safetensors sorts them.
        file.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let fitted = assign("mlp", &net, &file).unwrap();
        for (i, tensor) in fitted.tensors.iter().enumerate() {
            assert_eq!((&tensor.name, tensor.data[0]), (&net[i].0, i as f32));
        }
        assert!(fitted.notes[0].contains("stack.2.weight for fc1.weight"), "{:?}", fitted.notes);
        // Another order of the file's own is not guessed at.
        file.format = CheckpointFormat::TorchZip;
        assert!(error(&net, &file).contains("lacks"));
    }

    #[test]
    fn a_strange_network_gets_a_hint_too() {
        let net = vec![("fc1.weight".to_string(), vec![8, 4])];
        let other = vec![("dense.kernel".to_string(), vec![8, 4])];
        let err = error(&net, &file(&other, |name| name.to_string()));
        assert!(err.contains("lacks fc1.weight") && err.contains("the network's layers"), "{err}");
    }
}
