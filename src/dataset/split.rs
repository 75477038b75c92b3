//! A data set in memory: two splits of 8-bit images with labels, and a digest that tells two data
//! sets apart in a run's manifest.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Labelled images of one shape: 8-bit pixels, row-major NCHW.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Pixels, (n, c, h, w).
    pub images: Vec<u8>,
    /// Class of each image, (n,).
    pub labels: Vec<u8>,
    /// (c, h, w) of an image.
    pub shape: [usize; 3],
}

impl Split {
    /// A split of `labels.len()` images; [`Error::Data`] when there are none, or when the pixels
    /// are not `labels.len() * c * h * w`.
    pub fn new(images: Vec<u8>, labels: Vec<u8>, shape: [usize; 3]) -> Result<Self> {
        let expected = labels.len() * shape.iter().product::<usize>();
        if labels.is_empty() || expected == 0 {
            return Err(Error::Data {
                what: format!("no images: {} labels, images of {shape:?}", labels.len()),
                remedy: "a split needs at least one image of at least one pixel".into(),
            });
        }
        if images.len() != expected {
            return Err(Error::Data {
                what: format!(
                    "{} labels of {shape:?} images need {expected} pixel values, got {}",
                    labels.len(),
                    images.len()
                ),
                remedy: "give one label for each image".into(),
            });
        }
        Ok(Self { images, labels, shape })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images (a split made by [`Split::new`] has some).
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
        &self.images[index * len..(index + 1) * len]
    }

    /// The images at `indices`, in that order, as a split of their own. Panics when an index is
    /// out of range.
    pub fn select(&self, indices: &[usize]) -> Split {
        let mut images = Vec::with_capacity(indices.len() * self.image_len());
        for &index in indices {
            images.extend_from_slice(self.image(index));
        }
        let labels = indices.iter().map(|&index| self.labels[index]).collect();
        Split { images, labels, shape: self.shape }
    }
}

/// A whole data set: what to train on, what to test on, what the classes are called.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its name, as a spec has it.
    pub name: String,
    /// What to train on.
    pub train: Split,
    /// What to test on.
    pub test: Split,
    /// Number of classes.
    pub classes: usize,
    /// What each class is called, (classes,).
    pub class_names: Vec<String>,
    /// The pixel value that means 1.0: 255 for 8-bit pictures, 16 for `digits`.
    pub max_value: f32,
    /// SHA-256, in hex, of the shapes, labels and pixels of both splits.
    pub digest: String,
}

impl Dataset {
    /// A data set from its parts, with its digest.
    ///
    /// Errors: [`Error::Data`] when a split is empty, when the two splits' images differ in shape,
    /// or when a label is not below the number of class names.
    pub fn new(
        name: &str,
        train: Split,
        test: Split,
        class_names: &[&str],
        max_value: f32,
    ) -> Result<Self> {
        let classes = class_names.len();
        for (which, split) in [("training", &train), ("test", &test)] {
            if split.is_empty() {
                return Err(Error::Data {
                    what: format!("the {which} split of {name} is empty"),
                    remedy: "give it at least one image".into(),
                });
            }
            if let Some(at) = split.labels.iter().position(|&l| usize::from(l) >= classes) {
                return Err(Error::Data {
                    what: format!(
                        "{which} image {at} of {name} has label {}, but there are {classes} classes",
                        split.labels[at]
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
        Ok(Self { name: name.to_string(), train, test, classes, class_names, max_value, digest })
    }

    /// The same data set with other splits (subsets of its own, say) and the digest of those.
    ///
    /// Errors as [`Dataset::new`].
    pub fn with_splits(&self, train: Split, test: Split) -> Result<Self> {
        let names: Vec<&str> = self.class_names.iter().map(String::as_str).collect();
        Self::new(&self.name, train, test, &names, self.max_value)
    }

    /// (c, h, w) of every image.
    pub fn shape(&self) -> [usize; 3] {
        self.train.shape
    }
}

/// SHA-256 over (n, c, h, w), labels and pixels of the training split, then of the test split.
fn digest(train: &Split, test: &Split) -> String {
    let mut hash = Sha256::new();
    hash.update(b"lossreel data v1\0");
    for split in [train, test] {
        for size in [split.len()].iter().chain(&split.shape) {
            hash.update((*size as u64).to_le_bytes());
        }
        hash.update(&split.labels);
        hash.update(&split.images);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(labels: &[u8]) -> Split {
        let images = (0..labels.len() * 6).map(|i| i as u8).collect();
        Split::new(images, labels.to_vec(), [1, 2, 3]).unwrap()
    }

    #[test]
    fn select_takes_whole_images_in_the_order_asked_for() {
        let picked = split(&[0, 1, 2]).select(&[2, 0]);
        assert_eq!(picked.labels, [2, 0]);
        assert_eq!(picked.images, [12, 13, 14, 15, 16, 17, 0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_empty_split_is_an_error() {
        let err = Split::new(vec![], vec![], [1, 2, 3]).unwrap_err().to_string();
        assert!(err.contains("no images"), "{err}");
        assert!(Split::new(vec![0; 11], vec![0, 1], [1, 2, 3]).is_err());
        let none = split(&[0]).select(&[]);
        let err = Dataset::new("tiny", split(&[0]), none, &["a"], 255.0).unwrap_err().to_string();
        assert!(err.contains("the test split of tiny is empty"), "{err}");
    }

    #[test]
    fn labels_beyond_the_class_names_and_unequal_shapes_are_errors() {
        let err =
            Dataset::new("tiny", split(&[0, 2]), split(&[0]), &["a", "b"], 255.0).unwrap_err();
        assert!(err.to_string().contains("training image 1 of tiny has label 2"), "{err}");
        let mut other = split(&[0]);
        other.shape = [1, 3, 2];
        assert!(Dataset::new("tiny", split(&[0]), other, &["a"], 255.0).is_err());
    }

    #[test]
    fn the_digest_moves_with_a_pixel_a_label_a_shape_and_the_division_into_splits() {
        let new = |train, test| Dataset::new("t", train, test, &["a", "b"], 255.0).unwrap().digest;
        let base = new(split(&[0, 1]), split(&[0]));
        assert_eq!(base.len(), 64);
        assert_eq!(base, new(split(&[0, 1]), split(&[0])));
        let mut pixel = split(&[0]);
        pixel.images[3] ^= 1;
        assert_ne!(base, new(split(&[0, 1]), pixel));
        assert_ne!(base, new(split(&[1, 1]), split(&[0])));
        let turn = |mut s: Split| {
            s.shape = [1, 3, 2];
            s
        };
        assert_ne!(base, new(turn(split(&[0, 1])), turn(split(&[0]))));
    }
}
