//! Trained curves between two points: a quadratic Bezier curve or a polygonal chain with one bend.
//!
//! Garipov et al. (2018): two solutions are joined by phi(t) with fixed ends and one free point theta, which is
//! trained to make the mean of the loss over t uniform in [0, 1] small: at each step a t is drawn, and the
//! gradient of a batch's loss at phi(t) goes to theta times its weight there.

use crate::names::named_enum;

named_enum! {
    /// The shape of a trained curve.
    pub enum Shape("shape of a curve") {
        /// (1 - t)^2 a + 2 t (1 - t) theta + t^2 b.
        Bezier = "bezier",
        /// Straight from a to theta, and from there to b.
        Chain = "chain",
    }
}

impl Shape {
    /// The weights of a, theta and b in phi(t); they sum to 1.
    pub fn weights(self, t: f64) -> [f64; 3] {
        match self {
            Self::Bezier => [(1.0 - t).powi(2), 2.0 * t * (1.0 - t), t * t],
            Self::Chain if t < 0.5 => [1.0 - 2.0 * t, 2.0 * t, 0.0],
            Self::Chain => [0.0, 2.0 - 2.0 * t, 2.0 * t - 1.0],
        }
    }

    /// phi(t) for the points `a`, `theta` and `b`, all (P,).
    pub fn at(self, t: f64, [a, theta, b]: [&[f32]; 3]) -> Vec<f32> {
        let [wa, wm, wb] = self.weights(t);
        let sum = |((a, m), b): ((&f32, &f32), &f32)| {
            (wa * f64::from(*a) + wm * f64::from(*m) + wb * f64::from(*b)) as f32
        };
        a.iter().zip(theta).zip(b).map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_begin_and_end_at_their_ends_and_bend_at_the_point_between() {
        let (a, m, b) = ([0.0f32, 1.0], [2.0f32, 3.0], [1.0f32, -1.0]);
        for &shape in Shape::ALL {
            assert_eq!(shape.at(0.0, [&a, &m, &b]), a);
            assert_eq!(shape.at(1.0, [&a, &m, &b]), b);
            for i in 0..=10 {
                let sum: f64 = shape.weights(f64::from(i) / 10.0).iter().sum();
                assert!((sum - 1.0).abs() < 1e-12);
            }
        }
        assert_eq!(Shape::Chain.at(0.5, [&a, &m, &b]), m);
        assert_eq!(Shape::Bezier.at(0.5, [&a, &m, &b]), [1.25, 1.5]);
    }
}
