//! Surfaces and curves in folders of their own, as `lossreel surface --weights` and `lossreel curve --out` write
//! them, to scenes: they have no run and no path.

use std::path::{Path, PathBuf};

use super::contour::{self, Extras};
use super::heatmap;
use super::on_plane::OnPlane;
use super::provenance;
use super::quantity::CellQuantity;
use crate::disk;
use crate::record::Joint;
use crate::render::scene::{ContourPanel, Film, Relief};
use crate::render::scenes::heatmap::Heatmap;
use crate::{Error, Result};

/// Whether `folder` holds a surface or a curve by itself, and neither a run nor a joint plane.
pub(super) fn is_at(folder: &Path) -> bool {
    let has = |name: &str| matches!(disk::is_there(&folder.join(name)), Ok(true));
    has("grid.json") && !has("spec.toml") && !has("manifest.json") && !Joint::is_at(folder)
}

/// What is drawn of such folders.
#[derive(Debug, Clone, Copy)]
pub struct FolderRequest<'a> {
    /// The folders.
    pub folders: &'a [PathBuf],
    /// The panels' titles; the networks' names without them, and the folders' where these are alike.
    pub titles: &'a [String],
    /// The headline.
    pub title: Option<&'a str>,
}

impl FolderRequest<'_> {
    /// The surfaces, each over its plane.
    fn opened(&self) -> Result<Vec<OnPlane>> {
        self.folders.iter().map(|folder| OnPlane::of_folder(folder)).collect()
    }

    /// The panels' titles.
    fn titles_of(&self, surfaces: &[OnPlane]) -> Vec<String> {
        if !self.titles.is_empty() {
            return self.titles.to_vec();
        }
        let networks: Vec<&str> =
            surfaces.iter().map(|on| on.plane.about.network.as_deref().unwrap_or("")).collect();
        let alike = |k: usize| {
            let same = |other: usize| other != k && networks[other] == networks[k];
            networks[k].is_empty() || (0..networks.len()).any(same)
        };
        let folder = |k: usize| {
            let name = self.folders[k].file_name();
            name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        };
        let title = |k| match (surfaces.len(), alike(k)) {
            // The headline says what one is of.
            (1, _) | (_, false) => networks[k].to_string(),
            (_, true) => folder(k),
        };
        (0..surfaces.len()).map(title).collect()
    }
}

/// A film of the surfaces, side by side on one scale.
///
/// # Errors
/// Those of [`OnPlane::of_folder`]; [`Error::NoGradients`]; [`Error::BadValue`] for a view of the path, of which
/// there is none.
pub fn film(request: &FolderRequest, extras: Extras) -> Result<Film> {
    if extras.inset.is_some() {
        let problem = "a view of the path, and the surface of a file of weights has none";
        return Err(Error::bad_value("inset", "given", problem, "leave it out, or draw a run"));
    }
    let opened = request.opened()?;
    let mut film = Film { hold_secs: 0.0, levels: extras.levels, ..Film::default() };
    for ((on, title), folder) in opened.iter().zip(request.titles_of(&opened)).zip(request.folders)
    {
        let folder = folder.display().to_string();
        let arrows = contour::arrows(&on.store, extras.arrows, ["", &folder])?;
        film.panels.push(ContourPanel { title, relief: extras.relief, arrows, ..on.panel() });
        film.value_label = format!("{} loss", on.store.header.on.split.adjective());
    }
    film.title = match (request.title, &opened[..]) {
        (Some(title), _) => title.into(),
        (None, [one]) => match &one.plane.about.network {
            Some(network) => format!("The loss surface of {network}"),
            None => "A loss surface".into(),
        },
        (None, _) => "Loss surfaces on one scale".into(),
    };
    film.caption = provenance::caption(&opened);
    if extras.relief == Relief::Hillshade {
        film.caption += " Shaded from the upper left.";
    }
    film.caption += &contour::arrows_caption(&film.panels);
    contour::drape(&mut film, &opened, &extras, request.title)?;
    Ok(film)
}

/// A heat map of `quantity` of the one surface.
///
/// # Errors
/// Those of [`OnPlane::of_folder`] and of the heat map; [`Error::BadValue`] for more folders than one.
pub fn heatmap(
    request: &FolderRequest,
    quantity: CellQuantity,
    range: Option<[f64; 2]>,
) -> Result<Heatmap> {
    let [_] = request.folders else {
        let problem = "which shows one surface";
        return Err(Error::bad_value("scene", "heatmap", problem, "name one folder"));
    };
    let on = request.opened()?.remove(0);
    let title = request.titles_of(std::slice::from_ref(&on)).remove(0);
    heatmap::of_panel(&on, ContourPanel { title, ..on.panel() }, quantity, range, request.title)
}
