//! The colour bar of a surface: the ramp as it is on the surface, contour levels as lines with
//! their values, a point at an end that clips (hatched like the cap).

use super::paint::surface_color;
use crate::render::canvas::{Canvas, Rect, Stroke, TextStyle};
use crate::render::colorbar::BarPoints;
use crate::render::layout::Layout;
use crate::render::scale::LevelScale;
use crate::render::text::CAP_HEIGHT;
use crate::render::theme::Theme;

/// Draws the bar into `bar` (labels go to its right) under `title`.
pub fn draw(
    canvas: &mut dyn Canvas,
    bar: Rect,
    title: &str,
    layout: &Layout,
    scale: &LevelScale,
    theme: &Theme,
) {
    let (font, s) = (layout.font, layout.s);
    let (low, high) = (scale.position(scale.low), scale.position(scale.high));
    let point = 0.9 * bar.w;
    let top = bar.y + if scale.clipped_high { point } else { 0.0 };
    let bottom = bar.bottom() - if scale.clipped_low { point } else { 0.0 };
    // On whole pixels: the ramp is copied, not resampled.
    let (x, first) = (bar.x.round(), top.round());
    let (columns, rows) = (bar.w.round().max(1.0), (bottom.round() - first).max(1.0));
    let rgba: Vec<u8> = (0..rows as usize)
        .flat_map(|row| {
            let t = 1.0 - (row as f64 + 0.5) / f64::from(rows);
            let c = surface_color(theme, t);
            [c.r, c.g, c.b, 255].repeat(columns as usize)
        })
        .collect();
    let place = Rect::new(x, first, columns, rows);
    canvas.image(&rgba, columns as u32, rows as u32, place);
    let (bar, top, bottom) = (Rect { x, w: columns, ..bar }, first, place.bottom());
    let middle = bar.x + 0.5 * bar.w;
    let points = BarPoints { bar, top, bottom, low: scale.clipped_low, high: scale.clipped_high };
    let line = Stroke::solid(theme.hatch, (1.1 * s).max(0.7));
    if let Some(path) = points.point(true) {
        canvas.fill(&path, surface_color(theme, 1.0).mix(theme.muted, 0.18), false);
        for k in [0.35, 0.7] {
            let (y, half) = (top - k * point, 0.5 * bar.w * (1.0 - k));
            canvas.line(&[(middle - half, y), (middle + half, y - 0.2 * point)], &line);
        }
    }
    if let Some(path) = points.point(false) {
        canvas.fill(&path, surface_color(theme, 0.0), false);
    }
    points.draw_outline(canvas, s, theme);

    let style = TextStyle::new(font.small, theme.muted);
    let ink = Stroke::solid(theme.contour.alpha(0.5), (0.85 * s).max(0.5));
    let mut last = f32::INFINITY;
    for (label, &level) in scale.labels().iter().zip(&scale.levels) {
        let t = if high > low { (scale.position(level) - low) / (high - low) } else { 0.5 };
        let y = bottom - t as f32 * (bottom - top);
        canvas.line(&[(bar.x, y), (bar.right(), y)], &ink);
        if last - y >= 1.12 * font.small {
            let baseline = y + 0.5 * CAP_HEIGHT * font.small;
            canvas.text(label, bar.right() + 6.0 * s, baseline, &style);
            last = y;
        }
    }
    let title_style = TextStyle::new(font.small, theme.text);
    let baseline = bar.y - 0.6 * font.small;
    let room = layout.page.w - 0.5 * layout.margin - bar.x;
    let width = title_style.width(title);
    let x = if width <= room { bar.x } else { (bar.x + room - width).max(0.0) };
    canvas.text(&title_style.fit(title, layout.page.w - x), x, baseline, &title_style);
}
