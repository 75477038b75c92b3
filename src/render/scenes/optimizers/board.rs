//! The board beside the map: the step, and for each optimizer its value, its hyperparameters and how it
//! ended.

use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::numbers::{fixed, thousands};
use crate::render::page::{Page, readout, wrap};
use crate::render::scenes::optimizers::track::Track;
use crate::render::scenes::optimizers::{OptimizerFilm, Trace};

/// The width in ems of a label, and the characters of small type that a line of it has room for.
const WIDTH: f32 = 20.0;
const CHARACTERS: usize = 46;

/// Lines of hyperparameters below a name: two where one optimizer needs them.
fn detail_lines(film: &OptimizerFilm) -> usize {
    let long = |t: &Trace| t.detail.chars().count() > CHARACTERS;
    1 + usize::from(film.traces.iter().any(long))
}

/// The height of a row in units of the label's size.
fn row(film: &OptimizerFilm) -> f32 {
    1.45 + 1.1 * detail_lines(film) as f32
}

/// Width and height of the board in units of the label's size.
pub(super) fn size(film: &OptimizerFilm) -> [f32; 2] {
    if film.groups.is_empty() {
        [WIDTH, 2.6 + row(film) * film.traces.len() as f32]
    } else {
        [WIDTH, 2.6 + 1.6 * film.groups.len() as f32]
    }
}

/// Draws the board in `board`, as it is at `time`.
pub(super) fn draw(
    film: &OptimizerFilm,
    tracks: &[Track],
    board: Rect,
    page: &Page,
    canvas: &mut dyn Canvas,
    time: f64,
) {
    let (theme, font) = (page.theme, page.font);
    let name = TextStyle::new(font.label, theme.muted);
    let large = TextStyle::new(1.6 * font.label, theme.text).bold().align(Align::Right);
    let mut y = board.y + 1.35 * font.label;
    canvas.text("step", board.x, y, &name);
    canvas.text(&thousands(&fixed(time.floor(), 0)), board.right(), y, &large);
    y += 0.5 * font.label;
    let rule = Stroke::solid(theme.rule, page.px_scale.max(0.75));
    canvas.line(&[(board.x, y), (board.right(), y)], &rule);
    y += 0.2 * font.label;
    if !film.groups.is_empty() {
        return draw_groups(film, tracks, Rect { y, ..board }, page, canvas, time);
    }
    let lines = detail_lines(film);
    for (trace, track) in film.traces.iter().zip(tracks) {
        let first = y + 1.15 * font.label;
        if first > board.bottom() {
            break; // the picture is too low for all of them
        }
        let strong = TextStyle::new(font.label, theme.text).bold();
        let radius = 0.34 * font.label;
        canvas.disc(
            board.x + radius,
            first - 0.35 * font.label,
            radius,
            theme.series_color(trace.color),
        );
        let x = board.x + 2.0 * radius + 0.5 * font.label;
        let value = status(trace, track, time);
        let room = board.right() - x - strong.width(&value) - font.label;
        canvas.text(&strong.fit(&trace.name, room), x, first, &strong);
        canvas.text(&value, board.right(), first, &strong.align(Align::Right));
        let small = TextStyle::new(0.92 * font.small, theme.muted);
        for (i, line) in wrap(&trace.detail, board.right() - x, lines, &small).iter().enumerate() {
            canvas.text(line, x, first + 1.25 * font.small * (i + 1) as f32, &small);
        }
        y += row(film) * font.label;
    }
}

/// For each group how many of its paths have arrived at `time`, of all paths that there are.
fn draw_groups(
    film: &OptimizerFilm,
    tracks: &[Track],
    board: Rect,
    page: &Page,
    canvas: &mut dyn Canvas,
    time: f64,
) {
    let (theme, font) = (page.theme, page.font);
    let strong = TextStyle::new(font.label, theme.text).bold();
    for (place, group) in film.groups.iter().enumerate() {
        let y = board.y + (1.15 + 1.6 * place as f32) * font.label;
        if y > board.y + board.h {
            break; // the picture is too low for all of them
        }
        let radius = 0.34 * font.label;
        let color = theme.series_color(group.color);
        canvas.disc(board.x + radius, y - 0.35 * font.label, radius, color);
        let x = board.x + 2.0 * radius + 0.5 * font.label;
        let members = || film.traces.iter().zip(tracks).filter(|(t, _)| t.color == group.color);
        let has_arrived = |(trace, track): &(&Trace, &Track)| {
            let k = (time.max(0.0) as usize).min(track.last());
            match (group.goal, trace.points.get(k)) {
                (Some((at, near)), Some(p)) => (p.x - at[0]).hypot(p.y - at[1]) <= near,
                _ => trace.diverged_at.is_some_and(|step| time >= step as f64),
            }
        };
        let arrived = members().filter(has_arrived).count();
        let count = format!("{arrived} of {} arrived", members().count());
        let room = board.right() - x - strong.width(&count) - font.label;
        canvas.text(&strong.fit(&group.name, room), x, y, &strong);
        canvas.text(&count, board.right(), y, &strong.align(Align::Right));
    }
}

/// The value at `time`, or what became of the path.
fn status(trace: &Trace, track: &Track, time: f64) -> String {
    if let Some(step) = trace.diverged_at.filter(|step| time >= *step as f64) {
        return format!("diverged at step {step}");
    }
    let k = (time.max(0.0) as usize).min(track.last());
    trace.points.get(k).map_or("–".into(), |p| readout::loss(p.value))
}
