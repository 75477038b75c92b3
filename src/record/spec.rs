//! The `[record]` table of a spec.

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Keep, Occasions, Policy};
use crate::Result;
use crate::weights::StoredAs;

/// The `[record]` table of a spec.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordSpec {
    /// When a snapshot is taken: policies separated by commas. The first and the last state are always
    /// taken.
    pub every: Occasions,
    /// Which snapshots stay: `all`, `last=N`, `best=N`, or both of these.
    pub keep: Keep,
    /// The element type of theta in snapshots: `f32`, `bf16` or `f16`. Buffers and the checkpoint are
    /// always `f32`.
    pub dtype: StoredAs,
    /// When sharpness is measured: a [`Policy`], or `off`, the default. Each measurement costs some
    /// twenty passes forth and back over `sharpness_samples` images.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "sharpness_policy")]
    pub sharpness: Option<Policy>,
    /// Training images that sharpness is measured on (a class-balanced draw), 0 for all; 500 by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharpness_samples: Option<usize>,
    /// When the gradient's noise is measured, likewise. Each measurement costs two passes forth and back over
    /// `gradient_noise_samples` images.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "gradient_noise_policy")]
    pub gradient_noise: Option<Policy>,
    /// Training images that it is measured on (a class-balanced draw), 0 for all; 1,000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_noise_samples: Option<usize>,
    /// After which states the step that follows is measured: whether it over- or undershot, likewise. Each
    /// measurement costs two passes forth and back over `overshoot_samples` images.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "overshoot_policy")]
    pub overshoot: Option<Policy>,
    /// Training images that it is measured on (a class-balanced draw), 0 for all; 1,000 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overshoot_samples: Option<usize>,
}

impl RecordSpec {
    /// Writes out the defaults of what is switched on.
    pub fn resolve(mut self) -> Self {
        if self.sharpness.is_some() {
            self.sharpness_samples.get_or_insert(SHARPNESS_SAMPLES);
        }
        if self.gradient_noise.is_some() {
            self.gradient_noise_samples.get_or_insert(GRADIENT_NOISE_SAMPLES);
        }
        if self.overshoot.is_some() {
            self.overshoot_samples.get_or_insert(OVERSHOOT_SAMPLES);
        }
        self
    }
}

/// Images that sharpness is measured on by default.
pub const SHARPNESS_SAMPLES: usize = 500;

/// Images that the gradient's noise is measured on by default, as `lossreel measure`.
pub const GRADIENT_NOISE_SAMPLES: usize = 1000;

/// Images that the overshoot of a step is measured on by default.
pub const OVERSHOOT_SAMPLES: usize = 1000;

fn sharpness_policy<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Policy>, D::Error> {
    policy_or_off("record.sharpness", input)
}

fn gradient_noise_policy<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Policy>, D::Error> {
    policy_or_off("record.gradient_noise", input)
}

fn overshoot_policy<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Policy>, D::Error> {
    policy_or_off("record.overshoot", input)
}

fn policy_or_off<'de, D: Deserializer<'de>>(
    key: &str,
    input: D,
) -> Result<Option<Policy>, D::Error> {
    let text = String::deserialize(input)?;
    if text == "off" {
        return Ok(None);
    }
    Policy::parse(key, &text).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharpness_is_off_unless_asked_for_and_a_misspelt_policy_names_its_key() {
        let read = |text: &str| toml::from_str::<RecordSpec>(text).map(RecordSpec::resolve);
        assert_eq!(read("").unwrap(), RecordSpec::default());
        assert_eq!(read("sharpness = \"off\"").unwrap().sharpness, None);
        let on = read("sharpness = \"2 epochs\"").unwrap();
        assert_eq!((on.sharpness, on.sharpness_samples), (Some(Policy::Epochs(2)), Some(500)));
        let text = toml::to_string(&on).unwrap();
        assert_eq!(read(&text).unwrap(), on, "{text}");
        let err = read("sharpness = \"often\"").unwrap_err().to_string();
        assert!(err.contains("record.sharpness") && err.contains("100 steps"), "{err}");
        let noise = read("gradient_noise = \"epoch\"").unwrap();
        assert_eq!((noise.gradient_noise_samples, noise.sharpness), (Some(1000), None));
        let err = read("gradient_noise = \"often\"").unwrap_err().to_string();
        assert!(err.contains("record.gradient_noise"), "{err}");
        let overshoot = read("overshoot = \"100 steps\"").unwrap();
        assert_eq!(overshoot.overshoot_samples, Some(1000));
        let err = read("overshoot = \"often\"").unwrap_err().to_string();
        assert!(err.contains("record.overshoot"), "{err}");
    }
}
