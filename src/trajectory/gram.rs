//! The exact Gram matrix of a path.
//!
//! G_ij = <theta_i - theta_o, theta_j - theta_o> in f64, o the origin, from the inner products about the
//! first snapshot ([`InnerProducts`]): G_ij = K_ij + K_oo - K_io - K_jo. That costs an error of the
//! rounding of the largest entries, which the decomposition of G has anyway.
//!
//! Where there are fewer parameters than snapshots the displacements themselves, (T, P), are the
//! smaller, and are kept instead: G is their product with themselves.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::Snapshots;
use super::inner::{InnerProducts, displace, none_finite};
use super::leading::{DENSE, Products, times_transposed};
use crate::error::{Error, Result};
use crate::memory;

/// What [`gram()`] may hold at once by default, beside its result: 256 MiB, whatever T and P.
pub const MEMORY_BYTES: usize = 256 << 20;

/// Bytes that the principal components of `count` snapshots of `dim` parameters take at most: the
/// products, what is held while snapshots stream by, the decomposition, the axes.
pub fn pca_bytes(count: usize, dim: usize) -> u64 {
    let (count, dim) = (count as u64, dim as u64);
    let matrix = count.saturating_mul(count.min(dim)).saturating_mul(8);
    let decomposition = if count <= DENSE as u64 { 3 * 8 * count * count } else { 0 };
    let streaming = (MEMORY_BYTES as u64).min((count + 2).saturating_mul(dim).saturating_mul(8));
    matrix.saturating_add(decomposition).saturating_add(streaming).saturating_add(16 * dim)
}

/// Inner products of a path's displacements from its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    /// The snapshot that displacements are measured from.
    pub origin: usize,
    /// The snapshots that were used, rising.
    pub used: Vec<usize>,
    /// The snapshots that hold a NaN or an infinity and were left out, rising.
    pub excluded: Vec<usize>,
    held: Held,
}

/// What the inner products are kept as: the smaller of the two.
#[derive(Debug, Clone, PartialEq)]
enum Held {
    /// G, (used, used).
    Products(Array2<f64>),
    /// The displacements, (used, P).
    Displacements(Array2<f64>),
}

impl Gram {
    /// That of `inner`, which is complete, about the snapshot `origin`, by default the last finite one.
    ///
    /// # Errors
    /// [`Error::Landscape`] when there is no finite snapshot, or the origin asked for is not one.
    pub fn of(inner: InnerProducts, origin: Option<usize>) -> Result<Self> {
        let origin = origin_among(inner.finite(), origin)?;
        let (mut products, finite) = inner.about(origin);
        let (used, excluded) = parted(&finite);
        if used.len() < finite.len() {
            products = products.select(Axis(0), &used).select(Axis(1), &used);
        }
        Ok(Self { origin, used, excluded, held: Held::Products(products) })
    }

    /// <theta_i - theta_o, theta_j - theta_o> of the `i`-th and `j`-th snapshot used.
    pub fn product(&self, i: usize, j: usize) -> f64 {
        match &self.held {
            Held::Products(g) => g[[i, j]],
            Held::Displacements(d) => d.row(i).dot(&d.row(j)),
        }
    }

    /// ||theta_i - theta_j||^2 of the `i`-th and `j`-th snapshot used.
    pub fn distance_sq(&self, i: usize, j: usize) -> f64 {
        (self.product(i, i) + self.product(j, j) - 2.0 * self.product(i, j)).max(0.0)
    }

    /// The inner products of the used snapshots `rows`, which are adjacent.
    pub(super) fn part(&self, rows: std::ops::Range<usize>) -> Part<'_> {
        match &self.held {
            Held::Products(g) => Part::Products(g.slice(s![rows.clone(), rows])),
            Held::Displacements(d) => Part::Displacements(d.slice(s![rows, ..])),
        }
    }

    /// Those of all used snapshots.
    pub(super) fn whole(&self) -> Part<'_> {
        self.part(0..self.used.len())
    }
}

/// Inner products of some snapshots of a path.
pub(super) enum Part<'a> {
    Products(ArrayView2<'a, f64>),
    Displacements(ArrayView2<'a, f64>),
}

impl Products for Part<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Products(m) | Self::Displacements(m) => m.nrows(),
        }
    }

    fn diagonal(&self) -> Vec<f64> {
        match self {
            Self::Products(g) => g.diag().to_vec(),
            Self::Displacements(d) => d.outer_iter().map(|row| row.dot(&row)).collect(),
        }
    }

    fn times(&self, block: &Array2<f64>) -> Array2<f64> {
        match self {
            Self::Products(g) => times_transposed(block, g.view()),
            // (b, T) (T, P), then (b, P) (P, T)
            Self::Displacements(d) => times_transposed(&block.dot(d), d.view()),
        }
    }
}

/// The Gram matrix of `snapshots` about the snapshot `origin`, by default the last finite one.
/// Snapshots that are not finite are left out and counted. Holds at most `memory_bytes` (but no
/// fewer than some hundred parameters of each snapshot) beside the result, provided that the source reads
/// stretches by itself ([`Snapshots::read_range`]).
///
/// # Errors
/// [`Error::Landscape`] when there is no finite snapshot, or the origin asked for is not one;
/// [`Error::TooLarge`]. Whatever reading a snapshot returns.
pub fn gram(
    snapshots: &(impl Snapshots + ?Sized),
    origin: Option<usize>,
    memory_bytes: usize,
) -> Result<Gram> {
    let (count, dim) = (snapshots.len(), snapshots.dim());
    if let Some(origin) = origin.filter(|&origin| origin >= count) {
        return Err(bad_origin(origin, count));
    }
    if is_by_displacements(count, dim) {
        return by_displacements(snapshots, origin);
    }
    let mut inner = InnerProducts::unknown(count)?;
    inner.complete(snapshots, memory_bytes)?;
    Gram::of(inner, origin)
}

/// Whether [`gram()`] holds the displacements of `count` snapshots of `dim` parameters and not their inner
/// products: there is nothing to continue.
pub fn is_by_displacements(count: usize, dim: usize) -> bool {
    dim < count
}

fn by_displacements(snapshots: &(impl Snapshots + ?Sized), origin: Option<usize>) -> Result<Gram> {
    let (count, dim) = (snapshots.len(), snapshots.dim());
    memory::check("the weights of all snapshots", memory::product(&[count, dim, 8]))?;
    let mut finite = vec![true; count];
    let mut held = Array2::zeros((count, dim));
    let out = held.as_slice_mut().expect("just made");
    let mut row = vec![0.0f32; dim];
    displace(snapshots, 0, &vec![0.0; dim], &mut row, &mut finite, out)?;
    let origin = origin_among(&finite, origin)?;
    let from = held.row(origin).to_owned();
    held -= &from;
    let (used, excluded) = parted(&finite);
    if used.len() < count {
        held = held.select(Axis(0), &used);
    }
    Ok(Gram { origin, used, excluded, held: Held::Displacements(held) })
}

/// The origin asked for, or the last finite snapshot.
fn origin_among(finite: &[bool], wanted: Option<usize>) -> Result<usize> {
    match wanted {
        Some(i) if finite.get(i) == Some(&true) => Ok(i),
        Some(i) => Err(bad_origin(i, finite.len())),
        None => finite.iter().rposition(|&f| f).ok_or_else(|| none_finite(finite.len())),
    }
}

/// The snapshots that are finite, and those that are not.
fn parted(finite: &[bool]) -> (Vec<usize>, Vec<usize>) {
    (0..finite.len()).partition(|&i| finite[i])
}

fn bad_origin(origin: usize, count: usize) -> Error {
    let (what, remedy) = if origin < count {
        (
            format!("snapshot {origin} holds a NaN or an infinity and cannot be the origin"),
            "choose another, or none for the last finite one".to_string(),
        )
    } else {
        (
            format!("there is no snapshot {origin} to be the origin"),
            format!("choose one below {count}"),
        )
    };
    Error::Landscape { what, remedy }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Formula, path};
    use super::*;

    fn products(gram: &Gram) -> Array2<f64> {
        let n = gram.used.len();
        Array2::from_shape_fn((n, n), |(i, j)| gram.product(i, j))
    }

    fn naive(rows: &[Vec<f32>], origin: usize) -> Array2<f64> {
        let d = |i: usize, k: usize| f64::from(rows[i][k]) - f64::from(rows[origin][k]);
        Array2::from_shape_fn((rows.len(), rows.len()), |(i, j)| {
            (0..rows[0].len()).map(|k| d(i, k) * d(j, k)).sum()
        })
    }

    #[test]
    fn the_streamed_matrix_is_the_naive_one_in_any_number_of_stretches() {
        // 37 rows are three tiles, the last one short.
        let rows = path(Formula { snapshots: 37, params: 1003, offset: 0.0 });
        let want = naive(&rows, 36);
        for memory in [0, 8 * 39 * 100, MEMORY_BYTES] {
            let got = gram(&rows, None, memory).unwrap();
            assert_eq!((got.origin, got.used.len()), (36, 37));
            // Sums of 1003 f64 products in another order.
            let tolerance = 1e-12 * want.diag().iter().fold(0.0, |a: f64, &b| a.max(b));
            assert!((products(&got) - &want).iter().all(|e| e.abs() < tolerance), "{memory}");
        }
    }

    #[test]
    fn the_number_of_threads_does_not_show_in_a_single_bit() {
        let rows = path(Formula { snapshots: 40, params: 5000, offset: 0.0 });
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| gram(&rows, None, 1 << 20).unwrap())
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn snapshots_that_are_not_finite_are_left_out_and_named() {
        let mut rows = path(Formula { snapshots: 20, params: 300, offset: 0.0 });
        let whole = rows.clone();
        rows[3][299] = f32::NAN;
        rows[19][0] = f32::INFINITY;
        let got = gram(&rows, None, 0).unwrap();
        assert_eq!((got.origin, got.excluded.as_slice()), (18, [3, 19].as_slice()));
        let mut kept = whole;
        kept.remove(19);
        kept.remove(3);
        assert_eq!(products(&got), products(&gram(&kept, None, 0).unwrap()));

        let message = gram(&rows, Some(3), 0).unwrap_err().to_string();
        assert!(message.contains("snapshot 3 holds a NaN"), "{message}");
        assert!(gram(&rows, Some(20), 0).is_err());
        let message = gram(&vec![vec![f32::NAN]], None, 0).unwrap_err().to_string();
        assert!(message.contains("none of the 1 snapshots is finite"), "{message}");
        assert!(gram(&Vec::new(), None, 0).is_err());
    }

    #[test]
    fn a_path_of_more_snapshots_than_parameters_has_the_same_products() {
        let mut rows = path(Formula { snapshots: 90, params: 23, offset: 0.0 });
        rows[5][3] = f32::NAN;
        let got = gram(&rows, None, 0).unwrap();
        assert!(matches!(&got.held, Held::Displacements(d) if d.dim() == (89, 23)));
        assert_eq!((got.origin, got.excluded.as_slice()), (89, [5].as_slice()));
        rows.remove(5);
        let want = naive(&rows, 88);
        let tolerance = 1e-14 * want.diag().iter().fold(0.0, |a: f64, &b| a.max(b));
        assert!((products(&got) - &want).iter().all(|e| e.abs() < tolerance));
        // What both forms do to vectors is the same too.
        let block = Array2::from_shape_fn((3, 89), |(i, j)| ((i + 2) * j % 7) as f64 - 3.0);
        let off = got.whole().times(&block) - block.dot(&want);
        assert!(off.iter().all(|e| e.abs() < 1e3 * tolerance));
        let few = got.part(10..30);
        let off = few.times(&block.slice(s![.., ..20]).to_owned())
            - block.slice(s![.., ..20]).dot(&want.slice(s![10..30, 10..30]));
        assert!(off.iter().all(|e| e.abs() < 1e3 * tolerance));
        assert_eq!(few.diagonal().len(), 20);
    }

    #[test]
    fn distances_between_neighbours_are_their_step_lengths() {
        let rows = vec![vec![0.0, 0.0], vec![3.0, 4.0], vec![3.0, 4.0], vec![3.0, 5.0]];
        let gram = gram(&rows, None, 0).unwrap();
        let steps: Vec<f64> = (1..4).map(|i| gram.distance_sq(i - 1, i)).collect();
        assert_eq!(steps, [25.0, 0.0, 1.0]);
    }
}
