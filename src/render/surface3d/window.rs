//! One surface in its window: the box, the sheet, what lies on it, as a frame's camera sees them.

use super::axes::{BoxAxes, Ink};
use super::camera::{Camera, OVERVIEW, Viewpoint, fit, middle};
use super::flight::{CameraPath, Flight};
use super::glass::Glass;
use super::heightfield::HeightField;
use super::horizon::LightMap;
use super::orientation;
use super::paint::{Light, Paint};
use super::picture::{self, Subject};
use super::shade::Lamps;
use super::trail::{Drawn, Sizes, Trail};
use super::vec3::Vec3;
use crate::render::canvas::color::Color;
use crate::render::canvas::text::Type;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};
use crate::render::page::color_scale::ColorScale;
use crate::render::page::scale::LevelScale;

/// One surface in its window, made ready.
pub struct Window {
    /// The box.
    pub axes: BoxAxes,
    /// The path.
    pub trail: Trail,
    /// The camera's way.
    pub flight: Flight,
    /// The colours of what lies on the surface.
    pub materials: Vec<Light>,
    /// The window.
    pub viewport: Rect,
    /// The pixel that the camera's target falls on.
    pub centre: [f32; 2],
}

/// What all windows of a picture are drawn with.
pub struct Renderer<'a> {
    /// Colours of everything but the surface.
    pub theme: &'a Theme,
    /// The surface's.
    pub paint: Paint,
    /// Sizes of type.
    pub font: Type,
    /// Pixels a design pixel.
    pub px_scale: f32,
    /// The lens, in pixels.
    pub focal: f32,
    /// Pictures of which one is the mean, each moved by parts of a pixel.
    pub passes: Vec<[f32; 2]>,
}

/// The surface of a frame.
pub struct FrameSurface<'a> {
    /// Its heights.
    pub field: &'a HeightField,
    /// Its sky and light under a lamp at an azimuth and an elevation (radians).
    pub light: &'a dyn Fn(f32, f32) -> LightMap,
    /// How far it is from one that was evaluated, 0 to 1: it pales.
    pub between: f32,
}

/// When a frame is.
#[derive(Debug, Clone, Copy)]
pub struct FrameTime {
    /// Its number.
    pub frame: usize,
    /// Its share of the film.
    pub share: f64,
    /// How far the path is, in its clock's unit.
    pub time: f64,
    /// For how long its tail fades, likewise.
    pub fade: f64,
}

impl FrameTime {
    /// Frame `frame` of `frames`, the path at `time` with a tail that fades for `fade`.
    pub fn new(frame: usize, frames: usize, time: f64, fade: f64) -> Self {
        let share = if frames == 1 { 1.0 } else { frame as f64 / (frames - 1) as f64 };
        Self { frame, share, time, fade }
    }
}

/// About how wide the boxes in a window `frame` large are.
pub fn box_width(frame: Rect) -> f32 {
    0.75 * frame.w.min(1.6 * frame.h)
}

/// Nodes of a height field for that window: about one for every one and a half pixels, more for
/// means of `passes` pictures.
pub fn nodes(frame: Rect, passes: usize) -> usize {
    ((0.7 * box_width(frame) * (passes as f32).sqrt()) as usize).max(200)
}

/// Parts of a pixel by which `n` pictures are moved.
fn passes(n: usize) -> Vec<[f32; 2]> {
    (0..n)
        .map(|i| {
            // Even over the pixel in both directions (the R2 sequence, Roberts 2018).
            let at = |k: f32| if n == 1 { 0.0 } else { ((i as f32 + 0.5) * k).fract() - 0.5 };
            [0.5 * at(0.754_877_7), 0.5 * at(0.569_840_3)]
        })
        .collect()
}

impl<'a> Renderer<'a> {
    /// The renderer of `windows` with one lens, the longest that shows every box whole; sets where their
    /// middles are. `way` is the camera's, `relief` the boxes' height, a frame the mean of `n`
    /// pictures.
    pub fn new(
        theme: &'a Theme,
        scale: &LevelScale,
        (font, px_scale): (Type, f32),
        windows: &mut [Window],
        way: &CameraPath,
        relief: f32,
        n: usize,
    ) -> Self {
        let focal = focus(windows, way, relief, &font, px_scale);
        Self { theme, paint: Paint::new(theme, scale), font, px_scale, focal, passes: passes(n) }
    }

    /// The same for surfaces that something else than their heights colours.
    pub(in crate::render) fn draped(self, scale: &ColorScale) -> Self {
        Self { paint: self.paint.draped(|place| scale.color_at(place)), ..self }
    }
}

/// What labels leave of a window: left, top, right, bottom in pixels.
pub fn inside(axes: &BoxAxes, v: Rect, font: &Type, px_scale: f32) -> [f32; 4] {
    let [left, top, right, bottom] = axes.room(font, px_scale);
    [v.x + left, v.y + top, v.right() - right, v.bottom() - bottom]
}

/// One lens for all of `windows`, the longest that shows every box whole; sets where their middles
/// are. `relief` is the boxes' height.
fn focus(windows: &mut [Window], way: &CameraPath, relief: f32, font: &Type, px_scale: f32) -> f32 {
    let views = way.overviews(middle(relief));
    let fits: Vec<(f32, [f32; 2])> = windows
        .iter()
        .map(|window| {
            let inside = inside(&window.axes, window.viewport, font, px_scale);
            fit(&views, &window.axes.corners(), inside)
        })
        .collect();
    let focal = fits.iter().map(|f| f.0).fold(f32::INFINITY, f32::min);
    for (window, (own, centre)) in windows.iter_mut().zip(fits) {
        // Around the middle of its own fit when another box's lens is shorter.
        let v = window.viewport;
        let middle = [v.x + 0.5 * v.w, v.y + 0.5 * v.h];
        window.centre = [0, 1].map(|k| middle[k] + (centre[k] - middle[k]) * focal / own);
    }
    focal
}

/// What is written where the near side of the surface is drawn as glass.
const THINNED: &str = "near side thinned";

impl Window {
    /// Draws the window; the path has `color`.
    pub fn draw(
        &self,
        canvas: &mut dyn Canvas,
        renderer: &Renderer,
        surface: &FrameSurface,
        when: FrameTime,
        color: Color,
    ) {
        let (theme, px_scale) = (renderer.theme, renderer.px_scale);
        let view = self.flight.view(when.frame, when.share);
        let camera = Camera::new(&view, renderer.focal, self.centre);
        let whole =
            self.axes.corners().iter().all(|&p| {
                camera.project(p).is_some_and(|[x, y, _]| self.viewport.contains(x, y, 0.0))
            });
        let font = renderer.font;
        let sheet = (surface.field, view.eye);
        let ink = Ink {
            theme,
            font,
            px_scale,
            strength: 1.0 - view.follow,
            window: self.viewport,
            sheet,
        };
        if !whole {
            canvas.set_clip(Some(self.viewport));
        }
        self.axes.draw_behind(canvas, &camera, &ink);
        let drawn = self.draw_picture(canvas, renderer, surface, &view, &camera, when);
        if let Some(ends) = drawn.below {
            draw_below(canvas, &camera, ends, color, renderer);
        }
        self.axes.draw_before(canvas, &camera, &ink);
        canvas.set_clip(None);
        let map = orientation::place(self.viewport, surface.field, px_scale);
        if let Some(map) = map.filter(|_| view.follow > 0.01) {
            let (place, on) = ((map, px_scale), (surface.field, &self.trail));
            orientation::draw(canvas, place, on, &view, when.time, (theme, color));
        }
        // What is not drawn as it is, is said.
        let style = TextStyle::new(font.small, theme.muted.alpha(drawn.thinned.min(1.0)));
        let v = self.viewport;
        if drawn.thinned > 0.2 && v.w > 2.5 * style.width(THINNED) {
            canvas.text(THINNED, v.right(), v.y + font.small, &style.align(Align::Right));
        }
    }

    fn draw_picture(
        &self,
        canvas: &mut dyn Canvas,
        renderer: &Renderer,
        surface: &FrameSurface,
        view: &Viewpoint,
        camera: &Camera,
        when: FrameTime,
    ) -> Drawn {
        let [azimuth, elevation] = Lamps::new(view).angles;
        let mut light = (surface.light)(azimuth, elevation);
        // Sizes are pixels of the overview: what comes near gets larger.
        let unit = renderer.focal / OVERVIEW;
        let px_scale = renderer.px_scale;
        let sizes = Sizes::new(px_scale, unit, when.fade);
        let mut drawn = self.trail.draw(surface.field, &mut light, when.time, &sizes);
        if !renderer.theme.words.scales {
            drawn.drop_floor();
        }
        let v = self.viewport;
        let local = camera.shifted([-v.x, -v.y]);
        let size = [v.w as usize, v.h as usize];
        let guarded = self.trail.guarded(surface.field, when.time, &sizes, view.eye);
        let glass = Glass::before(&guarded, &local, size, unit);
        drawn.thinned = guarded.iter().map(|g| g.covered).fold(0.0, f32::max);
        let scene = Subject {
            field: surface.field,
            light: &light,
            paint: &renderer.paint,
            between: surface.between,
            solids: &drawn.solids,
            materials: &self.materials,
            px_scale,
            quad: if renderer.passes.len() > 1 { 1.6 } else { 4.0 } / unit,
            stripes: (9.0 * px_scale).max(5.0) / unit,
            glass: glass.as_ref(),
            floor: renderer.theme.words.scales,
        };
        let rgba = picture::draw(&scene, view, &local, size, &renderer.passes);
        canvas.image(&rgba, size[0] as u32, size[1] as u32, v);
        drawn
    }
}

/// The way down to a true loss below the surface, dashed as it is inside the hill.
fn draw_below(
    canvas: &mut dyn Canvas,
    camera: &Camera,
    [from, to]: [Vec3; 2],
    color: Color,
    renderer: &Renderer,
) {
    let px_scale = renderer.px_scale;
    let Some(ends) = camera.project_segment(from, to) else { return };
    let dash = Some([5.0 * px_scale, 4.0 * px_scale]);
    let casing = renderer.theme.casing.alpha(0.8);
    let line = |color, width: f32| Stroke { color, width, dash: None, cap: Cap::Round };
    canvas.line(&ends, &line(casing, (4.0 * px_scale).max(2.0)));
    canvas.line(&ends, &Stroke { dash, cap: Cap::Butt, ..line(color, (2.0 * px_scale).max(1.0)) });
    let (x, y) = ends[1];
    for (radius, color) in
        [(6.4, renderer.theme.casing), (5.2, color), (2.8, renderer.theme.casing)]
    {
        canvas.disc(x, y, (radius * px_scale).max(0.4 * radius), color);
    }
}
