//! From what a spec says of the optimizer to what is used: defaults, checks, and what is dropped.

use super::config::{Decay, OptimConfig, RuleName};
use super::keys::Range;
use crate::error::{Error, Result};

/// The keys of every rule that a spec may leave out.
const SHARED_KEYS: [&str; 6] =
    ["lr", "weight_decay", "decay", "grad_clip", "sam_rho", "sam_adaptive"];

impl OptimConfig {
    /// The keys that a resolved spec may lack, without the `optim.`.
    pub fn optional_keys() -> impl Iterator<Item = &'static str> {
        Self::RULE_KEYS.iter().copied().chain(SHARED_KEYS)
    }

    /// Checks every value, writes out every default and drops what the rule does not read
    /// (see [`OptimConfig::unread`]). Resolving twice changes nothing.
    ///
    /// # Errors
    /// [`Error::BadValue`] naming the key (`optim.lr`, ...).
    pub fn resolve(mut self) -> Result<Self> {
        self.dropped = self.unread();
        for key in self.dropped.clone() {
            self.clear(key);
            if key == "sam_adaptive" {
                self.sam_adaptive = None;
            }
        }
        self.lr = Some(self.lr());
        self.weight_decay = Some(self.weight_decay());
        self.decay = Some(self.decay());
        if self.sam_rho.is_some() {
            self.sam_adaptive.get_or_insert(false);
        }
        self.rule.write_out(&mut self);
        self.check()?;
        Ok(self)
    }

    /// The keys that are given, or were before the config was resolved, but that the rule does not
    /// read; without the `optim.`.
    pub fn unread(&self) -> Vec<&'static str> {
        let read = self.rule.described().keys;
        let given = Self::RULE_KEYS.iter().filter(|key| self.is_given(key));
        let unread = given.filter(|key| !read.contains(*key)).copied();
        let mut unread: Vec<&'static str> = self.dropped.iter().copied().chain(unread).collect();
        if self.sam_adaptive.is_some() && self.sam_rho.is_none() {
            unread.push("sam_adaptive");
        }
        unread
    }

    /// Gradients of a batch that a step takes, on average: more than one for SAM and for rules that
    /// evaluate the batch again. For L-BFGS, whose line search decides, an estimate.
    pub fn gradients_per_step(&self) -> f64 {
        let own = match self.rule {
            RuleName::Sophia => 1.0 + 2.0 / self.hessian_every.unwrap_or(10) as f64,
            RuleName::Lbfgs => 2.0,
            _ => 1.0,
        };
        own + if self.sam_rho.is_some() { 1.0 } else { 0.0 }
    }

    /// The base learning rate: the one given, or the rule's default.
    pub fn lr(&self) -> f64 {
        self.lr.unwrap_or(self.rule.described().lr)
    }

    /// The weight decay: the one given, or the rule's default.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay.unwrap_or(self.rule.described().weight_decay)
    }

    /// How weight decay acts: as given, or the rule's default.
    pub fn decay(&self) -> Decay {
        self.decay.unwrap_or(self.rule.described().decay)
    }

    /// Checks what depends on the training: lbfgs is for one and the same batch throughout.
    ///
    /// # Errors
    /// [`Error::BadValue`] naming `train.batch_size` or `data.augment`.
    pub fn check_batches(&self, batch_size: usize, images: usize, augmented: bool) -> Result<()> {
        if self.rule != RuleName::Lbfgs {
            return Ok(());
        }
        if batch_size < images {
            return Err(Error::bad_value(
                "train.batch_size",
                batch_size,
                format!("but optim.rule lbfgs trains on all {images} images at once"),
                format!("set train.batch_size to {images}, or data.train_samples to fewer"),
            ));
        }
        if augmented {
            return Err(Error::bad_value(
                "data.augment",
                "on",
                "but optim.rule lbfgs needs the same images at every step",
                "set data.augment to none",
            ));
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.check_ranges()?;
        for (key, value, range) in [
            ("lr", self.lr, Range::NotNegative),
            ("weight_decay", self.weight_decay, Range::NotNegative),
            ("grad_clip", self.grad_clip, Range::Bound),
            ("sam_rho", self.sam_rho, Range::Bound),
        ] {
            if let Some(value) = value {
                range.check(key, value)?;
            }
        }
        if let Some(rho) = self.sam_rho
            && matches!(self.rule, RuleName::Lbfgs | RuleName::Sophia)
        {
            return Err(Error::bad_value(
                "optim.sam_rho",
                rho,
                format!("but {} evaluates the batch itself", self.rule),
                "leave the key out, or choose another optim.rule",
            ));
        }
        self.rule.check(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_defaults_written_out_and_reads_only_known_keys() {
        for &rule in RuleName::ALL {
            let config = OptimConfig { rule, ..OptimConfig::default() }.resolve().unwrap();
            assert_eq!(config.clone().resolve().unwrap(), config);
            let keys = rule.described().keys;
            for key in OptimConfig::RULE_KEYS {
                assert_eq!(config.is_given(key), keys.contains(key), "{rule}: {key}");
            }
            assert!(keys.iter().all(|key| OptimConfig::RULE_KEYS.contains(key)), "{rule}");
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<OptimConfig>(&text).unwrap(), config, "{text}");
        }
        for key in OptimConfig::RULE_KEYS {
            let read = |rule: &&RuleName| rule.described().keys.contains(key);
            assert!(RuleName::ALL.iter().any(|rule| read(&rule)), "no rule reads {key}");
        }
    }

    #[test]
    fn the_full_batch_rule_refuses_parts_of_it() {
        let config = read("rule = \"lbfgs\"").unwrap();
        let message = |batch, augmented| {
            config.check_batches(batch, 100, augmented).err().map(|e| e.to_string())
        };
        assert!(message(64, false).unwrap().contains("`train.batch_size` is 64"));
        assert!(message(100, true).unwrap().contains("data.augment"));
        assert_eq!(message(100, false), None);
        assert!(OptimConfig::default().resolve().unwrap().check_batches(1, 100, true).is_ok());
    }

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
        assert_eq!(given.resolve().unwrap().unread(), ["momentum"], "the command can say so");
        let given = read("sam_adaptive = true").unwrap();
        assert_eq!((given.unread(), given.sam_adaptive), (vec!["sam_adaptive"], None));
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
            ("rule = \"adamw\"\ndecay = \"l1\"", "optim.decay"),
            ("rule = \"lbfgs\"\ndecay = \"decoupled\"", "optim.decay"),
            ("rule = \"lbfgs\"\ngrad_clip = 1.0", "optim.grad_clip"),
            ("rule = \"lbfgs\"\nsam_rho = 0.1", "optim.sam_rho"),
            ("rule = \"lbfgs\"\nhistory = 0", "optim.history"),
            ("sam_rho = 0", "optim.sam_rho"),
            ("rule = \"adan\"\nbeta3 = 1", "optim.beta3"),
            ("rule = \"soap\"\nprecondition_frequency = 0", "optim.precondition_frequency"),
            ("rule = \"shampoo\"\nmatrix_eps = 0", "optim.matrix_eps"),
            ("rule = \"prodigy\"\ngrowth_rate = 0.5", "optim.growth_rate"),
            ("rule = \"muon\"\nadamw_lr = -1", "optim.adamw_lr"),
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
