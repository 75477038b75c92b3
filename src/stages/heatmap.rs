//! A surface's cells to a heat map of any of their quantities.

use super::contour::PanelSource;
use super::film_options::{FilmOptions, HOLD_SECS, begin_with_path};
use super::on_plane::OnPlane;
use super::provenance::{self, ErrorOf};
use crate::landscape::{Cell, ConvexityStore, SurfaceStore};
use crate::names::named_enum;
use crate::record::EvaluatedOn;
use crate::render::scene::{ContourPanel, Grid};
use crate::render::scenes::heatmap::{Heatmap, Scaling};
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
            // Of its own points.
            Self::Convexity => f64::NAN,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy, %",
            Self::LossSe => "standard error of the loss",
            Self::RelativeSe => "standard error, % of the loss",
            Self::DifferenceSe => "standard error of the difference",
            Self::LossDifference => "loss − final loss",
            Self::Convexity => "|λ min / λ max|",
        }
    }

    /// What the caption calls it, and whose sampling error it states.
    fn caption(self) -> (&'static str, Option<ErrorOf>) {
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
        }
    }

    /// A headline; `split` is "training" or "test".
    fn headline(self, split: &str) -> String {
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

/// A value of each cell, NaN where none was evaluated.
fn values_of<C>(cells: &[Option<C>], of: impl Fn(&C) -> f64) -> Vec<f64> {
    cells.iter().map(|cell| cell.as_ref().map_or(f64::NAN, &of)).collect()
}

/// A heat map of `quantity` over the surface of `source`, with its path.
///
/// # Errors
/// Those of the contour film of the same source.
pub fn gather(
    source: &PanelSource,
    quantity: CellQuantity,
    range: Option<[f64; 2]>,
    title: Option<&str>,
    options: &FilmOptions,
) -> Result<Heatmap> {
    let on = source.open()?;
    let panel = source.panel(&on)?;
    let mut map = of_panel(&on, panel, quantity, range, title)?;
    let charts = [options.chart_source(&map.heading, &source.run)?];
    let (mut strip, pacing) = options.timing(&map.title, &mut [&mut map.path], &charts);
    begin_with_path(&mut strip, 0, on.store.header.on.split, &map.path);
    Ok(Heatmap { strip, pacing, hold_secs: HOLD_SECS, ..map })
}

/// The heat map of `quantity` over the surface of `on`, whose titles and path are those of `panel`, without charts.
///
/// # Errors
/// [`Error::BadValue`] for the accuracy of numbers; [`Error::Landscape`] for a convexity that was not measured.
pub(super) fn of_panel(
    on: &OnPlane,
    panel: ContourPanel,
    quantity: CellQuantity,
    range: Option<[f64; 2]>,
    title: Option<&str>,
) -> Result<Heatmap> {
    let (store, split) = (&on.store, on.store.header.on.split);
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
    let convexity = match quantity {
        CellQuantity::Convexity => Some(convexity_of(store)?),
        _ => None,
    };
    let grid = match &convexity {
        Some(found) => Grid {
            xs: found.header.grid.x.values(),
            ys: found.header.grid.y.values(),
            values: values_of(&found.cells, |cell| cell.ratio()),
            interpolated: None,
        },
        // Only the loss is interpolated; what is measured beside it is not.
        None => {
            let losses = |less: f64| store.losses().into_iter().map(|loss| loss - less).collect();
            let (values, interpolated) = match quantity {
                CellQuantity::Loss => (losses(0.0), store.interpolated_mask()),
                CellQuantity::LossDifference => (losses(origin), store.interpolated_mask()),
                _ => {
                    (values_of(&store.cells, |cell| quantity.of(cell, evaluated_on, origin)), None)
                }
            };
            Grid { values, interpolated, ..panel.grid }
        }
    };
    let title = title.map_or_else(|| quantity.headline(split.adjective()), str::to_string);
    let (words, error) = quantity.caption();
    let caption = match &convexity {
        Some(found) => provenance::caption_at(on, words, &found.header),
        None => provenance::caption_of(std::slice::from_ref(on), words, error),
    };
    let squares = match grid.interpolated {
        Some(_) => "One square per point, interpolated ones dimmed.",
        None => "One square per evaluated point.",
    };
    let caption = format!("{caption} {squares}");
    // The paper's scale, so that pictures compare.
    let range = range.or(convexity.is_some().then_some(CONVEXITY_RANGE));
    Ok(Heatmap {
        title,
        heading: panel.title,
        subtitle: panel.subtitle,
        caption,
        value_label: quantity.label().into(),
        x_label: panel.x_label,
        y_label: panel.y_label,
        grid,
        scaling: match quantity {
            CellQuantity::LossDifference => Scaling::Diverging,
            CellQuantity::Accuracy | CellQuantity::Convexity => Scaling::Linear,
            _ => Scaling::Auto,
        },
        range,
        rises: quantity == CellQuantity::Accuracy,
        path: panel.path,
        ..Heatmap::default()
    })
}
