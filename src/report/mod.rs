//! What a sweep shows: its members' numbers, the comparisons that can be made of them, and pages that
//! say so.

mod comparison;
mod html;
mod pages;
mod pictures;
mod quantities;
pub mod statistics;
mod text;

pub use comparison::{Comparison, comparisons, value_words};
pub use pages::{Group, GroupValue, MemberRow, Report, write};
pub use quantities::{MemberValues, Quantity, values_of};
