//! A surface on disk: `grid.json` says what it is, `cells.jsonl` gains a line for each cell done,
//! `paths.jsonl` one for each snapshot whose losses are known.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::header::{Cell, GRID, Header, Through, UntilSe};
use super::interpolation::{Interpolated, Interpolation};
use super::{Grid, PathLosses, change, folder};
use crate::disk::{self, JsonFile, JsonlWriter};
use crate::{Error, Result};

/// A surface's folder.
#[derive(Debug)]
pub struct SurfaceStore {
    folder: PathBuf,
    /// What the surface is.
    pub header: Header,
    /// Cells by index, `None` where not evaluated.
    pub cells: Vec<Option<Cell>>,
    /// The losses between evaluated cells, of a surface of which not all are to be evaluated.
    pub interpolation: Option<Interpolation>,
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
            && !change::is_pending(folder)?
            && let Ok(whole) = Self::open(folder)
            && whole.header.has_the_values_of(&header)
            && whole.not_evaluated().is_empty()
            && whole.in_order
        {
            // Nothing is to be written: the folder may be on a medium that cannot be.
            return Ok(whole);
        }
        let lock = folder::lock(folder)?;
        change::finish(folder)?;
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
        let interpolation = None;
        Ok(Self { folder, header, cells, interpolation, in_order: true, _lock: Some(lock) })
    }

    /// Opens a surface that is there, finished or not.
    ///
    /// # Errors
    /// [`Error::NoSurface`] when there is none, [`Error::BadFile`] for one that is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        if let Some((header, cells)) = change::pending(folder)? {
            let (folder, interpolation) = (folder.to_path_buf(), None);
            return Ok(Self { folder, header, cells, interpolation, in_order: true, _lock: None });
        }
        let path = folder.join("grid.json");
        let header: Option<Header> = GRID.read_if_there(&path)?;
        let header = header.ok_or_else(|| Error::NoSurface { folder: folder.to_path_buf() })?;
        let (last, in_order) = (std::cell::Cell::new(0), std::cell::Cell::new(true));
        let cells = read_cells(&header.grid, folder, &GRID, |cell: &Cell| {
            in_order.set(in_order.get() && last.replace(cell.k) <= cell.k);
            cell.k
        })?;
        let interpolation = Interpolation::open(folder, &header.grid)?;
        let (folder, in_order) = (folder.to_path_buf(), in_order.get());
        Ok(Self { folder, header, cells, interpolation, in_order, _lock: None })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Indices of the cells that are neither evaluated nor interpolated, in order.
    pub fn missing(&self) -> Vec<usize> {
        (0..self.cells.len())
            .filter(|&k| self.cells[k].is_none() && self.interpolated(k).is_none())
            .collect()
    }

    /// Indices of the cells that are not evaluated, in order.
    pub fn not_evaluated(&self) -> Vec<usize> {
        (0..self.cells.len()).filter(|&k| self.cells[k].is_none()).collect()
    }

    /// The interpolated value of cell `k`; `None` where it is evaluated, or missing.
    pub fn interpolated(&self, k: usize) -> Option<&Interpolated> {
        self.interpolation.as_ref().filter(|_| self.cells[k].is_none())?.of(k)
    }

    /// How many cells are evaluated, and how many interpolated.
    pub fn counts(&self) -> [usize; 2] {
        let interpolated = (0..self.cells.len()).filter(|&k| self.interpolated(k).is_some());
        [self.cells.iter().flatten().count(), interpolated.count()]
    }

    /// Which cells are interpolated and not evaluated, by their index; `None` where none is.
    pub fn interpolated_mask(&self) -> Option<Vec<bool>> {
        let mask: Vec<bool> =
            (0..self.cells.len()).map(|k| self.interpolated(k).is_some()).collect();
        mask.contains(&true).then_some(mask)
    }

    /// Losses in row-major order, interpolated ones where they are not evaluated; a cell that is missing is
    /// NaN.
    pub fn losses(&self) -> Vec<f64> {
        let interpolated = |k| self.interpolated(k).map_or(f64::NAN, |found| found.loss);
        let of =
            |(k, cell): (usize, &Option<Cell>)| cell.map_or_else(|| interpolated(k), |c| c.loss);
        self.cells.iter().enumerate().map(of).collect()
    }

    /// Makes this the surface of `header` with `cells` in the place of what it is, whole or not at all: a kill
    /// on the way leaves the one or the other.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn become_another(
        &mut self,
        header: Header,
        cells: Vec<Option<Cell>>,
    ) -> Result<()> {
        change::write(&self.folder, &header, &cells)?;
        change::finish(&self.folder)?;
        (self.header, self.cells, self.interpolation, self.in_order) = (header, cells, None, true);
        Ok(())
    }

    /// Notes in the header until when images are added.
    ///
    /// # Errors
    /// [`Error::SurfaceInUse`] when another process writes there, [`Error::Io`].
    pub fn note_until(&mut self, until: UntilSe) -> Result<()> {
        if self.header.until == Some(until) {
            return Ok(());
        }
        let _lock = self.take()?;
        self.header.until = Some(until);
        GRID.write(&self.folder.join("grid.json"), &self.header)
    }

    /// Takes the folder for writing until the store is dropped, where it is not taken yet.
    ///
    /// # Errors
    /// [`Error::SurfaceInUse`] when another process writes there, [`Error::Io`].
    pub(crate) fn take_for_good(&mut self) -> Result<()> {
        if self._lock.is_none() {
            self._lock = Some(folder::lock(&self.folder)?);
        }
        Ok(())
    }

    /// Keeps the folder's lock.
    pub(super) fn hold(&mut self, lock: File) {
        self._lock = Some(lock);
    }

    /// Notes that all cells are evaluated: what was interpolated, and how cells were chosen, is no more.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn drop_interpolation(&mut self) -> Result<()> {
        self.interpolation = None;
        disk::remove_named(&self.folder, &change::OF_PARTS, "remove the interpolation")
    }

    /// The log to append cells to.
    pub(super) fn log(&self) -> Result<JsonlWriter> {
        JsonlWriter::append(&self.folder.join("cells.jsonl"))
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
pub(super) fn difference(old: &Header, new: &Header) -> String {
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
    if (on.sample_order, on.sample_seed) != (wanted.sample_order, wanted.sample_seed) {
        return format!(
            "a surface of images in another order, or drawn with seed {}",
            on.sample_seed
        );
    }
    if on.batch_norm != wanted.batch_norm {
        return "a surface with other statistics of BatchNorm".into();
    }
    if on.precision != wanted.precision {
        return format!(
            "a surface of values in {}, these are in {}",
            on.precision, wanted.precision
        );
    }
    "a surface of other data or another engine".into()
}
