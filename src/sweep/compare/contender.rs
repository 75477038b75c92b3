//! What a comparison compares: an update rule with what is set and what is tuned.

use serde::{Deserialize, Serialize};

use crate::optim::{Decay, OptimConfig, RuleName};
use crate::sweep::file::{changes, flat};
use crate::{Error, Result};

/// One update rule of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// As it is called in the comparison.
    pub name: String,
    /// The keys that make it what it is, as `key=value`; all others of `[optim]` are the rule's defaults.
    pub set: Vec<String>,
    /// What is tuned, over which ranges.
    pub space: Vec<Dimension>,
}

/// A hyper-parameter with the range that trials take it from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// The key of the spec.
    pub key: String,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How the range is divided.
    pub scale: RangeScale,
}

/// How a range is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeScale {
    /// Evenly in the logarithm.
    #[default]
    Log,
    /// Evenly in the logarithm of one minus the value: for momentum and other shares kept.
    OneMinus,
    /// Evenly.
    Linear,
}

/// How far the default ranges of learning rate and weight decay reach from the rule's default, as a
/// factor.
pub const REACH: f64 = 32.0;

/// The part of a range, at either end, in which a best value counts as at its edge.
pub const EDGE: f64 = 0.1;

impl Dimension {
    /// The value at `u`, 0..1, of the way from the lower end to the upper one, in four digits: what is
    /// printed is what was used.
    pub fn at(&self, u: f64) -> f64 {
        let between = |a: f64, b: f64| a + (b - a) * u;
        let value = match self.scale {
            RangeScale::Log => between(self.low.ln(), self.high.ln()).exp(),
            RangeScale::OneMinus => {
                let kept = between((1.0 - self.low).ln(), (1.0 - self.high).ln()).exp();
                // Without the noise of the subtraction.
                return format!("{:.9}", 1.0 - rounded(kept)).parse().unwrap_or(self.low);
            }
            RangeScale::Linear => between(self.low, self.high),
        };
        rounded(value)
    }

    /// Where `value` is between the ends, 0..1.
    pub fn unit(&self, value: f64) -> f64 {
        let share = |a: f64, b: f64, v: f64| ((v - a) / (b - a)).clamp(0.0, 1.0);
        match self.scale {
            RangeScale::Log => share(self.low.ln(), self.high.ln(), value.ln()),
            RangeScale::OneMinus => {
                share((1.0 - self.low).ln(), (1.0 - self.high).ln(), (1.0 - value).ln())
            }
            RangeScale::Linear => share(self.low, self.high, value),
        }
    }

    /// Whether `value` is in the outer tenth of the range: a better one may lie beyond.
    pub fn at_edge(&self, value: f64) -> bool {
        !(EDGE..=1.0 - EDGE).contains(&self.unit(value))
    }

    /// An error that names `of` unless the range can be drawn from.
    pub(super) fn check(&self, of: &str) -> Result<()> {
        let fits = match self.scale {
            RangeScale::Log => self.low > 0.0,
            RangeScale::OneMinus => self.high < 1.0,
            RangeScale::Linear => true,
        };
        if fits && self.low < self.high && self.low.is_finite() && self.high.is_finite() {
            return Ok(());
        }
        Err(Error::bad_value(
            format!("search.{of}.{}", self.key),
            format!("{} to {}", self.low, self.high),
            "not a range on its scale",
            "write { low = 1e-4, high = 1e-1 }: low below high, above 0 on the log scale, below 1 for \
             one_minus",
        ))
    }
}

/// `value` in four digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// Names of contenders that are no rule's: variants of sgd.
const VARIANTS: [(&str, &[&str]); 4] = [
    ("sgd", &["optim.rule=\"sgd\"", "optim.momentum=0.0"]),
    ("momentum", &["optim.rule=\"sgd\"", "optim.momentum=0.9", "optim.nesterov=false"]),
    ("nesterov", &["optim.rule=\"sgd\"", "optim.momentum=0.9", "optim.nesterov=true"]),
    (
        "sam",
        &["optim.rule=\"sgd\"", "optim.momentum=0.9", "optim.nesterov=true", "optim.sam_rho=0.05"],
    ),
];

/// Every name that `--rules` takes.
pub fn names() -> Vec<&'static str> {
    let variants = VARIANTS.iter().map(|(name, _)| *name);
    let rules = RuleName::ALL.iter().map(|rule| rule.as_str()).filter(|name| *name != "sgd");
    variants.chain(rules).collect()
}

/// What an `[optim]` table is called in a comparison.
pub fn name_of(optim: &OptimConfig) -> &'static str {
    match optim.rule {
        RuleName::Sgd if optim.momentum == Some(0.0) => "sgd",
        RuleName::Sgd if optim.nesterov == Some(false) => "momentum",
        RuleName::Sgd => "nesterov",
        rule => rule.as_str(),
    }
}

impl Contender {
    /// The contender of a name, with its default search space.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a name that is not one of [`names`].
    pub fn named(name: &str) -> Result<Self> {
        let set: Vec<String> = match VARIANTS.iter().find(|(variant, _)| *variant == name) {
            Some((_, set)) => set.iter().map(|s| s.to_string()).collect(),
            None => {
                let rule = RuleName::ALL.iter().find(|rule| rule.as_str() == name);
                let rule = rule.ok_or_else(|| Error::unknown_name("rule", name, &names()))?;
                let mut set = vec![format!("optim.rule=\"{rule}\"")];
                if name.starts_with("schedule_free") {
                    // Its averaging is in the place of a schedule.
                    set.push("schedule.kind=\"constant\"".into());
                }
                set
            }
        };
        let config = crate::spec::Spec::parse("", &set)?.optim;
        let space = default_space(&config)?;
        Ok(Self { name: name.into(), set, space })
    }

    /// As it stands in the spec: its own keys are kept where the spec's rule is this one.
    pub(super) fn with_spec(mut self, optim: &toml::Table) -> Self {
        let given = flat(optim).into_iter().map(|(key, value)| (format!("optim.{key}"), value));
        let table: toml::Table = given.filter(|(key, _)| key != "optim.rule").collect();
        let given = changes(&table);
        self.set.retain(|own| !given.iter().any(|g| g.split('=').next() == own.split('=').next()));
        self.set.extend(given);
        self
    }
}

/// The hyper-parameters that are tuned where the file says nothing: learning rate and weight decay, each
/// as far as [`REACH`] from the rule's default to both sides, and momentum or beta1 where there is one; of
/// Muon the rate of its AdamW part in the place of its momentum.
fn default_space(config: &OptimConfig) -> Result<Vec<Dimension>> {
    let log = |key: &str, low: f64, high: f64| Dimension {
        key: key.into(),
        low: rounded(low),
        high: rounded(high),
        scale: RangeScale::Log,
    };
    let lr = config.lr();
    let mut space = vec![log("optim.lr", lr / REACH, lr * REACH)];
    let decay = match (config.weight_decay(), config.decay()) {
        (wd, _) if wd > 0.0 => log("optim.weight_decay", wd / REACH, wd * REACH),
        (_, Decay::Decoupled) => log("optim.weight_decay", 1e-3, 1.0),
        _ => log("optim.weight_decay", 1e-5, 1e-2),
    };
    space.push(decay);
    // Muon's other rate trains the first and the last layer: left at its default it decides the result.
    if let Some(adamw_lr) = config.adamw_lr {
        space.push(log("optim.adamw_lr", adamw_lr / REACH, adamw_lr * REACH));
        return Ok(space);
    }
    let kept = [("optim.momentum", config.momentum), ("optim.beta1", config.beta1)];
    if let Some((key, _)) = kept.into_iter().find(|(_, value)| value.is_some_and(|v| v > 0.0)) {
        let scale = RangeScale::OneMinus;
        space.push(Dimension { key: key.into(), low: 0.7, high: 0.99, scale });
    }
    Ok(space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_rule_with_a_space_around_its_defaults() {
        for name in names() {
            let contender = Contender::named(name).unwrap();
            let spec = crate::spec::Spec::parse("", &contender.set).unwrap();
            assert!(contender.space.len() >= 2, "{contender:?}");
            for dimension in &contender.space {
                dimension.check(name).unwrap();
                assert!(!dimension.at_edge(dimension.at(0.5)), "{dimension:?}");
            }
            let lr = &contender.space[0];
            assert!(name != "muon" || contender.space[2].key == "optim.adamw_lr");
            assert!((lr.unit(spec.optim.lr()) - 0.5).abs() < 1e-3, "{name}: {lr:?}");
        }
        let error = Contender::named("adma").unwrap_err().to_string();
        assert!(error.contains("did you mean `adam`"), "{error}");
    }

    #[test]
    fn a_range_goes_from_end_to_end_on_its_scale() {
        let range = |scale, low, high| Dimension { key: "k".into(), low, high, scale };
        let log = range(RangeScale::Log, 1e-4, 1e-2);
        assert_eq!([0.0, 0.5, 1.0].map(|u| log.at(u)), [1e-4, 1e-3, 1e-2]);
        let kept = range(RangeScale::OneMinus, 0.9, 0.999);
        assert_eq!(kept.at(0.0), 0.9);
        assert!((kept.at(0.5) - 0.99).abs() < 1e-12 && (kept.at(1.0) - 0.999).abs() < 1e-12);
        assert!((kept.unit(0.99) - 0.5).abs() < 1e-9);
        let linear = range(RangeScale::Linear, -1.0, 1.0);
        assert_eq!(linear.at(0.25), -0.5);
        assert!(log.at_edge(1.1e-4) && log.at_edge(9e-3) && !log.at_edge(1e-3));
        for bad in [range(RangeScale::Log, 0.0, 1.0), range(RangeScale::OneMinus, 0.5, 1.0)] {
            assert!(bad.check("adam").unwrap_err().to_string().contains("search.adam.k"));
        }
        assert!(range(RangeScale::Linear, 1.0, 1.0).check("x").is_err());
    }
}
