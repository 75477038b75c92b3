//! A line through parameter space: loss and accuracy along it. A curve is a surface of one row.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::opened::OpenRun;
use super::plane::{draw_words, flat_direction};
use super::{Progress, SampleChoice, Subject, stale};
use crate::backend::Precision;
use crate::dataset::SplitName;
use crate::landscape::{
    Axis, Grid, Header, Ignore, Normalisation, SurfaceStore, Through, digest_of, evaluate,
    random_direction,
};
use crate::network::ParamLayout;
use crate::objective::{BatchNormPolicy, Objective};
use crate::record::{EvaluatedOn, FORMAT_VERSION};
use crate::rng::Streams;
use crate::weights::hdf5;
use crate::{Error, Result};

/// Which line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Along the `xdirection` of an HDF5 file of the paper's code.
    File(PathBuf),
    /// Along a random direction.
    Random {
        /// How it is scaled.
        norm: Normalisation,
        /// What it leaves alone.
        ignore: Ignore,
        /// Seed of the draw.
        seed: u64,
    },
}

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

/// Evaluates `request` from `subject` into `folder`, resumably.
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
    let objective = subject.objective(request.sample)?;
    let frozen = !subject.buffers.is_empty();
    let batch_norm = if frozen { BatchNormPolicy::Frozen } else { BatchNormPolicy::None };
    let through = Point {
        layout: &subject.network().layout,
        theta: &subject.theta,
        buffers: &subject.buffers,
        snapshot: subject.through,
    };
    let on = subject.evaluated_on(request.sample, &objective, batch_norm);
    of_objective(&through, folder, request, (&objective, on), interrupt, progress)
}

/// The point that a line goes through.
pub(super) struct Point<'a> {
    /// What its parameters are.
    pub layout: &'a ParamLayout,
    /// They, (P,).
    pub theta: &'a [f32],
    /// The network's buffers there.
    pub buffers: &'a [f32],
    /// Which snapshot of a run it is.
    pub snapshot: Option<Through>,
}

/// Evaluates an objective with its buffers on the line of `request`, whose sample is not read: `on` says
/// what the loss is a mean over.
pub(super) fn of_objective(
    through: &Point<'_>,
    folder: &Path,
    request: &CurveRequest,
    (objective, on): (&dyn Objective, EvaluatedOn),
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Curve> {
    let CurveRequest { line, axis, replace, .. } = request;
    let Point { layout, theta, buffers, snapshot } = *through;
    let (made, direction) = match line {
        Line::File(path) => {
            let file = hdf5::read_directions(path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            (format!("direction of {name}"), flat_direction(layout, &file.x, path)?)
        }
        Line::Random { norm, ignore, seed } => (
            format!("random direction, {}", draw_words(*norm, *ignore, *seed)),
            random_direction(layout, theta, *norm, *ignore, &Streams::new(*seed), 0),
        ),
    };
    let header = Header {
        format_version: FORMAT_VERSION,
        grid: Grid { x: *axis, y: Axis { min: 0.0, max: 0.0, n: 1 } },
        plane_digest: digest_of(&[theta, buffers, &direction]),
        plane: made,
        through: snapshot,
        on,
    };
    let mut store = SurfaceStore::begin(folder, header, *replace)?;
    // The second direction has one coordinate, 0: any vector will do.
    let plane = [theta, &direction, &direction];
    let report = evaluate(&mut store, plane, objective, interrupt, progress)?;
    Ok(curve_of(&store, report.seconds))
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
