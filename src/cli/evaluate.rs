//! `lossreel evaluate`

use std::path::{Path, PathBuf};

use lossreel::Result;
use lossreel::dataset::{SplitName, things};
use lossreel::objective::{DatasetObjective, Evaluation};
use lossreel::stages::Subject;
use lossreel::stages::predictions::{self, PredictedValues};
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
    /// Write the answer for each image as well: CSV with its class, the class found, and the loss; for numbers
    /// that are predicted, those and what they should be.
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
    #[serde(serialize_with = "out::float")]
    accuracy: f64,
    /// Of numbers that are predicted: R squared, and the root of the mean squared error of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Values>,
    split: SplitName,
    seconds: f64,
    norm_stats: Pixels<'a>,
    notes: &'a [String],
}

/// How well numbers are predicted.
#[derive(Serialize)]
struct Values {
    #[serde(serialize_with = "out::float")]
    explained: f64,
    rmse: Vec<Rmse>,
}

#[derive(Serialize)]
struct Rmse {
    name: String,
    #[serde(serialize_with = "out::float")]
    rmse: f64,
}

/// The numbers that are predicted, where they are; written to `path` where that is given.
fn predicted(
    subject: &Subject,
    objective: &DatasetObjective,
    path: Option<&Path>,
) -> Result<Option<Values>> {
    let Some(values) = objective.values() else { return Ok(None) };
    let outputs = objective.outputs(&subject.theta, &|_| ())?;
    let names = &subject.data.class_names;
    let scales = &subject.data.target_scales;
    let found = PredictedValues { names, outputs: &outputs, values, scales };
    if let Some(path) = path {
        found.write(path)?;
    }
    let rmse = names.iter().zip(found.rmse());
    let rmse = rmse.map(|(name, rmse)| Rmse { name: name.clone(), rmse }).collect();
    Ok(Some(Values { explained: found.explained(), rmse }))
}

/// All test images by default.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let subject = args.target.subject()?;
    let choice = args.sample.choice(SplitName::Test, None);
    let objective = subject.objective(choice)?;
    let bar = progress::bar(out, "evaluating", "images", objective.samples() as u64);
    let started = std::time::Instant::now();
    let found: Evaluation = objective.loss_with(&subject.theta, &|n| bar.inc(n as u64))?;
    let values = predicted(&subject, &objective, args.predictions.as_deref())?;
    if let (Some(path), None) = (&args.predictions, &values) {
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
        values,
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
            "{} on {} {} {} ({})",
            subject.title,
            objective.samples(),
            choice.split,
            things(&subject.data.name).unwrap_or("samples"),
            subject.data.name
        )?;
        match &report.values {
            Some(values) => {
                writeln!(w, "explained {:.2} % of the variance", 100.0 * values.explained)?;
                for Rmse { name, rmse } in &values.rmse {
                    writeln!(
                        w,
                        "error     {} (root mean square, {})",
                        out::value(*rmse, 4),
                        one_line(name)
                    )?;
                }
            }
            None => writeln!(
                w,
                "accuracy  {:.2} %  ({} of {})",
                100.0 * found.accuracy(),
                found.correct,
                found.total
            )?,
        }
        let se = if found.loss.is_finite() {
            format!(" ± {:.6}", found.loss_se)
        } else {
            String::new()
        };
        writeln!(w, "loss      {}{se}", out::value(found.loss, 6))?;
        writeln!(w, "pixels    {}", report.norm_stats.words())?;
        writeln!(
            w,
            "time      {} ({:.0} {}/s)",
            duration(seconds),
            objective.samples() as f64 / seconds,
            things(&subject.data.name).unwrap_or("samples")
        )
    });
    Ok(())
}
