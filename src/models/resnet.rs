//! Residual nets of basic blocks: the CIFAR family of He et al. 2016, its widened form, and
//! ResNet-18, each with the shortcut of choice.

use super::layers::{Layers, LinearInit};
use super::{ModelSpec, Shortcut};
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
    resnet(spec, &stages, input, classes)
}

/// ResNet-18 with a CIFAR stem: four stages of two basic blocks.
pub(super) fn resnet18(spec: &ModelSpec, input: [usize; 3], classes: usize) -> Result<Network> {
    resnet(spec, &[(64, 2), (128, 2), (256, 2), (512, 2)], input, classes)
}

fn resnet(
    spec: &ModelSpec,
    stages: &[(usize, usize)],
    input: [usize; 3],
    classes: usize,
) -> Result<Network> {
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Paper);
    let mut x = b.net.input();
    let stem = b.width(stages[0].0);
    x = b.conv("conv1", x, stem, [3, 1], false)?;
    x = b.norm("bn1", x)?;
    x = b.activation("act1", x);
    for (s, &(published, blocks)) in stages.iter().enumerate() {
        let channels = b.width(published);
        for block in 0..blocks {
            let stride = if s > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", s + 1);
            x = basic_block(&mut b, spec.shortcut, &name, x, channels, stride)?;
        }
    }
    x = b.net.global_avg_pool("pool", x)?;
    let logits = b.linear("linear", x, classes)?;
    b.finish(logits)
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

    let changes = stride != 1 || b.net.shape(x)[0] != channels;
    let carried = match (shortcut, changes) {
        (Shortcut::None, _) => None,
        (_, false) => Some(x),
        (Shortcut::Projection, true) => {
            let s = b.conv(&format!("{name}.shortcut.0"), x, channels, [1, stride], false)?;
            Some(b.norm(&format!("{name}.shortcut.1"), s)?)
        }
        (Shortcut::OptionA, true) => {
            Some(b.net.pad_shortcut(&format!("{name}.shortcut"), x, channels, stride)?)
        }
    };
    if let Some(carried) = carried {
        y = b.net.add(&format!("{name}.add"), y, carried)?;
    }
    Ok(b.activation(&format!("{name}.act2"), y))
}
