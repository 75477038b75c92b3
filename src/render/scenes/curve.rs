//! A still figure of loss and accuracy along a line, several runs in one: the paper's 1-D curves.

use crate::error::{Error, Result};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, TextStyle};
use crate::render::page::chart::{self, Chart, Future};
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::{CurveFigure, CurveStyle};
use crate::render::scenes::twin;

/// A curve figure made ready.
pub type CurveShow<'a> = Scene<'a, &'a CurveFigure>;

impl<'a> CurveShow<'a> {
    /// Makes `figure` ready for a picture of `size` pixels.
    ///
    /// Errors: [`Error::Render`] on a figure without a single finite point.
    pub fn new(figure: &'a CurveFigure, theme: &'a Theme, size: [u32; 2]) -> Result<Self> {
        if chart::quantities(&figure.series).is_empty() {
            return Err(Error::Render {
                what: "the curves have no finite point".into(),
                remedy: "evaluate at least one point of the line".into(),
            });
        }
        let (title, caption) = (figure.title.as_str(), figure.caption.as_str());
        let spec = PageSpec { title, caption, ..PageSpec::default() };
        let page = Page::new(spec, std::iter::empty(), Screen::still(theme, size));
        Ok(Self { page, body: figure })
    }
}

impl Body for &CurveFigure {
    const STILL: Option<&'static str> = Some("a curve");

    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (font, theme, body) = (page.font, page.theme, page.body);
        let (mut top, mut bottom) = (body.y, body.bottom());
        if !self.subtitle.is_empty() {
            let style = TextStyle::new(font.label, theme.muted);
            canvas.text(
                &style.fit(&self.subtitle, body.w),
                body.x,
                top + 0.55 * font.label,
                &style,
            );
            top += 1.3 * font.label;
        }
        top += 0.25 * font.label;
        if !self.x_label.is_empty() {
            let style = TextStyle::new(font.label, theme.text).align(Align::Center);
            let label = style.fit(&self.x_label, body.w);
            canvas.text(&label, 0.5 * page.rect.w, bottom - 0.2 * font.label, &style);
            bottom -= 1.5 * font.label;
        }
        let area = Rect { y: top, h: bottom - top, ..body };
        if self.style == CurveStyle::Twin {
            twin::draw(canvas, &self.series, area, page);
            return Ok(());
        }
        // The loss gets a little more than its share.
        let quantities = chart::quantities(&self.series);
        let shares = (0..quantities.len()).map(|k| if k == 0 { 1.35 } else { 1.0 });
        let gap = 12.0 * page.px_scale;
        let unit = (area.h - gap * (quantities.len() - 1) as f32) / shares.clone().sum::<f32>();
        let mut charts = Vec::new();
        for (quantity, share) in quantities.into_iter().zip(shares) {
            let rect = Rect { y: top, h: share * unit, ..body };
            charts.push(Chart::new(&self.series, quantity, rect, "", font, page.px_scale));
            top = rect.bottom() + gap;
        }
        chart::align(&mut charts);
        charts.iter().try_for_each(|chart| chart.draw_static(canvas, theme, Future::Full))
    }

    fn draw_moving(&self, _: &Page, _: &mut dyn Canvas, _: usize) -> Result<()> {
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let names = self.series.iter().map(|s| &s.name);
        [&self.subtitle, &self.x_label].into_iter().chain(names).map(String::as_str).collect()
    }
}
