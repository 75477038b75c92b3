//! Loss and accuracy in one plot with two axes: the paper's figure of a small-batch and a large-batch
//! net along one direction. The loss is solid and read on the left, accuracy is dashed and read on
//! the right; a colour is a run; test is paler and thinner than train.

use crate::render::canvas::color::Color;
use crate::render::canvas::text::CAP_HEIGHT;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle};
use crate::render::numbers::significant;
use crate::render::page::Page;
use crate::render::page::scale::{log_ticks, ticks};
use crate::render::scene::{Quantity, Series, Split};

/// One vertical axis: its ends in the unit it is even in, and its ticks there with their texts.
struct ValueAxis {
    ends: [f64; 2],
    log: bool,
    ticks: Vec<(f64, String)>,
}

impl ValueAxis {
    fn loss(range: [f64; 2], count: usize) -> Self {
        let [low, high] = range;
        let log = low > 0.0 && high > 4.0 * low;
        let unit = |v: f64| if log { v.log10() } else { v };
        let (a, b) = (unit(low), unit(high));
        let pad = if b > a { 0.05 * (b - a) } else { 0.5 * a.abs().max(0.1) };
        let ends = [a - pad, b + pad];
        let ticks = if log {
            let round = log_ticks(10f64.powf(ends[0]), 10f64.powf(ends[1]), count);
            round.into_iter().map(|v| (v.log10(), significant(v, 3))).collect()
        } else {
            let round = ticks(ends[0], ends[1], count);
            round.into_iter().map(|v| (v, significant(v, 6))).collect()
        };
        Self { ends, log, ticks }
    }

    fn accuracy([low, high]: [f64; 2], count: usize) -> Self {
        // In percent; from a round number below to 100 where the data are fractions.
        let (low, high) = (100.0 * low, 100.0 * high);
        let floor = (low / 10.0).floor() * 10.0;
        let (a, b) = if high <= 100.0 { (floor, 100.0) } else { (low, high) };
        let pad = 0.05 * (b - a).max(1.0);
        let ends = [a - pad, b + pad];
        let round = ticks(a, b, count).into_iter();
        Self {
            ends,
            log: false,
            ticks: round.map(|v| (v, format!("{} %", significant(v, 6)))).collect(),
        }
    }

    /// How far up `value` is, 0..=1 inside.
    fn share(&self, value: f64) -> f64 {
        let z = if self.log { value.log10() } else { value };
        (z - self.ends[0]) / (self.ends[1] - self.ends[0])
    }
}

/// Draws `series` (those of [`Quantity::Loss`] and [`Quantity::Accuracy`]) in `rect`, the x axis's
/// numbers below it included.
pub(in crate::render) fn draw(canvas: &mut dyn Canvas, series: &[Series], rect: Rect, page: &Page) {
    let (font, px_scale, theme) = (page.font, page.px_scale, page.theme);
    let finite = |quantity: Quantity| {
        series
            .iter()
            .filter(move |s| s.quantity == quantity)
            .flat_map(|s| &s.points)
            .filter(|p| p.0.is_finite() && p.1.is_finite())
    };
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)])
    };
    let both = || finite(Quantity::Loss).chain(finite(Quantity::Accuracy));
    let mut x = range(&mut both().map(|p| p.0));
    if x[0] >= x[1] {
        x = [x[0] - 0.5, x[0] + 0.5];
    }
    let count = ((rect.h / (3.0 * font.small)) as usize).clamp(2, 8);
    let loss = range(&mut finite(Quantity::Loss).map(|p| p.1));
    let accuracy = range(&mut finite(Quantity::Accuracy).map(|p| p.1));
    let left = (loss[0] <= loss[1]).then(|| ValueAxis::loss(loss, count));
    let right = (accuracy[0] <= accuracy[1]).then(|| ValueAxis::accuracy(accuracy, count));

    let number = TextStyle::new(font.small, theme.muted);
    let label = TextStyle::new(font.label, theme.text);
    let room = |scale: &Option<ValueAxis>| {
        let texts = scale.iter().flat_map(|s| &s.ticks).map(|t| number.width(&t.1));
        texts.fold(0.0, f32::max) + 9.0 * px_scale + 1.6 * font.label
    };
    let key = 2.0 * font.label;
    let (l, r) = (room(&left), room(&right));
    let foot = 1.3 * font.small + 7.0 * px_scale;
    let plot = Rect::new(
        rect.x + l,
        rect.y + key,
        (rect.w - l - r).max(8.0),
        (rect.h - key - foot).max(8.0),
    );
    draw_key(canvas, series, rect, page);

    let hair = px_scale.max(0.75);
    let rule = Stroke::solid(theme.rule, hair);
    let tick = Stroke::solid(theme.muted, hair);
    let mark = 5.0 * px_scale;
    let px = |v: f64| plot.x + ((v - x[0]) / (x[1] - x[0])) as f32 * plot.w;
    let py = |share: f64| plot.bottom() - share as f32 * plot.h;
    for (scale, on_left) in [(&left, true), (&right, false)] {
        let Some(scale) = scale else { continue };
        for (value, text) in &scale.ticks {
            let share = (value - scale.ends[0]) / (scale.ends[1] - scale.ends[0]);
            if !(0.0..=1.0).contains(&share) {
                continue;
            }
            let y = py(share);
            let baseline = y + 0.5 * CAP_HEIGHT * font.small;
            if on_left {
                canvas.line(&[(plot.x, y), (plot.right(), y)], &rule);
                canvas.line(&[(plot.x - mark, y), (plot.x, y)], &tick);
                canvas.text(
                    text,
                    plot.x - mark - 3.0 * px_scale,
                    baseline,
                    &number.align(Align::Right),
                );
            } else {
                canvas.line(&[(plot.right(), y), (plot.right() + mark, y)], &tick);
                canvas.text(text, plot.right() + mark + 3.0 * px_scale, baseline, &number);
            }
        }
        let angle = -std::f32::consts::FRAC_PI_2;
        let style = TextStyle { angle, ..label.align(Align::Center) };
        let (text, at) = match (on_left, scale.log) {
            (true, true) => ("loss, solid (log scale)", rect.x + 0.9 * font.label),
            (true, false) => ("loss, solid", rect.x + 0.9 * font.label),
            _ => ("accuracy, dashed", rect.right() - 0.3 * font.label),
        };
        canvas.text(&label.fit(text, plot.h), at, plot.y + 0.5 * plot.h, &style);
    }
    let steps = ((plot.w / (5.5 * font.small)) as usize).clamp(2, 9);
    for v in ticks(x[0], x[1], steps) {
        let at = px(v);
        canvas.line(&[(at, plot.bottom()), (at, plot.bottom() + mark)], &tick);
        let baseline = plot.bottom() + mark + 1.05 * font.small;
        canvas.text(&significant(v, 6), at, baseline, &number.align(Align::Center));
    }
    let border = Stroke::solid(theme.muted.alpha(0.8), px_scale.max(1.0).round());
    canvas.line(&plot.outline(), &border);
    // Accuracy first: the loss is what the figure is about.
    for quantity in [Quantity::Accuracy, Quantity::Loss] {
        let Some(scale) = (if quantity == Quantity::Loss { &left } else { &right }) else {
            continue;
        };
        let unit = if quantity == Quantity::Accuracy { 100.0 } else { 1.0 };
        for one in series.iter().filter(|s| s.quantity == quantity) {
            let stroke = pen(one, px_scale, theme);
            let mut piece: Vec<(f32, f32)> = Vec::new();
            for &(u, v) in one.points.iter().chain([&(f64::NAN, f64::NAN)]) {
                let share = scale.share(unit * v);
                if u.is_finite() && share.is_finite() {
                    piece.push((px(u), py(share)));
                    continue;
                }
                match piece[..] {
                    [(x, y)] => canvas.disc(x, y, stroke.width, stroke.color),
                    _ => canvas.line(&piece, &stroke),
                }
                piece.clear();
            }
        }
    }
}

/// How a curve is drawn: colour by run, dash by quantity, weight by split.
fn pen(series: &Series, px_scale: f32, theme: &Theme) -> Stroke {
    let color: Color = theme.series_color(series.panel);
    let (color, width) = match series.split {
        Split::Train => (color, 2.4),
        Split::Test => (theme.background.mix(color, 0.55), 1.7),
        Split::Bound => (theme.muted, 1.2),
    };
    let dashed = series.quantity == Quantity::Accuracy;
    Stroke {
        dash: dashed.then_some([7.0 * px_scale, 4.5 * px_scale]),
        cap: if dashed { Cap::Butt } else { Cap::Round },
        ..Stroke::solid(color, (width * px_scale).max(1.0))
    }
}

/// Names with their colours, and what pale means where something is pale.
fn draw_key(canvas: &mut dyn Canvas, series: &[Series], rect: Rect, page: &Page) {
    let (px_scale, theme) = (page.px_scale, page.theme);
    let mut named: Vec<(usize, &str)> = series.iter().map(|s| (s.panel, s.name.as_str())).collect();
    named.sort_by_key(|n| n.0);
    named.dedup_by_key(|n| n.0);
    let pale = series.iter().any(|s| s.split == Split::Test)
        && series.iter().any(|s| s.split == Split::Train);
    let size = page.font.label;
    let style = TextStyle::new(size, theme.text);
    let note = if pale { "pale: test" } else { "" };
    let room = rect.w - style.width(note) - if pale { size } else { 0.0 };
    let (mut x, y) = (rect.x, rect.y + 0.9 * size);
    let end = rect.x + room;
    for (panel, name) in named {
        let text = style.fit(name, end - x - 2.4 * size);
        if text.is_empty() {
            break;
        }
        let line = Stroke {
            cap: Cap::Round,
            ..Stroke::solid(theme.series_color(panel), (3.0 * px_scale).max(1.4))
        };
        canvas.line(&[(x + 0.1 * size, y - 0.34 * size), (x + 1.5 * size, y - 0.34 * size)], &line);
        canvas.text(&text, x + 1.9 * size, y, &style);
        x += style.width(&text) + 3.6 * size;
    }
    let muted = TextStyle::new(size, theme.muted).align(Align::Right);
    canvas.text(note, rect.right(), y, &muted);
}
