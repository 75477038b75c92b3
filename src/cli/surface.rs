//! `lossreel surface`

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lossreel::landscape::{Plane, StackKind, SurfaceReport, parse_range, parse_size};
use lossreel::record::{Joint, Run};
use lossreel::stages::plane::through_point;
use lossreel::stages::surface::{SurfaceRequest, compute, gradients, path_losses};
use lossreel::stages::{Subject, joint, stack};
use lossreel::{Error, Result};
use serde::Serialize;

use super::interrupt;
use super::out::{Out, duration};
use super::plane::{Random, directions};
use super::progress::Follow;
use super::target::{Sample, SplitName, Target};

/// Evaluate the loss over a plane, of a run or of several together, resumably.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    sample: Sample,
    /// Plane of the run, by name.
    #[arg(long, default_value = "pca")]
    plane: String,
    /// With --weights: random, or an HDF5 direction file with two directions.
    #[arg(long, default_value = "random", value_name = "random|FILE")]
    directions: String,
    #[command(flatten)]
    random: Random,
    /// Columns and rows.
    #[arg(long, default_value = "51x51", value_name = "NXxNY")]
    grid: String,
    /// Ranges in units of the directions; holds the path with a margin by default, or -1,1.
    #[arg(long, value_name = "XMIN,XMAX[,YMIN,YMAX]", allow_hyphen_values = true)]
    range: Option<String>,
    /// Name of the surface in the run folder; the plane's by default (with `-test` for test images).
    #[arg(long)]
    name: Option<String>,
    /// With --weights: folder of the surface.
    #[arg(long, required_unless_present = "run")]
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
    /// A surface that changes: with each snapshot, each mini-batch (of the first steps) or each
    /// draw of dropout masks.
    #[arg(long, value_name = "snapshots|batches|dropout", conflicts_with = "weights")]
    stack: Option<StackKind>,
    /// With --stack: how many surfaces; 12 by default.
    #[arg(long, value_name = "N", requires = "stack")]
    layers: Option<usize>,
    /// Joint plane: the run whose network, images and last BatchNorm statistics the surface has; the
    /// first by default.
    #[arg(long, value_name = "RUN")]
    buffers_of: Option<String>,
    /// Replace another surface of that name.
    #[arg(long)]
    force: bool,
}

/// 1,000 training images by default.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let size = parse_size(&args.grid)?;
    let range = args.range.as_deref().map(parse_range).transpose()?;
    let arrows = args.gradients.as_deref().map(parse_size).transpose()?;
    if let Some(root) = args.target.run.as_deref().filter(|path| Joint::is_at(path)) {
        return run_joint(root, &args, size, range, out);
    }
    if let Some(name) = &args.buffers_of {
        let remedy = "leave it out, or name a folder that `lossreel plane RUN RUN --out` made";
        return Err(Error::bad_value("--buffers-of", name, "only for joint planes", remedy));
    }
    let run = args.target.open_run()?;
    let subject = args.target.subject()?;
    let test = args.sample.split == Some(SplitName::Test);
    let default = subject.split_len(test).min(1000);
    let sample = args.sample.choice(SplitName::Train, Some(default));
    let request = SurfaceRequest { size, range, sample, replace: args.force };
    if let (Some(kind), Some(run)) = (args.stack, &run) {
        return run_stack(run, &subject, &args, kind, &request, out);
    }
    let (plane, folder) = match &run {
        Some(run) => {
            let suffix = if test { "-test" } else { "" };
            let name = args.name.clone().unwrap_or(format!("{}{suffix}", args.plane));
            (Plane::read(&run.plane_path(&args.plane))?, run.surface_dir(&name))
        }
        None => {
            let (directions, _) = directions(&args.directions, Default::default(), &args.random);
            let plane =
                through_point(subject.network(), &subject.theta, &subject.buffers, &directions)?;
            let folder = args.out.clone().ok_or_else(|| {
                Error::bad_value("--out", "", "not given", "name a folder for the surface")
            })?;
            plane.write(&folder.join("plane.safetensors"))?;
            (plane, folder)
        }
    };
    let stop = interrupt::flag();
    let bar = Follow::new(out, "surface", "cells");
    let result =
        compute(&subject, &plane, &folder, &request, &stop, &|done, total| bar.on(done, total));
    bar.finish();
    let (store, report) = result?;
    if let Some(run) = &run {
        let bar = Follow::new(out, "losses on the path", "snapshots");
        let result = path_losses(run, &subject, &plane, &store, sample, &stop, &|done, total| {
            bar.on(done, total)
        });
        bar.finish();
        result?;
    }
    let gradients = match arrows {
        None => None,
        Some(size) => {
            let bar = Follow::new(out, "gradients", "points");
            let hear = |done, total| bar.on(done, total);
            let result = gradients(&subject, &plane, &store, sample, size, &stop, &hear);
            bar.finish();
            Some(result?.cells.len())
        }
    };
    let report = PlainReport { surface: report, gradients };
    out.result(&report, |w| {
        words(&report.surface, sample.split(), &folder, w)?;
        gradients.map_or(Ok(()), |n| writeln!(w, "gradients             at {n} points"))
    });
    Ok(())
}

#[derive(Serialize)]
struct PlainReport {
    #[serde(flatten)]
    surface: SurfaceReport,
    /// Points at which the gradient was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    gradients: Option<usize>,
}

#[derive(Serialize)]
struct StackReport {
    #[serde(flatten)]
    surface: SurfaceReport,
    stack: StackKind,
    layers: usize,
}

/// A stack of surfaces.
fn run_stack(
    run: &Run,
    subject: &Subject,
    args: &Args,
    kind: StackKind,
    request: &SurfaceRequest,
    out: &Out,
) -> Result<()> {
    let plane = Plane::read(&run.plane_path(&args.plane))?;
    let name = args.name.clone().unwrap_or_else(|| format!("{}-{kind}", args.plane));
    let folder = run.surface_dir(&name);
    let stop = interrupt::flag();
    let bar = Follow::new(out, "surfaces", "cells");
    let hear = |done, total| bar.on(done, total);
    let what = (kind, args.layers);
    let result = stack::compute(run, subject, &plane, &folder, what, request, &stop, &hear);
    bar.finish();
    let (stack, surface) = result?;
    let report = StackReport { surface, stack: kind, layers: stack.about.layers.len() };
    out.result(&report, |w| {
        writeln!(w, "{} layers: {}", report.layers, stack.about.made)?;
        words(&report.surface, request.sample.split(), &folder, w)
    });
    Ok(())
}

/// A surface over the joint plane of several runs.
fn run_joint(
    root: &Path,
    args: &Args,
    size: [usize; 2],
    range: Option<[(f64, f64); 2]>,
    out: &Out,
) -> Result<()> {
    if let Some(n) = args.target.snapshot {
        let remedy = "leave it out: a joint surface is that of a run's last state (--buffers-of)";
        return Err(Error::bad_value("--snapshot", n, "not a choice on a joint plane", remedy));
    }
    if args.gradients.is_some() {
        let remedy = "leave it out: a race has no arrows";
        return Err(Error::bad_value("--gradients", "", "not a choice on a joint plane", remedy));
    }
    if let Some(kind) = args.stack {
        let remedy = "name a run: a stack is of one run";
        return Err(Error::bad_value("--stack", kind, "not a choice on a joint plane", remedy));
    }
    let joint = Joint::open(root)?;
    let (plane, paths) = joint::open_plane(&joint, &args.plane)?;
    let (of, subject) = joint::subject(&joint, args.buffers_of.as_deref(), args.target.backend)?;
    let subject = args.target.in_precision(subject)?;
    let test = args.sample.split == Some(SplitName::Test);
    let sample = args.sample.choice(SplitName::Train, Some(subject.split_len(test).min(1000)));
    let request = SurfaceRequest { size, range, sample, replace: args.force };
    let suffix = if test { "-test" } else { "" };
    let folder = joint.surface_dir(&args.name.clone().unwrap_or(format!("{}{suffix}", args.plane)));
    let on = (&plane, &paths);
    let stop = interrupt::flag();
    let bar = Follow::new(out, "surface", "cells");
    let hear = |done, total| bar.on(done, total);
    let result = joint::surface((&of, &subject), on, &folder, &request, &stop, &hear);
    bar.finish();
    let (store, report) = result?;
    let bar = Follow::new(out, "losses on the paths", "snapshots");
    let hear = |done, total| bar.on(done, total);
    let result = joint::path_losses(&joint, &subject, on, &store, &request, &stop, &hear);
    bar.finish();
    result?;
    print(&report, sample.split(), &folder, out);
    Ok(())
}

/// The report, as JSON or in words.
fn print(report: &SurfaceReport, split: &str, folder: &Path, out: &Out) {
    out.result(report, |w| words(report, split, folder, w));
}

fn words(report: &SurfaceReport, split: &str, folder: &Path, w: &mut dyn Write) -> io::Result<()> {
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
    if report.nan + report.infinite > 0 {
        writeln!(w, "not finite            {} NaN, {} infinite", report.nan, report.infinite)?;
    }
    writeln!(w, "written               {}", folder.display())
}
