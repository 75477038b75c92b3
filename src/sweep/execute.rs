//! The work that a sweep is: for each member the steps of the command, in order, several members at a
//! time. A step is skipped where it is done already; a step that fails ends its member's work and nobody
//! else's.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::file::Measure;
use super::folder::{StepRecord, Sweep, Trained, trained};
use super::members::Members;
use crate::disk;
use crate::disk::digest::sha256;
use crate::record::Run;
use crate::spec::changed_keys;
use crate::{Error, Result};

/// One command of a member's work.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it does: `train`, `curvature`, `width 0`, ...
    pub name: String,
    /// The arguments of the command.
    pub args: Vec<String>,
}

/// What is to be done for one member.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The member.
    pub member: String,
    /// Its steps that are not done, in order.
    pub steps: Vec<Step>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum StepEnd {
    /// Well.
    Done,
    /// With an error, in words.
    Failed(String),
    /// Cut short, to be gone on with.
    Interrupted,
}

/// The names of the steps that measure a member.
pub(super) fn measure_names(measure: &Measure) -> Vec<String> {
    measure_steps(measure, "", 0).into_iter().map(|step| step.name).collect()
}

/// The name under which a sweep keeps its surfaces and planes in a run: the directions are the same for
/// all members of one seed.
pub const MATCHED: &str = "matched";

/// The steps that measure the run in `run`, whose seed is the `seed`-th.
fn measure_steps(measure: &Measure, run: &str, seed: usize) -> Vec<Step> {
    let step = |name: String, args: &[&str]| Step {
        name,
        args: args.iter().map(|arg| arg.to_string()).collect(),
    };
    let mut steps = Vec::new();
    if let Some(curvature) = &measure.curvature {
        let samples = samples_flag(curvature.samples);
        let args = [&["curvature", run, "--snapshots", "1"][..], &flags(&samples)].concat();
        steps.push(step("curvature".into(), &args));
    }
    if let Some(width) = &measure.width {
        let samples = samples_flag(width.samples);
        for direction in 0..width.directions {
            // Other members of this seed look along the same draws.
            let draw = (1000 * seed + direction).to_string();
            let (range, points) = (symmetric(width.range), width.points.to_string());
            let name = width_name(direction);
            let args = ["curve", run, "--name", &name, "--seed", &draw, "--range", &range];
            let args = [&args[..], &["--points", &points], &flags(&samples)].concat();
            steps.push(step(format!("width {direction}"), &args));
        }
    }
    if let Some(surface) = &measure.surface {
        let samples = samples_flag(surface.samples);
        let draw = (1000 * seed).to_string();
        let plane = ["plane", run, "--directions", "random", "--seed", &draw, "--name", MATCHED];
        steps.push(step("plane".into(), &plane));
        let range = symmetric(surface.range);
        let range = format!("{range},{range}");
        let args = ["surface", run, "--plane", MATCHED, "--name", MATCHED, "--grid", &surface.grid];
        let args = [&args[..], &["--range", &range], &flags(&samples)].concat();
        steps.push(step("surface".into(), &args));
    }
    steps
}

/// The name of the curve along a direction of `[measure] width`.
pub fn width_name(direction: usize) -> String {
    format!("width-{direction}")
}

fn symmetric(range: f64) -> String {
    format!("{},{range}", -range)
}

fn samples_flag(samples: usize) -> Vec<String> {
    if samples == 0 { Vec::new() } else { vec!["--samples".into(), samples.to_string()] }
}

fn flags(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// What is left to do in a sweep. Writes the specs of the members that are to be trained.
///
/// # Errors
/// [`Error::Io`], [`Error::BadFile`] for a damaged log.
pub fn work_of(sweep: &Sweep, members: &Members) -> Result<Vec<Work>> {
    let done: BTreeSet<(String, String, String)> = (sweep.steps()?.into_iter())
        .filter(|step| step.error.is_none())
        .map(|step| (step.member, step.step, step.arguments))
        .collect();
    let mut work = Vec::new();
    for member in &members.members {
        let Ok(spec) = &member.spec else { continue };
        let run = sweep.run_dir(&member.name);
        let text = spec.to_toml();
        let spec_path = sweep.spec_path(&member.name);
        disk::write_bytes(&spec_path, text.as_bytes())?;
        let run_text = run.display().to_string();
        let mut steps = Vec::new();
        match training(&run, &spec_path, &text) {
            Ok(None) => {}
            Ok(Some(args)) => steps.push(Step { name: "train".into(), args }),
            Err(_) => {
                // What is wrong is said by the step itself, and recorded.
                let args = ["train", &spec_path.display().to_string(), "--out", &run_text];
                let args = args.map(str::to_string).to_vec();
                steps.push(Step { name: "train".into(), args });
            }
        }
        let diverged = matches!(trained(&run), Ok(Trained::Diverged));
        if !diverged {
            let measures = measure_steps(&sweep.about.measure, &run_text, member.seed).into_iter();
            steps.extend(measures.filter(|step| {
                !done.contains(&(member.name.clone(), step.name.clone(), arguments(step)))
            }));
        }
        if !steps.is_empty() {
            work.push(Work { member: member.name.clone(), steps });
        }
    }
    Ok(work)
}

/// The arguments that train a member, `None` where it is trained.
///
/// # Errors
/// [`Error::SpecChanged`] where the folder holds a run of another spec.
fn training(run: &Path, spec_path: &Path, text: &str) -> Result<Option<Vec<String>>> {
    let run_text = run.display().to_string();
    let state = trained(run)?;
    if state != Trained::No {
        let keys = changed_keys(&Run::open(run)?.manifest()?.spec, text);
        if !keys.is_empty() {
            return Err(Error::SpecChanged { keys, path: run.join("spec.toml") });
        }
    }
    Ok(match state {
        Trained::Yes | Trained::Diverged => None,
        Trained::Cut => Some(vec!["train".into(), "--resume".into(), run_text]),
        Trained::No => {
            Some(vec!["train".into(), spec_path.display().to_string(), "--out".into(), run_text])
        }
    })
}

/// What tells one step's arguments from another's.
fn arguments(step: &Step) -> String {
    sha256(step.args.join("\u{0}"))[..16].to_string()
}

/// Does `work`, `jobs` members at a time. `run_step` executes one step; `on_end` is told of each step
/// that ended. Every end is recorded before the next begins.
///
/// # Errors
/// [`Error::Interrupted`] when `interrupt` was set; [`Error::Io`] where the record cannot be written.
pub fn execute(
    sweep: &Sweep,
    work: &[Work],
    jobs: usize,
    interrupt: &AtomicBool,
    run_step: &(dyn Fn(&Work, &Step) -> StepEnd + Sync),
    on_end: &(dyn Fn(&Work, &Step, &StepEnd) + Sync),
) -> Result<()> {
    let log = Mutex::new(sweep.log()?);
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let record = |work: &Work, step: &Step, end: &StepEnd, seconds: f64| -> Result<()> {
        let error = match end {
            StepEnd::Done => None,
            StepEnd::Failed(error) => Some(error.clone()),
            StepEnd::Interrupted => return Ok(()),
        };
        let line = StepRecord {
            member: work.member.clone(),
            step: step.name.clone(),
            arguments: arguments(step),
            error,
            seconds,
        };
        let mut log = log.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        log.push(&line)?;
        log.sync()
    };
    let one = |work: &Work| -> Result<()> {
        for step in &work.steps {
            if interrupt.load(Ordering::Relaxed) {
                return Ok(());
            }
            let started = Instant::now();
            let end = run_step(work, step);
            record(work, step, &end, started.elapsed().as_secs_f64())?;
            on_end(work, step, &end);
            let diverged = step.name == "train"
                && matches!(trained(&sweep.run_dir(&work.member)), Ok(Trained::Diverged));
            if end != StepEnd::Done || diverged {
                return Ok(());
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, work.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let Some(work) = work.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    if let Err(error) = one(work) {
                        // Nothing can be recorded any more: the others stop as well.
                        interrupt.store(true, Ordering::Relaxed);
                        failure.lock().unwrap_or_else(|p| p.into_inner()).get_or_insert(error);
                        break;
                    }
                }
            });
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(|p| p.into_inner()) {
        return Err(error);
    }
    if interrupt.load(Ordering::Relaxed) {
        return Err(Error::Interrupted {
            remedy: "what is done is kept: the same command goes on from there".into(),
        });
    }
    Ok(())
}
