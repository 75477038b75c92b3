//! AdamW (Loshchilov & Hutter 2019), as `torch.optim.AdamW`: Adam's arithmetic on a gradient
//! without decay in it. The decay itself, `theta <- theta (1 - lr wd)`, is the optimizer's
//! `Decay::Decoupled`, which this rule implies.

use super::Rule;
use super::adam::Adam;

/// AdamW's hyperparameters: Adam's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AdamW(pub Adam);

impl Rule for AdamW {
    fn slots(&self) -> &'static [&'static str] {
        self.0.slots()
    }

    fn step(&self, t: u64, lr: f64, slots: &mut [Vec<f32>], theta: &mut [f32], grad: &[f32]) {
        self.0.step(t, lr, slots, theta, grad);
    }
}
