//! Direct convolution in padded NHWC: forward, backward to the data, backward to the weights.
//!
//! All three are sums over a window's *runs*: stretches of memory that are contiguous in the input
//! (a row of the window with all its channels, or one pixel's channels where they do not fill the
//! stride). Backward data of a convolution with stride s is s x s dense convolutions over the
//! output's gradient, one for each phase of the input's pixels, so that no zero is ever multiplied
//! (Dumoulin & Visin 2016 insert them). A linear layer is a 1x1 convolution of a 1x1 feature map
//! whose images are the pixels of a tile.
//!
//! Forward they reach 93 to 99 % of a core's AVX-512 peak where there are 32 channels and more, 80
//! % in a net's first layer (`benches/kernels.rs`).

mod narrow;
mod outer;
mod packing;
mod sums;
#[cfg(test)]
mod tests;
mod windows;

use outer::Outer;
use packing::Packing;
use sums::sum_windows;
use windows::Windows;

pub(crate) use narrow::NarrowConv;
pub(crate) use windows::ConvForm;

use std::ops::Range;

use rayon::prelude::*;

use super::{Epilogue, Threads};
use crate::backend::native::number::Numbers;
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::Level;

/// A convolution's forward pass, and its gradient to the weights.
#[derive(Debug)]
pub(crate) struct Conv {
    level: Level,
    input: Shape,
    output: Shape,
    form: ConvForm,
    windows: Windows,
    packing: Packing,
}

impl Conv {
    /// A convolution between two shapes; the input's halo is at least the padding.
    pub fn new(level: Level, input: Shape, output: Shape, form: ConvForm) -> Self {
        assert!(input.halo >= form.padding, "the input's halo is narrower than the padding");
        let windows = Windows::forward(&input, &output, form);
        assert!(windows.reach() <= input.len(), "a window leaves the feature map");
        let side = form.kernel;
        let steps = [input.c * side * side, side * side];
        let channels = [output.c, input.c, output.stride];
        let packing = Packing::new(level, channels, steps, &windows.taps, side);
        Self { level, input, output, form, windows, packing }
    }

    /// Floats of packed weights.
    pub fn packed_len(&self) -> usize {
        self.packing.len()
    }

    /// Packs `weight`, (out, in, k, k), each output channel times its `scale`.
    pub fn pack(&self, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        self.packing.pack(weight, scale, packed);
    }

    /// Packs `weight`, (out, in, k, k), by all threads.
    pub fn pack_shared(&self, weight: &[f32], packed: &mut [f32]) {
        self.packing.pack_shared(weight, packed);
    }

    /// y = conv(x) for `images` images, through `epilogue`.
    pub fn forward(
        &self,
        x: &[f32],
        images: usize,
        packed: &[f32],
        epilogue: Epilogue,
        y: &mut [f32],
        threads: Threads,
    ) {
        let shapes = [&self.input, &self.output];
        sum_windows(
            (self.level, Numbers::F32),
            shapes,
            &self.windows,
            x,
            images,
            packed,
            epilogue,
            y,
            threads,
        );
    }

    /// dw += x (*) dz, in the order of packed weights; `dz` lies in `dz_shape`, any halo.
    pub fn backward_weights(
        &self,
        x: &[f32],
        dz: &[f32],
        dz_shape: &Shape,
        images: usize,
        dw: &mut [f32],
        threads: Threads,
    ) {
        assert_eq!(
            (dz_shape.stride, dz_shape.h, dz_shape.w),
            (self.output.stride, self.output.h, self.output.w)
        );
        assert!(x.len() >= images * self.input.len() && dz.len() >= images * dz_shape.len());
        assert_eq!(dw.len(), self.packed_len());
        let run = |blocks: Range<usize>, dw: &mut [f32]| {
            let kernel = Outer { conv: self, x, dz, dz_shape, images, blocks, dw };
            // SAFETY: the level was found available; lengths are checked above and in `new`.
            unsafe { self.level.run(kernel) }
        };
        match threads {
            Threads::One => run(0..self.packing.blocks(), dw),
            Threads::All => {
                let blocks = dw.par_chunks_mut(self.packing.block_len()).enumerate();
                blocks.for_each(|(block, dw)| run(block..block + 1, dw));
            }
        }
    }

    /// Adds a packed gradient to `grad`, (out, in, k, k), by all threads.
    pub fn unpack_add(&self, dw: &[f32], grad: &mut [f32]) {
        self.packing.unpack_add(dw, grad);
    }
}

/// A convolution's gradient to its input.
#[derive(Debug)]
pub(crate) struct ConvBackward {
    level: Level,
    dz: Shape,
    dx: Shape,
    /// For each phase of the input's pixels.
    phases: Vec<(Windows, Packing)>,
}

impl ConvBackward {
    /// The way from the output's gradient to the input's; `dz` has at least the halo that
    /// [`ConvForm::gradient_halo`] asks for.
    pub fn new(level: Level, dz: Shape, dx: Shape, form: ConvForm) -> Self {
        let needed = form.gradient_halo(dx.h, dz.h).max(form.gradient_halo(dx.w, dz.w));
        assert!(dz.halo >= needed, "the gradient's halo is too narrow");
        let phase = |k: usize| [k / form.stride, k % form.stride];
        let phases: Vec<Windows> = (0..form.stride * form.stride)
            .map(|k| Windows::backward(&dz, &dx, form, phase(k)))
            .filter(|windows| !windows.out_at.is_empty())
            .collect();
        assert!(phases.iter().all(|w| w.reach() <= dz.len()), "a window leaves the feature map");
        // The parameter is (out, in, k, k), and the way leads from out to in.
        let side = form.kernel;
        let steps = [side * side, dx.c * side * side];
        let packing = |windows: &Windows| {
            Packing::new(level, [dx.c, dz.c, dx.stride], steps, &windows.taps, side)
        };
        let with_packing = |windows: Windows| {
            let packing = packing(&windows);
            (windows, packing)
        };
        let phases = phases.into_iter().map(with_packing).collect();
        Self { level, dz, dx, phases }
    }

    /// Floats of packed weights.
    pub fn packed_len(&self) -> usize {
        self.phases.iter().map(|(_, packing)| packing.len()).sum()
    }

    /// Packs `weight`, (out, in, k, k).
    pub fn pack(&self, weight: &[f32], mut packed: &mut [f32]) {
        for (_, packing) in &self.phases {
            let (own, rest) = packed.split_at_mut(packing.len());
            packing.pack(weight, None, own);
            packed = rest;
        }
    }

    /// Packs `weight`, (out, in, k, k), by all threads.
    pub fn pack_shared(&self, weight: &[f32], mut packed: &mut [f32]) {
        for (_, packing) in &self.phases {
            let (own, rest) = packed.split_at_mut(packing.len());
            packing.pack_shared(weight, own);
            packed = rest;
        }
    }

    /// Writes the input's gradient of `images` images through an epilogue over `dx`.
    pub fn run<'e>(
        &self,
        dz: &[f32],
        images: usize,
        mut packed: &[f32],
        epilogue: impl Fn() -> Epilogue<'e>,
        dx: &mut [f32],
        threads: Threads,
    ) {
        for (windows, packing) in &self.phases {
            let (own, rest) = packed.split_at(packing.len());
            let shapes = [&self.dz, &self.dx];
            sum_windows(
                (self.level, Numbers::F32),
                shapes,
                windows,
                dz,
                images,
                own,
                epilogue(),
                dx,
                threads,
            );
            packed = rest;
        }
    }
}
