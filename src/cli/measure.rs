//! `lossreel measure`

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lossreel::dataset::SplitName;
use lossreel::measures::{MEASURES, Value};
use lossreel::record::{Joint, Run};
use lossreel::stages::measure::{
    MeasureOf, Measured, OfPoint, OfSurface, of_file, of_folder, of_line, of_point, of_surface,
    write_csv,
};
use lossreel::stages::path_shape::SnapshotPath;
use lossreel::stages::{RunChoice, RunSet, Subject};
use lossreel::{Error, Result};
use serde::Serialize;

use super::interrupt;
use super::out::{self, Out, one_line};
use super::progress::Follow;
use super::target::Sample;

/// Put numbers with errors to a landscape: of the surface over a run's plane, of its curve, of its last
/// state, of the path of its snapshots. Several runs stand side by side.
///
/// Written to RUN/measures with each measure's definition and source; --definitions prints them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run folders, joint folders of `lossreel plane RUN RUN --out`, or folders of surfaces that
    /// `lossreel surface --weights` made.
    #[arg(value_name = "RUN", required_unless_present_any = ["grid_file", "definitions"])]
    runs: Vec<PathBuf>,
    /// Surface files of the paper's code (HDF5), side by side with the runs.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    grid_file: Vec<PathBuf>,
    /// Of a --grid-file: train_loss, test_loss, or another of its quantities.
    #[arg(long, value_name = "NAME", requires = "grid_file")]
    values: Option<String>,
    /// What is measured: surface, line, point, path; by default all that is there.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    of: Vec<MeasureOf>,
    /// The surface, by name.
    #[arg(long, value_name = "NAME", default_value = "pca")]
    surface: String,
    /// The curve, by name.
    #[arg(long, value_name = "NAME", default_value = "curve")]
    curve: String,
    /// Rises of the loss above a basin's bottom at which its widths and its area are measured.
    #[arg(long, value_name = "NATS", value_delimiter = ',', default_values_t = [0.1, 1.0])]
    rise: Vec<f64>,
    /// Persistence up to which a minimum of a surface is noise; by default each is held to 3 standard errors
    /// of its difference to its saddle on the same images (of a --grid-file, which has no errors, 0).
    #[arg(long, value_name = "NATS")]
    min_persistence: Option<f64>,
    #[command(flatten)]
    sample: Sample,
    /// Of a point: random filter-normalised directions of the expected rise.
    #[arg(long, value_name = "N", default_value_t = 20)]
    directions: usize,
    /// Of a point: radii of the expected rise; 1 is as far as the weights are long.
    #[arg(long, value_name = "RADIUS", value_delimiter = ',', default_values_t = [0.1, 0.25, 0.5])]
    radius: Vec<f64>,
    /// Of a point: Keskar's epsilon.
    #[arg(long, value_name = "SHARE", default_value_t = 5e-4)]
    epsilon: f64,
    /// Of a point: radius of SAM's ball.
    #[arg(long, value_name = "LENGTH", default_value_t = 0.05)]
    rho: f64,
    /// Of a point: products for the trace.
    #[arg(long, value_name = "N", default_value_t = 30)]
    probes: usize,
    /// Folder with the data set's files, where they are no longer where the run found them.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write a table of all as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the path's snapshots as CSV: distances from the start and to the end, displacements, cosines
    /// between them, update over weights; of one run.
    #[arg(long, value_name = "FILE")]
    path_csv: Option<PathBuf>,
    /// Name of the file in RUN/measures.
    #[arg(long, value_name = "NAME", default_value = "measures")]
    name: String,
    /// Print what each measure is, in which unit and from which source, and stop.
    #[arg(long)]
    definitions: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    runs: &'a [Measured],
    #[serde(serialize_with = "out::paths")]
    written: Vec<PathBuf>,
}

/// 1,000 training images by default.
pub fn run(args: Args, out: &Out) -> Result<()> {
    if args.definitions {
        out.result(&MEASURES, |w| definitions(w));
        return Ok(());
    }
    if let Some(bad) = args.rise.iter().find(|r| !(**r > 0.0 && r.is_finite())) {
        return Err(Error::bad_value("--rise", bad, "not a rise", "use numbers above 0"));
    }
    if let Some(bad) = args.min_persistence.filter(|t| !(*t >= 0.0 && t.is_finite())) {
        let remedy = "use 0 or more";
        return Err(Error::bad_value("--min-persistence", bad, "not a difference in loss", remedy));
    }
    if args.path_csv.is_some() && args.runs.len() != 1 {
        let problem = "but it is of one run";
        return Err(Error::bad_value("--path-csv", "", problem, "name one run"));
    }
    let (mut all, mut written) = (Vec::new(), Vec::new());
    for root in &args.runs {
        let (measured, path) = of_root(root, &args, out)?;
        all.push(measured);
        written.extend(path);
    }
    let request = of_a_surface(&args);
    for file in &args.grid_file {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = file.parent().and_then(Path::file_name).map(|f| f.to_string_lossy());
        let name = folder.map_or(name.clone(), |folder| format!("{folder}/{name}"));
        let mut measured = Measured::new(name);
        of_file(file, args.values.as_deref(), &request, &mut measured)?;
        all.push(measured);
    }
    if let Some(csv) = &args.csv {
        write_csv(csv, &all)?;
        written.push(csv.clone());
    }
    let report = Report { runs: &all, written };
    out.result(&report, |w| {
        table(&all, w)?;
        report.written.iter().try_for_each(|path| writeln!(w, "written  {}", path.display()))
    });
    Ok(())
}

fn of_a_surface(args: &Args) -> OfSurface {
    OfSurface { rises: args.rise.clone(), threshold: args.min_persistence }
}

/// The measures of one folder, and where they are written.
fn of_root(root: &Path, args: &Args, out: &Out) -> Result<(Measured, Option<PathBuf>)> {
    let stop = interrupt::flag();
    let wanted = |of: MeasureOf| args.of.is_empty() || args.of.contains(&of);
    let asked = |of: MeasureOf| args.of.contains(&of);
    let is_surface = root.join("grid.json").is_file();
    if is_surface && !Joint::is_at(root) {
        if [MeasureOf::Line, MeasureOf::Point, MeasureOf::Path].into_iter().any(asked) {
            let problem = "but the folder holds a surface and no run";
            let remedy = "measure the surface alone";
            return Err(Error::bad_value("--of", "line, point or path", problem, remedy));
        }
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut measured = Measured::new(name);
        of_folder(root, &of_a_surface(args), &mut measured)?;
        return Ok((measured, None));
    }
    let set = RunSet::open(root)?;
    let mut measured = Measured::new(set.name());
    if wanted(MeasureOf::Surface) {
        let is_there = set.surface_dir(&args.surface)?.join("grid.json").is_file();
        if is_there || asked(MeasureOf::Surface) {
            of_surface(&set, &args.surface, &of_a_surface(args), &mut measured, &stop)?;
        } else {
            measured.notes.push(format!(
                "no surface `{}` is there: lossreel surface {}",
                args.surface,
                root.display()
            ));
        }
    }
    if set.is_joint() {
        return Ok((measured, None));
    }
    let run = Run::open(root)?;
    if wanted(MeasureOf::Line) {
        let folder = run.curve_dir(&args.curve)?;
        if folder.join("grid.json").is_file() || asked(MeasureOf::Line) {
            of_line(&folder, &args.curve, &mut measured)?;
        }
    }
    if wanted(MeasureOf::Point) {
        let choice = RunChoice { data_dir: args.data_dir.as_deref(), ..RunChoice::default() };
        match Subject::of_run_with(&run, choice) {
            Ok(subject) => {
                let batch = set.runs()[0].spec()?.train.batch_size;
                of_a_point(&subject, batch, args, &mut measured, out)?;
            }
            Err(Error::NoSpec { .. }) if !asked(MeasureOf::Point) => {
                measured.notes.push("the run's network is not known: nothing of its point".into());
            }
            Err(error) => return Err(error),
        }
    }
    if wanted(MeasureOf::Path) {
        match SnapshotPath::of_run(&set.runs()[0]) {
            Ok(found) => {
                found.measure(&mut measured);
                args.path_csv.iter().try_for_each(|file| found.write_csv(file))?;
            }
            // Without a finite snapshot there is no path.
            Err(Error::Landscape { what, .. })
                if !asked(MeasureOf::Path) && args.path_csv.is_none() =>
            {
                measured.notes.push(format!("nothing of the path: {what}"));
            }
            Err(error) => return Err(error),
        }
    }
    let path = measured.write(&run, &args.name)?;
    Ok((measured, Some(path)))
}

/// `batch` is the size of the run's batches.
fn of_a_point(
    subject: &Subject,
    batch: usize,
    args: &Args,
    measured: &mut Measured,
    out: &Out,
) -> Result<()> {
    let stop = interrupt::flag();
    let split = args.sample.split.unwrap_or(SplitName::Train);
    let request = OfPoint {
        sample: args.sample.choice(split, Some(subject.split_len(split).min(1000))),
        directions: args.directions,
        radii: args.radius.clone(),
        epsilon: args.epsilon,
        rho: args.rho,
        products: args.probes,
        batch,
    };
    let bar = Follow::new(out, "the point", "measures");
    let result = of_point(subject, &request, measured, &stop, &|done, total| bar.on(done, total));
    bar.finish();
    result
}

/// A value with its error in a few characters.
fn words(value: &Value) -> String {
    let v = value.value;
    let number = if !v.is_finite() {
        out::value(v, 0)
    } else if v == v.trunc() && v.abs() < 1e6 {
        format!("{v:.0}")
    } else if (1e-3..1e5).contains(&v.abs()) {
        format!("{v:.4}")
    } else {
        format!("{v:.3e}")
    };
    let number = if value.note.as_ref().is_some_and(|n| n.starts_with("at least")) {
        format!("≥ {number}")
    } else {
        number
    };
    value.se.map_or(number.clone(), |se| format!("{number} ± {se:.2e}"))
}

/// Measures down, runs across.
fn table(all: &[Measured], w: &mut dyn Write) -> io::Result<()> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in all.iter().flat_map(|m| &m.measures.0) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let cell = |m: &Measured, name: &str| m.measures.get(name).map_or("-".into(), words);
    let first = names.iter().map(|n| n.len()).max().unwrap_or(0).max("measure".len());
    let widths: Vec<usize> = all
        .iter()
        .map(|m| {
            let cells = names.iter().map(|name| cell(m, name).chars().count());
            cells.max().unwrap_or(0).max(one_line(&m.run).chars().count())
        })
        .collect();
    write!(w, "{:<first$}", "measure")?;
    for (m, width) in all.iter().zip(&widths) {
        write!(w, "  {:>width$}", one_line(&m.run))?;
    }
    writeln!(w, "  unit")?;
    for name in names {
        write!(w, "{name:<first$}")?;
        for (m, width) in all.iter().zip(&widths) {
            write!(w, "  {:>width$}", cell(m, name))?;
        }
        let unit = all.iter().find_map(|m| m.measures.get(name)).map_or("", |v| &v.unit);
        writeln!(w, "  {unit}")?;
    }
    for m in all {
        for note in &m.notes {
            writeln!(w, "{}: {}", one_line(&m.run), one_line(note))?;
        }
    }
    Ok(())
}

fn definitions(w: &mut dyn Write) -> io::Result<()> {
    for m in MEASURES {
        writeln!(w, "{} ({})\n  {}", m.name, m.unit, m.definition)?;
        if m.source != "-" {
            writeln!(w, "  source: {}", m.source)?;
        }
    }
    Ok(())
}
