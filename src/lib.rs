//! lossreel trains a network from scratch, records where its weights go, finds the plane the path
//! lives in, evaluates the loss over that plane and makes the film.
//!
//! Each stage is a module that reads files and writes files, and imports point one way, down this
//! list (README has the picture).

pub mod backend;
pub mod curvature;
pub mod dataset;
mod disk;
pub mod error;
pub mod landscape;
pub mod models;
pub mod names;
pub mod network;
pub mod objective;
pub mod optim;
pub mod parallel;
pub mod record;
pub mod render;
pub mod rng;
pub mod spec;
pub mod stages;
pub mod train;
pub mod trajectory;
pub mod weights;

pub use error::{Error, Result};
