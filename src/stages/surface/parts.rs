//! A surface that is computed in parts: gone on with from another one that it contains, over more and more
//! images until differences are known well enough, or at some of its cells.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::super::{Progress, SampleChoice};
use super::{OverPlane, SurfaceRequest, grid_of};
use crate::landscape::{
    Budget, Header, SurfaceReport, SurfaceStore, UntilSe, begun, evaluate, grow, interpolate,
    refine,
};
use crate::objective::{DatasetObjective, PIECE, PointPolicy};
use crate::{Error, Result};

/// In which parts a surface is computed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Parts {
    /// Whether the surface in the folder is extended to this one.
    pub extend: bool,
    /// Whether such a surface keeps its grid.
    pub same_grid: bool,
    /// Until when images are added.
    pub until: Option<UntilSe>,
    /// How much is evaluated; all by default.
    pub budget: Option<Budget>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    /// Cells that were kept of the surface that was extended.
    pub kept: Option<usize>,
    /// The error that images were added for, and whether it meets its bound.
    pub error: Option<(f64, bool)>,
    /// How many images there are.
    pub images: usize,
}

/// Evaluates a surface into `folder` in `parts`, going on where an earlier call was interrupted. A request
/// without a number of images means those that an extended surface has, and [`FIRST`] to begin with where
/// images are added.
///
/// # Errors
/// As [`super::compute`]; [`Error::Landscape`] where nothing of the surface in the folder can be reused, and for
/// losses without paired errors; [`Error::BadValue`] where images are to be added whose BatchNorm statistics are
/// those of the images they go through with.
pub fn compute(
    over: &OverPlane<'_>,
    folder: &Path,
    request: &SurfaceRequest,
    parts: &Parts,
    interrupt: &AtomicBool,
    progress: Progress<'_>,
) -> Result<(SurfaceStore, SurfaceReport, Ended)> {
    let started = Instant::now();
    let all = over.subject.split_len(request.sample.split);
    let (mut store, kept) = begin(over, folder, request, parts)?;
    store.take_for_good()?;
    let wanted = request.sample.samples.unwrap_or(store.header.on.samples);
    over.write_plane()?;
    let vectors = over.vectors();
    let of = |images: usize| SampleChoice { samples: Some(images), ..request.sample };
    let mut images = store.header.on.samples;
    let mut objective = over.objective(of(images))?;
    match parts.budget {
        Some(budget) => refine(&mut store, vectors, &objective, budget, interrupt, progress)?,
        None => evaluate(&mut store, vectors, &objective, interrupt, progress)?,
    };
    if let Some(until) = parts.until {
        store.note_until(until)?;
    }
    let mut error = None;
    loop {
        let unfinished = begun(&store)?.filter(|next| *next <= all);
        let next = match parts.until {
            Some(until) => {
                let found = until.of(&store.cells).ok_or_else(no_error)?;
                error = Some((found, found <= until.bound));
                if found <= until.bound || images >= all {
                    break;
                }
                unfinished.unwrap_or_else(|| until.next(images, found, all, PIECE))
            }
            None if images < wanted => unfinished.filter(|next| *next <= wanted).unwrap_or(wanted),
            None => break,
        };
        check_batches(over)?;
        let added = over.objective_of_added(of(next), images)?;
        grow(&mut store, vectors, (&objective, &added, next), interrupt, progress)?;
        images = next;
        objective = over.objective(of(images))?;
    }
    if store.interpolation.is_none() {
        interpolate(&mut store)?;
    }
    let report = store.report(started.elapsed().as_secs_f64());
    Ok((store, report, Ended { kept, error, images }))
}

/// Images that each cell begins with where images are added.
pub const FIRST: usize = 256;

/// The surface to go on with, on the images that it has, and how many of its cells are another's.
fn begin(
    over: &OverPlane<'_>,
    folder: &Path,
    request: &SurfaceRequest,
    parts: &Parts,
) -> Result<(SurfaceStore, Option<usize>)> {
    let all = over.subject.split_len(request.sample.split);
    let header = |images: usize, keeps: Option<&SurfaceStore>| -> Result<Header> {
        let sample = SampleChoice { samples: Some(images), ..request.sample };
        let grid = match keeps {
            Some(old) if parts.same_grid => old.header.grid,
            _ => grid_of(over.plane, request),
        };
        parts.budget.map_or(Ok(()), |budget| budget.check(&grid))?;
        Ok(over.header(grid, sample, &over.objective(sample)?))
    };
    if parts.extend {
        let old = SurfaceStore::open(folder)?;
        let images = old.header.on.samples;
        let images = match (request.sample.samples, parts.until) {
            (None, _) => images,
            // As many as there are is enough to begin with.
            (Some(wanted), Some(_)) => wanted.max(images),
            (Some(wanted), None) => wanted,
        };
        let wanted = header(images, Some(&old))?;
        let (store, kept) = SurfaceStore::extend(folder, wanted, over.vectors())?;
        return Ok((store, Some(kept)));
    }
    let first = if parts.until.is_some() { FIRST.min(all) } else { all };
    let first = request.sample.samples.unwrap_or(first);
    let mut wanted = header(first, None)?;
    if parts.until.is_some()
        && !request.replace
        && let Ok(old) = SurfaceStore::open(folder)
        && old.header.grid == wanted.grid
        && old.header.on.samples > first
    {
        // Images that were added before stay. Anything else that differs is refused below.
        wanted.on.samples = old.header.on.samples;
    }
    Ok((SurfaceStore::begin(folder, wanted, request.replace)?, None))
}

fn no_error() -> Error {
    Error::Landscape {
        what: "no cell has a paired standard error: the loss at the plane's origin is not finite, or one image \
               has none"
            .into(),
        remedy: "ask for --samples 2 or more, on a plane through finite losses".into(),
    }
}

/// Refuses statistics that depend on which images go through together.
fn check_batches(over: &OverPlane<'_>) -> Result<()> {
    match over.policy {
        Some((policy @ PointPolicy::Batch, _)) => {
            let problem = "but each image's loss depends on those that go through with it, which change when \
                           images are added";
            Err(Error::bad_value("bn", policy, problem, "use frozen or recalibrated"))
        }
        _ => Ok(()),
    }
}

impl OverPlane<'_> {
    /// The loss on the images that a sample has and one of `fewer` images does not.
    fn objective_of_added(&self, sample: SampleChoice, fewer: usize) -> Result<DatasetObjective> {
        self.with_statistics(self.subject.objective_of_added(sample, fewer)?)
    }
}
