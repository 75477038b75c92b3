//! CIFAR-10 and CIFAR-100: 32x32 colour photographs, in the binary version or in the Python version
//! (pickles, as torchvision and Keras keep them), unpacked anywhere below a folder or still in their
//! `.tar.gz`. The pixels are the same either way.
//!
//! A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009;
//! <https://www.cs.toronto.edu/~kriz/cifar.html>.

mod binary;
mod names;
mod python;

use std::path::{Path, PathBuf};

use super::DataSet;
use super::archive::{is_archive, read_members};
use super::images::{Dataset, LabelledImages};
use super::tree::Tree;
use crate::disk;
use crate::error::{Error, Result};

#[cfg(all(test, feature = "hub"))]
pub(super) use binary::read_file as read_binary;
pub(super) use names::{CLASSES_10, CLASSES_100};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;
/// Bytes of a file of any version, at most: CIFAR-100's training images have 155 MB.
const MOST: u64 = 1 << 30;

/// One of the two sets: what its files are called and how they are laid out.
pub(super) struct Kind {
    set: DataSet,
    /// Files of the binary version with their records: training, and the one of test images.
    binary: (&'static [&'static str], usize, &'static str, usize),
    /// Bytes before the pixels of a record; the last of them is the label.
    label_bytes: usize,
    /// Files of the Python version.
    python: (&'static [&'static str], &'static str),
    /// Under which key a pickle has the labels.
    label_key: &'static str,
    /// What the archives' names have in them, and what they have not.
    archive: (&'static [&'static str], &'static [&'static str]),
    /// The folders inside the published archives, looked for beside `datasets/NAME` too.
    folders: [&'static str; 2],
    classes: &'static [&'static str],
}

const CIFAR10: Kind = Kind {
    set: DataSet::Cifar10,
    binary: (
        &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        10_000,
        "test_batch.bin",
        10_000,
    ),
    label_bytes: 1,
    python: (
        &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        "test_batch",
    ),
    label_key: "labels",
    archive: (&["cifar-10", "cifar10"], &["cifar-100", "cifar100"]),
    folders: ["cifar-10-batches-bin", "cifar-10-batches-py"],
    classes: &CLASSES_10,
};

const CIFAR100: Kind = Kind {
    set: DataSet::Cifar100,
    binary: (&["train.bin"], 50_000, "test.bin", 10_000),
    label_bytes: 2,
    python: (&["train"], "test"),
    label_key: "fine_labels",
    archive: (&["cifar-100", "cifar100"], &[]),
    folders: ["cifar-100-binary", "cifar-100-python"],
    classes: &CLASSES_100,
};

/// The layout of a set, CIFAR-10's for every other one.
fn kind(set: DataSet) -> &'static Kind {
    if set == DataSet::Cifar100 { &CIFAR100 } else { &CIFAR10 }
}

/// A version of a set that was found.
enum Version {
    Binary(PathBuf),
    Python(PathBuf),
    Archive(PathBuf),
}

impl Kind {
    fn binary_files(&self) -> Vec<&'static str> {
        self.binary.0.iter().copied().chain([self.binary.2]).collect()
    }

    fn python_files(&self) -> Vec<&'static str> {
        self.python.0.iter().copied().chain([self.python.1]).collect()
    }

    /// The versions below a folder in the order they are preferred in, each with the files it lacks:
    /// whole ones first, and what is unpacked before archives.
    fn versions(&self, tree: &Tree) -> Vec<(Version, Vec<&'static str>)> {
        let mut found = Vec::new();
        let lists: [(fn(PathBuf) -> Version, Vec<&'static str>); 2] =
            [(Version::Binary, self.binary_files()), (Version::Python, self.python_files())];
        for (version, names) in lists {
            for folder in tree.folders() {
                let missing: Vec<&str> =
                    names.iter().filter(|n| tree.file(folder, n).is_none()).copied().collect();
                if missing.len() < names.len() {
                    found.push((version(folder.to_path_buf()), missing));
                }
            }
        }
        for file in tree.files().iter().filter(|file| self.is_archive_of(file)) {
            found.push((Version::Archive(file.clone()), Vec::new()));
        }
        found.sort_by_key(|(_, missing)| !missing.is_empty());
        found
    }

    fn is_archive_of(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        is_archive(path) && has(self.archive.0) && !has(self.archive.1)
    }

    /// The folders and archives in which the files may be, in the order of looking.
    fn roots(&self, dir: Option<&Path>) -> Result<Vec<PathBuf>> {
        if let Some(dir) = dir {
            return Ok(vec![dir.to_path_buf()]);
        }
        let root = Path::new("datasets");
        let mut roots = vec![root.join(self.set.as_str())];
        roots.extend(self.folders.iter().map(|folder| root.join(folder)));
        if disk::is_there(root)? {
            let beside = super::tree::entries(root)?;
            roots.extend(beside.into_iter().filter(|path| self.is_archive_of(path)));
        }
        Ok(roots)
    }

    fn read_version(&self, version: &Version) -> Result<Dataset> {
        let (train, test) = match version {
            Version::Binary(folder) | Version::Python(folder) => {
                let of = |name: &&str| (folder.join(name), None);
                if matches!(version, Version::Binary(_)) {
                    let (train, test) = (self.binary.0.iter().map(of), of(&self.binary.2));
                    (self.read_binary(train.collect(), self.binary.1)?, {
                        self.read_binary(vec![test], self.binary.3)?
                    })
                } else {
                    let (train, test) = (self.python.0.iter().map(of), of(&self.python.1));
                    (self.read_python(train.collect())?, self.read_python(vec![test])?)
                }
            }
            Version::Archive(path) => self.read_archive(path)?,
        };
        Dataset::new(self.set.as_str(), train, test, self.classes, 255.0)
    }

    /// Both splits from an archive of either version.
    fn read_archive(&self, path: &Path) -> Result<(LabelledImages, LabelledImages)> {
        let is_python = path.to_string_lossy().contains("python");
        let names = if is_python { self.python_files() } else { self.binary_files() };
        let mut members = Vec::new();
        for (name, bytes) in names.iter().zip(read_members(path, &names)?) {
            let bytes = bytes.ok_or_else(|| Error::BadFile {
                what: format!("there is no {name} in the archive"),
                remedy: "download it again".into(),
                path: path.to_path_buf(),
            })?;
            members.push((path.join(name), Some(bytes)));
        }
        let test = members.split_off(names.len() - 1);
        if is_python {
            Ok((self.read_python(members)?, self.read_python(test)?))
        } else {
            let (_, of_train, _, of_test) = self.binary;
            Ok((self.read_binary(members, of_train)?, self.read_binary(test, of_test)?))
        }
    }

    /// The content of a file of a version, at most `most` bytes.
    fn content(&self, path: &Path, most: u64) -> Result<Vec<u8>> {
        if !disk::is_there(path)? {
            return Err(Error::BadFile {
                what: format!("a {} file is missing among others of its set", self.set),
                remedy: self.again(),
                path: path.to_path_buf(),
            });
        }
        disk::read(path, "read a cifar file", most)
    }

    /// What to do about a file that is not whole.
    fn again(&self) -> String {
        format!(
            "unpack it again from the archive (https://www.cs.toronto.edu/~kriz/cifar.html), or remove \
             the files and get them with `lossreel datasets fetch {}`",
            self.set
        )
    }
}

/// A file's path, and its content where it is not read from there.
type Source = (PathBuf, Option<Vec<u8>>);

/// Reads a set from the files below `dir`, or below `datasets/NAME` when that is not given; `None`
/// when none of them is there.
pub(super) fn read(set: DataSet, dir: Option<&Path>) -> Result<Option<Dataset>> {
    let kind = kind(set);
    let mut incomplete = None;
    for root in kind.roots(dir)? {
        for (version, missing) in kind.versions(&Tree::below(&root)?) {
            if missing.is_empty() {
                return kind.read_version(&version).map(Some);
            }
            incomplete.get_or_insert(version);
        }
    }
    // What is there may be damaged, too: reading says which file it is.
    incomplete.map(|version| kind.read_version(&version)).transpose()
}

/// Where a whole version of the set lies; `None` where there is none. Nothing is read.
pub(super) fn find(set: DataSet, dir: Option<&Path>) -> Result<Option<PathBuf>> {
    let kind = kind(set);
    for root in kind.roots(dir)? {
        let versions = kind.versions(&Tree::below(&root)?);
        let whole = versions.into_iter().find(|(_, missing)| missing.is_empty());
        if let Some((Version::Binary(at) | Version::Python(at) | Version::Archive(at), _)) = whole {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Whether any file of the set is there.
pub(super) fn is_there(set: DataSet, dir: Option<&Path>) -> Result<bool> {
    let kind = kind(set);
    for root in kind.roots(dir)? {
        if !kind.versions(&Tree::below(&root)?).is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What may stand in a folder, for the error about files that [`read`] does not find.
pub(super) fn wanted(set: DataSet) -> String {
    let kind = kind(set);
    let list = |files: Vec<&str>| match files.as_slice() {
        [first, .., last, test] => format!("{first} to {last} and {test}"),
        files => files.join(" and "),
    };
    format!(
        "the binary version ({}), the Python version ({}) or their .tar.gz, of \
         https://www.cs.toronto.edu/~kriz/cifar.html",
        list(kind.binary_files()),
        list(kind.python_files())
    )
}

#[cfg(test)]
mod tests;
