//! The canvas of pixels: tiny-skia, anti-aliased, always opaque.

use tiny_skia::{FillRule, LineCap, LineJoin, Mask, Paint, Path, Pixmap, StrokeDash, Transform};

use super::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};
use super::color::Color;
use super::text;
use crate::error::{Error, Result};

/// An opaque RGBA picture that can be drawn on.
#[derive(Clone)]
pub struct Raster {
    pixmap: Pixmap,
    clip: Option<(Rect, std::sync::Arc<Mask>)>,
}

impl Raster {
    /// A picture of one colour. Errors: [`Error::Render`] on a size of zero or beyond memory.
    pub fn new(width: u32, height: u32, background: Color) -> Result<Self> {
        let mut pixmap = Pixmap::new(width, height).ok_or_else(|| Error::Render {
            what: format!("a picture of {width}x{height} pixels cannot be made"),
            remedy: "choose a size between 320x180 and 3840x2160".into(),
        })?;
        let Color { r, g, b, .. } = background;
        pixmap.fill(tiny_skia::Color::from_rgba8(r, g, b, 255));
        Ok(Self { pixmap, clip: None })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.pixmap.width() as usize
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.pixmap.height() as usize
    }

    /// The pixels, row by row, RGBA with alpha 255.
    pub fn rgba(&self) -> &[u8] {
        self.pixmap.data()
    }
}

fn paint(color: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(color.r, color.g, color.b, color.a);
    paint.anti_alias = true;
    paint
}

impl Canvas for Raster {
    fn fill(&mut self, path: &Path, color: Color, even_odd: bool) {
        let rule = if even_odd { FillRule::EvenOdd } else { FillRule::Winding };
        let clip = self.clip.clone();
        let mask = clip.as_ref().map(|(_, mask)| mask.as_ref());
        self.pixmap.fill_path(path, &paint(color), rule, Transform::identity(), mask);
    }

    fn stroke(&mut self, path: &Path, stroke: &Stroke) {
        let style = tiny_skia::Stroke {
            width: stroke.width,
            line_cap: match stroke.cap {
                Cap::Butt => LineCap::Butt,
                Cap::Round => LineCap::Round,
            },
            line_join: LineJoin::Round,
            dash: stroke.dash.and_then(|dash| StrokeDash::new(dash.to_vec(), 0.0)),
            ..Default::default()
        };
        let clip = self.clip.clone();
        let mask = clip.as_ref().map(|(_, mask)| mask.as_ref());
        self.pixmap.stroke_path(path, &paint(stroke.color), &style, Transform::identity(), mask);
    }

    fn text(&mut self, text: &str, x: f32, baseline: f32, style: &TextStyle) {
        let shift = match style.align {
            Align::Left => 0.0,
            Align::Center => -0.5 * style.width(text),
            Align::Right => -style.width(text),
        };
        let (sin, cos) = style.angle.sin_cos();
        let (x, y) = (x + shift * cos, baseline + shift * sin);
        let Some(outline) = text::outline(text, style.size, style.weight, x, y, style.angle) else {
            return;
        };
        if let Some((color, width)) = style.halo {
            self.stroke(&outline, &Stroke { cap: Cap::Round, ..Stroke::solid(color, 2.0 * width) });
        }
        self.fill(&outline, style.color, false);
    }

    fn set_clip(&mut self, clip: Option<Rect>) {
        if self.clip.as_ref().map(|(rect, _)| *rect) == clip {
            return;
        }
        self.clip = clip.and_then(|rect| {
            let mut mask = Mask::new(self.pixmap.width(), self.pixmap.height())?;
            mask.fill_path(&rect.path()?, FillRule::Winding, true, Transform::identity());
            Some((rect, std::sync::Arc::new(mask)))
        });
    }
}
