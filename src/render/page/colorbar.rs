//! The shape of a colour bar: straight between `top` and `bottom`, and pointed at an end beyond which
//! values are clipped.

use tiny_skia::{Path, PathBuilder};

use crate::render::canvas::color::Color;
use crate::render::canvas::text::CAP_HEIGHT;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::page::layout::Layout;
use crate::render::page::scale::LevelScale;

/// A bar and where its points are.
#[derive(Debug, Clone, Copy)]
pub struct BarPoints {
    /// All of the bar, points and all.
    pub bar: Rect,
    /// Where its straight part begins.
    pub top: f32,
    /// Where that ends.
    pub bottom: f32,
    /// Whether values below its lower end are clipped.
    pub low: bool,
    /// Whether values above its upper end are.
    pub high: bool,
}

impl BarPoints {
    fn middle(&self) -> f32 {
        self.bar.x + 0.5 * self.bar.w
    }

    /// The triangle at the upper or the lower end; `None` where nothing is clipped.
    pub fn point(&self, high: bool) -> Option<Path> {
        let bar = self.bar;
        let (there, tip, base) = match high {
            true => (self.high, bar.y, self.top),
            false => (self.low, bar.bottom(), self.bottom),
        };
        let mut path = PathBuilder::new();
        path.move_to(bar.x, base);
        path.line_to(self.middle(), tip);
        path.line_to(bar.right(), base);
        path.close();
        path.finish().filter(|_| there)
    }

    /// One outline around the straight part and the points.
    pub fn draw_outline(&self, canvas: &mut dyn Canvas, s: f32, theme: &Theme) {
        let (bar, middle) = (self.bar, self.middle());
        let mut outline = vec![(bar.x, self.bottom), (bar.x, self.top)];
        outline.extend(self.high.then_some((middle, bar.y)));
        outline.extend([(bar.right(), self.top), (bar.right(), self.bottom)]);
        outline.extend(self.low.then_some((middle, bar.bottom())));
        outline.extend([(bar.x, self.bottom), (bar.x, self.top)]);
        canvas.line(&outline, &Stroke::solid(theme.muted.alpha(0.8), s.max(0.75)));
    }
}

/// The colour bar: one box a band, level values beside it, a point at an end that clips.
pub fn draw_bands(
    canvas: &mut dyn Canvas,
    bar: Rect,
    title: &str,
    layout: &Layout,
    scale: &LevelScale,
    theme: &Theme,
) {
    let (font, s) = (layout.font, layout.s);
    let edges = scale.band_edges();
    let (low, high) = (edges[0], edges[edges.len() - 1]);
    let point = 0.8 * bar.w; // the height of a clipping point, taken off the bar
    let top = bar.y + if scale.clipped_high { point } else { 0.0 };
    let bottom = bar.bottom() - if scale.clipped_low { point } else { 0.0 };
    let y_of = |z: f64| bottom - ((z - low) / (high - low)) as f32 * (bottom - top);
    for band in 0..edges.len() - 1 {
        let color = theme.colormap.at(scale.band_shade(band));
        let (y0, y1) = (y_of(edges[band + 1]), y_of(edges[band]));
        canvas.rect(Rect::new(bar.x, y0, bar.w, y1 - y0), color);
    }
    let points = BarPoints { bar, top, bottom, low: scale.clipped_low, high: scale.clipped_high };
    for (high, share) in [(true, 1.0), (false, 0.0)] {
        if let Some(path) = points.point(high) {
            canvas.fill(&path, theme.colormap.at(share), false);
        }
    }
    points.draw_outline(canvas, s, theme);

    let style = TextStyle::new(font.small, theme.muted);
    let line = Stroke::solid(theme.contour.alpha(0.4), (0.85 * s).max(0.5));
    let mut last_y = f32::INFINITY;
    let labels = scale.labels();
    for (label, z) in labels.iter().zip(&edges[1..]) {
        let y = y_of(*z);
        canvas.line(&[(bar.x, y), (bar.right(), y)], &line);
        if last_y - y >= 1.12 * font.small && y >= bar.y {
            let baseline = y + 0.5 * CAP_HEIGHT * font.small;
            canvas.text(label, bar.right() + 6.0 * s, baseline, &style);
            last_y = y;
        }
    }
    if layout.page.w < 480.0 {
        return; // no room for the title beside the panels' own
    }
    let baseline = bar.y - 0.6 * font.small;
    let room = layout.page.w - 4.0 * s - bar.x;
    let title_style = TextStyle::new(font.small, theme.text);
    let width = title_style.width(title);
    if width <= room {
        canvas.text(title, bar.x, baseline, &title_style);
    } else {
        let right = layout.page.w - 0.5 * layout.margin;
        let text = title_style.fit(title, 2.2 * room);
        canvas.text(&text, right, baseline, &title_style.align(Align::Right));
    }
}

/// The colour bar of a surface in space: the ramp as it is on the surface, contour levels as lines with
/// their values, a point at an end that clips (hatched like the cap).
#[allow(clippy::too_many_arguments)]
pub fn draw_ramp(
    canvas: &mut dyn Canvas,
    bar: Rect,
    title: &str,
    layout: &Layout,
    scale: &LevelScale,
    shade: &dyn Fn(f64) -> Color,
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
            let c = shade(t);
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
        canvas.fill(&path, shade(1.0).mix(theme.muted, 0.18), false);
        for k in [0.35, 0.7] {
            let (y, half) = (top - k * point, 0.5 * bar.w * (1.0 - k));
            canvas.line(&[(middle - half, y), (middle + half, y - 0.2 * point)], &line);
        }
    }
    if let Some(path) = points.point(false) {
        canvas.fill(&path, shade(0.0), false);
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
