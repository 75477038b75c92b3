//! `lossreel lecture`

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lossreel::lecture::{
    Command, Scale, Scene, SceneFolder, Shown, catalogue, chosen, write_deck, write_gallery,
};
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::{Out, duration, one_line, warn};
use super::{interrupt, out, progress};

/// Make films that are ready to show, each with what to say, what to look at and its source: the
/// lecture, or scenes of it. Without a name, list the scenes.
///
/// What is made already is not made again; --force makes it anew.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenes by name, or all.
    #[arg(value_name = "NAME|all")]
    scenes: Vec<String>,
    /// Folder of the lecture: a folder for each scene, and index.html with all of them.
    #[arg(long, value_name = "DIR", default_value = "outputs/lecture")]
    out: PathBuf,
    /// smoke: small nets on embedded data, minutes; laptop: CIFAR-10, hours.
    #[arg(long, value_name = "SCALE", default_value = "smoke")]
    scale: Scale,
    /// Folder with CIFAR-10's files, for --scale laptop.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write slides as well, deck.html: one file with the films, their cue points and speaker notes.
    #[arg(long)]
    deck: bool,
    /// Make again what is made already.
    #[arg(long)]
    force: bool,
    /// Print the commands, and stop.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct SceneRow<'a> {
    name: &'a str,
    title: &'a str,
    source: &'a str,
    files: Vec<&'a str>,
}

#[derive(Serialize)]
struct PlannedScene<'a> {
    name: &'a str,
    commands: Vec<String>,
}

#[derive(Serialize)]
struct MadeScene {
    name: String,
    /// `made`, `was made before`, or `failed`.
    status: &'static str,
    #[serde(serialize_with = "out::float")]
    seconds: f64,
    #[serde(serialize_with = "out::paths")]
    files: Vec<PathBuf>,
    /// Why it failed.
    error: Option<String>,
}

#[derive(Serialize)]
struct Report {
    scale: Scale,
    scenes: Vec<MadeScene>,
    /// The gallery.
    page: Option<String>,
    deck: Option<String>,
    seconds: f64,
}

/// Lists, plans or makes scenes.
pub fn run(args: Args, out: &Out) -> Result<()> {
    if args.scenes.is_empty() {
        list(out);
        return Ok(());
    }
    let scenes = chosen(&args.scenes)?;
    // The commands run in the scenes' folders.
    let data_dir = match &args.data_dir {
        Some(dir) => Some(std::path::absolute(dir).map_err(Error::io("find", dir))?),
        None => None,
    };
    let data_dir = data_dir.as_deref();
    let commands: Vec<Vec<Command>> =
        scenes.iter().map(|scene| scene.commands(args.scale, data_dir)).collect::<Result<_>>()?;
    let typed = |of: &[Command]| of.iter().map(|c| c.typed(data_dir)).collect::<Vec<_>>();
    if args.dry_run {
        plan(&scenes, commands.iter().map(|of| typed(of)).collect(), out);
        return Ok(());
    }
    let started = Instant::now();
    let stop = interrupt::flag();
    let mut made = Vec::new();
    for (place, (scene, commands)) in scenes.iter().zip(&commands).enumerate() {
        let of = format!("{}/{}  {}", place + 1, scenes.len(), scene.name);
        let status = make(scene, commands, &args, &of, &stop, out)?;
        made.push(status);
    }
    let shown: Vec<Shown> = scenes
        .iter()
        .zip(&commands)
        .zip(&made)
        .filter(|(_, made)| made.error.is_none())
        .map(|((scene, commands), _)| Shown {
            scene,
            folder: scene.name.clone(),
            commands: typed(commands),
        })
        .collect();
    let shown_of = |path: PathBuf| path.display().to_string();
    let (mut page, mut deck) = (None, None);
    if !shown.is_empty() {
        page = Some(shown_of(write_gallery(&args.out, &shown, args.scale)?));
        if args.deck {
            deck = Some(shown_of(write_deck(&args.out, &shown)?));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let failed = made.iter().filter(|scene| scene.error.is_some()).count();
    let report = Report { scale: args.scale, scenes: made, page, deck, seconds };
    out.result(&report, |w| {
        for scene in &report.scenes {
            writeln!(w, "{:<22} {:<16} {}", scene.name, scene.status, duration(scene.seconds))?;
        }
        writeln!(w, "\nwritten in {}:", duration(report.seconds))?;
        let pages = report.page.iter().chain(&report.deck);
        pages.into_iter().try_for_each(|page| writeln!(w, "  {page}"))
    });
    if failed > 0 {
        return Err(Error::bad_value(
            "lecture",
            format!("{failed} of {} scenes", report.scenes.len()),
            "failed; the others are there",
            "run the same command again: it goes on where a scene stopped",
        ));
    }
    Ok(())
}

fn list(out: &Out) {
    let scenes = catalogue();
    let rows: Vec<SceneRow> = scenes
        .iter()
        .map(|scene| SceneRow {
            name: &scene.name,
            title: &scene.title,
            source: &scene.source,
            files: scene.show.iter().map(|show| show.file.as_str()).collect(),
        })
        .collect();
    out.result(&rows, |w| {
        for row in &rows {
            writeln!(w, "{:<22} {}", row.name, row.title)?;
        }
        writeln!(
            w,
            "\nlossreel lecture all --out lecture       makes all of them, in about ten minutes"
        )?;
        writeln!(w, "lossreel lecture NAME NAME --deck        makes some, and slides of them")
    });
}

fn plan(scenes: &[Scene], commands: Vec<Vec<String>>, out: &Out) {
    let planned: Vec<PlannedScene> = scenes
        .iter()
        .zip(commands)
        .map(|(scene, commands)| PlannedScene { name: &scene.name, commands })
        .collect();
    out.result(&planned, |w| {
        for scene in &planned {
            writeln!(w, "# {}", scene.name)?;
            scene.commands.iter().try_for_each(|command| writeln!(w, "{command}"))?;
        }
        Ok(())
    });
}

/// Runs the commands of a scene that are not done. A command that fails ends its scene and no other.
fn make(
    scene: &Scene,
    commands: &[Command],
    args: &Args,
    of: &str,
    stop: &AtomicBool,
    out: &Out,
) -> Result<MadeScene> {
    let mut folder = SceneFolder::open(&args.out, scene)?;
    let done = if args.force { 0 } else { folder.done(commands, scene) };
    let mut made = MadeScene {
        name: scene.name.clone(),
        status: if done == commands.len() { "was made before" } else { "made" },
        seconds: folder.seconds(),
        files: scene.show.iter().map(|show| folder.path().join(&show.file)).collect(),
        error: None,
    };
    if done == commands.len() {
        return Ok(made);
    }
    folder.begin(done)?;
    let bar = progress::bar(out, of, "commands", commands.len() as u64);
    bar.set_position(done as u64);
    for command in &commands[done..] {
        let words = shortened(command);
        bar.set_message(words.clone());
        if bar.is_hidden() {
            progress::line(&bar, out.quiet, &format!("{of}: {words}"));
        }
        let started = Instant::now();
        match execute(command, folder.path())? {
            None => folder.record(command, started.elapsed().as_secs_f64())?,
            // The commands get the same signal as this one.
            Some(_) if stop.load(Ordering::Relaxed) => {
                bar.finish_and_clear();
                return Err(Error::Interrupted {
                    remedy: "run the same command again: it goes on with the command it was at"
                        .into(),
                });
            }
            Some(error) => {
                warn(format_args!("{}: {}: {}", scene.name, words, one_line(&error)));
                (made.status, made.error) = ("failed", Some(error));
                break;
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    made.seconds = folder.seconds();
    Ok(made)
}

/// The beginning of a command, for a line of progress.
fn shortened(command: &Command) -> String {
    let words: Vec<&str> = command.0.iter().map(String::as_str).collect();
    let name = words.first().copied().unwrap_or_default();
    let about = match name {
        "train" => words.iter().position(|w| *w == "--out").and_then(|i| words.get(i + 1)),
        "render" | "function" => words.iter().find(|w| w.contains(".mp4") || w.contains(".png")),
        _ => words.get(1),
    };
    format!("{name} {}", about.copied().unwrap_or_default())
}

/// Runs a command of this program in `folder`; what it said where it fails.
fn execute(command: &Command, folder: &Path) -> Result<Option<String>> {
    let program = std::env::current_exe().map_err(Error::io("find this program", folder))?;
    let output = Process::new(&program)
        .args(&command.0)
        .arg("--quiet")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(Error::io("start", &program))?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = said.len().saturating_sub(3);
    let said = said[last..].join("; ");
    Ok(Some(if said.is_empty() { format!("ended with {}", output.status) } else { said }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_progress_name_what_is_made() {
        for scene in catalogue() {
            for command in scene.commands(Scale::Smoke, None).unwrap() {
                let words = shortened(&command);
                assert!(words.split_whitespace().count() == 2, "{}: {words}", scene.name);
            }
        }
    }
}
