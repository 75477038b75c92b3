//! A map of any quantity over the plane, cell by cell: nothing is interpolated, each sample is a
//! box of its own. With a path it is a film.

use crate::error::{Error, Result};
use crate::render::canvas::text;
use crate::render::canvas::theme::{Colormap, Theme};
use crate::render::canvas::{Canvas, Rect, Stroke, TextStyle};
use crate::render::film::show::Show;
use crate::render::map::field::Marks;
use crate::render::map::panel;
use crate::render::map::path::{Pen, Track};
use crate::render::page::chart::{self, Chart, Future};
use crate::render::page::colorbar::BarPoints;
use crate::render::page::layout::{Contents, Layout};
use crate::render::page::masthead::Masthead;
use crate::render::page::readout;
use crate::render::page::scale::{log_ticks, significant, ticks, widest_tick};
use crate::render::page::timeline::Timeline;
use crate::render::page::{self, Furniture};
use crate::render::scene::Domain;
use crate::render::scene::{ContourPanel, Grid, Pacing, PathPoint, Strip};

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
    /// How long the last picture stands, in seconds.
    pub hold_secs: f64,
}

/// A continuous scale of colours.
#[derive(Debug, Clone, PartialEq)]
struct ColorScale {
    log: bool,
    /// Ends in scale units.
    low: f64,
    high: f64,
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
        let own = if log { ends(&mut positive.into_iter()) } else { [least, most] };
        let own = if scaling == Scaling::Diverging {
            let reach = own[0].abs().max(own[1].abs());
            [-reach, reach]
        } else {
            own
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
        if log {
            (low, high) = (low.log10(), high.log10());
        }
        if high - low <= 1e-12 * low.abs().max(high.abs()) {
            let half = if log { 0.5 } else { 0.5 * low.abs().max(1e-9) };
            (low, high) = (low - half, high + half);
        }
        let diverging = scaling == Scaling::Diverging;
        let map = if diverging { theme.diverging.clone() } else { theme.colormap.clone() };
        Self { log, low, high, clipped, map }
    }

    /// Place on the bar, 0..=1.
    fn share(&self, value: f64) -> f64 {
        let z = if self.log { value.max(1e-300).log10() } else { value };
        // Halved first: the ends may be further apart than the largest number.
        ((0.5 * z - 0.5 * self.low) / (0.5 * self.high - 0.5 * self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self, count: usize) -> Vec<f64> {
        if self.log {
            let ends = [10f64.powf(self.low), 10f64.powf(self.high)];
            log_ticks(ends[0], ends[1], count)
        } else {
            ticks(self.low, self.high, count)
        }
    }
}

/// A heat map made ready.
pub struct HeatmapShow<'a> {
    map: &'a Heatmap,
    theme: &'a Theme,
    layout: Layout,
    masthead: Masthead<'a>,
    /// Titles, axes and path; the values are the map's.
    panel: ContourPanel,
    timeline: Timeline,
    scale: ColorScale,
    domain: Domain,
    track: Track,
    charts: Vec<Chart<'a>>,
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
        let clock = map.pacing.clock;
        let times = map.path.iter().map(|p| clock.time(p));
        let timeline = Timeline::over(times, &map.pacing, map.hold_secs, frames, f64::from(fps));
        let mut scale = ColorScale::new(&map.grid.values, map.scaling, map.range, theme);
        if map.rises && map.scaling != Scaling::Diverging {
            scale.map = scale.map.reversed();
        }
        let domain = Domain::of(&panel);
        let ems = |text: &str| text::width(text, 1.0, text::Weight::Regular);
        let numbers = scale.ticks(8).into_iter().map(|v| ems(&significant(v, 4)));
        let contents = Contents {
            title: !map.title.is_empty(),
            caption: !map.caption.is_empty(),
            headings: !map.heading.is_empty(),
            subtitles: !map.subtitle.is_empty(),
            domains: &[domain],
            charts: chart::quantities(&map.strip.series).len(),
            // The mark beside the bar takes as much as two letters; its title as a rule is wider.
            colorbar_label_ems: numbers.fold(2.0, f32::max).max(ems(&map.value_label) - 2.0) + 0.5,
            tick_label_ems: widest_tick(domain.y, ems).max(1.5),
        };
        let (masthead, layout, ()) =
            Masthead::above(&map.title, &map.caption, size, theme, |[width, height]| {
                (Layout::scaled(width, height, theme.scale, &contents), ())
            });
        let frame = layout.panels[0].frame;
        let track = Track::with_clock(&map.path, clock, domain, frame, layout.s);
        let span = [timeline.start, timeline.end];
        let charts = chart::at_places(&map.strip.series, &layout, clock.unit(), span, &[]);
        Ok(Self { map, theme, layout, masthead, panel, timeline, scale, domain, track, charts })
    }

    fn draw_cells(&self, canvas: &mut dyn Canvas) {
        let grid = &self.map.grid;
        let (xs, ys) = (edges(&grid.xs, self.domain.x), edges(&grid.ys, self.domain.y));
        let px: Vec<f32> = xs.iter().map(|&x| self.px(x, self.domain.y[0]).0.round()).collect();
        let py: Vec<f32> = ys.iter().map(|&y| self.px(self.domain.x[0], y).1.round()).collect();
        let nx = grid.xs.len();
        let color = |k: usize| {
            let value = grid.values[k];
            (!value.is_nan()).then(|| self.scale.map.at(self.scale.share(value)))
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

    fn px(&self, x: f64, y: f64) -> (f32, f32) {
        self.domain.px_from_plane(self.layout.panels[0].frame, x, y)
    }

    fn draw_bar(&self, canvas: &mut dyn Canvas, bar: Rect) {
        let (theme, font, s) = (self.theme, self.layout.font, self.layout.s);
        // Lower than a bar of bands: there is a number at its very top.
        let bar = Rect { y: bar.y + 0.5 * font.small, h: bar.h - 0.5 * font.small, ..bar };
        let point = 0.8 * bar.w;
        let top = bar.y + if self.scale.clipped[1] { point } else { 0.0 };
        let bottom = bar.bottom() - if self.scale.clipped[0] { point } else { 0.0 };
        let steps = ((bottom - top).round() as usize).clamp(2, 512);
        let y_of = |share: f64| bottom - share as f32 * (bottom - top);
        for i in 0..steps {
            let (a, b) = (i as f64 / steps as f64, (i + 1) as f64 / steps as f64);
            let color = self.scale.map.at(0.5 * (a + b));
            let (y0, y1) = (y_of(b).floor(), y_of(a).ceil());
            canvas.rect(Rect::new(bar.x, y0, bar.w, y1 - y0), color);
        }
        let points =
            BarPoints { bar, top, bottom, low: self.scale.clipped[0], high: self.scale.clipped[1] };
        for (high, share) in [(true, 1.0), (false, 0.0)] {
            if let Some(path) = points.point(high) {
                canvas.fill(&path, self.scale.map.at(share), false);
            }
        }
        points.draw_outline(canvas, s, theme);
        let style = TextStyle::new(font.small, theme.muted);
        let tick = Stroke::solid(theme.muted, s.max(0.75));
        for value in self.scale.ticks(((bar.h / (2.2 * font.small)) as usize).clamp(2, 8)) {
            let y = y_of(self.scale.share(value));
            canvas.line(&[(bar.right(), y), (bar.right() + 4.0 * s, y)], &tick);
            let baseline = y + 0.5 * crate::render::canvas::text::CAP_HEIGHT * font.small;
            canvas.text(&significant(value, 4), bar.right() + 8.0 * s, baseline, &style);
        }
        let title = TextStyle::new(font.small, theme.text);
        let page = self.layout.page.w;
        if page < 360.0 {
            return; // no room beside the panel's own title
        }
        let room = page - 4.0 * s - bar.x;
        let text = title.fit(&self.map.value_label, room);
        canvas.text(&text, bar.x, bar.y - 1.1 * font.small, &title);
    }
}

/// The `n + 1` edges of the cells around `n` samples: half-way between, and the domain's ends.
fn edges(samples: &[f64], [low, high]: [f64; 2]) -> Vec<f64> {
    let middles = samples.windows(2).map(|w| 0.5 * w[0] + 0.5 * w[1]);
    std::iter::once(low).chain(middles).chain([high]).collect()
}

impl Show for HeatmapShow<'_> {
    fn size(&self) -> [u32; 2] {
        [self.layout.page.w as u32, self.layout.page.h as u32]
    }

    fn frames(&self) -> usize {
        self.timeline.frames
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (theme, layout, map) = (self.theme, &self.layout, self.map);
        let place = &layout.panels[0];
        self.masthead.draw(canvas, layout, theme);
        panel::draw_heading(canvas, &self.panel, place, layout, theme, None);
        self.draw_cells(canvas);
        let marks = Marks::of(&map.grid, self.domain, place.frame);
        panel::draw_marks(canvas, &marks, layout.s, theme);
        if map.grid.values.iter().all(|v| !v.is_finite()) {
            let size = layout.font.label;
            panel::draw_notice(canvas, place.frame, "no finite value", layout.s, size, theme);
        }
        panel::draw_axes(canvas, &self.panel, place, layout, theme);
        if let Some(bar) = layout.colorbar {
            self.draw_bar(canvas, bar);
        }
        self.charts.iter().try_for_each(|chart| chart.draw_static(canvas, theme, Future::Faint))
    }

    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let (theme, layout) = (self.theme, &self.layout);
        let place = &layout.panels[0];
        let time = self.timeline.epoch(frame);
        let span = self.timeline.end - self.timeline.start;
        // On a map of two colours the path has neither.
        let two = self.map.scaling == Scaling::Diverging;
        let color = if two { theme.text } else { theme.series_color(0) };
        let pen = Pen { color, theme, s: layout.s, fade: 0.22 * span };
        let pacing = &self.map.pacing;
        let rows = readout::rows_at(&self.map.path, pacing.clock, time, span);
        if let Some((rect, on_plate)) = readout::place(place, layout, &self.track.pixels()) {
            readout::draw(canvas, rect, on_plate, &rows, layout, theme);
        }
        canvas.set_clip(Some(place.frame));
        self.track.draw(canvas, time, &pen);
        canvas.set_clip(None);
        let title = &self.map.title;
        page::draw_over(canvas, layout, &self.charts, title, pacing, &self.timeline, frame, theme);
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.theme
    }

    fn texts(&self) -> Vec<&str> {
        let m = self.map;
        let own = [&m.heading, &m.subtitle, &m.value_label, &m.x_label, &m.y_label];
        let furniture =
            Furniture { title: &m.title, caption: &m.caption, strip: &m.strip, pacing: &m.pacing };
        own.into_iter().map(String::as_str).chain(furniture.texts()).collect()
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
