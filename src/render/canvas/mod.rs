//! The drawing layer: a few primitives with three implementations, pixels (`raster`) and vectors
//! (`svg`, `pdf`). Coordinates are pixels, y down, pixel centres at halves.

pub mod color;
pub mod colormaps;
pub(crate) mod dirty;
pub(crate) mod pdf;
pub(crate) mod png;
pub(crate) mod raster;
pub(crate) mod svg;
pub(crate) mod text;
pub use text::add_fallback;
pub mod theme;
mod theme_file;

use tiny_skia::{Path, PathBuilder};

use crate::render::canvas::color::Color;
use crate::render::canvas::text::Weight;

/// An axis-parallel rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl Rect {
    /// The rectangle from its left, top, width and height.
    pub fn new(x: f32, y: f32, w: f32, h: f32) -> Self {
        Self { x, y, w, h }
    }

    /// Right edge.
    pub fn right(&self) -> f32 {
        self.x + self.w
    }

    /// Bottom edge.
    pub fn bottom(&self) -> f32 {
        self.y + self.h
    }

    /// Whether `(x, y)` lies inside by at least `margin`.
    pub fn contains(&self, x: f32, y: f32, margin: f32) -> bool {
        x >= self.x + margin
            && x <= self.right() - margin
            && y >= self.y + margin
            && y <= self.bottom() - margin
    }

    /// Its corners in order, the first one again at the end.
    pub fn outline(&self) -> [(f32, f32); 5] {
        let (x, y, right, bottom) = (self.x, self.y, self.right(), self.bottom());
        [(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]
    }

    /// As a path.
    pub fn path(&self) -> Option<Path> {
        let rect = tiny_skia::Rect::from_xywh(self.x, self.y, self.w.max(0.0), self.h.max(0.0))?;
        Some(PathBuilder::from_rect(rect))
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    /// Colour with alpha.
    pub color: Color,
    /// Width in pixels.
    pub width: f32,
    /// Lengths of dash and gap.
    pub dash: Option<[f32; 2]>,
    /// How the ends look; joins are always round.
    pub cap: Cap,
}

/// The ends of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// Cut at the end point.
    Butt,
    /// Half a disc beyond it.
    Round,
}

impl Stroke {
    /// A solid line with cut ends.
    pub fn solid(color: Color, width: f32) -> Self {
        Self { color, width, dash: None, cap: Cap::Butt }
    }
}

/// Where a text's anchor point is along its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// The text begins there.
    Left,
    /// The text is centred there.
    Center,
    /// The text ends there.
    Right,
}

/// How a text is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextStyle {
    /// Pixels an em.
    pub size: f32,
    /// Weight.
    pub weight: Weight,
    /// Colour.
    pub color: Color,
    /// Alignment.
    pub align: Align,
    /// Clockwise turn about the anchor, radians.
    pub angle: f32,
    /// A halo's colour and width beyond the glyphs.
    pub halo: Option<(Color, f32)>,
}

impl TextStyle {
    /// Regular, left-aligned, upright.
    pub fn new(size: f32, color: Color) -> Self {
        let weight = Weight::Regular;
        Self { size, weight, color, align: Align::Left, angle: 0.0, halo: None }
    }

    /// In the bolder weight.
    pub fn bold(self) -> Self {
        Self { weight: Weight::SemiBold, ..self }
    }

    /// With another alignment.
    pub fn align(self, align: Align) -> Self {
        Self { align, ..self }
    }

    /// The width of `text` in this style.
    pub fn width(&self, text: &str) -> f32 {
        text::width(text, self.size, self.weight)
    }

    /// `text` cut to `max_width` with an ellipsis.
    pub fn fit(&self, text: &str, max_width: f32) -> String {
        text::fit(text, self.size, self.weight, max_width)
    }
}

/// What pictures are drawn on.
pub trait Canvas {
    /// Fills `path` (non-zero winding, or even-odd where `even_odd`).
    fn fill(&mut self, path: &Path, color: Color, even_odd: bool);

    /// Strokes `path`.
    fn stroke(&mut self, path: &Path, stroke: &Stroke);

    /// Writes `text` with its anchor at `(x, baseline)`.
    fn text(&mut self, text: &str, x: f32, baseline: f32, style: &TextStyle);

    /// Draws a picture of `width * height` pixels (RGBA, straight alpha, row by row) into `dest`:
    /// pixels are copied where it fits the grid of the canvas, and resampled elsewhere. A scene
    /// that makes pixels of its own makes [`Canvas::pixels_per_unit`] times as many as `dest` has
    /// units.
    fn image(&mut self, rgba: &[u8], width: u32, height: u32, dest: Rect);

    /// How many pixels there are along a unit of length: 1 unless the picture is enlarged or made
    /// smaller as a whole.
    fn pixels_per_unit(&self) -> f32 {
        1.0
    }

    /// Restricts drawing to `clip`, or lifts the restriction.
    fn set_clip(&mut self, clip: Option<Rect>);

    /// Fills a rectangle.
    fn rect(&mut self, rect: Rect, color: Color) {
        if let Some(path) = rect.path() {
            self.fill(&path, color, false);
        }
    }

    /// Fills a disc.
    fn disc(&mut self, x: f32, y: f32, radius: f32, color: Color) {
        if let Some(path) = PathBuilder::from_circle(x, y, radius) {
            self.fill(&path, color, false);
        }
    }

    /// Strokes an open line through `points`.
    fn line(&mut self, points: &[(f32, f32)], stroke: &Stroke) {
        if let Some(path) = polyline(points) {
            self.stroke(&path, stroke);
        }
    }
}

/// The open path through `points`; `None` with fewer than two.
pub fn polyline(points: &[(f32, f32)]) -> Option<Path> {
    if points.len() < 2 {
        return None;
    }
    let mut path = PathBuilder::with_capacity(points.len(), points.len());
    path.move_to(points[0].0, points[0].1);
    points[1..].iter().for_each(|&(x, y)| path.line_to(x, y));
    path.finish()
}
