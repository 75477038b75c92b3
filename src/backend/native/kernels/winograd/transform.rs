//! The one-dimensional transforms of F(2,3), F(4,3) and F(2,5) on vectors of channels.
//!
//! The interpolation points are 0, 1, -1, infinity for F(2,3), and for the other two those of
//! [`Points`]. A, B, G are the matrices of Lavin and Gray (arXiv:1509.09308). A two-dimensional
//! transform applies them to the columns, then to the rows. `A` is the side of a transformed tile,
//! 4 or 6: the `M` outputs and `R` - 1 more for a kernel of `R`. B follows from the points alone,
//! so that F(4,3) and F(2,5) share it.

use crate::backend::native::simd::Simd;

/// The finite points of six beside 0: two of either sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Points {
    near: f32,
    far: f32,
}

impl Points {
    /// Lavin and Gray's points: most factors are 1, 2 or 4.
    pub const PLAIN: Self = Self { near: 1.0, far: 2.0 };

    /// Where the numbers of the transform domain are rounded to bf16, these halve the error of the
    /// outputs of F(4,3), 1.1 % of them for uncorrelated numbers where the plain ones leave 2.5 %. Found by
    /// trying: any near 2/3 and 3/2 are as good (Barabasz et al., arXiv:1803.10986, on why), of
    /// which these have squares without rounding.
    pub const BALANCED: Self = Self { near: 0.625, far: 1.5 };
}

/// The rows of B^T that share their terms: the pair's two rows are worked out together.
#[inline(always)]
pub(super) const fn input_rows<const A: usize>(pair: usize) -> [usize; 2] {
    match pair {
        0 => [1, 2],
        1 if A == 6 => [3, 4],
        _ => [0, A - 1],
    }
}

/// Two rows, [`input_rows`], of B^T d.
///
/// # Safety
/// As all of [`Simd`]: the processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn input_pair<S: Simd, const A: usize>(
    points: Points,
    pair: usize,
    d: &[S::V; A],
) -> [S::V; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        if A == 4 {
            return match pair {
                0 => [S::add(d[1], d[2]), S::sub(d[2], d[1])],
                _ => [S::sub(d[0], d[2]), S::sub(d[1], d[3])],
            };
        }
        let Points { near, far } = points;
        let (minus_near_2, minus_far_2) = (S::splat(-near * near), S::splat(-far * far));
        let (even, odd) = (S::fma(minus_near_2, d[2], d[4]), S::fma(minus_near_2, d[1], d[3]));
        match pair {
            0 => {
                let even = S::fma(minus_far_2, d[2], d[4]);
                let odd = S::fma(minus_far_2, d[1], d[3]);
                [S::fma(S::splat(near), odd, even), S::fma(S::splat(-near), odd, even)]
            }
            1 => [S::fma(S::splat(far), odd, even), S::fma(S::splat(-far), odd, even)],
            _ => [
                S::fma(minus_far_2, S::fma(minus_near_2, d[0], d[2]), even),
                S::fma(minus_far_2, odd, S::fma(minus_near_2, d[3], d[5])),
            ],
        }
    }
}

/// B^T d.
///
/// # Safety
/// As all of [`Simd`]: the processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn input<S: Simd, const A: usize>(points: Points, d: &[S::V; A]) -> [S::V; A] {
    let mut out = *d;
    let mut pair = 0;
    while pair < A / 2 {
        let [first, second] = input_rows::<A>(pair);
        // SAFETY: the caller's promise.
        [out[first], out[second]] = unsafe { input_pair::<S, A>(points, pair, d) };
        pair += 1;
    }
    out
}

/// A^T m: the outputs of a transformed line.
///
/// # Safety
/// As all of [`Simd`]: the processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn output<S: Simd, const M: usize, const A: usize>(
    points: Points,
    m: &[S::V; A],
) -> [S::V; M] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut out = [S::zero(); M];
        let (even, odd) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        if A == 4 {
            out[0] = S::add(m[0], even);
            out[1] = S::sub(odd, m[3]);
        } else {
            let (even_2, odd_2) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
            out[0] = S::add(S::add(m[0], even), even_2);
            // A factor of 1 costs nothing: the compiler knows it.
            let Points { near: a, far: b } = points;
            let line = |a: f32, x, b: f32, y| S::fma(S::splat(b), y, S::mul(S::splat(a), x));
            out[1] = line(a, odd, b, odd_2);
            if M == 4 {
                out[2] = line(a * a, even, b * b, even_2);
                out[3] = line(a * a * a, odd, b * b * b, odd_2);
            }
            out[M - 1] = S::add(out[M - 1], m[5]);
        }
        out
    }
}

/// A y: the transpose of [`output`] at the plain points, which gradients take.
///
/// # Safety
/// As all of [`Simd`]: the processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn output_transposed<S: Simd, const M: usize, const A: usize>(
    y: &[S::V; M],
) -> [S::V; A] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut out = [S::zero(); A];
        out[0] = y[0];
        if A == 4 {
            out[1] = S::add(y[0], y[1]);
            out[2] = S::sub(y[0], y[1]);
            out[3] = S::sub(S::zero(), y[1]);
        } else {
            let ([mut even, mut odd], [mut even_2, mut odd_2]) = ([y[0], y[1]], [y[0], y[1]]);
            if M == 4 {
                (even, odd) = (S::add(y[0], y[2]), S::add(y[1], y[3]));
                even_2 = S::fma(S::splat(4.0), y[2], y[0]);
                odd_2 = S::fma(S::splat(4.0), y[3], y[1]);
            }
            out[1] = S::add(even, odd);
            out[2] = S::sub(even, odd);
            out[3] = S::fma(S::splat(2.0), odd_2, even_2);
            out[4] = S::fma(S::splat(-2.0), odd_2, even_2);
            out[5] = y[M - 1];
        }
        out
    }
}

/// G g: a line of the kernel.
///
/// # Safety
/// As all of [`Simd`]: the processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn kernel<S: Simd, const R: usize, const A: usize>(
    points: Points,
    g: &[S::V; R],
) -> [S::V; A] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut out = [S::zero(); A];
        out[A - 1] = g[R - 1];
        if A == 4 {
            let ends = S::add(g[0], g[2]);
            out[0] = g[0];
            out[1] = S::mul(S::splat(0.5), S::add(ends, g[1]));
            out[2] = S::mul(S::splat(0.5), S::sub(ends, g[1]));
        } else {
            let Points { near, far } = points;
            let [near_2, far_2] = [near * near, far * far];
            // The kernel's polynomial at a point of either sign, by its even and its odd part.
            let pair = |point: f32| {
                let square = S::splat(point * point);
                let (mut even, mut odd) = (g[2], g[1]);
                if R == 5 {
                    even = S::fma(square, g[4], even);
                    odd = S::fma(square, g[3], odd);
                }
                let even = S::fma(square, even, g[0]);
                [S::fma(S::splat(point), odd, even), S::fma(S::splat(-point), odd, even)]
            };
            let near_factor = S::splat(1.0 / (2.0 * near_2 * (near_2 - far_2)));
            let far_factor = S::splat(1.0 / (2.0 * far_2 * (far_2 - near_2)));
            out[0] = S::mul(S::splat(1.0 / (near_2 * far_2)), g[0]);
            [out[1], out[2]] = pair(near).map(|v| S::mul(near_factor, v));
            [out[3], out[4]] = pair(far).map(|v| S::mul(far_factor, v));
        }
        out
    }
}

/// G^T u: the transpose of [`kernel`] at the plain points, which takes a gradient back to the
/// kernel's line.
///
/// # Safety
/// As all of [`Simd`]: the processor has the instruction set.
#[inline(always)]
pub(super) unsafe fn kernel_transposed<S: Simd, const R: usize, const A: usize>(
    u: &[S::V; A],
) -> [S::V; R] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut out = [S::zero(); R];
        let (even, odd) = (S::add(u[1], u[2]), S::sub(u[1], u[2]));
        if A == 4 {
            let half = S::splat(0.5);
            out[0] = S::fma(half, even, u[0]);
            out[1] = S::mul(half, odd);
            out[2] = S::fma(half, even, u[3]);
            return out;
        }
        let (even_2, odd_2) = (S::add(u[3], u[4]), S::sub(u[3], u[4]));
        let sixth = S::splat(1.0 / 6.0);
        let ends = S::fma(S::splat(0.25), even_2, S::sub(S::zero(), even));
        out[0] = S::fma(sixth, ends, S::mul(S::splat(0.25), u[0]));
        out[1] = S::mul(sixth, S::fma(S::splat(0.5), odd_2, S::sub(S::zero(), odd)));
        out[2] = S::mul(sixth, S::sub(even_2, even));
        if R == 5 {
            out[3] = S::mul(sixth, S::fma(S::splat(2.0), odd_2, S::sub(S::zero(), odd)));
            out[4] = S::mul(sixth, S::fma(S::splat(4.0), even_2, S::sub(S::zero(), even)));
        }
        out[R - 1] = S::add(out[R - 1], u[5]);
        out
    }
}
