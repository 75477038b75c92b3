//! The picture in the picture: the panel's path seen in another plane, in a corner of the panel and
//! to its scale, so that a way that is long in one plane and short in the other looks it.

use crate::render::canvas::{Canvas, Rect, Stroke, TextStyle};
use crate::render::map::path::{Pen, Track};
use crate::render::page::Page;
use crate::render::scene::{Domain, Inset, PathPoint};

/// An inset, laid out.
pub(in crate::render) struct InsetView<'a> {
    title: &'a str,
    plate: Rect,
    view: Rect,
    track: Track,
}

/// A plate of width and height `size` in the corner of `frame`, `inset` pixels from its edges, that
/// is the first one, from the top right, that is farthest from the path or hides least of it.
fn free_corner(
    frame: Rect,
    (w, h): (f32, f32),
    inset: f32,
    page: &Page,
    path_px: &[(f32, f32)],
) -> Rect {
    let (left, right) = (frame.x + inset, frame.right() - w - inset);
    let (top, bottom) = (frame.y + inset, frame.bottom() - h - inset);
    let corners = [(right, top), (left, top), (right, bottom), (left, bottom)];
    let merit = |(x, y): (f32, f32)| {
        let distance = |p: &(f32, f32)| {
            let dx = (x - p.0).max(p.0 - x - w).max(0.0);
            let dy = (y - p.1).max(p.1 - y - h).max(0.0);
            dx.hypot(dy)
        };
        let nearest = path_px.iter().map(distance).fold(60.0 * page.px_scale, f32::min);
        let hidden = path_px.iter().filter(|p| distance(p) < 12.0 * page.px_scale).count();
        nearest - hidden as f32
    };
    let mut best = corners[0];
    for corner in corners {
        if merit(corner) > merit(best) + 0.5 {
            best = corner;
        }
    }
    Rect::new(best.0, best.1, w, h)
}

impl<'a> InsetView<'a> {
    /// Places `inset` in a corner of `frame`, which shows `domain`, away from the path at `path_px`.
    /// `None` where the frame has no corner for it that is free of the path, and for a path without a
    /// finite point.
    pub fn new(
        inset: &'a Inset,
        domain: Domain,
        frame: Rect,
        page: &Page,
        path_px: &[(f32, f32)],
    ) -> Option<Self> {
        let head = 1.75 * page.font.small;
        let style = TextStyle::new(0.92 * page.font.small, page.theme.text);
        let least = (style.width(&inset.title) + 1.2 * page.font.small).min(0.6 * frame.w);
        let gap = 8.0 * page.px_scale;
        let plate_of = |share: f32| {
            let side = (share * frame.w.min(frame.h)).round();
            free_corner(frame, (side.max(least), side + head), gap, page, path_px)
        };
        let hides = |plate: &Rect| path_px.iter().any(|p| plate.contains(p.0, p.1, -gap));
        // Smaller where it would lie on the path.
        let plate = [0.3, 0.25, 0.2, 0.16].map(plate_of).into_iter().find(|p| !hides(p))?;
        let (side, width) = (plate.h - head, plate.w);
        if side < 5.0 * page.font.small {
            return None;
        }
        let view = Rect::new(plate.x, plate.y + head, width, side);
        // The middle of the path in the middle of the view, units as in the frame.
        let finite = || inset.path.iter().filter(|p| p.x.is_finite() && p.y.is_finite());
        let middle = |of: fn(&PathPoint) -> f64| {
            let range = finite()
                .map(of)
                .fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)]);
            (range[0] <= range[1]).then_some(0.5 * (range[0] + range[1]))
        };
        let (cx, cy) = (middle(|p| p.x)?, middle(|p| p.y)?);
        let half = |d: [f64; 2], px: f32, of: f32| 0.5 * (d[1] - d[0]) * f64::from(px / of);
        let (hx, hy) = (half(domain.x, view.w, frame.w), half(domain.y, view.h, frame.h));
        let own = Domain { x: [cx - hx, cx + hx], y: [cy - hy, cy + hy] };
        let track = Track::new(&inset.path, own, view, page.px_scale);
        Some(Self { title: &inset.title, plate, view, track })
    }

    /// What it covers of the frame.
    pub fn plate(&self) -> Rect {
        self.plate
    }

    /// Draws the plate.
    pub fn draw_static(&self, canvas: &mut dyn Canvas, page: &Page) {
        let theme = page.theme;
        canvas.rect(self.plate, theme.background);
        let (p, v) = (self.plate, self.view);
        let border = Stroke::solid(theme.muted.alpha(0.8), page.px_scale.max(1.0));
        canvas.line(&Rect { h: v.bottom() - p.y, ..p }.outline(), &border);
        let size = 0.92 * page.font.small;
        let style = TextStyle::new(size, theme.text);
        let text = style.fit(self.title, p.w - 1.1 * size);
        canvas.text(&text, p.x + 0.55 * size, p.y + 1.3 * size, &style);
    }

    /// The path until `time`.
    pub fn draw_moving(&self, canvas: &mut dyn Canvas, time: f64, pen: &Pen) {
        canvas.set_clip(Some(self.view));
        self.track.draw(canvas, time, pen);
        canvas.set_clip(None);
    }
}
