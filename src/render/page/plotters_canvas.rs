//! plotters drawing on our canvas. plotters counts in whole pixels, so it is given a page of
//! [`SUB`] times as many: its lines land on sixteenths of a pixel and stay smooth.

use std::convert::Infallible;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle, FontTransform,
};
use tiny_skia::PathBuilder;

use crate::render::canvas::color::Color;
use crate::render::canvas::text::{self, Weight};
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle, polyline};

/// plotters' pixels to one of ours.
pub const SUB: f32 = 16.0;

/// A plotters backend on a part of a canvas.
pub struct Subpixel<'a> {
    canvas: &'a mut dyn Canvas,
    area: Rect,
}

impl<'a> Subpixel<'a> {
    /// Draws in `area` of `canvas`.
    pub fn new(canvas: &'a mut dyn Canvas, area: Rect) -> Self {
        Self { canvas, area }
    }

    fn px(&self, (x, y): BackendCoord) -> (f32, f32) {
        (self.area.x + x as f32 / SUB, self.area.y + y as f32 / SUB)
    }
}

fn color(color: BackendColor) -> Color {
    let (r, g, b) = color.rgb;
    Color { r, g, b, a: 255 }.alpha(color.alpha as f32)
}

fn weight<S: BackendTextStyle>(style: &S) -> Weight {
    if matches!(style.style(), FontStyle::Bold) { Weight::SemiBold } else { Weight::Regular }
}

type Done = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Subpixel<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        ((self.area.w * SUB) as u32, (self.area.h * SUB) as u32)
    }

    fn ensure_prepared(&mut self) -> Done {
        Ok(())
    }

    fn present(&mut self) -> Done {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, pixel: BackendColor) -> Done {
        let (x, y) = self.px(point);
        self.canvas.rect(Rect::new(x, y, 1.0 / SUB, 1.0 / SUB), color(pixel));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S) -> Done {
        self.draw_path([a, b], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        a: BackendCoord,
        b: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Done {
        let corners = [a, (b.0, a.1), b, (a.0, b.1)];
        if fill {
            self.fill_polygon(corners, style)
        } else {
            self.draw_path(corners.into_iter().chain([a]), style)
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Done {
        let points: Vec<(f32, f32)> = path.into_iter().map(|p| self.px(p)).collect();
        let stroke = Stroke::solid(color(style.color()), style.stroke_width() as f32 / SUB);
        if let Some(path) = polyline(&points).filter(|_| stroke.color.a > 0) {
            self.canvas.stroke(&path, &stroke);
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Done {
        let mut path = PathBuilder::new();
        for (i, corner) in corners.into_iter().enumerate() {
            let (x, y) = self.px(corner);
            if i == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        path.close();
        if let Some(path) = path.finish() {
            self.canvas.fill(&path, color(style.color()), false);
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Done {
        let size = style.size() as f32 / SUB;
        let align = match style.anchor().h_pos {
            HPos::Left => Align::Left,
            HPos::Center => Align::Center,
            HPos::Right => Align::Right,
        };
        let drop = match style.anchor().v_pos {
            VPos::Top => size,
            VPos::Center => 0.5 * text::CAP_HEIGHT * size,
            VPos::Bottom => -0.2 * size,
        };
        let angle = match style.transform() {
            FontTransform::None => 0.0_f32,
            FontTransform::Rotate90 => std::f32::consts::FRAC_PI_2,
            FontTransform::Rotate180 => std::f32::consts::PI,
            FontTransform::Rotate270 => -std::f32::consts::FRAC_PI_2,
        };
        let (sin, cos) = angle.sin_cos();
        let (x, y) = self.px(at);
        let look = TextStyle {
            weight: weight(style),
            align,
            angle,
            ..TextStyle::new(size, color(style.color()))
        };
        self.canvas.text(text, x - drop * sin, y + drop * cos, &look);
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let size = style.size() as f32;
        Ok((text::width(text, size, weight(style)).ceil() as u32, size.ceil() as u32))
    }
}
