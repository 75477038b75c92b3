//! Whether runs have changed: names, sizes and times of the files that a page depends on. The files of
//! snapshots are many and never change, so that their folder's time stands for them.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A number that is another when something that a page shows of `folders` and `files` has changed. What
/// cannot be read counts as absent: it may be being replaced right now.
pub(super) fn fingerprint(folders: &[PathBuf], files: &[PathBuf]) -> u64 {
    let mut hash = DefaultHasher::new();
    for folder in folders {
        look(folder, 0, &mut hash);
    }
    for file in files {
        stamp(file, &mut hash);
    }
    hash.finish()
}

fn stamp(path: &Path, hash: &mut DefaultHasher) {
    path.hash(hash);
    if let Ok(meta) = fs::metadata(path) {
        meta.len().hash(hash);
        let time = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        time.map(|t| t.as_nanos()).hash(hash);
    }
}

/// Folders below a sweep's are its runs, below those the artifacts, below those the layers of stacks.
const DEEPEST: usize = 6;

fn look(folder: &Path, depth: usize, hash: &mut DefaultHasher) {
    stamp(folder, hash);
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut found: Vec<_> = entries.flatten().collect();
    found.sort_by_key(|entry| entry.file_name());
    for entry in found {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && name == "snapshots" => stamp(&path, hash),
            Ok(kind) if kind.is_dir() && depth < DEEPEST && name != "figures" => {
                look(&path, depth + 1, hash);
            }
            Ok(kind) if kind.is_file() && !name.ends_with("checkpoint.safetensors") => {
                stamp(&path, hash);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_file_a_new_snapshot_and_a_removed_folder_are_changes() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("run");
        fs::create_dir_all(run.join("surfaces/pca")).unwrap();
        fs::create_dir_all(run.join("snapshots")).unwrap();
        let seen = || fingerprint(std::slice::from_ref(&run), &[]);
        let mut last = seen();
        assert_eq!(last, seen());
        let mut changed = || {
            let now = seen();
            std::mem::replace(&mut last, now) != now
        };
        fs::write(run.join("surfaces/pca/cells.jsonl"), "{}\n").unwrap();
        assert!(changed());
        fs::write(run.join("surfaces/pca/cells.jsonl"), "{}\n{}\n").unwrap();
        assert!(changed());
        fs::write(run.join("snapshots/000001.safetensors"), "x").unwrap();
        assert!(changed());
        fs::write(run.join("figures.png"), "x").unwrap();
        assert!(changed());
        fs::remove_dir_all(run.join("surfaces")).unwrap();
        assert!(changed());
        assert!(!changed());
    }
}
