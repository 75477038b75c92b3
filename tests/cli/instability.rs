//! Instability analysis: children of forks are the runs that their specs mean, barriers are those of the lines
//! between them, what was cut is gone on with, and what cannot be analysed is refused.

use std::fs;

use serde_json::Value;

use crate::Place;
use crate::sweep::lasting;

/// A residual net with all that draws random numbers: 7 steps an epoch, snapshots out of step with them.
const RESNET: &str = "[model]\narch = \"resnet8\"\nwidth = 0.25\ndropout = 0.2\n\
[data]\nset = \"digits\"\ntrain_samples = 100\ntest_samples = 100\naugment = \"crop\"\n\
[train]\nepochs = 2\nbatch_size = 16\n[record]\nevery = \"3 steps\"\n";

/// A small MLP: 4 steps an epoch.
const MLP: &str = "[model]\narch = \"mlp\"\n\
[data]\nset = \"digits\"\ntrain_samples = 200\ntest_samples = 100\n\
[train]\nepochs = 2\nbatch_size = 50\n";

fn place(spec: &str) -> Place {
    let place = Place::new();
    fs::write(place.path("spec.toml"), spec).unwrap();
    place
}

fn forks(report: &Value) -> &Vec<Value> {
    report["forks"].as_array().unwrap()
}

fn last_snapshot(place: &Place, run: &str) -> Vec<u8> {
    let folder = place.path(&format!("{run}/snapshots"));
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    fs::read(paths.last().unwrap()).unwrap()
}

/// The largest of `values`, less the mean of the first and the last.
fn above_ends(values: &[f64]) -> f64 {
    let ends = 0.5 * (values[0] + values[values.len() - 1]);
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - ends
}

#[test]
fn a_child_is_the_run_of_its_spec_byte_for_byte_and_a_barrier_that_of_the_line_between_two() {
    let place = place(RESNET);
    let on = ["--points=3", "--samples=50", "--bn-samples=50"];
    let analyse =
        [&["instability", "spec.toml", "--at=2,0,0.4,1,1.0", "--out=i"], &on[..]].concat();
    let report = place.json(&analyse);
    let found = forks(&report);
    let numbers =
        |key: &str| -> Vec<f64> { found.iter().map(|fork| fork[key].as_f64().unwrap()).collect() };
    assert_eq!(numbers("epoch"), [0.0, 0.4, 1.0, 2.0]);
    assert_eq!(numbers("step"), [0.0, 3.0, 7.0, 14.0]);

    // The parent is what `train` makes of the spec, though it was stopped at each fork.
    place.ok(&["train", "spec.toml", "--out=straight/parent"]);
    assert_eq!(lasting(&place, "i/runs/parent"), lasting(&place, "straight/parent"));
    for fork in found {
        let children = fork["children"].as_array().unwrap();
        let [a, b] = [0, 1].map(|k| children[k]["run"].as_str().unwrap());
        for child in [a, b] {
            let (forked, straight) = (format!("i/runs/{child}"), format!("straight/{child}"));
            place.ok(&["train", &format!("{forked}/spec.toml"), "--out", &straight]);
            assert_eq!(lasting(&place, &forked), lasting(&place, &straight), "{child}");
        }
        let [of_a, of_b] = [a, b].map(|child| last_snapshot(&place, &format!("i/runs/{child}")));
        let is_last = fork["epoch"] == 2.0;
        assert_eq!(of_a == of_b, is_last, "children differ but where nothing is left to differ in");
        let [first, of_parent] = [format!("i/runs/{a}"), "i/runs/parent".into()].map(|run| {
            fs::read(place.path(&format!("{run}/snapshots/000000.safetensors"))).unwrap()
        });
        assert_eq!(first, of_parent);
        assert_eq!(fork["distance"].as_f64().unwrap() == 0.0, is_last);
        if is_last {
            assert_eq!(of_a, last_snapshot(&place, "i/runs/parent"));
            for (split, quantity) in
                [("train", "loss"), ("train", "error"), ("test", "loss"), ("test", "error")]
            {
                let rise = &fork[split][quantity];
                assert_eq!((rise["value"].as_f64(), rise["se"].as_f64()), (Some(0.0), Some(0.0)));
            }
            assert_eq!(fork["stable"], true);
            continue;
        }
        // The same numbers as a curve between the two has them.
        let [a, b] = [a, b].map(|child| format!("i/runs/{child}"));
        let curve = ["curve", &a, &b, "--bn=recalibrated", "--split=test"];
        let curve = place.json(&[&curve[..], &on[..]].concat());
        let of = |key: &str| -> Vec<f64> {
            let points = curve["points"].as_array().unwrap();
            points.iter().map(|point| point[key].as_f64().unwrap()).collect()
        };
        let errors: Vec<f64> = of("accuracy").iter().map(|accuracy| 1.0 - accuracy).collect();
        for (quantity, wanted) in
            [("loss", above_ends(&of("loss"))), ("error", above_ends(&errors))]
        {
            let rise = &fork["test"][quantity];
            // The same sums: what JSON rounds apart.
            assert!((rise["value"].as_f64().unwrap() - wanted).abs() < 1e-9, "{quantity}: {rise}");
            assert!(rise["se"].as_f64().is_some_and(|se| se >= 0.0), "{quantity}: {rise}");
        }
        let error = fork["test"]["error"]["value"].as_f64().unwrap();
        assert_eq!(fork["stable"].as_bool(), Some(error < 0.02));
        assert_eq!(fork["batch_norm"]["recalibrated"]["images"], 50);
        place.ok(&["plane", &a, &b, "--out", &format!("{}-plane", a.replace('/', "-"))]);
    }

    let table = fs::read_to_string(place.path("i/instability.csv")).unwrap();
    assert_eq!(table.lines().count(), 5, "{table}");
    let columns = table.lines().map(|line| line.split(',').count());
    assert!(columns.into_iter().all(|n| n == 14), "{table}");
    let svg = fs::read_to_string(place.path("i/instability.svg")).unwrap();
    assert!(svg.contains("error barrier, %") && svg.contains("stable below 2 %"), "{svg}");
    for (theme, out) in [("light", "l.png"), ("dark", "d.svg"), ("print", "p.pdf")] {
        let look = ["--theme", theme, "--size=640x360", "--out", out];
        place.ok(&[&["render", "i", "--as=instability"], &look[..]].concat());
        assert!(fs::metadata(place.path(out)).unwrap().len() > 1000, "{out}");
    }
    let line = "i/lines/epoch-0_1-2_test";
    place.ok(&["render", line, "--as=curve", "--size=640x360", "--out=line.png"]);
    place.refused(&["render", "i", "--as=instability", "--out=x.gif"], &["does not move"]);
    place.refused(
        &["render", "i/runs/parent", "--as=instability", "--out=x.png"],
        &["no instability"],
    );

    // Nothing is done twice.
    let before = lasting(&place, "i/runs");
    let again = place.json(&analyse);
    assert_eq!(again["forks"], report["forks"]);
    assert_eq!(lasting(&place, "i/runs").len(), before.len());
}

#[test]
fn more_children_are_more_pairs_and_more_forks_are_added() {
    let place = place(MLP);
    let base = ["instability", "spec.toml", "--out=i", "--points=3", "--samples=100"];
    let first = place.json(&[&base[..], &["--at=1"]].concat());
    let both = place.json(&[&base[..], &["--at=0.5"]].concat());
    let epochs: Vec<f64> =
        forks(&both).iter().map(|fork| fork["epoch"].as_f64().unwrap()).collect();
    assert_eq!(epochs, [0.5, 1.0]);
    assert_eq!(forks(&both)[1], forks(&first)[0], "what is known of a fork stays");
    // The parent is past that fork: its child began at the beginning, and is the run of its spec.
    place.ok(&["train", "i/runs/epoch-0.5_child-2/spec.toml", "--out=straight"]);
    assert_eq!(lasting(&place, "i/runs/epoch-0.5_child-2"), lasting(&place, "straight"));

    let three = place.json(&[&base[..], &["--at=1", "--children=3"]].concat());
    let fork = &forks(&three)[0];
    let pairs = fork["pairs"].as_array().unwrap();
    let of = |pair: &Value| pair["children"].as_array().unwrap().clone();
    assert_eq!(pairs.iter().map(of).collect::<Vec<_>>(), [[1, 2], [1, 3], [2, 3]]);
    assert_eq!(pairs[0], forks(&first)[0]["pairs"][0]);
    for quantity in ["loss", "error"] {
        let value = |of: &Value| of["test"][quantity]["value"].as_f64().unwrap();
        let mean = pairs.iter().map(value).sum::<f64>() / 3.0;
        assert!((value(fork) - mean).abs() < 1e-12);
    }
}

#[cfg(unix)]
#[test]
fn an_analysis_that_is_interrupted_goes_on_to_the_same_files() {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    let place = place(MLP);
    let on =
        ["--at=0,20,60", "--set=train.epochs=60", "--set=record.every=20 epochs", "--points=3"];
    let into = |out| [&["instability", "spec.toml", "--out", out], &on[..]].concat();
    place.ok(&into("whole"));
    // The parent, before a fork and after one.
    for run in ["parent", "epoch-20_child-1"] {
        let log = place.path(&format!("cut/runs/{run}/metrics.jsonl"));
        let mut command = place.command(&into("cut"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        while !log.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        let ended = crate::Ended::from(child.wait_with_output().unwrap());
        // Where it had come to its end meanwhile there was nothing to interrupt.
        assert!(ended.code == 130 || ended.code == 0, "{}: {}", ended.code, ended.stderr);
        assert!(ended.code == 0 || ended.stderr.contains("same command"), "{}", ended.stderr);
    }
    place.ok(&into("cut"));
    assert_eq!(lasting(&place, "cut"), lasting(&place, "whole"));
}

#[test]
fn children_that_diverge_are_recorded_and_in_no_pair() {
    let place = place(MLP);
    let args = ["instability", "spec.toml", "--out=i", "--at=0,1", "--set=optim.lr=1e30"];
    let report = place.json(&args);
    for fork in forks(&report) {
        let children = fork["children"].as_array().unwrap();
        assert!(children.len() == 2 && children.iter().all(|child| child["diverged"] == true));
        assert_eq!(fork["pairs"].as_array().unwrap().len(), 0);
        assert!(fork["stable"].is_null() && fork["test"]["error"].is_null(), "{fork:#}");
    }
    assert!(report["picture"].is_null());
    let text = place.ok(&args);
    assert!(text.contains("epoch-1_child-2 diverged"), "{text}");
    place.refused(&["render", "i", "--as=instability", "--out=x.png"], &["finite", "diverge"]);
}

#[test]
fn what_cannot_be_analysed_is_refused_before_anything_is_made() {
    let place = place(MLP);
    let cases: &[(&[&str], &[&str])] = &[
        (&["--at=3"], &["`--at` is 3", "use 0 to 2"]),
        (&["--at=-1"], &["`--at` is -1", "use 0 to 2"]),
        (&["--at=nan"], &["--at", "use 0 to 2"]),
        (&["--at=0,one"], &["`one` is not a number", "0,1,2,4"]),
        (&["--at="], &["--at", "not a number"]),
        (&["--at=1", "--children=1"], &["--children", "use 2 to"]),
        (&["--at=1", "--points=2"], &["--points", "use 3 to"]),
        (&["--at=1", "--samples=0"], &["--samples", "1 or more"]),
        (&["--at=1", "--bn-samples=0"], &["--bn-samples", "1 or more"]),
        (&["--at=1", "--set=train.early_stop=2"], &["train.early_stop", "early_stop=0"]),
        (
            &["--at=1", "--set=train.fork_epoch=1", "--set=train.fork_seed=1"],
            &["train.fork_epoch", "leave"],
        ),
        (&["--at=1", "--set=train.fork_epoch=1"], &["add train.fork_seed"]),
    ];
    for (args, words) in cases {
        place.refused(&[&["instability", "spec.toml", "--out=i"], *args].concat(), words);
        assert!(!place.path("i").exists(), "{args:?}");
    }
    assert_eq!(place.run(&["instability", "spec.toml", "--out=i"]).code, 2, "--at is asked for");
    let plan = place.json(&["instability", "spec.toml", "--out=i", "--at=0,1", "--dry-run"]);
    // 8 steps of the parent, twice 8 and twice 4 of the children.
    assert_eq!((&plan["runs"], &plan["steps"]), (&5.into(), &32.into()));
    assert!(!place.path("i").exists());

    fs::create_dir(place.path("mine")).unwrap();
    fs::write(place.path("mine/words.txt"), "words").unwrap();
    let into =
        |out: &'static str| ["instability", "spec.toml", "--at=2", "--points=3", "--out", out];
    place.refused(&into("mine"), &["holds no instability analysis", "--out"]);
    place.ok(&into("i"));
    let other = [&into("i")[..], &["--set=optim.lr=0.01"]].concat();
    place.refused(&other, &["another spec", "another folder"]);
    place.refused(&[&into("i")[..], &["--set=train.epochs=3"]].concat(), &["another spec"]);
    let fork = ["train", "spec.toml", "--out=x", "--set=train.fork_seed=1"];
    place.refused(&fork, &["add train.fork_epoch"]);
    assert!(!place.path("x").exists());
}
