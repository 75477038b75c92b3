//! Executes a [`Plan`]: one pass over a batch, forward and backward.
//!
//! The batch is cut into pieces by its size alone. A piece owns its images' memory and its partial
//! sums, and one worker at a time works on it; partial sums are added up in the pieces' order. So
//! the bytes do not depend on the number of workers, and nothing is shared that could race.

use std::sync::{Mutex, MutexGuard};

use rayon::prelude::*;

use super::graph::{BatchNorm, Graph, Layer, NormId, Purpose, Unit};
use super::kernels::{
    self, Algorithm, Data, Epilogue, Forward, Geometry, Reduction, Tensor, Term, Weights,
};
use super::layers::{self, With};
use super::plan::{Cut, Finish, Memory, Phase, Plan, Slot, SlotId, Step};
use super::rows::Rows;
use super::shape::Shape;
use super::simd::Level;
use crate::backend::{TrainLoss, cross_entropy_grad};
use crate::network::{Network, NodeId};
use crate::rng::{Rng, Streams};

/// Most pieces a batch is cut into: the most workers that find work.
const PIECES: usize = 16;

/// How normalisation and dropout behave.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode<'a> {
    /// Batch statistics; dropout drawn for this step.
    Train { streams: &'a Streams, step: u64 },
    /// Running statistics, no dropout.
    Eval,
}

/// A batch and what is to be found at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    pub images: &'a [f32],
    pub goal: Goal<'a>,
}

/// What follows the logits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal<'a> {
    /// The mean cross-entropy with these classes.
    Classes { labels: &'a [u8], label_smoothing: f64 },
    /// Somebody else's loss: its gradient to the logits, (n, classes).
    Gradient(&'a [f32]),
}

/// A convolution's kernels and where its weights' gradient lies in a piece's partial sums.
#[derive(Debug)]
struct ConvUnit {
    forward: Forward,
    data: Option<Data>,
    weights: Weights,
    /// Packed weights of both.
    packed: [Vec<f32>; 2],
    /// Bias, (stride,), where there is one.
    bias: Vec<f32>,
    /// In a piece's partial sums: the weights' gradient, then the bias's.
    dw: std::ops::Range<usize>,
    db: std::ops::Range<usize>,
}

/// A normalisation's state during a pass; all (stride,).
#[derive(Debug, Default)]
struct NormState {
    mean: Vec<f32>,
    inverse: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    k: [Vec<f32>; 3],
}

/// A piece of the batch.
#[derive(Debug, Default)]
struct Piece {
    slots: Vec<Vec<f32>>,
    /// For each normalisation two sums by channel, (2, stride).
    sums: Vec<Vec<f64>>,
    /// Gradients of the parameters that the phase at hand reaches.
    dw: Vec<f32>,
    /// What [`Step::Output`] puts out.
    output: Vec<f32>,
    losses: f64,
    correct: usize,
}

/// A worker's own memory.
#[derive(Debug, Default)]
struct Worker {
    slots: Vec<Vec<f32>>,
    sums: [Vec<f32>; 2],
    /// What a kernel needs while it runs.
    kernel: Vec<f32>,
}

/// Everything a pass needs, made once for a network and kept between steps.
#[derive(Debug)]
pub(super) struct Pass {
    level: Level,
    graph: Graph,
    plan: Plan,
    convs: Vec<Option<ConvUnit>>,
    /// For each unit the parameters that it reads as rows.
    rows: Vec<Vec<Rows>>,
    norms: Vec<NormState>,
    pieces: Vec<Mutex<Piece>>,
    workers: Vec<Mutex<Worker>>,
    total: Vec<f32>,
}

/// A lock that only a panic elsewhere could have poisoned; that panic is on its way up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Batch<'_> {
    fn len(&self, network: &Network) -> usize {
        self.images.len() / network.input.iter().product::<usize>()
    }
}

impl Pass {
    /// A pass for `graph` with room for `workers` workers.
    pub fn new(level: Level, network: &Network, cut: Cut, workers: usize) -> Self {
        let graph = Graph::new(network, Purpose::Train);
        let plan = Plan::new(&graph, cut);
        let mut convs: Vec<Option<ConvUnit>> = graph.units.iter().map(|_| None).collect();
        let mut rows: Vec<Vec<Rows>> = graph.units.iter().map(|_| Vec::new()).collect();
        let mut forward: Vec<Option<[SlotId; 2]>> = vec![None; graph.units.len()];
        for phase in &plan.phases {
            let mut at = 0;
            let algorithm = Algorithm::from_env();
            let geometry = |form| Geometry { level, algorithm, form, images: phase.group };
            for step in &phase.steps {
                match *step {
                    Step::Conv { unit, x, y, .. } => forward[unit] = Some([x, y]),
                    Step::ConvWeights { unit, dz, .. } => {
                        let Layer::Conv { form, bias, .. } = graph.units[unit].layer else {
                            unreachable!("only convolutions have weights")
                        };
                        let [x, y] = forward[unit].expect("forward comes first");
                        let shape = |slot: SlotId| plan.slots[slot].shape;
                        let conv = Forward::new(&geometry(form), shape(x), shape(y));
                        let weights = Weights::new(&geometry(form), shape(x), shape(dz));
                        let dw = at..at + weights.gathered_len();
                        let stride = shape(y).stride;
                        let db = dw.end..dw.end + if bias.is_some() { stride } else { 0 };
                        at = db.end;
                        convs[unit] = Some(ConvUnit {
                            packed: [vec![0.0; conv.packed_len()], Vec::new()],
                            forward: conv,
                            data: None,
                            weights,
                            bias: vec![0.0; if bias.is_some() { stride } else { 0 }],
                            dw,
                            db,
                        });
                    }
                    Step::Rows { unit, .. } => {
                        let Unit { layer, output, .. } = &graph.units[unit];
                        for param in layer.rows() {
                            let channels = graph.values[*output][0];
                            let of = Rows::new(&network.layout, param, channels, at);
                            at = of.grad.end;
                            rows[unit].push(of);
                        }
                    }
                    Step::ConvData { unit, dz, dx } => {
                        let Layer::Conv { form, .. } = graph.units[unit].layer else {
                            unreachable!("only convolutions have weights")
                        };
                        let shape = |slot: SlotId| plan.slots[slot].shape;
                        let data = Data::new(&geometry(form), shape(dz), shape(dx));
                        if let Some(conv) = &mut convs[unit] {
                            conv.packed[1] = vec![0.0; data.packed_len()];
                            conv.data = Some(data);
                        }
                    }
                    _ => {}
                }
            }
        }
        let scratch = |c: &ConvUnit| {
            let data = c.data.as_ref().map_or(0, Data::scratch_len);
            c.forward.scratch_len().max(c.weights.scratch_len()).max(data)
        };
        let kernel = convs.iter().flatten().map(scratch).max().unwrap_or(0);
        let worker = || {
            let slot = |s: &Shape| vec![0.0; s.len() * plan.largest_group];
            let slots = plan.scratch.iter().map(slot).collect();
            Mutex::new(Worker { slots, kernel: vec![0.0; kernel], ..Worker::default() })
        };
        let workers = (0..workers).map(|_| worker()).collect();
        let norms = graph.norms.iter().map(|_| NormState::default()).collect();
        let (pieces, total) = (Vec::new(), Vec::new());
        Self { level, graph, plan, convs, rows, norms, pieces, workers, total }
    }

    /// Workers it has room for.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Runs the pass; writes the mean gradient over `grad` and, in train mode, moves the running
    /// statistics in `buffers`.
    pub fn run(
        &mut self,
        network: &Network,
        theta: &[f32],
        buffers: &mut [f32],
        batch: Batch,
        mode: Mode,
        grad: &mut [f32],
    ) -> TrainLoss {
        self.begin(network, theta, buffers, batch, mode);
        grad.fill(0.0);
        self.phases(0..self.plan.phases.len(), network, theta, buffers, batch, mode, grad);
        let n = batch.len(network);
        let (mut loss, mut correct) = (0.0, 0);
        for piece in &self.pieces[..n.div_ceil(n.div_ceil(PIECES))] {
            let piece = lock(piece);
            loss += piece.losses;
            correct += piece.correct;
        }
        TrainLoss { loss: loss / n as f64, correct }
    }

    /// The first half of a pass that is cut at its loss: returns the logits, (n, classes), and keeps
    /// what the second half needs.
    pub fn forward(
        &mut self,
        network: &Network,
        theta: &[f32],
        buffers: &mut [f32],
        images: &[f32],
        mode: Mode,
    ) -> Vec<f32> {
        let batch = Batch { images, goal: Goal::Gradient(&[]) };
        self.begin(network, theta, buffers, batch, mode);
        self.phases(0..self.loss(), network, theta, buffers, batch, mode, &mut []);
        self.output(batch.len(network))
    }

    /// The second half, on the same images: writes the gradient of a loss with the gradient `dlogits`
    /// over `grad`; returns the gradient to the images, (n, c, h, w), where the cut asks for it.
    pub fn backward(
        &mut self,
        network: &Network,
        theta: &[f32],
        images: &[f32],
        dlogits: &[f32],
        mode: Mode,
        grad: &mut [f32],
    ) -> Vec<f32> {
        let batch = Batch { images, goal: Goal::Gradient(dlogits) };
        grad.fill(0.0);
        let phases = self.loss()..self.plan.phases.len();
        self.phases(phases, network, theta, &mut [], batch, mode, grad);
        self.output(batch.len(network))
    }

    /// The phase that begins with the loss.
    fn loss(&self) -> usize {
        let begins = |p: &Phase| matches!(p.steps.first(), Some(Step::Loss { .. }));
        self.plan.phases.iter().position(begins).expect("the pass is cut at its loss")
    }

    /// What the pieces put out, in their order.
    fn output(&self, n: usize) -> Vec<f32> {
        let mut all = Vec::new();
        for piece in &self.pieces[..n.div_ceil(n.div_ceil(PIECES))] {
            all.append(&mut lock(piece).output);
        }
        all
    }

    /// Everything that comes before the first phase.
    fn begin(
        &mut self,
        network: &Network,
        theta: &[f32],
        buffers: &[f32],
        batch: Batch,
        mode: Mode,
    ) {
        let n = batch.len(network);
        let per_piece = n.div_ceil(PIECES);
        self.make_room(n.div_ceil(per_piece), per_piece);
        self.pack(network, theta);
        if matches!(mode, Mode::Eval) {
            for id in 0..self.graph.norms.len() {
                self.set_norm_from_buffers(network, theta, buffers, id);
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // the run's own arguments
    fn phases(
        &mut self,
        range: std::ops::Range<usize>,
        network: &Network,
        theta: &[f32],
        buffers: &mut [f32],
        batch: Batch,
        mode: Mode,
        grad: &mut [f32],
    ) {
        let image = network.input.iter().product::<usize>();
        let n = batch.len(network);
        let per_piece = n.div_ceil(PIECES);
        let pieces = n.div_ceil(per_piece);
        let phases = std::mem::take(&mut self.plan.phases);
        for phase in &phases[range] {
            let gradients = self.gradient_len(phase);
            let this = &*self;
            let work = |p: usize| {
                let worker = rayon::current_thread_index().unwrap_or(0) % this.workers.len();
                let run = Run {
                    pass: this,
                    piece: &mut lock(&this.pieces[p]),
                    worker: &mut lock(&this.workers[worker]),
                    batch,
                    mode,
                    first: p * per_piece,
                    total: n,
                    image,
                };
                let here = per_piece.min(n - p * per_piece);
                run.phase(phase, here, gradients);
            };
            if self.workers.len() == 1 {
                (0..pieces).for_each(work);
            } else {
                (0..pieces).into_par_iter().with_max_len(1).for_each(work);
            }
            for finish in &phase.finish {
                self.finish(*finish, network, theta, buffers, n, pieces, mode, grad);
            }
            if gradients > 0 {
                self.collect(phase, network, pieces, grad);
            }
        }
        self.plan.phases = phases;
    }

    /// Pieces with memory for `images` images each; what is there is kept.
    fn make_room(&mut self, pieces: usize, images: usize) {
        while self.pieces.len() < pieces {
            self.pieces.push(Mutex::default());
        }
        for piece in &self.pieces[..pieces] {
            let mut piece = lock(piece);
            piece.slots.resize_with(self.plan.batch.len(), Vec::new);
            for (slot, shape) in piece.slots.iter_mut().zip(&self.plan.batch) {
                if slot.len() < images * shape.len() {
                    slot.resize(images * shape.len(), 0.0);
                }
            }
            piece.output.clear();
            piece.losses = 0.0;
            piece.correct = 0;
            piece.sums.resize_with(self.norms.len(), Vec::new);
        }
    }

    /// Floats of the gradients that a phase adds up in each piece.
    fn gradient_len(&self, phase: &Phase) -> usize {
        let end = |step: &Step| match step {
            Step::ConvWeights { unit, .. } => self.convs[*unit].as_ref().map_or(0, |c| c.db.end),
            Step::Rows { unit, .. } => self.rows[*unit].last().map_or(0, |r| r.grad.end),
            _ => 0,
        };
        phase.steps.iter().map(end).max().unwrap_or(0)
    }

    fn pack(&mut self, network: &Network, theta: &[f32]) {
        let params = &network.layout.params;
        self.rows.iter_mut().flatten().for_each(|r| r.pack(&network.layout, theta));
        self.convs.par_iter_mut().zip(&self.graph.units).for_each(|(conv, unit)| {
            if let (Some(conv), Layer::Conv { weight, bias, .. }) = (conv, &unit.layer) {
                let weight = &theta[params[*weight].range()];
                conv.forward.pack(weight, None, &mut conv.packed[0]);
                if let Some(data) = &conv.data {
                    data.pack(weight, &mut conv.packed[1]);
                }
                if let Some(bias) = bias {
                    let bias = &theta[params[*bias].range()];
                    conv.bias[..bias.len()].copy_from_slice(bias);
                }
            }
        });
    }

    fn norm_shape(&self, norm: &BatchNorm) -> Shape {
        Shape::new(self.graph.values[norm.input], 0)
    }

    fn set_norm_from_buffers(
        &mut self,
        network: &Network,
        theta: &[f32],
        buffers: &[f32],
        id: NormId,
    ) {
        let norm = self.graph.norms[id];
        let layout = &network.layout;
        let mean = &buffers[layout.buffers[norm.mean].range()];
        let var = &buffers[layout.buffers[norm.var].range()];
        let mean: Vec<f64> = mean.iter().map(|v| f64::from(*v)).collect();
        let var: Vec<f64> = var.iter().map(|v| f64::from(*v)).collect();
        self.set_norm(network, theta, id, &mean, &var);
    }

    /// scale = weight / sqrt(var + eps), shift = bias - mean scale.
    fn set_norm(
        &mut self,
        network: &Network,
        theta: &[f32],
        id: NormId,
        mean: &[f64],
        var: &[f64],
    ) {
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
    fn sums(&self, id: NormId, pieces: usize) -> Vec<f64> {
        let mut all = vec![0.0; 2 * self.norm_shape(&self.graph.norms[id]).stride];
        for piece in &self.pieces[..pieces] {
            let mut piece = lock(piece);
            all.iter_mut().zip(&piece.sums[id]).for_each(|(a, s)| *a += s);
            piece.sums[id].fill(0.0);
        }
        all
    }

    #[allow(clippy::too_many_arguments)] // the run's own arguments
    fn finish(
        &mut self,
        finish: Finish,
        network: &Network,
        theta: &[f32],
        buffers: &mut [f32],
        n: usize,
        pieces: usize,
        mode: Mode,
        grad: &mut [f32],
    ) {
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
                self.set_norm(network, theta, id, &mean, &var);
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

    /// Adds up the pieces' gradients of the phase's convolutions and writes them to `grad`.
    fn collect(&mut self, phase: &Phase, network: &Network, pieces: usize, grad: &mut [f32]) {
        let guards: Vec<_> = self.pieces[..pieces].iter().map(lock).collect();
        let parts: Vec<&[f32]> = guards.iter().map(|p| p.dw.as_slice()).collect();
        let len = parts[0].len();
        self.total.resize(len, 0.0);
        let add = |(k, total): (usize, &mut [f32])| {
            let range = k * CHUNK..(k * CHUNK + total.len());
            total.copy_from_slice(&parts[0][range.clone()]);
            for part in &parts[1..] {
                total.iter_mut().zip(&part[range.clone()]).for_each(|(t, p)| *t += p);
            }
        };
        const CHUNK: usize = 8192;
        if self.workers.len() == 1 {
            self.total.chunks_mut(CHUNK).enumerate().for_each(add);
        } else {
            self.total.par_chunks_mut(CHUNK).enumerate().for_each(add);
        }
        let params = &network.layout.params;
        for step in &phase.steps {
            let unit = match *step {
                Step::Rows { unit, .. } => {
                    for rows in &self.rows[unit] {
                        rows.unpack(&network.layout, &self.total, grad);
                    }
                    continue;
                }
                Step::ConvWeights { unit, .. } => unit,
                _ => continue,
            };
            let (Some(conv), Layer::Conv { weight, bias, .. }) =
                (&self.convs[unit], &self.graph.units[unit].layer)
            else {
                continue;
            };
            conv.weights.finish(&self.total[conv.dw.clone()], &mut grad[params[*weight].range()]);
            if let Some(bias) = bias {
                let grad = &mut grad[params[*bias].range()];
                grad.iter_mut().zip(&self.total[conv.db.clone()]).for_each(|(g, t)| *g = *t);
            }
        }
    }
}

/// A worker on a piece.
struct Run<'a> {
    pass: &'a Pass,
    piece: &'a mut Piece,
    worker: &'a mut Worker,
    batch: Batch<'a>,
    mode: Mode<'a>,
    /// The piece's first image in the batch.
    first: usize,
    /// Images of the batch.
    total: usize,
    /// Floats of an input image.
    image: usize,
}

/// Images of a piece that go through a phase together.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    n: usize,
}

impl Run<'_> {
    /// `gradients` is the phase's [`Pass::gradient_len`].
    fn phase(mut self, phase: &Phase, images: usize, gradients: usize) {
        self.piece.dw.clear();
        self.piece.dw.resize(gradients, 0.0);
        for start in (0..images).step_by(phase.group) {
            let group = Group { start, n: phase.group.min(images - start) };
            for step in &phase.steps {
                self.step(step, group);
            }
        }
    }

    /// A slot's images of the group.
    fn view(&self, slot: SlotId, group: Group) -> Tensor<'_> {
        let Slot { shape, memory } = &self.pass.plan.slots[slot];
        let len = shape.len();
        let data = match *memory {
            Memory::Batch(i) => &self.piece.slots[i][group.start * len..][..group.n * len],
            Memory::Scratch(i) => &self.worker.slots[i][..group.n * len],
        };
        Tensor { data, shape }
    }

    fn storage(&mut self, slot: SlotId) -> &mut Vec<f32> {
        match self.pass.plan.slots[slot].memory {
            Memory::Batch(i) => &mut self.piece.slots[i],
            Memory::Scratch(i) => &mut self.worker.slots[i],
        }
    }

    /// Lets `f` write a slot's images of the group while it reads any others.
    fn write<R>(
        &mut self,
        slot: SlotId,
        group: Group,
        f: impl FnOnce(&Self, &mut [f32], &Shape) -> R,
    ) -> R {
        let Slot { shape, memory } = self.pass.plan.slots[slot];
        let len = shape.len();
        let start = if matches!(memory, Memory::Batch(_)) { group.start * len } else { 0 };
        let mut data = std::mem::take(self.storage(slot));
        let result = f(self, &mut data[start..start + group.n * len], &shape);
        *self.storage(slot) = data;
        result
    }

    /// Adds what a kernel counted to the piece's sums for `norm`.
    fn count(&mut self, norm: NormId, sums: &[f32]) {
        let all = &mut self.piece.sums[norm];
        all.resize(sums.len(), 0.0);
        all.iter_mut().zip(sums).for_each(|(a, s)| *a += f64::from(*s));
    }

    /// One of the worker's buffers for sums, cleared; to be put back.
    fn take_sums(&mut self, which: usize, shape: &Shape) -> Vec<f32> {
        let mut sums = std::mem::take(&mut self.worker.sums[which]);
        sums.clear();
        sums.resize(2 * shape.stride, 0.0);
        sums
    }

    fn step(&mut self, step: &Step, group: Group) {
        let pass = self.pass;
        let level = pass.level;
        let n = group.n;
        match step {
            Step::Input { to } => self.write(*to, group, |run, y, shape| {
                let from = (run.first + group.start) * run.image;
                let images = run.batch.images[from..].chunks_exact(run.image);
                for (image, y) in images.zip(y.chunks_exact_mut(shape.len())) {
                    load(image, y, shape);
                }
            }),
            Step::Conv { unit, x, y, stats } => {
                let Some(conv) = &pass.convs[*unit] else { return };
                let train = matches!(self.mode, Mode::Train { .. });
                let stats = stats.filter(|_| train);
                let shape = pass.plan.slots[*y].shape;
                let mut sums = self.take_sums(0, &shape);
                let mut kernel = std::mem::take(&mut self.worker.kernel);
                self.write(*y, group, |run, y, _| {
                    let epilogue = if stats.is_some() && conv.bias.is_empty() {
                        Epilogue::Stats { sums: &mut sums }
                    } else if conv.bias.is_empty() {
                        Epilogue::Plain
                    } else {
                        Epilogue::Bias { bias: &conv.bias, residual: None, relu: false }
                    };
                    let x = run.view(*x, group);
                    conv.forward.run(x.data, n, &conv.packed[0], epilogue, y, &mut kernel);
                });
                self.worker.kernel = kernel;
                if let Some(norm) = stats {
                    if !conv.bias.is_empty() {
                        kernels::moments(level, n, self.view(*y, group), &mut sums);
                    }
                    self.count(norm, &sums);
                }
                self.worker.sums[0] = sums;
            }
            Step::Fused { .. } => unreachable!("evaluation has its own loop"),
            Step::Moments { norm, z } => {
                let mut sums = self.take_sums(0, &pass.plan.slots[*z].shape);
                kernels::moments(level, n, self.view(*z, group), &mut sums);
                self.count(*norm, &sums);
                self.worker.sums[0] = sums;
            }
            Step::Join { terms, relu, y } => self.write(*y, group, |run, y, shape| {
                let term = |&(slot, norm): &(SlotId, Option<NormId>)| Term {
                    tensor: run.view(slot, group),
                    affine: norm.map(|k| [&pass.norms[k].scale[..], &pass.norms[k].shift[..]]),
                };
                match &terms[..] {
                    [a] => kernels::join(level, n, &[term(a)], *relu, y, shape),
                    [a, b] => kernels::join(level, n, &[term(a), term(b)], *relu, y, shape),
                    _ => unreachable!("a join has one or two terms"),
                }
            }),
            Step::Plain { unit, inputs, y } => {
                let mut kernel = std::mem::take(&mut self.worker.kernel);
                self.write(*y, group, |run, y, shape| {
                    let inputs: Vec<Tensor> = inputs.iter().map(|&x| run.view(x, group)).collect();
                    let layer = &pass.graph.units[*unit].layer;
                    let (rows, draws) = (&pass.rows[*unit], &run.draws(group));
                    let with = With { level, rows, draws, work: &mut kernel };
                    layers::forward(layer, &inputs, with, y, shape);
                });
                self.worker.kernel = kernel;
            }
            Step::Loss { logits, gradient } => {
                let (goal, total) = (self.batch.goal, self.total);
                let first = self.first + group.start;
                let (losses, correct) = self.write(*gradient, group, |run, g, shape| {
                    let z = run.view(*logits, group);
                    let mut found = (0.0, 0);
                    let pixels =
                        z.data.chunks_exact(z.shape.len()).zip(g.chunks_exact_mut(shape.len()));
                    for (k, (z, g)) in pixels.enumerate() {
                        let (from, to) = (pixel(run.pass.plan.slots[*logits].shape), pixel(*shape));
                        let g = &mut g[to];
                        match goal {
                            Goal::Classes { labels, label_smoothing } => {
                                let label = &labels[first + k..][..1];
                                let (loss, right) =
                                    cross_entropy_grad(&z[from], label, label_smoothing, g);
                                // Of the mean over the batch.
                                g.iter_mut().for_each(|g| *g /= total as f32);
                                found = (found.0 + loss, found.1 + right);
                            }
                            Goal::Gradient(given) => {
                                g.copy_from_slice(&given[(first + k) * g.len()..][..g.len()]);
                            }
                        }
                    }
                    found
                });
                self.piece.losses += losses;
                self.piece.correct += correct;
            }
            Step::Output { from } => {
                let mut output = std::mem::take(&mut self.piece.output);
                let from = self.view(*from, group);
                for image in from.data.chunks_exact(from.shape.len()) {
                    unload(image, from.shape, &mut output);
                }
                self.piece.output = output;
            }
            Step::JoinBackward { sources, mask, reductions, g } => {
                let shape = pass.plan.slots[*g].shape;
                let mut sums = [self.take_sums(0, &shape), self.take_sums(1, &shape)];
                self.write(*g, group, |run, g, shape| {
                    let view = |slot: &SlotId| run.view(*slot, group);
                    let sources: Vec<Tensor> = sources.iter().map(view).collect();
                    let mut found: Vec<Reduction> = reductions
                        .iter()
                        .zip(&mut sums)
                        .map(|((_, z), sums)| Reduction { z: view(z), sums })
                        .collect();
                    let mask = mask.as_ref().map(view);
                    kernels::join_backward(level, n, &sources, mask, &mut found, g, shape);
                });
                for ((norm, _), sums) in reductions.iter().zip(&sums) {
                    self.count(*norm, sums);
                }
                self.worker.sums = sums;
            }
            Step::NormBackward { norm, g, z, dz } => self.write(*dz, group, |run, dz, shape| {
                let [k1, k2, k3] = &pass.norms[*norm].k;
                let (g, z) = (run.view(*g, group), run.view(*z, group));
                kernels::affine_backward(level, n, g, z, [k1, k2, k3], dz, shape);
            }),
            Step::ConvWeights { unit, x, dz } => {
                let Some(conv) = &pass.convs[*unit] else { return };
                let mut dw = std::mem::take(&mut self.piece.dw);
                let mut kernel = std::mem::take(&mut self.worker.kernel);
                let (x, dz) = (self.view(*x, group), self.view(*dz, group));
                conv.weights.run(x.data, dz.data, n, &mut dw[conv.dw.clone()], &mut kernel);
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
            Step::ConvData { unit, dz, dx } => {
                let Some(conv) = &pass.convs[*unit] else { return };
                let Some(data) = &conv.data else { return };
                let mut kernel = std::mem::take(&mut self.worker.kernel);
                self.write(*dx, group, |run, dx, _| {
                    let dz = run.view(*dz, group).data;
                    data.run(dz, n, &conv.packed[1], dx, &mut kernel);
                });
                self.worker.kernel = kernel;
            }
            Step::Rows { unit, saved, dy } => {
                let mut dw = std::mem::take(&mut self.piece.dw);
                let saved = saved.map(|x| self.view(x, group));
                let (layer, dy) = (&pass.graph.units[*unit].layer, self.view(*dy, group));
                layers::gradient(layer, level, &pass.rows[*unit], saved, dy, &mut dw);
                self.piece.dw = dw;
            }
            Step::PlainBackward { unit, input, saved, dy, dx } => {
                let mut kernel = std::mem::take(&mut self.worker.kernel);
                self.write(*dx, group, |run, dx, shape| {
                    let Unit { layer, inputs, .. } = &pass.graph.units[*unit];
                    let before = inputs[..*input].iter().map(|&v| pass.graph.values[v][0]).sum();
                    let saved: Vec<Tensor> = saved.iter().map(|&x| run.view(x, group)).collect();
                    let dy = run.view(*dy, group);
                    let (rows, draws) = (&pass.rows[*unit], &run.draws(group));
                    let with = With { level, rows, draws, work: &mut kernel };
                    layers::backward(layer, before, &saved, dy, with, dx, shape);
                });
                self.worker.kernel = kernel;
            }
        }
    }

    fn draws(&self, group: Group) -> impl Fn(NodeId, usize) -> Option<Rng> {
        let (mode, first) = (self.mode, self.first + group.start);
        move |node, k| match mode {
            Mode::Train { streams, step } => {
                Some(streams.stream(&format!("dropout/{node}/{}", first + k), step))
            }
            Mode::Eval => None,
        }
    }
}

/// One pixel's channels in an image of one pixel.
fn pixel(shape: Shape) -> std::ops::Range<usize> {
    let at = shape.at(0, 0);
    at..at + shape.c
}

/// An image (c, h, w) into padded NHWC.
pub(super) fn load(image: &[f32], y: &mut [f32], shape: &Shape) {
    let area = shape.pixels();
    for py in 0..shape.h {
        let at = shape.at(py as isize, 0);
        let row = &mut y[at..at + shape.w * shape.stride];
        for c in 0..shape.c {
            let from = &image[c * area + py * shape.w..][..shape.w];
            row[c..].iter_mut().step_by(shape.stride).zip(from).for_each(|(y, v)| *y = *v);
        }
    }
}

/// The way back of [`load`], behind what `out` holds.
fn unload(image: &[f32], shape: &Shape, out: &mut Vec<f32>) {
    for c in 0..shape.c {
        for y in 0..shape.h {
            let row = &image[shape.at(y as isize, 0) + c..];
            out.extend(row.iter().step_by(shape.stride).take(shape.w));
        }
    }
}
