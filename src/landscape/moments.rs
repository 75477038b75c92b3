//! The mean of a loss over samples with its standard error, of parts that are put together.

/// How many values there are, their mean, and the sum of their squared deviations from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moments {
    n: usize,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Of `values`.
    pub(crate) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let n = values.clone().count();
        let mean = values.clone().sum::<f64>() / n as f64;
        let squares = values.map(|v| (v - mean).powi(2)).sum();
        Self { n, mean, squares }
    }

    /// Of `a - b`, sample by sample.
    pub(crate) fn of_differences(a: &[f64], b: &[f64]) -> Self {
        Self::of(a.iter().zip(b).map(|(a, b)| a - b))
    }

    /// Of `n` values with this mean and its standard error.
    pub(super) fn with_se(n: usize, mean: f64, se: f64) -> Self {
        // One value has no error, and no deviation.
        let squares = if n == 1 { 0.0 } else { se.powi(2) * n as f64 * (n - 1) as f64 };
        Self { n, mean, squares }
    }

    /// Of the values of both (Chan, Golub and LeVeque 1983).
    pub(super) fn and(self, other: Self) -> Self {
        let [a, b] = [self.n as f64, other.n as f64];
        let n = self.n + other.n;
        let between = (other.mean - self.mean).powi(2) * a * b / (a + b);
        Self {
            n,
            mean: (a * self.mean + b * other.mean) / (a + b),
            squares: self.squares + other.squares + between,
        }
    }

    /// The mean.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// The standard error of the mean, from the unbiased variance; NaN of a single value.
    pub(crate) fn se(&self) -> f64 {
        let n = self.n as f64;
        if self.n < 2 { f64::NAN } else { (self.squares / (n - 1.0) / n).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_put_together_are_the_whole() {
        let values: Vec<f64> = (0..37).map(|i| f64::from(i * i % 11) * 0.3 - 1.0).collect();
        let of = |values: &[f64]| Moments::of(values.iter().copied());
        let whole = of(&values);
        for cut in [1, 2, 20, 36] {
            let (a, b) = values.split_at(cut);
            let kept = Moments::with_se(a.len(), of(a).mean(), of(a).se());
            let both = kept.and(of(b));
            // Rounding in f64.
            assert!((both.mean() - whole.mean()).abs() < 1e-14, "{cut}");
            assert!((both.se() - whole.se()).abs() < 1e-14, "{cut}");
        }
        let (n, mean) = (values.len() as f64, values.iter().sum::<f64>() / values.len() as f64);
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        assert!((whole.se() - (variance / n).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn an_overflow_stays_one_and_has_no_error() {
        let finite = Moments::of([1.0, 2.0].into_iter());
        let infinite = Moments::of([f64::INFINITY, 2.0].into_iter());
        assert_eq!(infinite.and(finite).mean(), f64::INFINITY);
        assert_eq!(finite.and(infinite).mean(), f64::INFINITY);
        assert!(finite.and(infinite).se().is_nan());
        assert!(Moments::of([f64::NAN, 2.0].into_iter()).and(finite).mean().is_nan());
    }

    #[test]
    fn what_samples_have_in_common_is_not_in_the_error_of_their_difference() {
        let a: Vec<f64> = (0..50).map(|i| f64::from(i % 7)).collect();
        let b: Vec<f64> = a.iter().map(|v| v + 3.0).collect();
        assert_eq!(Moments::of_differences(&b, &a).se(), 0.0);
        assert!(Moments::of(a.iter().copied()).se() > 0.2);
    }
}
