//! The UCI optical handwritten digits, embedded: 1,797 real 8x8 images with values 0..=16.
//!
//! E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning
//! Repository, 1998, doi:10.24432/C50P49, CC BY 4.0 (`assets/digits/` has the file, its attribution
//! and the script that made it).
//!
//! The split is fixed: of each class the last 36 images in file order are the test split (360), the
//! rest the training split (1,437).

use std::io::Read;

use super::images::{Dataset, LabelledImages};
use crate::error::{Error, Result};

const FILE: &[u8] = include_bytes!("../../assets/digits/digits.bin.gz");
const SHAPE: [usize; 3] = [1, 8, 8];
const RECORD: usize = 65;
const COUNT: usize = 1797;
const TEST_PER_CLASS: usize = 36;
const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

pub(super) fn load() -> Result<Dataset> {
    let mut records = Vec::with_capacity(COUNT * RECORD);
    flate2::read::GzDecoder::new(FILE)
        .read_to_end(&mut records)
        .map_err(Error::io("unpack the embedded digits", "assets/digits/digits.bin.gz"))?;
    let mut images = Vec::with_capacity(COUNT * (RECORD - 1));
    let mut labels = Vec::with_capacity(COUNT);
    for record in records.chunks_exact(RECORD) {
        labels.push(record[0]);
        images.extend_from_slice(&record[1..]);
    }
    let all = LabelledImages::new(images, labels, SHAPE)?;

    let (mut train, mut test) = (Vec::new(), Vec::new());
    for class in 0..CLASSES.len() as u8 {
        let members: Vec<usize> = (0..all.len()).filter(|&i| all.labels[i] == class).collect();
        let (head, tail) = members.split_at(members.len() - TEST_PER_CLASS);
        train.extend_from_slice(head);
        test.extend_from_slice(tail);
    }
    train.sort_unstable();
    test.sort_unstable();
    Dataset::new("digits", all.select(&train), all.select(&test), &CLASSES, 16.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_digits_are_the_published_ones() {
        let data = load().unwrap();
        assert_eq!((data.train.len(), data.test.len()), (1437, 360));
        assert_eq!(data.shape(), SHAPE);
        // scikit-learn: load_digits().images[0], a zero, its first two rows; and all their sum.
        assert_eq!(data.train.labels[..5], [0, 1, 2, 3, 4]);
        assert_eq!(data.train.pixels[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        assert_eq!(data.train.pixels[8..16], [0, 0, 13, 15, 10, 15, 5, 0]);
        let sum =
            |images: &LabelledImages| images.pixels.iter().map(|&x| u64::from(x)).sum::<u64>();
        assert_eq!(sum(&data.train) + sum(&data.test), 561_718);
        assert_eq!(data.train.pixels.iter().chain(&data.test.pixels).max(), Some(&16));
    }

    #[test]
    fn the_test_split_has_36_of_each_class() {
        let data = load().unwrap();
        for class in 0..10 {
            let count = data.test.labels.iter().filter(|&&l| l == class).count();
            assert_eq!(count, TEST_PER_CLASS, "class {class}");
        }
    }
}
