//! The command as ranks of an MPI job: the same bytes for any number of ranks, and after one of them was
//! killed. Needs `mpirun`; more ranks than cores are started on purpose.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const LOSSREEL: &str = env!("CARGO_BIN_EXE_lossreel");

/// A temporary folder with a small run and its plane.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A place with a run, and as many cells to be computed as take some seconds.
    fn with_run() -> Self {
        let place = Self::new();
        place.ok(&[
            "train",
            "--dataset=digits",
            "--set=model.arch=resnet8",
            "--set=model.width=0.5",
            "--set=data.train_samples=200",
            "--set=data.test_samples=50",
            "--set=train.batch_size=20",
            "--set=train.epochs=2",
            "--set=record.every=3 steps",
            "--out=run",
        ]);
        place.ok(&["plane", "run"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn clean(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        for name in ["PATH", "HOME"] {
            command.env(name, std::env::var_os(name).unwrap_or_default());
        }
        command
    }

    /// The command as so many ranks.
    fn ranks(&self, ranks: usize, args: &[&str]) -> Command {
        let mut command = self.clean("mpirun");
        // Ranks that are killed are not to leave their shared memory behind.
        command.args(["--oversubscribe", "--allow-run-as-root", "--bind-to", "none"]);
        command.args(["-n", &ranks.to_string(), LOSSREEL]).args(args);
        command
    }

    fn ok(&self, args: &[&str]) {
        let output = self.clean(LOSSREEL).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs the command as so many ranks, which must succeed: what it printed.
    fn mpi(&self, ranks: usize, args: &[&str]) -> String {
        let output = self.ranks(ranks, args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{ranks} ranks, {args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }
}

const SURFACE: [&str; 5] = ["surface", "run", "--grid=24x20", "--samples=100", "--json"];

fn surface(name: &str) -> Vec<&str> {
    [&SURFACE[..], &["--name", name, "--quiet"]].concat()
}

/// The processes of this machine whose command line has `words` in it, by number.
fn processes(words: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_it = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.starts_with(LOSSREEL) && line.contains(words)
    };
    let mut found: Vec<i32> = numbers.filter(is_it).collect();
    found.sort_unstable();
    found
}

/// The rank of an Open MPI process.
fn rank_of(pid: i32) -> Option<usize> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8_lossy(&environment).into_owned();
    text.split('\0').find_map(|var| var.strip_prefix("OMPI_COMM_WORLD_RANK="))?.parse().ok()
}

/// Waits until `file` has `lines` lines, with a limit.
fn wait_for_lines(file: &Path, lines: usize, child: &mut Child) {
    let started = Instant::now();
    loop {
        let there = fs::read(file).map_or(0, |text| text.iter().filter(|&&b| b == b'\n').count());
        if there >= lines {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "ended with {there} lines");
        assert!(started.elapsed() < Duration::from_secs(120), "{there} lines");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_surface_has_the_same_bytes_for_any_number_of_ranks() {
    let place = Place::with_run();
    place.ok(&surface("alone"));
    for ranks in [1, 2, 4] {
        let name = format!("ranks-{ranks}");
        let report: Value = serde_json::from_str(&place.mpi(ranks, &surface(&name))).unwrap();
        assert_eq!((&report["evaluated"], &report["nx"]), (&480.into(), &24.into()));
        for file in ["grid.json", "cells.jsonl", "paths.jsonl"] {
            let of = |name: &str| place.read(&format!("run/surfaces/{name}/{file}"));
            assert_eq!(of(&name), of("alone"), "{ranks} ranks: {file}");
        }
    }
    // A second call has nothing to do, and one that is refused ends all ranks.
    place.mpi(4, &surface("ranks-4"));
    let output = place.ranks(3, &[&surface("ranks-4")[..], &["--range=-1,1"]].concat()).output();
    let output = output.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.matches("lossreel: ").count(), 1, "{stderr}");
}

#[test]
fn a_killed_rank_takes_no_finished_cell_with_it_and_the_same_command_ends_the_surface() {
    let place = Place::with_run();
    place.ok(&surface("whole"));
    for killed in [2, 0] {
        let name = format!("cut-{killed}");
        let cells = place.path(&format!("run/surfaces/{name}/cells.jsonl"));
        let mut child = place
            .ranks(4, &surface(&name))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for_lines(&cells, 60, &mut child);
        let ranks = processes(&format!("--name {name} "));
        let victim = ranks.into_iter().find(|&pid| rank_of(pid) == Some(killed)).unwrap();
        let killed_it = Command::new("kill").args(["-KILL", &victim.to_string()]).status();
        assert!(killed_it.unwrap().success());
        let ended = child.wait_with_output().unwrap();
        assert!(!ended.status.success());
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        if killed != 0 {
            assert!(stderr.contains("the same command goes on from there"), "{stderr}");
        }
        let left = fs::read_to_string(&cells).unwrap();
        let done = left.lines().count();
        assert!((60..480).contains(&done), "{done} cells");
        // Every line that was written is a cell of the whole surface.
        let whole = String::from_utf8(place.read("run/surfaces/whole/cells.jsonl")).unwrap();
        let whole: std::collections::BTreeSet<&str> = whole.lines().collect();
        assert!(left.lines().take(done - 1).all(|line| whole.contains(line)));
        // Once by ranks, once by a process alone.
        if killed == 0 {
            place.ok(&surface(&name))
        } else {
            drop(place.mpi(4, &surface(&name)))
        }
        for file in ["grid.json", "cells.jsonl", "paths.jsonl"] {
            let of = |name: &str| place.read(&format!("run/surfaces/{name}/{file}"));
            assert_eq!(of(&name), of("whole"), "rank {killed} killed: {file}");
        }
    }
}

const SWEEP: &str = "seeds = 3\n\
[set]\nmodel.arch = \"mlp\"\ndata.set = \"digits\"\ndata.train_samples = 200\n\
data.test_samples = 100\ntrain.batch_size = 50\ntrain.epochs = 2\n\
[axes]\noptim.lr = [0.1, 0.01]\n\
[measure]\ncurvature = { samples = 50 }\n\
surface = { grid = \"5x4\", range = 1.0, samples = 50 }\n";

/// What a sweep leaves, without what changes from one execution to the next.
fn lasting(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !name.ends_with(".lock") && name != "members.jsonl" {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                let timed = ["elapsed_secs", "started_unix_secs", "hvp_seconds", "\"threads\""];
                let lines = text.split([',', '\n']);
                let lines = lines.filter(|part| !timed.iter().any(|key| part.contains(key)));
                found.insert(name, lines.collect::<Vec<_>>().join(","));
            }
        }
    }
    found
}

#[test]
fn members_of_a_sweep_are_trained_by_all_ranks_and_a_killed_job_goes_on() {
    let place = Place::new();
    fs::write(place.path("rates.toml"), SWEEP).unwrap();
    place.ok(&["sweep", "rates.toml", "--out=alone", "--quiet"]);
    for ranks in [1, 2, 4] {
        let out = format!("--out=ranks-{ranks}");
        let text = place.mpi(ranks, &["sweep", "rates.toml", &out, "--json-lines", "--quiet"]);
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let of = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
        assert_eq!((of("sweep_begin"), of("step_end"), of("epoch")), (1, 24, 12));
        let members = lines.last().unwrap()["members"].as_array().unwrap();
        assert!(members.iter().all(|member| member["status"] == "done"), "{members:#?}");
        assert_eq!(lasting(&place.path(&format!("ranks-{ranks}"))), lasting(&place.path("alone")));
    }

    let mut child = place
        .ranks(3, &["sweep", "rates.toml", "--out=cut", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_lines(&place.path("cut/members.jsonl"), 2, &mut child);
    let victim = processes("sweep rates.toml --out=cut").into_iter();
    let victim = victim.filter(|&pid| rank_of(pid) == Some(1)).min().unwrap();
    Command::new("kill").args(["-KILL", &victim.to_string()]).status().unwrap();
    assert!(!child.wait().unwrap().success());
    // A step that a killed rank had begun is a process of its own, and comes to its end.
    std::thread::sleep(Duration::from_secs(5));
    place.mpi(3, &["sweep", "rates.toml", "--out=cut", "--quiet"]);
    assert_eq!(lasting(&place.path("cut")), lasting(&place.path("alone")));
}

#[test]
fn what_is_wrong_on_one_rank_is_said_once_and_ends_the_job() {
    let place = Place::with_run();
    // Rank 1 starts in a folder without the run.
    fs::create_dir(place.path("elsewhere")).unwrap();
    let mut command = place.clean("mpirun");
    command.args(["--oversubscribe", "--allow-run-as-root", "--bind-to", "none"]);
    command.args(["-n", "1", LOSSREEL]).args(surface("x"));
    command.args([":", "-n", "1", "-wdir"]).arg(place.path("elsewhere"));
    command.arg(LOSSREEL).args(surface("x"));
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("lossreel: rank 1: there is no such run folder"), "{stderr}");
}
