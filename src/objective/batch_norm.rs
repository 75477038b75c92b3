//! Whose statistics BatchNorm uses while a loss is evaluated.

use serde::{Deserialize, Serialize};

use crate::names::named_enum;

named_enum! {
    /// What is done with BatchNorm's statistics at points that no training has been at.
    pub enum PointPolicy("BatchNorm policy") {
        /// Left as they are at the origin: the paper's way.
        Frozen = "frozen",
        /// On a line between two networks: those of both, as much of each as of the weights.
        Interpolated = "interpolated",
        /// Computed anew at each point, in train mode on a fixed sample of training images.
        Recalibrated = "recalibrated",
        /// Those of the images that go through together, as in training.
        Batch = "batch",
    }
}

/// What BatchNorm's statistics are over a surface, along a curve or at a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchNormPolicy {
    /// The network has none.
    None,
    /// Frozen: the running statistics that belong to the plane's origin.
    Frozen,
    /// Frozen: those of the last state of a run, where a plane has several.
    FrozenAtEndOf {
        /// The run's name in the joint folder.
        run: String,
    },
    /// Frozen: those of a snapshot.
    FrozenAtSnapshot {
        /// Its number.
        snapshot: usize,
    },
    /// Those of the origin plus as much of the direction's, as weights are: on a line between two networks
    /// each end has its own. Variances below 0 are 0.
    Interpolated,
    /// Computed anew at each point, in train mode on a fixed sample of training images.
    Recalibrated {
        /// How many images that is.
        images: usize,
    },
    /// Those that belong to the weights evaluated.
    Own,
    /// Those of the images that go through together, as in training.
    Batch {
        /// How many images that are.
        images: usize,
    },
}

impl BatchNormPolicy {
    /// The sentence of a caption; none for the default ([`BatchNormPolicy::Frozen`]) and for networks
    /// that have no such statistics.
    pub fn caption(&self) -> Option<String> {
        Some(match self {
            Self::None | Self::Frozen => return None,
            Self::FrozenAtEndOf { run } => {
                format!("BatchNorm with the final statistics of {run}")
            }
            Self::FrozenAtSnapshot { snapshot } => {
                format!("BatchNorm with the statistics of snapshot {snapshot}")
            }
            Self::Interpolated => "BatchNorm with statistics interpolated like the weights".into(),
            Self::Recalibrated { images } => {
                format!("BatchNorm recalibrated at each point on {images} training images")
            }
            Self::Own => "BatchNorm with each snapshot's own statistics".into(),
            Self::Batch { images } => format!("BatchNorm with statistics of {images} images each"),
        })
    }
}
