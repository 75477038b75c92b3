//! The PCA plane of a run beside random planes: how much of the path each sees.

use serde::Serialize;

use super::opened::OpenRun;
use crate::landscape::{Ignore, Normalisation, cosine, random_direction};
use crate::record::Run;
use crate::rng::Streams;
use crate::trajectory::{PcaConfig, Projection, Snapshots, pca, project};
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
        let both = project(&snapshots, &end, x, y)?;
        let share = share_of(&both)?;
        let axes = [along(&snapshots, &end, x)?, along(&snapshots, &end, y)?];
        Ok(PlaneShare { plane, share, axes, cosine: cosine(x, y) })
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

/// The part of the squared displacements that a projection holds.
fn share_of(seen: &Projection) -> Result<f64> {
    let (mut inside, mut all) = (0.0, 0.0);
    for (residual, distance) in seen.off_plane_residual.iter().zip(&seen.distance) {
        if distance.is_finite() && residual.is_finite() {
            inside += (1.0 - residual * residual) * distance * distance;
            all += distance * distance;
        }
    }
    if all > 0.0 {
        return Ok(inside / all);
    }
    Err(Error::Landscape {
        what: "the run does not move: no plane sees anything of it".into(),
        remedy: "record a run that does".into(),
    })
}

/// The part of the squared displacements from `end` that lies along `direction`.
fn along(snapshots: &impl Snapshots, end: &[f32], direction: &[f32]) -> Result<f64> {
    let length_sq: f64 = direction.iter().map(|d| f64::from(*d).powi(2)).sum();
    let (mut inside, mut all) = (0.0, 0.0);
    let mut theta = vec![0.0; end.len()];
    for i in 0..snapshots.len() {
        snapshots.read(i, &mut theta)?;
        let (mut dot, mut square) = (0.0, 0.0);
        for ((t, e), d) in theta.iter().zip(end).zip(direction) {
            let moved = f64::from(*t) - f64::from(*e);
            dot += moved * f64::from(*d);
            square += moved * moved;
        }
        if square.is_finite() {
            inside += dot * dot / length_sq;
            all += square;
        }
    }
    Ok(inside / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_an_axis_is_that_of_the_displacements_along_it() {
        let path = vec![vec![3.0f32, 4.0, 0.0], vec![0.0, 0.0, 5.0], vec![0.0; 3]];
        // 9 + 16 + 25: along x 9 of 50, whatever the length of the direction.
        assert!((along(&path, &[0.0; 3], &[2.0, 0.0, 0.0]).unwrap() - 0.18).abs() < 1e-9);
        let seen = project(&path, &[0.0; 3], &[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0]).unwrap();
        assert!((share_of(&seen).unwrap() - 0.5).abs() < 1e-9);
    }
}
