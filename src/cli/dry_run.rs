//! What `--dry-run` says of an evaluation: how much of it there is, and what it would take.

use std::path::Path;

use lossreel::stages::cost::Cost;
use serde::Serialize;

use super::out::{self, Out, duration, thousands};

/// An evaluation that was not begun.
#[derive(Serialize)]
pub struct Plan<'a> {
    /// What would be evaluated.
    pub what: &'a str,
    /// How many points.
    pub points: usize,
    /// Images each.
    pub samples: usize,
    /// Where the results would go.
    #[serde(serialize_with = "out::path")]
    pub into: &'a Path,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    plan: &'a Plan<'a>,
    memory_bytes: u64,
    free_bytes: Option<u64>,
    estimated_seconds: f64,
}

/// `1.2 GB of memory, 3.4 GB are free`.
pub fn memory_words(cost: &Cost) -> String {
    let size = |bytes: u64| match bytes as f64 {
        bytes if bytes < 1e8 => format!("{:.0} MB", (bytes / 1e6).max(1.0)),
        bytes => format!("{:.1} GB", bytes / 1e9),
    };
    let free = cost.free_bytes.map_or(String::new(), |free| format!(", {} are free", size(free)));
    let short = match cost.free_bytes {
        Some(free) if free < cost.memory_bytes => ": it would not fit",
        _ => "",
    };
    format!("about {} of memory{free}{short}", size(cost.memory_bytes))
}

/// Prints the plan with its cost.
pub fn print(plan: &Plan<'_>, cost: &Cost, out: &Out) {
    let Cost { memory_bytes, free_bytes, seconds } = *cost;
    let report = Report { plan, memory_bytes, free_bytes, estimated_seconds: seconds };
    out.result(&report, |w| {
        let (points, samples) = (thousands(plan.points), thousands(plan.samples));
        writeln!(w, "would evaluate {points} {}, {samples} images each", plan.what)?;
        writeln!(w, "into           {}", plan.into.display())?;
        writeln!(w, "needing        {}", memory_words(cost))?;
        writeln!(w, "taking         about {} here (measured on a few)", duration(seconds))
    });
}
