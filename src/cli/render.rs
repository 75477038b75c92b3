//! `lossreel render`

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::ProgressBar;
use lossreel::render::canvas::add_fallback;
use lossreel::render::canvas::theme::{Colormap, Theme};
use lossreel::render::encode::palette::Dither;
use lossreel::render::film::annotate::Note;
use lossreel::render::film::{Format, Output, RenderReport};
use lossreel::render::scene::PanelTable;
use lossreel::stages::scenes::{SceneData, SceneRequest};
use lossreel::{Error, Result};

use super::out::{Out, duration};
use super::progress;
use super::scenes::{Options, SceneName};
use super::surface_look::LookArgs;

/// Make a picture or a film of one run, or of several side by side.
///
/// The extension of --out chooses the format: .gif, .mp4 and .y4m are films, .png, .svg and .pdf stills
/// (the frame that shows the whole, for a path its end). A number in the name, as in
/// frames/%05d.png, writes each frame to a file of its own; - with --format y4m or raw writes
/// frames to stdout for another encoder.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Run folders; for a race a joint folder (`lossreel plane RUN RUN --out JOINT`), for instability the folder
    /// of the analysis. Of a file of weights the folder that `lossreel surface --weights` or `lossreel curve --out`
    /// wrote, as contour, surface, heatmap or curve.
    #[arg(
        required_unless_present_any = ["curve_file", "grid_file"],
        conflicts_with = "grid_file",
        value_name = "RUN"
    )]
    runs: Vec<PathBuf>,
    /// Draw the surface in a file of Li et al.'s code (HDF5) instead of a run's, as contour, surface or
    /// heatmap; repeat it for surfaces side by side (twelve at most), or one after the other with --as
    /// moving.
    #[arg(long, value_name = "FILE.h5")]
    grid_file: Vec<PathBuf>,
    /// Which quantity of the file: train_loss by default.
    #[arg(long, value_name = "NAME", requires = "grid_file")]
    file_quantity: Option<String>,
    /// A projection file of that code (HDF5): the path to draw over the surface of --grid-file.
    #[arg(long, value_name = "FILE.h5", requires = "grid_file")]
    path_file: Option<PathBuf>,
    /// What to draw.
    #[arg(long = "as", value_name = "SCENE", default_value = "contour")]
    scene: SceneName,
    /// Plane, by name.
    #[arg(long, default_value = "pca")]
    plane: String,
    /// Surface, by name; the plane's by default. With --as curve, the curve's name, or several with commas.
    #[arg(long)]
    surface: Option<String>,
    /// Headline.
    #[arg(long)]
    title: Option<String>,
    /// Titles of the panels, one a run.
    #[arg(long, value_name = "TITLE")]
    panel_title: Vec<String>,
    /// contour, surface: panels a row; by default as many as show them largest.
    #[arg(long, value_name = "N")]
    columns: Option<usize>,
    /// contour, surface: titles above the columns, one for each, from the left.
    #[arg(long, value_name = "TITLE", requires = "columns")]
    column_title: Vec<String>,
    /// contour, surface: titles beside the rows, one for each, from the top.
    #[arg(long, value_name = "TITLE", requires = "columns")]
    row_title: Vec<String>,
    /// Words and arrows over the picture, from a file of [[note]] tables with text, at (shares of the page,
    /// [0, 0] is its top left corner), and to (the tip of an arrow), from, until (seconds), size, color.
    #[arg(long, value_name = "FILE.toml")]
    annotate: Option<PathBuf>,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    scenes: Options,
    #[command(flatten)]
    space: LookArgs,
}

const EXAMPLES: &str = "\
Examples:
  lossreel render RUN --out film.mp4 --size 1920x1080 --fps 60 --theme dark
  lossreel render RUN --out film.gif --size 960x540 --max-size 4MB --poster --contact-sheet
  lossreel render RUN --out slide.mp4 --size 854x480 --scale 1.5
  lossreel render RUN --out poster.svg --theme print
  lossreel render RUN --out - --format y4m | ffmpeg -i - -c:v libsvtav1 film.webm";

/// What the pictures are like.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Look")]
pub struct Look {
    /// Pixels across and down, 320x180 to 4096x4096; also 480p, 720p, 1080p, 1440p, 4k, and for
    /// telephones square (1080x1080) and vertical (1080x1920). MP4 and Y4M
    /// round odd numbers down. column is a figure for one column of a paper: 3.3 inches wide in a PDF, type
    /// of 7 to 8 points, no headline and no caption.
    #[arg(long, default_value = "1280x720", value_name = "WxH")]
    size: String,
    /// How many times larger type, lines and markers are: 1.5 to 2 keeps a film legible that is
    /// watched at half its size.
    #[arg(long, default_value_t = 1.0)]
    scale: f32,
    /// light, dark (for a projector), print (greys), or a file of one's own colours (theme.toml).
    #[arg(long, default_value = "light", value_name = "NAME|FILE.toml")]
    theme: String,
    /// Colour map instead of the theme's: lagoon, viridis, cividis, magma, inferno, greys or
    /// diverging; -r behind the name turns it over.
    #[arg(long, value_name = "NAME")]
    colormap: Option<String>,
    /// Leave the caption out.
    #[arg(long)]
    no_caption: bool,
    /// A line below the headline.
    #[arg(long, value_name = "TEXT")]
    subtitle: Option<String>,
    /// Who made the picture or its data: at the end of the caption.
    #[arg(long, value_name = "TEXT")]
    credit: Option<String>,
    /// A TrueType or OpenType font for the characters that the built-in one lacks, as for titles in
    /// Chinese, Japanese or Korean.
    #[arg(long, value_name = "FILE.ttf")]
    font: Option<PathBuf>,
}

/// A figure for one column of a paper.
struct Column {
    name: &'static str,
    pixels: [u32; 2],
    pixels_an_inch: f32,
    /// How much larger type is than on a screen of so many pixels.
    scale: f32,
}

/// 3.3 inches at 300 pixels an inch; small type is 7.3 points there.
const COLUMN: Column =
    Column { name: "column", pixels: [990, 780], pixels_an_inch: 300.0, scale: 2.7 };

impl Look {
    /// The file at `path` with this look.
    pub fn output(&self, path: impl Into<PathBuf>) -> Result<Output> {
        if let Some(font) = &self.font {
            add_fallback(font)?;
        }
        let mut output = Output::new(path);
        let is_file = self.theme.ends_with(".toml") || self.theme.contains('/');
        let theme = match is_file {
            true => Theme::read(Path::new(&self.theme))?,
            false => Theme::by_name(&self.theme)?,
        };
        output.theme = Theme { scale: self.scale, ..theme };
        if self.size == COLUMN.name {
            [output.width, output.height] = COLUMN.pixels;
            output.paper.pixels_an_inch = COLUMN.pixels_an_inch;
            output.paper.as_high_as_needed = true;
            output.theme.scale *= COLUMN.scale;
            (output.theme.words.headline, output.theme.words.caption) = (false, false);
        } else {
            [output.width, output.height] = size(&self.size)?;
        }
        let words = &mut output.theme.words;
        words.caption &= !self.no_caption;
        words.subtitle = self.subtitle.clone().unwrap_or_default();
        words.credit = self.credit.clone().unwrap_or_default();
        if let Some(name) = &self.colormap {
            output.theme = output.theme.with_colormap(Colormap::by_name(name)?);
        }
        Ok(output)
    }
}

/// Which files are written, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Files")]
struct Files {
    /// The file, numbered files (frames/%05d.png), or - for stdout.
    #[arg(long, value_name = "FILE", required_unless_present = "frames_dir")]
    out: Option<PathBuf>,
    /// Write each frame to DIR/00001.png and so on: short for --out DIR/%05d.png.
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    frames_dir: Option<PathBuf>,
    /// png, svg, pdf, gif, mp4, y4m or raw (RGBA), where the name does not say it.
    #[arg(long)]
    format: Option<String>,
    /// Frames a second; 30, or 20 for GIF.
    #[arg(long)]
    fps: Option<u32>,
    /// Frames in all, the held ones at the end included; ten seconds' worth by default.
    #[arg(long)]
    frames: Option<usize>,
    /// How good an MP4 looks, 1 to 100.
    #[arg(long, default_value_t = 80)]
    quality: u8,
    /// Let a GIF mix colours that its 255 do not have, by a pattern that does not move: smoother
    /// shading, larger file. Surfaces in space are always so.
    #[arg(long)]
    dither: bool,
    /// Leave the page of a still (PNG, SVG, PDF) transparent, for a slide or a web page of another colour.
    #[arg(long)]
    transparent: bool,
    /// Draw the text of an SVG as outlines: it looks the same in every program, and is no text any more.
    #[arg(long)]
    outlines: bool,
    /// The most a GIF or MP4 may have, as 8MB or 500kB: frames a second, colours or quality, and
    /// size are given up, in this order, until it fits.
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
    /// How often a GIF plays: 1 rests on its last frame, as in slides; for ever by default.
    #[arg(long, value_name = "TIMES")]
    r#loop: Option<u16>,
    /// Write a still beside the film as well: --poster=FILE, a .png, .svg or .pdf; the film's name with .png
    /// without one.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    poster: Option<Option<PathBuf>>,
    /// Write nine frames on one page as well: --contact-sheet=FILE, a .png; the film's name with .sheet.png
    /// without one.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    contact_sheet: Option<Option<PathBuf>>,
}

/// Gathers the scene, draws, encodes.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let mut output = output(&args.look, &args.files)?;
    if args.scenes.in_space(args.scene) {
        // A lit surface has more shades than a GIF has colours.
        output.dither = Dither::Ordered;
    }
    if let Some(path) = &args.annotate {
        output.notes = Note::read(path)?;
    }
    output.theme.words.scales = !args.space.no_axes;
    let request = SceneRequest {
        grid_files: args.grid_file,
        file_quantity: args.file_quantity,
        path_file: args.path_file,
        plane: args.plane,
        surface: args.surface,
        title: args.title,
        panel_titles: args.panel_title,
        table: PanelTable {
            columns: args.columns,
            column_titles: args.column_title,
            row_titles: args.row_title,
        },
        film: args.scenes.film()?,
        ..SceneRequest::new(args.scenes.scene(args.scene, &args.space)?, args.runs)
    };
    let request = SceneRequest { curve_files: args.scenes.curve_file, ..request };
    let scene = request.gather()?;
    for sentence in request.behind()? {
        out.note(format_args!("lossreel: {sentence}; `lossreel curvature RUN` computes the rest"));
    }
    let bar = progress::bar(out, "rendering", "frames", 0);
    let begun = Instant::now();
    let written = write(&scene, &output, &bar);
    let wall_secs = begun.elapsed().as_secs_f64();
    bar.finish_and_clear();
    match written {
        // The reader of our frames has seen enough.
        Err(Error::Io { source, .. })
            if output.to_stdout() && source.kind() == io::ErrorKind::BrokenPipe => {}
        written => print(&written?, &output, wall_secs, out),
    }
    Ok(())
}

fn output(look: &Look, files: &Files) -> Result<Output> {
    let path = match (&files.out, &files.frames_dir) {
        (Some(path), _) => path.clone(),
        (None, Some(folder)) => folder.join("%05d.png"),
        (None, None) => PathBuf::from("-"), // clap refuses this
    };
    let mut output = look.output(path)?;
    output.format = files.format.as_deref().map(Format::by_name).transpose()?;
    if output.to_stdout() && output.format.is_none() {
        let remedy = "add --format y4m or --format raw";
        return Err(Error::bad_value("--out", "-", "a stream of unknown format", remedy));
    }
    if let Some(fps) = files.fps {
        output.fps = fps;
        output.frames = 10 * fps as usize;
    }
    if let Some(frames) = files.frames {
        output.frames = frames;
    }
    output.quality = files.quality;
    output.paper.outlines = files.outlines;
    output.paper.transparent = files.transparent;
    output.dither = if files.dither { Dither::Ordered } else { Dither::None };
    if files.r#loop == Some(0) {
        return Err(Error::bad_value("--loop", 0, "no film", "use 1 or more, or leave it out"));
    }
    output.loops = files.r#loop;
    output.max_bytes = files.max_size.as_deref().map(bytes).transpose()?;
    let beside = |given: &Option<Option<PathBuf>>, flag: &str, extension: &str| match given {
        Some(None) if output.to_stdout() || output.numbered().is_some() => {
            let remedy = format!("name its file, as in {flag} name.png");
            Err(Error::bad_value(flag, "", "without a film's name to go by", remedy))
        }
        Some(file) => {
            Ok(Some(file.clone().unwrap_or_else(|| output.path.with_extension(extension))))
        }
        None => Ok(None),
    };
    let poster = beside(&files.poster, "--poster", "png")?;
    let contact_sheet = beside(&files.contact_sheet, "--contact-sheet", "sheet.png")?;
    (output.poster, output.contact_sheet) = (poster, contact_sheet);
    Ok(output)
}

/// `1280x720`, or a height by its name.
fn size(text: &str) -> Result<[u32; 2]> {
    let named = match text.to_lowercase().as_str() {
        "480p" => Some([854, 480]),
        "720p" => Some([1280, 720]),
        "1080p" => Some([1920, 1080]),
        "1440p" => Some([2560, 1440]),
        "4k" | "2160p" => Some([3840, 2160]),
        "square" => Some([1080, 1080]),
        "vertical" => Some([1080, 1920]),
        _ => None,
    };
    let given = || {
        let (width, height) = text.split_once('x')?;
        Some([width.trim().parse().ok()?, height.trim().parse().ok()?])
    };
    named.or_else(given).ok_or_else(|| {
        Error::bad_value("--size", text, "not width x height", "write 1280x720 or 1080p")
    })
}

/// `8MB`, `500kB`, `1.5 MiB`, `300000`: bytes.
fn bytes(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match text[digits.len()..].trim().to_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => f64::NAN,
    };
    let number = digits.parse::<f64>().unwrap_or(f64::NAN) * unit;
    if (1.0..1e15).contains(&number) {
        return Ok(number as u64);
    }
    Err(Error::bad_value("--max-size", text, "not a number of bytes", "write 8MB or 500kB"))
}

/// Draws and encodes a scene, showing progress.
pub fn write(scene: &SceneData, output: &Output, bar: &ProgressBar) -> Result<RenderReport> {
    scene.write(output, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })
}

fn print(report: &RenderReport, output: &Output, wall_secs: f64, out: &Out) {
    for warning in &report.warnings {
        out.note(format_args!("lossreel: {warning}"));
    }
    let size = format!("{}x{}, {:.2} MB", report.width, report.height, report.bytes as f64 / 1e6);
    let film = match report.frames {
        1 => String::new(),
        frames => {
            let (fps, secs) = (report.fps, duration(report.seconds));
            format!("{frames} frames at {fps} a second ({secs}), ")
        }
    };
    if output.to_stdout() {
        // Nothing but frames on stdout.
        return out.note(format_args!("stdout: {film}{size}"));
    }
    let json = serde_json::json!({
        "file": output.path.display().to_string(),
        "frames": report.frames,
        "seconds": report.seconds,
        "wall_seconds": wall_secs,
        "bytes": report.bytes,
        "width": report.width,
        "height": report.height,
        "fps": report.fps,
        "poster": output.poster.as_ref().map(|path| path.display().to_string()),
        "contact_sheet": output.contact_sheet.as_ref().map(|path| path.display().to_string()),
        "warnings": report.warnings,
    });
    out.result(&json, |w| {
        writeln!(w, "{}: {film}{size}", output.path.display())?;
        let more = output.poster.iter().chain(&output.contact_sheet);
        more.into_iter().try_for_each(|path| writeln!(w, "{}", path.display()))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let cases = [("8MB", 8_000_000), ("500kB", 500_000), ("1.5 MiB", 1_572_864), ("77", 77)];
        for (text, want) in cases {
            assert_eq!(bytes(text).unwrap(), want, "{text}");
        }
        for text in ["", "MB", "-1MB", "8 bananas", "1e99GB", "0"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(size("4k").unwrap(), [3840, 2160]);
        assert_eq!(size("640x360").unwrap(), [640, 360]);
        assert_eq!(size("Vertical").unwrap(), [1080, 1920]);
        assert!(size("640").is_err());
    }
}
