//! From a [`Show`] to a file: a static layer drawn once, the moving parts drawn over a copy of it
//! for each frame, on all cores, in order into an encoder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rayon::prelude::*;

use super::contour_film::ContourFilm;
use super::encode::gif::GifWriter;
use super::encode::mp4::Mp4Writer;
use super::encode::palette::{Histogram, Palette};
use super::encode::svg::Svg;
use super::encode::yuv::Yuv;
use super::encode::{Staged, mux, png};
use super::scene::Film;
use super::show::{self, Show};
use super::text;
use super::theme::Theme;
use crate::error::{Error, Result};

/// Where a picture or film goes and how large it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The file; its extension chooses the encoder: `png`, `svg` (the last frame), `gif`, `mp4`.
    pub path: PathBuf,
    /// Pixels across, 320 to 4096 (180 in a picture that is higher than wide). An MP4 needs even
    /// numbers: odd ones are rounded down.
    pub width: u32,
    /// Pixels down, 180 to 4096.
    pub height: u32,
    /// Frames a second, 1 to 60; a GIF counts in hundredths of a second, so at most 50.
    pub fps: u32,
    /// All frames, the held ones included; at least 1.
    pub frames: usize,
    /// Colours.
    pub theme: Theme,
}

impl Output {
    /// 1280 x 720, 300 frames at 30 a second (at 20 for GIF, whose readers are slow), light.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let gif = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gif"));
        let (fps, frames) = if gif { (20, 200) } else { (30, 300) };
        Self { path, width: 1280, height: 720, fps, frames, theme: Theme::light() }
    }

    /// The format and the size that will be written. Errors: an unknown extension, numbers out of
    /// range.
    pub fn check(&self) -> Result<(Format, [u32; 2])> {
        let format = Format::of(&self.path)?;
        let (width, height) = (self.width, self.height);
        let size = format!("{width}x{height}");
        let bad = |key: &str, value: String, problem: &str, remedy: &str| {
            Err(Error::bad_value(key, value, problem, remedy))
        };
        if !(320..=4096).contains(&width.max(height)) || !(180..=4096).contains(&width.min(height))
        {
            return bad("size", size, "too small or too large", "choose 320x180 to 4096x4096");
        }
        if format == Format::Mp4 && (width.max(height) > 3840 || width.min(height) > 2160) {
            return bad("size", size, "more than H.264 can hold", "choose at most 3840x2160");
        }
        let fastest = if format == Format::Gif { 50 } else { 60 };
        if !(1..=fastest).contains(&self.fps) {
            let remedy = format!("choose 1 to {fastest} (a GIF counts in hundredths of a second)");
            return bad("fps", self.fps.to_string(), "out of range", &remedy);
        }
        if !(1..=1_000_000).contains(&self.frames) {
            return bad("frames", self.frames.to_string(), "out of range", "choose 1 to 1,000,000");
        }
        let even = |n: u32| if format == Format::Mp4 { n & !1 } else { n };
        Ok((format, [even(width), even(height)]))
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderReport {
    /// Frames in the file; 1 for a poster.
    pub frames: usize,
    /// How long the film runs; 0 for a poster.
    pub seconds: f64,
    /// Size of the file.
    pub bytes: u64,
    /// Pixels across, as written.
    pub width: u32,
    /// Pixels down, as written.
    pub height: u32,
    /// Frames a second; 0 for a poster.
    pub fps: u32,
    /// What a reader should know: characters the font lacks.
    pub warnings: Vec<String>,
}

/// The kinds of file there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A still picture in pixels.
    Png,
    /// A still picture in vectors.
    Svg,
    /// A film with one palette, looping.
    Gif,
    /// H.264 in an MP4 container.
    Mp4,
}

impl Format {
    /// The format that `path`'s extension names. Errors: [`Error::UnknownName`] with the known ones.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "png" => Ok(Self::Png),
            "svg" => Ok(Self::Svg),
            "gif" => Ok(Self::Gif),
            "mp4" => Ok(Self::Mp4),
            _ => Err(Error::unknown_name(
                "picture format",
                &extension,
                &["png", "svg", "gif", "mp4"],
            )),
        }
    }
}

/// Draws the contour film `film` and writes it: [`write_show`] of a [`ContourFilm`].
///
/// Errors: as [`write_show`]; [`Error::Render`] on a grid that cannot be drawn.
pub fn write(
    film: &Film,
    output: &Output,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RenderReport> {
    let (_, size) = output.check()?;
    let show = ContourFilm::new(film, &output.theme, size, output.frames, output.fps)?;
    write_show(&show, output, progress)
}

/// Draws `show` and writes it to `output.path`; `progress` is told the frames done and all frames.
/// The file appears when it is complete. `show` must have been made for the size that
/// [`Output::check`] returns; it brings its own frames and theme.
///
/// Errors: [`Error::UnknownName`] on an extension that no encoder has, [`Error::BadValue`] on a
/// size or rate out of range, [`Error::Render`] when drawing or encoding fails and on a show of
/// another size, [`Error::Io`] when the file cannot be made.
pub fn write_show(
    show: &dyn Show,
    output: &Output,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RenderReport> {
    let (format, [width, height]) = output.check()?;
    if show.size() != [width, height] {
        let [w, h] = show.size();
        return Err(Error::Render {
            what: format!("a scene of {w}x{h} pixels for a picture of {width}x{height}"),
            remedy: "make the scene for the size that Output::check returns".into(),
        });
    }
    let frames = show.frames().max(1);
    let mut staged = Staged::create(&output.path)?;
    let moving = matches!(format, Format::Gif | Format::Mp4);
    match format {
        Format::Png => {
            let picture = show::frame(show, &show::backdrop(show)?, show.poster_frame())?;
            png::write(staged.file(), picture.rgba(), width, height)?;
            progress(1, 1);
        }
        Format::Svg => {
            let mut svg = Svg::new(width, height, show.theme().background);
            show.draw_static(&mut svg)?;
            show.draw_moving(&mut svg, show.poster_frame())?;
            let write = staged.file().write_all(svg.finish().as_bytes());
            write.map_err(Error::io("write the picture", &output.path))?;
            progress(1, 1);
        }
        Format::Gif => write_gif(show, staged.file(), output.fps, progress)?,
        Format::Mp4 => write_mp4(show, staged.file(), output.fps, progress)?,
    }
    let bytes = staged.finish()?;
    Ok(RenderReport {
        frames: if moving { frames } else { 1 },
        seconds: if moving { frames as f64 / f64::from(output.fps) } else { 0.0 },
        bytes,
        width,
        height,
        fps: if moving { output.fps } else { 0 },
        warnings: glyph_warnings(show.texts().into_iter()),
    })
}

/// Frames that the palette of a GIF is chosen from.
const PALETTE_FRAMES: usize = 16;

fn write_gif(
    show: &dyn Show,
    out: &mut std::fs::File,
    fps: u32,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let backdrop = show::backdrop(show)?;
    let frames = show.frames();
    // A first pass over some frames, spread over the film with its last one: drawing repeats
    // itself exactly, so nothing has to be kept.
    let mut histogram = Histogram::default();
    let samples = PALETTE_FRAMES.min(frames);
    for k in 0..samples {
        let frame = if samples > 1 { k * (frames - 1) / (samples - 1) } else { frames - 1 };
        histogram.add(show::frame(show, &backdrop, frame)?.rgba());
    }
    let theme = show.theme();
    let keep = [theme.background, theme.text, theme.muted, theme.rule, theme.casing];
    let keep = keep.into_iter().chain(theme.series.iter().copied());
    let palette = Palette::new(&histogram, keep);
    let still = palette.indices(backdrop.rgba());
    let (width, height) = (backdrop.width(), backdrop.height());
    let mut writer = GifWriter::new(out, width as u16, height as u16, fps, &palette)?;
    let draw = |frame: usize| {
        let picture = show::frame(show, &backdrop, frame)?;
        let mut indices = still.clone();
        // Most rows are the backdrop's: only those that differ are looked up.
        let rows =
            picture.rgba().chunks_exact(4 * width).zip(backdrop.rgba().chunks_exact(4 * width));
        for (y, (row, _)) in rows.enumerate().filter(|(_, (row, old))| row != old) {
            indices[y * width..(y + 1) * width].copy_from_slice(&palette.indices(row));
        }
        Ok(indices)
    };
    in_order(frames, width * height * 5, draw, |done, indices| {
        writer.add(indices)?;
        progress(done + 1, frames);
        Ok(())
    })?;
    writer.finish()
}

fn write_mp4(
    show: &dyn Show,
    out: &mut std::fs::File,
    fps: u32,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let backdrop = show::backdrop(show)?;
    let frames = show.frames();
    let (width, height) = (backdrop.width(), backdrop.height());
    let track = mux::Track { width: width as u16, height: height as u16, fps, frames };
    let mut writer = Mp4Writer::new(out, track)?;
    let draw = |frame: usize| {
        let picture = show::frame(show, &backdrop, frame)?;
        Ok(Yuv::from_rgba(picture.rgba(), width, width, height))
    };
    in_order(frames, width * height * 6, draw, |done, picture| {
        writer.add(&picture)?;
        progress(done + 1, frames);
        Ok(())
    })?;
    writer.finish().map(drop)
}

/// Makes `count` things on all cores and hands them over one by one, in order, on this thread.
/// While one window is handed over the next is made; `bytes` a thing bound the window to 256 MiB.
fn in_order<T: Send>(
    count: usize,
    bytes: usize,
    make: impl Fn(usize) -> Result<T> + Sync,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let window = (2 * rayon::current_num_threads()).min((256 << 20) / bytes.max(1)).max(1);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel::<Result<Vec<T>>>(1);
        let make = &make;
        scope.spawn(move || {
            for start in (0..count).step_by(window) {
                let end = (start + window).min(count);
                let batch = (start..end).into_par_iter().map(make).collect();
                if sender.send(batch).is_err() {
                    return; // the receiver has failed and gone
                }
            }
        });
        let mut index = 0;
        for batch in receiver {
            for thing in batch? {
                take(index, thing)?;
                index += 1;
            }
        }
        Ok(())
    })
}

/// One warning that names every character the font lacks, or none.
pub(super) fn glyph_warnings<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let missing = text::missing_glyphs(texts);
    if missing.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> =
        missing.iter().map(|c| format!("{c} (U+{:04X})", u32::from(*c))).collect();
    vec![format!("the font has no {}: drawn as ?", names.join(", "))]
}
