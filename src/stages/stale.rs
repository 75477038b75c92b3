//! What a run's artifacts know of it: a run that went on leaves its planes and curves behind.
//!
//! A plane of principal components costs little, so it is made again where one is needed. What cost an
//! evaluation of the network is never thrown away unasked: the error says what is behind, and by how
//! much.

use std::collections::HashMap;

use super::opened::{OpenRun, RunSet};
use super::plane::{Directions, Principal, compute, member};
use crate::landscape::{Plane, PlaneKind, Through};
use crate::trajectory::Centring;
use crate::{Error, Result};

/// How much of its runs a plane knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The run, by its name on the plane.
    pub run: String,
    /// Snapshots of it that the plane knows.
    pub known: usize,
    /// Snapshots that it has, in the part that the plane is of.
    pub now: usize,
}

/// The first run of `set` whose snapshots are not those that `plane` knows; `None` where all are.
///
/// # Errors
/// Those of listing the snapshots.
pub fn behind(set: &RunSet, plane: &Plane) -> Result<Option<Behind>> {
    for (run, path) in set.runs().iter().zip(&plane.about.paths) {
        let range = plane.about.range.unwrap_or_default();
        let snapshots = run.run().snapshots()?.into_iter().filter(|s| range.contains(s.index));
        let steps: HashMap<usize, u64> = snapshots.map(|s| (s.index, s.step)).collect();
        let seen = path.path.iter().filter(|p| steps.get(&p.snapshot) == Some(&p.step)).count();
        let left_out = path.excluded.iter().filter(|n| steps.contains_key(n)).count();
        let all = path.path.len() + path.excluded.len();
        if seen + left_out != all || all != steps.len() {
            return Ok(Some(Behind {
                run: path.run.clone(),
                known: seen + left_out,
                now: steps.len(),
            }));
        }
    }
    Ok(None)
}

/// Refuses a plane that does not know its runs as they are now.
///
/// # Errors
/// [`Error::PlaneBehind`]; those of listing the snapshots.
pub fn check(set: &RunSet, name: &str, plane: &Plane) -> Result<()> {
    behind(set, plane)?.map_or(Ok(()), |behind| Err(error(set, name, plane, behind)))
}

fn error(set: &RunSet, name: &str, plane: &Plane, behind: Behind) -> Error {
    Error::PlaneBehind {
        plane: name.into(),
        of: set.name().into(),
        run: behind.run,
        known: behind.known,
        now: behind.now,
        kind: plane.about.kind.as_str(),
    }
}

/// The plane `name` of `set` as its runs are now, and what the one on disk knew of them where it had to
/// be made again. It is not written: [`RunSet::write_plane`].
///
/// # Errors
/// Those of reading and making planes; [`Error::PlaneBehind`] for one whose directions did not come
/// from the path, which cannot be made again without being told how.
pub fn current(set: &RunSet, name: &str) -> Result<(Plane, Option<Behind>)> {
    let old = set.plane(name)?;
    let Some(behind) = behind(set, &old)? else {
        if !set.has_changed() {
            return Ok((old, None));
        }
        let (run, now) = (set.name().to_string(), old.coords().len());
        let plane = again(set, &old)?;
        return Ok((plane, Some(Behind { run, known: 0, now })));
    };
    match old.about.kind {
        PlaneKind::Pca | PlaneKind::PcaUncentred | PlaneKind::Joint | PlaneKind::Minima => {
            Ok((again(set, &old)?, Some(behind)))
        }
        _ => Err(error(set, name, &old, behind)),
    }
}

/// The plane that `old` would be of `set` as its runs are now, not written.
///
/// # Errors
/// Those of making a plane; [`Error::StalePath`] for a plane whose directions did not come from a
/// path.
fn again(set: &RunSet, old: &Plane) -> Result<Plane> {
    let range = old.about.range.unwrap_or_default();
    let principal =
        |centring| Directions::Pca(Principal { centring, weighting: old.about.weighting, range });
    let directions = match old.about.kind {
        PlaneKind::Pca | PlaneKind::Joint => principal(Centring::Centred),
        PlaneKind::PcaUncentred => principal(Centring::Uncentred),
        PlaneKind::Minima => Directions::Minima,
        _ => return Err(Error::StalePath { run: set.name().into() }),
    };
    let member = |run: &OpenRun| member(run.clone(), directions.range());
    let members = set.runs().iter().map(member).collect::<Result<Vec<_>>>()?;
    let mut plane = compute(&members, &directions, old.about.origin)?;
    for (index, path) in plane.about.paths.iter_mut().enumerate() {
        path.run = set.run_name(index);
    }
    Ok(plane)
}

/// Refuses a curve `name` through what was the last state of `run` before it went on.
///
/// # Errors
/// [`Error::CurveBehind`]; those of listing the snapshots.
pub fn check_curve(run: &OpenRun, name: &str, through: Option<Through>) -> Result<()> {
    let Some(through) = through.filter(|t| t.last) else { return Ok(()) };
    let snapshots = run.run().snapshots()?;
    let last = snapshots.iter().rfind(|s| !s.diverged).or(snapshots.last());
    match last {
        Some(last) if (last.index, last.step) != (through.snapshot, through.step) => {
            Err(Error::CurveBehind {
                curve: name.into(),
                run: run.name(),
                step: through.step,
                now: last.step,
            })
        }
        _ => Ok(()),
    }
}

/// Up to which step the curvature of `run` is computed, and the step of its last snapshot, where that is
/// a later one; `None` where nothing was computed.
///
/// # Errors
/// Those of reading the run.
pub fn curvature_behind(run: &OpenRun) -> Result<Option<(u64, u64)>> {
    let known = run.run().curvature()?.iter().map(|r| r.step).max();
    let now = run.run().snapshots()?.iter().map(|s| s.step).max();
    Ok(known.zip(now).filter(|(known, now)| known < now))
}
