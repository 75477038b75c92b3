//! Plane to surface: the loss at the cells of a grid, and at the snapshots of the path.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::{Progress, SampleChoice, Subject};
use crate::backend::Precision;
use crate::landscape::{
    Axis, GradientStore, Grid, Header, PathLoss, Plane, PlaneKind, SurfaceReport, SurfaceStore,
    evaluate, gradient_grid, theta_at,
};
use crate::objective::{DatasetObjective, Objective};
use crate::record::{FORMAT_VERSION, Run, RunSnapshots};
use crate::{Error, Result};

/// What to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceRequest {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Ranges of x and y in units of the directions; `None` holds the path with a margin, or is
    /// -1..1 where there is no path.
    pub range: Option<[(f64, f64); 2]>,
    /// The images.
    pub sample: SampleChoice,
    /// Whether another surface in the folder is replaced.
    pub replace: bool,
}

/// The grid that a request means on a plane.
pub fn grid_of(plane: &Plane, request: &SurfaceRequest) -> Grid {
    let [nx, ny] = request.size;
    let axes = |[x, y]: [(f64, f64); 2]| Grid {
        x: Axis { min: x.0, max: x.1, n: nx },
        y: Axis { min: y.0, max: y.1, n: ny },
    };
    // Random directions are as long as the weights: one unit is the paper's range. PCA directions
    // have length 1.
    match (request.range, plane.about.kind) {
        (Some(range), _) => axes(range),
        (None, PlaneKind::Random | PlaneKind::File) => axes([(-1.0, 1.0); 2]),
        (None, _) => grid_around(&plane.coords(), plane, request.size),
    }
}

/// A grid that holds `points` on a plane of unit directions.
pub(super) fn grid_around(points: &[[f64; 2]], plane: &Plane, size: [usize; 2]) -> Grid {
    Grid::around(points, size, 0.1 * length(&plane.origin))
}

fn length(v: &[f32]) -> f64 {
    v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt().max(1.0)
}

/// Evaluates the surface of `subject` over `plane` into `folder`, going on where an earlier call
/// was interrupted.
///
/// # Errors
/// [`Error::Landscape`] for a plane of another network or another surface in the folder,
/// [`Error::Interrupted`], those of the disk.
pub fn compute(
    subject: &Subject,
    plane: &Plane,
    folder: &Path,
    request: &SurfaceRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<(SurfaceStore, SurfaceReport)> {
    if plane.about.layout_digest != subject.network().layout.digest() {
        return Err(Error::Landscape {
            what: "the plane belongs to another network".into(),
            remedy: "make it again: lossreel plane RUN".into(),
        });
    }
    let objective = subject.objective(request.sample)?.with_buffers(plane.buffers.clone())?;
    let grid = grid_of(plane, request);
    let header = header(subject, plane, grid, request.sample, &objective);
    let mut store = SurfaceStore::begin(folder, header, request.replace)?;
    let report =
        evaluate(&mut store, [&plane.origin, &plane.x, &plane.y], &objective, interrupt, progress)?;
    Ok((store, report))
}

/// Measures gradients at `size` points over the ground of the finished surface `store`, on its images,
/// going on where an earlier call was interrupted.
///
/// # Errors
/// [`Error::Landscape`] for other gradients beside the surface; [`Error::Interrupted`]; those of the
/// backend and of the disk.
pub fn gradients(
    subject: &Subject,
    plane: &Plane,
    store: &SurfaceStore,
    sample: SampleChoice,
    size: [usize; 2],
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<GradientStore> {
    let objective = subject.objective(sample)?.with_buffers(plane.buffers.clone())?;
    let grid = gradient_grid(&store.header.grid, size);
    // Whatever the losses are evaluated in, gradients are f32.
    let header = Header { grid, precision: Precision::F32, ..store.header.clone() };
    let mut gradients = GradientStore::begin(store.folder(), header)?;
    let vectors = [plane.origin.as_slice(), &plane.x, &plane.y];
    gradients.measure(vectors, &objective, interrupt, progress)?;
    Ok(gradients)
}

/// What a surface of `subject` over `grid` on `plane` is, BatchNorm frozen at the plane's buffers.
pub(super) fn header(
    subject: &Subject,
    plane: &Plane,
    grid: Grid,
    sample: SampleChoice,
    objective: &DatasetObjective,
) -> Header {
    Header {
        format_version: FORMAT_VERSION,
        grid,
        plane_digest: plane.digest(),
        plane: plane.about.made.clone(),
        dataset: subject.data.name.clone(),
        data_digest: subject.data_digest.clone(),
        split: sample.split().into(),
        samples: objective.samples(),
        sample_order: sample.order.to_string(),
        sample_seed: sample.seed,
        batch_norm: "frozen".into(),
        backend: subject.backend.name().to_string(),
        precision: subject.backend.precision(),
    }
}

/// Evaluates each snapshot of the path on the surface's sample, itself and its shadow on the plane,
/// and writes them beside the surface.
///
/// # Errors
/// Those of reading snapshots, of the backend and of the disk; [`Error::Interrupted`].
pub fn path_losses(
    run: &Run,
    subject: &Subject,
    plane: &Plane,
    store: &SurfaceStore,
    sample: SampleChoice,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Vec<PathLoss>> {
    let snapshots = RunSnapshots::new(run.snapshots()?, subject.network().layout.clone());
    let frozen = subject.objective(sample)?.with_buffers(plane.buffers.clone())?;
    let total = plane.about.path.len();
    let mut losses = Vec::with_capacity(total);
    for (done, point) in plane.about.path.iter().enumerate() {
        progress(done, total);
        if interrupt.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::Interrupted {
                remedy: "all cells are kept: the same command goes on from there".into(),
            });
        }
        let index =
            snapshots.infos().iter().position(|s| s.index == point.snapshot).ok_or_else(|| {
                Error::Landscape {
                    what: format!("the plane knows snapshot {}, the run does not", point.snapshot),
                    remedy: "make the plane again: lossreel plane RUN".into(),
                }
            })?;
        let (theta, buffers) = snapshots.state(index)?;
        let true_loss = frozen.with_buffers(buffers)?.loss(&theta)?.loss;
        let shadow = theta_at(&plane.origin, &plane.x, &plane.y, [point.x, point.y]);
        losses.push(PathLoss {
            snapshot: point.snapshot,
            true_loss,
            plane_loss: frozen.loss(&shadow)?.loss,
        });
    }
    progress(total, total);
    store.write_path(&losses)?;
    Ok(losses)
}
