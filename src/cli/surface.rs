//! `lossreel surface`

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use lossreel::dataset::SplitName;
use lossreel::landscape::{StackKind, SurfaceReport, SurfaceStore};
use lossreel::objective::PointPolicy;
use lossreel::parallel::Team;
use lossreel::stages::cost::{self, Cost};
use lossreel::stages::plane::through_point;
use lossreel::stages::stack::{self, StackRequest};
use lossreel::stages::stale::{self, Behind};
use lossreel::stages::surface::{OverPlane, SurfaceRequest, among, convexity, gradients, parts};
use lossreel::stages::{Progress, RunSet, Subject};
use lossreel::{Error, Result};
use serde::Serialize;

use super::dry_run::{self, Plan};
use super::grid_size::{parse_range, parse_size};
use super::out::{Out, duration};
use super::plane::{Random, directions};
use super::progress::Follow;
use super::ranks::{Ranks, stop_flag};
use super::surface_parts::{self as parts_args, EndedReport, PartsArgs};
use super::target::{Pixels, Sample, Target};

/// Evaluate the loss over a plane, of a run or of several together, resumably.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    sample: Sample,
    /// Plane of the run, by name.
    #[arg(long, default_value = "pca", conflicts_with = "weights")]
    plane: String,
    /// With --weights: random, or an HDF5 direction file with two directions.
    #[arg(long, default_value = "random", value_name = "random|FILE", conflicts_with = "run")]
    directions: String,
    #[command(flatten)]
    random: Random,
    /// Columns and rows; 51x51 by default, or those of the surface that is extended.
    #[arg(long, value_name = "NXxNY")]
    grid: Option<String>,
    /// Ranges in units of the directions; by default holds the path with a margin, or -1,1, or those of the
    /// surface that is extended.
    #[arg(long, value_name = "XMIN,XMAX[,YMIN,YMAX]", allow_hyphen_values = true)]
    range: Option<String>,
    /// Name of the surface in the run folder; the plane's by default (with `-test` for test images).
    #[arg(long)]
    name: Option<String>,
    /// With --weights: folder of the surface.
    #[arg(long, required_unless_present = "run", conflicts_with = "run")]
    out: Option<PathBuf>,
    /// Measure the gradient in the plane at so many points as well, for `render --arrows`; 15x15
    /// without a number.
    #[arg(
        long,
        value_name = "NXxNY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "15x15",
        conflicts_with = "stack"
    )]
    gradients: Option<String>,
    /// Measure whether the loss is convex at so many points as well, by the extreme eigenvalues of the Hessian,
    /// for `render --as heatmap --quantity convexity`; 11x11 without a number. Some tens of
    /// Hessian-vector products a point.
    #[arg(
        long,
        value_name = "NXxNY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "11x11",
        conflicts_with = "stack"
    )]
    convexity: Option<String>,
    /// A surface that changes: with each snapshot, each mini-batch (of the first steps) or each
    /// draw of dropout masks.
    #[arg(long, value_name = "snapshots|batches|dropout", conflicts_with = "weights")]
    stack: Option<StackKind>,
    /// With --stack: how many surfaces; 12 by default.
    #[arg(long, value_name = "N", requires = "stack")]
    layers: Option<usize>,
    /// Joint plane: the run whose network, images and last BatchNorm statistics the surface has, and
    /// whose snapshots a stack goes through; the first by default.
    #[arg(long, value_name = "RUN")]
    buffers_of: Option<String>,
    /// BatchNorm statistics: frozen (those of the plane's origin), recalibrated (computed anew at each cell on
    /// --bn-samples training images) or batch (those of 64 images that go through together). The surface is
    /// called after it: pca-recalibrated.
    #[arg(long, value_name = "POLICY", default_value = "frozen")]
    bn: PointPolicy,
    /// Training images that statistics are recalibrated on.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    bn_samples: usize,
    #[command(flatten)]
    parts: PartsArgs,
    /// Replace another surface of that name.
    #[arg(long)]
    force: bool,
    /// Print how much would be evaluated and what it would cost, and stop.
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    surface: SurfaceReport,
    norm_stats: Pixels<'a>,
    /// Points at which the gradient was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    gradients: Option<usize>,
    /// Points at which the convexity was measured, and at how many of them it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    convexity: Option<[usize; 2]>,
    #[serde(flatten)]
    ended: EndedReport,
    /// What changes from layer to layer of a stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<StackKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<usize>,
}

/// Columns and rows where nothing says them.
const GRID: &str = "51x51";

/// 1,000 training images by default.
pub fn run(args: Args, out: &Out, ranks: &mut Ranks) -> Result<()> {
    if let Ranks::Work(worker, stop) = ranks
        && !worker.wait(stop)
    {
        // Rank 0 had nothing to hand out, or was refused.
        return Ok(());
    }
    let request = |subject: &Subject| -> Result<SurfaceRequest> {
        let mut sample = args.sample.of_train(subject, 1000);
        if args.parts.has_images_of_its_own() {
            sample.samples = args.sample.samples;
        }
        Ok(SurfaceRequest {
            size: parse_size(args.grid.as_deref().unwrap_or(GRID))?,
            range: args.range.as_deref().map(parse_range).transpose()?,
            sample,
            replace: args.force,
        })
    };
    match &args.target.run {
        Some(root) => of_runs(&RunSet::open_changed(root)?, &args, &request, ranks, out),
        None => of_file(&args, &request, ranks, out),
    }
}

type Request<'a> = &'a dyn Fn(&Subject) -> Result<SurfaceRequest>;

/// A surface, or a stack of them, of a run or of several runs on one plane.
fn of_runs(
    set: &RunSet,
    args: &Args,
    request: Request<'_>,
    ranks: &mut Ranks,
    out: &Out,
) -> Result<()> {
    let index = match (&args.buffers_of, set.is_joint(), args.target.snapshot) {
        (Some(name), false, _) => {
            let remedy = "leave it out, or name a folder that `lossreel plane RUN RUN --out` made";
            return Err(Error::bad_value("--buffers-of", name, "only for joint planes", remedy));
        }
        (_, true, Some(n)) => {
            let problem = "not a choice on a joint plane";
            let remedy =
                "leave it out: a joint surface is that of a run's last state (--buffers-of)";
            return Err(Error::bad_value("--snapshot", n, problem, remedy));
        }
        (None, false, Some(n)) => {
            let problem = "not a choice of a surface, which is that of its plane";
            return Err(Error::bad_value("--snapshot", n, problem, "leave it out"));
        }
        (name, _, _) => set.index_of(name.as_deref())?,
    };
    // Everything that can be refused is refused before the data are read.
    let points = args.points()?;
    let subject = Subject::of_run_with(set.runs()[index].run(), args.target.choice())?;
    let subject = args.target.in_precision(subject)?;
    let request = request(&subject)?;
    let (plane, behind) = stale::current(set, &args.plane)?;
    let mut over = OverPlane::new(set, index, &subject, &plane)?;
    if let Some(behind) = behind {
        out.note(format_args!("lossreel: {}", remade(&args.plane, &behind)));
        over = over.to_be_written(set, &args.plane);
    }
    if args.bn != PointPolicy::Frozen && args.stack.is_some() {
        let problem = "but the surfaces of a stack have their own ways with statistics";
        return Err(Error::bad_value("--bn", args.bn, problem, "leave out --stack"));
    }
    over = over.with_policy(args.bn, args.bn_samples)?;
    let mut suffix =
        if args.bn == PointPolicy::Frozen { String::new() } else { format!("-{}", args.bn) };
    if request.sample.split == SplitName::Test {
        suffix += "-test";
    }
    let name = args.name.clone().unwrap_or_else(|| match args.stack {
        Some(kind) => format!("{}-{kind}", args.plane),
        None => format!("{}{suffix}", args.plane),
    });
    let folder = set.surface_dir(&name)?;
    if args.dry_run {
        return dry_run(args, &over, &request, &folder, out);
    }
    let team = match ranks {
        Ranks::Lead(team) => team,
        Ranks::Work(worker, stop) => {
            return among::serve(worker, Some(set), &over, &request, stop);
        }
    };
    let stop = stop_flag(team);
    let stop = stop.as_ref();
    if let Some(kind) = args.stack {
        if !team.is_alone() {
            return Err(Error::Ranks {
                what: "the layers of a stack are not divided among ranks".into(),
                remedy: "start it without mpirun".into(),
            });
        }
        let split = request.sample.split;
        let request = StackRequest { kind, layers: args.layers, surface: request };
        let (stack, surface) = followed(out, "surfaces", "cells", |on| {
            stack::compute(set, index, &over, &folder, &request, stop, on)
        })?;
        let layers = Some(stack.about.layers.len());
        let norm_stats = Pixels::of(over.subject);
        let report = Report {
            surface,
            norm_stats,
            gradients: None,
            convexity: None,
            ended: EndedReport::default(),
            stack: Some(kind),
            layers,
        };
        out.result(&report, |w| {
            writeln!(w, "{} layers: {}", stack.about.layers.len(), stack.about.made)?;
            words(&report.surface, split, &folder, w)
        });
        return Ok(());
    }
    let computed = evaluate(team, &over, &folder, &request, args, stop, out)?;
    followed(out, "losses on the path", "snapshots", |on| {
        among::path_losses(team, set, &over, &computed.store, computed.request.sample, stop, on)
    })?;
    measure(&over, computed, points, stop, out)
}

/// What the surface, or the stack, would cost.
fn dry_run(
    args: &Args,
    over: &OverPlane<'_>,
    request: &SurfaceRequest,
    folder: &Path,
    out: &Out,
) -> Result<()> {
    let layers = args.stack.map_or(1, |_| args.layers.unwrap_or(stack::LAYERS));
    let points = args.parts.cells(request.size[0] * request.size[1])?.saturating_mul(layers);
    let objective = over.objective(request.sample)?;
    let samples = objective.samples();
    let seconds = cost::evaluation_seconds(&objective, &over.plane.origin, points)?;
    let cost = Cost::new(cost::evaluation_bytes(over.subject, samples), seconds);
    let what = if args.stack.is_some() { "cells of a stack of surfaces" } else { "cells" };
    dry_run::print(&Plan { what, points, samples, into: folder }, &cost, out);
    Ok(())
}

/// Why a plane was made again.
fn remade(plane: &str, behind: &Behind) -> String {
    let Behind { run, known, now } = behind;
    format!("plane `{plane}` knew {known} of {now} snapshots of {run}; it is made again")
}

/// A surface of a file of weights.
fn of_file(args: &Args, request: Request<'_>, ranks: &mut Ranks, out: &Out) -> Result<()> {
    if let Some(name) = &args.buffers_of {
        let remedy = "leave it out: a file of weights has its own";
        return Err(Error::bad_value("--buffers-of", name, "only for joint planes", remedy));
    }
    let points = args.points()?;
    let subject = args.target.subject()?;
    let request = request(&subject)?;
    let (directions, _) = directions(&args.directions, Default::default(), &args.random);
    let plane = through_point(subject.network(), &subject.theta, &subject.buffers, &directions)?;
    let folder = args.out.clone().ok_or_else(|| {
        Error::bad_value("--out", "", "not given", "name a folder for the surface")
    })?;
    let over = OverPlane::of_file(&subject, &plane)?.with_policy(args.bn, args.bn_samples)?;
    if args.dry_run {
        return dry_run(args, &over, &request, &folder, out);
    }
    let team = match ranks {
        Ranks::Lead(team) => team,
        Ranks::Work(worker, stop) => return among::serve(worker, None, &over, &request, stop),
    };
    let stop = stop_flag(team);
    let stop = stop.as_ref();
    let computed = evaluate(team, &over, &folder, &request, args, stop, out)?;
    // After whatever can be refused: the plane there may be another surface's.
    plane.write(&folder.join("plane.safetensors"))?;
    measure(&over, computed, points, stop, out)
}

/// Calls a stage with a bar that follows it.
fn followed<T>(
    out: &Out,
    what: &str,
    unit: &str,
    stage: impl FnOnce(Progress<'_>) -> Result<T>,
) -> Result<T> {
    let bar = Follow::new(out, what, unit);
    let result = stage(&|done, total| bar.on(done, total));
    bar.finish();
    result
}

/// A surface that was computed.
struct Computed {
    store: SurfaceStore,
    report: SurfaceReport,
    ended: EndedReport,
    /// What it is, its images as many as there are now.
    request: SurfaceRequest,
}

fn evaluate(
    team: &mut Team,
    over: &OverPlane<'_>,
    folder: &Path,
    request: &SurfaceRequest,
    args: &Args,
    stop: &AtomicBool,
    out: &Out,
) -> Result<Computed> {
    let same_grid = args.grid.is_none() && args.range.is_none();
    let Some(asked) = args.parts.asked(same_grid)? else {
        let (store, report) = followed(out, "surface", "cells", |on| {
            among::compute(team, over, folder, request, stop, on)
        })?;
        let (request, ended) = (request.clone(), EndedReport::default());
        return Ok(Computed { store, report, ended, request });
    };
    if !team.is_alone() {
        return Err(Error::Ranks {
            what: "a surface that is extended, or of which a part is evaluated, is not divided among ranks".into(),
            remedy: "start it without mpirun".into(),
        });
    }
    let (store, report, ended) = followed(out, "surface", "cells", |on| {
        parts::compute(over, folder, request, &asked, stop, on)
    })?;
    let mut request = request.clone();
    request.sample.samples = Some(ended.images);
    let ended = EndedReport::new(&asked, &ended, over.subject.split_len(request.sample.split));
    Ok(Computed { store, report, ended, request })
}

/// At how many points what is measured beside the losses.
struct Points {
    gradients: Option<[usize; 2]>,
    convexity: Option<[usize; 2]>,
}

impl Args {
    fn points(&self) -> Result<Points> {
        let size = |given: &Option<String>| given.as_deref().map(parse_size).transpose();
        Ok(Points { gradients: size(&self.gradients)?, convexity: size(&self.convexity)? })
    }
}

/// Measures gradients and convexity where they were asked for, and reports.
fn measure(
    over: &OverPlane<'_>,
    computed: Computed,
    points: Points,
    stop: &AtomicBool,
    out: &Out,
) -> Result<()> {
    let Computed { store, report: surface, ended, request } = &computed;
    let measured = points.gradients.map(|size| {
        followed(out, "gradients", "points", |on| {
            gradients(over, store, request.sample, size, stop, on)
        })
    });
    let gradients = measured.transpose()?.map(|found| found.cells.len());
    let measured = points.convexity.map(|size| {
        followed(out, "convexity", "points", |on| {
            convexity(over, store, request.sample, size, stop, on)
        })
    });
    let convexity = measured.transpose()?.map(|found| {
        let known = found.cells.iter().flatten().filter(|cell| cell.ratio().is_finite());
        [found.cells.len(), known.count()]
    });
    let norm_stats = Pixels::of(over.subject);
    let report = Report {
        surface: surface.clone(),
        norm_stats,
        gradients,
        convexity,
        ended: *ended,
        stack: None,
        layers: None,
    };
    out.result(&report, |w| {
        words(&report.surface, request.sample.split, store.folder(), w)?;
        report.ended.words(w)?;
        if let Some(n) = gradients {
            writeln!(w, "gradients             at {n} points")?;
        }
        if let Some([n, known]) = convexity {
            writeln!(w, "convexity             at {n} points, known at {known}")?;
        }
        Ok(())
    });
    Ok(())
}

fn words(
    report: &SurfaceReport,
    split: SplitName,
    folder: &Path,
    w: &mut dyn Write,
) -> io::Result<()> {
    if report.interpolated > 0 {
        write!(w, "{} of ", report.evaluated)?;
    }
    writeln!(
        w,
        "{} x {} cells, {} {} images each, in {}",
        report.nx,
        report.ny,
        report.samples,
        split,
        duration(report.seconds)
    )?;
    if let (Some(min), Some(max)) = (report.loss_min, report.loss_max) {
        writeln!(w, "loss                  {min:.4} to {max:.4}")?;
    }
    if let Some(se) = report.relative_se_max {
        writeln!(w, "standard error        {:.1} % of a cell's loss at most", 100.0 * se)?;
    }
    if let Some(error) = &report.interpolation {
        parts_args::interpolation_words(report.interpolated, error, w)?;
    }
    if report.nan + report.infinite > 0 {
        writeln!(w, "not finite            {} NaN, {} infinite", report.nan, report.infinite)?;
    }
    writeln!(w, "written               {}", folder.display())
}
