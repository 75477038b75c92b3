//! The path of the weights through parameter space: its principal plane, its shadow on a plane,
//! and what a random walk would have given.
//!
//! A path is T snapshots of P parameters, usually with T << P, and P may be tens of millions, so
//! nothing here holds all of it: [`gram()`] streams the exact T x T matrix of inner products, which
//! [`InnerProducts`] can continue when the path has grown, [`pca()`] does the rest on that matrix, and
//! [`Pca::directions`] and [`project`] stream once more. Coordinates are relative to the origin, usually
//! the final snapshot, which therefore sits at (0, 0).

mod eigen;
mod gram;
mod inner;
mod joined;
mod leading;
mod map;
mod null;
mod pca;
mod project;

pub(crate) use eigen::eigen_symmetric;
pub use gram::{Gram, MEMORY_BYTES, gram, is_by_displacements, pca_bytes};
pub use inner::InnerProducts;
pub use joined::{Joined, JointPca, joint_pca};
pub use map::{Embedding, Fidelity, LEAST_SNAPSHOTS, MOST_SNAPSHOTS, SnapshotMap, snapshot_map};
pub use null::{Null, NullInterval, null_explained_variance, null_of_path};
pub use pca::{AxisKind, Centring, Pca, PcaConfig, Weighting, pca, pca_of};
pub use project::{Projection, Seen, project};

use crate::error::Result;

/// A sequence of parameter vectors, of one run or of several joined, read one at a time.
pub trait Snapshots {
    /// How many snapshots there are, T.
    fn len(&self) -> usize;

    /// True when there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many parameters each has, P.
    fn dim(&self) -> usize;

    /// Reads the `i`-th snapshot into `out`, (P,).
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    fn read(&self, i: usize, out: &mut [f32]) -> Result<()>;

    /// Reads parameters `start..start + out.len()` of the `i`-th snapshot into `out`.
    ///
    /// [`gram()`] asks for T x P in stretches as long as its memory allows. This default reads the
    /// whole snapshot and keeps the stretch; a source that can seek does better.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    fn read_range(&self, i: usize, start: usize, out: &mut [f32]) -> Result<()> {
        if out.len() == self.dim() {
            return self.read(i, out);
        }
        let mut whole = vec![0.0; self.dim()];
        self.read(i, &mut whole)?;
        out.copy_from_slice(&whole[start..start + out.len()]);
        Ok(())
    }
}

/// Snapshots in memory: T vectors, all of one length.
impl Snapshots for Vec<Vec<f32>> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn dim(&self) -> usize {
        self.first().map_or(0, Vec::len)
    }

    fn read(&self, i: usize, out: &mut [f32]) -> Result<()> {
        out.copy_from_slice(&self[i]);
        Ok(())
    }

    fn read_range(&self, i: usize, start: usize, out: &mut [f32]) -> Result<()> {
        out.copy_from_slice(&self[i][start..start + out.len()]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
