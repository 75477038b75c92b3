//! The products in the transform domain: for each of the A x A positions a small matrix product,
//! [tiles x channels in] times [channels in x channels out], and its transpose for the gradient of
//! the weights.

use super::{load, store};
use crate::backend::native::number::Number;
use crate::backend::native::shape::CHANNEL_BLOCK;
use crate::backend::native::simd::Simd;

/// One position's matrix of tiles: `[channels / 16][tiles][16]`, so a register tile finds its tiles
/// at fixed distances. Where a word holds two numbers it is `[channels / 16][tiles][8]` of words.
#[derive(Clone, Copy)]
pub(super) struct Matrix<F> {
    /// Its floats.
    pub floats: F,
    /// Floats from 16 channels to the next 16.
    pub block: usize,
}

impl<F> Matrix<F> {
    /// Where `channel` of the first tile lies, a word each.
    #[inline(always)]
    fn at(&self, channel: usize) -> usize {
        channel / CHANNEL_BLOCK * self.block + channel % CHANNEL_BLOCK
    }
}

/// from\[at\].
#[inline(always)]
unsafe fn float(from: &[f32], at: usize) -> f32 {
    debug_assert!(at < from.len());
    // SAFETY: the caller's promise, which tests check.
    unsafe { *from.get_unchecked(at) }
}

/// Floats of the packed weights that are asked for ahead of their use: what arrives from the third
/// level cache meanwhile. They are read one after the other, but past the borders of pages, where a
/// processor's own prefetching stops.
const AHEAD: usize = 1024;

/// Asks for the cache line of from\[at\], which may lie behind its end.
#[inline(always)]
fn prefetch(from: &[f32], at: usize) {
    let at = from.as_ptr().wrapping_add(at);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching reads nothing and faults nowhere.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// m (tiles, width) = v (tiles, depth) times u, packed `[width / 2 vectors][depth][2 vectors]`; the
/// last columns of u are one vector where the width leaves no more. `depth` counts words of v and
/// u; m is f32.
///
/// # Safety
/// `v`, `u` and `m` reach as far as said; `width` is a multiple of 16.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd, N: Number<S>>(
    [tiles, depth, width]: [usize; 3],
    v: Matrix<&[f32]>,
    u: &[f32],
    m: Matrix<&mut [f32]>,
) {
    let mut column = 0;
    while column < width {
        let u = &u[column * depth..];
        let m = Matrix { floats: &mut *m.floats, block: m.block };
        // SAFETY: the caller's promise.
        unsafe {
            if width - column >= 2 * S::LANES {
                strip::<S, N, 2>([tiles, depth, column], v, u, m);
                column += 2 * S::LANES;
            } else {
                strip::<S, N, 1>([tiles, depth, column], v, u, m);
                column += S::LANES;
            }
        }
    }
}

/// All tiles of R vectors of columns, in panels as even as they can be.
#[inline(always)]
unsafe fn strip<S: Simd, N: Number<S>, const R: usize>(
    [tiles, depth, column]: [usize; 3],
    v: Matrix<&[f32]>,
    u: &[f32],
    m: Matrix<&mut [f32]>,
) {
    let panels = tiles.div_ceil(S::ACCUMULATORS / 2);
    let mut tile = 0;
    for panel in 0..panels {
        let rows = (tiles - tile).div_ceil(panels - panel);
        let v = Matrix { floats: &v.floats[tile * (CHANNEL_BLOCK / N::PER_WORD)..], ..v };
        let m = Matrix { floats: &mut m.floats[tile * CHANNEL_BLOCK..], block: m.block };
        // SAFETY: the caller's promise; tile + rows <= tiles.
        unsafe {
            macro_rules! sizes {
                ($($n:literal)*) => {
                    match rows {
                        // The guard is constant: a level only compiles the sizes it uses.
                        $($n if $n <= S::ACCUMULATORS / 2 => {
                            register_tile::<S, N, $n, R>([depth, column], v, u, m)
                        })*
                        _ => unreachable!("a panel of {rows} tiles"),
                    }
                };
            }
            sizes!(1 2 3 4 5 6 7 8 9 10 11 12);
        }
        tile += rows;
    }
}

/// T tiles times R vectors.
#[inline(always)]
unsafe fn register_tile<S: Simd, N: Number<S>, const T: usize, const R: usize>(
    [depth, column]: [usize; 2],
    v: Matrix<&[f32]>,
    u: &[f32],
    m: Matrix<&mut [f32]>,
) {
    // Words of 16 channels of a tile.
    let words = CHANNEL_BLOCK / N::PER_WORD;
    // SAFETY: the callers' promise: T tiles of `depth` words at v, `depth` rows of R vectors at u,
    // room for T tiles of the columns at m.
    unsafe {
        let mut sums = [[S::zero(); R]; T];
        let mut u_at = 0;
        for from in (0..depth).step_by(words) {
            let first = from / words * v.block;
            for v_at in first..first + words.min(depth - from) {
                for r in 0..R {
                    prefetch(u, u_at + AHEAD + r * S::LANES);
                }
                let mut row = [S::zero(); R];
                for r in 0..R {
                    row[r] = load::<S>(u, u_at + r * S::LANES);
                }
                for t in 0..T {
                    let factor = S::splat(float(v.floats, v_at + t * words));
                    for r in 0..R {
                        sums[t][r] = N::multiply_add(factor, row[r], sums[t][r]);
                    }
                }
                u_at += R * S::LANES;
            }
        }
        for r in 0..R {
            let at = m.at(column + r * S::LANES);
            for t in 0..T {
                store::<S>(m.floats, at + t * CHANNEL_BLOCK, sums[t][r]);
            }
        }
    }
}

/// du, packed as u in [`multiply`], += v^T (depth, tiles) times z (tiles, width).
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
pub(super) unsafe fn accumulate<S: Simd>(
    [tiles, depth, width]: [usize; 3],
    v: Matrix<&[f32]>,
    z: Matrix<&[f32]>,
    du: &mut [f32],
) {
    let mut column = 0;
    while column < width {
        let du = &mut du[column * depth..];
        // SAFETY: the caller's promise.
        unsafe {
            if width - column >= 2 * S::LANES {
                outer_strip::<S, 2>([tiles, depth, column], v, z, du);
                column += 2 * S::LANES;
            } else {
                outer_strip::<S, 1>([tiles, depth, column], v, z, du);
                column += S::LANES;
            }
        }
    }
}

/// All channels of v times R vectors of columns.
#[inline(always)]
unsafe fn outer_strip<S: Simd, const R: usize>(
    [tiles, depth, column]: [usize; 3],
    v: Matrix<&[f32]>,
    z: Matrix<&[f32]>,
    du: &mut [f32],
) {
    let mut channel = 0;
    while channel < depth {
        let left = depth - channel;
        let du = &mut du[channel * R * S::LANES..];
        // SAFETY: the caller's promise. The guards are constant.
        unsafe {
            if S::ACCUMULATORS >= 16 && left >= 8 {
                outer_tile::<S, 8, R>([tiles, channel, column], v, z, du);
                channel += 8;
            } else if S::ACCUMULATORS >= 8 && left >= 4 {
                outer_tile::<S, 4, R>([tiles, channel, column], v, z, du);
                channel += 4;
            } else if left >= 2 {
                outer_tile::<S, 2, R>([tiles, channel, column], v, z, du);
                channel += 2;
            } else {
                outer_tile::<S, 1, R>([tiles, channel, column], v, z, du);
                channel += 1;
            }
        }
    }
}

/// N channels times R vectors, over all tiles. `channel` is a multiple of N.
#[inline(always)]
unsafe fn outer_tile<S: Simd, const N: usize, const R: usize>(
    [tiles, channel, column]: [usize; 3],
    v: Matrix<&[f32]>,
    z: Matrix<&[f32]>,
    du: &mut [f32],
) {
    // SAFETY: the callers' promise: `tiles` tiles at v and z, N rows of R vectors at du. N divides
    // 16, so the N channels lie side by side.
    unsafe {
        let mut sums = [[S::zero(); R]; N];
        for n in 0..N {
            for r in 0..R {
                sums[n][r] = load::<S>(du, (n * R + r) * S::LANES);
            }
        }
        let channel = v.at(channel);
        let mut columns = [0; R];
        for r in 0..R {
            columns[r] = z.at(column + r * S::LANES);
        }
        for tile in 0..tiles {
            let tile = tile * CHANNEL_BLOCK;
            let mut row = [S::zero(); R];
            for r in 0..R {
                row[r] = load::<S>(z.floats, columns[r] + tile);
            }
            for n in 0..N {
                let factor = S::splat(float(v.floats, channel + tile + n));
                for r in 0..R {
                    sums[n][r] = S::fma(factor, row[r], sums[n][r]);
                }
            }
        }
        for n in 0..N {
            for r in 0..R {
                store::<S>(du, (n * R + r) * S::LANES, sums[n][r]);
            }
        }
    }
}
