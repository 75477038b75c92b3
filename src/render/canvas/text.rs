//! Text as glyph outlines of one embedded font: Inter (OFL 1.1), subset, with tabular digits.
//!
//! No font of the system is looked for, so a picture is the same on every machine. For other scripts a
//! second font can be given once ([`add_fallback`]); a character that neither has is drawn as a question
//! mark and named in the report ([`missing_glyphs`]).

use std::collections::{BTreeSet, HashMap};
use std::path::Path as FilePath;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use ab_glyph::{Font as _, FontRef, Outline, OutlineCurve};
use tiny_skia::{Path, PathBuilder};

use crate::disk;
use crate::error::{Error, Result};

/// The two weights there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Running text, labels.
    Regular,
    /// Titles, values.
    SemiBold,
}

/// Sizes of type in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Type {
    /// The headline.
    pub title: f32,
    /// A panel's title.
    pub heading: f32,
    /// Axis labels, read-out.
    pub label: f32,
    /// Ticks, caption, contour labels.
    pub small: f32,
}

impl Type {
    /// The sizes at `px_scale` pixels a design pixel; never smaller than can be read.
    pub(in crate::render) fn scaled(px_scale: f32) -> Self {
        Self {
            title: (29.0 * px_scale).max(11.0),
            heading: (19.0 * px_scale).max(9.5),
            label: (16.0 * px_scale).max(8.5),
            small: (14.5 * px_scale).max(8.0),
        }
    }
}

struct Face {
    glyphs: HashMap<char, (f32, Outline)>,
    ids: HashMap<char, u16>,
    /// Above and below the baseline.
    extent: (f32, f32),
    kerning: HashMap<(char, char), f32>,
}

/// Everything in units of one em, so that use is a multiplication.
static FACES: LazyLock<[Face; 2]> = LazyLock::new(|| {
    [Weight::Regular, Weight::SemiBold].map(|weight| Face::parse(font_file(weight)))
});

/// The embedded TrueType file of a weight.
pub fn font_file(weight: Weight) -> &'static [u8] {
    match weight {
        Weight::Regular => include_bytes!("../../../assets/fonts/Inter-Regular.ttf"),
        Weight::SemiBold => include_bytes!("../../../assets/fonts/Inter-SemiBold.ttf"),
    }
}

/// The font for what the embedded one lacks.
struct Fallback {
    font: FontRef<'static>,
    em: f32,
    /// Glyphs that were asked for, which live as long as the program: a font of a hundred thousand is not
    /// read as a whole.
    known: Mutex<HashMap<char, Option<&'static (f32, Outline)>>>,
}

static FALLBACK: OnceLock<Fallback> = OnceLock::new();

impl Fallback {
    fn glyph(&self, char: char) -> Option<&'static (f32, Outline)> {
        // A panic elsewhere leaves the table as it was.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(char).or_insert_with(|| {
            let id = self.font.glyph_id(char);
            if id.0 == 0 {
                return None;
            }
            let outline = self.font.outline(id);
            let outline = outline
                .unwrap_or_else(|| Outline { bounds: Default::default(), curves: Vec::new() });
            let advance = self.font.h_advance_unscaled(id) / self.em;
            Some(Box::leak(Box::new((advance, scaled(outline, 1.0 / self.em)))))
        })
    }
}

/// Gives the program the TrueType or OpenType font in `file` for characters that the embedded font lacks;
/// of a collection its first font. The first one given stays.
///
/// # Errors
/// [`Error::Io`]; [`Error::BadFile`] for what is no such font.
pub fn add_fallback(file: &FilePath) -> Result<()> {
    let bytes = disk::read_named(file, "read the font", MOST_BYTES)?;
    let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
    let bad = || Error::BadFile {
        path: file.into(),
        what: "it is not a TrueType or OpenType font".into(),
        remedy: "give a .ttf, .otf or .ttc file".into(),
    };
    let font = FontRef::try_from_slice_and_index(bytes, 0).map_err(|_| bad())?;
    let em = font.units_per_em().filter(|em| *em > 0.0).ok_or_else(bad)?;
    // A second one has no effect: what was drawn with the first stays as it is.
    let _ = FALLBACK.set(Fallback { font, em, known: Mutex::default() });
    Ok(())
}

/// Fonts are no larger than this.
const MOST_BYTES: u64 = 200_000_000;

fn fallback_glyph(char: char) -> Option<&'static (f32, Outline)> {
    FALLBACK.get()?.glyph(char)
}

/// Whether `text` holds a character that only the font of [`add_fallback`] has: a document that embeds
/// the other one draws such a text as outlines.
pub fn is_foreign(text: &str) -> bool {
    let face = Face::of(Weight::Regular);
    FALLBACK.get().is_some() && text.chars().any(|c| !face.glyphs.contains_key(&c))
}

impl Face {
    fn parse(bytes: &'static [u8]) -> Self {
        let font = FontRef::try_from_slice(bytes).expect("the embedded font parses");
        let em = font.units_per_em().expect("the embedded font has an em size");
        let (mut glyphs, mut ids) = (HashMap::new(), HashMap::new());
        for (id, char) in font.codepoint_ids() {
            let outline = font
                .outline(id)
                .unwrap_or_else(|| Outline { bounds: Default::default(), curves: Vec::new() });
            ids.insert(char, id.0);
            glyphs.insert(char, (font.h_advance_unscaled(id) / em, scaled(outline, 1.0 / em)));
        }
        let mut kerning = HashMap::new();
        let latin = || (33u8..127).map(char::from);
        for (a, b) in latin().flat_map(|a| latin().map(move |b| (a, b))) {
            let kern = font.kern_unscaled(font.glyph_id(a), font.glyph_id(b)) / em;
            if kern != 0.0 {
                kerning.insert((a, b), kern);
            }
        }
        let extent = (font.ascent_unscaled() / em, font.descent_unscaled() / em);
        Self { glyphs, ids, extent, kerning }
    }

    fn of(weight: Weight) -> &'static Face {
        &FACES[weight as usize]
    }

    fn glyph(&self, char: char) -> &(f32, Outline) {
        let own = self.glyphs.get(&char).or_else(|| fallback_glyph(char));
        own.unwrap_or_else(|| &self.glyphs[&'?'])
    }

    /// Each glyph with the x position of its origin, in ems; then the total advance.
    fn layout<'a>(&'a self, text: &'a str) -> (Vec<(f32, &'a Outline)>, f32) {
        let mut x = 0.0;
        let mut previous = None;
        let mut placed = Vec::new();
        for char in text.chars() {
            if let Some(previous) = previous {
                x += self.kerning.get(&(previous, char)).copied().unwrap_or(0.0);
            }
            let (advance, outline) = self.glyph(char);
            placed.push((x, outline));
            x += advance;
            previous = Some(char);
        }
        (placed, x)
    }
}

fn scaled(mut outline: Outline, k: f32) -> Outline {
    let scale = |p: &mut ab_glyph::Point| (p.x, p.y) = (p.x * k, p.y * k);
    for curve in &mut outline.curves {
        match curve {
            OutlineCurve::Line(a, b) => [a, b].into_iter().for_each(scale),
            OutlineCurve::Quad(a, b, c) => [a, b, c].into_iter().for_each(scale),
            OutlineCurve::Cubic(a, b, c, d) => [a, b, c, d].into_iter().for_each(scale),
        }
    }
    outline
}

/// A glyph of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glyph {
    /// Its number in [`font_file`].
    pub id: u16,
    /// What it stands for: what was written, or ? for what the font lacks.
    pub char: char,
    /// Where it begins, in ems.
    pub x: f32,
    /// How wide it is, in ems.
    pub advance: f32,
}

/// The glyphs of `text`, kerned, for a document that embeds the font.
pub fn glyphs(text: &str, weight: Weight) -> Vec<Glyph> {
    let face = Face::of(weight);
    let origins = face.layout(text).0;
    text.chars()
        .zip(origins)
        .map(|(char, (x, _))| {
            let char = if face.ids.contains_key(&char) { char } else { '?' };
            Glyph { id: face.ids[&char], char, x, advance: face.glyph(char).0 }
        })
        .collect()
}

/// How far the font reaches above the baseline, and below it (negative), in ems.
pub fn vertical_extent(weight: Weight) -> (f32, f32) {
    Face::of(weight).extent
}

/// The height of a capital, in ems: what to centre text by.
pub const CAP_HEIGHT: f32 = 0.727;

/// The advance of `text` in pixels at `size` pixels an em.
pub fn width(text: &str, size: f32, weight: Weight) -> f32 {
    Face::of(weight).layout(text).1 * size
}

/// `text`, or its longest beginning with an ellipsis that is at most `max_width` pixels wide;
/// empty when not even the ellipsis fits.
pub fn fit(text: &str, size: f32, weight: Weight, max_width: f32) -> String {
    if width(text, size, weight) <= max_width {
        return text.to_string();
    }
    let chars: Vec<char> = text.chars().collect();
    // Widths grow with length (kerning is far smaller than an advance): bisect.
    let (mut fits, mut too_long) = (0, chars.len());
    let cut = |n: usize| format!("{}…", chars[..n].iter().collect::<String>().trim_end());
    while fits + 1 < too_long {
        let middle = (fits + too_long) / 2;
        if width(&cut(middle), size, weight) <= max_width {
            fits = middle
        } else {
            too_long = middle
        }
    }
    if width(&cut(fits), size, weight) <= max_width { cut(fits) } else { String::new() }
}

/// The outline of `text` with its baseline starting at `(x, y)`, turned by `angle` radians
/// (clockwise on screen) about that point; `None` when there is nothing to fill.
pub fn outline(text: &str, size: f32, weight: Weight, x: f32, y: f32, angle: f32) -> Option<Path> {
    let (sin, cos) = angle.sin_cos();
    let mut path = PathBuilder::new();
    for (origin, outline) in Face::of(weight).layout(text).0 {
        // Font y points up, the screen's down.
        let at = |p: &ab_glyph::Point| {
            let (u, v) = ((origin + p.x) * size, -p.y * size);
            (x + u * cos - v * sin, y + u * sin + v * cos)
        };
        let mut end = None;
        for curve in &outline.curves {
            let (start, stop) = match curve {
                OutlineCurve::Line(a, b) => (a, b),
                OutlineCurve::Quad(a, _, b) => (a, b),
                OutlineCurve::Cubic(a, _, _, b) => (a, b),
            };
            if end != Some((start.x, start.y)) {
                if end.is_some() {
                    path.close();
                }
                let (px, py) = at(start);
                path.move_to(px, py);
            }
            let (px, py) = at(stop);
            match curve {
                OutlineCurve::Line(..) => path.line_to(px, py),
                OutlineCurve::Quad(_, c, _) => {
                    let (cx, cy) = at(c);
                    path.quad_to(cx, cy, px, py);
                }
                OutlineCurve::Cubic(_, c, d, _) => {
                    let ((cx, cy), (dx, dy)) = (at(c), at(d));
                    path.cubic_to(cx, cy, dx, dy, px, py);
                }
            }
            end = Some((stop.x, stop.y));
        }
        if end.is_some() {
            path.close();
        }
    }
    path.finish()
}

/// The characters of `texts` that the font lacks, sorted, each once.
pub fn missing_glyphs<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<char> {
    let face = Face::of(Weight::Regular);
    let missing: BTreeSet<char> = texts
        .into_iter()
        .flat_map(str::chars)
        .filter(|char| !face.glyphs.contains_key(char) && fallback_glyph(*char).is_none())
        .collect();
    missing.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_one_width_so_a_read_out_does_not_jitter() {
        for weight in [Weight::Regular, Weight::SemiBold] {
            let widths: Vec<f32> =
                ('0'..='9').map(|d| width(&d.to_string(), 16.0, weight)).collect();
            assert!(widths.iter().all(|&w| w == widths[0]), "{widths:?}");
        }
    }

    #[test]
    fn both_weights_have_what_the_field_writes() {
        let wanted = "θλσηεµαβγδρκτφψωΔΣΩ∇×·−±≤≥≠≈∞²³₀₁₂ⁿ‖∂∑∏∫√ℓ—–…•←→↑↓′°áéíóúñäöüßçÅø";
        assert_eq!(missing_glyphs([wanted]), Vec::<char>::new());
        let [regular, bold] = &*FACES;
        assert!(regular.glyphs.keys().all(|c| bold.glyphs.contains_key(c)));
        assert_eq!(missing_glyphs(["損失 a", "失"]), vec!['失', '損']);
    }

    #[test]
    fn a_long_title_ends_in_an_ellipsis_inside_its_width() {
        let title = "A very long title that cannot fit into the place there is for it";
        for max in [5.0, 30.0, 100.0, 333.0, 1e4] {
            let cut = fit(title, 20.0, Weight::SemiBold, max);
            assert!(width(&cut, 20.0, Weight::SemiBold) <= max, "{cut}");
            assert!(cut == title || cut.is_empty() || cut.ends_with('…'), "{cut}");
        }
        assert_eq!(fit(title, 20.0, Weight::Regular, 1e4), title);
    }
}
