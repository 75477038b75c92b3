//! What a killed process left half-written is removed by the next, and nothing else; and names that
//! files of others bring along cannot command a terminal.

use std::fs;

use crate::{MLP, Place};

#[test]
fn temporaries_of_killed_processes_are_swept_in_every_folder_that_is_written() {
    let place = Place::new();
    let often = "--set=record.every=1 steps";
    place.train("r", &[often]);
    place.train("s", &[often, "--set=optim.lr=0.02"]);
    let sweeping: &[(&[&str], &[&str])] = &[
        (&["plane", "r"], &["r/planes"]),
        (&["surface", "r", "--grid=3x3", "--samples=16", "--gradients=2x2"], &["r/surfaces/pca"]),
        (
            &["surface", "r", "--grid=3x3", "--samples=16", "--stack=snapshots", "--layers=2"],
            &["r/surfaces/pca-snapshots", "r/surfaces/pca-snapshots/layers/000"],
        ),
        (&["curve", "r", "--points=3", "--samples=16"], &["r/curves/curve"]),
        (&["curvature", "r", "--samples=16"], &["r", "r/snapshots", "r/curvature"]),
        (&["plane", "r", "s", "--out=j", "--snapshot-map"], &["j"]),
        (
            &["plane", "r", "s", "--out=j", "--snapshot-map", "--origin=mean"],
            &["j/planes", "j/maps"],
        ),
        (&["surface", "j", "--grid=3x3", "--samples=16"], &["j/surfaces/pca"]),
        (&[MLP, &["--out=t"]].concat(), &["t"]),
    ];
    let name = ".x.bin.0123456789abcdef.tmp";
    fs::create_dir(place.path("r/planes")).unwrap();
    for mine in ["r/.mine.tmp", "r/planes/.mine.tmp"] {
        fs::write(place.path(mine), "mine").unwrap();
    }
    for (args, folders) in sweeping {
        for folder in *folders {
            fs::create_dir_all(place.path(folder)).unwrap();
            fs::write(place.path(folder).join(name), "half").unwrap();
        }
        place.ok(args);
        for folder in *folders {
            assert!(!place.path(folder).join(name).exists(), "{args:?}: {folder}");
        }
    }
    assert!(place.path("r/planes/.mine.tmp").exists() && place.path("r/.mine.tmp").exists());

    // Beside a film only what was to become that film.
    let [own, other] = [".f.png.0123456789abcdef.tmp", ".g.png.0123456789abcdef.tmp"];
    fs::create_dir(place.path("films")).unwrap();
    for left in [own, other] {
        fs::write(place.path("films").join(left), "half").unwrap();
    }
    place.ok(&["render", "r", "--out=films/f.png", "--size=320x200"]);
    assert!(!place.path("films").join(own).exists() && place.path("films").join(other).exists());
    let own = ".0002.png.0123456789abcdef.tmp";
    fs::write(place.path("films").join(own), "half").unwrap();
    let frames = ["--out=films/%04d.png", "--frames=3", "--size=320x200"];
    place.ok(&[&["render", "r"][..], &frames].concat());
    assert!(!place.path("films").join(own).exists() && place.path("films").join(other).exists());
}

/// A safetensors file of one tensor with this name.
fn weights_named(name: &str) -> Vec<u8> {
    let tensor = serde_json::json!({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]});
    let header = serde_json::json!({
        "__metadata__": {"note\u{1b}[2J": "a\u{202e}b"},
        name: tensor
    });
    let mut header = header.to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(f32::NAN.to_le_bytes());
    bytes
}

#[test]
fn names_from_files_of_others_do_not_reach_a_terminal_as_commands() {
    let place = Place::new();
    let evil = "w\u{1b}]0;owned\u{7}\nlossreel: all is well\u{9b}2J\u{202e}";
    fs::write(place.path("w.safetensors"), weights_named(evil)).unwrap();
    let is_clean = |text: &str| !text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\r']);
    let inspect = ["inspect", "w.safetensors"];
    let text = place.ok(&inspect);
    assert!(is_clean(&text) && text.contains("w\\u{1b}]0;owned"), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("lossreel:")), "{text}");
    assert!(text.contains("1 values are NaN or infinite"), "{text}");
    let json = place.ok(&["inspect", "w.safetensors", "--json"]);
    assert!(is_clean(&json));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["tensors"][0]["name"], evil);
    for args in [
        &["import", "w.safetensors", "--out=v.safetensors"][..],
        &["evaluate", "--weights=w.safetensors", "--arch=mlp", "--dataset=digits"],
    ] {
        let ended = place.run(args);
        assert!(is_clean(&ended.stdout) && is_clean(&ended.stderr), "{args:?}: {:?}", ended.stderr);
        assert!(ended.stderr.contains("\\u{1b}"), "{args:?}: {}", ended.stderr);
    }
    let run = "r\u{1b}[31mred";
    let trained = place.run(&[MLP, &["--out", run]].concat());
    assert!(trained.code == 0 && is_clean(&trained.stderr) && is_clean(&trained.stdout));
    let spec = ["train", "--set=optim.ru\u{1b}[2Jle=sgd"];
    let refused = place.run(&spec);
    assert!(refused.code == 1 && is_clean(&refused.stderr), "{:?}", refused.stderr);
}
