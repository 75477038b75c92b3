//! Each scene from a run that the command trained.

use std::fs;

use crate::Place;

/// A small net on points of the plane: 8 epochs of 4 steps, a snapshot each second step.
const SPIRALS: &[&str] = &[
    "train",
    "--dataset",
    "spirals",
    "--set=model.arch=mlp",
    "--set=model.hidden=[8]",
    "--set=model.norm=none",
    "--set=data.train_samples=80",
    "--set=data.test_samples=40",
    "--set=train.batch_size=20",
    "--set=train.epochs=8",
    "--set=schedule.kind=step",
    "--set=schedule.milestones=[5]",
    "--set=record.every=2 steps",
    "--out",
    "run",
];

#[test]
fn every_scene_is_drawn_from_a_run() {
    let place = Place::new();
    place.ok(SPIRALS);
    place.ok(&["plane", "run"]);
    let draw = |scene: &str, file: &str, more: &[&str]| {
        let size = ["--size", "480x320", "--frames", "4"];
        let base = ["render", "run", "--as", scene, "--out", file];
        let report = place.json(&[&base[..], &size[..], more].concat());
        assert_eq!(report["width"], 480, "{scene}");
        assert_eq!(report["warnings"].as_array().unwrap().len(), 0, "{scene}: {report}");
        fs::read(place.path(file)).unwrap()
    };
    // Without a surface the boundary film shows the path alone.
    let bare = draw("boundary", "bare.png", &[]);
    place.ok(&["surface", "run", "--grid", "7x5", "--samples", "60"]);
    assert_ne!(draw("boundary", "boundary.png", &[]), bare);
    let again = draw("boundary", "again.png", &["--threads", "1"]);
    assert_eq!(again, draw("boundary", "boundary.png", &["--threads", "3"]));

    for scene in ["shadow", "histograms", "spectrum", "heatmap"] {
        let svg = draw(scene, &format!("{scene}.svg"), &[]);
        assert!(svg.starts_with(b"<"), "{scene}");
    }
    let spectrum = String::from_utf8(fs::read(place.path("spectrum.svg")).unwrap()).unwrap();
    assert!(spectrum.contains("grey: a random walk of as many snapshots"), "no null beside it");
    for quantity in ["accuracy", "loss-se", "relative-se", "loss-difference"] {
        draw("heatmap", "map.png", &["--quantity", quantity]);
    }
    let plain = draw("contour", "plain.png", &["--pause", "0"]);
    for more in [
        &["--pause", "0", "--hillshade"][..],
        &["--pause", "0", "--arrows"],
        &["--pause", "0", "--inset"],
        &["--pause", "0", "--strip", "lr,grad-norm"],
        &["--pause", "0", "--clock", "step"],
    ] {
        assert_ne!(draw("contour", "more.png", more), plain, "{more:?} changes nothing");
    }
    let film = draw("shadow", "film.gif", &["--clock", "snapshot", "--card", "0.1"]);
    assert!(film.starts_with(b"GIF89a"));
}

#[test]
fn scenes_that_do_not_fit_a_run_are_refused() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    let refused = |more: &[&str], words: &[&str]| {
        place.refused(&[&["render", "run", "--out", "x.png"], more].concat(), words);
        assert!(!place.path("x.png").exists());
    };
    refused(&["--as", "boundary"], &["digits", "not points of a plane", "spirals"]);
    refused(&["--as", "heatmap"], &["no surface", "lossreel surface"]);
    refused(&["--as", "shadow", "--pause", "99"], &["--pause", "0 to 60 seconds"]);
    refused(&["--as", "shadow", "--strip", "losss"], &["did you mean `loss`?"]);
    place.ok(&["plane", "run", "--directions", "random", "--name", "drawn"]);
    refused(&["--as", "shadow", "--plane", "drawn"], &["not of principal components"]);
    refused(&["--as", "spectrum", "--plane", "drawn"], &["no spectrum"]);
    place.refused(
        &["render", "run", "--as", "spectrum", "--out", "x.gif"],
        &["a spectrum does not move", ".svg or .pdf"],
    );
    place.refused(
        &["render", "run", "run", "--as", "histograms", "--out", "x.png"],
        &["shows one run"],
    );
    refused(&["--as", "heatmap", "--values", "1,0"], &["lower end first"]);
}

#[test]
fn a_curve_of_the_paper_s_code_is_drawn_from_its_file() {
    let place = Place::new();
    let data = std::env::var_os("LOSSREEL_DATA").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        std::path::PathBuf::from,
    );
    let folder = data.join("li2018-resnet56");
    let file = folder.join("curve-1d-51.h5");
    if !file.exists() {
        eprintln!("skipped: no {} (set LOSSREEL_DATA)", file.display());
        return;
    }
    let file = file.display().to_string();
    let args = ["render", "--as", "curve", "--curve-file", &file, "--twin", "--out", "c.svg"];
    place.json(&args);
    let svg = fs::read_to_string(place.path("c.svg")).unwrap();
    assert!(svg.contains("curve-1d-51.h5, 51 points") && svg.contains("accuracy, dashed"));
    let surface = folder.join("surface-2d-51x51.h5").display().to_string();
    let args = ["render", "--as", "curve", "--curve-file", &surface, "--out", "c.png"];
    place.refused(&args, &["a surface, not a curve"]);
}
