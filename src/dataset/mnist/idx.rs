//! One idx file: big-endian, a magic number (0x0803 for images, 0x0801 for labels), one u32 size for
//! each dimension, then bytes; plain, or packed by gzip whatever its name ends with.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use crate::disk;
use crate::error::{Error, Result};

/// What reading one is, for messages.
const READ: &str = "read an idx file";

pub(super) const MAGIC_IMAGES: u32 = 0x0803;
pub(super) const MAGIC_LABELS: u32 = 0x0801;

/// What a file of bytes with these `sizes` is long, header and all.
pub(super) fn length(sizes: &[usize]) -> usize {
    4 + 4 * sizes.len() + sizes.iter().product::<usize>()
}

/// The content of the idx file at `path`, which must have these sizes.
pub(super) fn read(path: &Path, magic: u32, sizes: &[usize]) -> Result<Vec<u8>> {
    let bad = |what| Error::BadFile {
        what,
        remedy:
            "download it again (remove it and call `lossreel datasets fetch`), and keep the four \
                 idx files of one set together"
                .into(),
        path: path.to_path_buf(),
    };
    let header = 4 + 4 * sizes.len();
    let expected = length(sizes);
    let (mut file, found) = disk::open(path, READ)?;
    let bytes = if is_packed(&mut file).map_err(Error::io(READ, path))? {
        let mut bytes = Vec::with_capacity(expected);
        // One byte more than expected shows that a file is too long, and bounds the memory that a
        // hostile one can take.
        let file = BufReader::new(file);
        let mut unpacked = flate2::read::MultiGzDecoder::new(file).take(expected as u64 + 1);
        if let Err(source) = unpacked.read_to_end(&mut bytes) {
            return Err(bad(format!(
                "the gzip stream breaks after {} of {expected} bytes ({source})",
                bytes.len()
            )));
        }
        bytes
    } else {
        if found != expected as u64 {
            return Err(bad(format!("an idx file has {found} bytes instead of {expected}")));
        }
        disk::read(path, READ, expected as u64)?
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

/// Whether a file begins as gzip's do; leaves it at its beginning.
fn is_packed(file: &mut File) -> std::io::Result<bool> {
    let mut magic = [0; 2];
    let found = file.read(&mut magic)?;
    file.rewind()?;
    Ok(found == 2 && magic == [0x1f, 0x8b])
}
