//! Inner products of a path's displacements from its first finite snapshot, streamed.
//!
//! K_ij = <theta_i - theta_b, theta_j - theta_b> in f64, b the first finite snapshot. A base is taken off
//! before the products are formed: a path moves little against the length of theta, and differences of
//! products would lose half the digits. It is the first snapshot and not the last because the last is
//! another when the path has grown: so K only gains rows, and can be kept and continued.
//!
//! Each entry is summed by itself, over pieces of [`PIECE`] parameters in their order. It does not depend on
//! the number of snapshots, of threads, or of parameters that fit in memory: the K of a path that was
//! continued equals the K of the whole path to the last bit. (That a product of matrices computes an entry
//! from its row and column alone, by the same operations wherever it stands, is how `matrixmultiply` works
//! for operands of one length; the tests would notice a change.)

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::Snapshots;
use crate::error::{Error, Result};
use crate::memory;

/// Parameters whose products are summed by one product of matrices.
const PIECE: usize = 512;

/// Columns of K that one thread works on at a time.
const WIDE: usize = 256;

/// Rows of K that one thread works on at a time, of `count` new ones.
fn tall(count: usize) -> usize {
    (count / 16).clamp(32, 256)
}

/// Inner products of T snapshots, of which the first ones may be known from before.
#[derive(Debug, Clone, PartialEq)]
pub struct InnerProducts {
    /// (T, T); of the known rows the part up to the diagonal, and zero where a snapshot is not finite.
    products: Array2<f64>,
    /// Whether each snapshot is finite, (T,); true where that is not known yet.
    finite: Vec<bool>,
    /// Rows that are known.
    known: usize,
}

impl InnerProducts {
    /// Those of `count` snapshots of which nothing is known.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where (T, T) f64 numbers do not fit.
    pub fn unknown(count: usize) -> Result<Self> {
        let bytes = memory::product(&[count, count, size_of::<f64>()]);
        memory::check("the inner products of the snapshots", bytes)?;
        let products = Array2::zeros((count, count));
        Ok(Self { products, finite: vec![true; count], known: 0 })
    }

    /// How many snapshots there are, T.
    pub fn len(&self) -> usize {
        self.finite.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.finite.is_empty()
    }

    /// How many rows are known.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Whether each snapshot is finite, (T,).
    pub fn finite(&self) -> &[bool] {
        &self.finite
    }

    /// Row `i` up to the diagonal, (i + 1,).
    pub fn row(&self, i: usize) -> &[f64] {
        let row = self.products.row(i).to_slice().expect("rows are contiguous");
        &row[..=i]
    }

    /// Puts the product of snapshots `i` and `j` in its place.
    pub fn set(&mut self, i: usize, j: usize, product: f64) {
        self.products[[i.max(j), i.min(j)]] = product;
    }

    /// Says that the rows of the first snapshots were put in their places, and whether each is finite.
    ///
    /// # Panics
    /// If there are more than T.
    pub fn know(&mut self, finite: &[bool]) {
        self.finite[..finite.len()].copy_from_slice(finite);
        self.known = finite.len();
    }

    /// Forgets all that is known.
    pub fn forget(&mut self) {
        self.products.fill(0.0);
        self.finite.fill(true);
        self.known = 0;
    }

    /// The first finite snapshot among the known ones.
    pub fn base(&self) -> Option<usize> {
        self.finite[..self.known].iter().position(|&finite| finite)
    }

    /// Computes the rows that are not known, from one pass over `snapshots`; nothing is read where all are.
    /// Holds at most `memory_bytes` (but no fewer than 512 parameters of each snapshot) beside the
    /// result, provided that the source reads stretches by itself ([`Snapshots::read_range`]).
    ///
    /// # Errors
    /// [`Error::Landscape`] when there is no finite snapshot. Whatever reading a snapshot returns.
    pub fn complete(
        &mut self,
        snapshots: &(impl Snapshots + ?Sized),
        memory_bytes: usize,
    ) -> Result<()> {
        let (count, dim, known) = (self.len(), snapshots.dim(), self.known);
        if known == count && count > 0 {
            return Ok(());
        }
        // A stretch holds T rows and the base in f64, and one row in f32. Whole pieces, so that no
        // stretch cuts one.
        let stretch = (memory_bytes / (8 * (count + 2)) / PIECE).max(1) * PIECE;
        let stretch = stretch.min(dim.max(1));
        let mut row = vec![0.0f32; stretch];
        let base = match self.base() {
            Some(base) => base,
            None => first_finite(snapshots, known, &mut row)?,
        };
        let mut from = vec![0.0f32; stretch];
        let mut displaced = vec![0.0f64; count * stretch];
        let tall = tall(count - known);
        for start in (0..dim).step_by(stretch) {
            let width = stretch.min(dim - start);
            let (row, from) = (&mut row[..width], &mut from[..width]);
            let displaced = &mut displaced[..count * width];
            snapshots.read_range(base, start, from)?;
            displace(snapshots, start, from, row, &mut self.finite, displaced)?;
            let displaced = ArrayView2::from_shape((count, width), displaced).expect("T rows");
            // K_ab <- K_ab + D_a D_b^T for new rows a and all b up to the diagonal.
            let new = self.products.slice_mut(s![known.., ..]);
            let mut parts = Vec::new();
            for (band, mut rest) in bands(new, tall).into_iter().enumerate() {
                let first = known + band * tall;
                let end = first + rest.nrows();
                for column in (0..end).step_by(WIDE) {
                    let (part, behind) = rest.split_at(Axis(1), WIDE.min(count - column));
                    parts.push((first, column, part));
                    rest = behind;
                }
            }
            parts.into_par_iter().for_each(|(first, column, mut sum)| {
                let rows = displaced.slice(s![first..first + sum.nrows(), ..]);
                let columns = displaced.slice(s![column..column + sum.ncols(), ..]);
                for at in (0..width).step_by(PIECE) {
                    let piece = s![.., at..(at + PIECE).min(width)];
                    let (a, b) = (rows.slice(piece), columns.slice(piece));
                    general_mat_mul(1.0, &a, &b.t(), 1.0, &mut sum);
                }
            });
        }
        // What was summed before a snapshot turned out not to be finite means nothing.
        for i in known..count {
            for j in 0..=i {
                if !(self.finite[i] && self.finite[j]) {
                    self.products[[i, j]] = 0.0;
                }
            }
        }
        self.known = count;
        Ok(())
    }

    /// <theta_i - theta_o, theta_j - theta_o> for all pairs, (T, T), in the place of those about the base.
    pub(super) fn about(mut self, origin: usize) -> (Array2<f64>, Vec<bool>) {
        let count = self.len();
        let k = &mut self.products;
        let pair = |i: usize, j: usize| [i.max(j), i.min(j)];
        let to_origin: Vec<f64> = (0..count).map(|i| k[pair(i, origin)]).collect();
        let itself = to_origin[origin];
        for i in 0..count {
            for j in 0..=i {
                // Sums of the same terms for (i, origin): that entry is exactly zero.
                let product = (k[[i, j]] + itself) - (to_origin[i] + to_origin[j]);
                k[[i, j]] = product;
                k[[j, i]] = product;
            }
        }
        (self.products, self.finite)
    }
}

/// A matrix cut into bands of `tall` rows.
fn bands(
    matrix: ndarray::ArrayViewMut2<'_, f64>,
    tall: usize,
) -> Vec<ndarray::ArrayViewMut2<'_, f64>> {
    let mut bands = Vec::new();
    let mut rest = matrix;
    while rest.nrows() > 0 {
        let height = tall.min(rest.nrows());
        let (band, below) = rest.split_at(Axis(0), height);
        bands.push(band);
        rest = below;
    }
    bands
}

/// Parameters `start..start + from.len()` of each snapshot less `from`, into the rows of `out`;
/// zero where a snapshot is not `finite`, which is noted there.
pub(super) fn displace(
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

/// The first finite snapshot from `start` on.
fn first_finite(
    snapshots: &(impl Snapshots + ?Sized),
    start: usize,
    buffer: &mut [f32],
) -> Result<usize> {
    for i in start..snapshots.len() {
        if is_finite(snapshots, i, buffer)? {
            return Ok(i);
        }
    }
    Err(none_finite(snapshots.len()))
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

/// That a path has no finite snapshot.
pub(super) fn none_finite(count: usize) -> Error {
    let (what, remedy) = match count {
        0 => ("there are no snapshots".to_string(), "record some: see `record.every`"),
        n => (format!("none of the {n} snapshots is finite"), "train with a smaller `optim.lr`"),
    };
    Error::Landscape { what, remedy: remedy.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Formula, path};
    use super::*;

    fn whole(rows: &Vec<Vec<f32>>, memory: usize) -> InnerProducts {
        let mut inner = InnerProducts::unknown(rows.len()).unwrap();
        inner.complete(rows, memory).unwrap();
        inner
    }

    /// The products of `shorter`, continued to those of `rows`.
    fn continued(shorter: &InnerProducts, rows: &Vec<Vec<f32>>, memory: usize) -> InnerProducts {
        let mut inner = InnerProducts::unknown(rows.len()).unwrap();
        for i in 0..shorter.len() {
            shorter.row(i).iter().enumerate().for_each(|(j, &k)| inner.set(i, j, k));
        }
        inner.know(shorter.finite());
        inner.complete(rows, memory).unwrap();
        inner
    }

    fn assert_same(a: &InnerProducts, b: &InnerProducts, what: &str) {
        assert_eq!(a.finite(), b.finite(), "{what}");
        for i in 0..a.len() {
            assert_eq!(a.row(i), b.row(i), "{what}: row {i}");
        }
    }

    #[test]
    fn a_path_that_was_continued_has_the_products_of_the_whole_to_the_bit() {
        // More rows than a band, more columns than a block, several pieces with a rest.
        let mut rows = path(Formula { snapshots: 300, params: 1700, offset: 3.0 });
        rows[7][1650] = f32::NAN;
        let want = whole(&rows, 1 << 28);
        for first in [1, 2, 7, 8, 31, 32, 33, 255, 257, 299] {
            let shorter = whole(&rows[..first].to_vec(), 1 << 28);
            // Other stretches than the whole had: a piece, and all of it.
            for memory in [0, 1 << 28] {
                let got = continued(&shorter, &rows, memory);
                assert_same(&got, &want, &format!("{first} known, {memory} bytes"));
            }
        }
        // One by one, and on another number of threads.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let mut grown = whole(&rows[..1].to_vec(), 0);
        for count in 2..=40 {
            grown = pool.install(|| continued(&grown, &rows[..count].to_vec(), 0));
        }
        assert_same(&grown, &whole(&rows[..40].to_vec(), 1 << 28), "one by one");
    }

    #[test]
    fn leaving_out_snapshots_leaves_the_others_products_as_they_are() {
        let rows = path(Formula { snapshots: 90, params: 1100, offset: 0.5 });
        let all = whole(&rows, 0);
        let some: Vec<usize> = (0..90).filter(|i| i % 3 != 1).collect();
        let fewer = whole(&some.iter().map(|&i| rows[i].clone()).collect(), 0);
        for (a, &i) in some.iter().enumerate() {
            for (b, &j) in some[..=a].iter().enumerate() {
                assert_eq!(fewer.row(a)[b], all.row(i)[j], "{i} {j}");
            }
        }
    }

    #[test]
    fn what_is_known_is_not_read_and_what_is_forgotten_is() {
        struct Unreadable;
        impl Snapshots for Unreadable {
            fn len(&self) -> usize {
                20
            }
            fn dim(&self) -> usize {
                300
            }
            fn read(&self, i: usize, _: &mut [f32]) -> Result<()> {
                Err(Error::bad_value("snapshot", i, "unreadable", "none"))
            }
        }
        let rows = path(Formula { snapshots: 20, params: 300, offset: 0.0 });
        let mut inner = whole(&rows, 0);
        inner.complete(&Unreadable, 0).unwrap();
        inner.forget();
        assert_eq!((inner.known(), inner.base()), (0, None));
        assert!(inner.complete(&Unreadable, 0).is_err());
    }

    #[test]
    fn products_that_do_not_fit_are_refused_with_the_estimate() {
        let error = InnerProducts::unknown(40_000_000).unwrap_err().to_string();
        assert!(
            error.contains("inner products of the snapshots") && error.contains("GB"),
            "{error}"
        );
    }
}
