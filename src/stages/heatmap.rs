//! A surface's cells to a heat map of any of their quantities.

use super::film::{Extras, HOLD_SECS, PanelSource, contour_told};
use super::footing::{self, ErrorOf, Footing};
use super::telling::Telling;
use crate::Result;
use crate::landscape::{Cell, Plane, SurfaceStore};
use crate::names::named_enum;
use crate::render::scene::Grid;
use crate::render::scenes::heatmap::{Heatmap, Scaling};
use crate::spec::Spec;

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
        /// How the loss differs from that of the origin: red is higher, blue is lower.
        LossDifference = "loss-difference",
    }
}

impl CellQuantity {
    fn of(self, cell: &Cell, samples: usize, origin: f64) -> f64 {
        match self {
            Self::Loss => cell.loss,
            Self::Accuracy => 100.0 * cell.correct as f64 / samples as f64,
            Self::LossSe => cell.loss_se,
            Self::RelativeSe => 100.0 * cell.loss_se / cell.loss,
            Self::LossDifference => cell.loss - origin,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy, %",
            Self::LossSe => "s.e. of the loss",
            Self::RelativeSe => "s.e., % of the loss",
            Self::LossDifference => "loss − final loss",
        }
    }

    /// What the caption calls it, with its sample's error.
    fn told(self, store: &SurfaceStore) -> String {
        let split = footing::split(&store.header);
        let error = |of| footing::error(of, store.cells.iter().flatten(), store.header.samples);
        match self {
            Self::Loss => format!("{split} loss ± {} (s.e.)", error(ErrorOf::Loss)),
            Self::Accuracy => format!("{split} accuracy ± {} (s.e.)", error(ErrorOf::Accuracy)),
            Self::LossSe | Self::RelativeSe => {
                format!("Standard error of the {} loss", split.to_lowercase())
            }
            Self::LossDifference => {
                format!(
                    "{split} loss less that of the cell nearest (0, 0), ± {} (s.e.),",
                    error(ErrorOf::Loss)
                )
            }
        }
    }

    /// A headline; `split` is "training" or "test".
    fn headline(self, split: &str) -> String {
        match self {
            Self::Loss => format!("The {split} loss, cell by cell"),
            Self::Accuracy => format!("The {split} accuracy, cell by cell"),
            Self::LossSe | Self::RelativeSe => {
                format!("How sure the {split} loss is, cell by cell")
            }
            Self::LossDifference => format!("The {split} loss against the final model's"),
        }
    }
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
    telling: &Telling,
) -> Result<Heatmap> {
    // The same checks, path and charts as the contour film's; only the values are others.
    let mut film = contour_told(std::slice::from_ref(source), title, telling, Extras::default())?;
    let panel = film.panels.remove(0);
    let store = SurfaceStore::open(&source.run.surface_dir(&source.surface))?;
    let plane = Plane::read(&source.run.plane_path(&source.plane))?;
    let samples = store.header.samples;
    // The cell nearest to the origin stands for it.
    let nearest = |k: &usize| {
        let [x, y] = store.header.grid.point(*k);
        x.hypot(y)
    };
    let done = (0..store.cells.len()).filter(|k| store.cells[*k].is_some());
    let origin = done.min_by(|a, b| nearest(a).total_cmp(&nearest(b)));
    let origin = origin.and_then(|k| store.cells[k]).map_or(f64::NAN, |c| c.loss);
    let values = store
        .cells
        .iter()
        .map(|cell| cell.as_ref().map_or(f64::NAN, |cell| quantity.of(cell, samples, origin)));
    let grid = Grid { values: values.collect(), ..panel.grid };
    let split = footing::split(&store.header).to_lowercase();
    let spec = Spec::parse(&source.run.spec_toml()?, &[])?;
    let footing = [Footing::new(&spec, plane, store)?];
    let caption = footing::caption_of(&footing, |of| quantity.told(&of[0].store));
    let caption = format!("{caption}; a box is a cell as evaluated");
    let title = title.map_or_else(|| quantity.headline(&split), str::to_string);
    film.pacing.card.iter_mut().for_each(|card| card.title.clone_from(&title));
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
            CellQuantity::Accuracy => Scaling::Linear,
            _ => Scaling::Auto,
        },
        range,
        rises: quantity == CellQuantity::Accuracy,
        path: panel.path,
        strip: film.strip,
        pacing: film.pacing,
        hold_secs: HOLD_SECS,
    })
}
