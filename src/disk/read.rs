//! Reading what lies in a folder that others can write into: regular files only, and no more of them
//! than can be meant. A pipe in the place of a file would never end, nor would a device.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes that no JSON file, spec or layout of ours comes near.
pub(crate) const MOST_TEXT: u64 = 64 << 20;

/// Whether something is at `path`. Unlike `Path::exists` it does not take what cannot be looked at (a
/// folder that may not be entered, a failing disk) for what is missing.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn is_there(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(e) if is_absence(&e) => Ok(false),
        Err(e) => Err(Error::io("look at", path)(e)),
    }
}

/// Whether an error of looking at a path says that nothing is there.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Opens a regular file.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadFile`] for a folder, a pipe or a device.
pub(crate) fn open(path: &Path, action: &'static str) -> Result<(File, u64)> {
    let io = || Error::io(action, path);
    // Before it is opened: opening a pipe waits for its other end.
    let about = fs::metadata(path).map_err(io())?;
    let file = if about.is_file() {
        File::open(path).map_err(io())?
    } else {
        return Err(no_file(path, about.is_dir()));
    };
    let about = file.metadata().map_err(io())?;
    if !about.is_file() {
        return Err(no_file(path, about.is_dir()));
    }
    Ok((file, about.len()))
}

fn no_file(path: &Path, is_folder: bool) -> Error {
    let what = if is_folder { "a folder" } else { "a device or a pipe" };
    Error::BadFile {
        what: format!("{what} is in the place of a file"),
        remedy: "put the file there that belongs there, or remove it".into(),
        path: path.to_path_buf(),
    }
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open`], and [`Error::BadFile`] for a longer one.
pub(crate) fn read(path: &Path, action: &'static str, most: u64) -> Result<Vec<u8>> {
    let (file, len) = open(path, action)?;
    if len > most {
        return Err(too_long(path, len, most));
    }
    let mut bytes = Vec::with_capacity(len as usize);
    // One more than allowed, so that a file that grows meanwhile is seen.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io(action, path))?;
    if bytes.len() as u64 > most {
        return Err(too_long(path, bytes.len() as u64, most));
    }
    Ok(bytes)
}

/// Reads what somebody named, which may be a pipe from another program, up to `most` bytes.
///
/// # Errors
/// [`Error::Io`], and [`Error::BadFile`] for what is longer.
pub(crate) fn read_named(path: &Path, action: &'static str, most: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io(action, path))?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io(action, path))?;
    if bytes.len() as u64 > most {
        return Err(too_long(path, bytes.len() as u64, most));
    }
    Ok(bytes)
}

/// Reads a text of ours.
///
/// # Errors
/// As [`read`], and [`Error::Io`] where it is not UTF-8.
pub(crate) fn read_text(path: &Path, action: &'static str) -> Result<String> {
    text(read(path, action, MOST_TEXT)?, path, action)
}

/// Reads a text that somebody named, which may come from a pipe.
///
/// # Errors
/// As [`read_named`], and [`Error::Io`] where it is neither UTF-8 nor UTF-16 with a mark at its beginning,
/// as Windows PowerShell's `>` writes it.
pub(crate) fn read_named_text(path: &Path, action: &'static str) -> Result<String> {
    text(read_named(path, action, MOST_TEXT)?, path, action)
}

fn text(bytes: Vec<u8>, path: &Path, action: &'static str) -> Result<String> {
    let invalid =
        |what: String| Error::io(action, path)(io::Error::new(io::ErrorKind::InvalidData, what));
    let unit: Option<fn([u8; 2]) -> u16> = match bytes.get(..2) {
        Some([0xff, 0xfe]) => Some(u16::from_le_bytes),
        Some([0xfe, 0xff]) => Some(u16::from_be_bytes),
        _ => None,
    };
    if let Some(unit) = unit {
        let units: Vec<u16> =
            bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        return String::from_utf16(&units)
            .map_err(|_| invalid("it is UTF-16 text, and damaged; save it as UTF-8".into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = 1 + bytes[..valid].iter().filter(|byte| **byte == b'\n').count();
        invalid(format!(
            "it is not UTF-8 text (line {line} has the byte {:#04x}); save it as UTF-8",
            bytes[valid]
        ))
    })
}

/// The refusal of a file that is longer than can be meant.
pub(super) fn too_long(path: &Path, len: u64, most: u64) -> Error {
    Error::BadFile {
        what: format!("the file has {len} bytes where at most {most} can be meant"),
        remedy: "restore it, or remove it and make it again".into(),
        path: path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_utf_8_or_marked_utf_16_and_what_is_neither_is_told_with_its_line() {
        let read = |bytes: &[u8]| text(bytes.to_vec(), Path::new("a.toml"), "read");
        let utf16 = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}a = \"é\"\n".encode_utf16().flat_map(order).collect()
        };
        for bytes in [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
            assert_eq!(read(&bytes).unwrap(), "a = \"é\"\n");
        }
        let error = read(b"a = 1\n# caf\xe9\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("0xe9"), "{error}");
        assert!(read(&[0xff, 0xfe, 0x00, 0xd8]).is_err());
    }

    #[test]
    fn files_are_read_up_to_their_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "four").unwrap();
        assert_eq!(read(&path, "read", 4).unwrap(), b"four");
        let error = read(&path, "read", 3).unwrap_err().to_string();
        assert!(error.contains("4 bytes") && error.contains("at most 3"), "{error}");
        assert!(matches!(read(&folder.path().join("b"), "read", 3), Err(Error::Io { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn folders_sockets_and_devices_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [folder.path(), &socket, Path::new("/dev/zero")] {
            let error = read(path, "read", 100).unwrap_err();
            assert!(matches!(error, Error::BadFile { .. }), "{error}");
        }
    }
}
