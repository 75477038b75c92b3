//! A stack of surfaces: one plane of coordinates, and a layer for each moment, mini-batch or mask.
//!
//! ```text
//! surfaces/NAME/
//!   stack.json                  what the layers are
//!   layers/NNN/                 each a surface: grid.json, cells.jsonl, paths.jsonl
//! ```
//!
//! A layer is a surface like any other, so a stack resumes as its layers do: a cell absent is a cell
//! not done, in any of them.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{SurfaceStore, folder};
use crate::disk::{self, JsonFile};
use crate::names::named_enum;
use crate::{Error, Result};

named_enum! {
    /// What changes from layer to layer.
    pub enum StackKind("stack") {
        /// The slice: through each snapshot, in the plane's directions.
        Snapshots = "snapshots",
        /// The images: each mini-batch of training, on one plane.
        Batches = "batches",
        /// Dropout's masks, on one plane.
        Dropout = "dropout",
    }
}

const STACK: JsonFile = JsonFile {
    action: "read the stack",
    name: "the stack",
    remedy: "remove the folder and compute the stack again",
};

/// `stack.json`: what the layers are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackAbout {
    /// Version of the run folder's format.
    pub format_version: u32,
    /// What changes from layer to layer.
    pub kind: StackKind,
    /// The run whose network and snapshots the layers have, as the plane names it.
    pub run: String,
    /// What the layers are, in words.
    pub made: String,
    /// Digest of the plane whose directions and coordinates all layers have.
    pub plane_digest: String,
    /// The layers, in order.
    pub layers: Vec<Layer>,
}

/// One layer of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// The snapshot that the film marks: that of the layer, or the last one.
    pub snapshot: usize,
    /// Optimizer steps: of that snapshot, or before the mini-batch was trained on.
    pub step: u64,
    /// The same in epochs.
    pub epoch: f64,
    /// What the layer is, in words: `snapshot 4`, `mini-batch 17`, `mask 2`.
    pub label: String,
}

/// A stack's folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    folder: PathBuf,
    /// What the layers are.
    pub about: StackAbout,
}

impl Stack {
    /// Opens `folder` to evaluate the layers of `about` there: a new folder, or one left half-way
    /// by the same stack. The folder is this process's until the returned lock is dropped.
    ///
    /// # Errors
    /// [`Error::OtherSurface`] when the folder holds something else and `replace` is false; those of
    /// [`SurfaceStore::begin`] for folders of others.
    pub fn begin(folder: &Path, about: StackAbout, replace: bool) -> Result<(Self, File)> {
        folder::check_free(folder)?;
        let lock = folder::lock(folder)?;
        let path = folder.join("stack.json");
        let stack = Self { folder: folder.to_path_buf(), about };
        let is_stack = disk::is_there(&path)?;
        if is_stack || disk::is_there(&folder.join("grid.json"))? {
            if is_stack && !replace && Self::open(folder)? == stack {
                return Ok((stack, lock));
            }
            if !replace {
                let holds = "another surface or stack".into();
                return Err(Error::OtherSurface { folder: folder.to_path_buf(), holds });
            }
        }
        folder::clear(folder)?;
        STACK.write(&path, &stack.about)?;
        Ok((stack, lock))
    }

    /// Opens a stack that is there, finished or not.
    ///
    /// # Errors
    /// [`Error::NoStack`] when there is none, [`Error::BadFile`] for one that is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let about: Option<StackAbout> = STACK.read_if_there(&folder.join("stack.json"))?;
        let about = about.ok_or_else(|| Error::NoStack { folder: folder.to_path_buf() })?;
        Ok(Self { folder: folder.to_path_buf(), about })
    }

    /// The folder of layer `index`.
    pub fn layer_dir(&self, index: usize) -> PathBuf {
        self.folder.join("layers").join(format!("{index:03}"))
    }

    /// All layers, finished or not.
    ///
    /// # Errors
    /// [`Error::NoSurface`] when one is missing, [`Error::BadFile`] for one that is damaged.
    pub fn surfaces(&self) -> Result<Vec<SurfaceStore>> {
        (0..self.about.layers.len()).map(|i| SurfaceStore::open(&self.layer_dir(i))).collect()
    }
}
