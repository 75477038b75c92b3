//! What is drawn, as plain data: no model, no run folder, nothing computed here.
//!
//! Whoever has a path and a grid fills these structs and hands them to a scene of
//! [`crate::render::scenes`].

use crate::error::{Error, Result};
use crate::names::named_enum;
use crate::render::canvas::Rect;
use crate::render::numbers::{epoch_text, fixed, thousands};

/// A function's values on a rectangular grid of points.
///
/// `values` is row-major `[iy][ix]`: the value at `(xs[ix], ys[iy])` is `values[iy * xs.len() + ix]`.
/// NaN is a hole (hatched); +inf and -inf are overflow (drawn in the extreme colour and hatched).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grid {
    /// Coordinates of the columns, strictly increasing.
    pub xs: Vec<f64>,
    /// Coordinates of the rows, strictly increasing.
    pub ys: Vec<f64>,
    /// `ys.len() * xs.len()` values.
    pub values: Vec<f64>,
    /// Which values were interpolated and not evaluated, in the order of `values`; drawn a little
    /// dimmed. `None`: all were evaluated.
    pub interpolated: Option<Vec<bool>>,
}

/// The part of the plane that a panel shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Domain {
    /// Left and right end.
    pub x: [f64; 2],
    /// Lower and upper end.
    pub y: [f64; 2],
}

impl Domain {
    /// The grid's extent; along an axis with a single sample, the path's extent with a margin.
    pub fn of(panel: &ContourPanel) -> Self {
        let along = |coordinates: &[f64], of_path: fn(&PathPoint) -> f64| {
            let (first, last) = (coordinates[0], coordinates[coordinates.len() - 1]);
            if last > first {
                return [first, last];
            }
            let reach = panel
                .path
                .iter()
                .map(|p| (of_path(p) - first).abs())
                .filter(|r| r.is_finite())
                .fold(0.0, f64::max);
            let half = if reach > 0.0 { 1.15 * reach } else { 0.5 * first.abs().max(1.0) };
            [first - half, first + half]
        };
        Self { x: along(&panel.grid.xs, |p| p.x), y: along(&panel.grid.ys, |p| p.y) }
    }

    /// Width over height.
    pub(in crate::render) fn aspect(&self) -> f32 {
        ((self.x[1] - self.x[0]) / (self.y[1] - self.y[0])) as f32
    }

    /// Pixels from plane coordinates in `frame`.
    pub fn px_from_plane(&self, frame: Rect, x: f64, y: f64) -> (f32, f32) {
        let u = (x - self.x[0]) / (self.x[1] - self.x[0]);
        let v = (y - self.y[0]) / (self.y[1] - self.y[0]);
        (
            frame.x + (u * f64::from(frame.w)) as f32,
            frame.bottom() - (v * f64::from(frame.h)) as f32,
        )
    }
}

/// One snapshot of a path in the plane.
///
/// A point whose coordinates are not finite (a diverged run) is not drawn: the path ends before it
/// and the read-out says so.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PathPoint {
    /// Optimizer steps done.
    pub step: u64,
    /// Epochs done, with a fraction.
    pub epoch: f64,
    /// Time in the film's [`Clock`]: epochs, steps or seconds; never decreasing along a path.
    pub time: f64,
    /// Coordinate along the panel's x axis.
    pub x: f64,
    /// Coordinate along the panel's y axis.
    pub y: f64,
    /// The loss of the snapshot itself.
    pub true_loss: f64,
    /// The loss at the snapshot's projection into the plane, where it was evaluated.
    pub plane_loss: Option<f64>,
    /// Learning rate.
    pub lr: f64,
}

/// The value `share` of the way (0 to 1) from `a` to `b`, two measurements of a loss: equal factors in
/// equal times where both are positive, as on a logarithmic axis, else equal differences. Charts,
/// read-outs and the rod of a surface in space all go by it between two snapshots.
pub fn between(a: f64, b: f64, share: f64) -> f64 {
    match share {
        _ if a == b || share <= 0.0 => a,
        _ if share >= 1.0 => b,
        _ if a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite() => a * (b / a).powf(share),
        _ => a + share * (b - a),
    }
}

/// What a path says of one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Optimizer steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: f64,
    /// Learning rate of the last snapshot passed.
    pub lr: f64,
    /// The network's own loss.
    pub true_loss: f64,
    /// The loss on the surface, where it was evaluated.
    pub plane_loss: Option<f64>,
    /// Whether the time lies between two snapshots, so that all of this but the learning rate is
    /// interpolated.
    pub interpolated: bool,
}

impl Reading {
    /// What `path` says of `time`, in the unit of its points' times; before its first point and after its
    /// last one, that point. `None` for an empty path.
    pub fn at(path: &[PathPoint], time: f64) -> Option<Self> {
        let passed = path.partition_point(|p| p.time <= time).max(1);
        let now = path.get(passed - 1)?;
        let next = path.get(passed).unwrap_or(now);
        let span = next.time - now.time;
        let share = if span > 0.0 { ((time - now.time) / span).clamp(0.0, 1.0) } else { 0.0 };
        let along = |a: f64, b: f64| a + share * (b - a);
        let plane_loss = match (now.plane_loss, next.plane_loss) {
            (Some(a), Some(b)) => Some(between(a, b, share)),
            (a, _) => a.filter(|_| share == 0.0),
        };
        Some(Self {
            step: along(now.step as f64, next.step as f64).floor() as u64,
            epoch: along(now.epoch, next.epoch),
            lr: now.lr,
            true_loss: between(now.true_loss, next.true_loss, share),
            plane_loss,
            interpolated: share > 0.0,
        })
    }
}

/// How the bands of a contour map are lit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Relief {
    /// Not at all: a colour means a value and nothing else.
    #[default]
    Flat,
    /// By the slope of the smooth interpolant, light from the upper left.
    Hillshade,
}

/// Whether a contour map has arrows down its slope.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Arrows {
    /// None.
    #[default]
    None,
    /// The negative gradient of the smooth interpolant of the grid's values: not a measured gradient.
    Interpolant,
    /// The negative gradient where it was measured.
    Measured(Vec<Gradient>),
}

/// A function's gradient at a point of the plane.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Gradient {
    /// Where.
    pub x: f64,
    /// Likewise.
    pub y: f64,
    /// The function's value there.
    pub value: f64,
    /// Its change per unit of x; one that is not finite is not drawn.
    pub dx: f64,
    /// Its change per unit of y.
    pub dy: f64,
}

/// From values to colours.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Scaling {
    /// Logarithmic where all values are positive and span more than a factor of ten, else linear.
    #[default]
    Auto,
    /// Even in the value.
    Linear,
    /// Even in its logarithm; zero and below are clipped.
    Log,
    /// Even in the value, with zero in the middle of a two-coloured map.
    Diverging,
}

/// A quantity that colours surfaces in space, on one scale for all panels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drape {
    /// What the colours mean ("|λ min / λ max|").
    pub value_label: String,
    /// How its values become colours.
    pub scaling: Scaling,
    /// The ends of the scale; what lies outside is clipped. The finite values' own range without one.
    pub range: Option<[f64; 2]>,
    /// Whether more is better: the map is turned over.
    pub rises: bool,
}

/// A picture in the picture: the same path seen in another plane, to the same scale.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inset {
    /// What it is ("the same path in a random plane").
    pub title: String,
    /// The path there, one point for each of the panel's.
    pub path: Vec<PathPoint>,
}

/// One surface with one path over it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContourPanel {
    /// What this panel is ("ResNet-20 without skip connections").
    pub title: String,
    /// A line of detail below it; may be empty.
    pub subtitle: String,
    /// The surface.
    pub grid: Grid,
    /// The standard errors of the grid's values, in its order; empty where they are unknown.
    pub errors: Vec<f64>,
    /// What colours the surface in space instead of its heights, as [`Film::drape`] says; NaN is not known.
    pub drape: Option<Grid>,
    /// The path over it, oldest first; may be empty.
    pub path: Vec<PathPoint>,
    /// The x axis with its share of the variance ("PC1 (63.1 %)").
    pub x_label: String,
    /// The y axis likewise.
    pub y_label: String,
    /// How the bands are lit.
    pub relief: Relief,
    /// Arrows down the slope.
    pub arrows: Arrows,
    /// A second view of the path in a corner, where there is room.
    pub inset: Option<Inset>,
}

/// What a curve measures; one chart is drawn for each that occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// A loss, on a logarithmic axis where all values are positive.
    Loss,
    /// A fraction in `0..=1`, shown in percent.
    Accuracy,
    /// A learning rate, on a logarithmic axis where all values are positive.
    LearningRate,
    /// The L2 norm of the mini-batch gradient, likewise.
    GradNorm,
    /// The largest eigenvalue of the Hessian, likewise.
    Sharpness,
    /// The largest eigenvalue of the preconditioned Hessian, likewise.
    PreconditionedSharpness,
    /// The gradient's noise scale in images, likewise.
    NoiseScale,
    /// The ratio of signal to noise of a batch's gradient, likewise.
    SignalToNoise,
    /// Where a step ended on the parabola along it, from -1 (nowhere) over 0 (its minimum).
    Overshoot,
    /// A distance in weights, on a linear axis.
    Distance,
    /// The cosine of an angle, on a linear axis.
    Cosine,
    /// The update of a step relative to the weights, on a logarithmic axis where all values are positive.
    Update,
}

/// Which data a curve was measured on: train is drawn solid, test dashed, a bound thin and dashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Training data.
    Train,
    /// Test data.
    Test,
    /// None: a bound that follows from the settings. Drawn thin and dashed, without a dot at the
    /// playhead.
    Bound,
}

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its direct label ("train", "test", "ResNet-20 train").
    pub name: String,
    /// The panel (or run) whose colour it has.
    pub panel: usize,
    /// What is measured.
    pub quantity: Quantity,
    /// On which data.
    pub split: Split,
    /// `(time, value)` in a strip, in the film's [`Clock`]; `(alpha, value)` in a curve figure; a
    /// value that is not finite breaks the line.
    pub points: Vec<(f64, f64)>,
}

/// The charts below the panels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strip {
    /// All curves; empty means no strip.
    pub series: Vec<Series>,
}

named_enum! {
    /// What film time is even in; times in a film are in its unit.
    #[derive(Default)]
    pub enum Clock("clock") {
        /// Epochs.
        #[default]
        Epoch = "epoch",
        /// What moves: four fifths of the film go by the length of the way on the plane, one fifth by
        /// epochs, so that a path that is nearly done after a tenth of training does not stand still for
        /// the rest of the film. Times are epochs.
        Motion = "motion",
        /// Optimizer steps: runs of different batch sizes are side by side at the same step.
        Step = "step",
        /// Snapshots: the same film time from each to the next, whatever lies between them. Times are
        /// epochs.
        Snapshot = "snapshot",
        /// Seconds of training.
        WallTime = "wall",
    }
}

impl Clock {
    /// One unit of its times.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Epoch | Self::Motion | Self::Snapshot => "epoch",
            Self::Step => "step",
            Self::WallTime => "second",
        }
    }

    /// The label of an axis of its times.
    pub fn label(self) -> &'static str {
        if self == Self::WallTime { "seconds" } else { self.unit() }
    }

    /// A time as text; `span` is the length of the film's time.
    pub fn text(self, time: f64, span: f64) -> String {
        match self {
            Self::Epoch | Self::Motion | Self::Snapshot => {
                epoch_text(time, if span >= 20.0 { 1 } else { 2 })
            }
            Self::Step => thousands(&fixed(time.floor(), 0)),
            Self::WallTime if span >= 600.0 => {
                format!("{} min {:02} s", (time / 60.0).floor(), (time % 60.0).floor())
            }
            Self::WallTime => format!("{} s", fixed(time, if span < 10.0 { 2 } else { 1 })),
        }
    }
}

/// A key moment: the film pauses there and says what it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    /// When, in the film's clock.
    pub time: f64,
    /// A few words ("learning rate drops to 0.01").
    pub label: String,
    /// For how long the film pauses, in seconds; 0 only shows the label in passing.
    pub pause_secs: f64,
}

/// A page of text before the film.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Card {
    /// Large.
    pub title: String,
    /// Below it, one line each.
    pub lines: Vec<String>,
    /// For how long, in seconds.
    pub secs: f64,
}

/// How a film goes through time; the same for all its panels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pacing {
    /// What film time is even in.
    pub clock: Clock,
    /// With [`Clock::Motion`] the way through time: shares of the film from 0 to 1, and the time at each.
    pub way: Vec<(f64, f64)>,
    /// Where it pauses.
    pub moments: Vec<Moment>,
    /// What comes first.
    pub card: Option<Card>,
}

/// Which levels a surface's contours are drawn at, where not those that suit its values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Levels {
    /// The least and the greatest value shown; what lies beyond is clipped, and the colour bar says so.
    pub ends: Option<[f64; 2]>,
    /// The distance of two levels, from the lower end on.
    pub step: Option<f64>,
    /// Whether the scale is linear though no value is negative, as that of a share is.
    pub linear: bool,
}

impl Levels {
    /// The most levels there may be.
    const MOST: f64 = 200.0;

    /// From `ends`, with a level at each `step` from the lower one on.
    ///
    /// # Errors
    /// [`Error::BadValue`] where the ends are not in order, and for a step that is not positive or makes
    /// more than two hundred levels.
    pub fn new(ends: [f64; 2], step: Option<f64>) -> Result<Self> {
        let [low, high] = ends;
        if !(low < high && low.is_finite() && high.is_finite()) {
            let value = format!("{low},{high}");
            let remedy = "write the lower end first: 0.1,10";
            return Err(Error::bad_value("values", value, "not a range", remedy));
        }
        if let Some(step) = step.filter(|s| !(*s > 0.0 && (high - low) / s <= Self::MOST)) {
            let remedy = "write the distance of two levels, at most 200 of them: 0.1,10,0.5";
            return Err(Error::bad_value("values", step, "not a step from end to end", remedy));
        }
        Ok(Self { ends: Some(ends), step, linear: false })
    }
}

/// A film: surfaces side by side on one colour scale, their paths moving together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Film {
    /// The headline.
    pub title: String,
    /// Where the numbers come from: sample, its error, cells evaluated.
    pub caption: String,
    /// What the colours mean ("training loss").
    pub value_label: String,
    /// What colours surfaces in space where it is not their heights.
    pub drape: Option<Drape>,
    /// One panel, two side by side, or more in small multiples.
    pub panels: Vec<ContourPanel>,
    /// How the panels stand, where somebody chose it.
    pub table: PanelTable,
    /// The levels of the contours, where somebody chose them.
    pub levels: Levels,
    /// Curves with a playhead below the panels.
    pub strip: Strip,
    /// How long the last picture stays, in seconds.
    pub hold_secs: f64,
    /// Clock, pauses, card.
    pub pacing: Pacing,
}

/// How the panels of a film stand: row by row, with titles of columns and rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PanelTable {
    /// Panels a row; `None` for as many as show them largest.
    pub columns: Option<usize>,
    /// Above the columns, from the left; empty for none.
    pub column_titles: Vec<String>,
    /// Beside the rows, from the top; empty for none.
    pub row_titles: Vec<String>,
}

impl PanelTable {
    /// The table for `panels` panels, whose titles are counted.
    ///
    /// Errors: [`Error::BadValue`] on more columns than panels, and on titles for other columns or rows than
    /// there are.
    pub fn check(&self, panels: usize) -> Result<()> {
        if let Some(columns) = self.columns.filter(|c| !(1..=panels).contains(c)) {
            let problem = format!("columns for {panels} panels");
            let remedy = format!("write 1 to {panels}");
            return Err(Error::bad_value("columns", columns, problem, remedy));
        }
        let columns = self.columns.unwrap_or(panels);
        let rows = panels.div_ceil(columns.max(1));
        for (key, titles, count, of) in [
            ("column_titles", &self.column_titles, columns, "columns"),
            ("row_titles", &self.row_titles, rows, "rows"),
        ] {
            if titles.is_empty() {
                continue;
            }
            if self.columns.is_none() {
                let remedy = "say how many columns there are (columns)";
                return Err(Error::bad_value(key, titles.len(), "titles of a table", remedy));
            }
            if titles.len() != count {
                let problem = format!("titles for {count} {of}");
                return Err(Error::bad_value(key, titles.len(), problem, "give one for each"));
            }
        }
        Ok(())
    }

    /// Whether columns or rows have titles.
    pub fn is_titled(&self) -> bool {
        !(self.column_titles.is_empty() && self.row_titles.is_empty())
    }
}

/// How a curve figure puts loss and accuracy together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CurveStyle {
    /// One chart below the other.
    #[default]
    Stacked,
    /// In one plot, loss (solid) on the left axis and accuracy (dashed) on the right one, as in the
    /// paper of Li et al. 2018.
    Twin,
}

/// A still figure of loss and accuracy along a line `theta + alpha * d`, several runs in one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurveFigure {
    /// The headline.
    pub title: String,
    /// A line of detail below it; may be empty.
    pub subtitle: String,
    /// Where the numbers come from.
    pub caption: String,
    /// The label of the x axis ("distance along the direction, α").
    pub x_label: String,
    /// The curves; [`Quantity::Loss`] on one chart, [`Quantity::Accuracy`] on another below it.
    pub series: Vec<Series>,
    /// How the two go together.
    pub style: CurveStyle,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_between_snapshots_goes_evenly_from_one_to_the_next() {
        let point = |step, time: f64, true_loss, plane_loss| PathPoint {
            step,
            epoch: time,
            time,
            true_loss,
            plane_loss,
            lr: 0.1,
            ..PathPoint::default()
        };
        let path = [
            point(0, 0.0, 2.0, Some(4.0)),
            point(10, 1.0, 8.0, Some(1.0)),
            point(20, 2.0, f64::NAN, None),
        ];
        let at = |time| Reading::at(&path, time).unwrap();
        // Half-way in the logarithm: the geometric mean.
        let half = at(0.5);
        assert!((half.true_loss - 4.0).abs() < 1e-12 && half.interpolated && half.step == 5);
        assert!((half.plane_loss.unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(
            (at(1.0).true_loss, at(1.0).plane_loss, at(1.0).interpolated),
            (8.0, Some(1.0), false)
        );
        assert_eq!(at(-3.0).true_loss, 2.0);
        // Towards a snapshot that diverged nothing is known.
        assert!(at(1.5).true_loss.is_nan() && at(1.5).plane_loss.is_none());
        assert!(at(9.0).true_loss.is_nan());
        assert_eq!(Reading::at(&[], 0.0), None);
        assert_eq!(between(-1.0, 1.0, 0.5), 0.0);
        assert!(between(1.0, f64::INFINITY, 0.5).is_infinite());
    }
}
