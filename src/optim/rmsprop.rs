//! RMSprop (Hinton's lecture 6e), with momentum and centred by choice (Graves 2013), as
//! `torch.optim.RMSprop`: eps is added after the root.

use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// RMSprop's hyperparameters.
    struct RmsProp {
        alpha: f64 = 0.99,
        eps: f64 = 1e-8,
        momentum: f64 = 0.0,
        centered: bool = false,
    }
}

described!(RmsProp: "RMSprop", lr 1e-2);

/// sqrt(s - a^2) + eps, a = 0 unless centred.
fn denominator<F: Real>(s: F, a: F, eps: F) -> F {
    let variance = s - a * a;
    // Rounding can take it below zero; a NaN stays one.
    (if variance < F::zero() { F::zero() } else { variance }).sqrt() + eps
}

impl<F: Real> Rule<F> for RmsProp {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        let names: &[_] = match (self.centered, self.momentum != 0.0) {
            (false, false) => &["square_avg"],
            (false, true) => &["square_avg", "momentum_buffer"],
            (true, false) => &["square_avg", "grad_avg"],
            (true, true) => &["square_avg", "grad_avg", "momentum_buffer"],
        };
        names.iter().map(|name| (*name, params)).collect()
    }

    fn preconditioner(&self, _: u64, slots: &[Vec<F>]) -> Option<Vec<F>> {
        let (s, eps) = (slots.first()?, F::of(self.eps));
        let means = if self.centered { slots.get(1)?.as_slice() } else { &[] };
        let mean = |k: usize| means.get(k).copied().unwrap_or(F::zero());
        Some(s.iter().enumerate().map(|(k, &s)| denominator(s, mean(k), eps)).collect())
    }

    fn step(&self, Update { lr, theta, grad, slots, .. }: Update<'_, F>) {
        let grad = &*grad;
        let (centered, moving) = (self.centered, self.momentum != 0.0);
        let mut slots = slots.iter_mut().map(Vec::as_mut_slice);
        let mut next = |kept: bool| if kept { slots.next().unwrap_or_default() } else { &mut [] };
        let (square_avg, grad_avg, buffer) = (next(true), next(centered), next(moving));

        let (lr, momentum, eps) = (F::of(lr), F::of(self.momentum), F::of(self.eps));
        let (keep, take) = (F::of(self.alpha), F::of(1.0 - self.alpha));
        // s <- alpha s + (1 - alpha) g^2
        in_pieces(square_avg, grad, [], &|square_avg, grad, []| {
            for (s, &g) in square_avg.iter_mut().zip(grad) {
                *s = keep * *s + take * g * g;
            }
        });
        if centered {
            // a <- alpha a + (1 - alpha) g
            in_pieces(grad_avg, grad, [], &|grad_avg, grad, []| {
                for (a, &g) in grad_avg.iter_mut().zip(grad) {
                    *a += take * (g - *a);
                }
            });
        }
        let denominator = |s: F, a: F| denominator(s, a, eps);
        match (centered, moving) {
            (false, false) => in_pieces(theta, grad, [square_avg], &|theta, grad, [s]| {
                for ((w, &g), s) in theta.iter_mut().zip(grad).zip(s) {
                    *w -= lr * g / denominator(*s, F::zero());
                }
            }),
            (true, false) => {
                in_pieces(theta, grad, [square_avg, grad_avg], &|theta, grad, [s, a]| {
                    for (((w, &g), s), a) in theta.iter_mut().zip(grad).zip(s).zip(a) {
                        *w -= lr * g / denominator(*s, *a);
                    }
                })
            }
            // b <- mu b + g / d;  theta <- theta - lr b
            (false, true) => {
                in_pieces(theta, grad, [square_avg, buffer], &|theta, grad, [s, b]| {
                    for (((w, &g), s), b) in theta.iter_mut().zip(grad).zip(s).zip(b) {
                        *b = momentum * *b + g / denominator(*s, F::zero());
                        *w -= lr * *b;
                    }
                })
            }
            (true, true) => {
                let slots = [square_avg, grad_avg, buffer];
                in_pieces(theta, grad, slots, &|theta, grad, [s, a, b]| {
                    for ((((w, &g), s), a), b) in theta.iter_mut().zip(grad).zip(s).zip(a).zip(b) {
                        *b = momentum * *b + g / denominator(*s, *a);
                        *w -= lr * *b;
                    }
                });
            }
        }
    }
}
