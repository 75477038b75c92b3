//! Adagrad (Duchi, Hazan & Singer 2011), as `torch.optim.Adagrad`.

use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// Adagrad's hyperparameters.
    struct Adagrad {
        lr_decay: f64 = 0.0,
        initial_accumulator: f64 = 0.0,
        eps: f64 = 1e-10,
    }
}

described!(Adagrad: "Adagrad", lr 1e-2);

impl<F: Real> Rule<F> for Adagrad {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("sum", params)]
    }

    fn step(&self, Update { t, lr, theta, grad, slots, .. }: Update<'_, F>) {
        let [sum] = slots else { panic!("adagrad keeps one state vector") };
        if t == 1 {
            sum.fill(F::of(self.initial_accumulator));
        }
        let lr = F::of(lr / (1.0 + (t - 1) as f64 * self.lr_decay));
        let eps = F::of(self.eps);
        in_pieces(theta, grad, [sum], &|theta, grad, [sum]| {
            for ((w, &g), s) in theta.iter_mut().zip(grad).zip(sum) {
                // s <- s + g^2;  theta <- theta - lr g / (sqrt(s) + eps)
                *s += g * g;
                *w -= lr * g / (s.sqrt() + eps);
            }
        });
    }
}
