//! The loss as a function of a flat `theta`: the one interface through which planes, surfaces and
//! curvature use a network and its data.

mod asked;
mod batch_norm;
mod functions;
mod masked;
mod moving;
mod quadratic;
mod statistics;
mod var_map;

pub use asked::AskedObjective;
pub use batch_norm::{BatchNormPolicy, PointPolicy};
pub use functions::TestFunction;
pub use masked::{MaskedObjective, TrainModeObjective};
pub use moving::MovingStatistics;
pub use quadratic::Quadratic;
pub use var_map::VarMapObjective;

use std::sync::Arc;

use statistics::Statistics;

use crate::backend::{Backend, difference_hvp, largest, loss};
use crate::dataset::{BatchTargets, Batcher, LabelledImages, NormStats, Targets};
use crate::network::Network;
use crate::parallel;
use crate::rng::Rng;
use crate::{Error, Result};

/// The loss at one point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss over the sample; NaN or infinite where the network overflows.
    pub loss: f64,
    /// Standard error of that mean, sd / sqrt(n): how far the loss on all data may be. 0 for
    /// functions that are exact, NaN for a sample of one.
    pub loss_se: f64,
    /// Right answers: images classified correctly, or positions of sequences.
    pub correct: usize,
    /// Answers given: the images, the positions of all sequences; 0 where nothing is classified.
    pub total: usize,
}

impl Evaluation {
    /// The value of a function that is exact and classifies nothing.
    pub fn exact(loss: f64) -> Self {
        Self { loss, loss_se: 0.0, correct: 0, total: 0 }
    }

    /// Share of right answers, 0..1; NaN where nothing is classified.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total as f64
    }
}

/// A scalar function of P parameters.
pub trait Objective: Sync {
    /// P.
    fn dim(&self) -> usize;

    /// The value at `theta`, (P,).
    fn loss(&self, theta: &[f32]) -> Result<Evaluation>;

    /// The value at `theta` and its gradient, written over `grad`, (P,).
    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64>;

    /// The product of the Hessian at `theta` with `v`, written over `out`, all (P,).
    ///
    /// The default is a central difference of gradients along `v`, with a step of
    /// `1e-3 (1 + ||theta||) / ||v||`: good to about three digits in f32. An objective with an
    /// exact product overrides it.
    fn hvp(&self, theta: &[f32], v: &[f32], out: &mut [f32]) -> Result<()> {
        difference_hvp(theta, v, out, |theta, grad| self.loss_and_grad(theta, grad).map(|_| ()))
    }

    /// The product of the generalised Gauss-Newton matrix J' H_L J at `theta` with `v`, written over `out`,
    /// all (P,): J is the Jacobian of the network's outputs, H_L the Hessian of the loss by them.
    ///
    /// # Errors
    /// [`Error::BadValue`] for an objective that is not known as a loss of outputs.
    fn gauss_newton(&self, _theta: &[f32], _v: &[f32], _out: &mut [f32]) -> Result<()> {
        Err(Error::bad_value(
            "matrix",
            "gauss-newton",
            "but this loss is not known as one of a network's outputs",
            "use the Hessian",
        ))
    }

    /// The same as a mean over samples, where the loss of each of them is known: what differences of points
    /// are paired by.
    fn by_sample(&self) -> Option<&dyn BySample> {
        None
    }
}

/// A loss that is a mean over samples, each of which has its own.
pub trait BySample: Objective {
    /// The value at `theta`, (P,), and the loss of each sample, in an order that is the same at all points.
    ///
    /// # Errors
    /// As [`Objective::loss`].
    fn loss_by_sample(&self, theta: &[f32]) -> Result<(Evaluation, Vec<f64>)>;
}

/// An objective of a network that holds more than its parameters: BatchNorm's running statistics.
pub trait BufferedObjective: Objective + Sized {
    /// The same loss with other buffers: a snapshot's own.
    ///
    /// # Errors
    /// [`Error::BadValue`] for buffers of another length.
    fn with_buffers(&self, buffers: Vec<f32>) -> Result<Self>;
}

impl BufferedObjective for DatasetObjective {
    fn with_buffers(&self, buffers: Vec<f32>) -> Result<Self> {
        DatasetObjective::with_buffers(self, buffers)
    }
}

/// Images that go through a network together while evaluating. Fixed, so that sums are grouped in
/// the same way for any number of threads; a multiple of the native engine's groups.
pub const PIECE: usize = 64;

/// A network's mean loss on a fixed sample, in eval mode with fixed buffers.
pub struct DatasetObjective {
    backend: Arc<dyn Backend>,
    buffers: Vec<f32>,
    sample: Arc<LabelledImages>,
    stats: NormStats,
    max_value: f32,
    statistics: Statistics,
}

impl DatasetObjective {
    /// The loss of `backend`'s network with `buffers` (BatchNorm's running statistics, frozen) on
    /// `sample`, normalised with `stats`; `max_value` is the pixel value that means 1.
    ///
    /// # Errors
    /// [`Error::Data`] for an empty sample, [`Error::BadValue`] where images, buffers or statistics
    /// do not fit the network.
    pub fn new(
        backend: Arc<dyn Backend>,
        buffers: Vec<f32>,
        sample: Arc<LabelledImages>,
        stats: NormStats,
        max_value: f32,
    ) -> Result<Self> {
        let network = backend.network();
        if sample.is_empty() {
            return Err(Error::Data {
                what: "there is no image to evaluate".into(),
                remedy: "ask for at least one sample".into(),
            });
        }
        if sample.shape != network.input {
            return Err(Error::bad_value(
                "dataset",
                format!("{:?} images", sample.shape),
                format!("but {} takes {:?}", network.arch, network.input),
                "use the data set the network was made for",
            ));
        }
        if buffers.len() != network.layout.buffer_dim() {
            return Err(Error::bad_value(
                "buffers",
                buffers.len(),
                format!("but {} has {}", network.arch, network.layout.buffer_dim()),
                "use buffers of the same network",
            ));
        }
        Batcher::new(&sample, max_value, &stats)?;
        check_targets(network, &sample)?;
        let statistics = Statistics::Given;
        Ok(Self { backend, buffers, sample, stats, max_value, statistics })
    }

    /// The same sample and network with other buffers: a snapshot's own. What is done with BatchNorm's
    /// statistics at a point stays.
    pub fn with_buffers(&self, buffers: Vec<f32>) -> Result<Self> {
        let same = Self::new(
            self.backend.clone(),
            buffers,
            self.sample.clone(),
            self.stats.clone(),
            self.max_value,
        )?;
        Ok(Self { statistics: self.statistics.clone(), ..same })
    }

    /// The same sample seen by another network, with its buffers.
    ///
    /// # Errors
    /// As [`DatasetObjective::new`].
    pub fn with_backend(&self, backend: Arc<dyn Backend>, buffers: Vec<f32>) -> Result<Self> {
        Self::new(backend, buffers, self.sample.clone(), self.stats.clone(), self.max_value)
    }

    /// The sample in `groups` groups of equally many images, drawn with `rng`, or of one image each where there
    /// are fewer; what does not go into them is left out.
    ///
    /// # Errors
    /// As [`DatasetObjective::new`].
    pub fn groups(&self, groups: usize, rng: &mut Rng) -> Result<Vec<Self>> {
        let mut images: Vec<usize> = (0..self.samples()).collect();
        rng.shuffle(&mut images);
        let each = (images.len() / groups).max(1);
        let of = |own: &[usize]| {
            let sample = Arc::new(self.sample.select(own));
            Ok(Self { sample, ..self.with_buffers(self.buffers.clone())? })
        };
        images.chunks_exact(each).take(groups).map(of).collect()
    }

    /// Number of images in the sample.
    pub fn samples(&self) -> usize {
        self.sample.len()
    }

    /// Answers for one image that are right or wrong: 1, the positions of a sequence, or 0 for numbers.
    pub fn answers(&self) -> usize {
        self.sample.targets.answers()
    }

    fn batcher(&self) -> Result<Batcher<'_>> {
        Batcher::new(&self.sample, self.max_value, &self.stats)
    }

    /// Refuses derivatives of a loss whose statistics move with theta.
    fn check_given(&self) -> Result<()> {
        if matches!(self.statistics, Statistics::Given) {
            return Ok(());
        }
        Err(Error::bad_value(
            "bn",
            "computed at each point",
            "but derivatives are those with statistics that stand still",
            "use frozen",
        ))
    }

    fn check(&self, theta: &[f32]) {
        assert_eq!(theta.len(), self.dim(), "theta is not this network's");
    }
}

impl Objective for DatasetObjective {
    fn dim(&self) -> usize {
        self.backend.network().layout.dim()
    }

    fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
        self.loss_with(theta, &|_| ())
    }

    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        self.check(theta);
        self.check_given()?;
        self.mean_over_pieces(grad, |images, targets, grad| {
            let found = self.backend.eval_gradient(theta, &self.buffers, images, targets, grad)?;
            Ok(found.loss)
        })
    }

    /// Exact where the backend has tangents ([`Backend::eval_hvp`]).
    fn hvp(&self, theta: &[f32], v: &[f32], out: &mut [f32]) -> Result<()> {
        self.check(theta);
        self.check(v);
        self.check_given()?;
        let product = |images: &[f32], targets: BatchTargets<'_>, out: &mut [f32]| {
            self.backend.eval_hvp(theta, &self.buffers, images, targets, v, out)?;
            Ok(0.0)
        };
        self.mean_over_pieces(out, product).map(|_| ())
    }

    fn gauss_newton(&self, theta: &[f32], v: &[f32], out: &mut [f32]) -> Result<()> {
        self.check(theta);
        self.check(v);
        self.check_given()?;
        let product = |images: &[f32], targets: BatchTargets<'_>, out: &mut [f32]| {
            let backend = &self.backend;
            backend.eval_gauss_newton(theta, &self.buffers, images, targets, v, out)?;
            Ok(0.0)
        };
        self.mean_over_pieces(out, product).map(|_| ())
    }

    fn by_sample(&self) -> Option<&dyn BySample> {
        Some(self)
    }
}

impl BySample for DatasetObjective {
    fn loss_by_sample(&self, theta: &[f32]) -> Result<(Evaluation, Vec<f64>)> {
        let pieces = self.pieces(theta, &self.buffers, &|_| (), |outputs, targets, indices| {
            let (mut sums, mut losses) = (Sums::default(), Vec::with_capacity(indices.len()));
            for (k, z) in outputs.enumerate() {
                let target = targets.example(k, indices.len());
                let found = loss(z, target);
                sums.add(found, target.answers());
                losses.push(found.0);
            }
            (sums, losses)
        })?;
        let (sums, losses): (Vec<Sums>, Vec<Vec<f64>>) = pieces.into_iter().unzip();
        Ok((Sums::total(&sums), losses.concat()))
    }
}

impl DatasetObjective {
    /// The mean over the sample, in pieces, of a number and of a vector that `f` finds for images
    /// and their targets; the vector is written over `out`.
    fn mean_over_pieces(
        &self,
        out: &mut [f32],
        f: impl Fn(&[f32], BatchTargets<'_>, &mut [f32]) -> Result<f64>,
    ) -> Result<f64> {
        let batcher = self.batcher()?;
        let total = self.sample.len();
        let (mut sum, mut sums) = (0.0, vec![0f64; out.len()]);
        let size = self.backend.preferred_images();
        for start in (0..total).step_by(size) {
            let indices: Vec<usize> = (start..(start + size).min(total)).collect();
            let n = indices.len();
            let (images, targets) = batcher.batch(&indices, None);
            let found = f(&images, targets.view(), out)?;
            let share = n as f64 / total as f64;
            sum += share * found;
            sums.iter_mut().zip(&*out).for_each(|(s, o)| *s += share * f64::from(*o));
        }
        out.iter_mut().zip(sums).for_each(|(o, s)| *o = s as f32);
        Ok(sum)
    }

    /// As [`Objective::loss`]; calls `progress` with the number of images of each finished piece,
    /// from any thread.
    pub fn loss_with(
        &self,
        theta: &[f32],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Evaluation> {
        self.loss_at(theta, &self.buffers, progress)
    }

    /// [`DatasetObjective::loss_with`] with other buffers than the objective's.
    fn loss_at(
        &self,
        theta: &[f32],
        buffers: &[f32],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Evaluation> {
        let pieces = self.pieces(theta, buffers, progress, |outputs, targets, indices| {
            let mut sums = Sums::default();
            for (k, z) in outputs.enumerate() {
                let target = targets.example(k, indices.len());
                sums.add(loss(z, target), target.answers());
            }
            sums
        })?;
        Ok(Sums::total(&pieces))
    }

    /// What `f` makes of the outputs of each piece of the sample, image by image, of their targets and of
    /// their indices in the sample, in the pieces' order.
    fn pieces<T: Send>(
        &self,
        theta: &[f32],
        buffers: &[f32],
        progress: &(dyn Fn(usize) + Sync),
        f: impl Fn(&mut dyn Iterator<Item = &[f32]>, BatchTargets<'_>, &[usize]) -> T + Sync,
    ) -> Result<Vec<T>> {
        self.check(theta);
        let batcher = self.batcher()?;
        let anew = self.buffers_at(theta, buffers)?;
        let buffers = anew.as_deref().unwrap_or(buffers);
        let point = self.backend.at(theta, buffers)?;
        let outputs = self.backend.network().outputs();
        let total = self.sample.len();
        let starts: Vec<usize> = (0..total).step_by(PIECE).collect();
        parallel::map(&starts, |&start| {
            let indices: Vec<usize> = (start..(start + PIECE).min(total)).collect();
            let (images, targets) = batcher.batch(&indices, None);
            let own = self.buffers_of(theta, buffers, &images, &targets)?;
            let logits = match own {
                Some(own) => self.backend.at(theta, &own)?.logits(&images)?,
                None => point.logits(&images)?,
            };
            let found = f(&mut logits.chunks_exact(outputs), targets.view(), &indices);
            progress(indices.len());
            Ok(found)
        })
    }
}

/// Refuses targets that are not those of a network's outputs.
///
/// # Errors
/// [`Error::BadValue`] with what the network puts out and what the data have.
pub(crate) fn check_targets(network: &Network, sample: &LabelledImages) -> Result<()> {
    let fits = match &sample.targets {
        Targets::Labels | Targets::OneHot => network.positions() == 1,
        Targets::Values { outputs, .. } => *outputs == network.outputs(),
        Targets::Sequences { positions, .. } => *positions == network.positions(),
    };
    if fits {
        return Ok(());
    }
    let wanted = match &sample.targets {
        Targets::Labels | Targets::OneHot => "one class an image".to_string(),
        Targets::Values { outputs, .. } => format!("{outputs} numbers an example"),
        Targets::Sequences { positions, .. } => {
            format!("a class for each of {positions} positions")
        }
    };
    Err(Error::bad_value(
        "model.arch",
        &network.arch,
        format!(
            "which puts out {}, but the data have {wanted}",
            match network.positions() {
                1 => format!("{} numbers", network.classes),
                n => format!("{} numbers for each of {n} positions", network.classes),
            }
        ),
        "use `gpt` for texts and any other network for images and tables",
    ))
}

/// What a network makes of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The image's class.
    pub label: u8,
    /// The class with the largest logit, the first of equals; none where a logit is NaN.
    pub predicted: Option<u8>,
    /// The loss of this image: cross-entropy in nats, or the squared error to its class.
    pub loss: f64,
}

impl Prediction {
    /// Whether the answer is right.
    pub fn is_right(&self) -> bool {
        self.predicted == Some(self.label)
    }
}

impl DatasetObjective {
    /// The network's outputs for each image of the sample, (n, outputs), in its order; calls `progress` as
    /// [`DatasetObjective::loss_with`].
    ///
    /// # Errors
    /// Those of the backend.
    pub fn outputs(&self, theta: &[f32], progress: &(dyn Fn(usize) + Sync)) -> Result<Vec<f32>> {
        let pieces = self.pieces(theta, &self.buffers, progress, |outputs, _, _| {
            outputs.flatten().copied().collect::<Vec<f32>>()
        })?;
        Ok(pieces.concat())
    }

    /// The loss of each image of the sample, (n,), in its order.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn losses(&self, theta: &[f32]) -> Result<Vec<f64>> {
        let pieces = self.pieces(theta, &self.buffers, &|_| (), |outputs, targets, indices| {
            let of = |(k, z): (usize, &[f32])| loss(z, targets.example(k, indices.len())).0;
            outputs.enumerate().map(of).collect::<Vec<f64>>()
        })?;
        Ok(pieces.concat())
    }

    /// Of each image of the sample, in its order, the loss and the share of its answers that are right; NaN
    /// where nothing is classified.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn losses_and_accuracies(&self, theta: &[f32]) -> Result<Vec<[f64; 2]>> {
        let pieces = self.pieces(theta, &self.buffers, &|_| (), |outputs, targets, indices| {
            let of = |(k, z): (usize, &[f32])| {
                let target = targets.example(k, indices.len());
                let (loss, correct) = loss(z, target);
                [loss, correct as f64 / target.answers() as f64]
            };
            outputs.enumerate().map(of).collect::<Vec<[f64; 2]>>()
        })?;
        Ok(pieces.concat())
    }

    /// The numbers that are to be predicted for the sample, (n, outputs), in its order; none where the
    /// targets are classes.
    pub fn values(&self) -> Option<&[f32]> {
        match &self.sample.targets {
            Targets::Values { values, .. } => Some(values),
            _ => None,
        }
    }

    /// The network's answer for each image of the sample, in its order; calls `progress` as
    /// [`DatasetObjective::loss_with`].
    ///
    /// # Errors
    /// [`Error::BadValue`] where images have no classes; those of the backend.
    pub fn predictions(
        &self,
        theta: &[f32],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Prediction>> {
        if !self.sample.targets.are_labels() {
            return Err(Error::bad_value(
                "data.set",
                "images without classes",
                "but a prediction of each image's class is asked for",
                "use a set whose images have one class each",
            ));
        }
        let pieces = self.pieces(theta, &self.buffers, progress, |outputs, targets, indices| {
            let answer = |(k, z): (usize, &[f32])| Prediction {
                label: self.sample.labels[indices[k]],
                predicted: largest(z).map(|class| class as u8),
                loss: loss(z, targets.example(k, indices.len())).0,
            };
            outputs.enumerate().map(answer).collect::<Vec<Prediction>>()
        })?;
        Ok(pieces.concat())
    }
}

/// Sums over one piece of the sample.
#[derive(Default, Clone, Copy)]
struct Sums {
    n: usize,
    answers: usize,
    correct: usize,
    loss: f64,
    loss_sq: f64,
}

impl Sums {
    /// Adds an image's loss, its right answers and how many it has.
    fn add(&mut self, (loss, correct): (f64, usize), answers: usize) {
        self.n += 1;
        self.answers += answers;
        self.correct += correct;
        self.loss += loss;
        self.loss_sq += loss * loss;
    }

    /// The pieces in their order, so the rounding is always the same.
    fn total(pieces: &[Sums]) -> Evaluation {
        let mut all = Sums::default();
        for piece in pieces {
            all.n += piece.n;
            all.answers += piece.answers;
            all.correct += piece.correct;
            all.loss += piece.loss;
            all.loss_sq += piece.loss_sq;
        }
        let n = all.n as f64;
        let mean = all.loss / n;
        // Unbiased variance; rounding can take a tiny one below zero.
        let variance = ((all.loss_sq - n * mean * mean) / (n - 1.0)).max(0.0);
        // f64::max drops a NaN: a NaN mean has no error either.
        let loss_se = if mean.is_finite() && all.n > 1 { (variance / n).sqrt() } else { f64::NAN };
        Evaluation { loss: mean, loss_se, correct: all.correct, total: all.answers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_hvp_finds_a_known_hessian() {
        struct Hidden(Quadratic);
        impl Objective for Hidden {
            fn dim(&self) -> usize {
                self.0.dim()
            }
            fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
                self.0.loss(theta)
            }
            fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
                self.0.loss_and_grad(theta, grad)
            }
        }
        let quadratic = Quadratic { curvature: vec![3.0, -1.0, 0.5], centre: vec![1.0, 2.0, 3.0] };
        let (theta, v) = ([0.3, 0.2, -0.4], [1.0, -2.0, 0.5]);
        let (mut exact, mut numeric) = ([0.0; 3], [0.0; 3]);
        quadratic.hvp(&theta, &v, &mut exact).unwrap();
        Hidden(quadratic).hvp(&theta, &v, &mut numeric).unwrap();
        for (e, n) in exact.iter().zip(numeric) {
            // f32 gradients of order 1 over a step of 1e-3.
            assert!((e - n).abs() < 1e-3, "{e} {n}");
        }
    }

    #[test]
    fn the_standard_error_is_that_of_the_mean_and_nan_stays_nan() {
        let mut sums = Sums::default();
        for loss in [1.0, 2.0, 3.0, 6.0] {
            sums.add((loss, usize::from(loss < 2.5)), 1);
        }
        let all = Sums::total(&[sums]);
        assert_eq!((all.loss, all.correct, all.total), (3.0, 2, 4));
        assert!((all.loss_se - (14.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        sums.add((f64::NAN, 0), 1);
        let all = Sums::total(&[sums]);
        assert!(all.loss.is_nan() && all.loss_se.is_nan());
    }
}
