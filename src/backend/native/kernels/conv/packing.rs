//! Weights in the order in which tiles read them, and gradients back.
//!
//! Packed they are `[block of 2 vectors of output channels][tap][input channel][lane]`, the last
//! block narrower if need be. A linear layer's millions of weights are moved at every step of a
//! training, so blocks may be shared among threads, and each is moved in squares: a square's
//! cache lines, on the side where they lie far apart, are used to their ends.

use rayon::prelude::*;

use crate::backend::native::simd::Level;

/// Side of a square, in channels: a cache line of floats.
const SQUARE: usize = 16;

/// Packed weights fewer than this are not worth sharing among threads.
const SHARED: usize = 1 << 16;

/// Where the elements of packed weights lie in a parameter.
#[derive(Debug)]
pub(super) struct Packing {
    /// Output channels of a block.
    block: usize,
    outputs: usize,
    inputs: usize,
    /// Output channels with those that fill up the last vector.
    stride: usize,
    /// Floats of the parameter from an output channel to the next, and from an input channel to
    /// the next.
    steps: [usize; 2],
    /// Where each tap lies in a kernel of the parameter.
    taps: Vec<usize>,
}

impl Packing {
    /// Of `[outputs, inputs, output stride]` channels in a parameter whose channels lie `steps`
    /// apart, with the taps (row, column) of a kernel of `side`.
    pub fn new(
        level: Level,
        [outputs, inputs, stride]: [usize; 3],
        steps: [usize; 2],
        taps: &[[usize; 2]],
        side: usize,
    ) -> Self {
        let taps = taps.iter().map(|[y, x]| y * side + x).collect();
        Self { block: 2 * level.lanes(), outputs, inputs, stride, steps, taps }
    }

    /// Floats of packed weights.
    pub fn len(&self) -> usize {
        self.taps.len() * self.inputs * self.stride
    }

    /// Blocks, of which the last may be narrower.
    pub fn blocks(&self) -> usize {
        self.stride.div_ceil(self.block)
    }

    /// Floats of a block that is not the last.
    pub fn block_len(&self) -> usize {
        (self.taps.len() * self.inputs * self.block).max(1)
    }

    /// The first output channel of a block, how many it has room for, and how many there are.
    fn channels(&self, block: usize) -> [usize; 3] {
        let first = block * self.block;
        let room = self.block.min(self.stride - first);
        [first, room, self.outputs.saturating_sub(first).min(room)]
    }

    /// Packs `weight`, each output channel times its `scale`, zeros behind the last channel.
    pub fn pack(&self, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        let blocks = packed.chunks_mut(self.block_len()).enumerate();
        blocks.for_each(|(block, packed)| self.pack_block(block, weight, scale, packed));
    }

    /// The same by all threads.
    pub fn pack_shared(&self, weight: &[f32], packed: &mut [f32]) {
        if packed.len() < SHARED {
            return self.pack(weight, None, packed);
        }
        let blocks = packed.par_chunks_mut(self.block_len()).enumerate();
        blocks.for_each(|(block, packed)| self.pack_block(block, weight, None, packed));
    }

    fn pack_block(&self, block: usize, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        let [first, room, live] = self.channels(block);
        let [out_step, in_step] = self.steps;
        let scale = |lane: usize| scale.map_or(1.0, |s| s[first + lane]);
        for (&tap, packed) in self.taps.iter().zip(packed.chunks_mut(self.inputs * room)) {
            for (square, packed) in packed.chunks_mut(SQUARE * room).enumerate() {
                let at = tap + first * out_step + square * SQUARE * in_step;
                if out_step == 1 {
                    for (i, packed) in packed.chunks_exact_mut(room).enumerate() {
                        let from = &weight[at + i * in_step..][..live];
                        let lanes = packed.iter_mut().zip(from).enumerate();
                        lanes.for_each(|(lane, (to, w))| *to = w * scale(lane));
                    }
                } else {
                    for lane in 0..live {
                        let (from, scale) = (weight[at + lane * out_step..].iter(), scale(lane));
                        let to = packed[lane..].iter_mut().step_by(room);
                        to.zip(from.step_by(in_step)).for_each(|(to, w)| *to = w * scale);
                    }
                }
                for packed in packed.chunks_exact_mut(room) {
                    packed[live..].fill(0.0);
                }
            }
        }
    }

    /// Adds packed gradients to those of the parameter, by all threads. The output channels are the
    /// parameter's first dimension.
    pub fn unpack_add(&self, packed: &[f32], grad: &mut [f32]) {
        let rows = self.block * self.steps[0];
        let add = |((block, packed), grad): ((usize, &[f32]), &mut [f32])| {
            self.unpack_block(block, packed, grad);
        };
        if packed.len() < SHARED {
            let packed = packed.chunks(self.block_len()).enumerate();
            packed.zip(grad.chunks_mut(rows)).for_each(add);
        } else {
            let packed = packed.par_chunks(self.block_len()).enumerate();
            packed.zip(grad.par_chunks_mut(rows)).for_each(add);
        }
    }

    fn unpack_block(&self, block: usize, packed: &[f32], grad: &mut [f32]) {
        let [_, room, live] = self.channels(block);
        let [out_step, in_step] = self.steps;
        for (&tap, packed) in self.taps.iter().zip(packed.chunks(self.inputs * room)) {
            for (square, packed) in packed.chunks(SQUARE * room).enumerate() {
                for lane in 0..live {
                    let at = tap + lane * out_step + square * SQUARE * in_step;
                    let from = packed[lane..].iter().step_by(room);
                    let to = grad[at..].iter_mut().step_by(in_step);
                    to.zip(from).for_each(|(to, v)| *to += v);
                }
            }
        }
    }
}
