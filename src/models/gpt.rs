//! A small transformer that predicts the next character at every position (Radford et al. 2019): pre-norm,
//! learned positions, causal attention; names as in Karpathy's nanoGPT, without tied weights.

use super::ModelSpec;
use super::layers::{Layers, LinearInit};
use crate::network::{Activation, Conv, Init, Network, NodeId};
use crate::{Error, Result};

/// `model.dim`, `model.depth` and `model.heads` give its form; the MLP is 4 wide. The input is one column of
/// `classes` channels for each position, 1 at its character.
pub(super) fn gpt(spec: &ModelSpec, input: [usize; 3], classes: usize) -> Result<Network> {
    if input[0] != classes || input[1] != 1 {
        return Err(Error::bad_value(
            "model.arch",
            "gpt",
            format!("takes a text, and the data are {input:?} of {classes} classes"),
            "use data.set = \"text\", or `vit` for images",
        ));
    }
    let mut b = Layers::new(spec, input, Activation::Gelu, LinearInit::Rule);
    let dim = b.width(spec.dim);
    let mut x = b.net.input();
    // A 1x1 convolution of columns with a single 1 is an embedding.
    let embed = Conv { out: dim, kernel: 1, stride: 1, padding: 0, bias: false };
    x = b.net.conv("transformer.wte", x, embed, |_, _| Init::Normal { std: 0.02 })?;
    x = b.net.to_tokens("tokens", x)?;
    x = b.net.position_embedding("transformer.wpe", x)?;
    x = b.dropout("transformer.drop", x);
    for i in 0..spec.depth {
        x = block(&mut b, &format!("transformer.h.{i}"), x, dim, spec.heads)?;
    }
    x = b.net.layer_norm("transformer.ln_f", x)?;
    let logits = b.linear("lm_head", x, classes)?;
    b.finish(logits)
}

fn block(b: &mut Layers, name: &str, x: NodeId, dim: usize, heads: usize) -> Result<NodeId> {
    let mut y = b.net.layer_norm(&format!("{name}.ln_1"), x)?;
    y = b.linear(&format!("{name}.attn.c_attn"), y, 3 * dim)?;
    y = b.net.attention(&format!("{name}.attn"), y, heads, true)?;
    y = b.linear(&format!("{name}.attn.c_proj"), y, dim)?;
    y = b.dropout(&format!("{name}.attn.drop"), y);
    let x = b.net.add(&format!("{name}.add1"), y, x)?;

    let mut y = b.net.layer_norm(&format!("{name}.ln_2"), x)?;
    y = b.linear(&format!("{name}.mlp.c_fc"), y, 4 * dim)?;
    y = b.activation(&format!("{name}.mlp.act"), y);
    y = b.linear(&format!("{name}.mlp.c_proj"), y, dim)?;
    y = b.dropout(&format!("{name}.mlp.drop"), y);
    b.net.add(&format!("{name}.add2"), y, x)
}
