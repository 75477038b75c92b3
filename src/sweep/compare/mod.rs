//! Update rules compared on one problem or several: hyper-parameters tuned with the same budget for each,
//! then final runs over seeds. Both are sweeps of their own.
//!
//! ```text
//! NAME/
//!   compare.json              rules, search spaces, budget, targets
//!   WORKLOAD/tuning/          a sweep: an axis `rule`, an axis `trial`, studies as seeds
//!   WORKLOAD/final/           a sweep: an axis `rule`
//!   WORKLOAD/joint/           the paths of the first seed on one plane: race.mp4, paths.png
//!   report/
//! ```

mod contender;
mod file;
mod folder;
pub mod tuning;

pub use contender::{Contender, Dimension, EDGE, REACH, RangeScale, names};
pub use file::{ComparisonFile, ComparisonScale, Range, Tune, Workload, WorkloadFile};
pub use folder::{Comparison, ComparisonAbout, WorkloadAbout};
