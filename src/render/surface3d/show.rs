//! The film of surfaces: panels side by side on one scale of heights under one camera, their paths
//! growing together, charts below.

use tiny_skia::PathBuilder;

use super::axes::{Axes, Ink};
use super::bar;
use super::camera::{Camera, OVERVIEW, View, fit};
use super::flight::{CameraPath, Flight};
use super::framing;
use super::heightfield::HeightField;
use super::horizon::Horizon;
use super::paint::{Light, Paint};
use super::picture::{self, Scene};
use super::place::arrange;
use super::scale::{self, Heights};
use super::shade::Lamps;
use super::trail::{Drawn, Sizes, Trail, materials};
use super::vantage;
use crate::error::{Error, Result};
use crate::render::canvas::{Canvas, Cap, Rect, Stroke};
use crate::render::chart::{self, Chart};
use crate::render::layout::Layout;
use crate::render::masthead::Masthead;
use crate::render::page::{self, Corner};
use crate::render::panel;
use crate::render::readout;
use crate::render::scale::LevelScale;
use crate::render::scene::Film;
use crate::render::show::Show;
use crate::render::theme::Theme;
use crate::render::timeline::Timeline;

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
}

/// One surface made ready.
struct Stand {
    field: HeightField,
    horizon: Horizon,
    axes: Axes,
    trail: Trail,
    flight: Flight,
    materials: Vec<Light>,
    viewport: Rect,
    centre: [f32; 2],
}

/// A film of surfaces made ready. Draws any frame on any canvas.
pub struct SurfaceFilm<'a> {
    film: &'a Film,
    theme: &'a Theme,
    layout: Layout,
    masthead: Masthead<'a>,
    scale: LevelScale,
    paint: Paint,
    stands: Vec<Stand>,
    charts: Vec<Chart<'a>>,
    timeline: Timeline,
    focal: f32,
    passes: Vec<[f32; 2]>,
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
        if let Some(relief) = look.relief.filter(|r| !(0.1..=3.0).contains(r)) {
            return Err(Error::bad_value("relief", relief, "out of range", "write 0.1 to 3"));
        }
        if !(1..=16).contains(&look.passes) {
            return Err(Error::bad_value("passes", look.passes, "out of range", "write 1 to 16"));
        }
        film.panels.iter().try_for_each(|p| p.grid.check())?;
        let values: Vec<f64> =
            film.panels.iter().flat_map(|p| p.grid.values.iter().copied()).collect();
        let scale = scale::scale(&values, look.heights, look.clip)?;
        let timeline = Timeline::new(film, frames, f64::from(fps));
        let quantities = chart::quantities(&film.strip.series);
        let (masthead, layout, ()) =
            Masthead::above(&film.title, &film.caption, size, theme, |size| {
                (arrange(film, &scale, size, theme.scale, quantities.len()), ())
            });
        let mut charts: Vec<Chart> = quantities
            .into_iter()
            .zip(&layout.charts)
            .map(|(quantity, rect)| {
                let unit = film.pacing.clock.unit();
                Chart::new(&film.strip.series, quantity, *rect, unit, layout.font, layout.s)
                    .spanning([timeline.start, timeline.end])
            })
            .collect();
        chart::align(&mut charts);
        let mut surfaces: Vec<(HeightField, Trail)> = film
            .panels
            .iter()
            .zip(&layout.panels)
            .map(|(panel, place)| {
                // About a node for every one and a half pixels, more for stills.
                let pixels = 0.75 * place.frame.w.min(1.6 * place.frame.h);
                let nodes = (0.7 * pixels * (look.passes as f32).sqrt()) as usize;
                let relief = look.relief.unwrap_or(framing::NATURAL);
                let field = HeightField::with_nodes(panel, &scale, relief, nodes.max(200));
                let trail = Trail::new(panel, film.pacing.clock, &field, &scale);
                (field, trail)
            })
            .collect();
        let way = |surfaces: &[(HeightField, Trail)]| {
            let seen: Vec<_> = surfaces.iter().map(|(field, trail)| (field, trail)).collect();
            let (azimuth, elevation) = vantage::best(&seen, look.azimuth, look.elevation);
            look.camera.placed(azimuth, elevation)
        };
        let axes = |(k, field): (usize, &HeightField)| {
            let (panel, viewport) = (&film.panels[k], layout.panels[k].frame);
            let width = 0.75 * viewport.w.min(1.6 * viewport.h);
            let axes = Axes::new(panel, field, &scale, &film.value_label, &layout.font, width);
            if layout.axis_labels { axes } else { axes.without_labels() }
        };
        let inside = |axes: &Axes, v: Rect| {
            let [left, top, right, bottom] = axes.room(&layout.font, layout.s);
            [v.x + left, v.y + top, v.right() - right, v.bottom() - bottom]
        };
        let mut flown = way(&surfaces);
        if look.relief.is_none() {
            let window = |(k, (field, _)): (usize, &(HeightField, Trail))| {
                (field.half, inside(&axes((k, field)), layout.panels[k].frame))
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
        let mut stands: Vec<Stand> = surfaces
            .into_iter()
            .zip(&layout.panels)
            .enumerate()
            .map(|(k, ((field, trail), place))| {
                let horizon = Horizon::new(&field);
                let viewport = place.frame;
                let axes = axes((k, &field));
                let lowest = field.lowest();
                let ball = |share: f64| {
                    let frame = (share * (timeline.frames - 1) as f64).round() as usize;
                    trail.at(timeline.epoch(frame)).unwrap_or(lowest)
                };
                let flight = Flight::new(&flown, &field, timeline.frames, ball);
                let materials = materials(theme, theme.series_color(k));
                let centre = [0.0; 2];
                Stand { field, horizon, axes, trail, flight, materials, viewport, centre }
            })
            .collect();
        // One camera: the longest lens that shows every box whole.
        let views = flown.overviews(framing::middle(relief));
        let fits: Vec<(f32, [f32; 2])> = stands
            .iter()
            .map(|stand| {
                let inside = inside(&stand.axes, stand.viewport);
                fit(&views, &stand.axes.corners(), inside)
            })
            .collect();
        let focal = fits.iter().map(|f| f.0).fold(f32::INFINITY, f32::min);
        for (stand, (own, centre)) in stands.iter_mut().zip(fits) {
            // Around the middle of its own fit when another box's lens is shorter.
            let v = stand.viewport;
            let middle = [v.x + 0.5 * v.w, v.y + 0.5 * v.h];
            stand.centre = [0, 1].map(|k| middle[k] + (centre[k] - middle[k]) * focal / own);
        }
        let n = look.passes;
        let passes = (0..n)
            .map(|i| {
                // Even over the pixel in both directions (the R2 sequence, Roberts 2018).
                let at = |k: f32| if n == 1 { 0.0 } else { ((i as f32 + 0.5) * k).fract() - 0.5 };
                [0.5 * at(0.754_877_7), 0.5 * at(0.569_840_3)]
            })
            .collect();
        let paint = Paint::new(theme, &scale);
        Ok(Self {
            film,
            theme,
            layout,
            masthead,
            scale,
            paint,
            stands,
            charts,
            timeline,
            focal,
            passes,
        })
    }

    fn share(&self, frame: usize) -> f64 {
        frame as f64 / (self.timeline.frames - 1).max(1) as f64
    }

    /// One panel of `frame`, without what stands on the page.
    fn draw_stand(&self, canvas: &mut dyn Canvas, stand: &Stand, frame: usize, index: usize) {
        let (theme, s) = (self.theme, self.layout.s);
        let share = if self.timeline.frames == 1 { 1.0 } else { self.share(frame) };
        let view = stand.flight.view(frame, share);
        let camera = Camera::new(&view, self.focal, stand.centre);
        let whole = stand.axes.corners().iter().all(|&p| {
            camera.project(p).is_some_and(|[x, y, _]| stand.viewport.contains(x, y, 0.0))
        });
        let (font, window) = (self.layout.font, stand.viewport);
        let ink = Ink { theme, font, s, strength: 1.0 - view.follow, window };
        if !whole {
            canvas.set_clip(Some(stand.viewport));
        }
        stand.axes.draw_behind(canvas, &camera, &ink);
        let drawn = self.picture(canvas, stand, &view, &camera, frame);
        if let Some([from, to]) = drawn.below {
            self.draw_below(canvas, &camera, [from, to], theme.series_color(index));
        }
        // A ball behind a hill is hidden, but a reader should know where to look for it.
        let hidden = drawn.ball.filter(|&p| !vantage::visible(&stand.field, p, view.eye));
        if let Some([x, y, _]) = hidden.and_then(|p| camera.project(p)) {
            let ring = PathBuilder::from_circle(x, y, (8.0 * s).max(3.0));
            let dash = Some([3.4 * s, 3.0 * s]);
            let line = |color, width: f32| Stroke { dash, ..Stroke::solid(color, width) };
            if let Some(ring) = ring {
                let color = theme.series_color(index);
                canvas.stroke(&ring, &line(theme.casing.alpha(0.6), (3.2 * s).max(1.6)));
                canvas.stroke(&ring, &line(color.alpha(0.9), (1.6 * s).max(0.9)));
            }
        }
        stand.axes.draw_before(canvas, &camera, &ink);
        canvas.set_clip(None);
    }

    fn picture(
        &self,
        canvas: &mut dyn Canvas,
        stand: &Stand,
        view: &View,
        camera: &Camera,
        frame: usize,
    ) -> Drawn {
        let [azimuth, elevation] = Lamps::new(view).angles;
        let mut light = stand.horizon.light(azimuth, elevation);
        // Sizes are pixels of the overview: what comes near gets larger.
        let unit = self.focal / OVERVIEW;
        let s = self.layout.s;
        let sizes = Sizes {
            tube: (3.1 * s).max(1.3) / unit,
            ball: (9.0 * s).max(3.0) / unit,
            fade: 0.25 * (self.timeline.end - self.timeline.start),
        };
        let epoch = self.timeline.epoch(frame);
        let drawn = stand.trail.draw(&stand.field, &mut light, epoch, &sizes);
        let scene = Scene {
            field: &stand.field,
            light: &light,
            paint: &self.paint,
            solids: &drawn.solids,
            materials: &stand.materials,
            s,
            quad: if self.passes.len() > 1 { 1.6 } else { 2.8 } / unit,
            stripes: (9.0 * s).max(5.0) / unit,
        };
        let v = stand.viewport;
        let local = camera.shifted([-v.x, -v.y]);
        let size = [v.w as usize, v.h as usize];
        let rgba = picture::draw(&scene, view, &local, size, &self.passes);
        canvas.image(&rgba, size[0] as u32, size[1] as u32, v);
        drawn
    }

    /// The way down to a true loss below the surface, dashed as it is inside the hill.
    fn draw_below(
        &self,
        canvas: &mut dyn Canvas,
        camera: &Camera,
        [from, to]: [[f32; 3]; 2],
        color: crate::render::color::Color,
    ) {
        let s = self.layout.s;
        let Some(ends) = camera.project_segment(from, to) else { return };
        let dash = Some([5.0 * s, 4.0 * s]);
        let casing = self.theme.casing.alpha(0.8);
        let line = |color, width: f32| Stroke { color, width, dash: None, cap: Cap::Round };
        canvas.line(&ends, &line(casing, (4.0 * s).max(2.0)));
        canvas.line(&ends, &Stroke { dash, cap: Cap::Butt, ..line(color, (2.0 * s).max(1.0)) });
        let (x, y) = ends[1];
        for (radius, color) in [(6.4, self.theme.casing), (5.2, color), (2.8, self.theme.casing)] {
            canvas.disc(x, y, (radius * s).max(0.4 * radius), color);
        }
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
        for (k, (p, stand)) in self.film.panels.iter().zip(&self.stands).enumerate() {
            self.draw_stand(canvas, stand, frame, k);
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
