//! MobileNetV2 (Sandler et al. 2018) for CIFAR, as in kuangliu/pytorch-cifar: ReLU for ReLU6, the first
//! convolution and the second stage without a stride, and a projection where a block of stride 1 changes
//! the channels.

use super::layers::{Layers, LinearInit};
use super::{ModelSpec, Shortcut};
use crate::Result;
use crate::network::{Activation, Network, NodeId};

/// Expansion, channels, blocks and the first block's stride of each stage.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 1],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// Stem of 32, inverted residuals, 1,280 channels before the pooling.
pub(super) fn mobilenet_v2(spec: &ModelSpec, input: [usize; 3], classes: usize) -> Result<Network> {
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Rule);
    let mut x = b.net.input();
    let stem = b.width(32);
    x = b.conv("conv1", x, stem, [3, 1], false)?;
    x = b.norm("bn1", x)?;
    x = b.activation("act1", x);
    let mut place = 0;
    for [expansion, channels, blocks, stride] in STAGES {
        let channels = b.width(channels);
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            let name = format!("layers.{place}");
            x = inverted_residual(&mut b, &name, x, [expansion, channels, stride], spec.shortcut)?;
            place += 1;
        }
    }
    let last = b.width(1280);
    x = b.conv("conv2", x, last, [1, 1], false)?;
    x = b.norm("bn2", x)?;
    x = b.activation("act2", x);
    x = b.net.global_avg_pool("pool", x)?;
    x = b.dropout("dropout", x);
    let logits = b.linear("linear", x, classes)?;
    b.finish(logits)
}

/// 1x1 to `expansion` times the channels, 3x3 of each channel by itself, 1x1 to `out`; a shortcut where the
/// stride is 1.
fn inverted_residual(
    b: &mut Layers,
    name: &str,
    x: NodeId,
    [expansion, out, stride]: [usize; 3],
    shortcut: Shortcut,
) -> Result<NodeId> {
    let channels = b.net.shape(x)[0];
    let wide = expansion * channels;
    let mut y = b.conv(&format!("{name}.conv1"), x, wide, [1, 1], false)?;
    y = b.norm(&format!("{name}.bn1"), y)?;
    y = b.activation(&format!("{name}.act1"), y);
    let bias = !b.normalises();
    y = b.depthwise(&format!("{name}.conv2"), y, [3, stride, 1], bias)?;
    y = b.norm(&format!("{name}.bn2"), y)?;
    y = b.activation(&format!("{name}.act2"), y);
    y = b.conv(&format!("{name}.conv3"), y, out, [1, 1], false)?;
    y = b.norm(&format!("{name}.bn3"), y)?;
    if stride != 1 || shortcut == Shortcut::None {
        return Ok(y);
    }
    let mut s = x;
    if channels != out {
        if shortcut == Shortcut::OptionA && channels < out {
            s = b.net.pad_shortcut(&format!("{name}.shortcut"), x, out, 1)?;
        } else {
            s = b.conv(&format!("{name}.shortcut.0"), x, out, [1, 1], false)?;
            s = b.norm(&format!("{name}.shortcut.1"), s)?;
        }
    }
    b.net.add(&format!("{name}.add"), y, s)
}
