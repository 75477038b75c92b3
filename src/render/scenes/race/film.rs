//! A race laid out, and its frames.

use crate::error::{Error, Result};
use crate::render::canvas::text;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, Rect};
use crate::render::film::show::Show;
use crate::render::map::panel;
use crate::render::map::path::{Pen, Track};
use crate::render::page;
use crate::render::page::chart::{self, Chart};
use crate::render::page::colorbar;
use crate::render::page::layout::{Contents, Layout};
use crate::render::page::masthead::Masthead;
use crate::render::page::readout;
use crate::render::page::scale::{LevelScale, widest_tick};
use crate::render::page::timeline::Timeline;
use crate::render::scene::Domain;
use crate::render::scene::{Clock, ContourPanel, Pacing};
use crate::render::scenes::race::standings::{Record, standings};
use crate::render::scenes::race::{Race, RaceClock, RaceLayout, Racer, board_size};

/// A race made ready: laid out, scaled, its tracks computed. Draws any frame on any canvas.
pub struct RaceFilm<'a> {
    pub(super) race: &'a Race,
    pub(super) theme: &'a Theme,
    pub(super) layout: Layout,
    masthead: Masthead<'a>,
    /// The leaderboard of the one view.
    pub(super) board: Rect,
    scale: LevelScale,
    panels: Vec<ContourPanel>,
    pub(super) tracks: Vec<Track>,
    charts: Vec<Chart<'a>>,
    pub(super) records: Vec<Record>,
    timeline: Timeline,
    /// Frames that an overtaking takes on the board.
    pub(super) slide: usize,
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
        let ems = |text: &str| text::width(text, 1.0, text::Weight::Regular);
        let contents = Contents {
            title: !race.title.is_empty(),
            caption: !race.caption.is_empty(),
            headings: !one,
            subtitles: !one && race.racers.iter().any(|r| !r.detail.is_empty()),
            domains: &domains,
            charts: chart::quantities(&race.strip.series).len(),
            colorbar_label_ems: scale.labels().iter().map(|l| ems(l)).fold(2.0, f32::max),
            tick_label_ems: widest_tick(domain.y, ems).max(1.5),
        };
        let size = [width, height];
        let (masthead, layout, board) =
            Masthead::above(&race.title, &race.caption, size, theme, |[width, height]| match one {
                true => Layout::with_board(width, height, theme.scale, &contents, board_size(race)),
                false => (Layout::scaled(width, height, theme.scale, &contents), Rect::default()),
            });
        let frame_of = |k: usize| layout.panels[if one { 0 } else { k }].frame;
        let tracks = race
            .racers
            .iter()
            .enumerate()
            .map(|(k, racer)| Track::new(&racer.path, domain, frame_of(k), layout.s))
            .collect();
        // Even by the race's clock, from the start to the end of the longest run.
        let pacing = Pacing { clock: Clock::Epoch, ..race.pacing.clone() };
        let times = race.racers.iter().flat_map(|r| &r.path).map(|p| p.epoch);
        let timeline = Timeline::over(times, &pacing, race.hold_secs, frames, f64::from(fps));
        let span = [timeline.start, timeline.end];
        let (series, label) = (&race.strip.series, race.clock.label());
        let charts = chart::at_places(series, &layout, label, span, &race.chart_titles);
        // A third of a second, and no more than a third of the time between readings: a row that is
        // on its way hides another.
        let readings = race.racers.iter().map(|r| r.record.readings.len()).max().unwrap_or(0);
        let slide = (fps as usize / 3).min(timeline.moving / (3 * readings.max(1))).max(1);
        Ok(Self {
            race,
            theme,
            layout,
            masthead,
            board,
            scale,
            panels,
            tracks,
            charts,
            records: race.racers.iter().map(|r| r.record.clone()).collect(),
            timeline,
            slide,
        })
    }

    /// The time on the race's clock that `frame` shows.
    pub fn time(&self, frame: usize) -> f64 {
        self.timeline.epoch(frame)
    }

    /// The last time there is.
    pub(super) fn end(&self) -> f64 {
        self.timeline.end
    }

    pub(super) fn length(&self) -> f64 {
        self.timeline.end - self.timeline.start
    }

    fn pen(&self, racer: usize) -> Pen<'_> {
        Pen {
            color: self.theme.series_color(racer),
            theme: self.theme,
            s: self.layout.s,
            fade: 0.22 * self.length(),
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
        let place = match standing.diverged {
            true => "out".into(),
            false => standing.place.to_string(),
        };
        let when = match (standing.finished, clock) {
            (None, RaceClock::Wall) => "time",
            (None, _) => clock.label(),
            (Some(_), RaceClock::Wall) => "goal after",
            (Some(_), RaceClock::Epoch) => "goal at epoch",
            (Some(_), RaceClock::Step) => "goal at step",
        };
        vec![
            (when, clock.text(standing.finished.unwrap_or(own), self.length())),
            ("true loss", readout::loss(point.true_loss)),
            (
                self.race.goal.measure.words(),
                standing.value.map_or("–".into(), |v| self.value_text(v)),
            ),
            ("in-plane loss", point.plane_loss.map_or("–".into(), readout::loss)),
            // Last to stay: a flag on the path says it, too.
            ("place", place),
        ]
    }
}

impl Show for RaceFilm<'_> {
    fn size(&self) -> [u32; 2] {
        [self.layout.page.w as u32, self.layout.page.h as u32]
    }

    fn frames(&self) -> usize {
        self.timeline.frames
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, theme, race) = (&self.layout, self.theme, self.race);
        self.masthead.draw(canvas, layout, theme);
        for (k, (p, place)) in self.panels.iter().zip(&layout.panels).enumerate() {
            let one = race.layout == RaceLayout::One;
            let of = |k: usize| self.tracks[k].pixels();
            let keep_clear: Vec<(f32, f32)> = match one {
                true => {
                    let paths = (0..self.tracks.len()).flat_map(of);
                    paths.chain(self.name_pixels()).collect()
                }
                false => {
                    let mut clear = of(k);
                    if let Some((rect, true)) = readout::place(place, layout, &clear) {
                        clear.extend(readout::spots(rect, layout));
                    }
                    clear
                }
            };
            panel::draw(canvas, p, place, layout, &self.scale, theme, &keep_clear);
            if !one {
                panel::draw_heading(canvas, p, place, layout, theme, Some(theme.series_color(k)));
            }
        }
        if let Some(bar) = layout.colorbar {
            colorbar::draw_bands(canvas, bar, &race.value_label, layout, &self.scale, theme);
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
                    if let Some((rect, on_plate)) = readout::place(place, layout, &track.pixels()) {
                        readout::draw(canvas, rect, on_plate, &rows, layout, theme);
                    }
                    canvas.set_clip(Some(place.frame));
                    track.draw(canvas, time, &self.pen(racer));
                    self.draw_flag(canvas, racer, time);
                    canvas.set_clip(None);
                }
            }
        }
        let (title, pacing) = (&self.race.title, &self.race.pacing);
        page::draw_over(canvas, layout, &self.charts, title, pacing, &self.timeline, frame, theme);
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
        let moments = race.pacing.moments.iter().map(|m| m.label.as_str());
        own.into_iter().chain(axes).map(String::as_str).chain(racers).chain(moments).collect()
    }
}
