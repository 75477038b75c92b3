//! `lossreel plane`

use std::path::PathBuf;

use lossreel::curvature::ExtremesConfig;
use lossreel::landscape::{
    Ignore, Normalisation, Plane, PlaneKind, PlaneOrigin, Rounding, RunPath, SnapshotRange,
};
use lossreel::record::{Existing, Run};
use lossreel::stages::plane::{Directions, Principal, joint, of_run};
use lossreel::stages::plane_compare::compare;
use lossreel::stages::plane_of_loss::{self, LossDirections, LossPlaneRequest};
use lossreel::stages::snapshot_map;
use lossreel::stages::{RunChoice, Subject};
use lossreel::trajectory::{Centring, Fidelity, NullInterval, Seen, Weighting};
use lossreel::{Error, Result};
use serde::Serialize;

use super::interrupt;
use super::out::{self, Out};
use super::target::Sample;

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
    origin: PlaneOrigin,
    /// Joint plane: also place all snapshots by the distances between them, so that runs that end in
    /// one basin meet (a diffusion map, beside classical scaling); draw it with `render --as map`.
    #[arg(long, requires = "out")]
    snapshot_map: bool,
    /// Replace a joint plane of other runs.
    #[arg(long, requires = "out")]
    force: bool,
    /// pca, random, an HDF5 direction file of the paper's code; by the loss at the end gradient (and the last
    /// step), hessian (two largest eigenvalues) or hessian-ends (largest and smallest); of three runs minima.
    #[arg(
        long,
        default_value = "pca",
        value_name = "pca|random|gradient|hessian|hessian-ends|minima|FILE"
    )]
    directions: String,
    /// PCA: centre the columns (as the paper's code does) or not.
    #[arg(long, default_value = "centred", value_name = "centred|uncentred")]
    centring: Centring,
    /// PCA: count every snapshot alike, or weigh them evenly in path length, so that many snapshots of a
    /// standstill weigh nothing.
    #[arg(long, default_value = "snapshots", value_name = "snapshots|path-length")]
    weighting: Weighting,
    /// PCA: of this part of the run alone, whose path is then on the plane: 5..20, 5.. or ..20, numbers of
    /// snapshots, both included.
    #[arg(long, value_name = "FROM..TO", conflicts_with = "out")]
    snapshots: Option<SnapshotRange>,
    #[command(flatten)]
    random: Random,
    #[command(flatten)]
    of_loss: OfLoss,
    /// Name of the plane in its folder; by default the word of its directions, of a part of a run with its
    /// numbers (pca-5-20), weighted by path length with that (pca-path-length).
    #[arg(long)]
    name: Option<String>,
    /// Print how much of the path the PCA plane sees beside so many random planes (20 without a number), and
    /// write nothing.
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "20",
        conflicts_with_all = ["out", "name", "snapshots"]
    )]
    compare: Option<usize>,
}

/// How directions are found by the loss.
#[derive(Debug, clap::Args)]
struct OfLoss {
    /// Gradient and hessian: folder with the data set's files; by default the one that the run was trained on.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Hessian: residual of an eigenvalue relative to the largest at which the iteration stops.
    #[arg(long, default_value_t = 1e-3, value_name = "SHARE")]
    tolerance: f64,
    /// Hessian: products with it at most.
    #[arg(long, default_value_t = 200, value_name = "N")]
    iterations: usize,
    #[command(flatten)]
    sample: Sample,
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
pub fn directions(word: &str, principal: Principal, random: &Random) -> (Directions, &'static str) {
    match word {
        "pca" => (Directions::Pca(principal), "pca"),
        "random" => (
            Directions::Random { norm: random.norm, ignore: random.ignore, seed: random.seed },
            "random",
        ),
        "minima" => (Directions::Minima, "minima"),
        file => (Directions::File(PathBuf::from(file)), "file"),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "out::path")]
    plane: PathBuf,
    origin: PlaneOrigin,
    #[serde(serialize_with = "out::floats")]
    explained_variance: &'a [f64],
    #[serde(serialize_with = "out::floats")]
    null_explained_variance: &'a [f64],
    /// Where 95 % of drawn walks are, of each axis and of the sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    null_interval: Option<&'a NullInterval>,
    /// How the walks are made.
    null: &'a str,
    /// Of all snapshots of all runs, as the two below.
    #[serde(serialize_with = "out::floats")]
    off_plane_residual: Vec<f64>,
    path: Vec<[f64; 2]>,
    snapshots: usize,
    #[serde(serialize_with = "out::float")]
    cosine: f64,
    excluded: Vec<usize>,
    notes: &'a [String],
    /// Of snapshots in bf16 or f16.
    #[serde(skip_serializing_if = "Option::is_none")]
    rounding: Option<Rounding>,
    /// Shares of the squared displacements from the origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
    runs: Vec<RunReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<MapReport>,
}

#[derive(Serialize)]
struct MapReport {
    #[serde(serialize_with = "out::path")]
    written: PathBuf,
    diffusion: Fidelity,
    scaling: Fidelity,
}

#[derive(Serialize)]
struct RunReport<'a> {
    name: &'a str,
    snapshots: usize,
    excluded: &'a [usize],
    explained_variance: Option<f64>,
    own_explained_variance: Option<f64>,
    #[serde(serialize_with = "out::floats")]
    off_plane_residual: Vec<f64>,
    path: Vec<[f64; 2]>,
}

impl<'a> RunReport<'a> {
    fn new(run: &'a RunPath) -> Self {
        Self {
            name: &run.run,
            snapshots: run.path.len(),
            excluded: &run.excluded,
            explained_variance: run.explained_variance,
            own_explained_variance: run.own_explained_variance,
            off_plane_residual: run.path.iter().map(|p| p.off_plane_residual).collect(),
            path: run.path.iter().map(|p| [p.x, p.y]).collect(),
        }
    }
}

/// Runs the stage and prints what the plane holds.
pub fn run(args: Args, out: &Out) -> Result<()> {
    if let Some(random) = args.compare {
        return compared(&args, random, out);
    }
    let (path, plane, map) = make(&args)?;
    let about = &plane.about;
    let runs: Vec<RunReport> = about.paths.iter().map(RunReport::new).collect();
    let report = Report {
        plane: path,
        origin: about.origin,
        explained_variance: &about.explained_variance,
        null_explained_variance: &about.null_explained_variance,
        null_interval: about.null_interval.as_ref(),
        null: &about.null,
        off_plane_residual: runs.iter().flat_map(|r| r.off_plane_residual.clone()).collect(),
        path: plane.coords(),
        snapshots: runs.iter().map(|r| r.snapshots).sum(),
        cosine: about.cosine,
        excluded: runs.iter().flat_map(|r| r.excluded.to_vec()).collect(),
        notes: &about.notes,
        rounding: about.rounding,
        seen: about.seen,
        runs,
        map,
    };
    out.result(&report, |w| {
        writeln!(w, "{}", about.made)?;
        writeln!(w, "snapshots             {}", report.snapshots)?;
        for line in summary(&plane) {
            writeln!(w, "{line}")?;
        }
        for run in report.runs.iter().filter(|_| report.runs.len() > 1) {
            let finite = run.off_plane_residual.iter().filter(|r| r.is_finite());
            writeln!(
                w,
                "{:<21} {} snapshots; {:.1} % of its variance ({:.1} % on its own plane), \
                 off-plane residual {:.3} at most",
                run.name,
                run.snapshots,
                100.0 * run.explained_variance.unwrap_or(f64::NAN),
                100.0 * run.own_explained_variance.unwrap_or(f64::NAN),
                finite.copied().fold(0.0, f64::max)
            )?;
        }
        if let Some(map) = &report.map {
            let kept = |of: &Fidelity| {
                format!(
                    "keeps {:.0} % of nearest neighbours, rank correlation {:.2}",
                    100.0 * of.neighbors_kept,
                    of.rank_correlation
                )
            };
            writeln!(w, "diffusion map         {}", kept(&map.diffusion))?;
            writeln!(w, "classical scaling     {}", kept(&map.scaling))?;
            writeln!(w, "written               {}", map.written.display())?;
        }
        writeln!(w, "written               {}", report.plane.display())
    });
    Ok(())
}

/// The PCA plane beside random ones.
fn compared(args: &Args, random: usize, out: &Out) -> Result<()> {
    let [run] = &args.runs[..] else {
        let given = format!("{} runs", args.runs.len());
        return Err(Error::bad_value("RUN", given, "but --compare is of one", "name one run"));
    };
    let normalised = (args.random.norm, args.random.ignore);
    let shares = compare(&Run::open(run)?, normalised, random)?;
    out.result(&shares, |w| {
        let widest = shares.iter().map(|s| s.plane.chars().count()).max().unwrap_or(0);
        let percent = |share: f64| format!("{:.4} %", 100.0 * share);
        writeln!(w, "{:<widest$}  {:>11}  {:>11}  {:>11}", "plane", "x", "y", "both")?;
        for s in &shares {
            let [x, y] = s.axes.map(percent);
            writeln!(w, "{:<widest$}  {x:>11}  {y:>11}  {:>11}", s.plane, percent(s.share))?;
        }
        writeln!(w, "shares of the squared displacements of the snapshots from the last one")
    });
    Ok(())
}

/// Makes the plane of a run, or of several in a folder of their own.
fn make(args: &Args) -> Result<(PathBuf, Plane, Option<MapReport>)> {
    let runs = args.runs.iter().map(Run::open).collect::<Result<Vec<_>>>()?;
    let by_loss = LossDirections::ALL.iter().find(|d| d.as_str() == args.directions).copied();
    let principal = Principal {
        centring: args.centring,
        weighting: args.weighting,
        range: args.snapshots.unwrap_or_default(),
    };
    let (directions, own) = directions(&args.directions, principal, &args.random);
    let own = match by_loss {
        Some(by_loss) => by_loss.as_str().to_string(),
        None => own_name(own, principal),
    };
    if directions == Directions::Minima && args.out.is_none() {
        let problem = "and no folder for the plane through the ends of three runs";
        return Err(Error::bad_value(
            "RUN",
            format!("{} given", runs.len()),
            problem,
            "name three runs and a folder: --out outputs/JOINT",
        ));
    }
    let name = args.name.as_deref().unwrap_or(&own);
    let Some(folder) = &args.out else {
        let [run] = &runs[..] else {
            let given = format!("{} runs", runs.len());
            let problem = "and no folder for their joint plane";
            return Err(Error::bad_value("RUN", given, problem, "name one: --out outputs/JOINT"));
        };
        let plane = match by_loss {
            Some(directions) => of_loss(run, directions, &args.of_loss, name)?,
            None => of_run(run, &directions, name)?,
        };
        return Ok((run.plane_path(name)?, plane, None));
    };
    if by_loss.is_some()
        || !(directions == Directions::default() || directions == Directions::Minima)
    {
        return Err(Error::bad_value(
            "--directions",
            format!("{}, {}, {}", args.directions, args.centring, args.weighting),
            "not a way to make a joint plane",
            "leave it out, for centred principal components, or say minima, for the ends of three runs",
        ));
    }
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    let origin = match (&directions, args.origin) {
        (Directions::Minima, PlaneOrigin::Auto) => PlaneOrigin::Final,
        (_, origin) => origin,
    };
    let (joint, plane) = joint(folder, &runs, (&directions, origin), name, existing)?;
    let map = || -> Result<MapReport> {
        let map = snapshot_map::compute(&joint, name)?;
        let written = snapshot_map::map_path(joint.root(), name)?;
        Ok(MapReport { written, diffusion: map.diffusion, scaling: map.scaling })
    };
    let map = args.snapshot_map.then(map).transpose()?;
    Ok((joint.plane_path(name)?, plane, map))
}

/// The name of a plane that is given none: `pca`, `pca-5-20`, `pca-5-last`, `pca-path-length`.
fn own_name(word: &str, Principal { weighting, range, .. }: Principal) -> String {
    let mut name = word.to_string();
    if !range.is_whole() {
        name += &format!("-{}-", range.from);
        name += &range.to.map_or("last".into(), |to| to.to_string());
    }
    if weighting != Weighting::default() {
        name += &format!("-{weighting}");
    }
    name
}

/// The plane of a run by its loss.
fn of_loss(run: &Run, directions: LossDirections, how: &OfLoss, name: &str) -> Result<Plane> {
    if !(how.tolerance > 0.0 && how.tolerance < 1.0) || how.iterations < 2 {
        let given = format!("{}, {}", how.tolerance, how.iterations);
        let remedy = "use a share such as 1e-3, and 2 products or more";
        return Err(Error::bad_value("--tolerance, --iterations", given, "out of range", remedy));
    }
    let data_dir = how.data_dir.as_deref();
    let subject = Subject::of_run_with(run, RunChoice { data_dir, ..RunChoice::default() })?;
    let request = LossPlaneRequest {
        directions,
        sample: how.sample.of_train(&subject, CURVATURE_SAMPLES),
        config: ExtremesConfig {
            largest: 2,
            smallest: 0,
            tolerance: how.tolerance,
            max_iterations: how.iterations,
        },
    };
    plane_of_loss::plane(run, &subject, &request, name, &interrupt::flag())
}

/// Training images of a plane by the loss where nothing else is asked for.
const CURVATURE_SAMPLES: usize = 1000;

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
            "{walk:<21} {} + {} = {}{}",
            percent(*n1),
            percent(*n2),
            percent(n1 + n2),
            about.null_interval.as_ref().map_or(String::new(), |interval| {
                let [low, high] = interval.sum;
                format!(" ({} to {})", percent(low), percent(high))
            })
        ));
        if let Some(interval) = &about.null_interval
            && a + b <= interval.sum[1]
        {
            lines.push(
                "note                  the plane holds no more than that of a random walk with the same \
                 step lengths: it shows nothing of the run"
                    .into(),
            );
        }
    }
    if let (Some(seen), true) = (about.seen, about.explained_variance.is_empty()) {
        let percent = |v: f64| format!("{:.4} %", 100.0 * v);
        lines.push(format!(
            "sees of the path      {} (x {}, y {}); a plane drawn at random {}",
            percent(seen.both),
            percent(seen.x),
            percent(seen.y),
            percent(2.0 / plane.origin.len() as f64)
        ));
    }
    let residuals: Vec<f64> =
        about.path().iter().map(|p| p.off_plane_residual).filter(|r| r.is_finite()).collect();
    if let ([first, ..], [_]) = (&residuals[..], &about.paths[..]) {
        let largest = residuals.iter().copied().fold(0.0, f64::max);
        lines.push(format!("off-plane residual    {first:.3} at the start, {largest:.3} at most"));
    }
    if let Some(rounding) = about.rounding {
        lines.push(format!(
            "rounding              at most {:.2} % of the path's extent, {:.2} % of a snapshot's \
             distance to (0, 0)",
            100.0 * rounding.of_extent,
            100.0 * rounding.of_distance
        ));
    }
    for run in about.paths.iter().filter(|run| !run.excluded.is_empty()) {
        let of = if about.paths.len() > 1 { format!(" of {}", run.run) } else { String::new() };
        lines.push(format!("left out              snapshots {:?}{of}: not finite", run.excluded));
    }
    lines.extend(about.notes.iter().map(|n| format!("note                  {n}")));
    lines
}
