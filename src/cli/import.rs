//! `lossreel import`

use std::path::PathBuf;

use lossreel::weights::{self, names::canonical};
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::{self, Out, one_line, thousands, warn};

/// Convert a file of weights (PyTorch zip or legacy pickle, safetensors) to safetensors, with the
/// names this program uses.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file.
    file: PathBuf,
    /// The safetensors file to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Serialize)]
struct Report {
    #[serde(serialize_with = "out::path")]
    written: PathBuf,
    tensors: usize,
    values: usize,
    left_out: Vec<String>,
}

/// Reads, renames, writes.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let whole = |path: &PathBuf| std::fs::canonicalize(path).ok();
    if whole(&args.out).is_some_and(|out| Some(out) == whole(&args.file)) {
        return Err(Error::OneFile { a: "the file read", b: "the file written", path: args.out });
    }
    let checkpoint = weights::read(&args.file)?;
    let (mut named, mut left_out) = (Vec::new(), checkpoint.ignored.clone());
    for tensor in &checkpoint.tensors {
        match canonical(&tensor.name) {
            Some(name) => named.push((name, tensor)),
            None => left_out.push(tensor.name.clone()),
        }
    }
    for tensor in &checkpoint.tensors {
        let damaged = tensor.data.iter().filter(|v| !v.is_finite()).count();
        if damaged > 0 {
            let name = one_line(&tensor.name);
            warn(format_args!("{name} holds NaN or infinite values ({damaged})"));
        }
    }
    let tensors: Vec<(&str, &[usize], &[f32])> = named
        .iter()
        .map(|(name, t)| (name.as_str(), t.shape.as_slice(), t.data.as_slice()))
        .collect();
    weights::export_safetensors(&args.out, &tensors, &checkpoint.metadata)?;
    let report = Report {
        written: args.out,
        tensors: tensors.len(),
        values: named.iter().map(|(_, t)| t.data.len()).sum(),
        left_out,
    };
    out.result(&report, |w| {
        writeln!(w, "{} tensors, {} values", report.tensors, thousands(report.values))?;
        if !report.left_out.is_empty() {
            let names: Vec<_> = report.left_out.iter().map(|name| one_line(name)).collect();
            writeln!(w, "left out: {}", names.join(", "))?;
        }
        writeln!(w, "written   {}", report.written.display())
    });
    Ok(())
}
