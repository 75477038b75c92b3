//! A surface's cells to a heat map of any of their quantities.

use super::contour::PanelSource;
use super::film_options::{FilmOptions, HOLD_SECS, begin_with_path};
use super::on_plane::OnPlane;
use super::provenance;
use super::quantity::{self, CellQuantity, Values};
use crate::Result;
use crate::render::scene::ContourPanel;
use crate::render::scenes::heatmap::Heatmap;

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
/// Those of [`quantity::values`].
pub(super) fn of_panel(
    on: &OnPlane,
    panel: ContourPanel,
    quantity: CellQuantity,
    range: Option<[f64; 2]>,
    title: Option<&str>,
) -> Result<Heatmap> {
    let split = on.store.header.on.split;
    let Values { grid, header } = quantity::values(on, quantity)?;
    let title = title.map_or_else(|| quantity.headline(split.adjective()), str::to_string);
    let (words, error) = quantity.caption();
    let caption = match &header {
        Some(header) => provenance::caption_at(on, words, header),
        None => provenance::caption_of(std::slice::from_ref(on), words, error),
    };
    let squares = match grid.interpolated {
        Some(_) => "One square per point, interpolated ones dimmed.",
        None => "One square per evaluated point.",
    };
    Ok(Heatmap {
        title,
        heading: panel.title,
        subtitle: panel.subtitle,
        caption: format!("{caption} {squares}"),
        value_label: quantity.label().into(),
        x_label: panel.x_label,
        y_label: panel.y_label,
        grid,
        scaling: quantity.scaling(),
        // The paper's scale, so that pictures compare.
        range: range.or(quantity.range()),
        rises: quantity == CellQuantity::Accuracy,
        path: panel.path,
        ..Heatmap::default()
    })
}
