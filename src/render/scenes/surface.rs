//! The film of surfaces: panels side by side on one scale of heights under one camera, their paths
//! growing together, charts below.

use crate::error::{Error, Result};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, Rect};
use crate::render::map::panel;
use crate::render::page::color_scale::ColorScale;
use crate::render::page::colorbar::ColorBar;
use crate::render::page::layout::Layout;
use crate::render::page::panels::{AxisLabels, Contents, PanelBox, widest_ems};
use crate::render::page::readout;
use crate::render::page::scale::LevelScale;
use crate::render::page::table;
use crate::render::page::{Body, Page, Scene, Screen};
use crate::render::scene::{ContourPanel, Film};
use crate::render::surface3d::axes::BoxAxes;
use crate::render::surface3d::flight::{CameraPath, Flight};
use crate::render::surface3d::framing;
use crate::render::surface3d::heightfield::HeightField;
use crate::render::surface3d::horizon::Horizon;
use crate::render::surface3d::scale::{self, Heights};
use crate::render::surface3d::trail::{Trail, materials};
use crate::render::surface3d::viewpoint;
use crate::render::surface3d::window::{
    FrameSurface, FrameTime, Renderer, Window, box_width, inside, nodes,
};

/// Lines of type that a read-out beside a surface takes.
const BOARD_LINES: f32 = 8.6;

/// How a surface is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceView {
    /// How heights grow with values.
    pub heights: Heights,
    /// Values above this are cut off and capped.
    pub clip: Option<f64>,
    /// The box's height; its longer side is 2. From 0.1 to 3; `None` chooses what the windows have
    /// room for.
    pub relief: Option<f32>,
    /// The camera's way.
    pub camera: CameraPath,
    /// The side that a named camera path is on, in degrees; `None` chooses the one that shows most.
    pub azimuth: Option<f64>,
    /// How high the camera is, in degrees; `None` likewise.
    pub elevation: Option<f64>,
    /// Pictures of which a frame is the mean, each with four samples a pixel: 1 to 16.
    pub passes: usize,
}

impl SurfaceView {
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
        for (key, angle) in [("azimuth", self.azimuth), ("elevation", self.elevation)] {
            if let Some(angle) = angle.filter(|a| !a.is_finite()) {
                return Err(Error::bad_value(key, angle, "not an angle", "write degrees"));
            }
        }
        if let Some(clip) = self.clip.filter(|v| v.is_nan()) {
            return Err(Error::bad_value("clip", clip, "not a value", "write a number"));
        }
        if !(1..=16).contains(&self.passes) {
            return Err(Error::bad_value("passes", self.passes, "out of range", "write 1 to 16"));
        }
        Ok(())
    }
}

/// A film of surfaces in space, made ready.
pub type SurfaceFilm<'a> = Scene<'a, Surfaces<'a>>;

/// Surfaces in their windows.
pub struct Surfaces<'a> {
    film: &'a Film,
    layout: Layout,
    scale: LevelScale,
    /// Of what colours them, where that is not their heights.
    drape: Option<(&'a str, ColorScale)>,
    renderer: Renderer<'a>,
    fields: Vec<(HeightField, Horizon)>,
    windows: Vec<Window>,
}

/// The scale of what colours the surfaces of `film` instead of their heights, with what it means.
fn drape<'a>(film: &'a Film, theme: &Theme) -> Option<(&'a str, ColorScale)> {
    let drape = film.drape.as_ref()?;
    let grids = film.panels.iter().filter_map(|panel| panel.drape.as_ref());
    let values: Vec<f64> = grids.flat_map(|grid| grid.values.iter().copied()).collect();
    let scale = ColorScale::new(&values, (drape.scaling, drape.rises), drape.range, theme);
    Some((&drape.value_label, scale))
}

/// The box of `panel`'s surface at its `place`.
pub(in crate::render) fn axes(
    page: &Page,
    (panel, place): (&ContourPanel, &PanelBox),
    field: &HeightField,
    scale: &LevelScale,
    value_label: &str,
) -> BoxAxes {
    let axes = BoxAxes::new(panel, field, scale, value_label, &page.font, box_width(place.frame));
    match (page.theme.words.scales, place.axis_labels) {
        (false, _) => axes.without_scales(field),
        (true, AxisLabels::Own) => axes,
        (true, labels) => axes.with_labels(labels.of(panel)),
    }
}

/// The colour bar of surfaces.
pub(in crate::render) fn draw_bar(
    canvas: &mut dyn Canvas,
    bar: Option<Rect>,
    (title, scale): (&str, &LevelScale),
    page: &Page,
) {
    if let Some(bar) = bar {
        let shade = |place| page.theme.relief.at(place);
        ColorBar::ramp(title, scale, page.theme, shade).draw(canvas, bar, page, true);
    }
}

impl<'a> SurfaceFilm<'a> {
    /// Makes `film` ready for a picture of `size` pixels in `frames` frames.
    ///
    /// Errors: [`Error::Render`] on a film without panels or with a grid that cannot be drawn,
    /// [`Error::BadValue`] on a look out of range.
    pub fn new(
        film: &'a Film,
        look: &SurfaceView,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        film.check()?;
        look.check()?;
        let values: Vec<f64> =
            film.panels.iter().flat_map(|p| p.grid.values.iter().copied()).collect();
        let scale =
            scale::scale(&values, look.heights, look.clip, &film.levels)?.resolved(&film.cells());
        let drape = drape(film, theme);
        let (bar_title, bar_label_ems) = match &drape {
            None => (film.value_label.as_str(), widest_ems(&scale.labels())),
            Some((title, scale)) => (*title, scale.bar_label_ems(title)),
        };
        // The layout of windows asks for no domain.
        let table = Some(&film.table);
        let contents = Contents { panels: &film.panels, domains: &[], bar_label_ems, table };
        let screen = Screen { theme, size, frames, fps };
        // Words are few beside a surface alone, and may be large.
        let least = if theme.words.scales { 18.0 } else { 9.0 };
        let (page, layout) =
            Page::laid_out(film.page_spec(), film.times(), screen, least, |page| {
                Layout::windows(page, &contents, bar_title, BOARD_LINES)
            });
        let mut surfaces: Vec<(HeightField, Trail)> = film
            .panels
            .iter()
            .zip(&layout.panels)
            .map(|(panel, place)| {
                let nodes = nodes(place.frame, look.passes);
                let relief = look.relief.unwrap_or(framing::NATURAL);
                let mut field = HeightField::with_nodes(panel, &scale, relief, nodes);
                if let (Some(grid), Some((_, colors))) = (&panel.drape, &drape) {
                    field = field.draped(panel, grid, |value| colors.share(value));
                }
                let trail = Trail::new(panel, &field, &scale);
                (field, trail)
            })
            .collect();
        let way = |surfaces: &[(HeightField, Trail)]| {
            let seen = surfaces.iter().map(|(field, trail)| trail.stand(field, f64::INFINITY));
            let seen: Vec<_> = seen.collect();
            let (azimuth, elevation) = viewpoint::best(&seen, look.azimuth, look.elevation);
            look.camera.placed(azimuth, elevation)
        };
        let axes = |k: usize, field: &HeightField| {
            let panel = (&film.panels[k], &layout.panels[k]);
            axes(&page, panel, field, &scale, &film.value_label)
        };
        let mut flown = way(&surfaces);
        if look.relief.is_none() {
            let window = |(k, (field, _)): (usize, &(HeightField, Trail))| {
                let viewport = layout.panels[k].frame;
                (field.half, inside(&axes(k, field), viewport, &page.font, page.px_scale))
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
        let (mut windows, mut fields) = (Vec::new(), Vec::new());
        for (k, (field, trail)) in surfaces.into_iter().enumerate() {
            let viewport = layout.panels[k].frame;
            let axes = axes(k, &field);
            let lowest = field.lowest();
            let timeline = &page.timeline;
            let marker = |share: f64| {
                let frame = (share * (timeline.frames - 1) as f64).round() as usize;
                trail.at(timeline.epoch(frame)).unwrap_or(lowest)
            };
            let flight = Flight::new(&flown, |_| &field, timeline.frames, marker);
            let materials = materials(theme, theme.series_color(k));
            windows.push(Window { axes, trail, flight, materials, viewport, centre: [0.0; 2] });
            let horizon = Horizon::new(&field);
            fields.push((field, horizon));
        }
        let type_sizes = (page.font, page.px_scale);
        let passes = look.passes;
        let mut renderer =
            Renderer::new(theme, &scale, type_sizes, &mut windows, &flown, relief, passes);
        if let Some((_, colors)) = &drape {
            renderer = renderer.draped(colors);
        }
        let body = Surfaces { film, layout, scale, drape, renderer, fields, windows };
        Ok(Self { page, body })
    }
}

impl Body for Surfaces<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let film = self.film;
        for (k, (p, place)) in film.panels.iter().zip(&self.layout.panels).enumerate() {
            let keyed = film.panels.len() > 1 && !p.path.is_empty() && !p.title.is_empty();
            let key = keyed.then(|| page.theme.series_color(k));
            panel::draw_heading(canvas, p, place, page, key);
        }
        table::draw(canvas, &film.table, &self.layout.panels, page);
        match (&self.drape, self.layout.colorbar) {
            (Some((title, scale)), Some(bar)) => {
                scale.bar(title, bar, page).draw(canvas, bar, page, true)
            }
            (_, bar) => draw_bar(canvas, bar, (&film.value_label, &self.scale), page),
        }
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let time = page.timeline.epoch(frame);
        let now = FrameTime::new(frame, page.timeline.frames, time, 0.25 * page.span());
        for (k, (p, window)) in self.film.panels.iter().zip(&self.windows).enumerate() {
            let (field, horizon) = &self.fields[k];
            let light = |azimuth, elevation| horizon.light(azimuth, elevation);
            let surface = FrameSurface { field, light: &light, between: 0.0 };
            window.draw(canvas, &self.renderer, &surface, now, page.theme.series_color(k));
            if let Some(place) = self.layout.panels[k].readout {
                let rows = readout::rows(&p.path, page.clock(), time, page.span());
                readout::draw(canvas, place, &rows, page);
            }
        }
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        self.film.texts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::canvas::color::Color;
    use crate::render::film::show;
    use crate::render::scene::{Grid, PathPoint};
    use crate::render::surface3d::camera::{Camera, OVERVIEW};
    use crate::render::surface3d::trail::Sizes;

    /// A surface of `loss` on a square, with a path from a corner to its middle in `bend`.
    fn panel(loss: impl Fn(f64, f64) -> f64, bend: f64) -> ContourPanel {
        let xs: Vec<f64> = (0..41).map(|i| f64::from(i) / 20.0 - 1.0).collect();
        let values =
            xs.iter().flat_map(|&y| xs.iter().map(move |&x| (x, y))).map(|(x, y)| loss(x, y));
        let path = (0..=24).map(|i| {
            let t = f64::from(i) / 24.0;
            let far = (1.0 - t).powi(2);
            let (x, y) = (0.75 * far, 0.65 * far + bend * t * (1.0 - t));
            PathPoint {
                epoch: t,
                time: t,
                x,
                y,
                true_loss: loss(x, y),
                plane_loss: Some(loss(x, y)),
                lr: 0.1,
                ..PathPoint::default()
            }
        });
        ContourPanel {
            path: path.collect(),
            grid: Grid { values: values.collect(), ys: xs.clone(), xs, interpolated: None },
            ..ContourPanel::default()
        }
    }

    /// Surfaces whose minimum is hard to look into: a deep hole in a plain, a well inside a crater's
    /// wall, a narrow trench, and a hole among peaks.
    fn deep_valleys() -> Vec<ContourPanel> {
        let hole = |x: f64, y: f64| {
            10f64.powf(1.0 - 4.0 * (-(x * x + 1.4 * y * y) / 0.03).exp() + 0.1 * x)
        };
        let crater = |x: f64, y: f64| {
            let r = x.hypot(y);
            10f64.powf(-2.0 + 9.0 * r.min(0.35) + 1.2 * (-((r - 0.35) / 0.08).powi(2)).exp())
        };
        let trench =
            |x: f64, y: f64| 10f64.powf(-2.0 + 3.0 * (1.0 - (-(y / 0.12).powi(2)).exp()) + 0.4 * x);
        let peaks = |x: f64, y: f64| {
            let rugged = (9.0 * x).sin() * (8.0 * y).cos();
            10f64.powf(0.5 + 0.8 * rugged - 3.0 * (-(x * x + y * y) / 0.02).exp())
        };
        vec![panel(hole, 0.0), panel(crater, 0.3), panel(trench, 0.0), panel(peaks, -0.4)]
    }

    /// How far two colours are apart but for their lightness, which light and shade change.
    fn tint(a: [u8; 3], b: Color) -> f32 {
        let lab = |c: Color| c.oklab();
        let (a, b) = (lab(Color { r: a[0], g: a[1], b: a[2], a: 255 }), lab(b));
        (a[1] - b[1]).hypot(a[2] - b[2])
    }

    /// The share of the marker and of the newest third of the path whose colour is in the picture where they
    /// are.
    fn seen(film: &SurfaceFilm, k: usize, frame: usize, rgba: &[u8]) -> [f32; 2] {
        let (body, page) = (&film.body, &film.page);
        let (window, field) = (&body.windows[k], &body.fields[k].0);
        let time = page.timeline.epoch(frame);
        let now = FrameTime::new(frame, page.timeline.frames, time, 1.0);
        let view = window.flight.view(now.frame, now.share);
        let camera = Camera::new(&view, body.renderer.focal, window.centre);
        let sizes = Sizes::new(page.px_scale, body.renderer.focal / OVERVIEW, 1.0);
        let places = window.trail.guarded(field, time, &sizes, view.eye);
        let width = page.rect.w as usize;
        let color = page.theme.series_color(k);
        let height = page.rect.h as i32;
        let colored = |x: i32, y: i32| {
            if !(0..width as i32).contains(&x) || !(0..height).contains(&y) {
                return false;
            }
            let i = 4 * (y as usize * width + x as usize);
            tint([rgba[i], rgba[i + 1], rgba[i + 2]], color) < 0.10
        };
        let near = |at: [f32; 3], reach: i32| {
            let Some([x, y, _]) = camera.project(at) else { return false };
            let (x, y) = (x as i32, y as i32);
            (-reach..=reach).any(|dx| (-reach..=reach).any(|dy| colored(x + dx, y + dy)))
        };
        let (marker, rest) = places.split_last().unwrap();
        // The beads are white: a point of the tube is looked for around.
        let path = rest.iter().filter(|p| near(p.at, 4)).count() as f32 / rest.len().max(1) as f32;
        [if near(marker.at, 1) { 1.0 } else { 0.0 }, path]
    }

    #[test]
    fn six_surfaces_are_not_tiny() {
        let labelled = |valley: ContourPanel| ContourPanel {
            title: "ResNet-32".into(),
            subtitle: "test accuracy 93.9 %".into(),
            x_label: "PC1 (82.8 %)".into(),
            y_label: "PC2 (10.3 %)".into(),
            ..valley
        };
        let panels: Vec<ContourPanel> =
            deep_valleys().into_iter().cycle().take(6).map(labelled).collect();
        let film = Film { panels, value_label: "training loss".into(), ..Film::default() };
        let look = SurfaceView::new(CameraPath::preset("sway").unwrap());
        let theme = Theme::light();
        let film = SurfaceFilm::new(&film, &look, &theme, [1280, 720], 40, 10).unwrap();
        for window in &film.body.windows {
            let view = window.flight.view(39, 1.0);
            let camera = Camera::new(&view, film.body.renderer.focal, window.centre);
            let seen: Vec<f32> = window
                .axes
                .corners()
                .iter()
                .filter_map(|&p| camera.project(p).map(|[x, _, _]| x))
                .collect();
            let width = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max)
                - seen.iter().copied().fold(f32::INFINITY, f32::min);
            assert!(width > 0.45 * window.viewport.w, "{width} of {}", window.viewport.w);
        }
    }

    #[test]
    fn marker_and_newest_third_of_the_path_are_seen_in_every_held_frame_of_every_camera() {
        let mut unseen = Vec::new();
        for (name, theme) in [("light", Theme::light()), ("dark", Theme::dark())] {
            for (k, valley) in deep_valleys().into_iter().enumerate() {
                let film = Film { panels: vec![valley], hold_secs: 1.0, ..Film::default() };
                for camera in CameraPath::PRESETS {
                    let look = SurfaceView::new(CameraPath::preset(camera).unwrap());
                    let film = SurfaceFilm::new(&film, &look, &theme, [640, 360], 40, 10).unwrap();
                    let backdrop = show::backdrop(&film).unwrap();
                    for frame in [30, 33, 36, 39] {
                        let picture = show::frame(&film, &backdrop, frame).unwrap();
                        let [marker, path] = seen(&film, 0, frame, picture.rgba());
                        if marker < 1.0 || path < 0.8 {
                            unseen.push(format!("{name} {k} {camera} {frame}: {marker} {path}"));
                        }
                    }
                }
            }
        }
        assert!(unseen.is_empty(), "{} unseen:\n{}", unseen.len(), unseen.join("\n"));
    }

    #[test]
    fn in_a_page_of_four_each_marker_and_the_newest_third_of_each_path_are_seen() {
        let mut unseen = Vec::new();
        for (name, theme) in [("light", Theme::light()), ("dark", Theme::dark())] {
            let film = Film { panels: deep_valleys(), hold_secs: 1.0, ..Film::default() };
            for camera in CameraPath::PRESETS {
                let look = SurfaceView::new(CameraPath::preset(camera).unwrap());
                let film = SurfaceFilm::new(&film, &look, &theme, [1280, 720], 40, 10).unwrap();
                let backdrop = show::backdrop(&film).unwrap();
                for frame in [30, 39] {
                    let picture = show::frame(&film, &backdrop, frame).unwrap();
                    for k in 0..4 {
                        let [marker, path] = seen(&film, k, frame, picture.rgba());
                        if marker < 1.0 || path < 0.8 {
                            unseen.push(format!("{name} {k} {camera} {frame}: {marker} {path}"));
                        }
                    }
                }
            }
        }
        assert!(unseen.is_empty(), "{} unseen:\n{}", unseen.len(), unseen.join("\n"));
    }
}
