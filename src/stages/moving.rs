//! A stack of surfaces to a film of a surface that changes.

use super::film_options::FilmOptions;
use super::film_options::HOLD_SECS;
use super::opened::{OpenRun, RunSet, panel, point_of};
use super::{provenance, stale};
use crate::landscape::{Stack, StackKind, SurfaceStore};
use crate::render::scene::{Clock, ContourPanel, Quantity, Series, Split};
use crate::render::scenes::moving_map::{Marker, Moving, MovingLayer};
use crate::{Error, Result};

/// Gathers the stack of surfaces `surface` of `set`, over its plane `plane`.
///
/// # Errors
/// Those of reading the run; [`Error::NoStack`], [`Error::PlaneBehind`], [`Error::StalePlane`] and [`Error::Unfinished`] for
/// the stack.
pub fn gather(
    set: &RunSet,
    plane: &str,
    surface: &str,
    title: Option<&str>,
    options: &FilmOptions,
) -> Result<Moving> {
    let stack = Stack::open(&set.surface_dir(surface)?)?;
    let (name, plane) = (plane, set.plane(plane)?);
    stale::check(set, name, &plane)?;
    let about = &stack.about;
    let of = || set.name().to_string();
    if about.plane_digest != plane.digest() {
        return Err(Error::StalePlane {
            surface: surface.into(),
            plane: name.into(),
            of: of(),
            stack: Some(about.kind.as_str()),
        });
    }
    let stale = || Error::StalePath { run: about.run.clone() };
    let index = plane.about.paths.iter().position(|p| p.run == about.run).ok_or_else(stale)?;
    let run = &set.runs()[index];
    let unfinished = || Error::Unfinished { surface: surface.into(), of: of(), stack: true };
    let mut layers = Vec::new();
    let mut stores = Vec::new();
    for (index, layer) in about.layers.iter().enumerate() {
        let store = match SurfaceStore::open(&stack.layer_dir(index)) {
            Err(Error::NoSurface { .. }) => return Err(unfinished()),
            store => store?,
        };
        let losses = store.path_losses()?.done;
        let loss = losses.first().filter(|_| store.missing().is_empty()).ok_or_else(unfinished)?;
        layers.push(MovingLayer {
            label: layer.label.clone(),
            values: store.losses(),
            epoch: match about.kind {
                StackKind::Snapshots => layer.epoch,
                // Mini-batches and masks are counted, from 1.
                _ => (index + 1) as f64,
            },
            true_loss: loss.true_loss,
            plane_loss: loss.plane_loss,
        });
        stores.push(store);
    }
    let first = stores.first().ok_or_else(unfinished)?;
    let mut moving = Moving {
        title: title.map_or_else(|| headline(about.kind, run), |title| Ok(title.into()))?,
        caption: caption(about.kind, &stores),
        value_label: format!("{} loss", first.header.on.split.adjective()),
        panel: ContourPanel {
            path: plane.about.paths[index].path.iter().map(point_of).collect(),
            // Each layer has its own.
            errors: Vec::new(),
            ..panel(&plane, first, Vec::new())
        },
        marker: if about.kind == StackKind::Snapshots { Marker::Moves } else { Marker::Stays },
        hold_secs: HOLD_SECS,
        ..Moving::default()
    };
    match about.kind {
        StackKind::Snapshots => {
            moving.x_label = "epoch".into();
            moving.strip = options.strip(Clock::Epoch, &[options.chart_source("", run)?]);
        }
        StackKind::Batches | StackKind::Dropout => {
            let points = layers.iter().map(|l| (l.epoch, l.plane_loss)).collect();
            let (name, quantity, split) = (String::new(), Quantity::Loss, Split::Train);
            moving.strip.series = vec![Series { name, panel: 0, quantity, split, points }];
            let word = if about.kind == StackKind::Batches { "mini-batch" } else { "mask" };
            moving.x_label = word.into();
            moving.chart_titles = vec![(Quantity::Loss, "Loss at the marker".into())];
        }
    }
    moving.card = options.card(&moving.title, &[]);
    moving.layers = layers;
    Ok(moving)
}

fn headline(kind: StackKind, run: &OpenRun) -> Result<String> {
    Ok(match kind {
        StackKind::Snapshots => {
            format!("The loss surface around {} as it learns", run.description()?)
        }
        StackKind::Batches => "Every mini-batch has a surface of its own".into(),
        StackKind::Dropout => "Every dropout mask has a surface of its own".into(),
    })
}

fn caption(kind: StackKind, stores: &[SurfaceStore]) -> String {
    let header = &stores[0].header;
    let what = match kind {
        StackKind::Snapshots => {
            "slices through the snapshots, BatchNorm with each one's own statistics"
        }
        StackKind::Batches => "one mini-batch each, not augmented",
        StackKind::Dropout => "one draw of dropout masks each, train mode",
    };
    format!(
        "Loss on {} at {} × {} points a surface ({}): {what}. Interpolated between surfaces.",
        provenance::sample(&header.on),
        header.grid.x.n,
        header.grid.y.n,
        provenance::typical_error(stores),
    )
}
