//! The native backend: the fast CPU engine.
//!
//! `graph` turns a network into few large units, `plan` into steps cut into phases, `pass`
//! executes a training step of them; `tangent` carries tangents through it for Hessian-vector
//! products; `point` compiles one point of parameter space for evaluation. The `kernels` work
//! on padded NHWC feature maps (`shape`) with the vectors of `simd`.

mod caches;
pub mod candle_op;
#[doc(hidden)]
pub mod conv_bench;
mod conv_unit;
mod graph;
mod kernels;
mod layers;
mod nchw;
mod number;
mod pass;
pub mod peak;
mod plan;
mod point;
mod rows;
mod shape;
mod simd;
mod tangent;
#[cfg(test)]
mod tests;

pub use caches::Caches;
pub use simd::Level;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use self::graph::{Graph, Purpose};
use self::kernels::Algorithm;
use self::number::Numbers;
use self::pass::{Batch, LossTarget, Mode, Pass, Task};
use self::plan::LossFrom;
use self::tangent::{Sample, Second, Tangents};
use super::{
    Backend, BackendName, PassTimes, Point, Precision, TrainLoss, TrainPass, difference_hvp,
};
use crate::dataset::BatchTargets;
use crate::network::Network;
use crate::{Error, Result, parallel};

/// Executes one network with the engine's own kernels.
#[derive(Debug)]
pub struct NativeBackend {
    network: Arc<Network>,
    level: Level,
    caches: Caches,
    precision: Precision,
    /// Memory of training passes, for reuse.
    passes: Mutex<Vec<Pass>>,
    /// Memory of Hessian-vector products, likewise.
    tangents: Mutex<Vec<Tangents>>,
    evaluation: Arc<point::Compiled>,
}

/// The first operation of `network` that the engine has no kernel for; the candle backend runs such
/// a network.
pub fn unsupported(network: &Network) -> Option<&'static str> {
    graph::unsupported(network)
}

/// Whether evaluation in bf16 is faster than in f32 here: whether the processor multiplies bf16
/// numbers, and `LOSSREEL_SIMD` does not forbid it.
pub fn multiplies_bf16() -> bool {
    Numbers::bf16(Level::detect()) == Numbers::Pairs
}

/// Whether the engine can execute `network` with the instructions of `level`.
fn check(network: &Network, level: Level) -> Result<()> {
    if let Some(op) = unsupported(network) {
        return Err(Error::bad_value(
            "backend",
            "native",
            format!("has no {op}, which {} needs", network.arch),
            "use candle",
        ));
    }
    if !level.available() {
        return Err(Error::bad_value(
            "LOSSREEL_SIMD",
            level,
            "this processor has no such instructions",
            "leave the variable unset",
        ));
    }
    Ok(())
}

impl NativeBackend {
    /// A backend for `network` with the best instructions this processor has.
    ///
    /// # Errors
    /// [`Error::BadValue`] for a network with an operation that the engine lacks.
    pub fn new(network: Arc<Network>) -> Result<Self> {
        Self::at_level(network, Level::detect())
    }

    /// The same with the instructions of `level`.
    ///
    /// # Errors
    /// As [`NativeBackend::new`], and for a level that this processor lacks.
    pub fn at_level(network: Arc<Network>, level: Level) -> Result<Self> {
        check(&network, level)?;
        Ok(Self::planned(network, (level, Caches::detect()), Precision::F32))
    }

    /// A backend whose plans are made for these instructions, which the processor has, and caches.
    fn planned(
        network: Arc<Network>,
        (level, caches): (Level, Caches),
        precision: Precision,
    ) -> Self {
        let evaluation = Arc::new(point::Compiled::new((level, caches), precision, &network));
        let (passes, tangents) = Default::default();
        Self { network, level, caches, precision, passes, tangents, evaluation }
    }

    /// The same backend with points that multiply in `precision`.
    #[must_use]
    pub fn evaluating_in(self, precision: Precision) -> Self {
        Self::planned(self.network, (self.level, self.caches), precision)
    }

    fn pass(&self, task: Task, buffers: &mut [f32], grad: &mut [f32]) -> TrainLoss {
        let mut pass = self.idle_pass();
        let found = pass.run(task, buffers, grad);
        self.passes.lock().unwrap_or_else(|e| e.into_inner()).push(pass);
        found
    }

    /// A pass for as many workers as there are threads, with its memory where one has run before.
    fn idle_pass(&self) -> Pass {
        let workers = parallel::threads();
        let idle = self.passes.lock().unwrap_or_else(|e| e.into_inner()).pop();
        idle.filter(|p| p.workers() == workers).unwrap_or_else(|| {
            let on = (self.level, self.caches);
            Pass::new(on, &self.network, LossFrom::Engine, workers)
        })
    }

    /// The product of a matrix of second derivatives with a vector.
    fn product(&self, points: [&[f32]; 2], buffers: &[f32], sample: Sample<'_>, out: &mut [f32]) {
        let workers = parallel::threads();
        let idle = self.tangents.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let mut tangents = idle.filter(|t| t.workers() == workers).unwrap_or_else(|| {
            Tangents::new(
                (self.level, self.caches),
                Graph::new(&self.network, Purpose::Eval),
                workers,
            )
        });
        tangents.run(&self.network, points, buffers, sample, out);
        self.tangents.lock().unwrap_or_else(|e| e.into_inner()).push(tangents);
    }
}

impl Backend for NativeBackend {
    fn name(&self) -> BackendName {
        BackendName::Native
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn train_pass(&self, pass: TrainPass<'_>, grad: &mut [f32]) -> Result<TrainLoss> {
        let TrainPass { theta, buffers, images, targets, label_smoothing, streams, step } = pass;
        let batch = Batch { images, target: LossTarget::Of { targets, label_smoothing } };
        let mode = Mode::Train { streams, step };
        Ok(self.pass(Task { network: &self.network, theta, batch, mode }, buffers, grad))
    }

    fn time_layers(
        &self,
        pass: TrainPass<'_>,
        grad: &mut [f32],
        seconds: f64,
    ) -> Result<Option<PassTimes>> {
        let TrainPass { theta, buffers, images, targets, label_smoothing, streams, step } = pass;
        let batch = Batch { images, target: LossTarget::Of { targets, label_smoothing } };
        let mode = Mode::Train { streams, step };
        let task = Task { network: &self.network, theta, batch, mode };
        let mut pass = self.idle_pass();
        // Once for the memory's sake.
        pass.run(task, buffers, grad);
        pass.time_steps(true);
        let (started, mut passes) = (Instant::now(), 0);
        while passes == 0 || started.elapsed().as_secs_f64() < seconds {
            pass.run(task, buffers, grad);
            passes += 1;
        }
        let wall = started.elapsed().as_secs_f64();
        let images = passes * images.len() / self.network.input.iter().product::<usize>();
        let times = pass.times(&self.network, images, wall);
        pass.time_steps(false);
        self.passes.lock().unwrap_or_else(|e| e.into_inner()).push(pass);
        Ok(Some(times))
    }

    fn eval_gradient(
        &self,
        theta: &[f32],
        buffers: &[f32],
        images: &[f32],
        targets: BatchTargets<'_>,
        grad: &mut [f32],
    ) -> Result<TrainLoss> {
        let batch = Batch { images, target: LossTarget::Of { targets, label_smoothing: 0.0 } };
        let task = Task { network: &self.network, theta, batch, mode: Mode::Eval };
        Ok(self.pass(task, &mut buffers.to_vec(), grad))
    }

    fn eval_hvp(
        &self,
        theta: &[f32],
        buffers: &[f32],
        images: &[f32],
        targets: BatchTargets<'_>,
        v: &[f32],
        out: &mut [f32],
    ) -> Result<()> {
        if tangent::unsupported(&self.network) {
            return difference_hvp(theta, v, out, |theta, grad| {
                self.eval_gradient(theta, buffers, images, targets, grad).map(|_| ())
            });
        }
        let sample = Sample { images, targets, matrix: Second::Hessian };
        self.product([theta, v], buffers, sample, out);
        Ok(())
    }

    fn eval_gauss_newton(
        &self,
        theta: &[f32],
        buffers: &[f32],
        images: &[f32],
        targets: BatchTargets<'_>,
        v: &[f32],
        out: &mut [f32],
    ) -> Result<()> {
        if tangent::unsupported(&self.network) {
            return Err(Error::bad_value(
                "matrix",
                "gauss-newton",
                format!("but the engine has no tangents for layers of {}", self.network.arch),
                "use the Hessian",
            ));
        }
        let sample = Sample { images, targets, matrix: Second::GaussNewton };
        self.product([theta, v], buffers, sample, out);
        Ok(())
    }

    fn eval_kernels(&self) -> Vec<(String, usize)> {
        self.evaluation.kernels()
    }

    fn plan(&self) -> String {
        let algorithm = match Algorithm::from_env() {
            Algorithm::Direct => ", direct convolutions",
            Algorithm::Fastest => "",
        };
        format!("{}{algorithm}, {}", self.level, self.caches)
    }

    fn preferred_images(&self) -> usize {
        256
    }

    fn at(&self, theta: &[f32], buffers: &[f32]) -> Result<Box<dyn Point>> {
        Ok(Box::new(point::NativePoint::new(
            self.evaluation.clone(),
            &self.network,
            theta,
            buffers,
        )))
    }
}
