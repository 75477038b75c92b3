//! The contour film: filled contours of one surface or several, their paths moving over them, and
//! charts with a playhead below.

use crate::error::{Error, Result};
use crate::render::canvas::Canvas;
use crate::render::canvas::theme::Theme;
use crate::render::film::{Output, RenderReport, write_show};
use crate::render::map::inset::InsetView;
use crate::render::map::panel;
use crate::render::map::path::{Pen, Track};
use crate::render::page::colorbar::ColorBar;
use crate::render::page::layout::Layout;
use crate::render::page::panels::{Contents, widest_ems};
use crate::render::page::readout;
use crate::render::page::scale::LevelScale;
use crate::render::page::table;
use crate::render::page::{Body, Page, PageSpec, Scene, Screen};
use crate::render::scene::{ContourPanel, Domain, Film};

/// A contour film made ready.
pub type ContourFilm<'a> = Scene<'a, Contours<'a>>;

/// The panels of a contour film: scaled, their tracks computed.
pub struct Contours<'a> {
    film: &'a Film,
    layout: Layout,
    scale: LevelScale,
    tracks: Vec<Track>,
    insets: Vec<Option<InsetView<'a>>>,
}

impl Film {
    /// What a page shows beside the panels, and the times of the snapshots.
    pub(in crate::render) fn page_spec(&self) -> PageSpec<'_> {
        PageSpec::film(&self.title, &self.caption, &self.strip, &self.pacing, self.hold_secs)
    }

    /// The times of all snapshots.
    pub(in crate::render) fn times(&self) -> impl Iterator<Item = f64> {
        self.panels.iter().flat_map(|p| &p.path).map(|p| p.time)
    }

    /// Errors: [`Error::Render`] without panels or with a grid that cannot be drawn, and those of
    /// [`crate::render::scene::PanelTable::check`].
    pub(in crate::render) fn check(&self) -> Result<()> {
        if self.panels.is_empty() {
            return Err(Error::Render {
                what: "the film has no panel".into(),
                remedy: "give it at least one surface".into(),
            });
        }
        self.table.check(self.panels.len())?;
        self.panels.iter().try_for_each(|p| p.grid.check())
    }

    /// The values of all panels whose standard errors are known, with these.
    pub(in crate::render) fn cells(&self) -> Vec<(f64, f64)> {
        let pairs = |p: &ContourPanel| -> Vec<(f64, f64)> {
            p.grid.values.iter().copied().zip(p.errors.iter().copied()).collect()
        };
        self.panels.iter().flat_map(pairs).collect()
    }

    /// All texts of the panels.
    pub(in crate::render) fn texts(&self) -> Vec<&str> {
        let panels = self.panels.iter();
        let panels = panels.flat_map(|p| [&p.title, &p.subtitle, &p.x_label, &p.y_label]);
        let insets = self.panels.iter().filter_map(|p| p.inset.as_ref()).map(|i| &i.title);
        let table = self.table.column_titles.iter().chain(&self.table.row_titles);
        let own = panels.chain(insets).chain([&self.value_label]);
        own.chain(table).map(String::as_str).collect()
    }
}

impl<'a> ContourFilm<'a> {
    /// Makes `film` ready for a picture of `size` pixels in `frames` frames at `fps`.
    ///
    /// Errors: [`Error::Render`] on a film without panels or with a grid that cannot be drawn.
    pub fn new(
        film: &'a Film,
        theme: &'a Theme,
        size: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        film.check()?;
        let values = film.panels.iter().flat_map(|p| p.grid.values.iter().copied());
        let scale = LevelScale::chosen(values, &film.levels).resolved(&film.cells());
        let domains: Vec<Domain> = film.panels.iter().map(Domain::of).collect();
        let bar_label_ems = widest_ems(&scale.labels());
        let table = Some(&film.table);
        let contents = Contents { panels: &film.panels, domains: &domains, bar_label_ems, table };
        let screen = Screen { theme, size, frames, fps };
        let lay_out = |page: &Page| Layout::panels(page, &contents);
        let (page, layout) = Page::laid_out(film.page_spec(), film.times(), screen, 7.0, lay_out);
        let (mut tracks, mut insets) = (Vec::new(), Vec::new());
        for ((panel, &domain), place) in film.panels.iter().zip(&domains).zip(&layout.panels) {
            let track = Track::new(&panel.path, domain, place.frame, page.px_scale);
            insets.push(panel.inset.as_ref().and_then(|inset| {
                InsetView::new(inset, domain, place.frame, &page, &track.pixels())
            }));
            tracks.push(track);
        }
        Ok(Self { page, body: Contours { film, layout, scale, tracks, insets } })
    }

    /// The height in pixels at which nothing is left empty below the panels; not so low that words of the
    /// page would have no room.
    pub fn content_height(&self) -> u32 {
        let (page, full) = (&self.page, self.page.rect.h);
        let Some(bottom) = self.body.layout.bottom else { return full as u32 };
        let least = 241.0 * full / page.room()[1];
        let height = bottom + full - page.body.bottom();
        height.max(least).min(full).ceil() as u32
    }
}

/// Draws the contour film `film` and writes it: [`write_show`] of a [`ContourFilm`].
///
/// Errors: as [`write_show`]; [`Error::Render`] on a grid that cannot be drawn.
pub fn write(
    film: &Film,
    output: &Output,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RenderReport> {
    let (_, size) = output.check()?;
    let show = ContourFilm::new(film, &output.theme, size, output.frames, output.fps)?;
    write_show(&show, output, progress)
}

impl Body for Contours<'_> {
    fn draw_static(&self, page: &Page, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, theme) = (&self.layout, page.theme);
        for (k, (p, place)) in self.film.panels.iter().zip(&layout.panels).enumerate() {
            let mut keep_clear = self.tracks[k].pixels();
            let plate = self.insets[k].as_ref().map(InsetView::plate).into_iter();
            keep_clear.extend(plate.flat_map(|plate| readout::spots(plate, page)));
            panel::draw(canvas, p, place, page, &self.scale, &keep_clear);
            let keyed = self.film.panels.len() > 1 && !p.title.is_empty();
            let key = keyed.then(|| theme.series_color(k));
            panel::draw_heading(canvas, p, place, page, key);
        }
        table::draw(canvas, &self.film.table, &layout.panels, page);
        for inset in self.insets.iter().flatten() {
            inset.draw_static(canvas, page);
        }
        if let Some(bar) = layout.colorbar {
            let colors = ColorBar::bands(&self.film.value_label, &self.scale, theme);
            colors.draw_beside_panels(canvas, bar, page);
        }
        Ok(())
    }

    fn draw_moving(&self, page: &Page, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let time = page.timeline.epoch(frame);
        for (k, p) in self.film.panels.iter().enumerate() {
            let place = &self.layout.panels[k];
            let track = &self.tracks[k];
            let pen = Pen::new(page, page.theme.series_color(k));
            let rows = readout::rows(&p.path, page.clock(), time, page.span());
            readout::draw_at(canvas, place, page, &rows);
            // A track that stays in its frame needs no clip.
            let inside = track.pixels().iter().all(|p| place.frame.contains(p.0, p.1, -0.5));
            canvas.set_clip((!inside).then_some(place.frame));
            track.draw(canvas, time, &pen);
            canvas.set_clip(None);
            if let Some(inset) = &self.insets[k] {
                inset.draw_moving(canvas, time, &pen);
            }
        }
        Ok(())
    }

    fn texts(&self) -> Vec<&str> {
        self.film.texts()
    }
}
