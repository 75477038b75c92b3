//! The leaderboard of a race in one view.

use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::numbers::{fixed, significant};
use crate::render::page::Page;
use crate::render::page::readout;
use crate::render::scene::{Clock, Reading};
use crate::render::scenes::race::film::RaceBody;
use crate::render::scenes::race::standings::{Standing, Target, standings};

impl RaceBody<'_> {
    /// `91.2 %`, `0.0431`.
    pub(super) fn value_text(&self, value: f64) -> String {
        match value {
            v if !v.is_finite() => "not finite".into(),
            v if self.race.target.measure.rises() => format!("{} %", fixed(100.0 * v, 1)),
            v if v >= 10.0 => fixed(v, 1),
            v if v >= 0.1 => fixed(v, 3),
            v => fixed(v, 4),
        }
    }

    /// `first to 90 % test accuracy`, or `test accuracy so far`.
    fn target_text(&self) -> String {
        let target = self.race.target;
        let measure = target.measure.words();
        match (self.threshold_text(), target.measure.rises()) {
            (Some(at), true) => format!("first to {at} {measure}"),
            (Some(at), false) => format!("first to a {measure} of {at}"),
            (None, _) => format!("by {measure}"),
        }
    }

    /// `90 %`, `0.05`.
    pub(super) fn threshold_text(&self) -> Option<String> {
        let Target { measure, threshold } = self.race.target;
        threshold.map(|at| match measure.rises() {
            true => format!("{} %", significant(100.0 * at, 4)),
            false => significant(at, 4),
        })
    }

    /// What is beside a racer's value: when it finished, or its losses now.
    fn status(&self, page: &Page, standing: &Standing, time: f64) -> String {
        let status = self.progress(page, standing, time);
        // First to the goal is one thing and best in the end another: both are told.
        let over = time >= page.timeline.end && self.race.target.threshold.is_some();
        let open = Target { threshold: None, ..self.race.target };
        let last = standings(&self.records, open, f64::INFINITY);
        let place = last.iter().find(|s| s.racer == standing.racer && !s.diverged);
        match place.filter(|s| over && s.value.is_some()) {
            Some(s) if status.is_empty() => format!("{} in the end", ordinal(s.place)),
            Some(s) => format!("{status}, {} in the end", ordinal(s.place)),
            None => status,
        }
    }

    fn progress(&self, page: &Page, standing: &Standing, time: f64) -> String {
        let clock = self.race.pacing.clock;
        match (standing.finished, standing.diverged) {
            (Some(at), _) => {
                let at = clock.text(at, page.span());
                if clock == Clock::WallTime {
                    format!("after {at}")
                } else {
                    format!("at {} {at}", clock.label())
                }
            }
            (None, true) => "diverged".into(),
            (None, false) => {
                let path = &self.race.racers[standing.racer].path;
                let ended = path.last().is_some_and(|p| p.time < time);
                let target = self.race.target.threshold.is_some();
                match (ended, target) {
                    (true, true) => "did not reach it".into(),
                    (true, false) => "ended".into(),
                    (false, _) => String::new(),
                }
            }
        }
    }

    /// The loss of the network, and the one on the surface below it.
    fn losses(&self, racer: usize, time: f64) -> String {
        let Some(reading) = Reading::at(&self.race.racers[racer].path, time) else {
            return String::new();
        };
        let (network, surface) = (readout::network_loss(&reading), readout::surface_loss(&reading));
        format!("loss {network}, on the surface {surface}")
    }

    /// The leaderboard of the one view.
    pub(super) fn draw_board(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) {
        let (theme, font, board) = (page.theme, page.font, self.layout.board);
        let time = page.timeline.epoch(frame);
        let name = TextStyle::new(font.label, theme.muted);
        let large = TextStyle::new(1.6 * font.label, theme.text).bold().align(Align::Right);
        let mut y = board.y + 1.35 * font.label;
        let clock = self.race.pacing.clock;
        let label = if clock == Clock::WallTime { "training time" } else { clock.label() };
        canvas.text(label, board.x, y, &name);
        canvas.text(&clock.text(time, page.span()), board.right(), y, &large);
        y += 0.5 * font.label;
        let rule = Stroke::solid(theme.rule, page.px_scale.max(0.75));
        canvas.line(&[(board.x, y), (board.right(), y)], &rule);
        y += 1.35 * font.small;
        let small = TextStyle::new(font.small, theme.muted);
        canvas.text(&small.fit(&self.target_text(), board.w), board.x, y, &small);
        y += 0.55 * font.small;

        let row = 2.45 * font.label;
        let now = standings(&self.records, self.race.target, time);
        for (place, standing) in now.iter().enumerate() {
            let top = y + row * place as f32;
            // Rows change places at once, so that each can be read in every frame; who has come up is lit for
            // a moment.
            let lit = self.risen(page, standing.racer, frame);
            if lit > 0.0 {
                let color = theme.series_color(standing.racer).alpha(0.28 * lit);
                let pad = 0.4 * font.label;
                let band = Rect::new(board.x - pad, top, board.w + 2.0 * pad, 0.96 * row);
                canvas.rect(band, color);
            }
            self.draw_row(page, canvas, standing, top, time);
        }
    }

    /// One racer: place, name, value; below, its losses and when it finished.
    fn draw_row(
        &self,
        page: &Page,
        canvas: &mut dyn Canvas,
        standing: &Standing,
        top: f32,
        time: f64,
    ) {
        let (font, theme, board) = (page.font, page.theme, self.layout.board);
        let racer = standing.racer;
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
        let status = self.status(page, standing, time);
        let accent = TextStyle { color: theme.text, ..losses }.align(Align::Right);
        canvas.text(&status, board.right(), second, &accent);
        let room = board.right() - x - losses.width(&status) - 0.6 * font.small;
        let text = self.losses(racer, time);
        if losses.width(&text) <= room {
            canvas.text(&text, x, second, &losses);
        }
    }

    /// How much a racer's row is lit at `frame`: 1 when it has just come up a place, fading within
    /// [`RaceBody::lit_frames`] frames.
    pub(super) fn risen(&self, page: &Page, racer: usize, frame: usize) -> f32 {
        let place = |frame: usize| {
            let now = standings(&self.records, self.race.target, page.timeline.epoch(frame));
            now.iter().position(|s| s.racer == racer).unwrap_or(0)
        };
        let now = place(frame);
        for back in 1..=self.lit_frames.min(frame) {
            let before = place(frame - back);
            if before != now {
                let fresh = 1.0 - (back - 1) as f32 / self.lit_frames as f32;
                return if before > now { fresh } else { 0.0 };
            }
        }
        0.0
    }
}

/// `1st`, `2nd`, `11th`.
fn ordinal(n: usize) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}
