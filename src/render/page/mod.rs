//! What every scene has around it: headline, caption, charts with a playhead below, the label of a
//! key moment, the card before the film. A scene asks for a page, draws itself in [`Page::body`],
//! and lets the page draw the rest.

pub mod axes;
pub mod chart;
pub mod colorbar;
pub mod layout;
pub mod masthead;
pub mod place;
pub mod plotters_canvas;
pub mod readout;
pub mod scale;
pub mod timeline;

use crate::error::Result;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, Rect, Stroke, TextStyle};
use crate::render::page::chart::{Chart, Future};
use crate::render::page::layout::{Layout, Type};
use crate::render::page::scale::significant;
use crate::render::page::timeline::Timeline;
use crate::render::scene::{Pacing, Strip};

/// What a page is made of, beside the scene itself.
#[derive(Debug, Clone, Copy)]
pub struct Furniture<'a> {
    /// The headline; may be empty.
    pub title: &'a str,
    /// Where the numbers come from; may be empty. Two lines at most.
    pub caption: &'a str,
    /// The charts below.
    pub strip: &'a Strip,
    /// Clock, moments, card.
    pub pacing: &'a Pacing,
}

impl<'a> Furniture<'a> {
    /// All texts from outside.
    pub fn texts(&self) -> Vec<&'a str> {
        let names = self.strip.series.iter().map(|s| s.name.as_str());
        let moments = self.pacing.moments.iter().map(|m| m.label.as_str());
        let card = self.pacing.card.iter();
        let card = card.flat_map(|c| {
            std::iter::once(c.title.as_str()).chain(c.lines.iter().map(|l| l.as_str()))
        });
        [self.title, self.caption].into_iter().chain(names).chain(moments).chain(card).collect()
    }
}

/// A page, laid out.
pub struct Page<'a> {
    furniture: Furniture<'a>,
    theme: &'a Theme,
    /// The whole picture.
    pub rect: Rect,
    /// Pixels a design pixel at 1280 x 720.
    pub s: f32,
    /// Sizes of type.
    pub font: Type,
    /// The outer margin.
    pub margin: f32,
    /// Where the scene goes.
    pub body: Rect,
    caption: Vec<String>,
    charts: Vec<Chart<'a>>,
}

impl<'a> Page<'a> {
    /// The page of `width` x `height` pixels, its charts over `span` (the first and the last moment
    /// of the film). Below 300 pixels of height or 420 of width the strip gives way, below 220 or 300
    /// the caption.
    pub fn new(
        [width, height]: [u32; 2],
        furniture: Furniture<'a>,
        span: [f64; 2],
        theme: &'a Theme,
    ) -> Self {
        let rect = Rect::new(0.0, 0.0, width as f32, height as f32);
        let s = theme.scale
            * (rect.w / 1280.0).min(rect.h / 720.0).max((rect.w * rect.h / 921_600.0).sqrt() * 0.7);
        let font = Type::scaled(s);
        let margin = (32.0 * s).max(6.0);
        let roomy = rect.h >= 300.0 && rect.w >= 420.0;
        let room = rect.w - 2.0 * margin;
        let mut top = 0.72 * margin;
        if !furniture.title.is_empty() {
            top += 1.45 * font.title;
        }
        let mut bottom = rect.h - 0.6 * margin;
        let caption = if rect.h >= 220.0 && rect.w >= 300.0 {
            wrap(furniture.caption, room, 2, &TextStyle::new(font.small, theme.muted))
        } else {
            Vec::new()
        };
        if !caption.is_empty() {
            bottom -= 0.55 * font.small + 1.35 * font.small * caption.len() as f32;
        }
        let quantities = chart::quantities(&furniture.strip.series);
        let mut charts = Vec::new();
        if roomy && !quantities.is_empty() {
            let area = bottom - top;
            let strip_h = (0.25 * area).max(7.0 * font.small);
            let gap = 34.0 * s;
            let n = quantities.len() as f32;
            let w = (room - gap * (n - 1.0)) / n;
            for (k, quantity) in quantities.into_iter().enumerate() {
                let chart = Rect::new(margin + k as f32 * (w + gap), bottom - strip_h, w, strip_h);
                let unit = furniture.pacing.clock.unit();
                let chart = Chart::new(&furniture.strip.series, quantity, chart, unit, font, s);
                charts.push(chart.spanning(span));
            }
            bottom -= strip_h + 14.0 * s;
        }
        let body = Rect::new(margin, top, room, (bottom - top).max(4.0));
        Self { furniture, theme, rect, s, font, margin, body, caption, charts }
    }

    /// Pixels across and down.
    pub fn size(&self) -> [u32; 2] {
        [self.rect.w as u32, self.rect.h as u32]
    }

    /// Headline, caption, and the charts as they are before the playhead.
    pub fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (font, theme) = (self.font, self.theme);
        if !self.furniture.title.is_empty() {
            let style = TextStyle::new(font.title, theme.text).bold();
            let title = style.fit(self.furniture.title, self.rect.w - 2.0 * self.margin);
            let baseline = 0.72 * self.margin + 0.82 * font.title;
            canvas.text(&title, self.margin, baseline, &style);
        }
        let style = TextStyle::new(font.small, theme.muted);
        let mut baseline = self.rect.h - 0.6 * self.margin - 0.3 * font.small;
        for line in self.caption.iter().rev() {
            canvas.text(line, self.margin, baseline, &style);
            baseline -= 1.35 * font.small;
        }
        self.charts.iter().try_for_each(|chart| chart.draw_static(canvas, theme, Future::Faint))
    }

    /// The playhead in the charts, the moment's label, and, on top, the card.
    pub fn draw_moving(&self, canvas: &mut dyn Canvas, timeline: &Timeline, frame: usize) {
        let Furniture { title, pacing, .. } = self.furniture;
        draw_charts(canvas, &self.charts, pacing, timeline, frame, self.theme);
        draw_moment(canvas, title, pacing, timeline, frame, self.corner(), self.theme);
        draw_card(canvas, self.furniture.pacing, timeline, frame, self.corner(), self.theme);
    }

    fn corner(&self) -> Corner {
        Corner { page: self.rect, margin: self.margin, font: self.font, s: self.s }
    }

    /// The theme.
    pub fn theme(&self) -> &'a Theme {
        self.theme
    }
}

/// `0.4 epochs a second`.
fn pace_text(pace: f64, unit: &str) -> String {
    format!("{} {unit}s a second", significant(pace, 2))
}

/// What placing a label or a card on a page needs to know.
#[derive(Debug, Clone, Copy)]
struct Corner {
    /// The whole picture.
    page: Rect,
    /// The outer margin.
    margin: f32,
    /// Sizes of type.
    font: Type,
    /// Pixels a design pixel.
    s: f32,
}

/// What a film on a laid-out page shows over its scene: the playheads of its charts, the film's pace
/// where it is not even, the label of a moment, the card.
#[allow(clippy::too_many_arguments)] // all of a film but its scene
pub fn draw_over(
    canvas: &mut dyn Canvas,
    layout: &Layout,
    charts: &[Chart],
    title: &str,
    pacing: &Pacing,
    timeline: &Timeline,
    frame: usize,
    theme: &Theme,
) {
    let corner =
        Corner { page: layout.page, margin: layout.margin, font: layout.font, s: layout.s };
    draw_charts(canvas, charts, pacing, timeline, frame, theme);
    draw_moment(canvas, title, pacing, timeline, frame, corner, theme);
    draw_card(canvas, pacing, timeline, frame, corner, theme);
}

/// The playheads, and on the first chart the pace where it is not even.
fn draw_charts(
    canvas: &mut dyn Canvas,
    charts: &[Chart],
    pacing: &Pacing,
    timeline: &Timeline,
    frame: usize,
    theme: &Theme,
) {
    for chart in charts {
        chart.draw_moving(canvas, theme, timeline.epoch(frame));
    }
    if let (Some(pace), Some(chart)) = (timeline.pace(frame), charts.first()) {
        chart.draw_note(canvas, theme, &pace_text(pace, pacing.clock.unit()));
    }
}

/// The label of the moment that `frame` shows, if it shows one: on a plate at the top right, in the
/// line of the headline `title`, or below that where the two would meet.
fn draw_moment(
    canvas: &mut dyn Canvas,
    title: &str,
    pacing: &Pacing,
    timeline: &Timeline,
    frame: usize,
    at: Corner,
    theme: &Theme,
) {
    let Some(moment) = timeline.moment(frame).and_then(|k| pacing.moments.get(k)) else { return };
    let size = at.font.label;
    let style = TextStyle::new(size, theme.background).bold();
    let text = style.fit(&moment.label, 0.6 * at.page.w);
    if text.is_empty() {
        return;
    }
    let (pad, h) = (0.7 * size, 1.75 * size);
    let w = style.width(&text) + 2.0 * pad;
    let headline = TextStyle::new(at.font.title, theme.text).bold().width(title);
    let meets = at.margin + headline + pad > at.page.w - at.margin - w;
    let down = if meets { 1.3 * at.font.title } else { 0.0 };
    let plate = Rect::new(at.page.w - at.margin - w, 0.62 * at.margin + down, w, h);
    canvas.rect(plate, theme.text);
    let baseline = plate.y + 0.5 * h + 0.36 * size;
    canvas.text(&text, plate.x + pad, baseline, &style);
}

/// The card over everything, as far as `frame` shows it.
fn draw_card(
    canvas: &mut dyn Canvas,
    pacing: &Pacing,
    timeline: &Timeline,
    frame: usize,
    at: Corner,
    theme: &Theme,
) {
    let opacity = timeline.card_opacity(frame);
    let Some(card) = pacing.card.as_ref().filter(|_| opacity > 0.0) else { return };
    canvas.rect(at.page, theme.background.alpha(opacity));
    let room = at.page.w - 6.0 * at.margin;
    let size = 1.55 * at.font.title;
    let title = TextStyle::new(size, theme.text.alpha(opacity)).bold();
    let line = TextStyle::new(1.2 * at.font.heading, theme.muted.alpha(opacity));
    let titles = wrap(&card.title, room, 3, &title);
    let lines: Vec<String> = card.lines.iter().flat_map(|l| wrap(l, room, 2, &line)).collect();
    let height = 1.2 * size * titles.len() as f32 + 1.5 * line.size * lines.len() as f32;
    let x = 3.0 * at.margin;
    let mut y = 0.46 * at.page.h - 0.5 * height;
    // A short rule in the accent colour above the title, as in print.
    let accent = theme.series_color(0).alpha(opacity);
    let rule = Stroke::solid(accent, (4.0 * at.s).max(1.5));
    canvas.line(&[(x, y - 0.4 * size), (x + 2.2 * size, y - 0.4 * size)], &rule);
    for text in titles {
        y += 1.2 * size;
        canvas.text(&text, x, y - 0.2 * size, &title);
    }
    y += 0.35 * size;
    for text in lines {
        y += 1.5 * line.size;
        canvas.text(&text, x, y, &line);
    }
}

/// `text` in lines of at most `room` pixels, broken at spaces; the last of `most` lines ends in an
/// ellipsis if need be.
pub fn wrap(text: &str, room: f32, most: usize, style: &TextStyle) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.peek() {
        let longer = if line.is_empty() { word.to_string() } else { format!("{line} {word}") };
        if line.is_empty() || style.width(&longer) <= room {
            line = longer;
            words.next();
        } else if lines.len() + 1 < most {
            lines.push(std::mem::take(&mut line));
        } else {
            // The last line takes all that is left, and is cut.
            let rest: Vec<&str> = words.by_ref().collect();
            line = format!("{line} {}", rest.join(" "));
        }
    }
    lines.push(line);
    lines.iter().map(|l| style.fit(l, room)).filter(|l| !l.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_the_last_is_cut() {
        let style = TextStyle::new(10.0, Theme::light().text);
        let text = "one two three four five six seven eight nine ten eleven twelve";
        let lines = wrap(text, 100.0, 2, &style);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|l| style.width(l) <= 100.0));
        assert!(text.starts_with(&lines[0]) && lines[1].ends_with('…'), "{lines:?}");
        assert_eq!(wrap(text, 1e4, 2, &style), [text]);
        assert!(wrap("", 100.0, 2, &style).is_empty());
        let word = "a".repeat(500);
        assert_eq!(wrap(&word, 100.0, 3, &style).len(), 1);
    }
}
