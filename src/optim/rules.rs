//! What each rule's file says, by the rule's name.

use super::config::{Decay, OptimConfig, RuleName};
use super::real::Real;
use super::rule::{Described, Rule};
use super::table::rule_table;
use super::tensors::Tensors;
use super::{
    adadelta, adagrad, adam, adamw, adan, ademamix, adopt, lamb, lars, lbfgs, lion, mars, muon,
    nadam, prodigy, radam, rmsprop, schedule_free_adamw, schedule_free_sgd, sgd, shampoo, soap,
    sophia,
};
use crate::error::Result;

/// What [`Described`] says of a rule.
pub(super) struct Description {
    pub words: &'static str,
    pub lr: f64,
    pub weight_decay: f64,
    pub decay: Decay,
    pub keys: &'static [&'static str],
}

macro_rules! rules {
    ($( $(#[$meta:meta])* $Variant:ident = $name:literal, $Rule:ty; )*) => {
        impl RuleName {
            pub(super) fn described(self) -> Description {
                match self {
                    $( Self::$Variant => Description {
                        words: <$Rule>::WORDS,
                        lr: <$Rule>::LR,
                        weight_decay: <$Rule>::WEIGHT_DECAY,
                        decay: <$Rule>::DECAY,
                        keys: <$Rule as Described>::KEYS,
                    }, )*
                }
            }

            pub(super) fn write_out(self, config: &mut OptimConfig) {
                match self {
                    $( Self::$Variant => <$Rule as Described>::write_out(config), )*
                }
            }

            pub(super) fn check(self, config: &OptimConfig) -> Result<()> {
                match self {
                    $( Self::$Variant => <$Rule as Described>::check(config), )*
                }
            }

            pub(super) fn build<F: Real>(
                self,
                config: &OptimConfig,
                tensors: &Tensors,
            ) -> Box<dyn Rule<F>> {
                match self {
                    $( Self::$Variant => <$Rule as Described>::build(config, tensors), )*
                }
            }
        }
    };
}

rule_table!(rules);

impl RuleName {
    /// The rule's name in a sentence: `SGD`, `Schedule-Free AdamW`.
    pub fn words(self) -> &'static str {
        self.described().words
    }
}
