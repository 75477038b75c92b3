//! The film: a static layer drawn once, the moving parts drawn over a copy of it for each frame,
//! and the way into a file.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rayon::prelude::*;

use super::canvas::{Canvas, TextStyle};
use super::chart::{self, Chart};
use super::encode::gif::GifWriter;
use super::encode::mp4::Mp4Writer;
use super::encode::palette::{Histogram, Palette};
use super::encode::svg::Svg;
use super::encode::yuv::Yuv;
use super::encode::{Staged, mux, png};
use super::field::Domain;
use super::layout::{Contents, Layout};
use super::panel;
use super::path::{Pen, Track};
use super::raster::Raster;
use super::readout;
use super::scale::{LevelScale, significant, ticks};
use super::scene::Film;
use super::text;
use super::theme::Theme;
use super::timeline::Timeline;
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
    pub(super) fn check(&self) -> Result<(Format, [u32; 2])> {
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

/// A film made ready: laid out, scaled, its tracks computed. Draws any frame on any canvas.
pub struct Stage<'a> {
    film: &'a Film,
    theme: &'a Theme,
    layout: Layout,
    scale: LevelScale,
    tracks: Vec<Track>,
    charts: Vec<Chart<'a>>,
    timeline: Timeline,
}

impl<'a> Stage<'a> {
    /// Makes `film` ready for a picture of `width` x `height` in `frames` frames.
    ///
    /// Errors: [`Error::Render`] on a film without panels or with a grid that cannot be drawn.
    pub fn new(
        film: &'a Film,
        theme: &'a Theme,
        [width, height]: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        if film.panels.is_empty() {
            return Err(Error::Render {
                what: "the film has no panel".into(),
                remedy: "give it at least one surface".into(),
            });
        }
        film.panels.iter().try_for_each(|p| p.grid.check())?;
        let scale = LevelScale::new(film.panels.iter().flat_map(|p| p.grid.values.iter().copied()));
        let domains: Vec<Domain> = film.panels.iter().map(Domain::of).collect();
        let timeline = Timeline::new(film, frames, f64::from(fps));
        let quantities = chart::quantities(&film.strip.series);
        let ems = |text: &str| text::width(text, 1.0, text::Weight::Regular);
        let y_ticks = domains.iter().flat_map(|d| ticks(d.y[0], d.y[1], 5));
        let contents = Contents {
            title: !film.title.is_empty(),
            caption: !film.caption.is_empty(),
            headings: film.panels.iter().any(|p| !p.title.is_empty()),
            subtitles: film.panels.iter().any(|p| !p.subtitle.is_empty()),
            domains: &domains,
            charts: quantities.len(),
            colorbar_label_ems: scale.labels().iter().map(|l| ems(l)).fold(2.0, f32::max),
            tick_label_ems: y_ticks.map(|y| ems(&significant(y, 6))).fold(1.5, f32::max),
        };
        let layout = Layout::new(width, height, &contents);
        let tracks = film
            .panels
            .iter()
            .zip(&domains)
            .zip(&layout.panels)
            .map(|((p, d), place)| Track::new(&p.path, *d, place.frame, layout.s))
            .collect();
        let charts = quantities
            .into_iter()
            .zip(&layout.charts)
            .map(|(quantity, rect)| {
                let x_label = "epoch";
                Chart::new(&film.strip.series, quantity, *rect, x_label, layout.font, layout.s)
            })
            .collect();
        Ok(Self { film, theme, layout, scale, tracks, charts, timeline })
    }

    /// The timeline of the frames.
    pub fn timeline(&self) -> Timeline {
        self.timeline
    }

    /// Draws what no frame changes.
    pub fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, theme) = (&self.layout, self.theme);
        let room = layout.page.w - 2.0 * layout.margin;
        if let Some(baseline) = layout.title_baseline {
            let style = TextStyle::new(layout.font.title, theme.text).bold();
            canvas.text(&style.fit(&self.film.title, room), layout.margin, baseline, &style);
        }
        if let Some(baseline) = layout.caption_baseline {
            let style = TextStyle::new(layout.font.small, theme.muted);
            canvas.text(&style.fit(&self.film.caption, room), layout.margin, baseline, &style);
        }
        for (k, (p, place)) in self.film.panels.iter().zip(&layout.panels).enumerate() {
            let keep_clear = self.tracks[k].pixels();
            panel::draw(canvas, p, place, layout, &self.scale, theme, &keep_clear);
            let key = (self.film.panels.len() > 1).then(|| theme.series_color(k));
            panel::draw_heading(canvas, p, place, layout, theme, key);
        }
        if let Some(bar) = layout.colorbar {
            let title = &self.film.value_label;
            panel::draw_colorbar(canvas, bar, title, layout, &self.scale, theme);
        }
        for chart in &self.charts {
            chart.draw_static(canvas, theme, chart::Future::Faint)?;
        }
        Ok(())
    }

    /// Draws what belongs to `frame` over the static layer.
    pub fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) {
        let (layout, theme) = (&self.layout, self.theme);
        let epoch = self.timeline.epoch(frame);
        let span = self.timeline.end - self.timeline.start;
        for (k, p) in self.film.panels.iter().enumerate() {
            let place = &layout.panels[k];
            let track = &self.tracks[k];
            let color = theme.series_color(k);
            let pen = Pen { color, theme, s: layout.s, fade: 0.22 * span };
            // The read-out first: should its plate reach the path, the path stays visible.
            let rows = readout::rows(&p.path, epoch, span);
            let corner = || readout::corner(place.frame, layout, &track.pixels());
            if let Some((rect, on_plate)) =
                place.readout.map(|r| (r, false)).or_else(|| corner().map(|r| (r, true)))
            {
                readout::draw(canvas, rect, on_plate, &rows, layout, theme);
            }
            canvas.set_clip((!self.inside(k)).then_some(place.frame));
            track.draw(canvas, epoch, &pen);
            canvas.set_clip(None);
        }
        for chart in &self.charts {
            chart.draw_moving(canvas, theme, epoch);
        }
    }

    /// Whether panel `k`'s track stays in its frame, so that drawing it needs no clip.
    fn inside(&self, k: usize) -> bool {
        let frame = self.layout.panels[k].frame;
        self.tracks[k].pixels().iter().all(|p| frame.contains(p.0, p.1, -0.5))
    }

    /// The picture that all frames start from.
    pub fn backdrop(&self) -> Result<Raster> {
        let page = self.layout.page;
        let mut raster = Raster::new(page.w as u32, page.h as u32, self.theme.background)?;
        self.draw_static(&mut raster)?;
        Ok(raster)
    }

    /// One frame over a copy of `backdrop`.
    pub fn frame(&self, backdrop: &Raster, frame: usize) -> Raster {
        let mut raster = backdrop.clone();
        self.draw_moving(&mut raster, frame);
        raster
    }
}

/// Draws `film` and writes it to `output.path`; `progress` is told the frames done and all frames.
/// The file appears when it is complete.
///
/// Errors: [`Error::UnknownName`] on an extension that no encoder has, [`Error::BadValue`] on a
/// size or rate out of range, [`Error::Render`] on a grid that cannot be drawn and when encoding
/// fails, [`Error::Io`] when the file cannot be made.
pub fn write(
    film: &Film,
    output: &Output,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RenderReport> {
    let (format, [width, height]) = output.check()?;
    let stage = Stage::new(film, &output.theme, [width, height], output.frames, output.fps)?;
    let mut staged = Staged::create(&output.path)?;
    let last = output.frames - 1;
    let moving = matches!(format, Format::Gif | Format::Mp4);
    match format {
        Format::Png => {
            let picture = stage.frame(&stage.backdrop()?, last);
            png::write(staged.file(), picture.rgba(), width, height)?;
            progress(1, 1);
        }
        Format::Svg => {
            let mut svg = Svg::new(width, height, output.theme.background);
            stage.draw_static(&mut svg)?;
            stage.draw_moving(&mut svg, last);
            let write = staged.file().write_all(svg.finish().as_bytes());
            write.map_err(Error::io("write the picture", &output.path))?;
            progress(1, 1);
        }
        Format::Gif => write_gif(&stage, staged.file(), output.fps, progress)?,
        Format::Mp4 => write_mp4(&stage, staged.file(), output.fps, progress)?,
    }
    let bytes = staged.finish()?;
    Ok(RenderReport {
        frames: if moving { output.frames } else { 1 },
        seconds: if moving { output.frames as f64 / f64::from(output.fps) } else { 0.0 },
        bytes,
        width,
        height,
        fps: if moving { output.fps } else { 0 },
        warnings: glyph_warnings(film.texts()),
    })
}

/// Frames that the palette of a GIF is chosen from.
const PALETTE_FRAMES: usize = 16;

fn write_gif(
    stage: &Stage,
    out: &mut std::fs::File,
    fps: u32,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let backdrop = stage.backdrop()?;
    let frames = stage.timeline.frames;
    // A first pass over some frames, spread over the film with its last one: drawing repeats
    // itself exactly, so nothing has to be kept.
    let mut histogram = Histogram::default();
    let samples = PALETTE_FRAMES.min(frames);
    for k in 0..samples {
        let frame = if samples > 1 { k * (frames - 1) / (samples - 1) } else { frames - 1 };
        histogram.add(stage.frame(&backdrop, frame).rgba());
    }
    let theme = stage.theme;
    let keep = [theme.background, theme.text, theme.muted, theme.rule, theme.casing];
    let keep = keep.into_iter().chain(theme.series.iter().copied().take(stage.tracks.len()));
    let palette = Palette::new(&histogram, keep);
    let still = palette.indices(backdrop.rgba());
    let (width, height) = (backdrop.width(), backdrop.height());
    let mut writer = GifWriter::new(out, width as u16, height as u16, fps, &palette)?;
    let draw = |frame: usize| {
        let picture = stage.frame(&backdrop, frame);
        let mut indices = still.clone();
        // Most rows are the backdrop's: only those that differ are looked up.
        let rows =
            picture.rgba().chunks_exact(4 * width).zip(backdrop.rgba().chunks_exact(4 * width));
        for (y, (row, _)) in rows.enumerate().filter(|(_, (row, old))| row != old) {
            indices[y * width..(y + 1) * width].copy_from_slice(&palette.indices(row));
        }
        indices
    };
    in_order(frames, width * height * 5, draw, |done, indices| {
        writer.add(indices)?;
        progress(done + 1, frames);
        Ok(())
    })?;
    writer.finish()
}

fn write_mp4(
    stage: &Stage,
    out: &mut std::fs::File,
    fps: u32,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let backdrop = stage.backdrop()?;
    let frames = stage.timeline.frames;
    let (width, height) = (backdrop.width(), backdrop.height());
    let track = mux::Track { width: width as u16, height: height as u16, fps, frames };
    let mut writer = Mp4Writer::new(out, track)?;
    let draw =
        |frame: usize| Yuv::from_rgba(stage.frame(&backdrop, frame).rgba(), width, width, height);
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
    make: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let window = (2 * rayon::current_num_threads()).min((256 << 20) / bytes.max(1)).max(1);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel::<Vec<T>>(1);
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
        receiver.into_iter().flatten().enumerate().try_for_each(|(i, thing)| take(i, thing))
    })
}

impl Film {
    /// All texts that come from outside.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let panels =
            self.panels.iter().flat_map(|p| [&p.title, &p.subtitle, &p.x_label, &p.y_label]);
        let names = self.strip.series.iter().map(|s| &s.name);
        [&self.title, &self.caption, &self.value_label]
            .into_iter()
            .chain(panels)
            .chain(names)
            .map(String::as_str)
    }
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
