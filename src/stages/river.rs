//! The path of a run beside the sharp directions of its loss: how much of each displacement lies in the
//! span of the leading eigenvectors of the Hessian and how much outside, and the plane of the two.
//!
//! Source: the loss as a river valley, Wen et al. 2024 (arXiv 2410.05192), where a stable learning rate
//! makes its way along the river while it oscillates up the mountain sides, and its decay settles the
//! oscillation. What is measured is the displacement between snapshots: an oscillation that returns
//! within the interval between two does not show.

use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::opened::RunSet;
use super::plane::{Directions, of_run_along};
use super::{Progress, SampleChoice, Subject};
use crate::curvature::{Extremes, ExtremesConfig, Parts, Subspace, leading};
use crate::landscape::{Plane, PlaneKind};
use crate::names::named_enum;
use crate::objective::{DatasetObjective, Objective};
use crate::record::{Run, RunSnapshots};
use crate::rng::Streams;
use crate::{Error, Result};

named_enum! {
    /// Where the Hessian is taken whose eigenvectors split the displacements.
    #[derive(Default)]
    pub enum HessianAt("place of the Hessian") {
        /// At each snapshot, the start of the displacement.
        #[default]
        Own = "own",
        /// At the last snapshot, for all displacements.
        End = "end",
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RiverRequest {
    /// The images of the loss.
    pub sample: SampleChoice,
    /// How many eigenvectors, how well.
    pub config: ExtremesConfig,
    /// Where the Hessian is taken.
    pub at: HessianAt,
}

/// The displacements of a run, split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct River {
    /// Eigenvectors that span the sharp directions.
    pub eigenvectors: usize,
    /// Where the Hessian was taken.
    pub hessian_at: HessianAt,
    /// Images of the sample.
    pub samples: usize,
    /// Parameters, P.
    pub parameters: usize,
    /// The share that a displacement in a random direction would have along the eigenvectors: their
    /// number over P.
    pub random_share: f64,
    /// One entry a snapshot.
    pub snapshots: Vec<RiverPoint>,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RiverPoint {
    /// Its number.
    pub snapshot: usize,
    /// Optimizer steps made.
    pub step: u64,
    /// Epochs made.
    pub epoch: f64,
    /// Learning rate of its last step.
    pub lr: f64,
    /// The loss on the sample, with the snapshot's own BatchNorm statistics.
    pub loss: f64,
    /// The largest eigenvalues of the Hessian that split its displacements, falling.
    pub eigenvalues: Vec<f64>,
    /// Their residuals.
    pub residuals: Vec<f64>,
    /// Whether those are within the tolerance.
    pub converged: bool,
    /// The way to the next snapshot; none for the last.
    pub to_next: Option<Split>,
    /// The way to the last snapshot; none for the last.
    pub to_end: Option<Split>,
}

/// A displacement, split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Split {
    /// Squared length of the part along the eigenvectors: the mountain.
    pub mountain: f64,
    /// Squared length of the rest: the river.
    pub river: f64,
    /// mountain / (mountain + river); none for a displacement of no length.
    pub share: Option<f64>,
}

impl From<Parts> for Split {
    fn from(parts: Parts) -> Self {
        let share = Some(parts.share_inside()).filter(|share| share.is_finite());
        Self { mountain: parts.inside, river: parts.outside, share }
    }
}

/// Splits the displacements of `run`; `progress` counts snapshots.
///
/// # Errors
/// [`Error::Landscape`] for a run without two snapshots at which the loss is finite, or whose Hessian has
/// none; [`Error::Interrupted`]; those of the disk and the backend.
pub fn measure(
    run: &Run,
    subject: &Subject,
    request: &RiverRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<River> {
    let path = Path::open(run, subject, request)?;
    let last = path.len() - 1;
    let (end, _) = path.snapshots.state(last)?;
    let at_end = match request.at {
        HessianAt::Own => None,
        HessianAt::End => Some(path.leading(last, request, interrupt)?),
    };
    let mut points = Vec::with_capacity(path.len());
    for (i, info) in path.snapshots.infos().iter().enumerate() {
        progress(i, path.len());
        let (theta, buffers) = path.snapshots.state(i)?;
        let loss = path.objective.with_buffers(buffers)?.loss(&theta)?.loss;
        let own = match at_end {
            None => Some(path.leading(i, request, interrupt)?),
            Some(_) => None,
        };
        let (found, sharp) = own.as_ref().or(at_end.as_ref()).expect("one of the two is there");
        let split = |to: &[f32]| Split::from(sharp.parts(&difference(to, &theta)));
        let next = (i < last).then(|| path.snapshots.state(i + 1)).transpose()?;
        points.push(RiverPoint {
            snapshot: info.index,
            step: info.step,
            epoch: info.epoch,
            lr: info.lr,
            loss,
            eigenvalues: found.eigenvalues.clone(),
            residuals: found.residuals.clone(),
            converged: found.converged,
            to_next: next.map(|(next, _)| split(&next)),
            to_end: (i < last).then(|| split(&end)),
        });
    }
    progress(path.len(), path.len());
    let parameters = end.len();
    let eigenvectors = request.config.largest.min(parameters);
    Ok(River {
        eigenvectors,
        hessian_at: request.at,
        samples: path.objective.samples(),
        parameters,
        random_share: eigenvectors as f64 / parameters as f64,
        snapshots: points,
    })
}

/// Makes the plane of the sharpest direction at the end of `run` (x) and of what is left of its whole
/// displacement without its part along the leading eigenvectors there (y), both of length 1, and writes
/// it as `planes/NAME`: `surface` and `render` take it like any other.
///
/// # Errors
/// As [`measure`], and those of writing.
pub fn plane(
    run: &Run,
    subject: &Subject,
    request: &RiverRequest,
    name: &str,
    interrupt: &AtomicBool,
) -> Result<Plane> {
    let path = Path::open(run, subject, request)?;
    let last = path.len() - 1;
    let (_, sharp) = path.leading(last, request, interrupt)?;
    let ((start, _), (end, _)) = (path.snapshots.state(0)?, path.snapshots.state(last)?);
    let along = sharp.remainder(&difference(&end, &start));
    let length = along.iter().map(|v| v * v).sum::<f64>().sqrt();
    if !(length > 0.0 && length.is_finite()) {
        return Err(Error::Landscape {
            what: "the run did not move outside its sharp directions".into(),
            remedy: "ask for fewer eigenvectors, or train for longer".into(),
        });
    }
    // The path begins at the left.
    let mut x = sharp.vectors()[0].clone();
    let first = sharp.coordinates(&difference(&start, &end))[0];
    if first > 0.0 {
        x.iter_mut().for_each(|v| *v = -*v);
    }
    let y = along.iter().map(|v| (v / length) as f32).collect();
    let k = sharp.dim();
    let made = format!(
        "x: sharpest direction at the end (leading eigenvector of the Hessian on {} {} images); y: the \
         path from start to end without its part along the {k} leading eigenvector{}",
        path.objective.samples(),
        request.sample.split.adjective(),
        if k == 1 { "" } else { "s" },
    );
    let vectors = Box::new([x, y]);
    let plane = of_run_along(run, &Directions::Given { kind: PlaneKind::River, made, vectors })?;
    RunSet::from(run.clone()).write_plane(name, &plane)?;
    Ok(plane)
}

/// The snapshots of a run at which the loss is finite, and the loss.
struct Path {
    snapshots: RunSnapshots,
    objective: DatasetObjective,
}

impl Path {
    fn open(run: &Run, subject: &Subject, request: &RiverRequest) -> Result<Self> {
        let mut infos = run.snapshots()?;
        infos.retain(|s| !s.diverged);
        if infos.len() < 2 {
            return Err(Error::Landscape {
                what: format!("{} has fewer than two snapshots that are finite", run.name()),
                remedy: "record more snapshots (record.every)".into(),
            });
        }
        let snapshots = RunSnapshots::new(infos, subject.network().layout.clone());
        Ok(Self { snapshots, objective: subject.objective(request.sample)? })
    }

    fn len(&self) -> usize {
        self.snapshots.infos().len()
    }

    /// The leading eigenvectors at snapshot `i`, with its own BatchNorm statistics.
    fn leading(
        &self,
        i: usize,
        request: &RiverRequest,
        interrupt: &AtomicBool,
    ) -> Result<(Extremes, Subspace)> {
        let (theta, buffers) = self.snapshots.state(i)?;
        let objective = self.objective.with_buffers(buffers)?;
        let streams = Streams::new(request.sample.seed);
        let found = leading(&objective, &theta, request.config, &streams, interrupt)?;
        if found.1.dim() == 0 {
            return Err(Error::Landscape {
                what: format!(
                    "the Hessian at snapshot {} is not finite",
                    self.snapshots.infos()[i].index
                ),
                remedy: "lower optim.lr and train again".into(),
            });
        }
        Ok(found)
    }
}

/// to - from, (P,).
fn difference(to: &[f32], from: &[f32]) -> Vec<f64> {
    to.iter().zip(from).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_no_length_has_no_share() {
        let split = Split::from(Parts { inside: 1.0, outside: 3.0 });
        assert_eq!((split.mountain, split.river, split.share), (1.0, 3.0, Some(0.25)));
        assert_eq!(Split::from(Parts { inside: 0.0, outside: 0.0 }).share, None);
    }
}
