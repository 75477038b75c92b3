//! Softmax attention of one image, head by head: out = softmax(q k^T / sqrt(d)) v (Vaswani et al.
//! 2017). Queries, keys and values of a token lie one behind the other in its channels. The weights
//! (t, t) are made anew in the backward pass: they would be the largest tensor of the net to keep.

use super::math;
use super::product::{Left, product};
use crate::backend::native::shape::{CHANNEL_BLOCK, Shape};
use crate::backend::native::simd::{Kernel, Level, Simd};

/// How many heads there are, and whether a token sees itself and those before it only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    pub heads: usize,
    pub causal: bool,
}

/// One head's sizes: tokens, channels, and both rounded up to whole vectors.
#[derive(Debug, Clone, Copy)]
struct Head {
    t: usize,
    d: usize,
    wide_t: usize,
    wide_d: usize,
    causal: bool,
}

impl Head {
    fn new(packed: &Shape, Heads { heads, causal }: Heads) -> Self {
        let (t, d) = (packed.pixels(), packed.c / 3 / heads);
        let [wide_t, wide_d] = [t, d].map(|n| n.next_multiple_of(CHANNEL_BLOCK));
        Self { t, d, wide_t, wide_d, causal }
    }

    /// Channels `from..from + d` of all tokens, rows of `wide_d`; what is behind the channels stays
    /// zero.
    fn gather(&self, x: &[f32], xs: &Shape, from: usize, rows: &mut [f32]) {
        for (i, row) in rows.chunks_exact_mut(self.wide_d).enumerate() {
            row[..self.d].copy_from_slice(&x[xs.at(0, i as isize) + from..][..self.d]);
        }
    }

    /// The same transposed: (d, wide_t).
    fn gather_columns(&self, x: &[f32], xs: &Shape, from: usize, columns: &mut [f32]) {
        for i in 0..self.t {
            let row = &x[xs.at(0, i as isize) + from..][..self.d];
            columns[i..].iter_mut().step_by(self.wide_t).zip(row).for_each(|(c, v)| *c = *v);
        }
    }

    /// Rows of `wide_d`, times `scale`, to the channels `from..from + d` of all tokens.
    fn scatter(&self, rows: &[f32], scale: f32, y: &mut [f32], ys: &Shape, from: usize) {
        for (i, row) in rows.chunks_exact(self.wide_d).enumerate() {
            let to = &mut y[ys.at(0, i as isize) + from..][..self.d];
            to.iter_mut().zip(row).for_each(|(y, v)| *y = v * scale);
        }
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.d as f64).sqrt()) as f32
    }

    /// The attention weights (t, wide_t) of the head whose queries begin at channel `q`, keys at
    /// `k`; `columns` is room for the keys.
    fn weights(
        &self,
        level: Level,
        x: &[f32],
        xs: &Shape,
        [q, k]: [usize; 2],
        columns: &mut [f32],
        weights: &mut [f32],
    ) {
        let Self { t, d, wide_t, causal, .. } = *self;
        self.gather_columns(x, xs, k, columns);
        let queries = Left { data: &x[xs.at(0, 0) + q..], steps: [xs.stride, 1] };
        product(level, [t, d, wide_t], queries, columns, weights);
        let rows = Rows { t, wide: wide_t, scale: self.scale(), causal };
        // SAFETY: the level was found available; `weights` holds t rows.
        unsafe { level.run(Softmax { rows, x: &mut weights[..t * wide_t] }) }
    }
}

/// Cuts the beginning of `work`, longer if need be, into cleared pieces of the given lengths.
fn pieces<const N: usize>(work: &mut Vec<f32>, lens: [usize; N]) -> [&mut [f32]; N] {
    let all = lens.iter().sum();
    if work.len() < all {
        work.resize(all, 0.0);
    }
    let mut rest = &mut work[..all];
    rest.fill(0.0);
    lens.map(|len| {
        let (piece, after) = std::mem::take(&mut rest).split_at_mut(len);
        rest = after;
        piece
    })
}

/// y (t, d) = attention(x (t, 3 d)); `work` is any buffer.
pub(crate) fn attention(
    level: Level,
    heads: Heads,
    (x, xs): (&[f32], &Shape),
    work: &mut Vec<f32>,
    (y, ys): (&mut [f32], &Shape),
) {
    assert!(xs.h == 1 && xs.c == 3 * ys.c && xs.w == ys.w);
    let head = Head::new(xs, heads);
    let Head { t, d, wide_t, wide_d, .. } = head;
    let lens = [d * wide_t, t * wide_t, t * wide_d, t * wide_d];
    let [columns, weights, values, out] = pieces(work, lens);
    for h in 0..heads.heads {
        let [q, k, v] = [0, 1, 2].map(|part| part * ys.c + h * d);
        head.weights(level, x, xs, [q, k], columns, weights);
        head.gather(x, xs, v, values);
        let steps = [wide_t, 1];
        product(level, [t, t, wide_d], Left { data: weights, steps }, values, out);
        head.scatter(out, 1.0, y, ys, h * d);
    }
}

/// The gradient to x (t, 3 d) from that to the output (t, d).
pub(crate) fn attention_backward(
    level: Level,
    heads: Heads,
    (x, xs): (&[f32], &Shape),
    (dy, dys): (&[f32], &Shape),
    work: &mut Vec<f32>,
    (dx, dxs): (&mut [f32], &Shape),
) {
    assert!(xs.h == 1 && xs.c == 3 * dys.c && xs.w == dys.w && dxs.c == xs.c && dxs.w == xs.w);
    let head = Head::new(xs, heads);
    let Head { t, d, wide_t, wide_d, .. } = head;
    let lens = [d * wide_t, t * wide_t, t * wide_t, t * wide_d, t * wide_d];
    let [columns, weights, slopes, rows, out] = pieces(work, lens);
    let along = [wide_t, 1];
    let across = [1, wide_t];
    for h in 0..heads.heads {
        let [q, k, v] = [0, 1, 2].map(|part| part * dys.c + h * d);
        head.weights(level, x, xs, [q, k], columns, weights);
        // dv = P^T dy
        head.gather(dy, dys, h * d, rows);
        let transposed = Left { data: weights, steps: across };
        product(level, [t, t, wide_d], transposed, rows, out);
        head.scatter(out, 1.0, dx, dxs, v);
        // dP = dy v^T; dS = P (dP - sum_j P dP), row by row.
        head.gather_columns(x, xs, v, columns);
        let grads = Left { data: rows, steps: [wide_d, 1] };
        product(level, [t, d, wide_t], grads, columns, slopes);
        let shape = Rows { t, wide: wide_t, scale: 1.0, causal: head.causal };
        let all = ..t * wide_t;
        // SAFETY: the level was found available; both hold t rows.
        unsafe {
            level.run(SoftmaxBackward { rows: shape, p: &weights[all], dp: &mut slopes[all] });
        }
        // dq = dS k / sqrt(d), dk = dS^T q / sqrt(d)
        for (from, to, steps) in [(k, q, along), (q, k, across)] {
            head.gather(x, xs, from, rows);
            product(level, [t, t, wide_d], Left { data: slopes, steps }, rows, out);
            head.scatter(out, head.scale(), dx, dxs, to);
        }
    }
}

/// The rows of a softmax: `t` of them, of which `t` floats count.
#[derive(Debug, Clone, Copy)]
struct Rows {
    t: usize,
    /// Floats from row to row: whole vectors.
    wide: usize,
    scale: f32,
    /// Whether row i has i + 1 floats that count.
    causal: bool,
}

/// x = softmax(scale x) along each row; zeros behind it.
struct Softmax<'a> {
    rows: Rows,
    x: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Rows { t, wide, scale, causal } = self.rows;
        // SAFETY: vectors stay inside the rows, of which there are t.
        unsafe {
            for (i, row) in self.x.chunks_exact_mut(wide).enumerate() {
                let seen = if causal { i + 1 } else { t };
                // exp makes about 1e-38 of these, nothing beside the row's largest, 1.
                row[seen..].fill(f32::NEG_INFINITY);
                let row_at = row.as_mut_ptr();
                let mut largest = S::splat(f32::NEG_INFINITY);
                for j in (0..wide).step_by(S::LANES) {
                    largest = S::max(largest, S::load(row_at.add(j)));
                }
                let largest = S::splat(math::largest::<S>(largest));
                let scale = S::splat(scale);
                let mut sum = S::zero();
                for j in (0..wide).step_by(S::LANES) {
                    let x = S::mul(scale, S::sub(S::load(row_at.add(j)), largest));
                    let e = math::exp::<S>(x);
                    S::store(row_at.add(j), e);
                    sum = S::add(sum, e);
                }
                let share = S::splat(1.0 / math::total::<S>(sum));
                for j in (0..wide).step_by(S::LANES) {
                    S::store(row_at.add(j), S::mul(share, S::load(row_at.add(j))));
                }
                row[seen..].fill(0.0);
            }
        }
    }
}

/// dp = p (dp - sum_j p dp) along each row.
struct SoftmaxBackward<'a> {
    rows: Rows,
    p: &'a [f32],
    dp: &'a mut [f32],
}

impl Kernel for SoftmaxBackward<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Rows { wide, .. } = self.rows;
        // SAFETY: vectors stay inside the rows.
        unsafe {
            for (p, dp) in self.p.chunks_exact(wide).zip(self.dp.chunks_exact_mut(wide)) {
                let (p, dp) = (p.as_ptr(), dp.as_mut_ptr());
                let mut sum = S::zero();
                for j in (0..wide).step_by(S::LANES) {
                    sum = S::fma(S::load(p.add(j)), S::load(dp.add(j)), sum);
                }
                let mean = S::splat(math::total::<S>(sum));
                for j in (0..wide).step_by(S::LANES) {
                    let slope = S::sub(S::load(dp.add(j)), mean);
                    S::store(dp.add(j), S::mul(S::load(p.add(j)), slope));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
