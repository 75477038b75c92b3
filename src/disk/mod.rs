//! How files are written so that a crash leaves nothing half-done (a whole file beside its place and
//! renamed into it, or a log of lines whose last may be torn), and read so that damage is noticed.

pub(crate) mod digest;
mod json;
mod jsonl;
mod nonfinite;
mod read;

pub(crate) use json::{JsonFile, is_sealed};
pub(crate) use jsonl::{
    JsonlWriter, cut_torn_line, is_torn, jsonl_line, read_jsonl, read_jsonl_within,
};
pub(crate) use nonfinite::{float, floats, optional_float};
pub(crate) use read::{is_absence, is_there, open, read, read_named, read_named_text, read_text};

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file that is written beside its place and renamed into it when complete: a reader never sees
/// half of it, and a failure leaves the old one. Dropped before [`StagedFile::finish`], it removes
/// what it has written. Its temporary file is locked: whoever tidies a folder can tell that of a living
/// process from what a killed one left.
pub(crate) struct StagedFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl StagedFile {
    /// Opens a sibling of `path` for reading, writing and seeking. Where `path` is a symbolic link, the
    /// file that it leads to is the one that is replaced.
    ///
    /// # Errors
    /// [`Error::NotAFile`] where something that is no regular file is there already: a rename would put
    /// a file in the place of a device or a pipe. [`Error::Io`].
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let path = target_of(path)?;
        loop {
            let temporary = temporary_beside(&path);
            // Never an existing file, and never through a link.
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&temporary);
            match file {
                Ok(file) if is_held(&file, &temporary) => {
                    return Ok(Self { file, temporary, path, finished: false });
                }
                // Somebody who sweeps took it for a left-over: another name.
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("write", path)(e)),
            }
        }
    }

    /// [`StagedFile::create`], in a folder that is made if it is missing.
    pub(crate) fn create_with_folder(path: &Path) -> Result<Self> {
        create_folder_of(path)?;
        Self::create(path)
    }

    /// The open file.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts the file in its place: fsync, rename, fsync of the folder. Returns its size in bytes.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.rename().map_err(Error::io("write", &self.path))
    }

    fn rename(&mut self) -> io::Result<u64> {
        self.file.sync_all()?;
        let bytes = self.file.metadata()?.len();
        fs::rename(&self.temporary, &self.path)?;
        self.finished = true;
        sync_folder(&self.path)?;
        Ok(bytes)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.finished {
            // Only tidiness: the error that brought us here is the one to report.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes `path` through `fill`, as a [`StagedFile`]: when anything fails, `path` is as it was.
pub(crate) fn write(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<()> {
    let mut staged = StagedFile::create(path)?;
    let mut writer = BufWriter::with_capacity(1 << 20, staged.file());
    fill(&mut writer).and_then(|()| writer.flush()).map_err(Error::io("write", path))?;
    drop(writer);
    staged.finish().map(drop)
}

fn create_folder_of(path: &Path) -> Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::create_dir_all(folder).map_err(Error::io("make the folder", folder)),
        None => Ok(()),
    }
}

/// Makes the rename itself durable. Windows has no such call.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// The file that writing to `path` means: behind a symbolic link the one that it leads to.
fn target_of(path: &Path) -> Result<PathBuf> {
    match fs::metadata(path) {
        Ok(about) if !about.is_file() => {
            let what = if about.is_dir() { "a folder" } else { "a device or a pipe" };
            return Err(Error::NotAFile { what, path: path.to_path_buf() });
        }
        // A missing file, or a link that leads to one.
        _ => {}
    }
    let link = fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_symlink());
    if !link {
        return Ok(path.to_path_buf());
    }
    if let Ok(whole) = fs::canonicalize(path) {
        return Ok(whole);
    }
    let leads_to = fs::read_link(path).map_err(Error::io("follow the link", path))?;
    Ok(path.parent().unwrap_or(Path::new("")).join(leads_to))
}

/// Whether two paths mean one file, which need not be there yet.
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        fs::canonicalize(path).unwrap_or_else(|_| folder.join(path.file_name().unwrap_or_default()))
    };
    whole(a) == whole(b)
}

/// Hexadecimal digits in the name of a temporary file.
const DIGITS: usize = 16;

/// A sibling of `path` whose name nobody can foresee: .NAME.DIGITS.tmp
fn temporary_beside(path: &Path) -> PathBuf {
    let unique = RandomState::new().build_hasher().finish();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{unique:0DIGITS$x}.tmp"))
}

/// Takes the new temporary file for this process, as long as it is open. False where it was removed in
/// between, or where somebody who sweeps has it.
fn is_held(file: &File, temporary: &Path) -> bool {
    match file.try_lock() {
        Ok(()) => temporary.exists(),
        Err(TryLockError::WouldBlock) => false,
        // A file system without locks: there nobody sweeps either.
        Err(TryLockError::Error(_)) => true,
    }
}

/// Removes what processes killed in the middle of a [`StagedFile`] left in `folder`. A living process
/// holds a lock on its temporary file, so this needs no other; where the file system knows no locks,
/// nothing is removed. A folder that is missing has none.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed.
pub(crate) fn remove_temporaries(folder: &Path) -> Result<()> {
    remove_left_over(folder, |_| true)
}

/// [`remove_temporaries`] in the folder of `path`, which is somebody's own: only what was to become
/// `path`.
///
/// # Errors
/// As [`remove_temporaries`].
pub(crate) fn remove_temporaries_of(path: &Path) -> Result<()> {
    let path = target_of(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    remove_left_over(path.parent().unwrap_or(Path::new("")), |of| of == name)
}

/// [`remove_temporaries`], of those only that were to become a file whose name is `wanted`.
pub(crate) fn remove_left_over(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match fs::read_dir(folder) {
        Err(e) if is_absence(&e) => return Ok(()),
        entries => entries.map_err(Error::io("list the folder", folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("list the folder", folder))?;
        let name = entry.file_name();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && temporary_of(&name.to_string_lossy()).is_some_and(&wanted) {
            let file = OpenOptions::new().write(true).open(entry.path());
            // Locked until it is removed: whoever makes it meanwhile sees that and takes another name.
            if let Ok(file) = file
                && file.try_lock().is_ok()
            {
                // Only tidiness: a left-over that stays does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    Ok(())
}

/// Whether `name` is that of a temporary file, as `temporary_beside` makes it.
pub(crate) fn is_temporary(name: &str) -> bool {
    temporary_of(name).is_some()
}

/// The name of the file that the temporary file `name` was to become.
fn temporary_of(name: &str) -> Option<&str> {
    let middle = name.strip_prefix('.')?.strip_suffix(".tmp")?;
    let (of, digits) = middle.rsplit_once('.')?;
    let whole = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
    whole.then_some(of)
}

/// Removes the files and folders `names` of `root` that there are, in order; of a folder what this
/// program writes there, and the folder itself where nothing else is in it.
pub(crate) fn remove_named(root: &Path, names: &[&str], action: &'static str) -> Result<()> {
    for name in names {
        let path = root.join(name);
        // A link is removed, not what it leads to.
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|about| about.is_dir());
        let removed = if is_folder { remove_written(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(action, path)(e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes what this program writes in `folder` and the folders in it, then each folder that is empty.
fn remove_written(folder: &Path) -> io::Result<()> {
    let place = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut is_empty = true;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_written(&path)?;
            is_empty &= !path.exists();
        } else if is_written(&place, &entry.file_name().to_string_lossy()) {
            fs::remove_file(&path)?;
        } else {
            is_empty = false;
        }
    }
    if is_empty { fs::remove_dir(folder) } else { Ok(()) }
}

/// Whether a file in `folder`, one of ours, has a name that this program gives.
fn is_written(folder: &str, name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "grid.json",
        "stack.json",
        "change.json",
        "adaptive.json",
        "interpolated.json",
        "cells.jsonl",
        "paths.jsonl",
        ".lock",
    ];
    let json = name.strip_suffix(".json");
    let is_number = |stem: &str| !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit());
    NAMES.contains(&name)
        || is_temporary(name)
        || name.ends_with(".safetensors")
        || json.is_some_and(|stem| folder == "maps" || is_number(stem))
        || folder == "specs" && name.ends_with(".toml")
}

/// [`write`] for bytes in memory; makes the folder if it is missing.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    create_folder_of(path)?;
    write(path, |out| out.write_all(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write(&path, |w| w.write_all(b"old")).unwrap();
        let err = write(&path, |w| {
            w.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(err.unwrap_err().to_string().contains("disk full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn of_a_folder_what_we_write_there_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (ours, mine) = (
            ["snapshots/000001.safetensors", "curvature/000002.json", "surfaces/a/grid.json"],
            ["surfaces/b/notes.json", "surfaces/b/thesis/chapter.txt", "planes/picture.png"],
        );
        let more = ["surfaces/b/cells.jsonl", "planes/pca.safetensors", "surfaces/a/.lock"];
        for name in ours.iter().chain(&mine).chain(&more) {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "x").unwrap();
        }
        let names = ["snapshots", "planes", "surfaces", "curvature", "missing"];
        remove_named(root, &names, "remove").unwrap();
        assert!(mine.iter().all(|name| root.join(name).exists()));
        assert!(!ours.iter().chain(&more).any(|name| root.join(name).exists()));
        let mut left: Vec<_> =
            fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["planes", "surfaces"]);
        assert!(!root.join("surfaces/a").exists());
    }

    #[test]
    fn a_write_into_a_missing_folder_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("a.bin");
        let err = write(&path, |w| w.write_all(b"x")).unwrap_err();
        assert!(err.to_string().contains("a.bin"), "{err}");
    }

    #[test]
    fn what_a_killed_writer_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let left = temporary_beside(&folder.path().join("a.bin"));
        let others = [".lock", "a.tmp", ".notes.tmp", ".a.bin.0123456789abcdeg.tmp", "a.bin"];
        for name in others {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        fs::write(&left, "half").unwrap();
        let mut living = StagedFile::create(&folder.path().join("b.bin")).unwrap();
        remove_temporaries(folder.path()).unwrap();
        assert!(!left.exists());
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
        living.file().write_all(b"whole").unwrap();
        living.finish().unwrap();
        assert_eq!(fs::read(folder.path().join("b.bin")).unwrap(), b"whole");

        let of = |name: &str| folder.path().join(format!(".{name}.0123456789abcdef.tmp"));
        ["c.bin", "d.bin"].iter().for_each(|name| fs::write(of(name), "half").unwrap());
        remove_temporaries_of(&folder.path().join("c.bin")).unwrap();
        assert!(!of("c.bin").exists() && of("d.bin").exists());
        remove_temporaries(&folder.path().join("missing")).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_replaced_and_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let refused = |path: &Path| {
            matches!(write(path, |w| w.write_all(b"new")), Err(Error::NotAFile { .. }))
        };
        fs::create_dir(at("folder")).unwrap();
        let pipe = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert!(
            refused(&at("folder")) && refused(&at("socket")) && refused(Path::new("/dev/null"))
        );
        drop(pipe);
        fs::write(at("real"), "old").unwrap();
        std::os::unix::fs::symlink("real", at("link")).unwrap();
        std::os::unix::fs::symlink("missing", at("dangling")).unwrap();
        write(&at("link"), |w| w.write_all(b"new")).unwrap();
        write(&at("dangling"), |w| w.write_all(b"new")).unwrap();
        for name in ["real", "missing"] {
            assert_eq!(fs::read(at(name)).unwrap(), b"new");
        }
        for name in ["link", "dangling"] {
            assert!(fs::symlink_metadata(at(name)).unwrap().file_type().is_symlink());
        }
        assert!(is_same_file(&at("link"), &at("real")));
        assert!(is_same_file(&at("not there"), &at("folder/../not there")));
        assert!(!is_same_file(&at("real"), &at("missing")));
    }
}
