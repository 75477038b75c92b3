//! Colours in linear light: the ramp of the surface, its contour lines, and the way back to 8 bits.

use std::sync::LazyLock;

use super::heightfield::HeightField;
use crate::render::canvas::color::{Color, linear_from_srgb};
use crate::render::canvas::theme::Theme;
use crate::render::page::scale::{LevelScale, is_power_of_ten};

/// Linear red, green, blue.
pub type Light = [f32; 3];

/// Entries of the ramp.
const STEPS: usize = 1024;
/// Bins in which the levels around a place of the scale are looked up.
const BINS: usize = 512;

/// `color` in linear light.
pub fn linear(color: Color) -> Light {
    [color.r, color.g, color.b].map(linear_from_srgb)
}

/// `a` with `t` of `b`.
#[inline]
pub fn blend(a: Light, b: Light, t: f32) -> Light {
    [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2])]
}

/// Everything that shading asks for by value.
#[derive(Debug, Clone)]
pub struct Paint {
    ramp: Vec<Light>,
    /// The ramp as it is on the floor: half of it is page.
    floor: Vec<Light>,
    /// The ramp of what colours the surface where that is not its heights.
    drape: Option<Vec<Light>>,
    /// Places of the contour lines on the scale and how strong each is.
    levels: Vec<(f32, f32)>,
    /// The level at or above each bin's start.
    bins: Vec<u16>,
    /// The typical distance of two levels.
    spacing: f32,
    /// Contour lines.
    pub ink: Light,
    /// The page.
    pub page: Light,
    /// Hatching of holes and caps.
    pub hatch: Light,
    /// The cap above the greatest value shown.
    pub cap: Light,
}

impl Paint {
    /// The colours of `theme` and the lines of `scale`.
    pub fn new(theme: &Theme, scale: &LevelScale) -> Self {
        let ramp = ramp_of(|t| theme.relief.at(t));
        let floor = ramp_of(|t| theme.background.mix(theme.relief.at(t), 0.5));
        let (low, high) = (scale.position(scale.low), scale.position(scale.high));
        let levels: Vec<(f32, f32)> = scale
            .levels
            .iter()
            .filter(|_| high > low)
            .map(|&level| {
                let major = is_power_of_ten(level);
                let place = (scale.position(level) - low) / (high - low);
                (place as f32, if major { 0.62 } else { 0.34 })
            })
            .collect();
        let bins = (0..BINS)
            .map(|i| levels.partition_point(|l| l.0 < i as f32 / BINS as f32) as u16)
            .collect();
        let spacing = 1.0 / (levels.len() as f32 + 1.0);
        let end = linear(theme.relief.at(1.0));
        Self {
            ramp,
            floor,
            drape: None,
            levels,
            bins,
            spacing,
            ink: linear(theme.contour),
            page: linear(theme.background),
            hatch: linear(theme.hatch),
            cap: blend(end, linear(theme.muted), 0.18),
        }
    }

    /// The same for surfaces that something else than their heights colours, by the `color` of its places.
    pub fn draped(self, color: impl Fn(f64) -> Color) -> Self {
        Self { drape: Some(ramp_of(color)), ..self }
    }

    /// The colour of a surface at height `t`, where what colours it is at `place` on its own scale.
    #[inline]
    pub fn sheet(&self, t: f32, place: f32) -> Light {
        match &self.drape {
            None => self.at(t),
            // What is not known has no colour.
            Some(_) if place.is_nan() => blend(self.page, self.hatch, 0.25),
            Some(ramp) => {
                let i = (place * (STEPS - 1) as f32 + 0.5) as i32;
                ramp[i.clamp(0, STEPS as i32 - 1) as usize]
            }
        }
    }

    /// The ramp's colour at `t`.
    #[inline]
    pub fn at(&self, t: f32) -> Light {
        self.ramp[((t * (STEPS - 1) as f32 + 0.5) as i32).clamp(0, STEPS as i32 - 1) as usize]
    }

    /// The floor's colour below the same place.
    #[inline]
    pub fn floor(&self, t: f32, place: f32) -> Light {
        if self.drape.is_some() {
            return blend(self.page, self.sheet(t, place), 0.5);
        }
        self.floor[((t * (STEPS - 1) as f32 + 0.5) as i32).clamp(0, STEPS as i32 - 1) as usize]
    }

    /// How much ink of a contour line there is at `t`, where `t` grows by `slope` a pixel and a
    /// line is `width` pixels wide. Lines that would run together fade instead.
    #[inline]
    pub fn line(&self, t: f32, slope: f32, width: f32) -> f32 {
        if self.levels.is_empty() || slope <= 0.0 || slope.is_nan() {
            return 0.0;
        }
        let bin = ((t.max(0.0) * BINS as f32) as i32).min(BINS as i32 - 1) as usize;
        let k = usize::from(self.bins[bin]);
        let mut ink = 0.0f32;
        for (place, strength) in &self.levels[k.saturating_sub(1)..(k + 2).min(self.levels.len())] {
            let distance = (t - place).abs() / slope;
            ink = ink.max((0.5 * width + 0.5 - distance).clamp(0.0, 1.0) * strength);
        }
        let apart = self.spacing / slope;
        ink * ((apart - 2.5) / 4.0).clamp(0.0, 1.0)
    }
}

/// A ramp from a colour for each place. Anchors in linear light and straight lines between them: no
/// steps of 8 bits.
fn ramp_of(color: impl Fn(f64) -> Color) -> Vec<Light> {
    const ANCHORS: usize = 96;
    let anchors: Vec<Light> =
        (0..=ANCHORS).map(|i| linear(color(i as f64 / ANCHORS as f64))).collect();
    let between = |i: usize| {
        let x = i as f32 / (STEPS - 1) as f32 * ANCHORS as f32;
        let k = (x as usize).min(ANCHORS - 1);
        blend(anchors[k], anchors[k + 1], x - k as f32)
    };
    (0..STEPS).map(between).collect()
}

/// How the marker's height compares: the place of `value` on the scale; `None` when it is not finite.
pub fn place(scale: &LevelScale, value: f64) -> Option<f32> {
    let (low, high) = (scale.position(scale.low), scale.position(scale.high));
    let t = (scale.position(value) - low) / (high - low);
    (value.is_finite() && t.is_finite()).then_some(t as f32)
}

/// From linear light to 8 bits of sRGB, with the rounding spread over neighbours by an ordered
/// pattern (Bayer 1973) that stands still: no bands in gentle slopes, nothing that crawls.
pub struct Encoder {
    /// By square root of the light, where sRGB is nearly straight: each code and the next.
    table: Vec<[f32; 2]>,
}

const CODES: usize = 2048;
const BAYER: [[u8; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

/// The one table there is.
pub static ENCODER: LazyLock<Encoder> = LazyLock::new(Encoder::new);

impl Encoder {
    fn new() -> Self {
        let srgb = |c: f32| {
            let c = if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
            255.0 * c
        };
        let root = |i: usize| i as f32 / (CODES - 1) as f32;
        let code = |i: usize| srgb(root(i) * root(i));
        Self { table: (0..CODES).map(|i| [code(i), code((i + 1).min(CODES - 1))]).collect() }
    }

    /// The 8 bits of `light` at pixel `(x, y)`.
    #[inline]
    pub fn encode(&self, light: Light, x: usize, y: usize) -> [u8; 3] {
        let threshold = (f32::from(BAYER[y & 3][x & 3]) + 0.5) / 16.0;
        let mut codes = [0; 3];
        for (code, c) in codes.iter_mut().zip(light) {
            let root = c.clamp(0.0, 1.0).sqrt() * (CODES - 1) as f32;
            let k = (root as i32).min(CODES as i32 - 2);
            let [low, high] = self.table[k as usize];
            *code = (low + (root - k as f32) * (high - low) + threshold) as i32 as u8;
        }
        codes
    }
}

/// Which way a place of the scale is from the surface, and how far in units of the box.
pub fn gap(field: &HeightField, here: f32, there: f32) -> f32 {
    field.height(there) - field.height(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_are_right_on_the_average() {
        let encoder = &*ENCODER;
        for byte in [0u8, 1, 7, 60, 128, 200, 254, 255] {
            let c = linear_from_srgb(byte);
            let sum: u32 =
                (0..16).map(|i| u32::from(encoder.encode([c; 3], i % 4, i / 4)[0])).sum();
            // The pattern's mean is half a code, which truncation takes off again.
            assert!((sum as f32 / 16.0 - f32::from(byte)).abs() <= 0.2, "{byte}: {sum}");
        }
    }

    #[test]
    fn lines_lie_on_their_levels_and_fade_where_they_crowd() {
        let scale = LevelScale::new([0.01, 0.1, 1.0, 10.0]);
        let paint = Paint::new(&Theme::light(), &scale);
        let one = place(&scale, 1.0).unwrap();
        assert!(paint.line(one, 0.002, 1.0) > 0.6);
        assert!(paint.line(one + 0.02, 0.002, 1.0) == 0.0);
        assert!(paint.line(one, 0.2, 1.0) == 0.0);
    }

    #[test]
    fn the_ramp_is_as_light_as_it_is_high_or_deep() {
        for name in Theme::NAMES {
            let theme = Theme::by_name(name).unwrap();
            let lightness: Vec<f32> =
                (0..=32).map(|i| theme.relief.at(f64::from(i) / 32.0).oklab()[0]).collect();
            let rising = lightness[32] > lightness[0];
            assert!(lightness.windows(2).all(|w| (w[1] > w[0]) == rising), "{name}: {lightness:?}");
        }
    }
}
