//! The `[optim]` table of a spec: which rule, with which hyperparameters.
//!
//! A hyperparameter that only some rules have is an `Option`: [`OptimConfig::resolve`] fills in
//! the rule's default, and drops what the rule does not read, so that a resolved spec says
//! exactly what was used. Each rule's file says which keys it reads and their defaults, which are
//! the paper's recipe (Li et al. 2018: SGD, Nesterov momentum 0.9, lr 0.1, decay 5e-4 on all
//! parameters) and, for the other rules, those of the implementation it is compared with.

use serde::{Deserialize, Serialize};

use super::keys::{Range, Value};
use super::rules::RuleName;
use crate::error::{Error, Result};
use crate::names::named_enum;

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
        }

        impl OptimConfig {
            /// The keys that only some rules read, without the `optim.`.
            pub const RULE_KEYS: &'static [&'static str] = &[$( stringify!($key) ),*];

            fn is_given(&self, key: &str) -> bool {
                $( if key == stringify!($key) { return self.$key.is_some(); } )*
                false
            }

            fn clear(&mut self, key: &str) {
                $( if key == stringify!($key) { self.$key = None; } )*
            }

            fn check_ranges(&self) -> Result<()> {
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
        for key in self.unread() {
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

    /// The keys that are given but that the rule does not read, without the `optim.`.
    pub fn unread(&self) -> Vec<&'static str> {
        let read = self.rule.described().keys;
        let unread =
            Self::RULE_KEYS.iter().filter(|key| self.is_given(key) && !read.contains(*key));
        let mut unread: Vec<&'static str> = unread.copied().collect();
        if self.sam_adaptive.is_some() && self.sam_rho.is_none() {
            unread.push("sam_adaptive");
        }
        unread
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
