//! Lines and trained curves between two networks, policies for BatchNorm, alignment, and the null of a plane.

use serde_json::Value;

use crate::Place;

const NET: &[&str] =
    &["--set=model.arch=resnet8", "--set=model.width=0.25", "--set=train.epochs=1"];

fn loss(point: &Value) -> f64 {
    point["loss"].as_f64().unwrap()
}

fn points(curve: &Value) -> &Vec<Value> {
    curve["points"].as_array().unwrap()
}

#[test]
fn a_line_between_two_runs_ends_in_their_own_losses_and_has_a_barrier_with_an_error() {
    let place = Place::new();
    place.train("a", NET);
    place.train("b", &[NET, &["--set=train.seed=1"]].concat());
    let own = |run: &str| {
        place.json(&["evaluate", run, "--split=test", "--samples=100"])["loss"].as_f64().unwrap()
    };
    // Test images: runs of two seeds draw other training images.
    let on = ["--points=5", "--split=test", "--samples=100"];
    let line = place.json(&[&["curve", "a", "b"], &on[..]].concat());
    let ends = [&points(&line)[0], &points(&line)[4]];
    assert_eq!((ends[0]["x"].as_f64(), ends[1]["x"].as_f64()), (Some(0.0), Some(1.0)));
    for (end, run) in ends.iter().zip(["a", "b"]) {
        assert!((loss(end) - own(run)).abs() < 1e-4 * own(run), "{end} {run}");
    }
    let barrier = &line["barrier"];
    assert!(barrier["value"].as_f64().unwrap() >= 0.0);
    if barrier["value"].as_f64().unwrap() > 0.0 {
        // Paired: far smaller than the errors of the losses themselves can be, never zero.
        assert!(barrier["se"].as_f64().unwrap() > 0.0, "{barrier}");
    }
    // From a snapshot to the end of the same run, both ways of naming one.
    let descent = place.json(&[&["curve", "a@0", "a", "--name=descent"], &on[..]].concat());
    assert!(loss(&points(&descent)[0]) > loss(&points(&descent)[4]));
    let back = place.json(&[&["curve", "a", "a@0", "--name=back"], &on[..]].concat());
    assert!((loss(&points(&back)[4]) - loss(&points(&descent)[0])).abs() < 1e-4);
    let file = "b/snapshots/000001.safetensors";
    let to = place.json(&[&["curve", "a", file, "--name=file"], &on[..]].concat());
    assert!((loss(&points(&to)[4]) - loss(ends[1])).abs() < 1e-4);

    place.refused(&["curve", "a", "a"], &["the same weights", "another"]);
    place.refused(&["curve", "a", "b@99"], &["use 0 to"]);
    place.train("mlp", &[]);
    place.refused(&["curve", "a", "mlp"], &["mlp", "one architecture"]);
    place.refused(&["curve", "a", "--align"], &["--align", "no other network"]);
    place.refused(&["curve", "a", "--bn=interpolated"], &["--bn", "recalibrated"]);
}

#[test]
fn policies_for_batch_norm_differ_and_each_result_says_which_it_is() {
    let place = Place::new();
    place.train("a", NET);
    place.train("b", &[NET, &["--set=train.seed=1"]].concat());
    let on = ["--points=5", "--samples=100", "--bn-samples=100"];
    let found = place.json(&[&["curve", "a", "b", "--compare-bn"], &on[..]].concat());
    let policies = found["policies"].as_array().unwrap();
    let names: Vec<&str> = policies.iter().map(|p| p["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["frozen", "interpolated", "recalibrated", "batch"]);
    // With a's statistics the far end is not b's own loss, and the result says so.
    let far = |k: usize| loss(&points(&policies[k]["curve"])[4]);
    assert!((far(0) - far(1)).abs() > 1e-3, "{} {}", far(0), far(1));
    assert!(policies[0]["curve"]["notes"].to_string().contains("not the other network's own"));
    assert_eq!(policies[2]["curve"]["batch_norm"]["recalibrated"]["images"], 100);
    assert!(found["largest_difference"].as_f64().unwrap() > 0.0);

    place.ok(&["plane", "a"]);
    let surface = ["surface", "a", "--grid=3x3", "--samples=50", "--bn-samples=100"];
    for bn in ["recalibrated", "batch"] {
        place.ok(&[&surface[..], &["--bn", bn]].concat());
        assert!(place.path(&format!("a/surfaces/pca-{bn}/cells.jsonl")).is_file());
    }
    place.refused(&[&surface[..], &["--bn=interpolated"]].concat(), &["--bn", "recalibrated"]);
    let both = ["--bn=batch", "--gradients=3x3"];
    place.refused(&[&surface[..], &both[..]].concat(), &["gradients"]);
}

#[test]
fn a_trained_curve_is_lower_than_the_line_and_its_bend_is_trained_once() {
    let place = Place::new();
    place.train("a", NET);
    place.train("b", &[NET, &["--set=train.seed=1"]].concat());
    let on = ["--points=5", "--samples=200", "--bn-samples=200"];
    let line = place.json(&[&["curve", "a", "b", "--bn=recalibrated"], &on[..]].concat());
    let trained =
        [&["curve", "a", "b", "--shape=bezier", "--epochs=6", "--lr=0.1"], &on[..]].concat();
    let curve = place.json(&trained);
    let middle = |found: &Value| loss(&points(found)[2]);
    assert!(middle(&curve) < middle(&line), "{} {}", middle(&curve), middle(&line));
    for k in [0, 4] {
        let (a, b) = (loss(&points(&curve)[k]), loss(&points(&line)[k]));
        assert!((a - b).abs() < 1e-3 * b, "the ends are the same: {a} {b}");
    }
    assert!(place.path("a/curves/bezier/bend.safetensors").is_file());
    let again = place.json(&trained);
    assert_eq!(points(&again), points(&curve));
    // Both ways in one figure, which says what lies at its ends.
    let both =
        ["--surface=curve,bezier", "--panel-title=Line", "--panel-title=Bent", "--out=b.svg"];
    place.ok(&[&["render", "a", "--as=curve"], &both[..]].concat());
    let svg = std::fs::read_to_string(place.path("b.svg")).unwrap();
    for words in ["Between two networks", "from one network at 0", "Line", "Bent"] {
        assert!(svg.contains(words), "no `{words}`");
    }
    place.refused(&["render", "a", "--as=curve", "--surface=curve,none", "--out=c.svg"], &["none"]);
    place.refused(&["curve", "a", "--shape=chain"], &["--shape", "no other network"]);
    let lr = ["curve", "a", "b", "--shape=chain", "--lr=0"];
    place.refused(&lr, &["--lr", "positive"]);
}

#[test]
fn an_aligned_line_is_no_longer_and_the_note_says_what_moved() {
    let place = Place::new();
    place.train("a", NET);
    place.train("b", &[NET, &["--set=train.seed=1"]].concat());
    let line =
        ["curve", "a", "b", "--align", "--bn=recalibrated", "--bn-samples=100", "--points=3"];
    let found = place.json(&[&line[..], &["--samples=100"]].concat());
    let note = found["notes"].to_string();
    assert!(note.contains("weight matching") && note.contains("changed places"), "{note}");
}

#[test]
fn the_null_of_a_plane_has_the_runs_own_steps_and_an_interval() {
    let place = Place::new();
    place.train("run", &["--set=record.every=1 step"]);
    let plane = place.json(&["plane", "run"]);
    let null: Vec<f64> = plane["null_explained_variance"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect();
    let sum = null[0] + null[1];
    let [low, high] = [0, 1].map(|k| plane["null_interval"]["sum"][k].as_f64().unwrap());
    assert!(low <= sum && sum <= high && high - low < 0.2, "{low} {sum} {high}");
    assert!(plane["null"].as_str().unwrap().contains("own steps"));
    let text = place.ok(&["plane", "run"]);
    assert!(text.contains("a random walk's") && text.contains(" to "), "{text}");

    let compared = place.json(&["plane", "run", "--compare=3"]);
    let share = |k: usize| compared[k]["share"].as_f64().unwrap();
    assert_eq!(compared.as_array().unwrap().len(), 4);
    assert!(share(0) > 0.5 && (1..4).all(|k| share(k) < 0.1), "{compared}");
}
