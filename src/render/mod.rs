//! Pictures and films from plain data.
//!
//! [`scene`] says what is drawn. A scene made ready is a [`show::Show`]; [`film`] writes any show as
//! PNG, SVG, GIF or MP4. [`contour_film`] is a surface with its path moving over it, [`curve`] loss
//! and accuracy along a line. Everything is deterministic: the same scene, size and theme give the
//! same bytes on any number of threads.
//!
//! Inside: a [`canvas::Canvas`] with two implementations (pixels in [`raster`], vectors in
//! [`encode::svg`]); [`field`], [`contour`] and [`labels`] make the contour map; [`layout`] places,
//! [`panel`], [`path`], [`chart`] draw; [`timeline`] turns frames into time; [`encode`] writes.

pub mod canvas;
pub mod chart;
pub mod color;
pub mod colorbar;
pub mod colormaps;
pub mod contour;
pub mod contour_film;
pub mod curve;
pub mod dirty;
pub mod encode;
pub mod field;
#[cfg(test)]
mod files;
pub mod film;
pub mod fit;
pub mod frames;
#[cfg(test)]
mod golden;
pub mod inset;
pub mod labels;
pub mod layers;
pub mod layout;
pub mod masthead;
pub mod moving;
pub mod output;
pub mod page;
pub mod panel;
pub mod path;
pub mod pchip;
pub mod plotters_canvas;
pub mod race;
pub mod raster;
pub mod readout;
pub mod relief;
pub mod scale;
pub mod scene;
pub mod scenes;
pub mod sheet;
pub mod show;
pub mod standings;
pub mod surface3d;
pub mod text;
pub mod theme;
pub mod timeline;
pub mod twin;
#[cfg(test)]
mod words;
