//! What to try where a file does not fit a network, from the names and shapes of both.

use super::Checkpoint;
use super::names::canonical;

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

pub(super) fn hint(
    wanted: &[(String, Vec<usize>)],
    checkpoint: &Checkpoint,
    missing: &[&str],
) -> String {
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
