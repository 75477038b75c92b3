//! A run to the shape of its path: its snapshots' distances, displacements and turns.

use std::path::Path;

use super::opened::OpenRun;
use crate::Result;
use crate::disk;
use crate::measures::{PathShape, Station, Value};
use crate::trajectory::{Gram, MEMORY_BYTES, Snapshots};

use super::measure::Measured;

/// The shape of a run's path, with the times of its points.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotPath {
    /// (step, epoch) of each point: the snapshots that are finite.
    pub times: Vec<(u64, f64)>,
    /// The shape.
    pub shape: PathShape,
}

impl SnapshotPath {
    /// Of the finite snapshots of `run`. Their inner products are kept with the run, as those of its planes
    /// are.
    ///
    /// # Errors
    /// [`crate::Error::Landscape`] where no snapshot is finite; those of reading snapshots.
    pub fn of_run(run: &OpenRun) -> Result<Self> {
        let snapshots = run.snapshots(|_| true)?;
        let gram = Gram::of(run.run().inner_products(&snapshots, MEMORY_BYTES)?, None)?;
        let mut norms = Vec::with_capacity(gram.used.len());
        let mut theta = vec![0.0; snapshots.dim()];
        for &index in &gram.used {
            snapshots.read_range(index, 0, &mut theta)?;
            norms.push(theta.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt());
        }
        let info = |&index: &usize| &snapshots.infos()[index];
        let times: Vec<(u64, f64)> =
            gram.used.iter().map(info).map(|i| (i.step, i.epoch)).collect();
        let steps: Vec<u64> = times.iter().map(|t| t.0).collect();
        let shape = PathShape::new(|i, j| gram.product(i, j), &norms, &steps);
        Ok(Self { times, shape })
    }

    /// Adds its measures.
    pub fn measure(&self, into: &mut Measured) {
        let shape = &self.shape;
        into.notes.push(format!(
            "the path: {} snapshots; its length and its turns are those between snapshots, and depend on how \
             often they were taken",
            self.times.len()
        ));
        let mut push = |name: &str, value: f64| {
            into.measures.0.push((name.to_string(), Value::of(name, value)));
        };
        push("path_length", shape.length);
        push("path_distance", shape.distance);
        push("path_straightness", shape.straightness());
        push("path_cosine", shape.cosine);
        push("path_relative_distance", shape.distance / shape.start);
    }

    /// Writes the path as CSV, a line a snapshot.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let mut text = String::from("step,epoch,from_start,to_end,displacement,cosine,update\n");
        // What is not known is empty.
        let cell = |v: f64| if v.is_finite() { v.to_string() } else { String::new() };
        for ((step, epoch), s) in self.times.iter().zip(&self.shape.stations) {
            let Station { from_start, to_end, displacement, cosine, update } = *s;
            let cells = [from_start, to_end, displacement, cosine, update].map(cell);
            text += &format!("{step},{epoch},{}\n", cells.join(","));
        }
        disk::write_bytes(path, text.as_bytes())
    }
}
