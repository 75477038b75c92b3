//! `lossreel man`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::{self, Out};

/// Print the manual page, or write it and one for each command into a folder.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for lossreel.1, lossreel-train.1 and the others: DIR/man1 of a MANPATH, say.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    #[serde(serialize_with = "out::paths")]
    files: Vec<PathBuf>,
}

/// Writes the pages of `command`.
pub fn run(args: Args, mut command: Command, out: &Out) -> Result<()> {
    let Some(folder) = args.out else {
        command.build();
        let page = rendered(&command, "lossreel.1")?;
        // Not as JSON: a page is text for `man`.
        Out { json: false, ..out.clone() }.result(&(), |w| w.write_all(&page));
        return Ok(());
    };
    fs::create_dir_all(&folder).map_err(Error::io("make the folder", &folder))?;
    clap_mangen::generate_to(command, &folder)
        .map_err(Error::io("write the manual pages", &folder))?;
    let entries = fs::read_dir(&folder).map_err(Error::io("look into", &folder))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "1"));
    files.sort();
    let written = Written { files };
    out.result(&written, |w| writeln!(w, "{}: {} pages", folder.display(), written.files.len()));
    Ok(())
}

fn rendered(command: &Command, name: &str) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(command.clone()).section("1");
    man.render(&mut page).map_err(Error::io("write the manual page", Path::new(name)))?;
    Ok(page)
}
