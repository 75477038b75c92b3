//! One damaged byte, or an end cut off, in each file of a run: a reader gives the answer that it gives
//! of the sound file, where the byte means nothing, or an error or a warning that names the file.
//! Another number as if nothing were wrong is the fault that is looked for, and so is a panic.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::stages::{self, Before, CURVATURE, CURVE, GRADIENTS, JOINT_SURFACE, STACK, SURFACE};
use crate::tree::{Tree, without_times};
use crate::{Ended, Place, assert_none, everywhere, spread};

/// A command that reads, and the files whose content it may take as input.
struct Reader {
    name: &'static str,
    args: Vec<&'static str>,
    /// Beginnings of the paths of files that it reads.
    reads: &'static [&'static str],
    /// Beginnings of the paths of files that it writes or would go on with.
    writes: &'static [&'static str],
}

const RUN: &[&str] = &["r/spec.toml", "r/manifest.json", "r/metrics.jsonl", "r/snapshots/"];

fn readers() -> Vec<Reader> {
    let reader = |name, args: &[&'static str], reads, writes| Reader {
        name,
        args: args.to_vec(),
        reads,
        writes,
    };
    let render = |name, more: &[&'static str], reads| {
        let base = ["render", "r", "--out=x.png", "--size=320x200", "--json"];
        Reader { name, args: [&base[..], more].concat(), reads, writes: &["x.png"] }
    };
    vec![
        reader("evaluate", &["evaluate", "r", "--samples=20", "--json"], RUN, &[]),
        reader("inspect", &["inspect", "r", "--json"], RUN, &[]),
        reader("plane", &["plane", "r", "--name=again", "--json"], RUN, &["r/planes/again"]),
        reader(
            "train --resume",
            &["train", "--resume", "r", "--json"],
            &["r/spec.toml", "r/manifest.json", "r/metrics.jsonl", "r/checkpoint.safetensors"],
            &["r/"],
        ),
        reader(
            "surface",
            &[SURFACE, &["--json"]].concat(),
            &["r/spec.toml", "r/planes/pca", "r/surfaces/pca/"],
            &["r/surfaces/"],
        ),
        reader(
            "new surface",
            &[SURFACE, &["--name=new", "--json"]].concat(),
            &["r/spec.toml", "r/manifest.json", "r/planes/pca", "r/snapshots/"],
            &["r/surfaces/"],
        ),
        reader(
            "gradients",
            &[GRADIENTS, &["--json"]].concat(),
            &["r/surfaces/g/"],
            &["r/surfaces/"],
        ),
        reader("stack", &[STACK, &["--json"]].concat(), &["r/surfaces/st/"], &["r/surfaces/"]),
        reader(
            "curve",
            &[CURVE, &["--json"]].concat(),
            &["r/spec.toml", "r/curves/"],
            &["r/curves/"],
        ),
        reader(
            "curvature",
            &[CURVATURE, &["--json"]].concat(),
            &["r/curvature/"],
            &["r/curvature/"],
        ),
        reader("joint surface", &[JOINT_SURFACE, &["--json"]].concat(), &["j/"], &["j/surfaces/"]),
        render(
            "render",
            &[],
            &[
                "r/spec.toml",
                "r/manifest.json",
                "r/metrics.jsonl",
                "r/planes/pca",
                "r/surfaces/pca/",
            ],
        ),
        render("render gradients", &["--surface=g", "--arrows"], &["r/surfaces/g/"]),
        render("render stack", &["--as=moving", "--surface=st"], &["r/surfaces/st/"]),
        render("render curve", &["--as=curve"], &["r/curves/"]),
        render("render sharpness", &["--strip=sharpness"], &["r/metrics.jsonl", "r/curvature/"]),
        render("render histograms", &["--as=histograms"], &["r/snapshots/"]),
        Reader {
            name: "race",
            args: vec!["render", "j", "--as=race", "--out=x.png", "--size=320x200", "--json"],
            reads: &["j/", "r/metrics.jsonl", "r/snapshots/"],
            writes: &["x.png"],
        },
    ]
}

/// What a reader said and wrote.
#[derive(PartialEq)]
struct Answer {
    stdout: Vec<u8>,
    files: Tree,
}

impl Reader {
    fn reads(&self, file: &str) -> bool {
        everywhere() || self.reads.iter().any(|start| file.starts_with(start))
    }

    fn run(&self, place: &Place) -> (Ended, Answer) {
        if self.name == "train --resume" {
            stages::lengthen(place);
        }
        let ended = place.run(&self.args);
        let all = Tree::of(place.root());
        let mut files = all.below("\n");
        for start in self.writes {
            files.0.extend(all.below(start).0);
        }
        let stdout = without_times(ended.stdout.as_bytes());
        (ended, Answer { stdout, files })
    }

    /// What is wrong with how it took `file`, damaged.
    fn fault(&self, file: &str, damage: Damage, place: &Place, sound: &Answer) -> Option<String> {
        let (ended, mut answer) = self.run(place);
        let text = ended.stderr.trim();
        if ended.succeeded() {
            let log = file.ends_with(".jsonl");
            if matches!(damage, Damage::Flip { .. }) || !log {
                // What changes nothing (the last line's end, a bit in the name of a digest) may still
                // be there; a log that lost a line must be what it was.
                let kept = sound.files.0.get(file).cloned();
                answer.files.0.remove(file);
                answer.files.0.extend(kept.map(|bytes| (file.to_string(), bytes)));
            }
            let told = text.contains(file.rsplit('/').next().unwrap());
            let fine = answer == *sound || told || self.is_meant(file, damage);
            return (!fine).then(|| format!("another answer, and only says: {text:?}"));
        }
        if !ended.refused() {
            return Some(format!("{}: {text}", ended.status));
        }
        (!names(text, file)).then(|| format!("does not name the file: {text}"))
    }

    /// Whether a cut file is one that a user may have left so. A log of cells that ends early is that of a
    /// computation that goes on: what is there is drawn, and the caption counts the points. Lines of a
    /// spec about what is recorded may be removed before a run goes on.
    fn is_meant(&self, file: &str, damage: Damage) -> bool {
        let unfinished = file.ends_with("cells.jsonl") && self.args[0] == "render";
        let edited = file.ends_with("spec.toml") && self.args[0] == "train";
        matches!(damage, Damage::Cut { .. }) && (unfinished || edited)
    }
}

/// Whether a message names `file`: the logs of a surface or a curve by its name too, with which they are
/// computed to their end, and a snapshot that a joint plane no longer fits by its run.
fn names(message: &str, file: &str) -> bool {
    let parts: Vec<&str> = file.split('/').collect();
    let quoted = |part: &str| message.contains(&format!("`{part}`"));
    message.contains(file)
        || file.ends_with(".jsonl") && parts.get(2).is_some_and(|name| quoted(name))
        || file.ends_with("curve/cells.jsonl") && message.contains("no finite point")
        || parts[1] == "snapshots" && message.contains("joint plane") && quoted(parts[0])
}

/// A file with one bit flipped, or cut off.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip { at: usize, bit: u32 },
    Cut { at: usize },
}

impl Damage {
    fn of(self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Damage::Flip { at, bit } => bytes[at] ^= 1 << bit,
            Damage::Cut { at } => bytes.truncate(at),
        }
        bytes
    }
}

/// Damages of a file: cut to nothing, in the middle, at its last byte, and for a text at the end of a
/// line; bits flipped over its whole length.
fn damages(bytes: &[u8]) -> Vec<Damage> {
    let len = bytes.len();
    let mut cuts = vec![0, len / 2, len - 1];
    let lines = bytes.iter().enumerate().filter(|&(_, &b)| b == b'\n').map(|(at, _)| at + 1);
    let lines: Vec<usize> = lines.filter(|&end| end < len).collect();
    cuts.extend(lines.last());
    cuts.sort_unstable();
    cuts.dedup();
    let all: Vec<usize> = (0..len).collect();
    let flips = if everywhere() { all } else { spread(&all, 7)[1..6].to_vec() };
    let flips = flips.into_iter().map(|at| {
        // The low bits of a digit make another digit, the high bits of a float another size.
        let text = bytes[at].is_ascii_graphic();
        Damage::Flip { at, bit: (at % if text { 2 } else { 8 }) as u32 }
    });
    cuts.into_iter().map(|at| Damage::Cut { at }).chain(flips).collect()
}

/// Files of one kind are damaged alike: the first and the last of each folder are tried.
fn chosen(tree: &Tree) -> Vec<String> {
    let mut folders: HashMap<String, Vec<String>> = HashMap::new();
    for name in tree.0.keys().filter(|name| name.starts_with("r/") || name.starts_with("j/")) {
        let (folder, file) = name.rsplit_once('/').unwrap();
        let kind = file.rsplit_once('.').map_or(file, |(stem, kind)| {
            if stem.bytes().all(|b| b.is_ascii_digit()) { kind } else { file }
        });
        folders.entry(format!("{folder}/{kind}")).or_default().push(name.clone());
    }
    let mut files: Vec<String> = folders.values().flat_map(|files| spread(files, 2)).collect();
    files.sort();
    files
}

/// Tries the readers whose place in their list leaves `part` of `parts`.
fn try_readers(part: usize, parts: usize) {
    let before = stages::before(Before::All);
    let files = chosen(&Tree::of(before));
    let (mut faults, mut tried) = (Vec::new(), 0);
    for (_, reader) in readers().into_iter().enumerate().filter(|(i, _)| i % parts == part) {
        let (ended, sound) = reader.run(&Place::copy_of(before));
        assert!(ended.succeeded(), "{}: {}", reader.name, ended.stderr);
        for file in files.iter().filter(|file| reader.reads(file)) {
            let bytes = fs::read(before.join(file)).unwrap();
            for damage in damages(&bytes) {
                let place = Place::copy_of(before);
                fs::write(place.path(file), damage.of(&bytes)).unwrap();
                tried += 1;
                if let Some(fault) = reader.fault(file, damage, &place, &sound) {
                    let near = around(&bytes, damage);
                    faults.push(format!("{} of {file}, {damage:?} {near}: {fault}", reader.name));
                }
            }
        }
    }
    assert_none(&faults, tried);
}

/// The bytes about a damage, to see what it hit.
fn around(bytes: &[u8], damage: Damage) -> String {
    let (Damage::Flip { at, .. } | Damage::Cut { at }) = damage;
    let near = &bytes[at.saturating_sub(12)..(at + 4).min(bytes.len())];
    format!("near {:?}", String::from_utf8_lossy(near))
}

#[test]
fn a_damaged_file_gives_the_same_answer_or_an_error_that_names_it() {
    try_readers(0, 2);
}

#[test]
fn a_damaged_file_gives_the_same_answer_or_an_error_that_names_it_to_other_readers() {
    try_readers(1, 2);
}

/// A file that is not there is told as such, and never a panic.
#[test]
fn a_missing_file_is_an_error_or_makes_no_difference_that_is_not_told() {
    let before = stages::before(Before::All);
    let (mut faults, mut tried) = (Vec::new(), 0);
    for reader in readers() {
        for file in chosen(&Tree::of(before)).iter().filter(|file| reader.reads(file)) {
            let place = Place::copy_of(before);
            fs::remove_file(place.path(file)).unwrap();
            let (ended, _) = reader.run(&place);
            tried += 1;
            if !ended.succeeded() && !ended.refused() {
                let text = ended.stderr.trim();
                faults.push(format!("{} without {file}: {}: {text}", reader.name, ended.status));
            }
        }
    }
    assert_none(&faults, tried);
}

/// Places that the tests of pipes share.
pub(crate) fn commands_that_read(file: &str) -> Vec<Vec<&'static str>> {
    readers().into_iter().filter(|reader| reader.reads(file)).map(|reader| reader.args).collect()
}

pub(crate) fn files_to_try(before: &Path) -> Vec<String> {
    chosen(&Tree::of(before))
}
