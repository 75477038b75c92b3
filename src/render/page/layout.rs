//! Where a scene's parts are in the body of its page: panels of maps, windows onto surfaces in space,
//! a board beside one panel, the colour bar and the charts.
//!
//! Lengths scale with the picture; type never gets smaller than can be read, so below about 640 x 360
//! the parts that matter least give way, in this order: the strip, the panels' subtitles and the axis
//! labels, the caption.

use crate::render::canvas::Rect;
use crate::render::page::panels::{
    AxisLabels, Cells, Contents, MULTIPLES, PanelBox, ROW_GAP, ems, grid,
};
use crate::render::page::{Page, PageSpec, Screen};
use crate::render::scene::ContourPanel;

/// Where everything in the body is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::render) struct Layout {
    /// One for each panel.
    pub panels: Vec<PanelBox>,
    /// The colour bar itself (labels go to its right); `None` without room.
    pub colorbar: Option<Rect>,
    /// The charts, labels and all; empty without room.
    pub charts: Vec<Rect>,
    /// The board of [`Layout::with_board`].
    pub board: Rect,
    /// Where what is below the panels ends, if the rest of the body is empty.
    pub bottom: Option<f32>,
}

impl<'a> Page<'a> {
    /// The page of `spec` on `screen` with what `lay_out` places on it, charts included. Where that leaves a panel a side of
    /// less than `least` lines of small type, type gets smaller, down to its usual size.
    pub(in crate::render) fn laid_out(
        spec: PageSpec<'a>,
        times: impl Iterator<Item = f64>,
        screen: Screen<'a>,
        least: f32,
        lay_out: impl Fn(&Page) -> Layout,
    ) -> (Self, Layout) {
        let mut page = Self::new(spec, times, screen);
        let mut type_scale = screen.theme.scale;
        loop {
            let layout = lay_out(&page);
            let enough = least * page.font.small;
            let roomy = layout.panels.iter().all(|p| p.frame.w >= enough && p.frame.h >= enough);
            if roomy || type_scale <= 1.0 {
                page.place_charts(&layout.charts);
                return (page, layout);
            }
            type_scale = (0.85 * type_scale).max(1.0);
            page = Self::scaled(page.spec, page.timeline, screen, type_scale);
        }
    }

    /// Puts the charts side by side at the bottom of the body, `share` of it high, and takes their room off
    /// it.
    pub(in crate::render) fn with_strip_below(mut self, share: f32) -> Self {
        if self.chart_count > 0 {
            let body = self.body;
            let height = (share * body.h).max(7.0 * self.font.small);
            let strip = Rect { y: body.bottom() - height, h: height, ..body };
            self.place_charts(&side_by_side(strip, self.chart_count, 34.0 * self.px_scale));
            self.body.h = (body.h - height - 14.0 * self.px_scale).max(4.0);
        }
        self
    }
}

impl Layout {
    /// Panels with axes, a read-out each, the colour bar and the charts below, or, for a single
    /// surface on a wide page, beside it where that shows the surface larger and holds all charts.
    pub fn panels(page: &Page, contents: &Contents) -> Self {
        let cells = Cells::new(page, contents);
        let below = Self::charts_below(&cells);
        if contents.domains.len() == 1 && page.rect.w > 1.3 * page.rect.h {
            let beside = Self::charts_beside(&cells);
            let readable = |chart: &Rect| chart.h >= 5.5 * page.font.small;
            let fits = beside.charts.iter().all(readable);
            if fits && beside.panels[0].worth() >= below.panels[0].worth() {
                return beside;
            }
        }
        below
    }

    /// One panel with a board, `[w, h]` in units of the label's size, beside it on a wide page and below
    /// it on a high one; the charts are below the board.
    pub fn with_board(page: &Page, contents: &Contents, [board_w, board_h]: [f32; 2]) -> Self {
        let cells = Cells::new(page, contents);
        let (font, px_scale, body, charts) =
            (page.font, page.px_scale, page.body, page.chart_count);
        let gap = 26.0 * px_scale;
        let bar_w = cells.bar_width + 16.0 * px_scale;
        let charts_min = 5.5 * font.small * charts as f32;
        let wide = page.rect.w > 1.1 * page.rect.h;
        let cell = if wide {
            let w = (board_w * font.label).max(0.3 * body.w).min(0.42 * body.w);
            Rect { w: (body.w - w - gap - bar_w).max(4.0), ..body }
        } else {
            let h = (board_h * font.label + charts_min + gap).min(0.5 * body.h);
            Rect { w: body.w - bar_w, h: body.h - h, ..body }
        };
        let labels = cells.own_labels();
        let panel = cells.panel_without_readout((cell, labels), &contents.domains[0]);
        let side = if wide {
            let x = cell.right() + bar_w + gap;
            let y = body.y.max(panel.frame.y.min(body.y + 2.0 * font.label));
            Rect::new(x, y, body.right() - x, body.bottom() - y)
        } else {
            // Close below the frame, which the page's width may have made flat.
            let y = panel.frame.bottom() + cells.gutters[3] + 0.5 * gap;
            Rect { y, h: body.bottom() - y, ..body }
        };
        let board_h = (board_h * font.label).min(side.h);
        let mut layout = Self {
            colorbar: Some(cells.bar_beside(panel.frame, panel.frame.right() + 16.0 * px_scale)),
            panels: vec![panel],
            charts: Vec::new(),
            board: Rect { h: board_h, ..side },
            bottom: None,
        };
        let below = side.bottom() - (side.y + board_h + 0.6 * font.label);
        if charts > 0 && below >= charts_min {
            let top = side.bottom() - below;
            // Beside the frame not higher than a chart is good for.
            let each = if charts == 1 { 20.0 } else { 13.0 };
            let most = if wide { each * font.label * charts as f32 } else { below };
            let area = Rect::new(side.x, top, side.w, below.min(most));
            layout.charts = chart_places(area, charts, gap, px_scale);
        }
        layout
    }

    /// Windows onto surfaces in space, `frame` being the window; a read-out beside a single one is
    /// `board` lines of type high. The colour bar's title is `bar_title`.
    pub fn windows(page: &Page, contents: &Contents, bar_title: &str, board: f32) -> Self {
        let (font, px_scale, body) = (page.font, page.px_scale, page.body);
        let (panels, charts) = (contents.panels, page.chart_count);
        let [room_w, room_h] = page.room();
        let strip = charts > 0;
        let scales = page.theme.words.scales;
        let has_path = scales && panels.iter().any(|p| !p.path.is_empty());
        // A single surface on a wide page has its charts and its read-out beside it.
        let n = panels.len();
        let roomy = room_h >= 300.0 && room_w >= 420.0;
        let beside = n == 1 && page.rect.w > 1.3 * page.rect.h && roomy && (strip || has_path);
        // Many surfaces need the room more than the charts do.
        let many = n >= MULTIPLES;
        let share = if many { 0.17 } else { 0.20 };
        let strip_h = if strip && !beside { (share * body.h).max(7.0 * font.small) } else { 0.0 };
        let side_w = match (beside, strip) {
            (false, _) => 0.0,
            (true, true) => (0.27 * body.w).max(12.0 * font.small),
            (true, false) => 12.6 * font.small,
        };
        let bar_w = if scales && page.rect.w >= 300.0 {
            let title = ems(bar_title) * font.small - if beside { 0.0 } else { page.margin };
            (16.0 * px_scale + contents.bar_label_ems * font.small + 8.0 * px_scale).max(title)
        } else {
            0.0
        };
        let gap = if scales { 14.0 * px_scale } else { 0.0 };
        let side_gap = if beside { 24.0 * px_scale } else { 0.0 };
        let cells =
            Rect { w: body.w - bar_w - gap - side_w - side_gap, h: body.h - strip_h, ..body };
        let cells = contents.inside(cells, page);
        let columns = contents.columns().unwrap_or_else(|| window_columns(n, cells, page));
        let subtitle = scales && panels.iter().any(|p| !p.subtitle.is_empty()) && room_h >= 240.0;
        let heading = panels.iter().any(|p| !p.title.is_empty());
        let head = if heading { 1.55 * font.heading } else { 0.0 }
            + if subtitle { 1.45 * font.small } else { 0.0 }
            + 0.4 * font.small;
        let cell_h = cells.h / n.div_ceil(columns) as f32;
        // Of many, short subtitles stand in the upper corner of their windows, which is free: a box in
        // space has a corner in the middle there.
        let cell_w = cells.w / columns as f32;
        let short = |p: &ContourPanel| ems(&p.subtitle) * font.small < 0.42 * cell_w;
        let lift =
            if many && subtitle && panels.iter().all(short) { 1.45 * font.small } else { 0.0 };
        let (head, apart) = (head - lift, if many { ROW_GAP * font.small } else { 0.0 });
        let foot = match has_path && !beside {
            true if !many && cell_h >= 18.0 * font.small => 3.3 * font.small,
            true => 1.7 * font.small,
            false => 0.0,
        };
        let axis_labels = match room_h >= 240.0 && room_w >= 420.0 {
            // A box in space has its axes on sides of its own: each panel names them, in a word.
            true if many => AxisLabels::Shared { x: true, y: true, name_only: true },
            true => AxisLabels::Own,
            false => AxisLabels::None,
        };
        let place = |(panel, cell): (&ContourPanel, Rect)| {
            // Whole pixels: the picture is copied, not resampled.
            let (x, y) = (cell.x.round(), (cell.y + head).round());
            let w = (cell.right() - x).floor().max(8.0);
            let h = (cell.bottom() - apart - foot - y).floor().max(8.0);
            let frame = Rect::new(x, y, w, h);
            let readout = if beside {
                let w = side_w.min(17.0 * font.label);
                Rect::new(body.right() - side_w, frame.y, w, board * font.label)
            } else {
                let y = frame.bottom() + 0.2 * font.small;
                Rect::new(cell.x, y, cell.w, foot - 0.3 * font.small)
            };
            let readout = (scales && !panel.path.is_empty()).then_some(readout);
            let panel = PanelBox::of_frame(cell, frame, subtitle, axis_labels);
            PanelBox { heading_end: y + lift, readout, ..panel }
        };
        let panels: Vec<PanelBox> =
            panels.iter().zip(grid(cells, n, columns, gap)).map(place).collect();
        let colorbar = (bar_w > 0.0).then(|| {
            let y = cells.y + head + 0.10 * cells.h;
            let h = (0.74 * cells.h - head).max(4.0);
            Rect::new(cells.right() + gap, y, 16.0 * px_scale, h)
        });
        let charts = if beside {
            let top = panels[0].readout.map_or(panels[0].frame.y, |r| r.bottom() + 12.0 * px_scale);
            let side = Rect::new(body.right() - side_w, top, side_w, body.bottom() - top);
            below_each_other(side, charts, 8.0 * px_scale)
        } else {
            let y = cells.bottom() + 8.0 * px_scale;
            let strip = Rect { y, h: body.bottom() - y, ..body };
            side_by_side(strip, charts, 34.0 * px_scale)
        };
        Self { panels, colorbar, charts, ..Self::default() }
    }

    /// Panels with the charts below them.
    fn charts_below(cells: &Cells) -> Self {
        let (page, contents) = (cells.page, cells.contents);
        let (font, px_scale, body) = (page.font, page.px_scale, page.body);
        let n = contents.domains.len().max(1);
        let strip = page.chart_count > 0;
        // Many panels need the room more than the charts do.
        let share = if n >= MULTIPLES { 0.19 } else { 0.245 };
        let strip_h = if strip { (share * body.h).max(7.0 * font.small) } else { 0.0 };
        let area = Rect { h: body.h - strip_h, ..body };
        let bar_w = if page.rect.w >= 300.0 { cells.bar_width } else { 0.0 };
        let bar_gap = if bar_w > 0.0 { 16.0 * px_scale } else { 0.0 };
        let inside = contents.inside(Rect { w: area.w - bar_w - bar_gap, ..area }, page);
        let panels = |columns: usize| -> Vec<PanelBox> {
            let places = cells.cells(inside, columns, 22.0 * px_scale);
            contents.domains.iter().zip(places).map(|(d, place)| cells.panel(place, d)).collect()
        };
        // As many columns as show the smallest panel largest.
        let worth = |columns: &usize| {
            panels(*columns).iter().map(PanelBox::worth).fold(f32::INFINITY, f32::min)
        };
        let best = || (1..=n).max_by(|a, b| worth(a).total_cmp(&worth(b))).unwrap_or(1);
        let columns = contents.columns().unwrap_or_else(best);
        let mut layout = Layout { panels: panels(columns), ..Layout::default() };
        if let (true, Some(first)) = (bar_w > 0.0, layout.panels.first().copied()) {
            let rows = n.div_ceil(columns);
            let lowest = layout.panels[(rows - 1) * columns].frame;
            let frame = Rect { h: lowest.bottom() - first.frame.y, ..first.frame };
            let right = first.frame.right();
            // Next to a single frame, whether that fills its cell or not; a read-out beside it moves.
            let x = if n == 1 { right } else { inside.right() } + bar_gap;
            layout.colorbar = Some(cells.bar_beside(frame, x));
            let beside = layout.panels[0].readout.as_mut().filter(|r| n == 1 && r.x >= right);
            if let Some(readout) = beside {
                // Below the bar's title, which is wider than the bar.
                readout.x += bar_w + bar_gap;
                readout.y += 1.6 * font.small;
            }
        }
        let below = |p: &PanelBox| {
            let axes = p.frame.bottom() + cells.gutters(p.axis_labels)[3];
            axes.max(p.readout.map_or(0.0, |r| r.bottom()))
        };
        let used = layout.panels.iter().map(below).fold(0.0, f32::max) + 10.0 * px_scale;
        if strip {
            // Flat frames leave room below them: the strip may have it, up to a point; on a high page
            // all of it, as the charts then stand below each other.
            let most = if page.rect.h > page.rect.w { 0.62 } else { 0.42 };
            let y = used.max(body.bottom() - most * body.h).min(area.bottom() + 10.0 * px_scale);
            let strip = Rect { y, h: body.bottom() - y, ..body };
            layout.charts = chart_places(strip, page.chart_count, 34.0 * px_scale, px_scale);
        } else {
            layout.bottom = Some(used);
        }
        layout
    }

    /// One panel with the charts beside it.
    fn charts_beside(cells: &Cells) -> Self {
        let (font, px_scale, body) = (cells.page.font, cells.page.px_scale, cells.page.body);
        let strip = cells.page.chart_count > 0;
        let bar_w = cells.bar_width + 16.0 * px_scale;
        let side_min = if strip { 0.27 * body.w } else { 0.0 }.max(cells.readout_size().0);
        let gap = 28.0 * px_scale;
        let cell = Rect { w: body.w - bar_w - side_min - gap, ..body };
        let labels = cells.own_labels();
        let mut panel = cells.panel_without_readout((cell, labels), &cells.contents.domains[0]);
        let bar = cells.bar_beside(panel.frame, panel.frame.right() + 16.0 * px_scale);
        // Below the bar's title, which may be wider than the bar.
        let x = bar.x - 16.0 * px_scale + bar_w + gap;
        let side = Rect::new(x, bar.y, body.right() - x, body.bottom() - bar.y);
        let readout_h = cells.readout_size().1;
        panel.readout = Some(Rect { h: readout_h, w: side.w.min(17.0 * font.label), ..side });
        let top = side.y + readout_h + 12.0 * px_scale;
        let area = Rect { y: top, h: side.bottom() - top, ..side };
        Layout {
            panels: vec![panel],
            colorbar: Some(bar),
            charts: below_each_other(area, cells.page.chart_count, 8.0 * px_scale),
            ..Layout::default()
        }
    }
}

/// How many of `n` windows onto surfaces in space stand side by side in `area`. A box in space is somewhat
/// wider than high: on a high page as many as show it largest.
fn window_columns(n: usize, area: Rect, page: &Page) -> usize {
    if page.rect.w >= page.rect.h {
        return if n <= 3 { n } else { (n as f32).sqrt().ceil() as usize };
    }
    let size = |columns: &usize| {
        let [w, h] = [area.w / *columns as f32, area.h / n.div_ceil(*columns) as f32];
        w.min(1.25 * (h - 5.0 * page.font.heading))
    };
    (1..=n).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(1)
}

/// `n` parts of `area` with `gap` between them.
pub(in crate::render) fn side_by_side(area: Rect, n: usize, gap: f32) -> Vec<Rect> {
    grid(area, n, n.max(1), gap)
}

/// `n` parts of `area` with `gap` below each.
fn below_each_other(area: Rect, n: usize, gap: f32) -> Vec<Rect> {
    let rows = grid(area, n, 1, 0.0).into_iter();
    rows.map(|row| Rect { h: row.h - gap, ..row }).collect()
}

/// Rectangles for `count` charts in `area`: side by side or below each other, whichever makes them
/// nearer to 2.3 times as wide as high.
fn chart_places(area: Rect, count: usize, gap: f32, px_scale: f32) -> Vec<Rect> {
    let n = count.max(1) as f32;
    let w = (area.w - gap * (n - 1.0)) / n;
    let misfit = |w: f32, h: f32| (w / (2.3 * h)).ln().abs();
    match misfit(w, area.h) <= misfit(area.w, area.h / n) {
        true => side_by_side(area, count, gap),
        false => below_each_other(area, count, 8.0 * px_scale),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::render::canvas::theme::Theme;
    use crate::render::scene::{Domain, Quantity, Series, Split};

    /// A page with a title, a caption and two charts, and what `lay_out` makes of it.
    fn laid_out(
        size: [u32; 2],
        scale: f32,
        domains: &[Domain],
        lay_out: impl Fn(&Page, &Contents) -> Layout,
    ) -> Layout {
        let theme = Theme { scale, ..Theme::light() };
        let curve = |quantity| Series {
            name: String::new(),
            panel: 0,
            quantity,
            split: Split::Train,
            points: vec![(0.0, 1.0), (1.0, 0.5)],
        };
        let series = [Quantity::Loss, Quantity::Accuracy].map(curve);
        let panel = ContourPanel {
            title: "title".into(),
            subtitle: "subtitle".into(),
            ..ContourPanel::default()
        };
        let panels = vec![panel; domains.len()];
        let contents = Contents { panels: &panels, domains, bar_label_ems: 3.0, table: None };
        let spec =
            PageSpec { title: "title", caption: "caption", series: &series, ..Default::default() };
        let screen = Screen { theme: &theme, size, frames: 10, fps: 10 };
        let lay_out = |page: &Page| lay_out(page, &contents);
        Page::laid_out(spec, [0.0, 1.0].into_iter(), screen, 7.0, lay_out).1
    }

    #[test]
    fn nothing_overlaps_or_leaves_the_page_at_any_size() {
        let sizes = [
            (320, 180, 1.0),
            (400, 300, 1.0),
            (640, 360, 1.0),
            (1280, 720, 1.0),
            (1920, 1080, 1.0),
            (3840, 2160, 1.0),
            (720, 1280, 1.0),
            (500, 500, 1.0),
            (640, 360, 1.5),
            (854, 480, 1.5),
            (1280, 720, 2.0),
            (720, 1280, 1.5),
            (1280, 720, 0.7),
        ];
        let square = Domain { x: [-1.0, 1.0], y: [-1.0, 1.0] };
        let wide = Domain { x: [-3.0, 1.0], y: [-1.0, 1.0] };
        let flat = Domain { x: [-30.0, 1.0], y: [-1.0, 1.0] };
        for (width, height, scale) in sizes {
            for domains in
                [&[square][..], &[wide], &[flat], &[square, wide], &[square; 5], &[wide, flat]]
            {
                let layout = laid_out([width, height], scale, domains, Layout::panels);
                let mut rects: Vec<Rect> = layout.panels.iter().map(|p| p.frame).collect();
                rects.extend(layout.panels.iter().filter_map(|p| p.readout));
                rects.extend(layout.colorbar);
                rects.extend(&layout.charts);
                for (panel, frame) in layout.panels.iter().map(|p| (p, p.frame)) {
                    // A read-out on the map would cover a path or the minimum.
                    let readout = panel.readout.unwrap();
                    let apart = readout.x >= frame.right() || readout.y >= frame.bottom();
                    assert!(apart, "{width}x{height} {frame:?} {readout:?}");
                }
                for (i, a) in rects.iter().enumerate() {
                    assert!(a.w >= 1.0 && a.h >= 1.0, "{width}x{height} {a:?}");
                    assert!(
                        a.x >= 0.0
                            && a.y >= 0.0
                            && a.right() <= width as f32 + 0.5
                            && a.bottom() <= height as f32 + 0.5,
                        "{width}x{height} {a:?} {layout:?}"
                    );
                    for b in &rects[..i] {
                        let apart = a.x >= b.right() - 1.0
                            || b.x >= a.right() - 1.0
                            || a.y >= b.bottom() - 1.0
                            || b.y >= a.bottom() - 1.0;
                        assert!(apart, "{width}x{height}: {a:?} {b:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn charts_stand_side_by_side_on_a_wide_strip_and_below_each_other_on_a_high_one() {
        let wide = chart_places(Rect::new(0.0, 0.0, 1000.0, 150.0), 2, 30.0, 1.0);
        assert!(wide[0].y == wide[1].y && wide[0].right() < wide[1].x);
        let high = chart_places(Rect::new(0.0, 0.0, 600.0, 500.0), 2, 30.0, 1.0);
        assert!(high[0].x == high[1].x && high[0].bottom() < high[1].y);
        assert!(high[1].bottom() <= 500.0);
        // Many charts are not pressed flat.
        let strip = Rect::new(0.0, 0.0, 760.0, 130.0);
        let five = chart_places(strip, 5, 20.0, 1.0);
        assert!(five.iter().all(|c| c.h == 130.0 && c.w > 130.0), "{five:?}");
    }

    #[test]
    fn six_maps_fill_their_cells_and_say_their_axes_once_a_row_and_column() {
        const WIDE: [Domain; 6] = [Domain { x: [-15.0, 3.0], y: [-6.5, 4.3] }; 6];
        let layout = laid_out([1280, 720], 1.0, &WIDE, Layout::panels);
        let sizes: Vec<(f32, f32)> = layout.panels.iter().map(|p| (p.frame.w, p.frame.h)).collect();
        assert!(sizes.iter().all(|size| (size.0 - sizes[0].0).abs() < 1.5), "{sizes:?}");
        // Under titles and subtitles, above read-outs and charts.
        assert!(sizes[0].0 > 185.0, "{sizes:?}");
        let rows: BTreeSet<i32> = layout.panels.iter().map(|p| p.frame.y as i32).collect();
        let columns: BTreeSet<i32> = layout.panels.iter().map(|p| p.frame.x as i32).collect();
        let panel = |x: &str, y: &str| ContourPanel {
            x_label: x.into(),
            y_label: y.into(),
            ..ContourPanel::default()
        };
        let shown = |of: usize| {
            let labels = layout
                .panels
                .iter()
                .map(|p| p.axis_labels.of(&panel("PC1 (80 %)", "PC2 (10 %)"))[of].to_string());
            labels.filter(|label| !label.is_empty()).count()
        };
        assert_eq!((shown(0), shown(1)), (columns.len(), rows.len()));
    }

    #[test]
    fn windows_on_a_high_page_are_as_large_as_it_allows() {
        const SQUARE: Domain = Domain { x: [-1.0, 1.0], y: [-1.0, 1.0] };
        let windows = |size, n: usize| {
            let layout = laid_out(size, 1.0, &[SQUARE; 6][..n], |page, contents| {
                Layout::windows(page, contents, "loss", 6.0)
            });
            let columns: BTreeSet<i32> = layout.panels.iter().map(|p| p.frame.x as i32).collect();
            (columns.len(), layout.panels[0].frame)
        };
        let (columns, frame) = windows([720, 1280], 2);
        assert_eq!(columns, 1);
        assert!(frame.w > 500.0 && frame.h > 250.0, "{frame:?}");
        assert_eq!([1, 2, 3, 4, 6].map(|n| windows([1280, 720], n).0), [1, 2, 3, 2, 3]);
    }

    #[test]
    fn a_single_surface_is_shown_as_large_as_the_page_allows() {
        // The strip goes beside a square and a somewhat wide surface, and below a flat one.
        const SQUARE: [Domain; 1] = [Domain { x: [-1.0, 1.0], y: [-1.0, 1.0] }];
        const WIDE: [Domain; 1] = [Domain { x: [-15.0, 3.0], y: [-7.0, 4.0] }];
        const FLAT: [Domain; 1] = [Domain { x: [-3.0, 1.0], y: [-0.5, 0.5] }];
        for (domain, beside) in [(&SQUARE, true), (&WIDE, true), (&FLAT, false)] {
            let layout = laid_out([1280, 720], 1.0, domain, Layout::panels);
            let (frame, charts) = (layout.panels[0].frame, &layout.charts);
            assert_eq!(charts[0].x >= frame.right(), beside, "{domain:?}");
            assert!(frame.w * frame.h > 0.2 * 1280.0 * 720.0, "{domain:?} {frame:?}");
        }
        // On a high page nothing is left empty between the surface and its charts.
        let high = laid_out([720, 1280], 1.0, &WIDE, Layout::panels);
        let readout = high.panels[0].readout.unwrap();
        assert!(high.charts[0].y - readout.bottom() < 40.0, "{high:?}");
        let board = laid_out([720, 1280], 1.0, &WIDE, |page, contents| {
            Layout::with_board(page, contents, [20.0, 12.0])
        });
        assert!(board.board.y - board.panels[0].frame.bottom() < 80.0, "{board:?}");
        assert_eq!(board.charts.len(), 2);
    }
}
