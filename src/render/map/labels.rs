//! Where contour lines carry their level: on long, nearly straight and nearly level stretches,
//! away from the path, the frame, other labels and lines of other levels. The line is broken
//! under its label.

use crate::render::canvas::Rect;
use crate::render::map::contour::simplify;
use crate::render::map::field::Field;

/// A contour line of one level.
#[derive(Debug, Clone)]
pub struct Line {
    /// Index of the level.
    pub level: usize,
    /// Its points in pixels.
    pub points: Vec<(f32, f32)>,
}

/// A label, centred at `(x, y)` and turned by `angle` radians.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// Index of the level.
    pub level: usize,
    /// Centre.
    pub x: f32,
    /// Centre.
    pub y: f32,
    /// Clockwise on screen, within a quarter turn of upright.
    pub angle: f32,
}

/// What placement needs to know.
pub struct Setting<'a> {
    /// The panel's frame.
    pub frame: Rect,
    /// The field that the lines are contours of.
    pub field: &'a Field,
    /// The levels in scale units.
    pub levels: &'a [f64],
    /// The width of each level's text in pixels.
    pub widths: &'a [f32],
    /// The text's em in pixels.
    pub size: f32,
    /// Points to stay clear of (the path), in pixels.
    pub avoid: &'a [(f32, f32)],
    /// Holes in the surface, which are drawn over the labels.
    pub holes: &'a [Rect],
}

/// A line's points with their arc length.
struct Measured<'a> {
    points: &'a [(f32, f32)],
    along: Vec<f32>,
}

impl<'a> Measured<'a> {
    fn new(points: &'a [(f32, f32)]) -> Self {
        let mut along = vec![0.0];
        for w in points.windows(2) {
            along.push(along[along.len() - 1] + (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1));
        }
        Self { points, along }
    }

    fn length(&self) -> f32 {
        self.along[self.along.len() - 1]
    }

    fn at(&self, s: f32) -> (f32, f32) {
        let i = self.along.partition_point(|&a| a <= s).clamp(1, self.points.len() - 1);
        let (a, b) = (self.points[i - 1], self.points[i]);
        let piece = self.along[i] - self.along[i - 1];
        let t = if piece > 0.0 { ((s - self.along[i - 1]) / piece).clamp(0.0, 1.0) } else { 0.0 };
        (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1))
    }

    /// The points from arc length `from` to `to`.
    fn piece(&self, from: f32, to: f32) -> Vec<(f32, f32)> {
        let mut points = vec![self.at(from)];
        let inside = self.points.iter().zip(&self.along).filter(|(_, a)| **a > from && **a < to);
        points.extend(inside.map(|(p, _)| *p));
        points.push(self.at(to));
        points
    }
}

/// Labels for `lines`, and the lines broken where a label sits.
pub fn place(lines: &[Line], setting: &Setting) -> (Vec<Label>, Vec<Line>) {
    let mut labels: Vec<Label> = Vec::new();
    let mut broken = Vec::new();
    let mut order: Vec<usize> = (0..lines.len()).collect();
    let lengths: Vec<f32> = lines.iter().map(|l| Measured::new(&l.points).length()).collect();
    order.sort_by(|&a, &b| lengths[b].total_cmp(&lengths[a]));
    // On a rugged surface a level has many lines: a label on each would be a map of numbers. Two a level
    // say what it is, and on the whole there is one for about every ten ems square.
    let most = (setting.frame.w * setting.frame.h / (10.0 * setting.size).powi(2)) as usize;
    let mut of_level = vec![0usize; setting.levels.len()];
    // The lowest level's longest line is first: how deep a valley is can be told from no other line.
    let lowest = lines.iter().map(|line| line.level).min();
    if let Some(first) = order.iter().position(|&i| Some(lines[i].level) == lowest) {
        order[..=first].rotate_right(1);
    }
    for index in order {
        let line = &lines[index];
        let measured = Measured::new(&line.points);
        let width = setting.widths[line.level] + 0.7 * setting.size;
        let length = measured.length();
        let mut gaps: Vec<(f32, f32)> = Vec::new();
        // The first of a level has room where a second one has none.
        let room = if of_level[line.level] == 0 { most + most / 2 } else { most };
        if length > 2.6 * width && of_level[line.level] < 2 && labels.len() < room.max(4) {
            let wanted = ((length / (45.0 * setting.size)) as usize + 1).min(2);
            let wanted = wanted.min(2 - of_level[line.level]);
            let mut candidates = candidates(&measured, line.level, width, setting);
            candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (_, s, label) in candidates {
                let apart = 18.0 * setting.size;
                if gaps.len() == wanted {
                    break;
                }
                let clear_here = gaps.iter().all(|g| (0.5 * (g.0 + g.1) - s).abs() > apart);
                if clear_here && !labels.iter().any(|other| collide(&label, other, setting)) {
                    of_level[line.level] += 1;
                    labels.push(label);
                    gaps.push((s - 0.5 * width, s + 0.5 * width));
                }
            }
        }
        gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut from = 0.0;
        for (start, end) in gaps.into_iter().chain([(length, length)]) {
            if start > from {
                let points = simplify(&measured.piece(from, start), 0.05);
                broken.push(Line { level: line.level, points });
            }
            from = end;
        }
    }
    (labels, broken)
}

/// Good places along a line: score, arc length of the centre, label.
fn candidates(
    line: &Measured,
    level: usize,
    width: f32,
    setting: &Setting,
) -> Vec<(f32, f32, Label)> {
    let mut found = Vec::new();
    let mut s = 0.5 * width;
    while s < line.length() - 0.5 * width {
        let (a, b, c) = (line.at(s - 0.5 * width), line.at(s + 0.5 * width), line.at(s));
        let straight = (b.0 - a.0).hypot(b.1 - a.1) / width;
        let mut angle = (b.1 - a.1).atan2(b.0 - a.0);
        if angle > std::f32::consts::FRAC_PI_2 {
            angle -= std::f32::consts::PI;
        } else if angle < -std::f32::consts::FRAC_PI_2 {
            angle += std::f32::consts::PI;
        }
        // On the chord's middle, half-way to the line's own: the text follows the stretch.
        let x = 0.25 * (a.0 + b.0) + 0.5 * c.0;
        let y = 0.25 * (a.1 + b.1) + 0.5 * c.1;
        let label = Label { level, x, y, angle };
        if straight > 0.965 && clear(&label, setting) {
            let steep = angle.abs() / std::f32::consts::FRAC_PI_2;
            let near_path = setting
                .avoid
                .iter()
                .map(|p| (p.0 - x).hypot(p.1 - y))
                .fold(f32::INFINITY, f32::min);
            let away = (near_path / (8.0 * setting.size)).min(1.0);
            found.push((8.0 * straight - 0.6 * steep + 0.5 * away, s, label));
        }
        s += 0.4 * setting.size;
    }
    found
}

/// Discs that cover a label.
fn discs(label: &Label, setting: &Setting) -> impl Iterator<Item = (f32, f32)> {
    let half = 0.5 * setting.widths[label.level];
    let (sin, cos) = label.angle.sin_cos();
    let n = ((2.0 * half / (0.6 * setting.size)).ceil() as usize).max(2);
    let (x, y) = (label.x, label.y);
    (0..=n).map(move |i| {
        let u = half * (2.0 * i as f32 / n as f32 - 1.0);
        (x + u * cos, y + u * sin)
    })
}

fn collide(a: &Label, b: &Label, setting: &Setting) -> bool {
    let reach = 1.3 * setting.size;
    discs(a, setting).any(|p| discs(b, setting).any(|q| (p.0 - q.0).hypot(p.1 - q.1) < reach))
}

/// Whether a label keeps off the frame, the path, and the lines of other levels.
fn clear(label: &Label, setting: &Setting) -> bool {
    let size = setting.size;
    let (sin, cos) = label.angle.sin_cos();
    let below = label.level.checked_sub(1).map_or(f64::NEG_INFINITY, |k| setting.levels[k]);
    let above = setting.levels.get(label.level + 1).copied().unwrap_or(f64::INFINITY);
    discs(label, setting).all(|(x, y)| {
        setting.frame.contains(x, y, 0.9 * size)
            && setting.avoid.iter().all(|p| (p.0 - x).hypot(p.1 - y) > 1.1 * size)
            && !setting.holes.iter().any(|hole| hole.contains(x, y, -0.7 * size))
            && [-0.5 * size, 0.5 * size].iter().all(|v| {
                let z = setting.field.at(setting.frame, x - v * sin, y + v * cos);
                z > below && z < above
            })
    })
}

impl Field {
    /// The value at a pixel of `frame`, bilinear between samples.
    pub fn at(&self, frame: Rect, x: f32, y: f32) -> f64 {
        let u = f64::from((x - frame.x) / frame.w).clamp(0.0, 1.0) * (self.nx - 1) as f64;
        let v = f64::from((frame.bottom() - y) / frame.h).clamp(0.0, 1.0) * (self.ny - 1) as f64;
        let (i, j) = ((u as usize).min(self.nx - 2), (v as usize).min(self.ny - 2));
        let (s, t) = (u - i as f64, v - j as f64);
        let row = |j: usize| {
            let (a, b) = (self.z[j * self.nx + i], self.z[j * self.nx + i + 1]);
            a + s * (b - a)
        };
        row(j) + t * (row(j + 1) - row(j))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::map::contour;

    #[test]
    fn the_lowest_level_has_a_label_however_many_others_there_are() {
        // Twenty rings: more lines than the frame has room for labels.
        let n = 120;
        let at = |i: usize| -1.0 + 2.0 * i as f64 / (n - 1) as f64;
        let z = (0..n * n).map(|k| at(k % n).hypot(at(k / n))).collect();
        let field = Field { nx: n, ny: n, z };
        let frame = Rect::new(0.0, 0.0, 360.0, 360.0);
        let levels: Vec<f64> = (0..16).map(|i| 0.25 + 0.07 * f64::from(i)).collect();
        let lines: Vec<Line> = (0..levels.len())
            .flat_map(|level| {
                let loops = contour::loops(&field, levels[level], frame);
                let lines = loops.iter().flat_map(contour::lines);
                lines.map(|points| Line { level, points }).collect::<Vec<_>>()
            })
            .collect();
        let (widths, size) = (vec![18.0; levels.len()], 11.0);
        let (field, levels, widths) = (&field, &levels[..], &widths[..]);
        let setting = Setting { frame, field, levels, widths, size, avoid: &[], holes: &[] };
        let (labels, _) = place(&lines, &setting);
        assert!(labels.iter().any(|label| label.level == 0), "{labels:?}");
    }

    #[test]
    fn labels_stay_inside_apart_and_off_the_path() {
        let n = 80;
        let at = |i: usize| -1.0 + 2.0 * i as f64 / (n - 1) as f64;
        let z = (0..n * n).map(|k| at(k % n).hypot(at(k / n))).collect();
        let field = Field { nx: n, ny: n, z };
        let frame = Rect::new(10.0, 20.0, 400.0, 400.0);
        let levels = [0.3, 0.5, 0.7, 0.9, 1.1];
        let lines: Vec<Line> = (0..levels.len())
            .flat_map(|level| {
                contour::loops(&field, levels[level], frame)
                    .iter()
                    .flat_map(contour::lines)
                    .map(|points| Line { level, points })
                    .collect::<Vec<_>>()
            })
            .collect();
        let avoid: Vec<_> = (0..100).map(|i| (210.0, 20.0 + 4.0 * i as f32)).collect();
        let widths = [20.0; 5];
        let setting = Setting {
            frame,
            field: &field,
            levels: &levels,
            widths: &widths,
            size: 10.0,
            avoid: &avoid,
            holes: &[],
        };
        let (labels, broken) = place(&lines, &setting);
        assert!(labels.len() >= 4, "{labels:?}");
        for (i, a) in labels.iter().enumerate() {
            for (x, y) in discs(a, &setting) {
                assert!(frame.contains(x, y, 9.0));
                assert!(avoid.iter().all(|p| (p.0 - x).hypot(p.1 - y) > 11.0));
            }
            assert!(labels[..i].iter().all(|b| !collide(a, b, &setting)));
            assert!(a.angle.abs() <= std::f32::consts::FRAC_PI_2);
        }
        // Each label takes its width and padding out of a line, and nothing else is lost.
        let total = |lines: &[Line]| -> f32 {
            lines.iter().map(|l| Measured::new(&l.points).length()).sum()
        };
        let lost = total(&lines) - total(&broken);
        assert!((lost - 27.0 * labels.len() as f32).abs() < 5.0, "{lost}");
    }
}
