//! How many images go through a phase's steps together, and into how many pieces a batch is cut for
//! them: by what stays in the second level cache.

use std::collections::{BTreeSet, HashMap};

use super::{Phase, SlotId, Step};
use crate::backend::native::graph::{Graph, Unit, UnitOp};
use crate::backend::native::shape::Shape;

/// Most images of a group whose tensors stay in the cache.
pub(super) const MAX_GROUP: usize = 8;

/// Images of a group where the way of the weights from the third level cache decides.
pub(in crate::backend::native) const HEAVY_GROUP: usize = 32;

/// Whether [`HEAVY_GROUP`] images should go through steps together instead of the `resident` ones
/// whose tensors, of `tensors` bytes an image, stay in a second level cache of `l2` bytes: where the
/// weights, of `weights` bytes that each group moves once, do not stay there either, and moving them
/// for each of the smaller groups takes longer than moving the tensors.
pub(in crate::backend::native) fn is_heavy(
    resident: usize,
    tensors: usize,
    weights: usize,
    l2: usize,
) -> bool {
    weights > l2 / 2 && weights / HEAVY_GROUP + 2 * tensors < weights / resident
}

/// Images whose tensors, of `tensors` bytes an image, stay in a second level cache of `l2` bytes.
fn resident(tensors: usize, l2: usize) -> usize {
    (l2 * 5 / 8 / tensors.max(1)).clamp(1, MAX_GROUP)
}

/// Bytes an image that `steps` move past the second level cache, about: weights that do not stay
/// there, and the tensors of large groups.
fn moved(graph: &Graph, steps: &[Step], shapes: &[Shape], l2: usize) -> usize {
    let weights = steps.iter().map(|step| weight_bytes(graph, step)).sum();
    let tensors = touched(steps, shapes);
    let resident = resident(tensors, l2);
    match is_heavy(resident, tensors, weights, l2) {
        true => weights / HEAVY_GROUP + 2 * tensors,
        false if weights > l2 / 2 => weights / resident,
        false => 0,
    }
}

/// Cuts a phase between steps on wide feature maps, which want few images at a time, and steps
/// with heavy weights, which want many, where that moves less than one size of group for all: the
/// tensors that cross a cut are those of the whole batch, written once and read once.
///
/// A phase that gathers something about the batch stays whole: what its pieces gather is put
/// together piece by piece.
fn cut(graph: &Graph, phase: Phase, shapes: &[Shape], l2: usize) -> Vec<Phase> {
    if !phase.finish.is_empty() {
        return vec![phase];
    }
    // Steps with whether they want a large group; those on small tensors go with any.
    let mut parts: Vec<(Option<bool>, Vec<Step>)> = Vec::new();
    for step in &phase.steps {
        let tensors = touched(std::slice::from_ref(step), shapes);
        let weights = weight_bytes(graph, step);
        let heavy = is_heavy(resident(tensors, l2), tensors, weights, l2);
        let wants = (heavy || HEAVY_GROUP * tensors > l2 * 5 / 8).then_some(heavy);
        match parts.last_mut() {
            Some((is, steps)) if is.is_none() || wants.is_none() || *is == wants => {
                *is = is.or(wants);
                steps.push(step.clone());
            }
            _ => parts.push((wants, vec![step.clone()])),
        }
    }
    let mut parts_of_slot: HashMap<SlotId, usize> = HashMap::new();
    for slot in parts.iter().flat_map(|(_, steps)| slots_of(steps)) {
        *parts_of_slot.entry(slot).or_default() += 1;
    }
    let crossing = parts_of_slot.iter().filter(|(_, parts)| **parts > 1);
    let crossing: usize =
        crossing.map(|(&slot, _)| 2 * size_of::<f32>() * shapes[slot].len()).sum();
    let apart: usize = parts.iter().map(|(_, steps)| moved(graph, steps, shapes, l2)).sum();
    if apart + crossing >= moved(graph, &phase.steps, shapes, l2) {
        return vec![phase];
    }
    parts.into_iter().map(|(_, steps)| Phase { steps, ..Phase::default() }).collect()
}

/// Images of a group where all threads share a linear layer's output channels: each weight is moved once for
/// them, by one thread.
const SHARED_GROUP: usize = 128;

/// Whether all threads work together on a phase of one piece: where its convolutions are linear layers, whose
/// output channels can be shared, and what one thread has to do alone is little beside them.
fn shares(graph: &Graph, phase: &Phase, tensors: usize, weights: usize) -> bool {
    let linear = |step: &Step| match *step {
        Step::Conv { unit, .. } | Step::ConvWeights { unit, .. } | Step::ConvData { unit, .. } => {
            let Unit { inputs, output, .. } = &graph.units[unit];
            [inputs[0], *output].iter().all(|&value| graph.values[value][1..] == [1, 1])
        }
        _ => true,
    };
    SHARED_GROUP * tensors < weights && phase.steps.iter().all(linear)
}

/// Most pieces a batch is cut into: the most workers that find work.
pub(in crate::backend::native) const PIECES: usize = 16;

/// The pieces of a phase in which each piece has sums of `gradients` bytes of its own. Where these
/// do not stay in the second level cache, clearing them, adding to them and adding them up takes as
/// long as everything else, so that there are fewer. They follow from the network and the plan's
/// caches, never from the number of workers, as the order of all sums does.
fn pieces_of(gradients: usize) -> usize {
    match gradients {
        0..=1_500_000 => PIECES,
        1_500_001..=4_000_000 => PIECES / 2,
        _ => PIECES / 4,
    }
}

/// Bytes an image of the tensors that steps touch.
pub(in crate::backend::native) fn touched(steps: &[Step], shapes: &[Shape]) -> usize {
    slots_of(steps).into_iter().map(|slot| size_of::<f32>() * shapes[slot].len()).sum()
}

/// The slots that steps touch.
fn slots_of(steps: &[Step]) -> BTreeSet<SlotId> {
    let of = |step: &Step| {
        let (reads, write) = step.touches();
        reads.into_iter().chain(write)
    };
    steps.iter().flat_map(of).collect()
}

/// Bytes of weights that a step moves once for all images of its group, about: those of Winograd's
/// transform domain where that may be chosen.
pub(in crate::backend::native) fn weight_bytes(graph: &Graph, step: &Step) -> usize {
    let (unit, times) = match *step {
        Step::Conv { unit, .. } | Step::Fused { unit, .. } | Step::ConvData { unit, .. } => {
            (unit, 1)
        }
        // Read and written.
        Step::ConvWeights { unit, .. } => (unit, 2),
        _ => return 0,
    };
    let UnitOp::Conv { form, .. } = graph.units[unit].op else { return 0 };
    let [inputs, outputs] =
        [graph.units[unit].inputs[0], graph.units[unit].output].map(|value| graph.values[value][0]);
    let taps = match (form.kernel, form.stride) {
        (3 | 5, 1) => 36,
        (kernel, _) => kernel * kernel,
    };
    times * taps * inputs * outputs * size_of::<f32>()
}

/// Phases with their groups and pieces, cut where that moves less.
pub(super) fn grouped(
    graph: &Graph,
    phases: Vec<Phase>,
    shapes: &[Shape],
    l2: usize,
) -> Vec<Phase> {
    let cut = |phase| cut(graph, phase, shapes, l2);
    let mut phases: Vec<Phase> = phases.into_iter().flat_map(cut).collect();
    for phase in &mut phases {
        let bytes = |work: &dyn Fn(&Step) -> usize| phase.steps.iter().map(work).sum::<usize>();
        let weights = bytes(&|step| weight_bytes(graph, step));
        let gradients = bytes(&|step| match step {
            Step::ConvWeights { .. } => weight_bytes(graph, step) / 2,
            _ => 0,
        });
        let tensors = touched(&phase.steps, shapes);
        let resident = resident(tensors, l2);
        let heavy = is_heavy(resident, tensors, weights, l2);
        phase.group = if heavy { HEAVY_GROUP } else { resident };
        phase.pieces = pieces_of(gradients);
        if heavy && shares(graph, phase, tensors, weights) {
            (phase.group, phase.pieces, phase.shared) = (SHARED_GROUP, 1, true);
        } else if heavy {
            phase.pieces = phase.pieces.min(PIECES / 2);
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::native::caches::Caches;
    use crate::backend::native::graph::Purpose;
    use crate::backend::native::plan::{LossFrom, Memory, PassPlan};
    use crate::backend::native::simd::Level;
    use crate::models::{ModelSpec, Norm};

    fn plan(spec: ModelSpec, input: [usize; 3], l2: usize) -> PassPlan {
        let graph = Graph::new(&spec.build(input, 10).unwrap(), Purpose::Train);
        PassPlan::new(&graph, LossFrom::Engine, (Level::Portable, Caches { l2, l3: 0 }))
    }

    #[test]
    fn wide_feature_maps_go_in_small_groups_and_heavy_weights_in_large_ones() {
        let spec = ModelSpec { norm: Norm::None, ..ModelSpec::of("2c2d") };
        let of = plan(spec.clone(), [1, 28, 28], 2 << 20);
        let groups: Vec<usize> = of.phases.iter().map(|p| p.group).collect();
        // Convolutions, linear layers there and back, convolutions back.
        assert_eq!(groups.len(), 3, "{groups:?}");
        assert!(groups[0] <= 8 && groups[1] == SHARED_GROUP && groups[2] <= 8, "{groups:?}");
        assert!(of.phases[1].shared && of.phases[1].pieces == 1);
        // What crosses is of the whole batch, and most is not.
        let batch = of.slots.iter().filter(|s| matches!(s.memory, Memory::Batch(_))).count();
        assert!((3..of.slots.len() / 2).contains(&batch), "{batch} of {}", of.slots.len());
        // In a cache that holds all weights nothing is cut.
        assert_eq!(plan(spec, [1, 28, 28], 256 << 20).phases.len(), 1);
    }

    #[test]
    fn phases_that_gather_something_about_the_batch_stay_whole() {
        let spec = ModelSpec::of("vgg9");
        let [small, large] = [64 << 10, 256 << 20].map(|l2| plan(spec.clone(), [3, 32, 32], l2));
        let finishes = |p: &PassPlan| p.phases.iter().filter(|p| !p.finish.is_empty()).count();
        assert_eq!(finishes(&small), finishes(&large));
        assert!(small.phases.len() - large.phases.len() <= 1);
    }
}
