//! Planes that the loss chooses, and the plane through three ends.

use super::*;

/// The numbers of an array, and of arrays in it.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

#[test]
fn planes_by_the_loss_see_what_they_see_and_carry_a_surface() {
    let place = Place::new();
    place.train("run", &[]);
    let found = place.json(&["plane", "run", "--directions=hessian", "--samples=200"]);
    let seen = &found["seen"];
    let share = |axis: &str| seen[axis].as_f64().unwrap();
    assert!(share("both") > 0.0 && share("both") <= 1.0, "{found}");
    assert!((share("x") + share("y") - share("both")).abs() < 1e-6, "{found}");
    // The eigenvalues are those that `curvature` finds there.
    let curvature =
        place.ok(&["curvature", "run", "--samples=200", "--snapshots=1", "--eigenvalues=2"]);
    let said = place.ok(&["plane", "run", "--directions=hessian", "--samples=200"]);
    let (_, named) = said.split_once("eigenvalues (").unwrap();
    let first: f64 = named.split(' ').next().unwrap().parse().unwrap();
    let close = |word: &str| word.parse::<f64>().is_ok_and(|v| (v - first).abs() < 1e-3 * first);
    assert!(curvature.split_whitespace().any(close), "{first}: {curvature}");
    assert!(said.contains("sees of the path") && said.contains("at random"), "{said}");

    // The smallest eigenvalue is not the largest.
    let ends = place.ok(&["plane", "run", "--directions=hessian-ends", "--samples=200"]);
    assert!(ends.contains("smallest (y: "), "{ends}");
    place.ok(&["plane", "run", "--directions=gradient", "--samples=200"]);
    // From the end against the gradient the loss falls: a short line of the plane, on the same images.
    let line = ["--grid=3x3", "--samples=200", "--sample-order=balanced", "--range=-1e-3,1e-3"];
    let args = [&["surface", "run", "--plane=gradient"][..], &line].concat();
    place.ok(&args);
    let table = place.path("gradient.csv");
    place.ok(&["export", "run", "--to=csv", "--surface=gradient", "--out=gradient.csv"]);
    let text = fs::read_to_string(&table).unwrap();
    let cell = |x: f64| -> f64 {
        let row = text.lines().skip(1).find(|line| {
            let cells = line.split(',').take(2).map(|c| c.parse().unwrap());
            let cells: Vec<f64> = cells.collect();
            (cells[0] - x).abs() < 1e-9 && cells[1].abs() < 1e-9
        });
        row.unwrap().split(',').nth(2).unwrap().parse().unwrap()
    };
    assert!(cell(1e-3) < cell(0.0) && cell(0.0) < cell(-1e-3), "{text}");
    place.ok(&["render", "run", "--plane=gradient", "--out=gradient.png"]);
    place.refused(&["plane", "run", "--directions=hessian", "--iterations=2"], &["--iterations"]);
    place.refused(&["plane", "run", "--directions=hessian", "--tolerance=2"], &["--tolerance"]);

    // A run that went on: a plane of its old end is not quietly another one.
    stale::go_on(&place, "run");
    place.refused(&["surface", "run", "--plane=hessian", "--grid=3x3"], &["hessian"]);
}

#[test]
fn the_plane_through_three_ends_has_them_where_it_says() {
    let place = Place::new();
    for (run, seed) in [("a", "1"), ("b", "2"), ("c", "3")] {
        place.train(run, &[&format!("--set=train.seed={seed}")]);
    }
    let found = place.json(&["plane", "a", "b", "c", "--out=joint", "--directions=minima"]);
    assert_eq!(found["origin"], "final");
    let runs = found["runs"].as_array().unwrap();
    let end = |run: usize| numbers(runs[run]["path"].as_array().unwrap().last().unwrap());
    let off = |run: usize| *numbers(&runs[run]["off_plane_residual"]).last().unwrap();
    let close = |a: f64, b: f64| (a - b).abs() < 1e-4;
    assert!(close(end(0)[0], 0.0) && close(end(0)[1], 0.0), "{found}");
    assert!(end(1)[0] > 1.0 && close(end(1)[1], 0.0), "{found}");
    assert!(end(2)[1] > 1.0, "{found}");
    // f32 directions: the ends lie in the plane to rounding.
    assert!((1..3).all(|run| off(run) < 1e-3), "{found}");
    place.ok(&["surface", "joint", "--plane=minima", "--grid=5x5", "--samples=100"]);
    place.ok(&["render", "joint", "--as=race", "--plane=minima", "--out=minima.png"]);

    let joint = |runs: &[&str], words: &[&str]| {
        place.refused(&[&["plane"], runs, &["--out=other", "--directions=minima"]].concat(), words);
        assert!(!place.path("other").exists());
    };
    joint(&["a", "b"], &["three"]);
    place.train("again", &["--set=train.seed=1"]);
    joint(&["a", "again", "b"], &["same", "train.seed"]);
    place.refused(&["plane", "a", "--directions=minima"], &["--out"]);
    place.refused(&["plane", "a", "b", "--out=other", "--directions=hessian"], &["joint plane"]);
}

#[test]
fn a_plane_of_a_part_of_a_run_has_that_part_and_no_more() {
    let place = Place::new();
    // 4 steps an epoch, a snapshot after each: 0 to 8.
    place.train("run", &["--set=record.every=1 steps"]);
    let whole = place.json(&["plane", "run"]);
    let part = place.json(&["plane", "run", "--snapshots=2..6"]);
    assert_eq!((whole["snapshots"].as_u64(), part["snapshots"].as_u64()), (Some(9), Some(5)));
    assert!(part["plane"].as_str().unwrap().ends_with("pca-2-6.safetensors"), "{part}");
    // The last of the part is at (0, 0), and its walk has the part's own step lengths.
    assert_eq!(numbers(&part["path"][4]), [0.0, 0.0]);
    assert_ne!(whole["null_explained_variance"], part["null_explained_variance"]);
    // It is the plane of a run that has these snapshots only.
    place.train("short", &["--set=record.every=1 steps"]);
    for index in [0, 1, 7, 8] {
        fs::remove_file(place.path(&format!("short/snapshots/{index:06}.safetensors"))).unwrap();
    }
    let short = place.json(&["plane", "short"]);
    for key in ["path", "explained_variance", "off_plane_residual", "null_explained_variance"] {
        let (part, short) = (numbers(&part[key]), numbers(&short[key]));
        assert_eq!(part.len(), short.len(), "{key}");
        for (a, b) in part.iter().zip(&short) {
            assert!((a - b).abs() < 1e-6, "{key}: {a} {b}");
        }
    }

    // Its surface and its pictures are of the part, and say so.
    let surface = ["surface", "run", "--plane=pca-2-6", "--grid=5x5", "--samples=50"];
    place.ok(&surface);
    // So wide that the captions are one line.
    let wide = "--size=2560x720";
    place.ok(&["render", "run", "--plane=pca-2-6", "--out=part.svg", wide]);
    let drawn = fs::read_to_string(place.path("part.svg")).unwrap();
    assert!(drawn.contains("snapshots 2 to 6"), "{drawn}");
    place.ok(&["render", "run", "--as=spectrum", "--plane=pca-2-6", "--out=s.svg", wide]);
    let drawn = fs::read_to_string(place.path("s.svg")).unwrap();
    assert!(drawn.contains("snapshots 2 to 6"), "{drawn}");

    // A run that goes on leaves a part behind only where that has no end.
    place.ok(&["plane", "run", "--snapshots=6.."]);
    stale::go_on(&place, "run");
    place.ok(&["surface", "run", "--plane=pca-2-6", "--grid=6x5", "--samples=50", "--name=again"]);
    let later = [&surface[..2], &["--plane=pca-6-last", "--grid=3x3", "--samples=16"]].concat();
    let said = place.run(&later);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("knew 3 of 7 snapshots of run"), "{}", said.stderr);

    let missing = ["plane", "run", "--snapshots=40..50"];
    place.refused(&missing, &["no path", "it has 0 to 12"]);
    for (range, word) in [("6..2", "fewer than two"), ("6", "5..20"), ("a..b", "5..20")] {
        let ended = place.run(&["plane", "run", &format!("--snapshots={range}")]);
        assert_eq!(ended.code, 2, "{range}: {}", ended.stderr);
        assert!(ended.stderr.contains(word), "{range}: {}", ended.stderr);
    }
}

#[test]
fn a_plane_weighted_by_path_length_is_one_of_its_own() {
    let place = Place::new();
    place.train("run", &["--set=record.every=1 steps"]);
    let alike = place.json(&["plane", "run"]);
    let by_length = place.json(&["plane", "run", "--weighting=path-length"]);
    let file = by_length["plane"].as_str().unwrap();
    assert!(file.ends_with("pca-path-length.safetensors"), "{by_length}");
    for key in ["explained_variance", "null_explained_variance"] {
        assert_ne!(alike[key], by_length[key], "{key}");
    }
    // All of the path is on it.
    assert_eq!(by_length["snapshots"].as_u64(), Some(9));
    let surface = ["surface", "run", "--plane=pca-path-length", "--grid=4x4", "--samples=16"];
    place.ok(&surface);
    // So wide that the caption is one line.
    place.ok(&["render", "run", "--plane=pca-path-length", "--out=a.svg", "--size=2560x720"]);
    let drawn = fs::read_to_string(place.path("a.svg")).unwrap();
    assert!(drawn.contains("Plane weighted by path length."), "{drawn}");
    // Made again as it was made.
    stale::go_on(&place, "run");
    place.ok(&[&surface[..], &["--force"]].concat());
    let again = place.json(&["plane", "run", "--weighting=path-length"]);
    assert_eq!(again["snapshots"].as_u64(), Some(13));
    // The shares of that picture count snapshots alike.
    let shadow = ["render", "run", "--as=shadow", "--plane=pca-path-length", "--out=s.gif"];
    place.refused(&shadow, &["weighs its path by length", "--weighting snapshots"]);
    let joint = ["plane", "run", "run", "--out=joint", "--weighting=path-length"];
    place.refused(&joint, &["joint plane"]);
    assert!(!place.path("joint").exists());
}
