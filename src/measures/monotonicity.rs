//! Whether the loss falls all along a line, as Goodfellow, Vinyals and Saxe (2015) saw from initialisation to
//! solution.

/// How monotone a line is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Monotonicity {
    /// The part of the total variation that is descent, 0..1; 1 where the loss never rises, NaN where it does
    /// not change.
    pub descent: f64,
    /// The largest rise from a point to a later one: the line falls monotonically up to this (Lucas et al.
    /// 2021).
    pub largest_rise: f64,
}

/// How monotone the losses along a line are, in their order; NaN where one is not finite.
pub fn monotonicity(losses: &[f64]) -> Monotonicity {
    if losses.iter().any(|l| !l.is_finite()) {
        return Monotonicity { descent: f64::NAN, largest_rise: f64::NAN };
    }
    let steps = || losses.windows(2).map(|w| w[1] - w[0]);
    let fall: f64 = steps().map(|s| (-s).max(0.0)).sum();
    let variation: f64 = steps().map(f64::abs).sum();
    let (mut lowest, mut largest_rise) = (f64::INFINITY, 0.0f64);
    for &loss in losses {
        lowest = lowest.min(loss);
        largest_rise = largest_rise.max(loss - lowest);
    }
    Monotonicity { descent: fall / variation, largest_rise }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descent_is_whole_and_a_bump_is_as_high_as_it_rises() {
        let falling = monotonicity(&[3.0, 2.0, 2.0, 0.5]);
        assert_eq!((falling.descent, falling.largest_rise), (1.0, 0.0));
        let bump = monotonicity(&[3.0, 1.0, 2.0, 2.5, 0.0]);
        assert_eq!((bump.descent, bump.largest_rise), (4.5 / 6.0, 1.5));
        assert!(monotonicity(&[1.0, f64::NAN]).descent.is_nan());
    }
}
