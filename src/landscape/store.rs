//! A surface on disk: `grid.json` says what it is, `cells.jsonl` gains a line for each cell done,
//! `paths.jsonl` one for each snapshot whose losses are known.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Grid, PathLosses, folder};
use crate::disk::{self, JsonFile, JsonlWriter};
use crate::objective::Evaluation;
use crate::record::EvaluatedOn;
use crate::{Error, Result};

const GRID: JsonFile = JsonFile {
    action: "read the surface",
    name: "the header",
    remedy: "remove the folder and compute the surface again",
};

/// `grid.json`: everything a cell's value depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the run folder's format.
    pub format_version: u32,
    /// Columns and rows.
    pub grid: Grid,
    /// Digest of the plane's vectors.
    pub plane_digest: String,
    /// The plane in words.
    pub plane: String,
    /// Through which snapshot of a run a curve goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
    /// The images and what else each value rests on.
    #[serde(flatten)]
    pub on: EvaluatedOn,
}

/// A snapshot through which a curve goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// Its number.
    pub snapshot: usize,
    /// Optimizer steps made.
    pub step: u64,
    /// Whether it was meant as the run's last state, and not by its number: then a run that goes on
    /// leaves the curve behind.
    pub last: bool,
}

impl Header {
    /// Whether cells of `other` have the values that cells of this have. The digest of the plane's
    /// vectors says where a curve goes through; how that point was named does not count.
    fn has_the_values_of(&self, other: &Self) -> bool {
        *self == Self { through: self.through, ..other.clone() }
    }
}

/// One cell's value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Row-major index.
    pub k: usize,
    /// Mean loss; NaN and infinities are written as strings and read as such.
    #[serde(with = "crate::disk::float")]
    pub loss: f64,
    /// Standard error of that mean.
    #[serde(with = "crate::disk::float")]
    pub loss_se: f64,
    /// Right answers.
    pub correct: usize,
}

impl Cell {
    pub(super) fn new(k: usize, value: Evaluation) -> Self {
        Self { k, loss: value.loss, loss_se: value.loss_se, correct: value.correct }
    }
}

/// A surface's folder.
#[derive(Debug)]
pub struct SurfaceStore {
    folder: PathBuf,
    /// What the surface is.
    pub header: Header,
    /// Cells by index, `None` where not done.
    pub cells: Vec<Option<Cell>>,
    /// Whether the log has the cells in the order of their indices. Several ranks write them in any, and
    /// the last of them puts the log in order.
    in_order: bool,
    /// Held by whoever writes.
    _lock: Option<File>,
}

impl SurfaceStore {
    /// Opens `folder` to evaluate `header` there: a new folder, or one left half-way by the same
    /// header. The folder is this process's until the store is dropped. What is replaced is removed by
    /// name; files of others stay.
    ///
    /// # Errors
    /// [`Error::OtherSurface`] when the folder holds another surface and `replace` is false,
    /// [`Error::FolderInUse`] when it holds other files and no surface, [`Error::SurfaceInUse`] when
    /// another process writes there.
    pub fn begin(folder: &Path, header: Header, replace: bool) -> Result<Self> {
        header.grid.check()?;
        folder::check_free(folder)?;
        if !replace
            && let Ok(whole) = Self::open(folder)
            && whole.header.has_the_values_of(&header)
            && whole.missing().is_empty()
            && whole.in_order
        {
            // Nothing is to be written: the folder may be on a medium that cannot be.
            return Ok(whole);
        }
        let lock = folder::lock(folder)?;
        let path = folder.join("grid.json");
        if disk::is_there(&folder.join("stack.json"))? && !replace {
            let holds = "a stack of surfaces".into();
            return Err(Error::OtherSurface { folder: folder.to_path_buf(), holds });
        }
        if disk::is_there(&path)? && !replace {
            let mut old = Self::open(folder)?;
            if old.header.has_the_values_of(&header) {
                old._lock = Some(lock);
                return Ok(old);
            }
            let holds = difference(&old.header, &header);
            return Err(Error::OtherSurface { folder: folder.to_path_buf(), holds });
        }
        // Cells without a header belong to a surface whose replacement was cut short.
        folder::clear(folder)?;
        GRID.write(&path, &header)?;
        let cells = vec![None; header.grid.len()];
        let folder = folder.to_path_buf();
        Ok(Self { folder, header, cells, in_order: true, _lock: Some(lock) })
    }

    /// Opens a surface that is there, finished or not.
    ///
    /// # Errors
    /// [`Error::NoSurface`] when there is none, [`Error::BadFile`] for one that is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("grid.json");
        let header: Option<Header> = GRID.read_if_there(&path)?;
        let header = header.ok_or_else(|| Error::NoSurface { folder: folder.to_path_buf() })?;
        let (last, in_order) = (std::cell::Cell::new(0), std::cell::Cell::new(true));
        let cells = read_cells(&header.grid, folder, &GRID, |cell: &Cell| {
            in_order.set(in_order.get() && last.replace(cell.k) <= cell.k);
            cell.k
        })?;
        let (folder, in_order) = (folder.to_path_buf(), in_order.get());
        Ok(Self { folder, header, cells, in_order, _lock: None })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Indices of the cells that are not done, in order.
    pub fn missing(&self) -> Vec<usize> {
        (0..self.cells.len()).filter(|&k| self.cells[k].is_none()).collect()
    }

    /// Losses in row-major order; a cell that is not done is NaN.
    pub fn losses(&self) -> Vec<f64> {
        self.cells.iter().map(|c| c.map_or(f64::NAN, |c| c.loss)).collect()
    }

    /// The log to append cells to.
    pub(super) fn log(&self) -> Result<JsonlWriter> {
        JsonlWriter::append(&self.folder.join("cells.jsonl"))
    }

    /// Whether the log has the cells in the order of their indices, as far as it was read.
    pub(super) fn is_in_order(&self) -> bool {
        self.in_order
    }

    /// Notes that cells were appended in another order than that of their indices.
    pub(super) fn written_in_any_order(&mut self) {
        self.in_order = false;
    }

    /// Puts the finished log into the order of the cells' indices, unless it is in it: one file in the
    /// place of the other, so that a kill leaves either.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn put_in_order(&mut self) -> Result<()> {
        if self.in_order {
            return Ok(());
        }
        let lines = self.cells.iter().flatten().flat_map(disk::jsonl_line).collect::<Vec<u8>>();
        disk::write_bytes(&self.folder.join("cells.jsonl"), &lines)?;
        self.in_order = true;
        Ok(())
    }

    /// Takes the folder for writing beside the cells, where this store does not have it already.
    ///
    /// # Errors
    /// [`Error::SurfaceInUse`] when another process writes there, [`Error::Io`].
    pub(crate) fn take(&self) -> Result<Option<File>> {
        if self._lock.is_some() { Ok(None) } else { folder::lock(&self.folder).map(Some) }
    }

    /// The losses at the snapshots that are done.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a damaged log.
    pub fn path_losses(&self) -> Result<PathLosses> {
        PathLosses::open(&self.folder)
    }
}

/// Bytes that no line of a cell comes near.
const LONGEST_CELL: u64 = 512;

/// The cells in the log of `folder` by their index, which `k` gives; `file` has the words for what is
/// wrong with them.
///
/// # Errors
/// [`Error::BadFile`] for a damaged log, one that is longer than its grid can have, and for a cell that
/// is not on the grid; those of checking the grid.
pub(super) fn read_cells<T: Clone + DeserializeOwned>(
    grid: &Grid,
    folder: &Path,
    file: &JsonFile,
    k: impl Fn(&T) -> usize,
) -> Result<Vec<Option<T>>> {
    grid.check()?;
    let path = folder.join("cells.jsonl");
    let mut cells = vec![None; grid.len()];
    let most = LONGEST_CELL.saturating_mul(grid.len() as u64);
    for cell in disk::read_jsonl_within::<T>(&path, most)?.lines {
        let slot = cells
            .get_mut(k(&cell))
            .ok_or_else(|| file.bad(format!("cell {} is not on the grid", k(&cell)), &path))?;
        *slot = Some(cell);
    }
    Ok(cells)
}

/// The first thing in which two headers differ, for a message.
fn difference(old: &Header, new: &Header) -> String {
    if let (Some(old), Some(new)) = (old.through, new.through)
        && (old.snapshot, old.step) != (new.snapshot, new.step)
    {
        let at = |t: Through| format!("snapshot {} (step {})", t.snapshot, t.step);
        return format!("a curve through {}, this one goes through {}", at(old), at(new));
    }
    if old.plane_digest != new.plane_digest {
        return "a surface of another plane".into();
    }
    if old.grid != new.grid {
        return format!(
            "a surface of {}x{} cells over another range or size",
            old.grid.x.n, old.grid.y.n
        );
    }
    let (on, wanted) = (&old.on, &new.on);
    if (on.split, on.samples) != (wanted.split, wanted.samples) {
        return format!("a surface of {} {} images", on.samples, on.split);
    }
    if on.precision != wanted.precision {
        return format!(
            "a surface of values in {}, these are in {}",
            on.precision, wanted.precision
        );
    }
    "a surface of other data or another engine".into()
}
