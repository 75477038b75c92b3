//! A convolution's three passes, each by the kernel that is fastest for its shape.
//!
//! Winograd's algorithm where it applies and pays; the direct kernels everywhere else.
//! `LOSSREEL_CONV=direct` keeps to the direct ones, the reference that the others are tested
//! against.

use std::sync::OnceLock;

use super::conv::{Conv, ConvBackward, ConvForm, NarrowConv};
use super::winograd::Winograd;
use super::{Epilogue, Threads};
use crate::backend::native::caches::Caches;
use crate::backend::native::number::Numbers;
use crate::backend::native::shape::{CHANNEL_BLOCK, Shape};
use crate::backend::native::simd::Level;

/// Which kernels may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The direct ones alone.
    Direct,
    /// The fastest for the shape.
    Fastest,
}

impl Algorithm {
    /// The fastest, unless `LOSSREEL_CONV=direct`.
    pub fn from_env() -> Self {
        static DIRECT: OnceLock<bool> = OnceLock::new();
        let direct = || std::env::var("LOSSREEL_CONV").is_ok_and(|v| v == "direct");
        if *DIRECT.get_or_init(direct) { Self::Direct } else { Self::Fastest }
    }
}

/// A convolution before its kernels are chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub level: Level,
    pub caches: Caches,
    pub algorithm: Algorithm,
    pub form: ConvForm,
    /// Images a call, about.
    pub images: usize,
}

impl Geometry {
    /// Whether the direct kernels are used between two shapes, in f32.
    pub fn is_direct(&self, input: Shape, output: Shape) -> bool {
        self.winograd(Numbers::F32, input, output).is_none()
    }

    /// Winograd's kernel between two shapes, where it applies and pays.
    fn winograd(&self, numbers: Numbers, input: Shape, output: Shape) -> Option<Winograd> {
        let kernel = self.form.kernel;
        let fits = self.form == ConvForm { kernel, stride: 1, padding: kernel / 2 };
        let fits = fits && input.stride.is_multiple_of(CHANNEL_BLOCK);
        if self.algorithm == Algorithm::Direct || !fits {
            return None;
        }
        let tile = Winograd::choose(numbers, kernel, [input, output], self.images)?;
        Winograd::new(self.level, numbers, tile, [input, output], self.caches)
    }
}

/// The forward pass.
#[derive(Debug)]
pub(crate) enum ConvForward {
    Direct(Conv),
    Narrow(NarrowConv),
    Winograd(Winograd),
}

impl ConvForward {
    pub fn new(geometry: &Geometry, input: Shape, output: Shape) -> Self {
        let &Geometry { level, form, .. } = geometry;
        match geometry.winograd(Numbers::F32, input, output) {
            Some(kernel) => Self::Winograd(kernel),
            None => Self::Direct(Conv::new(level, input, output, form)),
        }
    }

    /// The forward pass in bf16 where that pays, for evaluation.
    pub fn bf16(geometry: &Geometry, input: Shape, output: Shape) -> Option<Self> {
        let &Geometry { level, form, images, .. } = geometry;
        let numbers = Numbers::bf16(level);
        if let Some(kernel) = geometry.winograd(numbers, input, output) {
            return Some(Self::Winograd(kernel));
        }
        // Of a 5x5 kernel, Winograd's in f32 is faster than the direct one in bf16.
        if form.kernel == 5 && !geometry.is_direct(input, output) {
            return None;
        }
        // Windows of few channels are many short runs, whose beginnings take the time: with three
        // channels in, bf16 was never faster. Otherwise the vector multiplications that an image
        // saves count, against some two cycles for each vector of the feature map that is rounded.
        let saved = output.pixels() * form.kernel * form.kernel * (input.c / 2) * output.stride;
        let pays = input.c >= 8 && saved > 2 * input.len();
        pays.then(|| Self::Narrow(NarrowConv::new(level, numbers, [input, output], form, images)))
    }

    /// What it is, in words.
    pub fn name(&self) -> String {
        match self {
            Self::Direct(_) => "direct f32".into(),
            Self::Narrow(_) => "direct bf16".into(),
            Self::Winograd(kernel) => kernel.name(),
        }
    }

    /// Floats of packed weights.
    pub fn packed_len(&self) -> usize {
        match self {
            Self::Direct(kernel) => kernel.packed_len(),
            Self::Narrow(kernel) => kernel.packed_len(),
            Self::Winograd(kernel) => kernel.packed_len(),
        }
    }

    /// Floats of scratch memory a call needs.
    pub fn scratch_len(&self) -> usize {
        match self {
            Self::Direct(_) => 0,
            Self::Narrow(kernel) => kernel.scratch_len(),
            Self::Winograd(kernel) => kernel.scratch_len(),
        }
    }

    /// Packs `weight`, (out, in, k, k), each output channel times its `scale`.
    pub fn pack(&self, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        match self {
            Self::Direct(kernel) => kernel.pack(weight, scale, packed),
            Self::Narrow(kernel) => kernel.pack(weight, scale, packed),
            Self::Winograd(kernel) => kernel.pack(weight, scale, packed),
        }
    }

    /// Packs `weight`, (out, in, k, k), by all threads where there is much of it.
    pub fn pack_shared(&self, weight: &[f32], packed: &mut [f32]) {
        match self {
            Self::Direct(kernel) => kernel.pack_shared(weight, packed),
            _ => self.pack(weight, None, packed),
        }
    }

    /// y = conv(x) for `images` images, through `epilogue`. The direct kernels alone share it among
    /// threads.
    #[allow(clippy::too_many_arguments)] // one call, taken apart at once
    pub fn run(
        &self,
        x: &[f32],
        images: usize,
        packed: &[f32],
        epilogue: Epilogue,
        y: &mut [f32],
        scratch: &mut [f32],
        threads: Threads,
    ) {
        match self {
            Self::Direct(kernel) => kernel.forward(x, images, packed, epilogue, y, threads),
            Self::Narrow(kernel) => kernel.forward(x, images, packed, &epilogue, y, scratch),
            Self::Winograd(kernel) => kernel.forward(x, images, packed, epilogue, y, scratch),
        }
    }
}

/// The gradient to the input.
#[derive(Debug)]
pub(crate) enum ConvDataGradient {
    Direct(ConvBackward),
    Winograd(Winograd),
}

impl ConvDataGradient {
    pub fn new(geometry: &Geometry, dz: Shape, dx: Shape) -> Self {
        let &Geometry { level, form, .. } = geometry;
        match geometry.winograd(Numbers::F32, dz, dx) {
            Some(kernel) => Self::Winograd(kernel),
            None => Self::Direct(ConvBackward::new(level, dz, dx, form)),
        }
    }

    /// Floats of packed weights.
    pub fn packed_len(&self) -> usize {
        match self {
            Self::Direct(kernel) => kernel.packed_len(),
            Self::Winograd(kernel) => kernel.packed_len(),
        }
    }

    /// Floats of scratch memory a call needs.
    pub fn scratch_len(&self) -> usize {
        match self {
            Self::Direct(_) => 0,
            Self::Winograd(kernel) => kernel.scratch_len(),
        }
    }

    /// Packs `weight`, (out, in, k, k).
    pub fn pack(&self, weight: &[f32], packed: &mut [f32]) {
        match self {
            Self::Direct(kernel) => kernel.pack(weight, packed),
            Self::Winograd(kernel) => kernel.pack_backward(weight, packed),
        }
    }

    /// Packs `weight`, (out, in, k, k), by all threads where there is much of it.
    pub fn pack_shared(&self, weight: &[f32], packed: &mut [f32]) {
        match self {
            Self::Direct(kernel) => kernel.pack_shared(weight, packed),
            Self::Winograd(kernel) => kernel.pack_backward(weight, packed),
        }
    }

    /// Writes the gradient of `images` images over `dx`.
    pub fn run(
        &self,
        dz: &[f32],
        images: usize,
        packed: &[f32],
        dx: &mut [f32],
        scratch: &mut [f32],
        threads: Threads,
    ) {
        match self {
            Self::Direct(kernel) => kernel.run(dz, images, packed, || Epilogue::Plain, dx, threads),
            Self::Winograd(kernel) => {
                kernel.forward(dz, images, packed, Epilogue::Plain, dx, scratch);
            }
        }
    }

    /// Writes the gradient of `images` images through an epilogue over `dx`.
    pub fn run_through<'e>(
        &self,
        dz: &[f32],
        images: usize,
        packed: &[f32],
        epilogue: impl Fn() -> Epilogue<'e>,
        dx: &mut [f32],
        scratch: &mut [f32],
    ) {
        match self {
            Self::Direct(kernel) => kernel.run(dz, images, packed, epilogue, dx, Threads::One),
            Self::Winograd(kernel) => kernel.forward(dz, images, packed, epilogue(), dx, scratch),
        }
    }
}

/// The gradient to the weights, gathered in the kernel's own order and unpacked once.
#[derive(Debug)]
pub(crate) enum ConvWeightGradient {
    Direct(Box<Conv>, Shape),
    Winograd(Winograd),
}

impl ConvWeightGradient {
    /// From the shapes of the input, the output and the output's gradient.
    pub fn new(geometry: &Geometry, input: Shape, dz: Shape) -> Self {
        let &Geometry { level, form, .. } = geometry;
        match geometry.winograd(Numbers::F32, input, dz) {
            Some(kernel) => Self::Winograd(kernel),
            None => Self::Direct(Box::new(Conv::new(level, input, dz, form)), dz),
        }
    }

    /// Floats of the gathered gradient.
    pub fn gathered_len(&self) -> usize {
        match self {
            Self::Direct(kernel, _) => kernel.packed_len(),
            Self::Winograd(kernel) => kernel.packed_len(),
        }
    }

    /// Floats of scratch memory a call needs.
    pub fn scratch_len(&self) -> usize {
        match self {
            Self::Direct(..) => 0,
            Self::Winograd(kernel) => kernel.weights_scratch_len(),
        }
    }

    /// Adds the gradient of `images` images to `gathered`.
    pub fn run(
        &self,
        x: &[f32],
        dz: &[f32],
        images: usize,
        gathered: &mut [f32],
        scratch: &mut [f32],
        threads: Threads,
    ) {
        match self {
            Self::Direct(kernel, shape) => {
                kernel.backward_weights(x, dz, shape, images, gathered, threads);
            }
            Self::Winograd(kernel) => kernel.backward_weights(x, dz, images, gathered, scratch),
        }
    }

    /// Adds a gathered gradient to `grad`, (out, in, k, k).
    pub fn finish(&self, gathered: &[f32], grad: &mut [f32]) {
        match self {
            Self::Direct(kernel, _) => kernel.unpack_add(gathered, grad),
            Self::Winograd(kernel) => kernel.finish_weights(gathered, grad),
        }
    }
}
