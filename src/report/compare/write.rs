//! A comparison's report as files.

use std::path::Path;

use super::content::ComparisonReport;
use super::html::page;
use super::text::markdown;
use crate::disk;
use crate::report::text::{comparisons_csv, members_csv};
use crate::sweep::compare::Comparison;
use crate::{Error, Result};

/// Writes the report of a comparison into `folder`: `index.html`, `report.md`, `report.json`, and by
/// workload `NAME-members.csv`, `NAME-comparisons.csv`, `NAME-trials.csv` and `specs/`. An old report
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
    for workload in &report.workloads {
        let name = &workload.name;
        files.push((format!("{name}-members.csv"), members_csv(&workload.finals)));
        files.push((format!("{name}-comparisons.csv"), comparisons_csv(&workload.finals)));
        if !workload.tuning.is_empty() {
            files.push((format!("{name}-trials.csv"), trials_csv(&workload.tuning)));
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
    Ok(report)
}

/// One line for each hyper-parameter of each trial.
fn trials_csv(rules: &[super::content::TunedRule]) -> String {
    let mut out = String::from("rule,study,trial,key,value,held_out_accuracy,status,is_best\n");
    for rule in rules {
        for trial in &rule.trials {
            for (key, value) in rule.keys.iter().zip(&trial.values) {
                let accuracy = trial.accuracy.map(|a| a.to_string()).unwrap_or_default();
                let status = crate::report::text::status_word(trial.status).replace(',', "");
                out += &format!(
                    "{},{},{},{},{value},{accuracy},{status},{}\n",
                    rule.rule, trial.study, trial.trial, key.key, trial.is_best
                );
            }
        }
    }
    out
}
