//! The colour bar: colours from the low end to the high one, straight between its ends and pointed at an
//! end beyond which values are clipped, with numbers beside it and a title above.

use tiny_skia::{Path, PathBuilder};

use crate::render::canvas::color::Color;
use crate::render::canvas::text::CAP_HEIGHT;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::page::Page;
use crate::render::page::scale::LevelScale;

/// The colours of a bar; places on it go from 0 at its low end to 1 at its high end.
pub(in crate::render) enum Colors<'a> {
    /// One box each: its upper end and its colour.
    Bands(Vec<(f64, Color)>),
    /// Without steps: the colour of a place.
    Ramp(Box<dyn Fn(f64) -> Color + 'a>),
}

/// How the places of the numbers are marked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::render) enum Lines {
    /// By contour lines across the bar, this opaque.
    Across(f32),
    /// By ticks beside it.
    Beside,
}

/// A colour bar.
pub(in crate::render) struct ColorBar<'a> {
    /// What the colours mean.
    pub title: &'a str,
    /// From values to colours.
    pub colors: Colors<'a>,
    /// Places and their numbers, rising.
    pub numbers: Vec<(f64, String)>,
    /// How those places are marked.
    pub lines: Lines,
    /// The colours of the points at the low and at the high end, where values are clipped there.
    pub points: [Option<Color>; 2],
    /// Whether the point at the high end is hatched, as the cap of a surface is.
    pub hatched: bool,
}

impl<'a> ColorBar<'a> {
    /// The bands of `scale` in the colours of `theme`, level values beside them.
    pub fn bands(title: &'a str, scale: &LevelScale, theme: &Theme) -> Self {
        let edges = scale.band_edges();
        let (low, high) = (edges[0], edges[edges.len() - 1]);
        let place = |z: f64| (z - low) / (high - low);
        let band = |k: usize| (place(edges[k + 1]), theme.colormap.at(scale.band_shade(k)));
        let levels = edges[1..].iter().map(|&z| place(z));
        Self {
            title,
            colors: Colors::Bands((0..edges.len() - 1).map(band).collect()),
            numbers: levels.zip(scale.labels()).collect(),
            lines: Lines::Across(0.4),
            points: [
                scale.clipped_low.then(|| theme.colormap.at(0.0)),
                scale.clipped_high.then(|| theme.colormap.at(1.0)),
            ],
            hatched: false,
        }
    }

    /// The ramp of a surface in space, whose colours `shade` gives, with the levels of `scale`.
    pub fn ramp(
        title: &'a str,
        scale: &LevelScale,
        theme: &Theme,
        shade: impl Fn(f64) -> Color + 'a,
    ) -> Self {
        let (low, high) = (scale.position(scale.low), scale.position(scale.high));
        let place =
            |v: f64| if high > low { (scale.position(v) - low) / (high - low) } else { 0.5 };
        Self {
            title,
            numbers: scale.levels.iter().map(|&v| place(v)).zip(scale.labels()).collect(),
            lines: Lines::Across(0.5),
            points: [
                scale.clipped_low.then(|| shade(0.0)),
                scale.clipped_high.then(|| shade(1.0).mix(theme.muted, 0.18)),
            ],
            colors: Colors::Ramp(Box::new(shade)),
            hatched: true,
        }
    }

    /// Draws it in `bar` beside panels with headings: on a narrow page they leave its title no room.
    pub fn draw_beside_panels(&self, canvas: &mut dyn Canvas, bar: Rect, page: &Page) {
        self.draw(canvas, bar, page, page.rect.w >= 480.0);
    }

    /// Draws it in `bar`; the title above it, beginning there where it fits, else ending at the page's
    /// edge, has room only where `titled`.
    pub fn draw(&self, canvas: &mut dyn Canvas, bar: Rect, page: &Page, titled: bool) {
        let title_baseline = bar.y - 0.6 * page.font.small;
        let mut bar = bar;
        if self.lines == Lines::Beside {
            // A number may stand at the very top.
            bar =
                Rect { y: bar.y + 0.5 * page.font.small, h: bar.h - 0.5 * page.font.small, ..bar };
        }
        // The height of a clipping point, taken off the bar.
        let point = if self.hatched { 0.9 } else { 0.8 } * bar.w;
        let mut body = bar;
        if self.points[1].is_some() {
            body = Rect { y: body.y + point, h: body.h - point, ..body };
        }
        if self.points[0].is_some() {
            body.h -= point;
        }
        body.h = body.h.max(1.0);
        if let Colors::Ramp(_) = self.colors {
            // On whole pixels: the ramp is copied, not resampled.
            let (x, y) = (body.x.round(), body.y.round());
            let (w, h) = (body.w.round().max(1.0), (body.bottom().round() - y).max(1.0));
            body = Rect::new(x, y, w, h);
            bar = Rect { x, w, ..bar };
        }
        self.draw_colors(canvas, body);
        self.draw_points(canvas, bar, body, page);
        self.draw_numbers(canvas, bar, body, page);
        if titled {
            self.draw_title(canvas, bar.x, title_baseline, page);
        }
    }

    fn draw_colors(&self, canvas: &mut dyn Canvas, body: Rect) {
        match &self.colors {
            Colors::Bands(bands) => {
                let mut low = body.bottom();
                for (end, color) in bands {
                    let high = body.bottom() - *end as f32 * body.h;
                    canvas.rect(Rect::new(body.x, high, body.w, low - high), *color);
                    low = high;
                }
            }
            Colors::Ramp(shade) => {
                let rows = body.h as usize;
                let row = |row: usize| {
                    let c = shade(1.0 - (row as f64 + 0.5) / rows as f64);
                    [c.r, c.g, c.b, 255].repeat(body.w as usize)
                };
                let rgba: Vec<u8> = (0..rows).flat_map(row).collect();
                canvas.image(&rgba, body.w as u32, body.h as u32, body);
            }
        }
    }

    /// The points at ends that clip, and one outline around them and the straight part.
    fn draw_points(&self, canvas: &mut dyn Canvas, bar: Rect, body: Rect, page: &Page) {
        let (theme, px_scale) = (page.theme, page.px_scale);
        let middle = bar.x + 0.5 * bar.w;
        let (low_tip, high_tip) = ((middle, bar.bottom()), (middle, bar.y));
        let corners = [body.bottom(), body.y].map(|y| [(bar.x, y), (bar.right(), y)]);
        for (k, tip) in [(0, low_tip), (1, high_tip)] {
            let Some(color) = self.points[k] else { continue };
            if let Some(path) = triangle([corners[k][0], tip, corners[k][1]]) {
                canvas.fill(&path, color, false);
            }
        }
        if self.hatched && self.points[1].is_some() {
            let line = Stroke::solid(theme.hatch, (1.1 * px_scale).max(0.7));
            let point = body.y - bar.y;
            for k in [0.35, 0.7] {
                let (y, half) = (body.y - k * point, 0.5 * bar.w * (1.0 - k));
                canvas.line(&[(middle - half, y), (middle + half, y - 0.2 * point)], &line);
            }
        }
        let mut outline = vec![corners[0][0], corners[1][0]];
        outline.extend(self.points[1].map(|_| high_tip));
        outline.extend([corners[1][1], corners[0][1]]);
        outline.extend(self.points[0].map(|_| low_tip));
        outline.extend([corners[0][0], corners[1][0]]);
        canvas.line(&outline, &Stroke::solid(theme.muted.alpha(0.8), px_scale.max(0.75)));
    }

    fn draw_numbers(&self, canvas: &mut dyn Canvas, bar: Rect, body: Rect, page: &Page) {
        let (theme, font, px_scale) = (page.theme, page.font, page.px_scale);
        let style = TextStyle::new(font.small, theme.muted);
        let (stroke, ends, gap) = match self.lines {
            Lines::Across(opacity) => {
                let ink = theme.contour.alpha(opacity);
                let stroke = Stroke::solid(ink, (0.85 * px_scale).max(0.5));
                (stroke, [bar.x, bar.right()], 6.0 * px_scale)
            }
            Lines::Beside => {
                let stroke = Stroke::solid(theme.muted, px_scale.max(0.75));
                (stroke, [bar.right(), bar.right() + 4.0 * px_scale], 8.0 * px_scale)
            }
        };
        let mut last = f32::INFINITY;
        for (place, text) in &self.numbers {
            let y = body.bottom() - *place as f32 * body.h;
            canvas.line(&ends.map(|x| (x, y)), &stroke);
            if last - y >= 1.12 * font.small && y >= bar.y {
                let baseline = y + 0.5 * CAP_HEIGHT * font.small;
                canvas.text(text, bar.right() + gap, baseline, &style);
                last = y;
            }
        }
    }

    fn draw_title(&self, canvas: &mut dyn Canvas, x: f32, baseline: f32, page: &Page) {
        let style = TextStyle::new(page.font.small, page.theme.text);
        let room = page.rect.w - 4.0 * page.px_scale - x;
        if style.width(self.title) <= room {
            canvas.text(self.title, x, baseline, &style);
        } else {
            let text = style.fit(self.title, 2.2 * room);
            let right = page.rect.w - 0.5 * page.margin;
            canvas.text(&text, right, baseline, &style.align(Align::Right));
        }
    }
}

fn triangle(corners: [(f32, f32); 3]) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.move_to(corners[0].0, corners[0].1);
    corners[1..].iter().for_each(|p| path.line_to(p.0, p.1));
    path.close();
    path.finish()
}
