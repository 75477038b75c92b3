//! MARS (Yuan et al. 2024), its AdamW form with the approximate correction, as the authors' code:
//! weights follow AdamW on a gradient corrected by its change since the step before, the other
//! parameters AdamW at a rate of its own.

use rayon::prelude::*;

use super::OptimConfig;
use super::adam::Adam;
use super::clip::grad_norm;
use super::config::Decay;
use super::decay::scale;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Described, Rule, Update, hyperparameters};
use super::tensors::Tensors;

hyperparameters! {
    /// MARS's hyperparameters.
    struct MarsConfig {
        beta1: f64 = 0.95,
        beta2: f64 = 0.99,
        eps: f64 = 1e-8,
        gamma: f64 = 0.025,
        adamw_lr: f64 = 3e-3,
        adamw_beta1: f64 = 0.9,
        adamw_beta2: f64 = 0.95,
    }
}

/// MARS on the tensors of a network.
#[derive(Debug)]
pub(super) struct Mars {
    config: MarsConfig,
    tensors: Tensors,
}

impl Described for Mars {
    const WORDS: &'static str = "MARS";
    const LR: f64 = 3e-3;
    const WEIGHT_DECAY: f64 = 1e-2;
    const DECAY: Decay = Decay::Decoupled;
    const KEYS: &'static [&'static str] = MarsConfig::KEYS;

    fn write_out(config: &mut OptimConfig) {
        MarsConfig::write_out(config);
    }

    fn build<F: Real>(config: &OptimConfig, tensors: &Tensors) -> Box<dyn Rule<F>> {
        Box::new(Self { config: MarsConfig::of(config), tensors: tensors.clone() })
    }
}

impl Mars {
    /// Turns `grad` into c = g + gamma b1 / (1 - b1) (g - g_last), of norm 1 at most, and `last`
    /// into the gradient.
    fn correct<F: Real>(&self, grad: &mut [F], last: &mut [F]) {
        let MarsConfig { beta1, gamma, .. } = self.config;
        let weight = F::of(gamma * (beta1 / (1.0 - beta1)));
        in_pieces(grad, &[], [last], &|grad, _, [last]| {
            for (g, last) in grad.iter_mut().zip(last) {
                let now = *g;
                *g = (now - *last) * weight + now;
                *last = now;
            }
        });
        let norm = grad_norm(grad);
        if norm > 1.0 {
            scale(grad, F::of(1.0 / norm));
        }
    }
}

impl<F: Real> Rule<F> for Mars {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("exp_avg", params), ("exp_avg_sq", params), ("last_grad", params)]
    }

    fn owns(&self, kind: Decay) -> bool {
        kind == Decay::Decoupled
    }

    fn step(&self, u: Update<'_, F>) {
        let [m, v, last] = u.slots else { panic!("mars keeps three state vectors") };
        let MarsConfig { beta1, beta2, eps, adamw_lr, adamw_beta1, adamw_beta2, .. } = self.config;
        let (of_weights, of_others) =
            (Adam { beta1, beta2, eps }, Adam { beta1: adamw_beta1, beta2: adamw_beta2, eps });
        let rates = [u.lr, adamw_lr * u.scheduled];
        let state =
            self.tensors.cut(m).into_iter().zip(self.tensors.cut(v)).zip(self.tensors.cut(last));
        let values = self.tensors.cut(u.theta).into_iter().zip(self.tensors.cut(u.grad));
        let all: Vec<_> = self.tensors.0.iter().zip(values).zip(state).collect();
        all.into_par_iter().for_each(|((tensor, (theta, grad)), ((m, v), last))| {
            let lr = rates[usize::from(!tensor.weight)];
            if u.decay.kind == Decay::Decoupled && u.decay.covers(tensor.range.start) {
                scale(theta, F::of(1.0 - lr * u.decay.rate));
            }
            if tensor.weight {
                self.correct(grad, last);
                of_weights.update(u.t, lr, [m, v], theta, grad);
            } else {
                of_others.update(u.t, lr, [m, v], theta, grad);
            }
        });
    }
}
