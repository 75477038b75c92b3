//! `lossreel bench`

use std::sync::Arc;

use lossreel::backend::{BackendName, LayerTime, PassTimes, Precision, backend_in};
use lossreel::models::Shortcut;
use lossreel::stages::bench::{BenchOnly, BenchReport, BenchRequest, bench};
use lossreel::train::TrainSpec;
use lossreel::{Error, Result};

use super::out::{Out, duration, thousands};
use super::progress::Follow;
use super::target::model_of;

/// Measure how fast a network trains and is evaluated here, and what a surface would cost.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Architecture: resnet20, vgg9, wrn-56-4, densenet121, vit, ...
    #[arg(long, value_name = "NAME")]
    arch: String,
    /// Shortcut of a residual net: projection, option_a or none.
    #[arg(long, value_name = "KIND", default_value = "projection")]
    shortcut: Shortcut,
    /// Any other key of a spec's [model] table: --model width=0.5
    #[arg(long, value_name = "KEY=VALUE")]
    model: Vec<String>,
    /// Shape of an image: channels, height, width.
    #[arg(long, value_name = "CxHxW", default_value = "3x32x32")]
    image: String,
    /// Number of classes.
    #[arg(long, value_name = "N", default_value_t = 10)]
    classes: usize,
    /// Images a training step.
    #[arg(long, value_name = "N", default_value_t = BenchRequest::default().batch_size)]
    batch_size: usize,
    /// Engine; the one that trains by default.
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendName>,
    /// Numbers that evaluation multiplies: f32 or bf16. Training is in f32.
    #[arg(long, value_name = "NAME", default_value = "f32")]
    precision: Precision,
    /// Rounds of each measurement; their median counts.
    #[arg(long, value_name = "N", default_value_t = BenchRequest::default().rounds)]
    rounds: usize,
    /// About how long a round takes.
    #[arg(long, value_name = "SECONDS", default_value_t = BenchRequest::default().round_secs)]
    round_secs: f64,
    /// Measure train or eval only.
    #[arg(long, value_name = "WHAT")]
    only: Option<BenchOnly>,
    /// Print what each layer takes of a training pass: forward, backward to its input and to its
    /// weights, batch normalisation.
    #[arg(long)]
    layers: bool,
}

/// Prints the speeds.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let model = model_of(&args.arch, args.shortcut, &args.model)?;
    let network = model.build(parse_image(&args.image)?, args.classes)?;
    let engine = args.backend.unwrap_or(TrainSpec::default().backend);
    let engine = backend_in(args.precision, engine, Arc::new(network))?;
    let request = BenchRequest {
        batch_size: args.batch_size,
        rounds: args.rounds,
        round_secs: args.round_secs,
        only: args.only,
        layers: args.layers,
    };
    let bar = Follow::new(out, "measuring", "rounds");
    let report = bench(&engine, &request, &|done, total| bar.on(done, total));
    bar.finish();
    let report = report?;
    out.result(&report, |w| {
        for line in lines(&report) {
            writeln!(w, "{line}")?;
        }
        Ok(())
    });
    Ok(())
}

/// `3x32x32` as (c, h, w).
fn parse_image(text: &str) -> Result<[usize; 3]> {
    let parts: Option<Vec<usize>> = text.split('x').map(|n| n.parse().ok()).collect();
    match parts.as_deref() {
        Some(&[c, h, w]) if [c, h, w].iter().all(|n| (1..=4096).contains(n)) => Ok([c, h, w]),
        _ => Err(Error::bad_value(
            "--image",
            text,
            "not the shape of an image",
            "give channels, height and width, as in 3x32x32",
        )),
    }
}

fn lines(report: &BenchReport) -> Vec<String> {
    let [c, h, w] = report.image;
    let mut lines = vec![
        format!(
            "{}, images {c}x{h}x{w}, {} parameters, {:.1} million multiply-accumulates an image",
            report.arch,
            thousands(report.parameters),
            report.macs as f64 / 1e6
        ),
        format!(
            "backend {}, {} thread{}, peak {:.0} GFLOP/s f32 ({})",
            report.backend,
            report.threads,
            if report.threads == 1 { "" } else { "s" },
            report.peak_gflops,
            report.peak_level
        ),
        format!("caches: {}", report.caches),
    ];
    let speed = |what: String, rounds: &[f64], rate: f64, gflops: f64, share: f64| {
        let (low, high) =
            rounds.iter().fold((f64::MAX, 0f64), |(low, high), &r| (low.min(r), high.max(r)));
        format!(
            "{what:<22} {} images/s ({} to {}), {gflops:.1} GFLOP/s, {:.1} % of peak",
            three_digits(rate),
            three_digits(low),
            three_digits(high),
            100.0 * share
        )
    };
    if let (Some(rate), Some(gflops), Some(share)) =
        (report.train_images_per_s, report.train_gflops, report.train_peak_share)
    {
        let what = format!("training, batch {}", report.batch_size);
        lines.push(speed(what, &report.train_rounds, rate, gflops, share));
    }
    if let (Some(rate), Some(gflops), Some(share)) =
        (report.eval_images_per_s, report.eval_gflops, report.eval_peak_share)
    {
        let what = match report.precision {
            Precision::F32 => "evaluation".into(),
            narrow => format!("evaluation, {narrow}"),
        };
        lines.push(speed(what, &report.eval_rounds, rate, gflops, share));
    }
    if !report.eval_kernels.is_empty() && !report.eval_rounds.is_empty() {
        let kernels = report.eval_kernels.iter().map(|(name, n)| format!("{n} {name}"));
        lines.push(format!(
            "{:<22} {}",
            "  its convolutions",
            kernels.collect::<Vec<_>>().join(", ")
        ));
    }
    if let Some(times) = &report.layers {
        lines.extend(layer_lines(times, report.peak_gflops));
    }
    if let Some(seconds) = report.epoch_50000_seconds {
        lines.push(format!("{:<34} {}", "an epoch of 50,000 images", duration(seconds)));
    }
    if let Some(seconds) = report.surface_51x51_seconds {
        lines.push(format!("{:<34} {}", "a 51x51 surface of 1,000 images", duration(seconds)));
    }
    lines
}

/// A speed with three significant digits or all before the point: 1,652, 37.4, 0.512.
fn three_digits(value: f64) -> String {
    if value >= 1000.0 {
        return thousands(value.round() as usize);
    }
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else if value >= 1.0 {
        2
    } else {
        3
    };
    format!("{value:.decimals$}")
}
/// A table of the layers: milliseconds of a thread for 100 images, and the share of the peak that the
/// convolutions' definition makes of it.
fn layer_lines(times: &PassTimes, peak_gflops: f64) -> Vec<String> {
    let per_100 = 100.0 * 1e3 / times.images.max(1) as f64;
    let of_thread = peak_gflops * 1e9 / times.threads as f64;
    let mut lines = vec![
        "layers in training: ms of a thread for 100 images (share of the peak)".to_string(),
        format!(
            "  {:<24} {:>11} {:>13} {:>13} {:>13} {:>7} {:>7}  {}",
            "layer", "output", "forward", "to input", "to weights", "norm", "rest", "kernel"
        ),
    ];
    let convolution = |layer: &LayerTime, seconds: f64| {
        if seconds == 0.0 {
            return String::new();
        }
        let flops = 2.0 * layer.macs as f64 * times.images as f64;
        format!("{:.2} ({:.0} %)", seconds * per_100, 100.0 * flops / seconds / of_thread)
    };
    let plain = |seconds: f64| {
        if seconds == 0.0 { String::new() } else { format!("{:.2}", seconds * per_100) }
    };
    for layer in &times.layers {
        let [c, h, w] = layer.to;
        let cells = [layer.forward, layer.to_input, layer.to_weights];
        let [forward, to_input, to_weights] = cells.map(|seconds| convolution(layer, seconds));
        lines.push(format!(
            "  {:<24} {:>11} {forward:>13} {to_input:>13} {to_weights:>13} {:>7} {:>7}  {}",
            layer.name,
            format!("{c}x{h}x{w}"),
            plain(layer.normalisation),
            plain(layer.rest),
            layer.kernel
        ));
    }
    let all = times.wall * times.threads as f64;
    let share =
        |of: &dyn Fn(&LayerTime) -> f64| 100.0 * times.layers.iter().map(of).sum::<f64>() / all;
    lines.push(format!(
        "  of the threads' time: forward {:.1} %, to input {:.1} %, to weights {:.1} %, normalisation \
         {:.1} %, rest {:.1} %, images and loss {:.1} %, packing weights {:.1} %, adding up \
         {:.1} %, waiting {:.1} %",
        share(&|l| l.forward),
        share(&|l| l.to_input),
        share(&|l| l.to_weights),
        share(&|l| l.normalisation),
        share(&|l| l.rest),
        100.0 * times.images_and_loss / all,
        100.0 * times.packing / all,
        100.0 * times.adding_up / all,
        100.0 * times.waiting / all,
    ));
    lines
}
