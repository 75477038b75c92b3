//! BatchNorm's statistics at weights that no batch was trained at: the average of Schedule-Free.

use std::borrow::Cow;

use super::batch::StepBatch;
use super::{Setup, TrainState};
use crate::Result;
use crate::dataset::{Augmentation, Batcher, batches, epoch_order};
use crate::network::Op;
use crate::rng::Streams;

/// Batches that the statistics are a mean over, where an epoch has as many.
const BATCHES: usize = 16;

impl Setup {
    /// The buffers that belong to `state.theta`, to be evaluated and recorded with it: those of the
    /// state, or, where gradients are taken at another point than theta, new ones for theta.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn buffers_at_theta<'a>(&self, state: &'a TrainState) -> Result<Cow<'a, [f32]>> {
        if state.buffers.is_empty() || !state.optimizer.has_gradient_point() {
            return Ok(Cow::Borrowed(&state.buffers));
        }
        Ok(Cow::Owned(self.statistics_at(&state.theta, &state.buffers)?))
    }

    /// BatchNorm's means and variances at `theta`, each the mean over those of the first batches of
    /// the first epoch, as PyTorch's `update_bn` does for all batches: the same images for every
    /// `theta`. Other buffers stay as in `buffers`.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn statistics_at(&self, theta: &[f32], buffers: &[f32]) -> Result<Vec<f32>> {
        let streams = Streams::new(self.train.seed);
        let network = self.backend.network();
        let train = &self.data.train;
        let batcher = Batcher::new(train, self.data.max_value, &self.stats)?;
        let order = epoch_order(&streams, 0, train.len());
        let augmentation = Augmentation { augment: self.augment, streams, epoch: 0 };
        // From zero a pass leaves momentum * statistic.
        let mut zeroed = buffers.to_vec();
        let norms: Vec<_> = network
            .nodes
            .iter()
            .filter_map(|node| match &node.op {
                Op::BatchNorm { mean, var, momentum, .. } => Some(([*mean, *var], *momentum)),
                _ => None,
            })
            .flat_map(|(ids, momentum)| ids.map(|id| (id, momentum)))
            .map(|(id, momentum)| (network.layout.buffers[id].range(), momentum))
            .collect();
        for (range, _) in &norms {
            zeroed[range.clone()].fill(0.0);
        }
        let mut sums = vec![0f64; buffers.len()];
        let (mut grad, mut room) = (vec![0.0; theta.len()], Vec::new());
        let mut passes = 0;
        for indices in batches(&order, self.train.batch_size, self.train.last_batch)?.take(BATCHES)
        {
            let (images, targets) = batcher.batch(indices, Some(&augmentation));
            let mut batch = StepBatch {
                setup: self,
                streams: &streams,
                step: passes,
                buffers: &zeroed,
                room: &mut room,
                images: &images,
                targets: targets.view(),
            };
            batch.pass(theta, &mut grad)?;
            sums.iter_mut().zip(&room).for_each(|(sum, v)| *sum += f64::from(*v));
            passes += 1;
        }
        let mut found = buffers.to_vec();
        for (range, momentum) in norms {
            for i in range {
                found[i] = (sums[i] / (momentum * passes as f64)) as f32;
            }
        }
        Ok(found)
    }
}
