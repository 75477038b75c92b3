//! One surface in the place of another, in its own folder: over more images, or over a grid that contains the
//! old one. Both the header and the cells change, which are two files; so what the surface is to become is
//! written to a third one first, `change.json`. From then on that file is the surface, and whoever next writes
//! in the folder puts it in place.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::header::{Cell, GRID, Header};
use crate::Result;
use crate::disk::{self, JsonFile};

const CHANGE: JsonFile = JsonFile {
    action: "read what the surface is to become",
    name: "the change",
    remedy: "remove that file: the surface is then what it was",
};

/// What a surface of which not all cells are evaluated has beside them.
pub(super) const OF_PARTS: [&str; 2] = ["adaptive.json", "interpolated.json"];

/// `change.json`.
#[derive(Serialize, Deserialize)]
struct Change {
    header: Header,
    cells: Vec<Cell>,
}

/// Writes what the surface in `folder` is to become.
///
/// # Errors
/// [`crate::Error::Io`].
pub(super) fn write(folder: &Path, header: &Header, cells: &[Option<Cell>]) -> Result<()> {
    let change =
        Change { header: header.clone(), cells: cells.iter().flatten().copied().collect() };
    CHANGE.write(&folder.join("change.json"), &change)
}

/// Whether the surface in `folder` is to become another.
///
/// # Errors
/// [`crate::Error::Io`].
pub(super) fn is_pending(folder: &Path) -> Result<bool> {
    disk::is_there(&folder.join("change.json"))
}

/// What the surface in `folder` is to become; `None` for one that is what it is.
///
/// # Errors
/// [`crate::Error::BadFile`] for a damaged file.
pub(super) fn pending(folder: &Path) -> Result<Option<(Header, Vec<Option<Cell>>)>> {
    let path = folder.join("change.json");
    let Some(change) = CHANGE.read_if_there::<Change>(&path)? else { return Ok(None) };
    change.header.grid.check()?;
    let mut cells = vec![None; change.header.grid.len()];
    for cell in change.cells {
        let slot = cells
            .get_mut(cell.k)
            .ok_or_else(|| CHANGE.bad(format!("cell {} is not on the grid", cell.k), &path))?;
        *slot = Some(cell);
    }
    Ok(Some((change.header, cells)))
}

/// Puts what was written in place, where there is something; whoever calls has the folder's lock.
///
/// # Errors
/// [`crate::Error::BadFile`] for a damaged file, [`crate::Error::Io`].
pub(super) fn finish(folder: &Path) -> Result<()> {
    let Some((header, cells)) = pending(folder)? else { return Ok(()) };
    let grid = folder.join("grid.json");
    let old: Option<Header> = GRID.read_if_there(&grid)?;
    let lines = cells.iter().flatten().flat_map(disk::jsonl_line).collect::<Vec<u8>>();
    disk::write_bytes(&folder.join("cells.jsonl"), &lines)?;
    let action = "remove the old surface's file";
    disk::remove_named(folder, &["interpolated.json"], action)?;
    if old.as_ref().is_some_and(|old| old.grid != header.grid) {
        disk::remove_named(folder, &OF_PARTS, action)?;
    }
    if old.is_some_and(|old| old.on.samples != header.on.samples) {
        // The losses on the path are means over the old images.
        disk::remove_named(folder, &["paths.jsonl"], action)?;
    }
    GRID.write(&grid, &header)?;
    disk::remove_named(folder, &["next", "change.json"], action)
}
