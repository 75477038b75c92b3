//! The files below a folder, looked through once and no further than data sets are nested: a reader
//! asks for the names it knows, wherever an archive, a browser or another tool has put them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::{Error, Result};

/// How deep files are looked for: `MNIST/raw/train-images-idx3-ubyte/train-images-idx3-ubyte`.
const DEPTH: usize = 4;
/// Files and folders that are looked at, at most: whoever names a home folder waits no longer.
const MOST: usize = 20_000;

/// The regular files below a folder, those nearest to it first, then by name.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: PathBuf,
    files: Vec<PathBuf>,
}

impl Tree {
    /// Looks through `root`; a folder that is not there has no files. A file in its place is the only
    /// one.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder cannot be read.
    pub(super) fn below(root: &Path) -> Result<Self> {
        let mut tree = Tree { root: root.to_path_buf(), files: Vec::new() };
        if !disk::is_there(root)? {
            return Ok(tree);
        }
        if root.is_file() {
            tree.root = root.parent().unwrap_or(Path::new("")).to_path_buf();
            tree.files.push(root.to_path_buf());
            return Ok(tree);
        }
        let (mut level, mut seen) = (vec![root.to_path_buf()], 0);
        for depth in 0..=DEPTH {
            let mut below = Vec::new();
            for folder in &level {
                let inside = match entries(folder) {
                    // A folder further down that may not be entered has nothing of ours.
                    Err(_) if depth > 0 => continue,
                    inside => inside?,
                };
                for path in inside {
                    seen += 1;
                    if seen > MOST {
                        return Ok(tree);
                    }
                    if path.is_dir() {
                        below.push(path);
                    } else if path.is_file() {
                        tree.files.push(path);
                    }
                }
            }
            if depth == DEPTH || below.is_empty() {
                break;
            }
            level = below;
        }
        Ok(tree)
    }

    /// The folder that was looked through.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The files, those nearest to the root first.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The folders that files are in, nearest first, each once.
    pub(super) fn folders(&self) -> Vec<&Path> {
        let mut folders: Vec<&Path> = Vec::new();
        for folder in self.files.iter().filter_map(|file| file.parent()) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }

    /// The file `name` in `folder`.
    pub(super) fn file(&self, folder: &Path, name: &str) -> Option<&Path> {
        let wanted = folder.join(name);
        self.files.iter().find(|file| **file == wanted).map(PathBuf::as_path)
    }

    /// A few names of files that were seen, for an error about those that were not: `"a, b and 7 more"`;
    /// `None` where there is no file at all.
    pub(super) fn seen(&self) -> Option<String> {
        const SHOWN: usize = 6;
        let names: Vec<String> = self
            .files
            .iter()
            .take(SHOWN)
            .map(|file| file.strip_prefix(&self.root).unwrap_or(file).display().to_string())
            .collect();
        match self.files.len() {
            0 => None,
            n if n > SHOWN => Some(format!("{} and {} more", names.join(", "), n - SHOWN)),
            _ => Some(names.join(", ")),
        }
    }
}

/// What is in a folder, by name, without hidden entries.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = || Error::io("look into the folder of the data", folder);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io())? {
        let entry = entry.map_err(io())?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_nearest_first_and_none_from_too_deep() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for name in ["b/c/inner", "z", "a/first", ".hidden", "1/2/3/4/deep", "1/2/3/4/5/deeper"] {
            put(name);
        }
        let tree = Tree::below(dir.path()).unwrap();
        let names: Vec<_> =
            tree.files().iter().map(|f| f.strip_prefix(dir.path()).unwrap()).collect();
        let wanted = ["z", "a/first", "b/c/inner", "1/2/3/4/deep"].map(Path::new);
        assert_eq!(names, wanted);
        assert_eq!(tree.folders().len(), 4);
        assert_eq!(tree.seen().unwrap(), "z, a/first, b/c/inner, 1/2/3/4/deep");
        assert_eq!(Tree::below(&dir.path().join("none")).unwrap().seen(), None);
    }
}
