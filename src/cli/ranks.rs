//! The ranks of an MPI job: whether this process is one of them, and which.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lossreel::parallel::{Team, Worker};
use lossreel::{Error, Result};

use super::interrupt;

/// What this process is among those of its job.
pub enum Ranks {
    /// Rank 0, or a process alone: it reads, writes and prints.
    Lead(Team),
    /// Another rank: it computes for rank 0, until the flag is set.
    #[cfg_attr(not(feature = "mpi"), allow(dead_code))]
    Work(Worker, Arc<AtomicBool>),
}

impl Ranks {
    /// The job that `command` is started in, joined where it divides its work; and the threads that are
    /// this rank's share, where others share its machine.
    ///
    /// # Errors
    /// [`Error::Ranks`] where several ranks were started and cannot work together.
    pub fn join(command: &str) -> Result<(Self, Option<usize>)> {
        let started = if DIVIDED.contains(&command) { launched() } else { 1 };
        if started <= 1 { Ok((Self::Lead(Team::alone()), None)) } else { join(started) }
    }
}

/// A flag that ends the work of rank 0: Ctrl-C sets it, or the launcher that ends the job.
pub fn stop_flag(team: &Team) -> Arc<AtomicBool> {
    if team.is_alone() {
        return interrupt::flag();
    }
    interrupt::flag_saying(Some(
        "stopping: what is finished is kept, and the same command goes on from there",
    ))
}

/// The commands that divide their work among ranks.
const DIVIDED: [&str; 2] = ["surface", "sweep"];

/// How many ranks the launcher started, as the environment says: Open MPI's mpirun, MPICH's, and srun
/// with either of them.
fn launched() -> usize {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let by_pmi = ["PMIX_RANK", "PMI_RANK"].iter().any(|name| std::env::var_os(name).is_some());
    let by_slurm = || number("SLURM_STEP_NUM_TASKS").filter(|_| by_pmi);
    number("OMPI_COMM_WORLD_SIZE").or(number("PMI_SIZE")).or_else(by_slurm).unwrap_or(1)
}

#[cfg(not(feature = "mpi"))]
fn join(started: usize) -> Result<(Ranks, Option<usize>)> {
    Err(Error::Ranks {
        what: format!("{started} ranks were started, and this program was built without MPI"),
        remedy: "start it once, or build it with: cargo build --release --features mpi".into(),
    })
}

#[cfg(feature = "mpi")]
fn join(started: usize) -> Result<(Ranks, Option<usize>)> {
    use lossreel::parallel::Mpi;
    let refuse = |what: String| Error::Ranks {
        what,
        remedy: "start it with the mpirun of the MPI library that it was built with".into(),
    };
    let mpi = Mpi::join().ok_or_else(|| refuse("MPI cannot be initialised".into()))?;
    if mpi.size() != started {
        let size = mpi.size();
        return Err(refuse(format!("{started} ranks were started, and MPI knows {size}")));
    }
    let threads = Some(mpi.share_of_threads());
    let ranks = match mpi.rank() {
        0 => Ranks::Lead(Team::new(Box::new(mpi), started - 1)),
        _ => Ranks::Work(Worker::new(Box::new(mpi)), interrupt::flag_saying(None)),
    };
    Ok((ranks, threads))
}
