//! NAdam (Dozat 2016): Adam with Nesterov's momentum, as `torch.optim.NAdam`.

use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// NAdam's hyperparameters.
    struct NAdam {
        beta1: f64 = 0.9,
        beta2: f64 = 0.999,
        eps: f64 = 1e-8,
        momentum_decay: f64 = 4e-3,
    }
}

described!(NAdam: "NAdam", lr 2e-3);

impl NAdam {
    /// mu_t = b1 (1 - 0.96^(t psi) / 2)
    fn mu(&self, t: u64) -> f64 {
        self.beta1 * (1.0 - 0.5 * 0.96f64.powf(t as f64 * self.momentum_decay))
    }
}

impl<F: Real> Rule<F> for NAdam {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("exp_avg", params), ("exp_avg_sq", params)]
    }

    fn scalars(&self) -> &'static [&'static str] {
        // One less than it is, so that it starts at 0.
        &["mu_product_less_1"]
    }

    fn step(&self, Update { t, lr, theta, grad, slots, scalars, .. }: Update<'_, F>) {
        let [m, v] = slots else { panic!("nadam keeps two state vectors") };
        let (mu, next) = (self.mu(t), self.mu(t + 1));
        let product = (scalars[0] + 1.0) * mu;
        scalars[0] = product - 1.0;
        let of_grad = F::of(lr * (1.0 - mu) / (1.0 - product));
        let of_mean = F::of(lr * next / (1.0 - product * next));
        let correction = F::of(1.0 - self.beta2.powf(t as f64));
        let (take_m, keep_v, take_v) =
            (F::of(1.0 - self.beta1), F::of(self.beta2), F::of(1.0 - self.beta2));
        let eps = F::of(self.eps);
        in_pieces(theta, grad, [m, v], &|theta, grad, [m, v]| {
            for (((w, &g), m), v) in theta.iter_mut().zip(grad).zip(m).zip(v) {
                *m += take_m * (g - *m);
                *v = keep_v * *v + take_v * g * g;
                let denominator = (*v / correction).sqrt() + eps;
                *w -= of_grad * g / denominator;
                *w -= of_mean * *m / denominator;
            }
        });
    }
}
