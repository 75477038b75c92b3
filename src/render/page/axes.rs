//! The axes of a plot: an outline, ticks with numbers, labels, and a mesh where nothing covers it.
//!
//! [`numbered_ticks`] decides the ticks of every axis; [`Axes`] draws them around a frame, and
//! [`crate::render::surface3d::axes`] around a box in space.

use crate::render::canvas::color::Color;
use crate::render::canvas::text::{CAP_HEIGHT, Type};
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};
use crate::render::page::Page;
use crate::render::page::panels::PanelBox;
use crate::render::page::scale::{numbered_ticks, widest_tick};
use crate::render::scene::{ContourPanel, Domain};

/// Where the label of a y axis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::render) enum LabelPlace {
    /// Just left of the numbers.
    BesideNumbers,
    /// At the left edge of the cell: in panels below each other, in one column.
    AtEdge,
}

/// A frame with its axes.
pub(in crate::render) struct Axes<'a> {
    /// The page that it is on.
    pub page: &'a Page<'a>,
    /// Where the data are drawn.
    pub frame: Rect,
    /// What it shows.
    pub domain: Domain,
    /// The room for frame and labels.
    pub cell: Rect,
    /// Below the frame; may be empty.
    pub x_label: String,
    /// To its left, turned; may be empty.
    pub y_label: &'a str,
    /// Where the y label is.
    pub labels: LabelPlace,
}

/// What lies between the edges of a cell and the frame in it: left, top, right, bottom, in pixels.
/// `heading` lines go above it.
pub(in crate::render) fn gutters(
    page: &Page,
    y: [f64; 2],
    labels: [bool; 2],
    heading: f32,
) -> [f32; 4] {
    let (font, px_scale) = (page.font, page.px_scale);
    let style = TextStyle::new(font.small, page.theme.muted);
    let numbers = widest_tick(y, |text| style.width(text)).max(1.2 * font.small);
    let [x_label, y_label] = labels.map(|on| if on { 1.55 * font.label } else { 0.0 });
    let below = 1.3 * font.small + 7.0 * px_scale + x_label;
    [numbers + 9.0 * px_scale + y_label, heading, 0.6 * font.small, below]
}

/// The frame in `cell` with `gutters` around it: both axes to one scale where `equal`, then centred
/// in what is left over; on whole pixels.
pub(in crate::render) fn frame_in(
    cell: Rect,
    gutters: [f32; 4],
    domain: &Domain,
    equal: bool,
) -> Rect {
    let [left, top, right, bottom] = gutters;
    let (w, h) = ((cell.w - left - right).max(8.0), (cell.h - top - bottom).max(8.0));
    let (mut fw, mut fh) = (w, h);
    if equal {
        let aspect = domain.aspect();
        (fw, fh) = ((h * aspect).min(w), (w / aspect).min(h));
    }
    let x = cell.x + left + 0.5 * (w - fw);
    Rect::new(x.round(), (cell.y + top).round(), fw.round().max(4.0), fh.round().max(4.0))
}

impl<'a> Axes<'a> {
    /// The axes of a `panel` that shows `domain` at its place on `page`.
    pub fn of_panel(
        panel: &'a ContourPanel,
        domain: Domain,
        place: &PanelBox,
        page: &'a Page<'a>,
    ) -> Self {
        let note = if place.equal_scales { "" } else { "  ·  axes not to one scale" };
        let [x_label, y_label] = place.axis_labels.of(panel);
        let x_label = if x_label.is_empty() { String::new() } else { format!("{x_label}{note}") };
        Self {
            page,
            frame: place.frame,
            domain,
            cell: place.cell,
            x_label,
            y_label,
            labels: LabelPlace::AtEdge,
        }
    }

    /// A light mesh through the ticks, for a frame that shows the page.
    pub fn draw_mesh(&self, canvas: &mut dyn Canvas) {
        let stroke = self.mesh_stroke();
        for (x, _) in self.x_numbers() {
            let (px, _) = self.domain.px_from_plane(self.frame, x, self.domain.y[0]);
            canvas.line(&[(px, self.frame.y), (px, self.frame.bottom())], &stroke);
        }
        self.draw_mesh_y(canvas);
    }

    /// The mesh's level lines alone.
    pub fn draw_mesh_y(&self, canvas: &mut dyn Canvas) {
        let stroke = self.mesh_stroke();
        for (y, _) in self.y_numbers() {
            let (_, py) = self.domain.px_from_plane(self.frame, self.domain.x[0], y);
            canvas.line(&[(self.frame.x, py), (self.frame.right(), py)], &stroke);
        }
    }

    fn mesh_stroke(&self) -> Stroke {
        Stroke::solid(self.page.theme.rule.alpha(0.8), self.page.px_scale.max(0.75))
    }

    fn x_numbers(&self) -> Vec<(f64, String)> {
        numbered_ticks(self.domain.x, self.frame.w, 5.5 * self.page.font.small, 7)
    }

    fn y_numbers(&self) -> Vec<(f64, String)> {
        numbered_ticks(self.domain.y, self.frame.h, 2.6 * self.page.font.small, 7)
    }

    /// Outline, ticks, numbers and labels.
    pub fn draw(&self, canvas: &mut dyn Canvas) {
        self.draw_with(canvas, &self.x_numbers());
    }

    /// As [`Axes::draw`], with an x axis that counts: a number for each whole one in the domain.
    pub fn draw_counting(&self, canvas: &mut dyn Canvas) {
        let (first, last) = (self.domain.x[0].ceil() as i64, self.domain.x[1].floor() as i64);
        let whole: Vec<(f64, String)> = (first..=last).map(|i| (i as f64, i.to_string())).collect();
        self.draw_with(canvas, &whole);
    }

    /// As [`Axes::draw`], with an x axis that has a name at each of `names`.
    pub fn draw_naming(&self, canvas: &mut dyn Canvas, names: &[(f64, String)]) {
        self.draw_with(canvas, names);
    }

    fn draw_with(&self, canvas: &mut dyn Canvas, x_numbers: &[(f64, String)]) {
        let (page, f) = (self.page, self.frame);
        let (theme, font, px_scale) = (page.theme, page.font, page.px_scale);
        let outline = Stroke::solid(theme.muted.alpha(0.8), px_scale.max(1.0).round());
        canvas.line(&f.outline(), &Stroke { cap: Cap::Round, ..outline });
        let tick = Stroke::solid(theme.muted, px_scale.max(0.75));
        let number = TextStyle::new(font.small, theme.muted);
        let mark = 5.0 * px_scale;
        for (x, text) in x_numbers {
            let (px, _) = self.domain.px_from_plane(f, *x, self.domain.y[0]);
            canvas.line(&[(px, f.bottom()), (px, f.bottom() + mark)], &tick);
            // A number under the frame's end may not leave the page.
            let half = 0.5 * number.width(text);
            let at = px.clamp(half + 1.0, (page.rect.w - half - 1.0).max(half + 1.0));
            let baseline = f.bottom() + mark + 1.05 * font.small;
            canvas.text(text, at, baseline, &number.align(Align::Center));
        }
        let mut widest = 0.0f32;
        for (y, text) in self.y_numbers() {
            let (_, py) = self.domain.px_from_plane(f, self.domain.x[0], y);
            canvas.line(&[(f.x - mark, py), (f.x, py)], &tick);
            let baseline = py + 0.5 * CAP_HEIGHT * font.small;
            let at = f.x - mark - 3.0 * px_scale;
            canvas.text(&text, at, baseline, &number.align(Align::Right));
            widest = widest.max(number.width(&text));
        }
        let label = TextStyle::new(font.label, theme.text).align(Align::Center);
        // Maps leave a little more air.
        let (x_drop, y_label_at) = match self.labels {
            LabelPlace::BesideNumbers => {
                (1.4, f.x - mark - 6.0 * px_scale - widest - 0.35 * font.label)
            }
            LabelPlace::AtEdge => (1.45, self.cell.x + 0.95 * font.label),
        };
        if !self.x_label.is_empty() {
            let text = label.fit(&self.x_label, self.cell.w);
            let x = (f.x + 0.5 * f.w).max(self.cell.x + 0.5 * label.width(&text));
            let y = f.bottom() + mark + 1.05 * font.small + x_drop * font.label;
            canvas.text(&text, x, y, &label);
        }
        if !self.y_label.is_empty() {
            let angle = -std::f32::consts::FRAC_PI_2;
            let text = label.fit(self.y_label, f.h + font.label);
            canvas.text(&text, y_label_at, f.y + 0.5 * f.h, &TextStyle { angle, ..label });
        }
    }
}

/// A panel's title and subtitle from `x` on in `room` pixels, the last baseline at `baseline`, the other
/// one `leading` above it; without
/// a subtitle the title takes its line. `key` is a dot of the path's colour before the title.
pub(in crate::render) fn draw_heading(
    canvas: &mut dyn Canvas,
    page: &Page,
    (title, subtitle): (&str, Option<&str>),
    [x, baseline, leading]: [f32; 3],
    room: f32,
    key: Option<Color>,
) {
    let (font, theme) = (page.font, page.theme);
    let mut baseline = baseline;
    if let Some(subtitle) = subtitle {
        let style = TextStyle::new(font.small, theme.muted);
        // Whole clauses go before a word is cut.
        let mut text = subtitle;
        while style.width(text) > room
            && let Some((first, _)) = text.rsplit_once("; ").or_else(|| text.rsplit_once(", "))
        {
            text = first;
        }
        canvas.text(&style.fit(text, room), x, baseline, &style);
        baseline -= leading;
    }
    let mut left = x;
    if let Some(color) = key {
        let radius = 0.3 * font.heading;
        canvas.disc(left + radius, baseline - 0.36 * font.heading, radius, color);
        left += 2.0 * radius + 0.35 * font.heading;
    }
    let style = heading_style(title, room - (left - x), page);
    canvas.text(&style.fit(title, room - (left - x)), left, baseline, &style);
}

/// The type of a panel's `title` in `room` pixels: somewhat smaller before a word of it is cut.
fn heading_style(title: &str, room: f32, page: &Page) -> TextStyle {
    let style = TextStyle::new(page.font.heading, page.theme.text).bold();
    let needed = 0.99 * room / style.width(title).max(1.0);
    let least = (page.font.small / page.font.heading).max(0.75);
    match (least..1.0).contains(&needed) {
        true => TextStyle { size: needed * style.size, ..style },
        false => style,
    }
}

/// The height that [`draw_heading`] takes above a frame.
pub(in crate::render) fn heading_height(font: &Type, [title, subtitle]: [bool; 2]) -> f32 {
    let title = if title { 1.25 * font.heading } else { 0.0 };
    let subtitle = if subtitle { 1.4 * font.small } else { 0.0 };
    title + subtitle + 0.8 * font.small
}
