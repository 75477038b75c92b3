//! Measures of runs, of surfaces of weights and of files of the paper's code.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::Place;

/// The measures of the k-th run.
fn of(found: &Value, k: usize) -> &Value {
    &found["runs"][k]["measures"]
}

fn number(measures: &Value, name: &str) -> f64 {
    measures[name]["value"].as_f64().unwrap_or_else(|| panic!("{name} in {measures}"))
}

#[test]
fn a_run_is_measured_with_all_that_is_there_and_two_stand_side_by_side() {
    let place = Place::new();
    place.train("a", &[]);
    place.train("b", &["--set=train.seed=1"]);
    // Without a surface and a curve: the point alone.
    let point = place.json(&["measure", "a", "--samples=100", "--directions=4", "--probes=6"]);
    let names = of(&point, 0).as_object().unwrap();
    assert!(names.contains_key("lambda_max") && !names.contains_key("smad"), "{names:?}");
    assert!(point["runs"][0]["notes"].to_string().contains("lossreel surface"));
    let noise = ["gradient_norm", "gradient_variance", "gradient_noise_scale"];
    for name in
        ["loss", "trace", "expected_rise@0.5", "generalisation_gap"].into_iter().chain(noise)
    {
        let one = &of(&point, 0)[name];
        assert!(one["se"].as_f64().unwrap() > 0.0 && one["unit"].is_string(), "{name}: {one}");
    }
    assert!(number(of(&point, 0), "rho_sharpness@0.05") > 0.0);
    // Of the run's batch of 50 the ratio of signal to noise is 50 over the noise scale.
    let snr =
        number(of(&point, 0), "gradient_snr@50") * number(of(&point, 0), "gradient_noise_scale");
    assert!((snr / 50.0 - 1.0).abs() < 1e-12, "{snr}");
    let few =
        place.json(&["measure", "a", "--of=point", "--samples=2", "--directions=2", "--probes=6"]);
    assert!(few["runs"][0]["notes"].to_string().contains("fewer than 3 images"), "{few}");
    assert!(number(of(&point, 0), "epsilon_sharpness@0.0005") > 0.0);

    let path = place.json(&["measure", "a", "--of=path", "--path-csv=path.csv"]);
    let [length, distance, straightness] = ["path_length", "path_distance", "path_straightness"]
        .map(|name| number(of(&path, 0), name));
    assert!(0.0 < distance && distance <= length, "{distance} {length}");
    assert!((straightness - distance / length).abs() < 1e-12);
    assert!((-1.0..=1.0).contains(&number(of(&path, 0), "path_cosine")));
    let csv = fs::read_to_string(place.path("path.csv")).unwrap();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let snapshots = fs::read_dir(place.path("a/snapshots")).unwrap().count();
    assert_eq!(lines.len(), 1 + snapshots);
    assert_eq!(
        lines[0],
        ["step", "epoch", "from_start", "to_end", "displacement", "cosine", "update"]
    );
    let last = &lines[snapshots];
    assert_eq!((last[2].parse::<f64>().unwrap(), last[3]), (distance, "0"));
    assert_eq!((lines[1][2], lines[1][4], lines[2][5]), ("0", "", ""));
    place.refused(&["measure", "a", "b", "--path-csv=path.csv"], &["--path-csv", "one run"]);

    for run in ["a", "b"] {
        place.ok(&["plane", run]);
        place.ok(&["surface", run, "--grid=9x9", "--samples=50"]);
        place.ok(&["curve", run, "--points=9", "--samples=50"]);
    }
    // The same in step with the path, beside its plane.
    place.ok(&["render", "a", "--strip", "distance,cosine,update", "--out", "path.svg"]);
    let svg = fs::read_to_string(place.path("path.svg")).unwrap();
    for title in ["Distance in weights", "Cosine between displacements", "Update / weights"] {
        assert!(svg.contains(title), "{title}");
    }
    let both = ["measure", "a", "b", "--of=surface,line", "--csv=all.csv"];
    let found = place.json(&both);
    for k in [0, 1] {
        let measures = of(&found, k);
        assert!(number(measures, "minima") >= 1.0);
        assert!(number(measures, "minima") <= number(measures, "minima_of_grid"));
        assert!(number(measures, "roughness") >= 1.0);
        assert!((0.0..=1.0).contains(&number(measures, "convex_fraction")));
        assert!(number(measures, "basin_area@1") >= number(measures, "basin_area@0.1"));
        assert!(number(measures, "barrier") >= 0.0);
    }
    let text = place.ok(&both);
    let first: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(first, ["measure", "a", "b", "unit"]);
    let csv = fs::read_to_string(place.path("all.csv")).unwrap();
    assert!(csv.starts_with("run,measure,value,standard_error,unit,note\n"));
    assert!(csv.contains("\"b\",smad,"), "{csv}");
    let written = fs::read_to_string(place.path("a/measures/measures.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    assert!(written["measures"][0]["definition"].is_string() && written["sha256"].is_string());
}

#[test]
fn surfaces_without_an_inside_or_a_finite_loss_are_refused() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid=1x1", "--samples=20", "--name=one"]);
    let measure = |name: &str| {
        ["measure", "run", "--of=surface", "--surface"]
            .map(String::from)
            .into_iter()
            .chain([name.to_string()])
            .collect::<Vec<_>>()
    };
    let one = measure("one");
    place.refused(&one.iter().map(String::as_str).collect::<Vec<_>>(), &["1 x 1 cells", "3 x 3"]);
    // Every loss a NaN.
    place.ok(&["surface", "run", "--grid=3x3", "--samples=20", "--name=holes"]);
    let cells = place.path("run/surfaces/holes/cells.jsonl");
    let text: String = (0..9)
        .map(|k| format!("{{\"k\":{k},\"loss\":\"NaN\",\"loss_se\":\"NaN\",\"correct\":0}}\n"))
        .collect();
    fs::write(cells, text).unwrap();
    let holes = measure("holes");
    place.refused(
        &holes.iter().map(String::as_str).collect::<Vec<_>>(),
        &["no cell", "finite loss"],
    );
    place.refused(&["measure", "run", "--of=surface", "--surface=none"], &["lossreel surface"]);
    place.refused(&["measure", "run", "--rise=0"], &["--rise", "above 0"]);
    place.refused(&["measure", "run", "--of=point", "--samples=0"], &["`--samples` is 0"]);
    place.refused(
        &["measure", "run", "--of=point", "--directions=1", "--samples=50"],
        &["2 or more"],
    );
}

#[test]
fn a_surface_of_weights_is_measured_by_its_folder() {
    let place = Place::new();
    place.train("run", &[]);
    let weights = "--weights=run/snapshots/000002.safetensors";
    let on = ["--arch=mlp", "--dataset=digits", "--samples=40", "--grid=7x7", "--out=s"];
    place.ok(&[&["surface", weights], &on[..]].concat());
    let found = place.json(&["measure", "s"]);
    assert!(number(of(&found, 0), "minima") >= 1.0);
    assert!(found["runs"][0]["notes"].to_string().contains("single cells"));
    place.refused(&["measure", "s", "--of=point"], &["no run"]);
}

/// The paper's two surfaces of ResNet-56: its Figure 1 as numbers.
#[test]
fn without_shortcuts_the_papers_resnet56_has_many_minima_and_with_them_a_convex_one() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("LOSSREEL_DATA").map_or(here, PathBuf::from);
    let short = data.join("li2018-resnet56/surface-2d-51x51.h5");
    let noshort = data.join("li2018-resnet56-noshort/surface-2d-201x201.h5");
    if !short.is_file() || !noshort.is_file() {
        eprintln!("skipped: the paper's surfaces are not in {}", data.display());
        return;
    }
    let place = Place::new();
    let files = [short.to_str().unwrap(), noshort.to_str().unwrap()];
    let found =
        place.json(&["measure", "--grid-file", files[0], files[1], "--min-persistence=0.1"]);
    let (short, noshort) = (of(&found, 0), of(&found, 1));
    assert!(number(noshort, "minima") > 3.0 * number(short, "minima"), "{found}");
    assert!(number(noshort, "roughness") > number(short, "roughness"), "{found}");
    place.refused(&["measure", "--grid-file", files[0], "--values=nothing"], &["train_loss"]);
}

#[test]
fn definitions_are_printed_with_units_and_sources() {
    let text = Place::new().ok(&["measure", "--definitions"]);
    assert!(text.contains("smad (nats)") && text.contains("source: landscaper"), "{text}");
}
