//! JSON files with the digest of their content in them, as the field `sha256`.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::digest::{content, sha256};
use super::read::read_text;
use super::write_bytes;
use crate::error::{Error, Result};

/// The field that holds the digest.
const DIGEST: &str = "sha256";

/// One kind of JSON file, in words for what goes wrong with it.
pub(crate) struct JsonFile {
    /// As it reads after "cannot": "read the run's manifest".
    pub(crate) action: &'static str,
    /// What it is: "the manifest".
    pub(crate) name: &'static str,
    /// What to do about a damaged one.
    pub(crate) remedy: &'static str,
}

impl JsonFile {
    /// Writes `value`, a struct or a map, in lines, its digest last; makes the folder if it is missing.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn write(&self, path: &Path, value: &impl Serialize) -> Result<()> {
        write_bytes(path, self.text(value).as_bytes())
    }

    /// What [`JsonFile::write`] writes.
    pub(crate) fn text(&self, value: &impl Serialize) -> String {
        sealed(value)
    }

    /// Reads a file that [`JsonFile::write`] wrote. One without a digest (of an earlier version, or of
    /// another program) is taken as it is.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadFile`] where it does not parse or is not what its digest says.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<T> {
        self.parse(&read_text(path, self.action)?, path)
    }

    /// [`JsonFile::read`], `None` where there is no file.
    ///
    /// # Errors
    /// As [`JsonFile::read`].
    pub(crate) fn read_if_there<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        match self.read(path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// [`JsonFile::read`] for the `text` of a file that was read already.
    pub(crate) fn parse<T: DeserializeOwned>(&self, text: &str, path: &Path) -> Result<T> {
        if is_sealed(text).map_err(|e| self.unparsed(&e, path))? == Some(false) {
            let what = format!("{} is not what its digest says, so it is damaged", self.name);
            return Err(self.bad(what, path));
        }
        serde_json::from_str(text).map_err(|e| self.unparsed(&e, path))
    }

    /// The error of a file of this kind in which `what` is wrong.
    pub(crate) fn bad(&self, what: String, path: &Path) -> Error {
        Error::BadFile { what, remedy: self.remedy.into(), path: path.to_path_buf() }
    }

    pub(crate) fn unparsed(&self, error: &serde_json::Error, path: &Path) -> Error {
        self.bad(format!("{} does not parse ({error})", self.name), path)
    }
}

/// Whether a text is what its digest says; `None` where it has none.
pub(crate) fn is_sealed(text: &str) -> serde_json::Result<Option<bool>> {
    let value: Value = serde_json::from_str(text)?;
    let digest = value.get(DIGEST).map(|digest| digest.as_str() == Some(&digest_of(&value)));
    Ok(digest)
}

/// The text of `value` with its digest.
fn sealed(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("what we write is plain data");
    // The digest is of the text: a number reads back as it is spelled there.
    let value: Value = serde_json::from_str(&text).expect("what was just written parses");
    let digest = digest_of(&value);
    let fields = text.strip_suffix("\n}").map(str::len);
    text.truncate(fields.expect("an object with a field or more"));
    text.push_str(&format!(",\n  \"{DIGEST}\": \"{digest}\"\n}}\n"));
    text
}

fn digest_of(value: &Value) -> String {
    sha256(content(value, DIGEST))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde::Deserialize;

    use super::*;

    const FILE: JsonFile =
        JsonFile { action: "read the note", name: "the note", remedy: "write it again" };

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
        weight: f32,
        elapsed_secs: f64,
    }

    #[test]
    fn every_flipped_bit_is_noticed_unless_it_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note.json");
        let note = Note { text: "wörds".into(), weight: 0.1, elapsed_secs: 1.5 };
        FILE.write(&path, &note).unwrap();
        assert_eq!(FILE.read::<Note>(&path).unwrap(), note);
        let whole = fs::read(&path).unwrap();
        let mut noticed = 0;
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            match FILE.read::<Note>(&path) {
                Err(_) => noticed += 1,
                Ok(read) => assert_eq!((read.text, read.weight), ("wörds".into(), 0.1), "{bit}"),
            }
        }
        assert!(noticed > 6 * whole.len(), "{noticed} of {}", 8 * whole.len());
    }

    #[test]
    fn a_file_without_a_digest_is_read_and_a_changed_one_is_named_with_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note.json");
        fs::write(&path, r#"{"text": "old", "weight": 1, "elapsed_secs": 0}"#).unwrap();
        assert_eq!(FILE.read::<Note>(&path).unwrap().text, "old");
        FILE.write(&path, &Note { text: "new".into(), weight: 1.0, elapsed_secs: 0.0 }).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"new\"", "\"now\"")).unwrap();
        let error = FILE.read::<Note>(&path).unwrap_err().to_string();
        for word in ["the note", "damaged", "write it again", "note.json"] {
            assert!(error.contains(word), "{error}");
        }
    }
}
