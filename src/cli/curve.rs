//! `lossreel curve`

use std::path::{Path, PathBuf};

use lossreel::dataset::SplitName;
use lossreel::landscape::Axis;
use lossreel::stages::cost::{self, Cost};
use lossreel::stages::curve::{Curve, CurveRequest, Line, compute};
use lossreel::{Error, Result};
use serde::Serialize;

use super::dry_run::{self, Plan};
use super::grid_size::parse_range;
use super::interrupt;
use super::out::{Out, one_line, warn};
use super::plane::Random;
use super::progress::Follow;
use super::target::{Pixels, Sample, Target};

/// Evaluate loss and accuracy along a line, resumably.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    sample: Sample,
    /// random, or an HDF5 direction file of the paper's code: of weights or of states.
    #[arg(long, default_value = "random", value_name = "random|FILE")]
    direction: String,
    /// The line to the network of another file of weights, which is at 1 with its own BatchNorm statistics
    /// (those between are interpolated). FILE:KEY chooses among several networks in it.
    #[arg(long, value_name = "FILE[:KEY]", conflicts_with = "direction")]
    to: Option<PathBuf>,
    #[command(flatten)]
    random: Random,
    /// First and last coordinate.
    #[arg(long, default_value = "-1,1", value_name = "MIN,MAX", allow_hyphen_values = true)]
    range: String,
    /// Number of points.
    #[arg(long, default_value_t = 51)]
    points: usize,
    /// Name of the curve in the run folder.
    #[arg(long, default_value = "curve")]
    name: String,
    /// Folder of the curve; needed with --weights to keep and resume it.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replace another curve of that name.
    #[arg(long)]
    force: bool,
    /// Print how much would be evaluated and what it would cost, and stop.
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    curve: &'a Curve,
    norm_stats: Pixels<'a>,
}

/// The line to another file of weights: `FILE`, or `FILE:KEY`.
fn line_to(path: &Path) -> Line {
    let text = path.to_string_lossy();
    match text.rsplit_once(':') {
        Some((file, key)) if !path.exists() => {
            Line::To { path: file.into(), key: Some(key.into()) }
        }
        _ => Line::To { path: path.to_path_buf(), key: None },
    }
}

/// All training images by default.
pub fn run(args: Args, out: &Out) -> Result<()> {
    if !(1..=100_000).contains(&args.points) {
        return Err(Error::bad_value(
            "--points",
            args.points,
            "not a number of points",
            "use 1 to 100000",
        ));
    }
    let [(min, max), _] = parse_range(&args.range)?;
    let axis = Axis { min, max, n: args.points };
    let line = match (&args.to, args.direction.as_str()) {
        (Some(path), _) => line_to(path),
        (None, "random") => Line::Random {
            norm: args.random.norm,
            ignore: args.random.ignore,
            seed: args.random.seed,
        },
        (None, file) => Line::File(file.into()),
    };
    let run = args.target.open_run()?;
    let subject = args.target.subject()?;
    let sample = args.sample.choice(SplitName::Train, None);
    if args.dry_run {
        let folder = match (&args.out, &run) {
            (Some(folder), _) => folder.clone(),
            (None, Some(run)) => run.curve_dir(&args.name)?,
            (None, None) => std::env::temp_dir(),
        };
        let objective = subject.objective(sample)?;
        let samples = objective.samples();
        let seconds = cost::evaluation_seconds(&objective, &subject.theta, args.points)?;
        let cost = Cost::new(cost::evaluation_bytes(&subject, samples), seconds);
        let plan = Plan { what: "points of a line", points: args.points, samples, into: &folder };
        dry_run::print(&plan, &cost, out);
        return Ok(());
    }
    // Without a place to keep it the curve lives in a private temporary folder as long as this command.
    let mut scratch = None;
    let folder = match (&args.out, &run) {
        (Some(folder), _) => folder.clone(),
        (None, Some(run)) => run.curve_dir(&args.name)?,
        (None, None) => {
            let folder = tempfile::Builder::new().prefix("lossreel-curve-").tempdir();
            let folder = folder.map_err(Error::io("make a folder", std::env::temp_dir()))?;
            scratch.insert(folder).path().to_path_buf()
        }
    };
    let stop = interrupt::flag();
    let bar = Follow::new(out, "curve", "points");
    let request = CurveRequest { line, axis, sample, replace: args.force };
    let result = compute(&subject, &folder, &request, &stop, &|done, total| bar.on(done, total));
    bar.finish();
    drop(scratch);
    let curve = result?;
    for note in &curve.notes {
        warn(format_args!("{}", one_line(note)));
    }
    let report = Report { curve: &curve, norm_stats: Pixels::of(&subject) };
    out.result(&report, |w| {
        writeln!(w, "{}, {} {} images", curve.direction, curve.samples, curve.split)?;
        writeln!(w, "{:>10} {:>14} {:>12} {:>10}", "x", "loss", "std. error", "accuracy")?;
        for p in &curve.points {
            writeln!(
                w,
                "{:>10.4} {:>14.6} {:>12.6} {:>8.2} %",
                p.x,
                p.loss,
                p.loss_se,
                100.0 * p.accuracy
            )?;
        }
        let broken = curve.points.iter().filter(|p| !p.loss.is_finite()).count();
        if broken > 0 {
            writeln!(w, "at {broken} points the loss is not a finite number")?;
        }
        Ok(())
    });
    Ok(())
}
