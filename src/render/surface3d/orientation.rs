//! Where the camera is while it flies with the marker: the whole surface from above in a corner of the
//! window, with the path so far, the marker, and the wedge of what the camera sees. From near, one
//! stretch of a valley looks like another.

use tiny_skia::PathBuilder;

use super::camera::Viewpoint;
use super::heightfield::{HeightField, Mark};
use super::trail::Trail;
use crate::render::canvas::color::Color;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, Cap, Rect, Stroke};

/// The longer side of the map, as a share of the window's shorter side.
const SHARE: f32 = 0.27;
/// Pixels a side of the map's picture; the map is small.
const SIDE: usize = 72;
/// Half of the angle that the wedge opens with, in radians: about what the lens sees.
const HALF_ANGLE: f32 = 0.42;

/// The rectangle of the map of `field` in the lower left corner of `window`; `None` where it would be too
/// small to read.
pub fn place(window: Rect, field: &HeightField, px_scale: f32) -> Option<Rect> {
    let side = SHARE * window.w.min(window.h);
    if side < 44.0 {
        return None;
    }
    let longest = field.half[0].max(field.half[1]);
    let [w, h] = field.half.map(|half| (side * half / longest).round());
    let margin = (10.0 * px_scale).max(4.0).round();
    Some(Rect::new((window.x + margin).round(), (window.bottom() - margin - h).round(), w, h))
}

/// Draws the map in `map` with the strength with which `view` follows the marker; the path, of `color`, is
/// as far as it is at `time`.
pub fn draw(
    canvas: &mut dyn Canvas,
    (map, px_scale): (Rect, f32),
    (field, trail): (&HeightField, &Trail),
    view: &Viewpoint,
    time: f64,
    (theme, color): (&Theme, Color),
) {
    let strength = view.follow.clamp(0.0, 1.0);
    let opacity = (255.0 * strength).round() as u8;
    let mut rgba = Vec::with_capacity(4 * SIDE * SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let [u, v] = [column, SIDE - 1 - row].map(|i| (i as f32 + 0.5) / SIDE as f32);
            let hole = field.has_marks() && field.mark(u, v) == Mark::Hole;
            let c = if hole { theme.hatch } else { theme.relief.at(field.at(u, v)[0].into()) };
            let c = theme.background.mix(c, 0.8);
            rgba.extend([c.r, c.g, c.b, opacity]);
        }
    }
    let edge = (3.0 * px_scale).max(1.5);
    let around = |by: f32| Rect::new(map.x - by, map.y - by, map.w + 2.0 * by, map.h + 2.0 * by);
    canvas.rect(around(edge), theme.background.alpha(strength));
    canvas.image(&rgba, SIDE as u32, SIDE as u32, map);
    let pixel = |[u, v]: [f32; 2]| (map.x + u * map.w, map.bottom() - v * map.h);
    let line: Vec<(f32, f32)> = trail.places(time, 400).into_iter().map(pixel).collect();
    let width = (2.2 * px_scale).max(1.2);
    for (color, width) in [(theme.casing, 1.9 * width), (color, width)] {
        let stroke = Stroke { cap: Cap::Round, ..Stroke::solid(color.alpha(strength), width) };
        canvas.line(&line, &stroke);
    }
    // The eye may be beside the surface: then the wedge begins at the map's edge.
    let place = |k: usize| 0.5 * (view.eye[k] / field.half[k] + 1.0);
    let eye = pixel([place(0).clamp(0.0, 1.0), place(1).clamp(0.0, 1.0)]);
    let away = |k: usize| view.target[k] - view.eye[k];
    let heading = (-away(1)).atan2(away(0));
    let reach = 0.34 * map.w.min(map.h);
    let mut wedge = PathBuilder::new();
    wedge.move_to(eye.0, eye.1);
    for turn in [-HALF_ANGLE, 0.0, HALF_ANGLE] {
        let (sin, cos) = (heading + turn).sin_cos();
        wedge.line_to(eye.0 + reach * cos, eye.1 + reach * sin);
    }
    wedge.close();
    canvas.set_clip(Some(around(edge)));
    if let Some(wedge) = wedge.finish() {
        canvas.fill(&wedge, theme.text.alpha(0.45 * strength), false);
    }
    canvas.disc(eye.0, eye.1, (2.6 * px_scale).max(1.6), theme.text.alpha(strength));
    canvas.set_clip(None);
    if let Some(at) = trail.at(time) {
        let (x, y) = pixel(at.map(|w| w.clamp(0.0, 1.0)));
        canvas.disc(x, y, (5.4 * px_scale).max(2.8), theme.casing.alpha(strength));
        canvas.disc(x, y, (4.0 * px_scale).max(2.0), color.alpha(strength));
    }
    let frame = Stroke::solid(theme.muted.alpha(strength), px_scale.max(0.75));
    canvas.line(&around(edge).outline(), &frame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::page::scale::LevelScale;
    use crate::render::scene::{ContourPanel, Grid};

    #[test]
    fn the_map_has_the_surface_s_shape_and_lies_in_its_window() {
        let along = |n: usize, reach: f64| -> Vec<f64> {
            (0..n).map(|i| reach * (2.0 * i as f64 / (n - 1) as f64 - 1.0)).collect()
        };
        let (xs, ys) = (along(21, 2.0), along(11, 1.0));
        let values = (0..231).map(|k| 1.0 + f64::from(k)).collect();
        let grid = Grid { xs, ys, values, interpolated: None };
        let panel = ContourPanel { grid, ..Default::default() };
        let scale = LevelScale::new(panel.grid.values.iter().copied());
        let field = HeightField::new(&panel, &scale, 1.0);
        let window = Rect::new(100.0, 50.0, 640.0, 400.0);
        let map = place(window, &field, 1.0).unwrap();
        assert!((map.w / map.h - field.half[0] / field.half[1]).abs() < 0.03, "{map:?}");
        assert!(window.contains(map.x, map.y, 0.0));
        assert!(window.contains(map.right(), map.bottom(), 0.0));
        assert_eq!(place(Rect::new(0.0, 0.0, 120.0, 90.0), &field, 0.3), None);
    }
}
