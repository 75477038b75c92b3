//! `lossreel plane`

use std::path::PathBuf;

use lossreel::Result;
use lossreel::landscape::{Ignore, Normalisation, Plane};
use lossreel::record::Run;
use lossreel::stages::plane::{Directions, of_run};
use lossreel::trajectory::Centring;
use serde::Serialize;

use super::out::Out;

/// Find the plane a run's path lives in, and where its snapshots are on it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run folder.
    run: PathBuf,
    /// pca, random, or an HDF5 direction file of the paper's code.
    #[arg(long, default_value = "pca", value_name = "pca|random|FILE")]
    directions: String,
    /// PCA: centre the columns (as the paper's code does) or not.
    #[arg(long, default_value = "centred", value_name = "centred|uncentred")]
    centring: Centring,
    #[command(flatten)]
    random: Random,
    /// Name of the plane in the run folder; `pca` or `random` by default.
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
    let run = Run::open(args.run)?;
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
        lines.push(format!(
            "a random walk's       {} + {} = {}",
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
