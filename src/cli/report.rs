//! `lossreel report`

use std::path::PathBuf;

use lossreel::report::{PaperRow, compare, paper_table, write};
use lossreel::sweep::Sweep;
use lossreel::sweep::compare::Comparison;
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::Out;

/// Say what a sweep or a comparison shows: a page that needs nothing beside it, Markdown, CSV, JSON, and the specs to
/// repeat it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder that `lossreel sweep` or `lossreel compare` made, finished or not. With --paper any folders
    /// with runs in them; outputs by default.
    #[arg(value_name = "SWEEP", required_unless_present = "paper")]
    sweeps: Vec<PathBuf>,
    /// The report's folder; SWEEP/report by default.
    #[arg(long, value_name = "DIR", conflicts_with = "paper")]
    out: Option<PathBuf>,
    /// Print the test errors of all runs that are of a net of Li et al. 2018, beside the paper's.
    #[arg(long)]
    paper: bool,
}

/// Writes the report, and prints its sentences.
pub fn run(args: Args, out: &Out) -> Result<()> {
    if args.paper {
        return paper(&args.sweeps, out);
    }
    let [root] = args.sweeps.as_slice() else {
        let remedy = "name one folder; --paper takes several";
        return Err(Error::bad_value("SWEEP", args.sweeps.len(), "more than one", remedy));
    };
    let folder = args.out.unwrap_or_else(|| root.join("report"));
    if Comparison::is_there(root) {
        let report = compare::write(&Comparison::open(root)?, &folder)?;
        out.result(&report, |w| {
            writeln!(w, "{}", report.title)?;
            for workload in &report.workloads {
                for comparison in &workload.finals.comparisons {
                    writeln!(w, "  {}: {}", workload.name, comparison.sentence)?;
                }
            }
            writeln!(w, "the page: {}", folder.join("index.html").display())
        });
        return Ok(());
    }
    let sweep = Sweep::open(root)?;
    let report = write(&sweep, &folder)?;
    out.result(&report, |w| {
        writeln!(w, "{}", report.title)?;
        for comparison in &report.comparisons {
            writeln!(w, "  {}", comparison.sentence)?;
        }
        if report.comparisons.is_empty() {
            writeln!(w, "  nothing can be compared: there is one combination of values")?;
        }
        writeln!(w, "the page: {}", folder.join("index.html").display())
    });
    Ok(())
}

/// What `--paper --json` prints.
#[derive(Serialize)]
struct Paper {
    rows: Vec<PaperRow>,
}

/// Prints the table of test errors.
fn paper(folders: &[PathBuf], out: &Out) -> Result<()> {
    let default = [PathBuf::from("outputs")];
    let folders = if folders.is_empty() { &default[..] } else { folders };
    let paper = Paper { rows: paper_table(folders)? };
    out.result(&paper, |w| {
        writeln!(
            w,
            "test error on CIFAR-10, percent; the paper: 50,000 images, 300 epochs, augmented"
        )?;
        writeln!(
            w,
            "{:<10} {:<9} {:>6} {:>7}  {:>6}  ours",
            "net", "skips", "batch", "decay", "paper"
        )?;
        for PaperRow { published: p, ours } in &paper.rows {
            let skips = p.skips.map_or("", |skips| if skips { "with" } else { "without" });
            let ours: Vec<String> = (ours.iter())
                .map(|o| {
                    let half = o.half.map_or(String::new(), |half| format!(" ± {half:.2}"));
                    let runs = if o.errors.len() == 1 { "run" } else { "runs" };
                    let n = o.errors.len();
                    let recipe = if o.is_papers_recipe { ", the paper's recipe" } else { "" };
                    let (images, epochs) = (o.train_images, o.epochs);
                    format!(
                        "{:.2}{half} ({n} {runs}, {images} images, {epochs} epochs{recipe})",
                        o.mean
                    )
                })
                .collect();
            let ours = if ours.is_empty() { "not run".into() } else { ours.join("; ") };
            let (arch, batch, decay) = (p.arch, p.batch_size, p.weight_decay);
            writeln!(w, "{arch:<10} {skips:<9} {batch:>6} {decay:>7}  {:>6.2}  {ours}", p.error)?;
        }
        Ok(())
    });
    Ok(())
}
