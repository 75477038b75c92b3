//! Surfaces, curves and curvatures of a run that another training loop recorded: by a loss of its own,
//! or, where its tensors are those of one of our architectures, by our engine.
//!
//! They land in the same stores as those of our own runs, and are gone on with in the same way. What a
//! loss of one's own computes, nothing here can know: to notice that it is another one than before, the
//! first value that is in the store is computed again and compared.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::curvature::{CurvatureRequest, snapshots};
use super::curve::{Curve, CurveRequest, Point};
use super::opened::{OpenRun, RunSet};
use super::surface::{SurfaceRequest, grid_of};
use super::{Progress, SampleChoice, curvature, curve, stale};
use crate::backend::{BackendName, backend};
use crate::dataset::{NormStats, choose};
use crate::landscape::{
    Header, PathLoss, Plane, SurfaceReport, SurfaceStore, Through, evaluate, theta_at,
};
use crate::models::ModelSpec;
use crate::network::ParamLayout;
use crate::objective::{BatchNormPolicy, BufferedObjective, DatasetObjective, Evaluation};
use crate::record::{CurvatureOf, CurvatureRecord, EvaluatedOn, FORMAT_VERSION, RunSnapshots};
use crate::rng::Streams;
use crate::spec::DataSpec;
use crate::{Error, Result};

/// How far the same loss may differ between two computations, relative to it: another number of threads
/// groups sums of f32 in another way.
const SAME: f64 = 1e-3;

/// The loss of the network `model` on `data`, for a run with that network's tensors, and what it is a
/// mean over.
///
/// # Errors
/// [`Error::Weights`] where the run's tensors have other names, shapes or another order; those of
/// building the network and of reading the data.
pub fn native(
    run: &OpenRun,
    model: &ModelSpec,
    data: &DataSpec,
    choice: SampleChoice,
) -> Result<(DatasetObjective, EvaluatedOn)> {
    let whole = data.load(choice.seed)?;
    let network = model.build(whole.shape(), whole.classes)?;
    let recorded = run.layout()?;
    if let Some(problem) = difference(recorded, &network.layout) {
        return Err(Error::Weights {
            arch: network.arch,
            problem,
            remedy: "name the architecture that was trained, or evaluate with a loss function"
                .into(),
        });
    }
    let split = whole.split(choice.split);
    let sample = match choice.samples {
        Some(n) => {
            split.select(&choose(&split.labels, n, choice.order, &Streams::new(choice.seed))?)
        }
        None => split.clone(),
    };
    let stats = NormStats::of(&whole, &data.norm_stats())?;
    let (_, buffers) = last_state(run)?;
    let engine = backend(BackendName::Auto, Arc::new(network))?;
    let on = EvaluatedOn {
        dataset: whole.name.clone(),
        data_digest: whole.digest.clone(),
        split: choice.split,
        samples: sample.len(),
        sample_order: choice.order.into(),
        sample_seed: choice.seed,
        batch_norm: BatchNormPolicy::None,
        backend: engine.name().to_string(),
        precision: engine.precision(),
        precision_error: None,
        answers: sample.targets.answers(),
        norm_stats: Some(stats.to_string()),
    };
    let objective =
        DatasetObjective::new(engine, buffers, Arc::new(sample), stats, whole.max_value)?;
    Ok((objective, on))
}

/// The first thing in which the tensors of a run are not those of a network.
fn difference(recorded: &ParamLayout, network: &ParamLayout) -> Option<String> {
    let tensors = |layout: &ParamLayout| -> Vec<(String, Vec<usize>)> {
        let parameters = layout.params.iter().map(|p| (p.name.clone(), p.shape.clone()));
        parameters.chain(layout.buffers.iter().map(|b| (b.name.clone(), b.shape.clone()))).collect()
    };
    let (ours, theirs) = (tensors(network), tensors(recorded));
    let words = |tensor: Option<&(String, Vec<usize>)>| match tensor {
        Some((name, shape)) => format!("`{name}` {shape:?}"),
        None => "nothing".into(),
    };
    (0..ours.len().max(theirs.len())).find(|&i| ours.get(i) != theirs.get(i)).map(|i| {
        format!("the run has {} where it has {}", words(theirs.get(i)), words(ours.get(i)))
    })
}

/// The last state of a run whose loss was finite: parameters and buffers.
///
/// # Errors
/// Those of reading snapshots.
pub fn last_state(run: &OpenRun) -> Result<(Vec<f32>, Vec<f32>)> {
    state(run, None).map(|(_, theta, buffers)| (theta, buffers))
}

/// Snapshot `wanted`, or the last whose loss was finite.
fn state(run: &OpenRun, wanted: Option<usize>) -> Result<(Through, Vec<f32>, Vec<f32>)> {
    let all = run.run().snapshots()?;
    let found = match wanted {
        None => all.iter().rfind(|s| !s.diverged).or(all.last()),
        Some(n) => all.iter().find(|s| s.index == n),
    };
    let info = found.cloned().ok_or_else(|| {
        let problem = format!("not one of the run's {} snapshots", all.len());
        let remedy = format!("use 0 to {}", all.len().saturating_sub(1));
        Error::bad_value("snapshot", wanted.unwrap_or(0), problem, remedy)
    })?;
    let through = Through { snapshot: info.index, step: info.step, last: wanted.is_none() };
    let (theta, buffers) = RunSnapshots::new(vec![info], run.layout()?.clone()).state(0)?;
    Ok((through, theta, buffers))
}

/// Whether a value computed again is the one that was kept.
fn is_same(kept: f64, again: f64) -> bool {
    kept == again
        || (kept.is_nan() && again.is_nan())
        || (kept - again).abs() <= SAME * kept.abs().max(again.abs())
}

fn another_loss(folder: PathBuf, kept: f64, again: f64) -> Error {
    Error::OtherSurface {
        folder,
        holds: format!("values of another loss: {kept} where this one is {again}"),
    }
}

/// `on` of a loss whose first value is `first`: where it says over how many samples it is a mean, that
/// is kept.
fn over(on: EvaluatedOn, first: &Evaluation, batch_norm: BatchNormPolicy) -> EvaluatedOn {
    let samples = if first.total > 0 { first.total } else { on.samples };
    EvaluatedOn { samples, batch_norm, ..on }
}

/// Evaluates `objective` over the plane `plane_name` of `set` into the surface `name`, and at the
/// snapshots of its paths, each with its own buffers. Over a run's own plane the buffers are those of
/// the plane's origin, over a joint one those of the first run's last state. The plane is made again
/// where a run has gone on. The sample in `request` is not read: `on` says what the loss is a mean over.
///
/// # Errors
/// [`Error::WrongNetwork`] for a plane of other parameters, [`Error::OtherSurface`] for another surface
/// of that name or one of another loss, [`Error::Interrupted`]; those of the objective and of the disk.
pub fn surface<O: BufferedObjective>(
    set: &RunSet,
    [plane_name, name]: [&str; 2],
    (objective, on): (&O, EvaluatedOn),
    request: &SurfaceRequest,
    interrupt: &AtomicBool,
    [cells, path]: [Progress<'_>; 2],
) -> Result<(SurfaceStore, SurfaceReport)> {
    let (plane, behind) = stale::current(set, plane_name)?;
    let run = &set.runs()[0];
    if plane.about.layout_digest != run.layout()?.digest() || objective.dim() != plane.origin.len()
    {
        return Err(Error::WrongNetwork);
    }
    let is_joint = plane.about.paths.len() > 1;
    let buffers = if is_joint { last_state(run)?.1 } else { plane.buffers.clone() };
    let batch_norm = match (buffers.is_empty(), is_joint) {
        (true, _) => BatchNormPolicy::None,
        (false, true) => BatchNormPolicy::FrozenAtEndOf { run: set.run_name(0) },
        (false, false) => BatchNormPolicy::Frozen,
    };
    let frozen = objective.with_buffers(buffers)?;
    let vectors = [plane.origin.as_slice(), &plane.x, &plane.y];
    let grid = grid_of(&plane, request);
    grid.check()?;
    let first = frozen.loss(&theta_at(vectors[0], vectors[1], vectors[2], grid.point(0)))?;
    let header = Header {
        format_version: FORMAT_VERSION,
        grid,
        plane_digest: plane.digest(),
        plane: plane.about.made.clone(),
        through: None,
        until: None,
        on: over(on, &first, batch_norm),
    };
    let mut store = SurfaceStore::begin(&set.surface_dir(name)?, header, request.replace)?;
    if let Some(kept) = store.cells[0].filter(|kept| !is_same(kept.loss, first.loss)) {
        return Err(another_loss(store.folder().to_path_buf(), kept.loss, first.loss));
    }
    if behind.is_some() {
        set.write_plane(plane_name, &plane)?;
    }
    let report = evaluate(&mut store, vectors, &frozen, interrupt, cells)?;
    path_losses(set, &plane, &store, (objective, &frozen), interrupt, path)?;
    Ok((store, report))
}

/// The losses at the snapshots of all paths: themselves with their own buffers, and where the surface
/// has them.
fn path_losses<O: BufferedObjective>(
    set: &RunSet,
    plane: &Plane,
    store: &SurfaceStore,
    (own, frozen): (&O, &O),
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<()> {
    let mut losses = store.path_losses()?;
    let total = plane.about.paths.iter().map(|path| path.path.len()).sum();
    let mut done = 0;
    let mut lock = None;
    for (run, path) in set.runs().iter().zip(&plane.about.paths) {
        let snapshots = run.snapshots_of(&path.path)?;
        for (i, point) in path.path.iter().enumerate() {
            progress(done, total);
            done += 1;
            if losses.get(&path.run, point.snapshot).is_some() {
                continue;
            }
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted {
                    remedy: "all cells are kept: the same call goes on from there".into(),
                });
            }
            if lock.is_none() {
                lock = Some(store.take()?);
            }
            let (theta, buffers) = snapshots.state(i)?;
            let projected = theta_at(&plane.origin, &plane.x, &plane.y, [point.x, point.y]);
            losses.append(vec![PathLoss {
                run: path.run.clone(),
                snapshot: point.snapshot,
                true_loss: own.with_buffers(buffers)?.loss(&theta)?.loss,
                plane_loss: frozen.loss(&projected)?.loss,
            }])?;
        }
    }
    progress(total, total);
    Ok(())
}

/// Evaluates `objective` along a line through a snapshot of `run`, the last by default, with its buffers.
///
/// # Errors
/// Those of [`surface`] and of a direction file.
pub fn line<O: BufferedObjective>(
    run: &OpenRun,
    (name, snapshot): (&str, Option<usize>),
    (objective, on): (&O, EvaluatedOn),
    request: &CurveRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Curve> {
    let (through, theta, buffers) = state(run, snapshot)?;
    let frozen = !buffers.is_empty();
    let batch_norm = if frozen { BatchNormPolicy::Frozen } else { BatchNormPolicy::None };
    let objective = objective.with_buffers(buffers.clone())?;
    let middle = objective.loss(&theta)?;
    let on = over(on, &middle, batch_norm);
    let point = Point {
        arch: "the run's network",
        layout: run.layout()?,
        theta: &theta,
        buffers: &buffers,
        snapshot: Some(through),
    };
    let folder = run.run().curve_dir(name)?;
    let curve =
        curve::of_objective(&point, &folder, request, (&objective, on), interrupt, progress)?;
    // The line may have been there: where it has a point at the snapshot itself, this is the same loss.
    let kept = curve.points.iter().find(|p| p.x == 0.0).map(|p| p.loss);
    match kept.filter(|kept| !is_same(*kept, middle.loss)) {
        Some(kept) => Err(another_loss(folder, kept, middle.loss)),
        None => Ok(curve),
    }
}

/// The ends of the Hessian's spectrum of `objective` at snapshots of `run`, each with its own buffers.
///
/// # Errors
/// Those of [`curvature::compute`].
pub fn curvatures<O: BufferedObjective>(
    run: &OpenRun,
    (objective, on): (&O, EvaluatedOn),
    request: &CurvatureRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Vec<CurvatureRecord>> {
    let wanted = snapshots(run.run(), request.which)?;
    let own = run.layout()?.buffer_dim() > 0;
    let batch_norm = if own { BatchNormPolicy::Own } else { BatchNormPolicy::None };
    // How many samples the loss is a mean over, from a loss that is cheap beside one product.
    let first = match wanted.last() {
        Some(last) => {
            let (_, theta, buffers) = state(run, Some(last.index))?;
            objective.with_buffers(buffers)?.loss(&theta)?
        }
        None => return Ok(Vec::new()),
    };
    let of = CurvatureOf {
        on: over(on, &first, batch_norm),
        largest: request.config.largest,
        smallest: request.config.smallest,
        tolerance: request.config.tolerance,
        matrix: request.matrix,
        parameters: request.parameters.clone(),
    };
    let of_run = (run.run(), run.layout()?);
    curvature::of_objective(of_run, (objective, of), request, interrupt, progress)
}
