//! From a [`Show`] to a file: a static layer drawn once, the moving parts drawn over a copy of it
//! for each frame, on all cores, in order into an encoder.

pub mod annotate;
mod cues;
mod fit;
mod frames;
mod matte;
mod output;
mod sheet;
pub mod show;

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use rayon::prelude::*;

use crate::disk::{self, StagedFile};
use crate::error::{Error, Result};
use crate::render::canvas::pdf::Pdf;
use crate::render::canvas::png;
use crate::render::canvas::raster::Raster;
use crate::render::canvas::svg::Svg;
use crate::render::canvas::text;
use crate::render::encode::gif::GifWriter;
use crate::render::encode::mp4::{self, Segment};
use crate::render::encode::palette::{Dither, Histogram, Palette};
use crate::render::encode::yuv::Yuv;
use crate::render::encode::{mux, y4m};
use crate::render::film::annotate::Annotated;
use crate::render::film::fit::Plan;
use crate::render::film::frames::Frames;
pub use crate::render::film::output::{Format, Output, Paper, RenderReport};
use crate::render::film::show::Show;

/// Draws `show` and writes it to `output.path`; `progress` gets the number of frames done and of all frames.
/// The file appears when it is complete; the poster and the contact sheet follow, and beside an MP4 its
/// cues and captions. `show` must have
/// been made for the size that [`Output::check`] returns; it brings its own frames and theme.
///
/// Errors: [`Error::UnknownName`] on an extension that no encoder has, [`Error::BadValue`] on a
/// size or rate out of range, [`Error::Render`] when drawing or encoding fails, on a show of
/// another size and on a limit that cannot be kept, [`Error::Io`] when the file cannot be made.
pub fn write_show(
    show: &dyn Show,
    output: &Output,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RenderReport> {
    let annotated = Annotated { show, notes: &output.notes, fps: output.fps };
    let show: &dyn Show = if output.notes.is_empty() { show } else { &annotated };
    let format = checked(show, output)?;
    let mut report = write_film(show, output, format, progress)?;
    if format == Format::Mp4 && output.numbered().is_none() {
        report.warnings.extend(cues::write(show, &output.path, report.seconds)?);
    }
    if let Some(path) = &output.poster {
        write_poster(show, output, path)?;
    }
    if let Some(path) = &output.contact_sheet {
        sheet::write(show, output, path)?;
    }
    Ok(report)
}

fn write_film(
    show: &dyn Show,
    output: &Output,
    format: Format,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RenderReport> {
    if output.to_stdout() {
        return stream_show(show, output, &mut std::io::stdout(), progress);
    }
    if let Some(names) = output.numbered() {
        names.remove_left_over()?;
        let path = |frame: usize| names.path(frame + 1);
        return write_numbered(show, output, format, &path, progress);
    }
    disk::remove_temporaries_of(&output.path)?;
    let full = Plan::full(output);
    let plans = fit::plans(format, output);
    let mut tried = 0;
    loop {
        let plan = plans[tried];
        let mut staged = StagedFile::create_with_folder(&output.path)?;
        let attempt = match format {
            Format::Gif => write_gif(show, output, &plan, staged.file(), progress)?,
            Format::Mp4 => write_mp4(show, output, &plan, staged.file(), progress)?,
            _ => {
                stream(show, output, format, &mut BufWriter::new(staged.file()), progress)?;
                Attempt::Complete
            }
        };
        let written = staged.file().metadata().map(|about| about.len());
        let written = written.map_err(Error::io("write the picture", &output.path))?;
        let limit = output.max_bytes.unwrap_or(u64::MAX);
        let share = match attempt {
            Attempt::Complete if written <= limit => {
                let mut report = report(show, output, format, &plan, staged.finish()?)?;
                if plan != full {
                    let fps = f64::from(output.fps) / plan.stride as f64;
                    let how = plan.describe(&full, fps, [report.width, report.height]);
                    report.warnings.push(format!("to keep below {limit} bytes: {how}"));
                }
                return Ok(report);
            }
            Attempt::Complete => written as f64 / limit as f64,
            Attempt::TooLarge { share } => share,
        };
        tried = fit::next(&plans, tried, share).ok_or_else(|| Error::Render {
            what: format!("the film cannot be brought below {limit} bytes"),
            remedy: "allow more bytes, or choose fewer frames".into(),
        })?;
    }
}

/// Draws `show` into a stream, which the format of `output` must allow: all but MP4, whose index
/// is written last and read first. `output.path` is only for messages, and neither a limit nor what
/// would be written beside the film counts.
///
/// Errors: as [`write_show`]; [`Error::Io`] when the stream ends before the film does.
pub fn stream_show(
    show: &dyn Show,
    output: &Output,
    out: &mut (dyn Write + Send),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RenderReport> {
    let format = checked(show, output)?;
    let full = Plan::full(output);
    let mut out = Counted { out, bytes: 0, broken: None };
    let attempt = match format {
        Format::Mp4 => {
            return Err(Error::Render {
                what: "an MP4 cannot be written to a stream".into(),
                remedy: "write y4m or raw frames to it, or name a file".into(),
            });
        }
        Format::Gif => write_gif(show, output, &full, &mut out, progress).map(drop),
        _ => stream(show, output, format, &mut BufWriter::new(&mut out), progress),
    };
    // Encoders wrap what a stream reports in their own words: the kind must survive.
    if let (Err(_), Some(kind)) = (&attempt, out.broken) {
        return Err(Error::io("write the picture", &output.path)(kind.into()));
    }
    attempt?;
    report(show, output, format, &full, out.bytes)
}

/// The frame of `show` that stands for the whole, as a PNG or an SVG.
fn write_poster(show: &dyn Show, output: &Output, path: &Path) -> Result<()> {
    disk::remove_temporaries_of(path)?;
    let mut staged = StagedFile::create_with_folder(path)?;
    let mut out = BufWriter::new(staged.file());
    let frame = show.poster_frame();
    let kind = (Format::of(path)?, output.paper);
    write_still(show, kind, output.check()?.1, frame, None, &mut out, path)?;
    out.flush().map_err(Error::io("write the picture", path))?;
    drop(out);
    staged.finish().map(drop)
}

/// The format of `output`, which must be one that `show` was made for.
fn checked(show: &dyn Show, output: &Output) -> Result<Format> {
    let (format, size) = output.check()?;
    if let Some(name) = show.still().filter(|_| format.moves()) {
        return Err(Error::Render {
            what: format!("{name} does not move"),
            remedy: "write it to a .png, .svg or .pdf file".into(),
        });
    }
    if show.size() != size {
        let ([w, h], [width, height]) = (show.size(), size);
        return Err(Error::Render {
            what: format!("a scene of {w}x{h} for a picture of {width}x{height}"),
            remedy: "make the scene for the size that Output::check returns".into(),
        });
    }
    Ok(format)
}

fn report(
    show: &dyn Show,
    output: &Output,
    format: Format,
    plan: &Plan,
    bytes: u64,
) -> Result<RenderReport> {
    let [width, height] = plan.pixels(output.check()?.1);
    let moving = format.moves();
    let all = show.frames().max(1);
    Ok(RenderReport {
        frames: if moving { all.div_ceil(plan.stride) } else { 1 },
        seconds: if moving { all as f64 / f64::from(output.fps) } else { 0.0 },
        bytes,
        width,
        height,
        // Rounded where every second or third frame of an odd rate was left out.
        fps: if moving { (f64::from(output.fps) / plan.stride as f64).round() as u32 } else { 0 },
        warnings: glyph_warnings(
            show.texts().into_iter(),
            format == Format::Svg && !output.paper.outlines,
        ),
    })
}

/// How a try at a film under a limit ended.
enum Attempt {
    Complete,
    /// Ended early; it would have come to about `share` times the limit.
    TooLarge {
        share: f64,
    },
}

impl Attempt {
    /// What `done` frames of `count` in `bytes` bytes say, where that is beyond the limit already.
    fn over(output: &Output, bytes: u64, done: usize, count: usize) -> Option<Self> {
        let limit = output.max_bytes?;
        let share = bytes as f64 / limit as f64 * count as f64 / done as f64;
        (bytes > limit).then_some(Self::TooLarge { share })
    }
}

/// Frames that the palette of a GIF is chosen from.
const PALETTE_FRAMES: usize = 16;

fn write_gif(
    show: &dyn Show,
    output: &Output,
    plan: &Plan,
    out: &mut (dyn Write + Send),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Attempt> {
    let pixels = plan.pixels(output.check()?.1);
    let [width, height] = pixels.map(|n| n as usize);
    let frames = Frames::new(show, pixels, plan.stride)?;
    let count = frames.count();
    let palette = palette(&frames, plan.colors, output.dither)?;
    let still = palette.indices(frames.backdrop().rgba(), width);
    let mut writer = GifWriter::new(out, pixels, output.fps, plan.stride, &palette, output.loops)?;
    let draw = |picture: &Raster| {
        let mut indices = still.clone();
        for y in 0..height {
            // Most of the picture is the backdrop: only what was drawn on is looked up.
            for (from, to) in picture.dirty().stretches(y..y + 1) {
                let place = y * width + from..y * width + to;
                let pixels = &picture.rgba()[4 * place.start..4 * place.end];
                palette.look_up(pixels, from, y, &mut indices[place]);
            }
        }
        indices
    };
    let mut ended = Attempt::Complete;
    frames.in_order(width * height, draw, |first, indices| {
        let done = first + indices.len();
        writer.add(indices)?;
        (first..done).for_each(|i| progress(i + 1, count));
        if let Some(over) = Attempt::over(output, writer.bytes(), done, count) {
            ended = over;
            return Ok(false);
        }
        Ok(true)
    })?;
    if let Attempt::Complete = ended {
        writer.finish()?;
    }
    Ok(ended)
}

/// The palette of all frames, from some of them spread over the film with its first and last:
/// drawing repeats itself exactly, so nothing has to be kept.
fn palette(frames: &Frames, colors: usize, dither: Dither) -> Result<Palette> {
    let count = frames.count();
    let samples = PALETTE_FRAMES.min(count);
    let histogram = (0..samples)
        .into_par_iter()
        .map(|k| {
            let frame = if samples > 1 { k * (count - 1) / (samples - 1) } else { count - 1 };
            let mut histogram = Histogram::default();
            histogram.add(frames.picture(frame)?.rgba());
            Ok(histogram)
        })
        .try_reduce(Histogram::default, |mut a, b| {
            a.merge(b);
            Ok(a)
        })?;
    let theme = frames.show().theme();
    let keep = [theme.background, theme.text, theme.muted, theme.rule, theme.casing];
    let keep = keep.into_iter().chain(theme.series.iter().copied());
    Ok(Palette::new(&histogram, keep, colors, dither))
}

fn write_mp4(
    show: &dyn Show,
    output: &Output,
    plan: &Plan,
    out: &mut File,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Attempt> {
    let pixels = plan.pixels(output.check()?.1);
    let [width, height] = pixels.map(|n| n as usize);
    let frames = Frames::new(show, pixels, plan.stride)?;
    let count = frames.count();
    let track =
        mux::Track { width: width as u16, height: height as u16, fps: output.fps, frames: count };
    let mut writer = mux::Muxer::new(out, track)?;
    let still = Yuv::from_rgba(frames.backdrop().rgba(), width, width, height);
    let mut ended = Attempt::Complete;
    frames.in_segments(
        &mp4::cut(count, mp4::SEGMENT_SECONDS * output.fps as usize),
        width * height * 3 / 2,
        |picture| still.with_changes(picture),
        || Segment::new(track, plan.quality),
        Segment::add,
        |index, bits| {
            writer.add(&bits)?;
            progress(index + 1, count);
            if let Some(over) = Attempt::over(output, writer.bytes(), index + 1, count) {
                ended = over;
                return Ok(false);
            }
            Ok(true)
        },
    )?;
    if let Attempt::Complete = ended {
        writer.finish()?;
    }
    Ok(ended)
}

/// The formats that need neither a second look nor a way back: stills and uncompressed films.
fn stream(
    show: &dyn Show,
    output: &Output,
    format: Format,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let pixels = output.check()?.1;
    let [width, height] = pixels.map(|n| n as usize);
    let broken = || Error::io("write the picture", &output.path);
    if !format.moves() {
        let frame = show.poster_frame();
        let kind = (format, output.paper);
        write_still(show, kind, pixels, frame, None, out, &output.path)?;
        progress(1, 1);
        return out.flush().map_err(broken());
    }
    let frames = Frames::new(show, pixels, 1)?;
    let count = frames.count();
    let mut put = |first: usize, pictures: Vec<Vec<u8>>| {
        for (i, bytes) in pictures.iter().enumerate() {
            out.write_all(bytes).map_err(broken())?;
            progress(first + i + 1, count);
        }
        Ok(true)
    };
    if format == Format::Raw {
        frames.in_order(width * height * 4, |picture| picture.rgba().to_vec(), put)?;
    } else {
        put(0, vec![y4m::header(pixels, output.fps)]).map(drop)?;
        let still = Yuv::from_rgba(frames.backdrop().rgba(), width, width, height);
        let draw = |picture: &Raster| y4m::frame(&still.with_changes(picture));
        frames.in_order(width * height * 3 / 2, draw, put)?;
    }
    out.flush().map_err(broken())
}

/// One frame as a file of its own, over `frames` where they are at hand; `paper` is how documents are
/// printed.
fn write_still(
    show: &dyn Show,
    (format, paper): (Format, Paper),
    pixels: [u32; 2],
    frame: usize,
    frames: Option<&Frames>,
    out: &mut dyn Write,
    path: &Path,
) -> Result<()> {
    let page = show.theme().background;
    let page = if paper.transparent { page.alpha(0.0) } else { page };
    if format == Format::Svg {
        let svg = Svg::new(pixels, show.size(), page);
        let mut svg = svg.with_outlines(paper.outlines);
        show.draw_static(&mut svg)?;
        show.draw_moving(&mut svg, frame)?;
        return out
            .write_all(svg.finish().as_bytes())
            .map_err(Error::io("write the picture", path));
    }
    if format == Format::Pdf {
        let mut pdf = Pdf::new(show.size(), page, paper.pixels_an_inch);
        show.draw_static(&mut pdf)?;
        show.draw_moving(&mut pdf, frame)?;
        return out.write_all(&pdf.finish()).map_err(Error::io("write the picture", path));
    }
    if paper.transparent {
        let picture = matte::draw(show, pixels, frame)?;
        return png::write_rgba(out, &picture, pixels[0], pixels[1]);
    }
    let picture = match frames {
        Some(frames) => frames.picture(frame)?,
        None => Frames::new(show, pixels, 1)?.frame(frame)?,
    };
    png::write(out, picture.rgba(), pixels[0], pixels[1])
}

/// A file for each frame.
fn write_numbered(
    show: &dyn Show,
    output: &Output,
    format: Format,
    path: &(dyn Fn(usize) -> std::path::PathBuf + Sync),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RenderReport> {
    if format.moves() {
        return Err(Error::Render {
            what: format!("one file a frame, but {} moves", output.path.display()),
            remedy: "number .png, .svg or .pdf files, as in frames/%05d.png".into(),
        });
    }
    let pixels = output.check()?.1;
    let frames = Frames::new(show, pixels, 1)?;
    let count = frames.count();
    let mut bytes = 0;
    let batch = 2 * rayon::current_num_threads();
    for start in (0..count).step_by(batch) {
        let end = (start + batch).min(count);
        let write = |frame: usize| {
            let path = path(frame);
            let mut staged = StagedFile::create_with_folder(&path)?;
            let kind = (format, output.paper);
            write_still(show, kind, pixels, frame, Some(&frames), staged.file(), &path)?;
            staged.finish()
        };
        let sizes = (start..end).into_par_iter().map(write).collect::<Result<Vec<u64>>>()?;
        bytes += sizes.iter().sum::<u64>();
        (start..end).for_each(|i| progress(i + 1, count));
    }
    let report = report(show, output, format, &Plan::full(output), bytes)?;
    let seconds = count as f64 / f64::from(output.fps);
    Ok(RenderReport { frames: count, seconds, fps: output.fps, ..report })
}

/// A stream that knows how much went into it, and why it ended if it did.
struct Counted<'a> {
    out: &'a mut (dyn Write + Send),
    bytes: u64,
    broken: Option<ErrorKind>,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes).inspect_err(|e| self.broken = Some(e.kind()))?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush().inspect_err(|e| self.broken = Some(e.kind()))
    }
}

/// One warning that names every character the font lacks, or none; in a document that keeps its text
/// (`kept`) a viewer draws them in a font of its own.
pub(in crate::render) fn glyph_warnings<'a>(
    texts: impl Iterator<Item = &'a str>,
    kept: bool,
) -> Vec<String> {
    let missing = text::missing_glyphs(texts);
    if missing.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> =
        missing.iter().map(|c| format!("{c} (U+{:04X})", u32::from(*c))).collect();
    let drawn = if kept { "each viewer draws them in a font of its own" } else { "drawn as ?" };
    vec![format!(
        "the font has no {}: {drawn}; --font FILE.ttf gives one that has",
        names.join(", ")
    )]
}
