//! Evaluation at one point of parameter space: batch normalisation folded into the convolutions,
//! bias, residual and ReLU in their epilogue, a few images at a time through the network so that
//! their activations stay in a core's second cache ([`phases`]). The plan is made once for a
//! network, the packed weights once for a point; calls run on their caller's thread alone.

mod phases;

use std::ops::Range;
use std::sync::{Arc, Mutex};

use super::caches::Caches;
use super::graph::{Graph, NormId, Purpose, UnitOp, ValueId};
use super::kernels::{self, Algorithm, ConvForward, Epilogue, Geometry, Tensor, Term, Threads};
use super::layers::{self, With};
use super::nchw::{load, rows};
use super::plan::{Memory, PassPlan, Slot, SlotId, Step, UnitId, allocate};
use super::rows::Rows;
use super::shape::Shape;
use super::simd::Level;
use crate::Result;
use crate::backend::{Point, Precision};
use crate::network::Network;

/// A network compiled for evaluation.
#[derive(Debug)]
pub(super) struct Compiled {
    level: Level,
    graph: Graph,
    plan: PassPlan,
    /// For each unit that is a convolution: its kernel, and the normalisation folded into it.
    convs: Vec<Option<(ConvForward, Option<NormId>)>>,
    logits: SlotId,
    /// Numbers that come out for an image.
    outputs: usize,
    /// Floats of an input image.
    image: usize,
    /// Memory for activations, one a running call, for reuse.
    idle: Mutex<Vec<Memories>>,
}

/// A running call's memory.
#[derive(Debug)]
struct Memories {
    /// Tensors between phases, for the images of the last phase's group.
    batch: Vec<Vec<f32>>,
    /// Tensors of one phase, for those of its own.
    scratch: Vec<Vec<f32>>,
    /// What a kernel needs while it runs.
    kernel: Vec<f32>,
}

impl Memories {
    fn buffer(&mut self, memory: Memory) -> &mut Vec<f32> {
        match memory {
            Memory::Batch(i) => &mut self.batch[i],
            Memory::Scratch(i) => &mut self.scratch[i],
        }
    }
}

impl Compiled {
    pub fn new((level, caches): (Level, Caches), precision: Precision, network: &Network) -> Self {
        let graph = Graph::new(network, Purpose::Eval);
        // A residual lies as the sum does, so that one offset serves both.
        let mut halos = graph.halos();
        loop {
            let before = halos.clone();
            for unit in graph.units.iter().filter(|u| matches!(u.op, UnitOp::Join { .. })) {
                let all = || unit.inputs.iter().copied().chain([unit.output]);
                let widest = all().map(|v| halos[v]).max().unwrap_or(0);
                all().for_each(|v| halos[v] = widest);
            }
            if halos == before {
                break;
            }
        }
        let mut shapes: Vec<Shape> =
            graph.values.iter().zip(halos).map(|(&v, halo)| Shape::new(v, halo)).collect();
        let algorithm = Algorithm::from_env();
        let geometry = |form, images| Geometry { level, caches, algorithm, form, images };
        if precision == Precision::F32 && graph.images_may_be_tight(&shapes, (level, caches)) {
            shapes[0] = shapes[0].tight();
        }
        let (steps, folded) = fuse(&graph);
        let plan = allocate(phases::cut(&graph, steps, &shapes, caches), shapes.clone());
        let logits = graph.logits();
        let mut images = vec![1; graph.units.len()];
        for phase in &plan.phases {
            for step in &phase.steps {
                if let Step::Fused { unit, .. } = *step {
                    images[unit] = phase.group;
                }
            }
        }
        let convs = graph.units.iter().enumerate().map(|(id, unit)| {
            let UnitOp::Conv { form, .. } = unit.op else { return None };
            let (output, norm) = folded[id];
            let geometry = geometry(form, images[id]);
            let [input, output] = [unit.inputs[0], output].map(|v| shapes[v]);
            // The logits have few products, and their rounding goes straight into the loss.
            let bf16 = precision == Precision::Bf16 && unit.output != logits;
            let narrow = if bf16 { ConvForward::bf16(&geometry, input, output) } else { None };
            Some((narrow.unwrap_or_else(|| ConvForward::new(&geometry, input, output)), norm))
        });
        let convs = convs.collect();
        Self {
            level,
            logits,
            outputs: network.outputs(),
            image: network.input.iter().product(),
            convs,
            plan,
            graph,
            idle: Mutex::default(),
        }
    }

    /// The kernels of the convolutions and how many have each, most first.
    pub fn kernels(&self) -> Vec<(String, usize)> {
        let mut found: Vec<(String, usize)> = Vec::new();
        for (conv, _) in self.convs.iter().flatten() {
            let name = conv.name();
            match found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, n)) => *n += 1,
                None => found.push((name, 1)),
            }
        }
        found.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        found
    }

    /// Images that go through the network together: the last phase's group, the largest.
    fn together(&self) -> usize {
        self.plan.phases.last().map_or(1, |phase| phase.group)
    }

    /// Memory for a call.
    fn memories(&self) -> Memories {
        let together = self.together();
        let convs = self.convs.iter().flatten();
        let kernel = convs.map(|(conv, _)| conv.scratch_len()).max().unwrap_or(0);
        Memories {
            batch: self.plan.batch.iter().map(|s| vec![0.0; s.len() * together]).collect(),
            scratch: self.plan.scratch.iter().map(|(s, n)| vec![0.0; s.len() * n]).collect(),
            kernel: vec![0.0; kernel],
        }
    }

    fn view<'a>(&'a self, memories: &'a Memories, slot: SlotId, group: Group) -> Tensor<'a> {
        let Slot { shape, memory } = &self.plan.slots[slot];
        let range = group.floats(shape, *memory);
        let data = match *memory {
            Memory::Batch(i) => &memories.batch[i][range],
            Memory::Scratch(i) => &memories.scratch[i][range],
        };
        Tensor { data, shape }
    }
}

/// Images that go through a phase together.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// The first one's place among those of the last phase's group.
    start: usize,
    n: usize,
}

impl Group {
    /// Where its images are in a buffer.
    fn floats(&self, shape: &Shape, memory: Memory) -> Range<usize> {
        let start = if matches!(memory, Memory::Batch(_)) { self.start } else { 0 };
        start * shape.len()..(start + self.n) * shape.len()
    }
}

/// The steps of an evaluation; and for each convolution the value it writes and the normalisation
/// that is folded into it.
fn fuse(graph: &Graph) -> (Vec<Step>, Vec<(ValueId, Option<NormId>)>) {
    let mut readers = vec![0; graph.values.len()];
    for unit in &graph.units {
        unit.inputs.iter().for_each(|&v| readers[v] += 1);
    }
    // The convolution that a join can take over: the one its value alone comes from.
    let sole_conv = |v: ValueId| {
        let unit = graph.maker(v).filter(|_| readers[v] == 1)?;
        matches!(graph.units[unit].op, UnitOp::Conv { .. }).then_some(unit)
    };
    let mut folded: Vec<(ValueId, Option<NormId>)> =
        graph.units.iter().map(|u| (u.output, None)).collect();
    // Convolutions whose join executes them, with the join.
    let mut deferred: Vec<Option<UnitId>> = vec![None; graph.units.len()];
    let mut plain_join = vec![true; graph.units.len()];
    for (id, unit) in graph.units.iter().enumerate() {
        let UnitOp::Join { norms, .. } = &unit.op else { continue };
        let convs: Vec<Option<UnitId>> = unit.inputs.iter().map(|&v| sole_conv(v)).collect();
        for (conv, norm) in convs.iter().zip(norms) {
            if let (Some(conv), Some(norm)) = (conv, norm) {
                folded[*conv].1 = Some(*norm);
            }
        }
        // Terms whose normalisation no convolution takes keep the join.
        let whole = convs.iter().zip(norms).all(|(conv, norm)| conv.is_some() || norm.is_none());
        let work = |u: UnitId| match graph.units[u].op {
            UnitOp::Conv { form, .. } => {
                graph.values[graph.units[u].inputs[0]][0] * form.kernel * form.kernel
            }
            _ => 0,
        };
        if let Some(&conv) = convs.iter().flatten().max_by_key(|&&u| work(u)).filter(|_| whole) {
            deferred[conv] = Some(id);
            plain_join[id] = false;
            folded[conv].0 = unit.output;
        }
    }
    let mut steps = vec![Step::Input { to: 0 }];
    for (id, unit) in graph.units.iter().enumerate() {
        let y = unit.output;
        match &unit.op {
            UnitOp::Conv { .. } if deferred[id].is_some() => {}
            UnitOp::Conv { .. } => {
                let x = unit.inputs[0];
                steps.push(Step::Fused { unit: id, x, residual: None, relu: false, y });
            }
            UnitOp::Join { relu, .. } if !plain_join[id] => {
                let Some(conv) = deferred.iter().position(|d| *d == Some(id)) else { continue };
                let own = graph.units[conv].output;
                let residual = unit.inputs.iter().copied().find(|v| *v != own);
                let x = graph.units[conv].inputs[0];
                steps.push(Step::Fused { unit: conv, x, residual, relu: *relu, y });
            }
            UnitOp::Join { norms, relu } => {
                let norm = |(&v, n): (&ValueId, &Option<NormId>)| {
                    (v, n.filter(|_| sole_conv(v).is_none()))
                };
                let terms = unit.inputs.iter().zip(norms).map(norm).collect();
                steps.push(Step::Join { terms, relu: *relu, y });
            }
            _ => steps.push(Step::Plain { unit: id, inputs: unit.inputs.clone(), y }),
        }
    }
    (steps, folded)
}

/// The packed weights of one point.
pub(super) struct NativePoint {
    compiled: Arc<Compiled>,
    /// For each unit: packed weights and bias.
    convs: Vec<(Vec<f32>, Vec<f32>)>,
    /// For each normalisation: scale and shift, (stride,).
    norms: Vec<[Vec<f32>; 2]>,
    /// For each unit the parameters that it reads as rows.
    rows: Vec<Vec<Rows>>,
}

impl NativePoint {
    pub fn new(compiled: Arc<Compiled>, network: &Network, theta: &[f32], buffers: &[f32]) -> Self {
        let layout = &network.layout;
        let graph = &compiled.graph;
        let norms: Vec<[Vec<f32>; 2]> = graph
            .norms
            .iter()
            .map(|norm| {
                let stride = Shape::new(graph.values[norm.input], 0).stride;
                let of = |p: usize| &theta[layout.params[p].range()];
                let buffer = |b: usize| &buffers[layout.buffers[b].range()];
                let (weight, bias) = (of(norm.weight), of(norm.bias));
                let (mean, var) = (buffer(norm.mean), buffer(norm.var));
                let (mut scale, mut shift) = (vec![0.0; stride], vec![0.0; stride]);
                for c in 0..weight.len() {
                    let s = f64::from(weight[c]) / (f64::from(var[c]) + norm.eps).sqrt();
                    scale[c] = s as f32;
                    shift[c] = (f64::from(bias[c]) - f64::from(mean[c]) * s) as f32;
                }
                [scale, shift]
            })
            .collect();
        let convs = graph
            .units
            .iter()
            .zip(&compiled.convs)
            .map(|(unit, conv)| {
                let (UnitOp::Conv { weight, bias, .. }, Some((conv, norm))) = (&unit.op, conv)
                else {
                    return Default::default();
                };
                let norm = norm.map(|n| &norms[n]);
                let mut packed = vec![0.0; conv.packed_len()];
                let weight = &theta[layout.params[*weight].range()];
                conv.pack(weight, norm.map(|n| &n[0][..]), &mut packed);
                let stride = Shape::new(graph.values[unit.output], 0).stride;
                let mut folded = norm.map_or_else(|| vec![0.0; stride], |n| n[1].clone());
                if let Some(bias) = bias {
                    let bias = &theta[layout.params[*bias].range()];
                    for (c, b) in bias.iter().enumerate() {
                        folded[c] += b * norm.map_or(1.0, |n| n[0][c]);
                    }
                }
                (packed, folded)
            })
            .collect();
        let rows = graph.units.iter().map(|unit| {
            let rows = unit.op.rows().into_iter().map(|param| {
                let mut rows = Rows::new(layout, param, graph.values[unit.output][0], 0);
                rows.pack(layout, theta);
                rows
            });
            rows.collect()
        });
        let rows = rows.collect();
        Self { compiled, convs, norms, rows }
    }

    /// The phases up to `phase` on the images of `group`.
    fn run(&self, phase: usize, group: Group, images: &[f32], memories: &mut Memories) {
        let at_once = self.compiled.plan.phases[phase].group;
        for start in (group.start..group.start + group.n).step_by(at_once) {
            let here = Group { start, n: at_once.min(group.start + group.n - start) };
            if let Some(before) = phase.checked_sub(1) {
                self.run(before, here, images, memories);
            }
            for step in &self.compiled.plan.phases[phase].steps {
                self.step(step, here, images, memories);
            }
        }
    }

    fn step(&self, step: &Step, group: Group, images: &[f32], memories: &mut Memories) {
        let compiled = &*self.compiled;
        let n = group.n;
        let (_, Some(to)) = step.touches() else { return };
        let Slot { shape, memory } = &compiled.plan.slots[to];
        let mut data = std::mem::take(memories.buffer(*memory));
        let mut kernel = std::mem::take(&mut memories.kernel);
        let y = &mut data[group.floats(shape, *memory)];
        let view = |slot: SlotId| compiled.view(memories, slot, group);
        match step {
            Step::Input { .. } => {
                let images = images[group.start * compiled.image..].chunks_exact(compiled.image);
                images.zip(y.chunks_exact_mut(shape.len())).for_each(|(x, y)| load(x, y, shape));
            }
            Step::Fused { unit, x, residual, relu, .. } => {
                let (packed, bias) = &self.convs[*unit];
                if let Some((conv, _)) = &compiled.convs[*unit] {
                    let residual = residual.map(|r| view(r).data);
                    let epilogue = Epilogue::Bias { bias, residual, relu: *relu };
                    let x = view(*x).data;
                    conv.run(x, n, packed, epilogue, y, &mut kernel, Threads::One);
                }
            }
            Step::Join { terms, relu, .. } => {
                let term = |&(slot, norm): &(SlotId, Option<NormId>)| Term {
                    tensor: view(slot),
                    affine: norm.map(|k| self.norms[k].each_ref().map(|v| &v[..])),
                };
                match &terms[..] {
                    [a] => kernels::join(compiled.level, n, &[term(a)], *relu, y, shape),
                    [a, b] => {
                        kernels::join(compiled.level, n, &[term(a), term(b)], *relu, y, shape);
                    }
                    _ => unreachable!("a join has one or two terms"),
                }
            }
            Step::Plain { unit, inputs, .. } => {
                let inputs: Vec<Tensor> = inputs.iter().map(|&x| view(x)).collect();
                let layer = &compiled.graph.units[*unit].op;
                let (level, rows) = (compiled.level, &self.rows[*unit]);
                let with = With { level, rows, draws: &|_, _| None, work: &mut kernel };
                layers::forward(layer, &inputs, with, y, shape);
            }
            _ => unreachable!("evaluation has no other steps"),
        }
        memories.kernel = kernel;
        *memories.buffer(*memory) = data;
    }
}

impl Point for NativePoint {
    fn logits(&self, images: &[f32]) -> Result<Vec<f32>> {
        let compiled = &*self.compiled;
        let idle = compiled.idle.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let mut memories = idle.unwrap_or_else(|| compiled.memories());
        let mut all = Vec::with_capacity(images.len() / compiled.image * compiled.outputs);
        let last = compiled.plan.phases.len() - 1;
        for images in images.chunks(compiled.together() * compiled.image) {
            let group = Group { start: 0, n: images.len() / compiled.image };
            self.run(last, group, images, &mut memories);
            let z = compiled.view(&memories, compiled.logits, group);
            for image in z.data.chunks_exact(z.shape.len()) {
                rows(image, z.shape).for_each(|row| all.extend_from_slice(row));
            }
        }
        compiled.idle.lock().unwrap_or_else(|e| e.into_inner()).push(memories);
        Ok(all)
    }
}
