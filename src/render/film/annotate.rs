//! Words and arrows of one's own over a film, at times and places of the page: what a lecturer would point
//! at.
//!
//! ```toml
//! [[note]]
//! text = "the learning rate drops"
//! at = [0.55, 0.30]      # the middle of the words, from the left and from the top, as shares of the page
//! to = [0.40, 0.52]      # the tip of an arrow; none without it
//! from = 2.0             # seconds of the film; from its first frame without it
//! until = 4.5            # to its last frame without it
//! size = 1.5             # times the size of labels
//! color = "#ef7c00"      # that of the text without it
//! ```

use std::path::Path;

use serde::Deserialize;
use tiny_skia::PathBuilder;

use crate::disk;
use crate::error::{Error, Result};
use crate::render::canvas::color::Color;
use crate::render::canvas::text::CAP_HEIGHT;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Stroke, TextStyle};
use crate::render::film::show::{Chapter, Show};

/// How long words take to come and to go, in seconds.
const FADE: f64 = 0.25;
/// The most notes of a film.
const MOST: usize = 200;

/// Words at a place of the page for a part of a film.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The words; a line each.
    pub text: String,
    /// Their middle, from the left and from the top, as shares of the page.
    pub at: [f32; 2],
    /// The tip of an arrow, likewise.
    pub to: Option<[f32; 2]>,
    /// When they come, in seconds of the film.
    #[serde(default)]
    pub from: f64,
    /// When they go; never without it.
    pub until: Option<f64>,
    /// How many times larger than a label.
    #[serde(default = "one")]
    pub size: f32,
    /// `#rrggbb`; the colour of the text without it.
    pub color: Option<String>,
}

fn one() -> f32 {
    1.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    note: Vec<Note>,
}

impl Note {
    /// The notes in the file `path`. Errors: [`Error::Io`], and those of [`Note::parse`].
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        Self::parse(&disk::read_named_text(path, "read the notes")?)
    }

    /// The notes in `text`, tables `[[note]]`.
    ///
    /// Errors: [`Error::Render`] on what is not such a text; [`Error::BadValue`] on a note without words, on
    /// places off the page, on times that do not go on, on what is no colour, and on more than 200 notes.
    pub fn parse(text: &str) -> Result<Vec<Self>> {
        let table: Table = toml::from_str(text).map_err(|e| Error::Render {
            what: format!("the notes cannot be read: {}", e.message()),
            remedy: "write tables [[note]] with text and at, and to, from, until, size, color as you like"
                .into(),
        })?;
        if table.note.len() > MOST {
            let remedy = "write 200 at most";
            return Err(Error::bad_value("note", table.note.len(), "too many notes", remedy));
        }
        table.note.iter().try_for_each(Self::check)?;
        Ok(table.note)
    }

    fn check(&self) -> Result<()> {
        let bad = |key: &str, value: String, problem: &str, remedy: &str| {
            Err(Error::bad_value(key, value, problem, remedy))
        };
        if self.text.trim().is_empty() {
            return bad("text", String::new(), "a note without words", "write what it says");
        }
        for (key, place) in std::iter::once(("at", self.at)).chain(self.to.map(|to| ("to", to))) {
            if !place.iter().all(|share| (0.0..=1.0).contains(share)) {
                let remedy =
                    "write shares of the page: [0, 0] is its top left corner, [1, 1] the other one";
                return bad(key, format!("{place:?}"), "off the page", remedy);
            }
        }
        let after = self.until.unwrap_or(f64::INFINITY);
        if !(self.from >= 0.0 && self.from.is_finite() && after > self.from) {
            let times = format!("{} to {after}", self.from);
            return bad(
                "from",
                times,
                "not a time of the film",
                "write seconds, the earlier first",
            );
        }
        if !(0.3..=10.0).contains(&self.size) {
            return bad("size", self.size.to_string(), "out of range", "write 0.3 to 10");
        }
        match (&self.color, self.colored()) {
            (Some(text), None) => bad("color", text.clone(), "not a colour", "write \"#ef7c00\""),
            _ => Ok(()),
        }
    }

    fn colored(&self) -> Option<Color> {
        let hex = self.color.as_deref()?.strip_prefix('#')?;
        let digits = hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u32::from_str_radix(hex, 16).ok().map(Color::hex)).flatten()
    }

    /// How much of it is seen at `seconds`, 0 to 1.
    fn strength(&self, seconds: f64) -> f32 {
        let come = if self.from > 0.0 { (seconds - self.from) / FADE } else { 1.0 };
        let go = self.until.map_or(1.0, |until| (until - seconds) / FADE);
        come.min(go).clamp(0.0, 1.0) as f32
    }

    fn draw(
        &self,
        canvas: &mut dyn Canvas,
        [width, height]: [f32; 2],
        theme: &Theme,
        strength: f32,
    ) {
        // As large as labels are in a picture of this size.
        let px = theme.scale * (width / 1280.0).min(height / 720.0).max(0.25);
        let size = 15.0 * px * self.size;
        let color = self.colored().unwrap_or(theme.text).alpha(strength);
        let halo = Some((theme.background.alpha(0.85 * strength), 3.5 * px));
        let style = TextStyle { halo, ..TextStyle::new(size, color).bold().align(Align::Center) };
        let lines: Vec<&str> = self.text.lines().collect();
        let line = 1.3 * size;
        let (x, y) = (self.at[0] * width, self.at[1] * height);
        let half_h = 0.5 * line * lines.len() as f32;
        let half_w = 0.5 * lines.iter().map(|l| style.width(l)).fold(0.0, f32::max);
        if let Some(to) = self.to {
            let tip = (to[0] * width, to[1] * height);
            let (dx, dy) = (tip.0 - x, tip.1 - y);
            let length = dx.hypot(dy);
            // From the edge of the words, a little off.
            let out = ((half_w + 0.4 * size) / dx.abs().max(1e-6))
                .min((half_h + 0.3 * size) / dy.abs().max(1e-6));
            if out < 1.0 && length > size {
                let start = (x + out * dx, y + out * dy);
                arrow(canvas, start, tip, px, (color, theme.background.alpha(0.85 * strength)));
            }
        }
        for (i, text) in lines.iter().enumerate() {
            let middle = y - half_h + (i as f32 + 0.5) * line;
            canvas.text(text, x, middle + 0.5 * CAP_HEIGHT * size, &style);
        }
    }
}

/// A line from `start` with its head at `tip`, in a colour over a wider one.
fn arrow(
    canvas: &mut dyn Canvas,
    start: (f32, f32),
    tip: (f32, f32),
    px: f32,
    (color, casing): (Color, Color),
) {
    let (dx, dy) = (tip.0 - start.0, tip.1 - start.1);
    let length = dx.hypot(dy).max(1e-6);
    let (ux, uy) = (dx / length, dy / length);
    let head = (13.0 * px).min(0.6 * length);
    let neck = (tip.0 - 0.8 * head * ux, tip.1 - 0.8 * head * uy);
    for (color, wider) in [(casing, 3.0 * px), (color, 0.0)] {
        let stroke = Stroke { cap: Cap::Round, ..Stroke::solid(color, 2.4 * px + wider) };
        canvas.line(&[start, neck], &stroke);
        let (back, side) = (head + 0.7 * wider, 0.42 * head + 0.5 * wider);
        let reach = 0.5 * wider;
        let front = (tip.0 + reach * ux, tip.1 + reach * uy);
        let base = (front.0 - back * ux, front.1 - back * uy);
        let mut path = PathBuilder::new();
        path.move_to(front.0, front.1);
        path.line_to(base.0 - side * uy, base.1 + side * ux);
        path.line_to(base.0 + side * uy, base.1 - side * ux);
        path.close();
        if let Some(path) = path.finish() {
            canvas.fill(&path, color, false);
        }
    }
}

/// A show with notes over it.
pub struct Annotated<'a> {
    /// What is annotated.
    pub show: &'a dyn Show,
    /// The notes.
    pub notes: &'a [Note],
    /// Frames a second.
    pub fps: u32,
}

impl Show for Annotated<'_> {
    fn size(&self) -> [u32; 2] {
        self.show.size()
    }

    fn frames(&self) -> usize {
        self.show.frames()
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        self.show.draw_static(canvas)
    }

    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        self.show.draw_moving(canvas, frame)?;
        let seconds = frame as f64 / f64::from(self.fps);
        let size = self.show.size().map(|n| n as f32);
        for note in self.notes {
            let strength = note.strength(seconds);
            if strength > 0.0 {
                note.draw(canvas, size, self.show.theme(), strength);
            }
        }
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.show.theme()
    }

    fn texts(&self) -> Vec<&str> {
        let notes = self.notes.iter().flat_map(|note| note.text.lines());
        self.show.texts().into_iter().chain(notes).collect()
    }

    fn still(&self) -> Option<&'static str> {
        self.show.still()
    }

    fn chapters(&self) -> Vec<Chapter> {
        self.show.chapters()
    }

    fn poster_frame(&self) -> usize {
        self.show.poster_frame()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_and_go_and_what_is_wrong_with_them_is_said() {
        let text = "[[note]]\ntext = \"here\\nand there\"\nat = [0.5, 0.25]\nto = [0.1, 0.9]\nfrom = 1\n\
                    until = 2.5\ncolor = \"#ef7c00\"\n[[note]]\ntext = \"always\"\nat = [0, 0]";
        let notes = Note::parse(text).unwrap();
        let strengths = [0.0, 0.99, 1.125, 1.25, 2.0, 2.4, 2.5, 9.0].map(|s| notes[0].strength(s));
        assert_eq!(strengths[..5], [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert!(strengths[5] > 0.0 && strengths[5] < 1.0 && strengths[6..] == [0.0, 0.0]);
        assert_eq!((notes[1].strength(0.0), notes[1].strength(1e6)), (1.0, 1.0));
        assert_eq!(notes[0].colored(), Some(Color::hex(0xef7c00)));
        let refused = |keys: &str, words: &[&str]| {
            let text = format!("[[note]]\n{keys}");
            let err = Note::parse(&text).unwrap_err().to_string();
            assert!(words.iter().all(|word| err.contains(word)), "{text}: {err}");
        };
        refused("text = \"a\"", &["at"]);
        refused("text = \" \"\nat = [0, 0]", &["text", "without words"]);
        refused("text = \"a\"\nat = [0, 1.5]", &["at", "off the page"]);
        refused("text = \"a\"\nat = [0, 1]\nto = [nan, 0]", &["to", "off the page"]);
        refused("text = \"a\"\nat = [0, 1]\nfrom = 3\nuntil = 2", &["from", "3 to 2"]);
        refused("text = \"a\"\nat = [0, 1]\nsize = 99", &["size", "0.3 to 10"]);
        refused("text = \"a\"\nat = [0, 1]\ncolor = \"red\"", &["color", "not a colour"]);
        refused("text = \"a\"\nat = [0, 1]\ncolour = \"#ffffff\"", &["colour"]);
        assert!(Note::parse("").unwrap_err().to_string().contains("[[note]]"));
    }
}
