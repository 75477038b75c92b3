//! The part of a panel that does not move: bands, contour lines with labels, hatching, axes,
//! headings; and the colour bar that all panels share.

use tiny_skia::{Path, PathBuilder};

use crate::render::canvas::color::{Color, ink_on};
use crate::render::canvas::theme::Theme;
use crate::render::canvas::{Align, Canvas, Cap, Rect, Stroke, TextStyle, polyline};
use crate::render::map::contour::{self, simplify};
use crate::render::map::field::{Field, Marks};
use crate::render::map::labels::{self, Line};
use crate::render::map::relief;
use crate::render::page::layout::{Layout, PanelBox};
use crate::render::page::scale::{LevelScale, Spacing, significant, ticks};
use crate::render::scene::Domain;
use crate::render::scene::{Arrows, ContourPanel, Relief};

/// Draws what does not move of `panel`; `path_px` is where contour labels should not be.
pub fn draw(
    canvas: &mut dyn Canvas,
    panel: &ContourPanel,
    place: &PanelBox,
    layout: &Layout,
    scale: &LevelScale,
    theme: &Theme,
    path_px: &[(f32, f32)],
) {
    draw_map(canvas, panel, place, layout, scale, theme, Some(path_px));
    draw_axes(canvas, panel, place, layout, theme);
}

/// The surface alone, without axes and without labels on the contour lines: on a surface that moves
/// they would jump about.
pub fn draw_surface(
    canvas: &mut dyn Canvas,
    panel: &ContourPanel,
    place: &PanelBox,
    layout: &Layout,
    scale: &LevelScale,
    theme: &Theme,
) {
    draw_map(canvas, panel, place, layout, scale, theme, None);
}

fn draw_map(
    canvas: &mut dyn Canvas,
    panel: &ContourPanel,
    place: &PanelBox,
    layout: &Layout,
    scale: &LevelScale,
    theme: &Theme,
    path_px: Option<&[(f32, f32)]>,
) {
    let domain = Domain::of(panel);
    let frame = place.frame;
    match Field::resample(&panel.grid, domain, scale, frame, (2.2 * layout.s).max(1.0)) {
        Some(field) => draw_contours(canvas, &field, panel, frame, layout, scale, theme, path_px),
        None => {
            canvas.rect(frame, theme.background);
            draw_hatch(canvas, &[frame], Lean::Right, layout.s, theme);
            draw_notice(canvas, frame, "no finite value", layout.s, layout.font.label, theme);
        }
    }
    let marks = Marks::of(&panel.grid, domain, frame);
    for rect in &marks.interpolated {
        canvas.rect(*rect, theme.background.alpha(0.28));
    }
    if marks.holes.iter().map(|r| r.w * r.h).sum::<f32>() < 0.999 * frame.w * frame.h {
        draw_marks(canvas, &Marks { interpolated: Vec::new(), ..marks }, layout.s, theme);
    } else {
        draw_hatch(canvas, &marks.overflow, Lean::Left, layout.s, theme);
    }
}

/// Blanks and hatches holes, hatches overflow the other way, dims what was interpolated.
pub fn draw_marks(canvas: &mut dyn Canvas, marks: &Marks, s: f32, theme: &Theme) {
    for rect in &marks.interpolated {
        canvas.rect(*rect, theme.background.alpha(0.28));
    }
    for rect in &marks.holes {
        canvas.rect(*rect, theme.background);
    }
    draw_hatch(canvas, &marks.holes, Lean::Right, s, theme);
    draw_hatch(canvas, &marks.overflow, Lean::Left, s, theme);
}

/// A few words in the middle of a frame that has nothing to show.
pub fn draw_notice(
    canvas: &mut dyn Canvas,
    frame: Rect,
    text: &str,
    s: f32,
    size: f32,
    theme: &Theme,
) {
    let style = TextStyle {
        halo: Some((theme.background, 6.0 * s)),
        ..TextStyle::new(size, theme.text).align(Align::Center)
    };
    let (x, y) = (frame.x + 0.5 * frame.w, frame.y + 0.5 * frame.h);
    canvas.text(&style.fit(text, frame.w), x, y, &style);
}

#[allow(clippy::too_many_arguments)] // one call, and each is needed
fn draw_contours(
    canvas: &mut dyn Canvas,
    field: &Field,
    panel: &ContourPanel,
    frame: Rect,
    layout: &Layout,
    scale: &LevelScale,
    theme: &Theme,
    path_px: Option<&[(f32, f32)]>,
) {
    let s = layout.s;
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
    let size = 0.88 * layout.font.small;
    let texts = scale.labels();
    let widths: Vec<f32> =
        texts.iter().map(|t| TextStyle::new(size, theme.text).width(t)).collect();
    let avoid = path_px.unwrap_or_default();
    let marks = Marks::of(&panel.grid, Domain::of(panel), frame);
    let holes = &marks.holes;
    let setting = labels::Setting { frame, field, levels, widths: &widths, size, avoid, holes };
    // Lines so short that they are specks carry nothing; labels only where they can be read.
    lines.retain(|line| line.points.len() > 3);
    let (labels, lines) = if path_px.is_some() && frame.w.min(frame.h) >= 120.0 {
        labels::place(&lines, &setting)
    } else {
        (vec![], lines)
    };
    for (index, level) in scale.levels.iter().enumerate() {
        let major = significant(*level, 1) == significant(*level, 9) && {
            let digits = format!("{level:e}");
            digits.starts_with("1e") || digits.starts_with("-1e")
        };
        let (alpha, width) = if major { (0.62, 1.15) } else { (0.38, 0.85) };
        let stroke = Stroke::solid(theme.contour.alpha(alpha), (width * s).max(0.5));
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
        let setting = relief::Setting { domain, frame, s, ground: &ground, skip: &skip };
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
            halo: Some((ground.alpha(0.55), 1.4 * s)),
            ..TextStyle::new(size, color).align(Align::Center)
        };
        // Centred on its line: half a capital down, along the text's own vertical.
        let drop = 0.5 * crate::render::canvas::text::CAP_HEIGHT * size;
        let (sin, cos) = label.angle.sin_cos();
        canvas.text(&texts[label.level], label.x - drop * sin, label.y + drop * cos, &style);
    }
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
fn draw_hatch(canvas: &mut dyn Canvas, rects: &[Rect], lean: Lean, s: f32, theme: &Theme) {
    let spacing = (9.0 * s).max(4.0);
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
        canvas.stroke(&path, &Stroke::solid(theme.hatch, (1.1 * s).max(0.7)));
    }
}

/// The frame with ticks and axis labels.
pub fn draw_axes(
    canvas: &mut dyn Canvas,
    panel: &ContourPanel,
    place: &PanelBox,
    layout: &Layout,
    theme: &Theme,
) {
    let (frame, font, s) = (place.frame, layout.font, layout.s);
    let domain = Domain::of(panel);
    let style = TextStyle::new(font.small, theme.muted);
    let tick = Stroke::solid(theme.muted, s.max(0.75));
    let hair = s.max(1.0).round();
    let outline = [
        (frame.x, frame.y),
        (frame.right(), frame.y),
        (frame.right(), frame.bottom()),
        (frame.x, frame.bottom()),
        (frame.x, frame.y),
    ];
    if let Some(path) = polyline(&outline) {
        let cap = Cap::Round;
        canvas.stroke(&path, &Stroke { cap, ..Stroke::solid(theme.muted.alpha(0.8), hair) });
    }
    let mark = 5.0 * s;
    let x_count = (frame.w / (5.5 * font.small)) as usize;
    for x in ticks(domain.x[0], domain.x[1], x_count.clamp(2, 7)) {
        let (px, _) = domain.px_from_plane(frame, x, domain.y[0]);
        let text = significant(x, 6);
        // A label under the frame's end may not leave the page.
        let half = 0.5 * style.width(&text);
        let at = px.clamp(half + 1.0, (layout.page.w - half - 1.0).max(half + 1.0));
        canvas.line(&[(px, frame.bottom()), (px, frame.bottom() + mark)], &tick);
        let baseline = frame.bottom() + mark + 1.05 * font.small;
        canvas.text(&text, at, baseline, &style.align(Align::Center));
    }
    let y_count = (frame.h / (2.6 * font.small)) as usize;
    for y in ticks(domain.y[0], domain.y[1], y_count.clamp(2, 7)) {
        let (_, py) = domain.px_from_plane(frame, domain.x[0], y);
        canvas.line(&[(frame.x - mark, py), (frame.x, py)], &tick);
        let baseline = py + 0.5 * crate::render::canvas::text::CAP_HEIGHT * font.small;
        canvas.text(
            &significant(y, 6),
            frame.x - mark - 3.0 * s,
            baseline,
            &style.align(Align::Right),
        );
    }
    if layout.axis_labels {
        let label = TextStyle::new(font.label, theme.text).align(Align::Center);
        let note = if place.equal_scales { "" } else { "  ·  axes not to one scale" };
        let text = label.fit(&format!("{}{note}", panel.x_label), place.cell.w);
        let (half, centre) = (0.5 * label.width(&text), frame.x + 0.5 * frame.w);
        let x = centre.max(place.cell.x + half);
        let y = frame.bottom() + mark + 1.05 * font.small + 1.45 * font.label;
        canvas.text(&text, x, y, &label);
        let angle = -std::f32::consts::FRAC_PI_2;
        let x = place.cell.x + 0.95 * font.label;
        let text = label.fit(&panel.y_label, frame.h + font.label);
        canvas.text(&text, x, frame.y + 0.5 * frame.h, &TextStyle { angle, ..label });
    }
}

/// The panel's title and subtitle above its frame; `key` is a dot of the path's colour before the
/// title, where there are several panels.
pub fn draw_heading(
    canvas: &mut dyn Canvas,
    panel: &ContourPanel,
    place: &PanelBox,
    layout: &Layout,
    theme: &Theme,
    key: Option<Color>,
) {
    let font = layout.font;
    let max = place.cell.w;
    let mut baseline = place.frame.y - 0.95 * font.small;
    if layout.subtitles {
        let style = TextStyle::new(font.small, theme.muted);
        canvas.text(&style.fit(&panel.subtitle, max), place.cell.x, baseline, &style);
        baseline -= 1.45 * font.small;
    }
    let style = TextStyle::new(font.heading, theme.text).bold();
    let mut x = place.cell.x;
    if let Some(color) = key {
        let radius = 0.3 * font.heading;
        canvas.disc(x + radius, baseline - 0.36 * font.heading, radius, color);
        x += 2.0 * radius + 0.35 * font.heading;
    }
    canvas.text(&style.fit(&panel.title, max - (x - place.cell.x)), x, baseline, &style);
}
