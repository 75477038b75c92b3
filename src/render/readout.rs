//! The read-out of a panel: the epoch of the frame, and of the last snapshot passed its step,
//! learning rate, and both losses, the snapshot's own and the one on the plane below it. The two
//! differ by what the plane leaves out; showing one alone makes readers think the other wrong.

use super::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use super::layout::Layout;
use super::scale::{fixed, number, thousands};
use super::scene::PathPoint;
use super::theme::Theme;

/// The lines of a read-out: name and value, the epoch first.
pub fn rows(path: &[PathPoint], epoch: f64, span: f64) -> Vec<(&'static str, String)> {
    let passed = path.partition_point(|p| p.epoch <= epoch).max(1);
    let Some(snapshot) = path.get(passed - 1) else { return Vec::new() };
    let decimals = if span >= 20.0 { 1 } else { 2 };
    // A run that ended earlier shows its own last epoch.
    let last = path[path.len() - 1].epoch;
    let mut rows = vec![
        ("epoch", fixed(epoch.min(last), decimals)),
        ("step", thousands(&snapshot.step.to_string())),
        ("learning rate", number(snapshot.lr)),
        ("true loss", loss(snapshot.true_loss)),
    ];
    rows.push(("in-plane loss", snapshot.plane_loss.map_or("–".into(), loss)));
    rows
}

fn loss(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "diverged".into(),
        v if v >= 1e6 => number(value),
        v if v >= 10.0 => fixed(value, 2),
        v if v >= 0.1 => fixed(value, 3),
        v if v >= 0.001 => fixed(value, 4),
        _ => number(value),
    }
}

/// The place of a read-out in a corner of `frame`: the corner farthest from the path.
pub fn corner(frame: Rect, layout: &Layout, path_px: &[(f32, f32)]) -> Option<Rect> {
    let size = corner_size(layout);
    let (w, h) = (13.6 * size, 8.5 * size);
    let inset = 8.0 * layout.s;
    if frame.w < 1.6 * w || frame.h < 1.5 * h {
        return None;
    }
    let (left, right) = (frame.x + inset, frame.right() - w - inset);
    let (top, bottom) = (frame.y + inset, frame.bottom() - h - inset);
    let corners = [(right, top), (left, top), (right, bottom), (left, bottom)];
    let distance = |&(x, y): &(f32, f32)| {
        path_px
            .iter()
            .map(|p| {
                let dx = (x - p.0).max(p.0 - x - w).max(0.0);
                let dy = (y - p.1).max(p.1 - y - h).max(0.0);
                dx.hypot(dy)
            })
            .fold(f32::INFINITY, f32::min)
            .min(60.0 * layout.s)
    };
    let mut best = corners[0];
    for corner in corners {
        // Ties go to the first: top right.
        if distance(&corner) > distance(&best) + 0.5 {
            best = corner;
        }
    }
    Some(Rect::new(best.0, best.1, w, h))
}

fn corner_size(layout: &Layout) -> f32 {
    layout.font.small
}

/// Draws `rows` in `place`: free-standing beside a frame, or on a plate inside it.
pub fn draw(
    canvas: &mut dyn Canvas,
    place: Rect,
    on_plate: bool,
    rows: &[(&'static str, String)],
    layout: &Layout,
    theme: &Theme,
) {
    let Some(((_, epoch), rest)) = rows.split_first() else { return };
    let size = if on_plate { corner_size(layout) } else { layout.font.label };
    let mut inner = place;
    if on_plate {
        canvas.rect(place, theme.background.alpha(0.9));
        let pad = 0.7 * size;
        inner = Rect::new(place.x + pad, place.y + 0.5 * pad, place.w - 2.0 * pad, place.h - pad);
    }
    let name = TextStyle::new(size, theme.muted);
    let value = TextStyle::new(size, theme.text).bold().align(Align::Right);
    let mut y = inner.y + 1.5 * size;
    let large = TextStyle { size: 1.6 * size, ..value };
    canvas.text("epoch", inner.x, y, &name);
    canvas.text(epoch, inner.right(), y, &large);
    y += 0.55 * size;
    let rule = Stroke::solid(theme.rule, layout.s.max(0.75));
    canvas.line(&[(inner.x, y), (inner.right(), y)], &rule);
    for (label, text) in rest {
        y += 1.42 * size;
        canvas.text(label, inner.x, y, &name);
        canvas.text(text, inner.right(), y, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_last_snapshot_passed() {
        let point = |step, epoch, true_loss, plane_loss| PathPoint {
            step,
            epoch,
            x: 0.0,
            y: 0.0,
            true_loss,
            plane_loss,
            lr: 0.1,
        };
        let path = [point(0, 0.0, 2.3026, Some(2.4)), point(1240, 10.0, f64::NAN, None)];
        let values = |epoch| rows(&path, epoch, 10.0).into_iter().map(|r| r.1).collect::<Vec<_>>();
        assert_eq!(values(4.5), ["4.50", "0", "0.1", "2.303", "2.400"]);
        assert_eq!(values(10.0), ["10.00", "1,240", "0.1", "diverged", "–"]);
        assert_eq!(values(99.0)[0], "10.00");
        assert!(rows(&[], 0.0, 1.0).is_empty());
    }
}
