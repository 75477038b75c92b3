//! How the weights of each layer are spread, moving with the snapshots: small multiples of
//! histograms, the spread before training as an outline. Of two runs the second one's bars lie over the
//! first one's, both in one scale, and nothing else does.
//!
//! Between two snapshots the bars' heights are interpolated, for the eye only; the caption says so.

use tiny_skia::PathBuilder;

use crate::error::{Error, Result};
use crate::render::canvas::color::Color;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::numbers::{fixed, number, significant, thousands};
use crate::render::page::panels::grid;
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::{Pacing, PathPoint, Strip};

/// The weights of one layer (or of all) at every snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LayerHistogram {
    /// Its name ("layer1.0.conv1.weight").
    pub name: String,
    /// How many weights it has.
    pub len: usize,
    /// The bins go evenly from `-reach` to `reach`; weights outside are in the outer bins.
    pub reach: f64,
    /// The share of the weights in each bin, one row a snapshot.
    pub shares: Vec<Vec<f32>>,
    /// The standard deviation at each snapshot.
    pub deviation: Vec<f64>,
}

/// The layers of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramRun {
    /// Its name; read where there are two.
    pub name: String,
    /// When the snapshots were taken; only time, step and epoch are read.
    pub snapshots: Vec<PathPoint>,
    /// One for each layer, at most 24.
    pub layers: Vec<LayerHistogram>,
}

/// Histograms of several layers, moving together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramFilm {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// One run or two; two have the same layers in the same order, with the same bins.
    pub runs: Vec<HistogramRun>,
    /// Charts below.
    pub strip: Strip,
    /// Clock, pauses, card.
    pub pacing: Pacing,
    /// How long the last picture stays, in seconds.
    pub hold_secs: f64,
}

impl LayerHistogram {
    /// What holds all but one in a thousand of `weights`, 0 where none is finite: the greatest of it
    /// over all snapshots is a good reach.
    pub fn reach_of(weights: &[f32]) -> f64 {
        let mut sizes: Vec<f32> =
            weights.iter().map(|w| w.abs()).filter(|w| w.is_finite()).collect();
        if sizes.is_empty() {
            return 0.0;
        }
        let most = sizes.len() - 1 - sizes.len() / 1000;
        f64::from(*sizes.select_nth_unstable_by(most, f32::total_cmp).1)
    }

    /// A layer of `len` weights with bins up to `reach` (1 where that is 0), at no snapshot yet.
    pub fn new(name: &str, len: usize, reach: f64) -> Self {
        let reach = if reach > 0.0 { reach } else { 1.0 };
        Self { name: name.into(), len, reach, ..Self::default() }
    }

    /// Adds a snapshot's weights in `bins` bins; those not finite are left out.
    pub fn push(&mut self, weights: &[f32], bins: usize) {
        let mut counts = vec![0u32; bins];
        let (mut n, mut sum, mut sum_sq) = (0u32, 0.0, 0.0);
        for w in weights.iter().copied().filter(|w| w.is_finite()).map(f64::from) {
            let place = (w / self.reach + 1.0) * 0.5 * bins as f64;
            counts[(place.max(0.0) as usize).min(bins - 1)] += 1;
            (n, sum, sum_sq) = (n + 1, sum + w, sum_sq + w * w);
        }
        let total = f64::from(n.max(1));
        self.shares.push(counts.iter().map(|&c| (f64::from(c) / total) as f32).collect());
        let variance = sum_sq / total - (sum / total).powi(2);
        self.deviation.push(if n > 0 { variance.max(0.0).sqrt() } else { f64::NAN });
    }
}

/// A histogram film made ready.
pub type HistogramShow<'a> = Scene<'a, Histograms<'a>>;

/// The plots of a histogram film.
pub struct Histograms<'a> {
    film: &'a HistogramFilm,
    /// For each run the times of its snapshots in the clock's unit.
    times: Vec<Vec<f64>>,
    /// The baseline of what the bars are.
    key: f32,
    plots: Vec<Plot>,
}

struct Plot {
    rect: Rect,
    /// The share that fills the plot's height.
    highest: f32,
}

impl<'a> HistogramShow<'a> {
    /// Makes `film` ready for a picture of `size` pixels in `frames` frames.
    ///
    /// Errors: [`Error::Render`] on a film without a run or with more than two, on runs without snapshots or
    /// layers, and on rows or runs that do not fit together.
    pub fn new(
        film: &'a HistogramFilm,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        let fits = |run: &HistogramRun| {
            let n = run.snapshots.len();
            n > 0
                && (1..=24).contains(&run.layers.len())
                && run.layers.iter().all(|l| {
                    l.shares.len() == n
                        && l.deviation.len() == n
                        && l.shares.iter().all(|s| s.len() >= 2 && s.len() == l.shares[0].len())
                })
        };
        if !(1..=2).contains(&film.runs.len()) || !film.runs.iter().all(fits) {
            let of = |run: &HistogramRun| {
                format!("{} layers over {} snapshots", run.layers.len(), run.snapshots.len())
            };
            let all: Vec<String> = film.runs.iter().map(of).collect();
            return Err(Error::Render {
                what: format!("histograms of {} runs ({}) cannot be drawn", all.len(), all.join(", ")),
                remedy: "give one run or two 1 to 24 layers, each with a histogram of at least two bins \
                         for each snapshot"
                    .into(),
            });
        }
        let first = &film.runs[0];
        let alike = |run: &HistogramRun| {
            run.layers.len() == first.layers.len()
                && run
                    .layers
                    .iter()
                    .zip(&first.layers)
                    .all(|(a, b)| a.reach == b.reach && a.shares[0].len() == b.shares[0].len())
        };
        if !film.runs.iter().all(alike) {
            return Err(Error::Render {
                what: "histograms of two runs whose layers or bins differ cannot be drawn".into(),
                remedy:
                    "give both the same layers in the same order, with one reach and as many bins"
                        .into(),
            });
        }
        let spec =
            PageSpec::film(&film.title, &film.caption, &film.strip, &film.pacing, film.hold_secs);
        let times: Vec<Vec<f64>> =
            film.runs.iter().map(|run| run.snapshots.iter().map(|p| p.time).collect()).collect();
        let screen = Screen { theme, size, frames, fps };
        let all = times.iter().flatten().copied();
        let page = Page::new(spec, all, screen).with_strip_below(0.25);
        let (count, font) = (first.layers.len(), page.font);
        let key = page.body.y + 0.9 * font.label;
        let below = 1.9 * font.label;
        let body = Rect { y: page.body.y + below, h: (page.body.h - below).max(4.0), ..page.body };
        let columns = (1..=count)
            .min_by(|&a, &b| misfit(a, count, body).total_cmp(&misfit(b, count, body)))
            .unwrap_or(1);
        let (head, foot) = (2.9 * font.small, 1.9 * font.small);
        let cells = grid(body, count, columns, 22.0 * page.px_scale);
        let plot = |(k, cell): (usize, Rect)| {
            let (x, y) = (cell.x.round(), (cell.y + head).round());
            let rect = Rect::new(x, y, cell.w.round(), (cell.h - head - foot).max(4.0).round());
            let highest = film.runs.iter().map(|run| highest(&run.layers[k])).fold(0.0, f32::max);
            Plot { rect, highest }
        };
        let plots = cells.into_iter().enumerate().map(plot).collect();
        Ok(Self { page, body: Histograms { film, times, key, plots } })
    }
}

impl Histograms<'_> {
    /// The snapshots of `run` before and after `time`, and how far it is from the one to the other.
    fn between(&self, run: usize, time: f64) -> (usize, usize, f32) {
        let times = &self.times[run];
        let after = times.partition_point(|&t| t <= time);
        let last = times.len() - 1;
        if after == 0 || after > last {
            let k = if after == 0 { 0 } else { last };
            return (k, k, 0.0);
        }
        let (a, b) = (times[after - 1], times[after]);
        let share = if b > a { ((time - a) / (b - a)) as f32 } else { 1.0 };
        (after - 1, after, share)
    }

    /// Says what is drawn how: a small bar or line, and its meaning.
    fn draw_key(&self, page: &Page, canvas: &mut dyn Canvas) {
        let (theme, size) = (page.theme, page.font.label);
        let style = TextStyle::new(size, theme.text);
        let end = page.body.right();
        let mut x = page.body.x;
        let width = 1.3 * size;
        let mut entry = |text: &str, bar: Option<usize>| {
            let room = end - x - width - 0.5 * size;
            let text = style.fit(text, room);
            if text.is_empty() {
                return;
            }
            let middle = self.key - 0.36 * size;
            match bar {
                Some(run) => {
                    let mark = Rect::new(x, middle - 0.36 * size, width, 0.72 * size);
                    canvas.rect(mark, bar_color(theme, run, self.film.runs.len()));
                }
                None => canvas.line(&[(x, middle), (x + width, middle)], &outline(page)),
            }
            canvas.text(&text, x + width + 0.5 * size, self.key, &style);
            x += width + 2.0 * size + style.width(&text);
        };
        match &self.film.runs[..] {
            [_] => {
                entry("at this moment", Some(0));
                entry("before training", None);
            }
            runs => runs.iter().enumerate().for_each(|(k, run)| entry(&run.name, Some(k))),
        }
    }
}

/// The colour of the bars of `run` among `runs`; of two both can be seen where they overlap.
fn bar_color(theme: &Theme, run: usize, runs: usize) -> Color {
    let color = theme.series_color(run);
    if runs == 1 { theme.background.mix(color, 0.72) } else { color.alpha(0.5) }
}

/// The line around what was before training.
fn outline(page: &Page) -> Stroke {
    Stroke::solid(page.theme.text.alpha(0.75), (1.3 * page.px_scale).max(0.8))
}

/// How far cells in `columns` columns are from a 5:3 shape.
fn misfit(columns: usize, count: usize, area: Rect) -> f32 {
    let rows = count.div_ceil(columns);
    let aspect = (area.w / columns as f32) / (area.h / rows as f32);
    (aspect / 1.7).ln().abs() + 0.12 * (columns * rows - count) as f32
}

/// The height of a layer's plot: its highest bin over time, but a spike (many weights that are zero,
/// say) is cut at thrice the highest of the other bins.
fn highest(layer: &LayerHistogram) -> f32 {
    let peak = |row: &Vec<f32>| {
        let mut sorted = row.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        sorted[0].min(3.0 * sorted[1].max(sorted[0] * 0.1))
    };
    layer.shares.iter().map(peak).fold(0.0, f32::max).max(1e-6)
}

/// A number with three digits that count, zeros at its end and all: it changes while one looks.
fn steady(value: f64) -> String {
    if !value.is_finite() || value <= 0.0 || !(1e-4..1e3).contains(&value) {
        return number(value);
    }
    fixed(value, (2 - value.log10().floor() as i32).max(0) as usize)
}

/// The outline of bars over `rect`, from its lower left to its lower right corner.
fn steps(row: &[f32], rect: Rect, highest: f32) -> Vec<(f32, f32)> {
    let width = rect.w / row.len() as f32;
    let mut points = vec![(rect.x, rect.bottom())];
    for (i, share) in row.iter().enumerate() {
        let y = rect.bottom() - (share / highest).min(1.0) * rect.h;
        points.push((rect.x + i as f32 * width, y));
        points.push((rect.x + (i + 1) as f32 * width, y));
    }
    points.push((rect.right(), rect.bottom()));
    points
}

/// A number with its digits in groups of three.
fn grouped(count: usize) -> String {
    thousands(&count.to_string())
}

/// Bars that are cut have a break at their top.
fn draw_breaks(canvas: &mut dyn Canvas, row: &[f32], plot: &Plot, page: &Page) {
    let (r, px_scale) = (plot.rect, page.px_scale);
    let width = r.w / row.len() as f32;
    for (i, _) in row.iter().enumerate().filter(|(_, v)| **v > plot.highest * 1.0001) {
        let x = r.x + (i as f32 + 0.5) * width;
        let notch = Stroke::solid(page.theme.background, (2.0 * px_scale).max(1.2));
        let (dx, y) = ((0.5 * width).max(4.0 * px_scale), r.y + 5.0 * px_scale);
        canvas.line(&[(x - dx, y + 3.0 * px_scale), (x + dx, y - 3.0 * px_scale)], &notch);
    }
}

impl Body for Histograms<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (theme, font, px_scale) = (page.theme, page.font, page.px_scale);
        let muted = TextStyle::new(font.small, theme.muted);
        self.draw_key(page, canvas);
        for (k, plot) in self.plots.iter().enumerate() {
            let (r, layer) = (plot.rect, &self.film.runs[0].layers[k]);
            let name = TextStyle::new(font.small, theme.text).bold();
            let lens: Vec<usize> = self.film.runs.iter().map(|run| run.layers[k].len).collect();
            let each = match lens[..] {
                [a, b] if a != b => format!("{} and {}", grouped(a), grouped(b)),
                _ => grouped(lens[0]),
            };
            let count = format!("{each} weights");
            let text = name.fit(&layer.name, r.w);
            canvas.text(&text, r.x, r.y - 1.75 * font.small, &name);
            // Where it fits beside the deviation.
            let numbers = "  σ 0.0000".repeat(lens.len());
            if muted.width(&count) + muted.width(&numbers) <= r.w {
                canvas.text(&count, r.x, r.y - 0.5 * font.small, &muted);
            }
            let base = Stroke::solid(theme.muted, px_scale.max(0.75));
            canvas.line(&[(r.x, r.bottom()), (r.right(), r.bottom())], &base);
            let middle = r.x + 0.5 * r.w;
            let rule = Stroke::solid(theme.rule, px_scale.max(0.75));
            canvas.line(&[(middle, r.y), (middle, r.bottom())], &rule);
            let y = r.bottom() + 1.25 * font.small;
            let reach = significant(layer.reach, 2);
            canvas.text(&format!("−{reach}"), r.x, y, &muted);
            canvas.text("0", middle, y, &muted.align(Align::Center));
            canvas.text(&reach, r.right(), y, &muted.align(Align::Right));
        }
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let (theme, font, px_scale) = (page.theme, page.font, page.px_scale);
        let time = page.timeline.epoch(frame);
        let runs = &self.film.runs;
        for (k, plot) in self.plots.iter().enumerate() {
            let r = plot.rect;
            // Where each run's number ends, from the right.
            let mut end = r.right();
            let mut numbers = Vec::new();
            for (i, run) in runs.iter().enumerate() {
                let (before, after, share) = self.between(i, time);
                let layer = &run.layers[k];
                let (a, b) = (&layer.shares[before], &layer.shares[after]);
                let row: Vec<f32> = a.iter().zip(b).map(|(a, b)| a + share * (b - a)).collect();
                let points = steps(&row, r, plot.highest);
                let mut path = PathBuilder::new();
                path.move_to(points[0].0, points[0].1);
                points[1..].iter().for_each(|p| path.line_to(p.0, p.1));
                path.close();
                if let Some(path) = path.finish() {
                    canvas.fill(&path, bar_color(theme, i, runs.len()), false);
                }
                if runs.len() == 1 {
                    let initial = steps(&layer.shares[0], r, plot.highest);
                    canvas.line(&initial, &outline(page));
                } else {
                    let edge = Stroke::solid(theme.series_ink(i), (1.2 * px_scale).max(0.8));
                    canvas.line(&points, &edge);
                }
                draw_breaks(canvas, &row, plot, page);
                // Of the last snapshot passed: a number is never interpolated.
                let passed = if share >= 1.0 { after } else { before };
                numbers.push(format!("σ {}", steady(layer.deviation[passed])));
            }
            for (i, text) in numbers.iter().enumerate().rev() {
                let ink = if runs.len() == 1 { theme.text } else { theme.series_ink(i) };
                let style = TextStyle::new(font.small, ink).align(Align::Right);
                if end - style.width(text) >= r.x {
                    canvas.text(text, end, r.y - 0.5 * font.small, &style);
                }
                end -= style.width(text) + 0.8 * font.small;
            }
        }
        page.draw_time(canvas, frame);
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let runs = &self.film.runs;
        let layers = runs[0].layers.iter().map(|l| l.name.as_str());
        layers.chain(runs.iter().map(|run| run.name.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_every_finite_weight_once() {
        let snapshots: [&[f32]; 2] =
            [&[-1.0, -0.5, 0.0, 0.5, 0.99], &[f32::NAN, 9.0, 0.0, 0.0, 0.0]];
        // Of five weights none is one in a thousand: the reach is the largest.
        let reach = snapshots.map(LayerHistogram::reach_of);
        assert_eq!(reach, [1.0, 9.0]);
        let mut layer = LayerHistogram::new("w", 5, 9.0);
        snapshots.iter().for_each(|s| layer.push(s, 4));
        assert_eq!(layer.shares[0], [0.0, 0.4, 0.6, 0.0]);
        assert_eq!(layer.shares[1], [0.0, 0.0, 0.75, 0.25]);
        let deviation = (81.0f64 / 4.0 - (9.0f64 / 4.0).powi(2)).sqrt();
        assert!((layer.deviation[1] - deviation).abs() < 1e-12);
        layer.push(&[f32::NAN], 4);
        assert!(layer.deviation[2].is_nan() && layer.shares[2] == [0.0; 4]);
    }

    #[test]
    fn deviations_keep_their_digits_while_they_change() {
        let texts = [0.2, 0.1996, 0.00456, 12.34, f64::NAN, 0.0].map(steady);
        assert_eq!(texts, ["0.200", "0.200", "0.00456", "12.3", "NaN", "0"]);
    }

    #[test]
    fn one_outlier_in_ten_thousand_sets_no_scale() {
        let weights: Vec<f32> = (0..10_000).map(|i| if i == 0 { 1e6 } else { 0.1 }).collect();
        assert!((LayerHistogram::reach_of(&weights) - 0.1).abs() < 1e-6);
        assert_eq!(LayerHistogram::reach_of(&[f32::NAN]), 0.0);
        assert_eq!(LayerHistogram::new("w", 1, 0.0).reach, 1.0);
    }
}
