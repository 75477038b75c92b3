//! `lossreel doctor`

use std::path::Path;

use lossreel::backend::native;
use lossreel::dataset::DataSet;
use lossreel::record::Manifest;
use lossreel::{Result, memory, parallel};
use serde::Serialize;

use super::datasets;
use super::out::Out;

/// Print what this build and this machine can do.
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    /// What the build has beside the default.
    features: Vec<&'static str>,
    cpu: String,
    /// The instruction set that the engine's kernels use.
    simd: String,
    /// Whether bf16 is fast here.
    multiplies_bf16: bool,
    threads: usize,
    /// Memory that is free; none where that is not known.
    memory_bytes: Option<u64>,
    /// Whether results can be written below the current folder.
    writable: bool,
    /// Data sets that can be used as they are.
    datasets: Vec<&'static str>,
    /// What is worth changing, in sentences.
    advice: Vec<String>,
}

/// Looks at the machine.
pub fn run(_: Args, out: &Out) -> Result<()> {
    let (cpu, _) = Manifest::cpu();
    let level = native::Level::detect();
    let features = [("hub", cfg!(feature = "hub")), ("mpi", cfg!(feature = "mpi"))];
    let ready = |set: &&DataSet| datasets::is_ready(**set);
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        features: features.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect(),
        cpu,
        simd: level.to_string(),
        multiplies_bf16: native::multiplies_bf16(),
        threads: parallel::threads(),
        memory_bytes: memory::available_bytes(),
        writable: tempfile::tempfile_in(Path::new(".")).is_ok(),
        datasets: DataSet::ALL.iter().filter(ready).map(|set| set.as_str()).collect(),
        advice: Vec::new(),
    };
    if cfg!(debug_assertions) {
        report
            .advice
            .push("this is a debug build: `cargo build --release` is many times faster".into());
    }
    if level == native::Level::Portable {
        report.advice.push("the processor has no AVX2: training is several times slower".into());
    }
    if !report.writable {
        report.advice.push("nothing can be written here: give --out another folder".into());
    }
    if report.memory_bytes.is_some_and(|bytes| bytes < 2 << 30) {
        report.advice.push("less than 2 GiB of memory are free: use smaller nets and grids".into());
    }
    if !report.datasets.contains(&"cifar10") {
        report
            .advice
            .push("CIFAR-10 is not here: `lossreel datasets fetch cifar10` gets it".into());
    }
    out.result(&report, |w| {
        let features = match report.features.as_slice() {
            [] => "as by default".into(),
            features => features.join(", "),
        };
        writeln!(w, "lossreel    {} ({features})", report.version)?;
        writeln!(w, "processor   {}, {} threads", report.cpu, report.threads)?;
        let bf16 = if report.multiplies_bf16 { "fast" } else { "not faster than f32" };
        writeln!(w, "kernels     {}; bf16 is {bf16}", report.simd)?;
        if let Some(bytes) = report.memory_bytes {
            writeln!(w, "memory      {:.1} GiB free", bytes as f64 / (1u64 << 30) as f64)?;
        }
        writeln!(w, "data sets   {}", report.datasets.join(", "))?;
        report.advice.iter().try_for_each(|advice| writeln!(w, "- {advice}"))
    });
    Ok(())
}
