//! From values to colours without steps: of heat maps, and of surfaces that are coloured by something else than
//! their heights.

use crate::render::canvas::Rect;
use crate::render::canvas::color::Color;
use crate::render::canvas::theme::{Colormap, Theme};
use crate::render::numbers::significant;
use crate::render::page::Page;
use crate::render::page::colorbar::{ColorBar, Colors, Lines};
use crate::render::page::panels::ems;
use crate::render::page::scale::{log_ticks, ticks};
use crate::render::scene::Scaling;

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
pub(in crate::render) struct ColorScale {
    unit: Unit,
    /// Ends in scale units.
    low: f64,
    high: f64,
    /// The ends as values.
    ends: [f64; 2],
    clipped: [bool; 2],
    /// Whether zero is in the middle of two colours.
    signed: bool,
    map: Colormap,
}

impl ColorScale {
    /// The scale of `values` in the colours of `theme`, with the ends `range` where somebody chose them; turned over
    /// where more is better (`rises`), so that what is good looks as low loss does.
    pub fn new(
        values: &[f64],
        (scaling, rises): (Scaling, bool),
        range: Option<[f64; 2]>,
        theme: &Theme,
    ) -> Self {
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
        let map = match (diverging, rises) {
            (true, _) => theme.diverging.clone(),
            (false, true) => theme.colormap.clone().reversed(),
            (false, false) => theme.colormap.clone(),
        };
        Self { unit, low, high, ends, clipped, signed: diverging, map }
    }

    /// Whether zero is in the middle of two colours.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// Place on the bar, 0..=1.
    pub fn share(&self, value: f64) -> f64 {
        // Halved first: the ends may be further apart than the largest number.
        let z = self.unit.of(value);
        ((0.5 * z - 0.5 * self.low) / (0.5 * self.high - 0.5 * self.low)).clamp(0.0, 1.0)
    }

    /// The colour at a place on the bar; of a signed scale zero is in the middle of the map and equal
    /// distances from it are equally strong, whichever side is the longer.
    pub fn color_at(&self, place: f64) -> Color {
        if !self.signed {
            return self.map.at(place);
        }
        let z = self.low + place * (self.high - self.low);
        self.map.at(0.5 + 0.5 * z / self.low.abs().max(self.high.abs()))
    }

    /// Numbers to write beside the bar, about `count`.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
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

    /// Letters that the numbers of a bar with `title` take.
    pub fn bar_label_ems(&self, title: &str) -> f32 {
        let numbers = self.ticks(8).into_iter().map(|v| ems(&significant(v, 4)));
        // The mark beside the bar takes as much as two letters; its title as a rule is wider.
        numbers.fold(2.0, f32::max).max(ems(title) - 2.0) + 0.5
    }

    /// The bar for `rect`, with `title` above it.
    pub fn bar<'a>(&'a self, title: &'a str, rect: Rect, page: &Page) -> ColorBar<'a> {
        let count = ((rect.h / (2.2 * page.font.small)) as usize).clamp(2, 8);
        let numbers = self.ticks(count).into_iter();
        let end = |k: usize| self.clipped[k].then(|| self.color_at(k as f64));
        ColorBar {
            title,
            colors: Colors::Ramp(Box::new(|place| self.color_at(place))),
            numbers: numbers.map(|v| (self.share(v), significant(v, 4))).collect(),
            lines: Lines::Beside,
            points: [end(0), end(1)],
            hatched: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(values: &[f64], theme: &Theme) -> ColorScale {
        ColorScale::new(values, (Scaling::Diverging, false), None, theme)
    }

    fn lightness(c: Color) -> f32 {
        c.oklab()[0]
    }

    #[test]
    fn a_signed_scale_has_no_empty_half_and_its_colours_are_not_all_deep() {
        // Losses above the final model's, as they are: a little below zero, a plateau, a tail.
        let values: Vec<f64> =
            (0..400).map(|i| -0.05 + 0.0005 * (i as f64).powi(2) + 0.01 * i as f64).collect();
        let theme = Theme::light();
        let scale = signed(&values, &theme);
        assert!(scale.share(0.0) > 0.0 && scale.share(0.0) < 0.2, "{}", scale.share(0.0));
        assert_eq!(scale.ends, [values[0], values[399]]);
        let color = |v: f64| scale.color_at(scale.share(v));
        let deep = values.iter().filter(|v| lightness(color(**v)) < 0.55).count();
        assert!(deep < values.len() * 2 / 5, "{deep} of {} are deep", values.len());
        // Zero is the pale middle, and equal distances from it are equally strong.
        assert!(lightness(color(0.0)) > 0.95);
        assert!((lightness(color(0.05)) - lightness(color(-0.05))).abs() < 0.03);
        let ticks = scale.ticks(8);
        assert!(ticks.contains(&0.0) && ticks.len() >= 4, "{ticks:?}");
        let none_below = signed(&[0.0, 1.0, 3.0], &theme);
        assert_eq!(none_below.share(0.0), 0.0);
    }

    #[test]
    fn in_print_zero_is_white_and_both_signs_darken_from_it() {
        let theme = Theme::print();
        let scale = signed(&[-2.0, -1.0, 1.0, 2.0], &theme);
        let light = |v: f64| lightness(scale.color_at(scale.share(v)));
        assert!(light(0.0) > 0.97 && light(2.0) < 0.6 && light(-2.0) < 0.6);
        assert!((light(1.0) - light(-1.0)).abs() < 0.02);
    }

    #[test]
    fn where_more_is_better_the_map_is_turned_over_and_a_signed_one_is_not() {
        let theme = Theme::light();
        let of = |scaling, rises| ColorScale::new(&[0.0, 1.0], (scaling, rises), None, &theme);
        let color = |scaling, rises, at| of(scaling, rises).color_at(at);
        assert_eq!(color(Scaling::Linear, true, 1.0), color(Scaling::Linear, false, 0.0));
        assert_eq!(color(Scaling::Diverging, true, 1.0), color(Scaling::Diverging, false, 1.0));
    }
}
