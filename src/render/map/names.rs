//! Names beside the heads of several paths in one frame, pushed apart where they would collide.

use crate::render::canvas::color::Color;
use crate::render::canvas::{Canvas, Rect, TextStyle};
use crate::render::page::Page;

/// A path's head and its name.
pub(in crate::render) struct Head<'a> {
    /// What is written.
    pub name: &'a str,
    /// The pixel of the head; one outside the frame has no name.
    pub at: (f32, f32),
    /// The path's colour.
    pub color: Color,
}

/// Writes the names of `heads` in `frame`: to the right of a head where there is room, else to its left.
pub(in crate::render) fn draw_names(
    canvas: &mut dyn Canvas,
    page: &Page,
    frame: Rect,
    heads: &[Head],
) {
    let theme = page.theme;
    let size = page.font.label;
    let gap = 1.25 * size;
    let reach = 15.0 * page.px_scale.max(0.4);
    let style = TextStyle::new(size, theme.text).bold();
    // A name that is wider than the frame is cut.
    let inset = 4.0;
    let names: Vec<String> =
        heads.iter().map(|head| style.fit(head.name, frame.w - 2.0 * inset)).collect();
    let mut labels: Vec<(usize, f32, f32, f32)> = Vec::new(); // head, x, baseline, width
    for (k, head) in heads.iter().enumerate() {
        let (x, y) = head.at;
        if !frame.contains(x, y, -1.0) {
            continue;
        }
        let width = style.width(&names[k]);
        let most = frame.right() - inset - width;
        let left = if x + reach <= most { x + reach } else { x - reach - width };
        // Where there is room on neither side, as near as it goes.
        let low = frame.x + inset;
        let left = left.clamp(low, most.max(low));
        labels.push((k, left, y + 0.36 * size, width));
    }
    // A few rounds of pushing each colliding pair apart, alike up and down.
    let order = |a: &(usize, f32, f32, f32), b: &(usize, f32, f32, f32)| {
        a.2.total_cmp(&b.2).then(a.0.cmp(&b.0))
    };
    labels.sort_by(order);
    for _ in 0..30 {
        for i in 1..labels.len() {
            for j in 0..i {
                let (a, b) = (labels[j], labels[i]);
                let beside = a.1 + a.3 + 6.0 < b.1 || b.1 + b.3 + 6.0 < a.1;
                let overlap = gap - (b.2 - a.2);
                if !beside && overlap > 0.0 {
                    labels[j].2 -= 0.5 * overlap;
                    labels[i].2 += 0.5 * overlap;
                }
            }
        }
    }
    for (k, x, baseline, _) in labels {
        let low = frame.y + size;
        let baseline = baseline.clamp(low, (frame.bottom() - 0.3 * size).max(low));
        let halo = Some((theme.casing.alpha(0.9), 2.6 * page.px_scale.max(0.5)));
        let style = TextStyle { halo, color: theme.text.mix(heads[k].color, 0.62), ..style };
        canvas.text(&names[k], x, baseline, &style);
    }
}
