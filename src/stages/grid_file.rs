//! Surface files of other programs to scenes: the HDF5 files of Li et al.'s code
//! (`tomgoldstein/loss-landscape`), which have no run and no path.

use std::path::{Path, PathBuf};

use super::film_options::HOLD_SECS;
use super::provenance::capital;
use crate::render::numbers::thousands;
use crate::render::scene::{ContourPanel, Film, Grid, Levels, PathPoint, Scaling};
use crate::render::scenes::heatmap::Heatmap;
use crate::render::scenes::moving_map::{Marker, Moving, MovingLayer};
use crate::weights::hdf5;
use crate::{Error, Result};

/// The quantities that are looked for, in order, where none is named.
const PREFERRED: [&str; 2] = ["train_loss", "test_loss"];

/// The most surfaces that can be told apart side by side.
const MOST_PANELS: usize = 12;

/// What is drawn of surface files.
#[derive(Debug, Clone, Copy)]
pub struct FileRequest<'a> {
    /// The files.
    pub files: &'a [PathBuf],
    /// Which quantity of each; the training loss by default.
    pub quantity: Option<&'a str>,
    /// The panels' titles; the files' names by default.
    pub titles: &'a [String],
    /// The headline.
    pub title: Option<&'a str>,
    /// A projection file of the paper's code: a path over the surfaces.
    pub path: Option<&'a Path>,
    /// The levels of the contours.
    pub levels: Levels,
}

/// A film of surfaces of files, side by side.
///
/// # Errors
/// Those of reading the files; [`Error::BadFile`] on a curve, where the quantity is missing and where
/// nothing is evaluated; [`Error::BadValue`] for more files than can be read side by side.
pub fn film(request: &FileRequest) -> Result<Film> {
    let count = request.files.len();
    if count > MOST_PANELS {
        let problem = format!("more surfaces than the {MOST_PANELS} that can be read side by side");
        let remedy = "draw them one after the other: --as moving";
        return Err(Error::bad_value("grid_files", count, problem, remedy));
    }
    let mut film = Film { hold_secs: 0.0, levels: request.levels, ..Film::default() };
    let mut notes = Vec::new();
    let path = path(request)?;
    for (k, file) in request.files.iter().enumerate() {
        let title = request.titles.get(k).map(String::as_str);
        let FileSurface { name, mut panel, note } = read(file, request.quantity, title)?;
        panel.path = path.clone();
        film.panels.push(panel);
        film.levels.linear |= is_share(&name);
        film.value_label = label(&name);
        notes.push(note);
    }
    let own = match (film.levels.linear, count) {
        (true, _) => {
            format!("{} over the plane", capital(film.value_label.trim_end_matches(" (%)")))
        }
        (false, 1) => "A loss surface".into(),
        (false, _) => "Loss surfaces on one scale".into(),
    };
    film.title = request.title.map_or(own, str::to_string);
    notes.dedup();
    film.caption = format!(
        "{}; sample and error unknown. A smooth spline between the points.",
        said_once(&notes)
    );
    if request.path.is_some() {
        film.hold_secs = HOLD_SECS;
        film.caption += " Dots: the points of the path.";
    }
    Ok(film)
}

/// The surfaces of files one after the other, as one that changes.
///
/// # Errors
/// Those of [`film`], but for the number of files; [`Error::BadFile`] for a file whose points are not
/// those of the first one.
pub fn moving(request: &FileRequest) -> Result<Moving> {
    let mut moving = Moving {
        marker: Marker::Stays,
        hold_secs: 1.0,
        levels: request.levels,
        ..Moving::default()
    };
    let mut first: Option<(FileSurface, PathBuf)> = None;
    for (k, file) in request.files.iter().enumerate() {
        let title = request.titles.get(k).map(String::as_str);
        let surface = read(file, request.quantity, title)?;
        if let Some((known, path)) = &first {
            let (a, b) = (&known.panel.grid, &surface.panel.grid);
            if a.xs != b.xs || a.ys != b.ys {
                return Err(Error::BadFile {
                    path: file.clone(),
                    what: format!("its points are not those of {}", path.display()),
                    remedy: "give surfaces over one grid".into(),
                });
            }
        }
        moving.layers.push(MovingLayer {
            label: surface.panel.title.clone(),
            values: surface.panel.grid.values.clone(),
            epoch: (k + 1) as f64,
            true_loss: f64::NAN,
            plane_loss: f64::NAN,
        });
        first.get_or_insert((surface, file.clone()));
    }
    let Some((surface, _)) = first else {
        return Err(Error::bad_value("grid_files", 0, "no surface", "name a file"));
    };
    let count = request.files.len();
    moving.levels.linear |= is_share(&surface.name);
    moving.value_label = label(&surface.name);
    moving.title = request.title.unwrap_or("A surface that changes").into();
    moving.caption = format!(
        "{} of {} at {}, one scale; sample and error unknown. Interpolated between surfaces.",
        capital(&label(&surface.name)),
        super::provenance::count(count, "file"),
        surface.panel.subtitle,
    );
    moving.panel = ContourPanel {
        title: String::new(),
        subtitle: String::new(),
        path: path(request)?,
        ..surface.panel
    };
    Ok(moving)
}

/// A heat map of the one surface file of `request`: a box for each point; `range` holds the ends of the
/// colour scale.
///
/// # Errors
/// Those of [`film`]; [`Error::BadValue`] for more files than one.
pub fn heatmap(request: &FileRequest, range: Option<[f64; 2]>) -> Result<Heatmap> {
    let [file] = request.files else {
        let (count, remedy) = (request.files.len(), "name one --grid-file");
        return Err(Error::bad_value("grid_files", count, "more than one heat map", remedy));
    };
    let title = request.titles.first().map(String::as_str);
    let FileSurface { name, panel, note } = read(file, request.quantity, title)?;
    let share = is_share(&name);
    Ok(Heatmap {
        title: request.title.map_or_else(
            || format!("The {}, point by point", name_in_words(&name)),
            str::to_string,
        ),
        heading: panel.title,
        subtitle: panel.subtitle,
        caption: format!("{note}; sample and error unknown. One square per evaluated point."),
        value_label: label(&name),
        x_label: panel.x_label,
        y_label: panel.y_label,
        grid: panel.grid,
        scaling: if share { Scaling::Linear } else { Scaling::Auto },
        range,
        rises: share,
        path: path(request)?,
        hold_secs: if request.path.is_some() { HOLD_SECS } else { 0.0 },
        ..Heatmap::default()
    })
}

/// The path of the projection file, its times counting its points.
fn path(request: &FileRequest) -> Result<Vec<PathPoint>> {
    let Some(file) = request.path else { return Ok(Vec::new()) };
    let points = hdf5::read_path(file)?.into_iter().enumerate();
    Ok(points
        .map(|(i, [x, y])| PathPoint {
            step: i as u64,
            epoch: i as f64,
            time: i as f64,
            x,
            y,
            true_loss: f64::NAN,
            plane_loss: None,
            lr: f64::NAN,
        })
        .collect())
}

/// One quantity of a surface file.
struct FileSurface {
    /// The quantity's name in the file.
    name: String,
    panel: ContourPanel,
    note: String,
}

fn read(path: &Path, quantity: Option<&str>, title: Option<&str>) -> Result<FileSurface> {
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
    let strange = field.values.iter().filter(|v| !v.is_finite()).count();
    if strange == field.values.len() {
        return Err(bad(
            format!("no point of its {} is evaluated", field.name),
            "let the job that computes it run".into(),
        ));
    }
    let mut cells = format!("{} × {} points", surface.xs.len(), ys.len());
    for (count, words) in
        [(field.unfilled, "not evaluated"), (strange.saturating_sub(field.unfilled), "not finite")]
    {
        if count > 0 {
            cells += &format!(", {} of them {words}, hatched", thousands(&count.to_string()));
        }
    }
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
    Ok(FileSurface { name: field.name.clone(), panel, note })
}

/// The notes of several files as one: what they hold is said once.
fn said_once(notes: &[String]) -> String {
    let parts: Option<Vec<(&str, &str)>> =
        notes.iter().map(|note| note.split_once(", file ")).collect();
    match parts {
        Some(all) if all.len() > 1 && all.iter().all(|part| part.0 == all[0].0) => {
            let names: Vec<&str> = all.iter().map(|part| part.1).collect();
            format!("{}, files {}", all[0].0, names.join(", "))
        }
        _ => notes.join(" | "),
    }
}

/// Whether a quantity is a share, whose scale is linear: an accuracy.
fn is_share(name: &str) -> bool {
    name.ends_with("_acc") || name.contains("accuracy")
}

/// A field's name without its unit.
fn name_in_words(name: &str) -> String {
    label(name).replace(" (%)", "")
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

    fn of(files: &[PathBuf]) -> FileRequest<'_> {
        let (quantity, title, path, levels) = (None, None, None, Levels::default());
        FileRequest { files, quantity, titles: &[], title, path, levels }
    }

    #[test]
    fn a_files_surface_lies_the_right_way_round_and_unfilled_cells_are_holes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.h5");
        hdf5::write_surface(&path, &surface()).unwrap();
        let found = film(&of(&[path.clone(), path])).unwrap();
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
        let one = [path.clone()];
        let wanted = FileRequest { quantity: Some("min_eig"), ..of(&one) };
        let refusal = film(&wanted).unwrap_err().to_string();
        assert!(refusal.contains("train_loss"), "{refusal}");
        let mut curve = surface();
        curve.ys = None;
        curve.fields[0].values.truncate(3);
        hdf5::write_surface(&path, &curve).unwrap();
        assert!(film(&of(&one)).unwrap_err().to_string().contains("curve"));
    }

    #[test]
    fn many_files_are_layers_on_one_scale_and_too_many_for_one_page() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = (0..13)
            .map(|k| {
                let path = folder.path().join(format!("epoch_{k:02}.h5"));
                let mut one = surface();
                one.fields[0].values.iter_mut().for_each(|v| *v += f64::from(k));
                hdf5::write_surface(&path, &one).unwrap();
                path
            })
            .collect();
        let refusal = film(&of(&files)).unwrap_err().to_string();
        assert!(refusal.contains("--as moving"), "{refusal}");
        let film = moving(&of(&files)).unwrap();
        assert_eq!((film.layers.len(), film.layers[12].label.as_str()), (13, "epoch_12"));
        assert_eq!((film.layers[0].values[0], film.layers[12].values[4]), (1.0, 17.0));
        let mut other = surface();
        other.xs[0] = -2.0;
        hdf5::write_surface(&files[3], &other).unwrap();
        let refusal = moving(&of(&files)).unwrap_err().to_string();
        assert!(refusal.contains("epoch_00"), "{refusal}");
    }

    #[test]
    fn a_path_file_is_a_path_over_the_surface() {
        let folder = tempfile::tempdir().unwrap();
        let (path, way) = (folder.path().join("s.h5"), folder.path().join("p.h5"));
        hdf5::write_surface(&path, &surface()).unwrap();
        hdf5::write_path(&way, &[[0.5, 0.25], [0.0, 0.0]]).unwrap();
        let files = [path];
        let request = FileRequest { path: Some(&way), ..of(&files) };
        let panel = film(&request).unwrap().panels.remove(0);
        assert_eq!(panel.path.len(), 2);
        assert_eq!((panel.path[0].x, panel.path[0].y, panel.path[1].time), (0.5, 0.25, 1.0));
        assert_eq!(heatmap(&request, None).unwrap().path.len(), 2);
        // A surface is no path.
        let wrong = FileRequest { path: Some(&files[0]), ..of(&files) };
        assert!(film(&wrong).unwrap_err().to_string().contains("proj_xcoord"));
    }
}
