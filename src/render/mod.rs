//! Pictures and films from plain data.
//!
//! [`scene`] says what is drawn. A scene made ready is a [`film::show::Show`]; [`film`] writes any show
//! as PNG, SVG, PDF, GIF or MP4. Everything is deterministic: the same scene, size and theme give the
//! same bytes on any number of threads.
//!
//! The rooms, each importing only those above it in this list: [`canvas`] (pixels and vectors, text,
//! colours, themes), [`scene`] (what is drawn, as data), [`encode`] (frames to bytes), [`film`] (any
//! show to a file), `page` (title, caption, charts, axes, colour bar, time), `map` (the contour map
//! of a surface), [`surface3d`] (a renderer of surfaces in space), [`scenes`] (what is shown, one file
//! each).

pub mod canvas;
pub mod encode;
pub mod film;
pub(crate) mod map;
pub(crate) mod numbers;
pub(crate) mod page;
pub mod scene;
pub mod scenes;
pub mod surface3d;
#[cfg(test)]
mod tests;

pub use page::Scene;
