//! Several runs on one plane, the race over it, and surfaces that change.

use std::fs;

use serde_json::Value;

use crate::{Place, assert_keys, files};

/// Three optimizers from one start, 12 steps each, on a net without BatchNorm.
fn three_runs(place: &Place) {
    for (run, more) in [
        ("sgd", &["--set=optim.momentum=0"][..]),
        ("momentum", &["--set=optim.lr=0.02"]),
        ("adam", &["--set=optim.rule=adam", "--set=optim.lr=0.003"]),
    ] {
        let common =
            ["--set=model.norm=none", "--set=train.epochs=3", "--set=record.every=2 steps"];
        place.train(run, &[&common[..], more].concat());
    }
}

fn plane(place: &Place, runs: &[&str], out: &str) -> Value {
    place.json(&[&["plane"], runs, &["--out", out]].concat())
}

/// The numbers of a JSON array.
fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn three_optimizers_race_on_one_plane() {
    let place = Place::new();
    three_runs(&place);
    let found = plane(&place, &["sgd", "momentum", "adam"], "race");
    assert_keys(&found, &["explained_variance", "off_plane_residual", "null_explained_variance"]);
    assert_eq!(found["origin"], "start", "one seed, one start");
    let runs = found["runs"].as_array().unwrap();
    assert_eq!(
        runs.iter().map(|r| r["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["sgd", "momentum", "adam"]
    );
    for run in runs {
        let [x, y] = numbers(&run["path"][0])[..] else { panic!("{run}") };
        assert!(x.abs() < 1e-6 && y.abs() < 1e-6, "the start is the origin: {x} {y}");
        assert!(run["explained_variance"].as_f64() <= run["own_explained_variance"].as_f64());
    }
    for file in ["joint.json", "planes/pca.safetensors"] {
        assert!(place.path("race").join(file).is_file(), "{file}");
    }
    let about = fs::read_to_string(place.path("race/joint.json")).unwrap();
    assert!(about.contains("\"../adam\"") && about.contains("format_version"), "{about}");

    // The order of the runs changes nothing but the order.
    let other = plane(&place, &["adam", "sgd", "momentum"], "permuted");
    for key in ["explained_variance", "null_explained_variance"] {
        for (a, b) in numbers(&found[key]).iter().zip(numbers(&other[key])) {
            assert!((a - b).abs() < 1e-9, "{key}: {a} {b}");
        }
    }
    for (i, j) in [(0, 1), (1, 2), (2, 0)] {
        let path = |report: &Value, run: usize| -> Vec<f64> {
            let path = report["runs"][run]["path"].as_array().unwrap();
            path.iter().flat_map(numbers).collect()
        };
        for (a, b) in path(&found, i).iter().zip(path(&other, j)) {
            // Directions are f32.
            assert!((a - b).abs() < 1e-4, "run {i}: {a} {b}");
        }
    }

    let surface = place.json(&[
        "surface",
        "race",
        "--grid",
        "7x6",
        "--samples",
        "60",
        "--buffers-of",
        "adam",
    ]);
    assert_eq!(surface["evaluated"], 42);
    let losses = fs::read_to_string(place.path("race/surfaces/pca/paths.jsonl")).unwrap();
    assert_eq!(losses.lines().count(), 3 * 7);
    // The whole of every path is inside.
    let grid: Value = serde_json::from_str(
        &fs::read_to_string(place.path("race/surfaces/pca/grid.json")).unwrap(),
    )
    .unwrap();
    for run in runs {
        for point in run["path"].as_array().unwrap() {
            for (axis, value) in ["x", "y"].iter().zip(numbers(point)) {
                let end = |key: &str| grid["grid"][axis][key].as_f64().unwrap();
                assert!(value > end("min") && value < end("max"));
            }
        }
    }
    assert_eq!(grid["batch_norm"], "none");

    let size = ["--size", "480x270", "--frames", "5"];
    for more in [
        &["--clock", "step"][..],
        &["--clock", "wall", "--layout", "multiples"],
        &["--goal", "train_loss=1.5", "--theme", "dark", "--card", "0.5"],
    ] {
        for file in ["race.gif", "race.mp4", "race.png", "race.svg"] {
            let args = [&["render", "race", "--as", "race", "--out", file], more, &size].concat();
            assert!(place.json(&args)["bytes"].as_u64().unwrap() > 1000, "{file}");
        }
    }
    // Gradients and stacks over the joint plane: the snapshots of one of the runs, by name.
    let more = ["surface", "race", "--grid", "3x3", "--samples", "20", "--buffers-of", "momentum"];
    let found = place.json(&[&more[..], &["--name", "small", "--gradients=2x2"]].concat());
    assert_eq!((&found["evaluated"], &found["gradients"]), (&9.into(), &4.into()));
    let found = place.json(&[&more[..], &["--stack", "snapshots", "--layers", "3"]].concat());
    assert_eq!((&found["evaluated"], &found["layers"]), (&27.into(), &3.into()));
    let stack = place.path("race/surfaces/pca-snapshots");
    let about = fs::read_to_string(stack.join("stack.json")).unwrap();
    assert!(about.contains("\"run\": \"momentum\""), "{about}");
    let line = fs::read_to_string(stack.join("layers/000/paths.jsonl")).unwrap();
    let first: Value = serde_json::from_str(&line).unwrap();
    let known = losses.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let known: Vec<Value> = known.filter(|loss| loss["run"] == "momentum").collect();
    assert_eq!((&first["run"], &first["snapshot"]), (&known[0]["run"], &known[0]["snapshot"]));
    let moving = ["render", "race", "--as", "moving", "--out", "moving.png"];
    place.ok(&[&moving[..], &size].concat());

    // A race shows the charts it is asked for, or says what they lack.
    let strip = ["render", "race", "--as", "race", "--out", "race.svg", "--strip"];
    place.ok(&[&strip[..], &["lr,grad-norm"]].concat());
    let svg = fs::read_to_string(place.path("race.svg")).unwrap();
    assert!(
        svg.contains("Learning rate") && svg.contains("Gradient norm"),
        "the charts are missing"
    );
    assert!(!svg.contains("Test accuracy"), "a chart that nobody asked for");
    place.refused(&[&strip[..], &["sharpness"]].concat(), &["no sharpness", "lossreel curvature"]);
}

#[test]
fn a_joint_plane_of_one_run_is_that_runs_plane() {
    let place = Place::new();
    place.train("run", &["--set=record.every=1 steps"]);
    let own = place.json(&["plane", "run"]);
    let joint = place.json(&["plane", "run", "--out", "joint", "--origin", "final"]);
    assert_eq!(own["explained_variance"], joint["explained_variance"]);
    assert_eq!(own["off_plane_residual"], joint["off_plane_residual"]);
    assert_eq!(own["path"], joint["runs"][0]["path"]);
    let of = |name: &str| {
        let bytes = fs::read(place.path(name)).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        ["origin", "x", "y", "buffers"].map(|t| file.tensor(t).unwrap().data().to_vec())
    };
    assert!(of("run/planes/pca.safetensors") == of("joint/planes/pca.safetensors"));
}

#[test]
fn runs_that_do_not_go_together_are_refused() {
    let place = Place::new();
    place.train("a", &[]);
    place.train("wide", &["--set=model.hidden=[70]"]);
    place.train("other", &["--set=train.seed=5"]);
    place.refused(&["plane", "a", "other"], &["no folder for their joint plane", "--out"]);
    place.refused(
        &["plane", "a", "wide", "--out", "x"],
        &["do not mean the same", "a is MLP", "wide is MLP", "parameters", "one architecture"],
    );
    place.refused(&["plane", "a", "./a", "--out", "x"], &["named twice"]);
    place.refused(
        &["plane", "a", "other", "--out", "x", "--origin", "start"],
        &["do not start from one point", "--origin mean"],
    );
    place.refused(
        &["plane", "a", "other", "--out", "x", "--directions", "random"],
        &["not a way to make a joint plane"],
    );
    place.refused(&["plane", "a", "nowhere", "--out", "x"], &["nowhere"]);
    assert!(!place.path("x").exists(), "a refusal left a folder");

    // Other starts: the origin is the mean of the ends.
    assert_eq!(plane(&place, &["a", "other"], "two")["origin"], "mean");
    place.refused(&["plane", "a", "--out", "two"], &["of other runs", "--force"]);
    place.refused(&["plane", "other", "--out", "a"], &["holds no joint plane"]);
    place.ok(&["plane", "a", "--out", "two", "--force"]);

    // What comes after needs what goes before.
    plane(&place, &["a", "other"], "race");
    let render = ["render", "race", "--as", "race", "--out", "r.png", "--size", "320x180"];
    place.refused(&render, &["no surface", "lossreel surface"]);
    place.refused(&["surface", "race", "--buffers-of", "b"], &["unknown run `b`", "other"]);
    place.refused(&["surface", "a", "--buffers-of", "a"], &["only for joint planes"]);
    place.refused(&["surface", "race", "--snapshot", "1"], &["--buffers-of"]);
    place.ok(&["surface", "race", "--grid", "3x3", "--samples", "20"]);
    place.ok(&render);
    place.refused(&["render", "a", "--as", "race", "--out", "r.png"], &["no joint plane"]);
    place.refused(
        &["render", "a", "other", "--as", "race", "--out", "r.png"],
        &["takes one joint folder", "lossreel plane"],
    );
    for (goal, words) in [("speed", "unknown measure"), ("test_accuracy=90", "0 to 1")] {
        place.refused(&[&render[..], &["--goal", goal]].concat(), &[words]);
    }
    fs::write(place.path("race/surfaces/pca/paths.jsonl"), "").unwrap();
    place.refused(&render, &["lacks the losses", "lossreel surface"]);

    // A run that is no longer what it was.
    place.train("other", &["--force", "--set=train.seed=6"]);
    place.refused(&render, &["run `other` is no longer", "--force"]);
    // Its plane is made again; the surface over the old one is not thrown away unasked.
    place.refused(&["surface", "race"], &["holds a surface of", "--force"]);
}

#[test]
fn one_snapshot_twins_and_a_diverged_run_can_be_joined_and_say_so() {
    let place = Place::new();
    let every = "--set=record.every=1 steps";
    place.train("a", &["--set=model.norm=none", every]);
    // A run cut down to its first snapshot.
    place.train("short", &["--set=model.norm=none", "--set=optim.lr=0.05"]);
    for n in 1..3 {
        fs::remove_file(place.path(&format!("short/snapshots/{n:06}.safetensors"))).unwrap();
    }
    for (name, bytes) in files(&place.path("a")) {
        let path = place.path("twin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    let diverge = ["--set=model.norm=none", every, "--set=optim.lr=1000"];
    place.train("wild", &diverge);

    let found = plane(&place, &["a", "twin", "short"], "odd");
    let notes = found["notes"].to_string();
    assert!(notes.contains("a and twin are the same run twice"), "{notes}");
    assert_eq!(found["runs"][2]["snapshots"], 1);
    assert_eq!(found["runs"][2]["explained_variance"], 0.0);
    place.ok(&["surface", "odd", "--grid", "3x3", "--samples", "20"]);
    place.ok(&[
        "render", "odd", "--as", "race", "--out", "odd.gif", "--size", "320x180", "--frames", "4",
    ]);

    // The snapshot at which the loss overflowed is left out, by name.
    let found = plane(&place, &["a", "wild"], "wild-race");
    assert!(!numbers(&found["runs"][1]["excluded"]).is_empty(), "{found}");
    place.ok(&["surface", "wild-race", "--grid", "5x5", "--samples", "20"]);
    for layout in ["one", "multiples"] {
        let args = ["--layout", layout, "--size", "640x360", "--frames", "4"];
        place.ok(&[&["render", "wild-race", "--as", "race", "--out", "w.mp4"], &args[..]].concat());
    }
}

#[test]
fn a_stack_cut_short_goes_on_and_ends_in_the_same_bytes() {
    let place = Place::new();
    // BatchNorm and dropout: everything that a layer's value may depend on.
    place.train("run", &["--set=model.dropout=0.2", "--set=record.every=2 steps"]);
    place.ok(&["plane", "run"]);
    let stack = |kind, name| {
        [
            "surface",
            "run",
            "--stack",
            kind,
            "--layers",
            "2",
            "--grid",
            "3x4",
            "--samples",
            "30",
            "--name",
            name,
        ]
    };
    for kind in ["snapshots", "batches", "dropout"] {
        let whole = place.json(&stack(kind, "whole"));
        assert_eq!((&whole["evaluated"], &whole["layers"]), (&24.into(), &2.into()), "{kind}");
        place.ok(&stack(kind, "halved"));
        // As if stopped in the first layer, in the middle of a line.
        let folder = place.path("run/surfaces/halved/layers");
        fs::remove_dir_all(folder.join("001")).unwrap();
        fs::remove_file(folder.join("000/paths.jsonl")).unwrap();
        let cells = folder.join("000/cells.jsonl");
        let text = fs::read_to_string(&cells).unwrap();
        let half: Vec<&str> = text.lines().take(5).collect();
        fs::write(&cells, format!("{}\n{{\"k\":5,\"lo", half.join("\n"))).unwrap();
        place.refused(
            &["render", "run", "--as", "moving", "--surface", "halved", "--out", "m.png"],
            &["not finished", "run the same"],
        );
        place.ok(&stack(kind, "halved"));
        let read = |name: &str| files(&place.path("run/surfaces").join(name));
        assert_eq!(read("whole"), read("halved"), "{kind}");
        for file in ["m.gif", "m.png"] {
            let args = ["--surface", "whole", "--out", file, "--size", "480x270", "--frames", "6"];
            place.ok(&[&["render", "run", "--as", "moving"], &args[..]].concat());
            let space = &["--view", "space", "--camera", "orbit", "--threads", "1"];
            place.ok(&[&["render", "run", "--as", "moving"], &args[..], space].concat());
            let one = fs::read(place.path(file)).unwrap();
            let space = &["--view", "space", "--camera", "orbit", "--threads", "3"];
            place.ok(&[&["render", "run", "--as", "moving"], &args[..], space].concat());
            assert!(fs::read(place.path(file)).unwrap() == one, "{file} depends on threads");
        }
        fs::remove_dir_all(place.path("run/surfaces")).unwrap();
    }
}

#[test]
fn the_slice_through_a_snapshot_has_its_true_loss_where_the_path_is() {
    let place = Place::new();
    place.train("run", &["--set=record.every=1 steps"]);
    let plane = place.json(&["plane", "run"]);
    // One cell, at the place of the first snapshot.
    let [x, y] = numbers(&plane["path"][0])[..] else { panic!("{plane}") };
    let range = format!("--range={},{},{},{}", x - 1.0, x + 1.0, y - 1.0, y + 1.0);
    let layers = plane["path"].as_array().unwrap().len().to_string();
    place.ok(&[
        "surface",
        "run",
        "--stack",
        "snapshots",
        "--layers",
        &layers,
        "--grid",
        "1x1",
        "--samples",
        "50",
        &range,
    ]);
    let read = |file: &str| -> Value {
        let path = place.path("run/surfaces/pca-snapshots/layers/000").join(file);
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let (cell, ball) = (read("cells.jsonl"), read("paths.jsonl"));
    let (cell, ball) = (cell["loss"].as_f64().unwrap(), ball["true_loss"].as_f64().unwrap());
    // The slice's origin is rounded to f32 once.
    assert!((cell - ball).abs() < 1e-4 * ball, "{cell} {ball}");
}

#[test]
fn stacks_that_cannot_be_made_are_refused() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    let stack = |kind, more: &[&'static str]| {
        [&["surface", "run", "--stack", kind, "--grid", "2x2", "--samples", "20"], more].concat()
    };
    place.refused(&stack("snapshots", &["--layers", "4"]), &["--layers", "3 finite snapshots"]);
    place.refused(&stack("batches", &["--layers", "9"]), &["--layers", "8 steps"]);
    place.refused(&stack("snapshots", &["--layers", "0"]), &["--layers", "use 1 to 3"]);
    place.refused(&stack("dropout", &[]), &["without dropout", "model.dropout"]);
    let render = ["render", "run", "--as", "moving", "--out", "m.png", "--size", "320x180"];
    place.refused(&render, &["no stack of surfaces", "--stack snapshots"]);
    place.ok(&stack("snapshots", &[]));
    place.ok(&render);
    place
        .refused(&stack("snapshots", &["--layers", "2"]), &["another surface or stack", "--force"]);
    place.ok(&stack("snapshots", &["--layers", "2", "--force"]));
    place.refused(
        &["surface", "run", "--grid", "2x2", "--name", "pca-snapshots"],
        &["holds a stack of surfaces"],
    );
    place.ok(&["plane", "run", "--centring", "uncentred"]);
    place.refused(&render, &["another plane"]);
}
