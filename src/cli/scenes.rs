//! The scenes of `lossreel render` that are not the contour film, and the options that they and it
//! share.

use std::path::PathBuf;

use lossreel::record::Run;
use lossreel::render::contour_film::ContourFilm;
use lossreel::render::film::Output;
use lossreel::render::scene::{Arrows, CurveStyle, Film, Relief};
use lossreel::render::scenes::boundary::BoundaryShow;
use lossreel::render::scenes::heatmap::{Heatmap, HeatmapShow};
use lossreel::render::scenes::histograms::HistogramShow;
use lossreel::render::scenes::shadow::ShadowShow;
use lossreel::render::scenes::still::Still;
use lossreel::render::show::Show;
use lossreel::stages::film::{Extras, PanelSource, contour_told, curves, curves_of_files};
use lossreel::stages::heatmap::CellQuantity;
use lossreel::stages::histograms::LayerChoice;
use lossreel::stages::telling::{ClockChoice, StripChart, Telling, seconds};
use lossreel::stages::{boundary, heatmap, histograms, shadow, spectrum};
use lossreel::{Error, Result};

/// How a film is told and what a scene shows; each scene reads what it knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Films")]
pub struct Options {
    /// What film time is even in: auto, epoch, step or snapshot. auto is epoch, or snapshot where
    /// snapshots crowd at the beginning.
    #[arg(long, default_value = "auto", value_name = "CLOCK")]
    clock: ClockChoice,
    /// Charts below the film: loss, accuracy, lr, grad-norm, with commas between them; or none.
    #[arg(long, default_value = "loss,accuracy", value_name = "CHARTS")]
    strip: String,
    /// Seconds for which the film stands where the learning rate drops and at the best test
    /// accuracy; 0 for never.
    #[arg(long, default_value_t = 0.8, value_name = "SECONDS")]
    pause: f64,
    /// Seconds of a title card before the film.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    card: f64,
    /// contour: shade the surface by its slope.
    #[arg(long, help_heading = "Scenes")]
    hillshade: bool,
    /// contour: arrows down the slope of the interpolated surface.
    #[arg(long, help_heading = "Scenes")]
    arrows: bool,
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
    /// curve: loss and accuracy in one plot with two axes, as in the paper.
    #[arg(long, help_heading = "Scenes")]
    twin: bool,
    /// curve: an HDF5 curve of the paper's code instead of runs; may be repeated.
    #[arg(long, value_name = "FILE", help_heading = "Scenes")]
    pub curve_file: Vec<PathBuf>,
}

/// What a scene is gathered from.
pub struct Request<'a> {
    /// The runs.
    pub runs: &'a [Run],
    /// Plane, by name.
    pub plane: &'a str,
    /// Surface or curve, by name, where one was given.
    pub surface: Option<&'a str>,
    /// Headline.
    pub title: Option<&'a str>,
    /// Titles of the panels, none or one a run.
    pub panel_titles: &'a [String],
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
        Ok(Telling {
            clock: self.clock,
            charts: StripChart::list(&self.strip)?,
            pause_secs: seconds("--pause", self.pause)?,
            card_secs: seconds("--card", self.card)?,
        })
    }

    /// What a contour map shows beside its bands.
    pub fn extras(&self) -> Extras {
        Extras {
            relief: if self.hillshade { Relief::Hillshade } else { Relief::Flat },
            arrows: if self.arrows { Arrows::Interpolant } else { Arrows::None },
            inset: self.inset.then_some(self.plane_seed),
        }
    }

    /// The runs' surfaces with their paths.
    pub fn film(&self, request: &Request) -> Result<Film> {
        let (sources, telling) = (request.sources(), self.telling()?);
        contour_told(&sources, request.title, &telling, self.extras())
    }

    /// Contours with the path moving over them.
    pub fn contour(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let film = self.film(request)?;
        let (_, size) = output.check()?;
        deliver(&ContourFilm::new(&film, &output.theme, size, output.frames, output.fps)?)
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
        deliver(&Still::for_output(&figure, output)?)
    }

    /// The spectra of the paths.
    pub fn spectrum(&self, request: &Request, output: &Output, deliver: Deliver) -> Result<()> {
        let runs: Vec<(String, Run)> =
            request.runs.iter().enumerate().map(|(i, r)| (request.name(i), r.clone())).collect();
        let figure = spectrum::gather(&runs, request.plane, request.title)?;
        deliver(&Still::for_output(&figure, output)?)
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
