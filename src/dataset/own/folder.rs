//! Pictures in folders by class, as torchvision's `ImageFolder` and Keras read them: `CLASS/*.png`, or
//! `train/CLASS/*.png` beside `test/CLASS/*.png`. Classes are numbered in the order of their names.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::super::images::LabelledImages;
use super::super::tree::entries;
use super::picture::{self, Picture};
use super::{Colors, OwnData, Read, wanted};
use crate::dataset::DataSet;
use crate::error::{Error, Result};
use crate::memory;

/// How deep pictures may lie below the folder of their class.
const DEPTH: usize = 6;
/// Folders around the one with the classes that an archive may have put there.
const MOST_AROUND: usize = 3;
/// Height or width at most.
const MOST_SIDE: usize = 8192;

/// The pictures of one class.
struct Class {
    name: String,
    files: Vec<PathBuf>,
}

fn bad(path: &Path, what: String, remedy: impl Into<String>) -> Error {
    Error::BadFile { what, remedy: remedy.into(), path: path.to_path_buf() }
}

pub(super) fn read(dir: &Path, own: &OwnData) -> Result<Read> {
    let (train_dir, test_dir) = split_folders(dir)?;
    let train = classes_in(&train_dir)?;
    let test = test_dir.as_deref().map(classes_in).transpose()?;
    let names: Vec<String> = train.iter().map(|class| class.name.clone()).collect();
    let mut files = labelled(&train, &names)?;
    let of_train = files.len();
    for class in test.iter().flatten() {
        if !names.contains(&class.name) {
            return Err(bad(
                class.files.first().and_then(|file| file.parent()).unwrap_or(dir),
                format!("the class {} has test pictures and no training pictures", class.name),
                "add training pictures of it, or take its folder out",
            ));
        }
    }
    files.extend(labelled(test.as_deref().unwrap_or_default(), &names)?);

    let size = own.image_size.map(|size| (size.sides(), own.image_fit.unwrap_or_default()));
    if let Some((sides, _)) = size
        && sides.iter().any(|side| !(1..=MOST_SIDE).contains(side))
    {
        return Err(Error::bad_value(
            "data.image_size",
            format!("{sides:?}"),
            "not a size of pictures",
            format!("use 1 to {MOST_SIDE} pixels, or [height, width]"),
        ));
    }
    let sides = match size {
        Some((sides, _)) => sides,
        None => picture::sides(&files[0].0)?,
    };
    // Pixels of all pictures, and once more as one vector.
    let bytes = memory::product(&[files.len(), sides[0], sides[1], 2 * 3]);
    memory::check("the pictures (choose a smaller data.image_size)", bytes)?;
    let pictures: Vec<Picture> = files
        .par_iter()
        .map(|(path, _)| {
            let (picture, found) = picture::read(path, size, own.colors)?;
            if found != sides {
                return Err(bad(
                    path,
                    format!(
                        "the pictures have several sizes: this one is {}x{} and the first {}x{}",
                        found[1], found[0], sides[1], sides[0]
                    ),
                    "choose one for all with data.image_size, 64 or [height, width]",
                ));
            }
            Ok(picture)
        })
        .collect::<Result<_>>()?;
    let all_grey = pictures.iter().all(|picture| picture.colors == Colors::Grey);
    let channels = if all_grey { 1 } else { 3 };
    let mut pixels: Vec<u8> = Vec::with_capacity(pictures.len() * channels * sides[0] * sides[1]);
    for picture in pictures {
        let repeated = if picture.colors == Colors::Grey { channels } else { 1 };
        for _ in 0..repeated {
            pixels.extend_from_slice(&picture.pixels);
        }
    }
    let shape = [channels, sides[0], sides[1]];
    let of_test = pixels.split_off(of_train * shape.iter().product::<usize>());
    let mut labels: Vec<u8> = files.into_iter().map(|(_, label)| label).collect();
    let test_labels = labels.split_off(of_train);
    let train = LabelledImages::new(pixels, labels, shape)?;
    let test = match test {
        Some(_) => Some(LabelledImages::new(of_test, test_labels, shape)?),
        None => None,
    };
    Ok(Read { train, test, classes: names })
}

/// The folder of training classes and that of test classes, of the innermost of folders that hold
/// nothing but one folder each.
fn split_folders(dir: &Path) -> Result<(PathBuf, Option<PathBuf>)> {
    let mut dir = dir.to_path_buf();
    for _ in 0..MOST_AROUND {
        let folders = folders_in(&dir)?;
        let named = |names: &[&str]| {
            names.iter().find_map(|wanted| {
                folders.iter().find(|folder| name_of(folder).eq_ignore_ascii_case(wanted)).cloned()
            })
        };
        if let Some(train) = named(&["train", "training"]) {
            return Ok((train, named(&["test", "testing", "val", "valid", "validation"])));
        }
        match folders.as_slice() {
            [only] if !folders_in(only)?.is_empty() => dir.clone_from(only),
            _ => break,
        }
    }
    Ok((dir, None))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn folders_in(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Err(bad(
            dir,
            "this is no folder".into(),
            format!("name {}", wanted(DataSet::Folder)),
        ));
    }
    // Archives of a Mac have a folder with copies of the files' labels.
    let is_meant = |path: &PathBuf| path.is_dir() && name_of(path) != "__MACOSX";
    Ok(entries(dir)?.into_iter().filter(is_meant).collect())
}

/// The classes below a folder, by name, each with its pictures by path.
fn classes_in(dir: &Path) -> Result<Vec<Class>> {
    let mut classes = Vec::new();
    for folder in folders_in(dir)? {
        let (mut files, mut others) = (Vec::new(), Vec::new());
        gather(&folder, DEPTH, &mut files, &mut others)?;
        if let Some(other) = others.first() {
            return Err(bad(
                other,
                format!(
                    "{} picture{} below {} {} neither PNG nor JPEG",
                    others.len(),
                    if others.len() == 1 { "" } else { "s" },
                    name_of(&folder),
                    if others.len() == 1 { "is" } else { "are" }
                ),
                "save pictures as PNG or JPEG, or take them out of the folder",
            ));
        }
        if !files.is_empty() {
            classes.push(Class { name: name_of(&folder), files });
        }
    }
    if classes.is_empty() {
        return Err(bad(
            dir,
            "there are no folders with pictures".into(),
            format!("name {}", wanted(DataSet::Folder)),
        ));
    }
    Ok(classes)
}

/// The pictures below a folder, and pictures of kinds that are not read.
fn gather(
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    others: &mut Vec<PathBuf>,
) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            if depth > 0 {
                gather(&path, depth - 1, files, others)?;
            }
            continue;
        }
        let end = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match end.as_str() {
            "png" | "jpg" | "jpeg" | "jpe" | "jfif" => files.push(path),
            "gif" | "bmp" | "webp" | "tif" | "tiff" | "ppm" | "pgm" | "heic" | "avif" => {
                others.push(path);
            }
            // Lists, thumbnails' databases and the like.
            _ => {}
        }
    }
    Ok(())
}

/// Each picture with the number of its class.
fn labelled(classes: &[Class], names: &[String]) -> Result<Vec<(PathBuf, u8)>> {
    let mut files = Vec::new();
    for class in classes {
        let label = names.iter().position(|name| *name == class.name).unwrap_or(0);
        let label = u8::try_from(label).map_err(|_| {
            bad(
                class.files.first().map_or(Path::new(""), PathBuf::as_path),
                format!("there are {} classes", names.len()),
                "use at most 256",
            )
        })?;
        files.extend(class.files.iter().map(|file| (file.clone(), label)));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage};

    use super::super::super::images::Dataset;
    use super::super::ImageSize;
    use super::*;

    /// Saves a picture of one colour, `side` wide.
    fn put(dir: &Path, name: &str, side: u32, colour: Option<[u8; 3]>) {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match colour {
            Some(colour) => RgbImage::from_pixel(side, 8, Rgb(colour)).save(path).unwrap(),
            None => GrayImage::from_pixel(side, 8, Luma([9])).save(path).unwrap(),
        }
    }

    fn load(dir: &Path, own: &OwnData) -> Result<Dataset> {
        super::super::load(DataSet::Folder, Some(dir), own)
    }

    #[test]
    fn train_and_test_folders_are_the_splits_and_classes_go_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let red = Some([200, 0, 0]);
        // A folder in the folder, as archives leave it.
        put(dir.path(), "pets/train/dog/1.png", 8, red);
        put(dir.path(), "pets/train/dog/more/2.jpg", 8, red);
        put(dir.path(), "pets/train/cat/3.png", 8, None);
        put(dir.path(), "pets/val/cat/4.png", 8, red);
        put(dir.path(), "pets/test/dog/5.png", 8, None);
        std::fs::write(dir.path().join("pets/train/dog/Thumbs.db"), "x").unwrap();
        let data = load(dir.path(), &OwnData::default()).unwrap();
        assert_eq!((data.shape(), data.class_names.join(" ")), ([3, 8, 8], "cat dog".into()));
        assert_eq!(
            (data.train.labels.as_slice(), data.test.labels.as_slice()),
            (&[0, 1, 1][..], &[1][..])
        );
        // The grey one among colours has its brightness in each channel.
        assert_eq!((data.test.image(0)[0], data.test.image(0)[191]), (9, 9));
    }

    #[test]
    fn sizes_that_differ_need_one_to_be_chosen() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..4 {
            put(dir.path(), &format!("a/{i}.png"), 8 + i, Some([1, 2, 3]));
            put(dir.path(), &format!("b/{i}.png"), 9, None);
        }
        let text = load(dir.path(), &OwnData::default()).unwrap_err().to_string();
        assert!(text.contains("several sizes") && text.contains("data.image_size"), "{text}");
        let own = OwnData { image_size: Some(ImageSize::Sides([6, 5])), ..OwnData::default() };
        let data = load(dir.path(), &own).unwrap();
        assert_eq!((data.shape(), data.train.len(), data.test.len()), ([3, 6, 5], 6, 2));
        let grey = OwnData { colors: Some(Colors::Grey), ..own };
        assert_eq!(load(dir.path(), &grey).unwrap().shape(), [1, 6, 5]);
        let own = OwnData { image_size: Some(ImageSize::Square(0)), ..OwnData::default() };
        assert!(load(dir.path(), &own).unwrap_err().to_string().contains("data.image_size"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "a/1.png", 8, None);
        let text = load(dir.path(), &OwnData::default()).unwrap_err().to_string();
        assert!(text.contains("only one class, a"), "{text}");
        put(dir.path(), "train/a/1.png", 8, None);
        put(dir.path(), "train/b/1.png", 8, None);
        put(dir.path(), "test/c/1.png", 8, None);
        let text = load(dir.path(), &OwnData::default()).unwrap_err().to_string();
        assert!(text.contains("class c has test pictures"), "{text}");
        std::fs::write(dir.path().join("train/a/2.webp"), "x").unwrap();
        let text = load(dir.path(), &OwnData::default()).unwrap_err().to_string();
        assert!(text.contains("neither PNG nor JPEG") && text.ends_with("2.webp"), "{text}");
    }
}
