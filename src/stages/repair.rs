//! What killed processes left in a run or a joint folder, and how it is tidied: torn last lines, files
//! that were not finished, values without a header. Nothing that is whole is touched.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::disk;
use crate::landscape::folder;
use crate::record::{Joint, Run};
use crate::{Error, Result};

/// Something that a killed process left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flaw {
    /// A file that was to be renamed into its place.
    Temporary,
    /// A log whose last line has no end.
    TornLine,
    /// A folder with values and without the header that says what they are.
    NoHeader,
}

/// One thing that was repaired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// Where, from the folder.
    pub path: String,
    /// What was done, in words.
    pub done: &'static str,
}

/// Folders of a run or a joint folder that hold what the program wrote.
const FOLDERS: [&str; 6] = ["snapshots", "planes", "surfaces", "curves", "curvature", "maps"];

/// The logs among it.
const LOGS: [&str; 3] = ["metrics.jsonl", "cells.jsonl", "paths.jsonl"];

/// How deep they lie: surfaces/NAME/layers/NNN/gradients/.
const DEPTH: usize = 5;

/// What killed processes left in `root`, sorted.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn flaws(root: &Path) -> Result<Vec<(PathBuf, Flaw)>> {
    let mut found = Vec::new();
    look(root, 0, &mut found)?;
    for folder in FOLDERS {
        look(&root.join(folder), DEPTH, &mut found)?;
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// Takes the folder of the surface or curve in `root` that holds `path`, which has a lock of its own.
fn surface_lock(root: &Path, path: &Path) -> Result<Option<File>> {
    let within = path.ancestors().take_while(|folder| *folder != root);
    let locked = within.filter(|folder| folder.join(".lock").exists()).last();
    locked.map(folder::lock).transpose()
}

fn look(folder: &Path, depth: usize, found: &mut Vec<(PathBuf, Flaw)>) -> Result<()> {
    let io = || Error::io("look into the folder", folder);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io()(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io())?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // Links are somebody's own; what they lead to is not ours to tidy.
        let kind = entry.file_type().map_err(io())?;
        if kind.is_dir() && depth > 0 {
            look(&path, depth - 1, found)?;
        } else if kind.is_file() && disk::is_temporary(&name) {
            found.push((path, Flaw::Temporary));
        } else if kind.is_file() && LOGS.contains(&name.as_str()) && disk::is_torn(&path)? {
            found.push((path, Flaw::TornLine));
        }
        names.push(name);
    }
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if has("cells.jsonl") && !has("grid.json") && !has("stack.json") {
        found.push((folder.to_path_buf(), Flaw::NoHeader));
    }
    Ok(())
}

/// Removes what killed processes left in `root`, a run or a joint folder, cuts off torn lines, and puts
/// a spec that is missing or empty back from the manifest. The folder must not be in use.
///
/// # Errors
/// [`Error::NotARun`] for another folder; [`Error::Run`] and [`Error::SurfaceInUse`] where another
/// process writes there; [`Error::Io`].
pub fn repair(root: &Path) -> Result<Vec<Repair>> {
    let run = Run::unchecked(root);
    // Taking a lock sweeps temporaries: they are listed before, to be named.
    let temporaries = flaws(root)?.into_iter().filter(|(_, flaw)| *flaw == Flaw::Temporary);
    let temporaries: BTreeSet<(PathBuf, Flaw)> = temporaries.collect();
    let _lock = if Joint::is_at(root) {
        None
    } else if Run::is_left_at(root) {
        Some(run.lock()?)
    } else {
        return Err(Error::NotARun { path: root.to_path_buf() });
    };
    let mut found = temporaries;
    found.extend(flaws(root)?);
    let mut done = Vec::new();
    let mut note = |path: &Path, what| {
        let path = path.strip_prefix(root).unwrap_or(path).display().to_string();
        done.push(Repair { path, done: what });
    };
    for (path, flaw) in found {
        let _lock = surface_lock(root, &path)?;
        match flaw {
            Flaw::Temporary => {
                // Taking a lock may have swept it already; one that a living process holds stays.
                disk::remove_temporaries(path.parent().unwrap_or(root))?;
                if !disk::is_there(&path)? {
                    note(&path, "removed: it was not finished");
                }
            }
            Flaw::TornLine => {
                disk::cut_torn_line(&path)?;
                note(&path, "cut off its last line, which was not finished");
            }
            Flaw::NoHeader => {
                folder::clear(&path)?;
                note(&path, "removed its values, which no header describes");
            }
        }
    }
    if !Joint::is_at(root) && run.restore_spec()? {
        note(&root.join("spec.toml"), "restored from the manifest");
    }
    Ok(done)
}
