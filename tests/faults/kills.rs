//! Kills at the calls that write: strace ends the process at the entry of the n-th such call, so each
//! state that a power cut could leave is met. Then the same command must succeed, with the files of a
//! run that nothing happened to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::stages::{self, Stage};
use crate::{Ended, LOSSREEL, Place, assert_none, ended, everywhere, spread};

/// Calls after which something on the disk is another.
const CALLS: [&str; 15] = [
    "write",
    "writev",
    "pwrite64",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
];

/// How many of the calls are struck that only add bytes to a file, or wait for the disk: there are many,
/// and most leave what the next call that renames or removes is struck at.
const WRITES: usize = 6;

/// A place to strike: the n-th call of that name, counted from 1 in each thread.
type Point = (&'static str, usize);

fn strace(place: &Place, options: &[&str], args: &[&str]) -> Ended {
    let all = [&["-f"], options, &[LOSSREEL], args, &["--threads=1"]].concat();
    ended(place.command_of("strace", &all))
}

/// Whether processes can be traced here.
fn can_trace() -> bool {
    let place = Place::new();
    let mut command = place.command_of("strace", &["-f", "-o/dev/null", "true"]);
    let works = command.output().is_ok_and(|output| output.status.success());
    if !works {
        println!("skipped: strace is missing, or nothing may be traced here");
    }
    works
}

/// The calls by which `args` changes files in `place`.
fn points(place: &Place, args: &[&str]) -> Vec<Point> {
    let log = Place::new();
    let path = log.path("trace");
    let trace = format!("-etrace={}", CALLS.join(","));
    let ended = strace(place, &["-y", "-o", &path.display().to_string(), &trace], args);
    assert!(ended.succeeded(), "{args:?} under strace: {}", ended.stderr);
    let here = fs::canonicalize(place.root()).unwrap().display().to_string();
    let mut counts: BTreeMap<(&str, Point), usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for line in fs::read_to_string(&path).unwrap().lines() {
        // PID CALL(FD</path>, ... or PID <... CALL resumed> ...
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        let Some(&name) = CALLS.iter().find(|&&known| known == name) else { continue };
        let thread = counts.keys().map(|(t, _)| *t).find(|t| *t == thread).unwrap_or(thread);
        let count = counts.entry((thread, (name, 0))).or_insert(0);
        *count += 1;
        // Writes to the terminal or to another thread change no file; names may be relative.
        let to_file = !name.contains("write") || arguments.contains(&here);
        let failed = arguments.contains(" = -1 ");
        if to_file && !failed {
            found.insert((name, *count));
        }
    }
    found.into_iter().collect()
}

/// All of the calls that make, remove, rename or cut, and a spread of those that only write or sync.
fn chosen(points: &[Point]) -> Vec<Point> {
    let only_writes = |name: &str| name.contains("write") || name.contains("sync");
    let (writes, others): (Vec<Point>, Vec<Point>) =
        points.iter().partition(|(name, _)| only_writes(name));
    [others, spread(&writes, WRITES)].concat()
}

fn kill_at((name, n): Point, place: &Place, args: &[&str]) -> Ended {
    let trace = format!("-etrace={name}");
    let inject = format!("-einject={name}:signal=SIGKILL:when={n}");
    strace(place, &["-o/dev/null", &trace, &inject], args)
}

/// Kills the stage at each of the chosen calls.
fn strike(stages: impl Iterator<Item = Stage>) {
    if !can_trace() {
        return;
    }
    let (mut faults, mut tried, mut killed) = (Vec::new(), 0, 0);
    for stage in stages {
        let reference = stage.reference();
        for point in chosen(&points(&stage.place(), &stage.args)) {
            let place = stage.place();
            let struck = kill_at(point, &place, &stage.args);
            tried += 1;
            killed += usize::from(struck.was_killed());
            let (name, (call, n)) = (stage.name, point);
            if !struck.was_killed() && !struck.succeeded() {
                faults.push(format!("{name} traced: {}: {}", struck.status, struck.stderr.trim()));
            } else if let Err(fault) = stage.recovers(&place, &reference) {
                faults.push(format!("{name}, killed at {call} {n}: {fault}"));
            }
        }
    }
    println!("{killed} of {tried} processes were killed");
    assert_none(&faults, tried);
    // Which thread makes a call first is not the same each time.
    assert!(killed * 10 >= tried * 9, "{killed} of {tried} processes were killed");
}

fn named(wanted: &'static str) -> impl Iterator<Item = Stage> {
    stages::all().into_iter().filter(move |stage| stage.name.starts_with(wanted))
}

#[test]
fn a_training_killed_at_any_write_ends_as_if_nothing_had_happened() {
    strike(named("train"));
}

#[test]
fn a_plane_or_a_surface_killed_at_any_write_ends_as_if_nothing_had_happened() {
    let others = ["plane", "joint", "surface"];
    strike(others.into_iter().flat_map(named));
}

#[test]
fn a_curve_curvatures_an_import_or_a_picture_killed_at_any_write_ends_as_if_nothing_had_happened() {
    let others = ["curve", "curvature", "import", "render"];
    strike(others.into_iter().flat_map(named));
}

/// Kills at two calls, one after the other: what the first left must not mislead the second.
#[test]
fn a_force_killed_twice_leaves_no_old_cells_under_a_new_header() {
    if !can_trace() {
        return;
    }
    let stage = named("surface of another sample").next().unwrap();
    let reference = stage.reference();
    let points = points(&stage.place(), &stage.args);
    let unforced = &stage.args[..stage.args.len() - 1];
    let removals: Vec<Point> =
        points.iter().copied().filter(|(name, _)| name.starts_with("unlink")).collect();
    let (mut faults, mut tried) = (Vec::new(), 0);
    for &first in &removals {
        for second in spread(&points, 5) {
            let place = stage.place();
            kill_at(first, &place, &stage.args);
            kill_at(second, &place, unforced);
            tried += 1;
            // Whatever is there now is the old surface, the new one, or a part of the new one.
            let fault = stage.recovers(&place, &reference);
            let fault = fault.err().map(|e| format!("killed at {first:?}, then {second:?}: {e}"));
            faults.extend(fault);
        }
    }
    assert_none(&faults, tried);
}

/// The demo trains nets that take a minute, so it is only begun again; where every place is tried it
/// is run to its end.
#[test]
fn a_demo_killed_at_its_first_writes_is_begun_again() {
    if !can_trace() {
        return;
    }
    let (mut faults, mut tried) = (Vec::new(), 0);
    for point in
        [("mkdir", 1), ("mkdir", 2), ("write", 1), ("rename", 1), ("rename", 2), ("rename", 3)]
    {
        let place = Place::new();
        let struck = kill_at(point, &place, &["demo", "--out=d", "-q"]);
        tried += 1;
        if !struck.was_killed() || !begins_again(&place) {
            faults.push(format!("killed at {point:?}: {}", struck.status));
        }
    }
    assert_none(&faults, tried);
    if everywhere() {
        let place = Place::new();
        kill_at(("rename", 9), &place, &["demo", "--out=d"]);
        let mut command = place.command(&["demo", "--out=d"]);
        assert!(command.output().unwrap().status.success());
    }
}

/// Whether a demo in `place` comes to train both nets.
fn begins_again(place: &Place) -> bool {
    let mut command = place.command(&["demo", "--out=d"]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let first = place.path("d/with_shortcuts/snapshots/000000.safetensors");
    let mut ended = None;
    while ended.is_none() && !first.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
        ended = child.try_wait().unwrap();
    }
    // What it had to begin with is over; the rest is not waited for.
    let _ = child.kill();
    child.wait().unwrap();
    ended.is_none()
}
