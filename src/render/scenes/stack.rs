//! A surface that changes, as plain data: layers evaluated at moments of training, for mini-batches
//! or for dropout masks. And how a film goes through them, whatever it draws them as: it rests on
//! every layer, which is what was evaluated; on the way from one to the next the values are
//! interpolated, and the picture says so. A row of marks shows the layers and where between them the
//! film is.

use crate::error::{Error, Result};
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::numbers::epoch_text;
use crate::render::page::readout::{self, Row};
use crate::render::page::timeline::Timeline;
use crate::render::page::{Page, PageSpec};
use crate::render::scene::{Card, ContourPanel, Levels, Pacing, Quantity, Strip};

/// One layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MovingLayer {
    /// What it is ("snapshot 4").
    pub label: String,
    /// Its values, in the order of the panel's grid.
    pub values: Vec<f64>,
    /// When it is, in epochs: where the marker is then, and the playhead of the strip.
    pub epoch: f64,
    /// The loss of the marker's snapshot itself.
    pub true_loss: f64,
    /// The loss that the layer has below the marker.
    pub plane_loss: f64,
}

/// Whether the marker goes along the path while the surface changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Marker {
    /// It is where the path is at the layer's epoch.
    #[default]
    Moves,
    /// It stays at the path's end: the surface changes below it.
    Stays,
}

/// A surface that changes, as plain data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moving {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// What the colours mean.
    pub value_label: String,
    /// Titles, axes, coordinates of the grid and the path; the grid's values are not used.
    pub panel: ContourPanel,
    /// The layers, in order.
    pub layers: Vec<MovingLayer>,
    /// The levels of the contours, where somebody chose them.
    pub levels: Levels,
    /// What the marker does.
    pub marker: Marker,
    /// Curves by epoch (or whatever the layers' `epoch` counts).
    pub strip: Strip,
    /// What the strip's x axis is.
    pub x_label: String,
    /// What each quantity's chart is called.
    pub chart_titles: Vec<(Quantity, String)>,
    /// How long the last picture stays, in seconds.
    pub hold_secs: f64,
    /// A title card before the film. (It rests on every layer by itself.)
    pub card: Option<Card>,
}

/// How much of the way from one layer to the next the film rests on the first.
const REST: f64 = 0.4;

/// Where between the layers a frame is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::render) struct Position {
    /// The last layer reached.
    pub layer: usize,
    /// How far to the next, 0 to 1; 0 is the layer itself, as evaluated.
    pub share: f64,
}

impl Position {
    /// How far from a layer that was evaluated it looks, 0 to 1: coming and going softly.
    pub(in crate::render) fn between(&self) -> f32 {
        (4.0 * self.share * (1.0 - self.share)).max(0.0).sqrt() as f32
    }
}

impl Moving {
    /// Errors: [`Error::Render`] without a layer, for layers of different sizes, and for a grid that
    /// cannot be drawn.
    pub(in crate::render) fn check(&self) -> Result<()> {
        let cells = self.panel.grid.xs.len() * self.panel.grid.ys.len();
        if self.layers.is_empty() || self.layers.iter().any(|l| l.values.len() != cells) {
            return Err(Error::Render {
                what: format!("{} layers that do not fill a grid of {cells}", self.layers.len()),
                remedy: "give at least one layer, each with a value for every cell".into(),
            });
        }
        let mut checked = self.panel.grid.clone();
        checked.values = self.layers[0].values.clone();
        checked.check()
    }

    /// The values of all layers: one scale over the whole stack, so that a colour means one loss
    /// from the first frame to the last.
    pub(in crate::render) fn values(&self) -> impl Iterator<Item = f64> {
        self.layers.iter().flat_map(|l| l.values.iter().copied())
    }

    /// When `at` is, as layers' epochs count.
    pub(in crate::render) fn epoch(&self, at: Position) -> f64 {
        let epoch = |layer: usize| self.layers[layer].epoch;
        match at.share {
            0.0 => epoch(at.layer),
            share => epoch(at.layer) + share * (epoch(at.layer + 1) - epoch(at.layer)),
        }
    }

    /// Where the path is at a position; `end` is its end.
    pub(in crate::render) fn path_time(&self, at: Position, end: f64) -> f64 {
        match self.marker {
            Marker::Moves => self.epoch(at),
            Marker::Stays => end,
        }
    }

    /// Where between the layers `frame` is: evenly spread over them, resting on each.
    pub(in crate::render) fn position(&self, timeline: &Timeline, frame: usize) -> Position {
        let (last, moving) = (self.layers.len() - 1, timeline.moving);
        let frame = frame.saturating_sub(timeline.card);
        if last == 0 || frame + 1 >= moving {
            return Position { layer: last, share: 0.0 };
        }
        let way = last as f64 * frame as f64 / (moving - 1) as f64;
        let layer = (way as usize).min(last - 1);
        // A rest around each layer: half of it after the layer, half before the next.
        let t = ((way - layer as f64 - 0.5 * REST) / (1.0 - REST)).clamp(0.0, 1.0);
        let share = t * t * (3.0 - 2.0 * t);
        if share >= 1.0 {
            Position { layer: layer + 1, share: 0.0 }
        } else {
            Position { layer, share }
        }
    }

    /// One layer as a panel.
    pub(in crate::render) fn layer_panel(&self, layer: usize) -> ContourPanel {
        let mut panel = self.panel.clone();
        panel.grid.interpolated = None;
        panel.grid.values = self.layers[layer].values.clone();
        panel
    }

    /// What a page shows beside the surface.
    pub(in crate::render) fn page_spec(&self) -> PageSpec<'_> {
        PageSpec {
            title: &self.title,
            caption: &self.caption,
            series: &self.strip.series,
            chart_titles: &self.chart_titles,
            time_label: &self.x_label,
            pacing: Pacing { card: self.card.clone(), ..Pacing::default() },
            hold_secs: self.hold_secs,
        }
    }

    /// When the layers are: all charts go from the first to the last.
    pub(in crate::render) fn times(&self) -> impl Iterator<Item = f64> {
        self.layers.iter().map(|l| l.epoch)
    }

    /// Texts from outside, beside the page's.
    pub(in crate::render) fn texts(&self) -> Vec<&str> {
        let panel = &self.panel;
        let own = [&self.value_label, &panel.title, &panel.subtitle];
        let own = own.into_iter().chain([&panel.x_label, &panel.y_label]);
        own.chain(self.layers.iter().map(|l| &l.label)).map(String::as_str).collect()
    }

    /// Whether every layer is called by its place alone.
    fn counts_layers(&self) -> bool {
        let named = |(i, layer): (usize, &MovingLayer)| {
            layer.label.split_once(' ').is_some_and(|(_, number)| number == (i + 1).to_string())
        };
        self.layers.iter().enumerate().all(named)
    }

    /// The lines of a read-out: which layer, evaluated or not, and the marker's losses at the last
    /// layer.
    pub(in crate::render) fn rows(&self, at: Position) -> Vec<Row> {
        let now = &self.layers[at.layer];
        let (of, all) = (at.layer + 1, self.layers.len());
        // "snapshot 12" is a snapshot; what a file is called says nothing of its kind.
        let noun = match now.label.split_once(' ') {
            Some((noun, number)) if number.chars().all(|c| c.is_ascii_digit()) => noun,
            _ => "surface",
        };
        let (first, state) = match at.share {
            0.0 => ((noun.to_string().into(), format!("{of} of {all}")), "computed"),
            _ => {
                let plural = if noun.ends_with("ch") { "es" } else { "s" };
                let between = format!("between {noun}{plural}");
                ((between.into(), format!("{of} and {} of {all}", of + 1)), "interpolated")
            }
        };
        let mut rows =
            vec![first, ("".into(), now.label.clone()), ("surface".into(), state.into())];
        // Surfaces of files have no network below them.
        if self.layers.iter().any(|l| !l.true_loss.is_nan() || !l.plane_loss.is_nan()) {
            rows.push((readout::NETWORK_LOSS.into(), readout::loss(now.true_loss)));
            rows.push((readout::SURFACE_LOSS.into(), readout::loss(now.plane_loss)));
        }
        rows
    }
}

/// Lines of type that [`draw_board`] takes.
pub(in crate::render) const BOARD_LINES: f32 = 11.2;

/// The read-out as a list with the marks in it.
pub(in crate::render) fn draw_board(
    canvas: &mut dyn Canvas,
    moving: &Moving,
    at: Position,
    place: Rect,
    page: &Page,
) {
    let (font, theme) = (page.font, page.theme);
    let rows = moving.rows(at);
    let epoch = match moving.marker {
        Marker::Moves => format!("epoch {}", epoch_text(moving.epoch(at), 2)),
        Marker::Stays => String::new(),
    };
    // "mini-batch 2" without a time says what "mini-batch 2 of 8" above it has said.
    let said = epoch.is_empty() && moving.counts_layers();
    let rest: Vec<(&str, &str)> = [(rows[1].1.as_str(), epoch.as_str())]
        .into_iter()
        .filter(|_| !said)
        .chain(rows[2..].iter().map(|(name, value)| (&**name, value.as_str())))
        .collect();
    let name = TextStyle::new(font.label, theme.muted);
    let value = TextStyle::new(font.label, theme.text).bold().align(Align::Right);
    // Smaller type where a row does not fit.
    let width = |(left, right): &(&str, &str)| name.width(left) + value.width(right);
    let widest = rest.iter().map(width).fold(0.0, f32::max) + 0.6 * font.label;
    let size = font.label * (place.w / widest).min(1.0);
    let (name, value) = (TextStyle { size, ..name }, TextStyle { size, ..value });
    let large = TextStyle { size: 1.45 * font.label, ..value };
    let widest = name.width(&rows[0].0) + large.width(&rows[0].1) + 0.6 * font.label;
    let fit = (place.w / widest).min(1.0);
    let large = TextStyle { size: fit * large.size, ..large };
    let first = TextStyle { size: fit * name.size, ..name };
    let mut y = place.y + 1.35 * font.label;
    canvas.text(&rows[0].0, place.x, y, &first);
    canvas.text(&rows[0].1, place.right(), y, &large);
    y += 0.8 * font.label;
    let marks = Rect::new(place.x, y, place.w, 1.2 * font.label);
    draw_marks(canvas, moving, at, marks, page);
    y += 1.1 * font.label;
    for (left, right) in rest {
        y += 1.55 * font.label;
        canvas.text(left, place.x, y, &name);
        canvas.text(right, place.right(), y, &value);
    }
}

/// A mark for each layer, and where the film is.
fn draw_marks(canvas: &mut dyn Canvas, moving: &Moving, at: Position, place: Rect, page: &Page) {
    let (px_scale, theme) = (page.px_scale.max(0.5), page.theme);
    let last = (moving.layers.len() - 1) as f32;
    let inset = 6.0 * px_scale;
    let x = |layer: f32| {
        place.x + inset + (place.w - 2.0 * inset) * if last > 0.0 { layer / last } else { 0.5 }
    };
    let y = place.y + 0.5 * place.h;
    let rule = Stroke::solid(theme.rule, (1.6 * px_scale).max(1.0));
    canvas.line(&[(x(0.0), y), (x(last), y)], &rule);
    let here = at.layer as f32 + at.share as f32;
    for layer in 0..moving.layers.len() {
        let done = layer as f32 <= here;
        canvas.disc(
            x(layer as f32),
            y,
            3.4 * px_scale,
            if done { theme.muted } else { theme.rule },
        );
    }
    let color = theme.series_color(0);
    if at.share == 0.0 {
        canvas.disc(x(here), y, 6.4 * px_scale, color);
    } else {
        // Hollow on the way: nothing was evaluated here.
        canvas.disc(x(here), y, 6.4 * px_scale, color);
        canvas.disc(x(here), y, 4.0 * px_scale, theme.background);
    }
}
