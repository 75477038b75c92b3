//! Street View House Numbers: 32x32 colour pictures of digits in two MATLAB files, `train_32x32.mat` and
//! `test_32x32.mat`, with an array X of (height, width, channel, n) and labels y, where 10 means 0.
//!
//! Y. Netzer et al., *Reading Digits in Natural Images with Unsupervised Feature Learning*, 2011;
//! <http://ufldl.stanford.edu/housenumbers/>.

use std::path::{Path, PathBuf};

use super::images::{Dataset, LabelledImages};
use super::mat;
use super::tree::Tree;
use crate::element::Element;
use crate::error::{Error, Result};

const SHAPE: [usize; 3] = [3, 32, 32];
const FILES: [&str; 2] = ["train_32x32.mat", "test_32x32.mat"];
pub(super) const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn search(dir: Option<&Path>) -> Result<Option<[Option<PathBuf>; 2]>> {
    let own = Path::new("datasets").join("svhn");
    let tree = Tree::below(dir.unwrap_or(&own))?;
    let in_folder =
        |folder: &&Path| FILES.map(|name| tree.file(folder, name).map(Path::to_path_buf));
    let mut found: Vec<_> = tree.folders().iter().map(in_folder).collect();
    found.retain(|files| files.iter().any(Option::is_some));
    found.sort_by_key(|files| files.iter().filter(|file| file.is_none()).count());
    Ok(found.into_iter().next())
}

/// Reads the two files below `dir`, or below `datasets/svhn` when that is not given; `None` when
/// neither is there.
pub(super) fn read(dir: Option<&Path>) -> Result<Option<Dataset>> {
    let Some(files) = search(dir)? else { return Ok(None) };
    let [Some(train), Some(test)] = &files else {
        let there = files.iter().flatten().next().and_then(|file| file.parent());
        let missing = if files[0].is_none() { FILES[0] } else { FILES[1] };
        return Err(Error::BadFile {
            what: "one of the two svhn files is missing".into(),
            remedy: "get it with `lossreel datasets fetch svhn`".into(),
            path: there.unwrap_or(Path::new("")).join(missing),
        });
    };
    let (train, test) = (read_file(train)?, read_file(test)?);
    Dataset::new("svhn", train, test, &CLASSES, 255.0).map(Some)
}

/// Where both files lie; `None` where they are not there. Nothing is read.
pub(super) fn find(dir: Option<&Path>) -> Result<Option<PathBuf>> {
    let whole = search(dir)?.filter(|files| files.iter().all(Option::is_some));
    Ok(whole.and_then(|[train, _]| Some(train?.parent()?.to_path_buf())))
}

/// Whether either file is there.
pub(super) fn is_there(dir: Option<&Path>) -> Result<bool> {
    Ok(search(dir)?.is_some())
}

/// What may stand in a folder, for the error about files that [`read`] does not find.
pub(super) fn wanted() -> String {
    format!("{} and {} of http://ufldl.stanford.edu/housenumbers/", FILES[0], FILES[1])
}

fn read_file(path: &Path) -> Result<LabelledImages> {
    let bad = |what: String| Error::BadFile {
        what,
        remedy: "download it again (remove it and call `lossreel datasets fetch svhn`)".into(),
        path: path.to_path_buf(),
    };
    let arrays = mat::read(path, &["X", "y"])?;
    let find = |name: &str| {
        let found = arrays.iter().find(|array| array.name == name);
        found.ok_or_else(|| bad(format!("there is no array {name} in a svhn file")))
    };
    let (x, y) = (find("X")?, find("y")?);
    let [h, w, c, n] = x.dims[..] else {
        return Err(bad(format!("the array X of a svhn file has {:?} values", x.dims)));
    };
    if [c, h, w] != SHAPE || x.element != Element::U8 || y.dims.iter().product::<usize>() != n {
        return Err(bad(format!(
            "the arrays of a svhn file are X of {:?} and y of {:?} instead of bytes of [32, 32, 3, n] \
             and n labels",
            x.dims, y.dims
        )));
    }
    let labels = y
        .values()
        .enumerate()
        .map(|(index, label)| match label {
            10.0 => Ok(0),
            label if (0.0..10.0).contains(&label) && label.fract() == 0.0 => Ok(label as u8),
            label => Err(bad(format!("image {index} of a svhn file has label {label}"))),
        })
        .collect::<Result<Vec<u8>>>()?;
    // The first index, that of rows, runs fastest.
    let mut pixels = Vec::with_capacity(x.bytes.len());
    for plane in x.bytes.chunks_exact(h * w) {
        for row in 0..h {
            pixels.extend(plane[row..].iter().step_by(h).copied());
        }
    }
    LabelledImages::new(pixels, labels, SHAPE)
}

#[cfg(test)]
mod tests {
    use super::super::mat::tests::mat;
    use super::*;

    /// n images whose pixel (channel, row, column) is channel + row + 7 * column, and labels 10, 1, 2, ...
    fn file(n: u32) -> Vec<u8> {
        let pixels: Vec<u8> = (0..n)
            .flat_map(|_| {
                (0..3).flat_map(|c| (0..32).flat_map(move |x| (0..32).map(move |y| c + y + 7 * x)))
            })
            .collect();
        let labels: Vec<u8> = (0..n).map(|i| if i == 0 { 10 } else { i as u8 }).collect();
        mat(&[("X", &[32, 32, 3, n], &pixels), ("y", &[n, 1], &labels)], true)
    }

    #[test]
    fn both_files_are_read_row_by_row_with_ten_as_zero() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("SVHN");
        std::fs::create_dir(&inner).unwrap();
        assert!(read(Some(dir.path())).unwrap().is_none());
        std::fs::write(inner.join(FILES[0]), file(3)).unwrap();
        let text = read(Some(dir.path())).unwrap_err().to_string();
        assert!(text.contains("missing") && text.ends_with("test_32x32.mat"), "{text}");
        std::fs::write(inner.join(FILES[1]), file(2)).unwrap();
        let data = read(Some(dir.path())).unwrap().unwrap();
        assert_eq!((data.train.labels.as_slice(), data.test.len()), (&[0, 1, 2][..], 2));
        assert_eq!(data.train.image(1)[1024 + 32 * 5 + 9], 1 + 5 + 7 * 9);
        assert_eq!(find(Some(dir.path())).unwrap(), Some(inner));
    }
}
