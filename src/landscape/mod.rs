//! Planes through parameter space and the loss over them.
//!
//! A [`Plane`] is an origin and two directions (from a path's PCA, drawn at random and normalised,
//! or read from a file). A surface is an [`Objective`](crate::objective::Objective) evaluated over a
//! [`Grid`] of it: cells are appended to a [`SurfaceStore`] as they are done, a cell that is absent
//! is not done, and evaluation takes up where it was left. A surface can be extended to a grid that contains
//! its own and to more images, and it can be evaluated at some cells only, where interpolation between others
//! would err most.

mod adaptive;
mod alignment;
mod among;
mod change;
mod connecting;
mod convexity;
mod directions;
mod evaluate;
mod extend;
pub(crate) mod folder;
mod gradients;
mod grid;
mod grow;
mod header;
mod interpolation;
mod local;
mod moments;
mod paths;
mod plane;
mod points;
mod stack;
mod store;

pub use adaptive::{Budget, interpolate, refine};
pub use alignment::{Alignment, align};
pub use among::{evaluate_among, serve_cells};
pub use connecting::Shape;
pub use convexity::{ConvexityCell, ConvexityStore};
pub use directions::{Ignore, Normalisation, cosine, normalise, random_direction};
pub(crate) use directions::{length, narrow, unit, without};
pub use evaluate::{SurfaceReport, evaluate, theta_at};
pub use gradients::{GradientCell, GradientStore};
pub use grid::{Axis, Grid};
pub use grow::{begun, grow};
pub use header::{Cell, Header, Through, UntilSe};
pub use interpolation::{Interpolated, Interpolation, InterpolationError, Scale};
pub(crate) use moments::Moments;
pub use paths::{PathCoord, PathLoss, PathLosses, PlaneOrigin, RunPath, SnapshotRange};
pub use plane::{About, Plane, PlaneKind, Rounding, digest_of};
pub use points::{PointCell, PointStore, point_grid};
pub use stack::{Layer, Stack, StackAbout, StackKind};
pub use store::SurfaceStore;
