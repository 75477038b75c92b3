//! The lecture's argument for choosing the plane well: one path seen in several planes, to one
//! scale. In high dimension a random plane is perpendicular to nearly everything, so the path's
//! shadow on it hardly moves, while its shadow on its principal plane is nearly as long as itself.

use crate::error::{Error, Result};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::film::show::Show;
use crate::render::map::path::{Pen, Track};
use crate::render::page::scale::significant;
use crate::render::page::timeline::Timeline;
use crate::render::page::{Furniture, Page};
use crate::render::scene::Domain;
use crate::render::scene::{Pacing, PathPoint, Strip};

use crate::render::page::axes::{Axes, draw_heading, frame_in, gutters, heading_height};

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
    /// How long the last picture stands, in seconds.
    pub hold_secs: f64,
}

struct View {
    frame: Rect,
    /// The frame from the cell's left end, for what is written above it.
    heading: Rect,
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
pub struct ShadowShow<'a> {
    film: &'a ShadowFilm,
    page: Page<'a>,
    timeline: Timeline,
    views: Vec<View>,
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
        let furniture = Furniture {
            title: &film.title,
            caption: &film.caption,
            strip: &film.strip,
            pacing: &film.pacing,
        };
        let clock = film.pacing.clock;
        let times = film.views.iter().flat_map(|v| &v.path).map(|p| clock.time(p));
        let timeline = Timeline::over(times, &film.pacing, film.hold_secs, frames, f64::from(fps));
        let span = [timeline.start, timeline.end];
        let page = Page::new(size, furniture, span, theme);
        let n = film.views.len();
        let columns =
            if page.body.w > 1.2 * page.body.h { n.min(if n == 4 { 2 } else { 3 }) } else { 1 };
        let rows = n.div_ceil(columns);
        let gap = 26.0 * page.s;
        let cell_w = (page.body.w - gap * (columns - 1) as f32) / columns as f32;
        let cell_h = page.body.h / rows as f32;
        let (font, s) = (page.font, page.s);
        let heading = heading_height(
            &font,
            film.views.iter().any(|v| !v.title.is_empty()),
            film.views.iter().any(|v| !v.subtitle.is_empty()),
        );
        let roomy = page.rect.h >= 240.0;
        // One half-extent for all: the widest, with a margin; in the shape of the cells.
        let reach =
            |axis: usize| extents.iter().flatten().map(|(_, r)| r[axis]).fold(0.0, f64::max);
        let (rx, ry) = (reach(0), reach(1));
        let around = gutters(&font, s, [-10.0, 10.0], [roomy; 2], heading);
        let shape = f64::from((cell_w - around[0] - around[2]) / (cell_h - around[1] - around[3]));
        let half = (1.2 * rx / shape.max(0.2)).max(1.2 * ry).max(1e-9 * rx.max(1.0));
        let half = if rx.max(ry) > 0.0 { half } else { 1.0 };
        let mut views = Vec::new();
        for (k, view) in film.views.iter().enumerate() {
            let cell = Rect::new(
                page.body.x + (k % columns) as f32 * (cell_w + gap),
                page.body.y + (k / columns) as f32 * cell_h,
                cell_w,
                cell_h - if k / columns + 1 < rows { 10.0 * s } else { 0.0 },
            );
            let ([cx, cy], [vx, vy]) = extents[k].unwrap_or_default();
            let own =
                Domain { x: [cx - half * shape, cx + half * shape], y: [cy - half, cy + half] };
            let frame = frame_in(cell, around, &own, true);
            let track = Track::with_clock(&view.path, clock, own, frame, s);
            // A lens where the shadow would be smaller than the ball that shows it.
            let short = vx.max(vy * shape) < 0.06 * half * shape && vx.max(vy) > 0.0;
            let lens =
                short.then(|| Lens::new(view, [cx, cy], [vx, vy], own, frame, &film.pacing, s));
            let heading = Rect { x: cell.x, ..frame };
            views.push(View { frame, heading, domain: own, track, lens });
        }
        Ok(Self { film, page, timeline, views })
    }
}

impl Lens {
    fn new(
        view: &ShadowView,
        [cx, cy]: [f64; 2],
        [rx, ry]: [f64; 2],
        domain: Domain,
        frame: Rect,
        pacing: &Pacing,
        s: f32,
    ) -> Self {
        let side = (0.36 * frame.w.min(frame.h)).round();
        let inset = 10.0 * s;
        let rect = Rect::new(frame.right() - side - inset, frame.y + inset, side, side);
        let half = 1.25 * rx.max(ry);
        let own = Domain { x: [cx - half, cx + half], y: [cy - half, cy + half] };
        let unit = (domain.x[1] - domain.x[0]) / f64::from(frame.w);
        let factor = unit / (2.0 * half / f64::from(side));
        Self { rect, track: Track::with_clock(&view.path, pacing.clock, own, rect, s), factor }
    }
}

impl Show for ShadowShow<'_> {
    fn size(&self) -> [u32; 2] {
        self.page.size()
    }

    fn frames(&self) -> usize {
        self.timeline.frames
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (theme, page) = (self.page.theme(), &self.page);
        page.draw_static(canvas)?;
        let font = page.font;
        let roomy = page.rect.h >= 240.0;
        for (data, view) in self.film.views.iter().zip(&self.views) {
            let frame = view.frame;
            let room = frame.right() - view.heading.x;
            draw_heading(canvas, [&data.title, &data.subtitle], view.heading, room, &font, theme);
            let axes = Axes {
                frame,
                domain: view.domain,
                x_label: if roomy { &data.x_label } else { "" },
                y_label: if roomy { &data.y_label } else { "" },
                font,
                s: page.s,
            };
            axes.draw_mesh(canvas, theme);
            axes.draw(canvas, theme);
            // The whole shadow, pale: what is still to come.
            let ahead = Stroke::solid(theme.muted.alpha(0.35), (1.6 * page.s).max(0.9));
            canvas.set_clip(Some(frame));
            canvas.line(&view.track.pixels(), &ahead);
            canvas.set_clip(None);
            if let Some(lens) = &view.lens {
                lens.draw_static(canvas, frame, &view.track, page, theme);
            }
        }
        Ok(())
    }

    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let (theme, s) = (self.page.theme(), self.page.s);
        let time = self.timeline.epoch(frame);
        let fade = 0.22 * (self.timeline.end - self.timeline.start);
        let pen = Pen { color: theme.series_color(0), theme, s, fade };
        for view in &self.views {
            canvas.set_clip(Some(view.frame));
            view.track.draw(canvas, time, &pen);
            canvas.set_clip(None);
            if let Some(lens) = &view.lens {
                canvas.set_clip(Some(lens.rect));
                lens.track.draw(canvas, time, &pen);
                canvas.set_clip(None);
            }
        }
        self.page.draw_moving(canvas, &self.timeline, frame);
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.page.theme()
    }

    fn texts(&self) -> Vec<&str> {
        let film = self.film;
        let views = film.views.iter().flat_map(|v| [&v.title, &v.subtitle, &v.x_label, &v.y_label]);
        let furniture = Furniture {
            title: &film.title,
            caption: &film.caption,
            strip: &film.strip,
            pacing: &film.pacing,
        };
        views.map(String::as_str).chain(furniture.texts()).collect()
    }
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
        let line = Stroke::solid(theme.muted, page.s.max(0.9));
        // From the spot that is magnified to the corners of the lens nearest to it.
        if let Some(spot) = track.pixels().first() {
            let pale = Stroke::solid(theme.muted.alpha(0.6), page.s.max(0.8));
            canvas.set_clip(Some(frame));
            canvas.line(&[*spot, (r.x, r.y)], &pale);
            canvas.line(&[*spot, (r.right(), r.bottom())], &pale);
            canvas.set_clip(None);
        }
        canvas.rect(r, theme.background);
        let corners =
            [(r.x, r.y), (r.right(), r.y), (r.right(), r.bottom()), (r.x, r.bottom()), (r.x, r.y)];
        canvas.line(&corners, &line);
        let ahead = Stroke::solid(theme.muted.alpha(0.35), (1.6 * page.s).max(0.9));
        canvas.line(&self.track.pixels(), &ahead);
        let style = TextStyle::new(page.font.small, theme.text).bold().align(Align::Right);
        let text = format!("×{}", significant(self.factor, 2));
        let y = r.bottom() + 1.25 * page.font.small;
        canvas.text(&text, r.right(), y, &style);
    }
}
