//! The read-out of a panel: the epoch of the frame, and of the last snapshot passed its step,
//! learning rate, and both losses, the snapshot's own and the one on the plane below it. The two
//! differ by what the plane leaves out; showing one alone makes readers think the other wrong.

use std::borrow::Cow;

use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::numbers::{epoch_text, fixed, number, thousands};
use crate::render::page::Page;
use crate::render::page::panels::PanelBox;
use crate::render::scene::{Clock, PathPoint, Reading};

/// A line of a read-out: name and value.
pub(in crate::render) type Row = (Cow<'static, str>, String);

/// The lines of a read-out, the epoch first; `time` and `span` are in the unit of `clock`. Between two
/// snapshots the losses are interpolated, and marked so.
pub(in crate::render) fn rows(path: &[PathPoint], clock: Clock, time: f64, span: f64) -> Vec<Row> {
    let (Some(reading), Some(last)) = (Reading::at(path, time), path.last()) else {
        return Vec::new();
    };
    if path.iter().all(|p| p.lr.is_nan() && p.true_loss.is_nan()) {
        // A path without a run: its points are counted.
        let (passed, all) = (reading.step + 1, path.len());
        return vec![("point".into(), format!("{passed} of {all}"))];
    }
    // A run that ended earlier shows its own last epoch.
    let (epoch, epochs) = match clock {
        Clock::Epoch | Clock::Motion | Clock::Snapshot => (time.min(last.epoch), span),
        Clock::Step | Clock::WallTime => (reading.epoch, last.epoch),
    };
    let decimals = if epochs >= 20.0 { 1 } else { 2 };
    vec![
        ("epoch".into(), epoch_text(epoch, decimals)),
        ("step".into(), thousands(&reading.step.to_string())),
        ("learning rate".into(), number(reading.lr)),
        (NETWORK_LOSS.into(), network_loss(&reading)),
        (SURFACE_LOSS.into(), surface_loss(&reading)),
    ]
}

/// The network's own loss of `reading` as text.
pub(in crate::render) fn network_loss(reading: &Reading) -> String {
    measured(reading, reading.true_loss)
}

/// Its loss on the surface, likewise.
pub(in crate::render) fn surface_loss(reading: &Reading) -> String {
    reading.plane_loss.map_or("–".into(), |value| measured(reading, value))
}

fn measured(reading: &Reading, value: f64) -> String {
    let about = if reading.interpolated && value.is_finite() { "≈ " } else { "" };
    format!("{about}{}", loss(value))
}

/// What the loss of a snapshot itself is called.
pub(in crate::render) const NETWORK_LOSS: &str = "loss of the network";

/// What the loss at its projection into the plane is called.
pub(in crate::render) const SURFACE_LOSS: &str = "loss on the surface";

/// A loss as text.
pub(in crate::render) fn loss(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "diverged".into(),
        v if v >= 1e6 => number(value),
        v if v >= 10.0 => fixed(value, 2),
        v if v >= 0.1 => fixed(value, 3),
        v if v >= 0.001 => fixed(value, 4),
        _ => number(value),
    }
}

/// Points all over `plate`: contour labels that keep clear of them keep off it.
pub(in crate::render) fn spots(plate: Rect, page: &Page) -> impl Iterator<Item = (f32, f32)> {
    let step = page.font.small;
    let count = |length: f32| (length / step).ceil().max(1.0) as usize;
    let (nx, ny) = (count(plate.w), count(plate.h));
    (0..=ny).flat_map(move |j| {
        let y = plate.y + plate.h * j as f32 / ny as f32;
        (0..=nx).map(move |i| (plate.x + plate.w * i as f32 / nx as f32, y))
    })
}

/// Draws `rows` where `panel` has its place for them.
pub(in crate::render) fn draw_at(
    canvas: &mut dyn Canvas,
    panel: &PanelBox,
    page: &Page,
    rows: &[Row],
) {
    if let Some(place) = panel.readout {
        draw(canvas, place, rows, page);
    }
}

/// Draws `rows` in `place`: as a list, stacked where the place is narrow, as columns or as one line
/// where it is low.
pub(in crate::render) fn draw(canvas: &mut dyn Canvas, place: Rect, rows: &[Row], page: &Page) {
    let (font, theme) = (page.font, page.theme);
    if rows.is_empty() {
    } else if place.h < 2.0 * font.small {
        draw_line(canvas, place, rows, font.small, theme);
    } else if place.h < 4.0 * font.small {
        draw_columns(canvas, place, rows, font.small, theme);
    } else if place.w < 10.8 * font.small {
        draw_stack(canvas, place, rows, font.small, theme);
    } else {
        let size = if place.w >= 12.4 * font.label { font.label } else { font.small };
        draw_list(canvas, place, rows, size, page.px_scale, theme);
    }
}

/// One under the other in type of `size` pixels, the epoch large.
fn draw_list(
    canvas: &mut dyn Canvas,
    place: Rect,
    rows: &[Row],
    size: f32,
    px_scale: f32,
    theme: &Theme,
) {
    if rows.is_empty() {
        return;
    }
    let name = TextStyle::new(size, theme.muted);
    let value = TextStyle::new(size, theme.text).bold().align(Align::Right);
    // Smaller type where a row does not fit, the same in all frames whatever the numbers are.
    let number = value.width("−0.0000");
    let width = |row: &Row| name.width(&row.0) + value.width(&row.1).max(number);
    let widest = rows[1..].iter().map(width).fold(0.0, f32::max) + 0.6 * size;
    let size = size * (place.w / widest).min(1.0);
    let (name, value) = (TextStyle { size, ..name }, TextStyle { size, ..value });
    let large = TextStyle { size: 1.6 * size, ..value };
    let mut y = place.y + 1.5 * size;
    canvas.text(&rows[0].0, place.x, y, &name);
    canvas.text(&rows[0].1, place.right(), y, &large);
    y += 0.55 * size;
    let rule = Stroke::solid(theme.rule, px_scale.max(0.75));
    canvas.line(&[(place.x, y), (place.right(), y)], &rule);
    for (label, text) in &rows[1..] {
        y += 1.42 * size;
        canvas.text(label, place.x, y, &name);
        canvas.text(text, place.right(), y, &value);
    }
}

/// In a narrow place: each name over its value, the epoch large.
fn draw_stack(canvas: &mut dyn Canvas, place: Rect, rows: &[Row], size: f32, theme: &Theme) {
    let name = TextStyle::new(0.92 * size, theme.muted);
    let widest = rows.iter().map(|row| name.width(&row.0)).fold(0.0, f32::max);
    let name = TextStyle { size: name.size * (place.w / widest).min(1.0), ..name };
    let value = TextStyle::new(1.1 * size, theme.text).bold();
    let mut y = place.y + size;
    for (k, (label, text)) in rows.iter().enumerate() {
        let value = if k == 0 { TextStyle { size: 1.6 * size, ..value } } else { value };
        canvas.text(label, place.x, y, &name);
        y += 0.3 * size + value.size * 0.95;
        canvas.text(text, place.x, y, &value);
        y += 1.45 * size;
    }
}

/// Side by side, the name over the value; the step, the learning rate, then the third give way, and
/// then whatever is last.
fn draw_columns(canvas: &mut dyn Canvas, place: Rect, rows: &[Row], size: f32, theme: &Theme) {
    let name = TextStyle::new(0.92 * size, theme.muted);
    let value = TextStyle::new(1.1 * size, theme.text).bold();
    let mut shown: Vec<&Row> = rows.iter().collect();
    let width = |row: &Row| name.width(&row.0).max(value.width(&row.1)).max(4.2 * size);
    // A gap after the last one, too: the next panel's read-out may follow.
    let total = |shown: &[&Row]| shown.iter().map(|row| width(row) + 0.8 * size).sum::<f32>();
    for dropped in ["step", "learning rate", rows.get(2).map_or("", |row| &*row.0)] {
        if total(&shown) > place.w {
            shown.retain(|row| row.0 != dropped);
        }
    }
    while shown.len() > 1 && total(&shown) > place.w {
        shown.pop();
    }
    let gaps = (shown.len().max(2) - 1) as f32;
    let spare = (place.w - total(&shown)).max(0.0) / gaps;
    let gap = 0.8 * size + spare.min(2.5 * size);
    let mut x = place.x;
    for row in shown {
        canvas.text(&row.0, x, place.y + size, &name);
        canvas.text(&row.1, x, place.y + 2.45 * size, &value);
        x += width(row) + gap;
    }
}

/// In one line, as much as fits.
fn draw_line(canvas: &mut dyn Canvas, place: Rect, rows: &[Row], size: f32, theme: &Theme) {
    let style = TextStyle::new(size, theme.text);
    let mut line = String::new();
    // What a reader asks for first.
    for k in [0, 3, 4, 2, 1] {
        let Some((name, value)) = rows.get(k) else { continue };
        let dot = if line.is_empty() { "" } else { "  ·  " };
        let longer = format!("{line}{dot}{name} {value}");
        if style.width(&longer) > place.w {
            break;
        }
        line = longer;
    }
    canvas.text(&line, place.x, place.y + size, &style);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_snapshot_and_between_two_about_those_between() {
        let point = |step, epoch, true_loss, plane_loss| PathPoint {
            step,
            epoch,
            time: epoch,
            x: 0.0,
            y: 0.0,
            true_loss,
            plane_loss,
            lr: 0.1,
        };
        let path = [
            point(0, 0.0, 2.2961, Some(2.4)),
            point(124, 1.0, 0.5, Some(2.4)),
            point(1240, 10.0, f64::NAN, None),
        ];
        let values = |epoch| {
            let rows = rows(&path, Clock::Epoch, epoch, 10.0);
            rows.into_iter().map(|r| r.1).collect::<Vec<_>>()
        };
        assert_eq!(values(0.0), ["0", "0", "0.1", "2.296", "2.400"]);
        assert_eq!(values(0.5), ["0.50", "62", "0.1", "≈ 1.071", "≈ 2.400"]);
        assert_eq!(values(5.5), ["5.50", "682", "0.1", "diverged", "–"]);
        assert_eq!(values(10.0), ["10", "1,240", "0.1", "diverged", "–"]);
        assert_eq!(values(99.0)[0], "10");
        assert!(rows(&[], Clock::Epoch, 0.0, 1.0).is_empty());
        // Half-way in steps is half-way in epochs.
        let path = [path[0], path[2]].map(|p| PathPoint { time: p.step as f64, ..p });
        assert_eq!(rows(&path, Clock::Step, 620.0, 1240.0)[0].1, "5");
        assert_eq!(rows(&path, Clock::Step, 9999.0, 1240.0)[0].1, "10");
    }
}
