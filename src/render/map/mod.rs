//! The contour map of one surface: the field between the grid's points, its contour lines and their
//! labels, its relief, the path over it, and the panel that draws all of them in a frame.

pub mod contour;
pub mod field;
pub mod inset;
pub mod labels;
pub(in crate::render) mod names;
pub mod panel;
pub mod path;
pub mod pchip;
pub mod relief;
