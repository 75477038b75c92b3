//! What evaluation stages look at: a network at some weights, with its data.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::data;
use super::opened::OpenRun;
use crate::backend::{Backend, BackendName, Precision, backend, backend_in};
use crate::dataset::{
    Dataset, LabelledImages, NormChoice, NormStats, SampleOrder, SplitName, choose,
};
use crate::landscape::Through;
use crate::models::ModelSpec;
use crate::network::{Network, ParamLayout};
use crate::objective::{BatchNormPolicy, DatasetObjective, Objective};
use crate::record::{EvaluatedOn, PrecisionError, Run, RunSnapshots};
use crate::rng::Streams;
use crate::spec::DataSpec;
use crate::weights::{Checkpoint, Fitted, NamedTensor, Normaliser, assign};
use crate::{Error, Result, weights};

/// A network at some weights, with the data it is evaluated on.
pub struct Subject {
    /// A name for titles.
    pub title: String,
    /// The engine with the network.
    pub backend: Arc<dyn Backend>,
    /// Weights, (P,).
    pub theta: Vec<f32>,
    /// Buffers.
    pub buffers: Vec<f32>,
    /// Training and test images: of a run, those it used.
    pub data: Dataset,
    /// Digest of the whole data set.
    pub data_digest: String,
    /// How pixels are normalised.
    pub stats: NormStats,
    /// Where that is from.
    pub pixels: PixelSource,
    /// What the user should know of the weights, in sentences.
    pub notes: Vec<String>,
    /// Which snapshot of a run it is.
    pub through: Option<Through>,
    /// How far its loss is from that in f32, where it is evaluated in another precision.
    pub precision_error: Option<PrecisionError>,
}

/// Where the pixel statistics of a subject are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PixelSource {
    /// The run's spec.
    Run,
    /// They were asked for.
    Given(String),
    /// A normalising layer in the file of weights.
    File,
    /// Nothing says what the weights were trained with: the data set's default.
    Guessed(String),
}

/// What weights from a file are made into a subject with.
#[derive(Debug, Clone)]
pub struct WeightsFile<'a> {
    /// The file (PyTorch's, legacy or zip; safetensors).
    pub path: &'a Path,
    /// Which state dict or network in it; see [`weights::read_key`].
    pub key: Option<&'a str>,
    /// The network.
    pub model: &'a ModelSpec,
    /// The data.
    pub data: &'a DataSpec,
    /// Seed of a drawn data set.
    pub seed: u64,
    /// The engine.
    pub engine: BackendName,
}

/// Which state of a run is looked at, and with what; the default is its last state with its own data and
/// engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunChoice<'a> {
    /// A snapshot by its number.
    pub snapshot: Option<usize>,
    /// The engine.
    pub engine: Option<BackendName>,
    /// The folder with the data's files, where they are no longer where the spec says.
    pub data_dir: Option<&'a Path>,
}

/// Which images of a split a stage evaluates on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleChoice {
    /// Training images, or test images.
    pub split: SplitName,
    /// How many; `None` for all.
    pub samples: Option<usize>,
    /// How they are chosen.
    pub order: SampleOrder,
    /// Seed of a drawn choice.
    pub seed: u64,
}

impl Default for SampleChoice {
    /// All training images.
    fn default() -> Self {
        Self { split: SplitName::Train, samples: None, order: SampleOrder::Balanced, seed: 0 }
    }
}

/// Images on which a narrow precision is held against f32.
pub const PRECISION_IMAGES: usize = 512;

/// How far, relative to the loss in f32, the loss in a narrow precision may be off to be used.
pub const PRECISION_BOUND: f64 = 0.02;

impl Subject {
    /// The last state of a run (the last whose loss was finite), or its snapshot `snapshot`.
    ///
    /// # Errors
    /// Those of opening the run and its data; [`Error::BadValue`] for a snapshot it lacks,
    /// [`Error::DataChanged`] when the data are no longer those it was trained on.
    pub fn of_run(run: &Run, snapshot: Option<usize>, engine: Option<BackendName>) -> Result<Self> {
        Self::of_run_with(run, RunChoice { snapshot, engine, data_dir: None })
    }

    /// [`Subject::of_run`] with every choice there is.
    ///
    /// # Errors
    /// As [`Subject::of_run`].
    pub fn of_run_with(run: &Run, choice: RunChoice<'_>) -> Result<Self> {
        let RunChoice { snapshot, engine, data_dir } = choice;
        let opened = OpenRun::new(run.clone());
        let spec = opened.spec()?;
        let whole = data::of_run(&opened, data_dir)?;
        let network = spec.network(&whole)?;
        let snapshots = run.snapshots()?;
        let chosen = match snapshot {
            None => snapshots.iter().rfind(|s| !s.diverged).or(snapshots.last()),
            Some(n) => snapshots.iter().find(|s| s.index == n),
        };
        let chosen = chosen.cloned().ok_or_else(|| {
            Error::bad_value(
                "snapshot",
                snapshot.unwrap_or(0),
                format!("not one of the run's {} snapshots", snapshots.len()),
                format!("use 0 to {}", snapshots.len() - 1),
            )
        })?;
        let last = snapshot.is_none();
        let through = Some(Through { snapshot: chosen.index, step: chosen.step, last });
        let (theta, buffers) = RunSnapshots::new(vec![chosen], network.layout.clone()).state(0)?;
        let data = spec.data.sample(&whole, &Streams::new(spec.train.seed))?;
        Ok(Self {
            title: run.name(),
            backend: backend(engine.unwrap_or(spec.train.backend), Arc::new(network))?,
            theta,
            buffers,
            data_digest: whole.digest.clone(),
            stats: NormStats::of(&whole, &spec.data.norm_stats())?,
            pixels: PixelSource::Run,
            notes: Vec::new(),
            data,
            through,
            precision_error: None,
        })
    }

    /// A network with the weights of a file. Where the file is of another form of the architecture that its
    /// shapes tell (another padding of LeNet's convolutions), that form is taken, and noted.
    ///
    /// # Errors
    /// Those of reading the file and the data; [`Error::Weights`] when they do not fit.
    pub fn of_file(file: &WeightsFile<'_>) -> Result<Self> {
        let whole = file.data.load(file.seed)?;
        let network = file.model.build(whole.shape(), whole.classes)?;
        let checkpoint = weights::read_key(file.path, file.key)?;
        let (network, fitted) = match fit(&network, &checkpoint) {
            Ok(fitted) => (network, fitted),
            Err(error) => other_form(file.model, &whole, &checkpoint).ok_or(error)?,
        };
        let mut notes = fitted.notes;
        let default = NormChoice::default_for(&whole.name);
        let (pixels, stats) = match (&file.data.norm_stats, fitted.normaliser) {
            (Some(choice), inside) => {
                if inside.is_some() {
                    notes.push(
                        "the file normalises in a layer of its own: its statistics were left for those \
                         asked for"
                            .into(),
                    );
                }
                (PixelSource::Given(choice.to_string()), NormStats::of(&whole, choice)?)
            }
            (None, Some(Normaliser { mean, std })) => {
                let choice = NormChoice::Numbers { mean, std };
                notes.push(format!("pixels are normalised as a layer in the file does ({choice})"));
                (PixelSource::File, NormStats::of(&whole, &choice)?)
            }
            (None, None) => {
                notes.push(format!(
                    "nothing says which pixel statistics the weights were trained with: {default} is \
                     taken; --norm-stats names others, and they change every number"
                ));
                (PixelSource::Guessed(default.to_string()), NormStats::of(&whole, &default)?)
            }
        };
        let (params, buffers) = fitted.tensors.split_at(network.layout.params.len());
        let flat =
            |tensors: &[NamedTensor]| tensors.iter().flat_map(|t| t.data.iter().copied()).collect();
        Ok(Self {
            title: format!(
                "{} {}",
                file.model.arch,
                file.path.file_stem().unwrap_or_default().to_string_lossy()
            ),
            theta: flat(params),
            buffers: flat(buffers),
            backend: backend(file.engine, Arc::new(network))?,
            data_digest: whole.digest.clone(),
            stats,
            pixels,
            notes,
            data: whole,
            through: None,
            precision_error: None,
        })
    }

    /// The same subject, evaluated in `precision`.
    ///
    /// # Errors
    /// [`Error::BadValue`] when its engine has not that precision.
    pub fn in_precision(self, precision: Precision) -> Result<Self> {
        if precision == self.backend.precision() {
            return Ok(self);
        }
        let network = Arc::new(self.network().clone());
        Ok(Self { backend: backend_in(precision, self.backend.name(), network)?, ..self })
    }

    /// The same subject in f32 evaluated in `precision`, with how far its loss is off at its weights on
    /// some training images, [`PRECISION_IMAGES`] at most; the second is whether that is more than
    /// [`PRECISION_BOUND`], and the subject in f32 then.
    ///
    /// A network whose activations grow from layer to layer (a deep one without shortcuts) multiplies what
    /// rounding leaves in its first layers.
    ///
    /// # Errors
    /// As [`Subject::in_precision`]; those of the backend.
    pub fn tried_in(self, precision: Precision) -> Result<(Self, Option<PrecisionError>)> {
        if precision == self.backend.precision() {
            return Ok((self, None));
        }
        let images = PRECISION_IMAGES.min(self.split_len(SplitName::Train));
        let choice = SampleChoice { samples: Some(images), ..SampleChoice::default() };
        let exact = self.objective(choice)?;
        let network = Arc::new(self.network().clone());
        let engine = backend_in(precision, self.backend.name(), network)?;
        let narrow = self.objective(choice)?.with_backend(engine.clone(), self.buffers.clone())?;
        let [exact, narrow] = [exact.loss(&self.theta)?.loss, narrow.loss(&self.theta)?.loss];
        let error = PrecisionError::between(narrow, exact);
        Ok(if error.is_within(PRECISION_BOUND) {
            (Self { backend: engine, precision_error: Some(error), ..self }, None)
        } else {
            (self, Some(error))
        })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        self.backend.network()
    }

    /// The loss on a sample of a split, with this subject's buffers.
    ///
    /// # Errors
    /// [`Error::BadValue`] for more samples than there are, or none.
    pub fn objective(&self, choice: SampleChoice) -> Result<DatasetObjective> {
        let split = self.data.split(choice.split);
        let sample = match choice.samples {
            None => split.clone(),
            Some(n) if n == split.len() && choice.order == SampleOrder::File => split.clone(),
            Some(n) => split.select(&self.chosen(choice, n)?),
        };
        self.objective_on(sample)
    }

    /// The loss on the images that a sample of `choice` has and one of `fewer` images does not.
    ///
    /// # Errors
    /// As [`Subject::objective`].
    pub(super) fn objective_of_added(
        &self,
        choice: SampleChoice,
        fewer: usize,
    ) -> Result<DatasetObjective> {
        let split = self.data.split(choice.split);
        let all = self.chosen(choice, choice.samples.unwrap_or(split.len()))?;
        let old: HashSet<usize> = self.chosen(choice, fewer)?.into_iter().collect();
        let added: Vec<usize> = all.into_iter().filter(|i| !old.contains(i)).collect();
        self.objective_on(split.select(&added))
    }

    fn chosen(&self, choice: SampleChoice, n: usize) -> Result<Vec<usize>> {
        let labels = &self.data.split(choice.split).labels;
        choose(labels, n, choice.order, &Streams::new(choice.seed))
    }

    fn objective_on(&self, sample: LabelledImages) -> Result<DatasetObjective> {
        DatasetObjective::new(
            self.backend.clone(),
            self.buffers.clone(),
            Arc::new(sample),
            self.stats.clone(),
            self.data.max_value,
        )
    }

    /// Training images that BatchNorm's statistics are computed of: `images` of them, or all where there are
    /// fewer, drawn with equal classes.
    ///
    /// # Errors
    /// [`Error::BadValue`] for none.
    pub fn calibration(&self, images: usize) -> Result<Arc<LabelledImages>> {
        let train = &self.data.train;
        let order = SampleOrder::Balanced;
        let chosen = choose(&train.labels, images.min(train.len()), order, &Streams::new(0))?;
        Ok(Arc::new(train.select(&chosen)))
    }

    /// What `objective`, the loss on `choice`, depends on.
    pub(super) fn evaluated_on(
        &self,
        choice: SampleChoice,
        objective: &DatasetObjective,
        batch_norm: BatchNormPolicy,
    ) -> EvaluatedOn {
        EvaluatedOn {
            dataset: self.data.name.clone(),
            data_digest: self.data_digest.clone(),
            split: choice.split,
            samples: objective.samples(),
            sample_order: choice.order.into(),
            sample_seed: choice.seed,
            batch_norm,
            backend: self.backend.name().to_string(),
            precision: self.backend.precision(),
            precision_error: self.precision_error,
            answers: objective.answers(),
            norm_stats: (self.pixels != PixelSource::Run).then(|| self.stats.to_string()),
        }
    }

    /// How many images a split has.
    pub fn split_len(&self, split: SplitName) -> usize {
        self.data.split(split).len()
    }
}

/// The parameters and buffers of `network` from a file of weights.
///
/// # Errors
/// [`Error::Weights`] when they do not fit.
pub(super) fn fit(network: &Network, checkpoint: &Checkpoint) -> Result<Fitted> {
    fit_layout(&network.arch, &network.layout, checkpoint)
}

/// [`fit`] for the network `arch` of which the layout is known.
///
/// # Errors
/// As [`fit`].
pub(super) fn fit_layout(
    arch: &str,
    layout: &ParamLayout,
    checkpoint: &Checkpoint,
) -> Result<Fitted> {
    let wanted: Vec<(String, Vec<usize>)> = layout
        .params
        .iter()
        .map(|p| (p.name.clone(), p.shape.clone()))
        .chain(layout.buffers.iter().map(|b| (b.name.clone(), b.shape.clone())))
        .collect();
    assign(arch, &wanted, checkpoint)
}

/// Another form of the architecture that the file fits: what its shapes tell need not be asked for.
pub(super) fn other_form(
    model: &ModelSpec,
    data: &Dataset,
    checkpoint: &Checkpoint,
) -> Option<(Network, Fitted)> {
    model.other_forms().into_iter().find_map(|(form, key)| {
        let network = form.build(data.shape(), data.classes).ok()?;
        let mut fitted = fit(&network, checkpoint).ok()?;
        fitted.notes.push(format!("the file's shapes are those of --model {key}, which was taken"));
        Some((network, fitted))
    })
}
