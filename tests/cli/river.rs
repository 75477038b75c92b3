//! The path of a run split along the sharp directions of its loss.

use crate::{Place, assert_keys};

#[test]
fn displacements_are_split_and_the_plane_is_an_ordinary_one() {
    let place = Place::new();
    place.train("r", &[]);
    let args = ["river", "r", "--samples=60", "--eigenvectors=3", "--plane"];
    let found = place.json(&args);
    assert_keys(&found, &["eigenvectors", "hessian_at", "random_share", "snapshots", "plane"]);
    let points = found["snapshots"].as_array().unwrap();
    assert_eq!(points.len(), 3);
    for (i, p) in points.iter().enumerate() {
        assert_eq!(p["eigenvalues"].as_array().unwrap().len(), 3);
        let last = i == 2;
        assert!(p["to_next"].is_null() == last && p["to_end"].is_null() == last, "{p}");
        for split in [&p["to_next"], &p["to_end"]].into_iter().filter(|_| !last) {
            let [mountain, river, share] =
                ["mountain", "river", "share"].map(|key| split[key].as_f64().unwrap());
            assert!(mountain > 0.0 && river > 0.0, "{split}");
            assert!((share - mountain / (mountain + river)).abs() < 1e-12, "{split}");
            // Gradient steps favour sharp directions: more than a random direction has.
            assert!(share > found["random_share"].as_f64().unwrap(), "{split}");
        }
    }
    // The way to the next snapshot is the way to the end for the last but one.
    assert_eq!(points[1]["to_next"], points[1]["to_end"]);
    // The sharpness is that of `curvature`.
    let one = ["curvature", "r", "--samples=60", "--eigenvalues=3", "--tolerance=1e-2"];
    let curvature = place.json(&one);
    let sharpness = |v: &serde_json::Value| v["eigenvalues"][0].as_f64().unwrap();
    assert!((sharpness(&points[2]) / sharpness(&curvature) - 1.0).abs() < 1e-3);

    let again = place.json(&args);
    assert_eq!(found, again);
    let end = place.json(&["river", "r", "--samples=60", "--eigenvectors=3", "--hessian-at=end"]);
    assert_eq!(end["snapshots"][0]["eigenvalues"], end["snapshots"][2]["eigenvalues"]);

    let plane = place.json(&["inspect", "r"]);
    assert!(!plane.is_null());
    place.ok(&["surface", "r", "--plane=river", "--grid=5x5", "--samples=20"]);
    place.ok(&["render", "r", "--plane=river", "--out=river.png", "--size=320x200"]);
    assert!(place.path("river.png").exists());
}

#[test]
fn what_makes_no_sense_is_refused_with_a_remedy() {
    let place = Place::new();
    place.train("r", &[]);
    place.refused(&["river", "r", "--eigenvectors=0"], &["--eigenvectors"]);
    place.refused(&["river", "r", "--tolerance=2"], &["1e-2"]);
    place.refused(&["river", "nowhere"], &["nowhere"]);
    place.refused(&["river", "r", "--plane=../x"], &["../x"]);
    let ended = place.run(&["river", "r", "--hessian-at=start"]);
    assert!(ended.code == 2 && ended.stderr.contains("own, end"), "{}", ended.stderr);
}
