//! Vectors of f32: one trait, three instruction sets.
//!
//! A kernel is written once, generic over [`Simd`], as a value that implements [`Kernel`];
//! [`Level::run`] executes it inside a function compiled for the chosen instruction set, into which
//! everything (`inline(always)`) is inlined. The level is found once, by what the processor has;
//! `LOSSREEL_SIMD=portable|avx2|avx512` lowers it, for tests and comparisons.

use std::sync::OnceLock;

use crate::names::named_enum;

named_enum! {
    /// An instruction set that the kernels are compiled for.
    pub enum Level("instruction set") {
        /// Arrays of eight floats that the compiler turns into whatever the target has.
        Portable = "portable",
        /// AVX2 with FMA: vectors of eight.
        Avx2 = "avx2",
        /// AVX-512 (F, VL, BW, DQ): vectors of sixteen.
        Avx512 = "avx512",
    }
}

impl Level {
    /// The best level this processor has, or the one that `LOSSREEL_SIMD` names when the processor
    /// has it (an unknown name or a level it lacks changes nothing).
    pub fn detect() -> Self {
        static FOUND: OnceLock<Level> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let best = Self::best();
            let asked = std::env::var("LOSSREEL_SIMD").ok();
            let known = asked.and_then(|name| name.parse::<Level>().ok());
            known.filter(|level| level.available()).unwrap_or(best)
        })
    }

    /// Whether this processor can execute it.
    pub fn available(self) -> bool {
        self as u8 <= Self::best() as u8
    }

    /// All levels this processor can execute, the plainest first.
    pub fn all() -> impl Iterator<Item = Level> {
        Self::ALL.iter().copied().filter(|level| level.available())
    }

    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            if avx2 && has!("avx512f") && has!("avx512vl") && has!("avx512bw") && has!("avx512dq") {
                return Self::Avx512;
            }
            if avx2 {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Floats in a vector.
    pub fn lanes(self) -> usize {
        if self == Self::Avx512 { 16 } else { 8 }
    }

    /// Executes `kernel` with this level's vectors.
    ///
    /// # Safety
    /// The level is [`Level::available`], and what the kernel's own safety section asks for holds.
    #[inline]
    pub(super) unsafe fn run<K: Kernel>(self, kernel: K) -> K::Out {
        // SAFETY: the caller vouches for the level and for the kernel.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => x86::avx512(kernel),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => x86::avx2(kernel),
                _ => kernel.run::<portable::Portable>(),
            }
        }
    }
}

/// A piece of work that runs with any level's vectors.
pub(super) trait Kernel {
    /// What it returns.
    type Out;

    /// Does the work. Implementations are `#[inline(always)]`, as is all they call.
    ///
    /// # Safety
    /// The processor has `S`'s instruction set; the kernel's own conditions hold.
    unsafe fn run<S: Simd>(self) -> Self::Out;
}

/// A vector of f32 and its arithmetic. All functions need the processor to have the instruction
/// set; those with pointers need `LANES` (or `n`) floats to be readable or writable there,
/// unaligned.
pub(super) trait Simd: Copy + 'static {
    /// The vector.
    type V: Copy;
    /// Floats in it: 8 or 16.
    const LANES: usize;
    /// Vectors of accumulators that fit the registers beside the operands of a tile.
    const ACCUMULATORS: usize;

    /// All zero.
    unsafe fn zero() -> Self::V;
    /// All `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// From memory.
    unsafe fn load(from: *const f32) -> Self::V;
    /// To memory.
    unsafe fn store(to: *mut f32, v: Self::V);
    /// a + b.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// a - b.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// a * b.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a / b.
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// The floats' bits moved up by 23 places: the lowest nine become sign and exponent.
    unsafe fn shift_left_23(v: Self::V) -> Self::V;
    /// The nearest bf16, the even one of two as near, as a float: the lower half of its bits is 0.
    /// A NaN stays a NaN, what is nearer to 2^128 than to the largest bf16 becomes infinite.
    unsafe fn round_bf16(v: Self::V) -> Self::V;
    /// a * b + c, rounded once where the instruction set can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger of a and b; a NaN in b stays a NaN.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// v where `by` > 0 or is a NaN, 0 elsewhere.
    unsafe fn keep_positive(by: Self::V, v: Self::V) -> Self::V;
    /// v where x = best or x is a NaN, 0 elsewhere; and the other way round.
    unsafe fn split_at_best(x: Self::V, best: Self::V, v: Self::V) -> [Self::V; 2];
}

mod portable {
    use super::Simd;

    /// Eight floats in an array.
    #[derive(Clone, Copy)]
    pub struct Portable;

    impl Simd for Portable {
        type V = [f32; 8];
        const LANES: usize = 8;
        const ACCUMULATORS: usize = 6;

        #[inline(always)]
        unsafe fn zero() -> [f32; 8] {
            [0.0; 8]
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> [f32; 8] {
            [x; 8]
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> [f32; 8] {
            // SAFETY: the caller has eight floats there.
            unsafe { from.cast::<[f32; 8]>().read_unaligned() }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: [f32; 8]) {
            // SAFETY: the caller has room for eight floats there.
            unsafe { to.cast::<[f32; 8]>().write_unaligned(v) }
        }
        #[inline(always)]
        unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
            std::array::from_fn(|i| a[i] + b[i])
        }
        #[inline(always)]
        unsafe fn sub(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
            std::array::from_fn(|i| a[i] - b[i])
        }
        #[inline(always)]
        unsafe fn mul(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
            std::array::from_fn(|i| a[i] * b[i])
        }
        #[inline(always)]
        unsafe fn div(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
            std::array::from_fn(|i| a[i] / b[i])
        }
        #[inline(always)]
        unsafe fn shift_left_23(v: [f32; 8]) -> [f32; 8] {
            v.map(|v| f32::from_bits(v.to_bits() << 23))
        }
        #[inline(always)]
        unsafe fn round_bf16(v: [f32; 8]) -> [f32; 8] {
            v.map(|v| {
                let bits = v.to_bits();
                // Half a unit in the last place that stays, or just less where that place is even.
                let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
                let quiet = bits | 0x0040_0000;
                f32::from_bits((if v.is_nan() { quiet } else { nearest }) & 0xffff_0000)
            })
        }
        #[inline(always)]
        unsafe fn fma(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
            // Not f32::mul_add, which is a library call where the target has no instruction.
            std::array::from_fn(|i| a[i] * b[i] + c[i])
        }
        #[inline(always)]
        unsafe fn max(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
            std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
        }
        #[inline(always)]
        unsafe fn keep_positive(by: [f32; 8], v: [f32; 8]) -> [f32; 8] {
            std::array::from_fn(|i| if by[i] <= 0.0 { 0.0 } else { v[i] })
        }
        #[inline(always)]
        unsafe fn split_at_best(x: [f32; 8], best: [f32; 8], v: [f32; 8]) -> [[f32; 8]; 2] {
            let here = |i: usize| x[i] == best[i] || x[i].is_nan();
            let part = |at: bool| std::array::from_fn(|i| if here(i) == at { v[i] } else { 0.0 });
            [part(true), part(false)]
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)] // the trait's conditions are the intrinsics' own
pub(super) mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, Simd};

    /// Sixteen floats in a 512-bit register.
    #[derive(Clone, Copy)]
    pub struct Avx512;

    /// Eight floats in a 256-bit register.
    #[derive(Clone, Copy)]
    pub struct Avx2;

    /// # Safety
    /// The processor has the features; the kernel's conditions hold.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi2")]
    pub unsafe fn avx512<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Avx512>() }
    }

    /// # Safety
    /// The processor has the features; the kernel's conditions hold.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Avx2>() }
    }

    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const ACCUMULATORS: usize = 24;

        #[inline(always)]
        unsafe fn zero() -> __m512 {
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m512) {
            unsafe { _mm512_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn shift_left_23(v: __m512) -> __m512 {
            unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(v))) }
        }
        #[inline(always)]
        unsafe fn round_bf16(v: __m512) -> __m512 {
            unsafe {
                let bits = _mm512_castps_si512(v);
                let last = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
                let half = _mm512_add_epi32(last, _mm512_set1_epi32(0x7fff));
                let nearest = _mm512_add_epi32(bits, half);
                let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
                let quiet = _mm512_set1_epi32(0x0040_0000);
                let rounded = _mm512_mask_or_epi32(nearest, nan, bits, quiet);
                let high = _mm512_set1_epi32(0xffff_0000u32 as i32);
                _mm512_castsi512_ps(_mm512_and_si512(rounded, high))
            }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn keep_positive(by: __m512, v: __m512) -> __m512 {
            unsafe {
                let keep = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(by, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(keep, v)
            }
        }
        #[inline(always)]
        unsafe fn split_at_best(x: __m512, best: __m512, v: __m512) -> [__m512; 2] {
            unsafe {
                let here = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(x, best)
                    | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x);
                [_mm512_maskz_mov_ps(here, v), _mm512_maskz_mov_ps(!here, v)]
            }
        }
    }

    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const ACCUMULATORS: usize = 12;

        #[inline(always)]
        unsafe fn zero() -> __m256 {
            unsafe { _mm256_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m256 {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, v: __m256) {
            unsafe { _mm256_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn shift_left_23(v: __m256) -> __m256 {
            unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(v))) }
        }
        #[inline(always)]
        unsafe fn round_bf16(v: __m256) -> __m256 {
            unsafe {
                let bits = _mm256_castps_si256(v);
                let last = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
                let half = _mm256_add_epi32(last, _mm256_set1_epi32(0x7fff));
                let nearest = _mm256_castsi256_ps(_mm256_add_epi32(bits, half));
                let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
                let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(v, v);
                let rounded = _mm256_blendv_ps(nearest, _mm256_castsi256_ps(quiet), nan);
                let high = _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000u32 as i32));
                _mm256_and_ps(rounded, high)
            }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn keep_positive(by: __m256, v: __m256) -> __m256 {
            unsafe {
                let keep = _mm256_cmp_ps::<_CMP_NLE_UQ>(by, _mm256_setzero_ps());
                _mm256_and_ps(keep, v)
            }
        }
        #[inline(always)]
        unsafe fn split_at_best(x: __m256, best: __m256, v: __m256) -> [__m256; 2] {
            unsafe {
                let equal = _mm256_cmp_ps::<_CMP_EQ_OQ>(x, best);
                let here = _mm256_or_ps(equal, _mm256_cmp_ps::<_CMP_UNORD_Q>(x, x));
                [_mm256_and_ps(here, v), _mm256_andnot_ps(here, v)]
            }
        }
    }
}
