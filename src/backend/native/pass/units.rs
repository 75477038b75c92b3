//! The parameters' side of a pass: which kernels each unit gets, its weights packed for them, and
//! where its gradient lies among a piece's sums.

use std::ops::Range;

use rayon::prelude::*;

use crate::backend::native::graph::{Graph, Layer, Unit};
use crate::backend::native::kernels::{Algorithm, Data, Form, Forward, Geometry, Weights};
use crate::backend::native::plan::{Phase, Plan, SlotId, Step};
use crate::backend::native::rows::Rows;
use crate::backend::native::shape::Shape;
use crate::backend::native::simd::Level;
use crate::network::Network;

/// A convolution's kernels and where its weights' gradient lies in a piece's partial sums.
#[derive(Debug)]
pub(super) struct ConvUnit {
    pub forward: Forward,
    pub data: Option<Data>,
    pub weights: Weights,
    /// Packed weights of both.
    pub packed: [Vec<f32>; 2],
    /// Bias, (stride,), where there is one.
    pub bias: Vec<f32>,
    /// In a piece's partial sums: the weights' gradient, then the bias's.
    pub dw: Range<usize>,
    pub db: Range<usize>,
}

/// The parameters of all units of a graph.
#[derive(Debug)]
pub(super) struct Units {
    /// For each unit that is a convolution: its kernels.
    pub convs: Vec<Option<ConvUnit>>,
    /// For each unit the parameters that it reads as rows.
    pub rows: Vec<Vec<Rows>>,
}

fn form(graph: &Graph, unit: usize) -> Form {
    match graph.units[unit].layer {
        Layer::Conv { form, .. } => form,
        _ => unreachable!("only convolutions have weights"),
    }
}

impl Units {
    /// Kernels for the shapes that `plan` gives to the units' tensors.
    pub fn new(level: Level, network: &Network, graph: &Graph, plan: &Plan) -> Self {
        let convs = graph.units.iter().map(|_| None).collect();
        let rows = graph.units.iter().map(|_| Vec::new()).collect();
        let mut all = Self { convs, rows };
        let mut forward: Vec<Option<[SlotId; 2]>> = vec![None; graph.units.len()];
        let shape = |slot: SlotId| plan.slots[slot].shape;
        let algorithm = Algorithm::from_env();
        for phase in &plan.phases {
            let geometry =
                |unit| Geometry { level, algorithm, form: form(graph, unit), images: phase.group };
            // The next free place among the phase's sums.
            let mut at = 0;
            for step in &phase.steps {
                match *step {
                    Step::Conv { unit, x, y, .. } => forward[unit] = Some([x, y]),
                    Step::ConvWeights { unit, dz, .. } => {
                        let [x, y] = forward[unit].expect("forward comes first");
                        let shapes = [shape(x), shape(y), shape(dz)];
                        let conv =
                            ConvUnit::new(&geometry(unit), &graph.units[unit].layer, shapes, at);
                        at = conv.db.end;
                        all.convs[unit] = Some(conv);
                    }
                    Step::ConvData { unit, dz, dx } => {
                        let data = Data::new(&geometry(unit), shape(dz), shape(dx));
                        if let Some(conv) = &mut all.convs[unit] {
                            conv.packed[1] = vec![0.0; data.packed_len()];
                            conv.data = Some(data);
                        }
                    }
                    Step::Rows { unit, .. } => {
                        let Unit { layer, output, .. } = &graph.units[unit];
                        for param in layer.rows() {
                            let channels = graph.values[*output][0];
                            let of = Rows::new(&network.layout, param, channels, at);
                            at = of.grad.end;
                            all.rows[unit].push(of);
                        }
                    }
                    _ => {}
                }
            }
        }
        all
    }

    /// Floats of scratch memory that the most demanding kernel needs.
    pub fn scratch_len(&self) -> usize {
        self.convs.iter().flatten().map(ConvUnit::scratch_len).max().unwrap_or(0)
    }

    /// Takes the parameters from `theta`.
    pub fn pack(&mut self, graph: &Graph, network: &Network, theta: &[f32]) {
        let params = &network.layout.params;
        self.rows.iter_mut().flatten().for_each(|r| r.pack(&network.layout, theta));
        self.convs.par_iter_mut().zip(&graph.units).for_each(|(conv, unit)| {
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

    /// Floats of the gradients that a phase adds up in each piece.
    pub fn gradient_len(&self, phase: &Phase) -> usize {
        let end = |step: &Step| match step {
            Step::ConvWeights { unit, .. } => self.convs[*unit].as_ref().map_or(0, |c| c.db.end),
            Step::Rows { unit, .. } => self.rows[*unit].last().map_or(0, |r| r.grad.end),
            _ => 0,
        };
        phase.steps.iter().map(end).max().unwrap_or(0)
    }

    /// Writes a phase's gradients, `total` over the pieces, to `grad`.
    pub fn unpack(
        &self,
        phase: &Phase,
        graph: &Graph,
        network: &Network,
        total: &[f32],
        grad: &mut [f32],
    ) {
        let params = &network.layout.params;
        for step in &phase.steps {
            match *step {
                Step::Rows { unit, .. } => {
                    for rows in &self.rows[unit] {
                        rows.unpack(&network.layout, total, grad);
                    }
                }
                Step::ConvWeights { unit, .. } => {
                    let (Some(conv), Layer::Conv { weight, bias, .. }) =
                        (&self.convs[unit], &graph.units[unit].layer)
                    else {
                        continue;
                    };
                    let weight = &mut grad[params[*weight].range()];
                    conv.weights.finish(&total[conv.dw.clone()], weight);
                    if let Some(bias) = bias {
                        let grad = &mut grad[params[*bias].range()];
                        grad.iter_mut().zip(&total[conv.db.clone()]).for_each(|(g, t)| *g = *t);
                    }
                }
                _ => {}
            }
        }
    }
}

impl ConvUnit {
    /// Between the shapes of input, output and the output's gradient; its own gradient's place
    /// begins `at`.
    fn new(geometry: &Geometry, layer: &Layer, [x, y, dz]: [Shape; 3], at: usize) -> Self {
        let biased = matches!(layer, Layer::Conv { bias: Some(_), .. });
        let bias = vec![0.0; if biased { y.stride } else { 0 }];
        let forward = Forward::new(geometry, x, y);
        let weights = Weights::new(geometry, x, dz);
        let dw = at..at + weights.gathered_len();
        let db = dw.end..dw.end + bias.len();
        let packed = [vec![0.0; forward.packed_len()], Vec::new()];
        Self { packed, forward, data: None, weights, bias, dw, db }
    }

    fn scratch_len(&self) -> usize {
        let data = self.data.as_ref().map_or(0, Data::scratch_len);
        self.forward.scratch_len().max(self.weights.scratch_len()).max(data)
    }
}
