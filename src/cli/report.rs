//! `lossreel report`

use std::path::PathBuf;

use lossreel::Result;
use lossreel::report::write;
use lossreel::sweep::Sweep;

use super::out::Out;

/// Say what a sweep shows: a page that needs nothing beside it, Markdown, CSV, JSON, and the specs to
/// repeat it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder that `lossreel sweep` made, finished or not.
    #[arg(value_name = "SWEEP")]
    sweep: PathBuf,
    /// The report's folder; SWEEP/report by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes the report, and prints its sentences.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let sweep = Sweep::open(&args.sweep)?;
    let folder = args.out.unwrap_or_else(|| args.sweep.join("report"));
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
