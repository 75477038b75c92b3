//! Data sets as they lie on disks: published ones under all their names, downloads, and data of the
//! user's own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};

use crate::Place;

/// Pictures of two classes that anybody can tell: dark ones and bright ones.
fn pictures(root: &Path, split: &str, each: u8) {
    for (class, tone) in [("dark", 20), ("bright", 200)] {
        let folder = root.join(split).join(class);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..each {
            let picture =
                RgbImage::from_pixel(12 + u32::from(i % 3), 10, Rgb([tone + i, tone, tone]));
            picture.save(folder.join(format!("{i}.png"))).unwrap();
        }
    }
}

/// A small training on data of one's own.
fn trained<'a>(set: &'a str, dir: &'a str, out: &'a str) -> Vec<&'a str> {
    let mut args = vec!["train", "--dataset", set, "--data-dir", dir, "--out", out];
    args.extend(["--set=model.arch=mlp", "--set=model.hidden=[4]", "--set=train.epochs=20"]);
    args.extend(["--set=train.batch_size=4", "--set=record.every=20 steps", "--set=optim.lr=0.05"]);
    args
}

#[test]
fn three_lines_train_on_a_folder_of_pictures_and_every_stage_goes_on() {
    let place = Place::new();
    pictures(&place.path("photos"), "", 10);
    let spec = "[data]\nset = \"folder\"\ndir = \"photos\"\nimage_size = 8\n";
    fs::write(place.path("own.toml"), spec).unwrap();
    let mut args = trained("folder", "photos", "run");
    args.insert(1, "own.toml");
    let ended = place.json(&args);
    assert_eq!(ended["test_accuracy"], 1.0);
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path("run/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["data_form"], serde_json::json!([[3, 8, 8], 2]));
    let shown = place.json(&[
        "datasets",
        "show",
        "folder",
        "--data-dir",
        "photos",
        "--set",
        "data.image_size=8",
    ]);
    assert_eq!(shown["digest"], manifest["data_digest"]);
    assert_eq!((&shown["train"], &shown["test"]), (&16.into(), &4.into()));
    assert_eq!(shown["balance"][0]["name"], "bright");
    assert_eq!(place.json(&["evaluate", "run"])["total"], 4);
    place.ok(&["plane", "run"]);
    place.ok(&["inspect", "run"]);
    // The weights alone, on the same pictures.
    let weights =
        fs::read_dir(place.path("run/snapshots")).unwrap().map(|entry| entry.unwrap().path());
    let last = weights.max().unwrap();
    let last = last.to_str().unwrap();
    let mut evaluate =
        vec!["evaluate", "--weights", last, "--arch", "mlp", "--model", "hidden=[4]"];
    evaluate.extend(["--dataset", "folder", "--data-dir", "photos", "--data", "image_size=8"]);
    evaluate.extend(["--split", "test"]);
    assert_eq!(place.json(&evaluate)["correct"], 4);
    place.refused(&evaluate[..11], &["several sizes", "data.image_size"]);
    // Another picture is another set.
    GrayImage::from_pixel(9, 9, Luma([9])).save(place.path("photos/dark/new.png")).unwrap();
    place.refused(&["evaluate", "run"], &["folder", "run"]);
}

#[test]
fn arrays_and_a_table_are_trained_on() {
    let place = Place::new();
    let mut table = String::from("width,height,kind\n");
    for i in 0..20 {
        let kind = if i % 2 == 0 { "oak" } else { "elm" };
        table += &format!("{:.2},{:.1},{kind}\n", f64::from(i % 2) + 0.01 * f64::from(i), 3.5);
    }
    fs::write(place.path("trees.csv"), &table).unwrap();
    assert_eq!(place.json(&trained("csv", "trees.csv", "a"))["test_accuracy"], 1.0);
    let shown = place.ok(&["datasets", "show", "csv", "--data-dir", "trees.csv"]);
    assert!(shown.contains("2 classes of 8 training and 2 test images each"), "{shown}");

    // numpy's format, version 1: one array a file.
    let npy = |name: &str, shape: &str, body: &[u8]| {
        let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
        header.push_str(&" ".repeat(63 - (header.len() + 10) % 64));
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(body);
        fs::create_dir_all(place.path("arrays")).unwrap();
        fs::write(place.path("arrays").join(format!("{name}.npy")), bytes).unwrap();
    };
    let pixels: Vec<u8> = (0..20).flat_map(|i| [if i % 2 == 0 { 9 } else { 240 }; 75]).collect();
    let labels: Vec<u8> = (0..20).map(|i| i % 2).collect();
    npy("x_train", "(20, 5, 5, 3)", &pixels);
    npy("y_train", "(20,)", &labels);
    npy("x_test", "(2, 5, 5, 3)", &pixels[..150]);
    npy("y_test", "(2, 1)", &labels[..2]);
    assert_eq!(place.json(&trained("npz", "arrays", "b"))["test_accuracy"], 1.0);
    place.refused(&trained("csv", "nowhere", "c"), &["nowhere", "--data-dir", ".csv"]);
    assert!(!place.path("c").exists());
}

#[test]
fn keys_of_another_set_and_sets_that_are_none_are_refused() {
    let place = Place::new();
    let digits = ["train", "--dataset", "digits", "--set", "data.image_size=32"];
    place.refused(&digits, &["data.image_size", "folder", "digits"]);
    let ended = place.run(&["datasets", "show", "kmnits"]);
    assert_eq!(ended.code, 2);
    for word in ["`kmnits`", "did you mean `kmnist`?", "svhn", "npz"] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    place.refused(&["datasets", "fetch", "folder"], &["datasets show", "--data-dir"]);
    place.refused(&["inspect", "--arch", "mlp", "--dataset", "csv"], &["--dataset", "csv"]);
}

#[test]
fn an_empty_folder_is_not_ready() {
    let place = Place::new();
    let row = || {
        let rows = place.json(&["datasets"]);
        let rows = rows.as_array().unwrap().clone();
        rows.into_iter().find(|row| row["name"] == "cifar100").unwrap()
    };
    assert_eq!(row()["ready"], false);
    fs::create_dir_all(place.path("datasets/cifar100")).unwrap();
    assert_eq!(row()["ready"], false);
    assert!(row()["note"].as_str().unwrap().contains("lacks files"), "{}", row());
    fs::write(place.path("datasets/cifar100/train.bin"), "").unwrap();
    assert_eq!(row()["ready"], false);
    fs::write(place.path("datasets/cifar100/test.bin"), "").unwrap();
    assert_eq!(row()["ready"], true);
}

#[test]
fn a_download_that_is_not_what_was_published_is_refused_and_not_kept() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let n = stream.read(&mut request).unwrap();
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..n]).into_owned()
    });
    let fetch = |mirror: &str| {
        let mut command = place.command(&["datasets", "fetch", "kmnist"]);
        crate::Ended::from(command.env("LOSSREEL_MIRROR", mirror).output().unwrap())
    };
    let ended = fetch(&mirror);
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    for word in ["bdb82020997e1d708af4cf47b453dcf7", "MD5", "thrown away", "datasets/kmnist"] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    assert!(server.join().unwrap().starts_with("GET /kmnist/train-images-idx3-ubyte.gz "));
    // Nobody listens there any longer. A folder that was made for nothing is gone again.
    assert!(!place.path("datasets/kmnist").exists());
    let ended = fetch(&mirror);
    assert!(!place.path("datasets/kmnist").exists());
    assert!(ended.stderr.contains("check the network"), "{}", ended.stderr);
}

#[test]
fn pictures_of_several_sizes_and_damaged_ones_are_named() {
    let place = Place::new();
    pictures(&place.path("photos"), "train", 3);
    pictures(&place.path("photos"), "test", 1);
    let show = ["datasets", "show", "folder", "--data-dir", "photos"];
    place.refused(&show, &["several sizes", "data.image_size"]);
    let sized =
        [&show[..], &["--set", "data.image_size=[6, 4]", "--set", "data.colors=grey"]].concat();
    let shown = place.json(&sized);
    assert_eq!((&shown["shape"], &shown["test"]), (&serde_json::json!([1, 6, 4]), &2.into()));
    fs::write(place.path("photos/train/dark/broken.jpg"), b"\xff\xd8\xff\xe0nothing").unwrap();
    place.refused(&sized, &["the picture cannot be read", "broken.jpg"]);
}
