//! The lecture: its list, its commands, its films, and what is made already.

use std::fs;

use crate::{Place, assert_keys};

#[test]
fn the_scenes_are_listed_with_their_sources_and_planned_as_commands() {
    let place = Place::new();
    let scenes = place.json(&["lecture"]);
    let scenes = scenes.as_array().unwrap();
    assert!(scenes.len() >= 15);
    scenes.iter().for_each(|scene| assert_keys(scene, &["name", "title", "source", "files"]));
    let planned = place.json(&["lecture", "all", "--dry-run"]);
    assert_eq!(planned.as_array().unwrap().len(), scenes.len());
    let text = place.ok(&["lecture", "dropout", "--dry-run", "--scale=laptop", "--data-dir=cifar"]);
    assert!(text.contains("lossreel train") && text.contains("--data-dir DIR"), "{text}");
    assert!(!place.path("outputs").exists(), "a plan writes nothing");
    place.refused(&["lecture", "drop_out"], &["did you mean `dropout`"]);
    place.refused(&["lecture", "dropout", "--scale=laptop"], &["--data-dir", "fetch cifar10"]);
}

#[test]
fn a_scene_is_made_once_with_its_page_and_its_slides() {
    let place = Place::new();
    let args = ["lecture", "linear_regression", "--out=talk", "--deck"];
    let made = place.json(&args);
    assert_keys(&made, &["scale", "scenes", "page", "deck", "seconds"]);
    assert_eq!(made["scenes"][0]["status"], "made");
    let film = fs::read(place.path("talk/linear_regression/bowl.mp4")).unwrap();
    assert_eq!(&film[4..8], b"ftyp");
    let page = fs::read_to_string(place.path("talk/index.html")).unwrap();
    for wanted in ["linear_regression/bowl.mp4", "poster=", "lossreel function", "Source: "] {
        assert!(page.contains(wanted), "no {wanted} on the page");
    }
    let deck = fs::read_to_string(place.path("talk/deck.html")).unwrap();
    for wanted in ["data:video/mp4;base64,", "class=\"notes\"", "Content-Security-Policy"] {
        assert!(deck.contains(wanted), "no {wanted} in the slides");
    }
    assert!(!deck.contains("://"), "the slides ask no host for anything");
    let again = place.json(&args);
    assert_eq!(again["scenes"][0]["status"], "was made before");
    assert!(film == fs::read(place.path("talk/linear_regression/bowl.mp4")).unwrap());
}

#[test]
fn a_scene_that_fails_is_told_and_leaves_the_others() {
    let place = Place::new();
    fs::create_dir(place.path("empty")).unwrap();
    let ended = place.run(&[
        "lecture",
        "linear_regression",
        "dropout",
        "--out=talk",
        "--scale=laptop",
        "--data-dir=empty",
        "--json",
    ]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let status = |k: usize| report["scenes"][k]["status"].as_str().unwrap();
    assert_eq!((status(0), status(1)), ("made", "failed"));
    assert!(report["scenes"][1]["error"].as_str().unwrap().contains("empty"), "{report}");
    let page = fs::read_to_string(place.path("talk/index.html")).unwrap();
    assert!(page.contains("linear_regression") && !page.contains("dropout.mp4"));
    // Somebody else's folder is not written into.
    fs::create_dir_all(place.path("mine/dropout")).unwrap();
    fs::write(place.path("mine/dropout/thesis.tex"), "x").unwrap();
    place.refused(&["lecture", "dropout", "--out=mine"], &["was not made by this command"]);
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let place = Place::new();
    let page = place.ok(&["man"]);
    assert!(page.contains(".TH lossreel 1"), "{}", &page[..200]);
    let written = place.json(&["man", "--out=man1"]);
    let files = written["files"].as_array().unwrap();
    assert!(files.len() > 20);
    let train = fs::read_to_string(place.path("man1/lossreel-train.1")).unwrap();
    assert!(train.contains("lossreel\\-train") && train.contains("resume"), "{train}");
    assert!(!place.path("man1/lossreel-record.1").exists(), "what is hidden has no page");
}
