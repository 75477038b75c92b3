//! `lossreel render`

use std::path::PathBuf;

use indicatif::ProgressBar;
use lossreel::landscape::parse_size;
use lossreel::record::{Joint, Run};
use lossreel::render::film::{Output, RenderReport};
use lossreel::render::moving::MovingFilm;
use lossreel::render::race::{RaceClock, RaceFilm, RaceLayout};
use lossreel::render::show::Show;
use lossreel::render::theme::Theme;
use lossreel::render::{curve, film};
use lossreel::stages;
use lossreel::stages::film::{PanelSource, contour, curves};
use lossreel::stages::race::{RaceRequest, gather, parse_goal};
use lossreel::{Error, Result};

use super::out::{Out, duration};
use super::progress;

/// Make a picture or a film of one run, or of several side by side.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folders; for a race a joint folder (`lossreel plane RUN RUN --out JOINT`).
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
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
    /// Race: synchronise by epoch, step or wall (seconds of training).
    #[arg(long, default_value = "epoch", value_name = "CLOCK")]
    clock: RaceClock,
    /// Race: all paths in one view, or small multiples.
    #[arg(long, default_value = "one", value_name = "one|multiples")]
    layout: RaceLayout,
    /// Race: what wins: test_accuracy, test_loss, train_accuracy or train_loss; with a threshold the
    /// first to reach it.
    #[arg(long, default_value = "test_accuracy", value_name = "MEASURE[=VALUE]")]
    goal: String,
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
}

/// A scene by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scene {
    /// Contours of the surface with the path moving over them.
    Contour,
    /// Loss and accuracy along a line.
    Curve,
    /// A surface that changes (`lossreel surface RUN --stack snapshots`).
    Moving,
    /// Several runs on one plane, with the finishing order.
    Race,
}

/// Gathers the scene, draws, encodes.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let output = output(&args)?;
    if args.scene == Scene::Race {
        return race(&args, &output, out);
    }
    let runs = args.runs.iter().map(Run::open).collect::<Result<Vec<_>>>()?;
    if args.scene == Scene::Moving {
        return moving(&args, &runs, &output, out);
    }
    if !args.panel_title.is_empty() && args.panel_title.len() != runs.len() {
        return Err(Error::bad_value(
            "--panel-title",
            args.panel_title.len(),
            format!("titles for {} runs", runs.len()),
            "give one for each run",
        ));
    }
    let bar = progress::bar(out, "rendering", "frames", 0);
    let report = match args.scene {
        Scene::Contour => {
            let source = |(i, run): (usize, &Run)| PanelSource {
                run: run.clone(),
                title: args.panel_title.get(i).cloned(),
                surface: args.surface.clone().unwrap_or(args.plane.clone()),
                plane: args.plane.clone(),
            };
            let sources: Vec<_> = runs.iter().enumerate().map(source).collect();
            write(&contour(&sources, args.title.as_deref())?, &output, &bar)
        }
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
        Scene::Moving | Scene::Race => unreachable!("scenes of their own"),
    };
    bar.finish_and_clear();
    print(&report?, &output, out);
    Ok(())
}

/// A race on a joint plane.
fn race(args: &Args, output: &Output, out: &Out) -> Result<()> {
    let [folder] = &args.runs[..] else {
        return Err(Error::bad_value(
            "RUN",
            format!("{} folders", args.runs.len()),
            "but a race takes one joint folder",
            "make it: lossreel plane RUN RUN ... --out JOINT, then lossreel surface JOINT",
        ));
    };
    let request = RaceRequest {
        plane: args.plane.clone(),
        surface: args.surface.clone().unwrap_or(args.plane.clone()),
        clock: args.clock,
        layout: args.layout,
        goal: parse_goal(&args.goal)?,
        title: args.title.clone(),
        names: args.panel_title.clone(),
    };
    let race = gather(&Joint::open(folder)?, &request)?;
    let (_, size) = output.check()?;
    let show = RaceFilm::new(&race, &output.theme, size, output.frames, output.fps)?;
    write_any(&show, output, out)
}

/// A stack of surfaces of one run.
fn moving(args: &Args, runs: &[Run], output: &Output, out: &Out) -> Result<()> {
    let [run] = runs else {
        return Err(Error::bad_value(
            "RUN",
            format!("{} folders", runs.len()),
            "but a moving surface is of one run",
            "name one",
        ));
    };
    let surface = args.surface.clone().unwrap_or_else(|| format!("{}-snapshots", args.plane));
    let scene = stages::moving::gather(run, &args.plane, &surface, args.title.as_deref())?;
    let (_, size) = output.check()?;
    let show = MovingFilm::new(&scene, &output.theme, size, output.frames, output.fps)?;
    write_any(&show, output, out)
}

/// Draws and encodes any scene, showing progress, and prints what was written.
fn write_any(show: &dyn Show, output: &Output, out: &Out) -> Result<()> {
    let bar = progress::bar(out, "rendering", "frames", 0);
    let report = film::write_show(show, output, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    print(&report?, output, out);
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
