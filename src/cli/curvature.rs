//! `lossreel curvature`

use std::io::{self, Write};

use lossreel::curvature::{DensityConfig, ExtremesConfig, Matrix, Mean, TraceConfig, TraceMethod};
use lossreel::objective::{BatchNormPolicy, Objective};
use lossreel::record::{
    CurvatureRecord, DensityRecord, EstimateRecord, LayerRecord, LayersRecord, SHARPNESS_SAMPLES,
};
use lossreel::stages::Subject;
use lossreel::stages::cost::{self, Cost};
use lossreel::stages::curvature::{
    CurvatureMode, CurvatureRequest, LayersConfig, Which, compute, of_subject, snapshots,
};
use lossreel::{Error, Result};
use serde::Serialize;

use super::dry_run::{self, Plan};
use super::interrupt;
use super::out::{self, Out, duration, one_line, warn};
use super::progress::Follow;
use super::target::{Pixels, Sample, Target};

/// How sharp the loss is: the ends of its Hessian's spectrum at each snapshot of a run, resumably, or at a
/// file of weights; and its trace, its density and its layers where they are asked for.
///
/// Results are kept in RUN/curvature, where `lossreel render --strip sharpness` finds them. An eigenvalue
/// that did not converge is not among the results.
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
    /// How many of the smallest.
    #[arg(long, default_value_t = 1, value_name = "N")]
    smallest: usize,
    /// Residual of an eigenvalue relative to the largest at which the iteration stops; small eigenvalues are
    /// held to ten times this of their own size.
    #[arg(long, default_value_t = 1e-3, value_name = "SHARE")]
    tolerance: f64,
    /// Products at most for the eigenvalues; each keeps as many floats in memory as there are parameters. By
    /// default 1,000, or what 4 GiB hold, but at least 100.
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// The trace with its standard error, by Hutchinson's method or by Hutch++; hutch++ without a value.
    #[arg(
        long,
        value_name = "hutchinson|hutch++",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "hutch++"
    )]
    trace: Option<TraceMethod>,
    /// The density of the spectrum with its error, by stochastic Lanczos quadrature.
    #[arg(long)]
    density: bool,
    /// The trace of each layer's own block, and with `eigenvalues` its largest eigenvalue; trace without a
    /// value.
    #[arg(
        long,
        value_name = "trace|eigenvalues",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "trace"
    )]
    layers: Option<LayerQuantity>,
    /// Random vectors of --trace (30 by default), --layers (30) and --density (10).
    #[arg(long, value_name = "N")]
    probes: Option<usize>,
    /// Products for each random vector of --density.
    #[arg(long, value_name = "N", default_value_t = 40, requires = "density")]
    steps: usize,
    /// Which matrix: hessian, or gauss-newton (positive semidefinite; of cross-entropy the Fisher matrix).
    #[arg(long, value_name = "NAME", default_value = "hessian")]
    matrix: Matrix,
    /// Of which parameters: names of tensors or layers, * for any characters, several by commas; `weights` for
    /// tensors with more than one dimension. All by default.
    #[arg(long, value_name = "PATTERN")]
    parameters: Option<String>,
    /// BatchNorm statistics: running, or batch (train mode; products are then differences of gradients, good
    /// to three digits or so).
    #[arg(long, value_name = "running|batch", default_value = "running")]
    bn: CurvatureMode,
    /// Replace results on another sample or to another tolerance.
    #[arg(long)]
    force: bool,
    /// Print how much would be evaluated and what it would cost, and stop.
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
}

/// What is computed of each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LayerQuantity {
    /// The trace.
    Trace,
    /// The trace and the largest eigenvalue.
    Eigenvalues,
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
    /// Where the largest did not converge, what it is at least.
    largest_at_least: Option<f64>,
    /// Where the smallest did not converge, what it is at most.
    smallest_at_most: Option<f64>,
    converged: bool,
    iterations: usize,
    #[serde(serialize_with = "out::optional_float")]
    trace: Option<f64>,
    #[serde(serialize_with = "out::optional_float")]
    trace_se: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_method: Option<TraceMethod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    density: Option<DensityReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<&'a [LayerRecord]>,
    matrix: Matrix,
    parameters: Option<&'a str>,
    batch_norm: &'a BatchNormPolicy,
    #[serde(serialize_with = "out::float")]
    hvp_seconds: f64,
    samples: usize,
    norm_stats: Pixels<'a>,
    snapshots: &'a [CurvatureRecord],
}

/// A density, smoothed by a normal distribution of width sigma, per unit of eigenvalue.
#[derive(Serialize)]
struct DensityReport {
    probes: usize,
    steps: usize,
    parameters: usize,
    sigma: f64,
    lambda: Vec<f64>,
    density: Vec<f64>,
    se: Vec<f64>,
    /// The part of the eigenvalues that is below minus sigma.
    share_negative: f64,
    share_negative_se: f64,
    /// What the same quadrature gives for the trace.
    trace: f64,
    trace_se: f64,
}

impl DensityReport {
    fn of(record: &DensityRecord) -> Option<Self> {
        const POINTS: usize = 401;
        let density = record.density();
        let [low, high] = density.range()?;
        let sigma = (0.01 * (high - low)).max(1e-12 * low.abs().max(high.abs())).max(1e-30);
        let (low, high) = (low - 4.0 * sigma, high + 4.0 * sigma);
        let at = |i: usize| low + (high - low) * i as f64 / (POINTS - 1) as f64;
        let lambda: Vec<f64> = (0..POINTS).map(at).collect();
        let means: Vec<Mean> = lambda.iter().map(|x| density.at(*x, sigma)).collect();
        let (negative, trace) = (density.share_below(-sigma), density.trace());
        Some(Self {
            probes: record.probes,
            steps: record.steps,
            parameters: record.parameters,
            sigma,
            density: means.iter().map(|m| m.value).collect(),
            se: means.iter().map(|m| m.se).collect(),
            lambda,
            share_negative: negative.value,
            share_negative_se: negative.se,
            trace: trace.value,
            trace_se: trace.se,
        })
    }
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
    let wanted = args.eigenvalues.max(args.smallest);
    if args.eigenvalues == 0 || args.iterations.is_some_and(|most| most < wanted) {
        let remedy = "use at least 1, and no more than --iterations";
        return Err(Error::bad_value("--eigenvalues", args.eigenvalues, "out of range", remedy));
    }
    let uses_probes = args.trace.is_some() || args.density || args.layers.is_some();
    if let Some(probes) = args.probes.filter(|_| !uses_probes) {
        let remedy = "add one of them, or leave it out";
        let problem =
            "but nothing asks for random vectors: neither --trace, --layers nor --density";
        return Err(Error::bad_value("--probes", probes, problem, remedy));
    }
    if !(args.tolerance > 0.0 && args.tolerance < 1.0) {
        let remedy = "use a share such as 1e-3";
        return Err(Error::bad_value("--tolerance", args.tolerance, "out of range", remedy));
    }
    let subject = args.target.subject_of_curvature()?;
    // What the basis of the space may take by default, as vectors of P floats.
    let by_memory = (4usize << 30) / (4 * subject.theta.len().max(1));
    let iterations = args.iterations.unwrap_or(by_memory.clamp(100, 1000).max(wanted));
    let request = CurvatureRequest {
        which,
        sample: args.sample.of_train(&subject, SHARPNESS_SAMPLES),
        config: ExtremesConfig {
            largest: args.eigenvalues,
            smallest: args.smallest,
            tolerance: args.tolerance,
            max_iterations: iterations,
        },
        matrix: args.matrix,
        parameters: args.parameters.clone(),
        mode: args.bn,
        trace: args.trace.map(|method| TraceConfig { method, products: args.probes.unwrap_or(30) }),
        density: args
            .density
            .then(|| DensityConfig { probes: args.probes.unwrap_or(10), steps: args.steps }),
        layers: args.layers.map(|quantity| LayersConfig {
            products: args.probes.unwrap_or(30),
            eigenvalues: quantity == LayerQuantity::Eigenvalues,
        }),
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
        None => vec![of_subject(&subject, &request, &stop)?],
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
    let value = |rest: &[EstimateRecord]| rest.first().map(|r| r.value).filter(|v| v.is_finite());
    let none = |known: &[f64], bound: Option<f64>| bound.filter(|_| known.is_empty());
    let report = Report {
        eigenvalues: &last.eigenvalues,
        residuals: &last.residuals,
        smallest: &last.smallest,
        smallest_residuals: &last.smallest_residuals,
        largest_at_least: none(&last.eigenvalues, value(&last.rest_of_largest)),
        smallest_at_most: none(&last.smallest, value(&last.rest_of_smallest)),
        converged: last.converged,
        iterations: last.iterations,
        trace: last.trace.map(|t| t.value),
        trace_se: last.trace.map(|t| t.se),
        trace_method: last.trace.map(|t| t.method),
        density: last.density.as_ref().and_then(DensityReport::of),
        layers: last.layers.as_ref().map(|l| &l.layers[..]),
        matrix: last.of.matrix,
        parameters: last.of.parameters.as_deref(),
        batch_norm: &last.of.on.batch_norm,
        hvp_seconds: last.hvp_seconds,
        samples: last.of.on.samples,
        norm_stats: Pixels::of(subject),
        snapshots: if of_run { records } else { &[] },
    };
    let is_finite = |r: &&CurvatureRecord| r.eigenvalues.first().is_none_or(|v| v.is_finite());
    let unfinished = records.iter().filter(|r| !r.converged).filter(is_finite).count();
    if unfinished > 0 {
        warn(format_args!(
            "at {unfinished} of {} points eigenvalues did not converge and are left out; allow more \
             --iterations, or a larger --tolerance",
            records.len()
        ));
    }
    out.result(&report, |w| {
        if of_run {
            table(records, w)?;
        } else {
            ends(last, w)?;
        }
        if let Some(t) = last.trace {
            writeln!(w, "trace       {:.5} ± {:.5} ({}, {} products)", t.value, t.se, t.method, t.products)?;
        }
        if let Some(d) = &report.density {
            writeln!(
                w,
                "density     {} random vectors of {} products: {:.3} ± {:.3} % of eigenvalues below {:.2e}; \
                 trace {:.4} ± {:.4}; the curve is in --json",
                d.probes,
                d.steps,
                100.0 * d.share_negative,
                100.0 * d.share_negative_se,
                -d.sigma,
                d.trace,
                d.trace_se
            )?;
        }
        if let Some(layers) = &last.layers {
            of_layers(layers, w)?;
        }
        let broken = records.iter().filter(|r| !is_finite(r)).count();
        if broken > 0 {
            writeln!(
                w,
                "at {broken} of {} points the sharpness is not a finite number",
                records.len()
            )?;
        }
        let (n, split) = (last.of.on.samples, last.of.on.split);
        let time = last.hvp_seconds * last.iterations as f64;
        let of = match (last.of.matrix, &last.of.parameters) {
            (Matrix::Hessian, None) => String::new(),
            (matrix, None) => format!("{matrix}, "),
            (matrix, Some(pattern)) => format!("{matrix} of {pattern}, "),
        };
        writeln!(
            w,
            "{of}on {n} {split} images; the last took {} of products",
            duration(if time.is_finite() { time } else { 0.0 })
        )
    });
}

/// A number, or that there is none.
fn or_none(value: Option<&f64>) -> String {
    value.map_or("-".into(), |v| format!("{v:.4}"))
}

/// A line for each snapshot.
fn table(records: &[CurvatureRecord], w: &mut dyn Write) -> io::Result<()> {
    writeln!(w, "snapshot      step     epoch   sharpness  residual    smallest  products")?;
    for r in records {
        writeln!(
            w,
            "{:>8}  {:>8}  {:>8.3}  {:>10}  {:>8}  {:>10}  {:>8}",
            r.snapshot,
            r.step,
            r.epoch,
            or_none(r.eigenvalues.first()),
            r.residuals.first().map_or("-".into(), |v| format!("{v:.1e}")),
            or_none(r.smallest.first()),
            r.iterations,
        )?;
    }
    Ok(())
}

/// The ends of one spectrum.
fn ends(record: &CurvatureRecord, w: &mut dyn Write) -> io::Result<()> {
    for (value, residual) in record.eigenvalues.iter().zip(&record.residuals) {
        writeln!(w, "eigenvalue  {value:.5}  residual {residual:.1e}")?;
    }
    for rest in &record.rest_of_largest {
        let EstimateRecord { value, residual } = rest;
        writeln!(w, "eigenvalue  at least {value:.5}: not converged, residual {residual:.1e}")?;
    }
    for (value, residual) in record.smallest.iter().zip(&record.smallest_residuals) {
        writeln!(w, "smallest    {value:.5}  residual {residual:.1e}")?;
    }
    for rest in &record.rest_of_smallest {
        let EstimateRecord { value, residual } = rest;
        writeln!(w, "smallest    at most {value:.5}: not converged, residual {residual:.1e}")?;
    }
    Ok(())
}

/// A line for each layer.
fn of_layers(layers: &LayersRecord, w: &mut dyn Write) -> io::Result<()> {
    let widest = layers.layers.iter().map(|l| l.name.chars().count()).max().unwrap_or(0).max(5);
    let eigenvalue = if layers.eigenvalues { "  eigenvalue" } else { "" };
    writeln!(w, "{:<widest$}  parameters       trace  std. error{eigenvalue}", "layer")?;
    for l in &layers.layers {
        let name = one_line(&l.name);
        write!(
            w,
            "{name:<widest$}  {:>10}  {:>10.4}  {:>10.4}",
            l.parameters, l.trace, l.trace_se
        )?;
        if layers.eigenvalues {
            write!(w, "  {:>10}", or_none(l.eigenvalue.as_ref()))?;
        }
        writeln!(w)?;
    }
    Ok(())
}
