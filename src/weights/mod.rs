//! Weight files: reading those of other tools, and writing files that other tools read.
//!
//! [`read`] takes a PyTorch checkpoint (the zip archive of today or the legacy pickle of `.t7` and
//! `.th` files) or a safetensors file, distinguished by content, and gives its tensors as `f32`
//! with the names the file has. [`assign`] fits them to the entries a network wants, over the
//! differences in naming that [`names`] knows. [`hdf5`] reads and writes the direction and surface
//! files of Li et al.'s code, and [`safetensors`] writes what `safetensors.torch.load_file` reads.
//!
//! A checkpoint is a file of unknown origin: nothing in it is executed, every size in it is checked
//! against the bytes that are there, and a hostile or damaged one is an error.

use std::path::Path;

use crate::disk;
use crate::error::{Error, Result};
use crate::memory;

mod assign;
pub mod hdf5;
pub mod names;
pub mod safetensors;
mod state_dict;
mod torch;

#[cfg(test)]
mod tests;

pub use crate::element::StoredAs;
pub use assign::assign;
pub use safetensors::{
    SafetensorsFile, export_safetensors, write_safetensors, write_safetensors_as,
};

/// A tensor with its name: row-major (C order) data of the given shape.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The name, as the file has it unless stated otherwise.
    pub name: String,
    /// The dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, `shape.iter().product()` of them. Other types are converted to `f32`.
    pub data: Vec<f32>,
}

/// What kind of file a [`Checkpoint`] was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointFormat {
    /// `torch.save` since PyTorch 1.6: a zip archive.
    TorchZip,
    /// `torch.save` before PyTorch 1.6: a sequence of pickles, then raw storages.
    TorchLegacy,
    /// safetensors.
    Safetensors,
}

/// The weights of one network, as read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The tensors in the file's order, parameters and buffers alike, under the file's names.
    pub tensors: Vec<NamedTensor>,
    /// Scalars beside the tensors (`epoch`, `acc`, `best_prec1`), nested ones as `outer.inner`;
    /// floats in their shortest exact decimal form.
    pub metadata: Vec<(String, String)>,
    /// Python objects in the file that are not understood here and were left out, by class or
    /// function name, sorted. None of them was executed. Empty for most files.
    pub ignored: Vec<String>,
    /// The kind of file.
    pub format: CheckpointFormat,
}

impl Checkpoint {
    /// The value of a metadata key, if the file has it.
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// Reads the checkpoint at `path`, whatever its extension says.
///
/// Memory: the file, its tensors as `f32`, and the few objects that name them.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::BadFile`] when it is of no known kind,
/// truncated, corrupt or hostile, or holds no state dict.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    let bytes = disk::read_named(path, "read the weights", memory::most_bytes())?;
    read_bytes(&bytes, path)
}

/// [`read`] on bytes in memory; `path` is for messages.
fn read_bytes(bytes: &[u8], path: &Path) -> Result<Checkpoint> {
    let kind = FileKind::sniff(bytes);
    let parsed = match kind {
        FileKind::TorchZip => torch::read_zip(bytes),
        FileKind::TorchLegacy => torch::read_legacy(bytes),
        FileKind::Safetensors => safetensors::read_bytes(bytes),
        FileKind::Other(what) => Err(what.to_string()),
    };
    parsed.map_err(|problem| bad_file(path, problem, kind.remedy()))
}

/// What a file seems to be, from its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    TorchZip,
    TorchLegacy,
    Safetensors,
    /// Nothing we read, and what it looks like instead.
    Other(&'static str),
}

impl FileKind {
    fn sniff(bytes: &[u8]) -> FileKind {
        // A safetensors header is JSON after its length, which is below 10^8: eight bytes of which
        // the upper four are zero.
        if bytes.len() > 8 && bytes[4..9] == *b"\0\0\0\0{" {
            return FileKind::Safetensors;
        }
        match bytes {
            [] => FileKind::Other("the file is empty"),
            [b'P', b'K', 3 | 5, 4 | 6, ..] => FileKind::TorchZip,
            [0x80, 0..=5, ..] => FileKind::TorchLegacy,
            [0x89, b'H', b'D', b'F', ..] => {
                FileKind::Other("it is an HDF5 file (a direction or a surface?), not weights")
            }
            [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', b'h', b't', b't', b'p', ..] => {
                FileKind::Other("it is a Git LFS pointer, not the weights file itself")
            }
            [b'<', ..] => FileKind::Other("it is a web page, not weights"),
            [0x1f, 0x8b, ..] => FileKind::Other("it is compressed with gzip"),
            _ if bytes.get(257..262) == Some(b"ustar") => FileKind::Other(
                "it is a tar archive, as torch.save wrote before PyTorch 0.1.10, which is not \
                 supported",
            ),
            _ => FileKind::Other("it is no weights file of a known kind"),
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            FileKind::TorchZip | FileKind::TorchLegacy => {
                "if the file may be damaged, copy or download it again; else save the state dict \
                 anew with `torch.save(model.state_dict(), path)` or as safetensors"
            }
            FileKind::Safetensors => "copy or download it again, or write it anew",
            FileKind::Other(_) => {
                "give a file of `torch.save(model.state_dict(), path)` or a safetensors file"
            }
        }
    }
}

fn bad_file(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::BadFile { what: what.into(), remedy: remedy.into(), path: path.to_path_buf() }
}
