//! A plane with a surface over it and the paths on it, as pictures show them.

use std::path::Path;

use super::opened::{RunSet, panel, point_of};
use super::stale;
use crate::landscape::{PathCoord, PathLosses, Plane, RunPath, SurfaceStore};
use crate::render::scene::{ContourPanel, PathPoint};
use crate::{Error, Result};

/// A plane, a surface over it, and the losses on the paths.
#[derive(Debug)]
pub struct OnPlane {
    /// The plane.
    pub plane: Plane,
    /// The surface.
    pub store: SurfaceStore,
    losses: PathLosses,
    surface: String,
    of: String,
}

impl OnPlane {
    /// Opens plane `plane` and surface `surface` of `set`.
    ///
    /// # Errors
    /// Those of reading them; [`Error::PlaneBehind`] where a run went on since the plane was made,
    /// [`Error::StalePlane`] where the surface was computed over another plane.
    pub fn open(set: &RunSet, plane: &str, surface: &str) -> Result<Self> {
        let (name, plane) = (plane, set.plane(plane)?);
        let store = SurfaceStore::open(&set.surface_dir(surface)?)?;
        stale::check(set, name, &plane)?;
        if store.header.plane_digest != plane.digest() {
            return Err(Error::StalePlane {
                surface: surface.into(),
                plane: name.into(),
                of: set.name().into(),
                stack: None,
            });
        }
        let losses = store.path_losses()?;
        Ok(Self { plane, store, losses, surface: surface.into(), of: set.name().into() })
    }

    /// The surface in `folder`, which is no run's, over the plane beside it: that of a file of weights.
    ///
    /// # Errors
    /// Those of reading them; [`Error::BadFile`] for a curve and for a surface without a plane;
    /// [`Error::StalePlane`] where the plane is another surface's.
    pub fn of_folder(folder: &Path) -> Result<Self> {
        let store = SurfaceStore::open(folder)?;
        let bad = |what: &str, remedy: &str| Error::BadFile {
            what: what.into(),
            remedy: remedy.into(),
            path: folder.to_path_buf(),
        };
        if store.header.grid.y.n == 1 {
            return Err(bad("it holds a curve and not a surface", "draw it with --as curve"));
        }
        let plane =
            Plane::read(&folder.join("plane.safetensors")).map_err(|error| match error {
                Error::NoPlane { .. } => bad(
                    "the surface has no plane beside it",
                    "where it is a run's, name the run and --surface; else compute it again",
                ),
                error => error,
            })?;
        let of = folder.display().to_string();
        if store.header.plane_digest != plane.digest() {
            let (surface, plane) = ("surface".into(), "plane.safetensors".into());
            return Err(Error::StalePlane { surface, plane, of, stack: None });
        }
        let losses = store.path_losses()?;
        Ok(Self { plane, store, losses, surface: "surface".into(), of })
    }

    /// The path of run `index` with its losses.
    ///
    /// # Errors
    /// [`Error::Unfinished`] where losses are missing.
    pub fn path(&self, index: usize) -> Result<Vec<PathPoint>> {
        let Some(RunPath { run, path, .. }) = self.plane.about.paths.get(index) else {
            return Ok(Vec::new());
        };
        let point = |p: &PathCoord| {
            let loss = self.losses.get(run, p.snapshot).ok_or_else(|| Error::Unfinished {
                surface: self.surface.clone(),
                of: self.of.clone(),
                stack: false,
            })?;
            let (true_loss, plane_loss) = (loss.true_loss, Some(loss.plane_loss));
            Ok(PathPoint { true_loss, plane_loss, ..point_of(p) })
        };
        path.iter().map(point).collect()
    }

    /// The surface without a path, its axes labelled.
    pub fn panel(&self) -> ContourPanel {
        panel(&self.plane, &self.store, self.store.losses())
    }
}
