//! The state of an optimizer at its point.
//!
//! A thick arrow along minus the first moment, the way in which the momentum pulls; its length grows with
//! the cube root of the moment's size, up to that of the path's largest, as gradients range over decades.
//! A thin dark arrow is the step itself, to scale. An ellipse has semi-axes in the ratio of the steps
//! that one unit of gradient makes along x and y, 1 / sqrt(v) with v the second moment; the larger one
//! has a fixed length. Both are drawn in the coordinates of the plane, then taken to pixels.

use tiny_skia::PathBuilder;

use crate::render::canvas::color::Color;
use crate::render::canvas::{Canvas, Cap, Rect, Stroke, polyline};
use crate::render::page::Page;
use crate::render::scene::Domain;
use crate::render::scenes::optimizers::Trace;

/// The length of the longest arrow of a first moment, and the larger semi-axis of an ellipse, in design
/// pixels.
const ARROW: f32 = 74.0;
const SEMI_AXIS: f32 = 30.0;

/// The shortest semi-axis that can be seen.
const THINNEST: f32 = 1.2;

/// What a path's states are measured against.
pub(super) struct Scales {
    largest_moment: f64,
}

/// The state that makes the step at some time.
pub(super) struct State {
    /// Minus the first moment's direction in the plane, and its size over the largest, 0..1.
    pull: Option<([f64; 2], f64)>,
    /// 1 / sqrt(v) along x and y.
    reach: Option<[f64; 2]>,
    /// The step that is made, in the plane.
    step: [f64; 2],
}

impl Scales {
    /// Those of `trace`.
    pub fn of(trace: &Trace) -> Self {
        let sizes = trace.points.iter().filter_map(|p| p.first_moment).map(|[x, y]| x.hypot(y));
        Self { largest_moment: sizes.filter(|s| s.is_finite()).fold(0.0, f64::max) }
    }

    /// The state with which the step at `time` is made; none after the last step.
    pub fn state(&self, trace: &Trace, time: f64) -> Option<State> {
        let k = time.max(0.0) as usize;
        let (here, next) = (trace.points.get(k)?, trace.points.get(k + 1)?);
        let size = |m: [f64; 2]| m[0].hypot(m[1]);
        let pull = next.first_moment.filter(|m| size(*m) > 0.0 && size(*m).is_finite());
        let reach = next.second_moment.map(|v| v.map(|v| 1.0 / v.sqrt()));
        Some(State {
            pull: pull.map(|m| (m.map(|v| -v / size(m)), size(m) / self.largest_moment)),
            reach: reach.filter(|r| r.iter().all(|v| v.is_finite() && *v > 0.0)),
            step: [next.x - here.x, next.y - here.y],
        })
    }
}

/// Draws `state` at the pixel `at` of a frame that shows a domain.
pub(super) fn draw(
    canvas: &mut dyn Canvas,
    state: &State,
    at: (f32, f32),
    (domain, frame): (Domain, Rect),
    page: &Page,
    color: Color,
) {
    let (theme, px_scale) = (page.theme, page.px_scale);
    // Pixels a unit; y goes down the screen.
    let unit_x = frame.w / (domain.x[1] - domain.x[0]) as f32;
    let unit_y = frame.h / (domain.y[1] - domain.y[0]) as f32;
    let px = |[x, y]: [f64; 2]| (x as f32 * unit_x, -(y as f32) * unit_y);
    if let Some(reach) = state.reach {
        let (w, h) = px(reach);
        let scale = SEMI_AXIS * px_scale / w.abs().max(h.abs());
        let semi = [w, h].map(|v| (v.abs() * scale).max(THINNEST * px_scale));
        draw_ellipse(canvas, at, semi, page, color);
    }
    let (dx, dy) = px(state.step);
    if dx.hypot(dy) > 9.0 * px_scale {
        let tip = (at.0 + dx, at.1 + dy);
        draw_arrow(canvas, at, tip, 3.6 * px_scale, 12.0 * px_scale, theme.casing);
        draw_arrow(canvas, at, tip, 1.6 * px_scale, 9.0 * px_scale, theme.text);
    }
    // Over the step: where the two go one way, the step is the thinner line ahead of it.
    if let Some((direction, share)) = state.pull {
        let (dx, dy) = px(direction);
        let size = dx.hypot(dy);
        let length = ARROW * px_scale * share.cbrt() as f32;
        let tip = (at.0 + length * dx / size, at.1 + length * dy / size);
        if size > 0.0 && length > 7.0 * px_scale {
            draw_arrow(canvas, at, tip, 7.4 * px_scale, 19.0 * px_scale, theme.casing);
            draw_arrow(canvas, at, tip, 4.2 * px_scale, 15.0 * px_scale, color);
        }
    }
}

fn draw_ellipse(
    canvas: &mut dyn Canvas,
    (x, y): (f32, f32),
    [a, b]: [f32; 2],
    page: &Page,
    color: Color,
) {
    let turn = |k: usize| (k as f32 / 48.0 * std::f32::consts::TAU).sin_cos();
    let around = (0..=48).map(turn).map(|(sin, cos)| (x + a * cos, y + b * sin));
    let Some(path) = polyline(&around.collect::<Vec<_>>()) else { return };
    canvas.fill(&path, color.alpha(0.16), false);
    canvas.stroke(&path, &Stroke::solid(page.theme.casing.alpha(0.8), 4.0 * page.px_scale));
    canvas.stroke(&path, &Stroke::solid(color, (1.8 * page.px_scale).max(1.0)));
}

/// An arrow with a shaft of `width` and a head of `head` pixels, which a short arrow shortens.
fn draw_arrow(
    canvas: &mut dyn Canvas,
    from: (f32, f32),
    tip: (f32, f32),
    width: f32,
    head: f32,
    color: Color,
) {
    let (dx, dy) = (tip.0 - from.0, tip.1 - from.1);
    let length = dx.hypot(dy);
    let (ux, uy) = (dx / length, dy / length);
    let head = head.min(0.7 * length);
    let neck = (tip.0 - head * ux, tip.1 - head * uy);
    let shaft = Stroke { cap: Cap::Round, ..Stroke::solid(color, width) };
    canvas.line(&[from, neck], &shaft);
    let mut path = PathBuilder::new();
    path.move_to(tip.0, tip.1);
    path.line_to(neck.0 - 0.5 * head * uy, neck.1 + 0.5 * head * ux);
    path.line_to(neck.0 + 0.5 * head * uy, neck.1 - 0.5 * head * ux);
    path.close();
    if let Some(path) = path.finish() {
        canvas.fill(&path, color, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::scenes::optimizers::TracePoint;

    #[test]
    fn the_state_is_the_one_that_makes_the_step() {
        let point = |x: f64, m: f64, v: f64| TracePoint {
            x,
            first_moment: Some([m, 0.0]),
            second_moment: Some([v, 4.0 * v]),
            ..TracePoint::default()
        };
        let points = vec![point(0.0, 0.0, 0.0), point(1.0, -8.0, 1.0), point(1.5, -1.0, 0.25)];
        let trace = Trace { points, ..Trace::default() };
        let scales = Scales::of(&trace);
        let first = scales.state(&trace, 0.9).unwrap();
        assert_eq!((first.step, first.pull), ([1.0, 0.0], Some(([1.0, 0.0], 1.0))));
        // Four times the squared gradient along y: half the step for the same gradient.
        assert_eq!(first.reach, Some([1.0, 0.5]));
        let second = scales.state(&trace, 1.0).unwrap();
        assert_eq!((second.step, second.pull), ([0.5, 0.0], Some(([1.0, 0.0], 0.125))));
        assert!(scales.state(&trace, 2.0).is_none());
        let bare = Trace { points: vec![TracePoint::default(); 2], ..Trace::default() };
        let state = Scales::of(&bare).state(&bare, 0.0).unwrap();
        assert!(state.pull.is_none() && state.reach.is_none());
    }
}
