//! `lossreel average`

use std::path::PathBuf;

use lossreel::record::{Existing, Run};
use lossreel::stages::average::{Averaging, of_run};
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::{self, Out};
use super::progress::Follow;

/// Average a run's weights along its path, and record the average as a run of its own: its path can be
/// drawn beside the run's.
///
/// SWA is the mean of the snapshots from --from on, EMA their exponential moving average. How fine it is
/// the run's record.every says. BatchNorm statistics are computed anew at the average.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A run folder.
    run: PathBuf,
    /// swa or ema.
    #[arg(long, default_value = "swa", value_name = "swa|ema")]
    kind: String,
    /// SWA: the share of the run's steps after which the mean begins; 0.75 by default.
    #[arg(long, value_name = "SHARE")]
    from: Option<f64>,
    /// EMA: what each snapshot leaves of the average before it; 0.9 by default.
    #[arg(long, value_name = "SHARE")]
    decay: Option<f64>,
    /// The folder of the averaged run; RUN-swa or RUN-ema by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where the data are, if no longer where the run found them.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Replace a run folder.
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  lossreel average outputs/run --from 0.5
  lossreel plane outputs/run outputs/run-swa --out outputs/joint
  lossreel surface outputs/joint
  lossreel render outputs/joint --as race --out averages.mp4";

#[derive(Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "out::path")]
    run: PathBuf,
    kind: &'a str,
    snapshots: usize,
    #[serde(serialize_with = "out::float")]
    train_loss: f64,
    #[serde(serialize_with = "out::float")]
    test_loss: f64,
    test_accuracy: f64,
    /// Of the last weights themselves.
    #[serde(serialize_with = "out::float")]
    own_test_loss: f64,
    own_test_accuracy: f64,
}

/// Averages, records, says what it is worth.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let other = |key: &str, of: &str| {
        let problem = format!("which only --kind {of} reads");
        Err(Error::bad_value(key, "given", problem, "leave it out, or choose that kind"))
    };
    let averaging = match (args.kind.as_str(), args.from, args.decay) {
        ("swa", _, Some(_)) => return other("--decay", "ema"),
        ("ema", Some(_), _) => return other("--from", "swa"),
        ("swa", from, _) => Averaging::Mean { from: from.unwrap_or(0.75) },
        ("ema", _, decay) => Averaging::Exponential { decay: decay.unwrap_or(0.9) },
        (kind, ..) => return Err(Error::unknown_name("kind of average", kind, &["swa", "ema"])),
    };
    let source = Run::open(&args.run)?;
    let to = args.out.clone().unwrap_or_else(|| {
        let mut name = source.root().as_os_str().to_owned();
        name.push(format!("-{}", args.kind));
        name.into()
    });
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    let follow = Follow::new(out, "averaging", "snapshots");
    let found = of_run(&source, &to, averaging, existing, args.data_dir.as_deref(), &|done, n| {
        follow.on(done, n);
    })?;
    follow.finish();
    let report = Report {
        run: to,
        kind: &args.kind,
        snapshots: found.snapshots,
        train_loss: found.train.loss,
        test_loss: found.test.loss,
        test_accuracy: found.test.accuracy(),
        own_test_loss: found.own.loss,
        own_test_accuracy: found.own.accuracy(),
    };
    out.result(&report, |w| {
        writeln!(
            w,
            "the {} of {} snapshots: {}",
            report.kind,
            report.snapshots,
            report.run.display()
        )?;
        let line =
            |accuracy: f64, loss: f64| format!("test {}", out::loss_and_accuracy(loss, accuracy));
        writeln!(w, "the average:      {}", line(report.test_accuracy, report.test_loss))?;
        writeln!(w, "the last weights: {}", line(report.own_test_accuracy, report.own_test_loss))
    });
    Ok(())
}
