//! Files to pictures: gathers what a run folder holds into a scene and hands it to the renderer.

use std::path::Path;

use crate::backend::Precision;
use crate::landscape::{GradientStore, Header, Plane, SurfaceStore};
use crate::names::named_enum;
use crate::optim::RuleName;
use crate::record::{Metrics, Run, Status};
use crate::render::page::scale::{number, significant, thousands};
use crate::render::scene::{
    Arrows, ContourPanel, CurveFigure, Film, Gradient, Grid, Inset, PathPoint, Quantity, Relief,
    Series, Split,
};
use crate::spec::Spec;
use crate::stages::footing::{self, Footing};
use crate::stages::telling::Telling;
use crate::stages::{curve, shadow};
use crate::train::Verdict;
use crate::weights::hdf5;
use crate::{Error, Result};

/// Which run, plane and surface a panel shows.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelSource {
    /// The run.
    pub run: Run,
    /// Its panel's title; the network's name without one.
    pub title: Option<String>,
    /// The surface's name in the run folder.
    pub surface: String,
    /// The plane's name in the run folder.
    pub plane: String,
}

/// Seconds for which the last frame stands.
pub(super) const HOLD_SECS: f64 = 2.0;

named_enum! {
    /// Where arrows on a map come from.
    #[derive(Default)]
    pub enum ArrowChoice("kind of arrows") {
        /// Measured gradients where `lossreel surface --gradients` has left some, else interpolated.
        #[default]
        Auto = "auto",
        /// Measured gradients.
        Measured = "measured",
        /// The slope of the interpolated surface.
        Interpolated = "interpolated",
    }
}

/// What a contour map shows beside its bands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// How the bands are lit.
    pub relief: Relief,
    /// Arrows down the slope, where asked for.
    pub arrows: Option<ArrowChoice>,
    /// The same path in a random plane of this seed, in a corner.
    pub inset: Option<u64>,
}

/// A contour film of one run, or of several side by side on one colour scale, told as films are.
///
/// # Errors
/// Those of [`contour_told`].
pub fn contour(sources: &[PanelSource], title: Option<&str>) -> Result<Film> {
    contour_told(sources, title, &Telling::default(), Extras::default())
}

/// A contour film of one run, or of several side by side on one colour scale.
///
/// # Errors
/// Those of reading the run folders; [`Error::Landscape`] when a surface is missing, was computed
/// over another plane, or lacks the losses at the snapshots.
pub fn contour_told(
    sources: &[PanelSource],
    title: Option<&str>,
    telling: &Telling,
    extras: Extras,
) -> Result<Film> {
    let mut film = Film { hold_secs: HOLD_SECS, ..Film::default() };
    let mut footings = Vec::new();
    let mut recorded = Vec::new();
    for source in sources {
        let spec = Spec::parse(&source.run.spec_toml()?, &[])?;
        let plane = Plane::read(&source.run.plane_path(&source.plane))?;
        let store = SurfaceStore::open(&source.run.surface_dir(&source.surface))?;
        if store.header.plane_digest != plane.digest() {
            return Err(Error::Landscape {
                what: format!(
                    "surface `{}` of {} was computed over another plane than `{}` is now",
                    source.surface,
                    source.run.name(),
                    source.plane
                ),
                remedy: "compute it again: lossreel surface RUN --force".into(),
            });
        }
        let metrics = source.run.metrics()?;
        let name = source.title.clone().unwrap_or_else(|| describe(&spec));
        let mut panel = panel(source, &spec, &plane, &store, &metrics, name)?;
        (panel.relief, panel.arrows) = (extras.relief, arrows(source, &store, extras.arrows)?);
        if let Some(seed) = extras.inset {
            let path = shadow::random_path(&source.run, &spec, &plane, seed)?;
            panel.inset = Some(Inset { title: "in a random plane, to scale".into(), path });
        }
        film.panels.push(panel);
        film.value_label =
            format!("{} loss", if store.header.split == "test" { "test" } else { "training" });
        footings.push(Footing::new(&spec, plane, store)?);
        recorded.push((spec, metrics));
    }
    film.title = title.map_or_else(
        || match sources {
            [one] => format!("The path of {} on the loss surface", one.run.name()),
            _ => "Paths on their loss surfaces".to_string(),
        },
        str::to_string,
    );
    film.caption = footing::caption(&footings);
    if extras.relief == Relief::Hillshade {
        film.caption += "; shaded from the upper left";
    }
    film.caption += &arrows_caption(&film.panels);
    let paths: Vec<&[PathPoint]> = film.panels.iter().map(|p| p.path.as_slice()).collect();
    let clock = telling.clock.resolve(&paths);
    let told = (sources.iter().zip(&film.panels).zip(&recorded))
        .map(|((source, panel), (spec, metrics))| {
            telling.told(&panel.title, &source.run, spec, metrics)
        })
        .collect::<Result<Vec<_>>>()?;
    film.strip = telling.strip(clock, &told);
    film.pacing = telling.pacing(clock, &film.title, &told);
    Ok(film)
}

pub(super) fn panel(
    source: &PanelSource,
    spec: &Spec,
    plane: &Plane,
    store: &SurfaceStore,
    metrics: &Metrics,
    title: String,
) -> Result<ContourPanel> {
    let losses = store.read_path()?.unwrap_or_default();
    let path = plane
        .about
        .path
        .iter()
        .map(|p| {
            let loss = losses.iter().find(|l| l.snapshot == p.snapshot);
            PathPoint {
                step: p.step,
                epoch: p.epoch,
                x: p.x,
                y: p.y,
                true_loss: loss.map_or(f64::NAN, |l| l.true_loss),
                plane_loss: loss.map(|l| l.plane_loss),
                lr: p.lr,
            }
        })
        .collect::<Vec<_>>();
    if losses.is_empty() && !path.is_empty() {
        return Err(Error::Landscape {
            what: format!(
                "surface `{}` of {} lacks the losses at the snapshots",
                source.surface,
                source.run.name()
            ),
            remedy: "finish it: run the same `lossreel surface` command again".into(),
        });
    }
    let grid = store.header.grid;
    Ok(ContourPanel {
        title,
        subtitle: subtitle(spec, source, metrics)?,
        grid: Grid {
            xs: grid.x.values(),
            ys: grid.y.values(),
            values: store.losses(),
            interpolated: None,
        },
        path,
        x_label: plane.axis_label(0),
        y_label: plane.axis_label(1),
        ..ContourPanel::default()
    })
}

/// The arrows that `choice` means on a surface.
fn arrows(
    source: &PanelSource,
    store: &SurfaceStore,
    choice: Option<ArrowChoice>,
) -> Result<Arrows> {
    let Some(choice) = choice else { return Ok(Arrows::None) };
    if choice == ArrowChoice::Interpolated {
        return Ok(Arrows::Interpolant);
    }
    // Gradients beside a surface that is no longer theirs are none.
    let found = GradientStore::open(store.folder())?.filter(|found| {
        let Header { grid, precision, .. } = store.header;
        Header { grid, precision, ..found.header.clone() } == store.header
    });
    let gradients = found.iter().flat_map(|found| {
        found.cells.iter().flatten().map(|cell| {
            let [x, y] = found.header.grid.point(cell.k);
            Gradient { x, y, value: cell.loss, dx: cell.gx, dy: cell.gy }
        })
    });
    let gradients: Vec<Gradient> = gradients.collect();
    match (choice, gradients.is_empty()) {
        (_, false) => Ok(Arrows::Measured(gradients)),
        (ArrowChoice::Measured, true) => Err(Error::Landscape {
            what: format!(
                "no gradient was measured over surface `{}` of {}",
                source.surface,
                source.run.name()
            ),
            remedy: "measure them: the same `lossreel surface` command with --gradients (or draw \
                     --arrows interpolated)"
                .into(),
        }),
        _ => Ok(Arrows::Interpolant),
    }
}

/// What the arrows are, for the caption; nothing where there are none.
fn arrows_caption(panels: &[ContourPanel]) -> String {
    let mut measured: Vec<usize> = Vec::new();
    let mut interpolated = false;
    for panel in panels {
        match &panel.arrows {
            Arrows::None => {}
            Arrows::Interpolant => interpolated = true,
            Arrows::Measured(gradients) => measured.push(gradients.len()),
        }
    }
    measured.dedup();
    let counts: Vec<String> = measured.iter().map(usize::to_string).collect();
    match (counts.is_empty(), interpolated) {
        (true, false) => String::new(),
        (true, true) => "; arrows: −∇ of the interpolated surface".into(),
        (false, false) => {
            format!("; arrows: −∇ in the plane, measured at {} points", counts.join(" / "))
        }
        (false, true) => "; arrows: −∇, measured in one panel, interpolated in another".into(),
    }
}

/// `SGD, lr 0.1, batch 128; test accuracy 91.2 %`.
fn subtitle(spec: &Spec, source: &PanelSource, metrics: &Metrics) -> Result<String> {
    let optim = &spec.optim;
    let mut text = format!(
        "{} lr {}, batch {}",
        rule_name(optim.rule),
        number(optim.lr()),
        spec.train.batch_size
    );
    if let Status::Ended { verdict: Verdict::Diverged { step, .. }, .. } =
        source.run.manifest()?.status
    {
        text += &format!("; diverged at step {step}");
    } else if let Some(last) = metrics.epochs.last() {
        text += &format!("; test accuracy {:.1} %", 100.0 * last.test_accuracy);
    }
    Ok(text)
}

/// An update rule as people write it.
pub(super) fn rule_name(rule: RuleName) -> &'static str {
    match rule {
        RuleName::Sgd => "SGD",
        RuleName::Adam => "Adam",
        RuleName::AdamW => "AdamW",
        RuleName::RmsProp => "RMSprop",
    }
}

/// The network and its data in words.
pub(super) fn describe(spec: &Spec) -> String {
    use crate::models::Shortcut;
    let model = &spec.model;
    let shortcut = match model.shortcut {
        Shortcut::None => " without shortcuts",
        Shortcut::OptionA => " with option A shortcuts",
        Shortcut::Projection => "",
    };
    let residual = model.arch.starts_with("resnet") || model.arch.starts_with("wrn");
    format!("{}{}", pretty(&model.arch), if residual { shortcut } else { "" })
}

fn pretty(arch: &str) -> String {
    for (prefix, name) in [
        ("resnet", "ResNet-"),
        ("vgg", "VGG-"),
        ("densenet", "DenseNet-"),
        ("lenet", "LeNet-"),
        ("wrn-", "WRN-"),
    ] {
        if let Some(rest) = arch.strip_prefix(prefix) {
            return format!("{name}{rest}");
        }
    }
    arch.to_uppercase()
}

/// A figure of loss and accuracy along a line, from curves of several folders.
///
/// # Errors
/// Those of reading the folders.
pub fn curves(folders: &[(String, &Path)], title: Option<&str>) -> Result<CurveFigure> {
    let mut figure = CurveFigure {
        title: title.unwrap_or("Loss and accuracy along a line").into(),
        x_label: "distance along the direction, α".into(),
        ..CurveFigure::default()
    };
    let (mut directions, mut samples, mut medians) = (Vec::new(), Vec::new(), Vec::new());
    for (panel, (name, folder)) in folders.iter().enumerate() {
        let found = curve::open(folder)?;
        let split = if found.split == "test" { Split::Test } else { Split::Train };
        for quantity in [Quantity::Loss, Quantity::Accuracy] {
            let points = found
                .points
                .iter()
                .map(|p| (p.x, if quantity == Quantity::Loss { p.loss } else { p.accuracy }));
            figure.series.push(Series {
                name: name.clone(),
                panel,
                quantity,
                split,
                points: points.collect(),
            });
        }
        directions.push(found.direction.clone());
        samples.push(curve_sample(&found));
        let mut errors: Vec<f64> = found
            .points
            .iter()
            .map(|p| 100.0 * p.loss_se / p.loss)
            .filter(|e| e.is_finite())
            .collect();
        errors.sort_by(f64::total_cmp);
        medians.extend(errors.get(errors.len() / 2));
    }
    // What the runs have in common is said once.
    directions.dedup();
    samples.dedup();
    figure.subtitle = directions.join(" | ");
    figure.caption = format!(
        "Loss ± {} (s.e., median) of {}; straight lines between the points.",
        told_errors(&medians),
        samples.join(" | ")
    );
    Ok(figure)
}

/// `4 %`, `4 % / 10 %`, and of more than three runs the least and the greatest: `4 to 10 %`.
fn told_errors(percent: &[f64]) -> String {
    let text = |e: &f64| significant(*e, 1);
    match percent {
        [] => "unknown".into(),
        [_] | [_, _] | [_, _, _] => {
            percent.iter().map(|e| format!("{} %", text(e))).collect::<Vec<_>>().join(" / ")
        }
        many => {
            let least = many.iter().copied().fold(f64::INFINITY, f64::min);
            let most = many.iter().copied().fold(0.0, f64::max);
            format!("{} to {} %", text(&least), text(&most))
        }
    }
}

/// `200 training images at each of 41 points, BatchNorm frozen`.
fn curve_sample(curve: &curve::Curve) -> String {
    let split = if curve.split == "test" { "test" } else { "training" };
    let count = |n: usize| thousands(&n.to_string());
    let precision = match curve.precision {
        Precision::F32 => String::new(),
        narrow => format!(" in {narrow}"),
    };
    format!(
        "{} {split} images{precision} at each of {} points, BatchNorm frozen",
        count(curve.samples),
        count(curve.points.len())
    )
}

/// A figure of loss and accuracy along a line, from HDF5 files of the paper's code, each with its
/// name: all of `train_loss`, `train_acc`, `test_loss`, `test_acc` that it has.
///
/// # Errors
/// Those of reading the files; [`Error::BadFile`] for one that holds a surface, or no curve.
pub fn curves_of_files(files: &[(String, &Path)], title: Option<&str>) -> Result<CurveFigure> {
    let mut figure = CurveFigure {
        title: title.unwrap_or("Loss and accuracy along a line").into(),
        x_label: "distance along the direction, α".into(),
        ..CurveFigure::default()
    };
    let mut captions = Vec::new();
    for (panel, (name, path)) in files.iter().enumerate() {
        let file = hdf5::read_surface(path)?;
        let bad = |what: &str, remedy: &str| Error::BadFile {
            what: what.into(),
            remedy: remedy.into(),
            path: path.to_path_buf(),
        };
        if file.ys.is_some() {
            return Err(bad("it holds a surface, not a curve", "give a file with one direction"));
        }
        let before = figure.series.len();
        for (key, quantity, split, unit) in [
            ("train_loss", Quantity::Loss, Split::Train, 1.0),
            ("train_acc", Quantity::Accuracy, Split::Train, 0.01), // percent in the file
            ("test_loss", Quantity::Loss, Split::Test, 1.0),
            ("test_acc", Quantity::Accuracy, Split::Test, 0.01),
        ] {
            if let Some(field) = file.field(key) {
                let points = file.xs.iter().zip(&field.values).map(|(x, v)| (*x, unit * v));
                let points = points.collect();
                figure.series.push(Series { name: name.clone(), panel, quantity, split, points });
            }
        }
        if figure.series.len() == before {
            let remedy = "give a curve file of the paper's code";
            return Err(bad(
                "it has neither train_loss, train_acc, test_loss nor test_acc",
                remedy,
            ));
        }
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        captions.push(format!("{file_name}, {} points", file.xs.len()));
    }
    figure.caption = format!("From {}.", captions.join("; "));
    Ok(figure)
}
