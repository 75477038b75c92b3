//! The explained variance of a path's principal components beside that of a random walk.
//!
//! A plane through a path always holds much of its variance: a pure random walk puts 61 % on its
//! first component and 76 % on two (Antognini and Sohl-Dickstein 2018). What a plane says about a
//! run is what it holds beyond that, so the walk is drawn beside every bar.

use crate::error::{Error, Result};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};
use crate::render::numbers::significant;
use crate::render::page::axes::{
    Axes, LabelPlace, draw_heading, frame_in, gutters, heading_height,
};
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::Domain;

/// One path's spectrum.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PathSpectrum {
    /// Whose it is.
    pub name: String,
    /// The share of the whole variance that each component holds, falling; sums to 1.
    pub explained: Vec<f64>,
    /// The same for a random walk of as many snapshots.
    pub null: Vec<f64>,
}

/// The spectra of one path or several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpectrumFigure {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// One for each path, at most eight.
    pub paths: Vec<PathSpectrum>,
}

/// Components shown as bars.
const BARS: usize = 6;
/// Components on the axis of the sums.
const SUMS: usize = 24;

/// A spectrum made ready.
pub type SpectrumShow<'a> = Scene<'a, &'a SpectrumFigure>;

impl<'a> SpectrumShow<'a> {
    /// Makes `figure` ready for a picture of `size` pixels.
    ///
    /// Errors: [`Error::Render`] without a path, with more than eight, and on one that does not move.
    pub fn new(figure: &'a SpectrumFigure, theme: &'a Theme, size: [u32; 2]) -> Result<Self> {
        let usable = |p: &PathSpectrum| {
            !p.explained.is_empty() && p.explained.iter().all(|v| v.is_finite() && *v >= 0.0)
        };
        if !(1..=8).contains(&figure.paths.len()) || !figure.paths.iter().all(usable) {
            return Err(Error::Render {
                what: "a spectrum needs one to eight paths that move, of at least two different \
                       snapshots each"
                    .into(),
                remedy: "record more snapshots (record.every), or name fewer runs".into(),
            });
        }
        let (title, caption) = (figure.title.as_str(), figure.caption.as_str());
        let spec = PageSpec { title, caption, ..PageSpec::default() };
        let page = Page::new(spec, std::iter::empty(), Screen::still(theme, size));
        Ok(Self { page, body: figure })
    }
}

impl Body for &SpectrumFigure {
    const STILL: Option<&'static str> = Some("a spectrum");

    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let mut body = page.body;
        if self.paths.len() > 1 {
            self.draw_key(canvas, page, body);
            body = Rect {
                y: body.y + 1.7 * page.font.label,
                h: body.h - 1.7 * page.font.label,
                ..body
            };
        }
        let tall = body.h > 1.2 * body.w;
        let gap = 40.0 * page.px_scale;
        let cells = if tall {
            let h = 0.5 * (body.h - gap);
            [Rect { h, ..body }, Rect { y: body.y + h + gap, h, ..body }]
        } else {
            let w = 0.56 * (body.w - gap);
            [Rect { w, ..body }, Rect { x: body.x + w + gap, w: body.w - w - gap, ..body }]
        };
        self.draw_bars(canvas, page, cells[0]);
        self.draw_sums(canvas, page, cells[1]);
        Ok(())
    }

    fn draw_moving(&self, _: &Page, _: &mut dyn Canvas, _: usize) -> Result<()> {
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        self.paths.iter().map(|p| p.name.as_str()).collect()
    }
}

impl SpectrumFigure {
    /// A line of names with their colours.
    fn draw_key(&self, canvas: &mut dyn Canvas, page: &Page, body: Rect) {
        let theme = page.theme;
        let size = page.font.label;
        let style = TextStyle::new(size, theme.text);
        let each = body.w / self.paths.len() as f32;
        let mut x = body.x;
        for (k, path) in self.paths.iter().enumerate() {
            let r = 0.36 * size;
            canvas.disc(x + r, body.y + 0.5 * size, r, theme.series_color(k));
            let name = style.fit(&path.name, each - 2.6 * size);
            canvas.text(&name, x + 1.05 * size, body.y + 0.86 * size, &style);
            x += style.width(&name) + 2.6 * size;
        }
    }

    fn draw_bars(&self, canvas: &mut dyn Canvas, page: &Page, cell: Rect) {
        let (font, theme) = (page.font, page.theme);
        let bars = self.paths.iter().map(|p| p.explained.len()).max().unwrap_or(1).min(BARS);
        let null = &self.paths[0].null;
        let first = |shares: &[f64]| shares.first().copied().unwrap_or(0.0);
        let highest = self.paths.iter().map(|p| first(&p.explained)).fold(first(null), f64::max);
        let top = 100.0 * highest.max(0.01) * 1.12;
        let domain = Domain { x: [0.5, bars as f64 + 0.5], y: [0.0, top] };
        let heading = heading_height(&font, [true; 2]);
        let around = gutters(page, domain.y, [true; 2], heading);
        let frame = frame_in(cell, around, &domain, false);
        let axes = share_axes(page, cell, frame, domain, "principal component");
        let detail = "coloured: the path · grey: a random walk of as many snapshots";
        let at = [cell.x, frame.y - 0.8 * font.small, 1.4 * font.small];
        draw_heading(canvas, page, ("Variance per component", Some(detail)), at, cell.w, None);
        axes.draw_mesh_y(canvas);
        // The walk beside the paths, one slot for each.
        let slot = frame.w / bars as f32;
        let n = self.paths.len() + 1;
        let width = 0.8 * slot / n as f32;
        let y_of = |share: f64| domain.px_from_plane(frame, 1.0, 100.0 * share).1;
        let size = (0.92 * font.small).min(0.62 * width).max(0.0);
        let value = TextStyle::new(size, theme.text).align(Align::Center);
        // As many digits as fit over a bar, the same for all.
        let digits = if value.bold().width("82.8") <= 0.95 * width { 3 } else { 2 };
        let grey = theme.background.mix(theme.muted, 0.45);
        for i in 0..bars {
            for k in 0..n {
                let shares = self.paths.get(k).map_or(null, |p| &p.explained);
                let Some(&share) = shares.get(i) else { continue };
                let x = frame.x + i as f32 * slot + 0.1 * slot + k as f32 * width;
                let y = y_of(share);
                let bar = Rect::new(x, y, 0.92 * width, frame.bottom() - y);
                let path = k < self.paths.len();
                canvas.rect(bar, if path { theme.series_color(k) } else { grey });
                let text = significant(100.0 * share, if share < 0.1 { 2 } else { digits });
                if size >= 0.6 * font.small && value.bold().width(&text) <= 0.95 * width {
                    let style =
                        if path { value.bold() } else { TextStyle { color: theme.muted, ..value } };
                    canvas.text(&text, x + 0.46 * width, y - 0.45 * size, &style);
                }
            }
        }
        axes.draw_counting(canvas);
    }

    fn draw_sums(&self, canvas: &mut dyn Canvas, page: &Page, cell: Rect) {
        let (font, theme, px_scale) = (page.font, page.theme, page.px_scale);
        let longest = self.paths.iter().map(|p| p.explained.len()).max().unwrap_or(1);
        let last = longest.clamp(2, SUMS);
        let domain = Domain { x: [0.0, last as f64 + 0.3], y: [0.0, 104.0] };
        let heading = heading_height(&font, [true; 2]);
        let around = gutters(page, domain.y, [true; 2], heading);
        let frame = frame_in(cell, around, &domain, false);
        let axes = share_axes(page, cell, frame, domain, "number of components");
        let at = [cell.x, frame.y - 0.8 * font.small, 1.4 * font.small];
        let detail = "solid: the path · dashed: a random walk";
        draw_heading(canvas, page, ("Cumulative", Some(detail)), at, cell.w, None);
        axes.draw_mesh(canvas);
        let line = |shares: &[f64]| -> Vec<(f32, f32)> {
            let mut sum = 0.0;
            let sums = shares.iter().take(last).map(|v| {
                sum += v;
                sum
            });
            std::iter::once(0.0)
                .chain(sums)
                .enumerate()
                .map(|(i, sum)| domain.px_from_plane(frame, i as f64, 100.0 * sum))
                .collect()
        };
        let dash = Some([6.0 * px_scale, 4.0 * px_scale]);
        let null = Stroke { dash, ..Stroke::solid(theme.muted, (1.9 * px_scale).max(1.0)) };
        canvas.line(&line(&self.paths[0].null), &null);
        for (k, path) in self.paths.iter().enumerate() {
            let color = theme.series_color(k);
            let points = line(&path.explained);
            let stroke =
                Stroke { cap: Cap::Round, ..Stroke::solid(color, (2.4 * px_scale).max(1.2)) };
            canvas.line(&points, &stroke);
            for &(x, y) in points.iter().skip(1) {
                canvas.disc(x, y, (3.4 * px_scale).max(1.6), color);
            }
        }
        self.draw_sum_of_two(canvas, frame, page);
        axes.draw(canvas);
    }

    /// What two components hold, in words, at the lower right where no line passes.
    fn draw_sum_of_two(&self, canvas: &mut dyn Canvas, frame: Rect, page: &Page) {
        let theme = page.theme;
        let size = page.font.label;
        let held = |shares: &[f64]| shares.iter().take(2).sum::<f64>();
        let mut lines = vec![("Two components hold".to_string(), theme.text)];
        for (k, path) in self.paths.iter().enumerate() {
            let of = if self.paths.len() == 1 { "the path" } else { path.name.as_str() };
            let share = significant(100.0 * held(&path.explained), 3);
            lines.push((format!("{share} % of {of}"), theme.series_color(k)));
        }
        let share = significant(100.0 * held(&self.paths[0].null), 3);
        lines.push((format!("{share} % of a random walk"), theme.muted));
        let height = 1.45 * size * lines.len() as f32;
        if height > 0.6 * frame.h {
            return;
        }
        let mut y = frame.bottom() - 0.9 * size - height;
        let style = TextStyle::new(size, theme.text);
        let widest = lines.iter().map(|l| style.bold().width(&l.0)).fold(0.0, f32::max);
        // Farther to the left only as long names need it: the lines rise there.
        let (least, most) = (frame.x + 0.22 * frame.w, frame.x + 0.36 * frame.w);
        let x = (frame.right() - 0.6 * size - widest).clamp(least, most);
        let room = (frame.right() - x - 0.6 * size).min(widest);
        // A plate, so that the mesh does not run through the words.
        let plate = Rect::new(x - 0.4 * size, y, room + 0.8 * size, height + 0.5 * size);
        canvas.rect(plate, theme.background);
        for (i, (text, color)) in lines.iter().enumerate() {
            y += 1.45 * size;
            let style = TextStyle { color: *color, ..if i == 0 { style } else { style.bold() } };
            canvas.text(&style.fit(text, room + 0.3 * size), x, y, &style);
        }
    }
}

/// The axes of a plot of shares.
fn share_axes<'a>(
    page: &'a Page<'a>,
    cell: Rect,
    frame: Rect,
    domain: Domain,
    x_label: &str,
) -> Axes<'a> {
    let y_label = "share of the variance, %";
    Axes {
        page,
        frame,
        domain,
        cell,
        x_label: x_label.into(),
        y_label,
        labels: LabelPlace::BesideNumbers,
    }
}
