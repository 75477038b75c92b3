//! ADOPT (Taniguchi et al. 2024): Adam that divides by the second moment of the steps before, as
//! the authors' code. The first step only measures that moment and leaves theta where it is.

use super::config::Decay;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// ADOPT's hyperparameters.
    struct Adopt {
        beta1: f64 = 0.9,
        beta2: f64 = 0.9999,
        eps: f64 = 1e-6,
    }
}

described!(Adopt: "ADOPT", lr 1e-3, decay Decoupled 1e-2);

impl<F: Real> Rule<F> for Adopt {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("exp_avg", params), ("exp_avg_sq", params)]
    }

    fn owns(&self, kind: Decay) -> bool {
        kind == Decay::Decoupled
    }

    fn step(&self, Update { t, lr, theta, grad, slots, decay, .. }: Update<'_, F>) {
        let [m, v] = slots else { panic!("adopt keeps two state vectors") };
        if t == 1 {
            in_pieces(v, grad, [], &|v, grad, []| {
                v.iter_mut().zip(grad).for_each(|(v, &g)| *v = g * g);
            });
            return;
        }
        if decay.kind == Decay::Decoupled {
            decay.shrink(theta, 1.0 - lr * decay.rate);
        }
        // The bound on a normalised gradient, n^(1/4) after n steps.
        let bound = F::of(((t - 1) as f64).powf(0.25));
        let (lr, eps, take_m) = (F::of(lr), F::of(self.eps), F::of(1.0 - self.beta1));
        let (keep_v, take_v) = (F::of(self.beta2), F::of(1.0 - self.beta2));
        in_pieces(theta, grad, [m, v], &|theta, grad, [m, v]| {
            for (((w, &g), m), v) in theta.iter_mut().zip(grad).zip(m).zip(v) {
                let root = v.sqrt();
                let normed = g / if root < eps { eps } else { root };
                let bounded = if normed > bound {
                    bound
                } else if normed < -bound {
                    -bound
                } else {
                    normed
                };
                *m += take_m * (bounded - *m);
                *w -= lr * *m;
                *v = keep_v * *v + take_v * g * g;
            }
        });
    }
}
