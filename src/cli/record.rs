//! `lossreel record`

use std::io::{self, BufReader, Write};
use std::path::PathBuf;

use lossreel::Result;
use lossreel::record::{Existing, record_stream};
use lossreel::weights::StoredAs;
use serde::Serialize;

use super::out::Out;

/// Write the run of a training loop in another process, which sends it to stdin.
///
/// The stream is what the Python package sends; docs/src/python.md describes it. Stdout has a line of
/// JSON when the recording has begun, one for each flush, and one at the end.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the new run.
    #[arg(value_name = "OUT")]
    root: PathBuf,
    /// Replace a run that is there already.
    #[arg(long)]
    force: bool,
    /// Write weights as f32, or rounded to bf16 or f16.
    #[arg(long, default_value = "f32", value_name = "TYPE")]
    store: StoredAs,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    snapshots: usize,
    steps: u64,
    /// Whether the sender said so, and did not just go away.
    finished: bool,
}

/// Reads until the stream ends.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    let mut input = BufReader::with_capacity(1 << 20, io::stdin().lock());
    let recorded =
        record_stream(&mut input, &args.root, existing, args.store, &mut |reply| line(reply))?;
    if !recorded.ended {
        out.note(format_args!(
            "lossreel: the training loop went away before its end; {} holds what it recorded, as an \
             unfinished run",
            args.root.display()
        ));
    }
    line(&Report {
        kind: "recorded",
        snapshots: recorded.snapshots,
        steps: recorded.steps,
        finished: recorded.ended,
    });
    Ok(())
}

/// One line of JSON on stdout. A sender that is gone is no reason to lose what it sent.
fn line(value: &impl Serialize) {
    let Ok(text) = serde_json::to_string(value) else { return };
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
