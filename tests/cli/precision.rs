//! `--precision bf16`: what it evaluates, what it refuses, and that it never mixes with f32.

use std::fs;

use serde_json::Value;

use crate::{Ended, Place, RESNET, files};

fn loss(found: &Value) -> f64 {
    found["loss"].as_f64().unwrap()
}

/// A trained residual net of 4 to 16 channels in `run`.
fn place() -> Place {
    let place = Place::new();
    place.ok(&[RESNET, &["--out", "run", "--set=train.epochs=2"]].concat());
    place
}

#[test]
fn bf16_moves_the_loss_a_little_on_every_kind_of_processor_and_says_where_it_gains_nothing() {
    let place = place();
    let f32_loss = loss(&place.json(&["evaluate", "run"]));
    let evaluate = ["evaluate", "run", "--precision", "bf16", "--json"];
    for simd in ["portable", "avx2", "avx512"] {
        let found: Ended =
            place.command(&evaluate).env("LOSSREEL_SIMD", simd).output().unwrap().into();
        assert_eq!(found.code, 0, "{}", found.stderr);
        let off = (loss(&serde_json::from_str(&found.stdout).unwrap()) - f32_loss).abs() / f32_loss;
        // Eight bits of precision in seven layers: some 1e-3 of the loss; f32 would be 1e-6 off.
        assert!((1e-6..2e-2).contains(&off), "{simd}: {off:e}");
        if simd != "avx512" {
            assert!(found.stderr.contains("no AVX512-BF16"), "{simd}: {}", found.stderr);
        }
    }
}

#[test]
fn a_surface_in_bf16_says_so_and_never_goes_on_with_one_in_f32() {
    let place = place();
    place.ok(&["plane", "run"]);
    let surface = ["surface", "run", "--grid", "3x3", "--samples", "40"];
    let bf16 = [&surface[..], &["--precision", "bf16"]].concat();
    place.ok(&[&bf16[..], &["--threads", "1"]].concat());
    let grid = fs::read_to_string(place.path("run/surfaces/pca/grid.json")).unwrap();
    let grid: Value = serde_json::from_str(&grid).unwrap();
    assert_eq!(grid["precision"], "bf16");
    let error = grid["precision_error"].as_f64().unwrap();
    assert!(error > 0.0 && error <= 0.02, "{error}");
    let cells = place.path("run/surfaces/pca/cells.jsonl");
    let before = fs::read(&cells).unwrap();

    // The other precision is another surface, and leaves this one alone.
    place.refused(&surface, &["values in bf16, these are in f32", "--name", "--force"]);
    assert_eq!(fs::read(&cells).unwrap(), before);
    // The same goes on, to the same bytes on two threads.
    let half = before.iter().take(before.len() / 2).copied().collect::<Vec<u8>>();
    fs::write(&cells, half).unwrap();
    place.ok(&[&bf16[..], &["--threads", "2"]].concat());
    assert_eq!(fs::read(&cells).unwrap(), before);
    place.ok(&[&surface[..], &["--name", "exact"]].concat());
    let exact = fs::read(place.path("run/surfaces/exact/cells.jsonl")).unwrap();
    assert_ne!(exact, before, "bf16 rounds nothing");

    let size = ["--size", "640x360"];
    place.ok(&[&["render", "run", "--out", "narrow.svg"], &size[..]].concat());
    let svg = fs::read_to_string(place.path("narrow.svg")).unwrap();
    assert!(svg.contains("40 training images in bf16"), "the caption names the precision");
    place.ok(&[&["render", "run", "--surface", "exact", "--out", "exact.svg"], &size[..]].concat());
    assert!(!fs::read_to_string(place.path("exact.svg")).unwrap().contains("bf16"));
}

#[test]
fn a_surface_without_a_precision_is_one_in_f32() {
    let place = place();
    place.ok(&["plane", "run"]);
    let surface = ["surface", "run", "--grid", "2x2", "--samples", "40"];
    place.ok(&surface);
    // As versions without the option wrote it.
    let path = place.path("run/surfaces/pca/grid.json");
    let mut grid: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for key in ["precision", "sha256"] {
        grid.as_object_mut().unwrap().remove(key);
    }
    fs::write(&path, grid.to_string()).unwrap();
    place.ok(&surface);
    let refused = [&surface[..], &["--precision", "bf16"]].concat();
    place.refused(&refused, &["values in f32, these are in bf16"]);
}

/// Two halves of the first layer's channels that cancel but for little: what rounding leaves of their
/// difference is no loss.
#[test]
fn a_network_whose_loss_bf16_does_not_give_is_evaluated_in_f32() {
    let place = Place::new();
    let train = [
        "train",
        "--set=data.set=digits",
        "--set=model.arch=mlp",
        "--set=train.epochs=3",
        "--set=model.norm=none",
    ];
    place.ok(&[&train[..], &["--set=model.hidden=[64,64]", "--out", "run"]].concat());
    place.ok(&["export", "run", "--to", "safetensors", "--out", "weights.safetensors"]);
    let bytes = fs::read(place.path("weights.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let values = view.data().chunks_exact(4);
            let values = values.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            (name, view.shape().to_vec(), values)
        })
        .collect();
    // The second layer sees the first one's channels beside a large constant, which the next layer takes off.
    let shift = 3e3;
    let names: Vec<&str> = tensors.iter().map(|t| t.0.as_str()).collect();
    assert!(
        ["fc1.bias", "fc2.weight", "fc2.bias"].iter().all(|name| names.contains(name)),
        "{names:?}"
    );
    let sums: Vec<f32> = {
        let (_, shape, values) = tensors.iter().find(|t| t.0 == "fc2.weight").unwrap();
        values.chunks_exact(shape[1]).map(|row| row.iter().sum()).collect()
    };
    for (name, _, values) in &mut tensors {
        if name == "fc1.bias" {
            values.iter_mut().for_each(|v| *v += shift);
        }
        if name == "fc2.bias" {
            values.iter_mut().zip(&sums).for_each(|(v, sum)| *v -= shift * sum);
        }
    }
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, shape, values)| {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name.clone(), shape.clone(), bytes)
        })
        .collect();
    let views = views.iter().map(|(name, shape, bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.unwrap())
    });
    safetensors::serialize_to_file(views, None, &place.path("shifted.safetensors")).unwrap();
    let surface = ["surface", "--weights", "shifted.safetensors", "--arch", "mlp"];
    let data = ["--model", "hidden=[64,64]", "--model", "norm=none", "--dataset", "digits"];
    let grid = ["--grid", "2x2", "--samples", "40", "--out", "surface", "--precision", "bf16"];
    let found: Ended = place.run(&[&surface[..], &data, &grid].concat());
    assert_eq!(found.code, 0, "{}", found.stderr);
    assert!(found.stderr.contains("off that in f32"), "{}", found.stderr);
    let grid = fs::read_to_string(place.path("surface/grid.json")).unwrap();
    let grid: Value = serde_json::from_str(&grid).unwrap();
    assert_eq!(grid["precision"], "f32");
    assert!(grid.get("precision_error").is_none(), "{grid}");
}

#[test]
fn a_curve_keeps_its_precision() {
    let place = place();
    let curve = ["curve", "run", "--points", "3", "--samples", "40"];
    let bf16 = [&curve[..], &["--precision", "bf16"]].concat();
    let narrow = place.json(&bf16);
    assert_eq!(narrow["precision"], "bf16");
    place.refused(&curve, &["values in bf16", "--name"]);
    assert_eq!(place.json(&bf16)["points"], narrow["points"]);
    let exact = place.json(&[&curve[..], &["--name", "exact"]].concat());
    assert_eq!(exact["precision"], "f32");
    assert_ne!(exact["points"], narrow["points"]);
    place.ok(&["render", "run", "--as", "curve", "--out", "curve.svg"]);
    let svg = fs::read_to_string(place.path("curve.svg")).unwrap();
    assert!(svg.contains("40 training images in bf16"), "the caption names the precision");
}

#[test]
fn what_is_in_f32_only_is_refused_with_the_way_out() {
    let place = place();
    place.ok(&["plane", "run"]);
    let before = files(&place.path("run"));
    let bf16 = ["--precision", "bf16"];
    let candle = [&["evaluate", "run", "--backend", "candle"], &bf16[..]].concat();
    place.refused(&candle, &["--precision", "candle", "f32", "--backend native"]);
    let bench = [&["bench", "--arch", "resnet8", "--backend", "candle"], &bf16[..]].concat();
    place.refused(&bench, &["--precision", "candle", "f32", "--backend native"]);
    let stack = ["surface", "run", "--stack", "dropout", "--grid", "2x2", "--samples", "40"];
    place.refused(&[&stack[..], &bf16].concat(), &["train mode", "f32", "leave --precision out"]);
    place.refused(&[&["curvature", "run"], &bf16[..]].concat(), &["--precision", "f32 only"]);
    let unknown = place.run(&["evaluate", "run", "--precision", "bf61"]);
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("bf16"), "{}", unknown.stderr);
    let after = files(&place.path("run"));
    let named = |files: &std::collections::BTreeMap<String, Vec<u8>>| -> Vec<String> {
        files.keys().filter(|name| name.ends_with("cells.jsonl")).cloned().collect()
    };
    assert_eq!(named(&before), named(&after), "nothing was evaluated");
}

#[test]
fn bench_names_the_precision_and_the_kernels() {
    let place = Place::new();
    let bench = [
        "bench",
        "--arch",
        "resnet8",
        "--image",
        "3x16x16",
        "--only",
        "eval",
        "--rounds",
        "1",
        "--round-secs",
        "0",
    ];
    let kernels = |found: &Value| -> Vec<String> {
        let pairs = found["eval_kernels"].as_array().unwrap();
        assert_eq!(pairs.iter().map(|p| p[1].as_u64().unwrap()).sum::<u64>(), 10);
        pairs.iter().map(|p| p[0].as_str().unwrap().to_string()).collect()
    };
    let exact = place.json(&bench);
    assert_eq!(exact["precision"], "f32");
    assert!(kernels(&exact).iter().all(|name| name.ends_with("f32")), "{exact}");
    let narrow = place.json(&[&bench[..], &["--precision", "bf16"]].concat());
    assert_eq!(narrow["precision"], "bf16");
    let names = kernels(&narrow);
    // The logits stay exact.
    assert!(names.iter().any(|name| name == "direct f32"), "{names:?}");
    assert!(names.iter().any(|name| name == "Winograd F(4x4) bf16"), "{names:?}");
    let words = place.ok(&[&bench[..], &["--precision", "bf16"]].concat());
    assert!(words.contains("evaluation, bf16") && words.contains("F(4x4) bf16"), "{words}");
}
