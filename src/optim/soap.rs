//! SOAP (Vyas et al. 2024): Adam in the eigenbasis of Shampoo's matrices, as the authors' code.
//!
//! Each dimension of a weight of up to `max_dim` has a matrix; vectors have none and follow Adam. Every
//! `precondition_frequency` steps one power iteration and a QR decomposition (here in f64) move the
//! bases. The first step only measures the matrices and leaves theta where it is. Decoupled decay
//! acts after the update.

use ndarray::Axis;
use rayon::prelude::*;

use super::OptimConfig;
use super::config::Decay;
use super::decay::scale;
use super::factors::{Factored, eigen, orthogonal_factor, square, square_mut};
use super::real::Real;
use super::rule::{Described, Rule, Update, hyperparameters};
use super::tensors::{Tensors, cut};

hyperparameters! {
    /// SOAP's hyperparameters.
    struct SoapConfig {
        beta1: f64 = 0.95,
        beta2: f64 = 0.95,
        eps: f64 = 1e-8,
        precondition_frequency: u64 = 10,
        max_dim: u64 = 1024,
    }
}

/// SOAP on the tensors of a network.
#[derive(Debug)]
pub(super) struct Soap {
    config: SoapConfig,
    tensors: Tensors,
    factored: Vec<Factored>,
}

impl Described for Soap {
    const WORDS: &'static str = "SOAP";
    const LR: f64 = 3e-3;
    const WEIGHT_DECAY: f64 = 1e-2;
    const DECAY: Decay = Decay::Decoupled;
    const KEYS: &'static [&'static str] = SoapConfig::KEYS;

    fn write_out(config: &mut OptimConfig) {
        SoapConfig::write_out(config);
    }

    fn build<F: Real>(config: &OptimConfig, tensors: &Tensors) -> Box<dyn Rule<F>> {
        let config = SoapConfig::of(config);
        let factored = Factored::all(tensors, config.max_dim, false);
        Box::new(Self { config, tensors: tensors.clone(), factored })
    }
}

/// The state of one tensor. `m` is kept in the eigenbasis.
struct State<'a, F> {
    m: &'a mut [F],
    v: &'a mut [F],
    grams: &'a mut [F],
    bases: &'a mut [F],
}

/// Takes `data` into the eigenbasis (Q^T along each dimension), or out of it (Q).
fn rotate<F: Real>(tensor: &Factored, bases: &[F], into: bool, data: &mut [F], room: &mut Vec<F>) {
    for (mode, range) in tensor.factors() {
        let q = square(&bases[range], mode.size);
        mode.multiply(if into { q.reversed_axes() } else { q }, data, room);
    }
}

impl Soap {
    /// `step` counts the updates, which begin with the second gradient; `grad` is overwritten.
    fn update<F: Real>(
        &self,
        step: u64,
        lr: f64,
        tensor: &Factored,
        state: State<'_, F>,
        theta: &mut [F],
        grad: &mut [F],
    ) {
        let State { m, v, grams, bases } = state;
        let SoapConfig { beta1, beta2, eps, precondition_frequency, .. } = self.config;
        let mut room = Vec::new();
        if step > 0 {
            let correction = |beta: f64| 1.0 - beta.powf(step as f64);
            let step_size = F::of(lr * correction(beta2).sqrt() / correction(beta1));
            let [keep_m, keep_v] = [beta1, beta2].map(F::of);
            let [take_m, take_v] = [beta1, beta2].map(|b| F::of(1.0 - b));
            let eps = F::of(eps);
            let mut rotated = grad.to_vec();
            rotate(tensor, bases, true, &mut rotated, &mut room);
            for ((g, m), v) in rotated.iter_mut().zip(&mut *m).zip(&mut *v) {
                *m = keep_m * *m + take_m * *g;
                *v = keep_v * *v + take_v * *g * *g;
                *g = *m / (v.sqrt() + eps);
            }
            rotate(tensor, bases, false, &mut rotated, &mut room);
            theta.iter_mut().zip(&rotated).for_each(|(w, &s)| *w -= step_size * s);
        }
        for (mode, range) in tensor.factors() {
            mode.add_gram(F::of(beta2), F::of(1.0 - beta2), grad, &mut grams[range]);
        }
        if step == 0 {
            for (mode, range) in tensor.factors() {
                let n = mode.size;
                let found = eigen(square(&grams[range.clone()], n));
                let q = found.map_or_else(|| ndarray::Array2::eye(n), |(_, vectors)| vectors);
                square_mut(&mut bases[range], n).zip_mut_with(&q, |out, &v| *out = F::of(v));
            }
        } else if step.is_multiple_of(precondition_frequency) {
            rotate(tensor, bases, false, m, &mut room);
            for (mode, range) in tensor.factors() {
                let (gram, n) = (square(&grams[range.clone()], mode.size), mode.size);
                let basis = square(&bases[range.clone()], n);
                let product = gram.dot(&basis);
                // The diagonal of Q^T G Q: estimates of the eigenvalues.
                let estimates = (&basis * &product).sum_axis(Axis(0)).mapv(Real::f64);
                let mut order: Vec<usize> = (0..n).collect();
                order.sort_by(|&a, &b| estimates[b].total_cmp(&estimates[a]));
                let power = product.select(Axis(1), &order);
                let Some(q) = orthogonal_factor(power.view()) else { continue };
                mode.reorder(&order, v, &mut room);
                square_mut(&mut bases[range], n).zip_mut_with(&q, |out, &v| *out = F::of(v));
            }
            rotate(tensor, bases, true, m, &mut room);
        }
    }
}

impl<F: Real> Rule<F> for Soap {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        let len = self.factored.iter().map(|f| f.len).sum();
        vec![("exp_avg", params), ("exp_avg_sq", params), ("precondition", len), ("basis", len)]
    }

    fn owns(&self, kind: Decay) -> bool {
        kind == Decay::Decoupled
    }

    fn step(&self, u: Update<'_, F>) {
        let [m, v, grams, bases] = u.slots else { panic!("soap keeps four state vectors") };
        let lens = || self.factored.iter().map(|f| f.len);
        let moments = self.tensors.cut(m).into_iter().zip(self.tensors.cut(v));
        let factors = cut(grams, lens()).into_iter().zip(cut(bases, lens()));
        let values = self.tensors.cut(u.theta).into_iter().zip(self.tensors.cut(u.grad));
        let tensors = self.tensors.0.iter().zip(&self.factored);
        let all: Vec<_> = tensors.zip(values).zip(moments.zip(factors)).collect();
        all.into_par_iter().for_each(|(((tensor, factored), (theta, grad)), state)| {
            let ((m, v), (grams, bases)) = state;
            let state = State { m, v, grams, bases };
            self.update(u.t - 1, u.lr, factored, state, theta, grad);
            let decays = u.decay.kind == Decay::Decoupled && u.decay.covers(tensor.range.start);
            if decays && u.t > 1 {
                scale(theta, F::of(1.0 - u.lr * u.decay.rate));
            }
        });
    }
}
