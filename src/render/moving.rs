//! A surface that changes: layers evaluated at moments of training, for mini-batches or for dropout
//! masks, shown one after the other on one colour scale.
//!
//! The film rests on every layer, which is what was evaluated; on the way from one to the next the
//! values are interpolated (in the units of the scale, point by point), and the picture says so: the
//! surface is dimmed, as interpolated cells are everywhere, and the read-out calls it interpolated. A
//! row of marks shows the layers and where between them the film is.

use super::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use super::chart::{self, Chart};
use super::field::Domain;
use super::layout::{Contents, Layout};
use super::masthead::Masthead;
use super::panel;
use super::path::{Pen, Track};
use super::readout;
use super::scale::{LevelScale, Spacing, fixed, significant, ticks};
use super::scene::{ContourPanel, Quantity, Strip};
use super::show::Show;
use super::text;
use super::theme::Theme;
use crate::error::{Error, Result};

/// One layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MovingLayer {
    /// What it is ("snapshot 4").
    pub label: String,
    /// Its values, in the order of the panel's grid.
    pub values: Vec<f64>,
    /// When it is, in epochs: where the ball is then, and the playhead of the strip.
    pub epoch: f64,
    /// The loss of the ball's snapshot itself.
    pub true_loss: f64,
    /// The loss that the layer has below the ball.
    pub plane_loss: f64,
}

/// Whether the ball goes along the path while the surface changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ball {
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
    /// What the ball does.
    pub ball: Ball,
    /// Curves by epoch (or whatever the layers' `epoch` counts).
    pub strip: Strip,
    /// What the strip's x axis is.
    pub x_label: String,
    /// What each quantity's chart is called.
    pub chart_titles: Vec<(Quantity, String)>,
    /// How long the last picture stands, in seconds.
    pub hold_secs: f64,
}

/// How much of the way from one layer to the next the film rests on the first.
const REST: f64 = 0.4;

/// Where between the layers a frame is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// The last layer reached.
    pub layer: usize,
    /// How far to the next, 0 to 1; 0 is the layer itself, as evaluated.
    pub share: f64,
}

/// A moving surface made ready: laid out, scaled. Draws any frame on any canvas.
pub struct MovingFilm<'a> {
    moving: &'a Moving,
    theme: &'a Theme,
    layout: Layout,
    masthead: Masthead<'a>,
    scale: LevelScale,
    track: Track,
    charts: Vec<Chart<'a>>,
    frames: usize,
    frames_moving: usize,
}

impl<'a> MovingFilm<'a> {
    /// Makes `moving` ready for a picture of `size` in `frames` frames at `fps`.
    ///
    /// Errors: [`Error::Render`] without a layer, for layers of different sizes, and for a grid that
    /// cannot be drawn.
    pub fn new(
        moving: &'a Moving,
        theme: &'a Theme,
        [width, height]: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        let cells = moving.panel.grid.xs.len() * moving.panel.grid.ys.len();
        if moving.layers.is_empty() || moving.layers.iter().any(|l| l.values.len() != cells) {
            return Err(Error::Render {
                what: format!("{} layers that do not fill a grid of {cells}", moving.layers.len()),
                remedy: "give at least one layer, each with a value for every cell".into(),
            });
        }
        let mut checked = moving.panel.grid.clone();
        checked.values = moving.layers[0].values.clone();
        checked.check()?;
        // One scale over the whole stack: a colour means one loss from the first frame to the last.
        let scale = LevelScale::new(moving.layers.iter().flat_map(|l| l.values.iter().copied()));
        let domain = Domain::of(&moving.panel);
        let quantities = chart::quantities(&moving.strip.series);
        let ems = |text: &str| text::width(text, 1.0, text::Weight::Regular);
        let y_ticks = ticks(domain.y[0], domain.y[1], 5);
        let contents = Contents {
            title: !moving.title.is_empty(),
            caption: !moving.caption.is_empty(),
            headings: !moving.panel.title.is_empty(),
            subtitles: !moving.panel.subtitle.is_empty(),
            domains: &[domain],
            charts: quantities.len(),
            colorbar_label_ems: scale.labels().iter().map(|l| ems(l)).fold(2.0, f32::max),
            tick_label_ems: y_ticks.iter().map(|y| ems(&significant(*y, 6))).fold(1.5, f32::max),
        };
        let size = [width, height];
        let (masthead, mut layout, board) =
            Masthead::above(&moving.title, &moving.caption, size, theme, |[width, height]| {
                Layout::with_board(width, height, theme.scale, &contents, [20.0, 11.2])
            });
        layout.panels[0].readout = Some(board);
        let track = Track::new(&moving.panel.path, domain, layout.panels[0].frame, layout.s);
        // All charts from the first layer to the last, whatever they have points for.
        let times = || moving.layers.iter().map(|l| l.epoch).filter(|t| t.is_finite());
        let span =
            [times().fold(f64::INFINITY, f64::min), times().fold(f64::NEG_INFINITY, f64::max)];
        let mut charts: Vec<Chart> = quantities
            .into_iter()
            .zip(&layout.charts)
            .map(|(quantity, rect)| {
                let series = &moving.strip.series;
                let label = &moving.x_label;
                let chart = Chart::new(series, quantity, *rect, label, layout.font, layout.s)
                    .spanning(span);
                match moving.chart_titles.iter().find(|(of, _)| *of == quantity) {
                    Some((_, title)) => chart.titled(title),
                    None => chart,
                }
            })
            .collect();
        chart::align(&mut charts);
        let frames = frames.max(1);
        let hold = (moving.hold_secs.max(0.0) * f64::from(fps)).round() as usize;
        let frames_moving = (frames - hold.min(frames / 2)).max(1);
        Ok(Self { moving, theme, layout, masthead, scale, track, charts, frames, frames_moving })
    }

    /// Where between the layers `frame` is: evenly spread over them, resting on each.
    pub fn position(&self, frame: usize) -> Position {
        let last = self.moving.layers.len() - 1;
        if last == 0 || frame + 1 >= self.frames_moving {
            return Position { layer: last, share: 0.0 };
        }
        let way = last as f64 * frame as f64 / (self.frames_moving - 1) as f64;
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

    fn epoch(&self, at: Position) -> f64 {
        let epoch = |layer: usize| self.moving.layers[layer].epoch;
        match at.share {
            0.0 => epoch(at.layer),
            share => epoch(at.layer) + share * (epoch(at.layer + 1) - epoch(at.layer)),
        }
    }

    /// The panel with the values of a position; interpolated in the units of the scale.
    fn panel(&self, at: Position) -> ContourPanel {
        let mut panel = ContourPanel { path: Vec::new(), ..self.moving.panel.clone() };
        let values = &self.moving.layers[at.layer].values;
        panel.grid.interpolated = None;
        panel.grid.values = match at.share {
            0.0 => values.clone(),
            share => {
                let next = &self.moving.layers[at.layer + 1].values;
                values.iter().zip(next).map(|(&a, &b)| self.between(a, b, share)).collect()
            }
        };
        panel
    }

    /// `share` of the way from `a` to `b` on the scale. NaN where one of them is, and infinite from
    /// half way where one of them is.
    fn between(&self, a: f64, b: f64, share: f64) -> f64 {
        if a.is_nan() || b.is_nan() {
            return f64::NAN;
        }
        if a.is_infinite() || b.is_infinite() {
            return if share < 0.5 { a } else { b };
        }
        match self.scale.spacing {
            Spacing::Log if a > 0.0 && b > 0.0 => a * (b / a).powf(share),
            _ => a + share * (b - a),
        }
    }

    fn rows(&self, at: Position) -> Vec<(&'static str, String)> {
        let layers = &self.moving.layers;
        let now = &layers[at.layer];
        let of = match at.share {
            0.0 => format!("{} of {}", at.layer + 1, layers.len()),
            _ => format!("{} to {} of {}", at.layer + 1, at.layer + 2, layers.len()),
        };
        let state = if at.share == 0.0 { "as evaluated" } else { "interpolated" };
        vec![
            ("layer", of),
            ("", now.label.clone()),
            ("surface", state.into()),
            ("true loss", readout::loss(now.true_loss)),
            ("in-plane loss", readout::loss(now.plane_loss)),
        ]
    }

    /// The read-out: which layer, evaluated or not, and the ball's losses at the last layer.
    fn draw_readout(&self, canvas: &mut dyn Canvas, at: Position) {
        let (layout, theme) = (&self.layout, self.theme);
        let Some(place) = layout.panels[0].readout else { return };
        let font = layout.font;
        let rows = self.rows(at);
        let name = TextStyle::new(font.label, theme.muted);
        let value = TextStyle::new(font.label, theme.text).bold().align(Align::Right);
        let large = TextStyle { size: 1.45 * font.label, ..value };
        let mut y = place.y + 1.35 * font.label;
        canvas.text(rows[0].0, place.x, y, &name);
        canvas.text(&rows[0].1, place.right(), y, &large);
        y += 0.8 * font.label;
        self.draw_marks(canvas, at, Rect::new(place.x, y, place.w, 1.2 * font.label));
        y += 1.1 * font.label;
        let epoch = match self.moving.ball {
            Ball::Moves => format!("epoch {}", fixed(self.epoch(at), 2)),
            Ball::Stays => String::new(),
        };
        let rest = [(rows[1].1.as_str(), epoch.as_str())]
            .into_iter()
            .chain(rows[2..].iter().map(|(name, value)| (*name, value.as_str())));
        for (left, right) in rest {
            y += 1.55 * font.label;
            canvas.text(left, place.x, y, &name);
            canvas.text(right, place.right(), y, &value);
        }
    }

    /// A mark for each layer, and where the film is.
    fn draw_marks(&self, canvas: &mut dyn Canvas, at: Position, place: Rect) {
        let (theme, s) = (self.theme, self.layout.s.max(0.5));
        let last = (self.moving.layers.len() - 1) as f32;
        let inset = 6.0 * s;
        let x = |layer: f32| {
            place.x + inset + (place.w - 2.0 * inset) * if last > 0.0 { layer / last } else { 0.5 }
        };
        let y = place.y + 0.5 * place.h;
        let rule = Stroke::solid(theme.rule, (1.6 * s).max(1.0));
        canvas.line(&[(x(0.0), y), (x(last), y)], &rule);
        let here = at.layer as f32 + at.share as f32;
        for layer in 0..self.moving.layers.len() {
            let done = layer as f32 <= here;
            canvas.disc(x(layer as f32), y, 3.4 * s, if done { theme.muted } else { theme.rule });
        }
        let color = theme.series_color(0);
        if at.share == 0.0 {
            canvas.disc(x(here), y, 6.4 * s, color);
        } else {
            // Hollow on the way: nothing was evaluated here.
            canvas.disc(x(here), y, 6.4 * s, color);
            canvas.disc(x(here), y, 4.0 * s, theme.background);
        }
    }
}

impl Show for MovingFilm<'_> {
    fn size(&self) -> [u32; 2] {
        [self.layout.page.w as u32, self.layout.page.h as u32]
    }

    fn frames(&self) -> usize {
        self.frames
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, theme, moving) = (&self.layout, self.theme, self.moving);
        self.masthead.draw(canvas, layout, theme);
        panel::draw_heading(canvas, &moving.panel, &layout.panels[0], layout, theme, None);
        panel::draw_axes(canvas, &moving.panel, &layout.panels[0], layout, theme);
        if let Some(bar) = layout.colorbar {
            panel::draw_colorbar(canvas, bar, &moving.value_label, layout, &self.scale, theme);
        }
        for chart in &self.charts {
            chart.draw_static(canvas, theme, chart::Future::Faint)?;
        }
        Ok(())
    }

    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let (layout, theme) = (&self.layout, self.theme);
        let place = &layout.panels[0];
        let at = self.position(frame);
        let panel = self.panel(at);
        canvas.set_clip(Some(place.frame));
        panel::draw_surface(canvas, &panel, place, layout, &self.scale, theme);
        if at.share > 0.0 {
            // As interpolated cells are drawn, coming and going softly.
            let most = (4.0 * at.share * (1.0 - at.share)).sqrt() as f32;
            canvas.rect(place.frame, theme.background.alpha(0.3 * most));
        }
        let epoch = match self.moving.ball {
            Ball::Moves => self.epoch(at),
            Ball::Stays => self.track.end().unwrap_or(0.0),
        };
        let fade = self.track.end().unwrap_or(0.0) * 0.22;
        let pen = Pen { color: theme.series_color(0), theme, s: layout.s, fade };
        self.track.draw(canvas, epoch, &pen);
        canvas.set_clip(None);
        self.draw_readout(canvas, at);
        for chart in &self.charts {
            chart.draw_moving(canvas, theme, self.epoch(at));
        }
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.theme
    }

    fn texts(&self) -> Vec<&str> {
        let moving = self.moving;
        let panel = &moving.panel;
        let own = [&moving.title, &moving.caption, &moving.value_label];
        let own = own.into_iter().chain([&panel.title, &panel.subtitle]);
        let own = own.chain([&panel.x_label, &panel.y_label]);
        own.chain(moving.layers.iter().map(|l| &l.label)).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::golden::assert_golden_frame;
    use crate::render::scene::{Grid, PathPoint, Series, Split};
    use crate::render::show;

    /// A bowl whose bottom follows the ball, seen at four moments.
    fn moving(ball: Ball) -> Moving {
        let along = |n: usize, reach: f64| -> Vec<f64> {
            (0..n).map(|i| reach * (2.0 * i as f64 / (n - 1) as f64 - 1.0)).collect()
        };
        let (xs, ys) = (along(33, 2.0), along(29, 1.8));
        let place = |t: f64| (-1.4 + 2.2 * t, 1.2 * (3.0 * t).sin() - 0.4);
        let layer = |k: usize| {
            let (x, y) = place(k as f64 / 3.0);
            let loss = move |a: f64, b: f64| 0.02 + (a - x).powi(2) + 2.0 * (b - y).powi(2);
            MovingLayer {
                label: format!("snapshot {}", 4 * k),
                values: ys.iter().flat_map(|&b| xs.iter().map(move |&a| loss(a, b))).collect(),
                epoch: 4.0 * k as f64,
                true_loss: 0.02,
                plane_loss: 0.02,
            }
        };
        let layers: Vec<MovingLayer> = (0..4).map(layer).collect();
        let path = (0..13).map(|i| {
            let (x, y) = place(i as f64 / 12.0);
            let (epoch, step) = (i as f64, 10 * i as u64);
            PathPoint { step, epoch, x, y, true_loss: 0.02, plane_loss: None, lr: 0.1 }
        });
        Moving {
            title: "A bowl on the move".into(),
            caption: "A function of two variables and time.".into(),
            value_label: "loss".into(),
            panel: ContourPanel {
                grid: Grid { xs: xs.clone(), ys: ys.clone(), values: vec![], interpolated: None },
                path: path.collect(),
                x_label: "PC1 (61.0 %)".into(),
                y_label: "PC2 (20.0 %)".into(),
                ..ContourPanel::default()
            },
            layers,
            ball,
            strip: Strip {
                series: vec![Series {
                    name: "train".into(),
                    panel: 0,
                    quantity: Quantity::Loss,
                    split: Split::Train,
                    points: (0..13).map(|e| (e as f64, 2.0 / (1.0 + e as f64))).collect(),
                }],
            },
            x_label: "epoch".into(),
            chart_titles: vec![],
            hold_secs: 0.2,
        }
    }

    #[test]
    fn frames_of_a_moving_surface_look_as_they_did() {
        let (moving, theme) = (moving(Ball::Moves), Theme::light());
        let film = MovingFilm::new(&moving, &theme, [800, 450], 60, 30).unwrap();
        assert!(film.position(27).share > 0.2, "{:?}", film.position(27));
        assert_golden_frame("moving-between", &film, 27);
        assert_golden_frame("moving-layer", &film, 59);
    }

    #[test]
    fn every_layer_is_rested_on_and_shown_as_it_was_evaluated() {
        let (moving, theme) = (moving(Ball::Moves), Theme::light());
        let film = MovingFilm::new(&moving, &theme, [640, 360], 90, 30).unwrap();
        let positions: Vec<Position> = (0..90).map(|frame| film.position(frame)).collect();
        for layer in 0..4 {
            let rests = positions.iter().filter(|p| **p == Position { layer, share: 0.0 }).count();
            assert!(rests >= 5, "{layer}: {rests}");
            let panel = film.panel(Position { layer, share: 0.0 });
            assert_eq!(panel.grid.values, moving.layers[layer].values);
        }
        let way = |p: &Position| p.layer as f64 + p.share;
        assert!(positions.windows(2).all(|w| way(&w[0]) <= way(&w[1])), "never back");
        assert!(positions[84..].iter().all(|p| p.layer == 3), "the last frames stand");
    }

    #[test]
    fn between_layers_values_are_interpolated_on_the_scale_and_holes_stay_holes() {
        let (mut moving, theme) = (moving(Ball::Moves), Theme::light());
        (moving.layers[0].values[0], moving.layers[1].values[0]) = (0.1, 10.0);
        moving.layers[0].values[1] = f64::NAN;
        moving.layers[1].values[2] = f64::INFINITY;
        let film = MovingFilm::new(&moving, &theme, [640, 360], 90, 30).unwrap();
        let values = |share| film.panel(Position { layer: 0, share }).grid.values;
        // Half way in the logarithm, which is what the colours show.
        assert!((values(0.5)[0] - 1.0).abs() < 1e-12);
        assert!(values(0.5)[1].is_nan() && values(0.9)[1].is_nan());
        assert!(values(0.3)[2].is_finite() && values(0.7)[2].is_infinite());
    }

    #[test]
    fn small_and_strange_moving_surfaces_are_drawn() {
        let mut cases = vec![moving(Ball::Stays)];
        let mut single = moving(Ball::Moves);
        single.layers.truncate(1);
        cases.push(single);
        let mut holes = moving(Ball::Moves);
        holes.layers[1].values.iter_mut().for_each(|v| *v = f64::NAN);
        cases.push(holes);
        let mut nothing = moving(Ball::Moves);
        nothing.layers.iter_mut().for_each(|l| l.values.iter_mut().for_each(|v| *v = f64::NAN));
        nothing.panel.path.clear();
        nothing.strip.series.clear();
        cases.push(nothing);
        for case in cases {
            for size in [[320, 180], [640, 480], [360, 640]] {
                let theme = Theme::print();
                let film = MovingFilm::new(&case, &theme, size, 9, 30).unwrap();
                let backdrop = show::backdrop(&film).unwrap();
                for k in [0, 3, 8] {
                    show::frame(&film, &backdrop, k).unwrap();
                }
            }
        }
        let theme = Theme::light();
        let none = Moving { layers: vec![], ..moving(Ball::Moves) };
        assert!(MovingFilm::new(&none, &theme, [640, 360], 9, 30).is_err());
        let mut short = moving(Ball::Moves);
        short.layers[2].values.pop();
        assert!(MovingFilm::new(&short, &theme, [640, 360], 9, 30).is_err());
    }
}
