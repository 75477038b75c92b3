//! Pooling by the maximum, one image at a time.
//!
//! Forward, the compiler's vectoriser is sufficient. Backward, where each channel's
//! gradient goes to a pixel of its own, it finds nothing to do: that was 7 % of VGG-9's training.

use super::plain::{Window, clear, pixel, pixel_mut, pixels};
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::{Kernel, Level, Simd};

/// y = the maximum over each window of x.
pub(crate) fn max_pool(x: &[f32], xs: &Shape, window: Window, y: &mut [f32], ys: &Shape) {
    for (oy, ox) in pixels(ys.h, ys.w) {
        let out = pixel_mut(y, ys, oy, ox);
        let mut inside = window.pixels((oy, ox), (xs.h, xs.w));
        let Some((iy, ix)) = inside.next() else { continue };
        out.copy_from_slice(pixel(x, xs, iy, ix));
        for (iy, ix) in inside {
            for (o, &v) in out.iter_mut().zip(pixel(x, xs, iy, ix)) {
                // A NaN among the values is the maximum, as in PyTorch.
                *o = if v > *o || v.is_nan() { v } else { *o };
            }
        }
    }
}

/// The gradient goes to the first largest value of each window; `y` are the maxima of `x`.
pub(crate) fn max_pool_backward(
    level: Level,
    [x, y, dy]: [(&[f32], &Shape); 3],
    window: Window,
    dx: &mut [f32],
    dxs: &Shape,
) {
    let last = |side: usize| (side - 1) * window.stride + window.kernel - 2 * window.padding;
    for (data, shape) in [x, y, dy] {
        assert!(data.len() >= shape.len() && shape.stride == dxs.stride);
    }
    assert!((x.1.h, x.1.w) == (dxs.h, dxs.w) && (y.1.h, y.1.w) == (dy.1.h, dy.1.w));
    assert!(dx.len() >= dxs.len() && last(y.1.h) <= dxs.h && last(y.1.w) <= dxs.w);
    clear(dx, dxs);
    // SAFETY: the level was found available; all windows lie in the feature map, as was just
    // checked.
    unsafe { level.run(Backward { x, y, dy, window, dx, dxs }) }
}

struct Backward<'a> {
    x: (&'a [f32], &'a Shape),
    y: (&'a [f32], &'a Shape),
    dy: (&'a [f32], &'a Shape),
    window: Window,
    dx: &'a mut [f32],
    dxs: &'a Shape,
}

impl Kernel for Backward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, y, dy, window, dx, dxs } = self;
        for (oy, ox) in pixels(y.1.h, y.1.w) {
            let (best, g) = (pixel(y.0, y.1, oy, ox), pixel(dy.0, dy.1, oy, ox));
            for channel in (0..dxs.stride).step_by(S::LANES) {
                // SAFETY: the vector lies in the pixel's channels, a whole number of vectors, of
                // each of the four tensors.
                unsafe {
                    let best = S::load(best.as_ptr().add(channel));
                    // What no pixel has taken yet.
                    let mut left = S::load(g.as_ptr().add(channel));
                    for (iy, ix) in window.pixels((oy, ox), (dxs.h, dxs.w)) {
                        let from = S::load(pixel(x.0, x.1, iy, ix).as_ptr().add(channel));
                        let to = pixel_mut(dx, dxs, iy, ix).as_mut_ptr().add(channel);
                        let [taken, rest] = S::split_at_best(from, best, left);
                        S::store(to, S::add(S::load(to), taken));
                        left = rest;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Streams;

    /// The definition, a value at a time.
    fn first_largest(
        [x, y, dy]: [(&[f32], &Shape); 3],
        window: Window,
        dx: &mut [f32],
        dxs: &Shape,
    ) {
        for (oy, ox) in pixels(y.1.h, y.1.w) {
            for c in 0..dxs.stride {
                let best = pixel(y.0, y.1, oy, ox)[c];
                let at = pixels(window.kernel, window.kernel)
                    .map(|(ky, kx)| (oy * window.stride + ky, ox * window.stride + kx))
                    .filter_map(|(iy, ix)| {
                        let inside = |at: usize, side: usize| {
                            at.checked_sub(window.padding).filter(|at| *at < side)
                        };
                        Some((inside(iy, dxs.h)?, inside(ix, dxs.w)?))
                    })
                    .find(|&(iy, ix)| {
                        let v = pixel(x.0, x.1, iy, ix)[c];
                        v == best || v.is_nan()
                    });
                let (iy, ix) = at.expect("a maximum is one of the values");
                pixel_mut(dx, dxs, iy, ix)[c] += pixel(dy.0, dy.1, oy, ox)[c];
            }
        }
    }

    #[test]
    fn the_gradient_goes_to_the_first_largest_value_to_the_last_bit_at_every_level() {
        let mut rng = Streams::new(5).stream("pool", 0);
        // Windows side by side, overlapping, with pixels that no window reads, and beyond the map.
        for (c, [h, w], kernel, stride, padding) in [
            (16, [8, 6], 2, 2, 0),
            (5, [7, 9], 2, 2, 0),
            (40, [7, 5], 3, 2, 0),
            (3, [9, 9], 2, 3, 0),
            (16, [8, 7], 3, 2, 1),
            (5, [6, 9], 3, 1, 1),
        ] {
            let window = Window { kernel, stride, padding };
            let side = |s: usize| (s + 2 * padding - kernel) / stride + 1;
            let (xs, dxs) = (Shape::new([c, h, w], 1), Shape::new([c, h, w], 2));
            let ys = Shape::new([c, side(h), side(w)], 0);
            // Few different values, so that most windows hold their maximum twice; some NaNs.
            let values = [-1.0, 0.0, -0.0, 0.5, 2.0, f32::NAN];
            let mut x = vec![0.0; xs.len()];
            for (py, px) in pixels(h, w) {
                let pixel = &mut pixel_mut(&mut x, &xs, py, px)[..c];
                pixel.iter_mut().for_each(|v| *v = values[rng.below(values.len())]);
            }
            let mut y = vec![0.0; ys.len()];
            max_pool(&x, &xs, window, &mut y, &ys);
            let dy: Vec<f32> = (0..ys.len()).map(|_| rng.normal() as f32).collect();
            let tensors = [(&x[..], &xs), (&y[..], &ys), (&dy[..], &ys)];
            let mut want = vec![0.0; dxs.len()];
            first_largest(tensors, window, &mut want, &dxs);
            for level in Level::all() {
                let mut got = vec![0.0; dxs.len()];
                max_pool_backward(level, tensors, window, &mut got, &dxs);
                let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&got), bits(&want), "{level} {c} {h}x{w} {window:?}");
            }
        }
    }
}
