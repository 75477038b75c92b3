//! The folder of a surface, a curve or a stack of surfaces: what belongs to it, how an old one is
//! replaced, and who may write there.
//!
//! `--force` and its like remove what this program wrote there, by name, and nothing else. What tells
//! the folder from others, its header, is removed last and written last: a kill on the way leaves an old
//! surface that is unfinished, never a new header over old cells.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::disk;
use crate::{Error, Result};

/// What a surface or a stack keeps in its folder; the headers go last.
const OWN: [&str; 11] = [
    "change.json",
    "next",
    "cells.jsonl",
    "paths.jsonl",
    "interpolated.json",
    "adaptive.json",
    "gradients",
    "convexity",
    "layers",
    "stack.json",
    "grid.json",
];

/// Files of a folder that are no reason to keep out of it: the lock, and the plane that a surface of a
/// file of weights has beside it.
const BESIDE: [&str; 2] = [".lock", "plane.safetensors"];

/// Whether `folder` holds a surface, a curve or a stack.
fn is_ours(folder: &Path) -> Result<bool> {
    Ok(disk::is_there(&folder.join("grid.json"))? || disk::is_there(&folder.join("stack.json"))?)
}

/// Refuses a folder that holds files of somebody else and no surface.
///
/// # Errors
/// [`Error::FolderInUse`], [`Error::Io`].
pub(crate) fn check_free(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("look into the folder", folder)(e)),
    };
    if is_ours(folder)? {
        return Ok(());
    }
    for entry in entries {
        let name = entry.map_err(Error::io("look into the folder", folder))?.file_name();
        let name = name.to_string_lossy();
        if !BESIDE.contains(&&*name) && !OWN.contains(&&*name) && !disk::is_temporary(&name) {
            return Err(Error::FolderInUse { holds_no: "surface", path: folder.to_path_buf() });
        }
    }
    Ok(())
}

/// Removes what a surface, a curve or a stack left in `folder`, by name.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn clear(folder: &Path) -> Result<()> {
    disk::remove_named(folder, &OWN, "remove the old surface's file")
}

/// Takes `folder`, which is made if it is missing, for writing; freed when the returned file is dropped,
/// or the process ends.
///
/// # Errors
/// [`Error::SurfaceInUse`] when another process writes there, [`Error::Io`].
pub(crate) fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    let path = folder.join(".lock");
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(Error::io("lock the folder", &path))?;
    match file.try_lock() {
        Ok(()) => {
            disk::remove_temporaries(folder)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(Error::SurfaceInUse { folder: folder.to_path_buf() }),
        Err(TryLockError::Error(e)) => Err(Error::io("lock the folder", &path)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_surfaces_own_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in OWN.iter().chain(&["notes.txt", "plane.safetensors"]) {
            match *name {
                "gradients" | "convexity" | "layers" | "next" => {
                    fs::create_dir_all(root.join(name)).unwrap();
                    fs::write(root.join(name).join("cells.jsonl"), "x").unwrap();
                }
                _ => fs::write(root.join(name), "x").unwrap(),
            }
        }
        fs::create_dir(root.join("thesis")).unwrap();
        clear(root).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["notes.txt", "plane.safetensors", "thesis"]);
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_an_empty_or_own_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        check_free(root).unwrap();
        check_free(&root.join("missing")).unwrap();
        fs::write(root.join(".lock"), "").unwrap();
        check_free(root).unwrap();
        fs::write(root.join("notes.txt"), "mine").unwrap();
        assert!(matches!(check_free(root), Err(Error::FolderInUse { .. })));
        fs::write(root.join("grid.json"), "{}").unwrap();
        check_free(root).unwrap();
    }

    #[test]
    fn two_writers_of_one_folder_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        assert!(matches!(lock(folder.path()), Err(Error::SurfaceInUse { .. })));
        drop(held);
        lock(folder.path()).unwrap();
    }
}
