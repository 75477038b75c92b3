//! What a sweep shows: its members' numbers, the comparisons that can be made of them, and pages that
//! say so.

pub mod compare;
mod comparison;
mod content;
mod html;
mod pages;
mod paper;
mod pictures;
mod quantities;
pub mod scoring;
pub mod statistics;
mod text;

pub use comparison::{Comparison, comparisons, value_words};
pub use content::{Group, GroupValue, MemberRow, Report};
pub use pages::write;
pub use paper::{Ours, PUBLISHED, PaperRow, Published, paper_table};
pub(crate) use pictures::escaped;
pub use quantities::{MemberValues, Quantity, values_of};
