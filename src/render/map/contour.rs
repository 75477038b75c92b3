//! Contours by marching squares (Lorensen and Cline 1987, in two dimensions), traced into closed
//! loops around the regions where the field is at or above a level.
//!
//! The lattice is surrounded by one ring of cells of no width whose values lie below every level:
//! so every loop closes along the frame, a region is filled by one path, and the pieces along the
//! frame are known and left out of the lines. Saddles are resolved by the mean of the four corners.

use crate::render::canvas::Rect;
use crate::render::map::field::Field;

/// A closed loop in pixels, the region on one side all along.
#[derive(Debug, Clone)]
pub struct Loop {
    /// Corners, the first not repeated.
    pub points: Vec<(f32, f32)>,
    /// `on_frame[i]`: the piece from point `i` to the next runs along the frame.
    pub on_frame: Vec<bool>,
}

const NONE: u32 = u32::MAX;

/// The loops around `field >= level` in `frame`.
pub fn loops(field: &Field, level: f64, frame: Rect) -> Vec<Loop> {
    let (w, h) = (field.nx + 2, field.ny + 2); // nodes with the ring
    let inner = |i: usize, j: usize| {
        (i > 0 && j > 0 && i < w - 1 && j < h - 1).then(|| field.z[(j - 1) * field.nx + i - 1])
    };
    let node = |i: usize, j: usize| {
        let x = (i.clamp(1, w - 2) - 1) as f32 / (field.nx - 1) as f32;
        let y = (j.clamp(1, h - 2) - 1) as f32 / (field.ny - 1) as f32;
        (frame.x + x * frame.w, frame.bottom() - y * frame.h)
    };
    // Edge 2k goes from node k to its right neighbour, edge 2k+1 from node k upwards.
    let mut next = vec![NONE; 2 * w * h];
    let mut along_frame = vec![false; 2 * w * h];
    for j in 0..h - 1 {
        for i in 0..w - 1 {
            let corners = [inner(i, j), inner(i + 1, j), inner(i + 1, j + 1), inner(i, j + 1)];
            let inside = corners.map(|z| z.is_some_and(|z| z >= level));
            let case =
                inside.iter().enumerate().fold(0, |c, (bit, &on)| c | usize::from(on) << bit);
            if case == 0 || case == 15 {
                continue;
            }
            let k = j * w + i;
            let edges = [2 * k, 2 * (k + 1) + 1, 2 * (k + w), 2 * k + 1]; // bottom right top left
            // Segments (from, to) with the inside on the left, seen with y upwards.
            let (bottom, right, top, left) = (0, 1, 2, 3);
            let segments: &[(usize, usize)] = match case {
                1 => &[(bottom, left)],
                2 => &[(right, bottom)],
                3 => &[(right, left)],
                4 => &[(top, right)],
                6 => &[(top, bottom)],
                7 => &[(top, left)],
                8 => &[(left, top)],
                9 => &[(bottom, top)],
                11 => &[(right, top)],
                12 => &[(left, right)],
                13 => &[(bottom, right)],
                14 => &[(left, bottom)],
                5 | 10 => {
                    let all: Option<Vec<f64>> = corners.into_iter().collect();
                    let joined = all.is_some_and(|z| z.iter().sum::<f64>() / 4.0 >= level);
                    match (case, joined) {
                        (5, true) => &[(bottom, right), (top, left)],
                        (5, false) => &[(bottom, left), (top, right)],
                        (_, true) => &[(left, bottom), (right, top)],
                        (_, false) => &[(right, bottom), (left, top)],
                    }
                }
                _ => unreachable!("sixteen cases"),
            };
            let ring = corners.iter().any(Option::is_none);
            for &(from, to) in segments {
                next[edges[from]] = edges[to] as u32;
                along_frame[edges[from]] = ring;
            }
        }
    }
    let crossing = |edge: usize| {
        let (k, upward) = (edge / 2, edge % 2 == 1);
        let (i, j) = (k % w, k / w);
        let (i2, j2) = if upward { (i, j + 1) } else { (i + 1, j) };
        let ((x1, y1), (x2, y2)) = (node(i, j), node(i2, j2));
        let t = match (inner(i, j), inner(i2, j2)) {
            (Some(a), Some(b)) if a != b => ((level - a) / (b - a)).clamp(0.0, 1.0) as f32,
            _ => 0.5, // an edge of the ring has no length
        };
        (x1 + t * (x2 - x1), y1 + t * (y2 - y1))
    };
    let mut found = Vec::new();
    for start in 0..next.len() {
        if next[start] == NONE {
            continue;
        }
        let mut lap = Loop { points: Vec::new(), on_frame: Vec::new() };
        let mut edge = start;
        while next[edge] != NONE {
            lap.points.push(crossing(edge));
            lap.on_frame.push(along_frame[edge]);
            edge = std::mem::replace(&mut next[edge], NONE) as usize;
        }
        found.push(lap);
    }
    found
}

/// The open lines of a loop without the pieces on the frame; a loop that never touches the frame
/// is returned whole, its first point repeated at the end.
pub fn lines(lap: &Loop) -> Vec<Vec<(f32, f32)>> {
    let n = lap.points.len();
    let Some(start) = lap.on_frame.iter().position(|&on| on) else {
        let mut whole = lap.points.clone();
        whole.extend(lap.points.first().copied());
        return vec![whole];
    };
    let mut lines = Vec::new();
    let mut line: Vec<(f32, f32)> = Vec::new();
    for k in 1..=n {
        let i = (start + k) % n;
        line.push(lap.points[i]);
        if lap.on_frame[i] {
            if line.len() > 1 {
                lines.push(std::mem::take(&mut line));
            }
            line.clear();
        }
    }
    lines
}

/// `points` with those left out that lie within `tolerance` pixels of the line through the ones
/// kept (Douglas and Peucker 1973); both ends stay.
pub fn simplify(points: &[(f32, f32)], tolerance: f32) -> Vec<(f32, f32)> {
    if points.len() < 3 {
        return points.to_vec();
    }
    let mut keep = vec![false; points.len()];
    (keep[0], keep[points.len() - 1]) = (true, true);
    let mut pending = vec![(0, points.len() - 1)];
    while let Some((a, b)) = pending.pop() {
        let farthest = (a + 1..b)
            .map(|i| (distance_to_segment(points[i], points[a], points[b]), i))
            .max_by(|p, q| p.0.total_cmp(&q.0));
        if let Some((distance, i)) = farthest.filter(|(distance, _)| *distance > tolerance) {
            debug_assert!(distance > 0.0);
            keep[i] = true;
            pending.extend([(a, i), (i, b)]);
        }
    }
    points.iter().zip(keep).filter(|(_, keep)| *keep).map(|(&p, _)| p).collect()
}

fn distance_to_segment(p: (f32, f32), a: (f32, f32), b: (f32, f32)) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length_sq = dx * dx + dy * dy;
    let t = if length_sq > 0.0 {
        (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length_sq).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (p.0 - a.0 - t * dx).hypot(p.1 - a.1 - t * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(n: usize, f: impl Fn(f64, f64) -> f64) -> Field {
        let at = |i: usize| -1.0 + 2.0 * i as f64 / (n - 1) as f64;
        let z = (0..n * n).map(|k| f(at(k % n), at(k / n))).collect();
        Field { nx: n, ny: n, z }
    }

    const FRAME: Rect = Rect { x: 0.0, y: 0.0, w: 200.0, h: 200.0 };

    fn area(points: &[(f32, f32)]) -> f64 {
        let n = points.len();
        (0..n)
            .map(|i| {
                let (a, b) = (points[i], points[(i + 1) % n]);
                0.5 * (f64::from(a.0) * f64::from(b.1) - f64::from(b.0) * f64::from(a.1))
            })
            .sum()
    }

    #[test]
    fn a_circle_has_its_area_and_never_touches_the_frame() {
        let field = field(101, |x, y| -(x * x + y * y));
        let found = loops(&field, -0.49, FRAME);
        assert_eq!(found.len(), 1);
        assert!(!found[0].on_frame.contains(&true));
        // Radius 0.7 is 70 px; linear interpolation on 2 px cells is good to 0.1 %.
        let expected = std::f64::consts::PI * 70.0 * 70.0;
        assert!((area(&found[0].points).abs() / expected - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_half_plane_closes_along_the_frame_and_leaves_one_straight_line() {
        let field = field(41, |x, _| x);
        let found = loops(&field, 0.25, FRAME);
        assert_eq!(found.len(), 1);
        assert!((area(&found[0].points).abs() - 75.0 * 200.0).abs() < 0.5);
        let lines = lines(&found[0]);
        assert_eq!(lines.len(), 1);
        let simple = simplify(&lines[0], 0.1);
        assert_eq!(simple.len(), 2, "{simple:?}");
        assert!(simple.iter().all(|p| (p.0 - 125.0).abs() < 1e-3));
    }

    #[test]
    fn a_region_and_its_complement_fill_the_frame() {
        let wavy = |x: f64, y: f64| (5.0 * x).sin() * (4.0 * y).cos() + 0.3 * x + 0.03;
        let f = field(90, wavy);
        let g = field(90, |x, y| -wavy(x, y));
        let total =
            |f: &Field| loops(f, 0.0, FRAME).iter().map(|l| area(&l.points)).sum::<f64>().abs();
        // Saddles are cut alike from both sides, so only rounding is left.
        assert!((total(&f) + total(&g) - 40_000.0).abs() < 1.0, "{} {}", total(&f), total(&g));
    }
}
