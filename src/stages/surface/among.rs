//! A surface, and the losses on its path, by all ranks of a job: rank 0 reads and writes the folder and
//! hands out cells and snapshots, the others read the same run and compute.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::super::opened::{OpenRun, RunSet};
use super::super::{Progress, SampleChoice};
use super::{OverPlane, SurfaceRequest, grid_of, own_objective};
use crate::landscape::{
    Header, PathCoord, PathLoss, PathLosses, RunPath, SurfaceReport, SurfaceStore, evaluate_among,
    serve_cells, theta_at,
};
use crate::objective::{DatasetObjective, Objective};
use crate::parallel::{self, Job, Place, Slots, Taken, Team, Worker};
use crate::record::RunSnapshots;
use crate::{Error, Result};

/// What rank 0 tells the others of a job.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum About {
    /// The cells of this surface.
    Cells(Box<Header>),
    /// The snapshots of the run with this index.
    Path(usize),
}

impl About {
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("what a job is, is plain data")
    }
}

/// [`super::compute`] with the ranks of `team`.
///
/// # Errors
/// As [`super::compute`], and [`Error::Rank`] for a rank that cannot do its part.
pub fn compute(
    team: &mut Team,
    over: &OverPlane<'_>,
    folder: &Path,
    request: &SurfaceRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<(SurfaceStore, SurfaceReport)> {
    let objective = over.objective(request.sample)?;
    let header = over.header(grid_of(over.plane, request), request.sample, &objective);
    let about = About::Cells(Box::new(header.clone())).to_bytes();
    let mut store = SurfaceStore::begin(folder, header, request.replace)?;
    over.write_plane()?;
    let vectors = over.vectors();
    let report =
        evaluate_among(team, &about, &mut store, vectors, &objective, interrupt, progress)?;
    Ok((store, report))
}

/// [`super::path_losses`] with the ranks of `team`.
///
/// # Errors
/// As [`super::path_losses`], and [`Error::Rank`] for a rank that cannot do its part.
pub fn path_losses(
    team: &mut Team,
    set: &RunSet,
    over: &OverPlane<'_>,
    store: &SurfaceStore,
    sample: SampleChoice,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<PathLosses> {
    let (plane, frozen) = (over.plane, over.objective(sample)?);
    let mut losses = store.path_losses()?;
    let known =
        |path: &RunPath| path.path.iter().all(|p| losses.get(&path.run, p.snapshot).is_some());
    if plane.about.paths.iter().all(known) {
        return Ok(losses);
    }
    let _lock = store.take()?;
    losses = store.path_losses()?;
    let total: usize = plane.about.paths.iter().map(|run| run.path.len()).sum();
    progress(losses.done.len(), total);
    for index in 0..plane.about.paths.len() {
        let path = OnPath::new(set, over, &frozen, index)?;
        let missing: Vec<usize> = (0..path.points().len())
            .filter(|&i| losses.get(path.run, path.points()[i].snapshot).is_none())
            .collect();
        // Written in the path's order: what comes before its turn waits for it.
        let ready = Mutex::new((&mut losses, BTreeMap::new(), 0));
        let one = |place: &Place<'_>, &turn: &usize| {
            let i = missing[turn];
            let loss = match place {
                Place::Here => path.loss(over, &frozen, i)?,
                Place::There(line) => match line.call(&(i as u64).to_le_bytes(), &mut |_| ()) {
                    Some(bytes) => path.loss_of(i, &bytes, line.rank())?,
                    None => return Ok(Taken::Left),
                },
            };
            let mut ready = ready.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let (losses, waiting, next) = &mut *ready;
            waiting.insert(turn, loss);
            let mut in_turn = Vec::new();
            while let Some(loss) = waiting.remove(next) {
                in_turn.push(loss);
                *next += 1;
            }
            losses.append(in_turn)?;
            progress(losses.done.len(), total);
            Ok(Taken::Done)
        };
        let turns: Vec<usize> = (0..missing.len()).collect();
        let about = About::Path(index).to_bytes();
        team.hand_out(&about, &turns, parallel::threads(), interrupt, &one)?;
        let (_, _, done) = ready.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        if done < missing.len() {
            return Err(Error::Interrupted {
                remedy: "all cells are kept: the same command goes on from there".into(),
            });
        }
    }
    Ok(losses)
}

/// Computes what rank 0 hands out of the surface of `request`, until it has no more. `set` has the runs
/// on the plane's path, if there is one.
///
/// # Errors
/// Those of the data and the backend, which rank 0 is told of as well.
pub fn serve(
    worker: &mut Worker,
    set: Option<&RunSet>,
    over: &OverPlane<'_>,
    request: &SurfaceRequest,
    stop: &AtomicBool,
) -> Result<()> {
    let objective = over.objective(request.sample)?;
    let header = over.header(grid_of(over.plane, request), request.sample, &objective);
    while let Some(job) = worker.next_job(stop) {
        match (serde_json::from_slice(&job.about), set) {
            (Ok(About::Cells(wanted)), _) if *wanted == header => {
                serve_cells(worker, &job, &header.grid, over.vectors(), &objective, stop)?;
            }
            (Ok(About::Path(index)), Some(set)) if index < set.runs().len() => {
                let path = OnPath::new(set, over, &objective, index)?;
                path.serve(worker, &job, over, &objective, stop)?;
            }
            _ => {
                return Err(Error::Landscape {
                    what: "the run, its plane or the data are others here than where rank 0 is"
                        .into(),
                    remedy: "start all ranks with one version, and in one folder of a file system \
                             that all machines share"
                        .into(),
                });
            }
        }
    }
    Ok(())
}

/// The path of one run, ready to be evaluated.
struct OnPath<'a> {
    run: &'a str,
    path: &'a RunPath,
    /// The surface's sample seen by the run's own network.
    own: DatasetObjective,
    snapshots: RunSnapshots,
}

impl<'a> OnPath<'a> {
    fn new(
        set: &RunSet,
        over: &OverPlane<'a>,
        frozen: &DatasetObjective,
        index: usize,
    ) -> Result<Self> {
        let run: &OpenRun = &set.runs()[index];
        let path = over.plane.about.paths.get(index).ok_or(Error::NoPath { what: "the plane" })?;
        let own = own_objective(run, over.subject, frozen)?;
        Ok(Self { run: &path.run, path, own, snapshots: run.snapshots_of(&path.path)? })
    }

    fn points(&self) -> &'a [PathCoord] {
        &self.path.path
    }

    /// The losses at point `i` and at its projection.
    fn loss(&self, over: &OverPlane<'_>, frozen: &DatasetObjective, i: usize) -> Result<PathLoss> {
        let (point, [origin, x, y]) = (&self.points()[i], over.vectors());
        let (theta, buffers) = self.snapshots.state(i)?;
        let projected = theta_at(origin, x, y, [point.x, point.y]);
        Ok(PathLoss {
            run: self.run.to_string(),
            snapshot: point.snapshot,
            true_loss: self.own.with_buffers(buffers)?.loss(&theta)?.loss,
            plane_loss: frozen.loss(&projected)?.loss,
        })
    }

    /// The losses at point `i` that a rank sent back.
    fn loss_of(&self, i: usize, bytes: &[u8], rank: usize) -> Result<PathLoss> {
        let loss: Option<PathLoss> = serde_json::from_slice(bytes).ok();
        let is_it =
            |loss: &PathLoss| loss.run == self.run && loss.snapshot == self.points()[i].snapshot;
        loss.filter(is_it).ok_or_else(|| Error::Rank {
            rank,
            what: "its answer is another snapshot's; start all ranks with the same version".into(),
        })
    }

    fn serve(
        &self,
        worker: &mut Worker,
        job: &Job,
        over: &OverPlane<'_>,
        frozen: &DatasetObjective,
        stop: &AtomicBool,
    ) -> Result<()> {
        let slots = Slots { threads: parallel::threads(), in_hand: 0 };
        let one = |item: &[u8], _: &dyn Fn(Vec<u8>)| {
            let i = item.try_into().map_or(usize::MAX, |i| u64::from_le_bytes(i) as usize);
            if i >= self.points().len() {
                return Err(Error::StalePath { run: self.run.to_string() });
            }
            let loss = self.loss(over, frozen, i)?;
            Ok(serde_json::to_vec(&loss).expect("losses are plain data"))
        };
        worker.work(job, slots, stop, &one)
    }
}
