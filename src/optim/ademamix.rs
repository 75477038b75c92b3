//! AdEMAMix (Pagliardini, Ablin & Grangier 2024): Adam with a second, slow mean of the gradient,
//! as the authors' code.

use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// AdEMAMix's hyperparameters.
    struct AdEmaMix {
        beta1: f64 = 0.9,
        beta2: f64 = 0.999,
        beta3: f64 = 0.9999,
        eps: f64 = 1e-8,
        slow_weight: f64 = 5.0,
        slow_warmup_steps: u64 = 0,
    }
}

described!(AdEmaMix: "AdEMAMix", lr 1e-3, decay Decoupled 1e-2);

impl AdEmaMix {
    /// The weight of the slow mean (alpha) and its decay rate at step `t`: over the warm-up the first
    /// rises linearly and the half-life of the second does.
    fn slow(&self, t: u64) -> (f64, f64) {
        if self.slow_warmup_steps == 0 {
            return (self.slow_weight, self.beta3);
        }
        let part = t as f64 / self.slow_warmup_steps as f64;
        let (start, end) = (self.beta1.ln(), self.beta3.ln());
        let beta3 = (start * end / ((1.0 - part) * end + part * start)).exp();
        ((self.slow_weight * part).min(self.slow_weight), beta3.min(self.beta3))
    }
}

impl<F: Real> Rule<F> for AdEmaMix {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("exp_avg", params), ("exp_avg_sq", params), ("exp_avg_slow", params)]
    }

    fn step(&self, Update { t, lr, theta, grad, slots, .. }: Update<'_, F>) {
        let [m, v, slow] = slots else { panic!("ademamix keeps three state vectors") };
        let (weight, beta3) = self.slow(t);
        let correction1 = F::of(1.0 - self.beta1.powf(t as f64));
        let root = F::of((1.0 - self.beta2.powf(t as f64)).sqrt());
        let (take_m, take_slow) = (F::of(1.0 - self.beta1), F::of(1.0 - beta3));
        let (keep_v, take_v) = (F::of(self.beta2), F::of(1.0 - self.beta2));
        let (lr, weight, eps) = (F::of(lr), F::of(weight), F::of(self.eps));
        in_pieces(theta, grad, [m, v, slow], &|theta, grad, [m, v, slow]| {
            let means = m.iter_mut().zip(v).zip(slow);
            for ((w, &g), ((m, v), slow)) in theta.iter_mut().zip(grad).zip(means) {
                *m += take_m * (g - *m);
                *v = keep_v * *v + take_v * g * g;
                *slow += take_slow * (g - *slow);
                // theta <- theta - lr (m_hat + alpha m_slow) / (sqrt(v_hat) + eps)
                *w -= lr * (*m / correction1 + weight * *slow) / (v.sqrt() / root + eps);
            }
        });
    }
}
