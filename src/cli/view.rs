//! `lossreel view`

use std::path::{Path, PathBuf};

use lossreel::objective::TestFunction;
use lossreel::sweep::{MemberState, Sweep};
use lossreel::viewer::content::Content;
use lossreel::viewer::server::{Server, address};
use lossreel::viewer::{Gatherer, Member, PageRequest, Waiting, page, write};
use lossreel::{Error, Result};
use serde::Serialize;

use super::interrupt;
use super::out::{Out, one_line};

/// Make an interactive page of loss surfaces: turn, play, compare and present them in a browser.
///
/// The page is one file that asks no host for anything: it works offline, from a memory stick and as an
/// attachment. With --serve the page comes from this machine instead and follows runs that are still
/// training: new snapshots and points of surfaces appear in it by themselves.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folders of runs, joint folders (`lossreel plane RUN RUN --out JOINT`) or sweeps.
    #[arg(value_name = "RUN", required_unless_present_any = ["grid_file", "function"])]
    runs: Vec<PathBuf>,
    /// Show the surface in a file of Li et al.'s code (HDF5); repeat it for several.
    #[arg(long, value_name = "FILE.h5")]
    grid_file: Vec<PathBuf>,
    /// Show a function of two variables, as a place to try optimizers in: rosenbrock, beale, himmelblau,
    /// saddle, ravine, rotated_ravine or rastrigin; repeat it for several.
    #[arg(long, value_name = "NAME")]
    function: Vec<TestFunction>,
    /// Only the surface of this name of each run; all of them by default.
    #[arg(long, value_name = "NAME", requires = "runs")]
    surface: Option<String>,
    /// Headline.
    #[arg(long)]
    title: Option<String>,
    /// What each run, file or function is called in the page, in the order above; repeat it for each.
    #[arg(long, value_name = "TITLE")]
    panel_title: Vec<String>,
    /// The page to write, an .html file.
    #[arg(long, value_name = "FILE.html", required_unless_present = "serve")]
    out: Option<PathBuf>,
    /// Serve the page at this address and follow the runs, until Ctrl-C: 127.0.0.1:8000, or a port alone;
    /// port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "out")]
    serve: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  lossreel view RUN --out page.html
  lossreel view RUN RUN --panel-title 'with skips' --panel-title 'without' --out page.html
  lossreel view --grid-file resnet56.h5 --grid-file resnet56_noshort.h5 --out page.html
  lossreel view --function rosenbrock --function beale --out sandbox.html
  lossreel view RUN --serve 127.0.0.1:8000";

/// What `--json` prints.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    title: &'a str,
    runs: usize,
    surfaces: usize,
    snapshots: usize,
    notes: &'a [String],
}

impl<'a> Summary<'a> {
    fn of(content: &'a Content) -> Self {
        let runs = || content.subjects.iter().flat_map(|subject| &subject.runs);
        Self {
            file: None,
            bytes: None,
            url: None,
            title: &content.title,
            runs: runs().count(),
            surfaces: content.subjects.iter().map(|subject| subject.surfaces.len()).sum(),
            snapshots: runs().map(|run| run.snapshots).sum(),
            notes: &content.notes,
        }
    }
}

/// Writes the page, or serves it.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let request = PageRequest {
        folders: args.runs,
        grid_files: args.grid_file,
        functions: args.function,
        surface: args.surface,
        title: args.title,
        titles: args.panel_title,
    };
    match (args.out, args.serve) {
        (Some(path), _) => file(&path, &request, out),
        (None, Some(text)) => serve(&text, request, out),
        (None, None) => Err(Error::bad_value("--out", "", "no file", "write --out page.html")),
    }
}

/// The members of a sweep.
fn members(folder: &Path) -> Result<Option<Vec<Member>>> {
    let sweep = match Sweep::open(folder) {
        Err(Error::NoSweep { .. }) => return Ok(None),
        sweep => sweep?,
    };
    let member = |state: MemberState| Member { name: state.name, run: state.run };
    Ok(Some(sweep.states()?.into_iter().map(member).collect()))
}

fn file(path: &Path, request: &PageRequest, out: &Out) -> Result<()> {
    // What cannot be written is refused before anything is read.
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !matches!(extension.as_str(), "html" | "htm") {
        let remedy = "name a file that ends in .html";
        return Err(Error::bad_value("--out", path.display(), "no page", remedy));
    }
    let gathered = Gatherer::new(members).gather(request, Waiting::No)?;
    let bytes = write(path, &page(&gathered)?)?;
    for note in &gathered.content.notes {
        out.note(format_args!("lossreel: {note}"));
    }
    let summary = Summary {
        file: Some(path.display().to_string()),
        bytes: Some(bytes),
        ..Summary::of(&gathered.content)
    };
    out.result(&summary, |w| {
        let surfaces = match summary.surfaces {
            1 => "1 surface".to_string(),
            n => format!("{n} surfaces"),
        };
        writeln!(w, "{}: {surfaces}, {:.2} MB", path.display(), bytes as f64 / 1e6)
    });
    Ok(())
}

fn serve(text: &str, request: PageRequest, out: &Out) -> Result<()> {
    let address = address(text)?;
    let server = Server::bind(address, request, Gatherer::new(members))?;
    let address = server.address();
    if !address.ip().is_loopback() {
        out.note(format_args!(
            "lossreel: {address} can be reached from other machines, and asks for no password"
        ));
    }
    let interrupt = interrupt::flag_saying(None);
    let url = format!("http://{address}/");
    let summary = Summary { url: Some(url.clone()), ..Summary::of(server.content()) };
    out.result(&summary, |w| writeln!(w, "{} is at {url}", one_line(summary.title)));
    out.note(format_args!("Ctrl-C ends it"));
    server.run(&interrupt, &mut |version| {
        out.note(format_args!("the page is renewed ({} times)", version - 1));
    })
}
