//! Surfaces in space: a software renderer for height fields, and the film made with it.
//!
//! [`heightfield`] resamples a grid with a smooth spline ([`spline`]); [`horizon`] finds how much
//! sky and light each place sees; [`camera`] and [`flight`] say from where it is looked at, [`framing`] how high its box is;
//! [`zbuffer`] finds what is in front, four samples a pixel; [`shade`] and [`paint`] give it light
//! and colour; [`solids`] are the path's tube and its ball; [`axes`] draws the box around;
//! [`stand`] puts them into a window, [`show`] windows and texts on a page as a
//! [`crate::render::film::show::Show`]; [`moving`] does it for a surface that changes.

pub mod axes;
pub mod camera;
pub mod flight;
pub mod framing;
pub mod heightfield;
pub mod horizon;
pub mod paint;
pub mod picture;
pub mod scale;
pub mod shade;
pub mod solids;
pub mod spline;
pub mod stand;
#[cfg(test)]
mod tests;
pub mod trail;
pub mod vantage;
pub mod vec3;
pub mod zbuffer;
