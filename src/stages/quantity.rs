//! Quantities over a surface: what heat maps show of each cell or of points of their own, and what colours a surface
//! in space.

use super::on_plane::OnPlane;
use super::provenance::{self, ErrorOf};
use crate::landscape::{Cell, ConvexityCell, ConvexityStore, GradientStore, Header, SurfaceStore};
use crate::names::named_enum;
use crate::record::EvaluatedOn;
use crate::render::scene::{Drape, Grid, Scaling};
use crate::{Error, Result};

named_enum! {
    /// What a heat map shows of each cell.
    #[derive(Default)]
    pub enum CellQuantity("quantity of a cell") {
        /// The loss.
        #[default]
        Loss = "loss",
        /// The share of right answers, in percent.
        Accuracy = "accuracy",
        /// The standard error of the loss.
        LossSe = "loss-se",
        /// The same in percent of the loss.
        RelativeSe = "relative-se",
        /// The standard error of the difference to the loss at the plane's origin, image by image.
        DifferenceSe = "difference-se",
        /// How the loss differs from that of the origin: red is higher, blue is lower.
        LossDifference = "loss-difference",
        /// The ratio of the Hessian's smallest and largest eigenvalue where the smallest is negative, 0 where
        /// the loss is convex: `surface --convexity` measures it.
        Convexity = "convexity",
        /// The largest eigenvalue of the Hessian, of the same measurement.
        LargestEigenvalue = "lambda-max",
        /// The smallest eigenvalue, of the same measurement: red is convex, blue is not.
        SmallestEigenvalue = "lambda-min",
        /// The length of the gradient, of which the plane shows a part: `surface --gradients` measures it.
        GradientNorm = "gradient-norm",
    }
}

impl CellQuantity {
    fn of(self, cell: &Cell, on: &EvaluatedOn, origin: f64) -> f64 {
        match self {
            Self::Loss => cell.loss,
            Self::Accuracy => 100.0 * on.accuracy(cell.correct),
            Self::LossSe => cell.loss_se,
            Self::RelativeSe => 100.0 * cell.loss_se / cell.loss,
            Self::DifferenceSe => cell.difference_se,
            Self::LossDifference => cell.loss - origin,
            // Of points of their own.
            Self::Convexity
            | Self::LargestEigenvalue
            | Self::SmallestEigenvalue
            | Self::GradientNorm => f64::NAN,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy, %",
            Self::LossSe => "standard error of the loss",
            Self::RelativeSe => "standard error, % of the loss",
            Self::DifferenceSe => "standard error of the difference",
            Self::LossDifference => "loss − final loss",
            Self::Convexity => "|λ min / λ max|",
            Self::LargestEigenvalue => "λ max",
            Self::SmallestEigenvalue => "λ min",
            Self::GradientNorm => "length of the gradient",
        }
    }

    /// What the caption calls it, and whose sampling error it states.
    pub(super) fn caption(self) -> (&'static str, Option<ErrorOf>) {
        match self {
            Self::Loss => ("Loss", Some(ErrorOf::Loss)),
            Self::Accuracy => ("Accuracy", Some(ErrorOf::Accuracy)),
            Self::LossSe | Self::RelativeSe => ("Standard error of the loss", None),
            Self::DifferenceSe => (
                "Standard error of the difference to the loss at the centre, image by image,",
                None,
            ),
            Self::LossDifference => ("Loss minus the loss at the centre", Some(ErrorOf::Loss)),
            Self::Convexity => (
                "Smallest over largest eigenvalue of the Hessian (magnitude; 0 where none is negative)",
                None,
            ),
            Self::LargestEigenvalue => {
                ("Largest eigenvalue of the Hessian of tensors with more than one dimension", None)
            }
            Self::SmallestEigenvalue => {
                ("Smallest eigenvalue of the Hessian of tensors with more than one dimension", None)
            }
            Self::GradientNorm => ("Length of the gradient", None),
        }
    }

    /// How values become colours.
    pub(super) fn scaling(self) -> Scaling {
        match self {
            Self::LossDifference | Self::SmallestEigenvalue => Scaling::Diverging,
            Self::Accuracy | Self::Convexity => Scaling::Linear,
            _ => Scaling::Auto,
        }
    }

    /// The ends of its scale where nobody chose them and they are not those of the values.
    pub(super) fn range(self) -> Option<[f64; 2]> {
        (self == Self::Convexity).then_some(CONVEXITY_RANGE)
    }

    /// A headline; `split` is "training" or "test".
    pub(super) fn headline(self, split: &str) -> String {
        match self {
            Self::Loss => format!("The {split} loss, point by point"),
            Self::Accuracy => format!("The {split} accuracy, point by point"),
            Self::LossSe | Self::RelativeSe => {
                format!("The standard error of the {split} loss, point by point")
            }
            Self::DifferenceSe => {
                format!("How well differences of the {split} loss are known, point by point")
            }
            Self::LossDifference => "Loss above the final model".into(),
            Self::Convexity => format!("Where the {split} loss is convex"),
            Self::LargestEigenvalue => format!("How sharp the {split} loss is, point by point"),
            Self::SmallestEigenvalue => {
                format!("The most negative curvature of the {split} loss, point by point")
            }
            Self::GradientNorm => format!("How steep the {split} loss is, point by point"),
        }
    }
}

/// The scale of convexity maps, as in Li et al. 2018.
const CONVEXITY_RANGE: [f64; 2] = [0.0, 0.5];

/// The convexity that was measured over a surface, if any was.
///
/// # Errors
/// Those of opening it.
pub fn measured_convexity(store: &SurfaceStore) -> Result<Option<ConvexityStore>> {
    // What lies beside a surface that is no longer its own is none.
    Ok(ConvexityStore::open(store.folder())?.filter(|found| found.is_of(&store.header)))
}

/// The convexity that a picture of it shows.
fn convexity_of(store: &SurfaceStore) -> Result<ConvexityStore> {
    measured_convexity(store)?.ok_or_else(|| Error::Landscape {
        what: format!("no convexity was measured over {}", store.folder().display()),
        remedy: "measure it: lossreel surface RUN --convexity".into(),
    })
}

/// What a picture shows that was measured over a surface at points of its own.
struct AtPoints {
    header: Header,
    /// A value a point, NaN where it is not known.
    values: Vec<f64>,
}

/// The `quantity` at points of its own over the surface `store`; `None` for one of its cells.
fn at_points(quantity: CellQuantity, store: &SurfaceStore) -> Result<Option<AtPoints>> {
    let curvature = |of: fn(&ConvexityCell) -> f64| -> Result<Option<AtPoints>> {
        let found = convexity_of(store)?;
        // What is not known well enough has no ratio either.
        let known = |cell: &ConvexityCell| if cell.ratio().is_nan() { f64::NAN } else { of(cell) };
        Ok(Some(AtPoints { values: values_of(&found.cells, known), header: found.header }))
    };
    match quantity {
        CellQuantity::Convexity => curvature(ConvexityCell::ratio),
        CellQuantity::LargestEigenvalue => curvature(|cell| cell.largest),
        CellQuantity::SmallestEigenvalue => curvature(|cell| cell.smallest),
        CellQuantity::GradientNorm => {
            // What lies beside a surface that is no longer its own is none.
            let found = GradientStore::open(store.folder())?.filter(|g| g.is_of(&store.header));
            let found = found.ok_or_else(|| Error::Landscape {
                what: format!("no gradients were measured over {}", store.folder().display()),
                remedy: "measure them: lossreel surface RUN --gradients".into(),
            })?;
            let values = values_of(&found.cells, |cell| cell.norm);
            Ok(Some(AtPoints { values, header: found.header }))
        }
        _ => Ok(None),
    }
}

/// The colours of a surface in space that `quantity` has instead of its heights, on a scale with the ends `range`.
pub(super) fn drape(quantity: CellQuantity, range: Option<[f64; 2]>) -> Drape {
    Drape {
        value_label: quantity.label().into(),
        scaling: quantity.scaling(),
        range: range.or(quantity.range()),
        rises: quantity == CellQuantity::Accuracy,
    }
}

/// The values of `quantity` over the surface of `on`, and what a caption says of them.
///
/// # Errors
/// Those of [`values`].
pub(super) fn grid_of(on: &OnPlane, quantity: CellQuantity) -> Result<(Grid, String)> {
    let Values { grid, header, .. } = values(on, quantity)?;
    let (words, _) = quantity.caption();
    let at = header.map_or(String::new(), |header| format!(", {}", provenance::size(&header)));
    Ok((grid, format!(" Colours: {}{at}.", lower(words))))
}

/// The first letter small.
fn lower(words: &str) -> String {
    let mut letters = words.trim_end_matches(',').chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// A value of each cell, NaN where none was evaluated.
fn values_of<C>(cells: &[Option<C>], of: impl Fn(&C) -> f64) -> Vec<f64> {
    cells.iter().map(|cell| cell.as_ref().map_or(f64::NAN, &of)).collect()
}

/// The values of a quantity over a surface.
pub(super) struct Values {
    pub grid: Grid,
    /// What they were measured by, where that is at points of their own.
    pub header: Option<Header>,
}

/// Those of `quantity` over the surface of `on`.
///
/// # Errors
/// [`Error::BadValue`] for the accuracy of numbers; [`Error::Landscape`] for what was not measured.
pub(super) fn values(on: &OnPlane, quantity: CellQuantity) -> Result<Values> {
    let store = &on.store;
    let evaluated_on = &store.header.on;
    if quantity == CellQuantity::Accuracy && evaluated_on.answers == 0 {
        return Err(Error::bad_value(
            "quantity",
            quantity,
            "but numbers are predicted, which are not right or wrong",
            "use loss, loss-se, relative-se, difference-se or loss-difference",
        ));
    }
    // The cell nearest to the origin is taken for it.
    let nearest = |k: &usize| {
        let [x, y] = store.header.grid.point(*k);
        x.hypot(y)
    };
    let done = (0..store.cells.len()).filter(|k| store.cells[*k].is_some());
    let origin = done.min_by(|a, b| nearest(a).total_cmp(&nearest(b)));
    let origin = origin.and_then(|k| store.cells[k]).map_or(f64::NAN, |c| c.loss);
    if let Some(AtPoints { header, values }) = at_points(quantity, store)? {
        let (xs, ys) = (header.grid.x.values(), header.grid.y.values());
        let grid = Grid { xs, ys, values, interpolated: None };
        return Ok(Values { grid, header: Some(header) });
    }
    // Only the loss is interpolated; what is measured beside it is not.
    let losses = |less: f64| store.losses().into_iter().map(|loss| loss - less).collect();
    let (values, interpolated) = match quantity {
        CellQuantity::Loss => (losses(0.0), store.interpolated_mask()),
        CellQuantity::LossDifference => (losses(origin), store.interpolated_mask()),
        _ => (values_of(&store.cells, |cell| quantity.of(cell, evaluated_on, origin)), None),
    };
    let (xs, ys) = (store.header.grid.x.values(), store.header.grid.y.values());
    Ok(Values { grid: Grid { xs, ys, values, interpolated }, header: None })
}
