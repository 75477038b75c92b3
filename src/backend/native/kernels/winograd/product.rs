//! The products in the transform domain: for each of the A x A positions a small matrix product,
//! [tiles x channels in] times [channels in x channels out], and its transpose for the gradient of
//! the weights.

use crate::backend::native::shape::CHANNEL_BLOCK;
use crate::backend::native::simd::Simd;

/// One position's matrix of tiles: `[channels / 16][tiles][16]`, so a register tile finds its tiles
/// at fixed distances.
#[derive(Clone, Copy)]
pub(super) struct Position<P> {
    /// Its first float.
    pub start: P,
    /// Floats from 16 channels to the next 16.
    pub block: usize,
}

/// m (tiles, width) = v (tiles, depth) times u, packed `[width / 2 vectors][depth][2 vectors]`; the
/// last columns of u are one vector where the width leaves no more.
///
/// # Safety
/// `v`, `u` and `m` reach as far as said; `width` is a multiple of 16.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(
    [tiles, depth, width]: [usize; 3],
    v: Position<*const f32>,
    u: *const f32,
    m: Position<*mut f32>,
) {
    let mut column = 0;
    while column < width {
        // SAFETY: the columns from `column` on lie in u and m.
        unsafe {
            let u = u.add(column * depth);
            if width - column >= 2 * S::LANES {
                strip::<S, 2>([tiles, depth, column], v, u, m);
                column += 2 * S::LANES;
            } else {
                strip::<S, 1>([tiles, depth, column], v, u, m);
                column += S::LANES;
            }
        }
    }
}

/// All tiles of R vectors of columns, in panels as even as they can be.
#[inline(always)]
unsafe fn strip<S: Simd, const R: usize>(
    [tiles, depth, column]: [usize; 3],
    v: Position<*const f32>,
    u: *const f32,
    m: Position<*mut f32>,
) {
    let panels = tiles.div_ceil(S::ACCUMULATORS / 2);
    let mut tile = 0;
    for panel in 0..panels {
        let rows = (tiles - tile).div_ceil(panels - panel);
        // SAFETY: tile + rows <= tiles.
        unsafe {
            let v = Position { start: v.start.add(tile * CHANNEL_BLOCK), ..v };
            let m = Position { start: m.start.add(tile * CHANNEL_BLOCK), ..m };
            macro_rules! sizes {
                ($($n:literal)*) => {
                    match rows {
                        // The guard is constant: a level only compiles the sizes it uses.
                        $($n if $n <= S::ACCUMULATORS / 2 => {
                            register_tile::<S, $n, R>([depth, column], v, u, m)
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

/// N tiles times R vectors.
#[inline(always)]
unsafe fn register_tile<S: Simd, const N: usize, const R: usize>(
    [depth, column]: [usize; 2],
    v: Position<*const f32>,
    u: *const f32,
    m: Position<*mut f32>,
) {
    // SAFETY: the callers' promise: N tiles of `depth` channels at v, `depth` rows of R vectors at
    // u, room for N tiles of the columns at m.
    unsafe {
        let mut sums = [[S::zero(); R]; N];
        let mut u = u;
        for from in (0..depth).step_by(CHANNEL_BLOCK) {
            let mut v = v.start.add(from / CHANNEL_BLOCK * v.block);
            for _ in from..depth.min(from + CHANNEL_BLOCK) {
                let mut row = [S::zero(); R];
                for r in 0..R {
                    row[r] = S::load(u.add(r * S::LANES));
                }
                for n in 0..N {
                    let factor = S::splat(*v.add(n * CHANNEL_BLOCK));
                    for r in 0..R {
                        sums[n][r] = S::fma(factor, row[r], sums[n][r]);
                    }
                }
                u = u.add(R * S::LANES);
                v = v.add(1);
            }
        }
        for r in 0..R {
            let channel = column + r * S::LANES;
            let m = m.start.add(channel / CHANNEL_BLOCK * m.block + channel % CHANNEL_BLOCK);
            for n in 0..N {
                S::store(m.add(n * CHANNEL_BLOCK), sums[n][r]);
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
    v: Position<*const f32>,
    z: Position<*const f32>,
    du: *mut f32,
) {
    let mut column = 0;
    while column < width {
        // SAFETY: the columns from `column` on lie in du and z.
        unsafe {
            let du = du.add(column * depth);
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
    v: Position<*const f32>,
    z: Position<*const f32>,
    du: *mut f32,
) {
    let mut channel = 0;
    while channel < depth {
        let left = depth - channel;
        // SAFETY: the channels from `channel` on lie in v and du. The guards are constant.
        unsafe {
            let du = du.add(channel * R * S::LANES);
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
    v: Position<*const f32>,
    z: Position<*const f32>,
    du: *mut f32,
) {
    // SAFETY: the callers' promise: `tiles` tiles at v and z, N rows of R vectors at du. N divides
    // 16, so the N channels lie side by side.
    unsafe {
        let mut sums = [[S::zero(); R]; N];
        for n in 0..N {
            for r in 0..R {
                sums[n][r] = S::load(du.add((n * R + r) * S::LANES));
            }
        }
        let mut v = v.start.add(channel / CHANNEL_BLOCK * v.block + channel % CHANNEL_BLOCK);
        let mut columns = [z.start; R];
        for r in 0..R {
            let column = column + r * S::LANES;
            columns[r] = z.start.add(column / CHANNEL_BLOCK * z.block + column % CHANNEL_BLOCK);
        }
        for tile in 0..tiles {
            let mut row = [S::zero(); R];
            for r in 0..R {
                row[r] = S::load(columns[r].add(tile * CHANNEL_BLOCK));
            }
            for n in 0..N {
                let factor = S::splat(*v.add(n));
                for r in 0..R {
                    sums[n][r] = S::fma(factor, row[r], sums[n][r]);
                }
            }
            v = v.add(CHANNEL_BLOCK);
        }
        for n in 0..N {
            for r in 0..R {
                S::store(du.add((n * R + r) * S::LANES), sums[n][r]);
            }
        }
    }
}
