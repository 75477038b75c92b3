//! Each step of a pass with its tangent.

use std::ops::Range;

use super::{Pair, Sample, Second, Sums, Tangents, Worker};
use crate::backend::native::graph::{NormId, UnitOp};
use crate::backend::native::kernels::tangent::{
    TangentTerm, activate_backward_tangent, join_tangent, max_pool_tangent,
};
use crate::backend::native::kernels::{self, Epilogue, Reduction, Tensor, Threads, activation};
use crate::backend::native::layers::{self, With};
use crate::backend::native::nchw::{load, rows, set_rows};
use crate::backend::native::plan::{Memory, Slot, SlotId, Step, UnitId};
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::Level;
use crate::backend::{loss_grad, loss_grad_tangent};

/// The value's and the tangent's place in a pair.
const VALUE: usize = 0;
const TANGENT: usize = 1;

/// A worker on a piece.
pub(super) struct Run<'a> {
    pub pass: &'a Tangents,
    pub sums: &'a mut Sums,
    pub worker: &'a mut Worker,
    pub sample: Sample<'a>,
    /// Images of the sample.
    pub total: usize,
}

impl Run<'_> {
    /// Takes the images of the piece through all steps, a group at a time.
    pub fn piece(mut self, images: Range<usize>) {
        for start in images.clone().step_by(self.pass.group) {
            let group = start..images.end.min(start + self.pass.group);
            for step in &self.pass.steps {
                self.step(step, group.clone());
            }
        }
    }

    fn view(&self, slot: SlotId, which: usize, n: usize) -> Tensor<'_> {
        let Slot { shape, memory } = &self.pass.slots[slot];
        let (Memory::Scratch(i) | Memory::Batch(i)) = *memory;
        Tensor { data: &self.worker.slots[i][which][..n * shape.len()], shape }
    }

    /// Lets `f` write a slot's value and tangent while it reads any others.
    fn write<R>(
        &mut self,
        slot: SlotId,
        n: usize,
        f: impl FnOnce(&Self, [&mut [f32]; 2], &Shape) -> R,
    ) -> R {
        let Slot { shape, memory } = self.pass.slots[slot];
        let (Memory::Scratch(i) | Memory::Batch(i)) = memory;
        let mut pair: Pair = std::mem::take(&mut self.worker.slots[i]);
        let result = f(self, pair.each_mut().map(|v| &mut v[..n * shape.len()]), &shape);
        self.worker.slots[i] = pair;
        result
    }

    fn step(&mut self, step: &Step, group: Range<usize>) {
        let pass = self.pass;
        let (level, n) = (pass.level, group.len());
        match step {
            Step::Input { to } => self.write(*to, n, |run, [y, dy], shape| {
                let image = shape.pixels() * shape.c;
                let images = run.sample.images[group.start * image..].chunks_exact(image);
                for (image, y) in images.zip(y.chunks_exact_mut(shape.len())) {
                    load(image, y, shape);
                }
                dy.fill(0.0);
            }),
            Step::Conv { unit, x, y, .. } => self.conv(*unit, *x, *y, n),
            // Running statistics stand in for moments.
            Step::Moments { .. } => {}
            Step::Join { terms, relu, y } => self.write(*y, n, |run, y, shape| {
                let term = |&(slot, norm): &(SlotId, Option<NormId>)| TangentTerm {
                    value: run.view(slot, VALUE, n),
                    tangent: run.view(slot, TANGENT, n),
                    affine: norm.map(|norm| {
                        let unit = &pass.norms[norm];
                        [&unit.scale[0], &unit.shift[0], &unit.scale[1], &unit.shift[1]]
                            .map(|v| &v[..])
                    }),
                };
                match &terms[..] {
                    [a] => join_tangent(level, n, &[term(a)], *relu, y, shape),
                    [a, b] => join_tangent(level, n, &[term(a), term(b)], *relu, y, shape),
                    _ => unreachable!("a join has one or two terms"),
                }
            }),
            Step::Plain { unit, inputs, y } => self.plain(*unit, inputs, *y, n),
            Step::Loss { logits, gradient } => self.loss(*logits, *gradient, group),
            Step::JoinBackward { sources, mask, reductions, g } => {
                self.join_backward(sources, *mask, reductions, *g, n);
            }
            Step::NormBackward { norm, g, dz, .. } => {
                self.write(*dz, n, |run, [dz, ddz], shape| {
                    // (s g)' = s g' + s' g
                    let unit = &pass.norms[*norm];
                    let (g, dg) = (run.view(*g, VALUE, n), run.view(*g, TANGENT, n));
                    let zeros = &unit.zeros[..];
                    kernels::affine_backward(
                        level,
                        n,
                        g,
                        g,
                        [&unit.scale[0], zeros, zeros],
                        dz,
                        shape,
                    );
                    let k = [&unit.scale[0], &unit.scale[1], zeros];
                    kernels::affine_backward(level, n, dg, g, k, ddz, shape);
                })
            }
            Step::ConvWeights { unit, x, dz } => self.conv_weights(*unit, *x, *dz, n),
            Step::ConvData { unit, dz, dx } => self.conv_data(*unit, *dz, *dx, n),
            Step::PlainBackward { unit, input, saved, dy, dx } => {
                self.plain_backward(*unit, *input, saved, *dy, *dx, n);
            }
            Step::Fused { .. } | Step::Output { .. } | Step::Rows { .. } => {
                unreachable!("other passes and networks have these")
            }
        }
    }

    /// Whether a slot holds the images, which do not depend on the parameters.
    fn still(&self, slot: SlotId) -> bool {
        matches!(self.pass.steps.first(), Some(Step::Input { to }) if *to == slot)
    }

    /// y = W x + b, y' = W' x + (W x' + b').
    fn conv(&mut self, unit: UnitId, x: SlotId, y: SlotId, n: usize) {
        let Some(conv) = &self.pass.convs[unit] else { return };
        let still = self.still(x);
        let mut part = std::mem::take(&mut self.worker.part);
        let mut kernel = std::mem::take(&mut self.worker.kernel);
        self.write(y, n, |run, [y, dy], shape| {
            let (x, dx) = (run.view(x, VALUE, n).data, run.view(x, TANGENT, n).data);
            let through =
                |k: usize, residual| Epilogue::Bias { bias: &conv.bias[k], residual, relu: false };
            let mut run = |x: &[f32], weight: usize, epilogue, y: &mut [f32]| {
                let weight = &conv.weight[weight];
                conv.forward.run(x, n, weight, epilogue, y, &mut kernel, Threads::One);
            };
            run(x, VALUE, through(VALUE, None), y);
            if still {
                run(x, TANGENT, through(TANGENT, None), dy);
            } else {
                let part = &mut part[..n * shape.len()];
                run(x, TANGENT, Epilogue::Plain, part);
                run(dx, VALUE, through(TANGENT, Some(part)), dy);
            }
        });
        (self.worker.part, self.worker.kernel) = (part, kernel);
    }

    /// (x (*) g)' = x (*) g' + x' (*) g; the bias's is the sum of g'.
    fn conv_weights(&mut self, unit: UnitId, x: SlotId, dz: SlotId, n: usize) {
        let Some(conv) = &self.pass.convs[unit] else { return };
        let still = self.still(x);
        let mut sums = std::mem::take(&mut self.sums.dw);
        let mut kernel = std::mem::take(&mut self.worker.kernel);
        let dw = &mut sums[conv.dw.clone()];
        let (g, dg) = (self.view(dz, VALUE, n), self.view(dz, TANGENT, n));
        let value = self.view(x, VALUE, n).data;
        conv.weights.run(value, dg.data, n, dw, &mut kernel, Threads::One);
        if !still {
            let tangent = self.view(x, TANGENT, n).data;
            conv.weights.run(tangent, g.data, n, dw, &mut kernel, Threads::One);
        }
        if !conv.db.is_empty() {
            let db = &mut sums[conv.db.clone()];
            // The border is zero: all pixels may be summed.
            for pixel in dg.data.chunks_exact(dg.shape.stride) {
                db.iter_mut().zip(pixel).for_each(|(d, v)| *d += v);
            }
        }
        self.sums.dw = sums;
        self.worker.kernel = kernel;
    }

    /// (W^T g)' = W^T g' + W'^T g.
    fn conv_data(&mut self, unit: UnitId, dz: SlotId, dx: SlotId, n: usize) {
        let Some(conv) = &self.pass.convs[unit] else { return };
        let Some(data) = &conv.data else { return };
        let mut part = std::mem::take(&mut self.worker.part);
        let mut kernel = std::mem::take(&mut self.worker.kernel);
        self.write(dx, n, |run, [dx, ddx], shape| {
            let (g, dg) = (run.view(dz, VALUE, n).data, run.view(dz, TANGENT, n).data);
            let part = &mut part[..n * shape.len()];
            data.run(g, n, &conv.weight_back[0], dx, &mut kernel, Threads::One);
            data.run(g, n, &conv.weight_back[1], part, &mut kernel, Threads::One);
            let zeros = vec![0.0; shape.stride];
            let onto = || Epilogue::Bias { bias: &zeros, residual: Some(part), relu: false };
            data.run_through(dg, n, &conv.weight_back[0], onto, ddx, &mut kernel);
        });
        (self.worker.part, self.worker.kernel) = (part, kernel);
    }

    fn loss(&mut self, logits: SlotId, gradient: SlotId, group: Range<usize>) {
        let n = group.len();
        let sample = self.sample;
        self.write(gradient, n, |run, [g, dg], shape| {
            let (z, dz) = (run.view(logits, VALUE, n), run.view(logits, TANGENT, n));
            let outputs = |t: Tensor<'_>, k: usize| -> Vec<f32> {
                rows(&t.data[k * t.shape.len()..][..t.shape.len()], t.shape)
                    .flatten()
                    .copied()
                    .collect()
            };
            let total = run.total;
            // Of the mean over all images.
            let share = 1.0 / total as f32;
            for (k, image) in group.clone().enumerate() {
                let (z, dz) = (outputs(z, k), outputs(dz, k));
                let target = sample.targets.example(image, total);
                let (mut of_g, mut of_dg) = (vec![0.0; z.len()], vec![0.0; z.len()]);
                // Second derivatives of the network are those that the gradient itself multiplies on
                // its way back.
                if sample.matrix == Second::Hessian {
                    loss_grad(&z, target, 0.0, &mut of_g);
                }
                loss_grad_tangent(&z, &dz, target, &mut of_dg);
                for (values, to) in [(&mut of_g, &mut *g), (&mut of_dg, &mut *dg)] {
                    values.iter_mut().for_each(|v| *v *= share);
                    set_rows(values, &mut to[k * shape.len()..][..shape.len()], shape);
                }
            }
        });
    }

    /// Sum and mask are linear; the tangents of the sums of g and of g z are those of g' and of
    /// g' z + g z'.
    fn join_backward(
        &mut self,
        sources: &[SlotId],
        mask: Option<SlotId>,
        reductions: &[(NormId, SlotId)],
        g: SlotId,
        n: usize,
    ) {
        let level = self.pass.level;
        let mut found = std::mem::take(&mut self.worker.reductions);
        for ((norm, _), sums) in reductions.iter().zip(&mut found) {
            for sums in sums {
                sums.clear();
                sums.resize(2 * self.pass.norms[*norm].zeros.len(), 0.0);
            }
        }
        self.write(g, n, |run, pair, shape| {
            let mask = mask.map(|y| run.view(y, VALUE, n));
            for (which, g) in pair.into_iter().enumerate() {
                let sources: Vec<Tensor> = sources.iter().map(|&s| run.view(s, which, n)).collect();
                // g beside z' and g' beside z.
                let mut reduced: Vec<Reduction> = reductions
                    .iter()
                    .zip(&mut found)
                    .map(|(&(_, z), sums)| Reduction {
                        z: run.view(z, TANGENT - which, n),
                        sums: &mut sums[which],
                    })
                    .collect();
                kernels::join_backward(level, n, &sources, mask, &mut reduced, g, shape);
            }
        });
        for ((norm, _), [values, tangents]) in reductions.iter().zip(&found) {
            let (dg, dgz) = self.sums.norms[*norm].split_at_mut(values.len() / 2);
            let (of_g, of_gz) = tangents.split_at(dg.len());
            dg.iter_mut().zip(of_g).for_each(|(d, v)| *d += f64::from(*v));
            for ((d, a), b) in dgz.iter_mut().zip(of_gz).zip(&values[of_g.len()..]) {
                *d += f64::from(*a) + f64::from(*b);
            }
        }
        self.worker.reductions = found;
    }

    fn plain(&mut self, unit: UnitId, inputs: &[SlotId], y: SlotId, n: usize) {
        let layer = &self.pass.graph.units[unit].op;
        let level = self.pass.level;
        self.write(y, n, |run, [y, dy], shape| {
            let of =
                |which| -> Vec<Tensor> { inputs.iter().map(|&x| run.view(x, which, n)).collect() };
            let (values, tangents) = (of(VALUE), of(TANGENT));
            layers::forward(layer, &values, with(level, &mut Vec::new()), y, shape);
            let (x, dx) = (values[0], tangents[0]);
            match *layer {
                UnitOp::Activation(kind) => {
                    each([x, dx], shape, dy, |[x, dx], dy| {
                        activation::activate_backward(level, kind, x, dx, (dy, shape));
                    });
                }
                UnitOp::MaxPool(window) => {
                    let y = Tensor { data: y, shape };
                    each([x, dx, y], shape, dy, |from, dy| {
                        max_pool_tangent(from, window, dy, shape);
                    });
                }
                // The others are linear.
                _ => layers::forward(layer, &tangents, with(level, &mut Vec::new()), dy, shape),
            }
        });
    }

    fn plain_backward(
        &mut self,
        unit: UnitId,
        input: usize,
        saved: &[SlotId],
        dy: SlotId,
        dx: SlotId,
        n: usize,
    ) {
        let (graph, level) = (&self.pass.graph, self.pass.level);
        let unit = &graph.units[unit];
        let before: usize = unit.inputs[..input].iter().map(|&v| graph.values[v][0]).sum();
        self.write(dx, n, |run, [dx, ddx], shape| {
            let values: Vec<Tensor> = saved.iter().map(|&s| run.view(s, VALUE, n)).collect();
            let (g, dg) = (run.view(dy, VALUE, n), run.view(dy, TANGENT, n));
            let layer = &unit.op;
            layers::backward(layer, before, &values, g, with(level, &mut Vec::new()), dx, shape);
            let mut work = Vec::new();
            match unit.op {
                UnitOp::Activation(kind) => {
                    let (x, dx) = (values[0], run.view(saved[0], TANGENT, n));
                    each([x, dx, g, dg], shape, ddx, |from, ddx| {
                        activate_backward_tangent(level, kind, from, ddx, shape);
                    });
                }
                // The others are linear in the gradient, max pooling with its choice.
                _ => {
                    let with = with(level, &mut work);
                    layers::backward(layer, before, &values, dg, with, ddx, shape);
                }
            }
        });
    }
}

/// Layers with tangents read no rows, drop nothing and need no room of their own.
fn with(level: Level, work: &mut Vec<f32>) -> With<'_> {
    With { level, rows: &[], draws: &|_, _| None, work }
}

/// Calls `f` for each image.
fn each<'a, const K: usize>(
    from: [Tensor<'a>; K],
    shape: &Shape,
    to: &mut [f32],
    f: impl Fn([(&'a [f32], &'a Shape); K], &mut [f32]),
) {
    for (k, to) in to.chunks_exact_mut(shape.len()).enumerate() {
        f(from.map(|t| (&t.data[k * t.shape.len()..][..t.shape.len()], t.shape)), to);
    }
}
