//! A map of any quantity over the plane, cell by cell: nothing is interpolated, each sample is a
//! box of its own. With a path it is a film.

use crate::error::{Error, Result};
use crate::render::canvas::color::{Color, ink_on};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, Rect, Stroke, TextStyle};
use crate::render::map::field::{Marks, cell_edges};
use crate::render::map::panel;
use crate::render::map::path::{Pen, Track};
use crate::render::page::axes::Axes;
use crate::render::page::color_scale::ColorScale;
use crate::render::page::layout::Layout;
use crate::render::page::panels::Contents;
use crate::render::page::readout;
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::{ContourPanel, Domain, Grid, Pacing, PathPoint, Scaling, Strip};

/// A heat map, with or without a path moving over it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heatmap {
    /// The headline.
    pub title: String,
    /// Above the map.
    pub heading: String,
    /// A line of detail below that.
    pub subtitle: String,
    /// Where the numbers come from.
    pub caption: String,
    /// What the colours mean ("test accuracy, %").
    pub value_label: String,
    /// The x axis.
    pub x_label: String,
    /// The y axis.
    pub y_label: String,
    /// The values; infinite ones are clipped and hatched, NaN is a hole.
    pub grid: Grid,
    /// How they become colours.
    pub scaling: Scaling,
    /// The ends of the scale; what lies outside is clipped, and the colour bar says so. The finite
    /// values' own range without one.
    pub range: Option<[f64; 2]>,
    /// Whether more is better: the map is turned over, so that what is good looks as low loss does.
    pub rises: bool,
    /// A path over the map; may be empty.
    pub path: Vec<PathPoint>,
    /// Charts below.
    pub strip: Strip,
    /// Clock, pauses, card.
    pub pacing: Pacing,
    /// How long the last picture stays, in seconds.
    pub hold_secs: f64,
}

/// A heat map made ready.
pub type HeatmapShow<'a> = Scene<'a, HeatCells<'a>>;

/// The cells of a heat map and the path over them.
pub struct HeatCells<'a> {
    map: &'a Heatmap,
    layout: Layout,
    /// Titles, axes and path.
    panel: ContourPanel,
    scale: ColorScale,
    domain: Domain,
    track: Track,
}

impl<'a> HeatmapShow<'a> {
    /// Makes `map` ready for a picture of `size` pixels in `frames` frames.
    ///
    /// Errors: [`Error::Render`] on a grid that cannot be drawn.
    pub fn new(
        map: &'a Heatmap,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        map.grid.check()?;
        let panel = ContourPanel {
            title: map.heading.clone(),
            subtitle: map.subtitle.clone(),
            grid: map.grid.clone(),
            path: map.path.clone(),
            x_label: map.x_label.clone(),
            y_label: map.y_label.clone(),
            ..ContourPanel::default()
        };
        let scale = ColorScale::new(&map.grid.values, (map.scaling, map.rises), map.range, theme);
        let domain = Domain::of(&panel);
        let contents = Contents {
            panels: std::slice::from_ref(&panel),
            domains: &[domain],
            bar_label_ems: scale.bar_label_ems(&map.value_label),
            table: None,
        };
        let spec = PageSpec::film(&map.title, &map.caption, &map.strip, &map.pacing, map.hold_secs);
        let times = map.path.iter().map(|p| p.time);
        let screen = Screen { theme, size, frames, fps };
        let lay_out = |page: &Page| Layout::panels(page, &contents);
        let (page, layout) = Page::laid_out(spec, times, screen, 7.0, lay_out);
        let frame = layout.panels[0].frame;
        let track = Track::new(&map.path, domain, frame, page.px_scale);
        Ok(Self { page, body: HeatCells { map, layout, panel, scale, domain, track } })
    }
}

impl HeatCells<'_> {
    fn draw_cells(&self, canvas: &mut dyn Canvas) {
        let grid = &self.map.grid;
        let (xs, ys) = (cell_edges(&grid.xs, self.domain.x), cell_edges(&grid.ys, self.domain.y));
        let px: Vec<f32> = xs.iter().map(|&x| self.px(x, self.domain.y[0]).0.round()).collect();
        let py: Vec<f32> = ys.iter().map(|&y| self.px(self.domain.x[0], y).1.round()).collect();
        let nx = grid.xs.len();
        let color = |k: usize| {
            let value = grid.values[k];
            (!value.is_nan()).then(|| self.scale.color_at(self.scale.share(value)))
        };
        for iy in 0..grid.ys.len() {
            let mut ix = 0;
            while ix < nx {
                let first = ix;
                let ink = color(iy * nx + ix);
                // Neighbours of one colour are one box.
                while ix < nx && color(iy * nx + ix) == ink {
                    ix += 1;
                }
                if let Some(ink) = ink {
                    let (x, y) = (px[first], py[iy + 1]);
                    canvas.rect(Rect::new(x, y, px[ix] - x, py[iy] - y), ink);
                }
            }
        }
    }

    /// In greys a sign has no colour: cells below zero are ruled, in the map and in the bar.
    fn draw_signs(&self, canvas: &mut dyn Canvas, page: &Page) {
        if !self.scale.is_signed() || page.theme.name != "print" {
            return;
        }
        let grid = &self.map.grid;
        let (xs, ys) = (cell_edges(&grid.xs, self.domain.x), cell_edges(&grid.ys, self.domain.y));
        let nx = grid.xs.len();
        for (k, &value) in grid.values.iter().enumerate().filter(|(_, v)| **v < 0.0) {
            let (ix, iy) = (k % nx, k / nx);
            let (x0, y0) = self.px(xs[ix], ys[iy + 1]);
            let (x1, y1) = self.px(xs[ix + 1], ys[iy]);
            let ground = self.scale.color_at(self.scale.share(value));
            rule(canvas, Rect::new(x0, y0, x1 - x0, y1 - y0), ground, page);
        }
        let zero = self.scale.share(0.0) as f32;
        if let Some(bar) = self.layout.colorbar.filter(|_| zero > 0.0) {
            // Below the title's and above the point's room, as the bar itself is drawn.
            let top = bar.y + 0.5 * page.font.small;
            let h = bar.bottom() - top;
            let below = Rect::new(bar.x, bar.bottom() - zero * h, bar.w, zero * h);
            rule(canvas, below, self.scale.color_at(0.5 * f64::from(zero)), page);
            let style = TextStyle::new(page.font.small, page.theme.muted);
            let words = "ruled: below zero";
            if bar.x + style.width(words) <= page.rect.w - page.margin {
                canvas.text(words, bar.x, bar.bottom() + 1.5 * page.font.small, &style);
            }
        }
    }

    fn px(&self, x: f64, y: f64) -> (f32, f32) {
        self.domain.px_from_plane(self.layout.panels[0].frame, x, y)
    }
}

impl Body for HeatCells<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (place, grid) = (&self.layout.panels[0], &self.map.grid);
        panel::draw_heading(canvas, &self.panel, place, page, None);
        self.draw_cells(canvas);
        panel::draw_marks(canvas, &Marks::of(grid, self.domain, place.frame), page);
        if grid.values.iter().all(|v| !v.is_finite()) {
            panel::draw_notice(canvas, place.frame, "no finite value", page);
        }
        Axes::of_panel(&self.panel, self.domain, place, page).draw(canvas);
        if let Some(bar) = self.layout.colorbar {
            let title = &self.map.value_label;
            self.scale.bar(title, bar, page).draw_beside_panels(canvas, bar, page);
        }
        self.draw_signs(canvas, page);
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let (theme, place) = (page.theme, &self.layout.panels[0]);
        let time = page.timeline.epoch(frame);
        let rows = readout::rows(&self.map.path, page.clock(), time, page.span());
        readout::draw_at(canvas, place, page, &rows);
        // On a map of two colours the path has neither.
        let two = self.scale.is_signed();
        let color = if two { theme.text } else { theme.series_color(0) };
        canvas.set_clip(Some(place.frame));
        self.track.draw(canvas, time, &Pen::new(page, color));
        canvas.set_clip(None);
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let m = self.map;
        let own = [&m.heading, &m.subtitle, &m.value_label, &m.x_label, &m.y_label];
        own.into_iter().map(String::as_str).collect()
    }
}

/// Level lines over `rect`, light on a dark ground and dark on a light one, in one phase everywhere.
fn rule(canvas: &mut dyn Canvas, rect: Rect, ground: Color, page: &Page) {
    let spacing = (5.0 * page.px_scale).max(3.0);
    let stroke = Stroke::solid(ink_on(ground).alpha(0.75), page.px_scale.max(0.7));
    let (first, last) =
        ((rect.y / spacing).ceil() as i32, (rect.bottom() / spacing).floor() as i32);
    for k in first..=last {
        let y = k as f32 * spacing;
        canvas.line(&[(rect.x, y), (rect.right(), y)], &stroke);
    }
}

impl Heatmap {
    /// Whether the ends of [`Heatmap::range`] are in order. Errors: [`Error::BadValue`].
    pub fn check_range(range: [f64; 2]) -> Result<[f64; 2]> {
        if range[0] < range[1] && range.iter().all(|v| v.is_finite()) {
            return Ok(range);
        }
        let value = format!("{},{}", range[0], range[1]);
        Err(Error::bad_value("values", value, "not a range", "write the lower end first: 0,1"))
    }
}
