//! The film of a surface that heaves: layers evaluated at moments of training, for mini-batches or
//! for dropout masks ([`crate::render::layers`]), seen in space on one scale of heights and colours.
//!
//! The film rests on every layer as it was evaluated. On the way to the next, each place moves evenly
//! on the scale, and the sheet shows that nobody evaluated it: it pales as interpolated cells do,
//! its contour lines fade and it loses its gloss. Path and ball lie on the surface of the moment.

use rayon::prelude::*;

use super::axes::Axes;
use super::bar;
use super::flight::Flight;
use super::heightfield::{HeightField, Marks};
use super::horizon::Horizon;
use super::paint::Paint;
use super::place::arrange;
use super::scale;
use super::show::SurfaceLook;
use super::stand::{Ground, Stand, Studio, When, box_width, focus, nodes, passes};
use super::trail::{Trail, materials};
use super::vantage;
use crate::error::Result;
use crate::render::canvas::{Canvas, TextStyle};
use crate::render::chart::{self, Chart};
use crate::render::layers::{BOARD_LINES, Ball, Moving, Pace, Position, draw_board};
use crate::render::layout::Layout;
use crate::render::panel;
use crate::render::readout;
use crate::render::scale::LevelScale;
use crate::render::scene::{Clock, ContourPanel, Film};
use crate::render::show::Show;
use crate::render::theme::Theme;

/// Nodes of the height fields that camera and lens are planned with.
const PLAN: usize = 200;

/// One layer made ready.
struct Sheet {
    places: Vec<f32>,
    marks: Marks,
    horizon: Horizon,
}

/// A moving surface in space, made ready. Draws any frame on any canvas.
pub struct MovingSurface<'a> {
    moving: &'a Moving,
    theme: &'a Theme,
    layout: Layout,
    scale: LevelScale,
    studio: Studio<'a>,
    stand: Stand,
    /// The first layer; all have its box.
    base: HeightField,
    sheets: Vec<Sheet>,
    charts: Vec<Chart<'a>>,
    pace: Pace,
    /// The path's end.
    end: f64,
}

impl<'a> MovingSurface<'a> {
    /// Makes `moving` ready for a picture of `size` pixels in `frames` frames at `fps`.
    ///
    /// Errors: those of [`Moving::check`], [`crate::Error::BadValue`] on a look out of range.
    pub fn new(
        moving: &'a Moving,
        look: &SurfaceLook,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        moving.check()?;
        look.check()?;
        let values: Vec<f64> = moving.values().collect();
        let scale = scale::scale(&values, look.heights, look.clip)?;
        let pace = Pace::new(moving, frames, fps);
        let count = chart::quantities(&moving.strip.series).len();
        let page = page(moving);
        let layout = arrange(&page, &scale, size, theme.scale, count, BOARD_LINES);
        let charts = moving.charts(&layout);
        let viewport = layout.panels[0].frame;
        // One after the other: what all of them would take at once is much.
        let field = |layer: usize, nodes: usize| {
            let panel = panel_of(moving, layer);
            HeightField::with_nodes(&panel, &scale, look.relief, nodes)
        };
        let plans: Vec<HeightField> =
            (0..moving.layers.len()).into_par_iter().map(|k| field(k, PLAN)).collect();
        let base = field(0, nodes(viewport, look.passes));
        let sheet = |layer: usize| {
            let own = (layer > 0).then(|| field(layer, nodes(viewport, look.passes)));
            let field = own.as_ref().unwrap_or(&base);
            let (places, marks) = (field.places(), field.marks().clone());
            Sheet { places, marks, horizon: Horizon::new(field) }
        };
        let sheets = (0..moving.layers.len()).map(sheet).collect();
        let trail = Trail::new(&page.panels[0], Clock::Epoch, &base, &scale);
        let seen: Vec<_> = plans.iter().map(|plan| (plan, &trail)).collect();
        let (azimuth, elevation) = vantage::best(&seen, look.azimuth, look.elevation);
        let way = look.camera.placed(azimuth, elevation);
        let end = trail.end().unwrap_or(0.0);
        let at = |share: f64| pace.position((share * (pace.frames - 1) as f64).round() as usize);
        let lowest = base.lowest();
        let ball = |share: f64| {
            let time = time(moving, at(share), end);
            trail.at(time).unwrap_or(lowest)
        };
        let ground = |share: f64| {
            let at = at(share);
            &plans[at.layer + usize::from(at.share > 0.5)]
        };
        let flight = Flight::new(&way, ground, pace.frames, ball);
        let width = box_width(viewport);
        let axes =
            Axes::new(&page.panels[0], &base, &scale, &moving.value_label, &layout.font, width);
        let materials = materials(theme, theme.series_color(0));
        let mut stands = [Stand { axes, trail, flight, materials, viewport, centre: [0.0; 2] }];
        let focal = focus(&mut stands, &way, look.relief, &layout.font, layout.s);
        let [stand] = stands;
        let studio = Studio {
            theme,
            paint: Paint::new(theme, &scale),
            font: layout.font,
            s: layout.s,
            focal,
            passes: passes(look.passes),
        };
        Ok(Self { moving, theme, layout, scale, studio, stand, base, sheets, charts, pace, end })
    }

    /// The surface of a position.
    fn field(&self, at: Position) -> HeightField {
        let now = &self.sheets[at.layer];
        let next = if at.share > 0.0 { &self.sheets[at.layer + 1] } else { now };
        let pair = [now, next].map(|sheet| (&sheet.places[..], &sheet.marks));
        self.base.between(pair, at.share as f32)
    }
}

/// Where the path is at a position.
fn time(moving: &Moving, at: Position, end: f64) -> f64 {
    match moving.ball {
        Ball::Moves => moving.epoch(at),
        Ball::Stays => end,
    }
}

/// One layer as a panel.
fn panel_of(moving: &Moving, layer: usize) -> ContourPanel {
    let mut panel = moving.panel.clone();
    panel.grid.interpolated = None;
    panel.grid.values = moving.layers[layer].values.clone();
    panel
}

/// What is laid out.
fn page(moving: &Moving) -> Film {
    Film {
        title: moving.title.clone(),
        caption: moving.caption.clone(),
        value_label: moving.value_label.clone(),
        panels: vec![panel_of(moving, 0)],
        ..Film::default()
    }
}

impl Show for MovingSurface<'_> {
    fn size(&self) -> [u32; 2] {
        [self.layout.page.w as u32, self.layout.page.h as u32]
    }

    fn frames(&self) -> usize {
        self.pace.frames
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, theme, moving) = (&self.layout, self.theme, self.moving);
        let room = layout.page.w - 2.0 * layout.margin;
        if let Some(baseline) = layout.title_baseline {
            let style = TextStyle::new(layout.font.title, theme.text).bold();
            canvas.text(&style.fit(&moving.title, room), layout.margin, baseline, &style);
        }
        if let Some(baseline) = layout.caption_baseline {
            let style = TextStyle::new(layout.font.small, theme.muted);
            canvas.text(&style.fit(&moving.caption, room), layout.margin, baseline, &style);
        }
        panel::draw_heading(canvas, &moving.panel, &layout.panels[0], layout, theme, None);
        if let Some(place) = layout.colorbar {
            bar::draw(canvas, place, &moving.value_label, layout, &self.scale, theme);
        }
        for chart in &self.charts {
            chart.draw_static(canvas, theme, chart::Future::Faint)?;
        }
        Ok(())
    }

    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let (layout, theme, moving) = (&self.layout, self.theme, self.moving);
        let at = self.pace.position(frame);
        let field = self.field(at);
        let light = |azimuth: f32, elevation: f32| {
            let now = &self.sheets[at.layer].horizon;
            match self.sheets.get(at.layer + 1).filter(|_| at.share > 0.0) {
                Some(next) => now.light_towards(&next.horizon, at.share as f32, azimuth, elevation),
                None => now.light(azimuth, elevation),
            }
        };
        let ground = Ground { field: &field, light: &light, between: at.between() };
        let frames = self.pace.frames;
        let share = if frames == 1 { 1.0 } else { frame as f64 / (frames - 1) as f64 };
        let when = When { frame, share, time: time(moving, at, self.end), fade: 0.25 * self.end };
        self.stand.draw(canvas, &self.studio, &ground, when, theme.series_color(0));
        if let Some(place) = layout.panels[0].readout {
            if place.h >= 0.8 * BOARD_LINES * layout.font.label {
                draw_board(canvas, moving, at, place, layout, theme);
            } else {
                // One line, or columns: without the marks.
                let rows = moving.rows(at);
                let which = format!("{} · {}", rows[0].1, rows[1].1);
                let short = [(rows[0].0, which), rows[2].clone(), rows[4].clone()];
                readout::draw(canvas, place, false, &short, layout, theme);
            }
        }
        for chart in &self.charts {
            chart.draw_moving(canvas, theme, moving.epoch(at));
        }
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.theme
    }

    fn texts(&self) -> Vec<&str> {
        self.moving.texts()
    }
}
