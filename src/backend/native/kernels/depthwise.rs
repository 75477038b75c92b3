//! Convolutions of each channel by itself, over one image: the channels of a pixel are a vector, and a
//! window is a sum of such vectors, each times the kernel's row of that tap.

use super::plain::{Window, clear};
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::{Kernel, Level, Simd};

/// A feature map, its shape.
type FeatureMap<'a> = (&'a [f32], &'a Shape);

fn check(window: Window, x: (usize, &Shape), y: (usize, &Shape), taps: usize) {
    let ((x_len, xs), (y_len, ys)) = (x, y);
    let side = |n: usize| (n + 2 * window.padding - window.kernel) / window.stride + 1;
    assert!((xs.c, xs.stride) == (ys.c, ys.stride), "each channel has its own kernel");
    assert!(ys.h == side(xs.h) && ys.w == side(xs.w), "feature maps of two sizes");
    assert!(x_len >= xs.len() && y_len >= ys.len());
    assert_eq!(taps, window.kernel * window.kernel * xs.stride);
}

/// The taps of output pixel (`oy`, `ox`) that lie in a feature map of `h` x `w`: the tap's place in the
/// kernel and the input pixel.
#[inline(always)]
fn taps(
    window: Window,
    (oy, ox): (usize, usize),
    (h, w): (usize, usize),
) -> impl Iterator<Item = (usize, usize, usize)> {
    let along = move |at: usize, side: usize| {
        (0..window.kernel).filter_map(move |k| {
            let place = (at * window.stride + k).checked_sub(window.padding)?;
            (place < side).then_some((k, place))
        })
    };
    along(oy, h)
        .flat_map(move |(ky, y)| along(ox, w).map(move |(kx, x)| (ky * window.kernel + kx, y, x)))
}

/// y = bias + the sum over a window's taps of weight x; `weight` is (taps, stride), `bias` (stride,) or
/// empty for none.
pub(crate) fn forward(
    level: Level,
    window: Window,
    [weight, bias]: [&[f32]; 2],
    x: FeatureMap,
    (y, ys): (&mut [f32], &Shape),
) {
    check(window, (x.0.len(), x.1), (y.len(), ys), weight.len());
    assert!(bias.is_empty() || bias.len() == ys.stride);
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(Forward { window, weight, bias, x, y, ys }) }
}

/// The gradient to x.
pub(crate) fn backward(
    level: Level,
    window: Window,
    weight: &[f32],
    dy: FeatureMap,
    (dx, dxs): (&mut [f32], &Shape),
) {
    check(window, (dx.len(), dxs), (dy.0.len(), dy.1), weight.len());
    clear(dx, dxs);
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(Backward { window, weight, dy, dx, dxs }) }
}

/// dweight += the sum over pixels of dy x, (taps, stride); dbias += the sum of dy, (stride,) or empty.
pub(crate) fn gradient(
    level: Level,
    window: Window,
    x: FeatureMap,
    dy: FeatureMap,
    [dweight, dbias]: [&mut [f32]; 2],
) {
    check(window, (x.0.len(), x.1), (dy.0.len(), dy.1), dweight.len());
    assert!(dbias.is_empty() || dbias.len() == dy.1.stride);
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(Gradient { window, x, dy, dweight, dbias }) }
}

struct Forward<'a> {
    window: Window,
    weight: &'a [f32],
    bias: &'a [f32],
    x: FeatureMap<'a>,
    y: &'a mut [f32],
    ys: &'a Shape,
}

impl Kernel for Forward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { window, weight, bias, x: (x, xs), y, ys } = self;
        for (oy, ox) in super::plain::pixels(ys.h, ys.w) {
            let to = ys.at(oy as isize, ox as isize);
            for c in (0..ys.stride).step_by(S::LANES) {
                // SAFETY: every tap is a pixel of x, every vector lies inside the stride.
                unsafe {
                    let mut sum =
                        if bias.is_empty() { S::zero() } else { S::load(bias.as_ptr().add(c)) };
                    for (tap, iy, ix) in taps(window, (oy, ox), (xs.h, xs.w)) {
                        let w = S::load(weight.as_ptr().add(tap * ys.stride + c));
                        let from = xs.at(iy as isize, ix as isize) + c;
                        sum = S::fma(w, S::load(x.as_ptr().add(from)), sum);
                    }
                    S::store(y.as_mut_ptr().add(to + c), sum);
                }
            }
        }
    }
}

struct Backward<'a> {
    window: Window,
    weight: &'a [f32],
    dy: FeatureMap<'a>,
    dx: &'a mut [f32],
    dxs: &'a Shape,
}

impl Kernel for Backward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { window, weight, dy: (dy, dys), dx, dxs } = self;
        for (oy, ox) in super::plain::pixels(dys.h, dys.w) {
            let from = dys.at(oy as isize, ox as isize);
            for (tap, iy, ix) in taps(window, (oy, ox), (dxs.h, dxs.w)) {
                let to = dxs.at(iy as isize, ix as isize);
                for c in (0..dxs.stride).step_by(S::LANES) {
                    // SAFETY: every tap is a pixel of dx, every vector lies inside the stride.
                    unsafe {
                        let g = S::load(dy.as_ptr().add(from + c));
                        let w = S::load(weight.as_ptr().add(tap * dxs.stride + c));
                        let to = dx.as_mut_ptr().add(to + c);
                        S::store(to, S::fma(w, g, S::load(to)));
                    }
                }
            }
        }
    }
}

struct Gradient<'a> {
    window: Window,
    x: FeatureMap<'a>,
    dy: FeatureMap<'a>,
    dweight: &'a mut [f32],
    dbias: &'a mut [f32],
}

impl Kernel for Gradient<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { window, x: (x, xs), dy: (dy, dys), dweight, dbias } = self;
        for (oy, ox) in super::plain::pixels(dys.h, dys.w) {
            let at = dys.at(oy as isize, ox as isize);
            for (tap, iy, ix) in taps(window, (oy, ox), (xs.h, xs.w)) {
                let from = xs.at(iy as isize, ix as isize);
                for c in (0..xs.stride).step_by(S::LANES) {
                    // SAFETY: every tap is a pixel of x, every vector lies inside the stride.
                    unsafe {
                        let g = S::load(dy.as_ptr().add(at + c));
                        let sum = dweight.as_mut_ptr().add(tap * xs.stride + c);
                        let v = S::load(x.as_ptr().add(from + c));
                        S::store(sum, S::fma(g, v, S::load(sum)));
                    }
                }
            }
            if !dbias.is_empty() {
                for c in (0..dys.stride).step_by(S::LANES) {
                    // SAFETY: dbias is (stride,), the pixel lies inside dy.
                    unsafe {
                        let sum = dbias.as_mut_ptr().add(c);
                        S::store(sum, S::add(S::load(dy.as_ptr().add(at + c)), S::load(sum)));
                    }
                }
            }
        }
    }
}
