//! Sizes are checked before anything of them is allocated, and a dry run says what would be.

use std::fs;
use std::time::{Duration, Instant};

use crate::{MLP, Place, assert_keys, files};

#[test]
fn what_cannot_be_built_is_refused_by_key() {
    let place = Place::new();
    let vit = [MLP, &["--set=model.arch=vit", "--out=m"]].concat();
    for (set, words) in [
        ("model.depth=1000000000", ["model.depth", "use at most"]),
        ("model.dim=4611686018427387904", ["model.dim", "use at most"]),
        ("model.heads=4611686018427387904", ["model.heads", "use at most"]),
        ("model.hidden=[4294967296,4294967296]", ["model.hidden", "use at most"]),
    ] {
        let set = format!("--set={set}");
        place.refused(&[&vit[..], &[&set]].concat(), &words);
    }
    let wide = ["model.hidden=[1000000,1000000]", "model.width=64"];
    let args = ["train", "--dataset=digits", "--set=model.arch=mlp", "--out=m"];
    let sets = wide.map(|set| format!("--set={set}"));
    place.refused(&[&args[..], &[&sets[0], &sets[1]]].concat(), &["fc2", "larger than any memory"]);
    for dataset in ["synthetic", "spirals"] {
        let dataset = format!("--dataset={dataset}");
        let many = "--set=data.train_samples=9223372036854775807";
        let args = ["train", &dataset, "--set=model.arch=mlp", many, "--out=m"];
        place.refused(&args, &["the data set", "GB of memory"]);
    }
    place
        .refused(&["bench", "--arch=resnet8", "--classes=1000000000"], &["classes", "use at most"]);
    place.refused(&["bench", "--arch=mlp", "--batch-size=1000000000"], &["batch-size"]);
    let large = ["bench", "--arch=mlp", "--image=4096x4096x4096", "--batch-size=65536"];
    place.refused(&large, &["GB of memory"]);
    assert!(!place.path("m").exists());
}

#[test]
fn a_number_in_a_name_has_a_width_that_can_be() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    place.ok(&["surface", "r", "--grid=3x3", "--samples=16"]);
    let render = ["render", "r", "--size=320x200", "--frames=2", "--out=%0999999999d.png"];
    place.refused(&render, &["999999999 digits", "%05d"]);
}

#[test]
fn a_dry_run_says_what_would_be_needed_and_writes_nothing() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    let before = files(&place.path("r"));
    let keys = ["points", "samples", "memory_bytes", "free_bytes", "estimated_seconds", "into"];
    for (args, points) in [
        (&["surface", "r", "--grid=30x20"][..], 600),
        (&["surface", "r", "--grid=30x20", "--stack=snapshots", "--layers=2"], 1200),
        (&["curve", "r", "--points=7"], 7),
        (&["curvature", "r"], 3),
    ] {
        let report = place.json(&[args, &["--samples=16", "--dry-run"]].concat());
        assert_keys(&report, &keys);
        assert_eq!(
            (report["points"].as_u64(), report["samples"].as_u64()),
            (Some(points), Some(16))
        );
        // A net of some twenty thousand weights, its data and a plane: megabytes.
        let memory = report["memory_bytes"].as_u64().unwrap();
        assert!((100_000..1_000_000_000).contains(&memory), "{args:?}: {memory}");
        let text = place.ok(&[args, &["--samples=16", "--dry-run"]].concat());
        assert!(text.contains("of memory") && text.contains("taking"), "{text}");
    }
    assert!(files(&place.path("r")) == before);

    let started = Instant::now();
    let long = [MLP, &["--dry-run", "--set=train.epochs=1000000000000"]].concat();
    let report = place.json(&long);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(report["steps"].as_u64(), Some(4_000_000_000_000));
    let snapshots = report["snapshots"].as_u64().unwrap() as f64;
    assert!((snapshots / 1e12 - 1.0).abs() < 1e-3, "{snapshots}");
    assert!(report["memory_bytes"].as_u64().unwrap() > 0);
    place.json(&[MLP, &["--dry-run", "--set=train.epochs=9223372036854775807"]].concat());
    assert_eq!(fs::read_dir(place.path(".")).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf_8_is_refused_where_it_must_be_written_down() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let place = Place::new();
    place.train("r", &[]);
    place.train("s", &["--set=train.seed=1"]);
    let odd = OsStr::from_bytes(b"r\xff");
    fs::rename(place.path("r"), place.path(".").join(odd)).unwrap();
    let run = |args: &[&OsStr]| {
        let output = place.command(&[]).args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let arg = OsStr::new;
    let (code, stderr) = run(&[arg("plane"), odd, arg("s"), arg("--out=jj")]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("not UTF-8") && stderr.contains("rename"), "{stderr}");
    assert!(!place.path("jj").exists());
    // What needs not write it down works.
    for args in [&[arg("plane"), odd, arg("--json")][..], &[arg("evaluate"), odd, arg("--json")]] {
        let (code, stderr) = run(args);
        assert_eq!(code, Some(0), "{args:?}: {stderr}");
    }
}
