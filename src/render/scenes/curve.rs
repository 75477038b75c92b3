//! A still figure of loss and accuracy along a line, several runs in one: the paper's 1-D curves.

use crate::error::{Error, Result};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, TextStyle};
use crate::render::film::{Output, RenderReport};
use crate::render::page::chart::{self, Chart, Future};
use crate::render::page::layout::Type;
use crate::render::page::wrap;
use crate::render::scene::{CurveFigure, CurveStyle};
use crate::render::scenes::still::{self, Figure};
use crate::render::scenes::twin;

/// Draws `figure` and writes it to `output.path`, a PNG or an SVG; `output`'s frames and rate do
/// not matter.
///
/// Errors: as [`crate::render::film::write_show`]; [`Error::Render`] on a film format and on a figure
/// without a single finite point.
pub fn write(figure: &CurveFigure, output: &Output) -> Result<RenderReport> {
    still::write(figure, output)
}

impl Figure for CurveFigure {
    fn name(&self) -> &'static str {
        "a curve"
    }

    fn draw(&self, canvas: &mut dyn Canvas, size: [u32; 2], theme: &Theme) -> Result<()> {
        draw(canvas, self, size, theme)
    }

    fn texts(&self) -> Vec<&str> {
        let own = [&self.title, &self.subtitle, &self.caption, &self.x_label];
        own.into_iter().chain(self.series.iter().map(|s| &s.name)).map(String::as_str).collect()
    }
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
    let s = theme.scale * (w / 1280.0).min(h / 720.0).max((w * h / 921_600.0).sqrt() * 0.7);
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
        for line in wrap(&figure.caption, room, 2, &style).iter().rev() {
            canvas.text(line, margin, bottom - 0.35 * font.small, &style);
            bottom -= 1.35 * font.small;
        }
        bottom -= 0.35 * font.small;
    }
    if !figure.x_label.is_empty() {
        let style = TextStyle::new(font.label, theme.text).align(Align::Center);
        let label = style.fit(&figure.x_label, room);
        canvas.text(&label, 0.5 * w, bottom - 0.2 * font.label, &style);
        bottom -= 1.5 * font.label;
    }
    if figure.style == CurveStyle::Twin {
        let rect = Rect::new(margin, top, room, bottom - top);
        twin::draw(canvas, &figure.series, rect, font, s, theme);
        return Ok(());
    }
    // The loss gets a little more than its share.
    let shares: Vec<f32> = (0..quantities.len()).map(|k| if k == 0 { 1.35 } else { 1.0 }).collect();
    let gap = 12.0 * s;
    let unit = (bottom - top - gap * (quantities.len() - 1) as f32) / shares.iter().sum::<f32>();
    let mut charts = Vec::new();
    for (quantity, share) in quantities.into_iter().zip(shares) {
        let rect = Rect::new(margin, top, room, share * unit);
        charts.push(Chart::new(&figure.series, quantity, rect, "", font, s));
        top = rect.bottom() + gap;
    }
    chart::align(&mut charts);
    charts.iter().try_for_each(|chart| chart.draw_static(canvas, theme, Future::Full))
}
