//! What values a key of `[optim]` may have.

use crate::error::{Error, Result};

/// The value of a key.
pub(super) trait Value {
    /// As a number, where it is one.
    fn number(self) -> Option<f64>;
}

impl Value for f64 {
    fn number(self) -> Option<f64> {
        Some(self)
    }
}

impl Value for u64 {
    fn number(self) -> Option<f64> {
        Some(self as f64)
    }
}

impl Value for bool {
    fn number(self) -> Option<f64> {
        None
    }
}

/// Which numbers a key allows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Range {
    /// Whatever its type does.
    Any,
    /// 0 and more.
    NotNegative,
    /// More than 0.
    Positive,
    /// More than 0; the key may be left out for no bound.
    Bound,
    /// From 0 up to, but not including, 1.
    Fraction,
    /// 0 to 1.
    Part,
    /// 1 and more.
    Count,
    /// More than 1, also infinity.
    Growth,
}

impl Range {
    /// An error that names `optim.{key}` where it does not allow `value`.
    pub fn check(self, key: &str, value: f64) -> Result<()> {
        let (ok, remedy) = match self {
            Self::Any => return Ok(()),
            Self::NotNegative => (value >= 0.0, "choose a finite number, zero or more"),
            Self::Positive => (value > 0.0, "choose a positive number"),
            Self::Bound => (value > 0.0, "choose a positive number, or leave the key out for none"),
            Self::Fraction => {
                let remedy = "choose a number from 0 up to, but not including, 1";
                ((0.0..1.0).contains(&value), remedy)
            }
            Self::Part => ((0.0..=1.0).contains(&value), "choose 0 to 1"),
            Self::Count => (value >= 1.0, "choose a whole number from 1 up"),
            Self::Growth => (value > 1.0, "choose a number above 1, or inf for no bound"),
        };
        let infinite = matches!(self, Self::Growth) && value == f64::INFINITY;
        if ok && (value.is_finite() || infinite) {
            return Ok(());
        }
        Err(Error::bad_value(format!("optim.{key}"), value, "out of its range", remedy))
    }
}
