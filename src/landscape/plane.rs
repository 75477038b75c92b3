//! A plane through parameter space, as a file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{PathCoord, PlaneOrigin, RunPath, SnapshotRange};
use crate::disk::{self, digest::hexadecimal};
use crate::names::named_enum;
use crate::trajectory::{NullInterval, Seen, Weighting};
use crate::weights::{SafetensorsFile, write_safetensors};
use crate::{Error, Result};

named_enum! {
    /// How a plane's directions were made.
    pub enum PlaneKind("kind of plane") {
        /// Principal components of the path, columns centred (as in the paper's code).
        Pca = "pca",
        /// Principal components of the displacements from the final model, not centred.
        PcaUncentred = "pca_uncentred",
        /// Principal components of several runs' paths together, every run weighing alike.
        Joint = "joint",
        /// Drawn at random and normalised.
        Random = "random",
        /// Read from a direction file.
        File = "file",
        /// The sharpest direction of the loss at the end, and the path's displacement beside the sharp
        /// ones, both of length 1.
        River = "river",
        /// Against the gradient at the end and the last step beside it, both of length 1.
        Gradient = "gradient",
        /// Eigenvectors of the two largest eigenvalues of the Hessian at the end, of length 1.
        Hessian = "hessian",
        /// Those of its largest and of its smallest eigenvalue, of length 1.
        HessianEnds = "hessian_ends",
        /// Through the ends of three runs, orthogonal and of length 1.
        Minima = "minima",
    }
}

/// Origin and two directions, each (P,), with the buffers to evaluate with and the paths seen in it.
/// A point (a, b) is `origin + a x + b y`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// The point (0, 0).
    pub origin: Vec<f32>,
    /// The origin's buffers, frozen for the whole plane.
    pub buffers: Vec<f32>,
    /// First direction.
    pub x: Vec<f32>,
    /// Second direction.
    pub y: Vec<f32>,
    /// Everything else.
    pub about: About,
}

/// What a plane's metadata say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Version of the run folder's format.
    pub format_version: u32,
    /// How it was made.
    pub kind: PlaneKind,
    /// The same in words: normalisation, seed, file.
    pub made: String,
    /// The network in words, of a plane through a file of weights; of a run the run says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Digest of the network's layout.
    pub layout_digest: String,
    /// Cosine of the angle between the directions.
    pub cosine: f64,
    /// Share of the path's whole variance that x and y hold; empty for planes that are not PCA.
    pub explained_variance: Vec<f64>,
    /// The same for random walks of as many snapshots in as many dimensions: what says nothing.
    pub null_explained_variance: Vec<f64>,
    /// Where 95 % of such walks are; none for planes of an earlier version, of long paths, and of paths that
    /// do not move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_interval: Option<NullInterval>,
    /// The shares of the first components of such a walk, beside those of the spectrum of one run; empty
    /// where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null_spectrum: Vec<f64>,
    /// How those random walks were made, in words; empty where there are none.
    pub null: String,
    /// Where (0, 0) is; never `auto`.
    pub origin: PlaneOrigin,
    /// The part of the run that the plane and the path on it are of; none for a whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<SnapshotRange>,
    /// What each snapshot weighed in the principal components.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weighting: Weighting,
    /// Squared singular values of the path, falling: all, or the leading ones of a long path.
    pub spectrum: Vec<f64>,
    /// The runs' paths on the plane: one, several for a joint plane, none for a plane through
    /// weights of a file.
    pub paths: Vec<RunPath>,
    /// Remarks a reader of the picture should know (an axis drawn at random because the path is a
    /// line, ...).
    pub notes: Vec<String>,
    /// How much of the paths it sees, of the squared displacements from its origin; none for planes of an
    /// earlier version and for paths that do not move. A direction drawn at random would see 1 / P.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// How large the rounding of the snapshots is, where they are stored in fewer bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
}

/// How large the rounding of snapshots in `bf16` or `f16` is beside the path. With r_i = ||stored theta_i -
/// theta_i|| and d_i the distance of snapshot i from the plane's origin:
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rounding {
    /// The largest r_i over the largest d_i: what may be wrong in the picture, of the path's extent.
    #[serde(with = "crate::disk::float")]
    pub of_extent: f64,
    /// The largest r_i / d_i of the snapshots that are not at the origin: where it exceeds 1, the last
    /// steps of the path are rounding.
    #[serde(with = "crate::disk::float")]
    pub of_distance: f64,
}

impl Rounding {
    /// Of snapshots' r and d; `None` where none is rounded.
    pub fn of(snapshots: &[[f64; 2]]) -> Option<Self> {
        let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let rounding = largest(&mut snapshots.iter().map(|s| s[0]));
        let extent = largest(&mut snapshots.iter().map(|s| s[1]));
        let away = snapshots.iter().filter(|s| s[1] > 0.0);
        let of_distance = largest(&mut away.map(|[r, d]| r / d));
        (rounding > 0.0).then_some(Self { of_extent: rounding / extent, of_distance })
    }
}

/// Whether `value` is what is left out of a file.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl About {
    /// The path of the first run, the only one on a run's own plane; empty where there is none.
    pub fn path(&self) -> &[PathCoord] {
        self.paths.first().map_or(&[], |run| &run.path)
    }

    /// The whole variance of the path, the sum of all squared singular values; 0 where it does not
    /// move, and where the plane is not of principal components.
    pub fn total_variance(&self) -> f64 {
        match (self.spectrum.first(), self.explained_variance.first()) {
            (Some(first), Some(share)) if *share > 0.0 => first / share,
            _ => 0.0,
        }
    }
}

impl Plane {
    /// Writes the plane.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
            disk::remove_temporaries_of(path)?;
        }
        let (p, b) = ([self.origin.len()], [self.buffers.len()]);
        let tensors: [(&str, &[usize], &[f32]); 4] = [
            ("origin", &p, &self.origin),
            ("x", &p, &self.x),
            ("y", &p, &self.y),
            ("buffers", &b, &self.buffers),
        ];
        let about = serde_json::to_string(&self.about).expect("a plane's metadata are plain data");
        write_safetensors(path, &tensors, &[("about".to_string(), about)])
    }

    /// Reads a plane.
    ///
    /// # Errors
    /// [`Error::NoPlane`] when there is none, [`Error::BadFile`] for one that is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_with_digest(path).map(|(plane, _)| plane)
    }

    /// Reads a plane, and says whether the file has a digest that it was compared with.
    ///
    /// # Errors
    /// As [`Plane::read`].
    pub fn read_with_digest(path: &Path) -> Result<(Self, bool)> {
        let mut file = SafetensorsFile::open(path).map_err(|error| match error {
            Error::Io { source, .. } if disk::is_absence(&source) => {
                Error::NoPlane { path: path.to_path_buf() }
            }
            error => error,
        })?;
        let sealed = file.verify()?;
        let about = file.meta("about").map(serde_json::from_str).transpose();
        let about = about.ok().flatten().ok_or_else(|| Error::BadFile {
            what: "this is not a plane of lossreel's".into(),
            remedy: "make the plane again".into(),
            path: path.to_path_buf(),
        })?;
        let mut read = |name: &str| file.read(name).map(|t| t.data);
        let (origin, x, y, buffers) = (read("origin")?, read("x")?, read("y")?, read("buffers")?);
        Ok((Self { origin, buffers, x, y, about }, sealed))
    }

    /// SHA-256 of the vectors: a surface names the plane it was computed over by it.
    pub fn digest(&self) -> String {
        digest_of(&[&self.origin, &self.buffers, &self.x, &self.y])
    }

    /// Coordinates of the snapshots of all runs.
    pub fn coords(&self) -> Vec<[f64; 2]> {
        self.about.paths.iter().flat_map(|run| &run.path).map(|p| [p.x, p.y]).collect()
    }

    /// Label of an axis (0 is x), with its share of the variance where that is known.
    pub fn axis_label(&self, axis: usize) -> String {
        if let Some(share) = self.about.explained_variance.get(axis) {
            return format!("PC{} ({:.1} %)", axis + 1, 100.0 * share);
        }
        let words = match self.about.kind {
            PlaneKind::River => ["sharpest direction", "rest of the path"],
            PlaneKind::Gradient => ["against the gradient", "rest of the last step"],
            PlaneKind::Minima => ["towards the second end", "towards the third end"],
            PlaneKind::HessianEnds => {
                ["eigenvector of the largest eigenvalue", "eigenvector of the smallest eigenvalue"]
            }
            PlaneKind::Hessian => return format!("eigenvector {} of the Hessian", axis + 1),
            _ => return format!("direction {}", axis + 1),
        };
        words[axis.min(1)].into()
    }
}

/// SHA-256 of vectors and their lengths, in hexadecimal.
pub fn digest_of(vectors: &[&[f32]]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for vector in vectors {
        hash.update((vector.len() as u64).to_le_bytes());
        hash.update(bytemuck::cast_slice::<f32, u8>(vector));
    }
    hexadecimal(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_told_beside_the_path_and_beside_its_shortest_distance() {
        let found = Rounding::of(&[[0.2, 10.0], [0.3, 4.0], [0.1, 0.5], [0.1, 0.0]]).unwrap();
        assert_eq!(found, Rounding { of_extent: 0.03, of_distance: 0.2 });
        assert_eq!(Rounding::of(&[[0.0, 10.0], [0.0, 0.0]]), None);
        assert_eq!(Rounding::of(&[]), None);
    }
}
