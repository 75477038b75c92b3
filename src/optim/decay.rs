//! Weight decay, in the three ways a spec can ask for.

use std::ops::Range;

use rayon::prelude::*;

use super::clip::{abs_sum, dot};
use super::config::Decay;
use super::pieces::in_pieces;
use super::real::{Real, sign};

/// How strongly, in which way and which parameters decay.
#[derive(Debug, Clone)]
pub(super) struct WeightDecay {
    pub rate: f64,
    pub kind: Decay,
    /// The ranges of the parameters that decay, in order.
    pub on: Vec<Range<usize>>,
}

impl WeightDecay {
    /// Whether there is any.
    pub fn is_on(&self) -> bool {
        self.rate != 0.0
    }

    /// Whether the parameter at `index` decays.
    pub fn covers(&self, index: usize) -> bool {
        self.is_on() && self.on.iter().any(|range| range.contains(&index))
    }

    /// Adds `rate * theta` to `grad`, both (P,), or `rate * sign(theta)` where the kind is
    /// [`Decay::L1`].
    pub fn add_to<F: Real>(&self, grad: &mut [F], theta: &[F]) {
        if !self.is_on() {
            return;
        }
        let wd = F::of(self.rate);
        let l1 = self.kind == Decay::L1;
        for range in &self.on {
            in_pieces(&mut grad[range.clone()], &theta[range.clone()], [], &|grad, theta, []| {
                if l1 {
                    for (g, &w) in grad.iter_mut().zip(theta) {
                        *g += wd * sign(w);
                    }
                } else {
                    for (g, &w) in grad.iter_mut().zip(theta) {
                        *g += wd * w;
                    }
                }
            });
        }
    }

    /// Multiplies what decays of `theta`, (P,), by `factor`: 1 - lr wd (Loshchilov & Hutter 2019).
    pub fn shrink<F: Real>(&self, theta: &mut [F], factor: f64) {
        if !self.is_on() {
            return;
        }
        let factor = F::of(factor);
        for range in &self.on {
            scale(&mut theta[range.clone()], factor);
        }
    }

    /// What decay adds to the loss: `rate / 2 ||theta||^2`, or `rate ||theta||_1`.
    pub fn penalty<F: Real>(&self, theta: &[F]) -> f64 {
        if !self.is_on() {
            return 0.0;
        }
        let parts = self.on.iter().map(|range| &theta[range.clone()]);
        match self.kind {
            Decay::L1 => self.rate * parts.map(abs_sum).sum::<f64>(),
            _ => 0.5 * self.rate * parts.map(|part| dot(part, part)).sum::<f64>(),
        }
    }
}

/// Multiplies every element of `values` by `factor`.
pub(super) fn scale<F: Real>(values: &mut [F], factor: F) {
    values.par_chunks_mut(1 << 15).for_each(|piece| piece.iter_mut().for_each(|w| *w *= factor));
}
