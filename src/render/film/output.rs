//! Where a picture or film goes: format, size, rate, quality, and what is refused.

use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::{Error, Result};
use crate::render::canvas::pdf::SCREEN;
use crate::render::canvas::theme::Theme;
use crate::render::encode::palette::Dither;
use crate::render::film::annotate::Note;

/// Where a picture or film goes and what it is to be like.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The file; its extension chooses the encoder unless `format` does. A name with a number in
    /// it (`frames/%05d.png`) gets a file for each frame, counted from 1. `-` stands for a stream
    /// that is handed to [`crate::render::film::stream_show`].
    pub path: PathBuf,
    /// The format, where the extension does not say it.
    pub format: Option<Format>,
    /// Pixels across, 320 to 4096 (180 in a picture that is higher than wide). MP4 and Y4M need
    /// even numbers: odd ones are rounded down.
    pub width: u32,
    /// Pixels down, 180 to 4096.
    pub height: u32,
    /// Frames a second, 1 to 60; a GIF counts in hundredths of a second, so at most 50.
    pub fps: u32,
    /// All frames, the held ones included; at least 1.
    pub frames: usize,
    /// Colours, and how large type is.
    pub theme: Theme,
    /// How good an MP4 looks, 1 to 100: the H.264 quantiser is `44 - 0.3 quality`.
    pub quality: u8,
    /// How a GIF shows colours that its palette lacks.
    pub dither: Dither,
    /// How often a GIF plays, at least 1; `None` for ever.
    pub loops: Option<u16>,
    /// A GIF or MP4 that would be larger is made again with fewer frames a second, fewer colours or
    /// a lower quality, and at last smaller, until it fits; the report says what was done.
    pub max_bytes: Option<u64>,
    /// Words and arrows over the picture.
    pub notes: Vec<Note>,
    /// How stills are printed.
    pub paper: Paper,
    /// A still that is written as well, `.png`, `.svg` or `.pdf`: the frame that stands for the whole.
    pub poster: Option<PathBuf>,
    /// A page with nine frames that is written as well, `.png`.
    pub contact_sheet: Option<PathBuf>,
}

/// How stills are printed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paper {
    /// Whether an SVG has its text as outlines: the same in every program, and no text any more.
    pub outlines: bool,
    /// Whether the page of a still has no colour.
    pub transparent: bool,
    /// How many pixels of the picture are an inch on the page of a PDF.
    pub pixels_an_inch: f32,
    /// Whether a picture that would be empty at its lower end is lower instead.
    pub as_high_as_needed: bool,
}

impl Default for Paper {
    fn default() -> Self {
        Self {
            outlines: false,
            transparent: false,
            pixels_an_inch: SCREEN,
            as_high_as_needed: false,
        }
    }
}

/// The kinds of file there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A still picture in pixels.
    Png,
    /// A still picture in vectors.
    Svg,
    /// A still picture in vectors, on a page.
    Pdf,
    /// A film with one palette, looping.
    Gif,
    /// H.264 in an MP4 container.
    Mp4,
    /// Uncompressed 4:2:0 frames with a header (YUV4MPEG2), for another encoder.
    Y4m,
    /// Uncompressed RGBA frames without a header, for another encoder.
    Raw,
}

impl Format {
    /// The names that [`Format::by_name`] knows.
    pub const NAMES: [&'static str; 7] = ["png", "svg", "pdf", "gif", "mp4", "y4m", "raw"];

    /// The format that `path`'s extension names. Errors: [`Error::UnknownName`] with the known ones.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        Self::by_name(&extension)
    }

    /// The format called `name`. Errors: [`Error::UnknownName`] with the known ones; for one of those
    /// that other encoders write [`Error::NoEncoder`].
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "png" => Ok(Self::Png),
            "svg" => Ok(Self::Svg),
            "pdf" => Ok(Self::Pdf),
            "gif" => Ok(Self::Gif),
            "mp4" => Ok(Self::Mp4),
            "y4m" => Ok(Self::Y4m),
            "raw" => Ok(Self::Raw),
            // rav1e, the AV1 encoder that would build anywhere, was tried (0.8.1, its fastest preset, no
            // assembler): 8 frames a second and 39 dB in more bytes than the MP4's 50 dB.
            "webm" | "mkv" | "av1" | "mov" | "avi" => Err(Error::NoEncoder { format: name.into() }),
            _ => Err(Error::unknown_name("picture format", name, &Self::NAMES)),
        }
    }

    /// Whether it holds more than one frame.
    pub fn moves(self) -> bool {
        !matches!(self, Self::Png | Self::Svg | Self::Pdf)
    }
}

impl Output {
    /// 1280 x 720, 300 frames at 30 a second (at 20 for GIF, whose readers are slow), light.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let gif = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gif"));
        let (fps, frames) = if gif { (20, 200) } else { (30, 300) };
        Self {
            path,
            format: None,
            width: 1280,
            height: 720,
            fps,
            frames,
            theme: Theme::light(),
            quality: 80,
            dither: Dither::None,
            loops: None,
            max_bytes: None,
            notes: Vec::new(),
            paper: Paper::default(),
            poster: None,
            contact_sheet: None,
        }
    }

    /// The format, and the size in pixels that will be written and a scene is to be made for.
    /// Errors: an unknown extension, numbers out of range.
    pub fn check(&self) -> Result<(Format, [u32; 2])> {
        let format = self.format.map_or_else(|| Format::of(&self.path), Ok)?;
        let (width, height) = (self.width, self.height);
        let size = format!("{width}x{height}");
        let bad = |key: &str, value: String, problem: &str, remedy: &str| {
            Err(Error::bad_value(key, value, problem, remedy))
        };
        let too_small = |w: u32, h: u32| w.max(h) < 320 || w.min(h) < 180;
        if too_small(width, height) || width.max(height) > 4096 {
            return bad("size", size, "too small or too large", "choose 320x180 to 4096x4096");
        }
        if format == Format::Mp4 && (width.max(height) > 3840 || width.min(height) > 2160) {
            return bad("size", size, "more than H.264 can hold", "choose at most 3840x2160");
        }
        if let Some(Numbered { width, .. }) = self.numbered().filter(|n| n.width > MOST_DIGITS) {
            let given = self.path.display().to_string();
            let problem = format!("a name with a number of {width} digits");
            return bad("out", given, &problem, "write %05d, say");
        }
        let scale = self.theme.scale;
        if !(0.5..=3.0).contains(&scale) {
            return bad("scale", scale.to_string(), "out of range", "choose 0.5 to 3");
        }
        let room = |n: u32| (n as f32 / scale) as u32;
        if scale > 1.0 && too_small(room(width), room(height)) {
            let remedy = "choose a larger size or a scale nearer to 1";
            return bad("scale", scale.to_string(), "too much for this size", remedy);
        }
        let fastest = if format == Format::Gif { 50 } else { 60 };
        if !(1..=fastest).contains(&self.fps) {
            let remedy = format!("choose 1 to {fastest} (a GIF counts in hundredths of a second)");
            return bad("fps", self.fps.to_string(), "out of range", &remedy);
        }
        if !(1..=1_000_000).contains(&self.frames) {
            return bad("frames", self.frames.to_string(), "out of range", "choose 1 to 1,000,000");
        }
        if !(1..=100).contains(&self.quality) {
            return bad("quality", self.quality.to_string(), "out of range", "choose 1 to 100");
        }
        let limited = matches!(format, Format::Gif | Format::Mp4) && !self.to_stdout();
        if self.max_bytes.is_some() && !limited {
            let given = self.path.display().to_string();
            let remedy = "ask for a .gif or .mp4, or drop the limit";
            return bad("max-size", given, "a limit for files of GIF and MP4 only", remedy);
        }
        let film = (!self.to_stdout()).then_some(&self.path);
        let files = [
            ("the picture", film),
            ("the poster", self.poster.as_ref()),
            ("the contact sheet", self.contact_sheet.as_ref()),
        ];
        for (i, (b, second)) in files.iter().enumerate() {
            for (a, first) in &files[..i] {
                if let (Some(first), Some(second)) = (first, second)
                    && disk::is_same_file(first, second)
                {
                    return Err(Error::OneFile { a, b, path: (*second).clone() });
                }
            }
        }
        if let Some(path) = &self.poster
            && Format::of(path)?.moves()
        {
            let remedy = "name a .png, .svg or .pdf file";
            return bad("poster", path.display().to_string(), "does not move", remedy);
        }
        if let Some(path) = &self.contact_sheet
            && Format::of(path)? != Format::Png
        {
            let given = path.display().to_string();
            return bad("contact-sheet", given, "is made of pixels", "name a .png file");
        }
        let even = |n: u32| if matches!(format, Format::Mp4 | Format::Y4m) { n & !1 } else { n };
        Ok((format, [even(width), even(height)]))
    }

    /// Whether the film goes to the standard output.
    pub fn to_stdout(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// The names of the single frames (`path` with its `%05d` filled in), or `None` where `path` is
    /// one file.
    pub fn numbered(&self) -> Option<Numbered> {
        let name = self.path.file_name()?.to_str()?;
        let (before, rest) = name.split_once('%')?;
        let (digits, after) = rest.split_once('d')?;
        let width = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        let folder = self.path.parent().unwrap_or(Path::new("")).to_path_buf();
        Some(Numbered { folder, before: before.into(), width, after: after.into() })
    }
}

/// Digits that a number in a file's name has at most.
const MOST_DIGITS: usize = 20;

/// File names that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    folder: PathBuf,
    before: String,
    width: usize,
    after: String,
}

impl Numbered {
    /// Removes what a killed process left of files with such names.
    pub(super) fn remove_left_over(&self) -> Result<()> {
        let Self { before, after, .. } = self;
        disk::remove_left_over(&self.folder, |of| {
            let number =
                of.strip_prefix(before.as_str()).and_then(|n| n.strip_suffix(after.as_str()));
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
    }

    /// The name of number `n`.
    pub fn path(&self, n: usize) -> PathBuf {
        let Self { folder, before, width, after } = self;
        folder.join(format!("{before}{n:0width$}{after}"))
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderReport {
    /// Frames in the file; 1 for a poster.
    pub frames: usize,
    /// How long the film runs; 0 for a poster.
    pub seconds: f64,
    /// Size of the file, or of all files.
    pub bytes: u64,
    /// Pixels across, as written.
    pub width: u32,
    /// Pixels down, as written.
    pub height: u32,
    /// Frames a second; 0 for a poster.
    pub fps: u32,
    /// What a reader should know: characters the font lacks, what was given up for a limit.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_number_count_and_others_do_not() {
        let names = |path: &str| Output::new(path).numbered().map(|n| n.path(7));
        assert_eq!(names("a/%05d.png"), Some(PathBuf::from("a/00007.png")));
        assert_eq!(names("frame-%d.svg"), Some(PathBuf::from("frame-7.svg")));
        assert_eq!(names("a/film.png"), None);
        assert_eq!(names("50%.png"), None);
        assert_eq!(names("a%xd.png"), None);
    }

    #[test]
    fn odd_sizes_are_rounded_where_they_must_be_and_what_is_out_of_range_is_refused() {
        let size = |path: &str| {
            let out = Output { width: 641, height: 361, ..Output::new(path) };
            out.check().unwrap().1
        };
        assert_eq!(
            (size("a.mp4"), size("a.y4m"), size("a.gif")),
            ([640, 360], [640, 360], [641, 361])
        );
        let refusal = |out: Output| out.check().unwrap_err().to_string();
        let scaled = |scale: f32| {
            let theme = Theme { scale, ..Theme::light() };
            Output { theme, width: 640, height: 360, ..Output::new("a.png") }
        };
        assert!(scaled(2.0).check().is_ok());
        assert!(refusal(scaled(2.5)).contains("larger size"));
        assert!(refusal(scaled(f32::NAN)).contains("0.5 to 3"));
        assert!(refusal(Output { quality: 0, ..scaled(1.0) }).contains("1 to 100"));
        assert!(refusal(Output { max_bytes: Some(9), ..scaled(1.0) }).contains("GIF and MP4 only"));
        assert!(refusal(Output::new("a.webm")).contains("no encoder for `webm`"));
        assert!(refusal(Output::new("-")).contains("png, svg, pdf, gif, mp4, y4m, raw"));
    }
}
