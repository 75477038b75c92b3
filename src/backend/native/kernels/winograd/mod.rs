//! 3x3 and 5x5 convolutions of stride 1 by Winograd's minimal filtering (Lavin and Gray,
//! arXiv:1509.09308).
//!
//! With a kernel of R x R, a tile of M x M outputs comes from a patch d of A x A inputs,
//! A = M + R - 1:
//! Y = A^T [ sum over channels of (G g G^T) * (B^T d B) ] A, * elementwise. So each of the A x A
//! positions of the transform domain is a matrix product over channels, with 36 multiplications
//! for 16 outputs in F(4x4), 16 for 4 in F(2x2), where the direct way takes 144 and 36, and with 36
//! for 4 in F(2x2) of 5x5 where it takes 100. A block of
//! tiles, from as many images as it takes, goes through all stages before the next begins, so that
//! its matrices stay in the second level cache. The weights' gradient is the adjoint:
//! dg = G^T [ sum over tiles of (B^T d B) * (A dY A^T) ] G.

#![allow(clippy::needless_range_loop)] // tiles of registers are indexed along both sides

mod finish;
mod image;
mod product;
#[cfg(test)]
mod tests;
mod transform;
mod weights;

use finish::Finish;
use image::Domain;
use product::Matrix;
use weights::{Pack, Turn, Unpack};

use super::Epilogue;
use crate::backend::native::caches::Caches;
use crate::backend::native::number::{F32, Number, NumberKernel, Numbers};
use crate::backend::native::shape::{CHANNEL_BLOCK, Shape};
use crate::backend::native::simd::{Kernel, Level, Simd};

/// The outputs that are worked out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend::native) enum Tile {
    /// 2 x 2: 2.25 times fewer multiplications.
    F2,
    /// 4 x 4: 4 times fewer.
    F4,
    /// 2 x 2 of a 5x5 kernel: 2.8 times fewer.
    F2Of5,
}

impl Tile {
    /// M: pixels a side.
    const fn side(self) -> usize {
        match self {
            Self::F2 | Self::F2Of5 => 2,
            Self::F4 => 4,
        }
    }

    /// R: the kernel's side.
    const fn kernel(self) -> usize {
        match self {
            Self::F2 | Self::F4 => 3,
            Self::F2Of5 => 5,
        }
    }

    /// The zeros around the image.
    const fn padding(self) -> usize {
        self.kernel() / 2
    }

    /// The kernel's weights.
    const fn taps(self) -> usize {
        self.kernel() * self.kernel()
    }

    /// A * A: positions in the transform domain.
    const fn positions(self) -> usize {
        let transformed = self.side() + self.kernel() - 1;
        transformed * transformed
    }
}

/// A convolution of stride 1, padded to its input's size, on groups of images, one thread.
#[derive(Debug, Clone)]
pub(in crate::backend::native) struct Winograd {
    level: Level,
    /// Those of the transform domain. Gradients are in f32 only.
    numbers: Numbers,
    tile: Tile,
    input: Shape,
    output: Shape,
    /// Tiles in flight, at most.
    tiles: usize,
    /// The same for the gradient of the weights.
    gradient_tiles: usize,
}

/// Cycles that a vector of 16 channels of a tile takes to be transformed in, and out: measured.
const fn transform_cycles(tile: Tile) -> usize {
    match tile {
        Tile::F2 => 70,
        Tile::F4 => 180,
        Tile::F2Of5 => 150,
    }
}

impl Winograd {
    /// The tile to use for `images` images at a time, or None where the direct way is as fast, or
    /// nearly, being the more exact.
    ///
    /// By counting cycles of a core with AVX-512: one vector multiplication each (the direct
    /// kernels reach 85 % of that), the transforms, and the time to fetch the weights, which a
    /// group of images reads once. Other levels differ in all of these, but alike. Pairs of bf16
    /// halve the multiplications and the weights. A 5x5 kernel's domain is in f32 alone: rounded to
    /// bf16 it would leave the outputs 1.3 to 2.7 % off (measured), more than F(4x4)'s.
    pub fn choose(
        numbers: Numbers,
        kernel: usize,
        [input, output]: [Shape; 2],
        images: usize,
    ) -> Option<Tile> {
        let vectors = output.stride / CHANNEL_BLOCK;
        let per_word = if numbers == Numbers::F32 { 1 } else { 2 };
        // Vector multiplications a pixel and tap.
        let pairs = input.c.div_ceil(per_word) * vectors;
        let fetch = |taps: usize| {
            let bytes = taps * pairs * CHANNEL_BLOCK * size_of::<f32>();
            // 50 GB/s from the third level cache, 35 where they do not fit.
            bytes / if bytes > 16 << 20 { 10 } else { 14 }
        };
        let taps = kernel * kernel;
        let direct = (images * output.pixels() * taps * pairs * 20 / 17).max(fetch(taps));
        let cycles = |tile: Tile| {
            let side = tile.side();
            let tiles = images * output.h.div_ceil(side) * output.w.div_ceil(side);
            let ends = input.stride / CHANNEL_BLOCK + vectors;
            let each = tile.positions() * pairs + transform_cycles(tile) * ends;
            (tiles * each).max(fetch(tile.positions()))
        };
        let tiles: &[Tile] = match (kernel, numbers) {
            (3, _) => &[Tile::F4, Tile::F2],
            (5, Numbers::F32) => &[Tile::F2Of5],
            _ => return None,
        };
        let best = tiles.iter().copied().min_by_key(|&tile| cycles(tile))?;
        (cycles(best) * 7 / 6 < direct).then_some(best)
    }

    /// For feature maps `input` -> `output`; None where the sides differ or the input's halo is less
    /// than the padding.
    pub fn new(
        level: Level,
        numbers: Numbers,
        tile: Tile,
        [input, output]: [Shape; 2],
        caches: Caches,
    ) -> Option<Self> {
        let fits = (input.h, input.w) == (output.h, output.w) && input.halo >= tile.padding();
        let some = input.h * input.w * input.c * output.c > 0 && numbers.available(level);
        if !fits || !some {
            return None;
        }
        let strip = Self::strip(level.lanes()).min(output.stride);
        let (tiles, gradient_tiles) = (0, GRADIENT_TILES);
        let mut plan = Self { level, numbers, tile, input, output, tiles, gradient_tiles };
        plan.tiles = plan.tiles_in_flight(strip, caches.l2);
        if plan.is_heavy(caches.l2) {
            plan.gradient_tiles = HEAVY_GRADIENT_TILES;
        }
        Some(plan)
    }

    /// Output channels that go through the products together: the two vectors of a register tile.
    const fn strip(lanes: usize) -> usize {
        2 * lanes
    }

    /// Whether the weights do not stay in a second level cache of `l2` bytes beside the tiles.
    fn is_heavy(&self, l2: usize) -> bool {
        self.packed_len() * size_of::<f32>() > l2 / 2
    }

    /// Tiles that [`Self::forward`] has in flight: as many as fill the register tiles, with their
    /// matrices beside the weights in a second level cache of `l2` bytes. Weights that do not stay
    /// there are fetched anew for each block of tiles; then a block is as large as the cache allows.
    fn tiles_in_flight(&self, strip: usize, l2: usize) -> usize {
        let words = self.input.stride / self.numbers.per_word() + strip;
        let bytes = self.tile.positions() * words * size_of::<f32>();
        let enough = match self.tile {
            Tile::F2 => 48,
            Tile::F4 | Tile::F2Of5 => 24,
        };
        if self.is_heavy(l2) {
            (l2 * 3 / 4 / bytes).clamp(12, 192)
        } else {
            (l2 / 2 / bytes).clamp(12, enough)
        }
    }

    /// What it is, in words.
    pub fn name(&self) -> String {
        let side = self.tile.side();
        let of = if self.tile == Tile::F2Of5 { " of 5x5" } else { "" };
        format!("Winograd F({side}x{side}){of} {}", self.numbers.precision())
    }

    /// Floats of packed weights, and of their gradient in the transform domain.
    pub fn packed_len(&self) -> usize {
        self.u_strip(self.level.lanes(), self.output.stride).start
    }

    /// weight (out, in, R, R) -> `packed`; `scale` multiplies each output channel's.
    ///
    /// # Panics
    /// If a slice has not the length it should have; so do the other functions.
    pub fn pack(&self, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        assert!(scale.is_none_or(|scale| scale.len() >= self.output.c));
        self.pack_turned(Turn::Forward, weight, scale, packed);
    }

    /// The weight (out, in, R, R) of a convolution whose backward this is, from the gradient of its
    /// output (our input) to that of its input (our output).
    pub fn pack_backward(&self, weight: &[f32], packed: &mut [f32]) {
        self.pack_turned(Turn::Backward, weight, None, packed);
    }

    fn pack_turned(&self, turn: Turn, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        assert_eq!(weight.len(), self.tile.taps() * self.input.c * self.output.c);
        assert_eq!(packed.len(), self.packed_len());
        let plan = self;
        let (numbers, level) = (self.numbers, self.level);
        // SAFETY: level and numbers are available, `new` saw to it. So below.
        unsafe {
            match self.tile {
                Tile::F2 => numbers.run(level, Pack::<3, 4> { plan, turn, weight, scale, packed }),
                Tile::F4 => numbers.run(level, Pack::<3, 6> { plan, turn, weight, scale, packed }),
                Tile::F2Of5 => {
                    numbers.run(level, Pack::<5, 6> { plan, turn, weight, scale, packed })
                }
            }
        }
    }

    /// Floats of `scratch` for [`Self::forward`].
    pub fn scratch_len(&self) -> usize {
        self.scratch_of(self.tiles, Self::strip(self.level.lanes()).min(self.output.stride))
    }

    /// Floats of `scratch` for [`Self::backward_weights`].
    pub fn weights_scratch_len(&self) -> usize {
        self.scratch_of(self.gradient_tiles, self.output.stride)
    }

    /// Matrices of `tiles` tiles with all channels in and `outs` channels out.
    fn scratch_of(&self, tiles: usize, outs: usize) -> usize {
        let position = (self.input.stride + outs) * tiles + 2 * CHANNEL_BLOCK;
        self.tile.positions() * position + CHANNEL_BLOCK
    }

    /// y = the convolution of x, `images` of each, finished by `epilogue`. Only pixels of y are
    /// written, neither its halo.
    pub fn forward(
        &self,
        x: &[f32],
        images: usize,
        packed: &[f32],
        epilogue: Epilogue,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        assert_eq!(x.len(), images * self.input.len());
        assert_eq!(y.len(), images * self.output.len());
        assert_eq!(packed.len(), self.packed_len());
        let bias = matches!(epilogue, Epilogue::Bias { .. });
        assert!(bias || self.numbers == Numbers::F32, "bf16 is for evaluation");
        match &epilogue {
            Epilogue::Plain => {}
            Epilogue::Bias { bias, residual, .. } => {
                assert_eq!(bias.len(), self.output.stride);
                assert!(residual.is_none_or(|residual| residual.len() == y.len()));
            }
            Epilogue::Stats { sums } => assert_eq!(sums.len(), 2 * self.output.stride),
        }
        let scratch = aligned(scratch, self.scratch_len());
        let tiles = self.blocks(images, self.tiles);
        let plan = self;
        // SAFETY: the level is available, and the lengths have just been checked.
        unsafe {
            match self.tile {
                Tile::F2 => {
                    let kernel = Forward::<2, 4> { plan, x, tiles, packed, epilogue, y, scratch };
                    self.numbers.run(self.level, kernel)
                }
                Tile::F4 => {
                    let kernel = Forward::<4, 6> { plan, x, tiles, packed, epilogue, y, scratch };
                    self.numbers.run(self.level, kernel)
                }
                Tile::F2Of5 => {
                    let kernel = Forward::<2, 6> { plan, x, tiles, packed, epilogue, y, scratch };
                    self.numbers.run(self.level, kernel)
                }
            }
        }
    }

    /// du += the gradient of the packed weights, from the input x and the output's gradient dz.
    pub fn backward_weights(
        &self,
        x: &[f32],
        dz: &[f32],
        images: usize,
        du: &mut [f32],
        scratch: &mut [f32],
    ) {
        assert_eq!(x.len(), images * self.input.len());
        assert_eq!(dz.len(), images * self.output.len());
        assert_eq!(du.len(), self.packed_len());
        assert_eq!(self.numbers, Numbers::F32, "bf16 is for evaluation");
        let scratch = aligned(scratch, self.weights_scratch_len());
        let tiles = self.blocks(images, self.gradient_tiles);
        let plan = self;
        // SAFETY: the level is available, and the lengths have just been checked.
        unsafe {
            match self.tile {
                Tile::F2 => self.level.run(Gradient::<2, 4> { plan, x, tiles, dz, du, scratch }),
                Tile::F4 => self.level.run(Gradient::<4, 6> { plan, x, tiles, dz, du, scratch }),
                Tile::F2Of5 => self.level.run(Gradient::<2, 6> { plan, x, tiles, dz, du, scratch }),
            }
        }
    }

    /// dweight (out, in, R, R) += what [`Self::backward_weights`] gathered in `du`.
    pub fn finish_weights(&self, du: &[f32], dweight: &mut [f32]) {
        assert_eq!(dweight.len(), self.tile.taps() * self.input.c * self.output.c);
        assert_eq!(du.len(), self.packed_len());
        assert_eq!(self.numbers, Numbers::F32, "bf16 is for evaluation");
        let plan = self;
        // SAFETY: the level is available.
        unsafe {
            match self.tile {
                Tile::F2 => self.level.run(Unpack::<3, 4> { plan, du, dweight }),
                Tile::F4 => self.level.run(Unpack::<3, 6> { plan, du, dweight }),
                Tile::F2Of5 => self.level.run(Unpack::<5, 6> { plan, du, dweight }),
            }
        }
    }

    /// Tiles down and across an image.
    fn tiles_of_image(&self) -> [usize; 2] {
        let side = self.tile.side();
        [self.output.h.div_ceil(side), self.output.w.div_ceil(side)]
    }

    /// How many tiles `images` have, and how many of them are in flight: blocks as even as can be.
    fn blocks(&self, images: usize, most: usize) -> Blocks {
        let total = images * self.tiles_of_image().iter().product::<usize>();
        let blocks = total.div_ceil(most).max(1);
        Blocks { total, at_once: total.div_ceil(blocks).max(1) }
    }

    /// Words of the input channels.
    fn depth(&self) -> usize {
        self.input.c.div_ceil(self.numbers.per_word())
    }

    /// The packed weights of the output channels from `out` on, the first of a strip; of those
    /// behind the last, where the packed weights end.
    fn u_strip(&self, lanes: usize, out: usize) -> Strip {
        let width =
            |out: usize| if self.output.stride - out >= 2 * lanes { 2 * lanes } else { lanes };
        // 16 more than the matrix takes, for the reason [`Domain::position`] gives.
        let position = |width: usize| self.depth() * width + CHANNEL_BLOCK;
        let whole = self.tile.positions() * position(2 * lanes);
        let before = out / (2 * lanes);
        let rest = out % (2 * lanes);
        let start =
            before * whole + if rest > 0 { self.tile.positions() * position(lanes) } else { 0 };
        let width = width(out.min(self.output.stride));
        Strip { start, width, position: position(width) }
    }

    /// Where the vector of output channels from `out` on of word `depth` of the input channels lies
    /// at the first position, and floats from a position to the next.
    fn u_at(&self, lanes: usize, out: usize, depth: usize) -> [usize; 2] {
        let within = out % (2 * lanes);
        let strip = self.u_strip(lanes, out - within);
        [strip.start + depth * strip.width + within, strip.position]
    }
}

/// Where a strip of packed weights lies, `[A * A][words of in][vectors]`: what the products of a
/// strip read, they read one after the other.
#[derive(Debug, Clone, Copy)]
struct Strip {
    start: usize,
    /// Floats of its output channels: two vectors, or one where two do not fit.
    width: usize,
    /// Floats from a position to the next.
    position: usize,
}

/// The vector at `from[at..]`.
///
/// # Safety
/// It lies within; debug builds check. The processor has the instruction set. So for [`store`].
#[inline(always)]
unsafe fn load<S: Simd>(from: &[f32], at: usize) -> S::V {
    debug_assert!(at + S::LANES <= from.len());
    // SAFETY: the caller's promise.
    unsafe { S::load(from.as_ptr().add(at)) }
}

#[inline(always)]
unsafe fn store<S: Simd>(to: &mut [f32], at: usize, v: S::V) {
    debug_assert!(at + S::LANES <= to.len());
    // SAFETY: the caller's promise.
    unsafe { S::store(to.as_mut_ptr().add(at), v) }
}

/// Tiles that [`Winograd::backward_weights`] has in flight: each block of them reads and writes all
/// of the weights' gradient once.
const GRADIENT_TILES: usize = 48;

/// The same where that gradient does not stay in the second level cache. The tiles do not either
/// then, but a position's matrices do, one position after the other.
const HEAVY_GRADIENT_TILES: usize = 128;

/// The first `len` floats from a cache line's start on, where there is one within 16 floats.
fn aligned(scratch: &mut [f32], len: usize) -> &mut [f32] {
    assert!(scratch.len() >= len);
    let skip = scratch.as_ptr().align_offset(64).min(CHANNEL_BLOCK);
    &mut scratch[skip..]
}

/// The tiles of a group of images, and how many go through the stages at once.
#[derive(Clone, Copy)]
struct Blocks {
    total: usize,
    at_once: usize,
}

impl Blocks {
    /// [first, end) of the block after `first`.
    #[inline(always)]
    fn from(self, first: usize) -> [usize; 2] {
        [first, self.total.min(first + self.at_once)]
    }
}

struct Forward<'a, const M: usize, const A: usize> {
    plan: &'a Winograd,
    x: &'a [f32],
    tiles: Blocks,
    packed: &'a [f32],
    epilogue: Epilogue<'a>,
    y: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<const M: usize, const A: usize> NumberKernel for Forward<'_, M, A> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd, N: Number<S>>(mut self) {
        // SAFETY: `Winograd::forward` checked all lengths, and which numbers have which epilogues.
        unsafe {
            match std::mem::replace(&mut self.epilogue, Epilogue::Plain) {
                Epilogue::Plain if N::EXACT => self.blocks::<S, N>(finish::Plain),
                Epilogue::Stats { sums } if N::EXACT => {
                    self.blocks::<S, N>(finish::Stats::<S>::new(sums));
                }
                Epilogue::Bias { bias, residual: None, relu } => {
                    self.blocks::<S, N>(finish::Bias::<S, false>::new(bias, &[], relu));
                }
                Epilogue::Bias { bias, residual: Some(residual), relu } => {
                    self.blocks::<S, N>(finish::Bias::<S, true>::new(bias, residual, relu));
                }
                _ => unreachable!("bf16 is for evaluation"),
            }
        }
    }
}

impl<const M: usize, const A: usize> Forward<'_, M, A> {
    #[inline(always)]
    unsafe fn blocks<S: Simd, N: Number<S>>(self, mut finish: impl Finish<S>) {
        let Self { plan, x, tiles, packed, y, scratch, .. } = self;
        let outs = plan.output.stride;
        let v_domain = Domain::new(plan.input.stride, tiles.at_once, N::PER_WORD);
        let strip = Winograd::strip(S::LANES).min(outs);
        let m_domain = Domain::new(strip, tiles.at_once, 1);
        let (v, m) = scratch.split_at_mut(A * A * v_domain.position);
        debug_assert!(m.len() >= A * A * m_domain.position);
        let mut block = tiles.from(0);
        while block[0] < tiles.total {
            // SAFETY: the tiles are those of x's and y's images; v and m have room for a block.
            unsafe {
                image::input::<S, N, M, A>(plan, block, x, v, v_domain);
                // The tiles' matrix stays in the cache while the weights pass, a strip of output
                // channels after the other.
                for first in (0..outs).step_by(strip) {
                    let channels = [first, outs.min(first + strip)];
                    let width = channels[1] - channels[0];
                    let strip_of_u = plan.u_strip(S::LANES, first);
                    for xi in 0..A * A {
                        let v = &v[xi * v_domain.position..];
                        let m = &mut m[xi * m_domain.position..];
                        let at = strip_of_u.start + xi * strip_of_u.position;
                        product::multiply::<S, N>(
                            [block[1] - block[0], plan.depth(), width],
                            Matrix { floats: v, block: v_domain.block },
                            &packed[at..],
                            Matrix { floats: m, block: m_domain.block },
                        );
                    }
                    let from = (&*m, m_domain);
                    image::output::<S, N, M, A>(plan, block, channels, from, y, &mut finish);
                }
            }
            block = tiles.from(block[1]);
        }
    }
}

struct Gradient<'a, const M: usize, const A: usize> {
    plan: &'a Winograd,
    x: &'a [f32],
    tiles: Blocks,
    dz: &'a [f32],
    du: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<const M: usize, const A: usize> Kernel for Gradient<'_, M, A> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { plan, x, tiles, dz, du, scratch } = self;
        let (depth, outs) = (plan.input.c, plan.output.stride);
        let strip = Winograd::strip(S::LANES);
        let v_domain = Domain::new(plan.input.stride, tiles.at_once, 1);
        let z_domain = Domain::new(outs, tiles.at_once, 1);
        let (v, z) = scratch.split_at_mut(A * A * v_domain.position);
        debug_assert!(z.len() >= A * A * z_domain.position);
        let mut block = tiles.from(0);
        while block[0] < tiles.total {
            // SAFETY: the tiles are those of x's and dz's images; v and z have room for a block.
            unsafe {
                image::input::<S, F32, M, A>(plan, block, x, v, v_domain);
                image::gradient::<S, M, A>(plan, block, dz, z, z_domain);
                for xi in 0..A * A {
                    let v = &v[xi * v_domain.position..];
                    for first in (0..outs).step_by(strip) {
                        let width = strip.min(outs - first);
                        let strip_of_u = plan.u_strip(S::LANES, first);
                        let z = &z[xi * z_domain.position + z_domain.at(first, 0)..];
                        product::accumulate::<S>(
                            [block[1] - block[0], depth, width],
                            Matrix { floats: v, block: v_domain.block },
                            Matrix { floats: z, block: z_domain.block },
                            &mut du[strip_of_u.start + xi * strip_of_u.position..],
                        );
                    }
                }
            }
            block = tiles.from(block[1]);
        }
    }
}
