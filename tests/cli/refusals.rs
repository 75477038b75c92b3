//! Bad input: each message names what is wrong and what to do, and nothing is left behind or
//! touched.

use std::fs;
use std::path::Path;

use crate::{MLP, Place, files};

/// Refuses `train` with these arguments beside the small MLP's, and leaves no run folder.
fn train_refused(place: &Place, more: &[&str], words: &[&str]) {
    place.refused(&[MLP, &["--out", "refused"], more].concat(), words);
    assert!(!place.path("refused").exists(), "{more:?} left a folder behind");
}

#[test]
fn a_bad_spec_is_refused_by_key_value_and_remedy() {
    let place = Place::new();
    let cases: &[(&str, &[&str])] = &[
        ("optim.momentun=0.9", &["optim.momentun", "did you mean `optim.momentum`?"]),
        ("optin.lr=0.9", &["optin", "did you mean `optim"]),
        ("optim.rule=adma", &["optimizer `adma`", "did you mean `adam`?", "rmsprop"]),
        ("model.arch=resnte20", &["architecture `resnte20`", "did you mean `resnet20`?"]),
        ("model.activation=rleu", &["activation `rleu`", "did you mean `relu`?"]),
        ("model.arch=resnet21", &["model.arch", "21", "6n + 2"]),
        (
            "model.arch=vgg16",
            &["features.33", "2x2 window on a feature map of side 1", "use larger images"],
        ),
        ("data.train_samples=5000", &["data.train_samples", "5000", "1437"]),
        ("data.test_samples=361", &["data.test_samples", "361", "360"]),
        ("train.batch_size=201", &["train.batch_size", "201", "200"]),
        ("train.batch_size=0", &["train.batch_size", "use 1 to 200"]),
        ("train.epochs=0", &["train.epochs", "use at least 1"]),
        ("train.epochs=many", &["epochs", "many"]),
        ("train.epochs=-3", &["epochs", "-3"]),
        ("train.label_smoothing=1", &["train.label_smoothing"]),
        ("optim.lr=-0.1", &["optim.lr", "-0.1"]),
        ("optim.lr=nan", &["optim.lr"]),
        ("optim.weight_decay=-1", &["optim.weight_decay"]),
        ("optim.momentum=1.5", &["optim.momentum"]),
        ("model.dropout=1", &["model.dropout"]),
        ("model.width=0", &["model.width"]),
        ("record.every=never", &["record.every", "never", "100 steps"]),
        ("data.norm_stats=paper", &["norm-stats", "3 channels", "dataset"]),
        ("schedule.kind=cosin", &["cosin", "did you mean `cosine`?"]),
        ("lr=0.1", &["--set", "lr=0.1", "write --set optim.lr=0.05"]),
        ("optim.lr", &["--set", "not key=value"]),
    ];
    for (set, words) in cases {
        train_refused(&place, &["--set", set], words);
    }
    place.refused(&["train", "--dataset", "digit"], &["`digit`", "did you mean `digits`?"]);
    fs::write(place.path("bad.toml"), "[train\nepochs = 1\n").unwrap();
    place.refused(&["train", "bad.toml"], &["does not parse", "line 1"]);
    place.refused(&["train", "missing.toml"], &["read the spec", "missing.toml"]);
}

#[test]
fn missing_and_truncated_data_are_refused_with_what_to_get() {
    let place = Place::new();
    let cifar = ["train", "--dataset", "cifar10", "--out", "refused"];
    let nowhere = [&cifar[..], &["--data-dir", "nowhere"]].concat();
    place.refused(&nowhere, &["nowhere", "data_batch_1.bin", "https://", "--data-dir"]);

    fs::create_dir(place.path("half")).unwrap();
    fs::write(place.path("half/data_batch_1.bin"), vec![0; 30_000]).unwrap();
    let half = [&cifar[..], &["--data-dir", "half"]].concat();
    place.refused(&half, &["30000 bytes instead of 30730000", "unpack it again", "data_batch_1"]);
    let evaluate = ["datasets", "fetch", "cifar10", "--data-dir", "half"];
    place.refused(&evaluate, &["30000 bytes instead of 30730000"]);
    assert!(!place.path("refused").exists());
}

#[test]
fn an_existing_run_is_neither_touched_nor_replaced_unless_forced() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    let before = files(&place.path("run"));
    let again = [MLP, &["--out", "run", "--set=train.seed=5"]].concat();
    place.refused(&again, &["a run is there already", "--resume", "--force", "run"]);
    assert!(before == files(&place.path("run")), "the refusal changed the run");

    // A spec that is refused leaves the run alone even when forced.
    let bad = [&again[..], &["--force", "--set=train.batch_size=1000"]].concat();
    place.refused(&bad, &["train.batch_size"]);
    assert!(before == files(&place.path("run")), "the refusal changed the run");

    fs::write(place.path("run/notes.txt"), "mine").unwrap();
    place.ok(&[&again[..], &["--force"]].concat());
    let after = files(&place.path("run"));
    assert_ne!(before["snapshots/000000.safetensors"], after["snapshots/000000.safetensors"]);
    assert!(!after.contains_key("planes/pca.safetensors"), "a plane of the old run is left");
    assert_eq!(after["notes.txt"], b"mine", "somebody's own file is gone");
}

#[test]
fn folders_that_are_no_runs_are_never_touched() {
    let place = Place::new();
    fs::create_dir(place.path("thesis")).unwrap();
    fs::write(place.path("thesis/chapter1.txt"), "words").unwrap();
    let before = files(&place.path("thesis"));
    let into = [MLP, &["--out", "thesis"]].concat();
    place.refused(&into, &["holds no run", "choose another --out", "thesis"]);
    place.refused(&[&into[..], &["--force"]].concat(), &["holds no run", "choose another --out"]);
    place.refused(&["train", "--resume", "thesis"], &["not a run", "thesis"]);
    place.refused(&["plane", "thesis"], &["not a run"]);
    assert_eq!(before, files(&place.path("thesis")));
    for args in [&["train", "--resume"][..], &["plane"], &["surface"], &["evaluate"], &["inspect"]]
    {
        place.refused(&[args, &["nowhere"]].concat(), &["nowhere"]);
    }
    assert!(!place.path("nowhere").exists());

    // An empty folder is as good as none.
    fs::create_dir(place.path("empty")).unwrap();
    place.train("empty", &[]);
}

#[test]
fn an_output_folder_that_cannot_be_made_is_an_error_with_its_path() {
    let place = Place::new();
    fs::write(place.path("file"), "a file").unwrap();
    for out in ["file/run", "file"] {
        place.refused(&[MLP, &["--out", out]].concat(), &["cannot", out]);
    }
    assert_eq!(fs::read(place.path("file")).unwrap(), b"a file");
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid", "2x2", "--samples", "10"]);
    place
        .refused(&["render", "run", "--out", "file/film.png"], &["cannot make the folder", "file"]);
}

fn truncate(path: &Path, len: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..len]).unwrap();
}

#[test]
fn damaged_run_folders_say_which_file_is_damaged() {
    let place = Place::new();
    let fresh = || {
        let _ = fs::remove_dir_all(place.path("run"));
        place.train("run", &[]);
    };
    let run = |name: &str| place.path("run").join(name);

    fresh();
    truncate(&run("checkpoint.safetensors"), 5000);
    place.refused(&["train", "--resume", "run"], &["cut", "checkpoint.safetensors"]);
    fs::write(run("checkpoint.safetensors"), b"garbage, not a checkpoint").unwrap();
    place.refused(&["train", "--resume", "run"], &["checkpoint.safetensors"]);
    fs::remove_file(run("checkpoint.safetensors")).unwrap();
    place.refused(&["train", "--resume", "run"], &["no checkpoint", "--force"]);
    place.train("run", &["--force"]);

    truncate(&run("snapshots/000001.safetensors"), 5000);
    for command in ["plane", "evaluate"] {
        place.refused(&[command, "run"], &["cut", "000001.safetensors"]);
    }
    fresh();
    truncate(&run("manifest.json"), 50);
    place.refused(&["plane", "run"], &["manifest does not parse", "manifest.json"]);
    fresh();
    let newer = fs::read_to_string(run("manifest.json")).unwrap();
    let newer = newer.replace("\"format_version\": 1", "\"format_version\": 99");
    fs::write(run("manifest.json"), newer).unwrap();
    place.refused(&["plane", "run"], &["format 99", "use a newer lossreel"]);
    fresh();
    let metrics = fs::read_to_string(run("metrics.jsonl")).unwrap();
    fs::write(run("metrics.jsonl"), metrics.replacen("{\"kind\"", "{kind", 1)).unwrap();
    place.refused(&["inspect", "run"], &["line 1 does not parse", "metrics.jsonl"]);
    fresh();
    fs::remove_dir_all(run("snapshots")).unwrap();
    place.refused(&["plane", "run"], &["snapshots"]);
}

#[test]
fn planes_surfaces_and_pictures_that_do_not_fit_are_refused() {
    let place = Place::new();
    place.train("run", &[]);
    place.train("other", &["--set=model.hidden=[20]"]);
    let surface = |more: &[&'static str]| {
        [&["surface", "run", "--samples", "10", "--grid", "3x3"], more].concat()
    };
    place.refused(&surface(&[]), &["there is no plane", "lossreel plane RUN"]);
    place.refused(&["render", "run", "--out", "x.png"], &["there is no plane"]);
    place.refused(&["plane", "run", "--directions", "missing.h5"], &["missing.h5"]);

    place.ok(&["plane", "other"]);
    fs::create_dir(place.path("run/planes")).unwrap();
    fs::copy(place.path("other/planes/pca.safetensors"), place.path("run/planes/pca.safetensors"))
        .unwrap();
    place.refused(&surface(&[]), &["another network", "lossreel plane RUN"]);

    place.ok(&["plane", "run"]);
    place.refused(
        &["render", "run", "--out", "x.png"],
        &["there is no surface", "lossreel surface"],
    );
    place.ok(&surface(&[]));
    let mut cells = files(&place.path("run/surfaces"));
    for more in [&["--grid", "5x5"][..], &["--samples", "20"], &["--range=-1,1"]] {
        let args = [&["surface", "run"], more].concat();
        let args =
            if more[0] == "--samples" { [&args[..], &["--grid", "3x3"]].concat() } else { args };
        place.refused(&args, &["holds a surface of", "--name", "--force"]);
    }
    assert!(cells == files(&place.path("run/surfaces")), "a refusal changed the surface");
    place.ok(&["surface", "run", "--grid", "2x2", "--samples", "10", "--force"]);
    cells = files(&place.path("run/surfaces"));
    assert_eq!(cells["pca/cells.jsonl"].iter().filter(|b| **b == b'\n').count(), 4);

    // A plane made anew under a surface.
    place.ok(&["plane", "run", "--directions", "random", "--name", "pca"]);
    place.refused(&["render", "run", "--out", "x.png"], &["another plane", "--force"]);
    place.ok(&["plane", "run"]);

    for (args, words) in [
        (&["--out", "film.xyz"][..], &["xyz", "gif, mp4"][..]),
        (&["--out", "film"], &["unknown picture format", "mp4"]),
        (&["--out", "x.png", "--size", "huge"], &["--size", "huge", "1280x720"]),
        (&["--out", "x.png", "--size", "10x10"], &["size", "10x10", "320x180"]),
        (&["--out", "x.gif", "--fps", "0"], &["fps", "1 to 50"]),
        (&["--out", "x.gif", "--frames", "0"], &["frames"]),
        (&["--out", "x.png", "--theme", "drak"], &["drak", "did you mean `dark`?"]),
        (&["--out", "x.png", "--surface", "none"], &["there is no surface"]),
        (&["--out", "x.png", "--as", "curve"], &["there is no", "curve"]),
    ] {
        place.refused(&[&["render", "run"], args].concat(), words);
    }
    assert!(!place.path("x.png").exists() && !place.path("x.gif").exists());
}

#[test]
fn numbers_out_of_range_are_refused_with_how_to_write_them() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    let surface: &[(&[&str], &[&str])] = &[
        (&["--grid", "0x5"], &["0x5", "51x51"]),
        (&["--grid", "big"], &["big", "51x51"]),
        (&["--range=1,-1"], &["1,-1", "--range=-1,1"]),
        (&["--range=a,b"], &["a,b", "--range=-1,1"]),
        (&["--samples", "0"], &["samples", "1 to 200"]),
        (&["--samples", "201"], &["samples", "201", "200"]),
        (&["--snapshot", "9"], &["--snapshot", "9", "leave it out"]),
        (&["--threads", "0"], &["--threads", "1 to 1024"]),
    ];
    for (args, words) in surface {
        place.refused(&[&["surface", "run"], *args].concat(), words);
    }
    assert!(!place.path("run/surfaces").exists());
    place.refused(&["curve", "run", "--points", "0"], &["--points", "1 to 100000"]);
    place.refused(&["curve", "run", "--range=0,0"], &["0,0", "--range=-1,1"]);
}

#[test]
fn weights_that_are_none_or_another_nets_are_refused() {
    let place = Place::new();
    let evaluate =
        |weights, arch| ["evaluate", "--weights", weights, "--arch", arch, "--dataset", "digits"];
    // A pickle that begins well and ends in nonsense, as torch.save's legacy files begin.
    let garbage = [&[0x80, 2, 0x8a, 10][..], &[0xff; 40]].concat();
    fs::write(place.path("garbage.t7"), garbage).unwrap();
    place.refused(&evaluate("garbage.t7", "mlp"), &["garbage.t7", "save the state dict"]);
    fs::write(place.path("text.pth"), "these are no weights").unwrap();
    place.refused(&evaluate("text.pth", "mlp"), &["text.pth", "no weights file"]);
    place.refused(&evaluate("missing.pth", "mlp"), &["cannot read the weights", "missing.pth"]);
    place.refused(&evaluate("text.pth", "mpl"), &["`mpl`", "did you mean `mlp`?"]);

    place.train("run", &[]);
    let snapshot = "run/snapshots/000000.safetensors";
    place.refused(&evaluate(snapshot, "lenet5"), &["do not fit lenet5", "lacks conv1.weight"]);
    place.ok(&evaluate(snapshot, "mlp"));
}

#[test]
fn a_checkpoint_from_the_wild_says_which_shortcut_it_has() {
    let root = std::env::var_os("LOSSREEL_DATA").map(std::path::PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    let weights = root.join("akamaster-resnet20/resnet20-12fca82f.th");
    let data = root.join("cifar-10-batches-bin");
    if !weights.exists() || !data.exists() {
        eprintln!("skipped: no {} (set LOSSREEL_DATA)", weights.display());
        return;
    }
    let (weights, data) = (weights.display().to_string(), data.display().to_string());
    let args = ["evaluate", "--weights", &weights, "--data-dir", &data, "--arch"];
    let place = Place::new();
    place.refused(&[&args[..], &["resnet20"]].concat(), &["resnet20", "--shortcut option_a"]);
    place.refused(&[&args[..], &["resnet56"]].concat(), &["resnet56", "resnet20"]);
}
