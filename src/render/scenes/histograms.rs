//! How the weights of each layer are spread, moving with the snapshots: small multiples of
//! histograms, the initial spread behind as an outline.
//!
//! Between two snapshots the bars' heights are interpolated, for the eye only; the caption says so.

use tiny_skia::PathBuilder;

use crate::error::{Error, Result};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::numbers::{fixed, number, significant, thousands};
use crate::render::page::layout::grid;
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

/// Histograms of several layers, moving together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramFilm {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// When the snapshots were taken; only step and epoch are read.
    pub snapshots: Vec<PathPoint>,
    /// One for each layer, at most 24.
    pub layers: Vec<LayerHistogram>,
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
    /// Times of the snapshots in the clock's unit.
    times: Vec<f64>,
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
    /// Errors: [`Error::Render`] on a film without snapshots or layers, or with rows that do not fit
    /// together.
    pub fn new(
        film: &'a HistogramFilm,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        let n = film.snapshots.len();
        let fits = |l: &LayerHistogram| {
            l.shares.len() == n
                && l.deviation.len() == n
                && l.shares.iter().all(|s| s.len() >= 2 && s.len() == l.shares[0].len())
        };
        if n == 0 || !(1..=24).contains(&film.layers.len()) || !film.layers.iter().all(fits) {
            return Err(Error::Render {
                what: format!("{} layers over {n} snapshots cannot be drawn", film.layers.len()),
                remedy: "give 1 to 24 layers a histogram of at least two bins for each snapshot"
                    .into(),
            });
        }
        let spec =
            PageSpec::film(&film.title, &film.caption, &film.strip, &film.pacing, film.hold_secs);
        let times: Vec<f64> = film.snapshots.iter().map(|p| p.time).collect();
        let screen = Screen { theme, size, frames, fps };
        let page = Page::new(spec, times.iter().copied(), screen).with_strip_below(0.25);
        let (count, body, font) = (film.layers.len(), page.body, page.font);
        let columns = (1..=count)
            .min_by(|&a, &b| misfit(a, count, body).total_cmp(&misfit(b, count, body)))
            .unwrap_or(1);
        let (head, foot) = (2.9 * font.small, 1.9 * font.small);
        let cells = grid(body, count, columns, 22.0 * page.px_scale);
        let plot = |(layer, cell): (&LayerHistogram, Rect)| {
            let (x, y) = (cell.x.round(), (cell.y + head).round());
            let rect = Rect::new(x, y, cell.w.round(), (cell.h - head - foot).max(4.0).round());
            Plot { rect, highest: highest(layer) }
        };
        let plots = film.layers.iter().zip(cells).map(plot).collect();
        Ok(Self { page, body: Histograms { film, times, plots } })
    }
}

impl Histograms<'_> {
    /// The snapshots before and after `time`, and how far it is from the one to the other.
    fn between(&self, time: f64) -> (usize, usize, f32) {
        let after = self.times.partition_point(|&t| t <= time);
        let last = self.times.len() - 1;
        if after == 0 || after > last {
            let k = if after == 0 { 0 } else { last };
            return (k, k, 0.0);
        }
        let (a, b) = (self.times[after - 1], self.times[after]);
        let share = if b > a { ((time - a) / (b - a)) as f32 } else { 1.0 };
        (after - 1, after, share)
    }
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

impl Body for Histograms<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (theme, font, px_scale) = (page.theme, page.font, page.px_scale);
        let muted = TextStyle::new(font.small, theme.muted);
        for (layer, plot) in self.film.layers.iter().zip(&self.plots) {
            let r = plot.rect;
            let name = TextStyle::new(font.small, theme.text).bold();
            let count = format!("{} weights", thousands(&layer.len.to_string()));
            let text = name.fit(&layer.name, r.w);
            canvas.text(&text, r.x, r.y - 1.75 * font.small, &name);
            // Where it fits beside the deviation.
            if muted.width(&count) + muted.width("  σ 0.0000") <= r.w {
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
        let (before, after, share) = self.between(time);
        for (layer, plot) in self.film.layers.iter().zip(&self.plots) {
            let r = plot.rect;
            let (a, b) = (&layer.shares[before], &layer.shares[after]);
            let row: Vec<f32> = a.iter().zip(b).map(|(a, b)| a + share * (b - a)).collect();
            let points = steps(&row, r, plot.highest);
            let mut path = PathBuilder::new();
            path.move_to(points[0].0, points[0].1);
            points[1..].iter().for_each(|p| path.line_to(p.0, p.1));
            path.close();
            if let Some(path) = path.finish() {
                canvas.fill(&path, theme.background.mix(theme.series_color(0), 0.72), false);
            }
            let initial = steps(&layer.shares[0], r, plot.highest);
            canvas
                .line(&initial, &Stroke::solid(theme.text.alpha(0.75), (1.3 * px_scale).max(0.8)));
            // Bars that are cut have a break at their top.
            let width = r.w / row.len() as f32;
            for (i, _) in row.iter().enumerate().filter(|(_, v)| **v > plot.highest * 1.0001) {
                let x = r.x + (i as f32 + 0.5) * width;
                let notch = Stroke::solid(theme.background, (2.0 * px_scale).max(1.2));
                let (dx, y) = ((0.5 * width).max(4.0 * px_scale), r.y + 5.0 * px_scale);
                canvas.line(&[(x - dx, y + 3.0 * px_scale), (x + dx, y - 3.0 * px_scale)], &notch);
            }
            // Of the last snapshot passed: a number is never interpolated.
            let passed = if share >= 1.0 { after } else { before };
            let text = format!("σ {}", steady(layer.deviation[passed]));
            let style = TextStyle::new(font.small, theme.text).align(Align::Right);
            canvas.text(&text, r.right(), r.y - 0.5 * font.small, &style);
        }
        page.draw_time(canvas, frame);
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        self.film.layers.iter().map(|l| l.name.as_str()).collect()
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
