//! Sharpness, and preconditioned sharpness, over training as the strip below a film shows it: what the run measured while it trained
//! or what was computed of its snapshots afterwards, and the edge of stability beside it.

use super::opened::OpenRun;
use crate::dataset::SplitName;
use crate::optim::RuleName;
use crate::record::Metrics;
use crate::render::numbers::significant;
use crate::render::scene::{Quantity, Series, Split};
use crate::{Error, Result};

/// Of which matrix the largest eigenvalue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharpnessOf {
    /// The Hessian.
    Hessian,
    /// The Hessian as the run's rule preconditions it: P^-1 H.
    Preconditioned,
}

/// The sharpness of a run over its steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Sharpness {
    /// Of which matrix.
    pub of: SharpnessOf,
    /// In the order of the steps; NaN where a Hessian-vector product was not finite.
    pub points: Vec<SharpnessPoint>,
    /// The edge of stability of the optimizer as a product with the learning rate, where one is known.
    pub edge: Option<f64>,
}

/// The sharpness at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SharpnessPoint {
    /// Steps done.
    pub step: u64,
    /// Position in epochs.
    pub epoch: f64,
    /// The largest eigenvalue.
    pub value: f64,
}

/// More values of the edge than this are thinned.
const POINTS: usize = 240;

impl Sharpness {
    /// Reads what is known of `run`: the log's measurements, or `curvature/`, whichever has more
    /// points; they are not mixed, as their samples may differ.
    ///
    /// # Errors
    /// [`Error::NoSharpness`] when there is none.
    pub fn of_run(run: &OpenRun) -> Result<Self> {
        let metrics = run.metrics()?;
        let logged = metrics.sharpness.iter();
        let logged: Vec<SharpnessPoint> = logged
            .map(|s| SharpnessPoint { step: s.step, epoch: s.epoch, value: s.sharpness })
            .collect();
        let mut computed: Vec<SharpnessPoint> = run
            .run()
            .curvature()?
            .iter()
            .filter(|r| r.of.on.split == SplitName::Train)
            .map(|r| SharpnessPoint { step: r.step, epoch: r.epoch, value: r.sharpness() })
            .collect();
        computed.sort_by_key(|p| p.step);
        let points = if computed.len() > logged.len() { computed } else { logged };
        if points.is_empty() {
            return Err(Error::NoSharpness { path: run.run().root().to_path_buf() });
        }
        Ok(Self { of: SharpnessOf::Hessian, points, edge: run.spec()?.optim.edge() })
    }

    /// The same of the preconditioned Hessian, which the log alone has; of SGD, whose preconditioner is 1, that
    /// of the Hessian.
    ///
    /// # Errors
    /// [`Error::NoPreconditioned`] when the run did not measure it.
    pub fn preconditioned(run: &OpenRun) -> Result<Self> {
        let optim = &run.spec()?.optim;
        let (of, edge) = (SharpnessOf::Preconditioned, optim.preconditioned_edge());
        if optim.rule == RuleName::Sgd {
            return Ok(Self { of, edge, ..Self::of_run(run)? });
        }
        let measured = run.metrics()?.sharpness.iter();
        let points: Vec<SharpnessPoint> = measured
            .filter_map(|s| {
                Some(SharpnessPoint { step: s.step, epoch: s.epoch, value: s.preconditioned? })
            })
            .collect();
        if points.is_empty() {
            return Err(Error::NoPreconditioned {
                path: run.run().root().to_path_buf(),
                rule: optim.rule.to_string(),
            });
        }
        Ok(Self { of, points, edge })
    }

    /// The largest value, 0 where none is finite.
    pub fn highest(&self) -> f64 {
        self.points.iter().map(|p| p.value).filter(|v| v.is_finite()).fold(0.0, f64::max)
    }

    /// The curve in the colour of `panel`, broken where measurements are missing, and the edge beside
    /// it where that is not out of all proportion to the `highest` value in the chart. `at` is the time
    /// at an epoch, which is that step.
    pub fn series(
        &self,
        panel: usize,
        at: &dyn Fn(f64, u64) -> f64,
        metrics: &Metrics,
        highest: f64,
    ) -> Vec<Series> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (i, point) in self.points.iter().enumerate() {
            if self.follows_a_gap(i) {
                points.push((at(point.epoch, point.step), f64::NAN));
            }
            points.push((at(point.epoch, point.step), point.value));
        }
        let curve = |name: String, split, points| Series {
            name,
            panel,
            quantity: match self.of {
                SharpnessOf::Hessian => Quantity::Sharpness,
                SharpnessOf::Preconditioned => Quantity::PreconditionedSharpness,
            },
            split,
            points,
        };
        let mut series = vec![curve(String::new(), Split::Train, points)];
        if let Some(edge) = self.edge {
            let line = edge_line(edge, metrics, highest, at);
            if !line.is_empty() {
                series.push(curve(format!("{}/lr", significant(edge, 3)), Split::Bound, line));
            }
        }
        series
    }

    /// Whether measurements were left out before the `i`-th point: where the steps since the one before
    /// are more than two and a half times those of the gaps on either side. (A geometric policy's gaps
    /// grow, but not so fast.)
    fn follows_a_gap(&self, i: usize) -> bool {
        let gap =
            |i: usize| Some(self.points.get(i)?.step - self.points.get(i.checked_sub(1)?)?.step);
        let beside = gap(i + 1).max(i.checked_sub(1).and_then(gap));
        matches!((gap(i), beside), (Some(gap), Some(beside)) if gap as f64 > 2.5 * beside as f64)
    }
}

/// The edge over the steps. A schedule that goes to zero takes it to infinity: it leaves the chart
/// where it is out of all proportion to the `highest` sharpness, unless it never is near.
fn edge_line(
    edge: f64,
    metrics: &Metrics,
    highest: f64,
    at: impl Fn(f64, u64) -> f64,
) -> Vec<(f64, f64)> {
    let steps = &metrics.steps;
    let least = steps.iter().map(|s| edge / s.lr).fold(f64::INFINITY, f64::min);
    if !least.is_finite() {
        return Vec::new();
    }
    let ceiling = (3.0 * highest).max(1.2 * least);
    // Both ends of a change, so that a step stays a step; of a rate that always changes, some.
    let changes = |i: usize| {
        i == 0
            || i + 1 == steps.len()
            || steps[i].lr != steps[i - 1].lr
            || steps[i].lr != steps[i + 1].lr
    };
    let mut kept: Vec<usize> = (0..steps.len()).filter(|&i| changes(i)).collect();
    if kept.len() > 2 * POINTS {
        kept = kept.iter().copied().step_by(kept.len() / POINTS).chain([steps.len() - 1]).collect();
    }
    kept.iter()
        .map(|&i| {
            let value = edge / steps[i].lr;
            (at(steps[i].epoch, steps[i].step), if value <= ceiling { value } else { f64::NAN })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StepRecord;

    fn metrics(lr: impl Fn(u64) -> f64) -> Metrics {
        let step = |step: u64| StepRecord {
            step,
            epoch: step as f64 / 10.0,
            lr: lr(step),
            loss: 1.0,
            accuracy: 0.5,
            grad_norm: 1.0,
            elapsed_secs: None,
        };
        Metrics { steps: (1..=100).map(step).collect(), ..Metrics::default() }
    }

    fn sharpness(steps: &[u64]) -> Sharpness {
        let point = |&step: &u64| SharpnessPoint {
            step,
            epoch: step as f64 / 10.0,
            value: 5.0 + step as f64,
        };
        let of = SharpnessOf::Hessian;
        Sharpness { of, points: steps.iter().map(point).collect(), edge: Some(2.0) }
    }

    fn curves(steps: &[u64], at: &dyn Fn(f64, u64) -> f64, metrics: &Metrics) -> Vec<Series> {
        let sharpness = sharpness(steps);
        sharpness.series(0, at, metrics, sharpness.highest())
    }

    fn step(_: f64, step: u64) -> f64 {
        step as f64
    }

    #[test]
    fn a_missing_measurement_breaks_the_curve() {
        let series = curves(&[0, 10, 20, 60, 70], &step, &metrics(|_| 0.1));
        let breaks: Vec<f64> =
            series[0].points.iter().filter(|p| p.1.is_nan()).map(|p| p.0).collect();
        assert_eq!(breaks, [60.0]);
        assert_eq!((series[0].split, series[0].points.len()), (Split::Train, 6));
        let whole = curves(&[0, 10, 20, 30], &|epoch, _| epoch, &metrics(|_| 0.1));
        assert!(whole[0].points.iter().all(|p| p.1.is_finite()));
        assert_eq!(whole[0].points[1].0, 1.0, "epochs by the epoch's clock");
        // After steps 1, 2, 4, 8, ...: the gaps grow and nothing is missing.
        let dense = curves(&[0, 1, 2, 4, 8, 16, 32, 64], &step, &metrics(|_| 0.1));
        assert!(dense[0].points.iter().all(|p| p.1.is_finite()), "{dense:?}");
    }

    #[test]
    fn the_edge_follows_the_learning_rate_and_leaves_the_chart_where_that_vanishes() {
        let drop = metrics(|step| if step <= 50 { 0.04 } else { 0.02 });
        let series = curves(&[0, 50, 100], &step, &drop);
        assert_eq!((series[1].name.as_str(), series[1].split), ("2/lr", Split::Bound));
        let close = |a: (f64, f64), b: (f64, f64)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-9;
        for (point, want) in series[1].points.iter().zip([(1., 50.), (50., 50.), (51., 100.)]) {
            assert!(close(*point, want), "{:?}", series[1].points);
        }
        let cosine = metrics(|step| 0.05 * (1.0 - step as f64 / 100.0));
        let line = &curves(&[0, 50, 100], &step, &cosine)[1].points;
        type Points = Vec<(f64, f64)>;
        let (shown, hidden): (Points, Points) = line.iter().partition(|p| p.1.is_finite());
        assert!(!shown.is_empty() && !hidden.is_empty());
        assert!(shown.iter().all(|p| p.1 <= 3.0 * 105.0), "{shown:?}");
        // Far above the sharpness all along: shown all the same, or it would be missed.
        let far = curves(&[0, 1], &step, &metrics(|_| 1e-4));
        assert!(far[1].points.iter().all(|p| p.1 == 2e4));
        // A rate of zero has no edge.
        assert_eq!(curves(&[0, 1], &step, &metrics(|_| 0.0)).len(), 1);
    }
}
