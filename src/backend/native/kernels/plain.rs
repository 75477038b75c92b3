//! The layers that cost little beside the convolutions: pooling by the mean, concatenation, option
//! A's shortcut, dropout. One image at a time, forward and backward; loops over a pixel's channels
//! are left to the compiler's vectoriser.

use crate::backend::native::shape::{Order, Shape};
use crate::rng::Rng;

/// Rows and columns of a feature map.
pub(super) fn pixels(h: usize, w: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..h).flat_map(move |y| (0..w).map(move |x| (y, x)))
}

/// The channels of pixel (y, x), padding included.
pub(super) fn pixel<'a>(image: &'a [f32], shape: &Shape, y: usize, x: usize) -> &'a [f32] {
    let at = shape.at(y as isize, x as isize);
    &image[at..at + shape.stride]
}

pub(super) fn pixel_mut<'a>(
    image: &'a mut [f32],
    shape: &Shape,
    y: usize,
    x: usize,
) -> &'a mut [f32] {
    let at = shape.at(y as isize, x as isize);
    &mut image[at..at + shape.stride]
}

pub(super) fn clear(image: &mut [f32], shape: &Shape) {
    for y in 0..shape.h {
        let at = shape.at(y as isize, 0);
        image[at..at + shape.w * shape.stride].fill(0.0);
    }
}

/// A square window's side, its step, and how far before the feature map the first begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Side.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Pixels before the feature map.
    pub padding: usize,
}

impl Window {
    /// The pixels of a feature map of `h` x `w` that lie in the window of output pixel (`oy`, `ox`), row by
    /// row.
    #[inline(always)]
    pub(super) fn pixels(
        self,
        (oy, ox): (usize, usize),
        (h, w): (usize, usize),
    ) -> impl Iterator<Item = (usize, usize)> {
        let along = |at: usize, side: usize| {
            let first = at * self.stride;
            first.saturating_sub(self.padding)..(first + self.kernel - self.padding).min(side)
        };
        let columns = along(ox, w);
        along(oy, h).flat_map(move |y| columns.clone().map(move |x| (y, x)))
    }
}

/// Mean over windows.
pub(crate) fn avg_pool(x: &[f32], xs: &Shape, window: Window, y: &mut [f32], ys: &Shape) {
    let share = 1.0 / (window.kernel * window.kernel) as f32;
    for (oy, ox) in pixels(ys.h, ys.w) {
        let out = pixel_mut(y, ys, oy, ox);
        out.fill(0.0);
        for (ky, kx) in pixels(window.kernel, window.kernel) {
            let from = pixel(x, xs, oy * window.stride + ky, ox * window.stride + kx);
            out.iter_mut().zip(from).for_each(|(o, v)| *o += v);
        }
        out.iter_mut().for_each(|o| *o *= share);
    }
}

/// The gradient is spread evenly.
pub(crate) fn avg_pool_backward(
    dy: &[f32],
    ys: &Shape,
    window: Window,
    dx: &mut [f32],
    dxs: &Shape,
) {
    clear(dx, dxs);
    let share = 1.0 / (window.kernel * window.kernel) as f32;
    for (oy, ox) in pixels(ys.h, ys.w) {
        let g = pixel(dy, ys, oy, ox);
        for (ky, kx) in pixels(window.kernel, window.kernel) {
            let to = pixel_mut(dx, dxs, oy * window.stride + ky, ox * window.stride + kx);
            to.iter_mut().zip(g).for_each(|(t, g)| *t += g * share);
        }
    }
}

/// Mean over the whole feature map; `ys` is one pixel.
pub(crate) fn global_avg_pool(x: &[f32], xs: &Shape, y: &mut [f32], ys: &Shape) {
    let out = pixel_mut(y, ys, 0, 0);
    out.fill(0.0);
    for (iy, ix) in pixels(xs.h, xs.w) {
        out.iter_mut().zip(pixel(x, xs, iy, ix)).for_each(|(o, v)| *o += v);
    }
    let share = 1.0 / xs.pixels() as f32;
    out.iter_mut().for_each(|o| *o *= share);
}

/// The gradient of the mean.
pub(crate) fn global_avg_pool_backward(dy: &[f32], ys: &Shape, dx: &mut [f32], dxs: &Shape) {
    let g = pixel(dy, ys, 0, 0);
    let share = 1.0 / dxs.pixels() as f32;
    for (iy, ix) in pixels(dxs.h, dxs.w) {
        let to = pixel_mut(dx, dxs, iy, ix);
        to.iter_mut().zip(g).for_each(|(t, g)| *t = g * share);
    }
}

/// Copies the channels `from..from + count` of x to `to..to + count` of y, pixel by pixel:
/// concatenation forward and backward.
pub(crate) fn copy_channels(
    (x, xs, from): (&[f32], &Shape, usize),
    count: usize,
    (y, ys, to): (&mut [f32], &Shape, usize),
) {
    for (py, px) in pixels(ys.h, ys.w) {
        let source = &pixel(x, xs, py, px)[from..from + count];
        pixel_mut(y, ys, py, px)[to..to + count].copy_from_slice(source);
    }
}

/// (c, h, w) -> one pixel of c h w channels, in PyTorch's order.
pub(crate) fn flatten(x: &[f32], xs: &Shape, y: &mut [f32], ys: &Shape) {
    let out = pixel_mut(y, ys, 0, 0);
    for (k, (py, px)) in pixels(xs.h, xs.w).enumerate() {
        for (c, v) in pixel(x, xs, py, px)[..xs.c].iter().enumerate() {
            out[c * xs.pixels() + k] = *v;
        }
    }
}

/// The way back of [`flatten`].
pub(crate) fn unflatten(dy: &[f32], ys: &Shape, dx: &mut [f32], dxs: &Shape) {
    let from = pixel(dy, ys, 0, 0);
    for (k, (py, px)) in pixels(dxs.h, dxs.w).enumerate() {
        let to = pixel_mut(dx, dxs, py, px);
        for (c, v) in to[..dxs.c].iter_mut().enumerate() {
            *v = from[c * dxs.h * dxs.w + k];
        }
    }
}

/// Every `stride`-th pixel, its channels moved up by `before`, zeros around them.
pub(crate) fn pad_shortcut(
    x: &[f32],
    xs: &Shape,
    [stride, before]: [usize; 2],
    y: &mut [f32],
    ys: &Shape,
) {
    for (py, px) in pixels(ys.h, ys.w) {
        let out = pixel_mut(y, ys, py, px);
        out.fill(0.0);
        let from = &pixel(x, xs, py * stride, px * stride)[..xs.c];
        out[before..before + xs.c].copy_from_slice(from);
    }
}

/// The way back of [`pad_shortcut`].
pub(crate) fn pad_shortcut_backward(
    dy: &[f32],
    ys: &Shape,
    [stride, before]: [usize; 2],
    dx: &mut [f32],
    dxs: &Shape,
) {
    clear(dx, dxs);
    for (py, px) in pixels(ys.h, ys.w) {
        let from = &pixel(dy, ys, py, px)[before..before + dxs.c];
        pixel_mut(dx, dxs, py * stride, px * stride)[..dxs.c].copy_from_slice(from);
    }
}

/// y = x with each value zeroed with probability `p` and the rest scaled by 1 / (1 - p). Draws run
/// in `order`; the same draws serve forward and backward.
pub(crate) fn dropout(
    p: f64,
    order: Order,
    rng: &mut Rng,
    (x, xs): (&[f32], &Shape),
    (y, ys): (&mut [f32], &Shape),
) {
    let keep = (1.0 / (1.0 - p)) as f32;
    let mut draw = |c: usize, py: usize, px: usize| {
        let from = x[xs.at(py as isize, px as isize) + c];
        let to = &mut y[ys.at(py as isize, px as isize) + c];
        *to = if rng.bernoulli(p) { 0.0 } else { keep * from };
    };
    match order {
        Order::FeatureMap => {
            for c in 0..xs.c {
                pixels(xs.h, xs.w).for_each(|(py, px)| draw(c, py, px));
            }
        }
        Order::Tokens => {
            for (py, px) in pixels(xs.h, xs.w) {
                (0..xs.c).for_each(|c| draw(c, py, px));
            }
        }
    }
}
