//! What a comparison of update rules shows.

mod charts;
mod content;
mod html;
mod text;
mod write;

pub use content::{
    ComparisonReport, RuleScore, TargetRow, TriedPoint, TunedKey, TunedRule, WorkloadReport,
};
pub use write::write;
