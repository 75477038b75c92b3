//! The pictures of a report, as SVG within the page: a quantity's values with their means and intervals,
//! the course of training, and surfaces on one scale.

use std::fmt::Write as _;

use super::statistics::Summary;
use crate::landscape::SurfaceStore;
use crate::render::canvas::Rect;
use crate::render::canvas::theme::{Colormap, Theme};
use crate::render::map::contour::{lines, loops, simplify};
use crate::render::map::field::Field;
use crate::render::map::pchip::Pchip;
use crate::render::numbers::number;
use crate::{Error, Result};

/// The colour of the `i`-th group: that of the `i`-th path in a film.
pub(super) fn colour(i: usize) -> String {
    let c = Theme::light().series_color(i);
    format!("#{:02x}{:02x}{:02x}", c.r, c.g, c.b)
}

/// How many colours there are before they come again.
fn round_of(i: usize) -> usize {
    i / Theme::light().series.len()
}

/// The dashes of the `i`-th group's lines, as an attribute: where colours come again they differ.
pub(super) fn dashes(i: usize) -> &'static str {
    match round_of(i) {
        0 => "",
        1 => " stroke-dasharray=\"7 3\"",
        _ => " stroke-dasharray=\"2 3\"",
    }
}

/// Text as SVG and HTML have it: names are data, never markup.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => {}
            c => out.push(c),
        }
    }
    out
}

/// One row of a dot plot.
pub(super) struct DotRow {
    pub(super) label: String,
    pub(super) values: Vec<f64>,
    pub(super) summary: Option<Summary>,
}

/// A quantity's values by group: a dot for each seed, the mean and its 95 % interval. `unit` stands
/// behind the axis' title.
pub(super) fn dot_plot(title: &str, unit: &str, rows: &[DotRow], is_log: bool) -> String {
    let (left, width, top) = (170.0, 540.0, 12.0);
    let is_long = rows.iter().any(|row| label_lines(&row.label).len() > 1);
    let row_height = if is_long { 40.0 } else { 30.0 };
    let height = top + row_height * rows.len() as f64 + 46.0;
    let values: Vec<f64> = rows.iter().flat_map(|row| row.values.iter().copied()).collect();
    let (low, high) = with_intervals(rows, span(&values, is_log), is_log);
    let place = |v: f64| {
        let (v, low, high) = if is_log { (v.ln(), low.ln(), high.ln()) } else { (v, low, high) };
        left + (width - left - 20.0) * ((v - low) / (high - low)).clamp(0.0, 1.0)
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escaped(title)
    );
    let bottom = top + row_height * rows.len() as f64;
    for tick in ticks(low, high, is_log) {
        let x = place(tick);
        let _ = write!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" class=\"rule\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" class=\"tick\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            number(tick)
        );
    }
    for (i, row) in rows.iter().enumerate() {
        let y = top + row_height * (i as f64 + 0.5);
        let lines = label_lines(&row.label);
        for (line, text) in lines.iter().enumerate() {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" class=\"label\">{}</text>",
                left - 12.0,
                y + 4.5 + 14.0 * (line as f64 - (lines.len() - 1) as f64 / 2.0),
                escaped(text)
            );
        }
        let colour = colour(i);
        if let Some(summary) = &row.summary {
            if summary.interval.low.is_finite() {
                let (a, b) = (place(summary.interval.low), place(summary.interval.high));
                let _ = write!(
                    svg,
                    "<line x1=\"{a:.1}\" x2=\"{b:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" \
                     stroke-width=\"3\"/>"
                );
                // An interval that goes on beyond the axis ends in an arrow.
                for (beyond, x, back) in
                    [(summary.interval.low < low, a, 7.0), (summary.interval.high > high, b, -7.0)]
                {
                    if beyond {
                        let _ = write!(
                            svg,
                            "<path d=\"M{:.1} {:.1} L{x:.1} {y:.1} L{:.1} {:.1}\" fill=\"none\" \
                             stroke=\"{colour}\" stroke-width=\"2.5\"/>",
                            x + back,
                            y - 6.0,
                            x + back,
                            y + 6.0
                        );
                    }
                }
            }
            let x = place(summary.mean);
            let _ = write!(
                svg,
                "<path d=\"M{:.1} {y:.1} l6 -7 l6 7 l-6 7 z\" fill=\"{colour}\"/>",
                x - 6.0
            );
        }
        for &value in &row.values {
            let x = place(value);
            let _ = write!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"#fff\" stroke=\"{colour}\" \
                 stroke-width=\"1.6\"/>"
            );
        }
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" class=\"label\" text-anchor=\"middle\">{}{}</text></svg>",
        left + (width - left - 20.0) / 2.0,
        bottom + 36.0,
        escaped(title),
        escaped(unit)
    );
    svg
}

/// The ends of an axis that holds `values` with a margin.
fn span(values: &[f64], is_log: bool) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if is_log {
        let margin = (high / low).powf(0.08).max(1.05);
        return (low / margin, high * margin);
    }
    let margin = (0.08 * (high - low)).max(1e-9 * high.abs().max(1.0));
    (low - margin, high + margin)
}

/// The ends of an axis that holds the intervals of `rows` as well, as far as they are no more than twice
/// as wide as what the values span.
fn with_intervals(rows: &[DotRow], (low, high): (f64, f64), is_log: bool) -> (f64, f64) {
    let intervals = || rows.iter().filter_map(|row| row.summary.as_ref()).map(|s| s.interval);
    let least = intervals().map(|i| i.low).filter(|v| v.is_finite()).fold(low, f64::min);
    let most = intervals().map(|i| i.high).filter(|v| v.is_finite()).fold(high, f64::max);
    if is_log {
        let room = high / low;
        return (least.max(low / room.sqrt()), most.min(high * room.sqrt()));
    }
    let room = 0.5 * (high - low);
    (least.max(low - room), most.min(high + room))
}

/// Numbers that an axis of powers of ten has room for.
const MOST_TICKS: usize = 7;

/// Round values on an axis.
pub(super) fn ticks(low: f64, high: f64, is_log: bool) -> Vec<f64> {
    if is_log && high / low > 20.0 {
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let powers = |each: usize| decades.clone().step_by(each).map(|d| 10f64.powi(d));
        let inside = |t: &f64| (low..=high).contains(t);
        let all: Vec<f64> = powers(1).flat_map(|p| [p, 3.0 * p]).filter(inside).collect();
        if all.len() <= MOST_TICKS {
            return all;
        }
        // Fewer where there are many: the numbers stand side by side.
        let each = (1..).find(|&each| powers(each).filter(inside).count() <= MOST_TICKS);
        return powers(each.unwrap_or(1)).filter(inside).collect();
    }
    let rough = (high - low) / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough);
    let step = step.unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    (first..).map(|i| i as f64 * step).take_while(|t| *t <= high).take(12).collect()
}

/// One line of a chart.
pub(super) struct Course {
    /// Which group it belongs to.
    pub(super) group: usize,
    pub(super) points: Vec<(f64, f64)>,
}

/// How a quantity goes with the epochs: a thin line for each run, in the colour of its group.
pub(super) fn course_chart(title: &str, courses: &[Course], labels: &[String]) -> String {
    let (left, top, width, height) = (52.0, 12.0, 540.0, 280.0);
    let (right, bottom) = (width - 12.0, height - 44.0);
    let finite = |v: &(f64, f64)| v.0.is_finite() && v.1.is_finite();
    let points: Vec<(f64, f64)> =
        courses.iter().flat_map(|c| c.points.iter().copied().filter(finite)).collect();
    let first = points.iter().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let last = points.iter().map(|p| p.0).fold(first + 1.0, f64::max);
    let (low, high) = span(&points.iter().map(|p| p.1).collect::<Vec<_>>(), false);
    let x = |v: f64| left + (right - left) * (v - first) / (last - first);
    let y = |v: f64| bottom - (bottom - top) * (v - low) / (high - low);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escaped(title)
    );
    for tick in ticks(low, high, false) {
        let _ = write!(
            svg,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{0:.1}\" y2=\"{0:.1}\" class=\"rule\"/>\
             <text x=\"{1:.1}\" y=\"{2:.1}\" class=\"tick\" text-anchor=\"end\">{3}</text>",
            y(tick),
            left - 8.0,
            y(tick) + 4.0,
            number(tick)
        );
    }
    for tick in ticks(first, last, false).into_iter().filter(|t| t.fract() == 0.0) {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"tick\" text-anchor=\"middle\">{}</text>",
            x(tick),
            bottom + 16.0,
            number(tick)
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" class=\"label\" text-anchor=\"middle\">epoch</text>",
        (left + right) / 2.0,
        bottom + 34.0
    );
    for course in courses {
        let points: Vec<String> = (course.points.iter().filter(|p| finite(p)))
            .map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1)))
            .collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" \
             stroke-linejoin=\"round\" opacity=\"0.85\"{}/>",
            points.join(" "),
            colour(course.group),
            dashes(course.group)
        );
    }
    svg.push_str("</svg>");
    svg + &legend(labels)
}

/// The colours of the groups, in words.
pub(super) fn legend(labels: &[String]) -> String {
    let items = labels.iter().enumerate().map(|(i, label)| {
        let (colour, label) = (colour(i), escaped(label));
        let line = match round_of(i) {
            0 => colour.to_string(),
            round => {
                let (dash, period) = if round == 1 { (7, 10) } else { (2, 5) };
                format!(
                    "repeating-linear-gradient(90deg,{colour} 0 {dash}px,transparent {dash}px {period}px)"
                )
            }
        };
        format!("<span><i style=\"background:{line}\"></i>{label}</span>")
    });
    format!("<p class=\"legend\">{}</p>", items.collect::<String>())
}

/// Characters of a row's label that have room in a line.
const LABEL: usize = 20;

/// A row's label in one line, or in two at the comma between two values.
fn label_lines(label: &str) -> Vec<String> {
    match label.split_once(", ") {
        Some((first, second)) if label.chars().count() > LABEL => {
            vec![short(&format!("{first},"), LABEL), short(second, LABEL)]
        }
        _ => vec![short(label, LABEL)],
    }
}

/// `text`, cut to `most` characters.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    let cut: String = text.chars().take(most - 1).collect();
    cut + "…"
}

/// The levels that surfaces are drawn at: one scale for all of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Levels(Vec<f64>);

/// How many colours a surface has.
const BANDS: usize = 14;

impl Levels {
    /// Levels evenly spaced in the logarithm of the loss between the least and the largest finite value
    /// of `surfaces`; `None` where there is none that is positive.
    pub(super) fn over(surfaces: &[&SurfaceStore]) -> Option<Self> {
        let values =
            || surfaces.iter().flat_map(|s| s.losses()).filter(|v| v.is_finite() && *v > 0.0);
        let low = values().fold(f64::INFINITY, f64::min).ln();
        let high = values().fold(f64::NEG_INFINITY, f64::max).ln();
        if !low.is_finite() || high <= low {
            return None;
        }
        let at = |i: usize| low + (high - low) * i as f64 / BANDS as f64;
        Some(Self((0..=BANDS).map(at).collect()))
    }

    /// The colour bar with its ends in numbers.
    pub(super) fn bar(&self) -> String {
        let steps: String = (0..BANDS)
            .map(|i| {
                let x = i as f64 * 400.0 / BANDS as f64;
                let w = 400.0 / BANDS as f64 + 0.5;
                format!("<rect x=\"{x:.1}\" width=\"{w:.1}\" height=\"14\" fill=\"{}\"/>", fill(i))
            })
            .collect();
        let label = |i: usize, anchor: &str| {
            let x = i as f64 * 400.0 / BANDS as f64;
            let value = number(self.0[i].exp());
            format!(
                "<text x=\"{x:.1}\" y=\"30\" class=\"tick\" text-anchor=\"{anchor}\">{value}</text>"
            )
        };
        format!(
            "<svg viewBox=\"-4 0 640 34\" role=\"img\" aria-label=\"colour scale of the loss\">{steps}{}{}{}\
             <text x=\"416\" y=\"12\" class=\"label\">training loss (log scale)</text></svg>",
            label(0, "start"),
            label(BANDS / 2, "middle"),
            label(BANDS, "end")
        )
    }
}

/// The colour of a band: deep is low.
fn fill(band: usize) -> String {
    let map = Colormap::by_name("lagoon").unwrap_or_else(|_| unreachable!("a map of our own"));
    let c = map.at((band as f64 + 0.5) / BANDS as f64);
    format!("#{:02x}{:02x}{:02x}", c.r, c.g, c.b)
}

/// A surface as filled contours; cells without a finite value are white.
///
/// # Errors
/// [`Error::Landscape`] for one that is not finished or has no finite value.
pub(super) fn surface(store: &SurfaceStore, levels: &Levels) -> Result<String> {
    const SIZE: f32 = 240.0;
    let grid = &store.header.grid;
    let nothing = || Error::Landscape {
        what: format!("{} has no finite value to draw", store.folder().display()),
        remedy: "evaluate it over a smaller range".into(),
    };
    // What overflowed is above every level.
    let losses = store.losses().into_iter().map(|v| match v {
        v if v.is_nan() || v == f64::INFINITY => levels.0[BANDS] + 1.0,
        v => v.max(f64::MIN_POSITIVE).ln().max(levels.0[0]),
    });
    let z: Vec<f64> = losses.collect();
    if grid.x.n < 2 || grid.y.n < 2 {
        return Err(nothing());
    }
    let field = finer(&grid.x.values(), &grid.y.values(), &z, 97);
    let frame = Rect::new(0.0, 0.0, SIZE, SIZE);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {SIZE} {SIZE}\" role=\"img\" aria-label=\"loss surface\">\
         <rect width=\"{SIZE}\" height=\"{SIZE}\" fill=\"{}\"/>",
        fill(0)
    );
    let path = |points: &[(f32, f32)], close: &str| {
        let mut d = String::new();
        for (i, (x, y)) in simplify(points, 0.25).iter().enumerate() {
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        d + close
    };
    for band in 1..=BANDS {
        let colour = if band == BANDS { "#ffffff".into() } else { fill(band) };
        // A little above the last level: the highest value itself belongs to the last band.
        let level = levels.0[band] + if band == BANDS { 1e-9 } else { 0.0 };
        let laps = loops(&field, level, frame);
        let region: String = laps.iter().map(|lap| path(&lap.points, "Z")).collect();
        if region.is_empty() {
            continue;
        }
        let line: String = laps.iter().flat_map(lines).map(|line| path(&line, "")).collect();
        let _ = write!(
            svg,
            "<path d=\"{region}\" fill=\"{colour}\" fill-rule=\"evenodd\"/>\
             <path d=\"{line}\" fill=\"none\" stroke=\"#0b2233\" stroke-opacity=\"0.35\" \
             stroke-width=\"0.7\"/>"
        );
    }
    let x = |v: f64| SIZE as f64 * (v - grid.x.min) / (grid.x.max - grid.x.min);
    let y = |v: f64| SIZE as f64 * (1.0 - (v - grid.y.min) / (grid.y.max - grid.y.min));
    let _ = write!(
        svg,
        "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"#e2401b\" stroke=\"#fff\" \
         stroke-width=\"1.5\"/></svg>",
        x(0.0),
        y(0.0)
    );
    Ok(svg)
}

/// The values between the points of a grid, by monotone cubics along both axes.
fn finer(xs: &[f64], ys: &[f64], z: &[f64], n: usize) -> Field {
    let lattice = |v: &[f64]| -> Vec<f64> {
        let (a, b) = (v[0], v[v.len() - 1]);
        (0..n).map(|i| a + (b - a) * i as f64 / (n - 1) as f64).collect()
    };
    let (fine_xs, fine_ys) = (lattice(xs), lattice(ys));
    let mut columns = vec![0.0; n * ys.len()];
    for (iy, row) in z.chunks_exact(xs.len()).enumerate() {
        let p = Pchip::new(xs, row);
        for (ix, &x) in fine_xs.iter().enumerate() {
            columns[ix * ys.len() + iy] = p.at(x);
        }
    }
    let mut fine = vec![0.0; n * n];
    for (ix, column) in columns.chunks_exact(ys.len()).enumerate() {
        let p = Pchip::new(ys, column);
        for (iy, &y) in fine_ys.iter().enumerate() {
            fine[iy * n + ix] = p.at(y);
        }
    }
    Field { nx: n, ny: n, z: fine }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_data_and_never_markup() {
        let rows = [DotRow {
            label: "<script>alert(1)</script>".into(),
            values: vec![1.0, 2.0],
            summary: None,
        }];
        let svg = dot_plot("a & b", "", &rows, false);
        assert!(!svg.contains("<script") && svg.contains("a &amp; b"), "{svg}");
    }

    #[test]
    fn a_long_label_is_two_lines() {
        assert_eq!(
            label_lines("batch size 128, weight decay 0"),
            ["batch size 128,", "weight decay 0"]
        );
        assert_eq!(label_lines("a, b"), ["a, b"]);
        assert_eq!(label_lines(&"x".repeat(30))[0].chars().count(), LABEL);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let close = |got: Vec<f64>, want: &[f64]| {
            let pairs = got.iter().zip(want);
            got.len() == want.len()
                && pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-9 * b.abs())
        };
        assert!(close(ticks(1.0, 10.0, false), &[2.0, 4.0, 6.0, 8.0, 10.0]));
        assert!(close(ticks(0.05, 40.0, true), &[0.1, 0.3, 1.0, 3.0, 10.0, 30.0]));
        assert!(close(ticks(2e-4, 0.2, true), &[3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1]));
        assert!(close(ticks(2e-5, 0.2, true), &[1e-4, 1e-3, 0.01, 0.1]));
        assert!(ticks(1e-30, 1e30, true).len() <= 7);
        assert!(ticks(91.2, 93.9, false).len() >= 4);
        // Values that are all the same still make an axis.
        let (low, high) = span(&[2.0, 2.0], false);
        assert!(low < 2.0 && high > 2.0 && ticks(low, high, false).len() <= 12);
    }
}
