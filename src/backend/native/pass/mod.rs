//! Executes a [`PassPlan`]: one pass over a batch, forward and backward.
//!
//! For each phase the batch is cut into pieces, by its size and the phase alone. A piece has its
//! images' part of the memory and partial sums of its own, and one worker at a time works on it;
//! partial sums are added up in the pieces' order. So the bytes do not depend on the number of
//! workers, and nothing is shared that could race.

mod backward;
mod forward;
mod norms;
mod run;
mod times;
mod units;

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use rayon::prelude::*;

use self::norms::NormState;
use self::run::Run;
use self::units::Units;
use super::caches::Caches;
use super::graph::{Graph, Purpose};
use super::kernels::Threads;
use super::plan::{LossFrom, PIECES, PassPlan, Phase, Step};
use super::shape::Shape;
use super::simd::Level;
use crate::backend::TrainLoss;
use crate::dataset::BatchTargets;
use crate::network::Network;
use crate::rng::Streams;

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

/// What a piece of the batch adds up and puts out.
#[derive(Debug, Default)]
struct Piece {
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
    /// Seconds in each step of all phases, one after the other; empty where steps are not timed.
    times: Vec<f64>,
}

/// Everything a pass needs, made once for a network and kept between steps.
#[derive(Debug)]
pub(super) struct Pass {
    level: Level,
    graph: Graph,
    plan: PassPlan,
    units: Units,
    norms: Vec<NormState>,
    /// Tensors of the whole batch.
    batch: Vec<Vec<f32>>,
    pieces: Vec<Piece>,
    workers: Vec<Mutex<Worker>>,
    total: Vec<f32>,
    between: Between,
}

/// Seconds that pass between the phases, on all threads together.
#[derive(Debug, Clone, Copy, Default)]
struct Between {
    /// Packing weights.
    packing: f64,
    /// Adding up the pieces' sums.
    adding_up: f64,
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
}

impl Phase {
    /// Images of each piece of a batch of `images`, of which the last may have fewer, and pieces.
    fn cut(&self, images: usize) -> [usize; 2] {
        let per_piece = images.div_ceil(self.pieces);
        [per_piece, images.div_ceil(per_piece)]
    }
}

impl Pass {
    /// A pass for `network` with room for `workers` workers.
    pub fn new(
        (level, caches): (Level, Caches),
        network: &Network,
        loss_from: LossFrom,
        workers: usize,
    ) -> Self {
        let graph = Graph::new(network, Purpose::Train);
        let plan = PassPlan::new(&graph, loss_from, (level, caches));
        let units = Units::new((level, caches), network, &graph, &plan);
        let kernel = units.scratch_len();
        let worker = || {
            let slot = |(shape, images): &(Shape, usize)| vec![0.0; shape.len() * images];
            let slots = plan.scratch.iter().map(slot).collect();
            Mutex::new(Worker { slots, kernel: vec![0.0; kernel], ..Worker::default() })
        };
        let workers = (0..workers).map(|_| worker()).collect();
        let norms = graph.norms.iter().map(|_| NormState::default()).collect();
        let pieces = std::iter::repeat_with(Piece::default).take(PIECES).collect();
        let (batch, total) = (Vec::new(), Vec::new());
        Self {
            level,
            graph,
            plan,
            units,
            norms,
            batch,
            pieces,
            workers,
            total,
            between: Between::default(),
        }
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
        for piece in &self.pieces {
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
        self.output()
    }

    /// The second half, on the same images: writes the gradient of the loss over `grad`; returns
    /// the gradient to the images, (n, c, h, w), where [`LossFrom::Caller`] asks for it.
    pub fn backward(&mut self, task: Task, grad: &mut [f32]) -> Vec<f32> {
        grad.fill(0.0);
        self.phases(self.loss()..self.plan.phases.len(), task, &mut [], grad);
        self.output()
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
    fn output(&mut self) -> Vec<f32> {
        let mut all = Vec::new();
        for piece in &mut self.pieces {
            all.append(&mut piece.output);
        }
        all
    }

    /// Everything that comes before the first phase.
    fn begin(&mut self, task: Task, buffers: &[f32]) {
        self.make_room(task.images());
        let started = Instant::now();
        self.units.pack(task.network, task.theta);
        self.between.packing += started.elapsed().as_secs_f64();
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
        let n = task.images();
        let phases = std::mem::take(&mut self.plan.phases);
        let mut steps_before: usize = phases[..range.start].iter().map(|p| p.steps.len()).sum();
        for phase in &phases[range] {
            let gradients = self.units.gradient_len(phase);
            let [per_piece, pieces] = phase.cut(n);
            let (mut memory, mut all) =
                (std::mem::take(&mut self.batch), std::mem::take(&mut self.pieces));
            let mut work: Vec<(&mut Piece, Vec<&mut [f32]>)> =
                all.iter_mut().take(pieces).map(|piece| (piece, Vec::new())).collect();
            for (slot, shape) in memory.iter_mut().zip(&self.plan.batch) {
                let parts = slot[..n * shape.len()].chunks_mut(per_piece * shape.len());
                work.iter_mut().zip(parts).for_each(|((_, slots), part)| slots.push(part));
            }
            // In a phase of one piece nobody waits for its worker.
            let shared = phase.shared && self.workers.len() > 1;
            let threads = if shared { Threads::All } else { Threads::One };
            let this = &*self;
            let run = |(p, (piece, slots)): (usize, (&mut Piece, Vec<&mut [f32]>))| {
                let worker = rayon::current_thread_index().unwrap_or(0) % this.workers.len();
                let worker = &mut lock(&this.workers[worker]);
                let (first, total) = (p * per_piece, n);
                let run = Run {
                    pass: this,
                    piece,
                    slots,
                    worker,
                    batch,
                    mode,
                    first,
                    total,
                    image,
                    threads,
                };
                run.phase((phase, steps_before), per_piece.min(n - first), gradients);
            };
            if self.workers.len() == 1 {
                work.into_iter().enumerate().for_each(run);
            } else {
                work.into_par_iter().enumerate().with_max_len(1).for_each(run);
            }
            (self.batch, self.pieces) = (memory, all);
            let started = Instant::now();
            for finish in &phase.finish {
                self.finish((*finish, pieces), task, buffers, grad);
            }
            if gradients > 0 {
                self.add_up(pieces);
                self.units.unpack(phase, network, &self.total, grad);
            }
            self.between.adding_up += started.elapsed().as_secs_f64();
            steps_before += phase.steps.len();
        }
        self.plan.phases = phases;
    }

    /// Adds up the pieces' gradients in their order.
    fn add_up(&mut self, pieces: usize) {
        if pieces == 1 {
            return std::mem::swap(&mut self.total, &mut self.pieces[0].dw);
        }
        let parts: Vec<&[f32]> = self.pieces[..pieces].iter().map(|p| p.dw.as_slice()).collect();
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

    /// Memory for `images` images, with what is there kept; pieces that have added up nothing.
    fn make_room(&mut self, images: usize) {
        self.batch.resize_with(self.plan.batch.len(), Vec::new);
        for (slot, shape) in self.batch.iter_mut().zip(&self.plan.batch) {
            if slot.len() < images * shape.len() {
                slot.resize(images * shape.len(), 0.0);
            }
        }
        for piece in &mut self.pieces {
            piece.output.clear();
            piece.losses = 0.0;
            piece.correct = 0;
            piece.sums.resize_with(self.norms.len(), Vec::new);
        }
    }
}
