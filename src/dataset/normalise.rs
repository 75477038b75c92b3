//! Normalisation: pixel value x of channel c becomes `(x / max_value - mean[c]) / std[c]`.
//!
//! The arithmetic is f32 in that order, which is what torchvision's `ToTensor` and `Normalize` do,
//! so that a checkpoint trained there sees the same inputs here to the last bit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::images::Dataset;
use crate::error::{Error, Result};

/// Which mean and standard deviation to normalise with: a name, or numbers
/// (`mean=0.49,0.48,0.45;std=0.2,0.2,0.2`; one number stands for all channels).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NormChoice {
    /// `paper`: Li et al. 2018's for CIFAR-10: (125.3, 123.0, 113.9)/255 and (63.0, 62.1, 66.7)/255.
    Paper,
    /// `imagenet`: (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225).
    Imagenet,
    /// `usual`: what most CIFAR-10 scripts have, (0.4914, 0.4822, 0.4465) and (0.2023, 0.1994, 0.2010).
    Usual,
    /// `dataset`: computed from the data set's own training split.
    Dataset,
    /// `half`: 0.5 and 0.5, so that pixels are in -1..1.
    Half,
    /// `none`: nothing, so that pixels are in 0..1.
    None,
    /// These numbers, in units of the largest pixel value; one stands for all channels.
    Numbers {
        /// Mean of each channel.
        mean: Vec<f32>,
        /// Standard deviation of each channel.
        std: Vec<f32>,
    },
}

impl NormChoice {
    /// The names that stand for statistics.
    pub const NAMES: [&str; 6] = ["paper", "imagenet", "usual", "dataset", "half", "none"];

    /// What a data set is normalised with when nothing else is asked for: `paper` for `cifar10`, `none` for
    /// a text, `dataset` for all others.
    pub fn default_for(dataset_name: &str) -> Self {
        match dataset_name {
            "cifar10" => NormChoice::Paper,
            "text" => NormChoice::None,
            _ => NormChoice::Dataset,
        }
    }

    /// `mean=..;std=..`.
    fn numbers(text: &str) -> Result<Self> {
        let remedy = "write, say, mean=0.4914,0.4822,0.4465;std=0.2023,0.1994,0.2010";
        let bad = |problem: &str| Error::bad_value("norm-stats", text, problem, remedy);
        let (mut mean, mut std) = (None, None);
        for part in text.split([';', ' ']).filter(|part| !part.is_empty()) {
            let (key, values) = part.split_once('=').ok_or_else(|| bad("no key=values"))?;
            let values: Option<Vec<f32>> = values
                .trim_matches(|c| "[]()".contains(c))
                .split(',')
                .map(|v| v.trim().parse().ok().filter(|v: &f32| v.is_finite()))
                .collect();
            let values = values.ok_or_else(|| bad("a value of which is no number"))?;
            match key.trim() {
                "mean" => mean = Some(values),
                "std" => std = Some(values),
                _ => return Err(bad("neither a name nor mean and std")),
            }
        }
        let (Some(mean), Some(std)) = (mean, std) else {
            return Err(bad("without a mean or without a std"));
        };
        if std.iter().any(|s| *s <= 0.0) {
            return Err(bad("a std of which is not above 0"));
        }
        if mean.len() != std.len() {
            return Err(bad("with another number of means than of stds"));
        }
        Ok(Self::Numbers { mean, std })
    }
}

impl FromStr for NormChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name.trim() {
            "paper" => Self::Paper,
            "imagenet" => Self::Imagenet,
            "usual" => Self::Usual,
            "dataset" => Self::Dataset,
            "half" => Self::Half,
            "none" => Self::None,
            numbers if numbers.contains('=') => Self::numbers(numbers)?,
            _ => {
                let mut known = Self::NAMES.to_vec();
                known.push("mean=..;std=..");
                return Err(Error::unknown_name("normalisation", name, &known));
            }
        })
    }
}

impl fmt::Display for NormChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Paper => "paper",
            Self::Imagenet => "imagenet",
            Self::Usual => "usual",
            Self::Dataset => "dataset",
            Self::Half => "half",
            Self::None => "none",
            Self::Numbers { mean, std } => {
                let list = |values: &[f32]| {
                    values.iter().map(f32::to_string).collect::<Vec<_>>().join(",")
                };
                return write!(f, "mean={};std={}", list(mean), list(std));
            }
        };
        f.pad(name)
    }
}

impl TryFrom<String> for NormChoice {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<NormChoice> for String {
    fn from(choice: NormChoice) -> String {
        choice.to_string()
    }
}

/// Mean and standard deviation of each channel, in units of `max_value` (so within 0..1).
#[derive(Debug, Clone, PartialEq)]
pub struct NormStats {
    /// Mean, (c,).
    pub mean: Vec<f32>,
    /// Standard deviation, (c,), positive.
    pub std: Vec<f32>,
}

impl fmt::Display for NormStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, std } = self.clone();
        NormChoice::Numbers { mean, std }.fmt(f)
    }
}

impl NormStats {
    /// The statistics `choice` means for `dataset`.
    ///
    /// # Errors
    /// [`Error::BadValue`] when it is a choice for another number of channels than the images have.
    pub fn of(dataset: &Dataset, choice: &NormChoice) -> Result<Self> {
        let channels = dataset.shape()[0];
        let of_channels = |mean: &[f32], std: &[f32]| {
            let spread = |values: &[f32]| match values {
                [one] => vec![*one; channels],
                values => values.to_vec(),
            };
            let stats = Self { mean: spread(mean), std: spread(std) };
            if stats.mean.len() == channels && stats.std.len() == channels {
                return Ok(stats);
            }
            Err(Error::bad_value(
                "norm-stats",
                choice,
                format!(
                    "for {} channels, but images of {} have {channels}",
                    mean.len(),
                    dataset.name
                ),
                "use `dataset`, computed from its training split, or as many numbers as channels",
            ))
        };
        match choice {
            NormChoice::Paper => {
                let per_255 = |values: [f64; 3]| values.map(|x| (x / 255.0) as f32);
                of_channels(&per_255([125.3, 123.0, 113.9]), &per_255([63.0, 62.1, 66.7]))
            }
            NormChoice::Imagenet => of_channels(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]),
            NormChoice::Usual => of_channels(&[0.4914, 0.4822, 0.4465], &[0.2023, 0.1994, 0.2010]),
            NormChoice::Half => of_channels(&[0.5], &[0.5]),
            NormChoice::None => of_channels(&[0.0], &[1.0]),
            NormChoice::Numbers { mean, std } => of_channels(mean, std),
            NormChoice::Dataset => Ok(Self::from_train(dataset)),
        }
    }

    /// Mean and population standard deviation of each channel over the training split: counted
    /// exactly with a histogram, then in f64. A constant channel gets 1 for its deviation.
    fn from_train(dataset: &Dataset) -> Self {
        let [channels, height, width] = dataset.shape();
        let mut counts = vec![[0u64; 256]; channels];
        for (plane, pixels) in dataset.train.pixels.chunks_exact(height * width).enumerate() {
            let histogram = &mut counts[plane % channels];
            for &pixel in pixels {
                histogram[usize::from(pixel)] += 1;
            }
        }
        let total = (dataset.train.len() * height * width) as f64;
        let max = f64::from(dataset.max_value);
        let (mut mean, mut std) = (Vec::new(), Vec::new());
        for histogram in &counts {
            let moment = |f: &dyn Fn(f64) -> f64| {
                histogram
                    .iter()
                    .enumerate()
                    .map(|(v, &n)| n as f64 * f(v as f64 / max))
                    .sum::<f64>()
                    / total
            };
            let m = moment(&|x| x);
            let s = moment(&|x| (x - m) * (x - m)).sqrt();
            mean.push(m as f32);
            std.push(if s > 0.0 { s as f32 } else { 1.0 });
        }
        Self { mean, std }
    }

    /// For each channel the normalised value of every pixel value 0..=255, (c, 256).
    pub fn tables(&self, max_value: f32) -> Vec<[f32; 256]> {
        let table = |(&mean, &std): (&f32, &f32)| {
            std::array::from_fn(|x| (x as f32 / max_value - mean) / std)
        };
        self.mean.iter().zip(&self.std).map(table).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::images::LabelledImages;

    fn tiny(shape: [usize; 3], images: Vec<u8>) -> Dataset {
        let n = images.len() / shape.iter().product::<usize>();
        let source = LabelledImages::new(images, vec![0; n], shape).unwrap();
        Dataset::new("tiny", source.clone(), source, &["a"], 10.0).unwrap()
    }

    #[test]
    fn dataset_statistics_are_those_of_each_channel() {
        // Two images of two channels of 1x2: channel 0 holds 0, 2, 4, 6, channel 1 is constant.
        let data = tiny([2, 1, 2], vec![0, 2, 5, 5, 4, 6, 5, 5]);
        let stats = NormStats::of(&data, &NormChoice::Dataset).unwrap();
        assert_eq!(stats.mean, [0.3, 0.5]);
        assert!((f64::from(stats.std[0]) - 0.05f64.sqrt()).abs() < 1e-7, "{:?}", stats.std);
        assert_eq!(stats.std[1], 1.0);
    }

    #[test]
    fn the_table_is_torchvisions_arithmetic() {
        let data = tiny([3, 1, 1], vec![1, 2, 3]);
        let tables = NormStats::of(&data, &NormChoice::Paper).unwrap().tables(255.0);
        // torch: (torch.tensor(200.)/255 - torch.tensor(125.3/255)) / torch.tensor(63.0/255), and
        // the same for a blue 0: equal to the last bit, as the module promises.
        assert_eq!(tables[0][200], 1.185_714_4);
        assert_eq!(tables[2][0], -1.707_646_1);
    }

    #[test]
    fn three_channel_statistics_on_grey_images_are_refused() {
        let err = NormStats::of(&tiny([1, 1, 1], vec![1]), &NormChoice::Imagenet).unwrap_err();
        assert!(err.to_string().contains("use `dataset`"), "{err}");
        assert_eq!(NormChoice::default_for("cifar10"), NormChoice::Paper);
        assert_eq!(NormChoice::default_for("digits"), NormChoice::Dataset);
        assert!("papr".parse::<NormChoice>().unwrap_err().to_string().contains("`paper`"));
    }
}
