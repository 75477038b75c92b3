//! Files of other people's training: state dicts wherever they put them, folders of checkpoints, lines
//! between nets, and training from given weights. The numbers are PyTorch's.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Place;

/// The folder with users' files and that of CIFAR-10, beside each other; none where they are not there.
fn files() -> Option<(PathBuf, PathBuf)> {
    let data = std::env::var_os("LOSSREEL_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let (cases, cifar) = (data.join("../cases"), data.join("cifar-10-batches-bin"));
    if cases.join("base.pth").is_file() && cifar.is_dir() {
        return Some((cases.canonicalize().unwrap(), cifar.canonicalize().unwrap()));
    }
    eprintln!("skipped: no {} (set LOSSREEL_DATA)", cases.join("base.pth").display());
    None
}

/// A command on the small residual net of the files, on the first thousand test images.
fn on_resnet8<'a>(command: &[&'a str], cifar: &'a str) -> Vec<&'a str> {
    let net = ["--arch=resnet8", "--shortcut=option_a", "--model=width=0.25", "--data-dir", cifar];
    let sample = ["--samples=1000", "--sample-order=file", "--split=test"];
    [command, &net, &sample].concat()
}

fn assert_found(found: &Value, loss: f64, correct: u64, what: &str) {
    let got = found["loss"].as_f64().unwrap();
    assert!((got - loss).abs() < 1e-5, "{what}: {got} for {loss}");
    assert_eq!(found["correct"], correct, "{what}");
}

#[test]
fn state_dicts_are_found_wherever_they_are_and_extras_are_told() {
    let Some((cases, cifar)) = files() else { return };
    let place = Place::new();
    let cifar = cifar.to_str().unwrap();
    for (file, note) in [
        ("base.pth", ""),
        ("03-other-keys/in-a-list.pt", "under 0"),
        ("03-other-keys/model_state.pt", "under model_state"),
        ("03-other-keys/module.pt", "under module"),
        ("03-other-keys/net_state_dict.pt", "under net_state_dict"),
        ("03-other-keys/network.pt", "under network"),
        ("03-other-keys/params.pt", "under params"),
        ("03-other-keys/two-dicts-down.pt", "under run.last.state_dict"),
        ("03-other-keys/weights.pt", "under weights"),
        ("05-extra-entries/averaged.pth", "n_averaged"),
        ("05-extra-entries/counted.pth", "total_ops"),
        ("05-extra-entries/lightning.ckpt", "criterion.weight"),
        ("06-normalise-inside/sequential.pt", "under 1"),
        ("06-normalise-inside/wrapped.pt", "second copy"),
        ("11-legacy-with-a-module/state-dict-and-loss.t7", ""),
        ("11-legacy-with-a-module/state-dict-and-loss.pth", ""),
    ] {
        let path = cases.join(file);
        let mut args = on_resnet8(&["evaluate", "--weights", path.to_str().unwrap()], cifar);
        // The statistics of those are in the file.
        let inside = file.starts_with("06");
        if !inside {
            args.push("--norm-stats=dataset");
        }
        let found = place.json(&args);
        assert_found(&found, 1.053446, 621, file);
        assert_eq!(found["norm_stats"]["from"], if inside { "file" } else { "given" });
        let notes = found["notes"].to_string();
        assert!(notes.contains(note) && (note.is_empty() == (notes == "[]")), "{file}: {notes}");
    }
    for (file, words) in [
        ("11-legacy-with-a-module/whole.t7", "a whole Python object (lib.Small)"),
        ("11-legacy-with-a-module/whole-in-a-dict.t7", "model.state_dict()"),
        ("11-legacy-with-a-module/whole.pth", "weights_only=False"),
        ("25-odd-files/page.pth", "it is a web page"),
        ("25-odd-files/layers.weights.h5", "Keras"),
        ("16-cifar100/hundred.pt", "100 classes"),
    ] {
        let path = cases.join(file);
        let args = on_resnet8(&["evaluate", "--weights", path.to_str().unwrap()], cifar);
        place.refused(&args, &[words]);
    }
    // A value that is NaN: which, and how many.
    let path = cases.join("25-odd-files/one-nan.pth");
    let path = path.to_str().unwrap();
    for command in ["evaluate", "inspect", "import"] {
        let args = match command {
            "evaluate" => on_resnet8(&["evaluate", "--weights", path], cifar),
            "inspect" => vec!["inspect", path],
            _ => vec!["import", path, "--out=a.safetensors"],
        };
        let ended = place.run(&args);
        let said = ended.stdout + &ended.stderr;
        assert!(said.contains("conv1.weight") && said.contains("NaN"), "{command}: {said}");
    }
}

#[test]
fn pixel_statistics_are_names_or_numbers_and_a_guess_is_told() {
    let Some((cases, cifar)) = files() else { return };
    let place = Place::new();
    let (path, cifar) = (cases.join("usual.pth"), cifar.to_str().unwrap());
    let path = path.to_str().unwrap();
    let args = on_resnet8(&["evaluate", "--weights", path], cifar);
    for (stats, loss, correct) in [
        ("mean=0.4914,0.4822,0.4465;std=0.2023,0.1994,0.2010", 1.097579, 605),
        ("usual", 1.097579, 605),
        ("half", 2.418474, 229),
        ("none", 4.152583, 105),
        ("dataset", 1.174251, 575),
    ] {
        let found = place.json(&[&args[..], &["--norm-stats", stats]].concat());
        assert_found(&found, loss, correct, stats);
    }
    let found = place.json(&args);
    assert_eq!(found["norm_stats"]["from"], "guessed");
    assert!(found["notes"][0].as_str().unwrap().contains("paper is taken"));
    assert!(place.ok(&args).contains("a guess: paper"));
    for (bad, words) in [
        ("mean=0.5;std=0", "above 0"),
        ("mean=0.5,0.5;std=1,1", "have 3"),
        ("mean=a;std=1", "no number"),
        ("papr", "paper"),
    ] {
        let ended = place.run(&[&args[..], &["--norm-stats", bad]].concat());
        assert!(ended.code != 0 && ended.stderr.contains(words), "{bad}: {}", ended.stderr);
    }
    let curvature = ["curvature", "--weights", path, "--arch=resnet8", "--shortcut=option_a"];
    let sample = ["--split=train", "--samples=200", "--sample-order=file", "--norm-stats=usual"];
    let more = ["--model=width=0.25", "--data-dir", cifar];
    let found = place.json(&[&curvature[..], &sample, &more].concat());
    let largest = found["eigenvalues"][0].as_f64().unwrap();
    assert!((largest - 112.47).abs() < 0.02, "{largest}");
}

#[test]
fn forms_of_an_architecture_are_told_by_the_shapes_or_asked_for() {
    let Some((cases, cifar)) = files() else { return };
    let place = Place::new();
    let cifar = cifar.to_str().unwrap();
    let sample = ["--samples=1000", "--sample-order=file", "--split=test", "--data-dir"];
    let evaluate = |file: &str, more: &[&str], data: &str| {
        let path = cases.join(file);
        let weights = ["evaluate", "--weights", path.to_str().unwrap()];
        place.json(&[&weights[..], more, &sample, &[data]].concat())
    };
    let lenet = ["--arch=lenet5", "--model=norm=none"];
    for (stats, loss, correct) in
        [("--norm-stats=dataset", 4.875185, 97), ("--norm-stats=half", 3.049475, 100)]
    {
        let found =
            evaluate("07-unpadded-lenet/lenet.pth", &[&lenet[..], &[stats]].concat(), cifar);
        assert_found(&found, loss, correct, stats);
        assert!(found["notes"][0].as_str().unwrap().contains("padding=valid"), "{found:#}");
    }
    let mnist = Path::new(cifar).join("../mnist");
    if mnist.is_dir() {
        let mlp = ["--arch=mlp", "--model=hidden=[16,16]", "--model=norm=none", "--dataset=mnist"];
        for file in ["fc1-fc2-fc3.pth", "sequential.pth", "sequential-in-a-module.pth"] {
            for (stats, loss, correct) in
                [("--norm-stats=dataset", 6.556404, 59), ("--norm-stats=none", 3.022835, 41)]
            {
                let more = [&mlp[..], &[stats]].concat();
                let file = format!("08-plain-mlps/{file}");
                let found = evaluate(&file, &more, mnist.to_str().unwrap());
                assert_found(&found, loss, correct, &file);
            }
        }
    }
    let resnet18 = ["--arch=resnet18", "--model=width=0.0625", "--norm-stats=dataset"];
    for (stem, loss, correct) in
        [("--model=stem=cifar_pooled", 2.452268, 245), ("--model=stem=cifar", 2.495545, 154)]
    {
        let more = [&resnet18[..], &[stem]].concat();
        let found = evaluate("10-pooled-resnet18/resnet18-pooled.pt", &more, cifar);
        assert_found(&found, loss, correct, stem);
    }
}

#[test]
fn a_line_to_another_net_ends_at_that_net() {
    let Some((cases, cifar)) = files() else { return };
    let place = Place::new();
    let cifar = cifar.to_str().unwrap();
    let at = |name: &str| cases.join("17-states-direction").join(name).display().to_string();
    let a = at("a.t7");
    let args = on_resnet8(&["curve", "--weights", &a, "--range=0,1", "--points=3"], cifar);
    let states = [1.053446, 1.115811, 1.369732];
    let weights = [1.053446, 2.264725, 4.838749];
    for (line, losses, batch_norm) in [
        (["--direction", &at("a_b_states.h5")], states, "interpolated"),
        (["--to", &at("b.t7")], states, "interpolated"),
        (["--direction", &at("a_b_weights.h5")], weights, "frozen"),
    ] {
        let found = place.json(&[&args[..], &line, &["--norm-stats=dataset"]].concat());
        for (point, loss) in found["points"].as_array().unwrap().iter().zip(losses) {
            assert!((point["loss"].as_f64().unwrap() - loss).abs() < 1e-5, "{line:?}: {point}");
        }
        assert_eq!(found["batch_norm"], batch_norm);
        let notes = found["notes"].as_array().unwrap();
        assert_eq!(notes.is_empty(), batch_norm == "interpolated", "{notes:?}");
    }
    place.refused(
        &[&args[..], &["--norm-stats=dataset", "--direction", &at("b.t7")]].concat(),
        &["--to"],
    );
}

#[test]
fn a_folder_of_checkpoints_is_a_run() {
    let Some((cases, cifar)) = files() else { return };
    let place = Place::new();
    let folder = cases.join("02-path-of-checkpoints/run").display().to_string();
    let net = ["--arch=resnet8", "--shortcut=option_a", "--model=width=0.25", "--data-dir"];
    let stats = [cifar.to_str().unwrap(), "--norm-stats=dataset"];
    let args = [&["import", &folder, "--out=run"][..], &net, &stats].concat();
    let report = place.json(&args);
    let rows = report["checkpoints"].as_array().unwrap().iter();
    let epochs: Vec<f64> = rows.map(|row| row["epoch"].as_f64().unwrap()).collect();
    assert_eq!(epochs, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]);
    // Shares and coordinates (the signs are free): numpy's.
    let plane = place.json(&["plane", "run"]);
    let shares = plane["explained_variance"].as_array().unwrap();
    for (share, want) in shares.iter().zip([0.805225, 0.191456]) {
        assert!((share.as_f64().unwrap() - want).abs() < 1e-6, "{share}");
    }
    let wanted = [
        [21.3079, 2.8211],
        [16.4179, 5.0596],
        [11.9085, 8.2356],
        [7.8195, 7.3612],
        [4.4464, 4.7454],
        [2.0211, 2.2073],
        [0.4888, 0.6053],
        [0.0, 0.0],
    ];
    for (point, want) in plane["path"].as_array().unwrap().iter().zip(wanted) {
        for (found, want) in point.as_array().unwrap().iter().zip(want) {
            assert!((found.as_f64().unwrap().abs() - want).abs() < 1e-4, "{point} {want:?}");
        }
    }
    // Each of the snapshots is the file's network, statistics and all. The run's own test images are a
    // draw: these are the first thousand.
    let all = ["import", &folder, "--out=whole", "--set=data.test_samples=0"];
    place.ok(&[&all[..], &["--set=train.eval_samples=10"], &net, &stats].concat());
    let losses = [2.328597, 2.369151, 2.928865, 3.888734, 3.348485, 1.670766, 1.114948, 1.053446];
    for (i, loss) in losses.into_iter().enumerate() {
        let snapshot = format!("--snapshot={i}");
        let sample = ["--samples=1000", "--sample-order=file", "--split=test"];
        let found = place.json(&[&["evaluate", "whole", &snapshot][..], &sample].concat());
        let got = found["loss"].as_f64().unwrap();
        assert!((got - loss).abs() < 1e-5, "{i}: {got} for {loss}");
    }
    place.ok(&["surface", "run", "--grid=5x5", "--samples=100"]);
    place.ok(&["render", "run", "--out=run.png"]);
    place.refused(&["train", "--resume", "run"], &["imported", "--from"]);

    // Without an architecture: the path.
    place.ok(&["import", &folder, "--out=path"]);
    let path = place.json(&["plane", "path"]);
    let of = |plane: &Value| plane["explained_variance"][0].as_f64().unwrap();
    assert!((of(&path) - of(&plane)).abs() < 1e-9);
    fs::create_dir(place.path("empty")).unwrap();
    place.refused(&["import", "empty", "--out=x"], &["no checkpoints", "safetensors"]);
}

#[test]
fn training_begins_at_given_weights() {
    let place = Place::new();
    place.train("first", &[]);
    let losses = |run: &str| -> Vec<f64> {
        let text = fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter_map(|line| line["test_loss"].as_f64()).collect()
    };
    let tensors = |run: &str, n: usize| {
        let path = place.path(run).join(format!("snapshots/{n:06}.safetensors"));
        lossreel::weights::read(path).unwrap().tensors
    };
    let last = fs::read_dir(place.path("first/snapshots")).unwrap().count() - 1;
    place.train("second", &["--from=first"]);
    assert!(tensors("second", 0) == tensors("first", last), "another beginning");
    assert!(losses("second")[0] < losses("first")[0]);
    place.train("third", &["--from=first:1"]);
    assert!(tensors("third", 0) == tensors("first", 1), "another beginning");
    // What it began at may be gone since.
    fs::rename(place.path("first"), place.path("moved")).unwrap();
    place.ok(&["evaluate", "second"]);
    place.ok(&["import", "moved/snapshots/000000.safetensors", "--out=w.safetensors"]);
    place.train("fourth", &["--from=w.safetensors", "--set=model.perturb=0.1"]);
    assert!(tensors("fourth", 0) != tensors("moved", 0), "nothing was moved");
    place.train("fifth", &["--from=w.safetensors", "--set=model.perturb=0.1"]);
    assert!(tensors("fourth", 0) == tensors("fifth", 0), "another draw");
    let mlp = crate::MLP;
    place.refused(&[mlp, &["--out=x", "--from=moved:99"]].concat(), &["snapshots"]);
    place.refused(&[mlp, &["--out=x", "--from=nowhere"]].concat(), &["nowhere"]);
    // Another net is refused.
    let other = ["--out=x", "--from=w.safetensors", "--set=model.hidden=[5]"];
    place.refused(&[mlp, &other].concat(), &["fit"]);
}

#[test]
fn a_run_is_exported_to_what_other_programs_read() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid=5x4", "--samples=50"]);
    let export = |to: &str, out: &str, more: &[&str]| {
        let to = format!("--to={to}");
        let args = [&["export", "run", to.as_str(), "--out", out][..], more].concat();
        let report = place.json(&args);
        assert!(report["bytes"].as_u64().unwrap() > 100, "{to}");
    };
    export("h5", "s.h5", &[]);
    // The files of the paper's code are read back, by the commands that take its files.
    place.ok(&["render", "--grid-file=s.h5", "--out=s.png"]);
    let plane = place.json(&["plane", "run", "--directions=s.directions.h5", "--name=again"]);
    assert_eq!(plane["path"].as_array().unwrap().len(), 3);
    assert!(place.path("s.path.h5").is_file());
    export("vtp", "s.vtp", &[]);
    let vtp = fs::read_to_string(place.path("s.vtp")).unwrap();
    assert!(vtp.contains("NumberOfPoints=\"20\"") && vtp.contains("NumberOfPolys=\"12\""));
    export("obj", "s.obj", &[]);
    export("npz", "s.npz", &[]);
    export("parquet", "s.parquet", &["--table=steps"]);
    export("tensorboard", "logs", &[]);
    export("safetensors", "w.safetensors", &["--snapshot=1"]);
    export("csv", "s.csv", &[]);
    let csv = fs::read_to_string(place.path("s.csv")).unwrap();
    assert_eq!(csv.lines().count(), 21, "{csv}");
    export("csv", "e.csv", &["--table=epochs"]);
    let last = fs::read_to_string(place.path("e.csv")).unwrap();
    let last: Vec<&str> = last.lines().last().unwrap().split(',').collect();
    let metrics = fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    assert!(metrics.lines().any(|line| line.contains(last[5])), "{last:?}");
    // Weights of a snapshot are the snapshot's: a training that begins there begins alike.
    place.train("from-file", &["--from=w.safetensors"]);
    place.train("from-run", &["--from=run:1"]);
    let first = |run: &str| {
        let path = place.path(run).join("snapshots/000000.safetensors");
        lossreel::weights::read(path).unwrap().tensors
    };
    assert!(first("from-file") == first("from-run") && first("from-run") != first("run"));
    place.refused(&["export", "run", "--to=vtp", "--out=x.vtp", "--table=path"], &["--table"]);
    place.refused(&["export", "run", "--to=vtp", "--out=x.vtp", "--surface=none"], &["none"]);
}

#[test]
fn the_command_alone_says_where_to_begin_and_doctor_what_is_here() {
    let place = Place::new();
    assert!(place.ok(&[]).contains("lossreel demo"));
    let report = place.json(&["doctor"]);
    let sets = report["datasets"].to_string();
    assert!(sets.contains("digits") && !sets.contains("cifar10"), "{sets}");
    assert!(report["advice"].to_string().contains("datasets fetch cifar10"));
    assert!(place.ok(&["doctor"]).contains("kernels"));
}
