//! A folder that somebody gave as a file of weights.

use std::fs;
use std::path::{Path, PathBuf};

use super::bad_file;
use crate::error::Result;

/// The files of weights that other tools keep in a folder of their own, the first that is there counting.
const FILES: [&str; 4] =
    ["model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors", "model.pt"];

/// Whether a folder is one that stands for a file of weights (`checkpoint-500/`).
pub fn is_one_file(path: &Path) -> bool {
    FILES.iter().any(|name| path.join(name).is_file())
}

/// Whether a folder is one that stands for a file of weights, or a file that was unpacked.
pub fn is_folder_of_weights(path: &Path) -> bool {
    is_one_file(path) || is_unpacked(path)
}

/// Whether a folder, or one in it, holds what an archive of torch.save does.
fn is_unpacked(path: &Path) -> bool {
    let is_one = |folder: &Path| folder.join("data.pkl").is_file() && folder.join("data").is_dir();
    let inner = fs::read_dir(path).ok().into_iter().flatten().flatten().map(|entry| entry.path());
    is_one(path) || inner.into_iter().any(|folder| is_one(&folder))
}

/// The file that `path` means: itself, or of a folder the one file of weights in it.
///
/// # Errors
/// [`crate::Error::BadFile`] for a folder that is an unpacked file of PyTorch, or holds no such file.
pub(super) fn file_in(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    if let Some(file) = FILES.iter().map(|name| path.join(name)).find(|file| file.is_file()) {
        return Ok(file);
    }
    if is_unpacked(path) {
        return Err(bad_file(
            path,
            "it is a file of PyTorch that was unpacked into a folder",
            "get the file itself (some browsers unpack it), or pack the folder again without \
             compression: `zip -0 -r weights.pth FOLDER`",
        ));
    }
    Err(bad_file(
        path,
        "it is a folder, not a file of weights",
        "name a file; a folder of checkpoints becomes a run by `lossreel import FOLDER --arch NAME --out RUN`",
    ))
}
