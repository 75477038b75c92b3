//! `lossreel river`

use std::path::PathBuf;

use lossreel::curvature::ExtremesConfig;
use lossreel::record::{Run, SHARPNESS_SAMPLES};
use lossreel::stages::river::{HessianAt, River, RiverPoint, RiverRequest, Split, measure, plane};
use lossreel::stages::{RunChoice, Subject};
use lossreel::{Error, Result};
use serde::Serialize;

use super::interrupt;
use super::out::{self, Out};
use super::progress::Follow;
use super::target::Sample;

/// How much of a run's path goes along the sharp directions of its loss (the mountain) and how much
/// beside them (the river).
///
/// Each displacement, from a snapshot to the next and to the end, is split into its part in the span of
/// the leading eigenvectors of the Hessian and the rest. --plane also writes the plane of the sharpest
/// direction at the end and the rest of the whole displacement, for `surface` and `render`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A run folder.
    run: PathBuf,
    /// How many eigenvectors span the sharp directions.
    #[arg(long, default_value_t = 5, value_name = "K")]
    eigenvectors: usize,
    /// Where the Hessian is taken: at each snapshot (own) or at the last one (end).
    #[arg(long, default_value = "own", value_name = "own|end")]
    hessian_at: HessianAt,
    /// Residual of an eigenvalue relative to the largest at which the iteration stops.
    #[arg(long, default_value_t = 1e-2, value_name = "SHARE")]
    tolerance: f64,
    /// Hessian-vector products at most, at each snapshot.
    #[arg(long, default_value_t = 200, value_name = "N")]
    iterations: usize,
    /// Also write the plane, under this name; `river` without one.
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "river"
    )]
    plane: Option<String>,
    /// Folder with the data set's files; by default the one that the run was trained on.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    sample: Sample,
}

const EXAMPLES: &str = "\
Examples:
  lossreel river RUN --eigenvectors 10 --json
  lossreel river RUN --plane && lossreel surface RUN --plane river
  lossreel render RUN --plane river --out river.mp4";

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    river: &'a River,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_path")]
    plane: Option<PathBuf>,
}

fn optional_path<S: serde::Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => out::path(path, to),
        None => to.serialize_none(),
    }
}

/// 500 training images by default.
pub fn run(args: Args, out: &Out) -> Result<()> {
    if args.eigenvectors == 0 || args.iterations < args.eigenvectors {
        let remedy = "use at least 1, and no more than --iterations";
        return Err(Error::bad_value("--eigenvectors", args.eigenvectors, "out of range", remedy));
    }
    if !(args.tolerance > 0.0 && args.tolerance < 1.0) {
        let remedy = "use a share such as 1e-2";
        return Err(Error::bad_value("--tolerance", args.tolerance, "out of range", remedy));
    }
    let run = Run::open(&args.run)?;
    let plane_path = args.plane.as_deref().map(|name| run.plane_path(name)).transpose()?;
    let data_dir = args.data_dir.as_deref();
    let subject = Subject::of_run_with(&run, RunChoice { data_dir, ..RunChoice::default() })?;
    let request = RiverRequest {
        sample: args.sample.of_train(&subject, SHARPNESS_SAMPLES),
        config: ExtremesConfig {
            largest: args.eigenvectors,
            smallest: 0,
            tolerance: args.tolerance,
            max_iterations: args.iterations,
        },
        at: args.hessian_at,
    };
    let stop = interrupt::flag();
    let bar = Follow::new(out, "displacements", "snapshots");
    let on_progress = |done, total| bar.on(done, total);
    let river = measure(&run, &subject, &request, &stop, &on_progress);
    bar.finish();
    let river = river?;
    if let Some(name) = &args.plane {
        plane(&run, &subject, &request, name, &stop)?;
    }
    print(&river, plane_path, out);
    Ok(())
}

fn print(river: &River, plane: Option<PathBuf>, out: &Out) {
    let unfinished = river.snapshots.iter().filter(|p| !p.converged).count();
    if unfinished > 0 {
        out.note(format_args!(
            "lossreel: the eigenvectors at {unfinished} of {} snapshots did not reach the tolerance; \
             allow more --iterations",
            river.snapshots.len()
        ));
    }
    let report = Report { river, plane };
    out.result(&report, |w| {
        writeln!(
            w,
            "snapshot      step     epoch      loss   sharpness  to the next  mountain   to the end  \
             mountain"
        )?;
        for p in &river.snapshots {
            let RiverPoint { snapshot, step, epoch, loss, .. } = p;
            let sharpness = p.eigenvalues.first().copied().unwrap_or(f64::NAN);
            let [next, end] = [p.to_next, p.to_end].map(length_and_share);
            writeln!(
                w,
                "{snapshot:>8}  {step:>8}  {epoch:>8.3}  {loss:>8.4}  {sharpness:>10.4}  {next}   {end}"
            )?;
        }
        writeln!(
            w,
            "mountain: share of the squared length along the {} leading eigenvectors (a random \
             direction: {:.1e}), on {} images",
            river.eigenvectors, river.random_share, river.samples
        )?;
        if let Some(path) = &report.plane {
            writeln!(w, "written   {}", path.display())?;
        }
        Ok(())
    });
}

fn length_and_share(split: Option<Split>) -> String {
    let Some(Split { mountain, river, share }) = split else {
        return format!("{:>11}  {:>8}", "", "");
    };
    let share = share.map_or("–".into(), |share| format!("{:.2} %", 100.0 * share));
    format!("{:>11.4}  {share:>8}", (mountain + river).sqrt())
}
