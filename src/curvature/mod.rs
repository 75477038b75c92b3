//! The Hessian of an [`Objective`](crate::objective::Objective) at a point, computed from its
//! products with vectors alone: P may be tens of millions, and the matrix is never formed.
//!
//! [`Krylov`] is the space that such products span, [`extremes`] the ends of the spectrum from it:
//! the largest eigenvalue is what the literature calls sharpness. A spectral density or
//! a trace can be computed from the same two.

mod extremes;
mod krylov;
mod subspace;

pub use extremes::{Extremes, ExtremesConfig, extremes, leading};
pub use krylov::{Krylov, Ritz};
pub use subspace::{Parts, Subspace};

#[cfg(test)]
mod tests;
