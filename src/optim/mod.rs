//! Optimizers: update rules on the flat parameter vector, in place.
//!
//! A `Rule` is the elementwise arithmetic of one method and nothing else; [`Optimizer`] does what
//! every method shares, in PyTorch's order: the gradient is clipped, coupled decay adds
//! `weight_decay * theta` to it, decoupled decay shrinks `theta`, then the rule runs. State is
//! uniform: a step counter and named vectors as long as `theta`, so that a checkpoint writes any
//! rule's state as tensors. All arithmetic on elements is f32 in PyTorch's order; scalars that
//! multiply them are computed in f64 first. A NaN or an overflow in the gradient passes into
//! `theta`: the trainer decides whether a run has diverged.

mod adam;
mod adamw;
mod clip;
mod config;
mod pieces;
mod rmsprop;
mod schedule;
mod sgd;
mod stability;

pub use config::{Decay, DecayOn, OptimConfig, RuleName};
pub use schedule::{ScheduleConfig, ScheduleKind};

use std::fmt::Debug;
use std::ops::Range;

use crate::error::{Error, Result};
use clip::{clip_grad_norm, grad_norm};
use pieces::in_pieces;

/// A range of the flat parameter vector, and whether weight decay applies to it under
/// [`DecayOn::Weights`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamRange {
    /// The indices into `theta`.
    pub range: Range<usize>,
    /// True for weights (tensors with more than one dimension), false for biases and norms.
    pub decay: bool,
}

/// One update rule. Implementations hold hyperparameters only; state is passed in.
trait Rule: Debug + Send + Sync {
    /// The names of the state vectors, as PyTorch names them; each is as long as `theta` and
    /// starts at zero.
    fn slots(&self) -> &'static [&'static str];

    /// One update of `theta`, (P,), by `grad`, (P,), which is clipped and decayed already.
    /// `t` counts from 1; `slots` come in the order of [`Rule::slots`].
    fn step(&self, t: u64, lr: f64, slots: &mut [Vec<f32>], theta: &mut [f32], grad: &[f32]);
}

/// The figures of one [`Optimizer::step`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepStats {
    /// The gradient's L2 norm before clipping and decay.
    pub grad_norm: f64,
}

/// A rule with its state, weight decay and clipping.
#[derive(Debug)]
pub struct Optimizer {
    name: RuleName,
    rule: Box<dyn Rule>,
    t: u64,
    slots: Vec<Vec<f32>>,
    weight_decay: f64,
    decay: Decay,
    decayed: Vec<Range<usize>>,
    grad_clip: Option<f64>,
}

impl Optimizer {
    /// An optimizer at step 0 for `params` parameters. `ranges` say which of them are weights; they
    /// matter under [`DecayOn::Weights`] only, and parameters outside all of them do not decay.
    ///
    /// # Errors
    /// A [`Error::BadValue`] for a hyperparameter out of its range.
    ///
    /// # Panics
    /// If a range reaches beyond `params`.
    pub fn new(config: &OptimConfig, params: usize, ranges: &[ParamRange]) -> Result<Self> {
        let config = config.clone().resolve()?;
        let rule = config.rule();
        let decayed = match config.decay_on {
            DecayOn::All => std::iter::once(0..params).collect(),
            DecayOn::Weights => {
                ranges.iter().filter(|s| s.decay).map(|s| s.range.clone()).collect::<Vec<_>>()
            }
        };
        assert!(decayed.iter().all(|r| r.end <= params), "a range ends beyond the parameters");
        Ok(Self {
            name: config.rule,
            t: 0,
            slots: rule.slots().iter().map(|_| vec![0.0; params]).collect(),
            weight_decay: config.weight_decay(),
            decay: config.decay(),
            decayed,
            grad_clip: config.grad_clip,
            rule,
        })
    }

    /// One step: updates `theta`, (P,), in place at the learning rate `lr`; `grad`, (P,), is
    /// overwritten with what the rule saw (clipped, with coupled decay in it).
    ///
    /// # Panics
    /// If a length is not the P of [`Optimizer::new`].
    pub fn step(&mut self, theta: &mut [f32], grad: &mut [f32], lr: f64) -> StepStats {
        assert_eq!(theta.len(), grad.len(), "theta and grad differ in length");
        for slot in &self.slots {
            assert_eq!(theta.len(), slot.len(), "theta is not as long as the optimizer's state");
        }
        let grad_norm = match self.grad_clip {
            Some(max_norm) => clip_grad_norm(grad, max_norm),
            None => grad_norm(grad),
        };
        if self.weight_decay != 0.0 {
            for range in &self.decayed {
                self.apply_decay(&mut theta[range.clone()], &mut grad[range.clone()], lr);
            }
        }
        self.t += 1;
        self.rule.step(self.t, lr, &mut self.slots, theta, grad);
        StepStats { grad_norm }
    }

    fn apply_decay(&self, theta: &mut [f32], grad: &mut [f32], lr: f64) {
        match self.decay {
            // g <- g + wd theta
            Decay::Coupled => {
                let wd = self.weight_decay as f32;
                in_pieces(grad, theta, [], &|grad, theta, []| {
                    for (g, &w) in grad.iter_mut().zip(theta) {
                        *g += wd * w;
                    }
                });
            }
            // theta <- theta (1 - lr wd), Loshchilov & Hutter 2019
            Decay::Decoupled => {
                let keep = (1.0 - lr * self.weight_decay) as f32;
                in_pieces(theta, grad, [], &|theta, _, []| {
                    theta.iter_mut().for_each(|w| *w *= keep);
                });
            }
        }
    }

    /// The rule.
    pub fn rule(&self) -> RuleName {
        self.name
    }

    /// How many steps have been made.
    pub fn t(&self) -> u64 {
        self.t
    }

    /// The state vectors with their names, for a checkpoint; each is (P,).
    pub fn slots(&self) -> impl Iterator<Item = (&'static str, &[f32])> {
        self.rule.slots().iter().copied().zip(self.slots.iter().map(Vec::as_slice))
    }

    /// Puts back the state that [`Optimizer::t`] and [`Optimizer::slots`] gave, in any order;
    /// the next step is then bit for bit the one that would have followed.
    ///
    /// # Errors
    /// [`Error::BadValue`] when the names or lengths are not this rule's; the state is then as it
    /// was.
    pub fn restore<S: AsRef<str>>(
        &mut self,
        t: u64,
        slots: impl IntoIterator<Item = (S, Vec<f32>)>,
    ) -> Result<()> {
        let mut given: Vec<(S, Vec<f32>)> = slots.into_iter().collect();
        let refuse = |problem: String| {
            let remedy = "resume with the rule and the network that the checkpoint was made with";
            Err(Error::bad_value("optim.rule", self.name, problem, remedy))
        };
        let mut restored = Vec::with_capacity(self.slots.len());
        for (name, current) in self.rule.slots().iter().zip(&self.slots) {
            let Some(at) = given.iter().position(|(n, _)| n.as_ref() == *name) else {
                return refuse(format!("whose state `{name}` the checkpoint lacks"));
            };
            let (_, values) = given.swap_remove(at);
            if values.len() != current.len() {
                let (got, want) = (values.len(), current.len());
                return refuse(format!("whose state `{name}` holds {got} values, not {want}"));
            }
            restored.push(values);
        }
        if let Some((name, _)) = given.first() {
            return refuse(format!("which has no state `{}`", name.as_ref()));
        }
        self.t = t;
        self.slots = restored;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
