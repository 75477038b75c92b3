//! A learning rate that blows up: the run says so, keeps what is finite, and the film is made.

use std::fs;

use serde_json::Value;

use crate::{MLP, Place};

/// Trains without normalisation, which would hold the net together, at a hopeless rate.
fn diverge(place: &Place, lr: &str, every: &str) -> Value {
    let lr = format!("--set=optim.lr={lr}");
    let every = format!("--set=record.every={every}");
    let report =
        place.json(&[MLP, &["--out", "run", "--set=model.norm=none", &lr, &every]].concat());
    assert_eq!(report["verdict"], "diverged", "{report}");
    report
}

fn film(place: &Place) {
    place.ok(&["surface", "run", "--grid", "5x5", "--samples", "40"]);
    for file in ["film.gif", "film.mp4", "film.png"] {
        let args = ["render", "run", "--out", file, "--size", "640x360", "--frames", "4"];
        place.ok(&args);
        assert!(fs::metadata(place.path(file)).unwrap().len() > 1000, "{file}");
    }
}

#[test]
fn a_diverged_run_records_the_nan_and_its_film_shows_the_finite_part() {
    let place = Place::new();
    let report = diverge(&place, "1000", "1 steps");
    let step = report["step"].as_u64().unwrap();
    assert!(step >= 3, "diverged at step {step}: too early for this test");

    let metrics = fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert_eq!((&last["step"], &last["kind"]), (&step.into(), &"step".into()));
    let loss = last["loss"].as_str().expect("a loss that is no number is a string");
    assert!(["NaN", "inf"].contains(&loss), "{loss}");
    let status = &place.json(&["inspect", "run"])["status"];
    assert_eq!((&status["verdict"], &status["step"]), (&"diverged".into(), &step.into()));

    let plane = place.json(&["plane", "run"]);
    // Snapshot k is of step k; the state whose loss overflowed is the last of them.
    assert_eq!(plane["excluded"], serde_json::json!([step - 1]), "{plane}");
    assert_eq!(plane["snapshots"], step - 1);
    film(&place);
    // Evaluation takes the last finite state.
    assert!(place.json(&["evaluate", "run"])["loss"].is_f64());
}

#[test]
fn a_run_that_diverges_before_its_second_snapshot_still_has_a_film() {
    let place = Place::new();
    let report = diverge(&place, "1e12", "epoch");
    assert_eq!(report["snapshots"], 2, "the start, and where it broke");
    let plane = place.json(&["plane", "run"]);
    assert_eq!((&plane["snapshots"], &plane["excluded"]), (&1.into(), &serde_json::json!([1])));
    film(&place);
}

#[test]
fn divergence_is_said_in_words_with_a_remedy() {
    let place = Place::new();
    let more = ["--out", "run", "--set=model.norm=none", "--set=optim.lr=1e12"];
    let ended = place.run(&[MLP, &more].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for words in ["diverged", "lr 1000000000000", "lower optim.lr"] {
        assert!(ended.stdout.contains(words), "no `{words}` in {}", ended.stdout);
    }
}
