//! The nodes, in candle's operations.

use candle_core::{D, IndexOp, Result, Tensor};

use crate::Error;
use crate::network::{Activation, BufferId, LEAKY_SLOPE, Network, Node, Op};
use crate::rng::Streams;

/// How BatchNorm and dropout behave.
pub(super) enum Mode {
    /// Batch statistics, dropout from the stream `dropout/NODE/IMAGE` at the step.
    Train { streams: Streams, step: u64 },
    /// Running statistics, no dropout.
    Eval,
}

/// For each BatchNorm met in train mode: ids of its running mean and variance, the batch's mean
/// and unbiased variance (c), and the momentum.
pub(super) type BatchStats = Vec<(BufferId, BufferId, Tensor, Tensor, f64)>;

/// One forward pass.
pub(super) struct Forward<'a> {
    network: &'a Network,
    params: &'a [Tensor],
    buffers: &'a [Tensor],
    mode: Mode,
    stats: BatchStats,
}

impl<'a> Forward<'a> {
    pub(super) fn new(
        network: &'a Network,
        params: &'a [Tensor],
        buffers: &'a [Tensor],
        mode: Mode,
    ) -> Self {
        Self { network, params, buffers, mode, stats: Vec::new() }
    }

    /// Logits (n, classes) of images (n, c, h, w).
    pub(super) fn run(&mut self, images: Tensor) -> crate::Result<Tensor> {
        let mut left = self.network.consumers();
        let mut values: Vec<Option<Tensor>> = vec![None; self.network.nodes.len()];
        let mut last = images;
        for (id, node) in self.network.nodes.iter().enumerate() {
            if id > 0 {
                let inputs: Vec<Tensor> = node
                    .inputs
                    .iter()
                    .map(|&i| {
                        left[i] -= 1;
                        // A value that no later node reads is dropped, which bounds the memory.
                        let value = if left[i] == 0 { values[i].take() } else { values[i].clone() };
                        value.expect("nodes read earlier nodes only")
                    })
                    .collect();
                last =
                    self.node(id, node, &inputs).map_err(Error::candle("run the forward pass"))?;
            }
            values[id] = Some(last.clone());
        }
        Ok(last)
    }

    pub(super) fn into_stats(self) -> BatchStats {
        self.stats
    }

    fn node(&mut self, id: usize, node: &Node, inputs: &[Tensor]) -> Result<Tensor> {
        let x = &inputs[0];
        match node.op {
            Op::Input => Ok(x.clone()),
            Op::Conv2d { weight, bias, stride, padding } => {
                let y = conv2d(x, &self.params[weight], stride, padding)?;
                match bias {
                    Some(b) => y.broadcast_add(&channels(&self.params[b], &y)?),
                    None => Ok(y),
                }
            }
            Op::DepthwiseConv2d { weight, bias, stride, padding } => {
                let y = depthwise_conv2d(x, &self.params[weight], stride, padding)?;
                match bias {
                    Some(b) => y.broadcast_add(&channels(&self.params[b], &y)?),
                    None => Ok(y),
                }
            }
            Op::BatchNorm { weight, bias, mean, var, eps, momentum } => {
                let (w, b) = (&self.params[weight], &self.params[bias]);
                match self.mode {
                    Mode::Train { .. } => {
                        let (y, batch_mean, batch_var) = batch_norm(x, w, b, eps)?;
                        self.stats.push((mean, var, batch_mean, batch_var, momentum));
                        Ok(y)
                    }
                    Mode::Eval => {
                        let scale = (w / (&self.buffers[var] + eps)?.sqrt()?)?;
                        let shift = (b - (&self.buffers[mean] * &scale)?)?;
                        x.broadcast_mul(&channels(&scale, x)?)?.broadcast_add(&channels(&shift, x)?)
                    }
                }
            }
            Op::LayerNorm { weight, bias, eps } => {
                let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
                let var = centred.sqr()?.mean_keepdim(D::Minus1)?;
                centred
                    .broadcast_div(&(var + eps)?.sqrt()?)?
                    .broadcast_mul(&self.params[weight])?
                    .broadcast_add(&self.params[bias])
            }
            Op::Activation(activation) => activate(x, activation),
            Op::Add => x + &inputs[1],
            Op::Concat => Tensor::cat(inputs, 1),
            Op::MaxPool { kernel, stride, padding: 0 } if kernel == stride => {
                max_pool(x, kernel, stride)
            }
            Op::MaxPool { kernel, stride, padding } => max_pool_over(x, kernel, stride, padding),
            Op::AvgPool { kernel, stride } => {
                crop(x, kernel, stride)?.avg_pool2d_with_stride(kernel, stride)
            }
            Op::GlobalAvgPool => x.mean((2, 3)),
            Op::Flatten => x.flatten_from(1),
            Op::Linear { weight, bias } => {
                let w = self.params[weight].t()?;
                let y = match *x.dims() {
                    [n, t, d] => x.reshape((n * t, d))?.matmul(&w)?.reshape((n, t, ()))?,
                    _ => x.matmul(&w)?,
                };
                match bias {
                    Some(b) => y.broadcast_add(&self.params[b]),
                    None => Ok(y),
                }
            }
            Op::Dropout { p } => match self.mode {
                Mode::Train { streams, step } => {
                    let keep = (1.0 / (1.0 - p)) as f32;
                    let images = x.dim(0)?;
                    let each = x.elem_count() / images;
                    let mut mask = Vec::with_capacity(x.elem_count());
                    for image in 0..images {
                        let mut rng = streams.stream(&format!("dropout/{id}/{image}"), step);
                        mask.extend((0..each).map(|_| if rng.bernoulli(p) { 0.0 } else { keep }));
                    }
                    x * Tensor::from_vec(mask, x.dims(), x.device())?
                }
                Mode::Eval => Ok(x.clone()),
            },
            Op::PadShortcut { stride, before, after } => {
                subsample(x, stride)?.pad_with_zeros(1, before, after)
            }
            Op::ToTokens => x.flatten_from(2)?.transpose(1, 2)?.contiguous(),
            Op::ClassToken { token } => {
                let (n, _, d) = x.dims3()?;
                Tensor::cat(&[&self.params[token].broadcast_as((n, 1, d))?.contiguous()?, x], 1)
            }
            Op::PositionEmbedding { embedding } => x.broadcast_add(&self.params[embedding]),
            Op::Attention { heads, causal } => attention(x, heads, causal),
            Op::FirstToken => x.i((.., 0, ..)),
        }
    }
}

/// A per-channel vector (c) shaped to broadcast over `like`: (1, c, 1, 1) or (1, c).
fn channels(v: &Tensor, like: &Tensor) -> Result<Tensor> {
    match like.rank() {
        4 => v.reshape((1, (), 1, 1)),
        _ => v.reshape((1, ())),
    }
}

/// Cross-correlation. A strided 1x1 kernel reads every `stride`-th pixel only, which candle's own
/// path does not exploit.
fn conv2d(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    if weight.dim(2)? == 1 && stride > 1 && padding == 0 {
        return subsample(x, stride)?.conv2d(weight, 0, 1, 1, 1);
    }
    let (_, _, h, w) = x.dims4()?;
    let kernel = weight.dim(2)?;
    let left_over = |side: usize| (side + 2 * padding - kernel) % stride;
    if left_over(h) != left_over(w) {
        // candle's backward works out the rows that no window reaches and takes as many columns: a
        // feature map that differs in this is padded and cropped first, so that none are left.
        let padded = x.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)?;
        return crop(&padded, kernel, stride)?.conv2d(weight, 0, stride, 1, 1);
    }
    x.conv2d(weight, padding, stride, 1, 1)
}

/// The sum over the kernel's taps of the shifted input times that tap of each channel: candle's own grouped
/// convolution takes the channels one by one.
fn depthwise_conv2d(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, c, h, w) = x.dims4()?;
    let kernel = weight.dim(2)?;
    let side = |n: usize| (n + 2 * padding - kernel) / stride + 1;
    let x = x.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)?;
    let span = |n: usize| (side(n) - 1) * stride + 1;
    let mut sum: Option<Tensor> = None;
    for ky in 0..kernel {
        for kx in 0..kernel {
            let part = x.narrow(2, ky, span(h))?.narrow(3, kx, span(w))?.contiguous()?;
            let part = if stride > 1 { subsample(&part, stride)? } else { part };
            let tap = weight.narrow(2, ky, 1)?.narrow(3, kx, 1)?.reshape((1, c, 1, 1))?;
            let part = part.broadcast_mul(&tap)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
    }
    Ok(sum.expect("a kernel has at least one tap"))
}

/// BatchNorm with the batch's own statistics. Returns y, the mean (c) and the unbiased variance
/// (c).
fn batch_norm(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<(Tensor, Tensor, Tensor)> {
    let c = w.dim(0)?;
    let count = x.elem_count() / c;
    let axes: &[usize] = if x.rank() == 4 { &[0, 2, 3] } else { &[0] };
    let mean = x.mean_keepdim(axes)?;
    let centred = x.broadcast_sub(&mean)?;
    let var = centred.sqr()?.mean_keepdim(axes)?;
    let scale = (channels(w, x)? / (&var + eps)?.sqrt()?)?;
    let y = centred.broadcast_mul(&scale)?.broadcast_add(&channels(b, x)?)?;
    // PyTorch keeps the unbiased variance; a batch of one value keeps the biased one.
    let unbiased = count as f64 / (count.max(2) - 1) as f64;
    let unbiased = (var.detach().reshape(c)? * unbiased)?;
    Ok((y, mean.detach().reshape(c)?, unbiased))
}

fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    // The choice is by `x <= 0`, so the gradient at 0 is that of the lower branch, as in PyTorch
    // (candle's own relu has 1 there), and a NaN, which is never `<= 0`, stays one.
    let lower = |low: Tensor| x.le(0f32)?.where_cond(&low, x);
    match activation {
        Activation::Relu => lower(x.zeros_like()?),
        Activation::LeakyRelu => lower((x * LEAKY_SLOPE)?),
        Activation::Gelu => x.gelu_erf(),
        Activation::Silu => x.silu(),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => candle_nn::ops::sigmoid(x),
    }
}

/// Every `stride`-th pixel from the first: (n, c, h, w) -> (n, c, ceil(h / stride), ceil(w /
/// stride)).
fn subsample(x: &Tensor, stride: usize) -> Result<Tensor> {
    if stride == 1 {
        return Ok(x.clone());
    }
    let (_, _, h, w) = x.dims4()?;
    let pick = |side: usize| {
        let index: Vec<u32> = (0..side as u32).step_by(stride).collect();
        Tensor::new(index, x.device())
    };
    x.index_select(&pick(h)?, 2)?.index_select(&pick(w)?, 3)
}

/// Drops the rows and columns that no whole window reaches; the stock gradients want none left.
fn crop(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let whole = |side: usize| ((side - kernel) / stride) * stride + kernel;
    x.narrow(2, 0, whole(h))?.narrow(3, 0, whole(w))
}

/// Max pooling with windows side by side. The gradient goes to the first largest value of each
/// window, as in PyTorch (candle's own divides it by the window's area).
fn max_pool(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let x = crop(x, kernel, stride)?;
    let (n, c, h, w) = x.dims4()?;
    let (ho, wo) = (h / kernel, w / kernel);
    let windows = x
        .reshape(&[n * c, ho, kernel, wo, kernel][..])?
        .permute([0, 1, 3, 2, 4].as_slice())?
        .contiguous()?
        .reshape((n * c * ho * wo, kernel * kernel))?;
    let first = windows.detach().argmax_keepdim(1)?;
    windows.gather(&first, 1)?.reshape((n, c, ho, wo))
}

/// Max pooling with windows that overlap or begin before the feature map. The gradient as of [`max_pool`].
fn max_pool_over(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    // Zeros around it, and then the smallest value there is where the zeros are.
    let lowest = |side: usize| -> Vec<f32> {
        let inside = |at: usize| (padding..padding + side).contains(&at);
        (0..side + 2 * padding).map(|at| if inside(at) { 0.0 } else { f32::MIN }).collect()
    };
    let (ph, pw) = (h + 2 * padding, w + 2 * padding);
    let x = x.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)?;
    let rows = Tensor::from_vec(lowest(h), (1, 1, ph, 1), x.device())?;
    let columns = Tensor::from_vec(lowest(w), (1, 1, 1, pw), x.device())?;
    let x = x.broadcast_add(&rows.broadcast_minimum(&columns)?)?;
    let outputs = |side: usize| (side - kernel) / stride + 1;
    let picked = |side: usize, offset: usize| {
        let at: Vec<u32> = (0..outputs(side)).map(|o| (o * stride + offset) as u32).collect();
        Tensor::from_vec(at, outputs(side), x.device())
    };
    let mut windows = Vec::with_capacity(kernel * kernel);
    for ky in 0..kernel {
        let rows = x.index_select(&picked(ph, ky)?, 2)?;
        for kx in 0..kernel {
            windows.push(rows.index_select(&picked(pw, kx)?, 3)?);
        }
    }
    let windows = Tensor::stack(&windows, 4)?;
    let first = windows.detach().argmax_keepdim(4)?;
    windows.gather(&first, 4)?.squeeze(4)
}

/// Multi-head softmax attention: queries, keys and values packed along the last axis,
/// (n, t, 3 d) -> (n, t, d). `causal` hides from a token those after it.
fn attention(packed: &Tensor, heads: usize, causal: bool) -> Result<Tensor> {
    let (n, t, d3) = packed.dims3()?;
    let (d, head) = (d3 / 3, d3 / 3 / heads);
    let part = |i: usize| {
        packed.narrow(2, i * d, d)?.reshape((n, t, heads, head))?.transpose(1, 2)?.contiguous()
    };
    let (q, k, v) = (part(0)?, part(1)?, part(2)?);
    let mut scores = (q.matmul(&k.t()?.contiguous()?)? / (head as f64).sqrt())?;
    if causal {
        let hidden = |at: usize| if at % t > at / t { f32::NEG_INFINITY } else { 0.0 };
        let mask: Vec<f32> = (0..t * t).map(hidden).collect();
        scores = scores.broadcast_add(&Tensor::from_vec(mask, (t, t), packed.device())?)?;
    }
    let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
    weights.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((n, t, d))
}
