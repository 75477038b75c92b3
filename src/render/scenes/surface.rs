//! The film of surfaces: panels side by side on one scale of heights under one camera, their paths
//! growing together, charts below.

use crate::error::{Error, Result};
use crate::render::canvas::Canvas;
use crate::render::canvas::theme::Theme;
use crate::render::film::show::Show;
use crate::render::map::panel;
use crate::render::page;
use crate::render::page::chart::{self, Chart};
use crate::render::page::colorbar;
use crate::render::page::layout::Layout;
use crate::render::page::masthead::Masthead;
use crate::render::page::place::arrange;
use crate::render::page::readout;
use crate::render::page::scale::LevelScale;
use crate::render::page::timeline::Timeline;
use crate::render::scene::Film;
use crate::render::surface3d::axes::Axes;
use crate::render::surface3d::flight::{CameraPath, Flight};
use crate::render::surface3d::framing;
use crate::render::surface3d::heightfield::HeightField;
use crate::render::surface3d::horizon::Horizon;
use crate::render::surface3d::paint::Paint;
use crate::render::surface3d::paint::surface_color;
use crate::render::surface3d::scale::{self, Heights};
use crate::render::surface3d::stand::{
    Ground, Stand, Studio, When, box_width, focus, inside, nodes, passes,
};
use crate::render::surface3d::trail::{Trail, materials};
use crate::render::surface3d::vantage;

/// Lines of type that a read-out beside a surface takes.
const BOARD_LINES: f32 = 8.6;

/// How a surface is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceLook {
    /// How heights grow with values.
    pub heights: Heights,
    /// Values above this are cut off and capped.
    pub clip: Option<f64>,
    /// The box's height; its longer side is 2. From 0.1 to 3; `None` chooses what the windows have
    /// room for.
    pub relief: Option<f32>,
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
    /// Log heights, as high as there is room for, one picture a frame.
    pub fn new(camera: CameraPath) -> Self {
        let (azimuth, elevation) = (None, None);
        let (heights, clip, relief, passes) = (Heights::Auto, None, None, 1);
        Self { heights, clip, relief, camera, azimuth, elevation, passes }
    }

    /// Errors: [`Error::BadValue`] on numbers out of range.
    pub(in crate::render) fn check(&self) -> Result<()> {
        if let Some(relief) = self.relief.filter(|r| !(0.1..=3.0).contains(r)) {
            return Err(Error::bad_value("relief", relief, "out of range", "write 0.1 to 3"));
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
    masthead: Masthead<'a>,
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
        let count = chart::quantities(&film.strip.series).len();
        let (masthead, layout, ()) =
            Masthead::above(&film.title, &film.caption, size, theme, |size| {
                (arrange(film, &scale, size, theme.scale, count, BOARD_LINES), ())
            });
        let span = [timeline.start, timeline.end];
        let unit = film.pacing.clock.unit();
        let charts = chart::at_places(&film.strip.series, &layout, unit, span, &[]);
        let mut surfaces: Vec<(HeightField, Trail)> = film
            .panels
            .iter()
            .zip(&layout.panels)
            .map(|(panel, place)| {
                let nodes = nodes(place.frame, look.passes);
                let relief = look.relief.unwrap_or(framing::NATURAL);
                let field = HeightField::with_nodes(panel, &scale, relief, nodes);
                let trail = Trail::new(panel, film.pacing.clock, &field, &scale);
                (field, trail)
            })
            .collect();
        let way = |surfaces: &[(HeightField, Trail)]| {
            let seen = surfaces.iter().map(|(f, trail)| (f, trail.places(f64::INFINITY, 40)));
            let seen: Vec<_> = seen.collect();
            let (azimuth, elevation) = vantage::best(&seen, look.azimuth, look.elevation);
            look.camera.placed(azimuth, elevation)
        };
        let axes = |k: usize, field: &HeightField| {
            let (panel, viewport) = (&film.panels[k], layout.panels[k].frame);
            let width = box_width(viewport);
            let axes = Axes::new(panel, field, &scale, &film.value_label, &layout.font, width);
            if layout.axis_labels { axes } else { axes.without_labels() }
        };
        let mut flown = way(&surfaces);
        if look.relief.is_none() {
            let window = |(k, (field, _)): (usize, &(HeightField, Trail))| {
                let viewport = layout.panels[k].frame;
                (field.half, inside(&axes(k, field), viewport, &layout.font, layout.s))
            };
            let windows: Vec<_> = surfaces.iter().enumerate().map(window).collect();
            let relief = framing::relief(&windows, &flown);
            if relief != framing::NATURAL {
                surfaces = surfaces.into_iter().map(|(f, t)| (f.stretched(relief), t)).collect();
                // More may be hidden now.
                flown = way(&surfaces);
            }
        }
        let relief = surfaces[0].0.relief;
        let (mut stands, mut grounds) = (Vec::new(), Vec::new());
        for (k, (field, trail)) in surfaces.into_iter().enumerate() {
            let viewport = layout.panels[k].frame;
            let axes = axes(k, &field);
            let lowest = field.lowest();
            let ball = |share: f64| {
                let frame = (share * (timeline.frames - 1) as f64).round() as usize;
                trail.at(timeline.epoch(frame)).unwrap_or(lowest)
            };
            let flight = Flight::new(&flown, |_| &field, timeline.frames, ball);
            let materials = materials(theme, theme.series_color(k));
            stands.push(Stand { axes, trail, flight, materials, viewport, centre: [0.0; 2] });
            let horizon = Horizon::new(&field);
            grounds.push((field, horizon));
        }
        let focal = focus(&mut stands, &flown, relief, &layout.font, layout.s);
        let studio = Studio {
            theme,
            paint: Paint::new(theme, &scale),
            font: layout.font,
            s: layout.s,
            focal,
            passes: passes(look.passes),
        };
        Ok(Self { film, theme, layout, masthead, scale, studio, grounds, stands, charts, timeline })
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
        self.masthead.draw(canvas, layout, theme);
        for (k, (p, place)) in self.film.panels.iter().zip(&layout.panels).enumerate() {
            let key =
                (self.film.panels.len() > 1 && !p.path.is_empty()).then(|| theme.series_color(k));
            panel::draw_heading(canvas, p, place, layout, theme, key);
        }
        if let Some(place) = layout.colorbar {
            colorbar::draw_ramp(
                canvas,
                place,
                &self.film.value_label,
                layout,
                &self.scale,
                &|t| surface_color(theme, t),
                theme,
            );
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
        let (title, pacing) = (&self.film.title, &self.film.pacing);
        page::draw_over(canvas, layout, &self.charts, title, pacing, &self.timeline, frame, theme);
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
