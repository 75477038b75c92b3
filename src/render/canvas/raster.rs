//! The canvas of pixels: tiny-skia, anti-aliased, always opaque.

use tiny_skia::{
    FillRule, FilterQuality, IntSize, LineCap, LineJoin, Mask, Paint, Path, PathSegment, Pixmap,
    PixmapPaint, Point, StrokeDash, Transform,
};

use crate::error::{Error, Result};
use crate::render::canvas::color::Color;
use crate::render::canvas::dirty::Dirty;
use crate::render::canvas::text;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};

/// An opaque RGBA picture that can be drawn on.
#[derive(Clone)]
pub struct Raster {
    pixmap: Pixmap,
    /// From the units of the scene to pixels.
    zoom: Transform,
    clip: Option<(Rect, std::sync::Arc<Mask>)>,
    dirty: Dirty,
}

impl Raster {
    /// A picture of one colour. Errors: [`Error::Render`] on a size of zero or beyond memory.
    pub fn new(width: u32, height: u32, background: Color) -> Result<Self> {
        Self::zoomed([width, height], [width, height], background)
    }

    /// A picture of `pixels` that is drawn on as if it were `units` large. Errors: as
    /// [`Raster::new`].
    pub fn zoomed(pixels: [u32; 2], units: [u32; 2], background: Color) -> Result<Self> {
        let [width, height] = pixels;
        let mut pixmap = Pixmap::new(width, height).ok_or_else(|| Error::Render {
            what: format!("a picture of {width}x{height} pixels cannot be made"),
            remedy: "choose a size between 320x180 and 3840x2160".into(),
        })?;
        let Color { r, g, b, .. } = background;
        pixmap.fill(tiny_skia::Color::from_rgba8(r, g, b, 255));
        let dirty = Dirty::new(width as usize, height as usize);
        let [sx, sy]: [f32; 2] = std::array::from_fn(|i| pixels[i] as f32 / units[i].max(1) as f32);
        Ok(Self { pixmap, zoom: Transform::from_scale(sx, sy), clip: None, dirty })
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

    /// What has been drawn on since the picture was made or [`Raster::begin`] was called.
    pub fn dirty(&self) -> &Dirty {
        &self.dirty
    }

    /// From here on, drawing is noted anew.
    pub fn begin(&mut self) {
        self.dirty.clear();
    }

    /// Puts back the pixels of `backdrop`, which this is a copy of, where it has been drawn on.
    pub fn restore(&mut self, backdrop: &Raster) {
        let row = 4 * self.width();
        let pixels = self.pixmap.data_mut();
        for y in 0..backdrop.height() {
            for (from, to) in self.dirty.stretches(y..y + 1) {
                let place = y * row + 4 * from..y * row + 4 * to;
                pixels[place.clone()].copy_from_slice(&backdrop.rgba()[place]);
            }
        }
        self.dirty.clear();
        self.clip = None;
    }

    /// Lays pixels on a place on the grid, cut to what there is of it.
    fn copy(&mut self, rgba: &[u8], width: usize, height: usize, x: f32, y: f32) {
        let (left, top) = (x.round() as i64, y.round() as i64);
        let (across, down) = (self.width() as i64, self.height() as i64);
        let columns = (-left).clamp(0, width as i64)..(across - left).clamp(0, width as i64);
        if rgba.len() != 4 * width * height || columns.is_empty() {
            return;
        }
        let row = 4 * self.width();
        for (i, line) in rgba.chunks_exact(4 * width).enumerate() {
            let y = top + i as i64;
            if (0..down).contains(&y) {
                let line = &line[4 * columns.start as usize..4 * columns.end as usize];
                let at = y as usize * row + 4 * (left + columns.start) as usize;
                let under = &mut self.pixmap.data_mut()[at..at + line.len()];
                for (to, from) in under.chunks_exact_mut(4).zip(line.chunks_exact(4)) {
                    match from[3] {
                        255 => to.copy_from_slice(from),
                        0 => {}
                        alpha => {
                            for (to, from) in to[..3].iter_mut().zip(from) {
                                let (a, b) = (u32::from(alpha), u32::from(255 - alpha));
                                *to =
                                    ((u32::from(*from) * a + u32::from(*to) * b + 127) / 255) as u8;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Notes that what lies within `reach` of `bounds`, in units of the scene, may change.
    fn mark(&mut self, bounds: tiny_skia::Rect, reach: f32) {
        let Transform { sx, sy, .. } = self.zoom;
        // One more pixel for the soft edge.
        let (x, y) = (reach * sx + 1.0, reach * sy + 1.0);
        let (left, top) = (bounds.left() * sx - x, bounds.top() * sy - y);
        let (right, bottom) = (bounds.right() * sx + x, bounds.bottom() * sy + y);
        self.dirty.mark(Rect::new(left, top, right - left, bottom - top));
    }

    /// Notes a stroke piece by piece: a long path leaves most of its bounding box alone.
    fn mark_stroke(&mut self, path: &Path, width: f32) {
        let mut before = Point::zero();
        for segment in path.segments() {
            let (points, count): ([Point; 3], usize) = match segment {
                PathSegment::MoveTo(p) | PathSegment::LineTo(p) => ([p; 3], 1),
                PathSegment::QuadTo(c, p) => ([c, p, p], 2),
                PathSegment::CubicTo(c, d, p) => ([c, d, p], 3),
                // Back to a start that may be anywhere in the path.
                PathSegment::Close => {
                    self.mark(path.bounds(), 0.5 * width);
                    continue;
                }
            };
            let from = if let PathSegment::MoveTo(p) = segment { p } else { before };
            before = points[count - 1];
            let low = points.iter().fold(from, |a, p| Point::from_xy(a.x.min(p.x), a.y.min(p.y)));
            let high = points.iter().fold(from, |a, p| Point::from_xy(a.x.max(p.x), a.y.max(p.y)));
            if let Some(bounds) = tiny_skia::Rect::from_ltrb(low.x, low.y, high.x, high.y) {
                self.mark(bounds, 0.5 * width);
            }
        }
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
        self.mark(path.bounds(), 0.0);
        let rule = if even_odd { FillRule::EvenOdd } else { FillRule::Winding };
        let clip = self.clip.clone();
        let mask = clip.as_ref().map(|(_, mask)| mask.as_ref());
        self.pixmap.fill_path(path, &paint(color), rule, self.zoom, mask);
    }

    fn stroke(&mut self, path: &Path, stroke: &Stroke) {
        self.mark_stroke(path, stroke.width);
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
        self.pixmap.stroke_path(path, &paint(stroke.color), &style, self.zoom, mask);
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

    fn image(&mut self, rgba: &[u8], width: u32, height: u32, dest: Rect) {
        let (w, h) = (width as f32, height as f32);
        let place = Transform::from_row(dest.w / w, 0.0, 0.0, dest.h / h, dest.x, dest.y);
        let place = place.post_concat(self.zoom);
        if let Some(bounds) = tiny_skia::Rect::from_xywh(dest.x, dest.y, dest.w, dest.h) {
            self.mark(bounds, 0.0);
        }
        // A thousandth of a pixel is rounding, not a place between pixels.
        let near = |a: f32, b: f32| (a - b).abs() < 1e-3;
        let fits = near(place.sx * w, w) && near(place.sy * h, h);
        let exact = fits && near(place.tx, place.tx.round()) && near(place.ty, place.ty.round());
        let inside = |clip: Rect| {
            clip.contains(dest.x, dest.y, -1e-3)
                && clip.contains(dest.right(), dest.bottom(), -1e-3)
        };
        if exact && self.clip.as_ref().is_none_or(|(clip, _)| inside(*clip)) {
            return self.copy(rgba, width as usize, height as usize, place.tx, place.ty);
        }
        let Some(size) = IntSize::from_wh(width, height) else { return };
        let mut bytes = rgba.to_vec();
        for p in bytes.chunks_exact_mut(4).filter(|p| p[3] < 255) {
            let alpha = u16::from(p[3]);
            p[..3].iter_mut().for_each(|c| *c = ((u16::from(*c) * alpha + 127) / 255) as u8);
        }
        // None when there are not `width * height` pixels: nothing to draw.
        let Some(picture) = Pixmap::from_vec(bytes, size) else { return };
        let look = PixmapPaint {
            quality: if exact { FilterQuality::Nearest } else { FilterQuality::Bilinear },
            ..PixmapPaint::default()
        };
        let place = if exact {
            Transform::from_translate(place.tx.round(), place.ty.round())
        } else {
            place
        };
        let clip = self.clip.clone();
        let mask = clip.as_ref().map(|(_, mask)| mask.as_ref());
        self.pixmap.draw_pixmap(0, 0, picture.as_ref(), &look, place, mask);
    }

    fn pixels_per_unit(&self) -> f32 {
        self.zoom.sx
    }

    fn set_clip(&mut self, clip: Option<Rect>) {
        if self.clip.as_ref().map(|(rect, _)| *rect) == clip {
            return;
        }
        self.clip = clip.and_then(|rect| {
            let mut mask = Mask::new(self.pixmap.width(), self.pixmap.height())?;
            mask.fill_path(&rect.path()?, FillRule::Winding, true, self.zoom);
            Some((rect, std::sync::Arc::new(mask)))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_copied_pixel_by_pixel_where_it_fits_and_blends_where_it_is_clear() {
        let mut raster = Raster::new(6, 4, Color::hex(0x000000)).unwrap();
        let image: Vec<u8> = (0..6u8).flat_map(|i| [40 * i, 7, 200, 255]).collect();
        raster.image(&image, 3, 2, Rect::new(2.0, 1.0, 3.0, 2.0));
        let pixel = |r: &Raster, x: usize, y: usize| r.rgba()[4 * (6 * y + x)..][..4].to_vec();
        for i in 0..6 {
            assert_eq!(pixel(&raster, 2 + i % 3, 1 + i / 3), image[4 * i..4 * i + 4]);
        }
        assert_eq!(pixel(&raster, 1, 1), [0, 0, 0, 255]);
        assert_eq!(pixel(&raster, 5, 1), [0, 0, 0, 255]);
        raster.image(&[255, 255, 255, 128], 1, 1, Rect::new(0.0, 0.0, 1.0, 1.0));
        assert_eq!(pixel(&raster, 0, 0), [128, 128, 128, 255]);
        // Twice as large: flat colour stays flat.
        raster.image(&[9, 90, 180, 255].repeat(4), 2, 2, Rect::new(0.0, 0.0, 4.0, 4.0));
        assert_eq!(pixel(&raster, 2, 2), [9, 90, 180, 255]);
        // Over the edge: what there is of it.
        raster.image(&[5, 6, 7, 255].repeat(4), 2, 2, Rect::new(-1.0, 3.0, 2.0, 2.0));
        assert_eq!(pixel(&raster, 0, 3), [5, 6, 7, 255]);
        assert_ne!(pixel(&raster, 1, 3), [5, 6, 7, 255]);
        raster.image(&[5, 6, 7, 255].repeat(4), 2, 2, Rect::new(-9.0, -9.0, 2.0, 2.0));
        // Too few bytes: nothing is drawn, nothing panics.
        raster.image(&[1, 2, 3, 255], 2, 2, Rect::new(0.0, 0.0, 4.0, 4.0));
        assert_eq!(pixel(&raster, 2, 2), [9, 90, 180, 255]);
    }

    #[test]
    fn whatever_is_drawn_is_noted_and_can_be_put_back() {
        let backdrop = Raster::zoomed([300, 200], [200, 133], Color::hex(0x203040)).unwrap();
        let mut raster = backdrop.clone();
        let ink = Color::hex(0xffffff);
        let stroke = Stroke { cap: Cap::Round, ..Stroke::solid(ink, 7.0) };
        raster.line(&[(10.0, 10.0), (60.0, 100.0), (190.0, 90.0)], &stroke);
        raster.disc(150.0, 30.0, 12.5, ink);
        raster.text(
            "Ågj",
            90.0,
            40.0,
            &TextStyle { halo: Some((ink, 2.0)), ..TextStyle::new(20.0, ink) },
        );
        raster.image(&[9, 9, 9, 255].repeat(20), 5, 4, Rect::new(30.3, 110.7, 9.0, 9.0));
        if let Some(ring) = tiny_skia::PathBuilder::from_circle(20.0, 120.0, 8.0) {
            raster.stroke(&ring, &stroke);
        }
        let changed = |x: usize, y: usize| {
            let at = 4 * (300 * y + x);
            raster.rgba()[at..at + 4] != backdrop.rgba()[at..at + 4]
        };
        let mut ink = 0;
        for y in 0..200 {
            let stretches: Vec<_> = raster.dirty().stretches(y..y + 1).collect();
            for x in (0..300).filter(|&x| changed(x, y)) {
                ink += 1;
                let noted = stretches.iter().any(|(from, to)| (*from..*to).contains(&x));
                assert!(noted, "pixel {x}, {y} changed unnoticed");
            }
        }
        assert!(ink > 2000);
        raster.restore(&backdrop);
        assert!(raster.rgba() == backdrop.rgba());
    }
}
