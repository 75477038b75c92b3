//! The stages of the pipeline, one file each: read files, call the modules below, write files. The
//! command is a thin layer over these, and whatever it does a program can do by calling them.

pub mod average;
pub mod batch_order;
pub mod begin;
pub mod bench;
pub mod boundary;
pub mod check;
pub mod checkpoints;
pub mod connect;
pub mod contour;
pub mod cost;
pub mod curvature;
pub mod curve;
pub mod curve_figure;
pub mod data;
pub mod demo;
pub mod export;
pub mod film_options;
pub mod function;
pub mod function_film;
pub mod grid_file;
pub mod heatmap;
pub mod histograms;
pub mod import;
pub mod instability;
pub mod line;
mod line_loss;
pub mod measure;
pub mod moving;
pub mod on_plane;
pub mod opened;
pub mod path_shape;
pub mod plane;
pub mod plane_compare;
pub mod plane_of_loss;
pub mod predictions;
pub(crate) mod provenance;
pub mod quantity;
pub mod race;
pub mod recorded;
pub mod repair;
pub mod river;
pub mod scenes;
pub mod shadow;
pub mod sharpness;
pub mod snapshot_map;
pub mod spectrum;
pub mod stack;
pub mod stale;
pub mod subject;
pub mod surface;
mod surface_folder;
pub mod train;

pub use contour::PanelSource;
pub use film_options::FilmOptions;
pub use on_plane::OnPlane;
pub use opened::{OpenRun, RunSet};
pub use subject::{
    PRECISION_BOUND, PRECISION_IMAGES, PixelSource, RunChoice, SampleChoice, Subject, WeightsFile,
};

/// What a stage calls with (done, total), from any thread.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);
