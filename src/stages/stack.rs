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

use super::opened::{OpenRun, RunSet};
use super::surface::{OverPlane, SurfaceRequest, grid_of};
use super::{Progress, SampleChoice};
use crate::backend::Precision;
use crate::dataset::{SplitName, batches};
use crate::landscape::{
    Grid, Header, Layer, PathCoord, PathLoss, RunPath, Stack, StackAbout, StackKind, SurfaceReport,
    SurfaceStore, digest_of, evaluate, theta_at,
};
use crate::network::Op;
use crate::objective::{BatchNormPolicy, DatasetObjective, Objective};
use crate::record::{FORMAT_VERSION, SampleSource};
use crate::rng::Streams;
use crate::{Error, Result};

/// Layers of a stack by default.
pub const LAYERS: usize = 12;

/// What to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct StackRequest {
    /// What changes from layer to layer.
    pub kind: StackKind,
    /// How many layers; [`LAYERS`] by default, or as many as there are.
    pub layers: Option<usize>,
    /// Grid and images of every layer; of `batches` the images are the mini-batches of the run's first
    /// steps, not augmented.
    pub surface: SurfaceRequest,
}

/// Evaluates a stack of surfaces of run `index` of `set` into `folder`, going on where an earlier call
/// was interrupted.
///
/// # Errors
/// [`Error::BadValue`] for more layers than there are snapshots or steps; [`Error::Landscape`] for
/// masks of a network without dropout; [`Error::OtherSurface`] for something else in the folder;
/// those of [`evaluate`].
pub fn compute(
    set: &RunSet,
    index: usize,
    over: &OverPlane<'_>,
    folder: &Path,
    request: &StackRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<(Stack, SurfaceReport)> {
    let kind = request.kind;
    if kind == StackKind::Dropout && over.subject.backend.precision() != Precision::F32 {
        return Err(Error::OnlyF32 { what: "dropout masks act in train mode, which is in" });
    }
    let path = over.plane.about.paths.get(index).ok_or(Error::NoPath { what: "the plane" })?;
    let run = &set.runs()[index];
    let work = Work { run, over, path, request: &request.surface, interrupt };
    let about = StackAbout {
        format_version: FORMAT_VERSION,
        kind,
        run: path.run.clone(),
        made: words(kind).into(),
        plane_digest: over.plane.digest(),
        layers: work.layers(kind, request.layers)?,
    };
    let count = about.layers.len();
    let (stack, _lock) = Stack::begin(folder, about, request.surface.replace)?;
    over.write_plane()?;
    let mut stores = Vec::new();
    let mut seconds = 0.0;
    for index in 0..count {
        let cells = request.surface.size[0] * request.surface.size[1];
        let on_layer = |done: usize, _: usize| progress(index * cells + done, count * cells);
        let (store, took) = work.layer(&stack, index, &on_layer)?;
        stores.push(store);
        seconds += took;
    }
    Ok((stack, report(&stores, seconds)))
}

fn words(kind: StackKind) -> &'static str {
    match kind {
        StackKind::Snapshots => {
            "slices through the snapshots in the plane's directions, each with its snapshot's own \
             BatchNorm statistics"
        }
        StackKind::Batches => {
            "the mini-batches of the run's first steps, not augmented, each on the plane as it is; \
             BatchNorm frozen"
        }
        StackKind::Dropout => {
            "one draw of dropout masks after the other, fixed over each surface; train mode"
        }
    }
}

/// What all layers share.
struct Work<'a> {
    run: &'a OpenRun,
    over: &'a OverPlane<'a>,
    path: &'a RunPath,
    request: &'a SurfaceRequest,
    interrupt: &'a AtomicBool,
}

/// One layer, ready to be evaluated.
struct LayerLoss<'a> {
    header: Header,
    /// Where the plane's coordinates are (0, 0), (P,).
    origin: Vec<f32>,
    objective: Box<dyn Objective + 'a>,
    /// The weights of the snapshot itself, (P,), where the layer goes through it.
    theta: Option<Vec<f32>>,
}

impl Work<'_> {
    fn layers(&self, kind: StackKind, wanted: Option<usize>) -> Result<Vec<Layer>> {
        let path = &self.path.path;
        let last = path.last().ok_or(Error::NoPath { what: "the plane" })?;
        let steps_per_epoch = self.steps_per_epoch()?;
        let epochs = self.run.spec()?.train.epochs as usize;
        let (most, of) = match kind {
            StackKind::Snapshots => (path.len(), "finite snapshots"),
            StackKind::Batches => (steps_per_epoch * epochs, "steps"),
            StackKind::Dropout => (1000, "masks at most"),
        };
        let n = wanted.unwrap_or(LAYERS.min(most));
        if n == 0 || n > most {
            let problem = format!("but there are {most} {of}");
            return Err(Error::bad_value("layers", n, problem, format!("use 1 to {most}")));
        }
        let layer = |k: usize| match kind {
            StackKind::Snapshots => {
                let p = &path[place(k, n, path.len())];
                let label = format!("snapshot {}", p.snapshot);
                Layer { snapshot: p.snapshot, step: p.step, epoch: p.epoch, label }
            }
            StackKind::Batches => Layer {
                snapshot: last.snapshot,
                step: k as u64,
                epoch: k as f64 / steps_per_epoch as f64,
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

    fn steps_per_epoch(&self) -> Result<usize> {
        let train = &self.run.spec()?.train;
        let order: Vec<usize> = (0..self.over.subject.data.train.len()).collect();
        Ok(batches(&order, train.batch_size, train.last_batch).map_or(1, |b| b.len()))
    }

    /// Evaluates the cells that layer `index` lacks, then the losses at its snapshot.
    fn layer(
        &self,
        stack: &Stack,
        index: usize,
        progress: Progress<'_>,
    ) -> Result<(SurfaceStore, f64)> {
        let point = self.point(stack.about.layers[index].snapshot)?;
        let grid = match self.request.range {
            Some(_) => grid_of(self.over.plane, self.request),
            None => grid_of(self.over.plane, self.request).squarer(),
        };
        let frozen = self.over.objective(self.request.sample)?;
        let layer = match stack.about.kind {
            StackKind::Snapshots => self.slice(point, grid, &frozen)?,
            StackKind::Batches => self.batch(index, grid)?,
            StackKind::Dropout => self.mask(index, grid, &frozen)?,
        };
        let mut store = SurfaceStore::begin(&stack.layer_dir(index), layer.header, false)?;
        let [_, x, y] = self.over.vectors();
        let vectors = [layer.origin.as_slice(), x, y];
        let report = evaluate(&mut store, vectors, &*layer.objective, self.interrupt, progress)?;
        let mut losses = store.path_losses()?;
        if losses.done.is_empty() {
            let at = theta_at(&layer.origin, x, y, [point.x, point.y]);
            let plane_loss = layer.objective.loss(&at)?.loss;
            let true_loss = match &layer.theta {
                Some(theta) => layer.objective.loss(theta)?.loss,
                None => plane_loss,
            };
            let (run, snapshot) = (self.path.run.clone(), point.snapshot);
            losses.append(vec![PathLoss { run, snapshot, true_loss, plane_loss }])?;
        }
        Ok((store, report.seconds))
    }

    /// The slice through the snapshot at `point`, whose coordinates stay those of the plane.
    fn slice(
        &self,
        point: &PathCoord,
        grid: Grid,
        frozen: &DatasetObjective,
    ) -> Result<LayerLoss<'_>> {
        let plane = self.over.plane;
        let (theta, buffers) = self.run.snapshots_of(std::slice::from_ref(point))?.state(0)?;
        // Where the slice through theta has the plane's coordinates (0, 0).
        let origin = theta_at(&theta, &plane.x, &plane.y, [-point.x, -point.y]);
        let mut header = Header {
            plane_digest: digest_of(&[&origin, &buffers, &plane.x, &plane.y]),
            plane: format!("{}, moved through snapshot {}", plane.about.made, point.snapshot),
            ..self.over.header(grid, self.request.sample, frozen)
        };
        if !buffers.is_empty() {
            let snapshot = point.snapshot;
            header.on.batch_norm = BatchNormPolicy::FrozenAtSnapshot { snapshot };
        }
        let objective = Box::new(frozen.with_buffers(buffers)?);
        Ok(LayerLoss { header, origin, objective, theta: Some(theta) })
    }

    /// The loss of the mini-batch of step `index`.
    fn batch(&self, index: usize, grid: Grid) -> Result<LayerLoss<'_>> {
        let (subject, plane) = (self.over.subject, self.over.plane);
        let (train, data) = (&self.run.spec()?.train, &subject.data);
        let per_epoch = self.steps_per_epoch()?;
        let draws = train.draws(per_epoch as u64);
        let order = draws.epoch_order((index / per_epoch) as u64, data.train.len());
        let indices = batches(&order, train.batch_size, train.last_batch)?
            .nth(index % per_epoch)
            .expect("an epoch has as many batches as it has steps");
        let objective = DatasetObjective::new(
            subject.backend.clone(),
            self.over.buffers().to_vec(),
            Arc::new(data.train.select(indices)),
            subject.stats.clone(),
            data.max_value,
        )?;
        let split = SplitName::Train;
        let sample = SampleChoice { split, seed: train.seed, ..self.request.sample };
        let mut header = self.over.header(grid, sample, &objective);
        header.on.sample_order = SampleSource::MiniBatch { step: index + 1 };
        let (origin, objective) = (plane.origin.clone(), Box::new(objective));
        Ok(LayerLoss { header, origin, objective, theta: None })
    }

    /// The loss with draw `index` of dropout masks.
    fn mask<'a>(
        &self,
        index: usize,
        grid: Grid,
        frozen: &'a DatasetObjective,
    ) -> Result<LayerLoss<'a>> {
        let (sample, plane) = (self.request.sample, self.over.plane);
        let drops = |op: &Op| matches!(op, Op::Dropout { p } if *p > 0.0);
        if !self.over.subject.network().nodes.iter().any(|node| drops(&node.op)) {
            return Err(Error::Landscape {
                what: format!("{} was trained without dropout", self.run.name()),
                remedy: "train it with a model.dropout above 0, such as 0.2".into(),
            });
        }
        let objective = frozen.masked(Streams::new(sample.seed), index as u64);
        let mut header = Header {
            plane: format!(
                "{}, with draw {index} of dropout masks, seed {}",
                plane.about.made, sample.seed
            ),
            ..self.over.header(grid, sample, frozen)
        };
        header.on.batch_norm = objective.batch_norm();
        let (origin, objective) = (plane.origin.clone(), Box::new(objective));
        Ok(LayerLoss { header, origin, objective, theta: None })
    }

    /// Where on the plane snapshot `snapshot` is.
    fn point(&self, snapshot: usize) -> Result<&PathCoord> {
        let found = self.path.path.iter().find(|p| p.snapshot == snapshot);
        found.ok_or_else(|| Error::StalePath { run: self.run.name() })
    }
}

/// Place `k` of `n` spread over `of` places, the first and the last among them (the last alone for
/// n = 1).
fn place(k: usize, n: usize, of: usize) -> usize {
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
        difference_se_max: most(|r| r.difference_se_max),
        interpolation: None,
        samples: all.first().map_or(0, |r| r.samples),
        seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_spread_over_the_snapshots_with_both_ends() {
        let places = |n, of| (0..n).map(|k| place(k, n, of)).collect::<Vec<_>>();
        assert_eq!(places(5, 9), [0, 2, 4, 6, 8]);
        assert_eq!(places(3, 3), [0, 1, 2]);
        assert_eq!(places(4, 14), [0, 4, 9, 13]);
        assert_eq!(places(1, 7), [6]);
    }
}
