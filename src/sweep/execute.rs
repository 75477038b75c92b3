//! The work that a sweep is: for each member the steps of the command, in order, several members at a
//! time. A step is skipped where it is done already; a step that fails ends its member's work and nobody
//! else's.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::film::steps_after;
use super::folder::{About, StepRecord, Sweep};
use super::members::Members;
use super::steps::Step;
use crate::disk::digest::sha256;
use crate::parallel::{Place, Taken, Team};
use crate::record::Trained;
use crate::{Error, Result};

/// What is to be done for one member.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The member.
    pub member: String,
    /// Its steps that are not done, in order.
    pub steps: Vec<Step>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// Well.
    Done,
    /// With an error, in words.
    Failed(String),
    /// Cut short, to be gone on with.
    Interrupted,
}

/// What is left to do in a sweep.
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
        if member.spec.is_err() {
            continue;
        }
        let run = sweep.run_dir(&member.name).display().to_string();
        let trained = sweep.trained(&member.name);
        let mut steps = Vec::new();
        if let Some(args) = training(&trained, &run, &sweep.spec_path(&member.name)) {
            steps.push(Step { name: "train".into(), args });
        }
        if !matches!(trained, Ok(Trained::Diverged)) {
            let About { measure, film, .. } = &sweep.about;
            let after = steps_after(measure, film.as_ref(), &run, member.seed).into_iter();
            steps.extend(after.filter(|step| {
                !done.contains(&(member.name.clone(), step.name.clone(), arguments(step)))
            }));
        }
        if !steps.is_empty() {
            work.push(Work { member: member.name.clone(), steps });
        }
    }
    Ok(work)
}

impl Sweep {
    /// `work` without the steps at its beginning that are done: from the first that is not, all are to be
    /// done again.
    ///
    /// # Errors
    /// As [`Sweep::steps`].
    pub fn not_done(&self, mut work: Work) -> Result<Work> {
        let done = self.steps()?;
        let is_done = |step: &Step| {
            done.iter().any(|d| {
                d.member == work.member
                    && d.step == step.name
                    && d.error.is_none()
                    && d.arguments == arguments(step)
            })
        };
        let first = work.steps.iter().position(|step| !is_done(step)).unwrap_or(work.steps.len());
        work.steps.drain(..first);
        Ok(work)
    }
}

/// The arguments that train a member, `None` where it is trained.
fn training(trained: &Result<Trained>, run: &str, spec: &Path) -> Option<Vec<String>> {
    let spec = spec.display().to_string();
    let args: &[&str] = match trained {
        Ok(Trained::Yes | Trained::Diverged) => return None,
        Ok(Trained::Cut) => &["train", "--resume", run],
        Ok(Trained::NotBegun) => &["train", &spec, "--out", run, "--force"],
        // What is wrong with a folder is said by the step itself, and recorded.
        Ok(Trained::No) | Err(_) => &["train", &spec, "--out", run],
    };
    Some(args.iter().map(|arg| arg.to_string()).collect())
}

/// What tells one step's arguments from another's.
fn arguments(step: &Step) -> String {
    sha256(step.args.join("\u{0}"))[..16].to_string()
}

/// Does `work`, `jobs` members at a time. `run_step` executes one step; `on_end` is told of each step
/// that ended. Every end is recorded before the member's next step begins.
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
    let run_step = |_: &Place<'_>, work: &Work, step: &Step| run_step(work, step);
    execute_among(&mut Team::alone(), sweep, work, jobs, interrupt, &run_step, on_end)
}

/// [`execute`] with the ranks of `team`: `jobs` members at a time in this process, and others where ranks
/// have free slots. `run_step` is told where it is to execute a step. A member whose rank leaves is
/// interrupted.
///
/// # Errors
/// As [`execute`]; [`Error::Rank`] for a rank that cannot do its part.
pub fn execute_among(
    team: &mut Team,
    sweep: &Sweep,
    work: &[Work],
    jobs: usize,
    interrupt: &AtomicBool,
    run_step: &(dyn Fn(&Place<'_>, &Work, &Step) -> StepEnd + Sync),
    on_end: &(dyn Fn(&Work, &Step, &StepEnd) + Sync),
) -> Result<()> {
    let cut = AtomicBool::new(false);
    let record = |work: &Work, step: &Step, end: &StepEnd, seconds: f64| -> Result<()> {
        let error = match end {
            StepEnd::Done => None,
            StepEnd::Failed(error) => Some(error.clone()),
            StepEnd::Interrupted => return Ok(()),
        };
        sweep.record(&StepRecord {
            member: work.member.clone(),
            step: step.name.clone(),
            arguments: arguments(step),
            error,
            seconds,
        })
    };
    let one = |place: &Place<'_>, work: &Work| -> Result<Taken> {
        for step in &work.steps {
            if interrupt.load(Ordering::Relaxed) {
                return Ok(Taken::Done);
            }
            let started = Instant::now();
            let end = run_step(place, work, step);
            // Where nothing can be recorded any more, the others stop as well.
            record(work, step, &end, started.elapsed().as_secs_f64())
                .inspect_err(|_| interrupt.store(true, Ordering::Relaxed))?;
            on_end(work, step, &end);
            if end == StepEnd::Interrupted {
                cut.store(true, Ordering::Relaxed);
                let is_here = matches!(place, Place::Here);
                return Ok(if is_here { Taken::Done } else { Taken::Lost });
            }
            let diverged = step.name == "train"
                && matches!(sweep.trained(&work.member), Ok(Trained::Diverged));
            if end != StepEnd::Done || diverged {
                return Ok(Taken::Done);
            }
        }
        Ok(Taken::Done)
    };
    team.hand_out(b"sweep", work, jobs, interrupt, &one)?;
    if interrupt.load(Ordering::Relaxed) || cut.load(Ordering::Relaxed) {
        return Err(Error::Interrupted {
            remedy: "what is done is kept: the same command goes on from there".into(),
        });
    }
    Ok(())
}
