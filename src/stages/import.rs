//! A run folder of checkpoints that another program wrote.
//!
//! Where the architecture is one of ours, the run has a spec, and everything works on it that works on a run
//! trained here; what trained it is not known, and the keys of `[optim]` and `[schedule]` say nothing.
//! Otherwise the names and shapes of the tensors are its layout, which is enough for its path.

use std::path::{Path, PathBuf};

use super::checkpoints::{Checkpoints, Position};
use super::subject::{fit, other_form};
use super::train::manifest;
use crate::network::{ParamLayout, Role};
use crate::record::{Existing, LoopRecorder, Recorder, Run};
use crate::spec::Spec;
use crate::train::{EpochMetrics, Evaluator, Event, StepMetrics, Verdict};
use crate::weights::{self, Checkpoint, NamedTensor, names};
use crate::{Error, Result};

/// A run that was made of files.
#[derive(Debug)]
pub struct Imported {
    /// The run.
    pub run: Run,
    /// The files, in order, with their epochs.
    pub files: Vec<(PathBuf, f64)>,
    /// What the user should know, in sentences.
    pub notes: Vec<String>,
}

/// Makes the run `out` of the network and data of `spec` from `checkpoints`, each evaluated on the images
/// that the spec says. `on_file` is told how many of them are done.
///
/// # Errors
/// Those of reading files and data; [`Error::Weights`] for a file that does not fit; those of the folder.
pub fn with_spec(
    checkpoints: &Checkpoints,
    key: Option<&str>,
    spec: &Spec,
    out: &Path,
    existing: Existing,
    on_file: &dyn Fn(usize),
) -> Result<Imported> {
    let whole = spec.load_data()?;
    let mut spec = spec.clone();
    // A set smaller than the samples is evaluated whole.
    if spec.data.test_samples >= whole.test.len() {
        spec.data.test_samples = 0;
    }
    if spec.train.eval_samples >= whole.train.len() {
        spec.train.eval_samples = 0;
    }
    let mut notes = checkpoints.notes.clone();
    // The form of the architecture that the first file has, and the pixels that it says it saw.
    if let Some((path, _)) = checkpoints.files.first() {
        let first = weights::read_key(path, key)?;
        let network = spec.model.build(whole.shape(), whole.classes)?;
        let fitted = match fit(&network, &first) {
            Ok(fitted) => fitted,
            Err(error) => {
                let forms = spec.model.other_forms().into_iter().map(|(form, _)| form);
                let form = forms.into_iter().find(|form| {
                    let network = form.build(whole.shape(), whole.classes);
                    network.is_ok_and(|network| fit(&network, &first).is_ok())
                });
                let found = other_form(&spec.model, &whole, &first);
                let (Some(form), Some((_, fitted))) = (form, found) else { return Err(error) };
                spec.model = form;
                fitted
            }
        };
        if let (None, Some(inside)) = (&spec.data.norm_stats, fitted.normaliser) {
            let stats = crate::dataset::NormChoice::Numbers { mean: inside.mean, std: inside.std };
            notes.push(format!("pixels are normalised as a layer in the files does ({stats})"));
            spec.data.norm_stats = Some(stats);
        } else if spec.data.norm_stats.is_none() {
            notes.push(format!(
                "nothing says which pixel statistics the weights were trained with: {} is taken; \
                 --norm-stats names others, and they change every number",
                spec.data.norm_stats()
            ));
        }
        notes.extend(fitted.notes);
    }
    spec.record.every = "1 step".parse()?;
    spec.record.sharpness = None;
    let last = checkpoints.files.last().map_or(1, |(_, at)| at.number());
    spec.train.epochs = 1;
    let steps_per_epoch = spec.setup(&whole)?.steps_per_epoch()?;
    let step_of = |at: Position| match at {
        Position::Epoch(epoch) => epoch.saturating_mul(steps_per_epoch),
        Position::Step(step) => step,
    };
    spec.train.epochs = match checkpoints.files.last() {
        Some((_, Position::Step(step))) => step.div_ceil(steps_per_epoch).max(1),
        _ => last.max(1),
    };
    let setup = spec.setup(&whole)?;
    let network = setup.backend.network().clone();
    let (run, lock) = Run::create(out, &spec.to_toml(), existing)?;
    let mut about = manifest(&spec, &setup, &whole);
    about.imported = true;
    run.write_manifest(&about)?;
    let mut state = setup.begin()?;
    let mut recorder = Recorder::new(&run, lock, &spec.record, &state)?;
    let evaluator = Evaluator::new(&setup)?;
    let total_steps = steps_per_epoch.saturating_mul(spec.train.epochs);
    let mut files = Vec::new();
    for (i, (path, at)) in checkpoints.files.iter().enumerate() {
        let fitted = fit(&network, &weights::read_key(path, key)?).map_err(|e| named(e, path))?;
        let (params, buffers) = fitted.tensors.split_at(network.layout.params.len());
        let flat =
            |tensors: &[NamedTensor]| tensors.iter().flat_map(|t| t.data.iter().copied()).collect();
        (state.theta, state.buffers, state.step) = (flat(params), flat(buffers), step_of(*at));
        if i == 0 {
            recorder.on(&setup, &Event::Begin { state: &state, steps_per_epoch, total_steps })?;
        }
        let [train, test] = evaluator.at(&state.theta, &state.buffers)?;
        let epoch = state.step as f64 / steps_per_epoch as f64;
        if state.step > 0 {
            let metrics = StepMetrics {
                step: state.step,
                epoch,
                lr: f64::NAN,
                loss: train.loss,
                correct: train.correct,
                answers: train.total,
                images: setup.data.train.len(),
                grad_norm: f64::NAN,
            };
            recorder.on(&setup, &Event::Step { state: &state, metrics })?;
            if state.step % steps_per_epoch == 0 {
                let metrics = EpochMetrics {
                    epoch: state.step / steps_per_epoch,
                    step: state.step,
                    lr: f64::NAN,
                    running_loss: train.loss,
                    running_accuracy: train.accuracy(),
                    train,
                    test,
                    elapsed_secs: 0.0,
                };
                recorder.on(&setup, &Event::Epoch { state: &state, metrics })?;
            }
        }
        files.push((path.clone(), epoch));
        on_file(i + 1);
    }
    recorder.on(&setup, &Event::End { state: &state, verdict: Verdict::Finished })?;
    Ok(Imported { run, files, notes })
}

/// Makes the run `out` of checkpoints of any network: its path, without a network that could be evaluated.
///
/// # Errors
/// Those of reading the files; [`Error::Landscape`] where their tensors are not the same; those of the
/// folder.
pub fn without_spec(
    checkpoints: &Checkpoints,
    key: Option<&str>,
    name: &str,
    out: &Path,
    existing: Existing,
    on_file: &dyn Fn(usize),
) -> Result<Imported> {
    let mut recorder: Option<(LoopRecorder, ParamLayout)> = None;
    let mut files = Vec::new();
    let mut run = None;
    for (i, (path, at)) in checkpoints.files.iter().enumerate() {
        let file = weights::read_key(path, key)?;
        let (layout, theta, buffers) = state_of(&file, path)?;
        if recorder.is_none() {
            let new = LoopRecorder::create(out, name, &layout, 1, existing)?;
            run = Some(new.run().clone());
            recorder = Some((new, layout.clone()));
        }
        let Some((recorder, first)) = &mut recorder else { break };
        if layout.digest() != first.digest() {
            return Err(Error::Landscape {
                what: format!("{} has other tensors than the files before it", path.display()),
                remedy: "keep the checkpoints of one network in the folder".into(),
            });
        }
        recorder.snapshot(at.number(), &theta, &buffers)?;
        files.push((path.clone(), at.number() as f64));
        on_file(i + 1);
    }
    if let Some((recorder, _)) = recorder {
        recorder.finish()?;
    }
    let run = run.ok_or_else(|| Error::Landscape {
        what: "there are no checkpoints".into(),
        remedy: "name a folder with some".into(),
    })?;
    Ok(Imported { run, files, notes: checkpoints.notes.clone() })
}

/// The layout of a file's tensors, with the values of its parameters and of its buffers: running statistics.
/// Counters are left out.
fn state_of(file: &Checkpoint, path: &Path) -> Result<(ParamLayout, Vec<f32>, Vec<f32>)> {
    let (mut params, mut buffers) = (Vec::new(), Vec::new());
    let (mut theta, mut statistics) = (Vec::new(), Vec::new());
    for tensor in &file.tensors {
        let name = names::unwrapped(&tensor.name).to_string();
        if name.ends_with("num_batches_tracked") || tensor.shape.is_empty() {
            continue;
        }
        if name.ends_with("running_mean") || name.ends_with("running_var") {
            buffers.push((name, tensor.shape.clone()));
            statistics.extend_from_slice(&tensor.data);
        } else {
            let role = Role::of_tensor(&name, &tensor.shape);
            params.push((name, tensor.shape.clone(), role));
            theta.extend_from_slice(&tensor.data);
        }
    }
    if params.is_empty() {
        return Err(Error::Landscape {
            what: format!("{} holds no weights", path.display()),
            remedy: "keep the checkpoints of one network in the folder".into(),
        });
    }
    Ok((ParamLayout::of_tensors(params, buffers), theta, statistics))
}

/// The error of one file among many, which says which.
fn named(error: Error, path: &Path) -> Error {
    match error {
        Error::Weights { arch, problem, remedy } => {
            Error::Weights { arch, problem: format!("{}: {problem}", path.display()), remedy }
        }
        other => other,
    }
}
