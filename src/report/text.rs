//! A report as text: Markdown and CSV.

use std::fmt::Write as _;

use super::comparison::Comparison;
use super::content::{Group, GroupValue, Report};
use super::quantities::{Quantity, Scale};
use crate::render::numbers::{fixed, number};
use crate::sweep::Status;
use crate::weights::table::Table;

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
                      comparisons of the report. The seeds needed are for a power of 80 %. Where \
                      answers were kept, the spread beyond the test set is the standard deviation \
                      over seeds that accuracies on endlessly many test images would have (Jordan \
                      2023): two trainings differ by less in truth than their test accuracies do.";

/// Comparisons that are seen first, then the others, each in the order of the file.
pub(super) fn ordered(report: &Report) -> Vec<&Comparison> {
    let (seen, others): (Vec<_>, Vec<_>) = report.comparisons.iter().partition(|c| c.seen);
    seen.into_iter().chain(others).collect()
}

/// A line for each member.
pub(super) fn members_table(report: &Report) -> Table {
    let members = || report.members.iter();
    let mut table = Table::default()
        .text("member", members().map(|m| Some(m.name.clone())))
        .count("seed", members().map(|m| Some(m.seed)))
        .text("status", members().map(|m| Some(status_word(m.status).into())))
        .text("error", members().map(|m| m.error.clone()));
    for axis in &report.axes {
        table = table.text(&axis.name, members().map(|m| m.values.get(&axis.name).cloned()));
    }
    for q in quantities_of(report) {
        table = table.number(q.key(), members().map(|m| m.measured.get(q)));
    }
    table.number("seconds", members().map(|m| m.measured.seconds))
}

/// A line for each comparison.
pub(super) fn comparisons_table(report: &Report) -> Table {
    let all = || report.comparisons.iter();
    let held = |c: &Comparison| {
        let held = c.held.iter().map(|(axis, value)| format!("{axis}={value}"));
        Some(held.collect::<Vec<_>>().join(" "))
    };
    Table::default()
        .text("axis", all().map(|c| Some(c.axis.clone())))
        .text("held", all().map(held))
        .text("a", all().map(|c| Some(c.a.clone())))
        .text("b", all().map(|c| Some(c.b.clone())))
        .text("quantity", all().map(|c| Some(c.quantity.key().into())))
        .flag("is_ratio", all().map(|c| c.is_ratio))
        .number("difference", all().map(|c| Some(c.difference)))
        .number("low", all().map(|c| Some(c.low)))
        .number("high", all().map(|c| Some(c.high)))
        .number("bootstrap_low", all().map(|c| Some(c.bootstrap[0])))
        .number("bootstrap_high", all().map(|c| Some(c.bootstrap[1])))
        .number("p", all().map(|c| Some(c.p)))
        .number("p_holm", all().map(|c| Some(c.p_holm)))
        .number("effect", all().map(|c| Some(c.effect)))
        .count("seeds", all().map(|c| Some(c.seeds)))
        .flag("seen", all().map(|c| c.seen))
        .count("seeds_needed", all().map(|c| c.seeds_needed))
}
