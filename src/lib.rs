//! lossreel trains a network from scratch, records the weights as they move, finds the plane that the
//! path lies in, evaluates the loss over that plane and renders the film.
//!
//! All of it in one program, on embedded data (half a minute on two cores; `examples/` has the same
//! with a model, a loss or data of one's own):
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use lossreel::record::Existing;
//! use lossreel::render::scenes::contour;
//! use lossreel::stages::surface::{OverPlane, SurfaceRequest};
//! use lossreel::stages::{self, PanelSource, RunSet, SampleChoice, Subject};
//! use lossreel::{Output, Spec};
//! # fn main() -> lossreel::Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let out = folder.path();
//! // Train: a spec says everything, whatever it leaves out has a default.
//! let spec = Spec::parse(
//!     r#"
//!     [model]
//!     arch = "mlp"
//!     [data]
//!     set = "digits"
//!     [train]
//!     epochs = 3
//!     [record]
//!     every = "10 steps"
//!     "#,
//!     &[],
//! )?;
//! let stop = AtomicBool::new(false); // set it from another thread to interrupt
//! let mut training = stages::train::create(&spec, &out.join("run"), Existing::Refuse)?;
//! training.train(&stop, &mut |_event| {})?;
//! let run = training.run;
//!
//! // The plane of the path's first two principal components.
//! let plane = stages::plane::of_run(&run, &Default::default(), "pca")?;
//! println!("the plane holds {:.0} % of the motion", 100.0 * plane.about.explained_variance[0]);
//!
//! // The loss over it, on 100 training images, and at every snapshot.
//! let sample = SampleChoice { samples: Some(100), ..SampleChoice::default() };
//! let request = SurfaceRequest { size: [11, 11], range: None, sample, replace: false };
//! let subject = Subject::of_run(&run, None, None)?;
//! let set = RunSet::from(run);
//! let over = OverPlane::new(&set, 0, &subject, &plane)?;
//! let (surface, _) =
//!     stages::surface::compute(&over, &set.surface_dir("pca")?, &request, &stop, &|_, _| ())?;
//! stages::surface::path_losses(&set, &over, &surface, sample, &stop, &|_, _| ())?;
//!
//! // The film.
//! let source = PanelSource::of_run(set.runs()[0].clone(), "pca");
//! let film = stages::contour::gather(&[source], None, &Default::default(), Default::default())?;
//! let (width, height, frames) = (640, 360, 20);
//! let output = Output { width, height, frames, ..Output::new(out.join("film.gif")) };
//! contour::write(&film, &output, &mut |_, _| ())?;
//! # Ok(())
//! # }
//! ```
//!
//! Each stage is a module that reads files and writes files. Imports point one way, down the list of
//! modules in `docs/src/design.md`.

pub mod backend;
pub mod curvature;
pub mod dataset;
mod disk;
mod element;
pub mod error;
pub mod landscape;
pub mod lecture;
pub mod measures;
pub mod memory;
pub mod models;
pub mod names;
pub mod network;
pub mod objective;
pub mod optim;
pub mod parallel;
mod pickle;
pub mod record;
pub mod render;
pub mod report;
pub mod rng;
pub mod spec;
pub mod stages;
pub mod sweep;
pub mod train;
pub mod trajectory;
pub mod viewer;
pub mod weights;

pub use error::{Error, Result};
pub use landscape::{Grid, Plane, SurfaceStore as Surface};
pub use objective::Objective;
pub use record::Run;
pub use render::film::Output;
pub use render::scene::Film;
pub use spec::Spec;
