//! AdamW (Loshchilov & Hutter 2019), as `torch.optim.AdamW`: Adam's arithmetic on a gradient
//! without decay in it. The decay itself, `theta <- theta (1 - lr wd)`, is the optimizer's
//! `Decay::Decoupled`, which this rule implies.

use super::OptimConfig;
use super::adam::Adam;
use super::config::Decay;
use super::real::Real;
use super::rule::{Described, Rule};
use super::tensors::Tensors;
use crate::error::{Error, Result};

/// AdamW: Adam under another decay.
pub(super) struct AdamW;

impl Described for AdamW {
    const WORDS: &'static str = "AdamW";
    const LR: f64 = 1e-3;
    const WEIGHT_DECAY: f64 = 1e-2;
    const DECAY: Decay = Decay::Decoupled;
    const KEYS: &'static [&'static str] = Adam::KEYS;

    fn write_out(config: &mut OptimConfig) {
        Adam::write_out(config);
    }

    fn check(config: &OptimConfig) -> Result<()> {
        match config.decay {
            Some(decay) if decay != Decay::Decoupled => Err(Error::bad_value(
                "optim.decay",
                decay,
                "but adamw is Adam with decoupled decay",
                "set optim.rule to adam, or leave optim.decay out",
            )),
            _ => Ok(()),
        }
    }

    fn build<F: Real>(config: &OptimConfig, _: &Tensors) -> Box<dyn Rule<F>> {
        Box::new(Adam::of(config))
    }
}
