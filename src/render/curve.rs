//! A still figure of loss and accuracy along a line, several runs in one: the paper's 1-D curves.

use super::canvas::{Align, Canvas, Rect, TextStyle};
use super::chart::{self, Chart, Future};
use super::film::{Output, RenderReport, write_show};
use super::layout::Type;
use super::scene::CurveFigure;
use super::show::Show;
use super::theme::Theme;
use crate::error::{Error, Result};

/// A figure made ready for a picture of some size: a show of one frame.
pub struct CurveShow<'a> {
    figure: &'a CurveFigure,
    theme: &'a Theme,
    size: [u32; 2],
}

impl<'a> CurveShow<'a> {
    /// `figure` in a picture of `size`.
    pub fn new(figure: &'a CurveFigure, theme: &'a Theme, size: [u32; 2]) -> Self {
        Self { figure, theme, size }
    }
}

impl Show for CurveShow<'_> {
    fn size(&self) -> [u32; 2] {
        self.size
    }

    fn frames(&self) -> usize {
        1
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        draw(canvas, self.figure, self.size, self.theme)
    }

    fn draw_moving(&self, _: &mut dyn Canvas, _: usize) -> Result<()> {
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.theme
    }

    fn texts(&self) -> Vec<&str> {
        let figure = self.figure;
        let own = [&figure.title, &figure.subtitle, &figure.caption, &figure.x_label];
        own.into_iter().chain(figure.series.iter().map(|s| &s.name)).map(String::as_str).collect()
    }
}

/// Draws `figure` and writes it to `output.path`, a PNG or an SVG; `output`'s frames and rate do
/// not matter.
///
/// Errors: as [`super::film::write_show`]; [`Error::Render`] on a film format and on a figure
/// without a single finite point.
pub fn write(figure: &CurveFigure, output: &Output) -> Result<RenderReport> {
    let (format, size) = output.check()?;
    if format.moves() {
        return Err(Error::Render {
            what: "a curve does not move".into(),
            remedy: "write it to a .png or .svg file".into(),
        });
    }
    write_show(&CurveShow::new(figure, &output.theme, size), output, &mut |_, _| {})
}

/// Draws `figure` on a canvas of `width` x `height` pixels. Errors: [`Error::Render`] on a figure
/// without a single finite point.
pub fn draw(
    canvas: &mut dyn Canvas,
    figure: &CurveFigure,
    [width, height]: [u32; 2],
    theme: &Theme,
) -> Result<()> {
    let quantities = chart::quantities(&figure.series);
    if quantities.is_empty() {
        return Err(Error::Render {
            what: "the curves have no finite point".into(),
            remedy: "evaluate at least one point of the line".into(),
        });
    }
    let (w, h) = (width as f32, height as f32);
    let s = theme.scale * (w / 1280.0).min(h / 720.0);
    let font = Type::scaled(s);
    let margin = (32.0 * s).max(6.0);
    let room = w - 2.0 * margin;
    let mut top = 0.72 * margin;
    if !figure.title.is_empty() {
        let style = TextStyle::new(font.title, theme.text).bold();
        canvas.text(&style.fit(&figure.title, room), margin, top + 0.82 * font.title, &style);
        top += 1.3 * font.title;
    }
    if !figure.subtitle.is_empty() {
        let style = TextStyle::new(font.label, theme.muted);
        canvas.text(&style.fit(&figure.subtitle, room), margin, top + 0.82 * font.label, &style);
        top += 1.3 * font.label;
    }
    top += 0.5 * font.label;
    let mut bottom = h - 0.6 * margin;
    if !figure.caption.is_empty() {
        let style = TextStyle::new(font.small, theme.muted);
        canvas.text(&style.fit(&figure.caption, room), margin, bottom - 0.35 * font.small, &style);
        bottom -= 1.7 * font.small;
    }
    if !figure.x_label.is_empty() {
        let style = TextStyle::new(font.label, theme.text).align(Align::Center);
        let label = style.fit(&figure.x_label, room);
        canvas.text(&label, 0.5 * w, bottom - 0.2 * font.label, &style);
        bottom -= 1.5 * font.label;
    }
    // The loss gets a little more than its share.
    let shares: Vec<f32> = (0..quantities.len()).map(|k| if k == 0 { 1.35 } else { 1.0 }).collect();
    let gap = 12.0 * s;
    let unit = (bottom - top - gap * (quantities.len() - 1) as f32) / shares.iter().sum::<f32>();
    for (quantity, share) in quantities.into_iter().zip(shares) {
        let rect = Rect::new(margin, top, room, share * unit);
        Chart::new(&figure.series, quantity, rect, "", font, s).draw_static(
            canvas,
            theme,
            Future::Full,
        )?;
        top = rect.bottom() + gap;
    }
    Ok(())
}
