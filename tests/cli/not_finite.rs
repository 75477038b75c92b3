//! NaN and infinity are said in words and in JSON, and refused where a number is asked for.

use std::fs;

use crate::{MLP, Place, without_metadata};

#[test]
fn a_loss_that_is_no_number_is_said_in_words_and_in_json() {
    let place = Place::new();
    place.train("r", &[]);
    let path = place.path("r/snapshots/000001.safetensors");
    let mut bytes = fs::read(path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(place.path("net.safetensors"), without_metadata(bytes)).unwrap();
    let net = ["--weights=net.safetensors", "--arch=mlp", "--dataset=digits"];

    let evaluate = [&["evaluate"], &net[..]].concat();
    assert_eq!(place.json(&evaluate)["loss"], "NaN");
    let text = place.ok(&evaluate);
    assert!(text.contains("NaN (not a number)"), "{text}");
    let curve = [&["curve", "--points=3", "--samples=16"], &net[..]].concat();
    assert_eq!(place.json(&curve)["points"][1]["loss"], "NaN");
    assert!(place.ok(&curve).contains("at 3 points the loss is not a finite number"));
    let surface = [&["surface", "--grid=3x3", "--samples=16", "--out=s"], &net[..]].concat();
    let report = place.json(&surface);
    assert_eq!(report["nan"], 9);
    assert!(place.ok(&surface).contains("not finite            9 NaN"));
}

#[test]
fn every_option_that_is_a_number_refuses_what_is_none() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    place.ok(&["surface", "r", "--grid=3x3", "--samples=16"]);
    let space = ["render", "r", "--as=surface", "--size=320x200", "--out=x.png"];
    let film = ["render", "r", "--size=320x200", "--out=x.png"];
    for bad in ["nan", "inf", "-inf"] {
        for option in ["azimuth", "elevation", "clip", "relief"] {
            let option = format!("--{option}={bad}");
            let ended = place.run(&[&space[..], &[&option]].concat());
            assert_eq!(ended.code, 1, "{option}: {}", ended.stderr);
        }
        for option in ["pause", "card", "scale"] {
            let option = format!("--{option}={bad}");
            let ended = place.run(&[&film[..], &[&option]].concat());
            assert_eq!(ended.code, 1, "{option}: {}", ended.stderr);
        }
        let others: &[&[&str]] = &[
            &["render", "r", "--as=heatmap", "--out=x.png", "--values"],
            &["surface", "r", "--range"],
            &["curve", "r", "--range"],
        ];
        for args in others {
            let range = format!("{}=0,{bad}", args.last().unwrap());
            let ended = place.run(&[&args[..args.len() - 1], &[&range]].concat());
            assert_eq!(ended.code, 1, "{args:?}: {}", ended.stderr);
        }
        let others: &[&[&str]] = &[
            &["render", "r", "--as=race", "--out=x.png", "--goal=test_loss"],
            &["curvature", "r", "--tolerance"],
            &["bench", "--arch=mlp", "--round-secs"],
        ];
        for args in others {
            let value = format!("{}={bad}", args.last().unwrap());
            let ended = place.run(&[&args[..args.len() - 1], &[&value]].concat());
            assert_eq!(ended.code, 1, "{value}: {}", ended.stderr);
        }
        for key in [
            "optim.lr",
            "optim.momentum",
            "optim.dampening",
            "optim.weight_decay",
            "optim.grad_clip",
            "schedule.warmup_epochs",
            "schedule.min_lr",
            "schedule.gamma",
            "model.dropout",
            "model.width",
            "model.init_scale",
            "train.label_smoothing",
        ] {
            let set = format!("--set={key}={bad}");
            let ended = place.run(&[MLP, &["--out=m", &set]].concat());
            assert_eq!(ended.code, 1, "{set}: {}", ended.stderr);
            assert!(ended.stderr.contains(key), "{set}: {}", ended.stderr);
        }
    }
    assert!(!place.path("x.png").exists() && !place.path("m").exists());
}
