//! `lossreel train`

use std::path::PathBuf;

use indicatif::ProgressBar;
use lossreel::dataset;
use lossreel::objective::Evaluation;
use lossreel::record::Existing;
use lossreel::spec::Spec;
use lossreel::stages::cost::{self, Cost};
use lossreel::stages::train::{Prepared, create, resume_with_data};
use lossreel::train::{Event, Verdict};
use lossreel::trajectory::pca_bytes;
use lossreel::{Error, Result};
use serde::Serialize;

use super::dry_run::memory_words;
use super::out::{self, Out, duration, loss_and_accuracy, thousands};
use super::{interrupt, progress};

/// Train a network and record its path in a run folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The spec; without one, every default (the paper's ResNet-20 on CIFAR-10).
    #[arg(value_name = "SPEC.toml", conflicts_with = "resume")]
    spec: Option<PathBuf>,
    /// The run folder to make; outputs/NAME-OF-SPEC by default.
    #[arg(long, value_name = "RUN", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Change any key of the spec: --set optim.lr=0.05
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "resume")]
    set: Vec<String>,
    /// Begin at given weights, for --set model.from=..: a file of weights (FILE, or FILE:KEY where it has
    /// several), or a run folder (its last state, or RUN:SNAPSHOT).
    #[arg(long, value_name = "FILE|RUN", conflicts_with = "resume")]
    from: Option<String>,
    /// Data set, for --set data.set=NAME.
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    dataset: Option<String>,
    /// Folder with the data set's files, for --set data.dir=DIR; with --resume where they are now.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Go on with an interrupted run.
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
    /// Replace the run that is in the folder.
    #[arg(long, conflicts_with = "resume")]
    force: bool,
    /// Print what would run and what it would cost, and stop.
    #[arg(long, conflicts_with_all = ["resume", "force"])]
    dry_run: bool,
}

/// Trains, and says how the run ended.
pub fn run(args: Args, out: &Out) -> Result<()> {
    if let Some(folder) = &args.resume {
        let prepared = resume_with_data(folder, args.data_dir.as_deref())?;
        return train(prepared, out);
    }
    let mut set = args.set.clone();
    if let Some(from) = &args.from {
        set.push(format!("model.from={}", toml::Value::String(from.clone())));
    }
    if let Some(name) = &args.dataset {
        set.push(format!("data.set={name}"));
    }
    if let Some(dir) = &args.data_dir {
        let text = dir.to_str().ok_or_else(|| {
            let problem = "not UTF-8 text, which a spec is written in";
            Error::bad_value("--data-dir", dir.display(), problem, "rename the folder")
        })?;
        set.push(format!("data.dir={}", toml::Value::String(text.into())));
    }
    let spec = match &args.spec {
        Some(path) => Spec::read(path, &set)?,
        None => Spec::parse("", &set)?,
    };
    for key in spec.optim.unread() {
        out.note(format_args!(
            "lossreel: optim.{key} is not read by {} and has no effect",
            spec.optim.rule
        ));
    }
    let folder = args.out.clone().unwrap_or_else(|| {
        let name =
            args.spec.as_ref().and_then(|p| p.file_stem()).unwrap_or(spec.model.arch.as_ref());
        PathBuf::from("outputs").join(name)
    });
    if args.dry_run {
        return dry_run(&spec, &folder, out);
    }
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    train(create(&spec, &folder, existing)?, out)
}

#[derive(Serialize)]
struct Ended {
    #[serde(serialize_with = "out::path")]
    run: PathBuf,
    #[serde(flatten)]
    verdict: Verdict,
    steps: u64,
    #[serde(serialize_with = "out::optional_float")]
    train_loss: Option<f64>,
    #[serde(serialize_with = "out::optional_float")]
    train_accuracy: Option<f64>,
    #[serde(serialize_with = "out::optional_float")]
    test_loss: Option<f64>,
    #[serde(serialize_with = "out::optional_float")]
    test_accuracy: Option<f64>,
    snapshots: usize,
    seconds: f64,
}

fn train(mut prepared: Prepared, out: &Out) -> Result<()> {
    for note in &prepared.notes {
        out::warn(format_args!("{}", out::one_line(note)));
    }
    let stop = interrupt::flag();
    let started = std::time::Instant::now();
    let arch = prepared.setup.backend.network().arch.clone();
    let batch = prepared.setup.train.batch_size;
    let things = dataset::things(&prepared.setup.data.name).unwrap_or("samples");
    out.note(format_args!(
        "training {arch}, {} parameters, on {} {} images, into {}",
        thousands(prepared.state.theta.len()),
        thousands(prepared.setup.data.train.len()),
        prepared.setup.data.name,
        prepared.run.root().display(),
    ));
    let mut bar = TrainBar::new(out, "training");
    let verdict = prepared.train(&stop, &mut |event| bar.on(event));
    bar.finish();
    let verdict = verdict?;
    let run = &prepared.run;
    let last = run.metrics()?.epochs.pop();
    let report = Ended {
        run: run.root().to_path_buf(),
        verdict,
        steps: prepared.state.step,
        train_loss: last.as_ref().map(|e| e.train_loss),
        train_accuracy: last.as_ref().map(|e| e.train_accuracy),
        test_loss: last.as_ref().map(|e| e.test_loss),
        test_accuracy: last.as_ref().map(|e| e.test_accuracy),
        snapshots: run.snapshots()?.len(),
        seconds: started.elapsed().as_secs_f64(),
    };
    let root = run.root().display().to_string();
    out.result(&report, |w| {
        match verdict {
            Verdict::Finished => writeln!(w, "finished after {} steps of {batch} {things}", report.steps)?,
            Verdict::EarlyStopped => writeln!(w, "stopped early after {} steps: the test loss no longer improved", report.steps)?,
            Verdict::Diverged { step, lr } => writeln!(w, "diverged: the loss of step {step} was not finite at lr {lr}; lower optim.lr, warm up (schedule.warmup_epochs) or clip (optim.grad_clip)")?,
            Verdict::Interrupted => writeln!(w, "interrupted after {} steps; go on with: lossreel train --resume {root}", report.steps)?,
        }
        if let Some(e) = &last {
            writeln!(w, "train  {}", loss_and_accuracy(e.train_loss, e.train_accuracy))?;
            writeln!(w, "test   {}", loss_and_accuracy(e.test_loss, e.test_accuracy))?;
        }
        writeln!(w, "{} snapshots in {root}, {}", report.snapshots, duration(report.seconds))
    });
    if verdict == Verdict::Interrupted {
        return Err(Error::Interrupted {
            remedy: format!("go on with: lossreel train --resume {root}"),
        });
    }
    Ok(())
}

/// A bar that follows training events.
pub struct TrainBar {
    bar: ProgressBar,
    what: String,
    quiet: bool,
    images: u64,
}

impl TrainBar {
    pub fn new(out: &Out, what: &str) -> Self {
        Self {
            bar: progress::bar(out, what, "steps", 0),
            what: what.into(),
            quiet: out.quiet,
            images: 0,
        }
    }

    pub fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Begin { state, total_steps, .. } => {
                self.bar.set_length(*total_steps);
                self.bar.set_position(state.step);
                self.bar.reset_eta();
            }
            Event::Step { metrics, .. } => {
                self.images += metrics.images as u64;
                self.bar.set_position(metrics.step);
                let rate = self.images as f64 / self.bar.elapsed().as_secs_f64().max(1e-3);
                self.bar.set_message(format!("loss {:.3}  {rate:.0} images/s", metrics.loss));
            }
            Event::Epoch { metrics, .. } => {
                let of = |found: &Evaluation| loss_and_accuracy(found.loss, found.accuracy());
                let line = format!(
                    "{}  epoch {:>3}  lr {:<8.5} train {}   test {}",
                    self.what,
                    metrics.epoch,
                    metrics.lr,
                    of(&metrics.train),
                    of(&metrics.test),
                );
                progress::line(&self.bar, self.quiet, &line);
            }
            Event::End { .. } => {}
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[derive(Serialize)]
struct Plan {
    #[serde(serialize_with = "out::path")]
    run: PathBuf,
    arch: String,
    parameters: usize,
    tensors: usize,
    train_images: usize,
    test_images: usize,
    steps: u64,
    steps_per_epoch: u64,
    snapshots: u64,
    snapshot_bytes: u64,
    /// What `lossreel plane` of all of them holds at most.
    plane_memory_bytes: u64,
    /// Multiply-accumulates of the whole training, three forward passes a step.
    training_macs: u64,
    /// What training holds in memory, roughly, and what is free.
    memory_bytes: u64,
    free_bytes: Option<u64>,
    estimated_seconds: f64,
    spec: Spec,
}

fn dry_run(spec: &Spec, folder: &std::path::Path, out: &Out) -> Result<()> {
    let whole = spec.load_data()?;
    let setup = spec.setup(&whole)?;
    let network = setup.backend.network();
    let steps_per_epoch = setup.steps_per_epoch()?;
    let steps = steps_per_epoch.saturating_mul(spec.train.epochs);
    let (record, layout) = (&spec.record, &network.layout);
    let taken = count(steps, |s| record.every.takes(s, steps_per_epoch) || s == steps);
    let taken = usize::try_from(taken).unwrap_or(usize::MAX);
    let snapshots = record.keep.most(taken) as u64;
    let stored = record.dtype.size() * layout.dim() + 4 * layout.buffer_dim();
    let images = (setup.data.train.len() as u64).saturating_mul(spec.train.epochs);
    let seconds = estimate(&setup, steps)?;
    let cost = Cost::new(cost::training_bytes(&setup), seconds);
    let plan = Plan {
        run: folder.to_path_buf(),
        arch: network.arch.clone(),
        parameters: network.layout.dim(),
        tensors: network.layout.params.len(),
        train_images: setup.data.train.len(),
        test_images: setup.data.test.len(),
        steps,
        steps_per_epoch,
        snapshots,
        snapshot_bytes: snapshots.saturating_mul(stored as u64),
        plane_memory_bytes: pca_bytes(snapshots as usize, layout.dim()),
        training_macs: network.macs().saturating_mul(3).saturating_mul(images),
        memory_bytes: cost.memory_bytes,
        free_bytes: cost.free_bytes,
        estimated_seconds: seconds,
        spec: spec.clone(),
    };
    let things = dataset::things(&whole.name).unwrap_or("samples");
    out.result(&plan, |w| {
        writeln!(w, "would train {} ({} parameters in {} tensors)", plan.arch, thousands(plan.parameters), plan.tensors)?;
        writeln!(w, "on          {} training and {} test {things} of {}", thousands(plan.train_images), thousands(plan.test_images), whole.name)?;
        writeln!(w, "for         {} epochs, {} steps of {} {things}", spec.train.epochs, thousands(plan.steps as usize), spec.train.batch_size)?;
        let more = if record.every.on.is_empty() { "" } else { ", and those of what happens" };
        writeln!(w, "recording   {} snapshots, {:.1} MB{more}; their plane takes up to {:.1} GB of memory", plan.snapshots, plan.snapshot_bytes as f64 / 1e6, plan.plane_memory_bytes as f64 / 1e9)?;
        writeln!(w, "into        {}", plan.run.display())?;
        writeln!(w, "needing     {}", memory_words(&cost))?;
        writeln!(w, "taking      about {} here (measured on one step; evaluation after each epoch comes on top)", duration(plan.estimated_seconds))?;
        writeln!(w, "\n{}", spec.to_toml())
    });
    Ok(())
}

/// Steps up to which snapshots are counted one by one.
const COUNTED: u64 = 4_000_000;

/// How many of the steps 0 to `steps` are taken; of more than can be looked at, about: at the rate of
/// the last that were.
fn count(steps: u64, takes: impl Fn(u64) -> bool) -> u64 {
    let counted = steps.min(COUNTED);
    let half = counted / 2;
    let first = (0..=half).filter(|&s| takes(s)).count() as u64;
    let second = (half + 1..=counted).filter(|&s| takes(s)).count() as u64;
    let beyond = (steps - counted) as f64 * second as f64 / (counted - half).max(1) as f64;
    first + second + beyond as u64
}

/// Seconds that `steps` take, from one step timed after one to warm up. Nothing is kept.
pub fn estimate(setup: &lossreel::train::Setup, steps: u64) -> Result<f64> {
    use lossreel::backend::TrainPass;
    use lossreel::dataset::Batcher;
    let mut state = setup.begin()?;
    let n = setup.train.batch_size;
    let batcher = Batcher::new(&setup.data.train, setup.data.max_value, &setup.stats)?;
    let indices: Vec<usize> = (0..n).collect();
    let (images, targets) = batcher.batch(&indices, None);
    let streams = lossreel::rng::Streams::new(setup.train.seed);
    let mut grad = vec![0.0; state.theta.len()];
    let mut seconds = 0.0;
    for step in 0..2 {
        let started = std::time::Instant::now();
        let pass = TrainPass {
            theta: &state.theta,
            buffers: &mut state.buffers,
            images: &images,
            targets: targets.view(),
            label_smoothing: 0.0,
            streams: &streams,
            step,
        };
        setup.backend.train_pass(pass, &mut grad)?;
        seconds = started.elapsed().as_secs_f64();
    }
    Ok(seconds * steps as f64 * setup.optim.gradients_per_step())
}
