//! A curve through samples of a loss that can be shaded without artefacts: a C2 cubic spline whose slopes are
//! held in bounds.
//!
//! A monotone cubic ([`crate::render::map::pchip`]) has a kink in its curvature at every sample and a
//! level spot at every local extremum of the samples; under a light both show as facets in a smooth
//! bowl. A plain spline has neither, but swings beyond its samples beside a jump. Here the spline's
//! slope at a sample is kept where `|s| <= M/2 + 5m/2` (`M` and `m`: the larger and the smaller of
//! the adjacent secants in size; `m = 0` at an extremum), which every parabola satisfies, and cut to
//! that bound elsewhere (in the spirit of Hyman 1983). So bowls stay bowls, and the curve leaves the
//! samples' range by at most 4/27 of `M/2` times the step: 7.4 % of the neighbouring rise.

/// Slopes at the samples `(ts[i], vs[i])`; `ts` is strictly increasing and as long as `vs`.
fn slopes(ts: &[f64], vs: &[f64]) -> Vec<f64> {
    let n = ts.len();
    if n < 2 {
        return vec![0.0; n];
    }
    let h: Vec<f64> = ts.windows(2).map(|w| w[1] - w[0]).collect();
    let d: Vec<f64> = (0..n - 1).map(|i| (vs[i + 1] - vs[i]) / h[i]).collect();
    if n == 2 {
        return vec![d[0]; 2];
    }
    // The end slopes of the parabola through three samples, not steeper than twice the secant.
    let end = |h0: f64, h1: f64, d0: f64, d1: f64| {
        let s = ((2.0 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
        let bound = 2.0 * d0.abs().max(0.5 * d1.abs());
        s.clamp(-bound, bound)
    };
    let mut s = vec![0.0; n];
    s[0] = end(h[0], h[1], d[0], d[1]);
    s[n - 1] = end(h[n - 2], h[n - 3], d[n - 2], d[n - 3]);
    // C2: h_i s_{i-1} + 2 (h_{i-1} + h_i) s_i + h_{i-1} s_{i+1} = 3 (h_i d_{i-1} + h_{i-1} d_i),
    // solved by elimination.
    let mut upper = vec![0.0; n];
    for i in 1..n - 1 {
        let (below, diagonal, above) = (h[i], 2.0 * (h[i - 1] + h[i]), h[i - 1]);
        let right = 3.0 * (h[i] * d[i - 1] + h[i - 1] * d[i]);
        let pivot = diagonal - below * upper[i - 1];
        upper[i] = above / pivot;
        s[i] = (right - below * s[i - 1]) / pivot;
    }
    for i in (1..n - 1).rev() {
        s[i] -= upper[i] * s[i + 1];
    }
    for i in 1..n - 1 {
        let (left, right) = (d[i - 1], d[i]);
        let larger = left.abs().max(right.abs());
        let smaller = if left * right > 0.0 { left.abs().min(right.abs()) } else { 0.0 };
        let bound = 0.5 * larger + 2.5 * smaller;
        s[i] = s[i].clamp(-bound, bound);
    }
    s
}

/// The curve through `(ts[i], vs[i])` at the increasing positions `at`, constant beyond both ends.
/// `ts` is strictly increasing, as long as `vs` and not empty.
pub fn sample(ts: &[f64], vs: &[f64], at: &[f64], mut put: impl FnMut(usize, f64)) {
    let n = ts.len();
    debug_assert!(n > 0 && n == vs.len());
    let slopes = slopes(ts, vs);
    let mut i = 0;
    for (k, &t) in at.iter().enumerate() {
        if n == 1 || t <= ts[0] {
            put(k, vs[0]);
            continue;
        }
        if t >= ts[n - 1] {
            put(k, vs[n - 1]);
            continue;
        }
        while ts[i + 1] <= t {
            i += 1;
        }
        let h = ts[i + 1] - ts[i];
        let r = (t - ts[i]) / h;
        let (r2, r3) = (r * r, r * r * r);
        // Hermite basis.
        let value = vs[i] * (2.0 * r3 - 3.0 * r2 + 1.0)
            + vs[i + 1] * (3.0 * r2 - 2.0 * r3)
            + h * (slopes[i] * (r3 - 2.0 * r2 + r) + slopes[i + 1] * (r3 - r2));
        put(k, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(ts: &[f64], vs: &[f64], at: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; at.len()];
        sample(ts, vs, at, |k, v| out[k] = v);
        out
    }

    #[test]
    fn a_parabola_is_reproduced_wherever_its_minimum_lies() {
        for minimum in [0.0, 0.1, 0.3, 0.49, 0.5] {
            let f = |t: f64| (t - minimum).powi(2);
            let ts: Vec<f64> = (-5..=5).map(f64::from).collect();
            let vs: Vec<f64> = ts.iter().map(|&t| f(t)).collect();
            let at: Vec<f64> = (-50..=50).map(|i| f64::from(i) * 0.1).collect();
            for (t, v) in at.iter().zip(curve(&ts, &vs, &at)) {
                assert!((v - f(*t)).abs() < 1e-12, "minimum {minimum}, at {t}: {v}");
            }
        }
    }

    #[test]
    fn beside_a_jump_it_swings_by_less_than_a_thirteenth_of_it() {
        let ts: Vec<f64> = (0..20).map(f64::from).collect();
        let at: Vec<f64> = (0..1900).map(|i| f64::from(i) * 0.01).collect();
        let step: Vec<f64> = ts.iter().map(|&t| if t < 10.0 { 0.0 } else { 1.0 }).collect();
        let needle: Vec<f64> = ts.iter().map(|&t| if t == 10.0 { 1.0 } else { 0.0 }).collect();
        for vs in [step, needle] {
            let found = curve(&ts, &vs, &at);
            assert!(found.iter().all(|v| (-0.075..=1.075).contains(v)));
        }
    }

    #[test]
    fn one_sample_is_a_constant_and_two_are_a_line() {
        assert_eq!(curve(&[3.0], &[7.0], &[0.0, 9.0]), [7.0, 7.0]);
        assert_eq!(curve(&[0.0, 2.0], &[0.0, 4.0], &[-1.0, 0.5, 1.0, 3.0]), [0.0, 1.0, 2.0, 4.0]);
    }
}
