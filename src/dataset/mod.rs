//! Labelled images: where they come from and how they become batches.
//!
//! A [`Dataset`] has two splits in memory, each of 8-bit [`LabelledImages`]. [`load`] reads one by
//! name: `cifar10`, `mnist` and `fashion_mnist` from their published files, `digits` from the
//! binary itself, `synthetic` (images) and the sets of [`planar`] points from a seed. From there on
//! nothing depends on the source: [`choose`] draws a sample as a list of indices, [`NormStats`]
//! turn bytes into floats, an [`Augmentation`] moves pixels, [`batches()`] divides an epoch into
//! mini-batches, and a [`Batcher`] fills the caller's buffers with them.
//!
//! Whatever is drawn here comes from an address (epoch, index in the split), never from the order
//! of work, so the bytes are the same for any batch size and any number of threads.

mod augment;
mod batches;
mod cifar10;
mod digits;
#[cfg(feature = "hub")]
mod hub;
mod images;
mod mnist;
mod normalise;
pub mod planar;
mod subset;
mod synthetic;

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::names::named_enum;

pub use augment::{Augment, Augmentation, Move};
pub use batches::{Batcher, LastBatch, batches, epoch_order};
pub use images::{Dataset, LabelledImages, SplitName};
pub use normalise::{NormChoice, NormStats};
pub use subset::{SampleOrder, choose};

named_enum! {
    /// The data sets this crate knows by name.
    pub enum DataSet("data set") {
        /// 50,000 + 10,000 colour photographs of 32x32 in 10 classes (Krizhevsky 2009).
        Cifar10 = "cifar10",
        /// 60,000 + 10,000 grey handwritten digits of 28x28 (LeCun et al. 1998).
        Mnist = "mnist",
        /// 60,000 + 10,000 grey images of clothes of 28x28 (Xiao et al. 2017).
        FashionMnist = "fashion_mnist",
        /// 1,437 + 360 grey handwritten digits of 8x8, embedded in the binary (Alpaydin & Kaynak
        /// 1998).
        Digits = "digits",
        /// Procedural colour shapes of 32x32 in 10 classes, any number of them, from a seed.
        Synthetic = "synthetic",
        /// Points on two arms of a spiral, from a seed; like the three below an "image" of two
        /// channels and one pixel, for pictures of a decision boundary.
        Spirals = "spirals",
        /// Points on two half circles that reach into each other.
        Moons = "moons",
        /// Points on a disc and two rings around it.
        Rings = "rings",
        /// Points in four overlapping clouds.
        Gaussians = "gaussians",
    }
}

impl DataSet {
    /// Shape of an image (c, h, w) and number of classes, without loading anything.
    pub fn form(self) -> ([usize; 3], usize) {
        match self {
            DataSet::Cifar10 | DataSet::Synthetic => ([3, 32, 32], 10),
            DataSet::Mnist | DataSet::FashionMnist => ([1, 28, 28], 10),
            DataSet::Digits => ([1, 8, 8], 10),
            DataSet::Spirals | DataSet::Moons | DataSet::Rings | DataSet::Gaussians => {
                (planar::SHAPE, planar::class_names(self).map_or(0, <[_]>::len))
            }
        }
    }
}

/// Where a data set's files are, and how much of a procedural one to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The folder with the files; `None` is `datasets/NAME` below the current folder. A folder
    /// named here is never completed by a download.
    pub dir: Option<PathBuf>,
    /// The seed of a set that is made.
    pub seed: u64,
    /// How many training images a set that is made has; `None` for its own number (10,000 images
    /// of `synthetic`, 1,000 points). The other sets have the size they have: take fewer with
    /// [`choose`].
    pub made_train: Option<usize>,
    /// How many test images; `None` for 2,000 of `synthetic`, 500 points.
    pub made_test: Option<usize>,
}

impl LoadOptions {
    /// Training and test images of a set that is made, whose own numbers are `own`.
    fn made(&self, own: [usize; 2]) -> [usize; 2] {
        [self.made_train.unwrap_or(own[0]), self.made_test.unwrap_or(own[1])]
    }
}

/// Reads (or makes) a whole data set.
///
/// # Errors
/// [`crate::Error::Data`] when files are missing, [`crate::Error::BadFile`] when one is truncated or
/// corrupt (it names the file, the size expected and found, and the remedy), [`crate::Error::Io`] when
/// one cannot be read, [`crate::Error::BadValue`] for a synthetic set of no images.
pub fn load(set: DataSet, options: &LoadOptions) -> Result<Dataset> {
    match set {
        DataSet::Cifar10 | DataSet::Mnist | DataSet::FashionMnist => {
            published(set, options.dir.as_deref())
        }
        DataSet::Digits => digits::load(),
        DataSet::Synthetic => {
            let [train, test] = options.made([10_000, 2_000]);
            synthetic::load(options.seed, train, test)
        }
        DataSet::Spirals | DataSet::Moons | DataSet::Rings | DataSet::Gaussians => {
            planar::load(set, options.seed, options.made(planar::DEFAULT_SIZE))
        }
    }
}

/// A data set from its published files in `dir`, or in its own folder when that is not given; with
/// the feature `hub`, no `dir` and no files, it is downloaded.
fn published(set: DataSet, dir: Option<&Path>) -> Result<Dataset> {
    let found = match set {
        DataSet::Cifar10 => cifar10::read(dir)?,
        _ => mnist::read(set, dir)?,
    };
    match found {
        Some(data) => Ok(data),
        #[cfg(feature = "hub")]
        None if dir.is_none() => hub::load(set),
        None if set == DataSet::Cifar10 => Err(cifar10::missing(dir)),
        None => Err(mnist::missing(set, dir)),
    }
}

/// What an error about missing files adds about downloading.
const HUB_HINT: &str = if cfg!(feature = "hub") {
    ""
} else {
    ", or build with the feature `hub` to have them downloaded"
};

#[cfg(test)]
pub(crate) mod test_data {
    use std::path::PathBuf;

    /// A folder of the real data sets that tests may use, or `None` (and a note on stderr).
    pub(crate) fn folder(name: &str) -> Option<PathBuf> {
        let root = std::env::var_os("LOSSREEL_DATA")
            .map(PathBuf::from)
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
        let dir = root.join(name);
        if !dir.is_dir() {
            eprintln!(
                "skipped: no {} (set LOSSREEL_DATA to the folder of data sets)",
                dir.display()
            );
            return None;
        }
        Some(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_data_set_is_found_by_its_own_name_and_a_misspelt_one_is_corrected() {
        for &set in DataSet::ALL {
            assert_eq!(set.as_str().parse::<DataSet>().unwrap(), set);
        }
        let err = "cifar".parse::<DataSet>().unwrap_err().to_string();
        assert!(err.contains("did you mean `cifar10`?"), "{err}");
        assert!(err.contains("fashion_mnist"), "{err}");
    }
}
