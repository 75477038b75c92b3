//! Numbers for what pictures of a landscape suggest: of a surface, of a line, of a point.
//!
//! One file a measure, with its definition, its source and its test; [`MEASURES`] lists them all. What a
//! measure is of (a [`Field`] of losses over a grid, losses along a line, an objective at a point) is plain
//! data or an [`Objective`](crate::objective::Objective): where it comes from is not known here.

mod ascent;
mod barrier;
mod basin;
mod contour_tree;
mod convex;
mod expected_rise;
mod field;
mod merge;
mod monotonicity;
mod path;
mod roughness;
mod smad;

pub use ascent::{Ascent, EPSILON_STEPS, RHO_STEPS, epsilon_sharpness, rho_sharpness};
pub use barrier::{Barrier, barrier};
pub use basin::{Basin, Extent, basin};
pub use convex::convex_fraction;
pub use expected_rise::{Rise, expected_rise};
pub use field::Field;
pub use merge::{MergeTree, Pair, merge_tree};
pub use monotonicity::{Monotonicity, monotonicity};
pub use path::{PathShape, Station};
pub use roughness::roughness;
pub use smad::{Smad, smad};

use serde::{Deserialize, Serialize};

/// What a measure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Definition {
    /// Its name in results; those with a level or a radius have it behind the name, as `basin_area@0.1`.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it is, in a sentence or two.
    pub definition: &'static str,
    /// Where it is from.
    pub source: &'static str,
}

const NATS: &str = "nats";
const ONE: &str = "1";
const PLANE: &str = "plane units";

/// Every measure there is.
pub const MEASURES: &[Definition] = &[
    Definition {
        name: "minima",
        unit: "count",
        definition: "local minima of the grid (4 neighbours) whose persistence is above the threshold, the \
                     deepest among them",
        source: "Edelsbrunner, Letscher and Zomorodian 2002",
    },
    Definition {
        name: "minima_of_grid",
        unit: "count",
        definition: "local minima of the grid, noise among them: cells below their 4 neighbours",
        source: "-",
    },
    Definition {
        name: "saddles",
        unit: "count",
        definition: "branching points of the contour tree, where parts of a level set meet",
        source: "Carr, Snoeyink and Axen 2003",
    },
    Definition {
        name: "persistence_threshold",
        unit: NATS,
        definition: "the largest persistence that was taken for noise: each pair of a minimum and its saddle \
                     counts where it exceeds 3 paired standard errors of the difference of both cells, or the \
                     threshold asked for",
        source: "-",
    },
    Definition {
        name: "second_persistence",
        unit: NATS,
        definition: "the persistence of the deepest minimum but one: how far the loss rises from it to the \
                     saddle at which it meets a deeper one",
        source: "Edelsbrunner, Letscher and Zomorodian 2002",
    },
    Definition {
        name: "smad",
        unit: NATS,
        definition: "saddle-minimum average distance: the mean over the contour tree's arcs between a minimum \
                     and a saddle of their difference in loss",
        source: "landscaper 1.3.1 (LBNL)",
    },
    Definition {
        name: "smad_weighted",
        unit: NATS,
        definition: "the same with each difference times the share of the grid that descends to its minimum",
        source: "landscaper 1.3.1 (LBNL)",
    },
    Definition {
        name: "convex_fraction",
        unit: ONE,
        definition: "share of inner cells at which the Hessian of the surface, by differences over the 3 x 3 \
                     cells about it, is positive semidefinite",
        source: "Li et al. 2018, section 6, for a plane",
    },
    Definition {
        name: "roughness",
        unit: ONE,
        definition: "mean over rows and columns of the total variation of the loss along it over its range: 1 \
                     for a slope, at most 2 for one valley, more for a jagged line",
        source: "-",
    },
    Definition {
        name: "basin_bottom",
        unit: NATS,
        definition: "the loss at the bottom of the basin that the trained point is in",
        source: "-",
    },
    Definition {
        name: "basin_depth",
        unit: NATS,
        definition: "from there to the lowest pass to another minimum on the surface",
        source: "-",
    },
    Definition {
        name: "basin_depth_to_edge",
        unit: NATS,
        definition: "from there to the lowest loss at which the basin reaches the edge of the surface, beyond \
                     which nothing is known",
        source: "-",
    },
    Definition {
        name: "basin_area",
        unit: "plane units squared",
        definition: "area of the connected part of the surface about the trained point where the loss is no \
                     more than the given rise above the bottom",
        source: "-",
    },
    Definition {
        name: "basin_width_x",
        unit: PLANE,
        definition: "length along x through the trained point where the loss is no more than the given rise \
                     above the bottom",
        source: "-",
    },
    Definition { name: "basin_width_y", unit: PLANE, definition: "the same along y", source: "-" },
    Definition {
        name: "barrier",
        unit: NATS,
        definition: "the largest rise of the loss on the line above the straight line between its ends' losses",
        source: "Frankle et al. 2020; Entezari et al. 2022",
    },
    Definition {
        name: "barrier_position",
        unit: ONE,
        definition: "where on the line, 0 to 1, that is",
        source: "-",
    },
    Definition {
        name: "monotonicity",
        unit: ONE,
        definition: "the part of the loss's total variation along the line that is descent: 1 where it only \
                     falls",
        source: "Goodfellow et al. 2015",
    },
    Definition {
        name: "largest_rise",
        unit: NATS,
        definition: "the largest rise from a point of the line to a later one: the line is monotone up to this",
        source: "Lucas et al. 2021",
    },
    Definition {
        name: "path_length",
        unit: "weights",
        definition: "sum of the distances between successive snapshots",
        source: "-",
    },
    Definition {
        name: "path_distance",
        unit: "weights",
        definition: "distance from the first snapshot to the last",
        source: "-",
    },
    Definition {
        name: "path_straightness",
        unit: ONE,
        definition: "the distance over the length: 1 for a straight line, near 0 for a path that comes back",
        source: "-",
    },
    Definition {
        name: "path_cosine",
        unit: ONE,
        definition: "mean cosine of the angle between successive displacements: 1 straight on, 0 at right \
                     angles, -1 to and fro",
        source: "-",
    },
    Definition {
        name: "path_relative_distance",
        unit: ONE,
        definition: "the distance over the length of the weights at the first snapshot",
        source: "-",
    },
    Definition {
        name: "loss",
        unit: NATS,
        definition: "mean cross-entropy on the sample of training images, eval mode",
        source: "-",
    },
    Definition {
        name: "epsilon_sharpness",
        unit: "percent",
        definition: "100 (max f - f) / (1 + f) over the box of half widths epsilon (|theta_i| + 1), the \
                     maximum by projected gradient ascent: a lower bound of it",
        source: "Keskar et al. 2017, metric 2.1",
    },
    Definition {
        name: "rho_sharpness",
        unit: NATS,
        definition: "max f - f over the ball of radius rho about theta, by projected gradient ascent that \
                     begins with SAM's step: a lower bound of it",
        source: "Foret et al. 2021",
    },
    Definition {
        name: "expected_rise",
        unit: NATS,
        definition: "mean over random filter-normalised directions d of the loss at theta + radius d, less \
                     that at theta; the error is over directions",
        source: "directions of Li et al. 2018",
    },
    Definition {
        name: "lambda_max",
        unit: "nats per squared weight",
        definition: "largest eigenvalue of the Hessian, with its residual as the error",
        source: "Lanczos' process",
    },
    Definition {
        name: "trace",
        unit: "nats per squared weight",
        definition: "trace of the Hessian, with its standard error over random vectors",
        source: "Hutchinson 1990",
    },
    Definition {
        name: "norm",
        unit: "weights",
        definition: "Euclidean length of theta",
        source: "-",
    },
    Definition {
        name: "gradient_norm",
        unit: "nats per weight",
        definition: "length of the gradient of the expected loss: that of the sample's, less what the sample's \
                     own noise adds to its square",
        source: "McCandlish et al. 2018, appendix A.1",
    },
    Definition {
        name: "gradient_variance",
        unit: "squared nats per squared weight",
        definition: "trace of the covariance of a single image's gradient, from the gradients of groups of \
                     images; the error is the jackknife's over the groups, here and of the two that follow",
        source: "McCandlish et al. 2018, section 2.2",
    },
    Definition {
        name: "gradient_noise_scale",
        unit: "images",
        definition: "the gradient's variance over its squared length: the batch whose gradient is as much \
                     noise as signal",
        source: "McCandlish et al. 2018, section 2.2",
    },
    Definition {
        name: "gradient_snr",
        unit: ONE,
        definition: "ratio of signal to noise of a batch's gradient: its images over the gradient noise scale",
        source: "McCandlish et al. 2018, section 2.2",
    },
    Definition {
        name: "generalisation_gap",
        unit: NATS,
        definition: "mean loss on the test images less that on the training images",
        source: "-",
    },
    Definition {
        name: "accuracy_gap",
        unit: ONE,
        definition: "share of right answers on the training images less that on the test images",
        source: "-",
    },
];

/// A measure's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// The value; not a number where there is none.
    #[serde(with = "crate::disk::float")]
    pub value: f64,
    /// Its standard error, where one is known.
    #[serde(default, with = "crate::disk::optional_float")]
    pub se: Option<f64>,
    /// The unit.
    pub unit: String,
    /// What a reader should know, where there is something: the edge was reached, a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Value {
    /// The value of the measure `name`, with or without a level behind it.
    ///
    /// # Panics
    /// For a name that [`MEASURES`] does not have.
    pub fn of(name: &str, value: f64) -> Self {
        let unit = definition(name).expect("every measure is defined").unit;
        Self { value, se: None, unit: unit.into(), note: None }
    }

    /// The same with a standard error.
    pub fn with_se(self, se: f64) -> Self {
        Self { se: Some(se).filter(|se| se.is_finite()), ..self }
    }

    /// The same with a remark.
    pub fn with_note(self, note: Option<String>) -> Self {
        Self { note, ..self }
    }
}

/// The definition of the measure `name`, which may have a level behind it.
pub fn definition(name: &str) -> Option<&'static Definition> {
    let base = name.split_once('@').map_or(name, |(base, _)| base);
    MEASURES.iter().find(|m| m.name == base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_has_one_definition_and_levels_do_not_hide_it() {
        for (i, measure) in MEASURES.iter().enumerate() {
            assert!(!measure.definition.is_empty() && !measure.unit.is_empty());
            assert!(MEASURES[..i].iter().all(|m| m.name != measure.name), "{}", measure.name);
        }
        assert_eq!(definition("basin_area@0.1").unwrap().name, "basin_area");
        assert!(definition("flatness").is_none());
    }
}
