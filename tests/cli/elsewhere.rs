//! A run looked at from another folder, or on a medium that cannot be written; and what cannot be read is
//! not taken for what is missing.

use std::fs;
use std::path::PathBuf;

use crate::{Place, files};

/// MNIST's files, unpacked into `data` of `place`; `None` (and a note) where they are not to be had.
fn mnist(place: &Place) -> Option<()> {
    let root = std::env::var_os("LOSSREEL_DATA").map(PathBuf::from)?.join("mnist");
    if !root.is_dir() {
        eprintln!("skipped: no {} (set LOSSREEL_DATA)", root.display());
        return None;
    }
    fs::create_dir_all(place.path("data")).unwrap();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, place.path("data").join(path.file_name().unwrap())).unwrap();
    }
    Some(())
}

#[test]
fn a_run_finds_its_data_from_another_folder_or_is_told_where_they_are() {
    let place = Place::new();
    let Some(()) = mnist(&place) else { return };
    let train = [
        "train",
        "--dataset=mnist",
        "--data-dir=data",
        "--out=r",
        "--set=model.arch=mlp",
        "--set=model.hidden=[8]",
        "--set=data.train_samples=100",
        "--set=data.test_samples=50",
        "--set=train.batch_size=50",
        "--set=train.epochs=1",
    ];
    place.ok(&train);
    fs::create_dir(place.path("other")).unwrap();
    let there = |args: &[&str]| {
        let output = place.command(args).current_dir(place.path("other")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, stderr) = there(&["evaluate", "../r"]);
    assert_eq!(code, Some(0), "{stderr}");

    // The data moved: the message names an option that each of these takes.
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    let spec = fs::read_to_string(place.path("r/spec.toml")).unwrap();
    fs::write(place.path("r/spec.toml"), spec.replace("epochs = 1", "epochs = 2")).unwrap();
    place.ok(&["plane", "r"]);
    let commands: &[&[&str]] = &[
        &["evaluate", "../r"],
        &["surface", "../r", "--grid=2x2", "--samples=10"],
        &["curve", "../r", "--points=2", "--samples=10"],
        &["curvature", "../r", "--samples=10", "--snapshots=1"],
        &["train", "--resume", "../r"],
    ];
    for args in commands {
        let (code, stderr) = there(args);
        assert_eq!(code, Some(1), "{args:?}");
        assert!(stderr.contains("--data-dir"), "{args:?}: {stderr}");
        let (code, stderr) = there(&[args, &["--data-dir=../moved"][..]].concat());
        assert_eq!(code, Some(0), "{args:?}: {stderr}");
    }
}

/// Runs the command in a mount namespace of its own in which `run` cannot be written; `None` where
/// that cannot be made (it takes a right that not every machine gives).
#[cfg(target_os = "linux")]
fn on_a_read_only_medium(place: &Place, run: &str, args: &[&str]) -> Option<(i32, String, String)> {
    let mount = format!("mount --bind {run} {run} && mount -o remount,bind,ro {run}");
    let shell = |script: &str, args: &[&str]| {
        let inner = place.command(args);
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_lossreel")]);
        command.args(inner.get_args()).current_dir(place.path(".")).output().ok()
    };
    let probe = shell(&format!("{mount} && ! touch {run}/probe"), &[])?;
    if !probe.status.success() {
        eprintln!("skipped: no mount namespaces here");
        return None;
    }
    let output = shell(&format!("{mount} && exec \"$@\""), args)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((output.status.code()?, text(&output.stdout), text(&output.stderr)))
}

#[cfg(target_os = "linux")]
#[test]
fn a_complete_run_on_a_read_only_medium_can_be_looked_at_and_drawn() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    let surface = ["surface", "r", "--grid=3x3", "--samples=16", "--gradients=2x2"];
    place.ok(&surface);
    let curve = ["curve", "r", "--points=3", "--samples=16"];
    place.ok(&curve);
    let curvature = ["curvature", "r", "--samples=16"];
    place.ok(&curvature);
    let size = "--size=320x200";
    let looked_at: &[&[&str]] = &[
        &["inspect", "r"],
        &["evaluate", "r"],
        &["plane", "r"],
        &surface,
        &curve,
        &curvature,
        &["render", "r", "--out=a.png", size, "--arrows", "--strip=loss,sharpness"],
        &["render", "r", "--as=spectrum", "--out=b.png", size],
        &["render", "r", "--as=curve", "--out=c.png", size],
        &["plane", "r", "--out=j"],
        &["surface", "j", "--grid=3x3", "--samples=16"],
        &["curve", "r", "--points=4", "--samples=16", "--out=c"],
    ];
    let before = files(&place.path("r"));
    for args in looked_at {
        let Some((code, _, stderr)) = on_a_read_only_medium(&place, "r", args) else { return };
        assert_eq!(code, 0, "{args:?}: {stderr}");
    }
    // What would have to be written there says so, and where it can go.
    let written: &[&[&str]] = &[
        &["plane", "r", "--name=other"],
        &["surface", "r", "--grid=4x4", "--samples=16", "--name=other"],
        &["curve", "r", "--points=5", "--samples=16", "--name=other"],
    ];
    for args in written {
        let Some((code, _, stderr)) = on_a_read_only_medium(&place, "r", args) else { return };
        assert_eq!(code, 1, "{args:?}");
        assert!(stderr.contains("Read-only file system") && stderr.contains("--out"), "{stderr}");
    }
    assert!(files(&place.path("r")) == before);
}

#[test]
fn what_cannot_be_read_is_not_said_to_be_missing() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    place.ok(&["surface", "r", "--grid=3x3", "--samples=16"]);
    // A folder in the place of each file.
    for (file, args) in [
        ("spec.toml", &["evaluate", "r"][..]),
        ("manifest.json", &["evaluate", "r"]),
        ("planes/pca.safetensors", &["render", "r", "--out=x.png"]),
        ("surfaces/pca/grid.json", &["render", "r", "--out=x.png"]),
        ("surfaces/pca/cells.jsonl", &["render", "r", "--out=x.png"]),
        ("checkpoint.safetensors", &["train", "--resume", "r"]),
    ] {
        let (path, aside) = (place.path("r").join(file), place.path("aside"));
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        let ended = place.run(args);
        assert_eq!(ended.code, 1, "{file}: {}", ended.stderr);
        let name = file.rsplit('/').next().unwrap();
        assert!(ended.stderr.contains(name), "{file}: {}", ended.stderr);
        for word in
            ["there is no", "holds no", "no checkpoint", "compute it first", "make it first"]
        {
            assert!(!ended.stderr.contains(word), "{file}: {}", ended.stderr);
        }
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
}
