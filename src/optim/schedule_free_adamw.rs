//! Schedule-Free AdamW (Defazio et al. 2024), as `schedulefree.AdamWScheduleFree`. All kinds of
//! decay are taken at y, the point of the gradient; decoupled decay after the gradient is normalised.

use super::config::Decay;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};
use super::schedule_free::{Averaging, SCALARS};

hyperparameters! {
    /// The hyperparameters.
    struct ScheduleFreeAdamW {
        beta1: f64 = 0.9,
        beta2: f64 = 0.999,
        eps: f64 = 1e-8,
        warmup_steps: u64 = 0,
        r: f64 = 0.0,
        weight_lr_power: f64 = 2.0,
    }
}

described!(ScheduleFreeAdamW: "Schedule-Free AdamW", lr 2.5e-3, decay Decoupled 1e-2);

impl ScheduleFreeAdamW {
    fn averaging(&self) -> Averaging {
        let Self { beta1: beta, warmup_steps, r, weight_lr_power, .. } = self.clone();
        Averaging { beta, warmup_steps, r, weight_lr_power }
    }
}

impl<F: Real> Rule<F> for ScheduleFreeAdamW {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("z", params), ("exp_avg_sq", params)]
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
        let [z, v] = slots else { panic!("schedule-free adamw keeps two state vectors") };
        if t == 1 {
            z.copy_from_slice(theta);
        }
        let averaging = self.averaging();
        let (lr, share) = averaging.at(t, lr, scalars);
        if decay.kind != Decay::Decoupled {
            averaging.decay(decay, z, theta, grad);
        }
        let correction = F::of(1.0 - self.beta2.powf(t as f64));
        let (keep, take, eps) = (F::of(self.beta2), F::of(1.0 - self.beta2), F::of(self.eps));
        in_pieces(grad, &[], [v], &|grad, _, [v]| {
            for (g, v) in grad.iter_mut().zip(v) {
                *v = keep * *v + take * *g * *g;
                *g /= (*v / correction).sqrt() + eps;
            }
        });
        if decay.kind == Decay::Decoupled {
            averaging.decay(decay, z, theta, grad);
        }
        Averaging::advance(lr, share, z, theta, grad);
    }
}
