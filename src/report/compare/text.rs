//! What a comparison's report says in words, and as Markdown.

use std::fmt::Write as _;

use super::content::{ComparisonReport, TargetRow, TunedRule, WorkloadReport};
use crate::render::numbers::{fixed, number};
use crate::report::quantities::Quantity;
use crate::report::text::{ordered, quantities_of, shown_mean};

/// How hyper-parameters were tuned, in sentences.
pub(super) fn budget(report: &ComparisonReport) -> String {
    let Some(tune) = &report.tune else {
        return "Nothing was tuned: every rule ran with the hyper-parameters of its reference \
                implementation, the spec's own rule with those of the spec. Such a comparison says more \
                about the defaults than about the rules."
            .into();
    };
    let trials = tune.trials * tune.studies;
    let mut text = format!(
        "Every rule had the same budget: {} from its own search space, quasi-random (a scrambled Sobol \
         sequence){}. The best trial is the one with the highest accuracy, at the end of its own schedule, \
         on training images that were held out; the test images were not looked at until the final runs.",
        match tune.studies {
            1 => format!("{trials} trials"),
            studies => format!("{} trials in each of {studies} studies", tune.trials),
        },
        match tune.studies {
            1 => "",
            _ => ", drawn anew in each study; the final runs take the studies' bests in turn",
        }
    );
    if !tune.set.is_empty() {
        let _ = write!(
            text,
            " A trial was not a final run: it had {}. Rankings change while the learning rate decays, so \
             what is best in a short run may not be best in a long one.",
            tune.set.join(", ")
        );
    }
    text
}

/// What is to be said of a workload's target.
pub(super) fn target_words(workload: &WorkloadReport) -> Option<String> {
    let target = format!("{} %", fixed(100.0 * workload.target?, 1));
    Some(if workload.target_given {
        format!("Target: {target} of the test images right, fixed before the runs.")
    } else {
        let first = workload.to_target.first().map_or("the first rule", |row| row.rule.as_str());
        format!(
            "Target: {target} of the test images right. It was not fixed before the runs: it is what \
             {first} ends with on average, so half of its own runs may miss it. The option --target fixes it."
        )
    })
}

/// What of a rule was tuned and what came of it, as a row: key, range, best by study, a note.
pub(super) fn tuned_cells(rule: &TunedRule) -> Vec<[String; 4]> {
    let range = |low: f64, high: f64| format!("{} to {}", number(low), number(high));
    let each = rule.keys.iter().map(|key| {
        let best: Vec<String> = key.best.iter().map(|v| v.map_or("none".into(), plain)).collect();
        let edge = if key.at_edge { "at the edge of its range" } else { "" };
        let name = key.key.strip_prefix("optim.").unwrap_or(&key.key).replace('_', " ");
        [name, range(key.low, key.high), best.join(", "), edge.into()]
    });
    each.collect()
}

/// A value as it was used, in its shorter spelling.
fn plain(value: f64) -> String {
    let (plain, scientific) = (value.to_string(), format!("{value:e}"));
    if plain.len() <= scientific.len() { plain } else { scientific }
}

/// How a rule's trials ended.
pub(super) fn trials_words(rule: &TunedRule) -> String {
    let mut text = format!("{}", rule.trials.len());
    for (n, word) in [(rule.diverged, "diverged"), (rule.failed, "failed")] {
        if n > 0 {
            let _ = write!(text, ", {n} {word}");
        }
    }
    text
}

/// A sentence on what lies at the edge; none where nothing does.
pub(super) fn edges(workload: &WorkloadReport) -> Option<String> {
    let at_edge: Vec<String> = (workload.tuning.iter())
        .flat_map(|rule| {
            let keys = rule.keys.iter().filter(|key| key.at_edge);
            keys.map(|key| {
                let key = key.key.rsplit('.').next().unwrap_or(&key.key).replace('_', " ");
                format!("{} ({key})", rule.rule)
            })
        })
        .collect();
    (!at_edge.is_empty()).then(|| {
        format!(
            "A best value in the outer tenth of its range may not be the best there is: {}. \
             A [search.RULE] table in the file widens a range.",
            at_edge.join(", ")
        )
    })
}

/// A row of the table of targets: reached, steps, epochs, seconds.
pub(super) fn target_cells(row: &TargetRow) -> [String; 4] {
    let or = |v: Option<f64>| v.map_or("not reached".into(), number);
    [format!("{} of {}", row.reached, row.runs), or(row.steps), or(row.epochs), or(row.seconds)]
}

/// What a score is.
pub(super) const SCORES: &str = "A score is the share of the area under a rule's performance profile from 1 to 4 \
     times the steps of the fastest rule (AlgoPerf, arXiv 2306.07179): 1 for a rule that is the fastest \
     everywhere, 0 for one that never comes within four times the fastest. The score of the tuning takes \
     the best trial of each study and the median over studies, that of the final runs every seed of every \
     problem. An unreached target \
     counts as infinitely far. Steps are counted at the ends of epochs; a step of SAM takes two gradients, \
     one of the others one, which the seconds show and the steps do not.";

impl ComparisonReport {
    /// The report in short: a table for each problem, and the differences that are seen.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.title.clone()];
        for workload in &self.workloads {
            lines.push(workload.name.clone());
            lines.push(format!(
                "  {:<20} {:>16} {:>18} {:>8}",
                "rule", "test accuracy", "steps to target", "seeds"
            ));
            for (i, group) in workload.finals.groups.iter().enumerate() {
                let accuracy = group.quantities.get("test_accuracy");
                let accuracy =
                    accuracy.map_or("-".into(), |v| shown_mean(Quantity::TestAccuracy, v));
                let steps = workload.to_target.get(i).and_then(|row| row.steps);
                let steps = steps.map_or("not reached".into(), number);
                let seeds = format!("{} of {}", group.trained, group.members);
                let rule = &group.values["rule"];
                lines.push(format!("  {rule:<20} {accuracy:>16} {steps:>18} {seeds:>8}"));
            }
            let seen = workload.finals.comparisons.iter().filter(|comparison| comparison.seen);
            lines.extend(seen.map(|comparison| format!("  {}", comparison.sentence)));
        }
        lines
    }
}

/// The report as Markdown.
pub(super) fn markdown(report: &ComparisonReport) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let mut md = format!("# {}\n\n", cell(&report.title));
    if let Some(question) = &report.question {
        let _ = writeln!(md, "{}\n", cell(question));
    }
    let _ = writeln!(md, "{}\n", budget(report));
    for workload in &report.workloads {
        let _ = writeln!(md, "## {}\n", cell(&workload.name));
        for comparison in ordered(&workload.finals) {
            let _ = writeln!(md, "- {}", cell(&comparison.sentence));
        }
        let quantities = quantities_of(&workload.finals);
        md.push_str("\n| rule |");
        md.extend(quantities.iter().map(|q| format!(" {} |", q.title())));
        let _ = writeln!(md, "\n| --- |{}", " --- |".repeat(quantities.len()));
        for group in &workload.finals.groups {
            let _ = write!(md, "| {} |", cell(&group.values["rule"]));
            for q in &quantities {
                let value = group.quantities.get(q.key()).map(|v| shown_mean(*q, v));
                let _ = write!(md, " {} |", value.unwrap_or_default());
            }
            md.push('\n');
        }
        if let Some(words) = target_words(workload) {
            let _ = writeln!(md, "\n{words}\n");
            md.push_str(
                "| rule | reached | steps | epochs | seconds |\n| --- | --- | --- | --- | --- |\n",
            );
            for row in &workload.to_target {
                let _ = writeln!(md, "| {} | {} |", cell(&row.rule), target_cells(row).join(" | "));
            }
        }
        if !workload.tuning.is_empty() {
            md.push_str("\n| rule | trials | tuned | range | best | |\n| --- | --- | --- | --- | --- | --- |\n");
            for rule in &workload.tuning {
                for [key, range, best, edge] in tuned_cells(rule) {
                    let trials = trials_words(rule);
                    let name = cell(&rule.rule);
                    let _ =
                        writeln!(md, "| {name} | {trials} | {key} | {range} | {best} | {edge} |");
                }
            }
            if let Some(words) = edges(workload) {
                let _ = writeln!(md, "\n{words}");
            }
        }
        md.push('\n');
    }
    md.push_str("## Scores\n\n| rule | tuning | final runs |\n| --- | --- | --- |\n");
    let or = |v: Option<f64>| v.map_or(String::new(), |v| fixed(v, 3));
    for score in &report.scores {
        let (tuning, finals) = (or(score.tuning), or(score.finals));
        let _ = writeln!(md, "| {} | {tuning} | {finals} |", cell(&score.rule));
    }
    let _ = writeln!(md, "\n{SCORES}");
    md
}
