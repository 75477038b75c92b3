//! `lossreel sweep`

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use lossreel::report::{MemberValues, values_of};
use lossreel::sweep::{
    Member, MemberState, Members, Status, Step, StepEnd, Sweep, SweepFile, Work, execute, work_of,
};
use lossreel::{Error, Result, parallel};
use serde::Serialize;

use super::out::{Out, duration};
use super::{interrupt, progress};

/// Train many runs from one file: a base spec, axes with values, seeds; then measure each.
///
/// Members are ordinary run folders in OUT/runs. The same command again skips what is done and goes on
/// with what was cut; a member that fails or diverges is recorded and leaves the others as they are.
/// `lossreel report OUT` says what the runs show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A sweep (docs: "Sweeps and reports"), or a spec that every member changes.
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// Axes: train.batch_size=128,1024 optim.weight_decay=0,5e-4
    #[arg(value_name = "KEY=A,B,...")]
    axes: Vec<String>,
    /// Seeds of each combination; the file's number, or 1.
    #[arg(long, value_name = "N")]
    seeds: Option<usize>,
    /// Another size of the sweep that the file has: smoke, laptop, ...
    #[arg(long, value_name = "NAME")]
    scale: Option<String>,
    /// Change a key of the spec for all members: --set train.epochs=5
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The sweep's folder; outputs/NAME-OF-FILE by default (with -SCALE).
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Members that are worked on at a time; the threads are divided among them.
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// Print the members and what they would cost, and stop.
    #[arg(long)]
    dry_run: bool,
}

/// Does what is left to do, and says how every member is.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let (file, folder) = read(&args)?;
    let members = Members::of(&file)?;
    if args.dry_run {
        return dry_run(&file, &members, &folder, args.jobs, out);
    }
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (sweep, _lock) = Sweep::begin(&folder, &file, &members, &name)?;
    let work = work_of(&sweep, &members)?;
    work_through(&sweep, &work, args.jobs, out)?;
    print(&sweep, out)
}

/// Does `work`, `jobs` members at a time, and shows how far it is.
///
/// # Errors
/// Those of [`execute`].
pub fn work_through(sweep: &Sweep, work: &[Work], jobs: usize, out: &Out) -> Result<()> {
    let stop = interrupt::flag();
    let follow = Follow::new(out, sweep, work, jobs);
    let threads = (parallel::threads() / jobs.max(1)).max(1);
    let run_step = |work: &Work, step: &Step| {
        let bar = follow.begin(work, step);
        let end = run_step(sweep, work, step, threads, &stop, &bar);
        bar.finish_and_clear();
        end
    };
    let on_end = |work: &Work, step: &Step, end: &StepEnd| follow.end(work, step, end);
    let result = execute(sweep, work, jobs, &stop, &run_step, &on_end);
    follow.finish();
    result
}

/// The sweep that the arguments mean, and its folder.
fn read(args: &Args) -> Result<(SweepFile, PathBuf)> {
    let mut file = SweepFile::read(&args.file)?;
    if let Some(scale) = &args.scale {
        file = file.at_scale(scale)?;
    }
    for axis in &args.axes {
        file.add_axis(axis)?;
    }
    for change in &args.set {
        file.add_change(change)?;
    }
    file.seeds = args.seeds.unwrap_or(file.seeds);
    if file.seeds == 0 {
        return Err(Error::bad_value("--seeds", 0, "no seed", "use 1 or more"));
    }
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let scale = args.scale.as_ref().map_or(String::new(), |scale| format!("-{scale}"));
    let folder = args.out.clone();
    Ok((file, folder.unwrap_or_else(|| Path::new("outputs").join(format!("{stem}{scale}")))))
}

/// Runs one step as a process of its own: a crash is its member's only.
fn run_step(
    sweep: &Sweep,
    work: &Work,
    step: &Step,
    threads: usize,
    stop: &AtomicBool,
    bar: &ProgressBar,
) -> StepEnd {
    let failed = |what: &str, error: std::io::Error| StepEnd::Failed(format!("{what}: {error}"));
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => return failed("cannot find this program", error),
    };
    let mut command = Command::new(exe);
    command.args(&step.args).args(["--quiet", "--threads", &threads.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // Ctrl-C on the terminal reaches this process alone, which passes it on once.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
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
    let run = sweep.run_dir(&work.member);
    let (mut told, mut looked) = (false, Instant::now());
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(error) => return failed("cannot wait for the step", error),
        }
        if stop.load(Ordering::Relaxed) && !told {
            told = true;
            terminate(&mut child);
        }
        if step.name == "train" && looked.elapsed() > Duration::from_secs(3) {
            looked = Instant::now();
            if let Some(text) = how_far(&run) {
                bar.set_message(text);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let stderr = reader.join().unwrap_or_default();
    match status.code() {
        Some(0) => StepEnd::Done,
        Some(130) => StepEnd::Interrupted,
        code => {
            let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            let message = last.strip_prefix("lossreel: ").unwrap_or(last);
            let how = code.map_or("by a signal".into(), |code| format!("with exit code {code}"));
            StepEnd::Failed(if message.is_empty() {
                format!("ended {how}")
            } else {
                message.into()
            })
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

/// The last epoch that a run logged, in short.
fn how_far(run: &Path) -> Option<String> {
    let metrics = lossreel::record::Run::open(run).ok()?.metrics().ok()?;
    let epoch = metrics.epochs.last()?;
    Some(format!(
        "epoch {}, train loss {:.3}, test accuracy {:.1} %",
        epoch.epoch,
        epoch.train_loss,
        100.0 * epoch.test_accuracy
    ))
}

/// The bar of the whole, a line for each job, and how long it will still take.
struct Follow<'a> {
    out: &'a Out,
    bar: ProgressBar,
    jobs: usize,
    started: Instant,
    done: Mutex<Done>,
}

/// What is known of the steps that ended.
struct Done {
    /// Steps left, by name.
    left: BTreeMap<String, usize>,
    /// Seconds of those that ended, by name.
    seconds: BTreeMap<String, Vec<f64>>,
    running: BTreeMap<(String, String), Instant>,
}

impl<'a> Follow<'a> {
    fn new(out: &'a Out, sweep: &Sweep, work: &[Work], jobs: usize) -> Self {
        let mut left: BTreeMap<String, usize> = BTreeMap::new();
        let mut steps = 0;
        for step in work.iter().flat_map(|work| &work.steps) {
            *left.entry(step.name.clone()).or_default() += 1;
            steps += 1;
        }
        let bar = progress::bar(out, &sweep.about.title, "steps", steps);
        out.note(format_args!(
            "{}: {} members, {steps} steps to do, into {}",
            sweep.about.title,
            sweep.about.members.len(),
            sweep.root().display()
        ));
        let done = Mutex::new(Done { left, seconds: BTreeMap::new(), running: BTreeMap::new() });
        Self { out, bar, jobs, started: Instant::now(), done }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn begin(&self, work: &Work, step: &Step) -> ProgressBar {
        let key = (work.member.clone(), step.name.clone());
        self.lock().running.insert(key, Instant::now());
        let bar = progress::line_of(self.out, &format!("{} {}", work.member, step.name));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    fn end(&self, work: &Work, step: &Step, end: &StepEnd) {
        let mut done = self.lock();
        let began = done.running.remove(&(work.member.clone(), step.name.clone()));
        let seconds = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        if let Some(left) = done.left.get_mut(&step.name) {
            *left = left.saturating_sub(1);
        }
        done.seconds.entry(step.name.clone()).or_default().push(seconds);
        self.bar.inc(1);
        let how = match end {
            StepEnd::Done => format!("done in {}", duration(seconds)),
            StepEnd::Failed(error) => format!("failed: {error}"),
            StepEnd::Interrupted => "interrupted".into(),
        };
        let left = match self.left(&done) {
            Some(secs) if secs > 0.0 => format!("; about {} left", duration(secs)),
            _ => String::new(),
        };
        let text = format!("{} {}: {how}{left}", work.member, step.name);
        progress::line(&self.bar, self.out.quiet, &text);
    }

    /// Seconds that the steps left will take, by the mean of those of their name that ended.
    fn left(&self, done: &Done) -> Option<f64> {
        let mean = |seconds: &Vec<f64>| seconds.iter().sum::<f64>() / seconds.len() as f64;
        let all: Vec<f64> = done.seconds.values().flatten().copied().collect();
        let any = (!all.is_empty()).then(|| mean(&all))?;
        let each = |name: &String| done.seconds.get(name).map_or(any, mean);
        let whole: f64 = done.left.iter().map(|(name, n)| *n as f64 * each(name)).sum();
        Some(whole / self.jobs.max(1) as f64)
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
        if self.started.elapsed() > Duration::from_secs(1) {
            let secs = self.started.elapsed().as_secs_f64();
            self.out.note(format_args!("took {}", duration(secs)));
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    sweep: &'a Path,
    title: &'a str,
    members: Vec<MemberReport<'a>>,
}

#[derive(Serialize)]
struct MemberReport<'a> {
    run: &'a Path,
    values: BTreeMap<&'a str, &'a str>,
    seed: usize,
    status: Status,
    error: Option<&'a str>,
    #[serde(flatten)]
    measured: MemberValues,
}

fn print(sweep: &Sweep, out: &Out) -> Result<()> {
    let states = sweep.states()?;
    let axes = &sweep.about.axes;
    let measured: Vec<MemberValues> =
        states.iter().map(|state| values_of(sweep, state)).collect::<Result<_>>()?;
    let labels = |state: &MemberState| {
        let pairs = axes.iter().zip(&state.values).collect::<Vec<_>>();
        pairs
            .into_iter()
            .map(|(axis, &value)| (axis.name.clone(), axis.values[value].label.clone()))
            .collect::<Vec<_>>()
    };
    let all: Vec<Vec<(String, String)>> = states.iter().map(labels).collect();
    let members =
        states.iter().zip(&measured).zip(&all).map(|((state, measured), labels)| MemberReport {
            run: &state.run,
            values: labels.iter().map(|(a, v)| (a.as_str(), v.as_str())).collect(),
            seed: state.seed,
            status: state.status,
            error: state.error.as_deref(),
            measured: measured.clone(),
        });
    let report =
        Report { sweep: sweep.root(), title: &sweep.about.title, members: members.collect() };
    let width = states.iter().map(|state| state.name.len()).max().unwrap_or(0).max(6);
    out.result(&report, |w| {
        writeln!(
            w,
            "{:<width$}  {:<9} {:>10} {:>10} {:>14}",
            "member", "status", "train loss", "test loss", "test accuracy"
        )?;
        for (state, m) in states.iter().zip(&measured) {
            let number = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.4}"));
            let share = |v: Option<f64>| v.map_or("-".into(), |v| format!("{:.2} %", 100.0 * v));
            writeln!(
                w,
                "{:<width$}  {:<9} {:>10} {:>10} {:>14}",
                state.name,
                status_word(state.status),
                number(m.train_loss),
                number(m.test_loss),
                share(m.test_accuracy)
            )?;
            if let Some(error) = &state.error {
                writeln!(w, "{:<width$}  {error}", "")?;
            }
        }
        writeln!(w, "what it shows: lossreel report {} --out DIR", sweep.root().display())
    });
    match states.iter().filter(|state| state.status == Status::Failed).count() {
        0 => Ok(()),
        count => Err(Error::MembersFailed { count, of: states.len(), path: sweep.root().into() }),
    }
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::Done => "done",
        Status::Trained => "trained",
        Status::Diverged => "diverged",
        Status::Failed => "failed",
        Status::Pending => "pending",
    }
}

/// What `--dry-run` prints.
#[derive(Serialize)]
struct Plan<'a> {
    sweep: &'a Path,
    members: Vec<PlanRow<'a>>,
    /// Of all trainings, without what is measured afterwards.
    estimated_seconds: f64,
}

#[derive(Serialize)]
struct PlanRow<'a> {
    member: &'a str,
    estimated_seconds: Option<f64>,
    error: Option<String>,
}

/// Times one step of each combination's first seed, and adds up.
fn dry_run(
    file: &SweepFile,
    members: &Members,
    folder: &Path,
    jobs: usize,
    out: &Out,
) -> Result<()> {
    let scratch = tempfile::tempdir().map_err(Error::io("make a folder", std::env::temp_dir()))?;
    let bar = progress::bar(out, "timing a step of each", "members", members.members.len() as u64);
    let mut known: BTreeMap<Vec<usize>, std::result::Result<f64, String>> = BTreeMap::new();
    let mut rows = Vec::new();
    for member in &members.members {
        let estimate = match &member.spec {
            Err(error) => Err(error.clone()),
            Ok(_) => known
                .entry(member.values.clone())
                .or_insert_with(|| estimated_seconds(member, scratch.path()))
                .clone(),
        };
        bar.inc(1);
        let (estimated_seconds, error) = (estimate.as_ref().ok().copied(), estimate.err());
        rows.push(PlanRow { member: &member.name, estimated_seconds, error });
    }
    bar.finish_and_clear();
    let whole: f64 = rows.iter().filter_map(|row| row.estimated_seconds).sum();
    let plan = Plan { sweep: folder, members: rows, estimated_seconds: whole / jobs.max(1) as f64 };
    out.result(&plan, |w| {
        for row in &plan.members {
            let cost = match (&row.estimated_seconds, &row.error) {
                (Some(secs), _) => format!("about {}", duration(*secs)),
                (None, error) => error.clone().unwrap_or_default(),
            };
            writeln!(w, "{}: {cost}", row.member)?;
        }
        writeln!(w, "{} members of {} seeds into {}", plan.members.len(), file.seeds, folder.display())?;
        writeln!(w, "training would take about {} here (one step of each was timed; evaluation and [measure] come on top)", duration(plan.estimated_seconds))
    });
    Ok(())
}

/// The seconds that a member's training would take here; what is wrong with it where it cannot be trained.
pub fn estimate(member: &Member) -> std::result::Result<f64, String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    estimated_seconds(member, scratch.path())
}

/// Asks `train --dry-run`, in a process of its own.
fn estimated_seconds(member: &Member, scratch: &Path) -> std::result::Result<f64, String> {
    let spec = member.spec.as_ref().map_err(Clone::clone)?;
    let path = scratch.join("spec.toml");
    std::fs::write(&path, spec.to_toml()).map_err(|e| e.to_string())?;
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new(exe)
        .arg("train")
        .arg(&path)
        .args(["--dry-run", "--json", "--quiet"])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr);
    let said = text.lines().next_back().unwrap_or("the estimate failed").to_string();
    let plan: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|_| said.clone())?;
    plan["estimated_seconds"].as_f64().ok_or(said)
}
