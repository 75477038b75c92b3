//! Snapshots to the ends of the Hessian's spectrum at each, resumably: a snapshot that is done is not
//! done again.

use std::sync::atomic::{AtomicBool, Ordering};

use super::opened::spread;
use super::{Progress, SampleChoice, Subject};
use crate::backend::Precision;
use crate::curvature::{Extremes, ExtremesConfig, extremes};
use crate::disk;
use crate::network::ParamLayout;
use crate::objective::{BatchNormPolicy, BufferedObjective, DatasetObjective, Objective};
use crate::record::{CurvatureOf, CurvatureRecord, EvaluatedOn, Run, RunSnapshots, SnapshotInfo};
use crate::rng::Streams;
use crate::{Error, Result};

/// At which snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// So many, spread evenly, the first and the last among them.
    Spread(usize),
    /// The one with this number.
    Only(usize),
}

/// What to compute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvatureRequest {
    /// At which snapshots.
    pub which: Which,
    /// The images.
    pub sample: SampleChoice,
    /// How many eigenvalues, how well, with how many products at most.
    pub config: ExtremesConfig,
    /// Whether results on another sample or to another tolerance are replaced.
    pub replace: bool,
}

/// The curvature of `subject`'s loss at its weights.
///
/// # Errors
/// Those of the objective; [`Error::Interrupted`].
pub fn of_subject(
    subject: &Subject,
    request: &CurvatureRequest,
    interrupt: &AtomicBool,
) -> Result<(Extremes, CurvatureOf)> {
    let objective = subject.objective(request.sample)?;
    let streams = Streams::new(request.sample.seed);
    let found = extremes(&objective, &subject.theta, request.config, &streams, interrupt)?;
    Ok((found, about(subject, &objective, request)))
}

/// Computes the curvatures of `run` that its folder lacks, the network evaluated with each snapshot's
/// own BatchNorm statistics, and returns all that were asked for. `progress` counts snapshots.
///
/// # Errors
/// [`Error::OtherCurvatures`] for results on another sample in the folder, [`Error::BadValue`] for a snapshot the
/// run lacks, [`Error::Interrupted`]; those of the disk and the backend.
pub fn compute(
    run: &Run,
    subject: &Subject,
    request: &CurvatureRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Vec<CurvatureRecord>> {
    let objective = subject.objective(request.sample)?;
    let of = about(subject, &objective, request);
    let layout = &subject.network().layout;
    of_objective((run, layout), (&objective, of), request, interrupt, progress)
}

/// [`compute`] for an objective that takes each snapshot's own buffers; `of` says what the curvatures
/// are of, and the request's sample is not read but for its seed.
pub(super) fn of_objective<O: BufferedObjective>(
    (run, layout): (&Run, &ParamLayout),
    (objective, of): (&O, CurvatureOf),
    request: &CurvatureRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Vec<CurvatureRecord>> {
    let wanted = snapshots(run, request.which)?;
    let is_done = |known: &[CurvatureRecord], s: &SnapshotInfo| {
        known.iter().any(|r| r.snapshot == s.index && r.step == s.step && r.of == of)
    };
    let mut known = run.curvature()?;
    // Where nothing is to be written the folder need not be one that can be.
    let all_done = wanted.iter().all(|s| is_done(&known, s));
    let _lock = (!all_done).then(|| run.lock()).transpose()?;
    if !all_done {
        disk::remove_temporaries(&run.curvature_dir())?;
        known = run.curvature()?;
    }
    // A snapshot of the same number but another step is one of an earlier run.
    let stale =
        |r: &CurvatureRecord| wanted.iter().any(|s| s.index == r.snapshot && s.step != r.step);
    known.retain(|r| !stale(r));
    if let Some(other) = known.iter().find(|r| r.of != of).filter(|_| !request.replace) {
        let found = difference(&other.of, &of);
        return Err(Error::OtherCurvatures { found, path: run.curvature_dir() });
    }
    if known.iter().any(|r| r.of != of) {
        run.remove_curvatures()?;
        known.clear();
    }
    let read = RunSnapshots::new(wanted.clone(), layout.clone());
    let streams = Streams::new(request.sample.seed);
    let mut records = Vec::with_capacity(wanted.len());
    for (i, snapshot) in wanted.iter().enumerate() {
        progress(i, wanted.len());
        if let Some(done) = known.iter().find(|r| r.snapshot == snapshot.index) {
            records.push(done.clone());
            continue;
        }
        let stopped = || Error::Interrupted {
            remedy: format!(
                "{i} of {} snapshots are kept: the same command goes on from there",
                wanted.len()
            ),
        };
        if interrupt.load(Ordering::Relaxed) {
            return Err(stopped());
        }
        let (theta, buffers) = read.state(i)?;
        let objective = objective.with_buffers(buffers)?;
        let found = extremes(&objective, &theta, request.config, &streams, interrupt);
        let found = found.map_err(|e| match e {
            Error::Interrupted { .. } => stopped(),
            other => other,
        })?;
        let record =
            CurvatureRecord::new(snapshot.index, snapshot.step, snapshot.epoch, &found, of.clone());
        run.write_curvature(&record)?;
        records.push(record);
    }
    progress(wanted.len(), wanted.len());
    Ok(records)
}

/// The snapshots that `which` means.
///
/// # Errors
/// [`Error::BadValue`] for one that the run lacks; those of listing them.
pub fn snapshots(run: &Run, which: Which) -> Result<Vec<SnapshotInfo>> {
    let all = run.snapshots()?;
    match which {
        Which::All => Ok(all),
        Which::Spread(1) => Ok(all.last().cloned().into_iter().collect()),
        Which::Spread(n) => Ok(spread(all.len(), n).into_iter().map(|i| all[i].clone()).collect()),
        Which::Only(n) => {
            let found = all.iter().find(|s| s.index == n).cloned();
            found.map(|s| vec![s]).ok_or_else(|| {
                let (last, all) = (all.last().map_or(0, |s| s.index), all.len());
                let problem = format!("not one of the run's {all} snapshots");
                Error::bad_value("snapshot", n, problem, format!("use 0 to {last}"))
            })
        }
    }
}

fn about(
    subject: &Subject,
    objective: &DatasetObjective,
    request: &CurvatureRequest,
) -> CurvatureOf {
    debug_assert_eq!(objective.dim(), subject.theta.len());
    let own = !subject.buffers.is_empty();
    let batch_norm = if own { BatchNormPolicy::Own } else { BatchNormPolicy::None };
    CurvatureOf {
        on: EvaluatedOn {
            // Hessian-vector products are in f32 whatever the losses are evaluated in.
            precision: Precision::F32,
            norm_stats: None,
            ..subject.evaluated_on(request.sample, objective, batch_norm)
        },
        largest: request.config.largest,
        tolerance: request.config.tolerance,
    }
}

/// The first thing in which `old` differs from what is asked for, for a message.
fn difference(old: &CurvatureOf, new: &CurvatureOf) -> String {
    let (on, wanted) = (&old.on, &new.on);
    if (on.split, on.samples) != (wanted.split, wanted.samples) {
        return format!(
            "on {} {} images and not {} {}",
            on.samples, on.split, wanted.samples, wanted.split
        );
    }
    if (on.sample_order, on.sample_seed) != (wanted.sample_order, wanted.sample_seed) {
        return "on another draw of images".into();
    }
    if (old.largest, old.tolerance) != (new.largest, new.tolerance) {
        return format!("{} eigenvalues to {:e}", old.largest, old.tolerance);
    }
    "on other data or by another engine".into()
}
