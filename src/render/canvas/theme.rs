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

    /// Deep indigo through blue, teal and green to apricot: for a lit surface on a light page. Lightness
    /// rises all the way, as in the flat maps, but heights end in a warm colour and not in the page's,
    /// and every colour is full enough to stay one in the shade. OKLCh, even steps.
    fn massif() -> Self {
        let lch = [
            (0.390, 0.170, 277.0),
            (0.465, 0.172, 265.0),
            (0.540, 0.150, 250.0),
            (0.610, 0.120, 228.0),
            (0.680, 0.112, 192.0),
            (0.745, 0.120, 160.0),
            (0.805, 0.128, 122.0),
            (0.855, 0.130, 94.0),
            (0.895, 0.105, 72.0),
        ];
        Self { anchors: lch.iter().map(|&(l, c, h)| Color::from_oklch(l, c, h)).collect() }
    }

    /// The same colours with their lightness drawn together into `low..=high`, so that there is room for
    /// light above and shade below.
    fn between(&self, [low, high]: [f32; 2]) -> Self {
        let lab: Vec<[f32; 3]> = self.anchors.iter().map(|c| c.oklab()).collect();
        let from = lab.iter().map(|c| c[0]).fold(f32::INFINITY, f32::min);
        let to = lab.iter().map(|c| c[0]).fold(0.0, f32::max);
        let place =
            |lightness: f32| low + (lightness - from) / (to - from).max(1e-6) * (high - low);
        Self { anchors: lab.iter().map(|&[l, a, b]| Color::from_oklab([place(l), a, b])).collect() }
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

    /// From dark grey through white to dark grey: sizes of signed values.
    fn greys_from_zero() -> Self {
        let steps =
            (-4..=4).map(|i: i32| Color::from_oklch(0.995 - 0.115 * i.abs() as f32, 0.0, 0.0));
        Self { anchors: steps.collect() }
    }

    /// Greys for paper, dark valley to white heights.
    pub(in crate::render) fn greys() -> Self {
        let steps = (0..9).map(|i| Color::from_oklch(0.42 + 0.07 * i as f32, 0.0, 0.0));
        Self { anchors: steps.collect() }
    }
}

/// The words around a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Whether there is a headline; in a paper the figure's caption says what it says.
    pub headline: bool,
    /// Whether there is a caption, where the numbers come from.
    pub caption: bool,
    /// Whether a surface in space has its box, its axes and its colour bar: a picture to open a talk with is
    /// looked at and not read off.
    pub scales: bool,
    /// A line below the headline; may be empty.
    pub subtitle: String,
    /// Who made the picture or its data, at the right end of the caption; may be empty.
    pub credit: String,
}

impl Default for Words {
    fn default() -> Self {
        let (subtitle, credit) = (String::new(), String::new());
        Self { headline: true, caption: true, scales: true, subtitle, credit }
    }
}

/// The least and the greatest lightness of a surface in space.
const LIGHT_RELIEF: [f32; 2] = [0.36, 0.92];
const DARK_RELIEF: [f32; 2] = [0.40, 0.90];
const PRINT_RELIEF: [f32; 2] = [0.52, 0.93];

/// How far in OKLab a path's colour is from every colour of the map, where one can be found that is.
const CLEAR_OF_THE_MAP: f32 = 0.14;

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
    /// From values to colours on a surface in space, which light and shade work on: between the lightness
    /// of a shadow and that of a gloss.
    pub relief: Colormap,
    /// From signed values to colours, zero in the middle. In print it darkens from white to both sides, and
    /// what is negative is ruled: which side of zero a value lies on must survive a copier.
    pub diverging: Colormap,
    /// Which words a page has around its scene.
    pub words: Words,
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
            relief: Colormap::massif(),
            diverging: Colormap::blue_to_red(0.97),
            words: Words::default(),
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
            relief: Colormap::viridis_reversed().between(DARK_RELIEF),
            diverging: Colormap::blue_to_red(0.22),
            words: Words::default(),
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
            relief: Colormap::greys().between(PRINT_RELIEF),
            diverging: Colormap::greys_from_zero(),
            words: Words::default(),
            scale: 1.0,
        }
    }

    /// The same theme with another colour map, on maps and on surfaces in space. The colours of paths stay
    /// where they stand out from it, and are others where they would not.
    pub fn with_colormap(self, map: Colormap) -> Self {
        let relief = match self.name {
            "dark" => map.between(DARK_RELIEF),
            "print" => map.between(PRINT_RELIEF),
            _ => map.between(LIGHT_RELIEF),
        };
        let mut theme = Self { colormap: map, relief, ..self };
        theme.series = theme.series_beside_the_map();
        theme
    }

    /// As many colours as the theme has for paths, the theme's own first: each the one that differs most
    /// from the map's colours and from those before it, and can be seen on the page.
    fn series_beside_the_map(&self) -> Vec<Color> {
        const STEPS: usize = 48;
        let all = |map: &Colormap| -> Vec<[f32; 3]> {
            (0..=STEPS).map(|i| map.at(i as f64 / STEPS as f64).oklab()).collect()
        };
        let ground = [all(&self.colormap), all(&self.relief)].concat();
        let distance =
            |a: [f32; 3], b: [f32; 3]| (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f32>().sqrt();
        let nearest = |color: Color, others: &[[f32; 3]]| {
            let own = color.oklab();
            others.iter().map(|&o| distance(own, o)).fold(f32::INFINITY, f32::min)
        };
        let vivid = [0.45f32, 0.58, 0.70, 0.80, 0.88].into_iter().flat_map(|lightness| {
            (0..24).map(move |i| Color::from_oklch(lightness, 0.22, 15.0 * i as f32))
        });
        let least = if self.name == "dark" { 4.5 } else { 2.5 };
        let visible = |c: &Color| c.contrast(self.background) >= least;
        let candidates: Vec<Color> = vivid.filter(visible).collect();
        let (mut chosen, mut taken): (Vec<Color>, Vec<[f32; 3]>) = (Vec::new(), Vec::new());
        for own in &self.series {
            let merit = |c: Color| nearest(c, &ground).min(nearest(c, &taken));
            let best = candidates.iter().copied().max_by(|a, b| merit(*a).total_cmp(&merit(*b)));
            let color = match best {
                Some(other) if merit(*own) < CLEAR_OF_THE_MAP && merit(other) > merit(*own) => {
                    other
                }
                _ => *own,
            };
            taken.push(color.oklab());
            chosen.push(color);
        }
        chosen
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
    fn paths_differ_from_every_colour_of_the_map_they_lie_on() {
        let distance =
            |a: [f32; 3], b: [f32; 3]| (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f32>().sqrt();
        for name in Theme::NAMES {
            for map in Colormap::NAMES.into_iter().flat_map(|n| [n.to_string(), format!("{n}-r")]) {
                let theme = Theme::by_name(name).unwrap();
                let theme = theme.with_colormap(Colormap::by_name(&map).unwrap());
                let near = |color: Color, on: &Colormap| {
                    (0..=100)
                        .map(|i| distance(color.oklab(), on.at(f64::from(i) / 100.0).oklab()))
                        .fold(f32::INFINITY, f32::min)
                };
                for k in 0..2 {
                    let color = theme.series_color(k);
                    let least = near(color, &theme.colormap).min(near(color, &theme.relief));
                    // Two just distinguishable colours are 0.02 apart; a path is thin and lit.
                    assert!(least >= 0.11, "{name} {map} {k}: {least}");
                    assert!(color.contrast(theme.background) >= 1.9, "{name} {map} {k}");
                }
            }
        }
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
