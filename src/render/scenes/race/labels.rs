//! What is written at the ends of the paths: names in one view, places where the target was reached.

use crate::render::canvas::color::{Color, ink_on};
use crate::render::canvas::text;
use crate::render::canvas::{Align, Canvas, TextStyle};
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

    /// The racers' names beside their heads, pushed apart where they would collide.
    pub(super) fn draw_names(&self, page: &Page, canvas: &mut dyn Canvas, time: f64) {
        let theme = page.theme;
        let frame = self.layout.panels[0].frame;
        let size = page.font.label;
        let gap = 1.25 * size;
        let reach = 15.0 * page.px_scale.max(0.4);
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
            let halo = Some((theme.casing.alpha(0.9), 2.6 * page.px_scale.max(0.5)));
            let style = TextStyle { halo, color: theme.text.mix(color, 0.62), ..style };
            canvas.text(&self.race.racers[racer].name, x, baseline, &style);
        }
    }
}
