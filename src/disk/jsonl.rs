//! Logs of one JSON object a line, each with the checksum of its content, `crc`: a line that a power
//! cut or the disk damaged is told from one that is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::digest::content;
use super::read::{open, too_long};
use crate::error::{Error, Result};

/// The field that holds the checksum, CRC-32 (IEEE) of the line's content in hexadecimal.
const CHECKSUM: &str = "crc";

/// Bytes that no line of ours comes near.
const LONGEST_LINE: u64 = 1 << 20;

/// What reading a log is, for messages.
const READ: &str = "read the log";
const WRITE: &str = "write the log";

/// A JSONL file as read.
pub(crate) struct Jsonl<T> {
    /// The whole lines.
    pub(crate) lines: Vec<T>,
    /// Whether a last line without its end was left out.
    pub(crate) torn: bool,
}

/// Reads a log of one JSON value a line. A missing file is an empty log; a last line without its
/// newline was being written when the writer died, and is left out. A line without a checksum (of an
/// earlier version, or of another program) is taken as it is.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadFile`] for a line that does not parse or is not what its checksum says.
pub(crate) fn read_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Jsonl<T>> {
    read_jsonl_within(path, u64::MAX)
}

/// [`read_jsonl`] for a log that cannot have more than `most` bytes.
///
/// # Errors
/// As [`read_jsonl`], and [`Error::BadFile`] for a longer one.
pub(crate) fn read_jsonl_within<T: DeserializeOwned>(path: &Path, most: u64) -> Result<Jsonl<T>> {
    let mut lines = Vec::new();
    let torn = each_line(path, most, |number, line| {
        lines.push(parse(line).map_err(|what| Error::BadFile {
            what: format!("line {number} {what}"),
            remedy: "remove that line, or make the file again".into(),
            path: path.to_path_buf(),
        })?);
        Ok(())
    })?;
    Ok(Jsonl { lines, torn })
}

/// Calls `on` with the number, from 1, and the bytes of each whole line that is not empty. Returns
/// whether a last line without its end was left out.
fn each_line(
    path: &Path,
    most: u64,
    mut on: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<bool> {
    let (file, len) = match open(path, READ) {
        Ok(opened) => opened,
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    if len > most {
        return Err(too_long(path, len, most));
    }
    // A log that somebody appends to is read as far as it went when it was opened.
    let mut file = BufReader::with_capacity(1 << 16, file.take(len));
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut part = (&mut file).take(LONGEST_LINE);
        if part.read_until(b'\n', &mut line).map_err(Error::io(READ, path))? == 0 {
            return Ok(false);
        }
        match line.pop_if(|last| *last == b'\n') {
            Some(_) if line.is_empty() => {}
            Some(_) => on(number, &line)?,
            None if line.len() as u64 >= LONGEST_LINE => {
                return Err(too_long(path, line.len() as u64, LONGEST_LINE));
            }
            None => return Ok(true),
        }
    }
    Ok(false)
}

/// The value of a line, or what is wrong with it.
fn parse<T: DeserializeOwned>(line: &[u8]) -> std::result::Result<T, String> {
    let unparsed = |e: serde_json::Error| format!("does not parse ({e})");
    let value: Value = serde_json::from_slice(line).map_err(unparsed)?;
    if value.get(CHECKSUM).is_some_and(|crc| crc.as_str() != Some(&checksum(&value))) {
        return Err("is not what its checksum says, so it is damaged".into());
    }
    // From the text again: a number on its way through a `Value` could lose a digit.
    serde_json::from_slice(line).map_err(unparsed)
}

fn checksum(value: &Value) -> String {
    format!("{:08x}", crc32fast::hash(content(value, CHECKSUM).as_bytes()))
}

/// `value` as a line with its checksum and its end.
pub(crate) fn jsonl_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("log lines are plain data");
    if line.len() > 2 && line.pop_if(|last| *last == b'}').is_some() {
        line.push(b'}');
        let value = serde_json::from_slice(&line).expect("what was just written parses");
        let checksum = checksum(&value);
        line.pop();
        line.extend(format!(",\"{CHECKSUM}\":\"{checksum}\"}}").bytes());
    }
    line.push(b'\n');
    line
}

/// Where the last whole line of `file` ends.
fn whole_len(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut part = vec![0; 1 << 12];
    while end > 0 {
        let start = end.saturating_sub(part.len() as u64);
        let bytes = &mut part[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(bytes)?;
        if let Some(newline) = bytes.iter().rposition(|&b| b == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Whether the last line of a log has no end.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadFile`] where it is no regular file.
pub(crate) fn is_torn(path: &Path) -> Result<bool> {
    let (mut file, len) = open(path, READ)?;
    Ok(whole_len(&mut file).map_err(Error::io(READ, path))? < len)
}

/// Cuts off a last line without an end.
///
/// # Errors
/// As [`is_torn`].
pub(crate) fn cut_torn_line(path: &Path) -> Result<()> {
    open(path, READ)?;
    let io = || Error::io(WRITE, path);
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io())?;
    let whole = whole_len(&mut file).map_err(io())?;
    file.set_len(whole).and_then(|()| file.sync_all()).map_err(io())
}

/// An append-only log of one JSON value a line.
#[derive(Debug)]
pub(crate) struct JsonlWriter {
    path: PathBuf,
    out: BufWriter<File>,
}

impl JsonlWriter {
    /// Opens `path` at its end, making it if it is missing. A torn last line is cut off.
    pub(crate) fn append(path: &Path) -> Result<Self> {
        let io = || Error::io(WRITE, path);
        if path.exists() {
            // A pipe would wait for its other end.
            open(path, WRITE)?;
        }
        let mut file =
            OpenOptions::new().create(true).read(true).append(true).open(path).map_err(io())?;
        let whole = whole_len(&mut file).map_err(io())?;
        if whole < file.metadata().map_err(io())?.len() {
            file.set_len(whole).map_err(io())?;
        }
        Ok(Self { path: path.to_path_buf(), out: BufWriter::new(file) })
    }

    /// Writes one line.
    pub(crate) fn push(&mut self, value: &impl Serialize) -> Result<()> {
        self.out.write_all(&jsonl_line(value)).map_err(Error::io(WRITE, &self.path))
    }

    /// Makes what was pushed outlive a power cut.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.out.get_ref().sync_data().map_err(Error::io(WRITE, &self.path))
    }

    /// Hands what was pushed to the system; the file, for another thread to sync, and its path.
    pub(crate) fn flushed(&mut self) -> Result<(File, PathBuf)> {
        self.flush()?;
        let file = self.out.get_ref().try_clone().map_err(Error::io(WRITE, &self.path))?;
        Ok((file, self.path.clone()))
    }

    /// Hands what was pushed to the system.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(Error::io(WRITE, &self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Row {
        k: u32,
        #[serde(with = "crate::disk::float")]
        loss: f64,
    }

    const ROWS: [Row; 3] =
        [Row { k: 1, loss: 0.1 }, Row { k: 2, loss: f64::INFINITY }, Row { k: 3, loss: 1e-300 }];

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("log.jsonl");
        let mut log = JsonlWriter::append(&path).unwrap();
        ROWS.iter().try_for_each(|row| log.push(row)).unwrap();
        log.sync().unwrap();
        path
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_cut_off_before_appending() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_jsonl::<Row>(&folder.path().join("none")).unwrap().lines.is_empty());
        let path = written(folder.path());
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let log = read_jsonl::<Row>(&path).unwrap();
            let lines = whole[..cut].iter().filter(|&&b| b == b'\n').count();
            assert_eq!(log.lines, ROWS[..lines], "{cut}");
            assert_eq!(log.torn, cut > 0 && whole[cut - 1] != b'\n', "{cut}");
            let mut writer = JsonlWriter::append(&path).unwrap();
            ROWS[lines..].iter().try_for_each(|row| writer.push(row)).unwrap();
            writer.flush().unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole, "{cut}");
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(is_torn(&path).unwrap(), log.torn);
            cut_torn_line(&path).unwrap();
            assert!(!is_torn(&path).unwrap());
            assert_eq!(read_jsonl::<Row>(&path).unwrap().lines, log.lines);
        }
    }

    #[test]
    fn a_long_torn_line_is_cut_off_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &vec![b'x'; 10_000]].concat()).unwrap();
        drop(JsonlWriter::append(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn no_flipped_bit_gives_another_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let whole = fs::read(&path).unwrap();
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            // The end of the last line turned into something else makes it a torn one.
            if let Ok(log) = read_jsonl::<Row>(&path) {
                let read = if log.torn { &ROWS[..2] } else { &ROWS[..] };
                assert_eq!(log.lines, read, "{bit}");
            }
        }
    }

    #[test]
    fn lines_without_a_checksum_are_read_and_bad_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        fs::write(&path, "1\n\n2\n3").unwrap();
        let log = read_jsonl::<u32>(&path).unwrap();
        assert_eq!((log.lines, log.torn), (vec![1, 2], true));
        fs::write(&path, "1\nx\n3\n").unwrap();
        let error = read_jsonl::<u32>(&path).err().unwrap().to_string();
        assert!(error.contains("line 2"), "{error}");
        fs::remove_file(&path).unwrap();
        let path = written(folder.path());
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("0.1", "0.2")).unwrap();
        let error = read_jsonl::<Row>(&path).err().unwrap().to_string();
        assert!(error.contains("line 1") && error.contains("checksum"), "{error}");
    }

    #[test]
    fn no_more_is_read_than_can_be_meant() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let len = fs::metadata(&path).unwrap().len();
        assert_eq!(read_jsonl_within::<Row>(&path, len).unwrap().lines, ROWS);
        assert!(read_jsonl_within::<Row>(&path, len - 1).is_err());
        fs::write(&path, vec![b' '; 2 * LONGEST_LINE as usize]).unwrap();
        assert!(read_jsonl::<Row>(&path).is_err());
        assert!(read_jsonl::<Row>(folder.path()).is_err());
    }
}
