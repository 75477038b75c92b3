//! Sweeps and reports: many runs from one file, what is left to do after a kill, members that fail, and
//! what is said of the rest.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::{Place, files};

/// A sweep of two rates and two seeds of a tiny net, measured in all ways.
const SWEEP: &str = "title = \"Rates & <widths>\"\nquestion = \"Which rate?\"\nseeds = 2\n\
[set]\nmodel.arch = \"mlp\"\ndata.set = \"digits\"\ndata.train_samples = 200\n\
data.test_samples = 100\ntrain.batch_size = 50\ntrain.epochs = 2\n\
[axes]\noptim.lr = [0.1, 0.01]\n\
[measure]\ncurvature = { samples = 50 }\n\
width = { directions = 2, range = 1.0, points = 11, samples = 50, rise = 0.5 }\n\
surface = { grid = \"5x4\", range = 1.0, samples = 50 }\n";

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("rates.toml"), SWEEP).unwrap();
    place
}

/// The tree without what changes from one execution to the next: seconds, and the order of the log.
fn lasting(place: &Place, folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, bytes) in files(&place.path(folder)) {
        if name == "members.jsonl" {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_text = name.ends_with(".json") || name.ends_with(".jsonl");
        let lines = text.split([',', '\n']).filter(|part| {
            let timed = ["elapsed_secs", "started_unix_secs", "hvp_seconds", "\"threads\""];
            !is_text || !timed.iter().any(|key| part.contains(key))
        });
        found.push((name, lines.collect::<Vec<_>>().join(",")));
    }
    found
}

#[test]
fn a_sweep_trains_measures_and_reports_and_a_second_one_has_nothing_to_do() {
    let place = place();
    let report = place.json(&["sweep", "rates.toml", "--out=s"]);
    let members = report["members"].as_array().unwrap();
    assert_eq!(members.len(), 4);
    for member in members {
        assert_eq!(member["status"], "done", "{member:#}");
        for key in ["test_accuracy", "test_loss", "sharpness", "basin_width", "seconds"] {
            assert!(member[key].as_f64().is_some_and(|v| v > 0.0), "{key}: {member:#}");
        }
    }
    // Paired: the same seed begins at the same weights.
    let first = |member: &str| {
        fs::read(place.path(&format!("s/runs/{member}/snapshots/000000.safetensors"))).unwrap()
    };
    let tensors = |bytes: &[u8]| bytes[bytes.len() - 4000..].to_vec();
    assert_eq!(tensors(&first("lr-0.1_seed-0")), tensors(&first("lr-0.01_seed-0")));
    assert_ne!(tensors(&first("lr-0.1_seed-0")), tensors(&first("lr-0.1_seed-1")));

    let before = files(&place.path("s"));
    place.ok(&["sweep", "rates.toml", "--out=s"]);
    assert_eq!(files(&place.path("s")), before, "nothing is done twice");

    let said = place.json(&["report", "s", "--out=r"]);
    let comparisons = said["comparisons"].as_array().unwrap();
    let of = |quantity: &str| comparisons.iter().find(|c| c["quantity"] == quantity).unwrap();
    let accuracy = of("test_accuracy");
    let value = |lr: &str, seed: u64| {
        let at = |m: &&Value| m["values"]["optim.lr"] == lr && m["seed"] == seed;
        100.0 * members.iter().find(at).unwrap()["test_accuracy"].as_f64().unwrap()
    };
    let mean =
        [0, 1].map(|seed| value("0.01", seed) - value("0.1", seed)).iter().sum::<f64>() / 2.0;
    assert!((accuracy["difference"].as_f64().unwrap() - mean).abs() < 1e-9, "{accuracy:#}");
    assert_eq!((&accuracy["seeds"], &accuracy["axis"]), (&2.into(), &"optim.lr".into()));
    assert!(accuracy["sentence"].as_str().unwrap().contains("2 seeds"), "{accuracy:#}");
    assert!(of("basin_width")["is_ratio"].as_bool().unwrap());
    for name in ["index.html", "report.md", "members.csv", "comparisons.csv", "report.json"] {
        assert!(place.path("r").join(name).is_file(), "{name}");
    }
    assert_eq!(fs::read_dir(place.path("r/specs")).unwrap().count(), 4);
    let page = fs::read_to_string(place.path("r/index.html")).unwrap();
    assert!(page.contains("Rates &amp; &lt;widths&gt;") && !page.contains("<widths>"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    assert_eq!(page.matches("aria-label=\"loss surface\"").count(), 4);
    let csv = fs::read_to_string(place.path("r/members.csv")).unwrap();
    assert_eq!(csv.lines().count(), 5, "{csv}");
    // A spec of the report trains its member again.
    place.ok(&["train", "r/specs/lr-0.1_seed-1.toml", "--out=again"]);
    let name = "snapshots/000002.safetensors";
    assert_eq!(
        fs::read(place.path("again").join(name)).unwrap(),
        fs::read(place.path("s/runs/lr-0.1_seed-1").join(name)).unwrap()
    );
}

#[test]
fn members_that_fail_or_diverge_are_recorded_and_leave_the_others() {
    let place = place();
    // An impossible rate, one that diverges, and a folder that is in the way.
    fs::create_dir_all(place.path("s/runs/lr-0.01_seed-0")).unwrap();
    fs::write(place.path("s/runs/lr-0.01_seed-0/mine.txt"), "words").unwrap();
    let args = ["sweep", "rates.toml", "optim.lr=0.1,0.01,-1,1e30", "--out=s", "--json"];
    let ended = place.run(&args);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("holds no sweep") || ended.stderr.contains("not empty"),
        "{}",
        ended.stderr
    );
    fs::rename(place.path("s/runs"), place.path("runs")).unwrap();
    fs::remove_dir_all(place.path("s")).unwrap();
    let dry = place.json(&["sweep", "rates.toml", "optim.lr=0.1,-1", "--out=s", "--dry-run"]);
    assert_eq!(dry["members"].as_array().unwrap().len(), 4);
    assert!(dry["estimated_seconds"].as_f64().unwrap() > 0.0 && !place.path("s").exists());

    place.run(&["sweep", "rates.toml", "optim.lr=0.1", "--out=s", "--seeds=1"]);
    fs::rename(place.path("runs/lr-0.01_seed-0"), place.path("s/runs/lr-0.01_seed-0")).unwrap();
    let ended = place.run(&args);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("3 of 8 members failed"), "{}", ended.stderr);
    let member = |name: &str| {
        let of = report["members"].as_array().unwrap().iter();
        of.clone().find(|m| m["run"].as_str().unwrap().ends_with(name)).unwrap().clone()
    };
    for (name, status, error) in [
        ("lr-0.1_seed-0", "done", ""),
        ("lr-0.1_seed-1", "done", ""),
        ("lr-0.01_seed-0", "failed", "not empty"),
        ("lr-0.01_seed-1", "done", ""),
        ("lr-minus1_seed-0", "failed", "lr"),
        ("lr-1e30_seed-0", "diverged", ""),
    ] {
        let member = member(&format!("/{name}"));
        assert_eq!(member["status"], status, "{member:#}");
        assert!(member["error"].as_str().unwrap_or_default().contains(error), "{member:#}");
    }
    assert_eq!(fs::read_to_string(place.path("s/runs/lr-0.01_seed-0/mine.txt")).unwrap(), "words");
    place.ok(&["report", "s"]);
    let md = fs::read_to_string(place.path("s/report/report.md")).unwrap();
    assert!(md.contains("diverged") && md.contains("failed"), "{md}");
}

#[test]
fn a_killed_sweep_goes_on_and_ends_as_one_that_was_not() {
    let place = place();
    place.ok(&["sweep", "rates.toml", "--out=whole"]);
    for after in [300, 900, 1800] {
        let mut child = place
            .command(&["sweep", "rates.toml", "--out=cut", "--quiet"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(after));
        child.kill().unwrap();
        child.wait().unwrap();
        // The step that was being worked on is a process of its own, and comes to its end.
        std::thread::sleep(Duration::from_millis(1500));
    }
    // On a slow machine the last of those may still be at work on its run, which is then refused.
    let again = ["sweep", "rates.toml", "--out=cut", "--jobs=2"];
    let ended = (0..20).any(|_| {
        let is_done = place.run(&again).code == 0;
        if !is_done {
            std::thread::sleep(Duration::from_millis(1500));
        }
        is_done
    });
    assert!(ended, "{}", place.run(&again).stderr);
    assert_eq!(lasting(&place, "cut"), lasting(&place, "whole"));
}

#[test]
fn what_is_no_sweep_is_refused_by_name() {
    let place = place();
    place.refused(&["sweep", "rates.toml", "optim.lr"], &["optim.lr", "write it as"]);
    place.refused(&["sweep", "rates.toml", "optim.lrr=1,2"], &["optim.lrr"]);
    place.refused(&["sweep", "rates.toml", "--scale=huge"], &["scale", "huge"]);
    place.refused(&["sweep", "none.toml"], &["none.toml"]);
    place.refused(&["report", "."], &["no sweep"]);
    fs::write(place.path("mine.txt"), "words").unwrap();
    place.refused(&["sweep", "rates.toml", "--out=."], &["not empty"]);
}
