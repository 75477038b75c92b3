//! `lossreel datasets`

use std::path::{Path, PathBuf};

use lossreel::dataset::{self, DataSet, Dataset, Origin, SplitName, Targets, fetch};
use lossreel::spec::{DataSpec, Spec};
use lossreel::{Error, Result};
use serde::Serialize;

use super::out::Out;
use super::progress::Follow;

/// List the data sets, download one, or read one and print its numbers.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the data sets and whether they can be used here.
    List,
    /// Download a published data set where its files are not there yet, check it, and print its numbers.
    ///
    /// A download that was stopped goes on where it stopped, and a file is put in its place only after its
    /// checksum was compared. LOSSREEL_MIRROR=URL asks that server for URL/NAME/FILE.
    Fetch(Named),
    /// Read a data set, also one of your own, and print its shape, counts, class balance and digest.
    Show {
        #[command(flatten)]
        named: Named,
        /// Set a key of a spec's [data] table: --set data.image_size=64
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Named {
    /// cifar10, cifar100, mnist, fashion_mnist, kmnist, svhn, digits, synthetic, spirals, moons, rings,
    /// gaussians, or of your own: folder, npz, csv.
    name: DataSet,
    /// Folder with its files, or the file; datasets/NAME by default.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    shape: Option<[usize; 3]>,
    classes: Option<usize>,
    train: Option<usize>,
    test: Option<usize>,
    ready: bool,
    note: String,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    shape: [usize; 3],
    classes: usize,
    train: usize,
    test: usize,
    digest: String,
    balance: Vec<Class>,
    /// The numbers that are to be predicted, where no classes are.
    predicts: Vec<String>,
}

/// A class and its images.
#[derive(Serialize)]
struct Class {
    name: String,
    train: usize,
    test: usize,
}

/// Prints the list, or the loaded set's numbers.
pub fn run(args: Args, out: &Out) -> Result<()> {
    match args.action.unwrap_or(Action::List) {
        Action::List => list(out),
        Action::Fetch(named) => download(named, out),
        Action::Show { named, set } => {
            let name = format!("data.set={}", named.name);
            let spec = Spec::parse("", &[&[name][..], &set].concat())?;
            let data = DataSpec { dir: named.data_dir.or(spec.data.dir.clone()), ..spec.data };
            show(&data.load(spec.train.seed)?, out);
            Ok(())
        }
    }
}

fn list(out: &Out) -> Result<()> {
    let rows: Vec<Row> = DataSet::ALL.iter().map(|&set| row(set)).collect::<Result<_>>()?;
    out.result(&rows, |w| {
        for row in &rows {
            let mark = if row.ready { "ready" } else { "-" };
            let form = match (row.shape, row.classes) {
                (Some(shape), Some(classes)) => {
                    (format!("{shape:?}"), format!("{classes} classes"))
                }
                _ => ("any shape".into(), String::new()),
            };
            let images = match (row.train, row.test) {
                (Some(train), Some(test)) => format!("{train} + {test}"),
                _ => String::new(),
            };
            writeln!(
                w,
                "{:<14} {:<12} {:<12} {images:<14} {mark:<6} {}",
                row.name, form.0, form.1, row.note
            )?;
        }
        Ok(())
    });
    Ok(())
}

/// Whether a set can be used here as it is.
pub fn is_ready(set: DataSet) -> bool {
    set.origin() != Origin::Own && row(set).is_ok_and(|row| row.ready)
}

fn row(set: DataSet) -> Result<Row> {
    let folder = Path::new("datasets").join(set.as_str());
    let (ready, note) = match set.origin() {
        Origin::Embedded => (true, "embedded".to_string()),
        Origin::Made => (true, "made from a seed".to_string()),
        Origin::Own => (true, "of your own: name its files with --data-dir".to_string()),
        Origin::Published => match dataset::find(set, None)? {
            Some(place) => (true, format!("in {}", place.display())),
            None => {
                let lacks = if folder.is_dir() {
                    format!("{} lacks files: ", folder.display())
                } else {
                    String::new()
                };
                (false, format!("{lacks}lossreel datasets fetch {set}, or name a folder"))
            }
        },
    };
    let (form, sizes) = (set.form(), set.sizes());
    Ok(Row {
        name: set.as_str(),
        shape: form.map(|form| form.0),
        classes: form.map(|form| form.1),
        train: sizes.map(|sizes| sizes[0]),
        test: sizes.map(|sizes| sizes[1]),
        ready,
        note,
    })
}

/// Downloads what is not there, and reads it.
fn download(named: Named, out: &Out) -> Result<()> {
    let Named { name: set, data_dir } = named;
    let spec = DataSpec { set, dir: data_dir.clone(), ..DataSpec::default() };
    let dir = data_dir.clone().unwrap_or_else(|| Path::new("datasets").join(set.as_str()));
    // What somebody else has put there is not completed, but judged.
    let lacks = set.origin() == Origin::Published
        && dataset::find(set, data_dir.as_deref())?.is_none()
        && (!dataset::is_there(set, data_dir.as_deref())? || fetch::is_begun(set, &dir)?);
    if lacks {
        let mirror = std::env::var("LOSSREEL_MIRROR").ok().filter(|at| !at.is_empty());
        let mut bar: Option<(String, Follow)> = None;
        let mut follow = |file: &str, done: u64, total: Option<u64>| {
            if bar.as_ref().is_none_or(|(name, _)| name != file) {
                if let Some((_, bar)) = bar.take() {
                    bar.finish();
                }
                bar = Some((file.to_string(), Follow::new(out, file, "bytes")));
            }
            if let Some((_, bar)) = &bar {
                bar.on(done as usize, total.unwrap_or(done) as usize);
            }
        };
        let fetched = fetch::fetch(set, &dir, mirror.as_deref(), &mut follow);
        if let Some((_, bar)) = bar {
            bar.finish();
        }
        fetched?;
        show(&DataSpec { dir: Some(dir), ..spec }.load(0)?, out);
        return Ok(());
    }
    if set.origin() == Origin::Own && data_dir.is_none() {
        return Err(Error::bad_value(
            "NAME",
            set,
            "which nobody publishes",
            "use `lossreel datasets show` with --data-dir for data of your own",
        ));
    }
    show(&spec.load(0)?, out);
    Ok(())
}

fn show(data: &Dataset, out: &Out) {
    let count = |split: SplitName, class: usize| {
        let split = data.split(split);
        let classes = match &split.targets {
            Targets::Sequences { classes, .. } => classes,
            _ => &split.labels,
        };
        classes.iter().filter(|&&of| usize::from(of) == class).count()
    };
    let predicts = match &data.train.targets {
        Targets::Values { .. } => data.class_names.clone(),
        _ => Vec::new(),
    };
    let balance: Vec<Class> = data
        .class_names
        .iter()
        .enumerate()
        .filter(|_| predicts.is_empty())
        .map(|(class, name)| Class {
            name: name.clone(),
            train: count(SplitName::Train, class),
            test: count(SplitName::Test, class),
        })
        .collect();
    let shown = Shown {
        name: data.name.clone(),
        shape: data.shape(),
        classes: data.classes,
        train: data.train.len(),
        test: data.test.len(),
        digest: data.digest.clone(),
        balance,
        predicts,
    };
    out.result(&shown, |w| {
        writeln!(
            w,
            "{}: {} training and {} test {} of {:?}",
            shown.name,
            shown.train,
            shown.test,
            dataset::things(&shown.name).unwrap_or("samples"),
            shown.shape
        )?;
        if !shown.predicts.is_empty() {
            writeln!(w, "numbers to be predicted: {}", shown.predicts.join(", "))?;
            return writeln!(w, "digest {}", shown.digest);
        }
        let first = shown.balance.first().map_or((0, 0), |class| (class.train, class.test));
        if shown.balance.iter().all(|class| (class.train, class.test) == first) {
            let (train, test) = first;
            let classes = shown.classes;
            writeln!(w, "{classes} classes of {train} training and {test} test images each")?;
        } else {
            writeln!(w, "{} classes:", shown.classes)?;
            for class in &shown.balance {
                writeln!(
                    w,
                    "  {:<24} {:>8} training {:>8} test",
                    class.name, class.train, class.test
                )?;
            }
        }
        writeln!(w, "digest {}", shown.digest)
    });
}
