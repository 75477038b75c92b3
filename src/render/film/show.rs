//! What a film is made of, whatever it shows: a static layer, and frames drawn over it.
//!
//! A scene (contours, a surface in space, a race) implements [`Show`]; [`crate::render::film::write_show`]
//! makes any of them a picture or a film.

use crate::error::Result;
use crate::render::canvas::Canvas;
use crate::render::canvas::raster::Raster;
use crate::render::canvas::theme::Theme;

/// A part of a film.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// When it begins, in seconds of the film.
    pub from: f64,
    /// When it ends.
    pub until: f64,
    /// What is to be seen.
    pub label: String,
    /// When a speaker lets the film rest in it; the picture stands still there.
    pub rest: Option<f64>,
}

/// Something that can be drawn frame by frame, on pixels or vectors. Frames are asked for in any
/// order and from several threads; the same frame must always be the same picture.
pub trait Show: Sync {
    /// Pixels across and down. A writer demands those of [`crate::render::film::Output::check`].
    fn size(&self) -> [u32; 2];

    /// How many frames there are, at least one.
    fn frames(&self) -> usize;

    /// Draws what no frame changes; done once, every frame starts from a copy of it. The canvas
    /// holds the theme's background.
    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()>;

    /// Draws what belongs to `frame` (from 0) over the static layer.
    fn draw_moving(&self, canvas: &mut dyn Canvas, frame: usize) -> Result<()>;

    /// The colours; a GIF keeps the theme's own exactly.
    fn theme(&self) -> &Theme;

    /// Texts from outside, in which to look for characters that the font lacks.
    fn texts(&self) -> Vec<&str>;

    /// What a scene that does not move is called ("a spectrum"): no film can be made of it.
    fn still(&self) -> Option<&'static str> {
        None
    }

    /// What happens in the film, in the order of time; empty where nothing can be told apart.
    fn chapters(&self) -> Vec<Chapter> {
        Vec::new()
    }

    /// The frame that stands for the whole film; the last one where the scene knows no better.
    fn poster_frame(&self) -> usize {
        self.frames() - 1
    }
}

/// The picture that all frames of `show` start from. Errors: those of drawing it.
pub fn backdrop(show: &dyn Show) -> Result<Raster> {
    let [width, height] = show.size();
    let mut raster = Raster::new(width, height, show.theme().background)?;
    show.draw_static(&mut raster)?;
    Ok(raster)
}

/// One frame over a copy of `backdrop`. Errors: those of drawing it.
pub fn frame(show: &dyn Show, backdrop: &Raster, frame: usize) -> Result<Raster> {
    let mut raster = backdrop.clone();
    show.draw_moving(&mut raster, frame)?;
    Ok(raster)
}
