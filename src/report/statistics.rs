//! What can be concluded from a few seeds: intervals, paired differences, corrections for many
//! comparisons, and how many seeds a difference would take to be seen.
//!
//! Definitions are those of textbooks and of scipy, with which the tests compare: Student's t
//! (`scipy.stats.ttest_rel`, `ttest_ind(equal_var=False)`), the percentile bootstrap, Holm (1979),
//! Hedges' correction of Cohen's d, and Wilson's interval of a proportion.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::rng::Streams;

/// The level of all intervals: 95 %.
pub const LEVEL: f64 = 0.95;

/// An interval, both ends included; infinite where there are too few values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// The interval of nothing known.
    pub const UNKNOWN: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    fn about(middle: f64, half: f64) -> Self {
        if half.is_nan() { Self::UNKNOWN } else { Self { low: middle - half, high: middle + half } }
    }

    /// Its ends through a rising function.
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { low: f(self.low), high: f(self.high) }
    }

    /// Whether `x` is inside.
    pub fn contains(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }
}

/// Several values in short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub n: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation (of a sample: n - 1); NaN for one value.
    pub sd: f64,
    /// 95 % interval of the mean by Student's t.
    pub interval: Interval,
}

/// Mean and interval of `values`; `None` for none.
pub fn summary(values: &[f64]) -> Option<Summary> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = mean_of(values);
    let sd = sd_of(values);
    let half = t_quantile(0.5 + 0.5 * LEVEL, n as f64 - 1.0) * sd / (n as f64).sqrt();
    Some(Summary { n, mean, sd, interval: Interval::about(mean, half) })
}

/// Mean and interval of the logarithms of `values`, back on their own scale: the geometric mean. The
/// standard deviation stays that of the logarithms. `None` for none, or where one is not positive.
pub fn summary_of_logs(values: &[f64]) -> Option<Summary> {
    if values.iter().any(|v| *v <= 0.0) {
        return None;
    }
    let logs: Vec<f64> = values.iter().map(|v| v.ln()).collect();
    let of_logs = summary(&logs)?;
    let known = of_logs.interval.low.is_finite();
    let interval = if known { of_logs.interval.map(f64::exp) } else { Interval::UNKNOWN };
    Some(Summary { mean: of_logs.mean.exp(), interval, ..of_logs })
}

fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sd_of(values: &[f64]) -> f64 {
    let mean = mean_of(values);
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    // One value has no spread: 0 / 0.
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

/// Quantile `p` of Student's t; NaN without a degree of freedom.
fn t_quantile(p: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(p))
}

/// Probability of a t at least as far from 0, on both sides.
fn t_tails(t: f64, freedom: f64) -> f64 {
    if t.is_nan() {
        return f64::NAN;
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |dist| 2.0 * dist.sf(t.abs()))
}

/// The variance over runs of the accuracy on endlessly many test images, from the answers of each run on
/// the same finite ones: that of the test accuracies without what is the images' own chance. Unbiased, so
/// that it can be negative; `None` for fewer than two runs or images, or runs with other images.
///
/// With `c_i` whether image i is answered rightly, the variance over runs of their mean is
/// `(1/n^2) sum_ij cov(c_i, c_j)`, and the terms with i != j estimate the variance of the true accuracy
/// (Jordan 2023, arXiv 2304.01910, section 4).
pub fn variance_beyond_test_set(right: &[&[bool]]) -> Option<f64> {
    let (runs, images) = (right.len(), right.first()?.len());
    if runs < 2 || images < 2 || right.iter().any(|r| r.len() != images) {
        return None;
    }
    let n = images as f64;
    let share = |count: usize, of: f64| count as f64 / of;
    let accuracies: Vec<f64> =
        right.iter().map(|r| share(r.iter().filter(|c| **c).count(), n)).collect();
    // Of zeros and ones: r p (1 - p) / (r - 1).
    let own = |image: usize| {
        let p = share(right.iter().filter(|r| r[image]).count(), runs as f64);
        runs as f64 * p * (1.0 - p) / (runs as f64 - 1.0)
    };
    let own: f64 = (0..images).map(own).sum();
    Some((n * n * sd_of(&accuracies).powi(2) - own) / (n * (n - 1.0)))
}

/// Two groups compared: b minus a.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of b minus mean of a.
    pub difference: f64,
    /// 95 % interval by Student's t.
    pub interval: Interval,
    /// 95 % interval by the percentile bootstrap over seeds (10,000 draws).
    pub bootstrap: Interval,
    /// Two-sided p of no difference; NaN where there are too few values.
    pub p: f64,
    /// Hedges' g: the difference in standard deviations (of the differences, where seeds are paired),
    /// corrected for few values.
    pub effect: f64,
    /// Pairs, or the smaller group.
    pub n: usize,
    /// Whether the values are paired by seed.
    pub paired: bool,
    /// The standard deviation that `effect` counts in.
    pub sd: f64,
}

/// Compares values paired by seed: `pairs` of (a, b). `None` for no pair.
pub fn paired(pairs: &[(f64, f64)], seed: u64) -> Option<Difference> {
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| b - a).collect();
    let Summary { n, mean, sd, interval } = summary(&differences)?;
    let freedom = n as f64 - 1.0;
    let t = mean / (sd / (n as f64).sqrt());
    // A few differences that are all the same (shares of few images often are) have no spread to judge
    // by: what is left is that all have one sign, which chance gives once in 2^(n - 1).
    let all_same = sd <= 1e-9 * mean.abs();
    let p = match all_same {
        true if mean == 0.0 => 1.0,
        true => 0.5f64.powi(n as i32 - 1),
        false => t_tails(t, freedom),
    };
    Some(Difference {
        difference: mean,
        interval: if all_same && mean != 0.0 { Interval::UNKNOWN } else { interval },
        bootstrap: bootstrap(&[&differences], |groups| mean_of(&groups[0]), seed),
        p: if n < 2 { f64::NAN } else { p },
        effect: hedges(freedom) * mean / sd,
        n,
        paired: true,
        sd,
    })
}

/// Compares two groups whose values have nothing to do with each other (Welch). `None` where one is
/// empty.
pub fn unpaired(a: &[f64], b: &[f64], seed: u64) -> Option<Difference> {
    let (sa, sb) = (summary(a)?, summary(b)?);
    let (va, vb) = (sa.sd.powi(2) / sa.n as f64, sb.sd.powi(2) / sb.n as f64);
    let difference = sb.mean - sa.mean;
    let se = (va + vb).sqrt();
    let freedom =
        (va + vb).powi(2) / (va.powi(2) / (sa.n as f64 - 1.0) + vb.powi(2) / (sb.n as f64 - 1.0));
    let half = t_quantile(0.5 + 0.5 * LEVEL, freedom) * se;
    let sd = ((sa.sd.powi(2) + sb.sd.powi(2)) / 2.0).sqrt();
    Some(Difference {
        difference,
        interval: Interval::about(difference, half),
        bootstrap: bootstrap(&[a, b], |groups| mean_of(&groups[1]) - mean_of(&groups[0]), seed),
        p: t_tails(difference / se, freedom),
        effect: hedges((sa.n + sb.n) as f64 - 2.0) * difference / sd,
        n: sa.n.min(sb.n),
        paired: false,
        sd,
    })
}

/// Hedges' factor for few values.
fn hedges(freedom: f64) -> f64 {
    1.0 - 3.0 / (4.0 * freedom - 1.0)
}

/// Draws of the bootstrap.
const DRAWS: usize = 10_000;

/// The percentile interval of `statistic` over groups drawn anew with replacement.
fn bootstrap(groups: &[&[f64]], statistic: impl Fn(&[Vec<f64>]) -> f64, seed: u64) -> Interval {
    if groups.iter().any(|group| group.len() < 2) {
        return Interval::UNKNOWN;
    }
    let mut rng = Streams::new(seed).stream("bootstrap", 0);
    let mut drawn: Vec<Vec<f64>> = groups.iter().map(|group| group.to_vec()).collect();
    let mut values: Vec<f64> = (0..DRAWS)
        .map(|_| {
            for (draw, group) in drawn.iter_mut().zip(groups) {
                for value in draw {
                    *value = group[rng.below(group.len())];
                }
            }
            statistic(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((share * DRAWS as f64) as usize).min(DRAWS - 1)];
    Interval { low: at(0.5 - 0.5 * LEVEL), high: at(0.5 + 0.5 * LEVEL) }
}

/// Holm's correction: the p values adjusted for being several, in their order. NaN stays NaN and counts
/// as no comparison.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| !p[i].is_nan()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut highest = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        highest = highest.max((order.len() - rank) as f64 * p[i]).min(1.0);
        adjusted[i] = highest;
    }
    adjusted
}

/// Seeds that are needed to see a mean difference of `difference` among differences with the standard
/// deviation `sd`, with a power of 80 % at a two-sided level of 5 % (the usual iteration of n = ((t_a +
/// t_b) sd / difference)^2, for one sample of differences); `None` where more than a million.
pub fn seeds_needed(difference: f64, sd: f64) -> Option<usize> {
    const MOST: f64 = 1e6;
    let ratio = (sd / difference).powi(2);
    if !ratio.is_finite() {
        return None;
    }
    let normal = Normal::standard();
    let (alpha, power) = (1.0 - 0.5 * (1.0 - LEVEL), 0.8);
    let mut n = ((normal.inverse_cdf(alpha) + normal.inverse_cdf(power)).powi(2) * ratio).ceil();
    n = n.max(2.0);
    while n < MOST {
        let freedom = n - 1.0;
        let wanted = (t_quantile(alpha, freedom) + t_quantile(power, freedom)).powi(2) * ratio;
        if wanted <= n {
            return Some(n as usize);
        }
        n += 1.0;
    }
    None
}

/// Wilson's 95 % interval of a share: `right` of `total` answers. What a test on so many images can say
/// at best, however many seeds there are.
pub fn wilson(right: f64, total: f64) -> Interval {
    let z = Normal::standard().inverse_cdf(0.5 + 0.5 * LEVEL);
    let share = right / total;
    let scale = 1.0 + z * z / total;
    let middle = (share + z * z / (2.0 * total)) / scale;
    let half = z / scale * (share * (1.0 - share) / total + (z / (2.0 * total)).powi(2)).sqrt();
    Interval::about(middle, half)
}

/// The standard error of a share measured on `total` images: sqrt(p (1 - p) / N).
pub fn binomial_se(share: f64, total: f64) -> f64 {
    (share * (1.0 - share) / total).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_values_know_nothing_and_do_not_claim_to() {
        assert_eq!(summary(&[]), None);
        let one = summary(&[3.0]).unwrap();
        assert_eq!((one.n, one.mean, one.interval), (1, 3.0, Interval::UNKNOWN));
        let d = paired(&[(1.0, 2.0)], 0).unwrap();
        assert!(
            d.p.is_nan() && d.interval == Interval::UNKNOWN && d.bootstrap == Interval::UNKNOWN
        );
        assert_eq!(unpaired(&[], &[1.0], 0), None);
    }

    #[test]
    fn differences_that_are_all_the_same_are_judged_by_their_sign() {
        let third = 1.0 / 3.0;
        let d = paired(&[(1.0, 1.0 + third), (3.0, 3.0 + third), (0.0, third)], 0).unwrap();
        assert_eq!((d.p, d.interval), (0.25, Interval::UNKNOWN));
        assert!((d.difference - third).abs() < 1e-12);
        assert_eq!(paired(&[(1.0, 1.0), (2.0, 2.0)], 0).unwrap().p, 1.0);
    }

    #[derive(serde::Deserialize)]
    struct Oracle {
        cases: Vec<Case>,
        holm: Holm,
        wilson: Vec<Share>,
        needed: Vec<Needed>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        a: Vec<f64>,
        b: Vec<f64>,
        mean: f64,
        sd: f64,
        interval: [f64; 2],
        p_paired: f64,
        p_welch: f64,
        welch_interval: [f64; 2],
    }

    #[derive(serde::Deserialize)]
    struct Holm {
        p: Vec<f64>,
        adjusted: Vec<f64>,
    }

    #[derive(serde::Deserialize)]
    struct Share {
        right: f64,
        total: f64,
        low: f64,
        high: f64,
    }

    #[derive(serde::Deserialize)]
    struct Needed {
        effect: f64,
        n: usize,
    }

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-6 * want.abs().max(1e-3), "{got} instead of {want}");
    }

    #[test]
    fn intervals_and_tests_are_those_of_scipy() {
        let text = include_str!("../../tests/oracles/statistics.json");
        let oracle: Oracle = serde_json::from_str(text).unwrap();
        for case in &oracle.cases {
            let pairs: Vec<(f64, f64)> =
                case.a.iter().copied().zip(case.b.iter().copied()).collect();
            let d = paired(&pairs, 0).unwrap();
            close(d.difference, case.mean);
            close(d.sd, case.sd);
            close(d.interval.low, case.interval[0]);
            close(d.interval.high, case.interval[1]);
            close(d.p, case.p_paired);
            let u = unpaired(&case.a, &case.b, 0).unwrap();
            close(u.p, case.p_welch);
            close(u.interval.low, case.welch_interval[0]);
            close(u.interval.high, case.welch_interval[1]);
        }
        for (got, want) in holm(&oracle.holm.p).iter().zip(&oracle.holm.adjusted) {
            close(*got, *want);
        }
        for share in &oracle.wilson {
            let interval = wilson(share.right, share.total);
            assert!((interval.low - share.low).abs() < 1e-9, "{interval:?}");
            close(interval.high, share.high);
        }
        // The usual iteration is within one of the exact number, by the noncentral t.
        for Needed { effect, n } in oracle.needed {
            let got = seeds_needed(effect, 1.0).unwrap();
            assert!(got.abs_diff(n) <= 1, "{effect}: {got} instead of {n}");
        }
    }

    #[test]
    fn holm_goes_down_from_the_smallest_and_never_falls() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005, f64::NAN]);
        let wanted = [0.03, 0.06, 0.06, 0.02];
        for (got, want) in adjusted.iter().zip(wanted) {
            assert!((got - want).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(adjusted[4].is_nan());
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }

    #[test]
    fn pairing_sees_what_the_spread_between_seeds_hides() {
        let pairs = [(10.0, 10.5), (20.0, 20.6), (30.0, 30.4), (40.0, 40.5)];
        let d = paired(&pairs, 0).unwrap();
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let u = unpaired(&a, &b, 0).unwrap();
        assert!(d.p < 0.01 && u.p > 0.9, "{} {}", d.p, u.p);
        assert!(d.bootstrap.low > 0.0 && d.bootstrap.contains(0.5), "{:?}", d.bootstrap);
    }

    #[test]
    fn more_seeds_are_needed_for_smaller_differences() {
        // G*Power: one sample of differences, dz = 0.5 and 1, two-sided 5 %, power 80 %: 34 and 10.
        assert_eq!(seeds_needed(0.5, 1.0), Some(34));
        assert!((9..=10).contains(&seeds_needed(1.0, 1.0).unwrap()));
        assert_eq!(seeds_needed(0.0, 1.0), None);
        assert!(seeds_needed(10.0, 1.0).unwrap() <= 3);
    }

    #[test]
    fn the_chance_of_a_finite_test_set_is_taken_out_of_the_spread_over_runs() {
        // Runs whose true accuracies have a known spread, each image answered by its own chance.
        let mut rng = crate::rng::Streams::new(5).stream("answers", 0);
        let (runs, images) = (400, 500);
        for spread in [0.0, 0.02] {
            let answers: Vec<Vec<bool>> = (0..runs)
                .map(|run| {
                    let shift = if run % 2 == 0 { spread } else { -spread };
                    (0..images).map(|_| rng.bernoulli(0.8 + shift)).collect()
                })
                .collect();
            let right: Vec<&[bool]> = answers.iter().map(Vec::as_slice).collect();
            let found = variance_beyond_test_set(&right).unwrap();
            // Two values of equal weight: n / (n - 1) spread^2. The sd of the estimate is about
            // sqrt(2 / runs) times the observed variance, 3.2e-4 + spread^2: 5e-5.
            let want = spread * spread * runs as f64 / (runs as f64 - 1.0);
            assert!((found - want).abs() < 1.5e-4, "{found} {want}");
        }
        // By hand: two runs, two images; accuracies 1 and 1/2: variance 1/8; the second image's own 1/2.
        let by_hand = variance_beyond_test_set(&[&[true, true], &[true, false]]).unwrap();
        assert!((by_hand - (4.0 * 0.125 - 0.5) / 2.0).abs() < 1e-15, "{by_hand}");
        assert_eq!(variance_beyond_test_set(&[&[true, true]]), None);
        assert_eq!(variance_beyond_test_set(&[&[true, true], &[true]]), None);
    }

    #[test]
    fn a_mean_of_logarithms_is_geometric_and_inside_its_interval() {
        let s = summary_of_logs(&[1.0, 100.0]).unwrap();
        assert!((s.mean - 10.0).abs() < 1e-12 && s.interval.low > 0.0 && s.interval.contains(10.0));
        assert_eq!(summary_of_logs(&[2.0]).unwrap().interval, Interval::UNKNOWN);
        assert_eq!(summary_of_logs(&[2.0, 0.0]), None);
    }
}
