//! The loss along a line through a network's weights, with what is done with BatchNorm's statistics on the way.

use super::line::Along;
use super::{SampleChoice, Subject};
use crate::landscape::theta_at;
use crate::objective::{
    BatchNormPolicy, DatasetObjective, MovingStatistics, Objective, PointPolicy,
};
use crate::record::EvaluatedOn;
use crate::{Error, Result};

/// The loss on a sample along a line from a network.
pub(super) struct LineLoss<'a> {
    subject: &'a Subject,
    /// The line: its buffers move where the policy has them move.
    pub along: Along,
    /// What the loss depends on.
    pub on: EvaluatedOn,
    objective: Of,
}

/// A function of theta, or of theta and the buffers behind it.
enum Of {
    Still(DatasetObjective),
    Moving(MovingStatistics),
}

impl<'a> LineLoss<'a> {
    /// The loss of `subject` on `sample` along a line; `bn` is what is done with BatchNorm's statistics (by
    /// default they are interpolated where the line moves them, and else frozen), and the training images that
    /// they are computed of where they are recalibrated.
    ///
    /// # Errors
    /// [`Error::BadValue`] for a policy that the line does not allow and for a sample that there is not.
    pub fn new(
        subject: &'a Subject,
        mut along: Along,
        sample: SampleChoice,
        (bn, calibration): (Option<PointPolicy>, usize),
    ) -> Result<Self> {
        let mut objective = subject.objective(sample)?;
        let has_statistics = objective.has_batch_norm();
        match bn.filter(|_| has_statistics) {
            None => {}
            Some(PointPolicy::Interpolated) if along.of_buffers.is_none() => {
                let remedy = "use recalibrated, or a line to another network";
                let problem = "but the line has no statistics at its other end";
                return Err(Error::bad_value("bn", "interpolated", problem, remedy));
            }
            Some(PointPolicy::Interpolated) => {}
            Some(PointPolicy::Frozen) => {
                let moved = along.of_buffers.take().is_some();
                along.notes.extend(moved.then(|| {
                    "BatchNorm keeps the statistics of x = 0 all along: the loss at x = 1 is not the other \
                     network's own"
                        .to_string()
                }));
            }
            Some(PointPolicy::Recalibrated) => {
                along.of_buffers = None;
                objective = objective.recalibrated(subject.calibration(calibration)?)?;
            }
            Some(PointPolicy::Batch) => {
                along.of_buffers = None;
                objective = objective.of_batches();
            }
        }
        let batch_norm = match (objective.point_statistics(), &along.of_buffers) {
            _ if subject.buffers.is_empty() => BatchNormPolicy::None,
            (Some(policy), _) => policy,
            (None, Some(_)) => BatchNormPolicy::Interpolated,
            (None, None) => BatchNormPolicy::Frozen,
        };
        let on = subject.evaluated_on(sample, &objective, batch_norm);
        let objective = match along.of_buffers {
            Some(_) => Of::Moving(MovingStatistics::new(objective)),
            None => Of::Still(objective),
        };
        Ok(Self { subject, along, on, objective })
    }

    /// The loss as a function of theta, or of theta and the buffers behind it where the line moves them.
    pub fn objective(&self) -> &dyn Objective {
        match &self.objective {
            Of::Still(objective) => objective,
            Of::Moving(moving) => moving,
        }
    }

    /// The argument of [`LineLoss::objective`] at coordinate `x`.
    fn at(&self, x: f64) -> Vec<f32> {
        let subject = self.subject;
        let at = |from: &[f32], step: &[f32]| theta_at(from, step, step, [x, 0.0]);
        let mut state = at(&subject.theta, &self.along.of_theta);
        if let Some(of_buffers) = &self.along.of_buffers {
            state.extend(at(&subject.buffers, of_buffers));
        }
        state
    }

    /// The loss of each image at `x`, in the sample's order.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn losses(&self, x: f64) -> Result<Vec<f64>> {
        match &self.objective {
            Of::Still(objective) => objective.losses(&self.at(x)),
            Of::Moving(moving) => moving.losses(&self.at(x)),
        }
    }

    /// Loss and share of right answers of each image at `x`, likewise.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn losses_and_accuracies(&self, x: f64) -> Result<Vec<[f64; 2]>> {
        match &self.objective {
            Of::Still(objective) => objective.losses_and_accuracies(&self.at(x)),
            Of::Moving(moving) => moving.losses_and_accuracies(&self.at(x)),
        }
    }
}
