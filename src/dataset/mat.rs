//! Arrays of numbers in MATLAB's files of version 5 to 7 ("MAT-File Format", MathWorks): after a header
//! of 128 bytes, elements of a type, a length and a content; an array is an element of such elements,
//! mostly packed by zlib.

use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;

use crate::disk;
use crate::element::{ByteOrder, Element};
use crate::error::{Error, Result};

/// Bytes of a file, and of an unpacked array, at most: SVHN's extra images have 1.6 GB.
const MOST: u64 = 2 << 30;
/// Arrays and other things of a file that are looked at.
const MOST_ELEMENTS: usize = 256;
const COMPRESSED: u32 = 15;
const MATRIX: u32 = 14;

/// An array, its first index running fastest.
#[derive(Debug, PartialEq)]
pub(super) struct MatArray {
    pub(super) name: String,
    pub(super) dims: Vec<usize>,
    pub(super) element: Element,
    /// `dims.iter().product()` elements, little-endian.
    pub(super) bytes: Vec<u8>,
}

impl MatArray {
    /// The elements as numbers.
    pub(super) fn values(&self) -> impl Iterator<Item = f32> + '_ {
        let size = self.element.size();
        self.bytes.chunks_exact(size).map(|e| self.element.decode(e, ByteOrder::Little))
    }
}

type Parsed<T> = std::result::Result<T, String>;

/// The arrays of the file at `path` that have one of `names`.
///
/// # Errors
/// [`Error::BadFile`] for a damaged file or one of another kind.
pub(super) fn read(path: &Path, names: &[&str]) -> Result<Vec<MatArray>> {
    let bytes = disk::read(path, "read a MATLAB file", MOST)?;
    parse(&bytes, names).map_err(|problem| Error::BadFile {
        what: format!("the MATLAB file cannot be read: {problem}"),
        remedy: "download it again, or save it with MATLAB's -v7".into(),
        path: path.to_path_buf(),
    })
}

fn parse(bytes: &[u8], names: &[&str]) -> Parsed<Vec<MatArray>> {
    let head = bytes.get(..128).ok_or("it is shorter than its header")?;
    if !head.starts_with(b"MATLAB 5.0") {
        let is_hdf = head.starts_with(b"MATLAB 7.3") || head.starts_with(b"\x89HDF");
        return Err(if is_hdf { "it is of version 7.3".into() } else { "it is none".to_string() });
    }
    if &head[126..128] != b"IM" {
        return Err("it comes from a machine with another order of bytes".into());
    }
    let mut rest = &bytes[128..];
    let mut arrays = Vec::new();
    for _ in 0..MOST_ELEMENTS {
        if rest.is_empty() {
            break;
        }
        let (kind, content) = element(&mut rest, false)?;
        let array = match kind {
            COMPRESSED => {
                let mut unpacked = Vec::new();
                let packed = ZlibDecoder::new(content);
                packed
                    .take(MOST)
                    .read_to_end(&mut unpacked)
                    .map_err(|e| format!("an array breaks off ({e})"))?;
                let mut unpacked = unpacked.as_slice();
                match element(&mut unpacked, false)? {
                    (MATRIX, content) => matrix(content, names)?,
                    _ => None,
                }
            }
            MATRIX => matrix(content, names)?,
            _ => None,
        };
        arrays.extend(array);
    }
    Ok(arrays)
}

/// Takes an element's type and content; those inside an array are padded to eight bytes.
fn element<'a>(rest: &mut &'a [u8], padded: bool) -> Parsed<(u32, &'a [u8])> {
    let word = |at: usize| -> Parsed<u32> {
        let bytes = rest.get(at..at + 4).ok_or("it breaks off")?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let tag = word(0)?;
    // A short content stands in the tag, its length in the upper half of the type.
    let (kind, start, len): (u32, usize, usize) = match tag >> 16 {
        0 => (tag, 8, word(4)? as usize),
        len => (tag & 0xffff, 4, len as usize),
    };
    let content = rest
        .get(start..start.saturating_add(len))
        .ok_or_else(|| format!("it breaks off, {} of {len} bytes are there", rest.len() - start))?;
    let end = if start == 4 {
        8
    } else if padded {
        start + len.next_multiple_of(8)
    } else {
        start + len
    };
    *rest = rest.get(end..).unwrap_or_default();
    Ok((kind, content))
}

/// The array of an element's content, if it has one of `names` and numbers in it.
fn matrix(mut rest: &[u8], names: &[&str]) -> Parsed<Option<MatArray>> {
    let (_, _flags) = element(&mut rest, true)?;
    let (_, dims) = element(&mut rest, true)?;
    let (_, name) = element(&mut rest, true)?;
    let name = String::from_utf8_lossy(name).into_owned();
    if !names.contains(&name.as_str()) {
        return Ok(None);
    }
    let dims: Vec<usize> = dims
        .chunks_exact(4)
        .map(|d| u32::from_le_bytes([d[0], d[1], d[2], d[3]]) as usize)
        .collect();
    let (kind, content) = element(&mut rest, true)?;
    let element = match kind {
        1 => Element::I8,
        2 => Element::U8,
        3 => Element::I16,
        4 => Element::U16,
        5 => Element::I32,
        6 => Element::U32,
        7 => Element::F32,
        9 => Element::F64,
        12 => Element::I64,
        13 => Element::U64,
        _ => return Err(format!("{name} is no array of numbers")),
    };
    let wanted = dims.iter().try_fold(element.size(), |n, &dim| n.checked_mul(dim));
    if wanted != Some(content.len()) {
        return Err(format!("{name} of {dims:?} has {} bytes", content.len()));
    }
    Ok(Some(MatArray { name, dims, element, bytes: content.to_vec() }))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    fn tagged(kind: u32, content: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    /// A file of arrays of bytes, packed or not.
    pub(in crate::dataset) fn mat(arrays: &[(&str, &[u32], &[u8])], packed: bool) -> Vec<u8> {
        let mut out = b"MATLAB 5.0 MAT-file".to_vec();
        out.resize(124, b' ');
        out.extend(b"\x00\x01IM");
        for (name, dims, body) in arrays {
            let mut content = tagged(6, &[9, 0, 0, 0, 0, 0, 0, 0]);
            let dims: Vec<u8> = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
            content.extend(tagged(5, &dims));
            // A short name stands in its tag.
            content.extend([1, 0, name.len() as u8, 0]);
            content.extend(name.as_bytes());
            content.resize(content.len().next_multiple_of(8), 0);
            content.extend(tagged(2, body));
            let matrix = tagged(MATRIX, &content);
            if packed {
                let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
                zlib.write_all(&matrix).unwrap();
                let packed = zlib.finish().unwrap();
                out.extend(COMPRESSED.to_le_bytes());
                out.extend((packed.len() as u32).to_le_bytes());
                out.extend(packed);
            } else {
                out.extend(matrix);
            }
        }
        out
    }

    #[test]
    fn packed_and_plain_arrays_are_read_by_name() {
        for packed in [false, true] {
            let bytes = mat(&[("X", &[2, 3], &[1, 2, 3, 4, 5, 6]), ("y", &[1, 1], &[10])], packed);
            let arrays = parse(&bytes, &["y", "X"]).unwrap();
            assert_eq!(arrays.len(), 2);
            assert_eq!((arrays[0].name.as_str(), &arrays[0].dims[..]), ("X", &[2, 3][..]));
            assert_eq!(arrays[1].values().collect::<Vec<_>>(), [10.0]);
            assert_eq!(parse(&bytes, &["y"]).unwrap().len(), 1);
        }
    }

    #[test]
    fn damaged_files_and_other_kinds_are_told() {
        let whole = mat(&[("X", &[2, 3], &[1, 2, 3, 4, 5, 6])], true);
        assert!(parse(&whole[..whole.len() - 4], &["X"]).unwrap_err().contains("breaks off"));
        assert!(parse(&whole[..50], &["X"]).unwrap_err().contains("shorter"));
        let wrong = mat(&[("X", &[2, 9], &[1, 2, 3, 4, 5, 6])], false);
        assert!(parse(&wrong, &["X"]).unwrap_err().contains("6 bytes"));
        let mut other = whole.clone();
        other[7] = b'7';
        other[9] = b'3';
        assert!(parse(&other, &["X"]).unwrap_err().contains("7.3"));
    }
}
