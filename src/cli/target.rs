//! What a command evaluates: a run, or a file of weights with an architecture and a data set.

use std::path::PathBuf;

use clap::Args;
use lossreel::backend::{BackendName, Precision, native};
use lossreel::dataset::{DataSet, NormChoice, SampleOrder, SplitName};
use lossreel::models::{ModelSpec, Shortcut};
use lossreel::record::{PrecisionError, Run};
use lossreel::spec::{DataSpec, Spec};
use lossreel::stages::{
    PRECISION_BOUND, PixelSource, RunChoice, SampleChoice, Subject, WeightsFile,
};
use lossreel::{Error, Result};
use serde::Serialize;

use super::out;

/// A run, or weights.
#[derive(Debug, Args)]
pub struct Target {
    /// A run folder.
    #[arg(value_name = "RUN", required_unless_present = "weights", conflicts_with = "weights")]
    pub run: Option<PathBuf>,
    /// A file of weights: PyTorch (.pth, .pt, or legacy .t7, .th) or safetensors.
    #[arg(long, value_name = "FILE", requires = "arch")]
    pub weights: Option<PathBuf>,
    /// Which weights in the file, where it has several: the key of a state dict (model_ema, run.model), or
    /// what the names of one network begin with.
    #[arg(long, value_name = "KEY", requires = "weights")]
    pub key: Option<String>,
    /// Architecture of the weights: resnet20, vgg9, wrn-56-4, densenet121, ...
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    pub arch: Option<String>,
    /// Shortcut of a residual net: projection, option_a or none.
    #[arg(long, value_name = "KIND", default_value = "projection", conflicts_with = "run")]
    pub shortcut: Shortcut,
    /// Any other key of a spec's [model] table that the weights were made with: --model width=0.5
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "run")]
    pub model: Vec<String>,
    /// Pixel statistics the weights were trained with: paper, imagenet, usual (0.4914,0.4822,0.4465 and
    /// 0.2023,0.1994,0.2010), dataset, half (0.5), none, or numbers: mean=0.49,0.48,0.45;std=0.2,0.2,0.2.
    #[arg(long, value_name = "NAME|NUMBERS", conflicts_with = "run")]
    pub norm_stats: Option<NormChoice>,
    /// Data set: cifar10, mnist, fashion_mnist, digits or synthetic.
    #[arg(long, value_name = "NAME", default_value = "cifar10", conflicts_with = "run")]
    pub dataset: DataSet,
    /// Folder with the data set's files; datasets/NAME by default, of a run the one that it was trained
    /// on.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Any other key of a spec's [data] table, for data of your own: --data image_size=64
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "run")]
    pub data: Vec<String>,
    /// A snapshot of the run by its number; its last state by default.
    #[arg(long, value_name = "N", conflicts_with = "weights")]
    pub snapshot: Option<usize>,
    /// Engine: native, candle or auto. The run's own by default.
    #[arg(long, value_name = "NAME")]
    pub backend: Option<BackendName>,
    /// Numbers that evaluation multiplies: f32, or bf16 (faster on processors with AVX512-BF16, good
    /// to three digits or so).
    #[arg(long, value_name = "NAME", default_value = "f32")]
    pub precision: Precision,
}

impl Target {
    /// The run, where the target is one.
    pub fn open_run(&self) -> Result<Option<Run>> {
        self.run.as_ref().map(Run::open).transpose()
    }

    /// Which state of a run.
    pub fn choice(&self) -> RunChoice<'_> {
        RunChoice {
            snapshot: self.snapshot,
            engine: self.backend,
            data_dir: self.data_dir.as_deref(),
        }
    }

    /// Loads network, weights and data.
    pub fn subject(&self) -> Result<Subject> {
        self.in_precision(self.in_f32()?)
    }

    /// The same for Hessian-vector products, which are in f32.
    pub fn subject_of_curvature(&self) -> Result<Subject> {
        if self.precision != Precision::F32 {
            return Err(Error::bad_value(
                "--precision",
                self.precision,
                "but curvature is measured in f32 only",
                "leave the option out",
            ));
        }
        self.in_f32()
    }

    /// `subject`, evaluated as `--precision` says, or in f32 where that would be too far off.
    pub fn in_precision(&self, subject: Subject) -> Result<Subject> {
        let (subject, too_far_off) = subject.tried_in(self.precision)?;
        if let Some(error) = too_far_off {
            let bound = PrecisionError(PRECISION_BOUND);
            out::warn(format_args!(
                "in {} the loss of this network is {error} off that in f32, more than the {bound} that \
                 are accepted: f32 is used",
                self.precision
            ));
            return Ok(subject);
        }
        if self.precision == Precision::Bf16 && !native::multiplies_bf16() {
            out::warn(format_args!(
                "this processor has no AVX512-BF16: bf16 is as slow as f32 here, and less exact"
            ));
        }
        Ok(subject)
    }

    fn in_f32(&self) -> Result<Subject> {
        if let Some(run) = self.open_run()? {
            return Subject::of_run_with(&run, self.choice());
        }
        let (Some(weights), Some(arch)) = (&self.weights, &self.arch) else {
            return Err(Error::bad_value(
                "RUN",
                "",
                "not given",
                "name a run folder, or --weights FILE --arch NAME",
            ));
        };
        let model = model_of(arch, self.shortcut, &self.model)?;
        let mut keys = vec![format!("data.set={}", self.dataset)];
        keys.extend(self.data.iter().map(|change| format!("data.{change}")));
        let data = DataSpec {
            dir: self.data_dir.clone(),
            norm_stats: self.norm_stats.clone(),
            ..Spec::parse("", &keys)?.data
        };
        let subject = Subject::of_file(&WeightsFile {
            path: weights,
            key: self.key.as_deref(),
            model: &model,
            data: &data,
            seed: 0,
            engine: self.backend.unwrap_or(BackendName::Auto),
        })?;
        for note in &subject.notes {
            out::warn(format_args!("{}: {}", weights.display(), out::one_line(note)));
        }
        Ok(subject)
    }
}

/// The `[model]` table that `--arch`, `--shortcut` and `--model KEY=VALUE` give together; an architecture that
/// is a file is read.
pub fn model_of(arch: &str, shortcut: Shortcut, changes: &[String]) -> Result<ModelSpec> {
    let text = |value: &str| toml::Value::String(value.into()).to_string();
    let mut set: Vec<String> = changes.iter().map(|change| format!("model.{change}")).collect();
    set.push(format!("model.arch={}", text(arch)));
    set.push(format!("model.shortcut={}", text(shortcut.as_str())));
    Ok(Spec::parse("", &set)?.model)
}

/// Channels whose statistics are written out for people.
const SHOWN: usize = 6;

/// Which pixel statistics a result was computed with, in JSON.
#[derive(Debug, Serialize)]
pub struct Pixels<'a> {
    /// `run`: as it was trained; `given`; `file`: as a layer in the file of weights does; `guessed`.
    from: &'static str,
    /// Their name, where they have one.
    name: Option<&'a str>,
    mean: &'a [f32],
    std: &'a [f32],
}

impl<'a> Pixels<'a> {
    /// Those of a subject.
    pub fn of(subject: &'a Subject) -> Self {
        let (from, name) = match &subject.pixels {
            PixelSource::Run => ("run", None),
            PixelSource::Given(name) => ("given", Some(name.as_str())),
            PixelSource::File => ("file", None),
            PixelSource::Guessed(name) => ("guessed", Some(name.as_str())),
        };
        let stats = &subject.stats;
        Self { from, name, mean: &stats.mean, std: &stats.std }
    }

    /// A line for people; of many channels the first few.
    pub fn words(&self) -> String {
        let list = |values: &[f32]| {
            let shown = values.iter().take(SHOWN).map(|v| format!("{v:.4}"));
            let more = (values.len() > SHOWN).then(|| format!("... ({} channels)", values.len()));
            shown.chain(more).collect::<Vec<_>>().join(", ")
        };
        let name = self.name.unwrap_or_default();
        let from = match self.from {
            "run" => "of the run".to_string(),
            "given" => format!("as asked for: {name}"),
            "file" => "of a layer in the file".into(),
            _ => format!("a guess: {name}; see --norm-stats"),
        };
        if self.mean.iter().all(|m| *m == 0.0) && self.std.iter().all(|s| *s == 1.0) {
            return format!("as they are ({from})");
        }
        format!("mean {}; std {} ({from})", list(self.mean), list(self.std))
    }
}

/// Which images.
#[derive(Debug, Args)]
pub struct Sample {
    /// Evaluate on the training images or the test images.
    #[arg(long, value_name = "train|test")]
    pub split: Option<SplitName>,
    /// Number of images; each command states its default.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// How they are chosen: balanced (a seeded draw with equal classes) or file (the first N).
    #[arg(long, value_name = "ORDER", default_value = "balanced")]
    pub sample_order: SampleOrder,
    /// Seed of a balanced draw.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub sample_seed: u64,
}

impl Sample {
    /// The choice where nothing else is given: of the training images of `subject`, `most` at most.
    pub fn of_train(&self, subject: &Subject, most: usize) -> SampleChoice {
        let split = self.split.unwrap_or(SplitName::Train);
        self.choice(split, Some(subject.split_len(split).min(most)))
    }

    /// The choice; `split` and `samples` fill in what was not given.
    pub fn choice(&self, split: SplitName, samples: Option<usize>) -> SampleChoice {
        SampleChoice {
            split: self.split.unwrap_or(split),
            samples: self.samples.or(samples),
            order: self.sample_order,
            seed: self.sample_seed,
        }
    }
}
