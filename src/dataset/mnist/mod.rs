//! MNIST, Fashion-MNIST and Kuzushiji-MNIST: grey images of 28x28 in four idx files, under any of the
//! names they go by and wherever below a folder they are; or the `.npz` that Keras (`mnist.npz`) and
//! KMNIST's authors give out.
//!
//! Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, *Gradient-based learning applied to document
//! recognition*, 1998; H. Xiao, K. Rasul and R. Vollgraf, *Fashion-MNIST*, arXiv:1708.07747;
//! T. Clanuwat et al., *Deep Learning for Classical Japanese Literature*, arXiv:1812.01718.

mod idx;
mod names;

use std::fs;
use std::path::{Path, PathBuf};

use super::DataSet;
use super::TargetKind;
use super::images::{Dataset, LabelledImages};
use super::own::arrays;
use super::tree::Tree;
use crate::error::{Error, Result};
use idx::{MAGIC_IMAGES, MAGIC_LABELS};
use names::{FILES, fit, slot_of};

const SIDE: usize = 28;
const SIZES: [usize; 2] = [60_000, 10_000];
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const CLOTHES: [&str; 10] = [
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
];
const HIRAGANA: [&str; 10] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

/// The idx files of one set that lie together, by [`FILES`].
struct Group {
    folder: PathBuf,
    files: [Option<PathBuf>; 4],
}

impl Group {
    fn is_whole(&self) -> bool {
        self.files.iter().all(Option::is_some)
    }
}

/// Where a set was found.
enum Found {
    Idx(Group),
    Arrays(Vec<PathBuf>),
}

/// Reads the set below `dir`, or below `datasets/NAME` when that is not given; `None` when none of
/// its files is there.
pub(super) fn read(set: DataSet, dir: Option<&Path>) -> Result<Option<Dataset>> {
    read_of(set, dir, SIZES)
}

fn read_of(set: DataSet, dir: Option<&Path>, sizes: [usize; 2]) -> Result<Option<Dataset>> {
    let [train, test] = match search(set, dir, sizes)? {
        None => return Ok(None),
        Some(Found::Idx(group)) => read_group(&group, sizes)?,
        Some(Found::Arrays(files)) => read_arrays(&files, sizes)?,
    };
    Dataset::new(set.as_str(), train, test, class_names(set), 255.0).map(Some)
}

/// Where a whole set lies; `None` where there is none. Nothing is read.
pub(super) fn find(set: DataSet, dir: Option<&Path>) -> Result<Option<PathBuf>> {
    Ok(match search(set, dir, SIZES)? {
        Some(Found::Idx(group)) if group.is_whole() => Some(group.folder),
        Some(Found::Arrays(files)) => files.into_iter().next(),
        _ => None,
    })
}

/// Whether any file of the set is there.
pub(super) fn is_there(set: DataSet, dir: Option<&Path>) -> Result<bool> {
    Ok(search(set, dir, SIZES)?.is_some())
}

fn search(set: DataSet, dir: Option<&Path>, sizes: [usize; 2]) -> Result<Option<Found>> {
    let own = Path::new("datasets").join(set.as_str());
    let tree = Tree::below(dir.unwrap_or(&own))?;
    let relative = |path: &Path| path.strip_prefix(tree.root()).unwrap_or(path).to_path_buf();
    let mut groups: Vec<(u8, Group)> = Vec::new();
    for file in tree.files() {
        let Some(slot) = slot_of(file) else { continue };
        let Some(mut folder) = file.parent() else { continue };
        // Unpacked so that a folder has the file's name and holds the file.
        if folder != tree.root() && slot_of(folder) == Some(slot) {
            folder = folder.parent().unwrap_or(folder);
        }
        let Some(fit) = fit(set, &relative(folder)) else { continue };
        let at = groups.iter().position(|(_, group)| group.folder == folder).unwrap_or_else(|| {
            let files = [const { None }; 4];
            groups.push((fit, Group { folder: folder.to_path_buf(), files }));
            groups.len() - 1
        });
        let place = &mut groups[at].1.files[slot];
        let shape: &[usize] = if slot % 2 == 0 { &[SIDE, SIDE] } else { &[] };
        let length = idx::length(&[&[sizes[slot / 2]], shape].concat()) as u64;
        let is_plain = |path: &Path| fs::metadata(path).is_ok_and(|about| about.len() == length);
        // A whole unpacked file before a packed one, which takes longer.
        if place.as_ref().is_none_or(|had| !is_plain(had) && is_plain(file)) {
            *place = Some(file.clone());
        }
    }
    groups.sort_by_key(|(fit, group)| (!group.is_whole(), *fit));
    let group = groups.into_iter().next().map(|(_, group)| group);
    if group.as_ref().is_some_and(Group::is_whole) {
        return Ok(group.map(Found::Idx));
    }
    let is_ours = |file: &Path| {
        let relative = relative(file);
        let npz = relative.extension().is_some_and(|end| end.eq_ignore_ascii_case("npz"));
        npz && fit(set, &relative) == Some(0)
    };
    let arrays: Vec<PathBuf> = tree.files().iter().filter(|file| is_ours(file)).cloned().collect();
    Ok(if arrays.is_empty() { group.map(Found::Idx) } else { Some(Found::Arrays(arrays)) })
}

fn read_group(group: &Group, sizes: [usize; 2]) -> Result<[LabelledImages; 2]> {
    let read = |slot: usize, magic: u32, shape: &[usize]| {
        let path = group.files[slot].as_ref().ok_or_else(|| Error::BadFile {
            what: format!("an idx file of {} bytes is missing among others", idx::length(shape)),
            remedy: "download it, and keep the four idx files (or .gz) of one set together".into(),
            path: group.folder.join(FILES[slot]),
        })?;
        idx::read(path, magic, shape)
    };
    let split = |which: usize| {
        let n = sizes[which];
        let images = read(2 * which, MAGIC_IMAGES, &[n, SIDE, SIDE])?;
        let labels = read(2 * which + 1, MAGIC_LABELS, &[n])?;
        LabelledImages::new(images, labels, [1, SIDE, SIDE])
    };
    Ok([split(0)?, split(1)?])
}

fn read_arrays(files: &[PathBuf], sizes: [usize; 2]) -> Result<[LabelledImages; 2]> {
    let splits = arrays::read_splits(files, Some([1, SIDE, SIDE]), TargetKind::Classes)?;
    let bad = |what: String| Error::BadFile {
        what,
        remedy: "keep the arrays of this set alone there, or name their file as an own set (`npz`)"
            .into(),
        path: files[0].clone(),
    };
    let (train, Some(test)) = splits else {
        return Err(bad("there are no test images in the arrays".into()));
    };
    for (split, wanted) in [(&train, sizes[0]), (&test, sizes[1])] {
        if split.len() != wanted {
            return Err(bad(format!("there are {} images instead of {wanted}", split.len())));
        }
    }
    Ok([train, test])
}

/// What may stand in a folder, for the error about files that [`read`] does not find.
pub(super) fn wanted(set: DataSet) -> String {
    let source = match set {
        DataSet::FashionMnist => "https://github.com/zalandoresearch/fashion-mnist",
        DataSet::Kmnist => "http://codh.rois.ac.jp/kmnist/",
        _ => "http://yann.lecun.com/exdb/mnist/",
    };
    format!("{}, .gz or unpacked, of {source}", FILES.join(", "))
}

/// What the classes of `set` are called.
pub(super) fn class_names(set: DataSet) -> &'static [&'static str] {
    match set {
        DataSet::FashionMnist => &CLOTHES,
        DataSet::Kmnist => &HIRAGANA,
        _ => &DIGITS,
    }
}

#[cfg(test)]
mod tests;
