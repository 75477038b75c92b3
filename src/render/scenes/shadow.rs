//! The lecture's argument for choosing the plane well: one path seen in several planes, to one
//! scale. In high dimension a random plane is perpendicular to nearly everything, so the path's
//! shadow on it hardly moves, while its shadow on its principal plane is nearly as long as itself.

use crate::error::{Error, Result};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::map::path::{Pen, Track};
use crate::render::numbers::significant;
use crate::render::page::axes::{
    Axes, LabelPlace, draw_heading, frame_in, gutters, heading_height,
};
use crate::render::page::panels::grid;
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::{Domain, Pacing, PathPoint, Strip};

/// One path in one plane.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShadowView {
    /// The plane ("a random plane").
    pub title: String,
    /// A line of detail; may be empty.
    pub subtitle: String,
    /// The x axis.
    pub x_label: String,
    /// The y axis.
    pub y_label: String,
    /// The path there, its coordinates in one unit for all views (lengths in parameter space).
    pub path: Vec<PathPoint>,
}

/// One path in several planes, moving together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShadowFilm {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// One for each plane, one to four.
    pub views: Vec<ShadowView>,
    /// Charts below.
    pub strip: Strip,
    /// Clock, pauses, card.
    pub pacing: Pacing,
    /// How long the last picture stays, in seconds.
    pub hold_secs: f64,
}

struct Plot {
    cell: Rect,
    frame: Rect,
    domain: Domain,
    track: Track,
    lens: Option<Lens>,
}

/// A magnified look at a shadow too short to see.
struct Lens {
    rect: Rect,
    track: Track,
    factor: f64,
}

/// A shadow film made ready.
pub type ShadowShow<'a> = Scene<'a, Shadows<'a>>;

/// The views of a shadow film.
pub struct Shadows<'a> {
    film: &'a ShadowFilm,
    views: Vec<Plot>,
}

/// The extent of a path's finite points: middle and half-width along x and y.
fn extent(path: &[PathPoint]) -> Option<([f64; 2], [f64; 2])> {
    let along = |of: fn(&PathPoint) -> f64| {
        let finite = path.iter().filter(|p| p.x.is_finite() && p.y.is_finite()).map(of);
        let [a, b] =
            finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)]);
        (a <= b).then_some((0.5 * a + 0.5 * b, 0.5 * b - 0.5 * a))
    };
    let ((cx, rx), (cy, ry)) = (along(|p| p.x)?, along(|p| p.y)?);
    Some(([cx, cy], [rx, ry]))
}

impl<'a> ShadowShow<'a> {
    /// Makes `film` ready for a picture of `size` pixels in `frames` frames.
    ///
    /// Errors: [`Error::Render`] on a film without views, with more than four, or without a single
    /// finite point.
    pub fn new(
        film: &'a ShadowFilm,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        let extents: Vec<_> = film.views.iter().map(|v| extent(&v.path)).collect();
        if !(1..=4).contains(&extents.len()) || extents.iter().all(Option::is_none) {
            return Err(Error::Render {
                what: format!("{} views of a path, or none with a finite point", extents.len()),
                remedy: "show a path with at least one finite snapshot in one to four planes"
                    .into(),
            });
        }
        let spec =
            PageSpec::film(&film.title, &film.caption, &film.strip, &film.pacing, film.hold_secs);
        let times = film.views.iter().flat_map(|v| &v.path).map(|p| p.time);
        let page =
            Page::new(spec, times, Screen { theme, size, frames, fps }).with_strip_below(0.25);
        let (n, body, px_scale) = (film.views.len(), page.body, page.px_scale);
        let columns = if body.w > 1.2 * body.h { n.min(if n == 4 { 2 } else { 3 }) } else { 1 };
        let cells = grid(body, n, columns, 26.0 * px_scale);
        let any = |text: fn(&ShadowView) -> &String| film.views.iter().any(|v| !text(v).is_empty());
        let heading = heading_height(&page.font, [any(|v| &v.title), any(|v| &v.subtitle)]);
        // One half-extent for all: the widest, with a margin; in the shape of the cells.
        let reach =
            |axis: usize| extents.iter().flatten().map(|(_, r)| r[axis]).fold(0.0, f64::max);
        let (rx, ry) = (reach(0), reach(1));
        let around = gutters(&page, [-10.0, 10.0], [page.axis_labels(); 2], heading);
        let shape =
            f64::from((cells[0].w - around[0] - around[2]) / (cells[0].h - around[1] - around[3]));
        let half = (1.2 * rx / shape.max(0.2)).max(1.2 * ry).max(1e-9 * rx.max(1.0));
        let half = if rx.max(ry) > 0.0 { half } else { 1.0 };
        let mut views = Vec::new();
        for (k, (view, cell)) in film.views.iter().zip(cells).enumerate() {
            let last_row = k + columns >= n.next_multiple_of(columns);
            let gap = if last_row { 0.0 } else { 10.0 * px_scale };
            let cell = Rect { h: cell.h - gap, ..cell };
            let ([cx, cy], [vx, vy]) = extents[k].unwrap_or_default();
            let own =
                Domain { x: [cx - half * shape, cx + half * shape], y: [cy - half, cy + half] };
            let frame = frame_in(cell, around, &own, true);
            let track = Track::new(&view.path, own, frame, px_scale);
            // A lens where the shadow would be smaller than the marker that shows it.
            let short = vx.max(vy * shape) < 0.06 * half * shape && vx.max(vy) > 0.0;
            let lens = short.then(|| Lens::new(view, [cx, cy], [vx, vy], own, frame, px_scale));
            views.push(Plot { cell, frame, domain: own, track, lens });
        }
        Ok(Self { page, body: Shadows { film, views } })
    }
}

impl Lens {
    fn new(
        view: &ShadowView,
        [cx, cy]: [f64; 2],
        [rx, ry]: [f64; 2],
        domain: Domain,
        frame: Rect,
        px_scale: f32,
    ) -> Self {
        let side = (0.36 * frame.w.min(frame.h)).round();
        let inset = 10.0 * px_scale;
        let rect = Rect::new(frame.right() - side - inset, frame.y + inset, side, side);
        let half = 1.25 * rx.max(ry);
        let own = Domain { x: [cx - half, cx + half], y: [cy - half, cy + half] };
        let unit = (domain.x[1] - domain.x[0]) / f64::from(frame.w);
        let factor = unit / (2.0 * half / f64::from(side));
        Self { rect, track: Track::new(&view.path, own, rect, px_scale), factor }
    }
}

impl Body for Shadows<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (theme, font) = (page.theme, page.font);
        for (data, view) in self.film.views.iter().zip(&self.views) {
            let (cell, frame) = (view.cell, view.frame);
            let subtitle = Some(data.subtitle.as_str()).filter(|s| !s.is_empty());
            let at = [cell.x, frame.y - 0.8 * font.small, 1.4 * font.small];
            let texts = (data.title.as_str(), subtitle);
            draw_heading(canvas, page, texts, at, frame.right() - cell.x, None);
            let labelled = page.axis_labels();
            let axes = Axes {
                page,
                frame,
                domain: view.domain,
                cell,
                x_label: if labelled { data.x_label.clone() } else { String::new() },
                y_label: if labelled { &data.y_label } else { "" },
                labels: LabelPlace::BesideNumbers,
            };
            axes.draw_mesh(canvas);
            axes.draw(canvas);
            // The whole shadow, pale: what is still to come.
            canvas.set_clip(Some(frame));
            canvas.line(&view.track.pixels(), &ahead(page));
            canvas.set_clip(None);
            if let Some(lens) = &view.lens {
                lens.draw_static(canvas, frame, &view.track, page, theme);
            }
        }
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let time = page.timeline.epoch(frame);
        let pen = Pen::new(page, page.theme.series_color(0));
        for view in &self.views {
            canvas.set_clip(Some(view.frame));
            view.track.draw(canvas, time, &pen);
            if let Some(lens) = &view.lens {
                canvas.set_clip(Some(lens.rect));
                lens.track.draw(canvas, time, &pen);
            }
            canvas.set_clip(None);
        }
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        let views = self.film.views.iter();
        let views = views.flat_map(|v| [&v.title, &v.subtitle, &v.x_label, &v.y_label]);
        views.map(String::as_str).collect()
    }
}

/// How a path that is still to come is drawn.
fn ahead(page: &Page) -> Stroke {
    Stroke::solid(page.theme.muted.alpha(0.35), (1.6 * page.px_scale).max(0.9))
}

impl Lens {
    fn draw_static(
        &self,
        canvas: &mut dyn Canvas,
        frame: Rect,
        track: &Track,
        page: &Page,
        theme: &Theme,
    ) {
        let r = self.rect;
        let line = Stroke::solid(theme.muted, page.px_scale.max(0.9));
        // From the spot that is magnified to the corners of the lens nearest to it.
        if let Some(spot) = track.pixels().first() {
            let pale = Stroke::solid(theme.muted.alpha(0.6), page.px_scale.max(0.8));
            canvas.set_clip(Some(frame));
            canvas.line(&[*spot, (r.x, r.y)], &pale);
            canvas.line(&[*spot, (r.right(), r.bottom())], &pale);
            canvas.set_clip(None);
        }
        canvas.rect(r, theme.background);
        canvas.line(&r.outline(), &line);
        canvas.line(&self.track.pixels(), &ahead(page));
        let style = TextStyle::new(page.font.small, theme.text).bold().align(Align::Right);
        let text = format!("×{}", significant(self.factor, 2));
        let y = r.bottom() + 1.25 * page.font.small;
        canvas.text(&text, r.right(), y, &style);
    }
}
