//! What films of all scenes have in common: the clock, the charts below, the moments at which they
//! pause, the title card.

use super::opened::OpenRun;
use super::path_shape::SnapshotPath;
use super::sharpness::{Sharpness, SharpnessOf};
use crate::dataset::SplitName;
use crate::measures::Station;
use crate::names::named_enum;
use crate::record::{GradientNoiseRecord, Metrics, OvershootRecord};
use crate::render::numbers::thousands;
use crate::render::scene::{
    Card, Clock, Moment, Pacing, PathPoint, Quantity, Series, Split, Strip,
};
use crate::{Error, Result};

/// The clock for `paths` where none is named: what moves on the plane, where something does; else epochs, or
/// snapshots where those are so crowded at the beginning that they would all pass in the first frames,
/// which is where half of the gaps between them are less than a fifth of the mean one.
fn clock_for(paths: &[&[PathPoint]]) -> Clock {
    let crowded = |path: &&[PathPoint]| {
        let mut gaps: Vec<f64> = path.windows(2).map(|w| w[1].epoch - w[0].epoch).collect();
        gaps.sort_by(f64::total_cmp);
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        gaps.len() >= 8 && gaps[gaps.len() / 2] < 0.2 * mean
    };
    let moves = |path: &&[PathPoint]| path.windows(2).any(|w| step_length(w) > 0.0);
    if paths.iter().any(moves) {
        Clock::Motion
    } else if paths.iter().any(crowded) {
        Clock::Snapshot
    } else {
        Clock::Epoch
    }
}

/// The distance of two successive points on the plane; 0 where it is not finite.
fn step_length(pair: &[PathPoint]) -> f64 {
    let length = (pair[1].x - pair[0].x).hypot(pair[1].y - pair[0].y);
    if length.is_finite() { length } else { 0.0 }
}

/// How much of a film goes by epochs; the rest goes by what moves.
const BY_TIME: f64 = 0.2;

/// The way of [`Clock::Motion`] through the times of `paths`: a share of the film for each time at which one
/// of them has a snapshot. Short steps get a little more than their length: a step of a hundredth of
/// the way can still be seen when it takes a fortieth of the film.
fn way_by_motion(paths: &[&[PathPoint]]) -> Vec<(f64, f64)> {
    let mut times: Vec<f64> = paths.iter().flat_map(|path| path.iter().map(|p| p.time)).collect();
    times.retain(|t| t.is_finite());
    times.sort_by(f64::total_cmp);
    times.dedup();
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Vec::new() };
    if last <= first {
        return Vec::new();
    }
    // Motion in each gap between times, a path's whole motion counting as one.
    let mut motion = vec![0.0; times.len() - 1];
    for path in paths {
        let steps: Vec<f64> = path.windows(2).map(|w| step_length(w).powf(0.8)).collect();
        let all: f64 = steps.iter().sum();
        if all <= 0.0 {
            continue;
        }
        for (step, pair) in steps.iter().zip(path.windows(2)) {
            let (a, b) = (pair[0].time, pair[1].time);
            let gaps = times.partition_point(|t| *t < a)..times.partition_point(|t| *t < b);
            for gap in gaps {
                motion[gap] += step / all * (times[gap + 1] - times[gap]) / (b - a);
            }
        }
    }
    let all: f64 = motion.iter().sum();
    if all <= 0.0 {
        return Vec::new();
    }
    let mut way = vec![(0.0, first)];
    let mut done = 0.0;
    for (gap, moved) in motion.iter().enumerate() {
        done += moved / all;
        let by_time = (times[gap + 1] - first) / (last - first);
        way.push((BY_TIME * by_time + (1.0 - BY_TIME) * done, times[gap + 1]));
    }
    way
}

/// A time of one run in the unit of `clock`, by its position in epochs and steps.
fn time_of(clock: Clock, metrics: &Metrics, epoch: f64, step: u64) -> f64 {
    match clock {
        Clock::Epoch | Clock::Motion | Clock::Snapshot => epoch,
        Clock::Step => step as f64,
        Clock::WallTime => metrics.elapsed_secs_at(step as f64).unwrap_or(f64::NAN),
    }
}

/// Seconds for which the last frame of a film stays.
pub(super) const HOLD_SECS: f64 = 2.0;

named_enum! {
    /// A chart below a film.
    pub enum StripChart("chart") {
        /// Training and test loss.
        Loss = "loss",
        /// Training and test accuracy.
        Accuracy = "accuracy",
        /// Learning rate.
        LearningRate = "lr",
        /// Largest eigenvalue of the Hessian, and the edge of stability.
        Sharpness = "sharpness",
        /// Largest eigenvalue of the Hessian as the rule preconditions it, and its edge of stability.
        PreconditionedSharpness = "preconditioned-sharpness",
        /// Noise scale of the gradient, and the batch size.
        NoiseScale = "noise-scale",
        /// Ratio of signal to noise of a batch's gradient.
        SignalToNoise = "snr",
        /// Where steps ended on the parabola along them.
        Overshoot = "overshoot",
        /// Norm of the mini-batch gradient.
        GradNorm = "grad-norm",
        /// Distance of the weights from the first snapshot and to the last.
        Distance = "distance",
        /// Cosine of the angle between displacements of successive snapshots.
        Cosine = "cosine",
        /// Displacement over weights, for a step.
        Update = "update",
    }
}

impl StripChart {
    /// The charts of a comma-separated list; `none` for none.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn list(text: &str) -> Result<Vec<Self>> {
        if text.trim() == "none" {
            return Ok(Vec::new());
        }
        text.split(',').map(|name| name.trim().parse()).collect()
    }
}

/// What a film shows beside its scene, and how it goes through time.
#[derive(Debug, Clone, PartialEq)]
pub struct FilmOptions {
    /// What film time is even in; `None` for what moves on the plane, and where nothing does for epochs, or
    /// for snapshots where those are crowded at the beginning.
    pub clock: Option<Clock>,
    /// The charts below; `None` for those that suit the scene.
    pub charts: Option<Vec<StripChart>>,
    /// For how many seconds the film pauses at a drop of the learning rate and at the best test
    /// accuracy; 0 for never.
    pub pause_secs: f64,
    /// For how many seconds a card comes first; 0 for none.
    pub card_secs: f64,
}

impl Default for FilmOptions {
    fn default() -> Self {
        Self { clock: None, charts: None, pause_secs: 0.8, card_secs: 0.0 }
    }
}

/// What one run gives to the charts and the moments.
pub struct ChartSource<'a> {
    /// Its panel's title.
    pub name: &'a str,
    /// What it recorded.
    pub metrics: &'a Metrics,
    /// Its sharpness, where a chart of it is asked for.
    pub sharpness: Option<Sharpness>,
    /// Its preconditioned sharpness, likewise.
    pub preconditioned: Option<Sharpness>,
    /// The shape of its path, likewise.
    pub path: Option<SnapshotPath>,
}

/// Of more values than this a chart shows running medians.
const POINTS: usize = 240;

impl FilmOptions {
    /// The charts below: loss and accuracy where nobody chose.
    pub fn charts(&self) -> &[StripChart] {
        self.charts.as_deref().unwrap_or(&[StripChart::Loss, StripChart::Accuracy])
    }

    /// Whether somebody chose charts, and not none.
    pub fn chooses_charts(&self) -> bool {
        self.charts.as_ref().is_some_and(|charts| !charts.is_empty())
    }

    /// The same for a scene that is about something else than the loss: without charts where nobody chose.
    pub fn without_charts(&self) -> Self {
        Self { charts: Some(self.charts.clone().unwrap_or_default()), ..self.clone() }
    }

    /// What the charts and the moments need of `run`, whose panel has the title `name`.
    ///
    /// # Errors
    /// [`Error::NoSharpness`], [`Error::NoGradientNoise`] and [`Error::NoOvershoot`] when a chart of them is
    /// asked for and none was measured.
    pub fn chart_source<'a>(&self, name: &'a str, run: &'a OpenRun) -> Result<ChartSource<'a>> {
        let wanted = self.charts().contains(&StripChart::Sharpness);
        let sharpness = wanted.then(|| Sharpness::of_run(run)).transpose()?;
        let wanted = self.charts().contains(&StripChart::PreconditionedSharpness);
        let preconditioned = wanted.then(|| Sharpness::preconditioned(run)).transpose()?;
        let of_noise = [StripChart::NoiseScale, StripChart::SignalToNoise];
        if self.charts().iter().any(|chart| of_noise.contains(chart))
            && run.metrics()?.gradient_noise.is_empty()
        {
            return Err(Error::NoGradientNoise { path: run.run().root().to_path_buf() });
        }
        if self.charts().contains(&StripChart::Overshoot) && run.metrics()?.overshoot.is_empty() {
            return Err(Error::NoOvershoot { path: run.run().root().to_path_buf() });
        }
        let of_path = [StripChart::Distance, StripChart::Cosine, StripChart::Update];
        let wanted = self.charts().iter().any(|chart| of_path.contains(chart));
        let path = wanted.then(|| SnapshotPath::of_run(run)).transpose()?;
        Ok(ChartSource { name, metrics: run.metrics()?, sharpness, preconditioned, path })
    }

    /// Charts and pacing of a film with the headline `title` that shows `paths` of `runs`, whose
    /// times are set.
    pub fn timing(
        &self,
        title: &str,
        paths: &mut [&mut [PathPoint]],
        runs: &[ChartSource],
    ) -> (Strip, Pacing) {
        let seen: Vec<&[PathPoint]> = paths.iter().map(|path| &**path).collect();
        let clock = self.clock.unwrap_or_else(|| clock_for(&seen));
        for (k, path) in paths.iter_mut().enumerate() {
            // Several paths of one run follow its clock.
            let metrics = runs.get(k).or(runs.first()).map(|run| run.metrics);
            for p in path.iter_mut() {
                p.time = metrics.map_or(p.epoch, |m| time_of(clock, m, p.epoch, p.step));
            }
        }
        let mut pacing = self.pacing(clock, title, runs);
        if clock == Clock::Motion {
            pacing.way = way_by_motion(&paths.iter().map(|path| &**path).collect::<Vec<_>>());
        }
        (self.strip(clock, runs), pacing)
    }

    /// The charts of `runs`, each in the colour of its place in the list.
    pub fn strip(&self, clock: Clock, runs: &[ChartSource]) -> Strip {
        let highest = [SharpnessOf::Hessian, SharpnessOf::Preconditioned].map(|of| {
            let known = runs.iter().filter_map(|run| match of {
                SharpnessOf::Hessian => run.sharpness.as_ref(),
                SharpnessOf::Preconditioned => run.preconditioned.as_ref(),
            });
            known.map(Sharpness::highest).fold(0.0, f64::max)
        });
        let mut series: Vec<Series> = Vec::new();
        for (panel, run) in runs.iter().enumerate() {
            let at = |epoch: f64, step: u64| time_of(clock, run.metrics, epoch, step);
            for chart in self.charts() {
                for mut new in chart_series(*chart, panel, &at, run, highest) {
                    // One line for a bound that runs share, and a name for each that they do not.
                    if new.split == Split::Bound {
                        let bound =
                            |s: &&Series| s.split == Split::Bound && s.quantity == new.quantity;
                        let bounds = || series.iter().filter(bound);
                        if bounds().any(|s| same_points(&s.points, &new.points)) {
                            continue;
                        }
                        if bounds().next().is_some() {
                            new.name = format!("{}, {}", new.name, run.name);
                        }
                    }
                    series.push(new);
                }
            }
        }
        Strip { series }
    }

    /// Clock, moments and card of a film of `runs` with the headline `title`.
    pub fn pacing(&self, clock: Clock, title: &str, runs: &[ChartSource]) -> Pacing {
        let mut moments: Vec<Moment> = Vec::new();
        if self.pause_secs > 0.0 {
            for run in runs {
                let whose = if runs.len() > 1 { format!("{}: ", run.name) } else { String::new() };
                for moment in key_moments(clock, run.metrics, &whose, self.pause_secs) {
                    // The same drop in two runs is one moment.
                    let same = |m: &&mut Moment| m.time == moment.time;
                    match moments.iter_mut().find(same) {
                        Some(old) if old.label != moment.label => {
                            old.label = format!("{}; {}", old.label, moment.label);
                        }
                        Some(_) => {}
                        None => moments.push(moment),
                    }
                }
            }
        }
        let names: Vec<&str> = runs.iter().map(|r| r.name).collect();
        Pacing { clock, moments, card: self.card(title, &names), ..Pacing::default() }
    }

    /// The card before a film with the headline `title`, if there is to be one.
    pub fn card(&self, title: &str, names: &[&str]) -> Option<Card> {
        (self.card_secs > 0.0).then(|| Card {
            title: title.into(),
            lines: names.iter().filter(|n| !n.is_empty()).map(|n| n.to_string()).collect(),
            secs: self.card_secs,
        })
    }
}

/// Lets the curve of the loss of run `panel` on `split` begin with `path`, whose first snapshot may be
/// older than the first evaluation: training evaluates after epochs, and what the loss was before the
/// first one is known where the path lies on a surface.
pub fn begin_with_path(strip: &mut Strip, panel: usize, split: SplitName, path: &[PathPoint]) {
    let wanted = match split {
        SplitName::Train => Split::Train,
        SplitName::Test => Split::Test,
    };
    let Some(first) = path.first().filter(|p| p.true_loss.is_finite()) else { return };
    for series in &mut strip.series {
        // Means over an epoch's batches are no losses of a moment.
        let own = series.panel == panel && series.split == wanted && series.name != RUNNING;
        let later = series.points.first().is_some_and(|(time, _)| *time > first.time);
        if own && later && series.quantity == Quantity::Loss {
            series.points.insert(0, (first.time, first.true_loss));
        }
    }
}

/// The name of the curve of means over the batches of each epoch.
const RUNNING: &str = "running";

/// Whether two curves are one, breaks included.
fn same_points(a: &[(f64, f64)], b: &[(f64, f64)]) -> bool {
    let same = |(a, b): (&(f64, f64), &(f64, f64))| {
        a.0 == b.0 && (a.1 == b.1 || (a.1.is_nan() && b.1.is_nan()))
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// The curves of one chart of `run`; `highest` is the largest sharpness of all runs, and the largest
/// preconditioned one.
fn chart_series(
    chart: StripChart,
    panel: usize,
    at: &dyn Fn(f64, u64) -> f64,
    run: &ChartSource,
    [sharpest, sharpest_preconditioned]: [f64; 2],
) -> Vec<Series> {
    let metrics = run.metrics;
    let series = |name: &str, quantity, split, points| Series {
        name: name.into(),
        panel,
        quantity,
        split,
        points,
    };
    match chart {
        StripChart::Loss | StripChart::Accuracy => {
            let loss = chart == StripChart::Loss;
            let quantity = if loss { Quantity::Loss } else { Quantity::Accuracy };
            let of = |split: Split| {
                let value = |e: &crate::record::EpochRecord| match (split, loss) {
                    (Split::Test, true) => e.test_loss,
                    (Split::Test, false) => e.test_accuracy,
                    (_, true) => e.train_loss,
                    (_, false) => e.train_accuracy,
                };
                let epochs = metrics.epochs.iter();
                epochs.map(|e| (at(e.epoch as f64, e.step), value(e))).collect()
            };
            let train: Vec<(f64, f64)> = of(Split::Train);
            if loss && train.iter().all(|(_, value)| value.is_nan()) {
                // A loop of one's own that evaluates no training images: the means over its batches.
                let running =
                    metrics.epochs.iter().map(|e| (at(e.epoch as f64, e.step), e.running_loss));
                return vec![
                    series(RUNNING, quantity, Split::Train, running.collect()),
                    series("test", quantity, Split::Test, of(Split::Test)),
                ];
            }
            vec![
                series("train", quantity, Split::Train, train),
                series("test", quantity, Split::Test, of(Split::Test)),
            ]
        }
        StripChart::LearningRate => {
            // Where it changes, and at both ends of a change: a step stays a step.
            let steps = &metrics.steps;
            let changes = |i: usize| {
                i == 0
                    || i + 1 == steps.len()
                    || steps[i].lr != steps[i - 1].lr
                    || steps[i].lr != steps[i + 1].lr
            };
            let points = (0..steps.len()).filter(|&i| changes(i));
            let points = points.map(|i| (at(steps[i].epoch, steps[i].step), steps[i].lr)).collect();
            vec![series("", Quantity::LearningRate, Split::Train, points)]
        }
        StripChart::Sharpness => {
            let known = run.sharpness.as_ref();
            known.map_or_else(Vec::new, |known| known.series(panel, at, metrics, sharpest))
        }
        StripChart::PreconditionedSharpness => {
            let known = run.preconditioned.as_ref();
            let highest = sharpest_preconditioned;
            known.map_or_else(Vec::new, |known| known.series(panel, at, metrics, highest))
        }
        StripChart::NoiseScale | StripChart::SignalToNoise => {
            let measured = &metrics.gradient_noise;
            // What is lost in noise is a gap.
            let of = |value: fn(&GradientNoiseRecord) -> f64| -> Vec<(f64, f64)> {
                measured.iter().map(|n| (at(n.epoch, n.step), value(n))).collect()
            };
            if chart == StripChart::SignalToNoise {
                let known = |n: &GradientNoiseRecord| {
                    if n.signal_to_noise > 0.0 { n.signal_to_noise } else { f64::NAN }
                };
                return vec![series("", Quantity::SignalToNoise, Split::Train, of(known))];
            }
            let batch = measured.first().map_or(0, |n| n.batch);
            vec![
                series("", Quantity::NoiseScale, Split::Train, of(|n| n.noise_scale)),
                series(
                    &format!("batch of {}", thousands(&batch.to_string())),
                    Quantity::NoiseScale,
                    Split::Bound,
                    of(|n| n.batch as f64),
                ),
            ]
        }
        StripChart::Overshoot => {
            // A step that went uphill is a gap.
            let of = |value: fn(&OvershootRecord) -> f64| -> Vec<(f64, f64)> {
                metrics.overshoot.iter().map(|o| (at(o.epoch, o.step), value(o))).collect()
            };
            vec![
                series("", Quantity::Overshoot, Split::Train, of(|o| o.alpha)),
                series("minimum", Quantity::Overshoot, Split::Bound, of(|_| 0.0)),
            ]
        }
        StripChart::Distance | StripChart::Cosine | StripChart::Update => {
            let Some(path) = &run.path else { return Vec::new() };
            let of = |value: fn(&Station) -> f64| -> Vec<(f64, f64)> {
                let stations = path.times.iter().zip(&path.shape.stations);
                let points = stations.map(|((step, epoch), s)| (at(*epoch, *step), value(s)));
                points.filter(|(_, value)| value.is_finite()).collect()
            };
            match chart {
                StripChart::Distance => vec![
                    series(
                        "from the start",
                        Quantity::Distance,
                        Split::Train,
                        of(|s| s.from_start),
                    ),
                    series("to the end", Quantity::Distance, Split::Test, of(|s| s.to_end)),
                ],
                StripChart::Cosine => {
                    vec![series("", Quantity::Cosine, Split::Train, of(|s| s.cosine))]
                }
                _ => vec![series("", Quantity::Update, Split::Train, of(|s| s.update))],
            }
        }
        StripChart::GradNorm => {
            let each = metrics.steps.len().div_ceil(POINTS).max(1);
            let median = |steps: &[crate::record::StepRecord]| {
                let mut norms: Vec<f64> = steps.iter().map(|s| s.grad_norm).collect();
                norms.sort_by(f64::total_cmp);
                let middle = &steps[steps.len() / 2];
                (at(middle.epoch, middle.step), norms[norms.len() / 2])
            };
            let points = metrics.steps.chunks(each).map(median).collect();
            let name = if each > 1 { "running median" } else { "" };
            vec![series(name, Quantity::GradNorm, Split::Train, points)]
        }
    }
}

/// Drops of the learning rate by more than a third from one step to the next (the first four), and
/// the best test accuracy. Before a drop the rate was constant, and it never falls by less: the end of a
/// cosine is none, whether that goes by steps or by epochs.
fn key_moments(clock: Clock, metrics: &Metrics, whose: &str, pause_secs: f64) -> Vec<Moment> {
    let at = |epoch: f64, step: u64| time_of(clock, metrics, epoch, step);
    let number = crate::render::numbers::number;
    let dropped = |w: &&[crate::record::StepRecord]| w[0].lr == w[1].lr && w[2].lr < 0.67 * w[1].lr;
    let gentle = metrics.steps.windows(2).any(|w| w[1].lr < w[0].lr && w[1].lr >= 0.67 * w[0].lr);
    let most = if gentle { 0 } else { 4 };
    let drops = metrics.steps.windows(3).filter(dropped).take(most);
    let mut moments: Vec<Moment> = drops
        .map(|w| Moment {
            time: at(w[1].epoch, w[1].step),
            label: format!("{whose}learning rate drops to {}", number(w[2].lr)),
            pause_secs,
        })
        .collect();
    let mut best: Option<&crate::record::EpochRecord> = None;
    for epoch in metrics.epochs.iter().filter(|e| e.test_accuracy.is_finite()) {
        if best.is_none_or(|b| epoch.test_accuracy > b.test_accuracy) {
            best = Some(epoch);
        }
    }
    if let Some(epoch) = best {
        moments.push(Moment {
            time: at(epoch.epoch as f64, epoch.step),
            label: format!("{whose}best test accuracy, {:.1} %", 100.0 * epoch.test_accuracy),
            pause_secs,
        });
    }
    moments
}

/// `text` as seconds from 0 to 60. Errors: [`Error::BadValue`].
pub fn seconds(key: &str, secs: f64) -> Result<f64> {
    if (0.0..=60.0).contains(&secs) {
        return Ok(secs);
    }
    Err(Error::bad_value(key, secs, "not a pause", "use 0 to 60 seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::PathShape;
    use crate::record::{EpochRecord, StepRecord};

    fn metrics() -> Metrics {
        let step = |i: u64| StepRecord {
            step: i,
            epoch: i as f64 / 100.0,
            lr: if i <= 300 { 0.1 } else { 0.01 },
            loss: 1.0,
            accuracy: 0.5,
            grad_norm: (i % 7) as f64,
            elapsed_secs: Some(i as f64),
        };
        let epoch = |i: u64| EpochRecord {
            epoch: i,
            step: 100 * i,
            lr: 0.1,
            running_loss: 1.0,
            running_accuracy: 0.5,
            train_loss: 1.0 / i as f64,
            train_accuracy: 0.5,
            test_loss: 1.0,
            test_accuracy: [0.2, 0.9, 0.9, 0.4, 0.3][i as usize - 1],
            elapsed_secs: 1.0,
        };
        Metrics {
            steps: (1..=500).map(step).collect(),
            epochs: (1..=5).map(epoch).collect(),
            ..Metrics::default()
        }
    }

    fn source<'a>(name: &'a str, metrics: &'a Metrics) -> ChartSource<'a> {
        ChartSource { name, metrics, sharpness: None, preconditioned: None, path: None }
    }

    #[test]
    fn the_moments_are_the_drop_and_the_first_best_epoch() {
        let metrics = metrics();
        let runs = [source("a", &metrics)];
        let moments = FilmOptions::default().pacing(Clock::Epoch, "t", &runs).moments;
        assert_eq!(moments.len(), 2);
        assert_eq!((moments[0].time, moments[1].time), (3.0, 2.0));
        assert_eq!(moments[0].label, "learning rate drops to 0.01");
        assert_eq!(moments[1].label, "best test accuracy, 90.0 %");
        let by_step = FilmOptions::default().pacing(Clock::Step, "t", &runs).moments;
        assert_eq!((by_step[0].time, by_step[1].time), (300.0, 200.0));
        let two = [source("a", &metrics), source("b", &metrics)];
        let moments = FilmOptions::default().pacing(Clock::Epoch, "t", &two).moments;
        assert_eq!(moments.len(), 2, "{moments:?}");
        assert!(moments[0].label.contains("a: ") && moments[0].label.contains("b: "));
        let mut by_epoch = metrics.clone();
        for (i, step) in by_epoch.steps.iter_mut().enumerate() {
            step.lr = 0.1 * ((i / 25) as f64 * std::f64::consts::PI / 20.0).cos() + 0.1;
        }
        let one = [source("a", &by_epoch)];
        let moments = FilmOptions::default().pacing(Clock::Epoch, "t", &one).moments;
        assert_eq!(moments.len(), 1, "the best epoch alone: {moments:?}");
        let mut cosine = metrics.clone();
        for (i, step) in cosine.steps.iter_mut().enumerate() {
            step.lr = 0.1 * (i as f64 * std::f64::consts::PI / 500.0).cos() + 0.1;
        }
        let one = [source("a", &cosine)];
        assert_eq!(FilmOptions::default().pacing(Clock::Epoch, "t", &one).moments.len(), 1);
        let quiet = FilmOptions { pause_secs: 0.0, ..FilmOptions::default() };
        assert!(quiet.pacing(Clock::Epoch, "t", &runs).moments.is_empty());
    }

    #[test]
    fn the_chart_of_the_loss_begins_where_the_path_does() {
        let metrics = metrics();
        let options = FilmOptions::default();
        let mut strip = options.strip(Clock::Epoch, &[source("a", &metrics)]);
        let path = [0.0, 1.0].map(|epoch| PathPoint {
            epoch,
            time: epoch,
            true_loss: 2.3,
            ..PathPoint::default()
        });
        begin_with_path(&mut strip, 0, SplitName::Train, &path);
        let first = |quantity, split| {
            let of = |s: &&Series| s.quantity == quantity && s.split == split;
            strip.series.iter().find(of).unwrap().points[0]
        };
        assert_eq!(first(Quantity::Loss, Split::Train), (0.0, 2.3));
        // What nobody measured before the first epoch begins after it.
        assert_eq!(first(Quantity::Loss, Split::Test), (1.0, 1.0));
        assert_eq!(first(Quantity::Accuracy, Split::Train), (1.0, 0.5));
        let before = strip.clone();
        begin_with_path(&mut strip, 0, SplitName::Train, &path);
        assert_eq!(strip, before, "once");
    }

    #[test]
    fn charts_are_the_ones_asked_for_and_long_ones_are_thinned() {
        let metrics = metrics();
        let charts = StripChart::list("lr, grad-norm").unwrap();
        let options = FilmOptions { charts: Some(charts), ..FilmOptions::default() };
        let strip = options.strip(Clock::Epoch, &[source("a", &metrics)]);
        let quantities: Vec<Quantity> = strip.series.iter().map(|s| s.quantity).collect();
        assert_eq!(quantities, [Quantity::LearningRate, Quantity::GradNorm]);
        // First, the two beside the drop, last.
        assert_eq!(strip.series[0].points, [(0.01, 0.1), (3.0, 0.1), (3.01, 0.01), (5.0, 0.01)]);
        assert!(strip.series[1].points.len() <= POINTS);
        assert_eq!(strip.series[1].name, "running median");
        assert!(StripChart::list("none").unwrap().is_empty());
        // Nothing of the snapshots where nothing is known of them.
        let charts = StripChart::list("distance,cosine,update").unwrap();
        let options = FilmOptions { charts: Some(charts), ..FilmOptions::default() };
        assert!(options.strip(Clock::Epoch, &[source("a", &metrics)]).series.is_empty());
        let about = |i: usize, j: usize| [0.0, 3.0, 4.0][i] * [0.0, 3.0, 4.0][j];
        let shape = PathShape::new(about, &[2.0, 5.0, 6.0], &[0, 100, 200]);
        let path = Some(SnapshotPath { times: vec![(0, 0.0), (100, 1.0), (200, 2.0)], shape });
        let strip = options.strip(Clock::Epoch, &[ChartSource { path, ..source("a", &metrics) }]);
        let points: Vec<&[(f64, f64)]> = strip.series.iter().map(|s| &s.points[..]).collect();
        assert_eq!(points[0], [(0.0, 0.0), (1.0, 3.0), (2.0, 4.0)]);
        assert_eq!(points[1], [(0.0, 4.0), (1.0, 1.0), (2.0, 0.0)]);
        assert_eq!(points[2], [(2.0, 1.0)]);
        assert_eq!(points[3], [(1.0, 0.015), (2.0, 0.002)]);
        let err = StripChart::list("loss,acuracy").unwrap_err().to_string();
        assert!(err.contains("did you mean `accuracy`?"), "{err}");
    }

    #[test]
    fn runs_of_one_learning_rate_share_the_edge_and_others_have_their_own() {
        use crate::stages::sharpness::SharpnessPoint;
        let metrics = metrics();
        let points = [0, 250, 500].map(|step| SharpnessPoint {
            step,
            epoch: step as f64 / 100.0,
            value: 20.0,
        });
        let run = |name, product| ChartSource {
            sharpness: Some(Sharpness {
                of: SharpnessOf::Hessian,
                points: points.to_vec(),
                edge: Some(product),
            }),
            preconditioned: None,
            path: None,
            ..source(name, &metrics)
        };
        let charts = StripChart::list("sharpness").unwrap();
        let options = FilmOptions { charts: Some(charts), ..FilmOptions::default() };
        let names = |runs: &[ChartSource]| -> Vec<String> {
            let strip = options.strip(Clock::Epoch, runs);
            strip.series.into_iter().map(|s| s.name).collect()
        };
        assert_eq!(names(&[run("a", 2.0), run("b", 2.0)]), ["", "2/lr", ""]);
        assert_eq!(names(&[run("a", 2.0), run("b", 3.0)]), ["", "2/lr", "", "3/lr, b"]);
    }

    #[test]
    fn no_second_of_a_film_stands_though_the_path_is_nearly_done_after_a_seventh_of_it() {
        // Most of the way in the first epoch of seven, then ever less.
        let path: Vec<PathPoint> = (0..=28)
            .map(|i| f64::from(i) / 4.0)
            .map(|t| PathPoint {
                epoch: t,
                time: t,
                x: 1.0 - (-4.0 * t).exp(),
                ..PathPoint::default()
            })
            .map(|p| PathPoint { x: p.x + 0.004 * p.time, ..p })
            .collect();
        let way = way_by_motion(&[&path]);
        assert_eq!((way[0], way[28].1), ((0.0, 0.0), 7.0));
        assert!((way[28].0 - 1.0).abs() < 1e-12);
        assert!(way.windows(2).all(|w| w[1].0 > w[0].0));
        let at = |time: f64| way.iter().find(|w| w.1 == time).unwrap().0;
        assert!(at(1.0) > 0.5 && at(1.0) < 0.9, "{}", at(1.0));
        assert!(at(7.0) - at(3.0) < 0.3, "the end does not take half of the film");
    }

    #[test]
    fn a_crowded_beginning_turns_the_clock_to_snapshots() {
        let path = |epochs: &mut dyn Iterator<Item = f64>| -> Vec<PathPoint> {
            epochs.map(|epoch| PathPoint { epoch, ..PathPoint::default() }).collect()
        };
        let even = path(&mut (0..20).map(f64::from));
        let geometric = path(&mut (0..40).map(|i| 1.3f64.powi(i) / 1.3f64.powi(30)));
        assert_eq!(clock_for(&[&even]), Clock::Epoch);
        assert_eq!(clock_for(&[&even, &geometric]), Clock::Snapshot);
        assert_eq!(clock_for(&[&[]]), Clock::Epoch);
        let moving: Vec<PathPoint> =
            even.iter().map(|p| PathPoint { x: p.epoch.sqrt(), ..*p }).collect();
        assert_eq!(clock_for(&[&moving, &geometric]), Clock::Motion);
        let metrics = metrics();
        let options = FilmOptions { clock: Some(Clock::Step), ..FilmOptions::default() };
        let mut points = [PathPoint { step: 7, epoch: 0.5, ..PathPoint::default() }];
        let pacing = options.timing("t", &mut [&mut points], &[source("a", &metrics)]).1;
        assert_eq!((pacing.clock, points[0].time), (Clock::Step, 7.0));
    }
}
