//! A software renderer for height fields in space.
//!
//! [`heightfield`] resamples a grid with a smooth spline ([`spline`]); [`horizon`] finds how much
//! sky and light each place sees; [`camera`] and [`flight`] say from where it is looked at,
//! [`viewpoint`] from which side most is seen, [`framing`] how high its box is; [`zbuffer`] finds what
//! is in front, four samples a pixel; [`shade`] and [`paint`] give it light and colour; [`solids`] are
//! tubes and markers, [`trail`] the path made of them; [`axes`] draws the box around; [`window`] puts one
//! surface with its path and its box into a rectangle of the page.

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
#[cfg(test)]
mod tests;
pub mod trail;
pub mod vec3;
pub mod viewpoint;
pub mod window;
pub mod zbuffer;
