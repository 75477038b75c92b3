//! Pictures of what was computed of a file of weights: there is no run and no path.

use std::fs;

use crate::Place;

/// A run, its last weights as a file, and a surface of these.
fn of_a_file() -> Place {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["export", "run", "--to=safetensors", "--out=w.safetensors"]);
    surface(&place, "s", &[]);
    place
}

fn surface(place: &Place, out: &str, more: &[&str]) {
    let of = ["surface", "--weights=w.safetensors", "--arch=mlp", "--dataset=digits"];
    let size = ["--grid=5x4", "--samples=50", "--out", out];
    place.ok(&[&of[..], &size, more].concat());
}

#[test]
fn the_surface_of_a_file_of_weights_is_drawn_as_what_it_is() {
    let place = of_a_file();
    let text = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    place.ok(&["render", "s", "--out=map.svg", "--size=1280x720"]);
    let drawn = text("map.svg");
    for words in ["The loss surface of MLP", "50 training images", "Random directions", "5 × 4"] {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
    assert!(!drawn.contains("Dots"), "{drawn}");
    place.ok(&["render", "s", "--as=surface", "--out=space.png", "--size=640x360"]);
    place.ok(&["render", "s", "--as=surface", "--camera=orbit", "--frames=4", "--out=orbit.gif"]);
    let quantities =
        [("accuracy", "accuracy"), ("loss-difference", "final model"), ("loss-se", "error")];
    for (quantity, words) in quantities {
        let map =
            ["render", "s", "--as=heatmap", "--out=heat.svg", "--size=1280x720", "--quantity"];
        place.ok(&[&map[..], &[quantity]].concat());
        assert!(text("heat.svg").contains(words), "{quantity}");
    }
    place.ok(&["render", "s", "--arrows=interpolated", "--hillshade", "--out=lit.svg"]);
    assert!(text("lit.svg").contains("Shaded"));

    // Two of one network are told apart by their folders, or as they are called.
    surface(&place, "other", &["--seed=1"]);
    place.ok(&["render", "s", "other", "--out=two.svg", "--size=1280x720"]);
    let drawn = text("two.svg");
    assert!(drawn.contains(">s<") && drawn.contains(">other<"), "{drawn}");
    let titles = ["--panel-title=Seed 0", "--panel-title=Seed 1"];
    place
        .ok(&[&["render", "s", "other", "--out=two.svg", "--size=1280x720"], &titles[..]].concat());
    assert!(text("two.svg").contains("Seed 1"));
}

#[test]
fn the_curve_of_a_file_of_weights_and_one_in_a_folder_of_its_own_are_drawn() {
    let place = of_a_file();
    let of = ["curve", "--weights=w.safetensors", "--arch=mlp", "--dataset=digits"];
    place.ok(&[&of[..], &["--points=5", "--samples=50", "--out=line"]].concat());
    place.ok(&["curve", "run", "--points=5", "--samples=50", "--out=alone"]);
    place.ok(&["render", "line", "alone", "--as=curve", "--out=c.svg", "--size=1280x720"]);
    let drawn = fs::read_to_string(place.path("c.svg")).unwrap();
    for words in ["Loss and accuracy along a line", "line", "alone", "50 training images"] {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
    place.refused(&["render", "line", "--out=x.svg"], &["a curve and not a surface", "--as curve"]);
    place.refused(&["render", "s", "--as=curve", "--out=x.svg"], &["a surface, not a curve"]);
}

#[test]
fn what_a_surface_alone_does_not_hold_is_refused_with_what_it_does() {
    let place = of_a_file();
    let refused = |args: &[&str], words: &[&str]| {
        place.refused(&[&["render", "s", "--out=x.svg"], args].concat(), words);
    };
    refused(&["--as=boundary"], &["boundary", "contour, surface, heatmap, curve"]);
    refused(&["--surface=pca"], &["surface", "leave it out"]);
    refused(&["--strip=lr"], &["no training to chart"]);
    refused(&["--inset"], &["no", "leave it out"]);
    refused(&["--as=heatmap", "--quantity=convexity"], &["no convexity was measured"]);
    place.refused(&["render", "s", "run", "--out=x.svg"], &["pictures of their own"]);
    // Another plane beside it, and none.
    surface(&place, "other", &["--seed=1"]);
    let plane = place.path("s/plane.safetensors");
    fs::copy(place.path("other/plane.safetensors"), &plane).unwrap();
    refused(&[], &["plane.safetensors"]);
    fs::remove_file(&plane).unwrap();
    refused(&[], &["no plane beside it", "name the run"]);
    assert!(!place.path("x.svg").exists());
}
