//! Sharpness: measured while training, computed afterwards, and drawn; and gradients on a map.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{Place, assert_keys, files};

/// The measurements in a run's log.
fn logged(run: &Path) -> Vec<Value> {
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] == "sharpness").collect()
}

#[test]
fn sharpness_is_the_same_measured_while_training_and_computed_afterwards() {
    let place = Place::new();
    let measured = ["--set=record.sharpness=epoch", "--set=record.sharpness_samples=60"];
    place.train("plain", &[]);
    place.train("measured", &measured);
    // Measuring does not change what is trained.
    let trained = |run: &str| {
        let mut kept = files(&place.path(run));
        kept.retain(|name, _| name.starts_with("snapshots") || name.starts_with("checkpoint"));
        kept
    };
    assert!(trained("plain") == trained("measured"));
    assert!(logged(&place.path("plain")).is_empty());
    let lines = logged(&place.path("measured"));
    let steps: Vec<u64> = lines.iter().map(|l| l["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 4, 8]);

    let found = place.json(&["curvature", "plain", "--samples", "60"]);
    let wanted = ["eigenvalues", "residuals", "smallest", "trace", "trace_se", "hvp_seconds"];
    assert_keys(&found, &wanted);
    let snapshots = found["snapshots"].as_array().unwrap();
    assert_eq!(snapshots.len(), 3);
    for (line, snapshot) in lines.iter().zip(snapshots) {
        // The command goes on for the smallest eigenvalue, which the run does not measure: the largest is
        // that much nearer. The error is about the square of a residual of 1e-3.
        let (logged, found) = (&line["sharpness"], &snapshot["eigenvalues"][0]);
        let (logged, found) = (logged.as_f64().unwrap(), found.as_f64().unwrap());
        assert!((logged - found).abs() < 1e-4 * found, "{line} {snapshot}");
        assert!(snapshot["converged"] == true && logged > 0.0);
    }
    assert_eq!(found["eigenvalues"], snapshots[2]["eigenvalues"], "the last state's on top");
    assert!(found["smallest"][0].as_f64() < found["eigenvalues"][0].as_f64());

    // The last snapshot as a file of weights is the same point.
    let weights = "plain/snapshots/000002.safetensors";
    let of_file = ["curvature", "--weights", weights, "--arch", "mlp", "--dataset", "digits"];
    assert_keys(&place.json(&[&of_file[..], &["--samples", "60"]].concat()), &wanted);
}

#[test]
fn curvatures_that_are_done_are_not_done_again() {
    let place = Place::new();
    place.train("run", &[]);
    let one = ["curvature", "run", "--samples", "50", "--snapshots", "1"];
    place.ok(&one);
    let folder = place.path("run/curvature");
    assert_eq!(files(&folder).keys().collect::<Vec<_>>(), ["000002.json"]);
    let before = files(&folder);
    let all = ["curvature", "run", "--samples", "50"];
    assert_eq!(place.json(&all)["snapshots"].as_array().unwrap().len(), 3);
    let after = files(&folder);
    assert!(after.len() == 3 && after["000002.json"] == before["000002.json"]);
    place.ok(&all);
    assert!(files(&folder) == after, "seconds and all: nothing was computed");

    let other = ["curvature", "run", "--samples", "40"];
    place.refused(&other, &["50 train images", "--force"]);
    place.ok(&[&other[..], &["--force"]].concat());
    assert_eq!(files(&folder).len(), 3);
    place.refused(&["curvature", "run", "--snapshots", "some"], &["write all"]);
    place.refused(&["curvature", "run", "--snapshot", "7"], &["use 0 to 2"]);
    place.refused(&["curvature", "run", "--tolerance", "0"], &["1e-3"]);
    place.refused(&["curvature", "run", "--eigenvalues", "0"], &["--eigenvalues"]);
}

#[test]
fn what_did_not_converge_is_no_result_and_the_bound_says_which_side() {
    let place = Place::new();
    place.train("run", &[]);
    let few = ["curvature", "run", "--samples", "50", "--snapshot", "2", "--iterations", "3"];
    let found = place.json(&few);
    assert_eq!((&found["converged"], &found["smallest"]), (&false.into(), &serde_json::json!([])));
    let ended = place.run(&few);
    assert!(ended.code == 0 && ended.stderr.contains("did not converge"), "{}", ended.stderr);
    // The Ritz value lies inside the spectrum: the smallest is no larger.
    let bound = found["smallest_at_most"].as_f64().unwrap();
    let enough = ["curvature", "run", "--samples", "50", "--snapshot", "2", "--force"];
    let whole = place.json(&enough);
    assert_eq!(whole["converged"], true);
    assert!(whole["smallest"][0].as_f64().unwrap() <= bound + 1e-6, "{whole} {bound}");
    assert!(whole["smallest_at_most"].is_null());
}

#[test]
fn trace_density_and_layers_are_added_to_what_is_there() {
    let place = Place::new();
    place.train("run", &[]);
    let base = ["curvature", "run", "--samples", "50", "--snapshot", "2"];
    let alone = place.json(&base);
    assert!(alone["trace"].is_null() && alone.get("density").is_none());
    let more =
        [&base[..], &["--trace=hutchinson", "--density", "--layers", "--probes=20"]].concat();
    let found = place.json(&more);
    assert_eq!(found["eigenvalues"], alone["eigenvalues"]);
    let (trace, se) = (found["trace"].as_f64().unwrap(), found["trace_se"].as_f64().unwrap());
    assert!(trace > 0.0 && se > 0.0 && se < trace, "{trace} {se}");
    // The same random vectors: to the rounding of sums.
    let layers = found["layers"].as_array().unwrap();
    let sum: f64 = layers.iter().map(|l| l["trace"].as_f64().unwrap()).sum();
    assert!(layers.len() > 1 && (sum - trace).abs() < 1e-6 * trace, "{sum} {trace}");
    let density = &found["density"];
    let by_lanczos = density["trace"].as_f64().unwrap();
    let error = se.hypot(density["trace_se"].as_f64().unwrap());
    assert!((by_lanczos - trace).abs() < 4.0 * error, "{by_lanczos} {trace} {error}");
    let area: f64 = {
        let of = |key: &str| -> Vec<f64> {
            density[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
        };
        let (x, y) = (of("lambda"), of("density"));
        x.windows(2).zip(y.windows(2)).map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0).sum()
    };
    assert!((area - 1.0).abs() < 0.01, "{area}");
    // Computed once, kept.
    let kept = files(&place.path("run/curvature"));
    place.ok(&more);
    assert!(files(&place.path("run/curvature")) == kept);
    // Another estimator replaces the trace and leaves the rest.
    let other = place.json(&[&base[..], &["--trace", "--probes=12"]].concat());
    assert_eq!((&other["trace_method"], &other["layers"]), (&"hutch++".into(), &found["layers"]));
}

#[test]
fn other_matrices_and_parameters_lie_beside_the_hessian_and_do_not_touch_it() {
    let place = Place::new();
    place.train("run", &[]);
    let base = ["curvature", "run", "--samples", "50", "--snapshot", "2"];
    let whole = place.json(&base);
    let before = fs::read(place.path("run/curvature/000002.json")).unwrap();
    let gauss_newton = place.json(&[&base[..], &["--matrix=gauss-newton"]].concat());
    assert!(gauss_newton["smallest"][0].as_f64().unwrap() > -1e-4, "{gauss_newton}");
    let layer = place.json(&[&base[..], &["--parameters", "weights"]].concat());
    let top = |found: &Value| found["eigenvalues"][0].as_f64().unwrap();
    // A block's largest eigenvalue is no larger than the matrix's (Cauchy's interlacing).
    assert!(top(&layer) <= top(&whole) * 1.0001 && top(&layer) > 0.0);
    let batch = place.json(&[&base[..], &["--bn=batch", "--tolerance=0.01"]].concat());
    // Normalised by the batch it is another function of the weights, and both are kept.
    assert!((top(&batch) - top(&whole)).abs() > 5e-3 * top(&whole), "{batch} {whole}");
    assert_eq!(fs::read(place.path("run/curvature/000002.json")).unwrap(), before);
    place.refused(&[&base[..], &["--parameters", "conv99"]].concat(), &["no parameter matches"]);
    let both = ["--matrix=gauss-newton", "--bn=batch"];
    place.refused(&[&base[..], &both].concat(), &["Gauss-Newton products"]);
    place.refused(&[&base[..], &["--probes=5"]].concat(), &["--trace"]);
    place.refused(&[&base[..], &["--trace", "--probes=3"]].concat(), &["use 6 or more"]);
    let ended = place.run(&["curvature", "run", "--samples", "0"]);
    assert!(ended.code == 1 && ended.stderr.contains("`--samples` is 0"), "{}", ended.stderr);
    assert!(ended.stderr.contains("ask for 1 to"), "{}", ended.stderr);
}

#[test]
fn a_film_shows_sharpness_where_there_is_some_and_names_the_command_where_not() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid", "3x3", "--samples", "20"]);
    let strip = ["--strip", "loss,accuracy,lr,sharpness,grad-norm", "--out", "x.svg"];
    let render = [&["render", "run"], &strip[..]].concat();
    place.refused(&render, &["lossreel curvature run", "record.sharpness=epoch"]);
    place.ok(&["curvature", "run", "--samples", "50"]);
    place.ok(&render);
    let svg = fs::read_to_string(place.path("x.svg")).unwrap();
    assert!(svg.contains("Sharpness") && svg.contains(">1.36/lr<"), "the edge with Nesterov's 0.9");
    // Another scene, the run's own measurements, no momentum.
    place.train("own", &["--set=record.sharpness=2 steps", "--set=optim.momentum=0"]);
    place.ok(&[&["render", "own", "--as", "histograms"], &strip[..]].concat());
    let svg = fs::read_to_string(place.path("x.svg")).unwrap();
    assert!(svg.contains("Sharpness") && svg.contains(">2/lr<"), "{svg}");
}

/// With an eps far above all gradients Adam's preconditioner is eps (1 - 0.9^t), but for a part in a million.
#[test]
fn the_preconditioned_sharpness_is_that_of_the_rule_and_has_its_edge_in_a_film() {
    let place = Place::new();
    let adam = ["--set=optim.rule=adam", "--set=optim.eps=1e4", "--set=optim.lr=10"];
    let measured = ["--set=record.sharpness=2 steps", "--set=record.sharpness_samples=60"];
    place.train("adam", &[&adam[..], &measured].concat());
    let lines = fs::read_to_string(place.path("adam/metrics.jsonl")).unwrap();
    let found: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["kind"] == "sharpness")
        .collect();
    assert_eq!(found.len(), 5, "{lines}");
    assert!(found[0].get("preconditioned").is_none(), "there is none before the first step");
    for line in &found[1..] {
        let [t, plain, scaled] =
            ["step", "sharpness", "preconditioned"].map(|key| line[key].as_f64().unwrap());
        let want = plain / (1e4 * (1.0 - 0.9f64.powf(t)));
        assert!((scaled - want).abs() < 1e-3 * want, "{line}: {want}");
    }
    for run in ["adam", "sgd"] {
        if run == "sgd" {
            place.train("sgd", &[&measured[..], &["--set=optim.momentum=0"]].concat());
        }
        place.ok(&["plane", run]);
        place.ok(&["surface", run, "--grid", "3x3", "--samples", "20"]);
        let strip = ["--strip", "preconditioned-sharpness", "--out", "x.svg"];
        place.ok(&[&["render", run], &strip[..]].concat());
        let svg = fs::read_to_string(place.path("x.svg")).unwrap();
        let edge = if run == "adam" { ">38/lr<" } else { ">2/lr<" };
        assert!(svg.contains("Preconditioned sharpness") && svg.contains(edge), "{run}: {svg}");
    }
    // Without measurements: what to do.
    place.train("bare", &["--set=optim.rule=adam"]);
    place.ok(&["plane", "bare"]);
    place.ok(&["surface", "bare", "--grid", "3x3", "--samples", "20"]);
    let strip = ["render", "bare", "--strip", "preconditioned-sharpness", "--out", "y.svg"];
    place.refused(&strip, &["by adam", "record.sharpness=epoch"]);
}

#[test]
fn arrows_are_measured_where_somebody_measured_them() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    let surface = ["surface", "run", "--grid", "5x5", "--samples", "20"];
    place.ok(&surface);
    let render = |arrows: &str| {
        let stdout = place.ok(&["render", "run", "--out", "x.svg", "--size", "2400x720", arrows]);
        assert!(stdout.contains("x.svg"));
        fs::read_to_string(place.path("x.svg")).unwrap()
    };
    let measured = ["render", "run", "--out", "x.svg", "--arrows=measured"];
    place.refused(&measured, &["--gradients"]);
    assert!(render("--arrows").contains("of the interpolated surface"));
    let found = place.json(&[&surface[..], &["--gradients=4x3"]].concat());
    assert_eq!((&found["evaluated"], &found["gradients"]), (&25.into(), &12.into()));
    let cells = place.path("run/surfaces/pca/gradients/cells.jsonl");
    assert_eq!(fs::read_to_string(&cells).unwrap().lines().count(), 12);
    assert!(render("--arrows").contains("measured at 12 points"));
    assert!(render("--arrows=interpolated").contains("of the interpolated surface"));
    place.refused(&[&surface[..], &["--gradients=5x5", "--quiet"]].concat(), &["4x3 points"]);
    // With the surface go its gradients.
    place.ok(&[&surface[..], &["--force"]].concat());
    assert!(!cells.exists());
}

#[test]
fn convexity_is_measured_over_a_surface_resumed_and_drawn() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    place.refused(
        &["render", "run", "--as=heatmap", "--quantity=convexity", "--out=none.png"],
        &["surface"],
    );
    place.ok(&["surface", "run", "--grid=5x5", "--samples=50"]);
    place.refused(
        &["render", "run", "--as=heatmap", "--quantity=convexity", "--out=none.png"],
        &["--convexity"],
    );
    let args = ["surface", "run", "--grid=5x5", "--samples=50", "--convexity=4x3"];
    let found = place.json(&args);
    assert_eq!(found["convexity"][0], 12, "{found}");
    assert!(found["convexity"][1].as_u64().unwrap() >= 10, "{found}");
    let cells = place.path("run/surfaces/pca/convexity/cells.jsonl");
    let whole = fs::read_to_string(&cells).unwrap();
    // A net that is not linear is nowhere convex in all its weights, but nearly so near its end.
    let ratios: Vec<f64> = whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|cell| -cell["smallest"].as_f64().unwrap() / cell["largest"].as_f64().unwrap())
        .collect();
    assert!(ratios.iter().all(|r| *r > 0.0 && *r < 1.5), "{ratios:?}");
    // Cut off after five points it goes on to the same bytes.
    let half: String = whole.lines().take(5).map(|line| format!("{line}\n")).collect();
    fs::write(&cells, half).unwrap();
    place.ok(&args);
    assert_eq!(fs::read_to_string(&cells).unwrap(), whole);
    place.ok(&["render", "run", "--as=heatmap", "--quantity=convexity", "--out=map.png"]);
    // The ends of the spectrum themselves, and the length of the gradient, which is measured by itself.
    for (quantity, words) in [("lambda-max", "How sharp"), ("lambda-min", "most negative")] {
        let map = ["render", "run", "--as=heatmap", "--out=map.svg", "--quantity", quantity];
        place.ok(&map);
        let drawn = fs::read_to_string(place.path("map.svg")).unwrap();
        assert!(drawn.contains(words) && drawn.contains("4 × 3"), "{quantity}: {drawn}");
    }
    let steep = ["render", "run", "--as=heatmap", "--quantity=gradient-norm", "--out=steep.svg"];
    place.refused(&steep, &["--gradients"]);
    place.ok(&["surface", "run", "--grid=5x5", "--samples=50", "--gradients=3x3"]);
    place.ok(&steep);
    let drawn = fs::read_to_string(place.path("steep.svg")).unwrap();
    assert!(drawn.contains("How steep") && drawn.contains("3 × 3"), "{drawn}");
    // The same as the colours of the surface in space.
    let space = ["render", "run", "--as=surface", "--size=640x360"];
    let picture = |name: &str, more: &[&str]| {
        place.ok(&[&space[..], more, &[&format!("--out={name}.png")]].concat());
        fs::read(place.path(&format!("{name}.png"))).unwrap()
    };
    let plain = picture("plain", &[]);
    for quantity in ["convexity", "lambda-min", "gradient-norm", "accuracy", "loss-difference"] {
        let draped = picture(quantity, &["--quantity", quantity]);
        assert_ne!(draped, plain, "{quantity}");
    }
    let wide = picture("wide", &["--quantity=convexity", "--values=0,2"]);
    assert_ne!(wide, fs::read(place.path("convexity.png")).unwrap());
    let given = [&space[..], &["--values=0,2", "--out=x.png"]].concat();
    place.refused(&given, &["--values", "leave it out"]);
    let checked = place.json(&["inspect", "run", "--check"]).to_string();
    assert!(checked.contains("surfaces/pca/convexity"), "{checked}");
    // The value at a point is what `curvature` finds of its weights there: the grid's own centre is no point of
    // it, so a surface of one point at the end is taken.
    place.ok(&[
        "surface",
        "run",
        "--grid=3x3",
        "--range=-1e-6,1e-6",
        "--name=end",
        "--samples=50",
        "--convexity=1x1",
    ]);
    let cell = fs::read_to_string(place.path("run/surfaces/end/convexity/cells.jsonl")).unwrap();
    let cell: Value = serde_json::from_str(cell.trim()).unwrap();
    let whole =
        place.json(&["curvature", "run", "--samples=50", "--parameters=weights", "--smallest=1"]);
    let largest = cell["largest"].as_f64().unwrap();
    let text = whole.to_string();
    let numbers = text.split(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c)));
    let close =
        numbers.filter_map(|n| n.parse::<f64>().ok()).any(|n| (n - largest).abs() < 2e-3 * largest);
    assert!(close, "{largest}: {whole}");
}

#[test]
fn the_gradients_noise_is_the_same_measured_while_training_and_afterwards_and_films_show_it() {
    let place = Place::new();
    let measured =
        ["--set=record.gradient_noise=2 steps", "--set=record.gradient_noise_samples=60"];
    place.train("run", &measured);
    let lines = fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    let found: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["kind"] == "gradient_noise")
        .collect();
    assert_eq!(found.len(), 5, "{lines}");
    for line in &found {
        let [scale, se, ratio] = ["noise_scale", "noise_scale_se", "signal_to_noise"]
            .map(|key| line[key].as_f64().unwrap());
        assert!(scale > 0.0 && se > 0.0 && (ratio * scale / 50.0 - 1.0).abs() < 1e-9, "{line}");
        assert_eq!((line["batch"].as_u64(), line["samples"].as_u64()), (Some(50), Some(60)));
    }
    // The state at the end is the last snapshot.
    let of = place.json(&[
        "measure",
        "run",
        "--of=point",
        "--samples=60",
        "--directions=2",
        "--probes=6",
    ]);
    let last = found.last().unwrap();
    let pairs = [
        ("noise_scale", "gradient_noise_scale"),
        ("gradient_norm", "gradient_norm"),
        ("variance", "gradient_variance"),
        ("signal_to_noise", "gradient_snr@50"),
    ];
    for (logged, told) in pairs {
        let logged = last[logged].as_f64().unwrap();
        let told = of["runs"][0]["measures"][told]["value"].as_f64().unwrap();
        assert!((logged / told - 1.0).abs() < 1e-9, "{logged} {told}");
    }

    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid", "3x3", "--samples", "20"]);
    place.ok(&["render", "run", "--strip", "noise-scale,snr", "--out", "x.svg"]);
    let svg = fs::read_to_string(place.path("x.svg")).unwrap();
    for words in ["Gradient noise scale", "batch of 50", "Signal to noise"] {
        assert!(svg.contains(words), "{words}: {svg}");
    }
    place.train("bare", &[]);
    place.ok(&["plane", "bare"]);
    place.ok(&["surface", "bare", "--grid", "3x3", "--samples", "20"]);
    let render = ["render", "bare", "--strip", "noise-scale", "--out", "y.svg"];
    place.refused(&render, &["no noise of the gradient", "record.gradient_noise=epoch"]);
}

#[test]
fn the_overshoot_of_steps_is_measured_while_training_and_films_show_it() {
    let place = Place::new();
    let measured = |lr| {
        let run = format!("lr-{lr}");
        let rate = format!("--set=optim.lr={lr}");
        let more = ["--set=record.overshoot=1 steps", "--set=record.overshoot_samples=200"];
        place.train(&run, &[&more[..], &[&rate, "--set=optim.rule=sgd"]].concat());
        let lines = fs::read_to_string(place.path(&format!("{run}/metrics.jsonl"))).unwrap();
        let found: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["kind"] == "overshoot")
            .collect();
        let steps: Vec<u64> = found.iter().map(|line| line["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, (1..=8).collect::<Vec<u64>>(), "{lines}");
        found
    };
    let alpha = |line: &Value| line["alpha"].as_f64().unwrap();
    for line in &measured("1e-4") {
        let [before, after] = ["slope_before", "slope_after"].map(|k| line[k].as_f64().unwrap());
        assert!(before < 0.0 && (alpha(line) + after / before).abs() < 1e-12, "{line}");
        // So small a step stays where it is on its parabola.
        assert!(alpha(line) > -1.0 && alpha(line) < -0.9, "{line}");
        assert!(line["alpha_se"].as_f64().unwrap() > 0.0 && line["samples"] == 200, "{line}");
    }
    // One of a hundred thousand times the rate ends where the loss rises again.
    assert!(measured("10").iter().any(|line| line["alpha"].as_f64().is_some_and(|a| a > 0.0)));

    place.ok(&["plane", "lr-1e-4"]);
    place.ok(&["surface", "lr-1e-4", "--grid", "3x3", "--samples", "20"]);
    place.ok(&["render", "lr-1e-4", "--strip", "loss,overshoot", "--out", "x.svg"]);
    let svg = fs::read_to_string(place.path("x.svg")).unwrap();
    assert!(svg.contains("Overshoot of a step"), "{svg}");
    place.train("bare", &[]);
    place.ok(&["plane", "bare"]);
    place.ok(&["surface", "bare", "--grid", "3x3", "--samples", "20"]);
    let render = ["render", "bare", "--strip", "overshoot", "--out", "y.svg"];
    place.refused(&render, &["no overshoot of steps", "record.overshoot=epoch"]);
}
