//! Nothing of somebody's own is removed or overwritten: names stay inside their folder, `--force`
//! removes what the program wrote, outputs do not replace devices, inputs or each other.

use std::fs;

use crate::{MLP, Place, files, without_metadata};

/// Flags of a surface of the weights in `net.safetensors`.
const WEIGHTS: &[&str] =
    &["--weights=net.safetensors", "--arch=mlp", "--dataset=digits", "--samples=16"];

fn place_with_weights() -> Place {
    let place = Place::new();
    place.train("r", &[]);
    place.ok(&["plane", "r"]);
    fs::copy(place.path("r/snapshots/000001.safetensors"), place.path("net.safetensors")).unwrap();
    place
}

#[test]
fn force_removes_what_the_program_wrote_and_nothing_beside_it() {
    let place = place_with_weights();
    fs::create_dir(place.path("project")).unwrap();
    fs::write(place.path("project/chapter1.txt"), "words").unwrap();
    for command in [["surface", "--grid=3x3"], ["curve", "--points=3"]] {
        let args = [&command[..], WEIGHTS, &["--out=project"]].concat();
        place.refused(&args, &["not empty", "project"]);
        place.refused(&[&args[..], &["--force"]].concat(), &["not empty"]);
    }
    // In a folder that holds a surface already, other files stay.
    place.ok(&[&["surface", "--grid=3x3"], WEIGHTS, &["--out=s"]].concat());
    fs::write(place.path("s/notes.txt"), "mine").unwrap();
    let other = [&["surface", "--grid=4x4"], WEIGHTS, &["--out=s"]].concat();
    place.refused(&other, &["--force"]);
    place.ok(&[&other[..], &["--force"]].concat());
    assert_eq!(fs::read_to_string(place.path("s/notes.txt")).unwrap(), "mine");
    let cells = fs::read_to_string(place.path("s/cells.jsonl")).unwrap();
    assert_eq!(cells.lines().count(), 16);
    assert_eq!(fs::read_to_string(place.path("project/chapter1.txt")).unwrap(), "words");
}

#[test]
fn names_that_leave_their_folder_are_refused_and_touch_nothing() {
    let place = place_with_weights();
    place.ok(&["surface", "r", "--grid=3x3", "--samples=16"]);
    let before = files(&place.path("r"));
    for name in ["", ".", "..", "../snapshots/000001", "/absolute", "a/b", ".hidden"] {
        let name = format!("--name={name}");
        place.refused(&["plane", "r", &name], &["name of a plane", "letters"]);
        for force in [&[][..], &["--force"]] {
            let surface = ["surface", "r", "--grid=3x3", "--samples=16", &name];
            place.refused(&[&surface[..], force].concat(), &["name of a surface"]);
            let curve = ["curve", "r", "--points=3", "--samples=16", &name];
            place.refused(&[&curve[..], force].concat(), &["name of a curve"]);
        }
    }
    assert_eq!(files(&place.path("r")), before);
}

#[test]
fn a_refused_surface_of_weights_leaves_the_plane_that_was_there() {
    let place = place_with_weights();
    let surface = [&["surface", "--grid=3x3"], WEIGHTS, &["--out=s"]].concat();
    place.ok(&surface);
    let before = fs::read(place.path("s/plane.safetensors")).unwrap();
    let other = [&surface[..], &["--seed=5"]].concat();
    place.refused(&other, &["--force"]);
    assert_eq!(fs::read(place.path("s/plane.safetensors")).unwrap(), before);
    place.ok(&[&other[..], &["--force"]].concat());
    assert!(fs::read(place.path("s/plane.safetensors")).unwrap() != before);
}

#[test]
fn options_of_weights_do_not_go_with_a_run() {
    let place = place_with_weights();
    for option in ["--out=elsewhere", "--directions=random"] {
        let ended = place.run(&["surface", "r", "--grid=3x3", "--samples=16", option]);
        assert_eq!(ended.code, 2, "{option}: {}", ended.stderr);
    }
    assert!(!place.path("elsewhere").exists() && !place.path("r/surfaces").exists());
}

#[test]
fn an_output_never_replaces_its_input_or_another_output() {
    let place = place_with_weights();
    let before = fs::read(place.path("net.safetensors")).unwrap();
    place.refused(&["import", "net.safetensors", "--out=./net.safetensors"], &["one file"]);
    assert_eq!(fs::read(place.path("net.safetensors")).unwrap(), before);
    place.ok(&["surface", "r", "--grid=3x3", "--samples=16"]);
    let film = ["render", "r", "--out=film.png", "--size=320x200"];
    place.refused(&[&film[..], &["--poster=film.png"]].concat(), &["one file", "film.png"]);
    let both = ["--poster=x.png", "--contact-sheet=./x.png"];
    place.refused(&[&film[..], &both[..]].concat(), &["poster", "contact sheet"]);
    assert!(!place.path("film.png").exists() && !place.path("x.png").exists());
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_replaced_and_a_link_is_followed() {
    let place = place_with_weights();
    place.ok(&["surface", "r", "--grid=3x3", "--samples=16"]);
    let render = |out: &str| {
        let out = format!("--out={out}");
        place.run(&["render", "r", &out, "--format=gif", "--size=320x200", "--frames=2"])
    };
    let null = render("/dev/null");
    assert!(null.code == 1 && null.stderr.contains("a device"), "{}", null.stderr);
    fs::create_dir(place.path("dir.gif")).unwrap();
    assert_eq!(render("dir.gif").code, 1);
    fs::write(place.path("real.gif"), "old").unwrap();
    std::os::unix::fs::symlink("real.gif", place.path("link.gif")).unwrap();
    assert_eq!(render("link.gif").code, 0);
    assert!(fs::read(place.path("real.gif")).unwrap().starts_with(b"GIF89a"));
    let link = fs::symlink_metadata(place.path("link.gif")).unwrap();
    assert!(link.file_type().is_symlink());
}

#[test]
fn a_folder_with_nothing_but_a_killed_writers_temporary_is_empty() {
    let place = Place::new();
    fs::create_dir(place.path("r")).unwrap();
    fs::write(place.path("r/.spec.toml.0123456789abcdef.tmp"), "half").unwrap();
    fs::write(place.path("r/.lock"), "").unwrap();
    place.ok(&[MLP, &["--out=r"]].concat());
    assert!(!files(&place.path("r")).keys().any(|name| name.contains(".tmp")));
}

#[test]
fn a_run_goes_on_only_as_the_training_that_it_was() {
    let place = Place::new();
    place.train("r", &[]);
    let (spec, log) = (place.path("r/spec.toml"), place.path("r/metrics.jsonl"));
    let (old_spec, old_log) =
        (fs::read_to_string(&spec).unwrap(), fs::read_to_string(&log).unwrap());
    let longer = old_spec.replace("epochs = 2", "epochs = 3");
    for (key, before, after) in [
        ("train.seed", "seed = 0", "seed = 7"),
        ("train.batch_size", "batch_size = 50", "batch_size = 40"),
        ("optim.lr", "\nlr = ", "\nlr = 1"),
        ("data.train_samples", "train_samples = 200", "train_samples = 100"),
    ] {
        assert!(longer.contains(before), "{before}");
        fs::write(&spec, longer.replacen(before, after, 1)).unwrap();
        place.refused(&["train", "--resume", "r"], &[key, "changed since", "put the old values"]);
    }
    fs::write(&spec, &longer).unwrap();
    let lines: Vec<&str> = old_log.lines().collect();
    fs::write(&log, lines[..3].join("\n") + "\n").unwrap();
    place.refused(&["train", "--resume", "r", "-q"], &["the log ends at step 3", "step 8"]);
    fs::write(&log, &old_log).unwrap();
    place.ok(&["train", "--resume", "r"]);
    assert!(fs::read_to_string(&log).unwrap().starts_with(&old_log));
}

#[test]
fn of_two_writers_of_one_new_folder_one_is_refused_and_the_other_s_files_agree() {
    let place = place_with_weights();
    let both = |commands: [Vec<String>; 2]| {
        let start = |args: &Vec<String>| {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let mut command = place.command(&args);
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            command.spawn().unwrap()
        };
        let children = [start(&commands[0]), start(&commands[1])];
        children.map(|mut child| child.wait().unwrap().code())
    };
    for round in 0..6 {
        let run = format!("new{round}");
        let train = |seed: usize| {
            let own = [format!("--out={run}"), format!("--set=train.seed={seed}"), "-q".into()];
            MLP.iter().map(|s| s.to_string()).chain(own).collect()
        };
        let codes = both([train(1), train(2)]);
        assert!(codes == [Some(0), Some(1)] || codes == [Some(1), Some(0)], "{codes:?}");
        let winner = if codes[0] == Some(0) { 1 } else { 2 };
        let spec = fs::read_to_string(place.path(&format!("{run}/spec.toml"))).unwrap();
        assert!(spec.contains(&format!("seed = {winner}")), "{spec}");
        assert_eq!(place.json(&["inspect", &run])["seed"], winner);

        let name = format!("--name=s{round}");
        let surface = |grid: &str, samples: &str| {
            let args = ["surface", "r", grid, samples, &name, "-q"];
            args.map(str::to_string).to_vec()
        };
        let codes =
            both([surface("--grid=5x5", "--samples=16"), surface("--grid=4x4", "--samples=20")]);
        assert!(codes == [Some(0), Some(1)] || codes == [Some(1), Some(0)], "{codes:?}");
        let cells = if codes[0] == Some(0) { 25 } else { 16 };
        let log = fs::read_to_string(place.path(&format!("r/surfaces/s{round}/cells.jsonl")));
        assert_eq!(log.unwrap().lines().count(), cells);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
    let place = Place::new();
    let command = place.command(&[MLP, &["--out=r", "--set=train.epochs=400", "-q"]].concat());
    let mut quoted = format!("trap '' HUP; exec '{}'", env!("CARGO_BIN_EXE_lossreel"));
    for arg in command.get_args() {
        quoted += &format!(" '{}'", arg.to_string_lossy());
    }
    let mut child = std::process::Command::new("sh")
        .args(["-c", &quoted])
        .current_dir(place.path("."))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // When the first snapshot is there, the handler is.
    while !place.path("r/snapshots/000000.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let sent = std::process::Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    let ended = child.wait().unwrap();
    assert!(ended.success(), "{ended}");
}

#[test]
fn what_cannot_fit_is_refused_before_it_is_allocated() {
    let place = place_with_weights();
    let train = |set: &str, words: &[&str]| {
        let set = format!("--set={set}");
        place.refused(&[MLP, &["--out=big", &set]].concat(), words);
        assert!(!place.path("big").exists(), "{set}");
    };
    train("model.hidden=[100000,100000]", &["training this network", "GB of memory", "free"]);
    train("model.hidden=[9223372036854775807]", &["model.hidden", "wider"]);
    let synthetic = ["train", "--dataset=synthetic", "--set=data.train_samples=1000000000000"];
    place.refused(&synthetic, &["the data set", "GB of memory"]);
    place.ok(&["surface", "r", "--grid=3x3", "--samples=16"]);
    let surface = ["render", "r", "--as=surface", "--out=s.png", "--azimuth=nan"];
    place.refused(&surface, &["azimuth", "not an angle"]);
    // A header that was tampered with.
    let grid = place.path("r/surfaces/pca/grid.json");
    let text = fs::read_to_string(&grid).unwrap();
    let text = text.replacen("\"n\": 3", "\"n\": 18446744073709551615", 1);
    let unsealed = text[..text.find(",\n  \"sha256\"").unwrap()].to_string() + "\n}\n";
    fs::write(&grid, unsealed).unwrap();
    place.refused(&["render", "r", "--out=s.png"], &["the grid of a surface"]);
}

#[test]
fn weights_that_are_not_numbers_are_named() {
    let place = place_with_weights();
    let path = place.path("net.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, without_metadata(bytes)).unwrap();
    let evaluate = ["evaluate", "--weights=net.safetensors", "--arch=mlp", "--dataset=digits"];
    let ended = place.run(&evaluate);
    assert!(ended.stderr.contains("NaN or infinite"), "{}", ended.stderr);
    let ended = place.run(&["import", "net.safetensors", "--out=other.safetensors"]);
    assert!(ended.stderr.contains("holds NaN or infinite values (1)"), "{}", ended.stderr);
}
