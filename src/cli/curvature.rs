//! `lossreel curvature`

use lossreel::curvature::ExtremesConfig;
use lossreel::objective::Objective;
use lossreel::record::{CurvatureRecord, SHARPNESS_SAMPLES};
use lossreel::stages::Subject;
use lossreel::stages::cost::{self, Cost};
use lossreel::stages::curvature::{CurvatureRequest, Which, compute, of_subject, snapshots};
use lossreel::{Error, Result};
use serde::Serialize;

use super::dry_run::{self, Plan};
use super::interrupt;
use super::out::{self, Out, duration};
use super::progress::Follow;
use super::target::{Pixels, Sample, Target};

/// How sharp the loss is: the largest eigenvalue of its Hessian at each snapshot of a run, resumably,
/// or at a file of weights.
///
/// Results are kept in RUN/curvature, where `lossreel render --strip sharpness` finds them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    sample: Sample,
    /// At which snapshots: all, or so many of them spread evenly.
    #[arg(long, default_value = "all", value_name = "all|N", conflicts_with_all = ["snapshot", "weights"])]
    snapshots: String,
    /// How many of the largest eigenvalues.
    #[arg(long, default_value_t = 1, value_name = "N")]
    eigenvalues: usize,
    /// Residual of an eigenvalue relative to the largest at which the iteration stops.
    #[arg(long, default_value_t = 1e-3, value_name = "SHARE")]
    tolerance: f64,
    /// Hessian-vector products at most; each keeps as many floats in memory as the net has weights.
    #[arg(long, default_value_t = 100, value_name = "N")]
    iterations: usize,
    /// Replace results on another sample or to another tolerance.
    #[arg(long)]
    force: bool,
    /// Print how much would be evaluated and what it would cost, and stop.
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
}

/// The last state's numbers on top, each snapshot's below.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "out::floats")]
    eigenvalues: &'a [f64],
    #[serde(serialize_with = "out::floats")]
    residuals: &'a [f64],
    #[serde(serialize_with = "out::floats")]
    smallest: &'a [f64],
    #[serde(serialize_with = "out::floats")]
    smallest_residuals: &'a [f64],
    converged: bool,
    iterations: usize,
    /// Not computed yet.
    trace: Option<f64>,
    /// Likewise.
    trace_se: Option<f64>,
    #[serde(serialize_with = "out::float")]
    hvp_seconds: f64,
    samples: usize,
    norm_stats: Pixels<'a>,
    snapshots: &'a [CurvatureRecord],
}

/// 500 training images by default.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let which = match (args.target.snapshot, args.snapshots.as_str()) {
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
    if args.eigenvalues == 0 || args.iterations < args.eigenvalues {
        let remedy = "use at least 1, and no more than --iterations";
        return Err(Error::bad_value("--eigenvalues", args.eigenvalues, "out of range", remedy));
    }
    if !(args.tolerance > 0.0 && args.tolerance < 1.0) {
        let remedy = "use a share such as 1e-3";
        return Err(Error::bad_value("--tolerance", args.tolerance, "out of range", remedy));
    }
    let subject = args.target.subject_of_curvature()?;
    let request = CurvatureRequest {
        which,
        sample: args.sample.of_train(&subject, SHARPNESS_SAMPLES),
        config: ExtremesConfig {
            largest: args.eigenvalues,
            tolerance: args.tolerance,
            max_iterations: args.iterations,
        },
        replace: args.force,
    };
    if args.dry_run {
        return dry_run(&args.target, &subject, &request, out);
    }
    let stop = interrupt::flag();
    let records = match args.target.open_run()? {
        Some(run) => {
            let bar = Follow::new(out, "curvature", "snapshots");
            let on_progress = |done, total| bar.on(done, total);
            let result = compute(&run, &subject, &request, &stop, &on_progress);
            bar.finish();
            result?
        }
        None => {
            let (found, of) = of_subject(&subject, &request, &stop)?;
            vec![CurvatureRecord::new(0, 0, 0.0, &found, of)]
        }
    };
    print(&records, args.target.run.is_some(), &subject, out);
    Ok(())
}

/// What the curvatures would cost: time for ten products at a snapshot, about what an isolated largest
/// eigenvalue takes.
fn dry_run(
    target: &Target,
    subject: &Subject,
    request: &CurvatureRequest,
    out: &Out,
) -> Result<()> {
    const PRODUCTS: usize = 10;
    let objective = subject.objective(request.sample)?;
    let samples = objective.samples();
    let (points, into) = match target.open_run()? {
        Some(run) => (snapshots(&run, request.which)?.len(), run.curvature_dir()),
        None => (1, std::path::PathBuf::from("-")),
    };
    let mut product = vec![0.0; subject.theta.len()];
    let started = std::time::Instant::now();
    objective.hvp(&subject.theta, &subject.theta, &mut product)?;
    let seconds = started.elapsed().as_secs_f64() * (PRODUCTS * points) as f64;
    let cost = Cost::new(cost::curvature_bytes(subject, samples, request.config), seconds);
    let what = "curvatures of ten Hessian-vector products or so";
    dry_run::print(&Plan { what, points, samples, into: &into }, &cost, out);
    Ok(())
}

fn print(records: &[CurvatureRecord], of_run: bool, subject: &Subject, out: &Out) {
    let Some(last) = records.last() else { return };
    let report = Report {
        eigenvalues: &last.eigenvalues,
        residuals: &last.residuals,
        smallest: &last.smallest,
        smallest_residuals: &last.smallest_residuals,
        converged: last.converged,
        iterations: last.iterations,
        trace: None,
        trace_se: None,
        hvp_seconds: last.hvp_seconds,
        samples: last.of.on.samples,
        norm_stats: Pixels::of(subject),
        snapshots: if of_run { records } else { &[] },
    };
    let unfinished = records.iter().filter(|r| !r.converged).count();
    if unfinished > 0 {
        out.note(format_args!(
            "lossreel: {unfinished} of {} did not reach the tolerance; allow more --iterations",
            records.len()
        ));
    }
    out.result(&report, |w| {
        if of_run {
            writeln!(
                w,
                "snapshot      step     epoch   sharpness  residual    smallest  products"
            )?;
            for r in records {
                writeln!(
                    w,
                    "{:>8}  {:>8}  {:>8.3}  {:>10.4}  {:>8.1e}  {:>10.4}  {:>8}",
                    r.snapshot,
                    r.step,
                    r.epoch,
                    r.sharpness(),
                    r.residuals.first().copied().unwrap_or(f64::NAN),
                    r.smallest.first().copied().unwrap_or(f64::NAN),
                    r.iterations,
                )?;
            }
        } else {
            for (value, residual) in last.eigenvalues.iter().zip(&last.residuals) {
                writeln!(w, "eigenvalue  {value:.5}  residual {residual:.1e}")?;
            }
            writeln!(w, "smallest    {:.5}", last.smallest.first().copied().unwrap_or(f64::NAN))?;
        }
        let broken = records.iter().filter(|r| !r.sharpness().is_finite()).count();
        if broken > 0 {
            writeln!(
                w,
                "at {broken} of {} points the sharpness is not a finite number",
                records.len()
            )?;
        }
        let (n, split) = (last.of.on.samples, last.of.on.split);
        let time = last.hvp_seconds * last.iterations as f64;
        writeln!(w, "on {n} {split} images; the last took {} of products", duration(time))
    });
}
