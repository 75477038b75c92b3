//! Plane to surface: the loss at the cells of a grid, at the snapshots of the paths, and its gradient.

pub mod among;
pub mod parts;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::opened::{OpenRun, RunSet};
use super::{Progress, SampleChoice, Subject};
use crate::backend::{Precision, backend_in};
use crate::landscape::{
    Axis, ConvexityStore, GradientStore, Grid, Header, PathLoss, PathLosses, Plane, PlaneKind,
    PointCell, PointStore, SurfaceReport, SurfaceStore, evaluate, point_grid, theta_at,
};
use crate::objective::{BatchNormPolicy, DatasetObjective, Objective, PointPolicy};
use crate::parallel::Team;
use crate::record::{EvaluatedOn, FORMAT_VERSION};
use crate::{Error, Result};

/// What to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceRequest {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Ranges of x and y in units of the directions; `None` holds the paths with a margin, or is
    /// -1..1 where there is none.
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
    let around = || Grid::around(&plane.coords(), request.size, 0.1 * length(&plane.origin));
    // Random directions are as long as the weights: one unit is the paper's range. Those of a path
    // have length 1.
    match (request.range, plane.about.kind) {
        (Some(range), _) => axes(range),
        (None, PlaneKind::Random | PlaneKind::File) => axes([(-1.0, 1.0); 2]),
        (None, PlaneKind::Joint | PlaneKind::Minima) => around().squarer(),
        (None, _) => around(),
    }
}

fn length(v: &[f32]) -> f64 {
    v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt().max(1.0)
}

/// A network over a plane: whose it is, and with which BatchNorm statistics it is evaluated there.
pub struct OverPlane<'a> {
    /// The network with its data.
    pub subject: &'a Subject,
    /// The plane.
    pub plane: &'a Plane,
    /// The run that the subject is, where the plane has the paths of several: its last statistics
    /// are frozen, and else those of the plane's origin.
    pub end_of: Option<String>,
    /// What is done with BatchNorm's statistics, where that is not to freeze them, and on how many training images.
    policy: Option<(PointPolicy, usize)>,
    /// Where the plane is to be written, if it is not there yet: made again of a run that went on.
    unwritten: Option<(&'a RunSet, &'a str)>,
}

impl<'a> OverPlane<'a> {
    /// `subject` over `plane`, whose run `index` of `set` it is.
    ///
    /// # Errors
    /// [`Error::WrongNetwork`] for a plane of another network.
    pub fn new(set: &RunSet, index: usize, subject: &'a Subject, plane: &'a Plane) -> Result<Self> {
        let end_of = (plane.about.paths.len() > 1).then(|| set.run_name(index));
        Self { subject, plane, end_of, policy: None, unwritten: None }.checked()
    }

    /// A subject from a file of weights over a plane through them.
    ///
    /// # Errors
    /// [`Error::WrongNetwork`] for a plane of another network.
    pub fn of_file(subject: &'a Subject, plane: &'a Plane) -> Result<Self> {
        Self { subject, plane, end_of: None, policy: None, unwritten: None }.checked()
    }

    /// The same with what is done with BatchNorm's statistics: `images` training images are recalibrated on.
    ///
    /// # Errors
    /// [`Error::BadValue`] for interpolated ones, which need a line between two networks.
    pub fn with_policy(self, policy: PointPolicy, images: usize) -> Result<Self> {
        if policy == PointPolicy::Interpolated {
            let problem = "but a plane has no two networks to interpolate between";
            let remedy = "use frozen, recalibrated or batch";
            return Err(Error::bad_value("bn", policy, problem, remedy));
        }
        let policy = Some((policy, images)).filter(|_| policy != PointPolicy::Frozen);
        Ok(Self { policy, ..self })
    }

    /// The same over a plane that is to be written as `name` of `set`, once nothing can be refused any
    /// more.
    pub fn to_be_written(self, set: &'a RunSet, name: &'a str) -> Self {
        Self { unwritten: Some((set, name)), ..self }
    }

    /// Writes the plane where it is not there yet.
    ///
    /// # Errors
    /// Those of [`RunSet::write_plane`].
    pub(super) fn write_plane(&self) -> Result<()> {
        self.unwritten.map_or(Ok(()), |(set, name)| set.write_plane(name, self.plane))
    }

    fn checked(self) -> Result<Self> {
        if self.plane.about.layout_digest == self.subject.network().layout.digest() {
            Ok(self)
        } else {
            Err(Error::WrongNetwork)
        }
    }

    fn batch_norm(&self) -> BatchNormPolicy {
        match &self.end_of {
            _ if self.plane.buffers.is_empty() => BatchNormPolicy::None,
            Some(run) => BatchNormPolicy::FrozenAtEndOf { run: run.clone() },
            None => BatchNormPolicy::Frozen,
        }
    }

    /// The statistics that are frozen.
    pub(super) fn buffers(&self) -> &[f32] {
        if self.end_of.is_some() { &self.subject.buffers } else { &self.plane.buffers }
    }

    /// The loss on a sample with the frozen statistics.
    ///
    /// # Errors
    /// Those of [`Subject::objective`].
    pub fn objective(&self, sample: SampleChoice) -> Result<DatasetObjective> {
        self.with_statistics(self.subject.objective(sample)?)
    }

    /// The same loss with the statistics of this plane.
    fn with_statistics(&self, objective: DatasetObjective) -> Result<DatasetObjective> {
        let objective = objective.with_buffers(self.buffers().to_vec())?;
        match self.policy.filter(|_| objective.has_batch_norm()) {
            Some((PointPolicy::Recalibrated, images)) => {
                objective.recalibrated(self.subject.calibration(images)?)
            }
            Some((PointPolicy::Batch, _)) => Ok(objective.of_batches()),
            _ => Ok(objective),
        }
    }

    /// What a surface over `grid` with the loss of [`OverPlane::objective`] is.
    pub(super) fn header(
        &self,
        grid: Grid,
        sample: SampleChoice,
        objective: &DatasetObjective,
    ) -> Header {
        Header {
            format_version: FORMAT_VERSION,
            grid,
            plane_digest: self.plane.digest(),
            plane: self.plane.about.made.clone(),
            through: None,
            until: None,
            on: self.subject.evaluated_on(
                sample,
                objective,
                objective.point_statistics().unwrap_or_else(|| self.batch_norm()),
            ),
        }
    }

    /// The plane's vectors.
    pub(super) fn vectors(&self) -> [&[f32]; 3] {
        [&self.plane.origin, &self.plane.x, &self.plane.y]
    }
}

/// Evaluates a surface into `folder`, going on where an earlier call was interrupted.
///
/// # Errors
/// [`Error::OtherSurface`] for another surface in the folder, [`Error::Interrupted`], those of the
/// backend and of the disk.
pub fn compute(
    over: &OverPlane<'_>,
    folder: &Path,
    request: &SurfaceRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<(SurfaceStore, SurfaceReport)> {
    among::compute(&mut Team::alone(), over, folder, request, interrupt, progress)
}

/// Evaluates a loss of one's own over the plane of a run into its surface `name`, and at the snapshots of
/// its path, going on where an earlier call was interrupted. `on` says what the loss is a mean over.
///
/// The loss at a snapshot is that of its weights alone: what else the network holds (BatchNorm's running
/// statistics) is the objective's.
///
/// # Errors
/// [`Error::WrongNetwork`] for a plane of other parameters, [`Error::OtherSurface`] for another surface
/// of that name, [`Error::Interrupted`], those of the objective and of the disk.
pub fn of_objective(
    run: &OpenRun,
    plane: &Plane,
    name: &str,
    (objective, on): (&dyn Objective, EvaluatedOn),
    grid: Grid,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<(SurfaceStore, SurfaceReport)> {
    if plane.about.layout_digest != run.layout()?.digest() || objective.dim() != plane.origin.len()
    {
        return Err(Error::WrongNetwork);
    }
    let header = Header {
        format_version: FORMAT_VERSION,
        grid,
        plane_digest: plane.digest(),
        plane: plane.about.made.clone(),
        through: None,
        until: None,
        on,
    };
    let mut store = SurfaceStore::begin(&run.run().surface_dir(name)?, header, false)?;
    let vectors = [plane.origin.as_slice(), &plane.x, &plane.y];
    let report = evaluate(&mut store, vectors, objective, interrupt, progress)?;
    let mut losses = store.path_losses()?;
    for path in &plane.about.paths {
        let snapshots = run.snapshots_of(&path.path)?;
        for (i, point) in path.path.iter().enumerate() {
            if losses.get(&path.run, point.snapshot).is_some() {
                continue;
            }
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted {
                    remedy: "all cells are kept: the same call goes on from there".into(),
                });
            }
            let projected = theta_at(vectors[0], vectors[1], vectors[2], [point.x, point.y]);
            losses.append(vec![PathLoss {
                run: path.run.clone(),
                snapshot: point.snapshot,
                true_loss: objective.loss(&snapshots.state(i)?.0)?.loss,
                plane_loss: objective.loss(&projected)?.loss,
            }])?;
        }
    }
    Ok((store, report))
}

/// Measures gradients at `size` points over the ground of the finished surface `store`, on its images,
/// going on where an earlier call was interrupted.
///
/// # Errors
/// [`Error::Landscape`] for other gradients beside the surface; [`Error::Interrupted`]; those of the
/// backend and of the disk.
pub fn gradients(
    over: &OverPlane<'_>,
    store: &SurfaceStore,
    sample: SampleChoice,
    size: [usize; 2],
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<GradientStore> {
    let objective = over.objective(sample)?;
    at_points(over, store, size, |gradients: &mut GradientStore| {
        gradients.measure(over.vectors(), &objective, interrupt, progress)
    })
}

/// Measures the convexity of the loss at `size` points, as [`gradients`].
///
/// # Errors
/// As [`gradients`].
pub fn convexity(
    over: &OverPlane<'_>,
    store: &SurfaceStore,
    sample: SampleChoice,
    size: [usize; 2],
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<ConvexityStore> {
    let objective = over.objective(sample)?;
    let layout = &over.subject.network().layout;
    at_points(over, store, size, |convexity: &mut ConvexityStore| {
        convexity.measure(over.vectors(), &objective, layout, interrupt, progress)
    })
}

/// Opens or begins what is measured at `size` points over the ground of a surface, and goes on with it.
fn at_points<C: PointCell>(
    over: &OverPlane<'_>,
    store: &SurfaceStore,
    size: [usize; 2],
    measure: impl FnOnce(&mut PointStore<C>) -> Result<()>,
) -> Result<PointStore<C>> {
    if let Some((policy, _)) = over.policy {
        let problem = "but derivatives are those with statistics that stand still";
        let remedy = format!("use frozen, or leave out the {}", C::FOLDER);
        return Err(Error::bad_value("bn", policy, problem, remedy));
    }
    let mut header = Header { grid: point_grid(&store.header.grid, size), ..store.header.clone() };
    // Whatever the losses are evaluated in, derivatives are in f32.
    header.on.precision = Precision::F32;
    header.on.precision_error = None;
    let _lock = match PointStore::<C>::open(store.folder())? {
        Some(old) if old.missing().is_empty() => None,
        _ => store.take()?,
    };
    let mut points = PointStore::begin(store.folder(), header)?;
    measure(&mut points)?;
    Ok(points)
}

/// Evaluates every snapshot of every run on the surface's sample: itself, with its own network and
/// statistics, and its projection on the plane as the surface has it. What is done stays done.
///
/// # Errors
/// Those of reading snapshots, of the backend and of the disk; [`Error::StalePath`] for a snapshot
/// that the run no longer has; [`Error::Interrupted`].
pub fn path_losses(
    set: &RunSet,
    over: &OverPlane<'_>,
    store: &SurfaceStore,
    sample: SampleChoice,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<PathLosses> {
    among::path_losses(&mut Team::alone(), set, over, store, sample, interrupt, progress)
}

/// The surface's sample seen by a run's own network (its dropout and activation may differ).
fn own_objective(
    run: &OpenRun,
    subject: &Subject,
    frozen: &DatasetObjective,
) -> Result<DatasetObjective> {
    let network = run.spec()?.model.build(subject.data.shape(), subject.data.classes)?;
    let engine = &subject.backend;
    let engine = backend_in(engine.precision(), engine.name(), Arc::new(network))?;
    frozen.with_backend(engine, subject.buffers.clone())
}
