//! Losses that are not the cross-entropy of images: numbers that are predicted, squared errors to classes, and
//! a language model of characters.

use super::*;

/// A table whose `price` and `size` follow from its columns, with a little noise that is no random number.
fn table(rows: usize) -> String {
    let mut text = String::from("a,b,price,size\n");
    for i in 0..rows {
        let at = |k: f64| ((i as f64 * k).sin() * 43_758.545).fract();
        let (a, b) = (2.0 * at(12.9898), at(78.233));
        let price = 200_000.0 + 50_000.0 * a - 30_000.0 * a * b + 500.0 * at(39.346);
        text += &format!("{a:.4},{b:.4},{price:.1},{:.3}\n", 40.0 + 5.0 * b);
    }
    text
}

const CSV: &[&str] = &["--dataset=csv", "--data-dir=houses.csv"];

const VALUES: &[&str] = &[
    "train",
    "--set=data.targets=values",
    "--set=model.arch=mlp",
    "--set=model.norm=none",
    "--set=model.hidden=32,32",
    "--set=optim.rule=adam",
    "--set=optim.lr=3e-3",
    "--set=optim.weight_decay=0",
    "--set=train.batch_size=32",
    "--set=train.epochs=30",
];

#[test]
fn a_regression_is_trained_drawn_and_written_in_the_units_of_its_table() {
    let place = Place::new();
    fs::write(place.path("houses.csv"), table(600)).unwrap();
    let shown = place.ok(&[
        "datasets",
        "show",
        "csv",
        "--data-dir=houses.csv",
        "--set=data.targets=values",
        "--set=data.target_columns=[\"price\", \"size\"]",
    ]);
    assert!(shown.contains("to be predicted: price, size"), "{shown}");

    let two = "--set=data.target_columns=[\"price\", \"size\"]";
    let said = place.ok(&[VALUES, CSV, &["--out=run", two]].concat());
    assert!(!said.contains("accuracy") && said.contains("examples"), "{said}");
    let found = place.json(&["evaluate", "run", "--predictions=out.csv"]);
    let explained = found["values"]["explained"].as_f64().unwrap();
    // Features in 256 steps and noise of 1 % of the price's spread.
    assert!(explained > 0.95, "{found}");
    // Of the training split's variance, which the test split's is not quite.
    let loss = found["loss"].as_f64().unwrap();
    assert!((1.0 - explained - loss).abs() < 0.3 * loss, "{found}");
    assert_eq!(found["total"], 0);
    let price = &found["values"]["rmse"][0];
    let rmse = price["rmse"].as_f64().unwrap();
    assert!(price["name"] == "price" && rmse > 100.0 && rmse < 20_000.0, "{found}");
    // The file has the table's own numbers, and the same errors.
    let written = fs::read_to_string(place.path("out.csv")).unwrap();
    let rows: Vec<Vec<f64>> = written
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), 120);
    assert!(rows.iter().all(|row| row[1] > 20_000.0 && row[1] < 400_000.0), "{written}");
    let mean = rows.iter().map(|row| (row[1] - row[2]).powi(2)).sum::<f64>() / 120.0;
    assert!((mean.sqrt() - rmse).abs() < 1e-3 * rmse, "{} {rmse}", mean.sqrt());

    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid=5x5", "--samples=120"]);
    let curve = place.json(&["curve", "run", "--points=3", "--split=test"]);
    let middle = curve["points"][1]["loss"].as_f64().unwrap();
    assert!((middle - loss).abs() < 1e-4 * loss, "{curve} {loss}");
    assert_eq!(curve["points"][1]["accuracy"], "NaN");
    place.ok(&["render", "run", "--as=curve", "--out=curve.png"]);
    place.ok(&["render", "run", "--out=run.png"]);
    place.refused(
        &["render", "run", "--as=heatmap", "--quantity=accuracy", "--out=a.png"],
        &["numbers"],
    );
    place.ok(&["curvature", "run", "--samples=100"]);
    let inspected = place.ok(&["inspect", "run"]);
    assert!(!inspected.contains("NaN"), "{inspected}");
    // Measures and barriers are of this loss, without accuracies.
    let measured = place.ok(&["measure", "run", "--samples=60", "--json"]);
    assert!(measured.contains("lambda_max") && !measured.contains("accuracy_gap"), "{measured}");
    place.ok(&[VALUES, CSV, &["--out=other", two, "--set=train.seed=1", "--set=train.epochs=5"]]
        .concat());
    let curve = place.json(&["curve", "run", "other", "--points=5", "--samples=60", "--name=line"]);
    assert!(curve["barrier"]["value"].as_f64().unwrap() >= 0.0, "{curve}");
    // What a run has, its page has: no accuracy where there is none.
    place.ok(&["view", "run", "--out=page.html"]);
}

#[test]
fn numbers_are_predicted_from_arrays_too_and_may_stay_in_their_units() {
    let place = Place::new();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for i in 0..200 {
        let at = |k: f64| ((i as f64 * k).sin() * 43_758.545).fract() as f32;
        let row = [at(12.9898), at(78.233), at(39.346)];
        x.extend(row);
        y.push(row[0] + 2.0 * row[1]);
    }
    let array = |shape: &str, values: &[f32]| {
        let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let head = format!("{head:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((head.len() as u16).to_le_bytes());
        bytes.extend(head.as_bytes());
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    };
    fs::create_dir(place.path("set")).unwrap();
    fs::write(place.path("set/x.npy"), array("(200, 3)", &x)).unwrap();
    fs::write(place.path("set/y.npy"), array("(200,)", &y)).unwrap();
    let npz = ["--dataset=npz", "--data-dir=set", "--set=data.raw_targets=true"];
    place.ok(&[VALUES, &npz[..], &["--out=run"]].concat());
    let found = place.json(&["evaluate", "run"]);
    assert!(found["values"]["explained"].as_f64().unwrap() > 0.95, "{found}");
    assert_eq!(found["values"]["rmse"][0]["name"], "y0");
    // In their own units the root mean square is that of the loss.
    let (rmse, loss) = (&found["values"]["rmse"][0]["rmse"], found["loss"].as_f64().unwrap());
    assert!((rmse.as_f64().unwrap() - loss.sqrt()).abs() < 1e-4, "{found}");
    // The same arrays are no classes.
    let classes = ["--dataset=npz", "--data-dir=set", "--set=data.targets=classes", "--out=no"];
    place.refused(&[VALUES, &classes].concat(), &["data.targets"]);
}

#[test]
fn targets_that_cannot_be_meant_are_refused_with_a_remedy() {
    let place = Place::new();
    fs::write(place.path("houses.csv"), table(60)).unwrap();
    let refused = |more: &[&str], words: &[&str]| {
        place.refused(&[VALUES, CSV, &["--out=run"], more].concat(), words);
        assert!(!place.path("run/manifest.json").exists());
    };
    refused(&[], &["data.label_column"]);
    refused(&["--set=data.label_column=cost"], &["cost", "a, b, price, size"]);
    let price = "--set=data.label_column=price";
    refused(&[price, "--set=train.loss=cross_entropy"], &["train.loss", "squared"]);
    refused(&[price, "--set=data.label_noise=0.1"], &["data.label_noise"]);
    refused(
        &[price, "--set=data.targets=classes", "--set=data.raw_targets=true"],
        &["raw_targets"],
    );
    refused(&[price, "--set=train.loss=hinge"], &["hinge", "squared"]);
    fs::write(place.path("houses.csv"), "a,price\n1,2\n2,nan\n3,4\n4,5\n").unwrap();
    refused(&[price], &["line 3", "NaN"]);
    fs::write(place.path("houses.csv"), "a,price\n1,7\n2,7\n3,7\n4,7\n").unwrap();
    refused(&[price], &["price", "all 7"]);
    place.refused(
        &[MLP, &["--set=data.context=8", "--out=run"]].concat(),
        &["data.context", "text"],
    );
}

#[test]
fn classes_are_learned_by_the_squared_error_and_its_surface_is_that_loss() {
    let place = Place::new();
    let squared = ["--set=train.loss=squared", "--set=train.epochs=12", "--set=optim.lr=0.3"];
    place.train("run", &squared);
    let found = place.json(&["evaluate", "run"]);
    // Ten outputs: nothing learned is 0.09 with all at 0.1.
    assert!(found["loss"].as_f64().unwrap() < 0.05, "{found}");
    assert!(found["accuracy"].as_f64().unwrap() > 0.8, "{found}");
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid=5x5"]);
    let curve = place.json(&["curve", "run", "--points=3"]);
    let middle = curve["points"][1]["loss"].as_f64().unwrap();
    let trained = place.json(&["evaluate", "run", "--split=train"])["loss"].as_f64().unwrap();
    assert!((middle - trained).abs() < 0.2 * trained, "{curve} {trained}");
    // Smoothing is of cross-entropy.
    let args = [MLP, &squared, &["--set=train.label_smoothing=0.1", "--out=no"]].concat();
    place.refused(&args, &["label_smoothing", "squared"]);
}

/// Words that come in turn: what follows most letters is certain.
fn text(words: usize) -> String {
    let all = ["loss", "surface", "path", "plane"];
    (0..words).map(|i| all[i % 4].to_string() + " ").collect()
}

const GPT: &[&str] = &[
    "train",
    "--dataset=text",
    "--data-dir=book.txt",
    "--set=data.context=17",
    "--set=model.arch=gpt",
    "--set=model.dim=24",
    "--set=model.depth=1",
    "--set=model.heads=2",
    "--set=optim.rule=adamw",
    "--set=optim.lr=5e-3",
    "--set=train.batch_size=16",
    "--set=train.epochs=6",
];

#[test]
fn a_language_model_of_characters_is_trained_and_its_surface_drawn() {
    let place = Place::new();
    fs::write(place.path("book.txt"), text(1500)).unwrap();
    place.ok(&[GPT, &["--out=run"]].concat());
    let found = place.json(&["evaluate", "run"]);
    // 1,500 words of 6.25 letters, a tenth for testing, in stretches of 17, which begin at every
    // place of the four words.
    let total = found["total"].as_u64().unwrap();
    assert!(total.is_multiple_of(17) && total > 800, "{found}");
    // Only the beginning of a stretch leaves open where in the text it is.
    assert!(found["accuracy"].as_f64().unwrap() > 0.7, "{found}");
    assert!(found["loss"].as_f64().unwrap() < 0.9, "{found}");
    place.ok(&["plane", "run"]);
    place.ok(&["surface", "run", "--grid=4x4", "--samples=40"]);
    let curve = place.json(&["curve", "run", "--points=3", "--samples=40"]);
    for point in curve["points"].as_array().unwrap() {
        let accuracy = point["accuracy"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&accuracy), "{curve}");
    }
    place.ok(&["render", "run", "--out=run.png"]);
    place.ok(&["render", "run", "--as=heatmap", "--quantity=accuracy", "--out=accuracy.png"]);
    place.ok(&["measure", "run", "--samples=20"]);
    place.refused(&["evaluate", "run", "--predictions=out.csv"], &["classes"]);
    // Curvature by differences of exact gradients: attention has no tangents here.
    let curvature = place.json(&["curvature", "run", "--samples=20"]);
    assert!(curvature["eigenvalues"][0].as_f64().unwrap() > 0.0, "{curvature}");

    // The same seed ends in the same loss, to the last digit.
    place.ok(&[GPT, &["--out=again"]].concat());
    let loss = |run: &str| place.json(&["evaluate", run])["loss"].as_f64().unwrap();
    assert_eq!(loss("run"), loss("again"));
}

#[test]
fn a_text_needs_a_network_for_texts_and_images_one_for_images() {
    let place = Place::new();
    fs::write(place.path("book.txt"), text(300)).unwrap();
    let args = [GPT, &["--set=model.arch=mlp", "--out=no"]].concat();
    place.refused(&args, &["positions", "gpt"]);
    place.refused(&[MLP, &["--set=model.arch=gpt", "--out=no"]].concat(), &["takes a text"]);
    fs::write(place.path("book.txt"), "short").unwrap();
    place.refused(&[GPT, &["--out=no"]].concat(), &["data.context"]);
    fs::remove_file(place.path("book.txt")).unwrap();
    place.refused(&[GPT, &["--out=no"]].concat(), &["book.txt"]);
}
