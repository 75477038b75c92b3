//! A small vision transformer (Dosovitskiy et al. 2021), pre-norm, with a class token and learned
//! positions; names as in timm.

use super::ModelSpec;
use super::layers::{Layers, LinearInit};
use crate::network::{Activation, Conv, Init, Network, NodeId};
use crate::{Error, Result};

/// `model.patch`, `model.dim`, `model.depth` and `model.heads` give its form; the MLP is 4 wide.
pub(super) fn vit(spec: &ModelSpec, input: [usize; 3], classes: usize) -> Result<Network> {
    let patch = spec.patch;
    if !input[1].is_multiple_of(patch) || !input[2].is_multiple_of(patch) {
        let problem = format!("no divisor of the image's sides {}x{}", input[1], input[2]);
        return Err(Error::bad_value("model.patch", patch, problem, "use 4 for 32x32, 2 for 8x8"));
    }
    let mut b = Layers::new(spec, input, Activation::Gelu, LinearInit::Rule);
    let dim = b.width(spec.dim);
    let mut x = b.net.input();
    let embed = Conv { out: dim, kernel: patch, stride: patch, padding: 0, bias: true };
    // Patches do not overlap, so this convolution is a linear map: drawn as LeCun's 1 / fan_in.
    x = b.net.conv("patch_embed.proj", x, embed, |fan_in, _| Init::Normal {
        std: (1.0 / fan_in as f64).sqrt(),
    })?;
    x = b.net.to_tokens("tokens", x)?;
    x = b.net.class_token("cls_token", x)?;
    x = b.net.position_embedding("pos_embed", x)?;
    for i in 0..spec.depth {
        x = block(&mut b, &format!("blocks.{i}"), x, dim, spec.heads)?;
    }
    x = b.net.layer_norm("norm", x)?;
    x = b.net.first_token("first_token", x)?;
    let logits = b.linear("head", x, classes)?;
    b.finish(logits)
}

fn block(b: &mut Layers, name: &str, x: NodeId, dim: usize, heads: usize) -> Result<NodeId> {
    let mut y = b.net.layer_norm(&format!("{name}.norm1"), x)?;
    y = b.linear(&format!("{name}.attn.qkv"), y, 3 * dim)?;
    y = b.net.attention(&format!("{name}.attn"), y, heads, false)?;
    y = b.linear(&format!("{name}.attn.proj"), y, dim)?;
    y = b.dropout(&format!("{name}.drop1"), y);
    let x = b.net.add(&format!("{name}.add1"), y, x)?;

    let mut y = b.net.layer_norm(&format!("{name}.norm2"), x)?;
    y = b.linear(&format!("{name}.mlp.fc1"), y, 4 * dim)?;
    y = b.activation(&format!("{name}.mlp.act"), y);
    y = b.linear(&format!("{name}.mlp.fc2"), y, dim)?;
    y = b.dropout(&format!("{name}.drop2"), y);
    b.net.add(&format!("{name}.add2"), y, x)
}
