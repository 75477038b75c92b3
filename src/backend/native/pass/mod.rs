//! Executes a [`PassPlan`]: one pass over a batch, forward and backward.
//!
//! The batch is cut into pieces by its size alone. A piece owns its images' memory and its partial
//! sums, and one worker at a time works on it; partial sums are added up in the pieces' order. So
//! the bytes do not depend on the number of workers, and nothing is shared that could race.

mod backward;
mod forward;
mod norms;
mod run;
mod units;

use std::sync::{Mutex, MutexGuard};

use rayon::prelude::*;

use self::norms::NormState;
use self::run::Run;
use self::units::Units;
use super::graph::{Graph, Purpose};
use super::plan::{LossFrom, PassPlan, Phase, Step};
use super::shape::Shape;
use super::simd::Level;
use crate::backend::TrainLoss;
use crate::dataset::BatchTargets;
use crate::network::Network;
use crate::rng::Streams;

/// Most pieces a batch is cut into: the most workers that find work.
const PIECES: usize = 16;

/// Floats of the pieces' gradients that a worker adds up at a time.
const CHUNK: usize = 8192;

/// How normalisation and dropout behave.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode<'a> {
    /// Batch statistics; dropout drawn for this step.
    Train { streams: &'a Streams, step: u64 },
    /// Running statistics, no dropout.
    Eval,
}

/// Images with the loss to differentiate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    pub images: &'a [f32],
    pub target: LossTarget<'a>,
}

/// The loss whose gradient the pass computes from the logits.
#[derive(Debug, Clone, Copy)]
pub(super) enum LossTarget<'a> {
    /// The mean loss with these targets; label smoothing where they are classes.
    Of { targets: BatchTargets<'a>, label_smoothing: f64 },
    /// A loss computed by the caller: its gradient to the logits, (n, classes).
    Gradient(&'a [f32]),
}

/// What a pass is run on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task<'a> {
    pub network: &'a Network,
    pub theta: &'a [f32],
    pub batch: Batch<'a>,
    pub mode: Mode<'a>,
}

/// A piece of the batch.
#[derive(Debug, Default)]
struct Piece {
    slots: Vec<Vec<f32>>,
    /// For each normalisation two sums by channel, (2, stride).
    sums: Vec<Vec<f64>>,
    /// Gradients of the parameters that the current phase reaches.
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
    plan: PassPlan,
    units: Units,
    norms: Vec<NormState>,
    pieces: Vec<Mutex<Piece>>,
    workers: Vec<Mutex<Worker>>,
    total: Vec<f32>,
}

/// Locks, also after a panic on another thread, which is being propagated anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Task<'_> {
    /// Images of the batch.
    fn images(&self) -> usize {
        self.batch.images.len() / self.network.input.iter().product::<usize>()
    }

    /// Images of a piece; the last may have fewer.
    fn per_piece(&self) -> usize {
        self.images().div_ceil(PIECES)
    }

    fn pieces(&self) -> usize {
        self.images().div_ceil(self.per_piece())
    }
}

impl Pass {
    /// A pass for `network` with room for `workers` workers.
    pub fn new(level: Level, network: &Network, loss_from: LossFrom, workers: usize) -> Self {
        let graph = Graph::new(network, Purpose::Train);
        let plan = PassPlan::new(&graph, loss_from);
        let units = Units::new(level, network, &graph, &plan);
        let kernel = units.scratch_len();
        let worker = || {
            let slot = |s: &Shape| vec![0.0; s.len() * plan.largest_group];
            let slots = plan.scratch.iter().map(slot).collect();
            Mutex::new(Worker { slots, kernel: vec![0.0; kernel], ..Worker::default() })
        };
        let workers = (0..workers).map(|_| worker()).collect();
        let norms = graph.norms.iter().map(|_| NormState::default()).collect();
        let (pieces, total) = (Vec::new(), Vec::new());
        Self { level, graph, plan, units, norms, pieces, workers, total }
    }

    /// Workers it has room for.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Runs the pass; writes the mean gradient over `grad` and, in train mode, moves the running
    /// statistics in `buffers`.
    pub fn run(&mut self, task: Task, buffers: &mut [f32], grad: &mut [f32]) -> TrainLoss {
        self.begin(task, buffers);
        grad.fill(0.0);
        self.phases(0..self.plan.phases.len(), task, buffers, grad);
        let (mut loss, mut correct) = (0.0, 0);
        for piece in &self.pieces[..task.pieces()] {
            let piece = lock(piece);
            loss += piece.losses;
            correct += piece.correct;
        }
        TrainLoss { loss: loss / task.images() as f64, correct }
    }

    /// The first half of a pass whose loss the caller computes ([`LossFrom::Caller`]): returns the
    /// logits, (n, classes), and keeps what the second half needs. The batch's target is not read.
    pub fn forward(&mut self, task: Task, buffers: &mut [f32]) -> Vec<f32> {
        self.begin(task, buffers);
        self.phases(0..self.loss(), task, buffers, &mut []);
        self.output(task.pieces())
    }

    /// The second half, on the same images: writes the gradient of the loss over `grad`; returns
    /// the gradient to the images, (n, c, h, w), where [`LossFrom::Caller`] asks for it.
    pub fn backward(&mut self, task: Task, grad: &mut [f32]) -> Vec<f32> {
        grad.fill(0.0);
        self.phases(self.loss()..self.plan.phases.len(), task, &mut [], grad);
        self.output(task.pieces())
    }

    /// The phase that begins with the loss.
    fn loss(&self) -> usize {
        let begins = |p: &Phase| matches!(p.steps.first(), Some(Step::Loss { .. }));
        self.plan
            .phases
            .iter()
            .position(begins)
            .expect("the plan has a phase that begins with the loss")
    }

    /// What the pieces put out, in their order.
    fn output(&self, pieces: usize) -> Vec<f32> {
        let mut all = Vec::new();
        for piece in &self.pieces[..pieces] {
            all.append(&mut lock(piece).output);
        }
        all
    }

    /// Everything that comes before the first phase.
    fn begin(&mut self, task: Task, buffers: &[f32]) {
        self.make_room(task.pieces(), task.per_piece());
        self.units.pack(task.network, task.theta);
        if matches!(task.mode, Mode::Eval) {
            for id in 0..self.graph.norms.len() {
                self.set_norm_from_buffers(task, buffers, id);
            }
        }
    }

    fn phases(
        &mut self,
        range: std::ops::Range<usize>,
        task: Task,
        buffers: &mut [f32],
        grad: &mut [f32],
    ) {
        let Task { network, batch, mode, .. } = task;
        let image = network.input.iter().product::<usize>();
        let (n, per_piece, pieces) = (task.images(), task.per_piece(), task.pieces());
        let phases = std::mem::take(&mut self.plan.phases);
        for phase in &phases[range] {
            let gradients = self.units.gradient_len(phase);
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
                self.finish(*finish, task, buffers, grad);
            }
            if gradients > 0 {
                self.add_up(pieces);
                self.units.unpack(phase, network, &self.total, grad);
            }
        }
        self.plan.phases = phases;
    }

    /// Adds up the pieces' gradients in their order.
    fn add_up(&mut self, pieces: usize) {
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
        if self.workers.len() == 1 {
            self.total.chunks_mut(CHUNK).enumerate().for_each(add);
        } else {
            self.total.par_chunks_mut(CHUNK).enumerate().for_each(add);
        }
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
}
