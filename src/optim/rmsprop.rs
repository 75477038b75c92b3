//! RMSprop (Hinton's lecture 6e), with momentum and centred by choice (Graves 2013), as
//! `torch.optim.RMSprop`: eps is added after the root.

use super::Rule;
use super::pieces::in_pieces;

/// RMSprop's hyperparameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RmsProp {
    pub alpha: f64,
    pub eps: f64,
    pub momentum: f64,
    pub centered: bool,
}

impl Rule for RmsProp {
    fn slots(&self) -> &'static [&'static str] {
        match (self.centered, self.momentum != 0.0) {
            (false, false) => &["square_avg"],
            (false, true) => &["square_avg", "momentum_buffer"],
            (true, false) => &["square_avg", "grad_avg"],
            (true, true) => &["square_avg", "grad_avg", "momentum_buffer"],
        }
    }

    fn step(&self, _: u64, lr: f64, slots: &mut [Vec<f32>], theta: &mut [f32], grad: &[f32]) {
        let (centered, moving) = (self.centered, self.momentum != 0.0);
        let mut slots = slots.iter_mut().map(Vec::as_mut_slice);
        let mut next = |kept: bool| if kept { slots.next().unwrap_or_default() } else { &mut [] };
        let (square_avg, grad_avg, buffer) = (next(true), next(centered), next(moving));

        let (lr, momentum, eps) = (lr as f32, self.momentum as f32, self.eps as f32);
        let (keep, take) = (self.alpha as f32, (1.0 - self.alpha) as f32);
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
        // d = sqrt(s - a^2) + eps, a = 0 unless centred.
        let denominator = |s: f32, a: f32| {
            let variance = s - a * a;
            // Rounding can take it below zero; a NaN stays one.
            (if variance < 0.0 { 0.0 } else { variance }).sqrt() + eps
        };
        match (centered, moving) {
            (false, false) => in_pieces(theta, grad, [square_avg], &|theta, grad, [s]| {
                for ((w, &g), s) in theta.iter_mut().zip(grad).zip(s) {
                    *w -= lr * g / denominator(*s, 0.0);
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
                        *b = momentum * *b + g / denominator(*s, 0.0);
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
