//! Where the parts of a picture of surfaces stand.

use crate::render::canvas::Rect;
use crate::render::canvas::text::{Weight, width};
use crate::render::page::layout::{Layout, PanelBox, Type};
use crate::render::page::scale::LevelScale;
use crate::render::scene::Film;

/// The layout of `film` on a page of `size` pixels with `charts` charts below, type `type_scale`
/// times as large as usual; less, down to once, where the windows would be left with less than
/// some lines of type. A panel's `frame` is the window that its surface is seen through; a read-out
/// beside it is `board` lines of type high.
pub fn arrange(
    film: &Film,
    scale: &LevelScale,
    size: [u32; 2],
    type_scale: f32,
    charts: usize,
    board: f32,
) -> Layout {
    let mut type_scale = type_scale;
    loop {
        let layout = place(film, scale, size, type_scale, charts, board);
        let least = 18.0 * layout.font.small;
        let roomy = layout.panels.iter().all(|p| p.frame.w >= least && p.frame.h >= least);
        if roomy || type_scale <= 1.0 {
            return layout;
        }
        type_scale = (0.85 * type_scale).max(1.0);
    }
}

fn place(
    film: &Film,
    scale: &LevelScale,
    size: [u32; 2],
    type_scale: f32,
    charts: usize,
    board: f32,
) -> Layout {
    let page = Rect::new(0.0, 0.0, size[0] as f32, size[1] as f32);
    let s = type_scale
        * (page.w / 1280.0).min(page.h / 720.0).max((page.w * page.h / 921_600.0).sqrt() * 0.7);
    let font = Type::scaled(s);
    let roomy = page.h >= 300.0 && page.w >= 420.0;
    let margin = (32.0 * s).max(6.0);
    let mut top = 0.72 * margin;
    let title_baseline = (!film.title.is_empty()).then(|| {
        top += font.title;
        top - 0.18 * font.title
    });
    top += if title_baseline.is_some() { 0.45 * font.title } else { 0.0 };
    let mut bottom = page.h - 0.6 * margin;
    let caption_baseline = (!film.caption.is_empty() && roomy).then(|| {
        bottom -= 1.9 * font.small;
        bottom + 1.6 * font.small
    });
    let subtitles = film.panels.iter().any(|p| !p.subtitle.is_empty()) && page.h >= 240.0;
    let headings = film.panels.iter().any(|p| !p.title.is_empty());
    let body = Rect::new(margin, top, page.w - 2.0 * margin, bottom - top);
    let strip = charts > 0 && roomy;
    let has_path = film.panels.iter().any(|p| !p.path.is_empty());
    // A single surface on a wide page has its charts and its read-out beside it.
    let beside = film.panels.len() == 1 && page.w > 1.3 * page.h && roomy && (strip || has_path);
    let strip_h = if strip && !beside { (0.24 * body.h).max(7.0 * font.small) } else { 0.0 };
    let side_w = match (beside, strip) {
        (false, _) => 0.0,
        (true, true) => (0.27 * body.w).max(12.0 * font.small),
        (true, false) => 12.6 * font.small,
    };
    let ems = |text: &String| width(text, font.small, Weight::Regular);
    let bar_w = if page.w >= 300.0 {
        let labels = scale.labels().iter().map(ems).fold(2.0 * font.small, f32::max);
        let title = ems(&film.value_label) - if beside { 0.0 } else { margin };
        (16.0 * s + labels + 8.0 * s).max(title)
    } else {
        0.0
    };
    let gap = 14.0 * s;
    let side_gap = if beside { 24.0 * s } else { 0.0 };
    let cells = Rect { w: body.w - bar_w - gap - side_w - side_gap, h: body.h - strip_h, ..body };
    let n = film.panels.len();
    let columns = if n <= 3 && page.w >= page.h { n } else { (n as f32).sqrt().ceil() as usize };
    let rows = n.div_ceil(columns);
    let (cell_w, cell_h) =
        ((cells.w - gap * (columns - 1) as f32) / columns as f32, cells.h / rows as f32);
    let head = if headings { 1.55 * font.heading } else { 0.0 }
        + if subtitles { 1.45 * font.small } else { 0.0 }
        + 0.4 * font.small;
    let foot = match has_path && !beside {
        true if cell_h >= 18.0 * font.small => 3.3 * font.small,
        true => 1.7 * font.small,
        false => 0.0,
    };
    let panels: Vec<PanelBox> = (0..n)
        .map(|k| {
            let (ix, iy) = ((k % columns) as f32, (k / columns) as f32);
            let cell =
                Rect::new(cells.x + ix * (cell_w + gap), cells.y + iy * cell_h, cell_w, cell_h);
            // Whole pixels: the picture is copied, not resampled.
            let (x, y) = (cell.x.round(), (cell.y + head).round());
            let w = (cell.right() - x).floor().max(8.0);
            let h = (cell.bottom() - foot - y).floor().max(8.0);
            let frame = Rect::new(x, y, w, h);
            let below = || {
                let y = frame.bottom() + 0.2 * font.small;
                Rect::new(cell.x, y, cell.w, foot - 0.3 * font.small)
            };
            let aside = || {
                let w = side_w.min(17.0 * font.label);
                Rect::new(body.right() - side_w, frame.y, w, board * font.label)
            };
            let readout =
                (!film.panels[k].path.is_empty()).then(|| if beside { aside() } else { below() });
            PanelBox { cell, frame, equal_scales: true, readout }
        })
        .collect();
    let colorbar = (bar_w > 0.0).then(|| {
        let y = cells.y + head + 0.10 * cells.h;
        Rect::new(cells.right() + gap, y, 16.0 * s, (0.74 * cells.h - head).max(4.0))
    });
    let mut places = Vec::new();
    if strip && beside {
        let side = Rect { x: body.right() - side_w, w: side_w, ..body };
        let top = panels[0].readout.map_or(panels[0].frame.y, |r| r.bottom() + 12.0 * s);
        let each = (side.bottom() - top) / charts as f32;
        for k in 0..charts {
            places.push(Rect::new(side.x, top + k as f32 * each, side.w, each - 8.0 * s));
        }
    } else if strip {
        let gap = 34.0 * s;
        let m = charts as f32;
        let w = (body.w - gap * (m - 1.0)) / m;
        let y = cells.bottom() + 8.0 * s;
        for k in 0..charts {
            places.push(Rect::new(body.x + k as f32 * (w + gap), y, w, body.bottom() - y));
        }
    }
    Layout {
        page,
        s,
        font,
        margin,
        title_baseline,
        caption_baseline,
        panels,
        subtitles,
        axis_labels: page.h >= 240.0 * type_scale && page.w >= 420.0 * type_scale,
        colorbar,
        charts: places,
    }
}
