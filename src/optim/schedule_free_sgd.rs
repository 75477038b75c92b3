//! Schedule-Free SGD (Defazio et al. 2024), as `schedulefree.SGDScheduleFree`. All kinds of decay
//! are taken at y, the point of the gradient; decoupled decay is the same as coupled here.

use super::config::Decay;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};
use super::schedule_free::{Averaging, SCALARS};

hyperparameters! {
    /// The hyperparameters.
    struct ScheduleFreeSgd {
        momentum: f64 = 0.9,
        warmup_steps: u64 = 0,
        r: f64 = 0.0,
        weight_lr_power: f64 = 2.0,
    }
}

described!(ScheduleFreeSgd: "Schedule-Free SGD", lr 1.0);

impl ScheduleFreeSgd {
    fn averaging(&self) -> Averaging {
        let Self { momentum: beta, warmup_steps, r, weight_lr_power } = self.clone();
        Averaging { beta, warmup_steps, r, weight_lr_power }
    }
}

impl<F: Real> Rule<F> for ScheduleFreeSgd {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("z", params)]
    }

    fn scalars(&self) -> &'static [&'static str] {
        SCALARS
    }

    fn owns(&self, _: Decay) -> bool {
        true
    }

    fn gradient_point(&self, slots: &[Vec<F>], theta: &[F], out: &mut [F]) -> bool {
        self.averaging().point(&slots[0], theta, out);
        true
    }

    fn step(&self, Update { t, lr, theta, grad, slots, scalars, decay, .. }: Update<'_, F>) {
        let [z] = slots else { panic!("schedule-free sgd keeps one state vector") };
        if t == 1 {
            z.copy_from_slice(theta);
        }
        let averaging = self.averaging();
        let (lr, share) = averaging.at(t, lr, scalars);
        averaging.decay(decay, z, theta, grad);
        Averaging::advance(lr, share, z, theta, grad);
    }
}
