//! Charts of loss, accuracy or learning rate over epochs (or over a line). plotters makes the mesh
//! and the x axis on our canvas; the curves are drawn here, because a film draws them up to now in
//! every frame, and they are labelled at their ends, not in a legend.

use std::collections::BTreeSet;
use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::{ChartBuilder, Color as _, IntoDrawingArea, LabelAreaPosition, RGBColor};
use plotters::style::ShapeStyle;

use crate::error::{Error, Result};
use crate::render::canvas::color::Color;
use crate::render::canvas::text::Type;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle, polyline};
use crate::render::numbers::significant;
use crate::render::page::plotters_canvas::{SUB, Subpixel};
use crate::render::page::scale::{log_ticks, ticks};
use crate::render::scene::{Quantity, Series, Split, between};

/// What the curves look like ahead of the playhead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::render) enum Future {
    /// Pale: the film draws the past over it.
    Pale,
    /// As strong as the past: a still figure.
    Full,
}

/// A logarithmic axis ends so far below its highest value, at a millionth of its square root: what is lower
/// is as good as nothing, and a rule on a quadratic bowl goes on to 1e-300 and would flatten all above.
const DEPTH: f64 = 1e-12;

/// The distance of two names beside a plot, in ems.
const LABEL_GAP: f32 = 1.12;

/// A linear axis with given ticks, for plotters.
struct Axis {
    ends: [f64; 2],
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.ends[0]) / (self.ends[1] - self.ends[0]);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.ends[0]..self.ends[1]
    }
}

/// One quantity's chart, laid out.
pub(in crate::render) struct Chart<'a> {
    series: Vec<&'a Series>,
    quantity: Quantity,
    rect: Rect,
    plot: Rect,
    x: [f64; 2],
    y: [f64; 2],
    log: bool,
    /// Of a logarithmic axis that does not go down to the lowest value: where it ends.
    floor: Option<f64>,
    x_ticks: Vec<f64>,
    y_ticks: Vec<f64>,
    x_label: &'a str,
    title: Option<String>,
    font: Type,
    px_scale: f32,
}

/// A curve has its run's colour, a bound none.
fn curve_color(series: &Series, theme: &Theme) -> Color {
    if series.split == Split::Bound { theme.muted } else { theme.series_color(series.panel) }
}

/// The quantities that occur in `series`, in the order of [`Quantity`].
pub(in crate::render) fn quantities(series: &[Series]) -> Vec<Quantity> {
    let mut found: Vec<Quantity> = series
        .iter()
        .filter(|s| s.points.iter().any(|p| p.0.is_finite() && p.1.is_finite()))
        .map(|s| s.quantity)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The charts of all quantities in `series` at `places`, over `span` (the first and the last
/// moment).
pub(in crate::render) fn at_places<'a>(
    series: &'a [Series],
    places: &[Rect],
    x_label: &'a str,
    span: [f64; 2],
    font: Type,
    px_scale: f32,
) -> Vec<Chart<'a>> {
    let made = quantities(series).into_iter().zip(places).map(|(quantity, rect)| {
        Chart::new(series, quantity, *rect, x_label, font, px_scale).spanning(span)
    });
    let mut charts: Vec<Chart> = made.collect();
    align(&mut charts);
    charts
}

/// Gives charts that stand below each other one left and one right end: the same moment is at the
/// same place in all of them.
pub(in crate::render) fn align(charts: &mut [Chart]) {
    for i in 0..charts.len() {
        let below = |c: &&Chart| c.rect.x == charts[i].rect.x;
        let left = charts.iter().filter(below).map(|c| c.plot.x).fold(0.0, f32::max);
        let right =
            charts.iter().filter(below).map(|c| c.plot.right()).fold(f32::INFINITY, f32::min);
        // Only the chart itself changes; what the others had was counted, and comes out the same.
        charts[i].plot.x = left;
        charts[i].plot.w = (right - left).max(2.0);
        charts[i].place_x_ticks();
    }
}

/// Pushes values apart to at least `gap` from each other and into `low..=high`, moving all as little
/// as may be: those that collide spread evenly about the middle of where they want to be. `wanted`
/// is in order, and so is the result; with more than have room the first leave at `low`.
fn spread(wanted: &[f32], gap: f32, low: f32, high: f32) -> Vec<f32> {
    // Runs of neighbours that touch: how many, and the middle of each.
    let mut runs: Vec<(usize, f32)> = Vec::new();
    for &y in wanted {
        runs.push((1, y));
        while let [.., (n, a), (m, b)] = runs[..]
            && b - a < gap * 0.5 * (n + m) as f32
        {
            let middle = (n as f32 * a + m as f32 * b) / (n + m) as f32;
            runs.truncate(runs.len() - 2);
            runs.push((n + m, middle));
        }
    }
    let mut placed: Vec<f32> = runs
        .iter()
        .flat_map(|&(n, middle)| {
            (0..n).map(move |i| middle + gap * (i as f32 - 0.5 * (n - 1) as f32))
        })
        .collect();
    let mut floor = low;
    for y in &mut placed {
        *y = y.max(floor);
        floor = *y + gap;
    }
    let mut ceiling = high;
    for y in placed.iter_mut().rev() {
        *y = y.min(ceiling);
        ceiling = *y - gap;
    }
    placed
}

/// The ticks that `at` gives for `count`; where that is one, as it says nothing of the others, those of the
/// next higher count that gives two.
fn at_least_two(count: usize, at: impl Fn(usize) -> Vec<f64>) -> Vec<f64> {
    let more = || (count + 1..=3 * count + 2).map(&at).find(|ticks| ticks.len() >= 2);
    Some(at(count)).filter(|ticks| ticks.len() >= 2).or_else(more).unwrap_or_else(|| at(count))
}

impl<'a> Chart<'a> {
    /// The chart of those of `series` that have a `quantity`, in `rect`.
    pub fn new(
        series: &'a [Series],
        quantity: Quantity,
        rect: Rect,
        x_label: &'a str,
        font: Type,
        px_scale: f32,
    ) -> Self {
        let series: Vec<&Series> = series.iter().filter(|s| s.quantity == quantity).collect();
        let points =
            || series.iter().flat_map(|s| &s.points).filter(|p| p.0.is_finite() && p.1.is_finite());
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)])
        };
        let mut x = range(&mut points().map(|p| p.0));
        let [low, high] = range(&mut points().map(|p| p.1));
        if x[0] >= x[1] {
            x = [x[0] - 0.5, x[0] + 0.5];
        }
        // A round number, as the title names it. A loss of exactly 0 lies below it.
        let deepest = 10f64.powf((DEPTH * high).log10().floor());
        let vanishes = quantity == Quantity::Loss && low == 0.0 && high > 0.0;
        let vanishes = vanishes && points().any(|p| p.1 > 0.0 && p.1 < 1e-6 * high);
        let linear = [Quantity::Accuracy, Quantity::Distance, Quantity::Cosine].contains(&quantity);
        let log = !linear && (low > 0.0 && high > 4.0 * low || vanishes);
        let unit = |v: f64| if log { v.log10() } else { v };
        let floor = (log && low < deepest).then_some(deepest);
        let (mut y0, mut y1) = (unit(floor.unwrap_or(low)), unit(high));
        let pad = if y1 > y0 { 0.06 * (y1 - y0) } else { 0.5 * y0.abs().max(0.1) };
        (y0, y1) = (y0 - pad, y1 + pad);
        if quantity == Quantity::Accuracy && low >= 0.0 && high <= 1.0 {
            (y0, y1) = (y0.max(0.0), y1.min(1.0));
        }
        let text = TextStyle::new(font.small, Color::hex(0));
        let head = 1.8 * font.small;
        let foot = 1.55 * font.small;
        let h = (rect.h - head - foot).max(2.0);
        let count = ((h / (1.9 * font.small)) as usize).clamp(2, 6);
        let y_ticks = if log {
            log_ticks(10f64.powf(y0), 10f64.powf(y1), count).iter().map(|v| v.log10()).collect()
        } else {
            at_least_two(count, |count| ticks(y0, y1, count))
        };
        let mut chart = Self {
            series,
            quantity,
            rect,
            plot: Rect { y: rect.y + head, h, ..rect },
            x,
            y: [y0, y1],
            log,
            floor,
            x_ticks: Vec::new(),
            y_ticks,
            x_label,
            title: None,
            font,
            px_scale,
        };
        let widest = |texts: &mut dyn Iterator<Item = f32>| texts.fold(0.0, f32::max);
        let left = widest(&mut chart.y_ticks.iter().map(|&v| text.width(&chart.y_text(v))))
            + 0.7 * font.small;
        let right = widest(&mut chart.series.iter().map(|s| text.width(&s.name)))
            .max(text.width(x_label) + 1.2 * font.small)
            .min(0.3 * rect.w)
            + 0.8 * font.small;
        chart.plot.x += left;
        chart.plot.w = (rect.w - left - right).max(2.0);
        chart.spanning(x)
    }

    /// The chart with an x axis that holds `span`, too: charts below one film have one axis, from
    /// the film's first moment to its last, whatever each of them has points for.
    pub fn spanning(mut self, span: [f64; 2]) -> Self {
        let wider = [self.x[0].min(span[0]), self.x[1].max(span[1])];
        if wider[0] < wider[1] && wider.iter().all(|x| x.is_finite()) {
            self.x = wider;
        }
        self.place_x_ticks();
        self
    }

    /// As many ticks as have room for their numbers.
    fn place_x_ticks(&mut self) {
        let style = TextStyle::new(self.font.small, Color::hex(0));
        let most = ((self.plot.w / (4.5 * self.font.small)) as usize).clamp(2, 8);
        let apart = |ticks: &Vec<f64>| {
            ticks.windows(2).all(|pair| {
                let widths = pair.iter().map(|x| style.width(&significant(*x, 6))).sum::<f32>();
                self.x_px(pair[1]) - self.x_px(pair[0]) >= 0.5 * widths + 0.4 * self.font.small
            })
        };
        let at = |count: usize| ticks(self.x[0], self.x[1], count);
        let fewer: Vec<f64> = (1..=most).rev().map(at).find(apart).unwrap_or_default();
        // A single number is no scale: the next finer ticks, where they have room.
        let more = (most + 1..=2 * most + 2).map(at).find(|ticks| ticks.len() >= 2);
        self.x_ticks = match fewer.len() {
            0 | 1 => more.filter(apart).unwrap_or(fewer),
            _ => fewer,
        };
    }

    fn x_px(&self, x: f64) -> f32 {
        self.plot.x + ((x - self.x[0]) / (self.x[1] - self.x[0])) as f32 * self.plot.w
    }

    fn y_text(&self, y: f64) -> String {
        match self.quantity {
            Quantity::Accuracy => format!("{} %", significant(100.0 * y, 6)),
            _ if self.log => significant(10f64.powf(y), 3),
            _ => significant(y, 6),
        }
    }

    /// Gives it the one of `titles` that is for its quantity, if there is one.
    pub fn entitle(&mut self, titles: &[(Quantity, String)]) {
        if let Some((_, title)) = titles.iter().find(|(of, _)| *of == self.quantity) {
            self.title = Some(title.clone());
        }
    }

    /// The title, with what is to be said of the axis.
    fn title(&self) -> String {
        let title = match (&self.title, self.quantity) {
            (Some(title), _) => title.as_str(),
            (None, Quantity::Loss) => "Loss",
            (None, Quantity::Accuracy) => "Accuracy",
            (None, Quantity::LearningRate) => "Learning rate",
            (None, Quantity::GradNorm) => "Gradient norm",
            (None, Quantity::Sharpness) => "Sharpness",
            (None, Quantity::PreconditionedSharpness) => "Preconditioned sharpness",
            (None, Quantity::NoiseScale) => "Gradient noise scale in images",
            (None, Quantity::SignalToNoise) => "Signal to noise of a batch",
            (None, Quantity::Overshoot) => "Overshoot of a step (alpha)",
            (None, Quantity::Distance) => "Distance in weights",
            (None, Quantity::Cosine) => "Cosine between displacements",
            (None, Quantity::Update) => "Update / weights",
        };
        match self.floor {
            Some(floor) => format!("{title} (log scale, cut off below {})", significant(floor, 1)),
            None if self.log => format!("{title} (log scale)"),
            None => title.to_string(),
        }
    }

    /// The title in as many words as have room.
    fn fitted_title(&self, style: &TextStyle) -> String {
        let whole = self.title();
        let short = |text: &str| text.replace(" (log scale", " (log").replace("cut off ", "");
        let fits = |text: &String| style.width(text) <= self.rect.w;
        let shorter = short(&whole);
        if fits(&whole) { whole } else { style.fit(&shorter, self.rect.w) }
    }

    fn px(&self, x: f64, value: f64) -> Option<(f32, f32)> {
        // Below an axis' end a curve goes along its end, which the title says.
        let value = self.floor.map_or(value, |floor| value.max(floor));
        let y = if self.log { value.log10() } else { value };
        if !(x.is_finite() && y.is_finite()) {
            return None;
        }
        let v = (y - self.y[0]) / (self.y[1] - self.y[0]);
        Some((self.x_px(x), self.plot.bottom() - v as f32 * self.plot.h))
    }

    /// Draws mesh, ticks, title, labels and the curves. Errors: [`Error::Render`] if plotters fails.
    pub fn draw_static(
        &self,
        canvas: &mut dyn Canvas,
        theme: &Theme,
        future: Future,
    ) -> Result<()> {
        self.draw_mesh(canvas, theme).map_err(|what| Error::Render {
            what: format!("a chart cannot be drawn: {what}"),
            remedy: "report this with the series that were drawn".into(),
        })?;
        let font = self.font;
        let title = TextStyle::new(font.small, theme.text).bold();
        let tick = TextStyle::new(font.small, theme.muted).align(Align::Right);
        for &y in &self.y_ticks {
            let v = ((y - self.y[0]) / (self.y[1] - self.y[0])) as f32;
            let baseline = self.plot.bottom() - v * self.plot.h + 0.36 * font.small;
            canvas.text(&self.y_text(y), self.plot.x - 0.4 * font.small, baseline, &tick);
        }
        let text = self.fitted_title(&title);
        canvas.text(&text, self.rect.x, self.rect.y + 0.85 * font.small, &title);
        let after = self.rect.x + title.width(&text) + 0.9 * font.small;
        let key =
            TextStyle::new(font.small, theme.muted).fit(&self.key(), self.rect.right() - after);
        if !key.is_empty() {
            canvas.text(
                &key,
                after,
                self.rect.y + 0.85 * font.small,
                &TextStyle::new(font.small, theme.muted),
            );
        }
        let muted = TextStyle::new(font.small, theme.muted);
        let below = self.plot.bottom() + 1.3 * font.small;
        let label = muted.fit(self.x_label, self.rect.w);
        let free = self.rect.right() - muted.width(&label) - 0.3 * font.small;
        for &x in &self.x_ticks {
            let (text, at) = (significant(x, 6), self.x_px(x));
            // The axis' name stands at its end; a number there gives way.
            if at + 0.5 * muted.width(&text) <= free || label.is_empty() {
                canvas.text(&text, at, below, &muted.align(Align::Center));
            }
        }
        canvas.text(&label, self.rect.right(), below, &muted.align(Align::Right));
        let alpha = if future == Future::Full { 1.0 } else { 0.28 };
        for series in &self.series {
            self.draw_curve(canvas, series, f64::INFINITY, alpha, theme);
        }
        self.draw_labels(canvas, theme);
        Ok(())
    }

    fn draw_mesh(&self, canvas: &mut dyn Canvas, theme: &Theme) -> Result<(), String> {
        let (rect, plot) = (self.rect, self.plot);
        let sub = |pixels: f32| (pixels * SUB).round() as i32;
        let rgb = |c: Color| RGBColor(c.r, c.g, c.b);
        // The numbers are written by us, on one baseline with the axis' label.
        let root = Subpixel::new(canvas, rect).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin_top(sub(plot.y - rect.y))
            .margin_right(sub(rect.right() - plot.right()))
            .set_label_area_size(LabelAreaPosition::Left, sub(plot.x - rect.x))
            .set_label_area_size(LabelAreaPosition::Bottom, sub(rect.bottom() - plot.bottom()))
            .build_cartesian_2d(
                Axis { ends: self.x, ticks: self.x_ticks.clone() },
                Axis { ends: self.y, ticks: self.y_ticks.clone() },
            )
            .map_err(|e| e.to_string())?;
        let hair = (self.px_scale.max(0.75) * SUB) as u32;
        let rule = ShapeStyle::from(rgb(theme.rule)).stroke_width(hair);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(plotters::style::TRANSPARENT)
            .bold_line_style(rule)
            .axis_style(ShapeStyle::from(rgb(theme.muted).mix(0.8)).stroke_width(hair))
            .disable_y_axis()
            .set_tick_mark_size(LabelAreaPosition::Bottom, sub(4.0 * self.px_scale))
            .x_label_formatter(&|_| String::new())
            .draw()
            .map_err(|e| e.to_string())
    }

    /// Draws `series` up to `until`; more than about two points a pixel are thinned to the least
    /// and the greatest of each half pixel column.
    fn draw_curve(
        &self,
        canvas: &mut dyn Canvas,
        series: &Series,
        until: f64,
        alpha: f32,
        theme: &Theme,
    ) {
        let (dash, width) = match series.split {
            Split::Train => (None, 2.2),
            Split::Test => (Some([6.0 * self.px_scale, 3.5 * self.px_scale]), 2.2),
            Split::Bound => (Some([4.0 * self.px_scale, 3.0 * self.px_scale]), 1.3),
        };
        // A bound holds whether or not training has come to it: it does not fade with the future.
        let bound = series.split == Split::Bound;
        let alpha = if bound { 1.0 } else { alpha };
        let color = theme.background.mix(curve_color(series, theme), alpha);
        let stroke = Stroke {
            dash,
            cap: if dash.is_some() { Cap::Butt } else { Cap::Round },
            ..Stroke::solid(color, (width * self.px_scale).max(if bound { 0.8 } else { 1.0 }))
        };
        for piece in self.pieces(series, until) {
            match piece[..] {
                [(x, y)] => canvas.disc(x, y, (2.0 * self.px_scale).max(1.0), color),
                _ => {
                    if let Some(path) = polyline(&piece) {
                        canvas.stroke(&path, &stroke);
                    }
                }
            }
        }
    }

    /// Whether a straight line on the axis is not the way from one value to the next.
    fn bends(&self) -> bool {
        self.quantity == Quantity::Loss && !self.log
    }

    /// The value `share` of the way from `a` to `b`: on the drawn line.
    fn on_the_way(&self, a: f64, b: f64, share: f64) -> f64 {
        if self.log || self.bends() { between(a, b, share) } else { a + share * (b - a) }
    }

    /// The unbroken pieces of a curve in pixels, up to `until`, the last one cut there.
    fn pieces(&self, series: &Series, until: f64) -> Vec<Vec<(f32, f32)>> {
        let mut pieces: Vec<Vec<(f32, f32)>> = vec![Vec::new()];
        let mut previous: Option<(f64, f64)> = None;
        for &(x, value) in &series.points {
            let Some(here) = self.px(x, value) else {
                pieces.push(Vec::new());
                previous = None;
                continue;
            };
            let piece = pieces.last_mut().expect("there is always a piece");
            let before = previous.filter(|_| !piece.is_empty());
            if let Some((x0, v0)) = before {
                // On a linear axis the way between two losses is bent, as that of every read-out.
                let bent = self.bends() && v0 != value;
                let parts = if bent { 16 } else { 1 };
                for part in 1..parts {
                    let share = f64::from(part) / f64::from(parts);
                    let at = x0 + share * (x - x0);
                    if at < until.min(x) {
                        piece.extend(self.px(at, between(v0, value, share)));
                    }
                }
            }
            if x > until {
                if let Some((x0, v0)) = before {
                    let share = (until - x0) / (x - x0);
                    piece.extend(self.px(until, self.on_the_way(v0, value, share)));
                }
                break;
            }
            previous = Some((x, value));
            // Within a quarter of a pixel column a third point only replaces the second.
            if let [.., a, b] = piece[..]
                && (here.0 - a.0).abs() < 0.25
                && (b.1 - a.1) * (here.1 - b.1) >= 0.0
            {
                piece.pop();
            }
            piece.push(here);
        }
        pieces.retain(|p| !p.is_empty());
        pieces
    }

    /// Whether several runs' curves have the same names, and more of them than have room beside the plot:
    /// a word beside the title then says what each kind of line is, and the colour says whose it is.
    fn is_crowded(&self) -> bool {
        let names = || self.series.iter().map(|s| &s.name).filter(|name| !name.is_empty());
        let distinct: BTreeSet<&String> = names().collect();
        let room = self.plot.h / (LABEL_GAP * self.font.small) + 1.5;
        distinct.len() < names().count() && names().count() as f32 > room
    }

    /// What the kinds of lines are, where their names have no room.
    fn key(&self) -> String {
        let word =
            |split: Split| self.series.iter().find(|s| s.split == split).map(|s| s.name.as_str());
        let said = |line: &str, split: Split| {
            word(split).filter(|w| !w.is_empty()).map(|w| format!("{line}: {w}"))
        };
        let words = [said("solid", Split::Train), said("dashed", Split::Test)];
        if self.is_crowded() {
            words.into_iter().flatten().collect::<Vec<_>>().join(", ")
        } else {
            String::new()
        }
    }

    /// Each curve's name beside its last point, pushed apart where they would collide.
    fn draw_labels(&self, canvas: &mut dyn Canvas, theme: &Theme) {
        if self.is_crowded() {
            return;
        }
        let size = self.font.small;
        let gap = LABEL_GAP * size;
        let mut ends: Vec<(f32, &Series)> = self
            .series
            .iter()
            .filter(|s| !s.name.is_empty())
            .filter_map(|s| {
                let end = s.points.iter().rev().find_map(|p| self.px(p.0, p.1))?;
                Some((end.1, *s))
            })
            .collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted: Vec<f32> = ends.iter().map(|end| end.0).collect();
        // Beside the title's line at most, and above the line of the axis.
        let (low, high) = (self.rect.y + 0.9 * size, self.plot.bottom() - 0.45 * size);
        let placed = spread(&wanted, gap, low, high);
        let x = self.plot.right() + 0.6 * size;
        for (y, (_, series)) in placed.into_iter().zip(ends) {
            if y < self.rect.y {
                continue; // more names than the chart is high
            }
            let ink = match series.split {
                Split::Bound => theme.muted,
                _ => theme.series_ink(series.panel),
            };
            let style = TextStyle::new(size, ink);
            let name = style.fit(&series.name, self.rect.right() - x);
            canvas.text(&name, x, y + 0.36 * size, &style);
        }
    }

    /// Writes a few words at the right end of the title's line, where they fit beside the title.
    pub fn draw_note(&self, canvas: &mut dyn Canvas, theme: &Theme, text: &str) {
        let size = self.font.small;
        let style = TextStyle::new(size, theme.muted).align(Align::Right);
        let key = self.key();
        let key = if key.is_empty() { 0.0 } else { style.width(&key) + 0.9 * size };
        let title = TextStyle::new(size, theme.text).bold().width(&self.title()) + key;
        if self.rect.x + title + size + style.width(text) <= self.plot.right() {
            canvas.text(text, self.plot.right(), self.rect.y + 0.85 * size, &style);
        }
    }

    /// Draws the curves up to `epoch`, the playhead, and a dot on each curve there.
    pub fn draw_moving(&self, canvas: &mut dyn Canvas, theme: &Theme, epoch: f64) {
        let Some((x, _)) = self.px(epoch.clamp(self.x[0], self.x[1]), 1.0) else { return };
        let head = Stroke::solid(theme.text.alpha(0.55), (1.4 * self.px_scale).max(0.8));
        canvas.line(&[(x, self.plot.y - 2.0 * self.px_scale), (x, self.plot.bottom())], &head);
        let measured = || self.series.iter().filter(|s| s.split != Split::Bound);
        for series in measured() {
            self.draw_curve(canvas, series, epoch, 1.0, theme);
        }
        for series in measured() {
            if let Some(&(x, y)) = self.pieces(series, epoch).last().and_then(|p| p.last()) {
                canvas.disc(x, y, (4.6 * self.px_scale).max(2.0), theme.background);
                canvas.disc(x, y, (3.3 * self.px_scale).max(1.4), theme.series_color(series.panel));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_collide_spread_about_the_middle_of_where_they_want_to_be() {
        assert_eq!(spread(&[10.0, 50.0], 8.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(spread(&[50.0, 52.0], 8.0, 0.0, 100.0), [47.0, 55.0]);
        // A chain: the third is pushed by the second, and all share the way.
        assert_eq!(spread(&[50.0, 52.0, 57.0], 8.0, 0.0, 100.0), [45.0, 53.0, 61.0]);
        // At the ends they are pushed inwards.
        assert_eq!(spread(&[0.0, 1.0], 8.0, 2.0, 100.0), [2.0, 10.0]);
        assert_eq!(spread(&[99.0, 100.0], 8.0, 0.0, 100.0), [92.0, 100.0]);
        assert!(spread(&[], 8.0, 0.0, 100.0).is_empty());
        // More than have room keep their distance; the caller leaves out what is above.
        let crowd = spread(&[50.0; 8], 8.0, 30.0, 70.0);
        assert!(crowd.windows(2).all(|w| w[1] - w[0] >= 7.99) && crowd[7] <= 70.0, "{crowd:?}");
    }

    /// A chart of one curve through `values`.
    fn with_chart<T>(quantity: Quantity, values: &[f64], see: impl Fn(&Chart) -> T) -> T {
        let points = values.iter().enumerate().map(|(i, v)| (i as f64, *v)).collect();
        let series = Series { name: "run".into(), panel: 0, quantity, split: Split::Train, points };
        let rect = Rect::new(0.0, 0.0, 400.0, 90.0);
        let series = [series];
        see(&Chart::new(&series, quantity, rect, "step", Type::scaled(1.0), 1.0))
    }

    #[test]
    fn a_logarithmic_axis_ends_where_the_rest_is_as_good_as_nothing_and_says_so() {
        let values: Vec<f64> = (0..60).map(|i| 50.0 * 10f64.powi(-3 * i)).collect();
        with_chart(Quantity::Loss, &values, |chart| {
            assert_eq!(chart.title(), "Loss (log scale, cut off below 10⁻¹¹)");
            assert!(chart.y[0] > -12.0 && chart.y_ticks.len() >= 2, "{:?}", chart.y);
            let bottom = chart.px(0.0, 1e-11).unwrap().1;
            assert!(bottom <= chart.plot.bottom());
            assert_eq!(chart.px(59.0, values[59]).unwrap().1, bottom, "along the end");
            assert!(chart.px(0.0, 1e-9).unwrap().1 < bottom);
        });
        // What has come to 0 is at the end, too; a loss that is only small is not.
        let arrives = [50.0, 1e-3, 1e-9, 0.0];
        let title = "Loss (log scale, cut off below 10⁻¹¹)";
        assert_eq!(with_chart(Quantity::Loss, &arrives, |chart| chart.title()), title);
        assert_eq!(with_chart(Quantity::Loss, &[2.0, 1.0, 0.0], |chart| chart.title()), "Loss");
        let shallow = [50.0, 1e-3, 1e-9];
        assert_eq!(with_chart(Quantity::Loss, &shallow, |chart| chart.title()), "Loss (log scale)");
    }

    #[test]
    fn no_axis_has_a_single_number() {
        for values in [[0.1, 0.13, 0.12], [0.085, 0.115, 0.1], [0.0995, 0.1005, 0.1], [0.1; 3]] {
            let ticks = with_chart(Quantity::Accuracy, &values, |chart| chart.y_ticks.clone());
            assert!((2..=6).contains(&ticks.len()), "{values:?}: {ticks:?}");
        }
        for scale in (0..200).map(|i| 1.03f64.powi(i)) {
            let values = [0.31, 0.31 + 0.05 * scale, 0.4];
            let ticks = with_chart(Quantity::Sharpness, &values, |chart| chart.y_ticks.clone());
            assert!((2..=6).contains(&ticks.len()), "{scale}: {ticks:?}");
        }
    }

    #[test]
    fn charts_below_each_other_have_one_axis_and_those_beside_keep_theirs() {
        let series = |quantity, scale: f64| Series {
            name: "train".into(),
            panel: 0,
            quantity,
            split: Split::Train,
            points: (1..9).map(|i| (f64::from(i), scale / f64::from(i))).collect(),
        };
        let all = [series(Quantity::Loss, 1e-5), series(Quantity::Accuracy, 1.0)];
        let font = Type::scaled(1.0);
        let at = |x: f32, y: f32, quantity| {
            Chart::new(&all, quantity, Rect::new(x, y, 400.0, 120.0), "epoch", font, 1.0)
        };
        let mut stacked = [at(0.0, 0.0, Quantity::Loss), at(0.0, 130.0, Quantity::Accuracy)];
        assert_ne!(stacked[0].plot.x, stacked[1].plot.x);
        align(&mut stacked);
        assert_eq!(stacked[0].plot.x, stacked[1].plot.x);
        assert_eq!(stacked[0].plot.right(), stacked[1].plot.right());
        let mut beside = [at(0.0, 0.0, Quantity::Loss), at(420.0, 0.0, Quantity::Accuracy)];
        let before = beside[1].plot;
        align(&mut beside);
        assert_eq!(beside[1].plot, before);
    }
}
