//! The barriers between the children of a run's forks by the epoch of the fork, with their standard errors: how
//! soon a training is stable to the noise of SGD (Frankle et al. 2020, arXiv 1912.05671).

use crate::error::{Error, Result};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};
use crate::render::numbers::significant;
use crate::render::page::axes::{
    Axes, LabelPlace, draw_heading, frame_in, gutters, heading_height,
};
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::Domain;

/// A barrier.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Barrier {
    /// Its height, in the unit of its panel.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
}

/// The barriers on images of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BarrierSeries {
    /// Which images: "test".
    pub name: String,
    /// One for each fork; none where there is none.
    pub barriers: Vec<Option<Barrier>>,
}

/// The barriers of one quantity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BarrierPanel {
    /// The quantity: "Error".
    pub title: String,
    /// The label of its axis, with the unit.
    pub y_label: String,
    /// At most eight.
    pub series: Vec<BarrierSeries>,
    /// Below which a run is called stable, in the panel's unit.
    pub threshold: Option<f64>,
}

/// The barriers by the epoch of the fork.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstabilityFigure {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// The label of the axis of the forks.
    pub x_label: String,
    /// The forks' epochs as text, in order; they are drawn at even distances.
    pub forks: Vec<String>,
    /// One panel or two.
    pub panels: Vec<BarrierPanel>,
}

/// An analysis made ready.
pub type InstabilityShow<'a> = Scene<'a, &'a InstabilityFigure>;

impl<'a> InstabilityShow<'a> {
    /// Makes `figure` ready for a picture of `size` pixels.
    ///
    /// Errors: [`Error::Render`] where no barrier is known.
    pub fn new(figure: &'a InstabilityFigure, theme: &'a Theme, size: [u32; 2]) -> Result<Self> {
        if figure.panels.is_empty() || figure.panels.iter().all(|panel| panel.known().is_empty()) {
            return Err(Error::Render {
                what: "no fork of the analysis has a barrier that is a finite number".into(),
                remedy: "name forks whose children do not diverge".into(),
            });
        }
        let (title, caption) = (figure.title.as_str(), figure.caption.as_str());
        let spec = PageSpec { title, caption, ..PageSpec::default() };
        let page = Page::new(spec, std::iter::empty(), Screen::still(theme, size));
        Ok(Self { page, body: figure })
    }
}

impl BarrierPanel {
    fn known(&self) -> Vec<Barrier> {
        self.series.iter().flat_map(|series| series.barriers.iter().copied().flatten()).collect()
    }

    /// The ends of the axis: from 0, or below where an error reaches there, to above all that is drawn.
    fn ends(&self) -> [f64; 2] {
        let known = self.known();
        let top =
            known.iter().map(|b| b.value + b.se).fold(self.threshold.unwrap_or(0.0), f64::max);
        let low = known.iter().map(|b| b.value - b.se).fold(0.0, f64::min);
        let room = if top > low { 0.12 * (top - low) } else { 1.0 };
        [if low < 0.0 { low - 0.4 * room } else { 0.0 }, top + room]
    }
}

impl Body for &InstabilityFigure {
    const STILL: Option<&'static str> = Some("an instability analysis");

    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let body = page.body;
        let gap = 40.0 * page.px_scale;
        let count = self.panels.len() as f32;
        let tall = body.h > 1.2 * body.w;
        for (k, panel) in self.panels.iter().enumerate() {
            let k = k as f32;
            let cell = if tall {
                let h = (body.h - gap * (count - 1.0)) / count;
                Rect { y: body.y + k * (h + gap), h, ..body }
            } else {
                let w = (body.w - gap * (count - 1.0)) / count;
                Rect { x: body.x + k * (w + gap), w, ..body }
            };
            self.draw_panel(canvas, page, panel, cell);
        }
        Ok(())
    }

    fn draw_moving(&self, _: &Page, _: &mut dyn Canvas, _: usize) -> Result<()> {
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let labels = self.panels.iter().flat_map(|panel| [&panel.title, &panel.y_label]);
        let names = self.panels.iter().flat_map(|panel| panel.series.iter().map(|s| &s.name));
        labels.chain(names).chain(&self.forks).chain([&self.x_label]).map(String::as_str).collect()
    }
}

impl InstabilityFigure {
    fn draw_panel(&self, canvas: &mut dyn Canvas, page: &Page, panel: &BarrierPanel, cell: Rect) {
        let (font, theme, px_scale) = (page.font, page.theme, page.px_scale);
        let forks = self.forks.len().max(1);
        let domain = Domain { x: [-0.5, forks as f64 - 0.5], y: panel.ends() };
        let heading = heading_height(&font, [true; 2]);
        let around = gutters(page, domain.y, [true; 2], heading);
        let frame = frame_in(cell, around, &domain, false);
        let axes = Axes {
            page,
            frame,
            domain,
            cell,
            x_label: self.x_label.clone(),
            y_label: &panel.y_label,
            labels: LabelPlace::BesideNumbers,
        };
        let baseline = frame.y - 0.8 * font.small;
        let at = [cell.x, baseline - 1.4 * font.small, 1.4 * font.small];
        draw_heading(canvas, page, (&panel.title, None), at, cell.w, None);
        draw_key(canvas, page, panel, [cell.x, baseline], cell.w);
        axes.draw_mesh_y(canvas);
        if let Some(threshold) = panel.threshold {
            let (_, y) = domain.px_from_plane(frame, 0.0, threshold);
            let dash = Some([6.0 * px_scale, 4.0 * px_scale]);
            let stroke = Stroke { dash, ..Stroke::solid(theme.muted, (1.6 * px_scale).max(1.0)) };
            canvas.line(&[(frame.x, y), (frame.right(), y)], &stroke);
            let style = TextStyle::new(font.small, theme.muted).align(Align::Right);
            let text = format!("stable below {} %", significant(threshold, 3));
            // Where there is no room the number beside the line says it.
            if style.width(&text) <= frame.w - font.small {
                let (x, y) = (frame.right() - 0.5 * font.small, y - 0.45 * font.small);
                canvas.text(&text, x, y, &style);
            }
        }
        // Each fork has a slot, in which the series stand side by side so that their errors can be seen.
        let slot = frame.w / forks as f32;
        let apart = (0.16 * slot).min(10.0 * px_scale);
        let middle = 0.5 * (panel.series.len().max(1) - 1) as f32;
        for (k, series) in panel.series.iter().enumerate().rev() {
            let shift = apart * (k as f32 - middle);
            let at = |i: usize, value: f64| {
                let (x, y) = domain.px_from_plane(frame, i as f64, value);
                (x + shift, y)
            };
            let barriers: Vec<(usize, Barrier)> = (series.barriers.iter().enumerate())
                .filter_map(|(i, barrier)| Some((i, (*barrier)?)))
                .collect();
            // A line from fork to fork, not over one that has no barrier.
            let line = Stroke { cap: Cap::Round, ..line_of(k, page) };
            for two in barriers.windows(2).filter(|two| two[1].0 == two[0].0 + 1) {
                canvas.line(&[at(two[0].0, two[0].1.value), at(two[1].0, two[1].1.value)], &line);
            }
            let bar = Stroke::solid(theme.series_color(k), (1.6 * px_scale).max(1.0));
            let cap = (4.0 * px_scale).max(1.5);
            for (i, Barrier { value, se }) in barriers {
                let ((x, high), (_, low)) = (at(i, value + se), at(i, value - se));
                canvas.line(&[(x, low), (x, high)], &bar);
                for y in [low, high] {
                    canvas.line(&[(x - cap, y), (x + cap, y)], &bar);
                }
                draw_mark(canvas, page, k, at(i, value));
            }
        }
        axes.draw_naming(canvas, &self.names(page, slot));
    }

    /// The forks' epochs where they have room: all, or every second, third, ...
    fn names(&self, page: &Page, slot: f32) -> Vec<(f64, String)> {
        let style = TextStyle::new(page.font.small, page.theme.muted);
        let widest = self.forks.iter().map(|name| style.width(name)).fold(0.0, f32::max);
        let each = ((widest + 0.6 * page.font.small) / slot.max(1.0)).ceil().max(1.0) as usize;
        let names = self.forks.iter().enumerate().step_by(each);
        names.map(|(i, name)| (i as f64, name.clone())).collect()
    }
}

/// The line of the `k`-th series: the first is solid, the others are dashed.
fn line_of(k: usize, page: &Page) -> Stroke {
    let px_scale = page.px_scale;
    let solid = Stroke::solid(page.theme.series_color(k), (2.2 * px_scale).max(1.2));
    Stroke { dash: (k > 0).then_some([7.0 * px_scale, 5.0 * px_scale]), ..solid }
}

/// The mark of the `k`-th series: filled for the first, a ring for the others.
fn draw_mark(canvas: &mut dyn Canvas, page: &Page, k: usize, (x, y): (f32, f32)) {
    let radius = (4.4 * page.px_scale).max(2.2);
    canvas.disc(x, y, radius, page.theme.series_color(k));
    if k > 0 {
        canvas.disc(x, y, 0.55 * radius, page.theme.background);
    }
}

/// The names of a panel's series with their marks, on one line at `baseline`.
fn draw_key(
    canvas: &mut dyn Canvas,
    page: &Page,
    panel: &BarrierPanel,
    [x, baseline]: [f32; 2],
    room: f32,
) {
    let size = page.font.small;
    let style = TextStyle::new(size, page.theme.muted);
    let mut left = x;
    for (k, series) in panel.series.iter().enumerate() {
        let name = style.fit(&series.name, x + room - left - 2.2 * size);
        if name.is_empty() {
            return;
        }
        let y = baseline - 0.34 * size;
        let ends = [(left, y), (left + 1.5 * size, y)];
        canvas.line(&ends, &line_of(k, page));
        draw_mark(canvas, page, k, (left + 0.75 * size, y));
        canvas.text(&name, left + 1.9 * size, baseline, &style);
        left += style.width(&name) + 3.2 * size;
    }
}
