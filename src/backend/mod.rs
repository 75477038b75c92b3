//! What executes a network: forward for logits, forward and backward for a training step.
//!
//! A backend is given flat vectors and host slices and keeps no weights of its own, so the code
//! above it (trainer, surfaces) sees `theta` only and cannot leave a model displaced. Each
//! backend is the other's test: `candle` is the reference, `native` the fast one.

mod candle;
mod difference;
mod loss;
pub mod native;
#[cfg(test)]
mod tests;

pub(crate) use difference::difference_hvp;
pub(crate) use loss::{largest, loss, loss_grad, loss_grad_tangent};

use std::sync::Arc;

use crate::Result;
use crate::dataset::BatchTargets;
use crate::names::named_enum;
use crate::network::Network;
use crate::rng::Streams;

named_enum! {
    /// Which engine executes a network.
    pub enum BackendName("backend") {
        /// `native` where it has every operation of the network, `candle` otherwise.
        Auto = "auto",
        /// The engine's own kernels: the fast one, on any CPU.
        Native = "native",
        /// candle's tensors and autograd: the reference.
        Candle = "candle",
    }
}

named_enum! {
    /// The numbers that evaluation multiplies. Training, gradients and Hessian-vector products are
    /// in f32 always.
    #[derive(Default)]
    pub enum Precision("precision") {
        /// 24 bits of precision.
        #[default]
        F32 = "f32",
        /// 8 bits of precision in the operands of most convolutions, to which they are rounded (to
        /// the nearest, ties to even); products, sums and everything else are f32.
        Bf16 = "bf16",
    }
}

/// One batch's forward and backward pass.
#[derive(Debug)]
pub struct TrainPass<'a> {
    /// Parameters, in layout order.
    pub theta: &'a [f32],
    /// Buffers, in layout order; BatchNorm's running statistics are moved in place.
    pub buffers: &'a mut [f32],
    /// Normalised images, (n, c, h, w).
    pub images: &'a [f32],
    /// What the outputs for them are held against, and by which loss.
    pub targets: BatchTargets<'a>,
    /// Share of a class's target spread evenly over all classes (Szegedy et al. 2016), 0 for none.
    pub label_smoothing: f64,
    /// Where dropout masks come from.
    pub streams: &'a Streams,
    /// Number of the step: the index of this pass's dropout masks.
    pub step: u64,
}

/// The loss of a training pass on its batch, before the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainLoss {
    /// Mean loss of the batch in train mode, label smoothing included.
    pub loss: f64,
    /// Rows of outputs whose largest was the right one.
    pub correct: usize,
}

/// What a layer took of training passes: seconds, summed over the threads.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct LayerTime {
    /// Its parameters' name without `.weight`, or what it does.
    pub name: String,
    /// Shape of its input, (c, h, w).
    pub from: [usize; 3],
    /// Shape of its output.
    pub to: [usize; 3],
    /// Multiply-accumulates of its forward pass for an image; 0 where it is no convolution and no
    /// linear layer. Each of the two gradients has as many.
    pub macs: u64,
    /// What executes its forward pass, in words.
    pub kernel: String,
    /// The forward pass.
    pub forward: f64,
    /// The gradient to its input.
    pub to_input: f64,
    /// The gradient to its weights.
    pub to_weights: f64,
    /// Batch normalisation behind it with the residual sum and ReLU that go with it, both ways.
    pub normalisation: f64,
    /// Everything else, both ways.
    pub rest: f64,
}

impl LayerTime {
    /// All of it, in seconds.
    pub fn seconds(&self) -> f64 {
        self.forward + self.to_input + self.to_weights + self.normalisation + self.rest
    }
}

/// Where the time of training passes went.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PassTimes {
    /// Images of all passes.
    pub images: usize,
    /// Threads.
    pub threads: usize,
    /// Seconds that passed.
    pub wall: f64,
    /// The layers in their order.
    pub layers: Vec<LayerTime>,
    /// Seconds, summed over the threads, for loading the images, the loss and sums of gradients.
    pub images_and_loss: f64,
    /// The threads' seconds while weights were packed for the kernels.
    pub packing: f64,
    /// The threads' seconds while sums over the batch were added up: statistics and gradients.
    pub adding_up: f64,
    /// The rest of the threads' seconds: clearing sums, handing out work, waiting for the other
    /// threads.
    pub waiting: f64,
}

/// An engine bound to one network.
pub trait Backend: Send + Sync {
    /// Its name.
    fn name(&self) -> BackendName;

    /// The network it executes.
    fn network(&self) -> &Network;

    /// The numbers that [`Backend::at`]'s points multiply.
    fn precision(&self) -> Precision {
        Precision::F32
    }

    /// Forward and backward in train mode: batch statistics, dropout. Writes the mean gradient
    /// over `grad` (layout order, the length of `theta`).
    fn train_pass(&self, pass: TrainPass<'_>, grad: &mut [f32]) -> Result<TrainLoss>;

    /// Passes of [`Backend::train_pass`] one after the other for at least `seconds`, and how long
    /// they spent in each layer. `None` from a backend that does not know.
    ///
    /// # Errors
    /// Those of [`Backend::train_pass`].
    fn time_layers(
        &self,
        _pass: TrainPass<'_>,
        _grad: &mut [f32],
        _seconds: f64,
    ) -> Result<Option<PassTimes>> {
        Ok(None)
    }

    /// Forward and backward of the mean loss in eval mode: running statistics taken from
    /// `buffers`, no dropout. Writes the gradient over `grad`.
    fn eval_gradient(
        &self,
        theta: &[f32],
        buffers: &[f32],
        images: &[f32],
        targets: BatchTargets<'_>,
        grad: &mut [f32],
    ) -> Result<TrainLoss>;

    /// The product of the Hessian of [`Backend::eval_gradient`]'s loss at `theta` with `v`, written
    /// over `out`, all in layout order.
    ///
    /// The default is a central difference of gradients, as [`Objective::hvp`]'s
    /// (good to about three digits); a backend with forward tangents gives the exact product.
    ///
    /// [`Objective::hvp`]: crate::objective::Objective::hvp
    fn eval_hvp(
        &self,
        theta: &[f32],
        buffers: &[f32],
        images: &[f32],
        targets: BatchTargets<'_>,
        v: &[f32],
        out: &mut [f32],
    ) -> Result<()> {
        difference_hvp(theta, v, out, |theta, grad| {
            self.eval_gradient(theta, buffers, images, targets, grad).map(|_| ())
        })
    }

    /// The product of the generalised Gauss-Newton matrix of the same loss with `v`, written over `out`.
    ///
    /// # Errors
    /// [`crate::Error::BadValue`] where the backend cannot: without forward tangents there is none.
    fn eval_gauss_newton(
        &self,
        _theta: &[f32],
        _buffers: &[f32],
        _images: &[f32],
        _targets: BatchTargets<'_>,
        _v: &[f32],
        _out: &mut [f32],
    ) -> Result<()> {
        Err(crate::Error::bad_value(
            "matrix",
            "gauss-newton",
            format!(
                "but {} on the {} backend has no such products",
                self.network().arch,
                self.name()
            ),
            "use the Hessian, or a network that the native backend has tangents for",
        ))
    }

    /// How many images [`Backend::eval_gradient`] and [`Backend::eval_hvp`] best get at once:
    /// memory for their activations bounds it from above, idle threads from below.
    fn preferred_images(&self) -> usize {
        50
    }

    /// What executes the convolutions of a point, linear layers among them, and how many each, in
    /// words; empty where there is no choice.
    fn eval_kernels(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// What its plans are made for, in words: with the same plan passes give the same bytes. Empty where there
    /// is no choice.
    fn plan(&self) -> String {
        String::new()
    }

    /// Makes one point of parameter space ready for evaluation (eval mode).
    fn at(&self, theta: &[f32], buffers: &[f32]) -> Result<Box<dyn Point>>;
}

/// A network at one point of its parameter space, ready to evaluate in eval mode. Calls from
/// several threads at once give the same values as calls in turn.
pub trait Point: Send + Sync {
    /// Outputs of normalised images (n, c, h, w): (n, classes), or (n, positions, classes) where the network
    /// has an output for each position.
    fn logits(&self, images: &[f32]) -> Result<Vec<f32>>;
}

/// What [`BackendName::Auto`] means for `network`, with the reason where it is not the fast one.
pub fn choose(network: &Network) -> (BackendName, Option<String>) {
    match native::unsupported(network) {
        None => (BackendName::Native, None),
        Some(op) => (BackendName::Candle, Some(format!("the native backend has no {op}"))),
    }
}

/// The backend `name` for `network`, in f32.
///
/// # Errors
/// [`crate::Error::BadValue`] for [`BackendName::Native`] and a network with an operation it lacks.
pub fn backend(name: BackendName, network: Arc<Network>) -> Result<Arc<dyn Backend>> {
    match name {
        BackendName::Auto => backend(choose(&network).0, network),
        BackendName::Native => Ok(Arc::new(native::NativeBackend::new(network)?)),
        BackendName::Candle => Ok(Arc::new(candle::CandleBackend::new(network))),
    }
}

/// The backend `name` for `network`, evaluating in `precision`.
///
/// # Errors
/// As [`backend`]; [`crate::Error::BadValue`] for bf16 and a backend that has f32 only.
pub fn backend_in(
    precision: Precision,
    name: BackendName,
    network: Arc<Network>,
) -> Result<Arc<dyn Backend>> {
    let name = if name == BackendName::Auto { choose(&network).0 } else { name };
    match (precision, name) {
        (Precision::F32, _) => backend(name, network),
        (Precision::Bf16, BackendName::Candle) => Err(crate::Error::bad_value(
            "precision",
            precision,
            format!("but the candle backend evaluates {} in f32 only", network.arch),
            "use f32, or the native backend where it has the network",
        )),
        (Precision::Bf16, _) => {
            Ok(Arc::new(native::NativeBackend::new(network)?.evaluating_in(precision)))
        }
    }
}
