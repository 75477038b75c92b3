//! The state that a training begins at: drawn, or given.

use std::path::Path;

use super::subject::fit;
use crate::landscape::{Ignore, Normalisation, random_direction};
use crate::models::ModelSpec;
use crate::record::Run;
use crate::rng::Streams;
use crate::train::{Setup, TrainState};
use crate::weights::{self, Checkpoint, NamedTensor};
use crate::{Error, Result};

/// Puts `state` where `model.from` and `model.perturb` say. Returns what the user should know, in sentences.
///
/// # Errors
/// Those of reading the file or the run; [`Error::Weights`] where it is of another network.
pub fn at(model: &ModelSpec, setup: &Setup, state: &mut TrainState) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if let Some(from) = &model.from {
        let checkpoint = read(from)?;
        let layout = &setup.backend.network().layout;
        let (tensors, more) = match fit(setup.backend.network(), &checkpoint) {
            Ok(fitted) => (fitted.tensors, fitted.notes),
            Err(error) => without_head(setup, &checkpoint).ok_or(error)?,
        };
        notes.extend(more);
        for tensor in &tensors {
            let param = layout.params.iter().find(|p| p.name == tensor.name);
            let buffer = layout.buffers.iter().find(|b| b.name == tensor.name);
            if let Some(param) = param {
                state.theta[param.offset..][..tensor.data.len()].copy_from_slice(&tensor.data);
            } else if let Some(buffer) = buffer {
                state.buffers[buffer.offset..][..tensor.data.len()].copy_from_slice(&tensor.data);
            }
        }
    }
    if model.perturb > 0.0 {
        let layout = &setup.backend.network().layout;
        let streams = Streams::new(setup.train.seed);
        let index = 1 << 32;
        let (norm, ignore) = (Normalisation::Filter, Ignore::BiasBn);
        let direction = random_direction(layout, &state.theta, norm, ignore, &streams, index);
        for (weight, d) in state.theta.iter_mut().zip(direction) {
            *weight += model.perturb as f32 * d;
        }
    }
    Ok(notes)
}

/// The weights that `from` names: a run folder (its last state, or `RUN:SNAPSHOT`), or a file (`FILE`,
/// `FILE:KEY`).
fn read(from: &str) -> Result<Checkpoint> {
    let (path, part) = match from.rsplit_once(':') {
        Some((path, part)) if !Path::new(from).exists() => (Path::new(path), Some(part)),
        _ => (Path::new(from), None),
    };
    let is_run = ["spec.toml", "layout.json"].iter().any(|file| path.join(file).is_file());
    if !is_run {
        return weights::read_key(path, part);
    }
    let run = Run::open(path)?;
    let snapshots = run.snapshots()?;
    let number = part.map(|part| {
        part.parse::<usize>().map_err(|_| {
            let remedy = "write RUN:12 for snapshot 12";
            Error::bad_value("model.from", from, "which names no snapshot of the run", remedy)
        })
    });
    let chosen = match number.transpose()? {
        Some(number) => snapshots.iter().find(|s| s.index == number),
        None => snapshots.iter().rfind(|s| !s.diverged),
    };
    let chosen = chosen.cloned().ok_or_else(|| {
        let problem = format!("but the run has {} snapshots", snapshots.len());
        Error::bad_value("model.from", from, problem, "name one of them, or the run alone")
    })?;
    weights::read(chosen.path)
}

/// The tensors of all layers but the last, where that has another number of classes: it stays as it was
/// drawn.
fn without_head(setup: &Setup, checkpoint: &Checkpoint) -> Option<(Vec<NamedTensor>, Vec<String>)> {
    let layout = &setup.backend.network().layout;
    let head = layout.params.iter().rfind(|p| p.shape.len() == 2)?;
    let layer = head.name.strip_suffix(".weight")?;
    let is_head = |name: &str| {
        let own = weights::names::canonical(name).unwrap_or_default();
        own.rsplit_once('.').is_some_and(|(of, _)| of == layer)
    };
    let wanted: Vec<(String, Vec<usize>)> = (layout.params.iter())
        .map(|p| (p.name.clone(), p.shape.clone()))
        .chain(layout.buffers.iter().map(|b| (b.name.clone(), b.shape.clone())))
        .filter(|(name, _)| !is_head(name))
        .collect();
    let mut rest = checkpoint.clone();
    rest.tensors.retain(|t| !is_head(&t.name));
    let fitted = weights::assign(&setup.backend.network().arch, &wanted, &rest).ok()?;
    let mut notes = fitted.notes;
    notes.push(format!("{layer} has another number of classes in the file: it begins as drawn"));
    Some((fitted.tensors, notes))
}
