//! Paths that lie under another: where two racers go the same way the lower one's colour is drawn
//! again as dashes over the upper one, so that both can be seen.

use std::collections::HashMap;

use crate::render::canvas::{Canvas, Cap, Stroke};
use crate::render::map::path::{Pen, Track};

/// How near, in design pixels, two lines are where one covers the other.
const REACH: f32 = 3.0;

/// For each point of the track's line the time from which on a later track covers it; infinite where
/// none does.
pub(super) fn covered_from(tracks: &[Track], px_scale: f32) -> Vec<Vec<f64>> {
    let reach = (REACH * px_scale).max(1.5);
    let cell = |(x, y): (f32, f32)| ((x / reach).floor() as i64, (y / reach).floor() as i64);
    // The first time at which each cell holds a line, track by track from the last.
    let mut above: HashMap<(i64, i64), f64> = HashMap::new();
    let mut found = vec![Vec::new(); tracks.len()];
    for (k, track) in tracks.iter().enumerate().rev() {
        let near = |point: (f32, f32)| {
            let (i, j) = cell(point);
            let around = (-1..=1).flat_map(|di| (-1..=1).map(move |dj| (i + di, j + dj)));
            around.filter_map(|c| above.get(&c)).copied().fold(f64::INFINITY, f64::min)
        };
        found[k] = track.line().iter().map(|&(time, p)| near(p).max(time)).collect();
        // Points of a line are about three pixels apart: those between them count, too.
        for pair in track.line().windows(2) {
            let ((_, a), (time, b)) = (pair[0], pair[1]);
            let steps = ((b.0 - a.0).hypot(b.1 - a.1) / (0.5 * reach)).ceil().clamp(1.0, 4096.0);
            for i in 0..=steps as usize {
                let share = i as f32 / steps;
                let at = (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1));
                let first = above.entry(cell(at)).or_insert(time);
                *first = first.min(time);
            }
        }
    }
    found
}

/// Draws those stretches of `track` until `time` that another covers by then, `from` as
/// [`covered_from`] found; `order` counts the tracks from the lowest.
pub(super) fn draw(
    canvas: &mut dyn Canvas,
    (track, from): (&Track, &[f64]),
    time: f64,
    pen: &Pen,
    order: usize,
) {
    let px_scale = pen.px_scale;
    // Of three that coincide each shows: who is drawn later has shorter dashes.
    let dash = (12.0 - 3.0 * order as f32).max(4.0) * px_scale;
    let stroke = Stroke {
        dash: Some([dash, 24.0 * px_scale - dash]),
        cap: Cap::Butt,
        ..Stroke::solid(pen.color, (3.2 * px_scale).max(1.4))
    };
    let mut run: Vec<(f32, f32)> = Vec::new();
    let mut flush = |run: &mut Vec<(f32, f32)>| {
        let length: f32 = run.windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).sum();
        if length > 8.0 * px_scale {
            canvas.line(run, &stroke);
        }
        run.clear();
    };
    for (&(at, point), &from) in track.line().iter().zip(from) {
        if at > time {
            break;
        }
        match from <= time {
            true => run.push(point),
            false => flush(&mut run),
        }
    }
    flush(&mut run);
}
