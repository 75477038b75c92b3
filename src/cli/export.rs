//! `lossreel export`

use std::path::PathBuf;

use lossreel::Result;
use lossreel::stages::OpenRun;
use lossreel::stages::batch_order::BatchOrder;
use serde::Serialize;

use super::out::{self, Out, thousands};

/// Write what another program needs of a run.
///
/// `--to batch-order` writes for each step which training images it saw, how each was cropped and
/// mirrored, and the learning rate: with snapshots/000000.safetensors of the run, the run can be repeated
/// elsewhere step by step.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run folder.
    run: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    to: To,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The first so many steps; all that the run's spec means by default.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Folder of the data, where they are no longer where the run found them.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// What a run is exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// The images, crops and learning rate of each step, as safetensors.
    BatchOrder,
}

#[derive(Serialize)]
struct Report {
    #[serde(serialize_with = "out::path")]
    written: PathBuf,
    steps: usize,
    /// Images over all steps.
    draws: usize,
    bytes: u64,
}

/// Works out the order and writes it.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let run = OpenRun::open(&args.run)?;
    let To::BatchOrder = args.to;
    let order = BatchOrder::of_run(&run, args.steps, args.data_dir.as_deref())?;
    order.write(&args.out, &format!("batch order of {}", run.name()))?;
    let bytes = std::fs::metadata(&args.out).map_or(0, |about| about.len());
    let (steps, draws) = (order.lr.len(), order.images.len());
    let report = Report { written: args.out, steps, draws, bytes };
    out.result(&report, |w| {
        writeln!(w, "{} steps, {} images", thousands(steps), thousands(draws))?;
        writeln!(w, "written   {}", report.written.display())
    });
    Ok(())
}
