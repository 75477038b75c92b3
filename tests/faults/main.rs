//! Faults on purpose: the built command is killed at the calls that write, finds its files damaged,
//! replaced by pipes or its disk full, and meets itself in one folder. What must come of it: nothing
//! finished is lost, nothing half-done is left, the same command ends what was begun with the same
//! bytes, and no damaged file is taken for a sound one.
//!
//! Nets and data are tiny, and of all the places where a fault can strike a spread is tried;
//! `LOSSREEL_FAULTS=all` tries every one. Kills need strace, a full disk `unshare`; where they are
//! missing or forbidden those tests say that they were skipped.

#![cfg(target_os = "linux")]

mod damage;
mod full_disk;
mod kills;
mod pipes;
mod stages;
mod sweep;
mod tree;
mod two;

use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What no command here takes: a reader that waits for a pipe, a writer that waits for a lock.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Whether every place is tried, not a spread of them.
fn everywhere() -> bool {
    std::env::var("LOSSREEL_FAULTS").is_ok_and(|value| value == "all")
}

/// At most `count` of `items`, the first and the last among them; all of them where every place is
/// tried.
fn spread<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    if everywhere() || items.len() <= count {
        return items.to_vec();
    }
    let last = items.len() - 1;
    (0..count).map(|i| items[i * last / (count - 1)].clone()).collect()
}

/// A temporary folder in which commands run.
struct Place(tempfile::TempDir);

/// What a command ended with.
#[derive(Debug, Clone)]
struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Whether the command ended as it does of an error that it reports.
    fn refused(&self) -> bool {
        self.status.code() == Some(1) && self.stderr.contains("lossreel: ")
    }

    fn was_killed(&self) -> bool {
        // strace dies of the signal that its child died of, or says so with its code.
        self.status.signal() == Some(9) || self.status.code() == Some(128 + 9)
    }
}

impl Place {
    /// In memory where that is: folders are copied by the thousand.
    fn new() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    /// A place with a copy of what is in `folder`.
    fn copy_of(folder: &Path) -> Self {
        let place = Self::new();
        tree::copy(folder, place.root());
        place
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// `program` with arguments, to run here with as little of the environment as it needs.
    fn command_of(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.root()).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// The command with its arguments, on one thread.
    fn command(&self, args: &[&str]) -> Command {
        self.command_of(LOSSREEL, &[args, &["--threads=1"]].concat())
    }

    fn run(&self, args: &[&str]) -> Ended {
        ended(self.command(args))
    }

    /// Runs a command that must succeed.
    fn ok(&self, args: &[&str]) {
        let ended = self.run(args);
        assert!(ended.succeeded(), "{args:?}: {}: {}", ended.status, ended.stderr);
    }
}

const LOSSREEL: &str = env!("CARGO_BIN_EXE_lossreel");

/// Runs a command to its end, which must come in time.
fn ended(mut command: Command) -> Ended {
    // Into files: nobody has to read while it runs.
    let folder = tempfile::tempdir().unwrap();
    let [out, err] = ["out", "err"].map(|name| folder.path().join(name));
    command.stdin(Stdio::null());
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    // A group of its own: what it started ends with it.
    let mut child = command.process_group(0).spawn().unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > TIME_LIMIT {
            let group = format!("-{}", child.id());
            Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
            child.wait().unwrap();
            panic!("{command:?} did not end: {}", fs::read_to_string(&err).unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    Ended { status, stdout: text(&out), stderr: text(&err) }
}

/// Asserts that there were no `faults`, and lists them if there were.
fn assert_none(faults: &[String], tried: usize) {
    assert!(tried > 0, "nothing was tried");
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
}
