//! What can be drawn of runs and files, one enum of scenes with their options: a request is gathered
//! into plain data, and that is shown or written.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::contour::{self, Extras, PanelSource};
use super::film_options::{FilmOptions, StripChart};
use super::grid_file::FileRequest;
use super::histograms::LayerChoice;
use super::opened::{OpenRun, RunSet};
use super::quantity::CellQuantity;
use super::race::RaceRequest;
use super::surface_folder::{self, FolderRequest};
use super::{
    boundary, curve, curve_figure, grid_file, heatmap, histograms, instability, moving, provenance,
    race, shadow, snapshot_map, spectrum, stale,
};
use crate::record::Joint;
use crate::render::film::show::Show;
use crate::render::film::{self, Output, RenderReport};
use crate::render::scene::{Clock, CurveFigure, CurveStyle, Film, Levels, PanelTable};
use crate::render::scenes::boundary::{BoundaryFilm, BoundaryShow};
use crate::render::scenes::contour::ContourFilm;
use crate::render::scenes::curve::CurveShow;
use crate::render::scenes::heatmap::{Heatmap, HeatmapShow};
use crate::render::scenes::histograms::{HistogramFilm, HistogramShow};
use crate::render::scenes::instability::{InstabilityFigure, InstabilityShow};
use crate::render::scenes::moving_map::{Moving, MovingFilm};
use crate::render::scenes::moving_surface::MovingSurface;
use crate::render::scenes::race::standings::Target;
use crate::render::scenes::race::{Race, RaceFilm, RaceLayout};
use crate::render::scenes::shadow::{ShadowFilm, ShadowShow};
use crate::render::scenes::snapshot_map::{MapFigure, MapShow};
use crate::render::scenes::spectrum::{SpectrumFigure, SpectrumShow};
use crate::render::scenes::surface::{SurfaceFilm, SurfaceView};
use crate::render::surface3d::flight::CameraPath;
use crate::render::surface3d::scale::Heights;
use crate::{Error, Result};

/// What is drawn, and its own options.
#[derive(Debug, Clone, PartialEq)]
pub enum Scene {
    /// Contours of the surface with the path moving over them, of one run or several side by side.
    Contour(Extras),
    /// The surface in space, with the path lying on it.
    Surface(SurfaceOptions),
    /// Loss and accuracy along a line.
    Curve(CurveStyle),
    /// Explained variance of the path beside a random walk's.
    Spectrum,
    /// A quantity of the surface's cells, not interpolated; the ends of its colour scale.
    Heatmap(CellQuantity, Option<[f64; 2]>),
    /// The weights of each layer.
    Histograms(LayerChoice),
    /// One path in a random plane (of this seed) and in its principal plane, to one scale.
    Shadow(u64),
    /// The decision boundary of a net on points of the plane, beside its path.
    Boundary,
    /// A surface that changes, as a map or in space.
    Moving(Option<SurfaceOptions>),
    /// Several runs on one plane, with the finishing order.
    Race(RaceLayout, Target),
    /// The snapshots of several runs, placed by the distances between them.
    Map,
    /// The barriers between the children of a run's forks.
    Instability,
}

impl Scene {
    fn name(&self) -> &'static str {
        match self {
            Self::Contour(_) => "contour",
            Self::Surface(_) => "surface",
            Self::Curve(_) => "curve",
            Self::Spectrum => "spectrum",
            Self::Heatmap(..) => "heatmap",
            Self::Histograms(_) => "histograms",
            Self::Shadow(_) => "shadow",
            Self::Boundary => "boundary",
            Self::Moving(_) => "moving",
            Self::Race(..) => "race",
            Self::Map => "map",
            Self::Instability => "instability",
        }
    }
}

/// How a surface in space is looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SurfaceOptions {
    /// The camera's motion; `None` sways along a path and orbits without one.
    pub camera: Option<CameraPath>,
    /// From which side a named camera looks, in degrees; `None` chooses the one that shows most.
    pub azimuth: Option<f64>,
    /// From how high, in degrees; `None` likewise.
    pub elevation: Option<f64>,
    /// What colours the surface instead of its heights, and the ends of its scale.
    pub drape: Option<(CellQuantity, Option<[f64; 2]>)>,
    /// How heights grow with values.
    pub heights: Heights,
    /// Values above this are cut off and capped.
    pub clip: Option<f64>,
    /// The box's height; its longer side is 2. `None` chooses what the windows have room for.
    pub relief: Option<f32>,
    /// Pictures of which a frame is the mean; `None` for 4 in stills and 1 in films.
    pub passes: Option<usize>,
}

impl SurfaceOptions {
    /// The view of a surface with a path or without, for `output`.
    fn view(&self, has_path: bool, output: &Output) -> Result<SurfaceView> {
        let preset = || CameraPath::preset(if has_path { "sway" } else { "orbit" });
        let camera = self.camera.clone().map_or_else(preset, Ok)?;
        if camera.follows() && !has_path {
            let problem = "a camera that follows a path, on a surface without one";
            let remedy = "use orbit, sway or fly-in, or give a path with --path-file";
            return Err(Error::bad_value("camera", "follow", problem, remedy));
        }
        let one_frame = !output.check()?.0.moves();
        let still = one_frame && output.numbered().is_none();
        Ok(SurfaceView {
            heights: self.heights,
            clip: self.clip,
            relief: self.relief,
            azimuth: self.azimuth,
            elevation: self.elevation,
            passes: self.passes.unwrap_or(if one_frame { 4 } else { 1 }),
            camera: if still { camera.ending() } else { camera },
        })
    }
}

/// A scene and what it is gathered from.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneRequest {
    /// What is drawn.
    pub scene: Scene,
    /// Run folders; for a race one joint folder, for a moving surface one run or joint folder, for an
    /// instability analysis its folder.
    pub folders: Vec<PathBuf>,
    /// Surfaces of the paper's code (HDF5) instead of runs, for `contour`, `surface`, `heatmap` and
    /// `moving`.
    pub grid_files: Vec<PathBuf>,
    /// Which quantity of theirs; the training loss by default.
    pub file_quantity: Option<String>,
    /// A projection of the paper's code (HDF5): a path over those surfaces.
    pub path_file: Option<PathBuf>,
    /// Curves of the paper's code (HDF5) instead of runs, for `curve`.
    pub curve_files: Vec<PathBuf>,
    /// Plane, by name.
    pub plane: String,
    /// Surface or curve, by name; the plane's by default.
    pub surface: Option<String>,
    /// Headline.
    pub title: Option<String>,
    /// Titles of the panels, none or one a run.
    pub panel_titles: Vec<String>,
    /// How the panels of contours and surfaces stand; where it has titles those of the panels are left out
    /// unless they are given.
    pub table: PanelTable,
    /// Clock, charts, pauses, title card.
    pub film: FilmOptions,
}

impl SceneRequest {
    /// `scene` of the runs in `folders`, over their plane `pca` and the surface of that name.
    pub fn new(scene: Scene, folders: Vec<PathBuf>) -> Self {
        Self {
            scene,
            folders,
            grid_files: Vec::new(),
            file_quantity: None,
            path_file: None,
            curve_files: Vec::new(),
            plane: "pca".into(),
            surface: None,
            title: None,
            panel_titles: Vec::new(),
            table: PanelTable::default(),
            film: FilmOptions::default(),
        }
    }

    fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// What cannot be gathered, whatever the runs hold.
    fn check(&self) -> Result<()> {
        let refuse = |key: &str, value: &dyn ToString, problem: &str, remedy: &str| {
            Err(Error::bad_value(key, value.to_string(), problem, remedy))
        };
        let scene = self.scene.name();
        let race = matches!(self.scene, Scene::Race(..));
        let joint = race || self.scene == Scene::Map;
        match self.film.clock {
            Some(clock @ Clock::WallTime) if !race => {
                let remedy = "use epoch, step or snapshot, or draw a race";
                return refuse("clock", &clock, "which only a race knows", remedy);
            }
            Some(clock @ (Clock::Snapshot | Clock::Motion)) if race => {
                let problem =
                    "by which runs cannot race: each has its own snapshots and its own way";
                return refuse("clock", &clock, problem, "use epoch, step or wall");
            }
            _ => {}
        }
        let of_files = matches!(
            self.scene,
            Scene::Contour(_) | Scene::Surface(_) | Scene::Heatmap(..) | Scene::Moving(_)
        );
        if !self.grid_files.is_empty() && !of_files {
            let remedy = "draw it as contour, surface, heatmap or moving";
            return refuse("scene", &scene, "which a surface file does not hold", remedy);
        }
        let panels = match &self.scene {
            // The joint folder says how many.
            Scene::Race(..) | Scene::Map => self.panel_titles.len(),
            Scene::Curve(_) if !self.curve_files.is_empty() => self.curve_files.len(),
            // A title for each run, or for each curve of one.
            Scene::Curve(_) if self.folders.len() == 1 => self.curve_names().len(),
            _ => self.folders.len() + self.grid_files.len(),
        };
        if panels == 0 && !joint {
            return refuse("scene", &scene, "without a run", "name a run folder");
        }
        if !self.panel_titles.is_empty() && self.panel_titles.len() != panels {
            let problem = format!("titles for {panels} panels");
            let remedy = "give one for each run or file";
            return refuse("panel_titles", &self.panel_titles.len(), &problem, remedy);
        }
        if matches!(self.scene, Scene::Contour(_) | Scene::Surface(_)) {
            self.table.check(panels)?;
        }
        Ok(())
    }

    /// Whether the folders hold surfaces or curves by themselves and no runs.
    ///
    /// # Errors
    /// [`Error::BadValue`] where some do and some do not, and for what such a folder cannot show.
    fn is_of_folders(&self) -> Result<bool> {
        let count = self.folders.iter().filter(|folder| surface_folder::is_at(folder)).count();
        if count == 0 {
            return Ok(false);
        }
        let refuse = |key: &str, value: &str, problem: &str, remedy: &str| {
            Err(Error::bad_value(key, value, problem, remedy))
        };
        if count < self.folders.len() {
            let problem = "some with runs, some with a surface alone";
            return refuse("RUN", "folders", problem, "draw them in pictures of their own");
        }
        if let Some(surface) = &self.surface {
            let problem = "but the folder holds one surface or curve alone";
            return refuse("surface", surface, problem, "leave it out");
        }
        let scenes = ["contour", "surface", "heatmap", "curve"];
        if !scenes.contains(&self.scene.name()) {
            let remedy = format!("draw it as {}", scenes.join(", "));
            let problem = "which the surface of a file of weights does not hold";
            return refuse("scene", self.scene.name(), problem, &remedy);
        }
        if self.film.chooses_charts() {
            let problem = "but the surface of a file of weights has no training to chart";
            return refuse("strip", "given", problem, "leave it out, or draw a run");
        }
        Ok(true)
    }

    fn folder_request(&self) -> FolderRequest<'_> {
        let titles = &self.panel_titles;
        FolderRequest { folders: &self.folders, titles, title: self.title() }
    }

    fn runs(&self) -> Result<Vec<OpenRun>> {
        self.folders.iter().map(OpenRun::open).collect()
    }

    /// The runs as panels of a film.
    fn sources(&self) -> Result<Vec<PanelSource>> {
        let source = |(i, run): (usize, OpenRun)| PanelSource {
            run,
            title: self.panel_titles.get(i).cloned(),
            surface: self.surface.clone().unwrap_or_else(|| self.plane.clone()),
            plane: self.plane.clone(),
        };
        Ok(self.runs()?.into_iter().enumerate().map(source).collect())
    }

    /// The runs with their titles; without these with their networks in words where that tells them apart,
    /// else with their folders' names.
    fn named_runs(&self) -> Result<Vec<(String, OpenRun)>> {
        let runs = self.runs()?;
        let words: Vec<String> = runs.iter().filter_map(|run| run.description().ok()).collect();
        let distinct: BTreeSet<&String> = words.iter().collect();
        let told_apart = distinct.len() == runs.len();
        let named = |(i, run): (usize, OpenRun)| {
            let own = || if told_apart { words[i].clone() } else { run.name() };
            (self.panel_titles.get(i).cloned().unwrap_or_else(own), run)
        };
        Ok(runs.into_iter().enumerate().map(named).collect())
    }

    /// The one folder of a scene that shows one run.
    fn only(&self) -> Result<&PathBuf> {
        match &self.folders[..] {
            [one] => Ok(one),
            many => Err(Error::bad_value(
                "scene",
                self.scene.name(),
                format!("which shows one run, but {} were named", many.len()),
                "name one run",
            )),
        }
    }

    fn only_source(&self) -> Result<PanelSource> {
        self.only()?;
        Ok(self.sources()?.remove(0))
    }

    fn film(&self, extras: Extras) -> Result<Film> {
        let mut film = if !self.grid_files.is_empty() {
            grid_file::film(&self.file_request(extras.levels))?
        } else if self.is_of_folders()? {
            surface_folder::film(&self.folder_request(), extras)?
        } else {
            contour::gather(&self.sources()?, self.title(), &self.film, extras)?
        };
        film.table = self.table.clone();
        say_once(&mut film);
        if self.table.is_titled() && self.panel_titles.is_empty() {
            film.panels.iter_mut().for_each(|panel| panel.title.clear());
        }
        Ok(film)
    }

    fn file_request(&self, levels: Levels) -> FileRequest<'_> {
        FileRequest {
            files: &self.grid_files,
            quantity: self.file_quantity.as_deref(),
            titles: &self.panel_titles,
            title: self.title(),
            path: self.path_file.as_deref(),
            levels,
        }
    }

    /// The names of the curves to draw of each run, which commas divide.
    fn curve_names(&self) -> Vec<&str> {
        self.surface.as_deref().unwrap_or("curve").split(',').map(str::trim).collect()
    }

    fn curve(&self, style: CurveStyle) -> Result<CurveFigure> {
        let figure = if self.is_of_folders()? {
            // One needs no name; several are told apart by their folders.
            let own = |folder: &PathBuf| match self.folders.len() {
                1 => String::new(),
                _ => folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            };
            let named = |(i, folder): (usize, &PathBuf)| {
                let title = self.panel_titles.get(i).cloned();
                (title.unwrap_or_else(|| own(folder)), folder.clone())
            };
            let folders: Vec<_> = self.folders.iter().enumerate().map(named).collect();
            curve_figure::curves(&folders, self.title())?
        } else if self.curve_files.is_empty() {
            let names = self.curve_names();
            let runs = self.named_runs()?;
            let mut folders = Vec::with_capacity(runs.len() * names.len());
            for (title, run) in &runs {
                for name in &names {
                    curve::check(run, name)?;
                    let shown = match (runs.len(), names.len()) {
                        (_, 1) => title.clone(),
                        (1, _) => match self.panel_titles.get(folders.len()) {
                            Some(given) => given.clone(),
                            None => (*name).to_string(),
                        },
                        _ => format!("{title}, {name}"),
                    };
                    folders.push((shown, run.run().curve_dir(name)?));
                }
            }
            curve_figure::curves(&folders, self.title())?
        } else {
            let named = |(i, file): (usize, &PathBuf)| {
                let stem = || file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                (self.panel_titles.get(i).cloned().unwrap_or_else(stem), file.clone())
            };
            let files: Vec<(String, PathBuf)> =
                self.curve_files.iter().enumerate().map(named).collect();
            curve_figure::curves_of_files(&files, self.title())?
        };
        Ok(CurveFigure { style, ..figure })
    }

    fn race(&self, layout: RaceLayout, target: Target) -> Result<Race> {
        let [folder] = &self.folders[..] else {
            return Err(Error::NoJointFolder { folders: self.folders.len() });
        };
        let request = RaceRequest {
            plane: self.plane.clone(),
            surface: self.surface.clone().unwrap_or_else(|| self.plane.clone()),
            clock: self.film.clock.unwrap_or_default(),
            layout,
            target,
            title: self.title.clone(),
            names: self.panel_titles.clone(),
            film: self.film.clone(),
        };
        race::gather(&RunSet::of_joint(Joint::open(folder)?)?, &request)
    }

    fn map(&self) -> Result<MapFigure> {
        let [folder] = &self.folders[..] else {
            return Err(Error::NoJointFolder { folders: self.folders.len() });
        };
        let set = RunSet::of_joint(Joint::open(folder)?)?;
        let name = self.surface.as_deref().unwrap_or(&self.plane);
        snapshot_map::gather(&set, name, self.title(), &self.panel_titles)
    }

    fn moving(&self) -> Result<Moving> {
        if !self.grid_files.is_empty() {
            return grid_file::moving(&self.file_request(Levels::default()));
        }
        let set = RunSet::open(self.only()?)?;
        let stack = format!("{}-snapshots", self.plane);
        let surface = self.surface.as_deref().unwrap_or(&stack);
        moving::gather(&set, &self.plane, surface, self.title(), &self.film)
    }

    /// What of the scene is behind its runs though it can be drawn, a sentence each.
    ///
    /// # Errors
    /// Those of reading the runs.
    pub fn behind(&self) -> Result<Vec<String>> {
        if !self.film.charts().contains(&StripChart::Sharpness) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let is_run = |folder: &&PathBuf| !Joint::is_at(folder) && !surface_folder::is_at(folder);
        for folder in self.folders.iter().filter(is_run) {
            let run = OpenRun::open(folder)?;
            if let Some((known, now)) = stale::curvature_behind(&run)? {
                found.push(format!(
                    "the curvature of {} is computed up to step {known} of {now}",
                    run.name()
                ));
            }
        }
        Ok(found)
    }

    /// Reads everything that the scene shows.
    ///
    /// # Errors
    /// [`Error::BadValue`] for a request that does not go together; those of the scene.
    pub fn gather(&self) -> Result<SceneData> {
        self.check()?;
        let of_folders = self.is_of_folders()?;
        Ok(match &self.scene {
            Scene::Contour(extras) => SceneData::Contour(self.film(*extras)?),
            Scene::Surface(view) => {
                let extras = Extras { drape: view.drape, ..Extras::default() };
                SceneData::Surface(self.film(extras)?, view.clone())
            }
            Scene::Curve(style) => SceneData::Curve(self.curve(*style)?),
            Scene::Spectrum => {
                let runs = self.named_runs()?;
                SceneData::Spectrum(spectrum::gather(&runs, &self.plane, self.title())?)
            }
            Scene::Heatmap(_, range) if !self.grid_files.is_empty() => {
                let request = self.file_request(Levels::default());
                SceneData::Heatmap(grid_file::heatmap(&request, *range)?)
            }
            Scene::Heatmap(quantity, range) if of_folders => {
                let request = self.folder_request();
                SceneData::Heatmap(surface_folder::heatmap(&request, *quantity, *range)?)
            }
            Scene::Heatmap(quantity, range) => {
                let source = self.only_source()?;
                let title = self.title();
                SceneData::Heatmap(heatmap::gather(&source, *quantity, *range, title, &self.film)?)
            }
            Scene::Histograms(layers) => {
                let runs = self.named_runs()?;
                let options = self.film.without_charts();
                let film = histograms::gather(&runs, *layers, self.title(), &options)?;
                SceneData::Histograms(film)
            }
            Scene::Shadow(seed) => {
                let run = OpenRun::open(self.only()?)?;
                let options = self.film.without_charts();
                let film = shadow::gather(&run, &self.plane, *seed, self.title(), &options)?;
                SceneData::Shadow(film)
            }
            Scene::Boundary => {
                let source = self.only_source()?;
                SceneData::Boundary(boundary::gather(&source, self.title(), &self.film)?)
            }
            Scene::Moving(view) => SceneData::Moving(self.moving()?, view.clone()),
            Scene::Race(layout, target) => SceneData::Race(self.race(*layout, *target)?),
            Scene::Map => SceneData::Map(self.map()?),
            Scene::Instability => {
                let analysis = instability::Analysis::open(self.only()?)?;
                SceneData::Instability(instability::figure(&analysis, self.title())?)
            }
        })
    }
}

/// What the subtitles of many panels begin with, where that is the same for all, goes into the caption: in
/// small multiples every line counts.
fn say_once(film: &mut Film) {
    const MANY: usize = 4;
    let split = |text: &str| {
        let (settings, rest) = text.split_once("; ").unwrap_or((text, ""));
        (settings.to_string(), rest.to_string())
    };
    let parts: Vec<(String, String)> = film.panels.iter().map(|p| split(&p.subtitle)).collect();
    let common = parts[0].0.clone();
    if parts.len() < MANY || common.is_empty() || parts.iter().any(|p| p.0 != common) {
        return;
    }
    for (panel, (_, rest)) in film.panels.iter_mut().zip(parts) {
        panel.subtitle = rest;
    }
    film.caption = format!("{}. {}", provenance::capital(&common), film.caption);
}

/// A scene as plain data, ready to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum SceneData {
    /// Contour maps.
    Contour(Film),
    /// Surfaces in space.
    Surface(Film, SurfaceOptions),
    /// Curves.
    Curve(CurveFigure),
    /// Spectra.
    Spectrum(SpectrumFigure),
    /// A heat map.
    Heatmap(Heatmap),
    /// Histograms.
    Histograms(HistogramFilm),
    /// A path in two planes.
    Shadow(ShadowFilm),
    /// A decision boundary.
    Boundary(BoundaryFilm),
    /// A surface that changes, in space where there is a view.
    Moving(Moving, Option<SurfaceOptions>),
    /// A race.
    Race(Race),
    /// A map of snapshots.
    Map(MapFigure),
    /// Barriers by the epoch of the fork.
    Instability(InstabilityFigure),
}

impl SceneData {
    /// Hands the scene, laid out for `output`, to `draw`.
    ///
    /// # Errors
    /// Those of the layout and of `draw`.
    pub fn show<T>(&self, output: &Output, draw: impl FnOnce(&dyn Show) -> Result<T>) -> Result<T> {
        let (_, size) = output.check()?;
        let (theme, frames, fps) = (&output.theme, output.frames, output.fps);
        match self {
            Self::Contour(film) => draw(&ContourFilm::new(film, theme, size, frames, fps)?),
            Self::Surface(film, view) => {
                let view = view.view(film.panels.iter().any(|p| !p.path.is_empty()), output)?;
                draw(&SurfaceFilm::new(film, &view, theme, size, frames, fps)?)
            }
            Self::Curve(figure) => draw(&CurveShow::new(figure, theme, size)?),
            Self::Spectrum(figure) => draw(&SpectrumShow::new(figure, theme, size)?),
            Self::Heatmap(map) => draw(&HeatmapShow::new(map, theme, size, frames, fps)?),
            Self::Histograms(film) => draw(&HistogramShow::new(film, theme, size, frames, fps)?),
            Self::Shadow(film) => draw(&ShadowShow::new(film, theme, size, frames, fps)?),
            Self::Boundary(film) => draw(&BoundaryShow::new(film, theme, size, frames, fps)?),
            Self::Moving(moving, None) => draw(&MovingFilm::new(moving, theme, size, frames, fps)?),
            Self::Moving(moving, Some(view)) => {
                let view = view.view(!moving.panel.path.is_empty(), output)?;
                draw(&MovingSurface::new(moving, &view, theme, size, frames, fps)?)
            }
            Self::Race(race) => draw(&RaceFilm::new(race, theme, size, frames, fps)?),
            Self::Map(figure) => draw(&MapShow::new(figure, theme, size)?),
            Self::Instability(figure) => draw(&InstabilityShow::new(figure, theme, size)?),
        }
    }

    /// `output`, lower where it may be and the scene would leave its lower end empty.
    fn fitting(&self, output: &Output) -> Result<Output> {
        let mut fitting = output.clone();
        if let (true, Self::Contour(film)) = (output.paper.as_high_as_needed, self) {
            let (_, size) = output.check()?;
            let (theme, frames, fps) = (&output.theme, output.frames, output.fps);
            fitting.height = ContourFilm::new(film, theme, size, frames, fps)?.content_height();
        }
        Ok(fitting)
    }

    /// Draws the scene and writes the files of `output`; `on_progress` counts frames.
    ///
    /// # Errors
    /// Those of [`SceneData::show`] and of writing.
    pub fn write(
        &self,
        output: &Output,
        on_progress: &mut dyn FnMut(usize, usize),
    ) -> Result<RenderReport> {
        let fitting = self.fitting(output)?;
        self.show(&fitting, |show| film::write_show(show, &fitting, on_progress))
    }
}
