//! Data of one's own: a folder of pictures by class, numpy's arrays, or a table of numbers. What comes
//! without test images is divided by a seeded draw, class by class.

pub(super) mod arrays;
mod folder;
mod npy;
mod picture;
mod quantise;
mod table;
mod text;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DataSet;
use super::images::{Dataset, LabelledImages};
use super::targets::Targets;
use super::tree::Tree;
use crate::disk;
use crate::error::{Error, Result};
use crate::names::named_enum;
use crate::rng::Streams;

#[cfg(test)]
pub(super) use npy::tests as npy_tests;

/// Classes at most: labels are bytes.
const MOST_CLASSES: usize = 256;

named_enum! {
    /// How a picture is brought to `data.image_size`.
    #[derive(Default)]
    pub enum ImageFit("image fit") {
        /// Scaled until it covers the size, and what stands over at two sides is cut off.
        #[default]
        Crop = "crop",
        /// Scaled in each direction for itself.
        Stretch = "stretch",
    }
}

named_enum! {
    /// Which channels pictures have.
    pub enum Colors("colors") {
        /// Red, green and blue.
        Rgb = "rgb",
        /// One channel of brightness.
        Grey = "grey",
    }
}

named_enum! {
    /// What the targets of a table or of arrays are.
    #[derive(Default)]
    pub enum TargetKind("kind of targets") {
        /// A class for each example.
        #[default]
        Classes = "classes",
        /// One or more numbers for each example: regression.
        Values = "values",
    }
}

/// The size that pictures are brought to: one number for a square, or `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ImageSize {
    /// A square of that side.
    Square(usize),
    /// Height and width.
    Sides([usize; 2]),
}

impl ImageSize {
    /// Height and width in pixels.
    pub fn sides(self) -> [usize; 2] {
        match self {
            ImageSize::Square(side) => [side, side],
            ImageSize::Sides(sides) => sides,
        }
    }
}

/// The column of a table that has the labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelColumn {
    /// By its place: 0 is the first, -1 the last.
    Place(i64),
    /// By its name in the first line.
    Name(String),
}

/// How data of one's own are read; the default leaves everything to what the files say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OwnData {
    /// The size that the pictures of a folder are brought to; without one they must be of one size.
    pub image_size: Option<ImageSize>,
    /// How they are brought to it.
    pub image_fit: Option<ImageFit>,
    /// Their channels; without it grey where all pictures are, colours otherwise.
    pub colors: Option<Colors>,
    /// The share of the images that are drawn for testing where no test images are there, above 0 and
    /// below 1; without it a fifth.
    pub test_fraction: Option<f64>,
    /// The seed of that draw; without it 0, for every run.
    pub split_seed: Option<u64>,
    /// The column of a table with the labels, or with the numbers to be predicted.
    pub label_column: Option<LabelColumn>,
    /// What the targets are.
    pub targets: TargetKind,
    /// The columns of a table with the numbers to be predicted, where they are several.
    pub target_columns: Vec<LabelColumn>,
    /// Whether numbers to be predicted are left in their own units; otherwise each column of them is
    /// brought to mean 0 and standard deviation 1 over the training split.
    pub raw_targets: bool,
    /// The positions of an example of text; without it 64.
    pub context: Option<usize>,
    /// The shape (c, h, w) of an image where numbers stand in a row.
    pub shape: Option<[usize; 3]>,
}

/// Images of both splits (no test images where none are there) and the names of the classes, or of the numbers
/// that are predicted.
struct Read {
    train: LabelledImages,
    test: Option<LabelledImages>,
    classes: Vec<String>,
}

/// Reads a set of one's own from `dir`, or from `datasets/NAME` when that is not given.
///
/// # Errors
/// [`Error::Data`] when nothing is there, [`Error::BadFile`] for files that cannot be meant.
pub(super) fn load(set: DataSet, dir: Option<&Path>, own: &OwnData) -> Result<Dataset> {
    let dir = dir.map_or_else(|| Path::new("datasets").join(set.as_str()), Path::to_path_buf);
    if !disk::is_there(&dir)? {
        return Err(Error::Data {
            what: format!("there is nothing at {}", dir.display()),
            remedy: format!("name {} with `data.dir`", wanted(set)),
        });
    }
    if set == DataSet::Text {
        return text::load(&dir, own);
    }
    let read = match set {
        DataSet::Folder => folder::read(&dir, own)?,
        DataSet::Npz => read_arrays(&dir, own)?,
        _ => table::read(&dir, own)?,
    };
    let bad = |what: String, remedy: String| Error::BadFile { what, remedy, path: dir.clone() };
    if read.classes.len() > MOST_CLASSES {
        return Err(bad(
            format!("there are {} classes", read.classes.len()),
            format!("use at most {MOST_CLASSES}"),
        ));
    }
    if own.targets == TargetKind::Classes && read.classes.len() < 2 {
        return Err(bad(
            format!("there is only one class, {}", read.classes.join("")),
            format!("use two or more: {}", wanted(set)),
        ));
    }
    let (train, test) = match read.test {
        Some(test) => (read.train, test),
        None => divide(&read.train, own).ok_or_else(|| {
            bad(
                format!("the {} images are too few to draw test images from", read.train.len()),
                "add images, or raise data.test_fraction".into(),
            )
        })?,
    };
    let names: Vec<&str> = read.classes.iter().map(String::as_str).collect();
    let mut splits = [train, test];
    let scales = if own.raw_targets { Vec::new() } else { standardise(&mut splits, &names)? };
    let [train, test] = splits;
    Ok(Dataset::new(set.as_str(), train, test, &names, 255.0)?.with_target_scales(scales))
}

/// What `data.dir` names for a set of one's own.
pub(super) fn wanted(set: DataSet) -> &'static str {
    match set {
        DataSet::Folder => {
            "a folder with a folder of PNG or JPEG pictures for each class, or with train/ and test/ of \
             such folders"
        }
        DataSet::Npz => "an .npz file with x_train, y_train, x_test and y_test, or with x and y",
        DataSet::Text => text::wanted(),
        _ => "a .csv file with one row an example, or a folder with train.csv and test.csv",
    }
}

fn read_arrays(dir: &Path, own: &OwnData) -> Result<Read> {
    let tree = Tree::below(dir)?;
    let is_array = |path: &&PathBuf| {
        let end = path.extension().unwrap_or_default().to_ascii_lowercase();
        end == "npz" || end == "npy"
    };
    let files: Vec<PathBuf> = tree.files().iter().filter(is_array).cloned().collect();
    if files.is_empty() {
        return Err(Error::BadFile {
            what: "there is no .npz or .npy file".into(),
            remedy: format!("name {}", wanted(DataSet::Npz)),
            path: dir.to_path_buf(),
        });
    }
    let (train, test) = arrays::read_splits(&files, own.shape, own.targets)?;
    if let Targets::Values { outputs, .. } = train.targets {
        let names = (0..outputs).map(|output| format!("y{output}")).collect();
        return Ok(Read { train, test, classes: names });
    }
    let largest = |split: &LabelledImages| split.labels.iter().copied().max().unwrap_or(0);
    let last = test.as_ref().map_or(0, largest).max(largest(&train));
    Ok(Read { train, test, classes: (0..=last).map(|class| class.to_string()).collect() })
}

/// Brings the numbers to be predicted to mean 0 and standard deviation 1 over the training split, column by
/// column; the mean and the deviation of each in its own units. Nothing for targets that are no numbers.
fn standardise(splits: &mut [LabelledImages; 2], names: &[&str]) -> Result<Vec<[f64; 2]>> {
    let Targets::Values { values, outputs } = &splits[0].targets else { return Ok(Vec::new()) };
    let (outputs, n) = (*outputs, splits[0].len() as f64);
    let mut scales = Vec::with_capacity(outputs);
    for (column, name) in names.iter().enumerate().take(outputs) {
        let of = || values.iter().skip(column).step_by(outputs).map(|v| f64::from(*v));
        let mean = of().sum::<f64>() / n;
        let sd = (of().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
        if sd <= 1e-12 * mean.abs() {
            return Err(Error::Data {
                what: format!("the numbers to be predicted in {name} are all {mean} in training"),
                remedy: "leave that column out, or keep raw_targets = true".into(),
            });
        }
        scales.push([mean, sd]);
    }
    for split in splits {
        if let Targets::Values { values, .. } = &mut split.targets {
            for (at, value) in values.iter_mut().enumerate() {
                let [mean, sd] = scales[at % outputs];
                *value = ((f64::from(*value) - mean) / sd) as f32;
            }
        }
    }
    Ok(scales)
}

/// The images to train on and those drawn for testing: of each class the same share, at least one where
/// it has two or more. Both keep the order they came in.
fn divide(all: &LabelledImages, own: &OwnData) -> Option<(LabelledImages, LabelledImages)> {
    let fraction = own.test_fraction.unwrap_or(0.2);
    let streams = Streams::new(own.split_seed.unwrap_or(0));
    let mut is_test = vec![false; all.len()];
    for class in 0..MOST_CLASSES {
        let mut members: Vec<usize> =
            (0..all.len()).filter(|&at| usize::from(all.labels[at]) == class).collect();
        if members.len() < 2 {
            continue;
        }
        streams.stream("held-out split", class as u64).shuffle(&mut members);
        let share = (fraction * members.len() as f64).round() as usize;
        for &at in &members[..share.clamp(1, members.len() - 1)] {
            is_test[at] = true;
        }
    }
    let of =
        |test: bool| -> Vec<usize> { (0..all.len()).filter(|&at| is_test[at] == test).collect() };
    let (train, test) = (of(false), of(true));
    (!train.is_empty() && !test.is_empty()).then(|| (all.select(&train), all.select(&test)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(labels: Vec<u8>) -> LabelledImages {
        let pixels = (0..labels.len()).map(|i| i as u8).collect();
        LabelledImages::new(pixels, labels, [1, 1, 1]).unwrap()
    }

    #[test]
    fn a_draw_takes_the_share_of_each_class_and_follows_its_seed_alone() {
        let all = numbered((0..60).map(|i| u8::from(i % 3 == 0)).collect());
        let own = OwnData { test_fraction: Some(0.25), ..OwnData::default() };
        let (train, test) = divide(&all, &own).unwrap();
        assert_eq!(test.labels.iter().filter(|&&label| label == 1).count(), 5);
        assert_eq!(test.len(), 15);
        let mut both = [train.pixels.clone(), test.pixels.clone()].concat();
        both.sort_unstable();
        assert_eq!(both, all.pixels);
        assert_eq!(divide(&all, &own).unwrap().1.pixels, test.pixels);
        let other = OwnData { split_seed: Some(1), ..own };
        assert_ne!(divide(&all, &other).unwrap().1.pixels, test.pixels);
        // One image of a class stays in training; with no second one there is nothing to test on.
        assert!(divide(&numbered(vec![0, 1]), &OwnData::default()).is_none());
        let (train, test) = divide(&numbered(vec![0, 0, 1]), &OwnData::default()).unwrap();
        assert_eq!((train.labels, test.labels), (vec![0, 1], vec![0]));
    }

    #[test]
    fn nothing_at_the_place_says_what_should_be_there() {
        let dir = tempfile::tempdir().unwrap();
        for set in [DataSet::Folder, DataSet::Npz, DataSet::Csv] {
            let missing = dir.path().join("none");
            let text = load(set, Some(&missing), &OwnData::default()).unwrap_err().to_string();
            assert!(text.contains("there is nothing at") && text.contains("data.dir"), "{text}");
            let text = load(set, Some(dir.path()), &OwnData::default()).unwrap_err().to_string();
            assert!(text.contains("there") && text.contains("name"), "{text}");
        }
    }
}
