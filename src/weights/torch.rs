//! The files of `torch.save`: the zip archive and the sequence of pickles before it.
//!
//! Either way a pickle describes tensors as windows on storages by key. What differs is where the
//! raw storages lie: as `NAME/data/KEY` in the archive, or one after the other at the end of a
//! legacy file, in an order that a second pickle lists.

use std::collections::HashMap;
use std::io::Cursor;

use flate2::Crc;
use zip::{CompressionMethod, ZipArchive};

use super::problem::Problem;
use super::state_dict::{self, Storages};
use super::{Checkpoint, CheckpointFormat};
use crate::element::{ByteOrder, Element};
use crate::pickle::{Node, Parsed, Pickle};

/// The first object of a legacy file.
const LEGACY_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const LEGACY_PROTOCOL: i128 = 1001;

/// Reads a zip archive: the state dict under `key`, where one is given.
pub(super) fn read_zip(bytes: &[u8], key: Option<&str>) -> Result<Checkpoint, Problem> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|e| format!("its zip directory cannot be read ({e})"))?;
    let names: Vec<String> =
        archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let root = names
        .iter()
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .find(|root| root.is_empty() || root.ends_with('/'))
        .ok_or_else(|| other_archive(&names))?
        .to_string();
    if names.iter().any(|name| *name == format!("{root}constants.pkl")) {
        return Err(Problem {
            what: "it is a TorchScript program, not a state dict".into(),
            remedy: Some(
                "`torch.save(torch.jit.load(path).state_dict(), \"weights.pth\")` takes its weights out"
                    .into(),
            ),
        });
    }

    let order = match archive.index_for_name(&format!("{root}byteorder")) {
        None => ByteOrder::Little, // files before PyTorch 2.1
        Some(index) => match entry(&mut archive, bytes, index)? {
            b"little" => ByteOrder::Little,
            b"big" => ByteOrder::Big,
            _ => return Err("its byte order is neither little nor big".into()),
        },
    };
    let index = archive.index_for_name(&format!("{root}data.pkl")).unwrap_or_default();
    let pickle = Pickle::parse(entry(&mut archive, bytes, index)?)?;

    let mut by_key = HashMap::new();
    let mut total = 0;
    for key in storage_keys(&pickle)?.keys() {
        let index = archive
            .index_for_name(&format!("{root}data/{key}"))
            .ok_or_else(|| format!("its storage data/{key} is missing"))?;
        let storage = entry(&mut archive, bytes, index)?;
        // Entries that share bytes could make a small file cost any amount of work.
        total += storage.len();
        if total > bytes.len() {
            return Err("its zip entries overlap".into());
        }
        by_key.insert(key.to_string(), storage);
    }
    state_dict::extract(
        &pickle,
        &Storages { order, by_key },
        bytes.len(),
        CheckpointFormat::TorchZip,
        key,
    )
}

/// What a zip archive that torch.save did not write is.
fn other_archive(names: &[String]) -> Problem {
    let has = |name: &str| names.iter().any(|known| known == name);
    if has("config.json") && has("model.weights.h5") {
        return Problem {
            what: "it is a Keras model, and weights of Keras are not read".into(),
            remedy: Some("give the weights of a PyTorch model, or a safetensors file".into()),
        };
    }
    let inner: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| [".pth", ".pt", ".safetensors"].iter().any(|end| name.ends_with(end)))
        .take(3)
        .collect();
    if inner.is_empty() {
        return "it is a zip archive, but not one of torch.save: there is no data.pkl in it".into();
    }
    Problem {
        what: format!("it is a zip archive with files of weights in it: {}", inner.join(", ")),
        remedy: Some("unpack it, and give one of them".into()),
    }
}

/// The bytes of a stored entry, its checksum verified.
fn entry<'a>(
    archive: &mut ZipArchive<Cursor<&'a [u8]>>,
    bytes: &'a [u8],
    index: usize,
) -> Parsed<&'a [u8]> {
    let file =
        archive.by_index_raw(index).map_err(|e| format!("a zip entry cannot be read ({e})"))?;
    let name = String::from_utf8_lossy(file.name_raw()).into_owned();
    if file.compression() != CompressionMethod::Stored || file.encrypted() {
        return Err(format!(
            "its entry {name} is compressed or encrypted, as torch.save never does"
        ));
    }
    let start = file.data_start().and_then(|start| usize::try_from(start).ok());
    let len = usize::try_from(file.size()).ok();
    let content = start
        .zip(len)
        .and_then(|(start, len)| bytes.get(start..start.checked_add(len)?))
        .ok_or_else(|| format!("its entry {name} is cut off"))?;
    let mut crc = Crc::new();
    crc.update(content);
    // torch.serialization.set_crc32_options(False) writes 0 for "not computed".
    if file.crc32() != 0 && crc.sum() != file.crc32() {
        return Err(format!("its entry {name} does not match its checksum"));
    }
    Ok(content)
}

/// Reads a legacy file: pickles of a magic number, a version, facts about the writer's machine,
/// the object, and the storage keys; then for each key its count (u64) and raw little-endian data. `key`
/// as for [`read_zip`].
pub(super) fn read_legacy(bytes: &[u8], key: Option<&str>) -> Result<Checkpoint, Problem> {
    let mut rest = bytes;
    let mut next = || {
        let pickle = Pickle::parse(rest)?;
        rest = &rest[pickle.len..];
        Parsed::Ok(pickle)
    };
    let is_int = |pickle: &Pickle, wanted: i128| matches!(pickle.node(pickle.root), Node::Int(v) if *v == wanted);

    if !is_int(&next()?, LEGACY_MAGIC) {
        return Err("it is a Python pickle, but not one of torch.save".into());
    }
    if !is_int(&next()?, LEGACY_PROTOCOL) {
        return Err("it is of an unknown version of torch's legacy format".into());
    }
    next()?; // the writer's type sizes and byte order: the storages are little-endian regardless
    let pickle = next()?;
    let order = next()?;
    let Node::List(order_ids) = order.node(order.root) else {
        return Err("its list of storages is no list".into());
    };

    let stored = storage_keys(&pickle)?;
    let mut by_key = HashMap::new();
    for &id in order_ids {
        let Node::Str(key) = order.node(id) else {
            return Err("its list of storages has a key that is no string".into());
        };
        let &(element, numel) =
            stored.get(&**key).ok_or_else(|| format!("its storage {key} belongs to no tensor"))?;
        let (head, tail) =
            rest.split_first_chunk::<8>().ok_or_else(|| format!("its storage {key} is missing"))?;
        if u64::from_le_bytes(*head) != numel as u64 {
            let what = format!("its storage {key} has another length than its tensors say");
            return Err(what.into());
        }
        if element.size() == 0 {
            let what = format!("its storage {key} is of a type that is not known");
            return Err(what.into());
        }
        let len = numel * element.size(); // below 2^51: an index is below 2^48
        if len > tail.len() {
            let left = tail.len();
            let what = format!("its storage {key} is cut off: {len} bytes wanted, {left} left");
            return Err(what.into());
        }
        let (data, after) = tail.split_at(len);
        by_key.insert(key.to_string(), data);
        rest = after;
    }
    let storages = Storages { order: ByteOrder::Little, by_key };
    state_dict::extract(&pickle, &storages, bytes.len(), CheckpointFormat::TorchLegacy, key)
}

/// Every storage that the pickle names, with its type and length, which must be the same wherever
/// it is named.
fn storage_keys(pickle: &Pickle) -> Parsed<HashMap<&str, (Element, usize)>> {
    let mut keys = HashMap::new();
    for node in pickle.nodes() {
        let Node::Storage(storage) = node else { continue };
        let this = (storage.element, storage.numel);
        if *keys.entry(&*storage.key).or_insert(this) != this {
            return Err(format!("its storage {} has two types or lengths", storage.key));
        }
    }
    Ok(keys)
}
