//! What the Schedule-Free rules share (Defazio et al. 2024, "The Road Less Scheduled"), as the
//! authors' `schedulefree`: theta is x, the average that is evaluated and recorded; z takes the steps;
//! the gradient is taken at y = (1 - beta) z + beta x.

use super::config::Decay;
use super::decay::WeightDecay;
use super::pieces::in_pieces;
use super::real::{Real, sign};

/// The scalars of the state: the largest rate so far, and the sum of the average's weights.
pub(super) const SCALARS: &[&str] = &["lr_max", "weight_sum"];

/// How the average weighs a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Averaging {
    pub beta: f64,
    pub warmup_steps: u64,
    pub r: f64,
    pub weight_lr_power: f64,
}

impl Averaging {
    /// The rate of step `t`, warmed up, and the share of the new z in the average.
    pub fn at(&self, t: u64, lr: f64, scalars: &mut [f64]) -> (f64, f64) {
        let [lr_max, weight_sum] = scalars else { panic!("the average keeps two scalars") };
        let warm = t <= self.warmup_steps;
        let lr = if warm { lr * t as f64 / self.warmup_steps as f64 } else { lr };
        *lr_max = lr_max.max(lr);
        let weight = (t as f64).powf(self.r) * lr_max.powf(self.weight_lr_power);
        *weight_sum += weight;
        (lr, if *weight_sum == 0.0 { 0.0 } else { weight / *weight_sum })
    }

    /// Writes y over `out`.
    pub fn point<F: Real>(&self, z: &[F], x: &[F], out: &mut [F]) {
        out.copy_from_slice(z);
        let beta = F::of(self.beta);
        in_pieces(out, x, [], &|out, x, []| {
            for (y, &x) in out.iter_mut().zip(x) {
                *y += beta * (x - *y);
            }
        });
    }

    /// Adds the decay at y to `grad`.
    pub fn decay<F: Real>(&self, decay: &WeightDecay, z: &mut [F], x: &[F], grad: &mut [F]) {
        if !decay.is_on() {
            return;
        }
        let (beta, wd, l1) = (F::of(self.beta), F::of(decay.rate), decay.kind == Decay::L1);
        for range in &decay.on {
            let [grad, z] = [&mut *grad, &mut *z].map(|v| &mut v[range.clone()]);
            in_pieces(grad, &x[range.clone()], [z], &|grad, x, [z]| {
                for ((g, &x), z) in grad.iter_mut().zip(x).zip(z) {
                    let y = *z + beta * (x - *z);
                    *g += wd * if l1 { sign(y) } else { y };
                }
            });
        }
    }

    /// z <- z - lr step;  x <- x + share (z - x)
    pub fn advance<F: Real>(lr: f64, share: f64, z: &mut [F], x: &mut [F], step: &[F]) {
        let (lr, share) = (F::of(lr), F::of(share));
        in_pieces(x, step, [z], &|x, step, [z]| {
            for ((x, &s), z) in x.iter_mut().zip(step).zip(z) {
                *z -= lr * s;
                *x += share * (*z - *x);
            }
        });
    }
}
