//! The layers without a fused kernel, over the images of a group; which kernel each one calls.

use super::graph::Layer;
use super::kernels::{Tensor, plain};
use super::shape::Shape;
use crate::network::NodeId;
use crate::rng::Rng;

/// The draws of a dropout layer (by node) for an image of the group; none outside training.
pub(super) type Draws<'a> = dyn Fn(NodeId, usize) -> Option<Rng> + 'a;

fn image<'a>(t: &Tensor<'a>, k: usize) -> &'a [f32] {
    &t.data[k * t.shape.len()..][..t.shape.len()]
}

/// y = layer(inputs).
pub(super) fn forward(layer: &Layer, inputs: &[Tensor], draws: &Draws, y: &mut [f32], ys: &Shape) {
    let xs = inputs[0].shape;
    for (k, y) in y.chunks_exact_mut(ys.len()).enumerate() {
        let x = image(&inputs[0], k);
        match *layer {
            Layer::Activation(kind) => plain::activate(kind, x, xs, y, ys),
            Layer::MaxPool(window) => plain::max_pool(x, xs, window, y, ys),
            Layer::AvgPool(window) => plain::avg_pool(x, xs, window, y, ys),
            Layer::GlobalAvgPool => plain::global_avg_pool(x, xs, y, ys),
            Layer::Flatten => plain::flatten(x, xs, y, ys),
            Layer::PadShortcut { stride, before } => {
                plain::pad_shortcut(x, xs, [stride, before], y, ys);
            }
            Layer::Concat => {
                let mut to = 0;
                for t in inputs {
                    plain::copy_channels((image(t, k), t.shape, 0), t.shape.c, (y, ys, to));
                    to += t.shape.c;
                }
            }
            Layer::Dropout { node, p } => match draws(node, k) {
                Some(mut rng) => plain::dropout(p, &mut rng, x, xs, y, ys),
                None => plain::copy_channels((x, xs, 0), xs.c, (y, ys, 0)),
            },
            Layer::Conv { .. } | Layer::Join { .. } => {
                unreachable!("they have kernels of their own")
            }
        }
    }
}

/// The gradient to one input of `layer`. `saved` holds the input for an activation, the input and
/// the output for max pooling; `channels_before` are those of the inputs before this one.
pub(super) fn backward(
    layer: &Layer,
    channels_before: usize,
    saved: &[Tensor],
    dy: Tensor,
    draws: &Draws,
    dx: &mut [f32],
    dxs: &Shape,
) {
    let dys = dy.shape;
    for (k, dx) in dx.chunks_exact_mut(dxs.len()).enumerate() {
        let dy = image(&dy, k);
        let saved = |i: usize| (image(&saved[i], k), saved[i].shape);
        match *layer {
            Layer::Activation(kind) => {
                plain::activate_backward(kind, saved(0), (dy, dys), dx, dxs);
            }
            Layer::MaxPool(window) => {
                plain::max_pool_backward([saved(0), saved(1), (dy, dys)], window, dx, dxs);
            }
            Layer::AvgPool(window) => plain::avg_pool_backward(dy, dys, window, dx, dxs),
            Layer::GlobalAvgPool => plain::global_avg_pool_backward(dy, dys, dx, dxs),
            Layer::Flatten => plain::unflatten(dy, dys, dx, dxs),
            Layer::PadShortcut { stride, before } => {
                plain::pad_shortcut_backward(dy, dys, [stride, before], dx, dxs);
            }
            Layer::Concat => {
                plain::copy_channels((dy, dys, channels_before), dxs.c, (dx, dxs, 0));
            }
            Layer::Dropout { node, p } => match draws(node, k) {
                Some(mut rng) => plain::dropout(p, &mut rng, dy, dys, dx, dxs),
                None => plain::copy_channels((dy, dys, 0), dxs.c, (dx, dxs, 0)),
            },
            Layer::Conv { .. } | Layer::Join { .. } => {
                unreachable!("they have kernels of their own")
            }
        }
    }
}
