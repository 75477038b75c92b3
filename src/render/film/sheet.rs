//! The contact sheet: a film on one page, nine frames with their times.

use crate::disk::{self, StagedFile};
use crate::error::Result;
use crate::render::canvas::png;
use crate::render::canvas::raster::Raster;
use crate::render::canvas::{Align, Canvas, Rect, TextStyle};
use crate::render::film::frames::Frames;
use crate::render::film::output::Output;
use crate::render::film::show::Show;

const COLUMNS: usize = 3;
const ROWS: usize = 3;

/// Draws nine frames of `show`, from its first to its last in even steps, half as large as
/// `output` says, and writes them to `path` as one PNG. Returns its size in bytes.
///
/// Errors: those of [`Output::check`] and of drawing and writing.
pub fn write(show: &dyn Show, output: &Output, path: &std::path::Path) -> Result<u64> {
    let [width, height] = output.check()?.1.map(|n| n.div_ceil(2));
    let frames = Frames::new(show, [width, height], 1)?;
    let theme = show.theme();
    let (w, h) = (width as f32, height as f32);
    let size = (0.042 * h).max(9.0);
    let (gap, line) = (0.6 * size, 1.9 * size);
    let page = [
        (COLUMNS as f32 * (w + gap) + gap).ceil() as u32,
        (ROWS as f32 * (h + line) + gap).ceil() as u32,
    ];
    let mut sheet = Raster::new(page[0], page[1], theme.rule)?;
    let cells = COLUMNS * ROWS;
    for cell in 0..cells {
        let frame = cell * (frames.count() - 1) / (cells - 1);
        let (x, y) = ((cell % COLUMNS) as f32, (cell / COLUMNS) as f32);
        let (x, y) = ((gap + x * (w + gap)).round(), (line + y * (h + line)).round());
        let picture = frames.picture(frame)?;
        sheet.image(picture.rgba(), width, height, Rect::new(x, y, w, h));
        let style = TextStyle::new(size, theme.text).bold();
        let seconds = frame as f64 / f64::from(output.fps);
        sheet.text(&format!("{seconds:.1} s"), x, y - 0.5 * size, &style);
        let count = TextStyle::new(size, theme.muted).align(Align::Right);
        let count_text = format!("{} / {}", frame + 1, frames.count());
        sheet.text(&count_text, x + w, y - 0.5 * size, &count);
    }
    disk::remove_temporaries_of(path)?;
    let mut staged = StagedFile::create_with_folder(path)?;
    png::write(staged.file(), sheet.rgba(), page[0], page[1])?;
    staged.finish()
}
