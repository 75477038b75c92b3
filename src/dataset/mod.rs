//! Labelled images: where they come from and how they become batches.
//!
//! A [`Dataset`] has two splits in memory, each of 8-bit [`LabelledImages`]. [`load`] reads one by
//! name: published sets from their files ([`fetch`] downloads them), `digits` from the binary itself,
//! `synthetic` (images) and the sets of [`planar`] points from a seed, and data of one's own from
//! pictures, arrays, a table or a text ([`OwnData`]). What outputs are held against is a split's
//! [`Targets`]: labels, numbers (regression), or a class for each position of a text. From there on nothing depends on the source: [`choose`] draws a sample as a list of indices, [`NormStats`]
//! turn bytes into floats, an [`Augmentation`] moves pixels, [`batches()`] divides an epoch into
//! mini-batches, and a [`Batcher`] fills the caller's buffers with them.
//!
//! Whatever is drawn here comes from an address (epoch, index in the split), never from the order
//! of work, so the bytes are the same for any batch size and any number of threads.

mod archive;
mod augment;
mod batches;
mod cifar;
mod digits;
pub mod fetch;
#[cfg(feature = "hub")]
mod hub;
mod images;
mod mat;
mod mnist;
mod normalise;
mod own;
pub mod planar;
mod subset;
mod svhn;
mod synthetic;
mod targets;
mod tree;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::names::named_enum;

pub use augment::{Augment, Augmentation, Move};
pub use batches::{Batcher, LastBatch, batches, epoch_order};
pub use images::{Dataset, LabelledImages, SplitName};
pub use normalise::{NormChoice, NormStats};
pub use own::{Colors, ImageFit, ImageSize, LabelColumn, OwnData, TargetKind};
pub use subset::{SampleOrder, choose};
pub use targets::{BatchTargets, Loss, TargetBuffer, Targets};

named_enum! {
    /// The data sets this crate knows by name.
    pub enum DataSet("data set") {
        /// 50,000 + 10,000 colour photographs of 32x32 in 10 classes (Krizhevsky 2009).
        Cifar10 = "cifar10",
        /// 50,000 + 10,000 colour photographs of 32x32 in 100 classes (Krizhevsky 2009).
        Cifar100 = "cifar100",
        /// 60,000 + 10,000 grey handwritten digits of 28x28 (LeCun et al. 1998).
        Mnist = "mnist",
        /// 60,000 + 10,000 grey images of clothes of 28x28 (Xiao et al. 2017).
        FashionMnist = "fashion_mnist",
        /// 60,000 + 10,000 grey cursive hiragana of 28x28 in 10 classes (Clanuwat et al. 2018).
        Kmnist = "kmnist",
        /// 73,257 + 26,032 colour photographs of house numbers of 32x32 in 10 classes (Netzer et al.
        /// 2011).
        Svhn = "svhn",
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
        /// Pictures of one's own: a folder of PNG or JPEG files for each class.
        Folder = "folder",
        /// Arrays of one's own: numpy's `.npz` or `.npy` files.
        Npz = "npz",
        /// A table of one's own: a row of numbers and a label for each example.
        Csv = "csv",
        /// A text of one's own, for a language model of characters.
        Text = "text",
    }
}

/// Where the images of a set come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Files that somebody published and [`fetch`] downloads.
    Published,
    /// This program itself.
    Embedded,
    /// A seed.
    Made,
    /// Files of the user's own.
    Own,
}

impl DataSet {
    /// Where its images come from.
    pub fn origin(self) -> Origin {
        match self {
            DataSet::Cifar10
            | DataSet::Cifar100
            | DataSet::Mnist
            | DataSet::FashionMnist
            | DataSet::Kmnist
            | DataSet::Svhn => Origin::Published,
            DataSet::Digits => Origin::Embedded,
            DataSet::Synthetic
            | DataSet::Spirals
            | DataSet::Moons
            | DataSet::Rings
            | DataSet::Gaussians => Origin::Made,
            DataSet::Folder | DataSet::Npz | DataSet::Csv | DataSet::Text => Origin::Own,
        }
    }

    /// Shape of an image (c, h, w) and number of classes, without loading anything; `None` for data of
    /// one's own, whose files say it.
    pub fn form(self) -> Option<([usize; 3], usize)> {
        match self {
            DataSet::Cifar10 | DataSet::Synthetic | DataSet::Svhn => Some(([3, 32, 32], 10)),
            DataSet::Cifar100 => Some(([3, 32, 32], 100)),
            DataSet::Mnist | DataSet::FashionMnist | DataSet::Kmnist => Some(([1, 28, 28], 10)),
            DataSet::Digits => Some(([1, 8, 8], 10)),
            DataSet::Spirals | DataSet::Moons | DataSet::Rings | DataSet::Gaussians => {
                Some((planar::SHAPE, planar::class_names(self).map_or(0, <[_]>::len)))
            }
            DataSet::Folder | DataSet::Npz | DataSet::Csv | DataSet::Text => None,
        }
    }

    /// Training and test images of the whole set, of one that is made as many as it has where nothing
    /// else is asked for; `None` for data of one's own.
    pub fn sizes(self) -> Option<[usize; 2]> {
        match self {
            DataSet::Cifar10 | DataSet::Cifar100 => Some([50_000, 10_000]),
            DataSet::Mnist | DataSet::FashionMnist | DataSet::Kmnist => Some([60_000, 10_000]),
            DataSet::Svhn => Some([73_257, 26_032]),
            DataSet::Digits => Some([1_437, 360]),
            DataSet::Synthetic => Some(SYNTHETIC_SIZE),
            DataSet::Spirals | DataSet::Moons | DataSet::Rings | DataSet::Gaussians => {
                Some(planar::DEFAULT_SIZE)
            }
            DataSet::Folder | DataSet::Npz | DataSet::Csv | DataSet::Text => None,
        }
    }
}

/// What the examples of the data set `name` are called: images, points, or examples; nothing for data that this
/// crate does not know.
pub fn things(name: &str) -> Option<&'static str> {
    Some(match name.parse::<DataSet>().ok()? {
        DataSet::Csv | DataSet::Text => "examples",
        set if set.form().is_some_and(|(shape, _)| shape == planar::SHAPE) => "points",
        _ => "images",
    })
}

/// Training and test images of `synthetic` where nothing else is asked for.
const SYNTHETIC_SIZE: [usize; 2] = [10_000, 2_000];

/// Where a data set's files are, and how much of a procedural one to make.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadOptions {
    /// The folder with the files, or below which they are; `None` is `datasets/NAME` below the current
    /// folder. A folder named here is never completed by a download.
    pub dir: Option<PathBuf>,
    /// The seed of a set that is made.
    pub seed: u64,
    /// How many training images a set that is made has; `None` for its own number (10,000 images
    /// of `synthetic`, 1,000 points). The other sets have the size they have: take fewer with
    /// [`choose`].
    pub made_train: Option<usize>,
    /// How many test images; `None` for 2,000 of `synthetic`, 500 points.
    pub made_test: Option<usize>,
    /// How data of one's own are read.
    pub own: OwnData,
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
        DataSet::Cifar10
        | DataSet::Cifar100
        | DataSet::Mnist
        | DataSet::FashionMnist
        | DataSet::Kmnist
        | DataSet::Svhn => published(set, options.dir.as_deref()),
        DataSet::Digits => digits::load(),
        DataSet::Synthetic => {
            let [train, test] = options.made(SYNTHETIC_SIZE);
            synthetic::load(options.seed, train, test)
        }
        DataSet::Spirals | DataSet::Moons | DataSet::Rings | DataSet::Gaussians => {
            planar::load(set, options.seed, options.made(planar::DEFAULT_SIZE))
        }
        DataSet::Folder | DataSet::Npz | DataSet::Csv | DataSet::Text => {
            own::load(set, options.dir.as_deref(), &options.own)
        }
    }
}

/// A data set from its published files in `dir`, or in its own folder when that is not given; with
/// the feature `hub`, no `dir` and no files, some are downloaded.
fn published(set: DataSet, dir: Option<&Path>) -> Result<Dataset> {
    match read_published(set, dir)? {
        Some(data) => Ok(data),
        #[cfg(feature = "hub")]
        None if dir.is_none() && hub::has(set) => hub::load(set),
        None => Err(missing(set, dir)?),
    }
}

/// A data set from its published files; `None` when none of them is there.
fn read_published(set: DataSet, dir: Option<&Path>) -> Result<Option<Dataset>> {
    match set {
        DataSet::Cifar10 | DataSet::Cifar100 => cifar::read(set, dir),
        DataSet::Svhn => svhn::read(dir),
        _ => mnist::read(set, dir),
    }
}

/// Where the files of a published set lie, all of them; `None` where they are not all there. Nothing is
/// read, so they may still be damaged.
///
/// # Errors
/// [`crate::Error::Io`] when a folder cannot be looked into.
pub fn find(set: DataSet, dir: Option<&Path>) -> Result<Option<PathBuf>> {
    match set {
        DataSet::Cifar10 | DataSet::Cifar100 => cifar::find(set, dir),
        DataSet::Svhn => svhn::find(dir),
        DataSet::Mnist | DataSet::FashionMnist | DataSet::Kmnist => mnist::find(set, dir),
        _ => Ok(None),
    }
}

/// Whether any file of a published set is there, whole or not: what is there is for [`load`] to judge.
///
/// # Errors
/// [`crate::Error::Io`] when a folder cannot be looked into.
pub fn is_there(set: DataSet, dir: Option<&Path>) -> Result<bool> {
    match set {
        DataSet::Cifar10 | DataSet::Cifar100 => cifar::is_there(set, dir),
        DataSet::Svhn => svhn::is_there(dir),
        DataSet::Mnist | DataSet::FashionMnist | DataSet::Kmnist => mnist::is_there(set, dir),
        _ => Ok(false),
    }
}

/// The error for files that are not there: what is there, what should be, and how to get it.
fn missing(set: DataSet, dir: Option<&Path>) -> Result<Error> {
    let own = Path::new("datasets").join(set.as_str());
    let dir = dir.unwrap_or(&own);
    let seen = match tree::Tree::below(dir)?.seen() {
        Some(names) => format!(", where {names} lie"),
        None => String::new(),
    };
    let wanted = match set {
        DataSet::Cifar10 | DataSet::Cifar100 => cifar::wanted(set),
        DataSet::Svhn => svhn::wanted(),
        _ => mnist::wanted(set),
    };
    Ok(Error::Data {
        what: format!("the {set} files are not in {}{seen}", dir.display()),
        remedy: format!(
            "get them with `lossreel datasets fetch {set}`, or put there {wanted}, or name their folder \
             with `data.dir`"
        ),
    })
}

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
