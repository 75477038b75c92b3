//! Optimizers: update rules on the flat parameter vector, in place.
//!
//! A `Rule` is the arithmetic of one method and nothing else; [`Optimizer`] does what every method
//! shares, in PyTorch's order: the gradient is clipped, coupled decay adds `weight_decay * theta` to it,
//! decoupled decay shrinks `theta`, then the rule runs. A rule whose reference has decay in another
//! place applies it itself. State is uniform: a step counter, named vectors of any length and named
//! scalars, so that a checkpoint writes any rule's state as tensors. All arithmetic on elements is in
//! their type, f32 in training, in PyTorch's order; scalars that multiply them are computed in f64
//! first, and so are sums over many elements, in an order that does not depend on the threads. A NaN or
//! an overflow in the gradient passes into `theta`: the trainer decides whether a run has diverged.

mod adadelta;
mod adagrad;
mod adam;
mod adamw;
mod adan;
mod ademamix;
mod adopt;
mod batch;
mod clip;
mod config;
mod decay;
mod factors;
mod keys;
mod lamb;
mod lars;
mod lbfgs;
mod lion;
mod mars;
mod muon;
mod nadam;
mod pieces;
mod prodigy;
mod radam;
mod real;
mod resolve;
mod rmsprop;
mod rule;
mod rules;
mod sam;
mod schedule;
mod schedule_free;
mod schedule_free_adamw;
mod schedule_free_sgd;
mod sgd;
mod shampoo;
mod soap;
mod sophia;
mod stability;
mod table;
mod tensors;
mod wolfe;

pub use batch::BatchLoss;
pub use config::{Decay, DecayOn, MuonScale, OptimConfig, RuleName};
pub use real::Real;
pub use schedule::{DecayShape, ScheduleConfig, ScheduleKind};
pub use tensors::ParamRange;

use crate::error::{Error, Result};
use clip::{clip_grad_norm, grad_norm};
use decay::WeightDecay;
use rule::{Rule, Update};
use sam::Sam;
use tensors::Tensors;

/// The figures of one [`Optimizer::step`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepStats {
    /// The L2 norm of the first gradient, before clipping and decay.
    pub grad_norm: f64,
}

/// A rule with its state, weight decay and clipping, on parameters of type `F`.
#[derive(Debug)]
pub struct Optimizer<F: Real = f32> {
    name: RuleName,
    rule: Box<dyn Rule<F>>,
    t: u64,
    params: usize,
    slots: Vec<Vec<F>>,
    scalars: Vec<f64>,
    base_lr: f64,
    decay: WeightDecay,
    grad_clip: Option<f64>,
    sam: Option<Sam>,
    /// Scratch of the passes before an update, (P,) where it is in use; no state.
    room: [Vec<F>; 2],
}

impl<F: Real> Optimizer<F> {
    /// An optimizer at step 0 for `params` parameters. `tensors` say which of them are weights, for
    /// [`DecayOn::Weights`], and of which shape, for the rules that treat matrices; what none of them
    /// covers counts as one vector of biases.
    ///
    /// # Errors
    /// A [`Error::BadValue`] for a hyperparameter out of its range.
    ///
    /// # Panics
    /// If a range reaches beyond `params`, two overlap, or a shape is of another size than its range.
    pub fn new(config: &OptimConfig, params: usize, tensors: &[ParamRange]) -> Result<Self> {
        let config = config.clone().resolve()?;
        let tensors = Tensors::new(params, tensors);
        let rule = config.rule.build::<F>(&config, &tensors);
        let on = match config.decay_on {
            DecayOn::All => std::iter::once(0..params).collect(),
            DecayOn::Weights => {
                tensors.0.iter().filter(|t| t.weight).map(|t| t.range.clone()).collect()
            }
        };
        let adaptive = config.sam_adaptive == Some(true);
        Ok(Self {
            name: config.rule,
            t: 0,
            params,
            slots: rule.slots(params).iter().map(|(_, len)| vec![F::zero(); *len]).collect(),
            scalars: vec![0.0; rule.scalars().len()],
            base_lr: config.lr(),
            decay: WeightDecay { rate: config.weight_decay(), kind: config.decay(), on },
            grad_clip: config.grad_clip,
            sam: config.sam_rho.map(|rho| Sam { rho, adaptive }),
            rule,
            room: [Vec::new(), Vec::new()],
        })
    }

    /// One step of a rule that takes one gradient: updates `theta`, (P,), in place at the learning
    /// rate `lr`; `grad`, (P,), is that at [`Optimizer::gradient_point`] and is overwritten.
    ///
    /// # Panics
    /// If a length is not the P of [`Optimizer::new`], or the optimizer
    /// [evaluates the batch](Optimizer::needs_batch) itself.
    pub fn step(&mut self, theta: &mut [F], grad: &mut [F], lr: f64) -> StepStats {
        assert!(!self.needs_batch(), "{} evaluates the batch itself", self.name);
        self.check_lengths(theta, grad);
        let grad_norm = self.clip(grad);
        self.before_rule(theta, grad, lr);
        let (rule, update) = self.update(theta, grad, lr);
        rule.step(update);
        StepStats { grad_norm }
    }

    /// One step of any rule: as [`Optimizer::step`], and `batch` is evaluated again where the optimizer
    /// needs it. `loss` is the batch's loss at [`Optimizer::gradient_point`] and `grad` its gradient.
    ///
    /// # Errors
    /// Those of `batch`.
    ///
    /// # Panics
    /// If a length is not the P of [`Optimizer::new`].
    pub fn step_on(
        &mut self,
        theta: &mut [F],
        grad: &mut [F],
        loss: f64,
        lr: f64,
        batch: &mut dyn BatchLoss<F>,
    ) -> Result<StepStats> {
        self.check_lengths(theta, grad);
        let mut first_norm = None;
        if let Some(sam) = self.sam {
            first_norm = Some(grad_norm(grad));
            let [mut point, mut higher] = std::mem::take(&mut self.room);
            higher.resize(self.params, F::zero());
            sam.climb(self.gradient_point(theta, &mut point), grad, &mut higher);
            let found = batch.loss_and_grad(&higher, grad);
            self.room = [point, higher];
            found?;
        }
        let norm = self.clip(grad);
        self.before_rule(theta, grad, lr);
        let (rule, update) = self.update(theta, grad, lr);
        rule.step_on(update, loss, batch)?;
        Ok(StepStats { grad_norm: first_norm.unwrap_or(norm) })
    }

    /// Whether an update evaluates the batch at other points than [`Optimizer::gradient_point`]; its
    /// steps are made by [`Optimizer::step_on`].
    pub fn needs_batch(&self) -> bool {
        self.sam.is_some() || self.rule.needs_batch()
    }

    /// Whether gradients are taken elsewhere than at theta (Schedule-Free).
    pub fn has_gradient_point(&self) -> bool {
        matches!(self.name, RuleName::ScheduleFreeSgd | RuleName::ScheduleFreeAdamW)
    }

    /// Where the next step's gradient is taken: `theta` itself, or a point that is written into
    /// `room`.
    pub fn gradient_point<'a>(&self, theta: &'a [F], room: &'a mut Vec<F>) -> &'a [F] {
        // Before the first step there is no state yet, and all points are the same.
        if self.t == 0 || !self.has_gradient_point() {
            return theta;
        }
        room.resize(theta.len(), F::zero());
        self.rule.gradient_point(&self.slots, theta, room);
        room
    }

    fn check_lengths(&self, theta: &[F], grad: &[F]) {
        assert_eq!(theta.len(), grad.len(), "theta and grad differ in length");
        assert_eq!(theta.len(), self.params, "theta is not as long as the optimizer's state");
    }

    /// Clips; returns the norm before.
    fn clip(&self, grad: &mut [F]) -> f64 {
        match self.grad_clip {
            Some(max_norm) => clip_grad_norm(grad, max_norm),
            None => grad_norm(grad),
        }
    }

    fn before_rule(&mut self, theta: &mut [F], grad: &mut [F], lr: f64) {
        if !self.rule.owns(self.decay.kind) {
            match self.decay.kind {
                Decay::Coupled | Decay::L1 => self.decay.add_to(grad, theta),
                Decay::Decoupled => self.decay.shrink(theta, 1.0 - lr * self.decay.rate),
            }
        }
        self.t += 1;
    }

    fn update<'a>(
        &'a mut self,
        theta: &'a mut [F],
        grad: &'a mut [F],
        lr: f64,
    ) -> (&'a dyn Rule<F>, Update<'a, F>) {
        let update = Update {
            t: self.t,
            lr,
            scheduled: if self.base_lr == 0.0 { 1.0 } else { lr / self.base_lr },
            theta,
            grad,
            slots: &mut self.slots,
            scalars: &mut self.scalars,
            decay: &self.decay,
        };
        (&*self.rule, update)
    }

    /// The rule.
    pub fn rule(&self) -> RuleName {
        self.name
    }

    /// How many steps have been made.
    pub fn t(&self) -> u64 {
        self.t
    }

    /// What the rule divides each value of the gradient by, (P,): Adam's, AdamW's and RMSprop's roots of the mean
    /// squares, with Adam's correction of the mean. `None` before the first step, and for rules without a
    /// diagonal preconditioner.
    pub fn preconditioner(&self) -> Option<Vec<F>> {
        if self.t == 0 { None } else { self.rule.preconditioner(self.t, &self.slots) }
    }

    /// The state vectors with their names, for a checkpoint.
    pub fn slots(&self) -> impl Iterator<Item = (&'static str, &[F])> {
        let names = self.rule.slots(self.params).into_iter().map(|(name, _)| name);
        names.zip(self.slots.iter().map(Vec::as_slice))
    }

    /// Values of all state vectors.
    pub fn state_len(&self) -> usize {
        self.slots.iter().map(Vec::len).sum()
    }

    /// The state's scalars with their names, for a checkpoint.
    pub fn scalars(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.rule.scalars().iter().copied().zip(self.scalars.iter().copied())
    }

    /// Puts back the state that [`Optimizer::t`], [`Optimizer::scalars`] and [`Optimizer::slots`] gave,
    /// in any order; the next step is then bit for bit the one that would have followed.
    ///
    /// # Errors
    /// [`Error::BadValue`] when the names or lengths are not this rule's; the state is then as it
    /// was.
    pub fn restore<S: AsRef<str>>(
        &mut self,
        t: u64,
        scalars: impl IntoIterator<Item = (S, f64)>,
        slots: impl IntoIterator<Item = (S, Vec<F>)>,
    ) -> Result<()> {
        let names: Vec<_> = self.rule.slots(self.params).into_iter().map(|(n, _)| n).collect();
        let restored = self.matched(&names, slots.into_iter().collect())?;
        let scalars = self.matched(self.rule.scalars(), scalars.into_iter().collect())?;
        for ((name, values), current) in names.iter().zip(&restored).zip(&self.slots) {
            if values.len() != current.len() {
                let (got, want) = (values.len(), current.len());
                return self.refuse(format!("whose state `{name}` holds {got} values, not {want}"));
            }
        }
        self.t = t;
        self.slots = restored;
        self.scalars = scalars;
        Ok(())
    }

    /// The values `given` under `names`, in the order of these.
    fn matched<S: AsRef<str>, V>(&self, names: &[&str], mut given: Vec<(S, V)>) -> Result<Vec<V>> {
        let mut values = Vec::with_capacity(names.len());
        for name in names {
            let Some(at) = given.iter().position(|(n, _)| n.as_ref() == *name) else {
                return self.refuse(format!("whose state `{name}` the checkpoint lacks"));
            };
            values.push(given.swap_remove(at).1);
        }
        match given.first() {
            Some((name, _)) => self.refuse(format!("which has no state `{}`", name.as_ref())),
            None => Ok(values),
        }
    }

    fn refuse<T>(&self, problem: String) -> Result<T> {
        let remedy = "resume with the rule and the network that the checkpoint was made with";
        Err(Error::bad_value("optim.rule", self.name, problem, remedy))
    }
}

#[cfg(test)]
mod references;
#[cfg(test)]
mod tests;
