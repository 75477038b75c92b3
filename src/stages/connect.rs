//! Two solutions to a trained curve between them (Garipov et al. 2018), and the loss along it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::curve::{Curve, CurveBarrier, curve_of};
use super::line::FarEnd;
use super::opened::OpenRun;
use super::{Progress, SampleChoice, Subject, data};
use crate::backend::TrainPass;
use crate::dataset::{Augmentation, Batcher, batches, epoch_order};
use crate::landscape::{Axis, Grid, Header, Shape, SurfaceStore, digest_of, evaluate};
use crate::objective::{BatchNormPolicy, DatasetObjective, Evaluation, Objective};
use crate::record::{FORMAT_VERSION, Run};
use crate::rng::Streams;
use crate::weights::{SafetensorsFile, write_safetensors};
use crate::{Error, Result, disk};

/// What is trained and evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConnectRequest {
    /// The shape.
    pub shape: Shape,
    /// Passes over the training images of the first end's run.
    pub epochs: u64,
    /// Learning rate of SGD with momentum 0.9 at the beginning; it falls to zero as a cosine.
    pub lr: f64,
    /// Points of [0, 1] at which the loss is evaluated.
    pub points: usize,
    /// On which images.
    pub sample: SampleChoice,
    /// Training images that BatchNorm's statistics are computed of at each point.
    pub calibration: usize,
    /// Whether another curve of the name is replaced.
    pub replace: bool,
}

/// The loss along a curve as a function of t alone.
struct Along<'a> {
    objective: &'a DatasetObjective,
    shape: Shape,
    points: [&'a [f32]; 3],
}

impl Objective for Along<'_> {
    fn dim(&self) -> usize {
        1
    }

    fn loss(&self, t: &[f32]) -> Result<Evaluation> {
        self.objective.loss(&self.shape.at(f64::from(t[0]), self.points))
    }

    /// # Errors
    /// Always: the loss along a curve is evaluated, not descended.
    fn loss_and_grad(&self, _t: &[f32], _grad: &mut [f32]) -> Result<f64> {
        Err(Error::bad_value("the gradient", "along a curve", "not computed", "use the loss"))
    }
}

/// Trains the curve of `request` from the last state of `run`, which is `subject`, to `far`, and evaluates the
/// loss along it into `folder`. The bend is kept beside it, and not trained again.
///
/// # Errors
/// Those of the run, of the backend and the disk; [`Error::BadValue`] for a learning rate that is none;
/// [`Error::Interrupted`] (what was trained is lost, what was evaluated is kept); [`Error::Landscape`] where
/// training diverges.
pub fn compute(
    run: &Run,
    subject: &Subject,
    far: &FarEnd,
    folder: &Path,
    request: &ConnectRequest,
    interrupt: &AtomicBool,
    [training, progress]: [Progress<'_>; 2],
) -> Result<Curve> {
    if !(request.lr > 0.0 && request.lr.is_finite()) {
        let remedy = "use a positive number such as 0.03";
        return Err(Error::bad_value("--lr", request.lr, "not a learning rate", remedy));
    }
    let ends = [subject.theta.as_slice(), &far.theta];
    let mut objective = subject.objective(request.sample)?;
    if objective.has_batch_norm() {
        objective = objective.recalibrated(subject.calibration(request.calibration)?)?;
    }
    let policy = match objective.point_statistics() {
        Some(policy) => policy,
        None => BatchNormPolicy::None,
    };
    let words = format!(
        "{} curve to {}, {} epochs at a learning rate of {}, seed {}",
        request.shape, far.name, request.epochs, request.lr, request.sample.seed
    );
    let header = Header {
        format_version: FORMAT_VERSION,
        grid: Grid {
            x: Axis { min: 0.0, max: 1.0, n: request.points },
            y: Axis { min: 0.0, max: 0.0, n: 1 },
        },
        // The bend follows from the ends and from how it is trained, which is in the words.
        plane_digest: digest_of(&[ends[0], ends[1]]),
        plane: words.clone(),
        through: subject.through,
        until: None,
        on: subject.evaluated_on(request.sample, &objective, policy),
    };
    let mut store = SurfaceStore::begin(folder, header, request.replace)?;
    let path = folder.join("bend.safetensors");
    let bend = match kept(&path, &words, ends[0].len())? {
        Some(bend) => bend,
        None => {
            let bend = train(run, subject, ends, request, interrupt, training)?;
            let about = vec![("made".to_string(), words.clone())];
            write_safetensors(&path, &[("theta", &[bend.len()], &bend)], &about)?;
            bend
        }
    };
    let points = [ends[0], &bend, ends[1]];
    let along = Along { objective: &objective, shape: request.shape, points };
    let report = evaluate(&mut store, [&[0.0], &[1.0], &[0.0]], &along, interrupt, progress)?;
    let mut curve = curve_of(&store, report.seconds);
    curve.barrier =
        CurveBarrier::of(&curve.points, |t| objective.losses(&request.shape.at(t, points)))?;
    curve.notes = far.notes.clone();
    Ok(curve)
}

/// The bend that was trained before, if it is of the same curve.
fn kept(path: &Path, words: &str, dim: usize) -> Result<Option<Vec<f32>>> {
    if !disk::is_there(path)? {
        return Ok(None);
    }
    let mut file = SafetensorsFile::open(path)?;
    if file.meta("made") != Some(words) {
        return Ok(None);
    }
    let bend = file.read("theta")?.data;
    Ok((bend.len() == dim).then_some(bend))
}

/// The bend of the curve between `ends`, begun halfway between them.
fn train(
    run: &Run,
    subject: &Subject,
    ends: [&[f32]; 2],
    request: &ConnectRequest,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<Vec<f32>> {
    let opened = OpenRun::new(run.clone());
    let setup = opened.spec()?.setup(&data::of_run(&opened, None)?)?;
    let train = &setup.data.train;
    let batcher = Batcher::new(train, setup.data.max_value, &setup.stats)?;
    let streams = Streams::new(request.sample.seed);
    let steps_per_epoch = setup.steps_per_epoch()?;
    let total = steps_per_epoch.saturating_mul(request.epochs);
    let mut bend: Vec<f32> = ends[0].iter().zip(ends[1]).map(|(a, b)| 0.5 * (a + b)).collect();
    let mut velocity = vec![0.0f32; bend.len()];
    let (mut grad, mut buffers) = (vec![0.0; bend.len()], subject.buffers.clone());
    let mut rng = streams.stream("curve", 0);
    let mut step = 0u64;
    for epoch in 0..request.epochs {
        let order = epoch_order(&streams, epoch, train.len());
        let augmentation = Augmentation { augment: setup.augment, streams, epoch };
        for indices in batches(&order, setup.train.batch_size, setup.train.last_batch)? {
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted { remedy: "run the same command again".into() });
            }
            progress(step as usize, total as usize);
            let (images, targets) = batcher.batch(indices, Some(&augmentation));
            let t = rng.uniform();
            let theta = request.shape.at(t, [ends[0], &bend, ends[1]]);
            let found = setup.backend.train_pass(
                TrainPass {
                    theta: &theta,
                    buffers: &mut buffers,
                    images: &images,
                    targets: targets.view(),
                    label_smoothing: setup.train.label_smoothing,
                    streams: &streams,
                    step,
                },
                &mut grad,
            )?;
            if !found.loss.is_finite() {
                return Err(Error::Landscape {
                    what: format!("the curve diverged at step {step} of {total}"),
                    remedy: "lower the learning rate (--lr)".into(),
                });
            }
            let share = request.shape.weights(t)[1] as f32;
            let done = step as f64 / total as f64;
            let lr = (request.lr * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())) as f32;
            for ((w, v), g) in bend.iter_mut().zip(&mut velocity).zip(&grad) {
                *v = 0.9 * *v + share * g;
                *w -= lr * *v;
            }
            step += 1;
        }
    }
    progress(total as usize, total as usize);
    Ok(bend)
}
