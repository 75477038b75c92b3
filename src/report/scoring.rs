//! Scores of optimizers by how soon they reach a target on several workloads: AlgoPerf's protocol.
//!
//! A *submission* (an optimizer with its way of tuning) trains every workload in several *studies*,
//! each of some tuning *trials*. A study counts by its best trial ([`best_in_study`]), a workload by
//! the median over its studies ([`over_studies`]); a target that is not reached takes infinitely
//! long. The performance profile of a submission (Dolan & Moré 2002) is the share rho(tau) of
//! workloads on which its time is at most tau times the fastest submission's ([`profiles`]); its
//! score is the mean of rho over tau from 1 to 4 ([`Profile::score`]), between 0 and 1.
//!
//! Source: Dahl et al. 2023, "Benchmarking Neural Network Training Algorithms" (arXiv 2306.07179,
//! section 4); the details are those of the scoring of the v0.5 competition (Kasimbeg et al. 2025),
//! whose published scores the tests recompute from its public logs.

use serde::Serialize;

/// The largest ratio to the fastest submission that a score counts: AlgoPerf's.
pub const MAX_TAU: f64 = 4.0;

/// The points from 1 to the largest tau at which AlgoPerf's published scores take a profile.
pub const PUBLISHED_POINTS: usize = 100;

/// When a trial first met its target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reached {
    /// The number of the evaluation, from 0.
    pub evaluation: usize,
    /// Time spent training by then, in any unit that all submissions share.
    pub time: f64,
}

/// The time of a study: its fastest trial's time to the target; infinite where none reached it.
/// `None` and NaN stand for a trial that did not.
pub fn best_in_study(trials: &[Option<f64>]) -> f64 {
    // f64::min ignores a NaN.
    trials.iter().flatten().fold(f64::INFINITY, |best, &time| best.min(time))
}

/// The time of a study as AlgoPerf's own scoring takes it: that of the trial that reached the target
/// at the earliest *evaluation*, the first of several; infinite where none reached it.
///
/// It is [`best_in_study`] where the trials of a study spend about equal times between evaluations.
/// Of the v0.5 scores only one depends on the difference (LAWA EMA: 0.3384, by time 0.3434).
pub fn earliest_in_study(trials: &[Option<Reached>]) -> f64 {
    trials.iter().flatten().min_by_key(|r| r.evaluation).map_or(f64::INFINITY, |r| r.time)
}

/// The median of `studies`, an infinite one being the largest; with an even number of them the mean
/// of the two in the middle, which is infinite where one is. Infinite for no study.
pub fn over_studies(studies: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = studies.iter().map(|&t| unreached_if_nan(t)).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => f64::INFINITY,
        _ if n % 2 == 1 => sorted[n / 2],
        _ => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

fn unreached_if_nan(time: f64) -> f64 {
    if time.is_nan() { f64::INFINITY } else { time }
}

/// A held-out variant of a workload, as columns of the table of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The column of the variant.
    pub variant: usize,
    /// The column of the workload that it varies.
    pub base: usize,
}

/// Applies AlgoPerf's rule of held-out variants to `times`, (submissions, workloads): a submission
/// that is not within `max_tau` times the fastest on a variant, or that does not reach the variant's
/// target, counts as not reaching the target of the workload that it varies. Only base workloads are
/// scored afterwards; the columns of the variants are then to be left out.
///
/// The fastest on a variant is looked for among the submissions that reach the base's target.
///
/// # Panics
/// If the rows differ in length or a column is beyond them.
pub fn require_variants(times: &mut [Vec<f64>], variants: &[Variant], max_tau: f64) {
    check_rows(times);
    times.iter_mut().flatten().for_each(|t| *t = unreached_if_nan(*t));
    for &Variant { variant, base } in variants {
        for row in times.iter_mut().filter(|row| row[base].is_infinite()) {
            row[variant] = f64::INFINITY;
        }
    }
    let fastest = fastest_by_workload(times);
    for row in times.iter_mut() {
        for &Variant { variant, base } in variants {
            if row[variant].is_infinite() || row[variant] > max_tau * fastest[variant] {
                row[base] = f64::INFINITY;
            }
        }
    }
}

fn check_rows(times: &[Vec<f64>]) {
    assert!(times.windows(2).all(|w| w[0].len() == w[1].len()), "submissions differ in workloads");
}

fn fastest_by_workload(times: &[Vec<f64>]) -> Vec<f64> {
    let workloads = times.first().map_or(0, Vec::len);
    let column = |w: usize| times.iter().map(move |row| row[w]);
    (0..workloads).map(|w| column(w).fold(f64::INFINITY, f64::min)).collect()
}

/// A submission's performance profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// On each workload, the submission's time divided by the fastest submission's: 1 for the
    /// fastest, infinite where the target was not reached.
    pub ratios: Vec<f64>,
}

/// The profile of each submission against all of them.
///
/// `times` is (submissions, workloads), zero or more; infinite or NaN where the target was not
/// reached. Submissions that tie on a workload all have the ratio 1 there. A workload whose target
/// nobody reached counts against everybody.
///
/// # Panics
/// If the rows differ in length.
pub fn profiles(times: &[Vec<f64>]) -> Vec<Profile> {
    check_rows(times);
    let fastest = fastest_by_workload(times);
    let ratio = |(&time, &best): (&f64, &f64)| {
        if !time.is_finite() {
            f64::INFINITY
        } else if time == best {
            // Also where both are 0.
            1.0
        } else {
            time / best
        }
    };
    times
        .iter()
        .map(|row| Profile { ratios: row.iter().zip(&fastest).map(ratio).collect() })
        .collect()
}

impl Profile {
    /// rho(tau): the share of workloads, 0..1, on which the ratio is at most `tau`; NaN without a
    /// workload.
    pub fn share(&self, tau: f64) -> f64 {
        let within = self.ratios.iter().filter(|r| **r <= tau).count();
        within as f64 / self.ratios.len() as f64
    }

    /// The steps of rho from 1 to `max_tau` as points (tau, share) to be joined by a staircase: at
    /// each tau the share from there on. The first is at 1, the last at `max_tau`.
    pub fn steps(&self, max_tau: f64) -> Vec<(f64, f64)> {
        let mut taus: Vec<f64> = self.ratios.iter().copied().filter(|r| *r <= max_tau).collect();
        taus.extend([1.0, max_tau]);
        taus.sort_by(f64::total_cmp);
        taus.dedup();
        taus.into_iter().map(|tau| (tau, self.share(tau))).collect()
    }

    /// The score: the mean of rho over tau from 1 to `max_tau`, 0..1. The integral is exact: a
    /// workload with the ratio r gives (max_tau - r) / (max_tau - 1) where r is at most `max_tau`.
    pub fn score(&self, max_tau: f64) -> f64 {
        let gain = |r: &f64| if *r <= max_tau { (max_tau - r) / (max_tau - 1.0) } else { 0.0 };
        self.ratios.iter().map(gain).sum::<f64>() / self.ratios.len() as f64
    }

    /// The score by the trapezoid rule on `points` values of tau, equally spaced from 1 to
    /// `max_tau`: with [`PUBLISHED_POINTS`] the way in which AlgoPerf's published scores are
    /// computed, which differ from the exact ones by up to 0.0016.
    ///
    /// # Panics
    /// If there are fewer than two points.
    pub fn score_by_trapezoids(&self, max_tau: f64, points: usize) -> f64 {
        assert!(points >= 2, "an integral takes two points at least");
        let last = points - 1;
        let tau = |i: usize| 1.0 + (max_tau - 1.0) * i as f64 / last as f64;
        let inner: f64 = (1..last).map(|i| self.share(tau(i))).sum();
        (inner + 0.5 * (self.share(1.0) + self.share(max_tau))) / last as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    const INF: f64 = f64::INFINITY;

    #[test]
    fn a_study_counts_by_its_fastest_trial_and_a_workload_by_the_median_study() {
        assert_eq!(best_in_study(&[None, Some(3.0), Some(f64::NAN), Some(2.0)]), 2.0);
        assert_eq!(best_in_study(&[None, None]), INF);
        let reached = |evaluation, time| Some(Reached { evaluation, time });
        // The earliest evaluation wins although it took longer; of two, the first.
        assert_eq!(earliest_in_study(&[reached(5, 1.0), reached(4, 9.0), reached(4, 8.0)]), 9.0);
        assert_eq!(earliest_in_study(&[None]), INF);
        assert_eq!(over_studies(&[INF, 3.0, 1.0]), 3.0);
        assert_eq!(over_studies(&[INF, 3.0, f64::NAN]), INF);
        assert_eq!(over_studies(&[4.0, 1.0, 3.0, INF]), 3.5);
        assert_eq!(over_studies(&[1.0, INF]), INF);
        assert_eq!(over_studies(&[]), INF);
    }

    #[test]
    fn a_profile_is_the_share_of_workloads_within_a_ratio_of_the_fastest() {
        let times = [vec![10.0, 30.0, INF, INF, 0.0], vec![20.0, 10.0, 5.0, f64::NAN, 0.0]];
        let found = profiles(&times);
        assert_eq!(found[0].ratios, [1.0, 3.0, INF, INF, 1.0]);
        assert_eq!(found[1].ratios, [2.0, 1.0, 1.0, INF, 1.0]);
        assert_eq!(found[0].share(1.0), 0.4);
        assert_eq!(found[0].share(3.0), 0.6);
        assert_eq!(found[0].steps(4.0), [(1.0, 0.4), (3.0, 0.6), (4.0, 0.6)]);
        // rho is 0.4 on a length of 2 and 0.6 on a length of 1, over a length of 3.
        assert!((found[0].score(4.0) - (0.4 * 2.0 + 0.6) / 3.0).abs() < 1e-15);
        // On fine points the trapezoids agree: an error of half a step of one workload, 1/5 of
        // 0.5 / 99,999.
        assert!((found[0].score_by_trapezoids(4.0, 100_000) - found[0].score(4.0)).abs() < 2e-6);
    }

    #[test]
    fn a_missed_variant_counts_as_a_missed_workload() {
        // Columns: a workload, its variant, another workload.
        let mut times = vec![
            vec![1.0, 10.0, 1.0],
            vec![2.0, 41.0, 1.0],
            vec![3.0, INF, 1.0],
            // The fastest on the variant, but not on the workload itself: it sets no standard.
            vec![INF, 1.0, 1.0],
            vec![4.0, 40.0, 1.0],
        ];
        require_variants(&mut times, &[Variant { variant: 1, base: 0 }], 4.0);
        let bases: Vec<f64> = times.iter().map(|row| row[0]).collect();
        assert_eq!(bases, [1.0, INF, INF, INF, 4.0]);
        assert!(times.iter().all(|row| row[2] == 1.0));
    }

    /// [evaluation, seconds] of a trial, if it reached the target.
    type Logged = Option<(usize, f64)>;

    #[derive(Deserialize)]
    struct Competition {
        base_workloads: Vec<String>,
        held_out_workloads: Vec<String>,
        rulesets: BTreeMap<String, BTreeMap<String, Submission>>,
    }

    #[derive(Deserialize)]
    struct Submission {
        published: f64,
        /// By workload: studies, and in each its trials.
        times: BTreeMap<String, Vec<Vec<Logged>>>,
    }

    impl Submission {
        fn time(&self, workload: &str, study: impl Fn(&[Logged]) -> f64) -> f64 {
            let studies = self.times.get(workload).map_or(&[][..], Vec::as_slice);
            over_studies(&studies.iter().map(|trials| study(trials)).collect::<Vec<_>>())
        }
    }

    fn competition() -> Competition {
        serde_json::from_str(include_str!("../../tests/oracles/algoperf.json")).unwrap()
    }

    impl Competition {
        /// The published score of every submission of a ruleset, and the one found here.
        fn scores(
            &self,
            ruleset: &str,
            study: impl Fn(&[Logged]) -> f64,
            score: impl Fn(&Profile) -> f64,
        ) -> Vec<(&str, f64, f64)> {
            let (base, held) = (&self.base_workloads, &self.held_out_workloads);
            let submissions = &self.rulesets[ruleset];
            let row = |s: &Submission| base.iter().chain(held).map(|w| s.time(w, &study)).collect();
            let mut times: Vec<Vec<f64>> = submissions.values().map(row).collect();
            let of = |held: &String| base.iter().position(|b| held.starts_with(&format!("{b}_")));
            let variants: Vec<Variant> = (held.iter().enumerate())
                .map(|(i, h)| Variant { variant: base.len() + i, base: of(h).unwrap() })
                .collect();
            require_variants(&mut times, &variants, MAX_TAU);
            times.iter_mut().for_each(|row| row.truncate(base.len()));
            (submissions.iter().zip(profiles(&times)))
                .map(|((name, s), profile)| (name.as_str(), s.published, score(&profile)))
                .collect()
        }
    }

    fn by_evaluation(trials: &[Logged]) -> f64 {
        let reached = |t: &Logged| t.map(|(evaluation, time)| Reached { evaluation, time });
        earliest_in_study(&trials.iter().map(reached).collect::<Vec<_>>())
    }

    fn by_time(trials: &[Logged]) -> f64 {
        best_in_study(&trials.iter().map(|t| t.map(|(_, time)| time)).collect::<Vec<_>>())
    }

    #[test]
    fn the_published_scores_of_algoperf_come_out_of_its_logs_to_all_digits() {
        let all = competition();
        for (ruleset, submissions) in [("external_tuning", 11), ("self_tuning", 6)] {
            let score = |p: &Profile| p.score_by_trapezoids(MAX_TAU, PUBLISHED_POINTS);
            let scores = all.scores(ruleset, by_evaluation, score);
            assert_eq!(scores.len(), submissions);
            for (name, published, found) in scores {
                // Published to four digits.
                assert_eq!(format!("{found:.4}"), format!("{published:.4}"), "{ruleset}: {name}");
            }
        }
    }

    #[test]
    fn the_simpler_rules_stay_near_the_published_scores() {
        let scores = competition();
        for ruleset in ["external_tuning", "self_tuning"] {
            let exact = scores.scores(ruleset, by_evaluation, |p| p.score(MAX_TAU));
            // A ratio falls between two points of tau, which costs or gives it at most half their
            // distance: 0.005 of the score if on all workloads in one direction; 0.0016 is seen.
            assert!(exact.iter().all(|(_, published, found)| (found - published).abs() < 2e-3));
            let timed = scores
                .scores(ruleset, by_time, |p| p.score_by_trapezoids(MAX_TAU, PUBLISHED_POINTS));
            let other: Vec<&str> = (timed.iter())
                .filter(|(_, published, found)| (found - published).abs() > 5.1e-5)
                .map(|(name, ..)| *name)
                .collect();
            let expected: &[&str] = if ruleset == "external_tuning" { &["lawa_ema"] } else { &[] };
            assert_eq!(other, expected);
        }
    }
}
