//! The steps of the backward pass.

use super::run::{Group, Run};
use crate::backend::native::graph::{NormId, Unit};
use crate::backend::native::kernels::{self, Reduction, Tensor};
use crate::backend::native::layers::{self, With};
use crate::backend::native::plan::{SlotId, UnitId};

impl Run<'_> {
    pub fn join_backward(
        &mut self,
        sources: &[SlotId],
        mask: Option<SlotId>,
        reductions: &[(NormId, SlotId)],
        g: SlotId,
        group: Group,
    ) {
        let pass = self.pass;
        let shape = pass.plan.slots[g].shape;
        let mut sums = [self.take_sums(0, &shape), self.take_sums(1, &shape)];
        self.write(g, group, |run, g, shape| {
            let view = |slot: SlotId| run.view(slot, group);
            let sources: Vec<Tensor> = sources.iter().map(|&s| view(s)).collect();
            let mut found: Vec<Reduction> = reductions
                .iter()
                .zip(&mut sums)
                .map(|(&(_, z), sums)| Reduction { z: view(z), sums })
                .collect();
            let (level, mask) = (pass.level, mask.map(view));
            kernels::join_backward(level, group.n, &sources, mask, &mut found, g, shape);
        });
        for ((norm, _), sums) in reductions.iter().zip(&sums) {
            self.count(*norm, sums);
        }
        self.worker.sums = sums;
    }

    pub fn norm_backward(&mut self, norm: NormId, [g, z]: [SlotId; 2], dz: SlotId, group: Group) {
        let pass = self.pass;
        self.write(dz, group, |run, dz, shape| {
            let [k1, k2, k3] = &pass.norms[norm].k;
            let (g, z) = (run.view(g, group), run.view(z, group));
            kernels::affine_backward(pass.level, group.n, g, z, [k1, k2, k3], dz, shape);
        });
    }

    pub fn conv_weights(&mut self, unit: UnitId, [x, dz]: [SlotId; 2], group: Group) {
        let Some(conv) = &self.pass.units.convs[unit] else { return };
        let mut dw = std::mem::take(&mut self.piece.dw);
        let mut kernel = std::mem::take(&mut self.worker.kernel);
        let (x, dz) = (self.view(x, group), self.view(dz, group));
        let own = &mut dw[conv.dw.clone()];
        conv.weights.run(x.data, dz.data, group.n, own, &mut kernel, self.threads);
        if !conv.db.is_empty() {
            let db = &mut dw[conv.db.clone()];
            for image in dz.data.chunks_exact(dz.shape.len()) {
                // The border is zero: all pixels may be summed.
                for pixel in image.chunks_exact(dz.shape.stride) {
                    db.iter_mut().zip(pixel).for_each(|(d, v)| *d += v);
                }
            }
        }
        self.piece.dw = dw;
        self.worker.kernel = kernel;
    }

    pub fn conv_data(&mut self, unit: UnitId, [dz, dx]: [SlotId; 2], group: Group) {
        let Some(conv) = &self.pass.units.convs[unit] else { return };
        let Some(data) = &conv.data else { return };
        let mut kernel = std::mem::take(&mut self.worker.kernel);
        self.write(dx, group, |run, dx, _| {
            let dz = run.view(dz, group).data;
            data.run(dz, group.n, &conv.weight_back[0], dx, &mut kernel, run.threads);
        });
        self.worker.kernel = kernel;
    }

    pub fn rows(&mut self, unit: UnitId, saved: Option<SlotId>, dy: SlotId, group: Group) {
        let pass = self.pass;
        let mut dw = std::mem::take(&mut self.piece.dw);
        let saved = saved.map(|x| self.view(x, group));
        let (op, dy) = (&pass.graph.units[unit].op, self.view(dy, group));
        layers::gradient(op, pass.level, &pass.units.rows[unit], saved, dy, &mut dw);
        self.piece.dw = dw;
    }

    pub fn plain_backward(
        &mut self,
        (unit, input): (UnitId, usize),
        saved: &[SlotId],
        [dy, dx]: [SlotId; 2],
        group: Group,
    ) {
        let pass = self.pass;
        let mut kernel = std::mem::take(&mut self.worker.kernel);
        self.write(dx, group, |run, dx, shape| {
            let Unit { op, inputs, .. } = &pass.graph.units[unit];
            let before = inputs[..input].iter().map(|&v| pass.graph.values[v][0]).sum();
            let saved: Vec<Tensor> = saved.iter().map(|&x| run.view(x, group)).collect();
            let dy = run.view(dy, group);
            let (rows, draws) = (&pass.units.rows[unit], &run.draws(group));
            let with = With { level: pass.level, rows, draws, work: &mut kernel };
            layers::backward(op, before, &saved, dy, with, dx, shape);
        });
        self.worker.kernel = kernel;
    }
}
