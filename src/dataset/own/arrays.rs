//! Images and labels in numpy's arrays, under the names that Keras (`x_train`, `y_train`, `x_test`,
//! `y_test`), MedMNIST (`train_images`, `train_labels`, ...) and people's own scripts give them, in one
//! `.npz` file or in several files.

use std::path::{Path, PathBuf};

use super::super::images::LabelledImages;
use super::super::targets::Targets;
use super::TargetKind;
use super::npy::{self, NamedArray};
use super::quantise::{Values, to_bytes};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::pickle::numpy::NumpyArray;

/// What an array of that name is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Images to train on, or of a set that is still to be divided.
    Train,
    /// Images to test on.
    Test,
    /// Images kept for validation: in the place of test images where there are none.
    Validation,
}

/// The part and whether it is labels, by the name's words: `x_train`, `trainX`, `test-labels`, `y`.
fn role_of(name: &str) -> Option<(Part, bool)> {
    let name = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let words: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let (mut part, mut is_labels) = (None, None);
    for word in words {
        // `xtrain` and `trainx` in one word.
        let (short, word) = match word {
            "xtrain" | "trainx" => (Some(false), "train"),
            "ytrain" | "trainy" => (Some(true), "train"),
            "xtest" | "testx" => (Some(false), "test"),
            "ytest" | "testy" => (Some(true), "test"),
            "xval" | "valx" => (Some(false), "val"),
            "yval" | "valy" => (Some(true), "val"),
            word => (None, word),
        };
        is_labels = is_labels.or(short);
        match word {
            "train" | "training" => part = Some(Part::Train),
            "test" | "testing" | "t10k" => part = Some(Part::Test),
            "val" | "valid" | "validation" => part = Some(Part::Validation),
            "x" | "image" | "images" | "img" | "imgs" | "data" | "features" | "inputs" => {
                is_labels = is_labels.or(Some(false));
            }
            "y" | "label" | "labels" | "target" | "targets" | "classes" => is_labels = Some(true),
            _ => {}
        }
    }
    match (part, is_labels) {
        (part, Some(is_labels)) => Some((part.unwrap_or(Part::Train), is_labels)),
        _ => None,
    }
}

/// The images of both splits; no test images where no array of the files has them. `shape` is that of
/// an image, (c, h, w), where the arrays leave it open.
///
/// # Errors
/// [`Error::BadFile`] for damaged files, arrays that are missing, twice there or do not fit together.
pub(in crate::dataset) fn read_splits(
    files: &[PathBuf],
    shape: Option<[usize; 3]>,
    targets: TargetKind,
) -> Result<(LabelledImages, Option<LabelledImages>)> {
    let first = files.first().map_or(Path::new(""), PathBuf::as_path);
    let bad = |what: String, remedy: &str| Error::BadFile {
        what,
        remedy: remedy.into(),
        path: first.to_path_buf(),
    };
    let mut arrays = Vec::new();
    for file in files {
        arrays.extend(npy::read(file, |name| role_of(name).is_some())?);
    }
    let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
    let names = names.join(", ");
    let mut find = |part: Part, is_labels: bool| -> Result<Option<NamedArray>> {
        let is = |array: &NamedArray| role_of(&array.name) == Some((part, is_labels));
        let Some(at) = arrays.iter().position(is) else { return Ok(None) };
        let found = arrays.swap_remove(at);
        match arrays.iter().find(|array| is(array)) {
            None => Ok(Some(found)),
            Some(other) => Err(bad(
                format!(
                    "the arrays {} and {} both say they are the same thing",
                    found.name, other.name
                ),
                "keep x_train, y_train, x_test and y_test",
            )),
        }
    };
    let mut pairs = Vec::new();
    for part in [Part::Train, Part::Test, Part::Validation] {
        match (find(part, false)?, find(part, true)?) {
            (Some(images), Some(labels)) => pairs.push((part, images, labels)),
            (None, None) => {}
            (Some(one), None) | (None, Some(one)) => {
                return Err(bad(
                    format!("the array {} is there without its images or labels", one.name),
                    "keep both under names like x_train and y_train",
                ));
            }
        }
    }
    if pairs.first().is_none_or(|(part, ..)| *part != Part::Train) {
        return Err(bad(
            format!(
                "there are no training images and labels among the arrays ({})",
                if names.is_empty() { "none has a name like these" } else { &names }
            ),
            "name them x_train, y_train, x_test and y_test, or x and y",
        ));
    }
    // Validation images where there are no test images.
    pairs.truncate(2);
    let mut splits = Vec::new();
    let mut form = shape;
    for (_, images, labels) in pairs {
        let (image_shape, values) = planar(&images.array, form).map_err(|problem| {
            bad(format!("the array {} of {:?} {problem}", images.name, images.array.shape),
                "save images as (n, h, w), (n, h, w, c) or (n, c, h, w), or give data.shape = [c, h, w]")
        })?;
        form = Some(image_shape);
        let found = match targets {
            TargetKind::Classes => self::labels(&labels.array).map(|of| (of, Targets::Labels)),
            TargetKind::Values => self::values(&labels.array),
        };
        let (labels_of, targets) = found.map_err(|problem| {
            bad(
                format!("the array {} of {:?} {problem}", labels.name, labels.array.shape),
                match targets {
                    TargetKind::Classes => {
                        "save labels as whole numbers from 0 to 255, one an image; numbers to be predicted \
                         need data.targets = \"values\""
                    }
                    TargetKind::Values => "save finite numbers, (n,) or (n, outputs)",
                },
            )
        })?;
        if labels_of.len() != images.array.shape[0] {
            return Err(bad(
                format!(
                    "there are {} labels in {} and {} images in {}",
                    labels_of.len(),
                    labels.name,
                    images.array.shape[0],
                    images.name
                ),
                "save one label for each image",
            ));
        }
        splits.push((values, labels_of, targets, images.name));
    }
    let shape = form.unwrap_or([1, 1, 1]);
    let (values, rest): (Vec<Values>, Vec<_>) =
        splits.into_iter().map(|(values, labels, of, name)| (values, (labels, of, name))).unzip();
    let bytes = to_bytes(values, shape[0], shape[1] * shape[2]).map_err(|(which, image)| {
        bad(
            format!(
                "image {image} of the array {} has a value that is NaN or infinite",
                rest[which].2
            ),
            "leave such images out, or replace the values",
        )
    })?;
    let mut splits = bytes.into_iter().zip(rest).map(|(bytes, (labels, of, _))| {
        LabelledImages::new(bytes, labels, shape)?.with_targets(of)
    });
    let train = splits.next().transpose()?;
    let test = splits.next().transpose()?;
    let train = train.ok_or_else(|| bad("there are no images".into(), "save some"))?;
    Ok((train, test))
}

/// The shape of an image and the values, planar.
fn planar(
    array: &NumpyArray,
    wanted: Option<[usize; 3]>,
) -> std::result::Result<([usize; 3], Values), String> {
    let Some((_, dims)) = array.shape.split_first() else { return Err("is one number".into()) };
    /// Channels that an image has at most where nothing else says so.
    const CHANNELS: usize = 4;
    let product: usize = dims.iter().product();
    let fits = |shape: [usize; 3]| shape.iter().product::<usize>() == product;
    let (shape, interleaved) = match *dims {
        _ if wanted.is_some_and(|shape| !fits(shape)) => {
            return Err(format!("does not have images of {:?}", wanted.unwrap_or_default()));
        }
        [] => (wanted.unwrap_or([1, 1, 1]), false),
        [features] => (wanted.unwrap_or([features, 1, 1]), false),
        [h, w] => (wanted.unwrap_or([1, h, w]), false),
        [a, b, c] => match wanted {
            Some(shape) if shape == [a, b, c] => (shape, false),
            Some(shape) if shape == [c, a, b] => (shape, true),
            Some(shape) => return Err(format!("does not have images of {shape:?}")),
            None if c <= CHANNELS && a > CHANNELS => ([c, a, b], true),
            None if a <= CHANNELS && c > CHANNELS => ([a, b, c], false),
            None => return Err("does not say which dimension is that of the channels".into()),
        },
        _ => return Err("has more dimensions than images have".into()),
    };
    fn turned<T: Copy>(values: Vec<T>, [c, h, w]: [usize; 3]) -> Vec<T> {
        let mut planar = Vec::with_capacity(values.len());
        for image in values.chunks_exact((c * h * w).max(1)) {
            for channel in 0..c {
                planar.extend(image[channel..].iter().step_by(c).copied());
            }
        }
        planar
    }
    let values = match array.element {
        Element::U8 if interleaved => Values::Bytes(turned(array.bytes.to_vec(), shape)),
        Element::U8 => Values::Bytes(array.bytes.to_vec()),
        _ if interleaved => Values::Numbers(turned(array.values().collect(), shape)),
        _ => Values::Numbers(array.values().collect()),
    };
    Ok((shape, values))
}

/// Numbers of (n,) or (n, outputs), with a label of 0 for each example.
fn values(array: &NumpyArray) -> std::result::Result<(Vec<u8>, Targets), String> {
    let values: Vec<f32> = array.values().collect();
    let Some((&n, dims)) = array.shape.split_first() else { return Err("is one number".into()) };
    let outputs = dims.iter().product::<usize>();
    if dims.len() > 1 || outputs == 0 {
        return Err("is no list of numbers or of rows of them".into());
    }
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!("has a value that is NaN or infinite at {at}"));
    }
    Ok((vec![0; n], Targets::Values { values, outputs }))
}

/// Labels of (n,), (n, 1), or of (n, k) with a single 1 in each row.
fn labels(array: &NumpyArray) -> std::result::Result<Vec<u8>, String> {
    let values: Vec<f32> = array.values().collect();
    let width = array.shape.get(1..).unwrap_or_default().iter().product::<usize>();
    if array.shape.len() > 2 || array.shape.is_empty() {
        return Err("is no list of labels".into());
    }
    if width > 1 {
        return values
            .chunks_exact(width)
            .map(|row| {
                let one = row.iter().position(|&value| value == 1.0);
                let rest = row.iter().filter(|&&value| value != 0.0).count();
                one.filter(|_| rest == 1).and_then(|class| u8::try_from(class).ok())
            })
            .collect::<Option<_>>()
            .ok_or_else(|| "has rows that are not a single 1 among 0".into());
    }
    values
        .iter()
        .map(|&value| {
            let whole = (0.0..=255.0).contains(&value) && value.fract() == 0.0;
            if whole { Ok(value as u8) } else { Err(format!("has a label {value}")) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::npy::tests::{npy, npz};
    use super::*;

    fn read(
        members: &[(&str, Vec<u8>)],
        shape: Option<[usize; 3]>,
    ) -> Result<(LabelledImages, Option<LabelledImages>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set.npz");
        std::fs::write(&path, npz(members, true)).unwrap();
        read_splits(&[path], shape, TargetKind::Classes)
    }

    fn whole(values: &[i64]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn names_are_told_by_their_words() {
        use Part::*;
        for (name, role) in [
            ("x_train", Some((Train, false))),
            ("Y_test", Some((Test, true))),
            ("train_images", Some((Train, false))),
            ("val_labels", Some((Validation, true))),
            ("kmnist-test-imgs", Some((Test, false))),
            ("trainY", Some((Train, true))),
            ("X", Some((Train, false))),
            ("labels", Some((Train, true))),
            ("arr_0", None),
            ("mean", None),
        ] {
            assert_eq!(role_of(name), role, "{name}");
        }
    }

    #[test]
    fn keras_s_layout_is_read_with_channels_last() {
        // One image of 5x6x3, pixel (y, x, c) = 40 y + 4 x + c.
        let image: Vec<u8> = (0..5)
            .flat_map(|y| (0..6).flat_map(move |x| (0..3).map(move |c| 40 * y + 4 * x + c)))
            .collect();
        let members = [
            (
                "x_train",
                npy("|u1", "(2, 5, 6, 3)", false, &[image.clone(), image.clone()].concat()),
            ),
            ("y_train", npy("<i8", "(2, 1)", false, &whole(&[1, 0]))),
            ("x_test", npy("|u1", "(1, 5, 6, 3)", false, &image)),
            ("y_test", npy("<i8", "(1, 1)", false, &whole(&[1]))),
        ];
        let (train, test) = read(&members, None).unwrap();
        assert_eq!((train.shape, train.labels.as_slice()), ([3, 5, 6], &[1, 0][..]));
        assert_eq!(train.image(1)[30 + 6 * 2 + 3], 40 * 2 + 4 * 3 + 1);
        assert_eq!(test.unwrap().image(0), train.image(0));
    }

    #[test]
    fn floats_one_hot_labels_and_channels_first_are_read() {
        let pixels: Vec<u8> = (0..60).flat_map(|i| (i as f32 / 255.0).to_le_bytes()).collect();
        let hot: Vec<u8> = [0f32, 1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let members = [
            ("images", npy("<f4", "(1, 1, 10, 6)", false, &pixels)),
            ("labels", npy("<f4", "(1, 2)", false, &hot)),
        ];
        let (train, test) = read(&members, None).unwrap();
        assert!(test.is_none());
        assert_eq!((train.shape, &train.labels[..]), ([1, 10, 6], &[1][..]));
        assert_eq!(train.pixels, (0..60).collect::<Vec<u8>>());
        // Flat features take the shape that is asked for.
        let flat =
            [("x", npy("|u1", "(1, 60)", false, &[7; 60])), ("y", npy("|u1", "(1,)", false, &[0]))];
        assert_eq!(read(&flat, None).unwrap().0.shape, [60, 1, 1]);
        assert_eq!(read(&flat, Some([3, 4, 5])).unwrap().0.shape, [3, 4, 5]);
        assert!(read(&flat, Some([3, 4, 6])).is_err());
    }

    #[test]
    fn arrays_that_do_not_fit_are_refused_by_name() {
        let x = || npy("|u1", "(2, 8, 8)", false, &[1; 128]);
        let error = |members: &[(&str, Vec<u8>)]| read(members, None).unwrap_err().to_string();
        let text = error(&[("x_train", x())]);
        assert!(text.contains("x_train is there without"), "{text}");
        let text = error(&[("x_train", x()), ("y_train", npy("|u1", "(3,)", false, &[0, 1, 0]))]);
        assert!(text.contains("3 labels in y_train and 2 images"), "{text}");
        let text =
            error(&[("x_train", x()), ("y_train", npy("<i8", "(2,)", false, &whole(&[0, -1])))]);
        assert!(text.contains("has a label -1"), "{text}");
        let text = error(&[("mean", x())]);
        assert!(text.contains("no training images") && text.contains("x_train"), "{text}");
        let text = error(&[
            ("x", npy("|u1", "(1, 3, 8, 3)", false, &[0; 72])),
            ("y", npy("|u1", "(1,)", false, &[0])),
        ]);
        assert!(text.contains("dimension is that of the channels"), "{text}");
        let text = error(&[("x", x()), ("images", x()), ("y", npy("|u1", "(2,)", false, &[0, 1]))]);
        assert!(text.contains("the same thing"), "{text}");
        let nan = f32::NAN.to_le_bytes();
        let text = error(&[
            ("x", npy("<f4", "(1, 1)", false, &nan)),
            ("y", npy("|u1", "(1,)", false, &[0])),
        ]);
        assert!(text.contains("image 0") && text.contains("NaN"), "{text}");
    }
}
