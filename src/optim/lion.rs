//! Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms"): the sign of a mean of
//! gradients, as `optax.lion`.

use super::pieces::in_pieces;
use super::real::{Real, sign};
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// Lion's hyperparameters.
    struct Lion {
        beta1: f64 = 0.9,
        beta2: f64 = 0.99,
    }
}

described!(Lion: "Lion", lr 1e-4, decay Decoupled 1e-2);

impl<F: Real> Rule<F> for Lion {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("exp_avg", params)]
    }

    fn step(&self, Update { lr, theta, grad, slots, .. }: Update<'_, F>) {
        let [m] = slots else { panic!("lion keeps one state vector") };
        let lr = F::of(lr);
        let (of_step, of_mean) = (F::of(1.0 - self.beta1), F::of(1.0 - self.beta2));
        in_pieces(theta, grad, [m], &|theta, grad, [m]| {
            for ((w, &g), m) in theta.iter_mut().zip(grad).zip(m) {
                // theta <- theta - lr sign(b1 m + (1 - b1) g);  m <- b2 m + (1 - b2) g
                *w -= lr * sign(*m + of_step * (g - *m));
                *m += of_mean * (g - *m);
            }
        });
    }
}
