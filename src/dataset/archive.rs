//! `.tar.gz` archives as they are downloaded (or `.tar`, as a browser that unpacks leaves them): the files that are wanted are read into memory, by their
//! names without folders. Nothing is written to a path that an archive names.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::disk;
use crate::error::{Error, Result};

/// Bytes that an archive may unpack to: seven times what the largest of them (CIFAR's) does.
const MOST: u64 = 1 << 30;

/// Whether a file's name is that of a tar archive, mostly packed by gzip.
pub(super) fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    [".tar.gz", ".tgz", ".tar"].iter().any(|end| name.ends_with(end))
}

/// The regular files named `names` in the archive at `path`, in the order of `names`; `None` for one
/// that is not there. Of two of a name the first counts.
///
/// # Errors
/// [`Error::BadFile`] for what is cut off, damaged or unpacks to more than a data set.
pub(super) fn read_members(path: &Path, names: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
    let bad = |what: String| Error::BadFile {
        what,
        remedy: "download it again, it may be cut off".into(),
        path: path.to_path_buf(),
    };
    const READ: &str = "read an archive";
    let mut file = BufReader::new(disk::open(path, READ)?.0);
    let is_packed = file.fill_buf().map_err(Error::io(READ, path))?.starts_with(&[0x1f, 0x8b]);
    let file: Box<dyn Read> =
        if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut found: Vec<Option<Vec<u8>>> = names.iter().map(|_| None).collect();
    let mut archive = tar::Archive::new(file.take(MOST));
    let entries =
        archive.entries().map_err(|e| bad(format!("the archive cannot be read ({e})")))?;
    for entry in entries {
        let entry = entry.map_err(|e| bad(format!("the archive breaks off ({e})")))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = match entry.path() {
            Ok(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Err(_) => continue,
        };
        let Some(slot) = names.iter().position(|wanted| *wanted == name) else { continue };
        if found[slot].is_some() {
            continue;
        }
        let size = entry.size();
        let mut bytes = Vec::new();
        entry
            .take(size)
            .read_to_end(&mut bytes)
            .map_err(|e| bad(format!("the archive breaks off in {name} ({e})")))?;
        if bytes.len() as u64 != size {
            return Err(bad(format!(
                "the archive breaks off in {name}, after {} of {size} bytes",
                bytes.len()
            )));
        }
        found[slot] = Some(bytes);
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;

    /// A packed archive of files by name.
    pub(in crate::dataset) fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            // As bytes: `set_path` would refuse what a hostile archive has.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn wanted_files_are_read_wherever_they_lie_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        fs::write(
            &path,
            packed(&[("../../evil", b"x"), ("in/b", b"bb"), ("a", b"a"), ("z/b", b"")]),
        )
        .unwrap();
        let found = read_members(&path, &["a", "b", "none", "evil"]).unwrap();
        assert_eq!(found, [Some(b"a".to_vec()), Some(b"bb".to_vec()), None, Some(b"x".to_vec())]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A browser has unpacked it.
        let mut plain = Vec::new();
        MultiGzDecoder::new(fs::File::open(&path).unwrap()).read_to_end(&mut plain).unwrap();
        fs::write(&path, plain).unwrap();
        assert_eq!(read_members(&path, &["a"]).unwrap(), [Some(b"a".to_vec())]);
        assert!(!dir.path().join("../../evil").exists());
    }

    #[test]
    fn a_half_downloaded_archive_and_one_that_claims_too_much_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tgz");
        let noise: Vec<u8> =
            (0..60_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let whole = packed(&[("big", &noise)]);
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = read_members(&path, &["big"]).unwrap_err().to_string();
        assert!(error.contains("breaks off in big") && error.ends_with("a.tgz"), "{error}");

        let mut header = tar::Header::new_gnu();
        header.set_path("big").unwrap();
        header.set_size(1 << 40);
        header.set_cksum();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, header.as_bytes()).unwrap();
        fs::write(&path, gzip.finish().unwrap()).unwrap();
        let error = read_members(&path, &["big"]).unwrap_err().to_string();
        assert!(error.contains("breaks off in big"), "{error}");
        fs::write(&path, "no archive").unwrap();
        assert!(read_members(&path, &["big"]).is_err());
    }
}
