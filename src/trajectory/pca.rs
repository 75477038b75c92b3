//! Principal components of a path, exactly, from its Gram matrix (Li et al. 2018, section 7).
//!
//! The rows of X, (T, P), are theta_i - theta_n for every snapshot, the zero row of the origin too.
//! Centred, the components are the right singular vectors of HX, H = I - 11^T/T: with the
//! eigenpairs (s^2, u) of H G H, the direction is v = X^T u / s, and the coordinate of snapshot i
//! is <theta_i - theta_n, v> = (G u)_i / s, relative to the origin and not to the mean. Uncentred,
//! the same without H. All of it is T x T work in f64; a long path's leading pairs alone are
//! computed (`leading.rs`), and G is then not centred but applied.
//!
//! Snapshots of several joined runs may be marked by a group each. Then each run has the same
//! weight, however many snapshots it has: with the mass m_i = T / (R T_r) of a snapshot of run r,
//! the mean is that of the masses, and the components are those of the sum of m_i (x_i - mean)(x_i
//! - mean)^T. One run alone has masses of 1, and nothing changes.
//!
//! Weighted by path length ([`Weighting::PathLength`]) the masses of a run's snapshots are instead those of
//! the trapezoidal rule along its path: half of the way from the snapshot before and half of the way to the
//! next. Then the sums approximate integrals over the length of the path, and a thousand snapshots of a
//! standstill weigh nothing.

use ndarray::{Array2, Axis};

use super::Snapshots;
use super::gram::{Gram, MEMORY_BYTES, gram};
use super::leading::{Products, Scatter};
use crate::error::{Error, Result};
use crate::names::named_enum;
use crate::rng::Streams;

named_enum! {
    /// Whether the mean of the displacements is taken off before the decomposition.
    #[derive(Default)]
    pub enum Centring("centring") {
        /// Columns centred: the principal components proper, and the paper's.
        #[default]
        Centred = "centred",
        /// As they are: the best fit through the origin.
        Uncentred = "uncentred",
    }
}

named_enum! {
    /// Where an axis comes from.
    pub enum AxisKind("kind of axis") {
        /// A principal component of the path.
        Principal = "principal",
        /// Random, orthogonal to the axes before it: the path does not extend this far.
        Random = "random",
    }
}

named_enum! {
    /// What each snapshot of a path weighs in the decomposition.
    #[derive(Default)]
    pub enum Weighting("weighting") {
        /// Every snapshot alike: the principal components proper, and the paper's.
        #[default]
        Snapshots = "snapshots",
        /// Evenly in path length: the half of the way from the snapshot before and to the next.
        PathLength = "path-length",
    }
}

/// What [`pca()`] is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PcaConfig {
    /// Whether columns are centred.
    pub centring: Centring,
    /// How many axes, usually 2.
    pub components: usize,
    /// The snapshot at (0, 0); `None` for the last finite one.
    pub origin: Option<usize>,
    /// The run each snapshot belongs to, (T,): every run weighs alike. Empty: all are of one run.
    pub groups: Vec<usize>,
    /// What a snapshot weighs within its run.
    pub weighting: Weighting,
    /// The root seed of random axes (stream `direction`, the axis's number the index).
    pub seed: u64,
    /// What may be held in memory while snapshots stream by.
    pub memory_bytes: usize,
}

impl Default for PcaConfig {
    fn default() -> Self {
        Self {
            centring: Centring::Centred,
            components: 2,
            origin: None,
            groups: Vec::new(),
            weighting: Weighting::Snapshots,
            seed: 0,
            memory_bytes: MEMORY_BYTES,
        }
    }
}

/// The principal components of a path. T counts the snapshots used, k the axes asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// The Gram matrix of the displacements, not centred, and which snapshots it has.
    pub gram: Gram,
    /// Whether columns were centred.
    pub centring: Centring,
    /// Squared singular values, falling: all of them, (T,), for up to 1,024 snapshots, and the 32
    /// largest of a longer path, those behind the axes to 1e-6 of the first.
    pub spectrum: Vec<f64>,
    /// The sum of all T of them.
    pub trace: f64,
    /// The part of the whole spectrum (the trace) that each axis holds, (k,). All zero for a path
    /// that does not move; 0 for a random axis.
    pub explained_variance: Vec<f64>,
    /// Where each axis comes from, (k,).
    pub axes: Vec<AxisKind>,
    /// Coordinates `[snapshot used][axis]` of theta_i - theta_n, (T, k), in units of theta.
    ///
    /// Signs: on each axis the snapshot farthest out (the earliest of those within 1e-9 of it)
    /// lies on the negative side, so that a path that heads for its end comes from the lower left.
    pub coords: Vec<Vec<f64>>,
    /// (T, k): axis a is the sum over i of `mixing[i][a] (theta_i - theta_n)`; zero for random
    /// axes.
    mixing: Array2<f64>,
    seed: u64,
    memory_bytes: usize,
}

/// The principal components of `snapshots`. Where the path spans fewer dimensions than asked for
/// (one snapshot, all alike, a straight line), the axes beyond are random and flagged so.
///
/// # Errors
/// Those of [`gram()`].
pub fn pca(snapshots: &(impl Snapshots + ?Sized), config: &PcaConfig) -> Result<Pca> {
    Ok(pca_of(gram(snapshots, config.origin, config.memory_bytes)?, config))
}

/// [`pca()`] of the path with the Gram matrix `gram`, whose origin is the one of `config`.
pub fn pca_of(gram: Gram, config: &PcaConfig) -> Pca {
    let count = gram.used.len();
    let masses = match config.weighting {
        Weighting::Snapshots => masses(&gram.used, &config.groups),
        Weighting::PathLength => masses_by_length(&gram, &config.groups),
    };
    let inner = gram.whole();
    let scatter = Scatter::new(&inner, masses.as_deref(), config.centring == Centring::Centred);
    let leading = scatter.leading(config.components);
    let (spectrum, trace) =
        (leading.values.iter().map(|v| v.max(0.0)).collect::<Vec<f64>>(), leading.trace);

    // Below this an eigenvalue is the rounding of the others. The origin's displacement from the
    // mean counts too: what is left of it by centring has been rounded at its size.
    let largest = inner.diagonal().into_iter().fold(0.0, f64::max);
    let floor = largest * count as f64 * 64.0 * f64::EPSILON;
    let axes: Vec<AxisKind> = (0..config.components)
        .map(|k| match spectrum.get(k) {
            Some(&value) if value > floor => AxisKind::Principal,
            _ => AxisKind::Random,
        })
        .collect();

    let mut mixing = Array2::zeros((count, axes.len()));
    for (k, _) in axes.iter().enumerate().filter(|(_, kind)| **kind == AxisKind::Principal) {
        let mut scaled = &leading.vectors.row(k) / spectrum[k].sqrt();
        if let Some(masses) = &masses {
            scaled.iter_mut().zip(masses).for_each(|(s, m)| *s *= m.sqrt());
        }
        mixing.column_mut(k).assign(&scaled);
    }
    // (k, T) (T, T)
    let mut coords = inner.times(&mixing.t().to_owned()).reversed_axes();
    for k in 0..axes.len() {
        if farthest(coords.column(k).iter()) > 0.0 {
            coords.column_mut(k).mapv_inplace(|c| -c);
            mixing.column_mut(k).mapv_inplace(|m| -m);
        }
    }
    let explained = |k: usize| match axes[k] {
        AxisKind::Principal => spectrum[k] / trace,
        AxisKind::Random => 0.0,
    };
    Pca {
        explained_variance: (0..axes.len()).map(explained).collect(),
        coords: coords.axis_iter(Axis(0)).map(|row| row.to_vec()).collect(),
        gram,
        centring: config.centring,
        spectrum,
        trace,
        axes,
        mixing,
        seed: config.seed,
        memory_bytes: config.memory_bytes,
    }
}

impl Pca {
    /// The axes as vectors of unit length and orthogonal to each other, k times (P,), rounded to
    /// f32 once. Streams over the same `snapshots` again; beside the result it holds the memory
    /// the Gram matrix was allowed.
    ///
    /// # Errors
    /// [`Error::Landscape`] when there are more axes than parameters. Whatever reading a snapshot
    /// returns.
    pub fn directions(&self, snapshots: &(impl Snapshots + ?Sized)) -> Result<Vec<Vec<f32>>> {
        let dim = snapshots.dim();
        if dim < self.axes.len() {
            return Err(Error::Landscape {
                what: format!("{dim} parameters do not span {} axes", self.axes.len()),
                remedy: "ask for fewer axes".to_string(),
            });
        }
        let mut directions = self.principal(snapshots)?;
        for k in 0..directions.len() {
            let (before, rest) = directions.split_at_mut(k);
            let direction = &mut rest[0];
            if self.axes[k] == AxisKind::Random {
                let mut rng = Streams::new(self.seed).stream("direction", k as u64);
                direction.iter_mut().for_each(|d| *d = rng.normal() as f32);
            }
            // Twice is enough (Parlett 1980): the second pass takes off what the first rounded.
            for _ in 0..2 {
                for other in before.iter() {
                    let along = dot(direction, other);
                    for (d, &o) in direction.iter_mut().zip(other) {
                        *d = (f64::from(*d) - along * f64::from(o)) as f32;
                    }
                }
                let norm = dot(direction, direction).sqrt();
                direction.iter_mut().for_each(|d| *d = (f64::from(*d) / norm) as f32);
            }
        }
        Ok(directions)
    }

    /// X^T mixing, (k, P), zero where the axis is random.
    fn principal(&self, snapshots: &(impl Snapshots + ?Sized)) -> Result<Vec<Vec<f32>>> {
        let (dim, axes) = (snapshots.dim(), self.axes.len());
        let mut directions = vec![vec![0.0f32; dim]; axes];
        // f64 sums for each axis, and two rows in f32.
        let stretch = (self.memory_bytes / (8 * (axes + 1))).max(64).min(dim.max(1));
        let (mut row, mut from) = (vec![0.0f32; stretch], vec![0.0f32; stretch]);
        let mut sums = vec![vec![0.0f64; stretch]; axes];
        for start in (0..dim).step_by(stretch) {
            let width = stretch.min(dim - start);
            let (row, from) = (&mut row[..width], &mut from[..width]);
            snapshots.read_range(self.gram.origin, start, from)?;
            sums.iter_mut().for_each(|sum| sum.fill(0.0));
            for (i, &snapshot) in self.gram.used.iter().enumerate() {
                snapshots.read_range(snapshot, start, row)?;
                for (sum, &m) in sums.iter_mut().zip(self.mixing.row(i)) {
                    for ((s, &w), &o) in sum.iter_mut().zip(row.iter()).zip(from.iter()) {
                        *s += m * (f64::from(w) - f64::from(o));
                    }
                }
            }
            for (direction, sum) in directions.iter_mut().zip(&sums) {
                let out = direction[start..start + width].iter_mut();
                out.zip(sum).for_each(|(d, &s)| *d = s as f32);
            }
        }
        Ok(directions)
    }
}

/// The mass of each snapshot used, T / (R T_r); `None` where all are of one run.
fn masses(used: &[usize], groups: &[usize]) -> Option<Vec<f64>> {
    let of = |i: usize| groups.get(i).copied().unwrap_or(0);
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for &i in used {
        match counts.iter_mut().find(|(group, _)| *group == of(i)) {
            Some((_, count)) => *count += 1,
            None => counts.push((of(i), 1)),
        }
    }
    let (total, runs) = (used.len() as f64, counts.len() as f64);
    let mass = |i: &usize| {
        let count = counts.iter().find(|(group, _)| *group == of(*i)).map_or(1, |c| c.1);
        total / (runs * count as f64)
    };
    (counts.len() > 1).then(|| used.iter().map(mass).collect())
}

/// The mass of each snapshot used in proportion to the way it stands for within its run, and in all of a run
/// T / R; of a run that does not move, every snapshot alike. The snapshots of a run are adjacent.
fn masses_by_length(gram: &Gram, groups: &[usize]) -> Option<Vec<f64>> {
    let of = |i: &usize| groups.get(*i).copied().unwrap_or(0);
    let runs: Vec<&[usize]> = gram.used.chunk_by(|a, b| of(a) == of(b)).collect();
    let of_run = gram.used.len() as f64 / runs.len() as f64;
    let mut first = 0;
    let mut masses = Vec::with_capacity(gram.used.len());
    for run in &runs {
        let steps: Vec<f64> =
            (first + 1..first + run.len()).map(|i| gram.distance_sq(i - 1, i).sqrt()).collect();
        masses.extend(shares_of_length(&steps).into_iter().map(|share| of_run * share));
        first += run.len();
    }
    Some(masses)
}

/// The share of a path's length that each of its points stands for, (T,): half of the steps before and after
/// it. `steps`, (T - 1,), are their lengths; where all are 0, the points share alike.
pub(super) fn shares_of_length(steps: &[f64]) -> Vec<f64> {
    let points = steps.len() + 1;
    let length: f64 = steps.iter().sum();
    if length <= 0.0 {
        return vec![1.0 / points as f64; points];
    }
    let step = |i: Option<usize>| i.and_then(|i| steps.get(i)).copied().unwrap_or(0.0);
    (0..points).map(|i| (step(i.checked_sub(1)) + step(Some(i))) / (2.0 * length)).collect()
}

/// The value farthest from zero; of several within 1e-9 of it, the first.
fn farthest<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> f64 {
    let reach = values.clone().fold(0.0, |a: f64, &b| a.max(b.abs()));
    values.copied().find(|v| v.abs() >= reach * (1.0 - 1e-9)).unwrap_or(0.0)
}

/// The inner product in f64, summed in order.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}
