//! What an update rule is, and how it says which hyperparameters it has.

use std::fmt::Debug;

use super::batch::BatchLoss;
use super::config::{Decay, OptimConfig};
use super::decay::WeightDecay;
use super::real::Real;
use super::tensors::Tensors;
use crate::error::Result;

/// What a rule is given for one update.
pub(super) struct Update<'a, F> {
    /// The step, from 1.
    pub t: u64,
    /// The learning rate.
    pub lr: f64,
    /// The learning rate over the base rate: what a schedule does to a second rate.
    pub scheduled: f64,
    /// (P,), updated in place.
    pub theta: &'a mut [F],
    /// (P,), clipped, with decay in it unless the rule owns that; free to be overwritten.
    pub grad: &'a mut [F],
    /// In the order of [`Rule::slots`].
    pub slots: &'a mut [Vec<F>],
    /// In the order of [`Rule::scalars`].
    pub scalars: &'a mut [f64],
    /// For rules that own it.
    pub decay: &'a WeightDecay,
}

/// One update rule. Implementations hold hyperparameters and shapes only; state is passed in.
pub(super) trait Rule<F: Real>: Debug + Send + Sync {
    /// The names and lengths of the state vectors for `params` parameters; they start at zero.
    fn slots(&self, params: usize) -> Vec<(&'static str, usize)>;

    /// The names of the state's scalars, which are f64 and start at zero.
    fn scalars(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether the rule itself applies decay of this kind, in a place or a form of its own.
    fn owns(&self, _: Decay) -> bool {
        false
    }

    /// One update by one gradient. A rule that [needs more](Rule::needs_batch) leaves it out.
    fn step(&self, _: Update<'_, F>) {
        unreachable!("this rule steps on a batch")
    }

    /// Whether the rule evaluates the batch again: its updates are [`Rule::step_on`]'s.
    fn needs_batch(&self) -> bool {
        false
    }

    /// One update by the batch's gradient, its `loss`, and whatever else `batch` is asked for.
    fn step_on(&self, update: Update<'_, F>, _: f64, _: &mut dyn BatchLoss<F>) -> Result<()> {
        self.step(update);
        Ok(())
    }

    /// Writes the point at which the rule wants the next gradient over `out`, (P,); false where that
    /// is `theta` itself.
    fn gradient_point(&self, _slots: &[Vec<F>], _theta: &[F], _out: &mut [F]) -> bool {
        false
    }

    /// What each value of the gradient, or of its running mean, is divided by after step `t` (at least 1);
    /// `None` for a rule without a diagonal one.
    fn preconditioner(&self, _t: u64, _slots: &[Vec<F>]) -> Option<Vec<F>> {
        None
    }
}

/// A rule as the configuration sees it: its defaults, its keys, and how it is made.
pub(super) trait Described {
    /// Its name in a sentence.
    const WORDS: &'static str;
    /// The default base learning rate.
    const LR: f64;
    /// The default weight decay.
    const WEIGHT_DECAY: f64 = 5e-4;
    /// The default kind of weight decay.
    const DECAY: Decay = Decay::Coupled;
    /// The keys it reads beside those of every rule.
    const KEYS: &'static [&'static str];

    /// Writes the default of each of its keys that is not given.
    fn write_out(config: &mut OptimConfig);

    /// Refuses values that do not go together.
    fn check(_: &OptimConfig) -> Result<()> {
        Ok(())
    }

    /// The rule of a resolved `config` on `tensors`.
    fn build<F: Real>(config: &OptimConfig, tensors: &Tensors) -> Box<dyn Rule<F>>;
}

/// Defines the hyperparameters of a rule, each with its default: the struct, its `KEYS`, `of` (from
/// a config) and `write_out` (into a config).
macro_rules! hyperparameters {
    (
        $(#[$meta:meta])*
        struct $Name:ident { $( $key:ident: $ty:ty = $default:expr, )* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub(super) struct $Name { $( pub $key: $ty, )* }

        impl $Name {
            /// The keys of the spec that this rule reads.
            pub const KEYS: &'static [&'static str] = &[$( stringify!($key) ),*];

            /// What `config` says, or the defaults.
            pub fn of(config: &$crate::optim::OptimConfig) -> Self {
                Self { $( $key: config.$key.unwrap_or($default), )* }
            }

            /// Writes what this holds into `config`.
            pub fn write_out(config: &mut $crate::optim::OptimConfig) {
                let values = Self::of(config);
                $( config.$key = Some(values.$key); )*
            }
        }
    };
}
pub(super) use hyperparameters;

/// Implements [`Described`] for a rule whose struct holds its hyperparameters and nothing else.
macro_rules! described {
    ($Name:ident: $words:literal, lr $lr:expr $(, decay $kind:ident $rate:expr)?) => {
        impl $crate::optim::rule::Described for $Name {
            const WORDS: &'static str = $words;
            const LR: f64 = $lr;
            $(
                const WEIGHT_DECAY: f64 = $rate;
                const DECAY: $crate::optim::Decay = $crate::optim::Decay::$kind;
            )?
            const KEYS: &'static [&'static str] = Self::KEYS;

            fn write_out(config: &mut $crate::optim::OptimConfig) {
                Self::write_out(config);
            }

            fn build<F: $crate::optim::Real>(
                config: &$crate::optim::OptimConfig,
                _: &$crate::optim::tensors::Tensors,
            ) -> Box<dyn $crate::optim::rule::Rule<F>> {
                Box::new(Self::of(config))
            }
        }
    };
}
pub(super) use described;
