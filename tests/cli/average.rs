//! Averages of a run's weights, recorded as a run beside it.

use std::fs;

use crate::{Place, files};

const SPEC: &str = "[model]\narch = \"mlp\"\nhidden = [12]\n[data]\nset = \"digits\"\n\
train_samples = 200\ntest_samples = 100\n[train]\nepochs = 4\nbatch_size = 50\n\
[record]\nevery = \"2 steps\"\n";

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("net.toml"), SPEC).unwrap();
    place.ok(&["train", "net.toml", "--out=run"]);
    place
}

/// A tensor of each snapshot of a run.
fn tensors(place: &Place, run: &str, name: &str) -> Vec<Vec<f32>> {
    let all = files(&place.path(run).join("snapshots"));
    let read = |bytes: &Vec<u8>| {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    all.iter().filter(|(name, _)| name.ends_with(".safetensors")).map(|(_, b)| read(b)).collect()
}

#[test]
fn the_average_is_a_run_of_its_own_with_its_own_statistics() {
    let place = place();
    let report = place.json(&["average", "run", "--from=0.5"]);
    let (own, mean) =
        (tensors(&place, "run", "fc1.weight"), tensors(&place, "run-swa", "fc1.weight"));
    // 16 steps, a snapshot each two: the mean of steps 8 to 16 is of five.
    assert_eq!((own.len(), mean.len(), report["snapshots"].as_u64()), (9, 9, Some(9)));
    assert_eq!(own[..5], mean[..5], "before, the average is the weights themselves");
    for (i, &found) in mean[8].iter().enumerate() {
        let want = own[4..].iter().map(|theta| f64::from(theta[i])).sum::<f64>() / 5.0;
        assert!((f64::from(found) - want).abs() < 1e-6 * want.abs().max(0.1), "{i}");
    }
    let statistics = |run: &str| tensors(&place, run, "bn1.running_mean");
    assert_eq!(statistics("run")[0], statistics("run-swa")[0]);
    assert_ne!(statistics("run")[8], statistics("run-swa")[8]);
    // What is said of it is what evaluating it gives, and it is whole.
    let evaluated = place.json(&["evaluate", "run-swa", "--split=test"]);
    assert_eq!(evaluated["accuracy"], report["test_accuracy"]);
    let of_run = place.json(&["evaluate", "run", "--split=test"]);
    assert_eq!(of_run["accuracy"], report["own_test_accuracy"]);
    place.ok(&["inspect", "run-swa", "--check"]);

    // Both paths on one plane, and a film of them.
    place.ok(&["average", "run", "--kind=ema", "--decay=0.8"]);
    place.ok(&["plane", "run", "run-swa", "run-ema", "--out=joint"]);
    place.ok(&["surface", "joint", "--grid=5x5", "--samples=50"]);
    let film = ["render", "joint", "--as", "race", "--out=paths.png", "--size=480x360"];
    place.ok(&film);
}

#[test]
fn what_cannot_be_averaged_is_refused_and_nothing_is_lost() {
    let place = place();
    let before = files(&place.path("run"));
    place.refused(&["average", "run", "--out=run", "--force"], &["another folder"]);
    place.refused(&["average", "run", "--kind=ema", "--from=0.5"], &["--from", "swa"]);
    place.refused(&["average", "run", "--decay=0.5"], &["--decay", "ema"]);
    place.refused(&["average", "run", "--kind=mean"], &["swa"]);
    place.refused(&["average", "run", "--from=1"], &["share"]);
    place.refused(&["average", "run", "--kind=ema", "--decay=nan"], &["share"]);
    place.ok(&["average", "run"]);
    place.refused(&["average", "run"], &["run-swa"]);
    place.ok(&["average", "run", "--force"]);
    assert!(files(&place.path("run")) == before, "the run itself has changed");
}
