//! A run that went on leaves what was made of it behind: what is cheap is made again, what is not is
//! refused by name, with the command that makes it again.

use std::fs;

use crate::Place;

const SURFACE: &[&str] = &["surface", "r", "--grid=4x4", "--samples=16"];

/// Lets a finished run train for one more epoch.
pub(super) fn go_on(place: &Place, run: &str) {
    let path = place.path(&format!("{run}/spec.toml"));
    let spec = fs::read_to_string(&path).unwrap();
    assert!(spec.contains("epochs = 2"), "{spec}");
    fs::write(&path, spec.replace("epochs = 2", "epochs = 3")).unwrap();
    place.ok(&["train", "--resume", run]);
}

#[test]
fn what_is_over_an_older_plane_is_refused_until_it_is_made_again() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    place.ok(SURFACE);
    let stack = [SURFACE, &["--stack=snapshots", "--layers=2"]].concat();
    place.ok(&stack);
    go_on(&place, "r");

    let size = "--size=320x200";
    let render = ["render", "r", "--out=a.png", size];
    let behind = ["plane `pca` of r knows 3 of 4 snapshots of r", "lossreel surface r --force"];
    place.refused(&render, &behind);
    let moving = ["--as=moving", "--surface=pca-snapshots"];
    place.refused(&[&render[..], &moving].concat(), &behind);
    place.refused(&[&render[..], &["--as=heatmap"]].concat(), &behind);
    assert!(!place.path("a.png").exists());

    // A refused surface leaves the plane that the old one is over.
    let plane = place.path("r/planes/pca.safetensors");
    let old = fs::read(&plane).unwrap();
    place.refused(SURFACE, &["another plane", "--force"]);
    assert!(fs::read(&plane).unwrap() == old);

    // What needs the plane alone has it as it is now, and writes nothing.
    place.ok(&["render", "r", "--as=spectrum", "--out=s.svg", "--size=1280x720"]);
    assert!(fs::read_to_string(place.path("s.svg")).unwrap().contains("4 snapshots"));
    assert!(fs::read(&plane).unwrap() == old);

    let again = place.run(&[SURFACE, &["--force"]].concat());
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("plane `pca` knew 3 of 4 snapshots of r"), "{}", again.stderr);
    assert!(fs::read(&plane).unwrap() != old);
    place.ok(&render);
    place.refused(&[&render[..], &moving].concat(), &["stack `pca-snapshots`", "--force"]);
    place.ok(&[&stack[..], &["--force"]].concat());
    place.ok(&[&render[..], &moving].concat());
    // The plane that was made again is the one that `lossreel plane` makes.
    let made = fs::read(&plane).unwrap();
    place.ok(&["plane", "r"]);
    assert!(fs::read(&plane).unwrap() == made);
}

#[test]
fn a_plane_that_cannot_be_made_again_says_how() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r", "--directions=random", "--seed=3"]);
    go_on(&place, "r");
    let surface = [SURFACE, &["--plane=random"]].concat();
    place.refused(&surface, &["plane `random` of r knows 3 of 4", "plane r --directions random"]);
}

#[test]
fn a_curve_and_a_curvature_say_how_far_they_know_the_run() {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    let curve = ["curve", "r", "--points=3", "--samples=16"];
    place.ok(&curve);
    place.ok(&["curve", "r", "--points=3", "--samples=16", "--snapshot=1", "--name=one"]);
    let curvature = ["curvature", "r", "--samples=16"];
    place.ok(&curvature);
    go_on(&place, "r");
    let render = ["render", "r", "--as=curve", "--out=c.png", "--size=320x200"];
    place.refused(&render, &["curve `curve` of r", "8 steps", "12", "lossreel curve r --force"]);
    // A curve through a snapshot that was named is not behind.
    place.ok(&[&render[..], &["--surface=one"]].concat());
    place.refused(&curve, &["a curve through snapshot 2 (step 8)", "--force"]);
    place.ok(&[&curve[..], &["--force"]].concat());
    place.ok(&render);

    place.ok(SURFACE);
    let film = ["render", "r", "--out=f.png", "--size=640x400", "--strip=loss,sharpness"];
    let drawn = place.run(&film);
    assert_eq!(drawn.code, 0, "{}", drawn.stderr);
    let words = "the curvature of r is computed up to step 8 of 12";
    assert!(drawn.stderr.contains(words), "{}", drawn.stderr);
    place.ok(&curvature);
    assert!(!place.run(&film).stderr.contains("curvature"));
}

#[test]
fn a_joint_plane_is_made_again_when_one_of_its_runs_went_on() {
    let place = Place::new();
    let often = "--set=record.every=1 steps";
    place.train("r", &[often]);
    place.train("s", &[often, "--set=optim.lr=0.02"]);
    place.ok(&["plane", "r", "s", "--out=j", "--snapshot-map"]);
    let surface = ["surface", "j", "--grid=4x4", "--samples=16"];
    place.ok(&surface);
    let race = ["render", "j", "--as=race", "--out=race.png", "--size=640x400"];
    place.ok(&race);
    go_on(&place, "s");
    place.refused(&race, &["run `s` is no longer what the joint plane was made of"]);
    let list = fs::read(place.path("j/joint.json")).unwrap();
    place.refused(&surface, &["another plane", "--force"]);
    assert!(fs::read(place.path("j/joint.json")).unwrap() == list);
    let again = place.run(&[&surface[..], &["--force"]].concat());
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("knew 9 of 13 snapshots of s"), "{}", again.stderr);
    place.ok(&race);
    // The map is not: it is refused, not drawn without the last snapshot.
    let map = ["render", "j", "--as=map", "--out=map.png", "--size=640x400"];
    place.refused(&map, &["no longer that of s", "make the plane again"]);
}
