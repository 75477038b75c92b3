//! Downloads of published sets: each file from the first server that has it, going on where an earlier
//! attempt stopped, and put in its place only after its checksum was compared with the one known here.

mod http;
mod published;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use super::DataSet;
use super::archive::read_members;
use crate::disk;
use crate::error::{Error, Result};
use http::Client;
use published::{Remote, remotes};

/// How a download stands: the file's name, the bytes that are there, and of how many where the server
/// says so.
pub type Progress<'a> = dyn FnMut(&str, u64, Option<u64>) + 'a;

/// Downloads the files of `set` into `dir`, which is made. What is there already and whole stays, and a
/// file that another process is downloading is an error. With `mirror` the files come from
/// `MIRROR/SET/FILE` instead of the publishers' servers.
///
/// # Errors
/// [`Error::Data`] for a set that nobody publishes, or when no server gives a file;
/// [`Error::BadFile`] for a file that is there and is not what was published; [`Error::Io`].
pub fn fetch(
    set: DataSet,
    dir: &Path,
    mirror: Option<&str>,
    progress: &mut Progress<'_>,
) -> Result<()> {
    let remotes = remotes(set);
    if remotes.is_empty() {
        return Err(Error::Data {
            what: format!("nobody publishes {set}, so it cannot be downloaded"),
            remedy: "name its files with `data.dir`".into(),
        });
    }
    fs::create_dir_all(dir).map_err(Error::io("make the folder of the data", dir))?;
    let fetched = fetch_all(set, dir, remotes, mirror, progress);
    if fetched.is_err() {
        // A folder with nothing in it would only look like data; one with files in it stays.
        let _ = fs::remove_dir(dir);
    }
    fetched
}

fn fetch_all(
    set: DataSet,
    dir: &Path,
    remotes: &[Remote],
    mirror: Option<&str>,
    progress: &mut Progress<'_>,
) -> Result<()> {
    let client = Client::new();
    for remote in remotes {
        let path = dir.join(remote.name);
        let was_there = disk::is_there(&path)?;
        if was_there {
            check(&path, remote.md5)?;
        } else {
            let urls: Vec<String> = match mirror {
                Some(mirror) => {
                    vec![format!("{}/{set}/{}", mirror.trim_end_matches('/'), remote.name)]
                }
                None => remote.mirrors.iter().map(|at| format!("{at}{}", remote.name)).collect(),
            };
            client.download(&urls, remote, &path, progress)?;
        }
        if !remote.members.is_empty() {
            unpack(&path, remote, dir)?;
            if !was_there {
                fs::remove_file(&path).map_err(Error::io("remove the archive", &path))?;
            }
        }
    }
    Ok(())
}

/// Whether an earlier call has left some of the set's files in `dir`.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be looked into.
pub fn is_begun(set: DataSet, dir: &Path) -> Result<bool> {
    for remote in remotes(set) {
        let path = dir.join(remote.name);
        if disk::is_there(&path)? || disk::is_there(&part_of(&path))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts the files of an archive that are wanted beside it.
fn unpack(path: &Path, remote: &Remote, dir: &Path) -> Result<()> {
    for (name, bytes) in remote.members.iter().zip(read_members(path, remote.members)?) {
        let bytes = bytes.ok_or_else(|| Error::BadFile {
            what: format!("there is no {name} in the archive"),
            remedy: "remove it and fetch it again".into(),
            path: path.to_path_buf(),
        })?;
        disk::write_bytes(&dir.join(name), &bytes)?;
    }
    Ok(())
}

/// Compares the checksum of a file that somebody has put there.
fn check(path: &Path, md5: &str) -> Result<()> {
    let found = md5_of(path)?;
    if found == md5 {
        return Ok(());
    }
    Err(Error::BadFile {
        what: format!("the file has the MD5 checksum {found} instead of the published {md5}"),
        remedy: "it may be half a download: remove it and fetch it again".into(),
        path: path.to_path_buf(),
    })
}

/// The MD5 checksum of a file, in hex. The publishers give that one; it tells a damaged file, and not one
/// that somebody has forged.
fn md5_of(path: &Path) -> Result<String> {
    let io = || Error::io("read the downloaded file", path);
    let (mut file, _): (File, u64) = disk::open(path, "read the downloaded file")?;
    let mut hash = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hash.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(io()(e)),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Where a download lies until it is whole.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
