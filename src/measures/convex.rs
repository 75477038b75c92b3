//! The convex fraction: where the surface bends upwards in all directions of the plane.
//!
//! At an inner cell the Hessian of the surface is taken by differences over the 3 x 3 cells about it; the cell
//! counts as convex where no eigenvalue is below zero. Convexity of a plane through a landscape is necessary
//! for that of the landscape there, not sufficient: the principal curvatures of a plane are averages of the
//! whole's (Li et al. 2018, section 6).

use super::Field;

/// The share of inner cells (with eight finite neighbours) at which `field` is convex; NaN where there is no
/// such cell. Grids are taken as evenly spaced.
pub fn convex_fraction(field: &Field) -> f64 {
    let (nx, ny) = (field.nx(), field.ny());
    let step = |v: &[f64]| (v[v.len() - 1] - v[0]) / (v.len() - 1) as f64;
    let (hx, hy) = (step(&field.xs), step(&field.ys));
    let at = |ix: usize, iy: usize| field.values[iy * nx + ix];
    let (mut inner, mut convex) = (0usize, 0usize);
    for iy in 1..ny - 1 {
        for ix in 1..nx - 1 {
            let around = (iy - 1..=iy + 1).flat_map(|y| (ix - 1..=ix + 1).map(move |x| (x, y)));
            if around.clone().any(|(x, y)| !at(x, y).is_finite()) {
                continue;
            }
            inner += 1;
            let middle = at(ix, iy);
            let xx = (at(ix + 1, iy) - 2.0 * middle + at(ix - 1, iy)) / (hx * hx);
            let yy = (at(ix, iy + 1) - 2.0 * middle + at(ix, iy - 1)) / (hy * hy);
            let xy = (at(ix + 1, iy + 1) - at(ix - 1, iy + 1) - at(ix + 1, iy - 1)
                + at(ix - 1, iy - 1))
                / (4.0 * hx * hy);
            // Not below what the rounding of the differences leaves.
            let largest = around.map(|(x, y)| at(x, y).abs()).fold(0.0, f64::max);
            let rounding = 8.0 * f64::EPSILON * largest / hx.min(hy).powi(2);
            let lowest = 0.5 * (xx + yy) - (0.25 * (xx - yy).powi(2) + xy * xy).sqrt();
            convex += usize::from(lowest >= -rounding);
        }
    }
    convex as f64 / inner as f64
}

#[cfg(test)]
mod tests {
    use super::super::field::tests::of;
    use super::*;

    #[test]
    fn a_bowl_is_convex_a_saddle_nowhere_and_a_ring_in_a_known_part() {
        assert_eq!(convex_fraction(&of(21, 1.0, |x, y| x * x + 2.0 * y * y + x * y)), 1.0);
        assert_eq!(convex_fraction(&of(21, 1.0, |x, y| x * x - y * y)), 0.0);
        assert_eq!(
            convex_fraction(&of(21, 1.0, |x, y| 2.0 * x - y + 5.0)),
            1.0,
            "a slope is convex"
        );
        // x^4 - x^2 bends upwards beyond 1/sqrt(6) = 0.408: 59 % of [-1, 1], of 199 inner columns.
        let found = convex_fraction(&of(201, 1.0, |x, y| x.powi(4) - x * x + y * y));
        assert!((found - 0.592).abs() < 0.01, "{found}");
    }

    #[test]
    fn cells_beside_a_hole_are_not_judged() {
        let field = of(3, 1.0, |x, y| if x == 1.0 && y == 1.0 { f64::NAN } else { x * x });
        assert!(convex_fraction(&field).is_nan());
    }
}
