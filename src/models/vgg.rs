//! VGG for CIFAR (Simonyan & Zisserman 2015), built as in the code of Li et al. 2018: every
//! convolution has a bias and batch norm, and one hidden linear layer precedes the logits, unless
//! `model.head` leaves it out.

use super::layers::{Layers, LinearInit};
use super::{Head, ModelSpec};
use crate::network::{Activation, Network};
use crate::{Error, Result};

/// Convolutions of each stage; a 2x2 max pooling ends each.
fn stages(depth: usize) -> Result<&'static [(usize, usize)]> {
    Ok(match depth {
        9 => &[(64, 2), (128, 2), (256, 3)],
        11 => &[(64, 1), (128, 1), (256, 2), (512, 2), (512, 2)],
        13 => &[(64, 2), (128, 2), (256, 2), (512, 2), (512, 2)],
        16 => &[(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)],
        19 => &[(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)],
        _ => {
            return Err(Error::bad_value(
                "model.arch",
                depth,
                "not a VGG",
                "use vgg9, 11, 13, 16 or 19",
            ));
        }
    })
}

/// VGG of a given depth.
pub(super) fn vgg(
    spec: &ModelSpec,
    depth: usize,
    input: [usize; 3],
    classes: usize,
) -> Result<Network> {
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Paper);
    let mut x = b.net.input();
    let mut index = 0; // place in the published `features` list, which counts every module
    let mut channels = 0;
    for &(published, convs) in stages(depth)? {
        channels = b.width(published);
        for _ in 0..convs {
            x = b.conv(&format!("features.{index}"), x, channels, [3, 1], true)?;
            x = b.norm(&format!("features.{}", index + 1), x)?;
            x = b.activation(&format!("features.{}", index + 2), x);
            index += 3;
        }
        x = b.net.max_pool(&format!("features.{index}"), x, 2)?;
        index += 1;
    }
    x = b.net.flatten("flatten", x);
    if spec.head == Head::Hidden {
        x = b.linear("fc.0", x, channels)?;
        x = b.norm("fc.1", x)?;
        x = b.activation("fc.2", x);
    }
    x = b.dropout("dropout", x);
    let logits = b.linear("classifier", x, classes)?;
    b.finish(logits)
}
