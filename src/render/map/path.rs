//! The path over a surface: where the point is at any time, and how the way behind it is drawn.
//!
//! Between two snapshots the point moves along monotone cubics of its coordinates in epochs
//! ([`crate::render::map::pchip`]). That motion is interpolation: the data are the snapshots, and each one
//! passed has its own small marker.

use crate::render::canvas::color::Color;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, Cap, Rect, Stroke, polyline};
use crate::render::map::pchip::Pchip;
use crate::render::page::Page;
use crate::render::scene::{Domain, PathPoint};

/// A path in the pixels of a frame.
#[derive(Debug, Clone)]
pub struct Track {
    /// The interpolated line: epoch and pixel.
    dense: Vec<(f64, (f32, f32))>,
    /// The snapshots that are drawn: epoch and pixel.
    snapshots: Vec<(f64, (f32, f32))>,
    /// Epochs of the snapshots that read-outs step through, with their index in the path.
    clock: Vec<f64>,
}

/// How thick and in which colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pen<'a> {
    /// The path's colour.
    pub color: Color,
    /// For the casing and the text colour.
    pub theme: &'a Theme,
    /// Pixels a design pixel.
    pub px_scale: f32,
    /// For how many epochs the tail fades.
    pub fade: f64,
}

impl<'a> Pen<'a> {
    /// The pen for a path on `page`: its tail fades over about a fifth of the film.
    pub fn new(page: &Page<'a>, color: Color) -> Self {
        Self { color, theme: page.theme, px_scale: page.px_scale, fade: 0.22 * page.span() }
    }
}

impl Track {
    /// The track of `path` in `frame`, at its points' times. Points that are not finite end
    /// it. However many snapshots there are, the line has a point about every pixel and a marker about
    /// every eight.
    pub fn new(path: &[PathPoint], domain: Domain, frame: Rect, px_scale: f32) -> Self {
        let time = |p: &PathPoint| p.time;
        let finite = |p: &PathPoint| p.x.is_finite() && p.y.is_finite() && time(p).is_finite();
        let mut knots: Vec<PathPoint> = Vec::new();
        for point in path.iter().take_while(|p| finite(p)) {
            // Two snapshots at one time: the later one counts.
            while knots.last().is_some_and(|last| time(last) >= time(point)) {
                knots.pop();
            }
            knots.push(*point);
        }
        let column = |f: &dyn Fn(&PathPoint) -> f64| knots.iter().map(f).collect::<Vec<f64>>();
        let (ts, xs, ys) = (column(&time), column(&|p| p.x), column(&|p| p.y));
        let px = |x: f64, y: f64| {
            let (px, py) = domain.px_from_plane(frame, x, y);
            // Far outside is as good as a page away, and keeps strokes finite.
            let bound = |v: f32| v.clamp(-1e5, 1e5);
            (bound(px), bound(py))
        };
        let mut track = Self { dense: Vec::new(), snapshots: Vec::new(), clock: Vec::new() };
        if knots.is_empty() {
            return track;
        }
        let (x_of, y_of) = (Pchip::new(&ts, &xs), Pchip::new(&ts, &ys));
        let apart = |a: (f32, f32), b: (f32, f32)| (a.0 - b.0).hypot(a.1 - b.1);
        for (i, &epoch) in ts.iter().enumerate() {
            let here = px(xs[i], ys[i]);
            let ends = i == 0 || i + 1 == ts.len();
            if i > 0 {
                let steps = (apart(px(xs[i - 1], ys[i - 1]), here) / (3.0 * px_scale)).ceil();
                let steps = steps.clamp(1.0, 64.0) as usize;
                for k in 1..steps {
                    let t = ts[i - 1] + (epoch - ts[i - 1]) * k as f64 / steps as f64;
                    track.dense.push((t, px(x_of.at(t), y_of.at(t))));
                }
            }
            if ends
                || track.dense.last().is_none_or(|(_, last)| apart(*last, here) > 0.5 * px_scale)
            {
                track.dense.push((epoch, here));
            }
            if ends
                || track
                    .snapshots
                    .last()
                    .is_none_or(|(_, last)| apart(*last, here) > 8.0 * px_scale)
            {
                track.snapshots.push((epoch, here));
            }
        }
        track.clock = ts;
        track
    }

    /// All pixels of the line, for what must keep clear of it.
    pub fn pixels(&self) -> Vec<(f32, f32)> {
        self.dense.iter().map(|(_, p)| *p).collect()
    }

    /// The line's points with their epochs.
    pub fn line(&self) -> &[(f64, (f32, f32))] {
        &self.dense
    }

    /// The snapshots that are drawn, with their epochs.
    pub fn beads(&self) -> &[(f64, (f32, f32))] {
        &self.snapshots
    }

    /// The epoch of the last snapshot drawn, which is where a diverged run stops.
    pub fn end(&self) -> Option<f64> {
        self.clock.last().copied()
    }

    /// The pixel at `epoch`: at the first snapshot before it, at the last one after it.
    pub fn at(&self, epoch: f64) -> Option<(f32, f32)> {
        let (first, last) = (self.dense.first()?, self.dense.last()?);
        let i = self.dense.partition_point(|(t, _)| *t <= epoch);
        if i == 0 {
            return Some(first.1);
        }
        let Some(after) = self.dense.get(i) else { return Some(last.1) };
        let before = self.dense[i - 1];
        let k = ((epoch - before.0) / (after.0 - before.0)) as f32;
        let (a, b) = (before.1, after.1);
        Some((a.0 + k * (b.0 - a.0), a.1 + k * (b.1 - a.1)))
    }

    /// Draws the way until `epoch` and the point on it.
    pub fn draw(&self, canvas: &mut dyn Canvas, epoch: f64, pen: &Pen) {
        let Some(head) = self.at(epoch) else { return };
        let px_scale = pen.px_scale;
        let line: Vec<(f64, (f32, f32))> = self
            .dense
            .iter()
            .copied()
            .take_while(|(t, _)| *t <= epoch)
            .chain([(epoch, head)])
            .collect();
        let points: Vec<(f32, f32)> = line.iter().map(|(_, p)| *p).collect();
        if let Some(path) = polyline(&points) {
            let casing = Stroke {
                cap: Cap::Round,
                ..Stroke::solid(pen.theme.casing.alpha(0.75), (5.0 * px_scale).max(2.2))
            };
            canvas.stroke(&path, &casing);
        }
        // The tail in pieces of one opacity each, oldest first: from two thirds up to 1 at the head.
        const SHADES: usize = 12;
        let now = epoch.min(line[line.len() - 1].0);
        let shade = |t: f64| {
            let age = if pen.fade > 0.0 { ((now - t) / pen.fade).clamp(0.0, 1.0) } else { 0.0 };
            ((1.0 - age) * (SHADES - 1) as f64).round() as usize
        };
        let mut start = 0;
        for i in 1..line.len() {
            let last = i + 1 == line.len();
            if last || shade(line[i].0) != shade(line[start].0) {
                let k = shade(line[i].0) as f32 / (SHADES - 1) as f32;
                // Mixed with the casing, not transparent: pieces may overlap at their joints.
                let color = pen.theme.casing.mix(pen.color, 0.66 + 0.34 * k);
                let width = ((2.3 + 0.9 * k) * px_scale).max(1.1);
                let stroke = Stroke { cap: Cap::Round, ..Stroke::solid(color, width) };
                canvas.line(&points[start..=i], &stroke);
                start = i;
            }
        }
        for &(_, (x, y)) in self.snapshots.iter().take_while(|(t, _)| *t <= epoch) {
            canvas.disc(x, y, (3.1 * px_scale).max(1.6), pen.theme.casing);
            canvas.disc(x, y, (2.1 * px_scale).max(1.0), pen.color);
        }
        self.draw_start(canvas, pen);
        self.draw_head(canvas, head, epoch, pen);
    }

    /// Draws the point at `epoch` alone.
    pub fn draw_point(&self, canvas: &mut dyn Canvas, epoch: f64, pen: &Pen) {
        if let Some(head) = self.at(epoch) {
            self.draw_head(canvas, head, epoch, pen);
        }
    }

    /// The start: an open ring.
    fn draw_start(&self, canvas: &mut dyn Canvas, pen: &Pen) {
        let (_, (x, y)) = self.dense[0];
        let px_scale = pen.px_scale.max(0.4);
        canvas.disc(x, y, 7.0 * px_scale, pen.theme.casing);
        canvas.disc(x, y, 5.4 * px_scale, pen.color);
        canvas.disc(x, y, 2.9 * px_scale, pen.theme.casing);
    }

    /// The point: a disc with a light and a dark ring, visible on any colour; square at the end.
    fn draw_head(&self, canvas: &mut dyn Canvas, (x, y): (f32, f32), epoch: f64, pen: &Pen) {
        let px_scale = pen.px_scale.max(0.4);
        let (light, dark) = (Color::hex(0xffffff), Color::hex(0x0b1219));
        if self.end().is_some_and(|end| epoch >= end) {
            for (half, color) in [(8.8, dark), (7.6, light), (5.5, pen.color)] {
                let half = half * px_scale;
                canvas.rect(Rect::new(x - half, y - half, 2.0 * half, 2.0 * half), color);
            }
        } else {
            for (radius, color) in [(10.4, dark), (9.2, light), (6.8, pen.color)] {
                canvas.disc(x, y, radius * px_scale, color);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: Domain = Domain { x: [-1.0, 1.0], y: [-1.0, 1.0] };
    const FRAME: Rect = Rect { x: 0.0, y: 0.0, w: 200.0, h: 200.0 };

    fn point(epoch: f64, x: f64, y: f64) -> PathPoint {
        PathPoint { step: 0, epoch, time: epoch, x, y, true_loss: 1.0, plane_loss: None, lr: 0.1 }
    }

    #[test]
    fn the_point_is_on_each_snapshot_at_its_time() {
        let path: Vec<PathPoint> = (0..9)
            .map(|i| point(f64::from(i), (f64::from(i) * 0.7).sin(), 0.1 * f64::from(i)))
            .collect();
        let track = Track::new(&path, DOMAIN, FRAME, 1.0);
        for p in &path {
            let (x, y) = track.at(p.epoch).unwrap();
            let (ex, ey) = DOMAIN.px_from_plane(FRAME, p.x, p.y);
            assert!((x - ex).abs() < 0.6 && (y - ey).abs() < 0.6, "{p:?}: {x} {y}");
        }
        assert_eq!(track.at(-1.0), track.at(0.0));
        assert_eq!(track.at(99.0), track.at(8.0));
    }

    #[test]
    fn a_diverged_run_stops_at_its_last_finite_snapshot() {
        let path = [point(0.0, 0.0, 0.0), point(1.0, 0.5, 0.0), point(2.0, f64::NAN, 0.0)];
        let track = Track::new(&path, DOMAIN, FRAME, 1.0);
        assert_eq!(track.end(), Some(1.0));
        assert_eq!(track.at(5.0), Some((150.0, 100.0)));
        assert!(Track::new(&path[2..], DOMAIN, FRAME, 1.0).at(0.0).is_none());
    }

    #[test]
    fn ten_thousand_snapshots_are_drawn_with_as_many_points_as_pixels_need() {
        let path: Vec<PathPoint> = (0..10_000)
            .map(|i| {
                let t = f64::from(i) / 10_000.0;
                point(t, 0.9 * (1.0 - t) * (9.0 * t).cos(), 0.9 * (1.0 - t) * (9.0 * t).sin())
            })
            .collect();
        let track = Track::new(&path, DOMAIN, FRAME, 1.0);
        assert!(track.dense.len() < 1500, "{}", track.dense.len());
        assert!(track.snapshots.len() < 100, "{}", track.snapshots.len());
        let same = vec![point(1.0, 0.2, 0.2); 50];
        assert_eq!(Track::new(&same, DOMAIN, FRAME, 1.0).dense.len(), 1);
    }
}
