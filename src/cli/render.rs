//! `lossreel render`

use std::path::PathBuf;

use indicatif::ProgressBar;
use lossreel::landscape::parse_size;
use lossreel::record::Run;
use lossreel::render::film::{Output, RenderReport};
use lossreel::render::scene::Film;
use lossreel::render::surface3d::show::SurfaceFilm;
use lossreel::render::theme::Theme;
use lossreel::render::{curve, film};
use lossreel::stages::film::{PanelSource, contour, curves};
use lossreel::stages::grid_file;
use lossreel::{Error, Result};

use super::out::{Out, duration};
use super::progress;
use super::surface_look::LookArgs;

/// Make a picture or a film of one run, or of several side by side.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folders.
    #[arg(required_unless_present = "grid_file", conflicts_with = "grid_file")]
    runs: Vec<PathBuf>,
    /// Draw the surface in a file of Li et al.'s code (HDF5) instead of a run's; repeat it for
    /// surfaces side by side.
    #[arg(long, value_name = "FILE.h5")]
    grid_file: Vec<PathBuf>,
    /// Which quantity of the file: train_loss by default.
    #[arg(long, value_name = "NAME", requires = "grid_file")]
    quantity: Option<String>,
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
    look: LookArgs,
}

/// A scene by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scene {
    /// Contours of the surface with the path moving over them.
    Contour,
    /// The surface in space, the path as a tube on it.
    Surface,
    /// Loss and accuracy along a line.
    Curve,
}

/// Gathers the scene, draws, encodes.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let output = output(&args)?;
    let runs = args.runs.iter().map(Run::open).collect::<Result<Vec<_>>>()?;
    let panels = runs.len() + args.grid_file.len();
    if !args.panel_title.is_empty() && args.panel_title.len() != panels {
        return Err(Error::bad_value(
            "--panel-title",
            args.panel_title.len(),
            format!("titles for {panels} panels"),
            "give one for each run or file",
        ));
    }
    let bar = progress::bar(out, "rendering", "frames", 0);
    let report = match args.scene {
        Scene::Contour => write(&film(&args, &runs)?, &output, &bar),
        Scene::Surface => {
            let film = film(&args, &runs)?;
            let look = args.look.look(&film, &output)?;
            let (_, size) = output.check()?;
            let (theme, frames, fps) = (&output.theme, output.frames, output.fps);
            let show = SurfaceFilm::new(&film, &look, theme, size, frames, fps)?;
            film::write_show(&show, &output, &mut |done, total| {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            })
        }
        Scene::Curve if !args.grid_file.is_empty() => Err(Error::bad_value(
            "--as",
            "curve",
            "a surface file has no curve",
            "draw it --as surface or contour",
        )),
        Scene::Curve => {
            let name = args.surface.as_deref().unwrap_or("curve");
            let folders: Vec<PathBuf> = runs.iter().map(|r| r.curve_dir(name)).collect();
            let named: Vec<_> = runs
                .iter()
                .zip(&folders)
                .enumerate()
                .map(|(i, (r, f))| {
                    (args.panel_title.get(i).cloned().unwrap_or(r.name()), f.as_path())
                })
                .collect();
            curve::write(&curves(&named, args.title.as_deref())?, &output)
        }
    };
    bar.finish_and_clear();
    print(&report?, &output, out);
    Ok(())
}

/// The surfaces, from runs or from files.
fn film(args: &Args, runs: &[Run]) -> Result<Film> {
    let title = args.title.as_deref();
    if !args.grid_file.is_empty() {
        let quantity = args.quantity.as_deref();
        return grid_file::film(&args.grid_file, quantity, &args.panel_title, title);
    }
    let source = |(i, run): (usize, &Run)| PanelSource {
        run: run.clone(),
        title: args.panel_title.get(i).cloned(),
        surface: args.surface.clone().unwrap_or(args.plane.clone()),
        plane: args.plane.clone(),
    };
    let sources: Vec<_> = runs.iter().enumerate().map(source).collect();
    contour(&sources, title)
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
