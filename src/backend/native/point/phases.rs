//! Cuts an evaluation into phases by how many images go through their steps together.
//!
//! A few images at a time keep their activations in a core's second cache; but each group reads a
//! layer's weights once, and where feature maps are small and channels many (the last stages of a
//! residual net, VGG's, its linear layers) reading them takes as long as computing with them. So
//! groups grow on the way: where tensors have become smaller, the images of several groups go on
//! together; and from the first layer whose weights would take longer to move than its tensors, a
//! large group does, out of the cache.

use crate::backend::native::caches::Caches;
use crate::backend::native::graph::Graph;
use crate::backend::native::plan::{HEAVY_GROUP, Phase, Step, is_heavy, touched, weight_bytes};
use crate::backend::native::shape::Shape;

/// Most images of a group whose tensors stay in the cache.
const MAX_GROUP: usize = 16;

/// The steps in phases with their groups; each group is a multiple of the one before.
pub(super) fn cut(graph: &Graph, steps: Vec<Step>, shapes: &[Shape], caches: Caches) -> Vec<Phase> {
    let mut groups = Vec::with_capacity(steps.len());
    let mut heavy = false;
    for step in &steps {
        let tensors = touched(std::slice::from_ref(step), shapes);
        let resident = (caches.l2 * 7 / 8 / tensors.max(1)).clamp(1, MAX_GROUP);
        heavy |= is_heavy(resident, tensors, weight_bytes(graph, step), caches.l2);
        groups.push(if heavy { HEAVY_GROUP } else { 1 << resident.ilog2() });
    }
    // What a later step cannot take, an earlier one need not gather.
    for s in (1..groups.len()).rev() {
        groups[s - 1] = groups[s - 1].min(groups[s]);
    }
    let mut phases: Vec<Phase> = Vec::new();
    for (step, group) in steps.into_iter().zip(groups) {
        match phases.last_mut() {
            Some(phase) if phase.group == group => phase.steps.push(step),
            _ => phases.push(Phase { steps: vec![step], group, ..Phase::default() }),
        }
    }
    phases
}
