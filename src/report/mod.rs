//! What a sweep shows: its members' numbers, the comparisons that can be made of them, and pages that
//! say so.

mod comparison;
mod content;
mod html;
mod pages;
mod pictures;
mod quantities;
pub mod scoring;
pub mod statistics;
mod text;

pub use comparison::{Comparison, comparisons, value_words};
pub use content::{Group, GroupValue, MemberRow, Report};
pub use pages::write;
pub use quantities::{MemberValues, Quantity, values_of};
