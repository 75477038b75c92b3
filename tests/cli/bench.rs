//! `lossreel bench`: what scripts read of it, and what it refuses.

use crate::{Place, assert_keys};

const SMALL: &[&str] = &[
    "bench",
    "--arch=resnet8",
    "--shortcut=none",
    "--model=width=0.25",
    "--image=1x8x8",
    "--batch-size=4",
    "--rounds=2",
    "--round-secs=0.01",
];

#[test]
fn bench_prints_the_keys_that_scripts_read() {
    let place = Place::new();
    let report = place.json(&[SMALL, &["--threads=2"]].concat());
    assert_keys(
        &report,
        &[
            "arch",
            "batch_size",
            "threads",
            "backend",
            "train_images_per_s",
            "eval_images_per_s",
            "peak_gflops",
        ],
    );
    assert_eq!(report["arch"], "resnet8 (shortcut none, width 0.25)");
    assert_eq!((&report["batch_size"], &report["threads"]), (&4.into(), &2.into()));
    assert_eq!(report["train_rounds"].as_array().unwrap().len(), 2);
    for key in ["train_images_per_s", "eval_images_per_s", "peak_gflops"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}: {report}");
    }
    // In words, with a line for each cost that people plan by.
    let text = place.ok(SMALL);
    for words in ["images/s", "% of peak", "an epoch of 50,000 images", "a 51x51 surface"] {
        assert!(text.contains(words), "no `{words}` in: {text}");
    }
}

#[test]
fn bench_measures_one_thing_when_asked() {
    let place = Place::new();
    let report = place.json(&[SMALL, &["--only=eval"]].concat());
    assert!(report["train_images_per_s"].is_null() && report["eval_images_per_s"].is_f64());
}

#[test]
fn bench_refuses_what_it_cannot_measure() {
    let place = Place::new();
    place.refused(&["bench", "--arch", "resnte20"], &["resnet20"]);
    place.refused(&["bench", "--arch", "mlp", "--image", "32x32"], &["--image", "3x32x32"]);
    place.refused(&["bench", "--arch", "mlp", "--image", "3x0x32"], &["--image", "3x32x32"]);
    place.refused(&["bench", "--arch", "mlp", "--batch-size", "0"], &["batch-size", "1 to"]);
    place.refused(&["bench", "--arch", "mlp", "--rounds", "0"], &["rounds"]);
    // An unknown engine or measurement is a matter of usage.
    for args in [["--backend", "candel"], ["--only", "tarin"]] {
        let ended = place.run(&[&["bench", "--arch", "mlp"], &args[..]].concat());
        assert_eq!(ended.code, 2, "{}", ended.stderr);
    }
}

#[test]
fn hvp_writes_the_product_and_refuses_a_vector_of_another_length() {
    let place = Place::new();
    place.train("run", &[]);
    let dim = place.json(&["inspect", "run"])["parameters"].as_u64().unwrap() as usize;
    let vector: Vec<f32> = (0..dim).map(|i| (i as f32).sin()).collect();
    for (name, len) in [("v", dim), ("short", dim - 1)] {
        let tensors: [(&str, &[usize], &[f32]); 1] = [("v", &[len], &vector[..len])];
        lossreel::weights::write_safetensors(place.path(name), &tensors, &[]).unwrap();
    }
    let ask = |vector| ["hvp", "run", "--samples=50", "--vector", vector, "--out", "hv"];
    let report = place.json(&ask("v"));
    assert_eq!(report["hvp_seconds"].as_array().unwrap().len(), 1);
    let hv = lossreel::weights::read(place.path("hv")).unwrap().tensors.remove(0);
    assert_eq!((hv.name.as_str(), hv.data.len()), ("hv", dim));
    // The curvature along v is that of the product in the file.
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let curvature = dot(&vector, &hv.data) / dot(&vector, &vector);
    let told = report["rayleigh"].as_f64().unwrap();
    assert!(curvature != 0.0 && (told - curvature).abs() <= 1e-9 * curvature.abs(), "{told}");
    place.refused(&ask("short"), &["--vector", "parameters"]);
}
