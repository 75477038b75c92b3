//! The reference backend: interprets the nodes with candle's tensors and autograd.
//!
//! Only stock tensor operations are used, so the same code runs on every device candle has. Where
//! a stock gradient differs from PyTorch's (candle 0.11: ReLU at 0, ties and the scale in max
//! pooling) the node is written with operations whose gradient is right.

mod ops;
mod point;

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};

use self::ops::{Forward, Mode};
use super::{Backend, BackendName, Point, TrainLoss, TrainPass, loss_grad};
use crate::dataset::BatchTargets;
use crate::network::{Buffer, Network, Param};
use crate::{Error, Result};

/// Executes one network with candle.
#[derive(Debug)]
pub struct CandleBackend {
    network: Arc<Network>,
    device: Device,
}

impl CandleBackend {
    /// A backend for `network` on the CPU.
    pub fn new(network: Arc<Network>) -> Self {
        Self { network, device: Device::Cpu }
    }

    fn tensor(&self, data: &[f32], shape: &[usize]) -> Result<Tensor> {
        Tensor::from_slice(data, shape, &self.device).map_err(Error::candle("copy a tensor"))
    }

    fn images(&self, images: &[f32]) -> Result<Tensor> {
        let [c, h, w] = self.network.input;
        self.tensor(images, &[images.len() / (c * h * w), c, h, w])
    }

    fn vars(&self, theta: &[f32]) -> Result<Vec<Var>> {
        let var = |p: &Param| {
            let t = self.tensor(&theta[p.range()], &p.shape)?;
            Var::from_tensor(&t).map_err(Error::candle("make a variable"))
        };
        self.network.layout.params.iter().map(var).collect()
    }

    fn buffers(&self, buffers: &[f32]) -> Result<Vec<Tensor>> {
        let tensor = |b: &Buffer| self.tensor(&buffers[b.range()], &b.shape);
        self.network.layout.buffers.iter().map(tensor).collect()
    }

    /// Forward in `mode`, loss, backward; returns the loss and the batch statistics it met.
    fn backward(
        &self,
        theta: &[f32],
        buffers: &[f32],
        batch: Batch,
        mode: Mode,
        grad: &mut [f32],
    ) -> Result<(TrainLoss, ops::BatchStats)> {
        let vars = self.vars(theta)?;
        let params: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let buffers = self.buffers(buffers)?;
        let mut forward = Forward::new(&self.network, &params, &buffers, mode);
        let logits = forward.run(self.images(batch.images)?)?;
        let stats = forward.into_stats();

        let host = flat(&logits)?;
        let mut dlogits = vec![0.0; host.len()];
        let (loss, correct) = loss_grad(&host, batch.targets, batch.label_smoothing, &mut dlogits);
        // d(sum(logits * c))/dtheta = J^T c with the constant c = dloss/dlogits.
        let c = self.tensor(&dlogits, logits.dims())?;
        let grads = (|| logits.mul(&c)?.sum_all()?.backward())()
            .map_err(Error::candle("run the backward pass"))?;
        for (param, var) in self.network.layout.params.iter().zip(&vars) {
            let out = &mut grad[param.range()];
            match grads.get(var) {
                Some(g) => out.copy_from_slice(&flat(g)?),
                None => out.fill(0.0),
            }
        }
        Ok((TrainLoss { loss, correct }, stats))
    }
}

/// What a backward pass runs on.
struct Batch<'a> {
    images: &'a [f32],
    targets: BatchTargets<'a>,
    label_smoothing: f64,
}

impl Backend for CandleBackend {
    fn name(&self) -> BackendName {
        BackendName::Candle
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn train_pass(&self, pass: TrainPass<'_>, grad: &mut [f32]) -> Result<TrainLoss> {
        let TrainPass { theta, buffers, images, targets, label_smoothing, streams, step } = pass;
        let mode = Mode::Train { streams: *streams, step };
        let batch = Batch { images, targets, label_smoothing };
        let (loss, stats) = self.backward(theta, buffers, batch, mode, grad)?;
        for (mean, var, batch_mean, batch_var, momentum) in stats {
            let update = |buffer: &Buffer, new: Vec<f32>, running: &mut [f32]| {
                for (r, n) in running[buffer.range()].iter_mut().zip(new) {
                    *r = (1.0 - momentum) as f32 * *r + momentum as f32 * n;
                }
            };
            update(&self.network.layout.buffers[mean], flat(&batch_mean)?, buffers);
            update(&self.network.layout.buffers[var], flat(&batch_var)?, buffers);
        }
        Ok(loss)
    }

    fn eval_gradient(
        &self,
        theta: &[f32],
        buffers: &[f32],
        images: &[f32],
        targets: BatchTargets<'_>,
        grad: &mut [f32],
    ) -> Result<TrainLoss> {
        let batch = Batch { images, targets, label_smoothing: 0.0 };
        let (loss, _) = self.backward(theta, buffers, batch, Mode::Eval, grad)?;
        Ok(loss)
    }

    fn at(&self, theta: &[f32], buffers: &[f32]) -> Result<Box<dyn Point>> {
        let point = point::FoldedPoint::new(self, theta, buffers)?;
        Ok(Box::new(point))
    }
}

/// A tensor's values on the host, row-major.
fn flat(t: &Tensor) -> Result<Vec<f32>> {
    t.flatten_all().and_then(|t| t.to_vec1()).map_err(Error::candle("read a tensor back"))
}
