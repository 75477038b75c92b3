//! The Hessian of an [`Objective`](crate::objective::Objective) at a point, seen through its
//! products with vectors alone: P may be tens of millions, and the matrix is never formed.
//!
//! [`Krylov`] is the space that such products span, [`extremes`] the ends of the spectrum from it:
//! the largest eigenvalue is what the literature calls sharpness. Whatever else needs
//! Hessian-vector products (a spectral density, a trace) grows from the same two pieces.

mod extremes;
mod krylov;

pub use extremes::{Extremes, ExtremesConfig, extremes};
pub use krylov::{Krylov, Ritz};

#[cfg(test)]
mod tests;
