//! Where everything stands, from the size of the picture and the shapes of the domains.
//!
//! Lengths scale with the picture (`s` is one at 1280 x 720); type never gets smaller than can be
//! read, so below about 640 x 360 the parts that matter least give way, in this order: the
//! strip, the panels' subtitles and the axis labels, the caption.
//!
//! A frame has equal scales on both axes wherever that fills at least 40 % of its cell; otherwise
//! it fills the cell and its x label says that the axes are not to one scale.

use crate::render::canvas::Rect;
use crate::render::scene::Domain;

/// Sizes of type in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Type {
    /// The headline.
    pub title: f32,
    /// A panel's title.
    pub heading: f32,
    /// Axis labels, read-out.
    pub label: f32,
    /// Ticks, caption, contour labels.
    pub small: f32,
}

impl Type {
    /// The sizes at `s` pixels a design pixel; never smaller than can be read.
    pub fn scaled(s: f32) -> Self {
        Self {
            title: (29.0 * s).max(11.0),
            heading: (19.0 * s).max(9.5),
            label: (16.0 * s).max(8.5),
            small: (14.5 * s).max(8.0),
        }
    }
}

/// Where one panel's parts stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PanelBox {
    /// All of the panel.
    pub cell: Rect,
    /// The surface.
    pub frame: Rect,
    /// Whether both axes have one scale.
    pub equal_scales: bool,
    /// The read-out's place beside the frame; `None`: in a corner of the frame.
    pub readout: Option<Rect>,
}

impl PanelBox {
    /// How well it shows its surface: by its area, and one scale on both axes is worth more than
    /// room.
    fn worth(&self) -> f32 {
        self.frame.w * self.frame.h * if self.equal_scales { 1.0 } else { 0.3 }
    }
}

/// Where everything stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The picture.
    pub page: Rect,
    /// Pixels a design pixel at 1280 x 720.
    pub s: f32,
    /// Sizes of type.
    pub font: Type,
    /// The outer margin.
    pub margin: f32,
    /// Baseline of the headline; `None` without one.
    pub title_baseline: Option<f32>,
    /// Baseline of the caption; `None` without one or without room.
    pub caption_baseline: Option<f32>,
    /// One for each panel.
    pub panels: Vec<PanelBox>,
    /// Whether panels show their subtitle.
    pub subtitles: bool,
    /// Whether axes show their label.
    pub axis_labels: bool,
    /// The colour bar itself (labels go to its right); `None` without room.
    pub colorbar: Option<Rect>,
    /// The charts of the strip, labels and all; empty without room.
    pub charts: Vec<Rect>,
}

/// What has to be laid out.
pub struct Contents<'a> {
    /// Whether there is a headline.
    pub title: bool,
    /// Whether there is a caption.
    pub caption: bool,
    /// Whether a panel has a title.
    pub headings: bool,
    /// Whether a panel has a subtitle.
    pub subtitles: bool,
    /// One for each panel.
    pub domains: &'a [Domain],
    /// How many charts the strip has.
    pub charts: usize,
    /// The widest tick label of the colour bar in ems.
    pub colorbar_label_ems: f32,
    /// The widest tick label of a y axis in ems.
    pub tick_label_ems: f32,
}

impl Layout {
    /// The layout for a picture of `width` x `height` pixels.
    pub fn new(width: u32, height: u32, contents: &Contents) -> Self {
        Self::scaled(width, height, 1.0, contents)
    }

    /// As [`Layout::new`] with type, lines and gaps `scale` times as large; what gives way on a
    /// small page gives way as on one that much smaller. Where panels would be left with less than
    /// some lines of type, the scale itself gives way, down to one.
    pub fn scaled(width: u32, height: u32, scale: f32, contents: &Contents) -> Self {
        let mut scale = scale;
        loop {
            let layout = Self::place(width, height, scale, contents);
            let least = 7.0 * layout.font.small;
            let roomy = layout.panels.iter().all(|p| p.frame.w >= least && p.frame.h >= least);
            if roomy || scale <= 1.0 {
                return layout;
            }
            scale = (0.85 * scale).max(1.0);
        }
    }

    fn place(width: u32, height: u32, scale: f32, contents: &Contents) -> Self {
        let (blank, body, strip) = Self::blank(width, height, scale, contents);
        let page = blank.page;
        let mut layout = blank.clone();
        layout.place_below(body, contents, strip);
        // A single surface on a wide page may have its strip beside it, where that shows it larger and
        // holds all charts.
        if contents.domains.len() == 1 && page.w > 1.3 * page.h {
            let mut beside = blank;
            beside.place_beside(body, contents, strip);
            let readable = |chart: &Rect| chart.h >= 5.5 * beside.font.small;
            let fits = beside.charts.iter().all(readable);
            if fits && beside.panels[0].worth() >= layout.panels[0].worth() {
                return beside;
            }
        }
        layout
    }

    /// A layout of one panel with a board, `[w, h]` in units of the label's size, beside it on a wide
    /// page and below it on a high one; the charts stand below the board.
    pub fn with_board(
        width: u32,
        height: u32,
        scale: f32,
        contents: &Contents,
        [board_w, board_h]: [f32; 2],
    ) -> (Self, Rect) {
        let (mut layout, body, strip) = Self::blank(width, height, scale, contents);
        let (page, font, s) = (layout.page, layout.font, layout.s);
        let gap = 26.0 * s;
        let bar_w = layout.colorbar_width(contents) + 16.0 * s;
        let charts_min = if strip { 5.5 * font.small * contents.charts as f32 } else { 0.0 };
        let wide = page.w > 1.1 * page.h;
        let cell = if wide {
            let w = (board_w * font.label).max(0.3 * body.w).min(0.42 * body.w);
            Rect { w: (body.w - w - gap - bar_w).max(4.0), ..body }
        } else {
            let h = (board_h * font.label + charts_min + gap).min(0.5 * body.h);
            Rect { w: body.w - bar_w, h: body.h - h, ..body }
        };
        let panel = layout.panel_without_readout(cell, &contents.domains[0], contents);
        let side = if wide {
            let x = cell.right() + bar_w + gap;
            let y = body.y.max(panel.frame.y.min(body.y + 2.0 * font.label));
            Rect::new(x, y, body.right() - x, body.bottom() - y)
        } else {
            // Close below the frame, which the page's width may have made flat.
            let y = panel.frame.bottom() + layout.gutters(contents)[3] + 0.5 * gap;
            Rect { y, h: body.bottom() - y, ..body }
        };
        let head = 1.6 * font.small;
        let bar_y = panel.frame.y + head;
        let bar_h = (panel.frame.bottom() - bar_y).max(1.0);
        layout.colorbar = Some(Rect::new(panel.frame.right() + 16.0 * s, bar_y, 16.0 * s, bar_h));
        layout.panels.push(panel);
        let board_h = (board_h * font.label).min(side.h);
        let below = side.bottom() - (side.y + board_h + 0.6 * font.label);
        if strip && below >= charts_min {
            let top = side.bottom() - below;
            // Beside the frame not higher than a chart is good for.
            let most = if wide { 13.0 * font.label * contents.charts as f32 } else { below };
            let area = Rect::new(side.x, top, side.w, below.min(most));
            layout.charts = chart_places(area, contents.charts, gap, s);
        }
        let board = Rect { h: board_h, ..side };
        (layout, board)
    }

    /// A layout with nothing placed, the room between headline and caption, and whether charts are
    /// to have a place.
    fn blank(width: u32, height: u32, scale: f32, contents: &Contents) -> (Self, Rect, bool) {
        let page = Rect::new(0.0, 0.0, width as f32, height as f32);
        let s = scale
            * (page.w / 1280.0).min(page.h / 720.0).max((page.w * page.h / 921_600.0).sqrt() * 0.7);
        let font = Type::scaled(s);
        let (room_w, room_h) = (page.w / scale, page.h / scale);
        let roomy = room_h >= 300.0 && room_w >= 420.0;
        let margin = (32.0 * s).max(6.0);
        let mut top = 0.72 * margin;
        let title_baseline = contents.title.then(|| {
            top += font.title;
            top - 0.18 * font.title
        });
        top += if contents.title { 0.45 * font.title } else { 0.0 };
        let mut bottom = page.h - 0.6 * margin;
        // Where the numbers come from stays longer than the charts do.
        let told = room_h >= 220.0 && room_w >= 300.0;
        let caption_baseline = (contents.caption && told).then(|| {
            bottom -= 1.9 * font.small;
            bottom + 1.6 * font.small
        });
        let body = Rect::new(margin, top, page.w - 2.0 * margin, bottom - top);
        let strip = contents.charts > 0 && roomy;
        let subtitles = contents.subtitles && room_h >= 240.0;
        let axis_labels = room_h >= 240.0 && room_w >= 320.0;

        let layout = Self {
            page,
            s,
            font,
            margin,
            title_baseline,
            caption_baseline,
            panels: Vec::new(),
            subtitles,
            axis_labels,
            colorbar: None,
            charts: Vec::new(),
        };
        (layout, body, strip)
    }

    /// What lies between a cell's edges and its frame: left, top, right, bottom.
    fn gutters(&self, contents: &Contents) -> [f32; 4] {
        let font = &self.font;
        let label = if self.axis_labels { 1.6 * font.label } else { 0.0 };
        let heading = if contents.headings { 1.65 * font.heading } else { 0.4 * font.small };
        let subtitle = if self.subtitles { 1.45 * font.small } else { 0.0 };
        [
            label + contents.tick_label_ems * font.small + 9.0 * self.s,
            heading + subtitle,
            0.6 * font.small,
            label + 1.3 * font.small + 7.0 * self.s,
        ]
    }

    fn colorbar_width(&self, contents: &Contents) -> f32 {
        16.0 * self.s + contents.colorbar_label_ems * self.font.small + 14.0 * self.s
    }

    /// The least width and the height of a read-out beside a frame.
    fn readout_size(&self) -> (f32, f32) {
        (10.8 * self.font.small, 8.6 * self.font.label)
    }

    fn place_below(&mut self, body: Rect, contents: &Contents, strip: bool) {
        let n = contents.domains.len().max(1);
        let strip_h = if strip { (0.245 * body.h).max(7.0 * self.font.small) } else { 0.0 };
        let area = Rect { h: body.h - strip_h, ..body };
        let bar_w = if self.page.w >= 300.0 { self.colorbar_width(contents) } else { 0.0 };
        let bar_gap = if bar_w > 0.0 { 16.0 * self.s } else { 0.0 };
        let cells = Rect { w: area.w - bar_w - bar_gap, ..area };
        let gap = 22.0 * self.s;
        let grid = |columns: usize| -> Vec<PanelBox> {
            let rows = n.div_ceil(columns);
            let cell_w = (cells.w - gap * (columns - 1) as f32) / columns as f32;
            let cell_h = cells.h / rows as f32;
            let place = |(k, domain): (usize, &Domain)| {
                let (ix, iy) = ((k % columns) as f32, (k / columns) as f32);
                let (x, y) = (cells.x + ix * (cell_w + gap), cells.y + iy * cell_h);
                self.panel(Rect::new(x, y, cell_w, cell_h), domain, contents)
            };
            contents.domains.iter().enumerate().map(place).collect()
        };
        // As many columns as show the smallest panel largest.
        let worth = |columns: &usize| {
            grid(*columns).iter().map(PanelBox::worth).fold(f32::INFINITY, f32::min)
        };
        let columns = (1..=n).max_by(|a, b| worth(a).total_cmp(&worth(b))).unwrap_or(1);
        let rows = n.div_ceil(columns);
        self.panels = grid(columns);
        if let (true, Some(first)) = (bar_w > 0.0, self.panels.first()) {
            let bottom = self.panels[(rows - 1) * columns].frame.bottom();
            let head = 1.6 * self.font.small;
            let mut x = cells.right() + bar_gap;
            if n == 1 {
                // Next to the frame, whether that fills its cell or not; a read-out beside it moves.
                x = first.frame.right() + bar_gap;
            }
            let y = first.frame.y + head;
            self.colorbar = Some(Rect::new(x, y, 16.0 * self.s, (bottom - y).max(1.0)));
            let right = self.panels[0].frame.right();
            let beside = self.panels[0].readout.as_mut().filter(|r| n == 1 && r.x >= right);
            if let Some(readout) = beside {
                // Below the bar's title, which is wider than the bar.
                readout.x += bar_w + bar_gap;
                readout.y += head;
            }
        }
        if strip {
            let gap = 34.0 * self.s;
            // Flat frames leave room below them: the strip may have it, up to a point; on a high page
            // all of it, as the charts then stand below each other.
            let below_axes = self.gutters(contents)[3];
            let used = self
                .panels
                .iter()
                .map(|p| (p.frame.bottom() + below_axes).max(p.readout.map_or(0.0, |r| r.bottom())))
                .fold(0.0, f32::max)
                + 10.0 * self.s;
            let most = if self.page.h > self.page.w { 0.62 } else { 0.42 };
            let y = used.max(body.bottom() - most * body.h).min(area.bottom() + 10.0 * self.s);
            let strip = Rect { y, h: body.bottom() - y, ..body };
            self.charts = chart_places(strip, contents.charts, gap, self.s);
        }
    }

    fn place_beside(&mut self, body: Rect, contents: &Contents, strip: bool) {
        let bar_w = self.colorbar_width(contents) + 16.0 * self.s;
        let side_min = if strip { 0.27 * body.w } else { 0.0 }.max(self.readout_size().0);
        let gap = 28.0 * self.s;
        let cell = Rect { w: body.w - bar_w - side_min - gap, ..body };
        let mut panel = self.panel_without_readout(cell, &contents.domains[0], contents);
        let bar_x = panel.frame.right() + 16.0 * self.s;
        let head = 1.6 * self.font.small;
        let bar_y = panel.frame.y + head;
        self.colorbar =
            Some(Rect::new(bar_x, bar_y, 16.0 * self.s, (panel.frame.bottom() - bar_y).max(1.0)));
        let side_x = bar_x - 16.0 * self.s + bar_w + gap;
        // Below the bar's title, which may be wider than the bar.
        let side_y = panel.frame.y + head;
        let side = Rect::new(side_x, side_y, body.right() - side_x, body.bottom() - side_y);
        let readout_h = self.readout_size().1;
        let readout_w = side.w.min(17.0 * self.font.label);
        panel.readout = Some(Rect { h: readout_h, w: readout_w, ..side });
        self.panels.push(panel);
        if strip {
            let m = contents.charts as f32;
            let top = side.y + readout_h + 12.0 * self.s;
            let each = (side.bottom() - top) / m;
            self.charts = (0..contents.charts)
                .map(|k| Rect::new(side.x, top + k as f32 * each, side.w, each - 8.0 * self.s))
                .collect();
        }
    }

    fn panel_without_readout(&self, cell: Rect, domain: &Domain, contents: &Contents) -> PanelBox {
        let [left, top, right, bottom] = self.gutters(contents);
        let room = Rect::new(
            cell.x + left,
            cell.y + top,
            (cell.w - left - right).max(4.0),
            (cell.h - top - bottom).max(4.0),
        );
        let aspect = ((domain.x[1] - domain.x[0]) / (domain.y[1] - domain.y[0])) as f32;
        let w = (room.h * aspect).min(room.w);
        let h = (room.w / aspect).min(room.h);
        let equal_scales = aspect.is_finite() && aspect > 0.0 && w * h >= 0.4 * room.w * room.h;
        let frame = if equal_scales { Rect { w, h, ..room } } else { room };
        // Whole pixels: frames are drawn with crisp edges.
        let frame = Rect::new(frame.x.round(), frame.y.round(), frame.w.round(), frame.h.round());
        PanelBox { cell, frame, equal_scales, readout: None }
    }

    /// A panel with its read-out: beside the frame, in a row below it, in one of its corners, or,
    /// where the frame is too small for that, in a line for which the frame gives way.
    fn panel(&self, cell: Rect, domain: &Domain, contents: &Contents) -> PanelBox {
        let mut panel = self.panel_without_readout(cell, domain, contents);
        let (font, gap) = (self.font, 12.0 * self.s);
        let below_axes = self.gutters(contents)[3];
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
        } else if corner_plate(panel.frame, &font).is_none() {
            let smaller = Rect { h: cell.h - 1.7 * font.small, ..cell };
            panel = self.panel_without_readout(smaller, domain, contents);
            panel.cell = cell;
            panel.readout = Some(row(&panel, 1.4 * font.small));
        }
        panel
    }
}

/// Width and height of the read-out's plate in a corner of `frame`; `None` where it would hide too
/// much.
pub fn corner_plate(frame: Rect, font: &Type) -> Option<(f32, f32)> {
    let (w, h) = (12.6 * font.small, 8.5 * font.small);
    (frame.w >= 2.2 * w && frame.h >= 1.9 * h).then_some((w, h))
}

/// Rectangles for `count` charts in `area`: side by side or below each other, whichever makes them
/// nearer to 2.3 times as wide as high.
pub fn chart_places(area: Rect, count: usize, gap: f32, s: f32) -> Vec<Rect> {
    let n = count.max(1) as f32;
    let w = (area.w - gap * (n - 1.0)) / n;
    let misfit = |w: f32, h: f32| (w / (2.3 * h)).ln().abs();
    let across = misfit(w, area.h) <= misfit(area.w, area.h / n);
    let place = |k: usize| {
        let k = k as f32;
        if across {
            Rect::new(area.x + k * (w + gap), area.y, w, area.h)
        } else {
            let each = area.h / n;
            Rect::new(area.x, area.y + k * each, area.w, each - 8.0 * s)
        }
    };
    (0..count).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
                let layout = Layout::scaled(
                    width,
                    height,
                    scale,
                    &Contents {
                        title: true,
                        caption: true,
                        headings: true,
                        subtitles: true,
                        domains,
                        charts: 2,
                        colorbar_label_ems: 3.0,
                        tick_label_ems: 2.5,
                    },
                );
                let mut rects: Vec<Rect> = layout.panels.iter().map(|p| p.frame).collect();
                rects.extend(layout.panels.iter().filter_map(|p| p.readout));
                rects.extend(layout.colorbar);
                rects.extend(&layout.charts);
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
    fn a_single_surface_is_shown_as_large_as_the_page_allows() {
        let contents = |domain: &'static [Domain; 1]| Contents {
            title: true,
            caption: true,
            headings: true,
            subtitles: true,
            domains: domain,
            charts: 2,
            colorbar_label_ems: 3.0,
            tick_label_ems: 2.5,
        };
        // The strip goes beside a square and a somewhat wide surface, and below a flat one.
        const SQUARE: [Domain; 1] = [Domain { x: [-1.0, 1.0], y: [-1.0, 1.0] }];
        const WIDE: [Domain; 1] = [Domain { x: [-15.0, 3.0], y: [-7.0, 4.0] }];
        const FLAT: [Domain; 1] = [Domain { x: [-3.0, 1.0], y: [-0.5, 0.5] }];
        for (domain, beside) in [(&SQUARE, true), (&WIDE, true), (&FLAT, false)] {
            let layout = Layout::new(1280, 720, &contents(domain));
            let (frame, charts) = (layout.panels[0].frame, &layout.charts);
            assert_eq!(charts[0].x >= frame.right(), beside, "{domain:?}");
            assert!(frame.w * frame.h > 0.2 * 1280.0 * 720.0, "{domain:?} {frame:?}");
        }
        // On a high page nothing is left empty between the surface and its charts.
        let high = Layout::new(720, 1280, &contents(&WIDE));
        let readout = high.panels[0].readout.unwrap();
        assert!(high.charts[0].y - readout.bottom() < 40.0, "{high:?}");
        let (board, place) = Layout::with_board(720, 1280, 1.0, &contents(&WIDE), [20.0, 12.0]);
        assert!(place.y - board.panels[0].frame.bottom() < 80.0, "{board:?} {place:?}");
        assert_eq!(board.charts.len(), 2);
    }
}
