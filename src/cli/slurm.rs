//! A Slurm script for a sweep: a job array with a member in each task.

use std::fs;
use std::path::{Path, PathBuf};

use lossreel::sweep::Members;
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::{self, Out};

#[derive(Serialize)]
struct Report {
    /// The script.
    #[serde(serialize_with = "out::path")]
    script: PathBuf,
    /// Tasks in the array.
    tasks: usize,
}

/// Writes the script that works on each of `members` with the command `arguments`, and says how it is
/// started. `options` are options of sbatch.
///
/// # Errors
/// [`Error::BadValue`] for what is no option of sbatch; [`Error::Io`].
pub fn write(
    path: &Path,
    arguments: &[String],
    members: &Members,
    options: &[String],
    out: &Out,
) -> Result<()> {
    if let Some(bad) = options.iter().find(|o| !o.starts_with('-') || o.contains('\n')) {
        let remedy = "write it as sbatch has it: --sbatch=--time=04:00:00";
        return Err(Error::bad_value("--sbatch", bad, "no option of sbatch", remedy));
    }
    let exe = std::env::current_exe().map_err(Error::io("find this program", ""))?;
    let path = if path.is_dir() { path.join("sweep.sbatch") } else { path.to_path_buf() };
    let path = std::path::absolute(&path).map_err(Error::io("find the folder of", &path))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    let names: Vec<&str> = members.members.iter().map(|member| member.name.as_str()).collect();
    let text = script(&exe.display().to_string(), arguments, &names, options);
    fs::write(&path, text).map_err(Error::io("write the script", &path))?;
    let report = Report { script: path, tasks: names.len() };
    out.result(&report, |w| {
        writeln!(w, "{} tasks, one for each member", report.tasks)?;
        writeln!(w, "start it with  sbatch {}", quoted(&report.script.display().to_string()))
    });
    Ok(())
}

/// The script's text.
fn script(exe: &str, arguments: &[String], members: &[&str], options: &[String]) -> String {
    let last = members.len().saturating_sub(1);
    let own = [
        format!("--array=0-{last}"),
        "--job-name=lossreel".into(),
        "--output=lossreel-%A_%a.log".into(),
        // The program saves what it is at when the time is over.
        "--signal=B:TERM@60".into(),
    ];
    let directives: String =
        own.iter().chain(options).map(|option| format!("#SBATCH {option}\n")).collect();
    let names: String = members.iter().map(|name| format!("  {}\n", quoted(name))).collect();
    let words: Vec<String> =
        std::iter::once(exe).chain(arguments.iter().map(String::as_str)).map(quoted).collect();
    format!(
        "#!/bin/bash\n\
         {directives}\
         # A member of a sweep in each task: its training, then what it is measured on. The same script\n\
         # again skips what is done and goes on with what was cut. Options of the command line go before\n\
         # those above: sbatch --time=08:00:00 --array=0-{last}%4 SCRIPT\n\
         set -euo pipefail\n\
         members=(\n\
         {names}\
         )\n\
         member=${{members[${{SLURM_ARRAY_TASK_ID:?start this script with sbatch}}]}}\n\
         threads=${{SLURM_CPUS_PER_TASK:-${{SLURM_CPUS_ON_NODE:-1}}}}\n\
         exec {} \\\n  --only=\"$member\" --threads=\"$threads\"\n",
        words.join(" \\\n  ")
    )
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+%@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_string()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_spaces_and_quotes_stay_one_word() {
        assert_eq!(quoted("optim.lr=0.1,0.01"), "optim.lr=0.1,0.01");
        assert_eq!(quoted("my runs/it's"), "'my runs/it'\\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(rm x)"), "'$(rm x)'");
    }

    #[test]
    fn the_script_has_a_task_for_each_member_and_the_options_given() {
        let arguments = ["sweep".to_string(), "/a b/s.toml".into(), "--out=/o".into()];
        let text =
            script("/bin/lossreel", &arguments, &["x-1_seed-0", "x-2_seed-0"], &["-t 5".into()]);
        for line in
            ["#SBATCH --array=0-1\n", "#SBATCH -t 5\n", "  x-2_seed-0\n", "  '/a b/s.toml' \\\n"]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
        // Slurm reads options up to the first command.
        assert!(text.find("#SBATCH -t 5") < text.find("set -euo"));
    }
}
