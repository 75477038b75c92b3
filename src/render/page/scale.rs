//! From values to bands: honest contour levels, round ticks, and how numbers are written.
//!
//! Levels are round numbers (1-2-5 a decade, finer or coarser as the data need), shared by all
//! panels of a picture. Positive data get logarithmic levels, data with negative values linear
//! ones. Levels cover the data from the least value to the 98th percentile (or the whole range,
//! where that is at most ten times more), and never beyond ten thousand times the median, so that a
//! few diverged cells do not flatten the rest; what lies beyond is clipped into the last band and
//! marked as such on the colour bar.

use crate::render::numbers::significant;
use crate::render::scene::Levels;

/// Whether equal steps on screen are equal factors or equal differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// `log10`.
    Log,
    /// The value itself.
    Linear,
}

impl Spacing {
    /// Round numbers from `low` to `high`, at most about `count`.
    pub(in crate::render) fn ticks(self, [low, high]: [f64; 2], count: usize) -> Vec<f64> {
        match self {
            Self::Log => log_ticks(low, high, count),
            Self::Linear => ticks(low, high, count),
        }
    }
}

/// Contour levels and the range they are in.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelScale {
    /// Strictly increasing; never empty.
    pub levels: Vec<f64>,
    /// How bands are spaced on the colour bar and coloured.
    pub spacing: Spacing,
    /// The least value shown.
    pub low: f64,
    /// The greatest value shown; larger ones are clipped to it.
    pub high: f64,
    /// Whether some value lies below `low` (zeros on a logarithmic scale, or -inf).
    pub clipped_low: bool,
    /// Whether some value lies above `high` (or is +inf).
    pub clipped_high: bool,
}

/// At most this many levels: more bands than this cannot be distinguished.
const MAX_LEVELS: usize = 18;

/// Mantissas per decade, finest first.
const MANTISSAS: [&[f64]; 6] = [
    &[
        1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0, 2.2, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0,
        9.0,
    ],
    &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
    &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
    &[1.0, 2.0, 5.0],
    &[1.0, 3.0],
    &[1.0],
];

impl LevelScale {
    /// Levels for all of `values`; NaN and infinities do not count towards the range.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Self {
        Self::chosen(values, &Levels::default())
    }

    /// The levels that `choice` says, and what it leaves open as [`LevelScale::new`] has it.
    pub fn chosen(values: impl IntoIterator<Item = f64>, choice: &Levels) -> Self {
        let values: Vec<f64> = values.into_iter().filter(|v| !v.is_nan()).collect();
        let infinite = |sign: f64| values.contains(&(sign * f64::INFINITY));
        let (minus_inf, plus_inf) = (infinite(-1.0), infinite(1.0));
        let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        finite.sort_by(f64::total_cmp);
        let smallest = finite.first().copied().unwrap_or(1.0);
        let below = choice.ends.is_some_and(|[low, _]| low <= 0.0);
        let spacing = match choice.linear || below || smallest < 0.0 {
            true => Spacing::Linear,
            false => Spacing::Log,
        };
        if spacing == Spacing::Log {
            finite.retain(|&v| v > 0.0);
        }
        let (mut low, mut largest) = match (finite.first(), finite.last()) {
            // What differs by less than rounding leaves in single precision is one value.
            (Some(&low), Some(&high)) if high - low > 1e-9 * high.abs().max(low.abs()) => {
                (low, high)
            }
            (Some(&low), Some(_)) => (low, low),
            _ => (1.0, 1.0),
        };
        let percentile_98 = finite.get(finite.len() * 98 / 100).copied().unwrap_or(largest);
        let high = match spacing {
            Spacing::Log if largest > 10.0 * percentile_98 => percentile_98,
            // A share has ends of its own: nothing of it is far out.
            Spacing::Linear if !choice.linear && largest - low > 4.0 * (percentile_98 - low) => {
                percentile_98
            }
            _ => largest,
        };
        let median = finite.get(finite.len() / 2).copied().unwrap_or(largest);
        let high = if spacing == Spacing::Log { high.min(1e4 * median) } else { high };
        let mut high = if high > low { high } else { largest };
        if let Some(ends) = choice.ends {
            [low, high] = ends;
            largest = finite.last().copied().unwrap_or(high);
        }
        let levels = match (choice.step, spacing) {
            (Some(step), _) => stepped(low, high, step),
            (None, Spacing::Log) => log_levels(low, high),
            (None, Spacing::Linear) => linear_levels(low, high),
        };
        let levels = match (choice.step, choice.ends) {
            (None, None) => refined(levels, &finite),
            _ => levels,
        };
        let clipped_low = minus_inf || smallest < low;
        Self { levels, spacing, low, high, clipped_low, clipped_high: plus_inf || largest > high }
    }

    /// The same scale with only those levels that the values' standard errors can tell apart: `cells` are
    /// values with their errors. From the highest level down, the next one that is kept is as far below
    /// as the typical error of the values between. (Between two levels that are nearer to each other a
    /// value might as well lie on the other side of either.)
    pub fn resolved(mut self, cells: &[(f64, f64)]) -> Self {
        let known: Vec<(f64, f64)> =
            cells.iter().copied().filter(|(v, e)| v.is_finite() && e.is_finite()).collect();
        if known.is_empty() || self.levels.len() < 2 {
            return self;
        }
        let mut kept: Vec<f64> = Vec::new();
        for &level in self.levels.iter().rev() {
            let Some(&above) = kept.last() else {
                kept.push(level);
                continue;
            };
            let between = |(v, _): &&(f64, f64)| *v >= level && *v < above;
            let mut errors: Vec<f64> = known.iter().filter(between).map(|c| c.1).collect();
            errors.sort_by(f64::total_cmp);
            let typical = errors.get(errors.len() / 2).copied().unwrap_or(0.0);
            if typical <= above - level {
                kept.push(level);
            }
        }
        kept.reverse();
        self.levels = kept;
        self
    }

    /// The scale with more levels where a band of this one holds a large part of a layer's values: a stack
    /// of surfaces has one scale, and where the surfaces differ by orders of magnitude one of them would
    /// be a single colour. The last layers, with which a film ends, come first.
    pub fn for_layers<'a>(mut self, layers: impl DoubleEndedIterator<Item = &'a [f64]>) -> Self {
        for layer in layers.rev() {
            let shown = |v: &&f64| **v >= self.low && **v <= self.high;
            let mut values: Vec<f64> = layer.iter().filter(shown).copied().collect();
            values.sort_by(f64::total_cmp);
            self.levels = refined(self.levels, &values);
        }
        self
    }

    /// A value's place on the scale, in `log10` or plain units; NaN stays NaN, what lies outside
    /// is clipped to `low` and `high`.
    pub fn position(&self, value: f64) -> f64 {
        if value.is_nan() {
            return f64::NAN;
        }
        let clipped = value.clamp(self.low, self.high);
        match self.spacing {
            Spacing::Log => clipped.log10(),
            Spacing::Linear => clipped,
        }
    }

    /// A value's place as [`LevelScale::position`] has it, but where it lies outside it is clipped a
    /// decade (in plain units: the length of the scale) farther out, so that a contour at an end of the
    /// scale runs where the values pass it.
    pub fn beyond(&self, value: f64) -> f64 {
        let [low, high] = [self.low, self.high].map(|v| self.position(v));
        let margin = match self.spacing {
            Spacing::Log => (high - low).min(1.0),
            Spacing::Linear => high - low,
        };
        let place = match self.spacing {
            // What has no logarithm lies farthest below.
            Spacing::Log if value <= 0.0 => f64::NEG_INFINITY,
            Spacing::Log => value.log10(),
            Spacing::Linear => value,
        };
        place.clamp(low - margin, high + margin)
    }

    /// The colour-map parameter in `0..=1` of the band between levels `band - 1` and `band`.
    pub fn band_shade(&self, band: usize) -> f64 {
        let bands = self.levels.len() + 1;
        let edges = self.band_edges();
        let middle = 0.5 * (edges[band] + edges[band + 1]);
        // From the middle of the first band to the middle of the last: all of the map is used.
        let (first, last) = (0.5 * (edges[0] + edges[1]), 0.5 * (edges[bands - 1] + edges[bands]));
        if last <= first {
            return 0.5;
        }
        // Half by the value and half by the band's number: narrow bands, too, can be told apart.
        let by_value = (middle - first) / (last - first);
        0.5 * by_value + 0.5 * band as f64 / (bands - 1) as f64
    }

    /// Each level as text, with as many digits as it has.
    pub fn labels(&self) -> Vec<String> {
        self.levels.iter().map(|&level| significant(level, 9)).collect()
    }

    /// The bands' `levels.len() + 2` edges in scale units; the outer two are the ends of the colour
    /// bar, at least a third of a typical band beyond the outer levels.
    pub fn band_edges(&self) -> Vec<f64> {
        let unit = |v: f64| match self.spacing {
            Spacing::Log => v.log10(),
            Spacing::Linear => v,
        };
        let inner: Vec<f64> = self.levels.iter().map(|&v| unit(v)).collect();
        let (first, last) = (inner[0], inner[inner.len() - 1]);
        let span = last - first;
        let typical =
            if span > 0.0 { span / (inner.len() - 1) as f64 } else { 0.1 * first.abs().max(1e-9) };
        let mut edges = vec![unit(self.low).min(first - 0.34 * typical).max(first - typical)];
        edges.extend(inner);
        edges.push(unit(self.high).max(last + 0.34 * typical).min(last + typical));
        edges
    }
}

/// A band that holds more of the values than this is cut up.
const CROWDED: f64 = 0.22;
/// Into at most this many.
const MOST_PARTS: usize = 6;

/// `levels` with more of them, round numbers too, in bands that hold a large part of the `values` (rising):
/// a plateau that is half of a map is not one colour.
fn refined(levels: Vec<f64>, values: &[f64]) -> Vec<f64> {
    let (Some(&low), Some(&high)) = (values.first(), values.last()) else { return levels };
    let mut edges = vec![low.min(levels[0])];
    edges.extend(&levels);
    edges.push(high.max(levels[levels.len() - 1]));
    let mut all = levels.clone();
    for band in edges.windows(2) {
        let inside = |a: f64, b: f64| {
            let count = values.partition_point(|v| *v < b) - values.partition_point(|v| *v < a);
            count as f64 / values.len() as f64
        };
        if inside(band[0], band[1]) <= CROWDED {
            continue;
        }
        // The coarsest round numbers that leave no part crowded, or the finest that there may be.
        let mut best: Vec<f64> = Vec::new();
        for count in 2..=4 * MOST_PARTS {
            let between = ticks(band[0], band[1], count);
            let new: Vec<f64> =
                between.into_iter().filter(|v| *v > band[0] && *v < band[1]).collect();
            // What separates no value from another is no level.
            let used: Vec<f64> = new
                .iter()
                .copied()
                .filter(|v| inside(band[0], *v) > 0.0 && inside(*v, band[1]) > 0.0)
                .collect();
            if used.len() + 1 > MOST_PARTS {
                break;
            }
            best = used;
            let mut parts = vec![band[0]];
            parts.extend(&best);
            parts.push(band[1]);
            if parts.windows(2).all(|p| inside(p[0], p[1]) <= CROWDED) {
                break;
            }
        }
        if all.len() + best.len() <= MAX_LEVELS + MOST_PARTS {
            all.extend(best);
        }
    }
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// `low`, `low + step` and so on up to `high`.
fn stepped(low: f64, high: f64, step: f64) -> Vec<f64> {
    let count = ((high - low) / step * (1.0 + 1e-12)) as usize;
    // i * step picks up rounding noise: twelve digits are as many as somebody writes.
    let clean = |v: f64| format!("{v:.11e}").parse().unwrap_or(v);
    (0..=count).map(|i| clean(low + i as f64 * step)).collect()
}

fn log_levels(low: f64, high: f64) -> Vec<f64> {
    if high <= low * 1.3 {
        return linear_levels(low, high);
    }
    let first = low.log10().floor() as i32;
    let last = high.log10().floor() as i32;
    for mantissas in MANTISSAS {
        if ((last - first) as usize) * mantissas.len() > 4 * MAX_LEVELS {
            continue;
        }
        let levels: Vec<f64> = (first..=last)
            .flat_map(|e| mantissas.iter().map(move |m| power_of_ten(*m, e)))
            .filter(|&v| v > low && v < high)
            .collect();
        if !levels.is_empty() && levels.len() <= MAX_LEVELS {
            return levels;
        }
    }
    // More decades than levels: every second, third, ... power of ten.
    let stride = ((last - first) as usize).div_ceil(MAX_LEVELS).max(1);
    let levels: Vec<f64> = (first..=last)
        .filter(|e| e.rem_euclid(stride as i32) == 0)
        .map(|e| power_of_ten(1.0, e))
        .filter(|&v| v > low && v < high)
        .collect();
    if levels.is_empty() { vec![(low * high).sqrt()] } else { levels }
}

fn linear_levels(low: f64, high: f64) -> Vec<f64> {
    let levels: Vec<f64> =
        ticks(low, high, 12).into_iter().filter(|&v| v > low && v < high).collect();
    if levels.is_empty() { vec![low] } else { levels }
}

/// `mantissa * 10^exponent`, correctly rounded as its decimal spelling is.
fn power_of_ten(mantissa: f64, exponent: i32) -> f64 {
    format!("{mantissa}e{exponent}").parse().unwrap_or(f64::NAN)
}

/// Round numbers (steps of 1, 2 or 5 times a power of ten) in `low..=high`, at most about `count`.
pub fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 || span < 1e-12 * low.abs().max(high.abs()) {
        return vec![low];
    }
    let raw = span / count.max(1) as f64;
    let exponent = raw.log10().floor() as i32;
    let step = [1.0, 2.0, 5.0, 10.0, 20.0]
        .iter()
        .map(|m| power_of_ten(*m, exponent))
        .find(|&step| step >= raw * 0.999)
        .unwrap_or(raw);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    // i * step picks up rounding noise (3 * 0.1): the decimal spelling takes it out again.
    let decimals = (-step.log10().floor()).max(0.0) as usize + 1;
    let clean = |v: f64| {
        if decimals < 300 { format!("{v:.decimals$}").parse().unwrap_or(v) } else { v }
    };
    (first..=last).map(|i| clean(i as f64 * step) + 0.0).collect()
}

/// The ticks of an axis from `low` to `high` that is `pixels` long, each with its number: one for about
/// `each` pixels, at least 2 and no more than `most`.
pub(in crate::render) fn numbered_ticks(
    [low, high]: [f64; 2],
    pixels: f32,
    each: f32,
    most: usize,
) -> Vec<(f64, String)> {
    let count = ((pixels / each) as usize).clamp(2, most);
    ticks(low, high, count).into_iter().map(|v| (v, significant(v, 6))).collect()
}

/// The greatest width of the numbers along an axis from `low` to `high`, however many of them (2 to 7)
/// its length will have room for; `width` measures a text.
pub fn widest_tick([low, high]: [f64; 2], width: impl Fn(&str) -> f32) -> f32 {
    let numbers = (2..=7).flat_map(|count| ticks(low, high, count));
    numbers.map(|v| width(&significant(v, 6))).fold(0.0, f32::max)
}

/// Whether a level is 1, 10, 0.1, ...: its contour line is drawn stronger.
pub(in crate::render) fn is_power_of_ten(level: f64) -> bool {
    let digits = format!("{level:e}");
    let round = significant(level, 1) == significant(level, 9);
    round && (digits.starts_with("1e") || digits.starts_with("-1e"))
}

/// Powers of ten (and 2 and 5 times them, where there is room) in `low..=high`, at most about
/// `count`.
pub fn log_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    if !(low > 0.0 && high > low && high.is_finite()) {
        return vec![low];
    }
    // The finest that were too many, but by one: a single number says nothing of the others.
    let mut nearly: Vec<f64> = Vec::new();
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let inside = |v: &f64| *v >= low * 0.999_999 && *v <= high * 1.000_001;
    for mantissas in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
        if (last - first) as usize * mantissas.len() > 40 * count.max(1) {
            continue;
        }
        let found: Vec<f64> = (first..=last)
            .flat_map(|e| mantissas.iter().map(move |m| power_of_ten(*m, e)))
            .filter(inside)
            .collect();
        if found.len() <= count {
            if found.len() >= 2 {
                return found;
            }
            let even = ticks(low, high, count);
            return if even.len() < 2 && !nearly.is_empty() { nearly } else { even };
        }
        if found.len() == count + 1 {
            nearly = found;
        }
    }
    let every = |stride: i32| -> Vec<f64> {
        (first..=last)
            .filter(|e| e.rem_euclid(stride.max(1)) == 0)
            .map(|e| power_of_ten(1.0, e))
            .filter(inside)
            .collect()
    };
    let stride = (last - first + count.max(1) as i32 - 1) / count.max(1) as i32;
    // A wide step may leave one number where a narrower one leaves three.
    let finer = (1..=stride).rev().map(every).find(|found| found.len() >= 2);
    finer.filter(|found| found.len() <= count + 1).unwrap_or_else(|| every(stride))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_round_and_inside_the_data() {
        let scale = LevelScale::new([0.013, 0.4, 1.0, 3.0, 40.0]);
        assert_eq!(scale.levels, [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert_eq!(scale.spacing, Spacing::Log);
        assert!(!scale.clipped_low && !scale.clipped_high);
    }

    #[test]
    fn every_range_has_a_handful_of_increasing_levels() {
        let ranges = [
            (1e-12, 1e30),
            (1.0, 1.0),
            (0.0, 0.0),
            (1e-12, 2e-12),
            (2.301, 2.304),
            (-3.0, 5.0),
            (-1e-9, 1e-9),
            (1e300, 1e308),
            (5e-324, 1.0),
            (0.99, 1.01),
            (-1e30, 1e30),
            (7.0, 13.0),
        ];
        for (low, high) in ranges {
            let scale = LevelScale::new([low, high]);
            let n = scale.levels.len();
            assert!((1..=MAX_LEVELS).contains(&n), "{low}..{high}: {:?}", scale.levels);
            assert!(scale.levels.windows(2).all(|w| w[0] < w[1]), "{:?}", scale.levels);
            let edges = scale.band_edges();
            assert!(edges.windows(2).all(|w| w[0] < w[1]), "{low}..{high}: {edges:?}");
            assert!((0..=n).all(|b| (0.0..=1.0).contains(&scale.band_shade(b))));
        }
        assert_eq!(LevelScale::new([f64::NAN]).levels.len(), 1);
    }

    /// A value's place to three digits.
    fn place_beyond(scale: &LevelScale, value: f64) -> f64 {
        (1e3 * scale.beyond(value)).round() / 1e3
    }

    #[test]
    fn levels_can_be_chosen_as_the_paper_has_them() {
        let values: Vec<f64> = (0..100).map(|i| 0.02 * 1.1f64.powi(i)).collect();
        let paper = Levels::new([0.1, 10.0], Some(0.5)).unwrap();
        let scale = LevelScale::chosen(values.iter().copied(), &paper);
        assert_eq!((scale.levels[0], scale.levels[1], scale.levels[19]), (0.1, 0.6, 9.6));
        assert_eq!((scale.low, scale.high, scale.levels.len()), (0.1, 10.0, 20));
        assert!(scale.clipped_low && scale.clipped_high);
        let ends = LevelScale::chosen(values, &Levels::new([0.1, 10.0], None).unwrap());
        assert!(ends.levels.iter().all(|v| (0.1..=10.0).contains(v)) && ends.levels.len() > 5);
        for (range, step) in [([1.0, 0.0], None), ([0.0, 1.0], Some(0.0)), ([0.0, 1.0], Some(1e-9))]
        {
            assert!(Levels::new(range, step).is_err(), "{range:?} {step:?}");
        }
        // Beyond the ends places go on, for a decade.
        let places = [0.05, 0.001, 0.0, 50.0, 1e9].map(|v| place_beyond(&scale, v));
        assert_eq!(places, [-1.301, -2.0, -2.0, 1.699, 2.0]);
        let share = Levels { linear: true, ..Levels::default() };
        let percent = LevelScale::chosen([0.0, 0.0, 24.27, 50.48, 75.73], &share);
        assert_eq!((percent.low, percent.high, percent.spacing), (0.0, 75.73, Spacing::Linear));
        assert!(!percent.clipped_low && !percent.clipped_high);
    }

    #[test]
    fn no_two_levels_are_nearer_than_the_typical_error_of_the_values_between() {
        // A bowl whose error is a tenth of the loss above 0.1 and constant below it.
        let values: Vec<f64> = (0..2000).map(|i| 0.002 * 1.005f64.powi(i)).collect();
        let cells: Vec<(f64, f64)> = values.iter().map(|&v| (v, 0.1 * v + 0.02)).collect();
        let plain = LevelScale::new(values.iter().copied());
        let scale = plain.clone().resolved(&cells);
        assert!(scale.levels.len() < plain.levels.len() && scale.levels.len() > 3, "{scale:?}");
        for pair in scale.levels.windows(2) {
            let mut errors: Vec<f64> =
                cells.iter().filter(|c| c.0 >= pair[0] && c.0 < pair[1]).map(|c| c.1).collect();
            errors.sort_by(f64::total_cmp);
            assert!(errors[errors.len() / 2] <= pair[1] - pair[0], "{pair:?}");
        }
        let exact: Vec<(f64, f64)> = values.iter().map(|&v| (v, 0.0)).collect();
        assert_eq!(plain.clone().resolved(&exact), plain);
        assert_eq!(plain.clone().resolved(&[]), plain);
    }

    #[test]
    fn a_plateau_that_is_half_of_the_map_is_cut_up() {
        let valley = (0..300).map(|i| 0.01 * 1.02f64.powi(i));
        let values: Vec<f64> = valley.chain((0..700).map(|i| 2.1 + 0.002 * f64::from(i))).collect();
        let scale = LevelScale::new(values.iter().copied());
        let mut edges = vec![0.0];
        edges.extend(&scale.levels);
        edges.push(f64::INFINITY);
        for band in edges.windows(2) {
            let share = values.iter().filter(|v| **v >= band[0] && **v < band[1]).count();
            assert!(share <= 300, "{band:?} has {share} of 1000: {:?}", scale.levels);
        }
        assert!(scale.levels.len() <= MAX_LEVELS + MOST_PARTS);
    }

    #[test]
    fn no_layer_of_a_stack_is_mostly_one_band() {
        // Two surfaces of the start of training, steep, and one of a trained net, half of it a plateau.
        let steep = |least: f64| (0..400).map(|i| least * 1.025f64.powi(i)).collect::<Vec<f64>>();
        let valley = (0..200).map(|i| 0.01 * 1.03f64.powi(i));
        let trained = valley.chain((0..200).map(|i| 3.1 + 0.03 * f64::from(i))).collect();
        let layers = [steep(15.0), steep(12.0), trained];
        let all = LevelScale::new(layers.iter().flatten().copied());
        let largest = |scale: &LevelScale, layer: &[f64]| -> usize {
            let mut edges = vec![f64::NEG_INFINITY];
            edges.extend(&scale.levels);
            edges.push(f64::INFINITY);
            let count = |w: &[f64]| layer.iter().filter(|v| **v >= w[0] && **v < w[1]).count();
            edges.windows(2).map(count).max().unwrap()
        };
        assert!(largest(&all, &layers[2]) > 150, "{:?}", all.levels);
        let scale = all.for_layers(layers.iter().map(Vec::as_slice));
        let most = largest(&scale, &layers[2]);
        assert!(most <= 100, "{most} of 400: {:?}", scale.levels);
        assert!(scale.levels.len() <= MAX_LEVELS + MOST_PARTS);
        assert!(scale.levels.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn diverged_cells_do_not_flatten_the_rest() {
        // One cell in ten at 1e30: beyond the percentile's help.
        let values = (0..100).map(|i| if i % 10 == 0 { 1e30 } else { 0.1 + f64::from(i) });
        let scale = LevelScale::new(values);
        assert!(scale.high < 1e6 && scale.clipped_high, "{scale:?}");
    }

    #[test]
    fn a_lone_huge_value_is_clipped_and_said_so() {
        let values = (0..1000).map(|i| 0.1 + f64::from(i) * 0.01).chain([1e30, f64::INFINITY, 0.0]);
        let scale = LevelScale::new(values);
        assert!(scale.high < 11.0 && scale.clipped_high && scale.clipped_low, "{scale:?}");
        assert_eq!(scale.position(1e30), scale.high.log10());
    }

    #[test]
    fn ticks_are_the_numbers_a_person_would_write() {
        assert_eq!(ticks(-1.0, 1.0, 5), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(ticks(0.05, 0.36, 4), [0.1, 0.2, 0.3]);
        assert_eq!(ticks(0.0, 300.0, 4), [0.0, 100.0, 200.0, 300.0]);
        assert_eq!(ticks(3.0, 3.0, 4), [3.0]);
        assert_eq!(log_ticks(0.05, 3.0, 6), [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]);
        assert_eq!(log_ticks(1e-4, 10.0, 3), [1e-4, 1e-2, 1.0]);
        // A low chart has two numbers at least: one alone would be no scale.
        for [low, high] in [[0.027, 0.85], [0.0021, 137.0], [0.4, 2.6], [1e-7, 3e4], [0.9, 12.0]] {
            let found = log_ticks(low, high, 2);
            assert!((2..=3).contains(&found.len()), "{low} to {high}: {found:?}");
        }
    }
}
