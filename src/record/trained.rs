//! Whether a folder holds a run that has come to an end: what whoever trains many runs asks of each.

use std::path::Path;

use super::{Run, Status};
use crate::train::Verdict;
use crate::{Error, Result};

/// How far the training in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trained {
    /// It came to its end.
    Yes,
    /// It ended because the loss was no longer finite.
    Diverged,
    /// Cut short: it can be gone on with.
    Cut,
    /// Cut short before there was anything to go on with: it is to be begun again.
    NotBegun,
    /// There is no run.
    No,
}

impl Trained {
    /// How far the training in the folder `run` is, by whatever spec.
    ///
    /// # Errors
    /// Those of opening a run that is there, and of its manifest.
    pub fn of(run: &Path) -> Result<Self> {
        let run = match Run::open(run) {
            Ok(run) => run,
            Err(Error::NoRun { .. }) => return Ok(Self::No),
            // A folder that a kill left before its spec was written.
            Err(Error::NotARun { .. }) => return Ok(Self::No),
            Err(Error::NotBegun { .. }) => return Ok(Self::NotBegun),
            Err(error) => return Err(error),
        };
        Ok(match run.manifest()?.status {
            Status::Unfinished if !run.has_checkpoint()? => Self::NotBegun,
            Status::Unfinished => Self::Cut,
            Status::Ended { verdict, .. } => match verdict {
                Verdict::Interrupted => Self::Cut,
                Verdict::Diverged { .. } => Self::Diverged,
                Verdict::Finished | Verdict::EarlyStopped => Self::Yes,
            },
        })
    }
}
