//! Panels in a table: how the frames of one page stand in its cells, with which labels, headings and
//! read-outs around them.
//!
//! A frame has equal scales on both axes wherever that fills at least 40 % of its cell; otherwise
//! it fills the cell and its x label says that the axes are not to one scale.

use crate::render::canvas::Rect;
use crate::render::canvas::text::{self, Weight};
use crate::render::page::Page;
use crate::render::page::scale::widest_tick;
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
pub(in crate::render) const ROW_GAP: f32 = 0.6;

/// So many panels are small multiples: what they have in common is said once.
pub(in crate::render) const MULTIPLES: usize = 4;

impl PanelBox {
    /// A panel with one scale on both axes and without a read-out, its heading above the frame.
    pub fn of_frame(cell: Rect, frame: Rect, subtitle: bool, axis_labels: AxisLabels) -> Self {
        let (heading_end, equal_scales, readout) = (frame.y, true, None);
        Self { cell, frame, heading_end, equal_scales, readout, subtitle, axis_labels }
    }

    /// How well it shows its surface: by its area, and one scale on both axes is worth more than
    /// room.
    pub fn worth(&self) -> f32 {
        self.frame.w * self.frame.h * if self.equal_scales { 1.0 } else { 0.3 }
    }
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
    pub fn inside(&self, area: Rect, page: &Page) -> Rect {
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
    pub fn shared_labels(&self, k: usize, columns: usize) -> Option<AxisLabels> {
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
    pub fn columns(&self) -> Option<usize> {
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
pub(in crate::render) struct Cells<'a> {
    pub page: &'a Page<'a>,
    pub contents: &'a Contents<'a>,
    subtitles: bool,
    axis_labels: bool,
    /// The height of an axis' label.
    label: f32,
    /// What lies between a cell's edges and its frame: left, top, right, bottom.
    pub gutters: [f32; 4],
    /// The colour bar with its labels.
    pub bar_width: f32,
}

impl<'a> Cells<'a> {
    /// Those of `contents` on `page`.
    pub fn new(page: &'a Page, contents: &'a Contents) -> Self {
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
    pub fn readout_size(&self) -> (f32, f32) {
        (10.8 * self.page.font.small, 8.6 * self.page.font.label)
    }

    /// The colour bar beside `frame` with its left edge at `x`; its title is above it.
    pub fn bar_beside(&self, frame: Rect, x: f32) -> Rect {
        let y = frame.y + 1.6 * self.page.font.small;
        Rect::new(x, y, 16.0 * self.page.px_scale, (frame.bottom() - y).max(1.0))
    }

    /// Each panel's labels where it has its own.
    pub fn own_labels(&self) -> AxisLabels {
        if self.axis_labels { AxisLabels::Own } else { AxisLabels::None }
    }

    /// What lies between a cell's edges and its frame, with `labels` on its axes.
    pub fn gutters(&self, labels: AxisLabels) -> [f32; 4] {
        let [mut left, top, right, mut bottom] = self.gutters;
        if let AxisLabels::Shared { x, y, .. } = labels {
            left -= if y { 0.0 } else { self.label };
            bottom -= if x { 0.0 } else { self.label };
        }
        [left, top, right, bottom]
    }

    /// Cells in `columns` of `area`, `gap` between columns, and the labels of each one's axes. Where they
    /// share labels the cells that have one are larger by it, so that all frames are of one size.
    pub fn cells(&self, area: Rect, columns: usize, gap: f32) -> Vec<(Rect, AxisLabels)> {
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

    pub fn panel_without_readout(
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
        let panel = PanelBox::of_frame(cell, frame, self.subtitles, labels);
        PanelBox { equal_scales, ..panel }
    }

    /// A panel with its read-out: beside the frame or in a row below it, for which the frame gives way
    /// where there is none; never on the map, where it would cover a path or a minimum.
    pub fn panel(&self, (cell, labels): (Rect, AxisLabels), domain: &Domain) -> PanelBox {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
