//! NumPy's archives: a zip of `.npy` arrays, which `numpy.load` reads.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::{Error, Result};

/// An array of doubles in C order.
pub(crate) struct Array {
    /// Its key in the archive.
    pub(crate) name: String,
    /// Its dimensions.
    pub(crate) shape: Vec<usize>,
    /// Its values, as many as the shape says.
    pub(crate) values: Vec<f64>,
}

impl Array {
    pub(crate) fn new(name: &str, shape: &[usize], values: Vec<f64>) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), values }
    }

    /// The array as an `.npy` file, version 1.0.
    fn npy(&self) -> Vec<u8> {
        let dims: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        // A tuple of one has a comma.
        let comma = if dims.len() == 1 { "," } else { "" };
        let shape = format!("({}{comma})", dims.join(", "));
        let mut head = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        // Magic, version and length take ten bytes; the whole is a multiple of 64 and ends a line.
        let padding = (64 - (10 + head.len() + 1) % 64) % 64;
        head.push_str(&" ".repeat(padding));
        head.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((head.len() as u16).to_le_bytes());
        bytes.extend(head.as_bytes());
        bytes.extend(self.values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }
}

/// The archive of `arrays`.
///
/// # Errors
/// [`Error::Data`] where the library refuses it.
pub(crate) fn archive(arrays: &[Array]) -> Result<Vec<u8>> {
    let attempt = || -> std::result::Result<Vec<u8>, zip::result::ZipError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for array in arrays {
            zip.start_file(format!("{}.npy", array.name), options)?;
            zip.write_all(&array.npy())?;
        }
        Ok(zip.finish()?.into_inner())
    };
    attempt().map_err(|e| Error::Data {
        what: format!("the archive cannot be made ({e})"),
        remedy: "export to csv".into(),
    })
}
