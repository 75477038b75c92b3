//! Parameters that a layer reads as rows of channels, laid out as feature maps lie: a class token,
//! the positions' vectors, a layer normalisation's scale and shift.

use std::ops::Range;

use super::shape::Shape;
use crate::network::{ParamId, ParamLayout};

/// One parameter as rows of `stride` floats, zeros behind the channels.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    param: ParamId,
    channels: usize,
    stride: usize,
    /// Its values, (rows, stride).
    pub values: Vec<f32>,
    /// Where its gradient, (rows, stride), lies in a piece's partial sums.
    pub grad: Range<usize>,
}

impl Rows {
    /// Room for parameter `param`, rows of `channels` floats; its gradient begins at `at`.
    pub fn new(layout: &ParamLayout, param: ParamId, channels: usize, at: usize) -> Self {
        let stride = Shape::new([channels, 1, 1], 0).stride;
        let len = layout.params[param].range().len() / channels * stride;
        Self { param, channels, stride, values: vec![0.0; len], grad: at..at + len }
    }

    /// Copies the values from `theta`.
    pub fn pack(&mut self, layout: &ParamLayout, theta: &[f32]) {
        let from = theta[layout.params[self.param].range()].chunks_exact(self.channels);
        for (row, from) in self.values.chunks_exact_mut(self.stride).zip(from) {
            row[..self.channels].copy_from_slice(from);
        }
    }

    /// Writes its gradient, found in `total` at its place, to `grad`.
    pub fn unpack(&self, layout: &ParamLayout, total: &[f32], grad: &mut [f32]) {
        let to = grad[layout.params[self.param].range()].chunks_exact_mut(self.channels);
        for (row, to) in total[self.grad.clone()].chunks_exact(self.stride).zip(to) {
            to.copy_from_slice(&row[..self.channels]);
        }
    }
}
