//! Normalisation: pixel value x of channel c becomes `(x / max_value - mean[c]) / std[c]`.
//!
//! The arithmetic is f32 in that order, which is what torchvision's `ToTensor` and `Normalize` do,
//! so that a checkpoint trained there sees the same inputs here to the last bit.

use super::images::Dataset;
use crate::error::{Error, Result};
use crate::names::named_enum;

named_enum! {
    /// Which mean and standard deviation to normalise with.
    pub enum NormChoice("normalisation") {
        /// Li et al. 2018's for CIFAR-10: (125.3, 123.0, 113.9)/255 and (63.0, 62.1, 66.7)/255.
        Paper = "paper",
        /// ImageNet's: (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225).
        Imagenet = "imagenet",
        /// Computed from the data set's own training split.
        Dataset = "dataset",
        /// Nothing: pixels are in 0..1.
        None = "none",
    }
}

impl NormChoice {
    /// What a data set is normalised with when nothing else is asked for: `paper` for `cifar10`,
    /// `dataset` for all others.
    pub fn default_for(dataset_name: &str) -> Self {
        match dataset_name {
            "cifar10" => NormChoice::Paper,
            _ => NormChoice::Dataset,
        }
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

impl NormStats {
    /// The statistics `choice` means for `dataset`; [`Error::BadValue`] when it is a three-channel
    /// choice and the images have another number of channels.
    pub fn of(dataset: &Dataset, choice: NormChoice) -> Result<Self> {
        let channels = dataset.shape()[0];
        if matches!(choice, NormChoice::Paper | NormChoice::Imagenet) && channels != 3 {
            return Err(Error::bad_value(
                "norm-stats",
                choice,
                format!("which has three channels, but images of {} have {channels}", dataset.name),
                "use `dataset`, computed from its training split",
            ));
        }
        Ok(match choice {
            NormChoice::Paper => Self {
                mean: [125.3, 123.0, 113.9].map(|x: f64| (x / 255.0) as f32).to_vec(),
                std: [63.0, 62.1, 66.7].map(|x: f64| (x / 255.0) as f32).to_vec(),
            },
            NormChoice::Imagenet => {
                Self { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
            }
            NormChoice::Dataset => Self::from_train(dataset),
            NormChoice::None => Self { mean: vec![0.0; channels], std: vec![1.0; channels] },
        })
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
        let stats = NormStats::of(&data, NormChoice::Dataset).unwrap();
        assert_eq!(stats.mean, [0.3, 0.5]);
        assert!((f64::from(stats.std[0]) - 0.05f64.sqrt()).abs() < 1e-7, "{:?}", stats.std);
        assert_eq!(stats.std[1], 1.0);
    }

    #[test]
    fn the_table_is_torchvisions_arithmetic() {
        let data = tiny([3, 1, 1], vec![1, 2, 3]);
        let tables = NormStats::of(&data, NormChoice::Paper).unwrap().tables(255.0);
        // torch: (torch.tensor(200.)/255 - torch.tensor(125.3/255)) / torch.tensor(63.0/255), and
        // the same for a blue 0: equal to the last bit, as the module promises.
        assert_eq!(tables[0][200], 1.185_714_4);
        assert_eq!(tables[2][0], -1.707_646_1);
    }

    #[test]
    fn three_channel_statistics_on_grey_images_are_refused() {
        let err = NormStats::of(&tiny([1, 1, 1], vec![1]), NormChoice::Imagenet).unwrap_err();
        assert!(err.to_string().contains("use `dataset`"), "{err}");
        assert_eq!(NormChoice::default_for("cifar10"), NormChoice::Paper);
        assert_eq!(NormChoice::default_for("digits"), NormChoice::Dataset);
        assert!("papr".parse::<NormChoice>().unwrap_err().to_string().contains("`paper`"));
    }
}
