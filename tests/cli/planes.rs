//! Planes that the loss chooses, and the plane through three ends.

use super::*;

/// The numbers of an array.
fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
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
