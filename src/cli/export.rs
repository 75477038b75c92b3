//! `lossreel export`

use std::path::PathBuf;

use lossreel::Result;
use lossreel::stages::OpenRun;
use lossreel::stages::batch_order::BatchOrder;
use lossreel::stages::export::{self, Format, Request, TableOf};
use serde::Serialize;

use super::out::{self, Out, thousands};

/// Write what another program needs of a run.
///
/// `--to h5` writes the surface as Li et al.'s code has it (their plot_2D.py draws it), and beside it the
/// directions and the path. `--to batch-order` writes for each step which training images it saw, how each
/// was cropped and mirrored, and the learning rate: with the first snapshot, the run can be repeated
/// elsewhere step by step.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The run folder.
    run: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    to: To,
    /// The file to write; of tensorboard the folder.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// h5, vtp, obj, npz, csv, parquet: the surface, and the plane of that name.
    #[arg(long, value_name = "NAME", default_value = "pca")]
    surface: String,
    /// csv, parquet: what the table is of; the surface where there is one, else the epochs.
    #[arg(long, value_enum)]
    table: Option<Content>,
    /// safetensors: the number of the snapshot; the last by default.
    #[arg(long, value_name = "N")]
    snapshot: Option<usize>,
    /// batch-order: the first so many steps; all that the run's spec means by default.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// batch-order: folder of the data, where they are no longer where the run found them.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  lossreel export outputs/run --to npz --out run.npz
  lossreel export outputs/run --to csv --table epochs --out epochs.csv
  lossreel export outputs/run --to vtp --out surface.vtp
  lossreel export outputs/run --to tensorboard --out logs/run";

/// What a run is exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// HDF5 files of the paper's code: surface, directions, path.
    H5,
    /// The surface for ParaView.
    Vtp,
    /// The surface as a mesh for modelling programs.
    Obj,
    /// Surface, path and epochs for NumPy.
    Npz,
    /// A table as text.
    Csv,
    /// A table for polars, pyarrow, DuckDB.
    Parquet,
    /// What training logged, for TensorBoard.
    Tensorboard,
    /// The weights of a snapshot, under PyTorch's names.
    Safetensors,
    /// The images, crops and learning rate of each step, as safetensors.
    BatchOrder,
}

/// What a table is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Content {
    /// The cells of the surface.
    Surface,
    /// The snapshots on the plane.
    Path,
    /// The epochs of the training.
    Epochs,
    /// Its steps.
    Steps,
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

#[derive(Serialize)]
struct Written {
    written: Vec<String>,
    bytes: u64,
}

/// Gathers, writes, names the files.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let run = OpenRun::open(&args.run)?;
    let format = match args.to {
        To::BatchOrder => return batch_order(args, &run, out),
        To::H5 => Format::H5,
        To::Vtp => Format::Vtp,
        To::Obj => Format::Obj,
        To::Npz => Format::Npz,
        To::Csv => Format::Csv,
        To::Parquet => Format::Parquet,
        To::Tensorboard => Format::TensorBoard,
        To::Safetensors => Format::Safetensors,
    };
    let table = match args.table {
        Some(Content::Surface) => TableOf::Surface,
        Some(Content::Path) => TableOf::Path,
        Some(Content::Epochs) => TableOf::Epochs,
        Some(Content::Steps) => TableOf::Steps,
        None if run.run().surface_dir(&args.surface)?.is_dir() => TableOf::Surface,
        None => TableOf::Epochs,
    };
    let request = Request { surface: &args.surface, table, snapshot: args.snapshot };
    let files = export::of_run(&run, format, &request, &args.out)?;
    let bytes = files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|m| m.len()).sum();
    let written = files.iter().map(|file| file.display().to_string()).collect();
    let report = Written { written, bytes };
    out.result(&report, |w| {
        report.written.iter().try_for_each(|file| writeln!(w, "written   {file}"))
    });
    Ok(())
}

/// Works out the order and writes it.
fn batch_order(args: Args, run: &OpenRun, out: &Out) -> Result<()> {
    let order = BatchOrder::of_run(run, args.steps, args.data_dir.as_deref())?;
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
