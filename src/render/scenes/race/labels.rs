//! What is written at the ends of the paths: names in one view, places where the target was reached.

use crate::render::canvas::color::{Color, ink_on};
use crate::render::canvas::text;
use crate::render::canvas::{Align, Canvas, TextStyle};
use crate::render::map::names::{self, Head};
use crate::render::map::path::Track;
use crate::render::page::Page;
use crate::render::scenes::race::film::RaceBody;
use crate::render::scenes::race::standings::{finish, standings};

impl RaceBody<'_> {
    /// A flag with the racer's place where it reached the target.
    pub(super) fn draw_flag(&self, page: &Page, canvas: &mut dyn Canvas, racer: usize, time: f64) {
        let Some(at) = finish(&self.records[racer], self.race.target).filter(|t| *t <= time) else {
            return;
        };
        let order = standings(&self.records, self.race.target, page.timeline.end.max(at));
        let Some(place) = order.iter().find(|s| s.racer == racer).map(|s| s.place) else { return };
        let Some((x, y)) = self.tracks[racer].at(at) else { return };
        let (px_scale, font) = (page.px_scale.max(0.4), page.font);
        let radius = (0.62 * font.small).max(9.0 * px_scale);
        let color = page.theme.series_color(racer);
        canvas.disc(x, y, radius + 2.6 * px_scale, Color::hex(0x0b1219));
        canvas.disc(x, y, radius + 1.5 * px_scale, Color::hex(0xffffff));
        canvas.disc(x, y, radius, color);
        let style = TextStyle::new(0.92 * font.small, ink_on(color)).bold().align(Align::Center);
        let drop = 0.5 * text::CAP_HEIGHT * style.size;
        canvas.text(&format!("{place}"), x, y + drop, &style);
    }

    /// Where the names are at the end: no contour label should be there.
    pub(super) fn name_pixels(&self, page: &Page) -> Vec<(f32, f32)> {
        let size = page.font.label;
        let style = TextStyle::new(size, page.theme.text).bold();
        let of = |(racer, track): (usize, &Track)| {
            let (x, y) = track.at(page.timeline.end).unwrap_or((-1e4, -1e4));
            let reach = style.width(&self.race.racers[racer].name) + 18.0 * page.px_scale;
            let steps = (reach / (0.5 * size)) as usize;
            (0..=steps).map(move |i| (x + i as f32 * 0.5 * size, y)).collect::<Vec<_>>()
        };
        self.tracks.iter().enumerate().flat_map(of).collect()
    }

    /// The racers' names beside their heads.
    pub(super) fn draw_names(&self, page: &Page, canvas: &mut dyn Canvas, time: f64) {
        let head = |(racer, track): (usize, &Track)| {
            let (name, color) = (&self.race.racers[racer].name, page.theme.series_color(racer));
            Some(Head { name, at: track.at(time)?, color })
        };
        let heads: Vec<Head> = self.tracks.iter().enumerate().filter_map(head).collect();
        names::draw_names(canvas, page, self.layout.panels[0].frame, &heads);
    }
}
