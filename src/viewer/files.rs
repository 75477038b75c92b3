//! Surfaces that are of no run: files of Li et al.'s code, and functions of two variables.

use std::path::Path;

use super::arrays::Arrays;
use super::content::{Field, Origin, Subject, SurfaceInfo};
use super::convexity;
use crate::objective::TestFunction;
use crate::stages::provenance::count;
use crate::weights::hdf5;
use crate::{Error, Result};

/// The surface in an HDF5 file of Li et al.'s code, with all its quantities.
///
/// # Errors
/// Those of reading it; [`Error::BadFile`] on a curve and on a file without a quantity.
pub(super) fn grid_file(path: &Path, title: Option<&str>, arrays: &mut Arrays) -> Result<Subject> {
    let surface = hdf5::read_surface(path)?;
    let bad = |what: &str, remedy: &str| Error::BadFile {
        what: what.into(),
        remedy: remedy.into(),
        path: path.into(),
    };
    let Some(ys) = &surface.ys else {
        let remedy = "give a file with xcoordinates and ycoordinates";
        return Err(bad("it holds a curve and not a surface", remedy));
    };
    let (nx, ny) = (surface.xs.len(), ys.len());
    let rising = |v: &[f64]| {
        v.len() >= 2 && v.iter().all(|c| c.is_finite()) && v.windows(2).all(|w| w[0] < w[1])
    };
    if !rising(&surface.xs) || !rising(ys) {
        let remedy = "write the file again with increasing coordinates";
        return Err(bad("its coordinates do not increase", remedy));
    }
    let whole = surface.fields.iter().filter(|field| field.values.len() == nx * ny);
    let mut named: Vec<&hdf5::Field> = whole.collect();
    // What a surface is looked at for comes first.
    let order = ["train_loss", "test_loss", "train_acc", "test_acc"];
    let place = |name: &str| order.iter().position(|known| *known == name).unwrap_or(order.len());
    named.sort_by_key(|field| place(&field.name));
    let Some(first) = named.first() else {
        return Err(bad("it has no quantity on its grid", "give a file with train_loss"));
    };
    let status: Vec<u8> = (0..nx * ny)
        .map(|k| u8::from(named.iter().any(|field| !field.values[k].is_nan())))
        .collect();
    let mut fields = Vec::new();
    for field in &named {
        let (key, label) = file_words(&field.name);
        // The paper's code has percent.
        let share = |v: &f64| if key.ends_with("accuracy") { v / 100.0 } else { *v };
        let values: Vec<f64> = field.values.iter().map(share).collect();
        fields.push(Field { key: key.clone(), label, values: arrays.floats(&values), grid: None });
        if key.ends_with("accuracy") {
            let error: Vec<f64> = values.iter().map(|v| 1.0 - v).collect();
            let key = key.replace("accuracy", "error");
            let label = if key == "error" { "training error" } else { "test error" };
            fields.push(Field {
                key,
                label: label.into(),
                values: arrays.floats(&error),
                grid: None,
            });
        }
    }
    if let (Some(least), Some(most)) = (surface.field("min_eig"), surface.field("max_eig")) {
        let ratio: Vec<f64> =
            least.values.iter().zip(&most.values).map(|(l, m)| (l / m).abs()).collect();
        fields.push(Field {
            key: convexity::KEY.into(),
            label: convexity::LABEL.into(),
            values: arrays.floats(&ratio),
            grid: None,
        });
    }
    let unfilled = first.unfilled;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let points = format!("{nx} × {ny} points");
    let mut facts = vec![
        ("Made by".into(), "another program (the format of Li et al. 2018)".to_string()),
        ("File".into(), path.file_name().unwrap_or_default().to_string_lossy().into_owned()),
        ("Points".into(), points.clone()),
        ("Sample and error".into(), "unknown: the file does not say".into()),
    ];
    if unfilled > 0 {
        facts.push(("Not computed".into(), count(unfilled, "point")));
    }
    let caption = format!("{}, file {stem}: {points}; sample and error unknown.", {
        let mut words = file_words(&first.name).1;
        if let Some(letter) = words.get_mut(..1) {
            letter.make_ascii_uppercase();
        }
        words
    });
    let file = path.display().to_string();
    let surface = SurfaceInfo {
        name: stem.clone(),
        plane: None,
        xs: arrays.floats(&surface.xs),
        ys: arrays.floats(ys),
        axes: ["direction δ".into(), "direction η".into()],
        fields,
        status: arrays.bytes(&status),
        path_losses: Vec::new(),
        facts,
        caption,
        function: None,
        layers: None,
        render: Vec::new(),
    };
    Ok(Subject {
        origin: Origin::File,
        title: title.map_or_else(|| stem.clone(), str::to_string),
        name: stem,
        subtitle: points,
        render: vec!["--grid-file".into(), file],
        runs: Vec::new(),
        planes: Vec::new(),
        surfaces: vec![surface],
        minima: Vec::new(),
        start: None,
    })
}

/// A quantity of the paper's code: our key for it, and its name in words.
fn file_words(name: &str) -> (String, String) {
    let (key, label) = match name {
        "train_loss" => ("loss", "training loss"),
        "test_loss" => ("test_loss", "test loss"),
        "train_acc" => ("accuracy", "training accuracy"),
        "test_acc" => ("test_accuracy", "test accuracy"),
        "min_eig" => ("min_eig", "smallest eigenvalue of the Hessian"),
        "max_eig" => ("max_eig", "largest eigenvalue of the Hessian"),
        other => return (other.into(), other.replace('_', " ")),
    };
    (key.into(), label.into())
}

/// Columns and rows of a function's grid.
const FUNCTION_POINTS: usize = 161;

/// A function of two variables on a grid over its window.
pub(super) fn function(
    function: TestFunction,
    title: Option<&str>,
    arrays: &mut Arrays,
) -> Subject {
    let along = |[low, high]: [f64; 2]| -> Vec<f64> {
        let t = |i: usize| i as f64 / (FUNCTION_POINTS - 1) as f64;
        (0..FUNCTION_POINTS).map(|i| low + (high - low) * t(i)).collect()
    };
    let [xs, ys] = function.window().map(along);
    let rows = ys.iter().flat_map(|&y| xs.iter().map(move |&x| [x, y]));
    let values: Vec<f64> = rows.map(|p| function.value(p)).collect();
    let mut name = function.title().to_string();
    if let Some(letter) = name.get_mut(..1) {
        letter.make_ascii_uppercase();
    }
    let minima: Vec<String> =
        function.minima().iter().map(|[x, y]| format!("({x:.4}, {y:.4})")).collect();
    let surface = SurfaceInfo {
        name: function.to_string(),
        plane: None,
        xs: arrays.floats(&xs),
        ys: arrays.floats(&ys),
        axes: ["x".into(), "y".into()],
        status: arrays.bytes(&vec![1; values.len()]),
        fields: vec![Field {
            key: "loss".into(),
            label: "value".into(),
            values: arrays.floats(&values),
            grid: None,
        }],
        path_losses: Vec::new(),
        facts: vec![
            ("Function".into(), function.formula().into()),
            ("Least value".into(), format!("0 at {}", minima.join(", "))),
            ("Points".into(), format!("{FUNCTION_POINTS} × {FUNCTION_POINTS}, computed")),
            (
                "Ball".into(),
                "its gradients are those of the function itself, not of the drawing".into(),
            ),
        ],
        caption: format!("f(x, y) = {}.", function.formula()),
        function: Some(function.to_string()),
        layers: None,
        render: Vec::new(),
    };
    Subject {
        origin: Origin::Function,
        name: function.to_string(),
        title: title.map_or(name, str::to_string),
        subtitle: format!("f(x, y) = {}", function.formula()),
        render: Vec::new(),
        runs: Vec::new(),
        planes: Vec::new(),
        surfaces: vec![surface],
        minima: function.minima().to_vec(),
        start: Some(function.start()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_percentages_become_shares_with_their_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.h5");
        let field = |name: &str, values: [f64; 6]| hdf5::Field {
            name: name.into(),
            values: values.to_vec(),
            unfilled: 1,
        };
        let surface = hdf5::Surface {
            dir_file: None,
            xs: vec![-1.0, 0.0, 1.0],
            ys: Some(vec![0.0, 0.5]),
            fields: vec![
                field("train_acc", [10.0, 20.0, 30.0, 40.0, 50.0, f64::NAN]),
                field("train_loss", [1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN]),
            ],
        };
        hdf5::write_surface(&path, &surface).unwrap();
        let found = grid_file(&path, None, &mut Arrays::default()).unwrap();
        let keys: Vec<&str> = found.surfaces[0].fields.iter().map(|f| f.key.as_str()).collect();
        assert_eq!(keys, ["loss", "accuracy", "error"]);
        assert!(
            found.surfaces[0]
                .facts
                .iter()
                .any(|(name, text)| { name == "Not computed" && text == "1 point" })
        );
    }
}
