//! The layers without a fused kernel, over the images of a group; which kernel each one calls.

use super::graph::UnitOp;
use super::kernels::{
    Tensor, activation, attention, depthwise, layer_norm, max_pool, plain, tokens,
};
use super::rows::Rows;
use super::shape::Shape;
use super::simd::Level;
use crate::network::NodeId;
use crate::rng::Rng;

/// The draws of a dropout layer (by node) for an image of the group; none outside training.
pub(super) type Draws<'a> = dyn Fn(NodeId, usize) -> Option<Rng> + 'a;

fn image<'a>(t: &Tensor<'a>, k: usize) -> &'a [f32] {
    &t.data[k * t.shape.len()..][..t.shape.len()]
}

/// What a layer works with besides its tensors.
pub(super) struct With<'a> {
    pub level: Level,
    /// The parameters that it reads as rows of channels.
    pub rows: &'a [Rows],
    pub draws: &'a Draws<'a>,
    /// Room for what it works out on the way.
    pub work: &'a mut Vec<f32>,
}

/// y = layer(inputs).
pub(super) fn forward(layer: &UnitOp, inputs: &[Tensor], with: With, y: &mut [f32], ys: &Shape) {
    let With { level, rows, draws, work } = with;
    let row = |i: usize| &rows[i].values[..];
    let xs = inputs[0].shape;
    for (k, y) in y.chunks_exact_mut(ys.len()).enumerate() {
        let x = image(&inputs[0], k);
        match *layer {
            UnitOp::Activation(kind) => activation::activate(level, kind, (x, xs), (y, ys)),
            UnitOp::MaxPool(window) => max_pool::max_pool(x, xs, window, y, ys),
            UnitOp::AvgPool(window) => plain::avg_pool(x, xs, window, y, ys),
            UnitOp::GlobalAvgPool => plain::global_avg_pool(x, xs, y, ys),
            UnitOp::Flatten => plain::flatten(x, xs, y, ys),
            UnitOp::PadShortcut { stride, before } => {
                plain::pad_shortcut(x, xs, [stride, before], y, ys);
            }
            UnitOp::Concat => {
                let mut to = 0;
                for t in inputs {
                    plain::copy_channels((image(t, k), t.shape, 0), t.shape.c, (y, ys, to));
                    to += t.shape.c;
                }
            }
            UnitOp::Dropout { node, p, order } => match draws(node, k) {
                Some(mut rng) => plain::dropout(p, order, &mut rng, (x, xs), (y, ys)),
                None => plain::copy_channels((x, xs, 0), xs.c, (y, ys, 0)),
            },
            UnitOp::Tokens | UnitOp::FirstToken => tokens::copy_tokens((x, xs), (y, ys)),
            UnitOp::ClassToken { .. } => tokens::class_token(row(0), (x, xs), (y, ys)),
            UnitOp::PositionEmbedding { .. } => tokens::add_rows(row(0), (x, xs), (y, ys)),
            UnitOp::TokenNorm { eps, .. } => {
                layer_norm::layer_norm(level, eps, [row(0), row(1)], (x, xs), (y, ys));
            }
            UnitOp::Depthwise { window, .. } => {
                let bias = rows.get(1).map_or(&[][..], |bias| &bias.values);
                depthwise::forward(level, window, [&rows[0].values, bias], (x, xs), (y, ys));
            }
            UnitOp::Attention(heads) => {
                attention::attention(level, heads, (x, xs), work, (y, ys));
            }
            UnitOp::Conv { .. } | UnitOp::Join { .. } => {
                unreachable!("they have kernels of their own")
            }
        }
    }
}

/// The gradient to one input of `layer`. `saved` holds the input for an activation, a layer
/// normalisation and attention, the input and the output for max pooling; `channels_before` are
/// those of the inputs before this one.
pub(super) fn backward(
    layer: &UnitOp,
    channels_before: usize,
    saved: &[Tensor],
    dy: Tensor,
    with: With,
    dx: &mut [f32],
    dxs: &Shape,
) {
    let With { level, rows, draws, work } = with;
    let dys = dy.shape;
    for (k, dx) in dx.chunks_exact_mut(dxs.len()).enumerate() {
        let dy = image(&dy, k);
        let saved = |i: usize| (image(&saved[i], k), saved[i].shape);
        match *layer {
            UnitOp::Activation(kind) => {
                let dy = (dy, dys);
                activation::activate_backward(level, kind, saved(0), dy, (dx, dxs));
            }
            UnitOp::MaxPool(window) => {
                let tensors = [saved(0), saved(1), (dy, dys)];
                max_pool::max_pool_backward(level, tensors, window, dx, dxs);
            }
            UnitOp::AvgPool(window) => plain::avg_pool_backward(dy, dys, window, dx, dxs),
            UnitOp::GlobalAvgPool => plain::global_avg_pool_backward(dy, dys, dx, dxs),
            UnitOp::Flatten => plain::unflatten(dy, dys, dx, dxs),
            UnitOp::PadShortcut { stride, before } => {
                plain::pad_shortcut_backward(dy, dys, [stride, before], dx, dxs);
            }
            UnitOp::Concat => {
                plain::copy_channels((dy, dys, channels_before), dxs.c, (dx, dxs, 0));
            }
            UnitOp::Dropout { node, p, order } => match draws(node, k) {
                Some(mut rng) => plain::dropout(p, order, &mut rng, (dy, dys), (dx, dxs)),
                None => plain::copy_channels((dy, dys, 0), dxs.c, (dx, dxs, 0)),
            },
            UnitOp::Tokens | UnitOp::PositionEmbedding { .. } => {
                tokens::copy_tokens((dy, dys), (dx, dxs));
            }
            UnitOp::ClassToken { .. } => tokens::class_token_backward((dy, dys), (dx, dxs)),
            UnitOp::FirstToken => tokens::first_token_backward((dy, dys), (dx, dxs)),
            UnitOp::TokenNorm { eps, .. } => {
                let (weight, dy) = (&rows[0].values, (dy, dys));
                layer_norm::layer_norm_backward(level, eps, weight, saved(0), dy, (dx, dxs));
            }
            UnitOp::Depthwise { window, .. } => {
                depthwise::backward(level, window, &rows[0].values, (dy, dys), (dx, dxs));
            }
            UnitOp::Attention(heads) => {
                let dy = (dy, dys);
                attention::attention_backward(level, heads, saved(0), dy, work, (dx, dxs));
            }
            UnitOp::Conv { .. } | UnitOp::Join { .. } => {
                unreachable!("they have kernels of their own")
            }
        }
    }
}

/// Adds the gradient to the rows that `layer` reads to `sums`, where they have their places.
pub(super) fn gradient(
    layer: &UnitOp,
    level: Level,
    rows: &[Rows],
    saved: Option<Tensor>,
    dy: Tensor,
    sums: &mut [f32],
) {
    let dys = dy.shape;
    for (k, image_dy) in dy.data.chunks_exact(dys.len()).enumerate() {
        let dy = (image_dy, dys);
        match (layer, saved, rows) {
            (UnitOp::TokenNorm { eps, .. }, Some(x), [weight, bias]) => {
                let both = &mut sums[weight.grad.start..bias.grad.end];
                let (dweight, dbias) = both.split_at_mut(weight.grad.len());
                let x = (image(&x, k), x.shape);
                layer_norm::layer_norm_gradient(level, *eps, x, dy, [dweight, dbias]);
            }
            (UnitOp::Depthwise { window, .. }, Some(x), [weight, bias @ ..]) => {
                let end = bias.first().map_or(weight.grad.end, |bias| bias.grad.end);
                let (dweight, dbias) = sums[weight.grad.start..end].split_at_mut(weight.grad.len());
                let x = (image(&x, k), x.shape);
                depthwise::gradient(level, *window, x, dy, [dweight, dbias]);
            }
            (_, _, [one]) => tokens::gather_rows(dy, &mut sums[one.grad.clone()]),
            _ => unreachable!("layers with rows are these"),
        }
    }
}
