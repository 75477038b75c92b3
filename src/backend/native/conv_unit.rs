//! A convolution's kernels, its parameters packed for them, and the place of its gradient among a
//! piece's sums: what training passes and Hessian-vector products have in common.

use std::ops::Range;

use super::caches::Caches;
use super::graph::{Graph, UnitOp};
use super::kernels::{Algorithm, ConvDataGradient, ConvForward, ConvWeightGradient, Geometry};
use super::plan::{Slot, SlotId, Step};
use super::shape::Shape;
use super::simd::Level;
use crate::network::{ParamId, ParamLayout};

/// A convolution at `K` points of parameter space: 1 for a training pass, 2 (the parameters and a
/// direction) for a Hessian-vector product.
#[derive(Debug)]
pub(super) struct ConvUnit<const K: usize> {
    weight_id: ParamId,
    bias_id: Option<ParamId>,
    pub forward: ConvForward,
    /// None where the input needs no gradient.
    pub data: Option<ConvDataGradient>,
    pub weights: ConvWeightGradient,
    /// Weights packed for `forward`.
    pub weight: [Vec<f32>; K],
    /// Weights packed for `data`.
    pub weight_back: [Vec<f32>; K],
    /// Bias, (stride,), zeros where there is none.
    pub bias: [Vec<f32>; K],
    /// The gathered gradient of the weights in a piece's sums.
    pub dw: Range<usize>,
    /// The bias's gradient behind it; empty where there is none.
    pub db: Range<usize>,
}

impl<const K: usize> ConvUnit<K> {
    /// The kernels between the shapes of input, output and the output's gradient; the place among
    /// the sums begins at `at`.
    fn new(
        geometry: &Geometry,
        (weight_id, bias_id): (ParamId, Option<ParamId>),
        [x, y, dz]: [Shape; 3],
        at: usize,
    ) -> Self {
        let forward = ConvForward::new(geometry, x, y);
        let weights = ConvWeightGradient::new(geometry, x, dz);
        let dw = at..at + weights.gathered_len();
        let db = dw.end..dw.end + bias_id.map_or(0, |_| y.stride);
        let zeros = |len: usize| [(); K].map(|()| vec![0.0; len]);
        Self {
            weight_id,
            bias_id,
            weight: zeros(forward.packed_len()),
            forward,
            data: None,
            weights,
            weight_back: zeros(0),
            bias: zeros(y.stride),
            dw,
            db,
        }
    }

    /// Adds the gradient to the input, from `dz` to `dx`.
    fn add_data_gradient(&mut self, geometry: &Geometry, dz: Shape, dx: Shape) {
        let data = ConvDataGradient::new(geometry, dz, dx);
        self.weight_back = [(); K].map(|()| vec![0.0; data.packed_len()]);
        self.data = Some(data);
    }

    /// Floats of scratch memory that the most demanding of its kernels needs.
    pub fn scratch_len(&self) -> usize {
        let data = self.data.as_ref().map_or(0, ConvDataGradient::scratch_len);
        self.forward.scratch_len().max(self.weights.scratch_len()).max(data)
    }

    /// Packs the parameters at each of the points, by all threads.
    pub fn pack(&mut self, layout: &ParamLayout, points: [&[f32]; K]) {
        for (k, point) in points.into_iter().enumerate() {
            let weight = &point[layout.params[self.weight_id].range()];
            let Self { forward, data, weight: packed, weight_back, .. } = self;
            let back = || {
                if let Some(data) = data {
                    data.pack_shared(weight, &mut weight_back[k]);
                }
            };
            rayon::join(|| forward.pack_shared(weight, &mut packed[k]), back);
            if let Some(bias) = self.bias_id {
                let bias = &point[layout.params[bias].range()];
                self.bias[k][..bias.len()].copy_from_slice(bias);
            }
        }
    }

    /// Writes the gradients of weights and bias, found in `total` at their place, to `grad`.
    pub fn unpack(&self, layout: &ParamLayout, total: &[f32], grad: &mut [f32]) {
        let weight = &mut grad[layout.params[self.weight_id].range()];
        self.weights.finish(&total[self.dw.clone()], weight);
        if let Some(bias) = self.bias_id {
            let grad = &mut grad[layout.params[bias].range()];
            grad.copy_from_slice(&total[self.db.clone()][..grad.len()]);
        }
    }
}

/// Makes the units of a pass's convolutions from its steps.
pub(super) struct ConvUnits<'a, const K: usize> {
    level: Level,
    caches: Caches,
    algorithm: Algorithm,
    graph: &'a Graph,
    slots: &'a [Slot],
    /// Input and output of each convolution met so far.
    forward: Vec<Option<[SlotId; 2]>>,
    /// For each unit of the graph that is a convolution: its kernels.
    pub units: Vec<Option<ConvUnit<K>>>,
}

impl<'a, const K: usize> ConvUnits<'a, K> {
    pub fn new((level, caches): (Level, Caches), graph: &'a Graph, slots: &'a [Slot]) -> Self {
        let forward = vec![None; graph.units.len()];
        let units = graph.units.iter().map(|_| None).collect();
        Self { level, caches, algorithm: Algorithm::from_env(), graph, slots, forward, units }
    }

    /// Takes the next step of the pass, which works on `images` images at a time. A gradient that
    /// it sums up is placed at `at`; returns the end of its place.
    pub fn step(&mut self, step: &Step, images: usize, at: usize) -> usize {
        let (level, caches, algorithm) = (self.level, self.caches, self.algorithm);
        let geometry = |form| Geometry { level, caches, algorithm, form, images };
        let shape = |slot: SlotId| self.slots[slot].shape;
        match *step {
            Step::Conv { unit, x, y, .. } => self.forward[unit] = Some([x, y]),
            Step::ConvWeights { unit, dz, .. } => {
                let (UnitOp::Conv { form, weight, bias }, Some([x, y])) =
                    (&self.graph.units[unit].op, self.forward[unit])
                else {
                    unreachable!("only convolutions have weights, and forward comes first")
                };
                let shapes = [shape(x), shape(y), shape(dz)];
                let conv = ConvUnit::new(&geometry(*form), (*weight, *bias), shapes, at);
                let end = conv.db.end;
                self.units[unit] = Some(conv);
                return end;
            }
            Step::ConvData { unit, dz, dx } => {
                let (dz, dx) = (shape(dz), shape(dx));
                if let (UnitOp::Conv { form, .. }, Some(conv)) =
                    (&self.graph.units[unit].op, &mut self.units[unit])
                {
                    conv.add_data_gradient(&geometry(*form), dz, dx);
                }
            }
            _ => {}
        }
        at
    }
}
