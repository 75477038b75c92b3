//! A surface on disk: `grid.json` says what it is, `cells.jsonl` gains a line for each cell done,
//! `path.json` has the losses at the snapshots.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Grid;
use crate::backend::Precision;
use crate::disk::{self, JsonlWriter};
use crate::objective::Evaluation;
use crate::{Error, Result};

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
    /// The data set.
    pub dataset: String,
    /// Digest of the data set.
    pub data_digest: String,
    /// `train` or `test`.
    pub split: String,
    /// Images each cell is evaluated on.
    pub samples: usize,
    /// How they were chosen.
    pub sample_order: String,
    /// Seed of that choice.
    pub sample_seed: u64,
    /// What BatchNorm's running statistics do over the plane: always `frozen`, those of the origin.
    pub batch_norm: String,
    /// The engine.
    pub backend: String,
    /// The numbers that it multiplies for losses (gradients are in f32 always); f32 in the headers of
    /// older versions, which had nothing else.
    #[serde(default)]
    pub precision: Precision,
}

impl Header {
    /// What each value rests on, in words: "1000 cifar10 images", and the precision where it is not
    /// f32. `things` are images or points.
    pub fn sample_words(&self, things: &str) -> String {
        let precision = match self.precision {
            Precision::F32 => String::new(),
            narrow => format!(" in {narrow}"),
        };
        format!("{} {} {things}{precision}", self.samples, self.dataset)
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

/// Losses at one snapshot, on the surface's sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PathLoss {
    /// The snapshot's number.
    pub snapshot: usize,
    /// Loss of the snapshot itself, with its own buffers.
    #[serde(with = "crate::disk::float")]
    pub true_loss: f64,
    /// Loss of its shadow on the plane, with the origin's buffers: what the surface shows there.
    #[serde(with = "crate::disk::float")]
    pub plane_loss: f64,
}

/// A surface's folder.
#[derive(Debug)]
pub struct SurfaceStore {
    folder: PathBuf,
    /// What the surface is.
    pub header: Header,
    /// Cells by index, `None` where not done.
    pub cells: Vec<Option<Cell>>,
}

impl SurfaceStore {
    /// Opens `folder` to evaluate `header` there: a new folder, or one left half-way by the same
    /// header.
    ///
    /// # Errors
    /// [`Error::Landscape`] when the folder holds another surface and `replace` is false.
    pub fn begin(folder: &Path, header: Header, replace: bool) -> Result<Self> {
        let path = folder.join("grid.json");
        if folder.join("stack.json").exists() && !replace {
            return Err(Error::Landscape {
                what: format!("{} holds a stack of surfaces", folder.display()),
                remedy: "choose another --name, or replace it with --force".into(),
            });
        }
        if path.exists() || folder.join("stack.json").exists() {
            if replace {
                fs::remove_dir_all(folder).map_err(Error::io("remove the old surface", folder))?;
            } else {
                let old = Self::open(folder)?;
                if old.header == header {
                    return Ok(old);
                }
                return Err(Error::Landscape {
                    what: format!(
                        "{} holds a surface of {}",
                        folder.display(),
                        difference(&old.header, &header)
                    ),
                    remedy: "choose another --name, or replace it with --force".into(),
                });
            }
        }
        let mut text = serde_json::to_string_pretty(&header).expect("a header is plain data");
        text.push('\n');
        disk::write_bytes(&path, text.as_bytes())?;
        let cells = vec![None; header.grid.len()];
        Ok(Self { folder: folder.to_path_buf(), header, cells })
    }

    /// Opens a surface that is there, finished or not.
    ///
    /// # Errors
    /// [`Error::Landscape`] when there is none, [`Error::BadFile`] for one that is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("grid.json");
        let text = fs::read_to_string(&path).map_err(|_| Error::Landscape {
            what: format!("there is no surface in {}", folder.display()),
            remedy: "compute it first: lossreel surface RUN".into(),
        })?;
        let bad = |what: String| Error::BadFile {
            what,
            remedy: "remove the folder and compute the surface again".into(),
            path: path.clone(),
        };
        let header: Header = serde_json::from_str(&text)
            .map_err(|e| bad(format!("the header does not parse ({e})")))?;
        let mut cells = vec![None; header.grid.len()];
        for cell in disk::read_jsonl::<Cell>(&folder.join("cells.jsonl"))?.lines {
            let slot = cells
                .get_mut(cell.k)
                .ok_or_else(|| bad(format!("cell {} is not on the grid", cell.k)))?;
            *slot = Some(cell);
        }
        Ok(Self { folder: folder.to_path_buf(), header, cells })
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

    /// Writes the losses at the snapshots.
    pub fn write_path(&self, path: &[PathLoss]) -> Result<()> {
        let mut text = serde_json::to_string_pretty(path).expect("losses are plain data");
        text.push('\n');
        disk::write_bytes(&self.folder.join("path.json"), text.as_bytes())
    }

    /// Reads the losses at the snapshots; `None` when they were not computed.
    pub fn read_path(&self) -> Result<Option<Vec<PathLoss>>> {
        let path = self.folder.join("path.json");
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read the path's losses", &path))?;
        let parsed = serde_json::from_str(&text);
        parsed.map(Some).map_err(|e| Error::BadFile {
            what: format!("the path's losses do not parse ({e})"),
            remedy: "remove the file and run `lossreel surface` again".into(),
            path,
        })
    }
}

/// The first thing in which two headers differ, for a message.
fn difference(old: &Header, new: &Header) -> String {
    if old.grid != new.grid {
        return format!("{}x{} cells over another range or size", old.grid.x.n, old.grid.y.n);
    }
    if old.plane_digest != new.plane_digest {
        return "another plane".into();
    }
    if (&old.split, old.samples) != (&new.split, new.samples) {
        return format!("{} {} images", old.samples, old.split);
    }
    if old.precision != new.precision {
        return format!("values in {}, these are in {}", old.precision, new.precision);
    }
    "other data or another engine".into()
}
