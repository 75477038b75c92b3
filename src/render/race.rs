//! The race: several paths over one surface, moving by one clock, with the finishing order.
//!
//! In one view all paths share a frame and carry their names; in small multiples each has a frame of
//! its own with the same surface. Either way the leaderboard says who leads, and who reached the goal
//! and when; what it knows between two readings is the last reading.

use super::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use super::chart::{self, Chart};
use super::color::Color;
use super::field::Domain;
use super::layout::{Contents, Layout};
use super::panel;
use super::path::{Pen, Track};
use super::readout;
use super::scale::{LevelScale, fixed, significant, thousands, ticks};
use super::scene::{ContourPanel, PathPoint, Quantity, Strip};
use super::show::Show;
use super::standings::{Goal, Record, Standing, finish, standings};
use super::text;
use super::theme::Theme;
use crate::error::{Error, Result};
use crate::names::named_enum;

named_enum! {
    /// By what the racers are synchronised.
    #[derive(Default)]
    pub enum RaceClock("clock") {
        /// Passes over the training set.
        #[default]
        Epoch = "epoch",
        /// Optimizer steps.
        Step = "step",
        /// Seconds of training.
        Wall = "wall",
    }
}

named_enum! {
    /// How the paths are shown.
    #[derive(Default)]
    pub enum RaceLayout("layout") {
        /// All in one frame.
        #[default]
        One = "one",
        /// One frame each.
        Multiples = "multiples",
    }
}

impl RaceClock {
    /// The axis of time.
    pub fn label(self) -> &'static str {
        match self {
            RaceClock::Epoch => "epoch",
            RaceClock::Step => "step",
            RaceClock::Wall => "seconds",
        }
    }

    /// A time as text; `span` is the length of the race.
    pub fn text(self, time: f64, span: f64) -> String {
        match self {
            RaceClock::Epoch => fixed(time, if span >= 20.0 { 1 } else { 2 }),
            RaceClock::Step => thousands(&fixed(time.floor(), 0)),
            RaceClock::Wall if span >= 600.0 => {
                format!("{} min {:02} s", (time / 60.0).floor(), (time % 60.0).floor())
            }
            RaceClock::Wall => format!("{} s", fixed(time, if span < 10.0 { 2 } else { 1 })),
        }
    }
}

/// One racer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Racer {
    /// Its name, short: it stands at its head.
    pub name: String,
    /// A line of detail (`lr 0.1, momentum 0.9`); may be empty.
    pub detail: String,
    /// Its path; `epoch` is the time on the race's clock, whatever that is.
    pub path: Vec<PathPoint>,
    /// What is known of it.
    pub record: Record,
}

/// A race, as plain data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Race {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// What the colours mean.
    pub value_label: String,
    /// The surface with its axis labels; its path is not drawn.
    pub surface: ContourPanel,
    /// The racers; a racer's colour is that of its number.
    pub racers: Vec<Racer>,
    /// What the times are.
    pub clock: RaceClock,
    /// One view or several.
    pub layout: RaceLayout,
    /// What wins.
    pub goal: Goal,
    /// Curves by the race's clock; a curve's panel is its racer.
    pub strip: Strip,
    /// What each quantity's chart is called ("Test accuracy").
    pub chart_titles: Vec<(Quantity, String)>,
    /// How long the last picture stands, in seconds.
    pub hold_secs: f64,
}

/// A race made ready: laid out, scaled, its tracks computed. Draws any frame on any canvas.
pub struct RaceFilm<'a> {
    race: &'a Race,
    theme: &'a Theme,
    layout: Layout,
    /// The leaderboard of the one view.
    board: Rect,
    scale: LevelScale,
    panels: Vec<ContourPanel>,
    tracks: Vec<Track>,
    charts: Vec<Chart<'a>>,
    records: Vec<Record>,
    frames: usize,
    moving: usize,
    span: [f64; 2],
}

impl<'a> RaceFilm<'a> {
    /// Makes `race` ready for a picture of `size` in `frames` frames at `fps`.
    ///
    /// Errors: [`Error::Render`] on a race without racers or with a grid that cannot be drawn.
    pub fn new(
        race: &'a Race,
        theme: &'a Theme,
        [width, height]: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        if race.racers.is_empty() {
            return Err(Error::Render {
                what: "the race has no racer".into(),
                remedy: "give it at least one path".into(),
            });
        }
        race.surface.grid.check()?;
        let scale = LevelScale::new(race.surface.grid.values.iter().copied());
        let one = race.layout == RaceLayout::One;
        let panel_of = |racer: Option<&Racer>| ContourPanel {
            title: racer.map_or(String::new(), |r| r.name.clone()),
            subtitle: racer.map_or(String::new(), |r| r.detail.clone()),
            path: Vec::new(),
            ..race.surface.clone()
        };
        let panels: Vec<ContourPanel> = match one {
            true => vec![panel_of(None)],
            false => race.racers.iter().map(|racer| panel_of(Some(racer))).collect(),
        };
        let mut with_all_paths = race.surface.clone();
        with_all_paths.path = race.racers.iter().flat_map(|r| r.path.iter().copied()).collect();
        let domain = Domain::of(&with_all_paths);
        let domains = vec![domain; panels.len()];
        let quantities = chart::quantities(&race.strip.series);
        let ems = |text: &str| text::width(text, 1.0, text::Weight::Regular);
        let y_ticks = ticks(domain.y[0], domain.y[1], 5);
        let contents = Contents {
            title: !race.title.is_empty(),
            caption: !race.caption.is_empty(),
            headings: !one,
            subtitles: !one && race.racers.iter().any(|r| !r.detail.is_empty()),
            domains: &domains,
            charts: quantities.len(),
            colorbar_label_ems: scale.labels().iter().map(|l| ems(l)).fold(2.0, f32::max),
            tick_label_ems: y_ticks.iter().map(|y| ems(&significant(*y, 6))).fold(1.5, f32::max),
        };
        let (layout, board) = if one {
            Layout::with_board(width, height, theme.scale, &contents, board_size(race))
        } else {
            (Layout::scaled(width, height, theme.scale, &contents), Rect::default())
        };
        let frame_of = |k: usize| layout.panels[if one { 0 } else { k }].frame;
        let tracks = race
            .racers
            .iter()
            .enumerate()
            .map(|(k, racer)| Track::new(&racer.path, domain, frame_of(k), layout.s))
            .collect();
        let label = race.clock.label();
        let charts = quantities
            .into_iter()
            .zip(&layout.charts)
            .map(|(quantity, rect)| {
                let chart =
                    Chart::new(&race.strip.series, quantity, *rect, label, layout.font, layout.s);
                match race.chart_titles.iter().find(|(of, _)| *of == quantity) {
                    Some((_, title)) => chart.titled(title),
                    None => chart,
                }
            })
            .collect();
        let times = race.racers.iter().flat_map(|r| &r.path).map(|p| p.epoch);
        let span = times.filter(|t| t.is_finite()).fold(None, |span: Option<[f64; 2]>, t| {
            Some(span.map_or([t, t], |[a, b]| [a.min(t), b.max(t)]))
        });
        let frames = frames.max(1);
        let hold = (race.hold_secs.max(0.0) * f64::from(fps)).round() as usize;
        Ok(Self {
            race,
            theme,
            layout,
            board,
            scale,
            panels,
            tracks,
            charts,
            records: race.racers.iter().map(|r| r.record.clone()).collect(),
            frames,
            moving: (frames - hold.min(frames / 2)).max(1),
            span: span.unwrap_or([0.0, 0.0]),
        })
    }

    /// The time on the race's clock that `frame` shows: even from the start to the end of the
    /// longest run, then held.
    pub fn time(&self, frame: usize) -> f64 {
        let [start, end] = self.span;
        if self.moving <= 1 || frame + 1 >= self.moving {
            return end;
        }
        start + (end - start) * frame as f64 / (self.moving - 1) as f64
    }

    fn length(&self) -> f64 {
        self.span[1] - self.span[0]
    }

    fn pen(&self, racer: usize) -> Pen<'_> {
        Pen {
            color: self.theme.series_color(racer),
            theme: self.theme,
            s: self.layout.s,
            fade: 0.22 * self.length(),
        }
    }

    /// `91.2 %`, `0.0431`.
    fn value_text(&self, value: f64) -> String {
        match value {
            v if !v.is_finite() => "not finite".into(),
            v if self.race.goal.measure.rises() => format!("{} %", fixed(100.0 * v, 1)),
            v if v >= 10.0 => fixed(v, 1),
            v if v >= 0.1 => fixed(v, 3),
            v => fixed(v, 4),
        }
    }

    /// `first to 90 % test accuracy`, or `test accuracy so far`.
    fn goal_text(&self) -> String {
        let goal = self.race.goal;
        let measure = goal.measure.words();
        match goal.threshold {
            Some(at) if goal.measure.rises() => {
                format!("first to {} % {measure}", significant(100.0 * at, 4))
            }
            Some(at) => format!("first to a {measure} of {}", significant(at, 4)),
            None => format!("by {measure}"),
        }
    }

    /// What stands beside a racer's value: when it finished, or its losses now.
    fn status(&self, standing: &Standing, time: f64) -> String {
        let clock = self.race.clock;
        match (standing.finished, standing.diverged) {
            (Some(at), _) => {
                let at = clock.text(at, self.length());
                if clock == RaceClock::Wall {
                    format!("after {at}")
                } else {
                    format!("at {} {at}", clock.label())
                }
            }
            (None, true) => "diverged".into(),
            (None, false) => {
                let path = &self.race.racers[standing.racer].path;
                let ended = path.last().is_some_and(|p| p.epoch < time);
                let not = self.race.goal.threshold.is_some();
                if ended && not {
                    "ended short of it".into()
                } else if ended {
                    "ended".into()
                } else {
                    String::new()
                }
            }
        }
    }

    /// True and in-plane loss of the last snapshot passed.
    fn losses(&self, racer: usize, time: f64) -> String {
        let path = &self.race.racers[racer].path;
        let passed = path.partition_point(|p| p.epoch <= time).max(1);
        let Some(point) = path.get(passed - 1) else { return String::new() };
        let plane = point.plane_loss.map_or("–".into(), readout::loss);
        format!("true loss {}, in-plane {plane}", readout::loss(point.true_loss))
    }

    /// The leaderboard of the one view.
    fn draw_board(&self, canvas: &mut dyn Canvas, frame: usize) {
        let (layout, theme, board) = (&self.layout, self.theme, self.board);
        let font = layout.font;
        let time = self.time(frame);
        let name = TextStyle::new(font.label, theme.muted);
        let large = TextStyle::new(1.6 * font.label, theme.text).bold().align(Align::Right);
        let mut y = board.y + 1.35 * font.label;
        let clock = self.race.clock;
        let label = if clock == RaceClock::Wall { "training time" } else { clock.label() };
        canvas.text(label, board.x, y, &name);
        canvas.text(&clock.text(time, self.length()), board.right(), y, &large);
        y += 0.5 * font.label;
        let rule = Stroke::solid(theme.rule, layout.s.max(0.75));
        canvas.line(&[(board.x, y), (board.right(), y)], &rule);
        y += 1.35 * font.small;
        let small = TextStyle::new(font.small, theme.muted);
        canvas.text(&small.fit(&self.goal_text(), board.w), board.x, y, &small);
        y += 0.55 * font.small;

        let row = row_height(layout);
        let now = standings(&self.records, self.race.goal, time);
        for standing in &now {
            let racer = standing.racer;
            let top = y + row * self.place(racer, frame) as f32;
            let color = theme.series_color(racer);
            let first = top + 1.15 * font.label;
            let strong = TextStyle::new(font.label, theme.text).bold();
            // Before anybody has a reading there is no order.
            let ranked = standing.finished.is_some() || standing.value.is_some();
            let rank = match ranked && !standing.diverged {
                true => standing.place.to_string(),
                false => "–".into(),
            };
            canvas.text(&rank, board.x, first, &TextStyle { color: theme.muted, ..strong });
            let x = board.x + 1.1 * font.label;
            let radius = 0.34 * font.label;
            canvas.disc(x + radius, first - 0.35 * font.label, radius, color);
            let value = standing.value.map_or("–".to_string(), |v| self.value_text(v));
            let x = x + 2.0 * radius + 0.4 * font.label;
            let room = board.right() - x - strong.width(&value) - font.label;
            canvas.text(&strong.fit(&self.race.racers[racer].name, room), x, first, &strong);
            canvas.text(&value, board.right(), first, &strong.align(Align::Right));
            let second = first + 1.25 * font.small;
            let losses = TextStyle::new(0.92 * font.small, theme.muted);
            let status = self.status(standing, time);
            let accent = TextStyle { color: theme.text, ..losses }.align(Align::Right);
            canvas.text(&status, board.right(), second, &accent);
            let room = board.right() - x - losses.width(&status) - 0.6 * font.small;
            let text = self.losses(racer, time);
            if losses.width(&text) <= room {
                canvas.text(&text, x, second, &losses);
            }
        }
    }

    /// Where a racer stands on the board at `frame`, sliding where it overtakes: the mean of its
    /// places over the last quarter of a second or so.
    fn place(&self, racer: usize, frame: usize) -> f64 {
        const FRAMES: usize = 8;
        let place = |frame: usize| {
            let now = standings(&self.records, self.race.goal, self.time(frame));
            now.iter().position(|s| s.racer == racer).unwrap_or(0) as f64
        };
        (0..FRAMES).map(|back| place(frame.saturating_sub(back))).sum::<f64>() / FRAMES as f64
    }

    /// A flag with the racer's place where it reached the goal.
    fn draw_flag(&self, canvas: &mut dyn Canvas, racer: usize, time: f64) {
        let Some(at) = finish(&self.records[racer], self.race.goal).filter(|t| *t <= time) else {
            return;
        };
        let order = standings(&self.records, self.race.goal, self.span[1].max(at));
        let Some(place) = order.iter().find(|s| s.racer == racer).map(|s| s.place) else { return };
        let Some((x, y)) = self.tracks[racer].at(at) else { return };
        let (s, font) = (self.layout.s.max(0.4), self.layout.font);
        let radius = (0.62 * font.small).max(9.0 * s);
        let color = self.theme.series_color(racer);
        canvas.disc(x, y, radius + 2.6 * s, Color::hex(0x0b1219));
        canvas.disc(x, y, radius + 1.5 * s, Color::hex(0xffffff));
        canvas.disc(x, y, radius, color);
        let style =
            TextStyle::new(0.92 * font.small, panel::ink_on(color)).bold().align(Align::Center);
        let drop = 0.5 * text::CAP_HEIGHT * style.size;
        canvas.text(&format!("{place}"), x, y + drop, &style);
    }

    /// Where the names stand at the end: no contour label should be there.
    fn name_pixels(&self) -> Vec<(f32, f32)> {
        let size = self.layout.font.label;
        let style = TextStyle::new(size, self.theme.text).bold();
        let of = |(racer, track): (usize, &Track)| {
            let (x, y) = track.at(self.span[1]).unwrap_or((-1e4, -1e4));
            let reach = style.width(&self.race.racers[racer].name) + 18.0 * self.layout.s;
            let steps = (reach / (0.5 * size)) as usize;
            (0..=steps).map(move |i| (x + i as f32 * 0.5 * size, y)).collect::<Vec<_>>()
        };
        self.tracks.iter().enumerate().flat_map(of).collect()
    }

    /// The racers' names beside their heads, pushed apart where they would collide.
    fn draw_names(&self, canvas: &mut dyn Canvas, time: f64) {
        let (layout, theme) = (&self.layout, self.theme);
        let frame = layout.panels[0].frame;
        let size = layout.font.label;
        let gap = 1.25 * size;
        let reach = 15.0 * layout.s.max(0.4);
        let style = TextStyle::new(size, theme.text).bold();
        let mut labels: Vec<(usize, f32, f32, f32)> = Vec::new(); // racer, x, baseline, width
        for (racer, track) in self.tracks.iter().enumerate() {
            let Some((x, y)) = track.at(time) else { continue };
            if !frame.contains(x, y, -1.0) {
                continue;
            }
            let width = style.width(&self.race.racers[racer].name);
            let fits = x + reach + width <= frame.right() - 4.0;
            let left = if fits { x + reach } else { x - reach - width };
            labels.push((racer, left, y + 0.36 * size, width));
        }
        // A few rounds of pushing each colliding pair apart, alike up and down.
        let order = |a: &(usize, f32, f32, f32), b: &(usize, f32, f32, f32)| {
            a.2.total_cmp(&b.2).then(a.0.cmp(&b.0))
        };
        labels.sort_by(order);
        for _ in 0..30 {
            for i in 1..labels.len() {
                for j in 0..i {
                    let (a, b) = (labels[j], labels[i]);
                    let beside = a.1 + a.3 + 6.0 < b.1 || b.1 + b.3 + 6.0 < a.1;
                    let overlap = gap - (b.2 - a.2);
                    if !beside && overlap > 0.0 {
                        labels[j].2 -= 0.5 * overlap;
                        labels[i].2 += 0.5 * overlap;
                    }
                }
            }
        }
        for (racer, x, baseline, _) in labels {
            let color = theme.series_color(racer);
            let low = frame.y + size;
            let baseline = baseline.clamp(low, (frame.bottom() - 0.3 * size).max(low));
            let halo = Some((theme.casing.alpha(0.9), 2.6 * layout.s.max(0.5)));
            let style = TextStyle { halo, color: theme.text.mix(color, 0.62), ..style };
            canvas.text(&self.race.racers[racer].name, x, baseline, &style);
        }
    }

    /// Read-outs of the small multiples.
    fn rows(&self, racer: usize, time: f64) -> Vec<(&'static str, String)> {
        let now = standings(&self.records, self.race.goal, time);
        let Some(standing) = now.iter().find(|s| s.racer == racer) else { return Vec::new() };
        let path = &self.race.racers[racer].path;
        let passed = path.partition_point(|p| p.epoch <= time).max(1);
        let Some(point) = path.get(passed - 1) else { return Vec::new() };
        let end = path.last().map_or(time, |p| p.epoch);
        let clock = self.race.clock;
        let own = time.min(end);
        let place = match (standing.finished, standing.diverged) {
            (Some(at), _) => format!("{} ({})", standing.place, clock.text(at, self.length())),
            (None, true) => "out".into(),
            (None, false) => format!("{}", standing.place),
        };
        vec![
            (
                if clock == RaceClock::Wall { "time" } else { clock.label() },
                clock.text(own, self.length()),
            ),
            ("place", place),
            (
                self.race.goal.measure.words(),
                standing.value.map_or("–".into(), |v| self.value_text(v)),
            ),
            ("true loss", readout::loss(point.true_loss)),
            ("in-plane loss", point.plane_loss.map_or("–".into(), readout::loss)),
        ]
    }
}

/// Width and height of the leaderboard in units of the label's size, for [`Layout::with_board`].
fn board_size(race: &Race) -> [f32; 2] {
    [20.0, 3.9 + 2.45 * race.racers.len() as f32]
}

fn row_height(layout: &Layout) -> f32 {
    2.45 * layout.font.label
}

impl Show for RaceFilm<'_> {
    fn size(&self) -> [u32; 2] {
        [self.layout.page.w as u32, self.layout.page.h as u32]
    }

    fn frames(&self) -> usize {
        self.frames
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, theme, race) = (&self.layout, self.theme, self.race);
        let room = layout.page.w - 2.0 * layout.margin;
        if let Some(baseline) = layout.title_baseline {
            let style = TextStyle::new(layout.font.title, theme.text).bold();
            canvas.text(&style.fit(&race.title, room), layout.margin, baseline, &style);
        }
        if let Some(baseline) = layout.caption_baseline {
            let style = TextStyle::new(layout.font.small, theme.muted);
            canvas.text(&style.fit(&race.caption, room), layout.margin, baseline, &style);
        }
        for (k, (p, place)) in self.panels.iter().zip(&layout.panels).enumerate() {
            let one = race.layout == RaceLayout::One;
            let of = |k: usize| self.tracks[k].pixels();
            let keep_clear: Vec<(f32, f32)> = match one {
                true => {
                    let paths = (0..self.tracks.len()).flat_map(of);
                    paths.chain(self.name_pixels()).collect()
                }
                false => of(k),
            };
            panel::draw(canvas, p, place, layout, &self.scale, theme, &keep_clear);
            if !one {
                panel::draw_heading(canvas, p, place, layout, theme, Some(theme.series_color(k)));
            }
        }
        if let Some(bar) = layout.colorbar {
            panel::draw_colorbar(canvas, bar, &race.value_label, layout, &self.scale, theme);
        }
        for chart in &self.charts {
            chart.draw_static(canvas, theme, chart::Future::Faint)?;
        }
        Ok(())
    }

    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let (layout, theme) = (&self.layout, self.theme);
        let time = self.time(frame);
        match self.race.layout {
            RaceLayout::One => {
                self.draw_board(canvas, frame);
                canvas.set_clip(Some(layout.panels[0].frame));
                for (racer, track) in self.tracks.iter().enumerate() {
                    track.draw(canvas, time, &self.pen(racer));
                }
                (0..self.tracks.len()).for_each(|racer| self.draw_flag(canvas, racer, time));
                self.draw_names(canvas, time);
                canvas.set_clip(None);
            }
            RaceLayout::Multiples => {
                for (racer, track) in self.tracks.iter().enumerate() {
                    let place = &layout.panels[racer];
                    let rows = self.rows(racer, time);
                    let corner = || readout::corner(place.frame, layout, &track.pixels());
                    if let Some((rect, on_plate)) =
                        place.readout.map(|r| (r, false)).or_else(|| corner().map(|r| (r, true)))
                    {
                        readout::draw(canvas, rect, on_plate, &rows, layout, theme);
                    }
                    canvas.set_clip(Some(place.frame));
                    track.draw(canvas, time, &self.pen(racer));
                    self.draw_flag(canvas, racer, time);
                    canvas.set_clip(None);
                }
            }
        }
        for chart in &self.charts {
            chart.draw_moving(canvas, theme, time);
        }
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.theme
    }

    fn texts(&self) -> Vec<&str> {
        let race = self.race;
        let racers = race.racers.iter().flat_map(|r| [r.name.as_str(), r.detail.as_str()]);
        let own = [&race.title, &race.caption, &race.value_label];
        let axes = [&race.surface.x_label, &race.surface.y_label];
        own.into_iter().chain(axes).map(String::as_str).chain(racers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::golden::assert_golden_frame;
    use crate::render::scene::{Grid, Series, Split};
    use crate::render::show;
    use crate::render::standings::Measure;

    /// Three ways down one bowl at different speeds; the third diverges.
    pub(super) fn race(layout: RaceLayout) -> Race {
        let along = |n: usize, reach: f64| -> Vec<f64> {
            (0..n).map(|i| reach * (2.0 * i as f64 / (n - 1) as f64 - 1.0)).collect()
        };
        let (xs, ys) = (along(41, 3.0), along(37, 2.6));
        let loss = |x: f64, y: f64| 0.05 + 0.4 * (x - 0.8).powi(2) + 0.9 * (y - 0.5).powi(2);
        let values = ys.iter().flat_map(|&y| xs.iter().map(move |&x| loss(x, y))).collect();
        let racer = |k: usize| {
            let (snapshots, bend) = ([21, 16, 9][k], [0.0, 1.1, -0.9][k]);
            let path = (0..snapshots).map(|i| {
                let t = i as f64 / 20.0;
                let (x, y) = (-2.2 + 3.0 * t * (1.0 + 0.2 * k as f64), -1.8 + 2.3 * t);
                let y = y + bend * t * (1.0 - t);
                let loss = loss(x, y);
                PathPoint {
                    step: 10 * i as u64,
                    epoch: 10.0 * t,
                    x,
                    y,
                    true_loss: 0.9 * loss,
                    plane_loss: Some(loss),
                    lr: 0.1,
                }
            });
            let speed = [0.07, 0.09, 0.05][k];
            let readings: Vec<(f64, f64)> =
                (1..=[10, 7, 4][k]).map(|e| (e as f64, 0.2 + speed * e as f64)).collect();
            Racer {
                name: ["SGD", "Momentum", "Adam"][k].into(),
                detail: "batch 64".into(),
                path: path.collect(),
                record: Record { readings, diverged: (k == 2).then_some(4.0) },
            }
        };
        let racers: Vec<Racer> = (0..3).map(racer).collect();
        let series = |(panel, racer): (usize, &Racer)| Series {
            name: racer.name.clone(),
            panel,
            quantity: Quantity::Accuracy,
            split: Split::Train,
            points: racer.record.readings.clone(),
        };
        Race {
            title: "Three ways down".into(),
            caption: "A function of two variables.".into(),
            value_label: "loss".into(),
            surface: ContourPanel {
                grid: Grid { xs, ys, values, interpolated: None },
                x_label: "PC1 (61.0 %)".into(),
                y_label: "PC2 (20.0 %)".into(),
                ..ContourPanel::default()
            },
            strip: Strip { series: racers.iter().enumerate().map(series).collect() },
            chart_titles: vec![(Quantity::Accuracy, "Test accuracy".into())],
            racers,
            clock: RaceClock::Epoch,
            layout,
            goal: Goal { measure: Measure::TestAccuracy, threshold: Some(0.8) },
            hold_secs: 0.3,
        }
    }

    #[test]
    fn frames_of_a_race_look_as_they_did() {
        for (name, layout, size, frame) in [
            ("race-one", RaceLayout::One, [800, 450], 45),
            ("race-multiples", RaceLayout::Multiples, [800, 450], 59),
        ] {
            let (race, theme) = (race(layout), Theme::light());
            let film = RaceFilm::new(&race, &theme, size, 60, 30).unwrap();
            assert_golden_frame(name, &film, frame);
        }
    }

    #[test]
    fn a_race_ends_with_the_longest_run_and_holds() {
        let (race, theme) = (race(RaceLayout::One), Theme::light());
        let film = RaceFilm::new(&race, &theme, [640, 360], 60, 30).unwrap();
        // Nine frames are held.
        assert_eq!((film.time(0), film.time(50), film.time(59)), (0.0, 10.0, 10.0));
        assert!(film.time(49) < 10.0);
        let backdrop = show::backdrop(&film).unwrap();
        let frame = |k| show::frame(&film, &backdrop, k).unwrap();
        assert!(
            frame(59).rgba() == frame(59).rgba(),
            "a frame is the same whenever it is asked for"
        );
        assert!(frame(59).rgba() != frame(20).rgba());
    }

    #[test]
    fn a_racer_that_overtakes_slides_past() {
        let (race, theme) = (race(RaceLayout::One), Theme::light());
        let film = RaceFilm::new(&race, &theme, [640, 360], 600, 30).unwrap();
        // SGD and Momentum tie for nothing: at epoch 1 Momentum leads, at the end too.
        let places: Vec<f64> = (0..600).map(|frame| film.place(1, frame)).collect();
        assert_eq!((places[0], places[599]), (1.0, 0.0));
        assert!(places.iter().any(|p| *p > 0.2 && *p < 0.8), "there is a frame in between");
    }

    #[test]
    fn small_strange_and_lonely_races_are_drawn() {
        for layout in [RaceLayout::One, RaceLayout::Multiples] {
            for (size, clock) in [
                ([320, 180], RaceClock::Epoch),
                ([640, 480], RaceClock::Step),
                ([360, 640], RaceClock::Wall),
            ] {
                let mut cases = vec![race(layout)];
                let mut one = race(layout);
                one.racers.truncate(1);
                cases.push(one);
                let mut many = race(layout);
                many.racers = (0..9).map(|k| many.racers[k % 3].clone()).collect();
                cases.push(many);
                let mut points = race(layout);
                points.racers.iter_mut().for_each(|r| r.path.truncate(1));
                cases.push(points);
                let mut empty = race(layout);
                empty.racers.iter_mut().for_each(|r| r.path.clear());
                empty.racers.iter_mut().for_each(|r| r.record.readings.clear());
                empty.strip.series.clear();
                cases.push(empty);
                let mut holes = race(layout);
                holes.surface.grid.values.iter_mut().for_each(|v| *v = f64::NAN);
                cases.push(holes);
                for mut case in cases {
                    case.clock = clock;
                    let theme = Theme::dark();
                    let film = RaceFilm::new(&case, &theme, size, 5, 30).unwrap();
                    let backdrop = show::backdrop(&film).unwrap();
                    for k in [0, 4] {
                        show::frame(&film, &backdrop, k).unwrap();
                    }
                }
            }
        }
        let nobody = Race { racers: vec![], ..race(RaceLayout::One) };
        let err = RaceFilm::new(&nobody, &Theme::light(), [640, 360], 5, 30).err().unwrap();
        assert!(err.to_string().contains("no racer"), "{err}");
    }
}
