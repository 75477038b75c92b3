//! Small multiples as a table: titles over its columns and beside its rows, for runs that differ in two
//! things (with and without skip connections, by width).

use crate::render::canvas::text::CAP_HEIGHT;
use crate::render::canvas::{Align, Canvas, TextStyle};
use crate::render::page::Page;
use crate::render::page::panels::{PanelBox, ROW_TITLE};
use crate::render::scene::PanelTable;

/// Draws the titles of `table` around `panels`, which stand in their cells row by row.
pub(in crate::render) fn draw(
    canvas: &mut dyn Canvas,
    table: &PanelTable,
    panels: &[PanelBox],
    page: &Page,
) {
    let size = page.font.heading;
    let style = TextStyle::new(size, page.theme.text).bold().align(Align::Center);
    for (title, place) in table.column_titles.iter().zip(panels) {
        let (frame, cell) = (place.frame, place.cell);
        let text = style.fit(title, cell.w);
        let (x, baseline) = (frame.x + 0.5 * frame.w, cell.y - 0.55 * size);
        canvas.text(&text, x, baseline, &style);
    }
    let columns = table.columns.unwrap_or(panels.len()).max(1);
    let upwards = TextStyle { angle: -std::f32::consts::FRAC_PI_2, ..style };
    for (title, place) in table.row_titles.iter().zip(panels.iter().step_by(columns)) {
        let (frame, cell) = (place.frame, place.cell);
        let text = style.fit(title, cell.h);
        let x = cell.x - (ROW_TITLE - 0.5 * (1.0 + CAP_HEIGHT)) * size;
        canvas.text(&text, x, frame.y + 0.5 * frame.h, &upwards);
    }
}
