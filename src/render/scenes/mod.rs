//! Scenes beside the contour film, one a file: its data, and the [`Show`](super::show::Show) that
//! draws it.

pub mod axes;
pub mod boundary;
pub mod heatmap;
pub mod histograms;
pub mod shadow;
pub mod spectrum;
pub mod still;

#[cfg(test)]
mod tests;
