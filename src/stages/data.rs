//! The data of a run, wherever it is looked at from.

use std::path::{Path, PathBuf};

use super::opened::OpenRun;
use crate::dataset::Dataset;
use crate::disk;
use crate::spec::{DataSpec, Spec};
use crate::{Error, Result};

/// The folder with the files of `data` as it is found from the current folder; `None` where nothing is
/// read from disk.
fn folder_of(data: &DataSpec) -> Option<PathBuf> {
    let own = || Path::new("datasets").join(data.set.as_str());
    data.has_files().then(|| data.dir.clone().unwrap_or_else(own))
}

/// The current folder, where the files of `data` are named relative to it: a run keeps it, so that they
/// are found again from another. `None` where there is nothing to keep, or no way to write it.
pub(super) fn begun_in(data: &DataSpec) -> Option<String> {
    folder_of(data).filter(|folder| folder.is_relative())?;
    std::env::current_dir().ok()?.into_os_string().into_string().ok()
}

/// Reads the whole data set of `run`: of the files in `dir`, or where its spec says, seen first from the
/// current folder and then from the one in which the run was begun.
///
/// # Errors
/// Those of reading spec, manifest and data; [`Error::DataChanged`] for other images than those that the
/// run was trained on.
pub fn of_run(run: &OpenRun, dir: Option<&Path>) -> Result<Dataset> {
    let (spec, manifest) = (run.spec()?, run.run().manifest()?);
    let load = |dir: Option<PathBuf>| -> Result<Dataset> {
        let data = DataSpec { dir, ..spec.data.clone() };
        let whole = Spec { data, ..spec.clone() }.load_data()?;
        if whole.digest != manifest.data_digest {
            return Err(Error::DataChanged { dataset: whole.name, run: run.name() });
        }
        Ok(whole)
    };
    if let Some(dir) = dir {
        return load(Some(dir.to_path_buf()));
    }
    let there = folder_of(&spec.data)
        .zip(manifest.begun_in.as_ref())
        .map(|(folder, begun_in)| Path::new(begun_in).join(folder));
    let Some(there) = there else { return load(spec.data.dir.clone()) };
    // What is missing here and is there is not searched for, or downloaded, again.
    let here = folder_of(&spec.data).map_or(Ok(false), |folder| disk::is_there(&folder))?;
    if !here && disk::is_there(&there)? {
        return load(Some(there));
    }
    load(spec.data.dir.clone()).or_else(|error| match load(Some(there)) {
        Ok(whole) => Ok(whole),
        Err(_) => Err(error),
    })
}
