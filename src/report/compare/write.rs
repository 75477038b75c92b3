//! A comparison's report as files.

use std::path::Path;

use super::content::ComparisonReport;
use super::content::TunedRule;
use super::html::page;
use super::text::markdown;
use crate::disk;
use crate::report::pages::write_table;
use crate::report::text::{comparisons_table, members_table, status_word};
use crate::sweep::compare::Comparison;
use crate::weights::table::Table;
use crate::{Error, Result};

/// Writes the report of a comparison into `folder`: `index.html`, `report.md`, `report.json`, and by
/// workload `NAME-members`, `NAME-comparisons` and `NAME-trials` as CSV and Parquet, and `specs/`. An old report
/// there is replaced; other files stay.
///
/// # Errors
/// Those of reading the comparison; [`Error::Io`].
pub fn write(comparison: &Comparison, folder: &Path) -> Result<ComparisonReport> {
    let report = ComparisonReport::of(comparison)?;
    let page = page(comparison, &report)?;
    std::fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    let json = serde_json::to_string_pretty(&report).map_err(|e| Error::Data {
        what: format!("the report cannot be written ({e})"),
        remedy: "look for a run whose numbers are not finite".into(),
    })?;
    let mut files = vec![
        ("report.json".to_string(), json + "\n"),
        ("report.md".into(), markdown(&report)),
        ("index.html".into(), page),
    ];
    let mut tables = Vec::new();
    for workload in &report.workloads {
        let name = &workload.name;
        tables.push((format!("{name}-members"), members_table(&workload.finals)));
        tables.push((format!("{name}-comparisons"), comparisons_table(&workload.finals)));
        if !workload.tuning.is_empty() {
            tables.push((format!("{name}-trials"), trials_table(&workload.tuning)));
        }
        for state in &workload.states {
            let spec = state.run.join("spec.toml");
            if spec.is_file() {
                let text = disk::read_text(&spec, "read the run's spec")?;
                files.push((format!("specs/{name}/{}.toml", state.name), text));
            }
        }
    }
    disk::remove_named(folder, &["specs"], "remove the old report's specs")?;
    for (name, text) in files {
        disk::write_bytes(&folder.join(name), text.as_bytes())?;
    }
    for (name, table) in tables {
        write_table(folder, &name, &table)?;
    }
    Ok(report)
}

/// A line for each hyper-parameter of each trial.
fn trials_table(rules: &[TunedRule]) -> Table {
    let all = || {
        rules.iter().flat_map(|rule| {
            let trials = rule.trials.iter();
            trials.flat_map(move |trial| {
                rule.keys.iter().zip(&trial.values).map(move |(key, v)| (rule, trial, key, *v))
            })
        })
    };
    Table::default()
        .text("rule", all().map(|(rule, ..)| Some(rule.rule.clone())))
        .count("study", all().map(|(_, trial, ..)| Some(trial.study)))
        .count("trial", all().map(|(_, trial, ..)| Some(trial.trial)))
        .text("key", all().map(|(_, _, key, _)| Some(key.key.clone())))
        .number("value", all().map(|(.., value)| Some(value)))
        .number("held_out_accuracy", all().map(|(_, trial, ..)| trial.accuracy))
        .text("status", all().map(|(_, trial, ..)| Some(status_word(trial.status).into())))
        .flag("is_best", all().map(|(_, trial, ..)| trial.is_best))
}
