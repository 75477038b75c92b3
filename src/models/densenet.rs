//! DenseNet-121 (Huang et al. 2017) for CIFAR, as in the code of Li et al. 2018.

use super::ModelSpec;
use super::layers::{Layers, LinearInit};
use crate::Result;
use crate::network::{Activation, Network, NodeId};

const BLOCKS: [usize; 4] = [6, 12, 24, 16];
const GROWTH: usize = 32;

/// Stem of twice the growth, four dense blocks of bottlenecks, transitions that halve channels and
/// sides between them.
pub(super) fn densenet121(spec: &ModelSpec, input: [usize; 3], classes: usize) -> Result<Network> {
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Paper);
    let growth = b.width(GROWTH);
    let mut x = b.net.input();
    x = b.conv("conv1", x, 2 * growth, [3, 1], false)?;
    for (i, layers) in BLOCKS.into_iter().enumerate() {
        let n = i + 1;
        for layer in 0..layers {
            x = bottleneck(&mut b, &format!("dense{n}.{layer}"), x, growth)?;
        }
        if n < BLOCKS.len() {
            x = transition(&mut b, &format!("trans{n}"), x)?;
        }
    }
    x = b.norm("bn", x)?;
    x = b.activation("act", x);
    x = b.net.global_avg_pool("pool", x)?;
    let logits = b.linear("linear", x, classes)?;
    b.finish(logits)
}

fn bottleneck(b: &mut Layers, name: &str, x: NodeId, growth: usize) -> Result<NodeId> {
    let mut y = b.norm(&format!("{name}.bn1"), x)?;
    y = b.activation(&format!("{name}.act1"), y);
    y = b.conv(&format!("{name}.conv1"), y, 4 * growth, [1, 1], false)?;
    y = b.norm(&format!("{name}.bn2"), y)?;
    y = b.activation(&format!("{name}.act2"), y);
    y = b.conv(&format!("{name}.conv2"), y, growth, [3, 1], false)?;
    y = b.dropout(&format!("{name}.dropout"), y);
    b.net.concat(&format!("{name}.concat"), y, x)
}

fn transition(b: &mut Layers, name: &str, x: NodeId) -> Result<NodeId> {
    let channels = b.net.shape(x)[0] / 2;
    let mut y = b.norm(&format!("{name}.bn"), x)?;
    y = b.activation(&format!("{name}.act"), y);
    y = b.conv(&format!("{name}.conv"), y, channels, [1, 1], false)?;
    b.net.avg_pool(&format!("{name}.pool"), y, 2)
}
