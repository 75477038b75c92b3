//! `lossreel sweep`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use lossreel::parallel::{Place, Team};
use lossreel::report::{MemberValues, values_of};
use lossreel::sweep::{
    Member, MemberState, Members, Status, Step, StepEnd, Sweep, SweepFile, Work, execute_among,
    work_of,
};
use lossreel::{Error, Result, parallel};
use serde::Serialize;

use super::out::{Out, duration};
use super::ranks::{Ranks, stop_flag};
use super::sweep_follow::Follow;
use super::sweep_step::{self, Order};
use super::{progress, slurm};

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
    /// Print a JSON object a line while it works: what begins and ends, each epoch; last the report.
    #[arg(long)]
    json_lines: bool,
    /// Work on one member only, by its name or its index from 0. Processes that each work on a member
    /// of its own may share the sweep's folder.
    #[arg(long, value_name = "MEMBER|INDEX", conflicts_with_all = ["jobs", "dry_run"])]
    only: Option<String>,
    /// Write a Slurm script into this file (or folder) that works on each member as a task of a job
    /// array, and stop.
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["only", "dry_run", "json_lines", "jobs"])]
    slurm: Option<PathBuf>,
    /// With --slurm: an option of sbatch to write into the script: --sbatch=--time=04:00:00
    #[arg(long, value_name = "OPTION", requires = "slurm", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// Print the members and what they would cost, and stop.
    #[arg(long)]
    dry_run: bool,
}

/// Does what is left to do, and says how every member is.
pub fn run(args: Args, out: &Out, ranks: &mut Ranks) -> Result<()> {
    let threads = (parallel::threads() / args.jobs.max(1)).max(1);
    let team = match ranks {
        Ranks::Lead(team) => team,
        Ranks::Work(worker, stop) => {
            return sweep_step::serve(worker, args.jobs, threads, stop);
        }
    };
    let lines = Out { json: true, lines: true, ..out.clone() };
    let out = if args.json_lines { &lines } else { out };
    let (file, folder) = read(&args)?;
    let members = Members::of(&file)?;
    if args.dry_run {
        return dry_run(&file, &members, &folder, args.jobs, out);
    }
    if let Some(path) = &args.slurm {
        return slurm::write(path, &args.as_written(&folder)?, &members, &args.sbatch, out);
    }
    let stop = stop_flag(team);
    if let Some(wanted) = &args.only {
        return only(wanted, &file, &args.name(), members, &folder, (threads, &stop), out);
    }
    let (sweep, _lock) = Sweep::begin(&folder, &file, &members, &args.name())?;
    let work = work_of(&sweep, &members)?;
    work_on(&sweep, &work, team, (args.jobs, threads, &stop), out)?;
    print(&sweep, sweep.states()?, out)
}

/// Does what is left to do of one member, in a folder that other processes may share.
fn only(
    wanted: &str,
    file: &SweepFile,
    name: &str,
    mut members: Members,
    folder: &Path,
    (threads, stop): (usize, &AtomicBool),
    out: &Out,
) -> Result<()> {
    let by_index = wanted.parse().ok().and_then(|index: usize| members.members.get(index));
    let found = members.members.iter().find(|member| member.name == wanted).or(by_index);
    let Some(member) = found.map(|member| member.name.clone()) else {
        let last = members.members.len() - 1;
        let remedy = format!("use 0 to {last}, or a name such as {}", members.members[last].name);
        return Err(Error::bad_value("--only", wanted, "no member of the sweep", remedy));
    };
    let (sweep, _lock) = Sweep::join(folder, file, &members, name)?;
    let _member_lock = sweep.take(&member)?;
    members.members.retain(|of| of.name == member);
    let work = work_of(&sweep, &members)?;
    work_on(&sweep, &work, &mut Team::alone(), (1, threads, stop), out)?;
    let mut states = sweep.states()?;
    states.retain(|state| state.name == member);
    print(&sweep, states, out)
}

/// Does `work` in this process's own job, `jobs` members at a time, the threads divided among them.
///
/// # Errors
/// Those of [`execute_among`].
pub fn work_through(
    sweep: &Sweep,
    work: &[Work],
    jobs: usize,
    stop: &AtomicBool,
    out: &Out,
) -> Result<()> {
    let threads = (parallel::threads() / jobs.max(1)).max(1);
    work_on(sweep, work, &mut Team::alone(), (jobs, threads, stop), out)
}

/// Does `work`, `jobs` members at a time here, each step on so many threads, and others by the ranks of
/// `team`.
fn work_on(
    sweep: &Sweep,
    work: &[Work],
    team: &mut Team,
    (jobs, threads, stop): (usize, usize, &AtomicBool),
    out: &Out,
) -> Result<()> {
    let follow = Follow::new(out, sweep, work, jobs * team.ranks());
    let run_step = |place: &Place<'_>, work: &Work, step: &Step| {
        let bar = follow.begin(work, step);
        let order = Order { run: sweep.run_dir(&work.member), step: step.clone() };
        let on_epoch = |epoch| follow.epoch(work, epoch, &bar);
        let end = match place {
            Place::Here => order.run(threads, stop, &on_epoch),
            Place::There(line) => order.run_there(line, &on_epoch),
        };
        bar.finish_and_clear();
        end
    };
    let on_end = |work: &Work, step: &Step, end: &StepEnd| follow.end(work, step, end);
    let result = execute_among(team, sweep, work, jobs, stop, &run_step, &on_end);
    follow.finish();
    result
}

impl Args {
    /// The name of the sweep without a title.
    fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The arguments that mean this sweep in `folder`, wherever the command is started.
    fn as_written(&self, folder: &Path) -> Result<Vec<String>> {
        let absolute = |path: &Path| -> Result<String> {
            let path = std::path::absolute(path).map_err(Error::io("find the folder of", path))?;
            path.to_str().map(str::to_string).ok_or_else(|| {
                let problem = "not UTF-8, and a script is";
                Error::bad_value("--slurm", path.display(), problem, "rename the folder")
            })
        };
        let mut written = vec!["sweep".to_string(), absolute(&self.file)?];
        written.extend(self.axes.iter().cloned());
        written.extend(self.seeds.iter().map(|seeds| format!("--seeds={seeds}")));
        written.extend(self.scale.iter().map(|scale| format!("--scale={scale}")));
        written.extend(self.set.iter().map(|change| format!("--set={change}")));
        written.push(format!("--out={}", absolute(folder)?));
        Ok(written)
    }
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
    let stem = args.name();
    let scale = args.scale.as_ref().map_or(String::new(), |scale| format!("-{scale}"));
    let folder = args.out.clone();
    Ok((file, folder.unwrap_or_else(|| Path::new("outputs").join(format!("{stem}{scale}")))))
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

/// Says how the members of `states` are.
fn print(sweep: &Sweep, states: Vec<MemberState>, out: &Out) -> Result<()> {
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
            let known = |v: &f64| !v.is_nan();
            let share = |v: Option<f64>| {
                v.filter(known).map_or("-".into(), |v| format!("{:.2} %", 100.0 * v))
            };
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
