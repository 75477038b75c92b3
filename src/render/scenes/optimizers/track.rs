//! A path in pixels, straight from step to step.

use crate::render::canvas::color::Color;
use crate::render::canvas::{Canvas, Cap, Rect, Stroke};
use crate::render::page::Page;
use crate::render::scene::Domain;
use crate::render::scenes::optimizers::Trace;

/// Where a path leaves the frame for good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exit {
    /// The step with which it does.
    pub step: usize,
    /// The pixel on the frame's edge.
    pub at: (f32, f32),
}

/// The pixels of a path.
pub(super) struct Track {
    points: Vec<(f32, f32)>,
    /// The steps that have a dot of their own: those far enough from the dot before.
    dots: Vec<usize>,
    diverged: bool,
    exit: Option<Exit>,
}

impl Track {
    /// The track of `trace` in `frame`, which shows `domain`.
    pub fn new(trace: &Trace, domain: Domain, frame: Rect, px_scale: f32) -> Self {
        let px = |x: f64, y: f64| {
            let (px, py) = domain.px_from_plane(frame, x, y);
            // Far outside is as good as a page away, and keeps strokes finite.
            (px.clamp(-1e5, 1e5), py.clamp(-1e5, 1e5))
        };
        let points: Vec<(f32, f32)> = trace.points.iter().map(|p| px(p.x, p.y)).collect();
        let mut dots: Vec<usize> = Vec::new();
        for (k, &(x, y)) in points.iter().enumerate() {
            let far =
                |&last: &usize| (points[last].0 - x).hypot(points[last].1 - y) > 6.0 * px_scale;
            if dots.last().is_none_or(far) {
                dots.push(k);
            }
        }
        let inside = |p: &(f32, f32)| frame.contains(p.0, p.1, -0.5);
        let exit = match points.iter().rposition(inside) {
            Some(k) if k + 1 < points.len() => {
                Some(Exit { step: k + 1, at: crossing(frame, points[k], points[k + 1]) })
            }
            // Its last point is inside; the next one it has not.
            Some(k) => trace.diverged_at.map(|step| Exit { step, at: points[k] }),
            None => None,
        };
        Self { points, dots, diverged: trace.diverged_at.is_some(), exit }
    }

    /// All pixels of the line, about one in each few pixels, for what must keep clear of it.
    pub fn pixels(&self) -> Vec<(f32, f32)> {
        let mut all = self.points[..self.points.len().min(1)].to_vec();
        for pair in self.points.windows(2) {
            let [(ax, ay), (bx, by)] = [pair[0], pair[1]];
            let pieces = ((ax - bx).hypot(ay - by) / 8.0).ceil().clamp(1.0, 400.0);
            let at = |k: f32| (ax + (bx - ax) * k / pieces, ay + (by - ay) * k / pieces);
            all.extend((1..=pieces as usize).map(|k| at(k as f32)));
        }
        all
    }

    /// Where it leaves the frame for good, if it does.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// The last step.
    pub fn last(&self) -> usize {
        self.points.len().saturating_sub(1)
    }

    /// The point from which the step at `time` is made; at the end the last one.
    pub fn base(&self, time: f64) -> Option<(f32, f32)> {
        self.points.get((time.max(0.0) as usize).min(self.last())).copied()
    }

    /// The head at `time`: on its way along the line of the step.
    pub fn at(&self, time: f64) -> Option<(f32, f32)> {
        let k = (time.max(0.0) as usize).min(self.last());
        let a = *self.points.get(k)?;
        let share = (time - k as f64).clamp(0.0, 1.0) as f32;
        Some(
            self.points
                .get(k + 1)
                .map_or(a, |b| (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1))),
        )
    }

    /// Draws the way until `time` with a dot at each step.
    pub fn draw(&self, canvas: &mut dyn Canvas, time: f64, page: &Page, color: Color) {
        let Some(head) = self.at(time) else { return };
        let (theme, px_scale) = (page.theme, page.px_scale);
        let passed = ((time.max(0.0) as usize).min(self.last())) + 1;
        let mut line = self.points[..passed].to_vec();
        line.push(head);
        let stroke = |color: Color, width: f32, least: f32| Stroke {
            cap: Cap::Round,
            ..Stroke::solid(color, (width * px_scale).max(least))
        };
        canvas.line(&line, &stroke(theme.casing.alpha(0.75), 4.4, 2.0));
        canvas.line(&line, &stroke(color, 2.2, 1.1));
        for &k in self.dots.iter().take_while(|k| **k < passed) {
            let (x, y) = self.points[k];
            canvas.disc(x, y, (3.4 * px_scale).max(1.8), theme.casing);
            canvas.disc(x, y, (2.4 * px_scale).max(1.2), color);
        }
        // The start: an open ring.
        let (x, y) = self.points[0];
        let px_scale = px_scale.max(0.4);
        for (radius, color) in [(7.0, theme.casing), (5.4, color), (2.9, theme.casing)] {
            canvas.disc(x, y, radius * px_scale, color);
        }
    }

    /// The head: a disc, at the end of the path a square; a cross where the path left for good.
    pub fn draw_head(&self, canvas: &mut dyn Canvas, time: f64, page: &Page, color: Color) {
        let px_scale = page.px_scale.max(0.4);
        let (light, dark) = (Color::hex(0xffffff), Color::hex(0x0b1219));
        if let Some(Exit { step, at: (x, y) }) = self.exit
            && time >= step as f64
        {
            let r = 7.0 * px_scale;
            for (color, width) in [(dark, 7.4), (light, 5.6), (color, 3.4)] {
                let stroke = Stroke { cap: Cap::Round, ..Stroke::solid(color, width * px_scale) };
                canvas.line(&[(x - r, y - r), (x + r, y + r)], &stroke);
                canvas.line(&[(x - r, y + r), (x + r, y - r)], &stroke);
            }
            return;
        }
        let Some((x, y)) = self.at(time) else { return };
        if time >= self.last() as f64 && !self.diverged {
            for (half, color) in [(6.9, dark), (5.9, light), (4.3, color)] {
                let half = half * px_scale;
                canvas.rect(Rect::new(x - half, y - half, 2.0 * half, 2.0 * half), color);
            }
        } else {
            for (radius, color) in [(7.6, dark), (6.6, light), (4.8, color)] {
                canvas.disc(x, y, radius * px_scale, color);
            }
        }
    }
}

/// Where the line from `a`, inside `frame`, to `b`, outside, crosses its edge, a little inside.
fn crossing(frame: Rect, a: (f32, f32), b: (f32, f32)) -> (f32, f32) {
    let along = |from: f32, to: f32, low: f32, high: f32| {
        if to > high {
            (high - from) / (to - from)
        } else if to < low {
            (low - from) / (to - from)
        } else {
            1.0
        }
    };
    let t = along(a.0, b.0, frame.x, frame.right()).min(along(a.1, b.1, frame.y, frame.bottom()));
    let t = t.clamp(0.0, 1.0);
    (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::scenes::optimizers::TracePoint;

    const DOMAIN: Domain = Domain { x: [-1.0, 1.0], y: [-1.0, 1.0] };
    const FRAME: Rect = Rect { x: 0.0, y: 0.0, w: 200.0, h: 200.0 };

    fn track(points: &[(f64, f64)], diverged_at: Option<usize>) -> Track {
        let points = points.iter().map(|&(x, y)| TracePoint { x, y, ..TracePoint::default() });
        let trace = Trace { points: points.collect(), diverged_at, ..Trace::default() };
        Track::new(&trace, DOMAIN, FRAME, 1.0)
    }

    #[test]
    fn the_head_moves_straight_from_step_to_step() {
        let track = track(&[(-1.0, 0.0), (0.0, 0.0), (0.0, 0.5)], None);
        assert_eq!(track.at(0.5), Some((50.0, 100.0)));
        assert_eq!((track.at(1.5), track.base(1.5)), (Some((100.0, 75.0)), Some((100.0, 100.0))));
        assert_eq!((track.at(9.0), track.base(9.0)), (Some((100.0, 50.0)), Some((100.0, 50.0))));
        assert_eq!((track.exit(), track.last()), (None, 2));
    }

    #[test]
    fn a_path_that_comes_back_did_not_leave_and_one_that_stays_away_ends_at_the_edge() {
        let back = track(&[(0.0, 0.0), (3.0, 0.0), (0.5, 0.0)], None);
        assert_eq!(back.exit(), None);
        let gone = track(&[(0.0, 0.0), (0.5, 0.0), (2.5, 1.0), (9.0, 0.0)], None);
        // From (150, 100) to (350, 0): the right edge at a quarter of the way.
        assert_eq!(gone.exit(), Some(Exit { step: 2, at: (200.0, 75.0) }));
        let blown = track(&[(0.0, 0.0), (0.5, 0.0)], Some(2));
        assert_eq!(blown.exit(), Some(Exit { step: 2, at: (150.0, 100.0) }));
    }
}
