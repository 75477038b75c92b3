//! Adan (Xie et al. 2022, "Adaptive Nesterov Momentum Algorithm"), as the authors' code: moments
//! of the gradient, of its change, and of the gradient looking ahead. Decoupled decay is the
//! authors' proximal form, `theta <- theta / (1 + lr wd)` after the update.

use super::config::Decay;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// Adan's hyperparameters.
    struct Adan {
        beta1: f64 = 0.98,
        beta2: f64 = 0.92,
        beta3: f64 = 0.99,
        eps: f64 = 1e-8,
    }
}

described!(Adan: "Adan", lr 1e-3, decay Decoupled 1e-2);

impl<F: Real> Rule<F> for Adan {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        ["exp_avg", "exp_avg_diff", "exp_avg_sq", "previous_grad"].map(|name| (name, params)).into()
    }

    fn owns(&self, kind: Decay) -> bool {
        kind == Decay::Decoupled
    }

    fn step(&self, Update { t, lr, theta, grad, slots, decay, .. }: Update<'_, F>) {
        let [m, d, n, previous] = slots else { panic!("adan keeps four state vectors") };
        if t == 1 {
            previous.copy_from_slice(grad);
        }
        let correction = |beta: f64| 1.0 - beta.powf(t as f64);
        let of_mean = F::of(lr / correction(self.beta1));
        let of_change = F::of(lr * self.beta2 / correction(self.beta2));
        let root = F::of(correction(self.beta3).sqrt());
        let [take1, take2, take3] = [self.beta1, self.beta2, self.beta3].map(|b| F::of(1.0 - b));
        let (beta2, beta3, eps) = (F::of(self.beta2), F::of(self.beta3), F::of(self.eps));
        in_pieces(theta, grad, [m, d, n, previous], &|theta, grad, [m, d, n, previous]| {
            let means = m.iter_mut().zip(d).zip(n.iter_mut().zip(previous));
            for ((w, &g), ((m, d), (n, previous))) in theta.iter_mut().zip(grad).zip(means) {
                let change = g - *previous;
                *previous = g;
                *m += take1 * (g - *m);
                *d += take2 * (change - *d);
                // n <- b3 n + (1 - b3) (g + b2 (g - g_previous))^2
                let ahead = g + beta2 * change;
                *n = beta3 * *n + take3 * ahead * ahead;
                let denominator = n.sqrt() / root + eps;
                *w -= of_mean * *m / denominator;
                *w -= of_change * *d / denominator;
            }
        });
        if decay.kind == Decay::Decoupled {
            decay.shrink(theta, 1.0 / (1.0 + lr * decay.rate));
        }
    }
}
