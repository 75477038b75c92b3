//! The picture in the picture: the panel's path seen in another plane, in a corner of the panel and
//! to its scale, so that a way that is long in one plane and short in the other looks it.

use crate::render::canvas::{Canvas, Rect, Stroke, TextStyle};
use crate::render::map::path::{Pen, Track};
use crate::render::page::Page;
use crate::render::page::readout;
use crate::render::scene::{Domain, Inset, PathPoint};

/// An inset, laid out.
pub(in crate::render) struct InsetView<'a> {
    title: &'a str,
    plate: Rect,
    view: Rect,
    track: Track,
}

impl<'a> InsetView<'a> {
    /// Places `inset` in a corner of `frame`, which shows `domain`, away from the path at `path_px`.
    /// `None` where the frame is too small, and for a path without a finite point.
    pub fn new(
        inset: &'a Inset,
        domain: Domain,
        frame: Rect,
        page: &Page,
        path_px: &[(f32, f32)],
    ) -> Option<Self> {
        let side = (0.3 * frame.w.min(frame.h)).round();
        let head = 1.75 * page.font.small;
        if side < 5.0 * page.font.small {
            return None;
        }
        let style = TextStyle::new(0.92 * page.font.small, page.theme.text);
        let width =
            side.max((style.width(&inset.title) + 1.2 * page.font.small).min(0.6 * frame.w));
        let gap = 8.0 * page.px_scale;
        let plate = readout::free_corner(frame, (width, side + head), gap, page, path_px);
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
