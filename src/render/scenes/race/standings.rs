//! Who leads a race: the order of the racers at any time, from readings made now and then.
//!
//! A reading counts from the moment it was made until the next; nothing between is invented. A racer
//! that has reached the threshold has finished, at the time of the first reading that reached it, and
//! keeps its place; the others are ranked by their last reading. A diverged run is out.

use crate::names::named_enum;

named_enum! {
    /// What a race is about.
    #[derive(Default)]
    pub enum Measure("measure of a race") {
        /// Share of right answers on the test images, after each epoch.
        #[default]
        TestAccuracy = "test_accuracy",
        /// Loss on the test images, after each epoch.
        TestLoss = "test_loss",
        /// Share of right answers on the training images, after each epoch.
        TrainAccuracy = "train_accuracy",
        /// Loss on the training images, after each epoch.
        TrainLoss = "train_loss",
    }
}

impl Measure {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Measure::TestAccuracy => "test accuracy",
            Measure::TestLoss => "test loss",
            Measure::TrainAccuracy => "training accuracy",
            Measure::TrainLoss => "training loss",
        }
    }

    /// Whether more is better.
    pub fn rises(self) -> bool {
        matches!(self, Measure::TestAccuracy | Measure::TrainAccuracy)
    }

    /// Whether `value` is at least as good as `threshold`.
    pub fn reaches(self, value: f64, threshold: f64) -> bool {
        if self.rises() { value >= threshold } else { value <= threshold }
    }
}

/// What wins.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Target {
    /// What is measured.
    pub measure: Measure,
    /// Where the finish is; without one nobody finishes and the last readings rank.
    pub threshold: Option<f64>,
}

/// What is known of one racer: readings in the order of time, and when it fell out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Time on the race's clock, and the value of the target's measure then.
    pub readings: Vec<(f64, f64)>,
    /// When the run diverged.
    pub diverged: Option<f64>,
}

/// One racer's standing at some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Its number.
    pub racer: usize,
    /// Its place, from 1; those with equal results share one.
    pub place: usize,
    /// Its last reading.
    pub value: Option<f64>,
    /// When it reached the threshold, where it has.
    pub finished: Option<f64>,
    /// Whether it has diverged by now.
    pub diverged: bool,
}

/// The time of the first reading that reaches the target's threshold.
pub fn finish(record: &Record, target: Target) -> Option<f64> {
    let threshold = target.threshold?;
    record.readings.iter().find(|(_, v)| target.measure.reaches(*v, threshold)).map(|(t, _)| *t)
}

/// All racers at `time`, the leader first. Ties keep the racers' own order.
pub fn standings(records: &[Record], target: Target, time: f64) -> Vec<Standing> {
    let of = |(racer, record): (usize, &Record)| {
        let passed = record.readings.partition_point(|(t, _)| *t <= time);
        Standing {
            racer,
            place: 0,
            value: passed.checked_sub(1).map(|last| record.readings[last].1),
            finished: finish(record, target).filter(|t| *t <= time),
            diverged: record.diverged.is_some_and(|t| t <= time),
        }
    };
    let mut all: Vec<Standing> = records.iter().enumerate().map(of).collect();
    // Smaller is better: finishers by time, then those under way by value, then those without a
    // reading, then the diverged.
    let key = |s: &Standing| match (s.finished, s.diverged, s.value) {
        (Some(t), ..) => (0, t),
        (None, true, _) => (3, 0.0),
        (None, false, Some(v)) if v.is_finite() => (1, if target.measure.rises() { -v } else { v }),
        _ => (2, 0.0),
    };
    all.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    for i in 0..all.len() {
        let shared = i > 0 && key(&all[i]) == key(&all[i - 1]);
        all[i].place = if shared { all[i - 1].place } else { i + 1 };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(readings: &[(f64, f64)]) -> Record {
        Record { readings: readings.to_vec(), diverged: None }
    }

    fn order(records: &[Record], target: Target, time: f64) -> Vec<usize> {
        standings(records, target, time).iter().map(|s| s.racer).collect()
    }

    #[test]
    fn finishers_keep_the_order_in_which_they_reached_the_threshold() {
        let target = Target { measure: Measure::TestAccuracy, threshold: Some(0.9) };
        let records = [
            record(&[(1.0, 0.5), (2.0, 0.91), (3.0, 0.7)]),
            record(&[(1.0, 0.6), (2.0, 0.8), (3.0, 0.99)]),
            record(&[(1.0, 0.2), (2.0, 0.3), (3.0, 0.89)]),
        ];
        assert_eq!(order(&records, target, 0.5), [0, 1, 2], "nobody has a reading yet");
        assert_eq!(order(&records, target, 1.0), [1, 0, 2]);
        assert_eq!(
            order(&records, target, 1.99),
            [1, 0, 2],
            "a reading counts from when it is made"
        );
        assert_eq!(order(&records, target, 2.0), [0, 1, 2]);
        // Falling back below the threshold does not undo a finish, nor does a better value beat it.
        let last = standings(&records, target, 9.0);
        assert_eq!(last.iter().map(|s| s.racer).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(
            [last[0].finished, last[1].finished, last[2].finished],
            [Some(2.0), Some(3.0), None]
        );
        assert_eq!(last[0].value, Some(0.7));
    }

    #[test]
    fn those_that_nothing_tells_apart_share_a_place() {
        let target = Target { measure: Measure::TestAccuracy, threshold: Some(0.8) };
        let records = [
            record(&[(1.0, 0.5), (2.0, 0.9)]),
            record(&[(1.0, 0.1), (2.0, 0.95)]),
            record(&[(1.0, 0.5), (2.0, 0.6), (3.0, 0.8)]),
        ];
        let places = |time| {
            let mut all = standings(&records, target, time);
            all.sort_by_key(|s| s.racer);
            all.iter().map(|s| s.place).collect::<Vec<_>>()
        };
        assert_eq!(places(0.0), [1, 1, 1]);
        assert_eq!(places(1.0), [1, 3, 1]);
        assert_eq!(places(2.0), [1, 1, 3]);
        assert_eq!(places(3.0), [1, 1, 3]);
    }

    #[test]
    fn a_loss_is_better_when_lower_and_a_diverged_run_is_last() {
        let target = Target { measure: Measure::TrainLoss, threshold: None };
        let mut records =
            [record(&[(1.0, 0.1)]), record(&[(1.0, 0.5)]), record(&[(1.0, f64::NAN)])];
        assert_eq!(order(&records, target, 1.0), [0, 1, 2]);
        records[0].diverged = Some(1.5);
        assert_eq!(order(&records, target, 1.0), [0, 1, 2]);
        assert_eq!(order(&records, target, 1.5), [1, 2, 0]);
        assert!(standings(&records, target, 2.0)[2].diverged);
        let reached = Target { threshold: Some(0.5), ..target };
        assert_eq!(finish(&records[1], reached), Some(1.0));
        assert_eq!(finish(&records[2], reached), None);
    }
}
