//! A scene that does not move, as a show of one frame.

use crate::error::{Error, Result};
use crate::render::canvas::Canvas;
use crate::render::canvas::theme::Theme;
use crate::render::film::show::Show;
use crate::render::film::{self, Output, RenderReport};

/// A figure that is drawn once.
pub trait Figure: Sync {
    /// What it is, for messages ("a spectrum").
    fn name(&self) -> &'static str;

    /// Draws it on a canvas of `size` pixels. Errors: [`Error::Render`] where there is nothing to
    /// draw.
    fn draw(&self, canvas: &mut dyn Canvas, size: [u32; 2], theme: &Theme) -> Result<()>;

    /// Texts from outside.
    fn texts(&self) -> Vec<&str>;
}

/// A figure as a show.
pub struct Still<'a> {
    figure: &'a dyn Figure,
    size: [u32; 2],
    theme: &'a Theme,
}

impl<'a> Still<'a> {
    /// `figure` at `size` pixels.
    pub fn new(figure: &'a dyn Figure, theme: &'a Theme, size: [u32; 2]) -> Self {
        Self { figure, size, theme }
    }

    /// `figure` in the theme of `output` and at the size that it will have.
    ///
    /// Errors: those of [`Output::check`]; [`Error::Render`] where `output` is a film.
    pub fn for_output(figure: &'a dyn Figure, output: &'a Output) -> Result<Self> {
        let (format, size) = output.check()?;
        if format.moves() {
            return Err(Error::Render {
                what: format!("{} does not move", figure.name()),
                remedy: "write it to a .png, .svg or .pdf file".into(),
            });
        }
        Ok(Self::new(figure, &output.theme, size))
    }
}

impl Show for Still<'_> {
    fn size(&self) -> [u32; 2] {
        self.size
    }

    fn frames(&self) -> usize {
        1
    }

    fn draw_static(&self, canvas: &mut dyn Canvas) -> Result<()> {
        self.figure.draw(canvas, self.size, self.theme)
    }

    fn draw_moving(&self, _: &mut dyn Canvas, _: usize) -> Result<()> {
        Ok(())
    }

    fn theme(&self) -> &Theme {
        self.theme
    }

    fn texts(&self) -> Vec<&str> {
        self.figure.texts()
    }
}

/// Draws `figure` and writes it to `output.path`, a still picture; `output`'s frames and rate do not
/// matter.
///
/// Errors: those of [`film::write_show`]; [`Error::Render`] on the extension of a film.
pub fn write(figure: &dyn Figure, output: &Output) -> Result<RenderReport> {
    film::write_show(&Still::for_output(figure, output)?, output, &mut |_, _| {})
}
