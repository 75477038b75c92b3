//! Optimizers on a function of two variables: their paths over its contours, growing step by step, with
//! the state of each optimizer at its point, and the values against the steps.
//!
//! Paths are drawn straight from step to step, since there is nothing between two steps. The state that
//! made a step is shown at the point from which it was made: `glyphs` says how.

mod board;
mod glyphs;
#[cfg(test)]
mod tests;
mod track;

use crate::error::{Error, Result};
use crate::render::canvas::color::Color;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, Cap, Stroke};
use crate::render::map::names::{self, Head};
use crate::render::map::panel;
use crate::render::page::colorbar::ColorBar;
use crate::render::page::layout::Layout;
use crate::render::page::panels::{Contents, widest_ems};
use crate::render::page::scale::LevelScale;
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::{Clock, ContourPanel, Domain, Pacing, Quantity, Strip};
use glyphs::Scales;
use track::{Exit, Track};

/// One optimizer's path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// Its short name, written at the end of its path.
    pub name: String,
    /// Which of the theme's colours it has.
    pub color: usize,
    /// Its hyperparameters in words.
    pub detail: String,
    /// One point a step, the start first; all finite.
    pub points: Vec<TracePoint>,
    /// The step with which it diverged: its points end before it.
    pub diverged_at: Option<usize>,
}

/// One point of a path, with the state of the optimizer after the step that led there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TracePoint {
    /// Where.
    pub x: f64,
    /// Likewise.
    pub y: f64,
    /// The function's value there.
    pub value: f64,
    /// The running mean or sum of gradients, along x and y, if the optimizer has one.
    pub first_moment: Option<[f64; 2]>,
    /// The running mean or sum of squared gradients, likewise.
    pub second_moment: Option<[f64; 2]>,
}

/// Paths that the board counts together: those of one colour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// Their colour.
    pub color: usize,
    /// Where they go, and how near they are when they have arrived.
    pub goal: Option<([f64; 2], f64)>,
}

/// Optimizers on one function, as plain data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OptimizerFilm {
    /// The headline.
    pub title: String,
    /// The function, how the optimizers were run, what the signs mean.
    pub caption: String,
    /// What the colours mean.
    pub value_label: String,
    /// The function on a grid, with its axis labels; its path is not drawn.
    pub surface: ContourPanel,
    /// Where the function is smallest.
    pub minima: Vec<[f64; 2]>,
    /// The paths.
    pub traces: Vec<Trace>,
    /// What the board lists in the place of the paths, where they are too many: counts of paths. Their
    /// states are not drawn then.
    pub groups: Vec<Group>,
    /// Curves against the steps; a curve's panel is its path.
    pub strip: Strip,
    /// What each quantity's chart is called.
    pub chart_titles: Vec<(Quantity, String)>,
    /// How long the last picture stays, in seconds.
    pub hold_secs: f64,
}

/// The film made ready.
pub type OptimizerShow<'a> = Scene<'a, Optimizers<'a>>;

/// The map with the paths on it, and the board.
pub struct Optimizers<'a> {
    film: &'a OptimizerFilm,
    layout: Layout,
    scale: LevelScale,
    domain: Domain,
    tracks: Vec<Track>,
    scales: Vec<Scales>,
}

/// The share of the smallest values that the colours do not resolve: a logarithmic scale down to a
/// minimum of 0 would spend its levels on a few pixels around it.
const BELOW_SCALE: f64 = 0.004;

impl<'a> OptimizerShow<'a> {
    /// Makes `film` ready for a picture of `size` in `frames` frames at `fps`.
    ///
    /// Errors: [`Error::Render`] without a path or with a grid that cannot be drawn.
    pub fn new(
        film: &'a OptimizerFilm,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        if film.traces.iter().all(|trace| trace.points.is_empty()) {
            return Err(Error::Render {
                what: "no optimizer has a path".into(),
                remedy: "give it at least one that has a point".into(),
            });
        }
        film.surface.grid.check()?;
        let scale = LevelScale::new(resolved(&film.surface.grid.values));
        let domain = Domain::of(&film.surface);
        let bar_label_ems = widest_ems(&scale.labels());
        let panels = std::slice::from_ref(&film.surface);
        let contents = Contents { panels, domains: &[domain], bar_label_ems, table: None };
        let pacing = Pacing { clock: Clock::Step, ..Pacing::default() };
        let spec = PageSpec {
            title: &film.title,
            caption: &film.caption,
            series: &film.strip.series,
            chart_titles: &film.chart_titles,
            time_label: Clock::Step.label(),
            pacing,
            hold_secs: film.hold_secs,
        };
        // Until the last step that anybody makes or diverges with.
        let end = |t: &Trace| t.diverged_at.unwrap_or(t.points.len().saturating_sub(1));
        let longest = film.traces.iter().map(end).max().unwrap_or(0);
        let times = (0..=longest).map(|step| step as f64);
        let screen = Screen { theme, size, frames, fps };
        let board = board::size(film);
        let lay_out = |page: &Page| Layout::with_board(page, &contents, board);
        let (page, layout) = Page::laid_out(spec, times, screen, 0.0, lay_out);
        let frame = layout.panels[0].frame;
        let tracks: Vec<Track> =
            film.traces.iter().map(|t| Track::new(t, domain, frame, page.px_scale)).collect();
        let scales = film.traces.iter().map(Scales::of).collect();
        let body = Optimizers { film, layout, scale, domain, tracks, scales };
        Ok(Self { page, body })
    }
}

/// The values that the colours resolve.
fn resolved(values: &[f64]) -> Vec<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let skipped = (finite.len() as f64 * BELOW_SCALE) as usize;
    let mut kept = finite.split_off(skipped);
    kept.extend(values.iter().filter(|v| !v.is_finite()));
    kept
}

/// What is written at the end of a path at `time`: its name, and what became of it where it did not end
/// in the window.
fn ending(trace: &Trace, track: &Track, time: f64) -> String {
    match (trace.diverged_at, track.exit()) {
        (Some(step), _) if time >= step as f64 => {
            format!("{} diverged at step {step}", trace.name)
        }
        (_, Some(Exit { step, .. })) => format!("{} left the window at step {step}", trace.name),
        _ => trace.name.clone(),
    }
}

impl Optimizers<'_> {
    /// The colour of path `k`.
    fn color(&self, page: &Page, k: usize) -> Color {
        page.theme.series_color(self.film.traces[k].color)
    }

    /// The names of the paths that are at their end.
    fn draw_names(&self, page: &Page, canvas: &mut dyn Canvas, time: f64) {
        let at = |track: &Track| match track.exit() {
            Some(Exit { at, step }) => (time >= step as f64).then_some(at),
            None if time >= track.last() as f64 => track.at(time),
            None => None,
        };
        let ended: Vec<(usize, (f32, f32), String)> = (self.tracks.iter().enumerate())
            .filter(|(k, _)| !self.film.traces[*k].name.is_empty())
            .filter_map(|(k, track)| {
                Some((k, at(track)?, ending(&self.film.traces[k], track, time)))
            })
            .collect();
        let color = |k: usize| page.theme.series_color(self.film.traces[k].color);
        let heads: Vec<Head> =
            ended.iter().map(|(k, at, name)| Head { name, at: *at, color: color(*k) }).collect();
        names::draw_names(canvas, page, self.layout.panels[0].frame, &heads);
    }

    /// An upright cross at each minimum.
    fn draw_minima(&self, page: &Page, canvas: &mut dyn Canvas) {
        let (theme, px_scale) = (page.theme, page.px_scale.max(0.5));
        for [x, y] in &self.film.minima {
            let (px, py) = self.domain.px_from_plane(self.layout.panels[0].frame, *x, *y);
            let r = 8.0 * px_scale;
            for (color, width) in [(theme.casing, 5.6), (theme.text, 2.4)] {
                let stroke = Stroke { cap: Cap::Round, ..Stroke::solid(color, width * px_scale) };
                canvas.line(&[(px - r, py), (px + r, py)], &stroke);
                canvas.line(&[(px, py - r), (px, py + r)], &stroke);
            }
        }
    }
}

impl Body for Optimizers<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, film) = (&self.layout, self.film);
        let place = &layout.panels[0];
        let keep_clear: Vec<(f32, f32)> = self.tracks.iter().flat_map(Track::pixels).collect();
        panel::draw(canvas, &film.surface, place, page, &self.scale, &keep_clear);
        if let Some(bar) = layout.colorbar {
            let colors = ColorBar::bands(&film.value_label, &self.scale, page.theme);
            colors.draw_beside_panels(canvas, bar, page);
        }
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let time = page.timeline.epoch(frame);
        let window = self.layout.panels[0].frame;
        board::draw(self.film, &self.tracks, self.layout.board, page, canvas, time);
        canvas.set_clip(Some(window));
        for (k, track) in self.tracks.iter().enumerate() {
            track.draw(canvas, time, page, self.color(page, k));
        }
        self.draw_minima(page, canvas);
        let with_state = if self.film.groups.is_empty() { self.tracks.len() } else { 0 };
        for (k, track) in self.tracks.iter().enumerate().take(with_state) {
            let color = self.color(page, k);
            // Of one that left for good only the place where it did is in sight.
            if track.exit().is_some_and(|exit| time >= exit.step as f64) {
                continue;
            }
            let state = self.scales[k].state(&self.film.traces[k], time);
            if let (Some(state), Some(at)) = (state, track.base(time)) {
                glyphs::draw(canvas, &state, at, (self.domain, window), page, color);
            }
        }
        for (k, track) in self.tracks.iter().enumerate() {
            track.draw_head(canvas, time, page, self.color(page, k));
        }
        self.draw_names(page, canvas, time);
        canvas.set_clip(None);
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let (film, surface) = (self.film, &self.film.surface);
        let traces = film.traces.iter().flat_map(|t| [&t.name, &t.detail]);
        let own = [&film.value_label, &surface.x_label, &surface.y_label];
        let groups = film.groups.iter().map(|group| &group.name);
        own.into_iter().chain(traces).chain(groups).map(String::as_str).collect()
    }
}
