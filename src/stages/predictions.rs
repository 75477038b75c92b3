//! The answers of a network, image by image, as a file that a spreadsheet reads.

use std::fmt::Write as _;
use std::path::Path;

use crate::disk;
use crate::objective::Prediction;
use crate::{Error, Result};

/// The head of the file.
const HEAD: &str = "image,label,predicted,loss";

/// The most bytes of such a file that are read.
const MOST: u64 = 1 << 30;

/// Writes `predictions` as CSV: a line an image, in the order of the sample; `predicted` is empty where the
/// network's output is NaN.
///
/// # Errors
/// [`Error::Io`].
pub fn write(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let mut text = format!("{HEAD}\n");
    for (i, p) in predictions.iter().enumerate() {
        let predicted = p.predicted.map_or(String::new(), |class| class.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{i},{},{predicted},{}", p.label, p.loss);
    }
    disk::write_bytes(path, text.as_bytes())
}

/// Whether each answer of such a file is right; `None` where there is no file.
///
/// # Errors
/// [`Error::BadFile`] for a file of another form.
pub fn read_right(path: &Path) -> Result<Option<Vec<bool>>> {
    if !disk::is_there(path)? {
        return Ok(None);
    }
    let bytes = disk::read(path, "read the predictions", MOST)?;
    let bad = |what: String| Error::BadFile {
        what,
        remedy: "make it again with `lossreel evaluate RUN --predictions FILE`".into(),
        path: path.to_path_buf(),
    };
    let text = String::from_utf8(bytes).map_err(|_| bad("is not text".into()))?;
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) || !text.ends_with('\n') {
        return Err(bad(format!("does not begin with {HEAD}, or is cut")));
    }
    let right = lines.enumerate().map(|(i, line)| {
        let fields: Vec<&str> = line.split(',').collect();
        match fields[..] {
            [image, label, predicted, _]
                if image == i.to_string() && label.parse::<u8>().is_ok() =>
            {
                Ok(label == predicted)
            }
            _ => Err(bad(format!("has `{line}` for image {i}"))),
        }
    });
    right.collect::<Result<_>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        assert_eq!(read_right(&path).unwrap(), None);
        let of = |label, predicted| Prediction { label, predicted, loss: 0.5 };
        write(&path, &[of(1, Some(1)), of(2, Some(3)), of(4, None)]).unwrap();
        assert_eq!(read_right(&path).unwrap(), Some(vec![true, false, false]));
        let whole = std::fs::read_to_string(&path).unwrap();
        for cut in [&whole[..whole.len() - 1], &whole[5..], &whole.replace("2,4,", "7,4,")] {
            std::fs::write(&path, cut).unwrap();
            let error = read_right(&path).unwrap_err().to_string();
            assert!(error.contains("p.csv") && error.contains("--predictions"), "{error}");
        }
    }
}
