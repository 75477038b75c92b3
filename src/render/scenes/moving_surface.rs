//! A surface that changes, in space: layers evaluated at moments of training, for mini-batches or for
//! dropout masks ([`crate::render::scenes::stack`]), on one scale of heights and colours.
//!
//! The film rests on every layer as it was evaluated. On the way to the next, each place moves evenly
//! on the scale, and the sheet shows that it is interpolated: it pales as interpolated cells do, its
//! contour lines fade and it loses its gloss. Path and marker lie on the surface of the moment.

use rayon::prelude::*;

use crate::error::Result;
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Canvas, Rect, TextStyle};
use crate::render::map::panel;
use crate::render::page::layout::Layout;
use crate::render::page::panels::{Contents, widest_ems};
use crate::render::page::readout::Row;
use crate::render::page::scale::LevelScale;
use crate::render::page::{Body, Page, Scene, Screen};
use crate::render::scenes::stack::{BOARD_LINES, Moving, Position, draw_board};
use crate::render::scenes::surface::{SurfaceView, axes, draw_bar};
use crate::render::surface3d::flight::Flight;
use crate::render::surface3d::framing;
use crate::render::surface3d::heightfield::{HeightField, Marks};
use crate::render::surface3d::horizon::Horizon;
use crate::render::surface3d::scale;
use crate::render::surface3d::trail::{Trail, materials};
use crate::render::surface3d::viewpoint;
use crate::render::surface3d::window::{FrameSurface, FrameTime, Renderer, Window, nodes};

/// Nodes of the height fields that camera and lens are planned with.
const PLAN: usize = 200;

/// One layer made ready.
struct Sheet {
    places: Vec<f32>,
    marks: Marks,
    horizon: Horizon,
}

/// A moving surface in space, made ready.
pub type MovingSurface<'a> = Scene<'a, MovingSpace<'a>>;

/// A moving surface in its window.
pub struct MovingSpace<'a> {
    moving: &'a Moving,
    layout: Layout,
    scale: LevelScale,
    renderer: Renderer<'a>,
    window: Window,
    /// The first layer; all have its box.
    base: HeightField,
    sheets: Vec<Sheet>,
    /// The path's end.
    end: f64,
}

impl<'a> MovingSurface<'a> {
    /// Makes `moving` ready for a picture of `size` pixels in `frames` frames at `fps`.
    ///
    /// Errors: those of `Moving::check`, [`crate::Error::BadValue`] on a look out of range.
    pub fn new(
        moving: &'a Moving,
        look: &SurfaceView,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        moving.check()?;
        look.check()?;
        let values: Vec<f64> = moving.values().collect();
        let scale = scale::scale(&values, look.heights, look.clip, &moving.levels)?;
        let panel = moving.layer_panel(0);
        let contents = Contents {
            panels: std::slice::from_ref(&panel),
            // The layout of windows asks for no domain.
            domains: &[],
            bar_label_ems: widest_ems(&scale.labels()),
            table: None,
        };
        let screen = Screen { theme, size, frames, fps };
        let (page, layout) =
            Page::laid_out(moving.page_spec(), moving.times(), screen, 18.0, |page| {
                Layout::windows(page, &contents, &moving.value_label, BOARD_LINES)
            });
        let relief = look.relief.unwrap_or(framing::NATURAL);
        let viewport = layout.panels[0].frame;
        // One after the other: what all of them would take at once is much.
        let field = |layer: usize, nodes: usize| {
            HeightField::with_nodes(&moving.layer_panel(layer), &scale, relief, nodes)
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
        let trail = Trail::new(&panel, &base, &scale);
        let end = trail.end().unwrap_or(0.0);
        // On each layer the marker where it is then.
        let seen = plans.iter().enumerate().map(|(layer, plan)| {
            let time = moving.path_time(Position { layer, share: 0.0 }, end);
            trail.stand(plan, time)
        });
        let seen: Vec<_> = seen.collect();
        let (azimuth, elevation) = viewpoint::best(&seen, look.azimuth, look.elevation);
        let way = look.camera.placed(azimuth, elevation);
        let at = |share: f64| {
            let frame = (share * (page.timeline.frames - 1) as f64).round() as usize;
            moving.position(&page.timeline, frame)
        };
        let lowest = base.lowest();
        let marker = |share: f64| trail.at(moving.path_time(at(share), end)).unwrap_or(lowest);
        let ground = |share: f64| {
            let at = at(share);
            &plans[at.layer + usize::from(at.share > 0.5)]
        };
        let flight = Flight::new(&way, ground, page.timeline.frames, marker);
        let panel = (&panel, &layout.panels[0]);
        let axes = axes(&page, panel, &base, &scale, &moving.value_label);
        let materials = materials(theme, theme.series_color(0));
        let mut windows = [Window { axes, trail, flight, materials, viewport, centre: [0.0; 2] }];
        let type_sizes = (page.font, page.px_scale);
        let renderer =
            Renderer::new(theme, &scale, type_sizes, &mut windows, &way, relief, look.passes);
        let [window] = windows;
        let body = MovingSpace { moving, layout, scale, renderer, window, base, sheets, end };
        Ok(Self { page, body })
    }
}

impl MovingSpace<'_> {
    /// The surface of a position.
    fn field(&self, at: Position) -> HeightField {
        let now = &self.sheets[at.layer];
        let next = if at.share > 0.0 { &self.sheets[at.layer + 1] } else { now };
        let pair = [now, next].map(|sheet| (&sheet.places[..], &sheet.marks));
        self.base.between(pair, at.share as f32)
    }
}

/// The read-out where there is no room for a board, side by side: names above their values.
fn draw_line(canvas: &mut dyn Canvas, rows: &[Row], place: Rect, page: &Page) {
    let (size, theme) = (page.font.small, page.theme);
    let name = TextStyle::new(size, theme.muted);
    let value = TextStyle::new(size, theme.text).bold();
    let two = place.h >= 2.4 * size;
    let mut x = place.x;
    // Numbers say nothing without their names.
    for (what, text) in rows.iter().take(if two { rows.len() } else { 3 }) {
        let width = value.width(text).max(if two { name.width(what) } else { 0.0 });
        if x + width > place.right() {
            break;
        }
        if two {
            canvas.text(what, x, place.y + 1.1 * size, &name);
        }
        canvas.text(text, x, place.y + if two { 2.4 } else { 1.1 } * size, &value);
        x += width + 1.4 * size;
    }
}

impl Body for MovingSpace<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, moving) = (&self.layout, self.moving);
        panel::draw_heading(canvas, &moving.panel, &layout.panels[0], page, None);
        draw_bar(canvas, layout.colorbar, (&moving.value_label, &self.scale), page);
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let moving = self.moving;
        let at = moving.position(&page.timeline, frame);
        let field = self.field(at);
        let light = |azimuth: f32, elevation: f32| {
            let now = &self.sheets[at.layer].horizon;
            match self.sheets.get(at.layer + 1).filter(|_| at.share > 0.0) {
                Some(next) => now.light_towards(&next.horizon, at.share as f32, azimuth, elevation),
                None => now.light(azimuth, elevation),
            }
        };
        let surface = FrameSurface { field: &field, light: &light, between: at.between() };
        let time = moving.path_time(at, self.end);
        let now = FrameTime::new(frame, page.timeline.frames, time, 0.25 * self.end);
        self.window.draw(canvas, &self.renderer, &surface, now, page.theme.series_color(0));
        if let Some(place) = self.layout.panels[0].readout {
            if place.h >= 0.8 * BOARD_LINES * page.font.label {
                draw_board(canvas, moving, at, place, page);
            } else {
                draw_line(canvas, &moving.rows(at), place, page);
            }
        }
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
    use crate::render::scene::{ContourPanel, Grid, PathPoint};
    use crate::render::scenes::stack::{Marker, MovingLayer};
    use crate::render::surface3d::flight::CameraPath;
    use crate::render::tests::golden::assert_golden_frame;
    use crate::render::tests::words::assert_legible;

    /// A bowl that deepens and follows the marker, over three layers; the second one has a hole.
    fn moving() -> Moving {
        let along = |n: usize| -> Vec<f64> {
            (0..n).map(|i| 2.0 * i as f64 / (n - 1) as f64 - 1.0).collect()
        };
        let (xs, ys) = (along(25), along(21));
        let place = |t: f64| (1.2 * t - 0.7, 0.5 - 0.9 * t * t);
        let layer = |k: usize| {
            let t = k as f64 / 2.0;
            let (x, y) = place(t);
            let loss = move |a: f64, b: f64| {
                0.3 - 0.28 * t + (1.0 + 3.0 * t) * ((a - x).powi(2) + 2.0 * (b - y).powi(2))
            };
            let mut values: Vec<f64> =
                ys.iter().flat_map(|&b| xs.iter().map(move |&a| loss(a, b))).collect();
            if k == 1 {
                (values[3 * 25 + 4], values[3 * 25 + 5]) = (f64::NAN, f64::NAN);
            }
            let at_ball = 0.3 - 0.28 * t;
            MovingLayer {
                label: format!("snapshot {}", 5 * k),
                values,
                epoch: 5.0 * t,
                true_loss: at_ball,
                plane_loss: at_ball,
            }
        };
        let layers = (0..3).map(layer).collect();
        let path = (0..11).map(|i| {
            let (x, y) = place(f64::from(i) / 10.0);
            let epoch = f64::from(i) / 2.0;
            PathPoint {
                epoch,
                time: epoch,
                x,
                y,
                true_loss: f64::NAN,
                lr: 0.1,
                ..PathPoint::default()
            }
        });
        let path = path.collect();
        Moving {
            title: "A bowl that deepens".into(),
            caption: "A function of two variables and time.".into(),
            value_label: "loss".into(),
            panel: ContourPanel {
                grid: Grid { xs: xs.clone(), ys: ys.clone(), values: vec![], interpolated: None },
                path,
                x_label: "PC1".into(),
                y_label: "PC2".into(),
                ..ContourPanel::default()
            },
            layers,
            x_label: "epoch".into(),
            hold_secs: 0.2,
            ..Moving::default()
        }
    }

    fn look(camera: &str) -> SurfaceView {
        SurfaceView::new(CameraPath::preset(camera).unwrap())
    }

    #[test]
    fn frames_of_a_moving_surface_in_space_look_as_they_did() {
        let (moving, theme) = (moving(), Theme::light());
        let film = MovingSurface::new(&moving, &look("sway"), &theme, [560, 315], 40, 20).unwrap();
        assert!(
            moving.position(&film.page.timeline, 9).share > 0.3,
            "{:?}",
            moving.position(&film.page.timeline, 9)
        );
        assert_golden_frame("moving-space-between", &film, 9);
        assert_golden_frame("moving-space-layer", &film, 18);
    }

    #[test]
    fn layers_are_shown_as_evaluated_and_between_them_places_move_evenly_on_the_scale() {
        let (moving, theme) = (moving(), Theme::light());
        let film = MovingSurface::new(&moving, &look("still"), &theme, [560, 315], 40, 20).unwrap();
        let at = |layer, share| film.body.field(Position { layer, share });
        let alone = |layer: usize| {
            let panel = moving.layer_panel(layer);
            let nodes = nodes(film.body.window.viewport, 1);
            HeightField::with_nodes(&panel, &film.body.scale, 1.35, nodes)
        };
        for (u, v) in [(0.2f32, 0.3f32), (0.5, 0.5), (0.81, 0.77)] {
            let (first, second) = (alone(0).at(u, v), alone(1).at(u, v));
            assert_eq!(at(0, 0.0).at(u, v), first);
            assert_eq!(at(1, 0.0).at(u, v), second);
            let half = at(0, 0.5).at(u, v)[0];
            assert!((half - 0.5 * (first[0] + second[0])).abs() < 1e-5);
        }
        // The hole is there on its layer and on the way to and from it.
        let hole = |layer, share| at(layer, share).mark(4.5 / 24.0, 3.0 / 20.0);
        use crate::render::surface3d::heightfield::Mark;
        assert_eq!((hole(0, 0.0), hole(0, 0.1)), (Mark::Plain, Mark::Hole));
        assert_eq!(
            (hole(1, 0.0), hole(1, 0.9), hole(2, 0.0)),
            (Mark::Hole, Mark::Hole, Mark::Plain)
        );
    }

    #[test]
    fn small_and_strange_moving_surfaces_are_drawn_in_space() {
        let mut cases = vec![Moving { marker: Marker::Stays, ..moving() }];
        let mut single = moving();
        single.layers.truncate(1);
        cases.push(single);
        let mut holes = moving();
        holes.layers[1].values.fill(f64::NAN);
        holes.layers[2].values[7] = f64::INFINITY;
        cases.push(holes);
        let mut nothing = moving();
        nothing.layers.iter_mut().for_each(|l| l.values.fill(f64::NAN));
        nothing.panel.path.clear();
        cases.push(nothing);
        for case in cases {
            for (camera, size) in
                [("sway", [320, 180]), ("follow", [640, 480]), ("orbit", [360, 640])]
            {
                let theme = Theme::print();
                let film = MovingSurface::new(&case, &look(camera), &theme, size, 9, 30).unwrap();
                let backdrop = show::backdrop(&film).unwrap();
                for k in [0, 3, 8] {
                    let picture = show::frame(&film, &backdrop, k).unwrap();
                    assert!(picture.rgba().chunks_exact(4).all(|p| p[3] == 255), "not opaque");
                }
            }
        }
        let theme = Theme::light();
        let none = Moving { layers: vec![], ..moving() };
        assert!(MovingSurface::new(&none, &look("still"), &theme, [640, 360], 9, 30).is_err());
        let wrong = SurfaceView { relief: Some(9.0), ..look("still") };
        assert!(MovingSurface::new(&moving(), &wrong, &theme, [640, 360], 9, 30).is_err());
    }

    #[test]
    fn words_can_be_read_at_every_size() {
        let moving: &'static Moving = Box::leak(Box::new(moving()));
        let look = look("sway");
        assert_legible("a moving surface in space", &|size, scale| {
            let theme: &'static Theme = Box::leak(Box::new(Theme { scale, ..Theme::light() }));
            Box::new(MovingSurface::new(moving, &look, theme, size, 40, 20).unwrap())
        });
    }
}
