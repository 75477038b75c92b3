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
