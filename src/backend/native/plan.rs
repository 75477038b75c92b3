//! A training pass as a list of steps, divided into phases.
//!
//! Within a phase the images are independent: a worker takes a few images and runs all of the
//! phase's steps on them while they are in its cache. A phase ends where something about the whole
//! batch must be known: a batch normalisation's statistics (forward) or its reductions (backward).
//! So a residual net has one phase a convolution in each direction, and in it batch normalisation,
//! residual sum, ReLU, convolution and statistics follow one another on the same images.
//!
//! A slot that one phase alone touches is scratch, of which each worker has its own; the others
//! hold the batch. Slots of one shape share memory where their lifetimes do not overlap (of one
//! shape only, so that their zero borders stay zero).

mod groups;

use std::collections::HashMap;

use groups::grouped;
pub(super) use groups::{HEAVY_GROUP, PIECES, is_heavy, touched, weight_bytes};

use super::caches::Caches;
use super::graph::{Graph, NormId, Unit, UnitOp, ValueId};
use super::kernels::{Algorithm, Geometry};
use super::shape::Shape;
use super::simd::Level;

/// Index into [`PassPlan::slots`].
pub(super) type SlotId = usize;
/// Index into [`Graph::units`].
pub(super) type UnitId = usize;

/// One kernel's work on a few images.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Images (n, c, h, w) into padded NHWC.
    Input { to: SlotId },
    /// A convolution, with its output's moments where a normalisation follows.
    Conv { unit: UnitId, x: SlotId, y: SlotId, stats: Option<NormId> },
    /// A convolution with the join that follows it, normalisation folded into its weights.
    Fused { unit: UnitId, x: SlotId, residual: Option<SlotId>, relu: bool, y: SlotId },
    /// The moments of what no convolution made.
    Moments { norm: NormId, z: SlotId },
    /// A join.
    Join { terms: Vec<(SlotId, Option<NormId>)>, relu: bool, y: SlotId },
    /// Any other layer forward.
    Plain { unit: UnitId, inputs: Vec<SlotId>, y: SlotId },
    /// Cross-entropy and its gradient.
    Loss { logits: SlotId, gradient: SlotId },
    /// A join's gradient: the sum over its readers behind ReLU's mask, with the reductions of the
    /// normalisations in it.
    JoinBackward {
        sources: Vec<SlotId>,
        mask: Option<SlotId>,
        reductions: Vec<(NormId, SlotId)>,
        g: SlotId,
    },
    /// Through a normalisation.
    NormBackward { norm: NormId, g: SlotId, z: SlotId, dz: SlotId },
    /// A convolution's gradient to its weights and bias.
    ConvWeights { unit: UnitId, x: SlotId, dz: SlotId },
    /// A convolution's gradient to its input.
    ConvData { unit: UnitId, dz: SlotId, dx: SlotId },
    /// A gradient to the parameters that a layer reads as rows; `saved` is its input where it needs
    /// it.
    Rows { unit: UnitId, saved: Option<SlotId>, dy: SlotId },
    /// Any other layer backward, to its input number `input`; `saved` is what it needs of the
    /// forward pass.
    PlainBackward { unit: UnitId, input: usize, saved: Vec<SlotId>, dy: SlotId, dx: SlotId },
    /// Copies a feature map to where the caller of the pass reads it: `by_rows` pixel after pixel, as logits
    /// are, otherwise channel after channel, as images are.
    Output { from: SlotId, by_rows: bool },
}

impl Step {
    /// The slots it reads, and the one it writes.
    pub fn touches(&self) -> (Vec<SlotId>, Option<SlotId>) {
        match self {
            Step::Input { to } => (vec![], Some(*to)),
            Step::Conv { x, y, .. } => (vec![*x], Some(*y)),
            Step::Fused { x, residual, y, .. } => {
                ([*x].into_iter().chain(*residual).collect(), Some(*y))
            }
            Step::Moments { z, .. } => (vec![*z], None),
            Step::Join { terms, y, .. } => (terms.iter().map(|t| t.0).collect(), Some(*y)),
            Step::Plain { inputs, y, .. } => (inputs.clone(), Some(*y)),
            Step::Loss { logits, gradient } => (vec![*logits], Some(*gradient)),
            Step::JoinBackward { sources, mask, reductions, g } => {
                let reads = sources.iter().chain(mask).chain(reductions.iter().map(|r| &r.1));
                (reads.copied().collect(), Some(*g))
            }
            Step::NormBackward { g, z, dz, .. } => (vec![*g, *z], Some(*dz)),
            Step::ConvWeights { x, dz, .. } => (vec![*x, *dz], None),
            Step::ConvData { dz, dx, .. } => (vec![*dz], Some(*dx)),
            Step::Rows { saved, dy, .. } => (saved.iter().chain([dy]).copied().collect(), None),
            Step::PlainBackward { saved, dy, dx, .. } => {
                (saved.iter().chain([dy]).copied().collect(), Some(*dx))
            }
            Step::Output { from, .. } => (vec![*from], None),
        }
    }
}

/// What is worked out once for the whole batch between two phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// A normalisation's scale and shift from the moments.
    Moments(NormId),
    /// A normalisation's gradient and the factors of its backward map from the reductions.
    Reductions(NormId),
}

/// Steps that run image by image, and what follows for the batch.
#[derive(Debug, Default)]
pub(super) struct Phase {
    pub steps: Vec<Step>,
    pub finish: Vec<Finish>,
    /// Images that go through the steps together.
    pub group: usize,
    /// Pieces, at most, into which a batch is cut for it.
    pub pieces: usize,
    /// Whether it is of one piece, on whose linear layers all threads work together.
    pub shared: bool,
}

/// Where a slot's floats are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// Buffer of a piece of the batch, for all its images.
    Batch(usize),
    /// Buffer of a worker, for one group of images.
    Scratch(usize),
}

/// A tensor of the pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub shape: Shape,
    pub memory: Memory,
}

/// The whole pass.
#[derive(Debug)]
pub(super) struct PassPlan {
    pub phases: Vec<Phase>,
    pub slots: Vec<Slot>,
    /// Shapes of the batch buffers.
    pub batch: Vec<Shape>,
    /// Shapes of the scratch buffers, and the images of the largest group that each holds.
    pub scratch: Vec<(Shape, usize)>,
}

/// Who computes the loss and its gradient to the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LossFrom {
    /// The engine: the pass runs without a stop.
    Engine,
    /// The caller: the pass outputs the logits and stops, and the loss begins a new phase. At the
    /// end it outputs the gradient to the images if `image_gradient` asks for it.
    Caller { image_gradient: bool },
}

impl PassPlan {
    /// The pass of `graph`: forward, loss, backward to all parameters.
    pub fn new(graph: &Graph, loss_from: LossFrom, (level, caches): (Level, Caches)) -> Self {
        let (phases, mut shapes) = Emitter::new(graph, loss_from).run();
        if graph.images_may_be_tight(&shapes, (level, caches)) {
            shapes[0] = shapes[0].tight();
        }
        let phases = grouped(graph, phases, &shapes, caches.l2);
        allocate(phases, shapes)
    }

    /// The same as one phase: for passes that need to know nothing about the batch on their way.
    pub fn of_one_phase(graph: &Graph) -> Self {
        let (phases, shapes) = Emitter::new(graph, LossFrom::Engine).run();
        let steps = phases.into_iter().flat_map(|p| p.steps).collect();
        allocate(vec![Phase { steps, ..Phase::default() }], shapes)
    }
}

impl Graph {
    /// Whether the images, tensors of `shapes`, may lie without idle channels: whether direct convolutions
    /// in f32 alone read them.
    pub fn images_may_be_tight(&self, shapes: &[Shape], (level, caches): (Level, Caches)) -> bool {
        let direct = |unit: &Unit| match unit.op {
            UnitOp::Conv { form, .. } => {
                let algorithm = Algorithm::from_env();
                let geometry = Geometry { level, caches, algorithm, form, images: 1 };
                geometry.is_direct(shapes[0], shapes[unit.output])
            }
            _ => false,
        };
        self.units.iter().filter(|unit| unit.inputs.contains(&0)).all(direct)
    }
}

struct Emitter<'a> {
    graph: &'a Graph,
    loss_from: LossFrom,
    /// Whether the images' gradient is wanted.
    image_gradient: bool,
    phases: Vec<Phase>,
    shapes: Vec<Shape>,
    /// Each value's slot.
    held: Vec<SlotId>,
    /// What contributes to each value's gradient, in the order in which it is made.
    sources: Vec<Vec<SlotId>>,
    /// For each value, the zero border that its maker's backward pass needs around its gradient.
    needs: Vec<usize>,
}

impl<'a> Emitter<'a> {
    fn new(graph: &'a Graph, loss_from: LossFrom) -> Self {
        let image_gradient = loss_from == LossFrom::Caller { image_gradient: true };
        let halos = graph.halos();
        let shapes: Vec<Shape> =
            graph.values.iter().zip(&halos).map(|(&v, &halo)| Shape::new(v, halo)).collect();
        let mut needs = vec![0; graph.values.len()];
        for unit in &graph.units {
            // Where the images need no gradient the first convolution needs no border.
            let wanted = image_gradient || unit.inputs[0] != 0;
            if let (UnitOp::Conv { form, .. }, true) = (&unit.op, wanted) {
                let ([_, h, w], [_, ho, wo]) =
                    (graph.values[unit.inputs[0]], graph.values[unit.output]);
                needs[unit.output] = form.gradient_halo(h, ho).max(form.gradient_halo(w, wo));
            }
        }
        Self {
            graph,
            loss_from,
            image_gradient,
            phases: vec![Phase::default()],
            held: (0..shapes.len()).collect(),
            sources: vec![Vec::new(); shapes.len()],
            shapes,
            needs,
        }
    }

    fn slot(&mut self, value: ValueId, halo: usize) -> SlotId {
        self.shapes.push(Shape::new(self.graph.values[value], halo));
        self.shapes.len() - 1
    }

    fn push(&mut self, step: Step) {
        let last = self.phases.len() - 1;
        self.phases[last].steps.push(step);
    }

    /// Notes that the current phase gathers what `finish` needs.
    fn gathers(&mut self, finish: Finish) {
        let last = self.phases.len() - 1;
        self.phases[last].finish.push(finish);
    }

    /// Begins a new phase if the current one gathers what is needed now.
    fn needs_done(&mut self, finish: Finish) {
        if self.phases.last().is_some_and(|p| p.finish.contains(&finish)) {
            self.phases.push(Phase::default());
        }
    }

    fn run(mut self) -> (Vec<Phase>, Vec<Shape>) {
        self.push(Step::Input { to: self.held[0] });
        for unit in 0..self.graph.units.len() {
            self.forward(unit);
        }
        let logits = self.graph.logits();
        if self.loss_from != LossFrom::Engine {
            self.push(Step::Output { from: self.held[logits], by_rows: true });
            self.phases.push(Phase::default());
        }
        let gradient = self.slot(logits, self.needs[logits]);
        self.push(Step::Loss { logits: self.held[logits], gradient });
        self.sources[logits].push(gradient);
        for unit in (0..self.graph.units.len()).rev() {
            self.backward(unit);
        }
        if self.image_gradient {
            let from = self.gradient(0);
            self.push(Step::Output { from, by_rows: false });
        }
        (self.phases, self.shapes)
    }

    fn forward(&mut self, id: UnitId) {
        let graph = self.graph;
        let unit = &graph.units[id];
        let y = self.held[unit.output];
        let norm = graph.norms.iter().position(|n| n.input == unit.output);
        match &unit.op {
            UnitOp::Conv { .. } => {
                let x = self.held[unit.inputs[0]];
                self.push(Step::Conv { unit: id, x, y, stats: norm });
            }
            UnitOp::Join { norms, relu } => {
                for norm in norms.iter().flatten() {
                    self.needs_done(Finish::Moments(*norm));
                }
                let terms =
                    unit.inputs.iter().map(|&v| self.held[v]).zip(norms.iter().copied()).collect();
                self.push(Step::Join { terms, relu: *relu, y });
            }
            _ => {
                let inputs = unit.inputs.iter().map(|&v| self.held[v]).collect();
                self.push(Step::Plain { unit: id, inputs, y });
            }
        }
        for (norm, n) in graph.norms.iter().enumerate() {
            if n.input == unit.output {
                if norm != norm_of_conv(unit, &graph.norms).unwrap_or(usize::MAX) {
                    self.push(Step::Moments { norm, z: y });
                }
                self.gathers(Finish::Moments(norm));
            }
        }
    }

    fn backward(&mut self, id: UnitId) {
        let graph = self.graph;
        let unit = &graph.units[id];
        let y = self.held[unit.output];
        match &unit.op {
            UnitOp::Join { norms, relu } => {
                let terms = || unit.inputs.iter().zip(norms);
                let plain = terms().filter(|(_, n)| n.is_none()).map(|(&v, _)| self.needs[v]);
                let g = self.slot(unit.output, plain.max().unwrap_or(0));
                let reductions: Vec<_> =
                    terms().filter_map(|(&v, n)| n.map(|n| (n, self.held[v]))).collect();
                self.push(Step::JoinBackward {
                    sources: self.sources[unit.output].clone(),
                    mask: relu.then_some(y),
                    reductions: reductions.clone(),
                    g,
                });
                for &(norm, _) in &reductions {
                    self.gathers(Finish::Reductions(norm));
                }
                for (&v, norm) in terms() {
                    match norm {
                        None => self.sources[v].push(g),
                        Some(norm) => {
                            self.needs_done(Finish::Reductions(*norm));
                            let dz = self.slot(v, self.needs[v]);
                            let z = self.held[v];
                            self.push(Step::NormBackward { norm: *norm, g, z, dz });
                            self.sources[v].push(dz);
                        }
                    }
                }
            }
            UnitOp::Conv { .. } => {
                let dz = self.gradient(unit.output);
                let v = unit.inputs[0];
                self.push(Step::ConvWeights { unit: id, x: self.held[v], dz });
                if v != 0 || self.image_gradient {
                    let dx = self.slot(v, self.needs[v]);
                    self.push(Step::ConvData { unit: id, dz, dx });
                    self.sources[v].push(dx);
                }
            }
            layer => {
                let dy = self.gradient(unit.output);
                if !layer.rows().is_empty() {
                    let reads =
                        matches!(layer, UnitOp::TokenNorm { .. } | UnitOp::Depthwise { .. });
                    let saved = reads.then(|| self.held[unit.inputs[0]]);
                    self.push(Step::Rows { unit: id, saved, dy });
                }
                let wanted = |v: usize| v != 0 || self.image_gradient;
                let inputs: Vec<_> =
                    unit.inputs.iter().copied().enumerate().filter(|(_, v)| wanted(*v)).collect();
                for (input, v) in inputs {
                    let saved = match layer {
                        UnitOp::MaxPool(_) => vec![self.held[v], y],
                        UnitOp::Activation(_) | UnitOp::TokenNorm { .. } | UnitOp::Attention(_) => {
                            vec![self.held[v]]
                        }
                        _ => vec![],
                    };
                    let dx = self.slot(v, self.needs[v]);
                    self.push(Step::PlainBackward { unit: id, input, saved, dy, dx });
                    self.sources[v].push(dx);
                }
            }
        }
    }

    /// The one slot with a value's gradient, its contributions summed up.
    fn gradient(&mut self, value: ValueId) -> SlotId {
        let sources = self.sources[value].clone();
        if let [one] = sources[..]
            && self.shapes[one].halo >= self.needs[value]
        {
            return one;
        }
        let g = self.slot(value, self.needs[value]);
        self.push(Step::JoinBackward { sources, mask: None, reductions: vec![], g });
        g
    }
}

/// The normalisation whose moments the convolution itself gathers.
fn norm_of_conv(unit: &Unit, norms: &[super::graph::BatchNorm]) -> Option<NormId> {
    let conv = matches!(unit.op, UnitOp::Conv { .. });
    conv.then(|| norms.iter().position(|n| n.input == unit.output)).flatten()
}

/// Gives each slot its memory.
pub(super) fn allocate(phases: Vec<Phase>, shapes: Vec<Shape>) -> PassPlan {
    // First and last use of each slot as (phase, step).
    let mut first = vec![None; shapes.len()];
    let mut last = vec![(0, 0); shapes.len()];
    for (p, phase) in phases.iter().enumerate() {
        for (s, step) in phase.steps.iter().enumerate() {
            let (reads, write) = step.touches();
            assert!(write.is_none_or(|w| !reads.contains(&w)), "a step reads what it writes");
            for slot in reads.into_iter().chain(write) {
                first[slot].get_or_insert((p, s));
                last[slot] = (p, s);
            }
        }
    }
    let mut slots: Vec<Slot> =
        shapes.iter().map(|&shape| Slot { shape, memory: Memory::Scratch(0) }).collect();
    let (mut batch, mut scratch): (Vec<Shape>, Vec<(Shape, usize)>) = Default::default();
    let mut free: HashMap<(Shape, bool), Vec<usize>> = HashMap::new();
    for (p, phase) in phases.iter().enumerate() {
        for (s, step) in phase.steps.iter().enumerate() {
            let (reads, write) = step.touches();
            if let Some(slot) = write.filter(|&w| first[w] == Some((p, s))) {
                let shape = shapes[slot];
                let within = last[slot].0 == p;
                let known = free.entry((shape, within)).or_default().pop();
                slots[slot].memory = if within {
                    let index = known.unwrap_or_else(|| {
                        scratch.push((shape, 0));
                        scratch.len() - 1
                    });
                    scratch[index].1 = scratch[index].1.max(phase.group);
                    Memory::Scratch(index)
                } else {
                    Memory::Batch(known.unwrap_or_else(|| {
                        batch.push(shape);
                        batch.len() - 1
                    }))
                };
            }
            let mut done: Vec<SlotId> =
                reads.into_iter().chain(write).filter(|&slot| last[slot] == (p, s)).collect();
            done.sort_unstable();
            done.dedup();
            for slot in done {
                let (within, index) = match slots[slot].memory {
                    Memory::Scratch(i) => (true, i),
                    Memory::Batch(i) => (false, i),
                };
                free.entry((shapes[slot], within)).or_default().push(index);
            }
        }
    }
    PassPlan { phases, slots, batch, scratch }
}
