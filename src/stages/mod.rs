//! The stages of the pipeline, one file each: read files, call the modules below, write files. The
//! command is a thin layer over these, and whatever it does a program can do by calling them.

pub mod bench;
pub mod boundary;
pub mod curvature;
pub mod curve;
pub mod demo;
pub mod film;
mod footing;
pub mod grid_file;
pub mod heatmap;
pub mod histograms;
pub mod joint;
pub mod moving;
pub mod plane;
pub mod race;
pub mod shadow;
pub mod sharpness;
pub mod spectrum;
pub mod stack;
pub mod subject;
pub mod surface;
pub mod telling;
pub mod train;

pub use subject::{SampleChoice, Subject};

/// How a stage tells what it has done: (done, total), from any thread.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);
