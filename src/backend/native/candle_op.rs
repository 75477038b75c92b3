//! The engine as one candle operation: (images, theta) -> logits, with a gradient.
//!
//! A whole network is one node of candle's graph, with its own workspace. (One custom operation for
//! each layer would lose what the engine gains: candle allocates each result and adds up each
//! gradient in fresh memory, milliseconds for tensors of some megabytes.) So a candle program
//! trains any of this crate's networks with candle's losses and optimizers at nearly the engine's
//! speed: a step of SGD on ResNet-20 takes 0 to 4 % more processor time than by the engine alone
//! with 128 images, 0 to 8 % with 32 (three runs of `benches/candle_op.rs`).
//!
//! ```
//! use std::sync::Arc;
//!
//! use candle_core::{Device, Tensor, Var};
//! use candle_nn::{AdamW, Optimizer, ParamsAdamW, VarMap, loss};
//! use lossreel::backend::native::candle_op::{CandleNet, Statistics};
//! use lossreel::models::ModelSpec;
//! use lossreel::rng::Streams;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let network = Arc::new(ModelSpec::of("resnet8").build([3, 8, 8], 10)?);
//! let net = CandleNet::new(network.clone(), Streams::new(0))?;
//! let dim = network.layout.dim();
//! let theta = Var::from_vec(network.init_theta(&Streams::new(0)), dim, &Device::Cpu)?;
//! // With other variables, to be saved and loaded together.
//! let varmap = VarMap::new();
//! varmap.data().lock().unwrap().insert("theta".into(), theta.clone());
//! let mut optimizer = AdamW::new(varmap.all_vars(), ParamsAdamW { lr: 3e-3, ..Default::default() })?;
//!
//! let images = Tensor::randn(0f32, 1.0, (16, 3, 8, 8), &Device::Cpu)?;
//! let labels = Tensor::from_iter((0..16u32).map(|i| i % 10), &Device::Cpu)?;
//! let mut losses = Vec::new();
//! for _ in 0..10 {
//!     let logits = net.forward(&images, &theta, Statistics::Batch)?;
//!     let loss = loss::cross_entropy(&logits, &labels)?;
//!     optimizer.backward_step(&loss)?;
//!     losses.push(loss.to_scalar::<f32>()?);
//! }
//! assert!(losses[9] < 0.8 * losses[0]);
//! // Evaluation with the running statistics that training gathered.
//! let logits = net.forward(&images, &theta.detach(), Statistics::Running)?;
//! assert_eq!(logits.dims(), [16, 10]);
//! # Ok(())
//! # }
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Tensor};

use super::pass::{Batch, LossTarget, Mode, Pass, Task};
use super::plan::LossFrom;
use super::{Caches, Level, check};
use crate::network::Network;
use crate::parallel;
use crate::rng::Streams;

/// The statistics that batch normalisation uses, and with them whether dropout acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// Training: the batch's own mean and variance, which move the running ones; dropout acts.
    Batch,
    /// Evaluation: the running mean and variance; no dropout.
    Running,
}

/// A network that the engine executes inside a candle program.
#[derive(Debug, Clone)]
pub struct CandleNet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    network: Arc<Network>,
    level: Level,
    streams: Streams,
    /// Training passes so far: the index of the next one's dropout masks.
    steps: AtomicU64,
    buffers: Mutex<Vec<f32>>,
    /// Workspaces without and with a gradient to the images, for reuse.
    idle: [Mutex<Vec<Pass>>; 2],
}

/// Locks, also after a panic on another thread, which is being propagated anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl CandleNet {
    /// The network with initial running statistics; dropout masks come from `streams`.
    ///
    /// # Errors
    /// [`crate::Error::BadValue`] for a network with an operation that the engine lacks.
    pub fn new(network: Arc<Network>, streams: Streams) -> crate::Result<Self> {
        let level = Level::detect();
        check(&network, level)?;
        let buffers = Mutex::new(network.init_buffers());
        let (steps, idle) = (AtomicU64::new(0), Default::default());
        Ok(Self { shared: Arc::new(Shared { network, level, streams, steps, buffers, idle }) })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.shared.network
    }

    /// The current running statistics, in layout order.
    pub fn buffers(&self) -> Vec<f32> {
        lock(&self.shared.buffers).clone()
    }

    /// Replaces the running statistics: those of a checkpoint.
    ///
    /// # Errors
    /// [`crate::Error::BadValue`] for another length than the layout's.
    pub fn set_buffers(&self, buffers: &[f32]) -> crate::Result<()> {
        let needed = self.shared.network.layout.buffer_dim();
        if buffers.len() != needed {
            return Err(crate::Error::bad_value(
                "buffers",
                buffers.len(),
                format!("but {} has {needed}", self.shared.network.arch),
                "use buffers of the same network",
            ));
        }
        lock(&self.shared.buffers).copy_from_slice(buffers);
        Ok(())
    }

    /// Logits (n, classes) of `images` (n, c, h, w) at `theta` (P), both f32 on the CPU.
    ///
    /// Gradients flow to `theta`, and to `images` where they depend on a variable (that costs the
    /// first layer's backward pass). The workspace of this pass stays with the result until it is
    /// dropped, and serves one backward pass.
    ///
    /// # Errors
    /// candle's, for other shapes, types and devices.
    pub fn forward(
        &self,
        images: &Tensor,
        theta: &Tensor,
        statistics: Statistics,
    ) -> Result<Tensor> {
        let Network { input: [c, h, w], ref layout, .. } = *self.shared.network;
        let n = images.dims().first().copied().unwrap_or(0);
        for (what, tensor, shape) in [
            ("images", images, Shape::from((n.max(1), c, h, w))),
            ("theta", theta, Shape::from(layout.dim())),
        ] {
            if tensor.shape() != &shape
                || tensor.dtype() != DType::F32
                || !matches!(tensor.device(), Device::Cpu)
            {
                candle_core::bail!(
                    "{what}: {} takes {shape:?} of f32 on the CPU, not {:?} of {} on {:?}",
                    self.shared.network.arch,
                    tensor.shape(),
                    tensor.dtype().as_str(),
                    tensor.device(),
                );
            }
        }
        let op = NetOp {
            image_gradient: images.track_op(),
            step: match statistics {
                Statistics::Batch => Some(self.shared.steps.fetch_add(1, Ordering::Relaxed)),
                Statistics::Running => None,
            },
            shared: self.shared.clone(),
            pass: Mutex::new(None),
        };
        images.contiguous()?.apply_op2(&theta.contiguous()?, op)
    }
}

/// One forward pass and the backward pass that belongs to it.
struct NetOp {
    shared: Arc<Shared>,
    image_gradient: bool,
    /// Number of the training pass; none in evaluation.
    step: Option<u64>,
    /// The workspace between forward and backward.
    pass: Mutex<Option<Pass>>,
}

impl NetOp {
    fn mode(&self) -> Mode<'_> {
        match self.step {
            Some(step) => Mode::Train { streams: &self.shared.streams, step },
            None => Mode::Eval,
        }
    }

    fn idle(&self) -> &Mutex<Vec<Pass>> {
        &self.shared.idle[usize::from(self.image_gradient)]
    }

    /// An idle workspace, or a new one.
    fn workspace(&self) -> Pass {
        let workers = parallel::threads();
        let idle = lock(self.idle()).pop();
        idle.filter(|p| p.workers() == workers).unwrap_or_else(|| {
            let loss_from = LossFrom::Caller { image_gradient: self.image_gradient };
            Pass::new(
                (self.shared.level, Caches::detect()),
                &self.shared.network,
                loss_from,
                workers,
            )
        })
    }
}

impl Drop for NetOp {
    fn drop(&mut self) {
        if let Some(pass) = lock(&self.pass).take() {
            lock(self.idle()).push(pass);
        }
    }
}

/// A contiguous tensor's values.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => candle_core::bail!("images and theta are contiguous here"),
    }
}

fn host(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

impl CustomOp2 for NetOp {
    fn name(&self) -> &'static str {
        "lossreel-network"
    }

    fn cpu_fwd(
        &self,
        images: &CpuStorage,
        images_layout: &Layout,
        theta: &CpuStorage,
        theta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (images, theta) = (values(images, images_layout)?, values(theta, theta_layout)?);
        let network = &*self.shared.network;
        let mut pass = self.workspace();
        let batch = Batch { images, target: LossTarget::Gradient(&[]) };
        let task = Task { network, theta, batch, mode: self.mode() };
        let logits = match task.mode {
            Mode::Eval => pass.forward(task, &mut lock(&self.shared.buffers).clone()),
            Mode::Train { .. } => pass.forward(task, &mut lock(&self.shared.buffers)),
        };
        *lock(&self.pass) = Some(pass);
        let shape = Shape::from((logits.len() / network.classes, network.classes));
        Ok((CpuStorage::F32(logits), shape))
    }

    fn bwd(
        &self,
        images: &Tensor,
        theta: &Tensor,
        _: &Tensor,
        dlogits: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(mut pass) = lock(&self.pass).take() else {
            candle_core::bail!(
                "a second backward pass through the same logits: their workspace is spent; run \
                 forward again"
            )
        };
        let (data, layout) = images.storage_and_layout();
        let candle_core::Storage::Cpu(data) = &*data else {
            candle_core::bail!("images are on the CPU here")
        };
        let mut grad = vec![0.0; theta.elem_count()];
        let (theta_values, dlogits) = (host(theta)?, host(dlogits)?);
        let task = Task {
            network: &self.shared.network,
            theta: &theta_values,
            batch: Batch { images: values(data, layout)?, target: LossTarget::Gradient(&dlogits) },
            mode: self.mode(),
        };
        let dimages = pass.backward(task, &mut grad);
        lock(self.idle()).push(pass);
        let dimages = self
            .image_gradient
            .then(|| Tensor::from_vec(dimages, images.shape(), images.device()))
            .transpose()?;
        Ok((dimages, Some(Tensor::from_vec(grad, theta.shape(), theta.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::super::tests::{Case, distance, nets};
    use super::*;
    use crate::backend::{BackendName, TrainPass, backend};

    /// f32 sums in two orders: as between the backends themselves.
    const CLOSE: f64 = 2e-4;

    fn tensor(values: &[f32], shape: impl Into<Shape>) -> Tensor {
        Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
    }

    /// Mean cross-entropy by candle's own operations, and its gradients to images and theta.
    fn loss_and_gradients(
        net: &CandleNet,
        case: &Case,
        statistics: Statistics,
    ) -> (f64, Vec<f32>, Vec<f32>) {
        let [c, h, w] = net.network().input;
        let n = case.images.len() / (c * h * w);
        let images = Var::from_tensor(&tensor(&case.images, (n, c, h, w))).unwrap();
        let theta = Var::from_tensor(&tensor(&case.theta, case.theta.len())).unwrap();
        let logits = net.forward(&images, &theta, statistics).unwrap();
        let labels: Vec<u32> = case.labels.iter().map(|l| u32::from(*l)).collect();
        let labels = Tensor::from_vec(labels, case.labels.len(), &Device::Cpu).unwrap();
        let loss = candle_nn::loss::cross_entropy(&logits, &labels).unwrap();
        let grads = loss.backward().unwrap();
        let of = |var: &Var| host(grads.get(var).unwrap()).unwrap();
        (f64::from(loss.to_scalar::<f32>().unwrap()), of(&images), of(&theta))
    }

    #[test]
    fn its_gradients_and_statistics_are_those_of_the_reference() {
        for (network, n) in nets() {
            let network = Arc::new(network);
            let case = Case::new(&network, n);
            let streams = Streams::new(3);
            let net = CandleNet::new(network.clone(), streams).unwrap();
            net.set_buffers(&case.buffers).unwrap();
            let reference = backend(BackendName::Candle, network.clone()).unwrap();

            let mut want = vec![0.0; case.theta.len()];
            let found = reference
                .eval_gradient(&case.theta, &case.buffers, &case.images, case.targets(), &mut want)
                .unwrap();
            let (loss, _, grad) = loss_and_gradients(&net, &case, Statistics::Running);
            assert!((loss - found.loss).abs() < 1e-5 * found.loss.max(1.0), "{}", network.arch);
            assert!(distance(&grad, &want) < CLOSE, "{}", network.arch);
            assert_eq!(net.buffers(), case.buffers, "evaluation moved the statistics");

            let mut buffers = case.buffers.clone();
            let pass = TrainPass {
                theta: &case.theta,
                buffers: &mut buffers,
                images: &case.images,
                targets: case.targets(),
                label_smoothing: 0.0,
                streams: &streams,
                step: 0,
            };
            let found = reference.train_pass(pass, &mut want).unwrap();
            let (loss, _, grad) = loss_and_gradients(&net, &case, Statistics::Batch);
            assert!((loss - found.loss).abs() < 1e-4 * found.loss.max(1.0), "{}", network.arch);
            let off = [distance(&grad, &want), distance(&net.buffers(), &buffers)];
            assert!(off.iter().all(|o| *o < CLOSE), "{}: {off:?}", network.arch);
        }
    }

    /// Along the gradient itself the loss rises by its norm. The images move by 2 % of a pixel's
    /// deviation in all at most, so that few kinks lie between; f32 losses are good to 1e-7 and
    /// rise by more than 1e-5: 5 %.
    #[test]
    fn the_gradient_to_the_images_agrees_with_central_differences() {
        for (network, n) in nets().into_iter().take(7) {
            let network = Arc::new(network);
            let case = Case::new(&network, n);
            let net = CandleNet::new(network.clone(), Streams::new(3)).unwrap();
            net.set_buffers(&case.buffers).unwrap();
            let (_, images, _) = loss_and_gradients(&net, &case, Statistics::Running);
            let norm = images.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            let length = (5e-3 / norm).min(0.02);
            let at = |sign: f64| {
                let step = sign * length / norm;
                let moved = case.images.iter().zip(&images);
                let moved = moved.map(|(x, g)| (f64::from(*x) + step * f64::from(*g)) as f32);
                let case = Case { images: moved.collect(), ..case.clone() };
                loss_and_gradients(&net, &case, Statistics::Running).0
            };
            let off = (at(1.0) - at(-1.0)) / (2.0 * length * norm) - 1.0;
            assert!(off.abs() < 0.05, "{}: off by {off}, norm {norm}", network.arch);
        }
    }

    #[test]
    fn passes_in_flight_do_not_disturb_each_other() {
        let network = Arc::new(nets().remove(0).0);
        let case = Case::new(&network, 6);
        let net = CandleNet::new(network.clone(), Streams::new(3)).unwrap();
        let [c, h, w] = network.input;
        let theta = Var::from_tensor(&tensor(&case.theta, case.theta.len())).unwrap();
        let half = |k: usize| {
            let images = tensor(&case.images, (6, c, h, w)).narrow(0, 3 * k, 3).unwrap();
            net.forward(&images, &theta, Statistics::Running).unwrap()
        };
        let gradient = |logits: Tensor| {
            let loss = logits.sqr().unwrap().sum_all().unwrap();
            host(loss.backward().unwrap().get(&theta).unwrap()).unwrap()
        };
        let alone = [gradient(half(0)), gradient(half(1))];
        let together = [half(0), half(1)].map(gradient);
        assert!(alone == together);
        assert_ne!(alone[0], alone[1]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_so_is_a_second_backward_pass() {
        let network = Arc::new(nets().remove(0).0);
        let case = Case::new(&network, 2);
        let net = CandleNet::new(network.clone(), Streams::new(3)).unwrap();
        let [c, h, w] = network.input;
        let images = tensor(&case.images, (2, c, h, w));
        let theta = Var::from_tensor(&tensor(&case.theta, case.theta.len())).unwrap();
        let short = theta.narrow(0, 1, 5).unwrap();
        let error = net.forward(&images, &short, Statistics::Batch).unwrap_err().to_string();
        assert!(error.contains("theta"), "{error}");
        let flat = images.flatten_from(1).unwrap();
        let error = net.forward(&flat, &theta, Statistics::Batch).unwrap_err().to_string();
        assert!(error.contains("images"), "{error}");
        assert!(net.set_buffers(&[1.0]).is_err());
        let loss = net.forward(&images, &theta, Statistics::Batch).unwrap().sum_all().unwrap();
        loss.backward().unwrap();
        let error = loss.backward().unwrap_err().to_string();
        assert!(error.contains("run forward again"), "{error}");
    }
}
