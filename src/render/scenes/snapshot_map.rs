//! The snapshots of several runs placed by the distances between them: a diffusion map, on which runs
//! that end in one basin meet, beside classical scaling, the best linear picture of the same distances.

use crate::error::{Error, Result};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};
use crate::render::page::axes::{
    Axes, LabelPlace, draw_heading, frame_in, gutters, heading_height,
};
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::Domain;

/// One map.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MapPanel {
    /// What it is.
    pub title: String,
    /// What it keeps of the distances.
    pub subtitle: String,
    /// The horizontal coordinate.
    pub x_label: String,
    /// The vertical coordinate.
    pub y_label: String,
    /// Whether numbers on its axes mean something.
    pub has_unit: bool,
    /// For each run (x, y) of its snapshots, oldest first.
    pub paths: Vec<Vec<[f64; 2]>>,
}

/// Two maps of the same snapshots.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MapFigure {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// The runs' names.
    pub names: Vec<String>,
    /// The maps, side by side.
    pub panels: [MapPanel; 2],
}

/// A map made ready.
pub type MapShow<'a> = Scene<'a, &'a MapFigure>;

impl<'a> MapShow<'a> {
    /// Makes `figure` ready for a picture of `size` pixels.
    ///
    /// Errors: [`Error::Render`] without a finite point.
    pub fn new(figure: &'a MapFigure, theme: &'a Theme, size: [u32; 2]) -> Result<Self> {
        if figure.panels.iter().any(|panel| domain(panel).is_none()) {
            return Err(Error::Render {
                what: "a map without a point".into(),
                remedy: "map runs with finite snapshots".into(),
            });
        }
        let (title, caption) = (figure.title.as_str(), figure.caption.as_str());
        let spec = PageSpec { title, caption, ..PageSpec::default() };
        let page = Page::new(spec, std::iter::empty(), Screen::still(theme, size));
        Ok(Self { page, body: figure })
    }
}

/// What a panel shows: all its points with a margin; `None` where none is finite.
fn domain(panel: &MapPanel) -> Option<Domain> {
    let along = |k: usize| {
        let values = panel.paths.iter().flatten().map(|p| p[k]).filter(|v| v.is_finite());
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let margin = if high > low { 0.07 * (high - low) } else { 0.5 };
        (low <= high).then_some([low - margin, high + margin])
    };
    Some(Domain { x: along(0)?, y: along(1)? })
}

impl Body for &MapFigure {
    const STILL: Option<&'static str> = Some("a map");

    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let key = 1.9 * page.font.label;
        let (body, gap) = (page.body, 40.0 * page.px_scale);
        draw_key(canvas, page, &self.names, body);
        let body = Rect { y: body.y + key, h: body.h - key, ..body };
        let cells = if body.h > 1.2 * body.w {
            let h = 0.5 * (body.h - gap);
            [Rect { h, ..body }, Rect { y: body.y + h + gap, h, ..body }]
        } else {
            let w = 0.5 * (body.w - gap);
            [Rect { w, ..body }, Rect { x: body.x + w + gap, w, ..body }]
        };
        for (panel, cell) in self.panels.iter().zip(cells) {
            draw_panel(canvas, page, panel, cell);
        }
        Ok(())
    }

    fn draw_moving(&self, _: &Page, _: &mut dyn Canvas, _: usize) -> Result<()> {
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let panels = self.panels.iter();
        let panels = panels.flat_map(|p| [&p.title, &p.subtitle, &p.x_label, &p.y_label]);
        self.names.iter().chain(panels).map(String::as_str).collect()
    }
}

/// A line of names with their colours.
fn draw_key(canvas: &mut dyn Canvas, page: &Page, names: &[String], body: Rect) {
    let size = page.font.label;
    let style = TextStyle::new(size, page.theme.text);
    let each = body.w / names.len().max(1) as f32;
    let mut x = body.x;
    for (k, name) in names.iter().enumerate() {
        let r = 0.36 * size;
        canvas.disc(x + r, body.y + 0.55 * size, r, page.theme.series_color(k));
        let name = style.fit(name, each - 2.6 * size);
        canvas.text(&name, x + 1.05 * size, body.y + 0.9 * size, &style);
        x += style.width(&name) + 2.6 * size;
    }
}

fn draw_panel(canvas: &mut dyn Canvas, page: &Page, panel: &MapPanel, cell: Rect) {
    let Some(domain) = domain(panel) else { return };
    let (font, theme, px_scale) = (page.font, page.theme, page.px_scale);
    let labels = page.axis_labels();
    let numbers = if panel.has_unit { domain.y } else { [0.0, 1.0] };
    let around = gutters(page, numbers, [labels; 2], heading_height(&font, [true; 2]));
    let equal = panel.has_unit && (0.4..=2.5).contains(&domain.aspect());
    let frame = frame_in(cell, around, &domain, equal);
    let at = [cell.x, frame.y - 0.8 * font.small, 1.4 * font.small];
    draw_heading(canvas, page, (&panel.title, Some(&panel.subtitle)), at, cell.w, None);
    if panel.has_unit {
        let (x_label, y_label) = match labels {
            true => (panel.x_label.clone(), panel.y_label.as_str()),
            false => (String::new(), ""),
        };
        let axes =
            Axes { page, frame, domain, cell, x_label, y_label, labels: LabelPlace::BesideNumbers };
        axes.draw_mesh(canvas);
        axes.draw(canvas);
    } else {
        let outline = Stroke::solid(theme.muted.alpha(0.8), px_scale.max(1.0).round());
        canvas.line(&frame.outline(), &outline);
        if labels {
            let label = TextStyle::new(font.label, theme.text).align(Align::Center);
            let y = frame.bottom() + 1.7 * font.label;
            canvas.text(&label.fit(&panel.x_label, frame.w), frame.x + 0.5 * frame.w, y, &label);
            let angle = -std::f32::consts::FRAC_PI_2;
            let turned = TextStyle { angle, ..label };
            let x = frame.x - 0.7 * font.label;
            canvas.text(&label.fit(&panel.y_label, frame.h), x, frame.y + 0.5 * frame.h, &turned);
        }
    }
    for (k, path) in panel.paths.iter().enumerate() {
        let color = theme.series_color(k);
        let px = |p: &[f64; 2]| domain.px_from_plane(frame, p[0], p[1]);
        let points: Vec<(f32, f32)> =
            path.iter().filter(|p| p[0].is_finite() && p[1].is_finite()).map(px).collect();
        let line = Stroke::solid(color.alpha(0.55), (1.6 * px_scale).max(0.8));
        canvas.line(&points, &Stroke { cap: Cap::Round, ..line });
        for &(x, y) in &points {
            canvas.disc(x, y, (2.2 * px_scale).max(1.0), color);
        }
        if let (Some(&(x0, y0)), Some(&(x1, y1))) = (points.first(), points.last()) {
            let r = (6.5 * px_scale).max(3.0);
            canvas.disc(x0, y0, r, color);
            canvas.disc(x0, y0, 0.62 * r, theme.background);
            canvas.disc(x1, y1, 1.15 * r, theme.background);
            canvas.disc(x1, y1, r, color);
        }
    }
}
