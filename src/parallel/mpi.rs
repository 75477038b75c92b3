//! The ranks of an MPI job. One thread of each process calls MPI.
//!
//! A rank that dies is not seen here: MPI's launcher ends the whole job, and what rank 0 has written is
//! what the same command goes on from. A rank that is asked to stop leaves in order.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use mpi::Threading;
use mpi::environment::{Universe, processor_name};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, MatchedReceiveVec, Source};

use super::pinning;
use super::post::{Post, Received};

/// This process in its MPI job.
pub struct Mpi {
    world: SimpleCommunicator,
    // Ends MPI when it is dropped, after the communicator.
    _universe: Universe,
}

impl Mpi {
    /// Joins the job, once in a process. `None` where MPI cannot be had.
    pub fn join() -> Option<Self> {
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)?;
        Some(Self { world: universe.world(), _universe: universe })
    }

    /// This process's rank, from 0.
    pub fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    /// How many ranks there are.
    pub fn size(&self) -> usize {
        self.world.size() as usize
    }

    /// Threads for this rank: the cores that it may use, divided among the ranks on its machine that
    /// may use the same ones. All ranks call this together.
    pub fn share_of_threads(&self) -> usize {
        let cores = pinning::allowed();
        let count = if cores.is_empty() {
            std::thread::available_parallelism().map_or(1, |n| n.get())
        } else {
            cores.len()
        };
        let mut hasher = DefaultHasher::new();
        (processor_name().unwrap_or_default(), cores).hash(&mut hasher);
        let mine = hasher.finish();
        let mut all = vec![0u64; self.size()];
        self.world.all_gather_into(&mine, &mut all[..]);
        let sharing = all.iter().filter(|other| **other == mine).count();
        (count / sharing.max(1)).max(1)
    }
}

impl Post for Mpi {
    fn send(&mut self, to: usize, message: &[u8]) {
        self.world.process_at_rank(to as i32).send(message);
    }

    fn receive(&mut self) -> Option<(usize, Received)> {
        let probed = self.world.any_process().immediate_matched_probe()?;
        let (bytes, status) = probed.matched_receive_vec::<u8>();
        Some((status.source_rank() as usize, Received::Message(bytes)))
    }
}
