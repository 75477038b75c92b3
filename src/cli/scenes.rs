//! The scenes of `lossreel render` that are not the contour film, and the options that they and it
//! share.

use std::path::PathBuf;

use lossreel::record::{Joint, Run};
use lossreel::render::film::Output;
use lossreel::render::film::show::Show;
use lossreel::render::scene::{CurveStyle, Film, Relief};
use lossreel::render::scenes::boundary::BoundaryShow;
use lossreel::render::scenes::contour::ContourFilm;
use lossreel::render::scenes::curve::CurveShow;
use lossreel::render::scenes::heatmap::{Heatmap, HeatmapShow};
use lossreel::render::scenes::histograms::HistogramShow;
use lossreel::render::scenes::moving_map::MovingFilm;
use lossreel::render::scenes::moving_surface::MovingSurface;
use lossreel::render::scenes::race::{RaceClock, RaceFilm, RaceLayout};
use lossreel::render::scenes::shadow::ShadowShow;
use lossreel::render::scenes::spectrum::SpectrumShow;
use lossreel::render::scenes::surface::SurfaceFilm;
use lossreel::stages::film::{
    ArrowChoice, Extras, PanelSource, contour_told, curves, curves_of_files,
};
use lossreel::stages::heatmap::CellQuantity;
use lossreel::stages::histograms::LayerChoice;
use lossreel::stages::race::{RaceRequest, parse_goal};
use lossreel::stages::telling::{ClockChoice, StripChart, Telling, seconds};
use lossreel::stages::{boundary, grid_file, heatmap, histograms, moving, race, shadow, spectrum};
use lossreel::{Error, Result};

use super::surface_look::LookArgs;

/// How a film is told and what a scene shows; each scene reads what it knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Films")]
pub struct Options {
    /// What film time is even in: auto, epoch, step or snapshot; for a race epoch, step or wall
    /// (seconds of training). auto is epoch, or snapshot where snapshots crowd at the beginning.
    #[arg(long, default_value = "auto", value_name = "CLOCK")]
    clock: ClockChoice,
    /// Charts below the film: loss, accuracy, lr, sharpness (of runs that measured it, or after
    /// `lossreel curvature RUN`), grad-norm, with commas between them; or none.
    #[arg(long, default_value = "loss,accuracy", value_name = "CHARTS")]
    strip: String,
    /// Seconds for which the film stands where the learning rate drops and at the best test
    /// accuracy, a race where a racer reaches the goal or diverges; 0 for never.
    #[arg(long, default_value_t = 0.8, value_name = "SECONDS")]
    pause: f64,
    /// Seconds of a title card before the film.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    card: f64,
    /// contour: shade the surface by its slope.
    #[arg(long, help_heading = "Scenes")]
    hillshade: bool,
    /// contour: arrows down the slope: measured (after `lossreel surface --gradients`), interpolated
    /// from the surface, or auto, which is measured where there are some.
    #[arg(
        long,
        value_name = "measured|interpolated",
        num_args = 0..=1,
        default_missing_value = "auto",
        help_heading = "Scenes"
    )]
    arrows: Option<ArrowChoice>,
    /// contour: the same path in a random plane, to scale, in a corner.
    #[arg(long, help_heading = "Scenes")]
    inset: bool,
    /// shadow, contour --inset: seed of the random plane.
    #[arg(long, default_value_t = 0, value_name = "SEED", help_heading = "Scenes")]
    plane_seed: u64,
    /// heatmap: loss, accuracy, loss-se, relative-se or loss-difference.
    #[arg(long, default_value = "loss", value_name = "QUANTITY", help_heading = "Scenes")]
    quantity: CellQuantity,
    /// heatmap: ends of the colour scale.
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true, help_heading = "Scenes")]
    values: Option<String>,
    /// histograms: each (a plot a layer) or all (one plot).
    #[arg(long, default_value = "each", value_name = "LAYERS", help_heading = "Scenes")]
    layers: LayerChoice,
    /// moving: as a map, or in space (with the options of surfaces in space).
    #[arg(long, default_value = "flat", value_name = "VIEW", help_heading = "Scenes")]
    view: View,
    /// race: all paths in one view, or small multiples.
    #[arg(long, default_value = "one", value_name = "one|multiples", help_heading = "Scenes")]
    layout: RaceLayout,
    /// race: what wins: test_accuracy, test_loss, train_accuracy or train_loss; with a threshold the
    /// first to reach it.
    #[arg(
        long,
        default_value = "test_accuracy",
        value_name = "MEASURE[=VALUE]",
        help_heading = "Scenes"
    )]
    goal: String,
    /// curve: loss and accuracy in one plot with two axes, as in the paper.
    #[arg(long, help_heading = "Scenes")]
    twin: bool,
    /// curve: an HDF5 curve of the paper's code instead of runs; may be repeated.
    #[arg(long, value_name = "FILE", help_heading = "Scenes")]
    pub curve_file: Vec<PathBuf>,
}

/// How a moving surface is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum View {
    /// From above, as a map.
    Flat,
    /// In space.
    Space,
}

/// What a scene is gathered from.
pub struct Request<'a> {
    /// The folders named.
    pub folders: &'a [PathBuf],
    /// The runs they are; none for a race, whose folder is a joint one.
    pub runs: &'a [Run],
    /// Plane, by name.
    pub plane: &'a str,
    /// Surface or curve, by name, where one was given.
    pub surface: Option<&'a str>,
    /// Headline.
    pub title: Option<&'a str>,
    /// Titles of the panels, none or one a run.
    pub panel_titles: &'a [String],
    /// Surfaces of the paper's code instead of runs.
    pub grid_files: &'a [PathBuf],
    /// Which quantity of theirs, where one was given.
    pub file_quantity: Option<&'a str>,
}

/// What takes a scene that is ready, to write it.
pub type Deliver<'a> = &'a mut dyn FnMut(&dyn Show) -> Result<()>;

impl Request<'_> {
    /// The runs as panels of a film.
    pub fn sources(&self) -> Vec<PanelSource> {
        let source = |(i, run): (usize, &Run)| PanelSource {
            run: run.clone(),
            title: self.panel_titles.get(i).cloned(),
            surface: self.surface.unwrap_or(self.plane).to_string(),
            plane: self.plane.to_string(),
        };
        self.runs.iter().enumerate().map(source).collect()
    }

    fn name(&self, i: usize) -> String {
        self.panel_titles.get(i).cloned().unwrap_or_else(|| self.runs[i].name())
    }

    /// The one run of a scene that shows one.
    fn only(&self, scene: &str) -> Result<PanelSource> {
        match &self.sources()[..] {
            [one] => Ok(one.clone()),
            many => Err(Error::bad_value(
                "--as",
                scene,
                format!("which shows one run, but {} were named", many.len()),
                "name one run",
            )),
        }
    }
}

impl Options {
    /// How films are told.
    pub fn telling(&self) -> Result<Telling> {
        if self.clock == ClockChoice::Wall {
            return Err(Error::bad_value(
                "--clock",
                self.clock,
                "which only a race knows",
                "use epoch, step or snapshot, or --as race",
            ));
        }
        self.told_by(self.clock)
    }

    fn told_by(&self, clock: ClockChoice) -> Result<Telling> {
        Ok(Telling {
            clock,
            charts: StripChart::list(&self.strip)?,
            pause_secs: seconds("--pause", self.pause)?,
            card_secs: seconds("--card", self.card)?,
        })
    }

    /// What a contour map shows beside its bands.
    pub fn extras(&self) -> Extras {
        Extras {
            relief: if self.hillshade { Relief::Hillshade } else { Relief::Flat },
            arrows: self.arrows,
            inset: self.inset.then_some(self.plane_seed),
        }
    }

    /// The surfaces with their paths, of runs or of files.
    fn film(&self, request: &Request) -> Result<Film> {
        if !request.grid_files.is_empty() {
            let (files, titles) = (request.grid_files, request.panel_titles);
            return grid_file::film(files, request.file_quantity, titles, request.title);
        }
        contour_told(&request.sources(), request.title, &self.telling()?, self.extras())
    }

    /// Contours with the path moving over them.
    pub fn contour(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let film = self.film(request)?;
        let (_, size) = output.check()?;
        deliver(&ContourFilm::new(&film, &output.theme, size, output.frames, output.fps)?)
    }

    /// The surface in space.
    pub fn surface(
        &self,
        request: &Request,
        look: &LookArgs,
        output: &Output,
        deliver: Deliver,
    ) -> Result<()> {
        let film = self.film(request)?;
        let look = look.look(film.panels.iter().any(|p| !p.path.is_empty()), output)?;
        let (_, size) = output.check()?;
        let (theme, frames, fps) = (&output.theme, output.frames, output.fps);
        deliver(&SurfaceFilm::new(&film, &look, theme, size, frames, fps)?)
    }

    /// A race on a joint plane.
    pub fn race(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let [folder] = request.folders else {
            return Err(Error::bad_value(
                "RUN",
                format!("{} folders", request.folders.len()),
                "but a race takes one joint folder",
                "make it: lossreel plane RUN RUN ... --out JOINT, then lossreel surface JOINT",
            ));
        };
        let clock = match self.clock {
            ClockChoice::Auto | ClockChoice::Epoch => RaceClock::Epoch,
            ClockChoice::Step => RaceClock::Step,
            ClockChoice::Wall => RaceClock::Wall,
            ClockChoice::Snapshot => {
                return Err(Error::bad_value(
                    "--clock",
                    self.clock,
                    "by which runs cannot race: each has its own snapshots",
                    "use epoch, step or wall",
                ));
            }
        };
        let asked = RaceRequest {
            plane: request.plane.into(),
            surface: request.surface.unwrap_or(request.plane).into(),
            clock,
            layout: self.layout,
            goal: parse_goal(&self.goal)?,
            title: request.title.map(Into::into),
            names: request.panel_titles.to_vec(),
            telling: self.told_by(ClockChoice::Auto)?,
        };
        let race = race::gather(&Joint::open(folder)?, &asked)?;
        let (_, size) = output.check()?;
        deliver(&RaceFilm::new(&race, &output.theme, size, output.frames, output.fps)?)
    }

    /// A stack of surfaces of one run.
    pub fn moving(
        &self,
        request: &Request,
        look: &LookArgs,
        output: &Output,
        deliver: Deliver,
    ) -> Result<()> {
        let run = request.only("moving")?.run;
        let stack = format!("{}-snapshots", request.plane);
        let surface = request.surface.unwrap_or(&stack);
        let telling = self.telling()?;
        let scene = moving::gather(&run, request.plane, surface, request.title, &telling)?;
        let (_, size) = output.check()?;
        let (theme, frames, fps) = (&output.theme, output.frames, output.fps);
        match self.view {
            View::Flat => deliver(&MovingFilm::new(&scene, theme, size, frames, fps)?),
            View::Space => {
                let look = look.look(!scene.panel.path.is_empty(), output)?;
                deliver(&MovingSurface::new(&scene, &look, theme, size, frames, fps)?)
            }
        }
    }

    /// Loss and accuracy along a line, of runs or of files.
    pub fn curve(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let mut figure = if self.curve_file.is_empty() {
            let name = request.surface.unwrap_or("curve");
            let folders: Vec<PathBuf> = request.runs.iter().map(|r| r.curve_dir(name)).collect();
            let named = folders.iter().enumerate().map(|(i, f)| (request.name(i), f.as_path()));
            curves(&named.collect::<Vec<_>>(), request.title)?
        } else {
            let named = self.curve_file.iter().enumerate().map(|(i, file)| {
                let stem = || file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                (request.panel_titles.get(i).cloned().unwrap_or_else(stem), file.as_path())
            });
            curves_of_files(&named.collect::<Vec<_>>(), request.title)?
        };
        figure.style = if self.twin { CurveStyle::Twin } else { CurveStyle::Stacked };
        let (_, size) = output.check()?;
        deliver(&CurveShow::new(&figure, &output.theme, size)?)
    }

    /// The spectra of the paths.
    pub fn spectrum(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let runs: Vec<(String, Run)> =
            request.runs.iter().enumerate().map(|(i, r)| (request.name(i), r.clone())).collect();
        let figure = spectrum::gather(&runs, request.plane, request.title)?;
        let (_, size) = output.check()?;
        deliver(&SpectrumShow::new(&figure, &output.theme, size)?)
    }

    /// A quantity of a surface's cells.
    pub fn heatmap(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let range = self.values.as_deref().map(ends).transpose()?;
        let source = request.only("heatmap")?;
        let map = heatmap::gather(&source, self.quantity, range, request.title, &self.telling()?)?;
        let (_, size) = output.check()?;
        deliver(&HeatmapShow::new(&map, &output.theme, size, output.frames, output.fps)?)
    }

    /// The weights of the layers.
    pub fn histograms(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let source = request.only("histograms")?;
        let film = histograms::gather(&source.run, self.layers, request.title, &self.telling()?)?;
        let (_, size) = output.check()?;
        deliver(&HistogramShow::new(&film, &output.theme, size, output.frames, output.fps)?)
    }

    /// One path in a random plane and in its own.
    pub fn shadow(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let source = request.only("shadow")?;
        let telling = self.telling()?;
        let seed = self.plane_seed;
        let film = shadow::gather(&source.run, request.plane, seed, request.title, &telling)?;
        let (_, size) = output.check()?;
        deliver(&ShadowShow::new(&film, &output.theme, size, output.frames, output.fps)?)
    }

    /// The decision boundary beside the path.
    pub fn boundary(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let source = request.only("boundary")?;
        let film = boundary::gather(&source, request.title, &self.telling()?)?;
        let (_, size) = output.check()?;
        deliver(&BoundaryShow::new(&film, &output.theme, size, output.frames, output.fps)?)
    }
}

fn ends(text: &str) -> Result<[f64; 2]> {
    let bad =
        || Error::bad_value("--values", text, "not two numbers", "write the lower end first: 0,1");
    let (low, high) = text.split_once(',').ok_or_else(bad)?;
    let number = |t: &str| t.trim().parse::<f64>().map_err(|_| bad());
    Heatmap::check_range([number(low)?, number(high)?])
}
