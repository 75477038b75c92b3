//! A line through parameter space: loss and accuracy along it. A curve is a surface of one row.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::opened::OpenRun;
use super::plane::{draw_words, flat_direction};
use super::subject::fit;
use super::{Progress, SampleChoice, Subject, stale};
use crate::backend::Precision;
use crate::dataset::SplitName;
use crate::landscape::{
    Axis, Grid, Header, Ignore, Normalisation, SurfaceStore, digest_of, evaluate, random_direction,
};
use crate::network::ParamLayout;
use crate::objective::{BatchNormPolicy, MovingStatistics};
use crate::record::FORMAT_VERSION;
use crate::rng::Streams;
use crate::weights::{NamedTensor, hdf5};
use crate::{Error, Result, weights};

/// Which line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Along the `xdirection` of an HDF5 file of the paper's code: of the weights, or of the whole state
    /// (`states`), BatchNorm's running statistics too.
    File(PathBuf),
    /// To the network of another file of weights, which is at 1, statistics and all.
    To {
        /// The file.
        path: PathBuf,
        /// Which weights in it; see [`crate::weights::read_key`].
        key: Option<String>,
    },
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
    let CurveRequest { line, axis, sample, replace } = request;
    let layout = &subject.network().layout;
    let mut notes = Vec::new();
    let (made, direction, of_buffers) = match line {
        Line::File(path) => {
            let file = hdf5::read_directions(path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let (of_theta, of_buffers) = state_direction(layout, &file.x, path)?;
            if of_buffers.is_none() && !subject.buffers.is_empty() {
                notes.push(
                    "the direction has weights only: BatchNorm keeps the statistics of x = 0 all along, so \
                     that the loss at another network's weights is not that network's own"
                        .into(),
                );
            }
            (format!("direction of {name}"), of_theta, of_buffers)
        }
        Line::To { path, key } => {
            let other = fit(subject.network(), &weights::read_key(path, key.as_deref())?)?;
            notes.extend(other.notes.iter().map(|note| format!("{}: {note}", path.display())));
            let (params, buffers) = other.tensors.split_at(layout.params.len());
            let to = |from: &[f32], tensors: &[NamedTensor]| -> Vec<f32> {
                let values = tensors.iter().flat_map(|t| t.data.iter());
                values.zip(from).map(|(b, a)| b - a).collect()
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let of_buffers = to(&subject.buffers, buffers);
            (format!("line to {name}"), to(&subject.theta, params), Some(of_buffers))
        }
        Line::Random { norm, ignore, seed } => (
            format!("random direction, {}", draw_words(*norm, *ignore, *seed)),
            random_direction(layout, &subject.theta, *norm, *ignore, &Streams::new(*seed), 0),
            None,
        ),
    };
    let objective = subject.objective(*sample)?;
    let moving = of_buffers.filter(|_| !subject.buffers.is_empty());
    let batch_norm = match moving {
        _ if subject.buffers.is_empty() => BatchNormPolicy::None,
        Some(_) => BatchNormPolicy::Interpolated,
        None => BatchNormPolicy::Frozen,
    };
    let header = Header {
        format_version: FORMAT_VERSION,
        grid: Grid { x: *axis, y: Axis { min: 0.0, max: 0.0, n: 1 } },
        plane_digest: match &moving {
            None => digest_of(&[&subject.theta, &subject.buffers, &direction]),
            Some(of_buffers) => {
                digest_of(&[&subject.theta, &subject.buffers, &direction, of_buffers])
            }
        },
        plane: made.clone(),
        through: subject.through,
        on: subject.evaluated_on(*sample, &objective, batch_norm),
    };
    let mut store = SurfaceStore::begin(folder, header, *replace)?;
    // The second direction has one coordinate, 0: any vector will do.
    let report = match moving {
        None => {
            let plane = [subject.theta.as_slice(), &direction, &direction];
            evaluate(&mut store, plane, &objective, interrupt, progress)?
        }
        Some(of_buffers) => {
            let origin = [subject.theta.as_slice(), &subject.buffers].concat();
            let direction = [direction, of_buffers].concat();
            let objective = MovingStatistics::new(objective);
            let plane = [origin.as_slice(), &direction, &direction];
            evaluate(&mut store, plane, &objective, interrupt, progress)?
        }
    };
    Ok(Curve { notes, ..curve_of(&store, report.seconds) })
}

/// A direction of the paper's code as flat vectors: of the weights, and of the buffers where it is of the
/// whole state dict, in whose order its tensors then are.
fn state_direction(
    layout: &ParamLayout,
    tensors: &[NamedTensor],
    path: &Path,
) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
    if tensors.len() == layout.params.len() {
        return Ok((flat_direction(layout, tensors, path)?, None));
    }
    // A BatchNorm's entries: weight, bias, mean, variance, and since PyTorch 0.4.1 a counter.
    let norms = layout.buffers.len() / 2;
    let counters = match tensors.len().checked_sub(layout.params.len() + layout.buffers.len()) {
        Some(0) => false,
        Some(n) if n == norms => true,
        // The error of a direction of another network.
        _ => return Ok((flat_direction(layout, tensors, path)?, None)),
    };
    let mut rest = tensors.iter();
    let (mut of_theta, mut of_buffers) = (Vec::new(), vec![None; layout.buffers.len()]);
    for param in &layout.params {
        of_theta.extend(rest.next().cloned());
        let Some(layer) = param.name.strip_suffix(".bias") else { continue };
        for statistic in ["running_mean", "running_var"] {
            let name = format!("{layer}.{statistic}");
            if let Some(at) = layout.buffers.iter().position(|b| b.name == name) {
                of_buffers[at] = rest.next().filter(|t| t.shape == layout.buffers[at].shape);
                if statistic == "running_var" && counters {
                    rest.next();
                }
            }
        }
    }
    let of_theta = flat_direction(layout, &of_theta, path)?;
    let of_buffers: Option<Vec<&NamedTensor>> = of_buffers.into_iter().collect();
    let of_buffers = of_buffers.ok_or_else(|| Error::BadFile {
        what: "the direction has BatchNorm statistics of other shapes than the network".into(),
        remedy: "use a direction made for this network".into(),
        path: path.to_path_buf(),
    })?;
    Ok((of_theta, Some(of_buffers.iter().flat_map(|t| t.data.iter().copied()).collect())))
}

/// The curve that a finished store holds.
pub(super) fn curve_of(store: &SurfaceStore, seconds: f64) -> Curve {
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
