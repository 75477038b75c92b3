//! The film of surfaces: panels side by side on one scale of heights under one camera, their paths
//! growing together, charts below.

use super::axes::Axes;
use super::bar;
use super::flight::{CameraPath, Flight};
use super::heightfield::HeightField;
use super::horizon::Horizon;
use super::paint::Paint;
use super::place::arrange;
use super::scale::{self, Heights};
use super::stand::{Ground, Stand, Studio, When, box_width, focus, nodes, passes};
use super::trail::{Trail, materials};
use super::vantage;
use crate::error::{Error, Result};
use crate::render::canvas::{Canvas, TextStyle};
use crate::render::chart::{self, Chart};
use crate::render::layout::Layout;
use crate::render::page::{self, Corner};
use crate::render::panel;
use crate::render::readout;
use crate::render::scale::LevelScale;
use crate::render::scene::Film;
use crate::render::show::Show;
use crate::render::theme::Theme;
use crate::render::timeline::Timeline;

/// Lines of type that a read-out beside a surface takes.
const BOARD_LINES: f32 = 8.6;

/// How a surface is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceLook {
    /// How heights grow with values.
    pub heights: Heights,
    /// Values above this are cut off and capped.
    pub clip: Option<f64>,
    /// The box's height; its longer side is 2. From 0.1 to 3.
    pub relief: f32,
    /// The camera's way.
    pub camera: CameraPath,
    /// The side that a named way stands on, in degrees; `None` chooses the one that shows most.
    pub azimuth: Option<f64>,
    /// How high it stands, in degrees; `None` likewise.
    pub elevation: Option<f64>,
    /// Pictures of which a frame is the mean, each with four samples a pixel: 1 to 16.
    pub passes: usize,
}

impl SurfaceLook {
    /// Log heights, as high as looks natural, one picture a frame.
    pub fn new(camera: CameraPath) -> Self {
        let (azimuth, elevation) = (None, None);
        let (heights, clip, relief, passes) = (Heights::Auto, None, 1.35, 1);
        Self { heights, clip, relief, camera, azimuth, elevation, passes }
    }

    /// Errors: [`Error::BadValue`] on numbers out of range.
    pub(super) fn check(&self) -> Result<()> {
        if !(0.1..=3.0).contains(&self.relief) {
            return Err(Error::bad_value("relief", self.relief, "out of range", "write 0.1 to 3"));
        }
        if !(1..=16).contains(&self.passes) {
            return Err(Error::bad_value("passes", self.passes, "out of range", "write 1 to 16"));
        }
        Ok(())
    }
}

/// A film of surfaces made ready. Draws any frame on any canvas.
pub struct SurfaceFilm<'a> {
    film: &'a Film,
    theme: &'a Theme,
    layout: Layout,
    scale: LevelScale,
    studio: Studio<'a>,
    grounds: Vec<(HeightField, Horizon)>,
    stands: Vec<Stand>,
    charts: Vec<Chart<'a>>,
    timeline: Timeline,
}

impl<'a> SurfaceFilm<'a> {
    /// Makes `film` ready for a picture of `size` pixels in `frames` frames.
    ///
    /// Errors: [`Error::Render`] on a film without panels or with a grid that cannot be drawn,
    /// [`Error::BadValue`] on a look out of range.
    pub fn new(
        film: &'a Film,
        look: &SurfaceLook,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        if film.panels.is_empty() {
            return Err(Error::Render {
                what: "the film has no panel".into(),
                remedy: "give it at least one surface".into(),
            });
        }
        look.check()?;
        film.panels.iter().try_for_each(|p| p.grid.check())?;
        let values: Vec<f64> =
            film.panels.iter().flat_map(|p| p.grid.values.iter().copied()).collect();
        let scale = scale::scale(&values, look.heights, look.clip)?;
        let timeline = Timeline::new(film, frames, f64::from(fps));
        let quantities = chart::quantities(&film.strip.series);
        let layout = arrange(film, &scale, size, theme.scale, quantities.len(), BOARD_LINES);
        let charts: Vec<Chart> = quantities
            .into_iter()
            .zip(&layout.charts)
            .map(|(quantity, rect)| {
                Chart::new(&film.strip.series, quantity, *rect, "epoch", layout.font, layout.s)
            })
            .collect();
        let surfaces: Vec<(HeightField, Trail)> = film
            .panels
            .iter()
            .zip(&layout.panels)
            .map(|(panel, place)| {
                let nodes = nodes(place.frame, look.passes);
                let field = HeightField::with_nodes(panel, &scale, look.relief, nodes);
                let trail = Trail::new(panel, film.pacing.clock, &field, &scale);
                (field, trail)
            })
            .collect();
        let seen: Vec<_> = surfaces.iter().map(|(field, trail)| (field, trail)).collect();
        let (azimuth, elevation) = vantage::best(&seen, look.azimuth, look.elevation);
        let way = look.camera.placed(azimuth, elevation);
        let (mut stands, mut grounds) = (Vec::new(), Vec::new());
        for (k, (field, trail)) in surfaces.into_iter().enumerate() {
            let viewport = layout.panels[k].frame;
            let (panel, width) = (&film.panels[k], box_width(viewport));
            let axes = Axes::new(panel, &field, &scale, &film.value_label, &layout.font, width);
            let lowest = field.lowest();
            let ball = |share: f64| {
                let frame = (share * (timeline.frames - 1) as f64).round() as usize;
                trail.at(timeline.epoch(frame)).unwrap_or(lowest)
            };
            let flight = Flight::new(&way, |_| &field, timeline.frames, ball);
            let materials = materials(theme, theme.series_color(k));
            stands.push(Stand { axes, trail, flight, materials, viewport, centre: [0.0; 2] });
            let horizon = Horizon::new(&field);
            grounds.push((field, horizon));
        }
        let focal = focus(&mut stands, &way, look.relief, &layout.font, layout.s);
        let studio = Studio {
            theme,
            paint: Paint::new(theme, &scale),
            font: layout.font,
            s: layout.s,
            focal,
            passes: passes(look.passes),
        };
        Ok(Self { film, theme, layout, scale, studio, grounds, stands, charts, timeline })
    }

    fn share(&self, frame: usize) -> f64 {
        frame as f64 / (self.timeline.frames - 1).max(1) as f64
    }
}

impl Show for SurfaceFilm<'_> {
    fn size(&self) -> [u32; 2] {
        [self.layout.page.w as u32, self.layout.page.h as u32]
    }

    fn frames(&self) -> usize {
        self.timeline.frames
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, theme) = (&self.layout, self.theme);
        let room = layout.page.w - 2.0 * layout.margin;
        if let Some(baseline) = layout.title_baseline {
            let style = TextStyle::new(layout.font.title, theme.text).bold();
            canvas.text(&style.fit(&self.film.title, room), layout.margin, baseline, &style);
        }
        if let Some(baseline) = layout.caption_baseline {
            let style = TextStyle::new(layout.font.small, theme.muted);
            canvas.text(&style.fit(&self.film.caption, room), layout.margin, baseline, &style);
        }
        for (k, (p, place)) in self.film.panels.iter().zip(&layout.panels).enumerate() {
            let key =
                (self.film.panels.len() > 1 && !p.path.is_empty()).then(|| theme.series_color(k));
            panel::draw_heading(canvas, p, place, layout, theme, key);
        }
        if let Some(place) = layout.colorbar {
            bar::draw(canvas, place, &self.film.value_label, layout, &self.scale, theme);
        }
        for chart in &self.charts {
            chart.draw_static(canvas, theme, chart::Future::Faint)?;
        }
        Ok(())
    }

    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let (layout, theme) = (&self.layout, self.theme);
        let epoch = self.timeline.epoch(frame);
        let span = self.timeline.end - self.timeline.start;
        let share = if self.timeline.frames == 1 { 1.0 } else { self.share(frame) };
        let when = When { frame, share, time: epoch, fade: 0.25 * span };
        for (k, (p, stand)) in self.film.panels.iter().zip(&self.stands).enumerate() {
            let (field, horizon) = &self.grounds[k];
            let light = |azimuth, elevation| horizon.light(azimuth, elevation);
            let ground = Ground { field, light: &light, between: 0.0 };
            stand.draw(canvas, &self.studio, &ground, when, theme.series_color(k));
            if let Some(place) = layout.panels[k].readout {
                let rows = readout::rows_at(&p.path, self.film.pacing.clock, epoch, span);
                readout::draw(canvas, place, false, &rows, layout, theme);
            }
        }
        for chart in &self.charts {
            chart.draw_moving(canvas, theme, epoch);
        }
        let pacing = &self.film.pacing;
        if let (Some(pace), Some(chart)) = (self.timeline.pace(frame), self.charts.first()) {
            chart.draw_note(canvas, theme, &page::pace_text(pace, pacing.clock.unit()));
        }
        let corner =
            Corner { page: layout.page, margin: layout.margin, font: layout.font, s: layout.s };
        page::draw_moment(canvas, pacing, &self.timeline, frame, corner, theme);
        page::draw_card(canvas, pacing, &self.timeline, frame, corner, theme);
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.theme
    }

    fn texts(&self) -> Vec<&str> {
        let film = self.film;
        let panels = film.panels.iter();
        let panels = panels.flat_map(|p| [&p.title, &p.subtitle, &p.x_label, &p.y_label]);
        let names = film.strip.series.iter().map(|s| &s.name);
        let own = [&film.title, &film.caption, &film.value_label].into_iter();
        own.chain(panels).chain(names).map(String::as_str).collect()
    }
}
