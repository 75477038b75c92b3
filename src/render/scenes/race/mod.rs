//! The race: several paths over one surface, moving by one clock, with the finishing order.
//!
//! In one view all paths share a frame and carry their names; in small multiples each has a frame of
//! its own with the same surface. Either way the leaderboard says who leads, and who reached the target
//! and when; what it knows between two readings is the last reading.
//!
//! Here are the plain data. [`film`] lays a race out and draws its frames, `board` is the
//! leaderboard, `covered` shows paths that lie under others, `labels` what is written at the ends of the paths.

mod board;
mod covered;
pub mod film;
mod labels;
pub mod standings;
#[cfg(test)]
mod tests;

pub use film::RaceFilm;

use crate::names::named_enum;
use crate::render::scene::{ContourPanel, Pacing, PathPoint, Quantity, Strip};
use crate::render::scenes::race::standings::{Record, Target};

named_enum! {
    /// How the paths are shown.
    #[derive(Default)]
    pub enum RaceLayout("layout") {
        /// All in one frame.
        #[default]
        One = "one",
        /// One frame each.
        Multiples = "multiples",
    }
}

/// One racer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Racer {
    /// Its short name, drawn at the end of its path.
    pub name: String,
    /// A line of detail (`lr 0.1, momentum 0.9`); may be empty.
    pub detail: String,
    /// Its path.
    pub path: Vec<PathPoint>,
    /// What is known of it.
    pub record: Record,
}

/// A race, as plain data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Race {
    /// The headline.
    pub title: String,
    /// Where the numbers come from.
    pub caption: String,
    /// What the colours mean.
    pub value_label: String,
    /// The surface with its axis labels; its path is not drawn.
    pub surface: ContourPanel,
    /// The racers; a racer's colour is that of its number.
    pub racers: Vec<Racer>,
    /// One view or several.
    pub layout: RaceLayout,
    /// What wins.
    pub target: Target,
    /// Curves by the race's clock; a curve's panel is its racer.
    pub strip: Strip,
    /// What each quantity's chart is called ("Test accuracy").
    pub chart_titles: Vec<(Quantity, String)>,
    /// How long the last picture stays, in seconds.
    pub hold_secs: f64,
    /// Clock, moments, card.
    pub pacing: Pacing,
}

/// Width and height of the leaderboard in units of the label's size, for
/// [`crate::render::page::layout::Layout::with_board`].
pub(in crate::render) fn board_size(race: &Race) -> [f32; 2] {
    [20.0, 3.9 + 2.45 * race.racers.len() as f32]
}
