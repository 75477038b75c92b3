//! safetensors: our own files, readable by `safetensors.torch.load_file`.

use std::fs::File;
use std::path::Path;

use super::{NamedTensor, bad_file};
use crate::error::Result;

/// Writes `tensors` (name, shape, row-major data) and `metadata` as safetensors, atomically: to a
/// sibling temporary file, then fsync, rename, fsync of the folder. The bytes depend on the
/// arguments only: tensors stay in the order given, metadata keys are sorted.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io); [`Error::BadValue`](crate::Error::BadValue) for a name given
/// twice, or data that are not of the given shape.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &[(&str, &[usize], &[f32])],
    metadata: &[(String, String)],
) -> Result<()> {
    let _ = (tensors, metadata);
    Err(bad_file(path.as_ref(), "unknown", "unknown"))
}

/// An open safetensors file whose tensors are read one at a time: only its header is in memory.
#[derive(Debug)]
pub struct SafetensorsFile {
    file: File,
}

impl SafetensorsFile {
    /// Opens `path` and checks its header against the file's length.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), or [`Error::BadFile`](crate::Error::BadFile) when the file
    /// is not safetensors, or truncated.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Err(bad_file(path.as_ref(), "unknown", "unknown"))
    }

    /// The names of the tensors, in the order of their data.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let _ = (name, &self.file);
        None
    }

    /// The metadata, sorted by key.
    pub fn metadata(&self) -> &[(String, String)] {
        &[]
    }

    /// The value of a metadata key.
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.metadata().iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Reads one tensor, converted to `f32`.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), or [`Error::BadFile`](crate::Error::BadFile) when there is
    /// no tensor of that name.
    pub fn read(&mut self, name: &str) -> Result<NamedTensor> {
        let _ = name;
        unreachable!("commit of signatures")
    }

    /// Reads one tensor into `out`, which has its number of elements.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Error::BadValue`](crate::Error::BadValue) when `out` is of
    /// another length.
    pub fn read_into(&mut self, name: &str, out: &mut [f32]) -> Result<()> {
        let _ = (name, out);
        Ok(())
    }
}
