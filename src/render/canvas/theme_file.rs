//! A theme of one's own in a TOML file: a base and what differs from it, as the colours of a university.
//!
//! ```toml
//! base = "light"                       # light, dark or print: what is not said is taken from it
//! background = "#fffdf7"
//! text = "#0b1f3a"                     # titles and values
//! muted = "#4d5b70"                    # labels and captions
//! rule = "#d8dde6"                     # frames and grid lines
//! series = ["#003d7c", "#ef7c00"]      # paths and curves, in order
//! colormap = "viridis"                 # a name, or colours from low to high: ["#003d7c", "#f4f1e6"]
//! ```
//!
//! What could not be read on its page is refused: text and labels have a contrast of 4.5 and paths one of
//! 1.9 at least (Web Content Accessibility Guidelines 2), and the lightness of a map runs one way, so that
//! its order survives a projector.

use std::path::Path;

use toml::Value;

use crate::disk;
use crate::error::{Error, Result};
use crate::render::canvas::color::Color;
use crate::render::canvas::theme::{Colormap, Theme};

const KEYS: [&str; 10] = [
    "base",
    "background",
    "text",
    "muted",
    "rule",
    "casing",
    "contour",
    "hatch",
    "series",
    "colormap",
];
/// The least contrast of words with their page, and of paths.
const READABLE: f32 = 4.5;
const VISIBLE: f32 = 1.9;

impl Theme {
    /// The theme in the file `path`.
    ///
    /// Errors: [`Error::Io`]; [`Error::Render`] on what is not TOML, [`Error::UnknownKey`] on keys that there
    /// are not, [`Error::BadValue`] on what is no colour and on colours that could not be told from what they
    /// lie on.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&disk::read_named_text(path, "read the theme")?)
    }

    /// The theme written in `text`, as the module says.
    ///
    /// Errors: those of [`Theme::read`] without [`Error::Io`].
    pub fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| Error::Render {
            what: format!("the theme cannot be read: {}", e.message()),
            remedy: "write TOML, a line a colour: text = \"#0b1f3a\"".into(),
        })?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(Error::unknown_key(key, KEYS));
        }
        let mut theme = match table.get("base") {
            None => Self::light(),
            Some(Value::String(name)) => Self::by_name(name)?,
            Some(other) => return Err(not("base", other, "a name", "write \"light\" or \"dark\"")),
        };
        for (key, place) in [
            ("background", &mut theme.background),
            ("text", &mut theme.text),
            ("muted", &mut theme.muted),
            ("rule", &mut theme.rule),
            ("casing", &mut theme.casing),
            ("contour", &mut theme.contour),
            ("hatch", &mut theme.hatch),
        ] {
            if let Some(value) = table.get(key) {
                *place = color(key, value)?;
            }
        }
        if let Some(value) = table.get("series") {
            theme.series = colors("series", value, 1..=12)?;
        }
        theme.check_contrast()?;
        match table.get("colormap") {
            None => Ok(theme),
            Some(Value::String(name)) => Ok(theme.with_colormap(Colormap::by_name(name)?)),
            Some(value) => Ok(theme.with_colormap(map(value)?)),
        }
    }

    fn check_contrast(&self) -> Result<()> {
        let least = |key: &str, color: Color, least: f32| {
            let contrast = color.contrast(self.background);
            if contrast >= least {
                return Ok(());
            }
            let problem = format!(
                "a contrast of {contrast:.1} with the background {}, where {least} is the least that can be \
                 read",
                written(self.background)
            );
            let remedy = "choose a darker or lighter colour";
            Err(Error::bad_value(key, written(color), problem, remedy))
        };
        least("text", self.text, READABLE)?;
        least("muted", self.muted, READABLE)?;
        self.series.iter().try_for_each(|&color| least("series", color, VISIBLE))
    }
}

/// The map of colours from low to high.
fn map(value: &Value) -> Result<Colormap> {
    let anchors = colors("colormap", value, 2..=32)?;
    let lightness: Vec<f32> = anchors.iter().map(|c| c.oklab()[0]).collect();
    let one_way =
        |rises: bool| lightness.windows(2).all(|w| (w[1] > w[0]) == rises && w[1] != w[0]);
    if one_way(true) || one_way(false) {
        return Ok(Colormap { anchors });
    }
    let list: Vec<String> = anchors.into_iter().map(written).collect();
    let problem = "colours whose lightness does not run one way";
    let remedy = "order them from dark to light or from light to dark";
    Err(Error::bad_value("colormap", list.join(" "), problem, remedy))
}

fn colors(key: &str, value: &Value, count: std::ops::RangeInclusive<usize>) -> Result<Vec<Color>> {
    let remedy =
        format!("write {} to {} colours: [\"#003d7c\", \"#ef7c00\"]", count.start(), count.end());
    match value {
        Value::Array(all) if count.contains(&all.len()) => {
            all.iter().map(|value| color(key, value)).collect()
        }
        other => Err(not(key, other, "a list of colours", &remedy)),
    }
}

/// `"#rrggbb"`, the sign may be left out.
fn color(key: &str, value: &Value) -> Result<Color> {
    let hex = value.as_str().map(|text| text.strip_prefix('#').unwrap_or(text));
    let hex = hex.filter(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let rgb = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
    rgb.map(Color::hex).ok_or_else(|| not(key, value, "a colour", "write \"#003d7c\""))
}

fn written(Color { r, g, b, .. }: Color) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn not(key: &str, value: &Value, what: &str, remedy: &str) -> Error {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    Error::bad_value(key, text, format!("not {what}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_differs_from_its_base_and_the_rest_does_not() {
        let theme = Theme::parse(
            "base = \"dark\"\nbackground = \"#001428\"\nseries = [\"#ef7c00\", \"f0f0ff\"]\n\
             colormap = [\"#ffe9c4\", \"#ef7c00\", \"#3a1d00\"]",
        )
        .unwrap();
        assert_eq!(theme.background, Color::hex(0x001428));
        assert_eq!((theme.name, theme.text), ("dark", Theme::dark().text));
        assert_eq!(theme.colormap.at(0.0), Color::hex(0xffe9c4));
        assert_eq!(theme.series.len(), 2);
        assert_eq!(Theme::parse("").unwrap(), Theme::light());
        let named = Theme::parse("colormap = \"viridis\"").unwrap();
        let same = Theme::light().with_colormap(Colormap::by_name("viridis").unwrap());
        assert_eq!(named, same);
    }

    #[test]
    fn what_cannot_be_read_or_seen_is_refused_by_its_key() {
        let refused = |text: &str, words: &[&str]| {
            let err = Theme::parse(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| err.contains(word)), "{text}: {err}");
        };
        refused("backgroud = \"#ffffff\"", &["backgroud", "background"]);
        refused("base = \"drak\"", &["dark"]);
        refused("text = \"#ggg\"", &["text", "not a colour", "#003d7c"]);
        refused("text = 7", &["text", "not a colour"]);
        refused("text = \"#cccccc\"", &["text", "contrast of 1.6", "#ffffff", "4.5"]);
        refused("background = \"#101010\"", &["text", "contrast"]);
        refused("series = [\"#fffffe\"]", &["series", "contrast of 1.0"]);
        refused("series = []", &["series", "1 to 12"]);
        refused("colormap = [\"#000000\", \"#ffffff\", \"#333333\"]", &["colormap", "one way"]);
        refused("colormap = \"virdis\"", &["viridis"]);
        refused("text =", &["cannot be read"]);
    }
}
