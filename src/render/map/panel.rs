//! The part of a panel that does not move: bands, contour lines with labels, hatching, axes,
//! headings.

use tiny_skia::{Path, PathBuilder};

use crate::render::canvas::color::{Color, ink_on};
use crate::render::canvas::text::CAP_HEIGHT;
use crate::render::canvas::{Align, Canvas, Rect, Stroke, TextStyle};
use crate::render::map::contour::{self, simplify};
use crate::render::map::field::{Field, Marks};
use crate::render::map::labels::{self, Line};
use crate::render::map::relief;
use crate::render::page::Page;
use crate::render::page::axes::{self, Axes};
use crate::render::page::panels::PanelBox;
use crate::render::page::scale::{self, LevelScale, Spacing};
use crate::render::scene::{Arrows, ContourPanel, Domain, Relief};

/// Draws what does not move of `panel`; `path_px` is where contour labels should not be.
pub(in crate::render) fn draw(
    canvas: &mut dyn Canvas,
    panel: &ContourPanel,
    place: &PanelBox,
    page: &Page,
    scale: &LevelScale,
    path_px: &[(f32, f32)],
) {
    draw_map(canvas, panel, place.frame, page, scale, Some(path_px));
    Axes::of_panel(panel, Domain::of(panel), place, page).draw(canvas);
}

/// The surface alone in `frame`, without axes; with labels on the contour lines where there is a path (at
/// `path_px`) to keep clear of: on the way from one surface to another they would jump about.
pub(in crate::render) fn draw_surface(
    canvas: &mut dyn Canvas,
    panel: &ContourPanel,
    frame: Rect,
    page: &Page,
    scale: &LevelScale,
    path_px: Option<&[(f32, f32)]>,
) {
    draw_map(canvas, panel, frame, page, scale, path_px);
}

fn draw_map(
    canvas: &mut dyn Canvas,
    panel: &ContourPanel,
    frame: Rect,
    page: &Page,
    scale: &LevelScale,
    path_px: Option<&[(f32, f32)]>,
) {
    let domain = Domain::of(panel);
    match Field::resample(&panel.grid, domain, scale, frame, (2.2 * page.px_scale).max(1.0)) {
        Some(field) => draw_contours(canvas, &field, panel, frame, page, scale, path_px),
        None => {
            canvas.rect(frame, page.theme.background);
            draw_hatch(canvas, &[frame], Lean::Right, page);
            draw_notice(canvas, frame, "no finite value", page);
        }
    }
    let marks = Marks::of(&panel.grid, domain, frame);
    for rect in &marks.interpolated {
        canvas.rect(*rect, page.theme.background.alpha(0.28));
    }
    if !panel.grid.values.contains(&f64::NEG_INFINITY) {
        for rect in &marks.overflow {
            canvas.rect(*rect, page.theme.colormap.at(1.0));
        }
    }
    if marks.holes.iter().map(|r| r.w * r.h).sum::<f32>() < 0.999 * frame.w * frame.h {
        draw_marks(canvas, &Marks { interpolated: Vec::new(), ..marks }, page);
    } else {
        draw_hatch(canvas, &marks.overflow, Lean::Left, page);
    }
}

/// Blanks and hatches holes, hatches overflow the other way, dims what was interpolated.
pub(in crate::render) fn draw_marks(canvas: &mut dyn Canvas, marks: &Marks, page: &Page) {
    let theme = page.theme;
    for rect in &marks.interpolated {
        canvas.rect(*rect, theme.background.alpha(0.28));
    }
    for rect in &marks.holes {
        canvas.rect(*rect, theme.background);
    }
    draw_hatch(canvas, &marks.holes, Lean::Right, page);
    draw_hatch(canvas, &marks.overflow, Lean::Left, page);
}

/// A few words in the middle of a frame that has nothing to show.
pub(in crate::render) fn draw_notice(
    canvas: &mut dyn Canvas,
    frame: Rect,
    text: &str,
    page: &Page,
) {
    let style = TextStyle {
        halo: Some((page.theme.background, 6.0 * page.px_scale)),
        ..TextStyle::new(page.font.label, page.theme.text).align(Align::Center)
    };
    let (x, y) = (frame.x + 0.5 * frame.w, frame.y + 0.5 * frame.h);
    canvas.text(&style.fit(text, frame.w), x, y, &style);
}

fn draw_contours(
    canvas: &mut dyn Canvas,
    field: &Field,
    panel: &ContourPanel,
    frame: Rect,
    page: &Page,
    scale: &LevelScale,
    path_px: Option<&[(f32, f32)]>,
) {
    let (theme, px_scale) = (page.theme, page.px_scale);
    let edges = scale.band_edges();
    let levels = &edges[1..edges.len() - 1];
    let band_color = |band: usize| theme.colormap.at(scale.band_shade(band));
    canvas.rect(frame, band_color(0));
    let mut lines = Vec::new();
    for (index, &level) in levels.iter().enumerate() {
        let loops = contour::loops(field, level, frame);
        if let Some(region) = region(&loops) {
            canvas.fill(&region, band_color(index + 1), false);
        }
        for points in loops.iter().flat_map(contour::lines) {
            lines.push(Line { level: index, points });
        }
    }
    if panel.relief == Relief::Hillshade {
        relief::draw_hillshade(canvas, field, frame);
    }
    let size = 0.88 * page.font.small;
    let texts = scale.labels();
    let widths: Vec<f32> =
        texts.iter().map(|t| TextStyle::new(size, theme.text).width(t)).collect();
    let avoid = path_px.unwrap_or_default();
    let marks = Marks::of(&panel.grid, Domain::of(panel), frame);
    let holes = &marks.holes;
    let setting = labels::Setting { frame, field, levels, widths: &widths, size, avoid, holes };
    // Lines so short that they are specks carry nothing; labels only where they can be read.
    lines.retain(|line| line.points.len() > 3);
    let errors = Field::of_errors(
        &panel.errors,
        &panel.grid,
        Domain::of(panel),
        frame,
        (2.2 * px_scale).max(1.0),
    );
    let (lines, vague) = match &errors {
        Some(errors) => split_by_error(lines, errors, &scale.levels, frame),
        None => (lines, Vec::new()),
    };
    for line in &vague {
        // Nobody knows where exactly it runs.
        let dash = Some([1.6 * px_scale.max(0.8), 4.2 * px_scale.max(0.8)]);
        let stroke = Stroke::solid(theme.contour.alpha(0.5), (1.1 * px_scale).max(0.6));
        canvas.line(&simplify(&line.points, 0.04), &Stroke { dash, ..stroke });
    }
    let (labels, lines) = if path_px.is_some() && frame.w.min(frame.h) >= 120.0 {
        labels::place(&lines, &setting)
    } else {
        (vec![], lines)
    };
    for (index, level) in scale.levels.iter().enumerate() {
        let (alpha, width) =
            if scale::is_power_of_ten(*level) { (0.62, 1.15) } else { (0.38, 0.85) };
        let stroke = Stroke::solid(theme.contour.alpha(alpha), (width * px_scale).max(0.5));
        for line in lines.iter().filter(|line| line.level == index) {
            canvas.line(&simplify(&line.points, 0.04), &stroke);
        }
    }
    if panel.arrows != Arrows::None {
        let domain = Domain::of(panel);
        let skip = |x: f32, y: f32| {
            let holes = marks.holes.iter().chain(&marks.overflow);
            holes.into_iter().any(|r| r.contains(x, y, 0.0))
                || labels.iter().any(|l| (l.x - x).hypot(l.y - y) < 2.2 * size)
        };
        let ground = |x: f32, y: f32| {
            let z = field.at(frame, x, y);
            band_color(levels.partition_point(|&level| level <= z))
        };
        let setting = relief::Setting { domain, frame, px_scale, ground: &ground, skip: &skip };
        match &panel.arrows {
            Arrows::Measured(measured) => {
                let log = scale.spacing == Spacing::Log;
                relief::draw_measured(canvas, measured, log, &setting);
            }
            _ => relief::draw_arrows(canvas, field, &setting),
        }
    }
    for label in labels {
        let (below, above) = (band_color(label.level), band_color(label.level + 1));
        let ground = below.mix(above, 0.5);
        let color = ink_on(ground);
        let style = TextStyle {
            angle: label.angle,
            halo: Some((ground.alpha(0.55), 1.4 * px_scale)),
            ..TextStyle::new(size, color).align(Align::Center)
        };
        // Centred on its line: half a capital down, along the text's own vertical.
        let drop = 0.5 * CAP_HEIGHT * size;
        let (sin, cos) = label.angle.sin_cos();
        canvas.text(&texts[label.level], label.x - drop * sin, label.y + drop * cos, &style);
    }
}

/// Lines cut where the standard error at a level is larger than the step to the next one: what is certain,
/// and what is not.
fn split_by_error(
    lines: Vec<Line>,
    errors: &Field,
    levels: &[f64],
    frame: Rect,
) -> (Vec<Line>, Vec<Line>) {
    let step = |k: usize| {
        let below = k.checked_sub(1).map(|below| levels[k] - levels[below]);
        let above = levels.get(k + 1).map(|above| above - levels[k]);
        below.into_iter().chain(above).fold(f64::INFINITY, f64::min)
    };
    let (mut certain, mut vague) = (Vec::new(), Vec::new());
    for line in lines {
        let step = step(line.level);
        let is_vague = |p: &(f32, f32)| errors.at(frame, p.0, p.1) > step;
        let mut run: Vec<(f32, f32)> = Vec::new();
        let mut kind = false;
        for point in line.points {
            let new = is_vague(&point);
            if new != kind && !run.is_empty() {
                run.push(point);
                let points = std::mem::replace(&mut run, vec![point]);
                let piece = Line { level: line.level, points };
                if kind { vague.push(piece) } else { certain.push(piece) }
            } else {
                run.push(point);
            }
            kind = new;
        }
        let piece = Line { level: line.level, points: run };
        if kind { vague.push(piece) } else { certain.push(piece) }
    }
    certain.retain(|line| line.points.len() > 1);
    vague.retain(|line| line.points.len() > 1);
    (certain, vague)
}

/// All loops of a level as one path.
fn region(loops: &[contour::Loop]) -> Option<Path> {
    let mut path = PathBuilder::new();
    for lap in loops {
        // Closed: the first point again at the end keeps the closing piece under simplification.
        let mut points = lap.points.clone();
        points.extend(lap.points.first().copied());
        let points = simplify(&points, 0.04);
        if points.len() < 4 {
            continue;
        }
        path.move_to(points[0].0, points[0].1);
        points[1..points.len() - 1].iter().for_each(|p| path.line_to(p.0, p.1));
        path.close();
    }
    path.finish()
}

/// Which way hatching leans: holes and overflow must not look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lean {
    Right,
    Left,
}

/// Hatches rectangles with lines of one phase, so that neighbours join.
fn draw_hatch(canvas: &mut dyn Canvas, rects: &[Rect], lean: Lean, page: &Page) {
    let spacing = (9.0 * page.px_scale).max(4.0);
    let mut path = PathBuilder::new();
    for r in rects {
        // Mirrored for the left lean: u runs from the left edge or from minus the right one.
        let (u0, u1) = if lean == Lean::Right { (r.x, r.right()) } else { (-r.right(), -r.x) };
        let (first, last) = ((u0 + r.y) / spacing, (u1 + r.bottom()) / spacing);
        for k in first.ceil() as i32..=last.floor() as i32 {
            let c = k as f32 * spacing; // the line u + y = c
            let (from, to) = (u0.max(c - r.bottom()), u1.min(c - r.y));
            if to > from {
                let x = |u: f32| if lean == Lean::Right { u } else { -u };
                path.move_to(x(from), c - from);
                path.line_to(x(to), c - to);
            }
        }
    }
    if let Some(path) = path.finish() {
        canvas.stroke(&path, &Stroke::solid(page.theme.hatch, (1.1 * page.px_scale).max(0.7)));
    }
}

/// The panel's title and subtitle above its frame; `key` is a dot of the path's colour before the
/// title, where there are several panels.
pub(in crate::render) fn draw_heading(
    canvas: &mut dyn Canvas,
    panel: &ContourPanel,
    place: &PanelBox,
    page: &Page,
    key: Option<Color>,
) {
    let texts = (panel.title.as_str(), place.subtitle.then_some(panel.subtitle.as_str()));
    let small = page.font.small;
    let at = [place.cell.x, place.heading_end - 0.95 * small, 1.45 * small];
    axes::draw_heading(canvas, page, texts, at, place.cell.w, key);
}
