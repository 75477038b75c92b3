//! The shadow of a path on a plane.
//!
//! The directions of a plane need be neither orthogonal nor of unit length (random ones are not),
//! so the coordinates (a, b) that bring origin + a x + b y nearest to a snapshot solve the 2 x 2
//! normal equations. What is left over is the off-plane residual: where it is large, the loss that
//! the surface shows under a point of the path is not the loss at that snapshot.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Snapshots;
use crate::error::{Error, Result};

/// Parameters whose products are summed together; fixed, so that threads cannot be seen.
const PIECE: usize = 1 << 14;

/// A path on a plane. T counts all snapshots; one that is not finite has NaN in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// `[a, b]` for each snapshot, (T,), in units of the directions.
    pub coords: Vec<[f64; 2]>,
    /// ||d - Pd|| / ||d|| for each displacement d, (T,), 0 to 1; 0 for the origin itself.
    pub off_plane_residual: Vec<f64>,
    /// ||d||, (T,).
    pub distance: Vec<f64>,
    /// The cosine of the angle between the directions.
    pub cosine: f64,
    /// The lengths of the directions.
    pub lengths: [f64; 2],
}

/// How much of a path a plane sees: shares of the squared displacements of all snapshots from the origin, 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Along x alone.
    pub x: f64,
    /// Along y alone.
    pub y: f64,
    /// In the plane; the sum of the two for orthogonal directions.
    pub both: f64,
}

impl Projection {
    /// How much of the path the plane sees; `None` for a path that does not move. Snapshots that are not finite
    /// are left out.
    pub fn seen(&self) -> Option<Seen> {
        let ([lx, ly], cosine) = (self.lengths, self.cosine);
        let (mut x, mut y, mut both, mut all) = (0.0, 0.0, 0.0, 0.0);
        for ((coords, residual), distance) in
            self.coords.iter().zip(&self.off_plane_residual).zip(&self.distance)
        {
            if !(residual.is_finite() && distance.is_finite()) {
                continue;
            }
            let [a, b] = [coords[0] * lx, coords[1] * ly];
            x += (a + b * cosine).powi(2);
            y += (b + a * cosine).powi(2);
            both += (1.0 - residual * residual) * distance * distance;
            all += distance * distance;
        }
        (all > 0.0).then(|| Seen { x: x / all, y: y / all, both: both / all })
    }
}

/// Projects every snapshot onto the plane of the directions `x` and `y`, (P,), through `origin`,
/// (P,). Holds one snapshot at a time.
///
/// # Errors
/// [`Error::Landscape`] for vectors that are not P long, for a direction that is zero or not
/// finite and for two that are parallel. Whatever reading a snapshot returns.
pub fn project(
    snapshots: &(impl Snapshots + ?Sized),
    origin: &[f32],
    x: &[f32],
    y: &[f32],
) -> Result<Projection> {
    let dim = snapshots.dim();
    for (name, vector) in [("origin", origin), ("x direction", x), ("y direction", y)] {
        if vector.len() != dim {
            return Err(Error::Landscape {
                what: format!("the {name} has {} parameters, the path {dim}", vector.len()),
                remedy: "use a plane of the same network".to_string(),
            });
        }
    }
    let [xx, xy, yy] = sums(dim, |i| {
        let (x, y) = (f64::from(x[i]), f64::from(y[i]));
        [x * x, x * y, y * y]
    });
    let determinant = xx * yy - xy * xy;
    // f32 directions: parallel ones differ by roundings of 6e-8, squared.
    let spans = determinant.is_finite() && determinant > 1e-13 * xx * yy;
    if !spans {
        return Err(Error::Landscape {
            what: "the two directions are parallel, zero or not finite".to_string(),
            remedy: "choose directions that span a plane".to_string(),
        });
    }

    let mut projection = Projection {
        coords: Vec::with_capacity(snapshots.len()),
        off_plane_residual: Vec::with_capacity(snapshots.len()),
        distance: Vec::with_capacity(snapshots.len()),
        cosine: xy / (xx * yy).sqrt(),
        lengths: [xx.sqrt(), yy.sqrt()],
    };
    let mut theta = vec![0.0f32; dim];
    for snapshot in 0..snapshots.len() {
        snapshots.read(snapshot, &mut theta)?;
        let d = |i: usize| f64::from(theta[i]) - f64::from(origin[i]);
        let [dx, dy, dd] = sums(dim, |i| {
            let d = d(i);
            [d * f64::from(x[i]), d * f64::from(y[i]), d * d]
        });
        // [xx xy; xy yy] [a; b] = [<d, x>; <d, y>]
        let a = (yy * dx - xy * dy) / determinant;
        let b = (xx * dy - xy * dx) / determinant;
        // Not from the norms: their difference would hide residuals below 1e-8.
        let [off, ..] = sums(dim, |i| {
            let off = d(i) - a * f64::from(x[i]) - b * f64::from(y[i]);
            [off * off, 0.0, 0.0]
        });
        projection.coords.push([a, b]);
        projection.off_plane_residual.push(if dd == 0.0 { 0.0 } else { (off / dd).sqrt() });
        projection.distance.push(dd.sqrt());
    }
    Ok(projection)
}

/// The sums of three terms over `0..dim`, in pieces that are added in order.
fn sums(dim: usize, terms: impl Fn(usize) -> [f64; 3] + Sync) -> [f64; 3] {
    let add = |a: [f64; 3], b: [f64; 3]| [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
    let pieces: Vec<[f64; 3]> = (0..dim.div_ceil(PIECE))
        .into_par_iter()
        .map(|piece| {
            let end = ((piece + 1) * PIECE).min(dim);
            (piece * PIECE..end).map(&terms).fold([0.0; 3], add)
        })
        .collect();
    pieces.into_iter().fold([0.0; 3], add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x = e0, y = e0 + 2 e1, oblique; snapshots a x + b y + c e2.
    fn oblique(parts: &[[f32; 3]]) -> (Vec<Vec<f32>>, Vec<f32>, Vec<f32>, Vec<f32>) {
        let origin = vec![5.0, -3.0, 1.0, 0.5];
        let point = |[a, b, c]: [f32; 3]| vec![5.0 + a + b, -3.0 + 2.0 * b, 1.0 + c, 0.5];
        let rows = parts.iter().copied().map(point).collect();
        (rows, origin, vec![1.0, 0.0, 0.0, 0.0], vec![1.0, 2.0, 0.0, 0.0])
    }

    #[test]
    fn oblique_directions_of_any_length_give_back_the_coordinates() {
        let (rows, origin, x, y) =
            oblique(&[[1.0, 0.5, 0.0], [-2.0, 3.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 4.0]]);
        let got = project(&rows, &origin, &x, &y).unwrap();
        assert_eq!(got.coords, [[1.0, 0.5], [-2.0, 3.0], [0.0, 0.0], [0.0, 0.0]]);
        assert_eq!(got.off_plane_residual, [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(got.distance[3], 4.0);
        assert!((got.cosine - 1.0 / 5f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn a_point_half_out_of_the_plane_has_the_residual_of_its_angle() {
        let (rows, origin, x, y) = oblique(&[[3.0, 0.0, 4.0]]);
        let got = project(&rows, &origin, &x, &y).unwrap();
        assert!((got.off_plane_residual[0] - 0.8).abs() < 1e-15);
    }

    #[test]
    fn what_a_plane_sees_is_shares_of_the_squared_displacements() {
        // Displacements (3, 4, 0) and (0, 0, 5): 9 + 16 + 25.
        let path = vec![vec![3.0f32, 4.0, 0.0], vec![0.0, 0.0, 5.0], vec![0.0; 3]];
        let of = |x: [f32; 3], y: [f32; 3]| project(&path, &[0.0; 3], &x, &y).unwrap().seen();
        let seen = of([2.0, 0.0, 0.0], [0.0, 1.0, 0.0]).unwrap();
        for (got, want) in [(seen.x, 0.18), (seen.y, 0.32), (seen.both, 0.5)] {
            assert!((got - want).abs() < 1e-12, "{seen:?}");
        }
        // Oblique: along (1, 1) the displacement (3, 4) has 7^2 / 2.
        let seen = of([2.0, 0.0, 0.0], [1.0, 1.0, 0.0]).unwrap();
        for (got, want) in [(seen.x, 0.18), (seen.y, 0.49), (seen.both, 0.5)] {
            assert!((got - want).abs() < 1e-12, "{seen:?}");
        }
        let still = vec![vec![1.0f32, 0.0, 0.0]; 2];
        let seen = project(&still, &still[0], &[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0]).unwrap().seen();
        assert_eq!(seen, None);
    }

    #[test]
    fn a_snapshot_with_a_nan_is_nan_on_the_plane_and_spoils_no_other() {
        let (mut rows, origin, x, y) = oblique(&[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]);
        rows[0][3] = f32::NAN;
        let got = project(&rows, &origin, &x, &y).unwrap();
        assert!(got.coords[0][0].is_nan() && got.off_plane_residual[0].is_nan());
        assert_eq!(got.coords[1], [1.0, 1.0]);
    }

    #[test]
    fn directions_that_span_no_plane_are_refused() {
        let (rows, origin, x, y) = oblique(&[[1.0, 1.0, 0.0]]);
        let twice: Vec<f32> = x.iter().map(|v| 2.0 * v).collect();
        for bad in [twice, vec![0.0; 4], vec![f32::NAN; 4]] {
            let message = project(&rows, &origin, &x, &bad).unwrap_err().to_string();
            assert!(message.contains("parallel, zero or not finite"), "{message}");
        }
        assert!(project(&rows, &origin, &x, &y[..3]).is_err());
    }
}
