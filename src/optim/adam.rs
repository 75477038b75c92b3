//! Adam (Kingma & Ba 2015, algorithm 1), as `torch.optim.Adam` without AMSGrad.

use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// Adam's hyperparameters.
    struct Adam {
        beta1: f64 = 0.9,
        beta2: f64 = 0.999,
        eps: f64 = 1e-8,
    }
}

described!(Adam: "Adam", lr 1e-3);

impl Adam {
    /// One update of `theta` or of a part of it, with that part's moments.
    pub fn update<F: Real>(
        &self,
        t: u64,
        lr: f64,
        [m, v]: [&mut [F]; 2],
        theta: &mut [F],
        grad: &[F],
    ) {
        let t = t as f64;
        let step_size = F::of(lr / (1.0 - self.beta1.powf(t)));
        let v_scale = F::of((1.0 - self.beta2.powf(t)).sqrt());
        let (take_m, keep_v, take_v) =
            (F::of(1.0 - self.beta1), F::of(self.beta2), F::of(1.0 - self.beta2));
        let eps = F::of(self.eps);
        in_pieces(theta, grad, [m, v], &|theta, grad, [m, v]| {
            for (((w, &g), m), v) in theta.iter_mut().zip(grad).zip(m).zip(v) {
                // m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
                *m += take_m * (g - *m);
                *v = keep_v * *v + take_v * g * g;
                // theta <- theta - lr m_hat / (sqrt(v_hat) + eps)
                *w -= step_size * *m / (v.sqrt() / v_scale + eps);
            }
        });
    }
}

impl<F: Real> Rule<F> for Adam {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("exp_avg", params), ("exp_avg_sq", params)]
    }

    fn step(&self, Update { t, lr, theta, grad, slots, .. }: Update<'_, F>) {
        let [m, v] = slots else { panic!("adam keeps two state vectors") };
        self.update(t, lr, [m, v], theta, grad);
    }

    /// (1 - b1^t) (sqrt(v_hat) + eps), the correction of the mean in it (arXiv:2207.14484, section 2).
    fn preconditioner(&self, t: u64, slots: &[Vec<F>]) -> Option<Vec<F>> {
        let v = slots.get(1)?;
        let t = t as f64;
        let correction = F::of(1.0 - self.beta1.powf(t));
        let v_scale = F::of((1.0 - self.beta2.powf(t)).sqrt());
        let eps = F::of(self.eps);
        Some(v.iter().map(|&v| correction * (v.sqrt() / v_scale + eps)).collect())
    }
}
