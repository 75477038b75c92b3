//! `lossreel function`

use std::io;
use std::path::{Path, PathBuf};

use lossreel::objective::TestFunction;
use lossreel::render::film::{self, Output};
use lossreel::render::scenes::optimizers::OptimizerShow;
use lossreel::stages::function::{
    FunctionRequest, MOST_STARTS, OptimizerPath, contenders, run as walk, spread_starts, write,
};
use lossreel::stages::function_film::{FunctionLook, gather};
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::{self, Out};
use super::progress;
use super::render::Look;

/// Run optimizers on a function of two variables and draw their paths.
///
/// Each rule goes its way from one start. A film shows the steps one by one, with an arrow for the first
/// moment and an ellipse for the second; a picture shows the whole paths; .json and .csv hold the points
/// with the optimizers' states.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The function: rosenbrock, beale, himmelblau, saddle, ravine, rotated_ravine or rastrigin.
    function: TestFunction,
    /// The optimizers, with commas between them: the rules of a spec, where sgd is without momentum,
    /// and momentum and nesterov (both 0.9). sgd, momentum and adam by default, sgd with --vary.
    #[arg(long, value_name = "RULES")]
    rules: Option<String>,
    /// Where all begin; a point that suits the function by default.
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true)]
    start: Option<String>,
    /// One rule from so many points that are spread over the window: which of the minima each path ends in.
    #[arg(long, value_name = "N", conflicts_with_all = ["start", "vary"])]
    starts: Option<usize>,
    /// Steps.
    #[arg(long, default_value_t = 100, value_name = "N")]
    steps: usize,
    /// A hyperparameter: optim.lr=0.01 of all rules, adam.lr=0.01 of one. Without a learning rate each
    /// rule has the one of a grid with which its values end lowest.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// One rule with several values of a hyperparameter: optim.momentum=0,0.5,0.9.
    #[arg(long, value_name = "KEY=A,B,..")]
    vary: Option<String>,
    /// The part of the plane that is drawn: both ends along x, then along y.
    #[arg(long, value_name = "X0,X1,Y0,Y1", allow_hyphen_values = true)]
    window: Option<String>,
    /// Headline.
    #[arg(long)]
    title: Option<String>,
    /// A file to write: .gif, .mp4 or .y4m for a film, .png, .svg or .pdf for a picture, .json or .csv
    /// for the points. Repeat it for several.
    #[arg(long, value_name = "FILE")]
    out: Vec<PathBuf>,
    /// Frames a second; 30, or 20 for GIF.
    #[arg(long)]
    fps: Option<u32>,
    /// Frames in all, the held ones at the end included; ten seconds' worth by default.
    #[arg(long)]
    frames: Option<usize>,
    #[command(flatten)]
    look: Look,
}

const EXAMPLES: &str = "\
Examples:
  lossreel function rosenbrock --rules sgd,momentum,adam --out paths.mp4
  lossreel function rosenbrock --start=-1.5,2 --steps 200 --set optim.lr=0.001 --out paths.png
  lossreel function ravine --vary optim.momentum=0,0.5,0.9,0.99 --set optim.lr=0.01 --out paths.gif
  lossreel function beale --rules adam,rmsprop --out paths.json --out paths.csv";

/// The last point of each path, for `--json`; the points are in the files.
#[derive(Serialize)]
struct Summary<'a> {
    function: TestFunction,
    start: [f64; 2],
    steps: usize,
    optimizers: Vec<End<'a>>,
    #[serde(serialize_with = "out::paths")]
    files: &'a Vec<PathBuf>,
}

#[derive(Serialize)]
struct End<'a> {
    name: &'a str,
    hyperparameters: &'a str,
    learning_rate: f64,
    lr_chosen: bool,
    steps: usize,
    theta: [f64; 2],
    value: f64,
    distance_to_minimum: f64,
    diverged_at: Option<usize>,
}

/// Runs, writes, tells.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let default =
        if args.vary.is_some() || args.starts.is_some() { "sgd" } else { "sgd,momentum,adam" };
    let rules = args.rules.as_deref().unwrap_or(default);
    let start = args.start.as_deref().map(|text| numbers("--start", text, "-1.5,2"));
    let window = args.window.as_deref().map(|text| numbers("--window", text, "-2,2,-1,3"));
    let window = window.transpose()?.map(|[x0, x1, y0, y1]: [f64; 4]| [[x0, x1], [y0, y1]]);
    let request = FunctionRequest {
        function: args.function,
        starts: match args.starts {
            Some(n) if n > MOST_STARTS => {
                let remedy = format!("use 2 to {MOST_STARTS}");
                return Err(Error::bad_value("--starts", n, "too many to be seen", remedy));
            }
            Some(n) => spread_starts(args.function, n),
            None => vec![start.transpose()?.unwrap_or(args.function.start())],
        },
        steps: args.steps,
        contenders: contenders(rules, &args.set, args.vary.as_deref())?,
    };
    // What cannot be written is refused before anything is.
    let is_data = |path: &&PathBuf| matches!(extension(path).as_str(), "json" | "csv");
    let pictures: Vec<Output> = (args.out.iter().filter(|path| !is_data(path)))
        .map(|path| {
            let mut output = args.look.output(path)?;
            output.fps = args.fps.unwrap_or(output.fps);
            output.frames = args.frames.unwrap_or(match args.fps {
                Some(fps) => 10 * fps as usize,
                None => output.frames,
            });
            output.check()?;
            Ok(output)
        })
        .collect::<Result<_>>()?;
    let paths = walk(&request)?;
    for path in args.out.iter().filter(is_data) {
        write(path, &request, &paths)?;
    }
    for output in &pictures {
        let (format, size) = output.check()?;
        let title = args.title.clone();
        let moves = format.moves() || output.numbered().is_some();
        let film = gather(&request, &paths, &FunctionLook { title, window, moves })?;
        let (frames, fps) = (output.frames, output.fps);
        let show = OptimizerShow::new(&film, &output.theme, size, frames, fps)?;
        let bar = progress::bar(out, "rendering", "frames", 0);
        let report = film::write_show(&show, output, &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        for warning in report?.warnings {
            out.note(format_args!("lossreel: {warning}"));
        }
    }
    print(&request, &paths, &args.out, out);
    Ok(())
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// `-1.5,2`: as many numbers as there are to be.
fn numbers<const N: usize>(key: &str, text: &str, example: &str) -> Result<[f64; N]> {
    let found: Option<Vec<f64>> = text.split(',').map(|v| v.trim().parse().ok()).collect();
    found.and_then(|v| <[f64; N]>::try_from(v).ok()).ok_or_else(|| {
        let problem = format!("not {N} numbers");
        Error::bad_value(key, text, problem, format!("write {key}={example}"))
    })
}

fn print<'a>(
    request: &FunctionRequest,
    paths: &'a [OptimizerPath],
    files: &'a Vec<PathBuf>,
    out: &Out,
) {
    let end = |path: &'a OptimizerPath| -> Option<End<'a>> {
        let OptimizerPath { name, hyperparameters, optim, lr_chosen, diverged_at, points } = path;
        let last = points.last()?;
        let away = |m: &[f64; 2]| (last.theta[0] - m[0]).hypot(last.theta[1] - m[1]);
        let minima = request.function.minima().iter();
        Some(End {
            name,
            hyperparameters,
            learning_rate: optim.lr(),
            lr_chosen: *lr_chosen,
            steps: last.step,
            theta: last.theta,
            value: last.value,
            distance_to_minimum: minima.map(away).fold(f64::INFINITY, f64::min),
            diverged_at: *diverged_at,
        })
    };
    let summary = Summary {
        function: request.function,
        start: request.starts[0],
        steps: request.steps,
        optimizers: paths.iter().filter_map(end).collect(),
        files,
    };
    out.result(&summary, |w| text(w, &summary));
}

fn text(w: &mut dyn io::Write, summary: &Summary) -> io::Result<()> {
    let widest = summary.optimizers.iter().map(|o| o.name.chars().count()).max().unwrap_or(0);
    for o in &summary.optimizers {
        let [x, y] = o.theta.map(|v| out::value(v, 4));
        write!(w, "{:<widest$}  ", o.name)?;
        match o.diverged_at {
            Some(step) => write!(w, "diverged at step {step}")?,
            None => write!(w, "value {:.3e} at ({x}, {y})", o.value)?,
        }
        writeln!(w, "; {}{}", o.hyperparameters, if o.lr_chosen { " (chosen)" } else { "" })?;
    }
    Ok(())
}
