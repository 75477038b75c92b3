//! A line through parameter space: loss and accuracy along it. A curve is a surface of one row.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::line::Along;
pub use super::line::{FarEnd, Line};
use super::line_loss::LineLoss;
use super::opened::OpenRun;
use super::{Progress, SampleChoice, Subject, stale};
use crate::backend::Precision;
use crate::curvature::Mean;
use crate::dataset::SplitName;
use crate::landscape::{Axis, Grid, Header, SurfaceStore, Through, digest_of, evaluate};
use crate::measures::barrier;
use crate::network::ParamLayout;
use crate::objective::{BatchNormPolicy, Objective, PointPolicy};
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
    /// Share of right answers, 0..1; NaN where nothing is right or wrong.
    #[serde(serialize_with = "crate::disk::float::serialize")]
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
    /// The barrier between both ends, on a line or a curve between two networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barrier: Option<CurveBarrier>,
    /// What the user should know of the line, in sentences.
    pub notes: Vec<String>,
}

impl Curve {
    /// Whether it goes from one network, at 0, to another, at 1.
    pub fn is_between(&self) -> bool {
        // As `Line` and the trained shapes say it.
        self.direction.starts_with("line to ") || self.direction.contains(" curve to ")
    }
}

/// How far the loss rises above the straight line between that at 0 and that at 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurveBarrier {
    /// The height; 0 where it does not rise.
    #[serde(serialize_with = "crate::disk::float::serialize")]
    pub value: f64,
    /// Its standard error over the images, which are the same at all points.
    #[serde(serialize_with = "crate::disk::optional_float::serialize")]
    pub se: Option<f64>,
    /// Where it is.
    #[serde(serialize_with = "crate::disk::float::serialize")]
    pub x: f64,
}

impl CurveBarrier {
    /// The barrier of `points` between 0 and 1, where both are among them; `losses` has the loss of each image
    /// at a coordinate.
    pub(super) fn of(
        points: &[CurvePoint],
        losses: impl Fn(f64) -> Result<Vec<f64>>,
    ) -> Result<Option<Self>> {
        let inside = |p: &&CurvePoint| (-1e-9..=1.0 + 1e-9).contains(&p.x);
        let between: Vec<&CurvePoint> = points.iter().filter(inside).collect();
        let is_whole = |p: &&&CurvePoint| p.x.abs() < 1e-9 || (p.x - 1.0).abs() < 1e-9;
        if between.iter().filter(is_whole).count() < 2 {
            return Ok(None);
        }
        let xs: Vec<f64> = between.iter().map(|p| p.x).collect();
        let values: Vec<f64> = between.iter().map(|p| p.loss).collect();
        let Some(found) = barrier(&xs, &values) else { return Ok(None) };
        if !(found.height > 0.0 && found.height.is_finite()) {
            return Ok(Some(Self { value: found.height, se: None, x: found.at }));
        }
        // The same images everywhere: of each its own rise.
        let (t, at) = (found.at, [losses(xs[found.index])?, losses(0.0)?, losses(1.0)?]);
        let rises: Vec<f64> =
            (0..at[0].len()).map(|i| at[0][i] - ((1.0 - t) * at[1][i] + t * at[2][i])).collect();
        let se = Some(Mean::of(&rises).se).filter(|se| se.is_finite());
        Ok(Some(Self { value: found.height, se, x: found.at }))
    }
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
    /// What is done with BatchNorm's statistics; by default they are interpolated where the line moves them, and
    /// else frozen.
    pub bn: Option<PointPolicy>,
    /// Training images that they are computed of, where they are recalibrated.
    pub calibration: usize,
    /// Whether the units of the network at the far end are put into the order of this one's before.
    pub align: bool,
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
    let (mut curve, line) = compute_line(subject, folder, request, interrupt, progress)?;
    if matches!(request.line, Line::To { .. } | Line::ToState(_)) {
        curve.barrier = CurveBarrier::of(&curve.points, |x| line.losses(x))?;
    }
    Ok(curve)
}

/// [`compute`] without a barrier, and the loss that it is of.
///
/// # Errors
/// As [`compute`].
pub(super) fn compute_line<'a>(
    subject: &'a Subject,
    folder: &Path,
    request: &CurveRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<(Curve, LineLoss<'a>)> {
    let network = subject.network();
    let through = Point {
        arch: &network.arch,
        layout: &network.layout,
        theta: &subject.theta,
        buffers: &subject.buffers,
        snapshot: subject.through,
    };
    let line = if request.align { aligned(subject, &request.line)? } else { request.line.clone() };
    let along = through.along(&line)?;
    let line = LineLoss::new(subject, along, request.sample, (request.bn, request.calibration))?;
    let of = (line.objective(), line.on.clone());
    let curve = on_line(&through, line.along.clone(), folder, request, of, interrupt, progress)?;
    Ok((curve, line))
}

/// `line` to the network at its far end with its units in the order of those of `subject`.
fn aligned(subject: &Subject, line: &Line) -> Result<Line> {
    let network = subject.network();
    let far = match line {
        Line::To { path, key } => {
            FarEnd::of_file(&network.arch, &network.layout, path, key.as_deref())?
        }
        Line::ToState(far) => far.clone(),
        _ => {
            let remedy = "name another network (--to), or leave it out";
            let problem = "but the line leads to no network whose units could be permuted";
            return Err(Error::bad_value("--align", "given", problem, remedy));
        }
    };
    far.aligned(subject).map(Line::ToState)
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
        until: None,
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
pub(super) fn curve_of(store: &SurfaceStore, seconds: f64) -> Curve {
    let on = &store.header.on;
    let samples = on.samples;
    let points = store.cells.iter().flatten().map(|cell| CurvePoint {
        x: store.header.grid.x.at(cell.k),
        loss: cell.loss,
        accuracy: on.accuracy(cell.correct),
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
        barrier: None,
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
