//! What is multiplied: matrices of second derivatives, known by their products with vectors alone.
//!
//! The algorithms beside this file (Lanczos' process, traces, densities) know an [`Operator`] and nothing
//! of networks; the operators know the loss and nothing of the algorithms, as in hessian-eigenthings 1.0.

use std::ops::Range;

use crate::Result;
use crate::names::named_enum;
use crate::objective::Objective;

named_enum! {
    /// Which matrix of second derivatives of the loss.
    #[derive(Default)]
    pub enum Matrix("matrix") {
        /// The Hessian.
        #[default]
        Hessian = "hessian",
        /// The generalised Gauss-Newton matrix J' H_L J, with J the Jacobian of the outputs by the parameters
        /// and H_L the Hessian of the loss by the outputs (Schraudolph 2002): positive semidefinite, and for
        /// cross-entropy the Fisher matrix.
        GaussNewton = "gauss-newton",
    }
}

/// A symmetric matrix, (n, n), known by its products.
pub trait Operator: Sync {
    /// n.
    fn dim(&self) -> usize;

    /// The product with `v`, written over `out`, both (n,).
    ///
    /// # Errors
    /// Those of what computes it.
    fn apply(&self, v: &[f32], out: &mut [f32]) -> Result<()>;
}

/// A matrix of second derivatives of an objective at a point.
#[derive(Clone, Copy)]
pub struct Curvature<'a> {
    objective: &'a dyn Objective,
    theta: &'a [f32],
    matrix: Matrix,
}

impl<'a> Curvature<'a> {
    /// `matrix` of `objective` at `theta`, (P,).
    pub fn new(objective: &'a dyn Objective, theta: &'a [f32], matrix: Matrix) -> Self {
        Self { objective, theta, matrix }
    }

    /// The Hessian of `objective` at `theta`, (P,).
    pub fn hessian(objective: &'a dyn Objective, theta: &'a [f32]) -> Self {
        Self::new(objective, theta, Matrix::Hessian)
    }
}

impl Operator for Curvature<'_> {
    fn dim(&self) -> usize {
        self.theta.len()
    }

    fn apply(&self, v: &[f32], out: &mut [f32]) -> Result<()> {
        match self.matrix {
            Matrix::Hessian => self.objective.hvp(self.theta, v, out),
            Matrix::GaussNewton => self.objective.gauss_newton(self.theta, v, out),
        }
    }
}

/// The block of a matrix that belongs to some of its rows and columns: B_ij = A_(r_i r_j).
pub struct Block<'a> {
    of: &'a dyn Operator,
    ranges: Vec<Range<usize>>,
}

impl<'a> Block<'a> {
    /// The block of `of` with the rows and columns in `ranges`, which rise and do not overlap.
    pub fn new(of: &'a dyn Operator, ranges: Vec<Range<usize>>) -> Self {
        Self { of, ranges }
    }

    /// The parts of `whole`, one after the other, into `part`.
    fn gather(&self, whole: &[f32], part: &mut [f32]) {
        let mut at = 0;
        for range in &self.ranges {
            part[at..at + range.len()].copy_from_slice(&whole[range.clone()]);
            at += range.len();
        }
    }
}

impl Operator for Block<'_> {
    fn dim(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    fn apply(&self, v: &[f32], out: &mut [f32]) -> Result<()> {
        let mut whole = vec![0.0; self.of.dim()];
        let mut at = 0;
        for range in &self.ranges {
            whole[range.clone()].copy_from_slice(&v[at..at + range.len()]);
            at += range.len();
        }
        let mut product = vec![0.0; whole.len()];
        self.of.apply(&whole, &mut product)?;
        self.gather(&product, out);
        Ok(())
    }
}

/// D A D for a diagonal matrix D: with D = P^-1/2 it has the eigenvalues of P^-1 A.
pub struct Scaled<'a> {
    of: &'a dyn Operator,
    by: &'a [f32],
}

impl<'a> Scaled<'a> {
    /// `of`, (n, n), between the diagonal matrix of `by`, (n,), and itself.
    ///
    /// # Panics
    /// If the two are of different size.
    pub fn new(of: &'a dyn Operator, by: &'a [f32]) -> Self {
        assert_eq!(of.dim(), by.len(), "a diagonal of another size");
        Self { of, by }
    }
}

impl Operator for Scaled<'_> {
    fn dim(&self) -> usize {
        self.by.len()
    }

    fn apply(&self, v: &[f32], out: &mut [f32]) -> Result<()> {
        let scaled: Vec<f32> = v.iter().zip(self.by).map(|(v, d)| v * d).collect();
        self.of.apply(&scaled, out)?;
        out.iter_mut().zip(self.by).for_each(|(o, d)| *o *= d);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Quadratic;

    #[test]
    fn a_scaled_matrix_has_the_diagonal_on_both_sides() {
        let of = Quadratic { curvature: vec![1.0, 2.0, 3.0], centre: vec![0.0; 3] };
        let theta = [0.5; 3];
        let hessian = Curvature::hessian(&of, &theta);
        let mut out = vec![0.0; 3];
        Scaled::new(&hessian, &[2.0, 1.0, 0.5]).apply(&[1.0, -1.0, 4.0], &mut out).unwrap();
        assert_eq!(out, [4.0, -2.0, 3.0]);
    }

    #[test]
    fn a_block_is_the_matrix_on_its_rows_and_columns() {
        let of = Quadratic { curvature: vec![1.0, 2.0, 3.0, 4.0, 5.0], centre: vec![0.0; 5] };
        let theta = [0.5; 5];
        let whole = Curvature::hessian(&of, &theta);
        let block = Block::new(&whole, vec![1..2, 3..5]);
        let mut out = [0.0; 3];
        block.apply(&[1.0, -1.0, 2.0], &mut out).unwrap();
        assert_eq!((block.dim(), out), (3, [2.0, -4.0, 10.0]));
    }
}
