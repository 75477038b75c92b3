//! Elementary functions of vectors, as polynomials in f32; a NaN stays a NaN.

use crate::backend::native::simd::Simd;

/// exp(x), relative error below 2e-7; 1.2e-38 below -87.3, 2.4e38 above 88.3.
///
/// # Safety
/// The processor has `S`'s instruction set.
#[inline(always)]
pub(super) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: arithmetic alone.
    unsafe {
        let x = S::max(S::splat(-87.3), x);
        // min(x, 88.3)
        let x = S::sub(S::zero(), S::max(S::splat(-88.3), S::sub(S::zero(), x)));
        // x = n ln 2 + r. Added to 1.5 * 2^23 a number of this size is rounded to an integer, which
        // is then in the lowest bits; with the exponent's bias there, 23 places further up they
        // are the bits of 2^n.
        let big = S::splat(12_582_912.0 + 127.0);
        let t = S::fma(x, S::splat(std::f32::consts::LOG2_E), big);
        let n = S::sub(t, big);
        // ln 2 in two parts, the first short enough that its product with n is exact.
        let r = S::fma(n, S::splat(-0.693_359_4), x);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        // exp(r) on |r| <= ln 2 / 2: the series to r^7 / 7!, whose rest is below 6e-9.
        let mut p = S::splat(1.0 / 5040.0);
        for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            p = S::fma(p, r, S::splat(c));
        }
        S::mul(p, S::shift_left_23(t))
    }
}

/// 1 / (1 + exp(-x)).
///
/// # Safety
/// The processor has `S`'s instruction set.
#[inline(always)]
pub(super) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: arithmetic alone.
    unsafe {
        let one = S::splat(1.0);
        S::div(one, S::add(one, exp::<S>(S::sub(S::zero(), x))))
    }
}

/// tanh(x).
///
/// # Safety
/// The processor has `S`'s instruction set.
#[inline(always)]
pub(super) unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: arithmetic alone.
    unsafe {
        let (one, edge) = (S::splat(1.0), S::splat(0.625));
        let minus = |v| S::sub(S::zero(), v);
        // Near 0, where 1 - 2 / (exp(2 x) + 1) would cancel: Cephes' polynomial (Moshier 1989).
        let near = S::max(minus(edge), minus(S::max(minus(edge), minus(x))));
        let z = S::mul(near, near);
        let mut p = S::splat(-5.704_988_7e-3);
        for c in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
            p = S::fma(p, z, S::splat(c));
        }
        let near = S::fma(S::mul(p, z), near, near);
        let e = exp::<S>(S::add(x, x));
        let far = S::sub(one, S::div(S::splat(2.0), S::add(e, one)));
        let size = S::max(minus(x), x);
        S::add(near, S::keep_positive(S::sub(size, edge), S::sub(far, near)))
    }
}

/// The normal distribution function and density at x.
///
/// # Safety
/// The processor has `S`'s instruction set.
#[inline(always)]
pub(super) unsafe fn normal<S: Simd>(x: S::V) -> [S::V; 2] {
    // SAFETY: arithmetic alone.
    unsafe {
        let one = S::splat(1.0);
        // |x|; of a NaN a NaN.
        let a = S::max(S::sub(S::zero(), x), x);
        let e = exp::<S>(S::mul(S::mul(a, a), S::splat(-0.5)));
        // Phi(-a) = exp(-a^2 / 2) / 2 * t Q(t), t = 1 / (1 + 0.26 a): Q fitted to erfcx (minimax,
        // relative error 3e-8 for a up to 14), so that the tail keeps its digits.
        let t = S::div(one, S::fma(a, S::splat(0.26), one));
        let mut q = S::zero();
        for c in Q {
            q = S::fma(q, t, S::splat(c));
        }
        let tail = S::mul(S::mul(q, t), S::mul(e, S::splat(0.5)));
        // 1 - tail for x > 0.
        let above = S::sub(S::sub(one, tail), tail);
        let cdf = S::add(tail, S::keep_positive(x, above));
        [cdf, S::mul(e, S::splat(0.398_942_3))]
    }
}

/// The polynomial of [`normal`], the highest power first.
const Q: [f32; 9] = [
    0.061_009_634,
    -0.305_657_06,
    0.502_981_5,
    -0.301_896_8,
    0.321_895_03,
    0.102_055_62,
    0.206_060_45,
    0.206_033_51,
    0.207_518_12,
];

/// The sum of a vector's floats.
///
/// # Safety
/// The processor has `S`'s instruction set.
#[inline(always)]
pub(super) unsafe fn total<S: Simd>(v: S::V) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { fold::<S>(v, |a, b| a + b) }
}

/// The largest of a vector's floats.
///
/// # Safety
/// The processor has `S`'s instruction set.
#[inline(always)]
pub(super) unsafe fn largest<S: Simd>(v: S::V) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { fold::<S>(v, f32::max) }
}

#[inline(always)]
unsafe fn fold<S: Simd>(v: S::V, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; 16];
    // SAFETY: no vector has more than 16 floats.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    // Halves onto each other: few steps that wait for one another.
    let mut half = S::LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::native::simd::{Kernel, Level};

    /// f of 16 floats.
    struct Map<'a>(Function, &'a [f32; 16]);

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Sigmoid,
        Tanh,
        Cdf,
        Density,
    }

    impl Kernel for Map<'_> {
        type Out = [f32; 16];

        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> [f32; 16] {
            let mut out = [0.0; 16];
            // SAFETY: vectors of 8 or 16 inside arrays of 16.
            unsafe {
                for at in (0..16).step_by(S::LANES) {
                    let x = S::load(self.1.as_ptr().add(at));
                    let y = match self.0 {
                        Function::Exp => exp::<S>(x),
                        Function::Sigmoid => sigmoid::<S>(x),
                        Function::Tanh => tanh::<S>(x),
                        Function::Cdf => normal::<S>(x)[0],
                        Function::Density => normal::<S>(x)[1],
                    };
                    S::store(out.as_mut_ptr().add(at), y);
                }
            }
            out
        }
    }

    /// The largest relative error of `f` over `from..=to` at `level`.
    fn worst(level: Level, f: Function, [from, to]: [f32; 2], exact: impl Fn(f64) -> f64) -> f64 {
        let steps = 40_000;
        let mut worst = 0f64;
        for chunk in 0..steps / 16 {
            let x = std::array::from_fn(|i| {
                from + (to - from) * (chunk * 16 + i) as f32 / (steps - 1) as f32
            });
            // SAFETY: the level is available.
            let y = unsafe { level.run(Map(f, &x)) };
            for (x, y) in x.iter().zip(y) {
                let want = exact(f64::from(*x));
                worst = worst.max(((f64::from(y) - want) / want).abs());
            }
        }
        worst
    }

    #[test]
    fn elementary_functions_agree_with_f64() {
        let cdf = |x: f64| 0.5 * candle_core::cpu::erf::erf_f64(x / 2f64.sqrt()) + 0.5;
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        for level in Level::all() {
            let exp = worst(level, Function::Exp, [-87.0, 88.0], f64::exp);
            // The polynomial's last roundings, 1.5 ulp and what the missing FMA adds.
            assert!(exp < 3e-7, "{level}: exp {exp:e}");
            let sigmoid =
                worst(level, Function::Sigmoid, [-80.0, 80.0], |x| 1.0 / (1.0 + (-x).exp()));
            assert!(sigmoid < 4e-7, "{level}: sigmoid {sigmoid:e}");
            let tanh = worst(level, Function::Tanh, [-9.0, 9.0], f64::tanh);
            assert!(tanh < 4e-7, "{level}: tanh {tanh:e}");
            // The exponential's rounding, the polynomial's, and those of x^2 / 2 before it is
            // exponentiated, up to 4.5 of them at 3.
            for (range, tolerance) in [([-1.0, 6.0], 5e-7), ([-3.0, -1.0], 8e-7)] {
                let off = worst(level, Function::Cdf, range, cdf);
                assert!(off < tolerance, "{level}: cdf on {range:?} {off:e}");
            }
            let off = worst(level, Function::Density, [-3.0, 3.0], density);
            assert!(off < 8e-7, "{level}: density {off:e}");
        }
    }

    #[test]
    fn extremes_and_nan_go_through_elementary_functions() {
        for level in Level::all() {
            let mut x = [0.0; 16];
            x[..4].copy_from_slice(&[f32::NEG_INFINITY, -1000.0, 1000.0, f32::NAN]);
            let run = |f| {
                // SAFETY: the level is available.
                unsafe { level.run(Map(f, &x)) }
            };
            let exp = run(Function::Exp);
            assert!(exp[0] < 2e-38 && exp[1] < 2e-38 && exp[2] > 1e38 && exp[3].is_nan());
            let cdf = run(Function::Cdf);
            assert!(cdf[0] < 1e-30 && cdf[1] < 1e-30 && cdf[2] == 1.0 && cdf[3].is_nan());
            assert!(run(Function::Sigmoid)[3].is_nan());
        }
    }
}
