//! A software renderer for height fields in space.
//!
//! `heightfield` resamples a grid with a smooth spline (`spline`); `horizon` finds how much
//! sky and light each place sees; `camera` and [`flight`] say from where it is looked at,
//! `viewpoint` from which side most is seen, `framing` how high its box is; `zbuffer` finds what
//! is in front, four samples a pixel; `shade` and `paint` give it light and colour; `solids` are
//! tubes and markers, `trail` the path made of them, `glass` the near side of the surface where it would
//! hide the path; `axes` draws the box around, `orientation` a small map of where the camera is;
//! `window` puts one surface with its path and its box into a rectangle of the page.

pub(crate) mod axes;
pub(crate) mod camera;
pub mod flight;
pub(crate) mod framing;
pub(crate) mod glass;
pub(crate) mod heightfield;
pub(crate) mod horizon;
pub(crate) mod orientation;
pub(crate) mod paint;
pub(crate) mod picture;
pub mod scale;
pub(crate) mod shade;
pub(crate) mod solids;
pub(crate) mod spline;
#[cfg(test)]
mod tests;
pub(crate) mod trail;
pub(crate) mod vec3;
pub(crate) mod viewpoint;
pub(crate) mod window;
pub(crate) mod zbuffer;
