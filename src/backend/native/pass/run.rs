//! A worker on a piece of the batch: a phase's steps on a few images at a time, and where their
//! tensors are.

use std::time::Instant;

use super::{Batch, Mode, Pass, Piece, Worker};
use crate::backend::native::graph::NormId;
use crate::backend::native::kernels::{Tensor, Threads};
use crate::backend::native::plan::{Memory, Phase, Slot, SlotId, Step};
use crate::backend::native::shape::Shape;
use crate::network::NodeId;
use crate::rng::Rng;

/// A worker on a piece.
pub(super) struct Run<'a> {
    pub pass: &'a Pass,
    pub piece: &'a mut Piece,
    /// The piece's part of the tensors of the batch.
    pub slots: Vec<&'a mut [f32]>,
    pub worker: &'a mut Worker,
    pub batch: Batch<'a>,
    pub mode: Mode<'a>,
    /// The piece's first image in the batch.
    pub first: usize,
    /// Images of the batch.
    pub total: usize,
    /// Floats of an input image.
    pub image: usize,
    /// Who computes linear layers.
    pub threads: Threads,
}

/// Images of a piece that go through a phase together.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub start: usize,
    pub n: usize,
}

impl Run<'_> {
    /// All of a phase that comes after `steps_before` steps; `gradients` is its length of
    /// [`Piece::dw`].
    pub fn phase(
        mut self,
        (phase, steps_before): (&Phase, usize),
        images: usize,
        gradients: usize,
    ) {
        self.piece.dw.clear();
        self.piece.dw.resize(gradients, 0.0);
        for start in (0..images).step_by(phase.group) {
            let group = Group { start, n: phase.group.min(images - start) };
            for (k, step) in phase.steps.iter().enumerate() {
                if self.worker.times.is_empty() {
                    self.step(step, group);
                } else {
                    let started = Instant::now();
                    self.step(step, group);
                    let threads = if self.is_shared(step) { self.pass.workers.len() } else { 1 };
                    let elapsed = started.elapsed().as_secs_f64();
                    self.worker.times[steps_before + k] += threads as f64 * elapsed;
                }
            }
        }
    }

    /// Whether all threads work on a step.
    fn is_shared(&self, step: &Step) -> bool {
        let linear =
            matches!(step, Step::Conv { .. } | Step::ConvWeights { .. } | Step::ConvData { .. });
        linear && self.threads == Threads::All
    }

    /// A slot's images of the group.
    pub fn view(&self, slot: SlotId, group: Group) -> Tensor<'_> {
        let Slot { shape, memory } = &self.pass.plan.slots[slot];
        let len = shape.len();
        let data = match *memory {
            Memory::Batch(i) => &self.slots[i][group.start * len..][..group.n * len],
            Memory::Scratch(i) => &self.worker.slots[i][..group.n * len],
        };
        Tensor { data, shape }
    }

    /// Lets `f` write a slot's images of the group while it reads any others.
    pub fn write<R>(
        &mut self,
        slot: SlotId,
        group: Group,
        f: impl FnOnce(&Self, &mut [f32], &Shape) -> R,
    ) -> R {
        let Slot { shape, memory } = self.pass.plan.slots[slot];
        let len = shape.len();
        // Out of the way while it is written.
        match memory {
            Memory::Batch(i) => {
                let data = std::mem::take(&mut self.slots[i]);
                let result = f(self, &mut data[group.start * len..][..group.n * len], &shape);
                self.slots[i] = data;
                result
            }
            Memory::Scratch(i) => {
                let mut data = std::mem::take(&mut self.worker.slots[i]);
                let result = f(self, &mut data[..group.n * len], &shape);
                self.worker.slots[i] = data;
                result
            }
        }
    }

    /// Adds what a kernel counted to the piece's sums for `norm`.
    pub fn count(&mut self, norm: NormId, sums: &[f32]) {
        let all = &mut self.piece.sums[norm];
        all.resize(sums.len(), 0.0);
        all.iter_mut().zip(sums).for_each(|(a, s)| *a += f64::from(*s));
    }

    /// One of the worker's buffers for sums, cleared; to be put back.
    pub fn take_sums(&mut self, which: usize, shape: &Shape) -> Vec<f32> {
        let mut sums = std::mem::take(&mut self.worker.sums[which]);
        sums.clear();
        sums.resize(2 * shape.stride, 0.0);
        sums
    }

    fn step(&mut self, step: &Step, group: Group) {
        match step {
            Step::Input { to } => self.input(*to, group),
            Step::Conv { unit, x, y, stats } => self.conv(*unit, [*x, *y], *stats, group),
            Step::Fused { .. } => unreachable!("evaluation has its own loop"),
            Step::Moments { norm, z } => self.moments(*norm, *z, group),
            Step::Join { terms, relu, y } => self.join(terms, *relu, *y, group),
            Step::Plain { unit, inputs, y } => self.plain(*unit, inputs, *y, group),
            Step::Loss { logits, gradient } => self.loss(*logits, *gradient, group),
            Step::Output { from, by_rows } => self.output(*from, *by_rows, group),
            Step::JoinBackward { sources, mask, reductions, g } => {
                self.join_backward(sources, *mask, reductions, *g, group);
            }
            Step::NormBackward { norm, g, z, dz } => {
                self.norm_backward(*norm, [*g, *z], *dz, group);
            }
            Step::ConvWeights { unit, x, dz } => self.conv_weights(*unit, [*x, *dz], group),
            Step::ConvData { unit, dz, dx } => self.conv_data(*unit, [*dz, *dx], group),
            Step::Rows { unit, saved, dy } => self.rows(*unit, *saved, *dy, group),
            Step::PlainBackward { unit, input, saved, dy, dx } => {
                self.plain_backward((*unit, *input), saved, [*dy, *dx], group);
            }
        }
    }

    /// Each dropout layer's stream for an image of the group, in train mode.
    pub fn draws(&self, group: Group) -> impl Fn(NodeId, usize) -> Option<Rng> {
        let (mode, first) = (self.mode, self.first + group.start);
        move |node, k| match mode {
            Mode::Train { streams, step } => {
                Some(streams.stream(&format!("dropout/{node}/{}", first + k), step))
            }
            Mode::Eval => None,
        }
    }
}
