//! `lossreel import`

use std::path::{Path, PathBuf};

use lossreel::dataset::{DataSet, NormChoice};
use lossreel::models::Shortcut;
use lossreel::record::Existing;
use lossreel::spec::Spec;
use lossreel::stages::checkpoints::{self, Checkpoints};
use lossreel::stages::import::{self, Imported};
use lossreel::weights::{self, names::canonical};
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::{self, Out, one_line, thousands, warn};
use super::progress::Follow;

/// Make a run of a folder of checkpoints (or of several files), or convert one file of weights to
/// safetensors.
///
/// Checkpoints are put in the order of their epochs, as they say themselves or their names do. With --arch
/// the run is one like any other: plane, surface, curvature and films work on it. Without it the network is
/// not known, and the run has its path: plane, spectrum, histograms.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A folder of checkpoints, several files, or one file.
    #[arg(required = true, value_name = "DIR|FILE")]
    files: Vec<PathBuf>,
    /// The run folder to make; of one file, the safetensors file to write.
    #[arg(long)]
    out: PathBuf,
    /// Which weights in each file, where it has several: the key of a state dict (model_ema), or what the
    /// names of one network begin with.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Architecture: resnet20, vgg16, resnet50, mlp, ...
    #[arg(long, value_name = "NAME")]
    arch: Option<String>,
    /// Shortcut of a residual net: projection, option_a or none.
    #[arg(long, value_name = "KIND", default_value = "projection", requires = "arch")]
    shortcut: Shortcut,
    /// Any other key of a spec's [model] table: --model width=0.5
    #[arg(long, value_name = "KEY=VALUE", requires = "arch")]
    model: Vec<String>,
    /// Pixel statistics the weights were trained with; see evaluate --help.
    #[arg(long, value_name = "NAME|NUMBERS", requires = "arch")]
    norm_stats: Option<NormChoice>,
    /// Data set.
    #[arg(long, value_name = "NAME", default_value = "cifar10", requires = "arch")]
    dataset: DataSet,
    /// Folder with the data set's files; datasets/NAME by default.
    #[arg(long, value_name = "DIR", requires = "arch")]
    data_dir: Option<PathBuf>,
    /// Any other key of the run's spec: --set data.test_samples=0 evaluates on all test images.
    #[arg(long, value_name = "KEY=VALUE", requires = "arch")]
    set: Vec<String>,
    /// Replace the run that is in the folder.
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  lossreel import checkpoints/ --arch resnet20 --shortcut option_a --norm-stats usual --out outputs/mine
  lossreel plane outputs/mine && lossreel surface outputs/mine && lossreel render outputs/mine
  lossreel import model.pth --out model.safetensors";

/// Images that each checkpoint is evaluated on, of each split, unless --set says otherwise.
const IMAGES: usize = 1000;

/// A run of checkpoints, or a converted file.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let one = match args.files.as_slice() {
        [file] if !file.is_dir() => Some(file),
        _ => None,
    };
    let is_file = args.out.extension().is_some_and(|ending| ending == "safetensors");
    match one {
        Some(file) if is_file || args.arch.is_none() => convert(file, &args, out),
        _ => import(&args, out),
    }
}

#[derive(Serialize)]
struct ImportedReport<'a> {
    #[serde(serialize_with = "out::path")]
    run: PathBuf,
    checkpoints: Vec<Row<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Row<'a> {
    file: std::borrow::Cow<'a, str>,
    epoch: f64,
}

fn import(args: &Args, out: &Out) -> Result<()> {
    let key = args.key.as_deref();
    let found: Checkpoints = match args.files.as_slice() {
        [folder] if folder.is_dir() && weights::is_one_file(folder) => {
            checkpoints::of_files(vec![folder.clone()], key)?
        }
        [folder] if folder.is_dir() => checkpoints::in_folder(folder, key)?,
        files => checkpoints::of_files(files.to_vec(), key)?,
    };
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    let bar = Follow::new(out, "importing", "checkpoints");
    let total = found.files.len();
    let on_file = |done: usize| bar.on(done, total);
    let imported = match &args.arch {
        Some(arch) => {
            let spec = spec_of(args, arch)?;
            import::with_spec(&found, key, &spec, &args.out, existing, &on_file)
        }
        None => {
            let name = args.files[0].file_name().unwrap_or_default().to_string_lossy();
            import::without_spec(&found, key, &name, &args.out, existing, &on_file)
        }
    };
    bar.finish();
    let Imported { run, files, notes } = imported?;
    for note in &notes {
        warn(format_args!("{}", one_line(note)));
    }
    let name = |path: &'_ Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let report = ImportedReport {
        run: run.root().to_path_buf(),
        checkpoints: files
            .iter()
            .map(|(path, epoch)| Row { file: name(path).into(), epoch: *epoch })
            .collect(),
        notes: &notes,
    };
    out.result(&report, |w| {
        for row in &report.checkpoints {
            writeln!(w, "{:<40} epoch {}", one_line(&row.file), row.epoch)?;
        }
        let run = report.run.display();
        writeln!(w, "a run of {} checkpoints: {run}", report.checkpoints.len())?;
        match args.arch {
            Some(_) => writeln!(w, "next: lossreel plane {run}, surface, render"),
            None => writeln!(
                w,
                "next: lossreel plane {run}, render --as spectrum; the network is not known, so that a \
                 surface needs --arch, or the Python package"
            ),
        }
    });
    Ok(())
}

/// The spec of a run of that architecture.
fn spec_of(args: &Args, arch: &str) -> Result<Spec> {
    let text = |value: &str| toml::Value::String(value.into()).to_string();
    let mut set = vec![
        format!("model.arch={}", text(arch)),
        format!("model.shortcut={}", text(args.shortcut.as_str())),
        format!("data.set={}", text(args.dataset.as_str())),
        format!("train.eval_samples={IMAGES}"),
        format!("data.test_samples={IMAGES}"),
        "data.augment=\"none\"".into(),
    ];
    set.extend(args.model.iter().map(|change| format!("model.{change}")));
    if let Some(dir) = &args.data_dir {
        let dir = dir.to_str().ok_or_else(|| {
            let problem = "not UTF-8 text, which a spec is written in";
            Error::bad_value("--data-dir", dir.display(), problem, "rename the folder")
        })?;
        set.push(format!("data.dir={}", text(dir)));
    }
    if let Some(choice) = &args.norm_stats {
        set.push(format!("data.norm_stats={}", text(&choice.to_string())));
    }
    set.extend(args.set.iter().cloned());
    Spec::parse("", &set)
}

#[derive(Serialize)]
struct Report {
    #[serde(serialize_with = "out::path")]
    written: PathBuf,
    tensors: usize,
    values: usize,
    left_out: Vec<String>,
    key: String,
}

/// Reads, renames, writes.
fn convert(file: &Path, args: &Args, out: &Out) -> Result<()> {
    let whole = |path: &Path| std::fs::canonicalize(path).ok();
    if whole(&args.out).is_some_and(|out| Some(out) == whole(file)) {
        let path = args.out.clone();
        return Err(Error::OneFile { a: "the file read", b: "the file written", path });
    }
    let checkpoint = weights::read_key(file, args.key.as_deref())?;
    if let Some((name, what)) = checkpoint.unreadable.first() {
        return Err(Error::BadFile {
            what: format!("its tensor {name} {what}"),
            remedy: "give a file with dense tensors of real numbers".into(),
            path: file.to_path_buf(),
        });
    }
    if !checkpoint.others.is_empty() {
        let others: Vec<_> = checkpoint.others.iter().map(|(key, _)| one_line(key)).collect();
        let others = others.join(", ");
        warn(format_args!("the file has other weights too: {others}; choose by --key"));
    }
    let (mut named, mut left_out) = (Vec::new(), checkpoint.ignored.clone());
    for tensor in &checkpoint.tensors {
        match canonical(&tensor.name) {
            Some(name) => named.push((name, tensor)),
            None => left_out.push(tensor.name.clone()),
        }
    }
    for tensor in &checkpoint.tensors {
        let damaged = tensor.data.iter().filter(|v| !v.is_finite()).count();
        if damaged > 0 {
            let name = one_line(&tensor.name);
            warn(format_args!("{name} holds NaN or infinite values ({damaged})"));
        }
    }
    let tensors: Vec<(&str, &[usize], &[f32])> = named
        .iter()
        .map(|(name, t)| (name.as_str(), t.shape.as_slice(), t.data.as_slice()))
        .collect();
    weights::export_safetensors(&args.out, &tensors, &checkpoint.metadata)?;
    let report = Report {
        written: args.out.clone(),
        tensors: tensors.len(),
        values: named.iter().map(|(_, t)| t.data.len()).sum(),
        left_out,
        key: checkpoint.key.clone(),
    };
    out.result(&report, |w| {
        writeln!(w, "{} tensors, {} values", report.tensors, thousands(report.values))?;
        if !report.left_out.is_empty() {
            let names: Vec<_> = report.left_out.iter().map(|name| one_line(name)).collect();
            writeln!(w, "left out: {}", names.join(", "))?;
        }
        writeln!(w, "written   {}", report.written.display())
    });
    Ok(())
}
