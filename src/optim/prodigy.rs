//! Prodigy (Mishchenko & Defazio 2023): Adam that estimates the distance to the solution, and so its
//! own rate, as the authors' `prodigyopt`. The learning rate is a factor on that estimate: leave it at 1.

use rayon::prelude::*;

use super::clip::abs_sum;
use super::config::Decay;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};

hyperparameters! {
    /// Prodigy's hyperparameters.
    struct Prodigy {
        beta1: f64 = 0.9,
        beta2: f64 = 0.999,
        eps: f64 = 1e-8,
        d0: f64 = 1e-6,
        d_coef: f64 = 1.0,
        growth_rate: f64 = f64::INFINITY,
        bias_correction: bool = false,
        safeguard_warmup: bool = false,
    }
}

described!(Prodigy: "Prodigy", lr 1.0, decay Decoupled 1e-2);

/// The sum of g (start - theta), in f64 in a fixed order.
fn progress<F: Real>(grad: &[F], start: &[F], theta: &[F]) -> f64 {
    const PIECE: usize = 1 << 14;
    let pieces = grad.par_chunks(PIECE).zip(start.par_chunks(PIECE).zip(theta.par_chunks(PIECE)));
    let partial: Vec<f64> = pieces
        .map(|(grad, (start, theta))| {
            let moved = start.iter().zip(theta).map(|(s, w)| s.f64() - w.f64());
            grad.iter().zip(moved).map(|(g, m)| g.f64() * m).sum::<f64>()
        })
        .collect();
    partial.iter().sum()
}

impl<F: Real> Rule<F> for Prodigy {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        ["exp_avg", "exp_avg_sq", "s", "p0"].map(|name| (name, params)).into()
    }

    fn scalars(&self) -> &'static [&'static str] {
        &["d", "d_max", "d_numerator"]
    }

    fn owns(&self, kind: Decay) -> bool {
        kind == Decay::Decoupled
    }

    fn step(&self, Update { t, lr, theta, grad, slots, scalars, decay, .. }: Update<'_, F>) {
        let [m, v, s, start] = slots else { panic!("prodigy keeps four state vectors") };
        let [d, d_max, numerator] = scalars else { panic!("prodigy keeps three scalars") };
        if t == 1 {
            start.copy_from_slice(theta);
            (*d, *d_max) = (self.d0, self.d0);
        }
        // A warm-up from a rate of nothing.
        if lr == 0.0 {
            return;
        }
        let beta3 = self.beta2.sqrt();
        let power = |beta: f64| 1.0 - beta.powf(t as f64);
        let correction =
            if self.bias_correction { power(self.beta2).sqrt() / power(self.beta1) } else { 1.0 };
        let before = *d;
        let rate = before * lr * correction;
        let gained = (before / self.d0) * rate * progress(grad, start, theta);
        let of_s = (before / self.d0) * if self.safeguard_warmup { before } else { rate };
        let [keep_m, keep_v, keep_s] = [self.beta1, self.beta2, beta3].map(F::of);
        let take_m = F::of(before * (1.0 - self.beta1));
        let take_v = F::of(before * before * (1.0 - self.beta2));
        let take_s = F::of(of_s);
        in_pieces(m, grad, [v, s], &|m, grad, [v, s]| {
            for ((m, &g), (v, s)) in m.iter_mut().zip(grad).zip(v.iter_mut().zip(s)) {
                *m = keep_m * *m + take_m * g;
                *v = keep_v * *v + take_v * g * g;
                *s = keep_s * *s + take_s * g;
            }
        });
        let denominator = abs_sum(s);
        if denominator == 0.0 {
            return;
        }
        *numerator = *numerator * beta3 + gained;
        let estimate = self.d_coef * *numerator / denominator;
        if *d == self.d0 {
            *d = d.max(estimate);
        }
        *d_max = d_max.max(estimate);
        *d = d_max.min(*d * self.growth_rate);
        if decay.kind == Decay::Decoupled {
            decay.shrink(theta, 1.0 - decay.rate * rate);
        }
        let (rate, eps) = (F::of(rate), F::of(*d * self.eps));
        in_pieces(theta, m, [v], &|theta, m, [v]| {
            for ((w, &m), v) in theta.iter_mut().zip(m).zip(v) {
                *w -= rate * m / (v.sqrt() + eps);
            }
        });
    }
}
