//! `lossreel recorded`

use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use lossreel::curvature::ExtremesConfig;
use lossreel::dataset::{DataSet, NormChoice, SplitName};
use lossreel::landscape::Axis;
use lossreel::models::{ModelSpec, Shortcut};
use lossreel::objective::{AskedObjective, BufferedObjective};
use lossreel::record::{EvaluatedOn, SHARPNESS_SAMPLES};
use lossreel::spec::{DataSpec, Spec};
use lossreel::stages::curvature::{CurvatureRequest, Which};
use lossreel::stages::curve::{CurveRequest, Line};
use lossreel::stages::surface::SurfaceRequest;
use lossreel::stages::{OpenRun, RunSet, SampleChoice, recorded};
use lossreel::{Error, Result};
use serde::Serialize;

use super::grid_size::{parse_range, parse_size};
use super::interrupt;
use super::out::{Out, warn};
use super::plane::Random;
use super::progress::Follow;
use super::target::Sample;

/// Evaluate a run that a training loop of one's own recorded: by the loss of the program that starts
/// this, or with --arch by the engine.
///
/// Questions go to stdout and answers are read from stdin, as docs/src/python.md describes; the last line on
/// stdout is the result. The Python package's functions surface, curve and curvature start this.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The loss over a plane of the run.
    Surface(Surface),
    /// The loss along a line.
    Curve(Curve),
    /// The ends of the Hessian's spectrum at snapshots.
    Curvature(Curvature),
}

/// The run and its loss.
#[derive(Debug, clap::Args)]
struct Loss {
    /// The run's folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The data that the loss is a mean over, in a few words.
    #[arg(long, default_value = "own data", value_name = "WORDS", conflicts_with = "arch")]
    data: String,
    /// Evaluate this architecture of lossreel's instead, whose tensors the run must have.
    #[arg(long, value_name = "NAME")]
    arch: Option<String>,
    /// With --arch: its shortcut, projection, option_a or none.
    #[arg(long, value_name = "KIND", default_value = "projection", requires = "arch")]
    shortcut: Shortcut,
    /// With --arch: any other key of a spec's [model] table.
    #[arg(long, value_name = "KEY=VALUE", requires = "arch")]
    model: Vec<String>,
    /// With --arch: the data set.
    #[arg(long, value_name = "NAME", default_value = "cifar10", requires = "arch")]
    dataset: DataSet,
    /// With --arch: the folder with its files.
    #[arg(long, value_name = "DIR", requires = "arch")]
    data_dir: Option<PathBuf>,
    /// With --arch: the pixel statistics that the training used.
    #[arg(long, value_name = "NAME", requires = "arch")]
    norm_stats: Option<NormChoice>,
    #[command(flatten)]
    sample: Sample,
    /// Replace another result of that name.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct Surface {
    #[command(flatten)]
    loss: Loss,
    /// Plane of the run, by name.
    #[arg(long, default_value = "pca")]
    plane: String,
    /// Columns and rows.
    #[arg(long, default_value = "51x51", value_name = "NXxNY")]
    grid: String,
    /// Ranges in units of the directions; holds the path with a margin by default.
    #[arg(long, value_name = "XMIN,XMAX[,YMIN,YMAX]", allow_hyphen_values = true)]
    range: Option<String>,
    /// Name of the surface; the plane's by default.
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Curve {
    #[command(flatten)]
    loss: Loss,
    /// A snapshot by its number; the last state by default.
    #[arg(long, value_name = "N")]
    snapshot: Option<usize>,
    /// random, or an HDF5 direction file.
    #[arg(long, default_value = "random", value_name = "random|FILE")]
    direction: String,
    #[command(flatten)]
    random: Random,
    /// First and last coordinate.
    #[arg(long, default_value = "-1,1", value_name = "MIN,MAX", allow_hyphen_values = true)]
    range: String,
    /// Number of points.
    #[arg(long, default_value_t = 51, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    points: u32,
    /// Name of the curve.
    #[arg(long, default_value = "curve")]
    name: String,
}

#[derive(Debug, clap::Args)]
struct Curvature {
    #[command(flatten)]
    loss: Loss,
    /// At which snapshots: all, or so many of them spread evenly.
    #[arg(long, default_value = "all", value_name = "all|N")]
    snapshots: String,
    /// At the snapshot with this number.
    #[arg(long, value_name = "N", conflicts_with = "snapshots")]
    snapshot: Option<usize>,
    /// How many of the largest eigenvalues.
    #[arg(long, default_value_t = 1, value_name = "N")]
    eigenvalues: usize,
    /// How many of the smallest.
    #[arg(long, default_value_t = 0, value_name = "N")]
    smallest: usize,
    /// Residual of an eigenvalue relative to the largest at which the iteration stops.
    #[arg(long, default_value_t = 1e-3, value_name = "SHARE")]
    tolerance: f64,
    /// Hessian-vector products at most.
    #[arg(long, default_value_t = 100, value_name = "N")]
    iterations: usize,
}

/// The last line.
#[derive(Serialize)]
struct Answer<T> {
    kind: &'static str,
    report: T,
}

#[derive(Serialize)]
struct SurfaceResult {
    name: String,
    folder: String,
    #[serde(flatten)]
    report: lossreel::landscape::SurfaceReport,
}

/// Evaluates and prints the result.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let stop = interrupt::flag_saying(None);
    match &args.what {
        What::Surface(args) => {
            let set = RunSet::open_changed(&args.loss.run)?;
            let work = Work::Surface(&set, args);
            args.loss.evaluate(&set.runs()[0], &work, &stop, out)
        }
        What::Curve(args) => {
            let run = OpenRun::open(&args.loss.run)?;
            args.loss.evaluate(&run, &Work::Curve(args), &stop, out)
        }
        What::Curvature(args) => {
            let run = OpenRun::open(&args.loss.run)?;
            args.loss.evaluate(&run, &Work::Curvature(args), &stop, out)
        }
    }
}

/// What is to be done with a loss.
enum Work<'a> {
    Surface(&'a RunSet, &'a Surface),
    Curve(&'a Curve),
    Curvature(&'a Curvature),
}

impl Loss {
    fn evaluate(&self, run: &OpenRun, work: &Work<'_>, stop: &AtomicBool, out: &Out) -> Result<()> {
        let Some(arch) = &self.arch else {
            let (_, buffers) = recorded::last_state(run)?;
            let answers = Box::new(BufReader::with_capacity(1 << 20, io::stdin()));
            let objective =
                AskedObjective::begin(answers, Box::new(io::stdout()), run.layout()?, buffers)?;
            let samples = self.sample.samples.unwrap_or(0);
            let on = EvaluatedOn::own_data(&self.data, samples);
            return work.carry_out(run, (&objective, on), stop, out);
        };
        let set: Vec<String> = self.model.iter().map(|change| format!("model.{change}")).collect();
        let model = Spec::parse("", &set)?.model;
        let model = ModelSpec { arch: arch.clone(), shortcut: self.shortcut, ..model };
        let data = DataSpec {
            set: self.dataset,
            dir: self.data_dir.clone(),
            norm_stats: self.norm_stats.clone(),
            ..DataSpec::default()
        };
        if data.norm_stats.is_none() {
            warn(format_args!(
                "nothing says which pixel statistics the run was trained with: {} is taken; --norm-stats \
                 names others, and they change every number",
                data.norm_stats()
            ));
        }
        let most = if matches!(work, Work::Curvature(_)) { SHARPNESS_SAMPLES } else { 1000 };
        let choice = self.sample.choice(SplitName::Train, Some(most));
        let (objective, on) = recorded::native(run, &model, &data, choice)?;
        work.carry_out(run, (&objective, on), stop, out)
    }
}

impl Work<'_> {
    fn carry_out<O: BufferedObjective>(
        &self,
        run: &OpenRun,
        loss: (&O, EvaluatedOn),
        stop: &AtomicBool,
        out: &Out,
    ) -> Result<()> {
        match self {
            Work::Surface(set, args) => {
                let request = SurfaceRequest {
                    size: parse_size(&args.grid)?,
                    range: args.range.as_deref().map(parse_range).transpose()?,
                    sample: SampleChoice::default(),
                    replace: args.loss.force,
                };
                let name = args.name.as_deref().unwrap_or(&args.plane);
                let bar = Follow::new(out, "surface", "cells");
                let path = Follow::new(out, "losses on the path", "snapshots");
                let result = recorded::surface(
                    set,
                    [&args.plane, name],
                    loss,
                    &request,
                    stop,
                    [&|done, total| bar.on(done, total), &|done, total| path.on(done, total)],
                );
                bar.finish();
                path.finish();
                let (store, report) = result?;
                let folder = store.folder().display().to_string();
                print(SurfaceResult { name: name.into(), folder, report })
            }
            Work::Curve(args) => {
                let [(min, max), _] = parse_range(&args.range)?;
                let line = match args.direction.as_str() {
                    "random" => Line::Random {
                        norm: args.random.norm,
                        ignore: args.random.ignore,
                        seed: args.random.seed,
                    },
                    file => Line::File(file.into()),
                };
                let request = CurveRequest {
                    line,
                    axis: Axis { min, max, n: args.points as usize },
                    sample: SampleChoice::default(),
                    bn: None,
                    calibration: 1000,
                    align: false,
                    replace: args.loss.force,
                };
                let bar = Follow::new(out, "curve", "points");
                let at = (args.name.as_str(), args.snapshot);
                let on = |done, total| bar.on(done, total);
                let result = recorded::line(run, at, loss, &request, stop, &on);
                bar.finish();
                print(result?)
            }
            Work::Curvature(args) => {
                let request = args.request()?;
                let bar = Follow::new(out, "curvature", "snapshots");
                let on = |done, total| bar.on(done, total);
                let result = recorded::curvatures(run, loss, &request, stop, &on);
                bar.finish();
                print(result?)
            }
        }
    }
}

impl Curvature {
    fn request(&self) -> Result<CurvatureRequest> {
        let which = match (self.snapshot, self.snapshots.as_str()) {
            (Some(n), _) => Which::Only(n),
            (None, "all") => Which::All,
            (None, text) => match text.parse() {
                Ok(n) if n > 0 => Which::Spread(n),
                _ => {
                    let remedy = "write all, or a number of snapshots from 1 up";
                    return Err(Error::bad_value("--snapshots", text, "neither", remedy));
                }
            },
        };
        if self.eigenvalues == 0 || self.iterations < self.eigenvalues {
            let remedy = "use at least 1, and no more than --iterations";
            return Err(Error::bad_value(
                "--eigenvalues",
                self.eigenvalues,
                "out of range",
                remedy,
            ));
        }
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            let remedy = "use a share such as 1e-3";
            return Err(Error::bad_value("--tolerance", self.tolerance, "out of range", remedy));
        }
        let config = ExtremesConfig {
            largest: self.eigenvalues,
            smallest: self.smallest,
            tolerance: self.tolerance,
            max_iterations: self.iterations,
        };
        let request = CurvatureRequest::ends(which, SampleChoice::default(), config);
        Ok(CurvatureRequest { replace: self.loss.force, ..request })
    }
}

/// The last line of all: what was found.
fn print(report: impl Serialize) -> Result<()> {
    let text = serde_json::to_string(&Answer { kind: "result", report });
    let text = text.map_err(io::Error::other);
    let mut stdout = io::stdout().lock();
    text.and_then(|text| writeln!(stdout, "{text}").and_then(|()| stdout.flush()))
        .map_err(Error::io("write the result", "-"))
}
