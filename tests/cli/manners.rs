//! How the command behaves as a process: streams, exit codes, completions.

use std::process::Stdio;

use crate::{MLP, Place, assert_keys};

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    let place = Place::new();
    let wrong: &[&[&str]] = &[
        &["no-such-command"],
        &["train", "--no-such-flag"],
        &["train", "--resume", "a", "--set", "x.y=1"],
        &["evaluate"],
        &["evaluate", "--weights", "x"],
        &["evaluate", "run", "--weights", "x", "--arch", "mlp"],
        &["render", "run"],
        &["render", "run", "--out", "a.png", "--as", "sculpture"],
        &["completions", "cobol"],
    ];
    for args in wrong {
        let ended = place.run(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("Usage") || ended.stderr.contains("--help"), "{args:?}");
    }
    assert!(place.ok(&["--help"]).contains("surface"));
    assert!(place.ok(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    let place = Place::new();
    let talkative: &[&[&str]] = &[
        &["inspect", "--arch", "resnet110"],
        &["inspect", "--arch", "resnet110", "--json"],
        &["completions", "bash"],
        &["datasets"],
    ];
    for args in talkative {
        let mut child =
            place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended: crate::Ended = child.wait_with_output().unwrap().into();
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
    }
    // `2>&1 | head -1` closes both.
    let args = [MLP, &["--out", "run"]].concat();
    let mut child =
        place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(place.json(&["inspect", "run"])["status"]["verdict"], "finished");
}

#[test]
fn quiet_says_nothing_but_the_result() {
    let place = Place::new();
    let quiet = place.run(&[MLP, &["--out", "a", "--quiet"]].concat());
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));
    assert!(quiet.stdout.contains("finished after 8 steps"), "{}", quiet.stdout);
    let loud = place.run(&[MLP, &["--out", "b"]].concat());
    assert!(loud.stderr.contains("training mlp"), "{}", loud.stderr);
    // An error is said all the same.
    place.refused(&["inspect", "nowhere", "--quiet"], &["nowhere"]);
}

#[test]
fn completions_are_printed_for_bash() {
    let script = Place::new().ok(&["completions", "bash"]);
    assert!(script.contains("_lossreel") && script.contains("--sample-order"));
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let place = Place::new();
    let plan = place.json(&[MLP, &["--out", "run", "--dry-run"]].concat());
    assert_keys(&plan, &["parameters", "estimated_seconds", "spec"]);
    assert_eq!((&plan["steps"], &plan["snapshots"]), (&8.into(), &3.into()));
    assert_eq!(plan["spec"]["optim"]["lr"], 0.1, "every default is written out");
    assert!(!place.path("run").exists());
}

#[test]
fn every_dataset_is_listed() {
    let rows = Place::new().json(&["datasets", "list"]);
    let names: Vec<&str> =
        rows.as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "cifar10",
            "cifar100",
            "mnist",
            "fashion_mnist",
            "kmnist",
            "svhn",
            "digits",
            "synthetic",
            "spirals",
            "moons",
            "rings",
            "gaussians",
            "folder",
            "npz",
            "csv",
            "text"
        ]
    );
    let found = Place::new().json(&["datasets", "fetch", "digits"]);
    assert_eq!((&found["train"], &found["test"]), (&1437.into(), &360.into()));
}
