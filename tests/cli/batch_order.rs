//! `export --to batch-order`: what another program repeats a run from.

use std::fs;

use safetensors::SafeTensors;

use crate::{Place, RESNET};

fn ints<const N: usize, T>(bytes: &[u8], of: fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).map(|chunk| of(chunk.try_into().unwrap())).collect()
}

#[test]
fn the_order_names_each_image_of_each_step_and_its_learning_rate() {
    let place = Place::new();
    place
        .ok(&[RESNET, &["--out=run", "--set=data.train_samples=30", "--set=train.epochs=2"]]
            .concat());
    let report = place.json(&["export", "run", "--to=batch-order", "--out=order.safetensors"]);
    // 30 images in batches of 8: the last of an epoch has 6.
    assert_eq!((&report["steps"], &report["draws"]), (&8.into(), &60.into()));
    let bytes = fs::read(place.path("order.safetensors")).unwrap();
    let order = SafeTensors::deserialize(&bytes).unwrap();
    let data = |name: &str| order.tensor(name).unwrap().data().to_vec();
    assert_eq!(ints(&data("steps"), i64::from_le_bytes), [0, 8, 16, 24, 30, 38, 46, 54, 60]);
    let images = ints(&data("images"), i32::from_le_bytes);
    let mut epochs: Vec<Vec<i32>> = images.chunks(30).map(<[i32]>::to_vec).collect();
    assert_ne!(epochs[0], epochs[1], "each epoch has an order of its own");
    epochs.iter_mut().for_each(|epoch| epoch.sort_unstable());
    assert_eq!(epochs[0], epochs[1], "each epoch visits the same images");
    epochs[0].dedup();
    assert_eq!(epochs[0].len(), 30);
    assert_eq!(order.tensor("crop").unwrap().shape(), [60, 2]);
    let crop = data("crop");
    assert!(crop.iter().all(|&v| (-4..=4).contains(&(v as i8))));
    assert!(crop.iter().any(|&v| v != 0), "the run crops");
    assert!(data("flip").iter().all(|&v| v == 0), "and does not mirror digits");
    // The learning rates are those that the run logged.
    let log = fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    let logged: Vec<f64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["kind"] == "step")
        .map(|line| line["lr"].as_f64().unwrap())
        .collect();
    assert_eq!(ints(&data("lr"), f64::from_le_bytes), logged);

    let first = place.json(&["export", "run", "--to=batch-order", "--out=few", "--steps=5"]);
    assert_eq!((&first["steps"], &first["draws"]), (&5.into(), &38.into()));
    let refused = |steps: &str, words: &[&str]| {
        place.refused(&["export", "run", "--to=batch-order", "--out=x", steps], words);
    };
    refused("--steps=9", &["--steps", "1 to 8"]);
    refused("--steps=0", &["--steps", "1 to 8"]);
    assert!(!place.path("x").exists());
}

#[test]
fn the_order_of_a_fork_is_that_of_its_parent_up_to_the_fork() {
    let place = Place::new();
    let small = ["--set=data.train_samples=30", "--set=train.epochs=2"];
    let order_of = |run: &str, more: &[&str]| {
        place.ok(&[RESNET, &small[..], &["--out", run], more].concat());
        let out = format!("{run}.safetensors");
        place.ok(&["export", run, "--to=batch-order", "--out", &out]);
        let bytes = fs::read(place.path(&out)).unwrap();
        let order = SafeTensors::deserialize(&bytes).unwrap();
        let images = ints(order.tensor("images").unwrap().data(), i32::from_le_bytes);
        (images, order.tensor("crop").unwrap().data().to_vec())
    };
    let parent = order_of("parent", &[]);
    let fork = order_of("fork", &["--set=train.fork_epoch=0.5", "--set=train.fork_seed=1"]);
    // Two of the four steps of an epoch are alike, 16 images, and so is the set of all 30.
    assert_eq!(parent.0[..16], fork.0[..16]);
    assert_eq!(parent.1[..32], fork.1[..32]);
    assert_ne!(parent.0[16..30], fork.0[16..30]);
    assert_ne!(parent.1[32..60], fork.1[32..60]);
    assert_ne!(parent.0[30..], fork.0[30..]);
    let sorted = |images: &[i32]| {
        let mut images = images.to_vec();
        images.sort_unstable();
        images
    };
    assert_eq!(sorted(&parent.0[..30]), sorted(&fork.0[..30]));
}
