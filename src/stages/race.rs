//! A joint plane and its surface to a race: paths, times, readings.

use super::film_options::{ChartSource, FilmOptions, StripChart, begin_with_path};
use super::on_plane::OnPlane;
use super::opened::{OpenRun, RunSet};
use super::provenance::{self, capital};
use crate::dataset::SplitName;
use crate::landscape::PlaneKind;
use crate::objective::BatchNormPolicy;
use crate::record::{EpochRecord, Metrics, Status};
use crate::render::numbers::significant;
use crate::render::scene::{Clock, Moment, Pacing, Quantity, Series, Split};
use crate::render::scenes::race::standings::{Measure, Record, Target, finish};
use crate::render::scenes::race::{Race, RaceLayout, Racer};
use crate::train::Verdict;
use crate::{Error, Result};

/// Seconds for which the last frame stays.
const HOLD_SECS: f64 = 3.0;

/// What a race shows.
#[derive(Debug, Clone, PartialEq)]
pub struct RaceRequest {
    /// The plane's name.
    pub plane: String,
    /// The surface's name.
    pub surface: String,
    /// By what the runs are synchronised.
    pub clock: Clock,
    /// One view or several.
    pub layout: RaceLayout,
    /// What wins.
    pub target: Target,
    /// Headline.
    pub title: Option<String>,
    /// The racers' names, one a run; empty for the runs' own.
    pub names: Vec<String>,
    /// The charts, the target's loss and accuracy among them; pauses where a racer reaches the target or
    /// diverges; the card. Its clock is not used.
    pub film: FilmOptions,
}

/// Parses `test_accuracy=0.9` (a finish) or `train_loss` (ranked by it).
///
/// # Errors
/// [`Error::UnknownName`] for another measure, [`Error::BadValue`] for a threshold out of range.
pub fn parse_target(text: &str) -> Result<Target> {
    let (measure, threshold) = match text.split_once('=') {
        Some((measure, threshold)) => (measure, Some(threshold.trim())),
        None => (text, None),
    };
    let measure: Measure = measure.trim().parse()?;
    let number = |text: &str| {
        let value = text.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0);
        let value = value.filter(|v| !measure.rises() || *v <= 1.0);
        value.ok_or_else(|| {
            let (problem, remedy) = if measure.rises() {
                ("not a share", "write a number from 0 to 1: test_accuracy=0.9")
            } else {
                ("not a loss", "write a number from 0 up: test_loss=0.5")
            };
            Error::bad_value("target", text, problem, remedy)
        })
    };
    Ok(Target { measure, threshold: threshold.map(number).transpose()? })
}

/// Gathers the race of a joint folder.
///
/// # Errors
/// Those of reading the folder and its runs; [`Error::NoSurface`], [`Error::StalePlane`] and
/// [`Error::Unfinished`] for its surface; [`Error::NoTimes`] for `wall` where a run has no times.
pub fn gather(set: &RunSet, request: &RaceRequest) -> Result<Race> {
    let on = OnPlane::open(set, &request.plane, &request.surface)?;
    let runs = set.runs();
    if !request.names.is_empty() && request.names.len() != runs.len() {
        return Err(Error::bad_value(
            "panel_titles",
            request.names.len(),
            format!("titles for {} runs", runs.len()),
            "give one for each run",
        ));
    }
    let mut race = Race {
        value_label: format!("{} loss", on.store.header.on.split.adjective()),
        pacing: Pacing { clock: request.clock, ..Pacing::default() },
        layout: request.layout,
        target: request.target,
        chart_titles: shown(request.target.measure)
            .map(|(quantity, measure)| (quantity, capital(measure.words())))
            .into(),
        hold_secs: HOLD_SECS,
        ..Race::default()
    };
    let clocks = runs
        .iter()
        .map(|run| Ok(RunClock { of: request.clock, run, metrics: run.metrics()? }))
        .collect::<Result<Vec<_>>>()?;
    for (index, (clock, path)) in clocks.iter().zip(&on.plane.about.paths).enumerate() {
        let mut points = on.path(index)?;
        for point in &mut points {
            point.time = clock.time(point.step as f64, point.epoch)?;
        }
        let name = request.names.get(index).cloned().unwrap_or_else(|| path.run.clone());
        for (quantity, measure) in shown(request.target.measure) {
            if request.film.charts().contains(&chart_of(quantity)) {
                race.strip.series.push(curve(clock, index, &name, quantity, measure)?);
            }
        }
        race.racers.push(Racer {
            name,
            detail: detail(clock.run)?,
            path: points,
            record: record(clock, request.target.measure)?,
        });
    }
    let split = on.store.header.on.split;
    for (k, racer) in race.racers.iter().enumerate() {
        let [(_, measure), _] = shown(request.target.measure);
        let same = (measure == Measure::TrainLoss) == (split == SplitName::Train);
        if same {
            // A race draws every curve as if it were of the training data: there is one split a chart.
            begin_with_path(&mut race.strip, k, SplitName::Train, &racer.path);
        }
    }
    add_other_charts(&mut race, request.film.charts(), &clocks)?;
    add_goal(&mut race);
    race.title = request.title.clone().unwrap_or_else(|| headline(&race.racers));
    let names: Vec<&str> = race.racers.iter().map(|r| r.name.as_str()).collect();
    race.pacing.card = request.film.card(&race.title, &names);
    race.pacing.moments = moments(&race, request.film.pause_secs);
    race.surface = on.panel();
    race.caption = provenance::caption(std::slice::from_ref(&on));
    if let BatchNormPolicy::FrozenAtEndOf { run } = &on.store.header.on.batch_norm
        && let Some(k) = on.plane.about.paths.iter().position(|path| path.run == *run)
    {
        // By the name that the picture gives it.
        let said = |name: &str| format!("final statistics of {name}.");
        race.caption = race.caption.replace(&said(run), &said(&race.racers[k].name));
    }
    if on.plane.about.kind == PlaneKind::Minima {
        // Likewise.
        let made = capital(&on.plane.about.made);
        race.caption = race.caption.replace(&made, "The plane goes through the ends of the runs");
        let labels = [&mut race.surface.x_label, &mut race.surface.y_label];
        for (label, racer) in labels.into_iter().zip(&race.racers[1..]) {
            *label = format!("towards the end of {}", racer.name);
        }
    }
    Ok(race)
}

/// A run's times.
struct RunClock<'a> {
    of: Clock,
    run: &'a OpenRun,
    metrics: &'a Metrics,
}

impl RunClock<'_> {
    fn time(&self, step: f64, epoch: f64) -> Result<f64> {
        match self.of {
            Clock::Step => Ok(step),
            Clock::Epoch | Clock::Motion | Clock::Snapshot => Ok(epoch),
            Clock::WallTime => {
                let no_times = || Error::NoTimes { path: self.run.run().root().to_path_buf() };
                self.metrics.elapsed_secs_at(step).ok_or_else(no_times)
            }
        }
    }

    /// The time of an epoch's record; by the wall clock its evaluation counts, too.
    fn of_epoch(&self, epoch: &EpochRecord) -> Result<f64> {
        match self.of {
            Clock::WallTime => Ok(epoch.elapsed_secs),
            _ => self.time(epoch.step as f64, epoch.epoch as f64),
        }
    }
}

fn value(epoch: &EpochRecord, measure: Measure) -> f64 {
    match measure {
        Measure::TestAccuracy => epoch.test_accuracy,
        Measure::TestLoss => epoch.test_loss,
        Measure::TrainAccuracy => epoch.train_accuracy,
        Measure::TrainLoss => epoch.train_loss,
    }
}

fn record(clock: &RunClock, measure: Measure) -> Result<Record> {
    let reading = |e: &EpochRecord| Ok((clock.of_epoch(e)?, value(e, measure)));
    let readings = clock.metrics.epochs.iter().map(reading).collect::<Result<_>>()?;
    let diverged = match clock.run.run().manifest()?.status {
        Status::Ended { verdict: Verdict::Diverged { step, .. }, .. } => {
            let last = clock.metrics.steps.last().map_or(0.0, |s| s.epoch);
            Some(clock.time(step as f64, last)?)
        }
        _ => None,
    };
    Ok(Record { readings, diverged })
}

/// Where a racer reaches the target, and where one diverges.
fn moments(race: &Race, pause_secs: f64) -> Vec<Moment> {
    if pause_secs <= 0.0 {
        return Vec::new();
    }
    let target = race.target;
    let reached = target.threshold.map_or(String::new(), |at| match target.measure.rises() {
        true => format!("{} % {}", significant(100.0 * at, 4), target.measure.words()),
        false => format!("a {} of {}", target.measure.words(), significant(at, 4)),
    });
    let of = |racer: &Racer| {
        let finish = finish(&racer.record, target)
            .map(|time| (time, format!("{} reaches {reached}", racer.name)));
        let diverged = racer.record.diverged.map(|time| (time, format!("{} diverges", racer.name)));
        finish.into_iter().chain(diverged)
    };
    let all = race.racers.iter().flat_map(of);
    all.map(|(time, label)| Moment { time, label, pause_secs }).collect()
}

/// What the strip shows of a race about `measure`: a loss and an accuracy.
fn shown(measure: Measure) -> [(Quantity, Measure); 2] {
    let (loss, accuracy) = match measure {
        Measure::TestAccuracy => (Measure::TrainLoss, Measure::TestAccuracy),
        Measure::TestLoss => (Measure::TestLoss, Measure::TestAccuracy),
        Measure::TrainAccuracy => (Measure::TrainLoss, Measure::TrainAccuracy),
        Measure::TrainLoss => (Measure::TrainLoss, Measure::TestAccuracy),
    };
    [(Quantity::Loss, loss), (Quantity::Accuracy, accuracy)]
}

/// The chart that shows a loss or an accuracy.
fn chart_of(quantity: Quantity) -> StripChart {
    if quantity == Quantity::Accuracy { StripChart::Accuracy } else { StripChart::Loss }
}

/// The curve of one run.
fn curve(
    clock: &RunClock,
    index: usize,
    name: &str,
    quantity: Quantity,
    measure: Measure,
) -> Result<Series> {
    let point = |e: &EpochRecord| Ok((clock.of_epoch(e)?, value(e, measure)));
    Ok(Series {
        name: name.to_string(),
        panel: index,
        quantity,
        // Solid: there is no other split on the chart to tell it from.
        split: Split::Train,
        points: clock.metrics.epochs.iter().map(point).collect::<Result<_>>()?,
    })
}

/// A line at the goal, on the chart of what is raced for.
fn add_goal(race: &mut Race) {
    let Target { measure, threshold: Some(at) } = race.target else { return };
    let quantity = if measure.rises() { Quantity::Accuracy } else { Quantity::Loss };
    let times = race.racers.iter().flat_map(|r| r.path.iter().map(|p| p.time));
    let [start, end] =
        times.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], t| [a.min(t), b.max(t)]);
    let shown = race.strip.series.iter().any(|s| s.quantity == quantity);
    if shown && start < end {
        race.strip.series.push(Series {
            name: "goal".into(),
            panel: 0,
            quantity,
            split: Split::Bound,
            points: vec![(start, at), (end, at)],
        });
    }
}

/// Charts of what every step has, as films of single runs have them, each curve with its run's name.
fn add_other_charts(race: &mut Race, charts: &[StripChart], clocks: &[RunClock]) -> Result<()> {
    let of_epochs = |chart: &StripChart| matches!(chart, StripChart::Loss | StripChart::Accuracy);
    let charts = charts.iter().copied().filter(|chart| !of_epochs(chart)).collect();
    let options = FilmOptions { charts: Some(charts), ..FilmOptions::default() };
    let names: Vec<String> = race.racers.iter().map(|racer| racer.name.clone()).collect();
    let runs = (clocks.iter().zip(&names))
        .map(|(clock, name)| options.chart_source(name, clock.run))
        .collect::<Result<Vec<ChartSource>>>()?;
    for mut series in options.strip(race.pacing.clock, &runs).series {
        if series.split != Split::Bound {
            let name = std::mem::replace(&mut series.name, race.racers[series.panel].name.clone());
            if !name.is_empty() && series.quantity == Quantity::GradNorm {
                race.chart_titles.push((series.quantity, format!("Gradient norm, {name}")));
            }
        }
        race.strip.series.push(series);
    }
    Ok(())
}

/// `SGD, learning rate 0.1, momentum 0.9, batch 64`.
fn detail(run: &OpenRun) -> Result<String> {
    let spec = run.spec()?;
    let mut text = run.optimizer_words()?;
    if let Some(momentum) = spec.optim.momentum.filter(|m| *m > 0.0) {
        text += &format!(", momentum {momentum}");
    }
    text += &format!(", batch {}", spec.train.batch_size);
    Ok(text)
}

fn headline(racers: &[Racer]) -> String {
    let names: Vec<&str> = racers.iter().map(|r| r.name.as_str()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() && rest.len() < 5 => {
            format!("{} and {last} on one loss surface", rest.join(", "))
        }
        _ => format!("{} runs on one loss surface", names.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_parse_or_say_how_to_write_them() {
        assert_eq!(
            parse_target("test_accuracy=0.9").unwrap(),
            Target { measure: Measure::TestAccuracy, threshold: Some(0.9) }
        );
        assert_eq!(
            parse_target("train_loss").unwrap(),
            Target { measure: Measure::TrainLoss, threshold: None }
        );
        for (text, words) in [
            ("test_acuracy=0.9", "did you mean `test_accuracy`?"),
            ("test_accuracy=90", "test_accuracy=0.9"),
            ("test_loss=low", "test_loss=0.5"),
            ("test_loss=-1", "test_loss=0.5"),
        ] {
            let err = parse_target(text).unwrap_err().to_string();
            assert!(err.contains(words), "{text}: {err}");
        }
    }
}
