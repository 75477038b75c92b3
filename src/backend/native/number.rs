//! How the numbers that a kernel multiplies are kept: as f32, or rounded to bf16.
//!
//! bf16 is the upper half of an f32: its range, eight bits of precision. Values are rounded to the
//! nearest, ties to the even one; their products are exact in f32 and are summed in f32. A
//! processor with AVX512-BF16 multiplies and adds two pairs in the place of one f32 ([`Pairs`]),
//! for which two neighbouring channels share a word of 32 bits. The others get the same rounding,
//! kept in f32 ([`Rounded`]): the same numbers, no gain. Sums are then added in another order, so
//! that the two agree as two levels do, not to the byte.

use super::simd::{Kernel, Level, Simd};
use crate::backend::Precision;

/// The numbers of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// f32.
    F32,
    /// Values of bf16 in f32.
    Rounded,
    /// Pairs of bf16, for AVX-512 with the instruction for them.
    Pairs,
}

impl Numbers {
    /// bf16 as this processor does it best at `level`.
    pub fn bf16(level: Level) -> Self {
        if level == Level::Avx512 && has_instruction() { Self::Pairs } else { Self::Rounded }
    }

    /// Whether this processor can execute kernels with them at `level`.
    pub fn available(self, level: Level) -> bool {
        let instruction = || level == Level::Avx512 && has_instruction();
        level.available() && (self != Self::Pairs || instruction())
    }

    /// What they are, however they are kept.
    pub fn precision(self) -> Precision {
        if self == Self::F32 { Precision::F32 } else { Precision::Bf16 }
    }

    /// Numbers in a word of 32 bits.
    pub fn per_word(self) -> usize {
        if self == Self::Pairs { 2 } else { 1 }
    }

    /// Executes `kernel` with these numbers and `level`'s vectors.
    ///
    /// # Safety
    /// They are [`Numbers::available`], and what the kernel's own safety section asks for holds.
    #[inline]
    pub unsafe fn run<K: NumberKernel>(self, level: Level, kernel: K) -> K::Out {
        // SAFETY: the caller vouches for the level, the instruction and the kernel.
        unsafe {
            match self {
                Self::F32 => level.run(InF32(kernel)),
                #[cfg(target_arch = "x86_64")]
                Self::Pairs => pairs::run(kernel),
                _ => level.run(InRounded(kernel)),
            }
        }
    }
}

/// Whether this processor multiplies pairs of bf16.
pub(super) fn has_instruction() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512bf16") && Level::Avx512.available()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// A piece of work that runs with any numbers and any level's vectors.
pub(super) trait NumberKernel {
    /// What it returns.
    type Out;

    /// Does the work. Implementations are `#[inline(always)]`, as is all they call.
    ///
    /// # Safety
    /// The processor has the instruction sets of `S` and `N`; the kernel's own conditions hold.
    unsafe fn run<S: Simd, N: Number<S>>(self) -> Self::Out;
}

/// Numbers in words of 32 bits, handled as the bits of f32. All functions need the processor to
/// have the instruction set.
pub(super) trait Number<S: Simd> {
    /// Numbers in a word.
    const PER_WORD: usize;
    /// Whether they are f32 as they come.
    const EXACT: bool;

    /// Writes a vector of `S::LANES` numbers to as many divided by `PER_WORD` words at `to`.
    unsafe fn store(to: *mut f32, v: S::V);
    /// Words of the numbers of `low`, and in the same words those of `high` where a word holds two.
    unsafe fn words(low: S::V, high: S::V) -> S::V;
    /// sum + the products of the words' numbers.
    unsafe fn multiply_add(a: S::V, b: S::V, sum: S::V) -> S::V;
}

/// f32 as it is.
pub(super) struct F32;

impl<S: Simd> Number<S> for F32 {
    const PER_WORD: usize = 1;
    const EXACT: bool = true;

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: S::V) {
        // SAFETY: the caller's promise. So below.
        unsafe { S::store(to, v) }
    }
    #[inline(always)]
    unsafe fn words(low: S::V, _: S::V) -> S::V {
        low
    }
    #[inline(always)]
    unsafe fn multiply_add(a: S::V, b: S::V, sum: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { S::fma(a, b, sum) }
    }
}

/// Values of bf16, kept in f32.
pub(super) struct Rounded;

impl<S: Simd> Number<S> for Rounded {
    const PER_WORD: usize = 1;
    const EXACT: bool = false;

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: S::V) {
        // SAFETY: the caller's promise. So below.
        unsafe { S::store(to, S::round_bf16(v)) }
    }
    #[inline(always)]
    unsafe fn words(low: S::V, _: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { S::round_bf16(low) }
    }
    #[inline(always)]
    unsafe fn multiply_add(a: S::V, b: S::V, sum: S::V) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { S::fma(a, b, sum) }
    }
}

struct InF32<K>(K);

impl<K: NumberKernel> Kernel for InF32<K> {
    type Out = K::Out;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> K::Out {
        // SAFETY: the caller's promise.
        unsafe { self.0.run::<S, F32>() }
    }
}

struct InRounded<K>(K);

impl<K: NumberKernel> Kernel for InRounded<K> {
    type Out = K::Out;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> K::Out {
        // SAFETY: the caller's promise.
        unsafe { self.0.run::<S, Rounded>() }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)] // the trait's conditions are the intrinsics' own
mod pairs {
    use std::arch::x86_64::*;
    use std::mem::transmute;

    use super::super::simd::x86::Avx512;
    use super::{Number, NumberKernel};
    use crate::backend::native::simd::Simd;

    /// Two bf16 a word, the first in its lower half.
    pub struct Pairs;

    /// # Safety
    /// The processor has the features; the kernel's conditions hold.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma,bmi2")]
    pub unsafe fn run<K: NumberKernel>(kernel: K) -> K::Out {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Avx512, Pairs>() }
    }

    impl Number<Avx512> for Pairs {
        const PER_WORD: usize = 2;
        const EXACT: bool = false;

        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m512) {
            unsafe {
                let narrow: __m256i = transmute(_mm512_cvtneps_pbh(v));
                _mm256_storeu_si256(to.cast(), narrow);
            }
        }
        #[inline(always)]
        unsafe fn words(low: __m512, high: __m512) -> __m512 {
            unsafe {
                let low = _mm512_castps_si512(Avx512::round_bf16(low));
                let high = _mm512_castps_si512(Avx512::round_bf16(high));
                _mm512_castsi512_ps(_mm512_or_si512(_mm512_srli_epi32::<16>(low), high))
            }
        }
        #[inline(always)]
        unsafe fn multiply_add(a: __m512, b: __m512, sum: __m512) -> __m512 {
            unsafe {
                let (a, b) = (transmute::<__m512, __m512bh>(a), transmute::<__m512, __m512bh>(b));
                _mm512_dpbf16_ps(sum, a, b)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors through `N::store` and back to floats, sixteen values at a time.
    struct Stored<'a>(&'a [f32], &'a mut Vec<f32>);

    impl NumberKernel for Stored<'_> {
        type Out = ();

        #[inline(always)]
        unsafe fn run<S: Simd, N: Number<S>>(self) {
            for values in self.0.chunks_exact(S::LANES) {
                let mut words = [0.0f32; 16];
                // SAFETY: a chunk is a vector long, and `words` is as wide as the widest.
                unsafe { N::store(words.as_mut_ptr(), S::load(values.as_ptr())) };
                let words = words.iter().take(S::LANES / N::PER_WORD).map(|w| w.to_bits());
                self.1.extend(words.flat_map(|w| match N::PER_WORD {
                    1 => vec![f32::from_bits(w)],
                    _ => vec![f32::from_bits(w << 16), f32::from_bits(w & 0xffff_0000)],
                }));
            }
        }
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest_bf16_ties_to_even() {
        let bits = f32::from_bits;
        let cases: &[(f32, f32)] = &[
            (1.0, 1.0),
            (-0.0, -0.0),
            // Halfway between 1 and 1 + 2^-7: the even one; a little more: up; likewise above.
            (bits(0x3f80_8000), 1.0),
            (bits(0x3f80_8001), bits(0x3f81_0000)),
            (bits(0x3f81_8000), bits(0x3f82_0000)),
            (bits(0x3f81_7fff), bits(0x3f81_0000)),
            (bits(0xbf81_8000), bits(0xbf82_0000)),
            // Up into the next binade, and over the largest.
            (bits(0x3fff_8000), 2.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
            (3.0e38, bits(0x7f62_0000)),
        ];
        let mut given: Vec<f32> = cases.iter().map(|c| c.0).collect();
        given.extend([f32::NAN, bits(0x7f80_0001), bits(0xffff_ffff)]);
        given.resize(32, 0.5);
        for level in Level::all() {
            for numbers in [Numbers::Rounded, Numbers::Pairs] {
                if !numbers.available(level) {
                    continue;
                }
                let mut found = Vec::new();
                // SAFETY: they are available.
                unsafe { numbers.run(level, Stored(&given, &mut found)) };
                for ((x, want), got) in cases.iter().zip(&found) {
                    assert_eq!(got.to_bits(), want.to_bits(), "{x:e} at {level}: {got:e}");
                }
                assert!(found[cases.len()..][..3].iter().all(|v| v.is_nan()), "{level}: {found:?}");
                assert_eq!(found[31], 0.5);
            }
        }
    }
}
