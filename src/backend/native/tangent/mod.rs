//! Exact products of the Hessian with a vector, by forward tangents through forward and backward.
//!
//! H v is the derivative of the gradient along v. So each value of a pass, forward and backward,
//! carries its derivative along v beside it (Pearlmutter 1994, the R-operator), by the rules of
//! calculus: `(W x)' = W x' + W' x`, and so on. Nothing is approximated; it costs about twice a
//! gradient. ReLU and max pooling are taken as what they are at the point: a mask and a choice.
//!
//! Running statistics are constants of the batch, so the images are independent from the first
//! layer to the last and back: a worker takes a few images through the whole plan and its memory
//! holds just these. Batches are cut into pieces by the sizes of batch and network alone, and the
//! pieces' sums are added up in order, so the bytes do not depend on the number of workers.

mod steps;
#[cfg(test)]
mod tests;

use std::sync::Mutex;

use rayon::prelude::*;

use super::caches::Caches;
use super::conv_unit::{ConvUnit, ConvUnits};
use super::graph::Graph;
use super::plan::{PassPlan, Slot, Step};
use super::shape::Shape;
use super::simd::Level;
use crate::dataset::BatchTargets;
use crate::network::{Network, Op};

/// Most pieces a batch is cut into: the most workers that find work.
const PIECES: usize = 16;

/// Bytes that the pieces' sums may take together; large networks get fewer pieces, at least 2.
const SUM_BYTES: usize = 256 << 20;

/// Bytes of a group's values and tangents.
const GROUP_BYTES: usize = 8 << 20;

/// Most images of a group: enough for a linear layer's kernel.
const MAX_GROUP: usize = 32;

/// A vector of parameters and its tangent.
type Pair = [Vec<f32>; 2];

/// A normalisation with running statistics is `scale z + shift`; all (stride,).
#[derive(Debug)]
struct NormUnit {
    mean: Vec<f32>,
    inverse: Vec<f32>,
    scale: Pair,
    shift: Pair,
    zeros: Vec<f32>,
}

/// What a piece of the batch adds up.
#[derive(Debug, Default)]
struct Sums {
    /// Packed weights' and biases' products, all convolutions in turn.
    dw: Vec<f32>,
    /// For each normalisation (2, stride): the tangents of the sum of g and of the sum of g z.
    norms: Vec<Vec<f64>>,
}

/// A worker's memory.
#[derive(Debug, Default)]
struct Worker {
    /// For each scratch buffer a group's values and tangents.
    slots: Vec<Pair>,
    /// The first of two summands.
    part: Vec<f32>,
    /// What a kernel needs while it runs.
    kernel: Vec<f32>,
    reductions: [[Vec<f32>; 2]; 2],
}

/// A network compiled for Hessian-vector products.
#[derive(Debug)]
pub(super) struct Tangents {
    level: Level,
    graph: Graph,
    steps: Vec<Step>,
    slots: Vec<Slot>,
    group: usize,
    convs: Vec<Option<ConvUnit<2>>>,
    norms: Vec<NormUnit>,
    sums: Vec<Mutex<Sums>>,
    workers: Vec<Mutex<Worker>>,
}

/// Whether `network` has a layer without a tangent: what belongs to tokens, and convolutions of each channel
/// by itself.
pub(super) fn unsupported(network: &Network) -> bool {
    let lacks = |op: &Op| matches!(op, Op::DepthwiseConv2d { .. });
    network.nodes.iter().any(|node| node.shape.len() == 2 || lacks(&node.op))
}

/// The images and where the product is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub images: &'a [f32],
    pub targets: BatchTargets<'a>,
    pub matrix: Second,
}

/// Which second derivatives of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Second {
    /// All: the Hessian.
    Hessian,
    /// Those of the loss by the outputs only: J' H_L J.
    GaussNewton,
}

impl Tangents {
    /// Products for a graph without dropout, with room for `workers` workers.
    pub fn new((level, caches): (Level, Caches), graph: Graph, workers: usize) -> Self {
        let plan = PassPlan::of_one_phase(&graph);
        let steps: Vec<Step> = plan.phases.into_iter().flat_map(|p| p.steps).collect();
        let floats: usize = plan.scratch.iter().map(|(shape, _)| shape.len()).sum();
        let group = (GROUP_BYTES / (8 * floats)).clamp(1, MAX_GROUP);
        let mut convs = ConvUnits::new((level, caches), &graph, &plan.slots);
        let mut at = 0;
        for step in &steps {
            at = convs.step(step, group, at);
        }
        let convs = convs.units;
        let largest = plan.slots.iter().map(|s| s.shape.len()).max().unwrap_or(0);
        let kernel = convs.iter().flatten().map(ConvUnit::scratch_len).max().unwrap_or(0);
        let worker = || {
            let pair = |(s, _): &(Shape, usize)| [(); 2].map(|()| vec![0.0; s.len() * group]);
            let slots = plan.scratch.iter().map(pair).collect();
            let (part, kernel) = (vec![0.0; largest * group], vec![0.0; kernel]);
            Mutex::new(Worker { slots, part, kernel, ..Worker::default() })
        };
        let workers = (0..workers.max(1)).map(|_| worker()).collect();
        let norms = graph
            .norms
            .iter()
            .map(|norm| {
                let zeros = vec![0.0; Shape::new(graph.values[norm.input], 0).stride];
                let pair = || [zeros.clone(), zeros.clone()];
                let (mean, inverse) = (zeros.clone(), zeros.clone());
                NormUnit { mean, inverse, scale: pair(), shift: pair(), zeros }
            })
            .collect();
        let slots = plan.slots;
        Self { level, graph, steps, slots, group, convs, norms, sums: Vec::new(), workers }
    }

    /// Workers it has room for.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Writes H v over `out`; H is the Hessian at `theta` of the sample's mean loss with
    /// running statistics as in `buffers`.
    pub fn run(
        &mut self,
        network: &Network,
        [theta, v]: [&[f32]; 2],
        buffers: &[f32],
        sample: Sample,
        out: &mut [f32],
    ) {
        let n = sample.images.len() / network.input.iter().product::<usize>();
        let len = self.convs.iter().flatten().map(|c| c.db.end).max().unwrap_or(0);
        let most = (SUM_BYTES / (4 * len.max(1))).clamp(2, PIECES);
        let per_piece = n.div_ceil(most);
        let pieces = n.div_ceil(per_piece);
        let layout = &network.layout;
        self.convs.par_iter_mut().flatten().for_each(|conv| conv.pack(layout, [theta, v]));
        self.set_norms(network, [theta, v], buffers);
        self.sums.resize_with(pieces, Mutex::default);
        let this = &*self;
        let work = |p: usize| {
            let worker = rayon::current_thread_index().unwrap_or(0) % this.workers.len();
            let mut sums = this.sums[p].lock().unwrap_or_else(|e| e.into_inner());
            let mut worker = this.workers[worker].lock().unwrap_or_else(|e| e.into_inner());
            this.clear(&mut sums, len);
            let run =
                steps::Run { pass: this, sums: &mut sums, worker: &mut worker, sample, total: n };
            run.piece(p * per_piece..n.min((p + 1) * per_piece));
        };
        if self.workers.len() == 1 {
            (0..pieces).for_each(work);
        } else {
            (0..pieces).into_par_iter().with_max_len(1).for_each(work);
        }
        self.collect(network, out);
    }

    fn clear(&self, sums: &mut Sums, len: usize) {
        sums.dw.clear();
        sums.dw.resize(len, 0.0);
        let zeros = |norm: &NormUnit| vec![0.0; 2 * norm.zeros.len()];
        sums.norms = self.norms.iter().map(zeros).collect();
    }

    /// scale = weight / sqrt(var + eps), shift = bias - mean scale; both are linear in weight and
    /// bias, so their tangents are the same of v's.
    fn set_norms(&mut self, network: &Network, points: [&[f32]; 2], buffers: &[f32]) {
        let layout = &network.layout;
        for (norm, unit) in self.graph.norms.iter().zip(&mut self.norms) {
            let mean = &buffers[layout.buffers[norm.mean].range()];
            let var = &buffers[layout.buffers[norm.var].range()];
            for (c, (&mean, &var)) in mean.iter().zip(var).enumerate() {
                let inverse = 1.0 / (f64::from(var) + norm.eps).sqrt();
                (unit.mean[c], unit.inverse[c]) = (mean, inverse as f32);
                for (k, point) in points.iter().enumerate() {
                    let weight = f64::from(point[layout.params[norm.weight].offset + c]);
                    let bias = f64::from(point[layout.params[norm.bias].offset + c]);
                    unit.scale[k][c] = (weight * inverse) as f32;
                    unit.shift[k][c] = (bias - f64::from(mean) * weight * inverse) as f32;
                }
            }
        }
    }

    /// The pieces' sums, added up in their order and written to `out`.
    fn collect(&mut self, network: &Network, out: &mut [f32]) {
        let params = &network.layout.params;
        let mut sums = self.sums.iter_mut().map(|s| s.get_mut().unwrap_or_else(|e| e.into_inner()));
        let Some(total) = sums.next() else { return out.fill(0.0) };
        for part in sums {
            total.dw.par_iter_mut().zip(&part.dw).for_each(|(t, p)| *t += p);
            for (total, part) in total.norms.iter_mut().zip(&part.norms) {
                total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
            }
        }
        out.fill(0.0);
        self.convs.iter().flatten().for_each(|conv| conv.unpack(&network.layout, &total.dw, out));
        for ((norm, unit), sums) in self.graph.norms.iter().zip(&self.norms).zip(&total.norms) {
            let (weight, bias) = (&params[norm.weight], &params[norm.bias]);
            for c in 0..weight.range().len() {
                let (g, gz) = (sums[c], sums[unit.zeros.len() + c]);
                // The weight's gradient is the sum of g (z - mean) inverse.
                let normalised = (gz - f64::from(unit.mean[c]) * g) * f64::from(unit.inverse[c]);
                out[weight.offset + c] = normalised as f32;
                out[bias.offset + c] = g as f32;
            }
        }
    }
}
