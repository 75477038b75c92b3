//! Sharpness: measured while training, computed afterwards, and drawn; and gradients on a map.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{Place, assert_keys, files};

/// The measurements in a run's log.
fn logged(run: &Path) -> Vec<Value> {
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == "sharpness").collect()
}

#[test]
fn sharpness_is_the_same_measured_while_training_and_computed_afterwards() {
    let place = Place::new();
    let measured = ["--set=record.sharpness=epoch", "--set=record.sharpness_samples=60"];
    place.train("plain", &[]);
    place.train("measured", &measured);
    // Measuring does not change what is trained.
    let trained = |run: &str| {
        let mut kept = files(&place.path(run));
        kept.retain(|name, _| name.starts_with("snapshots") || name.starts_with("checkpoint"));
        kept
    };
    assert!(trained("plain") == trained("measured"));
    assert!(logged(&place.path("plain")).is_empty());
    let lines = logged(&place.path("measured"));
    let steps: Vec<u64> = lines.iter().map(|l| l["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 4, 8]);

    let found = place.json(&["curvature", "plain", "--samples", "60"]);
    let wanted = ["eigenvalues", "residuals", "smallest", "trace", "trace_se", "hvp_seconds"];
    assert_keys(&found, &wanted);
    let snapshots = found["snapshots"].as_array().unwrap();
    assert_eq!(snapshots.len(), 3);
    for (line, snapshot) in lines.iter().zip(snapshots) {
        assert_eq!(line["sharpness"], snapshot["eigenvalues"][0], "{line} {snapshot}");
        assert!(snapshot["converged"] == true && line["sharpness"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(found["eigenvalues"], snapshots[2]["eigenvalues"], "the last state's on top");
    assert!(found["smallest"][0].as_f64() < found["eigenvalues"][0].as_f64());

    // The last snapshot as a file of weights is the same point.
    let weights = "plain/snapshots/000002.safetensors";
    let of_file = ["curvature", "--weights", weights, "--arch", "mlp", "--dataset", "digits"];
    assert_keys(&place.json(&[&of_file[..], &["--samples", "60"]].concat()), &wanted);
}

#[test]
fn curvatures_that_are_done_are_not_done_again() {
    let place = Place::new();
    place.train("run", &[]);
    let one = ["curvature", "run", "--samples", "50", "--snapshots", "1"];
    place.ok(&one);
    let folder = place.path("run/curvature");
    assert_eq!(files(&folder).keys().collect::<Vec<_>>(), ["000002.json"]);
    let before = files(&folder);
    let all = ["curvature", "run", "--samples", "50"];
    assert_eq!(place.json(&all)["snapshots"].as_array().unwrap().len(), 3);
    let after = files(&folder);
    assert!(after.len() == 3 && after["000002.json"] == before["000002.json"]);
    place.ok(&all);
    assert!(files(&folder) == after, "seconds and all: nothing was computed");

    let other = ["curvature", "run", "--samples", "40"];
    place.refused(&other, &["50 train images", "--force"]);
    place.ok(&[&other[..], &["--force"]].concat());
    assert_eq!(files(&folder).len(), 3);
    place.refused(&["curvature", "run", "--snapshots", "some"], &["write all"]);
    place.refused(&["curvature", "run", "--snapshot", "7"], &["use 0 to 2"]);
    place.refused(&["curvature", "run", "--tolerance", "0"], &["1e-3"]);
    place.refused(&["curvature", "run", "--eigenvalues", "0"], &["--eigenvalues"]);
}

#[test]
fn a_film_shows_sharpness_where_there_is_some_and_names_the_command_where_not() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid", "3x3", "--samples", "20"]);
    let strip = ["--strip", "loss,accuracy,lr,sharpness,grad-norm", "--out", "x.svg"];
    let render = [&["render", "run"], &strip[..]].concat();
    place.refused(&render, &["lossreel curvature run", "record.sharpness=epoch"]);
    place.ok(&["curvature", "run", "--samples", "50"]);
    place.ok(&render);
    let svg = fs::read_to_string(place.path("x.svg")).unwrap();
    assert!(svg.contains("Sharpness") && svg.contains(">1.36/lr<"), "the edge with Nesterov's 0.9");
    // Another scene, the run's own measurements, no momentum.
    place.train("own", &["--set=record.sharpness=2 steps", "--set=optim.momentum=0"]);
    place.ok(&[&["render", "own", "--as", "histograms"], &strip[..]].concat());
    let svg = fs::read_to_string(place.path("x.svg")).unwrap();
    assert!(svg.contains("Sharpness") && svg.contains(">2/lr<"), "{svg}");
}

#[test]
fn arrows_are_measured_where_somebody_measured_them() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    let surface = ["surface", "run", "--grid", "5x5", "--samples", "20"];
    place.ok(&surface);
    let render = |arrows: &str| {
        let stdout = place.ok(&["render", "run", "--out", "x.svg", "--size", "2400x720", arrows]);
        assert!(stdout.contains("x.svg"));
        fs::read_to_string(place.path("x.svg")).unwrap()
    };
    let measured = ["render", "run", "--out", "x.svg", "--arrows=measured"];
    place.refused(&measured, &["--gradients"]);
    assert!(render("--arrows").contains("of the interpolated surface"));
    let found = place.json(&[&surface[..], &["--gradients=4x3"]].concat());
    assert_eq!((&found["evaluated"], &found["gradients"]), (&25.into(), &12.into()));
    let cells = place.path("run/surfaces/pca/gradients/cells.jsonl");
    assert_eq!(fs::read_to_string(&cells).unwrap().lines().count(), 12);
    assert!(render("--arrows").contains("measured at 12 points"));
    assert!(render("--arrows=interpolated").contains("of the interpolated surface"));
    place.refused(&[&surface[..], &["--gradients=5x5", "--quiet"]].concat(), &["4x3 points"]);
    // With the surface go its gradients.
    place.ok(&[&surface[..], &["--force"]].concat());
    assert!(!cells.exists());
}
