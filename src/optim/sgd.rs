//! Stochastic gradient descent: plain, with momentum, Nesterov's, and dampening, as
//! `torch.optim.SGD`. With `momentum = 0` there is no state.

use super::Rule;
use super::pieces::in_pieces;

/// SGD's hyperparameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sgd {
    pub momentum: f64,
    pub dampening: f64,
    pub nesterov: bool,
}

impl Rule for Sgd {
    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    fn step(&self, t: u64, lr: f64, slots: &mut [Vec<f32>], theta: &mut [f32], grad: &[f32]) {
        let lr = lr as f32;
        let [buffer] = slots else {
            in_pieces(theta, grad, [], &|theta, grad, []| {
                for (w, &g) in theta.iter_mut().zip(grad) {
                    *w -= lr * g;
                }
            });
            return;
        };
        let momentum = self.momentum as f32;
        // The first gradient fills the buffer undamped, as in PyTorch.
        let (keep, take) =
            if t == 1 { (0.0, 1.0) } else { (momentum, (1.0 - self.dampening) as f32) };
        let nesterov = self.nesterov;
        in_pieces(theta, grad, [buffer.as_mut_slice()], &|theta, grad, [buffer]| {
            for ((w, &g), b) in theta.iter_mut().zip(grad).zip(buffer) {
                // b <- mu b + (1 - dampening) g
                *b = keep * *b + take * g;
                // Nesterov, in PyTorch's form: the step is g + mu b.
                *w -= lr * if nesterov { g + momentum * *b } else { *b };
            }
        });
    }
}
