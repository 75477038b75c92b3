//! Monotone piecewise cubic interpolation (Fritsch and Carlson 1980, with the slopes of Fritsch
//! and Butland 1984): smooth, and between two samples never outside them. A spline that overshoots
//! would draw wells and detours that are not in the data.

/// An interpolant through `(ts[i], vs[i])`, constant beyond both ends.
#[derive(Debug, Clone)]
pub struct Pchip<'a> {
    ts: &'a [f64],
    vs: &'a [f64],
    slopes: Vec<f64>,
}

impl<'a> Pchip<'a> {
    /// The interpolant; `ts` is strictly increasing, as long as `vs`, and not empty.
    pub fn new(ts: &'a [f64], vs: &'a [f64]) -> Self {
        let n = ts.len();
        debug_assert!(n > 0 && n == vs.len());
        let mut slopes = vec![0.0; n];
        if n >= 2 {
            let h: Vec<f64> = ts.windows(2).map(|w| w[1] - w[0]).collect();
            let d: Vec<f64> = (0..n - 1).map(|i| (vs[i + 1] - vs[i]) / h[i]).collect();
            for i in 1..n - 1 {
                if d[i - 1] * d[i] > 0.0 {
                    // Weighted harmonic mean of the secants.
                    let (w1, w2) = (2.0 * h[i] + h[i - 1], h[i] + 2.0 * h[i - 1]);
                    slopes[i] = (w1 + w2) / (w1 / d[i - 1] + w2 / d[i]);
                }
            }
            slopes[0] = end_slope(&h, &d, 0, 1);
            slopes[n - 1] = end_slope(&h, &d, n - 2, n.saturating_sub(3));
        }
        Self { ts, vs, slopes }
    }

    /// The value at `t`.
    pub fn at(&self, t: f64) -> f64 {
        let n = self.ts.len();
        if n == 1 || t <= self.ts[0] {
            return self.vs[0];
        }
        if t >= self.ts[n - 1] {
            return self.vs[n - 1];
        }
        let i = self.ts.partition_point(|&knot| knot <= t) - 1;
        let h = self.ts[i + 1] - self.ts[i];
        let s = (t - self.ts[i]) / h;
        let (s2, s3) = (s * s, s * s * s);
        // Hermite basis.
        self.vs[i] * (2.0 * s3 - 3.0 * s2 + 1.0)
            + self.vs[i + 1] * (3.0 * s2 - 2.0 * s3)
            + h * (self.slopes[i] * (s3 - 2.0 * s2 + s) + self.slopes[i + 1] * (s3 - s2))
    }
}

/// The three-point formula at an end, limited so that the end piece stays monotone.
fn end_slope(h: &[f64], d: &[f64], near: usize, far: usize) -> f64 {
    if d.len() == 1 {
        return d[0];
    }
    let slope = ((2.0 * h[near] + h[far]) * d[near] - h[near] * d[far]) / (h[near] + h[far]);
    if slope * d[near] <= 0.0 {
        0.0
    } else if d[near] * d[far] < 0.0 && slope.abs() > 3.0 * d[near].abs() {
        3.0 * d[near]
    } else {
        slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_equals_scipys_pchip() {
        // scipy.interpolate.PchipInterpolator([0,1,2.5,3,5],[1,2,2,5,4.5])([.3,1.7,2.6,3.1,4.9])
        let (ts, vs) = ([0.0, 1.0, 2.5, 3.0, 5.0], [1.0, 2.0, 2.0, 5.0, 4.5]);
        let p = Pchip::new(&ts, &vs);
        let expected = [
            (0.3, 1.4218),
            (1.7, 2.0),
            (2.6, 2.3120000000000007),
            (3.1, 4.9999375),
            (4.9, 4.5713124999999994),
        ];
        for (t, want) in expected {
            assert!((p.at(t) - want).abs() < 1e-12, "{t}: {} is not {want}", p.at(t));
        }
        assert_eq!((p.at(-9.0), p.at(9.0)), (1.0, 4.5));
    }

    #[test]
    fn it_never_leaves_the_range_of_its_two_neighbours() {
        let ts: Vec<f64> = (0..12).map(f64::from).collect();
        let vs: Vec<f64> = ts.iter().map(|t| (t * 12.9898).sin() * 43.0 % 1.0).collect();
        let p = Pchip::new(&ts, &vs);
        for i in 0..1100 {
            let t = f64::from(i) * 0.01;
            let k = t as usize;
            let (lo, hi) = (vs[k].min(vs[k + 1]), vs[k].max(vs[k + 1]));
            assert!((lo - 1e-12..=hi + 1e-12).contains(&p.at(t)));
        }
    }
}
