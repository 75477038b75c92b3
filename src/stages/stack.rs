//! A run to a surface that changes: a stack of surfaces over one plane's coordinates.
//!
//! - `snapshots`: the slice goes with the run. Layer k is the plane through snapshot k, in the run's
//!   directions, with that snapshot's own BatchNorm statistics; its coordinates stay those of the
//!   run's plane, so the snapshot is where the path has it, and there the surface shows its true
//!   loss.
//! - `batches`: the loss of one mini-batch after the other, on the run's plane as it is.
//! - `dropout`: the loss with one draw of dropout masks after the other, likewise.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::surface::{SurfaceRequest, grid_of, header};
use super::{Progress, SampleChoice, Subject};
use crate::backend::Precision;
use crate::dataset::{batches, epoch_order};
use crate::landscape::{
    Header, Layer, PathCoord, PathLoss, Plane, Stack, StackAbout, StackKind, SurfaceReport,
    SurfaceStore, digest_of, evaluate, theta_at,
};
use crate::network::Op;
use crate::objective::{DatasetObjective, Objective};
use crate::record::{FORMAT_VERSION, Run, RunSnapshots};
use crate::rng::Streams;
use crate::spec::Spec;
use crate::{Error, Result};

/// Layers of a stack where nobody says how many.
pub const LAYERS: usize = 12;

/// Evaluates a stack of `layers` surfaces of `run` over `plane` into `folder`, going on where an
/// earlier call was interrupted. The images are those of `request`, but for `batches`, whose are
/// the mini-batches of the run's first steps, not augmented.
///
/// # Errors
/// [`Error::BadValue`] for more layers than there are snapshots or steps; [`Error::Landscape`] for
/// masks of a network without dropout, a plane of another network, or something else in the folder;
/// those of [`evaluate`].
#[allow(clippy::too_many_arguments)] // what is evaluated, where, and two ears
pub fn compute(
    run: &Run,
    subject: &Subject,
    plane: &Plane,
    folder: &Path,
    (kind, layers): (StackKind, Option<usize>),
    request: &SurfaceRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<(Stack, SurfaceReport)> {
    if plane.about.layout_digest != subject.network().layout.digest() {
        return Err(Error::Landscape {
            what: "the plane belongs to another network".into(),
            remedy: "make it again: lossreel plane RUN".into(),
        });
    }
    if kind == StackKind::Dropout && subject.backend.precision() != Precision::F32 {
        return Err(Error::Landscape {
            what: "dropout masks act in train mode, which is in f32 only".into(),
            remedy: "leave --precision out".into(),
        });
    }
    let work = Work { run, subject, plane, request, spec: Spec::parse(&run.spec_toml()?, &[])? };
    let about = StackAbout {
        format_version: FORMAT_VERSION,
        kind,
        made: work.words(kind),
        plane_digest: plane.digest(),
        layers: work.layers(kind, layers)?,
    };
    let count = about.layers.len();
    let stack = Stack::begin(folder, about, request.replace)?;
    let mut stores = Vec::new();
    let mut seconds = 0.0;
    for index in 0..count {
        let cells = request.size[0] * request.size[1];
        let hear = |done: usize, _: usize| progress(index * cells + done, count * cells);
        let folder = stack.layer_dir(index);
        let (store, took) = work.layer(&stack, &folder, index, interrupt, &hear)?;
        stores.push(store);
        seconds += took;
    }
    Ok((stack, report(&stores, seconds)))
}

/// What all layers share.
struct Work<'a> {
    run: &'a Run,
    subject: &'a Subject,
    plane: &'a Plane,
    request: &'a SurfaceRequest,
    spec: Spec,
}

impl Work<'_> {
    fn words(&self, kind: StackKind) -> String {
        match kind {
            StackKind::Snapshots => {
                "slices through the snapshots in the plane's directions, each with its snapshot's \
                 own BatchNorm statistics"
            }
            StackKind::Batches => {
                "the mini-batches of the run's first steps, not augmented, each on the plane as it \
                 is; BatchNorm frozen at its origin's statistics"
            }
            StackKind::Dropout => {
                "one draw of dropout masks after the other, fixed over each surface; train mode"
            }
        }
        .into()
    }

    fn layers(&self, kind: StackKind, wanted: Option<usize>) -> Result<Vec<Layer>> {
        let path = &self.plane.about.path;
        let last = path.last().ok_or_else(|| Error::Landscape {
            what: "the plane has no path on it".into(),
            remedy: "make a plane of the run: lossreel plane RUN".into(),
        })?;
        let (most, of) = match kind {
            StackKind::Snapshots => (path.len(), "finite snapshots"),
            StackKind::Batches => (self.steps()?, "steps"),
            StackKind::Dropout => (1000, "masks at most"),
        };
        let n = wanted.unwrap_or(LAYERS.min(most));
        if n == 0 || n > most {
            let problem = format!("but there are {most} {of}");
            return Err(Error::bad_value("--layers", n, problem, format!("use 1 to {most}")));
        }
        let steps_per_epoch = self.steps_per_epoch() as f64;
        let layer = |k: usize| match kind {
            StackKind::Snapshots => {
                let p = &path[spread(k, n, path.len())];
                let label = format!("snapshot {}", p.snapshot);
                Layer { snapshot: p.snapshot, step: p.step, epoch: p.epoch, label }
            }
            StackKind::Batches => Layer {
                snapshot: last.snapshot,
                step: k as u64,
                epoch: k as f64 / steps_per_epoch,
                label: format!("mini-batch {}", k + 1),
            },
            StackKind::Dropout => Layer {
                snapshot: last.snapshot,
                step: last.step,
                epoch: last.epoch,
                label: format!("mask {}", k + 1),
            },
        };
        Ok((0..n).map(layer).collect())
    }

    fn steps_per_epoch(&self) -> usize {
        let train = &self.spec.train;
        let order: Vec<usize> = (0..self.subject.data.train.len()).collect();
        batches(&order, train.batch_size, train.last_batch).map_or(1, |b| b.len())
    }

    fn steps(&self) -> Result<usize> {
        Ok(self.steps_per_epoch() * self.spec.train.epochs as usize)
    }

    /// Evaluates layer `index` and the ball on it.
    fn layer(
        &self,
        stack: &Stack,
        folder: &Path,
        index: usize,
        interrupt: &AtomicBool,
        progress: Progress<'_>,
    ) -> Result<(SurfaceStore, f64)> {
        let about = &stack.about;
        let ball = self.ball(about.layers[index].snapshot)?;
        let (plane, sample) = (self.plane, self.request.sample);
        let grid = match self.request.range {
            Some(_) => grid_of(plane, self.request),
            None => grid_of(plane, self.request).squarer(),
        };
        let frozen = || self.subject.objective(sample)?.with_buffers(plane.buffers.clone());
        match about.kind {
            StackKind::Snapshots => {
                let snapshots = RunSnapshots::new(
                    self.run
                        .snapshots()?
                        .into_iter()
                        .filter(|s| s.index == ball.snapshot)
                        .collect(),
                    self.subject.network().layout.clone(),
                );
                let (theta, buffers) = snapshots.state(0)?;
                // Where the slice through theta has the plane's coordinates (0, 0).
                let origin = theta_at(&theta, &plane.x, &plane.y, [-ball.x, -ball.y]);
                let objective = self.subject.objective(sample)?.with_buffers(buffers.clone())?;
                let header = Header {
                    plane_digest: digest_of(&[&origin, &buffers, &plane.x, &plane.y]),
                    plane: format!(
                        "{}, moved through snapshot {}",
                        plane.about.made, ball.snapshot
                    ),
                    batch_norm: format!("frozen at snapshot {}", ball.snapshot),
                    ..header(self.subject, plane, grid, sample, &objective)
                };
                let true_loss = |_: &PathLoss| objective.loss(&theta).map(|e| e.loss);
                self.fill(
                    folder, header, &origin, &objective, &true_loss, ball, interrupt, progress,
                )
            }
            StackKind::Batches => {
                let (objective, header) = self.batch(index, grid)?;
                let shadow = |loss: &PathLoss| Ok(loss.plane_loss);
                let origin = &plane.origin;
                self.fill(folder, header, origin, &objective, &shadow, ball, interrupt, progress)
            }
            StackKind::Dropout => {
                let network = self.subject.network();
                let drops = |op: &Op| matches!(op, Op::Dropout { p } if *p > 0.0);
                if !network.nodes.iter().any(|node| drops(&node.op)) {
                    return Err(Error::Landscape {
                        what: format!("{} was trained without dropout", self.run.name()),
                        remedy: "train with --set model.dropout=0.2".into(),
                    });
                }
                let plain = frozen()?;
                let objective = plain.masked(Streams::new(sample.seed), index as u64);
                let header = Header {
                    batch_norm: objective.batch_norm(),
                    plane: format!(
                        "{}, with draw {index} of dropout masks, seed {}",
                        plane.about.made, sample.seed
                    ),
                    ..header(self.subject, plane, grid, sample, &plain)
                };
                let shadow = |loss: &PathLoss| Ok(loss.plane_loss);
                let origin = &plane.origin;
                self.fill(folder, header, origin, &objective, &shadow, ball, interrupt, progress)
            }
        }
    }

    /// The loss of the mini-batch of step `index`, and the header of its surface.
    fn batch(
        &self,
        index: usize,
        grid: crate::landscape::Grid,
    ) -> Result<(DatasetObjective, Header)> {
        let (train, data) = (&self.spec.train, &self.subject.data);
        let per_epoch = self.steps_per_epoch();
        let order =
            epoch_order(&Streams::new(train.seed), (index / per_epoch) as u64, data.train.len());
        let indices = batches(&order, train.batch_size, train.last_batch)?
            .nth(index % per_epoch)
            .expect("an epoch has as many batches as it has steps");
        let objective = DatasetObjective::new(
            self.subject.backend.clone(),
            self.plane.buffers.clone(),
            Arc::new(data.train.select(indices)),
            self.subject.stats.clone(),
            data.max_value,
        )?;
        let sample = SampleChoice { test: false, seed: train.seed, ..self.request.sample };
        let header = Header {
            sample_order: format!("mini-batch of step {}", index + 1),
            ..header(self.subject, self.plane, grid, sample, &objective)
        };
        Ok((objective, header))
    }

    /// Where on the plane snapshot `snapshot` is.
    fn ball(&self, snapshot: usize) -> Result<&PathCoord> {
        let found = self.plane.about.path.iter().find(|p| p.snapshot == snapshot);
        found.ok_or_else(|| Error::Landscape {
            what: format!("snapshot {snapshot} is not on the plane"),
            remedy: "make the plane again: lossreel plane RUN".into(),
        })
    }

    /// Evaluates the cells that a layer lacks, then the ball's losses.
    #[allow(clippy::too_many_arguments)] // one layer's everything
    fn fill(
        &self,
        folder: &Path,
        header: Header,
        origin: &[f32],
        objective: &dyn Objective,
        true_loss: &dyn Fn(&PathLoss) -> Result<f64>,
        ball: &PathCoord,
        interrupt: &AtomicBool,
        progress: Progress<'_>,
    ) -> Result<(SurfaceStore, f64)> {
        let mut store = SurfaceStore::begin(folder, header, false)?;
        let (x, y) = (&self.plane.x, &self.plane.y);
        let report = evaluate(&mut store, [origin, x, y], objective, interrupt, progress)?;
        if store.read_path()?.is_none() {
            let plane_loss = objective.loss(&theta_at(origin, x, y, [ball.x, ball.y]))?.loss;
            let mut loss = PathLoss { snapshot: ball.snapshot, true_loss: f64::NAN, plane_loss };
            loss.true_loss = true_loss(&loss)?;
            store.write_path(&[loss])?;
        }
        Ok((store, report.seconds))
    }
}

/// Place `k` of `n` spread over `of` places, the first and the last among them (the last alone for
/// n = 1).
fn spread(k: usize, n: usize, of: usize) -> usize {
    if n == 1 { of - 1 } else { (k * (of - 1) + (n - 1) / 2) / (n - 1) }
}

/// All layers' cells as one report.
fn report(stores: &[SurfaceStore], seconds: f64) -> SurfaceReport {
    let all: Vec<SurfaceReport> = stores.iter().map(|store| store.report(0.0)).collect();
    let least = |f: fn(&SurfaceReport) -> Option<f64>| all.iter().filter_map(f).reduce(f64::min);
    let most = |f: fn(&SurfaceReport) -> Option<f64>| all.iter().filter_map(f).reduce(f64::max);
    let sum = |f: fn(&SurfaceReport) -> usize| all.iter().map(f).sum();
    SurfaceReport {
        nx: all.first().map_or(0, |r| r.nx),
        ny: all.first().map_or(0, |r| r.ny),
        evaluated: sum(|r| r.evaluated),
        interpolated: 0,
        nan: sum(|r| r.nan),
        infinite: sum(|r| r.infinite),
        loss_min: least(|r| r.loss_min),
        loss_max: most(|r| r.loss_max),
        relative_se_max: most(|r| r.relative_se_max),
        samples: all.first().map_or(0, |r| r.samples),
        seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_spread_over_the_snapshots_with_both_ends() {
        let places = |n, of| (0..n).map(|k| spread(k, n, of)).collect::<Vec<_>>();
        assert_eq!(places(5, 9), [0, 2, 4, 6, 8]);
        assert_eq!(places(3, 3), [0, 1, 2]);
        assert_eq!(places(4, 14), [0, 4, 9, 13]);
        assert_eq!(places(1, 7), [6]);
    }
}
