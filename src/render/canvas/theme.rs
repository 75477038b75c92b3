//! Themes and colour maps as data.
//!
//! A colour map is a list of anchors, evenly spaced and interpolated in OKLab. In every map the
//! lightness runs one way, so order survives a bad projector, a grey print and every common kind
//! of colour blindness; a test holds each map to that.

use crate::error::{Error, Result};
use crate::render::canvas::color::Color;

/// A sequential colour map: evenly spaced anchors, low values first.
#[derive(Debug, Clone, PartialEq)]
pub struct Colormap {
    pub(in crate::render) anchors: Vec<Color>,
}

impl Colormap {
    /// The colour at `t` in `0..=1` (clamped).
    pub fn at(&self, t: f64) -> Color {
        let last = self.anchors.len() - 1;
        let position = t.clamp(0.0, 1.0) * last as f64;
        let i = (position as usize).min(last.saturating_sub(1));
        self.anchors[i].mix(self.anchors[(i + 1).min(last)], (position - i as f64) as f32)
    }

    /// Deep blue through teal to pale sand: low loss is deep, high loss recedes into the page.
    /// Anchors are computed in OKLCh: even steps of lightness.
    pub(in crate::render) fn lagoon() -> Self {
        let lch = [
            (0.270, 0.085, 266.0),
            (0.370, 0.100, 256.0),
            (0.470, 0.098, 240.0),
            (0.570, 0.090, 220.0),
            (0.670, 0.085, 195.0),
            (0.770, 0.080, 165.0),
            (0.860, 0.068, 130.0),
            (0.930, 0.046, 103.0),
            (0.975, 0.018, 90.0),
        ];
        Self { anchors: lch.iter().map(|&(l, c, h)| Color::from_oklch(l, c, h)).collect() }
    }

    /// matplotlib's viridis (van der Walt and Smith, CC0), turned over: on a dark page the valley
    /// shines and the heights recede.
    fn viridis_reversed() -> Self {
        let table = [
            0xfde725, 0xaddc30, 0x5ec962, 0x28ae80, 0x21918c, 0x2c728e, 0x3b528b, 0x472d7b,
            0x440154,
        ];
        Self { anchors: table.map(Color::hex).to_vec() }
    }

    /// From blue through a pale middle to red, for signed data: the middle is zero. Lightness rises
    /// to the middle and falls again, alike on both sides.
    pub(in crate::render) fn blue_to_red(middle: f32) -> Self {
        let end = if middle > 0.5 { 0.36 } else { 0.82 };
        let steps = (-4..=4).map(|i: i32| {
            let t = (i.abs() as f32) / 4.0;
            let lightness = middle + (end - middle) * t;
            Color::from_oklch(lightness, 0.15 * t.sqrt(), if i < 0 { 255.0 } else { 32.0 })
        });
        Self { anchors: steps.collect() }
    }

    /// Greys for paper, dark valley to white heights.
    pub(in crate::render) fn greys() -> Self {
        let steps = (0..9).map(|i| Color::from_oklch(0.42 + 0.07 * i as f32, 0.0, 0.0));
        Self { anchors: steps.collect() }
    }
}

/// Everything about a picture that is taste and not data.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// The name it is asked for by.
    pub name: &'static str,
    /// The page.
    pub background: Color,
    /// Titles and values.
    pub text: Color,
    /// Labels and captions.
    pub muted: Color,
    /// Frames and grid lines.
    pub rule: Color,
    /// The colour of each panel's path and curves, in order, repeated when there are more.
    pub series: Vec<Color>,
    /// Around paths and markers, so that they stand out on any colour below.
    pub casing: Color,
    /// Contour lines (drawn with some transparency).
    pub contour: Color,
    /// Hatching over cells without a finite value.
    pub hatch: Color,
    /// From values to colours.
    pub colormap: Colormap,
    /// From signed values to colours, zero in the middle. In print it is the grey map: which side of
    /// zero a value lies on must survive a copier.
    pub diverging: Colormap,
    /// How many times larger than usual type, lines and markers are, 0.5 to 3: a film that will be
    /// watched at half its size stays legible at 1.5 to 2.
    pub scale: f32,
}

impl Theme {
    /// The names that [`Theme::by_name`] knows.
    pub const NAMES: [&'static str; 3] = ["light", "dark", "print"];

    /// White page, deep-to-pale map: for a bright room.
    pub fn light() -> Self {
        Self {
            name: "light",
            background: Color::hex(0xffffff),
            text: Color::hex(0x14202b),
            muted: Color::hex(0x5b6873),
            rule: Color::hex(0xd5dbe0),
            series: [0xe2401b, 0xb0178f, 0xe0a000, 0x6b4ee6, 0x612006, 0x8d90ff]
                .map(Color::hex)
                .to_vec(),
            casing: Color::hex(0xffffff),
            contour: Color::hex(0x0b2233),
            hatch: Color::hex(0x8a949c),
            colormap: Colormap::lagoon(),
            diverging: Colormap::blue_to_red(0.97),
            scale: 1.0,
        }
    }

    /// Near-black page, shining valley: for a dark room.
    pub fn dark() -> Self {
        Self {
            name: "dark",
            background: Color::hex(0x12161b),
            text: Color::hex(0xf2f4f5),
            muted: Color::hex(0xa3aeb8),
            rule: Color::hex(0x39434d),
            series: [0xff6b4a, 0xff8ad8, 0xffd84d, 0x7978fb, 0xa26a9d, 0x8ef9ff]
                .map(Color::hex)
                .to_vec(),
            casing: Color::hex(0x0c1014),
            contour: Color::hex(0x050a0f),
            hatch: Color::hex(0x6b7782),
            colormap: Colormap::viridis_reversed(),
            diverging: Colormap::blue_to_red(0.22),
            scale: 1.0,
        }
    }

    /// Black on white with grey bands: for paper.
    pub fn print() -> Self {
        Self {
            name: "print",
            background: Color::hex(0xffffff),
            text: Color::hex(0x000000),
            muted: Color::hex(0x444444),
            rule: Color::hex(0xc4c4c4),
            series: [0xb3220a, 0x4783ce, 0x2b1266, 0xf3b80f, 0x543b52, 0x27bc8b]
                .map(Color::hex)
                .to_vec(),
            casing: Color::hex(0xffffff),
            contour: Color::hex(0x222222),
            hatch: Color::hex(0x777777),
            colormap: Colormap::greys(),
            diverging: Colormap::greys(),
            scale: 1.0,
        }
    }

    /// The theme called `name`. Errors: [`Error::UnknownName`] with the known ones.
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "light" => Ok(Self::light()),
            "dark" => Ok(Self::dark()),
            "print" => Ok(Self::print()),
            _ => Err(Error::unknown_name("theme", name, &Self::NAMES)),
        }
    }

    /// The colour of words about panel `index`: its own, as far towards the text's as it takes to
    /// be read on the page (a contrast of 4.5, as the Web Content Accessibility Guidelines ask).
    pub fn series_ink(&self, index: usize) -> Color {
        let own = self.series_color(index);
        (0..=16)
            .map(|i| if i == 0 { own } else { own.mix(self.text, i as f32 / 16.0) })
            .find(|c| c.contrast(self.background) >= 4.5)
            .unwrap_or(self.text)
    }

    /// The colour of panel `index`'s path and curves.
    pub fn series_color(&self, index: usize) -> Color {
        self.series[index % self.series.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lightness_runs_one_way_in_every_colour_map() {
        for name in Theme::NAMES {
            let map = Theme::by_name(name).unwrap().colormap;
            let lightness: Vec<f32> =
                (0..=64).map(|i| map.at(f64::from(i) / 64.0).oklab()[0]).collect();
            let rising = lightness.windows(2).all(|w| w[1] > w[0]);
            let falling = lightness.windows(2).all(|w| w[1] < w[0]);
            assert!(rising || falling, "{name}: {lightness:?}");
        }
        assert!(Theme::by_name("drak").unwrap_err().to_string().contains("did you mean `dark`?"));
    }

    #[test]
    fn words_can_be_read_on_the_page_in_every_theme() {
        for name in Theme::NAMES {
            let theme = Theme::by_name(name).unwrap();
            let paper = theme.background;
            assert!(theme.text.contrast(paper) >= 12.0, "{name}");
            assert!(theme.muted.contrast(paper) >= 4.5, "{name}");
            for k in 0..theme.series.len() {
                let (line, words) = (theme.series_color(k), theme.series_ink(k));
                assert!(words.contrast(paper) >= 4.5, "{name} {k}");
                // What can be read as it is stays as it is.
                assert!(words == line || line.contrast(paper) < 4.5, "{name} {k}");
            }
        }
    }
}
