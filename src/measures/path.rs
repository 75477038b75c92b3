//! The shape of a path through parameter space: how long, how straight, how it turns.

use serde::Serialize;

/// A point of a path, which is a snapshot of a run. Lengths are Euclidean, in weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Station {
    /// Distance from the path's first point.
    #[serde(with = "crate::disk::float")]
    pub from_start: f64,
    /// Distance to its last point.
    #[serde(with = "crate::disk::float")]
    pub to_end: f64,
    /// Length of the displacement from the point before; not a number at the first point.
    #[serde(with = "crate::disk::float")]
    pub displacement: f64,
    /// Cosine of the angle between that displacement and the one before it: 1 straight on, -1 back; not a
    /// number at the first two points and where a displacement is zero.
    #[serde(with = "crate::disk::float")]
    pub cosine: f64,
    /// The displacement relative to the length of the weights at the point before, for each optimizer step
    /// between the two.
    #[serde(with = "crate::disk::float")]
    pub update: f64,
}

/// A path of at least one point.
#[derive(Debug, Clone, PartialEq)]
pub struct PathShape {
    /// Its points in order.
    pub stations: Vec<Station>,
    /// Sum of the displacements.
    pub length: f64,
    /// Distance from the first point to the last.
    pub distance: f64,
    /// Mean of the cosines; not a number where there are none.
    pub cosine: f64,
    /// Length of the weights at the first point.
    pub start: f64,
}

impl PathShape {
    /// The shape of a path of `norms.len()` points: `product(i, j)` is the inner product of points i and j
    /// about any one origin, `norms` are the lengths of the points themselves and `steps` the optimizer
    /// steps made at each.
    pub fn new(product: impl Fn(usize, usize) -> f64, norms: &[f64], steps: &[u64]) -> Self {
        let last = norms.len().saturating_sub(1);
        let distance = |i: usize, j: usize| {
            (product(i, i) + product(j, j) - 2.0 * product(i, j)).max(0.0).sqrt()
        };
        // <d_a, d_b> of the displacements that end at points a and b.
        let between = |a: usize, b: usize| {
            product(a, b) - product(a, b - 1) - product(a - 1, b) + product(a - 1, b - 1)
        };
        let displacement = |i: usize| if i == 0 { f64::NAN } else { distance(i - 1, i) };
        let station = |i: usize| {
            let own = displacement(i);
            let (mut cosine, mut update) = (f64::NAN, f64::NAN);
            if i >= 2 {
                let lengths = own * displacement(i - 1);
                if lengths > 0.0 {
                    cosine = (between(i - 1, i) / lengths).clamp(-1.0, 1.0);
                }
            }
            if i >= 1 {
                let made = steps[i].saturating_sub(steps[i - 1]).max(1);
                update = own / norms[i - 1] / made as f64;
            }
            Station {
                from_start: distance(0, i),
                to_end: distance(i, last),
                displacement: own,
                cosine,
                update,
            }
        };
        let stations: Vec<Station> = (0..norms.len()).map(station).collect();
        let length = stations.iter().skip(1).map(|s| s.displacement).sum();
        let cosines: Vec<f64> =
            stations.iter().map(|s| s.cosine).filter(|c| c.is_finite()).collect();
        let cosine = cosines.iter().sum::<f64>() / cosines.len() as f64;
        let distance = stations.last().map_or(0.0, |s| s.from_start);
        Self {
            stations,
            length,
            distance,
            cosine,
            start: norms.first().copied().unwrap_or(f64::NAN),
        }
    }

    /// The distance over the length: 1 for a straight line, near 0 for a path that comes back. Not a number
    /// for a path that does not move.
    pub fn straightness(&self) -> f64 {
        self.distance / self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of a path in the plane; inner products about its last point.
    fn of(points: &[[f64; 2]], steps: &[u64]) -> PathShape {
        let o = points[points.len() - 1];
        let about = |i: usize| [points[i][0] - o[0], points[i][1] - o[1]];
        let product = |i: usize, j: usize| {
            let (a, b) = (about(i), about(j));
            a[0] * b[0] + a[1] * b[1]
        };
        let norms: Vec<f64> = points.iter().map(|p| p[0].hypot(p[1])).collect();
        PathShape::new(product, &norms, steps)
    }

    #[test]
    fn a_walk_of_known_turns() {
        // East, east, north, south: lengths 3, 1, 4, 4.
        let path = [[4.0, 0.0], [7.0, 0.0], [8.0, 0.0], [8.0, 4.0], [8.0, 0.0]];
        let shape = of(&path, &[0, 10, 12, 16, 20]);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(shape.length, 12.0);
        near(shape.distance, 4.0);
        near(shape.straightness(), 1.0 / 3.0);
        let cosines: Vec<f64> = shape.stations.iter().map(|s| s.cosine).collect();
        assert!(cosines[0].is_nan() && cosines[1].is_nan());
        [1.0, 0.0, -1.0].iter().zip(&cosines[2..]).for_each(|(want, got)| near(*got, *want));
        near(shape.cosine, 0.0);
        // 3 over a weight of 4 in 10 steps, 1 over 7 in 2.
        near(shape.stations[1].update, 0.075);
        near(shape.stations[2].update, 1.0 / 14.0);
        near(shape.stations[3].from_start, 32f64.sqrt());
        near(shape.stations[3].to_end, 4.0);
        assert!(shape.stations[0].displacement.is_nan());
    }

    #[test]
    fn a_path_that_does_not_move_has_no_direction() {
        let shape = of(&[[1.0, 1.0]; 3], &[0, 1, 2]);
        assert_eq!((shape.length, shape.distance), (0.0, 0.0));
        assert!(shape.straightness().is_nan() && shape.cosine.is_nan());
        let one = of(&[[1.0, 1.0]], &[0]);
        assert_eq!((one.stations.len(), one.length, one.distance), (1, 0.0, 0.0));
    }
}
