//! Sweeps and reports: many runs from one file, what is left to do after a kill, members that fail, and
//! what is said of the rest.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::{Place, files};

/// A sweep of two rates and two seeds of a tiny net, measured in all ways.
const SWEEP: &str = "title = \"Rates & <widths>\"\nquestion = \"Which rate?\"\nseeds = 2\n\
[set]\nmodel.arch = \"mlp\"\ndata.set = \"digits\"\ndata.train_samples = 200\n\
data.test_samples = 100\ntrain.batch_size = 50\ntrain.epochs = 2\n\
[axes]\noptim.lr = [0.1, 0.01]\n\
[measure]\ncurvature = { samples = 50 }\n\
width = { directions = 2, range = 1.0, points = 11, samples = 50, rise = 0.5 }\n\
surface = { grid = \"5x4\", range = 1.0, samples = 50 }\n";

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("rates.toml"), SWEEP).unwrap();
    place
}

/// The tree without what changes from one execution to the next: seconds, and the order of the log.
pub fn lasting(place: &Place, folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, bytes) in files(&place.path(folder)) {
        if name == "members.jsonl" {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_text = name.ends_with(".json") || name.ends_with(".jsonl");
        let lines = text.split([',', '\n']).filter(|part| {
            let timed = ["elapsed_secs", "started_unix_secs", "hvp_seconds", "\"threads\""];
            !is_text || !timed.iter().any(|key| part.contains(key))
        });
        found.push((name, lines.collect::<Vec<_>>().join(",")));
    }
    found
}

#[test]
fn a_sweep_trains_measures_and_reports_and_a_second_one_has_nothing_to_do() {
    let place = place();
    let report = place.json(&["sweep", "rates.toml", "--out=s"]);
    let members = report["members"].as_array().unwrap();
    assert_eq!(members.len(), 4);
    for member in members {
        assert_eq!(member["status"], "done", "{member:#}");
        for key in ["test_accuracy", "test_loss", "sharpness", "basin_width", "seconds"] {
            assert!(member[key].as_f64().is_some_and(|v| v > 0.0), "{key}: {member:#}");
        }
    }
    // Paired: the same seed begins at the same weights.
    let first = |member: &str| {
        fs::read(place.path(&format!("s/runs/{member}/snapshots/000000.safetensors"))).unwrap()
    };
    let tensors = |bytes: &[u8]| bytes[bytes.len() - 4000..].to_vec();
    assert_eq!(tensors(&first("lr-0.1_seed-0")), tensors(&first("lr-0.01_seed-0")));
    assert_ne!(tensors(&first("lr-0.1_seed-0")), tensors(&first("lr-0.1_seed-1")));

    let before = files(&place.path("s"));
    place.ok(&["sweep", "rates.toml", "--out=s"]);
    assert_eq!(files(&place.path("s")), before, "nothing is done twice");

    let said = place.json(&["report", "s", "--out=r"]);
    let comparisons = said["comparisons"].as_array().unwrap();
    let of = |quantity: &str| comparisons.iter().find(|c| c["quantity"] == quantity).unwrap();
    let accuracy = of("test_accuracy");
    let value = |lr: &str, seed: u64| {
        let at = |m: &&Value| m["values"]["optim.lr"] == lr && m["seed"] == seed;
        100.0 * members.iter().find(at).unwrap()["test_accuracy"].as_f64().unwrap()
    };
    let mean =
        [0, 1].map(|seed| value("0.01", seed) - value("0.1", seed)).iter().sum::<f64>() / 2.0;
    assert!((accuracy["difference"].as_f64().unwrap() - mean).abs() < 1e-9, "{accuracy:#}");
    assert_eq!((&accuracy["seeds"], &accuracy["axis"]), (&2.into(), &"optim.lr".into()));
    assert!(accuracy["sentence"].as_str().unwrap().contains("2 seeds"), "{accuracy:#}");
    assert!(of("basin_width")["is_ratio"].as_bool().unwrap());
    for name in ["index.html", "report.md", "members.csv", "comparisons.csv", "report.json"] {
        assert!(place.path("r").join(name).is_file(), "{name}");
    }
    assert_eq!(fs::read_dir(place.path("r/specs")).unwrap().count(), 4);
    let page = fs::read_to_string(place.path("r/index.html")).unwrap();
    assert!(page.contains("Rates &amp; &lt;widths&gt;") && !page.contains("<widths>"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    assert_eq!(page.matches("aria-label=\"loss surface\"").count(), 4);
    let csv = fs::read_to_string(place.path("r/members.csv")).unwrap();
    assert_eq!(csv.lines().count(), 5, "{csv}");
    // A spec of the report trains its member again.
    place.ok(&["train", "r/specs/lr-0.1_seed-1.toml", "--out=again"]);
    let name = "snapshots/000002.safetensors";
    assert_eq!(
        fs::read(place.path("again").join(name)).unwrap(),
        fs::read(place.path("s/runs/lr-0.1_seed-1").join(name)).unwrap()
    );
}

#[test]
fn members_that_fail_or_diverge_are_recorded_and_leave_the_others() {
    let place = place();
    // An impossible rate, one that diverges, and a folder that is in the way.
    fs::create_dir_all(place.path("s/runs/lr-0.01_seed-0")).unwrap();
    fs::write(place.path("s/runs/lr-0.01_seed-0/mine.txt"), "words").unwrap();
    let args = ["sweep", "rates.toml", "optim.lr=0.1,0.01,-1,1e30", "--out=s", "--json"];
    let ended = place.run(&args);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("holds no sweep") || ended.stderr.contains("not empty"),
        "{}",
        ended.stderr
    );
    fs::rename(place.path("s/runs"), place.path("runs")).unwrap();
    fs::remove_dir_all(place.path("s")).unwrap();
    let dry = place.json(&["sweep", "rates.toml", "optim.lr=0.1,-1", "--out=s", "--dry-run"]);
    assert_eq!(dry["members"].as_array().unwrap().len(), 4);
    assert!(dry["estimated_seconds"].as_f64().unwrap() > 0.0 && !place.path("s").exists());

    place.run(&["sweep", "rates.toml", "optim.lr=0.1", "--out=s", "--seeds=1"]);
    fs::rename(place.path("runs/lr-0.01_seed-0"), place.path("s/runs/lr-0.01_seed-0")).unwrap();
    let ended = place.run(&args);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("3 of 8 members failed"), "{}", ended.stderr);
    let member = |name: &str| {
        let of = report["members"].as_array().unwrap().iter();
        of.clone().find(|m| m["run"].as_str().unwrap().ends_with(name)).unwrap().clone()
    };
    for (name, status, error) in [
        ("lr-0.1_seed-0", "done", ""),
        ("lr-0.1_seed-1", "done", ""),
        ("lr-0.01_seed-0", "failed", "not empty"),
        ("lr-0.01_seed-1", "done", ""),
        ("lr-minus1_seed-0", "failed", "lr"),
        ("lr-1e30_seed-0", "diverged", ""),
    ] {
        let member = member(&format!("/{name}"));
        assert_eq!(member["status"], status, "{member:#}");
        assert!(member["error"].as_str().unwrap_or_default().contains(error), "{member:#}");
    }
    assert_eq!(fs::read_to_string(place.path("s/runs/lr-0.01_seed-0/mine.txt")).unwrap(), "words");
    place.ok(&["report", "s"]);
    let md = fs::read_to_string(place.path("s/report/report.md")).unwrap();
    assert!(md.contains("diverged") && md.contains("failed"), "{md}");
}

#[test]
fn runs_of_another_spec_are_not_taken_for_the_sweeps() {
    let place = place();
    let changed = |from: &str, to: &str| {
        fs::write(place.path("rates.toml"), SWEEP.replace(from, to)).unwrap();
        let ended = place.run(&["sweep", "rates.toml", "--out=s", "--seeds=1", "--json"]);
        (ended.code, serde_json::from_str::<Value>(&ended.stdout).unwrap())
    };
    assert_eq!(changed("", "").0, 0);
    for (from, to, key) in [
        ("batch_size = 50", "batch_size = 25", "train.batch_size"),
        ("epochs = 2", "epochs = 4", "train.epochs"),
    ] {
        let (code, report) = changed(from, to);
        assert_eq!(code, 1, "{report:#}");
        // Beside the log of this sweep, whoever opens it later is told the same.
        for report in [report, place.json(&["report", "s"])] {
            for member in report["members"].as_array().unwrap() {
                assert_eq!(member["status"], "failed", "{member:#}");
                assert!(member["error"].as_str().unwrap().contains(key), "{member:#}");
                assert!(member["test_accuracy"].is_null(), "{member:#}");
            }
            assert!(report["comparisons"].as_array().is_none_or(|c| c.is_empty()), "{report:#}");
        }
    }
    // The spec that they were trained by finds them as they were.
    let (code, report) = changed("", "");
    assert_eq!((code, &report["members"][0]["status"]), (0, &"done".into()), "{report:#}");
}

#[test]
fn a_killed_sweep_goes_on_and_ends_as_one_that_was_not() {
    let place = place();
    place.ok(&["sweep", "rates.toml", "--out=whole"]);
    for after in [300, 900, 1800] {
        let mut child = place
            .command(&["sweep", "rates.toml", "--out=cut", "--quiet"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(after));
        child.kill().unwrap();
        child.wait().unwrap();
        // The step that was being worked on is a process of its own, and comes to its end.
        std::thread::sleep(Duration::from_millis(1500));
    }
    // On a slow machine the last of those may still be at work on its run, which is then refused.
    let again = ["sweep", "rates.toml", "--out=cut", "--jobs=2"];
    let ended = (0..20).any(|_| {
        let is_done = place.run(&again).code == 0;
        if !is_done {
            std::thread::sleep(Duration::from_millis(1500));
        }
        is_done
    });
    assert!(ended, "{}", place.run(&again).stderr);
    assert_eq!(lasting(&place, "cut"), lasting(&place, "whole"));
}

#[test]
fn films_and_answers_that_the_file_asks_for_are_kept_and_shown() {
    let place = place();
    let text = SWEEP.replace("[measure]\n", "[measure]\npredictions = true\n")
        + "[film]\ngrid = \"5x5\"\nsamples = 50\nsize = \"320x180\"\n";
    fs::write(place.path("rates.toml"), text).unwrap();
    place.ok(&["sweep", "rates.toml", "--out=s", "--jobs=2"]);
    for (member, has_film) in [("lr-0.1_seed-0", true), ("lr-0.1_seed-1", false)] {
        let run = place.path("s/runs").join(member);
        assert_eq!(run.join("figures/film.mp4").is_file(), has_film, "{member}");
        let answers = fs::read_to_string(run.join("measures/test_predictions.csv")).unwrap();
        assert_eq!(answers.lines().count(), 101);
        // The same images for every seed, and as many right ones as the log says.
        let labels = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split(',').nth(1).unwrap().to_string()).collect()
        };
        let other = place.path("s/runs/lr-0.01_seed-1/measures/test_predictions.csv");
        assert_eq!(labels(&answers), labels(&fs::read_to_string(other).unwrap()));
        let right = answers.lines().skip(1).filter(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            fields[1] == fields[2]
        });
        let said = place.json(&["evaluate", run.to_str().unwrap(), "--split=test"]);
        assert_eq!(said["correct"].as_u64(), Some(right.count() as u64));
    }
    let report = place.json(&["report", "s", "--out=r"]);
    for group in report["groups"].as_array().unwrap() {
        assert!(group["true_sd"].as_f64().is_some_and(|sd| (0.0..0.5).contains(&sd)), "{group:#}");
    }
    let page = fs::read_to_string(place.path("r/index.html")).unwrap();
    assert_eq!(page.matches("data:video/mp4;base64,").count(), 2);
    assert!(page.contains("spread beyond test set"));
    for name in ["members.parquet", "comparisons.parquet"] {
        let bytes = fs::read(place.path("r").join(name)).unwrap();
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{name}");
    }
}

#[test]
fn what_is_no_sweep_is_refused_by_name() {
    let place = place();
    place.refused(&["sweep", "rates.toml", "optim.lr"], &["optim.lr", "write it as"]);
    place.refused(&["sweep", "rates.toml", "optim.lrr=1,2"], &["optim.lrr"]);
    place.refused(&["sweep", "rates.toml", "--scale=huge"], &["scale", "huge"]);
    place.refused(&["sweep", "none.toml"], &["none.toml"]);
    place.refused(&["report", "."], &["no sweep"]);
    fs::write(place.path("mine.txt"), "words").unwrap();
    place.refused(&["sweep", "rates.toml", "--out=."], &["not empty"]);
}

#[test]
fn members_one_by_one_at_the_same_time_give_what_the_whole_gives() {
    let place = place();
    place.ok(&["sweep", "rates.toml", "--out=whole"]);
    let start = |only: &str| {
        let args = ["sweep", "rates.toml", "--out=shared", "--quiet", "--json", only];
        place.command(&args).stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    // Twice the first: one of them finds it taken, or done.
    let all = ["--only=0", "--only=1", "--only=2", "--only=lr-0.01_seed-1", "--only=lr-0.1_seed-0"];
    let ended: Vec<_> = all.map(start).map(|child| child.wait_with_output().unwrap()).into();
    let count = ended.iter().filter(|output| output.status.success()).count();
    assert!(count >= 4, "{ended:?}");
    let report: Value = serde_json::from_slice(&ended[3].stdout).unwrap();
    let members = report["members"].as_array().unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0]["status"], "done");

    let without_locks = |folder: &str| {
        let mut lasting = lasting(&place, folder);
        lasting.retain(|(name, _)| !name.ends_with(".lock"));
        lasting
    };
    assert_eq!(without_locks("shared"), without_locks("whole"));
    // Every step once, and no line of the log torn by another.
    let steps = |folder: &str| {
        let text = fs::read_to_string(place.path(folder).join("members.jsonl")).unwrap();
        let mut steps: Vec<String> = text
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                assert!(line["error"].is_null(), "{line}");
                format!("{} {}", line["member"], line["step"])
            })
            .collect();
        steps.sort();
        steps
    };
    assert_eq!(steps("shared"), steps("whole"));
    place.refused(&["sweep", "rates.toml", "--out=shared", "--only=4"], &["--only", "0 to 3"]);
    place.refused(&["sweep", "rates.toml", "--out=shared", "--only=lr-0.2"], &["no member"]);
}

#[test]
fn a_slurm_script_works_on_a_member_in_each_task() {
    let place = place();
    place.ok(&["sweep", "rates.toml", "--out=whole"]);
    let args = ["sweep", "rates.toml", "--out=it's here", "--slurm=jobs/rates.sbatch"];
    let report = place.json(&[&args[..], &["--sbatch=--time=00:10:00"]].concat());
    assert_eq!(report["tasks"], 4);
    assert!(!place.path("it's here").exists(), "nothing is trained");
    let script = place.path("jobs/rates.sbatch");
    let text = fs::read_to_string(&script).unwrap();
    assert!(text.starts_with("#!/bin/bash\n#SBATCH "), "{text}");
    for line in ["#SBATCH --array=0-3\n", "#SBATCH --time=00:10:00\n"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    if let Ok(checked) = std::process::Command::new("shellcheck").arg(&script).output() {
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }

    // Slurm's part: the script in each task, from another folder, all at once; the first is killed.
    let task = |index: usize| {
        let mut command = std::process::Command::new("bash");
        command.arg(&script).current_dir("/").env_clear();
        command.env("SLURM_ARRAY_TASK_ID", index.to_string()).env("SLURM_CPUS_PER_TASK", "1");
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let mut first = task(0);
    std::thread::sleep(Duration::from_millis(300));
    first.kill().unwrap();
    first.wait().unwrap();
    // What it had begun is a process of its own, and comes to its end.
    std::thread::sleep(Duration::from_millis(3000));
    for _ in 0..2 {
        for mut task in [0, 1, 2, 3].map(task) {
            assert!(task.wait().unwrap().success());
        }
    }
    let without_locks = |folder: &str| {
        let mut lasting = lasting(&place, folder);
        lasting.retain(|(name, _)| !name.ends_with(".lock"));
        lasting
    };
    assert_eq!(without_locks("it's here"), without_locks("whole"));
    place.refused(&["sweep", "rates.toml", "--slurm=x", "--sbatch=time"], &["--sbatch", "time"]);
}

#[test]
fn a_script_can_follow_a_sweep_line_by_line() {
    let place = place();
    let text = place.ok(&["sweep", "rates.toml", "--out=s", "--jobs=2", "--json-lines", "--quiet"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    let begin = of("sweep_begin");
    assert_eq!((begin.len(), &begin[0]["members"], &begin[0]["to_do"]), (1, &4.into(), &4.into()));
    let steps = begin[0]["steps"].as_u64().unwrap() as usize;
    let (begun, ended) = (of("step_begin"), of("step_end"));
    assert_eq!((begun.len(), ended.len()), (steps, steps));
    assert!(ended.iter().all(|end| end["how"] == "done" && end["error"].is_null()));
    assert_eq!(ended[steps - 1]["done"].as_u64(), Some(steps as u64));
    // Each epoch of each member, in order, between the begin and the end of its training.
    for seed in 0..2 {
        for lr in ["0.1", "0.01"] {
            let member = format!("lr-{lr}_seed-{seed}");
            let epochs: Vec<u64> = of("epoch")
                .iter()
                .filter(|line| line["member"] == member.as_str())
                .map(|line| line["epoch"].as_u64().unwrap())
                .collect();
            assert_eq!(epochs, [1, 2], "{member}");
            let at = |event: &str| {
                let is_it = |line: &&Value| {
                    line["event"] == event
                        && line["member"] == member.as_str()
                        && (event == "epoch" || line["step"] == "train")
                };
                lines.iter().position(|line| is_it(&line)).unwrap()
            };
            assert!(at("step_begin") < at("epoch") && at("epoch") < at("step_end"));
        }
    }
    assert!(of("epoch").iter().all(|line| line["train_loss"].as_f64().is_some_and(|v| v > 0.0)));
    // The last line is what `--json` prints of the same sweep.
    let last = lines.last().unwrap();
    assert!(last["event"].is_null());
    assert_eq!(*last, place.json(&["sweep", "rates.toml", "--out=s"]));
}

#[test]
fn ranks_of_mpi_are_refused_by_a_build_without_it() {
    if cfg!(feature = "mpi") {
        return;
    }
    let place = place();
    for (name, size) in [("OMPI_COMM_WORLD_SIZE", "4"), ("PMI_SIZE", "2")] {
        for args in [&["sweep", "rates.toml", "--out=s"][..], &["surface", "run"]] {
            let output = place.command(args).env(name, size).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            assert!(stderr.contains("--features mpi") && stderr.contains(size), "{stderr}");
        }
    }
    assert!(!place.path("s").exists());
    let one = place.command(&["sweep", "rates.toml", "--out=s", "--seeds=1", "optim.lr=0.1"]);
    let mut one = one;
    assert!(one.env("OMPI_COMM_WORLD_SIZE", "1").output().unwrap().status.success());
}
