//! The contour film: filled contours of one surface or several, their paths moving over them, and
//! charts with a playhead below.

use crate::error::{Error, Result};
use crate::render::canvas::Canvas;
use crate::render::canvas::text;
use crate::render::canvas::theme::Theme;
use crate::render::film::show::Show;
use crate::render::film::{Output, RenderReport, write_show};
use crate::render::map::inset::InsetView;
use crate::render::map::panel;
use crate::render::map::path::{Pen, Track};
use crate::render::page;
use crate::render::page::chart::{self, Chart};
use crate::render::page::colorbar;
use crate::render::page::layout::{Contents, Layout};
use crate::render::page::masthead::Masthead;
use crate::render::page::readout;
use crate::render::page::scale::{LevelScale, widest_tick};
use crate::render::page::timeline::Timeline;
use crate::render::scene::Domain;
use crate::render::scene::Film;

/// A film made ready: laid out, scaled, its tracks computed. Draws any frame on any canvas.
pub struct ContourFilm<'a> {
    film: &'a Film,
    theme: &'a Theme,
    layout: Layout,
    masthead: Masthead<'a>,
    scale: LevelScale,
    tracks: Vec<Track>,
    insets: Vec<Option<InsetView<'a>>>,
    charts: Vec<Chart<'a>>,
    timeline: Timeline,
}

impl<'a> ContourFilm<'a> {
    /// Makes `film` ready for a picture of `width` x `height` in `frames` frames.
    ///
    /// Errors: [`Error::Render`] on a film without panels or with a grid that cannot be drawn.
    pub fn new(
        film: &'a Film,
        theme: &'a Theme,
        [width, height]: [u32; 2],
        frames: usize,
        fps: u32,
    ) -> Result<Self> {
        if film.panels.is_empty() {
            return Err(Error::Render {
                what: "the film has no panel".into(),
                remedy: "give it at least one surface".into(),
            });
        }
        film.panels.iter().try_for_each(|p| p.grid.check())?;
        let scale = LevelScale::new(film.panels.iter().flat_map(|p| p.grid.values.iter().copied()));
        let domains: Vec<Domain> = film.panels.iter().map(Domain::of).collect();
        let timeline = Timeline::new(film, frames, f64::from(fps));
        let ems = |text: &str| text::width(text, 1.0, text::Weight::Regular);
        let contents = Contents {
            title: !film.title.is_empty(),
            caption: !film.caption.is_empty(),
            headings: film.panels.iter().any(|p| !p.title.is_empty()),
            subtitles: film.panels.iter().any(|p| !p.subtitle.is_empty()),
            domains: &domains,
            charts: chart::quantities(&film.strip.series).len(),
            colorbar_label_ems: scale.labels().iter().map(|l| ems(l)).fold(2.0, f32::max),
            tick_label_ems: domains.iter().map(|d| widest_tick(d.y, ems)).fold(1.5, f32::max),
        };
        let size = [width, height];
        let (masthead, layout, ()) =
            Masthead::above(&film.title, &film.caption, size, theme, |[width, height]| {
                (Layout::scaled(width, height, theme.scale, &contents), ())
            });
        let tracks: Vec<Track> = film
            .panels
            .iter()
            .zip(&domains)
            .zip(&layout.panels)
            .map(|((p, d), place)| {
                Track::with_clock(&p.path, film.pacing.clock, *d, place.frame, layout.s)
            })
            .collect();
        let insets = (film.panels.iter().zip(&domains).zip(&layout.panels).zip(&tracks))
            .map(|(((p, d), place), track)| {
                // A read-out in the frame takes the corner.
                let inset = p.inset.as_ref().filter(|_| place.readout.is_some())?;
                let px = track.pixels();
                InsetView::new(inset, film.pacing.clock, *d, place.frame, &layout, &px)
            })
            .collect();
        let span = [timeline.start, timeline.end];
        let unit = film.pacing.clock.unit();
        let charts = chart::at_places(&film.strip.series, &layout, unit, span, &[]);
        Ok(Self { film, theme, layout, masthead, scale, tracks, insets, charts, timeline })
    }

    /// The timeline of the frames.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Whether panel `k`'s track stays in its frame, so that drawing it needs no clip.
    fn inside(&self, k: usize) -> bool {
        let frame = self.layout.panels[k].frame;
        self.tracks[k].pixels().iter().all(|p| frame.contains(p.0, p.1, -0.5))
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

impl Show for ContourFilm<'_> {
    fn size(&self) -> [u32; 2] {
        [self.layout.page.w as u32, self.layout.page.h as u32]
    }

    fn frames(&self) -> usize {
        self.timeline.frames
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        let (layout, theme) = (&self.layout, self.theme);
        self.masthead.draw(canvas, layout, theme);
        for (k, (p, place)) in self.film.panels.iter().zip(&layout.panels).enumerate() {
            let mut keep_clear = self.tracks[k].pixels();
            let corner = readout::place(place, layout, &keep_clear).filter(|(_, inside)| *inside);
            let plates = corner.map(|(rect, _)| rect).into_iter();
            let plates = plates.chain(self.insets[k].as_ref().map(InsetView::plate));
            keep_clear.extend(plates.flat_map(|plate| readout::spots(plate, layout)));
            panel::draw(canvas, p, place, layout, &self.scale, theme, &keep_clear);
            let key = (self.film.panels.len() > 1).then(|| theme.series_color(k));
            panel::draw_heading(canvas, p, place, layout, theme, key);
        }
        for inset in self.insets.iter().flatten() {
            inset.draw_static(canvas, layout, theme);
        }
        if let Some(bar) = layout.colorbar {
            let title = &self.film.value_label;
            colorbar::draw_bands(canvas, bar, title, layout, &self.scale, theme);
        }
        for chart in &self.charts {
            chart.draw_static(canvas, theme, chart::Future::Faint)?;
        }
        Ok(())
    }

    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()> {
        let (layout, theme) = (&self.layout, self.theme);
        let epoch = self.timeline.epoch(frame);
        let span = self.timeline.end - self.timeline.start;
        for (k, p) in self.film.panels.iter().enumerate() {
            let place = &layout.panels[k];
            let track = &self.tracks[k];
            let color = theme.series_color(k);
            let pen = Pen { color, theme, s: layout.s, fade: 0.22 * span };
            // The read-out first: should its plate reach the path, the path stays visible.
            let rows = readout::rows_at(&p.path, self.film.pacing.clock, epoch, span);
            if let Some((rect, on_plate)) = readout::place(place, layout, &track.pixels()) {
                readout::draw(canvas, rect, on_plate, &rows, layout, theme);
            }
            canvas.set_clip((!self.inside(k)).then_some(place.frame));
            track.draw(canvas, epoch, &pen);
            canvas.set_clip(None);
            if let Some(inset) = &self.insets[k] {
                inset.draw_moving(canvas, epoch, &pen);
            }
        }
        let (title, pacing) = (&self.film.title, &self.film.pacing);
        page::draw_over(canvas, layout, &self.charts, title, pacing, &self.timeline, frame, theme);
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.theme
    }

    fn texts(&self) -> Vec<&str> {
        let film = self.film;
        let panels = film.panels.iter();
        let panels = panels.flat_map(|p| [&p.title, &p.subtitle, &p.x_label, &p.y_label]);
        let names = film.strip.series.iter().map(|s| &s.name);
        let insets = film.panels.iter().filter_map(|p| p.inset.as_ref()).map(|i| &i.title);
        let moments = film.pacing.moments.iter().map(|m| &m.label);
        let card = film.pacing.card.iter().flat_map(|c| std::iter::once(&c.title).chain(&c.lines));
        let own = [&film.title, &film.caption, &film.value_label].into_iter();
        own.chain(panels)
            .chain(names)
            .chain(insets)
            .chain(moments)
            .chain(card)
            .map(String::as_str)
            .collect()
    }
}
