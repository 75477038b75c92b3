//! Times at which a snapshot is taken or a quantity measured.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// When a snapshot is taken or a quantity measured, beside the first and the last state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Policy {
    /// After every so many epochs.
    Epochs(u64),
    /// After every so many steps.
    Steps(u64),
    /// After steps 1, r, r^2, ... rounded up: dense where the path is fast.
    Geometric(f64),
}

impl Default for Policy {
    fn default() -> Self {
        Policy::Epochs(1)
    }
}

impl Policy {
    /// Whether the state after `step` steps is taken.
    pub fn takes(self, step: u64, steps_per_epoch: u64) -> bool {
        match self {
            _ if step == 0 => true,
            Policy::Epochs(n) => step.is_multiple_of(n.saturating_mul(steps_per_epoch)),
            Policy::Steps(n) => step.is_multiple_of(n),
            Policy::Geometric(ratio) => {
                // step = ceil(r^k) for some k: the exponents around log_r(step) decide.
                let k = (step as f64).ln() / ratio.ln();
                let near = k.floor() as i32;
                (near - 1..=near + 1)
                    .any(|k| k >= 0 && (ratio.powi(k) - 1e-9).ceil() as u64 == step)
            }
        }
    }
}

impl Policy {
    /// Reads the value of `key`.
    ///
    /// # Errors
    /// [`Error::BadValue`] naming the key.
    pub(super) fn parse(key: &str, text: &str) -> Result<Self> {
        let bad = |problem: &str| {
            Error::bad_value(
                key,
                format!("\"{text}\""),
                problem,
                "use \"epoch\", \"5 epochs\", \"100 steps\" or \"geometric 1.3\"",
            )
        };
        let count = |n: &str| match n.trim().parse::<u64>() {
            Ok(0) | Err(_) => Err(bad("whose number is not a positive whole one")),
            Ok(n) => Ok(n),
        };
        let geometric = |r: &str| match r.trim().parse::<f64>() {
            Ok(r) if r > 1.0 && r.is_finite() => Ok(Policy::Geometric(r)),
            _ => Err(bad("whose ratio is not above 1")),
        };
        // `step:100` says the same as `100 steps`.
        if let Some((unit, n)) = text.split_once(':') {
            return match unit.trim() {
                "epoch" => Ok(Policy::Epochs(count(n)?)),
                "step" => Ok(Policy::Steps(count(n)?)),
                "geometric" => geometric(n),
                _ => Err(bad("not a recording policy")),
            };
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["epoch"] => Ok(Policy::Epochs(1)),
            ["step"] => Ok(Policy::Steps(1)),
            ["geometric"] => Ok(Policy::Geometric(GEOMETRIC)),
            [n, "epoch" | "epochs"] => Ok(Policy::Epochs(count(n)?)),
            [n, "step" | "steps"] => Ok(Policy::Steps(count(n)?)),
            ["geometric", r] => geometric(r),
            _ => Err(bad("not a recording policy")),
        }
    }
}

/// The ratio of `geometric` alone.
const GEOMETRIC: f64 = 1.3;

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse("record.every", text)
    }
}

impl TryFrom<String> for Policy {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Policy> for String {
    fn from(policy: Policy) -> String {
        match policy {
            Policy::Epochs(1) => "epoch".into(),
            Policy::Epochs(n) => format!("{n} epochs"),
            Policy::Steps(n) => format!("{n} steps"),
            Policy::Geometric(r) => format!("geometric {r}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(policy: &str, steps_per_epoch: u64, total: u64) -> Vec<u64> {
        let policy: Policy = policy.parse().unwrap();
        (0..=total).filter(|&s| policy.takes(s, steps_per_epoch)).collect()
    }

    #[test]
    fn policies_take_the_steps_they_name() {
        assert_eq!(taken("epoch", 10, 30), [0, 10, 20, 30]);
        assert_eq!(taken("2 epochs", 10, 45), [0, 20, 40]);
        assert_eq!(taken("7 steps", 10, 22), [0, 7, 14, 21]);
        assert_eq!(taken("geometric 2", 10, 40), [0, 1, 2, 4, 8, 16, 32]);
        // 1, 1.5, 2.25, 3.375, 5.06, 7.6, 11.4, 17.1 rounded up
        assert_eq!(taken("geometric 1.5", 10, 20), [0, 1, 2, 3, 4, 6, 8, 12, 18]);
    }

    #[test]
    fn a_policy_survives_being_written_and_bad_ones_are_refused() {
        for text in ["epoch", "5 epochs", "100 steps", "geometric 1.3"] {
            assert_eq!(String::from(text.parse::<Policy>().unwrap()), text);
        }
        for (other, text) in [
            ("step:100", "100 steps"),
            ("epoch:5", "5 epochs"),
            ("geometric", "geometric 1.3"),
            ("geometric:2", "geometric 2"),
        ] {
            assert_eq!(String::from(other.parse::<Policy>().unwrap()), text);
        }
        for text in ["", "never", "0 steps", "-3 epochs", "geometric 1", "geometric inf", "5"] {
            let err = text.parse::<Policy>().unwrap_err().to_string();
            assert!(err.contains("record.every") && err.contains("100 steps"), "{text}: {err}");
        }
    }
}
