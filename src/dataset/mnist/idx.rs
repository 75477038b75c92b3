//! MNIST and Fashion-MNIST: four idx files each, plain or gzipped.
//!
//! An idx file is big-endian: a magic number (0x0803 for images, 0x0801 for labels), one u32 size
//! for each dimension, then bytes. Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, *Gradient-based
//! learning applied to document recognition*, 1998; H. Xiao, K. Rasul and R. Vollgraf,
//! *Fashion-MNIST*, arXiv:1708.07747.

use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::DataSet;
use super::images::{Dataset, LabelledImages};
use crate::disk;
use crate::error::{Error, Result};

/// What reading one is, for messages.
const READ: &str = "read an idx file";

const SIDE: usize = 28;
const SIZES: [usize; 2] = [60_000, 10_000];
const MAGIC_IMAGES: u32 = 0x0803;
const MAGIC_LABELS: u32 = 0x0801;
/// (images, labels) of the training split, then of the test split.
const FILES: [(&str, &str); 2] = [
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
];
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const CLOTHES: [&str; 10] = [
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
];

/// Reads the four files in `dir`, or in `datasets/NAME` when that is not given; `None` when none of
/// them is there.
pub(super) fn read(set: DataSet, dir: Option<&Path>) -> Result<Option<Dataset>> {
    let folder = folder(set, dir);
    for name in file_names() {
        if find(&folder, name)?.is_some() {
            return read_folder(set, &folder, SIZES).map(Some);
        }
    }
    Ok(None)
}

/// The error for files that [`read`] does not find.
pub(super) fn missing(set: DataSet, dir: Option<&Path>) -> Error {
    Error::Data {
        what: format!("the {set} files are not in {}", folder(set, dir).display()),
        remedy: format!(
            "get {}, .gz or unpacked, from {} and put them there, or name their folder with \
             `data.dir`{}",
            file_names().collect::<Vec<_>>().join(", "),
            match set {
                DataSet::FashionMnist => "https://github.com/zalandoresearch/fashion-mnist",
                _ => "http://yann.lecun.com/exdb/mnist/",
            },
            super::HUB_HINT
        ),
    }
}

fn folder(set: DataSet, dir: Option<&Path>) -> PathBuf {
    dir.map_or_else(|| Path::new("datasets").join(set.as_str()), Path::to_path_buf)
}

fn file_names() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().flat_map(|(images, labels)| [images, labels])
}

/// What the classes of `set` are called.
pub(super) fn class_names(set: DataSet) -> &'static [&'static str] {
    if set == DataSet::FashionMnist { &CLOTHES } else { &DIGITS }
}

fn read_folder(set: DataSet, folder: &Path, sizes: [usize; 2]) -> Result<Dataset> {
    let read = |which: usize| -> Result<LabelledImages> {
        let (images, labels) = FILES[which];
        let n = sizes[which];
        let images = read_idx(folder, images, MAGIC_IMAGES, &[n, SIDE, SIDE])?;
        let labels = read_idx(folder, labels, MAGIC_LABELS, &[n])?;
        LabelledImages::new(images, labels, [1, SIDE, SIDE])
    };
    Dataset::new(set.as_str(), read(0)?, read(1)?, class_names(set), 255.0)
}

/// The plain file of that name, or else the gzipped one.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for path in [folder.join(name), folder.join(format!("{name}.gz"))] {
        if disk::is_there(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The content of an idx file that must have these sizes.
fn read_idx(folder: &Path, name: &str, magic: u32, sizes: &[usize]) -> Result<Vec<u8>> {
    let path = find(folder, name)?.unwrap_or_else(|| folder.join(name));
    let bad = |what| Error::BadFile {
        what,
        remedy: "download it again, and keep the four idx files (or .gz) of one set together"
            .into(),
        path: path.clone(),
    };
    let header = 4 + 4 * sizes.len();
    let expected = header + sizes.iter().product::<usize>();
    if !disk::is_there(&path)? {
        return Err(bad(format!("an idx file of {expected} bytes is missing")));
    }
    let bytes = if path.extension().is_some_and(|e| e == "gz") {
        let file = BufReader::new(disk::open(&path, READ)?.0);
        let mut bytes = Vec::with_capacity(expected);
        // One byte more than expected shows that a file is too long, and bounds the memory that a
        // hostile one can take.
        let mut unpacked = flate2::read::GzDecoder::new(file).take(expected as u64 + 1);
        if let Err(source) = unpacked.read_to_end(&mut bytes) {
            return Err(bad(format!(
                "the gzip stream breaks after {} of {expected} bytes ({source})",
                bytes.len()
            )));
        }
        bytes
    } else {
        let found = fs::metadata(&path).map_err(Error::io(READ, &path))?.len();
        if found != expected as u64 {
            return Err(bad(format!("an idx file has {found} bytes instead of {expected}")));
        }
        disk::read(&path, READ, expected as u64)?
    };

    let word = |i: usize| {
        let at = bytes.get(4 * i..4 * i + 4)?;
        Some(u32::from_be_bytes(at.try_into().expect("four bytes")))
    };
    if word(0) != Some(magic) {
        return Err(bad(match word(0) {
            Some(found) => format!("an idx file begins with {found:#06x} instead of {magic:#06x}"),
            None => format!("an idx file has {} bytes instead of {expected}", bytes.len()),
        }));
    }
    for (i, &size) in sizes.iter().enumerate() {
        if word(i + 1) != Some(size as u32) {
            let found = word(i + 1).map_or("nothing".to_string(), |n| n.to_string());
            return Err(bad(format!("size {i} in an idx file is {found} instead of {size}")));
        }
    }
    if bytes.len() != expected {
        let found = if bytes.len() > expected { "more".into() } else { bytes.len().to_string() };
        return Err(bad(format!("an idx file has {found} bytes instead of {expected}")));
    }
    Ok(bytes[header..].to_vec())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::dataset::test_data;

    fn idx(magic: u32, sizes: &[u32], body: &[u8]) -> Vec<u8> {
        let mut bytes = magic.to_be_bytes().to_vec();
        sizes.iter().for_each(|size| bytes.extend_from_slice(&size.to_be_bytes()));
        bytes.extend_from_slice(body);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    /// Three training and two test images; the test images gzipped.
    fn write_files(folder: &Path) {
        let image = |n: usize| (0..n * 784).map(|i| (i % 253) as u8).collect::<Vec<u8>>();
        let put = |name: &str, bytes: Vec<u8>| fs::write(folder.join(name), bytes).unwrap();
        put(FILES[0].0, idx(MAGIC_IMAGES, &[3, 28, 28], &image(3)));
        put(FILES[0].1, idx(MAGIC_LABELS, &[3], &[7, 0, 9]));
        put("t10k-images-idx3-ubyte.gz", gzip(&idx(MAGIC_IMAGES, &[2, 28, 28], &image(2))));
        put(FILES[1].1, idx(MAGIC_LABELS, &[2], &[1, 2]));
    }

    fn read_small(folder: &Path) -> Result<Dataset> {
        read_folder(DataSet::Mnist, folder, [3, 2])
    }

    /// The message after `change` was done to the file `name`.
    fn message_after(name: &str, change: impl Fn(&mut Vec<u8>)) -> String {
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path());
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let err = read_small(dir.path()).unwrap_err().to_string();
        assert!(err.contains("download it again") || err.contains("label"), "{err}");
        err
    }

    #[test]
    fn plain_and_gzipped_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path());
        let data = read_small(dir.path()).unwrap();
        assert_eq!(data.train.labels, [7, 0, 9]);
        assert_eq!(data.train.image(1)[0], (784 % 253) as u8);
        assert_eq!(data.test.image(1), data.train.image(1));
    }

    #[test]
    fn a_wrong_magic_a_wrong_count_and_a_truncated_file_are_told_apart() {
        let err = message_after(FILES[0].0, |bytes| bytes[3] = 1);
        assert!(err.contains("0x0801 instead of 0x0803"), "{err}");
        let err = message_after(FILES[0].0, |bytes| bytes[7] = 9);
        assert!(err.contains("size 0 in an idx file is 9 instead of 3"), "{err}");
        let err = message_after(FILES[0].0, |bytes| bytes.truncate(2000));
        assert!(err.contains("2000 bytes instead of 2368"), "{err}");
        assert!(err.ends_with("train-images-idx3-ubyte"), "{err}");
    }

    #[test]
    fn a_broken_gzip_stream_is_told_and_named() {
        let name = "t10k-images-idx3-ubyte.gz";
        let err = message_after(name, |bytes| bytes.truncate(bytes.len() / 2));
        assert!(err.contains("gzip stream breaks") && err.ends_with(name), "{err}");
        // The stream ends with its CRC-32 and its length.
        let err = message_after(name, |bytes| {
            let at = bytes.len() - 8;
            bytes[at] ^= 0xff;
        });
        assert!(err.contains("gzip stream breaks"), "{err}");
        let err = message_after(name, |bytes| *bytes = gzip(&[0; 4000]));
        assert!(err.contains("begins with 0x0000"), "{err}");
        let err = message_after(name, |bytes| {
            *bytes = gzip(&idx(MAGIC_IMAGES, &[2, 28, 28], &[0; 4000]));
        });
        assert!(err.contains("more bytes instead of 1584"), "{err}");
        let err = message_after(name, |bytes| *bytes = gzip(&[0, 0, 8]));
        assert!(err.contains("3 bytes instead of 1584"), "{err}");
    }

    #[test]
    fn a_label_of_200_is_corruption() {
        let err = message_after(FILES[1].1, |bytes| bytes[9] = 200);
        assert!(err.contains("test image 1 of mnist has label 200"), "{err}");
    }

    #[test]
    fn missing_files_say_where_to_get_them_and_where_to_put_them() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(DataSet::FashionMnist, Some(dir.path())).unwrap().is_none());
        let err = missing(DataSet::FashionMnist, Some(dir.path())).to_string();
        assert!(err.contains("zalandoresearch") && err.contains("t10k-labels"), "{err}");
        write_files(dir.path());
        fs::remove_file(dir.path().join(FILES[0].1)).unwrap();
        let err = read_small(dir.path()).unwrap_err().to_string();
        assert!(err.contains("11 bytes is missing"), "{err}");
        assert!(err.ends_with("train-labels-idx1-ubyte"), "{err}");
    }

    #[test]
    fn the_real_files_have_the_published_labels_and_mean() {
        let Some(dir) = test_data::folder("mnist") else { return };
        let data = read(DataSet::Mnist, Some(&dir)).unwrap().unwrap();
        assert_eq!((data.train.len(), data.test.len()), (60_000, 10_000));
        assert_eq!(data.train.labels[..5], [5, 0, 4, 1, 9]);
        assert_eq!(data.test.labels[..5], [7, 2, 1, 0, 4]);
        let sum: u64 = data.train.pixels.iter().map(|&x| u64::from(x)).sum();
        // The well-known mean is given to four digits.
        let mean = sum as f64 / data.train.pixels.len() as f64 / 255.0;
        assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
    }
}
