//! The binary version: records of label bytes (CIFAR-10 one, CIFAR-100 coarse and fine) and 3x1024
//! pixel bytes (red, green, blue planes, row-major), and nothing else.

use std::fs;
#[cfg(all(test, feature = "hub"))]
use std::path::Path;

use super::super::images::LabelledImages;
use super::{Kind, PIXELS, SHAPE, Source};
use crate::error::{Error, Result};

impl Kind {
    /// The images of files of `records` records each.
    pub(super) fn read_binary(&self, files: Vec<Source>, records: usize) -> Result<LabelledImages> {
        let record = self.label_bytes + PIXELS;
        let expected = (records * record) as u64;
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for (path, content) in files {
            let bad = |what| Error::BadFile { what, remedy: self.again(), path: path.clone() };
            let wrong_size = |found: u64| {
                bad(format!("a {} file has {found} bytes instead of {expected}", self.set))
            };
            let bytes = match content {
                Some(bytes) => bytes,
                // A longer file is found out without reading it.
                None => match fs::metadata(&path) {
                    Ok(about) if about.len() != expected => return Err(wrong_size(about.len())),
                    _ => self.content(&path, expected)?,
                },
            };
            if bytes.len() as u64 != expected {
                return Err(wrong_size(bytes.len() as u64));
            }
            pixels.reserve(records * PIXELS);
            for (index, record) in bytes.chunks_exact(record).enumerate() {
                let label = record[self.label_bytes - 1];
                if usize::from(label) >= self.classes.len() {
                    return Err(bad(format!(
                        "record {index} of a {} file ({expected} bytes, as expected) has label {label} \
                         instead of 0 to {}",
                        self.set,
                        self.classes.len() - 1
                    )));
                }
                labels.push(label);
                pixels.extend_from_slice(&record[self.label_bytes..]);
            }
        }
        LabelledImages::new(pixels, labels, SHAPE)
    }
}

/// The images of one CIFAR-10 file.
#[cfg(all(test, feature = "hub"))]
pub(in crate::dataset) fn read_file(path: &Path, records: usize) -> Result<LabelledImages> {
    super::CIFAR10.read_binary(vec![(path.to_path_buf(), None)], records)
}
