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
        &["render", "run", "run", "run", "--as", "histograms", "--out", "x.png"],
        &["shows one run or two, but 3"],
    );
    refused(&["--as", "heatmap", "--values", "1,0"], &["lower end first"]);
}

#[test]
fn films_have_their_cues_beside_them_and_stills_may_have_no_page() {
    let place = Place::new();
    place.ok(SPIRALS);
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid", "7x5", "--samples", "60"]);
    let film = ["render", "run", "--size", "480x320", "--frames", "90", "--card", "0.5"];
    place.ok(&[&film[..], &["--title", "Two spirals", "--out", "film.mp4"]].concat());
    let cues = fs::read_to_string(place.path("film.cues.json")).unwrap();
    let cues: serde_json::Value = serde_json::from_str(&cues).unwrap();
    assert_eq!((&cues["film"], &cues["seconds"]), (&"film.mp4".into(), &3.0.into()));
    // The card, and the drop of the learning rate at epoch 5.
    let labels: Vec<&str> =
        cues["cues"].as_array().unwrap().iter().map(|c| c["label"].as_str().unwrap()).collect();
    assert!(labels[0].starts_with("Two spirals") && labels.len() >= 2, "{labels:?}");
    assert!(labels.iter().any(|label| label.contains("learning rate")), "{labels:?}");
    let captions = fs::read_to_string(place.path("film.vtt")).unwrap();
    assert!(captions.contains("\n\n00:00:00.000 --> 00:00:00.500\nTwo spirals"), "{captions}");
    assert!(captions.contains("Loss on 60 training points"), "{captions}");
    // Captions written by hand are not lost to a film that is made again.
    fs::write(place.path("film.vtt"), "WEBVTT\n\nmy own words\n").unwrap();
    let again = place.json(&[&film[..], &["--out", "film.mp4"]].concat());
    assert!(again["warnings"][0].as_str().unwrap().contains("film.vtt"), "{again}");
    assert!(fs::read_to_string(place.path("film.vtt")).unwrap().contains("my own words"));

    let still = ["render", "run", "--size", "480x320", "--out"];
    let decoded = |file: &str, more: &[&str]| {
        place.ok(&[&still[..], &[file], more].concat());
        image::open(place.path(file)).unwrap().to_rgba8()
    };
    let (page, bare) = (decoded("page.png", &[]), decoded("bare.png", &["--transparent"]));
    assert_eq!((page.get_pixel(0, 0).0, bare.get_pixel(0, 0).0), ([255; 4], [0; 4]));
    // On white it is the same picture, but for rounding.
    for (page, bare) in page.pixels().zip(bare.pixels()) {
        let alpha = f32::from(bare.0[3]) / 255.0;
        for k in 0..3 {
            let on_white = f32::from(bare.0[k]) * alpha + 255.0 * (1.0 - alpha);
            assert!((on_white - f32::from(page.0[k])).abs() <= 4.0, "{page:?} {bare:?}");
        }
    }
    place.ok(&[&still[..], &["bare.svg", "--transparent"]].concat());
    let svg = fs::read_to_string(place.path("bare.svg")).unwrap();
    place.ok(&[&still[..], &["page.svg"]].concat());
    let full = fs::read_to_string(place.path("page.svg")).unwrap();
    assert!(svg.len() < full.len(), "the page is still there");
}

#[test]
fn several_runs_stand_in_a_table_and_two_share_their_histograms() {
    let place = Place::new();
    let mut runs = vec!["render"];
    for (name, width) in [("a", "[8]"), ("b", "[8]"), ("c", "[6]"), ("d", "[6]")] {
        let hidden = format!("--set=model.hidden={width}");
        let own: Vec<&str> =
            SPIRALS.iter().map(|arg| if *arg == "run" { name } else { arg }).collect();
        let own: Vec<&str> = own.into_iter().filter(|arg| !arg.contains("hidden")).collect();
        place.ok(&[&own[..], &[&hidden]].concat());
        place.ok(&["plane", name]);
        place.ok(&["surface", name, "--grid", "5x5", "--samples", "40"]);
        runs.push(name);
    }
    let table = ["--columns", "2", "--column-title", "one", "--column-title", "other"];
    let rows = ["--row-title", "eight", "--row-title", "six"];
    for scene in ["contour", "surface"] {
        let file = format!("{scene}.svg");
        let args = ["--as", scene, "--out", &file, "--strip", "none"];
        place.ok(&[&runs[..], &table[..], &rows[..], &args[..]].concat());
        let svg = fs::read_to_string(place.path(&file)).unwrap();
        for title in ["one", "other", "eight", "six"] {
            assert!(svg.contains(&format!(">{title}<")), "{scene}: {title}");
        }
    }
    // Networks that differ are named by what they are, others by their folders.
    let names = |runs: &[&str]| {
        place.ok(&[&["render", "--as", "spectrum", "--out", "s.svg"], runs].concat());
        fs::read_to_string(place.path("s.svg")).unwrap()
    };
    assert!(names(&["a", "b"]).contains(">a<"));
    let refused = |more: &[&str], words: &[&str]| {
        place.refused(&[&runs[..], &["--out", "x.png"], more].concat(), words);
    };
    refused(&["--columns", "5"], &["columns for 4 panels", "1 to 4"]);
    refused(&[&table[..], &["--row-title", "eight"]].concat(), &["titles for 2 rows"]);
    place.refused(
        &["render", "a", "--as", "spectrum", "--columns", "1", "--out", "x.svg"],
        &["`--columns`", "leave it out"],
    );
    let two = ["--as", "histograms", "--panel-title", "left", "--panel-title", "right"];
    place.ok(&[&["render", "a", "b", "--out", "two.svg"], &two[..]].concat());
    let svg = fs::read_to_string(place.path("two.svg")).unwrap();
    assert!(svg.contains(">left<") && svg.contains(">right<"));
    // Of other widths the layers have the same names: both counts are said.
    place.ok(&[&["render", "a", "c", "--out", "widths.svg"], &two[..]].concat());
    assert!(fs::read_to_string(place.path("widths.svg")).unwrap().contains(" and "));
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
