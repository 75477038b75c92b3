//! The exact Gram matrix of a path, streamed.
//!
//! G_ij = <theta_i - theta_o, theta_j - theta_o> in f64. The origin is subtracted before the
//! products are formed: a late path moves little against the length of theta, and differences of
//! products would lose half the digits. Parameters are taken in stretches of a length that
//! depends on T and the memory allowed only; within one, bands of G are shared among threads, and
//! each entry is summed in the same order on any number of threads.
//!
//! Where there are fewer parameters than snapshots the displacements themselves, (T, P), are the
//! smaller, and are kept instead: G is their product with themselves.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::Snapshots;
use super::leading::{Products, times_transposed};
use crate::error::{Error, Result};

/// What [`gram()`] may hold at once by default, beside its result: 256 MiB, whatever T and P.
pub const MEMORY_BYTES: usize = 256 << 20;

/// Rows of a band of G, of a path of `count` snapshots: enough of them to share among threads, and
/// tall ones of a long path, as a product packs all of the other operand for each.
fn band(count: usize) -> usize {
    (count / 32).clamp(16, 256)
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
/// fewer than 64 parameters of each snapshot) beside the result, provided that the source reads
/// stretches by itself ([`Snapshots::read_range`]).
///
/// # Errors
/// [`Error::Landscape`] when there is no finite snapshot, or the origin asked for is not one.
/// Whatever reading a snapshot returns.
pub fn gram(
    snapshots: &(impl Snapshots + ?Sized),
    origin: Option<usize>,
    memory_bytes: usize,
) -> Result<Gram> {
    let (count, dim) = (snapshots.len(), snapshots.dim());
    // A stretch holds T rows and the origin in f64, and one row in f32.
    let stretch = (memory_bytes / (8 * (count + 2))).max(64).min(dim.max(1));
    let mut row = vec![0.0f32; stretch];
    let origin = match origin {
        Some(i) if i < count && is_finite(snapshots, i, &mut row)? => i,
        Some(i) => return Err(bad_origin(i, count)),
        None => last_finite(snapshots, &mut row)?,
    };

    let mut finite = vec![true; count];
    if dim < count {
        let mut held = Array2::zeros((count, dim));
        let out = held.as_slice_mut().expect("just made");
        let mut from = vec![0.0f32; dim];
        snapshots.read_range(origin, 0, &mut from)?;
        let mut row = vec![0.0f32; dim];
        displace(snapshots, 0, &from, &mut row, &mut finite, out)?;
        let (used, excluded) = parted(&finite);
        if used.len() < count {
            held = held.select(Axis(0), &used);
        }
        return Ok(Gram { origin, used, excluded, held: Held::Displacements(held) });
    }

    let mut products = Array2::<f64>::zeros((count, count));
    let mut from = vec![0.0f32; stretch];
    let mut displaced = vec![0.0f64; count * stretch];
    let tall = band(count);
    for start in (0..dim).step_by(stretch) {
        let width = stretch.min(dim - start);
        let (row, from) = (&mut row[..width], &mut from[..width]);
        let displaced = &mut displaced[..count * width];
        snapshots.read_range(origin, start, from)?;
        displace(snapshots, start, from, row, &mut finite, displaced)?;
        let displaced = ArrayView2::from_shape((count, width), displaced).expect("T rows");
        // G_ab <- G_ab + D_a D_b^T, b >= a
        let bands: Vec<_> = products.axis_chunks_iter_mut(Axis(0), tall).collect();
        bands.into_par_iter().enumerate().for_each(|(band, mut sum)| {
            let first = band * tall;
            let rows = displaced.slice(s![first..first + sum.nrows(), ..]);
            let mut sum = sum.slice_mut(s![.., first..]);
            general_mat_mul(1.0, &rows, &displaced.slice(s![first.., ..]).t(), 1.0, &mut sum);
        });
    }
    // A band reaches below the diagonal within itself: the upper triangle is what counts.
    for i in 0..count {
        for j in 0..i {
            products[[i, j]] = products[[j, i]];
        }
    }
    let (used, excluded) = parted(&finite);
    if used.len() < count {
        products = products.select(Axis(0), &used).select(Axis(1), &used);
    }
    Ok(Gram { origin, used, excluded, held: Held::Products(products) })
}

/// The snapshots that are finite, and those that are not.
fn parted(finite: &[bool]) -> (Vec<usize>, Vec<usize>) {
    (0..finite.len()).partition(|&i| finite[i])
}

/// Parameters `start..start + from.len()` of each snapshot less `from`, into the rows of `out`;
/// zero where a snapshot is not `finite`, which is noted there.
fn displace(
    snapshots: &(impl Snapshots + ?Sized),
    start: usize,
    from: &[f32],
    row: &mut [f32],
    finite: &mut [bool],
    out: &mut [f64],
) -> Result<()> {
    for (i, out) in out.chunks_exact_mut(from.len().max(1)).enumerate() {
        if finite[i] {
            snapshots.read_range(i, start, row)?;
            finite[i] = row.iter().all(|w| w.is_finite());
        }
        if finite[i] {
            for ((d, &w), &o) in out.iter_mut().zip(row.iter()).zip(from.iter()) {
                *d = f64::from(w) - f64::from(o);
            }
        } else {
            out.fill(0.0);
        }
    }
    Ok(())
}

fn is_finite(snapshots: &(impl Snapshots + ?Sized), i: usize, buffer: &mut [f32]) -> Result<bool> {
    let dim = snapshots.dim();
    for start in (0..dim).step_by(buffer.len()) {
        let width = buffer.len().min(dim - start);
        let stretch = &mut buffer[..width];
        snapshots.read_range(i, start, stretch)?;
        if !stretch.iter().all(|w| w.is_finite()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn last_finite(snapshots: &(impl Snapshots + ?Sized), buffer: &mut [f32]) -> Result<usize> {
    for i in (0..snapshots.len()).rev() {
        if is_finite(snapshots, i, buffer)? {
            return Ok(i);
        }
    }
    let (what, remedy) = match snapshots.len() {
        0 => ("there are no snapshots".to_string(), "record some: see `record.every`"),
        n => (format!("none of the {n} snapshots is finite"), "train with a smaller `optim.lr`"),
    };
    Err(Error::Landscape { what, remedy: remedy.to_string() })
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
