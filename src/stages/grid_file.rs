//! Surface files of other programs to scenes: the HDF5 files of Li et al.'s code
//! (`tomgoldstein/loss-landscape`), which have no run and no path.

use std::path::{Path, PathBuf};

use super::provenance::capital;
use crate::render::scene::{ContourPanel, Film, Grid};
use crate::weights::hdf5;
use crate::{Error, Result};

/// The quantities that are looked for, in order, where none is named.
const PREFERRED: [&str; 2] = ["train_loss", "test_loss"];

/// A film of the surfaces in `files`, side by side: `quantity` of each (by default the training
/// loss), with `titles` (by default the files' names).
///
/// # Errors
/// Those of reading the files; [`Error::BadFile`] on a curve, and where the quantity is missing.
pub fn film(
    files: &[PathBuf],
    quantity: Option<&str>,
    titles: &[String],
    title: Option<&str>,
) -> Result<Film> {
    let mut film = Film { hold_secs: 0.0, ..Film::default() };
    let mut notes = Vec::new();
    for (k, path) in files.iter().enumerate() {
        let (name, panel, note) = panel(path, quantity, titles.get(k).map(String::as_str))?;
        film.panels.push(panel);
        film.value_label = label(&name);
        notes.push(note);
    }
    film.title = title.map_or_else(
        || if files.len() == 1 { "A loss surface" } else { "Loss surfaces on one scale" }.into(),
        str::to_string,
    );
    notes.dedup();
    film.caption = format!(
        "{}; sample and error unknown. A smooth spline between the points.",
        notes.join(" | ")
    );
    Ok(film)
}

fn panel(
    path: &Path,
    quantity: Option<&str>,
    title: Option<&str>,
) -> Result<(String, ContourPanel, String)> {
    let surface = hdf5::read_surface(path)?;
    let bad = |what: String, remedy: String| Error::BadFile { path: path.into(), what, remedy };
    let Some(ys) = surface.ys.clone() else {
        return Err(bad(
            "it holds a curve and not a surface".into(),
            "give a file with xcoordinates and ycoordinates".into(),
        ));
    };
    let wanted: Vec<&str> = quantity.map_or(PREFERRED.to_vec(), |q| vec![q]);
    let Some(field) = wanted.iter().find_map(|name| surface.field(name)) else {
        let names: Vec<&str> = surface.fields.iter().map(|f| f.name.as_str()).collect();
        return Err(bad(
            format!("it has no {}", wanted.join(" and no ")),
            format!("choose one of: {}", names.join(", ")),
        ));
    };
    // Values lie as `values[iy * nx + ix]`; what the file calls unfilled is NaN: a hole.
    let cells = format!("{} × {} points", surface.xs.len(), ys.len());
    let cells = match field.unfilled {
        0 => cells,
        n => format!("{cells}, {n} of them not evaluated"),
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let note = format!("{}, file {stem}", capital(&label(&field.name)));
    let panel = ContourPanel {
        title: title.map_or(stem, str::to_string),
        subtitle: cells,
        grid: Grid { xs: surface.xs.clone(), ys, values: field.values.clone(), interpolated: None },
        path: Vec::new(),
        x_label: "direction δ".into(),
        y_label: "direction η".into(),
        ..ContourPanel::default()
    };
    Ok((field.name.clone(), panel, note))
}

/// A field's name in words.
fn label(name: &str) -> String {
    match name {
        "train_loss" => "training loss".into(),
        "train_acc" => "training accuracy (%)".into(),
        "test_acc" => "test accuracy (%)".into(),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surface() -> hdf5::Surface {
        hdf5::Surface {
            dir_file: None,
            xs: vec![-1.0, 0.0, 1.0],
            ys: Some(vec![0.0, 0.5]),
            fields: vec![hdf5::Field {
                name: "train_loss".into(),
                values: vec![1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN],
                unfilled: 1,
            }],
        }
    }

    #[test]
    fn a_files_surface_lies_the_right_way_round_and_unfilled_cells_are_holes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.h5");
        hdf5::write_surface(&path, &surface()).unwrap();
        let found = film(&[path.clone(), path], None, &[], None).unwrap();
        let panel = &found.panels[1];
        assert_eq!((panel.grid.xs.len(), panel.grid.ys.len()), (3, 2));
        // Row by row: the value at x = 1, y = 0 is the third.
        assert_eq!(panel.grid.values[..5], [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(panel.grid.values[5].is_nan() && panel.subtitle.contains("1 of them"));
        assert_eq!((panel.title.as_str(), found.value_label.as_str()), ("some", "training loss"));
    }

    #[test]
    fn curves_and_missing_quantities_are_refused_with_the_names_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.h5");
        hdf5::write_surface(&path, &surface()).unwrap();
        let refusal =
            film(std::slice::from_ref(&path), Some("min_eig"), &[], None).unwrap_err().to_string();
        assert!(refusal.contains("train_loss"), "{refusal}");
        let mut curve = surface();
        curve.ys = None;
        curve.fields[0].values.truncate(3);
        hdf5::write_surface(&path, &curve).unwrap();
        assert!(film(&[path], None, &[], None).unwrap_err().to_string().contains("curve"));
    }
}
