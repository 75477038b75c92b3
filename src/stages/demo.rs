//! The main job on embedded data: one net with and without its shortcuts, trained, recorded, and
//! filmed alone and side by side.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::contour::{self, Extras, PanelSource};
use super::film_options::FilmOptions;
use super::opened::{OpenRun, RunSet};
use super::plane::Directions;
use super::surface::{OverPlane, SurfaceRequest, compute, path_losses};
use super::{SampleChoice, Subject, train};
use crate::dataset::{SampleOrder, SplitName};
use crate::landscape::{Plane, SurfaceReport};
use crate::models::Shortcut;
use crate::parallel;
use crate::record::{Existing, Metrics, Run};
use crate::render::scene::Film;
use crate::spec::Spec;
use crate::train::{Event, Verdict};
use crate::{Error, Result};

/// The spec of the pair.
const SPEC: &str = include_str!("../../experiments/demo.toml");

/// Cells of each surface, and images each is evaluated on.
const GRID: [usize; 2] = [31, 31];
const SAMPLES: usize = 200;

/// One net of the pair: the shortcut, the name of its folder and files, its title.
pub const PAIR: [(Shortcut, &str, &str); 2] = [
    (Shortcut::Projection, "with_shortcuts", "With skip connections"),
    (Shortcut::None, "without_shortcuts", "Without skip connections"),
];

/// What the demo found out about one net.
pub struct DemoRun {
    /// The run.
    pub run: Run,
    /// Its metrics.
    pub metrics: Metrics,
    /// How training ended.
    pub verdict: Verdict,
    /// Its plane.
    pub plane: Plane,
    /// Its surface.
    pub surface: SurfaceReport,
}

/// Called as the demo advances, from the threads of both nets at once.
pub trait DemoProgress: Sync {
    /// An event of training net `net` (its place in [`PAIR`]).
    fn trained(&self, net: usize, event: &Event<'_>);
    /// A phase of a net (what, unit) begins; what it returns is called with (done, total), and
    /// dropped at the end of the phase.
    fn phase(&self, net: usize, what: &str, unit: &str) -> Box<dyn Fn(usize, usize) + Sync>;
}

/// Trains both nets of the pair into `root`, replacing an earlier demo's, and computes their planes
/// and surfaces, the two side by side where there are two cores.
///
/// # Errors
/// Those of every stage; [`Error::Interrupted`].
pub fn runs(
    root: &Path,
    interrupt: &AtomicBool,
    progress: &dyn DemoProgress,
) -> Result<Vec<DemoRun>> {
    parallel::map(&[0, 1], |&net| run(root, net, interrupt, progress))
}

fn run(
    root: &Path,
    net: usize,
    interrupt: &AtomicBool,
    progress: &dyn DemoProgress,
) -> Result<DemoRun> {
    let (shortcut, name, _) = PAIR[net];
    let spec = Spec::parse(SPEC, &[format!("model.shortcut={shortcut}")])?;
    let mut prepared = train::create(&spec, &root.join(name), Existing::Replace)?;
    let verdict = prepared.train(interrupt, &mut |event| progress.trained(net, event))?;
    if verdict == Verdict::Interrupted {
        return Err(stopped());
    }
    let run = prepared.run;
    let plane = super::plane::of_run(&run, &Directions::default(), "pca")?;
    let subject = Subject::of_run(&run, None, None)?;
    let sample = SampleChoice {
        split: SplitName::Train,
        samples: Some(SAMPLES),
        order: SampleOrder::Balanced,
        seed: 0,
    };
    let request = SurfaceRequest { size: GRID, range: None, sample, replace: true };
    let set = RunSet::from(run.clone());
    let over = OverPlane::new(&set, 0, &subject, &plane)?;
    let (store, surface) = {
        let on = progress.phase(net, "surface", "cells");
        let folder = run.surface_dir("pca")?;
        compute(&over, &folder, &request, interrupt, &on).map_err(starts_over)?
    };
    {
        let on = progress.phase(net, "losses on the path", "snapshots");
        path_losses(&set, &over, &store, sample, interrupt, &on).map_err(starts_over)?;
    }
    Ok(DemoRun { metrics: run.metrics()?, run, verdict, plane, surface })
}

fn stopped() -> Error {
    Error::Interrupted { remedy: "run the demo again: it starts over".into() }
}

/// A stage of the demo that was interrupted does not go on where it was: the demo starts over.
fn starts_over(error: Error) -> Error {
    if matches!(error, Error::Interrupted { .. }) { stopped() } else { error }
}

/// The films to make of the pair: each alone, then side by side, with the stem of their files.
///
/// # Errors
/// Those of [`contour::gather`].
pub fn films(runs: &[DemoRun]) -> Result<Vec<(PathBuf, Film)>> {
    let source = |demo: &DemoRun, title: &str| PanelSource {
        run: OpenRun::new(demo.run.clone()),
        title: Some(title.to_string()),
        surface: "pca".into(),
        plane: "pca".into(),
    };
    let film = |sources: &[PanelSource], title: &str| {
        contour::gather(sources, Some(title), &FilmOptions::default(), Extras::default())
    };
    let mut films = Vec::new();
    for (demo, (_, name, title)) in runs.iter().zip(PAIR) {
        let headline = "ResNet-32 learns to read digits: the path on its loss surface";
        films.push((PathBuf::from(name), film(&[source(demo, title)], headline)?));
    }
    let both: Vec<_> =
        runs.iter().zip(PAIR).map(|(demo, (_, _, title))| source(demo, title)).collect();
    films.push((
        PathBuf::from("side_by_side"),
        film(&both, "What skip connections do to the loss surface")?,
    ));
    Ok(films)
}
