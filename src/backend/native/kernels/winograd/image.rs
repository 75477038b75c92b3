//! Between pictures and the transform domain: patches to B^T d B, products to outputs, gradients of
//! outputs to A dY A^T.
//!
//! Tiles are numbered through all images, row by row. The last tiles of a row or column may reach
//! beyond the picture: what they read there is zero, what they would write is dropped.

use super::{Winograd, transform};
use crate::backend::native::shape::{CHANNEL_BLOCK, Shape};
use crate::backend::native::simd::Simd;

/// A block of tiles in the transform domain: A x A positions of `[channels / 16][tiles][16]`.
#[derive(Clone, Copy)]
pub(super) struct Domain {
    /// Floats from 16 channels to the next 16.
    pub block: usize,
    /// Floats from a position to the next. 16 more than the matrix takes: at a power of two apart,
    /// the positions of a tile would fight for a few cache lines.
    pub position: usize,
}

impl Domain {
    pub fn new(channels: usize, tiles: usize) -> Self {
        let block = tiles * CHANNEL_BLOCK;
        let position = channels.div_ceil(CHANNEL_BLOCK) * block + CHANNEL_BLOCK;
        Self { block, position }
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
/// `x` has the images of the tiles, `v` room for them as `domain` says; the input's halo is at least
/// 1 and zero.
#[inline(always)]
pub(super) unsafe fn input<S: Simd, const M: usize, const A: usize>(
    plan: &Winograd,
    tiles: [usize; 2],
    x: *const f32,
    v: *mut f32,
    domain: Domain,
) {
    for channel in (0..plan.input.c).step_by(S::LANES) {
        for run in Runs::new(plan, tiles) {
            // SAFETY: the channel's vector lies in every pixel and in every tile of `v`.
            unsafe {
                let x = x.add(run.image * plan.input.len() + channel);
                let v = v.add(channel / CHANNEL_BLOCK * domain.block + channel % CHANNEL_BLOCK);
                let v = v.add(run.slot * CHANNEL_BLOCK);
                input_lines::<S, M, A, 0>(&plan.input, &run, x, v, domain);
                input_lines::<S, M, A, 1>(&plan.input, &run, x, v, domain);
                if A == 6 {
                    input_lines::<S, M, A, 2>(&plan.input, &run, x, v, domain);
                }
            }
        }
    }
}

/// Two of the A rows of a run of transformed tiles: the columns' transforms stay in registers, and
/// the two that neighbouring tiles share are worked out once.
#[inline(always)]
unsafe fn input_lines<S: Simd, const M: usize, const A: usize, const PAIR: usize>(
    shape: &Shape,
    run: &Run,
    x: *const f32,
    v: *mut f32,
    domain: Domain,
) {
    // Rows and columns behind the halo are zero as the halo is, which is read in their place.
    let last_column = (shape.w + 1) * shape.stride;
    let mut rows = [0; A];
    for (p, row) in rows.iter_mut().enumerate() {
        *row = shape.at((run.y + p).min(shape.h + 1) as isize - 1, -1);
    }
    let targets = transform::input_rows::<A>(PAIR);
    let mut column = run.x * shape.stride;
    // SAFETY: all reads are within the image and its halo of at least 1, by the clamps; the writes
    // are the run's tiles.
    unsafe {
        let mut lines = [[S::zero(); A]; 2];
        for q in 0..2 {
            let pair = input_column::<S, A, PAIR>(x.add(column + q * shape.stride), &rows);
            [lines[0][q], lines[1][q]] = pair;
        }
        for tile in 0..run.len {
            for q in 2..A {
                let at = (column + q * shape.stride).min(last_column);
                [lines[0][q], lines[1][q]] = input_column::<S, A, PAIR>(x.add(at), &rows);
            }
            for l in 0..2 {
                let line = transform::input::<S, A>(&lines[l]);
                let v = v.add(targets[l] * A * domain.position + tile * CHANNEL_BLOCK);
                for q in 0..A {
                    S::store(v.add(q * domain.position), line[q]);
                }
                lines[l][0] = lines[l][M];
                lines[l][1] = lines[l][M + 1];
            }
            column += M * shape.stride;
        }
    }
}

#[inline(always)]
unsafe fn input_column<S: Simd, const A: usize, const PAIR: usize>(
    x: *const f32,
    rows: &[usize; A],
) -> [S::V; 2] {
    // SAFETY: the caller's promise. Loads that the pair does not need are not made.
    unsafe {
        let mut d = [S::zero(); A];
        for p in 0..A {
            d[p] = S::load(x.add(rows[p]));
        }
        transform::input_pair::<S, A>(PAIR, &d)
    }
}

/// What an epilogue does to the pixels of one vector of channels.
pub(super) trait Finish<S: Simd> {
    /// Before the first pixel of the channels from `channel` on.
    unsafe fn begin(&mut self, channel: usize);
    /// The value to store at `y[at..]`.
    unsafe fn pixel(&mut self, sum: S::V, at: usize) -> S::V;
    /// After the last pixel of the channels from `channel` on.
    unsafe fn end(&mut self, channel: usize);
}

/// [`Epilogue::Plain`].
pub(super) struct Plain;

impl<S: Simd> Finish<S> for Plain {
    #[inline(always)]
    unsafe fn begin(&mut self, _: usize) {}
    #[inline(always)]
    unsafe fn pixel(&mut self, sum: S::V, _: usize) -> S::V {
        sum
    }
    #[inline(always)]
    unsafe fn end(&mut self, _: usize) {}
}

/// [`Epilogue::Bias`], with (`RESIDUAL`) or without a residual.
pub(super) struct Bias<S: Simd, const RESIDUAL: bool> {
    bias: *const f32,
    residual: *const f32,
    floor: S::V,
    here: S::V,
}

impl<S: Simd, const RESIDUAL: bool> Bias<S, RESIDUAL> {
    /// # Safety
    /// `bias` has a value for each channel of the output's stride, `residual` is as long as it.
    #[inline(always)]
    pub unsafe fn new(bias: &[f32], residual: &[f32], relu: bool) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let floor = S::splat(if relu { 0.0 } else { f32::NEG_INFINITY });
            Self { bias: bias.as_ptr(), residual: residual.as_ptr(), floor, here: S::zero() }
        }
    }
}

impl<S: Simd, const RESIDUAL: bool> Finish<S> for Bias<S, RESIDUAL> {
    #[inline(always)]
    unsafe fn begin(&mut self, channel: usize) {
        // SAFETY: there is a bias for each of the output's channels.
        self.here = unsafe { S::load(self.bias.add(channel)) };
    }
    #[inline(always)]
    unsafe fn pixel(&mut self, sum: S::V, at: usize) -> S::V {
        // SAFETY: the residual is as long as the output.
        unsafe {
            let mut sum = S::add(sum, self.here);
            if RESIDUAL {
                sum = S::add(sum, S::load(self.residual.add(at)));
            }
            S::max(self.floor, sum)
        }
    }
    #[inline(always)]
    unsafe fn end(&mut self, _: usize) {}
}

/// [`Epilogue::Stats`].
pub(super) struct Stats<S: Simd> {
    sums: *mut f32,
    /// Floats from the sums to the sums of squares.
    stride: usize,
    sum: S::V,
    squares: S::V,
}

impl<S: Simd> Stats<S> {
    /// # Safety
    /// `sums` is (2, stride) of the output.
    #[inline(always)]
    pub unsafe fn new(sums: &mut [f32]) -> Self {
        // SAFETY: the caller's promise.
        let zero = unsafe { S::zero() };
        Self { stride: sums.len() / 2, sums: sums.as_mut_ptr(), sum: zero, squares: zero }
    }
}

impl<S: Simd> Finish<S> for Stats<S> {
    #[inline(always)]
    unsafe fn begin(&mut self, _: usize) {
        // SAFETY: no pointers.
        [self.sum, self.squares] = unsafe { [S::zero(); 2] };
    }
    #[inline(always)]
    unsafe fn pixel(&mut self, sum: S::V, _: usize) -> S::V {
        // SAFETY: no pointers.
        unsafe {
            self.sum = S::add(self.sum, sum);
            self.squares = S::fma(sum, sum, self.squares);
        }
        sum
    }
    #[inline(always)]
    unsafe fn end(&mut self, channel: usize) {
        // SAFETY: there are two sums for each of the output's channels.
        unsafe {
            let to = self.sums.add(channel);
            S::store(to, S::add(S::load(to), self.sum));
            let to = to.add(self.stride);
            S::store(to, S::add(S::load(to), self.squares));
        }
    }
}

/// y = A^T m A of the tiles `tiles`, finished.
///
/// # Safety
/// `m` holds the tiles as `domain` says, `y` has their images; what `finish` asks for.
#[inline(always)]
pub(super) unsafe fn output<S: Simd, const M: usize, const A: usize>(
    plan: &Winograd,
    tiles: [usize; 2],
    (m, domain): (*const f32, Domain),
    y: *mut f32,
    finish: &mut impl Finish<S>,
) {
    let shape = &plan.output;
    for channel in (0..shape.stride).step_by(S::LANES) {
        // SAFETY: the channels lie in every tile of m and every pixel of y; the pixels are clipped
        // to the picture.
        unsafe {
            let m = m.add(channel / CHANNEL_BLOCK * domain.block + channel % CHANNEL_BLOCK);
            finish.begin(channel);
            for run in Runs::new(plan, tiles) {
                let at = run.image * shape.len() + channel;
                let mut at = at + shape.at(run.y as isize, run.x as isize);
                let rows = M.min(shape.h - run.y);
                let whole = if rows == M { run.len.min((shape.w - run.x) / M) } else { 0 };
                for tile in 0..run.len {
                    let m = m.add((run.slot + tile) * CHANNEL_BLOCK);
                    if tile < whole {
                        output_tile::<S, M, A>(shape, [M, M], (m, domain), (y, at), finish);
                    } else {
                        let columns = M.min(shape.w - run.x - tile * M);
                        output_tile::<S, M, A>(
                            shape,
                            [rows, columns],
                            (m, domain),
                            (y, at),
                            finish,
                        );
                    }
                    at += M * shape.stride;
                }
            }
            finish.end(channel);
        }
    }
}

#[inline(always)]
unsafe fn output_tile<S: Simd, const M: usize, const A: usize>(
    shape: &Shape,
    [rows, columns]: [usize; 2],
    (m, domain): (*const f32, Domain),
    (y, at): (*mut f32, usize),
    finish: &mut impl Finish<S>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut lines = [[S::zero(); A]; M];
        for q in 0..A {
            let mut column = [S::zero(); A];
            for p in 0..A {
                column[p] = S::load(m.add((p * A + q) * domain.position));
            }
            let column = transform::output::<S, M, A>(&column);
            for p in 0..M {
                lines[p][q] = column[p];
            }
        }
        for p in 0..M {
            if p < rows {
                let line = transform::output::<S, M, A>(&lines[p]);
                for q in 0..M {
                    if q < columns {
                        let at = at + p * shape.row() + q * shape.stride;
                        S::store(y.add(at), finish.pixel(line[q], at));
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
    dy: *const f32,
    z: *mut f32,
    domain: Domain,
) {
    static ZEROS: [f32; CHANNEL_BLOCK] = [0.0; CHANNEL_BLOCK];
    let shape = &plan.output;
    for channel in (0..shape.stride).step_by(S::LANES) {
        for run in Runs::new(plan, tiles) {
            // SAFETY: pixels outside the picture are read from ZEROS; the writes are the run's tiles.
            unsafe {
                let dy = dy.add(run.image * shape.len() + channel);
                let z = z.add(channel / CHANNEL_BLOCK * domain.block + channel % CHANNEL_BLOCK);
                for tile in 0..run.len {
                    let x = run.x + tile * M;
                    let mut lines = [[S::zero(); M]; A];
                    for q in 0..M {
                        let mut column = [S::zero(); M];
                        for p in 0..M {
                            let at = dy.wrapping_add(
                                shape.at(0, 0) + (run.y + p) * shape.row() + (x + q) * shape.stride,
                            );
                            let inside = run.y + p < shape.h && x + q < shape.w;
                            column[p] = S::load(if inside { at } else { ZEROS.as_ptr() });
                        }
                        let column = transform::output_transposed::<S, M, A>(&column);
                        for p in 0..A {
                            lines[p][q] = column[p];
                        }
                    }
                    let z = z.add((run.slot + tile) * CHANNEL_BLOCK);
                    for p in 0..A {
                        let line = transform::output_transposed::<S, M, A>(&lines[p]);
                        for q in 0..A {
                            S::store(z.add((p * A + q) * domain.position), line[q]);
                        }
                    }
                }
            }
        }
    }
}
