//! Products of small dense matrices: attention's.

use crate::backend::native::simd::{Kernel, Level, Simd};

/// A matrix that is read element by element: element (i, j) lies at `i * steps[0] + j * steps[1]`,
/// so that one may be read transposed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left<'a> {
    /// Its elements.
    pub data: &'a [f32],
    /// Floats from row to row and from column to column.
    pub steps: [usize; 2],
}

/// c = a b: a is (m, k), the rows of b and c are `n` floats, a multiple of 16, one behind the
/// other.
pub(super) fn product(level: Level, [m, k, n]: [usize; 3], a: Left, b: &[f32], c: &mut [f32]) {
    assert!(m > 0 && k > 0 && n.is_multiple_of(16));
    assert!(a.data.len() > (m - 1) * a.steps[0] + (k - 1) * a.steps[1]);
    assert!(b.len() >= k * n && c.len() >= m * n);
    // SAFETY: the level was found available; lengths are checked above.
    unsafe { level.run(Product { m, k, n, a, b, c }) }
}

struct Product<'a> {
    m: usize,
    k: usize,
    n: usize,
    a: Left<'a>,
    b: &'a [f32],
    c: &'a mut [f32],
}

impl Kernel for Product<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let vectors = self.n / S::LANES;
        let mut first = 0;
        while first < vectors {
            let wide = (vectors - first).min(2);
            // SAFETY: as Product; the block's columns lie inside the rows.
            unsafe {
                match (wide, S::ACCUMULATORS) {
                    (2, 24) => self.block::<S, 10, 2>(first),
                    (2, 12) => self.block::<S, 6, 2>(first),
                    (2, _) => self.block::<S, 3, 2>(first),
                    (_, 24) => self.block::<S, 10, 1>(first),
                    (_, _) => self.block::<S, 4, 1>(first),
                }
            }
            first += wide;
        }
    }
}

impl Product<'_> {
    /// `NV` vectors of all rows from vector `first`, `P` rows a tile.
    ///
    /// # Safety
    /// As [`Product`]; first + NV vectors are at most a row.
    #[inline(always)]
    unsafe fn block<S: Simd, const P: usize, const NV: usize>(&mut self, first: usize) {
        let column = first * S::LANES;
        let mut i = 0;
        // SAFETY: rows stay below m, columns below k and n.
        unsafe {
            while i < self.m {
                let live = (self.m - i).min(P);
                // Beyond the last row the tile repeats it.
                let mut a = [self.a.data.as_ptr(); P];
                for (p, a) in a.iter_mut().enumerate() {
                    *a = a.add((i + p.min(live - 1)) * self.a.steps[0]);
                }
                let mut acc = [[S::zero(); NV]; P];
                let mut b = self.b.as_ptr().add(column);
                for k in 0..self.k {
                    let mut bv = [S::zero(); NV];
                    for (v, bv) in bv.iter_mut().enumerate() {
                        *bv = S::load(b.add(v * S::LANES));
                    }
                    for p in 0..P {
                        let x = S::splat(*a[p].add(k * self.a.steps[1]));
                        for v in 0..NV {
                            acc[p][v] = S::fma(x, bv[v], acc[p][v]);
                        }
                    }
                    b = b.add(self.n);
                }
                for (p, acc) in acc.iter().enumerate().take(live) {
                    for (v, acc) in acc.iter().enumerate() {
                        let to = (i + p) * self.n + column + v * S::LANES;
                        S::store(self.c.as_mut_ptr().add(to), *acc);
                    }
                }
                i += P;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;

    #[test]
    fn products_agree_with_sums_in_f64_whatever_the_shape_and_the_reading_order() {
        let mut rng = Streams::new(5).stream("test", 0);
        for [m, k, n] in [[1, 1, 16], [65, 32, 80], [7, 65, 32], [11, 3, 48], [20, 17, 16]] {
            let a: Vec<f32> = (0..m * k).map(|_| rng.normal() as f32).collect();
            let b: Vec<f32> = (0..k * n).map(|_| rng.normal() as f32).collect();
            for steps in [[k, 1], [1, m]] {
                let left = Left { data: &a, steps };
                for level in Level::all() {
                    let mut c = vec![f32::NAN; m * n];
                    product(level, [m, k, n], left, &b, &mut c);
                    for i in 0..m {
                        for j in 0..n {
                            let at = |l: usize| f64::from(a[i * steps[0] + l * steps[1]]);
                            let want: f64 = (0..k).map(|l| at(l) * f64::from(b[l * n + j])).sum();
                            // At most 65 products of order 1 in f32.
                            let off = (f64::from(c[i * n + j]) - want).abs();
                            assert!(off < 1e-5, "{m} {k} {n} at {level}: {off}");
                        }
                    }
                }
            }
        }
    }
}
