//! The loss as a function of the weights and of BatchNorm's running statistics together.

use super::{DatasetObjective, Evaluation, Objective};
use crate::{Error, Result};

/// A network's loss as a function of its whole state: theta, (P,), and behind it the buffers, (B,). On a
/// line between two networks each end then has its own statistics, as it has its own weights. Running
/// variances below 0, which a line may lead to, are taken as 0.
pub struct MovingStatistics {
    inner: DatasetObjective,
    /// Which of the buffers are variances.
    is_variance: Vec<bool>,
}

impl MovingStatistics {
    /// The loss that `inner` is, with its buffers as arguments.
    pub fn new(inner: DatasetObjective) -> Self {
        let layout = &inner.backend.network().layout;
        let of = |buffer: &crate::network::Buffer| {
            let len = buffer.shape.iter().product::<usize>();
            std::iter::repeat_n(buffer.name.ends_with("running_var"), len)
        };
        let is_variance = layout.buffers.iter().flat_map(of).collect();
        Self { inner, is_variance }
    }
}

impl MovingStatistics {
    /// theta and the buffers of a state, variances below 0 taken as 0.
    fn parts<'a>(&self, state: &'a [f32]) -> (&'a [f32], Vec<f32>) {
        assert_eq!(state.len(), self.dim(), "the state is not this network's");
        let (theta, buffers) = state.split_at(self.inner.dim());
        let clamped = |(value, is_variance): (&f32, &bool)| {
            if *is_variance { value.max(0.0) } else { *value }
        };
        (theta, buffers.iter().zip(&self.is_variance).map(clamped).collect())
    }

    /// The loss of each image at a state, in the sample's order.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn losses(&self, state: &[f32]) -> Result<Vec<f64>> {
        let (theta, buffers) = self.parts(state);
        self.inner.with_buffers(buffers)?.losses(theta)
    }

    /// Loss and share of right answers of each image at a state, in the sample's order.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn losses_and_accuracies(&self, state: &[f32]) -> Result<Vec<[f64; 2]>> {
        let (theta, buffers) = self.parts(state);
        self.inner.with_buffers(buffers)?.losses_and_accuracies(theta)
    }
}

impl Objective for MovingStatistics {
    fn dim(&self) -> usize {
        self.inner.dim() + self.is_variance.len()
    }

    fn loss(&self, state: &[f32]) -> Result<Evaluation> {
        let (theta, buffers) = self.parts(state);
        self.inner.loss_at(theta, &buffers, &|_| ())
    }

    /// # Errors
    /// Always: statistics are no parameters.
    fn loss_and_grad(&self, _state: &[f32], _grad: &mut [f32]) -> Result<f64> {
        Err(Error::bad_value(
            "the gradient",
            "by BatchNorm statistics",
            "not defined: they are no parameters",
            "take the gradient with statistics that stand still",
        ))
    }
}
