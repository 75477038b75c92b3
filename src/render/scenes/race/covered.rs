//! Paths that coincide: where two racers go the same way both colours are drawn at full strength in
//! turns, the lower one's as dashes over the upper one's, so that each can be seen.

use std::collections::HashMap;

use crate::render::canvas::{Canvas, Cap, Stroke};
use crate::render::map::path::{Pen, Track};

/// How near, in design pixels, two lines are where one covers the other.
const REACH: f32 = 3.0;
/// The least length of one colour's turn in design pixels.
const TURN: f32 = 5.0;

/// From which time on each point of one track's line coincides with others; infinite where it never
/// does.
#[derive(Debug, Clone, Default)]
pub(super) struct Coincident {
    /// With a track that is drawn later and covers it.
    under: Vec<f64>,
    /// With a track that is drawn earlier and is covered by it.
    over: Vec<f64>,
}

/// Where each of `tracks`, in the order in which they are drawn, coincides with others.
pub(super) fn coincident(tracks: &[Track], px_scale: f32) -> Vec<Coincident> {
    let reach = (REACH * px_scale).max(1.5);
    let mut found = vec![Coincident::default(); tracks.len()];
    for (k, under) in met_from(tracks, (0..tracks.len()).rev(), reach) {
        found[k].under = under;
    }
    for (k, over) in met_from(tracks, 0..tracks.len(), reach) {
        found[k].over = over;
    }
    found
}

/// For each track in `order` from when on each of its points lies within `reach` pixels of a track that
/// came before it in that order.
fn met_from(
    tracks: &[Track],
    order: impl Iterator<Item = usize>,
    reach: f32,
) -> Vec<(usize, Vec<f64>)> {
    let cell = |(x, y): (f32, f32)| ((x / reach).floor() as i64, (y / reach).floor() as i64);
    // The first time at which each cell holds a line.
    let mut met: HashMap<(i64, i64), f64> = HashMap::new();
    let mut found = Vec::with_capacity(tracks.len());
    for k in order {
        let track = &tracks[k];
        let near = |point: (f32, f32)| {
            let (i, j) = cell(point);
            let around = (-1..=1).flat_map(|di| (-1..=1).map(move |dj| (i + di, j + dj)));
            around.filter_map(|c| met.get(&c)).copied().fold(f64::INFINITY, f64::min)
        };
        found.push((k, track.line().iter().map(|&(time, p)| near(p).max(time)).collect()));
        // Points of a line are about three pixels apart: those between them count, too.
        for pair in track.line().windows(2) {
            let ((_, a), (time, b)) = (pair[0], pair[1]);
            let steps = ((b.0 - a.0).hypot(b.1 - a.1) / (0.5 * reach)).ceil().clamp(1.0, 4096.0);
            for i in 0..=steps as usize {
                let share = i as f32 / steps;
                let at = (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1));
                let first = met.entry(cell(at)).or_insert(time);
                *first = first.min(time);
            }
        }
    }
    found
}

/// Draws the stretches of `tracks` that coincide by `time`: the covering ones as lines, then the covered
/// ones as dashes over them, so that of `n` that go one way each has its turn. `pen` is the pen of a
/// track.
pub(super) fn draw<'a>(
    canvas: &mut dyn Canvas,
    tracks: &[Track],
    coincident: &[Coincident],
    time: f64,
    pen: impl Fn(usize) -> Pen<'a>,
) {
    let all = tracks.iter().zip(coincident).enumerate();
    for (k, (track, coincident)) in all.clone() {
        let pen = pen(k);
        let stroke = Stroke { cap: Cap::Butt, ..solid(&pen) };
        stretches(canvas, track, &coincident.over, time, &stroke, pen.px_scale);
    }
    let n = tracks.len() as f32;
    let turn = (24.0 / n).max(TURN);
    for (k, (track, coincident)) in all {
        let pen = pen(k);
        // The later a track is drawn the shorter are its dashes: what they leave shows the one below.
        let dash = turn * (n - 1.0 - k as f32) * pen.px_scale;
        let dash = Some([dash.max(1.0), n * turn * pen.px_scale - dash]);
        let stroke = Stroke { dash, cap: Cap::Butt, ..solid(&pen) };
        stretches(canvas, track, &coincident.under, time, &stroke, pen.px_scale);
    }
}

/// The newest part's stroke: it does not fade where two colours take turns.
fn solid(pen: &Pen) -> Stroke {
    Stroke::solid(pen.color, (3.2 * pen.px_scale).max(1.6))
}

/// Draws the stretches of `track` until `time` whose points coincide by then, `from` as [`met_from`]
/// found; what is shorter than a marker is left out.
fn stretches(
    canvas: &mut dyn Canvas,
    track: &Track,
    from: &[f64],
    time: f64,
    stroke: &Stroke,
    px_scale: f32,
) {
    let mut run: Vec<(f32, f32)> = Vec::new();
    let mut flush = |run: &mut Vec<(f32, f32)>| {
        let length: f32 = run.windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).sum();
        if length > 8.0 * px_scale {
            canvas.line(run, stroke);
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
