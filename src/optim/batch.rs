//! The loss of one batch as a function of the parameters, for rules that need more than one
//! gradient of it.

use super::real::Real;
use crate::error::Result;

/// A batch's loss: the same images, augmentation and dropout masks at every point.
pub trait BatchLoss<F: Real> {
    /// The mean loss at `theta`, (P,), in train mode; its gradient is written over `grad`, (P,).
    /// Running statistics of the network are not moved.
    fn loss_and_grad(&mut self, theta: &[F], grad: &mut [F]) -> Result<f64>;

    /// Writes independent random signs, -1 or 1, over `out`, (P,): the probe of an estimate of the
    /// Hessian's diagonal. The same `t`, the optimizer's step, gives the same signs.
    fn probe(&mut self, t: u64, out: &mut [F]);
}
