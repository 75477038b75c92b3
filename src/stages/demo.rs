//! The main job on embedded data: one net with and without its shortcuts, trained, recorded, and
//! filmed alone and side by side.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::film::{PanelSource, contour};
use super::plane::Directions;
use super::surface::{SurfaceRequest, compute, path_losses};
use super::{SampleChoice, Subject, train};
use crate::dataset::SampleOrder;
use crate::landscape::{Plane, SurfaceReport};
use crate::models::Shortcut;
use crate::parallel;
use crate::record::{Existing, Metrics, Run};
use crate::render::scene::Film;
use crate::spec::Spec;
use crate::train::{Event, Verdict};
use crate::trajectory::Centring;
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
pub struct Reel {
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

/// Listens to the phases of the demo, from the threads of both nets at once.
pub trait Listener: Sync {
    /// Training of net `net` (its place in [`PAIR`]) tells of an event.
    fn trained(&self, net: usize, event: &Event<'_>);
    /// A phase of a net (what, unit) begins; returns what hears (done, total), and is dropped at
    /// its end.
    fn phase(&self, net: usize, what: &str, unit: &str) -> Box<dyn Fn(usize, usize) + Sync>;
}

/// Trains both nets of the pair into `root`, replacing an earlier demo's, and computes their planes
/// and surfaces, the two side by side where there are two cores.
///
/// # Errors
/// Those of every stage; [`Error::Interrupted`].
pub fn reels(root: &Path, interrupt: &AtomicBool, listener: &dyn Listener) -> Result<Vec<Reel>> {
    parallel::map(&[0, 1], |&net| reel(root, net, interrupt, listener))
}

fn reel(root: &Path, net: usize, interrupt: &AtomicBool, listener: &dyn Listener) -> Result<Reel> {
    let (shortcut, name, _) = PAIR[net];
    let spec = Spec::parse(SPEC, &[format!("model.shortcut={shortcut}")])?;
    let mut prepared = train::create(&spec, &root.join(name), Existing::Replace)?;
    let verdict = prepared.train(interrupt, &mut |event| listener.trained(net, event))?;
    if verdict == Verdict::Interrupted {
        return Err(stopped());
    }
    let run = prepared.run;
    let plane = super::plane::of_run(&run, &Directions::Pca(Centring::Centred), "pca")?;
    let subject = Subject::of_run(&run, None, None)?;
    let sample =
        SampleChoice { test: false, samples: Some(SAMPLES), order: SampleOrder::Balanced, seed: 0 };
    let request = SurfaceRequest { size: GRID, range: None, sample, replace: true };
    let (store, surface) = {
        let on = listener.phase(net, "surface", "cells");
        let folder = run.surface_dir("pca");
        compute(&subject, &plane, &folder, &request, interrupt, &on).map_err(starts_over)?
    };
    {
        let on = listener.phase(net, "losses on the path", "snapshots");
        path_losses(&run, &subject, &plane, &store, sample, interrupt, &on).map_err(starts_over)?;
    }
    Ok(Reel { metrics: run.metrics()?, run, verdict, plane, surface })
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
/// Those of [`contour`].
pub fn films(reels: &[Reel]) -> Result<Vec<(PathBuf, Film)>> {
    let source = |reel: &Reel, title: &str| PanelSource {
        run: reel.run.clone(),
        title: Some(title.to_string()),
        surface: "pca".into(),
        plane: "pca".into(),
    };
    let mut films = Vec::new();
    for (reel, (_, name, title)) in reels.iter().zip(PAIR) {
        let headline = "ResNet-32 learns to read digits: the path on the loss surface";
        films.push((PathBuf::from(name), contour(&[source(reel, title)], Some(headline))?));
    }
    let both: Vec<_> =
        reels.iter().zip(PAIR).map(|(reel, (_, _, title))| source(reel, title)).collect();
    films.push((
        PathBuf::from("side_by_side"),
        contour(&both, Some("What skip connections do to the loss surface"))?,
    ));
    Ok(films)
}
