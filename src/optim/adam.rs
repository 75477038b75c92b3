//! Adam (Kingma & Ba 2015, algorithm 1), as `torch.optim.Adam` without AMSGrad.

use super::Rule;
use super::pieces::in_pieces;

/// Adam's hyperparameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adam {
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
}

impl Rule for Adam {
    fn slots(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    fn step(&self, t: u64, lr: f64, slots: &mut [Vec<f32>], theta: &mut [f32], grad: &[f32]) {
        let [m, v] = slots else { panic!("adam keeps two state vectors") };
        let t = t as f64;
        let step_size = (lr / (1.0 - self.beta1.powf(t))) as f32;
        let v_scale = (1.0 - self.beta2.powf(t)).sqrt() as f32;
        let (take_m, keep_v, take_v) =
            ((1.0 - self.beta1) as f32, self.beta2 as f32, (1.0 - self.beta2) as f32);
        let eps = self.eps as f32;
        in_pieces(theta, grad, [m.as_mut_slice(), v.as_mut_slice()], &|theta, grad, [m, v]| {
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
