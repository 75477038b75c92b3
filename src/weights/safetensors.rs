//! safetensors: our own files, readable by `safetensors.torch.load_file`, and other people's.
//!
//! The layout is eight bytes of header length, a JSON header, then the raw little-endian data.
//! The `safetensors` crate parses and validates the header. Writing is done here, because the
//! crate keeps metadata in a `HashMap`, whose order changes from run to run: one state must give
//! the same bytes each time.
//!
//! What is written here has two digests among its metadata: `sha256` of the data, and `header_sha256`
//! of the header, itself counted as zeros. The header is checked whenever a file is opened, the data
//! when all of them are read ([`SafetensorsFile::verify`]). Files without them are taken as they are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ::safetensors::tensor::{Dtype, Metadata};
use sha2::{Digest, Sha256};

use super::kind::FileKind;
use super::{Checkpoint, CheckpointFormat, NamedTensor, bad_file};
use crate::disk;
use crate::disk::digest::{hexadecimal, sha256};
use crate::element::{ByteOrder, Element, StoredAs};
use crate::error::{Error, Result};
use crate::pickle::Parsed;

/// Bytes of the header's length, and the longest header the format allows.
const LEN_BYTES: usize = 8;
const MAX_HEADER: u64 = 100_000_000;

/// The metadata keys of the digests, and the hexadecimal digits of one.
const DATA_DIGEST: &str = "sha256";
const HEADER_DIGEST: &str = "header_sha256";
const DIGITS: usize = 64;

/// What reading one is, for messages.
const READ: &str = "read the weights";

/// Writes `tensors` (name, shape, row-major data) and `metadata` as safetensors, atomically: to a
/// sibling temporary file, then fsync, rename, fsync of the folder. The bytes depend on the
/// arguments only: tensors stay in the order given, metadata keys are sorted. The digests are added;
/// those that `metadata` has from another file are left out.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadValue`] for a name given twice, or data that are not of the given
/// shape.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[(&str, &[usize], &[f32])],
    metadata: &[(String, String)],
) -> Result<()> {
    write_safetensors_as(path, tensors, |_| StoredAs::F32, metadata)
}

/// [`write_safetensors`] with the `i`-th tensor's values in the element type `stored(i)`. Tensors of wide
/// elements come first, or readers that map the file find them at odd addresses.
///
/// # Errors
/// As [`write_safetensors`].
pub fn write_safetensors_as(
    path: impl AsRef<Path>,
    tensors: &[(&str, &[usize], &[f32])],
    stored: impl Fn(usize) -> StoredAs,
    metadata: &[(String, String)],
) -> Result<()> {
    let mut hash = Sha256::new();
    for (i, (_, _, data)) in tensors.iter().enumerate() {
        encoded(data, stored(i), |bytes| {
            hash.update(bytes);
            Ok(())
        })
        .expect("hashing does not fail");
    }
    let header = header_json(tensors, &stored, metadata, &hexadecimal(&hash.finalize()))?;
    disk::write(path.as_ref(), |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for (i, (_, _, data)) in tensors.iter().enumerate() {
            encoded(data, stored(i), |bytes| out.write_all(bytes))?;
        }
        Ok(())
    })
}

/// [`write_safetensors`] into a folder of somebody's own: what a killed process left of the same file
/// there is removed first.
///
/// # Errors
/// As [`write_safetensors`].
pub fn export_safetensors(
    path: impl AsRef<Path>,
    tensors: &[(&str, &[usize], &[f32])],
    metadata: &[(String, String)],
) -> Result<()> {
    disk::remove_temporaries_of(path.as_ref())?;
    write_safetensors(path, tensors, metadata)
}

/// The header, padded with spaces so that the data begin at a multiple of 8; `data_digest` is that of
/// the data.
fn header_json(
    tensors: &[(&str, &[usize], &[f32])],
    stored: &impl Fn(usize) -> StoredAs,
    metadata: &[(String, String)],
    data_digest: &str,
) -> Result<String> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut entries = Vec::new();
    let mut sorted: BTreeMap<&str, &str> =
        metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    if sorted.len() < metadata.len() {
        return Err(Error::bad_value(
            "metadata",
            format!("{} keys", metadata.len()),
            "with a key given twice",
            "give each key once",
        ));
    }
    let zeros = "0".repeat(DIGITS);
    sorted.insert(DATA_DIGEST, data_digest);
    sorted.insert(HEADER_DIGEST, &zeros);
    let pairs: Vec<String> =
        sorted.iter().map(|(k, v)| format!("{}:{}", quoted(k), quoted(v))).collect();
    entries.push(format!("\"__metadata__\":{{{}}}", pairs.join(",")));
    let mut names = HashSet::from(["__metadata__"]);
    let mut start = 0;
    for (i, (name, shape, data)) in tensors.iter().enumerate() {
        if !names.insert(name) {
            return Err(Error::bad_value(
                "tensor name",
                name,
                "which is taken",
                "give each tensor its own name",
            ));
        }
        if shape.iter().product::<usize>() != data.len() {
            return Err(Error::bad_value(
                format!("shape of {name}"),
                format!("{shape:?}"),
                format!("but it has {} elements", data.len()),
                "give the shape of the data",
            ));
        }
        let stored = stored(i);
        let end = start + stored.size() * data.len();
        let (name, dtype) = (quoted(name), stored.dtype());
        entries.push(format!(
            "{name}:{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"
        ));
        start = end;
    }
    let mut header = format!("{{{}}}", entries.join(","));
    let padding = header.len().next_multiple_of(LEN_BYTES) - header.len();
    header.push_str(&" ".repeat(padding));
    let place = header_digest_place(header.as_bytes()).expect("the digest was just put there");
    let digest = sha256(&header);
    header.replace_range(place, &digest);
    Ok(header)
}

/// Where the digits of the header's own digest are.
fn header_digest_place(header: &[u8]) -> Option<Range<usize>> {
    let key = format!("\"{HEADER_DIGEST}\":\"");
    let start = header.windows(key.len()).position(|part| part == key.as_bytes())? + key.len();
    (header.get(start + DIGITS) == Some(&b'"')).then_some(start..start + DIGITS)
}

/// Whether a header is what its own digest, which it has, says.
fn header_is_whole(header: &[u8]) -> bool {
    header_digest_place(header).is_some_and(|place| {
        let mut zeroed = header.to_vec();
        zeroed[place.clone()].fill(b'0');
        sha256(zeroed).as_bytes() == &header[place]
    })
}

/// What is said of a file that is not what its digests say.
const DAMAGED: &str = "it is not what its digest says, so it is damaged (or was changed on purpose: \
                       then save it without the metadata sha256 and header_sha256)";

/// Passes `data` on as little-endian bytes of an element type, some thousand values at a time.
fn encoded(
    data: &[f32],
    stored: StoredAs,
    mut on: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * 4096);
    for part in data.chunks(4096) {
        bytes.clear();
        stored.encode(part, &mut bytes);
        on(&bytes)?;
    }
    Ok(())
}

/// Where a tensor lies, its start counted from the end of the header.
#[derive(Debug)]
struct Entry {
    name: String,
    element: Element,
    shape: Vec<usize>,
    start: usize,
    len: usize,
}

impl Entry {
    fn decode_into(&self, bytes: &[u8], out: &mut [f32]) {
        match self.element {
            // What snapshots are of: a path of gigabytes is read in a loop that the compiler can widen.
            Element::F32 => {
                let words = bytes.as_chunks().0;
                out.iter_mut()
                    .zip(words)
                    .for_each(|(value, word)| *value = f32::from_le_bytes(*word));
            }
            Element::BF16 => {
                for (value, [low, high]) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_le_bytes([0, 0, *low, *high]);
                }
            }
            other => {
                for (value, bytes) in out.iter_mut().zip(bytes.chunks_exact(other.size())) {
                    *value = other.decode(bytes, ByteOrder::Little);
                }
            }
        }
    }

    fn tensor(&self, bytes: &[u8]) -> NamedTensor {
        let mut data = vec![0.0; self.len / self.element.size()];
        self.decode_into(bytes, &mut data);
        NamedTensor { name: self.name.clone(), shape: self.shape.clone(), data }
    }
}

#[derive(Debug)]
struct TensorIndex {
    /// In the order of their data.
    entries: Vec<Entry>,
    /// Sorted by key.
    metadata: Vec<(String, String)>,
    /// Offset of the data in the file.
    data_start: usize,
}

/// The length of the header from the first eight bytes, checked against the file's.
fn header_len(first: [u8; LEN_BYTES], file_len: u64) -> Parsed<usize> {
    let len = u64::from_le_bytes(first);
    if len > MAX_HEADER {
        return Err(format!("it is no safetensors file (a header of {len} bytes)"));
    }
    if len > file_len.saturating_sub(LEN_BYTES as u64) {
        return Err(format!("it is cut off in its header ({file_len} bytes)"));
    }
    Ok(len as usize)
}

impl TensorIndex {
    /// The digest that the data must have; `None` where the file does not say.
    fn data_digest(&self) -> Option<&str> {
        let value = |wanted: &str| self.metadata.iter().find(|(key, _)| key == wanted);
        // A file of another program may have a `sha256` that means something else.
        value(HEADER_DIGEST).and(value(DATA_DIGEST)).map(|(_, digest)| digest.as_str())
    }

    fn parse(json: &[u8], file_len: u64) -> Parsed<TensorIndex> {
        // Deserialization also checks that the tensors follow each other without holes and that
        // each has the bytes its shape and type need.
        let parsed: Metadata = serde_json::from_slice(json)
            .map_err(|e| format!("its safetensors header is damaged ({e})"))?;
        let data_start = LEN_BYTES + json.len();
        let wanted = data_start as u64 + parsed.data_len() as u64;
        if wanted != file_len {
            let trouble = if wanted > file_len { "cut off" } else { "too long" };
            return Err(format!("it is {trouble}: {wanted} bytes expected, {file_len} there"));
        }
        let mut entries = Vec::new();
        for (name, info) in parsed.tensors() {
            let element = element_of(info.dtype).ok_or_else(|| {
                format!("its tensor {name} is of type {}, which is not supported", info.dtype)
            })?;
            let (start, end) = info.data_offsets;
            let shape = info.shape.clone();
            entries.push(Entry { name, element, shape, start, len: end - start });
        }
        entries.sort_by(|a, b| (a.start, a.len, &a.name).cmp(&(b.start, b.len, &b.name)));
        let mut metadata: Vec<(String, String)> =
            parsed.metadata().clone().unwrap_or_default().into_iter().collect();
        metadata.sort();
        if metadata.iter().any(|(key, _)| key == HEADER_DIGEST) && !header_is_whole(json) {
            return Err(DAMAGED.into());
        }
        Ok(TensorIndex { entries, metadata, data_start })
    }
}

fn element_of(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::BF16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        Dtype::I8 => Element::I8,
        Dtype::I16 => Element::I16,
        Dtype::I32 => Element::I32,
        Dtype::I64 => Element::I64,
        Dtype::U8 => Element::U8,
        Dtype::U16 => Element::U16,
        Dtype::U32 => Element::U32,
        Dtype::U64 => Element::U64,
        Dtype::BOOL => Element::Bool,
        _ => return None,
    })
}

/// Reads all of a file that is in memory.
pub(super) fn read_bytes(bytes: &[u8]) -> Parsed<Checkpoint> {
    let (first, rest) = bytes.split_first_chunk().ok_or("it is cut off in its header")?;
    let len = header_len(*first, bytes.len() as u64)?;
    let header = TensorIndex::parse(&rest[..len], bytes.len() as u64)?;
    let data = &bytes[header.data_start..];
    if header.data_digest().is_some_and(|digest| sha256(data) != digest) {
        return Err(DAMAGED.into());
    }
    let tensors = header.entries.iter().map(|e| e.tensor(&data[e.start..][..e.len])).collect();
    Ok(Checkpoint {
        tensors,
        metadata: header.metadata,
        ignored: Vec::new(),
        format: CheckpointFormat::Safetensors,
        key: String::new(),
        others: Vec::new(),
        unreadable: Vec::new(),
        recombined: Vec::new(),
    })
}

/// An open safetensors file whose tensors are read one at a time: only its header is in memory.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    file: File,
    header: TensorIndex,
    place: HashMap<String, usize>,
}

impl SafetensorsFile {
    /// Opens `path` and checks its header against the file's length and its digest.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::BadFile`] when the file is not safetensors, truncated, or not what its
    /// digest says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = || Error::io(READ, path);
        let damaged = |problem: String| bad_file(path, problem, FileKind::Safetensors.remedy());
        let (mut file, file_len) = disk::open(path, READ)?;
        let mut first = [0; LEN_BYTES];
        if file_len < LEN_BYTES as u64 {
            return Err(damaged(format!("it is cut off in its header ({file_len} bytes)")));
        }
        file.read_exact(&mut first).map_err(io())?;
        let mut json = vec![0; header_len(first, file_len).map_err(damaged)?];
        file.read_exact(&mut json).map_err(io())?;
        let header = TensorIndex::parse(&json, file_len).map_err(damaged)?;
        let place = header.entries.iter().enumerate().map(|(i, e)| (e.name.clone(), i)).collect();
        Ok(Self { path: path.to_path_buf(), file, header, place })
    }

    /// Reads all of the data and compares them with their digest. Says whether there is one.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadFile`] where they are not what it says.
    pub fn verify(&mut self) -> Result<bool> {
        let Some(digest) = self.header.data_digest() else { return Ok(false) };
        let mut hash = Sha256::new();
        let mut part = vec![0; 1 << 20];
        let io = || Error::io(READ, &self.path);
        self.file.seek(SeekFrom::Start(self.header.data_start as u64)).map_err(io())?;
        loop {
            match self.file.read(&mut part).map_err(io())? {
                0 => break,
                len => hash.update(&part[..len]),
            }
        }
        if hexadecimal(&hash.finalize()) == digest {
            Ok(true)
        } else {
            Err(bad_file(&self.path, DAMAGED, FileKind::Safetensors.remedy()))
        }
    }

    /// SHA-256 of the data in hexadecimal, as the file has it; `None` for a file without.
    pub fn digest(&self) -> Option<&str> {
        self.header.data_digest()
    }

    /// The names of the tensors, in the order of their data.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.header.entries.iter().map(|e| e.name.as_str())
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many values all tensors have.
    pub(crate) fn values(&self) -> usize {
        self.header.entries.iter().map(|e| e.len / e.element.size()).sum()
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.place.get(name).map(|&i| self.header.entries[i].shape.as_slice())
    }

    /// The metadata, sorted by key.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.header.metadata
    }

    /// The value of a metadata key.
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.metadata().iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Reads one tensor, converted to `f32`.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::BadFile`] when there is no tensor of that name.
    pub fn read(&mut self, name: &str) -> Result<NamedTensor> {
        let (index, bytes) = self.read_raw(name)?;
        Ok(self.header.entries[index].tensor(&bytes))
    }

    /// Reads one tensor into `out`, which has its number of elements.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Error::BadValue`] when `out` is of another length.
    pub fn read_into(&mut self, name: &str, out: &mut [f32]) -> Result<()> {
        let (index, bytes) = self.read_raw(name)?;
        let entry = &self.header.entries[index];
        let wanted = entry.len / entry.element.size();
        if out.len() != wanted {
            return Err(Error::bad_value(
                format!("length of {name}"),
                out.len(),
                format!("but the file has {wanted} elements"),
                "read it into a slice of that length",
            ));
        }
        entry.decode_into(&bytes, out);
        Ok(())
    }

    /// Reads elements `start..start + out.len()` of one tensor into `out`, seeking to them.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Error::BadValue`] when the tensor has no such elements.
    pub fn read_part(&mut self, name: &str, start: usize, out: &mut [f32]) -> Result<()> {
        let &index = self.place.get(name).ok_or_else(|| {
            bad_file(&self.path, format!("it has no tensor `{name}`"), "see which file is meant")
        })?;
        let entry = &self.header.entries[index];
        let size = entry.element.size();
        let wanted = entry.len / size;
        if start + out.len() > wanted {
            return Err(Error::bad_value(
                format!("elements of {name}"),
                format!("{start}..{}", start + out.len()),
                format!("but the file has {wanted}"),
                "read within the tensor",
            ));
        }
        let at = (self.header.data_start + entry.start + start * size) as u64;
        let mut bytes = vec![0; out.len() * size];
        self.file
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(Error::io(READ, &self.path))?;
        self.header.entries[index].decode_into(&bytes, out);
        Ok(())
    }

    fn read_raw(&mut self, name: &str) -> Result<(usize, Vec<u8>)> {
        let &index = self.place.get(name).ok_or_else(|| {
            bad_file(&self.path, format!("it has no tensor `{name}`"), "see which file is meant")
        })?;
        let entry = &self.header.entries[index];
        let start = (self.header.data_start + entry.start) as u64;
        let mut bytes = vec![0; entry.len];
        self.file
            .seek(SeekFrom::Start(start))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(Error::io(READ, &self.path))?;
        Ok((index, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Written = (tempfile::TempDir, PathBuf);

    fn write_two(metadata: &[(&str, &str)]) -> Written {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.safetensors");
        let metadata: Vec<(String, String)> =
            metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        write_safetensors(
            &path,
            &[("z.weight", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, f32::NAN]), ("a", &[], &[-0.5])],
            &metadata,
        )
        .unwrap();
        (folder, path)
    }

    #[test]
    fn what_is_written_reads_back_in_order_whole_and_tensor_by_tensor() {
        let (_folder, path) = write_two(&[("step", "12"), ("note", "a \"quoted\"\nline é")]);
        let all = super::super::read(&path).unwrap();
        assert_eq!(all.format, CheckpointFormat::Safetensors);
        assert_eq!(all.meta("note"), Some("a \"quoted\"\nline é"));
        let names: Vec<&str> = all.tensors.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["z.weight", "a"]);
        assert_eq!(all.tensors[0].data[..5], [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(all.tensors[0].data[5].is_nan());

        let mut file = SafetensorsFile::open(&path).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["z.weight", "a"]);
        assert_eq!(file.shape("z.weight"), Some(&[2, 3][..]));
        assert_eq!(file.meta("step"), Some("12"));
        assert_eq!(file.read("a").unwrap(), all.tensors[1]);
        let mut out = [0.0; 6];
        file.read_into("z.weight", &mut out).unwrap();
        assert_eq!(out[..5], all.tensors[0].data[..5]);
        assert!(file.read_into("z.weight", &mut out[..5]).is_err());
        assert!(file.read("absent").unwrap_err().to_string().contains("absent"));
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_run_or_the_order_of_metadata() {
        let keys = ["epoch", "step", "lr", "loss", "seed", "version"];
        let forward: Vec<_> = keys.iter().map(|k| (*k, "1")).collect();
        let backward: Vec<_> = forward.iter().rev().copied().collect();
        let read = |metadata: &[(&str, &str)]| {
            let (_folder, path) = write_two(metadata);
            std::fs::read(path).unwrap()
        };
        let first = read(&forward);
        for _ in 0..20 {
            assert_eq!(read(&forward), first);
        }
        assert_eq!(read(&backward), first);
    }

    #[test]
    fn the_safetensors_crate_reads_what_is_written() {
        let (_folder, path) = write_two(&[("step", "12")]);
        let bytes = std::fs::read(path).unwrap();
        let parsed = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let view = parsed.tensor("z.weight").unwrap();
        assert_eq!((view.dtype(), view.shape()), (Dtype::F32, &[2, 3][..]));
        assert_eq!(view.data()[4..8], 2f32.to_le_bytes());
        // The data are aligned for readers that map the file.
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        assert_eq!(header % 8, 0);
    }

    #[test]
    fn every_truncation_and_an_excess_are_errors_that_name_the_file() {
        let (_folder, path) = write_two(&[("step", "12")]);
        let bytes = std::fs::read(&path).unwrap();
        for len in 0..bytes.len() {
            assert!(read_bytes(&bytes[..len]).is_err(), "{len}");
        }
        for len in [0, 7, 8, 20, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let err = SafetensorsFile::open(&path).unwrap_err().to_string();
            assert!(err.ends_with("two.safetensors"), "{len}: {err}");
        }
        std::fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        let err = SafetensorsFile::open(&path).unwrap_err().to_string();
        assert!(err.contains("too long"), "{err}");
    }

    #[test]
    fn a_header_that_lies_is_an_error() {
        let file = |json: &str, data: usize| {
            let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
            bytes.extend(json.bytes());
            bytes.extend(vec![0; data]);
            read_bytes(&bytes)
        };
        let tensor = |shape: &str, offsets: &str| {
            format!(r#"{{"t":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        assert!(file(&tensor("[2]", "[0,8]"), 8).is_ok());
        assert!(file(&tensor("[2]", "[0,8]"), 4).unwrap_err().contains("cut off"));
        for (shape, offsets) in [
            ("[3]", "[0,8]"),
            ("[2]", "[8,16]"),
            ("[2]", "[8,0]"),
            ("[4611686018427387904,4]", "[0,8]"),
            ("[-2]", "[0,8]"),
        ] {
            assert!(file(&tensor(shape, offsets), 8).is_err(), "{shape} {offsets}");
        }
        assert!(file(&tensor("[2]", "[0,8]").replace("F32", "F8_E4M3"), 8).is_err());
        assert!(read_bytes(&[0xff; 64]).is_err());
    }

    #[test]
    fn no_flipped_bit_of_what_was_written_gives_another_number() {
        let (_folder, path) = write_two(&[("step", "12"), ("sha256", "of another file")]);
        let whole = std::fs::read(&path).unwrap();
        let read = super::super::read(&path).unwrap();
        assert!(SafetensorsFile::open(&path).unwrap().verify().unwrap());
        let mut passed = 0;
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let in_memory = read_bytes(&bytes);
            std::fs::write(&path, &bytes).unwrap();
            let open = SafetensorsFile::open(&path).and_then(|mut file| file.verify());
            assert_eq!(open.is_ok(), in_memory.is_ok(), "{bit}");
            // A flipped bit in the name of the digest leaves a file without one, and nothing else.
            if let Ok(file) = in_memory {
                passed += 1;
                let values = |c: &Checkpoint| -> Vec<u32> {
                    c.tensors.iter().flat_map(|t| &t.data).map(|v| v.to_bits()).collect()
                };
                assert_eq!(values(&file), values(&read), "{bit}");
                assert_eq!(file.meta("step"), Some("12"), "{bit}");
            }
        }
        assert!(passed <= 8 * HEADER_DIGEST.len(), "{passed}");
    }

    #[test]
    fn names_given_twice_and_wrong_shapes_are_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let twice = write_safetensors(&path, &[("a", &[1], &[0.0]), ("a", &[1], &[0.0])], &[]);
        assert!(twice.unwrap_err().to_string().contains("taken"));
        assert!(write_safetensors(&path, &[("a", &[2], &[0.0])], &[]).is_err());
        assert!(write_safetensors(&path, &[("__metadata__", &[1], &[0.0])], &[]).is_err());
        assert!(!path.exists());
    }
}
