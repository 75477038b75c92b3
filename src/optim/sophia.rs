//! Sophia (Liu et al. 2023), its Sophia-H form: momentum over an estimate of the Hessian's diagonal,
//! each entry of the step bounded by 1.
//!
//! Every `hessian_every` steps the diagonal is estimated by Hutchinson's u * (H u), u being random
//! signs, with H u a central difference of two more gradients of the same batch (the authors
//! differentiate twice and draw u from a normal distribution). Decay is not part of that Hessian.

use super::batch::BatchLoss;
use super::clip::grad_norm;
use super::config::Decay;
use super::pieces::in_pieces;
use super::real::Real;
use super::rule::{Rule, Update, described, hyperparameters};
use crate::error::Result;

hyperparameters! {
    /// Sophia's hyperparameters.
    struct Sophia {
        beta1: f64 = 0.965,
        beta2: f64 = 0.99,
        gamma: f64 = 0.01,
        eps: f64 = 1e-12,
        hessian_every: u64 = 10,
    }
}

described!(Sophia: "Sophia", lr 1e-3, decay Decoupled 1e-1);

/// u * (H u) at `theta`, for the signs `u`: a central difference of gradients at a distance of
/// `1e-3 (1 + ||theta||)`.
fn diagonal<F: Real>(theta: &[F], u: &[F], batch: &mut dyn BatchLoss<F>) -> Result<Vec<F>> {
    let h = 1e-3 * (1.0 + grad_norm(theta)) / (theta.len() as f64).sqrt();
    let (mut above, mut below) = (vec![F::zero(); theta.len()], vec![F::zero(); theta.len()]);
    let mut point = vec![F::zero(); theta.len()];
    for (sign, grad) in [(h, &mut above), (-h, &mut below)] {
        let pairs = theta.iter().zip(u);
        let moved = pairs.map(|(w, u)| F::of(w.f64() + sign * u.f64()));
        point.iter_mut().zip(moved).for_each(|(p, w)| *p = w);
        batch.loss_and_grad(&point, grad)?;
    }
    let pairs = above.iter_mut().zip(&below).zip(u);
    pairs.for_each(|((a, b), u)| *a = F::of((a.f64() - b.f64()) / (2.0 * h) * u.f64()));
    Ok(above)
}

impl<F: Real> Rule<F> for Sophia {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        vec![("exp_avg", params), ("hessian", params)]
    }

    /// So that the Hessian is that at the point of the gradient.
    fn owns(&self, kind: Decay) -> bool {
        kind == Decay::Decoupled
    }

    fn needs_batch(&self) -> bool {
        true
    }

    fn step_on(
        &self,
        Update { t, lr, theta, grad, slots, decay, .. }: Update<'_, F>,
        _: f64,
        batch: &mut dyn BatchLoss<F>,
    ) -> Result<()> {
        let [m, h] = slots else { panic!("sophia keeps two state vectors") };
        if (t - 1).is_multiple_of(self.hessian_every) {
            let mut signs = vec![F::zero(); theta.len()];
            batch.probe(t, &mut signs);
            let estimate = diagonal(theta, &signs, batch)?;
            let take = F::of(1.0 - self.beta2);
            in_pieces(h, &estimate, [], &|h, estimate, []| {
                for (h, &e) in h.iter_mut().zip(estimate) {
                    *h += take * (e - *h);
                }
            });
        }
        if decay.kind == Decay::Decoupled {
            decay.shrink(theta, 1.0 - lr * decay.rate);
        }
        let (lr, take) = (F::of(lr), F::of(1.0 - self.beta1));
        let (gamma, eps, one) = (F::of(self.gamma), F::of(self.eps), F::one());
        in_pieces(theta, grad, [m, h], &|theta, grad, [m, h]| {
            for (((w, &g), m), h) in theta.iter_mut().zip(grad).zip(m).zip(h) {
                *m += take * (g - *m);
                // theta <- theta - lr clip(m / max(gamma h, eps), 1)
                let curvature = gamma * *h;
                let step = *m / if curvature > eps { curvature } else { eps };
                let bounded = if step > one {
                    one
                } else if step < -one {
                    -one
                } else {
                    step
                };
                *w -= lr * bounded;
            }
        });
        Ok(())
    }
}
