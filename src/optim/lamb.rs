//! LAMB (You et al. 2020, algorithm 2), as `optax.lamb`: Adam's step, with decay in it, scaled for
//! each tensor to the length of that tensor.

use rayon::prelude::*;

use super::OptimConfig;
use super::clip::grad_norm;
use super::config::Decay;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Described, Rule, Update, hyperparameters};
use super::tensors::Tensors;

hyperparameters! {
    /// LAMB's hyperparameters.
    struct LambConfig {
        beta1: f64 = 0.9,
        beta2: f64 = 0.999,
        eps: f64 = 1e-6,
    }
}

/// LAMB on the tensors of a network.
#[derive(Debug)]
pub(super) struct Lamb {
    config: LambConfig,
    tensors: Tensors,
}

impl Described for Lamb {
    const WORDS: &'static str = "LAMB";
    const LR: f64 = 1e-3;
    const WEIGHT_DECAY: f64 = 1e-2;
    const DECAY: Decay = Decay::Decoupled;
    const KEYS: &'static [&'static str] = LambConfig::KEYS;

    fn write_out(config: &mut OptimConfig) {
        LambConfig::write_out(config);
    }

    fn build<F: Real>(config: &OptimConfig, tensors: &Tensors) -> Box<dyn Rule<F>> {
        Box::new(Self { config: LambConfig::of(config), tensors: tensors.clone() })
    }
}

impl<F: Real> Rule<F> for Lamb {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("exp_avg", params), ("exp_avg_sq", params)]
    }

    fn owns(&self, kind: Decay) -> bool {
        kind == Decay::Decoupled
    }

    fn step(&self, u: Update<'_, F>) {
        let [m, v] = u.slots else { panic!("lamb keeps two state vectors") };
        let LambConfig { beta1, beta2, eps } = self.config;
        let correction = |beta: f64| F::of(1.0 - beta.powf(u.t as f64));
        let (correction1, correction2) = (correction(beta1), correction(beta2));
        let (take_m, keep_v, take_v) = (F::of(1.0 - beta1), F::of(beta2), F::of(1.0 - beta2));
        let eps = F::of(eps);
        let state = self.tensors.cut(m).into_iter().zip(self.tensors.cut(v));
        let values = self.tensors.cut(u.theta).into_iter().zip(self.tensors.cut(u.grad)).zip(state);
        let all: Vec<_> = self.tensors.0.iter().zip(values).collect();
        all.into_par_iter().for_each(|(tensor, ((theta, grad), (m, v)))| {
            let own = u.decay.kind == Decay::Decoupled && u.decay.covers(tensor.range.start);
            let wd = F::of(if own { u.decay.rate } else { 0.0 });
            // The gradient becomes the step: m_hat / (sqrt(v_hat) + eps) + wd theta.
            in_pieces(grad, theta, [m, v], &|grad, theta, [m, v]| {
                for (((g, &w), m), v) in grad.iter_mut().zip(theta).zip(m).zip(v) {
                    *m += take_m * (*g - *m);
                    *v = keep_v * *v + take_v * *g * *g;
                    *g = (*m / correction1) / ((*v / correction2).sqrt() + eps) + wd * w;
                }
            });
            let (of_theta, of_step) = (grad_norm(theta), grad_norm(grad));
            let trust = if of_theta == 0.0 || of_step == 0.0 { 1.0 } else { of_theta / of_step };
            let lr = F::of(u.lr * trust);
            in_pieces(theta, grad, [], &|theta, step, []| {
                for (w, &s) in theta.iter_mut().zip(step) {
                    *w -= lr * s;
                }
            });
        });
    }
}
