//! Curves to a figure of loss and accuracy along a line: of runs, or of files of the paper's code.

use std::path::PathBuf;

use super::curve::{self, Curve};
use crate::backend::Precision;
use crate::dataset::SplitName;
use crate::render::numbers::{significant, thousands};
use crate::render::scene::{CurveFigure, Quantity, Series, Split};
use crate::weights::hdf5;
use crate::{Error, Result};

/// A figure of loss and accuracy along a line, from curves of several folders.
///
/// # Errors
/// Those of reading the folders.
pub fn curves(folders: &[(String, PathBuf)], title: Option<&str>) -> Result<CurveFigure> {
    let mut figure = CurveFigure::default();
    // Whether all go from one network to another.
    let mut between = !folders.is_empty();
    let (mut directions, mut samples, mut medians) = (Vec::new(), Vec::new(), Vec::new());
    for (panel, (name, folder)) in folders.iter().enumerate() {
        let found = curve::open(folder)?;
        let split = match found.split {
            SplitName::Train => Split::Train,
            SplitName::Test => Split::Test,
        };
        between &= found.is_between();
        for quantity in [Quantity::Loss, Quantity::Accuracy] {
            // Numbers that are predicted have no accuracy.
            if quantity == Quantity::Accuracy && found.points.iter().all(|p| p.accuracy.is_nan()) {
                continue;
            }
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
        samples.push(sample_of(&found));
        let errors = found.points.iter().map(|p| 100.0 * p.loss_se / p.loss);
        let mut errors: Vec<f64> = errors.filter(|e| e.is_finite()).collect();
        errors.sort_by(f64::total_cmp);
        medians.extend(errors.get(errors.len() / 2));
    }
    // What the runs have in common is said once.
    directions.dedup();
    samples.dedup();
    let own = if between { "Between two networks" } else { "Loss and accuracy along a line" };
    figure.title = title.unwrap_or(own).into();
    figure.x_label = if between {
        "from one network at 0 to the other at 1".into()
    } else {
        "distance along the direction, α".into()
    };
    figure.subtitle = directions.join(" | ");
    figure.caption = format!(
        "{} (typical error of the loss {}); straight lines between the points.",
        samples.join(" | "),
        error_words(&medians)
    );
    Ok(figure)
}

/// `4 %`, `4 % / 10 %`, and of more than three runs the least and the greatest: `4 to 10 %`.
fn error_words(percent: &[f64]) -> String {
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

/// `Loss on 200 training images at each of 41 points`.
fn sample_of(curve: &Curve) -> String {
    let count = |n: usize| thousands(&n.to_string());
    let precision = match curve.precision {
        Precision::F32 => String::new(),
        narrow => format!(" in {narrow}"),
    };
    let norm = curve.batch_norm.caption().map_or(String::new(), |words| format!(", {words}"));
    format!(
        "Loss on {} {} images{precision} at each of {} points{norm}",
        count(curve.samples),
        curve.split.adjective(),
        count(curve.points.len())
    )
}

/// A figure of loss and accuracy along a line, from HDF5 files of the paper's code, each with its
/// name: all of `train_loss`, `train_acc`, `test_loss`, `test_acc` that it has.
///
/// # Errors
/// Those of reading the files; [`Error::BadFile`] for one that holds a surface, or no curve.
pub fn curves_of_files(files: &[(String, PathBuf)], title: Option<&str>) -> Result<CurveFigure> {
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
            path: path.clone(),
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
