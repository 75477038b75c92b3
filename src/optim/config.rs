//! The `[optim]` table of a spec: which rule, with which hyperparameters.
//!
//! A hyperparameter that only some rules have is an `Option`: [`OptimConfig::resolve`] fills in
//! the rule's default, and drops what the rule does not read, so that a resolved spec says
//! exactly what was used. Each rule's file says which keys it reads and their defaults, which are
//! the paper's recipe (Li et al. 2018: SGD, Nesterov momentum 0.9, lr 0.1, decay 5e-4 on all
//! parameters) and, for the other rules, those of the implementation it is compared with.

use serde::{Deserialize, Serialize};

use super::keys::{Range, Value};
use super::table::rule_table;
use crate::error::Result;
use crate::names::named_enum;

macro_rules! names {
    ($( $(#[$meta:meta])* $Variant:ident = $name:literal, $Rule:ty; )*) => {
        named_enum! {
            /// The update rules.
            #[derive(Default)]
            pub enum RuleName("optimizer") {
                $( $(#[$meta])* $Variant = $name, )*
            }
        }
    };
}

rule_table!(names);

named_enum! {
    /// How weight decay acts.
    pub enum Decay("kind of weight decay") {
        /// `weight_decay * theta` is added to the gradient (the L2 penalty).
        Coupled = "coupled",
        /// `theta` shrinks by `lr * weight_decay` beside the update.
        Decoupled = "decoupled",
        /// `weight_decay * sign(theta)` is added to the gradient (the L1 penalty).
        L1 = "l1",
    }
}

named_enum! {
    /// Which parameters decay.
    #[derive(Default)]
    pub enum DecayOn("set of parameters to decay") {
        /// All, biases and norms too: the paper's way.
        #[default]
        All = "all",
        /// Weights only: tensors with more than one dimension.
        Weights = "weights",
    }
}

named_enum! {
    /// What Muon multiplies an orthogonalised (rows, columns) update by.
    pub enum MuonScale("scale of Muon's update") {
        /// max(1, rows / columns)^(1/2), the first authors'.
        Shape = "shape",
        /// 0.2 max(rows, columns)^(1/2): the root mean square of an AdamW update (Liu et al. 2025).
        Rms = "rms",
    }
}

impl Value for MuonScale {
    fn number(self) -> Option<f64> {
        None
    }
}

/// Defines [`OptimConfig`] with the keys that only some rules read, and what goes through them all.
macro_rules! options {
    ($( $(#[$meta:meta])* $key:ident: $ty:ty, $range:ident; )*) => {
        /// The optimizer of a run.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct OptimConfig {
            /// The update rule.
            pub rule: RuleName,
            /// The base learning rate, which the schedule scales; each rule has its default.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub lr: Option<f64>,
            $(
                $(#[$meta])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $key: Option<$ty>,
            )*
            /// How strongly weights decay; each rule has its default.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub weight_decay: Option<f64>,
            /// How they decay; each rule has its default.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub decay: Option<Decay>,
            /// Which parameters decay.
            pub decay_on: DecayOn,
            /// The largest norm a gradient may have, if there is a bound.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub grad_clip: Option<f64>,
            /// Sharpness-aware minimisation (Foret et al. 2021) over the rule: how far from theta the
            /// gradient is taken.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub sam_rho: Option<f64>,
            /// Whether that distance is in units of each parameter's own size (Kwon et al. 2021).
            #[serde(skip_serializing_if = "Option::is_none")]
            pub sam_adaptive: Option<bool>,
            /// The keys that [`OptimConfig::resolve`] dropped because the rule does not read them; no
            /// key of a spec itself.
            #[serde(skip)]
            pub dropped: Vec<&'static str>,
        }

        impl OptimConfig {
            /// The keys that only some rules read, without the `optim.`.
            pub const RULE_KEYS: &'static [&'static str] = &[$( stringify!($key) ),*];

            pub(super) fn is_given(&self, key: &str) -> bool {
                $( if key == stringify!($key) { return self.$key.is_some(); } )*
                false
            }

            pub(super) fn clear(&mut self, key: &str) {
                $( if key == stringify!($key) { self.$key = None; } )*
            }

            pub(super) fn check_ranges(&self) -> Result<()> {
                $(
                    if let Some(number) = self.$key.and_then(Value::number) {
                        Range::$range.check(stringify!($key), number)?;
                    }
                )*
                Ok(())
            }
        }
    };
}

options! {
    /// The share of the momentum that a step keeps.
    momentum: f64, Fraction;
    /// Nesterov's momentum.
    nesterov: bool, Any;
    /// How much of each gradient after the first stays out of the momentum.
    dampening: f64, Part;
    /// How much of the mean of the gradient a step keeps.
    beta1: f64, Fraction;
    /// How much of the mean of its square a step keeps (of its change: adan).
    beta2: f64, Fraction;
    /// adan: how much of the mean of the square a step keeps; ademamix: of the slow mean.
    beta3: f64, Fraction;
    /// Added to the root in the denominator.
    eps: f64, NotNegative;
    /// How much of the mean of the squared gradient a step keeps.
    alpha: f64, Fraction;
    /// Whether the squared mean gradient is taken off the mean square.
    centered: bool, Any;
    /// How much of the means of squares a step keeps.
    rho: f64, Fraction;
    /// The rate falls as 1 / (1 + lr_decay t).
    lr_decay: f64, NotNegative;
    /// What the sum of squares starts at.
    initial_accumulator: f64, NotNegative;
    /// How fast the momentum grows to beta1.
    momentum_decay: f64, NotNegative;
    /// The weight of the slow mean in the step.
    slow_weight: f64, NotNegative;
    /// Steps over which that weight and beta3 rise, 0 for none.
    slow_warmup_steps: u64, Any;
    /// mars: the weight of the gradient's change; sophia: of the Hessian's diagonal.
    gamma: f64, NotNegative;
    /// Steps from one estimate of the Hessian's diagonal to the next.
    hessian_every: u64, Count;
    /// Newton-Schulz steps.
    ns_steps: u64, Any;
    /// What an orthogonalised update is multiplied by.
    muon_scale: MuonScale, Any;
    /// The base rate of AdamW for parameters that are not the rule's own.
    adamw_lr: f64, NotNegative;
    /// Its beta1.
    adamw_beta1: f64, Fraction;
    /// Its beta2.
    adamw_beta2: f64, Fraction;
    /// Its eps.
    adamw_eps: f64, NotNegative;
    /// Added to the diagonal of each matrix.
    matrix_eps: f64, Positive;
    /// Steps from one decomposition of the matrices to the next.
    precondition_frequency: u64, Count;
    /// The largest dimension of a tensor that has a matrix.
    max_dim: u64, Count;
    /// The first estimate of the distance to the solution.
    d0: f64, Positive;
    /// What that estimate is multiplied by.
    d_coef: f64, Positive;
    /// By how much a step may raise it; infinite for no bound.
    growth_rate: f64, Growth;
    /// Whether Adam's bias correction is applied.
    bias_correction: bool, Any;
    /// Whether the rate stays out of the estimate's denominator.
    safeguard_warmup: bool, Any;
    /// Steps over which the rate rises, beside the schedule's own.
    warmup_steps: u64, Any;
    /// The power of the step in the weight it has in the average.
    r: f64, NotNegative;
    /// The power of the largest rate so far in that weight.
    weight_lr_power: f64, NotNegative;
    /// The rate over ||theta|| / ||g||.
    trust_coefficient: f64, Positive;
    /// Steps remembered.
    history: u64, Count;
    /// Evaluations of the loss in a line search.
    max_evaluations: u64, Count;
}
