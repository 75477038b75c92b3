//! Surfaces that are computed in parts: over more images until differences are known, extended to other grids,
//! and at some of their cells.

use std::fs;

use serde_json::Value;

use crate::{Place, assert_keys, files};

/// The lines of a surface's cells.
fn cells(place: &Place, surface: &str) -> Vec<Value> {
    let text = fs::read_to_string(place.path(surface).join("cells.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn close(a: &Value, b: &Value, tolerance: f64) {
    let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
    assert!((a - b).abs() <= tolerance * b.abs(), "{a} {b}");
}

#[test]
fn images_are_added_until_differences_are_known_and_no_longer() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    let args = ["surface", "r", "--grid=7x5", "--samples=64", "--until-se"];
    let report = place.json(&[&args[..], &["12%", "--name=u"]].concat());
    let until = &report["until_se"];
    assert_keys(until, &["bound", "relative", "quantile", "reached", "met", "images", "of_images"]);
    assert_eq!((until["met"].as_bool(), until["of_images"].as_u64()), (Some(true), Some(200)));
    assert!(until["reached"].as_f64().unwrap() <= 0.12);
    let images = until["images"].as_u64().unwrap();
    assert_eq!(report["samples"].as_u64(), Some(images));
    assert!((64..=200).contains(&images));
    // The header says why there are so many, and nothing is left beside it.
    let header = fs::read_to_string(place.path("r/surfaces/u/grid.json")).unwrap();
    assert!(header.contains("\"until\"") && !place.path("r/surfaces/u/next").exists());

    // What it cannot meet ends with all images of the set; the values are those of a surface over them.
    let said = place.ok(&[&args[..], &["1e-9", "--name=u"]].concat());
    assert!(said.contains("all 200 images of the set are used"), "{said}");
    place.ok(&["surface", "r", "--grid=7x5", "--samples=200", "--name=w"]);
    let (grown, whole) = (cells(&place, "r/surfaces/u"), cells(&place, "r/surfaces/w"));
    assert_eq!(grown.len(), 35);
    for (a, b) in grown.iter().zip(&whole) {
        assert_eq!((&a["k"], &a["correct"]), (&b["k"], &b["correct"]));
        // Sums in f64 of the same losses in another order; an error near 0 is a difference of such sums.
        close(&a["loss"], &b["loss"], 1e-9);
        close(&a["loss_se"], &b["loss_se"], 1e-6);
        close(&a["difference_se"], &b["difference_se"], 1e-5);
        // Images have much in common.
        assert!(a["difference_se"].as_f64() < Some(3.0 * a["loss_se"].as_f64().unwrap()));
    }
    // Again it is found as it is.
    let before = files(&place.path("r/surfaces/u"));
    place.ok(&[&args[..], &["1e-9", "--name=u"]].concat());
    assert_eq!(files(&place.path("r/surfaces/u")), before);
    place.ok(&[
        "render",
        "r",
        "--as=heatmap",
        "--quantity=difference-se",
        "--surface=u",
        "--out=se.svg",
        "--size=480x360",
    ]);
    assert!(fs::read_to_string(place.path("se.svg")).unwrap().contains("standard error of the"));

    let refused = |more: &[&str], words: &[&str]| {
        place.refused(&[&["surface", "r", "--grid=7x5", "--name=v"], more].concat(), words);
    };
    refused(&["--until-se=much"], &["--until-se", "2%"]);
    refused(&["--until-se=-1%"], &["--until-se", "above 0"]);
    refused(&["--until-se=1", "--se-quantile=0"], &["--se-quantile", "0.9"]);
    assert!(!place.path("r/surfaces/v").exists());
}

#[test]
fn a_surface_is_extended_with_its_old_cells_or_refused_with_the_reason() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    let surface = ["surface", "r", "--samples=50"];
    let with = |more: &[&str]| place.json(&[&surface[..], more].concat());
    place.refused(&["surface", "r", "--extend"], &["no surface"]);
    with(&["--grid=5x4", "--range=-1,1,0,3"]);
    let old = cells(&place, "r/surfaces/pca");
    let report = with(&["--grid=9x7", "--range=-1,1,0,3", "--extend"]);
    assert_eq!((report["kept"].as_u64(), report["evaluated"].as_u64()), (Some(20), Some(63)));
    with(&["--grid=9x7", "--range=-1,1,0,3", "--name=new"]);
    let of = |name: &str| files(&place.path(name));
    let (extended, new) = (of("r/surfaces/pca"), of("r/surfaces/new"));
    for name in ["grid.json", "cells.jsonl"] {
        assert_eq!(extended[name], new[name], "{name}");
    }
    // Byte for byte but for the index.
    let now = cells(&place, "r/surfaces/pca");
    for cell in &old {
        let k = cell["k"].as_u64().unwrap() as usize;
        let same = &now[2 * (k / 5) * 9 + 2 * (k % 5)];
        assert_eq!(
            [&cell["loss"], &cell["loss_se"], &cell["difference_se"]],
            [&same["loss"], &same["loss_se"], &same["difference_se"]]
        );
    }
    let args = ["surface", "r", "--extend", "--split=test", "--name=pca"];
    place.refused(&args, &["50 train images", "--name", "--force"]);
    // More images over the grid that it has.
    let report = place.json(&["surface", "r", "--samples=120", "--extend"]);
    assert_eq!((report["samples"].as_u64(), report["nx"].as_u64()), (Some(120), Some(9)));

    let refused = |more: &[&str], words: &[&str]| {
        place.refused(&[&["surface", "r", "--extend"], more].concat(), words);
    };
    refused(&["--samples=60"], &["--samples", "120"]);
    refused(&["--grid=8x7", "--range=-1,1,0,3"], &["x = -0.75", "17 of them"]);
    refused(&["--grid=9x7", "--range=-1,1,0,3", "--sample-seed=5"], &["reused", "seed 0"]);
    // Of the run that went on another plane.
    let spec = place.path("r/spec.toml");
    let longer = fs::read_to_string(&spec).unwrap().replace("epochs = 2", "epochs = 3");
    fs::write(&spec, longer).unwrap();
    place.ok(&["train", "--resume", "r"]);
    place.ok(&["plane", "r"]);
    refused(&[], &["another plane"]);
}

#[test]
fn a_part_of_the_cells_is_evaluated_and_the_rest_is_marked_as_interpolated_everywhere() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    let args = ["surface", "r", "--samples=50", "--grid=15x13"];
    let report = place.json(&[&args[..], &["--budget=60"]].concat());
    assert_eq!(report["evaluated"].as_u64(), Some(60));
    assert_eq!(report["interpolated"].as_u64(), Some(15 * 13 - 60));
    let keys = ["scale", "range", "mean", "quantile_99", "max", "at_edge"];
    assert_keys(&report["interpolation"], &keys);
    assert_eq!(cells(&place, "r/surfaces/pca").len(), 60);

    place.ok(&["render", "r", "--as=contour", "--out=c.svg", "--size=640x480"]);
    let svg = fs::read_to_string(place.path("c.svg")).unwrap();
    assert!(
        svg.contains("15 × 13 points, 60 of them evaluated") && svg.contains("interpolated"),
        "{svg}"
    );
    place.ok(&["export", "r", "--to=csv", "--out=s.csv"]);
    let table = fs::read_to_string(place.path("s.csv")).unwrap();
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let column = |name: &str| header.iter().position(|h| *h == name).unwrap();
    let rows: Vec<Vec<&str>> = rows.collect();
    let evaluated = rows.iter().filter(|row| row[column("evaluated")] == "1");
    assert_eq!((evaluated.count(), rows.len()), (60, 195));
    for row in &rows {
        let is_evaluated = row[column("evaluated")] == "1";
        assert!(row[column("loss")].parse::<f64>().unwrap() > 0.0);
        let error = row[column("interpolation_error")].parse::<f64>();
        assert_eq!(error.is_ok_and(f64::is_finite), !is_evaluated, "{row:?}");
    }
    let measured = place.ok(&["measure", "r"]);
    assert!(measured.contains("135 of them interpolated"), "{measured}");
    assert!(place.ok(&["inspect", "r", "--check"]).contains("whole"));

    // More, over a run that is there; then all, as if nothing had been left out.
    let report = place.json(&[&args[..], &["--budget=80"]].concat());
    assert_eq!(report["evaluated"].as_u64(), Some(80));
    place.ok(&args);
    place.ok(&[&args[..], &["--name=whole"]].concat());
    let of = |name: &str| files(&place.path(name));
    assert_eq!(of("r/surfaces/pca"), of("r/surfaces/whole"));

    let refused = |more: &[&str], words: &[&str]| {
        place.refused(&[&["surface", "r", "--name=v"], more].concat(), words);
    };
    refused(&["--budget=some"], &["--budget", "10m"]);
    refused(&["--budget=3"], &["--budget", "16"]);
    refused(&["--grid=40x2", "--budget=30"], &["too few", "5x5"]);
    assert!(!place.path("r/surfaces/v").exists());
}
