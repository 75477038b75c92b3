//! What a page holds, as its header has it. `viewer/src/content.ts` reads these types; `docs/src/formats.md`
//! describes them. Numbers that are not finite are `null`; long lists of numbers are [`ArrayRef`]s.

use serde::Serialize;

use super::arrays::ArrayRef;
use crate::Result;
use crate::render::canvas::color::Color;
use crate::render::canvas::theme::{Colormap, Theme};

/// Version of the page's data.
pub const FORMAT_VERSION: u32 = 1;

/// The header of a page.
#[derive(Debug, Clone, Serialize)]
pub struct Content {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// lossreel's version.
    pub version: &'static str,
    /// The headline.
    pub title: String,
    /// Whether a server renews the data.
    pub live: bool,
    /// What can be shown.
    pub subjects: Vec<Subject>,
    /// What could not be shown, in sentences.
    pub notes: Vec<String>,
    /// The colours of the pictures that lossreel renders, for a bright and for a dark room.
    pub themes: Vec<ThemeColors>,
    /// Colour maps: a name, and colours from low to high.
    pub colormaps: Vec<(&'static str, Vec<String>)>,
}

/// A theme's colours, as `#rrggbb`.
#[derive(Debug, Clone, Serialize)]
pub struct ThemeColors {
    /// `light` or `dark`.
    pub name: &'static str,
    /// Of paths and curves.
    pub series: Vec<String>,
    /// Of words about them.
    pub inks: Vec<String>,
    /// Around paths.
    pub casing: String,
    /// Contour lines.
    pub contour: String,
    /// Hatching over what has no value.
    pub hatch: String,
    /// The colours of surfaces in space, from low to high.
    pub colormap: Vec<String>,
}

/// Colours of a map that a page has.
const SHADES: usize = 64;

fn hexadecimal(color: Color) -> String {
    format!("#{:02x}{:02x}{:02x}", color.r, color.g, color.b)
}

fn shades(map: &Colormap) -> Vec<String> {
    (0..=SHADES).map(|i| hexadecimal(map.at(i as f64 / SHADES as f64))).collect()
}

/// The colours of [`Theme::light`] and [`Theme::dark`].
pub(super) fn themes() -> Vec<ThemeColors> {
    let colors = |theme: Theme| ThemeColors {
        name: theme.name,
        series: theme.series.iter().copied().map(hexadecimal).collect(),
        inks: (0..theme.series.len()).map(|i| hexadecimal(theme.series_ink(i))).collect(),
        casing: hexadecimal(theme.casing),
        contour: hexadecimal(theme.contour),
        hatch: hexadecimal(theme.hatch),
        // As `render` paints a surface in space.
        colormap: shades(&theme.relief),
    };
    vec![colors(Theme::light()), colors(Theme::dark())]
}

/// The colour maps that can be chosen.
///
/// # Errors
/// Those of [`Colormap::by_name`].
pub(super) fn colormaps() -> Result<Vec<(&'static str, Vec<String>)>> {
    Colormap::NAMES.iter().map(|name| Ok((*name, shades(&Colormap::by_name(name)?)))).collect()
}

/// Where surfaces are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// One run.
    Run,
    /// Several runs that share planes.
    Joint,
    /// A file of another program.
    File,
    /// A function of two variables.
    Function,
}

/// A run, a joint folder, a file or a function, with its surfaces.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// What it is.
    pub origin: Origin,
    /// The folder's or file's own name, or the function's.
    pub name: String,
    /// For headlines.
    pub title: String,
    /// A line of detail.
    pub subtitle: String,
    /// The arguments of `lossreel render` that name it.
    pub render: Vec<String>,
    /// The runs; empty for files and functions.
    pub runs: Vec<RunInfo>,
    /// Planes with the runs' paths on them.
    pub planes: Vec<PlaneInfo>,
    /// Surfaces over those planes.
    pub surfaces: Vec<SurfaceInfo>,
    /// Minima that are known, of a function.
    pub minima: Vec<[f64; 2]>,
    /// Where a ball is put first.
    pub start: Option<[f64; 2]>,
}

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct RunInfo {
    /// Its name.
    pub name: String,
    /// The network in words.
    pub title: String,
    /// The rule, the learning rate and how it ended, in words.
    pub subtitle: String,
    /// Whether it is at its end.
    pub ended: bool,
    /// Snapshots recorded.
    pub snapshots: usize,
    /// Steps of training.
    pub steps: u64,
    /// Epochs of training.
    pub epochs: f64,
    /// Curves over training.
    pub series: Vec<Series>,
    /// What is known at the end: a name, a value as text.
    pub measures: Vec<(String, String)>,
}

/// A curve over training.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// `loss`, `accuracy`, `lr`, `sharpness`, `preconditioned_sharpness`, `noise_scale`,
    /// `signal_to_noise` or `overshoot`.
    pub quantity: &'static str,
    /// `train`, `test`, `batch` or `bound`.
    pub split: &'static str,
    /// A label, with what was left out.
    pub name: String,
    /// Steps.
    pub step: ArrayRef,
    /// Epochs.
    pub epoch: ArrayRef,
    /// Seconds of training, where they were logged.
    pub secs: Option<ArrayRef>,
    /// The values.
    pub value: ArrayRef,
}

/// A plane.
#[derive(Debug, Clone, Serialize)]
pub struct PlaneInfo {
    /// Its name.
    pub name: String,
    /// Labels of its axes.
    pub axes: [String; 2],
    /// What is known of it: a name, a value as text.
    pub facts: Vec<(String, String)>,
    /// The paths, one for each run.
    pub paths: Vec<PathInfo>,
}

/// A run's path on a plane; all arrays have one number a snapshot, in the order of training.
#[derive(Debug, Clone, Serialize)]
pub struct PathInfo {
    /// Numbers of the snapshots.
    pub snapshot: ArrayRef,
    /// Steps.
    pub step: ArrayRef,
    /// Epochs.
    pub epoch: ArrayRef,
    /// Seconds of training, where they were logged.
    pub secs: Option<ArrayRef>,
    /// Learning rates.
    pub lr: ArrayRef,
    /// Coordinates.
    pub x: ArrayRef,
    /// Coordinates.
    pub y: ArrayRef,
    /// ||d - Pd|| / ||d||: how far from the plane.
    pub residual: ArrayRef,
    /// How many at the end were recorded after the plane was made, and projected onto it.
    pub later: usize,
}

/// A surface.
#[derive(Debug, Clone, Serialize)]
pub struct SurfaceInfo {
    /// Its name.
    pub name: String,
    /// The index of its plane among those of the subject, where it is that plane still.
    pub plane: Option<usize>,
    /// Coordinates of the columns.
    pub xs: ArrayRef,
    /// Coordinates of the rows.
    pub ys: ArrayRef,
    /// Labels of the axes.
    pub axes: [String; 2],
    /// The quantities.
    pub fields: Vec<Field>,
    /// For each point 0 (not computed), 1 (computed) or 2 (interpolated).
    pub status: ArrayRef,
    /// Losses on the paths, one for each path of the plane.
    pub path_losses: Vec<PathLossInfo>,
    /// What is known of it: a name, a value as text.
    pub facts: Vec<(String, String)>,
    /// A sentence for the caption.
    pub caption: String,
    /// The function whose values these are.
    pub function: Option<String>,
    /// Where the surface changes: its states.
    pub layers: Option<Layers>,
    /// The arguments of `lossreel render` that name it.
    pub render: Vec<String>,
}

/// A quantity at the points of a surface, row-major: the value at `(xs[ix], ys[iy])` is
/// `values[iy * nx + ix]`. NaN where there is none.
#[derive(Debug, Clone, Serialize)]
pub struct Field {
    /// `loss`, `accuracy`, `error`, `loss_se`, `relative_se`, `convexity`, or a file's own name.
    pub key: String,
    /// In words, with the unit.
    pub label: String,
    /// The values.
    pub values: ArrayRef,
    /// Points of its own, where it was not measured at those of the surface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<OwnGrid>,
}

/// The points of a quantity that was measured at others than its surface.
#[derive(Debug, Clone, Serialize)]
pub struct OwnGrid {
    /// Coordinates of the columns.
    pub xs: ArrayRef,
    /// Coordinates of the rows.
    pub ys: ArrayRef,
    /// As [`SurfaceInfo::status`].
    pub status: ArrayRef,
    /// A sentence for the caption.
    pub caption: String,
}

/// Losses at the snapshots of a path.
#[derive(Debug, Clone, Serialize)]
pub struct PathLossInfo {
    /// The network's loss; NaN where it was not computed.
    pub network: ArrayRef,
    /// The loss at the snapshot's place on the plane; likewise.
    pub plane: ArrayRef,
}

/// The states of a surface that changes.
#[derive(Debug, Clone, Serialize)]
pub struct Layers {
    /// What changes: `snapshots`, `batches` or `dropout`.
    pub kind: &'static str,
    /// The name of each state.
    pub labels: Vec<String>,
    /// The step of each.
    pub step: ArrayRef,
    /// The epoch of each.
    pub epoch: ArrayRef,
    /// The loss of each, row-major.
    pub values: Vec<ArrayRef>,
    /// How the states were made, in words.
    pub made: String,
}
