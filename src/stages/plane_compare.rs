//! The PCA plane of a run beside random planes: how much of the path each sees.

use serde::Serialize;

use super::opened::OpenRun;
use crate::landscape::{Ignore, Normalisation, cosine, random_direction};
use crate::record::Run;
use crate::rng::Streams;
use crate::trajectory::{PcaConfig, Snapshots, pca, project};
use crate::{Error, Result};

/// How much of a path a plane sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlaneShare {
    /// The plane in words.
    pub plane: String,
    /// The part of the squared displacements from the end of the path that lies in the plane, 0..1.
    pub share: f64,
    /// The same of each axis alone.
    pub axes: [f64; 2],
    /// Cosine of the angle between the axes.
    pub cosine: f64,
}

/// The PCA plane (of centred columns) of `run`, and `random` planes through its end with seeds from 0, normalised
/// as asked for.
///
/// # Errors
/// Those of reading the run; [`Error::Landscape`] for one that does not move; [`Error::BadValue`] for no
/// random plane.
pub fn compare(
    run: &Run,
    (norm, ignore): (Normalisation, Ignore),
    random: usize,
) -> Result<Vec<PlaneShare>> {
    if random == 0 {
        let problem = "nothing to compare the principal components with";
        return Err(Error::bad_value("--compare", random, problem, "ask for 1 or more"));
    }
    let opened = OpenRun::new(run.clone());
    let snapshots = opened.snapshots(|s| !s.diverged)?;
    let found = pca(&snapshots, &PcaConfig::default())?;
    let mut end = vec![0.0; snapshots.dim()];
    snapshots.read(found.gram.origin, &mut end)?;
    let of = |plane: String, x: &[f32], y: &[f32]| -> Result<PlaneShare> {
        let seen = project(&snapshots, &end, x, y)?.seen().ok_or_else(|| Error::Landscape {
            what: "the run does not move: no plane sees anything of it".into(),
            remedy: "record a run that does".into(),
        })?;
        Ok(PlaneShare { plane, share: seen.both, axes: [seen.x, seen.y], cosine: cosine(x, y) })
    };
    let mut shares = Vec::with_capacity(random + 1);
    let directions = found.directions(&snapshots)?;
    shares.push(of("principal components, centred".into(), &directions[0], &directions[1])?);
    let layout = snapshots.layout();
    for seed in 0..random as u64 {
        let draw = |i| random_direction(layout, &end, norm, ignore, &Streams::new(seed), i);
        shares.push(of(format!("random, {norm} normalised, seed {seed}"), &draw(0), &draw(1))?);
    }
    Ok(shares)
}
