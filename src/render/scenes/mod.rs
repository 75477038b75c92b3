//! What can be shown, one file a scene: its plain data, its body, its words.

pub mod boundary;
pub mod contour;
pub mod curve;
pub mod heatmap;
pub mod histograms;
pub mod instability;
pub mod moving_map;
pub mod moving_surface;
pub mod optimizers;
pub mod race;
pub mod shadow;
pub mod snapshot_map;
pub mod spectrum;
pub mod stack;
pub mod surface;
mod twin;

#[cfg(test)]
mod tests;
