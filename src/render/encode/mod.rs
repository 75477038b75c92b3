//! From pictures to files, one frame at a time.

pub mod gif;
pub mod h264;
pub mod lzw;
pub mod mp4;
pub mod mux;
pub mod palette;
pub mod y4m;
pub mod yuv;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file that is written beside its place and renamed into it when complete, so that a reader
/// never sees half a picture and a failure leaves the old one.
pub struct Staged {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    done: bool,
}

impl Staged {
    /// Opens a temporary sibling of `path`, making its folder if need be.
    pub fn create(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
        }
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(name);
        // Readable as well: the muxer moves its samples inside the file.
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)
            .map_err(Error::io("write the picture", path))?;
        Ok(Self { file, temporary, path: path.to_path_buf(), done: false })
    }

    /// The open temporary file.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts the file in its place; returns its size in bytes.
    pub fn finish(mut self) -> Result<u64> {
        let attempt = (|| {
            self.file.flush()?;
            self.file.sync_all()?;
            let bytes = self.file.metadata()?.len();
            fs::rename(&self.temporary, &self.path)?;
            Ok(bytes)
        })();
        self.done = attempt.is_ok();
        attempt.map_err(Error::io("write the picture", &self.path))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.done {
            // Best effort: the error that brought us here is the one to report.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
