//! Layer normalisation (Ba et al. 2016) over the channels of each pixel of one image:
//! y = weight x' + bias, x' = (x - mean) / sqrt(var + eps).

use super::math;
use crate::backend::native::shape::{CHANNEL_BLOCK, Shape};
use crate::backend::native::simd::{Kernel, Level, Simd};

/// A feature map, its shape.
type FeatureMap<'a> = (&'a [f32], &'a Shape);

fn check(shape: &Shape, len: usize, like: &Shape) {
    assert_eq!((shape.c, shape.h, shape.w), (like.c, like.h, like.w), "feature maps of two sizes");
    assert!(len >= shape.len());
}

/// y = layer_norm(x); `weight` and `bias` are (stride,), zeros behind the channels.
pub(crate) fn layer_norm(
    level: Level,
    eps: f64,
    [weight, bias]: [&[f32]; 2],
    x: FeatureMap,
    (y, ys): (&mut [f32], &Shape),
) {
    check(x.1, x.0.len(), ys);
    assert!(y.len() >= ys.len() && weight.len() == ys.stride && bias.len() == ys.stride);
    let pixels = Pixels { x, eps: eps as f32 };
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(Forward { pixels, weight, bias, y, ys }) }
}

/// The gradient to x.
pub(crate) fn layer_norm_backward(
    level: Level,
    eps: f64,
    weight: &[f32],
    x: FeatureMap,
    dy: FeatureMap,
    (dx, dxs): (&mut [f32], &Shape),
) {
    [x, dy].iter().for_each(|t| check(t.1, t.0.len(), dxs));
    assert!(dx.len() >= dxs.len() && weight.len() == dxs.stride);
    let pixels = Pixels { x, eps: eps as f32 };
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(Backward { pixels, weight, dy, dx, dxs }) }
}

/// dweight += sum of dy x', dbias += sum of dy, both (stride,).
pub(crate) fn layer_norm_gradient(
    level: Level,
    eps: f64,
    x: FeatureMap,
    dy: FeatureMap,
    [dweight, dbias]: [&mut [f32]; 2],
) {
    [x, dy].iter().for_each(|t| check(t.1, t.0.len(), x.1));
    assert!(dweight.len() == x.1.stride && dbias.len() == x.1.stride);
    let pixels = Pixels { x, eps: eps as f32 };
    // SAFETY: the level was found available; lengths and sizes are checked above.
    unsafe { level.run(Gradient { pixels, dy, dweight, dbias }) }
}

/// What is normalised.
#[derive(Clone, Copy)]
struct Pixels<'a> {
    x: FeatureMap<'a>,
    eps: f32,
}

impl Pixels<'_> {
    fn count(&self) -> usize {
        self.x.1.pixels()
    }

    /// Where the channels of pixel `i` begin in a feature map of this size.
    #[inline(always)]
    fn at(i: usize, shape: &Shape) -> usize {
        shape.at((i / shape.w) as isize, (i % shape.w) as isize)
    }

    /// 1 for the channels among the last vector's lanes, 0 for the padding.
    ///
    /// # Safety
    /// The processor has `S`'s instruction set.
    #[inline(always)]
    unsafe fn last<S: Simd>(&self, channel: usize) -> S::V {
        let mut ones = [0f32; CHANNEL_BLOCK];
        let left = self.x.1.c.saturating_sub(channel).min(S::LANES);
        ones[..left].fill(1.0);
        // SAFETY: no vector has more floats than a block of channels.
        unsafe { S::load(ones.as_ptr()) }
    }

    /// Mean and 1 / sqrt(var + eps) of pixel `i`; two passes, so that a large mean costs no digits.
    ///
    /// # Safety
    /// The feature map was checked.
    #[inline(always)]
    unsafe fn moments<S: Simd>(&self, i: usize) -> [f32; 2] {
        let shape = self.x.1;
        let share = 1.0 / shape.c as f32;
        // SAFETY: every vector lies inside the pixel's stride.
        unsafe {
            let x = self.x.0.as_ptr().add(Self::at(i, shape));
            let mut sum = S::zero();
            for c in (0..shape.stride).step_by(S::LANES) {
                sum = S::add(sum, S::load(x.add(c)));
            }
            let mean = share * math::total::<S>(sum);
            let mut square = S::zero();
            for c in (0..shape.stride).step_by(S::LANES) {
                let d = self.centred::<S>(x, c, S::splat(mean));
                square = S::fma(d, d, square);
            }
            [mean, 1.0 / (share * math::total::<S>(square) + self.eps).sqrt()]
        }
    }

    /// x - mean for the vector from `channel`, zeros behind the channels.
    ///
    /// # Safety
    /// The feature map was checked; `x` is a pixel.
    #[inline(always)]
    unsafe fn centred<S: Simd>(&self, x: *const f32, channel: usize, mean: S::V) -> S::V {
        // SAFETY: the vector lies inside the pixel's stride.
        unsafe {
            let d = S::sub(S::load(x.add(channel)), mean);
            if channel + S::LANES <= self.x.1.c { d } else { S::mul(d, self.last::<S>(channel)) }
        }
    }
}

struct Forward<'a> {
    pixels: Pixels<'a>,
    weight: &'a [f32],
    bias: &'a [f32],
    y: &'a mut [f32],
    ys: &'a Shape,
}

impl Kernel for Forward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { pixels, weight, bias, y, ys } = self;
        // SAFETY: every pixel lies inside its feature map, every vector inside the stride.
        unsafe {
            for i in 0..pixels.count() {
                let [mean, inverse] = pixels.moments::<S>(i).map(|v| S::splat(v));
                let x = pixels.x.0.as_ptr().add(Pixels::at(i, pixels.x.1));
                let y = y.as_mut_ptr().add(Pixels::at(i, ys));
                for c in (0..ys.stride).step_by(S::LANES) {
                    let x = S::mul(pixels.centred::<S>(x, c, mean), inverse);
                    let w = S::load(weight.as_ptr().add(c));
                    S::store(y.add(c), S::fma(x, w, S::load(bias.as_ptr().add(c))));
                }
            }
        }
    }
}

struct Backward<'a> {
    pixels: Pixels<'a>,
    weight: &'a [f32],
    dy: FeatureMap<'a>,
    dx: &'a mut [f32],
    dxs: &'a Shape,
}

impl Kernel for Backward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { pixels, weight, dy, dx, dxs } = self;
        let share = 1.0 / dxs.c as f32;
        // SAFETY: every pixel lies inside its feature map, every vector inside the stride.
        unsafe {
            for i in 0..pixels.count() {
                let [mean, inverse] = pixels.moments::<S>(i).map(|v| S::splat(v));
                let x = pixels.x.0.as_ptr().add(Pixels::at(i, pixels.x.1));
                let dy = dy.0.as_ptr().add(Pixels::at(i, dy.1));
                let dx = dx.as_mut_ptr().add(Pixels::at(i, dxs));
                // With g = weight dy: dx = (g - mean(g) - x' mean(g x')) / sqrt(var + eps).
                let (mut sum, mut along) = (S::zero(), S::zero());
                for c in (0..dxs.stride).step_by(S::LANES) {
                    let g = S::mul(S::load(dy.add(c)), S::load(weight.as_ptr().add(c)));
                    sum = S::add(sum, g);
                    along = S::fma(g, pixels.centred::<S>(x, c, mean), along);
                }
                let sum = S::splat(share * math::total::<S>(sum));
                let along = S::splat(share * math::total::<S>(along));
                let along = S::mul(along, S::mul(inverse, inverse));
                for c in (0..dxs.stride).step_by(S::LANES) {
                    let g = S::mul(S::load(dy.add(c)), S::load(weight.as_ptr().add(c)));
                    let d = S::mul(along, pixels.centred::<S>(x, c, mean));
                    let v = S::mul(inverse, S::sub(S::sub(g, sum), d));
                    let whole = c + S::LANES <= dxs.c;
                    S::store(dx.add(c), if whole { v } else { S::mul(v, pixels.last::<S>(c)) });
                }
            }
        }
    }
}

struct Gradient<'a> {
    pixels: Pixels<'a>,
    dy: FeatureMap<'a>,
    dweight: &'a mut [f32],
    dbias: &'a mut [f32],
}

impl Kernel for Gradient<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { pixels, dy, dweight, dbias } = self;
        let shape = pixels.x.1;
        let (dweight, dbias) = (dweight.as_mut_ptr(), dbias.as_mut_ptr());
        // SAFETY: every pixel lies inside its feature map, every vector inside the stride.
        unsafe {
            for i in 0..pixels.count() {
                let [mean, inverse] = pixels.moments::<S>(i).map(|v| S::splat(v));
                let x = pixels.x.0.as_ptr().add(Pixels::at(i, shape));
                let dy = dy.0.as_ptr().add(Pixels::at(i, dy.1));
                for c in (0..shape.stride).step_by(S::LANES) {
                    let (g, x) = (S::load(dy.add(c)), pixels.centred::<S>(x, c, mean));
                    let (w, b) = (dweight.add(c), dbias.add(c));
                    S::store(w, S::fma(g, S::mul(x, inverse), S::load(w)));
                    S::store(b, S::add(g, S::load(b)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
