//! A disk that is full: a small file system of its own for each stage, where a process may have one,
//! and files that may not grow. The command says that it cannot write, what was there stays whole, and
//! with room again the same command gives the files of a run that nothing happened to.

use std::fs;
use std::path::Path;

use crate::stages::{self, Stage};
use crate::tree::Tree;
use crate::{Ended, LOSSREEL, Place, assert_none, ended, everywhere, spread};

/// Bytes that a file system in memory takes for each begun part of a file.
const PAGE: u64 = 4096;

/// Copies the folder $2 into a new file system of $1 kB, runs the rest there, copies all back to $3.
const IN_A_SMALL_DISK: &str = "
    mount -t tmpfs -o size=$1k none /mnt && cp -a \"$2\"/. /mnt || exit 99
    back=$3; cd /mnt; shift 3; \"$@\"; code=$?; cp -a . \"$back\"; exit $code";

/// Runs the rest with files that grow to $1 blocks of 512 bytes at most; one has room for a message.
const WITH_SMALL_FILES: &str = "trap '' XFSZ; ulimit -f $1; shift; exec \"$@\"";

/// The stage on a disk of `kilobytes`; what it leaves is in the returned place.
fn on_a_small_disk(stage: &Stage, kilobytes: u64) -> (Ended, Place) {
    let (before, after) = (stage.place(), Place::new());
    let size = kilobytes.to_string();
    let folders = [&before, &after].map(|place| place.root().display().to_string());
    let fixed =
        ["-rm", "sh", "-c", IN_A_SMALL_DISK, "sh", &size, &folders[0], &folders[1], LOSSREEL];
    let args = [&fixed[..], &stage.args, &["--threads=1"]].concat();
    let ended = ended(before.command_of("unshare", &args));
    (ended, after)
}

fn with_small_files(stage: &Stage, blocks: u64) -> (Ended, Place) {
    let place = stage.place();
    let blocks = blocks.to_string();
    let fixed = ["-c", WITH_SMALL_FILES, "sh", &blocks, LOSSREEL];
    let args = [&fixed[..], &stage.args, &["--threads=1"]].concat();
    (ended(place.command_of("sh", &args)), place)
}

/// Whether a process may have a file system of its own here.
pub fn can_mount() -> bool {
    let place = Place::new();
    let script = "mount -t tmpfs -o size=64k none /mnt";
    let mut command = place.command_of("unshare", &["-rm", "sh", "-c", script]);
    let works = command.output().is_ok_and(|output| output.status.success());
    if !works {
        println!("skipped: no file system may be mounted here");
    }
    works
}

/// Pages that the files below a folder take, each folder's own page included.
fn pages(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            about if about.is_dir() => pages(&entry.path()),
            about => about.len().div_ceil(PAGE),
        })
        .sum()
}

/// What is wrong with how a stage ended for which there was too little room.
fn fault(stage: &Stage, ended: &Ended, place: &Place, reference: &Tree) -> Option<String> {
    let text = ended.stderr.trim();
    if !ended.succeeded() && !ended.refused() {
        return Some(format!("{}: {text}", ended.status));
    }
    if ended.refused() && !text.contains("cannot") {
        return Some(format!("does not say what it cannot do: {text}"));
    }
    let differences = reference.differences(&Tree::of(place.root()));
    if ended.succeeded() && !differences.is_empty() {
        return Some(format!("success, and {}", differences.join(", ")));
    }
    let left: Vec<&String> =
        differences.iter().filter(|difference| difference.ends_with(".tmp")).collect();
    if !left.is_empty() {
        return Some(format!("{left:?}"));
    }
    stage.recovers(place, reference).err()
}

/// Sizes from nothing to `most`, closer together where they are small.
fn sizes(most: u64) -> Vec<u64> {
    let all: Vec<u64> = (0..=most).collect();
    if everywhere() || most < 6 {
        return all;
    }
    let mut sizes = vec![0, 1, 2];
    sizes.extend([most / 4, most / 2, 3 * most / 4, most - 1, most]);
    sizes.dedup();
    sizes
}

#[test]
fn on_a_full_disk_a_stage_says_so_and_ends_when_there_is_room() {
    if !can_mount() {
        return;
    }
    let (mut faults, mut tried, mut full) = (Vec::new(), 0, 0);
    for stage in stages::all() {
        let before = pages(stages::before(stage.before));
        let place = stage.place();
        place.ok(&stage.args);
        let reference = Tree::of(place.root());
        // The lock is an empty file, and a replaced file is there twice.
        let needed = pages(place.root()).saturating_sub(before);
        for more in sizes(needed) {
            let (ended, left) = on_a_small_disk(&stage, (before + more) * PAGE / 1024);
            assert!(ended.status.code() != Some(99), "{}", ended.stderr);
            tried += 1;
            full += usize::from(ended.refused());
            let fault = fault(&stage, &ended, &left, &reference);
            faults.extend(fault.map(|e| format!("{}, {more} of {needed} pages: {e}", stage.name)));
        }
    }
    println!("{full} of {tried} disks were too small");
    assert_none(&faults, tried);
    assert!(full * 2 >= tried, "{full} of {tried} disks were too small");
}

#[test]
fn where_a_file_cannot_grow_a_stage_says_so_and_ends_when_it_can() {
    let (mut faults, mut tried, mut full) = (Vec::new(), 0, 0);
    for stage in stages::all() {
        let reference = stage.reference();
        for blocks in spread(&[1, 2, 3, 4, 6, 8, 12, 16, 32, 64], 5) {
            let (ended, left) = with_small_files(&stage, blocks);
            tried += 1;
            full += usize::from(ended.refused());
            let fault = fault(&stage, &ended, &left, &reference);
            faults.extend(fault.map(|e| format!("{}, files of {blocks}: {e}", stage.name)));
        }
    }
    println!("{full} of {tried} limits were too small");
    assert_none(&faults, tried);
    assert!(full * 4 >= tried, "{full} of {tried} limits were too small");
}
