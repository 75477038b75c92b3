//! Optimizers on functions of two variables.

use std::fs;

use serde_json::Value;

use crate::{Place, assert_keys};

#[test]
fn paths_are_written_as_pictures_films_and_tables() {
    let place = Place::new();
    let mut args = vec!["function", "rosenbrock", "--rules=sgd,momentum,adam", "--steps=30"];
    args.extend([
        "--start=-1.5,2",
        "--set=adam.lr=0.1",
        "--size=320x200",
        "--frames=6",
        "--fps=10",
    ]);
    let outs = ["p.png", "p.svg", "p.gif", "p.json", "p.csv"].map(|name| format!("--out={name}"));
    args.extend(outs.iter().map(String::as_str));
    let found = place.json(&args);
    assert_keys(&found, &["function", "start", "steps", "optimizers", "files"]);
    let [sgd, _, adam] = &found["optimizers"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_keys(sgd, &["name", "learning_rate", "lr_chosen", "theta", "value", "diverged_at"]);
    assert_eq!(
        (sgd["lr_chosen"].as_bool(), adam["lr_chosen"].as_bool()),
        (Some(true), Some(false))
    );
    assert_eq!((&adam["name"], &adam["learning_rate"]), (&"Adam".into(), &0.1.into()));

    let points: Value = serde_json::from_slice(&fs::read(place.path("p.json")).unwrap()).unwrap();
    assert_eq!((&points["minima"][0][0], &points["start"][0]), (&1.0.into(), &(-1.5).into()));
    let path = &points["paths"][2];
    assert_eq!(path["points"].as_array().unwrap().len(), 31);
    assert_eq!(path["points"][30]["value"], adam["value"]);
    assert_eq!(path["points"][30]["state"][0][0], "exp_avg");
    let table = fs::read_to_string(place.path("p.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 3 * 31);
    let svg = fs::read_to_string(place.path("p.svg")).unwrap();
    assert!(svg.contains("Rosenbrock") && svg.contains(">Adam</text>"));
    assert!(fs::read(place.path("p.gif")).unwrap().starts_with(b"GIF89a"));
    // The same again, byte for byte.
    let before = fs::read(place.path("p.gif")).unwrap();
    place.ok(&args);
    assert!(before == fs::read(place.path("p.gif")).unwrap());
}

#[test]
fn a_hyperparameter_is_varied_and_a_divergence_is_told() {
    let place = Place::new();
    let vary = ["function", "ravine", "--vary=optim.lr=0.01,0.03", "--steps=400"];
    let text = place.ok(&vary);
    assert!(text.contains("learning rate 0.01  value"), "{text}");
    assert!(text.contains("learning rate 0.03  diverged at step"), "{text}");
    let found = place.json(&vary);
    let ends = &found["optimizers"];
    assert!(ends[0]["diverged_at"].is_null() && ends[1]["diverged_at"].as_u64() > Some(10));
    place.ok(&[&vary[..], &["--out=d.png", "--size=320x200"]].concat());
}

#[test]
fn what_makes_no_sense_is_refused_with_a_remedy() {
    let place = Place::new();
    let cases: &[(&[&str], &[&str])] = &[
        (&["--start=1"], &["`--start`", "-1.5,2"]),
        (&["--out=a.png", "--window=1,2"], &["`--window`", "-2,2,-1,3"]),
        (&["--out=a.png", "--window=2,1,0,1"], &["`window`", "-2,2,-1,3"]),
        (&["--rules=adma"], &["did you mean `adam`?"]),
        (&["--rules=sgd", "--set=adam.lr=1"], &["optim.lr=0.05"]),
        (&["--steps=0"], &["`--steps`"]),
        (&["--out=a.tiff"], &["unknown picture format `tiff`"]),
        (&["--out=a.json", "--out=b.webm"], &["no encoder"]),
    ];
    for (args, words) in cases {
        place.refused(&[&["function", "rosenbrock"], *args].concat(), words);
    }
    assert!(!place.path("a.json").exists() && !place.path("a.png").exists());
    let ended = place.run(&["function", "rosenbrok"]);
    assert!(
        ended.code == 2 && ended.stderr.contains("did you mean `rosenbrock`?"),
        "{}",
        ended.stderr
    );
}
