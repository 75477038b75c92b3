//! Instability analysis: from when on does the noise of SGD no longer change where a training ends?
//!
//! A run is forked after k epochs into children that go on from its whole state (weights, statistics,
//! optimizer, place in the schedule) with other orders of the data, other augmentation and other dropout. The
//! instability is the largest error on the straight line between the ends of two children, less the mean of the
//! errors of the ends; where it is below 2 % the run is called stable at k: its children end in one linearly
//! connected region (Frankle, Dziugaite, Roy and Carbin 2020, "Linear Mode Connectivity and the Lottery Ticket
//! Hypothesis", arXiv 1912.05671).
//!
//! ```text
//! NAME/
//!   instability.json        what was asked, and what is known of each fork
//!   instability.csv         the same as a table
//!   runs/parent/            the run; runs/epoch-2_child-1/ and so on: its children, all ordinary run folders
//!   lines/epoch-2_1-2_test/ the points of the line between two children, as a curve's
//! ```

mod barrier;
mod figure;
mod file;
mod training;

pub use figure::figure;
pub use file::{Analysis, Child, Fork, Pair, Rise, Rises, Settings};

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::record::Run;
use crate::spec::Spec;
use crate::train::Event;
use crate::{Error, Result};
use barrier::measure;
use training::Trainer;

/// The test error's instability below which a run is called stable, a share: the paper's 2 %.
pub const STABLE: f64 = 0.02;

/// Where a run is forked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForkPoint {
    /// After so many epochs, whole or not.
    pub epoch: f64,
    /// After so many steps: the nearest.
    pub step: u64,
}

/// What an analysis would train.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The forks, in order.
    pub forks: Vec<ForkPoint>,
    /// Trainings: the run and its children.
    pub runs: usize,
    /// Steps of all of them, where nothing is done yet.
    pub steps: u64,
}

/// Who is told how the work goes on.
pub struct Following<'a> {
    /// Of each event of a training, by the name of its run folder.
    pub training: &'a mut dyn FnMut(&str, &Event<'_>),
    /// Of the points of a line that are done and all of them, by the name of its folder; from any thread.
    pub line: &'a (dyn Fn(&str, usize, usize) + Sync),
}

/// What an analysis of `spec` with forks after the epochs `at` would train, with `steps_per_epoch` of its steps.
///
/// # Errors
/// [`Error::BadValue`] for epochs that the run does not have, and for a spec and settings that cannot be
/// analysed.
pub fn plan(spec: &Spec, steps_per_epoch: u64, at: &[f64], settings: &Settings) -> Result<Plan> {
    settings.check()?;
    check_spec(spec)?;
    let epochs = spec.train.epochs;
    if at.is_empty() {
        let problem = "but there is nothing to compare without a fork";
        return Err(Error::bad_value("--at", "empty", problem, "name epochs, as in --at 0,1,2,4"));
    }
    let mut forks: Vec<ForkPoint> = Vec::new();
    for &epoch in at {
        if !(0.0..=epochs as f64).contains(&epoch) {
            let problem = format!("not an epoch of a run with {epochs} of them");
            return Err(Error::bad_value("--at", epoch, problem, format!("use 0 to {epochs}")));
        }
        // -0 is 0, also in names.
        let epoch = epoch + 0.0;
        let step = (epoch * steps_per_epoch as f64).round() as u64;
        if forks.iter().all(|fork| fork.step != step) {
            forks.push(ForkPoint { epoch, step });
        }
    }
    forks.sort_by_key(|fork| fork.step);
    let total = steps_per_epoch.saturating_mul(epochs);
    let of_children: u64 = forks.iter().map(|fork| total.saturating_sub(fork.step)).sum();
    let steps = total.saturating_add(of_children.saturating_mul(settings.children as u64));
    Ok(Plan { runs: 1 + forks.len() * settings.children, forks, steps })
}

/// Refuses a spec whose runs could not be compared.
fn check_spec(spec: &Spec) -> Result<()> {
    let train = &spec.train;
    if train.early_stop > 0 {
        return Err(Error::bad_value(
            "train.early_stop",
            train.early_stop,
            "but children are compared after equally many steps",
            "use --set train.early_stop=0",
        ));
    }
    if let Some(epoch) = train.fork_epoch {
        return Err(Error::bad_value(
            "train.fork_epoch",
            epoch,
            "but the run that is forked may not be a fork itself",
            "leave train.fork_epoch and train.fork_seed out of the spec",
        ));
    }
    Ok(())
}

/// Analyses the instability of `spec` at forks after the epochs `at` in the folder `root`: trains what is not
/// trained, evaluates what is not evaluated, and keeps what is known of each fork. Forks that earlier calls
/// found with the same settings stay.
///
/// # Errors
/// Those of [`plan`], of training and evaluating; [`Error::FolderInUse`] for a folder of something else,
/// [`Error::BadValue`] for one with the analysis of another spec; [`Error::Interrupted`] when `interrupt` was
/// set: the same call goes on from there.
pub fn analyse(
    root: &Path,
    spec: &Spec,
    at: &[f64],
    settings: &Settings,
    interrupt: &AtomicBool,
    following: Following<'_>,
) -> Result<Analysis> {
    let steps_per_epoch = spec.setup(&spec.load_data()?)?.steps_per_epoch()?;
    let forks = plan(spec, steps_per_epoch, at, settings)?.forks;
    let (mut analysis, _lock) = Analysis::begin(root, spec, settings)?;
    let Following { training, line } = following;
    let missing: Vec<ForkPoint> =
        forks.into_iter().filter(|fork| analysis.fork(fork.step).is_none()).collect();
    let trainer = Trainer { root, spec, forks: &missing, settings, interrupt };
    if !missing.is_empty() {
        trainer.train_parent(training)?;
    }
    for &fork in &missing {
        for child in 1..=settings.children {
            trainer.train_child(fork, child, training)?;
        }
        let runs = (1..=settings.children)
            .map(|child| Run::open(trainer.child_dir(fork, child)))
            .collect::<Result<Vec<Run>>>()?;
        let data_dir = spec.data.dir.as_deref();
        let found = measure(root, fork, &runs, (settings, data_dir), interrupt, line)?;
        analysis.add(root, found)?;
    }
    analysis.write_table(root)?;
    Ok(analysis)
}
