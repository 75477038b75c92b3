//! The barrier on a line between two points: how far the loss rises above the straight line between theirs.
//!
//! max over t of f(t) - ((1 - t) f(0) + t f(1)) (Frankle et al. 2020, Entezari et al. 2022), which is 0 where
//! the loss is convex along the line, and never negative: the ends are on it.

/// A barrier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Barrier {
    /// The height; NaN where a loss on the line is not a number.
    pub height: f64,
    /// Where, 0 at the first end and 1 at the last.
    pub at: f64,
    /// Index of the point.
    pub index: usize,
}

/// The barrier of losses `losses` at the coordinates `xs`, which rise: between the first and the last point.
/// `None` for fewer than two points.
pub fn barrier(xs: &[f64], losses: &[f64]) -> Option<Barrier> {
    let last = xs.len().checked_sub(1).filter(|last| *last > 0)?;
    let t = |i: usize| (xs[i] - xs[0]) / (xs[last] - xs[0]);
    let rise = |i: usize| losses[i] - ((1.0 - t(i)) * losses[0] + t(i) * losses[last]);
    if losses.iter().any(|l| l.is_nan()) || !losses[0].is_finite() || !losses[last].is_finite() {
        return Some(Barrier { height: f64::NAN, at: f64::NAN, index: 0 });
    }
    // What rounding makes of a straight line is no rise.
    let largest = losses.iter().map(|l| l.abs()).filter(|l| l.is_finite()).fold(0.0, f64::max);
    let rounding = 8.0 * f64::EPSILON * largest;
    let inner =
        (1..last).max_by(|&a, &b| rise(a).total_cmp(&rise(b))).filter(|&i| rise(i) > rounding);
    Some(inner.map_or(Barrier { height: 0.0, at: 0.0, index: 0 }, |index| Barrier {
        height: rise(index),
        at: t(index),
        index,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(f: impl Fn(f64) -> f64) -> Barrier {
        let xs: Vec<f64> = (0..=20).map(|i| f64::from(i) / 20.0).collect();
        let losses: Vec<f64> = xs.iter().map(|x| f(*x)).collect();
        barrier(&xs, &losses).unwrap()
    }

    #[test]
    fn a_hill_is_as_high_as_it_is_and_convex_lines_have_none() {
        let hill = of(|t| 0.5 + t + 4.0 * t * (1.0 - t));
        assert!((hill.height - 1.0).abs() < 1e-12 && hill.at == 0.5, "{hill:?}");
        assert_eq!(of(|t| (t - 0.3).powi(2)).height, 0.0);
        assert_eq!(of(|t| 2.0 - t).height, 0.0);
    }

    #[test]
    fn an_infinite_loss_is_an_infinite_barrier_and_a_nan_none() {
        assert_eq!(of(|t| if t == 0.5 { f64::INFINITY } else { 1.0 }).height, f64::INFINITY);
        assert!(of(|t| if t == 0.5 { f64::NAN } else { 1.0 }).height.is_nan());
        assert_eq!(barrier(&[0.0], &[1.0]), None);
    }
}
