//! What is recorded, what stays, and what a plane keeps: `[record]` and `gram.bin`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use lossreel::record::Existing;
use lossreel::spec::Spec;
use lossreel::stages::train::create;
use lossreel::train::Event;
use serde_json::Value;

use crate::repetition::{assert_same, count, spawn, wait_for};
use crate::{Ended, MLP, Place, RESNET};

/// Steps of the snapshots in a folder by their numbers, as their own metadata say.
fn steps(run: &Path) -> Vec<(usize, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(run.join("snapshots")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let step = header.metadata().as_ref().unwrap()["step"].parse().unwrap();
        found.push((path.file_stem().unwrap().to_str().unwrap().parse().unwrap(), step));
    }
    found.sort();
    found
}

/// The lines of a run's log of one kind.
fn log(run: &Path, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == kind).collect()
}

#[test]
fn snapshots_are_taken_when_something_happens() {
    let place = Place::new();
    // 4 steps an epoch, 6 epochs; the rate drops after 2 and after 4.
    let train = |run: &str, every: &str| {
        let every = format!("--set=record.every={every}");
        let schedule = ["--set=train.epochs=6", "--set=schedule.milestones=[2,4]"];
        place.train(run, &[&[every.as_str()], &schedule[..]].concat());
        steps(&place.path(run)).into_iter().map(|(_, step)| step).collect::<Vec<_>>()
    };
    assert_eq!(train("drop", "on:lr_drop"), [0, 8, 16, 24]);
    assert_eq!(train("step", "step:9"), [0, 9, 18, 24]);

    let best = train("best", "on:new_best");
    let mut wanted = vec![0];
    let mut lowest = f64::INFINITY;
    for epoch in log(&place.path("best"), "epoch") {
        let loss = epoch["test_loss"].as_f64().unwrap();
        if loss < lowest {
            lowest = loss;
            wanted.push(epoch["step"].as_u64().unwrap());
        }
    }
    wanted.extend((wanted.last() != Some(&24)).then_some(24));
    assert_eq!(best, wanted);

    let all: BTreeSet<u64> = [0, 8, 9, 16, 18, 24].into_iter().chain(best).collect();
    let all: Vec<u64> = all.into_iter().collect();
    assert_eq!(train("all", "step:9, on:new_best, on:lr_drop"), all);
    let spec = fs::read_to_string(place.path("all/spec.toml")).unwrap();
    assert!(spec.contains(r#"every = "9 steps, on:new_best, on:lr_drop""#), "{spec}");
    // A cosine falls all the time, and does not drop.
    place.train("cosine", &["--set=record.every=on:lr_drop", "--set=schedule.kind=cosine"]);
    assert_eq!(steps(&place.path("cosine")), [(0, 0), (1, 8)]);
}

#[test]
fn a_snapshot_is_taken_at_each_spike_of_the_loss_as_the_log_tells_it() {
    let place = Place::new();
    // Long enough that most batches are learnt and one that is not stands out.
    let args = ["--set=train.batch_size=8", "--set=train.epochs=20", "--set=optim.lr=0.03"];
    let more = ["--set=schedule.kind=constant", "--set=record.every=on:loss_spike"];
    place.train("r", &[&args[..], &more[..]].concat());
    let losses: Vec<f64> =
        log(&place.path("r"), "step").iter().map(|s| s["loss"].as_f64().unwrap()).collect();
    assert_eq!(losses.len(), 500);
    // The definition, written out.
    let is_spike = |&i: &usize| {
        let before = &losses[i.saturating_sub(100)..i];
        let n = before.len() as f64;
        let mean = before.iter().sum::<f64>() / n;
        let variance = before.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / n;
        before.len() >= 20 && losses[i] > mean + 5.0 * variance.sqrt()
    };
    let spikes: Vec<u64> = (0..500).filter(is_spike).map(|i| i as u64 + 1).collect();
    assert!((1..20).contains(&spikes.len()), "choose another rate: {spikes:?}");
    let wanted: BTreeSet<u64> = [0, 500].into_iter().chain(spikes).collect();
    let got: BTreeSet<u64> = steps(&place.path("r")).into_iter().map(|(_, step)| step).collect();
    assert_eq!(got, wanted);
}

#[test]
fn snapshots_that_are_left_out_leave_gaps_that_every_reader_accepts() {
    let place = Place::new();
    place.train("all", &["--set=train.epochs=6", "--set=record.every=step:2"]);
    let keep = ["--set=record.keep=last=3, best=2", "--set=record.every=step:2"];
    place.train("some", &[&["--set=train.epochs=6"], &keep[..]].concat());
    let (all, some) = (steps(&place.path("all")), steps(&place.path("some")));
    assert_eq!(all.len(), 13);
    let mut by_loss: Vec<(f64, u64)> = log(&place.path("all"), "epoch")
        .iter()
        .map(|e| (e["test_loss"].as_f64().unwrap(), e["step"].as_u64().unwrap()))
        .collect();
    by_loss.sort_by(|a, b| a.0.total_cmp(&b.0));
    let best = by_loss.iter().take(2).map(|(_, step)| *step);
    let stay: BTreeSet<u64> = [0, 20, 22, 24].into_iter().chain(best).collect();
    let wanted: Vec<(usize, u64)> =
        all.iter().copied().filter(|(_, step)| stay.contains(step)).collect();
    assert_eq!(some, wanted, "they keep their numbers");
    for (number, _) in &some {
        let name = format!("snapshots/{number:06}.safetensors");
        let read = |run: &str| fs::read(place.path(run).join(&name)).unwrap();
        assert!(read("all") == read("some"), "{name}");
    }

    let report = place.json(&["train", "--resume", "some"]);
    assert_eq!(report["snapshots"], some.len());
    let plane = place.json(&["plane", "some"]);
    assert_eq!(plane["snapshots"], some.len());
    place.ok(&["surface", "some", "--grid=3x3", "--samples=20"]);
    for scene in ["contour", "spectrum", "histograms"] {
        let out = format!("--out={scene}.png");
        place.ok(&["render", "some", "--as", scene, &out, "--size=480x270"]);
    }
    let snapshot = some[some.len() - 2].0.to_string();
    place.ok(&["evaluate", "some", "--snapshot", &snapshot]);
    place.ok(&["curvature", "some", "--snapshot", &snapshot, "--samples=20"]);
    place.refused(&["evaluate", "some", "--snapshot", "1"], &["1"]);
    place.ok(&["plane", "some", "all", "--out", "both"]);
}

#[test]
fn a_run_killed_and_resumed_under_any_policy_equals_an_uninterrupted_one() {
    let place = Place::new();
    let policies = [
        "--set=record.every=step:4, on:new_best, on:loss_spike, on:lr_drop",
        "--set=record.keep=last=4, best=2",
        "--set=record.dtype=bf16",
        "--set=train.epochs=4",
    ];
    place.ok(&[RESNET, &policies, &["--out", "whole"]].concat());
    let run = place.path("killed");
    let log = run.join("metrics.jsonl");
    let mut kills = 0;
    for round in 0..5 {
        let args = match round {
            0 => [RESNET, &policies, &["--out", "killed"]].concat(),
            _ => vec!["train", "--resume", "killed"],
        };
        let mut child = spawn(&place, &args);
        let written = fs::metadata(&log).map_or(0, |m| m.len());
        wait_for(&mut child, || {
            run.join("checkpoint.safetensors").exists()
                && count(&run.join("snapshots")) > 0
                && fs::metadata(&log).is_ok_and(|m| m.len() > written)
        });
        kills += usize::from(child.kill().is_ok());
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert!(ended.code <= 0, "{}", ended.stderr);
    }
    assert!(kills >= 2, "the run ended before it could be killed");
    place.ok(&["train", "--resume", "killed"]);
    assert_same(&place.path("whole"), &run);
    let kept = steps(&run);
    assert_eq!((kept[0], kept.last().unwrap().1), ((0, 0), 100));
    assert!(kept.len() <= 7, "{kept:?}");
}

#[test]
fn a_disk_that_refuses_ends_the_training_at_its_next_step() {
    let place = Place::new();
    let set: Vec<String> =
        MLP.iter().filter_map(|arg| Some(arg.strip_prefix("--set=")?.into())).collect();
    let more = ["data.set=digits", "record.every=step:1", "train.epochs=50"].map(String::from);
    let spec = Spec::parse("", &[&set[..], &more].concat()).unwrap();
    let mut prepared = create(&spec, &place.path("r"), Existing::Refuse).unwrap();
    let snapshots = place.path("r/snapshots");
    let mut last = 0;
    let error = prepared.train(&AtomicBool::new(false), &mut |event| {
        if let Event::Step { metrics, .. } = event {
            last = metrics.step;
            if last == 3 {
                fs::rename(&snapshots, place.path("gone")).unwrap();
            } else if last > 3 {
                // The thread that writes finds no folder, in its own time.
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("safetensors") && error.contains("snapshots"), "{error}");
    assert!((3..20).contains(&last), "it went on for {last} steps");
    let manifest = fs::read_to_string(place.path("r/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["status"]["state"], "unfinished");
}

#[test]
fn rounded_snapshots_say_how_much_of_the_path_is_rounding() {
    let place = Place::new();
    let mut share = Vec::new();
    for dtype in ["f32", "f16", "bf16"] {
        place.train(dtype, &[&format!("--set=record.dtype={dtype}")]);
        let plane = place.json(&["plane", dtype]);
        share.push(plane["rounding"]["of_extent"].as_f64());
        let words = place.ok(&["plane", dtype]);
        assert_eq!(words.contains("% of the path's extent"), dtype != "f32", "{words}");
        place.ok(&["evaluate", dtype]);
    }
    // 8 significant bits against 11.
    let [None, Some(f16), Some(bf16)] = share[..] else { panic!("{share:?}") };
    assert!(bf16 < 0.05 && (4.0..16.0).contains(&(bf16 / f16)), "{f16} {bf16}");
    let bytes = |run: &str, file: &str| fs::metadata(place.path(run).join(file)).unwrap().len();
    let snapshot = "snapshots/000001.safetensors";
    let ratio = bytes("f32", snapshot) as f64 / bytes("bf16", snapshot) as f64;
    assert!((1.8..2.05).contains(&ratio), "{ratio}");
    // Training goes on from what was not rounded.
    let checkpoint = |run: &str| fs::read(place.path(run).join("checkpoint.safetensors")).unwrap();
    assert!(checkpoint("f32") == checkpoint("bf16"));
}

#[test]
fn a_plane_is_the_same_to_the_byte_whether_its_products_were_kept_or_computed() {
    let place = Place::new();
    let mut every = vec!["--set=record.every=step:1"];
    place.train("r", &every);
    let plane = || {
        place.ok(&["plane", "r"]);
        fs::read(place.path("r/planes/pca.safetensors")).unwrap()
    };
    let gram = place.path("r/gram.bin");
    let short = plane();
    let kept = fs::read(&gram).unwrap();
    assert!(plane() == short && fs::read(&gram).unwrap() == kept, "known");
    fs::remove_file(&gram).unwrap();
    assert!(plane() == short && fs::read(&gram).unwrap() == kept, "computed");
    let mut damaged = kept.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x40;
    fs::write(&gram, &damaged).unwrap();
    assert!(plane() == short && fs::read(&gram).unwrap() == kept, "damaged");

    // The run goes on: the products of its first half are continued.
    let spec = place.path("r/spec.toml");
    let text = fs::read_to_string(&spec).unwrap().replace("epochs = 2", "epochs = 4");
    fs::write(&spec, text).unwrap();
    place.ok(&["train", "--resume", "r"]);
    let continued = plane();
    let file = fs::read(&gram).unwrap();
    assert!(file.len() > kept.len());
    fs::remove_file(&gram).unwrap();
    assert!(plane() == continued && fs::read(&gram).unwrap() == file, "continued");

    // A run that replaces it does not inherit them.
    every.extend(["--force", "--set=train.seed=5"]);
    place.train("r", &every);
    assert!(!gram.exists());
}

#[test]
fn a_training_beside_which_the_products_cost_nothing_leaves_them_for_the_plane() {
    let place = Place::new();
    let train = [
        "train",
        "--dataset=synthetic",
        "--set=model.arch=resnet8",
        "--set=model.width=0.25",
        "--set=data.train_samples=400",
        "--set=data.test_samples=20",
        "--set=train.eval_samples=20",
        "--set=train.epochs=2",
        "--set=train.batch_size=50",
    ];
    place.ok(&[&train[..], &["--out=few"]].concat());
    let kept = fs::read(place.path("few/gram.bin")).unwrap();
    place.ok(&["plane", "few"]);
    assert!(fs::read(place.path("few/gram.bin")).unwrap() == kept, "the plane asks for the same");
    let plane = fs::read(place.path("few/planes/pca.safetensors")).unwrap();
    fs::remove_file(place.path("few/gram.bin")).unwrap();
    place.ok(&["plane", "few"]);
    assert!(fs::read(place.path("few/planes/pca.safetensors")).unwrap() == plane);
    // Sixteen snapshots cost more than a thousandth of this short training.
    place.ok(&[&train[..], &["--out=many", "--set=record.every=step:1"]].concat());
    assert!(!place.path("many/gram.bin").exists());
}

#[test]
fn what_cannot_be_recorded_is_refused_by_its_key() {
    let place = Place::new();
    let refused = |set: &str, words: &[&str]| {
        place.refused(&[MLP, &["--out", "r", "--set", set]].concat(), words);
        assert!(!place.path("r").exists());
    };
    refused("record.every=on:new_worst", &["on:new_best"]);
    refused("record.every=step:0", &["record.every", "100 steps"]);
    refused("record.keep=last", &["record.keep", "last=10"]);
    refused("record.dtype=f8", &["element type", "bf16"]);
}

#[test]
fn a_dry_run_says_what_the_policies_leave() {
    let place = Place::new();
    let more = ["--set=record.every=step:2", "--dry-run"];
    let plan = place.json(&[MLP, &more[..]].concat());
    assert_eq!(plan["snapshots"], 5);
    assert!(plan["plane_memory_bytes"].as_u64().unwrap() > 0);
    let keep = ["--set=record.keep=last=1", "--set=record.dtype=bf16"];
    let less = place.json(&[MLP, &more[..], &keep[..]].concat());
    assert_eq!(less["snapshots"], 2);
    let bytes = |plan: &Value| plan["snapshot_bytes"].as_f64().unwrap();
    assert!(bytes(&less) / bytes(&plan) < 0.21, "two halves of five");
}
