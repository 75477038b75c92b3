//! A data set in memory: labelled 8-bit images to train on and to test on, and a digest by which a
//! run's manifest identifies them.

use sha2::{Digest, Sha256};

use super::targets::{Loss, Targets};
use crate::error::{Error, Result};
use crate::names::named_enum;

named_enum! {
    /// The two splits of a data set.
    #[derive(Default, PartialOrd, Ord)]
    pub enum SplitName("split") {
        /// The images a network is trained on.
        #[default]
        Train = "train",
        /// The images kept back to test it.
        Test = "test",
    }
}

impl SplitName {
    /// The word for a sentence: "training" or "test", as in "training images".
    pub const fn adjective(self) -> &'static str {
        match self {
            SplitName::Train => "training",
            SplitName::Test => "test",
        }
    }
}

/// Images of one shape with a label each: 8-bit pixels, row-major NCHW.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledImages {
    /// Pixels, (n, c, h, w).
    pub pixels: Vec<u8>,
    /// Class of each image, (n,); 0 for all where `targets` has something else than classes of images.
    pub labels: Vec<u8>,
    /// (c, h, w) of an image.
    pub shape: [usize; 3],
    /// What a network's outputs are held against.
    pub targets: Targets,
}

impl LabelledImages {
    /// `labels.len()` images with these `pixels`.
    ///
    /// # Errors
    /// [`Error::Data`] when there are none, or when the pixels are not `labels.len() * c * h * w`.
    pub fn new(pixels: Vec<u8>, labels: Vec<u8>, shape: [usize; 3]) -> Result<Self> {
        let expected = labels.len() * shape.iter().product::<usize>();
        if labels.is_empty() || expected == 0 {
            return Err(Error::Data {
                what: format!("no images: {} labels, images of {shape:?}", labels.len()),
                remedy: "a split needs at least one image of at least one pixel".into(),
            });
        }
        if pixels.len() != expected {
            return Err(Error::Data {
                what: format!(
                    "{} labels of {shape:?} images need {expected} pixel values, got {}",
                    labels.len(),
                    pixels.len()
                ),
                remedy: "give one label for each image".into(),
            });
        }
        Ok(Self { pixels, labels, shape, targets: Targets::Labels })
    }

    /// The same images with other targets than labels.
    ///
    /// # Errors
    /// [`Error::Data`] when the targets are not those of so many images.
    pub(super) fn with_targets(self, targets: Targets) -> Result<Self> {
        let targets_of = match &targets {
            Targets::Labels | Targets::OneHot => self.len(),
            Targets::Values { values, outputs } => values.len() / (*outputs).max(1),
            Targets::Sequences { classes, positions } => classes.len() / (*positions).max(1),
        };
        if targets_of != self.len() {
            return Err(Error::Data {
                what: format!("{} images have targets of {targets_of}", self.len()),
                remedy: "give one target for each image".into(),
            });
        }
        let labels = if targets.are_labels() { self.labels } else { vec![0; targets_of] };
        Ok(Self { labels, targets, ..self })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images; [`LabelledImages::new`] makes none such,
    /// [`LabelledImages::select`] may.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Pixel values in one image, c * h * w.
    pub fn image_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The pixels of image `index`, (c, h, w). Panics when there is no such image.
    pub fn image(&self, index: usize) -> &[u8] {
        let len = self.image_len();
        &self.pixels[index * len..(index + 1) * len]
    }

    /// Copies of the images at `indices`, in that order. Panics when an index is out of range.
    pub fn select(&self, indices: &[usize]) -> LabelledImages {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_len());
        for &index in indices {
            pixels.extend_from_slice(self.image(index));
        }
        let labels = indices.iter().map(|&index| self.labels[index]).collect();
        let targets = self.targets.select(indices);
        LabelledImages { pixels, labels, shape: self.shape, targets }
    }
}

/// A whole data set: images to train on, images to test on, and the names of the classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its name, as a spec has it.
    pub name: String,
    /// The training images.
    pub train: LabelledImages,
    /// The test images.
    pub test: LabelledImages,
    /// Number of classes; for targets that are numbers, how many an example has.
    pub classes: usize,
    /// The name of each class, or of each of those numbers, (classes,).
    pub class_names: Vec<String>,
    /// The pixel value that means 1.0: 255 for 8-bit images, 16 for `digits`.
    pub max_value: f32,
    /// Mean and standard deviation of each number that is predicted, in its own units, where the targets are
    /// brought to mean 0 and deviation 1; empty otherwise.
    pub target_scales: Vec<[f64; 2]>,
    /// SHA-256, in hex, of the shapes, labels and pixels of both splits.
    pub digest: String,
}

impl Dataset {
    /// A data set from its parts, with its digest.
    ///
    /// # Errors
    /// [`Error::Data`] when a split is empty, when the two splits' images differ in shape, or when
    /// a label is not below the number of class names.
    pub fn new(
        name: &str,
        train: LabelledImages,
        test: LabelledImages,
        class_names: &[&str],
        max_value: f32,
    ) -> Result<Self> {
        let classes = class_names.len();
        for (split, images) in [(SplitName::Train, &train), (SplitName::Test, &test)] {
            let which = split.adjective();
            if images.is_empty() {
                return Err(Error::Data {
                    what: format!("the {which} split of {name} is empty"),
                    remedy: "give it at least one image".into(),
                });
            }
            if let Some(at) = images.labels.iter().position(|&l| usize::from(l) >= classes) {
                return Err(Error::Data {
                    what: format!(
                        "{which} image {at} of {name} has label {}, but there are {classes} classes",
                        images.labels[at]
                    ),
                    remedy: format!("labels go from 0 to {}", classes.saturating_sub(1)),
                });
            }
        }
        if train.shape != test.shape {
            return Err(Error::Data {
                what: format!(
                    "{name} has training images of {:?} and test images of {:?}",
                    train.shape, test.shape
                ),
                remedy: "both splits need images of one (channels, height, width)".into(),
            });
        }
        let digest = digest(&train, &test);
        let class_names = class_names.iter().map(|s| s.to_string()).collect();
        Ok(Self {
            name: name.to_string(),
            train,
            test,
            classes,
            class_names,
            max_value,
            target_scales: Vec::new(),
            digest,
        })
    }

    /// The same data, whose targets were brought to mean 0 and deviation 1 from these.
    pub(super) fn with_target_scales(self, target_scales: Vec<[f64; 2]>) -> Self {
        Self { target_scales, ..self }
    }

    /// The same data set with other splits (subsets of its own, say) and the digest of those.
    ///
    /// # Errors
    /// As [`Dataset::new`].
    pub fn with_splits(&self, train: LabelledImages, test: LabelledImages) -> Result<Self> {
        let names: Vec<&str> = self.class_names.iter().map(String::as_str).collect();
        let new = Self::new(&self.name, train, test, &names, self.max_value)?;
        Ok(new.with_target_scales(self.target_scales.clone()))
    }

    /// The same data scored by `loss`: classes of images by either, numbers by squared error and positions of
    /// sequences by cross-entropy alone.
    ///
    /// # Errors
    /// [`Error::BadValue`] for a loss that does not fit the targets.
    pub fn scored_by(mut self, loss: Loss) -> Result<Self> {
        for split in [&mut self.train, &mut self.test] {
            match (&split.targets, loss) {
                (Targets::Labels | Targets::OneHot, Loss::CrossEntropy) => {
                    split.targets = Targets::Labels;
                }
                (Targets::Labels | Targets::OneHot, Loss::Squared) => {
                    split.targets = Targets::OneHot;
                }
                (targets, loss) if targets.loss() == loss => {}
                (targets, _) => {
                    return Err(Error::bad_value(
                        "train.loss",
                        loss,
                        format!("but the targets of {} are no classes of images", self.name),
                        format!("use {}", targets.loss()),
                    ));
                }
            }
        }
        Ok(self)
    }

    /// The images of a split.
    pub fn split(&self, name: SplitName) -> &LabelledImages {
        match name {
            SplitName::Train => &self.train,
            SplitName::Test => &self.test,
        }
    }

    /// (c, h, w) of every image.
    pub fn shape(&self) -> [usize; 3] {
        self.train.shape
    }
}

/// SHA-256 over (n, c, h, w), labels and pixels of the training split, then of the test split.
fn digest(train: &LabelledImages, test: &LabelledImages) -> String {
    let mut hash = Sha256::new();
    hash.update(b"lossreel data v1\0");
    for split in [train, test] {
        for size in [split.len()].iter().chain(&split.shape) {
            hash.update((*size as u64).to_le_bytes());
        }
        hash.update(&split.labels);
        hash.update(&split.pixels);
        // Targets that are the labels are in it; by which loss those are scored is no part of the data.
        match &split.targets {
            Targets::Labels | Targets::OneHot => {}
            Targets::Values { values, .. } => {
                values.iter().for_each(|value| hash.update(value.to_le_bytes()));
            }
            Targets::Sequences { classes, .. } => hash.update(classes),
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(labels: &[u8]) -> LabelledImages {
        let pixels = (0..labels.len() * 6).map(|i| i as u8).collect();
        LabelledImages::new(pixels, labels.to_vec(), [1, 2, 3]).unwrap()
    }

    #[test]
    fn select_takes_whole_images_in_the_order_asked_for() {
        let picked = images(&[0, 1, 2]).select(&[2, 0]);
        assert_eq!(picked.labels, [2, 0]);
        assert_eq!(picked.pixels, [12, 13, 14, 15, 16, 17, 0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_empty_split_is_an_error() {
        let err = LabelledImages::new(vec![], vec![], [1, 2, 3]).unwrap_err().to_string();
        assert!(err.contains("no images"), "{err}");
        assert!(LabelledImages::new(vec![0; 11], vec![0, 1], [1, 2, 3]).is_err());
        let none = images(&[0]).select(&[]);
        let err = Dataset::new("tiny", images(&[0]), none, &["a"], 255.0).unwrap_err().to_string();
        assert!(err.contains("the test split of tiny is empty"), "{err}");
    }

    #[test]
    fn labels_beyond_the_class_names_and_unequal_shapes_are_errors() {
        let err =
            Dataset::new("tiny", images(&[0, 2]), images(&[0]), &["a", "b"], 255.0).unwrap_err();
        assert!(err.to_string().contains("training image 1 of tiny has label 2"), "{err}");
        let mut other = images(&[0]);
        other.shape = [1, 3, 2];
        assert!(Dataset::new("tiny", images(&[0]), other, &["a"], 255.0).is_err());
    }

    #[test]
    fn the_digest_moves_with_a_pixel_a_label_a_shape_and_the_division_into_splits() {
        let new = |train, test| Dataset::new("t", train, test, &["a", "b"], 255.0).unwrap().digest;
        let base = new(images(&[0, 1]), images(&[0]));
        assert_eq!(base.len(), 64);
        assert_eq!(base, new(images(&[0, 1]), images(&[0])));
        let mut changed = images(&[0]);
        changed.pixels[3] ^= 1;
        assert_ne!(base, new(images(&[0, 1]), changed));
        assert_ne!(base, new(images(&[1, 1]), images(&[0])));
        let turn = |mut s: LabelledImages| {
            s.shape = [1, 3, 2];
            s
        };
        assert_ne!(base, new(turn(images(&[0, 1])), turn(images(&[0]))));
    }
}
