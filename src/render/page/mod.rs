//! The page: what every picture has around its scene, decided once.
//!
//! A [`Page`] holds the size, the theme, the sizes of type, the title, the caption, the charts with
//! their playhead, the timeline, the label of a key moment and the title card. A scene is a [`Body`]:
//! what it draws once, what it draws in every frame, and its texts. [`Scene`] puts the two together and
//! is the one implementation of [`Show`], so a new scene is its data, a constructor and a body.

pub mod axes;
pub mod chart;
pub mod color_scale;
pub mod colorbar;
pub mod layout;
pub mod panels;
mod plotters_canvas;
pub mod readout;
pub mod scale;
pub(in crate::render) mod table;
pub mod timeline;

use crate::error::Result;
use crate::render::canvas::text::Type;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::film::show::{Chapter, Show};
use crate::render::numbers::{epoch_text, significant, thousands};
use crate::render::page::chart::{Chart, Future};
use crate::render::page::timeline::{Part, Timeline};
use crate::render::scene::{Clock, Pacing, Quantity, Series, Strip};

/// What a page has beside its scene; what is empty takes no room.
#[derive(Debug, Clone, Default)]
pub(in crate::render) struct PageSpec<'a> {
    /// The headline.
    pub title: &'a str,
    /// Where the numbers come from; two lines at most.
    pub caption: &'a str,
    /// The curves of the charts.
    pub series: &'a [Series],
    /// Titles of charts that have one of their own.
    pub chart_titles: &'a [(Quantity, String)],
    /// The label of the charts' axis of time.
    pub time_label: &'a str,
    /// Clock, moments, card.
    pub pacing: Pacing,
    /// How long the last picture stays, in seconds.
    pub hold_secs: f64,
}

impl<'a> PageSpec<'a> {
    /// The page of a film.
    pub fn film(
        title: &'a str,
        caption: &'a str,
        strip: &'a Strip,
        pacing: &Pacing,
        hold_secs: f64,
    ) -> Self {
        let (series, time_label) = (&strip.series, pacing.clock.unit());
        let pacing = pacing.clone();
        Self { title, caption, series, time_label, pacing, hold_secs, ..Self::default() }
    }
}

/// The picture or film that a scene is made ready for.
#[derive(Debug, Clone, Copy)]
pub(in crate::render) struct Screen<'a> {
    pub theme: &'a Theme,
    /// Pixels across and down.
    pub size: [u32; 2],
    pub frames: usize,
    /// Frames a second.
    pub fps: u32,
}

impl<'a> Screen<'a> {
    /// For a picture that does not move.
    pub fn still(theme: &'a Theme, size: [u32; 2]) -> Self {
        Self { theme, size, frames: 1, fps: 1 }
    }
}

/// A page, laid out.
pub struct Page<'a> {
    /// Colours.
    pub(in crate::render) theme: &'a Theme,
    /// The whole picture.
    pub(in crate::render) rect: Rect,
    /// Pixels a design pixel: 1 at 1280 x 720 with type of the usual size.
    pub(in crate::render) px_scale: f32,
    /// Sizes of type.
    pub(in crate::render) font: Type,
    /// The outer margin.
    pub(in crate::render) margin: f32,
    /// Where the scene goes: between title and caption, above a strip of charts if there is one.
    pub(in crate::render) body: Rect,
    /// From frames to time.
    pub(in crate::render) timeline: Timeline,
    /// How many charts have room somewhere.
    pub(in crate::render) chart_count: usize,
    /// Width and height with type of the usual size: what gives way on a small page gives way on a
    /// larger one with larger type.
    room: [f32; 2],
    spec: PageSpec<'a>,
    caption: Vec<String>,
    caption_baseline: f32,
    charts: Vec<Chart<'a>>,
}

/// Pixels a design pixel, sizes of type, margin.
fn measures(width: f32, height: f32, type_scale: f32) -> (f32, Type, f32) {
    let fitting = (width / 1280.0).min(height / 720.0);
    let px_scale = type_scale * fitting.max((width * height / 921_600.0).sqrt() * 0.7);
    (px_scale, Type::scaled(px_scale), (32.0 * px_scale).max(6.0))
}

impl<'a> Page<'a> {
    /// The page of `spec` on `screen`, for snapshots at `times`; its charts have no place yet.
    pub(in crate::render) fn new(
        spec: PageSpec<'a>,
        times: impl Iterator<Item = f64>,
        screen: Screen<'a>,
    ) -> Self {
        let fps = f64::from(screen.fps);
        let timeline = Timeline::over(times, &spec.pacing, spec.hold_secs, screen.frames, fps);
        Self::scaled(spec, timeline, screen, screen.theme.scale)
    }

    /// The strip of charts gives way below 300 pixels of height or 420 of width, the caption below 220
    /// or 300 (at the usual size of type).
    fn scaled(
        mut spec: PageSpec<'a>,
        timeline: Timeline,
        screen: Screen<'a>,
        type_scale: f32,
    ) -> Self {
        let [width, height] = screen.size.map(|n| n as f32);
        let theme = screen.theme;
        let words = &theme.words;
        if !words.headline {
            spec.title = "";
        }
        if !words.caption {
            spec.caption = "";
        }
        // A long caption is not cut where the picture is high enough for all of it.
        let most = if height / type_scale >= 400.0 { 3 } else { 2 };
        let lines = |width: f32, font: &Type, margin: f32| {
            let style = TextStyle::new(font.small, theme.muted);
            // Not quite to the margin: of an SVG another program may draw it in a wider font.
            let room = 0.955 * (width - 2.0 * margin);
            let mut lines = wrap_evenly(spec.caption, room, most, &style);
            // Beside the last line where there is room, else as more words of the caption.
            let own = if words.credit.is_empty() { 0.0 } else { style.width(&words.credit) };
            let last = lines.last().map_or(0.0, |line| style.width(line));
            if own > 0.0 && (lines.is_empty() || last + own + 2.0 * font.small > room) {
                let all = format!("{} {}", spec.caption, words.credit);
                lines = wrap_evenly(all.trim_start(), room, most, &style);
            }
            lines
        };
        let mut bottom = height;
        let (mut px_scale, mut font, mut margin) = measures(width, bottom, type_scale);
        let mut caption = Vec::new();
        if height / type_scale >= 220.0 && width / type_scale >= 300.0 {
            caption = lines(width, &font, margin);
        }
        if caption.len() > 1 {
            // A second line, and a third, is taken off everything else, as if the picture ended above it.
            bottom -= (1.35 * font.small * (caption.len() - 1) as f32).round();
            (px_scale, font, margin) = measures(width, bottom, type_scale);
            caption = lines(width, &font, margin);
        }
        let room = [width / type_scale, bottom / type_scale];
        let chart_count = match room[0] >= 420.0 && room[1] >= 300.0 {
            true => chart::quantities(spec.series).len(),
            false => 0,
        };
        let mut top = 0.72 * margin + if spec.title.is_empty() { 0.0 } else { 1.45 * font.title };
        if !words.subtitle.is_empty() {
            top += 1.5 * font.label;
        }
        bottom -= 0.6 * margin + if caption.is_empty() { 0.0 } else { 1.9 * font.small };
        let caption_baseline = bottom + 1.6 * font.small;
        let body = Rect::new(margin, top, width - 2.0 * margin, (bottom - top).max(4.0));
        let rect = Rect::new(0.0, 0.0, width, height);
        Self {
            theme,
            rect,
            px_scale,
            font,
            margin,
            body,
            timeline,
            chart_count,
            room,
            spec,
            caption,
            caption_baseline,
            charts: Vec::new(),
        }
    }

    fn place_charts(&mut self, places: &[Rect]) {
        let span = [self.timeline.start, self.timeline.end];
        let spec = &self.spec;
        self.charts =
            chart::at_places(spec.series, places, spec.time_label, span, self.font, self.px_scale);
        for chart in &mut self.charts {
            chart.entitle(spec.chart_titles);
        }
    }

    /// Width and height of the picture with type of the usual size.
    pub(in crate::render) fn room(&self) -> [f32; 2] {
        self.room
    }

    /// Whether there is room for the labels of axes.
    pub(in crate::render) fn axis_labels(&self) -> bool {
        self.room[1] >= 240.0
    }

    /// How long training takes, in the clock's unit.
    pub(in crate::render) fn span(&self) -> f64 {
        self.timeline.end - self.timeline.start
    }

    /// What film time is even in.
    pub(in crate::render) fn clock(&self) -> Clock {
        self.spec.pacing.clock
    }

    /// Title, caption, and the charts as they are before the playhead.
    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (font, theme) = (self.font, self.theme);
        let style = TextStyle::new(font.title, theme.text).bold();
        let title = style.fit(self.spec.title, self.rect.w - 2.0 * self.margin);
        if !title.is_empty() {
            canvas.text(&title, self.margin, self.title_baseline(), &style);
        }
        let subtitle = &theme.words.subtitle;
        if !subtitle.is_empty() {
            let style = TextStyle::new(font.label, theme.muted);
            let below = if title.is_empty() { 0.0 } else { 1.45 * font.title };
            let baseline = 0.72 * self.margin + below + 0.85 * font.label;
            let text = style.fit(subtitle, self.rect.w - 2.0 * self.margin);
            canvas.text(&text, self.margin, baseline, &style);
        }
        let style = TextStyle::new(font.small, theme.muted);
        for (i, line) in self.caption.iter().enumerate() {
            let baseline = self.caption_baseline + 1.35 * font.small * i as f32;
            canvas.text(line, self.margin, baseline, &style);
        }
        let credit = &theme.words.credit;
        let beside = self.caption.last().filter(|line| !line.ends_with(credit.as_str()));
        if let Some(line) = beside.filter(|_| !credit.is_empty()) {
            let right = self.rect.w - self.margin;
            if self.margin + style.width(line) + font.small + style.width(credit) <= right {
                let baseline =
                    self.caption_baseline + 1.35 * font.small * (self.caption.len() - 1) as f32;
                canvas.text(credit, right, baseline, &style.align(Align::Right));
            }
        }
        self.charts.iter().try_for_each(|chart| chart.draw_static(canvas, theme, Future::Pale))
    }

    fn title_baseline(&self) -> f32 {
        0.72 * self.margin + 0.82 * self.font.title
    }

    /// The charts' playheads at `time`, the film's pace where it is not even, the label of a moment
    /// and, on top, the card.
    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize, time: f64) {
        for chart in &self.charts {
            chart.draw_moving(canvas, self.theme, time);
        }
        if let (Some(pace), Some(chart)) = (self.timeline.pace(frame), self.charts.first()) {
            let text = format!("{} {}s a second", significant(pace, 2), self.clock().unit());
            chart.draw_note(canvas, self.theme, &text);
        }
        self.draw_moment(canvas, frame);
        self.draw_card(canvas, frame);
    }

    /// The time of `frame` at the right end of the title's line, unless a moment's label is there.
    pub(in crate::render) fn draw_time(&self, canvas: &mut dyn Canvas, frame: usize) {
        if self.timeline.moment(frame).is_some() {
            return;
        }
        let time = self.timeline.epoch(frame);
        let text = match self.clock() {
            Clock::Step => format!("step {}", thousands(&format!("{time:.0}"))),
            clock => format!("{} {}", clock.unit(), epoch_text(time, 2)),
        };
        let style = TextStyle::new(self.font.heading, self.theme.text).bold().align(Align::Right);
        canvas.text(&text, self.rect.w - self.margin, self.title_baseline(), &style);
    }

    /// The label of the moment that `frame` shows, if it shows one: on a plate at the top right, in the
    /// line of the title, or below that where the two would meet.
    fn draw_moment(&self, canvas: &mut dyn Canvas, frame: usize) {
        let moments = &self.spec.pacing.moments;
        let Some(moment) = self.timeline.moment(frame).and_then(|k| moments.get(k)) else { return };
        let (page, font, theme) = (self.rect, self.font, self.theme);
        let size = font.label;
        let style = TextStyle::new(size, theme.background).bold();
        let text = style.fit(&moment.label, 0.6 * page.w);
        if text.is_empty() {
            return;
        }
        let (pad, h) = (0.7 * size, 1.75 * size);
        let w = style.width(&text) + 2.0 * pad;
        let title = TextStyle::new(font.title, theme.text).bold().width(self.spec.title);
        let meets = self.margin + title + pad > page.w - self.margin - w;
        let down = if meets { 1.3 * font.title } else { 0.0 };
        let plate = Rect::new(page.w - self.margin - w, 0.62 * self.margin + down, w, h);
        canvas.rect(plate, theme.text);
        let baseline = plate.y + 0.5 * h + 0.36 * size;
        canvas.text(&text, plate.x + pad, baseline, &style);
    }

    /// The card over everything, as far as `frame` shows it.
    fn draw_card(&self, canvas: &mut dyn Canvas, frame: usize) {
        let opacity = self.timeline.card_opacity(frame);
        let Some(card) = self.spec.pacing.card.as_ref().filter(|_| opacity > 0.0) else { return };
        let (page, theme) = (self.rect, self.theme);
        canvas.rect(page, theme.background.alpha(opacity));
        let room = page.w - 6.0 * self.margin;
        let size = 1.55 * self.font.title;
        let title = TextStyle::new(size, theme.text.alpha(opacity)).bold();
        let line = TextStyle::new(1.2 * self.font.heading, theme.muted.alpha(opacity));
        let titles = wrap(&card.title, room, 3, &title);
        let lines: Vec<String> = card.lines.iter().flat_map(|l| wrap(l, room, 2, &line)).collect();
        let height = 1.2 * size * titles.len() as f32 + 1.5 * line.size * lines.len() as f32;
        let x = 3.0 * self.margin;
        let mut y = 0.46 * page.h - 0.5 * height;
        // A short rule in the accent colour above the title, as in print.
        let accent = theme.series_color(0).alpha(opacity);
        let rule = Stroke::solid(accent, (4.0 * self.px_scale).max(1.5));
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

    /// The parts of the film: its card, its way, its pauses, its end.
    fn chapters(&self) -> Vec<Chapter> {
        let (spec, clock) = (&self.spec, self.clock());
        let at = |time: f64| clock.text(time, self.span());
        let named = |time: f64| match clock {
            Clock::WallTime => at(time),
            _ => format!("{} {}", clock.unit(), at(time)),
        };
        let chapter = |(part, from, until): (Part, f64, f64)| {
            let (label, rest) = match part {
                Part::Card => {
                    let card = spec.pacing.card.as_ref();
                    let lines = card.iter().flat_map(|c| std::iter::once(&c.title).chain(&c.lines));
                    let lines: Vec<&str> = lines.map(String::as_str).collect();
                    // Before it begins to fade.
                    (lines.join(". "), Some((until - 0.4).max(0.5 * (from + until))))
                }
                Part::Way(a, b) if from == 0.0 && !spec.title.is_empty() => {
                    (format!("{}: {} to {}", spec.title, named(a), at(b)), None)
                }
                Part::Way(a, b) => (format!("{} to {}", named(a), at(b)), None),
                Part::Moment(k) => {
                    let label = spec.pacing.moments.get(k).map_or("", |m| &m.label);
                    (label.to_string(), Some(0.5 * (from + until)))
                }
                Part::End if spec.caption.is_empty() => (named(self.timeline.end), None),
                Part::End => (format!("{}. {}", named(self.timeline.end), spec.caption), None),
            };
            Chapter { from, until, label, rest }
        };
        self.timeline.parts().into_iter().map(chapter).collect()
    }

    /// All texts from outside.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let spec = &self.spec;
        let names = spec.series.iter().map(|s| &s.name);
        let titles = spec.chart_titles.iter().map(|t| &t.1);
        let moments = spec.pacing.moments.iter().map(|m| &m.label);
        let card = spec.pacing.card.iter().flat_map(|c| std::iter::once(&c.title).chain(&c.lines));
        let own = names.chain(titles).chain(moments).chain(card).map(String::as_str);
        let words = &self.theme.words;
        [spec.title, spec.caption, &words.subtitle, &words.credit].into_iter().chain(own)
    }
}

/// What a scene draws on its page.
pub trait Body: Sync {
    /// What it is called where it does not move and a film was asked for ("a spectrum").
    const STILL: Option<&'static str> = None;

    /// Draws what no frame changes. Errors: those of drawing.
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()>;

    /// Draws what belongs to `frame`. Errors: those of drawing.
    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()>;

    /// Texts from outside, beside the page's.
    fn texts(&self) -> Vec<&str>;

    /// The time that `frame` shows, where the charts' playheads are.
    fn time(&self, page: &Page, frame: usize) -> f64 {
        page.timeline.epoch(frame)
    }
}

/// A body on its page: any frame of it can be drawn on any canvas.
pub struct Scene<'a, B> {
    pub(in crate::render) page: Page<'a>,
    pub(in crate::render) body: B,
}

impl<B: Body> Show for Scene<'_, B> {
    fn size(&self) -> [u32; 2] {
        [self.page.rect.w as u32, self.page.rect.h as u32]
    }

    fn frames(&self) -> usize {
        self.page.timeline.frames
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        self.page.draw_static(canvas)?;
        self.body.draw_static(&self.page, canvas)
    }

    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        self.body.draw_moving(&self.page, canvas, frame)?;
        self.page.draw_moving(canvas, frame, self.body.time(&self.page, frame));
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.page.theme
    }

    fn texts(&self) -> Vec<&str> {
        self.page.texts().chain(self.body.texts()).collect()
    }

    fn still(&self) -> Option<&'static str> {
        B::STILL
    }

    fn chapters(&self) -> Vec<Chapter> {
        self.page.chapters()
    }
}

/// The words of `text`; what is read as one quantity is one word: `31 × 31`, `55 % + 18 %.`
fn words(text: &str) -> Vec<String> {
    let joins = |word: &str| matches!(word, "+" | "×" | "=");
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for word in text.split_whitespace() {
        match found.last_mut() {
            Some(last) if open || joins(word) || word.starts_with('%') => {
                *last += " ";
                *last += word;
            }
            _ => found.push(word.into()),
        }
        open = joins(word);
    }
    found
}

/// `text` in lines of at most `room` pixels, broken at spaces; the last of `most` lines ends in an
/// ellipsis if need be.
pub fn wrap(text: &str, room: f32, most: usize, style: &TextStyle) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut words = words(text).into_iter().peekable();
    while let Some(word) = words.peek() {
        let longer = if line.is_empty() { word.clone() } else { format!("{line} {word}") };
        if line.is_empty() || style.width(&longer) <= room {
            line = longer;
            words.next();
        } else if lines.len() + 1 < most {
            lines.push(std::mem::take(&mut line));
        } else {
            // The last line takes all that is left, and is cut.
            let rest: Vec<String> = words.by_ref().collect();
            line = format!("{line} {}", rest.join(" "));
        }
    }
    lines.push(line);
    lines.iter().map(|l| style.fit(l, room)).filter(|l| !l.is_empty()).collect()
}

/// A last line shorter than this share of the room is an orphan.
const ORPHAN: f32 = 0.3;

/// The same without an orphan in the last line: as many lines, broken earlier.
fn wrap_evenly(text: &str, room: f32, most: usize, style: &TextStyle) -> Vec<String> {
    let lines = wrap(text, room, most, style);
    let is_orphan = |lines: &[String]| {
        lines.len() > 1 && lines.last().is_some_and(|last| style.width(last) < ORPHAN * room)
    };
    if !is_orphan(&lines) {
        return lines;
    }
    let narrower = (1..20).map(|i| wrap(text, room * (1.0 - 0.025 * i as f32), most, style));
    let mut as_many = narrower.take_while(|found| {
        found.len() == lines.len() && found.last().is_some_and(|line| !line.ends_with('…'))
    });
    as_many.find(|found| !is_orphan(found)).unwrap_or(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_not_broken_and_a_last_line_is_no_orphan() {
        let style = TextStyle::new(10.0, Theme::light().text);
        let text = "Loss on 200 training images at 31 × 31 points (typical error 4 %, at the minimum 60 %). \
                    Dots: saved weights. A random walk would give 55 % + 18 %.";
        let whole = style.width(text);
        for share in (20..100).map(|i| 0.01 * i as f32) {
            let room = share * whole;
            let lines = wrap_evenly(text, room, 8, &style);
            assert_eq!(lines.join(" "), text);
            assert!(lines.iter().all(|line| style.width(line) <= room), "{lines:?}");
            assert!(lines.iter().all(|line| !line.starts_with(['%', '+', '×'])), "{lines:?}");
            if lines.len() == 2 {
                assert!(style.width(&lines[1]) >= ORPHAN * room, "{share}: {lines:?}");
            }
        }
        // Where it is cut, what is left out is not more than before.
        assert_eq!(wrap_evenly(text, 0.4 * whole, 2, &style), wrap(text, 0.4 * whole, 2, &style));
    }

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
