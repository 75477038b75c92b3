//! Which line through parameter space, and its direction.

use std::path::{Path, PathBuf};

use super::opened::OpenRun;
use super::plane::{draw_words, flat_direction};
use super::subject::{Subject, fit_layout};
use crate::landscape::{Ignore, Normalisation, align, random_direction};
use crate::network::ParamLayout;
use crate::rng::Streams;
use crate::weights::{NamedTensor, hdf5};
use crate::{Error, Result, weights};

/// Which line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Along the `xdirection` of an HDF5 file of the paper's code: of the weights, or of the whole state
    /// (`states`), BatchNorm's running statistics too.
    File(PathBuf),
    /// To the network of another file of weights, which is at 1, statistics and all.
    To {
        /// The file.
        path: PathBuf,
        /// Which weights in it; see [`crate::weights::read_key`].
        key: Option<String>,
    },
    /// To a network that is known already, which is at 1, statistics and all.
    ToState(FarEnd),
    /// Along a random direction.
    Random {
        /// How it is scaled.
        norm: Normalisation,
        /// What it leaves alone.
        ignore: Ignore,
        /// Seed of the draw.
        seed: u64,
    },
}

/// The network at the far end of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct FarEnd {
    /// It in words: a run's snapshot, a file.
    pub name: String,
    /// Its weights, (P,).
    pub theta: Vec<f32>,
    /// Its buffers, (B,).
    pub buffers: Vec<f32>,
    /// What the user should know, in sentences.
    pub notes: Vec<String>,
}

impl FarEnd {
    /// The weights in a file, for the network `arch` with `layout`.
    ///
    /// # Errors
    /// Those of reading the file; [`Error::Weights`] for one of another network.
    pub fn of_file(
        arch: &str,
        layout: &ParamLayout,
        path: &Path,
        key: Option<&str>,
    ) -> Result<Self> {
        let fitted = fit_layout(arch, layout, &weights::read_key(path, key)?)?;
        let (params, statistics) = fitted.tensors.split_at(layout.params.len());
        let flat = |tensors: &[NamedTensor]| -> Vec<f32> {
            tensors.iter().flat_map(|t| t.data.iter().copied()).collect()
        };
        Ok(Self {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            theta: flat(params),
            buffers: flat(statistics),
            notes: fitted.notes.iter().map(|note| format!("{}: {note}", path.display())).collect(),
        })
    }

    /// The last state of a run, or its snapshot with a number, for the network `arch` with `layout`.
    ///
    /// # Errors
    /// Those of reading the run; [`Error::Weights`] for one of another network, [`Error::BadValue`] for a
    /// snapshot that it lacks.
    pub fn of_run(
        arch: &str,
        layout: &ParamLayout,
        run: &OpenRun,
        snapshot: Option<usize>,
    ) -> Result<Self> {
        let own = run.layout()?;
        if own.digest() != layout.digest() {
            return Err(Error::Weights {
                arch: arch.into(),
                problem: format!("{} is {}", run.name(), run.description()?),
                remedy: "a line needs two networks of one architecture, width and shortcut".into(),
            });
        }
        let snapshots = run.snapshots(|s| snapshot.is_none_or(|n| s.index == n))?;
        let infos = snapshots.infos();
        let chosen = match snapshot {
            None => infos.iter().rposition(|s| !s.diverged).or(infos.len().checked_sub(1)),
            Some(_) => infos.len().checked_sub(1),
        };
        let chosen = chosen.ok_or_else(|| {
            let all = run.run().snapshots().map_or(0, |all| all.len());
            Error::bad_value(
                "snapshot",
                snapshot.unwrap_or(0),
                format!("not one of the {all} snapshots of {}", run.name()),
                format!("use 0 to {}", all.saturating_sub(1)),
            )
        })?;
        let name = match snapshot {
            Some(n) => format!("{}@{n}", run.name()),
            None => run.name(),
        };
        let (theta, buffers) = snapshots.state(chosen)?;
        Ok(Self { name, theta, buffers, notes: Vec::new() })
    }
}

impl FarEnd {
    /// The same network with its units in the order of those of `subject`.
    ///
    /// # Errors
    /// Those of [`align`].
    pub fn aligned(self, subject: &Subject) -> Result<Self> {
        let Self { name, theta, buffers, mut notes } = self;
        let found = align(subject.network(), &subject.theta, &theta, &buffers, &Streams::new(0))?;
        notes.push(format!(
            "{name} was aligned by weight matching: {} of {} units changed places, and the distance of the \
             weights fell from {:.4} to {:.4}",
            found.moved, found.units, found.distance[0], found.distance[1]
        ));
        let (theta, buffers) = (found.theta, found.buffers);
        Ok(Self { name: format!("{name}, aligned"), theta, buffers, notes })
    }
}

/// A line's direction.
#[derive(Clone)]
pub(super) struct Along {
    /// It in words.
    pub made: String,
    /// Of the weights, (P,).
    pub of_theta: Vec<f32>,
    /// Of the buffers, (B,), where they move too.
    pub of_buffers: Option<Vec<f32>>,
    /// What the user should know, in sentences.
    pub notes: Vec<String>,
}

impl Line {
    /// The line's direction at `theta` and `buffers` of the network `arch` with `layout`.
    ///
    /// # Errors
    /// Those of reading a file; [`Error::BadFile`] and [`Error::Weights`] for one of another network.
    pub(super) fn direction(
        &self,
        arch: &str,
        layout: &ParamLayout,
        theta: &[f32],
        buffers: &[f32],
    ) -> Result<Along> {
        let mut notes = Vec::new();
        let (made, of_theta, of_buffers) = match self {
            Line::File(path) => {
                let file = hdf5::read_directions(path)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let (of_theta, of_buffers) = state_direction(layout, &file.x, path)?;
                if of_buffers.is_none() && !buffers.is_empty() {
                    notes.push(
                        "the direction has weights only: BatchNorm keeps the statistics of x = 0 all along, \
                         so that the loss at another network's weights is not that network's own"
                            .into(),
                    );
                }
                (format!("direction of {name}"), of_theta, of_buffers)
            }
            Line::To { .. } | Line::ToState(_) => {
                let far = match self {
                    Line::To { path, key } => FarEnd::of_file(arch, layout, path, key.as_deref())?,
                    Line::ToState(far) => far.clone(),
                    _ => unreachable!("the others have no far end"),
                };
                let to = |from: &[f32], there: &[f32]| -> Vec<f32> {
                    there.iter().zip(from).map(|(b, a)| b - a).collect()
                };
                let (of_theta, of_buffers) = (to(theta, &far.theta), to(buffers, &far.buffers));
                if of_theta.iter().chain(&of_buffers).all(|d| *d == 0.0) {
                    return Err(Error::Landscape {
                        what: format!("{} has the same weights: there is no line", far.name),
                        remedy: "name another network".into(),
                    });
                }
                notes.extend(far.notes);
                (format!("line to {}", far.name), of_theta, Some(of_buffers))
            }
            Line::Random { norm, ignore, seed } => (
                format!("random direction, {}", draw_words(*norm, *ignore, *seed)),
                random_direction(layout, theta, *norm, *ignore, &Streams::new(*seed), 0),
                None,
            ),
        };
        let of_buffers = of_buffers.filter(|_| !buffers.is_empty());
        Ok(Along { made, of_theta, of_buffers, notes })
    }
}

/// A direction of the paper's code as flat vectors: of the weights, and of the buffers where it is of the
/// whole state dict, in whose order its tensors then are.
fn state_direction(
    layout: &ParamLayout,
    tensors: &[NamedTensor],
    path: &Path,
) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
    if tensors.len() == layout.params.len() {
        return Ok((flat_direction(layout, tensors, path)?, None));
    }
    // A BatchNorm's entries: weight, bias, mean, variance, and since PyTorch 0.4.1 a counter.
    let norms = layout.buffers.len() / 2;
    let counters = match tensors.len().checked_sub(layout.params.len() + layout.buffers.len()) {
        Some(0) => false,
        Some(n) if n == norms => true,
        // The error of a direction of another network.
        _ => return Ok((flat_direction(layout, tensors, path)?, None)),
    };
    let mut rest = tensors.iter();
    let (mut of_theta, mut of_buffers) = (Vec::new(), vec![None; layout.buffers.len()]);
    for param in &layout.params {
        of_theta.extend(rest.next().cloned());
        let Some(layer) = param.name.strip_suffix(".bias") else { continue };
        for statistic in ["running_mean", "running_var"] {
            let name = format!("{layer}.{statistic}");
            if let Some(at) = layout.buffers.iter().position(|b| b.name == name) {
                of_buffers[at] = rest.next().filter(|t| t.shape == layout.buffers[at].shape);
                if statistic == "running_var" && counters {
                    rest.next();
                }
            }
        }
    }
    let of_theta = flat_direction(layout, &of_theta, path)?;
    let of_buffers: Option<Vec<&NamedTensor>> = of_buffers.into_iter().collect();
    let of_buffers = of_buffers.ok_or_else(|| Error::BadFile {
        what: "the direction has BatchNorm statistics of other shapes than the network".into(),
        remedy: "use a direction made for this network".into(),
        path: path.to_path_buf(),
    })?;
    Ok((of_theta, Some(of_buffers.iter().flat_map(|t| t.data.iter().copied()).collect())))
}
