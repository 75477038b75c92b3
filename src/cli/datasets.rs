//! `lossreel datasets`

use std::path::PathBuf;

use lossreel::Result;
use lossreel::dataset::{DataSet, LoadOptions, load};
use serde::Serialize;

use super::out::Out;

/// List the data sets, or load one to see whether its files are whole (downloading them where this
/// build can).
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the data sets and whether they can be used here.
    List,
    /// Load a data set, downloading it where this build can, and print its numbers.
    Fetch {
        /// cifar10, mnist, fashion_mnist, digits, synthetic, spirals, moons, rings or gaussians.
        name: DataSet,
        /// Folder with its files; datasets/NAME by default.
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    shape: [usize; 3],
    classes: usize,
    ready: bool,
    note: String,
}

#[derive(Serialize)]
struct Fetched {
    name: String,
    train: usize,
    test: usize,
    digest: String,
}

/// Prints the list, or the loaded set's numbers.
pub fn run(args: Args, out: &Out) -> Result<()> {
    match args.action.unwrap_or(Action::List) {
        Action::List => list(out),
        Action::Fetch { name, data_dir } => fetch(name, data_dir, out),
    }
}

fn list(out: &Out) -> Result<()> {
    let rows: Vec<Row> = DataSet::ALL
        .iter()
        .map(|&set| {
            let (shape, classes) = set.form();
            let folder = PathBuf::from("datasets").join(set.as_str());
            let (ready, note) = match set {
                DataSet::Digits => (true, "embedded".to_string()),
                DataSet::Synthetic
                | DataSet::Spirals
                | DataSet::Moons
                | DataSet::Rings
                | DataSet::Gaussians => (true, "made from a seed".to_string()),
                _ if folder.is_dir() => (true, format!("in {}", folder.display())),
                _ => (
                    false,
                    format!("put its files into {}, or name their folder", folder.display()),
                ),
            };
            Row { name: set.as_str(), shape, classes, ready, note }
        })
        .collect();
    out.result(&rows, |w| {
        for row in &rows {
            let mark = if row.ready { "ready" } else { "-" };
            writeln!(
                w,
                "{:<14} {:<12} {} classes  {mark:<6} {}",
                row.name,
                format!("{:?}", row.shape),
                row.classes,
                row.note
            )?;
        }
        Ok(())
    });
    Ok(())
}

fn fetch(set: DataSet, dir: Option<PathBuf>, out: &Out) -> Result<()> {
    let data = load(set, &LoadOptions { dir, ..LoadOptions::default() })?;
    let report = Fetched {
        name: data.name.clone(),
        train: data.train.len(),
        test: data.test.len(),
        digest: data.digest.clone(),
    };
    out.result(&report, |w| {
        writeln!(
            w,
            "{}: {} training and {} test images of {:?}",
            report.name,
            report.train,
            report.test,
            data.shape()
        )?;
        writeln!(w, "digest {}", report.digest)
    });
    Ok(())
}
