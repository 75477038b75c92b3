//! `lossreel demo`

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use lossreel::Result;
use lossreel::record::EpochRecord;
use lossreel::render::film::Output;
use lossreel::stages::demo::{DemoProgress, DemoRun, PAIR, films, runs};
use lossreel::stages::scenes::SceneData;
use lossreel::train::Event;
use serde::Serialize;

use super::out::{self, Out, duration};
use super::progress::{self, Follow};
use super::train::TrainBar;
use super::{interrupt, plane, render};

/// Train two small nets on embedded data, with and without skip connections, and film them: the
/// whole job in about a minute.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the runs and films; an earlier demo in it is replaced.
    #[arg(long, default_value = "outputs/demo")]
    out: PathBuf,
}

/// Bars of the demo, one a net.
struct Bars<'a> {
    out: &'a Out,
    train: [Mutex<TrainBar>; 2],
}

impl DemoProgress for Bars<'_> {
    fn trained(&self, net: usize, event: &Event<'_>) {
        let mut bar = self.train[net].lock().unwrap_or_else(|e| e.into_inner());
        bar.on(event);
        if let Event::End { .. } = event {
            bar.finish();
        }
    }

    fn phase(&self, net: usize, what: &str, unit: &str) -> Box<dyn Fn(usize, usize) + Sync> {
        let bar = Follow::new(self.out, &format!("{} {what}", SHORT[net]), unit);
        Box::new(move |done, total| {
            bar.on(done, total);
            if done == total {
                bar.finish();
            }
        })
    }
}

/// What the bars call the nets.
const SHORT: [&str; 2] = ["with", "without"];

#[derive(Serialize)]
struct Report {
    nets: Vec<NetReport>,
    #[serde(serialize_with = "out::paths")]
    files: Vec<PathBuf>,
    seconds: f64,
}

#[derive(Serialize)]
struct NetReport {
    title: &'static str,
    #[serde(serialize_with = "out::path")]
    run: PathBuf,
    epochs: u64,
    #[serde(serialize_with = "out::float")]
    train_accuracy: f64,
    #[serde(serialize_with = "out::float")]
    test_accuracy: f64,
    explained_variance: Vec<f64>,
    null_explained_variance: Vec<f64>,
    #[serde(serialize_with = "out::float")]
    off_plane_residual_max: f64,
    loss_min: Option<f64>,
    loss_max: Option<f64>,
}

impl NetReport {
    fn new(demo: &DemoRun, title: &'static str) -> Self {
        let about = &demo.plane.about;
        let last = demo.metrics.epochs.last();
        let of = |value: fn(&EpochRecord) -> f64| last.map_or(f64::NAN, value);
        Self {
            title,
            run: demo.run.root().to_path_buf(),
            epochs: last.map_or(0, |e| e.epoch),
            train_accuracy: of(|e| e.train_accuracy),
            test_accuracy: of(|e| e.test_accuracy),
            explained_variance: about.explained_variance.clone(),
            null_explained_variance: about.null_explained_variance.clone(),
            off_plane_residual_max: about
                .path()
                .iter()
                .map(|p| p.off_plane_residual)
                .fold(0.0, f64::max),
            loss_min: demo.surface.loss_min,
            loss_max: demo.surface.loss_max,
        }
    }
}

/// Trains, surveys, films, and says what came out.
pub fn run(args: Args, out: &Out) -> Result<()> {
    let started = Instant::now();
    let stop = interrupt::flag();
    let bar = |net: usize| Mutex::new(TrainBar::new(out, &format!("{} training", SHORT[net])));
    let bars = Bars { out, train: [bar(0), bar(1)] };
    let runs = runs(&args.out, &stop, &bars)?;
    let mut files = Vec::new();
    for (stem, film) in films(&runs)? {
        let scene = SceneData::Contour(film);
        for extension in ["png", "gif", "mp4"] {
            let path = args.out.join(stem.with_extension(extension));
            let bar = progress::bar(
                out,
                &path.file_name().unwrap_or_default().to_string_lossy(),
                "frames",
                0,
            );
            let report = render::write(&scene, &Output::new(&path), &bar);
            bar.finish_and_clear();
            for warning in report?.warnings {
                out.note(format_args!("lossreel: {warning}"));
            }
            files.push(path);
        }
    }
    let nets =
        runs.iter().zip(PAIR).map(|(demo, (_, _, title))| NetReport::new(demo, title)).collect();
    let report = Report { nets, files, seconds: started.elapsed().as_secs_f64() };
    out.result(&report, |w| {
        for (net, demo) in report.nets.iter().zip(&runs) {
            writeln!(w, "\n{}", net.title)?;
            writeln!(w, "accuracy              {:.1} % on test images, {:.1} % on training images, after {} epochs", 100.0 * net.test_accuracy, 100.0 * net.train_accuracy, net.epochs)?;
            for line in plane::summary(&demo.plane) {
                writeln!(w, "{line}")?;
            }
            if let (Some(min), Some(max)) = (net.loss_min, net.loss_max) {
                writeln!(w, "loss on the plane     {min:.3} to {max:.3}")?;
            }
        }
        writeln!(w, "\nwritten in {}:", duration(report.seconds))?;
        report.files.iter().try_for_each(|file| writeln!(w, "  {}", file.display()))
    });
    Ok(())
}
