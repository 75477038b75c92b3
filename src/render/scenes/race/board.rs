//! The leaderboard of a race in one view.

use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::numbers::{fixed, significant};
use crate::render::page::Page;
use crate::render::page::readout;
use crate::render::scene::Clock;
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
                let not = self.race.target.threshold.is_some();
                if ended && not {
                    "did not reach it".into()
                } else if ended {
                    "ended".into()
                } else {
                    String::new()
                }
            }
        }
    }

    /// The loss of the last snapshot passed, and the one on the surface below it.
    fn losses(&self, racer: usize, time: f64) -> String {
        let path = &self.race.racers[racer].path;
        let passed = path.partition_point(|p| p.time <= time).max(1);
        let Some(point) = path.get(passed - 1) else { return String::new() };
        let plane = point.plane_loss.map_or("–".into(), readout::loss);
        format!("loss {}, on the surface {plane}", readout::loss(point.true_loss))
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
        let mut rows: Vec<(f64, &Standing)> = now
            .iter()
            .enumerate()
            .map(|(place, standing)| {
                (self.place(page, standing.racer, frame) - place as f64, standing)
            })
            .collect();
        // Who overtakes passes in front: sorted by how far each is still below its place.
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (behind, standing) in rows {
            let top = y + row * self.place(page, standing.racer, frame) as f32;
            if behind != 0.0 {
                // On the move, on a plate: two rows are never written into each other.
                let plate = Rect::new(board.x, top, board.w, row);
                canvas.rect(plate, theme.background);
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

    /// Where a racer is on the board at `frame`, sliding where it overtakes: the mean of its
    /// places over the last [`RaceBody::slide`] frames.
    pub(super) fn place(&self, page: &Page, racer: usize, frame: usize) -> f64 {
        let place = |frame: usize| {
            let now = standings(&self.records, self.race.target, page.timeline.epoch(frame));
            now.iter().position(|s| s.racer == racer).unwrap_or(0) as f64
        };
        let sum: f64 = (0..self.slide).map(|back| place(frame.saturating_sub(back))).sum();
        sum / self.slide as f64
    }
}
