//! The ten silhouettes, as signed distances: negative inside, about one unit from centre to rim.
//!
//! Unions are minima and intersections maxima of simpler distances, which is exact at the outline
//! and a bound elsewhere: enough to antialias an edge.

/// What the classes are called, in the order of their labels.
pub(super) const NAMES: [&str; 10] =
    ["disc", "ring", "square", "triangle", "cross", "star", "crescent", "tee", "ell", "arch"];

/// The signed distance of (x, y) to the outline of class `label`.
pub(super) fn distance(label: usize, x: f32, y: f32) -> f32 {
    match label {
        0 => disc(x, y, 0.85),
        1 => (disc(x, y, 0.68)).abs() - 0.24,
        2 => bar(x, y, 0.74, 0.74),
        3 => {
            let sides = [(0.0, 1.0), (0.866_025_4, -0.5), (-0.866_025_4, -0.5)];
            sides.iter().map(|(nx, ny)| nx * x + ny * y).fold(f32::MIN, f32::max) - 0.52
        }
        4 => bar(x, y, 0.95, 0.3).min(bar(x, y, 0.3, 0.95)),
        5 => {
            // A pentagram's tips lie outside one of its five lines, its core outside none: the
            // second largest of the five distances decides.
            let lines = [
                (0.0, 1.0),
                (0.951_056_5, 0.309_017),
                (0.587_785_25, -0.809_017),
                (-0.587_785_25, -0.809_017),
                (-0.951_056_5, 0.309_017),
            ];
            let (mut first, mut second) = (f32::MIN, f32::MIN);
            for (nx, ny) in lines {
                let d = nx * x + ny * y;
                second = second.max(first.min(d));
                first = first.max(d);
            }
            second - 0.38
        }
        6 => disc(x, y, 0.95).max(-disc(x - 0.5, y, 0.72)),
        7 => bar(x, y + 0.58, 0.85, 0.28).min(bar(x, y - 0.15, 0.28, 0.8)),
        8 => bar(x + 0.45, y, 0.28, 0.9).min(bar(x - 0.1, y - 0.62, 0.78, 0.28)),
        9 => {
            let posts = bar(x + 0.58, y, 0.25, 0.85).min(bar(x - 0.58, y, 0.25, 0.85));
            posts.min(bar(x, y + 0.6, 0.83, 0.25))
        }
        _ => unreachable!("there are ten classes"),
    }
}

fn disc(x: f32, y: f32, radius: f32) -> f32 {
    (x * x + y * y).sqrt() - radius
}

/// An upright rectangle of half width `hx` and half height `hy` about the origin.
fn bar(x: f32, y: f32, hx: f32, hy: f32) -> f32 {
    (x.abs() - hx).max(y.abs() - hy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_silhouette_fits_its_circle_and_covers_a_fair_part_of_it() {
        for (label, name) in NAMES.iter().enumerate() {
            let (mut inside, mut outside_circle) = (0, 0);
            for iy in -150..=150 {
                for ix in -150..=150 {
                    let (x, y) = (ix as f32 / 100.0, iy as f32 / 100.0);
                    if distance(label, x, y) < 0.0 {
                        inside += 1;
                        outside_circle += usize::from(x * x + y * y > 1.3 * 1.3);
                    }
                }
            }
            let area = inside as f32 / 1e4;
            assert_eq!(outside_circle, 0, "{name}");
            assert!((0.9..2.5).contains(&area), "{name} covers {area}");
        }
    }

    #[test]
    fn the_ring_and_the_arch_are_hollow_and_the_star_has_five_tips() {
        assert!(distance(1, 0.0, 0.0) > 0.0 && distance(1, 0.68, 0.0) < 0.0);
        assert!(distance(9, 0.0, 0.3) > 0.0 && distance(9, 0.0, -0.6) < 0.0);
        let at_tips = |angle: f64| {
            let (sin, cos) = (angle.to_radians().sin() as f32, angle.to_radians().cos() as f32);
            distance(5, 0.8 * cos, 0.8 * sin) < 0.0
        };
        let inside = (0..360).filter(|&a| at_tips(f64::from(a))).count();
        assert!((0..5).all(|tip| at_tips(f64::from(72 * tip) + 90.0)) && inside < 180, "{inside}");
    }
}
