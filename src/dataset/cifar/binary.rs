//! CIFAR-10 in its binary version: six files of 10,000 records, each a label byte and 3x1024 pixel
//! bytes (red, green, blue planes, row-major).
//!
//! A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009;
//! <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::fs;
use std::path::{Path, PathBuf};

use super::images::{Dataset, LabelledImages};
use crate::disk;
use crate::error::{Error, Result};

const SHAPE: [usize; 3] = [3, 32, 32];
const RECORD: usize = 1 + 3 * 32 * 32;
const RECORDS_PER_FILE: usize = 10_000;
const TRAIN_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST_FILE: &str = "test_batch.bin";
/// The folder inside the published archive.
const ARCHIVE_FOLDER: &str = "cifar-10-batches-bin";
pub(super) const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Reads the six files below `dir`, or below `datasets/cifar10` when that is not given; `None` when
/// none of them is there.
pub(super) fn read(dir: Option<&Path>) -> Result<Option<Dataset>> {
    for folder in candidates(dir) {
        for name in TRAIN_FILES.iter().chain([&TEST_FILE]) {
            if disk::is_there(&folder.join(name))? {
                return read_folder(&folder, RECORDS_PER_FILE).map(Some);
            }
        }
    }
    Ok(None)
}

/// The folders in which the files may be, in the order of looking.
fn candidates(dir: Option<&Path>) -> Vec<PathBuf> {
    match dir {
        Some(dir) => vec![dir.to_path_buf(), dir.join(ARCHIVE_FOLDER)],
        None => {
            let root = Path::new("datasets");
            let own = root.join("cifar10");
            vec![own.clone(), own.join(ARCHIVE_FOLDER), root.join(ARCHIVE_FOLDER)]
        }
    }
}

/// The error for files that [`read`] does not find.
pub(super) fn missing(dir: Option<&Path>) -> Error {
    Error::Data {
        what: format!("the cifar10 files are not in {}", candidates(dir)[0].display()),
        remedy: format!(
            "get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and put \
             data_batch_1.bin to data_batch_5.bin and test_batch.bin there, or name their folder \
             with `data.dir`{}",
            super::HUB_HINT
        ),
    }
}

fn read_folder(folder: &Path, records: usize) -> Result<Dataset> {
    let train: Vec<PathBuf> = TRAIN_FILES.iter().map(|name| folder.join(name)).collect();
    let train = read_files(&train, records)?;
    let test = read_files(&[folder.join(TEST_FILE)], records)?;
    Dataset::new("cifar10", train, test, &CLASSES, 255.0)
}

pub(super) fn read_files(paths: &[PathBuf], records: usize) -> Result<LabelledImages> {
    let mut images = Vec::with_capacity(paths.len() * records * (RECORD - 1));
    let mut labels = Vec::with_capacity(paths.len() * records);
    for path in paths {
        let expected = (records * RECORD) as u64;
        let bad = |what| Error::BadFile {
            what,
            remedy: "unpack it again from cifar-10-binary.tar.gz \
                     (https://www.cs.toronto.edu/~kriz/cifar.html)"
                .into(),
            path: path.clone(),
        };
        if !disk::is_there(path)? {
            return Err(bad(format!("a cifar10 file of {expected} bytes is missing")));
        }
        let found = fs::metadata(path).map_err(Error::io("read a cifar10 file", path))?.len();
        if found != expected {
            return Err(bad(format!("a cifar10 file has {found} bytes instead of {expected}")));
        }
        let bytes = disk::read(path, "read a cifar10 file", expected)?;
        for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
            if usize::from(record[0]) >= CLASSES.len() {
                return Err(bad(format!(
                    "record {index} of a cifar10 file ({found} bytes, as expected) has label {} \
                     instead of 0 to 9",
                    record[0]
                )));
            }
            labels.push(record[0]);
            images.extend_from_slice(&record[1..]);
        }
    }
    LabelledImages::new(images, labels, SHAPE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{NormChoice, NormStats, test_data};

    /// Six files of two records; record r of file f has label (f + r) % 10 and pixels f.
    fn write_files(folder: &Path) {
        for (f, name) in TRAIN_FILES.iter().chain([&TEST_FILE]).enumerate() {
            let mut bytes = Vec::new();
            for r in 0..2 {
                bytes.push(((f + r) % 10) as u8);
                bytes.extend_from_slice(&[f as u8; RECORD - 1]);
            }
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    #[test]
    fn files_are_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path());
        let data = read_folder(dir.path(), 2).unwrap();
        assert_eq!(data.train.labels, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
        assert_eq!(data.test.labels, [5, 6]);
        assert_eq!(data.train.image(9)[0], 4);
    }

    #[test]
    fn a_truncated_file_names_itself_both_sizes_and_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path());
        let err = read(Some(dir.path())).unwrap_err().to_string();
        assert!(err.contains("6146 bytes instead of 30730000"), "{err}");
        assert!(err.contains("unpack it again"), "{err}");
        assert!(err.ends_with("data_batch_1.bin"), "{err}");
    }

    #[test]
    fn one_missing_file_among_others_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path());
        fs::remove_file(dir.path().join("test_batch.bin")).unwrap();
        let err = read_folder(dir.path(), 2).unwrap_err().to_string();
        assert!(err.contains("missing") && err.ends_with("test_batch.bin"), "{err}");
    }

    #[test]
    fn a_label_of_200_is_corruption() {
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path());
        let path = dir.path().join("data_batch_3.bin");
        let mut bytes = fs::read(&path).unwrap();
        bytes[RECORD] = 200;
        fs::write(&path, bytes).unwrap();
        let err = read_folder(dir.path(), 2).unwrap_err().to_string();
        assert!(err.contains("record 1") && err.contains("label 200"), "{err}");
        assert!(err.ends_with("data_batch_3.bin"), "{err}");
    }

    #[test]
    fn a_folder_without_the_files_says_where_to_get_them_and_where_to_put_them() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(Some(dir.path())).unwrap().is_none());
        let err = missing(Some(dir.path())).to_string();
        assert!(err.contains(&dir.path().display().to_string()), "{err}");
        assert!(err.contains("cs.toronto.edu") && err.contains("data_batch_5.bin"), "{err}");
    }

    #[test]
    fn the_archives_own_folder_is_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join(ARCHIVE_FOLDER);
        fs::create_dir(&inner).unwrap();
        write_files(&inner);
        // Found, and then refused for its size: the looking is what is tested.
        assert!(matches!(read(Some(dir.path())), Err(Error::BadFile { .. })));
    }

    #[test]
    fn the_real_files_have_the_published_labels_and_means() {
        let Some(dir) = test_data::folder("cifar-10-batches-bin") else { return };
        let data = read(Some(&dir)).unwrap().unwrap();
        assert_eq!((data.train.len(), data.test.len()), (50_000, 10_000));
        // First labels of data_batch_1 and test_batch in the official files.
        assert_eq!(data.train.labels[..5], [6, 9, 9, 4, 1]);
        assert_eq!(data.test.labels[..5], [3, 8, 8, 0, 6]);
        let stats = NormStats::of(&data, NormChoice::Dataset).unwrap();
        // The well-known constants are given to four digits.
        for (found, known) in stats.mean.iter().zip([0.4914, 0.4822, 0.4465]) {
            assert!((found - known).abs() < 5e-5, "{:?}", stats.mean);
        }
        for (found, known) in stats.std.iter().zip([0.2470, 0.2435, 0.2616]) {
            assert!((found - known).abs() < 5e-5, "{:?}", stats.std);
        }
    }
}
