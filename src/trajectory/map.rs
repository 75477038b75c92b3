//! A map of several runs in two dimensions, from the distances between all their snapshots.
//!
//! Two maps are made of the same distances. *Classical scaling* (Torgerson 1952) is the best linear
//! picture: the principal plane of all snapshots. A *diffusion map* (Coifman and Lafon 2006, by
//! linfa-reduction) keeps what is near near: snapshots are the states of a random walk whose steps
//! are likely between neighbours, and the coordinates are the slowest modes of that walk. Runs that
//! end in the same basin meet there even where a plane shows their ends apart, and distances across
//! the picture mean little. [`Fidelity`] says of each map what it keeps of the distances.
//!
//! The Gaussian kernel is divided by the densities of both its points (alpha = 1 of Coifman and
//! Lafon), so that a run recorded ten times as often does not pull the map towards itself. Its
//! bandwidth is where the sum of the kernel grows fastest with it, in logarithms (Coifman et al.
//! 2008), but at least the length that links all snapshots: a path begins with few long steps and ends
//! with many short ones, and a bandwidth fit for the many would leave each of the few alone.

use linfa::ParamGuard;
use linfa::traits::Transformer;
use linfa_kernel::{Kernel, KernelInner, KernelMethod};
use linfa_reduction::DiffusionMap;
use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;

use super::gram::Gram;
use super::leading::Scatter;
use crate::error::{Error, Result};

/// Snapshots that a map has at least: linfa-reduction 0.8.1 normalises the kernels of fewer in a way
/// that is not symmetric.
pub const LEAST_SNAPSHOTS: usize = 11;

/// Snapshots that a map has at most: the kernel is a dense matrix of as many rows.
pub const MOST_SNAPSHOTS: usize = 4_000;

/// Neighbours of a snapshot that [`Fidelity::neighbors_kept`] looks at.
const NEIGHBORS: usize = 10;

/// How far an eigenvector of the diffusion operator may be from one, relative to its length.
const RESIDUAL: f64 = 1e-4;

/// Both maps of the same snapshots.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotMap {
    /// Classical scaling; its unit is that of the weights, and the mean is at (0, 0).
    pub scaling: Embedding,
    /// The part of the variance of all snapshots on each axis of the classical scaling, (2,).
    pub explained_variance: [f64; 2],
    /// The diffusion map; its unit has no meaning.
    pub diffusion: Embedding,
    /// The two largest eigenvalues of the diffusion operator below 1, (2,): how much of each mode is
    /// left after a step of the walk.
    pub eigenvalues: [f64; 2],
    /// The squared distance at which the kernel has fallen to 1/e.
    pub bandwidth: f64,
}

/// Snapshots in two dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// (x, y) of each snapshot that the Gram matrix used, (T,).
    pub coords: Vec<[f64; 2]>,
    /// What is left of the distances.
    pub fidelity: Fidelity,
}

/// What a map keeps of the distances between snapshots.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fidelity {
    /// Spearman's rank correlation of the distances in the map with the true ones, over all pairs.
    pub rank_correlation: f64,
    /// The part of each snapshot's nearest neighbours (ten, or a third of all snapshots where there
    /// are fewer than thirty) that are among its nearest neighbours in the map.
    pub neighbors_kept: f64,
}

/// The maps of the snapshots that `gram` holds.
///
/// # Errors
/// [`Error::Landscape`] for fewer than [`LEAST_SNAPSHOTS`] or more than [`MOST_SNAPSHOTS`] snapshots,
/// for snapshots that are all the same, and where the eigenvectors were not found.
pub fn snapshot_map(gram: &Gram) -> Result<SnapshotMap> {
    let count = gram.used.len();
    if !(LEAST_SNAPSHOTS..=MOST_SNAPSHOTS).contains(&count) {
        return Err(Error::Landscape {
            what: format!("a map of {count} snapshots"),
            remedy: format!("give it {LEAST_SNAPSHOTS} to {MOST_SNAPSHOTS}, of all runs together"),
        });
    }
    let distances_sq = distances_sq(gram);
    if distances_sq.iter().all(|d| *d == 0.0) {
        return Err(Error::Landscape {
            what: "all snapshots are the same".into(),
            remedy: "map runs that moved".into(),
        });
    }
    let (scaling, explained_variance) = classical_scaling(gram);
    let bandwidth = bandwidth(&distances_sq).max(longest_link_sq(&distances_sq));
    let (diffusion, eigenvalues) = diffusion_map(&distances_sq, bandwidth)?;
    let embedding =
        |coords: Vec<[f64; 2]>| Embedding { fidelity: fidelity(&distances_sq, &coords), coords };
    Ok(SnapshotMap {
        scaling: embedding(scaling),
        explained_variance,
        diffusion: embedding(diffusion),
        eigenvalues,
        bandwidth,
    })
}

/// ||theta_i - theta_j||^2, (T, T).
fn distances_sq(gram: &Gram) -> Array2<f64> {
    let count = gram.used.len();
    let rows: Vec<f64> = (0..count)
        .into_par_iter()
        .flat_map_iter(|i| (0..count).map(move |j| gram.distance_sq(i, j)))
        .collect();
    Array2::from_shape_vec((count, count), rows).unwrap_or_else(|_| Array2::zeros((count, count)))
}

/// The coordinates of classical scaling and the part of the variance on each axis: the eigenvectors
/// of the centred Gram matrix, as long as the roots of their eigenvalues.
fn classical_scaling(gram: &Gram) -> (Vec<[f64; 2]>, [f64; 2]) {
    let whole = gram.whole();
    let found = Scatter::new(&whole, None, true).leading(2);
    let axis = |k: usize| {
        let value = found.values.get(k).map_or(0.0, |v| v.max(0.0));
        let column = found.vectors.row(k).mapv(|v| v * value.sqrt());
        (oriented(column), if found.trace > 0.0 { value / found.trace } else { 0.0 })
    };
    let ((x, share_x), (y, share_y)) = (axis(0), axis(1));
    (x.iter().zip(&y).map(|(x, y)| [*x, *y]).collect(), [share_x, share_y])
}

/// Turned so that the entry farthest from zero, the first of equals, is positive: eigenvectors have
/// no sign of their own.
fn oriented(column: Array1<f64>) -> Array1<f64> {
    let largest =
        column.iter().fold(0.0f64, |best, v| if v.abs() > best.abs() { *v } else { best });
    if largest < 0.0 { -column } else { column }
}

/// The bandwidth at which the logarithm of the kernel's sum grows fastest with its own: below, every
/// snapshot is alone; above, all are neighbours.
fn bandwidth(distances_sq: &Array2<f64>) -> f64 {
    let positive = || distances_sq.iter().copied().filter(|d| *d > 0.0);
    let least = positive().fold(f64::INFINITY, f64::min);
    let greatest = positive().fold(0.0, f64::max);
    // d log S / d log eps = (sum of (d^2 / eps) exp(-d^2 / eps)) / S, S the sum of exp(-d^2 / eps)
    let slope = |eps: f64| {
        let rows: Vec<(f64, f64)> = (0..distances_sq.nrows())
            .into_par_iter()
            .map(|i| {
                distances_sq.row(i).iter().fold((0.0, 0.0), |(sum, weighted), d| {
                    let k = (-d / eps).exp();
                    (sum + k, weighted + d / eps * k)
                })
            })
            .collect();
        let (sum, weighted) = rows.iter().fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
        weighted / sum
    };
    // Two values an octave.
    let octaves = (greatest / least).log2().clamp(1.0, 60.0);
    let steps = (2.0 * octaves).ceil() as usize;
    let candidates = (0..=steps).map(|i| greatest * 2f64.powf(-0.5 * i as f64));
    let best = candidates.map(|eps| (slope(eps), eps)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(greatest, |(_, eps)| eps)
}

/// The squared length of the longest edge of the minimum spanning tree (Prim 1957): with links as long
/// as that every snapshot can be reached from every other.
fn longest_link_sq(distances_sq: &Array2<f64>) -> f64 {
    let count = distances_sq.nrows();
    let mut to_tree: Vec<f64> = distances_sq.row(0).to_vec();
    let mut reached = vec![false; count];
    reached[0] = true;
    let mut longest = 0.0f64;
    for _ in 1..count {
        let outside = (0..count).filter(|i| !reached[*i]);
        let Some(next) = outside.min_by(|a, b| to_tree[*a].total_cmp(&to_tree[*b])) else { break };
        reached[next] = true;
        longest = longest.max(to_tree[next]);
        for (near, d) in to_tree.iter_mut().zip(distances_sq.row(next)) {
            *near = near.min(*d);
        }
    }
    longest
}

/// Diffusion coordinates after one step, and their eigenvalues.
fn diffusion_map(distances_sq: &Array2<f64>, bandwidth: f64) -> Result<(Vec<[f64; 2]>, [f64; 2])> {
    let mut kernel = distances_sq.mapv(|d| (-d / bandwidth).exp());
    let density = kernel.sum_axis(Axis(1));
    for ((i, j), k) in kernel.indexed_iter_mut() {
        *k /= density[i] * density[j];
    }
    let degree_root = kernel.sum_axis(Axis(1)).mapv(f64::sqrt);
    let method = KernelMethod::Gaussian(bandwidth);
    let kernel = Kernel { inner: KernelInner::Dense(kernel), method };
    let failed = |what: String| Error::Landscape {
        what: format!("the diffusion map was not found: {what}"),
        remedy: "leave out runs that are far from all others".into(),
    };
    let params = DiffusionMap::<f64>::params(2).check().map_err(|e| failed(e.to_string()))?;
    let found = params.transform(&kernel);
    let (values, vectors) = (found.eigvals(), found.embedding());
    let KernelInner::Dense(kernel) = &kernel.inner else {
        return Err(failed("the kernel is not dense".into()));
    };
    let mut axes = Vec::new();
    for k in 0..2 {
        let (value, column) = (values[k], vectors.column(k));
        // Column = lambda D^-1/2 v of a unit eigenvector v of D^-1/2 K D^-1/2, and so an eigenvector
        // of the walk D^-1 K itself, which it is held to.
        let walked = kernel.dot(&column) / degree_root.mapv(|d| d * d);
        let off = (&walked - &(&column * value)).mapv(|e| e * e).sum().sqrt();
        let length = column.dot(&column).sqrt();
        if off.is_nan() || off > RESIDUAL * length {
            return Err(failed(format!("axis {} is {off:.1e} of {length:.1e} off", k + 1)));
        }
        axes.push(oriented(column.to_owned()));
    }
    let coords = axes[0].iter().zip(&axes[1]).map(|(x, y)| [*x, *y]).collect();
    Ok((coords, [values[0], values[1]]))
}

/// What `coords` keep of the distances.
fn fidelity(distances_sq: &Array2<f64>, coords: &[[f64; 2]]) -> Fidelity {
    let count = coords.len();
    let in_map = |i: usize, j: usize| {
        let ([a, b], [c, d]) = (coords[i], coords[j]);
        (a - c).powi(2) + (b - d).powi(2)
    };
    let pairs = || (0..count).flat_map(move |i| (i + 1..count).map(move |j| (i, j)));
    let true_ranks = ranks(&pairs().map(|(i, j)| distances_sq[[i, j]]).collect::<Vec<_>>());
    let map_ranks = ranks(&pairs().map(|(i, j)| in_map(i, j)).collect::<Vec<_>>());
    let neighbors = NEIGHBORS.min(count / 3).max(1);
    let nearest = |i: usize, of: &dyn Fn(usize) -> f64| {
        let mut others: Vec<usize> = (0..count).filter(|j| *j != i).collect();
        others.sort_by(|a, b| of(*a).total_cmp(&of(*b)));
        others.truncate(neighbors);
        others
    };
    let kept: Vec<usize> = (0..count)
        .into_par_iter()
        .map(|i| {
            let truth = nearest(i, &|j| distances_sq[[i, j]]);
            nearest(i, &|j| in_map(i, j)).iter().filter(|j| truth.contains(j)).count()
        })
        .collect();
    Fidelity {
        rank_correlation: correlation(&true_ranks, &map_ranks),
        neighbors_kept: kept.iter().sum::<usize>() as f64 / (count * neighbors) as f64,
    }
}

/// The rank of each value, the mean rank for values that are equal.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let same = order[start..].iter().take_while(|i| values[**i] == values[order[start]]);
        let end = start + same.count().max(1);
        for &i in &order[start..end] {
            ranks[i] = 0.5 * (start + end - 1) as f64;
        }
        start = end;
    }
    ranks
}

/// Pearson's correlation; 0 where one side does not vary.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (x - ma, y - mb);
        (ab, aa, bb) = (ab + x * y, aa + x * x, bb + y * y);
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;
    use crate::trajectory::{MEMORY_BYTES, gram};

    fn map(rows: &Vec<Vec<f32>>) -> SnapshotMap {
        snapshot_map(&gram(rows, None, MEMORY_BYTES).unwrap()).unwrap()
    }

    /// Points of the plane in `dim` dimensions, turned by a random orthogonal pair of axes.
    fn embedded(points: &[[f64; 2]], dim: usize) -> Vec<Vec<f32>> {
        let mut rng = Streams::new(7).stream("test", 0);
        let mut draw = || (0..dim).map(|_| rng.normal()).collect::<Vec<f64>>();
        let (mut x, mut y) = (draw(), draw());
        let norm = |v: &[f64]| v.iter().map(|a| a * a).sum::<f64>().sqrt();
        let n = norm(&x);
        x.iter_mut().for_each(|a| *a /= n);
        let along: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
        y.iter_mut().zip(&x).for_each(|(b, a)| *b -= along * a);
        let n = norm(&y);
        y.iter_mut().for_each(|b| *b /= n);
        let at = |p: &[f64; 2]| {
            x.iter().zip(&y).map(|(a, b)| (p[0] * a + p[1] * b) as f32).collect::<Vec<f32>>()
        };
        points.iter().map(at).collect()
    }

    #[test]
    fn classical_scaling_of_points_of_a_plane_keeps_all_distances() {
        let mut rng = Streams::new(1).stream("test", 0);
        let points: Vec<[f64; 2]> = (0..40).map(|_| [3.0 * rng.normal(), rng.normal()]).collect();
        let found = map(&embedded(&points, 500));
        let distance = |p: [f64; 2], q: [f64; 2]| (p[0] - q[0]).hypot(p[1] - q[1]);
        for i in 0..40 {
            for j in 0..40 {
                let (want, got) = (
                    distance(points[i], points[j]),
                    distance(found.scaling.coords[i], found.scaling.coords[j]),
                );
                // The weights are f32.
                assert!((want - got).abs() < 1e-5, "{want} {got}");
            }
        }
        assert!((found.explained_variance.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(found.scaling.fidelity.rank_correlation > 0.99999);
        assert!(found.scaling.fidelity.neighbors_kept > 0.99);
    }

    #[test]
    fn the_first_diffusion_coordinate_of_a_segment_is_a_cosine_whatever_the_density() {
        // The Laplacian of a segment with reflecting ends has the modes cos(k pi s).
        for power in [1.0, 2.0] {
            let s: Vec<f64> = (0..300).map(|i| (i as f64 / 299.0).powf(power)).collect();
            let points: Vec<[f64; 2]> = s.iter().map(|s| [*s, 0.0]).collect();
            let rows = embedded(&points, 50);
            let gram = gram(&rows, None, MEMORY_BYTES).unwrap();
            let distances_sq = distances_sq(&gram);
            // A bandwidth that is small against the segment and large against the gaps.
            let (coords, values) = diffusion_map(&distances_sq, 2e-3).unwrap();
            assert!(values[0] < 1.0 && values[0] > values[1] && values[1] > 0.5, "{values:?}");
            let mode: Vec<f64> = s.iter().map(|s| (std::f64::consts::PI * s).cos()).collect();
            let x: Vec<f64> = coords.iter().map(|c| c[0]).collect();
            let r = correlation(&mode, &x).abs();
            assert!(r > 0.999, "power {power}: {r}");
        }
    }

    #[test]
    fn points_of_a_circle_stay_a_circle() {
        let turn = |i: usize| 2.0 * std::f64::consts::PI * i as f64 / 60.0;
        let points: Vec<[f64; 2]> = (0..60).map(|i| [turn(i).cos(), turn(i).sin()]).collect();
        let found = map(&embedded(&points, 200));
        let radius: Vec<f64> = found.diffusion.coords.iter().map(|c| c[0].hypot(c[1])).collect();
        let (least, most) = (
            radius.iter().copied().fold(f64::INFINITY, f64::min),
            radius.iter().copied().fold(0.0, f64::max),
        );
        assert!(most / least < 1.001, "{least} {most}");
        assert!((found.eigenvalues[0] - found.eigenvalues[1]).abs() < 1e-6);
        assert!(found.diffusion.fidelity.neighbors_kept > 0.95);
    }

    #[test]
    fn runs_that_end_in_one_basin_meet_and_another_stays_apart() {
        // Three runs from one start in 2,000 dimensions: two to the same end, one to another, each
        // with steps of its own directions besides.
        let dim = 2000;
        let mut rng = Streams::new(3).stream("test", 0);
        let mut ends = || (0..dim).map(|_| rng.normal()).collect::<Vec<f64>>();
        let (shared, other) = (ends(), ends());
        let mut rows = Vec::new();
        for end in [&shared, &shared, &other] {
            let detour: Vec<f64> = (0..dim).map(|_| rng.normal()).collect();
            for i in 0..30 {
                let t = i as f64 / 29.0;
                let bend = 0.8 * (std::f64::consts::PI * t).sin();
                let at = |k: usize| (t * end[k] + bend * detour[k]) as f32;
                rows.push((0..dim).map(at).collect::<Vec<f32>>());
            }
        }
        let found = map(&rows);
        let c = &found.diffusion.coords;
        let distance = |i: usize, j: usize| (c[i][0] - c[j][0]).hypot(c[i][1] - c[j][1]);
        assert!(distance(29, 59) < 0.02 * distance(29, 89), "{:?}", (c[29], c[59], c[89]));
        // Half way the two that meet are apart: the map shows where they go, not only where they end.
        assert!(distance(15, 45) > 10.0 * distance(29, 59));
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        let message = |rows: &Vec<Vec<f32>>| {
            snapshot_map(&gram(rows, None, MEMORY_BYTES).unwrap()).unwrap_err().to_string()
        };
        let still = vec![vec![1.0f32; 30]; 20];
        assert!(message(&still).contains("the same"));
        let few = embedded(&[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 30);
        assert!(message(&few).contains("3 snapshots"));
    }

    #[test]
    fn the_longest_link_is_that_between_two_groups() {
        let points: Vec<[f64; 2]> = [0.0, 0.1, 0.2, 5.2, 5.3].iter().map(|x| [*x, 0.0]).collect();
        let rows = embedded(&points, 40);
        let distances_sq = distances_sq(&gram(&rows, None, MEMORY_BYTES).unwrap());
        // The weights are f32.
        assert!((longest_link_sq(&distances_sq).sqrt() - 5.0).abs() < 1e-5);
    }

    #[test]
    fn a_path_that_slows_down_is_a_line_on_the_map() {
        // Few long steps, then many short ones: all in order along the first coordinate.
        let points: Vec<[f64; 2]> = (0..60).map(|i| [1.0 - 0.85f64.powi(i), 0.0]).collect();
        let found = map(&embedded(&points, 300));
        let x: Vec<f64> = found.diffusion.coords.iter().map(|c| c[0]).collect();
        let time: Vec<f64> = (0..60).map(f64::from).collect();
        assert!(correlation(&ranks(&x), &time).abs() > 0.99, "{x:?}");
    }

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
        assert!((correlation(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]) - 1.0).abs() < 1e-12);
        assert_eq!(correlation(&[1.0, 1.0], &[2.0, 4.0]), 0.0);
    }
}
