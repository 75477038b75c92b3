//! Colours, and the perceptual space (OKLab) that colour maps and GIF palettes are chosen in.
//!
//! OKLab and its matrices: B. Ottosson, "A perceptual color space for image processing" (2020).

/// An sRGB colour with straight (not premultiplied) alpha, 8 bits a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Color {
    /// Red, sRGB-encoded.
    pub r: u8,
    /// Green, sRGB-encoded.
    pub g: u8,
    /// Blue, sRGB-encoded.
    pub b: u8,
    /// Alpha, 255 is opaque.
    pub a: u8,
}

impl Color {
    /// An opaque colour from `0xRRGGBB`.
    pub const fn hex(rgb: u32) -> Self {
        Self { r: (rgb >> 16) as u8, g: (rgb >> 8) as u8, b: rgb as u8, a: 255 }
    }

    /// This colour with another alpha in `0..=1`.
    pub fn alpha(self, alpha: f32) -> Self {
        Self { a: (alpha.clamp(0.0, 1.0) * 255.0).round() as u8, ..self }
    }

    /// The opaque colour `t` of the way from `self` to `other`, in OKLab.
    pub fn mix(self, other: Color, t: f32) -> Self {
        let (p, q) = (self.oklab(), other.oklab());
        Self::from_oklab(std::array::from_fn(|i| p[i] + (q[i] - p[i]) * t))
    }

    /// How much lighter one of two colours is than the other, from 1 (not at all) to 21 (black and
    /// white): the contrast of the Web Content Accessibility Guidelines 2. Alpha is ignored.
    pub fn contrast(self, other: Color) -> f32 {
        let luminance = |c: Color| {
            let [r, g, b] = [c.r, c.g, c.b].map(linear_from_srgb);
            0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
        };
        let (a, b) = (luminance(self), luminance(other));
        a.max(b) / a.min(b)
    }

    /// OKLab coordinates `[L, a, b]`, `L` in `0..=1`; alpha is ignored.
    pub fn oklab(self) -> [f32; 3] {
        let [r, g, b] = [self.r, self.g, self.b].map(linear_from_srgb);
        let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
        let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
        let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
        [
            0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
            1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
            0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
        ]
    }

    /// The opaque sRGB colour at OKLab `[L, a, b]`, clamped into the gamut channel by channel.
    pub fn from_oklab([lightness, a, b]: [f32; 3]) -> Self {
        let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
        let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
        let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
        Self {
            r: srgb_from_linear(4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s),
            g: srgb_from_linear(-1.268_438 * l + 2.609_757_4 * m - 0.341_319_38 * s),
            b: srgb_from_linear(-0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s),
            a: 255,
        }
    }

    /// The opaque colour at OKLab lightness, chroma and hue (degrees).
    pub fn from_oklch(lightness: f32, chroma: f32, hue_deg: f32) -> Self {
        let (sin, cos) = hue_deg.to_radians().sin_cos();
        Self::from_oklab([lightness, chroma * cos, chroma * sin])
    }
}

/// One channel from sRGB's 8 bits to linear light in `0..=1` (IEC 61966-2-1).
pub(crate) fn linear_from_srgb(channel: u8) -> f32 {
    let c = f32::from(channel) / 255.0;
    if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
}

/// One channel from linear light to sRGB's 8 bits, clamped.
pub(crate) fn srgb_from_linear(linear: f32) -> u8 {
    let c = linear.clamp(0.0, 1.0);
    let c = if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 };
    (c * 255.0).round() as u8
}

/// Near-black or near-white, whichever stands out on `ground`.
pub fn ink_on(ground: Color) -> Color {
    if ground.oklab()[0] > 0.62 { Color::hex(0x10202c) } else { Color::hex(0xf4f7f8) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oklab_goes_there_and_back_exactly_in_8_bits() {
        for rgb in [0x000000, 0xffffff, 0xff0000, 0x00ff00, 0x0000ff, 0x123456, 0xfedcba] {
            let color = Color::hex(rgb);
            assert_eq!(Color::from_oklab(color.oklab()), color);
        }
        assert!((Color::hex(0).contrast(Color::hex(0xffffff)) - 21.0).abs() < 1e-3);
        // Ottosson's own check: white has lightness one and no chroma.
        let [l, a, b] = Color::hex(0xffffff).oklab();
        assert!((l - 1.0).abs() < 1e-4 && a.abs() < 1e-4 && b.abs() < 1e-4);
    }
}
