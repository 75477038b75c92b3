//! The exact Gram matrix of a path, streamed.
//!
//! G_ij = <theta_i - theta_o, theta_j - theta_o> in f64. The origin is subtracted before the
//! products are formed: a late path moves little against the length of theta, and differences of
//! products would lose half the digits. Parameters are taken in stretches of a length that
//! depends on T and the memory allowed only; within one, tiles of G are shared among threads, and
//! each entry is summed in the same order whoever computes it.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;

use super::Snapshots;
use crate::error::{Error, Result};

/// What [`gram()`] may hold at once by default, beside G itself: 256 MiB, whatever T and P.
pub const MEMORY_BYTES: usize = 256 << 20;

/// Rows of a tile of G.
const TILE: usize = 16;

/// Inner products of a path's displacements from its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Gram {
    /// The snapshot that displacements are measured from.
    pub origin: usize,
    /// The snapshots that were used, rising.
    pub used: Vec<usize>,
    /// The snapshots that hold a NaN or an infinity and were left out, rising.
    pub excluded: Vec<usize>,
    /// G, (used, used).
    pub products: Array2<f64>,
}

impl Gram {
    /// ||theta_i+1 - theta_i||^2 between each used snapshot and the next, (used - 1,).
    pub fn step_lengths_sq(&self) -> Vec<f64> {
        let g = &self.products;
        let step = |i: usize| g[[i, i]] + g[[i + 1, i + 1]] - 2.0 * g[[i, i + 1]];
        (1..self.used.len()).map(|i| step(i - 1).max(0.0)).collect()
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

    let tiles = count.div_ceil(TILE);
    let rows_of = |tile: usize| tile * TILE..((tile + 1) * TILE).min(count);
    let mut upper: Vec<(usize, usize, Array2<f64>)> = (0..tiles)
        .flat_map(|a| (a..tiles).map(move |b| (a, b)))
        .map(|(a, b)| (a, b, Array2::zeros((rows_of(a).len(), rows_of(b).len()))))
        .collect();

    let mut finite = vec![true; count];
    let mut from = vec![0.0f32; stretch];
    let mut displaced = vec![0.0f64; count * stretch];
    for start in (0..dim).step_by(stretch) {
        let width = stretch.min(dim - start);
        let (row, from) = (&mut row[..width], &mut from[..width]);
        let displaced = &mut displaced[..count * width];
        snapshots.read_range(origin, start, from)?;
        for (i, out) in displaced.chunks_exact_mut(width).enumerate() {
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
        let displaced = ArrayView2::from_shape((count, width), displaced).expect("T rows");
        // G_ab <- G_ab + D_a D_b^T
        upper.par_iter_mut().for_each(|(a, b, sum)| {
            let (rows_a, rows_b) = (rows_of(*a), rows_of(*b));
            let (a, b) = (displaced.slice(s![rows_a, ..]), displaced.slice(s![rows_b, ..]));
            general_mat_mul(1.0, &a, &b.t(), 1.0, sum);
        });
    }

    let used: Vec<usize> = (0..count).filter(|&i| finite[i]).collect();
    let excluded = (0..count).filter(|&i| !finite[i]).collect();
    let at = |i: usize, j: usize| {
        let (i, j) = (i.min(j), i.max(j));
        // Tiles (a, a..) follow those of the rows above: a whole triangle less the rest.
        let (a, b) = (i / TILE, j / TILE);
        let tile = &upper[a * tiles - a * a.saturating_sub(1) / 2 + b - a];
        tile.2[[i % TILE, j % TILE]]
    };
    let shape = (used.len(), used.len());
    let products = Array2::from_shape_fn(shape, |(i, j)| at(used[i], used[j]));
    Ok(Gram { origin, used, excluded, products })
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
            assert!((&got.products - &want).iter().all(|e| e.abs() < tolerance), "{memory}");
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
        assert_eq!(got.products, gram(&kept, None, 0).unwrap().products);

        let message = gram(&rows, Some(3), 0).unwrap_err().to_string();
        assert!(message.contains("snapshot 3 holds a NaN"), "{message}");
        assert!(gram(&rows, Some(20), 0).is_err());
        let message = gram(&vec![vec![f32::NAN]], None, 0).unwrap_err().to_string();
        assert!(message.contains("none of the 1 snapshots is finite"), "{message}");
        assert!(gram(&Vec::new(), None, 0).is_err());
    }

    #[test]
    fn step_lengths_are_the_distances_between_neighbours() {
        let rows = vec![vec![0.0, 0.0], vec![3.0, 4.0], vec![3.0, 4.0], vec![3.0, 5.0]];
        assert_eq!(gram(&rows, None, 0).unwrap().step_lengths_sq(), [25.0, 0.0, 1.0]);
    }
}
