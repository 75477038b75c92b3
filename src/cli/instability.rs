//! `lossreel instability`

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use lossreel::objective::PointPolicy;
use lossreel::render::film::Output;
use lossreel::spec::Spec;
use lossreel::stages::instability::{
    self, Analysis, Following, Fork, Plan, Rise, STABLE, Settings,
};
use lossreel::stages::scenes::{Scene, SceneRequest};
use lossreel::{Error, Result};
use serde::Serialize;

use super::interrupt;
use super::out::{self, Out, duration, thousands};
use super::progress::Follow;
use super::train::{self, TrainBar};

/// Fork a run at epochs into children with other orders of the data, and measure the barrier between their
/// ends: from when on the noise of SGD no longer decides where the training ends.
///
/// The instability is the largest error on the straight line between the ends of two children, less the mean of
/// the errors of the ends; below 2 % the run is called stable (Frankle et al. 2020). The run and its children
/// are ordinary run folders in OUT/runs. The same command again skips what is done and goes on with what was
/// cut; more epochs in --at are added.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The spec of the run; without one, every default.
    #[arg(value_name = "SPEC.toml")]
    spec: Option<PathBuf>,
    /// After which epochs the run is forked, whole or not: 0,1,2,4 or 0.5. At 0 the children share nothing but
    /// their initial weights; at the last epoch they are the run itself.
    #[arg(long, value_name = "K,K,...", allow_hyphen_values = true)]
    at: String,
    /// The folder of the analysis; outputs/NAME-OF-SPEC-instability by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Change any key of the spec: --set optim.lr=0.05
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Children of each fork: every two are a pair, and barriers are means over the pairs.
    #[arg(long, default_value_t = 2, value_name = "N")]
    children: usize,
    /// Points of each line, the ends among them.
    #[arg(long, default_value_t = 11, value_name = "N")]
    points: usize,
    /// Images of each split that the lines are evaluated on (a class-balanced draw); all by default.
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// BatchNorm statistics on a line, in networks that have such: recalibrated (computed anew at each point on
    /// --bn-samples training images), interpolated, frozen or batch.
    #[arg(long, value_name = "POLICY", default_value = "recalibrated")]
    bn: PointPolicy,
    /// Training images that statistics are recalibrated on.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    bn_samples: usize,
    /// Print what would be trained and what it would cost, and stop.
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  lossreel instability SPEC.toml --at 0,1,2,4,8 --out outputs/stable
  lossreel instability SPEC.toml --at 0,0.5,1 --children 3 --set train.epochs=20
  lossreel render outputs/stable --as instability --theme print --out instability.pdf
  lossreel curve outputs/stable/runs/epoch-0_child-1 outputs/stable/runs/epoch-0_child-2";

/// The numbers of `text`, between commas.
fn epochs(text: &str) -> Result<Vec<f64>> {
    let number = |part: &str| {
        let parsed = part.trim().parse::<f64>();
        parsed.map_err(|_| {
            let remedy = "write epochs with commas between them, as in 0,1,2,4";
            Error::bad_value("--at", text, format!("`{part}` is not a number"), remedy)
        })
    };
    text.split(',').map(number).collect()
}

/// A bar with the name of what it follows.
type Named<Bar> = Option<(String, Bar)>;

/// The bar that follows `name`, made by `new` where `bar` follows something else; that one is ended by `end`.
fn following<'a, Bar>(
    bar: &'a mut Named<Bar>,
    name: &str,
    new: impl FnOnce() -> Bar,
    end: impl FnOnce(&Bar),
) -> &'a mut Bar {
    if let Some((_, old)) = bar.take_if(|(of, _)| of != name) {
        end(&old);
    }
    &mut bar.get_or_insert_with(|| (name.to_string(), new())).1
}

/// Trains, evaluates, draws, says what came of it.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let at = epochs(&args.at)?;
    let settings = Settings {
        children: args.children,
        points: args.points,
        samples: args.samples,
        bn: args.bn,
        bn_samples: args.bn_samples,
    };
    let spec = match &args.spec {
        Some(path) => Spec::read(path, &args.set)?,
        None => Spec::parse("", &args.set)?,
    };
    let folder = args.out.clone().unwrap_or_else(|| {
        let name = args.spec.as_ref().and_then(|path| path.file_stem());
        let name = name.unwrap_or(spec.model.arch.as_ref()).to_string_lossy();
        Path::new("outputs").join(format!("{name}-instability"))
    });
    if args.dry_run {
        return dry_run(&spec, &at, &settings, &folder, out);
    }
    let stop = interrupt::flag();
    let mut training: Named<TrainBar> = None;
    let line: Mutex<Named<Follow>> = Mutex::new(None);
    let lock = || line.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let found = instability::analyse(
        &folder,
        &spec,
        &at,
        &settings,
        &stop,
        Following {
            training: &mut |name, event| {
                lock().take().inspect(|(_, bar)| bar.finish());
                let new = || TrainBar::new(out, name);
                following(&mut training, name, new, TrainBar::finish).on(event);
            },
            line: &|name, done, total| {
                let new = || Follow::new(out, name, "points");
                following(&mut lock(), name, new, Follow::finish).on(done, total);
            },
        },
    );
    training.inspect(|(_, bar)| bar.finish());
    lock().take().inspect(|(_, bar)| bar.finish());
    let analysis = found?;
    let picture = draw(&folder, &analysis)?;
    print(&folder, &analysis, picture.as_deref(), out);
    Ok(())
}

/// Draws `instability.svg`, where there is anything to draw.
fn draw(folder: &Path, analysis: &Analysis) -> Result<Option<PathBuf>> {
    let known = |fork: &Fork| {
        let rises = [fork.train.loss, fork.test.loss, fork.train.error, fork.test.error];
        rises.iter().flatten().any(|rise| rise.value.is_finite())
    };
    if !analysis.forks.iter().any(known) {
        return Ok(None);
    }
    let path = folder.join("instability.svg");
    let scene = SceneRequest::new(Scene::Instability, vec![folder.to_path_buf()]).gather()?;
    scene.write(&Output::new(&path), &mut |_, _| ())?;
    Ok(Some(path))
}

/// What `--json` prints: the analysis and where it is.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "out::path")]
    folder: &'a Path,
    picture: Option<String>,
    #[serde(flatten)]
    analysis: &'a Analysis,
}

/// `12.34 ± 0.56`, `scale` times as large.
fn rise(rise: Option<Rise>, scale: f64, decimals: usize) -> String {
    let Some(Rise { value, se, .. }) = rise else { return "-".into() };
    let error = se.map_or(String::new(), |se| format!(" ± {:.decimals$}", scale * se));
    format!("{}{error}", out::value(scale * value, decimals))
}

fn print(folder: &Path, analysis: &Analysis, picture: Option<&Path>, out: &Out) {
    let picture_path = picture.map(|path| path.display().to_string());
    let report = Report { folder, picture: picture_path, analysis };
    out.result(&report, |w| {
        writeln!(
            w,
            "{:>8} {:>10} {:>17} {:>17} {:>17} {:>17} {:>13}  stable",
            "epoch",
            "distance",
            "test error, %",
            "training error, %",
            "test loss",
            "training loss",
            "test accuracy"
        )?;
        for fork in &analysis.forks {
            let Fork { train, test, .. } = fork;
            let accuracy = fork.test_accuracy();
            let accuracy = match accuracy.is_nan() {
                true => "-".into(),
                false => format!("{:.2} %", 100.0 * accuracy),
            };
            writeln!(
                w,
                "{:>8} {:>10} {:>17} {:>17} {:>17} {:>17} {accuracy:>13}  {}",
                fork.epoch,
                fork.distance.map_or("-".into(), |distance| format!("{distance:.4}")),
                rise(test.error, 100.0, 2),
                rise(train.error, 100.0, 2),
                rise(test.loss, 1.0, 4),
                rise(train.loss, 1.0, 4),
                fork.stable.map_or("-", |stable| if stable { "yes" } else { "no" }),
            )?;
            for child in fork.children.iter().filter(|child| child.diverged) {
                writeln!(w, "{:>8} {} diverged and is in no pair", "", child.run)?;
            }
        }
        let pairs = analysis.settings.children * (analysis.settings.children - 1) / 2;
        writeln!(
            w,
            "barriers: the largest on the line between two children less the mean of both ends, ± standard error \
             over the images{}; stable: test error below {} %",
            if pairs > 1 { format!(", mean over {pairs} pairs") } else { String::new() },
            100.0 * STABLE
        )?;
        writeln!(w, "runs, table and picture in {}", folder.display())
    });
}

/// What `--dry-run` prints.
#[derive(Serialize)]
struct Cost<'a> {
    #[serde(serialize_with = "out::path")]
    folder: &'a Path,
    forks: Vec<f64>,
    runs: usize,
    steps: u64,
    /// Of the trainings, without the lines.
    estimated_seconds: f64,
}

/// Times a step, and adds up.
fn dry_run(spec: &Spec, at: &[f64], settings: &Settings, folder: &Path, out: &Out) -> Result<()> {
    let setup = spec.setup(&spec.load_data()?)?;
    let Plan { forks, runs, steps } =
        instability::plan(spec, setup.steps_per_epoch()?, at, settings)?;
    let estimated_seconds = train::estimate(&setup, steps)?;
    let forks = forks.iter().map(|fork| fork.epoch).collect();
    let cost = Cost { folder, forks, runs, steps, estimated_seconds };
    out.result(&cost, |w| {
        let (runs, steps) = (thousands(cost.runs), thousands(cost.steps as usize));
        writeln!(w, "would train {runs} runs, {steps} steps in all")?;
        writeln!(w, "into        {}", folder.display())?;
        writeln!(w, "taking      about {} here (measured on one step; evaluation after each epoch and the lines come on top)", duration(estimated_seconds))
    });
    Ok(())
}
