//! Architectures of one's own, from a file.

use std::fs;

use crate::{Place, files};

const NET: &str = r#"
name = "two_paths"

[[layers]]
op = "conv2d"
name = "stem"
out = 6
kernel = 3
padding = "same"

[[layers]]
op = "block"
name = "stage"
repeat = 2
[[layers.layers]]
op = "depthwise_conv2d"
name = "depth"
kernel = 3
padding = "same"
bias = false
[[layers.layers]]
op = "norm"
name = "bn"
[[layers.layers]]
op = "activation"
[[layers.layers]]
op = "add"
from = ["2", "input"]

[[layers]]
op = "global_avg_pool"
[[layers]]
op = "dropout"
[[layers]]
op = "linear"
name = "head"
out = "classes"
"#;

const TRAIN: &[&str] = &[
    "train",
    "--dataset=digits",
    "--set=model.arch=net.toml",
    "--set=data.train_samples=200",
    "--set=data.test_samples=100",
    "--set=train.batch_size=50",
    "--set=train.epochs=2",
    "--out=run",
];

#[test]
fn a_network_of_ones_own_trains_and_is_filmed_without_its_file() {
    let place = Place::new();
    fs::write(place.path("net.toml"), NET).unwrap();
    place.ok(TRAIN);
    let spec = fs::read_to_string(place.path("run/spec.toml")).unwrap();
    assert!(spec.contains("arch = \"two_paths\"") && spec.contains("depthwise_conv2d"), "{spec}");
    // From here on the run needs nothing but itself.
    fs::remove_file(place.path("net.toml")).unwrap();
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid=5x5", "--samples=50"]);
    place.ok(&["render", "run", "--out=p.png", "--size=480x270"]);
    let shown = place.json(&["curvature", "run", "--samples=50"]);
    assert!(shown["eigenvalues"][0].as_f64().unwrap().is_finite());
    // And begins again to the same bytes.
    place.ok(&["train", "run/spec.toml", "--out=again"]);
    let snapshots = |run: &str| files(&place.path(run).join("snapshots"));
    assert!(snapshots("run") == snapshots("again"));
}

#[test]
fn a_file_stands_beside_its_spec_and_wherever_an_architecture_is_named() {
    let place = Place::new();
    fs::create_dir(place.path("specs")).unwrap();
    fs::write(place.path("specs/net.toml"), NET).unwrap();
    let spec = "[model]\narch = \"net.toml\"\n[data]\nset = \"digits\"\n[train]\nepochs = 1\nbatch_size = 50\n";
    fs::write(place.path("specs/own.toml"), spec).unwrap();
    place.ok(&["train", "specs/own.toml", "--out=run"]);
    let table = place.json(&["inspect", "--arch=specs/net.toml", "--dataset=digits"]);
    assert_eq!(table["arch"], "two_paths");
    let weights = format!("{}", place.path("run/snapshots/000001.safetensors").display());
    let weights = format!("--weights={weights}");
    let arch = "--arch=specs/net.toml";
    let evaluated = ["evaluate", &weights, arch, "--dataset=digits", "--norm-stats=dataset"];
    let by_file = place.json(&evaluated);
    let by_run = place.json(&["evaluate", "run"]);
    assert_eq!(by_file["correct"], by_run["correct"]);
    place.ok(&["bench", arch, "--image=1x8x8", "--rounds=1", "--round-secs=0.05"]);
}

#[test]
fn a_built_in_architecture_is_written_as_a_file_to_begin_with() {
    let place = Place::new();
    let write = ["inspect", "--arch=resnet8", "--dataset=digits", "--write=copy.toml"];
    place.ok(&write);
    let of = |arch: &str| place.json(&["inspect", arch, "--dataset=digits"]);
    let (copy, own) = (of("--arch=copy.toml"), of("--arch=resnet8"));
    assert_eq!(copy["layout_digest"], own["layout_digest"]);
    assert_eq!(copy["macs"], own["macs"]);
    place.refused(&write, &["is there already"]);
    place.refused(&["inspect", "--arch=resnet8", "--write=copy.txt"], &["no .toml file"]);
}

#[test]
fn what_is_wrong_in_a_file_names_the_layer_and_the_remedy() {
    let place = Place::new();
    let refused = |text: &str, words: &[&str]| {
        fs::write(place.path("net.toml"), text).unwrap();
        place.refused(TRAIN, words);
    };
    refused(&NET.replace("\"norm\"", "\"batchnorm\""), &["net.toml", "did you mean `batch_norm`"]);
    let large = NET.replace("kernel = 3", "kernel = 99").replace("\"same\"", "0");
    refused(&large, &["stem", "99x99"]);
    refused(
        &NET.replace("[\"2\", \"input\"]", "[\"2\", \"imput\"]"),
        &["stage.0.3", "did you mean `input`"],
    );
    refused(&NET.replace("\"classes\"", "7"), &["head", "10 classes"]);
    refused(&NET.replace("two_paths", "vgg9"), &["vgg9", "built-in"]);
    refused("layers = []", &["no layers"]);
    refused("nonsense", &["net.toml"]);
    fs::remove_file(place.path("net.toml")).unwrap();
    place.refused(TRAIN, &["net.toml", "read the architecture"]);
}
