//! A run that goes on from another one's state.

use std::fs::{self, File};
use std::path::Path;

use super::{Run, Status};
use crate::{Error, Result, disk};

impl Run {
    /// Makes `to` the folder of a run by the spec `spec_toml` that was trained as this one up to its
    /// checkpoint, and goes on from there: with this run's log, snapshots and checkpoint. Snapshots are links
    /// to the same bytes where the file system has such. The folder is there whole, or not at all.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`] where there is no state to go on from; [`Error::RunExists`] where the folder
    /// has anything in it; [`Error::Io`].
    pub fn fork_into(&self, to: &Path, spec_toml: &str) -> Result<()> {
        if !self.has_checkpoint()? {
            return Err(Error::NoCheckpoint { path: self.root.clone() });
        }
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let making = Run::unchecked(&to.with_file_name(format!(".{name}{UNFINISHED}")));
        remove(&making.root)?;
        let snapshots = making.snapshots_dir();
        fs::create_dir_all(&snapshots).map_err(Error::io("make the run folder", &snapshots))?;
        for (_, from) in self.snapshot_files()? {
            let file = snapshots.join(from.file_name().unwrap_or_default());
            if fs::hard_link(&from, &file).is_err() {
                copy(&from, &file)?;
            }
        }
        copy(&self.metrics_path(), &making.metrics_path())?;
        copy(&self.checkpoint_path(), &making.checkpoint_path())?;
        let mut manifest = self.manifest()?;
        (manifest.status, manifest.snapshots_digest) = (Status::Unfinished, None);
        manifest.spec = spec_toml.into();
        making.write_manifest(&manifest)?;
        disk::write_bytes(&making.spec_path(), spec_toml.as_bytes())?;
        let made = sync_folder(&snapshots).and_then(|()| fs::rename(&making.root, to));
        made.and_then(|()| sync_folder(to.parent().unwrap_or(Path::new(".")))).map_err(|e| {
            let is_taken = e.kind() == std::io::ErrorKind::DirectoryNotEmpty;
            let path = to.to_path_buf();
            if is_taken {
                Error::RunExists { path }
            } else {
                Error::io("make the run folder", to)(e)
            }
        })
    }
}

/// How the name of a folder ends that is not yet a run's.
const UNFINISHED: &str = ".fork";

/// Removes the folders in `runs` that [`Run::fork_into`] was killed in the middle of.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn remove_unfinished_forks(runs: &Path) -> Result<()> {
    let io = || Error::io("look into the folder", runs);
    for entry in fs::read_dir(runs).map_err(io())? {
        let path = entry.map_err(io())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && name.ends_with(UNFINISHED) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes a folder, where there is one.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove what a fork left", folder)(e))
        }
        _ => Ok(()),
    }
}

/// Copies a file durably.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to).and_then(|_| File::open(to)?.sync_all());
    copied.map_err(Error::io("copy into the run folder", to))
}

/// Makes the names in a folder durable. Windows has no such call.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
