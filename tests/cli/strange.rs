//! Pictures of strange runs: what can be drawn is drawn, in every scene, and what cannot is refused
//! with a remedy; nothing panics and nothing half-written is left.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::{Ended, Place, files};

/// A net of 42 weights on points of the plane: 2 epochs of 2 steps.
const POINTS: &[&str] = &[
    "train",
    "--dataset",
    "spirals",
    "--set=model.arch=mlp",
    "--set=model.hidden=[8]",
    "--set=model.norm=none",
    "--set=data.train_samples=40",
    "--set=data.test_samples=20",
    "--set=train.batch_size=20",
    "--set=train.epochs=2",
];

/// Scenes of a run with a plane and a surface.
const OVER_A_SURFACE: [&[&str]; 7] = [
    &["--as", "contour"],
    &["--as", "contour", "--hillshade", "--arrows", "--inset"],
    &["--as", "surface"],
    &["--as", "surface", "--camera", "follow"],
    &["--as", "heatmap"],
    &["--as", "heatmap", "--quantity", "loss-difference"],
    &["--as", "boundary"],
];

fn train(place: &Place, run: &str, more: &[&str]) {
    place.ok(&[POINTS, &["--out", run], more].concat());
}

fn trained(place: &Place) {
    train(place, "run", &[]);
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid", "5x4", "--samples", "20"]);
}

/// Draws `run` as a small still; the report.
fn draw(place: &Place, run: &str, scene: &[&str]) -> Value {
    let base = ["render", run, "--out", "x.png", "--size", "320x200"];
    let report = place.json(&[&base[..], scene].concat());
    assert!(fs::read(place.path("x.png")).unwrap().len() > 1000, "{run} {scene:?}");
    report
}

/// Replaces every cell's loss by `loss(index, loss)`.
fn rewrite(place: &Place, loss: impl Fn(u64, f64) -> Value) {
    let path = place.path("run/surfaces/pca/cells.jsonl");
    let lines = fs::read_to_string(&path).unwrap();
    let lines = lines.lines().map(|line| {
        let mut cell: Value = serde_json::from_str(line).unwrap();
        // A line that is changed on purpose is one without a checksum.
        cell.as_object_mut().unwrap().remove("crc");
        cell["loss"] = loss(cell["k"].as_u64().unwrap(), cell["loss"].as_f64().unwrap_or(1.0));
        format!("{cell}\n")
    });
    fs::write(&path, lines.collect::<String>()).unwrap();
}

#[test]
fn a_run_that_does_not_move_is_drawn_and_its_spectrum_refused() {
    let place = Place::new();
    train(&place, "run", &[]);
    let snapshot = |k: usize| place.path(&format!("run/snapshots/{k:06}.safetensors"));
    let first = fs::read(snapshot(0)).unwrap();
    fs::remove_file(snapshot(2)).unwrap();
    // Two snapshots that are one and the same, then only one.
    fs::write(snapshot(1), first).unwrap();
    for alone in [false, true] {
        if alone {
            fs::remove_file(snapshot(1)).unwrap();
        }
        place.ok(&["plane", "run"]);
        place.ok(&["surface", "run", "--grid", "3x3", "--samples", "20", "--force"]);
        for scene in OVER_A_SURFACE.iter().chain(&[&["--as", "histograms"][..]]) {
            draw(&place, "run", scene);
        }
        let shadow = ["render", "run", "--as", "shadow", "--out", "x.svg", "--size", "640x360"];
        place.json(&shadow);
        let svg = fs::read_to_string(place.path("x.svg")).unwrap();
        assert!(svg.contains("which does not move") && !svg.contains("NaN"), "{svg}");
        place.json(&["render", "run", "--out", "x.gif", "--frames", "3", "--size", "320x200"]);
        place.refused(
            &["render", "run", "--as", "spectrum", "--out", "y.png"],
            &["no spectrum", "a run that moves"],
        );
    }
}

#[test]
fn surfaces_of_one_cell_one_row_and_one_column_are_drawn() {
    let place = Place::new();
    trained(&place);
    for grid in ["1x1", "1x4", "4x1", "2x2"] {
        place.ok(&["surface", "run", "--grid", grid, "--samples", "20", "--force"]);
        for scene in OVER_A_SURFACE {
            draw(&place, "run", scene);
        }
    }
}

/// The loss that the cell of an index and a loss has instead.
type Rewrite = dyn Fn(u64, f64) -> Value;

#[test]
fn surfaces_without_finite_values_with_holes_and_of_extreme_range_are_drawn() {
    let place = Place::new();
    trained(&place);
    let cells = fs::read(place.path("run/surfaces/pca/cells.jsonl")).unwrap();
    let cases: [(&str, &Rewrite); 7] = [
        ("all NaN", &|_, _| json!("NaN")),
        ("all infinite", &|_, _| json!("inf")),
        ("holes", &|k, v| if k % 5 == 2 { json!("NaN") } else { json!(v) }),
        ("a range of 1e-12", &|_, v| json!(0.7 + 1e-12 * v)),
        ("values of 1e-12", &|_, v| json!(1e-12 * v)),
        ("values of 1e30", &|_, v| json!(1e30 * v)),
        ("a range of 1e30", &|k, v| json!(v * 10f64.powi(2 * (k as i32 % 16)))),
    ];
    for (name, loss) in cases {
        fs::write(place.path("run/surfaces/pca/cells.jsonl"), &cells).unwrap();
        rewrite(&place, loss);
        for scene in OVER_A_SURFACE {
            draw(&place, "run", scene);
        }
        // The caption counts what is hatched.
        place.json(&["render", "run", "--out", "x.svg", "--size", "1280x720"]);
        let svg = fs::read_to_string(place.path("x.svg")).unwrap();
        let hatched = ["all NaN", "all infinite", "holes"].contains(&name);
        assert_eq!(svg.contains("not finite, hatched"), hatched, "{name}");
        let nothing = ["all NaN", "all infinite"].contains(&name);
        assert_eq!(svg.contains("no finite value"), nothing, "{name}");
    }
}

#[test]
fn every_scene_names_the_characters_that_the_font_lacks() {
    let place = Place::new();
    trained(&place);
    place.ok(&["curve", "run", "--points", "3", "--samples", "20"]);
    place.ok(&["surface", "run", "--stack=snapshots", "--layers=3", "--grid=3x3", "--samples=20"]);
    train(&place, "other", &["--set=optim.lr=0.05"]);
    place.ok(&["plane", "run", "other", "--out", "joint"]);
    place.ok(&["surface", "joint", "--grid", "3x3", "--samples", "20"]);
    let told = |run: &str, scene: &str| {
        let report = draw(&place, run, &["--as", scene, "--title", "损 vs خ"]);
        let warnings = report["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), 1, "{scene}: {report}");
        let said = warnings[0].as_str().unwrap();
        assert!(said.contains("U+635F") && said.contains("U+062E"), "{scene}: {said}");
    };
    for scene in [
        "contour",
        "surface",
        "curve",
        "spectrum",
        "heatmap",
        "histograms",
        "shadow",
        "boundary",
        "moving",
    ] {
        told("run", scene);
    }
    told("joint", "race");
    // In words, too, where nobody reads JSON.
    let args = ["render", "run", "--title", "损", "--out", "x.png", "--size", "320x200"];
    let said = place.run(&args).stderr;
    assert!(said.contains("the font has no 损 (U+635F): drawn as ?"), "{said}");
}

#[test]
fn odd_sizes_and_portraits_are_drawn_in_every_format() {
    let place = Place::new();
    trained(&place);
    for (size, even) in [("481x323", [480, 322]), ("321x569", [320, 568])] {
        for scene in ["contour", "surface", "histograms"] {
            for (file, rounded) in
                [("x.png", false), ("x.pdf", false), ("x.gif", false), ("x.mp4", true)]
            {
                let base = ["render", "run", "--as", scene, "--out", file, "--size", size];
                let report = place.json(&[&base[..], &["--frames", "2"]].concat());
                let [width, height] = [&report["width"], &report["height"]];
                let asked: Vec<u64> = size.split('x').map(|n| n.parse().unwrap()).collect();
                let want = if rounded { even } else { [asked[0], asked[1]] };
                assert_eq!((width, height), (&json!(want[0]), &json!(want[1])), "{scene} {file}");
            }
        }
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_old_picture_stays() {
    let place = Place::new();
    trained(&place);
    let size = ["--size", "640x360", "--frames", "20"];
    let before = files(place.0.path()).len();
    for file in ["film.mp4", "film.gif", "still.png", "still.svg", "still.pdf", "film.y4m"] {
        fs::write(place.path(file), "an older picture").unwrap();
        let args = [&["render", "run", "--out", file][..], &size].concat();
        let command = place.command(&args);
        // Files may grow to 4 kB: writing fails as it does on a full disk.
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]);
        shell.arg(command.get_program()).args(&args).current_dir(place.0.path());
        let ended: Ended = shell.output().unwrap().into();
        assert_eq!(ended.code, 1, "{file}: {}", ended.stderr);
        assert!(ended.stderr.contains("cannot"), "{file}: {}", ended.stderr);
        assert_eq!(fs::read(place.path(file)).unwrap(), b"an older picture", "{file}");
        fs::remove_file(place.path(file)).unwrap();
        assert_eq!(files(place.0.path()).len(), before, "{file} left something behind");
    }
}
