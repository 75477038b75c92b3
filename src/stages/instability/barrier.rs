//! The line between the ends of two children: how far error and loss rise on it.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::file::{Child, Fork, Pair, Rise, Rises, Settings};
use super::{ForkPoint, STABLE};
use crate::curvature::Mean;
use crate::dataset::SplitName;
use crate::landscape::Axis;
use crate::objective::BatchNormPolicy;
use crate::record::{Run, Status};
use crate::stages::curve::{CurvePoint, CurveRequest, FarEnd, Line, compute_line};
use crate::stages::line_loss::LineLoss;
use crate::stages::{OpenRun, RunChoice, SampleChoice, Subject};
use crate::train::Verdict;
use crate::{Error, Result};

/// The instability of one quantity between two children, and that of each image, whose mean it is; none where
/// it is not finite.
struct Found {
    rise: Rise,
    of_images: Option<Vec<f64>>,
}

/// Of the loss and, where something is classified, of the error.
type OfSplit = [Option<Found>; 2];

/// Evaluates the lines between all pairs of the children `runs` of a fork that did not diverge. `line` is told of
/// the points done and all of them, by the name of the line's folder in `root`.
///
/// # Errors
/// Those of opening the runs and their data, and of evaluating; [`Error::Interrupted`].
pub(super) fn measure(
    root: &Path,
    fork: ForkPoint,
    runs: &[Run],
    (settings, data_dir): (&Settings, Option<&Path>),
    interrupt: &AtomicBool,
    line: &(dyn Fn(&str, usize, usize) + Sync),
) -> Result<Fork> {
    let children: Vec<Child> = runs.iter().enumerate().map(child).collect::<Result<_>>()?;
    let (mut pairs, mut batch_norm) = (Vec::new(), None);
    // By split, each with one entry a pair.
    let mut all: [Vec<OfSplit>; 2] = Default::default();
    for a in (0..runs.len()).filter(|&a| !children[a].diverged) {
        let others: Vec<usize> = (a + 1..runs.len()).filter(|&b| !children[b].diverged).collect();
        if others.is_empty() {
            continue;
        }
        let choice = RunChoice { data_dir, ..RunChoice::default() };
        let subject = Subject::of_run_with(&runs[a], choice)?;
        for b in others {
            let (arch, layout) = (&subject.network().arch, &subject.network().layout);
            let far = FarEnd::of_run(arch, layout, &OpenRun::new(runs[b].clone()), None)?;
            let distance = distance(&subject.theta, &far.theta);
            let mut rises = Vec::new();
            for (split, all) in [SplitName::Train, SplitName::Test].into_iter().zip(&mut all) {
                let name = format!("epoch-{}_{}-{}_{split}", fork.epoch, a + 1, b + 1);
                let folder = root.join("lines").join(&name);
                let progress = |done, total| line(&name, done, total);
                let ends = (&subject, &far);
                let (found, policy) =
                    of_split(ends, split, (&folder, settings), interrupt, &progress)?;
                batch_norm = batch_norm.or(policy);
                let [loss, error] = found.each_ref().map(|of| of.as_ref().map(|of| of.rise));
                rises.push(Rises { loss, error });
                all.push(found);
            }
            let [train, test] = [rises[0], rises[1]];
            pairs.push(Pair { children: [a + 1, b + 1], distance, train, test });
        }
    }
    let [train, test] =
        all.map(|of_pairs| Rises { loss: mean_of(&of_pairs, 0), error: mean_of(&of_pairs, 1) });
    let distances: Vec<f64> = pairs.iter().map(|pair| pair.distance).collect();
    let distance = (!distances.is_empty()).then(|| Mean::of(&distances).value);
    let stable = test.error.map(|error| error.value < STABLE);
    let ForkPoint { epoch, step } = fork;
    Ok(Fork { epoch, step, children, pairs, batch_norm, distance, train, test, stable })
}

/// What a child ended with.
fn child((index, run): (usize, &Run)) -> Result<Child> {
    let status = run.manifest()?.status;
    let diverged = matches!(status, Status::Ended { verdict: Verdict::Diverged { .. }, .. });
    let last = run.metrics()?.epochs.pop().filter(|_| !diverged);
    let of = |value: Option<f64>| value.unwrap_or(f64::NAN);
    Ok(Child {
        run: run.name(),
        fork_seed: index as u64 + 1,
        diverged,
        train_loss: of(last.as_ref().map(|e| e.train_loss)),
        train_accuracy: of(last.as_ref().map(|e| e.train_accuracy)),
        test_loss: of(last.as_ref().map(|e| e.test_loss)),
        test_accuracy: of(last.as_ref().map(|e| e.test_accuracy)),
    })
}

/// ||a - b||.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
    squares.sum::<f64>().sqrt()
}

/// The instability on the line between two networks on images of `split`, whose points are kept in the folder, and
/// what was done with BatchNorm's statistics, where there is a line.
fn of_split(
    (subject, far): (&Subject, &FarEnd),
    split: SplitName,
    (folder, settings): (&Path, &Settings),
    interrupt: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(OfSplit, Option<BatchNormPolicy>)> {
    let samples = settings.samples.filter(|&n| n < subject.split_len(split));
    let sample = SampleChoice { split, samples, ..SampleChoice::default() };
    if subject.theta == far.theta && subject.buffers == far.buffers {
        // There is no line: both ends are one network.
        let images = samples.unwrap_or(subject.split_len(split));
        let rise = Rise { value: 0.0, se: Some(0.0), x: None };
        let nothing = || Some(Found { rise, of_images: Some(vec![0.0; images]) });
        let classifies = subject.data.split(split).targets.answers() > 0;
        return Ok(([nothing(), nothing().filter(|_| classifies)], None));
    }
    let request = CurveRequest {
        line: Line::ToState(far.clone()),
        axis: Axis { min: 0.0, max: 1.0, n: settings.points },
        sample,
        bn: Some(settings.bn),
        calibration: settings.bn_samples,
        align: false,
        replace: false,
    };
    let again = CurveRequest { replace: true, ..request.clone() };
    let (curve, line) = match compute_line(subject, folder, &request, interrupt, progress) {
        // What other settings or another training left.
        Err(Error::OtherSurface { .. }) => {
            compute_line(subject, folder, &again, interrupt, progress)?
        }
        computed => computed?,
    };
    let points = &curve.points;
    let ends = [points[0].x, points[points.len() - 1].x].map(|x| line.losses_and_accuracies(x));
    let [first, last] = ends;
    let of = (points.as_slice(), &line, [first?, last?]);
    let loss = rise(&of, |p| p.loss, |image| image[0])?;
    let classifies = points.iter().any(|p| !p.accuracy.is_nan());
    let error = classifies.then(|| rise(&of, |p| 1.0 - p.accuracy, |image| 1.0 - image[1]));
    Ok(([Some(loss), error.transpose()?], Some(curve.batch_norm)))
}

/// The points of a line, the loss that they are of, and loss and accuracy of each image at both ends.
type Evaluated<'a> = (&'a [CurvePoint], &'a LineLoss<'a>, [Vec<[f64; 2]>; 2]);

/// The rise of a quantity: its largest value on the line, less the mean of those at the ends. `of_point` tells it of
/// a point, `of_image` of an image's loss and accuracy.
fn rise(
    (points, line, [first, last]): &Evaluated<'_>,
    of_point: impl Fn(&CurvePoint) -> f64,
    of_image: impl Fn(&[f64; 2]) -> f64,
) -> Result<Found> {
    let values: Vec<f64> = points.iter().map(of_point).collect();
    let Some((highest, value)) = highest_above_ends(&values) else {
        let broken = values.iter().position(|v| !v.is_finite());
        let rise = Rise { value: f64::INFINITY, se: None, x: broken.map(|k| points[k].x) };
        return Ok(Found { rise, of_images: None });
    };
    // The same images everywhere: of each its own rise.
    let x = points[highest].x;
    let above = line.losses_and_accuracies(x)?;
    let of = |i: usize| of_image(&above[i]) - 0.5 * (of_image(&first[i]) + of_image(&last[i]));
    let of_images: Vec<f64> = (0..above.len()).map(of).collect();
    let se = Some(Mean::of(&of_images).se).filter(|se| se.is_finite());
    Ok(Found { rise: Rise { value, se, x: Some(x) }, of_images: Some(of_images) })
}

/// Which of `values` along a line is the largest, and how far it is above the mean of the first and the last; none
/// where one is not finite.
fn highest_above_ends(values: &[f64]) -> Option<(usize, f64)> {
    let [first, .., last] = *values else { return None };
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let highest =
        (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0);
    Some((highest, values[highest] - 0.5 * (first + last)))
}

/// The mean of one quantity's instabilities over pairs, with its standard error over the images, which are the
/// same for all pairs.
fn mean_of(pairs: &[OfSplit], quantity: usize) -> Option<Rise> {
    let found: Vec<&Found> = pairs.iter().filter_map(|pair| pair[quantity].as_ref()).collect();
    let count = found.len() as f64;
    if found.is_empty() {
        return None;
    }
    let value = found.iter().map(|of| of.rise.value).sum::<f64>() / count;
    let x = if let [one] = found[..] { one.rise.x } else { None };
    let known: Option<Vec<&Vec<f64>>> = found.iter().map(|of| of.of_images.as_ref()).collect();
    let se = known.and_then(|known| {
        let images = known[0].len();
        let mean = |i: usize| known.iter().map(|of| of[i]).sum::<f64>() / count;
        Some(Mean::of(&(0..images).map(mean).collect::<Vec<f64>>()).se).filter(|se| se.is_finite())
    });
    Some(Rise { value, se, x })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rise_is_above_the_mean_of_the_ends_and_never_below_zero() {
        assert_eq!(highest_above_ends(&[1.0, 4.0, 2.0]), Some((1, 2.5)));
        // Highest at an end: above the mean all the same. Of equals the first.
        assert_eq!(highest_above_ends(&[1.0, 1.5, 2.0]), Some((2, 0.5)));
        assert_eq!(highest_above_ends(&[2.0, 1.0, 2.0]), Some((0, 0.0)));
        assert_eq!(highest_above_ends(&[1.0, f64::NAN, 2.0]), None);
        assert_eq!(highest_above_ends(&[1.0, f64::INFINITY, 2.0]), None);
    }

    #[test]
    fn the_mean_over_pairs_has_the_error_of_the_mean_of_each_image() {
        let pair = |of_images: Option<Vec<f64>>, value: f64| -> OfSplit {
            [Some(Found { rise: Rise { value, se: None, x: Some(0.5) }, of_images }), None]
        };
        // The second pair has of each image what the first lacks: their mean is 1 for each.
        let pairs = [pair(Some(vec![0.0, 2.0]), 1.0), pair(Some(vec![2.0, 0.0]), 1.0)];
        let mean = mean_of(&pairs, 0).unwrap();
        assert_eq!((mean.value, mean.se, mean.x), (1.0, Some(0.0), None));
        let one = mean_of(&pairs[..1], 0).unwrap();
        assert_eq!((one.se, one.x), (Some(1.0), Some(0.5)));
        let infinite = [pair(Some(vec![0.0, 2.0]), 1.0), pair(None, f64::INFINITY)];
        let mean = mean_of(&infinite, 0).unwrap();
        assert!(mean.value.is_infinite() && mean.se.is_none());
        assert!(mean_of(&pairs, 1).is_none());
    }
}
