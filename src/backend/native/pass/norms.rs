//! Batch normalisation between phases: what the pieces' sums make of scale, shift and gradient.

use super::{Mode, Pass, Task};
use crate::backend::native::graph::{BatchNorm, NormId};
use crate::backend::native::plan::Finish;
use crate::backend::native::shape::Shape;

/// A normalisation's state during a pass; all (stride,).
#[derive(Debug, Default)]
pub(super) struct NormState {
    pub mean: Vec<f32>,
    pub inverse: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub k: [Vec<f32>; 3],
}

impl Pass {
    fn norm_shape(&self, norm: &BatchNorm) -> Shape {
        Shape::new(self.graph.values[norm.input], 0)
    }

    /// Scale and shift of running statistics.
    pub fn set_norm_from_buffers(&mut self, task: Task, buffers: &[f32], id: NormId) {
        let norm = self.graph.norms[id];
        let layout = &task.network.layout;
        let mean = &buffers[layout.buffers[norm.mean].range()];
        let var = &buffers[layout.buffers[norm.var].range()];
        let mean: Vec<f64> = mean.iter().map(|v| f64::from(*v)).collect();
        let var: Vec<f64> = var.iter().map(|v| f64::from(*v)).collect();
        self.set_norm(task, id, &mean, &var);
    }

    /// scale = weight / sqrt(var + eps), shift = bias - mean scale.
    fn set_norm(&mut self, task: Task, id: NormId, mean: &[f64], var: &[f64]) {
        let Task { network, theta, .. } = task;
        let norm = self.graph.norms[id];
        let stride = self.norm_shape(&norm).stride;
        let params = &network.layout.params;
        let (weight, bias) =
            (&theta[params[norm.weight].range()], &theta[params[norm.bias].range()]);
        let state = &mut self.norms[id];
        let parts = [&mut state.mean, &mut state.inverse, &mut state.scale, &mut state.shift];
        let [m, i, a, b] = parts.map(|v| {
            v.resize(stride, 0.0);
            v
        });
        for c in 0..mean.len() {
            let inverse = 1.0 / (var[c] + norm.eps).sqrt();
            (m[c], i[c]) = (mean[c] as f32, inverse as f32);
            a[c] = (f64::from(weight[c]) * inverse) as f32;
            b[c] = (f64::from(bias[c]) - mean[c] * f64::from(weight[c]) * inverse) as f32;
        }
    }

    /// The pieces' sums of normalisation `id`, added up; (2, stride).
    fn sums(&mut self, id: NormId, pieces: usize) -> Vec<f64> {
        let mut all = vec![0.0; 2 * self.norm_shape(&self.graph.norms[id]).stride];
        for piece in &mut self.pieces[..pieces] {
            all.iter_mut().zip(&piece.sums[id]).for_each(|(a, s)| *a += s);
            piece.sums[id].fill(0.0);
        }
        all
    }

    /// What follows a phase for the whole batch; sums of its `pieces`.
    pub fn finish(
        &mut self,
        (finish, pieces): (Finish, usize),
        task: Task,
        buffers: &mut [f32],
        grad: &mut [f32],
    ) {
        let Task { network, theta, mode, .. } = task;
        let n = task.images();
        match finish {
            Finish::Moments(id) => {
                let sums = self.sums(id, pieces);
                if matches!(mode, Mode::Eval) {
                    return; // set from the buffers
                }
                let norm = self.graph.norms[id];
                let shape = self.norm_shape(&norm);
                let count = (n * shape.pixels()) as f64;
                let mean: Vec<f64> = sums[..shape.c].iter().map(|s| s / count).collect();
                let square = sums[shape.stride..].iter().zip(&mean);
                // f64::max would turn a NaN into 0.
                let var: Vec<f64> = square
                    .map(|(s, m)| s / count - m * m)
                    .map(|v| if v < 0.0 { 0.0 } else { v })
                    .collect();
                self.set_norm(task, id, &mean, &var);
                // PyTorch keeps the unbiased variance; a batch of one value keeps the biased one.
                let unbiased = count / (count.max(2.0) - 1.0);
                let mut update = |buffer: usize, new: &[f64], factor: f64| {
                    let running = &mut buffers[network.layout.buffers[buffer].range()];
                    for (r, v) in running.iter_mut().zip(new) {
                        let new = (v * factor) as f32;
                        *r = (1.0 - norm.momentum) as f32 * *r + norm.momentum as f32 * new;
                    }
                };
                update(norm.mean, &mean, 1.0);
                update(norm.var, &var, unbiased);
            }
            Finish::Reductions(id) => {
                let sums = self.sums(id, pieces);
                let norm = self.graph.norms[id];
                let shape = self.norm_shape(&norm);
                let count = (n * shape.pixels()) as f64;
                let params = &network.layout.params;
                let state = &mut self.norms[id];
                for k in &mut state.k {
                    k.resize(shape.stride, 0.0);
                }
                for c in 0..shape.c {
                    let (g, gz) = (sums[c], sums[shape.stride + c]);
                    let (mean, inverse) = (f64::from(state.mean[c]), f64::from(state.inverse[c]));
                    // sum of g times the normalised value
                    let gx = (gz - mean * g) * inverse;
                    grad[params[norm.weight].offset + c] = gx as f32;
                    grad[params[norm.bias].offset + c] = g as f32;
                    let scale = f64::from(theta[params[norm.weight].offset + c]) * inverse;
                    // dz = scale (g - mean(g) - x mean(g x)), x = (z - mean) inverse; with running
                    // statistics the two means are constants of theta's and vanish.
                    let batch = if matches!(mode, Mode::Eval) { 0.0 } else { 1.0 / count };
                    state.k[0][c] = scale as f32;
                    state.k[1][c] = (-scale * gx * inverse * batch) as f32;
                    state.k[2][c] = (scale * batch * (gx * inverse * mean - g)) as f32;
                }
            }
        }
    }
}
