//! `lossreel render`

use std::path::PathBuf;

use indicatif::ProgressBar;
use lossreel::landscape::parse_size;
use lossreel::record::Run;
use lossreel::render::film::{self, Output, RenderReport};
use lossreel::render::show::Show;
use lossreel::render::theme::Theme;
use lossreel::{Error, Result};

use super::out::{Out, duration};
use super::progress;
use super::scenes::{Options, Request};
use super::surface_look::LookArgs;

/// Make a picture or a film of one run, or of several side by side.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folders; for a race a joint folder (`lossreel plane RUN RUN --out JOINT`).
    #[arg(
        required_unless_present_any = ["curve_file", "grid_file"],
        conflicts_with = "grid_file",
        value_name = "RUN"
    )]
    runs: Vec<PathBuf>,
    /// Draw the surface in a file of Li et al.'s code (HDF5) instead of a run's, as contour or
    /// surface; repeat it for surfaces side by side.
    #[arg(long, value_name = "FILE.h5")]
    grid_file: Vec<PathBuf>,
    /// Which quantity of the file: train_loss by default.
    #[arg(long, value_name = "NAME", requires = "grid_file")]
    file_quantity: Option<String>,
    /// What to draw.
    #[arg(long = "as", value_name = "SCENE", default_value = "contour")]
    scene: Scene,
    /// The file; .gif and .mp4 are films, .png and .svg the last frame.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Plane, by name.
    #[arg(long, default_value = "pca")]
    plane: String,
    /// Surface, by name; the plane's by default. With --as curve, the curve's name.
    #[arg(long)]
    surface: Option<String>,
    /// Headline.
    #[arg(long)]
    title: Option<String>,
    /// Titles of the panels, one a run.
    #[arg(long, value_name = "TITLE")]
    panel_title: Vec<String>,
    /// Pixels across and down.
    #[arg(long, default_value = "1280x720", value_name = "WxH")]
    size: String,
    /// Frames a second; 30, or 20 for GIF.
    #[arg(long)]
    fps: Option<u32>,
    /// Frames in all, the held ones at the end included; ten seconds' worth by default.
    #[arg(long)]
    frames: Option<usize>,
    /// light, dark (projector) or print.
    #[arg(long, default_value = "light")]
    theme: String,
    #[command(flatten)]
    scenes: Options,
    #[command(flatten)]
    look: LookArgs,
}

/// A scene by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scene {
    /// Contours of the surface with the path moving over them.
    Contour,
    /// The surface in space, with the path lying on it.
    Surface,
    /// Loss and accuracy along a line.
    Curve,
    /// Explained variance of the path beside a random walk's.
    Spectrum,
    /// A quantity of the surface's cells, not interpolated.
    Heatmap,
    /// The weights of each layer.
    Histograms,
    /// One path in a random plane and in its principal plane, to one scale.
    Shadow,
    /// The decision boundary of a net on points of the plane, beside its path.
    Boundary,
    /// A surface that changes (`lossreel surface RUN --stack snapshots`).
    Moving,
    /// Several runs on one plane, with the finishing order.
    Race,
}

/// Gathers the scene, draws, encodes.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let output = output(&args)?;
    // A race's folder is no run: it is opened where the race is gathered.
    let folders = if args.scene == Scene::Race { &[][..] } else { &args.runs[..] };
    let runs = folders.iter().map(Run::open).collect::<Result<Vec<_>>>()?;
    let panels = match args.scene {
        Scene::Curve if !args.scenes.curve_file.is_empty() => args.scenes.curve_file.len(),
        _ => runs.len() + args.grid_file.len(),
    };
    let titled = !args.panel_title.is_empty() && args.scene != Scene::Race;
    if titled && args.panel_title.len() != panels {
        return Err(Error::bad_value(
            "--panel-title",
            args.panel_title.len(),
            format!("titles for {panels} panels"),
            "give one for each run or file",
        ));
    }
    let request = Request {
        folders: &args.runs,
        runs: &runs,
        plane: &args.plane,
        surface: args.surface.as_deref(),
        title: args.title.as_deref(),
        panel_titles: &args.panel_title,
        grid_files: &args.grid_file,
        file_quantity: args.file_quantity.as_deref(),
    };
    let scenes = &args.scenes;
    let of_files = matches!(args.scene, Scene::Contour | Scene::Surface);
    if !args.grid_file.is_empty() && !of_files {
        return Err(Error::bad_value(
            "--as",
            "a scene",
            "which a surface file does not hold",
            "draw it --as surface or contour",
        ));
    }
    if args.runs.is_empty() && args.grid_file.is_empty() && args.scene != Scene::Curve {
        return Err(Error::bad_value("--as", "a scene", "without a run", "name a run folder"));
    }
    let bar = progress::bar(out, "rendering", "frames", 0);
    let mut report = None;
    let mut deliver = |show: &dyn Show| {
        report = Some(film::write_show(show, &output, &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        })?);
        Ok(())
    };
    let delivered = match args.scene {
        Scene::Contour => scenes.contour(&request, &output, &mut deliver),
        Scene::Surface => scenes.surface(&request, &args.look, &output, &mut deliver),
        Scene::Curve => scenes.curve(&request, &output, &mut deliver),
        Scene::Spectrum => scenes.spectrum(&request, &output, &mut deliver),
        Scene::Heatmap => scenes.heatmap(&request, &output, &mut deliver),
        Scene::Histograms => scenes.histograms(&request, &output, &mut deliver),
        Scene::Shadow => scenes.shadow(&request, &output, &mut deliver),
        Scene::Boundary => scenes.boundary(&request, &output, &mut deliver),
        Scene::Moving => scenes.moving(&request, &output, &mut deliver),
        Scene::Race => scenes.race(&request, &output, &mut deliver),
    };
    bar.finish_and_clear();
    delivered?;
    if let Some(report) = report {
        print(&report, &output, out);
    }
    Ok(())
}

fn output(args: &Args) -> Result<Output> {
    let [width, height] = parse_size(&args.size).map_err(|_| {
        Error::bad_value("--size", &args.size, "not width x height", "write 1280x720")
    })?;
    let mut output = Output::new(&args.out);
    (output.width, output.height) = (width as u32, height as u32);
    if let Some(fps) = args.fps {
        output.fps = fps;
        output.frames = 10 * fps as usize;
    }
    if let Some(frames) = args.frames {
        output.frames = frames;
    }
    output.theme = Theme::by_name(&args.theme)?;
    Ok(output)
}

/// Draws and encodes a film, showing progress.
pub fn write(
    scene: &lossreel::render::scene::Film,
    output: &Output,
    bar: &ProgressBar,
) -> Result<RenderReport> {
    film::write(scene, output, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })
}

fn print(report: &RenderReport, output: &Output, out: &Out) {
    for warning in &report.warnings {
        out.note(format_args!("lossreel: {warning}"));
    }
    let json = serde_json::json!({
        "file": output.path,
        "frames": report.frames,
        "seconds": report.seconds,
        "bytes": report.bytes,
        "width": report.width,
        "height": report.height,
        "fps": report.fps,
        "warnings": report.warnings,
    });
    out.result(&json, |w| {
        let size =
            format!("{}x{}, {:.1} MB", report.width, report.height, report.bytes as f64 / 1e6);
        if report.frames > 1 {
            writeln!(
                w,
                "{}: {} frames at {} a second ({}), {size}",
                output.path.display(),
                report.frames,
                report.fps,
                duration(report.seconds)
            )
        } else {
            writeln!(w, "{}: {size}", output.path.display())
        }
    });
}
