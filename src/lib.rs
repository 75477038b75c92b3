//! lossreel trains a network from scratch, records where its weights go, finds the plane the path
//! lives in, evaluates the loss over that plane and makes the film.
//!
//! Each stage is a module that reads files and writes files, and imports point one way, down this
//! list (README has the picture).

pub mod error;
pub mod render;
pub mod rng;

pub use error::{Error, Result};
