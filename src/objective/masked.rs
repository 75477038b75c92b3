//! The loss as training sees it: with dropout's masks, one fixed draw of them.

use super::{BatchNormPolicy, BufferedObjective, DatasetObjective, Evaluation, Objective, PIECE};
use crate::Result;
use crate::backend::TrainPass;
use crate::network::Op;
use crate::rng::Streams;

/// A network's mean cross-entropy on a fixed sample in train mode, with one draw of dropout masks
/// (one for each image and unit) that stays the same wherever it is evaluated, so that the loss is
/// a function of theta like any other.
///
/// Train mode also means that BatchNorm, where the network has it, uses the statistics of the
/// images that go through together; [`MaskedObjective::batch_norm`] states it. Evaluation goes
/// through the backend's training pass, whose gradient is thrown away: three times the work of an
/// eval pass, and exactly what training computes.
pub struct MaskedObjective<'a> {
    of: &'a DatasetObjective,
    streams: Streams,
    draw: u64,
}

impl DatasetObjective {
    /// The same sample and network in train mode, with the `draw`-th dropout masks of `streams`.
    pub fn masked(&self, streams: Streams, draw: u64) -> MaskedObjective<'_> {
        MaskedObjective { of: self, streams, draw }
    }
}

impl MaskedObjective<'_> {
    /// What BatchNorm does, for a surface's header.
    pub fn batch_norm(&self) -> BatchNormPolicy {
        let network = self.of.backend.network();
        if network.nodes.iter().any(|n| matches!(n.op, Op::BatchNorm { .. })) {
            BatchNormPolicy::Batch { images: PIECE }
        } else {
            BatchNormPolicy::None
        }
    }

    /// The mean loss and the gradient, written over `grad`.
    fn pass(&self, theta: &[f32], grad: &mut [f32]) -> Result<Evaluation> {
        let DatasetObjective { backend, buffers, sample, .. } = self.of;
        let batcher = self.of.batcher()?;
        let total = sample.len();
        let pieces = total.div_ceil(PIECE) as u64;
        let (mut losses, mut sum, mut correct) = (Vec::new(), 0.0, 0);
        let mut mean_grad = vec![0f64; grad.len()];
        for (piece, start) in (0..total).step_by(PIECE).enumerate() {
            let indices: Vec<usize> = (start..(start + PIECE).min(total)).collect();
            let n = indices.len();
            let (images, targets) = batcher.batch(&indices, None);
            let found = backend.train_pass(
                TrainPass {
                    theta,
                    buffers: &mut buffers.clone(),
                    images: &images,
                    targets: targets.view(),
                    label_smoothing: 0.0,
                    streams: &self.streams,
                    step: self.draw * pieces + piece as u64,
                },
                grad,
            )?;
            let share = n as f64 / total as f64;
            sum += share * found.loss;
            correct += found.correct;
            losses.push(found.loss);
            mean_grad.iter_mut().zip(&*grad).for_each(|(m, g)| *m += share * f64::from(*g));
        }
        grad.iter_mut().zip(mean_grad).for_each(|(g, m)| *g = m as f32);
        Ok(Evaluation { loss: sum, loss_se: error_of(&losses), correct, total })
    }
}

/// [`MaskedObjective`] that owns its sample: the loss in train mode as a function like any other.
pub struct TrainModeObjective {
    of: DatasetObjective,
    streams: Streams,
}

impl TrainModeObjective {
    /// The loss of `of` in train mode, with the first draw of dropout masks of `streams`.
    pub fn new(of: DatasetObjective, streams: Streams) -> Self {
        Self { of, streams }
    }

    fn masked(&self) -> MaskedObjective<'_> {
        self.of.masked(self.streams, 0)
    }

    /// What BatchNorm does.
    pub fn batch_norm(&self) -> BatchNormPolicy {
        self.masked().batch_norm()
    }
}

/// Products with the Hessian are differences of gradients, as [`Objective::hvp`]'s default.
impl Objective for TrainModeObjective {
    fn dim(&self) -> usize {
        self.of.dim()
    }

    fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
        self.masked().loss(theta)
    }

    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        self.masked().loss_and_grad(theta, grad)
    }
}

impl BufferedObjective for TrainModeObjective {
    fn with_buffers(&self, buffers: Vec<f32>) -> Result<Self> {
        Ok(Self { of: self.of.with_buffers(buffers)?, streams: self.streams })
    }
}

/// The standard error of the mean of `losses`, those of pieces of images; NaN for one.
fn error_of(losses: &[f64]) -> f64 {
    let n = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / n;
    let variance = losses.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (variance / n).sqrt()
}

impl Objective for MaskedObjective<'_> {
    fn dim(&self) -> usize {
        self.of.dim()
    }

    fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
        self.of.check(theta);
        self.pass(theta, &mut vec![0.0; theta.len()])
    }

    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        self.of.check(theta);
        Ok(self.pass(theta, grad)?.loss)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::{BackendName, backend};
    use crate::dataset::{DataSet, LoadOptions, NormChoice, NormStats, load};
    use crate::models::{ModelSpec, Norm};

    fn objective(dropout: f64) -> (DatasetObjective, Vec<f32>) {
        let data = load(DataSet::Digits, &LoadOptions::default()).unwrap();
        let model = ModelSpec { dropout, norm: Norm::None, ..ModelSpec::of("mlp") };
        let network = model.build(data.shape(), data.classes).unwrap();
        let theta = network.init_theta(&Streams::new(1));
        let sample = data.train.select(&(0..120).collect::<Vec<_>>());
        let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
        let buffers = network.init_buffers();
        let engine = backend(BackendName::Candle, Arc::new(network)).unwrap();
        let objective =
            DatasetObjective::new(engine, buffers, Arc::new(sample), stats, data.max_value);
        (objective.unwrap(), theta)
    }

    #[test]
    fn one_draw_is_one_function_and_another_draw_is_another() {
        let (objective, theta) = objective(0.5);
        let loss = |draw| objective.masked(Streams::new(3), draw).loss(&theta).unwrap();
        assert_eq!(loss(0), loss(0));
        assert!((0..6).all(|draw| loss(draw).loss != loss(draw + 1).loss));
        assert_eq!(loss(0).total, 120);
        assert!(loss(0).loss_se > 0.0);
    }

    #[test]
    fn without_dropout_every_draw_is_the_plain_loss() {
        let (objective, theta) = objective(0.0);
        let masked = objective.masked(Streams::new(3), 7);
        let (a, b) = (masked.loss(&theta).unwrap(), objective.loss(&theta).unwrap());
        // f32 logits by another route (BatchNorm is absent, sums are cut alike).
        assert!((a.loss - b.loss).abs() < 1e-6 * b.loss, "{} {}", a.loss, b.loss);
        assert_eq!((a.correct, masked.batch_norm()), (b.correct, BatchNormPolicy::None));
        let (mut one, mut two) = (vec![0.0; theta.len()], vec![0.0; theta.len()]);
        masked.loss_and_grad(&theta, &mut one).unwrap();
        objective.loss_and_grad(&theta, &mut two).unwrap();
        assert!(one.iter().zip(&two).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}
