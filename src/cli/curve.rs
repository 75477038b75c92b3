//! `lossreel curve`

use std::path::{Path, PathBuf};

use lossreel::dataset::SplitName;
use lossreel::landscape::{Axis, Shape};
use lossreel::objective::PointPolicy;
use lossreel::record::Run;
use lossreel::stages::connect::{self, ConnectRequest};
use lossreel::stages::cost::{self, Cost};
use lossreel::stages::curve::{Curve, CurveRequest, FarEnd, Line, compute};
use lossreel::stages::{OpenRun, SampleChoice, Subject};
use lossreel::{Error, Result};
use serde::Serialize;

use super::dry_run::{self, Plan};
use super::grid_size::parse_range;
use super::interrupt;
use super::out::{Out, one_line, warn};
use super::plane::Random;
use super::progress::Follow;
use super::target::{Pixels, Sample, Target};

/// Evaluate loss and accuracy along a line, resumably: along a direction, or from one network to another.
///
/// Of two networks the barrier between them is told, with its standard error. RUN@12 is snapshot 12 of a run.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// The other end: a run, a snapshot of one (RUN@12), or a file of weights (FILE or FILE:KEY). It is at 1,
    /// with its own BatchNorm statistics (those between are interpolated, or what --bn says).
    #[arg(value_name = "TO", conflicts_with_all = ["direction", "to", "weights"])]
    other: Option<PathBuf>,
    #[command(flatten)]
    sample: Sample,
    /// random, or an HDF5 direction file of the paper's code: of weights or of states.
    #[arg(long, default_value = "random", value_name = "random|FILE")]
    direction: String,
    /// The same as TO, which goes with --weights as well: a run, RUN@12, or a file of weights. FILE:KEY chooses
    /// among several networks in it.
    #[arg(long, value_name = "TO", conflicts_with = "direction")]
    to: Option<PathBuf>,
    #[command(flatten)]
    random: Random,
    /// First and last coordinate; -1,1 by default, and 0,1 to another network named as TO.
    #[arg(long, value_name = "MIN,MAX", allow_hyphen_values = true)]
    range: Option<String>,
    /// BatchNorm statistics: frozen (those of x = 0), interpolated (on a line to another network), recalibrated
    /// (computed anew at each point on --bn-samples training images; between aligned networks, REPAIR), or
    /// batch (those of 64 images that go through together).
    #[arg(long, value_name = "POLICY")]
    bn: Option<PointPolicy>,
    /// Evaluate the line with every policy for BatchNorm's statistics, side by side.
    #[arg(long, conflicts_with_all = ["bn", "shape", "dry_run"])]
    compare_bn: bool,
    /// Training images that statistics are recalibrated on.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    bn_samples: usize,
    /// To another network: put its units into the order of this one's first (weight matching), so that what is
    /// left of the barrier is not their order.
    #[arg(long)]
    align: bool,
    /// To another network: train a curve between both, bezier or chain, instead of the straight line.
    #[arg(long, value_name = "bezier|chain")]
    shape: Option<Shape>,
    /// With --shape: passes over the run's training images.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "shape")]
    epochs: u64,
    /// With --shape: learning rate of SGD with momentum 0.9, which falls to zero as a cosine.
    #[arg(long, value_name = "LR", default_value_t = 0.03, requires = "shape")]
    lr: f64,
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

/// `RUN@12` in parts, where it is no path itself.
fn at_snapshot(path: &Path) -> Option<(PathBuf, usize)> {
    let (run, snapshot) = path.to_str()?.rsplit_once('@')?;
    let snapshot = snapshot.parse().ok()?;
    (!path.exists()).then(|| (run.into(), snapshot))
}

/// What is at the other end of the line from `subject`.
fn far_end(path: &Path, subject: &Subject) -> Result<FarEnd> {
    let (arch, layout) = (&subject.network().arch, &subject.network().layout);
    if let Some((run, snapshot)) = at_snapshot(path) {
        return FarEnd::of_run(arch, layout, &OpenRun::open(run)?, Some(snapshot));
    }
    if path.is_dir() {
        return FarEnd::of_run(arch, layout, &OpenRun::open(path)?, None);
    }
    let text = path.to_string_lossy();
    match text.rsplit_once(':') {
        Some((file, key)) if !path.exists() => {
            FarEnd::of_file(arch, layout, Path::new(file), Some(key))
        }
        _ => FarEnd::of_file(arch, layout, path, None),
    }
}

/// All training images by default.
pub fn run(mut args: Args, out: &Out) -> Result<()> {
    if !(1..=100_000).contains(&args.points) {
        return Err(Error::bad_value(
            "--points",
            args.points,
            "not a number of points",
            "use 1 to 100000",
        ));
    }
    if let Some((run, snapshot)) = args.target.run.as_deref().and_then(at_snapshot) {
        if let Some(asked) = args.target.snapshot.filter(|asked| *asked != snapshot) {
            let problem = format!("but the run is named with snapshot {snapshot}");
            return Err(Error::bad_value("--snapshot", asked, problem, "name it once"));
        }
        (args.target.run, args.target.snapshot) = (Some(run), Some(snapshot));
    }
    let default = if args.other.is_some() { "0,1" } else { "-1,1" };
    let [(min, max), _] = parse_range(args.range.as_deref().unwrap_or(default))?;
    let axis = Axis { min, max, n: args.points };
    let run = args.target.open_run()?;
    let subject = args.target.subject()?;
    let far = args.other.as_ref().or(args.to.as_ref());
    let far = far.map(|path| far_end(path, &subject)).transpose()?;
    if far.is_none() && (args.align || args.shape.is_some()) {
        let option = if args.align { "--align" } else { "--shape" };
        let problem = "but no other network is named";
        return Err(Error::bad_value(option, "given", problem, "name it: lossreel curve RUN TO"));
    }
    let sample = args.sample.choice(SplitName::Train, None);
    if let (Some(shape), Some(far)) = (args.shape, &far) {
        return trained(&args, shape, (run, &subject, far.clone()), sample, out);
    }
    let line = match (far, args.direction.as_str()) {
        (Some(far), _) => Line::ToState(far),
        (None, "random") => Line::Random {
            norm: args.random.norm,
            ignore: args.random.ignore,
            seed: args.random.seed,
        },
        (None, file) => Line::File(file.into()),
    };
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
    let request = CurveRequest {
        line,
        axis,
        sample,
        bn: args.bn,
        calibration: args.bn_samples,
        align: args.align,
        replace: args.force,
    };
    if args.compare_bn {
        return compare(&subject, &folder, &request, out);
    }
    let bar = Follow::new(out, "curve", "points");
    let result = compute(&subject, &folder, &request, &stop, &|done, total| bar.on(done, total));
    bar.finish();
    drop(scratch);
    print(&result?, &subject, out);
    Ok(())
}

/// Trains a curve to another network and evaluates it.
fn trained(
    args: &Args,
    shape: Shape,
    (run, subject, far): (Option<Run>, &Subject, FarEnd),
    sample: SampleChoice,
    out: &Out,
) -> Result<()> {
    let Some(run) = run else {
        let problem =
            "but a curve is trained as a run was: with its data, augmentation and batches";
        return Err(Error::bad_value(
            "--shape",
            shape,
            problem,
            "name a run: lossreel curve RUN TO",
        ));
    };
    if args.bn.is_some_and(|bn| bn != PointPolicy::Recalibrated) || args.range.is_some() {
        let problem = "but a trained curve is evaluated from 0 to 1 with recalibrated statistics";
        let remedy = "leave out --bn and --range";
        return Err(Error::bad_value("--shape", shape, problem, remedy));
    }
    let far = if args.align { far.aligned(subject)? } else { far };
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None if args.name == "curve" => run.curve_dir(shape.as_str())?,
        None => run.curve_dir(&args.name)?,
    };
    let request = ConnectRequest {
        shape,
        epochs: args.epochs,
        lr: args.lr,
        points: args.points,
        sample,
        calibration: args.bn_samples,
        replace: args.force,
    };
    let stop = interrupt::flag();
    let (training, bar) =
        (Follow::new(out, "training", "steps"), Follow::new(out, "curve", "points"));
    let result = connect::compute(
        &run,
        subject,
        &far,
        &folder,
        &request,
        &stop,
        [&|done, total| training.on(done, total), &|done, total| bar.on(done, total)],
    );
    training.finish();
    bar.finish();
    print(&result?, subject, out);
    Ok(())
}

/// The curve with one policy.
#[derive(Serialize)]
struct OfPolicy {
    policy: PointPolicy,
    curve: Curve,
}

/// Evaluates the line of `request` with each policy, into folders beside `folder` named after them.
fn compare(subject: &Subject, folder: &Path, request: &CurveRequest, out: &Out) -> Result<()> {
    #[derive(Serialize)]
    struct Report<'a> {
        policies: &'a [OfPolicy],
        /// The largest difference between two policies' losses at one point, and where it is.
        largest_difference: f64,
        at: f64,
    }
    let stop = interrupt::flag();
    let leads = matches!(request.line, Line::To { .. } | Line::ToState(_));
    let mut found = Vec::new();
    for &policy in PointPolicy::ALL {
        if policy == PointPolicy::Interpolated && !leads {
            continue;
        }
        let request = CurveRequest { bn: Some(policy), ..request.clone() };
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let folder = folder.with_file_name(format!("{name}-{policy}"));
        let bar = Follow::new(out, policy.as_str(), "points");
        let curve = compute(subject, &folder, &request, &stop, &|done, total| bar.on(done, total));
        bar.finish();
        found.push(OfPolicy { policy, curve: curve? });
    }
    let points = found[0].curve.points.len();
    let loss = |k: usize, i: usize| found[k].curve.points[i].loss;
    let spread = |i: usize| {
        let all = || (0..found.len()).map(|k| loss(k, i));
        all().fold(f64::NEG_INFINITY, f64::max) - all().fold(f64::INFINITY, f64::min)
    };
    let widest = (0..points).max_by(|&a, &b| spread(a).total_cmp(&spread(b))).unwrap_or(0);
    let at = found[0].curve.points[widest].x;
    let report = Report { policies: &found, largest_difference: spread(widest), at };
    out.result(&report, |w| {
        write!(w, "{:>10}", "x")?;
        found.iter().try_for_each(|f| write!(w, " {:>14}", f.policy.as_str()))?;
        writeln!(w)?;
        for i in 0..points {
            write!(w, "{:>10.4}", found[0].curve.points[i].x)?;
            (0..found.len()).try_for_each(|k| write!(w, " {:>14.6}", loss(k, i)))?;
            writeln!(w)?;
        }
        for f in &found {
            if let Some(b) = f.curve.barrier {
                let se = b.se.map_or(String::new(), |se| format!(" ± {se:.4}"));
                writeln!(w, "barrier, {:<14} {:.4}{se} at {:.3}", f.policy.as_str(), b.value, b.x)?;
            }
        }
        writeln!(w, "largest difference in loss {:.4}, at x = {at:.4}", spread(widest))
    });
    Ok(())
}

/// Prints a curve.
fn print(curve: &Curve, subject: &Subject, out: &Out) {
    for note in &curve.notes {
        warn(format_args!("{}", one_line(note)));
    }
    let report = Report { curve, norm_stats: Pixels::of(subject) };
    out.result(&report, |w| {
        writeln!(w, "{}, {} {} images", curve.direction, curve.samples, curve.split)?;
        writeln!(w, "{:>10} {:>14} {:>12} {:>10}", "x", "loss", "std. error", "accuracy")?;
        for p in &curve.points {
            let accuracy = match p.accuracy.is_nan() {
                true => "-".to_string(),
                false => format!("{:.2} %", 100.0 * p.accuracy),
            };
            writeln!(w, "{:>10.4} {:>14.6} {:>12.6} {accuracy:>10}", p.x, p.loss, p.loss_se)?;
        }
        if let Some(b) = curve.barrier {
            let se = b.se.map_or(String::new(), |se| format!(" ± {se:.4}"));
            writeln!(w, "barrier between 0 and 1: {:.4}{se} in the loss, at {:.3}", b.value, b.x)?;
        }
        let broken = curve.points.iter().filter(|p| !p.loss.is_finite()).count();
        if broken > 0 {
            writeln!(w, "at {broken} points the loss is not a finite number")?;
        }
        Ok(())
    });
}
