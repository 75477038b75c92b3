//! A text for a language model of characters: which byte comes next, at every position of a stretch of text.
//!
//! A text is a file, or a folder of `.txt` files that are put one behind the other in the order of their
//! names, or a folder with `train.txt` and `test.txt`. Its characters are bytes; the classes are the bytes
//! that occur, in their order. An example is a stretch of `data.context` bytes and the byte that follows each
//! of them; the stretches lie side by side and do not overlap. Without a text for testing the last part of
//! the text is kept back for it, not a random draw, whose stretches would be the neighbours of others.
//!
//! Each byte is an "image" of its own column: 1 in the channel of its class, 0 in the others, (classes, 1,
//! context). A 1x1 convolution of those is an embedding.

use std::path::{Path, PathBuf};

use super::super::images::{Dataset, LabelledImages};
use super::super::targets::Targets;
use super::super::tree::Tree;
use super::OwnData;
use crate::disk;
use crate::error::{Error, Result};
use crate::memory;

/// Positions of an example where nothing else is asked for.
pub(super) const DEFAULT_CONTEXT: usize = 64;
/// Bytes that a text has at most: with a number for each character and class it would fill any machine.
const MOST: u64 = 1 << 32;
/// Share of a text that is kept back for testing where nothing else is asked for.
const TEST_FRACTION: f64 = 0.1;

/// Reads a text from `dir`, a file or a folder.
///
/// # Errors
/// [`Error::Data`] when nothing is there, [`Error::BadFile`] for a text that is too short for an example of
/// each split or has one character only, [`Error::Memory`] for one too large to be held.
pub(super) fn load(dir: &Path, own: &OwnData) -> Result<Dataset> {
    let context = own.context.unwrap_or(DEFAULT_CONTEXT);
    if context == 0 {
        return Err(Error::bad_value("data.context", 0, "no character", "use at least 1"));
    }
    let (train, test) = read(dir, own)?;
    let mut occurs = [false; 256];
    train.iter().chain(&test).for_each(|&byte| occurs[usize::from(byte)] = true);
    let bytes: Vec<u8> = (0..=255).filter(|&byte| occurs[usize::from(byte)]).collect();
    let bad = |what: String, remedy: &str| Error::BadFile {
        what,
        remedy: remedy.into(),
        path: dir.to_path_buf(),
    };
    if bytes.len() < 2 {
        return Err(bad(
            format!("the text has {} different characters", bytes.len()),
            "name a text of some length",
        ));
    }
    for (text, which) in [(&train, "training"), (&test, "test")] {
        if text.len() <= context {
            return Err(bad(
                format!(
                    "the {which} text has {} characters, and an example needs {}",
                    text.len(),
                    context + 1
                ),
                "add text, or lower data.context",
            ));
        }
    }
    memory::check(
        "this text, a number for each character and class,",
        memory::product(&[train.len() + test.len(), bytes.len()]),
    )?;
    let names: Vec<String> = bytes.iter().map(|&byte| name(byte)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let split = |text: &[u8]| examples(text, &bytes, context);
    Dataset::new("text", split(&train)?, split(&test)?, &names, 1.0)
}

/// What a text is, for messages.
pub(super) fn wanted() -> &'static str {
    "a file of text, a folder of .txt files, or a folder with train.txt and test.txt"
}

/// A byte as the name of a class: itself, or its escape.
fn name(byte: u8) -> String {
    if byte == b' ' { "space".into() } else { byte.escape_ascii().to_string() }
}

/// The texts to train on and to test on.
fn read(dir: &Path, own: &OwnData) -> Result<(Vec<u8>, Vec<u8>)> {
    let text = |path: &Path| disk::read(path, "read the text", MOST);
    let tree = Tree::below(dir)?;
    let is_text = |path: &&PathBuf| {
        let end = path.extension().unwrap_or_default().to_ascii_lowercase();
        end == "txt" || tree.files().len() == 1
    };
    let mut files: Vec<&PathBuf> = tree.files().iter().filter(is_text).collect();
    files.sort();
    let named = |stem: &str| {
        files.iter().find(|path| path.file_stem().is_some_and(|s| s.eq_ignore_ascii_case(stem)))
    };
    if let (Some(train), Some(test)) = (named("train"), named("test").or(named("val"))) {
        return Ok((text(train)?, text(test)?));
    }
    if files.is_empty() {
        return Err(Error::Data {
            what: format!("there is no text at {}", dir.display()),
            remedy: format!("name {} with `data.dir`", wanted()),
        });
    }
    let mut all = Vec::new();
    for path in files {
        all.extend(text(path)?);
    }
    let kept = (all.len() as f64 * own.test_fraction.unwrap_or(TEST_FRACTION)).round() as usize;
    let test = all.split_off(all.len() - kept.min(all.len()));
    Ok((all, test))
}

/// The stretches of a text as examples.
fn examples(text: &[u8], bytes: &[u8], context: usize) -> Result<LabelledImages> {
    let mut class = [0u8; 256];
    bytes.iter().enumerate().for_each(|(at, &byte)| class[usize::from(byte)] = at as u8);
    let n = (text.len() - 1) / context;
    let mut pixels = vec![0; n * bytes.len() * context];
    let mut classes = Vec::with_capacity(n * context);
    for (k, columns) in pixels.chunks_exact_mut(bytes.len() * context).enumerate() {
        let stretch = &text[k * context..(k + 1) * context + 1];
        for (at, &byte) in stretch[..context].iter().enumerate() {
            columns[usize::from(class[usize::from(byte)]) * context + at] = 1;
        }
        classes.extend(stretch[1..].iter().map(|&byte| class[usize::from(byte)]));
    }
    LabelledImages::new(pixels, vec![0; n], [bytes.len(), 1, context])?
        .with_targets(Targets::Sequences { classes, positions: context })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(context: usize) -> OwnData {
        OwnData { context: Some(context), ..OwnData::default() }
    }

    #[test]
    fn an_example_is_a_stretch_and_the_byte_behind_each_of_its_places() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("train.txt"), "abcab a").unwrap();
        std::fs::write(dir.path().join("test.txt"), "cabb").unwrap();
        let data = load(dir.path(), &own(3)).unwrap();
        assert_eq!(data.class_names, ["space", "a", "b", "c"]);
        assert_eq!((data.shape(), data.train.len(), data.test.len()), ([4, 1, 3], 2, 1));
        // "abc" is followed by "bca"; "ab " by "b a".
        let Targets::Sequences { classes, positions } = &data.train.targets else { panic!() };
        assert_eq!((&classes[..], *positions), (&[2, 3, 1, 2, 0, 1][..], 3));
        // Channels: space, a, b, c at the places a, b, c.
        assert_eq!(data.train.image(0), [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(data.train.labels, [0, 0]);
    }

    #[test]
    fn the_end_of_a_single_text_is_kept_for_testing() {
        let dir = tempfile::tempdir().unwrap();
        let text: String = (0..200).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
        std::fs::write(dir.path().join("book.txt"), &text).unwrap();
        let data = load(dir.path(), &own(9)).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (179 / 9, 19 / 9));
        let half = load(dir.path(), &OwnData { test_fraction: Some(0.5), ..own(9) }).unwrap();
        assert_eq!((half.train.len(), half.test.len()), (99 / 9, 99 / 9));
    }

    #[test]
    fn texts_that_are_too_short_or_not_there_say_what_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let error = |context: usize| load(dir.path(), &own(context)).unwrap_err().to_string();
        assert!(error(3).contains("no text") && error(3).contains("train.txt"), "{}", error(3));
        std::fs::write(dir.path().join("book.txt"), "abcabcabcabcabc").unwrap();
        assert!(error(8).contains("test text has 2 characters"), "{}", error(8));
        assert!(error(0).contains("data.context"), "{}", error(0));
        std::fs::write(dir.path().join("book.txt"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
        assert!(error(2).contains("1 different characters"), "{}", error(2));
    }
}
