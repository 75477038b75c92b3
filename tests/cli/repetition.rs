//! The same spec gives the same bytes, whatever happens on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::{Ended, MLP, Place, RESNET, files};

/// Products large enough that the library below cuts them among threads.
const LARGE: &[&str] = &[
    "train",
    "--dataset",
    "synthetic",
    "--set=model.arch=vgg9",
    "--set=model.width=0.125",
    "--set=data.train_samples=32",
    "--set=data.test_samples=10",
    "--set=train.batch_size=32",
    "--set=train.epochs=1",
];

/// What must not differ between two runs of a spec: snapshots and checkpoint to the byte, and the
/// metrics but for the time they took.
pub fn essence(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut kept = files(run);
    kept.retain(|name, _| name.starts_with("snapshots") || name.starts_with("checkpoint"));
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    for (i, line) in metrics.lines().enumerate() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("elapsed_secs");
        kept.insert(format!("metrics line {i:04}"), line.to_string().into_bytes());
    }
    kept
}

pub fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (essence(a), essence(b));
    let differ = |name: &&String| a.get(*name) != b.get(*name);
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).filter(differ).collect();
    assert!(names.is_empty(), "these differ or are on one side only: {names:?}");
}

pub fn spawn(place: &Place, args: &[&str]) -> Child {
    place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until `done` or the child ends by itself.
pub fn wait_for(child: &mut Child, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() && child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(120), "nothing happens");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(unix)]
fn signal_interrupt(child: &Child) -> bool {
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
}

pub fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| entries.count())
}

#[test]
fn two_runs_of_one_spec_are_identical_whatever_the_number_of_threads() {
    let place = Place::new();
    for (name, spec) in [("mlp", MLP), ("resnet", RESNET), ("vgg", LARGE)] {
        let runs = [("first", "2"), ("second", "2"), ("alone", "1")];
        let mut first = None;
        for (run, threads) in runs {
            let run = format!("{name}-{run}");
            place.ok(&[spec, &["--out", &run, "--threads", threads]].concat());
            let first = first.get_or_insert_with(|| place.path(&run));
            assert_same(first, &place.path(&run));
        }
        // The seed matters: otherwise all of this would prove little.
        let other = [spec, &["--out", "other", "--force", "--set=train.seed=1"]].concat();
        place.ok(&other);
        assert_ne!(essence(&first.unwrap()), essence(&place.path("other")));
    }
}

#[cfg(unix)]
#[test]
fn a_run_interrupted_by_ctrl_c_and_resumed_equals_an_uninterrupted_one() {
    let place = Place::new();
    place.ok(&[RESNET, &["--out", "whole"]].concat());

    let mut child = spawn(&place, &[RESNET, &["--out", "halved", "--json"]].concat());
    let metrics = place.path("halved/metrics.jsonl");
    // The signal comes early in the second epoch.
    let ended = |log: String| log.contains(r#""kind":"epoch""#);
    wait_for(&mut child, || fs::read_to_string(&metrics).is_ok_and(ended));
    assert!(signal_interrupt(&child));
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(ended.stderr.contains("lossreel train --resume halved"), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["verdict"], "interrupted");
    let steps = report["steps"].as_u64().unwrap();
    assert!((25..75).contains(&steps), "interrupted after {steps} steps of 75");

    assert_eq!(place.json(&["train", "--resume", "halved"])["steps"], 75);
    assert_same(&place.path("whole"), &place.path("halved"));
}

#[test]
fn a_run_killed_again_and_again_and_resumed_equals_an_uninterrupted_one() {
    let place = Place::new();
    place.ok(&[RESNET, &["--out", "whole"]].concat());

    let (run, snapshots) = (place.path("killed"), place.path("killed/snapshots"));
    let mut kills = 0;
    // Wherever the blow falls: in training, writing a snapshot, a log line or a checkpoint.
    for after in [1, 3, 5, 7] {
        let args = match after {
            1 => [RESNET, &["--out", "killed"]].concat(),
            _ => vec!["train", "--resume", "killed"],
        };
        let mut child = spawn(&place, &args);
        wait_for(&mut child, || {
            run.join("checkpoint.safetensors").exists() && count(&snapshots) > after
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        std::thread::sleep(Duration::from_micros(u64::from(now.subsec_micros() % 20_000)));
        // An error here means that it ended by itself.
        kills += usize::from(child.kill().is_ok());
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert!(ended.code <= 0, "{}", ended.stderr);
    }
    assert!(kills >= 2, "the run ended before it could be killed");
    // And a snapshot and a log line torn in the middle.
    fs::write(snapshots.join(".000001.safetensors.0123456789abcdef.tmp"), "half").unwrap();
    let mut log = fs::read(run.join("metrics.jsonl")).unwrap();
    log.extend(b"{\"kind\":\"step\",\"st");
    fs::write(run.join("metrics.jsonl"), log).unwrap();

    place.ok(&["train", "--resume", "killed"]);
    assert_same(&place.path("whole"), &run);
    assert_eq!(place.json(&["inspect", "killed"])["status"]["verdict"], "finished");
}

#[test]
fn resuming_a_run_that_has_ended_changes_nothing() {
    let place = Place::new();
    let stop: &[&str] = &["--set=train.early_stop=1", "--set=optim.lr=0", "--set=train.epochs=9"];
    let diverge: &[&str] = &["--set=model.norm=none", "--set=optim.lr=1e12"];
    let ends = [("finished", &[][..]), ("early_stopped", stop), ("diverged", diverge)];
    for (verdict, more) in ends {
        place.train("run", &[more, &["--force"]].concat());
        assert_eq!(place.json(&["inspect", "run"])["status"]["verdict"], verdict);
        let before = essence(&place.path("run"));
        assert_eq!(place.json(&["train", "--resume", "run"])["verdict"], verdict);
        assert!(before == essence(&place.path("run")), "{verdict}");
    }
}

#[test]
fn a_killed_surface_goes_on_and_ends_in_the_same_bytes() {
    let place = Place::new();
    place.ok(&[RESNET, &["--out", "run", "--set=train.epochs=1"]].concat());
    place.ok(&["plane", "run"]);
    let surface = |name| ["surface", "run", "--grid", "11x9", "--samples", "50", "--name", name];
    place.ok(&surface("whole"));

    let mut child = spawn(&place, &surface("killed"));
    let cells = place.path("run/surfaces/killed/cells.jsonl");
    wait_for(&mut child, || fs::metadata(&cells).is_ok_and(|m| m.len() > 0));
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = fs::read_to_string(&cells).unwrap().lines().count();
    assert!((1..99).contains(&kept), "{kept} cells of 99 before the kill");

    interrupt_when_longer(&place, &surface("killed"), &cells);
    assert_eq!(place.json(&surface("killed"))["evaluated"], 99);
    let read = |name: &str| files(&place.path("run/surfaces").join(name));
    assert_eq!(read("whole"), read("killed"));
}

/// Ctrl-C once `log` has grown: the command says that it can go on.
#[cfg(unix)]
fn interrupt_when_longer(place: &Place, args: &[&str], log: &Path) {
    let len = || fs::metadata(log).map_or(0, |m| m.len());
    let before = len();
    let mut child = spawn(place, args);
    wait_for(&mut child, || len() > before);
    assert!(signal_interrupt(&child));
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(ended.stderr.contains("the same command goes on from there"), "{}", ended.stderr);
}

#[cfg(not(unix))]
fn interrupt_when_longer(_: &Place, _: &[&str], _: &Path) {}

#[test]
fn a_surface_does_not_depend_on_the_number_of_threads() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    for (name, threads) in [("one", "1"), ("two", "2")] {
        let args = ["--grid", "5x5", "--samples", "120", "--name", name, "--threads", threads];
        place.ok(&[&["surface", "run"], &args[..]].concat());
    }
    let read = |name: &str| files(&place.path("run/surfaces").join(name));
    assert_eq!(read("one"), read("two"));
}
