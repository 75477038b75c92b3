//! `lossreel inspect`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lossreel::backend::{BackendName, choose, native};
use lossreel::dataset::{self, DataSet};
use lossreel::models::{ArchFile, Shortcut};
use lossreel::network::{Network, Summary};
use lossreel::record::{Run, Status};
use lossreel::stages::check::{Artifact, ArtifactKind, ArtifactState};
use lossreel::stages::repair::Repair;
use lossreel::train::Verdict;
use lossreel::{Error, Result, stages, weights};
use serde::Serialize;

use super::out::{Out, loss_and_accuracy, one_line, thousands};
use super::target::model_of;

/// Print the layers of an architecture, the tensors of a file, or how far a run is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run folder, or a file of weights.
    #[arg(value_name = "RUN|FILE", required_unless_present = "arch", conflicts_with = "arch")]
    path: Option<PathBuf>,
    /// Of a file of weights with several state dicts the one to list.
    #[arg(long, value_name = "KEY", requires = "path")]
    key: Option<String>,
    /// Architecture: resnet20, vgg9, wrn-56-4, densenet121, vit, ...
    #[arg(long, value_name = "NAME")]
    arch: Option<String>,
    /// Shortcut of a residual net: projection, option_a or none.
    #[arg(long, value_name = "KIND", default_value = "projection", conflicts_with = "path")]
    shortcut: Shortcut,
    /// Any other key of a spec's [model] table: --model width=0.5
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "path")]
    model: Vec<String>,
    /// Read all that the run or joint folder holds, compare it with its digests, and say what is damaged
    /// and what can still be used; ends with an error where anything is.
    #[arg(long, requires = "path")]
    check: bool,
    /// Tidy up what killed processes left (torn last lines, unfinished files), and put a spec that is
    /// lost back from the manifest; then --check. What is whole is never touched.
    #[arg(long, requires = "path")]
    repair: bool,
    /// Write the architecture as a file of layers, which --arch and model.arch read: a beginning for one of
    /// one's own.
    #[arg(long, value_name = "FILE.toml", requires = "arch")]
    write: Option<PathBuf>,
    /// The data set, for the images' shape.
    #[arg(long, value_name = "NAME", default_value = "cifar10", conflicts_with = "path")]
    dataset: DataSet,
}

/// An architecture, and what executes it here.
#[derive(Serialize)]
struct ArchReport {
    #[serde(flatten)]
    summary: Summary,
    backend: BackendName,
    /// Why it is not the fast one.
    why: Option<String>,
    /// The vector instructions of the native backend on this processor.
    simd: native::Level,
}

#[derive(Serialize)]
struct FileReport {
    format: String,
    tensors: Vec<TensorRow>,
    parameters: usize,
    metadata: std::collections::BTreeMap<String, String>,
    /// The keys that lead to the tensors.
    key: String,
    /// Other state dicts in the file.
    others: Vec<String>,
    /// Tensors that cannot be read, and what they are.
    unreadable: Vec<String>,
    /// Tensors that the file has in parts, and of what.
    recombined: Vec<String>,
}

#[derive(Serialize)]
struct Written<'a> {
    file: &'a Path,
    layers: usize,
}

#[derive(Serialize)]
struct TensorRow {
    name: String,
    shape: Vec<usize>,
    /// Values that are NaN or infinite.
    not_finite: usize,
}

/// Writes a network as a file of layers.
fn write_arch(network: &Network, to: &Path, out: &Out) -> Result<()> {
    ArchFile::of(network).write(to)?;
    out.result(&Written { file: to, layers: network.nodes.len() - 1 }, |w| {
        writeln!(w, "{}: {} layers", to.display(), network.nodes.len() - 1)
    });
    Ok(())
}

/// Prints the table.
pub fn run(args: Args, out: &Out) -> Result<()> {
    match (&args.arch, &args.path) {
        (Some(arch), _) => {
            let model = model_of(arch, args.shortcut, &args.model)?;
            let (shape, classes) = args.dataset.form().ok_or_else(|| {
                Error::bad_value(
                    "--dataset",
                    args.dataset,
                    "whose images' shape is in their files",
                    "name a set of that shape, or inspect a run that was trained on them",
                )
            })?;
            let network = model.build(shape, classes)?;
            if let Some(to) = &args.write {
                return write_arch(&network, to, out);
            }
            let (backend, why) = choose(&network);
            let simd = native::Level::detect();
            let report = ArchReport { summary: network.summary(), backend, why, simd };
            layers(&report, out);
            Ok(())
        }
        (None, Some(path)) if (args.check || args.repair) && !path.is_file() => {
            check(path, args.repair, out)
        }
        (None, Some(path)) if path.is_dir() => match Run::open(path) {
            Ok(run) => inspect_run(&run, out),
            // A folder that other tools unpacked, or in which they keep a file of weights.
            Err(Error::NotARun { .. }) if weights::is_folder_of_weights(path) => {
                inspect_file(path, args.key.as_deref(), out)
            }
            Err(error) => Err(error),
        },
        (None, Some(path)) => inspect_file(path, args.key.as_deref(), out),
        (None, None) => Err(Error::bad_value(
            "--arch",
            "",
            "not given",
            "name an architecture, a run or a file",
        )),
    }
}

fn layers(report: &ArchReport, out: &Out) {
    let summary = &report.summary;
    out.result(report, |w| {
        writeln!(w, "{}, images {:?}, {} classes", summary.arch, summary.input, summary.classes)?;
        writeln!(w, "{:<24} {:<14} {:>16} {:>12} {:>14}", "layer", "op", "output", "parameters", "MACs")?;
        for row in &summary.layers {
            writeln!(w, "{:<24} {:<14} {:>16} {:>12} {:>14}", row.name, row.op, format!("{:?}", row.shape), thousands(row.parameters), thousands(row.macs as usize))?;
        }
        writeln!(w, "{} parameters in {} tensors, {} values in buffers, {:.1} million multiply-accumulates an image",
            thousands(summary.parameters), summary.tensors, thousands(summary.buffers), summary.macs as f64 / 1e6)?;
        match &report.why {
            None => writeln!(w, "backend: {} ({} instructions)", report.backend, report.simd),
            Some(why) => writeln!(w, "backend: {}, as {why}", report.backend),
        }
    });
}

fn inspect_run(run: &Run, out: &Out) -> Result<()> {
    let manifest = run.manifest()?;
    let metrics = run.metrics()?;
    let snapshots = run.snapshots()?.len();
    out.result(&manifest, |w| {
        writeln!(
            w,
            "{}: {} on {} ({} training, {} test {})",
            run.name(),
            manifest.arch,
            manifest.dataset,
            manifest.samples[0],
            manifest.samples[1],
            dataset::things(&manifest.dataset).unwrap_or("samples")
        )?;
        writeln!(w, "status      {}", status_words(&manifest.status))?;
        writeln!(w, "parameters  {}", thousands(manifest.parameters))?;
        writeln!(w, "snapshots   {snapshots}")?;
        if let Some(last) = metrics.epochs.last() {
            writeln!(
                w,
                "epoch {}    train {}; test {}",
                last.epoch,
                loss_and_accuracy(last.train_loss, last.train_accuracy),
                loss_and_accuracy(last.test_loss, last.test_accuracy)
            )?;
        }
        Ok(())
    });
    Ok(())
}

/// What `--check` found.
#[derive(Serialize)]
struct CheckReport<'a> {
    /// What `--repair` did before.
    repaired: &'a [Repair],
    damaged: usize,
    artifacts: &'a [Artifact],
}

/// Says how every artifact in `root` is, after a repair where that is asked for.
fn check(root: &Path, repair: bool, out: &Out) -> Result<()> {
    let repaired = if repair { stages::repair::repair(root)? } else { Vec::new() };
    let artifacts = stages::check::check(root)?;
    let of = |state| artifacts.iter().filter(move |a| a.state == state);
    let damaged = of(ArtifactState::Damaged).count();
    out.result(&CheckReport { repaired: &repaired, damaged, artifacts: &artifacts }, |w| {
        for Repair { path, done } in &repaired {
            writeln!(w, "repaired        {path}: {done}")?;
        }
        for (state, name) in [
            (ArtifactState::Damaged, "damaged"),
            (ArtifactState::Unfinished, "unfinished"),
            (ArtifactState::LeftOver, "left over"),
            (ArtifactState::WithoutDigest, "without digest"),
        ] {
            for artifact in of(state) {
                let colon = if artifact.what.is_empty() { "" } else { ": " };
                writeln!(w, "{name:<15} {}{colon}{}", artifact.path, artifact.what)?;
            }
        }
        let kinds: BTreeSet<ArtifactKind> = of(ArtifactState::Damaged).map(|a| a.kind).collect();
        for kind in kinds {
            writeln!(w, "still usable    {}", still_usable(kind))?;
        }
        writeln!(
            w,
            "{} of {} artifacts are whole",
            of(ArtifactState::Whole).count(),
            artifacts.len()
        )
    });
    match damaged {
        0 => Ok(()),
        count => Err(Error::DamagedArtifacts { count, path: root.to_path_buf() }),
    }
}

/// What can still be done where an artifact of a kind is damaged.
fn still_usable(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Spec => {
            "the manifest has the spec's text (inspect --repair puts back one that is lost or empty)"
        }
        ArtifactKind::Manifest => {
            "each snapshot, as a file of weights (evaluate, surface, curve with --weights); the run              itself opens again when the manifest is restored"
        }
        ArtifactKind::Metrics => "planes, surfaces and pictures without charts of the loss",
        ArtifactKind::Snapshot => {
            "what was made from the snapshots before; nothing new over the damaged ones (removed, they              leave a gap in the path)"
        }
        ArtifactKind::Checkpoint => "everything but train --resume",
        ArtifactKind::Joint => "the runs themselves; make the joint plane again with --force",
        ArtifactKind::Plane => "the snapshots: lossreel plane makes it again",
        ArtifactKind::Surface => "its plane; compute it again with lossreel surface --force",
        ArtifactKind::Curve => "the run; compute it again with lossreel curve --force",
        ArtifactKind::Curvature => {
            "the run; remove the file and lossreel curvature computes it again"
        }
        ArtifactKind::Map => "the runs; lossreel plane --snapshot-map makes it again",
        ArtifactKind::LeftOver => "everything: inspect --repair removes it",
    }
}

/// How far a run is, in words.
fn status_words(status: &Status) -> String {
    match *status {
        Status::Unfinished => "unfinished: go on with lossreel train --resume".into(),
        Status::Ended { verdict, steps } => match verdict {
            Verdict::Finished => format!("finished after {steps} steps"),
            Verdict::EarlyStopped => format!("stopped early after {steps} steps"),
            Verdict::Diverged { step, lr } => format!("diverged at step {step}, lr {lr}"),
            Verdict::Interrupted => {
                format!("interrupted after {steps} steps: go on with lossreel train --resume")
            }
        },
    }
}

fn inspect_file(path: &Path, key: Option<&str>, out: &Out) -> Result<()> {
    let file = weights::read_key(path, key)?;
    let report = FileReport {
        format: format!("{:?}", file.format),
        parameters: file.tensors.iter().map(|t| t.data.len()).sum(),
        tensors: file
            .tensors
            .iter()
            .map(|t| TensorRow {
                name: t.name.clone(),
                shape: t.shape.clone(),
                not_finite: t.data.iter().filter(|v| !v.is_finite()).count(),
            })
            .collect(),
        metadata: file.metadata.iter().cloned().collect(),
        others: file.others.iter().map(|(key, n)| format!("{key} ({n} tensors)")).collect(),
        unreadable: file.unreadable.iter().map(|(name, what)| format!("{name} {what}")).collect(),
        recombined: file.recombined.iter().map(|(name, of)| format!("{name} ({of})")).collect(),
        key: file.key.clone(),
    };
    out.result(&report, |w| {
        writeln!(
            w,
            "{}, {} tensors, {} values",
            report.format,
            report.tensors.len(),
            thousands(report.parameters)
        )?;
        for (key, value) in &report.metadata {
            writeln!(w, "{} = {}", one_line(key), one_line(value))?;
        }
        for tensor in &report.tensors {
            let damaged = match tensor.not_finite {
                0 => String::new(),
                n => format!("  {n} values are NaN or infinite"),
            };
            writeln!(w, "{:<44} {:?}{damaged}", one_line(&tensor.name), tensor.shape)?;
        }
        if !report.key.is_empty() {
            writeln!(w, "under the key    {}", one_line(&report.key))?;
        }
        for (what, names) in [
            ("other weights   ", &report.others),
            ("not readable    ", &report.unreadable),
            ("recombined      ", &report.recombined),
        ] {
            for name in names {
                writeln!(w, "{what} {}", one_line(name))?;
            }
        }
        Ok(())
    });
    Ok(())
}
