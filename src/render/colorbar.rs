//! The shape of a colour bar: straight between `top` and `bottom`, and pointed at an end beyond which
//! values are clipped.

use tiny_skia::{Path, PathBuilder};

use super::canvas::{Canvas, Rect, Stroke};
use super::theme::Theme;

/// A bar and where its points are.
#[derive(Debug, Clone, Copy)]
pub struct BarPoints {
    /// All of the bar, points and all.
    pub bar: Rect,
    /// Where its straight part begins.
    pub top: f32,
    /// Where that ends.
    pub bottom: f32,
    /// Whether values below its lower end are clipped.
    pub low: bool,
    /// Whether values above its upper end are.
    pub high: bool,
}

impl BarPoints {
    fn middle(&self) -> f32 {
        self.bar.x + 0.5 * self.bar.w
    }

    /// The triangle at the upper or the lower end; `None` where nothing is clipped.
    pub fn point(&self, high: bool) -> Option<Path> {
        let bar = self.bar;
        let (there, tip, base) = match high {
            true => (self.high, bar.y, self.top),
            false => (self.low, bar.bottom(), self.bottom),
        };
        let mut path = PathBuilder::new();
        path.move_to(bar.x, base);
        path.line_to(self.middle(), tip);
        path.line_to(bar.right(), base);
        path.close();
        path.finish().filter(|_| there)
    }

    /// One outline around the straight part and the points.
    pub fn draw_outline(&self, canvas: &mut dyn Canvas, s: f32, theme: &Theme) {
        let (bar, middle) = (self.bar, self.middle());
        let mut outline = vec![(bar.x, self.bottom), (bar.x, self.top)];
        outline.extend(self.high.then_some((middle, bar.y)));
        outline.extend([(bar.right(), self.top), (bar.right(), self.bottom)]);
        outline.extend(self.low.then_some((middle, bar.bottom())));
        outline.extend([(bar.x, self.bottom), (bar.x, self.top)]);
        canvas.line(&outline, &Stroke::solid(theme.muted.alpha(0.8), s.max(0.75)));
    }
}
