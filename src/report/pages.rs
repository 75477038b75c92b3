//! The report as files: one page that needs nothing beside it, Markdown, CSV, JSON, and the specs to
//! repeat it.

use std::path::Path;

use super::content::{Report, gather};
use super::html::page;
use super::quantities::{MemberValues, values_of};
use super::text::{comparisons_table, markdown, members_table};
use crate::disk;
use crate::sweep::Sweep;
use crate::weights::table::Table;
use crate::{Error, Result};

/// Files that a report writes into its folder.
const OWN: [&str; 8] = [
    "index.html",
    "report.md",
    "report.json",
    "members.csv",
    "members.parquet",
    "comparisons.csv",
    "comparisons.parquet",
    "specs",
];

/// Writes a table as `name.csv` and `name.parquet` into a folder.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn write_table(folder: &Path, name: &str, table: &Table) -> Result<()> {
    disk::write_bytes(&folder.join(format!("{name}.csv")), table.to_csv().as_bytes())?;
    disk::write_bytes(&folder.join(format!("{name}.parquet")), &table.to_parquet()?)
}

/// Writes the report of `sweep` into `folder`: `index.html`, `report.md`, `report.json`, `members` and
/// `comparisons` as CSV and Parquet, and `specs/`. An old report there is replaced; other files stay.
///
/// # Errors
/// Those of reading the sweep; [`Error::Io`].
pub fn write(sweep: &Sweep, folder: &Path) -> Result<Report> {
    let states = sweep.states()?;
    let values: Vec<MemberValues> =
        states.iter().map(|state| values_of(sweep, state)).collect::<Result<_>>()?;
    let report = gather(sweep, &states, &values);
    let page = page(sweep, &report, &states, &values)?;
    std::fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    disk::remove_named(folder, &OWN, "remove the old report's file")?;
    for state in &states {
        let spec = state.run.join("spec.toml");
        if spec.is_file() {
            let text = disk::read_text(&spec, "read the run's spec")?;
            let name = format!("specs/{}.toml", state.name);
            disk::write_bytes(&folder.join(name), text.as_bytes())?;
        }
    }
    let json = serde_json::to_string_pretty(&report).map_err(|e| Error::Data {
        what: format!("the report cannot be written ({e})"),
        remedy: "look for a run whose numbers are not finite".into(),
    })?;
    for (name, text) in
        [("report.json", json + "\n"), ("report.md", markdown(&report)), ("index.html", page)]
    {
        disk::write_bytes(&folder.join(name), text.as_bytes())?;
    }
    let tables = [("members", members_table(&report)), ("comparisons", comparisons_table(&report))];
    for (name, table) in tables {
        write_table(folder, name, &table)?;
    }
    Ok(report)
}
