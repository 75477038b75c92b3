//! The parameters' side of a pass: which kernels each unit gets, its weights packed for them, and
//! where its gradient lies among a piece's sums.

use rayon::prelude::*;

use crate::backend::native::caches::Caches;
use crate::backend::native::conv_unit::{ConvUnit, ConvUnits};
use crate::backend::native::graph::{Graph, Unit};
use crate::backend::native::plan::{PassPlan, Phase, Step};
use crate::backend::native::rows::Rows;
use crate::backend::native::simd::Level;
use crate::network::Network;

/// The parameters of all units of a graph.
#[derive(Debug)]
pub(super) struct Units {
    /// For each unit that is a convolution: its kernels.
    pub convs: Vec<Option<ConvUnit<1>>>,
    /// For each unit the parameters that it reads as rows.
    pub rows: Vec<Vec<Rows>>,
}

impl Units {
    /// Kernels for the shapes that `plan` gives to the units' tensors.
    pub fn new(on: (Level, Caches), network: &Network, graph: &Graph, plan: &PassPlan) -> Self {
        let mut convs = ConvUnits::new(on, graph, &plan.slots);
        let mut rows: Vec<Vec<Rows>> = graph.units.iter().map(|_| Vec::new()).collect();
        for phase in &plan.phases {
            // The next free place among the phase's sums.
            let mut at = 0;
            for step in &phase.steps {
                at = convs.step(step, phase.group, at);
                let Step::Rows { unit, .. } = *step else { continue };
                let Unit { op, output, .. } = &graph.units[unit];
                for param in op.rows() {
                    let channels = graph.values[*output][0];
                    let of = Rows::new(&network.layout, param, channels, at);
                    at = of.grad.end;
                    rows[unit].push(of);
                }
            }
        }
        Self { convs: convs.units, rows }
    }

    /// Floats of scratch memory that the most demanding kernel needs.
    pub fn scratch_len(&self) -> usize {
        self.convs.iter().flatten().map(ConvUnit::scratch_len).max().unwrap_or(0)
    }

    /// Takes the parameters from `theta`.
    pub fn pack(&mut self, network: &Network, theta: &[f32]) {
        let layout = &network.layout;
        self.rows.iter_mut().flatten().for_each(|r| r.pack(layout, theta));
        self.convs.par_iter_mut().flatten().for_each(|conv| conv.pack(layout, [theta]));
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
    pub fn unpack(&self, phase: &Phase, network: &Network, total: &[f32], grad: &mut [f32]) {
        let layout = &network.layout;
        for step in &phase.steps {
            match *step {
                Step::Rows { unit, .. } => {
                    self.rows[unit].iter().for_each(|rows| rows.unpack(layout, total, grad));
                }
                Step::ConvWeights { unit, .. } => {
                    self.convs[unit].iter().for_each(|conv| conv.unpack(layout, total, grad));
                }
                _ => {}
            }
        }
    }
}
