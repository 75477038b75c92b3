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
use kind::FileKind;
use problem::Problem;

mod assign;
mod entries;
mod find;
mod fit;
mod folder;
pub mod hdf5;
mod hints;
mod kind;
mod left;
pub(crate) mod mesh;
pub mod names;
pub(crate) mod npz;
mod problem;
mod recombine;
pub mod safetensors;
mod state_dict;
pub(crate) mod table;
pub(crate) mod tensorboard;
mod torch;

#[cfg(test)]
mod tests;

pub use crate::element::StoredAs;
pub use assign::{Fitted, assign};
pub use entries::Normaliser;
pub use folder::{is_folder_of_weights, is_one_file};
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
    /// Where in the file the tensors are: the keys that lead to them, joined by dots. Empty where the file
    /// itself is the state dict.
    pub key: String,
    /// The other state dicts in the file, such as an average of the weights: key, and number of tensors.
    pub others: Vec<(String, usize)>,
    /// Tensors that cannot be read (quantised, sparse, complex): name, and what they are.
    pub unreadable: Vec<(String, String)>,
    /// Tensors that were made of several of the file's (pruned, weight-normed): name, and of what.
    pub recombined: Vec<(String, &'static str)>,
}

impl Checkpoint {
    /// The value of a metadata key, if the file has it.
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// Reads the checkpoint at `path`, whatever its extension says: the state dict under one of the usual keys,
/// or the only one there is. A folder is looked into for the one file of weights that is in it.
///
/// Memory: the file, its tensors as `f32`, and the few objects that name them.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::BadFile`] when it is of no known kind,
/// truncated, corrupt or hostile, or holds no state dict, or several that none is the usual one of.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    read_key(path, None)
}

/// [`read`], where `key` chooses among several state dicts (`model_ema`, `run.model`), or among several
/// networks in one: of the tensors those whose names begin with it.
///
/// # Errors
/// As [`read`], and [`Error::BadFile`] for a key that the file has not.
pub fn read_key(path: impl AsRef<Path>, key: Option<&str>) -> Result<Checkpoint> {
    let path = folder::file_in(path.as_ref())?;
    let bytes = disk::read_named(&path, "read the weights", memory::most_bytes())?;
    read_bytes(&bytes, key, &path)
}

/// [`read_key`] on bytes in memory; `path` is for messages.
fn read_bytes(bytes: &[u8], key: Option<&str>, path: &Path) -> Result<Checkpoint> {
    let kind = FileKind::sniff(bytes);
    let parsed = match kind {
        FileKind::TorchZip => torch::read_zip(bytes, key),
        FileKind::TorchLegacy => torch::read_legacy(bytes, key),
        FileKind::Safetensors => safetensors::read_bytes(bytes).map_err(Problem::from),
        FileKind::Other(what) => Err(what.into()),
    };
    let parsed = parsed.and_then(|checkpoint| checkpoint.under(key));
    let checkpoint = parsed.map_err(|Problem { what, remedy }| {
        bad_file(path, what, remedy.unwrap_or_else(|| kind.remedy().into()))
    })?;
    Ok(recombine::recombine(checkpoint))
}

impl Checkpoint {
    /// What `key` chooses, where the state dict was not found under it: the tensors whose names begin
    /// with it.
    fn under(mut self, key: Option<&str>) -> std::result::Result<Self, Problem> {
        let Some(key) = key else { return Ok(self) };
        if self.key == key || self.key.rsplit('.').next() == Some(key) {
            return Ok(self);
        }
        let prefix = format!("{key}.");
        if !self.tensors.iter().any(|t| t.name.starts_with(&prefix)) {
            let keys = self.others.iter().map(|(key, _)| key.as_str());
            let keys: Vec<&str> =
                keys.chain([self.key.as_str()]).filter(|k| !k.is_empty()).collect();
            let known = match keys[..] {
                [] => "its names begin with no such part".into(),
                _ => format!("it has tensors under {}", keys.join(", ")),
            };
            return Err(Problem {
                what: format!("it has no tensors under the key {key}"),
                remedy: Some(format!("{known}; `lossreel inspect` lists what it holds")),
            });
        }
        // Beside the network's the pixel statistics, wherever the normalising layer is.
        let is_statistic = |name: &str| entries::statistic_of(name).is_some();
        self.tensors.retain(|t| t.name.starts_with(&prefix) || is_statistic(&t.name));
        for tensor in self.tensors.iter_mut().filter(|t| t.name.starts_with(&prefix)) {
            tensor.name.drain(..prefix.len());
        }
        self.unreadable.retain(|(name, _)| name.starts_with(&prefix));
        for (name, _) in &mut self.unreadable {
            name.drain(..prefix.len());
        }
        self.key = key.into();
        Ok(self)
    }
}

fn bad_file(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::BadFile { what: what.into(), remedy: remedy.into(), path: path.to_path_buf() }
}
