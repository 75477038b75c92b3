//! A fully connected net.

use super::ModelSpec;
use super::layers::{Layers, LinearInit};
use crate::Result;
use crate::network::{Activation, Network};

/// Flatten, then `model.hidden` layers of linear, norm, activation, dropout, and the logits.
pub(super) fn mlp(spec: &ModelSpec, input: [usize; 3], classes: usize) -> Result<Network> {
    let mut b = Layers::new(spec, input, Activation::Relu, LinearInit::Rule);
    let mut x = b.net.input();
    x = b.net.flatten("flatten", x);
    for (i, &units) in spec.hidden.iter().enumerate() {
        let units = b.width(units);
        x = b.linear(&format!("fc{}", i + 1), x, units)?;
        x = b.norm(&format!("bn{}", i + 1), x)?;
        x = b.activation(&format!("act{}", i + 1), x);
        x = b.dropout(&format!("drop{}", i + 1), x);
    }
    let logits = b.linear("linear", x, classes)?;
    b.finish(logits)
}
