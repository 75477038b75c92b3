//! The steps of the forward pass, the loss and what is put out.

use super::run::{Group, Run};
use super::{LossTarget, Mode};
use crate::backend::loss_grad;
use crate::backend::native::graph::NormId;
use crate::backend::native::kernels::{self, Epilogue, Tensor, Term};
use crate::backend::native::layers::{self, With};
use crate::backend::native::nchw::{load, rows, set_rows, unload};
use crate::backend::native::plan::{SlotId, UnitId};

impl Run<'_> {
    pub fn input(&mut self, to: SlotId, group: Group) {
        self.write(to, group, |run, y, shape| {
            let from = (run.first + group.start) * run.image;
            let images = run.batch.images[from..].chunks_exact(run.image);
            for (image, y) in images.zip(y.chunks_exact_mut(shape.len())) {
                load(image, y, shape);
            }
        });
    }

    pub fn conv(&mut self, unit: UnitId, [x, y]: [SlotId; 2], stats: Option<NormId>, group: Group) {
        let pass = self.pass;
        let Some(conv) = &pass.units.convs[unit] else { return };
        let train = matches!(self.mode, Mode::Train { .. });
        let stats = stats.filter(|_| train);
        let shape = pass.plan.slots[y].shape;
        let mut sums = self.take_sums(0, &shape);
        let mut kernel = std::mem::take(&mut self.worker.kernel);
        self.write(y, group, |run, y, _| {
            let epilogue = if stats.is_some() && conv.db.is_empty() {
                Epilogue::Stats { sums: &mut sums }
            } else if conv.db.is_empty() {
                Epilogue::Plain
            } else {
                Epilogue::Bias { bias: &conv.bias[0], residual: None, relu: false }
            };
            let x = run.view(x, group);
            let (weight, threads) = (&conv.weight[0], run.threads);
            conv.forward.run(x.data, group.n, weight, epilogue, y, &mut kernel, threads);
        });
        self.worker.kernel = kernel;
        if let Some(norm) = stats {
            if !conv.db.is_empty() {
                kernels::moments(pass.level, group.n, self.view(y, group), &mut sums);
            }
            self.count(norm, &sums);
        }
        self.worker.sums[0] = sums;
    }

    pub fn moments(&mut self, norm: NormId, z: SlotId, group: Group) {
        let pass = self.pass;
        let mut sums = self.take_sums(0, &pass.plan.slots[z].shape);
        kernels::moments(pass.level, group.n, self.view(z, group), &mut sums);
        self.count(norm, &sums);
        self.worker.sums[0] = sums;
    }

    pub fn join(
        &mut self,
        terms: &[(SlotId, Option<NormId>)],
        relu: bool,
        y: SlotId,
        group: Group,
    ) {
        let pass = self.pass;
        let (level, n) = (pass.level, group.n);
        self.write(y, group, |run, y, shape| {
            let term = |&(slot, norm): &(SlotId, Option<NormId>)| Term {
                tensor: run.view(slot, group),
                affine: norm.map(|k| [&pass.norms[k].scale[..], &pass.norms[k].shift[..]]),
            };
            match terms {
                [a] => kernels::join(level, n, &[term(a)], relu, y, shape),
                [a, b] => kernels::join(level, n, &[term(a), term(b)], relu, y, shape),
                _ => unreachable!("a join has one or two terms"),
            }
        });
    }

    pub fn plain(&mut self, unit: UnitId, inputs: &[SlotId], y: SlotId, group: Group) {
        let pass = self.pass;
        let mut kernel = std::mem::take(&mut self.worker.kernel);
        self.write(y, group, |run, y, shape| {
            let inputs: Vec<Tensor> = inputs.iter().map(|&x| run.view(x, group)).collect();
            let layer = &pass.graph.units[unit].op;
            let (rows, draws) = (&pass.units.rows[unit], &run.draws(group));
            let with = With { level: pass.level, rows, draws, work: &mut kernel };
            layers::forward(layer, &inputs, with, y, shape);
        });
        self.worker.kernel = kernel;
    }

    pub fn loss(&mut self, logits: SlotId, gradient: SlotId, group: Group) {
        let (target, total) = (self.batch.target, self.total);
        let first = self.first + group.start;
        let (losses, correct) = self.write(gradient, group, |run, g, shape| {
            let z = run.view(logits, group);
            let mut found = (0.0, 0);
            let (mut outputs, mut gradient) = (Vec::new(), Vec::new());
            let z_shape = run.pass.plan.slots[logits].shape;
            let pixels = z.data.chunks_exact(z.shape.len()).zip(g.chunks_exact_mut(shape.len()));
            for (k, (z, g)) in pixels.enumerate() {
                let len = shape.pixels() * shape.c;
                match target {
                    LossTarget::Of { targets, label_smoothing } => {
                        outputs.clear();
                        rows(z, &z_shape).for_each(|row| outputs.extend_from_slice(row));
                        gradient.resize(len, 0.0);
                        let target = targets.example(first + k, total);
                        let (loss, right) =
                            loss_grad(&outputs, target, label_smoothing, &mut gradient);
                        // Of the mean over the batch.
                        gradient.iter_mut().for_each(|g| *g /= total as f32);
                        set_rows(&gradient, g, shape);
                        found = (found.0 + loss, found.1 + right);
                    }
                    LossTarget::Gradient(given) => {
                        set_rows(&given[(first + k) * len..][..len], g, shape);
                    }
                }
            }
            found
        });
        self.piece.losses += losses;
        self.piece.correct += correct;
    }

    pub fn output(&mut self, from: SlotId, by_rows: bool, group: Group) {
        let mut output = std::mem::take(&mut self.piece.output);
        let from = self.view(from, group);
        for image in from.data.chunks_exact(from.shape.len()) {
            if by_rows {
                rows(image, from.shape).for_each(|row| output.extend_from_slice(row));
            } else {
                unload(image, from.shape, &mut output);
            }
        }
        self.piece.output = output;
    }
}
