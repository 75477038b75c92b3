//! RAdam (Liu et al. 2020): Adam whose step waits until the variance of its second moment is
//! known, as `torch.optim.RAdam`.

use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// RAdam's hyperparameters.
    struct RAdam {
        beta1: f64 = 0.9,
        beta2: f64 = 0.999,
        eps: f64 = 1e-8,
    }
}

described!(RAdam: "RAdam", lr 1e-3);

impl RAdam {
    /// r_t, and `None` while the variance of the second moment has no bound (rho_t <= 5).
    fn rectification(&self, t: f64) -> Option<f64> {
        let limit = 2.0 / (1.0 - self.beta2) - 1.0;
        let power = self.beta2.powf(t);
        let rho = limit - 2.0 * t * power / (1.0 - power);
        let part = |r: f64| (r - 4.0) * (r - 2.0);
        (rho > 5.0).then(|| (part(rho) * limit / (part(limit) * rho)).sqrt())
    }
}

impl<F: Real> Rule<F> for RAdam {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("exp_avg", params), ("exp_avg_sq", params)]
    }

    fn step(&self, Update { t, lr, theta, grad, slots, .. }: Update<'_, F>) {
        let [m, v] = slots else { panic!("radam keeps two state vectors") };
        let t = t as f64;
        let step_size = lr / (1.0 - self.beta1.powf(t));
        let rectified =
            self.rectification(t).map(|r| F::of(step_size * r * (1.0 - self.beta2.powf(t)).sqrt()));
        let step_size = F::of(step_size);
        let (take_m, keep_v, take_v) =
            (F::of(1.0 - self.beta1), F::of(self.beta2), F::of(1.0 - self.beta2));
        let eps = F::of(self.eps);
        in_pieces(theta, grad, [m, v], &|theta, grad, [m, v]| {
            for (((w, &g), m), v) in theta.iter_mut().zip(grad).zip(m).zip(v) {
                *m += take_m * (g - *m);
                *v = keep_v * *v + take_v * g * g;
                *w -= match rectified {
                    Some(step_size) => step_size * *m / (v.sqrt() + eps),
                    None => step_size * *m,
                };
            }
        });
    }
}
