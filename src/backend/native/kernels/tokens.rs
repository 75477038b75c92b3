//! Tokens (t, d), as feature maps of one row: how they are made of pixels, the learned vectors put
//! before and added to them. One image at a time.

use crate::backend::native::shape::Shape;

/// Pixel number `i` of a feature map, its channels with the padding.
fn token(shape: &Shape, i: usize) -> std::ops::Range<usize> {
    let at = shape.at((i / shape.w) as isize, (i % shape.w) as isize);
    at..at + shape.stride
}

/// The first pixels of `x`, as many as `y` has, in y's form.
pub(crate) fn copy_tokens((x, xs): (&[f32], &Shape), (y, ys): (&mut [f32], &Shape)) {
    for i in 0..ys.pixels() {
        y[token(ys, i)].copy_from_slice(&x[token(xs, i)]);
    }
}

/// The token (stride,) before those of `x`.
pub(crate) fn class_token(row: &[f32], (x, xs): (&[f32], &Shape), (y, ys): (&mut [f32], &Shape)) {
    y[token(ys, 0)].copy_from_slice(row);
    for i in 0..xs.pixels() {
        y[token(ys, i + 1)].copy_from_slice(&x[token(xs, i)]);
    }
}

/// The gradient to the tokens behind the class token.
pub(crate) fn class_token_backward((dy, dys): (&[f32], &Shape), (dx, dxs): (&mut [f32], &Shape)) {
    for i in 0..dxs.pixels() {
        dx[token(dxs, i)].copy_from_slice(&dy[token(dys, i + 1)]);
    }
}

/// y = x + rows, (t, stride).
pub(crate) fn add_rows(rows: &[f32], (x, xs): (&[f32], &Shape), (y, ys): (&mut [f32], &Shape)) {
    for (i, row) in rows.chunks_exact(xs.stride).enumerate() {
        let sums = x[token(xs, i)].iter().zip(row);
        y[token(ys, i)].iter_mut().zip(sums).for_each(|(y, (x, r))| *y = x + r);
    }
}

/// rows += the first tokens of `x`, as many as `rows` has: the gradient of what was put before or
/// added.
pub(crate) fn gather_rows((x, xs): (&[f32], &Shape), rows: &mut [f32]) {
    for (i, row) in rows.chunks_exact_mut(xs.stride).enumerate() {
        row.iter_mut().zip(&x[token(xs, i)]).for_each(|(r, x)| *r += x);
    }
}

/// The gradient (d) of the first token, zeros for the others.
pub(crate) fn first_token_backward((dy, dys): (&[f32], &Shape), (dx, dxs): (&mut [f32], &Shape)) {
    for i in 1..dxs.pixels() {
        dx[token(dxs, i)].fill(0.0);
    }
    dx[token(dxs, 0)].copy_from_slice(&dy[token(dys, 0)]);
}
