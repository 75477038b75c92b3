//! The colour maps that can be asked for by name, and the proof that colour blindness of the common
//! kinds leaves them readable.
//!
//! viridis, magma, inferno: S. van der Walt and N. Smith (CC0); cividis: Nunez, Anderton and
//! Renslow, PLOS ONE 13(7), 2018 (CC0). Seventeen anchors of each, interpolated in OKLab.

use crate::error::{Error, Result};
use crate::render::canvas::color::Color;
use crate::render::canvas::theme::Colormap;

const VIRIDIS: [u32; 17] = [
    0x440154, 0x48186a, 0x472d7b, 0x424086, 0x3b528b, 0x33638d, 0x2c728e, 0x26828e, 0x21918c,
    0x1fa088, 0x28ae80, 0x3fbc73, 0x5ec962, 0x84d44b, 0xaddc30, 0xd8e219, 0xfde725,
];
const CIVIDIS: [u32; 17] = [
    0x00224e, 0x002e6a, 0x1a386f, 0x32436d, 0x434e6c, 0x535a6d, 0x61656f, 0x6f7073, 0x7d7c78,
    0x8c8878, 0x9b9476, 0xaba072, 0xbcae6c, 0xcdbb63, 0xdec958, 0xf0d846, 0xfee838,
];
const MAGMA: [u32; 17] = [
    0x000004, 0x0a0822, 0x1d1147, 0x36106b, 0x51127c, 0x6a1c81, 0x832681, 0x9c2e7f, 0xb73779,
    0xd0416f, 0xe75263, 0xf56b5c, 0xfc8961, 0xfea772, 0xfec488, 0xfde2a3, 0xfcfdbf,
];
const INFERNO: [u32; 17] = [
    0x000004, 0x0b0724, 0x210c4a, 0x3d0965, 0x57106e, 0x71196e, 0x8a226a, 0xa32c61, 0xbc3754,
    0xd24644, 0xe45a31, 0xf1731d, 0xf98e09, 0xfcac11, 0xf9cb35, 0xf2ea69, 0xfcffa4,
];

impl Colormap {
    /// The names that [`Colormap::by_name`] knows; each may have `-r` behind it, which turns the map
    /// over.
    pub const NAMES: [&'static str; 7] =
        ["lagoon", "viridis", "cividis", "magma", "inferno", "greys", "diverging"];

    /// The map called `name`. `diverging` is for signed data: blue below, red above a pale middle.
    /// Errors: [`Error::UnknownName`] with the known ones.
    pub fn by_name(name: &str) -> Result<Self> {
        let table = |anchors: [u32; 17]| Self { anchors: anchors.map(Color::hex).to_vec() };
        let map = match name.strip_suffix("-r").unwrap_or(name) {
            "lagoon" => Self::lagoon(),
            "viridis" => table(VIRIDIS),
            "cividis" => table(CIVIDIS),
            "magma" => table(MAGMA),
            "inferno" => table(INFERNO),
            "greys" => Self::greys(),
            "diverging" => Self::blue_to_red(0.97),
            _ => return Err(Error::unknown_name("colour map", name, &Self::NAMES)),
        };
        Ok(if name.ends_with("-r") { map.reversed() } else { map })
    }

    /// This map from its other end.
    pub fn reversed(mut self) -> Self {
        self.anchors.reverse();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::canvas::color::{linear_from_srgb, srgb_from_linear};
    use crate::render::canvas::theme::Theme;

    /// Rows of the matrices of Machado, Oliveira and Fernandes (2009) at severity 1, on linear RGB.
    const SIGHTS: [(&str, [[f32; 3]; 3]); 4] = [
        ("full colour", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protanopia",
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ),
        (
            "deuteranopia",
            [
                [0.367_322, 0.860_646, -0.227_968],
                [0.280_085, 0.672_501, 0.047_413],
                [-0.011_820, 0.042_940, 0.968_881],
            ],
        ),
        (
            "tritanopia",
            [
                [1.255_528, -0.076_749, -0.178_779],
                [-0.078_411, 0.930_809, 0.147_602],
                [0.004_733, 0.691_367, 0.303_900],
            ],
        ),
    ];

    fn seen(color: Color, sight: &[[f32; 3]; 3]) -> [f32; 3] {
        let rgb = [color.r, color.g, color.b].map(linear_from_srgb);
        let [r, g, b] =
            sight.map(|row| srgb_from_linear((0..3).map(|i| row[i] * rgb[i]).sum::<f32>()));
        Color { r, g, b, a: 255 }.oklab()
    }

    fn distance(a: [f32; 3], b: [f32; 3]) -> f32 {
        (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f32>().sqrt()
    }

    fn maps() -> Vec<(String, Colormap)> {
        let named =
            Colormap::NAMES.map(|name| (name.to_string(), Colormap::by_name(name).unwrap()));
        let themes = Theme::NAMES.map(|name| (name.to_string(), Theme::by_name(name).unwrap()));
        let own = themes.into_iter().map(|(name, theme)| (format!("of {name}"), theme.colormap));
        named.into_iter().chain(own).collect()
    }

    #[test]
    fn order_survives_every_kind_of_colour_blindness() {
        for (name, map) in maps().into_iter().filter(|(name, _)| name != "diverging") {
            for (sight, matrix) in &SIGHTS {
                let at = |i: usize| seen(map.at(i as f64 / 32.0), matrix);
                let steps: Vec<f32> = (0..32).map(|i| at(i + 1)[0] - at(i)[0]).collect();
                let (up, down) = (steps.iter().all(|s| *s > 0.0), steps.iter().all(|s| *s < 0.0));
                assert!(up || down, "{name} under {sight}: lightness turns: {steps:?}");
                // The eye tells OKLab apart from about 0.02; neighbours of a dozen bands must be.
                let bands = (0..11).map(|i| distance(at(i * 32 / 11), at((i + 1) * 32 / 11)));
                let least = bands.fold(f32::INFINITY, f32::min);
                assert!(least > 0.025, "{name} under {sight}: bands {least} apart");
            }
        }
    }

    #[test]
    fn signs_stay_apart_under_every_kind_of_colour_blindness() {
        let light = Theme::light().diverging;
        for (name, map) in [("light", light), ("dark", Theme::dark().diverging)] {
            for (sight, matrix) in &SIGHTS {
                let at = |t: f64| seen(map.at(t), matrix);
                for i in 1..=8 {
                    let t = f64::from(i) / 16.0;
                    let apart = distance(at(0.5 - t), at(0.5 + t));
                    assert!(apart > 0.04 + 0.08 * t as f32, "{name} under {sight} at {t}: {apart}");
                    // Magnitude is lightness, alike on both sides.
                    let magnitude = |t: f64| (at(t)[0] - at(0.5)[0]).abs();
                    let earlier = t - 1.0 / 16.0;
                    assert!(magnitude(0.5 + t) > magnitude(0.5 + earlier), "{name} under {sight}");
                    assert!(magnitude(0.5 - t) > magnitude(0.5 - earlier), "{name} under {sight}");
                }
            }
        }
    }

    #[test]
    fn paths_are_told_apart_by_everybody_and_in_print_without_colour() {
        for name in Theme::NAMES {
            let theme = Theme::by_name(name).unwrap();
            assert_eq!(theme.series.len(), 6, "{name}");
            for (i, a) in theme.series.iter().enumerate() {
                for b in &theme.series[i + 1..] {
                    for (sight, matrix) in &SIGHTS {
                        let apart = distance(seen(*a, matrix), seen(*b, matrix));
                        assert!(apart > 0.1, "{name} under {sight}: {a:?} and {b:?}: {apart}");
                    }
                    if name == "print" {
                        let apart = (a.oklab()[0] - b.oklab()[0]).abs();
                        assert!(apart > 0.1, "{a:?} and {b:?} are {apart} apart in grey");
                    }
                }
            }
        }
        let print = Theme::print().colormap;
        for i in 0..=16 {
            let [_, a, b] = print.at(f64::from(i) / 16.0).oklab();
            assert!(a.hypot(b) < 1e-3, "print has colour");
        }
    }

    #[test]
    fn type_has_the_contrast_that_wcag_asks_for() {
        // WCAG 2.2: (L1 + 0.05) / (L2 + 0.05) of relative luminances, at least 4.5 for text.
        let luminance = |c: Color| {
            let [r, g, b] = [c.r, c.g, c.b].map(linear_from_srgb);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        for name in Theme::NAMES {
            let theme = Theme::by_name(name).unwrap();
            for (what, color) in [("text", theme.text), ("muted", theme.muted)] {
                let (a, b) = (luminance(color), luminance(theme.background));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 4.5, "{what} of {name}: {contrast}");
            }
        }
    }

    #[test]
    fn maps_are_found_by_name_and_turned_over() {
        let ends = |name: &str| [0.0, 1.0].map(|t| Colormap::by_name(name).unwrap().at(t));
        assert_eq!(ends("viridis"), [Color::hex(0x440154), Color::hex(0xfde725)]);
        assert_eq!(ends("viridis-r"), [Color::hex(0xfde725), Color::hex(0x440154)]);
        let error = Colormap::by_name("viridi").unwrap_err().to_string();
        assert!(error.contains("did you mean `viridis`?"), "{error}");
    }
}
