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

use crate::backend::{Backend, cross_entropy, difference_hvp};
use crate::dataset::{Batcher, LabelledImages, NormStats};
use crate::parallel;
use crate::{Error, Result};

/// The loss at one point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean loss over the sample; NaN or infinite where the network overflows.
    pub loss: f64,
    /// Standard error of that mean, sd / sqrt(n): how far the loss on all data may be. 0 for
    /// functions that are exact, NaN for a sample of one.
    pub loss_se: f64,
    /// Images classified correctly.
    pub correct: usize,
    /// Images evaluated; 0 for functions that classify nothing.
    pub total: usize,
}

impl Evaluation {
    /// The value of a function that is exact and classifies nothing.
    pub fn exact(loss: f64) -> Self {
        Self { loss, loss_se: 0.0, correct: 0, total: 0 }
    }

    /// Share of correctly classified images, 0..1; NaN where nothing is classified.
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
const PIECE: usize = 64;

/// A network's mean cross-entropy on a fixed sample, in eval mode with fixed buffers.
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

    /// Number of images in the sample.
    pub fn samples(&self) -> usize {
        self.sample.len()
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
        self.mean_over_pieces(grad, |images, labels, grad| {
            let found = self.backend.eval_gradient(theta, &self.buffers, images, labels, grad)?;
            Ok(found.loss)
        })
    }

    /// Exact where the backend has tangents ([`Backend::eval_hvp`]).
    fn hvp(&self, theta: &[f32], v: &[f32], out: &mut [f32]) -> Result<()> {
        self.check(theta);
        self.check(v);
        self.check_given()?;
        let product = |images: &[f32], labels: &[u8], out: &mut [f32]| {
            self.backend.eval_hvp(theta, &self.buffers, images, labels, v, out)?;
            Ok(0.0)
        };
        self.mean_over_pieces(out, product).map(|_| ())
    }

    fn gauss_newton(&self, theta: &[f32], v: &[f32], out: &mut [f32]) -> Result<()> {
        self.check(theta);
        self.check(v);
        self.check_given()?;
        let product = |images: &[f32], labels: &[u8], out: &mut [f32]| {
            let backend = &self.backend;
            backend.eval_gauss_newton(theta, &self.buffers, images, labels, v, out)?;
            Ok(0.0)
        };
        self.mean_over_pieces(out, product).map(|_| ())
    }
}

impl DatasetObjective {
    /// The mean over the sample, in pieces, of a number and of a vector that `f` finds for images
    /// and labels; the vector is written over `out`.
    fn mean_over_pieces(
        &self,
        out: &mut [f32],
        f: impl Fn(&[f32], &[u8], &mut [f32]) -> Result<f64>,
    ) -> Result<f64> {
        let batcher = self.batcher()?;
        let (image, total) = (self.sample.image_len(), self.sample.len());
        let (mut sum, mut sums) = (0.0, vec![0f64; out.len()]);
        let size = self.backend.preferred_images();
        for start in (0..total).step_by(size) {
            let indices: Vec<usize> = (start..(start + size).min(total)).collect();
            let n = indices.len();
            let (mut images, mut labels) = (vec![0.0; n * image], vec![0; n]);
            batcher.fill(&indices, None, &mut images, &mut labels);
            let found = f(&images, &labels, out)?;
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
        let pieces = self.pieces(theta, buffers, progress, |logits| {
            let mut sums = Sums::default();
            for (z, label) in logits {
                sums.add(cross_entropy(z, label));
            }
            sums
        })?;
        Ok(Sums::total(&pieces))
    }

    /// What `f` makes of the logits of each piece of the sample, with their labels, in the pieces' order.
    fn pieces<T: Send>(
        &self,
        theta: &[f32],
        buffers: &[f32],
        progress: &(dyn Fn(usize) + Sync),
        f: impl Fn(&mut dyn Iterator<Item = (&[f32], u8)>) -> T + Sync,
    ) -> Result<Vec<T>> {
        self.check(theta);
        let batcher = self.batcher()?;
        let anew = self.buffers_at(theta, buffers)?;
        let buffers = anew.as_deref().unwrap_or(buffers);
        let point = self.backend.at(theta, buffers)?;
        let classes = self.backend.network().classes;
        let (image, total) = (self.sample.image_len(), self.sample.len());
        let starts: Vec<usize> = (0..total).step_by(PIECE).collect();
        parallel::map(&starts, |&start| {
            let indices: Vec<usize> = (start..(start + PIECE).min(total)).collect();
            let n = indices.len();
            let (mut images, mut labels) = (vec![0.0; n * image], vec![0; n]);
            batcher.fill(&indices, None, &mut images, &mut labels);
            let own = self.buffers_of(theta, buffers, &images, &labels)?;
            let logits = match own {
                Some(own) => self.backend.at(theta, &own)?.logits(&images)?,
                None => point.logits(&images)?,
            };
            let found = f(&mut logits.chunks_exact(classes).zip(labels));
            progress(n);
            Ok(found)
        })
    }
}

/// What a network makes of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The image's class.
    pub label: u8,
    /// The class with the largest logit, the first of equals; none where a logit is NaN.
    pub predicted: Option<u8>,
    /// Cross-entropy in nats.
    pub loss: f64,
}

impl Prediction {
    /// Whether the answer is right.
    pub fn is_right(&self) -> bool {
        self.predicted == Some(self.label)
    }
}

impl DatasetObjective {
    /// The network's answer for each image of the sample, in its order; calls `progress` as
    /// [`DatasetObjective::loss_with`].
    pub fn predictions(
        &self,
        theta: &[f32],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Prediction>> {
        let pieces = self.pieces(theta, &self.buffers, progress, |logits| {
            let answer = |(z, label): (&[f32], u8)| {
                let best = (0..z.len()).reduce(|best, j| if z[j] > z[best] { j } else { best });
                let predicted = best.filter(|_| !z.iter().any(|v| v.is_nan())).map(|j| j as u8);
                Prediction { label, predicted, loss: cross_entropy(z, label).0 }
            };
            logits.map(answer).collect::<Vec<Prediction>>()
        })?;
        Ok(pieces.concat())
    }
}

/// Sums over one piece of the sample.
#[derive(Default, Clone, Copy)]
struct Sums {
    n: usize,
    correct: usize,
    loss: f64,
    loss_sq: f64,
}

impl Sums {
    fn add(&mut self, (loss, right): (f64, bool)) {
        self.n += 1;
        self.correct += usize::from(right);
        self.loss += loss;
        self.loss_sq += loss * loss;
    }

    /// The pieces in their order, so the rounding is always the same.
    fn total(pieces: &[Sums]) -> Evaluation {
        let mut all = Sums::default();
        for piece in pieces {
            all.n += piece.n;
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
        Evaluation { loss: mean, loss_se, correct: all.correct, total: all.n }
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
            sums.add((loss, loss < 2.5));
        }
        let all = Sums::total(&[sums]);
        assert_eq!((all.loss, all.correct, all.total), (3.0, 2, 4));
        assert!((all.loss_se - (14.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        sums.add((f64::NAN, false));
        let all = Sums::total(&[sums]);
        assert!(all.loss.is_nan() && all.loss_se.is_nan());
    }
}
