//! The basin that the trained point is in: how wide and how deep, which is what a lecture means by a broad and
//! deep minimum.

use super::Field;
use super::merge::Parts;
use super::smad::steepest;

/// A length, or one that the edge of the surface cuts off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// How long, or large.
    pub size: f64,
    /// Whether it reaches the edge: then it is at least this.
    pub cut_off: bool,
}

/// A basin.
#[derive(Debug, Clone, PartialEq)]
pub struct Basin {
    /// The cell of the trained point.
    pub cell: usize,
    /// The cell of the minimum it is in.
    pub bottom: usize,
    /// The loss there.
    pub bottom_loss: f64,
    /// The lowest pass to another minimum: its cell, and its loss above the bottom; none where there is no
    /// other.
    pub pass: Option<(usize, f64)>,
    /// The lowest loss at which the basin reaches the edge, above the bottom.
    pub to_edge: f64,
}

/// The basin of `field` about `point`, where `minima` are those that count, and the others noise. `None` where
/// the point is not on the surface.
pub fn basin(field: &Field, point: [f64; 2], minima: &[usize]) -> Option<Basin> {
    let cell = field.cell_at(point)?;
    let mut is_minimum = vec![false; field.values.len()];
    minima.iter().for_each(|&k| is_minimum[k] = true);
    // Parts grow from below. The one with the point in it takes what has no minimum of its own; a minimum that
    // counts is its bottom the first time, and lies behind a pass the second.
    let mut parts = Parts::new(field.values.len());
    let mut minimum_of: Vec<Option<usize>> =
        (0..field.values.len()).map(|k| is_minimum[k].then_some(k)).collect();
    let mut is_in = vec![false; field.values.len()];
    let mut descent = cell;
    while let Some(next) = steepest(field, descent) {
        descent = next;
    }
    let (mut bottom, mut pass) = (minimum_of[descent], None);
    for k in field.rising() {
        is_in[k] = true;
        for neighbor in field.neighbors(k).filter(|&n| is_in[n]).collect::<Vec<_>>() {
            let (a, b) = (parts.find(k), parts.find(neighbor));
            if a == b {
                continue;
            }
            let here = is_in[descent].then(|| parts.find(descent));
            let touches = here == Some(a) || here == Some(b);
            let other = if here == Some(a) { minimum_of[b] } else { minimum_of[a] };
            if touches && bottom.is_some() && other.is_some() && pass.is_none() {
                pass = Some(k);
            }
            if touches && bottom.is_none() {
                bottom = other;
            }
            let lower = match (minimum_of[a], minimum_of[b]) {
                (Some(m), Some(n)) if field.is_below(n, m) => Some(n),
                (Some(m), _) => Some(m),
                (None, n) => n,
            };
            parts.join(a, b);
            minimum_of[a] = lower;
        }
    }
    let bottom = bottom.unwrap_or(descent);
    let bottom_loss = field.values[bottom];
    let to_edge = edge_level(field, descent).map_or(f64::NAN, |level| level - bottom_loss);
    let pass = pass.map(|k| (k, field.values[k] - bottom_loss));
    Some(Basin { cell, bottom, bottom_loss, pass, to_edge })
}

/// The lowest level at which the part of the surface below it that holds cell `from` has a cell of the edge.
fn edge_level(field: &Field, from: usize) -> Option<f64> {
    let mut parts = Parts::new(field.values.len());
    let mut has_edge: Vec<bool> = (0..field.values.len()).map(|k| field.is_edge(k)).collect();
    let mut is_in = vec![false; field.values.len()];
    for k in field.rising() {
        is_in[k] = true;
        for neighbor in field.neighbors(k).filter(|&n| is_in[n]).collect::<Vec<_>>() {
            let (a, b) = (parts.find(k), parts.find(neighbor));
            if a != b {
                parts.join(a, b);
                has_edge[a] |= has_edge[b];
            }
        }
        if is_in[from] && has_edge[parts.find(from)] {
            return Some(field.values[k]);
        }
    }
    None
}

impl Basin {
    /// The area about the trained point where the loss is at most `rise` above the bottom: of the cells that
    /// hang together with it. 0 where the point itself is higher.
    pub fn area(&self, field: &Field, rise: f64) -> Extent {
        let level = self.bottom_loss + rise;
        if field.values[self.cell] > level {
            return Extent { size: 0.0, cut_off: false };
        }
        let mut seen = vec![false; field.values.len()];
        let (mut open, mut size, mut cut_off) = (vec![self.cell], 0.0, false);
        seen[self.cell] = true;
        while let Some(k) = open.pop() {
            size += field.area(k);
            cut_off |= field.is_edge(k);
            for n in field.neighbors(k) {
                if !seen[n] && field.values[n] <= level {
                    seen[n] = true;
                    open.push(n);
                }
            }
        }
        Extent { size, cut_off }
    }

    /// The length along an axis (0 is x) through the trained point where the loss is at most `rise` above the
    /// bottom, with straight lines between cells. 0 where the point itself is higher.
    pub fn width(&self, field: &Field, axis: usize, rise: f64) -> Extent {
        let level = self.bottom_loss + rise;
        let nx = field.nx();
        let (ix, iy) = (self.cell % nx, self.cell / nx);
        let (line, at): (Vec<[f64; 2]>, usize) = if axis == 0 {
            ((0..nx).map(|i| [field.xs[i], field.values[iy * nx + i]]).collect(), ix)
        } else {
            ((0..field.ny()).map(|i| [field.ys[i], field.values[i * nx + ix]]).collect(), iy)
        };
        if line[at][1] > level {
            return Extent { size: 0.0, cut_off: false };
        }
        let way = |cells: &mut dyn Iterator<Item = &[f64; 2]>| {
            let mut before = line[at];
            for &[x, loss] in cells {
                if !loss.is_finite() {
                    return (before[0], false);
                }
                if loss > level {
                    let t = (level - before[1]) / (loss - before[1]);
                    return (before[0] + t * (x - before[0]), false);
                }
                before = [x, loss];
            }
            (before[0], true)
        };
        let (right, cut_right) = way(&mut line[at + 1..].iter());
        let (left, cut_left) = way(&mut line[..at].iter().rev());
        Extent { size: right - left, cut_off: cut_left || cut_right }
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::tests::of;
    use super::super::merge_tree;
    use super::*;

    #[test]
    fn of_two_wells_the_trained_ones_depth_is_that_of_the_pass() {
        let field = of(81, 2.0, |x, y| (x * x - 1.0).powi(2) + y * y + 0.1 * x);
        let minima = merge_tree(&field).minima(|_| false);
        let left = basin(&field, [-1.0, 0.0], &minima).unwrap();
        let right = basin(&field, [0.9, 0.05], &minima).unwrap();
        // The pass is at 1, the wells at -0.1 and 0.1.
        let depth = |b: &Basin| b.pass.unwrap().1;
        assert!((depth(&left) - 1.1).abs() < 0.01, "{left:?}");
        assert!((depth(&right) - 0.9).abs() < 0.01, "{right:?}");
        assert!((left.bottom_loss + 0.1).abs() < 0.01);
        // With the right well taken for noise there is no pass.
        let alone = basin(&field, [-1.0, 0.0], &minima[..1]).unwrap();
        assert_eq!(alone.pass, None);
    }

    #[test]
    fn widths_and_areas_of_a_quadratic_are_those_of_its_ellipse() {
        // x^2/2 a + y^2/2 b <= r: half axes sqrt(2 r / a), sqrt(2 r / b).
        let field = of(201, 2.0, |x, y| 0.5 * (4.0 * x * x + y * y));
        let found = basin(&field, [0.0, 0.0], &merge_tree(&field).minima(|_| false)).unwrap();
        let (rise, half) = (0.5f64, |c: f64| (2.0f64 * 0.5 / c).sqrt());
        let (x, y) = (found.width(&field, 0, rise), found.width(&field, 1, rise));
        assert!((x.size - 2.0 * half(4.0)).abs() < 1e-3 && !x.cut_off, "{x:?}");
        assert!((y.size - 2.0 * half(1.0)).abs() < 1e-3 && !y.cut_off, "{y:?}");
        let area = found.area(&field, rise);
        let want = std::f64::consts::PI * half(4.0) * half(1.0);
        assert!((area.size - want).abs() < 0.02 * want && !area.cut_off, "{area:?} {want}");
        // The edge is reached first along y, at 2: y^2 / 2 = 2.
        assert!((found.to_edge - 2.0).abs() < 1e-9, "{found:?}");
        assert!(found.width(&field, 1, 3.0).cut_off && found.area(&field, 3.0).cut_off);
    }

    #[test]
    fn a_point_off_the_surface_has_no_basin() {
        let field = of(5, 1.0, |x, y| x * x + y * y);
        assert_eq!(basin(&field, [5.0, 0.0], &[12]), None);
    }

    #[test]
    fn a_point_in_a_dent_of_noise_belongs_to_the_basin_around_it() {
        let dent = |x: f64, y: f64| if (x - 0.5).abs() < 1e-9 && y == 0.0 { -0.05 } else { 0.0 };
        let field = of(41, 1.0, |x, y| x * x + y * y + dent(x, y));
        let tree = merge_tree(&field);
        assert_eq!(tree.pairs.len(), 1, "{tree:?}");
        let real = tree.minima(|p| p.persistence < 0.1);
        let found = basin(&field, [0.5, 0.0], &real).unwrap();
        assert_eq!((found.bottom, found.pass), (tree.roots[0], None));
    }
}
