//! The main job by hand, one stage after the other.

use std::fs;

use serde_json::json;

use crate::{Place, assert_keys};

/// Top-level boxes of an MP4: name and content.
fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let mut size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        let mut header = 8;
        if size == 1 {
            // A size of 64 bits follows the name.
            size = u64::from_be_bytes(bytes[8..16].try_into().unwrap()) as usize;
            header = 16;
        }
        assert!((header..=bytes.len()).contains(&size), "a box of {size} bytes in {}", bytes.len());
        found.push((String::from_utf8(bytes[4..8].to_vec()).unwrap(), &bytes[header..size]));
        bytes = &bytes[size..];
    }
    found
}

#[test]
fn train_plane_surface_render_and_curve_give_what_they_promise() {
    let place = Place::new();
    place.train("run", &[]);
    for file in ["spec.toml", "manifest.json", "metrics.jsonl", "checkpoint.safetensors"] {
        assert!(place.path("run").join(file).is_file(), "{file}");
    }
    assert_eq!(fs::read_dir(place.path("run/snapshots")).unwrap().count(), 3);

    let found = place.json(&["evaluate", "run", "--split", "test"]);
    assert_keys(&found, &["loss", "correct", "total", "accuracy"]);
    assert_eq!(found["total"], 100);
    assert_eq!(
        found["accuracy"].as_f64().unwrap(),
        found["correct"].as_f64().unwrap() / 100.0,
        "accuracy is a share, 0..1"
    );

    let plane = place.json(&["plane", "run"]);
    assert_keys(&plane, &["explained_variance", "off_plane_residual", "null_explained_variance"]);
    // Two epochs make three snapshots, and three points lie in a plane: f32 weights of size 10
    // leave some 1e-6 of the path's length.
    let shares = plane["explained_variance"].as_array().unwrap();
    let sum: f64 = shares.iter().map(|v| v.as_f64().unwrap()).sum();
    assert!(shares.len() == 2 && (sum - 1.0).abs() < 1e-6, "{shares:?}");
    let residuals = plane["off_plane_residual"].as_array().unwrap();
    assert!(residuals.len() == 3 && residuals.iter().all(|r| r.as_f64().unwrap() < 1e-3));
    assert_eq!(plane["path"][2], json!([0.0, 0.0]), "the end is the origin");

    let surface = place.json(&["surface", "run", "--grid", "7x5", "--samples", "60"]);
    assert_keys(&surface, &["interpolated", "loss_min", "loss_max", "seconds"]);
    for (key, value) in [("nx", 7), ("ny", 5), ("evaluated", 35), ("nan", 0), ("interpolated", 0)] {
        assert_eq!(surface[key], value, "{key}");
    }
    assert!(surface["loss_min"].as_f64() < surface["loss_max"].as_f64(), "{surface}");
    let cells = fs::read_to_string(place.path("run/surfaces/pca/cells.jsonl")).unwrap();
    assert_eq!(cells.lines().count(), 35);

    let size = ["--size", "320x180", "--frames", "6"];
    for (file, frames) in [("a.png", 1), ("a.svg", 1), ("a.gif", 6), ("a.mp4", 6)] {
        let report = place.json(&[&["render", "run", "--out", file], &size[..]].concat());
        assert_keys(&report, &["seconds", "fps"]);
        assert_eq!(report["frames"], frames, "{file}");
        assert_eq!((&report["width"], &report["height"]), (&320.into(), &180.into()), "{file}");
        let bytes = fs::metadata(place.path(file)).unwrap().len();
        assert_eq!(report["bytes"], bytes, "{file}");
    }
    let png =
        png::Decoder::new(std::io::BufReader::new(fs::File::open(place.path("a.png")).unwrap()));
    assert_eq!(png.read_info().unwrap().info().size(), (320, 180));
    assert!(fs::read_to_string(place.path("a.svg")).unwrap().starts_with("<"));

    // Beside a film, and one file a frame.
    let beside = ["--poster", "--contact-sheet=sheet.png"];
    let report =
        place.json(&[&["render", "run", "--out", "b.gif"], &size[..], &beside[..]].concat());
    assert_eq!(
        (&report["poster"], &report["contact_sheet"]),
        (&"b.png".into(), &"sheet.png".into())
    );
    assert!(place.path("b.png").exists() && place.path("sheet.png").exists());
    place.ok(&[&["render", "run", "--frames-dir", "frames"], &size[..]].concat());
    assert_eq!(fs::read_dir(place.path("frames")).unwrap().count(), 6);
    assert!(place.path("frames/00006.png").exists());

    // Frames for another encoder: nothing else on stdout, and a reader that goes is no error.
    let stream = [&["render", "run", "--out", "-", "--format", "raw"], &size[..]].concat();
    let ended = place.command(&stream).output().unwrap();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(0), 6 * 320 * 180 * 4));
    let mut child = place.command(&stream).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    place.refused(&["render", "run", "--out", "-"], &["--format y4m"]);
    place.refused(&["render", "run", "--out", "a.webp"], &["png, svg, pdf, gif, mp4, y4m, raw"]);
    place.refused(&["render", "run", "--out", "a.gif", "--max-size", "8 bananas"], &["8MB"]);
    place.refused(&["render", "run", "--out", "a.gif", "--colormap", "jet"], &["viridis"]);

    let mut gif = gif::DecodeOptions::new();
    gif.set_color_output(gif::ColorOutput::RGBA);
    let mut gif = gif.read_info(fs::File::open(place.path("a.gif")).unwrap()).unwrap();
    assert!(gif.global_palette().is_some());
    let mut frames = 0;
    while let Some(frame) = gif.read_next_frame().unwrap() {
        assert!(frame.palette.is_none(), "one palette for all frames");
        frames += 1;
    }
    assert_eq!(frames, 6);

    let mp4 = fs::read(place.path("a.mp4")).unwrap();
    let boxes = boxes(&mp4);
    let names: Vec<&str> = boxes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[0], "ftyp");
    let at = |name: &str| names.iter().position(|n| *n == name).unwrap();
    assert!(at("moov") < at("mdat"), "{names:?}: a browser wants the index first");

    let curve = place.json(&["curve", "run", "--points", "5", "--samples", "60"]);
    let points = curve["points"].as_array().unwrap();
    assert_eq!(points.len(), 5);
    for (point, x) in points.iter().zip([-1.0, -0.5, 0.0, 0.5, 1.0]) {
        assert_keys(point, &["loss", "accuracy", "loss_se"]);
        assert_eq!(point["x"], x);
    }
    let report =
        place.json(&["render", "run", "--as", "curve", "--out", "c.png", "--size", "640x360"]);
    assert_eq!(report["frames"], 1);

    assert_eq!(place.json(&["inspect", "run"])["status"]["verdict"], "finished");
}

#[test]
fn inspect_counts_what_the_paper_counts() {
    let place = Place::new();
    let found = place.json(&["inspect", "--arch", "resnet56"]);
    assert_keys(&found, &["layers"]);
    assert_eq!((&found["parameters"], &found["tensors"]), (&855_770.into(), &173.into()));
    let found = place.json(&["inspect", "--arch", "resnet56", "--shortcut", "none"]);
    assert_eq!((&found["parameters"], &found["tensors"]), (&853_018.into(), &167.into()));
}

#[test]
fn two_runs_are_filmed_side_by_side() {
    let place = Place::new();
    for (run, seed) in [("a", "--set=train.seed=1"), ("b", "--set=train.seed=2")] {
        place.train(run, &[seed]);
        place.ok(&["plane", run]);
        place.ok(&["surface", run, "--grid", "3x3", "--samples", "20"]);
    }
    let report = place.json(&["render", "a", "b", "--out", "ab.png", "--size", "800x450"]);
    assert_eq!(report["width"], 800);
    place.refused(
        &["render", "a", "b", "--panel-title", "one", "--out", "ab.png"],
        &["--panel-title", "give one for each run"],
    );
}

#[test]
fn a_random_plane_and_a_test_surface_stand_beside_the_others() {
    let place = Place::new();
    place.train("run", &[]);
    place.ok(&["plane", "run"]);
    place.ok(&["plane", "run", "--directions", "random", "--seed", "3"]);
    for plane in ["pca", "random"] {
        place.ok(&["surface", "run", "--plane", plane, "--grid", "3x3", "--samples", "20"]);
    }
    let test = ["surface", "run", "--grid", "3x3", "--samples", "20", "--split", "test"];
    place.ok(&test);
    for name in ["pca", "random", "pca-test"] {
        assert!(place.path("run/surfaces").join(name).join("cells.jsonl").is_file(), "{name}");
    }
    let small = ["--size", "480x270"];
    for more in [&["--plane", "random"][..], &["--surface", "pca-test"]] {
        place.ok(&[&["render", "run", "--out", "x.png"], more, &small[..]].concat());
    }
}

#[test]
fn a_snapshot_is_weights_like_any_others() {
    let place = Place::new();
    place.train("run", &[]);
    let snapshot = "run/snapshots/000002.safetensors";
    // The layout as `inspect` prints it, and the file as safetensors' own crate reads it.
    let found = place.json(&["inspect", snapshot]);
    let mut listed: Vec<(String, Vec<usize>)> = found["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| serde_json::from_value(json!([t["name"], t["shape"]])).unwrap())
        .collect();
    listed.sort();
    let bytes = fs::read(place.path(snapshot)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut read: Vec<(String, Vec<usize>)> =
        file.tensors().into_iter().map(|(name, t)| (name, t.shape().to_vec())).collect();
    read.sort();
    assert_eq!(listed, read);

    let network = lossreel::models::ModelSpec::of("mlp").build([1, 8, 8], 10).unwrap();
    let layout = &network.layout;
    let params = layout.params.iter().map(|p| (p.name.clone(), p.shape.clone()));
    let buffers = layout.buffers.iter().map(|b| (b.name.clone(), b.shape.clone()));
    let mut wanted: Vec<_> = params.chain(buffers).collect();
    wanted.sort();
    assert_eq!(read, wanted);

    // The same weights by way of the run and by way of the file, on the whole test split.
    let weights = ["evaluate", "--weights", snapshot, "--arch", "mlp", "--dataset", "digits"];
    let test = ["--split", "test", "--samples", "360", "--sample-order", "file"];
    let of_file = place.json(&[&weights[..], &test].concat());
    assert_eq!(of_file["total"], 360);
    place.ok(&["import", snapshot, "--out", "again.safetensors"]);
    let again =
        ["evaluate", "--weights", "again.safetensors", "--arch", "mlp", "--dataset", "digits"];
    let of_copy = place.json(&[&again[..], &test].concat());
    assert_eq!(of_file["loss"], of_copy["loss"]);
}
