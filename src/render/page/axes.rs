//! The axes of a plot: an outline, ticks with numbers, labels, and a mesh where nothing covers it.

use crate::render::canvas::text::CAP_HEIGHT;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle, polyline};
use crate::render::page::layout::Type;
use crate::render::page::scale::{significant, ticks, widest_tick};
use crate::render::scene::Domain;

/// A frame with its axes.
#[derive(Debug, Clone, Copy)]
pub struct Axes<'a> {
    /// Where the data are drawn.
    pub frame: Rect,
    /// What it shows.
    pub domain: Domain,
    /// Below the frame; may be empty.
    pub x_label: &'a str,
    /// To its left, turned; may be empty.
    pub y_label: &'a str,
    /// Sizes of type.
    pub font: Type,
    /// Pixels a design pixel.
    pub s: f32,
}

/// What lies between the edges of a cell and the frame in it: left, top, right, bottom, in pixels.
/// `heading` lines go above it.
pub fn gutters(font: &Type, s: f32, y: [f64; 2], labels: [bool; 2], heading: f32) -> [f32; 4] {
    let style = TextStyle::new(font.small, crate::render::canvas::color::Color::hex(0));
    let left = widest_tick(y, |text| style.width(text)).max(1.2 * font.small) + 9.0 * s;
    let [x_label, y_label] = labels.map(|on| if on { 1.55 * font.label } else { 0.0 });
    [left + y_label, heading, 0.6 * font.small, 1.3 * font.small + 7.0 * s + x_label]
}

/// The frame in `cell` with `gutters` around it: both axes to one scale where `equal`, then centred
/// in what is left over; on whole pixels.
pub fn frame_in(cell: Rect, gutters: [f32; 4], domain: &Domain, equal: bool) -> Rect {
    let [left, top, right, bottom] = gutters;
    let (w, h) = ((cell.w - left - right).max(8.0), (cell.h - top - bottom).max(8.0));
    let (mut fw, mut fh) = (w, h);
    if equal {
        let aspect = ((domain.x[1] - domain.x[0]) / (domain.y[1] - domain.y[0])) as f32;
        (fw, fh) = ((h * aspect).min(w), (w / aspect).min(h));
    }
    let x = cell.x + left + 0.5 * (w - fw);
    Rect::new(x.round(), (cell.y + top).round(), fw.round().max(4.0), fh.round().max(4.0))
}

impl Axes<'_> {
    /// A light mesh through the ticks, for a frame that shows the page.
    pub fn draw_mesh(&self, canvas: &mut dyn Canvas, theme: &Theme) {
        let stroke = Stroke::solid(theme.rule.alpha(0.8), self.s.max(0.75));
        let f = self.frame;
        for x in self.x_ticks() {
            let (px, _) = self.domain.px_from_plane(f, x, self.domain.y[0]);
            canvas.line(&[(px, f.y), (px, f.bottom())], &stroke);
        }
        for y in self.y_ticks() {
            let (_, py) = self.domain.px_from_plane(f, self.domain.x[0], y);
            canvas.line(&[(f.x, py), (f.right(), py)], &stroke);
        }
    }

    /// The mesh's level lines alone.
    pub fn draw_mesh_y(&self, canvas: &mut dyn Canvas, theme: &Theme) {
        let stroke = Stroke::solid(theme.rule.alpha(0.8), self.s.max(0.75));
        for y in self.y_ticks() {
            let (_, py) = self.domain.px_from_plane(self.frame, self.domain.x[0], y);
            canvas.line(&[(self.frame.x, py), (self.frame.right(), py)], &stroke);
        }
    }

    /// As [`Axes::draw`], with an x axis that counts: a number for each whole one in the domain.
    pub fn draw_counting(&self, canvas: &mut dyn Canvas, theme: &Theme) {
        let (first, last) = (self.domain.x[0].ceil() as i64, self.domain.x[1].floor() as i64);
        let whole: Vec<f64> = (first..=last).map(|i| i as f64).collect();
        self.draw_with(canvas, theme, &whole);
    }

    fn x_ticks(&self) -> Vec<f64> {
        let count = (self.frame.w / (5.5 * self.font.small)) as usize;
        ticks(self.domain.x[0], self.domain.x[1], count.clamp(2, 7))
    }

    fn y_ticks(&self) -> Vec<f64> {
        let count = (self.frame.h / (2.6 * self.font.small)) as usize;
        ticks(self.domain.y[0], self.domain.y[1], count.clamp(2, 7))
    }

    /// Outline, ticks, numbers and labels.
    pub fn draw(&self, canvas: &mut dyn Canvas, theme: &Theme) {
        self.draw_with(canvas, theme, &self.x_ticks());
    }

    fn draw_with(&self, canvas: &mut dyn Canvas, theme: &Theme, x_ticks: &[f64]) {
        let (f, font, s) = (self.frame, self.font, self.s);
        let corners =
            [(f.x, f.y), (f.right(), f.y), (f.right(), f.bottom()), (f.x, f.bottom()), (f.x, f.y)];
        if let Some(outline) = polyline(&corners) {
            let stroke = Stroke::solid(theme.muted.alpha(0.8), s.max(1.0).round());
            canvas.stroke(&outline, &Stroke { cap: Cap::Round, ..stroke });
        }
        let tick = Stroke::solid(theme.muted, s.max(0.75));
        let number = TextStyle::new(font.small, theme.muted);
        let mark = 5.0 * s;
        for &x in x_ticks {
            let (px, _) = self.domain.px_from_plane(f, x, self.domain.y[0]);
            canvas.line(&[(px, f.bottom()), (px, f.bottom() + mark)], &tick);
            let baseline = f.bottom() + mark + 1.05 * font.small;
            canvas.text(&significant(x, 6), px, baseline, &number.align(Align::Center));
        }
        for y in self.y_ticks() {
            let (_, py) = self.domain.px_from_plane(f, self.domain.x[0], y);
            canvas.line(&[(f.x - mark, py), (f.x, py)], &tick);
            let baseline = py + 0.5 * CAP_HEIGHT * font.small;
            let at = f.x - mark - 3.0 * s;
            canvas.text(&significant(y, 6), at, baseline, &number.align(Align::Right));
        }
        let label = TextStyle::new(font.label, theme.text).align(Align::Center);
        if !self.x_label.is_empty() {
            let text = label.fit(self.x_label, f.w + 4.0 * font.label);
            let y = f.bottom() + mark + 1.05 * font.small + 1.4 * font.label;
            canvas.text(&text, f.x + 0.5 * f.w, y, &label);
        }
        if !self.y_label.is_empty() {
            let widest = self.y_ticks().into_iter().map(|y| number.width(&significant(y, 6)));
            let numbers = widest.fold(0.0, f32::max);
            let angle = -std::f32::consts::FRAC_PI_2;
            let text = label.fit(self.y_label, f.h + font.label);
            let x = f.x - mark - 6.0 * s - numbers - 0.35 * font.label;
            canvas.text(&text, x, f.y + 0.5 * f.h, &TextStyle { angle, ..label });
        }
    }
}

/// A panel's title and subtitle, the last baseline just above `frame`; returns nothing to draw for
/// empty texts. The title's key dot has the colour of the panel's path.
pub fn draw_heading(
    canvas: &mut dyn Canvas,
    [title, subtitle]: [&str; 2],
    frame: Rect,
    room: f32,
    font: &Type,
    theme: &Theme,
) {
    let mut baseline = frame.y - 0.8 * font.small;
    if !subtitle.is_empty() {
        let style = TextStyle::new(font.small, theme.muted);
        canvas.text(&style.fit(subtitle, room), frame.x, baseline, &style);
        baseline -= 1.4 * font.small;
    }
    let style = TextStyle::new(font.heading, theme.text).bold();
    canvas.text(&style.fit(title, room), frame.x, baseline, &style);
}

/// The height that [`draw_heading`] takes above a frame.
pub fn heading_height(font: &Type, title: bool, subtitle: bool) -> f32 {
    let title = if title { 1.25 * font.heading } else { 0.0 };
    let subtitle = if subtitle { 1.4 * font.small } else { 0.0 };
    title + subtitle + 0.8 * font.small
}
