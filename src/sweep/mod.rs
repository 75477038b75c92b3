//! Many runs from one file: a base spec, axes with values, seeds. Members are ordinary run folders;
//! what is done is skipped, what was cut is gone on with, and a member that fails leaves the others as
//! they are and stands in the record.
//!
//! ```text
//! NAME/
//!   sweep.json            title, axes, seeds, measures, and the changes of each member
//!   members.jsonl         what was done for each member, and how it ended
//!   runs/MEMBER/          run folders
//!   locks/MEMBER.lock     held by whoever works on one member among others
//! ```

pub mod compare;
mod execute;
mod file;
mod film;
mod folder;
mod members;
mod steps;

pub use execute::{StepEnd, Work, execute, execute_among, work_of};
pub use file::{CurvatureMeasure, Film, Measure, SurfaceMeasure, SweepFile, WidthMeasure};
pub use film::{FILM, race_steps};
pub use folder::{MemberState, Status, Sweep};
pub use members::{Axis, AxisValue, Member, Members};
pub use steps::{MATCHED, PREDICTIONS, Step, width_name};
