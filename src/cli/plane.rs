//! `lossreel plane`

use std::path::PathBuf;

use lossreel::landscape::{Ignore, JointOrigin, Normalisation, Plane, PlaneKind};
use lossreel::record::{Existing, Run};
use lossreel::stages::joint;
use lossreel::stages::plane::{Directions, of_run};
use lossreel::trajectory::Centring;
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::Out;

/// Find the plane a run's path lives in, or several runs' paths together, and where their snapshots
/// are on it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folders; more than one make a joint plane, in a folder of its own.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Folder of a joint plane; `surface` and `render` take it where they take a run.
    #[arg(long, value_name = "JOINT")]
    out: Option<PathBuf>,
    /// Joint plane: where (0, 0) is: start, mean (of the runs' ends), final (of the first run), or
    /// auto: the common start where there is one, else the mean.
    #[arg(long, default_value = "auto", value_name = "WHERE", requires = "out")]
    origin: JointOrigin,
    /// Replace a joint plane of other runs.
    #[arg(long, requires = "out")]
    force: bool,
    /// pca, random, or an HDF5 direction file of the paper's code.
    #[arg(long, default_value = "pca", value_name = "pca|random|FILE")]
    directions: String,
    /// PCA: centre the columns (as the paper's code does) or not.
    #[arg(long, default_value = "centred", value_name = "centred|uncentred")]
    centring: Centring,
    #[command(flatten)]
    random: Random,
    /// Name of the plane in its folder; `pca` or `random` by default.
    #[arg(long)]
    name: Option<String>,
}

/// How random directions are made.
#[derive(Debug, Clone, clap::Args)]
pub struct Random {
    /// Random directions: filter, layer, weight, dfilter, dlayer or none.
    #[arg(long, default_value = "filter", value_name = "NORM")]
    pub norm: Normalisation,
    /// Random directions: biasbn leaves biases and BatchNorm alone, none gives them the weights.
    #[arg(long, default_value = "biasbn", value_name = "WHAT")]
    pub ignore: Ignore,
    /// Random directions: seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// The directions that a word names, and the plane's own name.
pub fn directions(word: &str, centring: Centring, random: &Random) -> (Directions, &'static str) {
    match word {
        "pca" => (Directions::Pca(centring), "pca"),
        "random" => (
            Directions::Random { norm: random.norm, ignore: random.ignore, seed: random.seed },
            "random",
        ),
        file => (Directions::File(PathBuf::from(file)), "file"),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    plane: PathBuf,
    explained_variance: &'a [f64],
    null_explained_variance: &'a [f64],
    off_plane_residual: Vec<f64>,
    cosine: f64,
    snapshots: usize,
    excluded: &'a [usize],
    notes: &'a [String],
    path: Vec<[f64; 2]>,
}

/// Runs the stage and prints what the plane holds.
pub fn run(args: Args, out: &Out) -> Result<()> {
    if args.out.is_some() || args.runs.len() > 1 {
        return run_joint(&args, out);
    }
    let run = Run::open(&args.runs[0])?;
    let (directions, own) = directions(&args.directions, args.centring, &args.random);
    let name = args.name.as_deref().unwrap_or(own);
    let plane = of_run(&run, &directions, name)?;
    let about = &plane.about;
    let report = Report {
        plane: run.plane_path(name),
        explained_variance: &about.explained_variance,
        null_explained_variance: &about.null_explained_variance,
        off_plane_residual: about.path.iter().map(|p| p.off_plane_residual).collect(),
        cosine: about.cosine,
        snapshots: about.path.len(),
        excluded: &about.excluded,
        notes: &about.notes,
        path: plane.coords(),
    };
    out.result(&report, |w| {
        writeln!(w, "{}", about.made)?;
        writeln!(w, "snapshots             {}", about.path.len())?;
        for line in summary(&plane) {
            writeln!(w, "{line}")?;
        }
        writeln!(w, "written               {}", report.plane.display())
    });
    Ok(())
}

#[derive(Serialize)]
struct JointReport<'a> {
    plane: PathBuf,
    origin: JointOrigin,
    explained_variance: &'a [f64],
    null_explained_variance: &'a [f64],
    off_plane_residual: Vec<f64>,
    cosine: f64,
    notes: &'a [String],
    runs: Vec<JointRunReport<'a>>,
}

#[derive(Serialize)]
struct JointRunReport<'a> {
    name: &'a str,
    snapshots: usize,
    excluded: &'a [usize],
    explained_variance: f64,
    own_explained_variance: f64,
    off_plane_residual: Vec<f64>,
    path: Vec<[f64; 2]>,
}

/// The plane of several runs together.
fn run_joint(args: &Args, out: &Out) -> Result<()> {
    let Some(folder) = &args.out else {
        let given = format!("{} runs", args.runs.len());
        return Err(Error::bad_value(
            "RUN",
            given,
            "and no folder for their joint plane",
            "name one: --out outputs/JOINT",
        ));
    };
    if args.directions != "pca" || args.centring != Centring::Centred {
        return Err(Error::bad_value(
            "--directions",
            format!("{}, {}", args.directions, args.centring),
            "not a way to make a joint plane",
            "leave it out: a joint plane is of centred principal components",
        ));
    }
    let runs = args.runs.iter().map(Run::open).collect::<Result<Vec<_>>>()?;
    let name = args.name.as_deref().unwrap_or("pca");
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    let (joint, plane, paths) = joint::plane(folder, &runs, args.origin, name, existing)?;
    let about = &plane.about;
    let reports: Vec<JointRunReport> = paths
        .runs
        .iter()
        .map(|run| JointRunReport {
            name: &run.name,
            snapshots: run.path.len(),
            excluded: &run.excluded,
            explained_variance: run.explained_variance,
            own_explained_variance: run.own_explained_variance,
            off_plane_residual: run.path.iter().map(|p| p.off_plane_residual).collect(),
            path: run.path.iter().map(|p| [p.x, p.y]).collect(),
        })
        .collect();
    let report = JointReport {
        plane: joint.plane_path(name),
        origin: paths.origin,
        explained_variance: &about.explained_variance,
        null_explained_variance: &about.null_explained_variance,
        off_plane_residual: reports.iter().flat_map(|r| r.off_plane_residual.clone()).collect(),
        cosine: about.cosine,
        notes: &about.notes,
        runs: reports,
    };
    out.result(&report, |w| {
        writeln!(w, "{}", about.made)?;
        for line in summary(&plane) {
            writeln!(w, "{line}")?;
        }
        for run in &report.runs {
            let finite = run.off_plane_residual.iter().filter(|r| r.is_finite());
            writeln!(
                w,
                "{:<21} {} snapshots; {:.1} % of its variance ({:.1} % on its own plane), \
                 off-plane residual {:.3} at most",
                run.name,
                run.snapshots,
                100.0 * run.explained_variance,
                100.0 * run.own_explained_variance,
                finite.copied().fold(0.0, f64::max)
            )?;
            if !run.excluded.is_empty() {
                writeln!(w, "{:<21} left out: snapshots {:?}, not finite", "", run.excluded)?;
            }
        }
        writeln!(w, "written               {}", report.plane.display())
    });
    Ok(())
}

/// What a plane holds, in lines for people.
pub fn summary(plane: &Plane) -> Vec<String> {
    let about = &plane.about;
    let mut lines = Vec::new();
    if let ([a, b], [n1, n2]) = (&about.explained_variance[..], &about.null_explained_variance[..])
    {
        let percent = |v: f64| format!("{:.1} %", 100.0 * v);
        lines.push(format!(
            "explained variance    {} + {} = {}",
            percent(*a),
            percent(*b),
            percent(a + b)
        ));
        let walk = if about.kind == PlaneKind::Joint { "random walks'" } else { "a random walk's" };
        lines.push(format!(
            "{walk:<21} {} + {} = {}",
            percent(*n1),
            percent(*n2),
            percent(n1 + n2)
        ));
    }
    let residuals: Vec<f64> =
        about.path.iter().map(|p| p.off_plane_residual).filter(|r| r.is_finite()).collect();
    if let Some(first) = residuals.first() {
        let largest = residuals.iter().copied().fold(0.0, f64::max);
        lines.push(format!("off-plane residual    {first:.3} at the start, {largest:.3} at most"));
    }
    if !about.excluded.is_empty() {
        lines.push(format!("left out              snapshots {:?}: not finite", about.excluded));
    }
    lines.extend(about.notes.iter().map(|n| format!("note                  {n}")));
    lines
}
