//! A map of any quantity over the plane, cell by cell: nothing is interpolated, each sample is a
//! box of its own. With a path it is a film.

use crate::error::{Error, Result};
use crate::render::canvas::color::{Color, ink_on};
use crate::render::canvas::theme::{Colormap, Theme};
use crate::render::canvas::{Canvas, Rect, Stroke, TextStyle};
use crate::render::map::field::{Marks, cell_edges};
use crate::render::map::panel;
use crate::render::map::path::{Pen, Track};
use crate::render::numbers::significant;
use crate::render::page::axes::Axes;
use crate::render::page::colorbar::{ColorBar, Colors, Lines};
use crate::render::page::layout::Layout;
use crate::render::page::panels::{Contents, ems};
use crate::render::page::readout;
use crate::render::page::scale::{log_ticks, ticks};
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::{ContourPanel, Domain, Grid, Pacing, PathPoint, Strip};

/// From values to colours.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Scaling {
    /// Logarithmic where all values are positive and span more than a factor of ten, else linear.
    #[default]
    Auto,
    /// Even in the value.
    Linear,
    /// Even in its logarithm; zero and below are clipped.
    Log,
    /// Even in the value, with zero in the middle of a two-coloured map.
    Diverging,
}

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

/// From values to even units along the bar.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    Linear,
    Log,
    /// Even in the value about zero, in its logarithm far from it: `sign(v) ln(1 + |v| / c)`.
    Signed {
        c: f64,
    },
}

impl Unit {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(1e-300).log10(),
            Self::Signed { c } => value.signum() * (value.abs() / c).ln_1p(),
        }
    }
}

/// A continuous scale of colours.
#[derive(Debug, Clone, PartialEq)]
struct ColorScale {
    unit: Unit,
    /// Ends in scale units.
    low: f64,
    high: f64,
    /// The ends as values.
    ends: [f64; 2],
    clipped: [bool; 2],
    map: Colormap,
}

impl ColorScale {
    fn new(values: &[f64], scaling: Scaling, range: Option<[f64; 2]>, theme: &Theme) -> Self {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let positive = finite().filter(|v| *v > 0.0);
        let ends = |of: &mut dyn Iterator<Item = f64>| {
            of.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)])
        };
        let [least, most] = ends(&mut finite());
        let log = match scaling {
            Scaling::Log => most > 0.0,
            Scaling::Auto => least > 0.0 && most > 10.0 * least,
            _ => false,
        };
        let diverging = scaling == Scaling::Diverging;
        let own = match (log, diverging) {
            (true, _) => ends(&mut positive.into_iter()),
            // From zero to where the values are: a side without a value takes no room.
            (_, true) => [least.min(0.0), most.max(0.0)],
            _ => [least, most],
        };
        let usable = |r: &[f64; 2]| {
            r[0] < r[1] && r[0].is_finite() && r[1].is_finite() && (!log || r[0] > 0.0)
        };
        let given = range.filter(usable);
        let [mut low, mut high] = given.unwrap_or(own);
        if !(low.is_finite() && high.is_finite()) {
            (low, high) = (0.0, 1.0);
        }
        // The ends as they are drawn to, before they are spread for a constant map.
        let clipped = [values.iter().any(|v| *v < low), values.iter().any(|v| *v > high)];
        let unit = if diverging {
            // Half of the values share the paler half of the colours.
            let reach = low.abs().max(high.abs());
            let mut sizes: Vec<f64> = finite().map(f64::abs).filter(|v| *v > 0.0).collect();
            sizes.sort_by(f64::total_cmp);
            let median = sizes.get(sizes.len() / 2).copied().unwrap_or(reach);
            if reach > 0.0 && median < 0.5 * reach && median > 0.0 {
                // ln(1 + m/c) = ln(1 + r/c) / 2, so (1 + m/c)^2 = 1 + r/c.
                Unit::Signed { c: (median * median / (reach - 2.0 * median)).max(1e-6 * reach) }
            } else {
                Unit::Linear
            }
        } else if log {
            Unit::Log
        } else {
            Unit::Linear
        };
        let ends = [low, high];
        (low, high) = (unit.of(low), unit.of(high));
        if high - low <= 1e-12 * low.abs().max(high.abs()) {
            let half = if log { 0.5 } else { 0.5 * low.abs().max(1e-9) };
            (low, high) = (low - half, high + half);
        }
        let map = if diverging { theme.diverging.clone() } else { theme.colormap.clone() };
        Self { unit, low, high, ends, clipped, map }
    }

    /// Place on the bar, 0..=1.
    fn share(&self, value: f64) -> f64 {
        // Halved first: the ends may be further apart than the largest number.
        let z = self.unit.of(value);
        ((0.5 * z - 0.5 * self.low) / (0.5 * self.high - 0.5 * self.low)).clamp(0.0, 1.0)
    }

    /// The colour at a place on the bar; with `signed` zero is in the middle of the map and equal
    /// distances from it are equally strong, whichever side is the longer.
    fn color_at(&self, place: f64, signed: bool) -> Color {
        if !signed {
            return self.map.at(place);
        }
        let z = self.low + place * (self.high - self.low);
        self.map.at(0.5 + 0.5 * z / self.low.abs().max(self.high.abs()))
    }

    fn ticks(&self, count: usize) -> Vec<f64> {
        let [low, high] = self.ends;
        match self.unit {
            Unit::Log => log_ticks(10f64.powf(self.low), 10f64.powf(self.high), count),
            Unit::Linear => ticks(self.low, self.high, count),
            Unit::Signed { c } => {
                // Powers of ten on both sides of zero, then their threefold, as many as have room.
                let (first, last) =
                    (c.log10().floor() as i32 - 1, low.abs().max(high).log10().floor() as i32);
                let near = |v: f64, others: &[f64]| {
                    let gap = 0.8 / count.max(1) as f64;
                    others.iter().any(|o| (self.share(v) - self.share(*o)).abs() < gap)
                };
                let mut found = vec![0.0];
                for mantissa in [1, 3] {
                    for exponent in (first..=last.max(first)).rev() {
                        let size: f64 =
                            format!("{mantissa}e{exponent}").parse().unwrap_or(f64::NAN);
                        for v in [size, -size] {
                            if v >= low && v <= high && !near(v, &found) {
                                found.push(v);
                            }
                        }
                    }
                }
                found.sort_by(f64::total_cmp);
                found
            }
        }
    }
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
        let mut scale = ColorScale::new(&map.grid.values, map.scaling, map.range, theme);
        if map.rises && map.scaling != Scaling::Diverging {
            scale.map = scale.map.reversed();
        }
        let domain = Domain::of(&panel);
        let numbers = scale.ticks(8).into_iter().map(|v| ems(&significant(v, 4)));
        let contents = Contents {
            panels: std::slice::from_ref(&panel),
            domains: &[domain],
            // The mark beside the bar takes as much as two letters; its title as a rule is wider.
            bar_label_ems: numbers.fold(2.0, f32::max).max(ems(&map.value_label) - 2.0) + 0.5,
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
            (!value.is_nan()).then(|| self.scale.color_at(self.scale.share(value), self.signed()))
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

    /// Whether zero is in the middle of two colours.
    fn signed(&self) -> bool {
        self.map.scaling == Scaling::Diverging
    }

    /// In greys a sign has no colour: cells below zero are ruled, in the map and in the bar.
    fn draw_signs(&self, canvas: &mut dyn Canvas, page: &Page) {
        if !self.signed() || page.theme.name != "print" {
            return;
        }
        let grid = &self.map.grid;
        let (xs, ys) = (cell_edges(&grid.xs, self.domain.x), cell_edges(&grid.ys, self.domain.y));
        let nx = grid.xs.len();
        for (k, &value) in grid.values.iter().enumerate().filter(|(_, v)| **v < 0.0) {
            let (ix, iy) = (k % nx, k / nx);
            let (x0, y0) = self.px(xs[ix], ys[iy + 1]);
            let (x1, y1) = self.px(xs[ix + 1], ys[iy]);
            let ground = self.scale.color_at(self.scale.share(value), true);
            rule(canvas, Rect::new(x0, y0, x1 - x0, y1 - y0), ground, page);
        }
        let zero = self.scale.share(0.0) as f32;
        if let Some(bar) = self.layout.colorbar.filter(|_| zero > 0.0) {
            // Below the title's and above the point's room, as the bar itself is drawn.
            let top = bar.y + 0.5 * page.font.small;
            let h = bar.bottom() - top;
            let below = Rect::new(bar.x, bar.bottom() - zero * h, bar.w, zero * h);
            rule(canvas, below, self.scale.color_at(0.5 * f64::from(zero), true), page);
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

    fn color_bar(&self, bar: Rect, page: &Page) -> ColorBar<'_> {
        let count = ((bar.h / (2.2 * page.font.small)) as usize).clamp(2, 8);
        let numbers = self.scale.ticks(count).into_iter();
        let signed = self.signed();
        let end = |k: usize| self.scale.clipped[k].then(|| self.scale.color_at(k as f64, signed));
        ColorBar {
            title: &self.map.value_label,
            colors: Colors::Ramp(Box::new(move |place| self.scale.color_at(place, signed))),
            numbers: numbers.map(|v| (self.scale.share(v), significant(v, 4))).collect(),
            lines: Lines::Beside,
            points: [end(0), end(1)],
            hatched: false,
        }
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
            self.color_bar(bar, page).draw_beside_panels(canvas, bar, page);
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
        let two = self.map.scaling == Scaling::Diverging;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lightness(c: Color) -> f32 {
        c.oklab()[0]
    }

    #[test]
    fn a_signed_scale_has_no_empty_half_and_its_colours_are_not_all_deep() {
        // Losses above the final model's, as they are: a little below zero, a plateau, a tail.
        let values: Vec<f64> =
            (0..400).map(|i| -0.05 + 0.0005 * (i as f64).powi(2) + 0.01 * i as f64).collect();
        let theme = Theme::light();
        let scale = ColorScale::new(&values, Scaling::Diverging, None, &theme);
        assert!(scale.share(0.0) > 0.0 && scale.share(0.0) < 0.2, "{}", scale.share(0.0));
        assert_eq!(scale.ends, [values[0], values[399]]);
        let color = |v: f64| scale.color_at(scale.share(v), true);
        let deep = values.iter().filter(|v| lightness(color(**v)) < 0.55).count();
        assert!(deep < values.len() * 2 / 5, "{deep} of {} are deep", values.len());
        // Zero is the pale middle, and equal distances from it are equally strong.
        assert!(lightness(color(0.0)) > 0.95);
        assert!((lightness(color(0.05)) - lightness(color(-0.05))).abs() < 0.03);
        let ticks = scale.ticks(8);
        assert!(ticks.contains(&0.0) && ticks.len() >= 4, "{ticks:?}");
        let none_below = ColorScale::new(&[0.0, 1.0, 3.0], Scaling::Diverging, None, &theme);
        assert_eq!(none_below.share(0.0), 0.0);
    }

    #[test]
    fn in_print_zero_is_white_and_both_signs_darken_from_it() {
        let theme = Theme::print();
        let scale = ColorScale::new(&[-2.0, -1.0, 1.0, 2.0], Scaling::Diverging, None, &theme);
        let light = |v: f64| lightness(scale.color_at(scale.share(v), true));
        assert!(light(0.0) > 0.97 && light(2.0) < 0.6 && light(-2.0) < 0.6);
        assert!((light(1.0) - light(-1.0)).abs() < 0.02);
    }
}
