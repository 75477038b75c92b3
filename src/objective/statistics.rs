//! BatchNorm's statistics at points that no training has been at.
//!
//! On a plane or a line through parameter space the running statistics of one network are not those of the
//! others. They can be left as they are (the paper's way), computed anew at each point from a fixed sample of
//! images, as PyTorch's `update_bn` does (for networks with BatchNorm this is also what REPAIR asks for between
//! aligned networks: Jordan et al. 2023), or be those of the images that go through together, as in training.

use std::sync::Arc;

use super::{BatchNormPolicy, DatasetObjective, PIECE};
use crate::backend::TrainPass;
use crate::dataset::{Batcher, LabelledImages, TargetBuffer};
use crate::network::Op;
use crate::rng::Streams;
use crate::{Error, Result};

/// Images of a batch that recalibration takes statistics of.
const BATCH: usize = 100;

/// Which statistics an objective evaluates with.
#[derive(Clone)]
pub(super) enum Statistics {
    /// Its buffers.
    Given,
    /// New ones at each point, of these images.
    Recalibrated(Arc<LabelledImages>),
    /// Of each piece of the sample its own.
    Batch,
}

impl DatasetObjective {
    /// The same loss with BatchNorm's statistics computed anew at each point: means over batches of 100 images
    /// of `calibration` in train mode. Other buffers stay.
    ///
    /// # Errors
    /// [`Error::Data`] for no images; those of images that do not fit the network.
    pub fn recalibrated(mut self, calibration: Arc<LabelledImages>) -> Result<Self> {
        if calibration.is_empty() {
            return Err(Error::Data {
                what: "there is no image to take BatchNorm's statistics of".into(),
                remedy: "ask for at least one".into(),
            });
        }
        Batcher::new(&calibration, self.max_value, &self.stats)?;
        self.statistics = Statistics::Recalibrated(calibration);
        Ok(self)
    }

    /// The same loss with the statistics of the images that go through together, 64 at a time.
    #[must_use]
    pub fn of_batches(mut self) -> Self {
        self.statistics = Statistics::Batch;
        self
    }

    /// Whether the network has BatchNorm.
    pub fn has_batch_norm(&self) -> bool {
        self.backend.network().nodes.iter().any(|n| matches!(n.op, Op::BatchNorm { .. }))
    }

    /// What it does with BatchNorm, where that is not its buffers.
    pub fn point_statistics(&self) -> Option<BatchNormPolicy> {
        match &self.statistics {
            Statistics::Given => None,
            Statistics::Recalibrated(images) => {
                Some(BatchNormPolicy::Recalibrated { images: images.len() })
            }
            Statistics::Batch => Some(BatchNormPolicy::Batch { images: PIECE }),
        }
    }

    /// The buffers to evaluate `theta` with, where they are the same for all images.
    pub(super) fn buffers_at(&self, theta: &[f32], buffers: &[f32]) -> Result<Option<Vec<f32>>> {
        match &self.statistics {
            Statistics::Recalibrated(images) if self.has_batch_norm() => {
                let batcher = Batcher::new(images, self.max_value, &self.stats)?;
                self.means_of(theta, buffers, &batcher, images).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The buffers of `images` that go through together alone; none where the objective's own are used.
    pub(super) fn buffers_of(
        &self,
        theta: &[f32],
        buffers: &[f32],
        images: &[f32],
        targets: &TargetBuffer,
    ) -> Result<Option<Vec<f32>>> {
        if !matches!(self.statistics, Statistics::Batch) || !self.has_batch_norm() {
            return Ok(None);
        }
        let mut found = self.statistics_of(theta, buffers, images, targets)?;
        // In training a batch is divided by its own variance; the running one is that of the population.
        let network = self.backend.network();
        let examples = images.len() / self.sample.image_len();
        for node in &network.nodes {
            let Op::BatchNorm { var, .. } = node.op else { continue };
            let values = examples * node.shape[1..].iter().product::<usize>();
            let share = (values - 1) as f32 / values as f32;
            found[network.layout.buffers[var].range()].iter_mut().for_each(|v| *v *= share);
        }
        Ok(Some(found))
    }

    fn means_of(
        &self,
        theta: &[f32],
        buffers: &[f32],
        batcher: &Batcher<'_>,
        all: &LabelledImages,
    ) -> Result<Vec<f32>> {
        let mut sums = vec![0f64; buffers.len()];
        let mut passes = 0;
        for start in (0..all.len()).step_by(BATCH) {
            let indices: Vec<usize> = (start..(start + BATCH).min(all.len())).collect();
            // A rest of a few images has statistics of its own size of error: it is left out.
            if passes > 0 && indices.len() < BATCH {
                break;
            }
            let (images, targets) = batcher.batch(&indices, None);
            let found = self.statistics_of(theta, buffers, &images, &targets)?;
            sums.iter_mut().zip(&found).for_each(|(sum, v)| *sum += f64::from(*v));
            passes += 1;
        }
        Ok(sums.iter().map(|sum| (sum / f64::from(passes)) as f32).collect())
    }

    /// The running statistics of one batch in train mode.
    fn statistics_of(
        &self,
        theta: &[f32],
        buffers: &[f32],
        images: &[f32],
        targets: &TargetBuffer,
    ) -> Result<Vec<f32>> {
        let network = self.backend.network();
        let norms = network.nodes.iter().filter_map(|node| match node.op {
            Op::BatchNorm { mean, var, momentum, .. } => Some(([mean, var], momentum)),
            _ => None,
        });
        let of = |(ids, momentum): ([usize; 2], f64)| {
            ids.map(|id| (network.layout.buffers[id].range(), momentum))
        };
        let norms: Vec<_> = norms.flat_map(of).collect();
        // From zero a pass leaves momentum * statistic.
        let mut moved = buffers.to_vec();
        for (range, _) in &norms {
            moved[range.clone()].fill(0.0);
        }
        let mut grad = vec![0.0; theta.len()];
        self.backend.train_pass(
            TrainPass {
                theta,
                buffers: &mut moved,
                images,
                targets: targets.view(),
                label_smoothing: 0.0,
                streams: &Streams::new(0),
                step: 0,
            },
            &mut grad,
        )?;
        for (range, momentum) in norms {
            moved[range].iter_mut().for_each(|v| *v = (f64::from(*v) / momentum) as f32);
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{BackendName, backend};
    use crate::dataset::{DataSet, LoadOptions, NormChoice, NormStats, load};
    use crate::models::ModelSpec;
    use crate::objective::Objective;

    fn net() -> (DatasetObjective, Vec<f32>, Arc<LabelledImages>) {
        let data = load(DataSet::Digits, &LoadOptions::default()).unwrap();
        let network = ModelSpec::of("resnet8").build(data.shape(), data.classes).unwrap();
        let theta = network.init_theta(&Streams::new(1));
        let sample = Arc::new(data.train.select(&(0..64).collect::<Vec<_>>()));
        let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
        let buffers = network.init_buffers();
        let engine = backend(BackendName::Native, Arc::new(network)).unwrap();
        let of = DatasetObjective::new(engine, buffers, sample.clone(), stats, data.max_value);
        (of.unwrap(), theta, sample)
    }

    #[test]
    fn the_loss_with_batch_statistics_is_that_of_train_mode() {
        let (of, theta, _) = net();
        // Weights that the running statistics of the initialisation are far from.
        let theta: Vec<f32> = theta.iter().map(|w| 2.0 * w).collect();
        // One piece of 64 images: train mode's loss by the backend's training pass.
        let trained = of.masked(Streams::new(0), 0).loss(&theta).unwrap().loss;
        let given = of.loss(&theta).unwrap().loss;
        let batch = of.of_batches();
        assert_eq!(batch.point_statistics(), Some(BatchNormPolicy::Batch { images: 64 }));
        let found = batch.loss(&theta).unwrap().loss;
        // f32 on two ways through the network.
        assert!((found - trained).abs() < 1e-3 * trained, "{found} {trained}");
        assert!((given - trained).abs() > 1e-2 * trained, "the test could not tell them apart");
    }

    #[test]
    fn recalibration_on_the_sample_itself_is_train_mode_but_for_the_variances_bias() {
        let (of, theta, sample) = net();
        let trained = of.masked(Streams::new(0), 0).loss(&theta).unwrap().loss;
        let found = of.recalibrated(sample).unwrap();
        let loss = found.loss(&theta).unwrap().loss;
        // 64 images of some pixels: n / (n - 1) in the last layers at most.
        assert!((loss - trained).abs() < 0.02 * trained, "{loss} {trained}");
        // The gradient of such a loss is not to be had by halves.
        let refused = found.loss_and_grad(&theta, &mut vec![0.0; theta.len()]);
        assert!(refused.unwrap_err().to_string().contains("frozen"));
    }
}
