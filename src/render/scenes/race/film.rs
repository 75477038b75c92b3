//! A race laid out, and its frames.

use crate::error::{Error, Result};
use crate::render::canvas::Canvas;
use crate::render::canvas::theme::Theme;
use crate::render::map::panel;
use crate::render::map::path::{Pen, Track};
use crate::render::page::colorbar::ColorBar;
use crate::render::page::layout::Layout;
use crate::render::page::panels::{Contents, widest_ems};
use crate::render::page::readout::{self, Row};
use crate::render::page::scale::LevelScale;
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::{Clock, ContourPanel, Domain, Reading};
use crate::render::scenes::race::covered::{self, Coincident};
use crate::render::scenes::race::standings::{Record, standings};
use crate::render::scenes::race::{Race, RaceLayout, Racer, board_size};

/// A race made ready.
pub type RaceFilm<'a> = Scene<'a, RaceBody<'a>>;

/// The surface or surfaces with the paths over them, and the leaderboard.
pub struct RaceBody<'a> {
    pub(super) race: &'a Race,
    pub(super) layout: Layout,
    scale: LevelScale,
    panels: Vec<ContourPanel>,
    pub(super) tracks: Vec<Track>,
    /// Where each track coincides with others.
    coincident: Vec<Coincident>,
    pub(super) records: Vec<Record>,
    /// For how many frames a row is lit that has come up on the board.
    pub(super) lit_frames: usize,
}

impl<'a> RaceFilm<'a> {
    /// Makes `race` ready for a picture of `size` in `frames` frames at `fps`.
    ///
    /// Errors: [`Error::Render`] on a race without racers or with a grid that cannot be drawn.
    pub fn new(
        race: &'a Race,
        theme: &'a Theme,
        size: [u32; 2],
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
        let surface = &race.surface;
        let values = surface.grid.values.iter().copied();
        let cells: Vec<_> = values.clone().zip(surface.errors.iter().copied()).collect();
        let scale = LevelScale::new(values).resolved(&cells);
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
        let bar_label_ems = widest_ems(&scale.labels());
        let contents = Contents { panels: &panels, domains: &domains, bar_label_ems, table: None };
        let spec = PageSpec {
            title: &race.title,
            caption: &race.caption,
            series: &race.strip.series,
            chart_titles: &race.chart_titles,
            time_label: race.pacing.clock.label(),
            // From the start to the end of the longest run.
            pacing: race.pacing.clone(),
            hold_secs: race.hold_secs,
        };
        let times = race.racers.iter().flat_map(|r| &r.path).map(|p| p.time);
        let screen = Screen { theme, size, frames, fps };
        let least = if one { 0.0 } else { 7.0 };
        let (page, layout) = Page::laid_out(spec, times, screen, least, |page| match one {
            true => Layout::with_board(page, &contents, board_size(race)),
            false => Layout::panels(page, &contents),
        });
        let frame_of = |k: usize| layout.panels[if one { 0 } else { k }].frame;
        let tracks: Vec<Track> = race
            .racers
            .iter()
            .enumerate()
            .map(|(k, racer)| Track::new(&racer.path, domain, frame_of(k), page.px_scale))
            .collect();
        let coincident = covered::coincident(&tracks, page.px_scale);
        let lit_frames = (0.6 * f64::from(fps)).ceil() as usize;
        let records = race.racers.iter().map(|r| r.record.clone()).collect();
        let body =
            RaceBody { race, layout, scale, panels, tracks, coincident, records, lit_frames };
        Ok(Self { page, body })
    }
}

impl RaceBody<'_> {
    /// Read-outs of the small multiples.
    fn rows(&self, page: &Page, racer: usize, time: f64) -> Vec<Row> {
        let now = standings(&self.records, self.race.target, time);
        let Some(standing) = now.iter().find(|s| s.racer == racer) else { return Vec::new() };
        let path = &self.race.racers[racer].path;
        let Some(reading) = Reading::at(path, time) else { return Vec::new() };
        let end = path.last().map_or(time, |p| p.time);
        let clock = self.race.pacing.clock;
        let own = time.min(end);
        let place = match standing.diverged {
            true => "out".into(),
            false => standing.place.to_string(),
        };
        let at = self.threshold_text().unwrap_or_default();
        let when = match (standing.finished, clock) {
            (None, Clock::WallTime) => "time".into(),
            (None, _) => clock.label().into(),
            (Some(_), Clock::WallTime) => format!("{at} after").into(),
            (Some(_), Clock::Epoch | Clock::Motion | Clock::Snapshot) => {
                format!("{at} at epoch").into()
            }
            (Some(_), Clock::Step) => format!("{at} at step").into(),
        };
        let measured = standing.value.map_or("–".into(), |v| self.value_text(v));
        vec![
            (when, clock.text(standing.finished.unwrap_or(own), page.span())),
            (readout::NETWORK_LOSS.into(), readout::network_loss(&reading)),
            (self.race.target.measure.words().into(), measured),
            (readout::SURFACE_LOSS.into(), readout::surface_loss(&reading)),
            // Last to stay: a flag on the path says it, too.
            ("place".into(), place),
        ]
    }
}

impl Body for RaceBody<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, theme, race) = (&self.layout, page.theme, self.race);
        let one = race.layout == RaceLayout::One;
        for (k, (p, place)) in self.panels.iter().zip(&layout.panels).enumerate() {
            let mut keep_clear = self.tracks[k].pixels();
            if one {
                keep_clear = self.tracks.iter().flat_map(Track::pixels).collect();
                keep_clear.extend(self.name_pixels(page));
            }
            panel::draw(canvas, p, place, page, &self.scale, &keep_clear);
            if !one {
                panel::draw_heading(canvas, p, place, page, Some(theme.series_color(k)));
            }
        }
        if let Some(bar) = layout.colorbar {
            let colors = ColorBar::bands(&race.value_label, &self.scale, theme);
            colors.draw_beside_panels(canvas, bar, page);
        }
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let time = page.timeline.epoch(frame);
        let pen = |racer: usize| Pen::new(page, page.theme.series_color(racer));
        match self.race.layout {
            RaceLayout::One => {
                self.draw_board(page, canvas, frame);
                canvas.set_clip(Some(self.layout.panels[0].frame));
                for (racer, track) in self.tracks.iter().enumerate() {
                    track.draw(canvas, time, &pen(racer));
                }
                covered::draw(canvas, &self.tracks, &self.coincident, time, pen);
                self.tracks
                    .iter()
                    .enumerate()
                    .for_each(|(k, t)| t.draw_point(canvas, time, &pen(k)));
                (0..self.tracks.len()).for_each(|racer| self.draw_flag(page, canvas, racer, time));
                self.draw_names(page, canvas, time);
                canvas.set_clip(None);
            }
            RaceLayout::Multiples => {
                for (racer, track) in self.tracks.iter().enumerate() {
                    let place = &self.layout.panels[racer];
                    let rows = self.rows(page, racer, time);
                    readout::draw_at(canvas, place, page, &rows);
                    canvas.set_clip(Some(place.frame));
                    track.draw(canvas, time, &pen(racer));
                    self.draw_flag(page, canvas, racer, time);
                    canvas.set_clip(None);
                }
            }
        }
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let (race, surface) = (self.race, &self.race.surface);
        let racers = race.racers.iter().flat_map(|r| [&r.name, &r.detail]);
        let own = [&race.value_label, &surface.x_label, &surface.y_label];
        own.into_iter().chain(racers).map(String::as_str).collect()
    }
}
