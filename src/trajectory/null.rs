//! The null: how much variance the principal components of a pure random walk hold.
//!
//! In D >> T dimensions the steps of a walk are orthogonal, so the Gram matrix of its points is
//! known exactly, G_ij = sum of the squared steps up to min(i, j), and with it the spectrum.
//! With equal steps the centred G is the pseudo-inverse of the path graph's Laplacian, whose
//! eigenvalues are 4 sin^2(pi k / 2T): the first component holds 6/pi^2 = 60.79 % of the variance
//! and the first two 75.99 % as T grows (Antognini & Sohl-Dickstein 2018). A plane of a training
//! run that holds no more than this shows nothing of the run.

use std::f64::consts::PI;

use ndarray::Array2;

use super::eigen::eigen_symmetric;
use super::pca::{Centring, centre, centre_masses, weigh};
use crate::error::{Error, Result};

/// The explained variance of the first `components` principal components of a random walk of
/// `snapshots` points with equal steps, in D >> T dimensions.
pub fn null_explained_variance(
    snapshots: usize,
    components: usize,
    centring: Centring,
) -> Vec<f64> {
    let n = snapshots as f64;
    let steps = n - 1.0;
    let rank = snapshots.saturating_sub(1);
    let share = |k: usize| {
        if k > rank {
            return 0.0;
        }
        let k = k as f64;
        let (angle, trace) = match centring {
            // lambda_k = 1 / (4 sin^2(pi k / 2T)), trace (T^2 - 1) / 6
            Centring::Centred => (PI * k / (2.0 * n), (n * n - 1.0) / 6.0),
            // of min(i, j), i, j = 1..T-1: 1 / (4 sin^2(pi (2k - 1) / (4 (T-1) + 2)))
            Centring::Uncentred => {
                (PI * (2.0 * k - 1.0) / (4.0 * steps + 2.0), steps * (steps + 1.0) / 2.0)
            }
        };
        1.0 / (4.0 * angle.sin().powi(2) * trace)
    };
    (1..=components).map(share).collect()
}

/// The same for a walk with the squared step lengths `steps_sq`, (T - 1,): the observed ones
/// ([`super::Gram::step_lengths_sq`]), or the numbers of optimizer steps between snapshots.
///
/// # Errors
/// [`Error::Landscape`] for a step that is negative or not finite.
pub fn null_explained_variance_of_steps(
    steps_sq: &[f64],
    components: usize,
    centring: Centring,
) -> Result<Vec<f64>> {
    if let Some(bad) = steps_sq.iter().find(|s| !(s.is_finite() && **s >= 0.0)) {
        return Err(bad_step(*bad));
    }
    // Squared distance to the last point, which is the origin.
    let mut to_end: Vec<f64> = vec![0.0];
    for step in steps_sq.iter().rev() {
        to_end.push(to_end[to_end.len() - 1] + step);
    }
    to_end.reverse();
    let n = to_end.len();
    // <theta_i - theta_n, theta_j - theta_n> = the steps both still have to make.
    let mut gram = Array2::from_shape_fn((n, n), |(i, j)| to_end[i.max(j)]);
    if centring == Centring::Centred {
        centre(&mut gram);
    }
    Ok(shares(gram, components))
}

/// The part of the trace that each of the first eigenvalues of `gram` is.
fn shares(gram: Array2<f64>, components: usize) -> Vec<f64> {
    let trace = gram.diag().sum();
    let (values, _) = eigen_symmetric(gram);
    let share = |k: usize| {
        let value = values.get(k).copied().unwrap_or(0.0).max(0.0);
        if trace > 0.0 { value / trace } else { 0.0 }
    };
    (0..components).map(share).collect()
}

fn bad_step(bad: f64) -> Error {
    Error::Landscape {
        what: format!("a random walk cannot have a squared step of {bad}"),
        remedy: "give finite numbers, zero or more".to_string(),
    }
}

/// The same for several walks that weigh alike: walk r has the squared step lengths `steps_sq[r]`
/// and begins where run r did; `starts`, (R, R), are the inner products of those beginnings (all
/// alike for a common start). Steps of a walk are orthogonal to each other, to those of the other
/// walks and to the beginnings, as in D >> T dimensions. Centred.
///
/// # Errors
/// [`Error::Landscape`] for a step that is negative or not finite.
pub fn null_explained_variance_of_walks(
    starts: &Array2<f64>,
    steps_sq: &[Vec<f64>],
    components: usize,
) -> Result<Vec<f64>> {
    if let Some(bad) = steps_sq.iter().flatten().find(|s| !(s.is_finite() && **s >= 0.0)) {
        return Err(bad_step(*bad));
    }
    // Squared distance of each point of each walk from where that walk began.
    let mut points: Vec<(usize, f64)> = Vec::new();
    let mut masses = Vec::new();
    let total: usize = steps_sq.iter().map(|steps| steps.len() + 1).sum();
    for (run, steps) in steps_sq.iter().enumerate() {
        let mut sum = 0.0;
        points.push((run, sum));
        for step in steps {
            sum += step;
            points.push((run, sum));
        }
        let mass = total as f64 / (steps_sq.len() * (steps.len() + 1)) as f64;
        masses.extend(std::iter::repeat_n(mass, steps.len() + 1));
    }
    let mut gram = Array2::from_shape_fn((total, total), |(i, j)| {
        let ((a, from_a), (b, from_b)) = (points[i], points[j]);
        starts[[a, b]] + if a == b { from_a.min(from_b) } else { 0.0 }
    });
    centre_masses(&mut gram, &masses);
    weigh(&mut gram, &masses);
    Ok(shares(gram, components))
}

/// The limit of component `k` (from 1) for infinitely many equal steps: 6 / (pi k)^2 centred,
/// 8 / (pi (2k - 1))^2 uncentred.
pub fn null_limit(k: usize, centring: Centring) -> f64 {
    let k = k as f64;
    match centring {
        Centring::Centred => 6.0 / (PI * k).powi(2),
        Centring::Uncentred => 8.0 / (PI * (2.0 * k - 1.0)).powi(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;
    use crate::trajectory::{PcaConfig, pca};

    #[test]
    fn the_closed_form_is_the_spectrum_of_equal_steps() {
        for &centring in Centring::ALL {
            for snapshots in [1, 2, 3, 17, 60] {
                let closed = null_explained_variance(snapshots, 5, centring);
                let steps = vec![0.3; snapshots - 1];
                let solved = null_explained_variance_of_steps(&steps, 5, centring).unwrap();
                for (a, b) in closed.iter().zip(&solved) {
                    assert!((a - b).abs() < 1e-12, "{centring} {snapshots}: {closed:?} {solved:?}");
                }
            }
        }
    }

    #[test]
    fn many_steps_approach_the_limit() {
        for &centring in Centring::ALL {
            let many = null_explained_variance(100_000, 3, centring);
            for (k, share) in many.iter().enumerate() {
                // The centred series is 6/(pi k)^2 + O(1/T^2), the uncentred one O(1/T).
                assert!((share - null_limit(k + 1, centring)).abs() < 2e-5);
            }
        }
        let first = null_limit(1, Centring::Centred);
        assert!((first - 0.6079).abs() < 5e-5);
        assert!((first + null_limit(2, Centring::Centred) - 0.7599).abs() < 5e-5);
    }

    #[test]
    fn a_simulated_walk_in_20_000_dimensions_has_the_computed_spectrum() {
        let (snapshots, params) = (40, 20_000);
        let mut rng = Streams::new(5).stream("test", 0);
        // Steps that grow thirtyfold, so that only the right step lengths fit.
        let length = |i: usize| 0.1 + 3.0 * (i as f64 / snapshots as f64).powi(2);
        let mut theta = vec![0.0f32; params];
        let mut walk = vec![theta.clone()];
        for i in 1..snapshots {
            theta.iter_mut().for_each(|w| *w += (length(i) * rng.normal()) as f32);
            walk.push(theta.clone());
        }
        for &centring in Centring::ALL {
            let found = pca(&walk, &PcaConfig { centring, ..PcaConfig::default() }).unwrap();
            let steps: Vec<f64> = (1..snapshots).map(|i| length(i).powi(2)).collect();
            let want = null_explained_variance_of_steps(&steps, 2, centring).unwrap();
            let equal = null_explained_variance(snapshots, 2, centring);
            for k in 0..2 {
                let off = (found.explained_variance[k] - want[k]).abs();
                // Fluctuations of inner products are of order sqrt(1/D) = 0.007.
                assert!(off < 0.01, "{centring} {k}: {:?} {want:?}", found.explained_variance);
            }
            assert!((want[0] - equal[0]).abs() > 0.02, "the test would not tell them apart");
        }
    }
}
