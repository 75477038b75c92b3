//! Sums over windows: the forward pass, and the gradient to the input a phase at a time.

use std::ops::Range;

use rayon::prelude::*;

use super::windows::{Run, Windows};
use crate::backend::native::kernels::{Epilogue, Threads};
use crate::backend::native::number::{Number, NumberKernel, Numbers};
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::{Level, Simd};

/// Each pixel of `y` is the sum over its window in the words `x` of feature maps `input`, through
/// `epilogue`, for `images` images.
#[allow(clippy::too_many_arguments)] // one call, taken apart at once
pub(super) fn sum_windows(
    (level, numbers): (Level, Numbers),
    [input, output]: [&Shape; 2],
    windows: &Windows,
    x: &[f32],
    images: usize,
    packed: &[f32],
    epilogue: Epilogue,
    y: &mut [f32],
    threads: Threads,
) {
    let lens = [input.len() / numbers.per_word(), output.len()];
    assert!(x.len() >= images * lens[0] && y.len() >= images * lens[1]);
    assert_eq!(packed.len(), windows.depth() * output.stride);
    let bias = matches!(epilogue, Epilogue::Bias { .. });
    assert!(bias || numbers != Numbers::Pairs, "bf16 is for evaluation");
    match &epilogue {
        Epilogue::Bias { bias, residual, .. } => {
            assert_eq!(bias.len(), output.stride);
            assert!(residual.is_none_or(|r| r.len() >= images * output.len()));
        }
        Epilogue::Stats { sums } => assert_eq!(sums.len(), 2 * output.stride),
        Epilogue::Plain => {}
    }
    let stride = output.stride;
    // Numbers that have been rounded are multiplied as any f32 is.
    let numbers = if numbers == Numbers::Rounded { Numbers::F32 } else { numbers };
    let output = Output { floats: y.as_mut_ptr(), len: y.len() };
    let run = |blocks: Range<usize>, epilogue: Epilogue| {
        let kernel = Direct { lens, stride, windows, x, images, packed, epilogue, output, blocks };
        // SAFETY: level and numbers were found available; windows stay inside their feature map
        // (checked when they were made), and all lengths are checked above. Two calls write other
        // channels of `y`, which nobody else has.
        unsafe { numbers.run(level, kernel) }
    };
    let blocks = stride.div_ceil(2 * level.lanes());
    match (threads, epilogue) {
        (Threads::All, Epilogue::Plain) => {
            (0..blocks).into_par_iter().for_each(|b| run(b..b + 1, Epilogue::Plain));
        }
        (Threads::All, Epilogue::Bias { bias, residual, relu }) => {
            let each = |b| run(b..b + 1, Epilogue::Bias { bias, residual, relu });
            (0..blocks).into_par_iter().for_each(each);
        }
        (_, epilogue) => run(0..blocks, epilogue),
    }
}

/// Where sums are written: several threads write to disjoint channels of it.
#[derive(Clone, Copy)]
struct Output {
    floats: *mut f32,
    len: usize,
}

// SAFETY: a pointer to floats that its owner lends to all threads, which write disjoint parts.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

/// The forward kernel's operands; lengths are checked by [`sum_windows`].
struct Direct<'a> {
    lens: [usize; 2],
    stride: usize,
    windows: &'a Windows,
    x: &'a [f32],
    images: usize,
    packed: &'a [f32],
    epilogue: Epilogue<'a>,
    output: Output,
    /// Of two vectors of output channels, the last one perhaps of one.
    blocks: Range<usize>,
}

impl NumberKernel for Direct<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd, N: Number<S>>(mut self) {
        let depth = self.windows.depth();
        let vectors = self.stride / S::LANES;
        for first in self.blocks.clone().map(|block| 2 * block) {
            let wide = (vectors - first).min(2);
            // SAFETY: `packed` holds depth * stride floats, of which depth * wide * LANES are read
            // for this block; the block's channels lie inside the stride.
            unsafe {
                let w = self.packed.as_ptr().add(depth * first * S::LANES);
                match (wide, S::ACCUMULATORS) {
                    (2, 24) => self.block::<S, N, 10, 2>(first, w),
                    (2, 12) => self.block::<S, N, 6, 2>(first, w),
                    (2, _) => self.block::<S, N, 3, 2>(first, w),
                    (_, 24) => self.block::<S, N, 10, 1>(first, w),
                    (_, _) => self.block::<S, N, 4, 1>(first, w),
                }
            }
        }
    }
}

impl Direct<'_> {
    /// All pixels of all images for `NV` vectors of channels from vector `first`, `P` pixels a
    /// tile.
    ///
    /// # Safety
    /// As [`Direct`]; `w` points to the block's weights.
    #[inline(always)]
    unsafe fn block<S: Simd, N: Number<S>, const P: usize, const NV: usize>(
        &mut self,
        first: usize,
        w: *const f32,
    ) {
        let Windows { in_at, out_at, runs, .. } = self.windows;
        let pixels = in_at.len();
        let total = pixels * self.images;
        let channel = first * S::LANES;
        let (x, y) = (self.x.as_ptr(), self.output.floats);
        // SAFETY: `i` stays below `images` and `j` below `pixels`, so all offsets are those that
        // were checked.
        unsafe {
            let (mut sum, mut square) = ([S::zero(); NV], [S::zero(); NV]);
            let (mut i, mut j, mut t) = (0, 0, 0);
            while t < total {
                let (mut from, mut to) = ([x; P], [0usize; P]);
                let live = (total - t).min(P);
                for p in 0..P {
                    let at = i * self.lens[0] + *in_at.get_unchecked(j) as usize;
                    from[p] = x.add(at);
                    to[p] = i * self.lens[1] + *out_at.get_unchecked(j) as usize + channel;
                    debug_assert!(runs.iter().all(|r| at + r.at + r.len <= self.x.len()));
                    debug_assert!(to[p] + NV * S::LANES <= self.output.len);
                    // Beyond the last pixel the tile repeats it.
                    if p + 1 < live {
                        j += 1;
                        if j == pixels {
                            (i, j) = (i + 1, 0);
                        }
                    }
                }
                j += 1;
                if j == pixels {
                    (i, j) = (i + 1, 0);
                }
                let mut acc = tile::<S, N, P, NV>(from, runs, w);
                match &self.epilogue {
                    Epilogue::Plain => {}
                    Epilogue::Bias { bias, residual, relu } => {
                        for v in 0..NV {
                            let b = S::load(bias.as_ptr().add(channel + v * S::LANES));
                            for a in &mut acc {
                                a[v] = S::add(a[v], b);
                            }
                        }
                        if let Some(residual) = residual {
                            for p in 0..P {
                                for v in 0..NV {
                                    let r = S::load(residual.as_ptr().add(to[p] + v * S::LANES));
                                    acc[p][v] = S::add(acc[p][v], r);
                                }
                            }
                        }
                        if *relu {
                            for a in &mut acc {
                                for v in 0..NV {
                                    a[v] = S::max(S::zero(), a[v]);
                                }
                            }
                        }
                    }
                    Epilogue::Stats { .. } if !N::EXACT => {}
                    Epilogue::Stats { .. } => {
                        for v in 0..NV {
                            let (mut s, mut q) = (S::zero(), S::zero());
                            for (p, a) in acc.iter().enumerate() {
                                if p < live {
                                    s = S::add(s, a[v]);
                                    q = S::fma(a[v], a[v], q);
                                }
                            }
                            sum[v] = S::add(sum[v], s);
                            square[v] = S::add(square[v], q);
                        }
                    }
                }
                for p in 0..P {
                    if p < live {
                        for v in 0..NV {
                            S::store(y.add(to[p] + v * S::LANES), acc[p][v]);
                        }
                    }
                }
                t += P;
            }
            if let Epilogue::Stats { sums } = &mut self.epilogue {
                for v in 0..NV {
                    let at = sums.as_mut_ptr().add(channel + v * S::LANES);
                    S::store(at, S::add(S::load(at), sum[v]));
                    let at = at.add(self.stride);
                    S::store(at, S::add(S::load(at), square[v]));
                }
            }
        }
    }
}

/// sum over all runs of x[k] w[k][..] for `P` windows.
///
/// # Safety
/// Each of `from` may be read at every run; `w` holds depth * NV * LANES words.
#[inline(always)]
unsafe fn tile<S: Simd, N: Number<S>, const P: usize, const NV: usize>(
    from: [*const f32; P],
    runs: &[Run],
    mut w: *const f32,
) -> [[S::V; NV]; P] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [[S::zero(); NV]; P];
        for run in runs {
            let mut x = from;
            for x in &mut x {
                *x = x.add(run.at);
            }
            for k in 0..run.len {
                let mut wv = [S::zero(); NV];
                for v in 0..NV {
                    wv[v] = S::load(w.add(v * S::LANES));
                }
                for p in 0..P {
                    let b = S::splat(*x[p].add(k));
                    for v in 0..NV {
                        acc[p][v] = N::multiply_add(b, wv[v], acc[p][v]);
                    }
                }
                w = w.add(NV * S::LANES);
            }
        }
        acc
    }
}
