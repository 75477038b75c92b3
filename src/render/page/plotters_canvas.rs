//! plotters drawing on our canvas. plotters counts in whole pixels, so it is given a page of
//! [`SUB`] times as many: its lines land on sixteenths of a pixel and stay smooth. It writes nothing:
//! a chart's texts are written by the chart.

use std::convert::Infallible;

use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

use crate::render::canvas::color::Color;
use crate::render::canvas::{Canvas, Rect, Stroke};

/// plotters' pixels to one of ours.
pub(super) const SUB: f32 = 16.0;

/// A plotters backend on a part of a canvas.
pub(super) struct Subpixel<'a> {
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

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Done {
        let points: Vec<(f32, f32)> = path.into_iter().map(|p| self.px(p)).collect();
        let stroke = Stroke::solid(color(style.color()), style.stroke_width() as f32 / SUB);
        if stroke.color.a > 0 {
            self.canvas.line(&points, &stroke);
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, _: &str, _: &S, _: BackendCoord) -> Done {
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        _: &str,
        _: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        Ok((0, 0))
    }
}
