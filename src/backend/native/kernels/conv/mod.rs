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
mod sums;
#[cfg(test)]
mod tests;
mod windows;

use outer::Outer;
use sums::sum_windows;
use windows::Windows;

pub(crate) use narrow::NarrowConv;
pub(crate) use windows::ConvForm;

use super::Epilogue;
use crate::backend::native::number::Numbers;
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::Level;

/// Writes `value(output channel, input channel, tap)` in the order in which tiles read it:
/// `[block of 2 vectors][tap][input channel][lane]`, the last block narrower if need be.
fn pack(
    level: Level,
    [outputs, inputs, output_stride]: [usize; 3],
    taps: &[[usize; 2]],
    value: impl Fn(usize, usize, [usize; 2]) -> f32,
    packed: &mut [f32],
) {
    let (mut at, mut first) = (0, 0);
    while first < output_stride {
        let wide = (2 * level.lanes()).min(output_stride - first);
        for &tap in taps {
            for i in 0..inputs {
                for (lane, slot) in packed[at..at + wide].iter_mut().enumerate() {
                    let o = first + lane;
                    *slot = if o < outputs { value(o, i, tap) } else { 0.0 };
                }
                at += wide;
            }
        }
        first += wide;
    }
}

/// A convolution's forward pass, and its gradient to the weights.
#[derive(Debug)]
pub(crate) struct Conv {
    level: Level,
    input: Shape,
    output: Shape,
    form: ConvForm,
    windows: Windows,
}

impl Conv {
    /// A convolution between two shapes; the input's halo is at least the padding.
    pub fn new(level: Level, input: Shape, output: Shape, form: ConvForm) -> Self {
        assert!(input.halo >= form.padding, "the input's halo is narrower than the padding");
        let windows = Windows::forward(&input, &output, form);
        assert!(windows.reach() <= input.len(), "a window leaves the feature map");
        Self { level, input, output, form, windows }
    }

    /// Floats of packed weights.
    pub fn packed_len(&self) -> usize {
        self.windows.depth() * self.output.stride
    }

    /// Packs `weight`, (out, in, k, k), each output channel times its `scale`.
    pub fn pack(&self, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        let (c, k) = (self.input.c, self.form.kernel);
        let value = |o: usize, i: usize, [y, x]: [usize; 2]| {
            weight[((o * c + i) * k + y) * k + x] * scale.map_or(1.0, |s| s[o])
        };
        let channels = [self.output.c, c, self.output.stride];
        pack(self.level, channels, &self.windows.taps, value, packed);
    }

    /// y = conv(x) for `images` images, through `epilogue`.
    pub fn forward(
        &self,
        x: &[f32],
        images: usize,
        packed: &[f32],
        epilogue: Epilogue,
        y: &mut [f32],
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
    ) {
        assert_eq!(
            (dz_shape.stride, dz_shape.h, dz_shape.w),
            (self.output.stride, self.output.h, self.output.w)
        );
        assert!(x.len() >= images * self.input.len() && dz.len() >= images * dz_shape.len());
        assert_eq!(dw.len(), self.packed_len());
        let kernel = Outer { conv: self, x, dz, dz_shape, images, dw };
        // SAFETY: the level was found available; lengths are checked above and in `new`.
        unsafe { self.level.run(kernel) }
    }

    /// Adds a packed gradient to `grad`, (out, in, k, k).
    pub fn unpack_add(&self, dw: &[f32], grad: &mut [f32]) {
        let (c, k) = (self.input.c, self.form.kernel);
        let (mut at, mut first) = (0, 0);
        while first < self.output.stride {
            let wide = (2 * self.level.lanes()).min(self.output.stride - first);
            for &[y, x] in &self.windows.taps {
                for i in 0..c {
                    for (lane, v) in dw[at..at + wide].iter().enumerate() {
                        if first + lane < self.output.c {
                            grad[(((first + lane) * c + i) * k + y) * k + x] += v;
                        }
                    }
                    at += wide;
                }
            }
            first += wide;
        }
    }
}

/// A convolution's gradient to its input.
#[derive(Debug)]
pub(crate) struct ConvBackward {
    level: Level,
    dz: Shape,
    dx: Shape,
    form: ConvForm,
    phases: Vec<Windows>,
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
        Self { level, dz, dx, form, phases }
    }

    /// Floats of packed weights.
    pub fn packed_len(&self) -> usize {
        self.phases.iter().map(|w| w.depth() * self.dx.stride).sum()
    }

    /// Packs `weight`, (out, in, k, k).
    pub fn pack(&self, weight: &[f32], mut packed: &mut [f32]) {
        let (inputs, k) = (self.dx.c, self.form.kernel);
        for windows in &self.phases {
            let (own, rest) = packed.split_at_mut(windows.depth() * self.dx.stride);
            let value =
                |i: usize, o: usize, [y, x]: [usize; 2]| weight[((o * inputs + i) * k + y) * k + x];
            let channels = [inputs, self.dz.c, self.dx.stride];
            pack(self.level, channels, &windows.taps, value, own);
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
    ) {
        for windows in &self.phases {
            let (own, rest) = packed.split_at(windows.depth() * self.dx.stride);
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
            );
            packed = rest;
        }
    }
}
