//! `lossreel evaluate`

use std::path::PathBuf;

use lossreel::Result;
use lossreel::dataset::SplitName;
use lossreel::objective::Evaluation;
use lossreel::stages::predictions;
use serde::Serialize;

use super::out::{self, Out, duration, one_line, warn};
use super::progress;
use super::target::{Pixels, Sample, Target};

/// Loss and accuracy of a run's last state, or of a file of weights.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    sample: Sample,
    /// Write the answer for each image as well: CSV with its class, the class found, and the loss.
    #[arg(long, value_name = "FILE.csv")]
    predictions: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "out::float")]
    loss: f64,
    #[serde(serialize_with = "out::float")]
    loss_se: f64,
    correct: usize,
    total: usize,
    accuracy: f64,
    split: SplitName,
    seconds: f64,
    norm_stats: Pixels<'a>,
    notes: &'a [String],
}

/// All test images by default.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let subject = args.target.subject()?;
    let choice = args.sample.choice(SplitName::Test, None);
    let objective = subject.objective(choice)?;
    let bar = progress::bar(out, "evaluating", "images", objective.samples() as u64);
    let started = std::time::Instant::now();
    let found: Evaluation = objective.loss_with(&subject.theta, &|n| bar.inc(n as u64))?;
    if let Some(path) = &args.predictions {
        predictions::write(path, &objective.predictions(&subject.theta, &|_| ())?)?;
    }
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let report = Report {
        loss: found.loss,
        loss_se: found.loss_se,
        correct: found.correct,
        total: found.total,
        accuracy: found.accuracy(),
        split: choice.split,
        seconds,
        norm_stats: Pixels::of(&subject),
        notes: &subject.notes,
    };
    let damaged = subject.network().layout.not_finite(&subject.theta, &subject.buffers);
    // Of a file they were told when it was read.
    if !damaged.is_empty() && args.target.run.is_some() {
        let tensors: Vec<String> =
            damaged.iter().map(|(name, n)| format!("{} ({n} values)", one_line(name))).collect();
        warn(format_args!("weights that are NaN or infinite: {}", tensors.join(", ")));
    } else if damaged.is_empty() && !found.loss.is_finite() {
        warn(format_args!("the loss is not finite: the network overflows on these images"));
    }
    out.result(&report, |w| {
        writeln!(
            w,
            "{} on {} {} images ({})",
            subject.title, found.total, choice.split, subject.data.name
        )?;
        writeln!(
            w,
            "accuracy  {:.2} %  ({} of {})",
            100.0 * found.accuracy(),
            found.correct,
            found.total
        )?;
        let se = if found.loss.is_finite() {
            format!(" ± {:.6}", found.loss_se)
        } else {
            String::new()
        };
        writeln!(w, "loss      {}{se}", out::value(found.loss, 6))?;
        writeln!(w, "pixels    {}", report.norm_stats.words())?;
        writeln!(
            w,
            "time      {} ({:.0} images/s)",
            duration(seconds),
            found.total as f64 / seconds
        )
    });
    Ok(())
}
