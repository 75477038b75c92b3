//! DenseNets (Huang et al. 2017) for small images: DenseNet-121 as in the code of Li et al. 2018, and the
//! DenseNet-BC of three blocks that Huang et al. train on CIFAR.

use super::ModelSpec;
use super::layers::{Layers, LinearInit};
use crate::Result;
use crate::network::{Activation, Network, NodeId};

/// Layers of each dense block of DenseNet-121, and the channels that each adds.
const BLOCKS_OF_121: [usize; 4] = [6, 12, 24, 16];
const GROWTH_OF_121: usize = 32;

/// DenseNet-121.
pub(super) fn densenet121(spec: &ModelSpec, input: [usize; 3], classes: usize) -> Result<Network> {
    densenet(spec, &BLOCKS_OF_121, GROWTH_OF_121, input, classes)
}

/// DenseNet-BC: three blocks of (`depth` - 4) / 6 bottlenecks, each of which adds `growth` channels.
pub(super) fn densenet_bc(
    spec: &ModelSpec,
    [depth, growth]: [usize; 2],
    input: [usize; 3],
    classes: usize,
) -> Result<Network> {
    densenet(spec, &[(depth - 4) / 6; 3], growth, input, classes)
}

/// Stem of twice the growth, dense blocks of bottlenecks, transitions that halve channels and sides
/// between them.
fn densenet(
    spec: &ModelSpec,
    blocks: &[usize],
    growth: usize,
    input: [usize; 3],
    classes: usize,
) -> Result<Network> {
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Paper);
    let growth = b.width(growth);
    let mut x = b.net.input();
    x = b.conv("conv1", x, 2 * growth, [3, 1], false)?;
    for (i, &layers) in blocks.iter().enumerate() {
        let n = i + 1;
        for layer in 0..layers {
            x = bottleneck(&mut b, &format!("dense{n}.{layer}"), x, growth)?;
        }
        if n < blocks.len() {
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
