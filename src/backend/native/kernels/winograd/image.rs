//! Between feature maps and the transform domain: patches to B^T d B, products to outputs,
//! gradients of outputs to A dY A^T.
//!
//! Tiles are numbered through all images, row by row. The last tiles of a row or column may reach
//! beyond the feature map: what they read there is zero, what they would write is dropped.

use super::finish::Finish;
use super::transform::Points;
use super::{Winograd, load, store, transform};
use crate::backend::native::number::Number;
use crate::backend::native::shape::{CHANNEL_BLOCK, Shape};
use crate::backend::native::simd::Simd;

/// A block of tiles in the transform domain: A x A positions of `[channels / 16][tiles][16]`, in
/// words of one number or two.
#[derive(Clone, Copy)]
pub(super) struct Domain {
    per_word: usize,
    /// Words from 16 channels to the next 16.
    pub block: usize,
    /// Words from a position to the next. 16 more than the matrix takes: at a power of two apart,
    /// the positions of a tile would fight for a few cache lines.
    pub position: usize,
}

impl Domain {
    pub fn new(channels: usize, tiles: usize, per_word: usize) -> Self {
        let block = tiles * (CHANNEL_BLOCK / per_word);
        let position = channels.div_ceil(CHANNEL_BLOCK) * block + CHANNEL_BLOCK;
        Self { per_word, block, position }
    }

    /// Where `channel` of tile `slot` lies at the first position.
    #[inline(always)]
    pub fn at(&self, channel: usize, slot: usize) -> usize {
        let block = channel / CHANNEL_BLOCK * self.block;
        block + (channel % CHANNEL_BLOCK + slot * CHANNEL_BLOCK) / self.per_word
    }
}

/// Neighbouring tiles of one row of one image.
struct Run {
    image: usize,
    /// The first pixel's row and column.
    y: usize,
    x: usize,
    /// Tiles.
    len: usize,
    /// The first tile's place in the block.
    slot: usize,
}

/// The runs of the tiles from `tiles.0` up to `tiles.1`, with M pixels a side.
struct Runs {
    first: usize,
    next: usize,
    last: usize,
    across: usize,
    down: usize,
    side: usize,
}

impl Runs {
    #[inline(always)]
    fn new(plan: &Winograd, [first, last]: [usize; 2]) -> Self {
        let [down, across] = plan.tiles_of_image();
        Self { first, next: first, last, across, down, side: plan.tile.side() }
    }
}

impl Iterator for Runs {
    type Item = Run;

    #[inline(always)]
    fn next(&mut self) -> Option<Run> {
        if self.next == self.last {
            return None;
        }
        let (row, column) = (self.next / self.across, self.next % self.across);
        let len = (self.across - column).min(self.last - self.next);
        let slot = self.next - self.first;
        self.next += len;
        let (y, x) = (row % self.down * self.side, column * self.side);
        Some(Run { image: row / self.down, y, x, len, slot })
    }
}

/// v = B^T d B of the tiles `tiles`.
///
/// # Safety
/// `x` has the images of the tiles, `v` room for them as `domain` says; the input's halo is at
/// least the padding, and zero.
#[inline(always)]
pub(super) unsafe fn input<S: Simd, N: Number<S>, const M: usize, const A: usize>(
    plan: &Winograd,
    tiles: [usize; 2],
    x: &[f32],
    v: &mut [f32],
    domain: Domain,
) {
    for channel in (0..plan.input.c).step_by(S::LANES) {
        for run in Runs::new(plan, tiles) {
            let x = &x[run.image * plan.input.len() + channel..];
            let v = &mut v[domain.at(channel, run.slot)..];
            // SAFETY: the channel's vector lies in every pixel and in every tile of `v`.
            unsafe {
                input_lines::<S, N, M, A, 0>(&plan.input, &run, x, v, domain);
                input_lines::<S, N, M, A, 1>(&plan.input, &run, x, v, domain);
                if A == 6 {
                    input_lines::<S, N, M, A, 2>(&plan.input, &run, x, v, domain);
                }
            }
        }
    }
}

/// Two of the A rows of a run of transformed tiles: the columns' transforms stay in registers, and
/// those that neighbouring tiles share are worked out once.
#[inline(always)]
unsafe fn input_lines<S: Simd, N: Number<S>, const M: usize, const A: usize, const PAIR: usize>(
    shape: &Shape,
    run: &Run,
    x: &[f32],
    v: &mut [f32],
    domain: Domain,
) {
    // Half of the kernel's side, which is M less than A, and one.
    let padding = (A - M) / 2;
    // Rows and columns behind the halo are zero as the halo is, which is read in their place.
    let last_column = (shape.w + padding) * shape.stride;
    let mut rows = [0; A];
    for (p, row) in rows.iter_mut().enumerate() {
        let y = (run.y + p).min(shape.h + padding) as isize - padding as isize;
        *row = shape.at(y, -(padding as isize));
    }
    let targets = transform::input_rows::<A>(PAIR);
    let mut column = run.x * shape.stride;
    // SAFETY: all reads are within the image and its halo of at least the padding, by the clamps;
    // the writes are the run's tiles.
    unsafe {
        let mut lines = [[S::zero(); A]; 2];
        for q in 0..A - M {
            let at = column + q * shape.stride;
            [lines[0][q], lines[1][q]] = input_column::<S, N, A, PAIR>(x, at, &rows);
        }
        for tile in 0..run.len {
            for q in A - M..A {
                let at = (column + q * shape.stride).min(last_column);
                [lines[0][q], lines[1][q]] = input_column::<S, N, A, PAIR>(x, at, &rows);
            }
            for l in 0..2 {
                let line = transform::input::<S, A>(points::<S, N>(), &lines[l]);
                let words = CHANNEL_BLOCK / N::PER_WORD;
                let at = targets[l] * A * domain.position + tile * words;
                for q in 0..A {
                    store_numbers::<S, N>(v, at + q * domain.position, line[q]);
                }
                for q in 0..A - M {
                    lines[l][q] = lines[l][q + M];
                }
            }
            column += M * shape.stride;
        }
    }
}

/// The points for the numbers that the transform domain holds.
#[inline(always)]
pub(super) fn points<S: Simd, N: Number<S>>() -> Points {
    if N::EXACT { Points::PLAIN } else { Points::BALANCED }
}

/// A vector of numbers to the words at `to[at..]`.
#[inline(always)]
unsafe fn store_numbers<S: Simd, N: Number<S>>(to: &mut [f32], at: usize, v: S::V) {
    debug_assert!(at + S::LANES / N::PER_WORD <= to.len());
    // SAFETY: the caller's promise that they lie within.
    unsafe { N::store(to.as_mut_ptr().add(at), v) }
}

#[inline(always)]
unsafe fn input_column<S: Simd, N: Number<S>, const A: usize, const PAIR: usize>(
    x: &[f32],
    at: usize,
    rows: &[usize; A],
) -> [S::V; 2] {
    // SAFETY: the caller's promise. Loads that the pair does not need are not made.
    unsafe {
        let mut d = [S::zero(); A];
        for p in 0..A {
            d[p] = load::<S>(x, at + rows[p]);
        }
        transform::input_pair::<S, A>(points::<S, N>(), PAIR, &d)
    }
}

/// y = A^T m A of the tiles `tiles` and the output channels [first, end), finished.
///
/// # Safety
/// `m` holds those channels of the tiles as `domain` says, `y` has their images; what `finish` asks
/// for.
#[inline(always)]
pub(super) unsafe fn output<S: Simd, N: Number<S>, const M: usize, const A: usize>(
    plan: &Winograd,
    tiles: [usize; 2],
    channels: [usize; 2],
    (m, domain): (&[f32], Domain),
    y: &mut [f32],
    finish: &mut impl Finish<S>,
) {
    let shape = &plan.output;
    for channel in (channels[0]..channels[1]).step_by(S::LANES) {
        // SAFETY: the channels lie in every tile of m and every pixel of y; the pixels are clipped
        // to the feature map.
        unsafe {
            finish.begin(channel);
            for run in Runs::new(plan, tiles) {
                let m = &m[domain.at(channel - channels[0], run.slot)..];
                let at = run.image * shape.len() + channel;
                let mut at = at + shape.at(run.y as isize, run.x as isize);
                let rows = M.min(shape.h - run.y);
                let whole = if rows == M { run.len.min((shape.w - run.x) / M) } else { 0 };
                for tile in 0..run.len {
                    let from = (tile * CHANNEL_BLOCK, domain.position);
                    if tile < whole {
                        output_tile::<S, N, M, A>(shape, [M, M], m, from, (y, at), finish);
                    } else {
                        let size = [rows, M.min(shape.w - run.x - tile * M)];
                        output_tile::<S, N, M, A>(shape, size, m, from, (y, at), finish);
                    }
                    at += M * shape.stride;
                }
            }
            finish.end(channel);
        }
    }
}

/// The tile whose positions begin at m\[first\], `position` floats apart; what of it is in the
/// feature map.
#[inline(always)]
unsafe fn output_tile<S: Simd, N: Number<S>, const M: usize, const A: usize>(
    shape: &Shape,
    [rows, columns]: [usize; 2],
    m: &[f32],
    (first, position): (usize, usize),
    (y, at): (&mut [f32], usize),
    finish: &mut impl Finish<S>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut lines = [[S::zero(); A]; M];
        for q in 0..A {
            let mut column = [S::zero(); A];
            for p in 0..A {
                column[p] = load::<S>(m, first + (p * A + q) * position);
            }
            let column = transform::output::<S, M, A>(points::<S, N>(), &column);
            for p in 0..M {
                lines[p][q] = column[p];
            }
        }
        for p in 0..M {
            if p < rows {
                let line = transform::output::<S, M, A>(points::<S, N>(), &lines[p]);
                for q in 0..M {
                    if q < columns {
                        let at = at + p * shape.row() + q * shape.stride;
                        let value = finish.pixel(line[q], at);
                        store::<S>(y, at, value);
                    }
                }
            }
        }
    }
}

/// z = A dy A^T of the tiles `tiles`.
///
/// # Safety
/// `dy` has the images of the tiles, `z` room for them as `domain` says.
#[inline(always)]
pub(super) unsafe fn gradient<S: Simd, const M: usize, const A: usize>(
    plan: &Winograd,
    tiles: [usize; 2],
    dy: &[f32],
    z: &mut [f32],
    domain: Domain,
) {
    static ZEROS: [f32; CHANNEL_BLOCK] = [0.0; CHANNEL_BLOCK];
    let shape = &plan.output;
    for channel in (0..shape.stride).step_by(S::LANES) {
        for run in Runs::new(plan, tiles) {
            let dy = &dy[run.image * shape.len() + channel..];
            let z = &mut z[domain.at(channel, run.slot)..];
            for tile in 0..run.len {
                let x = run.x + tile * M;
                // SAFETY: pixels outside the feature map are read from ZEROS; the writes are the
                // run's tiles.
                unsafe {
                    let mut lines = [[S::zero(); M]; A];
                    for q in 0..M {
                        let mut column = [S::zero(); M];
                        for p in 0..M {
                            let inside = run.y + p < shape.h && x + q < shape.w;
                            let at = shape.at(0, 0) + (run.y + p) * shape.row();
                            let at = at + (x + q) * shape.stride;
                            let (from, at) = if inside { (dy, at) } else { (&ZEROS[..], 0) };
                            column[p] = load::<S>(from, at);
                        }
                        let column = transform::output_transposed::<S, M, A>(&column);
                        for p in 0..A {
                            lines[p][q] = column[p];
                        }
                    }
                    let at = tile * CHANNEL_BLOCK;
                    for p in 0..A {
                        let line = transform::output_transposed::<S, M, A>(&lines[p]);
                        for q in 0..A {
                            store::<S>(z, at + (p * A + q) * domain.position, line[q]);
                        }
                    }
                }
            }
        }
    }
}
