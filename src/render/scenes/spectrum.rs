//! The explained variance of a path's principal components beside that of a random walk.
//!
//! A plane through a path always holds much of its variance: a pure random walk puts 61 % on its
//! first component and 76 % on two (Antognini and Sohl-Dickstein 2018). What a plane tells about a
//! run is what it holds beyond that, so the walk stands beside every bar.

use super::axes::{Axes, draw_heading, frame_in, gutters, heading_height};
use super::still::Figure;
use crate::error::{Error, Result};
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};
use crate::render::field::Domain;
use crate::render::page::{Furniture, Page};
use crate::render::scale::significant;
use crate::render::scene::{Pacing, Strip};
use crate::render::theme::Theme;

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
const BARS: usize = 8;
/// Components on the axis of the sums.
const SUMS: usize = 24;

impl Figure for SpectrumFigure {
    fn name(&self) -> &'static str {
        "a spectrum"
    }

    fn draw(&self, canvas: &mut dyn Canvas, size: [u32; 2], theme: &Theme) -> Result<()> {
        let usable = |p: &PathSpectrum| {
            !p.explained.is_empty() && p.explained.iter().all(|v| v.is_finite() && *v >= 0.0)
        };
        if self.paths.is_empty() || self.paths.len() > 8 || !self.paths.iter().all(usable) {
            return Err(Error::Render {
                what: "a spectrum needs one to eight paths that move, of at least two different \
                       snapshots each"
                    .into(),
                remedy: "record more snapshots (record.every), or name fewer runs".into(),
            });
        }
        let (strip, pacing) = (Strip::default(), Pacing::default());
        let (title, caption) = (self.title.as_str(), self.caption.as_str());
        let furniture = Furniture { title, caption, strip: &strip, pacing: &pacing };
        let page = Page::new(size, furniture, theme);
        page.draw_static(canvas)?;
        let mut body = page.body;
        if self.paths.len() > 1 {
            self.draw_key(canvas, &page, body, theme);
            body = Rect {
                y: body.y + 1.7 * page.font.label,
                h: body.h - 1.7 * page.font.label,
                ..body
            };
        }
        let tall = body.h > 1.2 * body.w;
        let gap = 40.0 * page.s;
        let cells = if tall {
            let h = 0.5 * (body.h - gap);
            [Rect { h, ..body }, Rect { y: body.y + h + gap, h, ..body }]
        } else {
            let w = 0.56 * (body.w - gap);
            [Rect { w, ..body }, Rect { x: body.x + w + gap, w: body.w - w - gap, ..body }]
        };
        self.draw_bars(canvas, &page, cells[0], theme);
        self.draw_sums(canvas, &page, cells[1], theme);
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let names = self.paths.iter().map(|p| p.name.as_str());
        [self.title.as_str(), self.caption.as_str()].into_iter().chain(names).collect()
    }
}

impl SpectrumFigure {
    /// A line of names with their colours.
    fn draw_key(&self, canvas: &mut dyn Canvas, page: &Page, body: Rect, theme: &Theme) {
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

    fn draw_bars(&self, canvas: &mut dyn Canvas, page: &Page, cell: Rect, theme: &Theme) {
        let font = page.font;
        let bars = self.paths.iter().map(|p| p.explained.len()).max().unwrap_or(1).min(BARS);
        let highest = self
            .paths
            .iter()
            .flat_map(|p| [p.explained[0], p.null.first().copied().unwrap_or(0.0)])
            .fold(0.0, f64::max);
        let domain =
            Domain { x: [0.5, bars as f64 + 0.5], y: [0.0, 100.0 * highest.max(0.01) * 1.12] };
        let heading = heading_height(&font, true, true);
        let frame =
            frame_in(cell, gutters(&font, page.s, domain.y, [true, true], heading), &domain, false);
        let axes = Axes {
            frame,
            domain,
            x_label: "principal component",
            y_label: "share of the variance, %",
            font,
            s: page.s,
        };
        let texts =
            ["Each component", "bars: the path · lines: a random walk of as many snapshots"];
        draw_heading(canvas, texts, frame, cell.right() - frame.x, &font, theme);
        axes.draw_mesh(canvas, theme);
        let slot = frame.w / bars as f32;
        let n = self.paths.len() as f32;
        let (width, inset) = (0.72 * slot / n, 0.14 * slot);
        let y_of = |share: f64| domain.px_from_plane(frame, 1.0, 100.0 * share).1;
        let small = TextStyle::new(0.92 * font.small, theme.text).align(Align::Center);
        for i in 0..bars {
            for (k, path) in self.paths.iter().enumerate() {
                let x = frame.x + i as f32 * slot + inset + k as f32 * width;
                let Some(&share) = path.explained.get(i) else { continue };
                let top = y_of(share);
                let bar = Rect::new(x, top, width - page.s.min(0.15 * width), frame.bottom() - top);
                canvas.rect(bar, theme.series_color(k));
                let null = path.null.get(i).copied().unwrap_or(0.0);
                let y = y_of(null);
                let over = 0.07 * slot / n;
                let casing = Stroke::solid(theme.background, (5.0 * page.s).max(2.0));
                let line = Stroke::solid(theme.text, (2.2 * page.s).max(1.2));
                let ends = [(x - over, y), (x + bar.w + over, y)];
                canvas.line(&ends, &casing);
                canvas.line(&ends, &line);
                if width >= 2.2 * small.size {
                    // Above whichever is higher, bar or line.
                    let text = format!(
                        "{} %",
                        significant(100.0 * share, if share < 0.1 { 2 } else { 3 })
                    );
                    let style = if small.width(&text) > 1.25 * width {
                        small.align(Align::Center)
                    } else {
                        small
                    };
                    if small.width(&text) <= slot {
                        canvas.text(
                            &text,
                            x + 0.5 * bar.w,
                            top.min(y) - 0.55 * small.size,
                            &style.bold(),
                        );
                    }
                }
            }
        }
        axes.draw(canvas, theme);
    }

    fn draw_sums(&self, canvas: &mut dyn Canvas, page: &Page, cell: Rect, theme: &Theme) {
        let font = page.font;
        let longest = self.paths.iter().map(|p| p.explained.len()).max().unwrap_or(1);
        let last = longest.clamp(2, SUMS);
        let domain = Domain { x: [0.0, last as f64], y: [0.0, 105.0] };
        let heading = heading_height(&font, true, true);
        let frame = frame_in(
            cell,
            gutters(&font, page.s, domain.y, [true, false], heading),
            &domain,
            false,
        );
        let axes = Axes { frame, domain, x_label: "components", y_label: "", font, s: page.s };
        let texts = ["Together, %", "solid: the path · dashed: a random walk"];
        draw_heading(canvas, texts, frame, cell.right() - frame.x, &font, theme);
        axes.draw_mesh(canvas, theme);
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
        for (k, path) in self.paths.iter().enumerate() {
            let null = Stroke {
                dash: Some([6.0 * page.s, 4.0 * page.s]),
                ..Stroke::solid(theme.muted, (1.8 * page.s).max(1.0))
            };
            if k == 0 {
                canvas.line(&line(&path.null), &null);
            }
            let color = theme.series_color(k);
            let points = line(&path.explained);
            let stroke =
                Stroke { cap: Cap::Round, ..Stroke::solid(color, (2.4 * page.s).max(1.2)) };
            canvas.line(&points, &stroke);
            for &(x, y) in points.iter().skip(1) {
                canvas.disc(x, y, (3.4 * page.s).max(1.6), color);
            }
        }
        // What two components hold is what a reader asks for.
        let held = |shares: &[f64]| shares.iter().take(2).sum::<f64>();
        let first = &self.paths[0];
        let texts = [
            (held(&first.explained), theme.series_color(0), self.paths.len() == 1),
            (held(&first.null), theme.muted, true),
        ];
        let style = TextStyle::new(font.label, theme.text).bold();
        let mut floor = f32::INFINITY;
        for (share, color, shown) in texts {
            let (x, y) = domain.px_from_plane(frame, 2.0, 100.0 * share);
            // Below the line's point, and below the text above.
            let mut baseline = y + 1.5 * font.label;
            if floor.is_finite() {
                baseline = baseline.max(floor + 1.4 * font.label);
            }
            if shown && baseline < frame.bottom() - 0.3 * font.label {
                let who = if color == theme.muted { "random walk: " } else { "" };
                let text = format!("{who}{} % on two", significant(100.0 * share, 3));
                let style = TextStyle { color, ..style };
                canvas.text(&text, x + 0.6 * font.label, baseline, &style);
                floor = baseline;
            }
        }
        axes.draw(canvas, theme);
    }
}
