//! The scenes of `lossreel render` and their options.

use std::path::PathBuf;

use lossreel::render::scene::{Clock, CurveStyle, Levels, Relief};
use lossreel::render::scenes::heatmap::Heatmap;
use lossreel::render::scenes::race::RaceLayout;
use lossreel::stages::contour::{ArrowChoice, Extras};
use lossreel::stages::film_options::{FilmOptions, StripChart, seconds};
use lossreel::stages::histograms::LayerChoice;
use lossreel::stages::quantity::CellQuantity;
use lossreel::stages::race::parse_target;
use lossreel::stages::scenes::{Scene, SurfaceOptions};
use lossreel::{Error, Result};

use super::surface_look::LookArgs;

/// What a film shows beside its scene, and what the scene shows; each scene reads what it knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Films")]
pub struct Options {
    /// What film time is even in: auto, motion (what moves on the plane), epoch, step or snapshot; for a
    /// race epoch, step or wall (seconds of training). auto is motion, and epoch where nothing moves.
    #[arg(long, default_value = "auto", value_name = "CLOCK")]
    clock: ClockArg,
    /// Charts below the film: loss, accuracy, lr, sharpness (of runs that measured it, or after
    /// `lossreel curvature RUN`), preconditioned-sharpness, noise-scale, snr and overshoot (of runs that measured
    /// them: record.sharpness, record.gradient_noise, record.overshoot), grad-norm, and of the snapshots distance
    /// (from the start, to the end), cosine (between displacements), update (over weights, for a step), with commas
    /// between them; or none. By default loss,accuracy, and none below histograms and shadows.
    #[arg(long, value_name = "CHARTS")]
    strip: Option<String>,
    /// Seconds for which the film pauses where the learning rate drops and at the best test
    /// accuracy, a race where a run reaches the goal or diverges; 0 for never.
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
        require_equals = true,
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
    /// heatmap, and the colours of surface: loss, accuracy, loss-se, relative-se, difference-se, loss-difference;
    /// after `surface --convexity` convexity, lambda-max or lambda-min, after `surface --gradients` gradient-norm.
    #[arg(long, default_value = "loss", value_name = "QUANTITY", help_heading = "Scenes")]
    quantity: CellQuantity,
    /// heatmap, surface with --quantity: ends of the colour scale; contour: ends of the scale, and the distance of two levels where
    /// there is a third number (the paper's figures: 0.1,10,0.5).
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
    #[arg(long, value_name = "FILE", conflicts_with = "runs", help_heading = "Scenes")]
    pub curve_file: Vec<PathBuf>,
}

/// A clock by name, or none for `auto`.
#[derive(Debug, Clone, Copy)]
struct ClockArg(Option<Clock>);

impl std::str::FromStr for ClockArg {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known: Vec<&str> =
            std::iter::once("auto").chain(Clock::NAMES.iter().copied()).collect();
        let refuse = |_| Error::unknown_name("clock", name, &known);
        Ok(Self(if name == "auto" { None } else { Some(name.parse().map_err(refuse)?) }))
    }
}

/// How a moving surface is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum View {
    /// From above, as a map.
    Flat,
    /// In space.
    Space,
}

/// A scene by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SceneName {
    /// Contours of the surface with the path moving over them.
    Contour,
    /// The surface in space, with the path lying on it.
    Surface,
    /// Loss and accuracy along a line.
    Curve,
    /// Explained variance of the path beside a random walk's.
    Spectrum,
    /// A quantity of the surface's cells, not interpolated.
    Heatmap,
    /// The weights of each layer.
    Histograms,
    /// One path in a random plane and in its principal plane, to one scale.
    Shadow,
    /// The decision boundary of a net on points of the plane, beside its path.
    Boundary,
    /// A surface that changes (`lossreel surface RUN --stack snapshots`).
    Moving,
    /// Several runs on one plane, with the finishing order.
    Race,
    /// Several runs' snapshots placed by the distances between them (`lossreel plane --snapshot-map`).
    Map,
    /// Barriers between the children of a run's forks, by epoch (`lossreel instability`).
    Instability,
}

impl Options {
    /// Clock, charts, pauses, title card.
    pub fn film(&self) -> Result<FilmOptions> {
        Ok(FilmOptions {
            clock: self.clock.0,
            charts: self.strip.as_deref().map(StripChart::list).transpose()?,
            pause_secs: seconds("--pause", self.pause)?,
            card_secs: seconds("--card", self.card)?,
        })
    }

    /// Whether the scene `name` is a lit surface.
    pub fn in_space(&self, name: SceneName) -> bool {
        match name {
            SceneName::Surface => true,
            SceneName::Moving => matches!(self.view, View::Space),
            _ => false,
        }
    }

    /// The scene that `name` means with these options.
    pub fn scene(&self, name: SceneName, look: &LookArgs) -> Result<Scene> {
        Ok(match name {
            SceneName::Contour => Scene::Contour(Extras {
                relief: if self.hillshade { Relief::Hillshade } else { Relief::Flat },
                arrows: self.arrows,
                inset: self.inset.then_some(self.plane_seed),
                levels: self.values.as_deref().map_or(Ok(Levels::default()), levels)?,
                drape: None,
            }),
            SceneName::Surface => {
                let range = self.values.as_deref().map(ends).transpose()?;
                let drape = (self.quantity != CellQuantity::Loss).then_some((self.quantity, range));
                Scene::Surface(SurfaceOptions { drape, ..look.view()? })
            }
            SceneName::Curve if self.twin => Scene::Curve(CurveStyle::Twin),
            SceneName::Curve => Scene::Curve(CurveStyle::Stacked),
            SceneName::Spectrum => Scene::Spectrum,
            SceneName::Heatmap => {
                Scene::Heatmap(self.quantity, self.values.as_deref().map(ends).transpose()?)
            }
            SceneName::Histograms => Scene::Histograms(self.layers),
            SceneName::Shadow => Scene::Shadow(self.plane_seed),
            SceneName::Boundary => Scene::Boundary,
            SceneName::Moving => Scene::Moving(match self.view {
                View::Flat => None,
                View::Space => Some(look.view()?),
            }),
            SceneName::Race => Scene::Race(self.layout, parse_target(&self.goal)?),
            SceneName::Map => Scene::Map,
            SceneName::Instability => Scene::Instability,
        })
    }
}

/// The numbers of `text`, between commas.
fn numbers(text: &str, remedy: &str) -> Result<Vec<f64>> {
    let number = |t: &str| {
        let parsed = t.trim().parse::<f64>();
        parsed.map_err(|_| Error::bad_value("--values", text, "not numbers with commas", remedy))
    };
    text.split(',').map(number).collect()
}

fn ends(text: &str) -> Result<[f64; 2]> {
    let remedy = "write the lower end first: 0,1";
    match numbers(text, remedy)?[..] {
        [low, high] => Heatmap::check_range([low, high]),
        _ => Err(Error::bad_value("--values", text, "not two numbers", remedy)),
    }
}

fn levels(text: &str) -> Result<Levels> {
    let remedy = "write the lower end first, and a step if you like: 0.1,10 or 0.1,10,0.5";
    match numbers(text, remedy)?[..] {
        [low, high] => Levels::new([low, high], None),
        [low, high, step] => Levels::new([low, high], Some(step)),
        _ => Err(Error::bad_value("--values", text, "not two or three numbers", remedy)),
    }
}
