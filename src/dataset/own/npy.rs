//! numpy's files: `.npy`, one array, and `.npz`, a zip archive of them, stored or deflated.
//!
//! A `.npy` file is a magic, a header in Python's notation and the raw elements (numpy's
//! `lib.format`, versions 1 to 3). No more is read than the header says, and nothing is allocated
//! before it is there.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::disk;
use crate::error::{Error, Result};
use crate::memory;
use crate::pickle::numpy::{NumpyArray, bytes_of, type_of};

const READ: &str = "read numpy's arrays";
/// Bytes of a header at most; numpy's own limit is 10,000.
const MOST_HEADER: usize = 1 << 16;
/// Arrays of one file that are looked at.
const MOST_ARRAYS: usize = 64;

/// An array under its name.
pub(super) struct NamedArray {
    pub(super) name: String,
    pub(super) array: NumpyArray,
}

type Parsed<T> = std::result::Result<T, String>;

/// The arrays whose names `wanted` takes, of a `.npz` file, or the one of a `.npy` file, whose name is the
/// file's; so is that of a `.npz` with nothing but `arr_0`.
///
/// # Errors
/// [`Error::BadFile`] for a damaged file or an array without numbers, [`Error::TooLarge`].
pub(super) fn read(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<NamedArray>> {
    let bad = |problem: String| Error::BadFile {
        what: format!("numpy's file cannot be read: {problem}"),
        remedy: "write it again with numpy.savez, arrays of numbers only".into(),
        path: path.to_path_buf(),
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (file, _) = disk::open(path, READ)?;
    let mut file = BufReader::new(file);
    if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("npy")) {
        if !wanted(&stem) {
            return Ok(Vec::new());
        }
        let array = array(&mut file, &bad)?.0;
        return Ok(vec![NamedArray { name: stem, array }]);
    }
    let mut archive =
        ZipArchive::new(file).map_err(|e| bad(format!("its zip directory is damaged ({e})")))?;
    let names: Vec<String> =
        archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let arrays: Vec<&String> = names.iter().filter(|name| name.ends_with(".npy")).collect();
    if arrays.len() > MOST_ARRAYS {
        return Err(bad(format!("it has {} arrays", arrays.len())));
    }
    let mut read = Vec::new();
    for entry in &arrays {
        let mut name = entry.trim_end_matches(".npy").to_string();
        if arrays.len() == 1 && name == "arr_0" {
            name.clone_from(&stem);
        }
        if !wanted(&name) {
            continue;
        }
        let bad = |problem: String| bad(format!("its array {name} {problem}"));
        let array = member(&mut archive, entry, &bad)?;
        read.push(NamedArray { name, array });
    }
    Ok(read)
}

/// One array of an archive, its checksum compared.
fn member(
    archive: &mut ZipArchive<BufReader<File>>,
    name: &str,
    bad: &dyn Fn(String) -> Error,
) -> Result<NumpyArray> {
    let index = archive.index_for_name(name).ok_or_else(|| bad("is not there".into()))?;
    let entry = archive.by_index_raw(index).map_err(|e| bad(format!("is damaged ({e})")))?;
    let (method, crc) = (entry.compression(), entry.crc32());
    let mut reader: Box<dyn Read + '_> = if method == CompressionMethod::Stored {
        Box::new(entry)
    } else if method == CompressionMethod::DEFLATE {
        Box::new(DeflateDecoder::new(entry))
    } else {
        return Err(bad(format!("is packed by {method}, which numpy does not")));
    };
    let (array, found) = array(&mut reader, bad)?;
    if found != crc {
        return Err(bad("does not have the checksum that stands beside it".into()));
    }
    Ok(array)
}

/// The array that is read from here, in C order, and the checksum of its bytes.
fn array(reader: &mut impl Read, bad: &dyn Fn(String) -> Error) -> Result<(NumpyArray, u32)> {
    let header = parse(reader).map_err(bad)?;
    memory::check("an array", (header.bytes as u64).checked_mul(2))?;
    fill(header, reader).map_err(bad)
}

/// What stands before the elements.
struct Header {
    /// Magic, length and text.
    raw: Vec<u8>,
    kind: (crate::element::Element, crate::element::ByteOrder),
    shape: Vec<usize>,
    fortran: bool,
    bytes: usize,
}

fn parse(reader: &mut impl Read) -> Parsed<Header> {
    let mut raw = vec![0; 8];
    let cut = |e: std::io::Error| format!("breaks off in its header ({e})");
    reader.read_exact(&mut raw).map_err(cut)?;
    if raw[..6] != *b"\x93NUMPY" {
        return Err("does not begin as a .npy file does".into());
    }
    let words = if raw[6] == 1 { 2 } else { 4 };
    let mut length = [0; 4];
    reader.read_exact(&mut length[..words]).map_err(cut)?;
    raw.extend_from_slice(&length[..words]);
    let length = u32::from_le_bytes(length) as usize;
    if length > MOST_HEADER {
        return Err(format!("has a header of {length} bytes"));
    }
    let start = raw.len();
    raw.resize(start + length, 0);
    reader.read_exact(&mut raw[start..]).map_err(cut)?;
    let text = String::from_utf8_lossy(&raw[start..]).into_owned();
    let after = |key: &str| {
        let at = text.find(&format!("'{key}'"))?;
        text[at + key.len() + 2..].trim_start().strip_prefix(':').map(str::trim_start)
    };
    let odd = || format!("has a header that is not numpy's: {}", text.trim());
    let description = after("descr").ok_or_else(odd)?;
    let quoted = description
        .strip_prefix('\'')
        .and_then(|rest| rest.split('\'').next())
        .ok_or("is a table of records, not of numbers")?;
    let kind = type_of(quoted)
        .ok_or_else(|| format!("has elements of type {quoted}, which are no numbers"))?;
    let fortran = after("fortran_order").ok_or_else(odd)?.starts_with("True");
    let shape = after("shape")
        .and_then(|rest| rest.strip_prefix('(')?.split_once(')'))
        .map(|(dims, _)| dims)
        .ok_or_else(odd)?;
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|dim| !dim.is_empty())
        .map(|dim| dim.trim_end_matches('L').parse().map_err(|_| odd()))
        .collect::<Parsed<_>>()?;
    let bytes = bytes_of(&shape, kind.0)
        .ok_or_else(|| format!("has a shape of {shape:?}, too large to count"))?;
    Ok(Header { raw, kind, shape, fortran, bytes })
}

/// The array with its elements, in C order, and the checksum of all that was read.
fn fill(header: Header, reader: &mut impl Read) -> Parsed<(NumpyArray, u32)> {
    let mut bytes = Vec::new();
    let most = header.bytes as u64 + 1;
    reader.take(most).read_to_end(&mut bytes).map_err(|e| format!("breaks off ({e})"))?;
    if bytes.len() != header.bytes {
        let found = if bytes.len() > header.bytes { "more" } else { "fewer" };
        return Err(format!("of {:?} has {found} than its {} bytes", header.shape, header.bytes));
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header.raw);
    crc.update(&bytes);
    let array = NumpyArray::new(header.kind, header.shape, header.fortran, bytes.into())?;
    Ok((array.in_c_order(), crc.finalize()))
}

#[cfg(test)]
pub(in crate::dataset) mod tests {
    use std::io::Write;

    use super::*;

    /// A `.npy` file.
    pub(in crate::dataset) fn npy(descr: &str, shape: &str, fortran: bool, body: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        while (header.len() + 11) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(body);
        bytes
    }

    /// A `.npz` file: a zip archive of these members, deflated or stored.
    pub(in crate::dataset) fn npz(members: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in members {
            let name = format!("{name}.npy");
            let packed = if deflated {
                let level = flate2::Compression::fast();
                let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), level);
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            } else {
                bytes.clone()
            };
            let mut common = Vec::new();
            let method = if deflated { 8u16 } else { 0 };
            common.extend([20u16, 0, method, 0, 0x21].iter().flat_map(|v| v.to_le_bytes()));
            let sizes = [crc32fast::hash(bytes), packed.len() as u32, bytes.len() as u32];
            common.extend(sizes.iter().flat_map(|v| v.to_le_bytes()));
            common.extend((name.len() as u16).to_le_bytes());
            common.extend(0u16.to_le_bytes());
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend((out.len() as u32).to_le_bytes());
            directory.extend(name.as_bytes());
            out.extend(b"PK\x03\x04");
            out.extend(&common);
            out.extend(name.as_bytes());
            out.extend(packed);
        }
        let at = out.len() as u32;
        out.extend(&directory);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend([members.len() as u16; 2].iter().flat_map(|v| v.to_le_bytes()));
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(at.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    fn read_bytes(name: &str, bytes: &[u8]) -> Result<Vec<NamedArray>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read(&path, |_| true)
    }

    #[test]
    fn stored_and_deflated_archives_have_the_same_arrays() {
        let members = [
            ("x_train", npy("|u1", "(2, 3)", false, &[1, 2, 3, 4, 5, 6])),
            ("y", npy("<i8", "(1,)", false, &7i64.to_le_bytes())),
        ];
        for deflated in [false, true] {
            let arrays = read_bytes("a.npz", &npz(&members, deflated)).unwrap();
            assert_eq!(arrays.len(), 2);
            assert_eq!(
                (arrays[0].name.as_str(), &arrays[0].array.shape[..]),
                ("x_train", &[2, 3][..])
            );
            assert_eq!(arrays[0].array.bytes[..], [1, 2, 3, 4, 5, 6]);
            assert_eq!(arrays[1].array.values().collect::<Vec<_>>(), [7.0]);
        }
    }

    #[test]
    fn fortran_order_and_big_endian_numbers_are_read() {
        let body: Vec<u8> = [1f32, 3.0, 2.0, 4.0].iter().flat_map(|v| v.to_be_bytes()).collect();
        let arrays = read_bytes("it.npy", &npy(">f4", "(2, 2)", true, &body)).unwrap();
        assert_eq!(arrays[0].name, "it");
        assert_eq!(arrays[0].array.values().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn hostile_and_damaged_files_are_refused_in_words() {
        let error = |bytes: &[u8], name: &str| read_bytes(name, bytes).err().unwrap().to_string();
        let text = error(&npy("|u1", "(99999999999, 99999999999)", false, &[1]), "a.npy");
        assert!(text.contains("too large to count"), "{text}");
        let text = error(&npy("|u1", "(999999999999999,)", false, &[1]), "a.npy");
        assert!(text.contains("GB of memory"), "{text}");
        let text = error(&npy("|u1", "(5,)", false, &[1]), "a.npy");
        assert!(text.contains("fewer than its 5 bytes") && text.ends_with("a.npy"), "{text}");
        let text = error(&npy("|O", "(5,)", false, &[1]), "a.npy");
        assert!(text.contains("type |O"), "{text}");
        let text = error(b"nothing", "a.npz");
        assert!(text.contains("zip directory"), "{text}");
        let mut damaged = npz(&[("x", npy("|u1", "(4,)", false, &[1, 2, 3, 4]))], false);
        let at = damaged.windows(4).position(|w| w == [1, 2, 3, 4]).unwrap();
        damaged[at] = 9;
        let text = error(&damaged, "a.npz");
        assert!(text.contains("checksum"), "{text}");
        // A bomb says how large it is, and no more than that is unpacked.
        let bomb = npz(&[("x", npy("|u1", "(4,)", false, &[0; 1 << 20]))], true);
        let text = error(&bomb, "a.npz");
        assert!(text.contains("more than its 4 bytes"), "{text}");
    }
}
