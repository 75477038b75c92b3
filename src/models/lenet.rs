//! Two convolutions with max pooling and a few linear layers: LeNet-5 (LeCun et al. 1998) in today's form,
//! and the `2c2d` of DeepOBS.

use super::layers::{Layers, LinearInit};
use super::{ModelSpec, Padding};
use crate::Result;
use crate::network::{Activation, Network};

/// conv 5x5 6, pool, conv 5x5 16, pool, linear 120, 84, classes; `model.padding` says which of the
/// convolutions are padded.
pub(super) fn lenet5(spec: &ModelSpec, input: [usize; 3], classes: usize) -> Result<Network> {
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Rule);
    let mut x = b.net.input();
    for (i, channels) in [6, 16].into_iter().enumerate() {
        let n = i + 1;
        let channels = b.width(channels);
        let is_padded = match spec.padding {
            Padding::Same => true,
            Padding::First => i == 0,
            Padding::Valid => false,
        };
        let padding = if is_padded { 2 } else { 0 };
        x = b.conv_padded(&format!("conv{n}"), x, channels, [5, 1, padding], true)?;
        x = b.norm(&format!("bn{n}"), x)?;
        x = b.activation(&format!("act{n}"), x);
        x = b.net.max_pool(&format!("pool{n}"), x, 2)?;
    }
    x = b.net.flatten("flatten", x);
    for (i, units) in [120, 84].into_iter().enumerate() {
        let n = i + 1;
        let units = b.width(units);
        x = b.linear(&format!("fc{n}"), x, units)?;
        x = b.activation(&format!("act{}", n + 2), x);
        x = b.dropout(&format!("drop{n}"), x);
    }
    let logits = b.linear("fc3", x, classes)?;
    b.finish(logits)
}

/// conv 5x5 32, pool, conv 5x5 64, pool, dense 1024, classes, with biases and ReLU: DeepOBS's `2c2d`
/// (Schneider, Balles & Hennig 2019), as its TensorFlow tutorial net. There `model.norm` is `none`, the
/// weights are drawn by `truncated_normal` with `init_scale` 0.05 and biases start at 0.05.
pub(super) fn two_conv_two_dense(
    spec: &ModelSpec,
    input: [usize; 3],
    classes: usize,
) -> Result<Network> {
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Rule);
    let mut x = b.net.input();
    for (i, channels) in [32, 64].into_iter().enumerate() {
        let n = i + 1;
        let channels = b.width(channels);
        x = b.conv(&format!("conv{n}"), x, channels, [5, 1], true)?;
        x = b.norm(&format!("bn{n}"), x)?;
        x = b.activation(&format!("act{n}"), x);
        x = b.net.max_pool(&format!("pool{n}"), x, 2)?;
    }
    x = b.net.flatten("flatten", x);
    let units = b.width(1024);
    x = b.linear("fc1", x, units)?;
    x = b.activation("act3", x);
    x = b.dropout("drop1", x);
    let logits = b.linear("fc2", x, classes)?;
    b.finish(logits)
}
