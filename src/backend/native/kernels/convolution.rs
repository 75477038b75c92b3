//! A convolution's three passes, each by the kernel that is fastest for its shape.
//!
//! Winograd's algorithm where it applies and pays; the direct kernels everywhere else.
//! `LOSSREEL_CONV=direct` keeps to the direct ones, the reference that the others are tested
//! against.

use std::sync::OnceLock;

use super::conv::{Conv, ConvBackward, Form};
use super::winograd::{Tile, Winograd};
use super::Epilogue;
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::Level;

/// Channels on both sides from which Winograd's transforms cost less than they save. Measured on
/// ResNet-20, two AVX-512 cores: 16 channels and more against 32 and more, training 1,070 to 830
/// images/s, evaluation 4,800 to 3,700.
const LEAST_CHANNELS: usize = 16;

/// Winograd's kernel for a convolution between two shapes, where it pays.
fn winograd(level: Level, input: Shape, output: Shape, form: Form) -> Option<Winograd> {
    static DIRECT: OnceLock<bool> = OnceLock::new();
    let direct = DIRECT.get_or_init(|| std::env::var("LOSSREEL_CONV").is_ok_and(|v| v == "direct"));
    let fits = form == Form { kernel: 3, stride: 1, padding: 1 };
    let pays = input.c.min(output.c) >= LEAST_CHANNELS && output.h.min(output.w) >= 4;
    let tile = if output.h % 4 == 0 && output.w % 4 == 0 { Tile::F4 } else { Tile::F2 };
    if *direct || !fits || !pays {
        return None;
    }
    Winograd::new(level, tile, input, output)
}

/// The forward pass.
#[derive(Debug)]
pub(crate) enum Forward {
    Direct(Conv),
    Winograd(Winograd),
}

impl Forward {
    pub fn new(level: Level, input: Shape, output: Shape, form: Form) -> Self {
        match winograd(level, input, output, form) {
            Some(kernel) => Self::Winograd(kernel),
            None => Self::Direct(Conv::new(level, input, output, form)),
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

    /// Packs `weight`, (out, in, k, k), each output channel times its `scale`.
    pub fn pack(&self, weight: &[f32], scale: Option<&[f32]>, packed: &mut [f32]) {
        match self {
            Self::Direct(kernel) => kernel.pack(weight, scale, packed),
            Self::Winograd(kernel) => kernel.pack(weight, scale, packed),
        }
    }

    /// y = conv(x) for `images` images, through `epilogue`.
    pub fn run(
        &self,
        x: &[f32],
        images: usize,
        packed: &[f32],
        epilogue: Epilogue,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        match self {
            Self::Direct(kernel) => kernel.forward(x, images, packed, epilogue, y),
            Self::Winograd(kernel) => kernel.forward(x, images, packed, epilogue, y, scratch),
        }
    }
}

/// The gradient to the input.
#[derive(Debug)]
pub(crate) enum Data {
    Direct(ConvBackward),
    Winograd(Winograd),
}

impl Data {
    pub fn new(level: Level, dz: Shape, dx: Shape, form: Form) -> Self {
        match winograd(level, dz, dx, form) {
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

    /// Writes the gradient of `images` images over `dx`.
    pub fn run(&self, dz: &[f32], images: usize, packed: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
        self.run_through(dz, images, packed, || Epilogue::Plain, dx, scratch);
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
            Self::Direct(kernel) => kernel.run(dz, images, packed, epilogue, dx),
            Self::Winograd(kernel) => kernel.forward(dz, images, packed, epilogue(), dx, scratch),
        }
    }
}

/// The gradient to the weights, gathered in the kernel's own order and unpacked once.
#[derive(Debug)]
pub(crate) enum Weights {
    Direct(Conv, Shape),
    Winograd(Winograd),
}

impl Weights {
    /// From the shapes of the input, the output and the output's gradient.
    pub fn new(level: Level, input: Shape, dz: Shape, form: Form) -> Self {
        match winograd(level, input, dz, form) {
            Some(kernel) => Self::Winograd(kernel),
            None => Self::Direct(Conv::new(level, input, dz, form), dz),
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
            Self::Winograd(kernel) => kernel.scratch_len(),
        }
    }

    /// Adds the gradient of `images` images to `gathered`.
    pub fn run(&self, x: &[f32], dz: &[f32], images: usize, gathered: &mut [f32], scratch: &mut [f32]) {
        match self {
            Self::Direct(kernel, shape) => kernel.backward_weights(x, dz, shape, images, gathered),
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
