//! The gradient to the weights: a sum over all pixels of outer products.

use std::ops::Range;

use super::Conv;
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::{Kernel, Simd};

/// The operands of the weights' gradient; lengths are checked by [`Conv::backward_weights`].
pub(super) struct Outer<'a> {
    pub conv: &'a Conv,
    pub x: &'a [f32],
    pub dz: &'a [f32],
    pub dz_shape: &'a Shape,
    pub images: usize,
    /// Of two vectors of output channels, the last one perhaps of one.
    pub blocks: Range<usize>,
    /// The gradient of these blocks' weights.
    pub dw: &'a mut [f32],
}

impl Kernel for Outer<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let vectors = self.conv.output.stride / S::LANES;
        let mut dw = self.dw.as_mut_ptr();
        for first in self.blocks.clone().map(|block| 2 * block) {
            let wide = (vectors - first).min(2);
            // 9 rows are a window's row of an image of three channels, 5 one of a 5x5 kernel on grey
            // images: left to 8 and 1, or 4 and 1, they would take as long as twice as many.
            for r in 0..self.conv.windows.runs.len() {
                let run = self.conv.windows.runs[r];
                let mut k = 0;
                while k < run.len {
                    let left = run.len - k;
                    // SAFETY: the block's rows lie inside the run, its columns inside the stride,
                    // and dw has room for all blocks in turn.
                    let rows = unsafe {
                        match (wide, S::ACCUMULATORS) {
                            (2, 24) => match left {
                                12.. => self.block::<S, 12, 2>(first, run.at + k, dw),
                                9.. => self.block::<S, 9, 2>(first, run.at + k, dw),
                                8 => self.block::<S, 8, 2>(first, run.at + k, dw),
                                5.. => self.block::<S, 5, 2>(first, run.at + k, dw),
                                4 => self.block::<S, 4, 2>(first, run.at + k, dw),
                                3 => self.block::<S, 3, 2>(first, run.at + k, dw),
                                _ => self.block::<S, 1, 2>(first, run.at + k, dw),
                            },
                            (2, 12) => match left {
                                6.. => self.block::<S, 6, 2>(first, run.at + k, dw),
                                5 => self.block::<S, 5, 2>(first, run.at + k, dw),
                                4 => self.block::<S, 4, 2>(first, run.at + k, dw),
                                3 => self.block::<S, 3, 2>(first, run.at + k, dw),
                                _ => self.block::<S, 1, 2>(first, run.at + k, dw),
                            },
                            (2, _) => match left {
                                3.. => self.block::<S, 3, 2>(first, run.at + k, dw),
                                _ => self.block::<S, 1, 2>(first, run.at + k, dw),
                            },
                            _ => match left {
                                16.. => self.block::<S, 16, 1>(first, run.at + k, dw),
                                9.. => self.block::<S, 9, 1>(first, run.at + k, dw),
                                8 => self.block::<S, 8, 1>(first, run.at + k, dw),
                                5.. => self.block::<S, 5, 1>(first, run.at + k, dw),
                                4 => self.block::<S, 4, 1>(first, run.at + k, dw),
                                3 => self.block::<S, 3, 1>(first, run.at + k, dw),
                                _ => self.block::<S, 1, 1>(first, run.at + k, dw),
                            },
                        }
                    };
                    k += rows;
                    // SAFETY: at most depth * stride floats in all.
                    dw = unsafe { dw.add(rows * wide * S::LANES) };
                }
            }
        }
    }
}

impl Outer<'_> {
    /// `K` rows of the packed gradient: products of `K` floats of each window, from `at`, with `NV`
    /// vectors of the output's gradient, summed over all pixels of all images. Returns `K`.
    ///
    /// # Safety
    /// As [`Outer`]; `dw` has room for K * NV * LANES floats.
    #[inline(always)]
    unsafe fn block<S: Simd, const K: usize, const NV: usize>(
        &mut self,
        first: usize,
        at: usize,
        dw: *mut f32,
    ) -> usize {
        let (input, dz_shape, form) = (&self.conv.input, self.dz_shape, self.conv.form);
        let step = form.stride * input.stride;
        let corner = input.at(-(form.padding as isize), -(form.padding as isize)) + at;
        // SAFETY: windows stay inside the input (checked in `Conv::new`), pixels inside dz.
        unsafe {
            let mut acc = [[S::zero(); NV]; K];
            for i in 0..self.images {
                let x = self.x.as_ptr().add(i * input.len() + corner);
                let g = self.dz.as_ptr().add(i * dz_shape.len() + dz_shape.at(0, 0));
                for oy in 0..dz_shape.h {
                    let last = (oy * input.row() + (dz_shape.w - 1) * input.stride) * form.stride;
                    debug_assert!(i * input.len() + corner + last + K <= self.x.len());
                    let mut x = x.add(oy * form.stride * input.row());
                    let mut g = g.add(oy * dz_shape.row() + first * S::LANES);
                    for _ in 0..dz_shape.w {
                        let mut gv = [S::zero(); NV];
                        for v in 0..NV {
                            gv[v] = S::load(g.add(v * S::LANES));
                        }
                        for k in 0..K {
                            let b = S::splat(*x.add(k));
                            for v in 0..NV {
                                acc[k][v] = S::fma(b, gv[v], acc[k][v]);
                            }
                        }
                        x = x.add(step);
                        g = g.add(dz_shape.stride);
                    }
                }
            }
            for k in 0..K {
                for v in 0..NV {
                    let to = dw.add((k * NV + v) * S::LANES);
                    S::store(to, S::add(S::load(to), acc[k][v]));
                }
            }
        }
        K
    }
}
