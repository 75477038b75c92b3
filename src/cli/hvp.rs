//! `lossreel hvp`: one Hessian-vector product, for comparisons with other programs.

use std::path::PathBuf;
use std::time::Instant;

use lossreel::objective::Objective;
use lossreel::weights::{SafetensorsFile, export_safetensors};
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::{self, Out};
use super::target::{Sample, Target};

/// Multiply the Hessian of the loss, in eval mode, by a vector.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    sample: Sample,
    /// safetensors with the vector: one flat tensor `v`, parameters in the net's order.
    #[arg(long, value_name = "FILE")]
    vector: PathBuf,
    /// Where the product goes: safetensors with one flat tensor `hv`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How often it is computed, for timing.
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: usize,
}

#[derive(Serialize)]
struct Report {
    /// Each product's seconds.
    hvp_seconds: Vec<f64>,
    /// v' H v / v' v, the curvature along v.
    #[serde(serialize_with = "out::float")]
    rayleigh: f64,
    samples: usize,
    backend: String,
}

/// 1,000 training images by default.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let subject = args.target.subject_of_curvature()?;
    let v = SafetensorsFile::open(&args.vector)?.read("v")?.data;
    let dim = subject.theta.len();
    if v.len() != dim {
        return Err(Error::bad_value(
            "--vector",
            format!("{} values long", v.len()),
            format!("but {} has {dim} parameters", subject.network().arch),
            "give one value for each parameter",
        ));
    }
    let objective = subject.objective(args.sample.of_train(&subject, 1000))?;
    let mut hv = vec![0.0; dim];
    let mut hvp_seconds = Vec::new();
    for _ in 0..args.repeat.max(1) {
        let started = Instant::now();
        objective.hvp(&subject.theta, &v, &mut hv)?;
        hvp_seconds.push(started.elapsed().as_secs_f64());
    }
    export_safetensors(&args.out, &[("hv", &[dim], &hv)], &[])?;
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let report = Report {
        hvp_seconds,
        rayleigh: dot(&v, &hv) / dot(&v, &v),
        samples: objective.samples(),
        backend: subject.backend.name().to_string(),
    };
    out.result(&report, |w| {
        let best = report.hvp_seconds.iter().copied().fold(f64::INFINITY, f64::min);
        writeln!(w, "curvature along v  {:.6e}", report.rayleigh)?;
        writeln!(w, "time               {best:.2} s for {} images", report.samples)
    });
    Ok(())
}
