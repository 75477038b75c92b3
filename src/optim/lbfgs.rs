//! L-BFGS (Liu & Nocedal 1989) with a line search for the strong Wolfe conditions, as one iteration
//! a step of `torch.optim.LBFGS(line_search_fn="strong_wolfe")`. For the full batch only: a step of
//! another batch would compare two functions. Decay, coupled or L1, is part of the function that is
//! searched.

use super::OptimConfig;
use super::batch::BatchLoss;
use super::clip::{abs_sum, dot};
use super::config::Decay;
use super::decay::WeightDecay;
use super::real::Real;
use super::rule::{Described, Rule, Update, hyperparameters};
use super::tensors::Tensors;
use super::wolfe::{Search, Trial, strong_wolfe};
use crate::error::{Error, Result};

/// PyTorch's: the largest entry of a gradient that is zero, and the slope that is.
const TOLERANCE_GRAD: f64 = 1e-7;
const TOLERANCE_CHANGE: f64 = 1e-9;

hyperparameters! {
    /// L-BFGS's hyperparameters.
    struct Lbfgs {
        history: u64 = 10,
        max_evaluations: u64 = 25,
    }
}

impl Described for Lbfgs {
    const WORDS: &'static str = "L-BFGS";
    const LR: f64 = 1.0;
    const WEIGHT_DECAY: f64 = 5e-4;
    const DECAY: Decay = Decay::Coupled;
    const KEYS: &'static [&'static str] = Self::KEYS;

    fn write_out(config: &mut OptimConfig) {
        Self::write_out(config);
    }

    fn check(config: &OptimConfig) -> Result<()> {
        if config.decay == Some(Decay::Decoupled) {
            return Err(Error::bad_value(
                "optim.decay",
                Decay::Decoupled,
                "but the line search of lbfgs needs decay to be part of the loss",
                "set optim.decay to coupled or l1",
            ));
        }
        if let Some(clip) = config.grad_clip {
            return Err(Error::bad_value(
                "optim.grad_clip",
                clip,
                "but the line search of lbfgs needs the gradient of the loss as it is",
                "leave the key out",
            ));
        }
        Ok(())
    }

    fn build<F: Real>(config: &OptimConfig, _: &Tensors) -> Box<dyn Rule<F>> {
        Box::new(Self::of(config))
    }
}

/// The batch's loss with decay in it.
struct Decayed<'a, F: Real> {
    batch: &'a mut dyn BatchLoss<F>,
    decay: &'a WeightDecay,
}

impl<F: Real> Decayed<'_, F> {
    fn loss_and_grad(&mut self, theta: &[F], grad: &mut [F]) -> Result<f64> {
        let loss = self.batch.loss_and_grad(theta, grad)?;
        self.decay.add_to(grad, theta);
        Ok(loss + self.decay.penalty(theta))
    }
}

fn largest<F: Real>(values: &[F]) -> f64 {
    values.iter().fold(0.0, |largest, v| largest.max(v.f64().abs()))
}

/// y <- y + rate x
fn add<F: Real>(y: &mut [F], rate: f64, x: &[F]) {
    let rate = F::of(rate);
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += rate * x);
}

/// The last pairs of steps and changes of the gradient, in rings of vectors.
struct History<'a, F> {
    changes: &'a mut [F],
    steps: &'a mut [F],
    /// 1 / (change . step) of each.
    inverse: &'a mut [F],
    params: usize,
    /// Pairs ever stored.
    stored: &'a mut f64,
}

impl<F: Real> History<'_, F> {
    fn place(&self, number: u64) -> usize {
        (number % self.inverse.len() as u64) as usize
    }

    fn part(&self, place: usize) -> std::ops::Range<usize> {
        place * self.params..(place + 1) * self.params
    }

    fn push(&mut self, change: &[F], step: &[F], product: f64) {
        let place = self.place(*self.stored as u64);
        let part = self.part(place);
        self.changes[part.clone()].copy_from_slice(change);
        self.steps[part].copy_from_slice(step);
        self.inverse[place] = F::of(1.0 / product);
        *self.stored += 1.0;
    }

    /// The inverse Hessian's estimate times -`grad` (the two loops of Nocedal 1980), over `out`.
    fn direction(&self, grad: &[F], diagonal: f64, out: &mut [F]) {
        out.iter_mut().zip(grad).for_each(|(o, &g)| *o = -g);
        let stored = *self.stored as u64;
        let numbers = stored.saturating_sub(self.inverse.len() as u64)..stored;
        let mut shares = Vec::new();
        for number in numbers.clone().rev() {
            let place = self.place(number);
            let part = self.part(place);
            let share = dot(&self.steps[part.clone()], out) * self.inverse[place].f64();
            add(out, -share, &self.changes[part]);
            shares.push(share);
        }
        let diagonal = F::of(diagonal);
        out.iter_mut().for_each(|o| *o *= diagonal);
        for (number, share) in numbers.zip(shares.into_iter().rev()) {
            let place = self.place(number);
            let part = self.part(place);
            let back = dot(&self.changes[part.clone()], out) * self.inverse[place].f64();
            add(out, share - back, &self.steps[part]);
        }
    }
}

impl<F: Real> Rule<F> for Lbfgs {
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)> {
        let history = self.history as usize;
        vec![
            ("gradient_changes", history * params),
            ("steps", history * params),
            ("inverse_products", history),
            ("direction", params),
            ("previous_grad", params),
        ]
    }

    fn scalars(&self) -> &'static [&'static str] {
        &["iterations", "stored", "step_length", "diagonal"]
    }

    fn owns(&self, _: Decay) -> bool {
        true
    }

    fn needs_batch(&self) -> bool {
        true
    }

    fn step_on(
        &self,
        Update { lr, theta, grad, slots, scalars, decay, .. }: Update<'_, F>,
        loss: f64,
        batch: &mut dyn BatchLoss<F>,
    ) -> Result<()> {
        let [changes, steps, inverse, direction, previous] = slots else {
            panic!("lbfgs keeps five state vectors")
        };
        let [iterations, stored, length, diagonal] = scalars else {
            panic!("lbfgs keeps four scalars")
        };
        decay.add_to(grad, theta);
        let loss = loss + decay.penalty(theta);
        if largest(grad) <= TOLERANCE_GRAD {
            return Ok(());
        }
        *iterations += 1.0;
        let params = theta.len();
        let mut history = History { changes, steps, inverse, params, stored };
        if *iterations == 1.0 {
            direction.iter_mut().zip(&*grad).for_each(|(d, &g)| *d = -g);
            *diagonal = 1.0;
        } else {
            previous.iter_mut().zip(&*grad).for_each(|(p, &g)| *p = g - *p);
            let rate = F::of(*length);
            direction.iter_mut().for_each(|d| *d *= rate);
            let product = dot(previous, direction);
            if product > 1e-10 {
                history.push(previous, direction, product);
                *diagonal = product / dot(previous, previous);
            }
            history.direction(grad, *diagonal, direction);
        }
        previous.copy_from_slice(grad);
        *length = if *iterations == 1.0 { (1.0 / abs_sum(grad)).min(1.0) * lr } else { lr };
        let slope = dot(grad, direction);
        if slope > -TOLERANCE_CHANGE {
            return Ok(());
        }
        let mut function = Decayed { batch, decay };
        let mut point = vec![F::zero(); params];
        let start = Trial { length: 0.0, loss, slope };
        let search = Search {
            first: *length,
            largest: largest(direction),
            most: self.max_evaluations,
            tolerance: TOLERANCE_CHANGE,
        };
        let found = strong_wolfe(search, start, |length| {
            point.copy_from_slice(theta);
            add(&mut point, length, direction);
            let loss = function.loss_and_grad(&point, grad)?;
            Ok(Trial { length, loss, slope: dot(grad, direction) })
        })?;
        *length = found.length;
        add(theta, found.length, direction);
        Ok(())
    }
}
