//! The null: how much variance the principal components of a pure random walk hold.
//!
//! A walk with the run's own step lengths in directions that mean nothing. In D >> T dimensions its steps
//! are orthogonal, so the Gram matrix of its points is known exactly, G_ij = sum of the squared steps up
//! to min(i, j), and with it the spectrum. With equal steps the centred G is the pseudo-inverse of the
//! path graph's Laplacian, whose eigenvalues are 4 sin^2(pi k / 2T): the first component holds 6/pi^2 =
//! 60.79 % of the variance and the first two 75.99 % as T grows (Antognini & Sohl-Dickstein 2018). Steps
//! that shrink, as under a schedule, leave more to the first components: the early steps are most of the
//! path. A plane of a training run that holds no more than its walk shows nothing of the run.
//!
//! In the run's own number of dimensions two draws of the walk differ: the interval is that of draws with
//! steps in directions that are uniform over the sphere. Their inner products are drawn, not the steps: the
//! rows of Bartlett's triangle (1933) are Gaussian vectors in the basis that they themselves span.

use std::f64::consts::PI;

use ndarray::{Array2, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::eigen::eigen_symmetric;
use super::gram::{Gram, Part};
use super::leading::{DENSE, Products, Scatter, shares_of};
use super::pca::{Centring, Weighting, shares_of_length};
use crate::error::{Error, Result};
use crate::rng::{Rng, Streams};

/// Draws of a walk that an interval rests on.
const DRAWS: usize = 100;

/// What the principal components of random walks hold of their variance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Null {
    /// The share of each component, falling, in the limit of many parameters: computed, not simulated.
    pub explained_variance: Vec<f64>,
    /// How far single walks in as many dimensions as the run has parameters are from that; none for a path
    /// of more than 1,024 snapshots.
    pub interval: Option<NullInterval>,
}

/// Where 95 % of drawn walks are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NullInterval {
    /// Walks drawn.
    pub draws: usize,
    /// The 2.5 % and the 97.5 % quantile of the share of the first and of the second component.
    pub axes: [[f64; 2]; 2],
    /// The same of their sum, which is what a plane holds.
    pub sum: [f64; 2],
}

/// The null of the path with the Gram matrix `gram` in `dim` dimensions: a random walk that has the path's
/// own step lengths, between the snapshots used, weighted as the path is. The shares of its first
/// `components` components.
///
/// # Errors
/// [`Error::Landscape`] for steps that are not finite.
pub fn null_of_path(
    gram: &Gram,
    dim: usize,
    components: usize,
    (centring, weighting): (Centring, Weighting),
) -> Result<Null> {
    // Displacements are measured from the last point: what two points still have to go to it, squared, is
    // the inner product, so the walk goes from there back.
    let n = gram.used.len();
    let back: Vec<f64> = (1..n).rev().map(|i| gram.distance_sq(i - 1, i)).collect();
    let masses = match weighting {
        Weighting::Snapshots => None,
        Weighting::PathLength => {
            let lengths: Vec<f64> = back.iter().map(|step_sq| step_sq.sqrt()).collect();
            let shares = shares_of_length(&lengths).into_iter();
            Some(shares.map(|share| n as f64 * share).collect::<Vec<f64>>())
        }
    };
    let walk =
        WalksOf { starts: &Array2::zeros((1, 1)), steps_sq: &[back], masses: masses.as_deref() };
    walk.null(dim, components, centring)
}

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

/// The null of several walks of equal weight: walk r has the squared step lengths `steps_sq[r]`
/// and begins where run r did; `starts`, (R, R), are the inner products of those beginnings (all
/// equal for a common start). Steps of a walk are orthogonal to each other, to those of the other
/// walks and to the beginnings, as in D >> T dimensions; the draws of the interval are in `dim`.
///
/// # Errors
/// [`Error::Landscape`] for a step that is negative or not finite.
pub(super) fn null_of_walks(
    starts: &Array2<f64>,
    steps_sq: &[Vec<f64>],
    dim: usize,
    components: usize,
    centring: Centring,
) -> Result<Null> {
    let total: usize = steps_sq.iter().map(|steps| steps.len() + 1).sum();
    let mass = |n: usize| total as f64 / (steps_sq.len() * n) as f64;
    let masses: Vec<f64> = steps_sq
        .iter()
        .flat_map(|steps| std::iter::repeat_n(mass(steps.len() + 1), steps.len() + 1))
        .collect();
    let masses = (steps_sq.len() > 1).then_some(&masses[..]);
    WalksOf { starts, steps_sq, masses }.null(dim, components, centring)
}

/// Random walks that begin where the inner products `starts`, (R, R), say and have the squared step lengths
/// `steps_sq`, with the mass of each of their points; without, all weigh alike.
struct WalksOf<'a> {
    starts: &'a Array2<f64>,
    steps_sq: &'a [Vec<f64>],
    masses: Option<&'a [f64]>,
}

impl WalksOf<'_> {
    /// What their principal components hold.
    ///
    /// # Errors
    /// [`Error::Landscape`] for a step that is negative or not finite.
    fn null(&self, dim: usize, components: usize, centring: Centring) -> Result<Null> {
        let Self { starts, steps_sq, masses } = *self;
        if let Some(bad) = steps_sq.iter().flatten().find(|s| !(s.is_finite() && **s >= 0.0)) {
            return Err(Error::Landscape {
                what: format!("a random walk cannot have a squared step of {bad}"),
                remedy: "give finite numbers, zero or more".to_string(),
            });
        }
        let total: usize = steps_sq.iter().map(|steps| steps.len() + 1).sum();
        let centred = centring == Centring::Centred;
        let explained_variance = Walks::new(starts, steps_sq).shares(masses, centred, components);
        let moves = explained_variance.first().is_some_and(|share| *share > 0.0);
        let interval = (moves && total <= DENSE).then(|| {
            let draws: Vec<[f64; 2]> = (0..DRAWS)
                .into_par_iter()
                .map(|draw| {
                    let mut rng = Streams::new(0).stream("null", draw as u64);
                    let points = drawn_points(starts, steps_sq, dim, &mut rng);
                    let part = Part::Displacements(points.view());
                    let shares = Scatter::new(&part, masses, centred).shares(2);
                    [shares[0], shares[1]]
                })
                .collect();
            let middle = |of: &dyn Fn(&[f64; 2]) -> f64| {
                let mut values: Vec<f64> = draws.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
                [at(0.025), at(0.975)]
            };
            NullInterval {
                draws: DRAWS,
                axes: [middle(&|d| d[0]), middle(&|d| d[1])],
                sum: middle(&|d| d[0] + d[1]),
            }
        });
        Ok(Null { explained_variance, interval })
    }
}

/// The points of walks with steps in directions uniform over the sphere in `dim` dimensions, one a row, in
/// a basis that the beginnings and the steps span.
fn drawn_points(
    starts: &Array2<f64>,
    steps_sq: &[Vec<f64>],
    dim: usize,
    rng: &mut Rng,
) -> Array2<f64> {
    // S = V diag(values) V': the beginnings are the rows of V diag(values)^1/2.
    let (values, vectors) = eigen_symmetric(starts.clone());
    let floor = 1e-12 * values.first().copied().unwrap_or(0.0).max(0.0);
    let known = values.iter().filter(|v| **v > floor).count().min(dim);
    let steps: usize = steps_sq.iter().map(Vec::len).sum();
    let columns = known + steps.min(dim - known);
    let mut points = Array2::zeros((steps + steps_sq.len(), columns.max(1)));
    let (mut row, mut drawn) = (0, 0);
    for (walk, steps_sq) in steps_sq.iter().enumerate() {
        for k in 0..known {
            points[[row, k]] = vectors[[walk, k]] * values[k].sqrt();
        }
        row += 1;
        for step_sq in steps_sq {
            // In the rotated basis a Gaussian vector has normal coordinates along what is spanned so far
            // and the length of all the others along one new direction.
            let spanned = (known + drawn).min(columns);
            let mut step: Vec<f64> = (0..spanned).map(|_| rng.normal()).collect();
            if spanned < columns {
                step.push(chi(dim - spanned, rng));
            }
            drawn += 1;
            let length = step.iter().map(|v| v * v).sum::<f64>().sqrt();
            let factor = if length > 0.0 { step_sq.sqrt() / length } else { 0.0 };
            let (before, mut here) = points.multi_slice_mut((s![row - 1, ..], s![row, ..]));
            here.assign(&before);
            here.iter_mut().zip(&step).for_each(|(h, v)| *h += factor * v);
            row += 1;
        }
    }
    points
}

/// The length of a Gaussian vector in `dim` dimensions. Many are taken by Wilson and Hilferty's normal
/// approximation of the cube root (1931), good to 1e-3 of the spread at 50.
fn chi(dim: usize, rng: &mut Rng) -> f64 {
    if dim <= 50 {
        return (0..dim).map(|_| rng.normal().powi(2)).sum::<f64>().sqrt();
    }
    let spread = 2.0 / (9.0 * dim as f64);
    let root = 1.0 - spread + spread.sqrt() * rng.normal();
    (dim as f64 * root.powi(3)).sqrt()
}

/// The inner products of the points of walks whose steps are orthogonal to each other and to the
/// walks' beginnings: <s_a, s_b> between points of walks a and b, and within one of them the
/// squared way to the nearer of the two points in addition. Never formed: times a vector they are
/// sums.
struct Walks<'a> {
    /// (R, R).
    starts: &'a Array2<f64>,
    /// For each walk the squared way from where it began to each of its points.
    ways: Vec<Vec<f64>>,
}

impl<'a> Walks<'a> {
    fn new(starts: &'a Array2<f64>, steps_sq: &[Vec<f64>]) -> Self {
        let way = |steps: &Vec<f64>| {
            let further = |sum: &mut f64, step: &f64| {
                *sum += step;
                Some(*sum)
            };
            std::iter::once(0.0).chain(steps.iter().scan(0.0, further)).collect()
        };
        Self { starts, ways: steps_sq.iter().map(way).collect() }
    }

    /// The part of the trace that each of the first eigenvalues of the scatter is.
    fn shares(&self, masses: Option<&[f64]>, centred: bool, components: usize) -> Vec<f64> {
        let leading = Scatter::new(self, masses, centred).leading(components);
        shares_of(&leading.values, leading.trace, components)
    }

    /// The products with one vector, (T,).
    fn times_one(&self, v: &[f64]) -> Vec<f64> {
        let mut rest = v;
        let parts: Vec<&[f64]> = self
            .ways
            .iter()
            .map(|way| {
                let (part, after) = rest.split_at(way.len());
                rest = after;
                part
            })
            .collect();
        let sums: Vec<f64> = parts.iter().map(|part| part.iter().sum()).collect();
        let mut out = Vec::with_capacity(v.len());
        for (walk, (way, part)) in self.ways.iter().zip(&parts).enumerate() {
            let from_starts: f64 =
                sums.iter().enumerate().map(|(other, sum)| self.starts[[walk, other]] * sum).sum();
            // sum over j of min(way_i, way_j) v_j: those up to i by their own way, the others by
            // i's.
            let (mut nearer, mut farther) = (0.0, sums[walk]);
            for (way, v) in way.iter().zip(*part) {
                nearer += way * v;
                farther -= v;
                out.push(from_starts + nearer + way * farther);
            }
        }
        out
    }
}

impl Products for Walks<'_> {
    fn len(&self) -> usize {
        self.ways.iter().map(Vec::len).sum()
    }

    fn diagonal(&self) -> Vec<f64> {
        let of = |(walk, way): (usize, &Vec<f64>)| {
            let start = self.starts[[walk, walk]];
            way.iter().map(move |way| start + way).collect::<Vec<f64>>()
        };
        self.ways.iter().enumerate().flat_map(of).collect()
    }

    fn times(&self, block: &Array2<f64>) -> Array2<f64> {
        let rows = block.outer_iter().flat_map(|row| self.times_one(&row.to_vec()));
        Array2::from_shape_vec(block.dim(), rows.collect()).expect("as many as went in")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;
    use crate::trajectory::{PcaConfig, pca};

    /// The explained variance of one walk with the squared step lengths `steps_sq`, (T - 1,).
    fn of_steps(steps_sq: &[f64], components: usize, centring: Centring) -> Vec<f64> {
        // <theta_i - theta_n, theta_j - theta_n> is what both still have to go, squared: a walk
        // from the last point back.
        let back: Vec<f64> = steps_sq.iter().rev().copied().collect();
        let starts = Array2::zeros((1, 1));
        let walks = Walks::new(&starts, &[back]);
        walks.shares(None, centring == Centring::Centred, components)
    }

    /// The limit of component `k` (from 1) for infinitely many equal steps: 6 / (pi k)^2 centred,
    /// 8 / (pi (2k - 1))^2 uncentred.
    fn limit(k: usize, centring: Centring) -> f64 {
        let k = k as f64;
        match centring {
            Centring::Centred => 6.0 / (PI * k).powi(2),
            Centring::Uncentred => 8.0 / (PI * (2.0 * k - 1.0)).powi(2),
        }
    }

    #[test]
    fn the_closed_form_is_the_spectrum_of_equal_steps() {
        for &centring in Centring::ALL {
            for snapshots in [1, 2, 3, 17, 60] {
                let closed = null_explained_variance(snapshots, 5, centring);
                let steps = vec![0.3; snapshots - 1];
                let solved = of_steps(&steps, 5, centring);
                for (a, b) in closed.iter().zip(&solved) {
                    assert!((a - b).abs() < 1e-12, "{centring} {snapshots}: {closed:?} {solved:?}");
                }
            }
        }
    }

    #[test]
    fn a_long_walk_is_solved_to_the_closed_form_too() {
        // Beyond the size that is decomposed whole.
        for &centring in Centring::ALL {
            let closed = null_explained_variance(10_000, 3, centring);
            let solved = of_steps(&[0.3; 9_999], 3, centring);
            for (a, b) in closed.iter().zip(&solved) {
                assert!((a - b).abs() < 1e-9, "{centring}: {closed:?} {solved:?}");
            }
        }
    }

    #[test]
    fn many_steps_approach_the_limit() {
        for &centring in Centring::ALL {
            let many = null_explained_variance(100_000, 3, centring);
            for (k, share) in many.iter().enumerate() {
                // The centred series is 6/(pi k)^2 + O(1/T^2), the uncentred one O(1/T).
                assert!((share - limit(k + 1, centring)).abs() < 2e-5);
            }
        }
        let first = limit(1, Centring::Centred);
        assert!((first - 0.6079).abs() < 5e-5);
        assert!((first + limit(2, Centring::Centred) - 0.7599).abs() < 5e-5);
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
            let want = of_steps(&steps, 2, centring);
            let equal = null_explained_variance(snapshots, 2, centring);
            for k in 0..2 {
                let off = (found.explained_variance[k] - want[k]).abs();
                // Fluctuations of inner products are of order sqrt(1/D) = 0.007.
                assert!(off < 0.01, "{centring} {k}: {:?} {want:?}", found.explained_variance);
            }
            assert!((want[0] - equal[0]).abs() > 0.02, "the test would not tell them apart");
            let how = (centring, Weighting::Snapshots);
            let null = null_of_path(&found.gram, params, 2, how).unwrap();
            let sum: f64 = found.explained_variance.iter().sum();
            let [low, high] = null.interval.unwrap().sum;
            // A walk is one of the draws: within the middle 95 %, a little widened.
            assert!(low - 0.01 < sum && sum < high + 0.01, "{centring}: {sum} {low} {high}");
        }
    }

    #[test]
    fn a_walk_weighted_by_its_length_has_a_null_that_is_weighted_alike() {
        let (snapshots, params) = (40, 20_000);
        let mut rng = Streams::new(6).stream("test", 0);
        // Steps that shrink thirtyfold: alike, the points of the end weigh most; by length, those of the start.
        let length = |i: usize| 0.1 + 3.0 * (1.0 - i as f64 / snapshots as f64).powi(2);
        let mut theta = vec![0.0f32; params];
        let mut walk = vec![theta.clone()];
        for i in 1..snapshots {
            theta.iter_mut().for_each(|w| *w += (length(i) * rng.normal()) as f32);
            walk.push(theta.clone());
        }
        let nulls: Vec<Null> = Weighting::ALL
            .iter()
            .map(|&weighting| {
                let config = PcaConfig { weighting, ..PcaConfig::default() };
                let found = pca(&walk, &config).unwrap();
                let how = (Centring::Centred, weighting);
                let null = null_of_path(&found.gram, params, 2, how).unwrap();
                for k in 0..2 {
                    let off = (found.explained_variance[k] - null.explained_variance[k]).abs();
                    // Fluctuations of inner products are of order sqrt(1/D) = 0.007.
                    assert!(off < 0.01, "{weighting} {k}: {:?}", found.explained_variance);
                }
                let sum: f64 = found.explained_variance.iter().sum();
                let [low, high] = null.interval.as_ref().unwrap().sum;
                assert!(low - 0.01 < sum && sum < high + 0.01, "{weighting}: {sum} {low} {high}");
                null
            })
            .collect();
        let [alike, by_length] = [0, 1].map(|w| nulls[w].explained_variance[0]);
        assert!((alike - by_length).abs() > 0.02, "the test would not tell them apart");
    }

    #[test]
    fn the_interval_is_that_of_simulated_walks_in_as_many_dimensions() {
        // Few dimensions, so that draws differ much; a path of fewer dimensions than steps, too.
        for (snapshots, dim) in [(12, 30), (12, 5)] {
            let length = |i: usize| 1.0 / i as f64;
            let walks: Vec<f64> = (0..400)
                .map(|draw| {
                    let mut rng = Streams::new(9).stream("test", draw);
                    let mut theta = vec![0.0f32; dim];
                    let mut walk = vec![theta.clone()];
                    for i in 1..snapshots {
                        let step: Vec<f64> = (0..dim).map(|_| rng.normal()).collect();
                        let size = step.iter().map(|s| s * s).sum::<f64>().sqrt();
                        let add = |(w, s): (&mut f32, f64)| *w += (length(i) * s / size) as f32;
                        theta.iter_mut().zip(step).for_each(add);
                        walk.push(theta.clone());
                    }
                    let found = pca(&walk, &PcaConfig::default()).unwrap();
                    found.explained_variance.iter().sum()
                })
                .collect();
            let steps: Vec<f64> = (1..snapshots).map(|i| length(i).powi(2)).collect();
            let none = Array2::zeros((1, 1));
            let null = null_of_walks(&none, &[steps], dim, 2, Centring::Centred).unwrap();
            let [low, high] = null.interval.unwrap().sum;
            let inside = walks.iter().filter(|sum| (low..=high).contains(*sum)).count();
            // 380 of 400 with an error of 4, and of the quantiles of 100 draws some 2 % each.
            assert!((350..=398).contains(&inside), "{dim}: {inside} of 400 in {low} to {high}");
            assert!(high - low > 0.02, "{dim}: {low} {high}");
        }
    }

    #[test]
    fn steps_that_shrink_leave_more_to_two_components_than_equal_ones() {
        let steps: Vec<f64> = (0..40).map(|i| 0.9f64.powi(i).powi(2)).collect();
        let own: f64 = of_steps(&steps, 2, Centring::Centred).iter().sum();
        let equal: f64 = null_explained_variance(41, 2, Centring::Centred).iter().sum();
        assert!(own > equal + 0.03, "{own} {equal}");
    }

    #[test]
    fn a_path_that_does_not_move_has_no_interval() {
        let none = Array2::zeros((1, 1));
        let null = null_of_walks(&none, &[vec![0.0; 3]], 10, 2, Centring::Centred).unwrap();
        assert_eq!((null.explained_variance, null.interval), (vec![0.0, 0.0], None));
    }
}
