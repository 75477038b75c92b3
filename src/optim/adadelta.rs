//! Adadelta (Zeiler 2012), as `torch.optim.Adadelta`.

use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// Adadelta's hyperparameters.
    struct Adadelta {
        rho: f64 = 0.9,
        eps: f64 = 1e-6,
    }
}

described!(Adadelta: "Adadelta", lr 1.0);

impl<F: Real> Rule<F> for Adadelta {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("square_avg", params), ("acc_delta", params)]
    }

    fn step(&self, Update { lr, theta, grad, slots, .. }: Update<'_, F>) {
        let [square_avg, acc_delta] = slots else { panic!("adadelta keeps two state vectors") };
        let (lr, eps) = (F::of(lr), F::of(self.eps));
        let (keep, take) = (F::of(self.rho), F::of(1.0 - self.rho));
        in_pieces(theta, grad, [square_avg, acc_delta], &|theta, grad, [square_avg, acc_delta]| {
            let state = square_avg.iter_mut().zip(acc_delta);
            for ((w, &g), (s, a)) in theta.iter_mut().zip(grad).zip(state) {
                // s <- rho s + (1 - rho) g^2;  d = g sqrt(a + eps) / sqrt(s + eps)
                *s = keep * *s + take * g * g;
                let delta = (*a + eps).sqrt() / (*s + eps).sqrt() * g;
                // a <- rho a + (1 - rho) d^2
                *a = keep * *a + take * delta * delta;
                *w -= lr * delta;
            }
        });
    }
}
