//! A stack of surfaces to a film of a surface that changes.

use crate::landscape::{Plane, Stack, StackKind, SurfaceStore};
use crate::record::Run;
use crate::render::page::scale::thousands;
use crate::render::scene::{Clock, ContourPanel, Grid, PathPoint, Quantity, Series, Split};
use crate::render::scenes::moving_map::{Marker, Moving, MovingLayer};
use crate::spec::Spec;
use crate::stages::footing::{self, ErrorOf};
use crate::stages::telling::Telling;
use crate::{Error, Result};

/// Seconds for which the last frame stands.
const HOLD_SECS: f64 = 2.0;

/// Gathers the moving surface `surface` of `run`, over its plane `plane`.
///
/// # Errors
/// Those of reading the run; [`Error::Landscape`] when the stack is missing, of another plane, or not
/// finished.
pub fn gather(
    run: &Run,
    plane: &str,
    surface: &str,
    title: Option<&str>,
    telling: &Telling,
) -> Result<Moving> {
    let stack = Stack::open(&run.surface_dir(surface))?;
    let name = plane;
    let plane = Plane::read(&run.plane_path(name))?;
    let about = &stack.about;
    if about.plane_digest != plane.digest() {
        return Err(Error::Landscape {
            what: format!(
                "stack `{surface}` of {} was computed over another plane than `{name}` is now",
                run.name()
            ),
            remedy: format!(
                "compute it again: lossreel surface RUN --stack {} --force",
                about.kind
            ),
        });
    }
    let unfinished = || Error::Landscape {
        what: format!("stack `{surface}` of {} is not finished", run.name()),
        remedy: "go on with it: run the same `lossreel surface --stack` command again".into(),
    };
    let mut layers = Vec::new();
    let mut stores = Vec::new();
    for (index, layer) in about.layers.iter().enumerate() {
        if !stack.layer_dir(index).join("grid.json").exists() {
            return Err(unfinished());
        }
        let store = SurfaceStore::open(&stack.layer_dir(index))?;
        let losses = store.read_path()?.filter(|_| store.missing().is_empty());
        let loss = *losses.as_deref().and_then(|l| l.first()).ok_or_else(unfinished)?;
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
    let path = plane.about.path.iter().map(|p| PathPoint {
        step: p.step,
        epoch: p.epoch,
        x: p.x,
        y: p.y,
        true_loss: f64::NAN,
        plane_loss: None,
        lr: p.lr,
    });
    let grid = first.header.grid;
    let split = if first.header.split == "test" { "test" } else { "training" };
    let mut moving = Moving {
        title: title.map_or_else(|| headline(about.kind, run), str::to_string),
        caption: caption(about.kind, &stores),
        value_label: format!("{split} loss"),
        panel: ContourPanel {
            grid: Grid {
                xs: grid.x.values(),
                ys: grid.y.values(),
                values: Vec::new(),
                interpolated: None,
            },
            path: path.collect(),
            x_label: plane.axis_label(0),
            y_label: plane.axis_label(1),
            ..ContourPanel::default()
        },
        marker: if about.kind == StackKind::Snapshots { Marker::Moves } else { Marker::Stays },
        hold_secs: HOLD_SECS,
        ..Moving::default()
    };
    match about.kind {
        StackKind::Snapshots => {
            let metrics = run.metrics()?;
            let spec = Spec::parse(&run.spec_toml()?, &[])?;
            let told = telling.told("", run, &spec, &metrics)?;
            moving.x_label = "epoch".into();
            moving.strip = telling.strip(Clock::Epoch, &[told]);
        }
        StackKind::Batches | StackKind::Dropout => {
            let points = layers.iter().map(|l| (l.epoch, l.plane_loss)).collect();
            let (name, quantity, split) = (String::new(), Quantity::Loss, Split::Train);
            moving.strip.series = vec![Series { name, panel: 0, quantity, split, points }];
            let word = if about.kind == StackKind::Batches { "mini-batch" } else { "mask" };
            moving.x_label = word.into();
            moving.chart_titles = vec![(Quantity::Loss, "Loss at the ball".into())];
        }
    }
    moving.card = telling.card(&moving.title, &[]);
    moving.layers = layers;
    Ok(moving)
}

fn headline(kind: StackKind, run: &Run) -> String {
    match kind {
        StackKind::Snapshots => format!("The loss surface around {} as it learns", run.name()),
        StackKind::Batches => "Every mini-batch has a surface of its own".into(),
        StackKind::Dropout => "Every dropout mask has a surface of its own".into(),
    }
}

fn caption(kind: StackKind, stores: &[SurfaceStore]) -> String {
    let header = &stores[0].header;
    let cells = stores.iter().flat_map(|s| s.cells.iter().flatten());
    let error = footing::error(ErrorOf::Loss, cells, header.samples);
    let what = match kind {
        StackKind::Snapshots => {
            "slices through the snapshots, BatchNorm with each one's statistics"
        }
        StackKind::Batches => "one mini-batch each, not augmented; BatchNorm frozen",
        StackKind::Dropout => "one draw of masks each, train mode",
    };
    format!(
        "{} loss ± {error} (s.e.) of {}, {} cells a layer; {what}; between layers interpolated",
        footing::split(header),
        footing::sample(header),
        thousands(&stores[0].cells.len().to_string())
    )
}
