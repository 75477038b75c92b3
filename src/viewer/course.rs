//! A run's metrics as the curves below a page's surfaces.

use super::arrays::{ArrayRef, Arrays};
use super::content::Series;
use crate::record::{GradientNoiseRecord, Metrics, OvershootRecord};
use crate::stages::sharpness::{Sharpness, SharpnessOf};

/// Of more values than this a curve is thinned.
const POINTS: usize = 600;

/// Steps to seconds of training, by straight lines between the logged times.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<(f64, f64)>);

impl Times {
    /// The times that `metrics` has: each step's, or each epoch's.
    pub(super) fn of(metrics: &Metrics) -> Self {
        let steps = metrics.steps.iter().filter_map(|s| Some((s.step as f64, s.elapsed_secs?)));
        let mut known: Vec<(f64, f64)> = steps.collect();
        if known.is_empty() {
            known = metrics.epochs.iter().map(|e| (e.step as f64, e.elapsed_secs)).collect();
        }
        if known.first().is_some_and(|first| first.0 > 0.0) {
            known.insert(0, (0.0, 0.0));
        }
        Self(known)
    }

    /// Seconds at `step`; `None` where no time was logged.
    fn at(&self, step: f64) -> Option<f64> {
        let Self(known) = self;
        let i = known.partition_point(|(at, _)| *at < step);
        match (i.checked_sub(1).map(|i| known[i]), known.get(i)) {
            (Some((s0, t0)), Some((s1, t1))) => Some(t0 + (t1 - t0) * (step - s0) / (s1 - s0)),
            (Some((_, last)), None) => Some(last),
            (None, Some((_, first))) => Some(*first),
            (None, None) => None,
        }
    }

    /// Seconds at each of `steps`.
    pub(super) fn all(&self, steps: &[f64], arrays: &mut Arrays) -> Option<ArrayRef> {
        let secs: Option<Vec<f64>> = steps.iter().map(|step| self.at(*step)).collect();
        secs.filter(|secs| !secs.is_empty()).map(|secs| arrays.floats(&secs))
    }
}

/// A point of a curve.
#[derive(Debug, Clone, Copy)]
struct Point {
    step: f64,
    epoch: f64,
    value: f64,
}

/// At most [`POINTS`] points: each the median of as many neighbours, at the last one's time.
fn thinned(points: Vec<Point>) -> (Vec<Point>, usize) {
    let size = points.len().div_ceil(POINTS).max(1);
    if size == 1 {
        return (points, 1);
    }
    let median = |some: &[Point]| {
        let mut values: Vec<f64> = some.iter().map(|p| p.value).collect();
        values.sort_by(f64::total_cmp);
        Point { value: values[values.len() / 2], ..some[some.len() - 1] }
    };
    (points.chunks(size).map(median).collect(), size)
}

/// The curves of a run; `sharpnesses` of the Hessian and of the preconditioned one.
pub(super) fn series(
    metrics: &Metrics,
    sharpnesses: [Option<&Sharpness>; 2],
    times: &Times,
    arrays: &mut Arrays,
) -> Vec<Series> {
    let mut found = Vec::new();
    let mut add = |quantity, split, name: &str, points: Vec<Point>| {
        if points.is_empty() {
            return;
        }
        let (points, size) = thinned(points);
        let name = if size == 1 { name.into() } else { format!("{name}, medians of {size}") };
        let of = |f: fn(&Point) -> f64| points.iter().map(f).collect::<Vec<f64>>();
        let steps = of(|p| p.step);
        found.push(Series {
            quantity,
            split,
            name,
            step: arrays.floats(&steps),
            epoch: arrays.floats(&of(|p| p.epoch)),
            secs: times.all(&steps, arrays),
            value: arrays.floats(&of(|p| p.value)),
        });
    };
    let steps = |f: fn(&crate::record::StepRecord) -> f64| -> Vec<Point> {
        let point = |s: &crate::record::StepRecord| Point {
            step: s.step as f64,
            epoch: s.epoch,
            value: f(s),
        };
        metrics.steps.iter().map(point).collect()
    };
    let epochs = |f: fn(&crate::record::EpochRecord) -> f64| -> Vec<Point> {
        let point = |e: &crate::record::EpochRecord| Point {
            step: e.step as f64,
            epoch: e.epoch as f64,
            value: f(e),
        };
        metrics.epochs.iter().map(point).collect()
    };
    if metrics.epochs.len() > 1 {
        add("loss", "train", "training", epochs(|e| e.train_loss));
        add("loss", "test", "test", epochs(|e| e.test_loss));
        add("accuracy", "train", "training", epochs(|e| e.train_accuracy));
        add("accuracy", "test", "test", epochs(|e| e.test_accuracy));
    } else {
        add("loss", "batch", "mini-batches", steps(|s| s.loss));
        let known = |p: &Point| p.value.is_finite();
        let accuracy = steps(|s| s.accuracy).into_iter().filter(known).collect();
        add("accuracy", "batch", "mini-batches", accuracy);
    }
    let rates = steps(|s| s.lr);
    add("lr", "train", "learning rate", if rates.is_empty() { epochs(|e| e.lr) } else { rates });
    for sharpness in sharpnesses.into_iter().flatten() {
        let (quantity, name) = match sharpness.of {
            SharpnessOf::Hessian => ("sharpness", "sharpness"),
            SharpnessOf::Preconditioned => ("preconditioned_sharpness", "preconditioned sharpness"),
        };
        let point = |p: &crate::stages::sharpness::SharpnessPoint| Point {
            step: p.step as f64,
            epoch: p.epoch,
            value: p.value,
        };
        add(quantity, "train", name, sharpness.points.iter().map(point).collect());
        if let Some(edge) = sharpness.edge {
            let mut bound = steps(|s| s.lr);
            bound.iter_mut().for_each(|p| p.value = edge / p.value);
            bound.retain(|p| p.value.is_finite());
            add(quantity, "bound", "edge of stability", bound);
        }
    }
    let noise = |f: fn(&GradientNoiseRecord) -> f64| -> Vec<Point> {
        let point =
            |n: &GradientNoiseRecord| Point { step: n.step as f64, epoch: n.epoch, value: f(n) };
        metrics.gradient_noise.iter().map(point).collect()
    };
    add("noise_scale", "train", "noise scale", noise(|n| n.noise_scale));
    add("noise_scale", "bound", "batch size", noise(|n| n.batch as f64));
    // Below zero the gradient is lost in the noise of the sample: a gap.
    let known = |n: &GradientNoiseRecord| {
        if n.signal_to_noise > 0.0 { n.signal_to_noise } else { f64::NAN }
    };
    add("signal_to_noise", "train", "signal to noise", noise(known));
    let steps = |f: fn(&OvershootRecord) -> f64| -> Vec<Point> {
        let point =
            |o: &OvershootRecord| Point { step: o.step as f64, epoch: o.epoch, value: f(o) };
        metrics.overshoot.iter().map(point).collect()
    };
    add("overshoot", "train", "overshoot", steps(|o| o.alpha));
    add("overshoot", "bound", "minimum of the parabola", steps(|_| 0.0));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_on_straight_lines_between_those_logged() {
        let times = Times(vec![(0.0, 0.0), (10.0, 5.0), (20.0, 6.0)]);
        assert_eq!([0.0, 4.0, 15.0, 30.0].map(|s| times.at(s)), [0.0, 2.0, 5.5, 6.0].map(Some));
        assert_eq!(Times::default().at(3.0), None);
    }

    #[test]
    fn long_curves_are_medians_that_end_where_the_curve_ends() {
        let point = |i: usize| Point { step: i as f64, epoch: 0.0, value: i as f64 };
        let (some, size) = thinned((0..5000).map(point).collect());
        assert_eq!((some.len(), size), (556, 9));
        assert_eq!((some[0].step, some[0].value), (8.0, 4.0));
        assert_eq!(some.last().unwrap().step, 4999.0);
        assert_eq!(thinned((0..600).map(point).collect()).1, 1);
    }

    #[test]
    fn the_noise_of_the_gradient_is_two_charts_with_the_batch_in_one() {
        let record = |step, noise_scale, signal_to_noise| GradientNoiseRecord {
            step,
            epoch: step as f64 / 4.0,
            gradient_norm: 1.0,
            variance: 2.0,
            noise_scale,
            noise_scale_se: 0.1,
            signal_to_noise,
            signal_to_noise_se: 0.1,
            batch: 50,
            samples: 1000,
        };
        let metrics = Metrics {
            gradient_noise: vec![record(0, 12.0, 4.0), record(4, f64::NAN, -0.01)],
            ..Metrics::default()
        };
        let mut arrays = Arrays::default();
        let found = series(&metrics, [None, None], &Times::default(), &mut arrays);
        let names: Vec<(&str, &str)> = found.iter().map(|s| (s.quantity, s.split)).collect();
        let of_noise = ["noise_scale", "noise_scale", "signal_to_noise"];
        assert_eq!(names, [(of_noise[0], "train"), (of_noise[1], "bound"), (of_noise[2], "train")]);
    }
}
