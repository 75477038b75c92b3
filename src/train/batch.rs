//! One batch evaluated again, for rules that need more than one gradient of it.

use super::Setup;
use crate::Result;
use crate::backend::{TrainLoss, TrainPass};
use crate::dataset::BatchTargets;
use crate::optim::BatchLoss;
use crate::rng::Streams;

/// The images of a step, at any theta: the same augmentation and the same dropout masks. BatchNorm
/// normalises by the batch; its running statistics stay as the first pass of the step left them.
pub(super) struct StepBatch<'a> {
    pub setup: &'a Setup,
    pub streams: &'a Streams,
    pub step: u64,
    /// Buffers, in layout order, of which each pass moves a copy.
    pub buffers: &'a [f32],
    /// Scratch for that copy.
    pub room: &'a mut Vec<f32>,
    /// Normalised images, (n, c, h, w).
    pub images: &'a [f32],
    /// What the outputs for them are held against.
    pub targets: BatchTargets<'a>,
}

impl StepBatch<'_> {
    /// A pass at `theta`; leaves the moved buffers in `room`.
    pub fn pass(&mut self, theta: &[f32], grad: &mut [f32]) -> Result<TrainLoss> {
        self.room.clear();
        self.room.extend_from_slice(self.buffers);
        let pass = TrainPass {
            theta,
            buffers: self.room,
            images: self.images,
            targets: self.targets,
            label_smoothing: self.setup.train.label_smoothing,
            streams: self.streams,
            step: self.step,
        };
        self.setup.backend.train_pass(pass, grad)
    }
}

impl BatchLoss<f32> for StepBatch<'_> {
    fn loss_and_grad(&mut self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        Ok(self.pass(theta, grad)?.loss)
    }

    fn probe(&mut self, t: u64, out: &mut [f32]) {
        let mut rng = self.streams.stream("hessian", t);
        for signs in out.chunks_mut(64) {
            let bits = rng.bits();
            for (i, sign) in signs.iter_mut().enumerate() {
                *sign = if bits >> i & 1 == 1 { 1.0 } else { -1.0 };
            }
        }
    }
}
