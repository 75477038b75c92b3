//! LARS (You, Gitman & Ginsburg 2017): SGD with momentum whose rate is scaled for each weight by
//! ||theta|| / (||g|| + wd ||theta||). Biases and norms take plain steps. The weight decay is coupled
//! and enters after that ratio is taken.

use rayon::prelude::*;

use super::OptimConfig;
use super::clip::grad_norm;
use super::config::Decay;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Described, Rule, Update, hyperparameters};
use super::tensors::Tensors;

hyperparameters! {
    /// LARS's hyperparameters.
    struct LarsConfig {
        momentum: f64 = 0.9,
        nesterov: bool = false,
        trust_coefficient: f64 = 1e-3,
    }
}

/// LARS on the tensors of a network.
#[derive(Debug)]
pub(super) struct Lars {
    config: LarsConfig,
    tensors: Tensors,
}

impl Described for Lars {
    const WORDS: &'static str = "LARS";
    const LR: f64 = 0.1;
    const KEYS: &'static [&'static str] = LarsConfig::KEYS;

    fn write_out(config: &mut OptimConfig) {
        LarsConfig::write_out(config);
    }

    fn build<F: Real>(config: &OptimConfig, tensors: &Tensors) -> Box<dyn Rule<F>> {
        Box::new(Self { config: LarsConfig::of(config), tensors: tensors.clone() })
    }
}

impl<F: Real> Rule<F> for Lars {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("momentum_buffer", params)]
    }

    fn owns(&self, kind: Decay) -> bool {
        kind == Decay::Coupled
    }

    fn step(&self, u: Update<'_, F>) {
        let [buffer] = u.slots else { panic!("lars keeps one state vector") };
        let LarsConfig { momentum, nesterov, trust_coefficient } = self.config;
        let (lr, momentum) = (F::of(u.lr), F::of(momentum));
        let values = self
            .tensors
            .cut(u.theta)
            .into_iter()
            .zip(self.tensors.cut(u.grad))
            .zip(self.tensors.cut(buffer));
        let all: Vec<_> = self.tensors.0.iter().zip(values).collect();
        all.into_par_iter().for_each(|(tensor, ((theta, grad), buffer))| {
            let own = u.decay.kind == Decay::Coupled && u.decay.covers(tensor.range.start);
            let rate = if own { u.decay.rate } else { 0.0 };
            let mut trust = 1.0;
            if tensor.weight {
                let (of_theta, of_grad) = (grad_norm(theta), grad_norm(grad));
                let denominator = of_grad + rate * of_theta;
                if of_theta > 0.0 && denominator > 0.0 {
                    trust = trust_coefficient * of_theta / denominator;
                }
            }
            let (trust, wd) = (F::of(trust), F::of(rate));
            in_pieces(theta, grad, [buffer], &|theta, grad, [buffer]| {
                for ((w, &g), b) in theta.iter_mut().zip(grad).zip(buffer) {
                    let g = (g + wd * *w) * trust;
                    *b = momentum * *b + g;
                    *w -= lr * if nesterov { g + momentum * *b } else { *b };
                }
            });
        });
    }
}
