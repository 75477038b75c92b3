//! `lossreel compare`

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use lossreel::report::compare::{ComparisonReport, write};
use lossreel::spec::Spec;
use lossreel::sweep::compare::tuning::{finals, results, trials};
use lossreel::sweep::compare::{Comparison, ComparisonFile, Tune, Workload};
use lossreel::sweep::{Members, Status, Sweep, SweepFile, Work, race_steps, work_of};
use lossreel::{Error, Result};
use serde::Serialize;

use super::interrupt;
use super::out::{Out, duration};
use super::sweep::{estimate, work_through};

/// Compare update rules on one problem or several: tune each with the same budget, run it over seeds, and
/// say what differs.
///
/// The same command again skips what is done and goes on with what was cut. Trials and final runs are
/// ordinary run folders in OUT/WORKLOAD; `lossreel report OUT` writes the report anew.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A comparison (docs: "Comparing optimizers"), or specs, each a problem to compare on.
    #[arg(required = true, value_name = "FILE.toml")]
    files: Vec<PathBuf>,
    /// Rules: sgd, momentum, nesterov, adam, ...; the others are compared with the first.
    #[arg(long, value_delimiter = ',', value_name = "A,B,...")]
    rules: Vec<String>,
    /// Tune every rule's hyper-parameters before the final runs.
    #[arg(long)]
    tune: bool,
    /// Tuning: draws of hyper-parameters for each rule; 8 by default.
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Tuning: independent repetitions; 1 by default.
    #[arg(long, value_name = "N")]
    studies: Option<usize>,
    /// Tuning: training images that trials are judged on; a tenth of them by default.
    #[arg(long, value_name = "N")]
    held_out: Option<usize>,
    /// Seeds of the final runs of each rule; the file's number, or 1.
    #[arg(long, value_name = "N")]
    seeds: Option<usize>,
    /// The test accuracy whose reaching is timed: 0.6; without it, what the first rule ends with.
    #[arg(long, value_name = "SHARE")]
    target: Option<f64>,
    /// Another size of the comparison that the file has: smoke, laptop, ...
    #[arg(long, value_name = "NAME")]
    scale: Option<String>,
    /// Change a key of the spec for all runs: --set train.epochs=5
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// No joint plane and film of the paths.
    #[arg(long)]
    no_film: bool,
    /// The comparison's folder; outputs/compare_NAME-OF-FILE by default (with -SCALE).
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs that are worked on at a time; the threads are divided among them.
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// Print what would be run and what it would cost, and stop.
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  lossreel compare experiments/race_digits.toml --rules sgd,momentum,adam --seeds 3
  lossreel compare SPEC.toml --rules nesterov,adamw,muon --tune --trials 16 --seeds 5 --target 0.9
  lossreel compare experiments/optimizers.toml --scale smoke";

/// Tunes, runs, films, reports.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let (file, folder, name) = read(&args)?;
    let workloads = file.workloads()?;
    let held_out: Vec<usize> = workloads
        .iter()
        .map(|workload| file.tune.as_ref().map_or(Ok(0), |tune| held_out(workload, tune)))
        .collect::<Result<_>>()?;
    if args.dry_run {
        return dry_run(&file, &workloads, &held_out, &folder, args.jobs, out);
    }
    let (comparison, _lock) = Comparison::begin(&folder, &file, &workloads, &held_out, &name)?;
    let stop = interrupt::flag();
    let mut failed = 0;
    for (workload, &held_out) in workloads.iter().zip(&held_out) {
        let tuned = match &file.tune {
            None => None,
            Some(tune) => {
                let members = trials(workload, tune, held_out)?;
                let title = format!("tuning on {}", workload.name);
                // Trials are judged by their ends alone: nothing is measured.
                let of = SweepFile { title: Some(title), ..SweepFile::default() };
                let root = comparison.tuning_dir(&workload.name);
                let sweep = train(&root, &of, &members, args.jobs, &stop, out)?;
                Some((results(&sweep, workload)?, tune.studies))
            }
        };
        let tuned = tuned.as_ref().map(|(trials, studies)| (trials.as_slice(), *studies));
        let members = finals(workload, tuned, file.seeds)?;
        let title = format!("final runs on {}", workload.name);
        let of = SweepFile { title: Some(title), ..SweepFile::from(&file) };
        let root = comparison.final_dir(&workload.name);
        let sweep = train(&root, &of, &members, args.jobs, &stop, out)?;
        failed += sweep.states()?.iter().filter(|s| s.status == Status::Failed).count();
        film(&comparison, workload, &sweep, &stop, out)?;
    }
    let report = write(&comparison, &folder.join("report"))?;
    print(&report, &folder, out);
    match failed {
        0 => Ok(()),
        count => {
            let of = workloads.iter().map(|w| w.contenders.len() * file.seeds).sum();
            Err(Error::MembersFailed { count, of, path: folder })
        }
    }
}

/// The comparison that the arguments mean, its folder and its name.
fn read(args: &Args) -> Result<(ComparisonFile, PathBuf, String)> {
    let [first, others @ ..] = args.files.as_slice() else { unreachable!("clap asks for one") };
    let mut file = ComparisonFile::read(first)?;
    for path in others {
        file.add_workload(path);
    }
    if let Some(scale) = &args.scale {
        file = file.at_scale(scale)?;
    }
    if !args.rules.is_empty() {
        file.rules = args.rules.iter().map(|rule| rule.trim().to_string()).collect();
        file.search.retain(|rule, _| file.rules.contains(rule));
    }
    for change in &args.set {
        file.add_change(change)?;
    }
    if args.tune || args.trials.is_some() || args.studies.is_some() || args.held_out.is_some() {
        let tune = file.tune.get_or_insert_default();
        tune.trials = args.trials.unwrap_or(tune.trials);
        tune.studies = args.studies.unwrap_or(tune.studies);
        tune.held_out = args.held_out.unwrap_or(tune.held_out);
    }
    file.seeds = args.seeds.unwrap_or(file.seeds);
    if file.seeds == 0 {
        return Err(Error::bad_value("--seeds", 0, "no seed", "use 1 or more"));
    }
    if args.target.is_some() {
        file.target = args.target;
        file.workload.iter_mut().for_each(|workload| workload.target = args.target);
    }
    if args.no_film {
        file.film = None;
    }
    let stem = first.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let scale = args.scale.as_ref().map_or(String::new(), |scale| format!("-{scale}"));
    let folder = args.out.clone();
    let folder =
        folder.unwrap_or_else(|| Path::new("outputs").join(format!("compare_{stem}{scale}")));
    Ok((file, folder, stem))
}

/// How many training images the trials of a workload are judged on.
fn held_out(workload: &Workload, tune: &Tune) -> Result<usize> {
    if tune.held_out > 0 {
        return Ok(tune.held_out);
    }
    let spec = Spec::parse("", &workload.set)?;
    let images = match spec.data.train_samples {
        0 => spec.data.load(spec.train.seed)?.train.len(),
        given => given,
    };
    Ok((images / 10).max(1))
}

/// Trains and measures the members of a sweep of the comparison.
fn train(
    root: &Path,
    file: &SweepFile,
    members: &Members,
    jobs: usize,
    stop: &AtomicBool,
    out: &Out,
) -> Result<Sweep> {
    let (sweep, _lock) = Sweep::begin(root, file, members, "")?;
    let work = work_of(&sweep, members)?;
    if !work.is_empty() {
        work_through(&sweep, &work, jobs, stop, out)?;
    }
    Ok(sweep)
}

/// The joint plane of the first seed's paths, and its pictures; again where the runs have changed.
fn film(
    comparison: &Comparison,
    workload: &Workload,
    sweep: &Sweep,
    stop: &AtomicBool,
    out: &Out,
) -> Result<()> {
    let Some(film) = &comparison.about.film else { return Ok(()) };
    let states = sweep.states()?;
    let ended = |s: &&lossreel::sweep::MemberState| {
        s.seed == 0 && matches!(s.status, Status::Done | Status::Trained)
    };
    let runs: Vec<(String, String)> = (states.iter().filter(ended))
        .map(|s| (workload.contenders[s.values[0]].name.clone(), s.run.display().to_string()))
        .collect();
    if runs.len() < 2 {
        out.note(format_args!("no film: fewer than two rules came to the end of their first run"));
        return Ok(());
    }
    let measured = lossreel::report::values_of;
    let first = states.iter().find(|s| s.seed == 0 && s.values[0] == 0);
    let target = match (workload.target, first) {
        (Some(target), _) => target,
        (None, Some(first)) => measured(sweep, first)?.test_accuracy.unwrap_or(0.5),
        (None, None) => 0.5,
    };
    let joint = comparison.joint_dir(&workload.name).display().to_string();
    let steps = race_steps(film, &joint, &runs, target);
    let work = Work { member: "joint".into(), steps };
    let work = sweep.not_done(work)?;
    if !work.steps.is_empty() {
        // One after the other, with all threads.
        work_through(sweep, &[work], 1, stop, out)?;
    }
    let failed = sweep.steps()?.into_iter().find(|s| s.member == "joint" && s.error.is_some());
    if let Some(step) = failed {
        let error = step.error.unwrap_or_default();
        out.note(format_args!(
            "the film of {} was not made: {}: {error}",
            workload.name, step.step
        ));
    }
    Ok(())
}

/// Prints the report in short.
fn print(report: &ComparisonReport, folder: &Path, out: &Out) {
    out.result(report, |w| {
        for line in report.lines() {
            writeln!(w, "{line}")?;
        }
        writeln!(w, "the page: {}", folder.join("report").join("index.html").display())
    });
}

/// What `--dry-run` prints.
#[derive(Serialize)]
struct Plan<'a> {
    comparison: &'a Path,
    workloads: Vec<PlanRow<'a>>,
    estimated_seconds: f64,
}

#[derive(Serialize)]
struct PlanRow<'a> {
    workload: &'a str,
    rule: &'a str,
    trials: usize,
    final_runs: usize,
    /// Of all of them, trained one after the other.
    estimated_seconds: Option<f64>,
    error: Option<String>,
}

/// Times a step of each rule, and adds up.
fn dry_run(
    file: &ComparisonFile,
    workloads: &[Workload],
    held_out: &[usize],
    folder: &Path,
    jobs: usize,
    out: &Out,
) -> Result<()> {
    let mut rows = Vec::new();
    for (workload, &held_out) in workloads.iter().zip(held_out) {
        let last = finals(workload, None, 1)?;
        let tuning = match &file.tune {
            None => None,
            Some(tune) => {
                let one = Tune { trials: 1, studies: 1, ..tune.clone() };
                Some((trials(workload, &one, held_out)?, tune.trials * tune.studies))
            }
        };
        for (rule, contender) in workload.contenders.iter().enumerate() {
            let of = |members: &Members| estimate(&members.members[rule]);
            let trials = tuning.as_ref().map_or(0, |(_, n)| *n);
            let cost = of(&last).and_then(|secs| {
                let each = tuning.as_ref().map_or(Ok(0.0), |(members, _)| of(members))?;
                Ok(secs * file.seeds as f64 + each * trials as f64)
            });
            rows.push(PlanRow {
                workload: &workload.name,
                rule: &contender.name,
                trials,
                final_runs: file.seeds,
                estimated_seconds: cost.as_ref().ok().copied(),
                error: cost.err(),
            });
        }
    }
    let whole: f64 = rows.iter().filter_map(|row| row.estimated_seconds).sum();
    let estimated_seconds = whole / jobs.max(1) as f64;
    let plan = Plan { comparison: folder, workloads: rows, estimated_seconds };
    out.result(&plan, |w| {
        for row in &plan.workloads {
            let cost = match (&row.estimated_seconds, &row.error) {
                (Some(secs), _) => format!("about {}", duration(*secs)),
                (None, error) => error.clone().unwrap_or_default(),
            };
            let (trials, runs) = (row.trials, row.final_runs);
            writeln!(w, "{} {}: {trials} trials, {runs} final runs, {cost}", row.workload, row.rule)?;
        }
        writeln!(
            w,
            "training would take about {} here (one step of each was timed; evaluation, [measure] and the \
             film come on top)",
            duration(plan.estimated_seconds)
        )
    });
    Ok(())
}
