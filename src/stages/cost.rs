//! What a stage would take, said before it is begun: memory by the sizes of what it holds at once, time
//! by a few points measured.

use std::time::Instant;

use super::Subject;
use crate::curvature::ExtremesConfig;
use crate::dataset::Dataset;
use crate::objective::Objective;
use crate::train::Setup;
use crate::{Result, memory, parallel};

/// What a stage would take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Bytes of memory, roughly.
    pub memory_bytes: u64,
    /// Bytes that are free; `None` where the system does not say.
    pub free_bytes: Option<u64>,
    /// Seconds on this machine, roughly.
    pub seconds: f64,
}

impl Cost {
    /// The cost of something that holds `memory_bytes` and takes `seconds`.
    pub fn new(memory_bytes: u64, seconds: f64) -> Self {
        Self { memory_bytes, free_bytes: memory::available_bytes(), seconds }
    }
}

/// Bytes of f32 values.
fn floats(values: u64) -> u64 {
    values.saturating_mul(4)
}

/// Bytes of the images and labels in memory.
fn images(data: &Dataset) -> u64 {
    let of = |split: &crate::dataset::LabelledImages| {
        (split.len() as u64).saturating_mul(split.image_len() as u64 + 1)
    };
    of(&data.train).saturating_add(of(&data.test))
}

/// Bytes that training holds: weights, gradient and two moments; what each node of the network gives for
/// each image of a batch, and its gradient; the images.
pub fn training_bytes(setup: &Setup) -> u64 {
    let network = setup.backend.network();
    let batch = setup.train.batch_size as u64;
    let weights = floats(4 * network.layout.dim() as u64);
    let activations = floats(network.activations().saturating_mul(batch)).saturating_mul(2);
    weights.saturating_add(activations).saturating_add(images(&setup.data))
}

/// Images that a thread evaluates at once, about.
const GROUP: u64 = 16;

/// Bytes that evaluating points of a plane, or of a line, holds: the plane's vectors; for each thread the
/// weights of its point, once as they are and once as the kernels want them, and what the nodes give for
/// a few images; the sample as floats; the images.
pub fn evaluation_bytes(subject: &Subject, samples: usize) -> u64 {
    let network = subject.network();
    let vector = floats(network.layout.dim() as u64);
    let each = vector.saturating_mul(3);
    let each = each.saturating_add(floats(network.activations().saturating_mul(GROUP)));
    let sample = floats(samples as u64 * subject.data.train.image_len() as u64);
    (vector.saturating_mul(4))
        .saturating_add(each.saturating_mul(parallel::threads() as u64))
        .saturating_add(sample)
        .saturating_add(images(&subject.data))
}

/// Bytes that the ends of a Hessian's spectrum take: a vector of the Krylov space for each product, and
/// for each thread what a forward and a backward pass with their derivatives hold.
pub fn curvature_bytes(subject: &Subject, samples: usize, config: ExtremesConfig) -> u64 {
    let network = subject.network();
    let space =
        floats(network.layout.dim() as u64).saturating_mul(config.max_iterations as u64 + 2);
    let each = floats(network.activations().saturating_mul(4 * GROUP));
    space
        .saturating_add(each.saturating_mul(parallel::threads() as u64))
        .saturating_add(evaluation_bytes(subject, samples))
}

/// Seconds that evaluating `points` points takes, from a few evaluated after one to warm up.
///
/// # Errors
/// Those of the objective.
pub fn evaluation_seconds(objective: &dyn Objective, theta: &[f32], points: usize) -> Result<f64> {
    objective.loss(theta)?;
    let some: Vec<usize> = (0..parallel::threads()).collect();
    let started = Instant::now();
    parallel::map(&some, |_| objective.loss(theta))?;
    Ok(started.elapsed().as_secs_f64() * points as f64 / some.len() as f64)
}
