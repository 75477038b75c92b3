//! A report as text: Markdown and CSV.

use std::fmt::Write as _;

use super::comparison::Comparison;
use super::content::{Group, GroupValue, Report};
use super::quantities::{Quantity, Scale};
use crate::render::numbers::{fixed, number};
use crate::sweep::Status;

/// A quantity's value in a table.
pub(super) fn shown(quantity: Quantity, value: f64) -> String {
    match quantity.scale() {
        Scale::Points => format!("{} %", fixed(100.0 * value, 1)),
        Scale::Ratio => number(value),
    }
}

/// A mean with half its interval.
pub(super) fn shown_mean(quantity: Quantity, value: &GroupValue) -> String {
    let half = value.high.map(|high| high - value.mean);
    match (quantity.scale(), half) {
        (Scale::Points, Some(half)) => {
            format!("{} ± {} %", fixed(100.0 * value.mean, 1), fixed(100.0 * half, 1))
        }
        (Scale::Ratio, Some(half)) => format!("{} ± {}", number(value.mean), number(half)),
        (_, None) => shown(quantity, value.mean),
    }
}

pub(super) fn quantities_of(report: &Report) -> Vec<Quantity> {
    let all = Quantity::ALL.into_iter();
    all.filter(|q| report.definitions.contains_key(q.key())).collect()
}

pub(super) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Done => "done",
        Status::Trained => "trained, not all measured",
        Status::Diverged => "diverged",
        Status::Failed => "failed",
        Status::Pending => "not run",
    }
}

/// How many of a group's members there are and what became of them.
pub(super) fn counts(group: &Group) -> String {
    let mut text = format!("{} of {}", group.trained, group.members);
    for (n, word) in [(group.diverged, "diverged"), (group.failed, "failed")] {
        if n > 0 {
            let _ = write!(text, ", {n} {word}");
        }
    }
    text
}

/// The rest of a table's head: the quantities' titles, and the line below.
fn head(md: &mut String, quantities: &[Quantity]) {
    md.extend(quantities.iter().map(|q| format!(" {} |", q.title())));
    md.push_str("\n| --- | --- |");
    md.push_str(&" --- |".repeat(quantities.len()));
    md.push('\n');
}

/// The report as Markdown.
pub(super) fn markdown(report: &Report) -> String {
    // A bar in a name would end a cell of a table.
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let mut md = format!("# {}\n\n", cell(&report.title));
    if let Some(question) = &report.question {
        let _ = writeln!(md, "{}\n", cell(question));
    }
    md.push_str("## What the runs show\n\n");
    for comparison in ordered(report) {
        let _ = writeln!(md, "- {}", cell(&comparison.sentence));
    }
    if report.comparisons.is_empty() {
        md.push_str("Nothing can be compared: there is one combination of values.\n");
    }
    let quantities = quantities_of(report);
    md.push_str("\n## Means over seeds, with 95 % intervals\n\n| ");
    let axes: Vec<String> = report.axes.iter().map(|axis| cell(&axis.name)).collect();
    let _ =
        write!(md, "{} | trained |", if axes.is_empty() { "runs".into() } else { axes.join(", ") });
    head(&mut md, &quantities);
    for group in &report.groups {
        let _ = write!(md, "| {} | {} |", cell(&group.label), counts(group));
        for q in &quantities {
            let value = group.quantities.get(q.key()).map(|v| shown_mean(*q, v));
            let _ = write!(md, " {} |", value.unwrap_or_default());
        }
        md.push('\n');
    }
    md.push_str("\n## Members\n\n| member | status |");
    head(&mut md, &quantities);
    for member in &report.members {
        let error = member.error.as_deref().map(|e| format!(": {e}")).unwrap_or_default();
        let status = format!("{}{error}", status_word(member.status));
        let _ = write!(md, "| {} | {} |", cell(&member.name), cell(&status));
        for q in &quantities {
            let value = member.measured.get(*q).map(|v| shown(*q, v));
            let _ = write!(md, " {} |", value.unwrap_or_default());
        }
        md.push('\n');
    }
    md.push_str("\n## Definitions\n\n");
    for q in &quantities {
        let _ = writeln!(md, "- **{}**: {}", q.title(), q.definition());
    }
    let _ = writeln!(md, "- {}", METHOD);
    md
}

/// How comparisons are made, in words.
pub(super) const METHOD: &str = "Seeds are paired: the k-th run of each combination has the same seed, so the same \
                      draw of images, of their order and, where the network is the same, of its initial \
                      weights. Intervals are of the mean over seeds by Student's t; quantities that are \
                      compared by ratios (losses, sharpness, widths) are compared by their logarithms. A \
                      difference counts as seen where its p is below 5 % after Holm's correction over all \
                      comparisons of the report. The seeds needed are for a power of 80 %.";

/// Comparisons that are seen first, then the others, each in the order of the file.
pub(super) fn ordered(report: &Report) -> Vec<&Comparison> {
    let (seen, others): (Vec<_>, Vec<_>) = report.comparisons.iter().partition(|c| c.seen);
    seen.into_iter().chain(others).collect()
}

/// A field of CSV (RFC 4180).
fn csv(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}

pub(super) fn members_csv(report: &Report) -> String {
    let mut out = String::from("member,seed,status,error");
    out.extend(report.axes.iter().map(|axis| format!(",{}", csv(&axis.name))));
    let quantities = quantities_of(report);
    out.extend(quantities.iter().map(|q| format!(",{}", q.key())));
    out.push_str(",seconds\n");
    for member in &report.members {
        let status = status_word(member.status);
        let error = csv(member.error.as_deref().unwrap_or_default());
        let _ = write!(out, "{},{},{},{error}", csv(&member.name), member.seed, csv(status));
        for axis in &report.axes {
            let _ = write!(out, ",{}", csv(&member.values[&axis.name]));
        }
        let number = |v: Option<f64>| v.map(|v| v.to_string()).unwrap_or_default();
        for q in &quantities {
            let _ = write!(out, ",{}", number(member.measured.get(*q)));
        }
        let _ = writeln!(out, ",{}", number(member.measured.seconds));
    }
    out
}

pub(super) fn comparisons_csv(report: &Report) -> String {
    let mut out = String::from(
        "axis,held,a,b,quantity,is_ratio,difference,low,high,bootstrap_low,bootstrap_high,p,p_holm,\
         effect,seeds,seen,seeds_needed\n",
    );
    for c in &report.comparisons {
        let held: Vec<String> = c.held.iter().map(|(a, v)| format!("{a}={v}")).collect();
        let number = |v: f64| if v.is_finite() { v.to_string() } else { String::new() };
        let needed = c.seeds_needed.map(|n| n.to_string()).unwrap_or_default();
        let numbers =
            [c.difference, c.low, c.high, c.bootstrap[0], c.bootstrap[1], c.p, c.p_holm, c.effect];
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{needed}",
            csv(&c.axis),
            csv(&held.join(" ")),
            csv(&c.a),
            csv(&c.b),
            c.quantity.key(),
            c.is_ratio,
            numbers.map(number).join(","),
            c.seeds,
            c.seen,
        );
    }
    out
}
