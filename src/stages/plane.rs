//! Run to plane: the plane its path lives in, or one through its last state.

use std::path::Path;

use crate::landscape::{
    About, Ignore, Normalisation, PathCoord, Plane, PlaneKind, cosine, random_direction,
};
use crate::network::{Network, ParamLayout};
use crate::record::{FORMAT_VERSION, Run, RunSnapshots};
use crate::rng::Streams;
use crate::spec::Spec;
use crate::trajectory::{AxisKind, Centring, PcaConfig, null_explained_variance, pca, project};
use crate::weights::hdf5;
use crate::{Error, Result};

/// How directions are made.
#[derive(Debug, Clone, PartialEq)]
pub enum Directions {
    /// Principal components of the path.
    Pca(Centring),
    /// Drawn at random.
    Random {
        /// How they are scaled.
        norm: Normalisation,
        /// What they leave alone.
        ignore: Ignore,
        /// Seed of the draw.
        seed: u64,
    },
    /// The `xdirection` and `ydirection` of an HDF5 file of the paper's code.
    File(std::path::PathBuf),
}

/// Makes the plane of a run through its last finite state and writes it as `planes/NAME`.
///
/// # Errors
/// Those of reading the run; [`Error::Landscape`] when there is nothing to span a plane with.
pub fn of_run(run: &Run, directions: &Directions, name: &str) -> Result<Plane> {
    let spec = Spec::parse(&run.spec_toml()?, &[])?;
    let network = network_of(&spec)?;
    let all = run.snapshots()?;
    // A snapshot whose loss overflowed tells where training broke, not where the path went.
    let (kept, excluded): (Vec<_>, Vec<_>) = all.into_iter().partition(|s| !s.diverged);
    let excluded = excluded.into_iter().map(|s| s.index).collect();
    let snapshots = RunSnapshots::new(kept, network.layout.clone());
    let plane = through_path(&network.layout, &snapshots, directions, excluded)?;
    plane.write(&run.plane_path(name))?;
    Ok(plane)
}

/// The network of a run, without loading its images.
fn network_of(spec: &Spec) -> Result<Network> {
    let (shape, classes) = spec.data.set.form();
    spec.model.build(shape, classes)
}

fn through_path(
    layout: &ParamLayout,
    snapshots: &RunSnapshots,
    directions: &Directions,
    mut excluded: Vec<usize>,
) -> Result<Plane> {
    use crate::trajectory::Snapshots;
    let infos = snapshots.infos();
    if infos.is_empty() {
        return Err(Error::Landscape {
            what: "the run diverged before its first snapshot".into(),
            remedy: "lower optim.lr and train again".into(),
        });
    }
    let mut notes = Vec::new();
    let mut explained_variance = Vec::new();
    let mut null = Vec::new();
    let mut spectrum = Vec::new();
    let mut origin_index = infos.len() - 1;
    let directions_of = |theta: &[f32], made: &Directions| drawn_directions(layout, theta, made);
    let (kind, made, [x, y]) = match directions {
        Directions::Pca(centring) => {
            let found = pca(snapshots, &PcaConfig { centring: *centring, ..PcaConfig::default() })?;
            origin_index = found.gram.origin;
            excluded.extend(found.gram.excluded.iter().map(|&i| infos[i].index));
            for (axis, kind) in found.axes.iter().enumerate() {
                if *kind == AxisKind::Random {
                    notes.push(format!(
                        "axis {} is drawn at random: the path spans fewer dimensions",
                        axis + 1
                    ));
                }
            }
            null = null_explained_variance(found.gram.used.len(), 2, *centring);
            spectrum = found.spectrum.clone();
            explained_variance = found.explained_variance.clone();
            let axes: [Vec<f32>; 2] =
                found.directions(snapshots)?.try_into().expect("two axes were asked for");
            let (kind, words) = match centring {
                Centring::Centred => {
                    (PlaneKind::Pca, "principal components of the path, columns centred")
                }
                Centring::Uncentred => (
                    PlaneKind::PcaUncentred,
                    "principal components of the displacements, not centred",
                ),
            };
            (kind, words.to_string(), axes)
        }
        other => {
            let theta = snapshots.state(origin_index)?.0;
            let (kind, made, axes) = directions_of(&theta, other)?;
            (kind, made, axes)
        }
    };
    let (origin, buffers) = snapshots.state(origin_index)?;
    let seen = project(snapshots, &origin, &x, &y)?;
    let path = infos
        .iter()
        .enumerate()
        .filter(|(_, info)| !excluded.contains(&info.index))
        .map(|(i, info)| PathCoord {
            snapshot: info.index,
            step: info.step,
            epoch: info.epoch,
            lr: info.lr,
            x: seen.coords[i][0],
            y: seen.coords[i][1],
            off_plane_residual: seen.off_plane_residual[i],
        })
        .collect();
    debug_assert_eq!(origin.len(), snapshots.dim());
    let about = About {
        format_version: FORMAT_VERSION,
        kind,
        made,
        layout_digest: layout.digest(),
        cosine: seen.cosine,
        explained_variance,
        null_explained_variance: null,
        spectrum,
        path,
        excluded,
        notes,
    };
    Ok(Plane { origin, buffers, x, y, about })
}

/// Directions that do not come from a path.
fn drawn_directions(
    layout: &ParamLayout,
    theta: &[f32],
    directions: &Directions,
) -> Result<(PlaneKind, String, [Vec<f32>; 2])> {
    match directions {
        Directions::Random { norm, ignore, seed } => {
            let draw = |i| random_direction(layout, theta, *norm, *ignore, &Streams::new(*seed), i);
            let made =
                format!("random directions, {norm} normalised, ignoring {ignore}, seed {seed}");
            Ok((PlaneKind::Random, made, [draw(0), draw(1)]))
        }
        Directions::File(path) => {
            let file = hdf5::read_directions(path)?;
            let y = file.y.ok_or_else(|| Error::BadFile {
                what: "the file has one direction, a plane needs two".into(),
                remedy: "use `lossreel curve` with it".into(),
                path: path.clone(),
            })?;
            let axes = [flat_direction(layout, &file.x, path)?, flat_direction(layout, &y, path)?];
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((PlaneKind::File, format!("directions of {name}"), axes))
        }
        Directions::Pca(_) => unreachable!("PCA directions come from a path"),
    }
}

/// A direction of the paper's code, one tensor a parameter in order, as a flat vector.
///
/// # Errors
/// [`Error::BadFile`] when count or shapes are not the network's.
pub fn flat_direction(
    layout: &ParamLayout,
    tensors: &[crate::weights::NamedTensor],
    path: &Path,
) -> Result<Vec<f32>> {
    let bad = |what: String| Error::BadFile {
        what,
        remedy: "use a direction made for this network".into(),
        path: path.to_path_buf(),
    };
    if tensors.len() != layout.params.len() {
        return Err(bad(format!(
            "the direction has {} tensors, the network {}",
            tensors.len(),
            layout.params.len()
        )));
    }
    let mut flat = Vec::with_capacity(layout.dim());
    for (tensor, param) in tensors.iter().zip(&layout.params) {
        if tensor.shape != param.shape {
            return Err(bad(format!(
                "tensor {} of the direction is {:?}, {} is {:?}",
                tensor.name, tensor.shape, param.name, param.shape
            )));
        }
        flat.extend_from_slice(&tensor.data);
    }
    Ok(flat)
}

/// A plane through given weights (a file's), with no path on it.
///
/// # Errors
/// Those of reading a direction file; [`Error::Landscape`] for PCA, which needs a path.
pub fn through_point(
    network: &Network,
    theta: &[f32],
    buffers: &[f32],
    directions: &Directions,
) -> Result<Plane> {
    if matches!(directions, Directions::Pca(_)) {
        return Err(Error::Landscape {
            what: "a file of weights has no path to take principal components of".into(),
            remedy: "use --directions random, or a direction file".into(),
        });
    }
    let (kind, made, [x, y]) = drawn_directions(&network.layout, theta, directions)?;
    let about = About {
        format_version: FORMAT_VERSION,
        kind,
        made,
        layout_digest: network.layout.digest(),
        cosine: cosine(&x, &y),
        explained_variance: vec![],
        null_explained_variance: vec![],
        spectrum: vec![],
        path: vec![],
        excluded: vec![],
        notes: vec![],
    };
    Ok(Plane { origin: theta.to_vec(), buffers: buffers.to_vec(), x, y, about })
}
