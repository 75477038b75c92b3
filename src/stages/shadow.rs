//! One path in a random plane and in its principal plane, to one scale.

use super::film_options::FilmOptions;
use super::film_options::HOLD_SECS;
use super::opened::{OpenRun, RunSet, point_of};
use super::{provenance, stale};
use crate::landscape::{Plane, PlaneKind};
use crate::render::numbers::{significant, thousands};
use crate::render::scene::PathPoint;
use crate::render::scenes::shadow::{ShadowFilm, ShadowView};
use crate::rng::Streams;
use crate::trajectory::{Snapshots, Weighting, project};
use crate::{Error, Result};

/// Where the snapshots that `plane` knows lie on a plane of two random orthonormal directions
/// through the same origin, in units of length in parameter space.
///
/// # Errors
/// Those of reading the snapshots; [`Error::StalePath`] where the run has others.
pub fn random_path(run: &OpenRun, plane: &Plane, seed: u64) -> Result<Vec<PathPoint>> {
    let path = plane.about.path();
    let snapshots = run.snapshots_of(path)?;
    if run.layout()?.digest() != plane.about.layout_digest {
        return Err(Error::StalePath { run: run.name() });
    }
    let [x, y] = random_axes(snapshots.dim(), seed);
    let seen = project(&snapshots, &plane.origin, &x, &y)?;
    let points = path.iter().zip(seen.coords);
    Ok(points.map(|(p, [x, y])| PathPoint { x, y, ..point_of(p) }).collect())
}

/// Two random directions of length 1 at right angles: a normal draw has no preferred direction.
fn random_axes(dim: usize, seed: u64) -> [Vec<f32>; 2] {
    let streams = Streams::new(seed);
    let draw = |index| -> Vec<f64> {
        let mut rng = streams.stream("shadow", index);
        (0..dim).map(|_| rng.normal()).collect()
    };
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let unit = |v: Vec<f64>| -> Vec<f64> {
        let length = dot(&v, &v).sqrt().max(f64::MIN_POSITIVE);
        v.iter().map(|v| v / length).collect()
    };
    let x = unit(draw(0));
    let mut y = draw(1);
    let along = dot(&x, &y);
    y.iter_mut().zip(&x).for_each(|(y, x)| *y -= along * x);
    let y = unit(y);
    [x, y].map(|v| v.iter().map(|v| *v as f32).collect())
}

/// The share of a path's variance that two coordinates hold, of the whole variance `total`.
fn held(path: &[PathPoint], total: f64) -> f64 {
    let n = path.len().max(1) as f64;
    let mean = |of: fn(&PathPoint) -> f64| path.iter().map(of).sum::<f64>() / n;
    let (cx, cy) = (mean(|p| p.x), mean(|p| p.y));
    let sum: f64 = path.iter().map(|p| (p.x - cx).powi(2) + (p.y - cy).powi(2)).sum();
    if total > 0.0 { sum / total } else { f64::NAN }
}

/// `run`'s path in a random plane of `seed`, and in its PCA plane called `plane`.
///
/// # Errors
/// Those of reading the run; [`Error::NotPrincipal`] for a plane that is no PCA.
pub fn gather(
    run: &OpenRun,
    plane: &str,
    seed: u64,
    title: Option<&str>,
    options: &FilmOptions,
) -> Result<ShadowFilm> {
    let (name, plane) = (plane, stale::current(&RunSet::from(run.clone()), plane)?.0);
    if plane.about.kind != PlaneKind::Pca {
        return Err(Error::NotPrincipal { plane: name.into(), of: run.name() });
    }
    if plane.about.weighting != Weighting::Snapshots {
        return Err(Error::Landscape {
            what: format!(
                "plane `{name}` of {} weighs its path by length, and this picture counts snapshots alike",
                run.name()
            ),
            remedy: "choose a plane made with --weighting snapshots".into(),
        });
    }
    let dim = run.layout()?.dim();
    let random = random_path(run, &plane, seed)?;
    let principal: Vec<PathPoint> = plane.about.path().iter().map(point_of).collect();
    let total = plane.about.total_variance();
    let share = |path: &[PathPoint]| match held(path, total) {
        share if share.is_finite() => {
            format!(
                "shows {} % of the motion",
                significant(100.0 * share, if share < 0.01 { 1 } else { 3 })
            )
        }
        _ => "which does not move".to_string(),
    };
    let mut random_view = ShadowView {
        title: "The path in a random plane".into(),
        subtitle: share(&random),
        x_label: "random direction 1".into(),
        y_label: "random direction 2".into(),
        path: random,
    };
    let mut principal_view = ShadowView {
        title: "The path in its principal plane".into(),
        subtitle: share(&principal),
        x_label: plane.axis_label(0),
        y_label: plane.axis_label(1),
        path: principal,
    };
    let title = title.unwrap_or("One path seen in two planes").to_string();
    let name = run.description()?;
    let charts = [options.chart_source(&name, run)?];
    let paths = &mut [&mut *principal_view.path, &mut *random_view.path];
    let (strip, pacing) = options.timing(&title, paths, &charts);
    Ok(ShadowFilm {
        caption: format!(
            "{name}: {} of {} weights. Dots: saved weights. Both views have the same unit, length in \
             weight space. Random plane of seed {seed}: in so many dimensions it shows about {} % of \
             any path.",
            provenance::count(plane.about.path().len(), "snapshot"),
            thousands(&dim.to_string()),
            significant(200.0 / dim as f64, 1),
        ),
        views: vec![random_view, principal_view],
        strip,
        pacing,
        title,
        hold_secs: HOLD_SECS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_axes_are_orthonormal_and_those_of_their_seed() {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let [x, y] = random_axes(5000, 1);
        // Rounding to f32 leaves some 1e-8 a coordinate.
        assert!((dot(&x, &x) - 1.0).abs() < 1e-6 && (dot(&y, &y) - 1.0).abs() < 1e-6);
        assert!(dot(&x, &y).abs() < 1e-6);
        assert_eq!(random_axes(5000, 1)[0], x);
        assert_ne!(random_axes(5000, 2)[0], x);
    }

    #[test]
    fn what_a_view_holds_is_its_share_of_the_whole() {
        let at = |x: f64, y: f64| PathPoint { x, y, ..PathPoint::default() };
        let path = [at(-1.0, 5.0), at(1.0, 5.0), at(0.0, 8.0), at(0.0, 2.0)];
        assert!((held(&path, 40.0) - 0.5).abs() < 1e-12);
        assert!(held(&path[..1], 0.0).is_nan());
    }
}
