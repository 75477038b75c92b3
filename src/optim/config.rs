//! The `[optim]` table of a spec: which rule, with which hyperparameters.
//!
//! A hyperparameter that only some rules have is an `Option`: [`OptimConfig::resolve`] fills in
//! the rule's default, and drops what the rule does not read, so that a resolved spec says
//! exactly what was used. The defaults are the paper's recipe (Li et al. 2018: SGD, Nesterov
//! momentum 0.9, lr 0.1, decay 5e-4 on all parameters) and, for the other rules, PyTorch's.

use serde::{Deserialize, Serialize};

use super::Rule;
use super::adam::Adam;
use super::adamw::AdamW;
use super::rmsprop::RmsProp;
use super::sgd::Sgd;
use crate::error::{Error, Result};
use crate::names::named_enum;

named_enum! {
    /// The update rules.
    #[derive(Default)]
    pub enum RuleName("optimizer") {
        /// Stochastic gradient descent, with momentum or Nesterov's.
        #[default]
        Sgd = "sgd",
        /// Adam (Kingma & Ba 2015).
        Adam = "adam",
        /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
        AdamW = "adamw",
        /// RMSprop (Hinton's lecture 6e).
        RmsProp = "rmsprop",
    }
}

named_enum! {
    /// How weight decay acts.
    pub enum Decay("kind of weight decay") {
        /// `weight_decay * theta` is added to the gradient (the L2 penalty).
        Coupled = "coupled",
        /// `theta` shrinks by `lr * weight_decay` beside the update.
        Decoupled = "decoupled",
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

/// The optimizer of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OptimConfig {
    /// The update rule.
    pub rule: RuleName,
    /// The base learning rate, which the schedule scales: 0.1 for sgd, 0.001 for adam and adamw,
    /// 0.01 for rmsprop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// sgd, 0.9; rmsprop, 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// sgd: Nesterov's momentum; true where momentum is positive and dampening is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// sgd, 0: how much of each gradient after the first stays out of the momentum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dampening: Option<f64>,
    /// adam and adamw, 0.9: how much of the mean of the gradient a step keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f64>,
    /// adam and adamw, 0.999: how much of the mean of its square a step keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
    /// adam, adamw and rmsprop, 1e-8: added to the root in the denominator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// rmsprop, 0.99: how much of the mean of the squared gradient a step keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// rmsprop, false: whether the squared mean gradient is taken off the mean square.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centered: Option<bool>,
    /// 0.0005; adamw, 0.01.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Coupled; adamw, decoupled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<Decay>,
    /// Which parameters decay.
    pub decay_on: DecayOn,
    /// The largest norm a gradient may have, if there is a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grad_clip: Option<f64>,
}

impl OptimConfig {
    /// Checks every value, writes out every default and drops what the rule does not read
    /// (see [`OptimConfig::unread`]). Resolving twice changes nothing.
    ///
    /// # Errors
    /// [`Error::BadValue`] naming the key (`optim.lr`, ...).
    pub fn resolve(mut self) -> Result<Self> {
        for key in self.unread() {
            match key {
                "momentum" => self.momentum = None,
                "nesterov" => self.nesterov = None,
                "dampening" => self.dampening = None,
                "beta1" => self.beta1 = None,
                "beta2" => self.beta2 = None,
                "eps" => self.eps = None,
                "alpha" => self.alpha = None,
                _ => self.centered = None,
            }
        }
        self.lr = Some(self.lr());
        self.weight_decay = Some(self.weight_decay());
        self.decay = Some(self.decay());
        match self.rule {
            RuleName::Sgd => {
                let momentum = *self.momentum.get_or_insert(0.9);
                let dampening = *self.dampening.get_or_insert(0.0);
                self.nesterov.get_or_insert(momentum > 0.0 && dampening == 0.0);
            }
            RuleName::Adam | RuleName::AdamW => {
                self.beta1.get_or_insert(0.9);
                self.beta2.get_or_insert(0.999);
                self.eps.get_or_insert(1e-8);
            }
            RuleName::RmsProp => {
                self.momentum.get_or_insert(0.0);
                self.alpha.get_or_insert(0.99);
                self.eps.get_or_insert(1e-8);
                self.centered.get_or_insert(false);
            }
        }
        self.check()?;
        Ok(self)
    }

    /// The keys that are given but that the rule does not read, without the `optim.`.
    pub fn unread(&self) -> Vec<&'static str> {
        use RuleName::{Adam, AdamW, RmsProp, Sgd};
        let table: [(&'static str, bool, &[RuleName]); 8] = [
            ("momentum", self.momentum.is_some(), &[Sgd, RmsProp]),
            ("nesterov", self.nesterov.is_some(), &[Sgd]),
            ("dampening", self.dampening.is_some(), &[Sgd]),
            ("beta1", self.beta1.is_some(), &[Adam, AdamW]),
            ("beta2", self.beta2.is_some(), &[Adam, AdamW]),
            ("eps", self.eps.is_some(), &[Adam, AdamW, RmsProp]),
            ("alpha", self.alpha.is_some(), &[RmsProp]),
            ("centered", self.centered.is_some(), &[RmsProp]),
        ];
        let unread =
            table.iter().filter(|(_, given, readers)| *given && !readers.contains(&self.rule));
        unread.map(|(key, ..)| *key).collect()
    }

    /// The base learning rate: the one given, or the rule's default.
    pub fn lr(&self) -> f64 {
        self.lr.unwrap_or(match self.rule {
            RuleName::Sgd => 0.1,
            RuleName::Adam | RuleName::AdamW => 1e-3,
            RuleName::RmsProp => 1e-2,
        })
    }

    /// The weight decay: the one given, or the rule's default.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay.unwrap_or(if self.rule == RuleName::AdamW { 1e-2 } else { 5e-4 })
    }

    /// How weight decay acts: as given, or the rule's default.
    pub fn decay(&self) -> Decay {
        let adamw = self.rule == RuleName::AdamW;
        self.decay.unwrap_or(if adamw { Decay::Decoupled } else { Decay::Coupled })
    }

    /// The rule of a resolved config.
    pub(super) fn rule(&self) -> Box<dyn Rule> {
        let adam = || Adam {
            beta1: self.beta1.unwrap_or(0.9),
            beta2: self.beta2.unwrap_or(0.999),
            eps: self.eps.unwrap_or(1e-8),
        };
        match self.rule {
            RuleName::Sgd => Box::new(Sgd {
                momentum: self.momentum.unwrap_or(0.9),
                dampening: self.dampening.unwrap_or(0.0),
                nesterov: self.nesterov.unwrap_or(false),
            }),
            RuleName::Adam => Box::new(adam()),
            RuleName::AdamW => Box::new(AdamW(adam())),
            RuleName::RmsProp => Box::new(RmsProp {
                alpha: self.alpha.unwrap_or(0.99),
                eps: self.eps.unwrap_or(1e-8),
                momentum: self.momentum.unwrap_or(0.0),
                centered: self.centered.unwrap_or(false),
            }),
        }
    }

    fn check(&self) -> Result<()> {
        let not_negative = "choose a finite number, zero or more";
        let fraction = "choose a number from 0 up to, but not including, 1";
        check("lr", self.lr, |v| v >= 0.0, not_negative)?;
        check("momentum", self.momentum, |v| (0.0..1.0).contains(&v), fraction)?;
        check("dampening", self.dampening, |v| (0.0..=1.0).contains(&v), "choose 0 to 1")?;
        check("beta1", self.beta1, |v| (0.0..1.0).contains(&v), fraction)?;
        check("beta2", self.beta2, |v| (0.0..1.0).contains(&v), fraction)?;
        check("eps", self.eps, |v| v >= 0.0, not_negative)?;
        check("alpha", self.alpha, |v| (0.0..1.0).contains(&v), fraction)?;
        check("weight_decay", self.weight_decay, |v| v >= 0.0, not_negative)?;
        check(
            "grad_clip",
            self.grad_clip,
            |v| v > 0.0,
            "choose a positive number, or leave the key out for no clipping",
        )?;
        if self.nesterov == Some(true) && (self.momentum == Some(0.0) || self.dampening > Some(0.0))
        {
            return Err(Error::bad_value(
                "optim.nesterov",
                true,
                "which needs a momentum and no dampening",
                "set optim.momentum above 0 and optim.dampening to 0, or optim.nesterov to false",
            ));
        }
        if self.rule == RuleName::AdamW && self.decay == Some(Decay::Coupled) {
            return Err(Error::bad_value(
                "optim.decay",
                Decay::Coupled,
                "but adamw is Adam with decoupled decay",
                "set optim.rule to adam, or leave optim.decay out",
            ));
        }
        Ok(())
    }
}

/// An error that names `optim.{key}` unless `value` is absent, or finite and `ok`.
fn check(key: &str, value: Option<f64>, ok: impl Fn(f64) -> bool, remedy: &str) -> Result<()> {
    match value {
        Some(v) if !(v.is_finite() && ok(v)) => {
            Err(Error::bad_value(format!("optim.{key}"), v, "out of its range", remedy))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<OptimConfig> {
        toml::from_str::<OptimConfig>(toml).unwrap().resolve()
    }

    #[test]
    fn the_default_is_the_papers_recipe_written_out() {
        let text = toml::to_string(&OptimConfig::default().resolve().unwrap()).unwrap();
        let want = "rule = \"sgd\"\nlr = 0.1\nmomentum = 0.9\nnesterov = true\ndampening = 0.0\n\
                    weight_decay = 0.0005\ndecay = \"coupled\"\ndecay_on = \"all\"\n";
        assert_eq!(text, want);
    }

    #[test]
    fn each_rule_brings_its_own_defaults_and_drops_what_it_does_not_read() {
        let adam = read("rule = \"adam\"\nmomentum = 0.9\nalpha = 0.5").unwrap();
        assert_eq!((adam.lr, adam.beta2, adam.momentum), (Some(1e-3), Some(0.999), None));
        let given: OptimConfig = toml::from_str("rule = \"adam\"\nmomentum = 0.9").unwrap();
        assert_eq!(given.unread(), ["momentum"]);
        let adamw = read("rule = \"adamw\"").unwrap();
        assert_eq!((adamw.weight_decay, adamw.decay), (Some(0.01), Some(Decay::Decoupled)));
        assert_eq!(adamw.clone().resolve().unwrap(), adamw);
        assert_eq!(read("momentum = 0").unwrap().nesterov, Some(false));
    }

    #[test]
    fn a_value_out_of_range_is_an_error_that_names_its_key() {
        for (toml, key) in [
            ("lr = -0.1", "optim.lr"),
            ("lr = nan", "optim.lr"),
            ("momentum = 1.0", "optim.momentum"),
            ("dampening = 2.0", "optim.dampening"),
            ("rule = \"adam\"\nbeta1 = 1.5", "optim.beta1"),
            ("rule = \"adam\"\nbeta2 = -1", "optim.beta2"),
            ("rule = \"adamw\"\neps = -1e-8", "optim.eps"),
            ("rule = \"rmsprop\"\nalpha = 1", "optim.alpha"),
            ("weight_decay = inf", "optim.weight_decay"),
            ("grad_clip = 0", "optim.grad_clip"),
            ("nesterov = true\nmomentum = 0", "optim.nesterov"),
            ("nesterov = true\ndampening = 0.5", "optim.nesterov"),
            ("rule = \"adamw\"\ndecay = \"coupled\"", "optim.decay"),
        ] {
            let message = read(toml).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{key}` is ")), "{toml}: {message}");
        }
    }

    #[test]
    fn a_misspelt_rule_suggests_the_right_one() {
        let message = toml::from_str::<OptimConfig>("rule = \"adma\"").unwrap_err().to_string();
        assert!(message.contains("unknown optimizer `adma`; did you mean `adam`?"), "{message}");
    }
}
