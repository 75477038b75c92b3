//! The epilogues, a vector of channels of a pixel at a time.

use super::{load, store};
use crate::backend::native::simd::Simd;

/// What an epilogue does to the pixels of one vector of channels.
pub(super) trait Finish<S: Simd> {
    /// Before the first pixel of the channels from `channel` on.
    unsafe fn begin(&mut self, channel: usize);
    /// The value to store at `y[at..]`.
    unsafe fn pixel(&mut self, sum: S::V, at: usize) -> S::V;
    /// After the last pixel of the channels from `channel` on.
    unsafe fn end(&mut self, channel: usize);
}

/// `Epilogue::Plain`.
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

/// `Epilogue::Bias`, with (`RESIDUAL`) or without a residual.
pub(super) struct Bias<'a, S: Simd, const RESIDUAL: bool> {
    bias: &'a [f32],
    residual: &'a [f32],
    floor: S::V,
    here: S::V,
}

impl<'a, S: Simd, const RESIDUAL: bool> Bias<'a, S, RESIDUAL> {
    /// # Safety
    /// `bias` has a value for each channel of the output's stride, `residual` is as long as it.
    #[inline(always)]
    pub unsafe fn new(bias: &'a [f32], residual: &'a [f32], relu: bool) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let floor = S::splat(if relu { 0.0 } else { f32::NEG_INFINITY });
            Self { bias, residual, floor, here: S::zero() }
        }
    }
}

impl<S: Simd, const RESIDUAL: bool> Finish<S> for Bias<'_, S, RESIDUAL> {
    #[inline(always)]
    unsafe fn begin(&mut self, channel: usize) {
        // SAFETY: there is a bias for each of the output's channels.
        self.here = unsafe { load::<S>(self.bias, channel) };
    }
    #[inline(always)]
    unsafe fn pixel(&mut self, sum: S::V, at: usize) -> S::V {
        // SAFETY: the residual is as long as the output.
        unsafe {
            let mut sum = S::add(sum, self.here);
            if RESIDUAL {
                sum = S::add(sum, load::<S>(self.residual, at));
            }
            S::max(self.floor, sum)
        }
    }
    #[inline(always)]
    unsafe fn end(&mut self, _: usize) {}
}

/// `Epilogue::Stats`.
pub(super) struct Stats<'a, S: Simd> {
    sums: &'a mut [f32],
    sum: S::V,
    squares: S::V,
}

impl<'a, S: Simd> Stats<'a, S> {
    /// # Safety
    /// `sums` is (2, stride) of the output.
    #[inline(always)]
    pub unsafe fn new(sums: &'a mut [f32]) -> Self {
        // SAFETY: the caller's promise.
        let zero = unsafe { S::zero() };
        Self { sums, sum: zero, squares: zero }
    }
}

impl<S: Simd> Finish<S> for Stats<'_, S> {
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
            for (part, at) in [(self.sum, channel), (self.squares, self.sums.len() / 2 + channel)] {
                store::<S>(self.sums, at, S::add(load::<S>(self.sums, at), part));
            }
        }
    }
}
