//! The inner loops. Everything above hands them slices; `unsafe` stays in here.

#![allow(clippy::needless_range_loop)] // tiles of registers are indexed along both sides

pub(super) mod activation;
pub(super) mod attention;
mod conv;
mod convolution;
pub(super) mod depthwise;
mod join;
pub(super) mod layer_norm;
mod math;
pub(super) mod max_pool;
pub(super) mod plain;
mod product;
pub(super) mod tangent;
pub(super) mod tokens;
mod winograd;

pub(super) use conv::ConvForm;
pub use convolution::Algorithm;
pub(super) use convolution::{ConvDataGradient, ConvForward, ConvWeightGradient, Geometry};
pub(super) use join::{Reduction, Tensor, Term, affine_backward, join, join_backward, moments};
pub(super) use plain::Window;

/// Who computes what a kernel is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// The thread that calls.
    One,
    /// All threads of the pool, which share the output channels. Nothing may be locked meanwhile that
    /// another thread of the pool waits for.
    All,
}

/// What happens to a convolution's sums on their way to memory.
#[derive(Debug)]
pub(super) enum Epilogue<'a> {
    /// They are stored.
    Plain,
    /// `act(sum + bias + residual)` is stored; `bias` is (stride,) with zeros behind the channels.
    Bias {
        /// (stride,).
        bias: &'a [f32],
        /// As the output in shape and number of images.
        residual: Option<&'a [f32]>,
        /// Whether negative values become 0.
        relu: bool,
    },
    /// They are stored, and their sum and their sum of squares over all pixels and images are added
    /// to `sums`, (2, stride).
    Stats {
        /// (2, stride).
        sums: &'a mut [f32],
    },
}
