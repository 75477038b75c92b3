//! Residual nets: the CIFAR family of He et al. 2016, its widened form, and those of four stages (ResNet-18
//! to 152, pre-activation), each with the shortcut of choice.

use super::layers::{Layers, LinearInit};
use super::{Block, FourStages, ModelSpec, Shortcut, Stem};
use crate::Result;
use crate::network::{Activation, Network, NodeId};

/// ResNet-CIFAR of depth 6n + 2: a 3x3 stem of 16 k channels, three stages of n basic blocks with
/// 16 k, 32 k and 64 k channels, global average pooling, linear. `widen` is k.
pub(super) fn resnet_cifar(
    spec: &ModelSpec,
    depth: usize,
    widen: usize,
    input: [usize; 3],
    classes: usize,
) -> Result<Network> {
    let n = (depth - 2) / 6;
    let stages: Vec<_> = [16, 32, 64].map(|channels| (channels * widen, n)).into();
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Paper);
    let mut x = b.net.input();
    let stem = b.width(stages[0].0);
    x = b.conv("conv1", x, stem, [3, 1], false)?;
    x = b.norm("bn1", x)?;
    x = b.activation("act1", x);
    x = blocks(&mut b, spec.shortcut, Block::Basic, x, &stages)?;
    x = b.net.global_avg_pool("pool", x)?;
    let logits = b.linear("linear", x, classes)?;
    b.finish(logits)
}

/// A ResNet of four stages, 64 to 512 channels (four times as many behind bottlenecks), with the stem of
/// `model.stem`.
pub(super) fn resnet_of_four(
    spec: &ModelSpec,
    kind: FourStages,
    input: [usize; 3],
    classes: usize,
) -> Result<Network> {
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Paper);
    let mut x = b.net.input();
    let stem = b.width(64);
    let form = if spec.stem == Stem::Imagenet { [7, 2] } else { [3, 1] };
    x = b.conv("conv1", x, stem, form, false)?;
    if kind.block != Block::PreActivation {
        x = b.norm("bn1", x)?;
        x = b.activation("act1", x);
    }
    if spec.stem != Stem::Cifar {
        x = b.net.max_pool_over("maxpool", x, [3, 2, 1])?;
    }
    let widths = [64, 128, 256, 512];
    let stages: Vec<_> = widths.into_iter().zip(kind.blocks).collect();
    x = blocks(&mut b, spec.shortcut, kind.block, x, &stages)?;
    x = b.net.global_avg_pool("pool", x)?;
    let logits = b.linear("linear", x, classes)?;
    b.finish(logits)
}

/// Stages of blocks, each with its published width and how many there are; the first block of each but the
/// first stage has stride 2.
fn blocks(
    b: &mut Layers,
    shortcut: Shortcut,
    block: Block,
    mut x: NodeId,
    stages: &[(usize, usize)],
) -> Result<NodeId> {
    for (s, &(published, count)) in stages.iter().enumerate() {
        let channels = b.width(published);
        for i in 0..count {
            let stride = if s > 0 && i == 0 { 2 } else { 1 };
            let name = format!("layer{}.{i}", s + 1);
            x = match block {
                Block::Basic => basic_block(b, shortcut, &name, x, channels, stride)?,
                Block::Bottleneck => bottleneck(b, shortcut, &name, x, channels, stride)?,
                Block::PreActivation => pre_block(b, shortcut, &name, x, channels, stride)?,
            };
        }
    }
    Ok(x)
}

/// act(norm(conv(act(norm(conv x)))) + shortcut(x)); dropout is between the convolutions, as
/// in wide residual nets.
fn basic_block(
    b: &mut Layers,
    shortcut: Shortcut,
    name: &str,
    x: NodeId,
    channels: usize,
    stride: usize,
) -> Result<NodeId> {
    let mut y = b.conv(&format!("{name}.conv1"), x, channels, [3, stride], false)?;
    y = b.norm(&format!("{name}.bn1"), y)?;
    y = b.activation(&format!("{name}.act1"), y);
    y = b.dropout(&format!("{name}.dropout"), y);
    y = b.conv(&format!("{name}.conv2"), y, channels, [3, 1], false)?;
    y = b.norm(&format!("{name}.bn2"), y)?;

    if let Some(carried) = carried(b, shortcut, name, x, channels, stride)? {
        y = b.net.add(&format!("{name}.add"), y, carried)?;
    }
    Ok(b.activation(&format!("{name}.act2"), y))
}

/// act(norm(conv1x1(act(norm(conv3x3(act(norm(conv1x1 x))))))) + shortcut(x)): `channels` inside and four
/// times as many outside.
fn bottleneck(
    b: &mut Layers,
    shortcut: Shortcut,
    name: &str,
    x: NodeId,
    channels: usize,
    stride: usize,
) -> Result<NodeId> {
    let mut y = x;
    for (i, (out, form)) in [(channels, [1, 1]), (channels, [3, stride]), (4 * channels, [1, 1])]
        .into_iter()
        .enumerate()
    {
        let n = i + 1;
        y = b.conv(&format!("{name}.conv{n}"), y, out, form, false)?;
        y = b.norm(&format!("{name}.bn{n}"), y)?;
        if n < 3 {
            y = b.activation(&format!("{name}.act{n}"), y);
        }
        if n == 1 {
            y = b.dropout(&format!("{name}.dropout"), y);
        }
    }
    if let Some(carried) = carried(b, shortcut, name, x, 4 * channels, stride)? {
        y = b.net.add(&format!("{name}.add"), y, carried)?;
    }
    Ok(b.activation(&format!("{name}.act3"), y))
}

/// conv(act(norm(conv(act(norm x))))) + shortcut: where the shape changes, a 1x1 convolution of the
/// activated input.
fn pre_block(
    b: &mut Layers,
    shortcut: Shortcut,
    name: &str,
    x: NodeId,
    channels: usize,
    stride: usize,
) -> Result<NodeId> {
    let changes = stride != 1 || b.net.shape(x)[0] != channels;
    let mut y = b.norm(&format!("{name}.bn1"), x)?;
    y = b.activation(&format!("{name}.act1"), y);
    let before = y;
    y = b.conv(&format!("{name}.conv1"), y, channels, [3, stride], false)?;
    y = b.norm(&format!("{name}.bn2"), y)?;
    y = b.activation(&format!("{name}.act2"), y);
    y = b.dropout(&format!("{name}.dropout"), y);
    y = b.conv(&format!("{name}.conv2"), y, channels, [3, 1], false)?;
    let carried = match (shortcut, changes) {
        (Shortcut::None, _) => None,
        (_, false) => Some(x),
        (Shortcut::Projection, true) => {
            Some(b.conv(&format!("{name}.shortcut.0"), before, channels, [1, stride], false)?)
        }
        (Shortcut::OptionA, true) => {
            Some(b.net.pad_shortcut(&format!("{name}.shortcut"), x, channels, stride)?)
        }
    };
    match carried {
        Some(carried) => b.net.add(&format!("{name}.add"), y, carried),
        None => Ok(y),
    }
}

/// A block's input as its shortcut brings it to `channels` channels; `None` for no shortcut.
fn carried(
    b: &mut Layers,
    shortcut: Shortcut,
    name: &str,
    x: NodeId,
    channels: usize,
    stride: usize,
) -> Result<Option<NodeId>> {
    let changes = stride != 1 || b.net.shape(x)[0] != channels;
    Ok(match (shortcut, changes) {
        (Shortcut::None, _) => None,
        (_, false) => Some(x),
        (Shortcut::Projection, true) => {
            let s = b.conv(&format!("{name}.shortcut.0"), x, channels, [1, stride], false)?;
            Some(b.norm(&format!("{name}.shortcut.1"), s)?)
        }
        (Shortcut::OptionA, true) => {
            Some(b.net.pad_shortcut(&format!("{name}.shortcut"), x, channels, stride)?)
        }
    })
}
