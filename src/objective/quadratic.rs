//! A quadratic of any number of parameters.

use super::{Evaluation, Objective};
use crate::Result;

/// f(theta) = 1/2 sum_i curvature_i (theta_i - centre_i)^2: its minimum and its Hessian are known,
/// so that a plane, a surface or a spectrum of it can be checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadratic {
    /// Hessian's diagonal, (P,).
    pub curvature: Vec<f64>,
    /// Where the minimum is, (P,).
    pub centre: Vec<f64>,
}

impl Objective for Quadratic {
    fn dim(&self) -> usize {
        self.curvature.len()
    }

    fn loss(&self, theta: &[f32]) -> Result<Evaluation> {
        let terms = theta.iter().zip(&self.curvature).zip(&self.centre);
        let loss = terms.map(|((t, k), c)| 0.5 * k * (f64::from(*t) - c).powi(2)).sum();
        Ok(Evaluation::exact(loss))
    }

    fn loss_and_grad(&self, theta: &[f32], grad: &mut [f32]) -> Result<f64> {
        for (((g, t), k), c) in grad.iter_mut().zip(theta).zip(&self.curvature).zip(&self.centre) {
            *g = (k * (f64::from(*t) - c)) as f32;
        }
        Ok(self.loss(theta)?.loss)
    }

    fn hvp(&self, _: &[f32], v: &[f32], out: &mut [f32]) -> Result<()> {
        for ((o, v), k) in out.iter_mut().zip(v).zip(&self.curvature) {
            *o = (k * f64::from(*v)) as f32;
        }
        Ok(())
    }
}
