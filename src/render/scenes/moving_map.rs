//! A surface that changes, as a map: its layers shown one after the other on one colour scale, the
//! map dimmed on the way from one to the next, as interpolated cells are everywhere.

use crate::error::Result;
use crate::render::canvas::Canvas;
use crate::render::canvas::theme::Theme;
use crate::render::map::panel;
use crate::render::map::path::{Pen, Track};
use crate::render::page::axes::Axes;
use crate::render::page::colorbar::ColorBar;
use crate::render::page::layout::Layout;
use crate::render::page::panels::{Contents, widest_ems};
use crate::render::page::scale::{LevelScale, Spacing};
use crate::render::page::{Body, Page, Scene, Screen};
use crate::render::scene::{ContourPanel, Domain};
use crate::render::scenes::stack::{BOARD_LINES, Position, draw_board};
pub use crate::render::scenes::stack::{Marker, Moving, MovingLayer};

/// A moving surface as a map, made ready.
pub type MovingFilm<'a> = Scene<'a, MovingMap<'a>>;

/// The map of a moving surface.
pub struct MovingMap<'a> {
    moving: &'a Moving,
    layout: Layout,
    scale: LevelScale,
    track: Track,
}

impl<'a> MovingFilm<'a> {
    /// Makes `moving` ready for a picture of `size` pixels in `frames` frames at `fps`.
    ///
    /// Errors: [`crate::Error::Render`] without a layer, for layers of different sizes, and for a grid
    /// that cannot be drawn.
    pub fn new(
        moving: &'a Moving,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        moving.check()?;
        let layers = moving.layers.iter().map(|layer| layer.values.as_slice());
        let scale = LevelScale::chosen(moving.values(), &moving.levels);
        let scale = match moving.levels.ends {
            None => scale.for_layers(layers),
            Some(_) => scale,
        };
        let domain = Domain::of(&moving.panel);
        let contents = Contents {
            panels: std::slice::from_ref(&moving.panel),
            domains: &[domain],
            bar_label_ems: widest_ems(&scale.labels()),
            table: None,
        };
        let screen = Screen { theme, size, frames, fps };
        let (page, layout) =
            Page::laid_out(moving.page_spec(), moving.times(), screen, 0.0, |page| {
                Layout::with_board(page, &contents, [20.0, BOARD_LINES])
            });
        let frame = layout.panels[0].frame;
        let track = Track::new(&moving.panel.path, domain, frame, page.px_scale);
        Ok(Self { page, body: MovingMap { moving, layout, scale, track } })
    }
}

impl MovingMap<'_> {
    /// The panel with the values of a position; interpolated in the units of the scale.
    fn panel(&self, at: Position) -> ContourPanel {
        let mut panel = self.moving.layer_panel(at.layer);
        if at.share > 0.0 {
            let next = &self.moving.layers[at.layer + 1].values;
            let values = panel.grid.values.iter().zip(next);
            panel.grid.values = values.map(|(&a, &b)| self.between(a, b, at.share)).collect();
        }
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
}

impl Body for MovingMap<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (place, moving) = (&self.layout.panels[0], self.moving);
        panel::draw_heading(canvas, &moving.panel, place, page, None);
        Axes::of_panel(&moving.panel, Domain::of(&moving.panel), place, page).draw(canvas);
        if let Some(bar) = self.layout.colorbar {
            let colors = ColorBar::bands(&moving.value_label, &self.scale, page.theme);
            colors.draw_beside_panels(canvas, bar, page);
        }
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let at = self.moving.position(&page.timeline, frame);
        let place = self.layout.panels[0].frame;
        canvas.set_clip(Some(place));
        // Where the film rests, the lines say their levels.
        let path = (at.share == 0.0).then(|| self.track.pixels());
        panel::draw_surface(canvas, &self.panel(at), place, page, &self.scale, path.as_deref());
        if at.share > 0.0 {
            // As interpolated cells are drawn.
            canvas.rect(place, page.theme.background.alpha(0.3 * at.between()));
        }
        let end = self.track.end().unwrap_or(0.0);
        let pen = Pen { fade: 0.22 * end, ..Pen::new(page, page.theme.series_color(0)) };
        self.track.draw(canvas, self.moving.path_time(at, end), &pen);
        canvas.set_clip(None);
        draw_board(canvas, self.moving, at, self.layout.board, page);
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        self.moving.texts()
    }

    fn time(&self, page: &Page, frame: usize) -> f64 {
        self.moving.epoch(self.moving.position(&page.timeline, frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::film::show;
    use crate::render::scene::{Card, Grid, Levels, PathPoint, Quantity, Series, Split, Strip};
    use crate::render::tests::golden::assert_golden_frame;
    use crate::render::tests::words::assert_legible;

    /// A bowl whose bottom follows the marker, seen at four moments.
    fn moving(marker: Marker) -> Moving {
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
            PathPoint { step, epoch, time: epoch, x, y, true_loss: 0.02, plane_loss: None, lr: 0.1 }
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
            levels: Levels::default(),
            marker,
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
            card: None,
        }
    }

    #[test]
    fn frames_of_a_moving_surface_look_as_they_did() {
        let (moving, theme) = (moving(Marker::Moves), Theme::light());
        let film = MovingFilm::new(&moving, &theme, [800, 450], 60, 30).unwrap();
        assert!(
            moving.position(&film.page.timeline, 27).share > 0.2,
            "{:?}",
            moving.position(&film.page.timeline, 27)
        );
        assert_golden_frame("moving-between", &film, 27);
        assert_golden_frame("moving-layer", &film, 59);
    }

    #[test]
    fn every_layer_is_rested_on_and_shown_as_it_was_evaluated() {
        let (moving, theme) = (moving(Marker::Moves), Theme::light());
        let film = MovingFilm::new(&moving, &theme, [640, 360], 90, 30).unwrap();
        let positions: Vec<Position> =
            (0..90).map(|frame| moving.position(&film.page.timeline, frame)).collect();
        for layer in 0..4 {
            let rests = positions.iter().filter(|p| **p == Position { layer, share: 0.0 }).count();
            assert!(rests >= 5, "{layer}: {rests}");
            let panel = film.body.panel(Position { layer, share: 0.0 });
            assert_eq!(panel.grid.values, moving.layers[layer].values);
        }
        let way = |p: &Position| p.layer as f64 + p.share;
        assert!(positions.windows(2).all(|w| way(&w[0]) <= way(&w[1])), "never back");
        assert!(positions[84..].iter().all(|p| p.layer == 3), "the last frames stand");
    }

    #[test]
    fn the_first_layer_waits_for_the_card() {
        let card = Some(Card { title: "It moves".into(), lines: vec![], secs: 0.5 });
        let (moving, theme) = (Moving { card, ..moving(Marker::Moves) }, Theme::light());
        let film = MovingFilm::new(&moving, &theme, [640, 360], 90, 30).unwrap();
        let first = Position { layer: 0, share: 0.0 };
        assert!((0..15).all(|frame| moving.position(&film.page.timeline, frame) == first));
        let backdrop = show::backdrop(&film).unwrap();
        let frame = |k| show::frame(&film, &backdrop, k).unwrap();
        let bare = Moving { card: None, ..moving.clone() };
        let bare = MovingFilm::new(&bare, &theme, [640, 360], 90, 30).unwrap();
        let without = show::frame(&bare, &show::backdrop(&bare).unwrap(), 0).unwrap();
        assert!(frame(0).rgba() != without.rgba(), "the card covers the page");
        assert!(frame(15).rgba() == without.rgba(), "and then it goes");
    }

    #[test]
    fn between_layers_values_are_interpolated_on_the_scale_and_holes_stay_holes() {
        let (mut moving, theme) = (moving(Marker::Moves), Theme::light());
        (moving.layers[0].values[0], moving.layers[1].values[0]) = (0.1, 10.0);
        moving.layers[0].values[1] = f64::NAN;
        moving.layers[1].values[2] = f64::INFINITY;
        let film = MovingFilm::new(&moving, &theme, [640, 360], 90, 30).unwrap();
        let values = |share| film.body.panel(Position { layer: 0, share }).grid.values;
        // Half way in the logarithm, which is what the colours show.
        assert!((values(0.5)[0] - 1.0).abs() < 1e-12);
        assert!(values(0.5)[1].is_nan() && values(0.9)[1].is_nan());
        assert!(values(0.3)[2].is_finite() && values(0.7)[2].is_infinite());
    }

    #[test]
    fn small_and_strange_moving_surfaces_are_drawn() {
        let mut cases = vec![moving(Marker::Stays)];
        let mut single = moving(Marker::Moves);
        single.layers.truncate(1);
        cases.push(single);
        let mut holes = moving(Marker::Moves);
        holes.layers[1].values.iter_mut().for_each(|v| *v = f64::NAN);
        cases.push(holes);
        let mut nothing = moving(Marker::Moves);
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
        let none = Moving { layers: vec![], ..moving(Marker::Moves) };
        assert!(MovingFilm::new(&none, &theme, [640, 360], 9, 30).is_err());
        let mut short = moving(Marker::Moves);
        short.layers[2].values.pop();
        assert!(MovingFilm::new(&short, &theme, [640, 360], 9, 30).is_err());
    }

    #[test]
    fn words_can_be_read_at_every_size() {
        let moving: &'static Moving = Box::leak(Box::new(moving(Marker::Moves)));
        assert_legible("a moving surface", &|size, scale| {
            let theme: &'static Theme = Box::leak(Box::new(Theme { scale, ..Theme::light() }));
            Box::new(MovingFilm::new(moving, theme, size, 40, 20).unwrap())
        });
    }
}
