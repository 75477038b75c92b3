//! What is damaged is noticed by whoever reads it and named by `inspect --check`; `inspect --repair`
//! tidies what killed processes left and touches nothing that is whole.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Place, files};

/// A run with one artifact of every kind.
fn place_with_all() -> Place {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    place.ok(&["surface", "r", "--grid=4x3", "--samples=16", "--gradients=2x2"]);
    place.ok(&["surface", "r", "--stack=snapshots", "--layers=2", "--grid=3x3", "--samples=16"]);
    place.ok(&["curve", "r", "--points=3", "--samples=16"]);
    place.ok(&["curvature", "r", "--samples=16"]);
    place
}

/// The report of `inspect --check`, whatever its exit code.
fn checked(place: &Place, folder: &str, more: &[&str]) -> Value {
    let args = [&["inspect", folder, "--check", "--json"], more].concat();
    let ended = place.run(&args);
    let report: Value = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|e| panic!("{e}: {} {}", ended.stdout, ended.stderr));
    assert_eq!(ended.code, i32::from(report["damaged"] != 0), "{}", ended.stderr);
    report
}

/// The paths of the artifacts in a state.
fn in_state<'a>(report: &'a Value, state: &str) -> Vec<&'a str> {
    let artifacts = report["artifacts"].as_array().unwrap();
    let of = artifacts.iter().filter(|a| a["state"] == state);
    of.map(|a| a["path"].as_str().unwrap()).collect()
}

/// Flips a bit of the byte at `share` of the file's length.
fn flip(path: &Path, share: f64) {
    let mut bytes = fs::read(path).unwrap();
    let at = (share * bytes.len() as f64) as usize;
    bytes[at] ^= 0x04;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_any_artifact_is_refused_by_its_readers_and_named_by_the_check() {
    let place = place_with_all();
    let report = checked(&place, "r", &[]);
    let all = report["artifacts"].as_array().unwrap().len();
    assert_eq!(in_state(&report, "whole").len(), all, "{report:#}");
    assert!(all >= 14, "{report:#}");

    let render = ["render", "r", "--as=surface", "--size=320x200", "--out=o.png"];
    let stack =
        ["render", "r", "--as=moving", "--surface=pca-snapshots", "--size=320x200", "--out=o.png"];
    for (file, artifact, reader) in [
        ("manifest.json", "manifest.json", &["inspect", "r"][..]),
        ("metrics.jsonl", "metrics.jsonl", &["render", "r", "--size=320x200", "--out=o.png"]),
        (
            "snapshots/000001.safetensors",
            "snapshots/000001.safetensors",
            &["plane", "r", "--name=new"],
        ),
        ("snapshots/000002.safetensors", "snapshots/000002.safetensors", &["evaluate", "r"]),
        ("checkpoint.safetensors", "checkpoint.safetensors", &["train", "--resume=r"]),
        ("planes/pca.safetensors", "planes/pca.safetensors", &render),
        ("surfaces/pca/grid.json", "surfaces/pca", &render),
        ("surfaces/pca/cells.jsonl", "surfaces/pca", &render),
        ("surfaces/pca/paths.jsonl", "surfaces/pca", &render),
        (
            "surfaces/pca/gradients/cells.jsonl",
            "surfaces/pca/gradients",
            &["render", "r", "--arrows=measured", "--size=320x200", "--out=o.png"],
        ),
        ("surfaces/pca-snapshots/stack.json", "surfaces/pca-snapshots/stack.json", &stack),
        (
            "surfaces/pca-snapshots/layers/001/cells.jsonl",
            "surfaces/pca-snapshots/layers/001",
            &stack,
        ),
        (
            "curves/curve/cells.jsonl",
            "curves/curve",
            &["render", "r", "--as=curve", "--size=320x200", "--out=o.png"],
        ),
    ] {
        let path = place.path("r").join(file);
        let whole = fs::read(&path).unwrap();
        flip(&path, 0.6);
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        place.refused(reader, &[name]);
        assert!(!place.path("o.png").exists(), "{file}");
        let report = checked(&place, "r", &[]);
        assert!(in_state(&report, "damaged").contains(&artifact), "{file}: {report:#}");
        fs::write(&path, whole).unwrap();
    }
    let text = place.run(&["inspect", "r", "--check"]);
    assert!(
        text.stdout.ends_with(&format!("{all} of {all} artifacts are whole\n")),
        "{}",
        text.stdout
    );

    flip(&place.path("r/snapshots/000000.safetensors"), 0.9);
    let ended = place.run(&["inspect", "r", "--check"]);
    assert_eq!(ended.code, 1);
    for words in ["damaged         snapshots/000000.safetensors: ", "still usable    what was made"]
    {
        assert!(ended.stdout.contains(words), "{}", ended.stdout);
    }
    assert!(ended.stderr.contains("1 of its artifacts is damaged"), "{}", ended.stderr);
}

#[test]
fn a_missing_last_snapshot_and_a_log_cut_short_are_damage() {
    let place = Place::new();
    place.train("r", &[]);
    fs::rename(place.path("r/snapshots/000002.safetensors"), place.path("kept")).unwrap();
    assert_eq!(in_state(&checked(&place, "r", &[]), "damaged"), ["snapshots"]);
    fs::rename(place.path("kept"), place.path("r/snapshots/000002.safetensors")).unwrap();
    fs::rename(place.path("r/snapshots/000001.safetensors"), place.path("kept")).unwrap();
    let missing = checked(&place, "r", &[]);
    assert_eq!(in_state(&missing, "damaged"), ["snapshots/000001.safetensors"]);
    fs::rename(place.path("kept"), place.path("r/snapshots/000001.safetensors")).unwrap();
    // A snapshot of another run of the same net is whole, and not this run's.
    place.train("other", &["--set=train.seed=9"]);
    fs::copy(place.path("r/snapshots/000001.safetensors"), place.path("kept")).unwrap();
    let of = |run: &str| place.path(&format!("{run}/snapshots/000001.safetensors"));
    fs::copy(of("other"), of("r")).unwrap();
    assert_eq!(in_state(&checked(&place, "r", &[]), "damaged"), ["snapshots"]);
    place.refused(&["train", "--resume=r"], &["snapshots", "another run"]);
    fs::rename(place.path("kept"), of("r")).unwrap();
    assert_eq!(checked(&place, "r", &[])["damaged"], 0);
    let log = fs::read_to_string(place.path("r/metrics.jsonl")).unwrap();
    let short: Vec<&str> = log.split_inclusive('\n').take(3).collect();
    fs::write(place.path("r/metrics.jsonl"), short.concat()).unwrap();
    assert_eq!(in_state(&checked(&place, "r", &[]), "damaged"), ["metrics.jsonl"]);
    place.refused(&["inspect", "r"], &["metrics.jsonl", "step 3", "step 8"]);
}

#[test]
fn repair_tidies_what_is_torn_or_unfinished_and_nothing_whole() {
    let place = place_with_all();
    let whole = files(&place.path("r"));
    for log in ["metrics.jsonl", "surfaces/pca/cells.jsonl", "curves/curve/cells.jsonl"] {
        let path = place.path("r").join(log);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}{{\"k\": 3, \"lo")).unwrap();
    }
    for folder in [".", "snapshots", "surfaces/pca", "surfaces/pca-snapshots/layers/000"] {
        let name = ".something.0123456789abcdef.tmp";
        fs::write(place.path("r").join(folder).join(name), "half").unwrap();
    }
    fs::write(place.path("r/spec.toml"), "").unwrap();
    fs::create_dir(place.path("r/surfaces/cut short")).unwrap();
    fs::write(place.path("r/surfaces/cut short/cells.jsonl"), "{\"k\":0}\n").unwrap();
    fs::write(place.path("r/surfaces/cut short/notes.txt"), "mine").unwrap();

    place.refused(&["evaluate", "r"], &["spec is empty", "manifest"]);
    let report = checked(&place, "r", &[]);
    assert_eq!(in_state(&report, "damaged"), ["spec.toml"]);
    assert_eq!(in_state(&report, "left_over").len(), 8, "{report:#}");
    let report = checked(&place, "r", &["--repair"]);
    assert_eq!(report["repaired"].as_array().unwrap().len(), 9, "{report:#}");
    assert!(in_state(&report, "left_over").is_empty() && report["damaged"] == 0, "{report:#}");
    assert_eq!(fs::read_to_string(place.path("r/surfaces/cut short/notes.txt")).unwrap(), "mine");
    fs::remove_dir_all(place.path("r/surfaces/cut short")).unwrap();
    assert_eq!(files(&place.path("r")), whole);
    let again = checked(&place, "r", &["--repair"]);
    assert!(again["repaired"].as_array().unwrap().is_empty());

    fs::remove_file(place.path("r/spec.toml")).unwrap();
    checked(&place, "r", &["--repair"]);
    assert_eq!(files(&place.path("r")), whole);
    fs::create_dir(place.path("else")).unwrap();
    place.refused(&["inspect", "else", "--check"], &["not a run"]);
    place.refused(&["inspect", "else", "--repair"], &["not a run"]);
}

#[test]
fn a_joint_folder_is_checked_too() {
    let place = Place::new();
    let every = "--set=record.every=\"1 steps\"";
    place.train("a", &[every]);
    place.train("b", &[every, "--set=optim.lr=0.02"]);
    place.ok(&["plane", "a", "b", "--out=j", "--snapshot-map"]);
    place.ok(&["surface", "j", "--grid=3x3", "--samples=16"]);
    let report = checked(&place, "j", &[]);
    let all = report["artifacts"].as_array().unwrap().len();
    assert!(all >= 4 && in_state(&report, "whole").len() == all, "{report:#}");
    let one = |folder: &str| {
        let entries = fs::read_dir(place.path("j").join(folder)).unwrap();
        let mut names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        format!("{folder}/{}", names.find(|name| !name.starts_with('.')).unwrap())
    };
    for file in ["joint.json".to_string(), one("planes"), one("maps")] {
        let path = place.path("j").join(&file);
        let whole = fs::read(&path).unwrap();
        flip(&path, 0.6);
        assert!(in_state(&checked(&place, "j", &[]), "damaged").contains(&file.as_str()), "{file}");
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_spec_that_no_longer_says_what_was_trained_is_refused_by_every_stage() {
    let place = place_with_all();
    let path = place.path("r/spec.toml");
    let spec = fs::read_to_string(&path).unwrap();
    fs::write(&path, spec.replace("train_samples = 200", "train_samples = 190")).unwrap();
    for args in [
        &["evaluate", "r"][..],
        &["surface", "r", "--grid=4x3", "--samples=16"],
        &["curve", "r", "--points=3", "--samples=16"],
        &["train", "--resume=r"],
    ] {
        place.refused(args, &["data.train_samples changed", "spec.toml"]);
    }
    assert_eq!(in_state(&checked(&place, "r", &[]), "damaged"), ["spec.toml"]);
    // What may change is no damage.
    fs::write(&path, spec.replace("epochs = 2", "epochs = 3")).unwrap();
    assert_eq!(checked(&place, "r", &[])["damaged"], 0);
    place.ok(&["evaluate", "r"]);
}

/// Runs a command that must end by itself within seconds, whatever its exit code; its stderr.
#[cfg(unix)]
fn ends(place: &Place, args: &[&str]) -> String {
    use std::process::Stdio;
    let mut child =
        place.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{args:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
}

#[cfg(unix)]
#[test]
fn a_pipe_or_an_endless_file_in_the_place_of_an_artifact_hangs_no_reader() {
    let place = place_with_all();
    let render = ["render", "r", "--size=320x200", "--out=o.png"];
    for (file, reader) in [
        ("manifest.json", &["inspect", "r"][..]),
        ("metrics.jsonl", &render),
        ("snapshots/000001.safetensors", &["plane", "r"]),
        ("checkpoint.safetensors", &["train", "--resume=r", "--set=train.epochs=3"]),
        ("planes/pca.safetensors", &render),
        ("surfaces/pca/grid.json", &render),
        ("surfaces/pca/cells.jsonl", &render),
        ("surfaces/pca/cells.jsonl", &["surface", "r", "--grid=4x3", "--samples=16"]),
        ("curvature/000002.json", &["curvature", "r", "--samples=16"]),
        ("spec.toml", &["evaluate", "r"]),
    ] {
        let path = place.path("r").join(file);
        let aside = place.path("aside");
        fs::rename(&path, &aside).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let said = ends(&place, reader);
        assert!(!said.is_empty(), "{file}");
        ends(&place, &["inspect", "r", "--check"]);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        ends(&place, reader);
        ends(&place, &["inspect", "r", "--check"]);
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    assert_eq!(checked(&place, "r", &[])["damaged"], 0);
}
