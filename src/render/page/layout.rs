//! Where a scene's parts are in the body of its page: panels of maps, windows onto surfaces in space,
//! a board beside one panel, the colour bar and the charts.
//!
//! Lengths scale with the picture; type never gets smaller than can be read, so below about 640 x 360
//! the parts that matter least give way, in this order: the strip, the panels' subtitles and the axis
//! labels, the caption.
//!
//! A frame has equal scales on both axes wherever that fills at least 40 % of its cell; otherwise
//! it fills the cell and its x label says that the axes are not to one scale.

use crate::render::canvas::Rect;
use crate::render::canvas::text::{self, Weight};
use crate::render::page::scale::widest_tick;
use crate::render::page::{Page, PageSpec, Screen};
use crate::render::scene::{ContourPanel, Domain, PanelTable};

/// Where one panel's parts are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::render) struct PanelBox {
    /// All of the panel.
    pub cell: Rect,
    /// The surface.
    pub frame: Rect,
    /// Where its title and subtitle end, above the frame or in its upper corner.
    pub heading_end: f32,
    /// Whether both axes have one scale.
    pub equal_scales: bool,
    /// The read-out's place beside or below the frame; `None`: there is none.
    pub readout: Option<Rect>,
    /// Whether there is a line for a subtitle.
    pub subtitle: bool,
    /// Which labels its axes show.
    pub axis_labels: AxisLabels,
}

/// Which labels the axes of a panel show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::render) enum AxisLabels {
    /// None: there is no room.
    None,
    /// Both, in full.
    Own,
    /// The panel is one of many that have the same axes: a label stands once for each column and once for
    /// each row.
    Shared {
        /// Whether it is the lowest of its column, and so has the label of x.
        x: bool,
        /// Whether it is the first of its row, and so has that of y.
        y: bool,
        /// Whether the labels differ in what stands in parentheses, which is left out.
        name_only: bool,
    },
}

impl AxisLabels {
    /// The labels of `panel`'s x and y axis, where they are shown.
    pub fn of(self, panel: &ContourPanel) -> [&str; 2] {
        let own = [panel.x_label.as_str(), panel.y_label.as_str()];
        match self {
            Self::None => [""; 2],
            Self::Own => own,
            Self::Shared { x, y, name_only } => {
                let [of_x, of_y] = if name_only { own.map(name_of) } else { own };
                [if x { of_x } else { "" }, if y { of_y } else { "" }]
            }
        }
    }
}

/// A label without its share of the variance: `PC1` of `PC1 (82.8 %)`.
fn name_of(label: &str) -> &str {
    label.split_once(" (").map_or(label, |(name, _)| name)
}

/// What keeps a read-out from the subtitle of the next row of many panels, in lines of small type.
const ROW_GAP: f32 = 0.6;

/// So many panels are small multiples: what they have in common is said once.
pub(in crate::render) const MULTIPLES: usize = 4;

impl PanelBox {
    /// How well it shows its surface: by its area, and one scale on both axes is worth more than
    /// room.
    fn worth(&self) -> f32 {
        self.frame.w * self.frame.h * if self.equal_scales { 1.0 } else { 0.3 }
    }
}

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
}

/// The room beside a row for its title, in lines of headings.
pub(in crate::render) const ROW_TITLE: f32 = 1.8;

/// What has to be laid out.
pub(in crate::render) struct Contents<'a> {
    /// The panels; their titles, subtitles and paths take room.
    pub panels: &'a [ContourPanel],
    /// What each shows.
    pub domains: &'a [Domain],
    /// The widest label of the colour bar in ems.
    pub bar_label_ems: f32,
    /// How the panels stand, where somebody chose it.
    pub table: Option<&'a PanelTable>,
}

impl Contents<'_> {
    /// What the table's titles leave of `area` for the panels.
    fn inside(&self, area: Rect, page: &Page) -> Rect {
        let size = page.font.heading;
        let titled = |titles: fn(&PanelTable) -> &Vec<String>| {
            self.table.is_some_and(|table| !titles(table).is_empty())
        };
        let left = if titled(|table| &table.row_titles) { ROW_TITLE * size } else { 0.0 };
        let top = if titled(|table| &table.column_titles) { 1.7 * size } else { 0.0 };
        let (w, h) = ((area.w - left).max(4.0), (area.h - top).max(4.0));
        Rect::new(area.x + left, area.y + top, w, h)
    }

    /// The labels of panel `k`'s axes, of those that stand in `columns`; `None` where each has its own.
    fn shared_labels(&self, k: usize, columns: usize) -> Option<AxisLabels> {
        let n = self.panels.len();
        let same = |of: fn(&ContourPanel) -> &str| {
            self.panels.iter().all(|p| of(p) == of(&self.panels[0]))
        };
        let names = same(|p| name_of(&p.x_label)) && same(|p| name_of(&p.y_label));
        let name_only = !(same(|p| &p.x_label) && same(|p| &p.y_label));
        let (x, y) = (k + columns >= n, k.is_multiple_of(columns));
        (n >= MULTIPLES && names).then_some(AxisLabels::Shared { x, y, name_only })
    }

    /// How many panels stand side by side, where somebody chose it.
    fn columns(&self) -> Option<usize> {
        let most = self.panels.len().max(1);
        self.table.and_then(|table| table.columns).map(|columns| columns.clamp(1, most))
    }
}

/// The width of `text` in ems of regular type.
pub(in crate::render) fn ems(text: &str) -> f32 {
    text::width(text, 1.0, Weight::Regular)
}

/// The widest of the colour bar's `labels` in ems.
pub(in crate::render) fn widest_ems(labels: &[String]) -> f32 {
    labels.iter().map(|l| ems(l)).fold(2.0, f32::max)
}

/// What panels of one page have in common.
struct Cells<'a> {
    page: &'a Page<'a>,
    contents: &'a Contents<'a>,
    subtitles: bool,
    axis_labels: bool,
    /// The height of an axis' label.
    label: f32,
    /// What lies between a cell's edges and its frame: left, top, right, bottom.
    gutters: [f32; 4],
    /// The colour bar with its labels.
    bar_width: f32,
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
        let below = cells.place_below();
        if contents.domains.len() == 1 && page.rect.w > 1.3 * page.rect.h {
            let beside = cells.place_beside();
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
        let flat = n <= 3 && page.rect.w >= page.rect.h;
        let columns = if flat { n } else { (n as f32).sqrt().ceil() as usize };
        let columns = contents.columns().unwrap_or(columns);
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
            let heading_end = y + lift;
            let readout = if beside {
                let w = side_w.min(17.0 * font.label);
                Rect::new(body.right() - side_w, frame.y, w, board * font.label)
            } else {
                let y = frame.bottom() + 0.2 * font.small;
                Rect::new(cell.x, y, cell.w, foot - 0.3 * font.small)
            };
            let readout = (scales && !panel.path.is_empty()).then_some(readout);
            PanelBox {
                cell,
                frame,
                heading_end,
                equal_scales: true,
                readout,
                subtitle,
                axis_labels,
            }
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
        Self { panels, colorbar, charts, board: Rect::default() }
    }
}

impl<'a> Cells<'a> {
    fn new(page: &'a Page, contents: &'a Contents) -> Self {
        let (font, px_scale) = (page.font, page.px_scale);
        let [room_w, room_h] = page.room();
        let axis_labels = room_h >= 240.0 && room_w >= 320.0;
        let titled = contents.panels.iter().any(|p| !p.title.is_empty());
        let subtitles = contents.panels.iter().any(|p| !p.subtitle.is_empty()) && room_h >= 240.0;
        let label = if axis_labels { 1.6 * font.label } else { 0.0 };
        let heading = if titled { 1.65 * font.heading } else { 0.4 * font.small };
        let subtitle = if subtitles { 1.45 * font.small } else { 0.0 };
        let ticks = contents.domains.iter().map(|d| widest_tick(d.y, ems)).fold(1.5, f32::max);
        let gutters = [
            label + ticks * font.small + 9.0 * px_scale,
            heading + subtitle,
            0.6 * font.small,
            label + 1.3 * font.small + 7.0 * px_scale,
        ];
        let bar_width = 16.0 * px_scale + contents.bar_label_ems * font.small + 14.0 * px_scale;
        Self { page, contents, subtitles, axis_labels, label, gutters, bar_width }
    }

    /// The least width and the height of a read-out beside a frame.
    fn readout_size(&self) -> (f32, f32) {
        (10.8 * self.page.font.small, 8.6 * self.page.font.label)
    }

    /// The colour bar beside `frame` with its left edge at `x`; its title is above it.
    fn bar_beside(&self, frame: Rect, x: f32) -> Rect {
        let y = frame.y + 1.6 * self.page.font.small;
        Rect::new(x, y, 16.0 * self.page.px_scale, (frame.bottom() - y).max(1.0))
    }

    fn place_below(&self) -> Layout {
        let (page, contents) = (self.page, self.contents);
        let (font, px_scale, body) = (page.font, page.px_scale, page.body);
        let n = contents.domains.len().max(1);
        let strip = page.chart_count > 0;
        // Many panels need the room more than the charts do.
        let share = if n >= MULTIPLES { 0.19 } else { 0.245 };
        let strip_h = if strip { (share * body.h).max(7.0 * font.small) } else { 0.0 };
        let area = Rect { h: body.h - strip_h, ..body };
        let bar_w = if page.rect.w >= 300.0 { self.bar_width } else { 0.0 };
        let bar_gap = if bar_w > 0.0 { 16.0 * px_scale } else { 0.0 };
        let cells = contents.inside(Rect { w: area.w - bar_w - bar_gap, ..area }, page);
        let panels = |columns: usize| -> Vec<PanelBox> {
            let cells = self.cells(cells, columns, 22.0 * px_scale);
            contents.domains.iter().zip(cells).map(|(d, place)| self.panel(place, d)).collect()
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
            let x = if n == 1 { right } else { cells.right() } + bar_gap;
            layout.colorbar = Some(self.bar_beside(frame, x));
            let beside = layout.panels[0].readout.as_mut().filter(|r| n == 1 && r.x >= right);
            if let Some(readout) = beside {
                // Below the bar's title, which is wider than the bar.
                readout.x += bar_w + bar_gap;
                readout.y += 1.6 * font.small;
            }
        }
        if strip {
            // Flat frames leave room below them: the strip may have it, up to a point; on a high page
            // all of it, as the charts then stand below each other.
            let used = layout
                .panels
                .iter()
                .map(|p| {
                    let axes = p.frame.bottom() + self.gutters(p.axis_labels)[3];
                    axes.max(p.readout.map_or(0.0, |r| r.bottom()))
                })
                .fold(0.0, f32::max)
                + 10.0 * px_scale;
            let most = if page.rect.h > page.rect.w { 0.62 } else { 0.42 };
            let y = used.max(body.bottom() - most * body.h).min(area.bottom() + 10.0 * px_scale);
            let strip = Rect { y, h: body.bottom() - y, ..body };
            layout.charts = chart_places(strip, page.chart_count, 34.0 * px_scale, px_scale);
        }
        layout
    }

    fn place_beside(&self) -> Layout {
        let (font, px_scale, body) = (self.page.font, self.page.px_scale, self.page.body);
        let strip = self.page.chart_count > 0;
        let bar_w = self.bar_width + 16.0 * px_scale;
        let side_min = if strip { 0.27 * body.w } else { 0.0 }.max(self.readout_size().0);
        let gap = 28.0 * px_scale;
        let cell = Rect { w: body.w - bar_w - side_min - gap, ..body };
        let labels = self.own_labels();
        let mut panel = self.panel_without_readout((cell, labels), &self.contents.domains[0]);
        let bar = self.bar_beside(panel.frame, panel.frame.right() + 16.0 * px_scale);
        // Below the bar's title, which may be wider than the bar.
        let x = bar.x - 16.0 * px_scale + bar_w + gap;
        let side = Rect::new(x, bar.y, body.right() - x, body.bottom() - bar.y);
        let readout_h = self.readout_size().1;
        panel.readout = Some(Rect { h: readout_h, w: side.w.min(17.0 * font.label), ..side });
        let top = side.y + readout_h + 12.0 * px_scale;
        let area = Rect { y: top, h: side.bottom() - top, ..side };
        Layout {
            panels: vec![panel],
            colorbar: Some(bar),
            charts: below_each_other(area, self.page.chart_count, 8.0 * px_scale),
            ..Layout::default()
        }
    }

    /// Each panel's labels where it has its own.
    fn own_labels(&self) -> AxisLabels {
        if self.axis_labels { AxisLabels::Own } else { AxisLabels::None }
    }

    /// What lies between a cell's edges and its frame, with `labels` on its axes.
    fn gutters(&self, labels: AxisLabels) -> [f32; 4] {
        let [mut left, top, right, mut bottom] = self.gutters;
        if let AxisLabels::Shared { x, y, .. } = labels {
            left -= if y { 0.0 } else { self.label };
            bottom -= if x { 0.0 } else { self.label };
        }
        [left, top, right, bottom]
    }

    /// Cells in `columns` of `area`, `gap` between columns, and the labels of each one's axes. Where they
    /// share labels the cells that have one are larger by it, so that all frames are of one size.
    fn cells(&self, area: Rect, columns: usize, gap: f32) -> Vec<(Rect, AxisLabels)> {
        let n = self.contents.domains.len().max(1);
        let shared = |k| self.contents.shared_labels(k, columns).filter(|_| self.axis_labels);
        let label = if shared(0).is_some() { self.label } else { 0.0 };
        let (w, h) = ((area.w - label).max(4.0), (area.h - label).max(4.0));
        let inner = Rect::new(area.x + label, area.y, w, h);
        let widened = |(k, mut cell): (usize, Rect)| {
            if n >= MULTIPLES {
                cell.h = (cell.h - ROW_GAP * self.page.font.small).max(4.0);
            }
            let Some(labels) = shared(k) else { return (cell, self.own_labels()) };
            if let AxisLabels::Shared { x, y, .. } = labels {
                cell.h += if x { label } else { 0.0 };
                (cell.x, cell.w) =
                    if y { (cell.x - label, cell.w + label) } else { (cell.x, cell.w) };
            }
            (cell, labels)
        };
        grid(inner, n, columns, gap).into_iter().enumerate().map(widened).collect()
    }

    fn panel_without_readout(
        &self,
        (cell, labels): (Rect, AxisLabels),
        domain: &Domain,
    ) -> PanelBox {
        let [left, top, right, bottom] = self.gutters(labels);
        let room = Rect::new(
            cell.x + left,
            cell.y + top,
            (cell.w - left - right).max(4.0),
            (cell.h - top - bottom).max(4.0),
        );
        let aspect = domain.aspect();
        let w = (room.h * aspect).min(room.w);
        let h = (room.w / aspect).min(room.h);
        let equal_scales = aspect.is_finite() && aspect > 0.0 && w * h >= 0.4 * room.w * room.h;
        let frame = if equal_scales { Rect { w, h, ..room } } else { room };
        // Whole pixels: frames are drawn with crisp edges.
        let frame = Rect::new(frame.x.round(), frame.y.round(), frame.w.round(), frame.h.round());
        let subtitle = self.subtitles;
        let heading_end = frame.y;
        PanelBox {
            cell,
            frame,
            heading_end,
            equal_scales,
            readout: None,
            subtitle,
            axis_labels: labels,
        }
    }

    /// A panel with its read-out: beside the frame or in a row below it, for which the frame gives way
    /// where there is none; never on the map, where it would cover a path or a minimum.
    fn panel(&self, (cell, labels): (Rect, AxisLabels), domain: &Domain) -> PanelBox {
        let mut panel = self.panel_without_readout((cell, labels), domain);
        let (font, gap) = (self.page.font, 12.0 * self.page.px_scale);
        let below_axes = self.gutters(labels)[3];
        let (width, height) = self.readout_size();
        let aside = cell.right() - panel.frame.right() - gap;
        let below = cell.bottom() - panel.frame.bottom() - below_axes;
        let row = |panel: &PanelBox, h: f32| {
            let y = panel.frame.bottom() + below_axes + 0.3 * font.small;
            Rect::new(panel.frame.x, y, cell.right() - panel.frame.x, h)
        };
        if aside >= width && panel.frame.h >= height {
            let (x, y) = (panel.frame.right() + gap, panel.frame.y);
            panel.readout = Some(Rect::new(x, y, aside.min(14.0 * font.label), height));
        } else if aside >= 6.8 * font.small && panel.frame.h >= 14.5 * font.small {
            let (x, y) = (panel.frame.right() + gap, panel.frame.y);
            panel.readout = Some(Rect::new(x, y, aside, 14.5 * font.small));
        } else if below >= 3.4 * font.small && panel.frame.w >= 20.0 * font.small {
            panel.readout = Some(row(&panel, 2.9 * font.small));
        } else if below >= 1.7 * font.small {
            panel.readout = Some(row(&panel, 1.4 * font.small));
        } else {
            // Two lines where that costs the frame little, else one.
            let two = panel.frame.h >= 16.0 * font.small && panel.frame.w >= 20.0 * font.small;
            let (row_h, taken) = if two { (2.9, 3.8) } else { (1.4, 2.0) };
            let smaller = Rect { h: cell.h - taken * font.small, ..cell };
            panel = self.panel_without_readout((smaller, labels), domain);
            panel.cell = cell;
            panel.readout = Some(row(&panel, row_h * font.small));
        }
        panel
    }
}

/// `n` cells of `area` in `columns` columns, row by row, `gap` between columns.
pub(in crate::render) fn grid(area: Rect, n: usize, columns: usize, gap: f32) -> Vec<Rect> {
    let w = (area.w - gap * (columns - 1) as f32) / columns as f32;
    let h = area.h / n.div_ceil(columns) as f32;
    let cell = |k: usize| {
        let (ix, iy) = ((k % columns) as f32, (k / columns) as f32);
        Rect::new(area.x + ix * (w + gap), area.y + iy * h, w, h)
    };
    (0..n).map(cell).collect()
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
    use crate::render::scene::{Quantity, Series, Split};

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
    fn labels_that_many_panels_share_leave_out_what_differs() {
        let panel = |share: u32| ContourPanel {
            x_label: format!("PC1 ({share} %)"),
            y_label: "PC2 (9 %)".into(),
            ..ContourPanel::default()
        };
        let labels = |panels: &[ContourPanel]| {
            let contents = Contents { panels, domains: &[], bar_label_ems: 3.0, table: None };
            let of = contents.shared_labels(panels.len() - 1, 2)?;
            Some(of.of(&panels[0]).map(str::to_string))
        };
        let some = |x: &str, y: &str| Some([x.to_string(), y.to_string()]);
        assert_eq!(labels(&[80, 80, 80].map(panel)), None);
        // The last of five in two columns is the first of its row, and the lowest of its column.
        assert_eq!(labels(&[80, 70, 80, 75, 60].map(panel)), some("PC1", "PC2"));
        assert_eq!(labels(&[80; 5].map(panel)), some("PC1 (80 %)", "PC2 (9 %)"));
        assert_eq!(labels(&[80; 4].map(panel)), some("PC1 (80 %)", ""));
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
