//! A step of a sweep's member: this program again, as a process of its own.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lossreel::Result;
use lossreel::parallel::{Line, Slots, Worker};
use lossreel::sweep::{Step, StepEnd};
use serde::{Deserialize, Serialize};

/// Between two looks at how far a training is.
const LOOK: Duration = Duration::from_secs(3);

/// A step with the run folder that it works on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The run folder of the member.
    pub run: PathBuf,
    /// The step.
    pub step: Step,
}

/// The figures at the end of an epoch of a member's training. A number that is NaN or infinite is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Epochs done.
    pub epoch: u64,
    /// Loss on the training images.
    pub train_loss: Option<f64>,
    /// Loss on the test images.
    pub test_loss: Option<f64>,
    /// Share of right answers among the test images, 0..1.
    pub test_accuracy: Option<f64>,
}

impl Order {
    /// Executes the step; `on_epoch` is told of each epoch of a training that ended. A crash is its
    /// member's only. Setting `stop` has it saved and cut short.
    pub fn run(&self, threads: usize, stop: &AtomicBool, on_epoch: &dyn Fn(Epoch)) -> StepEnd {
        let failed =
            |what: &str, error: std::io::Error| StepEnd::Failed(format!("{what}: {error}"));
        let exe = match std::env::current_exe() {
            Ok(exe) => exe,
            Err(error) => return failed("cannot find this program", error),
        };
        let mut command = Command::new(exe);
        command.args(&self.step.args).args(["--quiet", "--threads", &threads.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        not_a_rank(&mut command);
        // Ctrl-C on the terminal reaches this process alone, which passes it on once.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let is_training = self.step.name == "train";
        let mut told = if is_training { epochs_after(&self.run, None) } else { Vec::new() }
            .last()
            .map_or(0, |epoch| epoch.epoch);
        let mut tell = || {
            for epoch in epochs_after(&self.run, Some(told)) {
                told = epoch.epoch;
                on_epoch(epoch);
            }
        };
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return failed("cannot start the step", error),
        };
        let stderr = child.stderr.take();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            // What is not UTF-8 or too long is no message of ours; the exit code says the rest.
            if let Some(stderr) = stderr {
                let _ = stderr.take(1 << 16).read_to_string(&mut text);
            }
            text
        });
        let (mut terminated, mut looked) = (false, Instant::now());
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(error) => return failed("cannot wait for the step", error),
            }
            if stop.load(Ordering::Relaxed) && !terminated {
                terminated = true;
                terminate(&mut child);
            }
            if is_training && looked.elapsed() > LOOK {
                looked = Instant::now();
                tell();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if is_training {
            tell();
        }
        let stderr = reader.join().unwrap_or_default();
        match status.code() {
            Some(0) => StepEnd::Done,
            Some(130) => StepEnd::Interrupted,
            code => {
                let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                let message = last.strip_prefix("lossreel: ").unwrap_or(last);
                let how =
                    code.map_or("by a signal".into(), |code| format!("with exit code {code}"));
                StepEnd::Failed(if message.is_empty() {
                    format!("ended {how}")
                } else {
                    message.into()
                })
            }
        }
    }

    /// Has another rank execute the step, which is interrupted where that rank leaves.
    pub fn run_there(&self, line: &Line, on_epoch: &dyn Fn(Epoch)) -> StepEnd {
        let order = serde_json::to_vec(self).expect("an order is plain data");
        let reply = line.call(&order, &mut |note| {
            if let Ok(epoch) = serde_json::from_slice(note) {
                on_epoch(epoch);
            }
        });
        match reply.map(|bytes| serde_json::from_slice(&bytes)) {
            Some(Ok(end)) => end,
            Some(Err(error)) => {
                StepEnd::Failed(format!("rank {} answered nonsense: {error}", line.rank()))
            }
            None => StepEnd::Interrupted,
        }
    }
}

/// Executes steps for rank 0, `jobs` at a time, until it has no more.
pub fn serve(worker: &mut Worker, jobs: usize, threads: usize, stop: &AtomicBool) -> Result<()> {
    while let Some(job) = worker.next_job(stop) {
        let one = |item: &[u8], note: &dyn Fn(Vec<u8>)| {
            let end = match serde_json::from_slice::<Order>(item) {
                Ok(order) => order.run(threads, stop, &|epoch| {
                    note(serde_json::to_vec(&epoch).expect("figures are plain data"));
                }),
                Err(error) => StepEnd::Failed(format!("not a step of this version: {error}")),
            };
            Ok(serde_json::to_vec(&end).expect("an end is plain data"))
        };
        worker.work(&job, Slots { threads: jobs, in_hand: jobs }, stop, &one)?;
    }
    Ok(())
}

/// Has `command` start as a process like any other where this one is a rank of an MPI job: what the
/// launcher told this process is not for its children.
fn not_a_rank(command: &mut Command) {
    const PREFIXES: [&str; 6] = ["OMPI_", "PMIX_", "PMI_", "ORTE_", "PRTE_", "HYDRA_"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}

/// Asks a step to stop at its next safe point.
fn terminate(child: &mut Child) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::signal::{Signal, kill};
        use nix::unistd::Pid;
        // It may have ended just now.
        let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = child.kill();
}

/// The epochs after `told` that a run logged.
fn epochs_after(run: &Path, told: Option<u64>) -> Vec<Epoch> {
    // A run that is just being made has no log yet.
    let metrics = lossreel::record::Run::open(run).and_then(|run| run.metrics());
    let Ok(metrics) = metrics else { return Vec::new() };
    let finite = |value: f64| Some(value).filter(|value| value.is_finite());
    let new = metrics.epochs.iter().filter(|epoch| told.is_none_or(|told| epoch.epoch > told));
    new.map(|epoch| Epoch {
        epoch: epoch.epoch,
        train_loss: finite(epoch.train_loss),
        test_loss: finite(epoch.test_loss),
        test_accuracy: finite(epoch.test_accuracy),
    })
    .collect()
}
