//! Stochastic gradient descent: plain, with momentum, Nesterov's, and dampening, as
//! `torch.optim.SGD`. With `momentum = 0` there is no state.

use super::OptimConfig;
use super::config::Decay;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Described, Rule, Update, hyperparameters};
use super::tensors::Tensors;
use crate::error::{Error, Result};

hyperparameters! {
    /// SGD's hyperparameters.
    struct Sgd {
        momentum: f64 = 0.9,
        dampening: f64 = 0.0,
        nesterov: bool = false,
    }
}

impl Described for Sgd {
    const WORDS: &'static str = "SGD";
    const LR: f64 = 0.1;
    const WEIGHT_DECAY: f64 = 5e-4;
    const DECAY: Decay = Decay::Coupled;
    const KEYS: &'static [&'static str] = Self::KEYS;

    /// Nesterov's momentum is the default where there is momentum and no dampening.
    fn write_out(config: &mut OptimConfig) {
        let given = config.nesterov;
        Self::write_out(config);
        let moving = config.momentum > Some(0.0) && config.dampening == Some(0.0);
        config.nesterov = Some(given.unwrap_or(moving));
    }

    fn check(config: &OptimConfig) -> Result<()> {
        if config.nesterov == Some(true)
            && (config.momentum == Some(0.0) || config.dampening > Some(0.0))
        {
            return Err(Error::bad_value(
                "optim.nesterov",
                true,
                "which needs a momentum and no dampening",
                "set optim.momentum above 0 and optim.dampening to 0, or optim.nesterov to false",
            ));
        }
        Ok(())
    }

    fn build<F: Real>(config: &OptimConfig, _: &Tensors) -> Box<dyn Rule<F>> {
        Box::new(Self::of(config))
    }
}

impl<F: Real> Rule<F> for Sgd {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        if self.momentum == 0.0 { vec![] } else { vec![("momentum_buffer", params)] }
    }

    fn step(&self, Update { t, lr, theta, grad, slots, .. }: Update<'_, F>) {
        let lr = F::of(lr);
        let [buffer] = slots else {
            in_pieces(theta, grad, [], &|theta, grad, []| {
                for (w, &g) in theta.iter_mut().zip(grad) {
                    *w -= lr * g;
                }
            });
            return;
        };
        let momentum = F::of(self.momentum);
        // The first gradient fills the buffer undamped, as in PyTorch.
        let (keep, take) =
            if t == 1 { (F::zero(), F::one()) } else { (momentum, F::of(1.0 - self.dampening)) };
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
