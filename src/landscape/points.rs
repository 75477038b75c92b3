//! What is measured at the points of a light grid over the ground of a surface: gradients, curvature. A folder
//! beside the surface's cells has them: `grid.json` says what they are, as a surface's does, and `cells.jsonl`
//! gains a line for each point done.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::store::read_cells;
use super::{Axis, Grid, Header, theta_at};
use crate::disk::{self, JsonFile, JsonlWriter};
use crate::{Error, Result};

const HEADER: JsonFile = JsonFile {
    action: "read what was measured at points of the surface",
    name: "the header",
    remedy: "remove the folder and measure again",
};

/// What is measured at one point.
pub trait PointCell: Copy + Serialize + DeserializeOwned {
    /// The name of the folder, and of what is in it.
    const FOLDER: &'static str;

    /// Row-major index of the point.
    fn k(&self) -> usize;
}

/// A light grid over the same ground as `of`, its points in the middle of `nx` by `ny` tiles: what is drawn
/// there stays inside.
pub fn point_grid(of: &Grid, [nx, ny]: [usize; 2]) -> Grid {
    let inset = |axis: &Axis, n: usize| {
        let half = 0.5 * (axis.max - axis.min) / n as f64;
        Axis { min: axis.min + half, max: axis.max - half, n }
    };
    Grid { x: inset(&of.x, nx), y: inset(&of.y, ny) }
}

/// A folder of what was measured at the points of a light grid over a surface.
#[derive(Debug)]
pub struct PointStore<C> {
    folder: PathBuf,
    /// What it is of, over which grid.
    pub header: Header,
    /// Points by index, `None` where not done.
    pub cells: Vec<Option<C>>,
}

impl<C: PointCell> PointStore<C> {
    /// Where it is, in the folder of the surface.
    fn folder_of(surface: &Path) -> PathBuf {
        surface.join(C::FOLDER)
    }

    /// Opens what was measured of the surface in the folder `surface` to measure `header` there: new, or left
    /// half-way.
    ///
    /// # Errors
    /// [`Error::Landscape`] where something else was measured.
    pub fn begin(surface: &Path, header: Header) -> Result<Self> {
        header.grid.check()?;
        disk::remove_temporaries(&Self::folder_of(surface))?;
        if let Some(old) = Self::open(surface)? {
            if old.header == header {
                return Ok(old);
            }
            let Axis { n: nx, .. } = old.header.grid.x;
            return Err(Error::Landscape {
                what: format!(
                    "{} holds {} at {nx}x{} points of another kind or number",
                    old.folder.display(),
                    C::FOLDER,
                    old.header.grid.y.n
                ),
                remedy: "ask for as many, or remove that folder".into(),
            });
        }
        let folder = Self::folder_of(surface);
        disk::remove_temporaries(&folder)?;
        HEADER.write(&folder.join("grid.json"), &header)?;
        let cells = vec![None; header.grid.len()];
        Ok(Self { folder, header, cells })
    }

    /// Opens what was measured, finished or not; `None` where nothing was.
    ///
    /// # Errors
    /// [`Error::BadFile`] for what is damaged.
    pub fn open(surface: &Path) -> Result<Option<Self>> {
        let folder = Self::folder_of(surface);
        let path = folder.join("grid.json");
        let Some(header) = HEADER.read_if_there::<Header>(&path)? else { return Ok(None) };
        let cells = read_cells(&header.grid, &folder, &HEADER, C::k)?;
        Ok(Some(Self { folder, header, cells }))
    }

    /// Whether this was measured on what the surface with `header` is of: beside a surface that is no longer its
    /// own it says nothing.
    pub fn is_of(&self, header: &Header) -> bool {
        let mut own = Header { grid: header.grid, ..self.header.clone() };
        own.on.precision = header.on.precision;
        own == *header
    }

    /// Indices of the points that are not done, in order.
    pub fn missing(&self) -> Vec<usize> {
        (0..self.cells.len()).filter(|&k| self.cells[k].is_none()).collect()
    }

    /// Measures what is missing on the plane of `origin`, `x` and `y` by `measure`, which gets the index of a
    /// point and its parameters, one point after the other (each works on all threads), and appends it in order.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when `interrupt` was set; those of `measure` and of the disk.
    pub fn fill(
        &mut self,
        [origin, x, y]: [&[f32]; 3],
        mut measure: impl FnMut(usize, &[f32]) -> Result<C>,
        interrupt: &AtomicBool,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<()> {
        let (missing, total) = (self.missing(), self.cells.len());
        let mut done = total - missing.len();
        progress(done, total);
        if missing.is_empty() {
            return Ok(());
        }
        let mut log = JsonlWriter::append(&self.folder.join("cells.jsonl"))?;
        let stopped = |done: usize| Error::Interrupted {
            remedy: format!(
                "{done} of {total} {} are kept: the same command goes on from there",
                C::FOLDER
            ),
        };
        for k in missing {
            if interrupt.load(Ordering::Relaxed) {
                return Err(stopped(done));
            }
            let theta = theta_at(origin, x, y, self.header.grid.point(k));
            let cell = match measure(k, &theta) {
                Err(Error::Interrupted { .. }) => return Err(stopped(done)),
                measured => measured?,
            };
            log.push(&cell)?;
            log.flush()?;
            self.cells[k] = Some(cell);
            done += 1;
            progress(done, total);
        }
        Ok(())
    }
}
