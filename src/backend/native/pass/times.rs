//! How long a training pass spends in each layer.

use super::{Between, Pass};
use crate::backend::native::graph::{Graph, NormId, UnitOp};
use crate::backend::native::plan::{Step, UnitId};
use crate::backend::{LayerTime, PassTimes};
use crate::network::Network;

/// What a step does for its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Forward,
    ToInput,
    ToWeights,
    /// Batch normalisation with the sum and the ReLU that are fused with it.
    Normalisation,
    Rest,
}

impl Pass {
    /// Whether the steps of the next passes are timed.
    pub fn time_steps(&mut self, on: bool) {
        let steps = if on { self.plan.phases.iter().map(|p| p.steps.len()).sum() } else { 0 };
        for worker in &mut self.workers {
            let worker = worker.get_mut().unwrap_or_else(|e| e.into_inner());
            worker.times = vec![0.0; steps];
        }
        self.between = Between::default();
    }

    /// The times gathered since [`Pass::time_steps`], by layer; `wall` seconds passed meanwhile.
    pub fn times(&self, network: &Network, images: usize, wall: f64) -> PassTimes {
        let mut layers: Vec<LayerTime> =
            (0..self.graph.units.len()).map(|unit| self.layer(network, unit)).collect();
        let mut loss = 0.0;
        let steps = self.plan.phases.iter().flat_map(|p| &p.steps);
        for (k, step) in steps.enumerate() {
            let seconds: f64 = self.workers.iter().map(|w| super::lock(w).times[k]).sum();
            let (unit, part) = part_of(&self.graph, step);
            let Some(unit) = unit else {
                loss += seconds;
                continue;
            };
            let layer = &mut layers[unit];
            *match part {
                Part::Forward => &mut layer.forward,
                Part::ToInput => &mut layer.to_input,
                Part::ToWeights => &mut layer.to_weights,
                Part::Normalisation => &mut layer.normalisation,
                Part::Rest => &mut layer.rest,
            } += seconds;
        }
        layers.retain(|layer| layer.seconds() > 0.0);
        let in_steps = loss + layers.iter().map(LayerTime::seconds).sum::<f64>();
        let threads = self.workers.len();
        let [packing, adding_up] =
            [self.between.packing, self.between.adding_up].map(|s| s * threads as f64);
        let waiting = (wall * threads as f64 - in_steps - packing - adding_up).max(0.0);
        PassTimes {
            images,
            threads,
            wall,
            layers,
            images_and_loss: loss,
            packing,
            adding_up,
            waiting,
        }
    }

    /// A unit without its times.
    fn layer(&self, network: &Network, unit: UnitId) -> LayerTime {
        let graph = &self.graph;
        let of = &graph.units[unit];
        let [from, to] = [of.inputs[0], of.output].map(|v| graph.values[v]);
        let mut layer = LayerTime { from, to, ..LayerTime::default() };
        let param = |id: usize| {
            let name = &network.layout.params[id].name;
            name.strip_suffix(".weight").unwrap_or(name).to_string()
        };
        match &of.op {
            UnitOp::Conv { weight, form, .. } => {
                let kernel = form.kernel as u64;
                layer.name = param(*weight);
                layer.macs =
                    kernel * kernel * from[0] as u64 * to.map(|n| n as u64).iter().product::<u64>();
                if let Some(conv) = &self.units.convs[unit] {
                    layer.kernel = conv.forward.name();
                }
            }
            UnitOp::Join { .. } => layer.name = "sum".into(),
            op => {
                let whole = format!("{op:?}");
                let end = whole.find([' ', '(', '{']).unwrap_or(whole.len());
                layer.name = whole[..end].to_lowercase();
            }
        }
        layer
    }
}

/// The unit that a step works for, `None` for images and loss, and what it does.
fn part_of(graph: &Graph, step: &Step) -> (Option<UnitId>, Part) {
    let of_norm = |norm: NormId| graph.maker(graph.norms[norm].input);
    match step {
        Step::Input { .. } | Step::Loss { .. } | Step::Output { .. } => (None, Part::Rest),
        Step::Conv { unit, .. } | Step::Fused { unit, .. } => (Some(*unit), Part::Forward),
        Step::ConvData { unit, .. } => (Some(*unit), Part::ToInput),
        Step::ConvWeights { unit, .. } => (Some(*unit), Part::ToWeights),
        Step::Moments { norm, .. } | Step::NormBackward { norm, .. } => {
            (of_norm(*norm), Part::Normalisation)
        }
        Step::Join { terms, y, .. } => match terms.iter().find_map(|term| term.1) {
            Some(norm) => (of_norm(norm), Part::Normalisation),
            None => (graph.maker(*y), Part::Rest),
        },
        Step::JoinBackward { reductions, mask, .. } => match (reductions.first(), mask) {
            (Some((norm, _)), _) => (of_norm(*norm), Part::Normalisation),
            (None, Some(y)) => (graph.maker(*y), Part::Rest),
            (None, None) => (None, Part::Rest),
        },
        Step::Plain { unit, .. } | Step::Rows { unit, .. } | Step::PlainBackward { unit, .. } => {
            (Some(*unit), Part::Rest)
        }
    }
}
