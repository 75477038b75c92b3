//! A line through parameter space: loss and accuracy along it. A curve is a surface of one row.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::line::Along;
pub use super::line::Line;
use super::opened::OpenRun;
use super::{Progress, SampleChoice, Subject, stale};
use crate::backend::Precision;
use crate::dataset::SplitName;
use crate::landscape::{Axis, Grid, Header, SurfaceStore, Through, digest_of, evaluate};
use crate::network::ParamLayout;
use crate::objective::{BatchNormPolicy, MovingStatistics, Objective};
use crate::record::{EvaluatedOn, FORMAT_VERSION};
use crate::{Error, Result};

/// One point of a curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Coordinate along the direction.
    pub x: f64,
    /// Mean loss; in JSON "NaN" or "inf" where it is not finite.
    #[serde(serialize_with = "crate::disk::float::serialize")]
    pub loss: f64,
    /// Share of right answers, 0..1.
    pub accuracy: f64,
    /// Standard error of the loss, likewise.
    #[serde(serialize_with = "crate::disk::float::serialize")]
    pub loss_se: f64,
}

/// A curve, with the keys scripts read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// In order of x.
    pub points: Vec<CurvePoint>,
    /// Images each is evaluated on.
    pub samples: usize,
    /// Of which split.
    pub split: SplitName,
    /// The line in words.
    pub direction: String,
    /// Whose BatchNorm statistics were used.
    pub batch_norm: BatchNormPolicy,
    /// The numbers that evaluation multiplied.
    pub precision: Precision,
    /// Seconds this call took.
    pub seconds: f64,
    /// What the user should know of the line, in sentences.
    pub notes: Vec<String>,
}

/// What to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveRequest {
    /// Which line.
    pub line: Line,
    /// Where on it, in units of the direction.
    pub axis: Axis,
    /// The images.
    pub sample: SampleChoice,
    /// Whether another curve in the folder is replaced.
    pub replace: bool,
}

/// Evaluates `request` from `subject` into `folder`, resumably. Where the line moves BatchNorm's statistics,
/// they are evaluated as it has them.
///
/// # Errors
/// Those of the direction file, of the backend and the disk; [`Error::Interrupted`].
pub fn compute(
    subject: &Subject,
    folder: &Path,
    request: &CurveRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Curve> {
    let (network, objective) = (subject.network(), subject.objective(request.sample)?);
    let through = Point {
        arch: &network.arch,
        layout: &network.layout,
        theta: &subject.theta,
        buffers: &subject.buffers,
        snapshot: subject.through,
    };
    let along = through.along(&request.line)?;
    let batch_norm = match &along.of_buffers {
        _ if subject.buffers.is_empty() => BatchNormPolicy::None,
        Some(_) => BatchNormPolicy::Interpolated,
        None => BatchNormPolicy::Frozen,
    };
    let on = subject.evaluated_on(request.sample, &objective, batch_norm);
    if along.of_buffers.is_none() {
        let of = (&objective as &dyn Objective, on);
        return on_line(&through, along, folder, request, of, interrupt, progress);
    }
    let moving = MovingStatistics::new(objective);
    on_line(&through, along, folder, request, (&moving, on), interrupt, progress)
}

/// The point that a line goes through.
pub(super) struct Point<'a> {
    /// The network's name, for messages.
    pub arch: &'a str,
    /// What its parameters are.
    pub layout: &'a ParamLayout,
    /// They, (P,).
    pub theta: &'a [f32],
    /// The network's buffers there.
    pub buffers: &'a [f32],
    /// Which snapshot of a run it is.
    pub snapshot: Option<Through>,
}

impl Point<'_> {
    fn along(&self, line: &Line) -> Result<Along> {
        line.direction(self.arch, self.layout, self.theta, self.buffers)
    }
}

/// Evaluates an objective whose buffers stand still on the line of `request`, whose sample is not read: `on`
/// says what the loss is a mean over.
///
/// # Errors
/// As [`compute`]; [`Error::BadValue`] for a line that moves the buffers.
pub(super) fn of_objective(
    through: &Point<'_>,
    folder: &Path,
    request: &CurveRequest,
    of: (&dyn Objective, EvaluatedOn),
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Curve> {
    let along = through.along(&request.line)?;
    if along.of_buffers.is_some() {
        return Err(Error::bad_value(
            "the line",
            along.made,
            "moves BatchNorm's statistics, which a loss of one's own does not take",
            "use a direction of the weights",
        ));
    }
    on_line(through, along, folder, request, of, interrupt, progress)
}

/// Evaluates an objective along a direction: of theta, or of theta and the buffers behind it where the line
/// moves them.
fn on_line(
    through: &Point<'_>,
    along: Along,
    folder: &Path,
    request: &CurveRequest,
    (objective, on): (&dyn Objective, EvaluatedOn),
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Curve> {
    let Point { theta, buffers, snapshot, .. } = *through;
    let Along { made, of_theta, of_buffers, notes } = along;
    let digested: Vec<&[f32]> =
        [theta, buffers, &of_theta].into_iter().chain(of_buffers.as_deref()).collect();
    let header = Header {
        format_version: FORMAT_VERSION,
        grid: Grid { x: request.axis, y: Axis { min: 0.0, max: 0.0, n: 1 } },
        plane_digest: digest_of(&digested),
        plane: made,
        through: snapshot,
        on,
    };
    let mut store = SurfaceStore::begin(folder, header, request.replace)?;
    let (origin, direction) = match of_buffers {
        None => (theta.to_vec(), of_theta),
        Some(of_buffers) => ([theta, buffers].concat(), [of_theta, of_buffers].concat()),
    };
    // The second direction has one coordinate, 0: any vector will do.
    let plane = [origin.as_slice(), &direction, &direction];
    let report = evaluate(&mut store, plane, objective, interrupt, progress)?;
    Ok(Curve { notes, ..curve_of(&store, report.seconds) })
}

/// The curve that a finished store holds.
fn curve_of(store: &SurfaceStore, seconds: f64) -> Curve {
    let on = &store.header.on;
    let samples = on.samples;
    let points = store.cells.iter().flatten().map(|cell| CurvePoint {
        x: store.header.grid.x.at(cell.k),
        loss: cell.loss,
        accuracy: cell.correct as f64 / samples as f64,
        loss_se: cell.loss_se,
    });
    Curve {
        points: points.collect(),
        samples,
        split: on.split,
        direction: store.header.plane.clone(),
        batch_norm: on.batch_norm.clone(),
        precision: on.precision,
        seconds,
        notes: Vec::new(),
    }
}

/// Opens a curve that was computed.
///
/// # Errors
/// [`Error::NoSurface`] when there is none, [`Error::Landscape`] for a surface.
pub fn open(folder: &Path) -> Result<Curve> {
    let store = SurfaceStore::open(folder)?;
    if store.header.grid.y.n != 1 {
        return Err(Error::Landscape {
            what: format!("{} holds a surface, not a curve", folder.display()),
            remedy: "name a curve's folder".into(),
        });
    }
    Ok(curve_of(&store, 0.0))
}

/// Refuses the curve `name` of a run that went on since.
///
/// # Errors
/// [`Error::CurveBehind`]; those of reading curve and run.
pub(super) fn check(run: &OpenRun, name: &str) -> Result<()> {
    let store = SurfaceStore::open(&run.run().curve_dir(name)?)?;
    stale::check_curve(run, name, store.header.through)
}
