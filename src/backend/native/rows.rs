//! Parameters that a layer reads as rows of channels, laid out as feature maps lie: a class token,
//! the positions' vectors, a layer normalisation's scale and shift, the taps of a convolution of each channel
//! by itself.

use std::ops::Range;

use super::shape::Shape;
use crate::network::{ParamId, ParamLayout};

/// One parameter as rows of `stride` floats, zeros behind the channels.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    param: ParamId,
    channels: usize,
    stride: usize,
    /// Whether the parameter has its rows as columns: (channels, 1, k, k).
    is_across: bool,
    /// Its values, (rows, stride).
    pub values: Vec<f32>,
    /// Where its gradient, (rows, stride), lies in a piece's partial sums.
    pub grad: Range<usize>,
}

impl Rows {
    /// Room for parameter `param`, rows of `channels` floats; its gradient begins at `at`.
    pub fn new(layout: &ParamLayout, param: ParamId, channels: usize, at: usize) -> Self {
        let stride = Shape::new([channels, 1, 1], 0).stride;
        let of = &layout.params[param];
        let len = of.len() / channels * stride;
        let is_across = of.shape.len() == 4;
        Self { param, channels, stride, is_across, values: vec![0.0; len], grad: at..at + len }
    }

    /// Copies the values from `theta`.
    pub fn pack(&mut self, layout: &ParamLayout, theta: &[f32]) {
        let from = &theta[layout.params[self.param].range()];
        if self.is_across {
            let rows = from.len() / self.channels;
            for (r, row) in self.values.chunks_exact_mut(self.stride).enumerate() {
                for (c, v) in row[..self.channels].iter_mut().enumerate() {
                    *v = from[c * rows + r];
                }
            }
            return;
        }
        let from = from.chunks_exact(self.channels);
        for (row, from) in self.values.chunks_exact_mut(self.stride).zip(from) {
            row[..self.channels].copy_from_slice(from);
        }
    }

    /// Writes its gradient, found in `total` at its place, to `grad`.
    pub fn unpack(&self, layout: &ParamLayout, total: &[f32], grad: &mut [f32]) {
        let to = &mut grad[layout.params[self.param].range()];
        if self.is_across {
            let rows = to.len() / self.channels;
            for (r, row) in total[self.grad.clone()].chunks_exact(self.stride).enumerate() {
                for (c, v) in row[..self.channels].iter().enumerate() {
                    to[c * rows + r] = *v;
                }
            }
            return;
        }
        let to = to.chunks_exact_mut(self.channels);
        for (row, to) in total[self.grad.clone()].chunks_exact(self.stride).zip(to) {
            to.copy_from_slice(&row[..self.channels]);
        }
    }
}
