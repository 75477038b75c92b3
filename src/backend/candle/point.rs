//! One point of parameter space, with BatchNorm folded into the convolution or linear layer before
//! it: a surface evaluates each point on many images, so folding once pays at once.

use std::sync::Arc;

use candle_core::Tensor;

use super::ops::{Forward, Mode};
use super::{CandleBackend, flat};
use crate::backend::Point;
use crate::network::{Network, Op};
use crate::{Error, Result};

/// A network whose foldable BatchNorms are gone, with its weights.
pub(super) struct FoldedPoint {
    network: Arc<Network>,
    params: Vec<Tensor>,
    buffers: Vec<Tensor>,
    device: candle_core::Device,
}

impl FoldedPoint {
    pub(super) fn new(backend: &CandleBackend, theta: &[f32], buffers: &[f32]) -> Result<Self> {
        let (network, folded) = fold(&backend.network, theta, buffers);
        let params = network
            .layout
            .params
            .iter()
            .zip(folded)
            .map(|(p, values)| backend.tensor(&values, &p.shape))
            .collect::<Result<_>>()?;
        Ok(Self {
            network: Arc::new(network),
            params,
            buffers: backend.buffers(buffers)?,
            device: backend.device.clone(),
        })
    }
}

impl Point for FoldedPoint {
    fn logits(&self, images: &[f32]) -> Result<Vec<f32>> {
        let [c, h, w] = self.network.input;
        let n = images.len() / (c * h * w);
        let x = Tensor::from_slice(images, (n, c, h, w), &self.device)
            .map_err(Error::candle("copy images"))?;
        let mut forward = Forward::new(&self.network, &self.params, &self.buffers, Mode::Eval);
        flat(&forward.run(x)?)
    }
}

/// Replaces each BatchNorm that alone reads a convolution or linear layer by new weights of that
/// layer: `scale = w / sqrt(var + eps)`, `W' = scale W`, `b' = (b - mean) scale + shift`, computed
/// in f64. The BatchNorm node becomes the identity (dropout of p = 0). Returns the network and
/// its parameters' values, one vector each; a folded layer without a bias gains one.
fn fold(network: &Network, theta: &[f32], buffers: &[f32]) -> (Network, Vec<Vec<f32>>) {
    let mut network = network.clone();
    let mut values: Vec<Vec<f32>> =
        network.layout.params.iter().map(|p| theta[p.range()].to_vec()).collect();
    let consumers = network.consumers();
    for id in 0..network.nodes.len() {
        let Op::BatchNorm { weight: scale_id, bias: shift_id, mean, var, eps, .. } =
            network.nodes[id].op
        else {
            continue;
        };
        let source = network.nodes[id].inputs[0];
        if consumers[source] != 1 {
            continue;
        }
        let (weight, bias) = match network.nodes[source].op {
            Op::Conv2d { weight, bias, .. } | Op::Linear { weight, bias } => (weight, bias),
            _ => continue,
        };
        let buffer = |b: usize| &buffers[network.layout.buffers[b].range()];
        let scale: Vec<f64> = values[scale_id]
            .iter()
            .zip(buffer(var))
            .map(|(&w, &v)| f64::from(w) / (f64::from(v) + eps).sqrt())
            .collect();
        let channels = scale.len();
        let old = bias.map_or_else(|| vec![0.0; channels], |b| values[b].clone());
        let new: Vec<f32> = (0..channels)
            .map(|c| {
                let centred = f64::from(old[c]) - f64::from(buffer(mean)[c]);
                (centred * scale[c] + f64::from(values[shift_id][c])) as f32
            })
            .collect();
        let per_channel = values[weight].len() / channels;
        for (row, s) in values[weight].chunks_exact_mut(per_channel).zip(&scale) {
            row.iter_mut().for_each(|w| *w = (f64::from(*w) * s) as f32);
        }
        // The shift's slot, (c) like a bias, carries the folded bias.
        values[shift_id] = new;
        if let Op::Conv2d { bias, .. } | Op::Linear { bias, .. } = &mut network.nodes[source].op {
            *bias = Some(shift_id);
        }
        network.nodes[id].op = Op::Dropout { p: 0.0 };
    }
    (network, values)
}
